/* retry.h - what follows a failed attempt: the end, another one later, or another one elsewhere.
 *
 *   struct weir_retry_track track = {0};
 *   after each failure:
 *     retry = weir_retry_next(&policy, &track, &failure, remaining, &rng);
 *     stop, or ask for a lease after retry.after_us, with track.avoid
 *
 *   outcome                                       the next attempt
 *   ok, bad_request, cancelled                    none
 *   quota_minute_*                                at once: the coordinator has frozen the pool and
 *                                                 lets in who waits there one by one
 *   ramp_limit                                    later
 *   everything else                               of a route at once, on a choice that did not fail
 *                                                 yet; when all have failed, later, if there is one
 *                                                 whose failure may pass; later, too, of what is no
 *                                                 route, if the failure may pass
 *
 * "Later" is backoff with full jitter: a uniform draw below a bound that doubles. A wait that the
 * provider stated is kept on top, and the draw's range grows with it, so that a fleet that was told
 * the same second does not come back in step. Nothing starts at or after the caller's deadline.
 */
#ifndef WEIR_RETRY_H
#define WEIR_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/classify.h>
#include <weir/rng.h>
#include <weir/time.h>

#define WEIR_RETRY_CHOICES_MAX 16 /* bits of a set of choices: bit n - 1 is choice n */

struct weir_retry_policy {
  uint32_t retries_max;  /* 0: never */
  weir_duration base_us; /* bound of the first backoff; doubles with each attempt */
  weir_duration cap_us;  /* bound of every backoff */
};

#define WEIR_RETRY_POLICY_DEFAULT                                                                  \
  {                                                                                                \
    .retries_max = 3, .base_us = 500 * WEIR_US_PER_MS, .cap_us = 30 * WEIR_US_PER_S                \
  }

enum weir_retry_what {
  WEIR_RETRY_STOP = 1,
  WEIR_RETRY_AGAIN,    /* under the same name, after a while */
  WEIR_RETRY_ELSEWHERE /* at once, on another choice of the route */
};

/* What a call has behind it. Zeros at first, but for |failures| of a call that its caller tried
 * before. */
struct weir_retry_track {
  uint32_t failures; /* attempts that failed */
  uint64_t avoid;    /* choices that the next ask avoids */
  uint64_t closed;   /* those among them that no further attempt of this call mends */
};

struct weir_retry_failure {
  enum weir_outcome outcome; /* 0: this instance cannot use the choice, nothing was sent; that is
                                no attempt */
  bool is_retryable;         /* may pass by itself */
  bool has_wait;
  weir_duration wait_us;    /* as the provider stated it */
  uint32_t choice, choices; /* it was choice n of so many of a route; 0: asked for itself */
};

struct weir_retry {
  enum weir_retry_what what;
  weir_duration after_us; /* not before; 0 unless AGAIN */
};

/* weir_retry_next decides after |failure|, with |remaining_us| left until the caller's deadline,
 * and takes it into |track|. STOP: nothing helps, the policy's count is reached, or the next
 * attempt would start at or after the deadline. */
struct weir_retry weir_retry_next(const struct weir_retry_policy *policy,
                                  struct weir_retry_track *track,
                                  const struct weir_retry_failure *failure,
                                  weir_duration remaining_us, struct weir_rng *rng);

#endif
