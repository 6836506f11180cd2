/* route.c - which model of a route an ask gets: at once, and again while it waits. What decides is
 * in choose.c; here is what it has to know of each model, and how an ask goes from one to another.
 *
 * An ask waits for one model only. It moves when that one has to wait and another can start at
 * once, and it moves rather than being denied, or left behind where nothing starts for long. Moved
 * asks queue up behind what waits for the other model, in the order in which they left.
 */
#include "machine.h"

#include <assert.h>
#include <string.h>

/* What starts later than this is closed: limits per minute are never used up for that long. */
#define CLOSED_US (2 * WEIR_US_PER_MIN)

/* An ask does not go back to a model within this, and heads that wait look around this often. */
#define LOOK_US (100 * WEIR_US_PER_MS)

/* A model whose calls are not known to be fast or slow is tried with a few at a time. */
#define KNOWN_CALLS   8
#define KNOWN_FOR_US  (10 * WEIR_US_PER_MIN)
#define TRIALS        4
#define FASTEST_PM    950
#define PREFER_NOBODY WEIR_CHOICES_MAX

/* ---- configuration ---- */

static uint32_t mix(uint32_t hash, uint32_t value)
{
  return (hash ^ value) * UINT32_C(0x01000193);
}

void weir_routes_configure(struct weir_coord *c, const struct weir_coord_config *config)
{
  for (uint32_t i = 0; i < config->routes_count; i++) {
    const struct weir_route_config *from = &config->routes[i];
    struct weir_route *route = &c->routes[i];

    assert(from->choices_count >= 1 && from->choices_count <= WEIR_CHOICES_MAX);
    route->config = *from;
    route->config.name = weir_coord_name_find(c, config->names[from->name].name);
    route->mark = UINT32_C(0x811c9dc5);
    for (uint32_t k = 0; k < from->choices_count; k++) {
      const uint32_t name = weir_coord_name_find(c, config->names[from->choices[k]].name);

      route->config.choices[k] = name;
      route->mark = mix(mix(route->mark, name), c->names[name].born);
    }
    c->names[route->config.name].route = i;
  }
}

static const struct weir_route *route_of(const struct weir_coord *c, const struct weir_wish *wish)
{
  const struct weir_name *name;

  if (wish->name == WEIR_NONE)
    return NULL;
  name = &c->names[wish->name];
  return name->born == wish->born && name->route != WEIR_NONE ? &c->routes[name->route] : NULL;
}

/* Which choice of |route| |ask| waits for, or WEIR_NONE: a reload may have taken it away, or have
 * put another model of the route in the place of its name. */
static uint32_t choice_of(const struct weir_coord *c, const struct weir_route *route,
                          const struct weir_waiting *ask)
{
  if (c->names[ask->name].born != ask->name_born)
    return WEIR_NONE;
  for (uint32_t k = 0; k < route->config.choices_count; k++) {
    if (route->config.choices[k] == ask->name)
      return k;
  }
  return WEIR_NONE;
}

bool weir_route_is_left(const struct weir_coord *c, const struct weir_waiting *ask)
{
  const struct weir_route *route = route_of(c, &ask->wish);

  return route && choice_of(c, route, ask) == WEIR_NONE;
}

void weir_route_stamp(struct weir_coord *c, const struct weir_waiting *ask, enum weir_class class,
                      struct weir_held *lease)
{
  const struct weir_route *route = route_of(c, &ask->wish);
  const uint32_t choice = route ? choice_of(c, route, ask) : WEIR_NONE;

  lease->choice = lease->choices = 0;
  lease->timeout_us = 0;
  if (choice == WEIR_NONE)
    return;
  lease->choice = (uint8_t)(choice + 1);
  lease->choices = (uint8_t)route->config.choices_count;
  lease->timeout_us = route->config.timeout_us[class];
  c->counters[WEIR_COUNTER_REROUTED] += choice > 0;
}

/* ---- what is known of a model ---- */

/* Whom a model is looked for. */
struct asker {
  const struct weir_route *route;
  enum weir_class class;
  const char *tenant;
  struct weir_cost cost;
  uint32_t without; /* bit k: not choice k */
  bool is_retry;    /* a new attempt: the pool needs a token for it, */
  uint32_t waits;   /* unless it is this one, where the ask waits with one; WEIR_NONE: in none */
};

/* Nothing starts in |pool| for long, if |at| is when its books have room: not worth waiting for. */
static bool is_closed(const struct weir_pool *pool, weir_tstamp at, weir_tstamp now)
{
  return at > weir_time_add(now, CLOSED_US) || weir_breaker_is_shut(&pool->breaker);
}

static bool has_token(struct weir_pool *pool, weir_tstamp now, weir_tstamp *ret_at)
{
  if (!weir_retry_take(pool, now, ret_at))
    return false;
  weir_retries_give(&pool->retries, now);
  return true;
}

/* Whether others go first, whom a new ask of |tenant| would have to wait for. */
static bool is_behind(const struct weir_coord *c, const struct weir_pool *pool, uint32_t tenant,
                      const struct weir_plan *plan)
{
  const uint32_t index = (uint32_t)(pool - c->pools);
  const enum weir_class class = weir_tenant_class(c, tenant);

  if (c->tenants[tenant].asks.count > 0)
    return true;
  for (int before = WEIR_CLASS_ONLINE; before <= (int)class; before++) {
    if (weir_fair_first(&c->fair, weir_class_index(index, (enum weir_class)before)) !=
        WEIR_FAIR_NONE)
      return true;
  }
  for (uint32_t i = 1; i < plan->books.count; i++) {
    const uint64_t ticket = i < plan->books.shared ? pool->ticket : c->tenants[tenant].ticket;

    if (!weir_line_is_clear(c, plan->books.budgets[i], ticket))
      return true;
  }
  return false;
}

/* Fills in when a new ask of |tenant| could start. An ETA may be early: who is behind somebody
 * starts at once only by luck. */
static void start_find(struct weir_coord *c, struct weir_turn *turn, const struct weir_pool *pool,
                       uint32_t tenant, struct weir_plan *plan, struct weir_option *option)
{
  const weir_tstamp horizon = weir_time_add(turn->now, WEIR_COORD_HORIZON_US);
  const weir_tstamp opens = weir_breaker_starts_at(&pool->breaker);
  weir_tstamp times[WEIR_LEASE_LEDGERS], eta;

  option->at = weir_plan_times(turn, plan, times);
  option->at = opens > option->at ? opens : option->at;
  option->is_closed = is_closed(pool, option->at, turn->now);
  if (option->at == WEIR_NEVER || !is_behind(c, pool, tenant, plan))
    return;
  eta = weir_plan_eta(c, turn, tenant, NULL, plan);
  option->at = eta > option->at ? eta : option->at;
  option->at = option->at > horizon ? option->at : horizon + 1;
}

/* Known ones by their time, those to be tried before them, those that are being tried after. */
static uint64_t slowness_of(const struct weir_pool *pool, weir_tstamp now)
{
  if (pool->latency.count >= KNOWN_CALLS && weir_time_sub(now, pool->latency_at) <= KNOWN_FOR_US)
    return weir_latency_quantile_us(&pool->latency, FASTEST_PM);
  return pool->leases_count < TRIALS ? 0 : UINT64_MAX;
}

static uint64_t rank_of(const struct weir_route *route, const struct weir_pool *pool,
                        const struct weir_cost *cost, weir_tstamp now)
{
  if (route->config.policy == WEIR_ROUTE_FASTEST)
    return slowness_of(pool, now);
  if (route->config.policy == WEIR_ROUTE_ORDER)
    return 0;
  return pool->config.price_input + pool->config.price_output > 0
             ? weir_price_of(&pool->config, cost)
             : UINT64_MAX;
}

/* Fills |plan| and returns what is known of choice |k|. */
static struct weir_option survey(struct weir_coord *c, struct weir_turn *turn,
                                 const struct asker *asker, uint32_t k, struct weir_plan *plan)
{
  const uint32_t index = c->names[asker->route->config.choices[k]].pool;
  struct weir_pool *pool = &c->pools[index];
  struct weir_option option = {0};
  weir_tstamp token_at;
  uint32_t tenant;

  if (asker->without >> k & 1 ||
      (asker->is_retry && index != asker->waits && !has_token(pool, turn->now, &token_at)))
    return option;
  tenant = weir_tenant_enter(c, index, asker->class, asker->tenant);
  if (tenant == WEIR_NONE)
    return option;
  weir_plan_open(c, pool, c->tenants[tenant].budget, &asker->cost, plan);
  option.is_usable = true;
  start_find(c, turn, pool, tenant, plan, &option);
  option.rank = rank_of(asker->route, pool, &plan->entry.cost, turn->now);
  weir_fair_drop(&c->fair, tenant);
  return option;
}

/* ---- a new ask ---- */

static struct weir_wish wish_of(const struct weir_coord *c, uint32_t name,
                                const struct weir_msg_ask *ask)
{
  const struct weir_route *route = &c->routes[c->names[name].route];
  struct weir_wish wish = {.name = name,
                           .born = c->names[name].born,
                           .mark = route->mark,
                           .avoid = (uint16_t)ask->avoid,
                           .prefer = PREFER_NOBODY};

  for (uint32_t k = 0; k < route->config.choices_count; k++) {
    if (strcmp(c->names[route->config.choices[k]].name, ask->prefer) == 0)
      wish.prefer = (uint8_t)k;
  }
  return wish;
}

static uint32_t all_of(const struct weir_route *route)
{
  return (UINT32_C(1) << route->config.choices_count) - 1;
}

/* No choice may be had: those that are not avoided have no token for a new attempt, or no place for
 * a tenant with a budget of its own. */
static void refuse_all(struct weir_coord *c, const struct weir_turn *turn,
                       const struct asker *asker, struct weir_pick *pick)
{
  for (uint32_t k = 0; asker->is_retry && k < asker->route->config.choices_count; k++) {
    struct weir_pool *pool = &c->pools[c->names[asker->route->config.choices[k]].pool];
    weir_tstamp at;

    if (asker->without >> k & 1 || has_token(pool, turn->now, &at) || at > pick->at)
      continue;
    pick->why = WEIR_DENIAL_RETRIES;
    pick->at = at;
    pick->pool = pool;
  }
  if (pick->why == WEIR_DENIAL_RETRIES)
    return;
  pick->why = WEIR_DENIAL_QUEUE_FULL;
  pick->at = turn->now;
}

/* Why the ask is denied: the model that it could have had first tells. */
static void refuse(struct weir_coord *c, struct weir_turn *turn, const struct asker *asker,
                   const struct weir_choose *choose, struct weir_pick *pick)
{
  const uint32_t k = weir_choose_soonest(choose);

  pick->why = WEIR_DENIAL_NO_POOL;
  pick->at = WEIR_NEVER;
  pick->pool = NULL;
  pick->plan.by = NULL;
  if ((asker->without & all_of(asker->route)) == all_of(asker->route))
    return;
  if (k == WEIR_CHOOSE_NONE) {
    refuse_all(c, turn, asker, pick);
    return;
  }
  pick->at = survey(c, turn, asker, k, &pick->plan).at;
  pick->pool = &c->pools[c->names[asker->route->config.choices[k]].pool];
  pick->why = pick->at == WEIR_NEVER ? WEIR_DENIAL_TOO_LARGE : WEIR_DENIAL_DEADLINE;
  if (pick->pool->breaker.state == WEIR_BREAKER_OPEN &&
      weir_breaker_starts_at(&pick->pool->breaker) > choose->deadline) {
    pick->why = WEIR_DENIAL_OPEN;
    pick->plan.by = NULL; /* no limit is to blame */
  }
}

static struct weir_choose choose_by(const struct weir_route *route, uint8_t prefer, weir_tstamp now,
                                    weir_tstamp deadline, const struct weir_option *options)
{
  const weir_duration patience = route->config.patience_us;

  return (struct weir_choose){
      .options = options,
      .prefer = prefer == PREFER_NOBODY ? WEIR_CHOOSE_NONE : prefer,
      .soon =
          weir_time_add(now, patience > WEIR_COORD_HORIZON_US ? patience : WEIR_COORD_HORIZON_US),
      .deadline = deadline};
}

void weir_route_pick(struct weir_coord *c, struct weir_turn *turn, uint32_t name,
                     const struct weir_msg_ask *ask, struct weir_pick *pick)
{
  const struct weir_route *route = &c->routes[c->names[name].route];
  const struct asker asker = {.route = route,
                              .class = ask->class,
                              .tenant = ask->tenant,
                              .cost = {.requests = ask->requests,
                                       .input_tokens = ask->input_tokens,
                                       .output_tokens = ask->output_tokens},
                              .without = (uint32_t)ask->avoid,
                              .is_retry = weir_ask_is_retry(ask, true),
                              .waits = WEIR_NONE};
  struct weir_option options[WEIR_CHOICES_MAX];
  struct weir_choose choose;
  uint32_t k;

  pick->wish = wish_of(c, name, ask);
  choose = choose_by(route, pick->wish.prefer, turn->now,
                     weir_time_add(turn->now, ask->deadline_us), options);
  while (choose.count < route->config.choices_count) {
    const struct weir_option *option = &options[choose.count];

    options[choose.count] = survey(c, turn, &asker, choose.count, &pick->plan);
    choose.count++;
    /* Mostly the first will do, and nobody has to look further. */
    if (route->config.policy == WEIR_ROUTE_ORDER && choose.prefer == WEIR_CHOOSE_NONE &&
        option->is_usable && option->at <= choose.soon && option->at <= choose.deadline)
      break;
  }
  k = weir_choose(&choose);
  pick->model = k == WEIR_CHOOSE_NONE ? WEIR_NONE : route->config.choices[k];
  if (k == WEIR_CHOOSE_NONE)
    refuse(c, turn, &asker, &choose, pick);
}

/* ---- an ask that waits ---- */

/* The choices of |route| in |pool|: for an ask that waits there, one is as good as another. */
static uint32_t choices_in(const struct weir_coord *c, const struct weir_route *route,
                           uint32_t pool)
{
  uint32_t found = 0;

  for (uint32_t k = 0; k < route->config.choices_count; k++) {
    if (c->names[route->config.choices[k]].pool == pool)
      found |= UINT32_C(1) << k;
  }
  return found;
}

/* What an ask remembers of a route is about the choices that it had then. */
static void remember(struct weir_wish *wish, const struct weir_route *route, weir_tstamp now)
{
  if (wish->mark != route->mark) {
    wish->mark = route->mark;
    wish->avoid = wish->left = 0;
    wish->prefer = PREFER_NOBODY;
  }
  if ((uint32_t)(now / WEIR_US_PER_MS) - wish->moved_ms >= LOOK_US / WEIR_US_PER_MS)
    wish->left = 0;
}

static bool can_move(const struct weir_waiting *ask)
{
  return !ask->is_standing && !ask->wish.is_nameless;
}

static void token_move(struct weir_pool *from, struct weir_pool *to, weir_tstamp now)
{
  weir_tstamp at;
  bool has_taken;

  if (from == to)
    return;
  has_taken = weir_retry_take(to, now, &at);
  assert(has_taken); /* it had one when the choice was looked at */
  (void)has_taken;
  weir_retries_give(&from->retries, now);
}

static void go(struct weir_coord *c, struct weir_turn *turn, struct weir_waiting *ask,
               const struct weir_route *route, uint32_t from, uint32_t to)
{
  const uint32_t name = route->config.choices[to], pool = c->names[name].pool;
  const uint32_t former = ask->tenant, former_pool = weir_tenant_pool(c, former);
  const uint32_t tenant =
      weir_tenant_enter(c, pool, weir_tenant_class(c, former), c->fair.records[former].name);

  assert(tenant != WEIR_NONE); /* it was there when the choice was looked at */
  ask->wish.is_nameless = strcmp(c->fair.records[tenant].name, c->fair.records[former].name) != 0;
  if (ask->is_retry)
    token_move(&c->pools[former_pool], &c->pools[pool], turn->now);
  weir_tenant_remove(c, ask, turn->now);
  weir_fair_drop(&c->fair, former);
  ask->tenant = tenant;
  ask->name = name;
  ask->name_born = c->names[name].born;
  ask->wish.moved_ms = (uint32_t)(turn->now / WEIR_US_PER_MS);
  if (from != WEIR_NONE)
    ask->wish.left |= (uint16_t)(UINT32_C(1) << from);
  weir_tenant_push(c, ask);
  /* In this order: who comes next here has to know whether the one before found room there. */
  weir_timer_set(&c->pool_timers, &c->pools[pool].timer, turn->now);
  weir_timer_set(&c->pool_timers, &c->pools[former_pool].timer, turn->now);
}

enum weir_moved weir_route_move(struct weir_coord *c, struct weir_turn *turn,
                                struct weir_waiting *ask, weir_tstamp start)
{
  const struct weir_route *route = route_of(c, &ask->wish);
  const struct weir_name *waits = &c->names[ask->name];
  struct weir_option options[WEIR_CHOICES_MAX];
  struct weir_choose choose;
  struct asker asker;
  struct weir_plan plan;
  uint32_t here, there;
  bool must = true;

  if (!route || !can_move(ask))
    return WEIR_MOVED_NOT;
  remember(&ask->wish, route, turn->now);
  here = choice_of(c, route, ask);
  if (here != WEIR_NONE && waits->pool != weir_tenant_pool(c, ask->tenant))
    here = WEIR_NONE; /* the model is in another pool now, and a choice like the others */
  asker = (struct asker){.route = route,
                         .class = weir_tenant_class(c, ask->tenant),
                         .tenant = c->fair.records[ask->tenant].name,
                         .cost = weir_ask_cost(ask),
                         .without = ask->wish.avoid | ask->wish.left,
                         .is_retry = ask->is_retry,
                         .waits = weir_tenant_pool(c, ask->tenant)};
  choose = choose_by(route, ask->wish.prefer, turn->now, ask->timer.at, options);
  if (here != WEIR_NONE)
    asker.without |= choices_in(c, route, waits->pool);
  for (; choose.count < route->config.choices_count; choose.count++)
    options[choose.count] = survey(c, turn, &asker, choose.count, &plan);
  if (here != WEIR_NONE) {
    options[here].is_usable = start != WEIR_NEVER;
    options[here].at = start;
    options[here].is_closed = is_closed(&c->pools[waits->pool], start, turn->now);
    must = options[here].is_closed || start > ask->timer.at;
  }
  there = weir_choose(&choose);
  if (there == WEIR_CHOOSE_NONE || there == here ||
      (!must && options[there].at > weir_time_add(turn->now, WEIR_COORD_HORIZON_US)))
    return WEIR_MOVED_NOT;
  go(c, turn, ask, route, here, there);
  return must ? WEIR_MOVED_AWAY : WEIR_MOVED_ON;
}

bool weir_route_has_choice(const struct weir_coord *c, const struct weir_waiting *ask)
{
  const struct weir_route *route = route_of(c, &ask->wish);

  return route && route->config.choices_count > 1 && can_move(ask);
}

weir_tstamp weir_route_look_at(const struct weir_coord *c, const struct weir_turn *turn,
                               const struct weir_waiting *ask, weir_tstamp at)
{
  const weir_tstamp soon = weir_time_add(turn->now, LOOK_US);

  return soon < at && weir_route_has_choice(c, ask) ? soon : at;
}

/* Lets |ask|, which waits behind a head that starts at |start|, go elsewhere. While probes are out
 * it may start at any time, however late that seems. */
static void leave(struct weir_coord *c, struct weir_turn *turn, const struct weir_pool *pool,
                  struct weir_waiting *ask, weir_tstamp start)
{
  if (weir_route_has_choice(c, ask) && weir_route_move(c, turn, ask, start) == WEIR_MOVED_NOT &&
      ask->timer.at < start && pool->breaker.state != WEIR_BREAKER_HALF_OPEN)
    weir_timer_set(&c->ask_timers, &ask->timer, turn->now);
}

void weir_route_evacuate(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool,
                         weir_tstamp start)
{
  const bool was_left = pool->is_left;

  pool->is_left = is_closed(pool, start, turn->now);
  if (!pool->is_left || was_left)
    return;
  for (uint32_t i = 0; i < c->fair.records_count; i++) {
    if (c->fair.records[i].state == WEIR_FAIR_FREE || &c->pools[weir_tenant_pool(c, i)] != pool)
      continue;
    for (uint32_t k = c->tenants[i].asks.first, next;
         c->tenants[i].asks.count > 0 && k != WEIR_NONE; k = next) {
      next = c->asks[k].in_tenant.next;
      leave(c, turn, pool, &c->asks[k], start);
    }
  }
}
