/* request.h - what the simulated provider reads in a request's JSON body, of any provider. */
#ifndef WEIR_UP_REQUEST_H
#define WEIR_UP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_UP_MODEL_MAX 127

struct weir_up_request {
  char model[WEIR_UP_MODEL_MAX + 1]; /* "" when the body has none */
  bool is_stream, is_usage_wanted;
  bool is_base64_wanted; /* OpenAI: of embeddings */
  uint64_t max_tokens;   /* 0: not given */
  uint64_t input_tokens; /* of all texts: contents, messages, input, system; see text.h */
  uint64_t characters;   /* of the same texts */
  uint32_t texts;        /* how many there were */
};

/* weir_up_request_read reads |body|; false when it is not one JSON object. */
bool weir_up_request_read(const char *body, size_t size, struct weir_up_request *ret_request);

#endif
