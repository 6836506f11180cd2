/* batch_index.h - every line of a batch's input in a few dozen bytes, so that inputs of any size
 * can be run, resumed and put in order.
 *
 * An entry holds a hash of the id and where the line stands, not the id: where hashes agree, the
 * line is read again and the ids compared, so a collision costs time and nothing else. About 60
 * bytes of memory per line. Owner: the caller. Not thread-safe, but for distinct entries.
 */
#ifndef WEIR_BATCH_INDEX_H
#define WEIR_BATCH_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/err.h>

#include "batch_line.h"

enum weir_batch_state {
  WEIR_BATCH_PENDING = 1,
  WEIR_BATCH_BAD,      /* cannot be sent */
  WEIR_BATCH_OK,       /* finished */
  WEIR_BATCH_FAILED,   /* finished: the same request would fail again */
  WEIR_BATCH_RETRYABLE /* failed, perhaps not for good */
};

struct weir_batch_entry {
  uint64_t hash; /* of the id; in a BAD entry: the line that has the same id, or 0 */
  uint64_t offset, result_offset;
  uint32_t size, result_size; /* result_size > 0: the result stands in the output */
  uint32_t line;              /* from 1 */
  enum weir_batch_state state;
};

/* A rule on requests beyond their syntax: false, with the reason, for one that cannot be sent. */
typedef bool weir_batch_check_fn(const void *context, const struct weir_batch_request *request,
                                 char ret_reason[WEIR_BATCH_REASON_MAX]);

struct weir_batch_index {
  int fd;
  weir_batch_check_fn *check;
  const void *check_context;
  struct weir_batch_entry *entries; /* in the order of the input */
  uint32_t count, capacity;
  uint32_t *slots; /* hash table: index of an entry + 1, or 0 */
  uint32_t slots_count;
  char *buffer; /* a line read again */
  size_t buffer_size;
  uint32_t bad_count;
};

/* weir_batch_index_init makes an empty index of the file |fd|, which stays the caller's. */
void weir_batch_index_init(struct weir_batch_index *index, int fd, weir_batch_check_fn *check,
                           const void *check_context);

/* weir_batch_index_read reads the whole input once. Lines that cannot be sent become BAD entries,
 * blank lines none. WEIR_ESYSTEM with errno set, WEIR_ENOMEM, WEIR_EFULL (2^32 lines). */
WEIR_MUSTUSE enum weir_err weir_batch_index_read(struct weir_batch_index *index);

/* weir_batch_index_find returns the entry with |id| that can be sent, or NULL. */
struct weir_batch_entry *weir_batch_index_find(struct weir_batch_index *index, const char *id);

/* weir_batch_index_line returns the entry of line |line|, or NULL. */
struct weir_batch_entry *weir_batch_index_line(struct weir_batch_index *index, uint64_t line);

/* weir_batch_index_load reads the line of |entry| again and parses it. False, with the reason, when
 * it cannot be read or is no request. */
bool weir_batch_index_load(struct weir_batch_index *index, const struct weir_batch_entry *entry,
                           struct weir_batch_request *ret_request,
                           char ret_reason[WEIR_BATCH_REASON_MAX]);

/* weir_batch_index_reason writes why the BAD |entry| cannot be sent, and how to fix it. */
void weir_batch_index_reason(struct weir_batch_index *index, const struct weir_batch_entry *entry,
                             char ret_reason[WEIR_BATCH_REASON_MAX]);

/* weir_batch_index_fini frees the index. */
void weir_batch_index_fini(struct weir_batch_index *index);

#endif
