/* The Gemini API: generativelanguage.googleapis.com. */
#include <stdio.h>
#include <string.h>

#include "provider.h"

#define METRIC "generativelanguage.googleapis.com/"
#define TYPE   "type.googleapis.com/google.rpc."
#define QUOTA_TEXT                                                                                 \
  "You exceeded your current quota, please check your plan and billing details. For more "         \
  "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. To "     \
  "monitor your current usage, head to: https://ai.dev/rate-limit. "

/* --- requests ------------------------------------------------------------------------------ */

static bool skip(const char **at, const char *text)
{
  size_t size = strlen(text);
  if (strncmp(*at, text, size) != 0)
    return false;
  *at += size;
  return true;
}

static enum weir_up_operation operation_of(const char *verb, size_t size, const char *query)
{
  static const struct {
    const char *verb;
    enum weir_up_operation operation;
  } verbs[] = {
      {"generateContent", WEIR_UP_GENERATE},      {"streamGenerateContent", WEIR_UP_STREAM},
      {"countTokens", WEIR_UP_COUNT_TOKENS},      {"embedContent", WEIR_UP_EMBED},
      {"batchEmbedContents", WEIR_UP_EMBED_MANY},
  };
  for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
    if (strlen(verbs[i].verb) == size && strncmp(verbs[i].verb, verb, size) == 0) {
      /* Without alt=sse the real one streams a JSON array, which no SDK asks for. */
      bool is_array = verbs[i].operation == WEIR_UP_STREAM && strstr(query, "alt=sse") == NULL;
      return is_array ? (enum weir_up_operation)0 : verbs[i].operation;
    }
  return (enum weir_up_operation)0;
}

static bool route(const char *method, const char *target, struct weir_up_call *call)
{
  const char *at = target;
  if (skip(&at, "/v1beta/"))
    strcpy(call->version, "v1beta");
  else if (skip(&at, "/v1/"))
    strcpy(call->version, "v1");
  else
    return false;
  const char *query = strchr(at, '?');
  const char *end = query != NULL ? query : at + strlen(at);
  if (!skip(&at, "models"))
    return strcmp(call->version, "v1beta") == 0;
  bool is_list = at == end;
  if (is_list && strcmp(call->version, "v1beta") != 0)
    return false; /* GET /v1/models is OpenAI's */
  if (is_list)
    call->operation = strcmp(method, "GET") == 0 ? WEIR_UP_LIST_MODELS : call->operation;
  const char *colon = memchr(at, ':', (size_t)(end - at));
  if (at[0] != '/' || colon == NULL || colon - at - 1 > WEIR_UP_MODEL_MAX)
    return is_list || strcmp(call->version, "v1beta") == 0;
  memcpy(call->request.model, at + 1, (size_t)(colon - at - 1));
  call->request.model[colon - at - 1] = '\0';
  if (strcmp(method, "POST") == 0)
    call->operation = operation_of(colon + 1, (size_t)(end - colon - 1), end);
  return true;
}

static const char *key(const struct weir_http_request *request, char *buffer)
{
  const char *value = weir_http_request_header(request, "x-goog-api-key");
  if (value != NULL)
    return value;
  const char *query = strchr(request->target, '?');
  for (const char *at = query; at != NULL; at = strchr(at + 1, '&'))
    if (strncmp(at + 1, "key=", 4) == 0) {
      (void)snprintf(buffer, 256, "%.*s", (int)strcspn(at + 5, "&"), at + 5);
      return buffer;
    }
  return "";
}

static enum weir_up_error check(const struct weir_up_call *call)
{
  return call->request.texts == 0 ? WEIR_UP_ERROR_BAD_REQUEST : (enum weir_up_error)0;
}

struct weir_up_cost weir_up_gemini_cost(const struct weir_up_call *call)
{
  struct weir_up_cost cost = {0};
  cost.units[WEIR_UP_REQUESTS] = 1;
  if (call->operation != WEIR_UP_COUNT_TOKENS) {
    cost.units[WEIR_UP_INPUT] = call->request.input_tokens;
    cost.units[WEIR_UP_TOTAL] = call->request.input_tokens + call->output_tokens;
  }
  return cost;
}

/* --- errors -------------------------------------------------------------------------------- */

struct plain {
  enum weir_up_error error;
  uint32_t code;
  const char *message, *status, *details;
};

static const struct plain plains[] = {
    {WEIR_UP_ERROR_BAD_REQUEST, 400,
     "* GenerateContentRequest.contents: contents is not specified\n", "INVALID_ARGUMENT", NULL},
    {WEIR_UP_ERROR_NO_KEY, 403,
     "Method doesn't allow unregistered callers (callers without established identity). Please use "
     "API Key or other form of API consumer identity to call this API.",
     "PERMISSION_DENIED", NULL},
    {WEIR_UP_ERROR_BAD_KEY, 400, "API key not valid. Please pass a valid API key.",
     "INVALID_ARGUMENT",
     "[{\"@type\":\"" TYPE
     "ErrorInfo\",\"reason\":\"API_KEY_INVALID\",\"domain\":\"googleapis.com\","
     "\"metadata\":{\"service\":\"generativelanguage.googleapis.com\"}},"
     "{\"@type\":\"" TYPE "LocalizedMessage\",\"locale\":\"en-US\","
     "\"message\":\"API key not valid. Please pass a valid API key.\"}]"},
    {WEIR_UP_ERROR_LEAKED_KEY, 403,
     "Your API key was reported as leaked. Please use another API key.", "PERMISSION_DENIED", NULL},
    {WEIR_UP_ERROR_BILLING, 402,
     "Your prepayment credits are depleted. Please add credits to continue.", "RESOURCE_EXHAUSTED",
     NULL},
    {WEIR_UP_ERROR_CAPACITY, 429, "Resource has been exhausted (e.g. check quota).",
     "RESOURCE_EXHAUSTED", NULL},
    {WEIR_UP_ERROR_RAMP, 429, "Resource has been exhausted (e.g. check quota).",
     "RESOURCE_EXHAUSTED", NULL},
    {WEIR_UP_ERROR_INTERNAL, 500,
     "An internal error has occurred. Please retry or report in "
     "https://developers.generativeai.google/guide/troubleshooting",
     "INTERNAL", NULL},
    {WEIR_UP_ERROR_OVERLOADED, 503,
     "This model is currently experiencing high demand. Spikes in demand are usually temporary. "
     "Please try again later.",
     "UNAVAILABLE", NULL},
    {WEIR_UP_ERROR_OVERLOADED_529, 503, "The model is overloaded. Please try again later.",
     "UNAVAILABLE", NULL},
    {WEIR_UP_ERROR_DEADLINE, 504, "Deadline expired before operation could complete.",
     "DEADLINE_EXCEEDED", NULL},
};

static void put_error(const struct weir_up_call *call, uint32_t code, const char *message,
                      const char *status, const char *details, struct weir_up_answer *answer)
{
  struct weir_up_buffer *b = &answer->body;
  answer->status = code;
  weir_up_add(b, "%s{\"error\":{\"code\":%u,\"message\":", call->is_compatible ? "[" : "", code);
  weir_up_add_json(b, message);
  weir_up_add(b, ",\"status\":\"%s\"", status);
  if (details != NULL) {
    weir_up_add(b, ",\"details\":");
    weir_up_add_bytes(b, details, strlen(details));
  }
  weir_up_add(b, "}}%s", call->is_compatible ? "]" : "");
}

/* The quota's metric, and its id in |ret_id|, as Google names them. */
static const char *quota_name(const struct weir_up_limit *limit, bool is_free, const char **ret_id)
{
  bool is_requests = limit->dimension == WEIR_UP_REQUESTS;
  if (is_requests && is_free) {
    *ret_id = limit->is_day ? "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
                            : "GenerateRequestsPerMinutePerProjectPerModel-FreeTier";
    return METRIC "generate_content_free_tier_requests";
  }
  if (is_requests) {
    *ret_id = limit->is_day ? "GenerateRequestsPerDayPerProjectPerModel"
                            : "GenerateRequestsPerMinutePerProjectPerModel";
    return limit->is_day ? METRIC "generate_requests_per_model_per_day"
                         : METRIC "generate_requests_per_model";
  }
  if (is_free) {
    *ret_id = limit->is_day ? "GenerateContentInputTokensPerModelPerDay-FreeTier"
                            : "GenerateContentInputTokensPerModelPerMinute-FreeTier";
    return METRIC "generate_content_free_tier_input_token_count";
  }
  *ret_id = limit->is_day ? "GenerateContentPaidTierInputTokensPerModelPerDay"
                          : "GenerateContentPaidTierInputTokensPerModelPerMinute";
  return METRIC "generate_content_paid_tier_input_token_count";
}

struct violation {
  const struct weir_up_limit *limit;
  uint64_t wait_us;
};

static void put_quota(const struct weir_up_call *call, const struct violation *violations,
                      uint32_t count, struct weir_up_answer *answer)
{
  struct weir_up_buffer message = {0}, details = {0};
  uint64_t wait_us = 0;
  weir_up_add(&message, "%s", QUOTA_TEXT);
  weir_up_add(&details,
              "[{\"@type\":\"" TYPE "Help\",\"links\":[{\"description\":\"Learn more about Gemini "
              "API quotas\",\"url\":\"https://ai.google.dev/gemini-api/docs/rate-limits\"}]},"
              "{\"@type\":\"" TYPE "QuotaFailure\",\"violations\":[");
  for (uint32_t i = 0; i < count; i++) {
    const char *id;
    const char *metric = quota_name(violations[i].limit, call->is_free_tier, &id);
    unsigned long long amount = violations[i].limit->amount;
    weir_up_add(&message, "\n* Quota exceeded for metric: %s, limit: %llu, model: %s", metric,
                amount, call->request.model);
    weir_up_add(&details,
                "%s{\"quotaMetric\":\"%s\",\"quotaId\":\"%s\",\"quotaDimensions\":{"
                "\"location\":\"global\",\"model\":",
                i > 0 ? "," : "", metric, id);
    weir_up_add_json(&details, call->request.model);
    weir_up_add(&details, "},\"quotaValue\":\"%llu\"}", amount);
    wait_us = violations[i].wait_us > wait_us ? violations[i].wait_us : wait_us;
  }
  weir_up_add(&message, "\nPlease retry in %llu.%09llus.", (unsigned long long)(wait_us / 1000000),
              (unsigned long long)(wait_us % 1000000 * 1000));
  weir_up_add(&details, "]},{\"@type\":\"" TYPE "RetryInfo\",\"retryDelay\":\"%llus\"}]",
              (unsigned long long)(wait_us / 1000000));
  put_error(call, 429, message.text, "RESOURCE_EXHAUSTED", details.text, answer);
  weir_up_buffer_free(&message);
  weir_up_buffer_free(&details);
}

/* The real one points at the next minute whatever the quota's period; a rolling limit's own wait is
 * told where there is one. */
void weir_up_gemini_quota(const struct weir_up_call *call, const struct weir_up_cost *cost,
                          uint32_t rejected, struct weir_up_answer *answer)
{
  struct violation violations[WEIR_UP_LIMITS_MAX];
  uint32_t count = 0;
  for (uint32_t i = 0; i < weir_up_meter_count(call->meter); i++) {
    if ((rejected >> i & 1) == 0)
      continue;
    const struct weir_up_limit *limit = weir_up_meter_limit(call->meter, i);
    uint64_t units = cost->units[limit->dimension];
    uint64_t wait_us = weir_up_meter_wait_us(call->meter, i, call->now_us, units);
    if (limit->is_day || wait_us == WEIR_UP_NEVER)
      wait_us = call->minute_us - call->now_us % call->minute_us;
    violations[count++] = (struct violation){limit, wait_us};
  }
  put_quota(call, violations, count, answer);
}

void weir_up_gemini_error(const struct weir_up_call *call, enum weir_up_error error,
                          struct weir_up_answer *answer)
{
  char message[512];
  uint64_t next_us = call->minute_us - call->now_us % call->minute_us;
  struct weir_up_limit limit = {.dimension = WEIR_UP_REQUESTS};
  switch (error) {
  case WEIR_UP_ERROR_LIMIT_ZERO:
    put_quota(call, &(struct violation){&limit, next_us}, 1, answer);
    return;
  case WEIR_UP_ERROR_DAY:
    limit.is_day = true;
    limit.amount = 20;
    put_quota(call, &(struct violation){&limit, 36429760}, 1, answer);
    return;
  case WEIR_UP_ERROR_CONTEXT:
    (void)snprintf(message, sizeof message,
                   "The input token count exceeds the maximum number of tokens allowed (%llu).",
                   (unsigned long long)call->context_max);
    put_error(call, 400, message, "INVALID_ARGUMENT", NULL, answer);
    return;
  case WEIR_UP_ERROR_NO_MODEL:
  case WEIR_UP_ERROR_NO_PATH:
    (void)snprintf(message, sizeof message,
                   "models/%s is not found for API version %s, or is not supported for "
                   "generateContent. Call ListModels to see the list of available models and their "
                   "supported methods.",
                   call->request.model, call->version);
    put_error(call, 404, message, "NOT_FOUND", NULL, answer);
    return;
  case WEIR_UP_ERROR_BAD_REQUEST:
  case WEIR_UP_ERROR_NO_KEY:
  case WEIR_UP_ERROR_BAD_KEY:
  case WEIR_UP_ERROR_LEAKED_KEY:
  case WEIR_UP_ERROR_BILLING:
  case WEIR_UP_ERROR_CAPACITY:
  case WEIR_UP_ERROR_RAMP:
  case WEIR_UP_ERROR_INTERNAL:
  case WEIR_UP_ERROR_OVERLOADED:
  case WEIR_UP_ERROR_OVERLOADED_529:
  case WEIR_UP_ERROR_DEADLINE:
    break;
  }
  for (size_t i = 0; i < sizeof plains / sizeof plains[0]; i++)
    if (plains[i].error == error)
      put_error(call, plains[i].code, plains[i].message, plains[i].status, plains[i].details,
                answer);
}

/* --- success ------------------------------------------------------------------------------- */

static void put_usage(const struct weir_up_call *call, uint64_t output, struct weir_up_buffer *b)
{
  unsigned long long input = call->request.input_tokens;
  weir_up_add(b, "\"usageMetadata\":{\"promptTokenCount\":%llu,", input);
  if (!call->is_blocked)
    weir_up_add(b, "\"candidatesTokenCount\":%llu,", (unsigned long long)output);
  weir_up_add(b,
              "\"totalTokenCount\":%llu,\"promptTokensDetails\":[{\"modality\":\"TEXT\","
              "\"tokenCount\":%llu}]},\"modelVersion\":",
              input + (call->is_blocked ? 0 : output), input);
  weir_up_add_json(b, call->request.model);
  weir_up_add(b, ",\"responseId\":\"r%012llx\"}", (unsigned long long)call->id);
}

/* One GenerateContentResponse; |reason| is NULL before the last of a stream. */
static void put_response(const struct weir_up_call *call, const char *text, const char *reason,
                         uint64_t output, struct weir_up_buffer *b)
{
  if (call->is_blocked) {
    weir_up_add(b, "{\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"},");
  } else {
    weir_up_add(b, "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":");
    weir_up_add_json(b, text);
    weir_up_add(b, "}]},");
    if (reason != NULL)
      weir_up_add(b, "\"finishReason\":\"%s\",", reason);
    weir_up_add(b, "\"index\":0}],");
  }
  put_usage(call, output, b);
}

static const char *reason_of(const struct weir_up_call *call)
{
  return call->is_cut ? "MAX_TOKENS" : "STOP";
}

static void whole(const struct weir_up_call *call, const char *text, struct weir_up_answer *answer)
{
  struct weir_up_buffer *b = &answer->body;
  unsigned long long input = call->request.input_tokens;
  answer->status = 200;
  switch (call->operation) {
  case WEIR_UP_COUNT_TOKENS:
    weir_up_add(b,
                "{\"totalTokens\":%llu,\"promptTokensDetails\":[{\"modality\":\"TEXT\","
                "\"tokenCount\":%llu}]}",
                input, input);
    return;
  case WEIR_UP_EMBED:
    weir_up_add(b,
                "{\"embedding\":{\"values\":[0.25,-0.5,0.125,0.75]},"
                "\"usageMetadata\":{\"promptTokenCount\":%llu}}",
                input);
    return;
  case WEIR_UP_EMBED_MANY:
    weir_up_add(b, "{\"embeddings\":[");
    for (uint32_t i = 0; i < call->request.texts; i++)
      weir_up_add(b, "%s{\"values\":[0.25,-0.5,0.125,0.75]}", i > 0 ? "," : "");
    weir_up_add(b, "],\"usageMetadata\":{\"promptTokenCount\":%llu}}", input);
    return;
  case WEIR_UP_LIST_MODELS:
    weir_up_add(b,
                "{\"models\":[{\"name\":\"models/gemini-2.5-flash\",\"inputTokenLimit\":%llu,"
                "\"supportedGenerationMethods\":[\"generateContent\",\"countTokens\"]}]}",
                (unsigned long long)call->context_max);
    return;
  case WEIR_UP_GENERATE:
  case WEIR_UP_STREAM:
    put_response(call, text, reason_of(call), call->output_tokens, b);
  }
}

static void headers(const struct weir_up_call *call, struct weir_up_answer *answer)
{
  (void)call;
  weir_up_answer_header(answer, "x-gemini-service-tier", "standard");
}

static void begin(struct weir_up_call *call, struct weir_up_buffer *out)
{
  (void)call;
  (void)out;
}

static void piece(struct weir_up_call *call, const char *text, bool is_last,
                  struct weir_up_buffer *out)
{
  weir_up_add(out, "data: ");
  put_response(call, text, is_last ? reason_of(call) : NULL, call->sent_tokens, out);
  weir_up_add(out, "\r\n\r\n");
}

static void end(struct weir_up_call *call, struct weir_up_buffer *out)
{
  (void)call;
  (void)out;
}

static void fail(struct weir_up_call *call, struct weir_up_buffer *out)
{
  (void)call;
  weir_up_add(out, "data: {\"error\":{\"code\":500,\"message\":\"An internal error has occurred. "
                   "Please retry or report in https://developers.generativeai.google/guide/"
                   "troubleshooting\",\"status\":\"INTERNAL\"}}\r\n\r\n");
}

const struct weir_up_provider weir_up_gemini = {
    .name = "gemini",
    .route = route,
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
