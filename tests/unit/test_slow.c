#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/slow.h>

#define MS     WEIR_US_PER_MS
#define MINUTE WEIR_US_PER_MIN

static void note(struct weir_slow *s, weir_duration waited_us, weir_duration took_us,
                 weir_tstamp ended_at)
{
  const struct weir_slow_call call = {
      .ended_at = ended_at, .waited_us = waited_us, .took_us = took_us};

  weir_slow_note(s, &call);
}

static void keeps_the_slowest_in_their_order_and_counts_waiting(void **state)
{
  struct weir_slow s = {0};

  (void)state;
  note(&s, 0, 30 * MS, MINUTE);
  note(&s, 50 * MS, 10 * MS, MINUTE);
  note(&s, 0, 20 * MS, MINUTE);
  assert_int_equal(s.count, 3);
  assert_int_equal(s.calls[0].waited_us, 50 * MS);
  assert_int_equal(s.calls[1].took_us, 30 * MS);
  assert_int_equal(s.calls[2].took_us, 20 * MS);
}

static void a_slower_one_takes_the_place_of_the_fastest_when_there_is_no_room(void **state)
{
  struct weir_slow s = {0};

  (void)state;
  for (uint64_t i = 1; i <= WEIR_SLOW_CALLS_MAX; i++)
    note(&s, 0, i * MS, MINUTE);
  assert_false(weir_slow_is_one(&s, MS, MINUTE));
  note(&s, 0, MS / 2, MINUTE);
  assert_int_equal(s.count, WEIR_SLOW_CALLS_MAX);
  assert_int_equal(s.calls[WEIR_SLOW_CALLS_MAX - 1].took_us, MS);
  assert_true(weir_slow_is_one(&s, MS + 1, MINUTE));
  note(&s, 0, 5 * MS, MINUTE);
  assert_int_equal(s.count, WEIR_SLOW_CALLS_MAX);
  assert_int_equal(s.calls[WEIR_SLOW_CALLS_MAX - 1].took_us, 2 * MS);
  assert_int_equal(s.calls[WEIR_SLOW_CALLS_MAX - 5].took_us, 5 * MS);
  assert_int_equal(s.calls[WEIR_SLOW_CALLS_MAX - 6].took_us, 6 * MS);
}

static void forgets_each_ten_minutes_after_it_ended(void **state)
{
  struct weir_slow s = {0};

  (void)state;
  note(&s, 0, 30 * MS, MINUTE);
  note(&s, 0, 20 * MS, 2 * MINUTE);
  assert_int_equal(weir_slow_forget(&s, MINUTE + WEIR_SLOW_LAST_US - 1), 2);
  assert_int_equal(weir_slow_forget(&s, MINUTE + WEIR_SLOW_LAST_US), 1);
  assert_int_equal(s.calls[0].took_us, 20 * MS);
  assert_int_equal(weir_slow_forget(&s, 2 * MINUTE + WEIR_SLOW_LAST_US), 0);
  note(&s, 0, MS, 20 * MINUTE);
  assert_int_equal(weir_slow_forget(&s, 20 * MINUTE), 1);
}

static void a_slow_call_is_forgotten_before_a_fast_one_that_ended_later(void **state)
{
  struct weir_slow s = {0};

  (void)state;
  note(&s, 0, 10 * MS, MINUTE);
  note(&s, 0, 30 * MS, 2 * MINUTE);
  note(&s, 0, 20 * MS, 3 * MINUTE);
  assert_int_equal(weir_slow_forget(&s, MINUTE + WEIR_SLOW_LAST_US), 2);
  assert_int_equal(weir_slow_forget(&s, 2 * MINUTE + WEIR_SLOW_LAST_US), 1);
  assert_int_equal(s.calls[0].took_us, 20 * MS);
}

static void what_is_too_old_makes_room_for_faster_ones(void **state)
{
  struct weir_slow s = {0};
  const weir_tstamp later = MINUTE + WEIR_SLOW_LAST_US;

  (void)state;
  note(&s, 0, 100 * MS, MINUTE);
  for (uint64_t i = 1; i < WEIR_SLOW_CALLS_MAX; i++)
    note(&s, 0, 50 * MS, 2 * MINUTE);
  assert_false(weir_slow_is_one(&s, MS, later - 1));
  assert_true(weir_slow_is_one(&s, MS, later));
  note(&s, 0, MS, later);
  assert_int_equal(s.count, WEIR_SLOW_CALLS_MAX);
  assert_int_equal(s.calls[0].took_us, 50 * MS);
  assert_int_equal(s.calls[WEIR_SLOW_CALLS_MAX - 1].took_us, MS);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keeps_the_slowest_in_their_order_and_counts_waiting),
      cmocka_unit_test(a_slower_one_takes_the_place_of_the_fastest_when_there_is_no_room),
      cmocka_unit_test(forgets_each_ten_minutes_after_it_ended),
      cmocka_unit_test(a_slow_call_is_forgotten_before_a_fast_one_that_ended_later),
      cmocka_unit_test(what_is_too_old_makes_room_for_faster_ones),
  };
  return cmocka_run_group_tests_name("slow", tests, NULL, NULL);
}
