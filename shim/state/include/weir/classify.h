/* classify.h - the verdict on an answer: what happened, what it cost, when to try again.
 *
 * Order of trust: structured fields of the body and headers, then numbers in the message, then
 * wording, then the HTTP status; never the length of a stated wait. A body that is no JSON, cut
 * or unknown is judged by the status alone.
 */
#ifndef WEIR_CLASSIFY_H
#define WEIR_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/facts.h>
#include <weir/provider.h>
#include <weir/time.h>
#include <weir/vocab.h>

/* An answer as it came; everything is borrowed for the call. */
struct weir_answer {
  enum weir_provider_kind kind;
  int http; /* 0 where there was no answer: outcome network, unless the body holds an error */
  const struct weir_header *headers;
  size_t headers_count;
  const void *body; /* JSON, server-sent events, or anything else */
  size_t body_size;
  uint64_t wall_s; /* Unix time now, for Retry-After dates; 0: such a date is not understood */
};

struct weir_verdict {
  enum weir_outcome outcome;
  bool is_retryable;       /* the same request may succeed later, on the same route */
  bool is_request_charged; /* the provider counts the request (or may: then true) */
  bool are_tokens_charged; /* the provider counts the tokens (or may) */
  bool has_wait;
  weir_duration wait_us; /* as stated, rounded up to microseconds; not before */
  /* The limit that the answer names, if it does. */
  bool has_limit;
  enum weir_dimension dimension;
  weir_duration window_us; /* a minute or a day */
  uint64_t limit;
  bool has_used;            /* |used| and |requested| are stated too (OpenAI) */
  uint64_t used, requested; /* |requested| alone with REQUEST_TOO_LARGE; 0: not stated */
};

/* weir_classify judges |answer|. It never fails: 2xx without an error in its body is
 * WEIR_OUTCOME_OK. */
void weir_classify(const struct weir_answer *answer, struct weir_verdict *ret_verdict);

/* weir_classify_facts judges facts that were collected elsewhere (usage.h: an error inside a
 * stream). |wall_s| as in struct weir_answer. */
void weir_classify_facts(enum weir_provider_kind kind, const struct weir_facts *facts,
                         uint64_t wall_s, struct weir_verdict *ret_verdict);

/* weir_outcome_is_retryable tells whether |outcome| may pass by itself. For outcomes that no
 * answer gave (network, cancelled). */
bool weir_outcome_is_retryable(enum weir_outcome outcome);

/* weir_outcome_is_of_request tells whether |outcome| is the fault of the request itself: it would
 * fail in the same way whatever the state of the provider and of the account. */
bool weir_outcome_is_of_request(enum weir_outcome outcome);

#endif
