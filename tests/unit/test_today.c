#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/today.h>

#define HOUR WEIR_US_PER_HOUR
#define DAY  (24 * HOUR)

/* The wall clock is day 100 of UTC at noon where the monotonic one is at 20 hours; days of zone 0
 * begin at 8:00 UTC, as in California. */
enum { NOON = 20 };

static const struct weir_limit_config requests = {
    .dimension = WEIR_DIMENSION_REQUESTS, .is_day = true, .zone_id = 7};
static struct weir_calendar calendar;

static void tell(uint64_t wall_us, weir_tstamp now)
{
  struct weir_wall wall = {.now_us = wall_us, .zones_count = 1};

  wall.zones[0].number = wall_us / DAY;
  for (uint64_t i = 0; i < WEIR_ZONE_STARTS; i++)
    wall.zones[0].starts_us[i] = (wall_us / DAY + i) * DAY + 8 * HOUR;
  weir_calendar_clock(&calendar, &wall, now);
}

static int set_up(void **state)
{
  (void)state;
  weir_calendar_init(&calendar);
  tell(100 * DAY + 12 * HOUR, NOON * HOUR);
  return 0;
}

/* Counts |spend| at |now|, and returns when the day ends. */
static weir_tstamp spend(struct weir_today *t, const struct weir_limit_config *limit,
                         uint64_t spend_micro, weir_tstamp now)
{
  weir_tstamp ends_at = 0;

  weir_calendar_advance(&calendar, now);
  assert_true(weir_today_turn(t, limit, &calendar, now, &ends_at));
  weir_today_add(t, spend_micro);
  return ends_at;
}

static void knows_no_day_before_the_first_clock(void **state)
{
  struct weir_today t;
  weir_tstamp ends_at;

  (void)state;
  weir_calendar_init(&calendar);
  weir_today_begin(&t, HOUR);
  assert_false(weir_today_turn(&t, NULL, &calendar, 2 * HOUR, &ends_at));
  assert_false(weir_today_turn(&t, &requests, &calendar, 2 * HOUR, &ends_at));
}

static void is_the_day_of_utc_where_no_limit_has_one(void **state)
{
  struct weir_today t;

  (void)state;
  weir_today_begin(&t, NOON * HOUR);
  assert_int_equal(spend(&t, NULL, 3, (NOON + 1) * HOUR), (NOON + 12) * HOUR);
  assert_int_equal(spend(&t, NULL, 4, (NOON + 12) * HOUR - 1), (NOON + 12) * HOUR);
  assert_int_equal(t.spend, 7);
  assert_int_equal(t.since, NOON * HOUR); /* not the whole day was counted */
  assert_int_equal(spend(&t, NULL, 5, (NOON + 15) * HOUR), (NOON + 36) * HOUR);
  assert_int_equal(t.spend, 5);
  assert_int_equal(t.since, (NOON + 12) * HOUR);
}

static void counts_the_whole_day_where_it_was_there_before(void **state)
{
  struct weir_today t;

  (void)state;
  weir_today_begin(&t, HOUR);
  spend(&t, NULL, 3, (NOON + 1) * HOUR);
  assert_int_equal(t.since, (NOON - 12) * HOUR);
}

static void is_the_day_of_the_limit_in_its_time_zone(void **state)
{
  struct weir_today t;

  (void)state;
  weir_today_begin(&t, NOON * HOUR);
  assert_int_equal(spend(&t, &requests, 3, (NOON + 19) * HOUR), (NOON + 20) * HOUR);
  assert_int_equal(t.spend, 3);
  spend(&t, &requests, 4, (NOON + 21) * HOUR);
  assert_int_equal(t.spend, 4);
  assert_int_equal(t.since, (NOON + 20) * HOUR);
}

static void begins_anew_where_a_reload_gives_it_another_day(void **state)
{
  struct weir_limit_config other = requests;
  struct weir_today t;

  (void)state;
  other.zone_id = 8;
  weir_today_begin(&t, NOON * HOUR);
  spend(&t, &requests, 3, (NOON + 1) * HOUR);
  spend(&t, &other, 4, (NOON + 2) * HOUR);
  assert_int_equal(t.spend, 4);
  assert_int_equal(t.since, (NOON + 2) * HOUR);
  spend(&t, NULL, 5, (NOON + 3) * HOUR);
  assert_int_equal(t.spend, 5);
  assert_int_equal(t.since, (NOON + 3) * HOUR);
}

/* A clock that was believed, and then was not, makes one day of two. */
static void a_day_that_is_taken_back_goes_on(void **state)
{
  struct weir_today t;

  (void)state;
  weir_today_begin(&t, NOON * HOUR);
  spend(&t, NULL, 3, (NOON + 13) * HOUR);
  tell(100 * DAY + 22 * HOUR, (NOON + 14) * HOUR);
  spend(&t, NULL, 4, (NOON + 14) * HOUR);
  assert_int_equal(t.spend, 7);
  spend(&t, NULL, 5, (NOON + 17) * HOUR);
  assert_int_equal(t.spend, 5);
}

static void the_limit_of_spending_goes_before_others_by_the_day(void **state)
{
  const struct weir_limit_config limits[] = {{.dimension = WEIR_DIMENSION_SPEND},
                                             requests,
                                             {.dimension = WEIR_DIMENSION_SPEND, .is_day = true}};

  (void)state;
  assert_null(weir_today_limit(limits, 1));
  assert_ptr_equal(weir_today_limit(limits, 2), &limits[1]);
  assert_ptr_equal(weir_today_limit(limits, 3), &limits[2]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(knows_no_day_before_the_first_clock, set_up),
      cmocka_unit_test_setup(is_the_day_of_utc_where_no_limit_has_one, set_up),
      cmocka_unit_test_setup(counts_the_whole_day_where_it_was_there_before, set_up),
      cmocka_unit_test_setup(is_the_day_of_the_limit_in_its_time_zone, set_up),
      cmocka_unit_test_setup(begins_anew_where_a_reload_gives_it_another_day, set_up),
      cmocka_unit_test_setup(a_day_that_is_taken_back_goes_on, set_up),
      cmocka_unit_test_setup(the_limit_of_spending_goes_before_others_by_the_day, set_up),
  };
  return cmocka_run_group_tests_name("today", tests, NULL, NULL);
}
