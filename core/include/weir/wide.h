/* wide.h - 128-bit intermediate results, for products of amounts and durations. */
#ifndef WEIR_WIDE_H
#define WEIR_WIDE_H

#include <stdint.h>

__extension__ typedef unsigned __int128 weir_wide;

/* weir_wide_mul returns |a| * |b|, exactly. */
static inline weir_wide weir_wide_mul(uint64_t a, uint64_t b)
{
  return (weir_wide)a * b;
}

/* weir_wide_clamp returns |w|, or |max| where it is larger. */
static inline uint64_t weir_wide_clamp(weir_wide w, uint64_t max)
{
  return w < max ? (uint64_t)w : max;
}

/* weir_wide_scale returns |a| * |b| / |c|, rounded down, or |max| where it is larger. |c| > 0.
 * Products that fit 64 bits, as nearly all do, cost no 128-bit division. */
static inline uint64_t weir_wide_scale(uint64_t a, uint64_t b, uint64_t c, uint64_t max)
{
  const weir_wide product = weir_wide_mul(a, b);
  uint64_t quotient;

  if (product >> 64)
    return weir_wide_clamp(product / c, max);
  quotient = (uint64_t)product / c;
  return quotient < max ? quotient : max;
}

/* weir_wide_sqrt_max returns 0 for 0, else a power of two that is at least the root of |w| (but at
 * most 2^63) and at most twice as large: a bound that costs nothing. */
static inline uint64_t weir_wide_sqrt_max(weir_wide w)
{
  const uint64_t high = (uint64_t)(w >> 64), low = (uint64_t)w;
  const int bits = high ? 128 - __builtin_clzll(high) : low ? 64 - __builtin_clzll(low) : 0;

  if (bits == 0)
    return 0;
  return UINT64_C(1) << (bits >= 127 ? 63 : (bits + 1) / 2);
}

/* weir_wide_sqrt returns the least root with root * root >= |w|; UINT64_MAX where there is none. */
uint64_t weir_wide_sqrt(weir_wide w);

#endif
