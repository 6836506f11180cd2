/* show.c - what people see: one row a request, so that an answer is bounded whatever is shown. */
#include "machine.h"

#include <string.h>

static uint64_t at_most(uint64_t value, uint64_t max)
{
  return value < max ? value : max;
}

/* ---- tables that a view shows ---- */

static uint32_t table_size(const struct weir_coord *c, enum weir_view view)
{
  return view == WEIR_VIEW_POOLS     ? c->bounds.pools_max
         : view == WEIR_VIEW_BUDGETS ? c->bounds.budgets_max
                                     : c->bounds.sessions_max;
}

static bool is_open(const struct weir_coord *c, enum weir_view view, uint32_t index)
{
  return view == WEIR_VIEW_POOLS     ? c->pools[index].state == WEIR_POOL_OPEN
         : view == WEIR_VIEW_BUDGETS ? c->budgets[index].state == WEIR_POOL_OPEN
                                     : c->sessions[index].state == WEIR_SESSION_OPEN;
}

static uint32_t open_count(const struct weir_coord *c, enum weir_view view)
{
  uint32_t count = 0;

  if (view == WEIR_VIEW_SESSIONS)
    return c->sessions_open;
  for (uint32_t i = 0; i < table_size(c, view); i++)
    count += is_open(c, view, i);
  return count;
}

/* The place of row |number| of the open ones in the table of |view|, or WEIR_NONE; |ret_rows| gets
 * how many there are. Readers go row by row, and from where the last one was found it is one step
 * to the next; only a reload opens or closes pools and budgets. */
static uint32_t row_find(struct weir_coord *c, enum weir_view view, uint32_t number,
                         uint32_t *ret_rows)
{
  struct weir_shown *shown = &c->shown;

  if (shown->view != view || number == 0 || view == WEIR_VIEW_SESSIONS)
    shown->rows = open_count(c, view);
  if (shown->view != view || number < shown->row || number == 0)
    shown->row = shown->index = 0;
  shown->view = view;
  *ret_rows = shown->rows;
  if (number >= shown->rows)
    return WEIR_NONE;
  for (; shown->index < table_size(c, view); shown->index++) {
    if (!is_open(c, view, shown->index))
      continue;
    if (shown->row == number)
      return shown->index;
    shown->row++;
  }
  return WEIR_NONE;
}

/* ---- the whole coordinator ---- */

static void show_totals(const struct weir_coord *c, struct weir_msg_row *row)
{
  row->rows = 1;
  row->sessions = c->sessions_open;
  row->pools = open_count(c, WEIR_VIEW_POOLS);
  memcpy(row->counters, c->counters, sizeof(c->counters));
  row->figures[WEIR_FIGURE_VIEWS] = WEIR_VIEW_MAX - 1;
}

static void show_ledger(struct weir_ledger *ledger, const struct weir_instant *now,
                        struct weir_msg_row *row)
{
  row->limits_count = ledger->limits_count;
  for (uint32_t i = 0; i < row->limits_count; i++) {
    const struct weir_ledger_limit *limit = &ledger->limits[i];
    struct weir_msg_row_limit *shown = &row->limits[i];

    shown->dimension = limit->config.dimension;
    shown->window_us = limit->config.window_us;
    shown->is_day = limit->config.is_day;
    shown->amount = limit->config.amount;
    shown->used = weir_ledger_used(ledger, i, now);
    shown->effective = limit->effective; /* of now, after the use was */
    shown->is_shadow = limit->config.is_shadow;
    /* Leases that are older than the limit are not in its books. */
    shown->leased = at_most(weir_ledger_leased(ledger, i), shown->used);
    shown->stated = limit->ceiling < limit->config.amount ? limit->ceiling : 0;
    shown->closed_us = at_most(weir_time_sub(limit->closed_until, now->at), WEIR_DURATION_MAX);
    shown->islands = limit->config.islands;
    shown->ramp = weir_ledger_ramp(ledger, i, now);
    shown->half_us = at_most(weir_ledger_half_us(ledger, i, now), WEIR_DURATION_MAX);
  }
  row->profile = ledger->profile;
}

/* ---- who waits ---- */

#define OLDEST_LOOKS_MAX 64 /* at tenants, for the one that waits longest */

static uint32_t waited_ms(const struct weir_coord *c, uint32_t tenant, weir_tstamp now)
{
  return (uint32_t)(now / WEIR_US_PER_MS) - c->asks[c->tenants[tenant].asks.first].asked_ms;
}

/* The longest wait among the tenants of |class|, an index, that are first in their turn: the top of
 * the heap, level by level as far as a row of fixed size reaches. */
static weir_duration oldest_us(const struct weir_coord *c, uint32_t class, weir_tstamp now)
{
  uint32_t line[OLDEST_LOOKS_MAX], count = 0, longest = 0;
  const uint32_t first = weir_fair_first(&c->fair, class);

  if (first != WEIR_FAIR_NONE)
    line[count++] = first;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t waited = waited_ms(c, line[i], now);
    uint32_t child = c->fair.records[line[i]].child;

    longest = waited > longest ? waited : longest;
    for (; child != WEIR_FAIR_NONE && count < OLDEST_LOOKS_MAX; child = c->fair.records[child].next)
      line[count++] = child;
  }
  return longest * (weir_duration)WEIR_US_PER_MS;
}

static const char *name_of(const struct weir_coord *c, const struct weir_pool *pool,
                           const struct weir_plan *plan)
{
  for (uint32_t i = 1; i < plan->books.count; i++) {
    if (plan->books.ledgers[i] == plan->by)
      return c->budgets[plan->books.budgets[i]].config.name;
  }
  return pool->config.name;
}

/* What the next one waits for, when it is a limit. */
static void show_head(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool,
                      struct weir_msg_row *row)
{
  const uint32_t tenant = weir_serve_first(c, pool);
  weir_tstamp times[WEIR_LEASE_LEDGERS] = {0}, start;
  struct weir_cost asked;
  struct weir_plan plan;

  if (tenant == WEIR_FAIR_NONE)
    return;
  asked = weir_ask_cost(&c->asks[c->tenants[tenant].asks.first]);
  weir_plan_open(c, pool, c->tenants[tenant].budget, &asked, &plan);
  start = weir_plan_times(turn, &plan, times);
  if (!plan.by)
    return;
  row->figures[WEIR_FIGURE_HEAD_START_US] =
      at_most(weir_time_sub(start, turn->now), WEIR_DURATION_MAX);
  memcpy(row->by, name_of(c, pool, &plan), sizeof(row->by));
  row->figures[WEIR_FIGURE_HEAD_BUDGET] = plan.by != &pool->ledger;
  if (plan.binding < 0)
    return;
  row->figures[WEIR_FIGURE_HEAD_LIMIT] = (uint64_t)plan.binding + 1;
  row->figures[WEIR_FIGURE_HEAD_COST] =
      weir_ledger_cost_of(&plan.entry.cost, plan.by->limits[plan.binding].config.dimension);
}

static void show_queue(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool,
                       struct weir_msg_row *row)
{
  const uint32_t index = (uint32_t)(pool - c->pools);
  struct weir_latency wait = pool->wait;

  for (uint32_t i = 0; i < pool->at_once; i++)
    weir_latency_learn(&wait, 0);
  for (int class = 1; class < WEIR_CLASS_MAX; class ++)
    row->queued[class] = pool->queue[class].count;
  row->figures[WEIR_FIGURE_OLDEST_ONLINE_US] =
      oldest_us(c, weir_class_index(index, WEIR_CLASS_ONLINE), turn->now);
  row->figures[WEIR_FIGURE_OLDEST_BATCH_US] =
      oldest_us(c, weir_class_index(index, WEIR_CLASS_BATCH), turn->now);
  row->figures[WEIR_FIGURE_WAIT_P50_US] = weir_latency_quantile_us(&wait, 500);
  row->figures[WEIR_FIGURE_WAIT_P95_US] = weir_latency_quantile_us(&wait, 950);
  row->figures[WEIR_FIGURE_WAIT_P99_US] = weir_latency_quantile_us(&wait, 990);
  if (weir_pool_has_waiting(pool))
    show_head(c, turn, pool, row);
}

/* ---- pools and budgets ---- */

static void show_today(struct weir_today *today, const struct weir_limit_config *limits,
                       uint32_t count, const struct weir_instant *now, struct weir_msg_row *row)
{
  const struct weir_limit_config *limit = weir_today_limit(limits, count);
  weir_tstamp ends_at;

  if (!weir_today_turn(today, limit, now->calendar, now->at, &ends_at))
    return;
  row->figures[WEIR_FIGURE_TODAY_SPEND] = today->spend;
  row->figures[WEIR_FIGURE_TODAY_DAY] = limit ? WEIR_ROW_DAY_LIMIT : WEIR_ROW_DAY_UTC;
  row->figures[WEIR_FIGURE_TODAY_US] = weir_time_sub(now->at, today->since);
  row->figures[WEIR_FIGURE_TODAY_LEFT_US] = weir_time_sub(ends_at, now->at);
}

static void show_figures(const struct weir_pool *pool, struct weir_msg_row *row)
{
  row->figures[WEIR_FIGURE_INPUT_TOKENS] = pool->input_tokens;
  row->figures[WEIR_FIGURE_OUTPUT_TOKENS] = pool->output_tokens;
  row->figures[WEIR_FIGURE_SPEND] = pool->spend;
  row->figures[WEIR_FIGURE_REJECTED_FOREIGN] = pool->rejected_foreign;
  row->figures[WEIR_FIGURE_RATIO_PM] = weir_ratio_pm(&pool->ratio);
  row->figures[WEIR_FIGURE_RATIO_ERROR_PM] = weir_ratio_error_pm(&pool->ratio);
  row->figures[WEIR_FIGURE_OVERSHOOT] = pool->ledger.overshoot;
}

static void show_pool(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool,
                      struct weir_msg_row *row)
{
  memcpy(row->pool, pool->config.name, sizeof(row->pool));
  show_ledger(&pool->ledger, &turn->instant, row);
  show_queue(c, turn, pool, row);
  show_figures(pool, row);
  if (pool->config.price_input > 0 || pool->config.price_output > 0)
    show_today(&pool->today, pool->config.limits, pool->config.limits_count, &turn->instant, row);
  row->leases = pool->leases_count;
  row->grants = pool->grants;
  row->rejected_429 = pool->rejected_429;
  row->frozen_us = weir_time_sub(pool->ledger.frozen_until, turn->now);
  row->breaker = pool->breaker.state;
  row->open_us = weir_breaker_open_us(&pool->breaker, turn->now);
  row->probes = weir_breaker_probes(&pool->breaker);
  row->retries = pool->retries_count;
  row->islands = weir_islands_out(pool, turn->now);
  row->without = pool->config.without > 0 ? pool->config.without : WEIR_WITHOUT_WAIT;
  row->island_calls = pool->island_calls;
  memcpy(row->counters, pool->outcomes, sizeof(pool->outcomes));
  row->latency_p50_us = weir_latency_quantile_us(&pool->latency, 500);
  row->latency_p95_us = weir_latency_quantile_us(&pool->latency, 950);
  row->latency_p99_us = weir_latency_quantile_us(&pool->latency, 990);
}

/* Whether a budget has anything to do with money: it has no prices of its own. */
static bool has_cost(const struct weir_budget *budget)
{
  for (uint32_t i = 0; i < budget->config.limits_count; i++) {
    if (budget->config.limits[i].dimension == WEIR_DIMENSION_SPEND)
      return true;
  }
  return budget->today.has_cost;
}

static void show_budget(struct weir_budget *budget, const struct weir_instant *now,
                        struct weir_msg_row *row)
{
  memcpy(row->pool, budget->config.name, sizeof(row->pool));
  show_ledger(&budget->ledger, now, row);
  row->leases = budget->leases_count;
  row->figures[WEIR_FIGURE_OVERSHOOT] = budget->ledger.overshoot;
  if (has_cost(budget))
    show_today(&budget->today, budget->config.limits, budget->config.limits_count, now, row);
}

/* ---- tenants ---- */

/* Calls of |tenant| that wait or are out. A record without name is always held once. */
static uint32_t calls_of(const struct weir_coord *c, uint32_t tenant)
{
  return c->fair.records[tenant].refs - (tenant < c->fair.classes_count);
}

/* How much there is to say of a tenant: each call that waits or is out weighs like a thousandth of
 * the quota. */
static uint64_t load_of(const struct weir_coord *c, uint32_t tenant, weir_tstamp now)
{
  if (c->pools[weir_tenant_pool(c, tenant)].state != WEIR_POOL_OPEN && calls_of(c, tenant) == 0)
    return 0;
  return (uint64_t)calls_of(c, tenant) + weir_tenant_share_pm(c, tenant, now);
}

/* The busiest tenants, the busiest first. O(tenants), for the first row only. */
static void rank_tenants(struct weir_coord *c, weir_tstamp now)
{
  struct weir_shown *shown = &c->shown;
  uint64_t loads[WEIR_SHOW_TENANTS_MAX];

  shown->tenants_count = 0;
  for (uint32_t i = 0; i < c->fair.records_count; i++) {
    const uint64_t load = load_of(c, i, now);
    uint32_t at = shown->tenants_count;

    if (load == 0 || (at == WEIR_SHOW_TENANTS_MAX && load <= loads[at - 1]))
      continue;
    if (at == WEIR_SHOW_TENANTS_MAX)
      at--;
    else
      shown->tenants_count++;
    for (; at > 0 && loads[at - 1] < load; at--) {
      loads[at] = loads[at - 1];
      shown->tenants[at] = shown->tenants[at - 1];
    }
    loads[at] = load;
    shown->tenants[at] = i;
  }
}

static void show_tenants(struct weir_coord *c, uint32_t number, weir_tstamp now,
                         struct weir_msg_row *row)
{
  const struct weir_fair_record *record;
  uint32_t tenant, waiting;
  enum weir_class class;

  if (number == 0)
    rank_tenants(c, now);
  row->rows = c->shown.tenants_count;
  if (number >= row->rows)
    return;
  tenant = c->shown.tenants[number];
  record = &c->fair.records[tenant];
  class = weir_tenant_class(c, tenant);
  waiting = c->tenants[tenant].asks.count;
  memcpy(row->pool, c->pools[weir_tenant_pool(c, tenant)].config.name, sizeof(row->pool));
  memcpy(row->tenant, record->name, sizeof(row->tenant));
  row->queued[class] = waiting;
  row->leases = calls_of(c, tenant) - waiting;
  row->figures[WEIR_FIGURE_CLASS] = class;
  row->figures[WEIR_FIGURE_WEIGHT] = record->weight;
  row->figures[WEIR_FIGURE_SHARE_PM] = weir_tenant_share_pm(c, tenant, now);
}

/* ---- sessions ---- */

static void show_instance(const uint8_t *instance, struct weir_msg_row *row)
{
  static const char digits[] = "0123456789abcdef";

  for (size_t i = 0; i < WEIR_INSTANCE_SIZE; i++) {
    row->instance[2 * i] = digits[instance[i] >> 4];
    row->instance[2 * i + 1] = digits[instance[i] & 15];
  }
}

static void show_session(const struct weir_session *s, weir_tstamp now, struct weir_msg_row *row)
{
  show_instance(s->instance, row);
  memcpy(row->tenant, s->tenant, sizeof(row->tenant));
  row->leases = s->leases_count;
  row->figures[WEIR_FIGURE_ASKS] = s->asks.count;
  row->figures[WEIR_FIGURE_SILENT_US] = weir_time_sub(now, s->heard_at);
}

/* ---- slow calls ---- */

static void show_slow(struct weir_slow *slow, uint32_t number, weir_tstamp now,
                      struct weir_msg_row *row)
{
  const struct weir_slow_call *call;

  row->rows = weir_slow_forget(slow, now);
  if (number >= row->rows)
    return;
  call = &slow->calls[number];
  memcpy(row->pool, call->pool, sizeof(row->pool));
  show_instance(call->instance, row);
  row->figures[WEIR_FIGURE_ENDED_US] = weir_time_sub(now, call->ended_at);
  row->figures[WEIR_FIGURE_WAITED_US] = call->waited_us;
  row->figures[WEIR_FIGURE_TOOK_US] = call->took_us;
  row->figures[WEIR_FIGURE_INPUT_TOKENS] = call->input_tokens;
  row->figures[WEIR_FIGURE_OUTPUT_TOKENS] = call->output_tokens;
  row->figures[WEIR_FIGURE_OUTCOME] = call->outcome;
  row->figures[WEIR_FIGURE_HTTP] = call->http;
}

void weir_show_row(struct weir_coord *c, struct weir_turn *turn, const struct weir_msg *msg)
{
  struct weir_msg_row *row = &weir_turn_send(turn, turn->route, WEIR_MSG_ROW)->row;
  uint32_t index;

  memset(row, 0, sizeof(*row));
  row->view = msg->show.view;
  row->row = msg->show.row;
  row->epoch = c->epoch;
  row->uptime_us = turn->now - c->started_at;
  if (row->view == WEIR_VIEW_TOTALS) {
    show_totals(c, row);
    return;
  }
  if (row->view == WEIR_VIEW_TENANTS) {
    show_tenants(c, row->row, turn->now, row);
    return;
  }
  if (row->view == WEIR_VIEW_SLOW) {
    show_slow(&c->slow, row->row, turn->now, row);
    return;
  }
  index = row_find(c, row->view, row->row, &row->rows);
  if (index == WEIR_NONE)
    return;
  if (row->view == WEIR_VIEW_POOLS)
    show_pool(c, turn, &c->pools[index], row);
  else if (row->view == WEIR_VIEW_BUDGETS)
    show_budget(&c->budgets[index], &turn->instant, row);
  else
    show_session(&c->sessions[index], turn->now, row);
}
