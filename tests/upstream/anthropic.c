/* The Anthropic API: messages and their token count. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "provider.h"

typedef unsigned long long ull;

/* --- requests ------------------------------------------------------------------------------ */

static bool route(const char *method, const char *target, struct weir_up_call *call)
{
  static const char messages[] = "/v1/messages", count[] = "/v1/messages/count_tokens";
  size_t size = strcspn(target, "?");
  if (strncmp(target, messages, sizeof messages - 1) != 0)
    return false;
  bool is_post = strcmp(method, "POST") == 0;
  if (is_post && size == sizeof messages - 1)
    call->operation = WEIR_UP_GENERATE;
  else if (is_post && size == sizeof count - 1 && strncmp(target, count, size) == 0)
    call->operation = WEIR_UP_COUNT_TOKENS;
  return true;
}

static const char *key(const struct weir_http_request *request, char *buffer)
{
  (void)buffer;
  const char *value = weir_http_request_header(request, "x-api-key");
  return value != NULL ? value : weir_up_bearer(request);
}

static enum weir_up_error check(const struct weir_up_call *call)
{
  bool is_counted = call->operation == WEIR_UP_COUNT_TOKENS || call->request.max_tokens > 0;
  bool is_sound = call->request.texts > 0 && call->request.model[0] != '\0' && is_counted;
  return is_sound ? (enum weir_up_error)0 : WEIR_UP_ERROR_BAD_REQUEST;
}

/* Output is charged as it is produced. Nothing here is cached, so all input counts. */
struct weir_up_cost weir_up_anthropic_cost(const struct weir_up_call *call)
{
  struct weir_up_cost cost = {0};
  cost.units[WEIR_UP_REQUESTS] = 1;
  if (call->operation != WEIR_UP_COUNT_TOKENS) {
    cost.units[WEIR_UP_INPUT] = call->request.input_tokens;
    cost.units[WEIR_UP_TOTAL] = call->request.input_tokens + call->request.max_tokens;
  }
  return cost;
}

/* --- errors -------------------------------------------------------------------------------- */

static void put_error(const struct weir_up_call *call, uint32_t status, const char *type,
                      const char *message, const char *code, struct weir_up_answer *answer)
{
  struct weir_up_buffer *b = &answer->body;
  answer->status = status;
  if (call->is_compatible) {
    weir_up_add(b, "{\"error\":{\"code\":\"%s\",\"message\":", type);
    weir_up_add_json(b, message);
    weir_up_add(b, ",\"type\":\"%s\",\"param\":null}}", type);
    return;
  }
  weir_up_add(b, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", type);
  weir_up_add_json(b, message);
  if (code != NULL)
    weir_up_add(b, ",\"details\":{\"error_code\":\"%s\"}", code);
  weir_up_add(b, "},\"request_id\":\"req_%012llx\"}", (ull)call->id);
}

static void error_with_numbers(const struct weir_up_call *call, enum weir_up_error error,
                               struct weir_up_answer *answer)
{
  char message[768];
  if (error == WEIR_UP_ERROR_CONTEXT) {
    (void)snprintf(message, sizeof message, "prompt is too long: %llu tokens > %llu maximum",
                   (ull)call->request.input_tokens, (ull)call->context_max);
    put_error(call, 400, "invalid_request_error", message, NULL, answer);
  } else if (error == WEIR_UP_ERROR_NO_MODEL || error == WEIR_UP_ERROR_LIMIT_ZERO) {
    (void)snprintf(message, sizeof message, "model: %s", call->request.model);
    put_error(call, 404, "not_found_error", message, NULL, answer);
  } else {
    uint64_t next_us = call->minute_us - call->now_us % call->minute_us;
    (void)snprintf(
        message, sizeof message,
        "This request would exceed your organization's maximum usage increase rate for "
        "input tokens per minute (org: weir, model: %s). Your current limit is 58,276 "
        "input tokens per minute, and will increase to 68,276 at the next minute "
        "boundary. Please scale up your input tokens usage more gradually to stay within "
        "the acceleration limit. For details, refer to: "
        "https://docs.claude.com/en/api/rate-limits.",
        call->request.model);
    put_error(call, 429, "rate_limit_error", message, "ramp_limit_exceeded", answer);
    weir_up_answer_header(answer, "retry-after", "%llu", (ull)((next_us + 999999) / 1000000));
  }
}

void weir_up_anthropic_error(const struct weir_up_call *call, enum weir_up_error error,
                             struct weir_up_answer *answer)
{
  static const char auth[] = "authentication_error", overloaded[] = "overloaded_error";
  switch (error) {
  case WEIR_UP_ERROR_BAD_REQUEST:
    put_error(call, 400, "invalid_request_error",
              "model, max_tokens and messages with content: Field required", NULL, answer);
    return;
  case WEIR_UP_ERROR_NO_KEY:
    put_error(call, 401, auth, "x-api-key header is required", NULL, answer);
    return;
  case WEIR_UP_ERROR_BAD_KEY:
    put_error(call, 401, auth, "invalid x-api-key", NULL, answer);
    return;
  case WEIR_UP_ERROR_LEAKED_KEY:
    put_error(call, 403, "permission_error", "This API key has been disabled.", NULL, answer);
    return;
  case WEIR_UP_ERROR_NO_PATH:
    put_error(call, 404, "not_found_error", "Not Found", NULL, answer);
    return;
  case WEIR_UP_ERROR_BILLING:
    put_error(call, 402, "billing_error", "Your credit balance is too low to access the API.", NULL,
              answer);
    return;
  case WEIR_UP_ERROR_DAY:
    put_error(call, 429, "rate_limit_error",
              "You have reached your organization's spend limit for this month.",
              "enforced_spend_limit_reached", answer);
    return;
  case WEIR_UP_ERROR_CAPACITY:
    put_error(call, 429, "rate_limit_error",
              "This request could not be served at this time. Please try again later.", NULL,
              answer);
    return;
  case WEIR_UP_ERROR_INTERNAL:
    put_error(call, 500, "api_error", "Internal server error", NULL, answer);
    return;
  case WEIR_UP_ERROR_OVERLOADED:
    put_error(call, 503, overloaded, "Overloaded", NULL, answer);
    return;
  case WEIR_UP_ERROR_OVERLOADED_529:
    put_error(call, 529, overloaded, "Overloaded", NULL, answer);
    return;
  case WEIR_UP_ERROR_DEADLINE:
    put_error(call, 504, "timeout_error", "The request timed out.", NULL, answer);
    return;
  case WEIR_UP_ERROR_CONTEXT:
  case WEIR_UP_ERROR_NO_MODEL:
  case WEIR_UP_ERROR_LIMIT_ZERO:
  case WEIR_UP_ERROR_RAMP:
    error_with_numbers(call, error, answer);
  }
}

void weir_up_anthropic_quota(const struct weir_up_call *call, const struct weir_up_cost *cost,
                             uint32_t rejected, struct weir_up_answer *answer)
{
  uint64_t wait_us = 0;
  bool is_requests = false;
  for (uint32_t i = 0; i < weir_up_meter_count(call->meter); i++) {
    if ((rejected >> i & 1) == 0)
      continue;
    const struct weir_up_limit *limit = weir_up_meter_limit(call->meter, i);
    uint64_t units = cost->units[limit->dimension];
    if (limit->dimension == WEIR_UP_OUTPUT && units == 0)
      units = 1; /* as admission asks */
    uint64_t own_us = weir_up_meter_wait_us(call->meter, i, call->now_us, units);
    own_us = own_us == WEIR_UP_NEVER ? limit->window_us : own_us;
    wait_us = own_us > wait_us ? own_us : wait_us;
    is_requests = is_requests || limit->dimension == WEIR_UP_REQUESTS;
  }
  put_error(call, 429, "rate_limit_error",
            is_requests ? "Number of requests has exceeded your per-minute rate limit"
                        : "Number of request tokens has exceeded your per-minute rate limit",
            NULL, answer);
  weir_up_answer_header(answer, "retry-after", "%llu", (ull)((wait_us + 999999) / 1000000));
}

/* --- headers ------------------------------------------------------------------------------- */

struct names {
  const char *limit, *remaining, *reset;
};

#define NAMES(what)                                                                                \
  {                                                                                                \
    "anthropic-ratelimit-" what "-limit", "anthropic-ratelimit-" what "-remaining",                \
        "anthropic-ratelimit-" what "-reset"                                                       \
  }

/* Tokens are rounded to the nearest thousand; reset is when the limit is unused again. */
static void limit_headers(const struct weir_up_call *call, int i, const struct names *names,
                          struct weir_up_answer *answer)
{
  char reset[32];
  struct tm tm;
  if (i < 0)
    return;
  const struct weir_up_limit *limit = weir_up_meter_limit(call->meter, (uint32_t)i);
  uint64_t left = weir_up_meter_left(call->meter, (uint32_t)i, call->now_us);
  uint64_t reset_us = weir_up_meter_reset_us(call->meter, (uint32_t)i, call->now_us);
  uint64_t at_us = call->now_us + (reset_us == WEIR_UP_NEVER ? 0 : reset_us);
  time_t at = (time_t)((at_us + 999999) / 1000000); /* not before it is true */
  if (limit->dimension != WEIR_UP_REQUESTS)
    left = (left + 500) / 1000 * 1000;
  (void)strftime(reset, sizeof reset, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
  weir_up_answer_header(answer, names->limit, "%llu", (ull)limit->amount);
  weir_up_answer_header(answer, names->remaining, "%llu", (ull)left);
  weir_up_answer_header(answer, names->reset, "%s", reset);
}

void weir_up_anthropic_headers(const struct weir_up_call *call, struct weir_up_answer *answer)
{
  static const struct names requests = NAMES("requests"), tokens = NAMES("tokens"),
                            input = NAMES("input-tokens"), output = NAMES("output-tokens");
  int in = weir_up_first_limit(call->meter, WEIR_UP_INPUT);
  int total = weir_up_first_limit(call->meter, WEIR_UP_TOTAL);
  weir_up_answer_header(answer, "request-id", "req_%012llx", (ull)call->id);
  limit_headers(call, weir_up_first_limit(call->meter, WEIR_UP_REQUESTS), &requests, answer);
  limit_headers(call, in, &input, answer);
  limit_headers(call, weir_up_first_limit(call->meter, WEIR_UP_OUTPUT), &output, answer);
  limit_headers(call, total >= 0 ? total : in, &tokens, answer);
}

/* --- success ------------------------------------------------------------------------------- */

static void put_usage(const struct weir_up_call *call, uint64_t output, struct weir_up_buffer *b)
{
  weir_up_add(b,
              "{\"input_tokens\":%llu,\"cache_creation_input_tokens\":0,"
              "\"cache_read_input_tokens\":0,\"output_tokens\":%llu,"
              "\"output_tokens_details\":{\"thinking_tokens\":0},\"service_tier\":\"standard\"}",
              (ull)call->request.input_tokens, (ull)output);
}

/* A message, up to its content. */
static void put_message(const struct weir_up_call *call, struct weir_up_buffer *b)
{
  weir_up_add(b, "{\"id\":\"msg_%012llx\",\"type\":\"message\",\"role\":\"assistant\",\"model\":",
              (ull)call->id);
  weir_up_add_json(b, call->request.model);
  weir_up_add(b, ",\"content\":[");
}

static const char *reason_of(const struct weir_up_call *call)
{
  return call->is_cut ? "max_tokens" : "end_turn";
}

static void whole(const struct weir_up_call *call, const char *text, struct weir_up_answer *answer)
{
  struct weir_up_buffer *b = &answer->body;
  answer->status = 200;
  if (call->operation == WEIR_UP_COUNT_TOKENS) {
    weir_up_add(b, "{\"input_tokens\":%llu}", (ull)call->request.input_tokens);
    return;
  }
  put_message(call, b);
  weir_up_add(b, "{\"type\":\"text\",\"text\":");
  weir_up_add_json(b, text);
  weir_up_add(b, "}],\"stop_reason\":\"%s\",\"stop_sequence\":null,\"usage\":", reason_of(call));
  put_usage(call, call->sent_tokens, b);
  weir_up_add(b, "}");
}

static void begin(struct weir_up_call *call, struct weir_up_buffer *out)
{
  weir_up_add(out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
  put_message(call, out);
  weir_up_add(out, "],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
  put_usage(call, 1, out);
  weir_up_add(out, "}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\","
                   "\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
                   "event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

static void piece(struct weir_up_call *call, const char *text, bool is_last,
                  struct weir_up_buffer *out)
{
  (void)call;
  (void)is_last;
  weir_up_add(out, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                   "\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":");
  weir_up_add_json(out, text);
  weir_up_add(out, "}}\n\n");
}

static void end(struct weir_up_call *call, struct weir_up_buffer *out)
{
  weir_up_add(out,
              "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
              "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"
              "\"stop_reason\":\"%s\",\"stop_sequence\":null},\"usage\":",
              reason_of(call));
  put_usage(call, call->sent_tokens, out);
  weir_up_add(out, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

static void fail(struct weir_up_call *call, struct weir_up_buffer *out)
{
  (void)call;
  weir_up_add(out, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
                   "\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n");
}

const struct weir_up_provider weir_up_anthropic = {
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
