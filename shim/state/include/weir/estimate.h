/* estimate.h - how many tokens a text will have, before the provider has counted them.
 *
 * A sum of measured weights of code points by what stands before them, with own weights for long
 * unbroken runs (base64, hexadecimal, digits); integers, in thousandths of a token.
 * docs/PROVIDERS.md has the measured errors. What is left of the error is a property of the
 * workload and steady: struct weir_ratio learns it from the provider's own counts.
 */
#ifndef WEIR_ESTIMATE_H
#define WEIR_ESTIMATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/provider.h>

struct weir_estimate {
  uint64_t tokens;    /* the best guess */
  uint64_t low, high; /* 19 of 20 ordinary texts lie between */
};

/* The fields are private. */
struct weir_estimator {
  enum weir_tokenizer tokenizer;
  uint64_t thousandths; /* of everything before the run */
  uint64_t others;      /* thousandths that are not of text */
  uint32_t state;       /* what stands before */
  uint32_t code, left;  /* a code point that is not complete yet */
  /* The unbroken run at the end. */
  uint64_t run_bytes, run_thousandths, run_changes;
  uint32_t run_kinds;
  uint64_t costs[17][16]; /* by what stands before and what comes */
};

/* weir_estimator_init starts a new text. */
void weir_estimator_init(struct weir_estimator *e, enum weir_tokenizer tokenizer);

/* weir_estimator_feed takes in |size| more bytes of UTF-8, split anywhere. Invalid bytes count as
 * code points of their own. */
void weir_estimator_feed(struct weir_estimator *e, const void *bytes, size_t size);

/* weir_estimator_part ends a text: what is fed next does not continue it, but counts on. */
void weir_estimator_part(struct weir_estimator *e);

/* weir_estimator_add adds |thousandths| of a token for what is no text, whatever the tokenizer. */
void weir_estimator_add(struct weir_estimator *e, uint64_t thousandths);

/* weir_estimator_result returns the estimate of the text so far; feeding may go on. */
struct weir_estimate weir_estimator_result(const struct weir_estimator *e);

/* weir_estimate_text is init, feed and result in one. */
struct weir_estimate weir_estimate_text(enum weir_tokenizer tokenizer, const void *text,
                                        size_t size);

/* weir_estimate_body estimates the input tokens of a request: the texts in its JSON |body|, a fixed
 * overhead per message, and images and sound that are inlined as base64 by their size (media.h);
 * other data, and what is named by an address, has a fixed cost. A body that is no JSON counts as
 * plain text. */
struct weir_estimate weir_estimate_body(enum weir_provider_kind kind, const void *body,
                                        size_t size);

/* What actual counts teach about the estimates of one workload: sums that forget, so that the mean
 * and the spread are weighted by tokens. The fields are private. */
struct weir_ratio {
  uint64_t estimated, actual, deviation;
  uint32_t calls; /* learned from, up to WEIR_RATIO_FEW */
};

/* So many calls are experience enough; fewer give way to what others have learned. */
#define WEIR_RATIO_FEW 8

/* weir_ratio_init starts with a mean of 1 and a spread of a quarter, worth a few calls. */
void weir_ratio_init(struct weir_ratio *r);

/* weir_ratio_seed begins anew from what others have learned of the same workload, worth as much as
 * the first guess: the mean of actual by estimated tokens and its standard deviation, both in
 * thousandths (|error_pm| 0: not known, a quarter). Does nothing when |ratio_pm| is 0 or
 * WEIR_RATIO_FEW calls were learned from. */
void weir_ratio_seed(struct weir_ratio *r, uint64_t ratio_pm, uint64_t error_pm);

/* weir_ratio_learn takes in one call. A call of 0 estimated or actual tokens teaches nothing. */
void weir_ratio_learn(struct weir_ratio *r, uint64_t estimated, uint64_t actual);

/* weir_ratio_expect returns the corrected estimate: |tokens| times the learned mean. */
uint64_t weir_ratio_expect(const struct weir_ratio *r, uint64_t tokens);

/* weir_ratio_apply returns how many tokens to ask for: the corrected estimate plus twice its mean
 * deviation. */
uint64_t weir_ratio_apply(const struct weir_ratio *r, uint64_t tokens);

#endif
