/* day.h - the books of one limit by the calendar day of one time zone.
 *
 * A lease that may arrive around midnight, by any clock that the calendar takes for possible, is
 * charged to both days. When the calendar takes a turn back (calendar.h), what was charged in both
 * days counts until midnight comes again, and what was charged in the later one counts there once
 * more: a clock that is set never frees budget.
 *
 * Leases are known by their numbers, which grow: those from |number_today| on were taken today,
 * those from |number_before| on the day before.
 *
 * |zone| may be NULL while the calendar does not know it: no turn is taken then, and every lease
 * may be tomorrow's. The books hold no other limit then, so the caller keeps a sliding window.
 *
 * A later life of the coordinator may go on with what it stored of this struct, with |arrival_last|
 * set to 0: by the time that a clock can be believed a jump, nothing of a former life matters.
 */
#ifndef WEIR_DAY_H
#define WEIR_DAY_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/calendar.h>
#include <weir/time.h>

struct weir_day {
  uint64_t number;                       /* the calendar's day that the books are at */
  uint64_t used, used_next, used_before; /* today; tomorrow already; yesterday, to take back */
  uint64_t used_both;                    /* what both |used| and |used_before| hold */
  uint64_t number_today, number_before;  /* first leases of today and of yesterday */
  /* After a turn was taken back: the first lease of today (of yesterday) that is charged on the
   * later day, too, whatever was said when it was taken. Else UINT64_MAX. */
  uint64_t number_both, number_both_before;
  weir_tstamp arrival_last; /* latest of all charges */
};

/* weir_day_init makes empty books; |number| is that of the next lease. */
void weir_day_init(struct weir_day *d, uint64_t number);

/* weir_day_advance turns the books to the calendar's day; |number| is that of the next lease. */
void weir_day_advance(struct weir_day *d, const struct weir_calendar_zone *zone, uint64_t number);

/* weir_day_add charges |cost| of a lease taken now that may arrive until |arrival_max|, and returns
 * whether it is charged tomorrow, too. Precondition, here and below: weir_day_advance was called at
 * this instant. */
bool weir_day_add(struct weir_day *d, const struct weir_calendar_zone *zone,
                  weir_tstamp arrival_max, uint64_t cost);

/* weir_day_replace makes the charge |before| of lease |number| to |after|, now that it may arrive
 * until |arrival_max|. |is_both| is what weir_day_add returned; when the lease can no longer arrive
 * on the later day it becomes false, after a turn that was taken back it may become true. Days that
 * are over and cannot come back are left alone. */
void weir_day_replace(struct weir_day *d, const struct weir_calendar_zone *zone, uint64_t number,
                      bool *is_both, uint64_t before, weir_tstamp arrival_max, uint64_t after);

/* weir_day_earliest returns |from| when at most |room| is charged today (and tomorrow, for what
 * may arrive then: until |from| + |hold_us|), else the turn of the day; 23 hours after that when
 * tomorrow is full, too. Precondition: |zone| is known. */
weir_tstamp weir_day_earliest(const struct weir_day *d, const struct weir_calendar_zone *zone,
                              uint64_t room, weir_duration hold_us, weir_tstamp from);

/* weir_day_check asserts that no part is more than its whole. */
void weir_day_check(const struct weir_day *d);

#endif
