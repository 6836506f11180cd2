#include "batch_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)256 << 10)

void weir_batch_reader_init(struct weir_batch_reader *reader, int fd, size_t line_max)
{
  *reader = (struct weir_batch_reader){.fd = fd, .line_max = line_max};
}

/* Adds bytes behind those that are left; 1, 0 at the end of the file, -1. */
static int fill(struct weir_batch_reader *reader)
{
  ssize_t got;

  if (reader->begin > 0) {
    memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
    reader->end -= reader->begin;
    reader->begin = 0;
  }
  if (reader->end == reader->capacity) {
    size_t capacity = reader->capacity > 0 ? reader->capacity * 2 : BUFFER_SIZE;
    char *grown = realloc(reader->buffer, capacity);

    if (!grown)
      return -1;
    reader->buffer = grown;
    reader->capacity = capacity;
  }
  do
    got = pread(reader->fd, reader->buffer + reader->end, reader->capacity - reader->end,
                (off_t)(reader->offset + reader->end));
  while (got < 0 && errno == EINTR);
  if (got > 0)
    reader->end += (size_t)got;
  return got > 0 ? 1 : got < 0 ? -1 : 0;
}

static void consume(struct weir_batch_reader *reader, size_t size)
{
  reader->begin += size;
  reader->offset += size;
}

/* Drops the rest of a line that is too long, its newline included. */
static int skip(struct weir_batch_reader *reader)
{
  for (;;) {
    const char *from = reader->buffer + reader->begin;
    const char *newline = memchr(from, '\n', reader->end - reader->begin);
    int got;

    if (newline) {
      consume(reader, (size_t)(newline - from) + 1);
      return 1;
    }
    consume(reader, reader->end - reader->begin);
    got = fill(reader);
    if (got <= 0)
      return got;
  }
}

int weir_batch_reader_next(struct weir_batch_reader *reader, struct weir_batch_text *ret_text)
{
  size_t seen = 0; /* bytes of the line known to hold no newline */

  for (;;) {
    size_t left = reader->end - reader->begin;
    const char *line = left > 0 ? reader->buffer + reader->begin : NULL;
    const char *newline = left > seen ? memchr(line + seen, '\n', left - seen) : NULL;
    int got;

    seen = newline ? (size_t)(newline - line) : left;
    if (!newline && seen <= reader->line_max) {
      got = fill(reader);
      if (got > 0)
        continue;
      if (got < 0 || left == 0)
        return got;
      line = reader->buffer + reader->begin; /* fill may have moved it */
    }
    *ret_text = (struct weir_batch_text){
        .bytes = line,
        .size = seen,
        .offset = reader->offset,
        .number = ++reader->number,
        .is_torn = !newline && seen <= reader->line_max,
        .is_cut = seen > reader->line_max,
    };
    if (!ret_text->is_cut || newline)
      consume(reader, seen + (newline != NULL));
    else if (skip(reader) < 0)
      return -1;
    if (ret_text->is_cut)
      ret_text->size = 0; /* skipping re-used the buffer */
    return 1;
  }
}

void weir_batch_reader_fini(struct weir_batch_reader *reader)
{
  free(reader->buffer);
  reader->buffer = NULL;
}

bool weir_batch_load(int fd, uint64_t offset, size_t size, char **buffer, size_t *capacity)
{
  size_t done = 0;

  if (size > *capacity || !*buffer) {
    char *grown = realloc(*buffer, size + 1);

    if (!grown)
      return false;
    *buffer = grown;
    *capacity = size + 1;
  }
  while (done < size) {
    ssize_t got = pread(fd, *buffer + done, size - done, (off_t)(offset + done));

    if (got < 0 && errno == EINTR)
      continue;
    if (got == 0)
      errno = EIO;
    if (got <= 0)
      return false;
    done += (size_t)got;
  }
  return true;
}

bool weir_batch_store(int fd, uint64_t offset, const char *bytes, size_t size)
{
  size_t done = 0;

  while (done < size) {
    ssize_t put = pwrite(fd, bytes + done, size - done, (off_t)(offset + done));

    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      return false;
    done += (size_t)put;
  }
  return true;
}
