/* The judge of ./dev chaos on records that were made up: each figure, and that it can condemn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "judge.h"

#define S           UINT64_C(1000000)
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static struct chaos_figures judge(const struct outage_request *requests, size_t requests_count,
                                  const struct chaos_blow *blows, size_t blows_count)
{
  struct chaos_records records = {requests, requests_count, blows, blows_count,
                                  10 * S,   20 * S,         4,     5 * S};
  struct chaos_figures figures;
  double scratch[8];

  chaos_judge(&records, scratch, &figures);
  return figures;
}

#define AT(us)                                                                                     \
  {                                                                                                \
    .at_us = (us), .is_admitted = true                                                             \
  }

static void a_rejection_is_over_wherever_it_came(void **state)
{
  const struct outage_request requests[] = {{.at_us = 1 * S}, AT(11 * S), {.at_us = 30 * S}};

  (void)state;
  assert_int_equal(judge(requests, COUNT(requests), NULL, 0).over, 2);
  assert_int_equal(judge(requests, COUNT(requests), NULL, 0).arrivals, 3);
}

static void the_use_is_what_was_admitted_while_work_waited_of_what_was_allowed(void **state)
{
  const struct outage_request requests[] = {AT(9 * S),         AT(10 * S), AT(12 * S),
                                            {.at_us = 13 * S}, AT(19 * S), AT(20 * S)};

  (void)state;
  assert_true(judge(requests, COUNT(requests), NULL, 0).use == 3.0 / 8);
}

static void the_peak_is_of_the_fullest_window_of_any_phase(void **state)
{
  const struct outage_request requests[] = {AT(11 * S), AT(13 * S), AT(14 * S), AT(16 * S - 1),
                                            AT(16 * S)};

  (void)state;
  assert_int_equal(judge(requests, 4, NULL, 0).peak, 4);
  /* The first has left when the fifth comes, exactly a window later. */
  assert_int_equal(judge(requests, COUNT(requests), NULL, 0).peak, 4);
  const struct outage_request early[] = {AT(11 * S), AT(13 * S), AT(14 * S), AT(15 * S),
                                         AT(16 * S - 1)};
  assert_int_equal(judge(early, COUNT(early), NULL, 0).peak, 5);
}

static void a_recovery_lasts_from_the_blow_to_the_first_arrival_after_the_start(void **state)
{
  const struct outage_request requests[] = {AT(11 * S), AT(12 * S + 1000), AT(12 * S + 40000),
                                            AT(15 * S)};
  const struct chaos_blow blows[] = {{12 * S, 12 * S + 30000}, {14 * S, 14 * S + 100000}};
  const struct chaos_figures f = judge(requests, COUNT(requests), blows, COUNT(blows));

  (void)state;
  assert_true(f.p50_ms == 40);
  assert_true(f.worst_ms == 1000);
  assert_true(f.worst_from_up_ms == 900);
  assert_int_equal(f.barren, 0);
}

static void a_life_without_an_arrival_is_barren_and_no_recovery(void **state)
{
  const struct outage_request requests[] = {AT(11 * S), {.at_us = 13 * S}, AT(15 * S)};
  const struct chaos_blow blows[] = {{12 * S, 12 * S}, {14 * S, 14 * S}, {16 * S, 16 * S}};
  const struct chaos_figures f = judge(requests, COUNT(requests), blows, COUNT(blows));

  (void)state;
  assert_int_equal(f.barren, 2); /* a rejection is no recovery; nor is there one after the last */
  assert_true(f.worst_ms == 1000);
}

static void a_silence_counts_up_to_the_end_of_the_span(void **state)
{
  const struct outage_request requests[] = {AT(12 * S), AT(13 * S)};

  (void)state;
  assert_true(judge(requests, COUNT(requests), NULL, 0).longest_silence_s == 7);
  assert_true(judge(requests, 0, NULL, 0).longest_silence_s == 10);
}

static void requests_beyond_those_of_callers_were_paid_twice_or_not_at_all(void **state)
{
  const struct chaos_balance even = {10, 10, 12, 12}, killed = {10, 8, 9, 11},
                             twice = {10, 8, 9, 12}, lost = {10, 10, 12, 9};

  (void)state;
  assert_int_equal(chaos_balance_twice(&even), 0);
  assert_int_equal(chaos_balance_lost(&even), 0);
  assert_int_equal(chaos_balance_twice(&killed), 0);
  assert_int_equal(chaos_balance_twice(&twice), 1);
  assert_int_equal(chaos_balance_lost(&lost), 3);
}

static void percentiles_are_values_by_nearest_rank(void **state)
{
  double values[] = {5, 1, 4, 2, 3};

  (void)state;
  assert_true(chaos_percentile(values, COUNT(values), 0.5) == 3);
  assert_true(chaos_percentile(values, COUNT(values), 0.99) == 5);
  assert_true(chaos_percentile(values, COUNT(values), 0) == 1);
  assert_true(chaos_percentile(values, 0, 0.5) == 0);
}

static void arrivals_are_counted_in_half_open_spans(void **state)
{
  const struct outage_request requests[] = {AT(1 * S), AT(2 * S), AT(3 * S)};
  const struct chaos_records records = {.requests = requests, .requests_count = COUNT(requests)};

  (void)state;
  assert_int_equal(chaos_arrivals(&records, 1 * S, 3 * S), 2);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_rejection_is_over_wherever_it_came),
      cmocka_unit_test(the_use_is_what_was_admitted_while_work_waited_of_what_was_allowed),
      cmocka_unit_test(the_peak_is_of_the_fullest_window_of_any_phase),
      cmocka_unit_test(a_recovery_lasts_from_the_blow_to_the_first_arrival_after_the_start),
      cmocka_unit_test(a_life_without_an_arrival_is_barren_and_no_recovery),
      cmocka_unit_test(a_silence_counts_up_to_the_end_of_the_span),
      cmocka_unit_test(requests_beyond_those_of_callers_were_paid_twice_or_not_at_all),
      cmocka_unit_test(percentiles_are_values_by_nearest_rank),
      cmocka_unit_test(arrivals_are_counted_in_half_open_spans),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
