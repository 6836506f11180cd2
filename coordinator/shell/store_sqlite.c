/* The layout of the file: two tables, meta with one row and records; STRICT, so that a value of
 * another type is damage and not a value. */
#include "store_sqlite.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "life.h"
#include "store_row.h"

_Static_assert(WEIR_STORE_BOOT_SIZE == WEIR_LIFE_BOOT_SIZE, "one kind of boot id");

#define APPLICATION_ID 0x77656972 /* "weir" */
#define BUSY_MS        2000

static const char schema[] =
    "CREATE TABLE meta("
    "id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, boot TEXT NOT NULL,"
    "granted_until INTEGER NOT NULL, clean INTEGER NOT NULL, spent INTEGER NOT NULL,"
    "sum INTEGER NOT NULL) STRICT;"
    "CREATE TABLE records("
    "kind INTEGER NOT NULL, owner TEXT NOT NULL, item INTEGER NOT NULL, at INTEGER NOT NULL,"
    "numbers BLOB NOT NULL, sum INTEGER NOT NULL,"
    "PRIMARY KEY(kind, owner, item)) STRICT, WITHOUT ROWID;"
    "PRAGMA application_id=2003134834; PRAGMA user_version=1";
_Static_assert(APPLICATION_ID == 2003134834 && WEIR_STORE_VERSION == 1, "as in the schema");

/* ---- errors ---- */

enum weir_err weir_store_fail(enum weir_err err, char *ret_error, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  vsnprintf(ret_error, WEIR_STORE_ERROR_SIZE, format, args);
  va_end(args);
  return err;
}

/* What SQLite says, and the system's reason where it is one of the system. */
static enum weir_err db_fail(const struct weir_store *store, const char *what, char *ret_error)
{
  int code = sqlite3_errcode(store->db) & 0xff, error = sqlite3_system_errno(store->db);
  bool is_system = code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_FULL;
  const char *reason = is_system && error != 0 ? strerror(error) : sqlite3_errmsg(store->db);
  switch (code) {
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
  case SQLITE_ERROR: /* of our own statements: there are no such tables or columns */
  case SQLITE_MISMATCH:
  case SQLITE_CONSTRAINT:
    return weir_store_fail(WEIR_ESYNTAX, ret_error, "%s: damaged (%s); " WEIR_STORE_REPAIR_HINT,
                           store->path, sqlite3_errmsg(store->db), store->path, store->path);
  case SQLITE_NOMEM:
    return weir_store_fail(WEIR_ENOMEM, ret_error, "%s: out of memory", store->path);
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return weir_store_fail(
        WEIR_ECLOSED, ret_error,
        "%s: another program has it open; close that, and leave the file to weir", store->path);
  default:
    return weir_store_fail(WEIR_ESYSTEM, ret_error,
                           "%s: cannot be %s (%s); see to the disk, its "
                           "space and the file's permissions",
                           store->path, what, reason);
  }
}

/* ---- the connection ---- */

static int exec(struct weir_store *store, const char *sql)
{
  return sqlite3_exec(store->db, sql, NULL, NULL, NULL);
}

static int number_get(struct weir_store *store, const char *sql, int64_t *ret_number)
{
  sqlite3_stmt *statement = NULL;
  int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
  if (code == SQLITE_OK) {
    code = sqlite3_step(statement);
    *ret_number = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
  }
  sqlite3_finalize(statement);
  return code == SQLITE_ROW ? SQLITE_OK : code;
}

static enum weir_err connect(struct weir_store *store, char *ret_error)
{
  int code =
      sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
  if (store->db == NULL)
    return weir_store_fail(WEIR_ENOMEM, ret_error, "%s: out of memory", store->path);
  if (code != SQLITE_OK)
    return db_fail(store, "opened", ret_error);
  sqlite3_busy_timeout(store->db, BUSY_MS);
  sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  /* Exclusive before the first look: no other process gets in, and no shared memory is needed. */
  if (exec(store, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA trusted_schema=OFF;"
                  "PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY;"
                  "PRAGMA synchronous=FULL") != SQLITE_OK)
    return db_fail(store, "opened", ret_error);
  return WEIR_OK;
}

static enum weir_err prepare(struct weir_store *store, char *ret_error)
{
  static const char put[] = "INSERT OR REPLACE INTO records(kind, owner, item, at, numbers, sum)"
                            "VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
  static const char put_meta[] =
      "INSERT OR REPLACE INTO meta(id, epoch, boot, granted_until, clean, spent, sum)"
      "VALUES(1, ?1, ?2, ?3, ?4, ?5, ?6)";
  if (sqlite3_prepare_v3(store->db, put, -1, SQLITE_PREPARE_PERSISTENT, &store->put, NULL) !=
          SQLITE_OK ||
      sqlite3_prepare_v3(store->db, put_meta, -1, SQLITE_PREPARE_PERSISTENT, &store->put_meta,
                         NULL) != SQLITE_OK)
    return db_fail(store, "opened", ret_error);
  return WEIR_OK;
}

void weir_store_detach(struct weir_store *store)
{
  sqlite3_finalize(store->put);
  sqlite3_finalize(store->put_meta);
  sqlite3_close(store->db);
  store->put = store->put_meta = NULL;
  store->db = NULL;
}

/* ---- meta ---- */

static uint64_t meta_checksum(const struct weir_store_meta *meta)
{
  uint64_t sum = weir_store_checksum_number(0, meta->epoch);
  sum = weir_store_checksum(sum, meta->boot, strlen(meta->boot));
  sum = weir_store_checksum_number(sum, meta->granted_until);
  sum = weir_store_checksum_number(sum, meta->is_clean);
  return weir_store_checksum_number(sum, meta->is_spent);
}

/* False when the row in |statement| is not one that weir wrote. */
static bool meta_decode(sqlite3_stmt *statement, struct weir_store_meta *ret_meta)
{
  const char *boot = (const char *)sqlite3_column_text(statement, 1);
  *ret_meta =
      (struct weir_store_meta){.epoch = (uint64_t)sqlite3_column_int64(statement, 0),
                               .granted_until = (uint64_t)sqlite3_column_int64(statement, 2),
                               .is_clean = sqlite3_column_int64(statement, 3) == 1,
                               .is_spent = sqlite3_column_int64(statement, 4) == 1};
  if (boot == NULL || strlen(boot) >= sizeof ret_meta->boot || ret_meta->epoch == 0)
    return false;
  memcpy(ret_meta->boot, boot, strlen(boot) + 1);
  return (uint64_t)sqlite3_column_int64(statement, 5) == meta_checksum(ret_meta);
}

static enum weir_err meta_read(struct weir_store *store, char *ret_error)
{
  static const char sql[] = "SELECT epoch, boot, granted_until, clean, spent, sum FROM meta "
                            "WHERE id = 1";
  sqlite3_stmt *statement = NULL;
  struct weir_store_meta meta;
  enum weir_err err = WEIR_OK;
  int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
  if (code == SQLITE_OK)
    code = sqlite3_step(statement);
  if (code == SQLITE_ROW && meta_decode(statement, &meta))
    store->meta = meta;
  else if (code == SQLITE_ROW || code == SQLITE_DONE)
    err = weir_store_fail(
        WEIR_ESYNTAX, ret_error,
        "%s: damaged (the row of table meta is not as weir wrote it); " WEIR_STORE_REPAIR_HINT,
        store->path, store->path, store->path);
  else
    err = db_fail(store, "read", ret_error);
  sqlite3_finalize(statement);
  return err;
}

static int meta_put(struct weir_store *store, const struct weir_store_meta *meta)
{
  sqlite3_stmt *put = store->put_meta;
  sqlite3_bind_int64(put, 1, (int64_t)meta->epoch);
  sqlite3_bind_text(put, 2, meta->boot, -1, SQLITE_STATIC);
  sqlite3_bind_int64(put, 3, (int64_t)meta->granted_until);
  sqlite3_bind_int64(put, 4, meta->is_clean);
  sqlite3_bind_int64(put, 5, meta->is_spent);
  sqlite3_bind_int64(put, 6, (int64_t)meta_checksum(meta));
  sqlite3_step(put);
  return sqlite3_reset(put);
}

/* ---- open ---- */

enum weir_err weir_store_attach(struct weir_store *store, char *ret_error)
{
  int64_t application = 0, version = 0;
  enum weir_err err = connect(store, ret_error);
  if (err != WEIR_OK)
    return err;
  if (number_get(store, "PRAGMA application_id", &application) != SQLITE_OK ||
      number_get(store, "PRAGMA user_version", &version) != SQLITE_OK)
    return db_fail(store, "read", ret_error);
  if (application != APPLICATION_ID)
    return weir_store_fail(WEIR_ESYNTAX, ret_error,
                           "%s: damaged, or no store of weir (its application id at byte 68 is "
                           "%08" PRIx64 "); name another file, or " WEIR_STORE_REPAIR_HINT,
                           store->path, (uint64_t)application & UINT32_MAX, store->path,
                           store->path);
  if (version != WEIR_STORE_VERSION)
    return weir_store_fail(WEIR_EVERSION, ret_error,
                           "%s: has format %" PRId64 ", and this weir knows %d; use the weir that "
                           "wrote it",
                           store->path, version, WEIR_STORE_VERSION);
  if (sqlite3_db_readonly(store->db, "main") != 0)
    return weir_store_fail(WEIR_ESYSTEM, ret_error,
                           "%s: is not writable; make it and its folder writable for this user",
                           store->path);
  if (exec(store, "PRAGMA journal_mode=WAL") != SQLITE_OK)
    return db_fail(store, "opened", ret_error);
  err = prepare(store, ret_error);
  return err == WEIR_OK ? meta_read(store, ret_error) : err;
}

enum weir_err weir_store_make(const char *path, const char *like,
                              const struct weir_store_meta *meta, const struct weir_record *records,
                              uint32_t count, char *ret_error)
{
  struct weir_store store = {.lock_fd = -1};
  char journal[sizeof store.path + 16];
  snprintf(store.path, sizeof store.path, "%s", path);
  snprintf(journal, sizeof journal, "%s-journal", path);
  unlink(journal);
  unlink(path);
  int fd =
      open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* SQLite would let others read */
  if (fd < 0)
    return weir_store_fail(WEIR_ESYSTEM, ret_error, "%s: cannot be made (%s)", path,
                           strerror(errno));
  enum weir_err err = WEIR_OK;
  if (weir_life_give(fd, like) != 0)
    err = weir_store_fail(WEIR_ESYSTEM, ret_error,
                          "%s: cannot be given to the owner of %s (%s); run this as that user",
                          path, like, strerror(errno));
  close(fd);
  if (err == WEIR_OK)
    err = connect(&store, ret_error);
  if (err == WEIR_OK && exec(&store, schema) != SQLITE_OK)
    err = db_fail(&store, "written", ret_error);
  if (err == WEIR_OK)
    err = prepare(&store, ret_error);
  if (err == WEIR_OK)
    err = weir_store_commit(&store, meta, records, count, ret_error);
  weir_store_detach(&store);
  if (err != WEIR_OK) {
    unlink(journal);
    unlink(path);
  }
  return err;
}

enum weir_err weir_store_rename(const char *from, const char *to, char *ret_error)
{
  if (rename(from, to) == 0 && weir_life_sync(to) == 0)
    return WEIR_OK;
  return weir_store_fail(WEIR_ESYSTEM, ret_error, "%s: cannot be renamed to %s (%s)", from, to,
                         strerror(errno));
}

enum weir_err weir_store_lock(struct weir_store *store, char *ret_error)
{
  char lock[sizeof store->path + 8];
  snprintf(lock, sizeof lock, "%s.lock", store->path);
  enum weir_err err = weir_life_lock(lock, store->path, &store->lock_fd);
  if (err == WEIR_OK)
    return WEIR_OK;
  if (err == WEIR_ECLOSED)
    return weir_store_fail(
        WEIR_ECLOSED, ret_error,
        "%s: in use: a weir-coordinator or 'weir store' runs on this store; stop "
        "it, or use another store",
        store->path);
  if (err == WEIR_ENOENT)
    return weir_store_fail(WEIR_ESYSTEM, ret_error,
                           "%s: cannot be opened (%s); create its folder, writable for this user, "
                           "or name another store",
                           lock, strerror(errno));
  return weir_store_fail(WEIR_ESYSTEM, ret_error,
                         "%s: cannot be locked (%s); use a local file system", lock,
                         strerror(errno));
}

/* The file is not there: it is made, unless it was lost. A log without its file, left by a removal
 * by hand, would be taken for one of the new file. */
static enum weir_err make_first(struct weir_store *store, enum weir_store_mode mode,
                                char *ret_error)
{
  char fresh[sizeof store->path + 8], log[sizeof store->path + 8];
  snprintf(fresh, sizeof fresh, "%s.new", store->path);
  snprintf(log, sizeof log, "%s-wal", store->path);
  if (mode == WEIR_STORE_TOOL)
    return weir_store_fail(WEIR_ENOENT, ret_error, "%s: is not there (%s)", store->path,
                           strerror(ENOENT));
  if (mode == WEIR_STORE_FORCE)
    unlink(log);
  if (access(log, F_OK) == 0)
    return weir_store_fail(
        WEIR_ESYNTAX, ret_error,
        "%s: was lost, its log %s is there; restore the file, or start once with "
        "--assume-spent",
        store->path, log);
  struct weir_store_meta meta = {.epoch = (uint64_t)time(NULL),
                                 .is_spent = mode == WEIR_STORE_FORCE};
  enum weir_err err = weir_store_make(fresh, store->path, &meta, NULL, 0, ret_error);
  return err == WEIR_OK ? weir_store_rename(fresh, store->path, ret_error) : err;
}

enum weir_err weir_store_open(const char *path, enum weir_store_mode mode,
                              struct weir_store **ret_store, bool *ret_is_new, char *ret_error)
{
  struct weir_store *store = calloc(1, sizeof *store);
  if (store == NULL)
    return weir_store_fail(WEIR_ENOMEM, ret_error, "%s: out of memory", path);
  store->lock_fd = -1;
  enum weir_err err = WEIR_OK;
  bool is_new = access(path, F_OK) != 0 && errno == ENOENT;
  if (snprintf(store->path, sizeof store->path, "%s", path) >= WEIR_CONF_PATH_SIZE)
    err = weir_store_fail(WEIR_ESYSTEM, ret_error, "%.60s...: the path is too long", path);
  else if (is_new && mode == WEIR_STORE_TOOL) /* before the lock would be left behind */
    err = make_first(store, mode, ret_error);
  else
    err = weir_store_lock(store, ret_error);
  if (err == WEIR_OK) {
    is_new = access(path, F_OK) != 0 && errno == ENOENT;
    if (is_new)
      err = make_first(store, mode, ret_error);
  }
  if (err == WEIR_OK)
    err = weir_store_attach(store, ret_error);
  if (err != WEIR_OK) {
    weir_store_close(store);
    return err;
  }
  if (ret_is_new != NULL)
    *ret_is_new = is_new;
  *ret_store = store;
  return WEIR_OK;
}

void weir_store_close(struct weir_store *store)
{
  if (store == NULL)
    return;
  weir_store_detach(store);
  if (store->lock_fd >= 0)
    close(store->lock_fd);
  free(store);
}

const struct weir_store_meta *weir_store_meta(const struct weir_store *store)
{
  return &store->meta;
}

/* ---- commit ---- */

static int record_put(struct weir_store *store, const struct weir_record *record)
{
  uint8_t numbers[WEIR_STORE_NUMBERS_SIZE];
  struct weir_store_row row;
  sqlite3_stmt *put = store->put;
  weir_store_row_encode(record, numbers, &row);
  sqlite3_bind_int64(put, 1, row.kind);
  sqlite3_bind_text(put, 2, row.owner, (int)row.owner_size, SQLITE_STATIC);
  sqlite3_bind_int64(put, 3, row.item);
  sqlite3_bind_int64(put, 4, row.at);
  sqlite3_bind_blob(put, 5, row.numbers, (int)row.numbers_size, SQLITE_STATIC);
  sqlite3_bind_int64(put, 6, row.check);
  sqlite3_step(put);
  int code = sqlite3_reset(put);
  sqlite3_clear_bindings(put); /* |numbers| ends here */
  return code;
}

enum weir_err weir_store_commit(struct weir_store *store, const struct weir_store_meta *meta,
                                const struct weir_record *records, uint32_t count, char *ret_error)
{
  int code = exec(store, "BEGIN IMMEDIATE");
  for (uint32_t i = 0; i < count && code == SQLITE_OK; i++)
    code = record_put(store, &records[i]);
  if (code == SQLITE_OK && meta != NULL)
    code = meta_put(store, meta);
  if (code == SQLITE_OK)
    code = exec(store, "COMMIT");
  if (code == SQLITE_OK) {
    if (meta != NULL)
      store->meta = *meta;
    return WEIR_OK;
  }
  enum weir_err err = db_fail(store, "written", ret_error);
  if (!sqlite3_get_autocommit(store->db))
    exec(store, "ROLLBACK");
  return err;
}
