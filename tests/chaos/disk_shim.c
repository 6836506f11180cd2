/* disk_shim.c - a disk that fails on request, by LD_PRELOAD: what is written to regular files and
 * made durable fails or is slow as the first byte of the file $WEIR_CHAOS_DISK says: 'e' an error
 * of the device, 'f' full, 's' slow, anything else: as it is.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOW_MS 2000

static const volatile char *mode;

__attribute__((constructor)) static void mode_map(void)
{
  const char *path = getenv("WEIR_CHAOS_DISK");
  const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *memory = fd >= 0 ? mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

  if (fd >= 0)
    close(fd);
  mode = memory == MAP_FAILED ? NULL : memory;
}

/* 0, or -1 with errno: what becomes of an operation on |fd|. */
static int judge(int fd, int is_sync)
{
  struct stat about;

  if (!mode || fstat(fd, &about) != 0 || !(S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)))
    return 0;
  if (*mode == 's' && is_sync) {
    struct pollfd never = {eventfd(0, EFD_CLOEXEC), POLLIN, 0};

    poll(&never, 1, SLOW_MS); /* this is the slowness itself */
    close(never.fd);
  }
  errno = *mode == 'e' ? EIO : ENOSPC;
  return *mode == 'e' || (*mode == 'f' && !is_sync) ? -1 : 0;
}

#define NEXT(type, name)                                                                           \
  static type *next;                                                                               \
  if (!next)                                                                                       \
  *(void **)&next = dlsym(RTLD_NEXT, name)

/* These take the place of the C library's. */
#pragma GCC visibility push(default)

typedef ssize_t write_function(int fd, const void *bytes, size_t size);
typedef ssize_t pwrite_function(int fd, const void *bytes, size_t size, off_t offset);
typedef int sync_function(int fd);

ssize_t write(int fd, const void *bytes, size_t size)
{
  NEXT(write_function, "write");
  return judge(fd, 0) ? -1 : next(fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
  NEXT(pwrite_function, "pwrite");
  return judge(fd, 0) ? -1 : next(fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
  NEXT(pwrite_function, "pwrite64");
  return judge(fd, 0) ? -1 : next(fd, bytes, size, offset);
}

int fsync(int fd)
{
  NEXT(sync_function, "fsync");
  return judge(fd, 1) ? -1 : next(fd);
}

int fdatasync(int fd)
{
  NEXT(sync_function, "fdatasync");
  return judge(fd, 1) ? -1 : next(fd);
}

#pragma GCC visibility pop
