/* record.h - what outlives a coordinator: numbers under a name.
 *
 * The machine says what is to be kept (weir_coord_keep), the shell makes it durable and answers
 * (WEIR_COORD_DURABLE), and a later life begins with the last durable record of each key. Records
 * are upper bounds: a ledger's says what may have been granted until it is next replaced, so a
 * record that is lost with a crash costs quota, never the promise. Grants that no durable record
 * covers wait for the next one.
 *
 * A key is (kind, owner, item). Instants do not outlive a boot, so numbers that are times are
 * durations before or after |at|, the instant at which the record was made.
 *
 * Owner: whoever holds the struct; it has no pointers.
 */
#ifndef WEIR_RECORD_H
#define WEIR_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/time.h>

#define WEIR_RECORD_OWNER_SIZE  192 /* of a pool or budget, with its NUL */
#define WEIR_RECORD_NUMBERS_MAX 192

/* What the numbers of a record are. Values go to disk: never reused. */
enum weir_record_kind {
  WEIR_RECORD_LIMIT = 1, /* a limit's window: what is charged until when, and what is reserved */
  WEIR_RECORD_DAY,       /* a limit's calendar days */
  WEIR_RECORD_LEARNED,   /* what upstream said of a ledger: profile, spread of delays, cuts */
  WEIR_RECORD_BREAKER,   /* a pool's breaker */
  WEIR_RECORD_ESTIMATES, /* what a pool has learned of its calls */
  WEIR_RECORD_KIND_MAX
};

struct weir_record {
  enum weir_record_kind kind;
  char owner[WEIR_RECORD_OWNER_SIZE]; /* "pool gemini-flash", "budget project" */
  uint64_t item;                      /* tells a limit from others of its owner; else 0 */
  weir_tstamp at;                     /* when it was made */
  uint32_t count;                     /* of numbers */
  uint64_t numbers[WEIR_RECORD_NUMBERS_MAX];
};

/* A former life, as the next one finds it. */
struct weir_past {
  const struct weir_record *records;
  uint32_t count;
  bool is_same_boot;
  weir_tstamp started_until; /* its leases started by then */
};

/* weir_record_begin makes |record| one of |kind|, |owner| and |item| at |now|, without numbers yet,
 * and returns it. */
struct weir_record *weir_record_begin(struct weir_record *record, enum weir_record_kind kind,
                                      const char *owner, uint64_t item, weir_tstamp now);

/* weir_past_find returns the record of |kind|, |owner| and |item| that has |count_min| numbers at
 * least, or NULL. */
const struct weir_record *weir_past_find(const struct weir_past *past, enum weir_record_kind kind,
                                         const char *owner, uint64_t item, uint32_t count_min);

#endif
