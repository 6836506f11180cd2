/* call.c - weir_call: attempts, each with a lease of its own, until one succeeds, none makes sense
 * any more, or the time is over. */
#include "account.h"
#include "keys.h"
#include "outgoing.h"
#include "upstream.h"

#include <weir/classify.h>
#include <weir/headroom.h>
#include <weir/request.h>
#include <weir/retry.h>
#include <weir/scrub.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define BODY_SIZE_MAX         ((size_t)64 << 20)
#define OUTPUT_TOKENS_DEFAULT 1024
#define EXPIRIES_MAX          10 /* leases in a row that end before their request is written */

enum stage { STAGE_LEASE, STAGE_PREPARE, STAGE_TRANSFER };

struct call {
  struct weir *w;
  const struct weir_request *request;
  struct weir_response *response;
  weir_tstamp started_at, deadline;
  struct weir_request_facts facts;
  bool has_facts; /* the body is a JSON object */
  bool is_openai; /* the body is in OpenAI's protocol, for whatever provider */
  uint64_t estimated;
  uint64_t input_tokens, output_tokens; /* asked for */
  char prefer[WEIR_NAME_SIZE];          /* the model that serves what belongs together; "": any */
  struct weir_retry_track track;
  uint32_t expiries;
  weir_duration queue_us; /* waited for leases, in total */
  weir_tstamp retry_at;   /* of the next attempt */
  bool has_passed_on;     /* on_data was called */
  int failure;            /* of the last attempt that failed; 0: none */
  char failure_text[sizeof(((struct weir_response *)0)->error)];

  /* of the current attempt */
  enum stage stage; /* how far it came */
  struct weir_lease lease;
  struct weir_provider_entry *provider;
  char *body; /* with another model than the request's; NULL: the request's */
  size_t body_size;
  char url[1024];
  struct weir_transfer *transfer;
  struct weir_verdict verdict;
};

static int fail(struct call *c, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct call *c, int err, const char *format, ...)
{
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(c->response->error, sizeof(c->response->error), format, arguments);
  va_end(arguments);
  weir_scrub(c->response->error);
  return err;
}

static uint64_t bounded(uint64_t tokens)
{
  return tokens < WEIR_TOKENS_MAX ? tokens : WEIR_TOKENS_MAX;
}

/* ---- before the first attempt ---- */

/* What libcurl would not take as part of a URL; it would look like a failure of the network. */
static bool is_path(const char *text)
{
  for (; *text; text++) {
    if ((unsigned char)*text <= 0x20 || *text == 0x7f)
      return false;
  }
  return true;
}

static int check_request(const struct weir_request *request)
{
  if (!request->model || !weir_is_printable(request->model, WEIR_NAME_SIZE) ||
      !weir_is_tenant(request->tenant) || (request->path && !is_path(request->path)) ||
      (!request->body && request->body_size > 0) ||
      (unsigned)request->work_class >= WEIR_CLASS_MAX ||
      (request->protocol && strcmp(request->protocol, "openai") != 0))
    return WEIR_EINVAL;
  if (request->body_size > BODY_SIZE_MAX || request->max_wait_ms > WEIR_WAIT_MAX_MS ||
      request->timeout_ms > WEIR_WAIT_MAX_MS || request->input_tokens > WEIR_TOKENS_MAX ||
      request->output_tokens > WEIR_TOKENS_MAX || request->attempts > WEIR_ATTEMPTS_MAX)
    return WEIR_ERANGE;
  return WEIR_OK;
}

/* |kind| is 0 for a route, whose provider is not known before its lease: then the body counts as
 * one of OpenAI's protocol. */
static void estimate(struct call *c, enum weir_provider_kind kind)
{
  const struct weir_request *request = c->request;

  c->has_facts = weir_request_scan(request->body, request->body_size, &c->facts) == WEIR_OK;
  c->output_tokens = request->output_tokens;
  if (c->output_tokens == 0)
    c->output_tokens = c->has_facts && c->facts.has_output_max ? bounded(c->facts.output_tokens_max)
                                                               : OUTPUT_TOKENS_DEFAULT;
  c->input_tokens = request->input_tokens;
  if (c->input_tokens == 0) {
    c->estimated = weir_estimate_body(kind ? kind : WEIR_PROVIDER_COMPATIBLE, request->body,
                                      request->body_size)
                       .tokens;
    pthread_mutex_lock(&c->w->lock);
    c->input_tokens =
        bounded(weir_ratio_apply(weir_memory_ratio(c->w, request->model), c->estimated));
    pthread_mutex_unlock(&c->w->lock);
  }
}

/* ---- an attempt: lease ---- */

static uint32_t attempts_before(const struct call *c)
{
  const uint32_t attempts = c->request->attempts + c->response->attempts;

  return attempts < WEIR_ATTEMPTS_MAX ? attempts : WEIR_ATTEMPTS_MAX;
}

/* Precondition: the lock is held. */
static int acquire(struct call *c, const struct weir_ask *ask)
{
  const int err = weir_lease_acquire(c->w, ask, &c->lease);

  if (!err && c->estimated > 0)
    weir_ratio_seed(weir_memory_ratio(c->w, c->request->model), c->lease.ratio_pm,
                    c->lease.ratio_error_pm);
  return err;
}

/* How long to wait for a lease: so that there is time for an answer before the deadline. */
static weir_duration patience_of(struct call *c)
{
  const weir_duration left = weir_time_sub(c->deadline, weir_now());
  weir_duration leave;

  pthread_mutex_lock(&c->w->lock);
  leave = weir_took_leave(weir_memory_took(c->w, c->request->model), left);
  pthread_mutex_unlock(&c->w->lock);
  return left - leave;
}

static int lease(struct call *c)
{
  struct weir_ask ask = WEIR_INIT(struct weir_ask);
  char text[200];
  int err;

  ask.model = c->request->model;
  ask.work_class = c->request->work_class;
  ask.input_tokens = c->input_tokens;
  ask.output_tokens = c->output_tokens;
  ask.max_wait_ms = patience_of(c) / WEIR_US_PER_MS;
  ask.tenant = c->request->tenant;
  ask.attempts = attempts_before(c);
  ask.avoid = c->track.avoid;
  ask.prefer = c->track.avoid ? NULL : c->prefer;
  if (ask.max_wait_ms == 0)
    return fail(c, WEIR_ETIMEOUT, "the deadline passed");
  c->lease = (struct weir_lease)WEIR_INIT(struct weir_lease); /* not that of the last attempt */
  pthread_mutex_lock(&c->w->lock);
  err = acquire(c, &ask);
  pthread_mutex_unlock(&c->w->lock);
  c->response->wait_us += c->lease.wait_us;
  c->queue_us += c->lease.wait_us;
  if (err == WEIR_EDENIED) {
    c->response->denied = c->lease.denied;
    return fail(c, err, "%s", weir_denial_text(&c->lease.denied, text, sizeof(text)));
  }
  if (err == WEIR_EUNREACHABLE)
    return fail(c, err, "the coordinator at %.120s does not answer: is it running?",
                c->w->coordinator);
  return err ? fail(c, err, "%s", weir_err_text(err)) : WEIR_OK;
}

static void settle(struct call *c, const struct weir_settlement *settlement)
{
  int err;

  pthread_mutex_lock(&c->w->lock);
  err = weir_lease_settle(c->w, &c->lease, settlement);
  pthread_mutex_unlock(&c->w->lock);
  (void)err; /* a lease so old that it was forgotten is charged in full: nothing to do */
}

static void settle_unsent(struct call *c, enum weir_outcome outcome)
{
  struct weir_settlement settlement = WEIR_INIT(struct weir_settlement);

  settlement.is_unsent = 1;
  settlement.outcome = outcome;
  settle(c, &settlement);
}

/* ---- an attempt: the request ---- */

/* Where the key that is missing was looked for. */
static const char *key_place(const struct weir_provider_entry *provider)
{
  return provider->key_place[0] ? provider->key_place : "one by weir_provider_add";
}

static int find_provider(struct call *c, const char *model)
{
  const bool is_to_be_sent = c->lease.id != 0;
  int err;

  weir_keys_refresh(c->w);
  pthread_mutex_lock(&c->w->lock);
  err = weir_providers_find(c->w, model, is_to_be_sent, &c->provider);
  pthread_mutex_unlock(&c->w->lock);
  if (err == WEIR_ENOENT)
    return fail(c, err,
                "\"%s\" names no provider of this program: the coordinator's model has to begin "
                "with the name of one that was added",
                model);
  if (err)
    return fail(c, err, "%s", weir_err_text(err));
  if (c->provider->is_own_url && !c->provider->has_keys)
    return fail(c, WEIR_ECONFIG, "no key for %s: set %s", c->provider->name,
                key_place(c->provider));
  return WEIR_OK;
}

/* Whether the coordinator chose the provider, who may then not read such a body. */
static bool is_routed(const struct call *c)
{
  return c->lease.choice > 0 || strcmp(c->lease.model, c->request->model) != 0;
}

static int prepare_url(struct call *c, const char *model)
{
  const struct weir_request *request = c->request;
  const struct weir_outgoing how = {.path = request->path,
                                    .model = model,
                                    .is_stream =
                                        request->on_data || (c->has_facts && c->facts.is_stream),
                                    .is_openai = c->is_openai};

  if (!c->is_openai && !request->path && c->has_facts && is_routed(c) &&
      !weir_request_suits(&c->facts, c->provider->kind))
    return fail(c, WEIR_ECONFIG,
                "%s does not read such a body: write it as OpenAI's chat completions and set "
                "protocol \"openai\"",
                c->lease.model);
  if (weir_outgoing_url(c->provider, &how, c->url, sizeof(c->url)))
    return WEIR_OK;
  if (c->is_openai && !request->path && weir_provider_rules_of(c->provider->kind)->openai_root)
    return fail(
        c, WEIR_ECONFIG,
        "the base_url of %s leads to no endpoint for protocol \"openai\": it has to end with "
        "%s",
        c->provider->name, weir_provider_rules_of(c->provider->kind)->openai_root);
  return fail(c, WEIR_ERANGE, "the URL for %s is too long, or its model holds \"..\"",
              c->lease.model);
}

static int prepare(struct call *c)
{
  const struct weir_request *request = c->request;
  const char *name = strchr(c->lease.model, '/') + 1;
  char model[WEIR_NAME_SIZE + 16];
  int err;

  snprintf(model, sizeof(model), "%s", name);
  if (c->is_openai)
    (void)weir_provider_openai_model(c->provider->kind, name, model, sizeof(model)); /* it fits */
  err = prepare_url(c, model);
  if (err || (weir_provider_rules_of(c->provider->kind)->is_model_in_path && !c->is_openai))
    return err;
  if (!c->has_facts)
    return fail(c, WEIR_ESYNTAX, "the body is not a JSON object, so no model can be put into it");
  if (c->facts.has_model && strcmp(c->facts.model, model) == 0)
    return WEIR_OK;
  c->body = weir_outgoing_body(request->body, request->body_size, &c->facts, model, &c->body_size);
  return c->body ? WEIR_OK : fail(c, WEIR_ENOMEM, "%s", weir_err_text(WEIR_ENOMEM));
}

/* ---- an attempt: the answer ---- */

/* What the provider counts, as far as it is known; what is not known counts as asked for. */
static void fill_usage(const struct call *c, bool is_whole, struct weir_settlement *s)
{
  const struct weir_usage *usage = &c->transfer->scan.usage;

  if (!usage->has_input)
    return;
  s->has_usage = 1;
  s->input_tokens = bounded(weir_usage_input_charged(usage, c->provider->kind));
  if (is_whole)
    s->output_tokens = usage->has_output ? bounded(usage->output_tokens) : 0;
  else
    s->output_tokens =
        c->output_tokens > usage->output_tokens ? c->output_tokens : bounded(usage->output_tokens);
}

/* What the headers say about the limits per minute. */
static void fill_headroom(const struct call *c, struct weir_settlement *s)
{
  const struct weir_transfer *t = c->transfer;
  struct weir_headroom headroom;

  weir_headroom_read(c->provider->kind, t->headers, t->headers_count, &headroom);
  s->requests_limit = headroom.requests_limit;
  s->requests_left = headroom.requests_left;
  s->tokens_limit = headroom.tokens_limit;
  s->tokens_left = headroom.tokens_left;
}

/* The coordinator may want to know of the writing itself, long before the answer. */
static void on_written(struct weir_transfer *t, void *context)
{
  struct call *c = context;
  struct weir_settlement settlement = WEIR_INIT(struct weir_settlement);

  if (!c->lease.is_reported)
    return;
  settlement.is_interim = 1;
  settlement.sent_us = t->sent_at;
  settle(c, &settlement);
}

/* The input is known as soon as a stream begins; settling it early frees what was asked too much,
 * long before the stream ends. Of a probe the beginning itself is what matters. */
static void on_input(struct weir_transfer *t, void *context)
{
  struct call *c = context;
  struct weir_settlement settlement = WEIR_INIT(struct weir_settlement);

  settlement.is_interim = 1;
  settlement.sent_us = t->sent_at;
  settlement.http = (uint32_t)t->http;
  settlement.estimated_tokens = bounded(c->estimated);
  fill_usage(c, false, &settlement);
  fill_headroom(c, &settlement);
  settle(c, &settlement);
}

static void settle_sent(struct call *c, enum weir_outcome outcome)
{
  const struct weir_transfer *t = c->transfer;
  struct weir_settlement s = WEIR_INIT(struct weir_settlement);

  s.outcome = outcome;
  s.http = (uint32_t)(t->http >= 0 && t->http <= 999 ? t->http : 0);
  s.sent_us = t->sent_at;
  s.latency_us = weir_time_sub(t->ended_at, t->sent_at);
  s.estimated_tokens = bounded(c->estimated);
  /* A closed connection ends whole answers and cut ones alike: the answer itself has to tell. */
  fill_usage(c, t->end == WEIR_TRANSFER_DONE && t->scan.is_complete, &s);
  fill_headroom(c, &s);
  if (t->end == WEIR_TRANSFER_DONE && outcome != WEIR_OUTCOME_OK) {
    if (!s.has_usage && !c->verdict.are_tokens_charged)
      s.has_usage = 1; /* nothing: the tokens come back */
    if (c->verdict.has_wait)
      s.retry_after_us =
          c->verdict.wait_us < WEIR_DURATION_MAX ? c->verdict.wait_us : WEIR_DURATION_MAX;
    s.stated_limit = weir_headroom_stated(&c->verdict, &s.stated_used);
  }
  settle(c, &s);
}

static void learn(struct call *c)
{
  const struct weir_transfer *t = c->transfer;
  const struct weir_usage *usage = &t->scan.usage;

  pthread_mutex_lock(&c->w->lock);
  weir_took_learn(weir_memory_took(c->w, c->request->model),
                  weir_time_sub(t->ended_at, t->sent_at));
  /* The whole prompt, also what came from a cache and is not charged: the next call may miss it. */
  if (usage->has_input && c->estimated > 0)
    weir_ratio_learn(weir_memory_ratio(c->w, c->request->model), c->estimated, usage->input_tokens);
  pthread_mutex_unlock(&c->w->lock);
}

static void fill_response(struct call *c)
{
  struct weir_transfer *t = c->transfer;
  struct weir_response *r = c->response;
  const struct weir_usage *usage = &t->scan.usage;

  free(r->body);
  free(r->content_type);
  r->content_type = NULL;
  r->http = (uint32_t)t->http;
  r->has_usage = usage->has_input;
  r->input_tokens = usage->input_tokens;
  r->output_tokens = usage->output_tokens;
  r->latency_us = weir_time_sub(t->ended_at, t->sent_at);
  r->first_us = t->first_at ? weir_time_sub(t->first_at, t->sent_at) : 0;
  snprintf(r->model, sizeof(r->model), "%s", c->lease.model);
  weir_account_fill(c->w, t, r->model, r);
  r->choice = c->lease.choice;
  /* An answer that is empty is a text all the same, which who reads it may rely on. */
  r->body = t->body || t->end != WEIR_TRANSFER_DONE || t->has_passed_on ? t->body : strdup("");
  r->body_size = t->body_size;
  t->body = NULL;
  for (size_t i = 0; i < t->headers_count && !r->content_type; i++) {
    if (strcasecmp(t->headers[i].name, "content-type") == 0)
      r->content_type = strdup(t->headers[i].value);
  }
}

/* A whole answer came. */
static int on_answer(struct call *c)
{
  struct weir_transfer *t = c->transfer;
  const struct weir_answer answer = {.kind = c->provider->kind,
                                     .http = t->http,
                                     .headers = t->headers,
                                     .headers_count = t->headers_count,
                                     .body = c->response->body,
                                     .body_size = c->response->body_size,
                                     .wall_s = (uint64_t)time(NULL)};
  struct weir_verdict *v = &c->verdict;

  if (!weir_usage_verdict(&t->scan, c->provider->kind, v))
    weir_classify(&answer, v);
  c->response->outcome = v->outcome;
  c->response->retry_after_us = v->has_wait ? v->wait_us : 0;
  settle_sent(c, v->outcome);
  weir_keys_reject(c->w, c->provider, v->outcome);
  if (v->outcome == WEIR_OUTCOME_OK) {
    learn(c);
    return WEIR_OK;
  }
  if (weir_outcome_is_quota(v->outcome))
    weir_log(c->w, WEIR_LEVEL_WARNING,
             "%s answered %d (%s) within its budget: is its limit right, and does all traffic "
             "pass weir?",
             c->lease.model, t->http, weir_outcome_name(v->outcome));
  if (v->outcome == WEIR_OUTCOME_AUTH && !c->provider->key)
    return fail(c, WEIR_EUPSTREAM, "%s answered %d, and no key was sent: set %s", c->lease.model,
                t->http, key_place(c->provider));
  return fail(c, WEIR_EUPSTREAM, "%s answered %d: %s", c->lease.model, t->http,
              weir_outcome_name(v->outcome));
}

static int on_end(struct call *c)
{
  struct weir_transfer *t = c->transfer;
  enum weir_outcome outcome = WEIR_OUTCOME_NETWORK;

  memset(&c->verdict, 0, sizeof(c->verdict));
  c->has_passed_on = c->has_passed_on || t->has_passed_on;
  c->response->attempts += t->is_sent ? 1 : 0;
  if (t->is_sent)
    fill_response(c);
  if (t->end == WEIR_TRANSFER_DONE)
    return on_answer(c);
  if (t->end == WEIR_TRANSFER_REFUSED || t->end == WEIR_TRANSFER_CLOSED)
    outcome = WEIR_OUTCOME_CANCELLED;
  else if (t->end == WEIR_TRANSFER_TIMED_OUT && t->is_sent)
    outcome = WEIR_OUTCOME_DEADLINE;
  if (t->is_sent) {
    c->response->outcome = outcome;
    settle_sent(c, outcome);
  } else {
    settle_unsent(c, outcome);
  }
  c->verdict.outcome = outcome;
  c->verdict.is_retryable = weir_outcome_is_retryable(outcome);
  switch (t->end) {
  case WEIR_TRANSFER_EXPIRED:
    return fail(c, WEIR_EEXPIRED, "connecting to %s takes longer than a lease is valid",
                c->provider->name);
  case WEIR_TRANSFER_TIMED_OUT:
    return fail(c, weir_now() >= c->deadline ? WEIR_ETIMEOUT : WEIR_ENETWORK,
                "no whole answer from %s in time", c->lease.model);
  case WEIR_TRANSFER_REFUSED:
    return fail(c, WEIR_ECANCELLED, "on_data wanted no more");
  case WEIR_TRANSFER_CLOSED:
    return fail(c, WEIR_ECLOSED, "%s", weir_err_text(WEIR_ECLOSED));
  case WEIR_TRANSFER_TOO_LARGE:
    return fail(c, WEIR_ERANGE, "the answer of %s is above 256 MiB", c->lease.model);
  case WEIR_TRANSFER_NO_MEMORY:
    return fail(c, WEIR_ENOMEM, "%s", weir_err_text(WEIR_ENOMEM));
  case WEIR_TRANSFER_DONE:
  case WEIR_TRANSFER_FAILED:
  default:
    return fail(c, WEIR_ENETWORK, "%s: %s", c->lease.model, t->error);
  }
}

/* The earliest of what the caller, the route and the whole call allow. */
static weir_tstamp transfer_deadline(const struct call *c)
{
  const weir_duration timeouts[] = {c->request->timeout_ms * WEIR_US_PER_MS, c->lease.timeout_us};
  const weir_tstamp now = weir_now();
  weir_tstamp deadline = c->deadline;

  for (int i = 0; i < 2; i++) {
    if (timeouts[i] > 0 && weir_time_add(now, timeouts[i]) < deadline)
      deadline = weir_time_add(now, timeouts[i]);
  }
  return deadline;
}

static int transfer(struct call *c)
{
  struct weir_transfer *t = calloc(1, sizeof(*t));

  if (!t) {
    settle_unsent(c, WEIR_OUTCOME_CANCELLED);
    return fail(c, WEIR_ENOMEM, "%s", weir_err_text(WEIR_ENOMEM));
  }
  c->stage = STAGE_TRANSFER;
  c->transfer = t;
  t->w = c->w;
  t->provider = c->provider;
  t->url = c->url;
  t->is_openai = c->is_openai;
  t->request = c->body ? c->body : c->request->body;
  t->request_size = c->body ? c->body_size : c->request->body_size;
  t->expires_at = c->lease.expires_us;
  t->deadline = transfer_deadline(c);
  t->on_data = c->request->on_data;
  t->on_data_context = c->request->on_data_context;
  t->on_written = on_written;
  t->on_first = c->lease.is_probe ? on_input : NULL;
  t->on_input = on_input;
  t->told_context = c;
  weir_transfer_run(t);
  return on_end(c);
}

static int attempt(struct call *c)
{
  int err;

  c->stage = STAGE_LEASE;
  err = lease(c);
  if (err)
    return err;
  c->stage = STAGE_PREPARE;
  err = find_provider(c, c->lease.model);
  if (err == WEIR_ENOENT)
    err = WEIR_ECONFIG;
  if (!err)
    err = prepare(c);
  if (err)
    settle_unsent(c, WEIR_OUTCOME_CANCELLED);
  else
    err = transfer(c);
  return err;
}

static void end_attempt(struct call *c)
{
  weir_provider_entry_free(c->provider);
  free(c->body);
  weir_transfer_free(c->transfer);
  c->provider = NULL;
  c->body = NULL;
  c->transfer = NULL;
}

/* ---- between attempts ---- */

static bool is_retry(struct call *c, const struct weir_retry_failure *failure)
{
  const struct weir_retry_policy defaults = WEIR_RETRY_POLICY_DEFAULT;
  const weir_tstamp now = weir_now();
  struct weir_retry_policy policy = defaults;
  struct weir_retry retry;

  policy.retries_max = c->w->retries_max;
  pthread_mutex_lock(&c->w->lock);
  retry = weir_retry_next(&policy, &c->track, failure, weir_time_sub(c->deadline, now), &c->w->rng);
  pthread_mutex_unlock(&c->w->lock);
  c->retry_at = weir_time_add(now, retry.after_us);
  return retry.what != WEIR_RETRY_STOP;
}

/* Decides on another attempt after |err| and sets its instant. */
static bool is_again(struct call *c, int err)
{
  struct weir_retry_failure failure = {.choice = c->lease.choice, .choices = c->lease.choices};

  if (c->stage == STAGE_LEASE || c->has_passed_on)
    return false;
  if (c->stage == STAGE_PREPARE) /* this program cannot use the choice */
    return err == WEIR_ECONFIG && is_retry(c, &failure);
  if (err == WEIR_EEXPIRED) {
    c->retry_at = weir_now();
    return ++c->expiries < EXPIRIES_MAX;
  }
  c->expiries = 0;
  if (err != WEIR_ENETWORK && err != WEIR_EUPSTREAM)
    return false;
  c->failure = err;
  memcpy(c->failure_text, c->response->error, sizeof(c->failure_text));
  if (weir_keys_is_again(c->w, c->provider, c->verdict.outcome, c->track.failures + 1)) {
    c->track.failures++;
    c->retry_at = weir_now();
    return true;
  }
  failure.outcome = c->verdict.outcome;
  failure.is_retryable = c->verdict.is_retryable;
  failure.has_wait = c->verdict.has_wait;
  failure.wait_us = c->verdict.wait_us;
  return is_retry(c, &failure);
}

/* Waits for the next attempt's instant; false when the handle was closed or drained meanwhile. */
static bool wait_for_retry(struct call *c)
{
  struct weir *w = c->w;
  const weir_tstamp from = weir_now();
  bool may_go_on;
  weir_tstamp now;

  pthread_mutex_lock(&w->lock);
  while ((may_go_on = !w->is_closed && !w->is_drained) && (now = weir_now()) < c->retry_at) {
    const weir_duration left = c->retry_at - now;
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(left / WEIR_US_PER_S);
    until.tv_nsec += (long)(left % WEIR_US_PER_S) * 1000;
    if (until.tv_nsec >= 1000000000) {
      until.tv_nsec -= 1000000000;
      until.tv_sec++;
    }
    pthread_cond_timedwait(&w->woken, &w->lock, &until);
  }
  pthread_mutex_unlock(&w->lock);
  c->response->wait_us += weir_time_sub(weir_now(), from);
  return may_go_on;
}

/* A new attempt that could not be made ends the call with the failure that it was to mend. */
static int conclude(struct call *c, int err)
{
  struct weir_response *r = c->response;
  char reason[sizeof(r->error)];

  if (err == WEIR_OK) {
    r->error[0] = '\0';
    return err;
  }
  if (!c->failure || err == WEIR_ECANCELLED || err == WEIR_ECLOSED ||
      (c->stage == STAGE_TRANSFER && err != WEIR_EEXPIRED))
    return err;
  memcpy(reason, r->error, sizeof(reason));
  return fail(c, c->failure, "%.120s; then: %.120s", c->failure_text, reason);
}

static void recall_preference(struct call *c)
{
  if (!c->request->sticky)
    return;
  pthread_mutex_lock(&c->w->lock);
  weir_memory_stuck(c->w, c->request->model, c->request->sticky, c->prefer);
  pthread_mutex_unlock(&c->w->lock);
}

static void remember_preference(struct call *c)
{
  if (!c->request->sticky || c->lease.choice == 0)
    return;
  pthread_mutex_lock(&c->w->lock);
  weir_memory_stick(c->w, c->request->model, c->request->sticky, c->lease.model);
  pthread_mutex_unlock(&c->w->lock);
}

static int run(struct call *c)
{
  bool is_next;
  int err = find_provider(c, c->request->model);

  /* What is wrong already needs no lease; what is not found may be a route. */
  if (err && err != WEIR_ENOENT) {
    end_attempt(c);
    return err;
  }
  c->is_openai = c->request->protocol != NULL;
  c->track.failures = c->request->attempts;
  estimate(c, c->provider ? c->provider->kind : 0);
  recall_preference(c);
  end_attempt(c);
  do {
    err = attempt(c);
    is_next = err && is_again(c, err);
    end_attempt(c);
  } while (is_next && wait_for_retry(c));
  if (!err)
    remember_preference(c);
  return conclude(c, err);
}

/* A call of the host that is inside; |c| has its request and response. */
static int serve(struct call *c)
{
  const struct weir_request *request = c->request;
  const uint64_t max_wait_ms = request->max_wait_ms ? request->max_wait_ms : c->w->max_wait_ms;
  struct weir_response failed;
  struct weir_calllog line = {0};
  int err;

  c->started_at = weir_now();
  c->deadline = weir_time_add(c->started_at, max_wait_ms * WEIR_US_PER_MS);
  err = run(c);
  line.err = err;
  line.queue_us = c->queue_us;
  failed = *c->response; /* its numbers: what stands in for its answer replaces the rest */
  if (!err)
    weir_degrade_keep(c->w, request, c->response);
  else if (!c->has_passed_on)
    err = weir_degrade(c->w, request, err, c->response);
  line.is_degraded = c->response->degraded != WEIR_DEGRADED_NONE;
  weir_account_log(c->w, request, &c->lease, &failed, line);
  return err;
}

static bool is_response_size(size_t size)
{
  return size == WEIR_RESPONSE_SIZE_FIRST || size == sizeof(struct weir_response);
}

/* Gives the caller as much of |response| as its program knows. */
static void response_write(const struct weir_response *response, struct weir_response *ret_response)
{
  const size_t size = ret_response->size;

  memcpy(ret_response, response, size);
  ret_response->size = size;
}

int weir_call(struct weir *w, const struct weir_request *request,
              struct weir_response *ret_response)
{
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_request own;
  struct call c = {.w = w, .request = &own, .response = &response};
  int err;

  if (!w || !request || !ret_response || !is_response_size(ret_response->size) ||
      !weir_sized_read(request, WEIR_REQUEST_SIZE_FIRST, &own, sizeof(own)))
    return WEIR_EINVAL;
  err = check_request(&own);
  if (err == WEIR_EINVAL)
    return err;
  weir_response_free(ret_response);
  if (!err)
    err = weir_enter(w);
  if (err) {
    fail(&c, err, "%s", weir_err_text(err));
    response_write(&response, ret_response);
    return err;
  }
  pthread_mutex_unlock(&w->lock);
  err = serve(&c);
  response_write(&response, ret_response);
  pthread_mutex_lock(&w->lock);
  weir_leave(w);
  return err;
}

/* A size that nobody set counts as the least there ever was. */
void weir_response_free(struct weir_response *response)
{
  size_t size;

  if (!response)
    return;
  size = response->size == sizeof(*response) ? sizeof(*response) : WEIR_RESPONSE_SIZE_FIRST;
  free(response->body);
  free(response->content_type);
  memset(response, 0, size);
  response->size = size;
}
