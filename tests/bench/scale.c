/* scale.c - how the cost of a decision, and the memory, grow with pools and with waiters. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include <weir/coord.h>

#include "tables.h"

#define SESSIONS  128
#define TENANTS   1000
#define OUT       1000 /* leases that fill the window */
#define CYCLES    ((size_t)20000)
#define CYCLES_Q  ((size_t)2000)
#define BATCH     ((size_t)500)
#define STEP_US   UINT64_C(10)
#define BAR_NS    50 /* a mark of a bar */
#define BAR_MAX   60
#define POOLS_MAX 10000

/* A full pool with |waiters| behind it. A cycle gives one lease back unused, which grants the next
 * waiter, and adds a waiter: the queue stays as long as it is. */
struct crowd {
  struct weir_coord *coord;
  void *storage;
  struct weir_coord_update update;
  weir_tstamp now;
  uint64_t session[SESSIONS], mark[SESSIONS], seq[SESSIONS];
  struct held {
    uint32_t session;
    uint64_t seq;
  } held[OUT];
  uint32_t held_count;
  uint64_t asked;
};

static void step(struct crowd *c, uint32_t session, struct weir_msg *msg)
{
  struct weir_coord_event event = {
      .type = WEIR_COORD_MESSAGE, .now = c->now, .route = session + 1, .msg = msg};

  msg->session = c->session[session];
  msg->mark = ++c->mark[session];
  if (weir_coord_step(c->coord, &event, &c->update) != WEIR_OK)
    abort();
}

/* Notes what was granted, to whomever; returns how many. */
static uint32_t grants_note(struct crowd *c)
{
  uint32_t granted = 0;

  for (uint32_t i = 0; i < c->update.count; i++) {
    const struct weir_coord_send *send = &c->update.sends[i];

    if (send->msg.type != WEIR_MSG_GRANT)
      continue;
    if (c->held_count == OUT)
      abort();
    c->held[c->held_count++] = (struct held){(uint32_t)send->route - 1, send->msg.grant.seq};
    granted++;
  }
  return granted;
}

static void ask(struct crowd *c)
{
  struct weir_msg msg = {.type = WEIR_MSG_ASK};
  uint32_t session = (uint32_t)(c->asked % SESSIONS);

  msg.ask.seq = ++c->seq[session];
  msg.ask.class = c->asked % 3 ? WEIR_CLASS_ONLINE : WEIR_CLASS_BATCH;
  msg.ask.requests = 1;
  msg.ask.input_tokens = 100 + c->asked % 400;
  msg.ask.deadline_us = WEIR_DURATION_MAX;
  strcpy(msg.ask.model, "gemini/flash");
  snprintf(msg.ask.tenant, sizeof(msg.ask.tenant), "tenant-%u", (unsigned)(c->asked % TENANTS));
  c->asked++;
  step(c, session, &msg);
  grants_note(c);
}

static void give_back(struct crowd *c)
{
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE};
  const struct held lease = c->held[0];

  c->held[0] = c->held[--c->held_count];
  msg.settle.seq = lease.seq;
  msg.settle.is_final = true;
  step(c, lease.session, &msg);
  if (grants_note(c) != 1)
    abort(); /* then this would not be the cost of a grant */
}

static void crowd_open(struct crowd *c, uint32_t waiters)
{
  static const struct weir_name_config name = {"gemini/flash", "gemini/flash", 0};
  static const struct weir_pool_config pool = {.name = "flash",
                                               .limits_count = 1,
                                               .limits = {{.dimension = WEIR_DIMENSION_REQUESTS,
                                                           .window_us = WEIR_WINDOW_MAX_US,
                                                           .amount = OUT}},
                                               .rules = {.profile = WEIR_PROFILE_WINDOW},
                                               .ttl_us = 2 * WEIR_US_PER_S,
                                               .batch_floor_pm = 100};
  const struct weir_coord_bounds bounds = {.pools_max = 1,
                                           .names_max = 1,
                                           .sessions_max = SESSIONS,
                                           .asks_max = waiters + 2,
                                           .leases_max = OUT + 2,
                                           .budgets_max = 1,
                                           .tenants_max = 4 * TENANTS};
  const struct weir_coord_config config = {.pools_count = 1,
                                           .names_count = 1,
                                           .pools = &pool,
                                           .names = &name,
                                           .heartbeat_us = WEIR_US_PER_HOUR,
                                           .session_ttl_us = 24 * WEIR_US_PER_HOUR,
                                           .asks_max = WEIR_SEQ_WINDOW};
  const struct weir_coord_start start = {.epoch = 1, .seed = 1};

  memset(c, 0, sizeof(*c));
  c->now = WEIR_US_PER_HOUR;
  c->storage = weir_tables_new(weir_coord_size(&bounds));
  if (!c->storage ||
      weir_coord_init(c->storage, &bounds, &config, &start, c->now, &c->coord) != WEIR_OK)
    abort();
  for (uint32_t i = 0; i < SESSIONS; i++) {
    struct weir_msg hello = {.type = WEIR_MSG_HELLO};

    hello.hello.instance[0] = (uint8_t)(i + 1);
    hello.hello.incarnation = 1;
    hello.hello.version_min = hello.hello.version_max = WEIR_PROTOCOL_VERSION;
    step(c, i, &hello);
    c->session[i] = c->update.sends[0].msg.session;
  }
  for (uint32_t i = 0; i < OUT + waiters; i++)
    ask(c);
  if (c->held_count != OUT)
    abort();
}

static double waiters_run(struct bench *bench, uint32_t waiters)
{
  const size_t batches = (bench->is_quick ? CYCLES_Q : CYCLES) / BATCH;
  double ns[CYCLES / BATCH];
  struct crowd *c = malloc(sizeof(*c));

  if (!c)
    abort();
  crowd_open(c, waiters);
  for (size_t b = 0; b < batches; b++) {
    uint64_t begin = bench_now_ns();

    for (uint32_t i = 0; i < BATCH; i++) {
      c->now += STEP_US;
      give_back(c);
      ask(c);
    }
    ns[b] = (double)(bench_now_ns() - begin) / BATCH;
  }
  free(c->storage);
  free(c);
  return bench_median(ns, batches);
}

/* ---- what it prints ---- */

static void draw(const char *what, uint32_t count, double ns)
{
  char bar[BAR_MAX + 1];
  int length = ns / BAR_NS < BAR_MAX ? (int)(ns / BAR_NS) : BAR_MAX;

  memset(bar, '#', (size_t)length);
  bar[length] = 0;
  printf("  %7u %-8s %6.0f ns  %s\n", (unsigned)count, what, ns, bar);
}

static size_t size_of(uint32_t pools, uint32_t sessions, uint32_t asks, uint32_t leases,
                      uint32_t budgets, uint32_t tenants)
{
  const struct weir_coord_bounds bounds = {.pools_max = pools,
                                           .names_max = 1024,
                                           .sessions_max = sessions,
                                           .asks_max = asks,
                                           .leases_max = leases,
                                           .budgets_max = budgets,
                                           .tenants_max = tenants};

  return weir_coord_size(&bounds);
}

/* Tables round up to powers of two: a difference of as much again shows the true share of one. */
static void memory_print(struct bench *bench)
{
  const size_t base = size_of(1024, 1024, 1024, 1024, 1024, 1024);
  const struct {
    const char *name;
    size_t bytes;
  } rows[] = {{"pool", size_of(2048, 1024, 1024, 1024, 1024, 1024) - base},
              {"budget", size_of(1024, 1024, 1024, 1024, 2048, 1024) - base},
              {"session", size_of(1024, 2048, 1024, 1024, 1024, 1024) - base},
              {"waiter", size_of(1024, 1024, 3072, 1024, 1024, 1024) / 2 -
                             size_of(1024, 1024, 1024, 1024, 1024, 1024) / 2},
              {"lease", size_of(1024, 1024, 1024, 3072, 1024, 1024) / 2 -
                            size_of(1024, 1024, 1024, 1024, 1024, 1024) / 2},
              {"tenant", size_of(1024, 1024, 1024, 1024, 1024, 2048) - base}};

  printf("bytes of storage for one more:\n ");
  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
    char name[64];

    printf(" %s %zu%s", rows[i].name, rows[i].bytes / 1024,
           i + 1 < sizeof(rows) / sizeof(*rows) ? "," : "\n\n");
    snprintf(name, sizeof(name), "bytes_per_%s", rows[i].name);
    bench_json(bench, name, (double)(rows[i].bytes / 1024));
  }
}

void bench_scale(struct bench *bench)
{
  static const uint32_t waiters[] = {100, 1000, 10000, 100000};
  char name[64];

  printf("growth with pools: a grant and its settlement, three limits a pool (# is %d ns):\n",
         BAR_NS);
  for (uint32_t pools = 10; pools <= POOLS_MAX; pools *= 10) {
    double ns = bench_step_pools(bench, pools);

    draw("pools", pools, ns);
    snprintf(name, sizeof(name), "scale_ns_%u_pools", (unsigned)pools);
    bench_json(bench, name, ns);
  }
  printf("growth with waiters: a lease given back, the next waiter granted, another one queued, "
         "%d tenants:\n",
         TENANTS);
  for (size_t i = 0; i < sizeof(waiters) / sizeof(*waiters); i++) {
    double ns = waiters_run(bench, waiters[i]);

    draw("waiters", waiters[i], ns);
    snprintf(name, sizeof(name), "scale_ns_%u_waiters", (unsigned)waiters[i]);
    bench_json(bench, name, ns);
  }
  memory_print(bench);
}
