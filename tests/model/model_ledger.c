/* The ledger against a list of leases (O(n^2), obviously correct), and against an adversary who
 * chooses when each lease arrives at the provider.
 *
 * Seeds: 200 a run; WEIR_SEED=n replays one. A failure prints its seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <weir/ledger.h>
#include <weir/rng.h>

#define LEASES_MAX 4000
#define SEEDS      200

struct lease {
  struct weir_ledger_entry entry;
  struct weir_cost reserved;        /* what was charged when it was taken */
  weir_tstamp arrival, arrival_max; /* the bound by the list's own arithmetic */
  weir_tstamp settled_at;           /* WEIR_NEVER: not settled */
  struct weir_cost actual;
};

struct world {
  struct weir_rng rng;
  struct weir_ledger ledger;
  struct weir_pool_config config;
  uint64_t slots[WEIR_LIMITS_MAX * WEIR_RING_SLOTS];
  struct lease leases[LEASES_MAX];
  uint32_t leases_count;
  weir_tstamp now;
};

static uint64_t below(struct world *w, uint64_t bound)
{
  return weir_rng_below(&w->rng, bound);
}

static void world_init(struct world *w, uint64_t seed)
{
  static const weir_duration windows[] = {WEIR_US_PER_S, 10 * WEIR_US_PER_S, WEIR_US_PER_MIN,
                                          10 * WEIR_US_PER_MIN};

  weir_rng_init(&w->rng, seed);
  w->leases_count = 0;
  w->now = 5000 * WEIR_US_PER_S + below(w, WEIR_US_PER_S);
  w->config = (struct weir_pool_config){.name = "p", .limits_count = 3};
  w->config.ttl_us = 1 + below(w, 5 * WEIR_US_PER_S);
  w->config.jitter_us = below(w, WEIR_US_PER_S);
  w->config.limits[0] = (struct weir_limit_config){.dimension = WEIR_DIMENSION_REQUESTS,
                                                   .window_us = windows[below(w, 4)],
                                                   .amount = 2 + below(w, 40)};
  w->config.limits[1] = (struct weir_limit_config){.dimension = WEIR_DIMENSION_INPUT_TOKENS,
                                                   .window_us = windows[below(w, 4)],
                                                   .amount = 1000 + below(w, 9000)};
  w->config.limits[2] = (struct weir_limit_config){.dimension = WEIR_DIMENSION_TOTAL_TOKENS,
                                                   .window_us = windows[below(w, 4)],
                                                   .amount = 2000 + below(w, 20000)};
  weir_ledger_init(&w->ledger, w->slots, &w->config, w->now);
}

/* What the list says is charged in limit |i| at instant |t|, seen from now. */
static uint64_t charged(const struct world *w, uint32_t i, weir_tstamp t)
{
  const struct weir_limit_config *limit = &w->config.limits[i];
  uint64_t sum = 0;

  for (uint32_t k = 0; k < w->leases_count; k++) {
    const struct lease *lease = &w->leases[k];

    if (lease->arrival_max + limit->window_us > t)
      sum += weir_ledger_cost_of(&lease->actual, limit->dimension);
  }
  return sum;
}

static bool fits_exactly(const struct world *w, const struct weir_cost *cost, weir_tstamp t)
{
  for (uint32_t i = 0; i < w->config.limits_count; i++) {
    const struct weir_limit_config *limit = &w->config.limits[i];

    if (charged(w, i, t) + weir_ledger_cost_of(cost, limit->dimension) > limit->amount)
      return false;
  }
  return true;
}

static void ask(struct world *w)
{
  const struct weir_cost cost = {1, 1 + below(w, below(w, 10) ? 300 : 3000), below(w, 500)};
  weir_tstamp start = weir_ledger_earliest(&w->ledger, &cost, w->now, w->now, NULL);
  weir_duration slot_max = 0;
  struct lease *lease;

  for (uint32_t i = 0; i < w->config.limits_count; i++) {
    if (w->ledger.limits[i].ring.slot_us > slot_max)
      slot_max = w->ledger.limits[i].ring.slot_us;
  }
  if (start == WEIR_NEVER)
    return;
  /* Never before the list allows it, and at most a slot later than the list would. */
  assert_true(fits_exactly(w, &cost, start));
  if (start > w->now + slot_max && start - slot_max > w->ledger.start_last)
    assert_false(fits_exactly(w, &cost, start - slot_max - 1));
  if (start > w->now + 20 * WEIR_US_PER_MS || w->leases_count == LEASES_MAX)
    return;
  lease = &w->leases[w->leases_count++];
  weir_ledger_take(&w->ledger, &cost, start, w->now, &lease->entry);
  lease->reserved = lease->actual = cost;
  lease->arrival_max = start + w->config.ttl_us + w->config.jitter_us;
  lease->settled_at = WEIR_NEVER;
  /* The adversary: at once, as late as it can, or anywhere between. */
  switch (below(w, 3)) {
  case 0:
    lease->arrival = start;
    break;
  case 1:
    lease->arrival = lease->arrival_max;
    break;
  default:
    lease->arrival = start + below(w, lease->arrival_max - start + 1);
  }
}

static void settle(struct world *w)
{
  struct lease *lease;
  weir_tstamp arrival_max;

  if (w->leases_count == 0)
    return;
  lease = &w->leases[w->leases_count - 1 - below(w, w->leases_count < 50 ? w->leases_count : 50)];
  if (lease->settled_at != WEIR_NEVER)
    return;
  if (lease->arrival > w->now) { /* not sent yet: return it unused, now and then */
    if (below(w, 4) == 0) {
      lease->actual = (struct weir_cost){0};
      weir_ledger_settle(&w->ledger, &lease->entry, &lease->actual, 0, w->now);
      lease->settled_at = w->now;
    }
    return;
  }
  /* It arrived: the settle knows a bound that is true, and a cost of at most the reserve. */
  lease->actual.input_tokens = below(w, lease->reserved.input_tokens + 1);
  lease->actual.output_tokens = below(w, lease->reserved.output_tokens + 1);
  arrival_max = lease->arrival + below(w, w->config.jitter_us + 1);
  if (arrival_max < lease->arrival_max)
    lease->arrival_max = arrival_max;
  weir_ledger_settle(&w->ledger, &lease->entry, &lease->actual, arrival_max, w->now);
  lease->settled_at = w->now;
}

/* Every window that begins at an arrival, by the actual costs: what the provider sees. */
static void no_window_is_over(const struct world *w)
{
  for (uint32_t i = 0; i < w->config.limits_count; i++) {
    const struct weir_limit_config *limit = &w->config.limits[i];

    for (uint32_t k = 0; k < w->leases_count; k++) {
      const weir_tstamp begin = w->leases[k].arrival;
      uint64_t sum = 0;

      for (uint32_t m = 0; m < w->leases_count; m++) {
        if (w->leases[m].arrival >= begin && w->leases[m].arrival < begin + limit->window_us)
          sum += weir_ledger_cost_of(&w->leases[m].actual, limit->dimension);
      }
      assert_true(sum <= limit->amount);
    }
  }
}

static void run(uint64_t seed)
{
  static struct world w;

  print_message("seed %llu\n", (unsigned long long)seed);
  world_init(&w, seed);
  for (int step = 0; step < 1500; step++) {
    w.now += below(&w, 3) ? below(&w, 200 * WEIR_US_PER_MS) : 0;
    if (below(&w, 300) == 0)
      w.now += below(&w, 3 * WEIR_US_PER_MIN);
    if (below(&w, 3) == 0)
      settle(&w);
    else
      ask(&w);
    weir_ledger_check(&w.ledger);
  }
  no_window_is_over(&w);
}

static void
no_adversary_gets_a_window_over_its_limit_and_no_start_is_later_than_a_slot(void **state)
{
  const char *seed = getenv("WEIR_SEED");

  (void)state;
  if (seed) {
    run(strtoull(seed, NULL, 10));
    return;
  }
  for (uint64_t i = 1; i <= SEEDS; i++)
    run(i);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_adversary_gets_a_window_over_its_limit_and_no_start_is_later_than_a_slot),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
