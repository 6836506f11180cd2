/* batch_output.h - the file of results: a line each, appended as they come, put in order at the
 * end.
 *
 * Results are written at once, whatever their place in the input: one that waited in memory for an
 * earlier line would be lost, and paid for twice, if the program were killed. A file in the
 * input's order is made at the end by one rewrite to a second file, which then takes the first
 * one's name; so every state of the file, at any instant, is whole but for its last line.
 */
#ifndef WEIR_BATCH_OUTPUT_H
#define WEIR_BATCH_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batch_index.h"

#define WEIR_BATCH_FAULT_MAX 512

struct weir_batch_output {
  const char *path; /* the caller's */
  char *real;       /* owned: the same without links, which stay where they are */
  int fd;           /* -1: closed */
  uint64_t size;    /* of whole lines */
  bool is_outdated; /* it tells of bad lines that are mended since: a rewrite leaves that out */
};

/* Each function returns false with what is wrong in |ret_fault|, unless it says otherwise. */

/* weir_batch_output_open opens or makes |path| and locks it against a second run. */
bool weir_batch_output_open(struct weir_batch_output *output, const char *path, int input_fd,
                            char ret_fault[WEIR_BATCH_FAULT_MAX]);

/* weir_batch_output_resume reads the results that are there into the entries of |index|, and cuts
 * off a torn last line. */
bool weir_batch_output_resume(struct weir_batch_output *output, struct weir_batch_index *index,
                              char ret_fault[WEIR_BATCH_FAULT_MAX]);

/* weir_batch_output_append adds the line |bytes|, which is the result of |entry|. On false errno is
 * set and the file is as before. */
bool weir_batch_output_append(struct weir_batch_output *output, struct weir_batch_entry *entry,
                              const char *bytes, size_t size);

/* weir_batch_output_rewrite writes the file anew: in the order of the input, without the RETRYABLE
 * results if |drops_retryable|, which are PENDING afterwards, and without what is outdated. Does
 * nothing when it is so already.
 */
bool weir_batch_output_rewrite(struct weir_batch_output *output, struct weir_batch_index *index,
                               bool drops_retryable, char ret_fault[WEIR_BATCH_FAULT_MAX]);

/* weir_batch_output_close makes what was written durable and closes the file; a second call does
 * nothing and returns true. */
bool weir_batch_output_close(struct weir_batch_output *output,
                             char ret_fault[WEIR_BATCH_FAULT_MAX]);

#endif
