#define _DEFAULT_SOURCE /* explicit_bzero */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void weir_file_free(char *bytes, size_t size)
{
  if (!bytes)
    return;
  explicit_bzero(bytes, size);
  free(bytes);
}

/* Reads to the end, at most |capacity| bytes, into |bytes|; an errno or 0. */
static int read_whole(int fd, char *bytes, size_t capacity, size_t *ret_size)
{
  ssize_t got = 1;

  *ret_size = 0;
  while (got != 0 && *ret_size < capacity) {
    got = read(fd, bytes + *ret_size, capacity - *ret_size);
    if (got < 0 && errno != EINTR)
      return errno;
    *ret_size += got > 0 ? (size_t)got : 0;
  }
  return 0;
}

static int read_open(int fd, size_t size_max, struct stat *stat, char **ret_bytes, size_t *ret_size)
{
  size_t capacity, size;
  char *bytes;
  int error;

  if (fstat(fd, stat) != 0)
    return errno;
  if (!S_ISREG(stat->st_mode))
    return EINVAL;
  if (stat->st_size < 0 || (size_t)stat->st_size > size_max)
    return EFBIG;
  capacity = (size_t)stat->st_size + 1; /* a byte more tells whether it grows under our hands */
  bytes = malloc(capacity);
  if (!bytes)
    return ENOMEM;
  error = read_whole(fd, bytes, capacity, &size);
  if (!error && size == capacity)
    error = EAGAIN;
  if (error) {
    weir_file_free(bytes, capacity);
    return error;
  }
  bytes[size] = '\0';
  *ret_bytes = bytes;
  *ret_size = size;
  return 0;
}

int weir_file_read(const char *path, size_t size_max, struct stat *ret_stat, char **ret_bytes,
                   size_t *ret_size)
{
  /* Without O_NONBLOCK a pipe without a writer would hold the caller. */
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat own;
  int error;

  if (fd < 0)
    return errno;
  error = read_open(fd, size_max, ret_stat ? ret_stat : &own, ret_bytes, ret_size);
  close(fd);
  return error;
}
