#include "client_machine.h"

#include <assert.h>
#include <string.h>

#include <weir/hash.h>

/* ---- storage: one block, laid out once ---- */

static void *place(uint8_t *base, size_t *size, size_t part)
{
  void *at = base ? base + *size : NULL;

  *size += (part + 15) & ~(size_t)15;
  return at;
}

struct parts {
  struct weir_client *client;
  struct weir_client_mark *marks;
  struct weir_pq_node **heap;
  void *by_cookie, *by_seq;
  struct weir_call *calls;
  struct weir_settlement_kept *settlements;
};

/* Callers' calls, and what stands for all wallets together. */
static uint32_t records_of(const struct weir_client_config *config)
{
  return config->calls_max + WEIR_CLIENT_WALLETS * config->wallet_max;
}

static size_t lay_out(uint8_t *base, const struct weir_client_config *config, struct parts *p)
{
  size_t size = 0;

  p->client = place(base, &size, sizeof(struct weir_client));
  p->marks = place(base, &size, WEIR_CLIENT_MARKS * sizeof(struct weir_client_mark));
  p->heap = place(base, &size, records_of(config) * sizeof(struct weir_pq_node *));
  p->by_cookie = place(base, &size, weir_table_size(config->calls_max));
  p->by_seq = place(base, &size, weir_table_size(records_of(config)));
  p->calls = place(base, &size, records_of(config) * sizeof(struct weir_call));
  p->settlements =
      place(base, &size, config->settlements_max * sizeof(struct weir_settlement_kept));
  return size;
}

size_t weir_client_size(const struct weir_client_config *config)
{
  struct parts parts;

  return lay_out(NULL, config, &parts);
}

struct weir_client *weir_client_init(void *storage, const struct weir_client_config *config)
{
  static const struct weir_call_list empty = {WEIR_CLIENT_NONE, WEIR_CLIENT_NONE, WEIR_CLIENT_NONE,
                                              0};
  struct parts p;
  struct weir_client *c;

  assert(config->calls_max > 0 && config->settlements_max > 0);
  assert(config->wallet_max <= WEIR_CLIENT_WALLET_MAX);
  lay_out(storage, config, &p);
  c = p.client;
  memset(c, 0, sizeof(*c));
  c->config = *config;
  c->state = WEIR_CLIENT_DOWN;
  c->island_at = WEIR_NEVER;
  weir_rng_init(&c->rng, config->seed);
  c->marks = p.marks;
  memset(c->marks, 0, WEIR_CLIENT_MARKS * sizeof(*c->marks));
  c->calls = p.calls;
  c->settlements = p.settlements;
  c->calls_free = WEIR_CLIENT_NONE;
  c->asked = c->withdrawn = c->interim = empty;
  for (int class = 0; class < WEIR_CLASS_MAX; class ++)
    c->waiting[class] = empty;
  weir_table_init(&c->by_cookie, p.by_cookie, config->calls_max);
  for (uint32_t i = 0; i < WEIR_CLIENT_WALLETS; i++)
    c->wallets[i].held = empty;
  weir_table_init(&c->by_seq, p.by_seq, records_of(config));
  weir_pq_init(&c->timers, p.heap, records_of(config));
  return c;
}

/* ---- the session ---- */

static void connect_at(struct weir_client *c, weir_tstamp at)
{
  c->state = WEIR_CLIENT_CONNECTING;
  c->token = 0;
  c->incarnation++;
  c->hello_mark = 0;
  c->hello_at = at;
}

static void on_link(struct weir_client *c, const struct weir_client_event *event)
{
  if (c->is_closing) {
    c->state = WEIR_CLIENT_CLOSED;
  } else if (event->is_up) {
    connect_at(c, event->now);
  } else {
    c->state = event->is_refused ? WEIR_CLIENT_REFUSED : WEIR_CLIENT_DOWN;
    c->refusal = event->is_refused ? WEIR_REFUSAL_FORBIDDEN : c->refusal;
    c->token = 0;
  }
}

static void on_welcome(struct weir_client *c, const struct weir_msg *msg, weir_tstamp now)
{
  const struct weir_msg_welcome *welcome = &msg->welcome;
  weir_duration patience;

  /* A WELCOME that answers an earlier HELLO names a session that is no more. */
  if (c->state != WEIR_CLIENT_CONNECTING || c->hello_mark == 0 || msg->mark < c->hello_mark ||
      msg->session == 0)
    return;
  c->state = WEIR_CLIENT_OPEN;
  c->token = msg->session;
  c->sessions++;
  c->epoch = welcome->epoch;
  c->credit = welcome->asks_max < WEIR_SEQ_WINDOW / 2 ? welcome->asks_max : WEIR_SEQ_WINDOW / 2;
  c->refusal = 0;
  c->heartbeat_us = welcome->heartbeat_us;
  /* Each heartbeat is answered: two that are not, and a bit, is silence. */
  patience = weir_time_add(weir_time_add(c->heartbeat_us, c->heartbeat_us), c->heartbeat_us / 2);
  c->patience_us = patience < welcome->session_ttl_us ? patience : welcome->session_ttl_us;
  c->ping_at = weir_time_add(now, c->heartbeat_us);
  weir_call_unsend(c);
  weir_wallet_forget(c);
}

static void on_refuse(struct weir_client *c, const struct weir_msg *msg, weir_tstamp now)
{
  const weir_duration spread = WEIR_CLIENT_HELLO_MAX_US - WEIR_CLIENT_HELLO_MIN_US;

  /* Refused is a message of the session that is open, or a HELLO, which has none. */
  if (msg->session != c->token ||
      (c->state != WEIR_CLIENT_OPEN && c->state != WEIR_CLIENT_CONNECTING))
    return;
  c->refusal = msg->refuse.why;
  switch (msg->refuse.why) {
  case WEIR_REFUSAL_SESSION:
    if (c->state == WEIR_CLIENT_OPEN)
      connect_at(c, now);
    break;
  case WEIR_REFUSAL_FULL:
    c->hello_at =
        weir_time_add(now, weir_time_add(msg->refuse.retry_in_us, weir_rng_below(&c->rng, spread)));
    break;
  case WEIR_REFUSAL_VERSION:
  case WEIR_REFUSAL_STALE:
  case WEIR_REFUSAL_FORBIDDEN:
  case WEIR_REFUSAL_MAX:
  default:
    c->state = WEIR_CLIENT_REFUSED;
    c->token = 0;
  }
}

static void on_received(struct weir_client *c, const struct weir_client_event *event,
                        struct weir_client_update *update)
{
  const struct weir_msg *msg = event->msg;

  if (msg->type == WEIR_MSG_WELCOME)
    on_welcome(c, msg, event->now);
  else if (msg->type == WEIR_MSG_REFUSE)
    on_refuse(c, msg, event->now);
  /* What an earlier session still says was lost for this one, and is said again. */
  if (c->state != WEIR_CLIENT_OPEN || msg->session != c->token)
    return;
  c->silent_at = weir_time_add(event->now, c->patience_us);
  weir_call_acknowledge(c, msg->mark);
  if (c->is_closing)
    return;
  if (msg->type == WEIR_MSG_GRANT)
    weir_call_granted(c, msg, event->now);
  else if (msg->type == WEIR_MSG_QUEUED)
    weir_call_queued(c, &msg->queued, event->now);
  else if (msg->type == WEIR_MSG_DENY)
    weir_call_denied(c, &msg->deny, event->now, update);
  else if (msg->type == WEIR_MSG_STATE)
    weir_wallet_state(c, &msg->state, event->now);
  else if (msg->type == WEIR_MSG_ISLAND)
    weir_island_told(c, msg, event->now);
}

static void on_close(struct weir_client *c)
{
  c->is_closing = true;
  weir_call_release(c);
  if (c->state != WEIR_CLIENT_OPEN)
    c->state = WEIR_CLIENT_CLOSED;
}

static enum weir_err dispatch(struct weir_client *c, const struct weir_client_event *event,
                              struct weir_client_update *update)
{
  switch (event->type) {
  case WEIR_CLIENT_LINK:
    on_link(c, event);
    return WEIR_OK;
  case WEIR_CLIENT_RECEIVED:
    on_received(c, event, update);
    return WEIR_OK;
  case WEIR_CLIENT_UNSENT:
    if (c->state == WEIR_CLIENT_OPEN)
      connect_at(c, weir_time_add(event->now, WEIR_CLIENT_HELLO_MIN_US));
    return WEIR_OK;
  case WEIR_CLIENT_ASK:
    return weir_call_open(c, event);
  case WEIR_CLIENT_CANCEL:
    return weir_call_cancel(c, event, update);
  case WEIR_CLIENT_SETTLE:
    return weir_call_settle(c, event);
  case WEIR_CLIENT_CLOSE:
    on_close(c);
    return WEIR_OK;
  case WEIR_CLIENT_TIMEOUT:
    return WEIR_OK;
  }
  assert(false);
  return WEIR_EINVAL;
}

enum weir_err weir_client_step(struct weir_client *c, const struct weir_client_event *event,
                               struct weir_client_update *update)
{
  const bool was_open = c->state == WEIR_CLIENT_OPEN;
  enum weir_err err;

  assert(update->messages_max <= WEIR_CLIENT_MESSAGES_MAX);
  update->messages_count = update->results_count = 0;
  err = dispatch(c, event, update);
  /* After the event: a message that has just come breaks the silence. */
  if (c->state == WEIR_CLIENT_OPEN && event->now >= c->silent_at)
    connect_at(c, event->now);
  if (c->state != WEIR_CLIENT_OPEN)
    weir_wallet_withdraw(c);
  if (was_open && c->state != WEIR_CLIENT_OPEN) {
    c->island_at = event->now;
    c->away_at = weir_time_add(event->now, WEIR_CLIENT_AWAY_US);
  }
  weir_island_serve(c, event->now);
  if (!c->is_closing)
    weir_call_due(c, event->now, update);
  weir_send_fill(c, event->now, update);
  update->wake = weir_client_wake(c);
  return err;
}

weir_tstamp weir_client_wake(const struct weir_client *c)
{
  weir_tstamp wake = WEIR_NEVER;

  if (c->state == WEIR_CLIENT_CLOSED)
    return WEIR_NEVER;
  if (weir_send_is_pending(c))
    return 0;
  if (c->state == WEIR_CLIENT_REFUSED &&
      c->asked.count + c->waiting[WEIR_CLASS_ONLINE].count + c->waiting[WEIR_CLASS_BATCH].count > 0)
    return 0;
  wake = weir_pq_wake(&c->timers);
  if (c->state == WEIR_CLIENT_CONNECTING && c->hello_at < wake)
    wake = c->hello_at;
  if ((c->state == WEIR_CLIENT_CONNECTING || c->state == WEIR_CLIENT_DOWN) && !c->is_closing &&
      c->island_at < wake)
    wake = c->island_at;
  if (c->state == WEIR_CLIENT_OPEN && c->ping_at < wake)
    wake = c->ping_at;
  if (c->state == WEIR_CLIENT_OPEN && c->silent_at < wake)
    wake = c->silent_at;
  return wake;
}

/* ---- for people and tests ---- */

void weir_client_show(const struct weir_client *c, struct weir_client_status *ret_status)
{
  ret_status->state = c->state;
  ret_status->refusal = c->refusal;
  ret_status->epoch = c->epoch;
  ret_status->sessions = c->sessions;
  ret_status->settlements_dropped = c->settlements_dropped;
  ret_status->calls = c->calls_count - c->standing_count;
  ret_status->settlements = (uint32_t)(c->settlements_tail - c->settlements_head);
  ret_status->standing = 0;
  for (uint32_t i = 0; i < c->wallets_count; i++)
    ret_status->standing += c->wallets[i].held.count;
  ret_status->claims = c->claims;
  ret_status->islands = c->islands_count;
  ret_status->island_calls = c->island_calls;
}

/* Walks a list and returns how many of it were sent in this session. */
static uint32_t check_list(const struct weir_client *c, const struct weir_call_list *list,
                           enum weir_call_state state, uint32_t *flying)
{
  uint32_t count = 0, sent = 0, prev = WEIR_CLIENT_NONE;
  uint64_t seq = 0;
  bool is_past_cursor = false;

  for (uint32_t i = list->first; i != WEIR_CLIENT_NONE; i = c->calls[i].next) {
    const struct weir_call *call = &c->calls[i];

    is_past_cursor = is_past_cursor || i == list->cursor;
    assert(call->state == state && call->prev == prev);
    if (state == WEIR_CALL_ASKED) {
      assert(call->ask.seq > seq);
      seq = call->ask.seq;
      flying[call->ask.class] += is_past_cursor ? 0 : 1;
    }
    sent += is_past_cursor ? 0 : 1;
    count++;
    prev = i;
  }
  assert(list->last == prev && list->count == count);
  assert(is_past_cursor == (list->cursor != WEIR_CLIENT_NONE));
  return sent;
}

static void check_settlements(const struct weir_client *c)
{
  uint32_t interim = 0;

  for (uint32_t i = 0; i < c->calls_fresh; i++)
    interim += c->calls[i].state == WEIR_CALL_LEASED && c->calls[i].has_interim;
  check_list(c, &c->interim, WEIR_CALL_LEASED, NULL);
  assert(c->interim.count == interim);
  assert(c->settlements_head <= c->settlements_cursor);
  assert(c->settlements_cursor <= c->settlements_tail);
  assert(c->settlements_tail - c->settlements_head <= c->config.settlements_max);
}

/* Returns whether it has a cookie. */
static bool check_call(const struct weir_client *c, const struct weir_call *call)
{
  const bool has_timer = call->state != WEIR_CALL_FREE && call->state != WEIR_CALL_WITHDRAWN;
  const bool has_seq = call->state != WEIR_CALL_FREE && call->state != WEIR_CALL_WAITING;
  const bool has_cookie = has_timer && !call->ask.is_standing;
  const uint32_t index = weir_call_index(c, call);
  uint32_t found;

  assert((call->timer.pos != 0) == has_timer);
  assert(!has_cookie || (weir_table_find(&c->by_cookie, call->cookie, &found) && found == index));
  assert(!has_seq || (weir_table_find(&c->by_seq, call->ask.seq, &found) && found == index));
  assert(call->state != WEIR_CALL_LEASED || call->start_at < call->expires_at);
  assert(call->state != WEIR_CALL_STANDING || call->ask.is_standing);
  return has_cookie;
}

void weir_client_check(const struct weir_client *c)
{
  uint32_t states[WEIR_CALL_MAX] = {0}, flying[WEIR_CLASS_MAX] = {0}, waiting = 0, cookies = 0;

  for (uint32_t i = 0; i < c->calls_fresh; i++) {
    cookies += check_call(c, &c->calls[i]);
    states[c->calls[i].state]++;
  }
  for (int class = WEIR_CLASS_ONLINE; class < WEIR_CLASS_MAX; class ++) {
    check_list(c, &c->waiting[class], WEIR_CALL_WAITING, NULL);
    waiting += c->waiting[class].count;
  }
  check_list(c, &c->asked, WEIR_CALL_ASKED, flying);
  check_list(c, &c->withdrawn, WEIR_CALL_WITHDRAWN, NULL);
  assert(waiting == states[WEIR_CALL_WAITING]);
  assert(c->asked.count == states[WEIR_CALL_ASKED]);
  assert(c->withdrawn.count == states[WEIR_CALL_WITHDRAWN]);
  assert(c->calls_count + states[WEIR_CALL_FREE] == c->calls_fresh);
  assert(c->calls_count - c->standing_count <= c->config.calls_max);
  assert(c->by_cookie.count == cookies);
  assert(c->by_seq.count == c->calls_count - states[WEIR_CALL_WAITING]);
  assert(c->timers.count == c->calls_count - states[WEIR_CALL_WITHDRAWN]);
  if (c->state == WEIR_CLIENT_OPEN) {
    assert(memcmp(flying, c->flying, sizeof(flying)) == 0);
    assert(flying[WEIR_CLASS_ONLINE] + flying[WEIR_CLASS_BATCH] <= c->credit);
  }
  check_settlements(c);
  weir_wallet_check(c);
  weir_island_check(c);
}

uint64_t weir_client_digest(const struct weir_client *c)
{
  const uint64_t words[] = {c->state,
                            c->token,
                            c->incarnation,
                            c->sessions,
                            c->epoch,
                            c->mark_last,
                            c->hello_at,
                            c->ping_at,
                            c->silent_at,
                            c->rng.state,
                            c->seq_last,
                            c->calls_count,
                            c->asked.count,
                            c->withdrawn.count,
                            c->interim.count,
                            c->settlements_head,
                            c->settlements_cursor,
                            c->settlements_tail,
                            c->settlements_dropped,
                            c->standing_count,
                            c->claims,
                            c->island_at,
                            c->island_calls,
                            c->broken_count};
  uint64_t hash = WEIR_HASH_BASIS;

  for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
    hash = weir_hash_number(hash, words[i]);
  for (uint32_t i = 0; i < c->calls_fresh; i++) {
    const struct weir_call *call = &c->calls[i];

    if (call->state == WEIR_CALL_FREE)
      continue;
    hash =
        weir_hash_number(weir_hash_number(weir_hash_number(hash, i), call->state), call->ask.seq);
    hash = weir_hash_number(weir_hash_number(hash, call->deadline), call->expires_at);
  }
  for (uint32_t i = 0; i < c->wallets_count; i++) {
    const struct weir_wallet *w = &c->wallets[i];

    hash = weir_hash_number(weir_hash_number(weir_hash_number(hash, w->asked_at), w->gap_us),
                            w->quiet_until);
    hash = weir_hash_number(
        weir_hash_number(weir_hash_number(hash, w->input.mean_8), w->output.mean_8), w->wanted);
  }
  return hash;
}
