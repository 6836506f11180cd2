#include "life.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/conf.h>

void weir_life_boot(char *ret_boot)
{
  ret_boot[0] = '\0';
  FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
  if (file == NULL)
    return;
  if (fgets(ret_boot, WEIR_LIFE_BOOT_SIZE, file) == NULL)
    ret_boot[0] = '\0';
  ret_boot[strcspn(ret_boot, " \n")] = '\0';
  fclose(file);
}

int weir_life_give(int fd, const char *like)
{
  struct stat status;
  if (stat(like, &status) != 0 || status.st_uid == geteuid())
    return 0;
  return fchown(fd, status.st_uid, status.st_gid);
}

enum weir_err weir_life_lock(const char *path, const char *like, int *ret_fd)
{
  /* Only a file that was made here is given away: another may be a link to anything. */
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0)
    (void)!weir_life_give(fd, like);
  else if (errno == EEXIST)
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return WEIR_ENOENT;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
    *ret_fd = fd;
    return WEIR_OK;
  }
  int error = errno;
  close(fd);
  errno = error;
  return error == EWOULDBLOCK ? WEIR_ECLOSED : WEIR_ESYSTEM;
}

int weir_life_sync(const char *path)
{
  char folder[WEIR_CONF_PATH_SIZE + 2];
  const char *slash = strrchr(path, '/');
  size_t size = slash == NULL ? 0 : (size_t)(slash - path) + 1;
  memcpy(folder, path, size);
  memcpy(folder + size, ".", 2);
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return -1;
  int result = fsync(fd);
  int error = errno;
  close(fd);
  errno = error;
  return result;
}
