/* check.c - what must hold after every event, for tests and simulation. */
#include "machine.h"

#include <assert.h>
#include <string.h>

static void check_tenant(const struct weir_coord *c, uint32_t index, struct weir_queue *sum)
{
  const struct weir_tenant *tenant = &c->tenants[index];
  const enum weir_fair_state state = c->fair.records[index].state;
  struct weir_cost queued = {0};
  uint32_t count = 0, prev = WEIR_NONE;

  assert(tenant->is_parked || tenant->timer.pos == 0);
  assert(tenant->is_parked == (tenant->place.budget != WEIR_NONE));
  assert(!tenant->is_parked || (tenant->asks.count > 0 && tenant->timer.pos != 0 &&
                                tenant->place.budget == tenant->budget));
  assert((state == WEIR_FAIR_READY) == (tenant->asks.count > 0 && !tenant->is_parked));
  for (uint32_t i = tenant->asks.first; tenant->asks.count > 0 && i != WEIR_NONE;
       i = c->asks[i].in_tenant.next) {
    const struct weir_waiting *ask = &c->asks[i];
    const struct weir_cost cost = weir_ask_cost(ask);

    assert(ask->in_tenant.prev == prev && ask->tenant == index);
    assert(c->sessions[ask->session].state == WEIR_SESSION_OPEN);
    assert(ask->timer.pos != 0);
    assert(ask->wish.name == WEIR_NONE || ask->wish.name < c->bounds.names_max);
    weir_cost_add(&queued, &cost);
    prev = i;
    count++;
  }
  assert(count == tenant->asks.count && c->fair.records[index].refs >= count);
  assert(memcmp(&queued, &tenant->queued, sizeof(queued)) == 0);
  sum->count += count;
  weir_cost_add(&sum->queued, &queued);
}

/* One class: the tenant without name, and those in the table. O(tenants) each, for tests. */
static void check_queue(const struct weir_coord *c, uint32_t pool, enum weir_class class)
{
  const uint32_t index = weir_class_index(pool, class);
  const struct weir_queue *queue = &c->pools[pool].queue[class];
  struct weir_queue sum = {0};

  for (uint32_t i = 0; i < c->fair.records_count; i++) {
    if (c->fair.records[i].state != WEIR_FAIR_FREE && c->fair.records[i].class == index)
      check_tenant(c, i, &sum);
  }
  assert(sum.count == queue->count);
  assert(memcmp(&sum.queued, &queue->queued, sizeof(sum.queued)) == 0);
  /* Whoever may be served has an instant at which somebody looks. */
  assert(weir_fair_first(&c->fair, index) == WEIR_FAIR_NONE || c->pools[pool].timer.pos != 0);
}

/* Nothing is granted while a breaker is open, and half open no more than its probes. */
static void check_breaker(const struct weir_coord *c, uint32_t index)
{
  const struct weir_pool *pool = &c->pools[index];
  const struct weir_breaker *b = &pool->breaker;
  uint32_t probes = 0;

  weir_breaker_check(b);
  weir_retries_check(&pool->retries);
  assert(b->state == pool->noted && b->changes == pool->changes_noted);
  for (uint32_t i = 0; b->state != WEIR_BREAKER_CLOSED && i < c->lease_timers.count; i++) {
    const struct weir_held *lease = (const struct weir_held *)(const void *)c->lease_timers.heap[i];

    if (lease->pool != index)
      continue;
    assert(b->state != WEIR_BREAKER_OPEN || lease->entry.number < pool->opened_number);
    if (b->state == WEIR_BREAKER_HALF_OPEN && lease->entry.number >= pool->opened_number) {
      assert(lease->pass.probe > 0 && lease->pass.period == b->period);
      probes++;
    }
  }
  assert(b->state != WEIR_BREAKER_HALF_OPEN || probes <= weir_breaker_probes(b));
  assert(weir_breaker_probes(b) <= b->probes_max);
}

static uint32_t check_pools(const struct weir_coord *c)
{
  uint32_t leases = 0;

  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (c->pools[i].state == WEIR_POOL_FREE)
      continue;
    weir_ledger_check(&c->pools[i].ledger);
    assert(c->pools[i].ledger.overshoot == 0);
    check_queue(c, i, WEIR_CLASS_ONLINE);
    check_queue(c, i, WEIR_CLASS_BATCH);
    check_breaker(c, i);
    leases += c->pools[i].leases_count;
  }
  return leases;
}

static const struct weir_place *place_at(const struct weir_coord *c, uint32_t member,
                                         uint64_t *ret_ticket)
{
  const uint32_t tenants = c->bounds.pools_max * WEIR_POOL_BUDGETS;

  if (member >= tenants) {
    *ret_ticket = c->tenants[member - tenants].ticket;
    return &c->tenants[member - tenants].place;
  }
  *ret_ticket = c->pools[member / WEIR_POOL_BUDGETS].ticket;
  return &c->pools[member / WEIR_POOL_BUDGETS].places[member % WEIR_POOL_BUDGETS];
}

/* Lines are in the order of tickets, so nobody waits in a circle. */
static void check_line(const struct weir_coord *c, uint32_t budget)
{
  const struct weir_list *line = &c->budgets[budget].line;
  uint64_t before = 0;
  uint32_t count = 0, prev = WEIR_NONE;

  for (uint32_t i = line->first; line->count > 0 && i != WEIR_NONE;) {
    uint64_t ticket;
    const struct weir_place *place = place_at(c, i, &ticket);

    assert(place->budget == budget && place->link.prev == prev);
    assert(ticket > before && ticket < c->ticket_next);
    before = ticket;
    prev = i;
    count++;
    i = place->link.next;
  }
  assert(count == line->count && (count == 0 || line->last == prev));
}

/* What is out unused ahead of need, over all pools and over all budgets. */
static void check_standing(const struct weir_coord *c)
{
  struct weir_cost of_pools = {0}, of_budgets = {0};

  for (uint32_t i = 0; i < c->lease_timers.count; i++) {
    const struct weir_held *lease = (const struct weir_held *)(const void *)c->lease_timers.heap[i];
    const struct weir_cost cost = weir_standing_cost(&lease->entry);

    assert(lease->is_standing || !lease->is_unused);
    for (uint32_t k = 0; lease->is_unused && k < lease->books_count; k++)
      weir_cost_add(k == 0 ? &of_pools : &of_budgets, &cost);
  }
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (c->pools[i].state != WEIR_POOL_FREE)
      weir_cost_sub(&of_pools, &c->pools[i].standing);
  }
  for (uint32_t i = 0; i < c->bounds.budgets_max; i++) {
    if (c->budgets[i].state != WEIR_POOL_FREE)
      weir_cost_sub(&of_budgets, &c->budgets[i].standing);
  }
  assert(of_pools.requests == 0 && of_pools.input_tokens == 0 && of_pools.output_tokens == 0 &&
         of_pools.spend == 0);
  assert(of_budgets.requests == 0 && of_budgets.input_tokens == 0 &&
         of_budgets.output_tokens == 0 && of_budgets.spend == 0);
}

static void check_budgets(const struct weir_coord *c)
{
  uint64_t charged = 0, counted = 0;

  for (uint32_t i = 0; i < c->bounds.budgets_max; i++) {
    if (c->budgets[i].state == WEIR_POOL_FREE)
      continue;
    weir_ledger_check(&c->budgets[i].ledger);
    assert(c->budgets[i].ledger.overshoot == 0);
    check_line(c, i);
    counted += c->budgets[i].leases_count;
  }
  for (uint32_t i = 0; i < c->lease_timers.count; i++) {
    const struct weir_held *lease = (const struct weir_held *)(const void *)c->lease_timers.heap[i];

    charged += lease->books_count - 1u;
    assert(lease->entry.number < c->lease_number && lease->entry.is_open);
  }
  assert(charged == counted);
}

/* Whoever waits for the store is in its list, once, and something is being kept or will be. */
static void check_keeps(const struct weir_coord *c)
{
  const uint32_t pools_max = c->bounds.pools_max;
  uint32_t waiting = 0, untold = 0;

  for (uint32_t i = 0; i < pools_max; i++) {
    waiting += c->keeps[i].is_waiting;
    untold += c->pools[i].state != WEIR_POOL_FREE && !c->keeps[i].is_told;
  }
  for (uint32_t i = 0; i < c->bounds.budgets_max; i++)
    untold += c->budgets[i].state != WEIR_POOL_FREE && !c->keeps[pools_max + i].is_told;
  assert(c->keep_untold_count == (c->is_durable ? untold : 0));
  assert(c->keep_untold_count == 0 || c->keep_under_way_count > 0 || c->keep_timers.count > 0);
  assert(waiting == c->keep_waiting_count);
  assert(waiting == 0 || c->keep_under_way_count > 0 || c->keep_timers.count > 0);
  assert(c->is_durable || c->keep_timers.count == 0);
}

void weir_coord_check(const struct weir_coord *c)
{
  uint32_t leases = check_pools(c), of_sessions = 0, open = 0, asks = 0;

  check_budgets(c);
  check_standing(c);
  check_keeps(c);
  weir_fair_check(&c->fair);
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
  assert(c->by_peer.count <= open && (open == 0) == (c->by_peer.count == 0));
  assert(leases == of_sessions && leases == c->lease_timers.count);
  assert(asks == c->ask_timers.count && asks + leases == c->calls.count);
}

static void mix(uint64_t *hash, uint64_t value)
{
  *hash = weir_hash_number(*hash, value);
}

static void mix_ledger(uint64_t *hash, const struct weir_ledger *ledger)
{
  mix(hash, ledger->profile);
  mix(hash, ledger->start_last);
  mix(hash, ledger->frozen_until);
  mix(hash, ledger->widen_us);
  for (uint32_t i = 0; i < ledger->limits_count; i++) {
    mix(hash, ledger->limits[i].ring.used);
    mix(hash, ledger->limits[i].day.used);
    mix(hash, ledger->limits[i].flight);
    mix(hash, ledger->limits[i].effective);
    mix(hash, ledger->limits[i].left);
  }
}

uint64_t weir_coord_digest(const struct weir_coord *c)
{
  uint64_t hash = WEIR_HASH_BASIS;

  mix(&hash, c->rng.state);
  mix(&hash, c->arrival_max);
  mix(&hash, c->lease_number);
  mix(&hash, c->ticket_next);
  for (int i = 1; i < WEIR_COUNTER_MAX; i++)
    mix(&hash, c->counters[i]);
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    const struct weir_pool *pool = &c->pools[i];

    if (pool->state == WEIR_POOL_FREE)
      continue;
    mix(&hash, pool->grants);
    mix(&hash, pool->standing.requests);
    mix(&hash, (uint64_t)pool->breaker.period * WEIR_BREAKER_MAX + pool->breaker.state);
    mix(&hash, pool->retries.balance);
    mix(&hash, weir_latency_quantile_us(&pool->latency, 500) + pool->latency.count);
    mix(&hash, pool->ratio.used);
    mix_ledger(&hash, &pool->ledger);
    for (int class = 1; class < WEIR_CLASS_MAX; class ++)
      mix(&hash, pool->queue[class].count);
  }
  for (uint32_t i = 0; i < c->bounds.budgets_max; i++) {
    if (c->budgets[i].state == WEIR_POOL_FREE)
      continue;
    mix_ledger(&hash, &c->budgets[i].ledger);
    mix(&hash, c->budgets[i].line.count);
  }
  for (uint32_t i = 0; i < c->fair.classes_count; i++)
    mix(&hash, c->fair.classes[i].time);
  for (uint32_t i = 0; i < c->fair.records_count; i++)
    mix(&hash, c->fair.records[i].time + c->fair.records[i].state);
  return hash;
}
