#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/rng.h>
#include <weir/wide.h>

static void a_product_of_the_largest_factors_is_exact(void **state)
{
  const weir_wide w = weir_wide_mul(UINT64_MAX, UINT64_MAX);

  (void)state;
  assert_true((uint64_t)w == 1);
  assert_true((uint64_t)(w >> 64) == UINT64_MAX - 1);
}

static void a_clamp_keeps_what_fits_and_nothing_larger(void **state)
{
  (void)state;
  assert_true(weir_wide_clamp(41, 42) == 41);
  assert_true(weir_wide_clamp(42, 42) == 42);
  assert_true(weir_wide_clamp(43, 42) == 42);
  assert_true(weir_wide_clamp(weir_wide_mul(UINT64_MAX, 2), UINT64_MAX) == UINT64_MAX);
}

static void roots_are_rounded_up(void **state)
{
  const uint64_t roots[] = {0, 1, 2, 2, 2, 3, 3, 3, 3, 3, 4};

  (void)state;
  for (uint64_t i = 0; i < sizeof(roots) / sizeof(*roots); i++)
    assert_true(weir_wide_sqrt(i) == roots[i]);
}

static void a_root_is_the_least_whose_square_is_enough(void **state)
{
  struct weir_rng rng;

  (void)state;
  weir_rng_init(&rng, 1);
  for (int i = 0; i < 20000; i++) {
    const uint64_t root = (weir_rng_next(&rng) >> weir_rng_below(&rng, 63)) | 2;
    const weir_wide square = weir_wide_mul(root, root);

    assert_true(weir_wide_sqrt(square) == root);
    assert_true(weir_wide_sqrt(square - 1) == root);
    if (root < UINT64_MAX)
      assert_true(weir_wide_sqrt(square + 1) == root + 1);
  }
}

static void what_has_no_root_of_64_bits_gives_the_largest(void **state)
{
  (void)state;
  assert_true(weir_wide_sqrt(~(weir_wide)0) == UINT64_MAX);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_product_of_the_largest_factors_is_exact),
      cmocka_unit_test(a_clamp_keeps_what_fits_and_nothing_larger),
      cmocka_unit_test(roots_are_rounded_up),
      cmocka_unit_test(a_root_is_the_least_whose_square_is_enough),
      cmocka_unit_test(what_has_no_root_of_64_bits_gives_the_largest),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
