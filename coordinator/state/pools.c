/* pools.c - which pools there are, under which names: what the configuration says. */
#include "machine.h"

#include <assert.h>
#include <string.h>

/* FNV-1a. Names come from the configuration, not from peers, so nobody can aim at collisions. */
static uint64_t name_hash(const char *name)
{
  uint64_t hash = UINT64_C(0xcbf29ce484222325);

  for (; *name; name++)
    hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
  return hash;
}

uint32_t weir_coord_name_find(const struct weir_coord *c, const char *name)
{
  uint64_t key = name_hash(name);
  uint32_t index;

  while (weir_table_find(&c->by_name, key, &index)) {
    if (strcmp(c->names[index].name, name) == 0)
      return index;
    key++;
  }
  return WEIR_NONE;
}

static struct weir_pool *pool_named(struct weir_coord *c, const char *name)
{
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (c->pools[i].state != WEIR_POOL_FREE && strcmp(c->pools[i].config.name, name) == 0)
      return &c->pools[i];
  }
  return NULL;
}

static bool is_held(const struct weir_pool *pool)
{
  return pool->leases_count > 0 || pool->queue[WEIR_CLASS_ONLINE].count > 0 ||
         pool->queue[WEIR_CLASS_BATCH].count > 0;
}

/* A removed pool keeps its books for the day that it comes back, until its place is needed. */
static struct weir_pool *pool_place(struct weir_coord *c)
{
  struct weir_pool *place = NULL;

  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (c->pools[i].state == WEIR_POOL_FREE)
      return &c->pools[i];
    if (!place && c->pools[i].state == WEIR_POOL_REMOVED && !is_held(&c->pools[i]))
      place = &c->pools[i];
  }
  assert(place); /* weir_pools_configure counted */
  weir_pq_remove(&c->pool_timers, &place->timer);
  return place;
}

/* What was granted by |granted| starts by the returned instant. */
static weir_tstamp started_until(weir_tstamp granted)
{
  return weir_time_add(granted, WEIR_COORD_HORIZON_US);
}

static struct weir_pool *pool_new(struct weir_coord *c, const struct weir_pool_config *config,
                                  weir_tstamp now)
{
  struct weir_pool *pool = pool_place(c);
  uint64_t *slots = c->slots + (size_t)(pool - c->pools) * WEIR_LIMITS_MAX * WEIR_RING_SLOTS;

  memset(pool, 0, sizeof(*pool));
  for (int class = 0; class < WEIR_CLASS_MAX; class ++)
    pool->queue[class] = (struct weir_list){WEIR_NONE, WEIR_NONE, 0};
  weir_ledger_init(&pool->ledger, slots, config, now);
  /* What a reload adds may be an old quota under a new name, with calls in no book of ours. */
  if (c->is_running)
    weir_ledger_assume_spent(&pool->ledger, started_until(now));
  return pool;
}

static void pool_open(struct weir_coord *c, struct weir_pool *pool,
                      const struct weir_pool_config *config, weir_tstamp now)
{
  assert(config->batch_floor_pm <= WEIR_FLOOR_MAX_PM);
  pool->config = *config;
  pool->state = WEIR_POOL_OPEN;
  weir_timer_set(&c->pool_timers, &pool->timer, now); /* its queue may fit now */
}

/* Those that are known come first: a new pool must not take the place of one that returns. */
static void pools_open(struct weir_coord *c, const struct weir_coord_config *config,
                       weir_tstamp now)
{
  for (uint32_t i = 0; i < config->pools_count; i++) {
    struct weir_pool *pool = pool_named(c, config->pools[i].name);

    if (!pool)
      continue;
    weir_ledger_configure(&pool->ledger, &config->pools[i], now);
    pool_open(c, pool, &config->pools[i], now);
  }
  for (uint32_t i = 0; i < config->pools_count; i++) {
    if (!pool_named(c, config->pools[i].name))
      pool_open(c, pool_new(c, &config->pools[i], now), &config->pools[i], now);
  }
}

/* A model that comes from another pool brings a past that is in that pool's books only; one that
 * the former configuration did not have was called before that at the latest. */
static void models_move(struct weir_coord *c, const struct weir_coord_config *config,
                        weir_tstamp now)
{
  for (uint32_t i = 0; i < config->names_count; i++) {
    const struct weir_name_config *to = &config->names[i];
    struct weir_pool *pool = pool_named(c, config->pools[to->pool].name);
    uint32_t former = weir_coord_name_find(c, to->model);

    if (former == WEIR_NONE && c->is_running)
      weir_ledger_assume_spent(&pool->ledger, started_until(c->configured_at));
    else if (former != WEIR_NONE && &c->pools[c->names[former].pool] != pool)
      weir_ledger_assume_spent(&pool->ledger, started_until(now));
  }
}

static void names_replace(struct weir_coord *c, const struct weir_coord_config *config,
                          void *storage)
{
  weir_table_init(&c->by_name, storage, c->bounds.names_max);
  for (uint32_t i = 0; i < config->names_count; i++) {
    const struct weir_name_config *from = &config->names[i];
    uint64_t key = name_hash(from->name);
    enum weir_err err;

    while (weir_table_find(&c->by_name, key, NULL))
      key++;
    memcpy(c->names[i].name, from->name, sizeof(from->name));
    memcpy(c->names[i].model, from->model, sizeof(from->model));
    c->names[i].pool = (uint32_t)(pool_named(c, config->pools[from->pool].name) - c->pools);
    err = weir_table_put(&c->by_name, key, i);
    assert(err == WEIR_OK);
    (void)err;
  }
  c->names_count = config->names_count;
}

static bool is_wanted(const struct weir_coord_config *config, const struct weir_pool *pool)
{
  for (uint32_t i = 0; i < config->pools_count; i++) {
    if (strcmp(config->pools[i].name, pool->config.name) == 0)
      return true;
  }
  return false;
}

/* Pools that are removed while something of them is out keep their place until it is settled. */
static bool fits(const struct weir_coord *c, const struct weir_coord_config *config)
{
  uint32_t kept = 0;

  for (uint32_t i = 0; i < c->bounds.pools_max; i++)
    kept += is_held(&c->pools[i]) && !is_wanted(config, &c->pools[i]);
  return config->names_count <= c->bounds.names_max && config->pools_count <= c->bounds.pools_max &&
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
    weir_timer_set(&c->pool_timers, &c->pools[i].timer, now);
  }
}

enum weir_err weir_pools_configure(struct weir_coord *c, const struct weir_coord_config *config,
                                   weir_tstamp now)
{
  if (!fits(c, config))
    return WEIR_EFULL;
  c->heartbeat_us = config->heartbeat_us;
  c->session_ttl_us = config->session_ttl_us;
  c->session_asks_max = config->asks_max;
  pools_remove(c, config, now);
  pools_open(c, config, now);
  models_move(c, config, now);
  names_replace(c, config, c->by_name.slots);
  c->configured_at = now;
  return WEIR_OK;
}

void weir_pools_assume_spent(struct weir_coord *c, weir_tstamp until)
{
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (c->pools[i].state == WEIR_POOL_OPEN)
      weir_ledger_assume_spent(&c->pools[i].ledger, until);
  }
}
