/* Runs the simulator over many seeds.
 *
 *   WEIR_SEEDS=n   how many seeds (default 100), from 1 on; each is 10 virtual minutes with faults
 *                  and 5 without
 *   WEIR_SEED=n    only this one, with its trace
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
  if (r->is_judged && r->used_pm < 800)
    fail_msg("seed %llu: calls wait, and only %llu thousandths of the quota are in use",
             (unsigned long long)r->seed, (unsigned long long)r->used_pm);
}

static void no_seed_gets_over_a_limit_or_leaves_the_quota_unused(void **state)
{
  const uint64_t only = number_from("WEIR_SEED", 0);
  const uint64_t seeds = only ? only : number_from("WEIR_SEEDS", SEEDS_DEFAULT);
  uint64_t events = 0, arrivals = 0, used = 0, judged = 0;
  double began = seconds(), hours;

  (void)state;
  for (uint64_t seed = only ? only : 1; seed <= seeds; seed++) {
    struct weir_sim_report r;

    weir_sim_run(seed, SPAN, only ? stderr : NULL, &r);
    judge(&r);
    events += r.events;
    arrivals += r.arrivals;
    used += r.is_judged ? r.used_pm : 0;
    judged += r.is_judged;
  }
  hours = (double)(only ? 1 : seeds) * SPAN * 1.5 / 3.6e9;
  print_message("sim: %llu seeds, %.0f virtual hours, %.0f per wall minute, %llu events, %llu "
                "arrivals; mean use of the last windows %.1f %% where %llu had a backlog\n",
                (unsigned long long)(only ? 1 : seeds), hours, hours / ((seconds() - began) / 60),
                (unsigned long long)events, (unsigned long long)arrivals,
                judged ? (double)used / 10 / (double)judged : 0.0, (unsigned long long)judged);
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
