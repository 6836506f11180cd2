/* today.h - what calls cost today: of those that ended with their usage known since the day began.
 *
 * The day is that of the limit by the calendar day that the owner has (of spending, if it has
 * several), or UTC's. It is a figure for people, in no limit's books: a life of the coordinator
 * begins it at 0.
 *
 * Pure. Owner: the pool or budget that it belongs to.
 */
#ifndef WEIR_TODAY_H
#define WEIR_TODAY_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/calendar.h>
#include <weir/config.h>
#include <weir/time.h>

struct weir_today {
  uint64_t spend;    /* millionths of the currency */
  bool has_cost;     /* something did cost something, ever */
  weir_tstamp since; /* it counts: the day's begin, or later */
  bool is_begun;     /* a day was known, and the rest is of it */
  bool is_of_limit;
  uint64_t zone_id, number;
};

/* weir_today_begin makes |t| count from |now| on. */
void weir_today_begin(struct weir_today *t, weir_tstamp now);

/* weir_today_limit returns the one of |count| limits whose day counts, or NULL: UTC's does. */
const struct weir_limit_config *weir_today_limit(const struct weir_limit_config *limits,
                                                 uint32_t count);

/* weir_today_turn brings |t| to the day that it is at |now|: of |limit|, or UTC's where that is
 * NULL. |ret_ends_at| gets when that day ends; false, leaving |t| alone, while |calendar| does not
 * know it. A day that a clock takes back goes on, as one with the day before. */
bool weir_today_turn(struct weir_today *t, const struct weir_limit_config *limit,
                     const struct weir_calendar *calendar, weir_tstamp now,
                     weir_tstamp *ret_ends_at);

/* weir_today_add counts what a call cost that has ended. Precondition: weir_today_turn was called
 * at this instant. */
void weir_today_add(struct weir_today *t, uint64_t spend);

#endif
