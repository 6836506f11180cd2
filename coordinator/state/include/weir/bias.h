/* bias.h - how wrong estimates are: what calls were asked for against what they used.
 *
 * Two things are learned of input and of output tokens, from calls whose use is known: the ratio
 * used / asked, weighted by tokens, which raises the next estimate where calls use more than they
 * ask for (never lowers it: that is for those who ask, who know their calls); and how far use
 * exceeds the corrected estimate (one sigma), which says how much room to leave for it. Both
 * forget: a call counts for a 200th less with each call after it.
 *
 * Owner: the caller owns the struct. Cost: O(1).
 */
#ifndef WEIR_BIAS_H
#define WEIR_BIAS_H

#include <stdint.h>

#include <weir/ledger.h>
#include <weir/vocab.h>
#include <weir/wide.h>

/* Nothing is corrected before that many calls. */
#define WEIR_BIAS_SAMPLES_MIN 20

/* A correction is at most by this factor. */
#define WEIR_BIAS_FACTOR_MAX 4

struct weir_bias_ratio {
  uint64_t asked, used; /* decaying sums, in fractions of a token */
};

struct weir_bias_error {
  uint64_t estimates, errors; /* decaying sums, of errors of their relative squares */
  uint32_t error_pm;          /* what they say */
};

struct weir_bias {
  uint32_t samples; /* up to WEIR_BIAS_SAMPLES_MIN */
  uint32_t calls;   /* since then */
  struct weir_bias_ratio input, output;
  struct weir_bias_error input_error, output_error, total_error; /* of corrected estimates */
};

/* weir_bias_init makes a bias that knows nothing. */
void weir_bias_init(struct weir_bias *b);

/* weir_bias_learn takes in a call that was asked for as |asked| and used |used|. */
void weir_bias_learn(struct weir_bias *b, const struct weir_cost *asked,
                     const struct weir_cost *used);

/* weir_bias_correct returns |asked| with its tokens as calls like it used them, rounded up. The
 * rest is as asked. A sum of asks may be given as well. */
struct weir_cost weir_bias_correct(const struct weir_bias *b, const struct weir_cost *asked);

/* weir_bias_error_pm returns the relative error of a corrected estimate in |dimension| (one sigma,
 * thousandths, at most WEIR_ERROR_MAX_PM): |start_pm| while too little is known, and 0 for what
 * counts no tokens. */
uint32_t weir_bias_error_pm(const struct weir_bias *b, enum weir_dimension dimension,
                            uint32_t start_pm);

#endif
