#include <weir/calendar.h>

#include <assert.h>
#include <string.h>

/* Instants are cut to this, 146,000 years, so that no sum or difference of two overflows. */
#define INSTANT_MAX (INT64_C(1) << 62)

static int64_t instant_of(uint64_t us)
{
  return us > (uint64_t)INSTANT_MAX ? INSTANT_MAX : (int64_t)us;
}

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static int64_t greatest(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

static int64_t offset_believed(const struct weir_calendar *c)
{
  return c->has_before ? least(c->offset_us, c->offset_before_us) : c->offset_us;
}

static int64_t offset_ahead(const struct weir_calendar *c)
{
  return c->has_before ? greatest(c->ahead_us, c->ahead_before_us) : c->ahead_us;
}

/* |wall_us| on the monotonic clock; 0 when that clock began later. */
static weir_tstamp monotonic_at(int64_t wall_us, int64_t offset_us)
{
  /* Both halves are within +-2^62. */
  const int64_t at = wall_us - offset_us;

  return at > 0 ? (weir_tstamp)at : 0;
}

/* ---- periods of trust ---- */

static void periods_roll(struct weir_calendar *c, weir_tstamp now)
{
  const uint64_t periods = weir_time_sub(now, c->period_at) / WEIR_CALENDAR_TRUST_US;

  if (periods == 0)
    return;
  /* Nothing was told in a period that is skipped whole: the last clock went on. */
  c->offset_before_us = periods == 1 ? c->offset_us : c->offset_last_us;
  c->ahead_before_us = periods == 1 ? c->ahead_us : c->offset_last_us;
  c->offset_us = c->offset_last_us;
  c->ahead_us = c->offset_last_us;
  c->has_before = true;
  c->period_at += periods * WEIR_CALENDAR_TRUST_US;
}

static void offset_take(struct weir_calendar *c, int64_t offset_us, weir_tstamp now)
{
  c->offset_last_us = offset_us;
  if (c->is_known) {
    c->offset_us = least(c->offset_us, offset_us);
    c->ahead_us = greatest(c->ahead_us, offset_us);
    return;
  }
  c->is_known = true;
  c->period_at = now;
  c->offset_us = offset_us;
  c->ahead_us = offset_us;
}

/* ---- zones ---- */

/* The place of the day that holds the instant |wall_us|, or -1 when none that was told does. The
 * last start only ends the day before it. */
static int day_find(const struct weir_zone_days *days, int64_t wall_us)
{
  int place = -1;

  for (int i = 0; i < WEIR_ZONE_STARTS && instant_of(days->starts_us[i]) <= wall_us; i++)
    place = i;
  return place < WEIR_ZONE_STARTS - 1 ? place : -1;
}

static int start_find(const struct weir_zone_days *days, uint64_t start_us)
{
  for (int i = 0; i < WEIR_ZONE_STARTS; i++) {
    if (days->starts_us[i] == start_us)
      return i;
  }
  return -1;
}

/* The days may be told by a clock that is ahead of the believed one: if they begin after it, those
 * that were told before still serve. */
static void zone_tell(struct weir_calendar_zone *zone, const struct weir_zone_days *days,
                      int64_t wall_us)
{
  struct weir_zone_days told = *days;
  const int behind = start_find(&zone->days, told.starts_us[0]);
  const int ahead = start_find(&told, zone->days.starts_us[0]);
  const bool is_same = behind >= 0 || ahead >= 0;

  /* A date that a country leaves out must not skip a number: the days are counted on. */
  if (behind >= 0)
    told.number = zone->days.number + (uint64_t)behind;
  else if (ahead >= 0)
    told.number = zone->days.number - (uint64_t)ahead;
  if (!is_same || day_find(&told, wall_us) >= 0 || day_find(&zone->days, wall_us) < 0)
    zone->days = told;
}

/* A day's number holds from its begin plus the skew: that is when it turns. */
static void zone_place(const struct weir_calendar *c, struct weir_calendar_zone *zone, int64_t now)
{
  const int64_t believed = offset_believed(c), furthest = offset_ahead(c);
  const int place = day_find(&zone->days, now + believed - (int64_t)WEIR_CALENDAR_SKEW_US);

  zone->is_known = place >= 0 && furthest - believed <= (int64_t)WEIR_CALENDAR_SPREAD_MAX_US;
  if (!zone->is_known)
    return;
  const int64_t begin = instant_of(zone->days.starts_us[place]);
  const int64_t end = instant_of(zone->days.starts_us[place + 1]);

  zone->number = zone->days.number + (uint64_t)place;
  zone->begins_at = monotonic_at(begin, believed);
  zone->ends_at = monotonic_at(end, believed);
  zone->begins_early_at = monotonic_at(begin, furthest);
  zone->ends_early_at = monotonic_at(end, furthest);
}

/* When |zone| turns next; a zone may become known by a turn, too. */
static weir_tstamp zone_turn(const struct weir_calendar *c, const struct weir_calendar_zone *zone,
                             int64_t now)
{
  const int64_t believed = offset_believed(c);

  for (int i = 0; i < WEIR_ZONE_STARTS; i++) {
    const int64_t at = instant_of(zone->days.starts_us[i]) - believed;

    if (at + (int64_t)WEIR_CALENDAR_SKEW_US > now)
      return (weir_tstamp)(at + (int64_t)WEIR_CALENDAR_SKEW_US);
  }
  return WEIR_NEVER;
}

static void zones_place(struct weir_calendar *c, weir_tstamp now)
{
  c->wake_at = c->period_at + WEIR_CALENDAR_TRUST_US;
  for (uint32_t i = 0; i < c->zones_count; i++) {
    weir_tstamp turn = zone_turn(c, &c->zones[i], instant_of(now));

    zone_place(c, &c->zones[i], instant_of(now));
    if (turn < c->wake_at)
      c->wake_at = turn;
  }
}

/* ---- what callers see ---- */

void weir_calendar_init(struct weir_calendar *c)
{
  memset(c, 0, sizeof(*c));
  c->wake_at = WEIR_NEVER;
}

void weir_calendar_clock(struct weir_calendar *c, const struct weir_wall *wall, weir_tstamp now)
{
  const int64_t offset_us = instant_of(wall->now_us) - instant_of(now);
  int64_t believed;

  assert(wall->zones_count <= WEIR_ZONES_MAX);
  if (c->is_known)
    periods_roll(c, now);
  offset_take(c, offset_us, now);
  believed = instant_of(now) + offset_believed(c) - (int64_t)WEIR_CALENDAR_SKEW_US;
  for (uint32_t i = 0; i < wall->zones_count; i++) {
    if (i >= c->zones_count)
      c->zones[i] = (struct weir_calendar_zone){.days = wall->zones[i]};
    else
      zone_tell(&c->zones[i], &wall->zones[i], believed);
  }
  c->zones_count = wall->zones_count;
  zones_place(c, now);
}

void weir_calendar_advance(struct weir_calendar *c, weir_tstamp now)
{
  if (now < c->wake_at)
    return;
  periods_roll(c, now);
  zones_place(c, now);
}

const struct weir_calendar_zone *weir_calendar_zone(const struct weir_calendar *c, uint32_t index)
{
  return index < c->zones_count && c->zones[index].is_known ? &c->zones[index] : NULL;
}

bool weir_calendar_utc(const struct weir_calendar *c, weir_tstamp now,
                       struct weir_calendar_day *ret_day)
{
  const int64_t day_us = 24 * (int64_t)WEIR_US_PER_HOUR, believed = offset_believed(c);
  const int64_t wall = instant_of(now) + believed;

  if (!c->is_known || wall < 0)
    return false;
  ret_day->number = (uint64_t)(wall / day_us);
  ret_day->begins_at = monotonic_at(wall - wall % day_us, believed);
  ret_day->ends_at = monotonic_at(wall - wall % day_us + day_us, believed);
  return true;
}

weir_tstamp weir_calendar_wake(const struct weir_calendar *c)
{
  return c->wake_at;
}
