/* queue.c - who waits. First come, first served within a tenant of a class of a pool; who is next
 * among tenants, and when, is in serve.c. */
#include "machine.h"

#include <assert.h>
#include <string.h>

struct weir_cost weir_ask_cost(const struct weir_waiting *ask)
{
  return (struct weir_cost){.requests = ask->requests,
                            .input_tokens = ask->input_tokens,
                            .output_tokens = ask->output_tokens};
}

/* ---- plans ---- */

/* The error of estimates in what these ledgers count. */
static uint32_t error_of(const struct weir_pool *pool, const struct weir_books *books)
{
  uint32_t worst = 0;

  for (uint32_t i = 0; i < books->count; i++) {
    for (uint32_t k = 0; k < books->ledgers[i]->limits_count; k++) {
      const struct weir_ledger_limit *limit = &books->ledgers[i]->limits[k];
      const uint32_t error = weir_bias_error_pm(&pool->bias, (enum weir_dimension)limit->dimension,
                                                pool->config.rules.error_pm);

      if (!limit->is_shadow && error > worst)
        worst = error;
    }
  }
  return worst;
}

static bool is_misfit(const struct weir_books *books, const struct weir_cost *cost)
{
  for (uint32_t i = 0; i < books->count; i++) {
    if (weir_ledger_misfit(books->ledgers[i], cost) >= 0)
      return true;
  }
  return false;
}

static struct weir_cost cost_corrected(const struct weir_pool *pool, const struct weir_cost *asked)
{
  struct weir_cost cost = weir_bias_correct(&pool->bias, asked);

  cost.spend = weir_price_of(&pool->config, &cost);
  return cost;
}

void weir_plan_open(struct weir_coord *c, struct weir_pool *pool, uint32_t own,
                    const struct weir_cost *asked, struct weir_plan *plan)
{
  struct weir_ledger_entry *entry = &plan->entry;
  weir_duration spread;

  memset(plan, 0, sizeof(*plan));
  weir_books_open(c, pool, own, &plan->books);
  entry->reserve = *asked;
  entry->reserve.spend = weir_price_of(&pool->config, asked);
  entry->cost = cost_corrected(pool, asked);
  /* What was learned of others does not make an ask too large. */
  if (is_misfit(&plan->books, &entry->cost))
    entry->cost = entry->reserve;
  entry->error_pm = error_of(pool, &plan->books);
  entry->is_open = true;
  spread = pool->config.jitter_us + weir_books_widen_us(&plan->books);
  plan->ttl_us = pool->config.ttl_us;
  plan->hold_us = plan->ttl_us + spread;
  plan->binding = -1;
}

/* ---- ETAs ---- */

static uint64_t scaled(uint64_t amount, uint64_t weights, uint32_t weight, uint64_t most)
{
  return weir_wide_clamp(weir_wide_mul(amount, weights) / weight, most);
}

/* What of online goes before |batch| in |pool|: all of it, or what is left beside batch's floor. */
static struct weir_cost online_before(const struct weir_pool *pool, const struct weir_cost *batch)
{
  struct weir_cost online = pool->queue[WEIR_CLASS_ONLINE].queued;
  const uint32_t floor = pool->config.batch_floor_pm, rest = 1000 - floor;

  if (floor == 0)
    return online;
  online.requests = scaled(batch->requests, rest, floor, online.requests);
  online.input_tokens = scaled(batch->input_tokens, rest, floor, online.input_tokens);
  online.output_tokens = scaled(batch->output_tokens, rest, floor, online.output_tokens);
  return online;
}

/* What goes before a new ask of |tenant| for |asked|: its own, and as much of others as their
 * weights let them have meanwhile; of online before batch, what its floor leaves. Others may come
 * first with less, never with more than one call each, so a light tenant is not denied for what
 * heavy ones have waiting. */
static struct weir_cost ahead_of(const struct weir_coord *c, uint32_t tenant,
                                 const struct weir_cost *own, const struct weir_cost *asked)
{
  const struct weir_fair_record *record = &c->fair.records[tenant];
  const struct weir_pool *pool = &c->pools[weir_tenant_pool(c, tenant)];
  const enum weir_class class = weir_tenant_class(c, tenant);
  const struct weir_cost *all = &pool->queue[class].queued;
  uint64_t weights = weir_fair_weights(&c->fair, record->class);
  struct weir_cost ahead = {0};

  if (record->state != WEIR_FAIR_READY)
    weights += record->weight;
  ahead.requests = scaled(own->requests, weights, record->weight, all->requests);
  ahead.input_tokens = scaled(own->input_tokens, weights, record->weight, all->input_tokens);
  ahead.output_tokens = scaled(own->output_tokens, weights, record->weight, all->output_tokens);
  if (class == WEIR_CLASS_BATCH) {
    struct weir_cost online = ahead;

    weir_cost_add(&online, asked);
    online = online_before(pool, &online);
    weir_cost_add(&ahead, &online);
  }
  return ahead;
}

weir_tstamp weir_plan_eta(const struct weir_coord *c, const struct weir_turn *turn, uint32_t tenant,
                          const struct weir_waiting *except, struct weir_plan *plan)
{
  const struct weir_pool *pool = &c->pools[weir_tenant_pool(c, tenant)];
  struct weir_cost own = c->tenants[tenant].queued, ahead;
  weir_tstamp latest = turn->now;

  if (except) {
    const struct weir_cost cost = weir_ask_cost(except);

    weir_cost_sub(&own, &cost);
  }
  ahead = ahead_of(c, tenant, &own, &plan->entry.reserve);
  own = cost_corrected(pool, &own);
  ahead = cost_corrected(pool, &ahead);
  for (uint32_t i = 0; i < plan->books.count; i++) {
    int binding;
    weir_tstamp at = weir_ledger_eta(plan->books.ledgers[i], i < plan->books.shared ? &ahead : &own,
                                     &plan->entry.cost, turn->now, &turn->instant, &binding);

    if (at > latest) {
      latest = at;
      plan->by = plan->books.ledgers[i];
      plan->binding = binding;
    }
  }
  return latest;
}

/* How many may go before a new ask of |tenant|, by the same reckoning. */
static uint32_t count_ahead(const struct weir_coord *c, uint32_t tenant, uint32_t own)
{
  const struct weir_fair_record *record = &c->fair.records[tenant];
  const struct weir_pool *pool = &c->pools[weir_tenant_pool(c, tenant)];
  uint64_t weights = weir_fair_weights(&c->fair, record->class);

  if (record->state != WEIR_FAIR_READY)
    weights += record->weight;
  return (uint32_t)scaled(own, weights, record->weight,
                          pool->queue[weir_tenant_class(c, tenant)].count);
}

static weir_tstamp later_of(weir_tstamp a, weir_tstamp b)
{
  return a > b ? a : b;
}

/* When the breaker of |pool| lets a call through, as far as is known. */
static weir_tstamp opens_at(const struct weir_pool *pool, weir_tstamp now)
{
  return weir_breaker_is_shut(&pool->breaker) ? weir_breaker_starts_at(&pool->breaker) : now;
}

/* ---- answers ---- */

static void send_queued(struct weir_turn *turn, const struct weir_session *s, uint64_t seq,
                        weir_tstamp at, uint32_t ahead)
{
  struct weir_msg_queued *queued = &weir_session_send(turn, s, WEIR_MSG_QUEUED)->queued;
  weir_duration in = weir_time_sub(at, turn->now);

  queued->seq = seq;
  queued->eta_us = in < WEIR_DURATION_MAX ? in : WEIR_DURATION_MAX;
  queued->ahead = ahead;
}

static void deny(struct weir_coord *c, struct weir_turn *turn, const struct weir_session *s,
                 uint64_t seq, enum weir_denial why, weir_tstamp retry_at,
                 const struct weir_pool *pool, const struct weir_plan *plan)
{
  struct weir_msg_deny *deny = &weir_session_send(turn, s, WEIR_MSG_DENY)->deny;
  weir_duration retry_in = weir_time_sub(retry_at, turn->now);

  memset(deny, 0, sizeof(*deny));
  deny->seq = seq;
  deny->why = why;
  deny->retry_in_us = retry_in < WEIR_DURATION_MAX ? retry_in : WEIR_DURATION_MAX;
  if (pool)
    memcpy(deny->pool, pool->config.name, sizeof(deny->pool));
  if (plan && plan->by && plan->binding >= 0) {
    const struct weir_limit_config *limit = &plan->by->limits[plan->binding].config;

    deny->dimension = limit->dimension;
    deny->window_us = limit->window_us;
    deny->amount = limit->amount;
    deny->cost = weir_ledger_cost_of(&plan->entry.cost, limit->dimension);
    for (uint32_t i = 1; i < plan->books.count; i++) {
      if (plan->books.ledgers[i] == plan->by)
        memcpy(deny->pool, c->budgets[plan->books.budgets[i]].config.name, sizeof(deny->pool));
    }
  }
  c->counters[WEIR_COUNTER_DENIED]++;
}

void weir_queue_deny(struct weir_coord *c, struct weir_turn *turn, struct weir_waiting *ask,
                     enum weir_denial why, weir_tstamp retry_at, const struct weir_plan *plan)
{
  struct weir_session *s = &c->sessions[ask->session];

  deny(c, turn, s, ask->seq, why, retry_at, &c->pools[weir_tenant_pool(c, ask->tenant)], plan);
  weir_session_seq_forget(s, ask->seq);
  weir_queue_drop(c, ask, turn->now);
}

/* ---- coming and going ---- */

static struct weir_waiting *ask_new(struct weir_coord *c, uint32_t session, uint32_t tenant,
                                    uint32_t name, const struct weir_wish *wish,
                                    const struct weir_msg_ask *ask, weir_tstamp now)
{
  const uint32_t index = c->asks_free;
  struct weir_waiting *waiting = &c->asks[index];
  struct weir_list *own = &c->sessions[session].asks;
  enum weir_err err;

  c->asks_free = waiting->in_tenant.next;
  waiting->session = session;
  waiting->tenant = tenant;
  waiting->name = name;
  waiting->name_born = c->names[name].born;
  waiting->seq = ask->seq;
  waiting->is_standing = ask->is_standing;
  waiting->is_retry = weir_ask_is_retry(ask, wish->name != WEIR_NONE);
  waiting->wish = *wish;
  waiting->wish.is_nameless =
      wish->name != WEIR_NONE && strcmp(c->fair.records[tenant].name, ask->tenant) != 0;
  waiting->asked_ms = (uint32_t)(now / WEIR_US_PER_MS);
  waiting->requests = ask->requests & ((UINT32_C(1) << WEIR_WAITING_REQUESTS_BITS) - 1);
  waiting->input_tokens = (uint32_t)ask->input_tokens;
  waiting->output_tokens = (uint32_t)ask->output_tokens;
  err = weir_table_put(&c->calls, weir_call_key(session, ask->seq), index);
  assert(err == WEIR_OK);
  (void)err;
  weir_timer_set(&c->ask_timers, &waiting->timer, weir_time_add(now, ask->deadline_us));
  weir_list_append(own, own->count ? &c->asks[own->last].in_session : NULL, &waiting->in_session,
                   index);
  weir_tenant_push(c, waiting);
  return waiting;
}

void weir_queue_leave(struct weir_coord *c, struct weir_waiting *ask, weir_tstamp now)
{
  struct weir_list *own = &c->sessions[ask->session].asks;

  if (ask->is_retry)
    weir_retries_give(&c->pools[weir_tenant_pool(c, ask->tenant)].retries, now);
  weir_tenant_remove(c, ask, now);
  weir_fair_drop(&c->fair, ask->tenant);
  if (ask->in_session.prev == WEIR_NONE)
    own->first = ask->in_session.next;
  else
    c->asks[ask->in_session.prev].in_session.next = ask->in_session.next;
  if (ask->in_session.next == WEIR_NONE)
    own->last = ask->in_session.prev;
  else
    c->asks[ask->in_session.next].in_session.prev = ask->in_session.prev;
  own->count--;

  weir_pq_remove(&c->ask_timers, &ask->timer);
  ask->in_tenant.next = c->asks_free;
  c->asks_free = (uint32_t)(ask - c->asks);
}

void weir_queue_drop(struct weir_coord *c, struct weir_waiting *ask, weir_tstamp now)
{
  weir_table_remove(&c->calls, weir_call_key(ask->session, ask->seq));
  weir_queue_leave(c, ask, now);
}

/* When |waiting|, the last of its tenant, could start. */
static weir_tstamp eta_of(struct weir_coord *c, struct weir_turn *turn,
                          const struct weir_waiting *waiting)
{
  struct weir_pool *pool = &c->pools[weir_tenant_pool(c, waiting->tenant)];
  const struct weir_cost cost = weir_ask_cost(waiting);
  struct weir_plan plan;

  weir_plan_open(c, pool, c->tenants[waiting->tenant].budget, &cost, &plan);
  return later_of(weir_plan_eta(c, turn, waiting->tenant, waiting, &plan),
                  opens_at(pool, turn->now));
}

/* The answer to a number that was seen before; false when it was not, or was denied. */
static bool replay(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                   const struct weir_msg_ask *ask)
{
  uint32_t call;

  if (weir_table_find(&c->calls, weir_call_key((uint32_t)(s - c->sessions), ask->seq), &call)) {
    if (call & WEIR_CALL_LEASE) {
      weir_lease_send(c, turn, &c->leases[call & ~WEIR_CALL_LEASE]);
    } else {
      const struct weir_waiting *waiting = &c->asks[call];

      send_queued(turn, s, ask->seq, eta_of(c, turn, waiting),
                  count_ahead(c, waiting->tenant, c->tenants[waiting->tenant].asks.count - 1));
    }
  } else if (!weir_session_seq_is_new(s, ask->seq)) {
    deny(c, turn, s, ask->seq, WEIR_DENIAL_FINISHED, turn->now, NULL, NULL);
  } else {
    return false;
  }
  c->counters[WEIR_COUNTER_REPLAYS]++;
  return true;
}

/* Denies at once what cannot start in time behind those who wait. */
static bool is_late(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                    const struct weir_msg_ask *ask, uint32_t tenant)
{
  const struct weir_cost cost = {.requests = ask->requests,
                                 .input_tokens = ask->input_tokens,
                                 .output_tokens = ask->output_tokens};
  struct weir_pool *pool = &c->pools[weir_tenant_pool(c, tenant)];
  const weir_tstamp by = weir_time_add(turn->now, ask->deadline_us);
  enum weir_denial why = WEIR_DENIAL_DEADLINE;
  struct weir_plan plan;
  weir_tstamp at;

  weir_plan_open(c, pool, c->tenants[tenant].budget, &cost, &plan);
  at = weir_plan_eta(c, turn, tenant, NULL, &plan);
  if (at == WEIR_NEVER)
    why = WEIR_DENIAL_TOO_LARGE;
  else if (pool->breaker.state == WEIR_BREAKER_OPEN && opens_at(pool, turn->now) > by)
    why = WEIR_DENIAL_OPEN;
  else if (at <= by)
    return false;
  deny(c, turn, s, ask->seq, why, later_of(at, opens_at(pool, turn->now)), pool,
       why == WEIR_DENIAL_OPEN ? NULL : &plan);
  return true;
}

/* Answers with a denial what cannot be, else lets it wait; false when it was denied. Where nobody
 * waits, serving it finds out the same, and mostly that it need not wait. */
static bool admit(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                  const struct weir_msg_ask *ask, const struct weir_pick *pick, uint32_t tenant,
                  uint32_t *ret_ahead)
{
  struct weir_pool *pool = &c->pools[weir_tenant_pool(c, tenant)];

  if (weir_pool_has_waiting(pool) && is_late(c, turn, s, ask, tenant))
    return false;
  if (s->asks.count >= c->session_asks_max || c->asks_free == WEIR_NONE) {
    deny(c, turn, s, ask->seq, WEIR_DENIAL_QUEUE_FULL, turn->now, pool, NULL);
    return false;
  }
  *ret_ahead = count_ahead(c, tenant, c->tenants[tenant].asks.count);
  weir_session_seq_note(s, ask->seq);
  ask_new(c, (uint32_t)(s - c->sessions), tenant, pick->model, &pick->wish, ask, turn->now);
  return true;
}

/* The model that |ask| is to wait for: the one that it names, or the one that its route gives it.
 */
static void pick_model(struct weir_coord *c, struct weir_turn *turn, const struct weir_msg_ask *ask,
                       struct weir_pick *pick)
{
  const uint32_t name = weir_coord_name_find(c, ask->model);

  if (name != WEIR_NONE && c->names[name].route != WEIR_NONE) {
    weir_route_pick(c, turn, name, ask, pick);
    return;
  }
  pick->wish = (struct weir_wish){.name = WEIR_NONE};
  pick->model = WEIR_NONE;
  pick->why = WEIR_DENIAL_NO_POOL;
  pick->at = WEIR_NEVER;
  pick->pool = NULL;
  pick->plan.by = NULL;
  if (name != WEIR_NONE)
    pick->model = c->names[name].meant;
}

/* Serves |pool|, where |seq| waits, and others as it moves on. Returns the ask if it still waits,
 * or NULL. */
static struct weir_waiting *serve_ask(struct weir_coord *c, struct weir_turn *turn,
                                      const struct weir_session *s, uint64_t seq,
                                      struct weir_pool *pool)
{
  const uint64_t key = weir_call_key((uint32_t)(s - c->sessions), seq);
  uint32_t call = WEIR_NONE;

  for (uint32_t moves = 0; moves <= WEIR_CHOICES_MAX; moves++) {
    struct weir_pool *now_at;

    weir_serve_pool(c, turn, pool);
    if (!weir_table_find(&c->calls, key, &call) || call & WEIR_CALL_LEASE)
      return NULL;
    now_at = &c->pools[weir_tenant_pool(c, c->asks[call].tenant)];
    if (now_at == pool)
      break;
    pool = now_at;
  }
  return &c->asks[call];
}

void weir_queue_ask(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                    const struct weir_msg_ask *ask)
{
  struct weir_waiting *waiting;
  struct weir_pick pick;
  weir_tstamp retry_at;
  struct weir_pool *pool;
  uint32_t tenant, ahead;
  bool is_retry;

  if (replay(c, turn, s, ask))
    return;
  c->counters[WEIR_COUNTER_ASKS]++;
  pick_model(c, turn, ask, &pick);
  if (pick.model == WEIR_NONE) {
    if (ask->is_standing && pick.why == WEIR_DENIAL_DEADLINE)
      pick.why = WEIR_DENIAL_BUSY;
    deny(c, turn, s, ask->seq, pick.why, pick.at, pick.pool, &pick.plan);
    return;
  }
  pool = &c->pools[c->names[pick.model].pool];
  tenant = weir_tenant_enter(c, c->names[pick.model].pool, ask->class, ask->tenant);
  if (tenant == WEIR_NONE) {
    deny(c, turn, s, ask->seq, WEIR_DENIAL_QUEUE_FULL, turn->now, pool, NULL);
    return;
  }
  if (ask->is_standing && !weir_standing_is_spare(c, turn, pool, tenant, ask)) {
    deny(c, turn, s, ask->seq, WEIR_DENIAL_BUSY, turn->now, pool, NULL);
    weir_fair_drop(&c->fair, tenant);
    return;
  }
  is_retry = weir_ask_is_retry(ask, pick.wish.name != WEIR_NONE);
  if (is_retry && !weir_retry_take(pool, turn->now, &retry_at)) {
    deny(c, turn, s, ask->seq, WEIR_DENIAL_RETRIES, retry_at, pool, NULL);
    weir_fair_drop(&c->fair, tenant);
    return;
  }
  if (!admit(c, turn, s, ask, &pick, tenant, &ahead)) {
    if (is_retry)
      weir_retries_give(&pool->retries, turn->now);
    weir_fair_drop(&c->fair, tenant);
    return;
  }
  waiting = serve_ask(c, turn, s, ask->seq, pool);
  if (!waiting)
    return;
  if (ask->is_standing) {
    weir_queue_deny(c, turn, waiting, WEIR_DENIAL_BUSY, turn->now, NULL);
    return;
  }
  if (waiting->tenant != tenant)
    ahead = count_ahead(c, waiting->tenant, c->tenants[waiting->tenant].asks.count - 1);
  send_queued(turn, s, ask->seq, eta_of(c, turn, waiting), ahead);
  c->counters[WEIR_COUNTER_QUEUED]++;
}

void weir_queue_cancel(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                       const struct weir_msg_cancel *cancel)
{
  uint32_t call;

  /* A lease is not cancelled but settled: the shim does it when the grant arrives. */
  if (!weir_table_find(&c->calls, weir_call_key((uint32_t)(s - c->sessions), cancel->seq), &call) ||
      call & WEIR_CALL_LEASE)
    return;
  c->counters[WEIR_COUNTER_CANCELLED]++;
  weir_timer_set(&c->pool_timers, &c->pools[weir_tenant_pool(c, c->asks[call].tenant)].timer,
                 turn->now);
  weir_queue_drop(c, &c->asks[call], turn->now);
}

/* Who has no time left is no probe. */
static bool is_probing(const struct weir_pool *pool)
{
  return pool->breaker.state == WEIR_BREAKER_HALF_OPEN;
}

/* The last moment: the ask may just have come here, or another model has room at once, also for one
 * that is no head. Returns the ask if it still waits, or NULL. */
static struct weir_waiting *serve_last(struct weir_coord *c, struct weir_turn *turn,
                                       struct weir_waiting *ask)
{
  const struct weir_session *s = &c->sessions[ask->session];
  const uint64_t seq = ask->seq;

  if (ask->wish.name == WEIR_NONE)
    return ask;
  if (!is_probing(&c->pools[weir_tenant_pool(c, ask->tenant)]))
    ask = serve_ask(c, turn, s, seq, &c->pools[weir_tenant_pool(c, ask->tenant)]);
  if (!ask || weir_route_move(c, turn, ask, WEIR_NEVER) == WEIR_MOVED_NOT)
    return ask;
  return serve_ask(c, turn, s, seq, &c->pools[weir_tenant_pool(c, ask->tenant)]);
}

void weir_queue_deadline(struct weir_coord *c, struct weir_turn *turn, struct weir_waiting *ask)
{
  struct weir_pool *pool;
  struct weir_cost cost;
  struct weir_plan plan;
  weir_tstamp at;

  ask = serve_last(c, turn, ask);
  if (!ask)
    return;
  pool = &c->pools[weir_tenant_pool(c, ask->tenant)];
  cost = weir_ask_cost(ask);
  weir_plan_open(c, pool, c->tenants[ask->tenant].budget, &cost, &plan);
  at = weir_plan_eta(c, turn, ask->tenant, ask, &plan);
  weir_timer_set(&c->pool_timers, &pool->timer, turn->now);
  if (is_probing(pool) || weir_breaker_is_shut(&pool->breaker))
    weir_queue_deny(c, turn, ask, WEIR_DENIAL_OPEN, later_of(at, opens_at(pool, turn->now)), NULL);
  else
    weir_queue_deny(c, turn, ask, WEIR_DENIAL_DEADLINE, at, &plan);
}
