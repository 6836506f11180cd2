#include <weir/today.h>

#include <string.h>

void weir_today_begin(struct weir_today *t, weir_tstamp now)
{
  memset(t, 0, sizeof(*t));
  t->since = now;
}

const struct weir_limit_config *weir_today_limit(const struct weir_limit_config *limits,
                                                 uint32_t count)
{
  const struct weir_limit_config *found = NULL;

  for (uint32_t i = 0; i < count; i++) {
    if (limits[i].is_day && (!found || limits[i].dimension == WEIR_DIMENSION_SPEND))
      found = &limits[i];
  }
  return found;
}

static bool day_of(const struct weir_limit_config *limit, const struct weir_calendar *calendar,
                   weir_tstamp now, struct weir_calendar_day *ret_day)
{
  const struct weir_calendar_zone *zone;

  if (!limit)
    return weir_calendar_utc(calendar, now, ret_day);
  zone = weir_calendar_zone(calendar, limit->zone);
  if (zone)
    *ret_day = (struct weir_calendar_day){zone->number, zone->begins_at, zone->ends_at};
  return zone != NULL;
}

bool weir_today_turn(struct weir_today *t, const struct weir_limit_config *limit,
                     const struct weir_calendar *calendar, weir_tstamp now,
                     weir_tstamp *ret_ends_at)
{
  const uint64_t zone_id = limit ? limit->zone_id : 0;
  struct weir_calendar_day day;

  if (!day_of(limit, calendar, now, &day))
    return false;
  if (t->is_begun && (t->is_of_limit != (limit != NULL) || t->zone_id != zone_id)) {
    t->spend = 0; /* it is of another day */
    t->since = now;
  } else if (t->is_begun && day.number > t->number) {
    t->spend = 0;
    t->since = day.begins_at;
  } else if (!t->is_begun && day.begins_at > t->since) {
    t->since = day.begins_at;
  }
  t->is_begun = true;
  t->is_of_limit = limit != NULL;
  t->zone_id = zone_id;
  t->number = day.number;
  *ret_ends_at = day.ends_at;
  return true;
}

void weir_today_add(struct weir_today *t, uint64_t spend)
{
  t->spend += spend;
  t->has_cost = t->has_cost || spend > 0;
}
