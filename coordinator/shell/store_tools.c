#include "store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A file may be older than the last life: only the wall clock is above what it does not know. */
static void meta_mark(struct weir_store_meta *meta)
{
  uint64_t seconds = (uint64_t)time(NULL);
  if (meta->epoch < seconds)
    meta->epoch = seconds;
  meta->is_spent = true;
}

enum weir_err weir_store_assume_spent(struct weir_store *store, char *ret_error)
{
  struct weir_store_meta meta = store->meta;
  meta_mark(&meta);
  return weir_store_commit(store, &meta, NULL, 0, ret_error);
}

enum weir_err weir_store_backup(struct weir_store *store, const char *target, char *ret_error)
{
  char fresh[WEIR_CONF_PATH_SIZE + 8], log[WEIR_CONF_PATH_SIZE + 8];
  struct weir_record *records = NULL;
  struct weir_store_meta meta = store->meta;
  uint32_t count = 0;
  if (snprintf(fresh, sizeof fresh, "%s.new", target) >= WEIR_CONF_PATH_SIZE)
    return weir_store_fail(WEIR_ESYSTEM, ret_error, "%.60s...: the path is too long", target);
  if (access(target, F_OK) == 0)
    return weir_store_fail(WEIR_ESYSTEM, ret_error, "%s: is there already; name a new file",
                           target);
  /* What a crash left of another file of this name would be written over the copy. */
  snprintf(log, sizeof log, "%s-wal", target);
  if (access(log, F_OK) == 0)
    return weir_store_fail(WEIR_ESYSTEM, ret_error,
                           "%s: the log %s of another file is there; move it away, or name another "
                           "file",
                           target, log);
  enum weir_err err = weir_store_read(store, &records, &count, ret_error);
  meta_mark(&meta);
  if (err == WEIR_OK)
    err = weir_store_make(fresh, store->path, &meta, records, count, ret_error);
  if (err == WEIR_OK)
    err = weir_store_rename(fresh, target, ret_error);
  free(records);
  return err;
}

/* ---- repair ---- */

/* Whatever of |store| can be read. */
static void salvage_all(struct weir_store *store, struct weir_store_salvage *salvage)
{
  if (store->db == NULL)
    return;
  weir_store_pages(store, weir_store_salvage_visit, salvage);
  /* A damaged page ends a walk: what lies behind it is reached from the other end. A damaged row
   * does not, and from the other end everything would be read a second time. */
  if (!weir_store_rows(store, false, weir_store_salvage_visit, salvage))
    weir_store_rows(store, true, weir_store_salvage_visit, salvage);
}

/* The damaged file gets another name as well, before the new one takes its place. */
static enum weir_err replace(const char *path, const struct weir_store_meta *meta,
                             const struct weir_store_salvage *salvage, char *ret_error)
{
  char fresh[WEIR_CONF_PATH_SIZE + 16], old[WEIR_CONF_PATH_SIZE + 16],
      log[WEIR_CONF_PATH_SIZE + 16], old_log[WEIR_CONF_PATH_SIZE + 24];
  snprintf(fresh, sizeof fresh, "%s.new", path);
  snprintf(old, sizeof old, "%s.damaged", path);
  snprintf(log, sizeof log, "%s-wal", path);
  snprintf(old_log, sizeof old_log, "%s-wal", old);
  enum weir_err err =
      weir_store_make(fresh, path, meta, salvage->records, salvage->count, ret_error);
  if (err != WEIR_OK)
    return err;
  if (link(path, old) != 0 || (rename(log, old_log) != 0 && errno != ENOENT)) {
    err = weir_store_fail(WEIR_ESYSTEM, ret_error,
                          "%s: cannot be kept as %s (%s); move that file away", path, old,
                          strerror(errno));
    unlink(fresh);
    return err;
  }
  return weir_store_rename(fresh, path, ret_error);
}

enum weir_err weir_store_repair(const char *path, struct weir_store_repair *ret_repair,
                                char *ret_error)
{
  struct weir_store store = {.lock_fd = -1};
  struct weir_store_salvage salvage = {0};
  if (snprintf(store.path, sizeof store.path, "%s", path) >= WEIR_CONF_PATH_SIZE)
    return weir_store_fail(WEIR_ESYSTEM, ret_error, "%.60s...: the path is too long", path);
  if (access(path, F_OK) != 0)
    return weir_store_fail(WEIR_ENOENT, ret_error, "%s: is not there (%s)", path, strerror(errno));
  enum weir_err err = weir_store_lock(&store, ret_error);
  if (err != WEIR_OK)
    return err;
  err = weir_store_attach(&store, ret_error);
  if (err == WEIR_ESYNTAX) {
    weir_store_salvage_visit(&salvage, NULL, ret_error);
    err = WEIR_OK;
  }
  struct weir_store_meta meta = store.meta;
  if (err == WEIR_OK)
    salvage_all(&store, &salvage);
  if (salvage.is_out_of_memory)
    err = weir_store_fail(WEIR_ENOMEM, ret_error, "%s: out of memory", path);
  weir_store_detach(&store);
  meta_mark(&meta);
  if (err == WEIR_OK && salvage.damages > 0)
    err = replace(path, &meta, &salvage, ret_error);
  *ret_repair = (struct weir_store_repair){.kept = salvage.count, .damages = salvage.damages};
  snprintf(ret_repair->first, sizeof ret_repair->first, "%s", salvage.first);
  free(salvage.records);
  close(store.lock_fd);
  return err;
}
