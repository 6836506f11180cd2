/* trail.h - what may have arrived in the last two windows, for gates that ask for smoothness.
 *
 * Charges stand in slots by their latest possible arrival; a slot counts as its end, the youngest
 * that its charges can be. Time is rounded against us, and so is the window: it is a whole number
 * of slots, by less than a slot's worth of microseconds longer than the provider's.
 *
 * Two questions, for a lease of |cost| that starts at |at|:
 *
 *   bucket   does a bucket of |burst|, refilled by amount / window, take it? For every y, what may
 *            arrive from y on, with the lease, is at most burst + amount * (at - y) / window.
 *   counter  does a sliding counter take it, whatever its phase? For every age e of its present
 *            fixed window, cur + prev * (1 - e / window) is at most amount.
 *
 * docs/LEDGER.md has the derivations. Cost: add and remove O(1); a question O(1) while the trail
 * holds little, else O(WEIR_TRAIL_SLOTS).
 */
#ifndef WEIR_TRAIL_H
#define WEIR_TRAIL_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/slots.h>
#include <weir/time.h>

#define WEIR_TRAIL_SLOTS 1024

struct weir_trail {
  weir_duration window_us, slot_us;
  uint64_t window_slots; /* window_slots * slot_us >= window_us */
  uint64_t head;         /* number of the oldest slot that is kept */
  weir_tstamp turn_at;   /* when it is forgotten: nothing changes before */
  uint64_t newest;       /* of the slots that were ever charged */
  uint64_t total;        /* sum of all slots */
  uint64_t *slots;       /* WEIR_TRAIL_SLOTS (slots.h), owned by the caller */
};

/* weir_trail_init makes an empty trail of |window_us| for arrivals up to |ahead_us| beyond now.
 * |slots| are WEIR_TRAIL_SLOTS that outlive the trail. */
void weir_trail_init(struct weir_trail *t, uint64_t *slots, weir_duration window_us,
                     weir_duration ahead_us, weir_tstamp now);

/* weir_trail_advance forgets what is older than two windows at |now|. */
void weir_trail_advance(struct weir_trail *t, weir_tstamp now);

/* weir_trail_add charges |cost| at |arrival_max|; what is older than the trail is not charged.
 * Precondition, of weir_trail_remove too: weir_trail_advance was called with this now, and
 * |arrival_max| lies within |ahead_us|. */
void weir_trail_add(struct weir_trail *t, weir_tstamp arrival_max, uint64_t cost);

/* weir_trail_remove takes back a charge made with the same arguments; nothing when it is
 * forgotten. */
void weir_trail_remove(struct weir_trail *t, weir_tstamp arrival_max, uint64_t cost);

/* weir_trail_bucket returns the first instant at or after |at| at which a bucket of |burst| >=
 * |cost| that is refilled by |amount| > 0 a window takes |cost|. */
weir_tstamp weir_trail_bucket(const struct weir_trail *t, uint64_t cost, uint64_t burst,
                              uint64_t amount, weir_tstamp at);

/* weir_trail_counter tells whether a sliding counter of |amount| takes |cost| at |at|. */
bool weir_trail_counter(const struct weir_trail *t, uint64_t cost, uint64_t amount, weir_tstamp at);

/* weir_trail_peak returns the most that may have been in one window that ended at |from| or later;
 * UINT64_MAX when the trail does not reach back that far. */
uint64_t weir_trail_peak(const struct weir_trail *t, weir_tstamp from);

/* weir_trail_mean returns what a window held on the mean of the last two before |until|, as far as
 * they are kept: what was in use lately. */
uint64_t weir_trail_mean(const struct weir_trail *t, weir_tstamp until);

/* weir_trail_check asserts that the total is the sum of the slots. */
void weir_trail_check(const struct weir_trail *t);

#endif
