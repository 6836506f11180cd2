#include <weir/day.h>

#include <assert.h>
#include <string.h>

#define NONE            UINT64_MAX
#define DAY_SHORTEST_US (23 * WEIR_US_PER_HOUR)

void weir_day_init(struct weir_day *d, uint64_t number)
{
  memset(d, 0, sizeof(*d));
  d->number_today = number;
  d->number_before = number;
  d->number_both = NONE;
  d->number_both_before = NONE;
}

/* Whether a call that arrives until |arrival_max| may do so after the midnight |at|. */
static bool is_after(weir_tstamp arrival_max, weir_tstamp at)
{
  return weir_time_add(arrival_max, WEIR_CALENDAR_SKEW_US) >= at;
}

/* All that was charged tomorrow was charged today, too. */
static void turn(struct weir_day *d, uint64_t number)
{
  d->used_before = d->used;
  d->used = d->used_next;
  d->used_both = d->used_next;
  d->used_next = 0;
  d->number_before = d->number_today;
  d->number_today = number;
  d->number_both_before = d->number_both;
  d->number_both = NONE;
}

/* Everything of both days is today's, and what was today's remains the day's that will come again.
 * What was charged tomorrow already is part of that. */
static void turn_back(struct weir_day *d)
{
  const uint64_t used = d->used;

  d->used = used + d->used_before - d->used_both;
  d->used_next = used;
  d->used_before = 0;
  d->used_both = 0;
  d->number_both =
      d->number_both_before < d->number_today ? d->number_both_before : d->number_today;
  d->number_both_before = NONE;
  d->number_today = d->number_before;
}

static void forget(struct weir_day *d, uint64_t number)
{
  const weir_tstamp arrival_last = d->arrival_last;

  weir_day_init(d, number);
  d->arrival_last = arrival_last;
}

void weir_day_advance(struct weir_day *d, const struct weir_calendar_zone *zone, uint64_t number)
{
  if (!zone || zone->number == d->number)
    return;
  if (zone->number == d->number + 1)
    turn(d, number);
  else if (zone->number < d->number)
    turn_back(d);
  else if (!is_after(d->arrival_last, zone->begins_early_at))
    forget(d, number);
  /* Else days were skipped that nobody lived through, because another clock is believed now: all
   * of the charges may be this day's. */
  d->number = zone->number;
}

/* After a turn was taken back the later day has begun by some clock. */
static bool is_tomorrow(const struct weir_day *d, const struct weir_calendar_zone *zone,
                        weir_tstamp arrival_max)
{
  return !zone || d->number_both != NONE || is_after(arrival_max, zone->ends_early_at);
}

bool weir_day_add(struct weir_day *d, const struct weir_calendar_zone *zone,
                  weir_tstamp arrival_max, uint64_t cost)
{
  const bool is_both = is_tomorrow(d, zone, arrival_max);

  if (arrival_max > d->arrival_last)
    d->arrival_last = arrival_max;
  d->used += cost;
  if (is_both)
    d->used_next += cost;
  return is_both;
}

/* Whether a lease of today (of yesterday) may still arrive on the day after. */
static bool may_be_later(const struct weir_calendar_zone *zone, bool is_today,
                         weir_tstamp arrival_max)
{
  return !zone || is_after(arrival_max, is_today ? zone->ends_early_at : zone->begins_early_at);
}

static void change(uint64_t *sum, uint64_t before, uint64_t after)
{
  assert(*sum >= before);
  *sum = *sum - before + after;
}

void weir_day_replace(struct weir_day *d, const struct weir_calendar_zone *zone, uint64_t number,
                      bool *is_both, uint64_t before, weir_tstamp arrival_max, uint64_t after)
{
  const bool is_today = number >= d->number_today;
  const bool is_kept = number >= (is_today ? d->number_both : d->number_both_before);
  bool is_still_both;

  if (number < d->number_before)
    return;
  *is_both = *is_both || is_kept;
  is_still_both = is_kept || (*is_both && may_be_later(zone, is_today, arrival_max));
  if (is_today) {
    change(&d->used, before, after);
    if (*is_both)
      change(&d->used_next, before, is_still_both ? after : 0);
  } else {
    change(&d->used_before, before, after);
    if (*is_both) {
      change(&d->used, before, is_still_both ? after : 0);
      change(&d->used_both, before, is_still_both ? after : 0);
    }
  }
  *is_both = is_still_both;
}

weir_tstamp weir_day_earliest(const struct weir_day *d, const struct weir_calendar_zone *zone,
                              uint64_t room, weir_duration hold_us, weir_tstamp from)
{
  const weir_tstamp turn_at = weir_time_add(zone->ends_at, WEIR_CALENDAR_SKEW_US);
  const bool is_tomorrow_free = d->used_next <= room;
  weir_tstamp next_at;

  if (from < turn_at && d->used <= room &&
      (is_tomorrow_free || !is_tomorrow(d, zone, weir_time_add(from, hold_us))))
    return from;
  if (is_tomorrow_free)
    return from > turn_at ? from : turn_at;
  next_at = weir_time_add(turn_at, DAY_SHORTEST_US);
  return from > next_at ? from : next_at;
}

void weir_day_check(const struct weir_day *d)
{
  assert(d->used_next <= d->used);
  assert(d->used_both <= d->used && d->used_both <= d->used_before);
  assert(d->number_before <= d->number_today);
}
