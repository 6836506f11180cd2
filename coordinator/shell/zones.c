#include "zones.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FOLDER     "/usr/share/zoneinfo"
#define HOUR_S     INT64_C(3600)
#define DAY_S      (24 * HOUR_S)
#define WALL_MIN_S (3 * DAY_S)           /* so that all starts are after 1970-01-01 */
#define WALL_MAX_S INT64_C(253402300800) /* the year 10000 */

/* ---- names ---- */

static bool is_name(const char *name)
{
  static const char allowed[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+-";
  size_t size = strlen(name);
  return size > 0 && size < WEIR_ZONES_NAME_SIZE && name[0] != '/' && name[0] != '-' &&
         strspn(name, allowed) == size;
}

/* The C library takes a name that it does not know for UTC, so the file is looked at first. */
static bool is_in_database(const char *name)
{
  const char *folder = getenv("TZDIR");
  char path[1024];
  char magic[4] = "";
  int size = snprintf(path, sizeof path, "%s/%s", folder == NULL ? FOLDER : folder, name);
  if (size < 0 || (size_t)size >= sizeof path)
    return false;
  FILE *file = fopen(path, "rb");
  if (file == NULL)
    return false;
  bool is_zone = fread(magic, 1, sizeof magic, file) == sizeof magic &&
                 memcmp(magic, "TZif", sizeof magic) == 0;
  (void)fclose(file);
  return is_zone;
}

enum weir_err weir_zones_check(const char *name, char *ret_error)
{
  if (strcmp(name, "UTC") == 0 || (is_name(name) && is_in_database(name)))
    return WEIR_OK;
  snprintf(ret_error, WEIR_ZONES_ERROR_SIZE,
           "the time zone '%.64s' is not known; use a name of the time zone database, such as "
           "America/Los_Angeles or UTC, and see that it is installed (Debian: tzdata)",
           name);
  return WEIR_ECONFIG;
}

/* ---- dates of the zone that is set ---- */

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t days_of(const struct tm *date)
{
  int64_t month = (date->tm_mon + 10) % 12; /* from March on: the leap day is the last */
  int64_t year = (int64_t)date->tm_year + 1900 - (date->tm_mon < 2 ? 1 : 0);
  return 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + date->tm_mday -
         1 - 719468;
}

static struct tm local(int64_t at_s)
{
  time_t at = (time_t)at_s;
  struct tm date;
  struct tm *is_done = localtime_r(&at, &date);
  assert(is_done != NULL); /* years are limited, so it fits */
  (void)is_done;
  return date;
}

static int64_t date_at(int64_t at_s)
{
  struct tm date = local(at_s);
  return days_of(&date);
}

/* Seconds that local time is ahead of UTC. */
static int64_t ahead_at(int64_t at_s)
{
  struct tm date = local(at_s);
  return days_of(&date) * DAY_S + date.tm_hour * HOUR_S + date.tm_min * INT64_C(60) + date.tm_sec -
         at_s;
}

/* The first instant of |low| < t <= |high| whose date is after |date|, when there is but one change
 * in between. */
static int64_t bisect(int64_t date, int64_t low, int64_t high)
{
  while (high - low > 1) {
    int64_t middle = low + (high - low) / 2;
    if (date_at(middle) > date)
      high = middle;
    else
      low = middle;
  }
  return high;
}

/* The first instant whose date is after |date|; at |low| it is not, at |high| it is. */
static int64_t first_after(int64_t date, int64_t low, int64_t high)
{
  int64_t found = bisect(date, low, high);
  /* Clocks that were put back just after midnight (St John's: 00:01) had begun the day before. */
  int64_t near = found - 3 * HOUR_S > low ? found - 3 * HOUR_S : low;
  if (ahead_at(near) == ahead_at(found))
    return found;
  for (int64_t at = near; at < found; at += 30) {
    if (date_at(at) > date)
      return bisect(date, at - 30 > low ? at - 30 : low, at);
  }
  return found;
}

/* The begin of the day after the one that begins at |begin_s|. */
static int64_t next_begin(int64_t begin_s)
{
  int64_t date = date_at(begin_s), high = begin_s + 6 * HOUR_S;
  while (date_at(high) <= date)
    high += 6 * HOUR_S;
  return first_after(date, begin_s, high);
}

/* The begin of the day that has the date of |at_s|. */
static int64_t this_begin(int64_t at_s)
{
  int64_t date = date_at(at_s), low = at_s - 6 * HOUR_S;
  while (date_at(low) >= date)
    low -= 6 * HOUR_S;
  /* It may lie between two midnights; first_after looks at the hours before. */
  return first_after(date - 1, low - 6 * HOUR_S, at_s);
}

static void fill_days(int64_t at_s, struct weir_zone_days *ret_days)
{
  int64_t begin = this_begin(at_s), next = next_begin(begin);
  /* In the hour that comes again after a midnight: the next day has begun already. */
  if (next <= at_s)
    begin = next;
  ret_days->number = (uint64_t)date_at(begin);
  for (int i = 0; i < WEIR_ZONE_STARTS; i++) {
    ret_days->starts_us[i] = (uint64_t)begin * WEIR_US_PER_S;
    begin = next_begin(begin);
  }
}

/* ---- the variable TZ ---- */

/* Only a lack of memory makes setenv fail; so little of it is never lacking for long. */
static void set_zone(const char *text)
{
  int status = text == NULL ? unsetenv("TZ") : setenv("TZ", text, 1);
  assert(status == 0);
  (void)status;
  tzset();
}

enum weir_err weir_zones_fill(const char (*names)[WEIR_ZONES_NAME_SIZE], uint32_t count,
                              uint64_t wall_us, struct weir_wall *ret_wall, char *ret_error)
{
  struct weir_wall wall = {.now_us = wall_us, .zones_count = count};
  assert(count <= WEIR_ZONES_MAX);
  for (uint32_t i = 0; i < count; i++) {
    if (weir_zones_check(names[i], ret_error) != WEIR_OK)
      return WEIR_ECONFIG;
  }
  int64_t at_s = WALL_MAX_S;
  if (wall_us / WEIR_US_PER_S < (uint64_t)WALL_MAX_S)
    at_s = (int64_t)(wall_us / WEIR_US_PER_S);
  if (at_s < WALL_MIN_S)
    at_s = WALL_MIN_S;
  if (count > 0) {
    const char *former = getenv("TZ");
    char *kept = former == NULL ? NULL : strdup(former);
    for (uint32_t i = 0; i < count; i++) {
      set_zone(strcmp(names[i], "UTC") == 0 ? "UTC0" : names[i]);
      fill_days(at_s, &wall.zones[i]);
    }
    set_zone(kept);
    free(kept);
  }
  *ret_wall = wall;
  return WEIR_OK;
}
