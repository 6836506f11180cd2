#include "proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <weir/spool.h>

#include "pricefile.h"
#include "upload.h"

#define PROBE_MS      2000 /* between probes, in modes that do not wait */
#define PROBE_WAIT_MS 1000
#define LINGER_MS     1000 /* for requests that are on their way when a drain begins */
#define PROBE_MODEL   "weir/is-anybody-there" /* no pool has it, so that it costs nothing */

/* ---- what the proxy says itself ---- */

static void say(struct weir_http_exchange *x, uint32_t status, const char *type, const char *text)
{
  const struct weir_http_header headers[] = {{"Content-Type", type}, {"Cache-Control", "no-store"}};

  if (weir_http_exchange_respond(x, status, headers, 2, text, strlen(text)) != WEIR_OK)
    weir_http_exchange_abort(x);
}

static void say_ready(const struct weir_proxy *p, struct weir_http_exchange *x)
{
  if (p->is_draining)
    say(x, 503, "text/plain", "draining\n");
  else if (p->is_reachable)
    say(x, 200, "text/plain", "ready\n");
  else
    say(x, 503, "text/plain", "the coordinator does not answer\n");
}

static void say_stats(const struct weir_proxy *p, struct weir_http_exchange *x)
{
  char text[1024];
  struct weir_put put;

  weir_put_init(&put, text, sizeof(text));
  weir_put_text(&put, "{\"open\":");
  weir_put_number(&put, p->calls_open);
  weir_put_text(&put, ",\"waiting\":");
  weir_put_number(&put, p->waits.count);
#define X(name)                                                                                    \
  weir_put_text(&put, ",\"" #name "\":");                                                          \
  weir_put_number(&put, p->counters.name);
  WEIR_PROXY_COUNTER_LIST(X)
#undef X
  weir_put_text(&put, "}\n");
  say(x, 200, "application/json", text);
}

/* ---- is the coordinator there? ---- */

static void probe(struct weir_proxy *p)
{
  struct weir_ask ask = WEIR_INIT(struct weir_ask);

  if (p->probe_id || p->waits.count >= WEIR_PROXY_WAITS_MAX)
    return;
  ask.model = PROBE_MODEL;
  ask.max_wait_ms = PROBE_WAIT_MS;
  if (weir_acquire_start(p->weir, &ask, &p->probe_id) != WEIR_OK)
    p->probe_id = 0;
}

static void on_probe_timer(uv_timer_t *timer)
{
  probe(timer->data);
}

static void tell_outage(struct weir_proxy *p)
{
  fprintf(stderr, "weir-proxy: the coordinator does not answer%s\n",
          p->config->outage == WEIR_OUTAGE_CLOSED
              ? ": calls are refused"
              : ": calls wait, go on as islands, or do what their pool says");
  p->is_unlimited = false;
  if (p->config->outage != WEIR_OUTAGE_CLOSED)
    return;
  for (uint32_t i = 0; i < WEIR_PROXY_WAITS_MAX; i++)
    if (p->waiting[i])
      weir_call_outage(p->waiting[i]);
}

static void reachable_set(struct weir_proxy *p, bool is_reachable)
{
  const bool is_change = !p->is_known || p->is_reachable != is_reachable;
  const bool was_known = p->is_known;

  p->is_known = true;
  p->is_reachable = is_reachable;
  if (is_change && !is_reachable)
    tell_outage(p);
  else if (is_change && was_known)
    fprintf(stderr, "weir-proxy: the coordinator answers again\n");
}

static void probed(struct weir_proxy *p, const struct weir_lease *lease)
{
  p->probe_id = 0;
  reachable_set(p, lease->err == WEIR_EDENIED);
  while (p->asking_count > 0)
    say_ready(p, p->asking[--p->asking_count]);
}

static void ready_ask(struct weir_proxy *p, struct weir_http_exchange *x)
{
  probe(p);
  if (p->probe_id && p->asking_count < sizeof(p->asking) / sizeof(p->asking[0]))
    p->asking[p->asking_count++] = x;
  else
    say_ready(p, x);
}

static void ready_forget(struct weir_proxy *p, const struct weir_http_exchange *x)
{
  for (uint32_t i = 0; i < p->asking_count; i++)
    if (p->asking[i] == x)
      p->asking[i--] = p->asking[--p->asking_count];
}

bool weir_proxy_is_down(const struct weir_proxy *p)
{
  return p->is_known && !p->is_reachable && p->config->outage == WEIR_OUTAGE_CLOSED;
}

/* ---- leases ---- */

bool weir_proxy_wait(struct weir_proxy *p, uint64_t id, struct weir_proxy_call *call)
{
  uint32_t place;

  if (p->free_count == 0)
    return false;
  place = p->free_places[p->free_count - 1];
  if (weir_table_put(&p->waits, id, place) != WEIR_OK)
    return false;
  p->free_count--;
  p->waiting[place] = call;
  return true;
}

/* NULL for an acquire that nobody waits for any more. */
static struct weir_proxy_call *waiting_take(struct weir_proxy *p, uint64_t id)
{
  struct weir_proxy_call *call;
  uint32_t place;

  if (!weir_table_find(&p->waits, id, &place))
    return NULL;
  weir_table_remove(&p->waits, id);
  call = p->waiting[place];
  p->waiting[place] = NULL;
  p->free_places[p->free_count++] = place;
  return call;
}

void weir_proxy_unwait(struct weir_proxy *p, uint64_t id)
{
  if (waiting_take(p, id))
    (void)weir_cancel(p->weir, id); /* over already: its result is in the queue */
}

static void on_lease(struct weir_proxy *p, const struct weir_lease *lease)
{
  struct weir_proxy_call *call;

  if (lease->id == p->probe_id) {
    probed(p, lease);
    return;
  }
  if ((lease->err == WEIR_OK && !lease->is_island && !lease->is_unlimited) ||
      lease->err == WEIR_EDENIED)
    reachable_set(p, true);
  else if (lease->err == WEIR_EUNREACHABLE || lease->is_unlimited)
    reachable_set(p, false);
  if (lease->is_unlimited && !p->is_unlimited)
    fprintf(stderr, "weir-proxy: calls of pool %s pass WITHOUT LIMIT, as it says\n", lease->pool);
  p->is_unlimited = p->is_unlimited || lease->is_unlimited;
  call = waiting_take(p, lease->id);
  if (call)
    weir_call_lease(call, lease);
  else if (lease->err == WEIR_OK)
    (void)weir_settle(p->weir, lease, NULL); /* unsent: its client is gone */
}

static void on_leases(uv_poll_t *poll, int status, int events)
{
  struct weir_proxy *p = poll->data;
  struct weir_lease lease = WEIR_INIT(struct weir_lease);

  (void)status;
  (void)events;
  while (weir_acquire_next(p->weir, &lease) == WEIR_OK)
    on_lease(p, &lease);
}

/* ---- estimates ---- */

struct weir_ratio *weir_proxy_ratio(struct weir_proxy *p, const char *model)
{
  struct weir_proxy_ratio *oldest = &p->ratios[0];

  for (size_t i = 0; i < WEIR_PROXY_RATIOS_MAX; i++) {
    struct weir_proxy_ratio *r = &p->ratios[i];

    if (r->used && strcmp(r->model, model) == 0) {
      r->used = ++p->ratios_used;
      return &r->ratio;
    }
    if (r->used < oldest->used)
      oldest = r;
  }
  snprintf(oldest->model, sizeof(oldest->model), "%s", model);
  oldest->used = ++p->ratios_used;
  weir_ratio_init(&oldest->ratio);
  return &oldest->ratio;
}

/* ---- the server ---- */

/* What the proxy answers itself, without asking for a token. */
static bool is_own(const char *target)
{
  return strcmp(target, "/healthz") == 0 || strcmp(target, "/readyz") == 0 ||
         strcmp(target, "/stats") == 0;
}

static void on_request(struct weir_http_exchange *x, void *context)
{
  struct weir_proxy *p = context;
  const char *target = weir_http_exchange_request(x)->target;

  if (strcmp(target, "/healthz") == 0)
    say(x, 200, "text/plain", "ok\n");
  else if (strcmp(target, "/readyz") == 0)
    ready_ask(p, x);
  else if (strcmp(target, "/stats") == 0)
    say_stats(p, x);
  else
    weir_call_begin(p, x);
}

/* Who has to bring the token and does not is told before a body is taken in. */
static enum weir_http_intake on_head(const struct weir_http_request *request,
                                     struct weir_http_refusal *ret_refusal, void *context)
{
  struct weir_proxy *p = context;

  if (is_own(request->target) && (!p->config->is_wide || request->body_size == 0))
    return WEIR_HTTP_WHOLE;
  if (p->config->is_wide && !weir_call_is_welcome(p, request, ret_refusal))
    return WEIR_HTTP_REFUSED;
  return weir_call_is_streamed(p, request) ? WEIR_HTTP_STREAMED : WEIR_HTTP_WHOLE;
}

static void on_body(struct weir_http_exchange *x, const void *bytes, size_t size, void *context)
{
  (void)context;
  weir_call_body(weir_http_exchange_data(x), bytes, size);
}

static void on_full(const struct weir_http_request *request, struct weir_http_refusal *ret_refusal,
                    void *context)
{
  weir_call_refuse_full(context, request, ret_refusal);
}

static void on_drain(struct weir_http_exchange *x, void *context)
{
  (void)context;
  if (weir_http_exchange_data(x))
    weir_call_drained(weir_http_exchange_data(x));
}

static void on_close(struct weir_http_exchange *x, bool is_sent, void *context)
{
  if (weir_http_exchange_data(x))
    weir_call_over(weir_http_exchange_data(x), is_sent);
  else
    ready_forget(context, x);
}

/* Tells, rather than fails: without such files all works as with them, in memory. */
static void spool_try(const char *folder)
{
  struct weir_spool spool;

  if (!weir_spool_open(&spool, folder))
    fprintf(stderr, "weir-proxy: spool_dir: %s: %s; large requests stay in memory\n", folder,
            strerror(errno));
  weir_spool_close(&spool);
}

static bool server_open(struct weir_proxy *p, char *error, size_t error_size)
{
  struct weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_DEFAULT;
  const struct weir_proxy_config *config = p->config;

  options.handler = (struct weir_http_handler){.context = p,
                                               .on_head = on_head,
                                               .on_full = on_full,
                                               .on_body = on_body,
                                               .on_request = on_request,
                                               .on_drain = on_drain,
                                               .on_close = on_close};
  options.limits.body_bytes_max = config->body_mib_max << 20;
  options.limits.input_bytes_max = WEIR_UPLOAD_PIECE_MAX;
  if (options.bodies_bytes_max < 4 * options.limits.body_bytes_max)
    options.bodies_bytes_max = 4 * options.limits.body_bytes_max;
  spool_try(config->spool_dir);
  options.spool_folder = config->spool_dir;
  options.spool_bytes = config->body_memory_kib << 10;
  options.spool_bytes_max = config->spool_mib_max << 20;
  options.socket_fd = config->socket_fd;
  options.host = config->socket_fd || config->host[0] == '\0' ? NULL : config->host;
  options.port = config->port;
  options.is_port_shared = config->is_port_shared;
  options.unix_path = config->socket_fd ? NULL : config->unix_path;
  options.unix_mode = 0660;
  options.linger_ms = LINGER_MS;
  options.head_ms = (uint32_t)config->head_ms;
  options.stall_ms = (uint32_t)config->stall_ms;
  options.connections_max = (uint32_t)config->connections_max;
  return weir_http_server_open(p->loop, &options, &p->server, error, error_size) == WEIR_OK;
}

/* ---- open and close ---- */

static void on_log(void *context, enum weir_level level, const char *text)
{
  (void)context;
  if (level <= WEIR_LEVEL_WARNING)
    fprintf(stderr, "weir-proxy: %s\n", text);
}

static bool weir_handle_open(struct weir_proxy *p, char *error, size_t error_size)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  int err;

  options.coordinator = p->config->coordinator;
  options.log = on_log;
  options.without_coordinator = p->config->outage == WEIR_OUTAGE_CLOSED ? WEIR_WITHOUT_CLOSED
                                : p->config->outage == WEIR_OUTAGE_WAIT ? WEIR_WITHOUT_WAIT
                                                                        : 0;
  err = weir_open(&options, &p->weir);
  if (err == WEIR_OK) {
    const int fd = weir_fd(p->weir);

    if (fd >= 0 && uv_poll_init(p->loop, &p->leases, fd) == 0) {
      p->leases.data = p;
      return uv_poll_start(&p->leases, UV_READABLE, on_leases) == 0;
    }
    err = WEIR_ESYSTEM;
  }
  snprintf(error, error_size, "the coordinator's side: %s", weir_error_text(err));
  return false;
}

static bool waits_init(struct weir_proxy *p)
{
  p->waits_storage = malloc(weir_table_size(WEIR_PROXY_WAITS_MAX));
  if (!p->waits_storage)
    return false;
  weir_table_init(&p->waits, p->waits_storage, WEIR_PROXY_WAITS_MAX);
  for (uint32_t i = 0; i < WEIR_PROXY_WAITS_MAX; i++)
    p->free_places[p->free_count++] = i;
  return true;
}

static bool call_log_open(struct weir_proxy *p, char *error, size_t error_size)
{
  const char *path = p->config->call_log;

  p->call_log = strcmp(path, "-") == 0 ? stdout : fopen(path, "a");
  if (!p->call_log) {
    snprintf(error, error_size, "WEIR_PROXY_CALL_LOG: %.120s: %s", path, strerror(errno));
    return false;
  }
  (void)setvbuf(p->call_log, NULL, _IOLBF, 0);
  return true;
}

bool weir_proxy_open(struct weir_proxy *p, uv_loop_t *loop, const struct weir_proxy_config *config,
                     char *error, size_t error_size)
{
  char why[WEIR_PRICEFILE_WHY_SIZE];
  uint64_t seed = weir_now_us();

  *p = (struct weir_proxy){.loop = loop, .config = config};
  (void)getrandom(&seed, sizeof(seed), GRND_NONBLOCK);
  weir_rng_init(&p->rng, seed);
  if (weir_pricefile_open(&p->prices, config->prices, why) != WEIR_OK) {
    snprintf(error, error_size, "prices: %s", why);
    return false;
  }
  if (config->call_log && !call_log_open(p, error, error_size))
    return false;
  p->fetcher = weir_fetcher_open(loop, &weir_call_fetch_handler);
  if (!p->fetcher || !waits_init(p)) {
    snprintf(error, error_size, "out of memory");
    return false;
  }
  if (!weir_handle_open(p, error, error_size) || !server_open(p, error, error_size))
    return false;
  (void)uv_timer_init(loop, &p->probe_timer);
  p->probe_timer.data = p;
  if (config->outage == WEIR_OUTAGE_CLOSED)
    (void)uv_timer_start(&p->probe_timer, on_probe_timer, 0, PROBE_MS);
  return true;
}

uint16_t weir_proxy_port(const struct weir_proxy *p)
{
  return weir_http_server_port(p->server);
}

static void on_server_closed(void *context)
{
  struct weir_proxy *p = context;

  uv_close((uv_handle_t *)&p->leases, NULL);
  uv_close((uv_handle_t *)&p->probe_timer, NULL);
  weir_fetcher_close(p->fetcher);
}

void weir_proxy_drain(struct weir_proxy *p)
{
  if (p->is_draining)
    return;
  p->is_draining = true;
  weir_http_server_close(p->server, p->config->drain_ms, on_server_closed, p);
}

void weir_proxy_fini(struct weir_proxy *p)
{
  weir_close(p->weir);
  free(p->waits_storage);
  free(p->prices.rules);
  if (p->call_log)
    (void)fclose(p->call_log);
}
