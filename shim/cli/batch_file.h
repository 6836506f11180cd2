/* batch_file.h - lines out of large files, and whole writes into them. */
#ifndef WEIR_BATCH_FILE_H
#define WEIR_BATCH_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_BATCH_LINE_MAX ((size_t)64 << 20) /* bytes of one line: a request with its images */

/* Bytes of one result: the largest answer (256 MiB) as a string of escapes, and what is around it.
 */
#define WEIR_BATCH_RESULT_MAX ((size_t)1600 << 20)

/* A line; |bytes| is not terminated and belongs to whoever gave the line. */
struct weir_batch_text {
  const char *bytes;
  size_t size;     /* without its newline */
  uint64_t offset; /* in the file */
  uint64_t number; /* from 1 */
  bool is_torn;    /* the file ends without the newline */
  bool is_cut;     /* longer than the reader takes: passed over, |size| is 0 */
};

/* A walk through the lines of |fd| from its first byte, in memory of one line. */
struct weir_batch_reader {
  int fd;
  size_t line_max;
  char *buffer; /* owned */
  size_t capacity, begin, end;
  uint64_t offset; /* in the file, of buffer[begin] */
  uint64_t number;
};

/* weir_batch_reader_init begins at the first line of |fd|, which stays the caller's. Lines of more
 * than |line_max| bytes are passed over. */
void weir_batch_reader_init(struct weir_batch_reader *reader, int fd, size_t line_max);

/* weir_batch_reader_next gives the next line, valid until the next call. Returns 1, 0 at the end,
 * or -1 with errno set. */
int weir_batch_reader_next(struct weir_batch_reader *reader, struct weir_batch_text *ret_text);

/* weir_batch_reader_fini frees the buffer. */
void weir_batch_reader_fini(struct weir_batch_reader *reader);

/* weir_batch_load reads |size| bytes at |offset| of |fd| into |*buffer| (|*capacity| bytes, grown
 * when too small; the caller frees it). False with errno set; EIO when the file is shorter. */
bool weir_batch_load(int fd, uint64_t offset, size_t size, char **buffer, size_t *capacity);

/* weir_batch_store writes all |size| bytes at |offset| of |fd|. False with errno set. */
bool weir_batch_store(int fd, uint64_t offset, const char *bytes, size_t size);

#endif
