/* step.c - the cost of one decision. The machine's clock is virtual and moves on by what a busy
 * coordinator would see, so that rings turn and timers fire as they do in service. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include <weir/coord.h>
#include <weir/rng.h>

#include "tables.h"

#define BATCH     512          /* leases at a time; fewer than WEIR_SEQ_WINDOW */
#define STEP_US   UINT64_C(10) /* between two events */
#define LIMITS    3
#define INPUT     3000
#define PLENTY    (UINT64_C(1) << 46)
#define BATCHES   400
#define BATCHES_Q 40
#define WARM_UP   20

struct stand {
  struct weir_coord *coord;
  void *storage;
  struct weir_pool_config *pools;
  struct weir_name_config *names;
  struct weir_coord_update update;
  struct weir_rng rng;
  uint32_t pools_count;
  weir_tstamp now;
  uint64_t session, mark, seq;
  char asked[BATCH][WEIR_NAME_SIZE]; /* names of a batch, as near as a decoded message is */
};

static void step(struct stand *s, const struct weir_msg *msg)
{
  struct weir_coord_event event = {.type = WEIR_COORD_MESSAGE, .now = s->now, .route = 1};

  event.msg = msg;
  if (weir_coord_step(s->coord, &event, &s->update) != WEIR_OK)
    abort();
}

static void config_fill(struct stand *s)
{
  static const struct weir_limit_config limits[LIMITS] = {
      {.dimension = WEIR_DIMENSION_REQUESTS, .window_us = WEIR_US_PER_MIN, .amount = PLENTY},
      {.dimension = WEIR_DIMENSION_INPUT_TOKENS, .window_us = WEIR_US_PER_MIN, .amount = PLENTY},
      {.dimension = WEIR_DIMENSION_REQUESTS, .window_us = WEIR_DAY_WINDOW_US, .amount = PLENTY}};

  for (uint32_t i = 0; i < s->pools_count; i++) {
    struct weir_pool_config *pool = &s->pools[i];
    struct weir_name_config *name = &s->names[i];

    snprintf(pool->name, sizeof(pool->name), "pool-%u", (unsigned)i);
    pool->limits_count = LIMITS;
    memcpy(pool->limits, limits, sizeof(limits));
    pool->ttl_us = 2 * WEIR_US_PER_S;
    pool->jitter_us = 100 * WEIR_US_PER_MS;
    pool->batch_floor_pm = 100;
    snprintf(name->name, sizeof(name->name), "gemini/model-%u", (unsigned)i);
    snprintf(name->model, sizeof(name->model), "gemini/model-%u", (unsigned)i);
    name->pool = i;
  }
}

static void stand_open(struct stand *s, uint32_t pools_count)
{
  const struct weir_coord_bounds bounds = {.pools_max = pools_count,
                                           .names_max = pools_count,
                                           .sessions_max = 16,
                                           .asks_max = 2 * BATCH,
                                           .leases_max = 4 * BATCH,
                                           .budgets_max = 1,
                                           .tenants_max = 2 * pools_count + 2};
  struct weir_coord_config config = {.pools_count = pools_count,
                                     .names_count = pools_count,
                                     .heartbeat_us = WEIR_US_PER_HOUR,
                                     .session_ttl_us = 24 * WEIR_US_PER_HOUR,
                                     .asks_max = 2 * BATCH};
  const struct weir_coord_start start = {.epoch = 1, .seed = 1};
  struct weir_msg hello = {.type = WEIR_MSG_HELLO, .mark = 1};

  memset(s, 0, sizeof(*s));
  s->pools_count = pools_count;
  s->now = WEIR_US_PER_HOUR;
  s->mark = 1;
  s->storage = weir_tables_new(weir_coord_size(&bounds));
  s->pools = calloc(pools_count, sizeof(*s->pools));
  s->names = calloc(pools_count, sizeof(*s->names));
  if (!s->storage || !s->pools || !s->names)
    abort();
  weir_rng_init(&s->rng, 1);
  config_fill(s);
  config.pools = s->pools;
  config.names = s->names;
  if (weir_coord_init(s->storage, &bounds, &config, &start, s->now, &s->coord) != WEIR_OK)
    abort();
  hello.hello.incarnation = 1;
  hello.hello.version_min = hello.hello.version_max = WEIR_PROTOCOL_VERSION;
  step(s, &hello);
  s->session = s->update.sends[0].msg.session;
}

static void stand_close(struct stand *s)
{
  free(s->storage);
  free(s->pools);
  free(s->names);
}

/* What becomes due meanwhile is not part of the two figures, but has to happen. */
static void timeouts(struct stand *s)
{
  while (weir_coord_wake(s->coord) <= s->now) {
    struct weir_coord_event event = {.type = WEIR_COORD_TIMEOUT, .now = s->now};

    if (weir_coord_step(s->coord, &event, &s->update) != WEIR_OK)
      abort();
  }
}

static void names_draw(struct stand *s)
{
  for (int i = 0; i < BATCH; i++) {
    const uint64_t name = s->pools_count > 1 ? weir_rng_below(&s->rng, s->pools_count) : 0;

    memcpy(s->asked[i], s->names[name].name, sizeof(s->asked[i]));
  }
}

static uint64_t acquire(struct stand *s)
{
  struct weir_msg ask = {.type = WEIR_MSG_ASK, .session = s->session};
  uint64_t begin;

  names_draw(s);
  begin = bench_now_ns();
  ask.ask.class = WEIR_CLASS_ONLINE;
  ask.ask.requests = 1;
  ask.ask.output_tokens = 1000;
  ask.ask.deadline_us = WEIR_US_PER_MIN;
  for (int i = 0; i < BATCH; i++) {
    memcpy(ask.ask.model, s->asked[i], sizeof(ask.ask.model));
    ask.ask.input_tokens = INPUT + (uint64_t)i;
    ask.ask.seq = s->seq + (uint64_t)i + 1;
    ask.mark = ++s->mark;
    s->now += STEP_US;
    step(s, &ask);
    if (s->update.count != 1 || s->update.sends[0].msg.type != WEIR_MSG_GRANT)
      abort(); /* then this would not be the cost of a grant */
  }
  return bench_now_ns() - begin;
}

static uint64_t settle(struct stand *s)
{
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE, .session = s->session};
  uint64_t begin = bench_now_ns();

  msg.settle.is_sent = msg.settle.is_final = msg.settle.has_usage = true;
  msg.settle.outcome = WEIR_OUTCOME_OK;
  msg.settle.http = 200;
  msg.settle.sent_ago_us = BATCH * STEP_US;
  msg.settle.output_tokens = 200;
  for (int i = 0; i < BATCH; i++) {
    msg.settle.seq = ++s->seq;
    msg.settle.input_tokens = INPUT - 100;
    msg.mark = ++s->mark;
    s->now += STEP_US;
    step(s, &msg);
  }
  return bench_now_ns() - begin;
}

/* Medians of |ret_acquire_ns| and |ret_settle_ns|, each of a batch's mean. */
static void measure(struct bench *bench, uint32_t pools_count, double *ret_acquire_ns,
                    double *ret_settle_ns)
{
  const size_t batches = bench->is_quick ? BATCHES_Q : BATCHES;
  double acquires[BATCHES], settles[BATCHES];
  struct stand *s = malloc(sizeof(*s));

  if (!s)
    abort();
  stand_open(s, pools_count);
  for (size_t i = 0; i < batches + WARM_UP; i++) {
    double acquired = (double)acquire(s) / BATCH, settled = (double)settle(s) / BATCH;

    timeouts(s);
    if (i >= WARM_UP) {
      acquires[i - WARM_UP] = acquired;
      settles[i - WARM_UP] = settled;
    }
  }
  if (weir_coord_counter(s->coord, WEIR_COUNTER_SETTLED) != (batches + WARM_UP) * BATCH)
    abort();
  *ret_acquire_ns = bench_median(acquires, batches);
  *ret_settle_ns = bench_median(settles, batches);
  stand_close(s);
  free(s);
}

static void run(struct bench *bench, uint32_t pools_count)
{
  double acquire_ns, settle_ns;
  char name[64];

  measure(bench, pools_count, &acquire_ns, &settle_ns);
  printf("  %5u pools   acquire %6.0f ns   settle %6.0f ns\n", (unsigned)pools_count, acquire_ns,
         settle_ns);
  snprintf(name, sizeof(name), "step_acquire_ns_%u_pools", (unsigned)pools_count);
  bench_json(bench, name, acquire_ns);
  snprintf(name, sizeof(name), "step_settle_ns_%u_pools", (unsigned)pools_count);
  bench_json(bench, name, settle_ns);
}

double bench_step_pools(struct bench *bench, uint32_t pools_count)
{
  double acquire_ns, settle_ns;

  measure(bench, pools_count, &acquire_ns, &settle_ns);
  return acquire_ns + settle_ns;
}

void bench_step(struct bench *bench)
{
  printf("weir_coord_step, %d limits a pool, median of %d batches of %d:\n", LIMITS,
         bench->is_quick ? BATCHES_Q : BATCHES, BATCH);
  run(bench, 1);
  run(bench, 1000);
  printf("\n");
}
