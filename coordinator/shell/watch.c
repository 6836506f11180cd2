#include "watch.h"

#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* The folder, because files are replaced by renaming others over them. */
static void folder_of(const char *path, char *ret_folder, size_t size)
{
  const char *slash = strrchr(path, '/');
  if (slash == NULL)
    snprintf(ret_folder, size, ".");
  else
    snprintf(ret_folder, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static void look(const struct weir_watch *watch, struct stat *ret_status)
{
  if (stat(watch->path, ret_status) != 0)
    memset(ret_status, 0, sizeof *ret_status);
}

void weir_watch_open(struct weir_watch *watch, const char *path)
{
  char folder[sizeof watch->path];
  memset(watch, 0, sizeof *watch);
  watch->fd = -1;
  if (path[0] == '\0')
    return;
  snprintf(watch->path, sizeof watch->path, "%s", path);
  folder_of(path, folder, sizeof folder);
  watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (watch->fd >= 0)
    inotify_add_watch(watch->fd, folder, IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE);
  look(watch, &watch->seen);
}

void weir_watch_close(struct weir_watch *watch)
{
  if (watch->fd >= 0)
    close(watch->fd);
  watch->fd = -1;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
         a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
         a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool weir_watch_changed(struct weir_watch *watch)
{
  char events[4096];
  struct stat now;
  if (watch->path[0] == '\0')
    return false;
  while (watch->fd >= 0 && read(watch->fd, events, sizeof events) > 0)
    ;
  look(watch, &now);
  bool is_changed = !is_same(&now, &watch->seen);
  watch->seen = now;
  return is_changed;
}
