/* show.c - what people see: one row a request, so that an answer is bounded whatever is shown. */
#include "machine.h"

#include <string.h>

static void show_totals(const struct weir_coord *c, struct weir_msg_row *row)
{
  row->rows = 1;
  row->sessions = c->sessions_open;
  for (uint32_t i = 0; i < c->bounds.pools_max; i++)
    row->pools += c->pools[i].state == WEIR_POOL_OPEN;
  memcpy(row->counters, c->counters, sizeof(c->counters));
}

static void show_ledger(struct weir_ledger *ledger, const struct weir_instant *now,
                        struct weir_msg_row *row)
{
  row->limits_count = ledger->limits_count;
  for (uint32_t i = 0; i < row->limits_count; i++) {
    const struct weir_limit_config *limit = &ledger->limits[i].config;

    row->limits[i].dimension = limit->dimension;
    row->limits[i].window_us = limit->window_us;
    row->limits[i].amount = limit->amount;
    row->limits[i].used = weir_ledger_used(ledger, i, now);
    row->limits[i].effective = ledger->limits[i].effective; /* of now, after the use was */
    row->limits[i].is_shadow = limit->is_shadow;
  }
  row->profile = ledger->profile;
}

static void show_pool(struct weir_pool *pool, const struct weir_instant *now,
                      struct weir_msg_row *row)
{
  memcpy(row->pool, pool->config.name, sizeof(row->pool));
  show_ledger(&pool->ledger, now, row);
  for (int class = 1; class < WEIR_CLASS_MAX; class ++)
    row->queued[class] = pool->queue[class].count;
  row->leases = pool->leases_count;
  row->grants = pool->grants;
  row->rejected_429 = pool->rejected_429;
  row->frozen_us = weir_time_sub(pool->ledger.frozen_until, now->at);
  row->breaker = pool->breaker.state;
  row->open_us = weir_breaker_open_us(&pool->breaker, now->at);
  row->probes = weir_breaker_probes(&pool->breaker);
  row->retries = pool->retries_count;
  memcpy(row->counters, pool->outcomes, sizeof(pool->outcomes));
  row->latency_p50_us = weir_latency_quantile_us(&pool->latency, 500);
  row->latency_p95_us = weir_latency_quantile_us(&pool->latency, 950);
  row->latency_p99_us = weir_latency_quantile_us(&pool->latency, 990);
}

/* Row |number| of the open pools, in the order of the table; counts them all. */
static void show_pools(struct weir_coord *c, uint32_t number, const struct weir_instant *now,
                       struct weir_msg_row *row)
{
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    if (c->pools[i].state != WEIR_POOL_OPEN)
      continue;
    if (row->rows == number)
      show_pool(&c->pools[i], now, row);
    row->rows++;
  }
}

static void show_budgets(struct weir_coord *c, uint32_t number, const struct weir_instant *now,
                         struct weir_msg_row *row)
{
  for (uint32_t i = 0; i < c->bounds.budgets_max; i++) {
    struct weir_budget *budget = &c->budgets[i];

    if (budget->state != WEIR_POOL_OPEN)
      continue;
    if (row->rows == number) {
      memcpy(row->pool, budget->config.name, sizeof(row->pool));
      show_ledger(&budget->ledger, now, row);
      row->leases = budget->leases_count;
    }
    row->rows++;
  }
}

void weir_show_row(struct weir_coord *c, struct weir_turn *turn, const struct weir_msg *msg)
{
  struct weir_msg_row *row = &weir_turn_send(turn, turn->route, WEIR_MSG_ROW)->row;

  memset(row, 0, sizeof(*row));
  row->view = msg->show.view;
  row->row = msg->show.row;
  row->epoch = c->epoch;
  row->uptime_us = turn->now - c->started_at;
  if (row->view == WEIR_VIEW_TOTALS)
    show_totals(c, row);
  else if (row->view == WEIR_VIEW_BUDGETS)
    show_budgets(c, row->row, &turn->instant, row);
  else
    show_pools(c, row->row, &turn->instant, row);
}
