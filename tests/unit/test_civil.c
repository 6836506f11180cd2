/* Days of the calendar as numbers and as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <weir/civil.h>

static void days_are_counted_from_1970(void **state)
{
  (void)state;
  assert_int_equal(weir_civil_days(1970, 1, 1), 0);
  assert_int_equal(weir_civil_days(2000, 2, 29), 11016);
  assert_int_equal(weir_civil_days(2026, 11, 25), 20782);
}

static void every_day_up_to_the_year_2500_reads_as_it_is_shown(void **state)
{
  const uint64_t end = weir_civil_days(2500, 1, 1);
  char text[WEIR_CIVIL_DATE_SIZE], last[WEIR_CIVIL_DATE_SIZE] = "";
  uint64_t day;

  (void)state;
  for (uint64_t i = 0; i < end; i++) {
    weir_civil_show(i, text);
    assert_true(strcmp(last, text) < 0);
    assert_true(weir_civil_parse(text, strlen(text), &day));
    assert_int_equal(day, i);
    strcpy(last, text);
  }
  assert_string_equal(last, "2499-12-31");
}

static void leap_days_are_those_of_the_gregorian_calendar(void **state)
{
  uint64_t day;

  (void)state;
  assert_true(weir_civil_parse("2024-02-29", 10, &day));
  assert_true(weir_civil_parse("2000-02-29", 10, &day));
  assert_false(weir_civil_parse("2026-02-29", 10, &day));
  assert_false(weir_civil_parse("2100-02-29", 10, &day));
}

static void what_is_no_day_is_refused(void **state)
{
  static const char *const texts[] = {"",           "2026-1-01",  "2026-13-01", "2026-00-01",
                                      "2026-04-31", "2026-04-00", "1969-12-31", "2026/04/01",
                                      "2026-04-1x", "02026-04-1", "20260401"};
  uint64_t day = 7;

  (void)state;
  for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
    assert_false(weir_civil_parse(texts[i], strlen(texts[i]), &day));
  assert_int_equal(day, 7);
}

static void what_lies_beyond_the_year_9999_is_its_last_day(void **state)
{
  char text[WEIR_CIVIL_DATE_SIZE];

  (void)state;
  weir_civil_show(weir_civil_days(9999, 12, 31), text);
  assert_string_equal(text, "9999-12-31");
  weir_civil_show(UINT64_MAX, text);
  assert_string_equal(text, "9999-12-31");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(days_are_counted_from_1970),
      cmocka_unit_test(every_day_up_to_the_year_2500_reads_as_it_is_shown),
      cmocka_unit_test(leap_days_are_those_of_the_gregorian_calendar),
      cmocka_unit_test(what_is_no_day_is_refused),
      cmocka_unit_test(what_lies_beyond_the_year_9999_is_its_last_day),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
