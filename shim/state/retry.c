#include <weir/retry.h>

#include <assert.h>

static weir_duration backoff_bound(const struct weir_retry_policy *policy, uint32_t attempt)
{
  weir_duration bound = policy->base_us;

  for (uint32_t i = 1; i < attempt && bound < policy->cap_us; i++)
    bound = bound > policy->cap_us / 2 ? policy->cap_us : 2 * bound;
  return bound < policy->cap_us ? bound : policy->cap_us;
}

struct weir_retry weir_retry_next(const struct weir_retry_policy *policy, uint32_t attempt,
                                  const struct weir_verdict *verdict, weir_duration remaining_us,
                                  struct weir_rng *rng)
{
  struct weir_retry retry = {0};
  weir_duration bound, after_us;

  assert(attempt > 0);
  if (!verdict->is_retryable || attempt > policy->retries_max)
    return retry;
  bound = backoff_bound(policy, attempt);
  after_us = weir_rng_below(rng, weir_time_add(bound, 1));
  if (verdict->has_wait)
    after_us = weir_time_add(verdict->wait_us, after_us);
  if (after_us >= remaining_us)
    return retry;
  retry.is_retry = true;
  retry.after_us = after_us;
  return retry;
}
