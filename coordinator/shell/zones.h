/* zones.h - when the days of time zones begin, from the time zone database of the system.
 *
 * A day begins at the first instant whose local date is that day: where midnight does not exist on
 * the day that summer time begins (Havana, Beirut, Cairo) that is one o'clock, and where midnight
 * comes twice it is the first. A date that a country left out (Apia, 30 December 2011) is no day.
 *
 * The C library knows one time zone at a time, by the variable TZ: both functions set it and put it
 * back. Not thread-safe: no other thread may read the environment or the local time meanwhile.
 * Blocking: they read small files.
 */
#ifndef WEIR_ZONES_H
#define WEIR_ZONES_H

#include <stdint.h>

#include <weir/config.h>
#include <weir/err.h>

#define WEIR_ZONES_NAME_SIZE  48 /* with its NUL */
#define WEIR_ZONES_ERROR_SIZE 256

/* weir_zones_check returns WEIR_OK when |name| is a time zone of the database such as
 * "America/Los_Angeles"; "UTC" needs no database. WEIR_ECONFIG: it is not, and |ret_error|
 * (WEIR_ZONES_ERROR_SIZE bytes) says what is wrong and how to mend it. */
WEIR_MUSTUSE enum weir_err weir_zones_check(const char *name, char *ret_error);

/* weir_zones_fill tells |ret_wall| that it is |wall_us| (microseconds since 1970), and for each of
 * |count| (0 .. WEIR_ZONES_MAX) zones which day it is there, in days from 1970-01-01 to its date,
 * and when that day and those that follow begin. Before 1970-01-04 and after the year 9999 it tells
 * the days of that limit. WEIR_ECONFIG: as weir_zones_check, for the first zone that is unknown;
 * |ret_wall| is untouched. */
WEIR_MUSTUSE enum weir_err weir_zones_fill(const char (*names)[WEIR_ZONES_NAME_SIZE],
                                           uint32_t count, uint64_t wall_us,
                                           struct weir_wall *ret_wall, char *ret_error);

#endif
