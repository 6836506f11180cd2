/* The OpenAI API: chat completions, responses, embeddings; and Gemini and Anthropic behind the same
 * paths. */
#include <stdio.h>
#include <string.h>

#include "provider.h"

typedef unsigned long long ull;

/* --- requests ------------------------------------------------------------------------------ */

static bool route(const char *method, const char *target, struct weir_up_call *call)
{
  static const struct {
    const char *method, *path;
    enum weir_up_operation operation;
  } paths[] = {
      {"POST", "/v1/chat/completions", WEIR_UP_GENERATE},
      {"POST", "/v1/responses", WEIR_UP_GENERATE},
      {"POST", "/v1/embeddings", WEIR_UP_EMBED},
      {"GET", "/v1/models", WEIR_UP_LIST_MODELS},
  };
  size_t size = strcspn(target, "?");
  if (strncmp(target, "/v1/", 4) != 0)
    return false;
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
    if (strlen(paths[i].path) == size && strncmp(paths[i].path, target, size) == 0 &&
        strcmp(paths[i].method, method) == 0) {
      call->operation = paths[i].operation;
      call->is_responses = i == 1;
    }
  return true;
}

static bool route_compatible(const char *method, const char *target, struct weir_up_call *call)
{
  static const char prefix[] = "/v1beta/openai/";
  char path[256];
  if (strncmp(target, prefix, sizeof prefix - 1) != 0)
    return false;
  (void)snprintf(path, sizeof path, "/v1/%s", target + sizeof prefix - 1);
  strcpy(call->version, "v1beta");
  call->is_compatible = true;
  return route(method, path, call);
}

static const char *key(const struct weir_http_request *request, char *buffer)
{
  (void)buffer;
  return weir_up_bearer(request);
}

static enum weir_up_error check(const struct weir_up_call *call)
{
  bool is_sound = call->request.texts > 0 && call->request.model[0] != '\0';
  return is_sound ? (enum weir_up_error)0 : WEIR_UP_ERROR_BAD_REQUEST;
}

/* "the maximum of max_tokens and the estimated number of tokens based on the character count" */
static struct weir_up_cost cost(const struct weir_up_call *call)
{
  struct weir_up_cost cost = {0};
  uint64_t estimate = (call->request.characters + 3) / 4;
  cost.units[WEIR_UP_REQUESTS] = 1;
  cost.units[WEIR_UP_INPUT] = call->request.input_tokens;
  cost.units[WEIR_UP_TOTAL] =
      call->request.max_tokens > estimate ? call->request.max_tokens : estimate;
  return cost;
}

/* --- errors -------------------------------------------------------------------------------- */

static void put_error(uint32_t status, const char *message, const char *type, const char *code,
                      struct weir_up_answer *answer)
{
  struct weir_up_buffer *b = &answer->body;
  answer->status = status;
  weir_up_add(b, "{\"error\":{\"message\":");
  weir_up_add_json(b, message);
  weir_up_add(b, ",\"type\":\"%s\",\"param\":null,\"code\":", type);
  if (code != NULL)
    weir_up_add_json(b, code);
  else
    weir_up_add(b, "null");
  weir_up_add(b, "}}");
}

static void error(const struct weir_up_call *call, enum weir_up_error error,
                  struct weir_up_answer *answer)
{
  static const char invalid[] = "invalid_request_error", server[] = "server_error";
  char message[512];
  switch (error) {
  case WEIR_UP_ERROR_BAD_REQUEST:
    put_error(400, "Missing required parameter: 'messages'.", invalid, "missing_required_parameter",
              answer);
    return;
  case WEIR_UP_ERROR_NO_KEY:
    put_error(401,
              "You didn't provide an API key. You need to provide your API key in an Authorization "
              "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
              invalid, NULL, answer);
    return;
  case WEIR_UP_ERROR_BAD_KEY:
  case WEIR_UP_ERROR_LEAKED_KEY:
    put_error(401,
              "Incorrect API key provided: sk-****. You can find your API key at "
              "https://platform.openai.com/account/api-keys.",
              invalid, "invalid_api_key", answer);
    return;
  case WEIR_UP_ERROR_NO_MODEL:
  case WEIR_UP_ERROR_LIMIT_ZERO:
    (void)snprintf(message, sizeof message,
                   "The model `%s` does not exist or you do not have access to it.",
                   call->request.model);
    put_error(404, message, invalid, "model_not_found", answer);
    return;
  case WEIR_UP_ERROR_NO_PATH:
    put_error(404, "Invalid URL or method for this endpoint.", invalid, NULL, answer);
    return;
  case WEIR_UP_ERROR_CONTEXT:
    (void)snprintf(message, sizeof message,
                   "This model's maximum context length is %llu tokens. However, your messages "
                   "resulted in %llu tokens. Please reduce the length of the messages.",
                   (ull)call->context_max, (ull)call->request.input_tokens);
    put_error(400, message, invalid, "context_length_exceeded", answer);
    return;
  case WEIR_UP_ERROR_BILLING:
  case WEIR_UP_ERROR_DAY:
    put_error(429, "You exceeded your current quota, please check your plan and billing details.",
              "insufficient_quota", "insufficient_quota", answer);
    return;
  case WEIR_UP_ERROR_CAPACITY:
  case WEIR_UP_ERROR_OVERLOADED_529:
  case WEIR_UP_ERROR_OVERLOADED:
    put_error(error == WEIR_UP_ERROR_CAPACITY ? 429 : 503,
              "The engine is currently overloaded, please try again later", server, NULL, answer);
    return;
  case WEIR_UP_ERROR_RAMP:
    put_error(429,
              "Slow down: your traffic grew too fast. Reduce it to its level of before, hold "
              "it for 15 minutes, then raise it gradually.",
              "requests", "slow_down", answer);
    weir_up_answer_header(answer, "retry-after", "20");
    return;
  case WEIR_UP_ERROR_INTERNAL:
    put_error(500, "The server had an error while processing your request. Sorry about that!",
              server, NULL, answer);
    return;
  case WEIR_UP_ERROR_DEADLINE:
    put_error(504, "The request timed out.", server, "timeout", answer);
  }
}

/* A Go duration, as these messages and headers have them: 84ms, 1.146s, 6m0s, 1h2m3.4s. */
static const char *duration(uint64_t ms, char *ret_text, size_t size)
{
  uint64_t hours = ms / 3600000, minutes = ms / 60000 % 60, seconds = ms / 1000 % 60;
  if (ms < 1000) {
    (void)snprintf(ret_text, size, ms == 0 ? "0s" : "%llums", (ull)ms);
    return ret_text;
  }
  int used = 0;
  if (hours > 0)
    used = snprintf(ret_text, size, "%lluh%llum", (ull)hours, (ull)minutes);
  else if (minutes > 0)
    used = snprintf(ret_text, size, "%llum", (ull)minutes);
  char fraction[8] = "";
  if (ms % 1000 != 0) {
    (void)snprintf(fraction, sizeof fraction, ".%03u", (unsigned)(ms % 1000));
    for (size_t end = strlen(fraction); fraction[end - 1] == '0'; end--)
      fraction[end - 1] = '\0';
  }
  (void)snprintf(ret_text + used, size - (size_t)used, "%llu%ss", (ull)seconds, fraction);
  return ret_text;
}

/* What the messages call used: of a bucket all but what is left, so that one with a smaller burst
 * shows as one that is partly used up. */
static uint64_t stated_used(const struct weir_up_call *call, uint32_t i)
{
  const struct weir_up_limit *limit = weir_up_meter_limit(call->meter, i);
  uint64_t used = weir_up_meter_used(call->meter, i, call->now_us);
  if (limit->method != WEIR_UP_BUCKET || limit->burst == 0)
    return used;
  used += limit->amount;
  return used > limit->burst ? used - limit->burst : 0;
}

/* The stated wait. A bucket's follows from the numbers beside it, to the millisecond:
 * (Used + Requested - Limit) * window / Limit. */
static uint64_t stated_wait_ms(const struct weir_up_call *call, uint32_t i, uint64_t requested)
{
  const struct weir_up_limit *limit = weir_up_meter_limit(call->meter, i);
  if (limit->method != WEIR_UP_BUCKET)
    return (weir_up_meter_wait_us(call->meter, i, call->now_us, requested) + 999) / 1000;
  uint64_t most = limit->burst > 0 ? limit->burst : limit->amount;
  uint64_t excess = weir_up_meter_used(call->meter, i, call->now_us) + requested - most;
  return (uint64_t)((double)excess * (double)limit->window_us / (double)limit->amount / 1000 + 0.5);
}

static void quota(const struct weir_up_call *call, const struct weir_up_cost *cost,
                  uint32_t rejected, struct weir_up_answer *answer)
{
  char message[768], wait[48];
  uint32_t i = 0;
  while ((rejected >> i & 1) == 0)
    i++;
  const struct weir_up_limit *limit = weir_up_meter_limit(call->meter, i);
  bool is_requests = limit->dimension == WEIR_UP_REQUESTS;
  const char *type = is_requests ? "requests" : "tokens";
  uint64_t requested = cost->units[limit->dimension];
  const char *unit = limit->is_day
                         ? (is_requests ? "requests per day (RPD)" : "tokens per day (TPD)")
                         : (is_requests ? "requests per min (RPM)" : "tokens per min (TPM)");
  if (weir_up_meter_wait_us(call->meter, i, call->now_us, requested) == WEIR_UP_NEVER) {
    (void)snprintf(message, sizeof message,
                   "Request too large for %s in organization org-weir on %s: Limit %llu, Requested "
                   "%llu. The input or output tokens must be reduced in order to run successfully. "
                   "Visit https://platform.openai.com/account/rate-limits to learn more.",
                   call->request.model, unit, (ull)limit->amount, (ull)requested);
    put_error(429, message, type, "rate_limit_exceeded", answer);
    return;
  }
  uint64_t wait_ms = stated_wait_ms(call, i, requested);
  (void)snprintf(message, sizeof message,
                 "Rate limit reached for %s in organization org-weir on %s: Limit %llu, Used %llu, "
                 "Requested %llu. Please try again in %s. Visit "
                 "https://platform.openai.com/account/rate-limits to learn more.",
                 call->request.model, unit, (ull)limit->amount, (ull)stated_used(call, i),
                 (ull)requested, duration(wait_ms, wait, sizeof wait));
  put_error(429, message, type, "rate_limit_exceeded", answer);
  weir_up_answer_header(answer, "retry-after-ms", "%llu", (ull)wait_ms);
  weir_up_answer_header(answer, "retry-after", "%llu", (ull)((wait_ms + 999) / 1000));
}

/* --- headers ------------------------------------------------------------------------------- */

static void limit_headers(const struct weir_up_call *call, int i, bool is_requests,
                          struct weir_up_answer *answer)
{
  char text[48];
  if (i < 0)
    return;
  const struct weir_up_limit *limit = weir_up_meter_limit(call->meter, (uint32_t)i);
  uint64_t left = weir_up_meter_left(call->meter, (uint32_t)i, call->now_us);
  uint64_t reset_us = weir_up_meter_reset_us(call->meter, (uint32_t)i, call->now_us);
  weir_up_answer_header(answer,
                        is_requests ? "x-ratelimit-limit-requests" : "x-ratelimit-limit-tokens",
                        "%llu", (ull)limit->amount);
  weir_up_answer_header(
      answer, is_requests ? "x-ratelimit-remaining-requests" : "x-ratelimit-remaining-tokens",
      "%llu", (ull)left);
  weir_up_answer_header(answer,
                        is_requests ? "x-ratelimit-reset-requests" : "x-ratelimit-reset-tokens",
                        "%s", duration((reset_us + 999) / 1000, text, sizeof text));
}

static void headers(const struct weir_up_call *call, struct weir_up_answer *answer)
{
  weir_up_answer_header(answer, "x-request-id", "req_%012llx", (ull)call->id);
  if (call->is_compatible)
    return; /* Google sends none */
  limit_headers(call, weir_up_first_limit(call->meter, WEIR_UP_REQUESTS), true, answer);
  limit_headers(call, weir_up_first_limit(call->meter, WEIR_UP_TOTAL), false, answer);
}

/* --- success ------------------------------------------------------------------------------- */

static void put_usage(const struct weir_up_call *call, struct weir_up_buffer *b)
{
  ull input = call->request.input_tokens, output = call->sent_tokens;
  const char *in = call->is_responses ? "input" : "prompt";
  const char *out = call->is_responses ? "output" : "completion";
  weir_up_add(b,
              "{\"%s_tokens\":%llu,\"%s_tokens\":%llu,\"total_tokens\":%llu,"
              "\"%s_tokens_details\":{\"cached_tokens\":0,\"cache_write_tokens\":0},"
              "\"%s_tokens_details\":{\"reasoning_tokens\":0}}",
              in, input, out, output, input + output, in, out);
}

/* Of a Response the part of its text, and the item that holds it; |text| is NULL before it begins.
 */
static void put_part(const char *text, struct weir_up_buffer *b)
{
  weir_up_add(b, "{\"type\":\"output_text\",\"annotations\":[],\"text\":");
  weir_up_add_json(b, text);
  weir_up_add(b, "}");
}

static void put_item(const struct weir_up_call *call, const char *status, const char *text,
                     struct weir_up_buffer *b)
{
  weir_up_add(b,
              "{\"type\":\"message\",\"id\":\"msg_%012llx\",\"status\":\"%s\","
              "\"role\":\"assistant\",\"content\":[",
              (ull)call->id, status);
  if (text != NULL)
    put_part(text, b);
  weir_up_add(b, "]}");
}

/* A Response object; |usage| once it is complete. */
static void put_response(const struct weir_up_call *call, const char *status, const char *text,
                         bool is_complete, struct weir_up_buffer *b)
{
  weir_up_add(b,
              "{\"id\":\"resp_%012llx\",\"object\":\"response\",\"created_at\":%llu,"
              "\"status\":\"%s\",\"model\":",
              (ull)call->id, (ull)(call->now_us / 1000000), status);
  weir_up_add_json(b, call->request.model);
  if (is_complete && call->is_cut)
    weir_up_add(b, ",\"incomplete_details\":{\"reason\":\"max_output_tokens\"}");
  weir_up_add(b, ",\"output\":[");
  if (text != NULL)
    put_item(call, status, text, b);
  weir_up_add(b, "],\"usage\":");
  if (is_complete)
    put_usage(call, b);
  else
    weir_up_add(b, "null");
  weir_up_add(b, "}");
}

static const char *status_of(const struct weir_up_call *call)
{
  return call->is_cut ? "incomplete" : "completed";
}

static void put_embeddings(const struct weir_up_call *call, struct weir_up_buffer *b)
{
  ull input = call->request.input_tokens;
  /* The same four numbers; base64 is of their little-endian floats. */
  const char *values =
      call->request.is_base64_wanted ? "\"AACAPgAAAL8AAAA+AABAPw==\"" : "[0.25,-0.5,0.125,0.75]";
  weir_up_add(b, "{\"object\":\"list\",\"data\":[");
  for (uint32_t i = 0; i < call->request.texts; i++)
    weir_up_add(b, "%s{\"object\":\"embedding\",\"embedding\":%s,\"index\":%u}", i > 0 ? "," : "",
                values, i);
  weir_up_add(b, "],\"model\":");
  weir_up_add_json(b, call->request.model);
  weir_up_add(b, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}", input, input);
}

static void whole(const struct weir_up_call *call, const char *text, struct weir_up_answer *answer)
{
  struct weir_up_buffer *b = &answer->body;
  answer->status = 200;
  if (call->operation == WEIR_UP_LIST_MODELS) {
    weir_up_add(b, "{\"object\":\"list\",\"data\":[{\"id\":\"gpt-4o-mini\",\"object\":\"model\","
                   "\"created\":1721172741,\"owned_by\":\"system\"}]}");
  } else if (call->operation == WEIR_UP_EMBED) {
    put_embeddings(call, b);
  } else if (call->is_responses) {
    put_response(call, status_of(call), text, true, b);
  } else {
    weir_up_add(b,
                "{\"id\":\"chatcmpl-%012llx\",\"object\":\"chat.completion\",\"created\":%llu,"
                "\"model\":",
                (ull)call->id, (ull)(call->now_us / 1000000));
    weir_up_add_json(b, call->request.model);
    weir_up_add(b, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    weir_up_add_json(b, text);
    weir_up_add(b, ",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"%s\"}],\"usage\":",
                call->is_cut ? "length" : "stop");
    put_usage(call, b);
    weir_up_add(b, "}");
  }
}

/* --- streams ------------------------------------------------------------------------------- */

/* The beginning of a chunk of a chat, up to its choices. */
static void chunk_begin(const struct weir_up_call *call, struct weir_up_buffer *out)
{
  weir_up_add(out,
              "data: {\"id\":\"chatcmpl-%012llx\",\"object\":\"chat.completion.chunk\","
              "\"created\":%llu,\"model\":",
              (ull)call->id, (ull)(call->now_us / 1000000));
  weir_up_add_json(out, call->request.model);
  weir_up_add(out, ",\"choices\":[");
}

/* Its end; with include_usage every chunk but the last says that there is none yet. */
static void chunk_end(const struct weir_up_call *call, struct weir_up_buffer *out)
{
  weir_up_add(out, "]%s}\n\n", call->request.is_usage_wanted ? ",\"usage\":null" : "");
}

/* The beginning of an event of a response: its name and number. */
static void event_begin(struct weir_up_call *call, const char *name, struct weir_up_buffer *out)
{
  weir_up_add(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%u", name, name,
              call->events++);
}

/* The same for an event about the part of its text. */
static void part_event_begin(struct weir_up_call *call, const char *name,
                             struct weir_up_buffer *out)
{
  event_begin(call, name, out);
  weir_up_add(out, ",\"item_id\":\"msg_%012llx\",\"output_index\":0,\"content_index\":0",
              (ull)call->id);
}

static void response_begin(struct weir_up_call *call, struct weir_up_buffer *out)
{
  event_begin(call, "response.created", out);
  weir_up_add(out, ",\"response\":");
  put_response(call, "in_progress", NULL, false, out);
  weir_up_add(out, "}\n\n");
  event_begin(call, "response.output_item.added", out);
  weir_up_add(out, ",\"output_index\":0,\"item\":");
  put_item(call, "in_progress", NULL, out);
  weir_up_add(out, "}\n\n");
  part_event_begin(call, "response.content_part.added", out);
  weir_up_add(out, ",\"part\":");
  put_part("", out);
  weir_up_add(out, "}\n\n");
}

/* The SDKs take the whole text from these, not from the pieces. */
static void response_end(struct weir_up_call *call, struct weir_up_buffer *out)
{
  const char *text = call->text.text;
  part_event_begin(call, "response.output_text.done", out);
  weir_up_add(out, ",\"text\":");
  weir_up_add_json(out, text);
  weir_up_add(out, "}\n\n");
  part_event_begin(call, "response.content_part.done", out);
  weir_up_add(out, ",\"part\":");
  put_part(text, out);
  weir_up_add(out, "}\n\n");
  event_begin(call, "response.output_item.done", out);
  weir_up_add(out, ",\"output_index\":0,\"item\":");
  put_item(call, status_of(call), text, out);
  weir_up_add(out, "}\n\n");
  event_begin(call, call->is_cut ? "response.incomplete" : "response.completed", out);
  weir_up_add(out, ",\"response\":");
  put_response(call, status_of(call), text, true, out);
  weir_up_add(out, "}\n\n");
}

static void begin(struct weir_up_call *call, struct weir_up_buffer *out)
{
  if (call->is_responses) {
    response_begin(call, out);
    return;
  }
  chunk_begin(call, out);
  weir_up_add(out, "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
                   "\"finish_reason\":null}");
  chunk_end(call, out);
}

static void piece(struct weir_up_call *call, const char *text, bool is_last,
                  struct weir_up_buffer *out)
{
  (void)is_last;
  if (call->is_responses) {
    weir_up_add_bytes(&call->text, text, strlen(text));
    part_event_begin(call, "response.output_text.delta", out);
    weir_up_add(out, ",\"delta\":");
    weir_up_add_json(out, text);
    weir_up_add(out, "}\n\n");
    return;
  }
  chunk_begin(call, out);
  weir_up_add(out, "{\"index\":0,\"delta\":{\"content\":");
  weir_up_add_json(out, text);
  weir_up_add(out, "},\"finish_reason\":null}");
  chunk_end(call, out);
}

static void end(struct weir_up_call *call, struct weir_up_buffer *out)
{
  if (call->is_responses) {
    response_end(call, out);
    return;
  }
  chunk_begin(call, out);
  weir_up_add(out, "{\"index\":0,\"delta\":{},\"finish_reason\":\"%s\"}",
              call->is_cut ? "length" : "stop");
  chunk_end(call, out);
  if (call->request.is_usage_wanted) {
    chunk_begin(call, out);
    weir_up_add(out, "],\"usage\":");
    put_usage(call, out);
    weir_up_add(out, "}\n\n");
  }
  weir_up_add(out, "data: [DONE]\n\n");
}

static void fail(struct weir_up_call *call, struct weir_up_buffer *out)
{
  static const char error[] =
      "{\"message\":\"The server had an error while processing your request. Sorry about that!\","
      "\"type\":\"server_error\",\"param\":null,\"code\":\"server_error\"}";
  if (call->is_responses) {
    event_begin(call, "response.failed", out);
    weir_up_add(out,
                ",\"response\":{\"id\":\"resp_%012llx\",\"status\":\"failed\",\"error\":%s}}\n\n",
                (ull)call->id, error);
    return;
  }
  weir_up_add(out, "data: {\"error\":%s}\n\n", error);
}

const struct weir_up_provider weir_up_openai = {
    .name = "openai",
    .route = route,
    .key = key,
    .check = check,
    .cost = cost,
    .token_dimension = WEIR_UP_TOTAL,
    .error = error,
    .quota = quota,
    .whole = whole,
    .headers = headers,
    .begin = begin,
    .piece = piece,
    .end = end,
    .fail = fail,
};

const struct weir_up_provider weir_up_compatible = {
    .name = "gemini",
    .route = route_compatible,
    .key = key,
    .check = check,
    .cost = weir_up_gemini_cost,
    .token_dimension = WEIR_UP_INPUT,
    .error = weir_up_gemini_error,
    .quota = weir_up_gemini_quota,
    .whole = whole,
    .headers = headers,
    .begin = begin,
    .piece = piece,
    .end = end,
    .fail = fail,
};

const struct weir_up_provider weir_up_claude = {
    .name = "anthropic",
    .route = route,
    .key = key,
    .check = check,
    .cost = weir_up_anthropic_cost,
    .token_dimension = WEIR_UP_INPUT,
    .error = weir_up_anthropic_error,
    .quota = weir_up_anthropic_quota,
    .whole = whole,
    .headers = weir_up_anthropic_headers,
    .begin = begin,
    .piece = piece,
    .end = end,
    .fail = fail,
};
