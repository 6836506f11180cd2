#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <weir/config.h>
#include <weir/rng.h>
#include <weir/trail.h>
#include <weir/wide.h>

#define SECOND WEIR_US_PER_S
#define MINUTE WEIR_US_PER_MIN
#define AHEAD  (10 * SECOND + 520 * WEIR_US_PER_MS)
#define BEGIN  (1000 * SECOND)

static uint64_t slots[WEIR_TRAIL_SLOTS * WEIR_SLOTS_TOGETHER];

static struct weir_trail trail_at(weir_duration window, weir_tstamp now)
{
  struct weir_trail t;

  weir_trail_init(&t, slots, window, AHEAD, now);
  return t;
}

static weir_tstamp end_of(const struct weir_trail *t, weir_tstamp arrival_max)
{
  return (arrival_max / t->slot_us + 1) * t->slot_us;
}

static void slots_cover_two_windows_and_what_lies_ahead(void **state)
{
  const weir_duration windows[] = {SECOND, 2 * SECOND + 1, 7 * SECOND,
                                   MINUTE, 10 * MINUTE,    WEIR_WINDOW_MAX_US};

  (void)state;
  for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
    struct weir_trail t = trail_at(windows[i], BEGIN);

    assert_true(t.window_slots * t.slot_us >= windows[i]);
    assert_true(t.window_slots * t.slot_us < windows[i] + t.window_slots);
    assert_true(2 * t.window_slots + AHEAD / t.slot_us + 3 < WEIR_TRAIL_SLOTS);
    /* The oldest that is kept and the newest that can come have places of their own. */
    weir_trail_add(&t, BEGIN > 2 * windows[i] ? BEGIN - 2 * windows[i] : 0, 1);
    weir_trail_add(&t, BEGIN + AHEAD, 2);
    assert_int_equal(t.total, 3);
    weir_trail_check(&t);
  }
}

static void what_is_taken_back_leaves_no_trace(void **state)
{
  struct weir_trail t = trail_at(MINUTE, BEGIN);

  (void)state;
  weir_trail_add(&t, BEGIN + SECOND, 70);
  weir_trail_add(&t, BEGIN + 2 * SECOND, 30);
  weir_trail_remove(&t, BEGIN + SECOND, 70);
  assert_int_equal(t.total, 30);
  weir_trail_remove(&t, BEGIN + 2 * SECOND, 30);
  assert_int_equal(t.total, 0);
  weir_trail_check(&t);
}

static void what_is_older_than_two_windows_is_forgotten(void **state)
{
  struct weir_trail t = trail_at(MINUTE, BEGIN);

  (void)state;
  weir_trail_add(&t, BEGIN, 70);
  weir_trail_advance(&t, BEGIN + 2 * MINUTE);
  assert_int_equal(t.total, 70);
  weir_trail_advance(&t, BEGIN + 2 * MINUTE + 3 * t.slot_us);
  assert_int_equal(t.total, 0);
  /* To take it back now, or to charge it again, does nothing. */
  weir_trail_remove(&t, BEGIN, 70);
  weir_trail_add(&t, BEGIN, 70);
  assert_int_equal(t.total, 0);
  weir_trail_check(&t);
}

static void a_jump_of_time_leaves_it_empty(void **state)
{
  struct weir_trail t = trail_at(SECOND, BEGIN);

  (void)state;
  weir_trail_add(&t, BEGIN, 70);
  weir_trail_advance(&t, BEGIN + 1000 * MINUTE);
  assert_int_equal(t.total, 0);
  weir_trail_add(&t, BEGIN + 1000 * MINUTE, 5);
  assert_int_equal(t.total, 5);
  weir_trail_check(&t);
}

static void an_empty_bucket_takes_its_burst_and_no_more(void **state)
{
  struct weir_trail t = trail_at(MINUTE, BEGIN);
  const weir_tstamp end = end_of(&t, BEGIN);

  (void)state;
  assert_int_equal(weir_trail_bucket(&t, 100, 100, 6000, BEGIN), BEGIN);
  weir_trail_add(&t, BEGIN, 100);
  /* 6000 a minute: one in 10 ms, from the end of the slot on. */
  assert_int_equal(weir_trail_bucket(&t, 1, 100, 6000, BEGIN), end + 10000);
  assert_int_equal(weir_trail_bucket(&t, 50, 100, 6000, BEGIN), end + 500000);
  assert_int_equal(weir_trail_bucket(&t, 100, 100, 6000, BEGIN), end + SECOND);
  assert_int_equal(weir_trail_bucket(&t, 1, 100, 6000, end + 10000), end + 10000);
}

static void a_bucket_is_refilled_from_every_charge_on(void **state)
{
  struct weir_trail t = trail_at(MINUTE, BEGIN);
  const weir_tstamp second = BEGIN + 2 * SECOND;

  (void)state;
  weir_trail_add(&t, BEGIN, 90);
  weir_trail_add(&t, second, 60);
  /* The younger alone: 60 + 50 - 100, refilled in 100 ms. With the older: 200 - 100 from there. */
  assert_int_equal(weir_trail_bucket(&t, 50, 100, 6000, second), end_of(&t, second) + 100000);
  weir_trail_add(&t, BEGIN, 300);
  assert_int_equal(weir_trail_bucket(&t, 50, 100, 6000, second), end_of(&t, BEGIN) + 4 * SECOND);
}

/* More than a window's amount stands there only as debt: after a window it is nobody's. */
static void no_debt_of_a_bucket_is_older_than_a_window(void **state)
{
  struct weir_trail t = trail_at(MINUTE, BEGIN);
  const weir_tstamp gone = end_of(&t, BEGIN) + t.window_slots * t.slot_us;

  (void)state;
  weir_trail_add(&t, BEGIN, 30000);
  assert_int_equal(weir_trail_bucket(&t, 1, 100, 6000, BEGIN), gone);
  assert_int_equal(weir_trail_bucket(&t, 1, 100, 6000, gone), gone);
  assert_true(weir_trail_bucket(&t, 1, 100, 6000, gone - 1) == gone);
}

/* All of a window in one slot: it weighs in full for a window, then ever less for another. */
static void a_counter_lets_go_over_the_second_window(void **state)
{
  struct weir_trail t = trail_at(MINUTE, BEGIN);
  const weir_tstamp end = end_of(&t, BEGIN);
  const weir_duration window = t.window_slots * t.slot_us;

  (void)state;
  weir_trail_add(&t, BEGIN, 1000);
  assert_false(weir_trail_counter(&t, 1, 1000, BEGIN));
  assert_false(weir_trail_counter(&t, 1, 1000, end + window));
  assert_false(weir_trail_counter(&t, 500, 1000, end + window + (window + 1) / 2 - 1));
  assert_true(weir_trail_counter(&t, 500, 1000, end + window + (window + 1) / 2));
  assert_true(weir_trail_counter(&t, 900, 1000, end + window + (window * 9 + 9) / 10));
  assert_false(weir_trail_counter(&t, 901, 1000, end + window + (window * 9 + 9) / 10));
}

static void a_counter_works_from_the_first_second_of_a_clock_on(void **state)
{
  struct weir_trail t = trail_at(10 * MINUTE, SECOND);

  (void)state;
  weir_trail_add(&t, SECOND, 400);
  weir_trail_add(&t, 5 * SECOND, 500);
  assert_true(weir_trail_counter(&t, 100, 1000, 9 * SECOND));
  assert_false(weir_trail_counter(&t, 101, 1000, 9 * SECOND));
  t = trail_at(MINUTE, SECOND);
  weir_trail_add(&t, SECOND, 600);
  weir_trail_add(&t, 50 * SECOND, 300);
  weir_trail_advance(&t, 70 * SECOND);
  /* From where the older is let go on, 900 weigh 51 of 60 parts; before, 600 weigh 40. */
  assert_true(weir_trail_counter(&t, 200, 1000, 70 * SECOND));
  assert_false(weir_trail_counter(&t, 240, 1000, 70 * SECOND));
}

static void the_peak_is_the_fullest_window_that_ended_since(void **state)
{
  struct weir_trail t = trail_at(MINUTE, BEGIN);

  (void)state;
  weir_trail_add(&t, BEGIN, 50);
  weir_trail_advance(&t, BEGIN + 30 * SECOND);
  weir_trail_add(&t, BEGIN + 30 * SECOND, 40);
  weir_trail_advance(&t, BEGIN + 90 * SECOND);
  weir_trail_add(&t, BEGIN + 80 * SECOND, 30);
  assert_int_equal(weir_trail_peak(&t, BEGIN + 30 * SECOND), 90);
  assert_int_equal(weir_trail_peak(&t, BEGIN + 59 * SECOND), 90);
  assert_int_equal(weir_trail_peak(&t, BEGIN + 62 * SECOND), 70);
  assert_int_equal(weir_trail_peak(&t, BEGIN + 95 * SECOND), 30);
  /* Beyond what is kept nothing is known. */
  assert_true(weir_trail_peak(&t, BEGIN + 20 * SECOND) == UINT64_MAX);
  t = trail_at(MINUTE, SECOND);
  weir_trail_add(&t, SECOND, 50);
  assert_int_equal(weir_trail_peak(&t, SECOND), 50);
}

/* ---- against lists ---- */

#define CHARGES 40

struct charge {
  weir_tstamp end;
  uint64_t cost;
};

static bool bucket_takes(const struct weir_trail *t, const struct charge *charges, uint64_t cost,
                         uint64_t burst, uint64_t amount, weir_tstamp at)
{
  for (int i = 0; i < CHARGES; i++) {
    const weir_tstamp y = charges[i].end;
    uint64_t sum = cost;

    if (y + t->window_slots * t->slot_us <= at)
      continue;
    for (int k = 0; k < CHARGES; k++)
      sum += charges[k].end >= y ? charges[k].cost : 0;
    if (sum > burst &&
        (y > at || weir_wide_mul(sum - burst, t->window_us) > weir_wide_mul(at - y, amount)))
      return false;
  }
  return true;
}

/* The counter of the window that began at |begin|. */
static bool phase_takes(const struct weir_trail *t, const struct charge *charges, uint64_t cost,
                        uint64_t amount, weir_tstamp at, weir_tstamp begin)
{
  const weir_duration window = t->window_slots * t->slot_us;
  uint64_t cur = cost, prev = 0;

  for (int i = 0; i < CHARGES; i++) {
    if (charges[i].end >= begin)
      cur += charges[i].cost;
    else if (charges[i].end + window >= begin)
      prev += charges[i].cost;
  }
  return weir_wide_mul(cur, window) + weir_wide_mul(prev, window - (at - begin)) <=
         weir_wide_mul(amount, window);
}

static bool counter_takes(const struct weir_trail *t, const struct charge *charges, uint64_t cost,
                          uint64_t amount, weir_tstamp at)
{
  const weir_duration window = t->window_slots * t->slot_us;

  if (!phase_takes(t, charges, cost, amount, at, at))
    return false;
  for (weir_tstamp begin = at / t->slot_us * t->slot_us; begin + window > at; begin -= t->slot_us) {
    if (!phase_takes(t, charges, cost, amount, at, begin))
      return false;
  }
  return true;
}

static void both_questions_agree_with_a_list(void **state)
{
  const weir_duration windows[] = {SECOND, 10 * SECOND, MINUTE};
  uint64_t takes = 0, refuses = 0, waits = 0;
  struct weir_rng rng;

  (void)state;
  weir_rng_init(&rng, 1);
  for (int round = 0; round < 3000; round++) {
    struct weir_trail t = trail_at(windows[weir_rng_below(&rng, 3)], BEGIN);
    const weir_tstamp at = BEGIN + weir_rng_below(&rng, 20000);
    const uint64_t amount = 500 + weir_rng_below(&rng, 4000);
    const uint64_t cost = 1 + weir_rng_below(&rng, 100);
    const uint64_t burst = cost + weir_rng_below(&rng, amount / 4);
    struct charge charges[CHARGES];
    weir_tstamp first;

    for (int i = 0; i < CHARGES; i++) {
      const weir_tstamp arrival =
          BEGIN - 2 * t.window_us +
          weir_rng_below(&rng, 2 * t.window_us + (round % 2 ? AHEAD / 4 : 0));

      charges[i] = (struct charge){.end = end_of(&t, arrival), .cost = weir_rng_below(&rng, 100)};
      weir_trail_add(&t, arrival, charges[i].cost);
    }
    weir_trail_check(&t);
    first = weir_trail_bucket(&t, cost, burst, amount, at);
    assert_true(bucket_takes(&t, charges, cost, burst, amount, first));
    if (first > at)
      assert_false(bucket_takes(&t, charges, cost, burst, amount, first - 1));
    waits += first > at;
    if (counter_takes(&t, charges, cost, amount, at)) {
      assert_true(weir_trail_counter(&t, cost, amount, at));
      takes++;
    } else {
      assert_false(weir_trail_counter(&t, cost, amount, at));
      refuses++;
    }
  }
  assert_true(takes > 300 && refuses > 300 && waits > 300);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(slots_cover_two_windows_and_what_lies_ahead),
      cmocka_unit_test(what_is_taken_back_leaves_no_trace),
      cmocka_unit_test(what_is_older_than_two_windows_is_forgotten),
      cmocka_unit_test(a_jump_of_time_leaves_it_empty),
      cmocka_unit_test(an_empty_bucket_takes_its_burst_and_no_more),
      cmocka_unit_test(a_bucket_is_refilled_from_every_charge_on),
      cmocka_unit_test(no_debt_of_a_bucket_is_older_than_a_window),
      cmocka_unit_test(a_counter_lets_go_over_the_second_window),
      cmocka_unit_test(a_counter_works_from_the_first_second_of_a_clock_on),
      cmocka_unit_test(the_peak_is_the_fullest_window_that_ended_since),
      cmocka_unit_test(both_questions_agree_with_a_list),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
