/* splice.h - the few changes that a request body may need, by byte offset: everything else of it
 * goes upstream as it came.
 */
#ifndef WEIR_PROXY_SPLICE_H
#define WEIR_PROXY_SPLICE_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/request.h>

#include "put.h"

#define WEIR_SPLICES_MAX      2
#define WEIR_SPLICE_TEXT_SIZE 288 /* a model of 127 bytes, all of them escaped, and its key */

/* Bytes [begin, end) of the body give way to |text|. */
struct weir_splice {
  size_t begin, end;
  size_t text_size;
  char text[WEIR_SPLICE_TEXT_SIZE];
};

/* What a body becomes. */
struct weir_splices {
  size_t count;
  struct weir_splice at[WEIR_SPLICES_MAX]; /* in the order of |begin|, not overlapping */
};

/* How a request stands to the usage of its stream (OpenAI: "stream_options.include_usage"). */
struct weir_stream_options {
  bool is_usage_asked; /* the client asks for it: nothing is to be changed */
  /* Where it has to be put otherwise. */
  struct weir_splice splice;
};

/* weir_stream_options_read reads |body|, which weir_request_scan took for one JSON object. A value
 * that is neither an object nor null is left alone, for the provider to judge: it counts as
 * asked. */
void weir_stream_options_read(const char *body, size_t size, struct weir_stream_options *ret);

/* weir_splices_init begins without any change. */
void weir_splices_init(struct weir_splices *s);

/* weir_splices_usage adds the change of |options|, none where the client asks itself. */
void weir_splices_usage(struct weir_splices *s, const struct weir_stream_options *options);

/* weir_splices_model puts |model| into a body whose |facts| are known: in place of its "model", or
 * where it has none as a first member. Nothing when it is that already. False when the model is too
 * long. */
bool weir_splices_model(struct weir_splices *s, const char *body, size_t size,
                        const struct weir_request_facts *facts, const char *model);

/* weir_splices_size returns the size of what a body of |size| bytes becomes. */
size_t weir_splices_size(const struct weir_splices *s, size_t size);

/* weir_splices_apply writes it to |ret_body|, which holds weir_splices_size bytes. */
void weir_splices_apply(const struct weir_splices *s, const char *body, size_t size,
                        char *ret_body);

#endif
