/* breakers.c - whether a pool's calls go through: what the machine makes of its breakers. They
 * decide by themselves (breaker.c); here are their timers, what a change means to those who wait,
 * and the share of new attempts. */
#include "machine.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* How long good calls take, when so many are known: a probe needs as long as most, and who hangs up
 * later than nearly all take has waited long enough to tell. */
#define MOST_PM       950
#define NEARLY_ALL_PM 990
#define KNOWN_CALLS   32

void weir_breakers_begin(struct weir_pool *pool, const struct weir_pool_config *config,
                         weir_tstamp now)
{
  weir_breaker_init(&pool->breaker, &config->breaker);
  weir_retries_init(&pool->retries, now);
  pool->noted = pool->breaker.state;
  pool->in_changed = (struct weir_link){WEIR_NONE, WEIR_NONE};
}

void weir_breakers_end(struct weir_coord *c, struct weir_pool *pool)
{
  weir_pq_remove(&c->breaker_timers, &pool->breaker_timer);
  weir_tell_forget(c, pool);
}

/* ---- changes ---- */

/* Who cannot wait until |until| is told so at once: its time is over now. Who has a choice is seen
 * to when the queue is looked at. */
static void hasten(struct weir_coord *c, const struct weir_pool *pool, weir_tstamp until,
                   weir_tstamp now)
{
  const uint32_t index = (uint32_t)(pool - c->pools);

  for (uint32_t t = 0; weir_pool_has_waiting(pool) && t < c->fair.records_count; t++) {
    const struct weir_tenant *tenant = &c->tenants[t];

    if (tenant->asks.count == 0 || weir_tenant_pool(c, t) != index)
      continue;
    for (uint32_t i = tenant->asks.first; i != WEIR_NONE; i = c->asks[i].in_tenant.next) {
      if (c->asks[i].timer.at < until && c->asks[i].timer.at > now &&
          !weir_route_has_choice(c, &c->asks[i]))
        weir_timer_set(&c->ask_timers, &c->asks[i].timer, now);
    }
  }
}

/* A probe decides on everybody: it is not given to those whose time would be over before its
 * answer. Of them there are many after an opening, and they come first, because they have waited
 * longest. */
static void probe_prepare(struct weir_coord *c, const struct weir_pool *pool, weir_tstamp now)
{
  if (pool->breaker.state == WEIR_BREAKER_HALF_OPEN && pool->latency.count >= KNOWN_CALLS)
    hasten(c, pool, weir_time_add(now, weir_latency_quantile_us(&pool->latency, MOST_PM)), now);
}

/* A ramp that only waits for its queue is looked at when that has drained. */
static weir_tstamp wake_of(const struct weir_pool *pool, weir_tstamp now)
{
  weir_tstamp wake = weir_breaker_wake(&pool->breaker);

  if (pool->breaker.state == WEIR_BREAKER_RAMP && wake <= now)
    wake = WEIR_NEVER;
  return pool->used_up_until > 0 && pool->used_up_until < wake ? pool->used_up_until : wake;
}

static void day_tell(struct weir_coord *c, struct weir_pool *pool, weir_tstamp now)
{
  weir_tell_change(c, pool, now);
  pool->day_changed = pool->changed;
}

static void day_note(struct weir_coord *c, struct weir_pool *pool, weir_tstamp now)
{
  if (pool->used_up_until == 0 || pool->used_up_until > now)
    return;
  pool->used_up_until = 0;
  day_tell(c, pool, now);
}

void weir_breakers_note(struct weir_coord *c, struct weir_pool *pool, weir_tstamp now)
{
  const struct weir_breaker *b = &pool->breaker;
  weir_tstamp wake;

  day_note(c, pool, now);
  wake = wake_of(pool, now);
  if (wake == WEIR_NEVER)
    weir_pq_remove(&c->breaker_timers, &pool->breaker_timer);
  else if (pool->breaker_timer.pos == 0 || pool->breaker_timer.at != wake)
    weir_timer_set(&c->breaker_timers, &pool->breaker_timer, wake);
  if (b->changes == pool->changes_noted)
    return;
  if (b->state == WEIR_BREAKER_OPEN) {
    if (pool->noted != WEIR_BREAKER_OPEN) {
      c->counters[WEIR_COUNTER_OPENINGS]++;
      pool->opened_number = c->lease_number;
    }
    hasten(c, pool, weir_breaker_starts_at(b), now);
  }
  probe_prepare(c, pool, now);
  weir_keep_breaker(c, pool, now);
  pool->changes_noted = b->changes;
  pool->noted = b->state;
  weir_tell_change(c, pool, now);
  pool->breaker_changed = pool->changed;
  if (weir_pool_has_waiting(pool))
    weir_timer_set(&c->pool_timers, &pool->timer, now);
}

void weir_breakers_advance(struct weir_coord *c, struct weir_pool *pool, weir_tstamp now)
{
  weir_breaker_advance(&pool->breaker, !weir_pool_has_waiting(pool), now, &c->rng);
  weir_breakers_note(c, pool, now);
}

void weir_breakers_used_up(struct weir_coord *c, struct weir_pool *pool, weir_tstamp now)
{
  const weir_tstamp until = weir_ledger_closed_until(&pool->ledger);
  const bool is_news = pool->used_up_until == 0;

  if (until <= now || until <= pool->used_up_until)
    return;
  pool->used_up_until = until;
  if (is_news)
    day_tell(c, pool, now);
  weir_breakers_note(c, pool, now);
}

void weir_breakers_reopen(struct weir_pool *pool, weir_tstamp now)
{
  const weir_tstamp closed = weir_ledger_closed_until(&pool->ledger);
  const weir_tstamp until = closed > now ? closed : now;

  if (pool->used_up_until > until)
    pool->used_up_until = until;
}

void weir_breakers_timeout(struct weir_coord *c, struct weir_pq_node *due, weir_tstamp now)
{
  uint8_t *node = (uint8_t *)due;

  weir_breakers_advance(
      c, (struct weir_pool *)(void *)(node - offsetof(struct weir_pool, breaker_timer)), now);
}

/* ---- calls ---- */

void weir_breakers_take(struct weir_coord *c, struct weir_held *lease, const struct weir_plan *plan,
                        weir_tstamp now)
{
  struct weir_pool *pool = &c->pools[lease->pool];
  weir_duration pace = 0;

  if (pool->breaker.state == WEIR_BREAKER_RAMP)
    pace = weir_books_sustained_us(&plan->books, &plan->entry.cost);
  lease->pass = weir_breaker_take(&pool->breaker, lease->entry.start, pace);
  c->counters[WEIR_COUNTER_PROBES] += lease->pass.probe > 0;
  if (lease->is_retry) {
    pool->retries_count++;
    c->counters[WEIR_COUNTER_RETRIES]++;
  } else {
    weir_retries_earn(&pool->retries, pool->config.retries_pm, now);
  }
  weir_breakers_advance(c, pool, now); /* a ramp may have lasted long enough */
}

/* Whether a caller's own time ran out before an answer could be expected: that says nothing of
 * upstream. Until it is known how long calls take, it counts as any deadline. */
static bool is_hang_up(const struct weir_pool *pool, const struct weir_msg_settle *settle)
{
  return settle->outcome == WEIR_OUTCOME_DEADLINE && settle->http == 0 &&
         pool->latency.count >= KNOWN_CALLS &&
         settle->latency_us < weir_latency_quantile_us(&pool->latency, NEARLY_ALL_PM);
}

/* A call that a minute's quota rejected waits for its turn here once more, in a pool that is frozen
 * until it can have it: its new attempt adds nothing to what upstream has to bear. */
static bool is_excused(const struct weir_msg_settle *settle)
{
  return settle->is_final && (settle->outcome == WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS ||
                              settle->outcome == WEIR_OUTCOME_QUOTA_MINUTE_TOKENS);
}

void weir_breakers_hear(struct weir_coord *c, const struct weir_held *lease,
                        const struct weir_msg_settle *settle, weir_tstamp now)
{
  struct weir_pool *pool = &c->pools[lease->pool];
  struct weir_msg_settle said = *settle;

  if (!settle->is_sent && lease->is_retry)
    weir_retries_give(&pool->retries, now);
  else if (!settle->is_sent)
    weir_retries_lose(&pool->retries, pool->config.retries_pm, now);
  else if (settle->is_final && settle->outcome < WEIR_OUTCOME_MAX)
    pool->outcomes[settle->outcome]++;
  if (settle->is_sent && is_excused(settle))
    weir_retries_earn(&pool->retries, WEIR_RETRIES_TOKEN, now);
  if (is_hang_up(pool, settle))
    said.outcome = WEIR_OUTCOME_CANCELLED;
  weir_breaker_hear(&pool->breaker, &lease->pass, &said, now, &c->rng);
  if (lease->pass.probe > 0 && (settle->is_final || !settle->is_sent))
    probe_prepare(c, pool, now); /* another may go in its place */
  weir_breakers_note(c, pool, now);
}

bool weir_ask_is_retry(const struct weir_msg_ask *ask, bool is_routed)
{
  uint32_t elsewhere = 0;

  for (uint64_t avoid = is_routed ? ask->avoid : 0; avoid != 0; avoid &= avoid - 1)
    elsewhere++;
  return ask->attempts > elsewhere;
}

bool weir_retry_take(struct weir_pool *pool, weir_tstamp now, weir_tstamp *ret_at)
{
  *ret_at = WEIR_NEVER;
  return pool->config.retries_pm > 0 && weir_retries_take(&pool->retries, now, ret_at);
}

/* ---- people ---- */

void weir_breakers_state(const struct weir_pool *pool, weir_tstamp now,
                         struct weir_msg_state *state)
{
  memcpy(state->pool, pool->config.name, sizeof(state->pool));
  state->breaker = pool->breaker.state;
  state->is_held = pool->breaker.held != WEIR_STEER_AUTO;
  state->open_us = weir_breaker_open_us(&pool->breaker, now);
  state->closed_us = weir_time_sub(pool->used_up_until, now);
  if (state->closed_us > WEIR_DURATION_MAX)
    state->closed_us = WEIR_DURATION_MAX;
}

void weir_breakers_steer(struct weir_coord *c, struct weir_turn *turn, const struct weir_msg *msg)
{
  const uint32_t index = weir_pool_named(c, msg->steer.pool);
  struct weir_msg_state *state = &weir_turn_send(turn, turn->route, WEIR_MSG_STATE)->state;

  memset(state, 0, sizeof(*state));
  if (index == WEIR_NONE || c->pools[index].state != WEIR_POOL_OPEN)
    return;
  weir_breaker_steer(&c->pools[index].breaker, msg->steer.steer, turn->now);
  weir_breakers_advance(c, &c->pools[index], turn->now);
  weir_breakers_state(&c->pools[index], turn->now, state);
}
