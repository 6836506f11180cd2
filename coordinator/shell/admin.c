#define _DEFAULT_SOURCE /* explicit_bzero */
#include "admin.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "alarm.h"
#include "clock.h"
#include "page.h"
#include "rows.h"
#include "secret.h"

#include <weir/conf.h>
#include <weir/http_server.h>
#include <weir/stats.h>

#define TOKEN_MIN 16
#define CLOSE_MS  100

static_assert(WEIR_ADMIN_ROWS_MAX > WEIR_CONF_BUDGETS_MAX &&
                  WEIR_ADMIN_ROWS_MAX > WEIR_CONF_POOLS_MAX,
              "all pools and budgets can be shown");

/* What is asked for, in this order. */
enum phase { IDLE = 0, TOTALS, POOLS, BUDGETS, TENANTS, SLOW, SESSIONS, DONE };

enum kind { READY = 1, METRICS, STATS, STATS_SESSIONS };

struct table {
  struct weir_msg_row *rows;
  uint32_t count, room; /* received, without gaps; room for so many */
};

struct weir_admin {
  uv_loop_t loop;
  uv_async_t stop;
  uv_poll_t poll;
  uv_timer_t patience, ticks;
  struct weir_http_server *server;
  pthread_t thread;
  int tap_fd;
  struct weir_alarm *alarm; /* NULL: it is not known what becomes of posts */
  char token[WEIR_ADMIN_TOKEN_SIZE];
  bool is_stopping;

  struct {
    struct weir_http_exchange *x; /* NULL: a free place */
    enum kind kind;
  } waiters[WEIR_ADMIN_WAITERS_MAX];
  struct weir_http_exchange *listeners[WEIR_ADMIN_LISTENERS_MAX];
  bool is_tick_due; /* listeners wait for rows */

  enum phase phase;
  struct weir_rows walk; /* of the phase */
  bool has_sessions, is_whole;
  uint64_t whole_at_ms; /* when the rows were complete last; 0: never */
  struct weir_msg_row totals;
  struct table pools, budgets, tenants, slow, sessions;
  struct weir_tap_head wire;
  char *text; /* of the last answer */
  size_t text_room;
};

static const struct weir_http_header plain[] = {{"Content-Type", "text/plain; charset=utf-8"},
                                                {"Cache-Control", "no-store"}};
static const struct weir_http_header json[] = {{"Content-Type", "application/json"},
                                               {"Cache-Control", "no-store"}};
static const struct weir_http_header metrics[] = {
    {"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}, {"Cache-Control", "no-store"}};
static const struct weir_http_header events[] = {{"Content-Type", "text/event-stream"},
                                                 {"Cache-Control", "no-store"}};

/* What the page may do: fetch from here, and nothing else. */
#define PAGE_POLICY                                                                                \
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "   \
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* The files of the dashboard. They tell nothing, so they need no token. */
static const struct {
  const char *path, *type;
  const unsigned char *bytes;
  const size_t *size;
} files[] = {{"/", "text/html; charset=utf-8", weir_page_html, &weir_page_html_size},
             {"/page.css", "text/css", weir_page_css, &weir_page_css_size},
             {"/page.js", "text/javascript", weir_page_js, &weir_page_js_size}};

/* ---- answers ---- */

static void respond(struct weir_http_exchange *x, uint32_t status,
                    const struct weir_http_header *headers, const char *text, size_t size)
{
  if (weir_http_exchange_respond(x, status, headers, 2, text, size) != WEIR_OK)
    weir_http_exchange_abort(x);
}

static void say(struct weir_http_exchange *x, uint32_t status, const char *text)
{
  respond(x, status, plain, text, strlen(text));
}

static void process_fill(const struct weir_admin *a, struct weir_stats_process *ret_process)
{
  char line[128] = "", *end = line;
  unsigned long resident = 0; /* pages, the second number */
  struct rusage usage = {0};
  struct weir_hook_counts posts = {0};
  FILE *file = fopen("/proc/self/statm", "r");
  if (file != NULL) {
    if (fgets(line, sizeof line, file) != NULL) {
      (void)strtoul(line, &end, 10);
      resident = strtoul(end, NULL, 10);
    }
    fclose(file);
  }
  getrusage(RUSAGE_SELF, &usage);
  if (a->alarm != NULL)
    posts = weir_alarm_posts(a->alarm);
  *ret_process = (struct weir_stats_process){
      .version = WEIR_VERSION,
      .resident_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE),
      .cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * WEIR_US_PER_S +
                (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec),
      .frames_in = a->wire.frames_in,
      .bytes_in = a->wire.bytes_in,
      .frames_out = a->wire.frames_out,
      .bytes_out = a->wire.bytes_out,
      .posts_sent = posts.sent,
      .posts_failed = posts.failed,
      .posts_lost = posts.lost};
}

/* Makes the text of |kind|, behind |before|; 0 when there is no memory for it. */
static size_t render(struct weir_admin *a, enum kind kind, const char *before)
{
  struct weir_stats_process process;
  struct weir_stats stats = {.totals = &a->totals,
                             .pools = a->pools.rows,
                             .budgets = a->budgets.rows,
                             .tenants = a->tenants.rows,
                             .slow = a->slow.rows,
                             .sessions = a->sessions.rows,
                             .pools_count = a->pools.count,
                             .budgets_count = a->budgets.count,
                             .tenants_count = a->tenants.count,
                             .slow_count = a->slow.count,
                             .sessions_count = kind == STATS_SESSIONS ? a->sessions.count : 0,
                             .process = &process};
  const size_t size = strlen(before);
  process_fill(a, &process);
  for (int round = 0; round < 2; round++) {
    struct weir_stats_out out = {.at = a->text, .size = size, .capacity = a->text_room};
    if (kind == METRICS)
      weir_stats_prometheus(&out, &stats);
    else
      weir_stats_json(&out, &stats);
    if (out.size < a->text_room) {
      memcpy(a->text, before, size);
      return out.size;
    }
    char *grown = realloc(a->text, out.size + 1);
    if (grown == NULL)
      return 0;
    a->text = grown;
    a->text_room = out.size + 1;
  }
  return 0;
}

static void answer(struct weir_admin *a, struct weir_http_exchange *x, enum kind kind)
{
  if (kind == READY) {
    say(x, 200, "ready\n");
    return;
  }
  size_t size = render(a, kind, "");
  if (size == 0)
    say(x, 503, "no memory for the answer\n");
  else
    respond(x, 200, kind == METRICS ? metrics : json, a->text, size);
}

static void answer_listeners(struct weir_admin *a)
{
  a->is_tick_due = false;
  size_t size = render(a, STATS, "data: ");
  if (size == 0)
    return;
  a->text[size] = '\n'; /* the line's end is there: an empty line ends the event */
  for (uint32_t i = 0; i < WEIR_ADMIN_LISTENERS_MAX; i++) {
    /* Who does not read loses events, not the connection. */
    if (a->listeners[i] != NULL)
      (void)!weir_http_exchange_send(a->listeners[i], a->text, size + 1);
  }
}

static bool has_waiters(const struct weir_admin *a)
{
  for (uint32_t i = 0; i < WEIR_ADMIN_WAITERS_MAX; i++) {
    if (a->waiters[i].x != NULL)
      return true;
  }
  return false;
}

/* Answers whoever the rows at hand are enough for. */
static void answer_waiters(struct weir_admin *a)
{
  for (uint32_t i = 0; i < WEIR_ADMIN_WAITERS_MAX; i++) {
    struct weir_http_exchange *x = a->waiters[i].x;
    const enum kind kind = a->waiters[i].kind;
    if (x == NULL || (kind != READY && !a->is_whole) ||
        (kind == STATS_SESSIONS && !a->has_sessions))
      continue;
    a->waiters[i].x = NULL;
    answer(a, x, kind);
  }
  if (!has_waiters(a))
    uv_timer_stop(&a->patience);
}

/* Tells all who wait |why| there is no answer; nothing is under way afterwards. */
static void give_up(struct weir_admin *a, const char *why)
{
  a->phase = IDLE;
  uv_timer_stop(&a->patience);
  for (uint32_t i = 0; i < WEIR_ADMIN_WAITERS_MAX; i++) {
    struct weir_http_exchange *x = a->waiters[i].x;
    a->waiters[i].x = NULL;
    if (x != NULL)
      say(x, 503, why);
  }
}

static void on_patience(uv_timer_t *timer)
{
  give_up(timer->data, "the coordinator does not answer: it may be waiting for its state file\n");
}

/* ---- rows ---- */

static struct table *table_of(struct weir_admin *a, enum phase phase)
{
  return phase == POOLS     ? &a->pools
         : phase == BUDGETS ? &a->budgets
         : phase == TENANTS ? &a->tenants
         : phase == SLOW    ? &a->slow
                            : &a->sessions;
}

static enum weir_view view_of(enum phase phase)
{
  return phase == TOTALS    ? WEIR_VIEW_TOTALS
         : phase == POOLS   ? WEIR_VIEW_POOLS
         : phase == BUDGETS ? WEIR_VIEW_BUDGETS
         : phase == TENANTS ? WEIR_VIEW_TENANTS
         : phase == SLOW    ? WEIR_VIEW_SLOW
                            : WEIR_VIEW_SESSIONS;
}

/* Asks for the first row of the phase. */
static void ask(struct weir_admin *a)
{
  if (!weir_rows_begin(&a->walk, view_of(a->phase), weir_clock_now()))
    a->phase = IDLE; /* whoever waits is told later */
}

static bool wants(const struct weir_admin *a, enum kind kind)
{
  for (uint32_t i = 0; i < WEIR_ADMIN_WAITERS_MAX; i++) {
    if (a->waiters[i].x != NULL && a->waiters[i].kind == kind)
      return true;
  }
  return false;
}

static bool wants_rows(const struct weir_admin *a)
{
  return a->is_tick_due || wants(a, METRICS) || wants(a, STATS) || wants(a, STATS_SESSIONS);
}

static void begin(struct weir_admin *a)
{
  if (a->phase != IDLE || a->is_stopping || !(wants_rows(a) || has_waiters(a)))
    return;
  a->phase = TOTALS;
  a->is_whole = a->has_sessions = false;
  a->pools.count = a->budgets.count = a->tenants.count = 0;
  a->slow.count = a->sessions.count = 0;
  ask(a);
}

/* A phase is over. */
static void go_on(struct weir_admin *a)
{
  if (a->phase == TOTALS) {
    answer_waiters(a);
    a->phase = wants_rows(a) ? POOLS : DONE;
  } else if (a->phase == SLOW) {
    a->phase = wants(a, STATS_SESSIONS) ? SESSIONS : DONE;
    a->is_whole = true;
  } else if (a->phase == SESSIONS) {
    a->has_sessions = true;
    a->phase = DONE;
  } else {
    a->phase++;
  }
  if (a->phase != DONE) {
    ask(a);
    return;
  }
  a->phase = IDLE;
  if (a->is_whole) {
    a->whole_at_ms = uv_now(&a->loop);
    if (a->is_tick_due)
      answer_listeners(a);
    answer_waiters(a);
  }
  begin(a); /* for who came too late */
}

static bool table_grow(struct table *table, uint32_t count)
{
  if (count <= table->room)
    return true;
  struct weir_msg_row *grown =
      count <= WEIR_ADMIN_ROWS_MAX ? realloc(table->rows, count * sizeof *grown) : NULL;
  if (grown == NULL)
    return false;
  table->rows = grown;
  table->room = count;
  return true;
}

/* False when there is no memory for the rows. */
static bool take(struct weir_admin *a, const struct weir_msg_row *row)
{
  if (a->phase == TOTALS) {
    a->totals = *row;
    return true;
  }
  struct table *table = table_of(a, a->phase);
  if (a->phase == SESSIONS && a->walk.count > WEIR_ADMIN_SESSIONS_MAX)
    a->walk.count = WEIR_ADMIN_SESSIONS_MAX;
  if (!table_grow(table, a->walk.count))
    return false;
  table->rows[table->count++] = *row;
  return true;
}

static void on_datagram(struct weir_admin *a, const uint8_t *bytes, size_t size)
{
  struct weir_msg_row row;
  size_t offset = 0;
  if (size < sizeof a->wire)
    return;
  memcpy(&a->wire, bytes, sizeof a->wire);
  bytes += sizeof a->wire;
  size -= sizeof a->wire;
  while (a->phase != IDLE && weir_rows_take(&a->walk, bytes, size, &offset, &row)) {
    if (!take(a, &row))
      give_up(a, "no memory for the rows\n");
  }
  if (a->phase == IDLE || !weir_rows_is_answered(&a->walk))
    return;
  if (!weir_rows_has_next(&a->walk))
    go_on(a);
  else if (!weir_rows_ask(&a->walk, weir_clock_now()))
    a->phase = IDLE;
}

static void on_readable(uv_poll_t *poll, int status, int what)
{
  struct weir_admin *a = poll->data;
  uint8_t bytes[WEIR_TAP_DATAGRAM_SIZE];
  (void)status;
  (void)what;
  ssize_t size = recv(a->walk.fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (size > 0)
    on_datagram(a, bytes, (size_t)size);
}

/* ---- requests ---- */

static void wait_for(struct weir_admin *a, struct weir_http_exchange *x, enum kind kind)
{
  bool is_fresh = a->phase == IDLE && a->is_whole &&
                  uv_now(&a->loop) - a->whole_at_ms < WEIR_ADMIN_FRESH_MS &&
                  (kind != STATS_SESSIONS || a->has_sessions);
  if (is_fresh) {
    answer(a, x, kind);
    return;
  }
  for (uint32_t i = 0; i < WEIR_ADMIN_WAITERS_MAX; i++) {
    if (a->waiters[i].x != NULL)
      continue;
    if (!has_waiters(a))
      uv_timer_start(&a->patience, on_patience, WEIR_ADMIN_PATIENCE_MS, 0);
    a->waiters[i].x = x;
    a->waiters[i].kind = kind;
    begin(a);
    return;
  }
  say(x, 503, "too many answers wait already\n");
}

static void on_tick(uv_timer_t *timer)
{
  struct weir_admin *a = timer->data;
  a->is_tick_due = true;
  if (a->phase != IDLE &&
      weir_rows_is_overdue(&a->walk, weir_clock_now(), WEIR_ADMIN_PATIENCE_MS * WEIR_US_PER_MS))
    a->phase = IDLE; /* an answer was lost; whoever waits gets those of another walk */
  begin(a);
}

static void listen_to(struct weir_admin *a, struct weir_http_exchange *x)
{
  for (uint32_t i = 0; i < WEIR_ADMIN_LISTENERS_MAX; i++) {
    if (a->listeners[i] != NULL)
      continue;
    if (weir_http_exchange_start(x, 200, events, 2, WEIR_HTTP_SIZE_UNKNOWN) != WEIR_OK) {
      weir_http_exchange_abort(x);
      return;
    }
    a->listeners[i] = x;
    if (!uv_is_active((uv_handle_t *)&a->ticks))
      uv_timer_start(&a->ticks, on_tick, 0, WEIR_ADMIN_EVENTS_MS);
    return;
  }
  say(x, 503, "too many listen already\n");
}

/* Compares in a time that tells nothing of where they differ. */
static bool is_token(const char *token, const char *given)
{
  size_t size = strlen(token);
  unsigned differs = 0;
  if (strlen(given) != size)
    return false;
  for (size_t i = 0; i < size; i++)
    differs |= (unsigned char)token[i] ^ (unsigned char)given[i];
  return differs == 0;
}

/* A page of a browser that resolves its own name to this port names itself here. */
static bool is_loopback(const char *host)
{
  static const char *const names[] = {"127.", "localhost", "[::1]"};
  for (size_t i = 0; host != NULL && i < sizeof names / sizeof names[0]; i++) {
    if (strncmp(host, names[i], strlen(names[i])) != 0)
      continue;
    host += i == 0 ? strspn(host, "0123456789.") : strlen(names[i]);
    return *host == '\0' || *host == ':';
  }
  return false;
}

static bool is_allowed(const struct weir_admin *a, const struct weir_http_request *request)
{
  const char *given = weir_http_request_header(request, "Authorization");
  if (a->token[0] == '\0')
    return is_loopback(weir_http_request_header(request, "Host"));
  return given != NULL && strncmp(given, "Bearer ", 7) == 0 && is_token(a->token, given + 7);
}

static bool is_path(const char *target, const char *path)
{
  return strncmp(target, path, strcspn(target, "?")) == 0 && path[strcspn(target, "?")] == '\0';
}

static bool is_page(const struct weir_admin *a, struct weir_http_exchange *x,
                    const struct weir_http_request *request)
{
  if (a->token[0] == '\0' && !is_allowed(a, request))
    return false;
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    if (!is_path(request->target, files[i].path))
      continue;
    const struct weir_http_header headers[] = {{"Content-Type", files[i].type},
                                               {"Cache-Control", "no-cache"},
                                               {"Content-Security-Policy", PAGE_POLICY},
                                               {"X-Content-Type-Options", "nosniff"},
                                               {"Referrer-Policy", "no-referrer"}};
    if (weir_http_exchange_respond(x, 200, headers, 5, files[i].bytes, *files[i].size) != WEIR_OK)
      weir_http_exchange_abort(x);
    return true;
  }
  return false;
}

static void on_request(struct weir_http_exchange *x, void *context)
{
  struct weir_admin *a = context;
  const struct weir_http_request *request = weir_http_exchange_request(x);
  const char *target = request->target;
  if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0)
    say(x, 405, "GET only\n");
  else if (is_path(target, "/healthz"))
    say(x, 200, "ok\n");
  else if (is_page(a, x, request))
    return;
  else if (!is_allowed(a, request))
    say(x, a->token[0] == '\0' ? 403 : 401,
        a->token[0] == '\0' ? "the Host header has to name a loopback address\n"
                            : "Authorization: Bearer TOKEN is missing or wrong\n");
  else if (is_path(target, "/readyz"))
    wait_for(a, x, READY);
  else if (is_path(target, "/metrics"))
    wait_for(a, x, METRICS);
  else if (strcmp(target, "/stats.json?sessions") == 0)
    wait_for(a, x, STATS_SESSIONS);
  else if (is_path(target, "/stats.json"))
    wait_for(a, x, STATS);
  else if (is_path(target, "/events") && strcmp(request->method, "GET") == 0)
    listen_to(a, x);
  else
    say(x, 404, "there are /, /metrics, /stats.json, /events, /healthz and /readyz\n");
}

static void on_close(struct weir_http_exchange *x, bool is_sent, void *context)
{
  struct weir_admin *a = context;
  bool is_heard = false;
  (void)is_sent;
  for (uint32_t i = 0; i < WEIR_ADMIN_WAITERS_MAX; i++) {
    if (a->waiters[i].x == x)
      a->waiters[i].x = NULL;
  }
  for (uint32_t i = 0; i < WEIR_ADMIN_LISTENERS_MAX; i++) {
    if (a->listeners[i] == x)
      a->listeners[i] = NULL;
    is_heard = is_heard || a->listeners[i] != NULL;
  }
  if (!is_heard) {
    uv_timer_stop(&a->ticks);
    a->is_tick_due = false;
  }
}

/* ---- life ---- */

static void close_handles(struct weir_admin *a)
{
  uv_close((uv_handle_t *)&a->stop, NULL);
  uv_close((uv_handle_t *)&a->poll, NULL);
  uv_close((uv_handle_t *)&a->patience, NULL);
  uv_close((uv_handle_t *)&a->ticks, NULL);
}

static void on_stop(uv_async_t *async)
{
  struct weir_admin *a = async->data;
  a->is_stopping = true;
  for (uint32_t i = 0; i < WEIR_ADMIN_LISTENERS_MAX; i++) {
    if (a->listeners[i] != NULL)
      weir_http_exchange_finish(a->listeners[i]);
  }
  weir_http_server_close(a->server, CLOSE_MS, NULL, NULL);
  close_handles(a);
}

static void *run(void *arg)
{
  struct weir_admin *a = arg;
  uv_run(&a->loop, UV_RUN_DEFAULT);
  return NULL;
}

static void destroy(struct weir_admin *a)
{
  uv_loop_close(&a->loop);
  close(a->walk.fd);
  close(a->tap_fd);
  free(a->pools.rows);
  free(a->budgets.rows);
  free(a->tenants.rows);
  free(a->slow.rows);
  free(a->sessions.rows);
  free(a->text);
  explicit_bzero(a->token, sizeof a->token);
  free(a);
}

static enum weir_err serve(struct weir_admin *a, const char *host, uint16_t port, char *ret_error)
{
  struct weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_DEFAULT;
  options.handler =
      (struct weir_http_handler){.context = a, .on_request = on_request, .on_close = on_close};
  options.host = host;
  options.port = port;
  options.connections_max = 2 * WEIR_ADMIN_WAITERS_MAX;
  options.limits.body_bytes_max = 0;
  options.limits.head_bytes_max = 8192;
  options.limits.input_bytes_max = 4096;
  options.limits.target_bytes_max = 1024;
  return weir_http_server_open(&a->loop, &options, &a->server, ret_error, WEIR_ADMIN_ERROR_SIZE);
}

static struct weir_admin *create(const char *token, char *ret_error)
{
  struct weir_admin *a = calloc(1, sizeof *a);
  int pair[2];
  snprintf(ret_error, WEIR_ADMIN_ERROR_SIZE, "admin: out of memory or descriptors");
  if (a == NULL)
    return NULL;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
    free(a);
    return NULL;
  }
  a->walk.fd = pair[0];
  a->tap_fd = pair[1];
  snprintf(a->token, sizeof a->token, "%s", token);
  if (uv_loop_init(&a->loop) != 0) {
    close(pair[0]);
    close(pair[1]);
    free(a);
    return NULL;
  }
  a->stop.data = a->poll.data = a->patience.data = a->ticks.data = a;
  uv_async_init(&a->loop, &a->stop, on_stop);
  uv_poll_init(&a->loop, &a->poll, a->walk.fd);
  uv_poll_start(&a->poll, UV_READABLE, on_readable);
  uv_timer_init(&a->loop, &a->patience);
  uv_timer_init(&a->loop, &a->ticks);
  return a;
}

enum weir_err weir_admin_start(const char *host, uint16_t port, const char *token,
                               struct weir_alarm *alarm, struct weir_admin **ret_admin,
                               int *ret_tap_fd, uint16_t *ret_port, char *ret_error)
{
  struct weir_admin *a = create(token, ret_error);
  if (a == NULL)
    return WEIR_ENOMEM;
  a->alarm = alarm;
  enum weir_err err = serve(a, host, port, ret_error);
  if (err == WEIR_OK) {
    *ret_port = weir_http_server_port(a->server);
    if (pthread_create(&a->thread, NULL, run, a) == 0) {
      *ret_admin = a;
      *ret_tap_fd = a->tap_fd;
      return WEIR_OK;
    }
    snprintf(ret_error, WEIR_ADMIN_ERROR_SIZE, "admin: the system gives no thread");
    weir_http_server_close(a->server, 0, NULL, NULL);
    err = WEIR_ESYSTEM;
  }
  close_handles(a);
  uv_run(&a->loop, UV_RUN_DEFAULT);
  destroy(a);
  return err;
}

void weir_admin_stop(struct weir_admin *a)
{
  if (a == NULL)
    return;
  uv_async_send(&a->stop);
  pthread_join(a->thread, NULL);
  destroy(a);
}

enum weir_err weir_admin_token(const char *path, char ret_token[WEIR_ADMIN_TOKEN_SIZE],
                               char *ret_error)
{
  char why[WEIR_SECRET_ERROR_SIZE];
  enum weir_err err = weir_secret_line(path, ret_token, WEIR_ADMIN_TOKEN_SIZE, why);
  if (err != WEIR_OK) {
    snprintf(ret_error, WEIR_ADMIN_ERROR_SIZE, "admin_token: %s", why);
    return err;
  }
  for (const char *c = ret_token; *c != '\0'; c++) {
    if (*c < 0x21 || *c > 0x7e)
      err = WEIR_ECONFIG;
  }
  if (err == WEIR_OK && strlen(ret_token) >= TOKEN_MIN)
    return WEIR_OK;
  explicit_bzero(ret_token, WEIR_ADMIN_TOKEN_SIZE);
  snprintf(ret_error, WEIR_ADMIN_ERROR_SIZE,
           "admin_token: %.1024s has to hold one line of at least 16 printable characters", path);
  return WEIR_ECONFIG;
}
