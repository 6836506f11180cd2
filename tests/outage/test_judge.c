/* What is concluded from a provider's log: on logs that were made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "judge.h"

#define MS           UINT64_C(1000)
#define S            UINT64_C(1000000)
#define REQUESTS_MAX 4096

struct entries {
  struct outage_request requests[REQUESTS_MAX];
  size_t count;
};

static struct entries entries;

/* An outage from the tenth second to the twentieth; answers take 200 ms, an opening 1 s. */
static const struct outage_times times = {.from_us = 10 * S,
                                          .to_us = 20 * S,
                                          .ended_us = 30 * S,
                                          .open_us = S,
                                          .answer_us = 200 * MS,
                                          .deadline_us = 5 * S};

static int begin(void **state)
{
  (void)state;
  memset(&entries, 0, sizeof(entries));
  return 0;
}

static void came(uint64_t at_us, bool is_admitted)
{
  assert_true(entries.count < REQUESTS_MAX);
  entries.requests[entries.count++] =
      (struct outage_request){.at_us = at_us, .is_admitted = is_admitted};
}

/* One each |gap_us|. */
static void traffic(uint64_t from_us, uint64_t to_us, uint64_t gap_us, bool is_admitted)
{
  for (uint64_t at = from_us; at < to_us; at += gap_us)
    came(at, is_admitted);
}

static struct outage_figures judged(const struct outage_call *calls, size_t count)
{
  const struct outage_records records = {entries.requests, entries.count, calls, count};
  struct outage_figures f;

  outage_judge(&records, &times, &f);
  return f;
}

static bool is_about(double value, double wanted)
{
  return fabs(value - wanted) < 1e-9;
}

static void probes_are_those_who_come_after_a_silence(void **state)
{
  struct outage_figures f;

  (void)state;
  traffic(0, 10 * S, 50 * MS, true);
  traffic(10 * S, 11 * S, 50 * MS, false); /* until it opens */
  traffic(12 * S, 12 * S + 3, 1, false);
  traffic(14 * S, 14 * S + 4, 1, false);
  came(14 * S + 300 * MS, false); /* late, but in the outage everybody is one */
  traffic(21 * S, 21 * S + 3, 1, true);
  came(21 * S + 199 * MS, true); /* nobody can have been answered yet */
  traffic(21 * S + 200 * MS, 30 * S, 50 * MS, true);
  f = judged(NULL, 0);
  assert_int_equal(f.periods, 3);
  assert_int_equal(f.probes[0], 3);
  assert_int_equal(f.probes[1], 5);
  assert_int_equal(f.probes[2], 4);
  assert_int_equal(f.during, 20 + 3 + 5);
}

static void without_a_silence_there_are_no_probes(void **state)
{
  struct outage_figures f;

  (void)state;
  traffic(0, 8 * S, 50 * MS, true);
  traffic(9 * S, 30 * S, 50 * MS, true); /* a silence before the outage */
  f = judged(NULL, 0);
  assert_int_equal(f.periods, 0);
}

static void a_wave_is_seen_against_the_later_half_before(void **state)
{
  struct outage_figures f;

  (void)state;
  traffic(0, S, 1 * MS, true); /* how it began is no steady state */
  traffic(5 * S, 10 * S, 25 * MS, true);
  came(10 * S - 1, true);
  traffic(21 * S, 22 * S, 10 * MS, false);
  traffic(22 * S, 23 * S, 25 * MS, true);
  f = judged(NULL, 0);
  assert_true(is_about(f.bin_mean, 201.0 / 50));
  assert_true(is_about(f.bin_max, 5) && is_about(f.bin_max_after, 10));
  assert_true(is_about(f.second_max, 41) && is_about(f.second_max_after, 100));
  /* 36.18 of 40.2 in a second: what was rejected does not count. */
  assert_true(is_about(f.recovery_s, 3.0));
}

static void a_fleet_that_does_not_come_back_has_not_recovered(void **state)
{
  struct outage_figures f;

  (void)state;
  traffic(0, 10 * S, 50 * MS, true);
  traffic(20 * S, 30 * S, 60 * MS, true);
  f = judged(NULL, 0);
  assert_true(f.recovery_s < 0);
}

static void calls_and_requests_are_matched(void **state)
{
  static const struct outage_call calls[] = {
      {.begun_us = 0, .over_us = S, .attempts = 1, .is_ok = true},
      {.begun_us = S, .over_us = 6 * S + 7 * MS, .attempts = 3},
      {.begun_us = S, .over_us = 6 * S + 2 * MS, .attempts = 0},
      {.begun_us = S, .over_us = 6 * S - 1, .attempts = 1},
      {.begun_us = S, .over_us = 9 * S, .attempts = 1, .is_ok = true},
  };
  struct outage_figures f;

  (void)state;
  traffic(0, 5, 1, true);
  f = judged(calls, 5);
  assert_int_equal(f.calls, 5);
  assert_int_equal(f.answered, 2);
  assert_int_equal(f.retries, 2);
  assert_true(is_about(f.retry_share, 0.5));
  assert_int_equal(f.expired, 2);
  assert_true(is_about(f.overrun_ms, 7));
  assert_int_equal(f.unknown, 1); /* six were sent, five came */
  traffic(5, 8, 1, true);
  f = judged(calls, 5);
  assert_int_equal(f.unknown, 2);
}

static void a_move_is_judged_without_somebody_else(void **state)
{
  static const struct outage_request requests[] = {
      {.at_us = 1 * S, .is_admitted = true},
      {.at_us = 2 * S, .is_foreign = true},
      {.at_us = 3 * S, .is_admitted = true, .is_fallback = true},
      {.at_us = 4 * S},
      {.at_us = 4 * S + 1 * MS},
      {.at_us = 4 * S + 2 * MS, .is_admitted = true, .is_fallback = true},
      {.at_us = 4 * S + 3 * MS, .is_admitted = true},
      {.at_us = 4 * S + 9 * MS, .is_foreign = true},
  };
  static const struct outage_call calls[] = {{.is_ok = true}, {.is_ok = false}};
  const struct outage_records records = {requests, 8, calls, 2};
  struct outage_move m;

  (void)state;
  outage_judge_move(&records, &m);
  assert_int_equal(m.calls, 2);
  assert_int_equal(m.answered, 1);
  assert_int_equal(m.rejected, 2);
  assert_int_equal(m.after, 2);
  assert_true(is_about(m.after_ms, 3));
  assert_int_equal(m.on_fallback, 2);
  assert_int_equal(m.wandered, 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(probes_are_those_who_come_after_a_silence, begin),
      cmocka_unit_test_setup(without_a_silence_there_are_no_probes, begin),
      cmocka_unit_test_setup(a_wave_is_seen_against_the_later_half_before, begin),
      cmocka_unit_test_setup(a_fleet_that_does_not_come_back_has_not_recovered, begin),
      cmocka_unit_test_setup(calls_and_requests_are_matched, begin),
      cmocka_unit_test_setup(a_move_is_judged_without_somebody_else, begin),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
