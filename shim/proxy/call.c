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
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay.h"

#define OUTPUT_TOKENS_DEFAULT 1024
#define HEADERS_MAX           128
#define NO_PROVIDER           "weir: no provider is at this path"

/* ---- answers of our own ---- */

void weir_call_refuse(struct weir_proxy_call *c, const struct weir_rejection *rejection)
{
  char body[768], retry[24], seconds[24];
  struct weir_http_header headers[5] = {{"Content-Type", "application/json"}};
  uint32_t count = 1;
  struct weir_put put;

  c->state = CALL_ENDED;
  c->p->counters.refused++;
  if (c->log.err == WEIR_OK) /* neither a lease nor a provider was in the way */
    c->log.err = rejection->status == 503 ? WEIR_ENOMEM : WEIR_EINVAL;
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

void weir_call_refuse_text(struct weir_proxy_call *c, uint32_t status, const char *text)
{
  struct weir_rejection rejection;

  weir_rejection_make(status, text, &rejection);
  weir_call_refuse(c, &rejection);
}

/* ---- the end ---- */

void weir_call_body_free(struct weir_proxy_call *c)
{
  if (c->spool.is_open)
    weir_http_server_spool_give(c->p->server, c->spool.size);
  else
    free(c->body);
  weir_spool_close(&c->spool);
  c->body = NULL;
}

void weir_call_forget(struct weir_proxy_call *c)
{
  weir_call_body_free(c);
  free(c->scan);
  free(c->filter);
  free(c->kept);
  c->kept = NULL;
  c->scan = NULL;
  c->filter = NULL;
  c->kept_size = c->kept_capacity = 0;
  c->is_input_told = c->is_unheaded = false;
}

static void on_timer_closed(uv_handle_t *handle)
{
  free(handle->data);
}

void weir_call_over(struct weir_proxy_call *c, bool is_sent)
{
  struct weir_proxy *p = c->p;

  if (!is_sent && c->state != CALL_ENDED) {
    p->counters.cancelled++;
    c->log.err = WEIR_ECANCELLED;
  }
  if (c->state == CALL_WAITING)
    weir_proxy_unwait(p, c->acquire);
  if (c->fetch) {
    weir_call_settle_cut(c, WEIR_OUTCOME_CANCELLED);
    weir_fetch_cancel(c->fetch);
  }
  weir_call_log_write(c);
  weir_call_forget(c);
  free(c->upload);
  p->calls_open--;
  uv_timer_stop(&c->timer);
  uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

static void pass_unleased(struct weir_proxy_call *c)
{
  c->p->counters.unleased++;
  c->has_lease = false;
  c->provider = &c->p->config->providers[c->path.mount];
  weir_call_send(c);
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
  if (!weir_path_is_spoken(c->provider->kind, &c->path))
    return "weir: the route leads to a provider that does not speak this request's protocol";
  if (!c->is_key_ours)
    return "weir: the route leads to another provider, for which the request brings no key";
  if (!c->provider->keys)
    return "weir: the route leads to a provider for which this proxy has no key";
  return NULL;
}

static void on_granted(struct weir_proxy_call *c, const struct weir_lease *lease)
{
  const struct weir_retry_failure unusable = {.choice = lease->choice, .choices = lease->choices};
  const char *flaw;

  c->p->counters.leases++;
  c->lease = *lease;
  c->has_lease = true;
  if (c->estimated > 0)
    weir_ratio_seed(weir_proxy_ratio(c->p, c->model), lease->ratio_pm, lease->ratio_error_pm);
  c->provider = provider_of(c);
  flaw = lease_flaw(c);
  if (!flaw) {
    weir_call_send(c);
    return;
  }
  weir_call_settle(c, NULL);
  if (!weir_call_retry(c, &unusable)) /* another model of the route */
    weir_call_refuse_text(c, 502, flaw);
}

static bool is_passed_unknown(const struct weir_proxy_call *c)
{
  return c->path.operation == WEIR_OPERATION_OTHER || c->path.operation == WEIR_OPERATION_COUNT ||
         c->p->config->is_unknown_passed;
}

static uint64_t bounded(uint64_t tokens)
{
  return tokens < WEIR_TOKENS_MAX ? tokens : WEIR_TOKENS_MAX;
}

/* By what was learned of calls of that name. */
static void input_correct(struct weir_proxy_call *c)
{
  if (c->estimated > 0)
    c->input_tokens = bounded(weir_ratio_apply(weir_proxy_ratio(c->p, c->model), c->estimated));
}

/* The model as the client names it, which may be a route or a pool of the coordinator. */
static bool bare_try(struct weir_proxy_call *c)
{
  const char *slash = strchr(c->model, '/');

  if (c->is_bare_tried || c->wishes.route[0] != '\0' || !slash)
    return false;
  c->is_bare_tried = true;
  memmove(c->model, slash + 1, strlen(slash + 1) + 1);
  input_correct(c);
  return true;
}

/* No lease: a new attempt that is denied does not hide what it was to mend. */
static void lease_refuse(struct weir_proxy_call *c, int err, const struct weir_denied *denied)
{
  struct weir_rejection rejection;
  char text[224];

  weir_rejection_of_lease(err, denied, &c->p->rng, &rejection);
  if (c->failed_http == 0) {
    c->log.err = err;
    c->log.denial = denied && err == WEIR_EDENIED ? denied->why : 0;
  } else {
    snprintf(text, sizeof(text), "weir: %s; then: %.110s", c->failed_text, rejection.text);
    weir_rejection_make(c->failed_http, text, &rejection);
  }
  weir_call_refuse(c, &rejection);
}

void weir_call_outage(struct weir_proxy_call *c)
{
  weir_proxy_unwait(c->p, c->acquire);
  lease_refuse(c, WEIR_EUNREACHABLE, NULL);
}

void weir_call_lease(struct weir_proxy_call *c, const struct weir_lease *lease)
{
  c->wait_us += lease->wait_us;
  c->log.queue_us += lease->wait_us;
  if (lease->err == WEIR_OK) {
    on_granted(c, lease);
    return;
  }
  if (lease->err == WEIR_EDENIED && lease->denied.why == WEIR_DENIAL_NO_POOL) {
    if (bare_try(c)) {
      weir_call_ask(c);
      return;
    }
    if (is_passed_unknown(c)) {
      pass_unleased(c);
      return;
    }
  }
  lease_refuse(c, lease->err, &lease->denied);
}

void weir_call_ask(struct weir_proxy_call *c)
{
  struct weir_ask ask = WEIR_INIT(struct weir_ask);
  int err;

  if (weir_proxy_is_down(c->p)) {
    lease_refuse(c, WEIR_EUNREACHABLE, NULL);
    return;
  }
  c->has_lease = false;
  ask.model = c->model;
  ask.work_class = c->wishes.work_class;
  ask.input_tokens = c->input_tokens;
  ask.output_tokens = c->output_tokens;
  ask.max_wait_ms = weir_time_sub(c->deadline, weir_now_us()) / WEIR_US_PER_MS + 1;
  ask.attempts = c->wishes.attempts + c->attempts < WEIR_ATTEMPTS_MAX
                     ? c->wishes.attempts + c->attempts
                     : WEIR_ATTEMPTS_MAX;
  ask.avoid = c->track.avoid;
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
  lease_refuse(c, err, NULL);
}

/* ---- the request ---- */

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
  input_correct(c);
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

/* The request's headers in the form of the rules. */
static size_t headers_of(const struct weir_http_request *request,
                         struct weir_header ret_headers[HEADERS_MAX])
{
  size_t count = 0;

  for (; count < request->header_count && count < HEADERS_MAX; count++)
    ret_headers[count] =
        (struct weir_header){request->headers[count].name, request->headers[count].value};
  return count;
}

/* Whose key goes upstream. NULL, or why none does. */
static const char *key_choose(const struct weir_proxy_config *config,
                              const struct weir_http_request *request, const struct weir_path *path,
                              bool *ret_is_ours)
{
  struct weir_header headers[HEADERS_MAX];
  struct weir_keys keys = {.headers = headers};
  enum weir_key whose;

  keys.header_count = headers_of(request, headers);
  keys.query = weir_path_key(request->target, path, &keys.query_size);
  whose = weir_relay_key_choose(&keys, config->token, config->is_wide);
  *ret_is_ours = whose == WEIR_KEY_OURS;
  if (whose == WEIR_KEY_NONE)
    return "weir: the key is not that of this proxy";
  if (*ret_is_ours && !config->providers[path->mount].keys)
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

static bool path_read(const struct weir_proxy_config *config,
                      const struct weir_http_request *request, struct weir_path *ret_path)
{
  return weir_path_read(request->method, request->target, config->mounts, config->provider_count,
                        kind_hint(request), ret_path);
}

bool weir_call_is_streamed(const struct weir_proxy *p, const struct weir_http_request *request)
{
  struct weir_path path;

  return path_read(p->config, request, &path) &&
         weir_upload_is_unread(&path, weir_http_request_header(request, "x-weir-route"),
                               weir_http_request_header(request, "content-type"),
                               request->body_size, p->config->body_memory_kib << 10);
}

static void refusal_make(enum weir_protocol protocol, const struct weir_rejection *rejection,
                         struct weir_http_refusal *ret_refusal)
{
  static const struct weir_http_header final[] = {
      {"Content-Type", "application/json"}, {"x-weir-refused", "1"}, {"x-should-retry", "false"}};
  static const struct weir_http_header again[] = {{"Content-Type", "application/json"},
                                                  {"x-weir-refused", "1"},
                                                  {"x-should-retry", "true"},
                                                  {"retry-after-ms", "1000"},
                                                  {"retry-after", "1"}};
  struct weir_put put;

  weir_put_init(&put, ret_refusal->body, sizeof(ret_refusal->body));
  weir_rejection_put(&put, protocol, rejection);
  ret_refusal->size = put.size;
  ret_refusal->status = rejection->status;
  ret_refusal->headers = rejection->is_retried ? again : final;
  ret_refusal->header_count =
      rejection->is_retried ? sizeof(again) / sizeof(again[0]) : sizeof(final) / sizeof(final[0]);
}

bool weir_call_is_welcome(struct weir_proxy *p, const struct weir_http_request *request,
                          struct weir_http_refusal *ret_refusal)
{
  struct weir_path path = {.protocol = WEIR_PROTOCOL_OPENAI};
  struct weir_rejection rejection;
  const bool has_path = path_read(p->config, request, &path);
  const char *flaw;
  bool is_ours;

  flaw = has_path ? key_choose(p->config, request, &path, &is_ours) : NO_PROVIDER;
  if (!flaw)
    return true;
  p->counters.requests += has_path;
  p->counters.refused++;
  weir_rejection_make(has_path ? 401 : 404, flaw, &rejection);
  refusal_make(path.protocol, &rejection, ret_refusal);
  return false;
}

void weir_call_refuse_full(struct weir_proxy *p, const struct weir_http_request *request,
                           struct weir_http_refusal *ret_refusal)
{
  struct weir_path path = {.protocol = WEIR_PROTOCOL_OPENAI};
  struct weir_rejection rejection;

  p->counters.requests += path_read(p->config, request, &path);
  p->counters.refused++;
  weir_rejection_no_room(&rejection);
  refusal_make(path.protocol, &rejection, ret_refusal);
}

/* Reads the request into |c|. False: it was answered. */
static bool request_read(struct weir_proxy_call *c)
{
  const struct weir_http_request *request = weir_http_exchange_request(c->x);
  struct weir_header headers[HEADERS_MAX];
  const char *flaw;
  char text[128];
  size_t size;
  const char *body = weir_http_exchange_body(c->x, &size);

  flaw = weir_wishes_read(headers, headers_of(request, headers), &c->wishes);
  if (flaw) {
    snprintf(text, sizeof(text), "weir: the header %.64s is not understood", flaw);
    weir_call_refuse_text(c, 400, text);
    return false;
  }
  c->p->counters.sdk_retries += c->wishes.attempts > 0;
  c->track.failures = c->wishes.attempts;
  flaw = key_choose(c->p->config, request, &c->path, &c->is_key_ours);
  if (flaw) {
    weir_call_refuse_text(c, 401, flaw);
    return false;
  }
  if (c->upload)
    return true; /* no lease, whatever comes */
  c->has_facts = weir_request_scan(body, size, &c->facts) == WEIR_OK;
  if (!c->path.has_model && !(c->has_facts && c->facts.has_model) && c->wishes.route[0] == '\0')
    return true; /* no model, no pool */
  if (!model_name(c)) {
    weir_call_refuse_text(c, 400, "weir: the model's name is too long");
    return false;
  }
  estimate(c, body, size);
  weir_http_exchange_body_relax(c->x); /* it may wait long for its turn */
  return true;
}

static struct weir_proxy_call *call_new(bool is_streamed)
{
  struct weir_proxy_call *c = calloc(1, sizeof(*c));

  if (!c || !is_streamed)
    return c;
  c->upload = malloc(sizeof(*c->upload));
  if (!c->upload) {
    free(c);
    return NULL;
  }
  weir_upload_init(c->upload);
  return c;
}

void weir_call_begin(struct weir_proxy *p, struct weir_http_exchange *x)
{
  const struct weir_http_request *request = weir_http_exchange_request(x);
  struct weir_proxy_call *c = call_new(weir_http_exchange_is_streamed(x));

  if (!c) {
    weir_http_exchange_abort(x);
    return;
  }
  c->p = p;
  c->x = x;
  c->state = CALL_ENDED;
  c->wishes.work_class = WEIR_CLASS_ONLINE; /* where they cannot be read */
  (void)uv_timer_init(p->loop, &c->timer);
  c->timer.data = c;
  p->calls_open++;
  weir_http_exchange_set_data(x, c);
  if (!path_read(p->config, request, &c->path)) {
    weir_call_refuse_text(c, 404, NO_PROVIDER);
    return;
  }
  p->counters.requests++;
  if (!request_read(c))
    return;
  c->deadline = weir_time_add(weir_now_us(), deadline_ms(c) * WEIR_US_PER_MS);
  if (c->model[0] != '\0')
    weir_call_ask(c);
  else if (c->path.operation == WEIR_OPERATION_OTHER || c->path.operation == WEIR_OPERATION_COUNT)
    pass_unleased(c);
  else
    weir_call_refuse_text(c, 400, "weir: the body is not a JSON object with a \"model\"");
}
