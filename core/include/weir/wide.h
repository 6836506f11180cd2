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

/* weir_wide_sqrt returns the least root with root * root >= |w|; UINT64_MAX where there is none. */
uint64_t weir_wide_sqrt(weir_wide w);

#endif
