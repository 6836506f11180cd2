#define _GNU_SOURCE /* O_TMPFILE, MADV_DONTNEED */
#include <weir/spool.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

bool weir_spool_open(struct weir_spool *spool, const char *folder)
{
  char path[1024];

  *spool = (struct weir_spool){.fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
  if (spool->fd < 0) { /* not every file system has files without names */
    const int size = snprintf(path, sizeof(path), "%s/weir-XXXXXX", folder);

    if (size < 0 || (size_t)size >= sizeof(path)) {
      errno = ENAMETOOLONG;
      return false;
    }
    spool->fd = mkostemp(path, O_CLOEXEC);
    if (spool->fd >= 0)
      (void)unlink(path);
  }
  spool->is_open = spool->fd >= 0;
  return spool->is_open;
}

bool weir_spool_add(struct weir_spool *spool, const void *bytes, size_t size)
{
  const char *at = bytes;

  assert(spool->is_open && !spool->at);
  while (size > 0) {
    const ssize_t written = write(spool->fd, at, size);

    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return false;
    at += written;
    size -= (size_t)written;
    spool->size += (size_t)written;
  }
  return true;
}

void weir_spool_reserve(struct weir_spool *spool, size_t size)
{
  assert(spool->is_open && spool->size == 0);
  spool->size = size;
}

char *weir_spool_map(struct weir_spool *spool)
{
  void *at;

  assert(spool->is_open);
  if (spool->at)
    return spool->at;
  /* With blocks behind it: a page that finds no room later would end the process. */
  errno = posix_fallocate(spool->fd, 0, (off_t)spool->size + 1);
  if (errno != 0)
    return NULL;
  at = mmap(NULL, spool->size + 1, PROT_READ | PROT_WRITE, MAP_SHARED, spool->fd, 0);
  if (at == MAP_FAILED)
    return NULL;
  spool->at = at;
  return spool->at;
}

void weir_spool_relax(struct weir_spool *spool)
{
  if (spool->at)
    (void)madvise(spool->at, spool->size + 1, MADV_DONTNEED);
}

void weir_spool_close(struct weir_spool *spool)
{
  if (!spool->is_open)
    return;
  if (spool->at)
    (void)munmap(spool->at, spool->size + 1);
  (void)close(spool->fd);
  *spool = (struct weir_spool){.fd = -1};
}
