/* fair.h - whose turn it is: the tenants of a class of a pool, by weighted virtual time.
 *
 * Start-time fair queueing over dominant shares: a tenant's time moves on by (what its call takes
 * of the quota) / weight, and the tenant whose time is least is served next. A tenant that begins
 * to wait is lifted to the time of its class, so that nobody saves up idle time; when nobody is
 * ready, nobody has a lead either. Backlogged tenants thus differ by about one call each, whatever
 * the shapes of their calls.
 *
 *   weir_fair_open -> hold -> ready -> charge ... rest -> drop
 *
 * Records are found by (class, name). One with the empty name exists for every class from the
 * start; it serves those who find the table full. A record is free again when nothing holds it and
 * its time is not ahead of its class's. Until its place is needed, of those that were free first,
 * it keeps its name: what the caller notes of it is still of that tenant.
 *
 * Owner: the caller owns the storage. Records are named by indices below weir_fair_records; the
 * record without name of class k is k. Cost: O(log T) amortized each, first O(1).
 */
#ifndef WEIR_FAIR_H
#define WEIR_FAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/msg.h>
#include <weir/table.h>
#include <weir/time.h>

#define WEIR_FAIR_NONE UINT32_MAX

/* Fractions of a microsecond, so that small calls of heavy tenants do not vanish. */
#define WEIR_FAIR_SCALE_BITS 10

enum weir_fair_state {
  WEIR_FAIR_FREE = 0,
  WEIR_FAIR_READY = 1, /* in its class's heap of those who may be served */
  WEIR_FAIR_IDLE = 2,  /* held by nothing, but ahead of its class: remembered */
  WEIR_FAIR_HELD = 3   /* held, and not ready */
};

struct weir_fair_record {
  uint64_t time, order;         /* equal times go in the order in which they became ready */
  uint32_t child, next, prev;   /* pairing heap; |next|, |prev| link free records, too */
  uint32_t class, weight, refs; /* |refs|: asks and leases that hold it */
  enum weir_fair_state state;
  bool was_known; /* opened by the name that it had; else another had its place, or nobody */
  char name[WEIR_TENANT_SIZE];
};

struct weir_fair_class {
  uint64_t time, time_max; /* of the one served last; the greatest of any record */
  uint64_t weights;        /* of those who are ready */
  uint32_t ready, idle;    /* roots of heaps */
};

struct weir_fair {
  struct weir_fair_record *records;
  struct weir_fair_class *classes;
  struct weir_table by_name;
  uint32_t classes_count, records_count, free, free_last;
  uint64_t order_next;
};

/* weir_fair_size returns the bytes of storage for |classes| and |tenants| records with names. */
size_t weir_fair_size(uint32_t classes, uint32_t tenants);

/* weir_fair_init makes a table without tenants in |storage| of weir_fair_size bytes, aligned as
 * malloc does. */
void weir_fair_init(struct weir_fair *f, void *storage, uint32_t classes, uint32_t tenants);

/* weir_fair_open returns the record of |name| in |class|, made if need be; WEIR_FAIR_NONE when the
 * table is full. A new one has weight 1 and lives until the next weir_fair_drop of it, so the
 * caller holds it. */
uint32_t weir_fair_open(struct weir_fair *f, uint32_t class, const char *name);

/* weir_fair_weigh gives |record| |weight| >= 1, for what is charged from now on. */
void weir_fair_weigh(struct weir_fair *f, uint32_t record, uint32_t weight);

/* weir_fair_hold keeps |record| until weir_fair_drop; they count. */
void weir_fair_hold(struct weir_fair *f, uint32_t record);

/* weir_fair_drop ends a weir_fair_hold. Precondition of the last: |record| is not ready. */
void weir_fair_drop(struct weir_fair *f, uint32_t record);

/* weir_fair_ready makes |record|, which is held, wait for its turn; no effect when it does. */
void weir_fair_ready(struct weir_fair *f, uint32_t record);

/* weir_fair_rest takes |record| out of those who wait; no effect when it is not among them. */
void weir_fair_rest(struct weir_fair *f, uint32_t record);

/* weir_fair_first returns the record of |class| whose turn it is, or WEIR_FAIR_NONE. */
uint32_t weir_fair_first(const struct weir_fair *f, uint32_t class);

/* weir_fair_charge serves |record| with a call that takes the whole quota |pace_us|, and returns
 * what was charged, for weir_fair_correct. Precondition: it is ready. */
uint64_t weir_fair_charge(struct weir_fair *f, uint32_t record, weir_duration pace_us);

/* weir_fair_correct replaces |charged| by what |pace_us| charges (0: nothing was used), and returns
 * that. Precondition: |record| is held. */
uint64_t weir_fair_correct(struct weir_fair *f, uint32_t record, uint64_t charged,
                           weir_duration pace_us);

/* weir_fair_weights returns the sum of the weights of those who are ready in |class|. */
uint64_t weir_fair_weights(const struct weir_fair *f, uint32_t class);

/* weir_fair_check asserts that heaps, sums and names fit together. */
void weir_fair_check(const struct weir_fair *f);

#endif
