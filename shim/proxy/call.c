/* call.c - the life of one request: lease, attempts, answer.
 *
 *   begin -> WAITING (for a lease) -> FETCHING (from the provider) -> ENDED
 *                ^                        |
 *                +------- PAUSING <-------+  a failure that may pass, of which the client has
 *                                            seen nothing
 *
 * The exchange owns its call: whatever ends the exchange (the answer's last byte, the client's
 * going away, an abort) frees the call by weir_call_over. After an answer was finished here, the
 * call may be gone.
 */
#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/classify.h>
#include <weir/msg.h>
#include <weir/request.h>
#include <weir/retry.h>
#include <weir/text.h>
#include <weir/usage.h>

#include "filter.h"
#include "relay.h"
#include "settled.h"
#include "splice.h"

#define OUTPUT_TOKENS_DEFAULT 1024
#define EXPIRIES_MAX          10               /* leases in a row that end before they are used */
#define KEPT_MAX              ((size_t)262144) /* of a failure's body, while a retry is possible */
#define HEADERS_MAX           (WEIR_FETCH_HEADERS_MAX + 8)

enum call_state { CALL_WAITING = 1, CALL_FETCHING, CALL_PAUSING, CALL_ENDED };

struct weir_proxy_call {
  struct weir_proxy *p;
  struct weir_http_exchange *x;
  enum call_state state;
  struct weir_path path;
  struct weir_wishes wishes;
  bool is_key_ours; /* the provider's key of our environment goes along */
  bool has_facts;   /* the body is a JSON object */
  struct weir_request_facts facts;

  /* What is asked for. */
  char model[2 * WEIR_WISH_SIZE + 1]; /* of the ask; "": no lease */
  bool is_bare_tried;                 /* the model's name without its provider's */
  uint64_t estimated, input_tokens, output_tokens;
  weir_tstamp deadline;
  uint64_t acquire; /* while WAITING */
  uint64_t wait_us; /* for leases and between attempts */
  uint32_t attempts, expiries;

  /* The attempt at hand. */
  bool has_lease;
  struct weir_lease lease;
  const struct weir_proxy_provider *provider;
  struct weir_fetch *fetch;
  char *body; /* the changed one; NULL: the client's */
  size_t body_size;
  struct weir_usage_scan *scan;  /* NULL: the answer is not read */
  struct weir_filter *filter;    /* NULL: the answer passes as it is */
  struct weir_headroom headroom; /* what the answer's headers said */
  bool is_usage_ours;            /* we asked for the usage, not the client */
  bool is_input_told;

  bool is_passing;  /* the answer's head went to the client */
  bool is_unheaded; /* the answer's head cannot be passed on */
  char *kept;       /* the body of an answer that was not passed on yet */
  size_t kept_size, kept_capacity;
  struct weir_verdict verdict;

  uv_timer_t timer; /* while PAUSING */
  weir_tstamp pause_from;
};

static void lease_ask(struct weir_proxy_call *c);

/* ---- answers of our own ---- */

static void refuse(struct weir_proxy_call *c, const struct weir_rejection *rejection)
{
  char body[768], retry[24], seconds[24];
  struct weir_http_header headers[5] = {{"Content-Type", "application/json"}};
  uint32_t count = 1;
  struct weir_put put;

  c->state = CALL_ENDED;
  c->p->counters.refused++;
  weir_put_init(&put, body, sizeof(body));
  weir_rejection_put(&put, c->path.protocol, rejection);
  headers[count++] =
      (struct weir_http_header){"x-should-retry", rejection->is_retried ? "true" : "false"};
  if (rejection->is_retried) {
    snprintf(retry, sizeof(retry), "%llu", (unsigned long long)rejection->retry_ms);
    snprintf(seconds, sizeof(seconds), "%llu",
             (unsigned long long)(rejection->retry_ms + 999) / 1000);
    headers[count++] = (struct weir_http_header){"retry-after-ms", retry};
    headers[count++] = (struct weir_http_header){"retry-after", seconds};
  }
  headers[count++] = (struct weir_http_header){"x-weir-refused", "1"};
  if (weir_http_exchange_respond(c->x, rejection->status, headers, count, body, put.size) !=
      WEIR_OK)
    weir_http_exchange_abort(c->x);
}

static void refuse_text(struct weir_proxy_call *c, uint32_t status, const char *text)
{
  struct weir_rejection rejection;

  weir_rejection_make(status, text, &rejection);
  refuse(c, &rejection);
}

/* ---- the end ---- */

static void attempt_forget(struct weir_proxy_call *c)
{
  free(c->body);
  free(c->scan);
  free(c->filter);
  free(c->kept);
  c->body = c->kept = NULL;
  c->scan = NULL;
  c->filter = NULL;
  c->kept_size = c->kept_capacity = 0;
  c->is_input_told = c->is_unheaded = false;
}

static void on_timer_closed(uv_handle_t *handle)
{
  free(handle->data);
}

static void settle(struct weir_proxy_call *c, const struct weir_settlement *settlement)
{
  if (c->has_lease)
    (void)weir_settle(c->p->weir, &c->lease, settlement); /* forgotten: it is charged in full */
}

static void settlement_begin(const struct weir_proxy_call *c, struct weir_settlement *s)
{
  *s = (struct weir_settlement)WEIR_INIT(struct weir_settlement);
  s->sent_us = weir_fetch_sent_us(c->fetch);
  s->latency_us = weir_time_sub(weir_now_us(), s->sent_us);
  s->http = weir_fetch_http(c->fetch) <= 999 ? weir_fetch_http(c->fetch) : 0;
}

/* The attempt ended without a whole answer. */
static void settle_cut(struct weir_proxy_call *c, enum weir_outcome outcome)
{
  struct weir_settlement s;

  if (weir_fetch_sent_us(c->fetch) == 0) {
    s = (struct weir_settlement)WEIR_INIT(struct weir_settlement);
    s.is_unsent = 1;
  } else {
    settlement_begin(c, &s);
    if (c->scan)
      weir_settled_usage(c->scan, c->provider->kind, c->scan->is_complete, c->output_tokens, &s);
  }
  s.outcome = outcome;
  settle(c, &s);
}

void weir_call_over(struct weir_proxy_call *c, bool is_sent)
{
  struct weir_proxy *p = c->p;

  if (!is_sent && c->state != CALL_ENDED)
    p->counters.cancelled++;
  if (c->state == CALL_WAITING)
    weir_proxy_unwait(p, c->acquire);
  if (c->fetch) {
    settle_cut(c, WEIR_OUTCOME_CANCELLED);
    weir_fetch_cancel(c->fetch);
  }
  attempt_forget(c);
  p->calls_open--;
  uv_timer_stop(&c->timer);
  uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

/* ---- the answer on its way to the client ---- */

/* What the proxy adds about itself. */
static uint32_t own_headers(const struct weir_proxy_call *c, struct weir_http_header *headers,
                            char text[3][96])
{
  uint32_t count = 0;

  if (c->has_lease) {
    snprintf(text[0], 96, "requests=1, input_tokens=%llu, output_tokens=%llu",
             (unsigned long long)c->input_tokens, (unsigned long long)c->output_tokens);
    headers[count++] = (struct weir_http_header){"x-weir-lease", text[0]};
    headers[count++] = (struct weir_http_header){"x-weir-pool", c->lease.pool};
    headers[count++] = (struct weir_http_header){"x-weir-model", c->lease.model};
  } else {
    headers[count++] = (struct weir_http_header){
        "x-weir-lease", weir_proxy_is_down(c->p) ? "none (no coordinator)" : "none"};
  }
  snprintf(text[1], 96, "%llu", (unsigned long long)(c->wait_us / WEIR_US_PER_MS));
  headers[count++] = (struct weir_http_header){"x-weir-wait-ms", text[1]};
  snprintf(text[2], 96, "%lu", (unsigned long)c->attempts);
  headers[count++] = (struct weir_http_header){"x-weir-attempts", text[2]};
  return count;
}

static bool is_success(const struct weir_proxy_call *c)
{
  return weir_fetch_http(c->fetch) < 400;
}

/* The length that the provider announced, where ours is the same. */
static uint64_t size_of(const struct weir_proxy_call *c)
{
  size_t count;
  const struct weir_header *lines = weir_fetch_headers(c->fetch, &count);
  const char *text = weir_relay_header(lines, count, "content-length");
  uint64_t size;

  if (c->filter || !text || !weir_text_decimal(text, 1, &size))
    return WEIR_HTTP_SIZE_UNKNOWN;
  return size;
}

/* Begins the client's answer with the provider's status and headers. */
static bool head_pass(struct weir_proxy_call *c, uint64_t size)
{
  const bool is_final = c->has_lease && !is_success(c);
  struct weir_http_header headers[HEADERS_MAX];
  char text[3][96];
  uint32_t count = own_headers(c, headers, text);
  size_t line_count;
  const struct weir_header *lines = weir_fetch_headers(c->fetch, &line_count);
  const char *connection = weir_relay_header(lines, line_count, "connection");

  if (is_final)
    headers[count++] = (struct weir_http_header){"x-should-retry", "false"};
  for (size_t i = 0; i < line_count; i++)
    if (weir_relay_is_response(lines[i].name, connection, is_final))
      headers[count++] = (struct weir_http_header){lines[i].name, lines[i].value};
  c->is_passing =
      weir_http_exchange_start(c->x, weir_fetch_http(c->fetch), headers, count, size) == WEIR_OK;
  c->is_unheaded = !c->is_passing;
  return c->is_passing;
}

static void on_head(struct weir_fetch *fetch, void *context)
{
  struct weir_proxy_call *c = context;
  size_t count;
  const struct weir_header *lines = weir_fetch_headers(fetch, &count);
  const char *type = weir_relay_header(lines, count, "content-type");

  if (c->filter && (!is_success(c) || !type || !weir_text_find(type, "text/event-stream"))) {
    free(c->filter);
    c->filter = NULL;
  }
  if (weir_relay_header(lines, count, "content-encoding")) {
    free(c->scan); /* bytes that we cannot read: the lease stays charged as asked for */
    c->scan = NULL;
  }
  weir_headroom_read(c->provider->kind, lines, count, &c->headroom);
  /* Without lease there is no new attempt, so nothing has to be held back. */
  if ((is_success(c) || !c->has_lease) && head_pass(c, size_of(c)))
    weir_fetch_forget(fetch);
}

static bool keep(struct weir_proxy_call *c, const char *bytes, size_t size)
{
  if (c->kept_size + size > c->kept_capacity) {
    const size_t capacity = 2 * (c->kept_size + size);
    char *kept = realloc(c->kept, capacity);

    if (!kept)
      return false;
    c->kept = kept;
    c->kept_capacity = capacity;
  }
  memcpy(c->kept + c->kept_size, bytes, size);
  c->kept_size += size;
  return true;
}

/* The input is known as soon as a stream begins; settling it early frees what was asked too much,
 * long before the stream ends. */
static void input_tell(struct weir_proxy_call *c)
{
  struct weir_settlement s;

  if (c->is_input_told || !c->scan->usage.has_input || !c->scan->stream.is_sse)
    return;
  c->is_input_told = true;
  settlement_begin(c, &s);
  s.is_interim = 1;
  weir_settled_usage(c->scan, c->provider->kind, false, c->output_tokens, &s);
  weir_settled_headroom(&c->headroom, &s);
  settle(c, &s);
}

static void filtered_send(struct weir_proxy_call *c, const char *bytes, size_t size)
{
  struct weir_filter_piece piece;

  if (!c->filter) {
    c->is_unheaded |= weir_http_exchange_send(c->x, bytes, size) != WEIR_OK;
    return;
  }
  weir_filter_feed(c->filter, bytes, size);
  while (weir_filter_next(c->filter, &piece))
    c->is_unheaded |= weir_http_exchange_send(c->x, piece.at, piece.size) != WEIR_OK;
}

/* A client that does not read holds up its stream, and only its own. */
static bool is_full(struct weir_proxy_call *c)
{
  return weir_http_exchange_queued(c->x) >= WEIR_HTTP_QUEUE_MAX / 2 &&
         weir_http_exchange_wait(c->x);
}

static bool on_data(struct weir_fetch *fetch, const char *bytes, size_t size, void *context)
{
  struct weir_proxy_call *c = context;

  (void)fetch;
  if (c->is_passing && is_full(c))
    return false;
  if (c->scan && is_success(c)) {
    weir_usage_feed(c->scan, bytes, size);
    input_tell(c);
  }
  if (c->is_unheaded)
    return true;
  if (!c->is_passing) {
    if (c->kept_size + size <= KEPT_MAX)
      return keep(c, bytes, size) || (c->is_unheaded = true);
    if (head_pass(c, size_of(c)))
      filtered_send(c, c->kept, c->kept_size);
  }
  if (c->is_passing)
    filtered_send(c, bytes, size);
  return true;
}

void weir_call_drained(struct weir_proxy_call *c)
{
  if (c->fetch)
    weir_fetch_resume(c->fetch);
}

/* ---- an attempt's end ---- */

/* A whole answer came: what it says, to the coordinator. */
static void judge(struct weir_proxy_call *c)
{
  struct weir_settlement s;
  size_t count;
  const struct weir_header *lines = weir_fetch_headers(c->fetch, &count);
  const struct weir_answer answer = {.kind = c->provider->kind,
                                     .http = (int)weir_fetch_http(c->fetch),
                                     .headers = lines,
                                     .headers_count = count,
                                     .body = c->kept,
                                     .body_size = c->kept_size,
                                     .wall_s = (uint64_t)time(NULL)};

  if (!c->has_lease)
    return;
  if (!c->scan || !weir_usage_verdict(c->scan, c->provider->kind, &c->verdict))
    weir_classify(&answer, &c->verdict);
  settlement_begin(c, &s);
  if (c->scan)
    weir_settled_usage(c->scan, c->provider->kind, c->scan->is_complete, c->output_tokens, &s);
  weir_settled_headroom(&c->headroom, &s);
  weir_settled_verdict(&c->verdict, &s);
  settle(c, &s);
  if (c->verdict.outcome == WEIR_OUTCOME_OK && c->scan && c->estimated > 0)
    weir_ratio_learn(weir_proxy_ratio(c->p, c->model), c->estimated,
                     c->scan->usage.has_input ? c->scan->usage.input_tokens : 0);
}

static void on_pause_over(uv_timer_t *timer)
{
  struct weir_proxy_call *c = timer->data;

  c->wait_us += weir_time_sub(weir_now_us(), c->pause_from);
  c->p->counters.retries++;
  lease_ask(c);
}

/* Starts a pause before another attempt, if there is to be one. */
static bool retry(struct weir_proxy_call *c)
{
  struct weir_retry_policy policy = WEIR_RETRY_POLICY_DEFAULT;
  const weir_tstamp now = weir_now_us();
  struct weir_retry next;

  if (c->is_passing || !c->has_lease)
    return false;
  policy.retries_max = (uint32_t)c->p->config->retries_max;
  next = weir_retry_next(&policy, c->attempts, &c->verdict, weir_time_sub(c->deadline, now),
                         &c->p->rng);
  if (!next.is_retry)
    return false;
  attempt_forget(c);
  c->state = CALL_PAUSING;
  c->pause_from = now;
  uv_timer_start(&c->timer, on_pause_over, next.after_us / WEIR_US_PER_MS, 0);
  return true;
}

/* A whole answer that goes to the client now, what was held back of it included. */
static void answer_finish(struct weir_proxy_call *c, uint32_t http, bool is_headed)
{
  struct weir_filter_piece piece;

  c->state = CALL_ENDED;
  c->p->counters.rejected += http == 429;
  if (!is_headed || c->is_unheaded) {
    if (c->is_passing)
      weir_http_exchange_abort(c->x);
    else
      refuse_text(c, 502, "weir: the provider's answer cannot be passed on");
    return;
  }
  if (c->filter && weir_filter_end(c->filter, &piece) &&
      weir_http_exchange_send(c->x, piece.at, piece.size) != WEIR_OK) {
    weir_http_exchange_abort(c->x);
    return;
  }
  weir_http_exchange_finish(c->x);
}

static void fail(struct weir_proxy_call *c, enum weir_fetch_end end, const char *error)
{
  char text[224];

  c->state = CALL_ENDED;
  if (c->is_passing) {
    c->p->counters.broken++;
    weir_http_exchange_abort(c->x); /* so that it does not look like a whole answer */
    return;
  }
  if (end == WEIR_FETCH_EXPIRED)
    snprintf(text, sizeof(text), "weir: connecting to %s takes longer than a lease is valid",
             c->provider->name);
  else
    snprintf(text, sizeof(text), "weir: %s: %.120s", c->provider->name, error);
  refuse_text(c, 502, text);
}

static void on_end(struct weir_fetch *fetch, enum weir_fetch_end end, const char *error,
                   void *context)
{
  struct weir_proxy_call *c = context;
  const uint32_t http = weir_fetch_http(fetch);
  bool is_headed = true;

  if (end == WEIR_FETCH_DONE) {
    judge(c);
    if (c->verdict.outcome != WEIR_OUTCOME_OK && retry(c)) {
      c->fetch = NULL;
      return;
    }
    if (!c->is_passing) {
      is_headed = head_pass(c, c->kept_size);
      if (is_headed && c->kept_size > 0)
        filtered_send(c, c->kept, c->kept_size);
    }
    c->fetch = NULL;
    answer_finish(c, http, is_headed);
    return;
  }
  settle_cut(c, WEIR_OUTCOME_NETWORK);
  c->fetch = NULL;
  if (end == WEIR_FETCH_EXPIRED && ++c->expiries < EXPIRIES_MAX) {
    attempt_forget(c);
    c->attempts--;
    lease_ask(c);
    return;
  }
  c->verdict = (struct weir_verdict){
      .outcome = WEIR_OUTCOME_NETWORK,
      .is_retryable = end == WEIR_FETCH_FAILED && weir_outcome_is_retryable(WEIR_OUTCOME_NETWORK)};
  if (!retry(c))
    fail(c, end, error);
}

/* Some pools want to know of the writing itself, long before the answer. */
static void on_written(struct weir_fetch *fetch, void *context)
{
  struct weir_proxy_call *c = context;
  struct weir_settlement s = WEIR_INIT(struct weir_settlement);

  c->p->counters.sent++;
  if (!c->has_lease || !c->lease.is_reported)
    return;
  s.is_interim = 1;
  s.sent_us = weir_fetch_sent_us(fetch);
  settle(c, &s);
}

const struct weir_fetch_handler weir_call_fetch_handler = {
    .on_written = on_written, .on_head = on_head, .on_data = on_data, .on_end = on_end};

/* ---- an attempt's beginning ---- */

static bool has_body(const struct weir_http_request *request)
{
  return request->body_size > 0 || strcmp(request->method, "POST") == 0 ||
         strcmp(request->method, "PUT") == 0 || strcmp(request->method, "PATCH") == 0;
}

/* The model that the lease is for, without its provider. */
static const char *leased_model(const struct weir_proxy_call *c)
{
  const char *slash = strchr(c->lease.model, '/');

  return slash ? slash + 1 : c->lease.model;
}

/* Puts the changed body into c->body. False: 500. */
static bool body_make(struct weir_proxy_call *c, const char *body, size_t size)
{
  struct weir_stream_options options = {.is_usage_asked = true};
  struct weir_splices splices;

  weir_splices_init(&splices);
  c->is_usage_ours = false;
  if (!c->has_facts)
    return true;
  if (c->path.has_stream_options && c->facts.is_stream && c->has_lease) {
    weir_stream_options_read(body, size, &options);
    weir_splices_usage(&splices, &options);
    c->is_usage_ours = !options.is_usage_asked;
  }
  if (c->has_lease && !c->path.has_model) {
    static const char collection[] = "models/";
    const char *own = c->facts.has_model ? c->facts.model : "";

    /* Gemini's models go by two names. */
    own += strncmp(own, collection, sizeof(collection) - 1) == 0 ? sizeof(collection) - 1 : 0;
    if (strcmp(own, leased_model(c)) != 0 &&
        !weir_splices_model(&splices, body, size, &c->facts, leased_model(c)))
      return false;
  }
  if (splices.count == 0)
    return true;
  c->body_size = weir_splices_size(&splices, size);
  c->body = malloc(c->body_size + 1);
  if (c->body)
    weir_splices_apply(&splices, body, size, c->body);
  return c->body != NULL;
}

static bool url_make(const struct weir_proxy_call *c, char *url, size_t size)
{
  const char *target = weir_http_exchange_request(c->x)->target;
  const enum weir_provider_kind asked = c->p->config->mounts[c->path.mount].kind;
  const bool is_other = c->has_lease && strcmp(leased_model(c), c->path.model) != 0;
  struct weir_put put;

  weir_put_init(&put, url, size);
  weir_put_text(&put, c->provider->base_url);
  return weir_path_put(&put, target, &c->path, is_other ? leased_model(c) : NULL, c->is_key_ours,
                       asked, c->provider->kind) &&
         !put.is_cut;
}

static size_t headers_make(const struct weir_proxy_call *c, struct weir_header *headers,
                           char key[1024])
{
  const struct weir_http_request *request = weir_http_exchange_request(c->x);
  const struct weir_provider_rules *rules = weir_provider_rules_of(c->provider->kind);
  const bool is_read = c->has_lease;
  const char *connection = weir_http_request_header(request, "connection");
  size_t count = 0;

  for (uint32_t i = 0; i < request->header_count; i++)
    if (weir_relay_is_request(request->headers[i].name, connection, c->is_key_ours, is_read))
      headers[count++] = (struct weir_header){request->headers[i].name, request->headers[i].value};
  if (is_read)
    headers[count++] = (struct weir_header){"accept-encoding", "identity"};
  if (c->is_key_ours && c->path.protocol == WEIR_PROTOCOL_OPENAI) {
    snprintf(key, 1024, "Bearer %s", c->provider->key);
    headers[count++] = (struct weir_header){"authorization", key};
  } else if (c->is_key_ours) {
    snprintf(key, 1024, "%s%s", rules->key_prefix, c->provider->key);
    headers[count++] = (struct weir_header){rules->key_header, key};
  }
  return count;
}

static void fetch_start(struct weir_proxy_call *c)
{
  const struct weir_http_request *request = weir_http_exchange_request(c->x);
  struct weir_header headers[128];
  char url[WEIR_PROXY_URL_SIZE + 8192 + 32], key[1024];
  struct weir_fetch_request fetch = {.method = request->method,
                                     .url = url,
                                     .headers = headers,
                                     .has_body = has_body(request),
                                     .expires_at = c->has_lease ? c->lease.expires_us : WEIR_NEVER,
                                     .idle_ms = c->p->config->idle_ms};
  size_t size;
  const char *body = weir_http_exchange_body(c->x, &size);
  bool is_made = url_make(c, url, sizeof(url)) && body_make(c, body, size);

  if (is_made && c->has_lease) {
    c->scan = malloc(sizeof(*c->scan));
    is_made = c->scan != NULL;
    if (is_made)
      weir_usage_init(c->scan);
  }
  if (is_made && c->is_usage_ours) {
    c->filter = malloc(sizeof(*c->filter));
    is_made = c->filter != NULL;
    if (is_made)
      weir_filter_init(c->filter);
  }
  fetch.header_count = headers_make(c, headers, key);
  fetch.body = c->body ? c->body : body;
  fetch.body_size = c->body ? c->body_size : size;
  c->attempts++;
  c->state = CALL_FETCHING;
  c->fetch = is_made ? weir_fetch_start(c->p->fetcher, &fetch, c) : NULL;
  if (!c->fetch) {
    settle(c, NULL);
    refuse_text(c, 500,
                "weir: the request cannot be made: its path is too long or memory is short");
  }
}

static void pass_unleased(struct weir_proxy_call *c)
{
  c->p->counters.unleased++;
  c->has_lease = false;
  c->provider = &c->p->config->providers[c->path.mount];
  fetch_start(c);
}

/* ---- the lease ---- */

static const struct weir_proxy_provider *provider_of(const struct weir_proxy_call *c)
{
  const struct weir_proxy_config *config = c->p->config;
  const char *model = c->lease.model;
  const size_t size = strcspn(model, "/");

  for (size_t i = 0; i < config->provider_count; i++)
    if (strlen(config->providers[i].name) == size &&
        strncmp(config->providers[i].name, model, size) == 0)
      return &config->providers[i];
  return NULL;
}

/* NULL, or why the leased model cannot be called for this request. */
static const char *lease_flaw(const struct weir_proxy_call *c)
{
  if (!c->provider)
    return "weir: the route leads to a provider that this proxy does not know";
  if (c->provider == &c->p->config->providers[c->path.mount])
    return NULL;
  if (!weir_path_is_spoken(c->provider->kind, c->path.protocol))
    return "weir: the route leads to a provider that does not speak this request's protocol";
  if (!c->is_key_ours)
    return "weir: the route leads to another provider, for which the request brings no key";
  if (!c->provider->key)
    return "weir: the route leads to a provider for which this proxy has no key";
  return NULL;
}

static void on_granted(struct weir_proxy_call *c, const struct weir_lease *lease)
{
  const char *flaw;

  c->p->counters.leases++;
  c->lease = *lease;
  c->has_lease = true;
  c->provider = provider_of(c);
  flaw = lease_flaw(c);
  if (!flaw) {
    fetch_start(c);
    return;
  }
  settle(c, NULL);
  refuse_text(c, 502, flaw);
}

static bool is_passed_unknown(const struct weir_proxy_call *c)
{
  return c->path.operation == WEIR_OPERATION_OTHER || c->path.operation == WEIR_OPERATION_COUNT ||
         c->p->config->is_unknown_passed;
}

/* The model as the client names it, which may be a route or a pool of the coordinator. */
static bool bare_try(struct weir_proxy_call *c)
{
  const char *slash = strchr(c->model, '/');

  if (c->is_bare_tried || c->wishes.route[0] != '\0' || !slash)
    return false;
  c->is_bare_tried = true;
  memmove(c->model, slash + 1, strlen(slash + 1) + 1);
  return true;
}

static void on_outage(struct weir_proxy_call *c)
{
  struct weir_rejection rejection;

  if (c->p->config->outage == WEIR_OUTAGE_OPEN) {
    pass_unleased(c);
    return;
  }
  weir_rejection_of_lease(WEIR_EUNREACHABLE, NULL, &c->p->rng, &rejection);
  refuse(c, &rejection);
}

void weir_call_outage(struct weir_proxy_call *c)
{
  weir_proxy_unwait(c->p, c->acquire);
  on_outage(c);
}

void weir_call_lease(struct weir_proxy_call *c, const struct weir_lease *lease)
{
  struct weir_rejection rejection;

  c->wait_us += lease->wait_us;
  if (lease->err == WEIR_OK) {
    on_granted(c, lease);
    return;
  }
  if (lease->err == WEIR_EDENIED && lease->denied.why == WEIR_DENIAL_NO_POOL) {
    if (bare_try(c)) {
      lease_ask(c);
      return;
    }
    if (is_passed_unknown(c)) {
      pass_unleased(c);
      return;
    }
  }
  if (lease->err == WEIR_EUNREACHABLE && c->p->config->outage == WEIR_OUTAGE_OPEN) {
    pass_unleased(c);
    return;
  }
  weir_rejection_of_lease(lease->err, &lease->denied, &c->p->rng, &rejection);
  refuse(c, &rejection);
}

static void lease_ask(struct weir_proxy_call *c)
{
  struct weir_ask ask = WEIR_INIT(struct weir_ask);
  struct weir_rejection rejection;
  int err;

  if (weir_proxy_is_down(c->p)) {
    on_outage(c);
    return;
  }
  c->has_lease = false;
  ask.model = c->model;
  ask.work_class = c->wishes.work_class;
  ask.input_tokens = c->input_tokens;
  ask.output_tokens = c->output_tokens;
  ask.max_wait_ms = weir_time_sub(c->deadline, weir_now_us()) / WEIR_US_PER_MS + 1;
  ask.tenant = c->wishes.tenant[0] != '\0' ? c->wishes.tenant : NULL;
  err = weir_acquire_start(c->p->weir, &ask, &c->acquire);
  if (err == WEIR_OK && weir_proxy_wait(c->p, c->acquire, c)) {
    c->state = CALL_WAITING;
    return;
  }
  if (err == WEIR_OK) {
    (void)weir_cancel(c->p->weir, c->acquire);
    err = WEIR_EFULL;
  }
  weir_rejection_of_lease(err, NULL, &c->p->rng, &rejection);
  refuse(c, &rejection);
}

/* ---- the request ---- */

static uint64_t bounded(uint64_t tokens)
{
  return tokens < WEIR_TOKENS_MAX ? tokens : WEIR_TOKENS_MAX;
}

/* "provider/model", as the coordinator calls it. False when it is too long. */
static bool model_name(struct weir_proxy_call *c)
{
  static const char collection[] = "models/";
  const char *model = c->path.has_model ? c->path.model : c->facts.model;
  const char *provider = c->p->config->providers[c->path.mount].name;
  int size;

  if (strncmp(model, collection, sizeof(collection) - 1) == 0)
    model += sizeof(collection) - 1;
  if (c->wishes.route[0] != '\0')
    size = snprintf(c->model, sizeof(c->model), "%s", c->wishes.route);
  else
    size = snprintf(c->model, sizeof(c->model), "%s/%s", provider, model);
  return size < WEIR_NAME_SIZE;
}

static void estimate(struct weir_proxy_call *c, const char *body, size_t size)
{
  const struct weir_proxy_provider *provider = &c->p->config->providers[c->path.mount];

  if (c->path.operation != WEIR_OPERATION_GENERATE && c->path.operation != WEIR_OPERATION_EMBED)
    return; /* a request, and no tokens */
  c->estimated = weir_estimate_body(provider->kind, body, size).tokens;
  c->input_tokens = bounded(weir_ratio_apply(weir_proxy_ratio(c->p, c->model), c->estimated));
  if (c->path.operation == WEIR_OPERATION_GENERATE)
    c->output_tokens = c->has_facts && c->facts.has_output_max ? bounded(c->facts.output_tokens_max)
                                                               : OUTPUT_TOKENS_DEFAULT;
}

static uint64_t deadline_ms(const struct weir_proxy_call *c)
{
  if (c->wishes.deadline_ms > 0)
    return c->wishes.deadline_ms;
  return c->wishes.work_class == WEIR_CLASS_BATCH ? c->p->config->batch_wait_ms
                                                  : c->p->config->online_wait_ms;
}

/* Whose key goes upstream. NULL, or why none does. */
static const char *key_choose(struct weir_proxy_call *c, const struct weir_header *headers,
                              size_t count)
{
  const struct weir_proxy_config *config = c->p->config;
  struct weir_keys keys = {.headers = headers, .header_count = count};
  enum weir_key whose;

  keys.query = weir_path_key(weir_http_exchange_request(c->x)->target, &c->path, &keys.query_size);
  whose = weir_relay_key_choose(&keys, config->token, config->is_wide);
  c->is_key_ours = whose == WEIR_KEY_OURS;
  if (whose == WEIR_KEY_NONE)
    return "weir: the key is not that of this proxy";
  if (c->is_key_ours && !config->providers[c->path.mount].key)
    return "weir: this proxy has no key for that provider";
  return NULL;
}

/* The list of models is at one path for all: what else the request brings tells whose it is. */
static enum weir_provider_kind kind_hint(const struct weir_http_request *request)
{
  if (weir_http_request_header(request, "x-goog-api-key"))
    return WEIR_PROVIDER_GEMINI;
  if (weir_http_request_header(request, "anthropic-version"))
    return WEIR_PROVIDER_ANTHROPIC;
  return 0;
}

/* Reads the request into |c|. False: it was answered. */
static bool request_read(struct weir_proxy_call *c)
{
  const struct weir_http_request *request = weir_http_exchange_request(c->x);
  struct weir_header headers[128];
  const char *flaw;
  char text[128];
  size_t size, count = 0;
  const char *body = weir_http_exchange_body(c->x, &size);

  for (uint32_t i = 0; i < request->header_count && count < 128; i++)
    headers[count++] = (struct weir_header){request->headers[i].name, request->headers[i].value};
  flaw = weir_wishes_read(headers, count, &c->wishes);
  if (flaw) {
    snprintf(text, sizeof(text), "weir: the header %.64s is not understood", flaw);
    refuse_text(c, 400, text);
    return false;
  }
  c->p->counters.sdk_retries += c->wishes.is_retry;
  flaw = key_choose(c, headers, count);
  if (flaw) {
    refuse_text(c, 401, flaw);
    return false;
  }
  c->has_facts = weir_request_scan(body, size, &c->facts) == WEIR_OK;
  if (!c->path.has_model && !(c->has_facts && c->facts.has_model) && c->wishes.route[0] == '\0')
    return true; /* no model, no pool */
  if (!model_name(c)) {
    refuse_text(c, 400, "weir: the model's name is too long");
    return false;
  }
  estimate(c, body, size);
  return true;
}

void weir_call_begin(struct weir_proxy *p, struct weir_http_exchange *x)
{
  const struct weir_http_request *request = weir_http_exchange_request(x);
  struct weir_proxy_call *c = calloc(1, sizeof(*c));

  if (!c) {
    weir_http_exchange_abort(x);
    return;
  }
  c->p = p;
  c->x = x;
  c->state = CALL_ENDED;
  (void)uv_timer_init(p->loop, &c->timer);
  c->timer.data = c;
  p->calls_open++;
  weir_http_exchange_set_data(x, c);
  if (!weir_path_read(request->method, request->target, p->config->mounts,
                      p->config->provider_count, kind_hint(request), &c->path)) {
    refuse_text(c, 404, "weir: no provider is at this path");
    return;
  }
  p->counters.requests++;
  if (!request_read(c))
    return;
  c->deadline = weir_time_add(weir_now_us(), deadline_ms(c) * WEIR_US_PER_MS);
  if (c->model[0] != '\0')
    lease_ask(c);
  else if (c->path.operation == WEIR_OPERATION_OTHER || c->path.operation == WEIR_OPERATION_COUNT)
    pass_unleased(c);
  else
    refuse_text(c, 400, "weir: the body is not a JSON object with a \"model\"");
}
