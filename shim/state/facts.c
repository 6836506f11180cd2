#include <weir/facts.h>

#include <weir/text.h>

#include <string.h>

/* Where the texts of an error stand. Relays and old servers leave out the "error" object. */
enum slot { TYPE = 1, CODE, STATUS, REASON, REASON_WEAK, MESSAGE, RETRY, METRIC, ID, LIMIT };

static const struct {
  const char *path;
  enum slot slot;
} slots[] = {
    {"error.message", MESSAGE},
    {"error.type", TYPE},
    {"error.code", CODE},
    {"error.status", STATUS},
    {"error.details.error_code", REASON},
    {"error.details[].reason", REASON},
    {"error.details[].retryDelay", RETRY},
    {"error.details[].violations[].quotaMetric", METRIC},
    {"error.details[].violations[].quotaId", ID},
    {"error.details[].violations[].quotaValue", LIMIT},
    {"error.details[].metadata.quota_metric", METRIC},
    {"error.details[].metadata.quota_limit", ID},
    {"error.details[].metadata.quota_limit_value", LIMIT},
    {"error.errors[].reason", REASON_WEAK},
    {"error", MESSAGE},
    {"message", MESSAGE},
    {"detail", MESSAGE},
    {"code", CODE},
};

static void word_set(char *word, const struct weir_json_token *token)
{
  size_t size = token->text_size < WEIR_FACTS_WORD_MAX ? token->text_size : WEIR_FACTS_WORD_MAX;

  memcpy(word, token->text, size);
  word[size] = '\0';
}

static void slot_set(struct weir_facts *f, enum slot slot, const struct weir_json_token *token)
{
  switch (slot) {
  case TYPE:
    word_set(f->type, token);
    break;
  case CODE:
    word_set(f->code, token);
    break;
  case STATUS:
    word_set(f->status, token);
    break;
  case REASON_WEAK:
    if (f->reason[0] != '\0')
      break;
    word_set(f->reason, token);
    break;
  case REASON:
    word_set(f->reason, token);
    break;
  case MESSAGE:
    memcpy(f->message, token->text, token->text_size + 1);
    break;
  case RETRY:
    f->has_retry_info = weir_text_duration(token->text, &f->retry_info_us);
    break;
  case METRIC:
    word_set(f->reading.metric, token);
    break;
  case ID:
    word_set(f->reading.id, token);
    break;
  case LIMIT:
    f->reading.has_limit = weir_text_count(token->text, &f->reading.limit);
    break;
  }
}

static void string_take(struct weir_facts *f, const char *path, const struct weir_json_token *token)
{
  if (strcmp(path, "type") == 0 && strcmp(token->text, "error") == 0)
    f->is_anthropic = f->has_error = true;
  if (strcmp(path, "object") == 0 && strcmp(token->text, "error") == 0)
    f->has_error = true;
  if (strcmp(path, "error") == 0 || strncmp(path, "error.", 6) == 0)
    f->has_error |= token->text_size > 0;
  for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++)
    if (path[0] == slots[i].path[0] && strcmp(path, slots[i].path) == 0)
      slot_set(f, slots[i].slot, token);
}

static void number_take(struct weir_facts *f, const char *path, const struct weir_json_token *token)
{
  uint64_t value;

  if (!weir_json_uint(token, &value))
    return;
  f->has_error |= strcmp(path, "error.code") == 0;
  if (strcmp(path, "error.code") == 0 || strcmp(path, "code") == 0)
    f->body_http = value >= 400 && value < 600 ? (uint32_t)value : 0;
  if (strcmp(path, "error.details[].violations[].quotaValue") == 0) {
    f->reading.has_limit = true;
    f->reading.limit = value;
  }
}

/* Google's violations end with their object; the older form puts one into a detail's metadata. */
static void violation_end(struct weir_facts *f)
{
  bool is_stated = f->reading.metric[0] != '\0' || f->reading.id[0] != '\0';

  if (is_stated && f->violations_count < WEIR_FACTS_VIOLATIONS_MAX)
    f->violations[f->violations_count++] = f->reading;
  f->reading = (struct weir_violation){0};
}

void weir_facts_init(struct weir_facts *facts, int http)
{
  memset(facts, 0, offsetof(struct weir_facts, message) + 1);
  facts->http = http;
}

void weir_facts_token(struct weir_facts *facts, const struct weir_json_token *token)
{
  static const char response[] = "response."; /* of OpenAI's event response.failed */
  const char *path = token->path;

  if (strncmp(path, response, sizeof(response) - 1) == 0)
    path += sizeof(response) - 1;
  switch (token->type) {
  case WEIR_JSON_STRING:
    string_take(facts, path, token);
    break;
  case WEIR_JSON_NUMBER:
    number_take(facts, path, token);
    break;
  case WEIR_JSON_OBJECT_END:
    if (strcmp(path, "error.details[].violations[]") == 0 || strcmp(path, "error.details[]") == 0)
      violation_end(facts);
    break;
  case WEIR_JSON_OBJECT:
  case WEIR_JSON_ARRAY:
  case WEIR_JSON_ARRAY_END:
  case WEIR_JSON_TRUE:
  case WEIR_JSON_FALSE:
  case WEIR_JSON_NULL:
    break;
  }
}

const char *weir_facts_header(const struct weir_facts *facts, const char *name)
{
  for (size_t i = 0; i < facts->headers_count; i++)
    if (weir_text_is(facts->headers[i].name, name))
      return facts->headers[i].value;
  return NULL;
}

int weir_facts_status(const struct weir_facts *facts)
{
  static const struct {
    const char *word; /* in Google's status, OpenAI's and Anthropic's type, or a code */
    int http;
  } words[] = {
      {"RESOURCE_EXHAUSTED", 429},
      {"UNAVAILABLE", 503},
      {"DEADLINE_EXCEEDED", 504},
      {"INVALID_ARGUMENT", 400},
      {"FAILED_PRECONDITION", 400},
      {"PERMISSION_DENIED", 403},
      {"UNAUTHENTICATED", 401},
      {"NOT_FOUND", 404},
      {"CANCELLED", 499},
      {"rate_limit", 429},
      {"insufficient_quota", 429},
      {"quota_exceeded", 429},
      {"slow_down", 429},
      {"overloaded", 503},
      {"authentication", 401},
      {"invalid_api_key", 401},
      {"billing", 402},
      {"permission", 403},
      {"too_large", 413},
      {"timeout", 504},
      {"invalid_request", 400},
      {"invalid_prompt", 400},
      {"context_length", 400},
  };
  const char *said[] = {facts->status, facts->code, facts->type};

  if (facts->http >= 300 || (facts->http > 0 && !facts->has_error))
    return facts->http;
  if (!facts->has_error)
    return 0;
  if (facts->body_http != 0)
    return (int)facts->body_http;
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
    for (size_t k = 0; k < sizeof(said) / sizeof(said[0]); k++)
      if (weir_text_has(said[k], words[i].word))
        return words[i].http;
  return 500;
}
