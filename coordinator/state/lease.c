/* lease.c - who holds. A lease is charged from its grant on; settling it gives back what it did not
 * use, and a lease that is never settled stays charged until nothing of it can arrive any more. */
#include "machine.h"

#include <assert.h>
#include <string.h>

/* A rejection without a stated wait holds the pool this long, and no statement holds it longer. */
#define FREEZE_DEFAULT_US (5 * WEIR_US_PER_S)
#define FREEZE_MAX_US     (2 * WEIR_US_PER_MIN)

static uint32_t index_of(const struct weir_coord *c, const struct weir_held *lease)
{
  return (uint32_t)(lease - c->leases);
}

struct weir_held *weir_lease_take(struct weir_coord *c, struct weir_turn *turn,
                                  struct weir_waiting *ask, weir_tstamp start)
{
  const struct weir_waiting taken = *ask;
  struct weir_held *lease = &c->leases[c->leases_free];
  struct weir_pool *pool = &c->pools[taken.pool];
  enum weir_err err;

  /* The ask leaves the table of calls before its lease enters: one number, one entry. */
  weir_queue_drop(c, ask);
  c->leases_free = lease->free_next;
  lease->session = taken.session;
  lease->pool = taken.pool;
  lease->seq = taken.seq;
  lease->class = taken.class;
  lease->ttl_us = pool->config.ttl_us;
  memcpy(lease->model, taken.model, sizeof(lease->model));
  weir_ledger_take(&pool->ledger, &taken.cost, start, turn->now, &lease->entry);
  err = weir_table_put(&c->calls, weir_call_key(taken.session, taken.seq),
                       index_of(c, lease) | WEIR_CALL_LEASE);
  assert(err == WEIR_OK);
  (void)err;
  weir_timer_set(&c->lease_timers, &lease->timer,
                 weir_time_add(lease->entry.arrival_max, WEIR_COORD_SETTLE_GRACE_US));
  c->sessions[taken.session].leases_count++;
  pool->leases_count++;
  pool->grants++;
  c->counters[WEIR_COUNTER_GRANTS]++;
  if (lease->entry.arrival_max > c->arrival_max)
    c->arrival_max = lease->entry.arrival_max;
  return lease;
}

void weir_lease_send(struct weir_coord *c, struct weir_turn *turn, const struct weir_held *lease)
{
  const struct weir_session *s = &c->sessions[lease->session];
  const weir_tstamp end = lease->entry.start + lease->ttl_us;
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
}

static void release(struct weir_coord *c, struct weir_turn *turn, struct weir_held *lease)
{
  struct weir_pool *pool = &c->pools[lease->pool];
  struct weir_session *s = &c->sessions[lease->session];

  weir_table_remove(&c->calls, weir_call_key(lease->session, lease->seq));
  weir_pq_remove(&c->lease_timers, &lease->timer);
  lease->free_next = c->leases_free;
  c->leases_free = index_of(c, lease);
  pool->leases_count--;
  s->leases_count--;
  weir_session_release(c, s);
  if (c->is_starved)
    weir_queue_unstarve(c, turn->now);
}

void weir_lease_lose(struct weir_coord *c, struct weir_turn *turn, struct weir_held *lease)
{
  c->counters[WEIR_COUNTER_LOST]++;
  release(c, turn, lease);
}

/* What upstream said about the whole pool: nobody starts before the stated wait is over. */
static void hear(struct weir_coord *c, struct weir_pool *pool, const struct weir_msg_settle *settle,
                 weir_tstamp now)
{
  weir_duration wait = settle->retry_after_us ? settle->retry_after_us : FREEZE_DEFAULT_US;
  weir_tstamp until = weir_time_add(now, wait < FREEZE_MAX_US ? wait : FREEZE_MAX_US);

  if (!weir_outcome_is_quota(settle->outcome))
    return;
  pool->rejected_429++;
  c->counters[WEIR_COUNTER_REJECTED_429]++;
  if (until > pool->frozen_until)
    pool->frozen_until = until;
}

void weir_lease_settle(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                       const struct weir_msg_settle *settle)
{
  const weir_tstamp now = turn->now;
  const bool was_starved = c->is_starved;
  struct weir_cost actual = {0};
  struct weir_held *lease;
  struct weir_pool *pool;
  weir_tstamp arrival_max = 0;
  uint32_t call;

  if (!weir_table_find(&c->calls, weir_call_key((uint32_t)(s - c->sessions), settle->seq), &call) ||
      !(call & WEIR_CALL_LEASE)) {
    c->counters[WEIR_COUNTER_SETTLED_LATE]++;
    return;
  }
  lease = &c->leases[call & ~WEIR_CALL_LEASE];
  pool = &c->pools[lease->pool];
  if (settle->is_sent) {
    actual = lease->entry.cost;
    if (settle->has_usage) {
      actual.input_tokens = settle->input_tokens;
      actual.output_tokens = settle->output_tokens;
    }
    arrival_max = weir_time_add(weir_time_sub(now, settle->sent_ago_us), pool->config.jitter_us);
    hear(c, pool, settle, now);
  }
  weir_ledger_settle(&pool->ledger, &lease->entry, &actual, arrival_max, now);
  if (settle->is_final || !settle->is_sent) {
    c->counters[settle->is_sent ? WEIR_COUNTER_SETTLED : WEIR_COUNTER_SETTLED_UNUSED]++;
    release(c, turn, lease);
  }
  if (was_starved) /* the pools that waited longer for the place of a lease go first */
    weir_timer_set(&c->pool_timers, &pool->timer, now);
  else if (pool->state == WEIR_POOL_OPEN)
    weir_queue_serve(c, turn, pool);
}
