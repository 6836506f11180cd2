/* session.c - who talks. A session is one instance's conversation with one epoch of the
 * coordinator; the record outlives the conversation while leases of the instance are out. */
#include "machine.h"

#include <assert.h>
#include <string.h>

static uint32_t index_of(const struct weir_coord *c, const struct weir_session *s)
{
  return (uint32_t)(s - c->sessions);
}

/* Instances are random, so their first bytes make the key; the caller compares the rest. */
static uint64_t instance_key(const uint8_t *instance)
{
  uint64_t key;

  memcpy(&key, instance, sizeof(key));
  return key;
}

struct weir_msg *weir_session_send(struct weir_turn *turn, const struct weir_session *s,
                                   enum weir_msg_type type)
{
  struct weir_msg *msg = weir_turn_send(turn, s->route, type);

  msg->session = s->token;
  msg->mark = s->mark;
  return msg;
}

void weir_session_refuse(struct weir_coord *c, struct weir_turn *turn, uint64_t token,
                         enum weir_refusal why)
{
  struct weir_msg *msg = weir_turn_send(turn, turn->route, WEIR_MSG_REFUSE);

  msg->session = token;
  msg->refuse.why = why;
  msg->refuse.retry_in_us = why == WEIR_REFUSAL_FULL ? c->session_ttl_us : 0;
  c->counters[WEIR_COUNTER_REFUSED]++;
}

static void heard(struct weir_session *s, const struct weir_msg *msg, const struct weir_turn *turn)
{
  s->heard_at = turn->now;
  memcpy(s->tenant, turn->peer->tenant, sizeof(s->tenant)); /* its key may be another one's now */
  if (msg->mark > s->mark) {
    s->mark = msg->mark;
    s->mark_at = turn->now;
  }
}

struct weir_session *weir_session_find(struct weir_coord *c, struct weir_turn *turn,
                                       const struct weir_msg *msg)
{
  uint32_t index;

  /* The token names the session, the route proves the connection: routes are dealt by the
   * transport and cannot be claimed by another peer. */
  if (weir_table_find(&c->by_token, msg->session, &index) &&
      c->sessions[index].route == turn->route) {
    struct weir_session *s = &c->sessions[index];
    const bool is_allowed = (turn->peer->rights & WEIR_RIGHT_ASK) != 0;

    if (is_allowed && !turn->peer->is_torn) {
      heard(s, msg, turn);
      return s;
    }
    /* A key that was revoked, or what must not be taken for whole: PROTOCOL.md, section 1. */
    weir_session_end(c, turn, s);
    weir_session_refuse(c, turn, msg->session,
                        is_allowed ? WEIR_REFUSAL_SESSION : WEIR_REFUSAL_FORBIDDEN);
    return NULL;
  }
  weir_session_refuse(c, turn, msg->session, WEIR_REFUSAL_SESSION);
  return NULL;
}

static struct weir_session *record_find(struct weir_coord *c, const uint8_t *instance)
{
  uint32_t index;

  if (!weir_table_find(&c->by_instance, instance_key(instance), &index))
    return NULL;
  return &c->sessions[index];
}

static struct weir_session *record_new(struct weir_coord *c, const uint8_t *instance)
{
  struct weir_session *s;
  enum weir_err err;

  assert(c->sessions != NULL);
  if (c->sessions_free == WEIR_NONE)
    return NULL;
  s = &c->sessions[c->sessions_free];
  c->sessions_free = s->free_next;
  memset(s, 0, sizeof(*s));
  memcpy(s->instance, instance, sizeof(s->instance));
  s->asks = (struct weir_list){WEIR_NONE, WEIR_NONE, 0};
  err = weir_table_put(&c->by_instance, instance_key(instance), index_of(c, s));
  assert(err == WEIR_OK);
  (void)err;
  return s;
}

/* ---- sessions of one key ---- */

static uint32_t peer_sessions(const struct weir_coord *c, uint64_t id)
{
  uint32_t count = 0;

  weir_table_find(&c->by_peer, id, &count);
  return count;
}

static void peer_count(struct weir_coord *c, uint64_t id, uint32_t count)
{
  enum weir_err err = WEIR_OK;

  if (count == 0)
    weir_table_remove(&c->by_peer, id);
  else
    err = weir_table_put(&c->by_peer, id, count);
  assert(err == WEIR_OK); /* no more ids than open sessions */
  (void)err;
}

static bool peer_has_room(const struct weir_coord *c, const struct weir_coord_peer *peer)
{
  return peer->id == 0 || peer->sessions_max == 0 ||
         peer_sessions(c, peer->id) < peer->sessions_max;
}

static void open_token(struct weir_coord *c, struct weir_session *s)
{
  enum weir_err err;

  if (s->state == WEIR_SESSION_OPEN) {
    weir_table_remove(&c->by_token, s->token);
  } else {
    c->sessions_open++;
    peer_count(c, s->peer, peer_sessions(c, s->peer) + 1);
  }
  do
    s->token = weir_rng_next(&c->rng);
  while (s->token == 0 || weir_table_find(&c->by_token, s->token, NULL));
  err = weir_table_put(&c->by_token, s->token, index_of(c, s));
  assert(err == WEIR_OK);
  (void)err;
  s->state = WEIR_SESSION_OPEN;
  s->mark = 0; /* marks count within a session: an echo of an older one would mean nothing */
  c->counters[WEIR_COUNTER_SESSIONS_OPENED]++;
}

static void welcome(struct weir_coord *c, struct weir_turn *turn, const struct weir_session *s)
{
  static const char version[] = "weir-coordinator " WEIR_VERSION;
  struct weir_msg *msg = weir_session_send(turn, s, WEIR_MSG_WELCOME);

  msg->welcome.epoch = c->epoch;
  msg->welcome.version = WEIR_PROTOCOL_VERSION;
  msg->welcome.heartbeat_us = c->heartbeat_us;
  msg->welcome.session_ttl_us = c->session_ttl_us;
  msg->welcome.asks_max = c->session_asks_max;
  memcpy(msg->welcome.coordinator, version, sizeof(version));
}

void weir_session_hello(struct weir_coord *c, struct weir_turn *turn, const struct weir_msg *msg)
{
  const struct weir_msg_hello *hello = &msg->hello;
  struct weir_session *s = record_find(c, hello->instance);

  if (hello->version_min > WEIR_PROTOCOL_VERSION ||
      hello->version_max < WEIR_PROTOCOL_VERSION_MIN) {
    weir_session_refuse(c, turn, 0, WEIR_REFUSAL_VERSION);
    return;
  }
  if (s && (memcmp(s->instance, hello->instance, WEIR_INSTANCE_SIZE) != 0 ||
            hello->incarnation < s->incarnation)) {
    weir_session_refuse(c, turn, 0, WEIR_REFUSAL_STALE);
    return;
  }
  /* An instance is its key's: another one that knows its number does not get its leases. */
  if (s && s->peer != turn->peer->id) {
    weir_session_refuse(c, turn, 0, WEIR_REFUSAL_FORBIDDEN);
    return;
  }
  if ((!s || s->state != WEIR_SESSION_OPEN) && !peer_has_room(c, turn->peer)) {
    weir_session_refuse(c, turn, 0, WEIR_REFUSAL_FULL);
    return;
  }
  if (!s)
    s = record_new(c, hello->instance);
  if (!s) {
    weir_session_refuse(c, turn, 0, WEIR_REFUSAL_FULL);
    return;
  }
  s->peer = turn->peer->id;
  /* The same HELLO again (its WELCOME was lost) keeps the session; a new one replaces it, and what
   * the instance has waiting keeps its place. */
  if (s->state != WEIR_SESSION_OPEN || hello->incarnation > s->incarnation)
    open_token(c, s);
  s->incarnation = hello->incarnation;
  s->route = turn->route;
  heard(s, msg, turn);
  s->ttl_us = c->session_ttl_us; /* a reload changes it for those who hear of it */
  weir_timer_set(&c->session_timers, &s->timer, weir_time_add(turn->now, s->ttl_us));
  s->takes_islands = hello->takes_islands;
  s->islands_at = 0;
  welcome(c, turn, s);
  weir_tell_welcome(c, turn, s);
  weir_islands_renew(c, turn, s);
}

void weir_session_ping(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s)
{
  weir_session_send(turn, s, WEIR_MSG_PONG)->pong.epoch = c->epoch;
  weir_islands_renew(c, turn, s);
}

void weir_session_release(struct weir_coord *c, struct weir_session *s)
{
  if (s->state != WEIR_SESSION_GONE || s->leases_count > 0)
    return;
  weir_table_remove(&c->by_instance, instance_key(s->instance));
  s->state = WEIR_SESSION_FREE;
  s->free_next = c->sessions_free;
  c->sessions_free = index_of(c, s);
}

void weir_session_end(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s)
{
  assert(s->state == WEIR_SESSION_OPEN);
  while (s->asks.first != WEIR_NONE) {
    struct weir_waiting *ask = &c->asks[s->asks.first];

    /* The place of a vanished ask may free its pool's queue for others. */
    weir_timer_set(&c->pool_timers, &c->pools[weir_tenant_pool(c, ask->tenant)].timer, turn->now);
    weir_session_seq_forget(s, ask->seq);
    weir_queue_drop(c, ask, turn->now);
  }
  weir_table_remove(&c->by_token, s->token);
  weir_pq_remove(&c->session_timers, &s->timer);
  s->state = WEIR_SESSION_GONE;
  c->sessions_open--;
  peer_count(c, s->peer, peer_sessions(c, s->peer) - 1);
  weir_session_release(c, s);
}

void weir_session_timeout(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s)
{
  weir_tstamp ends_at = weir_time_add(s->heard_at, s->ttl_us);

  if (ends_at > turn->now) {
    weir_timer_set(&c->session_timers, &s->timer, ends_at);
    return;
  }
  c->counters[WEIR_COUNTER_SESSIONS_LOST]++;
  weir_session_end(c, turn, s);
}

bool weir_session_seq_is_new(const struct weir_session *s, uint64_t seq)
{
  if (seq > s->seq_top)
    return true;
  if (s->seq_top - seq >= WEIR_SEQ_WINDOW)
    return false;
  return (s->seq_seen[seq / 64 % (WEIR_SEQ_WINDOW / 64)] >> (seq % 64) & 1) == 0;
}

void weir_session_seq_note(struct weir_session *s, uint64_t seq)
{
  if (seq > s->seq_top) {
    if (seq - s->seq_top >= WEIR_SEQ_WINDOW) {
      memset(s->seq_seen, 0, sizeof(s->seq_seen));
    } else {
      for (uint64_t skipped = s->seq_top + 1; skipped < seq; skipped++)
        s->seq_seen[skipped / 64 % (WEIR_SEQ_WINDOW / 64)] &= ~(UINT64_C(1) << (skipped % 64));
    }
    s->seq_top = seq;
  }
  s->seq_seen[seq / 64 % (WEIR_SEQ_WINDOW / 64)] |= UINT64_C(1) << (seq % 64);
}

void weir_session_seq_forget(struct weir_session *s, uint64_t seq)
{
  if (s->seq_top - seq < WEIR_SEQ_WINDOW)
    s->seq_seen[seq / 64 % (WEIR_SEQ_WINDOW / 64)] &= ~(UINT64_C(1) << (seq % 64));
}
