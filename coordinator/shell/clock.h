/* clock.h - the one clock of the coordinator's ledger.
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

#endif
