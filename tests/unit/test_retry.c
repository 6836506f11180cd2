/* What follows a failed attempt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/retry.h>

#define MS     WEIR_US_PER_MS
#define SECOND WEIR_US_PER_S

static const struct weir_retry_policy policy = {
    .retries_max = 3, .base_us = 500 * MS, .cap_us = 30 * SECOND};
static const struct weir_retry_policy patient = {
    .retries_max = 1000, .base_us = 500 * MS, .cap_us = 30 * SECOND};
static struct weir_rng rng;

static struct weir_retry_failure failure_of(enum weir_outcome outcome)
{
  return (struct weir_retry_failure){.outcome = outcome,
                                     .is_retryable = weir_outcome_is_retryable(outcome)};
}

/* On choice |choice| of |choices|. */
static struct weir_retry_failure failure_on(enum weir_outcome outcome, uint32_t choice,
                                            uint32_t choices)
{
  struct weir_retry_failure failure = failure_of(outcome);

  failure.choice = choice;
  failure.choices = choices;
  return failure;
}

static struct weir_retry next(struct weir_retry_track *track, struct weir_retry_failure failure)
{
  return weir_retry_next(&patient, track, &failure, WEIR_NEVER, &rng);
}

/* The decision on attempt number |attempt| of a call that is no route's. */
static struct weir_retry after(const struct weir_retry_policy *p, uint32_t attempt,
                               const struct weir_retry_failure *failure, weir_duration remaining)
{
  struct weir_retry_track track = {.failures = attempt - 1};

  return weir_retry_next(p, &track, failure, remaining, &rng);
}

/* ---- one name ---- */

static void what_cannot_pass_is_not_tried_again(void **state)
{
  (void)state;
  for (int i = 1; i < WEIR_OUTCOME_MAX; i++) {
    const struct weir_retry_failure failure = failure_of((enum weir_outcome)i);

    assert_int_equal(after(&policy, 1, &failure, WEIR_NEVER).what,
                     failure.is_retryable ? WEIR_RETRY_AGAIN : WEIR_RETRY_STOP);
  }
  assert_false(weir_outcome_is_retryable(WEIR_OUTCOME_OK));
  assert_false(weir_outcome_is_retryable(WEIR_OUTCOME_BILLING));
  assert_false(weir_outcome_is_retryable(WEIR_OUTCOME_CANCELLED));
  assert_true(weir_outcome_is_retryable(WEIR_OUTCOME_NETWORK));
}

/* "x-should-retry: false" of any answer. */
static void what_the_provider_forbids_is_not_tried_again(void **state)
{
  struct weir_retry_failure failure = failure_of(WEIR_OUTCOME_OVERLOADED);

  (void)state;
  failure.is_retryable = false;
  assert_int_equal(after(&policy, 1, &failure, WEIR_NEVER).what, WEIR_RETRY_STOP);
  failure.outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS;
  assert_int_equal(after(&policy, 1, &failure, WEIR_NEVER).what, WEIR_RETRY_STOP);
  failure.outcome = WEIR_OUTCOME_RAMP_LIMIT;
  assert_int_equal(after(&policy, 1, &failure, WEIR_NEVER).what, WEIR_RETRY_STOP);
}

static void the_last_retry_is_the_last(void **state)
{
  static const enum weir_outcome outcomes[] = {
      WEIR_OUTCOME_OVERLOADED, WEIR_OUTCOME_QUOTA_MINUTE_TOKENS, WEIR_OUTCOME_RAMP_LIMIT};
  const struct weir_retry_policy none = {.base_us = 500 * MS, .cap_us = 30 * SECOND};
  (void)state;

  for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
    const struct weir_retry_failure failure = failure_of(outcomes[i]);
    struct weir_retry_track track = {0};

    for (int k = 0; k < 3; k++)
      assert_int_equal(weir_retry_next(&policy, &track, &failure, WEIR_NEVER, &rng).what,
                       WEIR_RETRY_AGAIN);
    assert_int_equal(weir_retry_next(&policy, &track, &failure, WEIR_NEVER, &rng).what,
                     WEIR_RETRY_STOP);
    assert_int_equal(after(&none, 1, &failure, WEIR_NEVER).what, WEIR_RETRY_STOP);
  }
}

static void attempts_of_the_caller_count(void **state)
{
  struct weir_retry_track track = {.failures = 2};
  const struct weir_retry_failure failure = failure_of(WEIR_OUTCOME_OVERLOADED);
  (void)state;

  assert_int_equal(weir_retry_next(&policy, &track, &failure, WEIR_NEVER, &rng).what,
                   WEIR_RETRY_AGAIN);
  assert_int_equal(weir_retry_next(&policy, &track, &failure, WEIR_NEVER, &rng).what,
                   WEIR_RETRY_STOP);
}

/* Full jitter: draws fill the whole range below a bound that doubles up to the cap. */
static void backoff_fills_a_doubling_range(void **state)
{
  static const uint64_t bounds_ms[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
  const struct weir_retry_failure failure = failure_of(WEIR_OUTCOME_OVERLOADED);
  (void)state;

  for (uint32_t attempt = 1; attempt <= 8; attempt++) {
    uint64_t bound = bounds_ms[attempt - 1] * MS, low = 0, high = 0;

    for (int i = 0; i < 1000; i++) {
      struct weir_retry retry = after(&patient, attempt, &failure, WEIR_NEVER);

      assert_int_equal(retry.what, WEIR_RETRY_AGAIN);
      assert_true(retry.after_us <= bound);
      low += retry.after_us < bound / 4;
      high += retry.after_us > bound / 4 * 3;
    }
    assert_in_range(low, 150, 350);
    assert_in_range(high, 150, 350);
  }
  assert_true(after(&patient, 1000, &failure, WEIR_NEVER).after_us <= 30 * SECOND);
}

/* A fleet that was told the same second comes back over half as long again. */
static void a_stated_wait_is_kept_and_the_fleet_spread_behind_it(void **state)
{
  static const uint64_t waits[] = {SECOND, 42 * SECOND, 600 * SECOND};
  struct weir_retry_failure failure = failure_of(WEIR_OUTCOME_OVERLOADED);
  (void)state;

  failure.has_wait = true;
  for (size_t k = 0; k < sizeof(waits) / sizeof(waits[0]); k++) {
    const uint64_t range = policy.base_us + waits[k] / 2;
    int low = 0, high = 0;

    failure.wait_us = waits[k];
    for (int i = 0; i < 1000; i++) {
      const uint64_t after_us = after(&policy, 1, &failure, WEIR_NEVER).after_us;

      assert_true(after_us >= waits[k]);
      assert_true(after_us <= waits[k] + range);
      low += after_us < waits[k] + range / 4;
      high += after_us > waits[k] + range / 4 * 3;
    }
    assert_in_range(low, 150, 350);
    assert_in_range(high, 150, 350);
  }
}

static void a_wait_that_was_not_stated_means_nothing(void **state)
{
  struct weir_retry_failure failure = failure_of(WEIR_OUTCOME_OVERLOADED);
  (void)state;

  failure.wait_us = 42 * SECOND;
  assert_true(after(&policy, 1, &failure, WEIR_NEVER).after_us <= policy.base_us);
}

/* The coordinator has frozen the pool and knows when: who waits there is let in one by one. */
static void a_rejection_of_the_minute_waits_at_the_coordinator(void **state)
{
  struct weir_retry_failure failure = failure_of(WEIR_OUTCOME_QUOTA_MINUTE_TOKENS);
  struct weir_retry retry;
  (void)state;

  failure.has_wait = true;
  failure.wait_us = 42 * SECOND;
  retry = after(&policy, 1, &failure, 10 * SECOND);
  assert_int_equal(retry.what, WEIR_RETRY_AGAIN);
  assert_int_equal(retry.after_us, 0);
  assert_int_equal(after(&policy, 1, &failure, 0).what, WEIR_RETRY_STOP);
}

static void a_ramp_limit_is_waited_out_here(void **state)
{
  struct weir_retry_failure failure = failure_on(WEIR_OUTCOME_RAMP_LIMIT, 1, 3);
  (void)state;

  failure.has_wait = true;
  failure.wait_us = 42 * SECOND;
  assert_int_equal(after(&policy, 1, &failure, WEIR_NEVER).what, WEIR_RETRY_AGAIN);
  assert_true(after(&policy, 1, &failure, WEIR_NEVER).after_us >= 42 * SECOND);
}

static void nothing_starts_at_or_after_the_deadline(void **state)
{
  struct weir_retry_failure failure = failure_of(WEIR_OUTCOME_OVERLOADED);
  (void)state;

  assert_int_equal(after(&policy, 1, &failure, 0).what, WEIR_RETRY_STOP);
  for (uint64_t remaining = 1; remaining < 100 * MS; remaining += 97)
    assert_true(after(&policy, 9, &failure, remaining).after_us < remaining);
  failure.has_wait = true;
  failure.wait_us = 42 * SECOND;
  assert_int_equal(after(&policy, 1, &failure, 42 * SECOND).what, WEIR_RETRY_STOP);
  for (int i = 0; i < 1000; i++) {
    const struct weir_retry retry = after(&policy, 1, &failure, 44 * SECOND);

    assert_int_equal(retry.what, WEIR_RETRY_AGAIN);
    assert_true(retry.after_us <= 43 * SECOND); /* half of what is left is for the attempt */
  }
  failure.wait_us = WEIR_NEVER;
  assert_int_equal(after(&policy, 1, &failure, WEIR_NEVER).what, WEIR_RETRY_STOP);
}

static void a_policy_without_backoff_retries_at_once(void **state)
{
  const struct weir_retry_policy eager = {.retries_max = 1};
  const struct weir_retry_failure failure = failure_of(WEIR_OUTCOME_NETWORK);
  (void)state;

  assert_int_equal(after(&eager, 1, &failure, WEIR_NEVER).what, WEIR_RETRY_AGAIN);
  assert_int_equal(after(&eager, 1, &failure, WEIR_NEVER).after_us, 0);
}

/* ---- routes ---- */

static void another_choice_is_tried_at_once(void **state)
{
  static const enum weir_outcome here[] = {
      WEIR_OUTCOME_OK,         WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS, WEIR_OUTCOME_QUOTA_MINUTE_TOKENS,
      WEIR_OUTCOME_RAMP_LIMIT, WEIR_OUTCOME_BAD_REQUEST,           WEIR_OUTCOME_CANCELLED};
  (void)state;

  for (int i = 1; i < WEIR_OUTCOME_MAX; i++) {
    const enum weir_outcome outcome = (enum weir_outcome)i;
    struct weir_retry_track track = {0};
    const struct weir_retry retry = next(&track, failure_on(outcome, 2, 3));
    bool is_here = false;

    for (size_t k = 0; k < sizeof(here) / sizeof(here[0]); k++)
      is_here = is_here || here[k] == outcome;
    assert_int_equal(retry.what == WEIR_RETRY_ELSEWHERE, !is_here);
    assert_int_equal(track.avoid, is_here ? 0 : 2);
    assert_true(is_here || retry.after_us == 0);
  }
}

static void what_is_wrong_with_the_request_is_wrong_everywhere(void **state)
{
  struct weir_retry_track track = {0};
  (void)state;

  assert_int_equal(next(&track, failure_on(WEIR_OUTCOME_BAD_REQUEST, 1, 3)).what, WEIR_RETRY_STOP);
}

static void each_choice_is_tried_once_in_a_round(void **state)
{
  struct weir_retry_track track = {0};
  struct weir_retry retry;
  (void)state;

  assert_int_equal(next(&track, failure_on(WEIR_OUTCOME_OVERLOADED, 1, 3)).what,
                   WEIR_RETRY_ELSEWHERE);
  assert_int_equal(next(&track, failure_on(WEIR_OUTCOME_NETWORK, 3, 3)).what, WEIR_RETRY_ELSEWHERE);
  assert_int_equal(track.avoid, 5);
  retry = next(&track, failure_on(WEIR_OUTCOME_DEADLINE, 2, 3));
  assert_int_equal(retry.what, WEIR_RETRY_AGAIN);
  assert_true(retry.after_us <= 2 * SECOND);
  assert_int_equal(track.avoid, 0); /* the next round */
  assert_int_equal(next(&track, failure_on(WEIR_OUTCOME_OVERLOADED, 1, 3)).what,
                   WEIR_RETRY_ELSEWHERE);
}

static void a_new_round_leaves_out_what_no_attempt_mends(void **state)
{
  struct weir_retry_track track = {0};
  (void)state;

  assert_int_equal(next(&track, failure_on(WEIR_OUTCOME_OVERLOADED, 1, 3)).what,
                   WEIR_RETRY_ELSEWHERE);
  assert_int_equal(next(&track, failure_on(WEIR_OUTCOME_BILLING, 2, 3)).what, WEIR_RETRY_ELSEWHERE);
  assert_int_equal(next(&track, failure_on(WEIR_OUTCOME_QUOTA_DAY_REQUESTS, 3, 3)).what,
                   WEIR_RETRY_AGAIN);
  assert_int_equal(track.avoid, 6);
  assert_int_equal(next(&track, failure_on(WEIR_OUTCOME_CONTEXT_OVERFLOW, 1, 3)).what,
                   WEIR_RETRY_STOP);
}

/* The day's quota states when it turns; the choice that goes round again has nothing to do with it.
 */
static void a_new_round_does_not_wait_for_a_choice_that_is_out(void **state)
{
  struct weir_retry_track track = {0};
  struct weir_retry_failure day = failure_on(WEIR_OUTCOME_QUOTA_DAY_REQUESTS, 2, 2);
  (void)state;

  day.has_wait = true;
  day.wait_us = WEIR_US_PER_HOUR;
  next(&track, failure_on(WEIR_OUTCOME_OVERLOADED, 1, 2));
  assert_true(next(&track, day).after_us <= SECOND);
}

static void a_route_whose_choices_all_failed_for_good_ends(void **state)
{
  struct weir_retry_track track = {0};
  (void)state;

  assert_int_equal(next(&track, failure_on(WEIR_OUTCOME_BILLING, 1, 2)).what, WEIR_RETRY_ELSEWHERE);
  assert_int_equal(next(&track, failure_on(WEIR_OUTCOME_MODEL_NOT_FOUND, 2, 2)).what,
                   WEIR_RETRY_STOP);
}

static void a_route_of_one_choice_is_like_a_name(void **state)
{
  struct weir_retry_track track = {0};
  (void)state;

  assert_int_equal(next(&track, failure_on(WEIR_OUTCOME_OVERLOADED, 1, 1)).what, WEIR_RETRY_AGAIN);
  assert_int_equal(track.avoid, 0);
  assert_int_equal(next(&track, failure_on(WEIR_OUTCOME_AUTH, 1, 1)).what, WEIR_RETRY_STOP);
}

static void attempts_elsewhere_count_like_others(void **state)
{
  struct weir_retry_track track = {0};
  struct weir_retry_failure failure = failure_of(WEIR_OUTCOME_OVERLOADED);
  (void)state;

  failure.choices = 16;
  for (uint32_t choice = 1; choice <= 3; choice++) {
    failure.choice = choice;
    assert_int_equal(weir_retry_next(&policy, &track, &failure, WEIR_NEVER, &rng).what,
                     WEIR_RETRY_ELSEWHERE);
  }
  failure.choice = 4;
  assert_int_equal(weir_retry_next(&policy, &track, &failure, WEIR_NEVER, &rng).what,
                   WEIR_RETRY_STOP);
}

static void a_choice_that_cannot_be_used_here_is_no_attempt(void **state)
{
  const struct weir_retry_policy none = {0};
  const struct weir_retry_failure first = {.choice = 1, .choices = 2};
  const struct weir_retry_failure second = {.choice = 2, .choices = 2}, named = {0};
  struct weir_retry_track track = {0};
  (void)state;

  assert_int_equal(weir_retry_next(&none, &track, &first, SECOND, &rng).what, WEIR_RETRY_ELSEWHERE);
  assert_int_equal(track.failures, 0);
  /* A coordinator that grants it all the same is not asked for ever. */
  assert_int_equal(weir_retry_next(&none, &track, &first, SECOND, &rng).what, WEIR_RETRY_STOP);
  assert_int_equal(weir_retry_next(&none, &track, &second, SECOND, &rng).what, WEIR_RETRY_STOP);
  track = (struct weir_retry_track){0};
  assert_int_equal(weir_retry_next(&none, &track, &named, SECOND, &rng).what, WEIR_RETRY_STOP);
}

/* Whatever happens, the count and the deadline hold, and nothing is avoided that did not fail. */
static void any_failures_end_after_the_last_retry(void **state)
{
  (void)state;
  for (int run = 0; run < 2000; run++) {
    struct weir_retry_track track = {0};
    const uint32_t choices = (uint32_t)weir_rng_below(&rng, 17);
    uint32_t attempts = 0;
    struct weir_retry retry;

    do {
      const enum weir_outcome outcome =
          (enum weir_outcome)(1 + weir_rng_below(&rng, WEIR_OUTCOME_MAX - 1));
      struct weir_retry_failure failure = failure_on(outcome, 0, choices);
      const weir_duration remaining = weir_rng_below(&rng, 100 * SECOND);

      if (choices > 0)
        failure.choice = 1 + (uint32_t)weir_rng_below(&rng, choices);
      failure.has_wait = weir_rng_below(&rng, 2) != 0;
      failure.wait_us = weir_rng_below(&rng, 100 * SECOND);
      retry = weir_retry_next(&policy, &track, &failure, remaining, &rng);
      attempts++;
      assert_true(retry.what == WEIR_RETRY_STOP || retry.after_us < remaining);
      assert_true((track.avoid & track.closed) == track.closed);
      assert_true(track.avoid >> choices == 0);
      assert_true(retry.what != WEIR_RETRY_ELSEWHERE || track.avoid + 1 != UINT64_C(1) << choices);
    } while (retry.what != WEIR_RETRY_STOP);
    assert_in_range(attempts, 1, 4);
  }
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
      cmocka_unit_test_setup(what_cannot_pass_is_not_tried_again, setup),
      cmocka_unit_test_setup(what_the_provider_forbids_is_not_tried_again, setup),
      cmocka_unit_test_setup(the_last_retry_is_the_last, setup),
      cmocka_unit_test_setup(attempts_of_the_caller_count, setup),
      cmocka_unit_test_setup(backoff_fills_a_doubling_range, setup),
      cmocka_unit_test_setup(a_stated_wait_is_kept_and_the_fleet_spread_behind_it, setup),
      cmocka_unit_test_setup(a_wait_that_was_not_stated_means_nothing, setup),
      cmocka_unit_test_setup(a_rejection_of_the_minute_waits_at_the_coordinator, setup),
      cmocka_unit_test_setup(a_ramp_limit_is_waited_out_here, setup),
      cmocka_unit_test_setup(nothing_starts_at_or_after_the_deadline, setup),
      cmocka_unit_test_setup(a_policy_without_backoff_retries_at_once, setup),
      cmocka_unit_test_setup(another_choice_is_tried_at_once, setup),
      cmocka_unit_test_setup(what_is_wrong_with_the_request_is_wrong_everywhere, setup),
      cmocka_unit_test_setup(each_choice_is_tried_once_in_a_round, setup),
      cmocka_unit_test_setup(a_new_round_leaves_out_what_no_attempt_mends, setup),
      cmocka_unit_test_setup(a_new_round_does_not_wait_for_a_choice_that_is_out, setup),
      cmocka_unit_test_setup(a_route_whose_choices_all_failed_for_good_ends, setup),
      cmocka_unit_test_setup(a_route_of_one_choice_is_like_a_name, setup),
      cmocka_unit_test_setup(attempts_elsewhere_count_like_others, setup),
      cmocka_unit_test_setup(a_choice_that_cannot_be_used_here_is_no_attempt, setup),
      cmocka_unit_test_setup(any_failures_end_after_the_last_retry, setup),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
