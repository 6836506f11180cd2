/* calendar.h - when the days of time zones turn, on the monotonic clock.
 *
 * The wall clock may be set, forwards or back; the provider's day does not care. So it is believed
 * no further than the monotonic clock allows: the calendar keeps the least difference (wall -
 * monotonic) of the last WEIR_CALENDAR_TRUST_US, and a day turns when the instant by that
 * difference has passed midnight by WEIR_CALENDAR_SKEW_US. A clock that is set forwards therefore
 * turns no day early until it has kept its new time for a whole day; one that is set back past a
 * midnight takes the turn back: both days then count as one, until midnight comes again.
 *
 * Nothing is known before the first weir_calendar_clock: limits by the day are sliding windows
 * then.
 */
#ifndef WEIR_CALENDAR_H
#define WEIR_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/config.h>
#include <weir/time.h>

#define WEIR_CALENDAR_TRUST_US (25 * WEIR_US_PER_HOUR)
/* Our wall clock and the provider's differ by less than this. */
#define WEIR_CALENDAR_SKEW_US (2 * WEIR_US_PER_S)

struct weir_calendar_zone {
  bool is_known;
  uint64_t number;                /* of the day that it is */
  struct weir_zone_days days;     /* as last told */
  weir_tstamp begins_at, ends_at; /* of that day, by the believed clock; the turn is
                                     WEIR_CALENDAR_SKEW_US after ends_at */
};

struct weir_calendar {
  /* wall - monotonic, its least value in this and the former period of trust. */
  int64_t offset_us, offset_before_us;
  bool is_known, has_before;
  weir_tstamp period_at; /* when this period began */
  uint32_t zones_count;
  struct weir_calendar_zone zones[WEIR_ZONES_MAX];
};

/* weir_calendar_init makes a calendar that knows nothing. */
void weir_calendar_init(struct weir_calendar *c);

/* weir_calendar_clock takes in what the wall clock and the time zones say at |now|. */
void weir_calendar_clock(struct weir_calendar *c, const struct weir_wall *wall, weir_tstamp now);

/* weir_calendar_advance turns the days that have ended by |now|. A zone whose days were not told
 * far enough ahead becomes unknown. */
void weir_calendar_advance(struct weir_calendar *c, weir_tstamp now);

/* weir_calendar_zone returns zone |index|, or NULL while it is not known. */
const struct weir_calendar_zone *weir_calendar_zone(const struct weir_calendar *c, uint32_t index);

/* weir_calendar_wake returns the next turn of a day, or WEIR_NEVER. */
weir_tstamp weir_calendar_wake(const struct weir_calendar *c);

#endif
