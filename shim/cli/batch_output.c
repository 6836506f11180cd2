#define _DEFAULT_SOURCE /* realpath */
#include "batch_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batch_file.h"

static bool fault_system(char *ret_fault, const char *path)
{
  snprintf(ret_fault, WEIR_BATCH_FAULT_MAX, "%.380s: %s", path, strerror(errno));
  return false;
}

/* Whether |path|.part is |file|: putting the output in order would overwrite it. */
static bool is_part(const char *path, const struct stat *file)
{
  char part[PATH_MAX];
  struct stat other;

  return (size_t)snprintf(part, sizeof(part), "%s.part", path) < sizeof(part) &&
         stat(part, &other) == 0 && other.st_dev == file->st_dev && other.st_ino == file->st_ino;
}

bool weir_batch_output_open(struct weir_batch_output *output, const char *path, int input_fd,
                            char ret_fault[WEIR_BATCH_FAULT_MAX])
{
  struct stat in, out;
  const char *fault = NULL;

  *output = (struct weir_batch_output){.path = path};
  output->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (output->fd < 0 || fstat(output->fd, &out) != 0 || fstat(input_fd, &in) != 0 ||
      (output->real = realpath(path, NULL)) == NULL)
    return fault_system(ret_fault, path);
  if (!S_ISREG(out.st_mode))
    fault = "is not a regular file; results need one, to be resumed";
  else if (in.st_dev == out.st_dev && in.st_ino == out.st_ino)
    fault = "is the input itself; name another file";
  else if (is_part(output->real, &in))
    fault = "its .part, by which it is put in order, is the input itself; name another file";
  else if (flock(output->fd, LOCK_EX | LOCK_NB) != 0)
    fault = "is being written by another run; wait for it, or name another file";
  if (fault)
    snprintf(ret_fault, WEIR_BATCH_FAULT_MAX, "%.380s: %s", path, fault);
  return !fault;
}

/* The last line has no newline: only that may be missing, or more. */
static bool torn_mend(struct weir_batch_output *output, const struct weir_batch_text *text,
                      bool is_whole)
{
  if (is_whole)
    return weir_batch_store(output->fd, text->offset + text->size, "\n", 1);
  return ftruncate(output->fd, (off_t)text->offset) == 0;
}

static const char *record_take(struct weir_batch_output *output, struct weir_batch_index *index,
                               const struct weir_batch_text *text,
                               const struct weir_batch_record *record)
{
  const bool is_of_bad = record->id[0] == '\0';
  struct weir_batch_entry *entry = is_of_bad ? weir_batch_index_line(index, record->number)
                                             : weir_batch_index_find(index, record->id);

  /* Bad lines have no id, and their numbers only hold until somebody mends them. */
  if (is_of_bad && (!entry || entry->state != WEIR_BATCH_BAD)) {
    output->is_outdated = true;
    return NULL;
  }
  if (!entry)
    return "a result that belongs to another input";
  if (entry->result_size > 0)
    return "a second result of the same id";
  entry->result_offset = text->offset;
  entry->result_size = (uint32_t)text->size + 1;
  if (entry->state != WEIR_BATCH_BAD)
    entry->state = record->is_ok          ? WEIR_BATCH_OK
                   : record->is_retryable ? WEIR_BATCH_RETRYABLE
                                          : WEIR_BATCH_FAILED;
  return NULL;
}

bool weir_batch_output_resume(struct weir_batch_output *output, struct weir_batch_index *index,
                              char ret_fault[WEIR_BATCH_FAULT_MAX])
{
  struct weir_batch_reader reader;
  struct weir_batch_text text;
  struct weir_batch_record record;
  const char *fault = NULL;
  bool is_torn = false;
  int got = 0;

  weir_batch_reader_init(&reader, output->fd, WEIR_BATCH_RESULT_MAX);
  while (!fault && !is_torn && (got = weir_batch_reader_next(&reader, &text)) > 0) {
    bool is_record = weir_batch_record_parse(text.bytes, text.size, &record);

    is_torn = text.is_torn && weir_batch_record_may_begin(text.bytes, text.size);
    if (is_torn && !torn_mend(output, &text, is_record)) {
      got = -1;
      break;
    }
    if (is_torn && !is_record)
      break;
    fault = is_record ? record_take(output, index, &text, &record) : "no result of weir batch";
    if (fault)
      snprintf(ret_fault, WEIR_BATCH_FAULT_MAX, "%.300s:%" PRIu64 ": %s; name another output",
               output->path, text.number, fault);
    else
      output->size = text.offset + text.size + 1;
  }
  weir_batch_reader_fini(&reader);
  return got < 0 ? fault_system(ret_fault, output->path) : !fault;
}

bool weir_batch_output_append(struct weir_batch_output *output, struct weir_batch_entry *entry,
                              const char *bytes, size_t size)
{
  if (size > WEIR_BATCH_RESULT_MAX) {
    errno = EFBIG;
    return false;
  }
  if (!weir_batch_store(output->fd, output->size, bytes, size)) {
    int saved = errno;

    if (ftruncate(output->fd, (off_t)output->size) != 0) {
      /* What is torn is cut off by the next run, or overwritten by the next result. */
    }
    errno = saved;
    return false;
  }
  entry->result_offset = output->size;
  entry->result_size = (uint32_t)size;
  output->size += size;
  return true;
}

static bool keeps(const struct weir_batch_entry *entry, bool drops_retryable)
{
  return entry->result_size > 0 && !(drops_retryable && entry->state == WEIR_BATCH_RETRYABLE);
}

/* Whether the file already is what a rewrite would make. */
static bool is_in_order(const struct weir_batch_index *index, bool drops_retryable)
{
  uint64_t at = 0;

  for (uint32_t i = 0; i < index->count; i++) {
    if (index->entries[i].result_size == 0)
      continue;
    if (!keeps(&index->entries[i], drops_retryable) || index->entries[i].result_offset < at)
      return false;
    at = index->entries[i].result_offset;
  }
  return true;
}

static bool directory_sync(const char *path)
{
  char directory[PATH_MAX];
  const char *slash = strrchr(path, '/');
  int fd;
  bool is_fine;

  snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - path) + 1 : 1,
           slash ? path : ".");
  fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return false;
  is_fine = fsync(fd) == 0;
  close(fd);
  return is_fine;
}

/* Copies the lines to keep; the entries change only when all is well, in rewrite_adopt. */
static bool rewrite_copy(const struct weir_batch_output *output,
                         const struct weir_batch_index *index, bool drops_retryable, int fd)
{
  char *buffer = NULL;
  size_t capacity = 0;
  uint64_t size = 0;
  bool is_fine = true;

  for (uint32_t i = 0; is_fine && i < index->count; i++) {
    const struct weir_batch_entry *entry = &index->entries[i];

    if (!keeps(entry, drops_retryable))
      continue;
    is_fine =
        weir_batch_load(output->fd, entry->result_offset, entry->result_size, &buffer, &capacity) &&
        weir_batch_store(fd, size, buffer, entry->result_size);
    size += entry->result_size;
  }
  free(buffer);
  return is_fine;
}

static void rewrite_adopt(struct weir_batch_output *output, struct weir_batch_index *index,
                          bool drops_retryable, int fd)
{
  close(output->fd);
  output->fd = fd;
  output->size = 0;
  output->is_outdated = false;
  for (uint32_t i = 0; i < index->count; i++) {
    struct weir_batch_entry *entry = &index->entries[i];

    if (keeps(entry, drops_retryable)) {
      entry->result_offset = output->size;
      output->size += entry->result_size;
    } else if (entry->result_size > 0) {
      entry->result_size = 0;
      entry->state = WEIR_BATCH_PENDING;
    }
  }
}

bool weir_batch_output_rewrite(struct weir_batch_output *output, struct weir_batch_index *index,
                               bool drops_retryable, char ret_fault[WEIR_BATCH_FAULT_MAX])
{
  char path[PATH_MAX];
  struct stat out;
  int fd;

  if (!output->is_outdated && is_in_order(index, drops_retryable))
    return true;
  if ((size_t)snprintf(path, sizeof(path), "%s.part", output->real) >= sizeof(path)) {
    errno = ENAMETOOLONG;
    return fault_system(ret_fault, output->path);
  }
  fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0)
    return fault_system(ret_fault, path);
  if (fstat(output->fd, &out) != 0 || fchmod(fd, out.st_mode & 0777) != 0 ||
      flock(fd, LOCK_EX | LOCK_NB) != 0 || !rewrite_copy(output, index, drops_retryable, fd) ||
      fsync(fd) != 0 || rename(path, output->real) != 0) {
    fault_system(ret_fault, path);
    close(fd);
    unlink(path);
    return false;
  }
  rewrite_adopt(output, index, drops_retryable, fd);
  return directory_sync(output->real) || fault_system(ret_fault, output->path);
}

bool weir_batch_output_close(struct weir_batch_output *output, char ret_fault[WEIR_BATCH_FAULT_MAX])
{
  bool is_fine = true;

  free(output->real);
  output->real = NULL;
  if (output->fd < 0)
    return true;
  if (fsync(output->fd) != 0)
    is_fine = fault_system(ret_fault, output->path);
  close(output->fd);
  output->fd = -1;
  return is_fine;
}
