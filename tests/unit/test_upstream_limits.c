/* The judge must be right: each method against cases by hand, and against a naive reference that
 * keeps every arrival and recounts from the definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <weir/rng.h>

#include "limits.h"

#define S  UINT64_C(1000000)
#define T0 (UINT64_C(1795477500) * S) /* a multiple of 60 s */

static struct weir_up_cost cost_of(uint64_t requests, uint64_t input)
{
  struct weir_up_cost cost = {0};
  cost.units[WEIR_UP_REQUESTS] = requests;
  cost.units[WEIR_UP_INPUT] = input;
  return cost;
}

static struct weir_up_meter *meter_of(enum weir_up_method method, uint64_t amount, uint64_t burst)
{
  struct weir_up_limit limit = {.dimension = WEIR_UP_INPUT,
                                .method = method,
                                .amount = amount,
                                .window_us = 60 * S,
                                .burst = burst};
  return weir_up_meter_new(&limit, 1, false, T0);
}

static bool asks(struct weir_up_meter *m, uint64_t at_us, uint64_t units)
{
  struct weir_up_cost cost = cost_of(1, units);
  return weir_up_meter_admit(m, at_us, &cost) == 0;
}

/* --- cases by hand ------------------------------------------------------------------------- */

static void fixed_window_admits_twice_the_limit_around_its_edge(void **state)
{
  (void)state;
  struct weir_up_meter *m = meter_of(WEIR_UP_FIXED, 100, 0);
  assert_true(asks(m, T0 + 60 * S - 1, 100));
  assert_false(asks(m, T0 + 60 * S - 1, 1));
  assert_int_equal(weir_up_meter_wait_us(m, 0, T0 + 60 * S - 1, 1), 1);
  assert_true(asks(m, T0 + 60 * S, 100));
  assert_false(asks(m, T0 + 60 * S, 1));
  /* ... which is what the peak of every window shows. */
  assert_int_equal(weir_up_meter_peak(m, 0), 200);
  weir_up_meter_free(m);
}

static void fixed_window_may_begin_at_a_phase(void **state)
{
  (void)state;
  struct weir_up_limit limit = {.dimension = WEIR_UP_INPUT,
                                .method = WEIR_UP_FIXED,
                                .amount = 10,
                                .window_us = 60 * S,
                                .phase_us = 17 * S};
  struct weir_up_meter *m = weir_up_meter_new(&limit, 1, false, T0);
  assert_true(asks(m, T0 + 16 * S, 10));
  assert_int_equal(weir_up_meter_wait_us(m, 0, T0 + 16 * S, 1), S);
  assert_true(asks(m, T0 + 17 * S, 10));
  weir_up_meter_free(m);
}

static void log_frees_a_unit_exactly_one_window_later(void **state)
{
  (void)state;
  struct weir_up_meter *m = meter_of(WEIR_UP_LOG, 100, 0);
  assert_true(asks(m, T0 + 1, 60));
  assert_true(asks(m, T0 + 30 * S, 40));
  assert_false(asks(m, T0 + 60 * S, 1));
  assert_int_equal(weir_up_meter_wait_us(m, 0, T0 + 60 * S, 60), 1);
  assert_int_equal(weir_up_meter_wait_us(m, 0, T0 + 60 * S, 61), 30 * S);
  assert_true(asks(m, T0 + 60 * S + 1, 60));
  assert_false(asks(m, T0 + 60 * S + 1, 1));
  assert_int_equal(weir_up_meter_peak(m, 0), 100);
  weir_up_meter_free(m);
}

static void counter_weighs_the_window_before_by_its_overlap(void **state)
{
  (void)state;
  struct weir_up_meter *m = meter_of(WEIR_UP_COUNTER, 100, 0);
  assert_true(asks(m, T0 + 59 * S, 80));
  /* A quarter into the next window three quarters of 80 still count. */
  assert_false(asks(m, T0 + 75 * S, 41));
  assert_true(asks(m, T0 + 75 * S, 40));
  assert_int_equal(weir_up_meter_used(m, 0, T0 + 75 * S), 100);
  /* 80 * (60 - e) / 60 <= 50 from e = 22.5 s on: 7.5 s away. */
  assert_int_equal(weir_up_meter_wait_us(m, 0, T0 + 75 * S, 10), 7500000);
  assert_false(asks(m, T0 + 82500000 - 1, 10));
  assert_true(asks(m, T0 + 82500000, 10));
  weir_up_meter_free(m);
}

static void counter_rejects_what_a_log_admits(void **state)
{
  (void)state;
  struct weir_up_meter *m = meter_of(WEIR_UP_COUNTER, 100, 0);
  struct weir_up_meter *log = meter_of(WEIR_UP_LOG, 100, 0);
  assert_true(asks(m, T0, 100) && asks(log, T0, 100));
  assert_true(asks(log, T0 + 60 * S, 100));
  assert_false(asks(m, T0 + 60 * S, 1));
  weir_up_meter_free(m);
  weir_up_meter_free(log);
}

static void bucket_refills_exactly_the_rate_over_one_period(void **state)
{
  (void)state;
  struct weir_up_meter *m = meter_of(WEIR_UP_BUCKET, 100, 0);
  uint64_t admitted = 0;
  assert_true(asks(m, T0, 100));
  assert_int_equal(weir_up_meter_wait_us(m, 0, T0, 1), 600000);
  /* Steps of a prime number of microseconds: remainders must not be lost. */
  for (uint64_t at = 0; at < 60 * S; at += 9973)
    admitted += asks(m, T0 + at, 1);
  admitted += asks(m, T0 + 60 * S, 1);
  assert_int_equal(admitted, 100);
  weir_up_meter_free(m);
}

static void bucket_holds_no_more_than_its_burst(void **state)
{
  (void)state;
  struct weir_up_meter *m = meter_of(WEIR_UP_BUCKET, 100, 20);
  assert_false(asks(m, T0 + 3600 * S, 21));
  assert_int_equal(weir_up_meter_wait_us(m, 0, T0 + 3600 * S, 21), WEIR_UP_NEVER);
  assert_true(asks(m, T0 + 3600 * S, 20));
  assert_int_equal(weir_up_meter_reset_us(m, 0, T0 + 3600 * S), 12 * S);
  weir_up_meter_free(m);
}

static void bucket_owes_what_was_charged_beyond_it(void **state)
{
  (void)state;
  struct weir_up_meter *m = meter_of(WEIR_UP_BUCKET, 60, 0);
  struct weir_up_cost cost = cost_of(0, 90);
  weir_up_meter_charge(m, T0, &cost);
  assert_int_equal(weir_up_meter_used(m, 0, T0), 90);
  assert_int_equal(weir_up_meter_wait_us(m, 0, T0, 1), 31 * S);
  weir_up_meter_free(m);
}

static void sub_windows_admit_their_share_each_second(void **state)
{
  (void)state;
  struct weir_up_meter *m = meter_of(WEIR_UP_SUB, 150, 0); /* 2.5 a second: 2 */
  assert_true(asks(m, T0 + 100, 2));
  assert_false(asks(m, T0 + S - 1, 1));
  assert_true(asks(m, T0 + S, 2));
  assert_int_equal(weir_up_meter_wait_us(m, 0, T0 + S, 3), WEIR_UP_NEVER);
  weir_up_meter_free(m);
}

static void sub_windows_are_widened_until_one_fits(void **state)
{
  (void)state;
  struct weir_up_meter *m = meter_of(WEIR_UP_SUB, 25, 0); /* one per 2.4 s: one per 3 s */
  assert_true(asks(m, T0, 1));
  assert_false(asks(m, T0 + 3 * S - 1, 1));
  assert_true(asks(m, T0 + 3 * S, 1));
  weir_up_meter_free(m);
}

static void days_turn_at_their_reset(void **state)
{
  (void)state;
  uint64_t hour = 3600 * S, day = 24 * hour, eight = 8 * hour;
  uint64_t midnight = T0 / day * day;
  struct weir_up_limit limit = {.dimension = WEIR_UP_REQUESTS,
                                .method = WEIR_UP_FIXED,
                                .is_day = true,
                                .amount = 2,
                                .window_us = day,
                                .phase_us = eight};
  struct weir_up_meter *m = weir_up_meter_new(&limit, 1, false, midnight);
  assert_true(asks(m, midnight + eight, 0) && asks(m, midnight + day, 0));
  assert_false(asks(m, midnight + day + eight - 1, 0));
  assert_true(asks(m, midnight + day + eight, 0));
  assert_int_equal(weir_up_meter_peak(m, 0), 2);
  weir_up_meter_free(m);
}

static void all_limits_admit_or_none_consumes(void **state)
{
  (void)state;
  struct weir_up_limit limits[2] = {
      {.dimension = WEIR_UP_REQUESTS, .method = WEIR_UP_FIXED, .amount = 3, .window_us = 60 * S},
      {.dimension = WEIR_UP_INPUT, .method = WEIR_UP_LOG, .amount = 100, .window_us = 60 * S},
  };
  struct weir_up_meter *m = weir_up_meter_new(limits, 2, false, T0);
  struct weir_up_cost large = cost_of(1, 101), fit = cost_of(1, 100), both = cost_of(9, 200);
  assert_int_equal(weir_up_meter_admit(m, T0, &large), 2);
  assert_int_equal(weir_up_meter_used(m, 0, T0), 0);
  assert_int_equal(weir_up_meter_admit(m, T0, &fit), 0);
  assert_int_equal(weir_up_meter_admit(m, T0, &both), 3);
  assert_int_equal(weir_up_meter_used(m, 0, T0), 1);
  assert_int_equal(weir_up_meter_used(m, 1, T0), 100);
  weir_up_meter_free(m);
}

static void a_log_is_unused_when_the_last_that_weighed_has_left(void **state)
{
  (void)state;
  struct weir_up_limit limits[2] = {
      {.dimension = WEIR_UP_REQUESTS, .method = WEIR_UP_LOG, .amount = 3, .window_us = 60 * S},
      {.dimension = WEIR_UP_OUTPUT, .method = WEIR_UP_LOG, .amount = 100, .window_us = 60 * S},
  };
  struct weir_up_meter *m = weir_up_meter_new(limits, 2, false, T0);
  struct weir_up_cost request = cost_of(1, 0), output = {.units = {[WEIR_UP_OUTPUT] = 10}};
  assert_int_equal(weir_up_meter_admit(m, T0, &request), 0);
  weir_up_meter_charge(m, T0 + 20 * S, &output);
  assert_int_equal(weir_up_meter_reset_us(m, 0, T0 + 20 * S), 40 * S);
  assert_int_equal(weir_up_meter_reset_us(m, 1, T0 + 20 * S), 60 * S);
  weir_up_meter_free(m);
}

static void what_is_left_in_a_bucket_is_counted_from_its_burst(void **state)
{
  (void)state;
  struct weir_up_meter *m = meter_of(WEIR_UP_BUCKET, 60, 10);
  assert_int_equal(weir_up_meter_left(m, 0, T0), 10);
  assert_true(asks(m, T0, 4));
  assert_int_equal(weir_up_meter_left(m, 0, T0), 6);
  struct weir_up_cost more = cost_of(20, 20);
  weir_up_meter_charge(m, T0, &more);
  assert_int_equal(weir_up_meter_left(m, 0, T0), 0);
  weir_up_meter_free(m);
}

static void rejected_calls_use_requests_when_told(void **state)
{
  (void)state;
  struct weir_up_limit limits[2] = {
      {.dimension = WEIR_UP_REQUESTS, .method = WEIR_UP_LOG, .amount = 2, .window_us = 60 * S},
      {.dimension = WEIR_UP_INPUT, .method = WEIR_UP_BUCKET, .amount = 100, .window_us = 60 * S},
  };
  struct weir_up_meter *m = weir_up_meter_new(limits, 2, true, T0);
  struct weir_up_cost large = cost_of(1, 101), fit = cost_of(1, 1);
  assert_int_equal(weir_up_meter_admit(m, T0, &large), 2);
  assert_int_equal(weir_up_meter_admit(m, T0, &large), 2);
  assert_int_equal(weir_up_meter_admit(m, T0, &fit), 1);
  assert_int_equal(weir_up_meter_used(m, 1, T0), 0);
  assert_int_equal(weir_up_meter_peak(m, 0), 0); /* none of them was admitted */
  weir_up_meter_free(m);
}

static void a_limit_of_zero_rejects_everything(void **state)
{
  (void)state;
  for (int method = 1; method < WEIR_UP_METHOD_MAX; method++) {
    struct weir_up_meter *m = meter_of((enum weir_up_method)method, 0, 0);
    assert_false(asks(m, T0 + 5 * S, 0));
    assert_int_equal(weir_up_meter_wait_us(m, 0, T0 + 5 * S, 1), WEIR_UP_NEVER);
    weir_up_meter_free(m);
  }
}

/* --- against a reference ------------------------------------------------------------------- */

#define ARRIVALS 4000

struct reference {
  struct {
    uint64_t at_us, units;
  } admitted[ARRIVALS];
  uint32_t count;
};

static uint64_t sum(const struct reference *r, uint64_t from_us, uint64_t to_us)
{
  uint64_t units = 0;
  for (uint32_t i = 0; i < r->count; i++)
    if (r->admitted[i].at_us >= from_us && r->admitted[i].at_us < to_us)
      units += r->admitted[i].units;
  return units;
}

/* Whether any suffix of the arrivals would overdraw a bucket of burst |b|. */
static bool bucket_holds(const struct reference *r, uint64_t now_us, uint64_t units, uint64_t limit,
                         uint64_t b, uint64_t window_us)
{
  uint64_t total = units;
  if (total > b)
    return false;
  for (uint32_t i = r->count; i > 0; i--) {
    total += r->admitted[i - 1].units;
    if (total > b && (total - b) * window_us > (now_us - r->admitted[i - 1].at_us) * limit)
      return false;
  }
  return true;
}

static bool reference_admits(const struct reference *r, enum weir_up_method method, uint64_t now_us,
                             uint64_t units, uint64_t limit, uint64_t window_us)
{
  uint64_t begin = now_us / window_us * window_us, elapsed = now_us - begin;
  uint64_t second = now_us / S * S;
  switch (method) {
  case WEIR_UP_FIXED:
    return sum(r, begin, now_us + 1) + units <= limit;
  case WEIR_UP_LOG:
    return sum(r, now_us - window_us + 1, now_us + 1) + units <= limit;
  case WEIR_UP_COUNTER:
    return (sum(r, begin, now_us + 1) + units) * window_us +
               sum(r, begin - window_us, begin) * (window_us - elapsed) <=
           limit * window_us;
  case WEIR_UP_BUCKET:
    return bucket_holds(r, now_us, units, limit, limit, window_us);
  case WEIR_UP_SUB:
    return sum(r, second, now_us + 1) + units <= limit * S / window_us;
  case WEIR_UP_METHOD_MAX:
    break;
  }
  return false;
}

static void every_method_agrees_with_its_definition(void **state)
{
  (void)state;
  static struct reference r;
  struct weir_rng rng;
  weir_rng_init(&rng, 42);
  for (int method = 1; method < WEIR_UP_METHOD_MAX; method++) {
    uint64_t at = T0, window = 10 * S, limit = 200, peak = 0, rejected = 0;
    struct weir_up_limit l = {.dimension = WEIR_UP_INPUT,
                              .method = (enum weir_up_method)method,
                              .amount = limit,
                              .window_us = window};
    struct weir_up_meter *m = weir_up_meter_new(&l, 1, false, T0);
    r.count = 0;
    for (uint32_t i = 0; i < ARRIVALS; i++) {
      /* Bursts, pauses, and instants on the very edges. */
      uint64_t draw = weir_rng_below(&rng, 20);
      at += draw == 0 ? weir_rng_below(&rng, 3 * window) : weir_rng_below(&rng, 300000);
      at = draw == 1 ? (at / S + 1) * S : draw == 2 ? (at / window + 1) * window : at;
      uint64_t units = 1 + weir_rng_below(&rng, 20);
      bool expected = reference_admits(&r, l.method, at, units, limit, window);
      if (asks(m, at, units) != expected)
        fail_msg("%s, arrival %u: the reference says %d", weir_up_method_name(l.method), i,
                 expected);
      rejected += !expected;
      if (!expected)
        continue;
      r.admitted[r.count].at_us = at;
      r.admitted[r.count++].units = units;
      uint64_t now = sum(&r, at - window + 1, at + 1);
      peak = now > peak ? now : peak;
    }
    assert_int_equal(weir_up_meter_peak(m, 0), peak);
    assert_true(rejected > ARRIVALS / 20 && r.count > ARRIVALS / 20); /* both were tried */
    weir_up_meter_free(m);
  }
}

static void stated_waits_are_exact(void **state)
{
  (void)state;
  struct weir_rng rng;
  weir_rng_init(&rng, 7);
  for (int method = 1; method < WEIR_UP_METHOD_MAX; method++) {
    struct weir_up_limit l = {.dimension = WEIR_UP_INPUT,
                              .method = (enum weir_up_method)method,
                              .amount = 200,
                              .window_us = 10 * S};
    for (int run = 0; run < 300; run++) {
      struct weir_up_meter *early = weir_up_meter_new(&l, 1, false, T0);
      struct weir_up_meter *late = weir_up_meter_new(&l, 1, false, T0);
      uint64_t at = T0;
      for (int i = 0; i < 40; i++) {
        at += weir_rng_below(&rng, 700000);
        uint64_t units = 1 + weir_rng_below(&rng, 20);
        assert_int_equal(asks(early, at, units), asks(late, at, units));
      }
      uint64_t units = 1 + weir_rng_below(&rng, 20);
      uint64_t wait = weir_up_meter_wait_us(late, 0, at, units);
      assert_true(wait != WEIR_UP_NEVER);
      assert_true(wait == 0 || !asks(early, at + wait - 1, units));
      if (!asks(late, at + wait, units))
        fail_msg("%s: does not fit when it was said to", weir_up_method_name(l.method));
      weir_up_meter_free(early);
      weir_up_meter_free(late);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fixed_window_admits_twice_the_limit_around_its_edge),
      cmocka_unit_test(fixed_window_may_begin_at_a_phase),
      cmocka_unit_test(log_frees_a_unit_exactly_one_window_later),
      cmocka_unit_test(counter_weighs_the_window_before_by_its_overlap),
      cmocka_unit_test(counter_rejects_what_a_log_admits),
      cmocka_unit_test(bucket_refills_exactly_the_rate_over_one_period),
      cmocka_unit_test(bucket_holds_no_more_than_its_burst),
      cmocka_unit_test(bucket_owes_what_was_charged_beyond_it),
      cmocka_unit_test(sub_windows_admit_their_share_each_second),
      cmocka_unit_test(sub_windows_are_widened_until_one_fits),
      cmocka_unit_test(days_turn_at_their_reset),
      cmocka_unit_test(all_limits_admit_or_none_consumes),
      cmocka_unit_test(a_log_is_unused_when_the_last_that_weighed_has_left),
      cmocka_unit_test(what_is_left_in_a_bucket_is_counted_from_its_burst),
      cmocka_unit_test(rejected_calls_use_requests_when_told),
      cmocka_unit_test(a_limit_of_zero_rejects_everything),
      cmocka_unit_test(every_method_agrees_with_its_definition),
      cmocka_unit_test(stated_waits_are_exact),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
