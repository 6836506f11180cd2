/* ratio.h - what calls use of what was estimated for them, and how much that varies.
 *
 * The estimate is the one that was made without any knowledge of earlier calls, so what is learned
 * from it can be told to those who estimate without ever correcting a correction. (bias.h learns
 * from what was asked for, whatever corrections were in it.) Tokens weigh, not calls: what is told
 * makes sums come out right. A call counts for a 100th less with each call after it.
 *
 * Owner: the caller owns the struct; all zero it knows nothing. Cost: O(1).
 */
#ifndef WEIR_RATIO_H
#define WEIR_RATIO_H

#include <stdint.h>

#include <weir/msg.h>
#include <weir/wide.h>

/* Nothing is told before that many calls. */
#define WEIR_RATIO_SAMPLES_MIN 8

/* A call counts as one that used this many times its estimate at most. */
#define WEIR_RATIO_FACTOR_MAX 16

struct weir_ratio {
  uint64_t estimated, used;  /* decaying sums, in fractions of a token */
  weir_wide squares, errors; /* of estimates, and of what they were off by; decaying as well */
  uint32_t samples;          /* up to WEIR_RATIO_SAMPLES_MIN */
};

/* weir_ratio_learn takes in a call that was estimated at |estimated| > 0 tokens and used |used|. */
void weir_ratio_learn(struct weir_ratio *r, uint64_t estimated, uint64_t used);

/* weir_ratio_pm returns used / estimated in thousandths; 0 while too little is known. */
uint64_t weir_ratio_pm(const struct weir_ratio *r);

/* weir_ratio_error_pm returns one sigma of that, in thousandths of the estimate. */
uint64_t weir_ratio_error_pm(const struct weir_ratio *r);

#endif
