#define _DEFAULT_SOURCE /* explicit_bzero */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

void weir_secret_wipe(struct weir_secret *secret)
{
  explicit_bzero(secret, sizeof *secret);
}

static enum weir_err refuse(const char *path, const char *why, char *ret_error)
{
  snprintf(ret_error, WEIR_SECRET_ERROR_SIZE, "%s: %s", path, why);
  return WEIR_ECONFIG;
}

static enum weir_err read_key(int fd, const char *path, struct weir_secret *ret_secret,
                              char *ret_error)
{
  struct stat status;
  char bytes[WEIR_KEY_FILE_SIZE_MAX];
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
    return refuse(path, "is no regular file; give that of 'weir keys new --coordinator'",
                  ret_error);
  if ((status.st_mode & (S_IRWXO | S_IWGRP)) != 0)
    return refuse(path, "others may read or change it; chmod 600, and make a new key if they did",
                  ret_error);
  ssize_t size = read(fd, bytes, sizeof bytes);
  if (size < 0)
    return refuse(path, strerror(errno), ret_error);
  bool is_key = weir_key_file_parse(bytes, (size_t)size, ret_secret->secret) == WEIR_OK &&
                zmq_curve_public(ret_secret->public, ret_secret->secret) == 0;
  explicit_bzero(bytes, sizeof bytes);
  if (is_key)
    return WEIR_OK;
  weir_secret_wipe(ret_secret);
  return refuse(path, "holds no secret key; make one with 'weir keys new --coordinator'",
                ret_error);
}

enum weir_err weir_secret_load(const char *path, struct weir_secret *ret_secret, char *ret_error)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return refuse(path, strerror(errno), ret_error);
  enum weir_err err = read_key(fd, path, ret_secret, ret_error);
  close(fd);
  return err;
}

/* Reads into all of |line|; where its first line ends. Negative: errno. */
static ssize_t read_line(const char *path, char *line, size_t size)
{
  struct stat status;
  /* Without O_NONBLOCK a pipe without a writer would hold the start. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return -errno;
  ssize_t got = -EINVAL;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
    got = read(fd, line, size);
    got = got < 0 ? -errno : got;
  }
  close(fd);
  for (ssize_t i = 0; i < got; i++) {
    if (line[i] == '\n' || line[i] == '\r')
      return i;
  }
  return got;
}

enum weir_err weir_secret_line(const char *path, char *ret_line, size_t size, char *ret_error)
{
  const ssize_t end = read_line(path, ret_line, size);
  if (end > 0 && (size_t)end < size && memchr(ret_line, '\0', (size_t)end) == NULL) {
    explicit_bzero(ret_line + end, size - (size_t)end);
    return WEIR_OK;
  }
  explicit_bzero(ret_line, size);
  if (end == -EINVAL)
    return refuse(path, "is no regular file", ret_error);
  if (end < 0)
    return refuse(path, strerror((int)-end), ret_error);
  if (end == 0)
    return refuse(path, "is empty in its first line, where the secret has to stand", ret_error);
  return refuse(path, "has a first line that is too long for a secret, or no text", ret_error);
}
