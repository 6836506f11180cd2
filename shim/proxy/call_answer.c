/* What comes back: the answer on its way to the client, what it tells the coordinator, and what
 * follows a failure. */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/text.h>

#include "relay.h"
#include "settled.h"

#define EXPIRIES_MAX 10               /* leases in a row that end before they are used */
#define KEPT_MAX     ((size_t)262144) /* of a body, while a retry is possible */
#define OWN_HEADERS  12
#define HEADERS_MAX  (WEIR_FETCH_HEADERS_MAX + OWN_HEADERS)

/* ---- settlements ---- */

void weir_call_settle(struct weir_proxy_call *c, const struct weir_settlement *settlement)
{
  if (c->has_lease)
    (void)weir_settle(c->p->weir, &c->lease, settlement); /* forgotten: it is charged in full */
}

static void settlement_begin(const struct weir_proxy_call *c, struct weir_settlement *s)
{
  *s = (struct weir_settlement)WEIR_INIT(struct weir_settlement);
  s->sent_us = weir_fetch_sent_us(c->fetch);
  s->latency_us = weir_time_sub(weir_now_us(), s->sent_us);
  s->estimated_tokens = c->estimated < WEIR_TOKENS_MAX ? c->estimated : WEIR_TOKENS_MAX;
  s->http = weir_fetch_http(c->fetch) <= 999 ? weir_fetch_http(c->fetch) : 0;
}

/* The attempt ended without a whole answer. */
void weir_call_settle_cut(struct weir_proxy_call *c, enum weir_outcome outcome)
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
  weir_call_settle(c, &s);
  weir_call_log_answer(c, outcome == WEIR_OUTCOME_CANCELLED ? WEIR_ECANCELLED : WEIR_ENETWORK,
                       outcome);
}

/* ---- the answer on its way to the client ---- */

/* What is left of one kind of limit; nothing where there is none, or it was not told. */
static uint32_t left_headers(const char *limit_name, const char *left_name, uint64_t limit,
                             uint64_t left, struct weir_http_header *headers, char text[2][96])
{
  if (limit == 0)
    return 0;
  snprintf(text[0], 96, "%llu", (unsigned long long)limit);
  snprintf(text[1], 96, "%llu", (unsigned long long)left);
  headers[0] = (struct weir_http_header){limit_name, text[0]};
  headers[1] = (struct weir_http_header){left_name, text[1]};
  return 2;
}

/* What the proxy adds about itself. */
static uint32_t own_headers(const struct weir_proxy_call *c, struct weir_http_header *headers,
                            char text[OWN_HEADERS][96])
{
  uint32_t count = 0;

  if (c->has_lease) {
    snprintf(text[0], 96, "requests=1, input_tokens=%llu, output_tokens=%llu%s",
             (unsigned long long)c->input_tokens, (unsigned long long)c->output_tokens,
             c->lease.is_island      ? ", island"
             : c->lease.is_unlimited ? ", without limit"
                                     : "");
    headers[count++] = (struct weir_http_header){"x-weir-lease", text[0]};
    headers[count++] = (struct weir_http_header){"x-weir-pool", c->lease.pool};
    headers[count++] = (struct weir_http_header){"x-weir-model", c->lease.model};
  } else {
    headers[count++] = (struct weir_http_header){"x-weir-lease", "none"};
  }
  snprintf(text[1], 96, "%llu", (unsigned long long)(c->wait_us / WEIR_US_PER_MS));
  headers[count++] = (struct weir_http_header){"x-weir-wait-ms", text[1]};
  snprintf(text[2], 96, "%lu", (unsigned long)c->attempts);
  headers[count++] = (struct weir_http_header){"x-weir-attempts", text[2]};
  if (c->has_lease) {
    count +=
        left_headers("x-weir-ratelimit-limit-requests", "x-weir-ratelimit-remaining-requests",
                     c->lease.requests_limit, c->lease.requests_left, headers + count, text + 4);
    count += left_headers("x-weir-ratelimit-limit-tokens", "x-weir-ratelimit-remaining-tokens",
                          c->lease.tokens_limit, c->lease.tokens_left, headers + count, text + 6);
  }
  if (c->log.has_cost) {
    snprintf(text[3], 96, "%llu", (unsigned long long)c->log.cost_micro);
    headers[count++] = (struct weir_http_header){"x-weir-cost-micro", text[3]};
  }
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
  char text[OWN_HEADERS][96];
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

/* The input is known as soon as a stream begins; settling it early frees what was asked too much,
 * long before the stream ends. Of a probe the beginning itself is what matters. */
static void interim_tell(struct weir_proxy_call *c)
{
  struct weir_settlement s;

  settlement_begin(c, &s);
  s.is_interim = 1;
  if (c->scan)
    weir_settled_usage(c->scan, c->provider->kind, false, c->output_tokens, &s);
  weir_settled_headroom(&c->headroom, &s);
  weir_call_settle(c, &s);
}

/* An answer that is whole at once to whoever asked for it: its head waits for its end, so that it
 * tells what the call cost, and a connection that breaks may be followed by a new attempt. Not one
 * that tells nothing of that, such as speech, which is played while it comes. */
static bool is_held(const struct weir_proxy_call *c, const char *type)
{
  return c->has_lease && c->scan && !c->path.is_stream && !(c->has_facts && c->facts.is_stream) &&
         !(type && !weir_text_find(type, "json"));
}

/* Bytes that we cannot read, although we asked for none: the lease stays charged as asked for, and
 * the usage that the client did not ask for, if it is in there, passes. */
static bool is_encoded(const struct weir_header *lines, size_t count)
{
  const char *coding = weir_relay_header(lines, count, "content-encoding");

  return coding && coding[0] != '\0' && !weir_text_is(coding, "identity");
}

static void on_head(struct weir_fetch *fetch, void *context)
{
  struct weir_proxy_call *c = context;
  size_t count;
  const struct weir_header *lines = weir_fetch_headers(fetch, &count);
  const char *type = weir_relay_header(lines, count, "content-type");
  const bool is_readable = !is_encoded(lines, count);

  c->log.first_us = weir_time_sub(weir_now_us(), weir_fetch_sent_us(fetch));
  if (c->filter &&
      (!is_success(c) || !is_readable || !type || !weir_text_find(type, "text/event-stream"))) {
    free(c->filter);
    c->filter = NULL;
  }
  if (!is_readable) {
    free(c->scan);
    c->scan = NULL;
  }
  weir_headroom_read(c->provider->kind, lines, count, &c->headroom);
  if (c->has_lease && c->lease.is_probe && is_success(c))
    interim_tell(c);
  /* Without lease there is no new attempt, so nothing has to be held back. */
  if ((is_success(c) || !c->has_lease) && !is_held(c, type) && head_pass(c, size_of(c)))
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

/* There is no new attempt any more, and the request was sent: a long answer does without it. */
static void request_forget(struct weir_proxy_call *c)
{
  if (!c->is_passing || c->is_forgotten || !weir_fetch_is_uploaded(c->fetch))
    return;
  c->is_forgotten = true;
  weir_call_body_free(c);
  weir_http_exchange_body_forget(c->x);
}

static bool on_data(struct weir_fetch *fetch, const char *bytes, size_t size, void *context)
{
  struct weir_proxy_call *c = context;

  (void)fetch;
  request_forget(c);
  if (c->is_passing && is_full(c))
    return false;
  if (c->scan && is_success(c)) {
    weir_usage_feed(c->scan, bytes, size);
    if (!c->is_input_told && c->scan->usage.has_input && c->scan->stream.is_sse) {
      c->is_input_told = true;
      interim_tell(c);
    }
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
                                     .body = is_success(c) ? NULL : c->kept,
                                     .body_size = is_success(c) ? 0 : c->kept_size,
                                     .wall_s = (uint64_t)time(NULL)};

  if (!c->scan || !weir_usage_verdict(c->scan, c->provider->kind, &c->verdict))
    weir_classify(&answer, &c->verdict);
  if (!c->has_lease) {
    weir_call_log_answer(c, answer.http < 400 ? WEIR_OK : WEIR_EUPSTREAM, 0);
    return;
  }
  settlement_begin(c, &s);
  if (c->scan)
    weir_settled_usage(c->scan, c->provider->kind, c->scan->is_complete, c->output_tokens, &s);
  weir_settled_headroom(&c->headroom, &s);
  weir_settled_verdict(&c->verdict, &s);
  weir_call_settle(c, &s);
  weir_call_price(c);
  weir_call_log_answer(c, c->verdict.outcome == WEIR_OUTCOME_OK ? WEIR_OK : WEIR_EUPSTREAM,
                       c->verdict.outcome);
  if (c->verdict.outcome == WEIR_OUTCOME_OK && c->scan && c->estimated > 0)
    weir_ratio_learn(weir_proxy_ratio(c->p, c->model), c->estimated,
                     c->scan->usage.has_input ? c->scan->usage.input_tokens : 0);
}

static void on_pause_over(uv_timer_t *timer)
{
  struct weir_proxy_call *c = timer->data;

  c->wait_us += weir_time_sub(weir_now_us(), c->pause_from);
  c->p->counters.retries++;
  weir_call_ask(c);
}

static void retry_begin(struct weir_proxy_call *c, weir_duration after_us)
{
  weir_call_forget(c);
  c->state = CALL_PAUSING;
  c->pause_from = weir_now_us();
  uv_timer_start(&c->timer, on_pause_over, after_us / WEIR_US_PER_MS, 0);
}

/* Begins what follows the failure, if anything does. */
bool weir_call_retry(struct weir_proxy_call *c, const struct weir_retry_failure *failure)
{
  struct weir_retry_policy policy = WEIR_RETRY_POLICY_DEFAULT;
  const weir_tstamp now = weir_now_us();
  struct weir_retry next;

  if (c->is_passing || !c->has_lease)
    return false;
  policy.retries_max = (uint32_t)c->p->config->retries_max;
  next = weir_retry_next(&policy, &c->track, failure, weir_time_sub(c->deadline, now), &c->p->rng);
  if (next.what == WEIR_RETRY_STOP)
    return false;
  retry_begin(c, next.after_us);
  return true;
}

/* A key that was rejected rests, whatever the call was; true: another one is tried at once. */
static bool key_retry(struct weir_proxy_call *c)
{
  const uint32_t retries = (uint32_t)c->p->config->retries_max;
  const weir_tstamp now = weir_now_us();

  if (!c->is_key_ours || c->verdict.outcome != WEIR_OUTCOME_AUTH)
    return false;
  weir_keyfile_reject(c->provider->keys, &c->key, now);
  if (c->is_passing || !c->has_lease ||
      !weir_keyfile_is_again(c->provider->keys, c->verdict.outcome, c->track.failures + 1, retries,
                             now))
    return false;
  c->track.failures++;
  retry_begin(c, 0);
  return true;
}

/* Begins what follows an attempt that was sent, if anything does. |http| is what the client gets if
 * a new one is denied. */
static bool retry_sent(struct weir_proxy_call *c, uint32_t http)
{
  const struct weir_retry_failure failure = {.outcome = c->verdict.outcome,
                                             .is_retryable = c->verdict.is_retryable,
                                             .has_wait = c->verdict.has_wait,
                                             .wait_us = c->verdict.wait_us,
                                             .choice = c->lease.choice,
                                             .choices = c->lease.choices};

  c->failed_http = http;
  snprintf(c->failed_text, sizeof(c->failed_text), "%s: %s", c->lease.model,
           weir_outcome_text((int)c->verdict.outcome));
  return key_retry(c) || weir_call_retry(c, &failure);
}

/* A whole answer that goes to the client now, what was held back of it included. */
static void answer_finish(struct weir_proxy_call *c, uint32_t http, bool is_headed)
{
  struct weir_filter_piece piece;

  c->state = CALL_ENDED;
  c->p->counters.rejected += http == 429;
  if (!is_headed || c->is_unheaded) {
    c->log.err = WEIR_EUPSTREAM;
    if (c->is_passing)
      weir_http_exchange_abort(c->x);
    else
      weir_call_refuse_text(c, 502, "weir: the provider's answer cannot be passed on");
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
  weir_call_refuse_text(c, end == WEIR_FETCH_TIMED_OUT ? 504 : 502, text);
}

static void on_end(struct weir_fetch *fetch, enum weir_fetch_end end, const char *error,
                   void *context)
{
  struct weir_proxy_call *c = context;
  const uint32_t http = weir_fetch_http(fetch);
  bool is_headed = true;

  if (end == WEIR_FETCH_DONE) {
    judge(c);
    if (c->verdict.outcome != WEIR_OUTCOME_OK && retry_sent(c, http)) {
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
  c->verdict = (struct weir_verdict){.outcome = end == WEIR_FETCH_TIMED_OUT ? WEIR_OUTCOME_DEADLINE
                                                                            : WEIR_OUTCOME_NETWORK};
  c->verdict.is_retryable = weir_outcome_is_retryable(c->verdict.outcome);
  weir_call_settle_cut(c, c->verdict.outcome);
  c->fetch = NULL;
  if (end == WEIR_FETCH_EXPIRED && ++c->expiries < EXPIRIES_MAX) {
    weir_call_forget(c);
    c->attempts--;
    weir_call_ask(c);
  } else if (end == WEIR_FETCH_EXPIRED || !retry_sent(c, 502)) {
    fail(c, end, error);
  }
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
  weir_call_settle(c, &s);
}

const struct weir_fetch_handler weir_call_fetch_handler = {.on_need = weir_call_need,
                                                           .on_written = on_written,
                                                           .on_head = on_head,
                                                           .on_data = on_data,
                                                           .on_end = on_end};
