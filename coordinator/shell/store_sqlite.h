/* store_sqlite.h - what the files behind store.h share.
 *
 *   store_sqlite.c  open, commit
 *   store_read.c    what stands in it, and whether it is as it was written
 *   store_tools.c   what `weir store` does with a file: marks, copies, repairs
 */
#ifndef WEIR_STORE_SQLITE_H
#define WEIR_STORE_SQLITE_H

#include <sqlite3.h>

#include <weir/store.h>

/* What to do about damage; the path twice. */
#define WEIR_STORE_REPAIR_HINT                                                                     \
  "look with 'weir store verify %s'; 'weir store repair %s' keeps what is good"

struct weir_store {
  char path[WEIR_CONF_PATH_SIZE + 8]; /* room for ".new" */
  int lock_fd;
  sqlite3 *db;
  sqlite3_stmt *put, *put_meta;
  struct weir_store_meta meta;
};

/* Records that were read, and what was not. */
struct weir_store_salvage {
  struct weir_record *records; /* to be freed */
  uint32_t count, capacity;
  uint32_t damages;
  char first[WEIR_STORE_ERROR_SIZE];
  bool is_out_of_memory;
};

/* weir_store_fail writes |format| into |ret_error| and returns |err|. */
enum weir_err weir_store_fail(enum weir_err err, char *ret_error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* weir_store_lock takes the lock of store->path. Errors as weir_store_open. */
WEIR_MUSTUSE enum weir_err weir_store_lock(struct weir_store *store, char *ret_error);

/* weir_store_attach opens the file store->path, whose lock the caller has, and reads its meta.
 * Errors as weir_store_open; after WEIR_ESYNTAX what can be read of it still can be, until
 * weir_store_detach. */
WEIR_MUSTUSE enum weir_err weir_store_attach(struct weir_store *store, char *ret_error);

/* weir_store_detach closes the connection and keeps the lock. */
void weir_store_detach(struct weir_store *store);

/* weir_store_make writes the new file |path|, for the owner of |like| (the process's where there is
 * no such file), over one of an attempt that was cut short, and makes it durable but for its name.
 * Errors as weir_store_commit. */
WEIR_MUSTUSE enum weir_err weir_store_make(const char *path, const char *like,
                                           const struct weir_store_meta *meta,
                                           const struct weir_record *records, uint32_t count,
                                           char *ret_error);

/* weir_store_rename gives the file of weir_store_make its name |to|, durably. */
WEIR_MUSTUSE enum weir_err weir_store_rename(const char *from, const char *to, char *ret_error);

/* weir_store_pages calls |visit| for each damage that SQLite finds in its pages, and returns how
 * many there are. */
uint32_t weir_store_pages(struct weir_store *store, weir_store_visit_fn *visit, void *context);

/* weir_store_rows calls |visit| for each row, backwards with |is_backwards|; false when reading
 * broke off, which is visited as a damage. */
bool weir_store_rows(struct weir_store *store, bool is_backwards, weir_store_visit_fn *visit,
                     void *context);

/* weir_store_salvage_visit is a weir_store_visit_fn whose context is a struct weir_store_salvage.
 */
void weir_store_salvage_visit(void *context, const struct weir_record *record, const char *damage);

#endif
