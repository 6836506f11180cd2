#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/rng.h>
#include <weir/throttle.h>

#define SECOND WEIR_US_PER_S

static const struct weir_throttle_limits limits = {
    .messages = 10, .bytes = 1000, .burst_us = 2 * SECOND};

/* How many messages of |bytes| pass at |now|, up to |most|. */
static uint32_t pass(struct weir_throttle *t, const struct weir_throttle_limits *l, uint64_t bytes,
                     weir_tstamp now, uint32_t most)
{
  uint32_t count = 0;

  while (count < most && weir_throttle_take(t, l, bytes, now))
    count++;
  return count;
}

static void a_new_peer_has_its_whole_burst_and_no_more(void **state)
{
  struct weir_throttle t = {0};

  (void)state;
  assert_int_equal(pass(&t, &limits, 1, 5 * SECOND, 100), 20);
}

static void what_was_taken_comes_back_at_the_rate(void **state)
{
  struct weir_throttle t = {0};

  (void)state;
  pass(&t, &limits, 1, SECOND, 100);
  assert_int_equal(pass(&t, &limits, 1, SECOND + 99999, 100), 0);
  assert_int_equal(pass(&t, &limits, 1, SECOND + 100000, 100), 1);
  assert_int_equal(pass(&t, &limits, 1, 2 * SECOND + 100000, 100), 10);
}

static void a_long_pause_fills_the_bucket_and_not_more(void **state)
{
  struct weir_throttle t = {0};

  (void)state;
  pass(&t, &limits, 1, SECOND, 100);
  assert_int_equal(pass(&t, &limits, 1, UINT64_MAX / 2, 100), 20);
}

static void bytes_are_bounded_as_messages_are(void **state)
{
  struct weir_throttle t = {0};

  (void)state;
  assert_int_equal(pass(&t, &limits, 500, SECOND, 100), 4);
  assert_int_equal(pass(&t, &limits, 500, SECOND + 499999, 100), 0);
  assert_int_equal(pass(&t, &limits, 500, SECOND + 500000, 100), 1);
}

static void a_message_that_may_not_pass_takes_nothing(void **state)
{
  struct weir_throttle t = {0};

  (void)state;
  assert_int_equal(pass(&t, &limits, 1999, SECOND, 1), 1);
  for (int i = 0; i < 1000; i++)
    assert_false(weir_throttle_take(&t, &limits, 2, SECOND));
  assert_true(weir_throttle_take(&t, &limits, 1, SECOND));
}

static void a_message_larger_than_the_bucket_passes_when_it_is_full(void **state)
{
  struct weir_throttle t = {0};

  (void)state;
  assert_true(weir_throttle_take(&t, &limits, 5000, SECOND));
  assert_false(weir_throttle_take(&t, &limits, 1, SECOND + 3 * SECOND));
  assert_true(weir_throttle_take(&t, &limits, 5000, SECOND + 5 * SECOND));
}

static void without_limits_everything_passes(void **state)
{
  const struct weir_throttle_limits none = {.burst_us = SECOND};
  struct weir_throttle t = {0};

  (void)state;
  assert_int_equal(pass(&t, &none, UINT32_MAX, SECOND, 5000), 5000);
}

static void limits_at_their_largest_do_not_overflow(void **state)
{
  const struct weir_throttle_limits most = {.messages = WEIR_THROTTLE_RATE_MAX,
                                            .bytes = WEIR_THROTTLE_RATE_MAX,
                                            .burst_us = WEIR_THROTTLE_BURST_MAX_US};
  struct weir_throttle t = {0};

  (void)state;
  assert_int_equal(pass(&t, &most, UINT32_MAX, SECOND, 100), 13); /* 60 * 10^9 / 2^32 */
}

/* Over any time no more than burst + rate passes, whatever the pattern. */
static void no_interval_carries_more_than_burst_and_rate(void **state)
{
  struct weir_throttle t = {0};
  struct weir_rng rng;
  weir_tstamp now = SECOND;
  uint64_t messages = 0, bytes = 0;

  (void)state;
  weir_rng_init(&rng, 1);
  for (int i = 0; i < 20000; i++) {
    const uint64_t size = weir_rng_below(&rng, 200);

    now += weir_rng_below(&rng, 60000);
    if (!weir_throttle_take(&t, &limits, size, now))
      continue;
    messages++;
    bytes += size;
    assert_true(messages * SECOND <= limits.messages * (now - SECOND + limits.burst_us));
    assert_true(bytes * SECOND <= limits.bytes * (now - SECOND + limits.burst_us));
  }
  assert_true(messages > 4000);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_new_peer_has_its_whole_burst_and_no_more),
      cmocka_unit_test(what_was_taken_comes_back_at_the_rate),
      cmocka_unit_test(a_long_pause_fills_the_bucket_and_not_more),
      cmocka_unit_test(bytes_are_bounded_as_messages_are),
      cmocka_unit_test(a_message_that_may_not_pass_takes_nothing),
      cmocka_unit_test(a_message_larger_than_the_bucket_passes_when_it_is_full),
      cmocka_unit_test(without_limits_everything_passes),
      cmocka_unit_test(limits_at_their_largest_do_not_overflow),
      cmocka_unit_test(no_interval_carries_more_than_burst_and_rate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
