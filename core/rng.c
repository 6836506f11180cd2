#include <weir/rng.h>

void weir_rng_init(struct weir_rng *rng, uint64_t seed)
{
  rng->state = seed;
}

uint64_t weir_rng_next(struct weir_rng *rng)
{
  uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));

  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

uint64_t weir_rng_below(struct weir_rng *rng, uint64_t bound)
{
  uint64_t unfair, draw;

  if (bound == 0)
    return 0;
  /* 2^64 mod bound: so many of the lowest draws would make the low results likelier. */
  unfair = (UINT64_MAX - bound + 1) % bound;
  do
    draw = weir_rng_next(rng);
  while (draw < unfair);
  return draw % bound;
}

uint64_t weir_rng_split(struct weir_rng *rng)
{
  return weir_rng_next(rng);
}
