/* check.c - what must hold after every event, for tests and simulation. */
#include "machine.h"

#include <assert.h>
#include <string.h>

static void check_queue(const struct weir_coord *c, uint32_t pool, enum weir_class class)
{
  const struct weir_list *queue = &c->pools[pool].queue[class];
  struct weir_cost sum = {0};
  uint32_t count = 0, prev = WEIR_NONE;

  for (uint32_t i = queue->first; i != WEIR_NONE; i = c->asks[i].in_pool.next) {
    const struct weir_waiting *ask = &c->asks[i];

    assert(ask->in_pool.prev == prev && ask->pool == pool && ask->class == class);
    assert(c->sessions[ask->session].state == WEIR_SESSION_OPEN);
    assert(ask->timer.pos != 0);
    sum.requests += ask->cost.requests;
    sum.input_tokens += ask->cost.input_tokens;
    sum.output_tokens += ask->cost.output_tokens;
    prev = i;
    count++;
  }
  assert(count == queue->count);
  assert(memcmp(&sum, &c->pools[pool].queued[class], sizeof(sum)) == 0);
}

static uint32_t check_pools(const struct weir_coord *c)
{
  uint32_t leases = 0;

  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    const struct weir_pool *pool = &c->pools[i];

    if (pool->state == WEIR_POOL_FREE)
      continue;
    weir_ledger_check(&pool->ledger);
    check_queue(c, i, WEIR_CLASS_ONLINE);
    check_queue(c, i, WEIR_CLASS_BATCH);
    /* Whoever waits has an instant at which somebody looks. */
    assert(
        (pool->queue[WEIR_CLASS_ONLINE].count == 0 && pool->queue[WEIR_CLASS_BATCH].count == 0) ||
        pool->timer.pos != 0);
    leases += pool->leases_count;
  }
  return leases;
}

void weir_coord_check(const struct weir_coord *c)
{
  uint32_t leases = check_pools(c), of_sessions = 0, open = 0, asks = 0;

  for (uint32_t i = 0; i < c->bounds.sessions_max; i++) {
    const struct weir_session *s = &c->sessions[i];

    if (s->state == WEIR_SESSION_FREE)
      continue;
    assert(s->state == WEIR_SESSION_OPEN || (s->asks.count == 0 && s->leases_count > 0));
    open += s->state == WEIR_SESSION_OPEN;
    asks += s->asks.count;
    of_sessions += s->leases_count;
  }
  assert(open == c->sessions_open && open == c->by_token.count);
  assert(leases == of_sessions && leases == c->lease_timers.count);
  assert(asks == c->ask_timers.count && asks + leases == c->calls.count);
}

static void mix(uint64_t *hash, uint64_t value)
{
  *hash = (*hash ^ value) * UINT64_C(0x100000001b3);
  *hash ^= *hash >> 29;
}

uint64_t weir_coord_digest(const struct weir_coord *c)
{
  uint64_t hash = UINT64_C(0xcbf29ce484222325);

  mix(&hash, c->rng.state);
  mix(&hash, c->arrival_max);
  for (int i = 1; i < WEIR_COUNTER_MAX; i++)
    mix(&hash, c->counters[i]);
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    const struct weir_pool *pool = &c->pools[i];

    if (pool->state == WEIR_POOL_FREE)
      continue;
    mix(&hash, pool->grants);
    mix(&hash, pool->ledger.start_last);
    mix(&hash, pool->frozen_until);
    for (uint32_t k = 0; k < pool->ledger.limits_count; k++)
      mix(&hash, pool->ledger.limits[k].ring.used);
    for (int class = 1; class < WEIR_CLASS_MAX; class ++)
      mix(&hash, pool->queue[class].count);
  }
  return hash;
}
