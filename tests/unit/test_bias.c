#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/bias.h>
#include <weir/config.h>
#include <weir/rng.h>

static void learn(struct weir_bias *b, int calls, struct weir_cost asked, struct weir_cost used)
{
  for (int i = 0; i < calls; i++)
    weir_bias_learn(b, &asked, &used);
}

static struct weir_cost tokens(uint64_t input, uint64_t output)
{
  return (struct weir_cost){.requests = 1, .input_tokens = input, .output_tokens = output};
}

static void nothing_is_corrected_before_enough_is_known(void **state)
{
  const struct weir_cost asked = tokens(1000, 500);
  struct weir_bias b;

  (void)state;
  weir_bias_init(&b);
  learn(&b, WEIR_BIAS_SAMPLES_MIN - 1, asked, tokens(2000, 100));
  assert_int_equal(weir_bias_correct(&b, &asked).input_tokens, 1000);
  assert_int_equal(weir_bias_error_pm(&b, WEIR_DIMENSION_INPUT_TOKENS, 123), 123);
  learn(&b, 1, asked, tokens(2000, 250));
  assert_in_range(weir_bias_correct(&b, &asked).input_tokens, 2000, 2001);
  assert_int_equal(weir_bias_correct(&b, &asked).requests, 1);
}

static void input_and_output_are_learned_apart_and_rounded_up(void **state)
{
  const struct weir_cost asked = tokens(1000, 3000), next = tokens(10, 10);
  struct weir_bias b;

  (void)state;
  weir_bias_init(&b);
  learn(&b, 1000, asked, tokens(1250, 5000));
  assert_int_equal(weir_bias_correct(&b, &next).input_tokens, 13);
  assert_int_equal(weir_bias_correct(&b, &next).output_tokens, 17);
}

/* Whoever learns to ask for less must not be cut by what they asked before. */
static void an_estimate_is_never_lowered(void **state)
{
  const struct weir_cost asked = tokens(1500, 4000), later = tokens(1050, 600);
  struct weir_bias b;

  (void)state;
  weir_bias_init(&b);
  learn(&b, 1000, asked, tokens(1000, 500));
  assert_int_equal(weir_bias_correct(&b, &later).input_tokens, 1050);
  assert_int_equal(weir_bias_correct(&b, &later).output_tokens, 600);
  assert_int_equal(weir_bias_error_pm(&b, WEIR_DIMENSION_TOTAL_TOKENS, 300), 0);
}

static void large_calls_weigh_more_than_small_ones(void **state)
{
  const struct weir_cost next = tokens(1000, 0);
  struct weir_bias b;

  (void)state;
  weir_bias_init(&b);
  for (int i = 0; i < 500; i++) {
    learn(&b, 1, tokens(10, 0), tokens(5, 0));
    learn(&b, 1, tokens(990, 0), tokens(1095, 0));
  }
  assert_in_range(weir_bias_correct(&b, &next).input_tokens, 1099, 1102);
}

static void a_correction_has_bounds(void **state)
{
  const struct weir_cost asked = tokens(1000, 1000);
  struct weir_bias b;

  (void)state;
  weir_bias_init(&b);
  learn(&b, 100, asked, tokens(1000000, 1));
  assert_int_equal(weir_bias_correct(&b, &asked).input_tokens, 4000);
  assert_int_equal(weir_bias_correct(&b, &asked).output_tokens, 1000);
}

static void estimates_that_were_right_have_no_error(void **state)
{
  struct weir_bias b;

  (void)state;
  weir_bias_init(&b);
  learn(&b, 100, tokens(1000, 200), tokens(1000, 200));
  assert_int_equal(weir_bias_error_pm(&b, WEIR_DIMENSION_INPUT_TOKENS, 300), 0);
  assert_int_equal(weir_bias_error_pm(&b, WEIR_DIMENSION_TOTAL_TOKENS, 300), 0);
  assert_int_equal(weir_bias_error_pm(&b, WEIR_DIMENSION_SPEND, 300), 0);
}

static void the_error_is_that_of_corrected_estimates(void **state)
{
  struct weir_bias b;

  (void)state;
  weir_bias_init(&b);
  /* Twice what is asked for, give or take a fifth of that. */
  for (int i = 0; i < 2000; i++)
    learn(&b, 1, tokens(1000, 1000), tokens(i % 2 ? 1600 : 2400, 2000));
  assert_in_range(weir_bias_error_pm(&b, WEIR_DIMENSION_INPUT_TOKENS, 0), 190, 210);
  assert_in_range(weir_bias_error_pm(&b, WEIR_DIMENSION_OUTPUT_TOKENS, 0), 0, 5);
  assert_in_range(weir_bias_error_pm(&b, WEIR_DIMENSION_TOTAL_TOKENS, 0), 95, 105);
  assert_in_range(weir_bias_error_pm(&b, WEIR_DIMENSION_SPEND, 0), 190, 210);
}

/* Where calls are of very different sizes, the last large one must not be all that is known. */
static void one_large_call_does_not_decide_how_wrong_estimates_are(void **state)
{
  struct weir_bias b;

  (void)state;
  weir_bias_init(&b);
  for (int i = 0; i < 5000; i++)
    learn(&b, 1, tokens(1000, 0), tokens(i % 2 ? 900 : 1100, 0));
  assert_in_range(weir_bias_error_pm(&b, WEIR_DIMENSION_INPUT_TOKENS, 0), 95, 105);
  learn(&b, 1, tokens(1000000, 0), tokens(2000000, 0));
  learn(&b, 10, tokens(1000, 0), tokens(1000, 0));
  assert_in_range(weir_bias_error_pm(&b, WEIR_DIMENSION_INPUT_TOKENS, 0), 150, 220);
  /* Many of them do. */
  for (int i = 0; i < 500; i++)
    learn(&b, 1, tokens(1000000, 0), tokens(i % 2 ? 1500000 : 500000, 0));
  assert_in_range(weir_bias_error_pm(&b, WEIR_DIMENSION_INPUT_TOKENS, 0), 400, 520);
}

static void requests_have_no_error(void **state)
{
  struct weir_bias b;

  (void)state;
  weir_bias_init(&b);
  assert_int_equal(weir_bias_error_pm(&b, WEIR_DIMENSION_REQUESTS, 500), 0);
  assert_int_equal(weir_bias_error_pm(&b, WEIR_DIMENSION_IN_FLIGHT, 500), 0);
}

static void what_is_long_past_is_forgotten(void **state)
{
  const struct weir_cost asked = tokens(1000, 0);
  struct weir_bias b;

  (void)state;
  weir_bias_init(&b);
  learn(&b, 1000, asked, tokens(2000, 0));
  learn(&b, 3000, asked, tokens(1000, 0));
  assert_int_equal(weir_bias_correct(&b, &asked).input_tokens, 1001);
  assert_in_range(weir_bias_error_pm(&b, WEIR_DIMENSION_INPUT_TOKENS, 0), 0, 3);
}

static void the_largest_calls_do_not_overflow(void **state)
{
  const uint64_t most = WEIR_TOKENS_MAX;
  struct weir_bias b;
  struct weir_rng rng;

  (void)state;
  weir_bias_init(&b);
  weir_rng_init(&rng, 3);
  for (int i = 0; i < 5000; i++)
    learn(&b, 1, tokens(most / 2, most), tokens(weir_rng_below(&rng, most), most));
  assert_in_range(weir_bias_correct(&b, &(struct weir_cost){.input_tokens = most}).input_tokens,
                  most, most * 6 / 5);
  assert_in_range(weir_bias_error_pm(&b, WEIR_DIMENSION_INPUT_TOKENS, 0), 450, 700);
}

/* As callers do that say nothing of output, or of input. */
static void asks_of_nothing_teach_no_ratio(void **state)
{
  const struct weir_cost asked = {.requests = 1}, some = {.requests = 1, .input_tokens = 100};
  const struct weir_cost used = {.requests = 1, .input_tokens = 70, .output_tokens = 30};
  struct weir_bias b;

  (void)state;
  weir_bias_init(&b);
  for (int i = 0; i < 2 * WEIR_BIAS_SAMPLES_MIN; i++)
    weir_bias_learn(&b, &asked, &used);
  assert_int_equal(weir_bias_correct(&b, &asked).output_tokens, 0);
  assert_int_equal(weir_bias_correct(&b, &some).input_tokens, 100);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(asks_of_nothing_teach_no_ratio),
      cmocka_unit_test(nothing_is_corrected_before_enough_is_known),
      cmocka_unit_test(input_and_output_are_learned_apart_and_rounded_up),
      cmocka_unit_test(an_estimate_is_never_lowered),
      cmocka_unit_test(large_calls_weigh_more_than_small_ones),
      cmocka_unit_test(a_correction_has_bounds),
      cmocka_unit_test(estimates_that_were_right_have_no_error),
      cmocka_unit_test(the_error_is_that_of_corrected_estimates),
      cmocka_unit_test(one_large_call_does_not_decide_how_wrong_estimates_are),
      cmocka_unit_test(requests_have_no_error),
      cmocka_unit_test(what_is_long_past_is_forgotten),
      cmocka_unit_test(the_largest_calls_do_not_overflow),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
