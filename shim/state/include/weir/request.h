/* request.h - what weir needs to know from a request body, without keeping or changing it. */
#ifndef WEIR_REQUEST_H
#define WEIR_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/err.h>
#include <weir/provider.h>

#define WEIR_REQUEST_MODEL_MAX 127

struct weir_request_facts {
  bool has_model;
  char model[WEIR_REQUEST_MODEL_MAX + 1];
  size_t model_begin, model_end; /* bytes of the value in the body, quotes included: to splice */
  bool has_output_max;
  uint64_t output_tokens_max; /* for all candidates together */
  bool is_stream;             /* "stream": true; Gemini says it in the path instead */
  bool has_contents;          /* "contents", Gemini's prompt */
  bool has_messages;          /* "messages", "input" or "prompt": that of OpenAI or Anthropic */
};

/* weir_request_scan reads |body|. Fails, writing nothing, with:
 *   WEIR_ESYNTAX   the body is not one JSON object
 *   WEIR_ERANGE    "model" is longer than WEIR_REQUEST_MODEL_MAX bytes
 * Keys that stand twice: the last one counts, as in most JSON readers. */
WEIR_MUSTUSE enum weir_err weir_request_scan(const void *body, size_t size,
                                             struct weir_request_facts *ret_facts);

/* weir_request_suits tells whether a body of |facts| may be one that |kind| reads in its own
 * protocol. Gemini's prompt is "contents", that of the others "messages" or the like; a body with
 * both or neither suits all. OpenAI's and Anthropic's look alike. */
bool weir_request_suits(const struct weir_request_facts *facts, enum weir_provider_kind kind);

#endif
