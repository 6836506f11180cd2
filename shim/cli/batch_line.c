#include "batch_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <weir/hash.h>
#include <weir/json.h>

/* The keys of a line that matter, as the scan meets them. */
struct scan {
  struct weir_batch_request *request;
  bool has_custom_id, has_key, has_body, has_request, has_params, is_object;
  bool is_id_bad, is_method_bad, is_repeated, is_model_bad, is_url_bad;
};

static bool text_copy(const struct weir_json_token *token, char *ret_text, size_t max)
{
  if (token->type != WEIR_JSON_STRING || token->text_size > max || token->is_cut ||
      memchr(token->text, '\0', token->text_size) ||
      !weir_jsonout_is_utf8(token->text, token->text_size))
    return false;
  memcpy(ret_text, token->text, token->text_size + 1);
  return true;
}

/* The key of a line that is an id, a body ... must not stand twice: which one would count? */
static void once(struct scan *scan, bool *has)
{
  scan->is_repeated = scan->is_repeated || *has;
  *has = true;
}

static void id_take(struct scan *scan, const struct weir_json_token *token, bool *has)
{
  once(scan, has);
  if (!text_copy(token, scan->request->id, WEIR_BATCH_ID_MAX) || scan->request->id[0] == '\0')
    scan->is_id_bad = true;
}

static void body_take(struct scan *scan, const struct weir_json_token *token, bool *has)
{
  once(scan, has);
  scan->request->body_begin = (size_t)token->offset_begin;
  scan->request->body_end = (size_t)token->offset_end;
}

/* As weir_call takes it. */
static bool is_path(const char *url)
{
  const char *at = url;

  while ((unsigned char)*at > 0x20 && *at != 0x7f)
    at++;
  return url[0] == '/' && *at == '\0';
}

static void member_take(struct scan *scan, const struct weir_json_token *token)
{
  bool is_object = token->type == WEIR_JSON_OBJECT_END;

  if (token->type == WEIR_JSON_OBJECT || token->type == WEIR_JSON_ARRAY)
    return; /* told at their end */
  if (strcmp(token->path, "custom_id") == 0)
    id_take(scan, token, &scan->has_custom_id);
  else if (strcmp(token->path, "key") == 0)
    id_take(scan, token, &scan->has_key);
  else if (strcmp(token->path, "body") == 0 && is_object)
    body_take(scan, token, &scan->has_body);
  else if (strcmp(token->path, "request") == 0 && is_object)
    body_take(scan, token, &scan->has_request);
  else if (strcmp(token->path, "params") == 0 && is_object)
    body_take(scan, token, &scan->has_params);
  else if (strcmp(token->path, "url") == 0)
    scan->is_url_bad =
        !text_copy(token, scan->request->url, WEIR_BATCH_URL_MAX) || !is_path(scan->request->url);
  else if (strcmp(token->path, "method") == 0)
    scan->is_method_bad = strcmp(token->text, "POST") != 0;
}

static void token_take(void *context, const struct weir_json_token *token)
{
  struct scan *scan = context;

  if (token->depth == 0)
    scan->is_object = token->type == WEIR_JSON_OBJECT_END;
  else if (token->depth == 1)
    member_take(scan, token);
  else if (token->depth == 2 &&
           (strcmp(token->path, "body.model") == 0 || strcmp(token->path, "request.model") == 0 ||
            strcmp(token->path, "params.model") == 0) &&
           !text_copy(token, scan->request->model, WEIR_BATCH_MODEL_MAX))
    scan->is_model_bad = true;
}

/* Scans |line| as one JSON object, handing each token to |take|. False when it is none;
 * |*ret_offset| is how far it was read. */
static bool line_scan(const char *line, size_t size,
                      void (*take)(void *context, const struct weir_json_token *token),
                      void *context, size_t *ret_offset)
{
  struct weir_json json;
  struct weir_json_token token;
  enum weir_json_status status;
  size_t values = 0;

  weir_json_init(&json);
  weir_json_feed(&json, line, size);
  while ((status = weir_json_next(&json, &token)) == WEIR_JSON_TOKEN) {
    values += token.depth == 0 && token.type == WEIR_JSON_OBJECT;
    if (values > 1)
      break;
    take(context, &token);
  }
  *ret_offset = size - (size_t)(json.end - json.at);
  return status == WEIR_JSON_MORE && weir_json_end(&json, &token) == WEIR_JSON_MORE;
}

static const char *request_fault(const struct scan *scan)
{
  if (scan->is_repeated)
    return "a key stands twice; keep one";
  if (!scan->has_custom_id && !scan->has_key)
    return "the id is missing; add \"custom_id\" (or \"key\" in Gemini's format)";
  if (scan->is_id_bad)
    return "the id must be a string of 1 to 512 bytes of UTF-8; shorten or quote it";
  if (scan->has_custom_id && scan->has_key)
    return "\"custom_id\" and \"key\" exclude each other; keep one";
  if (scan->has_body + scan->has_request + scan->has_params != 1)
    return "exactly one object must hold the request: \"body\" (OpenAI), \"request\" (Gemini) or "
           "\"params\" (Anthropic)";
  if (scan->has_key != scan->has_request)
    return "\"key\" goes with \"request\", \"custom_id\" with \"body\" or \"params\"";
  if (scan->is_method_bad)
    return "\"method\" must be \"POST\"";
  if (scan->is_url_bad)
    return "\"url\" must be a path such as \"/v1/chat/completions\", without blanks";
  if (scan->is_model_bad)
    return "\"model\" must be a string of at most 127 bytes";
  return NULL;
}

bool weir_batch_request_parse(const char *line, size_t size, struct weir_batch_request *ret_request,
                              char ret_reason[WEIR_BATCH_REASON_MAX])
{
  struct scan scan = {.request = ret_request};
  const char *fault;
  size_t offset;

  memset(ret_request, 0, sizeof(*ret_request));
  if (!line_scan(line, size, token_take, &scan, &offset)) {
    if (offset >= size)
      snprintf(ret_reason, WEIR_BATCH_REASON_MAX,
               "the JSON ends too early; a request must stand on one line");
    else
      snprintf(ret_reason, WEIR_BATCH_REASON_MAX,
               "not JSON from column %zu on; each line is one JSON object", offset + 1);
    return false;
  }
  fault = scan.is_object ? request_fault(&scan) : "not a JSON object; each line is one";
  if (fault) {
    snprintf(ret_reason, WEIR_BATCH_REASON_MAX, "%s", fault);
    return false;
  }
  ret_request->format = scan.has_key      ? WEIR_BATCH_GEMINI
                        : scan.has_params ? WEIR_BATCH_ANTHROPIC
                                          : WEIR_BATCH_OPENAI;
  return true;
}

uint64_t weir_batch_id_hash(const char *id)
{
  uint64_t hash = weir_hash_text(id, 0); /* then murmur's finaliser */

  hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
  hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
  return hash ^ hash >> 33;
}

/* ---- Results ------------------------------------------------------------------------------- */

/* Finds the provider's own words in an error body; false when there are none. */
static bool body_message(const struct weir_batch_result *result, char *ret_text, size_t size)
{
  struct weir_json json;
  struct weir_json_token token;

  if (!result->body)
    return false;
  weir_json_init(&json);
  weir_json_feed(&json, result->body, result->body_size);
  while (weir_json_next(&json, &token) == WEIR_JSON_TOKEN)
    if (token.type == WEIR_JSON_STRING &&
        (strcmp(token.path, "error.message") == 0 || strcmp(token.path, "[].error.message") == 0)) {
      snprintf(ret_text, size, "%s", token.text);
      return true;
    }
  return false;
}

static void error_write(struct weir_jsonout *out, enum weir_batch_format format,
                        const struct weir_batch_result *result)
{
  char text[1024];
  const char *message = result->message;

  if (!message)
    message = body_message(result, text, sizeof(text)) ? text : result->code;
  weir_jsonout_object(out, "error");
  if (format == WEIR_BATCH_GEMINI) {
    weir_jsonout_uint(out, "code", (uint64_t)result->http);
    weir_jsonout_text(out, "status", result->code);
  } else {
    weir_jsonout_text(out, format == WEIR_BATCH_OPENAI ? "code" : "type", result->code);
  }
  weir_jsonout_text(out, "message", message);
  weir_jsonout_bool(out, "retryable", result->is_retryable);
  weir_jsonout_uint(out, "attempts", result->attempts);
  if (format != WEIR_BATCH_OPENAI && result->body && result->body_size > 0)
    weir_jsonout_raw(out, "details", result->body, result->body_size);
  weir_jsonout_object_end(out);
}

static void openai_write(struct weir_jsonout *out, const struct weir_batch_request *request,
                         uint64_t number, const struct weir_batch_result *result)
{
  char id[32];

  snprintf(id, sizeof(id), "line-%" PRIu64, number);
  weir_jsonout_text(out, "id", id);
  weir_jsonout_text(out, "custom_id", request->id);
  if (result->http != 0) {
    weir_jsonout_object(out, "response");
    weir_jsonout_uint(out, "status_code", (uint64_t)result->http);
    weir_jsonout_text(out, "request_id", id);
    if (result->body && result->body_size > 0)
      weir_jsonout_raw(out, "body", result->body, result->body_size);
    else
      weir_jsonout_null(out, "body");
    weir_jsonout_object_end(out);
  } else {
    weir_jsonout_null(out, "response");
  }
  if (result->is_ok)
    weir_jsonout_null(out, "error");
  else
    error_write(out, WEIR_BATCH_OPENAI, result);
}

void weir_batch_result_write(struct weir_jsonout *out, const struct weir_batch_request *request,
                             uint64_t number, const struct weir_batch_result *result)
{
  weir_jsonout_object(out, NULL);
  switch (request->format) {
  case WEIR_BATCH_OPENAI:
    openai_write(out, request, number, result);
    break;
  case WEIR_BATCH_GEMINI:
    weir_jsonout_text(out, "key", request->id);
    if (result->is_ok)
      weir_jsonout_raw(out, "response", result->body, result->body_size);
    else
      error_write(out, request->format, result);
    break;
  case WEIR_BATCH_ANTHROPIC:
    weir_jsonout_text(out, "custom_id", request->id);
    weir_jsonout_object(out, "result");
    weir_jsonout_text(out, "type", result->is_ok ? "succeeded" : "errored");
    if (result->is_ok)
      weir_jsonout_raw(out, "message", result->body, result->body_size);
    else
      error_write(out, request->format, result);
    weir_jsonout_object_end(out);
    break;
  }
  weir_jsonout_object_end(out);
  weir_jsonout_newline(out);
}

void weir_batch_reason_write(struct weir_jsonout *out, uint64_t number, const char *reason)
{
  char id[32];

  snprintf(id, sizeof(id), "line-%" PRIu64, number);
  weir_jsonout_object(out, NULL);
  weir_jsonout_text(out, "id", id);
  weir_jsonout_null(out, "custom_id");
  weir_jsonout_null(out, "response");
  weir_jsonout_object(out, "error");
  weir_jsonout_text(out, "code", "bad_line");
  weir_jsonout_text(out, "message", reason);
  weir_jsonout_bool(out, "retryable", false);
  weir_jsonout_object_end(out);
  weir_jsonout_object_end(out);
  weir_jsonout_newline(out);
}

/* ---- Records ------------------------------------------------------------------------------- */

struct record_scan {
  struct weir_batch_record *record;
  bool has_id, is_bad_line, has_answer, has_error;
};

static bool line_number(const char *text, uint64_t *ret_number)
{
  uint64_t number = 0;

  if (strncmp(text, "line-", 5) != 0 || strlen(text) > 15)
    return false;
  for (text += 5; *text >= '0' && *text <= '9'; text++)
    number = number * 10 + (uint64_t)(*text - '0');
  *ret_number = number;
  return *text == '\0';
}

static void record_take(void *context, const struct weir_json_token *token)
{
  struct record_scan *scan = context;
  const char *path = token->path;
  bool is_object = token->type == WEIR_JSON_OBJECT_END;

  if (token->depth == 1 && token->type == WEIR_JSON_STRING &&
      (strcmp(path, "custom_id") == 0 || strcmp(path, "key") == 0)) {
    scan->has_id = text_copy(token, scan->record->id, WEIR_BATCH_ID_MAX);
  } else if (token->depth == 1 && token->type == WEIR_JSON_STRING && strcmp(path, "id") == 0) {
    scan->is_bad_line = line_number(token->text, &scan->record->number);
  } else if (is_object && ((token->depth == 1 && strcmp(path, "error") == 0) ||
                           (token->depth == 2 && strcmp(path, "result.error") == 0))) {
    scan->has_error = true;
  } else if (token->depth == 1 && token->type != WEIR_JSON_NULL &&
             (strcmp(path, "response") == 0 || strcmp(path, "result") == 0)) {
    scan->has_answer = true; /* a string when the provider did not send JSON */
  } else if (token->type == WEIR_JSON_TRUE && (strcmp(path, "error.retryable") == 0 ||
                                               strcmp(path, "result.error.retryable") == 0)) {
    scan->record->is_retryable = true;
  }
}

bool weir_batch_record_parse(const char *line, size_t size, struct weir_batch_record *ret_record)
{
  struct record_scan scan = {.record = ret_record};
  size_t offset;

  memset(ret_record, 0, sizeof(*ret_record));
  if (!line_scan(line, size, record_take, &scan, &offset) || (!scan.has_error && !scan.has_answer))
    return false;
  ret_record->is_ok = !scan.has_error;
  return scan.has_id || (scan.is_bad_line && scan.has_error);
}

bool weir_batch_record_may_begin(const char *line, size_t size)
{
  static const char *const heads[] = {"{\"id\":\"line-", "{\"custom_id\":\"", "{\"key\":\""};

  for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
    size_t head_size = strlen(heads[i]);

    if (memcmp(line, heads[i], size < head_size ? size : head_size) == 0)
      return true;
  }
  return false;
}
