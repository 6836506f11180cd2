#include <weir/ramp.h>

#include <assert.h>

#include <weir/wide.h>

/* Of what was in use, where a ceiling begins: what was measured may be a little too much. */
#define FIRST_PM 900
/* Use of this part of the ceiling is use of it all: the rest is head-room, and calls that did not
 * fit. Measured by use alone, a small ceiling under large calls would never grow. */
#define USED_PM 750

static uint64_t part_of(uint64_t amount, uint64_t part_pm)
{
  return weir_wide_clamp(weir_wide_mul(amount, part_pm) / 1000, INT64_MAX);
}

void weir_ramp_begin(struct weir_ramp *ramp, uint64_t used, uint64_t most, weir_duration drains_us,
                     weir_tstamp now)
{
  const uint64_t least = most / WEIR_RAMP_LEAST_PART;
  uint64_t base = part_of(used, FIRST_PM);

  if (base < least)
    base = least;
  if (ramp->base > 0 && base > ramp->base)
    base = ramp->base;
  if (base == 0)
    base = 1;
  *ramp = (struct weir_ramp){.first = base,
                             .base = base,
                             .at = now,
                             .grown_at = now,
                             .drained_at = weir_time_add(now, drains_us)};
}

uint64_t weir_ramp_amount(const struct weir_ramp *ramp, const struct weir_ramp_pace *pace,
                          weir_tstamp now)
{
  const weir_duration since = weir_time_sub(now, ramp->at);
  uint64_t growth = part_of(ramp->base, pace->growth_pm);

  assert(ramp->base > 0 && pace->per_us > 0);
  if (growth == 0)
    growth = 1;
  if (since < pace->per_us)
    growth = weir_wide_scale(growth, since, pace->per_us, growth);
  return ramp->base + growth;
}

void weir_ramp_advance(struct weir_ramp *ramp, const struct weir_ramp_pace *pace, uint64_t used,
                       uint64_t most, weir_tstamp now)
{
  uint64_t reached;
  bool is_draining; /* what was in use before, or debt: no growth that went well */

  if (used > ramp->used)
    ramp->used = used;
  if (ramp->base == 0 || weir_time_sub(now, ramp->at) < pace->per_us)
    return;
  reached = weir_ramp_amount(ramp, pace, now);
  is_draining = ramp->used > reached && ramp->at < ramp->drained_at;
  if (!is_draining && ramp->used >= part_of(ramp->base, USED_PM)) {
    ramp->base = reached < most ? reached : 0;
    ramp->grown_at = now;
  } else if (weir_time_sub(now, ramp->grown_at) >= WEIR_RAMP_LAST_US) {
    ramp->base = 0;
  } else if (!is_draining) {
    ramp->base = ramp->used > ramp->first ? ramp->used : ramp->first;
  }
  ramp->at = now;
  ramp->used = used;
}
