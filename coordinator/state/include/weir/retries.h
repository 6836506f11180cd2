/* retries.h - how many new attempts the calls of one pool may make, in the whole fleet.
 *
 * First attempts earn a share of a token each, a new attempt takes one. So an outage, in which
 * every call wants another attempt, adds that share to the load and not a multiple of it. What is
 * not taken is worth no more than the earnings of the last ten seconds, or ten tokens where that
 * is more: quiet times are not saved up. A token in ten seconds comes by itself, so that a quiet
 * pool can try again at all.
 *
 * No clock of its own. Owner: the machine's pools. Cost: O(1).
 */
#ifndef WEIR_RETRIES_H
#define WEIR_RETRIES_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/time.h>

#define WEIR_RETRIES_SLOTS      10 /* of a second each: the earnings that are remembered */
#define WEIR_RETRIES_TOKEN      UINT64_C(1000)
#define WEIR_RETRIES_LEAST      (10 * WEIR_RETRIES_TOKEN) /* at the start; the bound is never lower */
#define WEIR_RETRIES_TRICKLE_US (10 * WEIR_US_PER_S)      /* a token by itself */

struct weir_retries {
  uint64_t balance; /* thousandths of a token */
  weir_tstamp trickled_at, refreshed_at;
  uint64_t summed, summed_second; /* what |slots| hold, as of that second */
  struct {
    uint64_t number, earned; /* the second, counted from the clock's zero */
  } slots[WEIR_RETRIES_SLOTS];
};

/* weir_retries_init makes a balance of ten tokens. */
void weir_retries_init(struct weir_retries *r, weir_tstamp now);

/* weir_retries_earn adds |share_pm| thousandths of a token: a first attempt was granted. */
void weir_retries_earn(struct weir_retries *r, uint32_t share_pm, weir_tstamp now);

/* weir_retries_lose takes that back: it was not made after all. */
void weir_retries_lose(struct weir_retries *r, uint32_t share_pm, weir_tstamp now);

/* weir_retries_take takes a token for a new attempt; false when there is none. |ret_at| then gets
 * when there will be one, as far as the last seconds tell. */
bool weir_retries_take(struct weir_retries *r, weir_tstamp now, weir_tstamp *ret_at);

/* weir_retries_give takes a token back that was not used. */
void weir_retries_give(struct weir_retries *r, weir_tstamp now);

/* weir_retries_check asserts that the balance is within its bound. */
void weir_retries_check(const struct weir_retries *r);

#endif
