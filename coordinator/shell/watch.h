/* watch.h - tells when a file was changed, or replaced by another one of its name.
 *
 * Owner: the caller owns the struct. One thread. Never blocks.
 */
#ifndef WEIR_WATCH_H
#define WEIR_WATCH_H

#include <stdbool.h>
#include <sys/stat.h>

struct weir_watch {
  int fd; /* readable when something in the file's folder has changed; -1: only weir_watch_changed
             finds out */
  char path[1024];
  struct stat seen;
};

/* weir_watch_open begins to watch |path|, as it is now; "" watches nothing. */
void weir_watch_open(struct weir_watch *watch, const char *path);

/* weir_watch_close ends it. */
void weir_watch_close(struct weir_watch *watch);

/* weir_watch_changed tells whether the file is another one than at the last look. */
bool weir_watch_changed(struct weir_watch *watch);

#endif
