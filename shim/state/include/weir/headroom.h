/* headroom.h - what an answer states about the provider's limits, as the coordinator is told: by
 * headers, which come with good answers too, and by the words of a rejection.
 */
#ifndef WEIR_HEADROOM_H
#define WEIR_HEADROOM_H

#include <stddef.h>
#include <stdint.h>

#include <weir/classify.h>
#include <weir/facts.h>
#include <weir/provider.h>

/* Larger figures are taken for nonsense. */
#define WEIR_HEADROOM_LIMIT_MAX (UINT64_C(1) << 37)

/* A limit of 0: nothing is said, or nothing that is known to be about a minute. */
struct weir_headroom {
  uint64_t requests_limit, requests_left;
  uint64_t tokens_limit, tokens_left; /* as the provider counts them in its main limit */
};

/* weir_headroom_read reads |headers| (borrowed, |count| of them) of an answer of a provider of
 * |kind|. It never fails: what is missing, odd or of an unknown window is left 0.
 *
 *   openai, compatible: x-ratelimit-{limit,remaining,reset}-{requests,tokens}, believed only where
 *     the figures are those of a bucket that refills in a minute: Groq uses the same names for
 *     its limits per day.
 *   anthropic: anthropic-ratelimit-{requests,input-tokens}-{limit,remaining}, which are per minute
 *     by definition. Remaining tokens are rounded to thousands.
 *   gemini, vertex: send none. */
void weir_headroom_read(enum weir_provider_kind kind, const struct weir_header *headers,
                        size_t count, struct weir_headroom *ret_headroom);

/* weir_headroom_stated returns the amount of the limit that a quota rejection names, and writes to
 * |ret_used| what it names as used of it (0: nothing). 0 when |verdict| is no quota rejection,
 * names no amount, or a limit that its outcome does not tell from another: that of output tokens
 * alone. */
uint64_t weir_headroom_stated(const struct weir_verdict *verdict, uint64_t *ret_used);

#endif
