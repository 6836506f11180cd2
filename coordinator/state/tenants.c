/* tenants.c - who shares a pool. fair.c says whose turn it is; here are the lists of what waits,
 * the configured weights and budgets, and those who are parked because their own budget blocks
 * them. */
#include "machine.h"

#include <assert.h>
#include <string.h>

/* ---- which record ---- */

uint32_t weir_class_index(uint32_t pool, enum weir_class class)
{
  return pool * (WEIR_CLASS_MAX - 1) + (uint32_t) class - 1;
}

uint32_t weir_tenant_pool(const struct weir_coord *c, uint32_t tenant)
{
  return c->fair.records[tenant].class / (WEIR_CLASS_MAX - 1);
}

enum weir_class weir_tenant_class(const struct weir_coord *c, uint32_t tenant)
{
  return (enum weir_class)(c->fair.records[tenant].class % (WEIR_CLASS_MAX - 1) + 1);
}

static const struct weir_share *share_of_pool(const struct weir_coord *c, const char *name,
                                              uint32_t pool)
{
  uint64_t key = weir_table_key(name, pool);
  uint32_t index;

  while (weir_table_find(&c->by_share, key, &index)) {
    if (c->shares[index].pool == pool && strcmp(c->shares[index].name, name) == 0)
      return &c->shares[index];
    key++;
  }
  return NULL;
}

static const struct weir_share *share_find(const struct weir_coord *c, const char *name,
                                           uint32_t pool)
{
  const struct weir_share *share = share_of_pool(c, name, pool);

  return share ? share : share_of_pool(c, name, WEIR_POOL_ANY);
}

/* A budget that the pool spends anyway is not charged twice. */
static uint32_t own_budget(const struct weir_coord *c, const struct weir_share *share,
                           uint32_t pool)
{
  const struct weir_pool_config *config = &c->pools[pool].config;

  if (!share)
    return WEIR_NONE;
  for (uint32_t k = 0; k < config->budgets_count; k++) {
    if (config->budgets[k] == share->budget)
      return WEIR_NONE;
  }
  return share->budget;
}

static void tenant_configure(struct weir_coord *c, uint32_t tenant)
{
  const uint32_t pool = weir_tenant_pool(c, tenant);
  const struct weir_share *share = share_find(c, c->fair.records[tenant].name, pool);

  weir_fair_weigh(&c->fair, tenant, share ? share->weight : 1);
  c->tenants[tenant].budget = own_budget(c, share, pool);
}

uint32_t weir_tenant_enter(struct weir_coord *c, uint32_t pool, enum weir_class class,
                           const char *name)
{
  const uint32_t index = weir_class_index(pool, class);
  uint32_t tenant = weir_fair_open(&c->fair, index, name);

  if (tenant == WEIR_FAIR_NONE) {
    if (own_budget(c, share_find(c, name, pool), pool) != WEIR_NONE)
      return WEIR_NONE;
    tenant = weir_fair_open(&c->fair, index, "");
  }
  if (c->fair.records[tenant].refs == 0) {
    tenant_configure(c, tenant);
    /* Neither known nor without name: it is somebody else than who had the place before. */
    if (tenant >= c->fair.classes_count && !c->fair.records[tenant].was_known)
      c->tenants[tenant].recent_us = c->tenants[tenant].before_us = 0;
  }
  weir_fair_hold(&c->fair, tenant);
  return tenant;
}

/* ---- configuration ---- */

static void share_add(struct weir_coord *c, const struct weir_coord_config *config,
                      const struct weir_tenant_config *from)
{
  struct weir_share *share = &c->shares[c->shares_count];
  enum weir_err err;
  uint64_t key;

  assert(from->weight > 0 && from->weight <= WEIR_WEIGHT_MAX);
  memcpy(share->name, from->name, sizeof(share->name));
  share->weight = from->weight;
  share->pool = from->pool == WEIR_POOL_ANY ? WEIR_POOL_ANY
                                            : weir_pool_named(c, config->pools[from->pool].name);
  share->budget = from->budget == WEIR_BUDGET_NONE
                      ? WEIR_NONE
                      : weir_budget_named(c, config->budgets[from->budget].name);
  key = weir_table_key(share->name, share->pool);
  while (weir_table_find(&c->by_share, key, NULL))
    key++;
  err = weir_table_put(&c->by_share, key, c->shares_count++);
  assert(err == WEIR_OK);
  (void)err;
}

/* Adds |share| to what it spends. Its tenant's calls in one pool are no longer those that it has
 * everywhere, unless both are of the same budget. */
static void sharer_add(struct weir_coord *c, const struct weir_share *share)
{
  const bool is_any = share->pool == WEIR_POOL_ANY;
  const struct weir_share *overall = is_any ? NULL : share_of_pool(c, share->name, WEIR_POOL_ANY);
  const uint32_t other = overall ? overall->budget : WEIR_NONE;
  const uint64_t who = weir_hash_text(share->name, 3) << 1 ^
                       (is_any ? 0 : weir_hash_text(c->pools[share->pool].config.name, 4));

  if (share->budget == other)
    return;
  if (share->budget != WEIR_NONE)
    c->budgets[share->budget].sharers += who;
  if (other != WEIR_NONE)
    c->budgets[other].sharers -= who;
}

/* The books of a budget know nothing of what those used who did not spend it until now. */
static void sharers_find(struct weir_coord *c, weir_tstamp now)
{
  for (uint32_t i = 0; i < c->bounds.budgets_max; i++) {
    c->budgets[i].former_sharers = c->budgets[i].sharers;
    c->budgets[i].sharers = 0;
  }
  for (uint32_t i = 0; i < c->shares_count; i++)
    sharer_add(c, &c->shares[i]);
  for (uint32_t i = 0; c->is_running && i < c->bounds.budgets_max; i++) {
    if (c->budgets[i].sharers != c->budgets[i].former_sharers &&
        c->budgets[i].state == WEIR_POOL_OPEN)
      weir_ledger_assume_spent(&c->budgets[i].ledger, weir_started_until(now));
  }
}

void weir_tenants_configure(struct weir_coord *c, const struct weir_coord_config *config,
                            weir_tstamp now)
{
  weir_table_init(&c->by_share, c->by_share.slots, c->bounds.tenants_max);
  c->shares_count = 0;
  for (uint32_t i = 0; i < config->tenants_count; i++)
    share_add(c, config, &config->tenants[i]);
  sharers_find(c, now);
  for (uint32_t i = 0; i < c->fair.records_count; i++) {
    if (c->fair.records[i].state != WEIR_FAIR_FREE)
      tenant_configure(c, i);
  }
}

/* ---- what was used ---- */

/* Turns to the minute of |now|. */
static void recent_advance(struct weir_tenant *t, weir_tstamp now)
{
  const uint64_t minute = now / WEIR_US_PER_MIN;

  if (t->recent_at == minute)
    return;
  t->before_us = t->recent_at + 1 == minute ? t->recent_us : 0;
  t->recent_us = 0;
  t->recent_at = minute;
}

void weir_tenants_forget(struct weir_coord *c, uint32_t pool)
{
  for (uint32_t i = 0; i < c->fair.records_count; i++) {
    if (weir_tenant_pool(c, i) == pool)
      c->tenants[i].recent_us = c->tenants[i].before_us = 0;
  }
}

void weir_tenant_spend(struct weir_coord *c, uint32_t tenant, uint64_t before, uint64_t after,
                       weir_tstamp now)
{
  struct weir_tenant *t = &c->tenants[tenant];
  const uint64_t weight = c->fair.records[tenant].weight;
  const uint64_t less = (before * weight) >> WEIR_FAIR_SCALE_BITS;
  const uint64_t more = (after * weight) >> WEIR_FAIR_SCALE_BITS;

  recent_advance(t, now);
  /* What was taken in the minute before is given back to it. */
  t->recent_us = weir_time_add(t->recent_us, more);
  if (less > t->recent_us)
    t->before_us = weir_time_sub(t->before_us, less - t->recent_us);
  t->recent_us = weir_time_sub(t->recent_us, less);
}

uint32_t weir_tenant_share_pm(const struct weir_coord *c, uint32_t tenant, weir_tstamp now)
{
  const uint64_t minute_us = WEIR_US_PER_MIN;
  struct weir_tenant t = c->tenants[tenant];
  uint64_t left_pm, used;

  recent_advance(&t, now);
  left_pm = 1000 - now % WEIR_US_PER_MIN * 1000 / WEIR_US_PER_MIN;
  used = weir_time_add(t.recent_us,
                       weir_wide_clamp(weir_wide_mul(t.before_us, left_pm) / 1000, UINT64_MAX));
  return (uint32_t)weir_wide_clamp(weir_wide_mul(used, 1000) / minute_us, 1000000);
}

/* ---- what waits ---- */

void weir_tenant_push(struct weir_coord *c, struct weir_waiting *ask)
{
  struct weir_tenant *tenant = &c->tenants[ask->tenant];
  struct weir_queue *queue =
      &c->pools[weir_tenant_pool(c, ask->tenant)].queue[weir_tenant_class(c, ask->tenant)];
  const struct weir_cost cost = weir_ask_cost(ask);

  weir_list_append(&tenant->asks, tenant->asks.count ? &c->asks[tenant->asks.last].in_tenant : NULL,
                   &ask->in_tenant, (uint32_t)(ask - c->asks));
  weir_cost_add(&tenant->queued, &cost);
  weir_cost_add(&queue->queued, &cost);
  queue->count++;
  if (!tenant->is_parked)
    weir_fair_ready(&c->fair, ask->tenant);
}

void weir_tenant_remove(struct weir_coord *c, struct weir_waiting *ask, weir_tstamp now)
{
  struct weir_tenant *tenant = &c->tenants[ask->tenant];
  struct weir_queue *queue =
      &c->pools[weir_tenant_pool(c, ask->tenant)].queue[weir_tenant_class(c, ask->tenant)];
  const struct weir_cost cost = weir_ask_cost(ask);
  const bool was_first = ask->in_tenant.prev == WEIR_NONE;

  if (was_first)
    tenant->asks.first = ask->in_tenant.next;
  else
    c->asks[ask->in_tenant.prev].in_tenant.next = ask->in_tenant.next;
  if (ask->in_tenant.next == WEIR_NONE)
    tenant->asks.last = ask->in_tenant.prev;
  else
    c->asks[ask->in_tenant.next].in_tenant.prev = ask->in_tenant.prev;
  tenant->asks.count--;
  weir_cost_sub(&tenant->queued, &cost);
  weir_cost_sub(&queue->queued, &cost);
  queue->count--;
  if (tenant->asks.count == 0) {
    weir_tenant_unpark(c, ask->tenant, now);
    weir_fair_rest(&c->fair, ask->tenant);
    tenant->ticket = 0;
  } else if (was_first && tenant->is_parked &&
             c->budgets[tenant->budget].line.first == weir_member_of_tenant(c, ask->tenant)) {
    weir_timer_set(&c->tenant_timers, &tenant->timer, now); /* the next one may be smaller */
  }
}

void weir_tenant_park(struct weir_coord *c, uint32_t tenant, weir_tstamp at)
{
  struct weir_tenant *t = &c->tenants[tenant];
  const uint32_t member = weir_member_of_tenant(c, tenant);

  weir_line_join(c, t->budget, member);
  weir_fair_rest(&c->fair, tenant);
  t->is_parked = true;
  /* Who stands further back is looked at when the line moves. */
  weir_timer_set(&c->tenant_timers, &t->timer,
                 c->budgets[t->budget].line.first == member ? at : WEIR_NEVER);
}

void weir_tenant_unpark(struct weir_coord *c, uint32_t tenant, weir_tstamp now)
{
  struct weir_tenant *t = &c->tenants[tenant];

  if (!t->is_parked)
    return;
  t->is_parked = false;
  weir_pq_remove(&c->tenant_timers, &t->timer);
  weir_line_leave(c, weir_member_of_tenant(c, tenant), now);
  if (t->asks.count > 0) {
    weir_fair_ready(&c->fair, tenant);
    weir_timer_set(&c->pool_timers, &c->pools[weir_tenant_pool(c, tenant)].timer, now);
  }
}
