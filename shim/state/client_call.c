/* client_call.c - the life of a call, from ASK to SETTLE. */
#include "client_machine.h"

#include <assert.h>
#include <string.h>

/* ---- lists ---- */

static void list_append(struct weir_client *c, struct weir_call_list *list, struct weir_call *call)
{
  const uint32_t index = weir_call_index(c, call);

  call->next = WEIR_CLIENT_NONE;
  call->prev = list->last;
  if (list->last == WEIR_CLIENT_NONE)
    list->first = index;
  else
    c->calls[list->last].next = index;
  list->last = index;
  if (list->cursor == WEIR_CLIENT_NONE)
    list->cursor = index;
  list->count++;
}

static void list_prepend(struct weir_client *c, struct weir_call_list *list, struct weir_call *call)
{
  const uint32_t index = weir_call_index(c, call);

  call->prev = WEIR_CLIENT_NONE;
  call->next = list->first;
  if (list->first == WEIR_CLIENT_NONE)
    list->last = index;
  else
    c->calls[list->first].prev = index;
  list->first = index;
  list->cursor = index;
  list->count++;
}

static void list_remove(struct weir_client *c, struct weir_call_list *list, struct weir_call *call)
{
  if (list->cursor == weir_call_index(c, call))
    list->cursor = call->next;
  if (call->prev == WEIR_CLIENT_NONE)
    list->first = call->next;
  else
    c->calls[call->prev].next = call->next;
  if (call->next == WEIR_CLIENT_NONE)
    list->last = call->prev;
  else
    c->calls[call->next].prev = call->prev;
  list->count--;
}

void weir_call_list_pass(struct weir_client *c, struct weir_call_list *list)
{
  list->cursor = c->calls[list->cursor].next;
}

/* ---- calls ---- */

static void timer_set(struct weir_client *c, struct weir_call *call, weir_tstamp at)
{
  enum weir_err err = weir_pq_set(&c->timers, &call->timer, at);

  assert(err == WEIR_OK); /* there is room for every call */
  (void)err;
}

static bool is_sent(const struct weir_client *c, const struct weir_call *call)
{
  return call->session == c->sessions && c->state == WEIR_CLIENT_OPEN;
}

/* The single door out of a state. */
static void leave(struct weir_client *c, struct weir_call *call)
{
  switch (call->state) {
  case WEIR_CALL_WAITING:
    list_remove(c, &c->waiting[call->ask.class], call);
    break;
  case WEIR_CALL_ASKED:
    if (is_sent(c, call))
      c->flying[call->ask.class]--;
    if (call->ask.is_standing)
      c->wallets[call->wallet].asked--;
    list_remove(c, &c->asked, call);
    break;
  case WEIR_CALL_WITHDRAWN:
    list_remove(c, &c->withdrawn, call);
    break;
  case WEIR_CALL_LEASED:
    if (call->has_interim)
      list_remove(c, &c->interim, call);
    break;
  case WEIR_CALL_STANDING:
    list_remove(c, &c->wallets[call->wallet].held, call);
    break;
  case WEIR_CALL_HELD:
    break;
  case WEIR_CALL_FREE:
  case WEIR_CALL_MAX:
  default:
    assert(false);
  }
}

static void release(struct weir_client *c, struct weir_call *call)
{
  leave(c, call);
  weir_pq_remove(&c->timers, &call->timer);
  if (call->ask.is_standing)
    c->standing_count--;
  else if (call->state != WEIR_CALL_WITHDRAWN)
    weir_table_remove(&c->by_cookie, call->cookie);
  if (call->ask.seq)
    weir_table_remove(&c->by_seq, call->ask.seq);
  if (call->island)
    weir_island_ended(c, call);
  call->state = WEIR_CALL_FREE;
  call->next = c->calls_free;
  c->calls_free = weir_call_index(c, call);
  c->calls_count--;
}

static struct weir_call *call_new(struct weir_client *c)
{
  struct weir_call *call;

  if (c->calls_free != WEIR_CLIENT_NONE) {
    call = &c->calls[c->calls_free];
    c->calls_free = call->next;
  } else {
    call = &c->calls[c->calls_fresh++];
  }
  memset(call, 0, sizeof(*call));
  c->calls_count++;
  return call;
}

static void table_put(struct weir_table *table, uint64_t key, uint32_t value)
{
  enum weir_err err = weir_table_put(table, key, value);

  assert(err == WEIR_OK); /* there is room for every call */
  (void)err;
}

/* |call| is the caller's from here on. */
static void call_own(struct weir_client *c, struct weir_call *call,
                     const struct weir_client_event *event)
{
  const uint64_t seq = call->ask.seq;

  call->cookie = event->cookie;
  call->context = event->context;
  call->asked_at = event->now;
  call->deadline = weir_time_add(event->now, event->ask->wait_us);
  call->is_immediate = event->ask->is_immediate;
  call->ask = event->ask->msg;
  call->ask.seq = seq;
  call->ask.is_standing = false;
  table_put(&c->by_cookie, call->cookie, weir_call_index(c, call));
}

/* A lease is there already: it is reported in this step. */
static void claim(struct weir_client *c, struct weir_call *call,
                  const struct weir_client_event *event)
{
  leave(c, call);
  c->standing_count--;
  c->claims++;
  call->state = WEIR_CALL_HELD;
  call_own(c, call, event);
  timer_set(c, call, event->now);
}

enum weir_err weir_call_open(struct weir_client *c, const struct weir_client_event *event)
{
  struct weir_wallet *wallet;
  struct weir_call *call;

  if (c->calls_count - c->standing_count >= c->config.calls_max)
    return WEIR_EFULL;
  assert(!weir_table_find(&c->by_cookie, event->cookie, NULL));
  assert(event->ask->msg.class > 0 && event->ask->msg.class < WEIR_CLASS_MAX);
  wallet = weir_wallet_observe(c, &event->ask->msg, event->now);
  call = wallet ? weir_wallet_pick(c, wallet, &event->ask->msg, event->now) : NULL;
  if (call) {
    claim(c, call, event);
  } else {
    call = call_new(c);
    call->state = WEIR_CALL_WAITING;
    call_own(c, call, event);
    list_append(c, &c->waiting[call->ask.class], call);
    timer_set(c, call, call->deadline);
    weir_island_ask(c, call, event->now);
  }
  if (wallet)
    weir_wallet_plan(c, wallet, event->now);
  return WEIR_OK;
}

bool weir_call_may_use(const struct weir_msg_ask *ask, const struct weir_msg_grant *grant)
{
  if (grant->choice > 0 && (ask->avoid >> (grant->choice - 1) & 1))
    return false;
  return ask->prefer[0] == '\0' || strcmp(ask->prefer, grant->model) == 0;
}

bool weir_call_may_fly(const struct weir_client *c, enum weir_class class)
{
  const uint32_t batch = c->flying[WEIR_CLASS_BATCH];

  if (batch + c->flying[WEIR_CLASS_ONLINE] >= c->credit)
    return false;
  return class != WEIR_CLASS_BATCH || batch < WEIR_CLIENT_BATCH_CREDIT(c->credit);
}

static struct weir_call *ready(const struct weir_client *c)
{
  for (int class = WEIR_CLASS_ONLINE; class < WEIR_CLASS_MAX; class ++) {
    if (c->waiting[class].count > 0 && weir_call_may_fly(c, (enum weir_class) class))
      return &c->calls[c->waiting[class].first];
  }
  return NULL;
}

bool weir_call_is_ready(const struct weir_client *c)
{
  return ready(c) != NULL;
}

static void asked(struct weir_client *c, struct weir_call *call)
{
  call->state = WEIR_CALL_ASKED;
  call->ask.seq = ++c->seq_last;
  call->session = 0;
  list_append(c, &c->asked, call);
  table_put(&c->by_seq, call->ask.seq, weir_call_index(c, call));
}

bool weir_call_take_up(struct weir_client *c)
{
  struct weir_call *call = ready(c);

  if (!call)
    return false;
  leave(c, call);
  asked(c, call);
  return true;
}

void weir_call_stand(struct weir_client *c, uint32_t wallet, const struct weir_msg_ask *ask,
                     weir_tstamp deadline)
{
  struct weir_call *call = call_new(c);

  c->standing_count++;
  c->wallets[wallet].asked++;
  call->wallet = wallet;
  call->is_immediate = true;
  call->ask = *ask;
  call->deadline = deadline;
  asked(c, call);
  timer_set(c, call, deadline);
}

/* ---- results ---- */

static struct weir_client_result *report(struct weir_client_update *update,
                                         const struct weir_call *call,
                                         enum weir_client_result_type type, weir_tstamp now)
{
  struct weir_client_result *result = &update->results[update->results_count++];

  assert(update->results_count <= WEIR_CLIENT_RESULTS_MAX);
  memset(result, 0, sizeof(*result));
  result->type = type;
  result->cookie = call->cookie;
  result->context = call->context;
  result->wait_us = weir_time_sub(now, call->asked_at);
  result->is_queued = call->is_queued;
  return result;
}

static void keep_settlement(struct weir_client *c, const struct weir_msg_settle *msg,
                            weir_tstamp sent_at)
{
  struct weir_settlement_kept *kept;

  if (c->settlements_tail - c->settlements_head == c->config.settlements_max) {
    c->settlements_head++;
    c->settlements_dropped++;
    if (c->settlements_cursor < c->settlements_head)
      c->settlements_cursor = c->settlements_head;
  }
  kept = &c->settlements[c->settlements_tail++ % c->config.settlements_max];
  kept->msg = *msg;
  kept->sent_at = sent_at;
  kept->mark = 0;
}

static void give_back(struct weir_client *c, uint64_t seq)
{
  const struct weir_msg_settle unused = {
      .seq = seq, .is_final = true, .outcome = WEIR_OUTCOME_CANCELLED};

  keep_settlement(c, &unused, 0);
}

/* The caller has its result; what the coordinator may still hold is taken back. */
static void end(struct weir_client *c, struct weir_call *call)
{
  if (call->state != WEIR_CALL_ASKED) {
    if (call->state == WEIR_CALL_HELD && weir_call_is_leased(call))
      give_back(c, call->ask.seq);
    release(c, call);
    return;
  }
  leave(c, call);
  weir_pq_remove(&c->timers, &call->timer);
  if (!call->ask.is_standing)
    weir_table_remove(&c->by_cookie, call->cookie);
  call->state = WEIR_CALL_WITHDRAWN;
  list_append(c, &c->withdrawn, call);
}

void weir_call_keep(struct weir_client *c, struct weir_call *call, weir_tstamp at)
{
  timer_set(c, call, at);
}

/* Without room for it nothing is said of an unused lease: settlements of calls are worth more. */
void weir_call_return(struct weir_client *c, struct weir_call *call)
{
  if (call->state == WEIR_CALL_ASKED) {
    end(c, call);
    return;
  }
  if (c->settlements_tail - c->settlements_head < c->config.settlements_max)
    give_back(c, call->ask.seq);
  release(c, call);
}

/* A new ask in the old one's place, with what is left of its time. */
static void ask_again(struct weir_client *c, struct weir_call *call)
{
  leave(c, call);
  if (call->island)
    weir_island_ended(c, call);
  call->is_open = false;
  weir_table_remove(&c->by_seq, call->ask.seq);
  call->state = WEIR_CALL_WAITING;
  call->ask.seq = 0;
  call->is_queued = false;
  list_prepend(c, &c->waiting[call->ask.class], call);
  timer_set(c, call, call->deadline);
}

/* The caller's part of an ask that is taken back: the same call in another record. */
static struct weir_call *call_split(struct weir_client *c, struct weir_call *asked)
{
  struct weir_call *call;

  if (c->calls_count - c->standing_count >= c->config.calls_max)
    return NULL;
  call = call_new(c);
  call->cookie = asked->cookie;
  call->context = asked->context;
  call->asked_at = asked->asked_at;
  call->deadline = asked->deadline;
  call->is_immediate = asked->is_immediate;
  call->is_queued = asked->is_queued;
  call->ask = asked->ask;
  end(c, asked);
  table_put(&c->by_cookie, call->cookie, weir_call_index(c, call));
  return call;
}

struct weir_call *weir_call_isolate(struct weir_client *c, struct weir_call *call)
{
  if (call->state == WEIR_CALL_ASKED)
    call = call_split(c, call);
  else
    leave(c, call);
  if (!call)
    return NULL;
  call->state = WEIR_CALL_HELD;
  call->ask.seq = ++c->seq_last;
  table_put(&c->by_seq, call->ask.seq, weir_call_index(c, call));
  return call;
}

enum weir_err weir_call_cancel(struct weir_client *c, const struct weir_client_event *event,
                               struct weir_client_update *update)
{
  uint32_t index;

  if (!weir_table_find(&c->by_cookie, event->cookie, &index) ||
      c->calls[index].state == WEIR_CALL_LEASED)
    return WEIR_ENOENT;
  report(update, &c->calls[index], WEIR_CLIENT_CANCELLED, event->now);
  end(c, &c->calls[index]);
  return WEIR_OK;
}

enum weir_err weir_call_settle(struct weir_client *c, const struct weir_client_event *event)
{
  struct weir_client_settle settle = *event->settle;
  struct weir_call *call;
  uint32_t index;

  if (!weir_table_find(&c->by_cookie, event->cookie, &index) ||
      c->calls[index].state != WEIR_CALL_LEASED)
    return WEIR_ENOENT;
  call = &c->calls[index];
  settle.msg.seq = call->ask.seq;
  if (settle.msg.is_sent && weir_outcome_is_quota(settle.msg.outcome))
    weir_wallet_rejected(c, call, event->now);
  if (!weir_call_is_leased(call)) {
    if (!settle.msg.is_final && settle.msg.is_sent)
      return WEIR_OK; /* nobody asked for it */
    if (call->island)
      weir_island_settled(c, call, &settle, event->now);
    memcpy(settle.msg.island, call->grant.pool, sizeof(settle.msg.island));
  }
  if (settle.msg.is_final || !settle.msg.is_sent) {
    keep_settlement(c, &settle.msg, settle.sent_at);
    release(c, call);
    return WEIR_OK;
  }
  if (call->has_interim)
    list_remove(c, &c->interim, call);
  call->has_interim = true;
  call->interim = settle;
  list_append(c, &c->interim, call);
  return WEIR_OK;
}

/* ---- answers ---- */

static struct weir_call *find(struct weir_client *c, uint64_t seq)
{
  uint32_t index;

  return weir_table_find(&c->by_seq, seq, &index) ? &c->calls[index] : NULL;
}

void weir_call_granted(struct weir_client *c, const struct weir_msg *msg, weir_tstamp now)
{
  const struct weir_msg_grant *grant = &msg->grant;
  struct weir_call *call = find(c, grant->seq);
  weir_tstamp sent_at;

  if (!call)
    return;
  if (call->state == WEIR_CALL_WITHDRAWN) {
    give_back(c, grant->seq);
    release(c, call);
    return;
  }
  if (call->state != WEIR_CALL_ASKED)
    return; /* the same grant again */
  leave(c, call);
  call->grant = *grant;
  call->start_at = weir_time_add(now, grant->start_in_us);
  call->expires_at = 0;
  if (weir_send_time(c, msg->mark, &sent_at))
    call->expires_at = weir_time_add(weir_time_add(sent_at, grant->since_us),
                                     weir_time_add(grant->start_in_us, grant->ttl_us));
  call->state = call->ask.is_standing ? WEIR_CALL_STANDING : WEIR_CALL_HELD;
  if (call->ask.is_standing)
    list_append(c, &c->wallets[call->wallet].held, call);
  weir_island_learn(c, call);
  weir_wallet_granted(c, call, now);
  if (call->state != WEIR_CALL_HELD)
    return;
  if (call->start_at >= call->expires_at) {
    give_back(c, grant->seq);
    ask_again(c, call);
    return;
  }
  timer_set(c, call, call->start_at < call->deadline ? call->start_at : call->deadline);
}

void weir_call_queued(struct weir_client *c, const struct weir_msg_queued *queued, weir_tstamp now)
{
  struct weir_call *call = find(c, queued->seq);

  if (!call || call->state != WEIR_CALL_ASKED)
    return;
  call->is_queued = true;
  weir_wallet_busy(c, call, now);
}

void weir_call_denied(struct weir_client *c, const struct weir_msg_deny *deny, weir_tstamp now,
                      struct weir_client_update *update)
{
  struct weir_call *call = find(c, deny->seq);

  if (!call || (call->state != WEIR_CALL_ASKED && call->state != WEIR_CALL_WITHDRAWN))
    return;
  if (call->state == WEIR_CALL_ASKED &&
      (call->ask.is_standing ||
       (deny->why != WEIR_DENIAL_TOO_LARGE && deny->why != WEIR_DENIAL_FINISHED &&
        deny->why != WEIR_DENIAL_RETRIES)))
    weir_wallet_busy(c, call, now);
  if (call->state == WEIR_CALL_ASKED && !call->ask.is_standing) {
    /* The answer to an ask of an earlier session whose grant was lost on the way. */
    if (deny->why == WEIR_DENIAL_FINISHED) {
      ask_again(c, call);
      return;
    }
    report(update, call, WEIR_CLIENT_DENIED, now)->deny = *deny;
  }
  release(c, call);
}

void weir_call_acknowledge(struct weir_client *c, uint64_t mark)
{
  while (c->settlements_head < c->settlements_cursor &&
         c->settlements[c->settlements_head % c->config.settlements_max].mark <= mark)
    c->settlements_head++;
  while (c->withdrawn.first != c->withdrawn.cursor && c->calls[c->withdrawn.first].mark <= mark)
    release(c, &c->calls[c->withdrawn.first]);
}

void weir_call_unsend(struct weir_client *c)
{
  c->asked.cursor = c->asked.first;
  c->withdrawn.cursor = c->withdrawn.first;
  c->interim.cursor = c->interim.first;
  c->settlements_cursor = c->settlements_head;
  memset(c->flying, 0, sizeof(c->flying));
}

void weir_call_release(struct weir_client *c)
{
  for (uint32_t i = 0; i < c->calls_fresh; i++) {
    if (c->calls[i].state == WEIR_CALL_HELD) {
      if (weir_call_is_leased(&c->calls[i]))
        give_back(c, c->calls[i].ask.seq);
      release(c, &c->calls[i]);
    } else if (c->calls[i].state == WEIR_CALL_STANDING) {
      weir_call_return(c, &c->calls[i]);
    }
  }
}

/* ---- time ---- */

static void due(struct weir_client *c, struct weir_call *call, weir_tstamp now,
                struct weir_client_update *update)
{
  struct weir_client_result *result;
  bool is_answered;

  if (call->state == WEIR_CALL_LEASED) {
    release(c, call);
    return;
  }
  if (call->ask.is_standing) {
    weir_wallet_due(c, call, now);
    return;
  }
  if (call->state == WEIR_CALL_HELD && now >= call->start_at) {
    if (now >= call->expires_at && now < call->deadline) {
      if (weir_call_is_leased(call))
        give_back(c, call->ask.seq);
      ask_again(c, call);
      return;
    }
    if (now < call->expires_at) {
      result = report(update, call, WEIR_CLIENT_GRANTED, now);
      result->expires_at = call->expires_at;
      result->grant = call->grant;
      result->is_island = call->island > 0;
      result->is_open = call->is_open;
      call->state = WEIR_CALL_LEASED;
      timer_set(c, call, weir_time_add(call->expires_at, WEIR_CLIENT_LEASE_GRACE_US));
      return;
    }
  }
  /* It was to fail, and there is a session again. */
  if (c->state == WEIR_CLIENT_OPEN && call->state != WEIR_CALL_HELD && now < call->deadline) {
    timer_set(c, call, call->deadline);
    return;
  }
  is_answered =
      call->state == WEIR_CALL_HELD ||
      (c->state == WEIR_CLIENT_OPEN && (call->state == WEIR_CALL_WAITING || call->is_queued));
  report(update, call, is_answered ? WEIR_CLIENT_TIMED_OUT : WEIR_CLIENT_UNREACHABLE, now)
      ->refusal = is_answered ? 0 : c->refusal;
  end(c, call);
}

static struct weir_call *hopeless(const struct weir_client *c)
{
  for (int class = WEIR_CLASS_ONLINE; class < WEIR_CLASS_MAX; class ++) {
    if (c->waiting[class].count > 0)
      return &c->calls[c->waiting[class].first];
  }
  return c->asked.count > 0 ? &c->calls[c->asked.first] : NULL;
}

void weir_call_due(struct weir_client *c, weir_tstamp now, struct weir_client_update *update)
{
  struct weir_pq_node *node;
  struct weir_call *call;

  while (update->results_count < WEIR_CLIENT_RESULTS_MAX &&
         (node = weir_pq_due(&c->timers, now)) != NULL)
    due(c, (struct weir_call *)(void *)node, now, update);
  while (c->state == WEIR_CLIENT_REFUSED && update->results_count < WEIR_CLIENT_RESULTS_MAX &&
         (call = hopeless(c)) != NULL) {
    report(update, call, WEIR_CLIENT_UNREACHABLE, now)->refusal = c->refusal;
    end(c, call);
  }
}
