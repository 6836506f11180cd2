/* ring.h - an exact sliding window: what was charged, keyed by when it comes back.
 *
 * Slot k holds charges that expire in (k*slot, (k+1)*slot] and is free again at (k+1)*slot: time is
 * rounded against us, never for us. The rounding costs slot / window of the quota; with
 * WEIR_RING_SLOTS slots that is 0.06 % of a minute.
 * Sums over blocks of slots let the search for the next free instant skip: it visits at most
 * WEIR_RING_BLOCKS blocks, two blocks of rows of slots, and a row of slots.
 */
#ifndef WEIR_RING_H
#define WEIR_RING_H

#include <stdint.h>

#include <weir/slots.h>
#include <weir/time.h>

#define WEIR_RING_SLOTS  2048
#define WEIR_RING_BLOCK  256 /* so that all sums share a line of a cache */
#define WEIR_RING_BLOCKS (WEIR_RING_SLOTS / WEIR_RING_BLOCK)

struct weir_ring {
  weir_duration window_us, slot_us;
  uint64_t head;        /* number of the first slot that has not come back */
  weir_tstamp head_end; /* when it comes back: nothing changes before */
  uint64_t used;        /* sum of all slots */
  uint64_t *slots;      /* WEIR_RING_SLOTS (slots.h), owned by the caller */
  uint64_t blocks[WEIR_RING_BLOCKS];
};

/* weir_ring_init makes an empty ring of |window_us| that can hold charges up to |ahead_us| beyond
 * now + window. |slots| are WEIR_RING_SLOTS that outlive the ring. */
void weir_ring_init(struct weir_ring *r, uint64_t *slots, weir_duration window_us,
                    weir_duration ahead_us, weir_tstamp now);

/* weir_ring_advance gives back what has expired at |now|. Never goes back in time. */
void weir_ring_advance(struct weir_ring *r, weir_tstamp now);

/* weir_ring_add charges |cost| until |arrival_max| + window. What would already have expired is not
 * charged. Precondition: weir_ring_advance was called with this |now|, and the expiry lies within
 * the ring. */
void weir_ring_add(struct weir_ring *r, weir_tstamp arrival_max, uint64_t cost);

/* weir_ring_remove takes back a charge made with the same |arrival_max| and |cost|; nothing when it
 * has expired since. */
void weir_ring_remove(struct weir_ring *r, weir_tstamp arrival_max, uint64_t cost);

/* weir_ring_earliest returns the first instant at or after |from| at which at most |room| is
 * charged, given that nothing is added or settled; |from| itself when that holds at once. */
weir_tstamp weir_ring_earliest(const struct weir_ring *r, uint64_t room, weir_tstamp from);

/* weir_ring_block returns the number of the block of slots in which a charge of |arrival_max| comes
 * back: all of it has come back when the head is in a later one. */
uint64_t weir_ring_block(const struct weir_ring *r, weir_tstamp arrival_max);

/* weir_ring_check asserts that the sums agree. */
void weir_ring_check(const struct weir_ring *r);

#endif
