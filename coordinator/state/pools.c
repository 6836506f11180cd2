/* pools.c - which pools there are, under which names: what the configuration says. */
#include "machine.h"

#include <assert.h>
#include <string.h>

uint32_t weir_coord_name_find(const struct weir_coord *c, const char *name)
{
  uint64_t key = weir_table_key(name, 0);
  uint32_t index;

  while (weir_table_find(&c->by_name, key, &index)) {
    if (strcmp(c->names[index].name, name) == 0)
      return index;
    key++;
  }
  return WEIR_NONE;
}

uint32_t weir_pool_named(const struct weir_coord *c, const char *name)
{
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (c->pools[i].state != WEIR_POOL_FREE && strcmp(c->pools[i].config.name, name) == 0)
      return i;
  }
  return WEIR_NONE;
}

bool weir_pool_has_waiting(const struct weir_pool *pool)
{
  return pool->queue[WEIR_CLASS_ONLINE].count > 0 || pool->queue[WEIR_CLASS_BATCH].count > 0;
}

void weir_pools_look(struct weir_coord *c, weir_tstamp now)
{
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (weir_pool_has_waiting(&c->pools[i]))
      weir_timer_set(&c->pool_timers, &c->pools[i].timer, now);
  }
  for (uint32_t i = 0; i < c->bounds.budgets_max; i++)
    weir_line_look(c, i, now);
}

static bool is_held(const struct weir_coord *c, uint32_t index, weir_tstamp now)
{
  const struct weir_pool *pool = &c->pools[index];

  return pool->leases_count > 0 || weir_pool_has_waiting(pool) || now < pool->islands_until ||
         (pool->state == WEIR_POOL_REMOVED && !weir_keep_has_left(c, index));
}

/* A removed pool keeps its books for the day that it comes back, until its place is needed. */
static struct weir_pool *pool_place(struct weir_coord *c, weir_tstamp now)
{
  struct weir_pool *place = NULL;

  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (c->pools[i].state == WEIR_POOL_FREE)
      return &c->pools[i];
    if (!place && c->pools[i].state == WEIR_POOL_REMOVED && !is_held(c, i, now))
      place = &c->pools[i];
  }
  assert(place); /* weir_pools_configure counted */
  weir_pq_remove(&c->pool_timers, &place->timer);
  weir_breakers_end(c, place);
  weir_tenants_forget(c, (uint32_t)(place - c->pools));
  return place;
}

weir_tstamp weir_started_until(weir_tstamp granted)
{
  return weir_time_add(granted, WEIR_COORD_HORIZON_US);
}

/* With |limits|: those of |config|, less what islands may use. */
static struct weir_ledger_config ledger_of(const struct weir_pool_config *config,
                                           const struct weir_limit_config *limits,
                                           weir_tstamp islands_until)
{
  return (struct weir_ledger_config){.limits_count = config->limits_count,
                                     .limits = limits,
                                     .rules = &config->rules,
                                     .hold_us = config->ttl_us + config->jitter_us,
                                     .others_until = islands_until};
}

static struct weir_pool *pool_new(struct weir_coord *c, const struct weir_pool_config *config,
                                  const struct weir_instant *now)
{
  struct weir_limit_config limits[WEIR_LIMITS_MAX];
  const struct weir_ledger_config ledger = ledger_of(config, limits, 0);
  struct weir_pool *pool = pool_place(c, now->at);

  memset(pool, 0, sizeof(*pool));
  weir_islands_limits(c, pool, config, now->at, limits);
  for (uint32_t k = 0; k < WEIR_POOL_BUDGETS; k++)
    pool->places[k].budget = WEIR_NONE;
  weir_bias_init(&pool->bias);
  weir_breakers_begin(pool, config, now->at);
  weir_callers_forget(c, (uint32_t)(pool - c->pools));
  weir_today_begin(&pool->today, now->at);
  weir_ledger_init(&pool->ledger,
                   weir_slots_of(c->slots, WEIR_LEDGER_SLOTS, (size_t)(pool - c->pools)), &ledger,
                   now);
  /* What a reload adds may be an old quota under a new name, with calls in no book of ours. */
  if (c->is_running)
    weir_ledger_assume_spent(&pool->ledger, weir_started_until(now->at));
  return pool;
}

static void pool_open(struct weir_coord *c, struct weir_pool *pool,
                      const struct weir_coord_config *config, uint32_t index, weir_tstamp now)
{
  const struct weir_pool_config *from = &config->pools[index];
  const bool is_back = c->is_running && pool->state != WEIR_POOL_OPEN;

  assert(from->batch_floor_pm <= WEIR_FLOOR_MAX_PM && from->budgets_count <= WEIR_POOL_BUDGETS);
  assert(from->ttl_us + from->jitter_us <= WEIR_HOLD_MAX_US);
  pool->config = *from;
  for (uint32_t k = 0; k < from->budgets_count; k++)
    pool->config.budgets[k] = weir_budget_named(c, config->budgets[from->budgets[k]].name);
  pool->state = WEIR_POOL_OPEN;
  weir_timer_set(&c->pool_timers, &pool->timer, now); /* its queue may fit now */
  assert(!from->breaker.is_on ||
         (from->breaker.probes > 0 && from->breaker.probes <= WEIR_PROBES_MAX));
  weir_breaker_configure(&pool->breaker, &from->breaker, now);
  weir_breakers_reopen(pool, now);
  weir_breakers_note(c, pool, now);
  /* Sessions, and the log, may know one of this name as it was long ago. */
  if (is_back)
    weir_tell_change(c, pool, now);
  if (is_back && pool->breaker.changes > 0)
    pool->breaker_changed = pool->changed;
}

static void ledger_configure(struct weir_coord *c, struct weir_pool *pool,
                             const struct weir_pool_config *config, const struct weir_instant *now)
{
  struct weir_limit_config limits[WEIR_LIMITS_MAX];
  const struct weir_ledger_config ledger = ledger_of(config, limits, pool->islands_until);

  weir_islands_limits(c, pool, config, now->at, limits);
  weir_ledger_configure(&pool->ledger, &ledger, now);
}

/* Those that are known come first: a new pool must not take the place of one that returns. */
static void pools_open(struct weir_coord *c, const struct weir_coord_config *config,
                       const struct weir_instant *now)
{
  for (uint32_t i = 0; i < config->pools_count; i++) {
    const uint32_t known = weir_pool_named(c, config->pools[i].name);

    if (known == WEIR_NONE)
      continue;
    weir_islands_change(&c->pools[known], &config->pools[i], now->at);
    ledger_configure(c, &c->pools[known], &config->pools[i], now);
    pool_open(c, &c->pools[known], config, i, now->at);
  }
  for (uint32_t i = 0; i < config->pools_count; i++) {
    if (weir_pool_named(c, config->pools[i].name) == WEIR_NONE)
      pool_open(c, pool_new(c, &config->pools[i], now), config, i, now->at);
  }
}

static bool was_spent(const struct weir_pool *pool, uint32_t budget)
{
  for (uint32_t k = 0; k < pool->former_count; k++) {
    if (pool->former[k] == budget)
      return true;
  }
  return false;
}

/* Calls without the coordinator that spend a budget, and are not told to it, end by |islands|. Each
 * of its limits may be new, and is closed until then. */
static void budget_wait(struct weir_coord *c, uint32_t budget, weir_tstamp islands, weir_tstamp now)
{
  if (islands > now)
    weir_ledger_assume_spent(&c->budgets[budget].ledger, islands);
}

/* A model that comes from another pool brings a past that is in that pool's books only, and in
 * those of the budgets that it spent; one that the former configuration did not have was called
 * before that at the latest. */
static void models_move(struct weir_coord *c, const struct weir_coord_config *config,
                        weir_tstamp now)
{
  assert(c->pools != NULL);
  for (uint32_t i = 0; c->is_running && i < config->names_count; i++) {
    const struct weir_name_config *to = &config->names[i];
    struct weir_pool *pool = &c->pools[weir_pool_named(c, config->pools[to->pool].name)];
    const uint32_t name = weir_coord_name_find(c, to->model);
    const struct weir_pool *former = name == WEIR_NONE ? NULL : &c->pools[c->names[name].pool];
    const weir_tstamp islands = former ? former->islands_until : c->islands_lost_at;
    weir_tstamp until = weir_started_until(former ? now : c->configured_at);

    until = islands > until ? islands : until;
    if (former != pool) {
      weir_ledger_assume_spent(&pool->ledger, until);
      weir_islands_inherit(pool, islands);
    }
    for (uint32_t k = 0; k < pool->config.budgets_count; k++) {
      const uint32_t budget = pool->config.budgets[k];

      if (!former || !was_spent(former, budget))
        weir_ledger_assume_spent(&c->budgets[budget].ledger, until);
      budget_wait(c, budget, islands, now);
    }
  }
}

static void name_set(struct weir_coord *c, uint32_t index, const struct weir_coord_config *config,
                     const struct weir_name_config *from)
{
  struct weir_name *name = &c->names[index];

  memcpy(name->name, from->name, sizeof(from->name));
  memcpy(name->model, from->model, sizeof(from->model));
  name->pool = weir_pool_named(c, config->pools[from->pool].name);
  name->route = WEIR_NONE;
  name->is_wanted = true;
}

/* Names that stay keep their places, because what waits knows them by these. */
static void names_replace(struct weir_coord *c, const struct weir_coord_config *config)
{
  uint32_t place = 0;

  for (uint32_t i = 0; i < c->bounds.names_max; i++)
    c->names[i].is_wanted = false;
  for (uint32_t i = 0; i < config->names_count; i++) {
    uint32_t known = weir_coord_name_find(c, config->names[i].name);

    if (known != WEIR_NONE)
      name_set(c, known, config, &config->names[i]);
  }
  for (uint32_t i = 0; i < config->names_count; i++) {
    uint32_t known = weir_coord_name_find(c, config->names[i].name);

    if (known != WEIR_NONE && c->names[known].is_wanted)
      continue;
    while (c->names[place].is_wanted)
      place++;
    name_set(c, place, config, &config->names[i]);
    c->names[place].born = ++c->names_born;
  }
}

static void names_index(struct weir_coord *c)
{
  weir_table_init(&c->by_name, c->by_name.slots, c->bounds.names_max);
  for (uint32_t i = 0; i < c->bounds.names_max; i++) {
    uint64_t key = weir_table_key(c->names[i].name, 0);
    enum weir_err err;

    if (!c->names[i].is_wanted) {
      if (c->names[i].name[0] != '\0' &&
          c->pools[c->names[i].pool].islands_until > c->islands_lost_at)
        c->islands_lost_at = c->pools[c->names[i].pool].islands_until;
      memset(&c->names[i], 0, sizeof(c->names[i]));
      continue;
    }
    while (weir_table_find(&c->by_name, key, NULL))
      key++;
    err = weir_table_put(&c->by_name, key, i);
    assert(err == WEIR_OK);
    (void)err;
  }
}

/* An alias means a model of its pool. */
static void names_resolve(struct weir_coord *c)
{
  for (uint32_t i = 0; i < c->bounds.names_max; i++) {
    const uint32_t model =
        c->names[i].is_wanted ? weir_coord_name_find(c, c->names[i].model) : WEIR_NONE;
    const bool is_there = model != WEIR_NONE && c->names[model].pool == c->names[i].pool;

    c->names[i].meant = is_there ? model : WEIR_NONE;
  }
}

static bool is_wanted(const struct weir_coord_config *config, const struct weir_pool *pool)
{
  for (uint32_t i = 0; i < config->pools_count; i++) {
    if (strcmp(config->pools[i].name, pool->config.name) == 0)
      return true;
  }
  return false;
}

/* Pools that are removed while something of them is out keep their place until it is settled, and
 * with a store all do until it is durable that they are gone. */
static bool fits(const struct weir_coord *c, const struct weir_coord_config *config,
                 weir_tstamp now)
{
  uint32_t kept = 0;

  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    const bool is_leaving = c->is_durable && c->pools[i].state == WEIR_POOL_OPEN;

    kept += (is_leaving || is_held(c, i, now)) && !is_wanted(config, &c->pools[i]);
  }
  return config->names_count <= c->bounds.names_max &&
         config->routes_count <= c->bounds.routes_max &&
         config->pools_count <= c->bounds.pools_max &&
         kept <= c->bounds.pools_max - config->pools_count;
}

/* Serving a removed pool denies what waits there. */
static void pools_remove(struct weir_coord *c, const struct weir_coord_config *config,
                         weir_tstamp now)
{
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (c->pools[i].state != WEIR_POOL_OPEN || is_wanted(config, &c->pools[i]))
      continue;
    c->pools[i].state = WEIR_POOL_REMOVED;
    weir_keep_leave(c, i);
    c->pools[i].config.budgets_count = 0; /* whose places may go to others */
    weir_timer_set(&c->pool_timers, &c->pools[i].timer, now);
  }
}

/* Everybody leaves the lines, which may be for other budgets now, and comes back by his ticket. */
static void lines_leave(struct weir_coord *c, weir_tstamp now)
{
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    struct weir_pool *pool = &c->pools[i];

    if (pool->state == WEIR_POOL_FREE)
      continue;
    for (uint32_t k = 0; k < WEIR_POOL_BUDGETS; k++)
      weir_line_leave(c, weir_member_of_pool(c, pool, k), now);
    pool->former_count = pool->config.budgets_count;
    memcpy(pool->former, pool->config.budgets, sizeof(pool->former));
  }
  for (uint32_t i = 0; i < c->fair.records_count; i++)
    weir_tenant_unpark(c, i, now);
}

/* Which pools have tenants that must stay within limits of their own. */
static void owners_find(struct weir_coord *c, const struct weir_coord_config *config,
                        weir_tstamp now)
{
  for (uint32_t i = 0; i < config->pools_count; i++) {
    struct weir_pool *pool = &c->pools[weir_pool_named(c, config->pools[i].name)];

    pool->has_owners = false;
    for (uint32_t k = 0; k < config->tenants_count; k++) {
      const struct weir_tenant_config *tenant = &config->tenants[k];

      if (tenant->budget == WEIR_BUDGET_NONE ||
          (tenant->pool != WEIR_POOL_ANY && tenant->pool != i))
        continue;
      pool->has_owners = true;
      budget_wait(c, weir_budget_named(c, config->budgets[tenant->budget].name),
                  pool->islands_until, now);
    }
  }
}

void weir_pools_carve_less(struct weir_coord *c, const struct weir_instant *now)
{
  if (now->at < c->islands_at)
    return;
  c->islands_at = WEIR_NEVER;
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    struct weir_pool *pool = &c->pools[i];

    if (pool->state != WEIR_POOL_OPEN || pool->carve_again_at == WEIR_NEVER)
      continue;
    ledger_configure(c, pool, &pool->config, now);
    weir_timer_set(&c->pool_timers, &pool->timer, now->at);
  }
}

enum weir_err weir_pools_configure(struct weir_coord *c, const struct weir_coord_config *config,
                                   const struct weir_instant *now)
{
  if (!fits(c, config, now->at) || !weir_budgets_fit(c, config) ||
      config->tenants_count > c->bounds.tenants_max)
    return WEIR_EFULL;
  c->heartbeat_us = config->heartbeat_us;
  c->session_ttl_us = config->session_ttl_us;
  c->session_asks_max = config->asks_max;
  lines_leave(c, now->at);
  weir_budgets_configure(c, config, now);
  pools_remove(c, config, now->at);
  pools_open(c, config, now);
  models_move(c, config, now->at);
  owners_find(c, config, now->at);
  names_replace(c, config);
  names_index(c);
  names_resolve(c);
  weir_routes_configure(c, config);
  weir_tenants_configure(c, config, now->at);
  weir_islands_configured(c, now->at);
  weir_keep_configure(c, now->at);
  c->configured_at = now->at;
  memset(&c->shown, 0, sizeof(c->shown));
  return WEIR_OK;
}

void weir_pools_assume_spent(struct weir_coord *c, weir_tstamp until)
{
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (c->pools[i].state == WEIR_POOL_OPEN)
      weir_ledger_assume_spent(&c->pools[i].ledger, until);
  }
  for (uint32_t i = 0; i < c->bounds.budgets_max; i++) {
    if (c->budgets[i].state == WEIR_POOL_OPEN)
      weir_ledger_assume_spent(&c->budgets[i].ledger, until);
  }
}
