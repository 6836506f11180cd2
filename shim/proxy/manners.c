#include "manners.h"

#include <weir/text.h>

#include <string.h>

#define TENANT_MAX 31

/* ---- what a request wishes ---- */

static bool is_printable(const char *text)
{
  for (; *text != '\0'; text++)
    if (*text < 0x20 || *text > 0x7e)
      return false;
  return true;
}

/* Up to |end| of |value|; false when it does not fit or is not printable. */
static bool word_take(const char *value, size_t size, char ret_word[WEIR_WISH_SIZE])
{
  if (size >= WEIR_WISH_SIZE || !is_printable(value))
    return false;
  memcpy(ret_word, value, size);
  ret_word[size] = '\0';
  return true;
}

static bool class_take(const char *value, struct weir_wishes *w)
{
  if (weir_text_is(value, "online"))
    w->work_class = WEIR_CLASS_ONLINE;
  else if (weir_text_is(value, "batch"))
    w->work_class = WEIR_CLASS_BATCH;
  else
    return false;
  return true;
}

static bool deadline_take(const char *value, struct weir_wishes *w)
{
  return weir_text_decimal(value, 1, &w->deadline_ms) && w->deadline_ms > 0 &&
         w->deadline_ms <= WEIR_WAIT_MAX_MS;
}

static bool wish_take(const char *name, const char *value, struct weir_wishes *w)
{
  uint64_t count;

  if (weir_text_is(name, "x-weir-class"))
    return class_take(value, w);
  if (weir_text_is(name, "x-weir-deadline-ms"))
    return deadline_take(value, w);
  if (weir_text_is(name, "x-weir-route"))
    return word_take(value, strlen(value), w->route);
  if (weir_text_is(name, "x-weir-tenant"))
    return strlen(value) <= TENANT_MAX && word_take(value, strlen(value), w->tenant);
  if (weir_text_is(name, "x-weir-tag"))
    return word_take(value, strlen(value), w->tag);
  /* Other programs' headers wish what they can; what is odd in them is no error. */
  if (weir_text_is(name, "x-litellm-tags") && w->tag[0] == '\0')
    (void)word_take(value, strcspn(value, ","), w->tag);
  if (weir_text_is(name, "x-stainless-retry-count"))
    w->attempts = !weir_text_count(value, &count) ? 0 : count < 100 ? (uint32_t)count : 100;
  return true;
}

const char *weir_wishes_read(const struct weir_header *headers, size_t count,
                             struct weir_wishes *ret_wishes)
{
  struct weir_wishes w = {.work_class = WEIR_CLASS_ONLINE};

  for (size_t i = 0; i < count; i++)
    if (!wish_take(headers[i].name, headers[i].value, &w))
      return headers[i].name;
  *ret_wishes = w;
  return NULL;
}

/* ---- rejections ---- */

static void text_set(struct weir_rejection *r, const char *text)
{
  struct weir_put put;

  weir_put_init(&put, r->text, sizeof(r->text));
  weir_put_text(&put, text);
  if (put.is_cut) {
    put.is_cut = false;
    weir_put_bytes(&put, text, sizeof(r->text) - 1);
  }
}

void weir_rejection_make(uint32_t status, const char *text, struct weir_rejection *ret_rejection)
{
  struct weir_rejection r = {.status = status};

  text_set(&r, text);
  *ret_rejection = r;
}

void weir_rejection_no_room(struct weir_rejection *ret_rejection)
{
  weir_rejection_make(503, "weir: there is no room for the request now, in memory or on disk",
                      ret_rejection);
  ret_rejection->is_retried = true;
  ret_rejection->retry_ms = 1000;
}

/* Again after |wait_ms| and up to half as long again, or up to the longest wait; not at all where
 * no SDK would wait so long. Near the longest some come earlier, to queue once more: a quarter of
 * the wait is spread over at least, since what is refused at once shall not come back at once. */
static void retry_set(struct weir_rejection *r, uint64_t wait_ms, struct weir_rng *rng)
{
  uint64_t last, first;

  if (wait_ms > WEIR_RETRY_MS_MAX)
    return;
  last = wait_ms + wait_ms / 2 + 500;
  last = last < WEIR_RETRY_MS_MAX ? last : WEIR_RETRY_MS_MAX;
  first = last - wait_ms / 4 < wait_ms ? last - wait_ms / 4 : wait_ms;
  r->is_retried = true;
  r->retry_ms = first + weir_rng_below(rng, last - first + 1);
}

static uint32_t denial_status(enum weir_denial why)
{
  switch (why) {
  case WEIR_DENIAL_NO_POOL:
    return 404;
  case WEIR_DENIAL_TOO_LARGE:
    return 413; /* outside of what any SDK tries again */
  case WEIR_DENIAL_DEADLINE:
  case WEIR_DENIAL_QUEUE_FULL:
    return 429;
  case WEIR_DENIAL_FINISHED:
  case WEIR_DENIAL_CLOSED:
  case WEIR_DENIAL_BUSY:
  case WEIR_DENIAL_OPEN:
  case WEIR_DENIAL_RETRIES:
  case WEIR_DENIAL_MAX:
    break;
  }
  return 503;
}

static bool is_denial_passing(enum weir_denial why)
{
  return why == WEIR_DENIAL_DEADLINE || why == WEIR_DENIAL_QUEUE_FULL || why == WEIR_DENIAL_OPEN;
}

void weir_rejection_of_lease(int err, const struct weir_denied *denied, struct weir_rng *rng,
                             struct weir_rejection *ret_rejection)
{
  char text[200];

  switch (err) {
  case WEIR_EDENIED:
    weir_rejection_make(denial_status(denied->why), weir_denial_text(denied, text, sizeof(text)),
                        ret_rejection);
    if (is_denial_passing(denied->why))
      retry_set(ret_rejection, denied->retry_in_ms, rng);
    return;
  case WEIR_ETIMEOUT:
    /* It has waited as long as it may: once more would only wait again. */
    weir_rejection_make(429, "weir: the project's quota had no room before the deadline",
                        ret_rejection);
    return;
  case WEIR_EUNREACHABLE:
    weir_rejection_make(503, "weir: the coordinator does not answer", ret_rejection);
    retry_set(ret_rejection, 1000, rng);
    return;
  case WEIR_EFULL:
    weir_rejection_make(503, "weir: this proxy holds too many requests", ret_rejection);
    retry_set(ret_rejection, 1000, rng);
    return;
  case WEIR_ECANCELLED:
  case WEIR_ECLOSED:
    weir_rejection_make(503, "weir: this proxy is shutting down", ret_rejection);
    retry_set(ret_rejection, 200, rng);
    return;
  default:
    weir_rejection_make(500, weir_error_text(err), ret_rejection);
  }
}

/* ---- the providers' shapes ---- */

struct shape {
  uint32_t status;
  const char *openai_type, *openai_code, *anthropic, *gemini;
};

static const struct shape *shape_of(uint32_t status)
{
  static const struct shape shapes[] = {
      {400, "invalid_request_error", "invalid_request", "invalid_request_error",
       "INVALID_ARGUMENT"},
      {401, "invalid_request_error", "invalid_api_key", "authentication_error", "UNAUTHENTICATED"},
      {403, "invalid_request_error", "forbidden", "permission_error", "PERMISSION_DENIED"},
      {404, "invalid_request_error", "model_not_found", "not_found_error", "NOT_FOUND"},
      {413, "invalid_request_error", "request_too_large", "request_too_large", "INVALID_ARGUMENT"},
      {429, "requests", "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"},
      {502, "server_error", "bad_gateway", "api_error", "UNAVAILABLE"},
      {503, "server_error", "service_unavailable", "overloaded_error", "UNAVAILABLE"},
      {504, "server_error", "timeout", "timeout_error", "DEADLINE_EXCEEDED"},
      {0, "server_error", "server_error", "api_error", "INTERNAL"}};
  const struct shape *s = shapes;

  while (s->status != status && s->status != 0)
    s++;
  return s;
}

static void openai_put(struct weir_put *put, const struct weir_rejection *r)
{
  const struct shape *s = shape_of(r->status);

  weir_put_text(put, "{\"error\":{\"message\":\"");
  weir_put_json(put, r->text);
  weir_put_text(put, "\",\"type\":\"");
  weir_put_text(put, s->openai_type);
  weir_put_text(put, "\",\"param\":null,\"code\":\"");
  weir_put_text(put, s->openai_code);
  weir_put_text(put, "\"}}");
}

static void anthropic_put(struct weir_put *put, const struct weir_rejection *r)
{
  weir_put_text(put, "{\"type\":\"error\",\"error\":{\"type\":\"");
  weir_put_text(put, shape_of(r->status)->anthropic);
  weir_put_text(put, "\",\"message\":\"");
  weir_put_json(put, r->text);
  weir_put_text(put, "\"}}");
}

static void gemini_put(struct weir_put *put, const struct weir_rejection *r)
{
  weir_put_text(put, "{\"error\":{\"code\":");
  weir_put_number(put, r->status);
  weir_put_text(put, ",\"message\":\"");
  weir_put_json(put, r->text);
  weir_put_text(put, "\",\"status\":\"");
  weir_put_text(put, shape_of(r->status)->gemini);
  weir_put_text(put, "\"");
  if (r->is_retried) {
    const char digits[] = {(char)('0' + r->retry_ms / 100 % 10),
                           (char)('0' + r->retry_ms / 10 % 10), (char)('0' + r->retry_ms % 10)};

    weir_put_text(put, ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
                       "\"retryDelay\":\"");
    weir_put_number(put, r->retry_ms / 1000);
    weir_put_text(put, ".");
    weir_put_bytes(put, digits, sizeof(digits));
    weir_put_text(put, "s\"}]");
  }
  weir_put_text(put, "}}");
}

void weir_rejection_put(struct weir_put *put, enum weir_protocol protocol,
                        const struct weir_rejection *rejection)
{
  switch (protocol) {
  case WEIR_PROTOCOL_ANTHROPIC:
    anthropic_put(put, rejection);
    return;
  case WEIR_PROTOCOL_GEMINI:
    gemini_put(put, rejection);
    return;
  case WEIR_PROTOCOL_OPENAI:
  case WEIR_PROTOCOL_MAX:
    break;
  }
  openai_put(put, rejection);
}
