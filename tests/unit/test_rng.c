#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/rng.h>

static void draws_the_published_stream_of_a_seed(void **state)
{
  /* The reference stream of splitmix64 for the seed 1234567. */
  const uint64_t expected[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                               UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
                               UINT64_C(16408922859458223821)};
  struct weir_rng rng;

  (void)state;
  weir_rng_init(&rng, 1234567);
  for (size_t i = 0; i < 5; i++)
    assert_true(weir_rng_next(&rng) == expected[i]);
}

static void stays_below_every_bound(void **state)
{
  const uint64_t bounds[] = {1, 2, 3, 10, 1000, UINT64_C(1) << 63, UINT64_MAX};
  struct weir_rng rng;

  (void)state;
  weir_rng_init(&rng, 1);
  for (size_t b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++) {
    for (int i = 0; i < 1000; i++)
      assert_true(weir_rng_below(&rng, bounds[b]) < bounds[b]);
  }
  assert_true(weir_rng_below(&rng, 0) == 0);
}

static void draws_again_where_a_modulus_would_favour_the_low_numbers(void **state)
{
  /* Of [0, 3 * 2^62) a plain modulus would draw the first third with probability 1/2. */
  const uint64_t bound = UINT64_C(3) << 62;
  struct weir_rng rng;
  int low = 0;

  (void)state;
  weir_rng_init(&rng, 2);
  for (int i = 0; i < 30000; i++)
    low += weir_rng_below(&rng, bound) < bound / 3;
  assert_in_range(low, 9500, 10500);
}

static void reaches_every_number_below_a_small_bound_equally_often(void **state)
{
  int seen[7] = {0};
  struct weir_rng rng;

  (void)state;
  weir_rng_init(&rng, 3);
  for (int i = 0; i < 70000; i++)
    seen[weir_rng_below(&rng, 7)]++;
  for (int i = 0; i < 7; i++)
    assert_in_range(seen[i], 9600, 10400);
}

static void splits_streams_that_do_not_disturb_each_other(void **state)
{
  struct weir_rng parent, child, again;
  uint64_t seed;

  (void)state;
  weir_rng_init(&parent, 4);
  seed = weir_rng_split(&parent);
  weir_rng_init(&child, seed);
  weir_rng_init(&again, seed);
  for (int i = 0; i < 100; i++) {
    uint64_t of_child = weir_rng_next(&child);

    assert_true(of_child != weir_rng_next(&parent));
    assert_true(of_child == weir_rng_next(&again));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(draws_the_published_stream_of_a_seed),
      cmocka_unit_test(stays_below_every_bound),
      cmocka_unit_test(draws_again_where_a_modulus_would_favour_the_low_numbers),
      cmocka_unit_test(reaches_every_number_below_a_small_bound_equally_often),
      cmocka_unit_test(splits_streams_that_do_not_disturb_each_other),
  };
  return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
