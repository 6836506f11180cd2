/* Runs the simulator over many seeds.
 *
 *   WEIR_SEEDS=n        how many seeds (default 100); each is 10 virtual minutes with faults and 5
 *                       without
 *   WEIR_SEED_FIRST=n   the first of them (default 1)
 *   WEIR_SEED=n         only this one, with its trace
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "world.h"

#define SPAN          (10 * WEIR_US_PER_MIN)
#define SEEDS_DEFAULT 100

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
  const char *text = getenv(variable);

  return text ? strtoull(text, NULL, 10) : otherwise;
}

static double seconds(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void judge(const struct weir_sim_report *r)
{
  if (r->violation[0])
    fail_msg("seed %llu: %s (replay: WEIR_SEED=%llu)", (unsigned long long)r->seed, r->violation,
             (unsigned long long)r->seed);
  for (int i = 0; i < WEIR_FAULT_MAX; i++) {
    if (r->enabled[i] && !r->fired[i])
      fail_msg("seed %llu: the fault %s is on and never struck", (unsigned long long)r->seed,
               weir_fault_name((enum weir_fault)i));
  }
  if (r->granted == 0 || r->arrivals == 0)
    fail_msg("seed %llu: nothing was granted", (unsigned long long)r->seed);
  /* The other profiles give use for smoothness, by how long leases are held. */
  if (r->has_backlog && r->profile == WEIR_PROFILE_WINDOW && r->used_pm < 800)
    fail_msg("seed %llu: calls wait, and only %llu thousandths of the quota are in use",
             (unsigned long long)r->seed, (unsigned long long)r->used_pm);
}

/* What the seeds of one profile came to. */
struct tally {
  unsigned seeds, metered, days, backlogs, islands;
  uint64_t used_pm, openings, retries, island_calls;
};

static void count(struct tally *tally, const struct weir_sim_report *r)
{
  tally->seeds++;
  tally->metered += r->is_metered;
  tally->days += r->is_day_judged;
  tally->openings += r->openings;
  tally->retries += r->retries;
  tally->islands += r->island_calls > 0;
  tally->island_calls += r->island_calls;
  if (r->has_backlog) {
    tally->backlogs++;
    tally->used_pm += r->used_pm;
  }
}

static void print(const struct tally *tallies)
{
  for (int i = 1; i < WEIR_PROFILE_MAX; i++) {
    const struct tally *t = &tallies[i];

    print_message("sim: %-9s %u seeds, %u judged by meters, %u by the day; mean use of the last "
                  "windows %.1f %% in %u with a backlog%s; %llu openings, %llu new attempts; %llu "
                  "calls as islands in %u\n",
                  weir_profile_name((enum weir_profile)i), t->seeds, t->metered, t->days,
                  t->backlogs ? (double)t->used_pm / 10 / t->backlogs : 0.0, t->backlogs,
                  i == WEIR_PROFILE_WINDOW ? ", judged" : "", (unsigned long long)t->openings,
                  (unsigned long long)t->retries, (unsigned long long)t->island_calls, t->islands);
  }
}

/* Lives after the first, with a store or without. */
struct resumed {
  uint64_t count, us;
  unsigned days;
};

static double mean_us(const struct resumed *r)
{
  return r->count > 0 ? (double)r->us / (double)r->count : 0.0;
}

static void no_seed_gets_over_a_limit_or_leaves_the_quota_unused(void **state)
{
  const uint64_t only = number_from("WEIR_SEED", 0);
  const uint64_t first = only ? only : number_from("WEIR_SEED_FIRST", 1);
  const uint64_t seeds = only ? 1 : number_from("WEIR_SEEDS", SEEDS_DEFAULT);
  struct tally tallies[WEIR_PROFILE_MAX] = {0};
  struct resumed resumed[2] = {0};
  uint64_t events = 0, arrivals = 0, generations = 0, ramps = 0, ramp_rejections = 0;
  double began = seconds(), hours;

  (void)state;
  for (uint64_t seed = first; seed < first + seeds; seed++) {
    struct weir_sim_report r;

    weir_sim_run(seed, SPAN, only ? stderr : NULL, &r);
    judge(&r);
    count(&tallies[r.profile], &r);
    resumed[r.is_stored].count += r.resumes;
    resumed[r.is_stored].us += r.resumes_us;
    resumed[r.is_stored].days += r.is_day_judged && r.enabled[WEIR_FAULT_COORD_CRASH] > 0;
    generations += r.generations;
    ramps += r.fired[WEIR_FAULT_RAMP];
    ramp_rejections += r.ramp_rejections;
    events += r.events;
    arrivals += r.arrivals;
  }
  hours = (double)seeds * SPAN * 1.5 / 3.6e9;
  print_message("sim: %llu seeds, %.0f virtual hours, %.0f per wall minute, %llu events, %llu "
                "arrivals\n",
                (unsigned long long)seeds, hours, hours / ((seconds() - began) / 60),
                (unsigned long long)events, (unsigned long long)arrivals);
  print(tallies);
  for (int i = 0; i < 2; i++)
    print_message("sim: %s a store, %llu lives granted anew, after %.2f s on the mean; days of %u "
                  "seeds with crashes were judged\n",
                  i ? "with" : "without", (unsigned long long)resumed[i].count,
                  mean_us(&resumed[i]) / 1e6, resumed[i].days);
  print_message("sim: %llu generations were written; use grew too fast %llu times, %llu calls were "
                "rejected by that\n",
                (unsigned long long)generations, (unsigned long long)ramps,
                (unsigned long long)ramp_rejections);
  /* Of windows that are full, some are full still; but most of each is known. */
  if (resumed[0].count >= 100 && resumed[1].count >= 100)
    assert_true(mean_us(&resumed[1]) * 2 < mean_us(&resumed[0]));
}

static void equal_seeds_have_equal_digests(void **state)
{
  struct weir_sim_report a, b, c;

  (void)state;
  weir_sim_run(7, WEIR_US_PER_MIN, NULL, &a);
  weir_sim_run(7, WEIR_US_PER_MIN, NULL, &b);
  weir_sim_run(8, WEIR_US_PER_MIN, NULL, &c);
  assert_true(a.digest == b.digest && a.events == b.events);
  assert_true(a.digest != c.digest);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_seed_gets_over_a_limit_or_leaves_the_quota_unused),
      cmocka_unit_test(equal_seeds_have_equal_digests),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
