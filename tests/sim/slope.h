/* slope.h - how fast a provider lets use grow, inside all of its limits.
 *
 * Use is counted by the minutes of a clock. What a minute may hold is the same for a period of
 * several: a share more than the fullest minute of the period before held, or some tokens more than
 * a minute might hold then, and never less than a least amount. Shares no code with what weir makes
 * of it (coordinator/state/ramp.c).
 *
 * Owner: the caller. Nothing here reads a clock.
 */
#ifndef WEIR_SIM_SLOPE_H
#define WEIR_SIM_SLOPE_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/time.h>

struct weir_slope_rule {
  uint64_t least;     /* tokens in a minute that are always let through; 0: use may grow at will */
  uint64_t growth_pm; /* thousandths of what was used, without |step| */
  uint64_t step;      /* tokens; 0: growth is by share */
  weir_duration per_us; /* whole minutes */
};

struct weir_slope {
  struct weir_slope_rule rule;
  weir_tstamp minute_at, period_at; /* when they began */
  uint64_t ceiling;                 /* of a minute of this period */
  uint64_t used, most;              /* in this minute, and in the fullest of this period */
};

/* weir_slope_open begins a period, in which a minute may hold the least, at |minute_at|. */
void weir_slope_open(struct weir_slope *slope, const struct weir_slope_rule *rule,
                     weir_tstamp minute_at);

/* weir_slope_fits tells whether |tokens| more may be used at |now|, which never goes back. */
bool weir_slope_fits(struct weir_slope *slope, weir_tstamp now, uint64_t tokens);

/* weir_slope_take counts |tokens| at the instant that weir_slope_fits was asked about last. */
void weir_slope_take(struct weir_slope *slope, uint64_t tokens);

/* weir_slope_next returns when the next minute begins, after that instant. */
weir_tstamp weir_slope_next(const struct weir_slope *slope);

#endif
