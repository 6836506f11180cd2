/* A histogram of how long calls take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include <weir/latency.h>
#include <weir/rng.h>

#define MS WEIR_US_PER_MS

static void learn(struct weir_latency *l, weir_duration us, uint32_t times)
{
  while (times-- > 0)
    weir_latency_learn(l, us);
}

static void an_empty_one_says_nothing(void **state)
{
  const struct weir_latency l = {0};

  (void)state;
  assert_int_equal(weir_latency_quantile_us(&l, 500), 0);
  assert_int_equal(weir_latency_quantile_us(&l, 1000), 0);
}

/* Every length from a tenth of a millisecond up to the longest that is told apart. */
static void what_is_read_back_is_off_by_a_32nd_at_most(void **state)
{
  (void)state;
  for (weir_duration us = 100; us < 71 * WEIR_US_PER_MIN; us += us / 97 + 1) {
    struct weir_latency l = {0};
    weir_duration told, off;

    weir_latency_learn(&l, us);
    told = weir_latency_quantile_us(&l, 500);
    off = told > us ? told - us : us - told;
    assert_true(off <= us / 32 || (us < MS && off <= 32));
  }
}

static void longer_calls_count_as_the_longest(void **state)
{
  struct weir_latency l = {0};

  (void)state;
  weir_latency_learn(&l, 400 * 24 * WEIR_US_PER_HOUR);
  assert_in_range(weir_latency_quantile_us(&l, 500), 69 * WEIR_US_PER_MIN, 72 * WEIR_US_PER_MIN);
}

static int by_size(const void *a, const void *b)
{
  const weir_duration *x = a, *y = b;

  return (*x > *y) - (*x < *y);
}

static void quantiles_are_those_of_the_sorted_calls(void **state)
{
  weir_duration calls[1000];
  struct weir_latency l = {0};
  struct weir_rng rng;

  (void)state;
  weir_rng_init(&rng, 7);
  for (int i = 0; i < 1000; i++) {
    calls[i] = MS << weir_rng_below(&rng, 14);
    calls[i] += weir_rng_below(&rng, calls[i]);
    weir_latency_learn(&l, calls[i]);
  }
  qsort(calls, 1000, sizeof(*calls), by_size);
  for (uint32_t pm = 1; pm <= 1000; pm++) {
    const weir_duration exact = calls[pm - 1], told = weir_latency_quantile_us(&l, pm);

    assert_in_range(told, exact - exact / 32, exact + exact / 32);
  }
}

static void forgets_what_was_long_ago(void **state)
{
  struct weir_latency l = {0};

  (void)state;
  learn(&l, 8000 * MS, 1000);
  learn(&l, 100 * MS, 700);
  assert_in_range(weir_latency_quantile_us(&l, 500), 97 * MS, 104 * MS);
  learn(&l, 100 * MS, 4000);
  assert_in_range(weir_latency_quantile_us(&l, 990), 97 * MS, 104 * MS);
  assert_in_range(l.count, WEIR_LATENCY_KEEP / 4, WEIR_LATENCY_KEEP);
}

/* One slow call in fifty, each in a bucket of its own: halving single calls must not lose them. */
static void halving_keeps_a_thin_tail(void **state)
{
  struct weir_latency l = {0};

  (void)state;
  for (uint32_t i = 0; i < 60; i++) {
    learn(&l, 100 * MS, 49);
    learn(&l, (1000 + 100 * (i % 20)) * MS, 1);
  }
  assert_true(weir_latency_quantile_us(&l, 970) < 110 * MS);
  assert_true(weir_latency_quantile_us(&l, 990) > 900 * MS);
}

static void two_merged_are_as_one_that_had_all_calls(void **state)
{
  struct weir_latency a = {0}, b = {0}, all = {0};

  (void)state;
  for (uint32_t i = 0; i < 900; i++) {
    weir_latency_learn(i % 3 ? &a : &b, (10 + i) * MS);
    weir_latency_learn(&all, (10 + i) * MS);
  }
  weir_latency_merge(&a, &b);
  assert_memory_equal(&a, &all, sizeof(a));
  for (int i = 0; i < 10; i++)
    weir_latency_merge(&a, &all);
  assert_true(a.count < WEIR_LATENCY_KEEP);
  assert_in_range(weir_latency_quantile_us(&a, 500), 430 * MS, 490 * MS);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_one_says_nothing),
      cmocka_unit_test(what_is_read_back_is_off_by_a_32nd_at_most),
      cmocka_unit_test(longer_calls_count_as_the_longest),
      cmocka_unit_test(quantiles_are_those_of_the_sorted_calls),
      cmocka_unit_test(forgets_what_was_long_ago),
      cmocka_unit_test(halving_keeps_a_thin_tail),
      cmocka_unit_test(two_merged_are_as_one_that_had_all_calls),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
