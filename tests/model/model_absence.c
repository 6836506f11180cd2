/* Lives of a coordinator that differ in what is configured: pools change their names and models,
 * budgets, limits and tenants go and come back, by reloads and between lives, with a store that is
 * slow, fails, and is torn by crashes. The judge is a plain list of all that was ever granted: no
 * window of a limit that is configured now may hold more of its models' calls than it allows,
 * whatever it was called when they were granted.
 *
 * Seeds: SEEDS a run; WEIR_SEED=n replays one, WEIR_SEEDS=n runs n. A failure prints its seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/coord.h>
#include <weir/rng.h>

#include "seeds.h"

#define SEEDS      300
#define OPS        3000
#define MS         WEIR_US_PER_MS
#define SECOND     WEIR_US_PER_S
#define CONFIGS    4
#define POOLS      3
#define MODELS     3
#define GRANTS_MAX 8192
#define ROWS_MAX   128
#define TOKENS     200
#define ROUTE      9

static const struct weir_coord_bounds bounds = {.pools_max = 4,
                                                .names_max = MODELS,
                                                .sessions_max = 64,
                                                .asks_max = 64,
                                                .leases_max = 1024,
                                                .budgets_max = 3,
                                                .tenants_max = 16};

static const struct weir_limit_config of_pool[] = {
    {.dimension = WEIR_DIMENSION_REQUESTS, .window_us = 10 * SECOND, .amount = 6},
    {.dimension = WEIR_DIMENSION_INPUT_TOKENS, .window_us = 25 * SECOND, .amount = 12 * TOKENS},
    {.dimension = WEIR_DIMENSION_REQUESTS, .window_us = 60 * SECOND, .amount = 20}};
static const struct weir_limit_config of_budget = {
    .dimension = WEIR_DIMENSION_REQUESTS, .window_us = 40 * SECOND, .amount = 16};
static const struct weir_limit_config of_tenant = {
    .dimension = WEIR_DIMENSION_REQUESTS, .window_us = 15 * SECOND, .amount = 4};

struct draft {
  struct weir_pool_config pools[POOLS];
  struct weir_name_config names[MODELS];
  struct weir_budget_config budgets[2];
  struct weir_tenant_config tenant;
  struct weir_coord_config config;
  int shared; /* the place of the budget of several pools, -1: none */
};

struct grant {
  weir_tstamp at; /* arrival */
  uint64_t model;
  bool is_tenants;
};

struct world {
  struct weir_rng rng;
  weir_tstamp now;
  void *storage;
  struct weir_coord *coord;
  struct weir_coord_update update;
  struct draft drafts[CONFIGS];
  const struct draft *draft; /* configured now */
  uint64_t session, mark, seq, incarnation;
  struct grant asked[GRANTS_MAX], grants[GRANTS_MAX]; /* asks by their numbers */
  uint32_t grants_count;
  struct weir_record rows[ROWS_MAX], written[WEIR_COORD_KEEP_MIN];
  uint32_t rows_count, written_count;
  uint64_t generation;
  uint64_t reloads, lives, refused;
};

static uint64_t below(struct world *w, uint64_t bound)
{
  return weir_rng_below(&w->rng, bound);
}

/* ---- what may be configured ---- */

static void pool_draw(struct world *w, struct draft *d)
{
  static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
  const uint32_t index = d->config.pools_count++;
  struct weir_pool_config *pool = &d->pools[index];
  const uint64_t which = 1 + below(w, 7);

  strcpy(pool->name, names[below(w, 2) + (uint64_t)2 * index]);
  pool->rules.profile = WEIR_PROFILE_WINDOW;
  pool->ttl_us = SECOND;
  pool->jitter_us = 10 * MS;
  for (uint32_t i = 0; i < 3; i++) {
    if (which >> i & 1)
      pool->limits[pool->limits_count++] = of_pool[i];
  }
  pool->budgets_count = d->shared >= 0 && below(w, 3) > 0;
}

static void budget_draw(struct draft *d, const char *name, const struct weir_limit_config *limit)
{
  struct weir_budget_config *budget = &d->budgets[d->config.budgets_count++];

  strcpy(budget->name, name);
  budget->limits[budget->limits_count++] = *limit;
  budget->rules.profile = WEIR_PROFILE_WINDOW;
}

static void draft_draw(struct world *w, struct draft *d)
{
  memset(d, 0, sizeof(*d));
  d->config = (struct weir_coord_config){.pools = d->pools,
                                         .names = d->names,
                                         .budgets = d->budgets,
                                         .tenants = &d->tenant,
                                         .heartbeat_us = SECOND,
                                         .session_ttl_us = 3 * SECOND,
                                         .asks_max = 32};
  d->shared = below(w, 2) ? 0 : -1;
  if (d->shared == 0)
    budget_draw(d, "project", &of_budget);
  if (below(w, 2)) {
    strcpy(d->tenant.name, "t");
    d->tenant.pool = WEIR_POOL_ANY;
    d->tenant.weight = 1;
    d->tenant.budget = d->config.budgets_count;
    d->config.tenants_count = 1;
    budget_draw(d, "t", &of_tenant);
  }
  for (uint64_t i = 1 + below(w, POOLS); i > 0; i--)
    pool_draw(w, d);
  for (uint32_t i = 0; i < MODELS; i++) {
    struct weir_name_config *name = &d->names[d->config.names_count];

    if (below(w, 6) == 0)
      continue;
    snprintf(name->name, sizeof(name->name), "p/m%u", (unsigned)i);
    strcpy(name->model, name->name);
    name->pool = (uint32_t)below(w, d->config.pools_count);
    d->config.names_count++;
  }
}

/* ---- the judge ---- */

/* The pool of |model| now, or NULL. */
static const struct weir_pool_config *pool_of(const struct draft *d, uint64_t model)
{
  for (uint32_t i = 0; i < d->config.names_count; i++) {
    if ((uint64_t)(d->names[i].model[3] - '0') == model)
      return &d->pools[d->names[i].pool];
  }
  return NULL;
}

enum scope { POOL, SHARED, TENANT };

static bool is_of(const struct draft *d, const struct grant *grant, enum scope scope,
                  const struct weir_pool_config *pool)
{
  const struct weir_pool_config *own = pool_of(d, grant->model);

  if (scope == TENANT)
    return grant->is_tenants;
  return scope == POOL ? own == pool : own && own->budgets_count > 0;
}

static void judge_limit(const struct world *w, const struct weir_limit_config *limit,
                        enum scope scope, const struct weir_pool_config *pool)
{
  const struct grant *last = &w->grants[w->grants_count - 1];
  const uint64_t each = limit->dimension == WEIR_DIMENSION_REQUESTS ? 1 : TOKENS;
  uint64_t sum = 0;

  for (uint32_t i = w->grants_count; i-- > 0;) {
    if (w->grants[i].at + limit->window_us > last->at &&
        is_of(w->draft, &w->grants[i], scope, pool))
      sum += each;
  }
  if (sum > limit->amount)
    fail_msg("%llu of %llu in %llu s, scope %d, life %llu, at %llu ms", (unsigned long long)sum,
             (unsigned long long)limit->amount, (unsigned long long)(limit->window_us / SECOND),
             scope, (unsigned long long)w->lives, (unsigned long long)(w->now / MS));
}

static void judge(const struct world *w)
{
  const struct draft *d = w->draft;
  const struct grant *last = &w->grants[w->grants_count - 1];
  const struct weir_pool_config *pool = pool_of(d, last->model);

  assert_non_null(pool);
  for (uint32_t i = 0; i < pool->limits_count; i++)
    judge_limit(w, &pool->limits[i], POOL, pool);
  if (pool->budgets_count > 0)
    judge_limit(w, &of_budget, SHARED, NULL);
  if (d->config.tenants_count > 0 && last->is_tenants)
    judge_limit(w, &of_tenant, TENANT, NULL);
}

/* ---- the machine ---- */

static void step(struct world *w, const struct weir_coord_event *event);

static void send(struct world *w, struct weir_msg *msg)
{
  struct weir_coord_event event = {
      .type = WEIR_COORD_MESSAGE, .now = w->now, .route = ROUTE, .msg = msg};

  msg->mark = ++w->mark;
  if (msg->type != WEIR_MSG_HELLO)
    msg->session = w->session;
  step(w, &event);
}

/* It arrives as soon as it may; some calls are never settled. */
static void granted(struct world *w, const struct weir_msg_grant *grant)
{
  struct weir_msg settle = {.type = WEIR_MSG_SETTLE};

  assert_true(w->grants_count < GRANTS_MAX);
  w->grants[w->grants_count] = w->asked[grant->seq % GRANTS_MAX];
  w->grants[w->grants_count++].at = w->now + grant->start_in_us;
  judge(w);
  if (below(w, 10) == 0 || grant->start_in_us > 0)
    return;
  settle.settle.seq = grant->seq;
  settle.settle.is_sent = settle.settle.is_final = settle.settle.has_usage = true;
  settle.settle.input_tokens = TOKENS;
  settle.settle.outcome = WEIR_OUTCOME_OK;
  send(w, &settle);
}

static void step(struct world *w, const struct weir_coord_event *event)
{
  struct weir_msg_grant grants[WEIR_COORD_SENDS_MAX];
  uint32_t count = 0;

  assert_int_equal(weir_coord_step(w->coord, event, &w->update), WEIR_OK);
  for (uint32_t i = 0; i < w->update.count; i++) {
    const struct weir_msg *msg = &w->update.sends[i].msg;

    if (msg->type == WEIR_MSG_WELCOME)
      w->session = msg->session;
    if (msg->type == WEIR_MSG_GRANT)
      grants[count++] = msg->grant;
  }
  for (uint32_t i = 0; i < count; i++)
    granted(w, &grants[i]);
}

static void hello(struct world *w)
{
  struct weir_msg msg = {.type = WEIR_MSG_HELLO};

  memset(msg.hello.instance, 1, sizeof(msg.hello.instance));
  msg.hello.incarnation = ++w->incarnation;
  msg.hello.version_min = msg.hello.version_max = 1;
  send(w, &msg);
}

static void pass(struct world *w, weir_duration time)
{
  const weir_tstamp until = w->now + time;

  while (weir_coord_wake(w->coord) <= until) {
    struct weir_coord_event event = {.type = WEIR_COORD_TIMEOUT};

    if (weir_coord_wake(w->coord) > w->now)
      w->now = weir_coord_wake(w->coord);
    event.now = w->now;
    step(w, &event);
  }
  w->now = until;
  if (time >= SECOND)
    hello(w);
}

static void ask(struct world *w)
{
  struct weir_msg msg = {.type = WEIR_MSG_ASK};
  const uint64_t model = below(w, MODELS);

  w->seq++;
  w->asked[w->seq % GRANTS_MAX] = (struct grant){.model = model, .is_tenants = below(w, 2) > 0};
  snprintf(msg.ask.model, sizeof(msg.ask.model), "p/m%u", (unsigned)model);
  if (w->asked[w->seq % GRANTS_MAX].is_tenants)
    strcpy(msg.ask.tenant, "t");
  msg.ask.seq = w->seq;
  msg.ask.class = WEIR_CLASS_ONLINE;
  msg.ask.requests = 1;
  msg.ask.input_tokens = TOKENS;
  msg.ask.deadline_us = below(w, 2) ? 100 * MS : 5 * SECOND;
  send(w, &msg);
}

static void reload(struct world *w)
{
  const struct draft *next = &w->drafts[below(w, CONFIGS)];
  const struct weir_coord_event event = {
      .type = WEIR_COORD_CONFIG, .now = w->now, .config = &next->config};
  const enum weir_err err = weir_coord_step(w->coord, &event, &w->update);

  assert_true(err == WEIR_OK || err == WEIR_EFULL);
  w->refused += err != WEIR_OK;
  w->reloads++;
  if (err == WEIR_OK)
    w->draft = next;
  weir_coord_check(w->coord);
  pass(w, 0);
}

/* ---- the store ---- */

static void row_write(struct world *w, const struct weir_record *row)
{
  uint32_t i = 0;

  while (i < w->rows_count && (w->rows[i].kind != row->kind || w->rows[i].item != row->item ||
                               strcmp(w->rows[i].owner, row->owner) != 0))
    i++;
  assert_true(i < ROWS_MAX);
  w->rows[i] = *row;
  w->rows_count += i == w->rows_count;
}

static void rows_write(struct world *w, bool is_torn)
{
  bool is_left = false;

  for (uint32_t i = 0; i < w->written_count; i++) {
    if (i == 0 || strcmp(w->written[i].owner, w->written[i - 1].owner) != 0)
      is_left = !is_torn || below(w, 2);
    if (is_left)
      row_write(w, &w->written[i]);
  }
  w->written_count = 0;
}

/* Answers what is under way, or begins what is due, or neither. */
static void store_run(struct world *w)
{
  struct weir_coord_event event = {.now = w->now, .generation = w->generation};
  const bool is_durable = below(w, 8) > 0;

  if (w->written_count > 0 && below(w, 3) > 0) {
    rows_write(w, !is_durable);
    event.type = is_durable ? WEIR_COORD_DURABLE : WEIR_COORD_UNKEPT;
    step(w, &event);
  } else if (w->written_count == 0 && weir_coord_keep_due(w->coord) <= w->now) {
    w->written_count =
        weir_coord_keep(w->coord, w->now, w->written, WEIR_COORD_KEEP_MIN, &w->generation);
  }
}

/* ---- lives ---- */

static void begin(struct world *w, struct weir_coord_start start)
{
  start.epoch = ++w->lives;
  start.seed = weir_rng_next(&w->rng);
  start.is_durable = true;
  start.records = w->rows;
  start.records_count = w->rows_count;
  w->draft = &w->drafts[below(w, CONFIGS)];
  memset(w->storage, 0, weir_coord_size(&bounds));
  assert_int_equal(
      weir_coord_init(w->storage, &bounds, &w->draft->config, &start, w->now, &w->coord), WEIR_OK);
  weir_coord_disown(w->coord, w->rows, w->rows_count);
  hello(w);
}

static void crash(struct world *w)
{
  const weir_duration dead = WEIR_COORD_HORIZON_US + below(w, below(w, 2) ? 10 * MS : 20 * SECOND);
  struct weir_coord_start start = {.has_past = true, .is_same_boot = below(w, 2)};

  rows_write(w, true);
  w->now += dead;
  start.past_us = below(w, 2) ? dead - WEIR_COORD_HORIZON_US : 0;
  begin(w, start);
}

static void run(struct world *w, uint64_t seed)
{
  memset(w, 0, sizeof(*w));
  weir_rng_init(&w->rng, seed);
  w->now = 1000 * SECOND;
  w->storage = malloc(weir_coord_size(&bounds));
  for (uint32_t i = 0; i < CONFIGS; i++)
    draft_draw(w, &w->drafts[i]);
  begin(w, (struct weir_coord_start){0});
  for (uint32_t i = 0; i < OPS; i++) {
    const uint64_t what = below(w, 100);

    if (what < 60)
      ask(w);
    else if (what < 85)
      pass(w, below(w, below(w, 4) ? 500 * MS : 20 * SECOND));
    else if (what < 90)
      pass(w, below(w, 4) ? 0 : below(w, 100 * SECOND));
    else if (what < 92)
      reload(w);
    else if (what < 93)
      crash(w);
    for (int k = 0; k < 3; k++)
      store_run(w);
  }
  free(w->storage);
}

static void nothing_that_comes_back_is_granted_twice(void **state)
{
  static struct world w;
  const struct seeds seeds = seeds_of(SEEDS);
  uint64_t grants = 0, lives = 0, reloads = 0, refused = 0;

  (void)state;
  for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
    print_message("seed %llu\n", (unsigned long long)seed);
    run(&w, seed);
    grants += w.grants_count;
    lives += w.lives;
    reloads += w.reloads;
    refused += w.refused;
  }
  print_message("%llu grants, %llu lives, %llu reloads, of which %llu were refused\n",
                (unsigned long long)grants, (unsigned long long)lives, (unsigned long long)reloads,
                (unsigned long long)refused);
  assert_true(seeds.is_one || grants > 50 * seeds.count);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_that_comes_back_is_granted_twice),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
