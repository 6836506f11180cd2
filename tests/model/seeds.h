/* seeds.h - which seeds a model runs: WEIR_SEED, one of them again; WEIR_SEEDS, so many. */
#ifndef WEIR_TESTS_SEEDS_H
#define WEIR_TESTS_SEEDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct seeds {
  uint64_t first, count;
  bool is_one; /* too few for what only many show */
};

/* |count| seeds where neither variable is set. */
static inline struct seeds seeds_of(uint64_t count)
{
  const char *one = getenv("WEIR_SEED"), *many = getenv("WEIR_SEEDS");

  return (struct seeds){.first = one ? strtoull(one, NULL, 10) : 1,
                        .count = one    ? 1
                                 : many ? strtoull(many, NULL, 10)
                                        : count,
                        .is_one = one != NULL};
}

#endif
