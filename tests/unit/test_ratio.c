/* What calls use of their estimates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/ratio.h>
#include <weir/rng.h>

static void says_nothing_before_a_few_calls(void **state)
{
  struct weir_ratio r = {0};

  (void)state;
  for (int i = 0; i < WEIR_RATIO_SAMPLES_MIN - 1; i++)
    weir_ratio_learn(&r, 1000, 1500);
  assert_int_equal(weir_ratio_pm(&r), 0);
  assert_int_equal(weir_ratio_error_pm(&r), 0);
  weir_ratio_learn(&r, 1000, 1500);
  assert_int_equal(weir_ratio_pm(&r), 1500);
  assert_in_range(weir_ratio_error_pm(&r), 0, 1);
}

static void learns_what_is_less_as_well_as_what_is_more(void **state)
{
  struct weir_ratio r = {0};

  (void)state;
  for (int i = 0; i < 50; i++)
    weir_ratio_learn(&r, 3000, 1500);
  assert_int_equal(weir_ratio_pm(&r), 500);
}

/* Half of the calls use 0.8 of the estimate, half 1.2. */
static void the_error_is_one_sigma_of_the_estimate(void **state)
{
  struct weir_ratio r = {0};

  (void)state;
  for (int i = 0; i < 2000; i++)
    weir_ratio_learn(&r, 1000, i % 2 ? 800 : 1200);
  assert_in_range(weir_ratio_pm(&r), 990, 1010);
  assert_in_range(weir_ratio_error_pm(&r), 190, 210);
}

/* Many small calls that are badly estimated hardly matter beside few large ones. */
static void large_calls_weigh_more(void **state)
{
  struct weir_ratio r = {0};

  (void)state;
  for (int i = 0; i < 500; i++)
    weir_ratio_learn(&r, i % 5 ? 10 : 100000, i % 5 ? 30 : 90000);
  assert_in_range(weir_ratio_pm(&r), 895, 905);
}

static void follows_a_change(void **state)
{
  struct weir_ratio r = {0};

  (void)state;
  for (int i = 0; i < 1000; i++)
    weir_ratio_learn(&r, 1000, 1000);
  for (int i = 0; i < 500; i++)
    weir_ratio_learn(&r, 1000, 2000);
  assert_in_range(weir_ratio_pm(&r), 1980, 2000);
}

static void one_absurd_call_counts_for_a_bounded_factor(void **state)
{
  struct weir_ratio r = {0};

  (void)state;
  for (int i = 0; i < 100; i++)
    weir_ratio_learn(&r, 1000, 1000);
  weir_ratio_learn(&r, 1000, WEIR_TOKENS_MAX);
  assert_in_range(weir_ratio_pm(&r), 1100, 1300);
}

static void any_numbers_of_the_wire_stay_in_range(void **state)
{
  struct weir_ratio r = {0};
  struct weir_rng rng;

  (void)state;
  weir_rng_init(&rng, 3);
  for (int i = 0; i < 20000; i++) {
    const uint64_t estimated = 1 + weir_rng_below(&rng, UINT64_C(1) << weir_rng_below(&rng, 31));

    weir_ratio_learn(&r, estimated, weir_rng_below(&rng, WEIR_TOKENS_MAX + 1));
    assert_true(weir_ratio_pm(&r) <= UINT64_C(1000) * WEIR_RATIO_FACTOR_MAX);
    assert_true(weir_ratio_error_pm(&r) <= WEIR_RATIO_MAX_PM);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(says_nothing_before_a_few_calls),
      cmocka_unit_test(learns_what_is_less_as_well_as_what_is_more),
      cmocka_unit_test(the_error_is_one_sigma_of_the_estimate),
      cmocka_unit_test(large_calls_weigh_more),
      cmocka_unit_test(follows_a_change),
      cmocka_unit_test(one_absurd_call_counts_for_a_bounded_factor),
      cmocka_unit_test(any_numbers_of_the_wire_stay_in_range),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
