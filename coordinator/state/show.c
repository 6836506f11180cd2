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

static void show_pool(struct weir_pool *pool, const struct weir_instant *now,
                      struct weir_msg_row *row)
{
  memcpy(row->pool, pool->config.name, sizeof(row->pool));
  row->limits_count = pool->ledger.limits_count;
  for (uint32_t i = 0; i < row->limits_count; i++) {
    const struct weir_limit_config *limit = &pool->ledger.limits[i].config;

    row->limits[i].dimension = limit->dimension;
    row->limits[i].window_us = limit->window_us;
    row->limits[i].amount = limit->amount;
    row->limits[i].used = weir_ledger_used(&pool->ledger, i, now);
    row->limits[i].effective = pool->ledger.limits[i].effective; /* of now, after the use was */
    row->limits[i].is_shadow = limit->is_shadow;
  }
  for (int class = 1; class < WEIR_CLASS_MAX; class ++)
    row->queued[class] = pool->queue[class].count;
  row->leases = pool->leases_count;
  row->grants = pool->grants;
  row->rejected_429 = pool->rejected_429;
  row->frozen_us = weir_time_sub(pool->ledger.frozen_until, now->at);
  row->profile = pool->ledger.profile;
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
  else
    show_pools(c, row->row, &turn->instant, row);
}
