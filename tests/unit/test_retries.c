/* How many new attempts a pool's calls may make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/retries.h>

#define SECOND WEIR_US_PER_S
#define SHARE  100 /* ten per cent */

static struct weir_retries r;
static weir_tstamp now, at;

static int set_up(void **state)
{
  (void)state;
  now = 5000 * SECOND;
  weir_retries_init(&r, now);
  return 0;
}

static bool take(void)
{
  const bool is_taken = weir_retries_take(&r, now, &at);

  weir_retries_check(&r);
  return is_taken;
}

static uint32_t take_all(void)
{
  uint32_t count = 0;

  while (take())
    count++;
  return count;
}

static void earn(uint32_t calls)
{
  for (uint32_t i = 0; i < calls; i++)
    weir_retries_earn(&r, SHARE, now);
  weir_retries_check(&r);
}

static void begins_with_ten(void **state)
{
  (void)state;
  assert_int_equal(take_all(), 10);
}

static void earns_a_share_of_first_attempts(void **state)
{
  (void)state;
  take_all();
  earn(9);
  assert_false(take());
  earn(1);
  assert_true(take());
  assert_false(take());
}

static void keeps_no_more_than_the_last_ten_seconds_earned(void **state)
{
  (void)state;
  for (int i = 0; i < 30; i++) {
    earn(100); /* ten tokens a second */
    now += SECOND;
  }
  now -= SECOND;
  assert_int_equal(take_all(), 100);
  earn(100);
  now += 9 * SECOND;
  earn(0);
  assert_int_equal(take_all(), 10);
}

static void lets_what_is_not_used_in_time_lapse(void **state)
{
  (void)state;
  earn(1000);
  now += 9 * SECOND;
  weir_retries_earn(&r, 0, now);
  assert_int_equal(r.balance, 100 * WEIR_RETRIES_TOKEN);
  now += SECOND;
  assert_int_equal(take_all(), 10);
}

static void comes_by_itself_once_in_ten_seconds(void **state)
{
  (void)state;
  take_all();
  now += 10 * SECOND - 1;
  assert_false(take());
  now += 1;
  assert_true(take());
  assert_false(take());
  now += 10 * SECOND; /* no part of a second is lost between looks */
  assert_true(take());
}

static void tells_when_there_will_be_one(void **state)
{
  (void)state;
  take_all();
  assert_false(take());
  assert_in_range(at - now, 10 * SECOND, 10 * SECOND + 1);
  now = at;
  assert_true(take());
  earn(
      95); /* as much is expected of the next ten seconds: 10.5 tokens with the one that trickles */
  take_all();
  assert_false(take());
  assert_in_range(at - now, 10 * SECOND / 21, 10 * SECOND / 21 + 2); /* half of one is missing */
}

static void takes_back_what_was_not_used(void **state)
{
  (void)state;
  take_all();
  weir_retries_give(&r, now);
  assert_int_equal(take_all(), 1);
  earn(10);
  weir_retries_lose(&r, SHARE, now);
  assert_false(take());
  for (int i = 0; i < 20; i++) /* never below nothing */
    weir_retries_lose(&r, SHARE, now);
  earn(10);
  assert_true(take());
}

static void adds_a_tenth_to_an_outage_and_not_a_multiple(void **state)
{
  uint32_t retries = 0, calls = 0;

  (void)state;
  for (int i = 0; i < 600; i++) { /* ten minutes of 50 calls a second that all want another try */
    earn(50);
    calls += 50;
    for (int k = 0; k < 50; k++)
      retries += take();
    now += SECOND;
  }
  assert_in_range(retries, calls / 10, calls / 10 + 10 + 60);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(begins_with_ten, set_up),
      cmocka_unit_test_setup(earns_a_share_of_first_attempts, set_up),
      cmocka_unit_test_setup(keeps_no_more_than_the_last_ten_seconds_earned, set_up),
      cmocka_unit_test_setup(lets_what_is_not_used_in_time_lapse, set_up),
      cmocka_unit_test_setup(comes_by_itself_once_in_ten_seconds, set_up),
      cmocka_unit_test_setup(tells_when_there_will_be_one, set_up),
      cmocka_unit_test_setup(takes_back_what_was_not_used, set_up),
      cmocka_unit_test_setup(adds_a_tenth_to_an_outage_and_not_a_multiple, set_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
