/* When a failed call is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/retry.h>

static const struct weir_retry_policy policy = {
    .retries_max = 3, .base_us = 500 * WEIR_US_PER_MS, .cap_us = 30 * WEIR_US_PER_S};
static const struct weir_verdict overloaded = {.outcome = WEIR_OUTCOME_OVERLOADED,
                                               .is_retryable = true};
static struct weir_rng rng;

static struct weir_retry next(const struct weir_retry_policy *p, uint32_t attempt,
                              const struct weir_verdict *verdict)
{
  return weir_retry_next(p, attempt, verdict, WEIR_NEVER, &rng);
}

static void never_retries_what_cannot_pass(void **state)
{
  (void)state;
  for (int i = 1; i < WEIR_OUTCOME_MAX; i++) {
    enum weir_outcome outcome = (enum weir_outcome)i;
    struct weir_verdict verdict = {.outcome = outcome,
                                   .is_retryable = weir_outcome_is_retryable(outcome)};

    assert_int_equal(next(&policy, 1, &verdict).is_retry, verdict.is_retryable);
  }
  assert_false(weir_outcome_is_retryable(WEIR_OUTCOME_OK));
  assert_false(weir_outcome_is_retryable(WEIR_OUTCOME_BILLING));
  assert_false(weir_outcome_is_retryable(WEIR_OUTCOME_CANCELLED));
  assert_true(weir_outcome_is_retryable(WEIR_OUTCOME_NETWORK));
}

static void stops_after_the_last_retry(void **state)
{
  struct weir_retry_policy none = policy;
  (void)state;

  assert_true(next(&policy, 3, &overloaded).is_retry);
  assert_false(next(&policy, 4, &overloaded).is_retry);
  none.retries_max = 0;
  assert_false(next(&none, 1, &overloaded).is_retry);
}

/* Full jitter: draws fill the whole range below a bound that doubles up to the cap. */
static void backoff_fills_a_doubling_range(void **state)
{
  static const uint64_t bounds_ms[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
  struct weir_retry_policy many = policy;
  (void)state;

  many.retries_max = 1000;
  for (uint32_t attempt = 1; attempt <= 8; attempt++) {
    uint64_t bound = bounds_ms[attempt - 1] * WEIR_US_PER_MS, low = 0, high = 0;

    for (int i = 0; i < 1000; i++) {
      struct weir_retry retry = next(&many, attempt, &overloaded);

      assert_true(retry.is_retry);
      assert_true(retry.after_us <= bound);
      low += retry.after_us < bound / 4;
      high += retry.after_us > bound / 4 * 3;
    }
    assert_in_range(low, 150, 350);
    assert_in_range(high, 150, 350);
  }
  assert_true(next(&many, 1000, &overloaded).after_us <= 30 * WEIR_US_PER_S);
}

static void a_stated_wait_is_never_shortened(void **state)
{
  struct weir_verdict verdict = overloaded;
  int late = 0;
  (void)state;

  verdict.has_wait = true;
  verdict.wait_us = 42 * WEIR_US_PER_S;
  for (int i = 0; i < 1000; i++) {
    weir_duration after_us = next(&policy, 1, &verdict).after_us;

    assert_true(after_us >= verdict.wait_us);
    assert_true(after_us <= verdict.wait_us + policy.base_us);
    late += after_us > verdict.wait_us + policy.base_us / 2;
  }
  assert_in_range(late, 400, 600); /* callers that were told the same do not come back in step */
}

static void never_passes_the_deadline(void **state)
{
  struct weir_verdict verdict = overloaded;
  (void)state;

  verdict.has_wait = true;
  verdict.wait_us = 42 * WEIR_US_PER_S;
  assert_false(weir_retry_next(&policy, 1, &verdict, 42 * WEIR_US_PER_S, &rng).is_retry);
  assert_false(weir_retry_next(&policy, 1, &overloaded, 0, &rng).is_retry);
  verdict.wait_us = WEIR_NEVER;
  assert_false(weir_retry_next(&policy, 1, &verdict, WEIR_NEVER, &rng).is_retry);
  for (int i = 0; i < 1000; i++) {
    struct weir_retry retry = weir_retry_next(&policy, 1, &overloaded, 100 * WEIR_US_PER_MS, &rng);

    assert_true(!retry.is_retry || retry.after_us < 100 * WEIR_US_PER_MS);
  }
}

static void a_policy_without_backoff_retries_at_once(void **state)
{
  const struct weir_retry_policy eager = {.retries_max = 1};
  (void)state;

  assert_true(next(&eager, 1, &overloaded).is_retry);
  assert_int_equal(next(&eager, 1, &overloaded).after_us, 0);
}

static int setup(void **state)
{
  (void)state;
  weir_rng_init(&rng, 5);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(never_retries_what_cannot_pass, setup),
      cmocka_unit_test_setup(stops_after_the_last_retry, setup),
      cmocka_unit_test_setup(backoff_fills_a_doubling_range, setup),
      cmocka_unit_test_setup(a_stated_wait_is_never_shortened, setup),
      cmocka_unit_test_setup(never_passes_the_deadline, setup),
      cmocka_unit_test_setup(a_policy_without_backoff_retries_at_once, setup),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
