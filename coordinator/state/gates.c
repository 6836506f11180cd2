/* gates.c - when a lease fits: every gate of every limit, the latest decides. */
#include "ledger_machine.h"

#include <assert.h>

/* Gates answer in turn until none moves the start any more; each round moves it, and within the
 * horizon there are few instants to move to. */
#define ROUNDS_MAX 64

/* A guess for calls in flight: somebody looks again then, or when one ends. */
#define FLIGHT_MIN_US (100 * WEIR_US_PER_MS)

/* A bucket whose size nobody stated holds this part of a window's amount. */
#define BURST_PART 20

/* What is asked of every gate. */
struct question {
  const struct weir_ledger_entry *entry;
  struct weir_weights weights; /* of its cost */
  weir_duration hold_us;
  const struct weir_instant *now;
};

/* ---- which gates there are ---- */

bool weir_limit_has_gates(const struct weir_limit_config *config)
{
  return config->dimension != WEIR_DIMENSION_IN_FLIGHT && !config->is_day &&
         (config->window_us <= WEIR_LEDGER_SMOOTH_MAX_US || config->burst > 0);
}

uint64_t weir_limit_bucket(const struct weir_limit_config *config, uint64_t amount)
{
  const uint64_t assumed = amount / BURST_PART;

  if (config->burst > 0)
    return config->burst;
  return assumed > 0 ? assumed : 1;
}

/* A sub-window that is too short for one request is widened to the least multiple that is not. */
uint64_t weir_limit_sub(const struct weir_limit_config *config, weir_duration sub_us,
                        uint64_t amount, weir_duration *ret_us)
{
  const weir_duration sub = sub_us > 0 ? sub_us : WEIR_SUB_DEFAULT_US, window = config->window_us;
  weir_duration one, length;

  if (config->dimension != WEIR_DIMENSION_REQUESTS || config->is_shadow ||
      !weir_limit_has_gates(config) || window <= sub)
    return 0;
  one = (window + amount - 1) / amount;
  length = (one + sub - 1) / sub * sub;
  if (length >= window)
    return 0;
  *ret_us = length;
  return weir_wide_clamp(weir_wide_mul(amount, length) / window, WEIR_LIMIT_MAX);
}

struct weir_gates weir_ledger_gates(const struct weir_rules_config *rules,
                                    const struct weir_limit_config *limit)
{
  struct weir_gates gates = {.is_smooth = weir_limit_has_gates(limit)};

  if (!gates.is_smooth)
    return gates;
  gates.burst = weir_limit_bucket(limit, limit->amount);
  gates.sub = weir_limit_sub(limit, rules->sub_us, limit->amount, &gates.sub_us);
  return gates;
}

/* ---- when a lease fits ---- */

static bool is_smooth(const struct weir_ledger *l, const struct weir_ledger_limit *limit,
                      weir_tstamp at)
{
  return limit->is_smoothable && (l->profile >= WEIR_PROFILE_BUCKET || at < l->smooth_until);
}

static uint64_t burst_of(const struct weir_ledger_limit *limit)
{
  return weir_limit_bucket(&limit->config, limit->effective);
}

/* When the window has room. What is larger than a cut limit, or together with its head-room, takes
 * the whole of it. */
static weir_tstamp window_earliest(const struct weir_ledger_limit *limit, const struct question *q,
                                   uint64_t charge, weir_tstamp at)
{
  const struct weir_calendar_zone *zone = weir_limit_zone(limit, q->now->calendar);
  const uint64_t sigma = weir_limit_sigma(limit, q->entry, charge);
  const weir_wide variance = limit->variance + weir_wide_mul(sigma, sigma);
  uint64_t needed = charge + weir_limit_head_room(weir_wide_sqrt_max(variance));

  /* Mostly there is room even for more than it needs. */
  if (!zone && needed <= limit->effective && limit->ring.used <= limit->effective - needed)
    return at;
  needed = charge + weir_limit_head_room(weir_wide_sqrt(variance));
  if (needed > limit->effective)
    needed = limit->effective;
  if (zone)
    return weir_day_earliest(&limit->day, zone, limit->effective - needed, q->hold_us, at);
  return weir_ring_earliest(&limit->ring, limit->effective - needed, at);
}

static weir_tstamp flight_earliest(const struct weir_ledger *l,
                                   const struct weir_ledger_limit *limit,
                                   const struct weir_ledger_entry *entry, weir_tstamp now,
                                   weir_tstamp at)
{
  const weir_duration guess = l->flight_us > FLIGHT_MIN_US ? l->flight_us : FLIGHT_MIN_US;
  weir_tstamp later = weir_time_add(now, guess);

  if (limit->flight + entry->cost.requests <= limit->effective || later < at)
    return at;
  return later;
}

static weir_tstamp limit_earliest(const struct weir_ledger *l,
                                  const struct weir_ledger_limit *limit, const struct question *q,
                                  weir_tstamp at)
{
  const uint64_t charge = weir_limit_charge(limit, q->entry, &q->weights);
  uint64_t burst;
  weir_tstamp then;

  if (limit->closed_until > at)
    at = limit->closed_until;
  if (!limit->is_windowed)
    return flight_earliest(l, limit, q->entry, q->now->at, at);
  at = window_earliest(limit, q, charge, at);
  if (!is_smooth(l, limit, at))
    return at;
  burst = burst_of(limit);
  then = weir_trail_bucket(&limit->trail, charge, burst > charge ? burst : charge, limit->effective,
                           at);
  /* What is smoothed only for a while after a freeze need not wait longer than that. */
  return l->profile < WEIR_PROFILE_BUCKET && then > l->smooth_until ? l->smooth_until : then;
}

/* The tightest of the limits that are enforced in sub-windows. A ramp is about the window: rounded
 * down to a second, a ceiling below two of them would never be used enough to grow. */
static weir_tstamp sub_earliest(const struct weir_ledger *l, const struct weir_ledger_entry *entry,
                                weir_tstamp at, int *ret_binding)
{
  uint64_t room = UINT64_MAX, cost = entry->cost.requests;

  if (!l->has_sub)
    return at;
  for (uint32_t i = 0; i < l->limits_count; i++) {
    const struct weir_ledger_limit *limit = &l->limits[i];
    weir_duration length = 0;
    uint64_t amount;

    if (weir_ledger_sub(l, limit, &length) == 0)
      continue;
    amount = weir_wide_clamp(weir_wide_mul(limit->cut_amount, l->sub.window_us) /
                                 limit->config.window_us,
                             WEIR_LIMIT_MAX);
    if (amount < room) {
      room = amount > 0 ? amount : 1;
      *ret_binding = (int)i;
    }
  }
  if (l->sub_closed_until > at)
    at = l->sub_closed_until;
  return weir_ring_earliest(&l->sub, cost < room ? room - cost : 0, at);
}

/* The index of a limit whose sliding counter would reject it at |at|, or -1. */
static int counter_binding(const struct weir_ledger *l, const struct question *q, weir_tstamp at)
{
  if (l->profile < WEIR_PROFILE_UNIVERSAL)
    return -1;
  for (uint32_t i = 0; i < l->limits_count; i++) {
    const struct weir_ledger_limit *limit = &l->limits[i];
    uint64_t charge = weir_limit_charge(limit, q->entry, &q->weights);

    if (limit->is_shadow || !limit->is_smoothable)
      continue;
    if (charge > limit->effective)
      charge = limit->effective;
    if (!weir_trail_counter(&limit->trail, charge, limit->effective, at))
      return (int)i;
  }
  return -1;
}

static weir_tstamp round_earliest(const struct weir_ledger *l, const struct question *q,
                                  weir_tstamp at, int *binding)
{
  weir_tstamp then;
  int sub_binding = -1;

  for (uint32_t i = 0; i < l->limits_count; i++) {
    if (l->limits[i].is_shadow)
      continue;
    then = limit_earliest(l, &l->limits[i], q, at);
    if (then > at) {
      at = then;
      *binding = (int)i;
    }
  }
  then = sub_earliest(l, q->entry, at, &sub_binding);
  if (then > at) {
    at = then;
    *binding = sub_binding;
  }
  return at;
}

static int misfit(const struct weir_ledger *l, const struct weir_weights *weights)
{
  for (uint32_t i = 0; i < l->limits_count; i++) {
    const struct weir_ledger_limit *limit = &l->limits[i];

    if (!limit->is_shadow && weights->of[limit->dimension] > limit->ceiling)
      return (int)i;
  }
  return -1;
}

int weir_ledger_misfit(const struct weir_ledger *l, const struct weir_cost *cost)
{
  const struct weir_weights weights = weir_weights_of(cost);

  return misfit(l, &weights);
}

weir_tstamp weir_ledger_earliest(struct weir_ledger *l, const struct weir_ledger_entry *entry,
                                 weir_duration hold_us, weir_tstamp from,
                                 const struct weir_instant *now, int *ret_binding)
{
  const struct question q = {entry, weir_weights_of(&entry->cost), hold_us, now};
  const weir_tstamp horizon = weir_time_add(now->at, WEIR_LEDGER_HORIZON_US);
  weir_tstamp at = from > l->start_last ? from : l->start_last;
  int binding = misfit(l, &q.weights);

  if (binding >= 0) {
    if (ret_binding)
      *ret_binding = binding;
    return WEIR_NEVER;
  }
  weir_ledger_refresh(l, now);
  if (l->frozen_until > at)
    at = l->frozen_until;
  for (int round = 0; round < ROUNDS_MAX; round++) {
    weir_tstamp before = at;
    int counter;

    at = round_earliest(l, &q, at, &binding);
    if (at > horizon)
      break;
    counter = counter_binding(l, &q, at);
    if (counter >= 0) { /* its weights fall as time goes by: a part of a slot later, again */
      at += l->limits[counter].trail.slot_us / 8 + 1;
      binding = counter;
    } else if (at == before) {
      break;
    }
    if (round == ROUNDS_MAX - 1)
      at = horizon + 1;
  }
  if (ret_binding)
    *ret_binding = binding;
  return at;
}

/* ---- an estimate of when ---- */

static weir_tstamp windows_later(const struct weir_ledger_limit *limit, weir_tstamp at,
                                 uint64_t windows)
{
  const weir_duration window =
      limit->config.is_day ? 24 * WEIR_US_PER_HOUR : limit->config.window_us;

  if (windows > WEIR_DURATION_MAX / window)
    return weir_time_add(at, WEIR_DURATION_MAX);
  return weir_time_add(at, windows * window);
}

static weir_tstamp limit_eta(const struct weir_ledger *l, const struct weir_ledger_limit *limit,
                             uint64_t ahead, uint64_t cost, weir_tstamp at,
                             const struct weir_instant *now)
{
  const struct weir_calendar_zone *zone = weir_limit_zone(limit, now->calendar);
  const uint64_t amount = limit->effective, total = ahead + cost;
  const uint64_t windows = total > 0 ? (total - 1) / amount : 0, rest = total - windows * amount;
  weir_tstamp then;

  if (!limit->is_windowed)
    return limit->flight + total <= amount
               ? at
               : weir_time_add(at, weir_wide_clamp(weir_wide_mul(l->flight_us, total) / amount,
                                                   WEIR_DURATION_MAX));
  if (limit->closed_until > at)
    at = limit->closed_until;
  if (zone)
    then = weir_day_earliest(&limit->day, zone, amount - rest, 0, at);
  else
    then = weir_ring_earliest(&limit->ring, amount - rest, at);
  then = windows_later(limit, then, windows);
  if (is_smooth(l, limit, at) && total > burst_of(limit)) {
    const weir_tstamp paced = weir_time_add(
        at,
        weir_wide_clamp(weir_wide_mul(total - burst_of(limit), limit->config.window_us) / amount,
                        WEIR_DURATION_MAX));

    if (ahead > 0 && paced > then)
      then = paced;
  }
  return then;
}

weir_tstamp weir_ledger_eta(struct weir_ledger *l, const struct weir_cost *ahead,
                            const struct weir_cost *cost, weir_tstamp from,
                            const struct weir_instant *now, int *ret_binding)
{
  weir_tstamp begin = from > l->frozen_until ? from : l->frozen_until;
  weir_tstamp eta = begin > l->start_last ? begin : l->start_last;
  int binding = weir_ledger_misfit(l, cost);

  if (binding >= 0) {
    if (ret_binding)
      *ret_binding = binding;
    return WEIR_NEVER;
  }
  weir_ledger_refresh(l, now);
  for (uint32_t i = 0; i < l->limits_count; i++) {
    const struct weir_ledger_limit *limit = &l->limits[i];
    const enum weir_dimension dimension = limit->config.dimension;
    weir_tstamp at;

    if (limit->config.is_shadow)
      continue;
    at = limit_eta(l, limit, weir_ledger_cost_of(ahead, dimension),
                   weir_ledger_cost_of(cost, dimension), begin, now);
    if (at > eta) {
      eta = at;
      binding = (int)i;
    }
  }
  if (l->has_sub && l->sub_closed_until > eta)
    eta = l->sub_closed_until;
  if (ret_binding)
    *ret_binding = binding;
  return eta;
}

/* Whether |limit| is kept by something about as short as calls are: its window, or the time in
 * which its bucket fills up. */
static bool is_short(const struct weir_ledger *l, const struct weir_ledger_limit *limit)
{
  if (!limit->is_windowed)
    return false;
  return limit->ring.window_us <= WEIR_LEDGER_REPORT_MAX_US ||
         (limit->is_smoothable && l->profile >= WEIR_PROFILE_BUCKET &&
          weir_wide_mul(burst_of(limit), limit->ring.window_us) <=
              weir_wide_mul(limit->effective, WEIR_LEDGER_REPORT_MAX_US));
}

/* That must hear of a writing before the call's end. */
bool weir_ledger_is_reported(const struct weir_ledger *l)
{
  if (l->has_sub)
    return true;
  for (uint32_t i = 0; i < l->limits_count; i++) {
    if (is_short(l, &l->limits[i]))
      return true;
  }
  return false;
}
