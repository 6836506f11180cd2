/* world_coord.c - the coordinator's machine, and what it is configured with. */
#include "world_state.h"

#include <stdlib.h>
#include <string.h>

/* The machine's sums are compared with their parts once in so many steps: what is wrong there stays
 * wrong. A replay looks after every step. */
#define CHECK_STEPS 16

#define DAY_US  (24 * WEIR_US_PER_HOUR)
#define WALL_US (UINT64_C(1800000000) * SECOND) /* the wall clock when the world begins */

static const struct weir_coord_bounds bounds = {.pools_max = POOL_NAMES + 2,
                                                .names_max = 2,
                                                .routes_max = 1,
                                                .sessions_max = 64,
                                                .asks_max = 1024,
                                                .leases_max = 4096,
                                                .budgets_max = 2,
                                                .tenants_max = 64};

void *coord_storage_new(void)
{
  return calloc(1, weir_coord_size(&bounds));
}

/* ---- breakers ---- */

static bool *open_of(struct world *w, const char *pool)
{
  return &w->is_open[pool[0] == 'p' ? (uint32_t)(pool[1] - '0') : POOL_NAMES];
}

/* No step grants anything of a pool that was open before it and is open still. New attempts are as
 * many as first ones earn, but for what each pool begins with, what comes by itself, and what a
 * minute's quota rejected. */
static void breakers_judge(struct world *w)
{
  const uint64_t grants = weir_coord_counter(w->coord, WEIR_COUNTER_GRANTS);
  const uint64_t retries = weir_coord_counter(w->coord, WEIR_COUNTER_RETRIES);
  const uint64_t by_itself = 10000 + (w->now - w->coord_began) / (10 * MS);
  const uint64_t excused = weir_coord_counter(w->coord, WEIR_COUNTER_REJECTED_429);
  bool was_open[POOL_NAMES + 1];
  struct weir_coord_change said;

  memcpy(was_open, w->is_open, sizeof(was_open));
  while (weir_coord_change(w->coord, w->now, &w->changes_heard, &said)) {
    *open_of(w, said.state.pool) = said.state.breaker == WEIR_BREAKER_OPEN;
    world_trace(w, "the breaker of %s is %s", said.state.pool,
                weir_breaker_name(said.state.breaker));
  }
  for (uint32_t i = 0; grants > w->grants_counted && i < w->coord_update.count; i++) {
    const struct weir_msg *msg = &w->coord_update.sends[i].msg;
    const bool *is_open = msg->type == WEIR_MSG_GRANT ? open_of(w, msg->grant.pool) : NULL;

    if (is_open && *is_open && was_open[is_open - w->is_open])
      world_violation(w, "a grant of %s, whose breaker is open", msg->grant.pool);
  }
  w->grants_counted = grants;
  if (retries * 1000 >
      (POOL_NAMES + 1) * by_itself + excused * 1000 + (grants - retries) * RETRIES_MAX_PM)
    world_violation(w, "%llu new attempts beside %llu first ones", (unsigned long long)retries,
                    (unsigned long long)(grants - retries));
  w->report->openings = weir_coord_counter(w->coord, WEIR_COUNTER_OPENINGS);
  w->report->retries = retries;
}

/* How soon a new life grants. */
static void resume_note(struct world *w)
{
  if (!w->is_resuming || weir_coord_counter(w->coord, WEIR_COUNTER_GRANTS) == 0)
    return;
  w->is_resuming = false;
  w->report->resumes++;
  w->report->resumes_us += w->now - w->coord_began;
}

void coord_step(struct world *w, const struct weir_coord_event *event)
{
  if (weir_coord_step(w->coord, event, &w->coord_update) != WEIR_OK)
    abort();
  if (w->trace || w->coord_steps++ % CHECK_STEPS == 0)
    weir_coord_check(w->coord);
  if (weir_coord_grant_max(w->coord) > w->granted_max)
    w->granted_max = weir_coord_grant_max(w->coord);
  breakers_judge(w);
  resume_note(w);
  for (uint32_t i = 0; i < w->coord_update.count; i++)
    shim_send(w, w->coord_update.sends[i].route, &w->coord_update.sends[i].msg);
}

void coord_start(struct world *w)
{
  struct weir_coord_start start = {.epoch = ++w->epoch, .seed = weir_rng_next(&w->rng)};

  start.has_past = w->epoch > 1;
  start.past_us = start.has_past ? w->now - w->coord_died - WEIR_COORD_HORIZON_US : 0;
  start.is_durable = w->store.is_on;
  start.is_same_boot = world_draw(w, 2);
  start.records = w->store.rows;
  start.records_count = w->store.rows_count;
  w->is_resuming = start.has_past;
  memset(w->coord_storage, 0, weir_coord_size(&bounds));
  if (weir_coord_init(w->coord_storage, &bounds, &w->config, &start, w->now, &w->coord) != WEIR_OK)
    abort();
  weir_coord_disown(w->coord, w->store.rows, w->store.rows_count);
  w->is_coord_up = true;
  w->changes_heard = w->grants_counted = 0;
  memset(w->is_open, 0, sizeof(w->is_open));
  w->coord_began = w->now;
  world_trace(w, "coordinator starts, epoch %llu", (unsigned long long)w->epoch);
  coord_clock(w);
}

void coord_clock(struct world *w)
{
  struct weir_wall wall = {.zones_count = 1};
  struct weir_coord_event event = {.type = WEIR_COORD_CLOCK, .now = w->now, .wall = &wall};
  const uint64_t midnight = WALL_US + (w->midnight_at - w->began);

  if (!w->is_coord_up)
    return;
  wall.now_us = WALL_US + (w->now - w->began) + (uint64_t)w->wall_error_us;
  wall.zones[0].number = 20000 + (wall.now_us >= midnight);
  for (uint64_t i = 0; i < WEIR_ZONE_STARTS; i++)
    wall.zones[0].starts_us[i] = midnight - DAY_US + (i + (wall.now_us >= midnight)) * DAY_US;
  coord_step(w, &event);
}

/* ---- what is configured ---- */

/* A budget of |share_pm| thousandths of the pool's rate of tokens, in a window of its own. */
static void budget_draw(struct world *w, struct weir_budget_config *budget, const char *name,
                        uint64_t share_pm)
{
  static const weir_duration windows[] = {5 * SECOND, 20 * SECOND, MINUTE};
  const struct weir_limit_config *tokens = &w->pool.limits[1];
  struct weir_limit_config *limit = &budget->limits[0];

  strcpy(budget->name, name);
  budget->rules.profile =
      (enum weir_profile)(WEIR_PROFILE_WINDOW + world_draw(w, WEIR_PROFILE_UNIVERSAL));
  budget->limits_count = 1;
  limit->dimension = WEIR_DIMENSION_INPUT_TOKENS;
  limit->window_us = windows[world_draw(w, 3)];
  limit->amount = tokens->amount * limit->window_us / tokens->window_us * share_pm / 1000;
  if (limit->amount < 10000)
    limit->amount = 10000;
}

/* Who shares the pool; budgets over the pool in every fourth world, of a tenant in every
 * sixth. */
static void sharers_draw(struct world *w)
{
  const bool has_project = world_draw(w, 4) == 0, has_own = world_draw(w, 6) == 0;

  budget_draw(w, &w->budgets[0], "project", 400 + world_draw(w, 600));
  budget_draw(w, &w->budgets[1], "own", 200 + world_draw(w, 600));
  w->windows[OF_PROJECT].is_on = has_project;
  w->windows[OF_TENANT].is_on = has_own;
  w->config.budgets = w->budgets;
  w->config.budgets_count = 2;
  w->pool.budgets_count = has_project;
  w->config.tenants = w->tenants;
  w->config.tenants_count = 1 + (uint32_t)world_draw(w, TENANTS_MAX);
  for (uint32_t i = 0; i < w->config.tenants_count; i++) {
    w->tenants[i] = (struct weir_tenant_config){.pool = WEIR_POOL_ANY,
                                                .weight = 1 + (uint32_t)world_draw(w, 8),
                                                .budget = WEIR_BUDGET_NONE};
    snprintf(w->tenants[i].name, sizeof(w->tenants[i].name), "t%u", i);
  }
  if (has_own)
    w->tenants[0].budget = 1;
}

/* Calls in flight in every fifth world, and a limit by the day in every fifth: half a minute to six
 * of what the windows allow, so that it is often used up. */
static void more_limits_draw(struct world *w)
{
  const struct weir_limit_config *tokens = &w->pool.limits[1];
  struct weir_limit_config *limits = w->pool.limits;

  if (world_draw(w, 5) == 0) {
    w->flight_max = 5 + world_draw(w, 100);
    limits[w->pool.limits_count++] =
        (struct weir_limit_config){.dimension = WEIR_DIMENSION_IN_FLIGHT, .amount = w->flight_max};
  }
  w->midnight_at = w->began + 2 * MINUTE + world_draw(w, 11 * MINUTE);
  w->provider_skew_us = (int64_t)world_draw(w, 3800 * MS) - 1900 * (int64_t)MS;
  if (world_draw(w, 5) == 0) {
    w->day_max = tokens->amount * MINUTE / tokens->window_us * (500 + world_draw(w, 5500)) / 1000;
    limits[w->pool.limits_count++] =
        (struct weir_limit_config){.dimension = WEIR_DIMENSION_INPUT_TOKENS,
                                   .window_us = WEIR_DAY_WINDOW_US,
                                   .amount = w->day_max,
                                   .is_day = true,
                                   .zone_id = 1};
    /* Mostly the books of the day are kept, so that it can be judged. */
    if (world_draw(w, 3) > 0) {
      w->report->enabled[WEIR_FAULT_POOL_MOVE] = 0;
      w->report->enabled[w->store.is_on ? WEIR_FAULT_CLOCK_STEP : WEIR_FAULT_COORD_CRASH] = 0;
    }
  }
}

/* A breaker in three of four worlds, quick enough for its whole life to be seen in one. */
static void breaker_draw(struct world *w)
{
  struct weir_breaker_config *breaker = &w->pool.breaker;

  breaker->is_on = world_draw(w, 4) > 0;
  breaker->failures_pm = 200 + (uint32_t)world_draw(w, 700);
  breaker->calls_min = 2 + (uint32_t)world_draw(w, 30);
  breaker->probes = 1 + (uint32_t)world_draw(w, 4);
  breaker->window_us = 2 * SECOND + world_draw(w, 20 * SECOND);
  breaker->open_us = SECOND + world_draw(w, 4 * SECOND);
  breaker->open_max_us = breaker->open_us + world_draw(w, 20 * SECOND);
  breaker->probe_timeout_us = 4 * SECOND + world_draw(w, 10 * SECOND);
  breaker->ramp_us = SECOND + world_draw(w, 10 * SECOND);
  w->pool.retries_pm = (uint32_t)world_draw(w, RETRIES_MAX_PM + 1);
}

void coord_rules_draw(struct world *w)
{
  breaker_draw(w);
  w->pool.rules.profile =
      (enum weir_profile)(WEIR_PROFILE_WINDOW + world_draw(w, WEIR_PROFILE_UNIVERSAL));
  w->pool.rules.is_fixed = world_draw(w, 2);
  w->pool.ttl_us = world_draw(w, 3) ? 300 * MS + world_draw(w, 3 * SECOND)
                                    : 3 * SECOND + world_draw(w, 6 * SECOND);
}

/* Islands in half of the worlds whose pool can have them; drawn apart, so that the others stay as
 * they are. What a coordinator told before its configuration changed is not known to its next life.
 */
static void islands_draw(struct world *w)
{
  uint64_t *enabled = w->report->enabled;
  struct weir_rng rng;
  uint64_t times;

  weir_rng_init(&rng, ~w->report->seed);
  if (weir_rng_below(&rng, 2) || w->pool.budgets_count > 0 || w->flight_max > 0 ||
      w->windows[OF_TENANT].is_on)
    return;
  w->report->has_islands = true;
  enabled[WEIR_FAULT_PARTITION] = 1;
  if (enabled[WEIR_FAULT_COORD_CRASH])
    enabled[WEIR_FAULT_LIMIT_CHANGE] = enabled[WEIR_FAULT_POOL_MOVE] = 0;
  w->pool.island.share_pm = 50 + (uint32_t)weir_rng_below(&rng, 450);
  w->pool.island.places = 1 + (uint32_t)weir_rng_below(&rng, weir_rng_below(&rng, 4) ? 3 : 12);
  w->pool.island.for_us = 5 * SECOND + weir_rng_below(&rng, MINUTE);
  /* Parts that are large enough for calls. */
  times = 3 + weir_rng_below(&rng, 6);
  for (int i = 0; i < 2; i++)
    w->pool.limits[i].amount *= (uint64_t)(i + 1) * times;
}

/* Use that the provider calls too fast, in two of three worlds that have other rejections, too:
 * there the use of the quota is not judged. Drawn apart, like islands. Mostly a ceiling follows,
 * whose growth is quick enough for its whole life to be seen. */
static void ramp_draw(struct world *w)
{
  struct weir_rng rng;

  weir_rng_init(&rng, ~w->report->seed * 3);
  w->report->enabled[WEIR_FAULT_RAMP] =
      w->report->enabled[WEIR_FAULT_REJECT] && weir_rng_below(&rng, 3) > 0;
  w->pool.rules.ramp_pm = weir_rng_below(&rng, 4) ? 100 + (uint32_t)weir_rng_below(&rng, 1500) : 0;
  w->pool.rules.ramp_per_us = SECOND + weir_rng_below(&rng, MINUTE);
}

void coord_configure(struct world *w)
{
  coord_rules_draw(w);
  ramp_draw(w);
  w->pool.jitter_us = world_draw(w, 200 * MS);
  w->pool.batch_floor_pm = 100;
  strcpy(w->names[0].name, "p/m");
  strcpy(w->names[0].model, "p/m");
  strcpy(w->names[1].name, "route");
  strcpy(w->names[1].model, "p/m");
  w->has_route = w->report->seed % 3 == 0;
  w->route = (struct weir_route_config){.name = 1, .patience_us = 250 * MS, .choices_count = 1};
  w->config = (struct weir_coord_config){.pools_count = 2,
                                         .pools = w->pools,
                                         .names = w->names,
                                         .routes = &w->route,
                                         .heartbeat_us = SECOND,
                                         .session_ttl_us = 3 * SECOND,
                                         .asks_max = 8 + (uint32_t)world_draw(w, 32)};
  sharers_draw(w);
  more_limits_draw(w);
  islands_draw(w);
  coord_name(w, 0, true);
  coord_pools_make(w);
}

void coord_name(struct world *w, uint32_t pool, bool is_there)
{
  w->names[0].pool = w->names[1].pool = pool;
  w->config.routes_count = is_there && w->has_route;
  w->config.names_count = is_there + w->config.routes_count;
}

void coord_pools_make(struct world *w)
{
  w->pools[0] = w->pools[1] = w->pool;
  snprintf(w->pools[0].name, sizeof(w->pools[0].name), "p%u", w->pool_number % POOL_NAMES);
  strcpy(w->pools[1].name, "other");
}

void coord_reload(struct world *w)
{
  struct weir_coord_event event = {.type = WEIR_COORD_CONFIG, .now = w->now, .config = &w->config};

  coord_pools_make(w);
  if (w->is_coord_up)
    coord_step(w, &event);
}

void coord_restart(struct world *w, uint32_t life)
{
  if (life != w->coord_life)
    return;
  coord_start(w);
  for (uint32_t i = 0; i < w->shims_count; i++) {
    if (!w->shims[i].is_up && !w->shims[i].is_paused)
      shim_link(w, i, true);
  }
}

void coord_message(struct world *w, const struct happening *it)
{
  struct weir_coord_event event = {
      .type = WEIR_COORD_MESSAGE, .now = w->now, .route = it->route, .msg = &it->msg};

  if (w->is_coord_up && it->life == w->coord_life &&
      it->route == shim_route(w, (uint32_t)(it->route >> 32)))
    coord_step(w, &event);
}
