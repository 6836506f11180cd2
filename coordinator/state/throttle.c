#include <weir/throttle.h>

#include <assert.h>

/* Tokens are counted in millionths: a rate a second is one of so many units a microsecond. */
#define UNIT UINT64_C(1000000)

/* What is still taken out after |elapsed|. */
static uint64_t refill(uint64_t used, uint64_t rate, weir_duration elapsed)
{
  /* With at most a minute of 10^9 a second taken out, only a long pause could overflow. */
  if (rate == 0 || elapsed > used / rate)
    return 0;
  return used - elapsed * rate;
}

/* Whether |cost| fits into what is left of a bucket. */
static bool has_room(uint64_t used, uint64_t cost, uint64_t rate, weir_duration burst)
{
  return rate == 0 || used == 0 || used + cost <= rate * burst;
}

bool weir_throttle_take(struct weir_throttle *t, const struct weir_throttle_limits *limits,
                        uint64_t bytes, weir_tstamp now)
{
  const weir_duration elapsed = weir_time_sub(now, t->at);

  assert(limits->messages <= WEIR_THROTTLE_RATE_MAX && limits->bytes <= WEIR_THROTTLE_RATE_MAX);
  assert(limits->burst_us <= WEIR_THROTTLE_BURST_MAX_US && bytes <= UINT32_MAX);
  t->at = now;
  t->messages_used = refill(t->messages_used, limits->messages, elapsed);
  t->bytes_used = refill(t->bytes_used, limits->bytes, elapsed);
  if (!has_room(t->messages_used, UNIT, limits->messages, limits->burst_us) ||
      !has_room(t->bytes_used, bytes * UNIT, limits->bytes, limits->burst_us))
    return false;
  t->messages_used += limits->messages > 0 ? UNIT : 0;
  t->bytes_used += limits->bytes > 0 ? bytes * UNIT : 0;
  return true;
}
