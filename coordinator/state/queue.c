/* queue.c - who waits. One queue a pool and class, first come first served: a head that does not
 * fit yet keeps its place, and nothing passes it (no backfill: a small call's grant holds its
 * budget for a whole window, longer than the head would wait). */
#include "machine.h"

#include <assert.h>
#include <string.h>

static uint32_t index_of(const struct weir_coord *c, const struct weir_waiting *ask)
{
  return (uint32_t)(ask - c->asks);
}

static void cost_add(struct weir_cost *sum, const struct weir_cost *cost)
{
  sum->requests += cost->requests;
  sum->input_tokens += cost->input_tokens;
  sum->output_tokens += cost->output_tokens;
}

static void cost_sub(struct weir_cost *sum, const struct weir_cost *cost)
{
  sum->requests -= cost->requests;
  sum->input_tokens -= cost->input_tokens;
  sum->output_tokens -= cost->output_tokens;
}

static void deny(struct weir_coord *c, struct weir_turn *turn, const struct weir_session *s,
                 uint64_t seq, enum weir_denial why, weir_tstamp retry_at,
                 const struct weir_pool *pool, int binding, const struct weir_cost *cost)
{
  struct weir_msg_deny *deny = &weir_session_send(turn, s, WEIR_MSG_DENY)->deny;
  weir_duration retry_in = weir_time_sub(retry_at, turn->now);

  memset(deny, 0, sizeof(*deny));
  deny->seq = seq;
  deny->why = why;
  deny->retry_in_us = retry_in < WEIR_DURATION_MAX ? retry_in : WEIR_DURATION_MAX;
  if (pool)
    memcpy(deny->pool, pool->config.name, sizeof(deny->pool));
  if (pool && binding >= 0) {
    const struct weir_limit_config *limit = &pool->ledger.limits[binding].config;

    deny->dimension = limit->dimension;
    deny->window_us = limit->window_us;
    deny->amount = limit->amount;
    deny->cost = weir_ledger_cost_of(cost, limit->dimension);
  }
  c->counters[WEIR_COUNTER_DENIED]++;
}

/* A denied ask holds nothing, so its number is free to be judged afresh. */
static void deny_waiting(struct weir_coord *c, struct weir_turn *turn, struct weir_waiting *ask,
                         enum weir_denial why, weir_tstamp retry_at, int binding)
{
  struct weir_session *s = &c->sessions[ask->session];

  deny(c, turn, s, ask->seq, why, retry_at, &c->pools[ask->pool], binding, &ask->cost);
  weir_session_seq_forget(s, ask->seq);
  weir_queue_drop(c, ask);
}

static void push(struct weir_coord *c, struct weir_waiting *ask)
{
  struct weir_list *queue = &c->pools[ask->pool].queue[ask->class];
  struct weir_list *own = &c->sessions[ask->session].asks;

  weir_list_append(queue, queue->count ? &c->asks[queue->last].in_pool : NULL, &ask->in_pool,
                   index_of(c, ask));
  weir_list_append(own, own->count ? &c->asks[own->last].in_session : NULL, &ask->in_session,
                   index_of(c, ask));
  cost_add(&c->pools[ask->pool].queued[ask->class], &ask->cost);
}

static struct weir_waiting *ask_new(struct weir_coord *c, uint32_t session, uint32_t pool,
                                    const struct weir_msg_ask *ask, weir_tstamp now)
{
  struct weir_waiting *waiting = &c->asks[c->asks_free];
  enum weir_err err;

  c->asks_free = waiting->in_pool.next;
  waiting->session = session;
  waiting->pool = pool;
  waiting->seq = ask->seq;
  waiting->class = ask->class;
  waiting->cost = (struct weir_cost){ask->requests, ask->input_tokens, ask->output_tokens};
  waiting->deadline = weir_time_add(now, ask->deadline_us);
  err = weir_table_put(&c->calls, weir_call_key(session, ask->seq), index_of(c, waiting));
  assert(err == WEIR_OK);
  (void)err;
  weir_timer_set(&c->ask_timers, &waiting->timer, waiting->deadline);
  push(c, waiting);
  return waiting;
}

void weir_queue_drop(struct weir_coord *c, struct weir_waiting *ask)
{
  struct weir_pool *pool = &c->pools[ask->pool];
  struct weir_list *queue = &pool->queue[ask->class];
  struct weir_list *own = &c->sessions[ask->session].asks;

  cost_sub(&pool->queued[ask->class], &ask->cost);
  if (ask->in_pool.prev == WEIR_NONE)
    queue->first = ask->in_pool.next;
  else
    c->asks[ask->in_pool.prev].in_pool.next = ask->in_pool.next;
  if (ask->in_pool.next == WEIR_NONE)
    queue->last = ask->in_pool.prev;
  else
    c->asks[ask->in_pool.next].in_pool.prev = ask->in_pool.prev;
  queue->count--;
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
  weir_table_remove(&c->calls, weir_call_key(ask->session, ask->seq));
  ask->in_pool.next = c->asks_free;
  c->asks_free = index_of(c, ask);
}

static weir_tstamp eta(struct weir_pool *pool, enum weir_class class, const struct weir_cost *cost,
                       weir_tstamp now, int *ret_binding)
{
  struct weir_cost ahead = pool->queued[WEIR_CLASS_ONLINE];
  weir_tstamp from = pool->frozen_until > now ? pool->frozen_until : now;

  if (class == WEIR_CLASS_BATCH)
    cost_add(&ahead, &pool->queued[WEIR_CLASS_BATCH]);
  return weir_ledger_eta(&pool->ledger, &ahead, cost, from, now, ret_binding);
}

static void send_queued(struct weir_turn *turn, const struct weir_session *s, uint64_t seq,
                        weir_tstamp at, uint32_t ahead)
{
  struct weir_msg_queued *queued = &weir_session_send(turn, s, WEIR_MSG_QUEUED)->queued;
  weir_duration in = weir_time_sub(at, turn->now);

  queued->seq = seq;
  queued->eta_us = in < WEIR_DURATION_MAX ? in : WEIR_DURATION_MAX;
  queued->ahead = ahead;
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
      struct weir_pool *pool = &c->pools[waiting->pool];

      send_queued(turn, s, ask->seq, eta(pool, waiting->class, &waiting->cost, turn->now, NULL),
                  pool->queue[waiting->class].count - 1);
    }
  } else if (!weir_session_seq_is_new(s, ask->seq)) {
    deny(c, turn, s, ask->seq, WEIR_DENIAL_FINISHED, turn->now, NULL, -1, NULL);
  } else {
    return false;
  }
  c->counters[WEIR_COUNTER_REPLAYS]++;
  return true;
}

void weir_queue_ask(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                    const struct weir_msg_ask *ask)
{
  const struct weir_cost cost = {ask->requests, ask->input_tokens, ask->output_tokens};
  const weir_tstamp deadline = weir_time_add(turn->now, ask->deadline_us);
  struct weir_pool *pool;
  struct weir_waiting *waiting;
  uint32_t name, ahead;
  weir_tstamp at;
  int binding;

  if (replay(c, turn, s, ask))
    return;
  c->counters[WEIR_COUNTER_ASKS]++;
  name = weir_coord_name_find(c, ask->model);
  if (name == WEIR_NONE) {
    deny(c, turn, s, ask->seq, WEIR_DENIAL_NO_POOL, WEIR_NEVER, NULL, -1, NULL);
    return;
  }
  pool = &c->pools[c->names[name].pool];
  at = eta(pool, ask->class, &cost, turn->now, &binding);
  if (at == WEIR_NEVER) {
    deny(c, turn, s, ask->seq, WEIR_DENIAL_TOO_LARGE, WEIR_NEVER, pool, binding, &cost);
    return;
  }
  if (at > deadline) {
    deny(c, turn, s, ask->seq, WEIR_DENIAL_DEADLINE, at, pool, binding, &cost);
    return;
  }
  if (s->asks.count >= c->session_asks_max || c->asks_free == WEIR_NONE) {
    deny(c, turn, s, ask->seq, WEIR_DENIAL_QUEUE_FULL, at, pool, -1, NULL);
    return;
  }
  ahead = pool->queue[ask->class].count;
  weir_session_seq_note(s, ask->seq);
  waiting = ask_new(c, (uint32_t)(s - c->sessions), c->names[name].pool, ask, turn->now);
  memcpy(waiting->model, c->names[name].model, sizeof(waiting->model));
  weir_queue_serve(c, turn, pool);
  if (weir_table_find(&c->calls, weir_call_key((uint32_t)(s - c->sessions), ask->seq), &name) &&
      !(name & WEIR_CALL_LEASE)) {
    send_queued(turn, s, ask->seq, at, ahead);
    c->counters[WEIR_COUNTER_QUEUED]++;
  }
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
  weir_timer_set(&c->pool_timers, &c->pools[c->asks[call].pool].timer, turn->now);
  weir_queue_drop(c, &c->asks[call]);
}

void weir_queue_deadline(struct weir_coord *c, struct weir_turn *turn, struct weir_waiting *ask)
{
  struct weir_pool *pool = &c->pools[ask->pool];
  int binding;
  weir_tstamp at = eta(pool, ask->class, &ask->cost, turn->now, &binding);

  weir_timer_set(&c->pool_timers, &pool->timer, turn->now);
  deny_waiting(c, turn, ask, WEIR_DENIAL_DEADLINE, at, binding);
}

/* Online before batch, but while batch waits, each online grant makes the pool owe batch its
 * floor's share of it, and batch goes first as soon as its head is covered. Counted in quota, not
 * in time: a saturated window returns its budget in bursts, and a share of each burst is what a
 * floor means.
 */
static struct weir_waiting *head(struct weir_coord *c, const struct weir_pool *pool)
{
  const struct weir_list *online = &pool->queue[WEIR_CLASS_ONLINE];
  const struct weir_list *batch = &pool->queue[WEIR_CLASS_BATCH];
  struct weir_waiting *next;

  if (batch->count == 0)
    return online->count > 0 ? &c->asks[online->first] : NULL;
  next = &c->asks[batch->first];
  if (online->count == 0 ||
      (pool->config.batch_floor_pm > 0 &&
       pool->batch_owed_us >= weir_ledger_pace_us(&pool->ledger, &next->cost)))
    return next;
  return &c->asks[online->first];
}

static void charge_floor(struct weir_pool *pool, const struct weir_waiting *ask)
{
  const weir_duration pace = weir_ledger_pace_us(&pool->ledger, &ask->cost);
  const uint32_t floor = pool->config.batch_floor_pm;

  if (ask->class == WEIR_CLASS_BATCH)
    pool->batch_owed_us = weir_time_sub(pool->batch_owed_us, pace);
  else if (pool->queue[WEIR_CLASS_BATCH].count > 0)
    pool->batch_owed_us = weir_time_add(pool->batch_owed_us, pace * floor / (1000 - floor));
  else
    pool->batch_owed_us = 0; /* nobody collects a floor while nobody waits for it */
}

/* A reload may have moved the model to another pool, whose books would miss the call. */
static bool is_of_pool(const struct weir_coord *c, const struct weir_waiting *ask)
{
  uint32_t name = weir_coord_name_find(c, ask->model);

  return name != WEIR_NONE && c->names[name].pool == ask->pool;
}

void weir_queue_unstarve(struct weir_coord *c, weir_tstamp now)
{
  c->is_starved = false;
  c->starved_first = (c->starved_first + 1) % c->bounds.pools_max;
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    struct weir_pool *pool = &c->pools[(c->starved_first + i) % c->bounds.pools_max];

    if (pool->queue[WEIR_CLASS_ONLINE].count > 0 || pool->queue[WEIR_CLASS_BATCH].count > 0)
      weir_timer_set(&c->pool_timers, &pool->timer, now);
  }
}

void weir_queue_serve(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool)
{
  const weir_tstamp now = turn->now;
  struct weir_waiting *ask;

  weir_pq_remove(&c->pool_timers, &pool->timer);
  while ((ask = head(c, pool)) != NULL) {
    int binding;
    weir_tstamp from = pool->frozen_until > now ? pool->frozen_until : now;
    weir_tstamp start;

    /* A full update leaves the rest for the next step. */
    if (weir_turn_is_full(turn)) {
      weir_timer_set(&c->pool_timers, &pool->timer, now);
      return;
    }
    if (pool->state != WEIR_POOL_OPEN || !is_of_pool(c, ask)) {
      deny_waiting(c, turn, ask, WEIR_DENIAL_CLOSED, WEIR_NEVER, -1);
      continue;
    }
    start = weir_ledger_earliest(&pool->ledger, &ask->cost, from, now, &binding);
    if (start == WEIR_NEVER) {
      deny_waiting(c, turn, ask, WEIR_DENIAL_TOO_LARGE, WEIR_NEVER, binding);
    } else if (start > ask->deadline) {
      deny_waiting(c, turn, ask, WEIR_DENIAL_DEADLINE, start, binding);
    } else if (start > now + WEIR_COORD_HORIZON_US) {
      weir_timer_set(&c->pool_timers, &pool->timer, start - WEIR_COORD_HORIZON_US);
      return;
    } else if (c->leases_free == WEIR_NONE) {
      c->is_starved = true;
      weir_timer_set(&c->pool_timers, &pool->timer, weir_pq_wake(&c->lease_timers));
      return;
    } else {
      charge_floor(pool, ask);
      weir_lease_send(c, turn, weir_lease_take(c, turn, ask, start));
    }
  }
}
