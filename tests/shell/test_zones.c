/* When days begin, by the time zone database of this system. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "zones.h"

#define HOUR   INT64_C(3600)
#define DAY    (24 * HOUR)
#define SECOND WEIR_US_PER_S

static char error[WEIR_ZONES_ERROR_SIZE];

static void set_zone(const char *text)
{
  assert_int_equal(text == NULL ? unsetenv("TZ") : setenv("TZ", text, 1), 0);
  tzset();
}

/* The instant in seconds of a time in UTC. */
static int64_t utc(int year, int month, int day, int hour, int minute)
{
  struct tm date = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute};
  set_zone("UTC0");
  int64_t at = mktime(&date);
  set_zone(NULL);
  return at;
}

static int64_t number_of_date(int year, int month, int day)
{
  return utc(year, month, day, 0, 0) / DAY;
}

/* "2026-03-08" at |at| in the zone that is set. */
static const char *date_text(int64_t at, char *text)
{
  struct tm date;
  time_t time = (time_t)at;
  localtime_r(&time, &date);
  strftime(text, 32, "%Y-%m-%d", &date);
  return text;
}

static struct weir_zone_days days_of(const char *name, int64_t at)
{
  char names[1][WEIR_ZONES_NAME_SIZE] = {""};
  struct weir_wall wall;
  snprintf(names[0], sizeof names[0], "%s", name);
  assert_int_equal(weir_zones_fill((const char(*)[WEIR_ZONES_NAME_SIZE])names, 1,
                                   (uint64_t)at * SECOND, &wall, error),
                   WEIR_OK);
  assert_int_equal(wall.now_us, (uint64_t)at * SECOND);
  assert_int_equal(wall.zones_count, 1);
  return wall.zones[0];
}

static int64_t start_of(const struct weir_zone_days *days, int i)
{
  assert_int_equal(days->starts_us[i] % SECOND, 0);
  return (int64_t)(days->starts_us[i] / SECOND);
}

/* ---- known days ---- */

static void days_of_los_angeles_have_23_and_25_hours_when_summer_time_begins_and_ends(void **state)
{
  (void)state;
  struct weir_zone_days days = days_of("America/Los_Angeles", utc(2026, 3, 7, 12, 0));
  assert_int_equal(days.number, number_of_date(2026, 3, 7));
  assert_int_equal(start_of(&days, 0), utc(2026, 3, 7, 8, 0));
  assert_int_equal(start_of(&days, 1), utc(2026, 3, 8, 8, 0));
  assert_int_equal(start_of(&days, 2), utc(2026, 3, 9, 7, 0));
  days = days_of("America/Los_Angeles", utc(2026, 11, 1, 7, 0));
  assert_int_equal(days.number, number_of_date(2026, 11, 1));
  assert_int_equal(start_of(&days, 0), utc(2026, 11, 1, 7, 0));
  assert_int_equal(start_of(&days, 1), utc(2026, 11, 2, 8, 0));
}

static void the_second_before_midnight_is_the_day_before(void **state)
{
  (void)state;
  struct weir_zone_days days = days_of("America/Los_Angeles", utc(2026, 7, 4, 7, 0) - 1);
  assert_int_equal(days.number, number_of_date(2026, 7, 3));
  assert_int_equal(start_of(&days, 1), utc(2026, 7, 4, 7, 0));
}

static void kolkata_is_ahead_by_five_hours_and_a_half(void **state)
{
  (void)state;
  struct weir_zone_days days = days_of("Asia/Kolkata", utc(2026, 5, 1, 20, 0));
  assert_int_equal(days.number, number_of_date(2026, 5, 2));
  assert_int_equal(start_of(&days, 0), utc(2026, 5, 1, 18, 30));
}

static void lord_howe_changes_by_half_an_hour(void **state)
{
  (void)state;
  struct weir_zone_days days = days_of("Australia/Lord_Howe", utc(2026, 4, 4, 14, 0));
  assert_int_equal(days.number, number_of_date(2026, 4, 5));
  assert_int_equal(start_of(&days, 1) - start_of(&days, 0), 24 * HOUR + HOUR / 2);
  days = days_of("Australia/Lord_Howe", utc(2026, 10, 3, 14, 0));
  assert_int_equal(start_of(&days, 1) - start_of(&days, 0), 23 * HOUR + HOUR / 2);
}

static void a_day_without_midnight_begins_at_one(void **state)
{
  (void)state;
  struct weir_zone_days days = days_of("America/Havana", utc(2026, 3, 8, 12, 0));
  assert_int_equal(days.number, number_of_date(2026, 3, 8));
  assert_int_equal(start_of(&days, 0), utc(2026, 3, 8, 5, 0)); /* 01:00, four hours behind */
  days = days_of("America/Sao_Paulo", utc(2018, 11, 4, 12, 0));
  assert_int_equal(start_of(&days, 0), utc(2018, 11, 4, 3, 0)); /* 01:00, two hours behind */
}

static void a_midnight_that_comes_twice_begins_the_day_the_first_time(void **state)
{
  (void)state;
  /* Havana goes from one o'clock back to midnight. */
  struct weir_zone_days days = days_of("America/Havana", utc(2026, 11, 1, 12, 0));
  assert_int_equal(start_of(&days, 0), utc(2026, 11, 1, 4, 0));
  assert_int_equal(start_of(&days, 1), utc(2026, 11, 2, 5, 0));
  /* St John's went from 00:01 back to 23:01, for which it was 2:31 UTC. */
  int64_t first = utc(2010, 11, 7, 2, 30);
  for (int64_t at = first - 5 * 60; at < first + 20 * HOUR; at += 60) {
    days = days_of("America/St_Johns", at);
    assert_int_equal(days.number, number_of_date(2010, 11, at < first ? 6 : 7));
    assert_int_equal(start_of(&days, at < first ? 1 : 0), first);
  }
}

static void a_date_that_was_left_out_is_no_day(void **state)
{
  (void)state;
  struct weir_zone_days days = days_of("Pacific/Apia", utc(2011, 12, 29, 20, 0));
  char text[32];
  assert_int_equal(days.number, number_of_date(2011, 12, 29));
  assert_int_equal(start_of(&days, 0), utc(2011, 12, 29, 10, 0));
  assert_int_equal(start_of(&days, 1), utc(2011, 12, 30, 10, 0));
  set_zone("Pacific/Apia");
  assert_string_equal(date_text(start_of(&days, 1) - 1, text), "2011-12-29");
  assert_string_equal(date_text(start_of(&days, 1), text), "2011-12-31");
  set_zone(NULL);
  days = days_of("Pacific/Apia", utc(2011, 12, 30, 10, 0));
  assert_int_equal(start_of(&days, 0), utc(2011, 12, 30, 10, 0));
}

static void days_of_utc_are_whole(void **state)
{
  (void)state;
  struct weir_zone_days days = days_of("UTC", utc(2026, 2, 28, 23, 59));
  assert_int_equal(days.number, number_of_date(2026, 2, 28));
  for (int i = 0; i < WEIR_ZONE_STARTS; i++)
    assert_int_equal(start_of(&days, i), utc(2026, 2, 28, 0, 0) + i * DAY);
}

/* ---- every day of a year and more, against the C library ---- */

static void compare_start(const char *name, int64_t start, int64_t number)
{
  char before[32], text[32], wanted[32];
  set_zone("UTC0");
  date_text(number * DAY, wanted);
  set_zone(name);
  assert_string_equal(date_text(start, text), wanted);
  /* Nothing of a day and a half before has that date. */
  for (int64_t at = start - 1; at > start - 36 * HOUR; at -= 300)
    assert_true(strcmp(date_text(at, before), wanted) < 0);
  set_zone(NULL);
}

static void every_start_is_the_first_instant_of_its_date(void **state)
{
  static const char *const names[] = {"America/Los_Angeles", "Asia/Kolkata",   "America/Havana",
                                      "Australia/Lord_Howe", "Asia/Beirut",    "Africa/Cairo",
                                      "Pacific/Kiritimati",  "Pacific/Niue",   "UTC",
                                      "Europe/London",       "Asia/Kathmandu", "Pacific/Chatham"};
  (void)state;
  for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
    int64_t at = utc(2025, 12, 1, 17, 17), number = 0;
    for (int i = 0; i < 400; i++, at += DAY) {
      struct weir_zone_days days = days_of(names[n], at);
      assert_true(start_of(&days, 0) <= at && start_of(&days, 1) > at);
      if (number != 0 && (int64_t)days.number != number)
        assert_int_equal(days.number, number + 1);
      number = (int64_t)days.number;
      compare_start(names[n], start_of(&days, 0), number);
      compare_start(names[n], start_of(&days, WEIR_ZONE_STARTS - 1), number + WEIR_ZONE_STARTS - 1);
    }
  }
}

/* ---- names, limits, the environment ---- */

static void names_the_zone_that_is_unknown(void **state)
{
  static const char *const names[] = {
      "Mars/Base_1", "", "../../etc/passwd", "/etc/localtime", "zone.tab", "America", "-x"};
  (void)state;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "'%s'", names[i]);
    assert_int_equal(weir_zones_check(names[i], error), WEIR_ECONFIG);
    assert_non_null(strstr(error, quoted));
  }
  static const char two[2][WEIR_ZONES_NAME_SIZE] = {"UTC", "Mars/Base_1"};
  struct weir_wall wall = {.now_us = 7};
  assert_int_equal(weir_zones_fill(two, 2, 1, &wall, error), WEIR_ECONFIG);
  assert_non_null(strstr(error, "'Mars/Base_1'"));
  assert_int_equal(wall.now_us, 7);
}

static void clocks_beyond_the_calendar_get_the_days_of_its_ends(void **state)
{
  static const char names[1][WEIR_ZONES_NAME_SIZE] = {"America/Los_Angeles"};
  static const uint64_t odd[] = {0, 1, UINT64_C(1) << 60, UINT64_MAX};
  struct weir_wall wall;
  (void)state;
  for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
    assert_int_equal(weir_zones_fill(names, 1, odd[i], &wall, error), WEIR_OK);
    assert_int_equal(wall.now_us, odd[i]);
    for (int k = 1; k < WEIR_ZONE_STARTS; k++)
      assert_int_equal(wall.zones[0].starts_us[k] - wall.zones[0].starts_us[k - 1],
                       (uint64_t)DAY * SECOND);
  }
}

static void the_environment_is_as_it_was(void **state)
{
  static const char names[2][WEIR_ZONES_NAME_SIZE] = {"Asia/Kolkata", "UTC"};
  struct weir_wall wall;
  struct tm date;
  time_t at = 1767225600; /* 2026-01-01 00:00 UTC */
  (void)state;
  set_zone("Asia/Tokyo");
  assert_int_equal(weir_zones_fill(names, 2, (uint64_t)at * SECOND, &wall, error), WEIR_OK);
  assert_string_equal(getenv("TZ"), "Asia/Tokyo");
  localtime_r(&at, &date);
  assert_int_equal(date.tm_hour, 9);
  set_zone(NULL);
  assert_int_equal(weir_zones_fill(names, 2, (uint64_t)at * SECOND, &wall, error), WEIR_OK);
  assert_null(getenv("TZ"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(days_of_los_angeles_have_23_and_25_hours_when_summer_time_begins_and_ends),
      cmocka_unit_test(the_second_before_midnight_is_the_day_before),
      cmocka_unit_test(kolkata_is_ahead_by_five_hours_and_a_half),
      cmocka_unit_test(lord_howe_changes_by_half_an_hour),
      cmocka_unit_test(a_day_without_midnight_begins_at_one),
      cmocka_unit_test(a_midnight_that_comes_twice_begins_the_day_the_first_time),
      cmocka_unit_test(a_date_that_was_left_out_is_no_day),
      cmocka_unit_test(days_of_utc_are_whole),
      cmocka_unit_test(every_start_is_the_first_instant_of_its_date),
      cmocka_unit_test(names_the_zone_that_is_unknown),
      cmocka_unit_test(clocks_beyond_the_calendar_get_the_days_of_its_ends),
      cmocka_unit_test(the_environment_is_as_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
