#define _DEFAULT_SOURCE /* flock, fchown */
#include "keys_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

#define PATH_SIZE (WEIR_CONF_PATH_SIZE + 8)
#define MODE      0644 /* public keys: everybody may read them */

struct text {
  char *bytes;
  size_t size;
  struct stat status; /* of the file; st_nlink is 0 when there is none yet */
};

static int failed(const struct weir_cli_command *command, const char *path, const char *why)
{
  weir_cli_error(command, "%s: %s", path, why);
  return WEIR_CLI_BAD;
}

/* Prints what is wrong with a list. */
static int invalid(const struct weir_cli_command *command, const char *path,
                   const struct weir_conf_issues *issues)
{
  char line[WEIR_CONF_LINE_SIZE];

  for (uint32_t i = 0; i < issues->count; i++) {
    weir_conf_issue_format(&issues->items[i], path, line, sizeof(line));
    weir_cli_error(command, "%s", line);
  }
  return WEIR_CLI_BAD;
}

static int parse(const struct weir_cli_command *command, const char *path, const struct text *text,
                 struct weir_peers **ret_peers)
{
  static struct weir_conf_issues issues; /* large */
  enum weir_err err = weir_peers_parse(text->bytes, text->size, ret_peers, &issues);

  if (err == WEIR_ENOMEM)
    return failed(command, path, "out of memory");
  return err ? invalid(command, path, &issues) : WEIR_CLI_FINE;
}

/* ---- files ---- */

static int lock_take(const struct weir_cli_command *command, const char *path, int *ret_fd)
{
  char name[PATH_SIZE];
  int fd;

  if (strlen(path) >= WEIR_CONF_PATH_SIZE)
    return failed(command, path, "the path is too long");
  snprintf(name, sizeof(name), "%s.lock", path);
  fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || flock(fd, LOCK_EX) != 0) {
    if (fd >= 0)
      close(fd);
    return failed(command, name, strerror(errno));
  }
  *ret_fd = fd;
  return WEIR_CLI_FINE;
}

static int text_read(const struct weir_cli_command *command, const char *path, bool may_miss,
                     struct text *ret_text)
{
  int error;

  memset(ret_text, 0, sizeof(*ret_text));
  error = weir_file_read(path, WEIR_PEERS_FILE_SIZE_MAX, &ret_text->status, &ret_text->bytes,
                         &ret_text->size);
  if (error == ENOENT && may_miss) {
    memset(&ret_text->status, 0, sizeof(ret_text->status));
    ret_text->bytes = strdup("");
    return ret_text->bytes ? WEIR_CLI_FINE : failed(command, path, "out of memory");
  }
  return error ? failed(command, path, strerror(error)) : WEIR_CLI_FINE;
}

static bool write_whole(int fd, const struct text *text)
{
  size_t done = 0;

  while (done < text->size) {
    ssize_t size = write(fd, text->bytes + done, text->size - done);

    if (size < 0 && errno != EINTR)
      return false;
    done += size > 0 ? (size_t)size : 0;
  }
  return fsync(fd) == 0;
}

static int text_write(const struct weir_cli_command *command, const char *path,
                      const struct text *text)
{
  char name[PATH_SIZE];
  int fd;
  bool is_written;

  snprintf(name, sizeof(name), "%s.new", path);
  fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, MODE);
  if (fd < 0)
    return failed(command, name, strerror(errno));
  if (text->status.st_nlink > 0) {
    (void)!fchown(fd, text->status.st_uid, text->status.st_gid); /* root keeps who may read it */
    fchmod(fd, text->status.st_mode & 07777);
  }
  is_written = write_whole(fd, text);
  is_written = close(fd) == 0 && is_written && rename(name, path) == 0;
  if (is_written)
    return WEIR_CLI_FINE;
  failed(command, path, strerror(errno));
  unlink(name);
  return WEIR_CLI_BAD;
}

/* ---- changes ---- */

static int append(const struct weir_cli_command *command, const char *path,
                  const struct weir_peer *peer, struct text *text)
{
  char line[WEIR_PEER_LINE_SIZE];
  char *bytes = realloc(text->bytes, text->size + sizeof(line) + 3);

  if (!bytes)
    return failed(command, path, "out of memory");
  text->bytes = bytes;
  weir_peer_format(peer, line);
  text->size += (size_t)sprintf(bytes + text->size, "%s%s\n",
                                text->size > 0 && bytes[text->size - 1] != '\n' ? "\n" : "", line);
  return WEIR_CLI_FINE;
}

/* Takes out the lines whose first word is |name|. */
static bool cut(struct text *text, const char *name)
{
  const size_t length = strlen(name);
  size_t kept = 0;
  bool is_found = false;

  for (size_t at = 0; at < text->size;) {
    const char *end = memchr(text->bytes + at, '\n', text->size - at);
    const size_t size = end ? (size_t)(end - text->bytes) - at + 1 : text->size - at;
    size_t word = at;

    while (word < at + size && (text->bytes[word] == ' ' || text->bytes[word] == '\t'))
      word++;
    if (word + length < at + size && memcmp(text->bytes + word, name, length) == 0 &&
        strchr(" \t", text->bytes[word + length])) {
      is_found = true;
    } else {
      memmove(text->bytes + kept, text->bytes + at, size);
      kept += size;
    }
    at += size;
  }
  text->size = kept;
  return is_found;
}

static void not_found(const struct weir_cli_command *command, const char *path, const char *name,
                      const struct weir_peers *peers)
{
  const char *words[256], *nearest;
  size_t count = 0;

  for (uint32_t i = 0; i < peers->count && count < 256; i++)
    words[count++] = peers->items[i].name;
  nearest = weir_cli_nearest(name, words, count);
  weir_cli_error(command, "%s has no key named '%s'%s%s%s", path, name,
                 nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* With the lock held: reads, changes, and puts the new list in place if it is one. */
static int change(const struct weir_cli_command *command, const char *path,
                  const struct weir_peer *added, const char *removed)
{
  struct weir_peers *before = NULL, *after = NULL;
  struct text text;
  int result = text_read(command, path, added != NULL, &text);

  if (result == WEIR_CLI_FINE)
    result = parse(command, path, &text, &before);
  if (result == WEIR_CLI_FINE && added)
    result = append(command, path, added, &text);
  if (result == WEIR_CLI_FINE && removed && !cut(&text, removed)) {
    not_found(command, path, removed, before);
    result = WEIR_CLI_BAD;
  }
  if (result == WEIR_CLI_FINE)
    result = parse(command, path, &text, &after);
  if (result == WEIR_CLI_FINE)
    result = text_write(command, path, &text);
  weir_peers_free(before);
  weir_peers_free(after);
  free(text.bytes);
  return result;
}

static int change_locked(const struct weir_cli_command *command, const char *path,
                         const struct weir_peer *added, const char *removed)
{
  int fd, result = lock_take(command, path, &fd);

  if (result != WEIR_CLI_FINE)
    return result;
  result = change(command, path, added, removed);
  close(fd);
  return result;
}

int weir_keys_list_read(const struct weir_cli_command *command, const char *path,
                        struct weir_peers **ret_peers)
{
  struct text text;
  int result = text_read(command, path, false, &text);

  if (result == WEIR_CLI_FINE)
    result = parse(command, path, &text, ret_peers);
  free(text.bytes);
  return result;
}

int weir_keys_list_add(const struct weir_cli_command *command, const char *path,
                       const struct weir_peer *peer)
{
  return change_locked(command, path, peer, NULL);
}

int weir_keys_list_remove(const struct weir_cli_command *command, const char *path,
                          const char *name)
{
  return change_locked(command, path, NULL, name);
}
