/* standing.c - leases ahead of need. They are like any other, but that they are granted only out of
 * what is to spare: nobody waits, and together they hold no more than a share of what is free, so
 * that near saturation, where what lies idle is missed, there are none. */
#include "machine.h"

/* Together they hold at most this part of what is free in each limit, */
#define SHARE 4
/* and there are none while less than this part of the limit is free. */
#define RESERVE 20

struct weir_cost weir_standing_cost(const struct weir_ledger_entry *entry)
{
  const struct weir_cost *cost = &entry->cost, *reserve = &entry->reserve;

  return (struct weir_cost){
      .requests = cost->requests > reserve->requests ? cost->requests : reserve->requests,
      .input_tokens =
          cost->input_tokens > reserve->input_tokens ? cost->input_tokens : reserve->input_tokens,
      .output_tokens = cost->output_tokens > reserve->output_tokens ? cost->output_tokens
                                                                    : reserve->output_tokens,
      .spend = cost->spend > reserve->spend ? cost->spend : reserve->spend};
}

static struct weir_cost *standing_of(struct weir_coord *c, struct weir_pool *pool, uint32_t budget)
{
  return budget == WEIR_NONE ? &pool->standing : &c->budgets[budget].standing;
}

/* Whether |l| has |cost| to spare, beside |standing| that is out of it already. */
static bool is_roomy(struct weir_ledger *l, const struct weir_instant *now,
                     const struct weir_cost *standing, const struct weir_cost *cost)
{
  for (uint32_t i = 0; i < l->limits_count; i++) {
    const struct weir_ledger_limit *limit = &l->limits[i];
    const uint64_t used = weir_ledger_used(l, i, now);
    const uint64_t free = used < limit->effective ? limit->effective - used : 0;
    const uint64_t held = weir_ledger_cost_of(standing, limit->config.dimension) +
                          weir_ledger_cost_of(cost, limit->config.dimension);

    if (!limit->config.is_shadow && (free < limit->effective / RESERVE || held > free / SHARE))
      return false;
  }
  return true;
}

bool weir_standing_is_spare(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool,
                            uint32_t tenant, const struct weir_msg_ask *ask)
{
  const struct weir_cost asked = {.requests = ask->requests,
                                  .input_tokens = ask->input_tokens,
                                  .output_tokens = ask->output_tokens};
  struct weir_cost cost;
  struct weir_plan plan;

  if (weir_pool_has_waiting(pool) || c->leases_free == WEIR_NONE ||
      pool->breaker.state != WEIR_BREAKER_CLOSED)
    return false;
  weir_plan_open(c, pool, c->tenants[tenant].budget, &asked, &plan);
  cost = weir_standing_cost(&plan.entry);
  for (uint32_t i = 0; i < plan.books.count; i++) {
    struct weir_ledger *l = plan.books.ledgers[i];

    /* Where writings are reported, an unused lease holds a window about as short as a call. */
    if (weir_ledger_is_reported(l) || (i > 0 && !weir_line_is_clear(c, plan.books.budgets[i], 0)) ||
        weir_ledger_earliest(l, &plan.entry, plan.hold_us, turn->now, &turn->instant, NULL) >
            turn->now ||
        !is_roomy(l, &turn->instant, standing_of(c, pool, plan.books.budgets[i]), &cost))
      return false;
  }
  return true;
}

void weir_standing_begin(struct weir_coord *c, struct weir_held *lease)
{
  const struct weir_cost cost = weir_standing_cost(&lease->entry);

  lease->is_standing = lease->is_unused = true;
  for (uint32_t i = 0; i < lease->books_count; i++)
    weir_cost_add(standing_of(c, &c->pools[lease->pool], lease->budgets[i]), &cost);
}

void weir_standing_end(struct weir_coord *c, struct weir_held *lease)
{
  const struct weir_cost cost = weir_standing_cost(&lease->entry);

  if (!lease->is_unused)
    return;
  lease->is_unused = false;
  for (uint32_t i = 0; i < lease->books_count; i++)
    weir_cost_sub(standing_of(c, &c->pools[lease->pool], lease->budgets[i]), &cost);
}
