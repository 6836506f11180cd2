/* The ledger against an adversary who chooses when each lease is written and when it arrives,
 * judged by the simulated provider's own meters: no call may be rejected, whatever the method that
 * the ledger's profile promises, and whatever the phase of its windows.
 *
 * In every other run the ledger is kept in a store that is slow, fails, and is torn by crashes: the
 * calls of all lives together are judged.
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

#include <weir/ledger.h>
#include <weir/rng.h>

#include "../upstream/limits.h"
#include "seeds.h"

#define LEASES_MAX 1500
#define WINDOWS    5 /* that a run lasts at most, of the longest */
#define PHASES     6
#define SEEDS      3000
#define S          WEIR_US_PER_S

enum temper { EARLY, LATE, RANDOM, ACCORDION, TEMPER_MAX };

struct lease {
  struct weir_ledger_entry entry;
  struct weir_cost actual;
  weir_tstamp written_at, arrival, settle_at;
  uint8_t both;
  bool is_sent, is_settled, is_written_told;
};

/* One row a key, the last that is durable; and those that are being written. */
struct store {
  bool is_on, is_writing;
  weir_duration latency_us;
  uint32_t rows_count, written_count;
  weir_tstamp answer_at;
  struct weir_record rows[WEIR_LEDGER_RECORDS_MAX], written[WEIR_LEDGER_RECORDS_MAX];
};

struct world {
  struct weir_rng rng;
  struct store store;
  struct weir_ledger ledger;
  struct weir_calendar calendar;
  struct weir_instant now;
  struct weir_rules_config rules;
  struct weir_limit_config limits[WEIR_LIMITS_MAX];
  uint32_t limits_count;
  weir_duration ttl_us, jitter_us, period_us, late_us, window_max_us;
  enum temper temper;
  uint64_t share_pm, lost_pm, void_pm;
  uint64_t slots[WEIR_LEDGER_SLOTS * WEIR_SLOTS_TOGETHER];
  struct lease leases[LEASES_MAX];
  uint32_t leases_count, oldest;
  uint64_t crashes, verdicts;
};

static uint64_t below(struct world *w, uint64_t bound)
{
  return weir_rng_below(&w->rng, bound);
}

/* ---- the world ---- */

static weir_duration window_random(struct world *w, weir_duration base)
{
  const weir_duration factors[] = {1, 1, 2, 10};
  const weir_duration window = base * factors[below(w, 4)] + (below(w, 4) ? 0 : below(w, S));

  return window < 10 * WEIR_US_PER_MIN ? window : 10 * WEIR_US_PER_MIN;
}

static void limit_add(struct world *w, enum weir_dimension dimension, weir_duration base)
{
  struct weir_limit_config c = {.dimension = dimension, .window_us = window_random(w, base)};

  c.amount = dimension == WEIR_DIMENSION_REQUESTS ? 1 + below(w, below(w, 3) ? 60 : 300)
                                                  : 500 + below(w, 20000);
  if (below(w, 3) == 0)
    c.burst = 1 + below(w, c.amount);
  c.is_prepaid = below(w, 6) == 0;
  for (uint32_t i = 0; i < w->limits_count; i++) {
    if (w->limits[i].dimension == dimension && w->limits[i].window_us == c.window_us)
      return;
  }
  if (c.window_us > w->window_max_us)
    w->window_max_us = c.window_us;
  w->limits[w->limits_count++] = c;
}

static struct weir_ledger_config config_of(const struct world *w)
{
  return (struct weir_ledger_config){.limits_count = w->limits_count,
                                     .limits = w->limits,
                                     .rules = &w->rules,
                                     .hold_us = w->ttl_us + w->jitter_us};
}

static void world_init(struct world *w, uint64_t seed)
{
  const weir_duration bases[] = {S, S, 2 * S, 10 * S, WEIR_US_PER_MIN, 10 * WEIR_US_PER_MIN};
  const weir_duration holds[] = {1000, 20000, 100000, 500000, 2 * S, 5 * S};
  struct weir_ledger_config config;
  weir_duration base;

  memset(w, 0, sizeof(*w));
  weir_rng_init(&w->rng, seed);
  weir_calendar_init(&w->calendar);
  base = bases[below(w, 6)];
  w->now.at = below(w, 3) ? 5000 * S + below(w, S) : 3 * S + below(w, S);
  w->now.calendar = &w->calendar;
  w->ttl_us = 1 + below(w, holds[below(w, 6)]);
  w->jitter_us = below(w, holds[below(w, 6)]);
  w->rules.profile = (enum weir_profile)(1 + below(w, 4));
  w->rules.is_fixed = true;
  w->rules.sub_us = below(w, 4) ? 0 : 10 * S;
  limit_add(w, WEIR_DIMENSION_REQUESTS, base);
  limit_add(w, WEIR_DIMENSION_INPUT_TOKENS, base);
  while (below(w, 2) && w->limits_count < WEIR_LIMITS_MAX)
    limit_add(w, below(w, 2) ? WEIR_DIMENSION_TOTAL_TOKENS : WEIR_DIMENSION_REQUESTS, base);
  w->temper = (enum temper)below(w, TEMPER_MAX);
  w->period_us = below(w, 2) ? w->limits[0].window_us : w->limits[1].window_us;
  if (below(w, 3) == 0)
    w->period_us = S;
  w->late_us = below(w, w->period_us);
  w->share_pm = below(w, 4) ? 1 + below(w, 100) : 1 + below(w, 700);
  w->lost_pm = below(w, 2) ? below(w, 100) : below(w, 1000);
  w->void_pm = below(w, 150);
  config = config_of(w);
  weir_ledger_init(&w->ledger, w->slots, &config, &w->now);
  w->store.is_on = below(w, 2);
  w->store.latency_us = below(w, 4) ? 20000 : 2 * S;
  if (w->store.is_on)
    weir_ledger_shape(&w->ledger, 1);
}

/* ---- the store ---- */

static void row_write(struct store *store, const struct weir_record *row)
{
  uint32_t i = 0;

  while (i < store->rows_count &&
         (store->rows[i].kind != row->kind || store->rows[i].item != row->item))
    i++;
  store->rows[i] = *row;
  if (i == store->rows_count)
    store->rows_count++;
}

/* Rows are written together, but a crash or a failure may leave some of them. */
static void rows_write(struct world *w, bool is_torn)
{
  for (uint32_t i = 0; i < w->store.written_count; i++) {
    if (!is_torn || below(w, 2))
      row_write(&w->store, &w->store.written[i]);
  }
  w->store.written_count = 0;
  w->store.is_writing = false;
}

/* Answers what is due, begins what is asked for, and returns when it is to be looked at again. */
static weir_tstamp store_run(struct world *w)
{
  struct store *store = &w->store;

  if (!store->is_on)
    return WEIR_NEVER;
  if (store->is_writing && w->now.at >= store->answer_at) {
    const bool is_durable = below(w, 8) > 0;

    rows_write(w, !is_durable);
    weir_ledger_kept(&w->ledger, is_durable);
  }
  if (!store->is_writing && w->ledger.urge >= (below(w, 4) ? WEIR_URGE_SOON : WEIR_URGE_LEISURE)) {
    store->written_count = weir_ledger_keep(&w->ledger, "pool", &w->now, store->written);
    store->is_writing = true;
    store->answer_at = w->now.at + 1 + below(w, store->latency_us);
  }
  return store->is_writing ? store->answer_at : WEIR_NEVER;
}

/* Whatever is out is never settled any more. */
static void crash(struct world *w)
{
  const weir_duration dead = WEIR_LEDGER_HORIZON_US + below(w, below(w, 2) ? 20000 : 3 * S);
  const struct weir_ledger_config config = config_of(w);
  struct weir_past past = {.records = w->store.rows};

  rows_write(w, true);
  past.count = w->store.rows_count;
  past.is_same_boot = below(w, 2);
  past.started_until = w->now.at + WEIR_LEDGER_HORIZON_US;
  for (uint32_t i = 0; i < w->leases_count; i++)
    w->leases[i].is_settled = true;
  w->now.at += dead;
  w->now.number = 1;
  weir_ledger_init(&w->ledger, w->slots, &config, &w->now);
  weir_ledger_shape(&w->ledger, 1);
  weir_ledger_restore(&w->ledger, "pool", &past, &w->now);
  w->crashes++;
}

/* ---- what happens ---- */

/* The adversary may do what the lease allows: write anywhere in its life, and arrive up to the
 * jitter after that. */
static void fate_choose(struct world *w, struct lease *lease)
{
  const weir_tstamp start = lease->entry.start;
  enum temper temper = w->temper;

  if (temper == ACCORDION)
    temper = start % w->period_us < w->late_us ? LATE : EARLY;
  lease->is_sent = below(w, 1000) >= w->void_pm;
  lease->written_at = start;
  lease->arrival = start;
  if (temper == LATE) {
    lease->written_at += w->ttl_us;
    lease->arrival = lease->entry.arrival_max;
  } else if (temper == RANDOM) {
    lease->written_at += below(w, w->ttl_us + 1);
    lease->arrival = lease->written_at + below(w, w->jitter_us + 1);
  }
  lease->settle_at = WEIR_NEVER;
  if (below(w, 1000) >= w->lost_pm || !lease->is_sent)
    lease->settle_at =
        lease->written_at + (below(w, 3) ? below(w, S) : below(w, w->window_max_us * 2));
  lease->actual = lease->entry.cost;
  if (below(w, 2)) {
    lease->actual.input_tokens -= below(w, lease->actual.input_tokens + 1);
    lease->actual.output_tokens -= below(w, lease->actual.output_tokens + 1);
  }
}

static struct weir_cost cost_random(struct world *w)
{
  uint64_t most = w->limits[1].amount * w->share_pm / 1000;

  for (uint32_t i = 2; i < w->limits_count; i++) {
    if (w->limits[i].dimension == WEIR_DIMENSION_TOTAL_TOKENS && w->limits[i].amount / 3 < most)
      most = w->limits[i].amount / 3;
  }
  return (struct weir_cost){.requests = 1,
                            .input_tokens = 1 + below(w, most + 1),
                            .output_tokens = below(w, most / 2 + 1)};
}

static weir_tstamp ask(struct world *w)
{
  struct weir_ledger_entry e = {.cost = cost_random(w), .number = w->now.number, .is_open = true};
  struct lease *lease = &w->leases[w->leases_count];
  weir_tstamp at;

  e.reserve = e.cost;
  at = weir_ledger_earliest(&w->ledger, &e, w->ttl_us + w->jitter_us, w->now.at, &w->now, NULL);
  if (at > w->now.at + WEIR_LEDGER_HORIZON_US)
    return at;
  if (!weir_ledger_is_covered(&w->ledger, &e))
    return store_run(w) + WEIR_LEDGER_HORIZON_US;
  e.start = at;
  e.arrival_max = at + w->ttl_us + w->jitter_us;
  *lease = (struct lease){.entry = e};
  weir_ledger_take(&w->ledger, &e, &w->now, &lease->both);
  fate_choose(w, lease);
  w->leases_count++;
  w->now.number++;
  return 0;
}

static void replace(struct world *w, struct lease *lease, const struct weir_ledger_entry *after)
{
  weir_ledger_settle(&w->ledger, &lease->entry, after, &w->now, &lease->both);
  lease->entry = *after;
}

/* Some are told of in two steps: when they were written, and what they cost. */
static void settle(struct world *w, struct lease *lease)
{
  struct weir_ledger_entry after = lease->entry;

  if (!lease->is_sent) {
    after.is_void = true;
  } else {
    weir_ledger_narrow(&after, lease->written_at + w->jitter_us);
    if (!lease->is_written_told && below(w, 3) == 0) {
      lease->is_written_told = true;
      lease->settle_at += below(w, w->window_max_us);
      replace(w, lease, &after);
      return;
    }
    after.cost = lease->actual;
    after.is_known = true;
  }
  after.is_open = false;
  replace(w, lease, &after);
  lease->is_settled = true;
}

/* Settles what is due, and returns when the next one is. */
static weir_tstamp settles_run(struct world *w)
{
  weir_tstamp next = WEIR_NEVER;

  while (w->oldest < w->leases_count &&
         w->leases[w->oldest].entry.start + 4 * w->window_max_us < w->now.at)
    w->oldest++;
  for (uint32_t i = w->oldest; i < w->leases_count; i++) {
    struct lease *lease = &w->leases[i];

    if (!lease->is_settled && lease->settle_at <= w->now.at)
      settle(w, lease);
    if (!lease->is_settled && lease->settle_at < next && lease->settle_at > w->now.at)
      next = lease->settle_at;
  }
  return next;
}

/* A reload that changes nothing but places. */
static void reload(struct world *w)
{
  const struct weir_limit_config last = w->limits[w->limits_count - 1];
  struct weir_ledger_config config;

  if (w->limits_count > 2) {
    w->limits[w->limits_count - 1] = w->limits[2];
    w->limits[2] = last;
  }
  config = config_of(w);
  weir_ledger_configure(&w->ledger, &config, &w->now);
  if (w->store.is_on)
    weir_ledger_shape(&w->ledger, 1);
}

/* Takes all that it gets, but for silences now and then. */
static void live(struct world *w)
{
  const weir_tstamp end = w->now.at + WINDOWS * w->window_max_us;

  while (w->now.at < end && w->leases_count < LEASES_MAX) {
    const weir_tstamp at = ask(w), kept_at = store_run(w);
    weir_tstamp next = settles_run(w);

    next = kept_at < next ? kept_at : next;
    if (w->store.is_on && below(w, 150) == 0)
      crash(w);
    if (below(w, 500) == 0)
      reload(w);
    if (below(w, 60) == 0)
      w->now.at += below(w, w->window_max_us / 4);
    if (at == 0)
      continue;
    assert_true(at != WEIR_NEVER);
    if (at - WEIR_LEDGER_HORIZON_US < next)
      next = at - WEIR_LEDGER_HORIZON_US;
    /* Now and then it is later than asked for. */
    if (next > w->now.at)
      w->now.at = next + (below(w, 4) ? 0 : below(w, 30000));
    settles_run(w);
    weir_ledger_check(&w->ledger);
  }
}

/* ---- the judge ---- */

static int by_arrival(const void *a, const void *b)
{
  const struct lease *x = a, *y = b;

  return (x->arrival > y->arrival) - (x->arrival < y->arrival);
}

/* What the provider counts: of prepaid limits the estimate. */
static uint64_t weight(const struct weir_limit_config *limit, const struct lease *lease)
{
  return weir_ledger_cost_of(limit->is_prepaid ? &lease->entry.reserve : &lease->actual,
                             limit->dimension);
}

static void judge(struct world *w, const struct weir_limit_config *limit,
                  const struct weir_up_limit *up)
{
  struct weir_up_meter *m = weir_up_meter_new(up, 1, false, 0);

  assert_non_null(m);
  for (uint32_t i = 0; i < w->leases_count; i++) {
    const struct lease *lease = &w->leases[i];
    struct weir_up_cost cost = {.units = {0}};

    if (!lease->is_sent)
      continue;
    cost.units[up->dimension] = weight(limit, lease);
    if (weir_up_meter_admit(m, lease->arrival, &cost) != 0)
      fail_msg("%s: %s of %llu in %llu us, phase %llu: rejected at %llu",
               weir_up_method_name(up->method), weir_dimension_name(limit->dimension),
               (unsigned long long)limit->amount, (unsigned long long)limit->window_us,
               (unsigned long long)up->phase_us, (unsigned long long)lease->arrival);
    w->verdicts++;
  }
  weir_up_meter_free(m);
}

/* Phases: random ones, and those that begin when a call arrives. */
static void judge_phases(struct world *w, const struct weir_limit_config *limit,
                         struct weir_up_limit up)
{
  for (int i = 0; i < PHASES; i++) {
    const uint64_t at = i % 2 && w->leases_count > 0 ? w->leases[below(w, w->leases_count)].arrival
                                                     : below(w, limit->window_us);

    up.phase_us = at % limit->window_us;
    judge(w, limit, &up);
  }
}

static uint64_t burst_of(const struct world *w, const struct weir_limit_config *limit)
{
  uint64_t burst = limit->burst ? limit->burst : limit->amount / 20;

  for (uint32_t i = 0; i < w->leases_count; i++) {
    if (weight(limit, &w->leases[i]) > burst)
      burst = weight(limit, &w->leases[i]);
  }
  return burst;
}

/* Sub-windows that are as long as the window are the window. */
static bool has_sub(const struct world *w, const struct weir_limit_config *limit)
{
  const weir_duration sub = w->rules.sub_us ? w->rules.sub_us : S;
  const weir_duration one = (limit->window_us + limit->amount - 1) / limit->amount;

  return limit->dimension == WEIR_DIMENSION_REQUESTS && limit->window_us > sub &&
         (one + sub - 1) / sub * sub < limit->window_us;
}

static void judge_limit(struct world *w, const struct weir_limit_config *limit)
{
  struct weir_up_limit up = {
      .dimension = limit->dimension == WEIR_DIMENSION_REQUESTS ? WEIR_UP_REQUESTS : WEIR_UP_INPUT,
      .amount = limit->amount,
      .window_us = limit->window_us,
      .sub_us = w->rules.sub_us};

  up.method = WEIR_UP_FIXED;
  judge_phases(w, limit, up);
  up.method = WEIR_UP_LOG;
  judge(w, limit, &up);
  if (w->rules.profile >= WEIR_PROFILE_BUCKET) {
    up.method = WEIR_UP_BUCKET;
    up.burst = burst_of(w, limit);
    judge(w, limit, &up);
  }
  if (w->rules.profile >= WEIR_PROFILE_PACED && has_sub(w, limit)) {
    up.method = WEIR_UP_SUB;
    judge_phases(w, limit, up);
  }
  if (w->rules.profile >= WEIR_PROFILE_UNIVERSAL) {
    up.method = WEIR_UP_COUNTER;
    judge_phases(w, limit, up);
  }
}

static void run(struct world *w, uint64_t seed)
{
  print_message("seed %llu\n", (unsigned long long)seed);
  world_init(w, seed);
  live(w);
  qsort(w->leases, w->leases_count, sizeof(*w->leases), by_arrival);
  for (uint32_t i = 0; i < w->limits_count; i++)
    judge_limit(w, &w->limits[i]);
}

static void no_adversary_gets_a_call_rejected_by_what_the_profile_promises(void **state)
{
  static struct world w;
  const struct seeds seeds = seeds_of(SEEDS);
  uint64_t leases = 0, verdicts = 0, crashes = 0;

  (void)state;
  for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
    run(&w, seed);
    leases += w.leases_count;
    verdicts += w.verdicts;
    crashes += w.crashes;
  }
  print_message("%llu leases, %llu verdicts, %llu crashes\n", (unsigned long long)leases,
                (unsigned long long)verdicts, (unsigned long long)crashes);
  assert_true(seeds.is_one || crashes > seeds.count / 4);
  assert_true(leases > 50 * seeds.count);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_adversary_gets_a_call_rejected_by_what_the_profile_promises),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
