#include <weir/retry.h>

#include <assert.h>

/* What may help after a failure. */
enum help {
  HELP_NONE,
  HELP_TURN,  /* a new ask: the coordinator knows when */
  HELP_TIME,  /* the same later */
  HELP_CHANGE /* another model, or the same later if that may pass */
};

static enum help help_of(enum weir_outcome outcome)
{
  switch (outcome) {
  case WEIR_OUTCOME_OK:
  case WEIR_OUTCOME_BAD_REQUEST:
  case WEIR_OUTCOME_CANCELLED:
    return HELP_NONE;
  case WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS:
  case WEIR_OUTCOME_QUOTA_MINUTE_TOKENS:
    return HELP_TURN;
  case WEIR_OUTCOME_RAMP_LIMIT:
    return HELP_TIME;
  case WEIR_OUTCOME_QUOTA_DAY_REQUESTS:
  case WEIR_OUTCOME_QUOTA_DAY_TOKENS:
  case WEIR_OUTCOME_QUOTA_SPEND:
  case WEIR_OUTCOME_CAPACITY_THROTTLE:
  case WEIR_OUTCOME_OVERLOADED:
  case WEIR_OUTCOME_SERVER_ERROR:
  case WEIR_OUTCOME_DEADLINE:
  case WEIR_OUTCOME_REQUEST_TOO_LARGE:
  case WEIR_OUTCOME_CONTEXT_OVERFLOW:
  case WEIR_OUTCOME_NO_ACCESS_TIER:
  case WEIR_OUTCOME_BILLING:
  case WEIR_OUTCOME_AUTH:
  case WEIR_OUTCOME_PERMISSION:
  case WEIR_OUTCOME_MODEL_NOT_FOUND:
  case WEIR_OUTCOME_NETWORK:
  case WEIR_OUTCOME_MAX:
  default:
    return HELP_CHANGE;
  }
}

static uint32_t count_of(uint64_t choices)
{
  uint32_t count = 0;

  for (; choices != 0; choices &= choices - 1)
    count++;
  return count;
}

static weir_duration backoff_bound(const struct weir_retry_policy *policy, uint32_t attempt)
{
  weir_duration bound = policy->base_us;

  for (uint32_t i = 1; i < attempt && bound < policy->cap_us; i++)
    bound = bound > policy->cap_us / 2 ? policy->cap_us : 2 * bound;
  return bound < policy->cap_us ? bound : policy->cap_us;
}

/* A draw leaves half of the time to the attempt. */
static struct weir_retry later(const struct weir_retry_policy *policy, uint32_t attempt,
                               weir_duration wait_us, weir_duration remaining_us,
                               struct weir_rng *rng)
{
  const weir_duration left = weir_time_sub(remaining_us, wait_us);
  weir_duration range = weir_time_add(backoff_bound(policy, attempt), wait_us / 2);

  if (left == 0)
    return (struct weir_retry){.what = WEIR_RETRY_STOP};
  if (range > left / 2)
    range = left / 2;
  return (struct weir_retry){.what = WEIR_RETRY_AGAIN,
                             .after_us = wait_us + weir_rng_below(rng, range + 1)};
}

/* Takes a choice out; false when it was out for good, so that avoiding does not help. */
static bool take_out(struct weir_retry_track *track, const struct weir_retry_failure *failure)
{
  const uint64_t bit = failure->choice > 0 ? UINT64_C(1) << (failure->choice - 1) : 0;

  if (track->closed & bit)
    return false;
  track->avoid |= bit;
  if (!failure->is_retryable)
    track->closed |= bit;
  return true;
}

struct weir_retry weir_retry_next(const struct weir_retry_policy *policy,
                                  struct weir_retry_track *track,
                                  const struct weir_retry_failure *failure,
                                  weir_duration remaining_us, struct weir_rng *rng)
{
  const struct weir_retry stop = {.what = WEIR_RETRY_STOP};
  const enum help help = help_of(failure->outcome);
  const weir_duration wait_us = failure->is_retryable && failure->has_wait ? failure->wait_us : 0;

  assert(failure->choice <= failure->choices && failure->choices <= WEIR_RETRY_CHOICES_MAX);
  if (failure->outcome != 0 && track->failures < UINT32_MAX)
    track->failures++;
  if (help == HELP_NONE || remaining_us == 0 || track->failures > policy->retries_max)
    return stop;
  if (help == HELP_TURN && failure->is_retryable)
    return (struct weir_retry){.what = WEIR_RETRY_AGAIN};
  if (help == HELP_TIME && failure->is_retryable)
    return later(policy, track->failures, wait_us, remaining_us, rng);
  if (!take_out(track, failure))
    return stop;
  if (failure->choices > count_of(track->avoid))
    return (struct weir_retry){.what = WEIR_RETRY_ELSEWHERE};
  /* All have failed: those round again whose failures may pass. */
  track->avoid = track->closed;
  if (failure->choices > 0 ? failure->choices <= count_of(track->closed) : !failure->is_retryable)
    return stop;
  return later(policy, track->failures, wait_us, remaining_us, rng);
}
