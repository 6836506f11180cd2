/* islands.c - what instances may do while nobody answers them. A pool keeps a share of its limits
 * back for that, always, and cuts it into as many places as it is configured for. The instance that
 * holds a place may use its part by itself until some time after it was told of it; a place whose
 * holder was not heard of for so long goes to another one. docs/LEDGER.md has the proof that parts
 * and grants together stay within every limit. */
#include "machine.h"

#include <assert.h>
#include <string.h>

/* An instance is told again, and so may go on for longer, when this part of its time is over. */
#define RENEW_PART 4

/* What an instance's clock rounds off, and what a bucket does. */
#define ROUNDED_US 2

static uint64_t least(uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

/* ---- what is kept back ---- */

static bool has_islands(const struct weir_pool_config *config)
{
  return config->island.places > 0 && config->island.share_pm > 0 && config->budgets_count == 0;
}

/* What one place gets of |limit| in a window. */
static uint64_t part_of(const struct weir_pool_config *config,
                        const struct weir_limit_config *limit)
{
  if (!has_islands(config) || limit->is_shadow || limit->dimension == WEIR_DIMENSION_IN_FLIGHT)
    return 0;
  return weir_wide_scale(limit->amount, config->island.share_pm, 1000, limit->amount) /
         config->island.places;
}

uint64_t weir_island_carve(const struct weir_pool_config *config,
                           const struct weir_limit_config *limit)
{
  return part_of(config, limit) * config->island.places;
}

static bool is_same(const struct weir_limit_config *a, const struct weir_limit_config *b)
{
  return a->dimension == b->dimension && a->window_us == b->window_us;
}

/* What |pool| has to keep of |limit| because of a former configuration, or NULL. */
static const struct weir_carve *carve_before(const struct weir_pool *pool,
                                             const struct weir_limit_config *limit, weir_tstamp now)
{
  for (uint32_t i = 0; i < pool->carve_count; i++) {
    if (is_same(&pool->carve[i].limit, limit) && now < pool->carve[i].until)
      return &pool->carve[i];
  }
  return NULL;
}

/* What grants have of |limit| beside |islands| of it. */
static struct weir_limit_config limit_less(const struct weir_limit_config *limit, uint64_t islands)
{
  struct weir_limit_config rest = *limit;

  rest.islands = least(islands, limit->amount - 1);
  rest.amount -= rest.islands;
  if (limit->burst == 0)
    return rest; /* a part of the amount, and so lower already */
  rest.burst = weir_wide_scale(limit->burst, rest.amount, limit->amount, limit->burst);
  if (rest.burst == 0)
    rest.burst = 1;
  return rest;
}

void weir_islands_limits(struct weir_coord *c, struct weir_pool *pool,
                         const struct weir_pool_config *config, weir_tstamp now,
                         struct weir_limit_config *ret_limits)
{
  struct weir_carve carve[WEIR_LIMITS_MAX];

  pool->carve_again_at = WEIR_NEVER;
  for (uint32_t i = 0; i < config->limits_count; i++) {
    const struct weir_limit_config *limit = &config->limits[i];
    const struct weir_carve *before = carve_before(pool, limit, now);

    carve[i] = (struct weir_carve){*limit, weir_island_carve(config, limit), 0};
    if (before && before->amount > carve[i].amount) {
      carve[i] = *before;
      if (before->until < pool->carve_again_at)
        pool->carve_again_at = before->until;
    }
    ret_limits[i] = limit_less(limit, carve[i].amount);
  }
  memcpy(pool->carve, carve, config->limits_count * sizeof(carve[0]));
  pool->carve_count = config->limits_count;
  if (pool->carve_again_at < c->islands_at)
    c->islands_at = pool->carve_again_at;
}

/* ---- what a place may do ---- */

/* The latest that a call arrives after it was let through. */
static weir_duration hold_us(const struct weir_pool_config *config)
{
  return config->ttl_us + config->jitter_us + WEIR_LEDGER_WIDEN_MAX_US;
}

/* For how long after an interval what was let through in it arrives, as parts are told for: what
 * clocks and buckets of whole microseconds round off is in it. */
static weir_duration late_us(const struct weir_pool_config *config)
{
  return hold_us(config) + ROUNDED_US;
}

static uint64_t rounded_up(uint64_t amount, weir_duration span, weir_duration window)
{
  return weir_wide_clamp((weir_wide_mul(amount, span) + window - 1) / window, WEIR_LIMIT_MAX);
}

static uint64_t less(uint64_t a, uint64_t b)
{
  return a > b ? a - b : 0;
}

/* The largest burst beside |amount| in a window: no gate of |limit| that |profile| keeps is passed
 * by what |part| is out of. 0: none. */
static uint64_t burst_of(const struct weir_pool_config *config, enum weir_profile profile,
                         const struct weir_limit_config *limit, uint64_t part, uint64_t amount,
                         weir_duration window)
{
  const struct weir_limit_config rest = limit_less(limit, part * config->island.places);
  const struct weir_gates whole = weir_ledger_gates(&config->rules, limit);
  const struct weir_gates granted = weir_ledger_gates(&config->rules, &rest);
  const uint64_t places = config->island.places;
  const uint64_t late = rounded_up(amount, late_us(config), window);
  uint64_t burst = less(part + 1, amount);

  if (!whole.is_smooth || profile < WEIR_PROFILE_BUCKET)
    return burst;
  burst = least(burst, less(less(whole.burst, granted.burst) / places, late));
  if (profile >= WEIR_PROFILE_PACED && whole.sub > 0) {
    /* Grants of one in the whole window are one in each part of it. */
    const uint64_t sub = less(whole.sub, granted.sub > 0 ? granted.sub : 1);

    burst = least(burst, less(sub / places, weir_wide_scale(amount, late_us(config) + whole.sub_us,
                                                            window, WEIR_LIMIT_MAX)));
  }
  if (profile >= WEIR_PROFILE_UNIVERSAL)
    burst = least(burst, less(less(part, amount) / 2, late));
  return burst;
}

/* Instances know no prices: what they may spend is told as tokens, all at the higher price. */
static bool spend_to_tokens(const struct weir_pool_config *config,
                            struct weir_msg_island_part *told)
{
  const uint64_t price =
      config->price_input > config->price_output ? config->price_input : config->price_output;

  if (told->dimension != WEIR_DIMENSION_SPEND)
    return true;
  if (price == 0)
    return false;
  told->dimension = WEIR_DIMENSION_TOTAL_TOKENS;
  told->amount = weir_wide_scale(told->amount, 1000000, price, WEIR_LIMIT_MAX);
  told->burst = weir_wide_scale(told->burst, 1000000, price, WEIR_LIMIT_MAX);
  return told->amount > 0 && told->burst > 0;
}

/* Half of a part is there at once, half comes back with time, or less where gates want it. */
static bool part_tell(const struct weir_pool_config *config, enum weir_profile profile,
                      const struct weir_limit_config *limit, struct weir_msg_island_part *told)
{
  const uint64_t part = part_of(config, limit);
  uint64_t amount = part - part / 2;

  told->dimension = limit->dimension;
  told->window_us = limit->window_us + late_us(config);
  for (; amount > 0; amount /= 2) {
    told->burst = burst_of(config, profile, limit, part, amount, told->window_us);
    told->amount = amount;
    if (told->burst > 0)
      return spend_to_tokens(config, told);
  }
  return false;
}

bool weir_island_parts(const struct weir_pool_config *config, enum weir_profile profile,
                       struct weir_msg_island *ret_island)
{
  ret_island->parts_count = 0;
  for (uint32_t i = 0; has_islands(config) && i < config->limits_count; i++) {
    const struct weir_limit_config *limit = &config->limits[i];

    if (limit->is_shadow)
      continue;
    if (limit->dimension == WEIR_DIMENSION_IN_FLIGHT ||
        !part_tell(config, profile, limit, &ret_island->parts[ret_island->parts_count])) {
      ret_island->parts_count = 0;
      return false;
    }
    ret_island->parts_count++;
  }
  return ret_island->parts_count > 0;
}

/* ---- who has a place ---- */

static bool is_of(const struct weir_island *place, const struct weir_session *s)
{
  return memcmp(place->instance, s->instance, WEIR_INSTANCE_SIZE) == 0;
}

static bool is_held(const struct weir_island *place, weir_tstamp now)
{
  return place->is_taken && now < place->until;
}

static struct weir_island *place_held(struct weir_pool *pool, const struct weir_session *s,
                                      weir_tstamp now)
{
  for (uint32_t i = 0; i < pool->islands_used; i++) {
    if (is_held(&pool->islands[i], now) && is_of(&pool->islands[i], s))
      return &pool->islands[i];
  }
  return NULL;
}

/* A free place that |s| has from now on, or NULL. */
static struct weir_island *place_take(struct weir_pool *pool, const struct weir_session *s,
                                      weir_tstamp now)
{
  for (uint32_t i = 0; i < pool->config.island.places; i++) {
    struct weir_island *place = &pool->islands[i];

    if (now < place->until)
      continue;
    memcpy(place->instance, s->instance, WEIR_INSTANCE_SIZE);
    place->is_taken = true;
    place->free_at = place->until;
    if (i >= pool->islands_used)
      pool->islands_used = i + 1;
    return place;
  }
  return NULL;
}

/* Whether there is anything to tell of |place|, which may be one that a reload took away. What is
 * told is worked out once for each configuration and profile. */
static bool gives(struct weir_pool *pool, const struct weir_island *place)
{
  struct weir_msg_island *told = &pool->island;

  if (pool->state != WEIR_POOL_OPEN || pool->has_owners ||
      (place && place >= pool->islands + pool->config.island.places))
    return false;
  if (pool->island_profile != pool->ledger.profile) {
    pool->island_profile = pool->ledger.profile;
    memset(told, 0, sizeof(*told));
    memcpy(told->pool, pool->config.name, sizeof(told->pool));
    told->for_us = pool->config.island.for_us;
    told->ttl_us = pool->config.ttl_us;
    weir_island_parts(&pool->config, pool->island_profile, told);
  }
  return told->parts_count > 0;
}

/* Tells |s| of |place|, from which instant on it counts anew how long it may be used. */
static void place_tell(struct weir_turn *turn, struct weir_session *s, struct weir_pool *pool,
                       struct weir_island *place)
{
  struct weir_msg_island *island = &weir_session_send(turn, s, WEIR_MSG_ISLAND)->island;

  *island = pool->island;
  island->idle_us = place->free_at == 0 ? WEIR_DURATION_MAX : turn->now - place->free_at;
  if (island->idle_us > WEIR_DURATION_MAX)
    island->idle_us = WEIR_DURATION_MAX;
  place->told_at = turn->now;
  place->until = weir_time_add(weir_time_add(turn->now, island->for_us), hold_us(&pool->config));
  if (place->until > pool->islands_until)
    pool->islands_until = place->until;
}

/* Tells |s| that it has |place| no more. As it may not hear of it, nobody else has it before. */
static void place_end(struct weir_turn *turn, struct weir_session *s, const struct weir_pool *pool,
                      struct weir_island *place)
{
  struct weir_msg_island *island;

  if (weir_turn_is_full(turn))
    return;
  island = &weir_session_send(turn, s, WEIR_MSG_ISLAND)->island;
  memset(island, 0, sizeof(*island));
  memcpy(island->pool, pool->config.name, sizeof(island->pool));
  place->is_taken = false;
}

/* Whether grants are within what is left of each limit without islands: after a reload that keeps
 * more back, a day may hold more. */
static bool is_within(struct weir_pool *pool, const struct weir_instant *now)
{
  for (uint32_t i = 0; i < pool->ledger.limits_count; i++) {
    const struct weir_limit_config *limit = &pool->ledger.limits[i].config;

    if (!limit->is_shadow && weir_ledger_used(&pool->ledger, i, now) > limit->amount)
      return false;
  }
  return true;
}

static void renew_at(struct weir_session *s, weir_tstamp now, const struct weir_pool *pool)
{
  const weir_tstamp at = weir_time_add(now, pool->config.island.for_us / RENEW_PART);

  if (at < s->islands_at)
    s->islands_at = at;
}

void weir_islands_offer(struct weir_turn *turn, struct weir_session *s, struct weir_pool *pool)
{
  struct weir_island *place;

  if (!s->takes_islands || s->state != WEIR_SESSION_OPEN || turn->now < pool->islands_from ||
      !gives(pool, NULL) || weir_turn_is_full(turn))
    return;
  place = place_held(pool, s, turn->now);
  if (place &&
      (!gives(pool, place) || turn->now - place->told_at < pool->config.island.for_us / RENEW_PART))
    return;
  if (!place && is_within(pool, &turn->instant))
    place = place_take(pool, s, turn->now);
  if (!place)
    return;
  place_tell(turn, s, pool, place);
  renew_at(s, turn->now, pool);
}

void weir_islands_renew(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s)
{
  if (!s->takes_islands || turn->now < s->islands_at)
    return;
  s->islands_at = WEIR_NEVER;
  for (uint32_t i = c->islands_first; i != WEIR_NONE; i = c->pools[i].islands_next) {
    struct weir_pool *pool = &c->pools[i];
    struct weir_island *place = place_held(pool, s, turn->now);

    if (!place)
      continue;
    renew_at(s, turn->now, pool); /* if there is no room to tell now */
    if (gives(pool, place))
      weir_islands_offer(turn, s, pool);
    else
      place_end(turn, s, pool, place);
  }
}

void weir_islands_leave(struct weir_coord *c, struct weir_session *s, weir_tstamp now)
{
  if (!s->takes_islands)
    return;
  for (uint32_t i = c->islands_first; i != WEIR_NONE; i = c->pools[i].islands_next) {
    struct weir_pool *pool = &c->pools[i];
    struct weir_island *place = place_held(pool, s, now);

    if (place)
      place->until = least(place->until, weir_time_add(now, hold_us(&pool->config)));
  }
}

uint32_t weir_islands_out(const struct weir_pool *pool, weir_tstamp now)
{
  uint32_t count = 0;

  for (uint32_t k = 0; k < pool->islands_used; k++)
    count += is_held(&pool->islands[k], now);
  return count;
}

/* ---- over restarts and reloads ---- */

/* The longest window of up to an hour. Longer ones start empty where they are new. */
static weir_duration longest_window(const struct weir_pool_config *config)
{
  weir_duration longest = 0;

  for (uint32_t i = 0; i < config->limits_count; i++) {
    const weir_duration window = config->limits[i].window_us;

    if (window <= WEIR_LEDGER_ASSUME_MAX && window > longest)
      longest = window;
  }
  return longest;
}

/* What was granted out of more than is served from now on is in no window of up to an hour then;
 * longer ones are looked at before a place is given (is_within). */
static weir_tstamp grants_over_at(const struct weir_pool_config *config, weir_tstamp now)
{
  return weir_time_add(weir_started_until(now),
                       WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US + longest_window(config));
}

static const struct weir_limit_config *limit_of(const struct weir_pool_config *config,
                                                const struct weir_limit_config *limit)
{
  for (uint32_t i = 0; i < config->limits_count; i++) {
    if (is_same(&config->limits[i], limit))
      return &config->limits[i];
  }
  return NULL;
}

/* Whether a place has the same part of |limit| of |config| as by |former|. */
static bool has_same_part(const struct weir_pool_config *former,
                          const struct weir_pool_config *config,
                          const struct weir_limit_config *limit)
{
  const struct weir_limit_config *was = limit_of(former, limit);

  return was && was->amount == limit->amount && was->burst == limit->burst &&
         was->is_shadow == limit->is_shadow &&
         memcmp(&former->island, &config->island, sizeof(config->island)) == 0 &&
         former->ttl_us == config->ttl_us && former->jitter_us == config->jitter_us &&
         (limit->dimension != WEIR_DIMENSION_SPEND ||
          (former->price_input == config->price_input &&
           former->price_output == config->price_output));
}

/* The longest window in which calls by the parts of |former| and by those of |config| would be
 * together more than either. */
static weir_duration mixed_window(const struct weir_pool_config *former,
                                  const struct weir_pool_config *config)
{
  weir_duration longest = longest_window(config);

  for (uint32_t i = 0; i < config->limits_count; i++) {
    const struct weir_limit_config *limit = &config->limits[i];

    if (limit_of(former, limit) && !has_same_part(former, config, limit) &&
        limit->window_us > longest)
      longest = limit->window_us;
  }
  return longest;
}

static void wait_until(struct weir_pool *pool, weir_tstamp at)
{
  if (at > pool->islands_from)
    pool->islands_from = at;
}

void weir_islands_change(struct weir_pool *pool, const struct weir_pool_config *config,
                         weir_tstamp now)
{
  const struct weir_pool_config *former = &pool->config;
  bool is_other = former->limits_count != config->limits_count;

  for (uint32_t i = 0; !is_other && i < config->limits_count; i++)
    is_other = !has_same_part(former, config, &config->limits[i]);
  if (!is_other)
    return;
  wait_until(pool, grants_over_at(config, now));
  if (pool->islands_until > 0)
    wait_until(pool, weir_time_add(pool->islands_until, mixed_window(former, config)));
  /* By then all who did not hear of it have stopped, and what they did is in no window any more. */
  for (uint32_t i = 0; i < pool->carve_count; i++) {
    struct weir_carve *carve = &pool->carve[i];
    const weir_tstamp until = weir_time_add(pool->islands_until, carve->limit.window_us);

    carve->until = pool->islands_until > 0 && until > carve->until ? until : carve->until;
  }
}

/* All places of |pool| are held by somebody unknown until |until|. */
static void assume(struct weir_pool *pool, weir_tstamp until)
{
  for (uint32_t k = 0; k < WEIR_ISLAND_PLACES_MAX; k++) {
    if (pool->islands[k].until < until)
      pool->islands[k].until = until;
  }
  if (until > pool->islands_until)
    pool->islands_until = until;
}

void weir_islands_configured(struct weir_coord *c, weir_tstamp now)
{
  uint32_t *link = &c->islands_first;

  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    struct weir_pool *pool = &c->pools[i];

    pool->island_profile = 0;
    if ((pool->state == WEIR_POOL_OPEN && has_islands(&pool->config)) ||
        (pool->state != WEIR_POOL_FREE && now < pool->islands_until)) {
      *link = i;
      link = &pool->islands_next;
    }
  }
  *link = WEIR_NONE;
  /* There may be something to tell each of them that has a place. */
  for (uint32_t i = 0; c->is_running && i < c->bounds.sessions_max; i++)
    c->sessions[i].islands_at = 0;
}

void weir_islands_inherit(struct weir_pool *pool, weir_tstamp until)
{
  if (until == 0)
    return; /* nobody was ever told */
  assume(pool, until);
  wait_until(pool, weir_time_add(until, longest_window(&pool->config)));
}

void weir_islands_assume_all(struct weir_coord *c, weir_tstamp last)
{
  for (uint32_t i = c->islands_first; i != WEIR_NONE; i = c->pools[i].islands_next) {
    struct weir_pool *pool = &c->pools[i];

    if (has_islands(&pool->config))
      assume(pool, weir_time_add(weir_time_add(last, pool->config.island.for_us),
                                 hold_us(&pool->config)));
  }
}

void weir_islands_settled(struct weir_coord *c, struct weir_session *s,
                          const struct weir_msg_settle *settle)
{
  const uint32_t pool = weir_pool_named(c, settle->island);

  if (!weir_session_seq_is_new(s, settle->seq))
    return; /* told again */
  weir_session_seq_note(s, settle->seq);
  if (!settle->is_sent)
    return;
  c->counters[WEIR_COUNTER_ISLAND_CALLS]++;
  if (pool != WEIR_NONE)
    c->pools[pool].island_calls++;
}
