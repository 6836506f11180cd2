#include <weir/civil.h>

#define DAYS_TO_1970 719468            /* from 0000-03-01 */
#define DAYS_OF_ERA  146097            /* 400 years */
#define DAY_MAX      UINT64_C(2932896) /* 9999-12-31 */

/* Years run from March, so that the leap day is the last of its year. */
uint64_t weir_civil_days(uint64_t year, uint64_t month, uint64_t day)
{
  uint64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;

  return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - DAYS_TO_1970;
}

static void put(char *at, uint64_t value, int digits)
{
  for (at += digits; digits > 0; digits--, value /= 10)
    *--at = (char)('0' + value % 10);
}

void weir_civil_show(uint64_t days, char ret_text[WEIR_CIVIL_DATE_SIZE])
{
  const uint64_t since = (days < DAY_MAX ? days : DAY_MAX) + DAYS_TO_1970;
  const uint64_t of_era = since % DAYS_OF_ERA;
  const uint64_t year_of_era =
      (of_era - of_era / 1460 + of_era / 36524 - of_era / (DAYS_OF_ERA - 1)) / 365;
  const uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const uint64_t m = (5 * of_year + 2) / 153; /* from March */

  put(ret_text, since / DAYS_OF_ERA * 400 + year_of_era + (m >= 10), 4);
  put(ret_text + 5, m < 10 ? m + 3 : m - 9, 2);
  put(ret_text + 8, of_year - (153 * m + 2) / 5 + 1, 2);
  ret_text[4] = ret_text[7] = '-';
  ret_text[10] = '\0';
}

static bool number_take(const char *text, size_t digits, uint64_t *ret_value)
{
  uint64_t value = 0;

  for (size_t i = 0; i < digits; i++) {
    if (text[i] < '0' || text[i] > '9')
      return false;
    value = value * 10 + (uint64_t)(text[i] - '0');
  }
  *ret_value = value;
  return true;
}

bool weir_civil_parse(const char *text, size_t size, uint64_t *ret_days)
{
  char shown[WEIR_CIVIL_DATE_SIZE];
  uint64_t year, month, day, days;

  if (size != WEIR_CIVIL_DATE_SIZE - 1 || text[4] != '-' || text[7] != '-' ||
      !number_take(text, 4, &year) || !number_take(text + 5, 2, &month) ||
      !number_take(text + 8, 2, &day) || year < 1970 || month < 1 || month > 12 || day < 1)
    return false;
  days = weir_civil_days(year, month, day);
  weir_civil_show(days, shown); /* the 31st of April is the 1st of May */
  for (size_t i = 0; i < size; i++) {
    if (shown[i] != text[i])
      return false;
  }
  *ret_days = days;
  return true;
}
