/* retry.h - whether and when to try a failed call again.
 *
 * Backoff with full jitter (a uniform draw below a doubling bound), on top of the wait that the
 * provider stated; never past the caller's deadline.
 */
#ifndef WEIR_RETRY_H
#define WEIR_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/classify.h>
#include <weir/rng.h>
#include <weir/time.h>

struct weir_retry_policy {
  uint32_t retries_max;  /* 0: never */
  weir_duration base_us; /* bound of the first backoff; doubles with each attempt */
  weir_duration cap_us;  /* bound of every backoff */
};

#define WEIR_RETRY_POLICY_DEFAULT                                                                  \
  {                                                                                                \
    .retries_max = 3, .base_us = 500 * WEIR_US_PER_MS, .cap_us = 30 * WEIR_US_PER_S                \
  }

struct weir_retry {
  bool is_retry;
  weir_duration after_us; /* not before */
};

/* weir_retry_next decides after the failed attempt number |attempt| (the first is 1), with
 * |remaining_us| left until the caller's deadline. No retry: the verdict is not retryable, the
 * policy's count is reached, or the next attempt would start at or after the deadline. */
struct weir_retry weir_retry_next(const struct weir_retry_policy *policy, uint32_t attempt,
                                  const struct weir_verdict *verdict, weir_duration remaining_us,
                                  struct weir_rng *rng);

#endif
