/* calendar.h - when the days of time zones turn, on the monotonic clock.
 *
 * The wall clock may be set, forwards or back; the provider's day does not care. So it is believed
 * no further than the monotonic clock allows: the calendar keeps the least difference (wall -
 * monotonic) of the last WEIR_CALENDAR_TRUST_US, and a day turns when the instant by that
 * difference has passed midnight by WEIR_CALENDAR_SKEW_US. A clock that is set forwards therefore
 * turns no day early until it has kept its new time for a whole period; one that is set back past
 * a midnight takes the turn back: both days then count as one, until midnight comes again.
 *
 * To turn late is not safe by itself: what is sent between the provider's midnight and ours counts
 * for the provider's new day. So the greatest difference of the same time is kept, too, and says
 * from when on a lease may be tomorrow's. While clocks disagree by more than
 * WEIR_CALENDAR_SPREAD_MAX_US no two days cover that doubt, and no zone is known.
 *
 * Nothing is known before the first weir_calendar_clock: limits by the day are sliding windows
 * then.
 *
 * What it rests on: the provider's clock differs by less than WEIR_CALENDAR_SKEW_US from one that
 * was seen in this period of trust or the one before. Owner: the caller owns the struct. Cost: a
 * comparison when nothing turns.
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
/* The shortest day (23 hours) less the longest hold and the skew, with room. */
#define WEIR_CALENDAR_SPREAD_MAX_US (22 * WEIR_US_PER_HOUR)

struct weir_calendar_zone {
  bool is_known;
  uint64_t number;                            /* of the day that it is; grows by one at each turn */
  struct weir_zone_days days;                 /* as last told, as far as it was of use */
  weir_tstamp begins_at, ends_at;             /* of that day, by the believed clock; the turn is
                                                 WEIR_CALENDAR_SKEW_US after ends_at */
  weir_tstamp begins_early_at, ends_early_at; /* by the clock that is furthest ahead */
};

struct weir_calendar {
  /* wall - monotonic, its least value in this and the former period of trust. */
  int64_t offset_us, offset_before_us;
  int64_t ahead_us, ahead_before_us; /* its greatest */
  int64_t offset_last_us;            /* as last told */
  bool is_known, has_before;
  weir_tstamp period_at; /* when this period began */
  weir_tstamp wake_at;   /* nothing changes by itself before */
  uint32_t zones_count;
  struct weir_calendar_zone zones[WEIR_ZONES_MAX];
};

/* weir_calendar_init makes a calendar that knows nothing. */
void weir_calendar_init(struct weir_calendar *c);

/* weir_calendar_clock takes in what the wall clock and the time zones say at |now|. A zone of an
 * index that shares no start of a day with what was told before is another zone. Any value of the
 * wall clock is allowed; a zone whose days do not hold the believed time is unknown. */
void weir_calendar_clock(struct weir_calendar *c, const struct weir_wall *wall, weir_tstamp now);

/* weir_calendar_advance turns the days that have ended by |now|, and the periods of trust: the
 * clock that was last told counts as kept while nothing else is told. A zone whose days were not
 * told far enough ahead becomes unknown. */
void weir_calendar_advance(struct weir_calendar *c, weir_tstamp now);

/* weir_calendar_zone returns zone |index|, or NULL while it is not known. Valid until the next
 * call that changes |c|. */
const struct weir_calendar_zone *weir_calendar_zone(const struct weir_calendar *c, uint32_t index);

/* A day, and when it begins and ends by the believed clock; 0: before this clock began. */
struct weir_calendar_day {
  uint64_t number;
  weir_tstamp begins_at, ends_at;
};

/* weir_calendar_utc gives the day of UTC that it is at |now|, by the believed clock, in |ret_day|;
 * false before weir_calendar_clock. For figures, not for limits: no doubt is allowed for. */
bool weir_calendar_utc(const struct weir_calendar *c, weir_tstamp now,
                       struct weir_calendar_day *ret_day);

/* weir_calendar_wake returns the next instant at which weir_calendar_advance may change something:
 * the turn of a day, or the end of a period of trust; WEIR_NEVER when there is none. */
weir_tstamp weir_calendar_wake(const struct weir_calendar *c);

#endif
