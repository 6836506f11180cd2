#include "machine.h"

#include <assert.h>
#include <string.h>

/* ---- storage: one block, laid out once ---- */

struct layout {
  uint8_t *base;
  size_t size;
};

static uint8_t *aligned(uint8_t *base)
{
  return base ? base + (WEIR_LINE_SIZE - (uintptr_t)base % WEIR_LINE_SIZE) % WEIR_LINE_SIZE : NULL;
}

static void *place(struct layout *l, size_t size)
{
  void *at = l->base ? l->base + l->size : NULL;

  l->size += (size + WEIR_LINE_SIZE - 1) / WEIR_LINE_SIZE * WEIR_LINE_SIZE;
  return at;
}

struct parts {
  struct weir_coord *coord;
  void *by_token, *by_instance, *by_peer, *calls, *by_name, *by_share, *by_caller, *fair;
  void *session_timers, *ask_timers, *lease_timers, *pool_timers, *tenant_timers, *breaker_timers,
      *keep_timers;
  struct weir_session *sessions;
  struct weir_waiting *asks;
  struct weir_held *leases;
  struct weir_pool *pools;
  struct weir_budget *budgets;
  struct weir_tenant *tenants;
  struct weir_name *names;
  struct weir_route *routes;
  struct weir_share *shares;
  struct weir_caller *callers;
  uint64_t *slots;
  struct weir_keep *keeps;
  uint32_t *keep_under_way, *keep_waiting;
};

static uint32_t classes_of(const struct weir_coord_bounds *b)
{
  return b->pools_max * (WEIR_CLASS_MAX - 1);
}

/* One without name for each class of each pool, whatever else the table holds. */
static uint32_t tenants_of(const struct weir_coord_bounds *b)
{
  return classes_of(b) + b->tenants_max;
}

static size_t ledgers_of(const struct weir_coord_bounds *b)
{
  return (size_t)b->pools_max + b->budgets_max;
}

static size_t lay_out(uint8_t *base, const struct weir_coord_bounds *b, struct parts *p)
{
  struct layout l = {aligned(base), 0};

  p->coord = place(&l, sizeof(struct weir_coord));
  p->sessions = place(&l, b->sessions_max * sizeof(struct weir_session));
  p->asks = place(&l, b->asks_max * sizeof(struct weir_waiting));
  p->leases = place(&l, b->leases_max * sizeof(struct weir_held));
  p->pools = place(&l, b->pools_max * sizeof(struct weir_pool));
  p->budgets = place(&l, b->budgets_max * sizeof(struct weir_budget));
  p->tenants = place(&l, tenants_of(b) * sizeof(struct weir_tenant));
  p->names = place(&l, b->names_max * sizeof(struct weir_name));
  p->routes = place(&l, b->routes_max * sizeof(struct weir_route));
  p->shares = place(&l, b->tenants_max * sizeof(struct weir_share));
  p->callers = place(&l, b->tenants_max * sizeof(struct weir_caller));
  p->fair = place(&l, weir_fair_size(classes_of(b), b->tenants_max));
  p->by_token = place(&l, weir_table_size(b->sessions_max));
  p->by_instance = place(&l, weir_table_size(b->sessions_max));
  p->by_peer = place(&l, weir_table_size(b->sessions_max));
  p->calls = place(&l, weir_table_size(b->asks_max + b->leases_max));
  p->by_name = place(&l, weir_table_size(b->names_max));
  p->by_share = place(&l, weir_table_size(b->tenants_max));
  p->by_caller = place(&l, weir_table_size(b->tenants_max));
  p->session_timers = place(&l, b->sessions_max * sizeof(struct weir_pq_node *));
  p->ask_timers = place(&l, b->asks_max * sizeof(struct weir_pq_node *));
  p->lease_timers = place(&l, b->leases_max * sizeof(struct weir_pq_node *));
  p->pool_timers = place(&l, b->pools_max * sizeof(struct weir_pq_node *));
  p->tenant_timers = place(&l, tenants_of(b) * sizeof(struct weir_pq_node *));
  p->breaker_timers = place(&l, b->pools_max * sizeof(struct weir_pq_node *));
  p->keeps = place(&l, ledgers_of(b) * sizeof(struct weir_keep));
  p->keep_under_way = place(&l, ledgers_of(b) * sizeof(uint32_t));
  p->keep_waiting = place(&l, b->pools_max * sizeof(uint32_t));
  p->keep_timers = place(&l, ledgers_of(b) * sizeof(struct weir_pq_node *));
  p->slots = place(&l, weir_slots_words(WEIR_LEDGER_SLOTS, ledgers_of(b)) * sizeof(uint64_t));
  return l.size + WEIR_LINE_SIZE - 1;
}

size_t weir_coord_size(const struct weir_coord_bounds *bounds)
{
  struct parts parts;

  return lay_out(NULL, bounds, &parts);
}

static void free_lists_init(struct weir_coord *c)
{
  const struct weir_coord_bounds *b = &c->bounds;

  for (uint32_t i = 0; i < b->sessions_max; i++)
    c->sessions[i].free_next = i + 1 < b->sessions_max ? i + 1 : WEIR_NONE;
  for (uint32_t i = 0; i < b->asks_max; i++)
    c->asks[i].in_tenant.next = i + 1 < b->asks_max ? i + 1 : WEIR_NONE;
  for (uint32_t i = 0; i < b->leases_max; i++)
    c->leases[i].free_next = i + 1 < b->leases_max ? i + 1 : WEIR_NONE;
}

static void tables_init(struct weir_coord *c, const struct parts *p)
{
  const struct weir_coord_bounds *b = &c->bounds;

  weir_table_init(&c->by_token, p->by_token, b->sessions_max);
  weir_table_init(&c->by_instance, p->by_instance, b->sessions_max);
  weir_table_init(&c->by_peer, p->by_peer, b->sessions_max);
  weir_table_init(&c->calls, p->calls, b->asks_max + b->leases_max);
  weir_table_init(&c->by_name, p->by_name, b->names_max);
  weir_table_init(&c->by_share, p->by_share, b->tenants_max);
  weir_table_init(&c->by_caller, p->by_caller, b->tenants_max);
  weir_pq_init(&c->session_timers, p->session_timers, b->sessions_max);
  weir_pq_init(&c->ask_timers, p->ask_timers, b->asks_max);
  weir_pq_init(&c->lease_timers, p->lease_timers, b->leases_max);
  weir_pq_init(&c->pool_timers, p->pool_timers, b->pools_max);
  weir_pq_init(&c->tenant_timers, p->tenant_timers, tenants_of(b));
  weir_pq_init(&c->breaker_timers, p->breaker_timers, b->pools_max);
  weir_pq_init(&c->keep_timers, p->keep_timers, (uint32_t)ledgers_of(b));
  weir_fair_init(&c->fair, p->fair, classes_of(b), b->tenants_max);
  for (uint32_t i = 0; i < tenants_of(b); i++) {
    c->tenants[i].asks = (struct weir_list){WEIR_NONE, WEIR_NONE, 0};
    c->tenants[i].budget = c->tenants[i].place.budget = WEIR_NONE;
  }
}

/* A former life's leases are known from its records, or taken to be all that there could be. Old
 * records still tell of days, which began before they were made. */
static void go_on(struct weir_coord *c, const struct weir_coord_start *start,
                  const struct weir_instant *now)
{
  const struct weir_past past = {.records = start->records,
                                 .count = start->records_count,
                                 .is_same_boot = start->is_same_boot,
                                 .started_until = weir_time_sub(now->at, start->past_us)};

  if (start->is_durable)
    weir_keep_restore(c, &past, now);
  if (!start->is_durable || start->is_spent)
    weir_pools_assume_spent(c, past.started_until);
}

enum weir_err weir_coord_init(void *storage, const struct weir_coord_bounds *bounds,
                              const struct weir_coord_config *config,
                              const struct weir_coord_start *start, weir_tstamp now,
                              struct weir_coord **ret_coord)
{
  struct weir_instant instant = {.at = now};
  struct parts p;
  struct weir_coord *c;

  lay_out(storage, bounds, &p);
  c = p.coord;
  memset(c, 0, sizeof(*c));
  c->bounds = *bounds;
  c->epoch = start->epoch;
  c->started_at = now;
  c->ticket_next = 1;
  c->changed = (struct weir_list){WEIR_NONE, WEIR_NONE, 0};
  c->tell_at = c->islands_at = WEIR_NEVER;
  weir_calendar_init(&c->calendar);
  c->sessions = p.sessions;
  c->asks = p.asks;
  c->leases = p.leases;
  c->pools = p.pools;
  c->budgets = p.budgets;
  c->tenants = p.tenants;
  c->names = p.names;
  c->routes = p.routes;
  c->shares = p.shares;
  c->callers = p.callers;
  c->callers_heard = (struct weir_list){WEIR_NONE, WEIR_NONE, 0};
  c->slots = p.slots;
  c->keeps = p.keeps;
  c->keep_under_way = p.keep_under_way;
  c->keep_waiting = p.keep_waiting;
  c->is_durable = start->is_durable;
  weir_rng_init(&c->rng, start->seed);
  tables_init(c, &p);
  free_lists_init(c);
  instant.calendar = &c->calendar;
  if (weir_pools_configure(c, config, &instant) != WEIR_OK)
    return WEIR_EFULL;
  if (start->has_past) {
    go_on(c, start, &instant);
    weir_islands_assume_all(c, now); /* no record tells of them */
  }
  c->is_running = true;
  *ret_coord = c;
  return WEIR_OK;
}

/* ---- dispatch ---- */

/* A key that is bound to a tenant asks for nobody else. */
static void on_ask(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                   const struct weir_msg_ask *ask)
{
  struct weir_msg_ask bound;

  if (turn->peer->tenant[0] == '\0') {
    weir_queue_ask(c, turn, s, ask);
    return;
  }
  bound = *ask;
  memcpy(bound.tenant, turn->peer->tenant, sizeof(bound.tenant));
  weir_queue_ask(c, turn, s, &bound);
}

/* What a message needs that has no session; those of a session need what HELLO needed. */
static uint32_t right_of(enum weir_msg_type type)
{
  if (type == WEIR_MSG_HELLO)
    return WEIR_RIGHT_ASK;
  if (type == WEIR_MSG_SHOW)
    return WEIR_RIGHT_SHOW;
  return type == WEIR_MSG_STEER ? WEIR_RIGHT_ADMIN : 0;
}

static void on_message(struct weir_coord *c, struct weir_turn *turn, const struct weir_msg *msg)
{
  const uint32_t needed = right_of(msg->type);
  struct weir_session *s;

  if ((needed & ~turn->peer->rights) != 0) {
    weir_session_refuse(c, turn, 0, WEIR_REFUSAL_FORBIDDEN);
    return;
  }
  switch (msg->type) {
  case WEIR_MSG_HELLO:
    weir_session_hello(c, turn, msg);
    return;
  case WEIR_MSG_SHOW:
    weir_show_row(c, turn, msg);
    return;
  case WEIR_MSG_STEER:
    weir_breakers_steer(c, turn, msg);
    return;
  case WEIR_MSG_ASK:
  case WEIR_MSG_SETTLE:
  case WEIR_MSG_CANCEL:
  case WEIR_MSG_PING:
  case WEIR_MSG_BYE:
    break;
  case WEIR_MSG_WELCOME:
  case WEIR_MSG_REFUSE:
  case WEIR_MSG_GRANT:
  case WEIR_MSG_QUEUED:
  case WEIR_MSG_DENY:
  case WEIR_MSG_PONG:
  case WEIR_MSG_ROW:
  case WEIR_MSG_STATE:
  case WEIR_MSG_ISLAND:
  case WEIR_MSG_MAX:
  default:
    /* A coordinator's own words, from a peer that is none. */
    c->counters[WEIR_COUNTER_MALFORMED]++;
    return;
  }
  s = weir_session_find(c, turn, msg);
  if (!s)
    return;
  if (msg->type == WEIR_MSG_ASK)
    on_ask(c, turn, s, &msg->ask);
  else if (msg->type == WEIR_MSG_SETTLE)
    weir_lease_settle(c, turn, s, &msg->settle);
  else if (msg->type == WEIR_MSG_CANCEL)
    weir_queue_cancel(c, turn, s, &msg->cancel);
  else if (msg->type == WEIR_MSG_PING)
    weir_session_ping(c, turn, s);
  else {
    weir_islands_leave(c, s, turn->now); /* BYE */
    weir_session_end(c, turn, s);
  }
}

/* Nodes come first in their structs, so a due node is its owner. */
static void on_timeout(struct weir_coord *c, struct weir_turn *turn)
{
  struct weir_pq_node *due;

  while ((due = weir_pq_due(&c->lease_timers, turn->now)) != NULL)
    weir_lease_lose(c, turn, (struct weir_held *)(void *)due);
  while ((due = weir_pq_due(&c->session_timers, turn->now)) != NULL)
    weir_session_timeout(c, turn, (struct weir_session *)(void *)due);
  while ((due = weir_pq_due(&c->breaker_timers, turn->now)) != NULL)
    weir_breakers_timeout(c, due, turn->now);
  weir_tell_sessions(c, turn);
  while (!weir_turn_is_full(turn) && (due = weir_pq_due(&c->ask_timers, turn->now)) != NULL)
    weir_queue_deadline(c, turn, (struct weir_waiting *)(void *)due);
  /* Serving a pool may have others looked at, and they it. */
  while (!weir_turn_is_full(turn)) {
    if ((due = weir_pq_due(&c->tenant_timers, turn->now)) != NULL)
      weir_serve_parked(c, turn, (struct weir_tenant *)(void *)due);
    else if ((due = weir_pq_due(&c->pool_timers, turn->now)) != NULL)
      weir_serve_pool(c, turn, (struct weir_pool *)(void *)due);
    else
      break;
  }
}

enum weir_err weir_coord_step(struct weir_coord *c, const struct weir_coord_event *event,
                              struct weir_coord_update *update)
{
  static const struct weir_coord_peer anybody = {.rights = WEIR_RIGHTS_ALL};
  struct weir_turn turn = {
      .now = event->now,
      .route = event->route,
      .peer = event->peer ? event->peer : &anybody,
      .update = update,
      .instant = {.at = event->now, .number = c->lease_number, .calendar = &c->calendar}};

  update->count = 0;
  weir_calendar_advance(&c->calendar, event->now);
  weir_pools_carve_less(c, &turn.instant);
  switch (event->type) {
  case WEIR_COORD_MESSAGE:
    on_message(c, &turn, event->msg);
    return WEIR_OK;
  case WEIR_COORD_MALFORMED:
    c->counters[WEIR_COUNTER_MALFORMED]++;
    return WEIR_OK;
  case WEIR_COORD_THROTTLED:
    c->counters[WEIR_COUNTER_THROTTLED]++;
    return WEIR_OK;
  case WEIR_COORD_UNSENT:
    c->counters[WEIR_COUNTER_UNSENT]++;
    return WEIR_OK;
  case WEIR_COORD_CONFIG:
    return weir_pools_configure(c, event->config, &turn.instant);
  case WEIR_COORD_CLOCK:
    weir_calendar_clock(&c->calendar, event->wall, event->now);
    weir_pools_look(c, event->now); /* a day may begin at another instant now */
    return WEIR_OK;
  case WEIR_COORD_TIMEOUT:
    on_timeout(c, &turn);
    return WEIR_OK;
  case WEIR_COORD_DURABLE:
  case WEIR_COORD_UNKEPT:
    weir_keep_answer(c, &turn, event->generation, event->type == WEIR_COORD_DURABLE);
    on_timeout(c, &turn); /* whoever waited for it */
    return WEIR_OK;
  }
  assert(false);
  return WEIR_EINVAL;
}

weir_tstamp weir_coord_wake(const struct weir_coord *c)
{
  const struct weir_pq *queues[] = {&c->session_timers, &c->ask_timers,    &c->lease_timers,
                                    &c->pool_timers,    &c->tenant_timers, &c->breaker_timers};
  weir_tstamp wake = weir_calendar_wake(&c->calendar);

  wake = c->tell_at < wake ? c->tell_at : wake;
  wake = c->islands_at < wake ? c->islands_at : wake;
  for (size_t i = 0; i < sizeof(queues) / sizeof(*queues); i++) {
    if (weir_pq_wake(queues[i]) < wake)
      wake = weir_pq_wake(queues[i]);
  }
  return wake;
}

weir_tstamp weir_coord_grant_max(const struct weir_coord *c)
{
  return c->arrival_max;
}

uint64_t weir_coord_counter(const struct weir_coord *c, enum weir_counter counter)
{
  assert(counter > 0 && counter < WEIR_COUNTER_MAX);
  return c->counters[counter];
}
