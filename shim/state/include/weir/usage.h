/* usage.h - reads what a call cost from its answer, while the answer passes by.
 *
 *   weir_usage_init(&scan);
 *   weir_usage_feed(&scan, bytes, n);      // as often as bytes arrive
 *   if (scan.usage.has_input) ...          // settle early: known from the first event on
 *
 * All shapes are read whatever the provider is (Gemini, Gemini Interactions, OpenAI chat,
 * Responses and embeddings, Anthropic): relays answer in any of them. Counts in a stream are
 * cumulative, so the last one stands.
 */
#ifndef WEIR_USAGE_H
#define WEIR_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/classify.h>
#include <weir/facts.h>
#include <weir/provider.h>
#include <weir/stream.h>

/* Tokens in one meaning for all providers. */
struct weir_usage {
  bool has_input, has_output;
  uint64_t input_tokens;  /* the whole prompt: cached parts and tool results included */
  uint64_t cached_tokens; /* the part of it that was read from a cache */
  uint64_t
      cache_write_tokens; /* the part of it that was written to a cache, where that is stated */
  uint64_t output_tokens; /* everything produced: thoughts included */
};

#define WEIR_USAGE_SLOTS 8

struct weir_usage_scan {
  struct weir_usage usage; /* so far */
  bool is_complete;        /* the answer's end was seen: the counts are final */
  bool has_error;          /* the answer holds an error, perhaps after a good beginning */
  /* private */
  bool is_ending;
  uint64_t slots[WEIR_USAGE_SLOTS];
  struct weir_stream stream;
  struct weir_facts facts;
};

/* weir_usage_init starts a new answer. */
void weir_usage_init(struct weir_usage_scan *scan);

/* weir_usage_feed takes in |size| more bytes of the body. They are not kept. */
void weir_usage_feed(struct weir_usage_scan *scan, const void *bytes, size_t size);

/* weir_usage_verdict judges the error that an answer of status 2xx holds. False, writing
 * nothing, without |has_error|. A stream that broke off upstream has been worked on: its request
 * and its tokens count as charged. */
bool weir_usage_verdict(const struct weir_usage_scan *scan, enum weir_provider_kind kind,
                        struct weir_verdict *ret_verdict);

/* weir_usage_input_charged returns the input tokens that |kind| counts against its input limit:
 * Anthropic leaves out what came from the cache. */
uint64_t weir_usage_input_charged(const struct weir_usage *usage, enum weir_provider_kind kind);

#endif
