/* civil.h - days of the Gregorian calendar in UTC, as numbers and as "2026-08-07". */
#ifndef WEIR_CIVIL_H
#define WEIR_CIVIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_CIVIL_YEAR_MAX  9999
#define WEIR_CIVIL_DATE_SIZE 11 /* "2026-08-07" and NUL */

/* weir_civil_days returns the days from 1970-01-01 to a day; |year| is 1970 or later, |month| 1 to
 * 12, and a |day| beyond the end of its month counts on into the next. */
uint64_t weir_civil_days(uint64_t year, uint64_t month, uint64_t day);

/* weir_civil_parse reads |size| bytes of the form "2026-08-07". False, writing nothing, for other
 * forms, years before 1970 and days that are not in the calendar. */
bool weir_civil_parse(const char *text, size_t size, uint64_t *ret_days);

/* weir_civil_show writes the day that is |days| after 1970-01-01 as "2026-08-07"; one beyond the
 * year 9999 as its last day. */
void weir_civil_show(uint64_t days, char ret_text[WEIR_CIVIL_DATE_SIZE]);

#endif
