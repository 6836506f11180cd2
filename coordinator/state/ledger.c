#include "ledger_machine.h"

#include <assert.h>
#include <string.h>

/* ---- what a lease weighs ---- */

uint64_t weir_ledger_cost_of(const struct weir_cost *cost, enum weir_dimension dimension)
{
  const struct weir_weights weights = weir_weights_of(cost);

  assert(dimension > 0 && dimension < WEIR_DIMENSION_MAX);
  return weights.of[dimension];
}

static uint64_t flight_of(const struct weir_ledger_limit *limit,
                          const struct weir_ledger_entry *entry)
{
  return !limit->is_windowed && entry->is_open && !entry->is_void ? entry->cost.requests : 0;
}

/* What is known before the end is the input; the output has yet to come. */
static weir_wide variance_of(const struct weir_ledger_limit *limit,
                             const struct weir_ledger_entry *entry, uint64_t charge)
{
  uint64_t sigma;

  if (!entry->is_open || (entry->is_known && limit->dimension == WEIR_DIMENSION_INPUT_TOKENS))
    return 0;
  sigma = weir_limit_sigma(limit, entry, charge);
  return weir_wide_mul(sigma, sigma);
}

/* Those before it are over. */
static uint64_t head_block(const struct weir_ledger_limit *limit)
{
  return limit->ring.head / WEIR_RING_BLOCK;
}

static weir_wide *variance_block(struct weir_ledger_limit *limit, uint64_t block)
{
  return &limit->variances[block % WEIR_LEDGER_VARIANCES];
}

static void variance_add(struct weir_ledger_limit *limit, weir_tstamp arrival_max,
                         weir_wide variance)
{
  uint64_t block;

  if (variance == 0 || (block = weir_ring_block(&limit->ring, arrival_max)) < head_block(limit))
    return;
  *variance_block(limit, block) += variance;
  limit->variance += variance;
}

static void variance_remove(struct weir_ledger_limit *limit, weir_tstamp arrival_max,
                            weir_wide variance)
{
  uint64_t block;

  if (variance == 0 || (block = weir_ring_block(&limit->ring, arrival_max)) < head_block(limit))
    return;
  assert(*variance_block(limit, block) >= variance);
  *variance_block(limit, block) -= variance;
  limit->variance -= variance;
}

/* A ring reaches over fewer blocks than are kept, so none of those ahead shares a place with one
 * that has passed. */
static void window_advance(struct weir_ledger_limit *limit, weir_tstamp now)
{
  uint64_t block = head_block(limit);

  static_assert(WEIR_LEDGER_VARIANCES > WEIR_RING_BLOCKS + 1, "see above");
  weir_ring_advance(&limit->ring, now);
  for (; limit->variance > 0 && block < head_block(limit); block++) {
    limit->variance -= *variance_block(limit, block);
    *variance_block(limit, block) = 0;
  }
}

/* ---- opening and closing ---- */

/* A bit that no other limit has. Limits change places, their bits stay. */
static uint8_t bit_free(const struct weir_ledger *l, const struct weir_ledger_limit *self)
{
  uint8_t taken = 0;

  for (uint32_t i = 0; i < l->limits_count; i++) {
    if (&l->limits[i] != self)
      taken |= l->limits[i].bit;
  }
  return (uint8_t)(~taken & (taken + 1));
}

/* What follows from |config|, where every lease finds it. */
static void limit_know(struct weir_ledger_limit *limit, const struct weir_limit_config *config)
{
  const weir_wide window = config->window_us;

  limit->config = *config;
  limit->dimension = (uint8_t)config->dimension;
  limit->is_day = config->is_day;
  limit->is_shadow = config->is_shadow;
  limit->is_prepaid = config->is_prepaid;
  limit->is_windowed = config->dimension != WEIR_DIMENSION_IN_FLIGHT;
  limit->is_smoothable = weir_limit_has_gates(config);
  /* Only what is estimated can be wrong: a request is one request. */
  limit->is_estimated =
      limit->is_windowed && config->dimension != WEIR_DIMENSION_REQUESTS && !config->is_prepaid;
  limit->pace_bits = 0;
  while (window > 0 && (window << (limit->pace_bits + 1)) / config->amount < INT64_MAX)
    limit->pace_bits++;
  limit->pace = (uint64_t)(((window << limit->pace_bits) + config->amount - 1) / config->amount);
}

static void limit_open(struct weir_ledger *l, struct weir_ledger_limit *limit,
                       const struct weir_limit_config *config, const struct weir_instant *now)
{
  uint64_t *ring = limit->ring.slots, *trail = limit->trail.slots;

  memset(limit, 0, sizeof(*limit));
  limit_know(limit, config);
  limit->bit = bit_free(l, limit);
  assert(limit->bit != 0);
  limit->ceiling = limit->effective = limit->cut_amount = config->amount;
  limit->born_number = now->number;
  limit->ring.slots = ring;
  limit->trail.slots = trail;
  l->turns_at = 0; /* its own may turn before */
  weir_day_init(&limit->day, now->number);
  if (limit->is_windowed)
    weir_ring_init(&limit->ring, ring, config->window_us, WEIR_LEDGER_AHEAD_US, now->at);
  if (limit->is_smoothable)
    weir_trail_init(&limit->trail, trail, config->window_us, WEIR_LEDGER_AHEAD_US, now->at);
}

void weir_limit_close(struct weir_ledger_limit *limit, weir_tstamp until)
{
  const weir_duration window = limit->config.window_us;
  const weir_tstamp over_at = until + WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US + window;

  if (limit->is_windowed && window <= WEIR_LEDGER_ASSUME_MAX && over_at > limit->closed_until)
    limit->closed_until = over_at;
}

uint64_t weir_ledger_sub(const struct weir_ledger *l, const struct weir_ledger_limit *limit,
                         weir_duration *ret_us)
{
  return weir_limit_sub(&limit->config, l->rules.sub_us, limit->ceiling, ret_us);
}

void weir_ledger_sub_open(struct weir_ledger *l, weir_duration hold_us, bool is_new,
                          const struct weir_instant *now)
{
  const bool had_sub = l->has_sub, has_room = hold_us <= l->sub_hold_us;
  weir_duration longest = 0;

  for (uint32_t i = 0; i < l->limits_count; i++) {
    weir_duration length = 0;

    if (weir_ledger_sub(l, &l->limits[i], &length) > 0 && length > longest)
      longest = length;
  }
  if (!has_room)
    l->sub_hold_us = hold_us;
  l->has_sub = l->profile >= WEIR_PROFILE_PACED && longest > 0;
  if (!l->has_sub || (had_sub && has_room && longest == l->sub.window_us))
    return;
  weir_ring_init(&l->sub, l->sub.slots, longest,
                 l->sub_hold_us + WEIR_LEDGER_WIDEN_MAX_US + WEIR_LEDGER_HORIZON_US, now->at);
  l->turns_at = 0;
  l->sub_born_number = now->number;
  l->sub_closed_until = is_new
                            ? 0
                            : weir_time_add(now->at > l->start_last ? now->at : l->start_last,
                                            WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US + longest);
}

static bool has_day(const struct weir_ledger *l)
{
  for (uint32_t i = 0; i < l->limits_count; i++) {
    if (l->limits[i].config.is_day)
      return true;
  }
  return false;
}

static enum weir_profile profile_of(const struct weir_rules_config *rules)
{
  return rules->profile > 0 ? rules->profile : WEIR_PROFILE_WINDOW;
}

void weir_ledger_init(struct weir_ledger *l, uint64_t *slots,
                      const struct weir_ledger_config *config, const struct weir_instant *now)
{
  memset(l, 0, sizeof(*l));
  l->limits_count = config->limits_count;
  l->rules = *config->rules;
  l->profile = profile_of(&l->rules);
  l->clean_at = now->at;
  l->hold_us = config->hold_us;
  /* Limits not in use keep their slots too: a reload may bring them into use. */
  for (uint32_t i = 0; i < WEIR_LIMITS_MAX; i++) {
    l->limits[i].ring.slots = weir_slots_from(slots, (size_t)i * WEIR_LEDGER_LIMIT_SLOTS);
    l->limits[i].trail.slots =
        weir_slots_from(l->limits[i].ring.slots, WEIR_RING_SLOTS + WEIR_LEDGER_GAP);
  }
  l->sub.slots = weir_slots_from(slots, (size_t)WEIR_LIMITS_MAX * WEIR_LEDGER_LIMIT_SLOTS);
  for (uint32_t i = 0; i < config->limits_count; i++)
    limit_open(l, &l->limits[i], &config->limits[i], now);
  l->has_day = has_day(l);
  l->refreshed_at = now->at;
  weir_ledger_sub_open(l, config->hold_us, true, now);
}

/* ---- another configuration ---- */

/* Limits are known by what they count and how; only their amounts, bursts and modes may change. */
static bool is_same(const struct weir_limit_config *a, const struct weir_limit_config *b)
{
  return a->dimension == b->dimension && a->window_us == b->window_us && a->is_day == b->is_day &&
         (!a->is_day || a->zone_id == b->zone_id) && a->is_prepaid == b->is_prepaid &&
         weir_limit_is_burst_kept(a) == weir_limit_is_burst_kept(b);
}

static void swap(struct weir_ledger *l, uint32_t a, uint32_t b)
{
  struct weir_ledger_limit kept = l->limits[a];

  l->limits[a] = l->limits[b];
  l->limits[b] = kept;
}

/* The place at or behind |from| of the limit that |wanted| means; limits_count if there is none. */
static uint32_t limit_find(const struct weir_ledger *l, uint32_t from,
                           const struct weir_limit_config *wanted)
{
  while (from < l->limits_count && !is_same(&l->limits[from].config, wanted))
    from++;
  return from;
}

static bool is_wanted(const struct weir_ledger_config *config,
                      const struct weir_limit_config *limit)
{
  for (uint32_t i = 0; i < config->limits_count; i++) {
    if (is_same(&config->limits[i], limit))
      return true;
  }
  return false;
}

/* The place at or behind |from| of a limit that |config| does not want, or a new place behind all.
 * There always is one: those wanted and the new one are at most WEIR_LIMITS_MAX together. */
static uint32_t limit_place(struct weir_ledger *l, uint32_t from,
                            const struct weir_ledger_config *config)
{
  while (from < l->limits_count && is_wanted(config, &l->limits[from].config))
    from++;
  if (from == l->limits_count)
    l->limits_count++;
  assert(l->limits_count <= WEIR_LIMITS_MAX);
  return from;
}

/* What was learned of another amount is not true of this one. |others_until|: of calls in no book,
 * which heeded the limit if it was enforced. */
static void limit_change(struct weir_ledger_limit *limit, const struct weir_limit_config *config,
                         weir_tstamp others_until)
{
  if (limit->is_shadow && !config->is_shadow && others_until > 0)
    weir_limit_close(limit, others_until);
  if (limit->config.amount != config->amount || limit->config.islands != config->islands) {
    limit->ceiling = limit->effective = limit->cut_amount = config->amount;
    limit->cut_from = 0;
    limit->ramp.base = 0;
  }
  if (limit->config.amount + limit->config.islands != config->amount + config->islands)
    weir_limit_reopen(limit);
  limit_know(limit, config);
}

static void ramps_end(struct weir_ledger *l)
{
  for (uint32_t i = 0; i < l->limits_count; i++) {
    l->limits[i].ramp.base = 0;
    l->limits[i].effective = l->limits[i].cut_amount;
  }
}

void weir_ledger_configure(struct weir_ledger *l, const struct weir_ledger_config *config,
                           const struct weir_instant *now)
{
  const weir_tstamp granted = now->at > l->start_last ? now->at : l->start_last;
  const weir_tstamp started = config->others_until > granted ? config->others_until : granted;
  const bool is_other = l->rules.profile != config->rules->profile ||
                        l->rules.is_fixed != config->rules->is_fixed ||
                        l->rules.sub_us != config->rules->sub_us;

  weir_ledger_refresh(l, now);
  for (uint32_t i = 0; i < config->limits_count; i++) {
    const struct weir_limit_config *wanted = &config->limits[i];
    uint32_t found = limit_find(l, i, wanted);

    if (found < l->limits_count) {
      swap(l, i, found);
      if (wanted->is_shadow && !l->limits[i].is_shadow)
        l->shape = 0; /* what is durable says how much may be granted after it */
      limit_change(&l->limits[i], wanted, config->others_until);
    } else {
      swap(l, i, limit_place(l, i, config));
      limit_open(l, &l->limits[i], wanted, now);
      weir_limit_close(&l->limits[i], started);
    }
  }
  l->limits_count = config->limits_count;
  l->has_day = has_day(l);
  l->rules = *config->rules;
  if (is_other)
    l->profile = profile_of(&l->rules);
  if (l->rules.ramp_pm == 0)
    ramps_end(l);
  if (config->hold_us > l->hold_us)
    l->shape = 0; /* what is durable knows of no leases as long */
  l->hold_us = config->hold_us;
  weir_ledger_sub_open(l, config->hold_us, false, now);
}

void weir_ledger_assume_spent(struct weir_ledger *l, weir_tstamp until)
{
  for (uint32_t i = 0; i < l->limits_count; i++)
    weir_limit_close(&l->limits[i], until);
}

/* ---- the books ---- */

static void turn_at(struct weir_ledger *l, weir_tstamp at)
{
  if (at < l->turns_at)
    l->turns_at = at;
}

static void slots_advance(struct weir_ledger *l, weir_tstamp now)
{
  l->turns_at = WEIR_NEVER;
  for (uint32_t i = 0; i < l->limits_count; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];

    if (limit->is_windowed) {
      window_advance(limit, now);
      turn_at(l, limit->ring.head_end);
    } else {
      turn_at(l, weir_limit_ghosts(limit, now));
    }
    if (limit->is_smoothable) {
      weir_trail_advance(&limit->trail, now);
      turn_at(l, limit->trail.turn_at);
    }
  }
  if (l->has_sub) {
    weir_ring_advance(&l->sub, now);
    turn_at(l, l->sub.head_end);
  }
}

static void books_refresh(struct weir_ledger *l, weir_tstamp now)
{
  if (now >= l->turns_at)
    slots_advance(l, now);
  if (!l->is_calm)
    weir_learn_refresh(l, now);
  l->refreshed_at = now;
}

void weir_ledger_pass(struct weir_ledger *l, const struct weir_instant *now)
{
  if (l->refreshed_at != now->at)
    books_refresh(l, now->at);
  for (uint32_t i = 0; i < l->limits_count && l->has_day; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];

    if (limit->is_day) {
      weir_day_advance(&limit->day, weir_limit_zone(limit, now->calendar), now->number);
      if (l->is_kept && limit->reserve.unsure > 0)
        weir_limit_unsure(limit, now);
    }
  }
}

uint64_t weir_ledger_used(struct weir_ledger *l, uint32_t index, const struct weir_instant *now)
{
  struct weir_ledger_limit *limit = &l->limits[index];
  uint64_t used;

  weir_ledger_refresh(l, now);
  if (!limit->is_windowed)
    used = limit->flight;
  else
    used = weir_limit_zone(limit, now->calendar) ? limit->day.used : limit->ring.used;
  if (now->at < limit->closed_until && used < limit->effective)
    return limit->effective;
  return used;
}

static void leased_add(struct weir_ledger *l, const struct weir_ledger_entry *entry)
{
  if (!entry->is_open || entry->is_void)
    return;
  l->leased.requests += entry->cost.requests;
  l->leased.input_tokens += entry->cost.input_tokens;
  l->leased.output_tokens += entry->cost.output_tokens;
  l->leased.spend += entry->cost.spend;
}

static void leased_remove(struct weir_ledger *l, const struct weir_ledger_entry *entry)
{
  if (!entry->is_open || entry->is_void)
    return;
  l->leased.requests -= entry->cost.requests;
  l->leased.input_tokens -= entry->cost.input_tokens;
  l->leased.output_tokens -= entry->cost.output_tokens;
  l->leased.spend -= entry->cost.spend;
}

/* Whether a call that is charged |charge| leaves |limit| above what is kept of it at |start|: what
 * is charged now may be, because some of it comes back before. A call that is larger than a cut
 * limit has an empty window for itself. */
static bool is_above(const struct weir_ledger_limit *limit, uint64_t charge, weir_tstamp start,
                     const struct weir_instant *now)
{
  const uint64_t kept = charge > limit->effective ? charge : limit->effective;
  const struct weir_calendar_zone *zone;

  if (limit->is_shadow)
    return false;
  if (!limit->is_windowed)
    return limit->flight > limit->effective;
  zone = weir_limit_zone(limit, now->calendar);
  if (zone)
    return limit->day.used > kept && weir_day_earliest(&limit->day, zone, kept, 0, start) > start;
  return limit->ring.used > kept && weir_ring_earliest(&limit->ring, kept, start) > start;
}

void weir_ledger_take(struct weir_ledger *l, const struct weir_ledger_entry *entry,
                      const struct weir_instant *now, uint8_t *ret_both)
{
  const struct weir_weights weights = weir_weights_of(&entry->cost);

  assert(entry->start >= now->at && entry->start >= l->start_last);
  assert(entry->start - now->at <= WEIR_LEDGER_HORIZON_US);
  assert(entry->arrival_max >= entry->start);
  weir_ledger_refresh(l, now);
  l->start_last = entry->start;
  leased_add(l, entry);
  *ret_both = 0;
  for (uint32_t i = 0; i < l->limits_count; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];
    const uint64_t charge = weir_limit_charge(limit, entry, &weights);

    limit->flight += flight_of(limit, entry);
    if (l->is_kept)
      weir_limit_spend(l, limit, limit->is_windowed ? charge : flight_of(limit, entry));
    variance_add(limit, entry->arrival_max, variance_of(limit, entry, charge));
    if (!limit->is_windowed) {
      l->overshoot += is_above(limit, 0, entry->start, now);
      continue;
    }
    weir_ring_add(&limit->ring, entry->arrival_max, charge);
    if (limit->is_smoothable)
      weir_trail_add(&limit->trail, entry->arrival_max, charge);
    if (limit->is_day && weir_day_add(&limit->day, weir_limit_zone(limit, now->calendar),
                                      entry->arrival_max, charge))
      *ret_both |= limit->bit;
    l->overshoot += charge > 0 && is_above(limit, charge, entry->start, now);
  }
  if (l->has_sub)
    weir_ring_add(&l->sub, entry->arrival_max, entry->is_void ? 0 : entry->cost.requests);
}

void weir_ledger_narrow(struct weir_ledger_entry *entry, weir_tstamp arrival_max)
{
  if (arrival_max < entry->start)
    arrival_max = entry->start;
  if (arrival_max < entry->arrival_max)
    entry->arrival_max = arrival_max;
}

/* What a settle changes. */
struct change {
  const struct weir_ledger_entry *before, *after;
  struct weir_weights weighed, weighs;
};

/* Of the store, with what errors there can no longer be. */
static void limit_respend(struct weir_ledger *l, struct weir_ledger_limit *limit,
                          const struct change *change)
{
  const uint64_t was = weir_limit_charge(limit, change->before, &change->weighed);
  const uint64_t is = weir_limit_charge(limit, change->after, &change->weighs);
  const bool is_over = change->before->is_open && !change->after->is_open;

  weir_limit_respend(l, limit, was, is, is_over ? weir_limit_sigma(limit, change->before, was) : 0,
                     flight_of(limit, change->before) - flight_of(limit, change->after));
}

static void limit_settle(struct weir_ledger_limit *limit, const struct change *change,
                         const struct weir_instant *now, uint8_t *both)
{
  const struct weir_ledger_entry *before = change->before, *after = change->after;
  const uint64_t was = weir_limit_charge(limit, before, &change->weighed);
  const uint64_t is = weir_limit_charge(limit, after, &change->weighs);
  bool is_both = (*both & limit->bit) != 0;

  limit->flight += flight_of(limit, after) - flight_of(limit, before);
  variance_remove(limit, before->arrival_max, variance_of(limit, before, was));
  variance_add(limit, after->arrival_max, variance_of(limit, after, is));
  if (!limit->is_windowed)
    return;
  weir_ring_remove(&limit->ring, before->arrival_max, was);
  weir_ring_add(&limit->ring, after->arrival_max, is);
  if (limit->is_smoothable) {
    weir_trail_remove(&limit->trail, before->arrival_max, was);
    weir_trail_add(&limit->trail, after->arrival_max, is);
  }
  if (!limit->is_day)
    return;
  weir_day_replace(&limit->day, weir_limit_zone(limit, now->calendar), after->number, &is_both, was,
                   after->arrival_max, is);
  *both = (uint8_t)((*both & ~limit->bit) | (is_both ? limit->bit : 0));
}

/* How long calls take: what a limit of calls in flight is estimated by. */
static void flight_learn(struct weir_ledger *l, const struct weir_ledger_entry *entry,
                         weir_tstamp now)
{
  const weir_duration took = weir_time_sub(now, entry->start);

  l->flight_us = l->flight_us > 0 ? (l->flight_us * 15 + took) / 16 : took;
}

void weir_ledger_settle(struct weir_ledger *l, const struct weir_ledger_entry *before,
                        const struct weir_ledger_entry *after, const struct weir_instant *now,
                        uint8_t *both)
{
  const struct change change = {before, after, weir_weights_of(&before->cost),
                                weir_weights_of(&after->cost)};

  assert(before->number == after->number && after->arrival_max <= before->arrival_max);
  weir_ledger_refresh(l, now);
  if (before->is_open && !after->is_open && !after->is_void)
    flight_learn(l, after, now->at);
  leased_remove(l, before);
  leased_add(l, after);
  for (uint32_t i = 0; i < l->limits_count; i++) {
    if (after->number < l->limits[i].born_number)
      continue;
    if (l->is_kept)
      limit_respend(l, &l->limits[i], &change);
    limit_settle(&l->limits[i], &change, now, both);
  }
  if (l->has_sub && after->number >= l->sub_born_number) {
    weir_ring_remove(&l->sub, before->arrival_max, before->is_void ? 0 : before->cost.requests);
    weir_ring_add(&l->sub, after->arrival_max, after->is_void ? 0 : after->cost.requests);
  }
}

uint64_t weir_ledger_leased(const struct weir_ledger *l, uint32_t index)
{
  const struct weir_ledger_limit *limit = &l->limits[index];

  return limit->is_windowed ? weir_ledger_cost_of(&l->leased, limit->config.dimension)
                            : limit->flight;
}

weir_duration weir_ledger_half_us(struct weir_ledger *l, uint32_t index,
                                  const struct weir_instant *now)
{
  struct weir_ledger_limit *limit = &l->limits[index];
  const struct weir_calendar_zone *zone = weir_limit_zone(limit, now->calendar);

  weir_ledger_refresh(l, now);
  if (!limit->is_windowed)
    return 0;
  if (zone)
    return limit->day.used == 0
               ? 0
               : weir_day_earliest(&limit->day, zone, limit->day.used / 2, 0, now->at) - now->at;
  return weir_ring_earliest(&limit->ring, limit->ring.used / 2, now->at) - now->at;
}

/* The longest of |at_least| and what windows of up to |window_max_us| take to produce |cost|. */
static weir_duration pace_of(const struct weir_ledger *l, const struct weir_cost *cost,
                             weir_duration window_max_us, weir_duration at_least)
{
  const struct weir_weights weights = weir_weights_of(cost);
  weir_duration longest = at_least;

  for (uint32_t i = 0; i < l->limits_count; i++) {
    const struct weir_ledger_limit *limit = &l->limits[i];
    uint64_t pace;

    if (limit->is_shadow || !limit->is_windowed || limit->ring.window_us > window_max_us)
      continue;
    pace = weir_wide_clamp(weir_wide_mul(weights.of[limit->dimension], limit->pace) >>
                               limit->pace_bits,
                           WEIR_WINDOW_MAX_US);
    if (pace > longest)
      longest = pace;
  }
  return longest;
}

weir_duration weir_ledger_pace_us(const struct weir_ledger *l, const struct weir_cost *cost)
{
  return pace_of(l, cost, WEIR_WINDOW_MAX_US, 1); /* the smallest cost still takes its turn */
}

weir_duration weir_ledger_sustained_us(const struct weir_ledger *l, const struct weir_cost *cost)
{
  return pace_of(l, cost, WEIR_LEDGER_SMOOTH_MAX_US, 0);
}

weir_duration weir_ledger_step_us(const struct weir_ledger *l, const struct weir_cost *cost)
{
  weir_duration longest = 0;

  for (uint32_t i = 0; l->has_sub && i < l->limits_count; i++) {
    const struct weir_ledger_limit *limit = &l->limits[i];
    weir_duration sub_us, step;

    if (weir_ledger_sub(l, limit, &sub_us) == 0)
      continue;
    step = weir_wide_scale(cost->requests, limit->config.window_us, limit->effective,
                           limit->config.window_us);
    if (step > longest)
      longest = step;
  }
  return longest;
}

void weir_ledger_check(const struct weir_ledger *l)
{
  uint8_t bits = 0;

  for (uint32_t i = 0; i < l->limits_count; i++) {
    const struct weir_ledger_limit *limit = &l->limits[i];

    assert(limit->bit != 0 && (bits & limit->bit) == 0);
    bits |= limit->bit;
    assert(limit->effective > 0 && limit->effective <= limit->cut_amount &&
           limit->cut_amount <= limit->ceiling && limit->ceiling <= limit->config.amount);
    if (limit->is_windowed)
      weir_ring_check(&limit->ring);
    if (limit->is_smoothable)
      weir_trail_check(&limit->trail);
    if (limit->config.is_day)
      weir_day_check(&limit->day);
  }
  if (l->has_sub)
    weir_ring_check(&l->sub);
}
