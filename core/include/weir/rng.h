/* rng.h - splitmix64: small, seeded, the same on every platform.
 *
 * For jitter and simulation, never for secrets. Formula: Steele, Lea, Flood, "Fast splittable
 * pseudorandom number generators" (OOPSLA 2014).
 */
#ifndef WEIR_RNG_H
#define WEIR_RNG_H

#include <stdint.h>

struct weir_rng {
  uint64_t state;
};

/* weir_rng_init starts the stream of |seed|. */
void weir_rng_init(struct weir_rng *rng, uint64_t seed);

/* weir_rng_next returns the next 64 bits of the stream. */
uint64_t weir_rng_next(struct weir_rng *rng);

/* weir_rng_below returns a number in [0, |bound|), without modulo bias; 0 when |bound| is 0. */
uint64_t weir_rng_below(struct weir_rng *rng, uint64_t bound);

/* weir_rng_split returns the seed of an independent stream, so that a new actor does not disturb
 * the draws of the others. */
uint64_t weir_rng_split(struct weir_rng *rng);

#endif
