/* How long calls take, and what is left for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/rng.h>
#include <weir/took.h>

#define MS WEIR_US_PER_MS
#define S  WEIR_US_PER_S

static struct weir_took known(uint32_t count, weir_duration took)
{
  struct weir_took t = {0};

  for (uint32_t i = 0; i < count; i++)
    weir_took_learn(&t, took);
  return t;
}

static void leaves_nothing_before_the_first_call_and_twice_as_long_after_it(void **state)
{
  struct weir_took t = {0};

  (void)state;
  assert_int_equal(weir_took_leave(&t, S), 0);
  weir_took_learn(&t, 100 * MS);
  assert_int_equal(weir_took_leave(&t, S), 200 * MS);
}

static void leaves_hardly_more_than_calls_take_that_all_take_as_long(void **state)
{
  const struct weir_took t = known(50, 100 * MS);

  (void)state;
  assert_in_range(weir_took_leave(&t, 10 * S), 99 * MS, 101 * MS);
}

static void leaves_enough_for_nearly_all_calls_where_they_differ(void **state)
{
  struct weir_took t = {0};
  struct weir_rng rng;
  uint32_t enough = 0;

  (void)state;
  weir_rng_init(&rng, 3);
  for (uint32_t i = 0; i < 2000; i++) { /* 1 to 3 s */
    const weir_duration took = S + weir_rng_below(&rng, 2 * S);

    enough += took <= weir_took_leave(&t, 20 * S);
    weir_took_learn(&t, took);
  }
  assert_in_range(enough, 1700, 1999);
}

static void leaves_half_at_most(void **state)
{
  const struct weir_took t = known(10, 8 * S);

  (void)state;
  assert_int_equal(weir_took_leave(&t, 10 * S), 5 * S);
  assert_int_equal(weir_took_leave(&t, 1), 0);
  assert_int_equal(weir_took_leave(&t, 0), 0);
}

static void follows_calls_that_get_faster_and_slower(void **state)
{
  struct weir_took t = known(20, 8 * S);

  (void)state;
  for (int i = 0; i < 50; i++)
    weir_took_learn(&t, 100 * MS);
  assert_true(weir_took_leave(&t, WEIR_US_PER_MIN) < 200 * MS);
  for (int i = 0; i < 50; i++)
    weir_took_learn(&t, 8 * S);
  assert_true(weir_took_leave(&t, WEIR_US_PER_MIN) > 7900 * MS);
}

static void stands_calls_of_any_length(void **state)
{
  struct weir_took t = {0};

  (void)state;
  for (int i = 0; i < 100; i++)
    weir_took_learn(&t, i % 2 ? UINT64_MAX : 0);
  assert_true(weir_took_leave(&t, UINT64_MAX) <= UINT64_MAX / 2);
  assert_int_equal(weir_took_leave(&t, 2 * S), S);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(leaves_nothing_before_the_first_call_and_twice_as_long_after_it),
      cmocka_unit_test(leaves_hardly_more_than_calls_take_that_all_take_as_long),
      cmocka_unit_test(leaves_enough_for_nearly_all_calls_where_they_differ),
      cmocka_unit_test(leaves_half_at_most),
      cmocka_unit_test(follows_calls_that_get_faster_and_slower),
      cmocka_unit_test(stands_calls_of_any_length),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
