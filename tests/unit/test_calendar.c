#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <weir/calendar.h>
#include <weir/rng.h>

#include "coord_fixture.h"

#define SEC  WEIR_US_PER_S
#define MIN  WEIR_US_PER_MIN
#define HOUR WEIR_US_PER_HOUR
#define DAY  (24 * HOUR)
#define SKEW WEIR_CALENDAR_SKEW_US

/* A zone at UTC whose day 103 is short and whose day 107 is long. */
#define DAY_SHORT 103
#define DAY_LONG  107

struct clocks {
  struct weir_calendar calendar;
  weir_tstamp now;   /* monotonic */
  int64_t offset_us; /* of the wall clock */
};

static uint64_t start_of(uint64_t number)
{
  return number * DAY - (number > DAY_SHORT && number <= DAY_LONG ? HOUR : 0);
}

static struct weir_wall wall_at(uint64_t wall_us)
{
  struct weir_wall wall = {.now_us = wall_us, .zones_count = 1};
  uint64_t number = wall_us / DAY + 1;

  while (start_of(number) > wall_us)
    number--;
  wall.zones[0].number = number;
  for (uint64_t i = 0; i < WEIR_ZONE_STARTS; i++)
    wall.zones[0].starts_us[i] = start_of(number + i);
  return wall;
}

static void tell(struct clocks *k)
{
  struct weir_wall wall = wall_at((uint64_t)((int64_t)k->now + k->offset_us));

  weir_calendar_advance(&k->calendar, k->now);
  weir_calendar_clock(&k->calendar, &wall, k->now);
  assert_true(weir_calendar_wake(&k->calendar) > k->now);
}

/* A calendar that has just heard that it is |wall_us|, an hour after the monotonic clock began. */
static struct clocks clocks_at(uint64_t wall_us)
{
  struct clocks k = {.now = HOUR, .offset_us = (int64_t)wall_us - (int64_t)HOUR};

  weir_calendar_init(&k.calendar);
  tell(&k);
  return k;
}

static void step(struct clocks *k, int64_t by_us)
{
  k->offset_us += by_us;
  tell(k);
}

/* As the shell does it: the clock is told every 30 seconds. */
static void pass(struct clocks *k, weir_duration time)
{
  const weir_tstamp until = k->now + time;

  while (k->now < until) {
    k->now = until - k->now > 30 * SEC ? k->now + 30 * SEC : until;
    tell(k);
  }
}

static const struct weir_calendar_zone *zone_of(const struct clocks *k)
{
  return weir_calendar_zone(&k->calendar, 0);
}

static uint64_t number_of(const struct clocks *k)
{
  assert_non_null(zone_of(k));
  return zone_of(k)->number;
}

/* ---- without steps ---- */

static void knows_nothing_before_the_first_clock(void **state)
{
  struct weir_calendar c;

  (void)state;
  weir_calendar_init(&c);
  weir_calendar_advance(&c, 100 * DAY);
  assert_null(weir_calendar_zone(&c, 0));
  assert_true(weir_calendar_wake(&c) == WEIR_NEVER);
}

static void tells_the_bounds_of_the_day_on_the_monotonic_clock(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 30 * MIN);

  (void)state;
  assert_int_equal(number_of(&k), 100);
  assert_int_equal(zone_of(&k)->begins_at, 30 * MIN);
  assert_int_equal(zone_of(&k)->ends_at, 30 * MIN + DAY);
  assert_null(weir_calendar_zone(&k.calendar, 1));
}

static void a_day_that_began_before_the_monotonic_clock_begins_at_zero(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 20 * HOUR);

  (void)state;
  assert_int_equal(zone_of(&k)->begins_at, 0);
  assert_int_equal(zone_of(&k)->ends_at, 5 * HOUR);
}

static void turns_at_midnight_plus_the_skew_and_no_microsecond_before(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 23 * HOUR);
  const weir_tstamp turn = 2 * HOUR + SKEW;

  (void)state;
  assert_int_equal(weir_calendar_wake(&k.calendar), turn);
  weir_calendar_advance(&k.calendar, turn - 1);
  assert_int_equal(number_of(&k), 100);
  weir_calendar_advance(&k.calendar, turn);
  assert_int_equal(number_of(&k), 101);
  assert_int_equal(zone_of(&k)->begins_at, 2 * HOUR);
  assert_int_equal(zone_of(&k)->ends_at, 2 * HOUR + DAY);
}

static void a_first_clock_within_the_skew_of_midnight_waits_for_the_turn(void **state)
{
  struct clocks k = clocks_at(100 * DAY + SEC);

  (void)state;
  assert_null(zone_of(&k));
  assert_int_equal(weir_calendar_wake(&k.calendar), HOUR + SEC);
  weir_calendar_advance(&k.calendar, HOUR + SEC);
  assert_int_equal(number_of(&k), 100);
}

static void turns_through_the_told_days_by_itself_until_they_run_out(void **state)
{
  struct clocks k = clocks_at(99 * DAY + 12 * HOUR);

  (void)state;
  for (uint64_t number = 99; number < 99 + WEIR_ZONE_STARTS - 1; number++) {
    assert_int_equal(number_of(&k), number);
    k.now = zone_of(&k)->ends_at + SKEW;
    weir_calendar_advance(&k.calendar, k.now);
  }
  assert_null(zone_of(&k));
  tell(&k);
  assert_int_equal(number_of(&k), 102);
}

static void days_of_23_and_25_hours_last_as_long_as_they_do(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 12 * HOUR);

  (void)state;
  for (uint64_t number = 100; number < 110; number++) {
    weir_duration wanted = number == DAY_SHORT ? 23 * HOUR : (number == DAY_LONG ? 25 * HOUR : DAY);

    assert_int_equal(number_of(&k), number);
    if (number > 100)
      assert_int_equal(zone_of(&k)->ends_at - zone_of(&k)->begins_at, wanted);
    pass(&k, zone_of(&k)->ends_at + SKEW - k.now);
  }
}

/* ---- steps ---- */

static void a_clock_set_forwards_turns_the_day_when_the_old_one_says(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 23 * HOUR + 30 * MIN);
  const weir_tstamp turn = k.now + 30 * MIN + SKEW;

  (void)state;
  step(&k, (int64_t)HOUR);
  assert_int_equal(number_of(&k), 100);
  pass(&k, turn - 1 - k.now);
  assert_int_equal(number_of(&k), 100);
  pass(&k, 1);
  assert_int_equal(number_of(&k), 101);
}

static void a_clock_set_forwards_is_doubted_from_its_own_midnight_on(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 12 * HOUR);

  (void)state;
  assert_int_equal(zone_of(&k)->ends_early_at, zone_of(&k)->ends_at);
  step(&k, (int64_t)HOUR);
  assert_int_equal(zone_of(&k)->ends_at, 13 * HOUR);
  assert_int_equal(zone_of(&k)->ends_early_at, 12 * HOUR);
}

static void a_clock_set_forwards_is_believed_after_a_whole_period(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 12 * HOUR);
  weir_tstamp stepped_at;

  (void)state;
  pass(&k, 3 * HOUR);
  stepped_at = k.now;
  step(&k, (int64_t)HOUR);
  while (zone_of(&k)->ends_early_at != zone_of(&k)->ends_at) {
    assert_true(k.now - stepped_at <= 2 * WEIR_CALENDAR_TRUST_US);
    pass(&k, MIN);
  }
  assert_true(k.now - stepped_at >= WEIR_CALENDAR_TRUST_US);
  assert_int_equal((int64_t)start_of(number_of(&k) + 1) - k.offset_us, zone_of(&k)->ends_at);
}

static void a_forward_step_that_is_undone_in_time_leaves_no_trace_in_the_turns(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 12 * HOUR);
  struct clocks plain = k;

  (void)state;
  step(&k, (int64_t)(9 * HOUR));
  pass(&k, 20 * HOUR);
  step(&k, -(int64_t)(9 * HOUR));
  pass(&plain, 20 * HOUR);
  for (int i = 0; i < 200; i++) {
    pass(&k, HOUR);
    pass(&plain, HOUR);
    assert_int_equal(number_of(&k), number_of(&plain));
    assert_int_equal(zone_of(&k)->ends_at, zone_of(&plain)->ends_at);
  }
}

static void a_clock_set_back_within_the_day_moves_its_end_at_once(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 12 * HOUR);

  (void)state;
  step(&k, -(int64_t)HOUR);
  assert_int_equal(number_of(&k), 100);
  assert_int_equal(zone_of(&k)->ends_at, 14 * HOUR);
  assert_int_equal(zone_of(&k)->ends_early_at, 13 * HOUR);
}

static void a_clock_set_back_past_midnight_takes_the_turn_back(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 23 * HOUR);

  (void)state;
  pass(&k, HOUR + 30 * MIN);
  assert_int_equal(number_of(&k), 101);
  step(&k, -(int64_t)HOUR);
  assert_int_equal(number_of(&k), 100);
  pass(&k, 30 * MIN + SKEW - 1);
  assert_int_equal(number_of(&k), 100);
  pass(&k, 1);
  assert_int_equal(number_of(&k), 101);
}

static void a_forward_step_over_midnight_keeps_the_day_that_was_told_before(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 22 * HOUR);

  (void)state;
  step(&k, (int64_t)(20 * HOUR)); /* what is told now begins with tomorrow */
  assert_int_equal(number_of(&k), 100);
  assert_int_equal(zone_of(&k)->ends_at, 3 * HOUR);
  pass(&k, 10 * HOUR);
  assert_int_equal(number_of(&k), 101);
}

static void clocks_that_disagree_by_a_day_make_the_day_unknown_until_that_is_forgotten(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 12 * HOUR);
  weir_tstamp stepped_at = k.now;

  (void)state;
  step(&k, (int64_t)WEIR_CALENDAR_SPREAD_MAX_US);
  assert_non_null(zone_of(&k));
  step(&k, 1);
  assert_null(zone_of(&k));
  while (!zone_of(&k)) {
    assert_true(k.now - stepped_at <= 2 * WEIR_CALENDAR_TRUST_US);
    pass(&k, MIN);
  }
  assert_true(k.now - stepped_at >= WEIR_CALENDAR_TRUST_US);
  step(&k, -(int64_t)(3 * DAY));
  assert_null(zone_of(&k));
}

static void periods_end_while_no_clock_is_told(void **state)
{
  struct clocks k = clocks_at(100 * DAY + HOUR);

  (void)state;
  step(&k, (int64_t)HOUR);
  for (int i = 0; i < 2; i++) {
    k.now += WEIR_CALENDAR_TRUST_US;
    weir_calendar_advance(&k.calendar, k.now);
  }
  assert_int_equal(zone_of(&k)->ends_at, zone_of(&k)->ends_early_at);
  assert_int_equal((int64_t)start_of(number_of(&k) + 1) - k.offset_us, zone_of(&k)->ends_at);
  /* The same in one go. */
  k = clocks_at(100 * DAY + HOUR);
  step(&k, (int64_t)HOUR);
  k.now += 2 * WEIR_CALENDAR_TRUST_US;
  weir_calendar_advance(&k.calendar, k.now);
  assert_int_equal((int64_t)start_of(number_of(&k) + 1) - k.offset_us, zone_of(&k)->ends_at);
}

static void a_clock_that_is_slewed_forwards_turns_late_by_the_drift_of_two_periods(void **state)
{
  struct clocks k = clocks_at(99 * DAY + 12 * HOUR);
  const weir_duration late_max = 2 * WEIR_CALENDAR_TRUST_US / 2000 + MIN;
  uint64_t number = number_of(&k);

  (void)state;
  for (weir_tstamp until = k.now + 12 * DAY; k.now < until; k.offset_us += 30000 /* 500 ppm */) {
    uint64_t wall;

    pass(&k, MIN);
    wall = (uint64_t)((int64_t)k.now + k.offset_us);
    assert_true(start_of(number_of(&k)) + SKEW <= wall);
    assert_true(start_of(number_of(&k) + 1) + SKEW + late_max > wall);
    assert_in_range(number_of(&k), number, number + 1);
    number = number_of(&k);
  }
  assert_int_equal(number, 111);
}

static void a_clock_that_is_slewed_back_takes_no_turn_back(void **state)
{
  struct clocks k = clocks_at(99 * DAY + 12 * HOUR);
  uint64_t number = number_of(&k);

  (void)state;
  for (weir_tstamp until = k.now + 8 * DAY; k.now < until; k.offset_us -= 500) {
    pass(&k, SEC);
    assert_in_range(number_of(&k), number, number + 1);
    number = number_of(&k);
  }
  assert_int_equal(number, 107);
}

/* ---- odd values ---- */

static void a_wall_clock_behind_the_monotonic_one_works_the_same(void **state)
{
  struct clocks k = {.now = 5000 * DAY, .offset_us = -(int64_t)(4900 * DAY - HOUR)};

  (void)state;
  weir_calendar_init(&k.calendar);
  tell(&k);
  assert_int_equal(number_of(&k), 100);
  assert_int_equal(zone_of(&k)->begins_at, 5000 * DAY - HOUR);
  pass(&k, DAY);
  assert_int_equal(number_of(&k), 101);
}

static void absurd_clocks_are_taken_in_and_make_the_day_unknown(void **state)
{
  static const uint64_t odd[] = {0, 1, UINT64_C(1) << 62, UINT64_C(1) << 63, UINT64_MAX};

  (void)state;
  for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
    struct clocks k = clocks_at(100 * DAY + 12 * HOUR);
    struct weir_wall wall = wall_at(100 * DAY);

    wall.now_us = odd[i];
    weir_calendar_clock(&k.calendar, &wall, k.now);
    assert_null(zone_of(&k));
    weir_calendar_init(&k.calendar); /* and as the first of all */
    weir_calendar_clock(&k.calendar, &wall, k.now);
    weir_calendar_advance(&k.calendar, k.now + DAY);
    assert_null(zone_of(&k));
  }
}

static void a_date_that_is_left_out_skips_no_number(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 12 * HOUR);
  struct weir_wall wall;

  (void)state;
  k.now += DAY;
  /* From day 101 on the zone is told with numbers that are larger by one. */
  wall = wall_at((uint64_t)((int64_t)k.now + k.offset_us));
  wall.zones[0].number++;
  weir_calendar_clock(&k.calendar, &wall, k.now);
  assert_int_equal(number_of(&k), 101);
  weir_calendar_advance(&k.calendar, k.now + DAY);
  assert_int_equal(number_of(&k), 102);
}

static void another_zone_of_the_same_index_replaces_what_was_told(void **state)
{
  struct clocks k = clocks_at(100 * DAY + 12 * HOUR);
  struct weir_wall wall = wall_at(100 * DAY + 12 * HOUR);

  (void)state;
  for (int i = 0; i < WEIR_ZONE_STARTS; i++)
    wall.zones[0].starts_us[i] += 8 * HOUR;
  wall.zones[0].number = 555;
  weir_calendar_clock(&k.calendar, &wall, k.now);
  assert_int_equal(number_of(&k), 555);
  assert_int_equal(zone_of(&k)->ends_at, 13 * HOUR + 8 * HOUR);
  wall.zones_count = 0;
  weir_calendar_clock(&k.calendar, &wall, k.now);
  assert_null(zone_of(&k));
}

/* ---- against a list of all clocks ---- */

#define TOLD_MAX 20000

static void believes_no_clock_beyond_those_of_the_last_two_periods(void **state)
{
  static int64_t told[TOLD_MAX];
  static weir_tstamp told_at[TOLD_MAX];

  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct clocks k = clocks_at(1000 * DAY + 12 * HOUR);
    struct weir_rng rng;
    int count = 0;

    weir_rng_init(&rng, seed);
    told[count] = k.offset_us;
    told_at[count++] = k.now;
    for (int i = 0; i < 1500; i++) {
      int64_t offset, least_near = INT64_MAX, least_far = INT64_MAX;

      k.now += weir_rng_below(&rng, HOUR);
      if (weir_rng_below(&rng, 10) == 0)
        k.offset_us = (int64_t)(1000 * DAY + weir_rng_below(&rng, 20 * HOUR));
      tell(&k);
      told[count] = k.offset_us;
      told_at[count++] = k.now;
      for (int n = 0; n < count; n++) {
        if (k.now - told_at[n] < WEIR_CALENDAR_TRUST_US && told[n] < least_near)
          least_near = told[n];
        if (k.now - told_at[n] < 2 * WEIR_CALENDAR_TRUST_US + HOUR && told[n] < least_far)
          least_far = told[n];
      }
      offset = (int64_t)start_of(number_of(&k) + 1) - (int64_t)zone_of(&k)->ends_at;
      assert_true(offset <= least_near);
      assert_true(offset >= least_far);
    }
  }
}

/* ---- inside the machine ---- */

static void the_machine_wakes_at_the_turn_of_a_day_that_it_was_told(void **state)
{
  static struct fixture f;
  struct weir_coord_start start = {.epoch = 1, .seed = 1};
  struct weir_wall wall = wall_at(100 * DAY + 23 * HOUR);
  struct weir_coord_event event = {.type = WEIR_COORD_CLOCK, .wall = &wall};
  weir_tstamp turn;

  (void)state;
  f = fixture_of(10, 1000);
  f.config.pools = f.pools;
  f.config.names = f.names;
  fixture_start(&f, &small_bounds, &start);
  fixture_run(&f, f.now);
  assert_true(weir_coord_wake(f.coord) == WEIR_NEVER);
  event.now = f.now;
  fixture_step(&f, &event);
  turn = f.now + HOUR + SKEW;
  assert_int_equal(weir_coord_wake(f.coord), turn);
  fixture_run(&f, turn);
  assert_true(weir_coord_wake(f.coord) > turn);
  fixture_free(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(knows_nothing_before_the_first_clock),
      cmocka_unit_test(tells_the_bounds_of_the_day_on_the_monotonic_clock),
      cmocka_unit_test(a_day_that_began_before_the_monotonic_clock_begins_at_zero),
      cmocka_unit_test(turns_at_midnight_plus_the_skew_and_no_microsecond_before),
      cmocka_unit_test(a_first_clock_within_the_skew_of_midnight_waits_for_the_turn),
      cmocka_unit_test(turns_through_the_told_days_by_itself_until_they_run_out),
      cmocka_unit_test(days_of_23_and_25_hours_last_as_long_as_they_do),
      cmocka_unit_test(a_clock_set_forwards_turns_the_day_when_the_old_one_says),
      cmocka_unit_test(a_clock_set_forwards_is_doubted_from_its_own_midnight_on),
      cmocka_unit_test(a_clock_set_forwards_is_believed_after_a_whole_period),
      cmocka_unit_test(a_forward_step_that_is_undone_in_time_leaves_no_trace_in_the_turns),
      cmocka_unit_test(a_clock_set_back_within_the_day_moves_its_end_at_once),
      cmocka_unit_test(a_clock_set_back_past_midnight_takes_the_turn_back),
      cmocka_unit_test(a_forward_step_over_midnight_keeps_the_day_that_was_told_before),
      cmocka_unit_test(clocks_that_disagree_by_a_day_make_the_day_unknown_until_that_is_forgotten),
      cmocka_unit_test(periods_end_while_no_clock_is_told),
      cmocka_unit_test(a_clock_that_is_slewed_forwards_turns_late_by_the_drift_of_two_periods),
      cmocka_unit_test(a_clock_that_is_slewed_back_takes_no_turn_back),
      cmocka_unit_test(a_wall_clock_behind_the_monotonic_one_works_the_same),
      cmocka_unit_test(absurd_clocks_are_taken_in_and_make_the_day_unknown),
      cmocka_unit_test(a_date_that_is_left_out_skips_no_number),
      cmocka_unit_test(another_zone_of_the_same_index_replaces_what_was_told),
      cmocka_unit_test(the_machine_wakes_at_the_turn_of_a_day_that_it_was_told),
      cmocka_unit_test(believes_no_clock_beyond_those_of_the_last_two_periods),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
