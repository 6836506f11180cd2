/* throttle.h - how much one peer may say: two token buckets, messages and bytes.
 *
 * Integers only. A bucket begins full; what it lacks comes back evenly. Owner: the caller. Pure.
 */
#ifndef WEIR_THROTTLE_H
#define WEIR_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/time.h>

#define WEIR_THROTTLE_RATE_MAX     UINT64_C(1000000000) /* a second */
#define WEIR_THROTTLE_BURST_MAX_US WEIR_US_PER_MIN

struct weir_throttle_limits {
  uint64_t messages, bytes; /* a second, each at most WEIR_THROTTLE_RATE_MAX; 0: no limit */
  weir_duration burst_us;   /* a bucket holds what its rate gives in this time: at most
                               WEIR_THROTTLE_BURST_MAX_US */
};

/* All zero: full. */
struct weir_throttle {
  weir_tstamp at;                     /* of the last look */
  uint64_t messages_used, bytes_used; /* out of the full buckets, in millionths */
};

/* weir_throttle_take tells whether one message of |bytes| bytes may pass at |now|, which never goes
 * back, and if so takes it out of both buckets; one that may not takes nothing. A message larger
 * than a whole bucket may pass when the bucket is full. */
bool weir_throttle_take(struct weir_throttle *t, const struct weir_throttle_limits *limits,
                        uint64_t bytes, weir_tstamp now);

#endif
