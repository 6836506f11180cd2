/* naive_estimate.h - the estimator of shim/state/estimate.c again, as simply as it can be said:
 * the whole text at once, a code point at a time, counts first and weights last. Tests compare the
 * two, and `./dev eval` fits the weights to these counts. */
#ifndef NAIVE_ESTIMATE_H
#define NAIVE_ESTIMATE_H

#include <stddef.h>
#include <stdint.h>

#include <weir/provider.h>

#include "weights.h"

/* What a text holds, in the order of struct weir_weights. */
struct naive_counts {
  uint64_t transitions[WEIR_STATES][WEIR_TYPES];
  uint64_t latin[WEIR_LATIN_COUNT], cyrillic[WEIR_CYRILLIC_COUNT];
  uint64_t scripts[WEIR_SCRIPTS];
  uint64_t noises[WEIR_NOISES];
};

/* naive_count counts what |text| holds. */
void naive_count(const void *text, size_t size, struct naive_counts *ret_counts);

/* naive_thousandths returns what |text| costs, in thousandths of a token. */
uint64_t naive_thousandths(enum weir_family family, const void *text, size_t size);

#endif
