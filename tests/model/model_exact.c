/* Every decision of the ledger against a plain list of leases, written from the words of the
 * headers and of docs/LEDGER.md: O(n^2), with the rounding of slots as it is documented there.
 *
 * All that holds a lease back ends with time, so the first instant that fits is found by asking two
 * instants: the ledger's, which must fit, and the one before, which must not. Only the sliding
 * counter is asked in steps of an eighth of a slot.
 *
 * Seeds: SEEDS a run; WEIR_SEED=n replays one, WEIR_SEEDS=n runs n. A failure prints its seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/ledger.h>
#include <weir/rng.h>

#include "seeds.h"

#define LEASES_MAX 700
#define SEEDS      1000
#define STEPS      400
#define S          WEIR_US_PER_S

struct lease {
  struct weir_ledger_entry entry;
  uint8_t both;
};

/* What the list knows of a limit. */
struct rule {
  struct weir_limit_config config;
  uint64_t born_number;
  weir_tstamp closed_until;
};

struct world {
  struct weir_rng rng;
  struct weir_ledger ledger;
  struct weir_calendar calendar;
  struct weir_instant now;
  struct weir_rules_config rules;
  struct rule limits[WEIR_LIMITS_MAX];
  uint32_t limits_count;
  weir_duration hold_us;
  uint64_t slots[WEIR_LEDGER_SLOTS * WEIR_SLOTS_TOGETHER];
  struct lease leases[LEASES_MAX];
  uint32_t leases_count;
  weir_tstamp start_last, frozen_until, smooth_until;
  uint64_t decisions, waits, counters, buckets;
};

static uint64_t below(struct world *w, uint64_t bound)
{
  return weir_rng_below(&w->rng, bound);
}

/* ---- the list's arithmetic ---- */

static uint64_t weight(const struct rule *rule, const struct weir_ledger_entry *e)
{
  const uint64_t cost = weir_ledger_cost_of(&e->cost, rule->config.dimension);
  const uint64_t reserve = weir_ledger_cost_of(&e->reserve, rule->config.dimension);

  if (e->is_void || e->number < rule->born_number)
    return 0;
  return rule->config.is_prepaid && reserve > cost ? reserve : cost;
}

/* When a charge leaves a ring: at the end of the slot in which it expires. */
static weir_tstamp leaves_at(const struct weir_ring *ring, weir_tstamp arrival_max)
{
  return ((arrival_max + ring->window_us) / ring->slot_us + 1) * ring->slot_us;
}

static uint64_t in_ring(const struct world *w, uint32_t i, weir_tstamp t)
{
  uint64_t sum = 0;

  for (uint32_t k = 0; k < w->leases_count; k++) {
    const struct weir_ledger_entry *e = &w->leases[k].entry;

    if (leaves_at(&w->ledger.limits[i].ring, e->arrival_max) > t)
      sum += weight(&w->limits[i], e);
  }
  return sum;
}

static uint64_t in_flight(const struct world *w, uint32_t i)
{
  uint64_t sum = 0;

  for (uint32_t k = 0; k < w->leases_count; k++) {
    const struct weir_ledger_entry *e = &w->leases[k].entry;

    if (e->is_open)
      sum += weight(&w->limits[i], e);
  }
  return sum;
}

static uint64_t sigma_of(const struct rule *rule, const struct weir_ledger_entry *e)
{
  if (rule->config.dimension == WEIR_DIMENSION_REQUESTS || rule->config.is_prepaid || !e->is_open)
    return 0;
  if (e->is_known && rule->config.dimension == WEIR_DIMENSION_INPUT_TOKENS)
    return 0;
  return weight(rule, e) * e->error_pm / 1000;
}

/* Whether all of the block of slots in which a charge leaves a ring is past. */
static bool is_past(const struct weir_ring *ring, weir_tstamp arrival_max, weir_tstamp now)
{
  const weir_duration block_us = WEIR_RING_BLOCK * ring->slot_us;

  return (leaves_at(ring, arrival_max) - ring->slot_us) / block_us < now / block_us;
}

/* Of what is open, until it is past: what has left the window can no longer be wrong about it. */
static uint64_t head_room(const struct world *w, uint32_t i, const struct weir_ledger_entry *asked)
{
  uint64_t variance = sigma_of(&w->limits[i], asked) * sigma_of(&w->limits[i], asked), root = 0;

  for (uint32_t k = 0; k < w->leases_count; k++) {
    const struct weir_ledger_entry *e = &w->leases[k].entry;
    const uint64_t sigma = sigma_of(&w->limits[i], e);

    if (sigma > 0 && !is_past(&w->ledger.limits[i].ring, e->arrival_max, w->now.at))
      variance += sigma * sigma;
  }
  while (root * root < variance)
    root += (root + 1000) * (root + 1000) < variance ? 1000 : 1;
  return WEIR_LEDGER_SIGMAS * root;
}

/* A trail's slot stands at its end. */
static weir_tstamp stands_at(const struct weir_trail *trail, weir_tstamp arrival_max)
{
  return (arrival_max / trail->slot_us + 1) * trail->slot_us;
}

/* What stands in [from, to). */
static uint64_t standing(const struct world *w, uint32_t i, weir_tstamp from, weir_tstamp to)
{
  uint64_t sum = 0;

  for (uint32_t k = 0; k < w->leases_count; k++) {
    const struct weir_ledger_entry *e = &w->leases[k].entry;
    const weir_tstamp at = stands_at(&w->ledger.limits[i].trail, e->arrival_max);

    if (at >= from && at < to)
      sum += weight(&w->limits[i], e);
  }
  return sum;
}

static bool bucket_takes(const struct world *w, uint32_t i, uint64_t cost, weir_tstamp t)
{
  const struct weir_ledger_limit *limit = &w->ledger.limits[i];
  const weir_duration window = limit->trail.window_slots * limit->trail.slot_us;
  uint64_t burst = w->limits[i].config.burst ? w->limits[i].config.burst : limit->effective / 20;

  if (burst == 0)
    burst = 1;
  if (burst < cost)
    burst = cost;
  for (uint32_t k = 0; k < w->leases_count; k++) {
    const weir_tstamp y = stands_at(&limit->trail, w->leases[k].entry.arrival_max);
    uint64_t sum;

    if (y + window <= t || weight(&w->limits[i], &w->leases[k].entry) == 0)
      continue;
    sum = standing(w, i, y, WEIR_NEVER) + cost;
    if (sum > burst && (y > t || weir_wide_mul(sum - burst, limit->config.window_us) >
                                     weir_wide_mul(t - y, limit->effective)))
      return false;
  }
  return true;
}

static bool phase_takes(const struct world *w, uint32_t i, uint64_t cost, weir_tstamp t,
                        weir_tstamp begin)
{
  const struct weir_ledger_limit *limit = &w->ledger.limits[i];
  const weir_duration window = limit->trail.window_slots * limit->trail.slot_us;
  const uint64_t cur = standing(w, i, begin, WEIR_NEVER) + cost;
  const uint64_t prev = standing(w, i, weir_time_sub(begin, window), begin);

  return weir_wide_mul(cur, window) + weir_wide_mul(prev, window - (t - begin)) <=
         weir_wide_mul(limit->effective, window);
}

/* The weight of all phases is greatest where one begins now, at a charge, or a window after one. */
static bool counter_takes(const struct world *w, uint32_t i, uint64_t cost, weir_tstamp t)
{
  const struct weir_trail *trail = &w->ledger.limits[i].trail;
  const weir_duration window = trail->window_slots * trail->slot_us;

  if (cost > w->ledger.limits[i].effective)
    cost = w->ledger.limits[i].effective;
  if (!phase_takes(w, i, cost, t, t))
    return false;
  for (uint32_t k = 0; k < w->leases_count; k++) {
    const weir_tstamp at = stands_at(trail, w->leases[k].entry.arrival_max);

    if (at <= t && at + window > t && !phase_takes(w, i, cost, t, at))
      return false;
    if (at + window <= t && at + 2 * window > t && !phase_takes(w, i, cost, t, at + window))
      return false;
  }
  return true;
}

/* The length of the sub-windows that limit |i| is kept in; 0 when it is not. */
static weir_duration sub_length(const struct world *w, uint32_t i)
{
  const struct weir_limit_config *config = &w->limits[i].config;
  const weir_duration sub = w->rules.sub_us ? w->rules.sub_us : S;
  weir_duration length = sub;

  if (config->dimension != WEIR_DIMENSION_REQUESTS || config->is_shadow ||
      (config->window_us > 10 * WEIR_US_PER_MIN && config->burst == 0))
    return 0;
  while (weir_wide_mul(length, w->ledger.limits[i].ceiling) < config->window_us)
    length += sub;
  return length < config->window_us ? length : 0;
}

static uint64_t in_sub(const struct world *w, weir_tstamp t)
{
  uint64_t sum = 0;

  for (uint32_t k = 0; k < w->leases_count; k++) {
    const struct weir_ledger_entry *e = &w->leases[k].entry;

    if (!e->is_void && e->number >= w->ledger.sub_born_number &&
        leaves_at(&w->ledger.sub, e->arrival_max) > t)
      sum += e->cost.requests;
  }
  return sum;
}

/* All limits are kept in the longest of their sub-windows. */
static bool sub_takes(const struct world *w, uint64_t requests, weir_tstamp t)
{
  const struct weir_ledger *l = &w->ledger;
  weir_duration longest = 0;
  uint64_t least = UINT64_MAX;

  for (uint32_t i = 0; i < w->limits_count; i++)
    longest = sub_length(w, i) > longest ? sub_length(w, i) : longest;
  assert_int_equal(l->has_sub, longest > 0 && l->profile >= WEIR_PROFILE_PACED);
  if (!l->has_sub)
    return true;
  assert_int_equal(l->sub.window_us, longest);
  for (uint32_t i = 0; i < w->limits_count; i++) {
    uint64_t room;

    if (sub_length(w, i) == 0)
      continue;
    room =
        (uint64_t)(weir_wide_mul(l->limits[i].effective, longest) / w->limits[i].config.window_us);
    if (room < least)
      least = room > 0 ? room : 1;
  }
  return t >= l->sub_closed_until && in_sub(w, t) <= (requests < least ? least - requests : 0);
}

static bool limit_takes(struct world *w, uint32_t i, const struct weir_ledger_entry *asked,
                        weir_tstamp t)
{
  const struct rule *rule = &w->limits[i];
  const struct weir_ledger_limit *limit = &w->ledger.limits[i];
  const uint64_t cost = weight(rule, asked);
  uint64_t needed;

  if (rule->config.is_shadow)
    return true;
  if (t < rule->closed_until)
    return false;
  if (rule->config.dimension == WEIR_DIMENSION_IN_FLIGHT)
    return in_flight(w, i) + asked->cost.requests <= limit->effective;
  needed = cost + head_room(w, i, asked);
  if (needed > limit->effective)
    needed = limit->effective;
  if (in_ring(w, i, t) > limit->effective - needed)
    return false;
  if (rule->config.window_us > 10 * WEIR_US_PER_MIN && rule->config.burst == 0)
    return true;
  if ((w->ledger.profile >= WEIR_PROFILE_BUCKET || t < w->smooth_until) &&
      !bucket_takes(w, i, cost, t)) {
    w->buckets++;
    return false;
  }
  if (w->ledger.profile >= WEIR_PROFILE_UNIVERSAL && !counter_takes(w, i, cost, t)) {
    w->counters++;
    return false;
  }
  return true;
}

static bool takes(struct world *w, const struct weir_ledger_entry *asked, weir_tstamp t)
{
  if (t < w->start_last || t < w->frozen_until || !sub_takes(w, asked->cost.requests, t))
    return false;
  for (uint32_t i = 0; i < w->limits_count; i++) {
    if (!limit_takes(w, i, asked, t))
      return false;
  }
  return true;
}

/* ---- events ---- */

static const weir_duration windows[] = {
    S, 2 * S, 10 * S, WEIR_US_PER_MIN, 10 * WEIR_US_PER_MIN, WEIR_US_PER_HOUR};

static struct weir_limit_config limit_random(struct world *w, enum weir_dimension dimension)
{
  struct weir_limit_config c = {.dimension = dimension, .window_us = windows[below(w, 6)]};

  c.amount = dimension == WEIR_DIMENSION_REQUESTS ? 2 + below(w, 60) : 1000 + below(w, 20000);
  c.is_shadow = below(w, 8) == 0;
  c.is_prepaid = below(w, 8) == 0;
  if (below(w, 3) == 0)
    c.burst = 1 + below(w, 2 * c.amount);
  if (dimension == WEIR_DIMENSION_IN_FLIGHT) {
    c.window_us = c.burst = c.is_prepaid = 0;
    c.amount = 1 + below(w, 30);
  }
  return c;
}

static bool is_same(const struct weir_limit_config *a, const struct weir_limit_config *b)
{
  return a->dimension == b->dimension && a->window_us == b->window_us &&
         a->is_prepaid == b->is_prepaid &&
         (a->window_us <= 10 * WEIR_US_PER_MIN || (a->burst > 0) == (b->burst > 0));
}

static int find(const struct rule *limits, uint32_t count, const struct weir_limit_config *wanted)
{
  for (uint32_t i = 0; i < count; i++) {
    if (limits[i].config.dimension == wanted->dimension &&
        limits[i].config.window_us == wanted->window_us)
      return (int)i;
  }
  return -1;
}

/* A limit of a dimension and window that is not there yet, if chance finds one. */
static void limit_add(struct world *w, struct rule *limits, uint32_t *count)
{
  static const enum weir_dimension dimensions[] = {
      WEIR_DIMENSION_REQUESTS,      WEIR_DIMENSION_REQUESTS,     WEIR_DIMENSION_INPUT_TOKENS,
      WEIR_DIMENSION_OUTPUT_TOKENS, WEIR_DIMENSION_TOTAL_TOKENS, WEIR_DIMENSION_SPEND,
      WEIR_DIMENSION_IN_FLIGHT};
  const struct weir_limit_config c = limit_random(w, dimensions[below(w, 7)]);

  if (*count < WEIR_LIMITS_MAX && find(limits, *count, &c) < 0)
    limits[(*count)++] = (struct rule){.config = c};
}

static struct weir_ledger_config config_of(const struct world *w,
                                           struct weir_limit_config *ret_limits)
{
  for (uint32_t i = 0; i < w->limits_count; i++)
    ret_limits[i] = w->limits[i].config;
  return (struct weir_ledger_config){.limits_count = w->limits_count,
                                     .limits = ret_limits,
                                     .rules = &w->rules,
                                     .hold_us = w->hold_us};
}

static void world_init(struct world *w, uint64_t seed)
{
  struct weir_limit_config limits[WEIR_LIMITS_MAX];
  struct weir_ledger_config config;
  uint32_t wanted;

  memset(w, 0, sizeof(*w));
  weir_rng_init(&w->rng, seed);
  weir_calendar_init(&w->calendar);
  /* A machine that just came up has a young clock. */
  w->now = (struct weir_instant){.at = below(w, 3) ? 5000 * S + below(w, S) : below(w, S),
                                 .number = 1 + below(w, 5),
                                 .calendar = &w->calendar};
  w->rules.profile = (enum weir_profile)(1 + below(w, 4));
  if (below(w, 3) == 0)
    w->rules.profile = WEIR_PROFILE_UNIVERSAL;
  w->rules.is_fixed = below(w, 2) == 0;
  w->rules.sub_us = below(w, 3) == 0 ? 2 * S : 0;
  w->hold_us = below(w, 2) ? 1 + below(w, 200000) : 1 + below(w, WEIR_HOLD_MAX_US);
  wanted = 1 + (uint32_t)below(w, 4);
  while (w->limits_count < wanted)
    limit_add(w, w->limits, &w->limits_count);
  config = config_of(w, limits);
  weir_ledger_init(&w->ledger, w->slots, &config, &w->now);
}

/* Amounts change, limits go, come and change places. */
static void configure(struct world *w)
{
  const weir_tstamp started = w->now.at > w->start_last ? w->now.at : w->start_last;
  struct rule next[WEIR_LIMITS_MAX] = {0};
  struct weir_limit_config limits[WEIR_LIMITS_MAX];
  struct weir_ledger_config config;
  uint32_t count = 0;

  for (uint32_t i = 0; i < w->limits_count; i++) {
    if (below(w, 8) == 0)
      continue;
    next[count] = w->limits[i];
    if (below(w, 3) == 0)
      next[count].config.amount = 1 + below(w, 2 * next[count].config.amount);
    count++;
  }
  while (below(w, 3) == 0 || count == 0)
    limit_add(w, next, &count);
  for (uint32_t i = count - 1; i > 0 && below(w, 2); i--) {
    const uint32_t other = (uint32_t)below(w, i + 1);
    const struct rule kept = next[i];

    next[i] = next[other];
    next[other] = kept;
  }
  for (uint32_t i = 0; i < count; i++) {
    int former = find(w->limits, w->limits_count, &next[i].config);

    if (former >= 0 && is_same(&w->limits[former].config, &next[i].config)) {
      next[i].born_number = w->limits[former].born_number;
      next[i].closed_until = w->limits[former].closed_until;
      continue;
    }
    next[i].born_number = w->now.number;
    next[i].closed_until = 0;
    if (next[i].config.dimension != WEIR_DIMENSION_IN_FLIGHT &&
        next[i].config.window_us <= WEIR_LEDGER_ASSUME_MAX)
      next[i].closed_until =
          started + next[i].config.window_us + WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US;
  }
  memcpy(w->limits, next, sizeof(next));
  w->limits_count = count;
  config = config_of(w, limits);
  weir_ledger_configure(&w->ledger, &config, &w->now);
}

static struct weir_ledger_entry entry_random(struct world *w)
{
  struct weir_ledger_entry e = {.number = w->now.number, .is_open = true};

  e.cost.requests = below(w, 20) ? 1 : 1 + below(w, 4);
  e.cost.input_tokens = below(w, below(w, 10) ? 300 : 9000);
  e.cost.output_tokens = below(w, below(w, 10) ? 300 : 3000);
  e.cost.spend = below(w, 500);
  e.error_pm = below(w, 2) ? (uint32_t)below(w, 400) : 0;
  e.reserve = e.cost;
  return e;
}

static weir_duration step_of(const struct world *w)
{
  weir_duration most = 0;

  for (uint32_t i = 0; i < w->limits_count; i++) {
    if (w->ledger.profile == WEIR_PROFILE_UNIVERSAL && w->ledger.limits[i].trail.slot_us > most)
      most = w->ledger.limits[i].trail.slot_us;
  }
  return most / 8 + 1;
}

/* The decision itself. */
static weir_tstamp judge(struct world *w, const struct weir_ledger_entry *e)
{
  const weir_tstamp from = w->now.at > w->start_last ? w->now.at : w->start_last;
  const weir_tstamp horizon = w->now.at + WEIR_LEDGER_HORIZON_US;
  const weir_duration step = step_of(w);
  int binding = -2;
  const weir_tstamp at =
      weir_ledger_earliest(&w->ledger, e, w->hold_us, w->now.at, &w->now, &binding);

  w->decisions++;
  w->waits += at > from;
  if (at == WEIR_NEVER) {
    assert_true(binding >= 0 && (uint32_t)binding < w->limits_count);
    assert_true(weir_ledger_cost_of(&e->cost, w->limits[binding].config.dimension) >
                w->ledger.limits[binding].ceiling);
    return at;
  }
  assert_true(at >= from);
  if (at <= horizon)
    assert_true(takes(w, e, at));
  if (at >= from + step)
    assert_false(takes(w, e, at - step));
  if (at > horizon && horizon >= from + step)
    assert_false(takes(w, e, horizon - step));
  return at;
}

static void ask(struct world *w)
{
  struct weir_ledger_entry e = entry_random(w);
  const weir_tstamp at = judge(w, &e);

  if (at > w->now.at + WEIR_LEDGER_HORIZON_US || w->leases_count == LEASES_MAX)
    return;
  e.start = at;
  e.arrival_max = at + w->hold_us + below(w, 2) * below(w, WEIR_LEDGER_WIDEN_MAX_US);
  w->leases[w->leases_count].entry = e;
  weir_ledger_take(&w->ledger, &e, &w->now, &w->leases[w->leases_count].both);
  w->leases_count++;
  w->now.number++;
  w->start_last = at;
}

static void settle(struct world *w)
{
  struct weir_ledger_entry after;
  struct lease *lease;

  if (w->leases_count == 0)
    return;
  lease = &w->leases[w->leases_count - 1 - below(w, w->leases_count < 60 ? w->leases_count : 60)];
  if (!lease->entry.is_open)
    return;
  after = lease->entry;
  if (below(w, 8) == 0) {
    after.is_void = true;
    after.is_open = false;
  } else {
    after.is_open = below(w, 3) == 0;
    after.is_known = below(w, 4) > 0;
    if (below(w, 2))
      weir_ledger_narrow(&after, after.start + below(w, 2 * S));
    after.cost.input_tokens = below(w, 2 + after.cost.input_tokens);
    after.cost.output_tokens = below(w, 2 + after.cost.output_tokens);
    if (below(w, 50) == 0) /* debt */
      after.cost.input_tokens += below(w, 20000);
  }
  weir_ledger_settle(&w->ledger, &lease->entry, &after, &w->now, &lease->both);
  lease->entry = after;
}

/* A rejection: freezes; and cuts after a few, when the profile can explain nothing more. */
static void reject(struct world *w)
{
  struct weir_msg_settle settle = {.outcome = below(w, 2) ? WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS
                                                          : WEIR_OUTCOME_QUOTA_MINUTE_TOKENS};
  const weir_duration wait = below(w, 2) ? 1 + below(w, S) : 0;
  weir_duration longest = 0;

  if (w->leases_count == 0)
    return;
  settle.retry_after_us = wait;
  weir_ledger_hear(&w->ledger, &w->leases[w->leases_count - 1].entry, &settle, &w->now);
  for (uint32_t i = 0; i < w->limits_count; i++) {
    const struct weir_limit_config *c = &w->limits[i].config;

    if ((c->window_us <= 10 * WEIR_US_PER_MIN || c->burst > 0) && c->window_us > longest)
      longest = c->window_us;
  }
  if (w->now.at + (wait ? wait : 5 * S) > w->frozen_until) {
    w->frozen_until = w->now.at + (wait ? wait : 5 * S);
    w->smooth_until = w->frozen_until + longest;
  }
}

static void used_is_the_sum(struct world *w)
{
  for (uint32_t i = 0; i < w->limits_count; i++) {
    uint64_t used = w->limits[i].config.dimension == WEIR_DIMENSION_IN_FLIGHT
                        ? in_flight(w, i)
                        : in_ring(w, i, w->now.at);
    const uint64_t is = weir_ledger_used(&w->ledger, i, &w->now);

    if (w->now.at < w->limits[i].closed_until && used < w->ledger.limits[i].effective)
      used = w->ledger.limits[i].effective;
    assert_int_equal(is, used);
  }
  weir_ledger_check(&w->ledger);
}

static void run(struct world *w, uint64_t seed)
{
  world_init(w, seed);
  for (int step = 0; step < STEPS; step++) {
    const uint64_t event = below(w, 100);

    w->now.at += below(w, 3) == 0 ? below(w, 100 * WEIR_US_PER_MS) : 0;
    if (below(w, 20) == 0)
      w->now.at += below(w, below(w, 3) ? 5 * S : 3 * WEIR_US_PER_MIN);
    if (event < 65)
      ask(w);
    else if (event < 97)
      settle(w);
    else if (event < 98)
      reject(w);
    else if (below(w, 2) == 0)
      configure(w);
    used_is_the_sum(w);
  }
}

static void every_decision_is_that_of_a_plain_list_of_leases(void **state)
{
  static struct world w;
  const struct seeds seeds = seeds_of(SEEDS);
  uint64_t decisions = 0, waits = 0, counters = 0, buckets = 0;

  (void)state;
  for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
    print_message("seed %llu\n", (unsigned long long)seed);
    run(&w, seed);
    decisions += w.decisions;
    waits += w.waits;
    counters += w.counters;
    buckets += w.buckets;
  }
  print_message("%llu decisions, %llu to wait, %llu by a bucket, %llu by a counter\n",
                (unsigned long long)decisions, (unsigned long long)waits,
                (unsigned long long)buckets, (unsigned long long)counters);
  /* A run that never meets a gate would prove nothing. */
  if (!seeds.is_one)
    assert_true(waits > 1000 && buckets > 1000 && counters > 100);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_decision_is_that_of_a_plain_list_of_leases),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
