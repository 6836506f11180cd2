/* latency.h - how long calls take: a histogram of logarithmic buckets that forgets.
 *
 * Sixteen buckets for each doubling, so what is read back is off by at most 1/32 of itself (by 32
 * microseconds below a millisecond). When it holds WEIR_LATENCY_KEEP calls every bucket is halved:
 * a call counts half as much after about KEEP / 2 others, whatever the time.
 *
 * Owner: the caller owns the struct; all zero it is empty. Cost: learn O(1), but for a halving now
 * and then; a quantile O(buckets).
 */
#ifndef WEIR_LATENCY_H
#define WEIR_LATENCY_H

#include <stdint.h>

#include <weir/time.h>

#define WEIR_LATENCY_BUCKETS 368  /* up to 71 minutes; longer calls count as that long */
#define WEIR_LATENCY_KEEP    1024 /* calls */

struct weir_latency {
  uint32_t count; /* sum of the buckets, below WEIR_LATENCY_KEEP */
  uint16_t buckets[WEIR_LATENCY_BUCKETS];
};

/* weir_latency_learn takes in a call that took |took_us|. */
void weir_latency_learn(struct weir_latency *l, weir_duration took_us);

/* weir_latency_merge takes in all that |other| holds, as if its calls had come here. */
void weir_latency_merge(struct weir_latency *l, const struct weir_latency *other);

/* weir_latency_quantile_us returns what |pm| thousandths of the calls took at most, the middle of a
 * bucket; 0 when there are none. */
weir_duration weir_latency_quantile_us(const struct weir_latency *l, uint32_t pm);

#endif
