/* store.h - where records outlive the coordinator: a small interface, and SQLite behind it.
 *
 *   weir_store_open -> weir_store_read: what a former life left
 *   weir_store_commit, again and again: durable when it returns
 *   weir_store_close
 *
 * The store is one file, FILE, which one process may have open: FILE.lock is held by flock, and
 * never removed. While it is open and after a crash, FILE-wal belongs to it: never remove, move or
 * copy one without the other. Every row has a checksum of its own, so that damage which SQLite does
 * not see is found too.
 *
 * Every record is an upper bound of what was granted. A store that lost some of them must not look
 * as if these had granted nothing: |is_spent| is for that.
 *
 * Owner: weir_store_open gives a struct weir_store, weir_store_close takes it. Threads: one at a
 * time. Blocking: every function does file I/O. Texts of errors are WEIR_STORE_ERROR_SIZE bytes and
 * say what is wrong, where, and what to do.
 */
#ifndef WEIR_STORE_H
#define WEIR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/conf.h>
#include <weir/err.h>
#include <weir/record.h>
#include <weir/time.h>

#define WEIR_STORE_ERROR_SIZE (3 * WEIR_CONF_PATH_SIZE + 512)
#define WEIR_STORE_BOOT_SIZE  37 /* a UUID with its NUL */
#define WEIR_STORE_VERSION    1

struct weir_store; /* opaque */

/* What is known of the life that wrote last. */
struct weir_store_meta {
  uint64_t epoch; /* of its, and at least that of every former life */
  char boot[WEIR_STORE_BOOT_SIZE];
  weir_tstamp granted_until; /* in that boot, latest arrival of its grants; WEIR_NEVER: not known */
  bool is_clean;             /* it ended in order */
  bool is_spent; /* records are missing or old: the next life must assume more than they tell */
};

enum weir_store_mode {
  WEIR_STORE_SERVE = 1, /* for a coordinator: a file that is not there is made */
  WEIR_STORE_FORCE,     /* the same, but a file that is not there was lost: is_spent */
  WEIR_STORE_TOOL       /* for tools: the file has to be there */
};

/* weir_store_open opens |path| and takes its lock. |ret_is_new| (may be NULL) tells whether the
 * file was made now; the epoch of a new one is above any count of starts. WEIR_ECLOSED another
 * process has it, WEIR_ESYNTAX it is damaged or no store of weir, WEIR_EVERSION its format is of
 * another version, WEIR_ENOENT (WEIR_STORE_TOOL) it is not there, WEIR_ENOMEM, or WEIR_ESYSTEM. */
WEIR_MUSTUSE enum weir_err weir_store_open(const char *path, enum weir_store_mode mode,
                                           struct weir_store **ret_store, bool *ret_is_new,
                                           char *ret_error);

/* weir_store_close gives the file and its lock back; NULL is allowed. */
void weir_store_close(struct weir_store *store);

/* weir_store_meta returns what was last committed. Valid until the next commit. */
const struct weir_store_meta *weir_store_meta(const struct weir_store *store);

/* What weir_store_check calls: with |record| for each record that is good, else with the |damage|
 * that it found: what, and where. Both are valid until it returns. */
typedef void weir_store_visit_fn(void *context, const struct weir_record *record,
                                 const char *damage);

/* weir_store_check reads everything: calls |visit| for each damaged page or row, and for each good
 * record in the order of their keys. Returns how many damages there were. */
uint32_t weir_store_check(struct weir_store *store, weir_store_visit_fn *visit, void *context);

/* weir_store_read checks everything and gives all records in |ret_records|, to be freed by free(),
 * and their number in |ret_count|. WEIR_ESYNTAX with the first damage, or WEIR_ENOMEM. */
WEIR_MUSTUSE enum weir_err weir_store_read(struct weir_store *store,
                                           struct weir_record **ret_records, uint32_t *ret_count,
                                           char *ret_error);

/* weir_store_commit makes |count| records durable before it returns, each in place of the one of
 * its key, and |meta| with them unless it is NULL; all of it or nothing. WEIR_ESYSTEM: not durable;
 * a later life may find the old ones or these. It may be tried again. */
WEIR_MUSTUSE enum weir_err weir_store_commit(struct weir_store *store,
                                             const struct weir_store_meta *meta,
                                             const struct weir_record *records, uint32_t count,
                                             char *ret_error);

/* weir_store_assume_spent marks the store, so that the next life assumes more than it tells; and
 * has its epoch be above that of lives that the store does not know of. Errors as
 * weir_store_commit. */
WEIR_MUSTUSE enum weir_err weir_store_assume_spent(struct weir_store *store, char *ret_error);

/* weir_store_backup writes a copy of |store| to the new file |target|, for the same owner. The copy
 * is marked as by weir_store_assume_spent: when it is put to use, later grants are in no record of
 * it. WEIR_ESYNTAX when the store is damaged, WEIR_ESYSTEM when |target| or a log of it exists, or
 * it cannot be written. */
WEIR_MUSTUSE enum weir_err weir_store_backup(struct weir_store *store, const char *target,
                                             char *ret_error);

struct weir_store_repair {
  uint32_t kept, damages;
  char first[WEIR_STORE_ERROR_SIZE]; /* damage */
};

/* weir_store_repair replaces the damaged file |path| by one with the records that are good, marked
 * as by weir_store_assume_spent; the damaged one stays as |path|.damaged. With no damage nothing
 * changes. Its owner stays. Errors as weir_store_open but for damage; WEIR_ESYSTEM when
 * |path|.damaged is there. */
WEIR_MUSTUSE enum weir_err weir_store_repair(const char *path, struct weir_store_repair *ret_repair,
                                             char *ret_error);

/* weir_store_kind_name returns a word for |kind|: "limit", "day"; static storage. */
const char *weir_store_kind_name(enum weir_record_kind kind);

#endif
