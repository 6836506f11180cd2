/* Strangers, floods, and very many sessions. */
#include "acts.h"

#include "../demo/clock.h"
#include "light.h"
#include "peers.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include <weir.h>

#define POOL    "p"
#define WAIT_MS 10000

/* What these acts do never goes to a provider: they start the stand, without a fleet. */

/* ---- unknown, revoked, stolen ---- */

#define ROUNDS     5
#define LEASES     2000 /* of a round */
#define RATIO_MAX  2.0
#define REVOKED_MS 5000

static int handle_open(const struct chaos_site *site, const struct chaos_keys *keys,
                       const char *name, struct weir **ret_weir)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  char path[96];

  options.coordinator = site->stand.endpoint;
  options.is_without_wallet = 1;
  if (keys) {
    chaos_keys_path(keys, name, path, sizeof(path));
    options.server_key = keys->server_key;
    options.key_file = path;
  }
  return weir_open(&options, ret_weir);
}

/* One lease, given back at once. */
static int lease_once(struct weir *weir)
{
  struct weir_ask ask = WEIR_INIT(struct weir_ask);
  struct weir_lease lease = WEIR_INIT(struct weir_lease);
  int err;

  ask.model = POOL;
  ask.max_wait_ms = WAIT_MS;
  err = weir_acquire(weir, &ask, &lease);
  if (err == WEIR_OK)
    weir_settle(weir, &lease, NULL);
  return err;
}

static bool stranger_is_refused(const struct chaos_site *site, const struct chaos_keys *keys)
{
  struct weir *weir = NULL;
  bool is_refused =
      handle_open(site, keys, "stranger", &weir) == WEIR_OK && lease_once(weir) == WEIR_EKEY;

  weir_close(weir);
  return is_refused;
}

static bool revoked_is_refused(struct chaos_site *site, const struct chaos_keys *keys)
{
  const uint64_t until_ms = demo_now_ms() + REVOKED_MS;
  struct weir *weir = NULL;
  bool is_known = handle_open(site, keys, "leaver", &weir) == WEIR_OK &&
                  lease_once(weir) == WEIR_OK && chaos_keys_revoke(keys, "leaver");
  int err = WEIR_OK;

  while (is_known && err == WEIR_OK && demo_now_ms() < until_ms)
    err = lease_once(weir);
  weir_close(weir);
  return is_known && err == WEIR_EKEY;
}

/* Somebody whose key is known, too, asks with the session of another one. */
static bool stolen_is_refused(const struct chaos_site *site, const struct chaos_keys *keys,
                              void *context)
{
  struct chaos_light owner = {0}, thief = {0};
  struct weir_msg ask = {.type = WEIR_MSG_ASK,
                         .ask = {.seq = 1,
                                 .model = POOL,
                                 .class = WEIR_CLASS_ONLINE,
                                 .requests = 1,
                                 .deadline_us = WEIR_US_PER_S}};
  struct weir_msg answer;
  bool is_refused = false;

  if (chaos_light_open(&owner, context, site->stand.endpoint, keys, "healthy", 1) &&
      chaos_light_open(&thief, context, site->stand.endpoint, keys, "flooder", 2) &&
      chaos_light_hello(&owner) && chaos_light_welcome(&owner, WAIT_MS)) {
    thief.session = owner.session;
    is_refused = chaos_light_send(&thief, &ask) && chaos_light_receive(&thief, WAIT_MS, &answer) &&
                 answer.type == WEIR_MSG_REFUSE;
    /* The owner's goes on, and its number is still free. */
    is_refused = is_refused && chaos_light_send(&owner, &ask) &&
                 chaos_light_receive(&owner, WAIT_MS, &answer) && answer.type == WEIR_MSG_GRANT;
  }
  chaos_light_close(&owner);
  chaos_light_close(&thief);
  return is_refused;
}

/* ---- flood ---- */

struct flood {
  struct chaos_light light;
  pthread_t thread;
  _Atomic bool is_over;
  uint64_t sent;
};

/* What is under way while leases are timed. The same flood at another coordinator takes as much of
 * the machine: what is left of the difference is what a peer can do to its neighbours. */
enum load { QUIET, FLOOD_ELSEWHERE, FLOODED, LOADS };

/* Without a pause, as fast as the socket takes them. */
static void *flood_run(void *context)
{
  struct flood *flood = context;
  struct weir_msg answer;

  while (!atomic_load(&flood->is_over)) {
    struct weir_msg ping = {.type = WEIR_MSG_PING};

    flood->sent += chaos_light_send(&flood->light, &ping);
    if (flood->sent % 64 == 0 && chaos_light_receive(&flood->light, 0, &answer) &&
        answer.type == WEIR_MSG_REFUSE)
      chaos_light_hello(&flood->light);
  }
  return NULL;
}

static bool flood_begin(struct flood *flood, const struct chaos_site *site,
                        const struct chaos_keys *keys, void *context)
{
  atomic_store(&flood->is_over, false);
  if (!chaos_light_open(&flood->light, context, site->stand.endpoint, keys, "flooder", 3))
    return false;
  chaos_light_hello(&flood->light);
  if (pthread_create(&flood->thread, NULL, flood_run, flood) == 0)
    return true;
  chaos_light_close(&flood->light);
  return false;
}

static void flood_end(struct flood *flood)
{
  atomic_store(&flood->is_over, true);
  pthread_join(flood->thread, NULL);
  chaos_light_close(&flood->light);
}

/* Times the leases of one round, in milliseconds; returns how many failed. */
static size_t leases_time(struct weir *weir, double *ret_values)
{
  size_t failed = 0;

  for (size_t i = 0; i < LEASES; i++) {
    const uint64_t begun_us = demo_now_us();

    failed += lease_once(weir) != WEIR_OK;
    ret_values[i] = (double)(demo_now_us() - begun_us) / 1000;
  }
  return failed;
}

/* The three loads in turn, round by round, so that none has the machine's better hour. */
static bool rounds_run(struct weir *weir, const struct chaos_site *const *sites,
                       const struct chaos_keys *keys, void *context, uint64_t *ret_sent,
                       double *ret_p99_ms)
{
  static double values[LOADS][ROUNDS * LEASES];
  struct flood flood = {.sent = 0};
  size_t failed = leases_time(weir, values[QUIET]); /* to warm up */

  *ret_sent = 0;
  for (size_t i = 0; i < (size_t)ROUNDS * LOADS; i++) {
    const size_t load = i % LOADS, round = i / LOADS;

    flood.sent = 0;
    if (load != QUIET && !flood_begin(&flood, sites[load], keys, context))
      return false;
    failed += leases_time(weir, &values[load][round * LEASES]);
    if (load != QUIET)
      flood_end(&flood);
    *ret_sent += load == FLOODED ? flood.sent : 0;
  }
  for (size_t load = 0; load < LOADS; load++)
    ret_p99_ms[load] = chaos_percentile(values[load], (size_t)ROUNDS * LEASES, 0.99);
  return demo_promise(failed == 0, "%zu leases failed", failed);
}

static double ratio(double value, double of)
{
  return of > 0 ? value / of : 0;
}

static bool flood_act(const struct chaos_site *site, const struct chaos_site *other,
                      const struct chaos_keys *keys, void *context)
{
  const struct chaos_site *const sites[LOADS] = {NULL, other, site};
  struct chaos_light viewer = {0};
  struct weir *weir = NULL;
  struct weir_msg row = {.type = WEIR_MSG_ROW};
  double p99_ms[LOADS];
  uint64_t sent = 0;
  bool is_kept = handle_open(site, keys, "healthy", &weir) == WEIR_OK &&
                 rounds_run(weir, sites, keys, context, &sent, p99_ms) &&
                 chaos_light_open(&viewer, context, site->stand.endpoint, keys, "healthy", 4) &&
                 chaos_light_totals(&viewer, WAIT_MS, &row);

  chaos_light_close(&viewer);
  weir_close(weir);
  if (!is_kept)
    return demo_promise(false, "the leases could not be timed");
  chaos_note("flood: %" PRIu64 " frames of one key, %" PRIu64
             " dropped and counted; %d leases of another under each load",
             sent, row.row.counters[WEIR_COUNTER_THROTTLED], ROUNDS * LEASES);
  chaos_note("p99 of a lease: quiet %.2f ms; the flood at another coordinator of this machine "
             "%.2f ms; at its own %.2f ms",
             p99_ms[QUIET], p99_ms[FLOOD_ELSEWHERE], p99_ms[FLOODED]);
  chaos_note("ratio: %.2f of quiet, %.2f of the flood elsewhere",
             ratio(p99_ms[FLOODED], p99_ms[QUIET]),
             ratio(p99_ms[FLOODED], p99_ms[FLOOD_ELSEWHERE]));
  is_kept &= demo_promise(row.row.counters[WEIR_COUNTER_THROTTLED] > 0, "no frame was dropped");
  is_kept &= demo_promise(p99_ms[FLOODED] <= RATIO_MAX * p99_ms[FLOOD_ELSEWHERE],
                          "the flood costs others more than the machine it takes");
  return is_kept;
}

static bool peers_run(struct chaos_site *site, const struct chaos_site *other,
                      const struct chaos_keys *keys, void *context)
{
  bool is_kept = true;

  puts("strangers, a theft and a flood, by TCP with keys");
  is_kept &= demo_promise(stranger_is_refused(site, keys), "an unknown key was not refused");
  is_kept &= demo_promise(revoked_is_refused(site, keys), "a revoked key was not refused");
  is_kept &= demo_promise(stolen_is_refused(site, keys, context), "a stolen session was served");
  is_kept &= flood_act(site, other, keys, context);
  chaos_site_wait(site, 100);
  is_kept &= demo_promise(site->key_refused > 0, "no refused key was logged");
  chaos_note("unknown, revoked and stolen refused; refusals of keys in the log: %" PRIu64,
             site->key_refused);
  return is_kept;
}

bool chaos_act_peers(const struct chaos_options *options)
{
  static const char *const listed[] = {"healthy", "flooder", "leaver"};
  void *context = zmq_ctx_new();
  struct chaos_site *site, *other;
  struct chaos_keys keys;
  char config[1024];
  bool is_kept =
      chaos_keys_open(&keys, options->programs) && chaos_keys_new(&keys, "stranger", false);

  for (size_t i = 0; i < sizeof(listed) / sizeof(listed[0]); i++)
    is_kept = is_kept && chaos_keys_new(&keys, listed[i], true);
  snprintf(config, sizeof(config),
           "%sproviders: {g: {kind: gemini}}\n"
           "pools: [{name: p, provider: g, models: m, limits: {rpm: 100M}}]\n",
           keys.config);
  site = chaos_site_new(options, config);
  other = chaos_site_new(options, config);
  site->stand.listen = other->stand.listen = "tcp://127.0.0.1:*";
  is_kept = outage_stand_start(&site->stand) && is_kept;
  is_kept = outage_stand_start(&other->stand) && is_kept && peers_run(site, other, &keys, context);
  zmq_ctx_term(context);
  chaos_site_free(site);
  chaos_site_free(other);
  chaos_keys_close(&keys);
  return is_kept;
}

/* ---- 10,000 idle sessions ---- */

#define HOLDERS      4
#define HELD         2500 /* sessions of a holder */
#define HEARTBEAT_MS 10000
#define IDLE_MS      UINT64_C(20000)
#define OPEN_MS      240000
#define HELLO_MS     10000
#define HELLOS       24

/* Says HELLO again when no answer came: on a busy machine a connection may take so long that it is
 * given up and made anew, without what was on its way. */
static bool session_open(struct chaos_light *light)
{
  for (int i = 0; i < HELLOS; i++)
    if (chaos_light_welcome(light, HELLO_MS))
      return true;
    else
      chaos_light_hello(light);
  return false;
}

/* A session that ended begins anew. */
static void session_read(struct chaos_light *light)
{
  struct weir_msg msg;

  while (chaos_light_receive(light, 0, &msg)) {
    if (msg.type == WEIR_MSG_WELCOME)
      light->session = msg.session;
    else if (msg.type == WEIR_MSG_REFUSE)
      chaos_light_hello(light);
  }
}

/* --idle ENDPOINT NUMBER: opens HELD sessions, says so, and pings in each every heartbeat. */
int chaos_holder(int argc, char **argv)
{
  static struct chaos_light lights[HELD];
  void *context = zmq_ctx_new();
  const uint32_t first = argc == 4 ? (uint32_t)strtoul(argv[3], NULL, 10) * HELD + 1 : 0;
  struct pollfd input = {STDIN_FILENO, 0, 0};
  bool is_well = first > 0 && zmq_ctx_set(context, ZMQ_MAX_SOCKETS, HELD + 16) == 0;

  for (uint32_t i = 0; is_well && i < HELD; i++)
    is_well = chaos_light_open(&lights[i], context, argv[2], NULL, NULL, first + i) &&
              chaos_light_hello(&lights[i]);
  for (uint32_t i = 0; is_well && i < HELD; i++)
    is_well = session_open(&lights[i]);
  puts(is_well ? "held" : "failed");
  fflush(stdout);
  if (!is_well)
    return 1;
  for (uint32_t i = 0;; i = (i + 1) % HELD) {
    struct weir_msg msg = {.type = WEIR_MSG_PING};

    poll(&input, 1, HEARTBEAT_MS / HELD); /* until it is killed */
    session_read(&lights[i]);
    chaos_light_send(&lights[i], &msg);
  }
}

struct cost {
  double rss_mb, cpu_s;
};

static struct cost cost_of(pid_t pid)
{
  struct cost cost = {0};
  unsigned long total, resident;
  char path[64];
  FILE *file;

  snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
  file = fopen(path, "r");
  if (file && fscanf(file, "%lu %lu", &total, &resident) == 2)
    cost.rss_mb = (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
  if (file)
    fclose(file);
  cost.cpu_s = demo_cpu_us(pid) / 1e6;
  return cost;
}

static void on_held(void *context, const char *line, size_t size)
{
  (void)size;
  *(size_t *)context += strcmp(line, "held") == 0;
}

static bool holders_start(const struct chaos_site *site, struct demo_child *holders)
{
  size_t held = 0;
  char number[16];
  const char *const arguments[] = {"/proc/self/exe", "--idle", site->stand.endpoint, number, NULL};

  for (int i = 0; i < HOLDERS; i++) {
    snprintf(number, sizeof(number), "%d", i);
    if (!demo_child_start(&holders[i], arguments, false))
      return false;
  }
  for (int i = 0; i < HOLDERS; i++) {
    struct pollfd output = {holders[i].fd, POLLIN, 0};

    if (poll(&output, 1, OPEN_MS) > 0)
      demo_child_read(&holders[i], on_held, &held);
  }
  return demo_promise(held == HOLDERS, "%zu of %d times %d sessions were opened", held, HOLDERS,
                      HELD);
}

static bool idle_run(struct chaos_site *site, struct demo_child *holders)
{
  const pid_t pid = site->stand.coordinator.pid;
  const struct cost before = cost_of(pid);
  const uint64_t begun_ms = demo_now_ms();
  struct chaos_light viewer = {0};
  void *context = zmq_ctx_new();
  struct weir_msg row;
  struct cost open, after;
  bool is_well = holders_start(site, holders);
  const uint64_t opened_ms = demo_now_ms();

  open = cost_of(pid);
  chaos_site_wait(site, is_well ? IDLE_MS : 0);
  after = cost_of(pid);
  is_well = is_well &&
            chaos_light_open(&viewer, context, site->stand.endpoint, NULL, NULL, 999999) &&
            chaos_light_totals(&viewer, WAIT_MS, &row);
  chaos_light_close(&viewer);
  zmq_ctx_term(context);
  if (!is_well)
    return false;
  printf("%u idle sessions, a heartbeat of %d s\n", (unsigned)row.row.sessions,
         HEARTBEAT_MS / 1000);
  chaos_note("coordinator: %.1f MB, %.1f MB without them (%.1f kB each); %.1f %% of a core idle",
             after.rss_mb, before.rss_mb, (after.rss_mb - before.rss_mb) * 1000 / (HOLDERS * HELD),
             (after.cpu_s - open.cpu_s) * 100000 / (double)IDLE_MS);
  chaos_note("opened in %.1f s", (double)(opened_ms - begun_ms) / 1000);
  return demo_promise(row.row.sessions >= HOLDERS * HELD, "%u sessions are left",
                      (unsigned)row.row.sessions);
}

static bool idle_act(const struct chaos_options *options)
{
  struct chaos_site *site =
      chaos_site_new(options, "heartbeat: 10s\n"
                              "session_ttl: 1m\n"
                              "bounds: {sessions: 16384}\n"
                              "providers: {g: {kind: gemini}}\n"
                              "pools: [{name: p, provider: g, models: m, limits: {rpm: 1M}}]\n");
  struct demo_child holders[HOLDERS] = {{.fd = -1}, {.fd = -1}, {.fd = -1}, {.fd = -1}};
  bool is_kept = outage_stand_start(&site->stand) && idle_run(site, holders);

  for (int i = 0; i < HOLDERS; i++)
    demo_child_end(&holders[i], SIGKILL);
  chaos_site_free(site);
  return is_kept;
}

/* ---- a restart under 1,000 instances ---- */

#define SHIMS     1000
#define SERVED_MS 3000

/* Takes the results of all handles; false when they are not all grants by |until_ms|. */
static bool served(struct weir **handles, uint64_t until_ms, size_t *ret_lost)
{
  static struct pollfd fds[SHIMS];
  size_t left = SHIMS;

  for (size_t i = 0; i < SHIMS; i++)
    fds[i] = (struct pollfd){weir_fd(handles[i]), POLLIN, 0};
  *ret_lost = 0;
  while (left > 0 && demo_now_ms() < until_ms) {
    if (poll(fds, SHIMS, 100) <= 0)
      continue;
    for (size_t i = 0; i < SHIMS; i++) {
      struct weir_lease lease = WEIR_INIT(struct weir_lease);

      if (!(fds[i].revents & POLLIN) || weir_acquire_next(handles[i], &lease) != WEIR_OK)
        continue;
      *ret_lost += lease.err != WEIR_OK;
      if (lease.err == WEIR_OK)
        weir_settle(handles[i], &lease, NULL);
      fds[i].fd = -1;
      left--;
    }
  }
  *ret_lost += left;
  return *ret_lost == 0;
}

static bool ask_all(struct weir **handles)
{
  struct weir_ask ask = WEIR_INIT(struct weir_ask);
  uint64_t id;

  ask.model = POOL;
  ask.max_wait_ms = OPEN_MS;
  for (size_t i = 0; i < SHIMS; i++)
    if (weir_acquire_start(handles[i], &ask, &id) != WEIR_OK)
      return false;
  return true;
}

/* The asks are sent to a coordinator that stands still, and is then killed with them. */
static bool restart_run(struct chaos_site *site, struct weir **handles)
{
  size_t lost = 0;
  uint64_t down_ms, up_ms;
  bool is_kept;

  for (size_t i = 0; i < SHIMS; i++)
    if (handle_open(site, NULL, NULL, &handles[i]) != WEIR_OK)
      return demo_promise(false, "handle %zu could not be opened", i + 1);
  if (!ask_all(handles) || !served(handles, demo_now_ms() + OPEN_MS, &lost))
    return demo_promise(false, "%zu of the first leases failed", lost);
  kill(site->stand.coordinator.pid, SIGSTOP);
  is_kept = ask_all(handles);
  chaos_site_wait(site, 200);
  down_ms = demo_now_ms();
  outage_stand_coordinator_end(&site->stand, SIGKILL);
  is_kept = outage_stand_coordinator_start(&site->stand) && is_kept;
  up_ms = demo_now_ms();
  is_kept = is_kept && served(handles, demo_now_ms() + OPEN_MS, &lost);
  printf("coordinator killed under %d instances, an ask of each on its way\n", SHIMS);
  chaos_note("all served %.2f s after the kill, %.2f s after the start; %zu asks lost",
             (double)(demo_now_ms() - down_ms) / 1000, (double)(demo_now_ms() - up_ms) / 1000,
             lost);
  if (site->options->is_store)
    is_kept &= demo_promise(demo_now_ms() - down_ms <= SERVED_MS, "later than after %.0f s",
                            SERVED_MS / 1000.0);
  else
    chaos_note("no store: of it 11.5 s are the past that may have been spent, and a window of 1 s");
  return demo_promise(lost == 0, "%zu asks were lost", lost) && is_kept;
}

static bool restart_act(const struct chaos_options *options)
{
  static struct weir *handles[SHIMS];
  struct chaos_site *site =
      chaos_site_new(options, "providers: {g: {kind: gemini}}\n"
                              "pools:\n"
                              "  - name: p\n"
                              "    provider: g\n"
                              "    models: [m]\n"
                              "    limits: [{dimension: requests, window: 1s, amount: 1M}]\n"
                              "    lease_ttl: 200ms\n");
  bool is_kept = outage_stand_start(&site->stand) && restart_run(site, handles);

  for (size_t i = 0; i < SHIMS; i++)
    weir_close(handles[i]);
  chaos_site_free(site);
  return is_kept;
}

bool chaos_act_sessions(const struct chaos_options *options)
{
  const bool is_kept = idle_act(options);

  return restart_act(options) && is_kept;
}
