/* time.h - instants and durations, in microseconds.
 *
 * Pure code never reads a clock: every instant arrives from outside, and instants of two clocks
 * never meet. Additions saturate, so "never" plus anything stays never.
 */
#ifndef WEIR_TIME_H
#define WEIR_TIME_H

#include <stdint.h>

typedef uint64_t weir_tstamp;   /* microseconds on the holder's own monotonic clock */
typedef uint64_t weir_duration; /* microseconds */

#define WEIR_NEVER       UINT64_MAX
#define WEIR_US_PER_MS   UINT64_C(1000)
#define WEIR_US_PER_S    UINT64_C(1000000)
#define WEIR_US_PER_MIN  (60 * WEIR_US_PER_S)
#define WEIR_US_PER_HOUR (60 * WEIR_US_PER_MIN)

/* weir_time_add returns |t| + |d|, or WEIR_NEVER where the sum does not fit. */
static inline weir_tstamp weir_time_add(weir_tstamp t, weir_duration d)
{
  return t > WEIR_NEVER - d ? WEIR_NEVER : t + d;
}

/* weir_time_sub returns |t| - |d|, or 0 where |d| is larger. */
static inline weir_tstamp weir_time_sub(weir_tstamp t, weir_duration d)
{
  return t > d ? t - d : 0;
}

#endif
