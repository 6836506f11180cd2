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

void weir_pool_release(struct weir_coord *c, struct weir_pool *pool)
{
  if (pool->state != WEIR_POOL_REMOVED || pool->leases_count > 0 ||
      pool->queue[WEIR_CLASS_ONLINE].count > 0 || pool->queue[WEIR_CLASS_BATCH].count > 0)
    return;
  weir_pq_remove(&c->pool_timers, &pool->timer);
  pool->state = WEIR_POOL_FREE;
}

static struct weir_pool *pool_named(struct weir_coord *c, const char *name)
{
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (c->pools[i].state != WEIR_POOL_FREE && strcmp(c->pools[i].config.name, name) == 0)
      return &c->pools[i];
  }
  return NULL;
}

static struct weir_pool *pool_open(struct weir_coord *c, const struct weir_pool_config *config,
                                   weir_tstamp now)
{
  struct weir_pool *pool = pool_named(c, config->name);
  uint32_t index = 0;

  if (pool) { /* also one that was removed and comes back: its books are still true */
    weir_ledger_configure(&pool->ledger, config, now);
  } else {
    while (c->pools[index].state != WEIR_POOL_FREE)
      index++;
    pool = &c->pools[index];
    memset(pool, 0, sizeof(*pool));
    for (int class = 0; class < WEIR_CLASS_MAX; class ++)
      pool->queue[class] = (struct weir_list){WEIR_NONE, WEIR_NONE, 0};
    weir_ledger_init(&pool->ledger, c->slots + (size_t)index * WEIR_LIMITS_MAX * WEIR_RING_SLOTS,
                     config, now);
  }
  assert(config->batch_floor_pm <= WEIR_FLOOR_MAX_PM);
  pool->config = *config;
  pool->state = WEIR_POOL_OPEN;
  weir_timer_set(&c->pool_timers, &pool->timer, now); /* its queue may fit now */
  return pool;
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

/* Pools that are removed while their leases are out keep their place until the last is settled. */
static bool fits(const struct weir_coord *c, const struct weir_coord_config *config)
{
  uint32_t kept = 0;

  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    bool is_wanted = false;

    if (c->pools[i].state == WEIR_POOL_FREE)
      continue;
    for (uint32_t k = 0; k < config->pools_count && !is_wanted; k++)
      is_wanted = strcmp(config->pools[k].name, c->pools[i].config.name) == 0;
    if (!is_wanted)
      kept++;
  }
  return config->names_count <= c->bounds.names_max && config->pools_count <= c->bounds.pools_max &&
         kept <= c->bounds.pools_max - config->pools_count;
}

enum weir_err weir_pools_configure(struct weir_coord *c, const struct weir_coord_config *config,
                                   weir_tstamp now)
{
  if (!fits(c, config))
    return WEIR_EFULL;
  c->heartbeat_us = config->heartbeat_us;
  c->session_ttl_us = config->session_ttl_us;
  c->session_asks_max = config->asks_max;
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (c->pools[i].state == WEIR_POOL_OPEN)
      c->pools[i].state = WEIR_POOL_REMOVED;
  }
  for (uint32_t i = 0; i < config->pools_count; i++)
    pool_open(c, &config->pools[i], now);
  names_replace(c, config, c->by_name.slots);
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    /* Serving a removed pool denies what waits there. */
    if (c->pools[i].state == WEIR_POOL_REMOVED)
      weir_timer_set(&c->pool_timers, &c->pools[i].timer, now);
  }
  return WEIR_OK;
}

void weir_pools_assume_spent(struct weir_coord *c, weir_tstamp until)
{
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (c->pools[i].state == WEIR_POOL_OPEN)
      weir_ledger_assume_spent(&c->pools[i].ledger, until);
  }
}
