/* ramp.h - how fast the use of one limit may grow, after upstream said that it grew too fast.
 *
 * Nothing is known of such a ceiling before a call is rejected by it. What was in use then was let
 * through, so it is where the ceiling begins; it grows by a share of itself in every period, from
 * what was really used of it, and is over when it has reached the limit, or was not needed for an
 * hour.
 *
 *   none -> begin -> advance ... -> none
 *
 * Pure; integers only. Owner: the limit that it belongs to.
 */
#ifndef WEIR_RAMP_H
#define WEIR_RAMP_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/time.h>

/* A ceiling that use has not grown against for this long is forgotten. */
#define WEIR_RAMP_LAST_US WEIR_US_PER_HOUR
/* A ceiling never begins below this part of the limit. */
#define WEIR_RAMP_LEAST_PART 100

struct weir_ramp {
  uint64_t first; /* the ceiling when it began: it is never less, but for another rejection */
  uint64_t base;  /* the ceiling at |at|, from where it grows; 0: there is none */
  uint64_t used;  /* the most that was in use since then, as far as it was looked at */
  weir_tstamp at, grown_at; /* when the period began, and when growth was last asked for */
  weir_tstamp drained_at;   /* what was in use when it began has come back */
};

/* How fast: by |growth_pm| thousandths of what is in use, at least by 1, in every |per_us| (> 0).
 */
struct weir_ramp_pace {
  uint32_t growth_pm;
  weir_duration per_us;
};

/* weir_ramp_begin begins a ceiling for a limit of |most|, of which |used| was in use when upstream
 * rejected a call; one that is there already is lowered to that, never raised. What is charged now
 * has come back after |drains_us|: until then use above the ceiling is no growth. */
void weir_ramp_begin(struct weir_ramp *ramp, uint64_t used, uint64_t most, weir_duration drains_us,
                     weir_tstamp now);

/* weir_ramp_amount returns the ceiling at |now|, at least 1. Precondition: there is one. */
uint64_t weir_ramp_amount(const struct weir_ramp *ramp, const struct weir_ramp_pace *pace,
                          weir_tstamp now);

/* weir_ramp_advance notes that |used| of the limit of |most| is in use, and does what is due by
 * |now|: when a period is over, the next one grows from the ceiling where most of it was in use,
 * else from what was, or the ceiling is over. No effect where there is none. */
void weir_ramp_advance(struct weir_ramp *ramp, const struct weir_ramp_pace *pace, uint64_t used,
                       uint64_t most, weir_tstamp now);

#endif
