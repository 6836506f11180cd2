/* weir-coordinator: reads its configuration, remembers its past, then serves.
 *
 * Boot order, and why:
 *   options   nothing else is known before
 *   config    all errors of the file at once, before anything is touched
 *   log       its level and format stand in the file
 *   signals   blocked before the first thread, so that none of them gets one
 *   clock     a timer that tells when the wall clock was set
 *   past      the lock keeps a second coordinator out; the new epoch is durable before any use
 *   machine   needs the epoch and the past
 *   gate      answers for keys: before the socket, which would let everybody in without it
 *   alarm     it and the admin port ask for rows, which wait until the loop runs
 *   admin     its port, if it is configured; tells of the alarm's posts
 *   socket    last: whoever connects is served at once
 *   ready     tells the service manager
 *   loop      until SIGTERM or SIGINT
 */
#define _DEFAULT_SOURCE /* explicit_bzero */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <weir/conf.h>
#include <weir/coord.h>
#include <weir/peers.h>

#include "admin.h"
#include "alarm.h"
#include "clock.h"
#include "gate.h"
#include "heritage.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "secret.h"
#include "sock.h"
#include "tables.h"
#include "watch.h"
#include "zones.h"

#define CONFIG_DEFAULT "/etc/weir/weir.yaml"
#define EXIT_USAGE     2
#define CLOCK_S        30 /* between looks at the wall clock */
#define ROUTES_MIN     1024

static const char help[] =
    "weir-coordinator: shares the quota of LLM providers among many instances\n"
    "\n"
    "  --config FILE   configuration to use (default " CONFIG_DEFAULT ")\n"
    "  --check         check the configuration, show what it means, and exit: 0 when it is valid, "
    "1\n"
    "                  when not\n"
    "  --assume-spent  start although the store or the state file is lost, or restored from a\n"
    "                  backup: what it counted is taken as used up (a damaged store: see 'weir "
    "help "
    "store')\n"
    "  --version       print the version\n"
    "  --help          print this\n"
    "\n"
    "Signals: SIGHUP reads the configuration and the list of keys again, SIGTERM and SIGINT stop.\n"
    "Exit: 0 fine, 1 could not start or the configuration is not valid, 2 usage.\n"
    "\n"
    "An example of a configuration:\n"
    "\n"
    "  listen: ipc:///run/weir/weir.sock\n"
    "  store: sqlite:/var/lib/weir/weir.db\n"
    "  providers:\n"
    "    gemini: {kind: gemini}\n"
    "  pools:\n"
    "    - name: gemini-flash\n"
    "      provider: gemini\n"
    "      models: [gemini-2.5-flash]\n"
    "      limits: {rpm: 1000, tpm: 1M, rpd: 10_000}\n"
    "  routes:\n"
    "    fast: gemini/gemini-2.5-flash\n";

struct options {
  const char *config;
  bool is_check, is_forced;
};

struct daemon {
  struct options options;
  struct weir_conf *conf;
  struct weir_log log;
  struct weir_heritage past;
  struct weir_conf_issues issues;
  struct weir_peers *peers; /* until the gate takes them */
  struct weir_gate gate;
  struct weir_watch watch;  /* of the list of keys */
  struct weir_admin *admin; /* NULL: none is configured */
  struct weir_alarm *alarm;
};

/* ---- options ---- */

/* Returns -1 to go on, or the exit code. */
static int parse_options(int argc, char **argv, struct options *options)
{
  static const struct option longs[] = {
      {"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},
      {"assume-spent", no_argument, NULL, 'a'}, {"version", no_argument, NULL, 'v'},
      {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
  *options = (struct options){.config = CONFIG_DEFAULT};
  for (;;) {
    int letter = getopt_long(argc, argv, "c:kvh", longs, NULL);
    switch (letter) {
    case -1:
      if (optind == argc)
        return -1;
      fprintf(stderr, "weir-coordinator: unexpected argument '%s'; see --help\n", argv[optind]);
      return EXIT_USAGE;
    case 'c':
      options->config = optarg;
      break;
    case 'k':
      options->is_check = true;
      break;
    case 'a':
      options->is_forced = true;
      break;
    case 'v':
      puts("weir-coordinator " WEIR_VERSION);
      return EXIT_SUCCESS;
    case 'h':
      fputs(help, stdout);
      return EXIT_SUCCESS;
    default:
      fputs("see weir-coordinator --help\n", stderr);
      return EXIT_USAGE;
    }
  }
}

/* ---- config ---- */

static void print_issues(const struct daemon *d, const char *file)
{
  char line[WEIR_CONF_LINE_SIZE];
  for (uint32_t i = 0; i < d->issues.count; i++) {
    weir_conf_issue_format(&d->issues.items[i], file, line, sizeof line);
    fprintf(stderr, "%s\n", line);
  }
  if (d->issues.dropped > 0)
    fprintf(stderr, "%s: and %u more\n", file, (unsigned)d->issues.dropped);
}

static void log_issues(struct daemon *d, const char *file)
{
  char line[WEIR_CONF_LINE_SIZE];
  for (uint32_t i = 0; i < d->issues.count; i++) {
    const struct weir_conf_issue *issue = &d->issues.items[i];
    weir_conf_issue_format(issue, file, line, sizeof line);
    weir_log_say(&d->log, issue->is_warning ? WEIR_LOG_WARN : WEIR_LOG_ERROR, "config", line);
  }
}

static void log_pools(struct daemon *d)
{
  for (uint32_t i = 0; i < d->conf->coord.pools_count; i++) {
    const struct weir_pool_config *pool = &d->conf->pools[i];
    char text[(WEIR_CONF_LIMIT_SIZE + 2) * WEIR_LIMITS_MAX] = "", limit[WEIR_CONF_LIMIT_SIZE];
    size_t size = 0;
    for (uint32_t k = 0; k < pool->limits_count; k++) {
      weir_conf_limit_format(d->conf, &pool->limits[k], limit, sizeof limit);
      size += (size_t)snprintf(text + size, sizeof text - size, "%s%s", k == 0 ? "" : "; ", limit);
    }
    weir_log_begin(&d->log, WEIR_LOG_INFO, "pool");
    weir_log_text(&d->log, "name", pool->name);
    weir_log_text(&d->log, "profile", weir_profile_name(pool->rules.profile));
    weir_log_text(&d->log, "limits", text);
    weir_log_end(&d->log);
  }
}

static bool is_on_tcp(const struct weir_conf *conf)
{
  for (uint32_t i = 0; i < conf->listen_count; i++) {
    if (strncmp(conf->listen[i], "tcp://", 6) == 0)
      return true;
  }
  return false;
}

/* What a reload cannot change, because storage, socket, store and state file stay: |next| takes it
 * over from the start. */
static void keep_fixed(struct daemon *d, struct weir_conf *next)
{
  const struct weir_conf *now = d->conf;
  bool is_same_listen = now->listen_count == next->listen_count &&
                        memcmp(now->listen, next->listen, sizeof now->listen) == 0;
  if (!is_same_listen)
    weir_log_say(&d->log, WEIR_LOG_WARN, "reload", "'listen' changes only at a restart");
  if (strcmp(now->state, next->state) != 0 || strcmp(now->store, next->store) != 0)
    weir_log_say(&d->log, WEIR_LOG_WARN, "reload", "'store' and 'state' change only at a restart");
  if (strcmp(now->key, next->key) != 0)
    weir_log_say(&d->log, WEIR_LOG_WARN, "reload", "'key' changes only at a restart");
  /* A list that nobody reads any more would let in what is revoked. */
  if (is_on_tcp(now) && next->peers[0] == '\0') {
    weir_log_say(&d->log, WEIR_LOG_WARN, "reload", "'peers' goes only at a restart, as TCP does");
    memcpy(next->peers, now->peers, sizeof next->peers);
  }
  if (strcmp(now->admin_host, next->admin_host) != 0 || now->admin_port != next->admin_port ||
      strcmp(now->admin_token, next->admin_token) != 0)
    weir_log_say(&d->log, WEIR_LOG_WARN, "reload",
                 "'admin' and 'admin_token' change only at a restart");
  if (strcmp(now->webhook, next->webhook) != 0 ||
      strcmp(now->webhook_secret, next->webhook_secret) != 0)
    weir_log_say(&d->log, WEIR_LOG_WARN, "reload",
                 "'alerts.webhook' and its secret change only at a restart");
  if (memcmp(&now->bounds, &next->bounds, sizeof now->bounds) != 0)
    weir_log_say(&d->log, WEIR_LOG_WARN, "reload", "'bounds' change only at a restart");
  next->listen_count = now->listen_count;
  memcpy(next->listen, now->listen, sizeof next->listen);
  memcpy(next->store, now->store, sizeof next->store);
  memcpy(next->state, now->state, sizeof next->state);
  memcpy(next->key, now->key, sizeof next->key);
  memcpy(next->admin_host, now->admin_host, sizeof next->admin_host);
  next->admin_port = now->admin_port;
  memcpy(next->admin_token, now->admin_token, sizeof next->admin_token);
  memcpy(next->webhook, now->webhook, sizeof next->webhook);
  memcpy(next->webhook_secret, now->webhook_secret, sizeof next->webhook_secret);
  next->bounds = now->bounds;
}

/* ---- the wall clock ---- */

/* The next look, and a word at once when the clock is set: an absolute timer would otherwise wait
 * as long as the clock was set back. */
static void arm_clock(int clock_fd)
{
  struct itimerspec timer = {0};
  clock_gettime(CLOCK_REALTIME, &timer.it_value);
  timer.it_value.tv_sec += CLOCK_S;
  timerfd_settime(clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &timer, NULL);
}

/* ---- keys ---- */

static void log_peers(struct daemon *d, const struct weir_peers *peers)
{
  weir_log_begin(&d->log, WEIR_LOG_INFO, "peers");
  weir_log_text(&d->log, "file", d->conf->peers);
  weir_log_number(&d->log, "keys", peers->count);
  weir_log_end(&d->log);
}

/* A list that is not valid changes nothing: nobody is locked out by a slip of the pen. */
static void load_peers(struct daemon *d)
{
  struct weir_peers *peers = NULL;
  if (d->conf->peers[0] == '\0')
    return;
  enum weir_err err = weir_peers_load(d->conf->peers, &peers, &d->issues);
  if (err != WEIR_OK) {
    log_issues(d, d->conf->peers);
    weir_log_begin(&d->log, WEIR_LOG_ERROR, "peers_not_reloaded");
    weir_log_text(&d->log, "why", weir_err_text(err));
    weir_log_text(&d->log, "detail", "the former list stays");
    weir_log_end(&d->log);
    return;
  }
  log_peers(d, peers);
  weir_gate_replace(&d->gate, peers);
}

static void look_at_peers(struct weir_loop *loop)
{
  struct daemon *d = loop->context;
  if (weir_watch_changed(&d->watch))
    load_peers(d);
}

/* On SIGHUP, after the configuration, which may name another list. */
static void reload_peers(struct weir_loop *loop)
{
  struct daemon *d = loop->context;
  weir_watch_close(&d->watch);
  weir_watch_open(&d->watch, d->conf->peers);
  loop->peers_fd = d->watch.fd;
  load_peers(d);
}

static void tell_clock(struct weir_loop *loop)
{
  struct daemon *d = loop->context;
  struct weir_wall wall;
  char error[WEIR_ZONES_ERROR_SIZE];
  uint64_t expired = 0;
  bool is_set = read(loop->clock_fd, &expired, sizeof expired) < 0 && errno == ECANCELED;
  arm_clock(loop->clock_fd);
  weir_tstamp now = 0;
  uint64_t wall_us = weir_clock_wall(&now);
  if (is_set)
    weir_log_say(&d->log, WEIR_LOG_WARN, "clock", "the wall clock was set");
  if (weir_zones_fill((const char(*)[WEIR_ZONES_NAME_SIZE])d->conf->zones, d->conf->zones_count,
                      wall_us, &wall, error) == WEIR_OK)
    weir_loop_clock(loop, &wall, now);
  else
    weir_log_say(&d->log, WEIR_LOG_ERROR, "clock", error);
  look_at_peers(loop); /* where no word comes of changes, as on network file systems */
}

/* Whether the time zones of |conf| are known; else the first that is not, in |ret_error|. */
static bool are_zones_known(const struct weir_conf *conf, char *ret_error)
{
  for (uint32_t i = 0; i < conf->zones_count; i++) {
    if (weir_zones_check(conf->zones[i], ret_error) != WEIR_OK)
      return false;
  }
  return true;
}

/* A file that is not valid, or does not fit the bounds, changes nothing. */
static void reload(struct weir_loop *loop, weir_tstamp now)
{
  struct daemon *d = loop->context;
  struct weir_conf *next = NULL;
  weir_notify_reloading();
  enum weir_err err = weir_conf_load(d->options.config, &next, &d->issues);
  log_issues(d, d->options.config);
  char zone_error[WEIR_ZONES_ERROR_SIZE];
  if (err == WEIR_OK && !are_zones_known(next, zone_error)) {
    weir_log_say(&d->log, WEIR_LOG_ERROR, "config", zone_error);
    err = WEIR_ECONFIG;
  }
  if (err == WEIR_OK) {
    keep_fixed(d, next);
    err = weir_loop_config(loop, &next->coord, now);
  }
  if (err == WEIR_OK) {
    weir_conf_free(d->conf);
    d->conf = next;
    tell_clock(loop); /* its zones may be others */
    weir_guard_configure(&loop->guard, next);
    weir_alarm_configure(d->alarm, &next->alerts);
    weir_log_configure(&d->log, next->log_level, next->log_format);
    weir_log_say(&d->log, WEIR_LOG_INFO, "reloaded", d->options.config);
    log_pools(d);
  } else {
    weir_conf_free(next);
    weir_log_begin(&d->log, WEIR_LOG_ERROR, "not_reloaded");
    weir_log_text(&d->log, "why",
                  err == WEIR_EFULL ? "what goes, or still has leases, and what is new together "
                                      "exceed 'bounds' of the start; wait or restart"
                                    : weir_err_text(err));
    weir_log_text(&d->log, "detail", "the old configuration stays");
    weir_log_end(&d->log);
  }
  reload_peers(loop); /* in any case: what is revoked must not wait for a slip elsewhere */
  weir_notify_send("READY=1");
}

/* ---- boot ---- */

static int open_signals(void)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, NULL);
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is a full disk, no reason to die */
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Every instance costs a descriptor. */
static uint64_t raise_descriptors(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return 0;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

/* A former life that died a moment ago may have promised starts up to the horizon ahead. The
 * machine takes starts until now for granted, so let them pass. */
static void outlive_promises(void)
{
  struct timespec wait = {.tv_nsec = (long)WEIR_COORD_HORIZON_US * 1000};
  while (clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, &wait) == EINTR)
    ;
}

static bool open_past(struct daemon *d, struct weir_coord_start *ret_start)
{
  char error[WEIR_HERITAGE_ERROR_SIZE];
  if (weir_heritage_open(&d->past, d->conf, d->options.is_forced, ret_start, error) == WEIR_OK)
    return true;
  weir_log_say(&d->log, WEIR_LOG_ERROR, d->conf->store[0] != '\0' ? "store" : "state", error);
  return false;
}

static struct weir_coord *make_machine(struct daemon *d, struct weir_coord_start *start,
                                       void **ret_storage)
{
  size_t size = weir_coord_size(&d->conf->bounds);
  struct weir_coord *coord = NULL;
  *ret_storage = weir_tables_new(size);
  if (start->has_past)
    outlive_promises();
  weir_tstamp now = weir_clock_now();
  weir_heritage_begin(&d->past, start, now);
  /* From here on close_past knows the past, so failing cannot lose it. */
  if (getrandom(&start->seed, sizeof start->seed, 0) != (ssize_t)sizeof start->seed) {
    weir_log_say(&d->log, WEIR_LOG_ERROR, "machine", "the system gives no random numbers");
    return NULL;
  }
  if (*ret_storage == NULL || weir_coord_init(*ret_storage, &d->conf->bounds, &d->conf->coord,
                                              start, now, &coord) != WEIR_OK) {
    weir_log_begin(&d->log, WEIR_LOG_ERROR, "machine");
    weir_log_text(&d->log, "detail", "not enough memory for the tables; lower 'bounds'");
    weir_log_number(&d->log, "bytes", size);
    weir_log_end(&d->log);
    return NULL;
  }
  char error[WEIR_HERITAGE_ERROR_SIZE];
  if (weir_heritage_go_on(&d->past, start, coord, error) != WEIR_OK) {
    weir_log_say(&d->log, WEIR_LOG_ERROR, "store", error);
    return NULL;
  }
  return coord;
}

static void log_start(struct daemon *d, const struct weir_coord_start *start)
{
  weir_log_begin(&d->log, WEIR_LOG_INFO, "start");
  weir_log_text(&d->log, "version", WEIR_VERSION);
  weir_log_number(&d->log, "epoch", start->epoch);
  weir_log_number(&d->log, "pools", d->conf->coord.pools_count);
  weir_log_number(&d->log, "names", d->conf->coord.names_count);
  weir_log_text(&d->log, "past", d->past.name);
  weir_log_number(&d->log, "past_us", start->past_us);
  if (start->is_durable)
    weir_log_number(&d->log, "records", start->records_count);
  weir_log_number(&d->log, "descriptors_max", raise_descriptors());
  weir_log_end(&d->log);
  log_pools(d);
}

/* TCP only with the coordinator's key, and only if a key that nobody knows does not get in. */
static enum weir_err open_socket(struct daemon *d, zsock_t **ret_sock,
                                 char bound[][WEIR_CONF_ENDPOINT_SIZE])
{
  char error[WEIR_SECRET_ERROR_SIZE];
  struct weir_secret secret = {0};
  enum weir_err err = WEIR_OK;
  if (d->conf->key[0] != '\0')
    err = weir_secret_load(d->conf->key, &secret, error);
  if (err == WEIR_OK)
    err = weir_sock_open(d->conf, d->conf->key[0] != '\0' ? &secret : NULL, ret_sock, bound, error);
  for (uint32_t i = 0; i < d->conf->listen_count && err == WEIR_OK; i++) {
    if (strncmp(bound[i], "tcp://", 6) != 0)
      continue;
    err = weir_gate_test(&d->gate, bound[i], secret.public, error);
    if (err != WEIR_OK)
      zsock_destroy(ret_sock);
  }
  weir_secret_wipe(&secret);
  if (err != WEIR_OK)
    weir_log_say(&d->log, WEIR_LOG_ERROR, "listen", error);
  return err;
}

static bool open_gate(struct daemon *d, struct weir_guard *guard)
{
  char error[WEIR_GATE_ERROR_SIZE] = "out of memory; lower bounds.sessions";
  unsigned seed = 0;
  uint32_t routes = 2 * d->conf->bounds.sessions_max;
  if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
    seed = (unsigned)weir_clock_now();
  weir_sock_prepare(seed);
  if (weir_guard_init(guard, routes > ROUTES_MIN ? routes : ROUTES_MIN) == WEIR_OK &&
      weir_gate_start(&d->gate, zsys_init(), d->peers, error) == WEIR_OK) {
    weir_guard_configure(guard, d->conf);
    d->peers = NULL; /* the gate's */
    return true;
  }
  weir_log_say(&d->log, WEIR_LOG_ERROR, "gate", error);
  weir_guard_fini(guard);
  weir_sock_close(NULL, d->conf);
  return false;
}

static bool open_admin(struct daemon *d, struct weir_loop *loop)
{
  char error[WEIR_ADMIN_ERROR_SIZE], token[WEIR_ADMIN_TOKEN_SIZE] = "";
  enum weir_err err = WEIR_OK;
  uint16_t port = 0;
  loop->tap_fds[0] = -1;
  if (d->conf->admin_host[0] == '\0')
    return true;
  if (d->conf->admin_token[0] != '\0')
    err = weir_admin_token(d->conf->admin_token, token, error);
  if (err == WEIR_OK)
    err = weir_admin_start(d->conf->admin_host, d->conf->admin_port, token, d->alarm, &d->admin,
                           &loop->tap_fds[0], &port, error);
  explicit_bzero(token, sizeof token);
  if (err != WEIR_OK) {
    weir_log_say(&d->log, WEIR_LOG_ERROR, "admin", error);
    return false;
  }
  weir_log_begin(&d->log, WEIR_LOG_INFO, "admin");
  weir_log_text(&d->log, "host", d->conf->admin_host);
  weir_log_number(&d->log, "port", port);
  weir_log_end(&d->log);
  return true;
}

static bool open_alarm(struct daemon *d, struct weir_loop *loop)
{
  const struct weir_alarm_config config = {.alerts = d->conf->alerts,
                                           .owners_max = d->conf->bounds.pools_max +
                                                         d->conf->bounds.budgets_max,
                                           .look_us = WEIR_ALARM_LOOK_US,
                                           .webhook = d->conf->webhook,
                                           .secret = d->conf->webhook_secret,
                                           .log = &d->log};
  char error[WEIR_ALARM_ERROR_SIZE];
  if (weir_alarm_start(&config, &d->alarm, &loop->tap_fds[1], error) == WEIR_OK)
    return true;
  weir_log_say(&d->log, WEIR_LOG_ERROR, "alerts", error);
  return false;
}

static void close_taps(struct daemon *d)
{
  weir_admin_stop(d->admin);
  weir_alarm_stop(d->alarm);
}

/* As weir_loop_run; 0 when nobody was served, for a reason that is logged. */
static int serve_on(struct daemon *d, struct weir_loop *loop)
{
  char bound[WEIR_CONF_LISTEN_MAX][WEIR_CONF_ENDPOINT_SIZE];
  zsock_t *sock = NULL;
  if (!open_alarm(d, loop) || !open_admin(d, loop) || open_socket(d, &sock, bound) != WEIR_OK) {
    close_taps(d);
    weir_gate_stop(&d->gate);
    weir_sock_close(NULL, d->conf);
    return 0;
  }
  loop->sock = sock;
  for (uint32_t i = 0; i < d->conf->listen_count; i++) {
    weir_log_begin(&d->log, WEIR_LOG_INFO, "ready");
    weir_log_text(&d->log, "listen", bound[i]);
    weir_log_end(&d->log);
  }
  weir_notify_send("READY=1");
  int result = weir_loop_run(loop);
  weir_notify_send("STOPPING=1");
  close_taps(d);
  weir_gate_stop(&d->gate);
  weir_sock_close(sock, d->conf);
  return result;
}

static int serve(struct daemon *d, struct weir_coord *coord, int signal_fd, int clock_fd)
{
  static struct weir_loop loop; /* large, and there is one */
  if (!open_gate(d, &loop.guard))
    return 0;
  if (d->gate.peers != NULL)
    log_peers(d, d->gate.peers);
  loop.coord = coord;
  loop.keeper = weir_heritage_keeper(&d->past);
  loop.recorder = weir_heritage_recorder(&d->past);
  loop.log = &d->log;
  loop.gate = &d->gate;
  loop.signal_fd = signal_fd;
  loop.clock_fd = clock_fd;
  loop.peers_fd = d->watch.fd;
  loop.reload = reload;
  loop.clock = tell_clock;
  loop.peers = look_at_peers;
  loop.context = d;
  int result = serve_on(d, &loop);
  weir_watch_close(&d->watch);
  weir_guard_fini(&loop.guard);
  return result;
}

static void log_stop(struct daemon *d, const struct weir_coord *coord, int result)
{
  if (result == 0)
    return;
  weir_log_begin(&d->log, result > 0 ? WEIR_LOG_INFO : WEIR_LOG_ERROR, "stop");
  if (result > 0)
    weir_log_number(&d->log, "signal", (uint64_t)result);
  else
    weir_log_text(&d->log, "error", strerror(-result));
  weir_log_number(&d->log, "grants", weir_coord_counter(coord, WEIR_COUNTER_GRANTS));
  weir_log_number(&d->log, "malformed", weir_coord_counter(coord, WEIR_COUNTER_MALFORMED));
  weir_log_end(&d->log);
}

static bool close_past(struct daemon *d, struct weir_coord *coord)
{
  char error[WEIR_HERITAGE_ERROR_SIZE];
  if (weir_heritage_close(&d->past, coord, error) == WEIR_OK)
    return true;
  weir_log_say(&d->log, WEIR_LOG_ERROR, d->conf->store[0] != '\0' ? "store" : "state_not_written",
               error);
  return false;
}

static int run(struct daemon *d)
{
  int signal_fd = open_signals();
  int clock_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  struct weir_coord_start start = {0};
  if (signal_fd < 0 || clock_fd < 0)
    weir_log_say(&d->log, WEIR_LOG_ERROR, "signals", "no descriptor is left; raise the limits");
  if (signal_fd < 0 || clock_fd < 0 || !open_past(d, &start))
    return EXIT_FAILURE;
  void *storage = NULL;
  struct weir_coord *coord = make_machine(d, &start, &storage);
  int result = 0;
  weir_heritage_forget(&d->past);
  if (coord != NULL) {
    log_start(d, &start);
    result = serve(d, coord, signal_fd, clock_fd);
    log_stop(d, coord, result);
  }
  bool is_closed = close_past(d, coord);
  free(storage);
  close(clock_fd);
  close(signal_fd);
  return result > 0 && is_closed ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
  static struct daemon d; /* large, and there is one */
  int code = parse_options(argc, argv, &d.options);
  if (code >= 0)
    return code;
  enum weir_err err = weir_conf_load(d.options.config, &d.conf, &d.issues);
  print_issues(&d, d.options.config);
  if (err == WEIR_ENOMEM)
    fputs("weir-coordinator: out of memory\n", stderr);
  if (err != WEIR_OK)
    return EXIT_FAILURE;
  d.watch.fd = -1;
  if (d.conf->peers[0] != '\0') {
    weir_watch_open(&d.watch, d.conf->peers); /* before: no change goes unseen */
    err = weir_peers_load(d.conf->peers, &d.peers, &d.issues);
    print_issues(&d, d.conf->peers);
  }
  char zone_error[WEIR_ZONES_ERROR_SIZE];
  if (err != WEIR_OK) {
    code = EXIT_FAILURE;
  } else if (!are_zones_known(d.conf, zone_error)) {
    fprintf(stderr, "%s: %s\n", d.options.config, zone_error);
    code = EXIT_FAILURE;
  } else if (d.options.is_check) {
    printf("ok: %u pools, %u providers, %u routes, %u names, %u budgets, %u tenants\n",
           (unsigned)d.conf->coord.pools_count, (unsigned)d.conf->providers_count,
           (unsigned)d.conf->coord.routes_count, (unsigned)d.conf->coord.names_count,
           (unsigned)d.conf->coord.budgets_count, (unsigned)d.conf->coord.tenants_count);
    weir_conf_show(d.conf, stdout);
    code = EXIT_SUCCESS;
  } else {
    weir_log_init(&d.log, STDERR_FILENO);
    weir_log_configure(&d.log, d.conf->log_level, d.conf->log_format);
    code = run(&d);
    weir_log_fini(&d.log);
  }
  weir_peers_free(d.peers);
  weir_conf_free(d.conf);
  return code;
}
