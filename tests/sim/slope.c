#include "slope.h"

void weir_slope_open(struct weir_slope *slope, const struct weir_slope_rule *rule,
                     weir_tstamp minute_at)
{
  *slope = (struct weir_slope){
      .rule = *rule, .minute_at = minute_at, .period_at = minute_at, .ceiling = rule->least};
}

static void period_begin(struct weir_slope *slope)
{
  const struct weir_slope_rule *rule = &slope->rule;
  const uint64_t grown =
      rule->step ? slope->ceiling + rule->step : slope->most * (1000 + rule->growth_pm) / 1000;

  slope->ceiling = grown > rule->least ? grown : rule->least;
  slope->most = 0;
  slope->period_at += rule->per_us;
}

bool weir_slope_fits(struct weir_slope *slope, weir_tstamp now, uint64_t tokens)
{
  while (now >= weir_slope_next(slope)) {
    slope->minute_at += WEIR_US_PER_MIN;
    slope->used = 0;
    if (slope->minute_at >= slope->period_at + slope->rule.per_us)
      period_begin(slope);
  }
  return slope->rule.least == 0 || slope->used + tokens <= slope->ceiling;
}

void weir_slope_take(struct weir_slope *slope, uint64_t tokens)
{
  slope->used += tokens;
  if (slope->used > slope->most)
    slope->most = slope->used;
}

weir_tstamp weir_slope_next(const struct weir_slope *slope)
{
  return slope->minute_at + WEIR_US_PER_MIN;
}
