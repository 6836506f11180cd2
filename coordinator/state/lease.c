/* lease.c - who holds. A lease is charged from its grant on; settling it gives back what it did not
 * use, and a lease that is never settled stays charged until nothing of it can arrive any more. */
#include "machine.h"

#include <assert.h>
#include <string.h>

static uint32_t index_of(const struct weir_coord *c, const struct weir_held *lease)
{
  return (uint32_t)(lease - c->leases);
}

static void books_take(struct weir_coord *c, struct weir_turn *turn, struct weir_held *lease,
                       const struct weir_books *books)
{
  lease->books_count = (uint8_t)books->count;
  lease->books_shared = (uint8_t)books->shared;
  for (uint32_t i = 0; i < books->count; i++) {
    lease->budgets[i] = books->budgets[i];
    weir_ledger_take(books->ledgers[i], &lease->entry, &turn->instant, &lease->both[i]);
    if (i > 0)
      c->budgets[books->budgets[i]].leases_count++;
  }
}

#define AT_ONCE_MAX 64

/* Most do not wait, and the histogram is far from what else a grant touches. */
static void wait_learn(struct weir_pool *pool, uint32_t waited_ms)
{
  if (waited_ms > 0)
    weir_latency_learn(&pool->wait, waited_ms * (weir_duration)WEIR_US_PER_MS);
  else if (++pool->at_once == AT_ONCE_MAX)
    for (; pool->at_once > 0; pool->at_once--)
      weir_latency_learn(&pool->wait, 0);
}

struct weir_held *weir_lease_take(struct weir_coord *c, struct weir_turn *turn,
                                  struct weir_waiting *ask, const struct weir_plan *plan)
{
  const struct weir_waiting taken = *ask;
  struct weir_held *lease = &c->leases[c->leases_free];
  enum weir_err err;

  /* The tenant, the token of a new attempt and the place in the table of calls pass from the ask to
   * the lease. */
  weir_fair_hold(&c->fair, taken.tenant);
  ask->is_retry = false;
  weir_queue_leave(c, ask, turn->now);
  c->leases_free = lease->free_next;
  lease->session = taken.session;
  lease->pool = weir_tenant_pool(c, taken.tenant);
  lease->tenant = taken.tenant;
  lease->seq = taken.seq;
  lease->ttl_us = plan->ttl_us;
  memcpy(lease->model, c->names[taken.name].name, sizeof(lease->model));
  lease->entry = plan->entry;
  lease->entry.number = c->lease_number;
  lease->entry.arrival_max = lease->entry.start + plan->hold_us;
  lease->is_standing = lease->is_unused = false;
  lease->is_retry = taken.is_retry;
  weir_route_stamp(c, &taken, weir_tenant_class(c, taken.tenant), lease);
  books_take(c, turn, lease, &plan->books);
  weir_keep_note(c, &plan->books, lease->pool, turn->now);
  if (taken.is_standing)
    weir_standing_begin(c, lease);
  weir_breakers_take(c, lease, plan, turn->now);
  turn->instant.number = ++c->lease_number;
  err = weir_table_put(&c->calls, weir_call_key(taken.session, taken.seq),
                       index_of(c, lease) | WEIR_CALL_LEASE);
  assert(err == WEIR_OK);
  (void)err;
  weir_timer_set(&c->lease_timers, &lease->timer,
                 weir_time_add(lease->entry.arrival_max, WEIR_COORD_SETTLE_GRACE_US));
  c->sessions[taken.session].leases_count++;
  c->pools[lease->pool].leases_count++;
  c->pools[lease->pool].grants++;
  lease->waited_ms = 0;
  if (!taken.is_standing) { /* who asks ahead of need does not wait */
    const uint32_t waited_ms = (uint32_t)(turn->now / WEIR_US_PER_MS) - taken.asked_ms;

    wait_learn(&c->pools[lease->pool], waited_ms);
    lease->waited_ms =
        waited_ms + (uint32_t)(weir_time_sub(lease->entry.start, turn->now) / WEIR_US_PER_MS);
  }
  c->counters[WEIR_COUNTER_GRANTS]++;
  if (lease->entry.arrival_max > c->arrival_max)
    c->arrival_max = lease->entry.arrival_max;
  return lease;
}

static bool is_reported(struct weir_coord *c, const struct weir_held *lease)
{
  struct weir_books books;

  weir_books_of_lease(c, lease, &books);
  for (uint32_t i = 0; i < books.count; i++) {
    if (weir_ledger_is_reported(books.ledgers[i]))
      return true;
  }
  return false;
}

/* What the pool's own limits leave. The books are those of the grant: nothing is computed anew. */
static void tell_left(struct weir_ledger *ledger, const struct weir_instant *now,
                      struct weir_msg_grant *grant)
{
  grant->requests_limit = grant->requests_left = grant->tokens_limit = grant->tokens_left = 0;
  for (uint32_t i = 0; i < ledger->limits_count; i++) {
    const struct weir_ledger_limit *kept = &ledger->limits[i];
    const bool is_requests = kept->dimension == WEIR_DIMENSION_REQUESTS;
    uint64_t *limit = is_requests ? &grant->requests_limit : &grant->tokens_limit;
    uint64_t *left = is_requests ? &grant->requests_left : &grant->tokens_left;
    uint64_t used, effective;

    if (kept->is_shadow || (!is_requests && kept->dimension != WEIR_DIMENSION_INPUT_TOKENS &&
                            kept->dimension != WEIR_DIMENSION_TOTAL_TOKENS))
      continue;
    used = weir_ledger_used(ledger, i, now);
    effective = kept->effective; /* of now, after the use was */
    if (*limit > 0 && (effective > used ? effective - used : 0) >= *left)
      continue;
    *limit = effective;
    *left = effective > used ? effective - used : 0;
  }
}

void weir_lease_send(struct weir_coord *c, struct weir_turn *turn, const struct weir_held *lease)
{
  struct weir_session *s = &c->sessions[lease->session];
  const weir_tstamp end = lease->entry.start + lease->ttl_us;
  const struct weir_ratio *ratio;
  struct weir_msg_grant *grant;

  /* A replay of a lease whose time is over cannot be used: the shim asks anew. */
  if (end <= turn->now) {
    struct weir_msg_deny *deny = &weir_session_send(turn, s, WEIR_MSG_DENY)->deny;

    memset(deny, 0, sizeof(*deny));
    deny->seq = lease->seq;
    deny->why = WEIR_DENIAL_FINISHED;
    c->counters[WEIR_COUNTER_DENIED]++;
    return;
  }
  grant = &weir_session_send(turn, s, WEIR_MSG_GRANT)->grant;
  grant->seq = lease->seq;
  grant->start_in_us = weir_time_sub(lease->entry.start, turn->now);
  grant->ttl_us = end - turn->now - grant->start_in_us;
  grant->since_us = turn->now - s->mark_at;
  memcpy(grant->pool, c->pools[lease->pool].config.name, sizeof(grant->pool));
  memcpy(grant->model, lease->model, sizeof(grant->model));
  grant->is_reported = is_reported(c, lease);
  grant->is_probe = lease->pass.probe > 0;
  grant->choice = lease->choice;
  grant->choices = lease->choices;
  grant->timeout_us = lease->timeout_us;
  ratio = weir_caller_ratio(c, lease);
  grant->ratio_pm = weir_ratio_pm(ratio);
  grant->ratio_error_pm = weir_ratio_error_pm(ratio);
  grant->without = c->pools[lease->pool].config.without;
  if (grant->without == WEIR_WITHOUT_WAIT)
    grant->without = 0; /* as ever: not worth its bytes */
  tell_left(&c->pools[lease->pool].ledger, &turn->instant, grant);
  weir_islands_offer(turn, s, &c->pools[lease->pool]);
}

/* What came back may be what others wait for. */
static void look_around(struct weir_coord *c, const struct weir_held *lease, weir_tstamp now)
{
  struct weir_pool *pool = &c->pools[lease->pool];

  for (uint32_t i = 1; i < lease->books_count; i++)
    weir_line_look(c, lease->budgets[i], now);
  if (weir_pool_has_waiting(pool))
    weir_timer_set(&c->pool_timers, &pool->timer, now);
}

/* Makes |lease| what |after| says, in all of its ledgers and in its tenant's share. */
static void replace(struct weir_coord *c, struct weir_turn *turn, struct weir_held *lease,
                    const struct weir_ledger_entry *after)
{
  struct weir_books books;
  uint64_t charged;

  weir_standing_end(c, lease);
  weir_books_of_lease(c, lease, &books);
  for (uint32_t i = 0; i < books.count; i++)
    weir_ledger_settle(books.ledgers[i], &lease->entry, after, &turn->instant, &lease->both[i]);
  weir_keep_note(c, &books, lease->pool, turn->now);
  lease->entry = *after;
  charged = weir_fair_correct(&c->fair, lease->tenant, lease->charged,
                              after->is_void ? 0 : weir_books_pace_us(&books, &after->cost));
  weir_tenant_spend(c, lease->tenant, lease->charged, charged, turn->now);
  lease->charged = charged;
}

static void release(struct weir_coord *c, struct weir_turn *turn, struct weir_held *lease)
{
  struct weir_session *s = &c->sessions[lease->session];

  for (uint32_t i = 1; i < lease->books_count; i++)
    c->budgets[lease->budgets[i]].leases_count--;
  weir_table_remove(&c->calls, weir_call_key(lease->session, lease->seq));
  weir_pq_remove(&c->lease_timers, &lease->timer);
  lease->free_next = c->leases_free;
  c->leases_free = index_of(c, lease);
  c->pools[lease->pool].leases_count--;
  weir_fair_drop(&c->fair, lease->tenant);
  s->leases_count--;
  weir_session_release(c, s);
  if (c->is_starved)
    weir_serve_unstarve(c, turn->now);
}

/* Charged in full, but no longer in flight. */
void weir_lease_lose(struct weir_coord *c, struct weir_turn *turn, struct weir_held *lease)
{
  struct weir_ledger_entry after = lease->entry;

  after.is_open = false;
  replace(c, turn, lease, &after);
  c->counters[WEIR_COUNTER_LOST]++;
  look_around(c, lease, turn->now);
  release(c, turn, lease);
}

/* What upstream said about the pool's quota. Budgets over several pools are not told: none of them
 * would know which of its pools it was about. */
static void hear(struct weir_coord *c, struct weir_turn *turn, const struct weir_held *lease,
                 const struct weir_msg_settle *settle)
{
  struct weir_pool *pool = &c->pools[lease->pool];
  const enum weir_heard heard =
      weir_ledger_hear(&pool->ledger, &lease->entry, settle, &turn->instant);

  c->counters[WEIR_COUNTER_FALLBACKS] += heard == WEIR_HEARD_FALLBACK;
  c->counters[WEIR_COUNTER_CUTS] += heard == WEIR_HEARD_CUT;
  if (!weir_outcome_is_quota(settle->outcome))
    return;
  pool->rejected_429++;
  pool->rejected_foreign += weir_ledger_is_cut(&pool->ledger);
  c->counters[WEIR_COUNTER_REJECTED_429]++;
  if (settle->outcome == WEIR_OUTCOME_QUOTA_DAY_REQUESTS ||
      settle->outcome == WEIR_OUTCOME_QUOTA_DAY_TOKENS)
    weir_breakers_used_up(c, pool, turn->now);
}

/* The lease as |settle| tells it. */
static struct weir_ledger_entry settled(struct weir_coord *c, const struct weir_held *lease,
                                        const struct weir_msg_settle *settle, weir_tstamp now)
{
  const struct weir_pool *pool = &c->pools[lease->pool];
  struct weir_ledger_entry after = lease->entry;
  struct weir_books books;

  if (!settle->is_sent) {
    after.is_void = true;
    after.is_open = false;
    return after;
  }
  weir_books_of_lease(c, lease, &books);
  weir_ledger_narrow(&after, weir_time_add(weir_time_sub(now, settle->sent_ago_us),
                                           pool->config.jitter_us + weir_books_widen_us(&books)));
  if (settle->has_usage) {
    after.cost.input_tokens = settle->input_tokens;
    after.cost.output_tokens = settle->output_tokens;
    after.cost.spend = weir_price_of(&pool->config, &after.cost);
    after.is_known = true;
  }
  after.is_open = !settle->is_final;
  return after;
}

static void today_add(struct weir_today *today, const struct weir_limit_config *limits,
                      uint32_t count, uint64_t spend, const struct weir_instant *now)
{
  weir_tstamp ends_at;

  if (spend == 0)
    return;
  weir_today_turn(today, weir_today_limit(limits, count), now->calendar, now->at, &ends_at);
  weir_today_add(today, spend);
}

static void count_use(struct weir_coord *c, const struct weir_held *lease,
                      const struct weir_instant *now)
{
  struct weir_pool *pool = &c->pools[lease->pool];
  const struct weir_cost *cost = &lease->entry.cost;

  pool->input_tokens += cost->input_tokens;
  pool->output_tokens += cost->output_tokens;
  pool->spend += cost->spend;
  today_add(&pool->today, pool->config.limits, pool->config.limits_count, cost->spend, now);
  for (uint32_t i = 1; i < lease->books_count; i++) {
    struct weir_budget *budget = &c->budgets[lease->budgets[i]];

    today_add(&budget->today, budget->config.limits, budget->config.limits_count, cost->spend, now);
  }
}

/* Keeps what is told of a slow call, in numbers. */
static void slow_note(struct weir_coord *c, const struct weir_held *lease,
                      const struct weir_msg_settle *settle, weir_tstamp now)
{
  struct weir_slow_call call = {.ended_at = now,
                                .waited_us = lease->waited_ms * (weir_duration)WEIR_US_PER_MS,
                                .took_us = settle->latency_us,
                                .outcome = settle->outcome,
                                .http = settle->http};

  if (!weir_slow_is_one(&c->slow, call.waited_us + call.took_us, now))
    return;
  if (settle->has_usage) {
    call.input_tokens = settle->input_tokens;
    call.output_tokens = settle->output_tokens;
  }
  memcpy(call.instance, c->sessions[lease->session].instance, sizeof(call.instance));
  memcpy(call.pool, c->pools[lease->pool].config.name, sizeof(call.pool));
  weir_slow_note(&c->slow, &call);
}

/* What the end of a call teaches of others like it. */
static void learn(struct weir_coord *c, const struct weir_held *lease,
                  const struct weir_msg_settle *settle, weir_tstamp now)
{
  struct weir_pool *pool = &c->pools[lease->pool];

  weir_callers_hear(c, lease, settle);
  if (settle->latency_us > 0)
    slow_note(c, lease, settle, now);
  if (settle->outcome != WEIR_OUTCOME_OK || settle->latency_us == 0)
    return;
  weir_latency_learn(&pool->latency, settle->latency_us);
  pool->latency_at = now;
}

void weir_lease_settle(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                       const struct weir_msg_settle *settle)
{
  const bool was_starved = c->is_starved;
  struct weir_ledger_entry after;
  struct weir_held *lease;
  struct weir_pool *pool;
  uint32_t call;

  if (settle->island[0] != '\0') {
    weir_islands_settled(c, s, settle);
    return;
  }
  if (!weir_table_find(&c->calls, weir_call_key((uint32_t)(s - c->sessions), settle->seq), &call) ||
      !(call & WEIR_CALL_LEASE)) {
    c->counters[WEIR_COUNTER_SETTLED_LATE]++;
    return;
  }
  lease = &c->leases[call & ~WEIR_CALL_LEASE];
  pool = &c->pools[lease->pool];
  if (settle->is_sent)
    hear(c, turn, lease, settle);
  after = settled(c, lease, settle, turn->now);
  replace(c, turn, lease, &after);
  weir_breakers_hear(c, lease, settle, turn->now);
  look_around(c, lease, turn->now);
  if (!after.is_open) {
    /* One ahead of need was asked as large as calls may be: that is no estimate of this call. */
    if (after.is_known && !after.is_void && !lease->is_standing)
      weir_bias_learn(&pool->bias, &after.reserve, &after.cost);
    if (after.is_known && !after.is_void)
      count_use(c, lease, &turn->instant);
    if (settle->is_sent)
      learn(c, lease, settle, turn->now);
    c->counters[settle->is_sent ? WEIR_COUNTER_SETTLED : WEIR_COUNTER_SETTLED_UNUSED]++;
    release(c, turn, lease);
  }
  if (!was_starved && pool->state == WEIR_POOL_OPEN) /* else who waited longer goes first */
    weir_serve_pool(c, turn, pool);
}
