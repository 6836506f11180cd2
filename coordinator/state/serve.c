/* serve.c - who is next, and when. Online before batch, but for batch's floor; in a class the
 * tenant whose virtual time is least; in a tenant the first. A head that does not fit yet keeps its
 * place, and nothing passes it (no backfill: a small call's grant holds its budget for a whole
 * window, longer than the head would wait). Two things make way for others: a tenant that its own
 * budget blocks is parked, and a pool waits in line for budgets that it shares. */
#include "machine.h"

#include <assert.h>
#include <string.h>

/* Ledgers answer in turn until none moves the start any more. */
#define ROUNDS_MAX 16

/* What batch had beyond its floor pays for no more than the floor of so much of the quota. */
#define PAID_MAX_US WEIR_US_PER_MIN

/* A place in a line is kept while something else blocks no longer than this after the budget. */
#define PLACE_KEEP_US WEIR_US_PER_MIN

/* ---- when ---- */

weir_tstamp weir_plan_times(struct weir_turn *turn, struct weir_plan *plan,
                            weir_tstamp times[WEIR_LEASE_LEDGERS])
{
  weir_tstamp latest = turn->now;

  for (uint32_t i = 0; i < plan->books.count; i++) {
    int binding;

    times[i] = weir_ledger_earliest(plan->books.ledgers[i], &plan->entry, plan->hold_us, turn->now,
                                    &turn->instant, &binding);
    if (times[i] > latest) {
      latest = times[i];
      plan->by = plan->books.ledgers[i];
      plan->binding = binding;
    }
  }
  return latest;
}

/* When |plan| fits all of its ledgers at the same time, at or after |at|. */
static weir_tstamp plan_start(struct weir_turn *turn, struct weir_plan *plan, weir_tstamp at)
{
  const weir_tstamp horizon = turn->now + WEIR_COORD_HORIZON_US;

  for (int round = 0; round < ROUNDS_MAX && at <= horizon; round++) {
    const weir_tstamp before = at;

    for (uint32_t i = 0; i < plan->books.count; i++) {
      int binding;
      weir_tstamp then = weir_ledger_earliest(plan->books.ledgers[i], &plan->entry, plan->hold_us,
                                              at, &turn->instant, &binding);

      if (then > at) {
        at = then;
        plan->by = plan->books.ledgers[i];
        plan->binding = binding;
      }
    }
    if (at == before)
      return at;
  }
  return at > horizon ? at : horizon + 1;
}

/* The earliest start of |cost| that leaves turns to others. A sub-window that was used up at once
 * is there again at once, and in between nobody could start, not even online work before a backlog
 * of batch. While others wait too, starts take even steps; alone, nobody has to, unless the
 * breaker's ramp has it wait. */
static weir_tstamp step_at(const struct weir_pool *pool, const struct weir_cost *cost)
{
  const uint64_t waiting = pool->queue[WEIR_CLASS_ONLINE].queued.requests +
                           pool->queue[WEIR_CLASS_BATCH].queued.requests;
  const weir_tstamp ramp = weir_breaker_starts_at(&pool->breaker);
  weir_tstamp even;

  if (waiting <= cost->requests)
    return ramp;
  even = weir_time_add(pool->ledger.start_last, weir_ledger_step_us(&pool->ledger, cost));
  return ramp > even ? ramp : even;
}

/* When somebody who waits for |start| is to be looked at again. */
static weir_tstamp look_at(const struct weir_turn *turn, const struct weir_plan *plan,
                           weir_tstamp start)
{
  weir_tstamp at = weir_time_sub(start, WEIR_COORD_HORIZON_US);

  for (uint32_t i = 0; i < plan->books.count; i++) {
    const weir_tstamp wake = weir_ledger_wake(plan->books.ledgers[i], turn->now);

    at = wake < at ? wake : at;
  }
  return at > turn->now ? at : turn->now + 1;
}

/* ---- who ---- */

static struct weir_waiting *first_of(struct weir_coord *c, uint32_t tenant)
{
  return &c->asks[c->tenants[tenant].asks.first];
}

/* What a call of |ask| takes of the quota of |pool|, and of the budgets that it shares, as for
 * shares of tenants. */
static weir_duration pace_of(struct weir_coord *c, struct weir_pool *pool,
                             const struct weir_waiting *ask)
{
  struct weir_cost cost = weir_ask_cost(ask);
  struct weir_books books;

  cost.spend = weir_price_of(&pool->config, &cost);
  weir_books_open(c, pool, WEIR_NONE, &books);
  return weir_books_pace_us(&books, &cost);
}

/* Online before batch, but while batch waits, each online grant makes the pool owe batch its
 * floor's share of it, and batch goes first as soon as its head is covered. Counted in quota, not
 * in time: a saturated window returns its budget in bursts, and a share of each burst is what a
 * floor means. What batch has beyond that, while online leaves it over, pays its floor ahead: a
 * burst of online work does not give a tenth to a batch that just had nine.
 *
 * Of a floor f each online call adds f of its pace to what is owed, and each batch call takes 1 - f
 * of its own: nothing is divided, because where only calls in flight are limited a call's is 1 us.
 */
static uint32_t head(struct weir_coord *c, const struct weir_pool *pool)
{
  const uint32_t index = (uint32_t)(pool - c->pools);
  const uint32_t online = weir_fair_first(&c->fair, weir_class_index(index, WEIR_CLASS_ONLINE));
  const uint32_t batch = weir_fair_first(&c->fair, weir_class_index(index, WEIR_CLASS_BATCH));
  const uint32_t floor = pool->config.batch_floor_pm;

  if (batch == WEIR_FAIR_NONE || online == WEIR_FAIR_NONE)
    return batch == WEIR_FAIR_NONE ? online : batch;
  if (floor > 0 &&
      pool->batch_owed >= pace_of(c, &c->pools[index], first_of(c, batch)) * (1000 - floor))
    return batch;
  return online;
}

uint32_t weir_serve_first(struct weir_coord *c, const struct weir_pool *pool)
{
  return head(c, pool);
}

/* Takes up to |most| off |*debt|, and returns what is left of |most|. */
static uint64_t pay(uint64_t *debt, uint64_t most)
{
  const uint64_t paid = *debt < most ? *debt : most;

  *debt -= paid;
  return most - paid;
}

static void charge_floor(struct weir_coord *c, struct weir_pool *pool,
                         const struct weir_waiting *ask)
{
  const bool is_batch = weir_tenant_class(c, ask->tenant) == WEIR_CLASS_BATCH;
  const bool is_awaited =
      weir_fair_first(&c->fair, weir_class_index((uint32_t)(pool - c->pools), WEIR_CLASS_BATCH)) !=
      WEIR_FAIR_NONE;
  const uint32_t floor = pool->config.batch_floor_pm;
  const uint64_t paid_max = PAID_MAX_US * floor / 1000 * (1000 - floor);
  uint64_t share;

  if (!is_awaited) /* nobody collects a floor while nobody waits for it */
    pool->batch_owed = 0;
  if (!is_batch && !is_awaited && pool->batch_paid == 0)
    return; /* online work alone: a pace need not be known */
  if (is_batch) {
    share = pay(&pool->batch_owed, pace_of(c, pool, ask) * (1000 - floor));
    pool->batch_paid = weir_time_add(pool->batch_paid, share);
    pool->batch_paid = pool->batch_paid < paid_max ? pool->batch_paid : paid_max;
  } else {
    share = pay(&pool->batch_paid, pace_of(c, pool, ask) * floor);
    pool->batch_owed = is_awaited ? weir_time_add(pool->batch_owed, share) : 0;
  }
}

/* A reload may have removed the pool, moved the model to another pool, whose books would miss the
 * call, or taken it out of the route. */
static bool is_gone(const struct weir_coord *c, const struct weir_pool *pool,
                    const struct weir_waiting *ask)
{
  const struct weir_name *name = &c->names[ask->name];

  return pool->state != WEIR_POOL_OPEN || name->born != ask->name_born ||
         &c->pools[name->pool] != pool || weir_route_is_left(c, ask);
}

/* ---- lines ---- */

static void leave_lines(struct weir_coord *c, struct weir_pool *pool, weir_tstamp now)
{
  if (pool->ticket == 0)
    return;
  pool->ticket = 0;
  for (uint32_t k = 0; k < WEIR_POOL_BUDGETS; k++) {
    if (pool->places[k].budget != WEIR_NONE)
      weir_line_leave(c, weir_member_of_pool(c, pool, k), now);
  }
}

/* Whether |budget|, which has room at |time|, is about what decides |start|. Who waits much longer
 * for something else would only stand in the way. */
static bool is_deciding(const struct weir_turn *turn, weir_tstamp time, weir_tstamp start)
{
  return start <= weir_time_add(time > turn->now ? time : turn->now, PLACE_KEEP_US);
}

/* Joins the lines for the shared budgets that block |plan|, because they are used up or others
 * stand before the pool, and keeps its place in those that no longer do while all that blocks is
 * soon over: it needs all of them at the same time. Returns whether anybody stands before it. */
static bool stand_in_lines(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool,
                           const struct weir_plan *plan,
                           const weir_tstamp times[WEIR_LEASE_LEDGERS], weir_tstamp start)
{
  const uint32_t *budgets = plan->books.budgets;
  const weir_tstamp horizon = turn->now + WEIR_COORD_HORIZON_US;
  bool is_behind = false;

  for (uint32_t i = 1; i < plan->books.shared; i++)
    is_behind = is_behind || (is_deciding(turn, times[i], start) &&
                              !weir_line_is_clear(c, budgets[i], pool->ticket));
  if (!is_behind && start <= horizon)
    return false;
  for (uint32_t i = 1; i < plan->books.shared; i++) {
    const uint32_t member = weir_member_of_pool(c, pool, i - 1);
    const bool is_blocked = times[i] > horizon || !weir_line_is_clear(c, budgets[i], pool->ticket);

    if (!is_deciding(turn, times[i], start) || (is_behind && !is_blocked))
      weir_line_leave(c, member, turn->now);
    else if (is_blocked)
      weir_line_join(c, budgets[i], member);
  }
  return is_behind;
}

/* ---- serving ---- */

/* Whether the own budget of |tenant| blocks |plan| for now, but not for ever; it is parked then. */
static bool park(struct weir_coord *c, struct weir_turn *turn, uint32_t tenant,
                 const struct weir_waiting *ask, const struct weir_plan *plan, weir_tstamp own)
{
  const struct weir_tenant *t = &c->tenants[tenant];

  if (t->budget == WEIR_NONE || own > ask->timer.at ||
      (own <= turn->now + WEIR_COORD_HORIZON_US && weir_line_is_clear(c, t->budget, t->ticket)))
    return false;
  weir_tenant_park(c, tenant, look_at(turn, plan, own));
  return true;
}

static void grant(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool,
                  uint32_t tenant, struct weir_waiting *ask, struct weir_plan *plan)
{
  struct weir_held *lease;
  uint64_t charged;

  charge_floor(c, pool, ask);
  charged = weir_fair_charge(&c->fair, tenant, weir_books_pace_us(&plan->books, &plan->entry.cost));
  lease = weir_lease_take(c, turn, ask, plan);
  lease->charged = charged;
  weir_tenant_spend(c, tenant, 0, charged, turn->now);
  c->tenants[tenant].ticket = 0;
  leave_lines(c, pool, turn->now);
  weir_lease_send(c, turn, lease);
}

static void move_or_deny(struct weir_coord *c, struct weir_turn *turn, struct weir_waiting *ask,
                         enum weir_denial why, weir_tstamp start, const struct weir_plan *plan)
{
  if (weir_route_move(c, turn, ask, start) == WEIR_MOVED_NOT)
    weir_queue_deny(c, turn, ask, why, start, plan);
}

/* The head of |pool| can start at |start|, and is looked at again at |look_at| unless it goes
 * elsewhere. True when it went and the next may be looked at, false when the pool has to wait. */
static bool wait_or_move(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool,
                         struct weir_waiting *ask, weir_tstamp start, weir_tstamp look_at)
{
  const weir_tstamp later = turn->now + WEIR_COORD_HORIZON_US + 1; /* others stand before it */
  const weir_tstamp at = start > later ? start : later;

  switch (weir_route_move(c, turn, ask, at)) {
  case WEIR_MOVED_AWAY:
    return true;
  case WEIR_MOVED_ON:
    return false;
  case WEIR_MOVED_NOT:
    break;
  }
  weir_timer_set(&c->pool_timers, &pool->timer, weir_route_look_at(c, turn, ask, look_at));
  weir_route_evacuate(c, turn, pool, at);
  return false;
}

/* The breaker of |pool| lets nothing through now. Open, that is so until an instant that is known,
 * and who cannot wait so long is denied; half open, what becomes of the probes may be heard of at
 * any time. The pool is looked at again when the breaker changes, and stands in nobody's way. */
static bool serve_shut(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool,
                       struct weir_waiting *ask)
{
  const weir_tstamp at = weir_breaker_starts_at(&pool->breaker);

  if (pool->breaker.state == WEIR_BREAKER_OPEN && at > ask->timer.at) {
    move_or_deny(c, turn, ask, WEIR_DENIAL_OPEN, at, NULL);
    return true;
  }
  leave_lines(c, pool, turn->now);
  return wait_or_move(c, turn, pool, ask, at, WEIR_NEVER);
}

/* Decides about the first ask of |tenant|; false when the pool has to wait, and its timer is set.
 */
static bool serve_head(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool,
                       uint32_t tenant)
{
  struct weir_waiting *ask = first_of(c, tenant);
  const struct weir_cost asked = weir_ask_cost(ask);
  weir_tstamp times[WEIR_LEASE_LEDGERS] = {0}, start;
  struct weir_plan plan;
  bool is_behind;

  if (is_gone(c, pool, ask)) {
    move_or_deny(c, turn, ask, WEIR_DENIAL_CLOSED, WEIR_NEVER, NULL);
    return true;
  }
  if (weir_breaker_is_shut(&pool->breaker))
    return serve_shut(c, turn, pool, ask);
  weir_plan_open(c, pool, c->tenants[tenant].budget, &asked, &plan);
  start = weir_plan_times(turn, &plan, times);
  if (start != WEIR_NEVER && park(c, turn, tenant, ask, &plan, times[plan.books.count - 1]))
    return true;
  if (start <= turn->now + WEIR_COORD_HORIZON_US) {
    const weir_tstamp step = step_at(pool, &asked);

    if (plan.books.count > 1 || step > start)
      start = plan_start(turn, &plan, step > start ? step : start);
  }
  if (start == WEIR_NEVER || start > ask->timer.at) {
    move_or_deny(c, turn, ask, start == WEIR_NEVER ? WEIR_DENIAL_TOO_LARGE : WEIR_DENIAL_DEADLINE,
                 start, &plan);
    return true;
  }
  is_behind = stand_in_lines(c, turn, pool, &plan, times, start);
  if (is_behind || start > turn->now + WEIR_COORD_HORIZON_US) {
    return wait_or_move(c, turn, pool, ask, start,
                        is_behind ? WEIR_NEVER : look_at(turn, &plan, start));
  }
  if (c->leases_free == WEIR_NONE) {
    c->is_starved = true;
    weir_timer_set(&c->pool_timers, &pool->timer, weir_pq_wake(&c->lease_timers));
    return false;
  }
  if (!weir_keep_is_covered(c, pool, &plan, turn->now))
    return false;
  plan.entry.start = start;
  grant(c, turn, pool, tenant, ask, &plan);
  return true;
}

void weir_serve_pool(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool)
{
  uint32_t tenant;

  weir_pq_remove(&c->pool_timers, &pool->timer);
  while ((tenant = head(c, pool)) != WEIR_FAIR_NONE) {
    /* A full update leaves the rest for the next step. */
    if (weir_turn_is_full(turn)) {
      weir_timer_set(&c->pool_timers, &pool->timer, turn->now);
      return;
    }
    if (!serve_head(c, turn, pool, tenant))
      return;
  }
  weir_pq_remove(&c->pool_timers, &pool->timer); /* set by who was served */
  leave_lines(c, pool, turn->now);
  if (pool->breaker.state == WEIR_BREAKER_RAMP)
    weir_breakers_advance(c, pool, turn->now); /* it may be all that the ramp waited for */
}

void weir_serve_parked(struct weir_coord *c, struct weir_turn *turn, struct weir_tenant *tenant)
{
  const uint32_t index = (uint32_t)(tenant - c->tenants);
  const struct weir_waiting *ask = first_of(c, index);
  struct weir_pool *pool = &c->pools[weir_tenant_pool(c, index)];
  const struct weir_cost asked = weir_ask_cost(ask);
  weir_tstamp times[WEIR_LEASE_LEDGERS] = {0};
  struct weir_plan plan;

  weir_plan_open(c, pool, tenant->budget, &asked, &plan);
  weir_plan_times(turn, &plan, times);
  if (!park(c, turn, index, ask, &plan, times[plan.books.count - 1]))
    weir_tenant_unpark(c, index, turn->now);
}

void weir_serve_unstarve(struct weir_coord *c, weir_tstamp now)
{
  c->is_starved = false;
  c->starved_first = (c->starved_first + 1) % c->bounds.pools_max;
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    struct weir_pool *pool = &c->pools[(c->starved_first + i) % c->bounds.pools_max];

    if (weir_pool_has_waiting(pool))
      weir_timer_set(&c->pool_timers, &pool->timer, now);
  }
}
