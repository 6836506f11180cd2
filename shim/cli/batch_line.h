/* batch_line.h - one line of a batch: a request to send, or the result of one.
 *
 * Requests come in three shapes, told apart by their keys: OpenAI's {"custom_id", "method", "url",
 * "body"}, Gemini's {"key", "request"} and Anthropic's {"custom_id", "params"}. A result is
 * written in the shape of its request's batch results. Functions touch nothing but their arguments.
 */
#ifndef WEIR_BATCH_LINE_H
#define WEIR_BATCH_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jsonout.h"

#define WEIR_BATCH_ID_MAX     512 /* bytes of an id */
#define WEIR_BATCH_MODEL_MAX  127
#define WEIR_BATCH_URL_MAX    255
#define WEIR_BATCH_REASON_MAX 256

enum weir_batch_format { WEIR_BATCH_OPENAI = 1, WEIR_BATCH_GEMINI, WEIR_BATCH_ANTHROPIC };

struct weir_batch_request {
  enum weir_batch_format format;
  char id[WEIR_BATCH_ID_MAX + 1];       /* NUL-terminated; holds no NUL */
  char model[WEIR_BATCH_MODEL_MAX + 1]; /* as the body says it; "" when it does not */
  char url[WEIR_BATCH_URL_MAX + 1];     /* path on the provider; "" when the line gives none */
  size_t body_begin, body_end;          /* the body's bytes in the line, braces included */
};

/* weir_batch_request_parse reads a line of input. False, with what is wrong and how to fix it in
 * |ret_reason|, for a line that cannot be sent. */
bool weir_batch_request_parse(const char *line, size_t size, struct weir_batch_request *ret_request,
                              char ret_reason[WEIR_BATCH_REASON_MAX]);

/* weir_batch_id_hash returns 64 well mixed bits of |id|. */
uint64_t weir_batch_id_hash(const char *id);

/* How a request ended. */
struct weir_batch_result {
  bool is_ok, is_retryable; /* retryable: it may succeed when it is sent again */
  int http;                 /* status; 0: no answer came */
  const char *code;         /* of a failure: a word of weir's vocabulary */
  const char *message;      /* of a failure, for people; NULL: the body's own, or |code| */
  const void *body;         /* of the answer; NULL: none */
  size_t body_size;
  uint32_t attempts;
};

/* weir_batch_result_write appends the line (with its newline) that tells |result| of |request|,
 * which stood in line |number| of the input. */
void weir_batch_result_write(struct weir_jsonout *out, const struct weir_batch_request *request,
                             uint64_t number, const struct weir_batch_result *result);

/* weir_batch_reason_write appends the line that tells why line |number| could not be sent. */
void weir_batch_reason_write(struct weir_jsonout *out, uint64_t number, const char *reason);

/* What a line of output says. */
struct weir_batch_record {
  char id[WEIR_BATCH_ID_MAX + 1]; /* "" for a line that could not be sent */
  uint64_t number;                /* of the input's line, when |id| is empty */
  bool is_ok, is_retryable;
};

/* weir_batch_record_parse reads a line that weir_batch_*_write made. False when it is none. */
bool weir_batch_record_parse(const char *line, size_t size, struct weir_batch_record *ret_record);

/* weir_batch_record_may_begin tells whether |line| may be the beginning of such a line: what looks
 * otherwise is somebody else's file. */
bool weir_batch_record_may_begin(const char *line, size_t size);

#endif
