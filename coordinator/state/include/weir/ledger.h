/* ledger.h - the books of one pool: what may still reach the provider in every window.
 *
 * Each limit keeps an exact sliding window (ring.h). A taken lease may arrive upstream anywhere in
 * [start, start + hold]; it is charged from the moment it is taken until its latest possible
 * arrival plus the window. Settling narrows that arrival and replaces the reserve by the actual
 * cost. With leases taken in the order of their starts, no window of any limit ever holds more than
 * its amount, whatever the phase of the provider's window (sufficient and necessary: "Theorem 1" in
 * docs/LEDGER.md).
 *
 * Owner: the pool owns its ledger; rings live in storage that the coordinator's machine got from
 * its caller. Cost: take and settle O(limits); earliest O(limits * WEIR_RING_BLOCKS) when the
 * window is full, O(limits) when it is not.
 */
#ifndef WEIR_LEDGER_H
#define WEIR_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/config.h>
#include <weir/msg.h>
#include <weir/ring.h>
#include <weir/time.h>

/* What one lease costs, before it is seen through a limit's dimension. */
struct weir_cost {
  uint64_t requests, input_tokens, output_tokens;
};

struct weir_ledger_limit {
  struct weir_limit_config config;
  uint64_t born_number;     /* leases with a smaller number are not in this ring */
  weir_tstamp closed_until; /* what was spent before is unknown: nothing starts earlier */
  struct weir_ring ring;
};

struct weir_ledger {
  uint32_t limits_count;
  weir_duration hold_us;  /* ttl + spread of the delay between shim and provider */
  weir_tstamp start_last; /* leases start in the order in which they are taken */
  uint64_t number_next;
  struct weir_ledger_limit limits[WEIR_LIMITS_MAX];
};

/* A lease as the ledger knows it. */
struct weir_ledger_entry {
  struct weir_cost cost;   /* charged now */
  uint64_t number;         /* takes of a ledger are numbered */
  weir_tstamp start;       /* earliest arrival */
  weir_tstamp arrival_max; /* latest possible arrival known so far */
};

/* weir_ledger_init makes an empty ledger of |config| whose rings are WEIR_LIMITS_MAX slot arrays of
 * WEIR_RING_SLOTS each at |slots|, kept by the caller. */
void weir_ledger_init(struct weir_ledger *l, uint64_t *slots, const struct weir_pool_config *config,
                      weir_tstamp now);

/* weir_ledger_configure applies another configuration while leases are out. A limit known by
 * dimension and window keeps its history and only changes its amount: after a cut it shrinks by
 * expiry. A limit that is new to a running pool is closed for one window and the longest hold,
 * because what was sent before is in no ring; only windows longer than WEIR_LEDGER_ASSUME_MAX start
 * empty.
 */
void weir_ledger_configure(struct weir_ledger *l, const struct weir_pool_config *config,
                           weir_tstamp now);

/* weir_ledger_assume_spent closes every limit until what started by |until| can no longer matter:
 * what a coordinator must assume of its own former life, and of what a reload may have renamed.
 * That life may have known other amounts and longer holds, so no amount would be a safe guess.
 * Windows longer than WEIR_LEDGER_ASSUME_MAX are left alone, or one crash would close a pool for a
 * day. */
#define WEIR_LEDGER_ASSUME_MAX WEIR_US_PER_HOUR
void weir_ledger_assume_spent(struct weir_ledger *l, weir_tstamp until);

/* weir_ledger_used returns what is charged in limit |index| at |now|; the whole amount, at least,
 * while it is closed. */
uint64_t weir_ledger_used(struct weir_ledger *l, uint32_t index, weir_tstamp now);

/* weir_ledger_cost_of returns what |cost| weighs in |dimension|. */
uint64_t weir_ledger_cost_of(const struct weir_cost *cost, enum weir_dimension dimension);

/* weir_ledger_misfit returns the index of the first limit that |cost| exceeds even when it is
 * empty, or -1. */
int weir_ledger_misfit(const struct weir_ledger *l, const struct weir_cost *cost);

/* weir_ledger_earliest returns the first instant at or after |from| at which |cost| fits every
 * limit, as far as the books show now; WEIR_NEVER when it can never fit. |ret_binding|, if not
 * NULL, gets the index of the limit that decided, or -1 when none did. */
weir_tstamp weir_ledger_earliest(struct weir_ledger *l, const struct weir_cost *cost,
                                 weir_tstamp from, weir_tstamp now, int *ret_binding);

/* weir_ledger_eta returns when |cost| could start behind |ahead|, which may span many windows: an
 * estimate from today's books, for ETAs and early denials. */
weir_tstamp weir_ledger_eta(struct weir_ledger *l, const struct weir_cost *ahead,
                            const struct weir_cost *cost, weir_tstamp from, weir_tstamp now,
                            int *ret_binding);

/* weir_ledger_take charges |cost| from |start| on and fills |ret_entry|. Precondition: |start| is
 * weir_ledger_earliest for that cost, and not before an earlier take's start. */
void weir_ledger_take(struct weir_ledger *l, const struct weir_cost *cost, weir_tstamp start,
                      weir_tstamp now, struct weir_ledger_entry *ret_entry);

/* weir_ledger_settle replaces the charge of |entry| by |actual| with |arrival_max| as the latest
 * possible arrival (clamped to what |entry| allows) and updates |entry|. A zero |actual| gives
 * everything back. A cost above the reserve is debt: the window stays full until it has drained. */
void weir_ledger_settle(struct weir_ledger *l, struct weir_ledger_entry *entry,
                        const struct weir_cost *actual, weir_tstamp arrival_max, weir_tstamp now);

/* weir_ledger_pace_us returns how long the whole quota takes to produce |cost|: the largest
 * cost * window / amount over the limits, at least 1. The unit of class floors. */
weir_duration weir_ledger_pace_us(const struct weir_ledger *l, const struct weir_cost *cost);

/* weir_ledger_check asserts that every ring's sum is its slots' sum. */
void weir_ledger_check(const struct weir_ledger *l);

#endif
