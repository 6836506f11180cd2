/* clock.h - the one clock of the coordinator's ledger, and the wall clock for its days.
 *
 * CLOCK_MONOTONIC stands still while the machine sleeps: the coordinator then takes less time for
 * passed than the provider, which only delays grants.
 */
#ifndef WEIR_CLOCK_H
#define WEIR_CLOCK_H

#include <time.h>

#include <weir/time.h>

/* weir_clock_now returns the instant in microseconds. */
static inline weir_tstamp weir_clock_now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * WEIR_US_PER_S + (uint64_t)now.tv_nsec / 1000;
}

/* weir_clock_wall returns microseconds since 1970, 0 for what is before, and in |ret_now| the
 * instant of that, no earlier, and hardly ever a millisecond later. */
static inline uint64_t weir_clock_wall(weir_tstamp *ret_now)
{
  struct timespec wall;
  weir_tstamp before;
  int tries = 0;
  do {
    before = weir_clock_now();
    clock_gettime(CLOCK_REALTIME, &wall);
    *ret_now = weir_clock_now();
  } while (*ret_now - before > WEIR_US_PER_MS && ++tries < 8);
  return wall.tv_sec < 0 ? 0
                         : (uint64_t)wall.tv_sec * WEIR_US_PER_S + (uint64_t)wall.tv_nsec / 1000;
}

#endif
