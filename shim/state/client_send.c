/* client_send.c - what has to be said, in which order: settlements first, because they free what
 * others wait for; then withdrawals; then asks, those of an earlier session before new ones, and
 * standing ones last. */
#include "client_machine.h"

#include <assert.h>
#include <string.h>

static bool has_room(const struct weir_client_update *update, uint32_t count)
{
  return update->messages_count + count <= update->messages_max;
}

static struct weir_msg *say(struct weir_client *c, struct weir_client_update *update,
                            enum weir_msg_type type, weir_tstamp now)
{
  struct weir_msg *msg = &update->messages[update->messages_count++];
  struct weir_client_mark *mark;

  assert(update->messages_count <= WEIR_CLIENT_MESSAGES_MAX);
  msg->type = type;
  msg->session = c->token;
  msg->mark = ++c->mark_last;
  mark = &c->marks[msg->mark % WEIR_CLIENT_MARKS];
  mark->mark = msg->mark;
  mark->sent_at = now;
  /* What is answered shows that the coordinator lives; settlements and the like do not. */
  if (type == WEIR_MSG_HELLO || type == WEIR_MSG_ASK || type == WEIR_MSG_PING)
    c->ping_at = weir_time_add(now, c->heartbeat_us);
  return msg;
}

bool weir_send_time(const struct weir_client *c, uint64_t mark, weir_tstamp *ret_at)
{
  const struct weir_client_mark *found = &c->marks[mark % WEIR_CLIENT_MARKS];

  if (mark == 0 || found->mark != mark)
    return false;
  *ret_at = found->sent_at;
  return true;
}

static void say_hello(struct weir_client *c, struct weir_client_update *update, weir_tstamp now)
{
  const weir_duration spread = WEIR_CLIENT_HELLO_MAX_US - WEIR_CLIENT_HELLO_MIN_US;
  struct weir_msg *msg = say(c, update, WEIR_MSG_HELLO, now);

  memset(&msg->hello, 0, sizeof(msg->hello));
  memcpy(msg->hello.instance, c->config.instance, WEIR_INSTANCE_SIZE);
  memcpy(msg->hello.name, c->config.name, WEIR_NAME_SIZE);
  msg->hello.incarnation = c->incarnation;
  msg->hello.version_min = WEIR_PROTOCOL_VERSION_MIN;
  msg->hello.version_max = WEIR_PROTOCOL_VERSION;
  msg->hello.takes_islands = true;
  if (c->hello_mark == 0)
    c->hello_mark = msg->mark;
  c->hello_at = weir_time_add(now, WEIR_CLIENT_HELLO_MIN_US + weir_rng_below(&c->rng, spread));
}

static struct weir_msg *say_settle(struct weir_client *c, struct weir_client_update *update,
                                   const struct weir_msg_settle *settle, weir_tstamp sent_at,
                                   weir_tstamp now)
{
  struct weir_msg *msg = say(c, update, WEIR_MSG_SETTLE, now);
  const weir_duration ago = settle->is_sent ? weir_time_sub(now, sent_at) : 0;

  msg->settle = *settle;
  msg->settle.sent_ago_us = ago < WEIR_DURATION_MAX ? ago : WEIR_DURATION_MAX;
  return msg;
}

static void say_settlements(struct weir_client *c, struct weir_client_update *update,
                            weir_tstamp now)
{
  while (c->settlements_cursor < c->settlements_tail && has_room(update, 1)) {
    struct weir_settlement_kept *kept =
        &c->settlements[c->settlements_cursor++ % c->config.settlements_max];

    kept->mark = say_settle(c, update, &kept->msg, kept->sent_at, now)->mark;
  }
  while (c->interim.cursor != WEIR_CLIENT_NONE && has_room(update, 1)) {
    const struct weir_client_settle *interim = &c->calls[c->interim.cursor].interim;

    say_settle(c, update, &interim->msg, interim->sent_at, now);
    weir_call_list_pass(c, &c->interim);
  }
}

static void say_withdrawals(struct weir_client *c, struct weir_client_update *update,
                            weir_tstamp now)
{
  while (c->withdrawn.cursor != WEIR_CLIENT_NONE && has_room(update, 2)) {
    struct weir_call *call = &c->calls[c->withdrawn.cursor];
    struct weir_msg *msg = say(c, update, WEIR_MSG_CANCEL, now);

    msg->cancel.seq = call->ask.seq;
    /* Asked in an earlier session: a grant may have been lost on the way, and then only a
     * settlement gives it back. */
    if (call->session != c->sessions) {
      msg = say(c, update, WEIR_MSG_SETTLE, now);
      msg->settle = (struct weir_msg_settle){
          .seq = call->ask.seq, .is_final = true, .outcome = WEIR_OUTCOME_CANCELLED};
    }
    call->mark = msg->mark;
    weir_call_list_pass(c, &c->withdrawn);
  }
}

static bool may_resend(const struct weir_client *c)
{
  return c->asked.cursor != WEIR_CLIENT_NONE &&
         weir_call_may_fly(c, c->calls[c->asked.cursor].ask.class);
}

static void say_asks(struct weir_client *c, struct weir_client_update *update, weir_tstamp now)
{
  while (has_room(update, 1)) {
    struct weir_call *call;
    struct weir_msg *msg;
    weir_duration left;

    if (c->asked.cursor == WEIR_CLIENT_NONE && !weir_call_take_up(c) &&
        !weir_wallet_take_up(c, now))
      return;
    if (!may_resend(c))
      return;
    call = &c->calls[c->asked.cursor];
    left = call->is_immediate ? 0 : weir_time_sub(call->deadline, now);
    msg = say(c, update, WEIR_MSG_ASK, now);
    msg->ask = call->ask;
    msg->ask.deadline_us = left < WEIR_DURATION_MAX ? left : WEIR_DURATION_MAX;
    call->mark = msg->mark;
    call->session = c->sessions;
    call->is_queued = false;
    c->flying[call->ask.class]++;
    weir_call_list_pass(c, &c->asked);
  }
}

bool weir_send_is_pending(const struct weir_client *c)
{
  if (c->state != WEIR_CLIENT_OPEN)
    return false;
  return c->is_closing || c->settlements_cursor < c->settlements_tail ||
         c->interim.cursor != WEIR_CLIENT_NONE || c->withdrawn.cursor != WEIR_CLIENT_NONE ||
         may_resend(c) ||
         (c->asked.cursor == WEIR_CLIENT_NONE &&
          (weir_call_is_ready(c) || weir_wallet_is_ready(c)));
}

void weir_send_fill(struct weir_client *c, weir_tstamp now, struct weir_client_update *update)
{
  if (c->state == WEIR_CLIENT_CONNECTING && now >= c->hello_at && has_room(update, 1))
    say_hello(c, update, now);
  if (c->state != WEIR_CLIENT_OPEN)
    return;
  say_settlements(c, update, now);
  say_withdrawals(c, update, now);
  if (c->is_closing) {
    if (c->settlements_cursor == c->settlements_tail && c->interim.cursor == WEIR_CLIENT_NONE &&
        has_room(update, 1)) {
      say(c, update, WEIR_MSG_BYE, now);
      c->state = WEIR_CLIENT_CLOSED;
    }
    return;
  }
  say_asks(c, update, now);
  if (now >= c->ping_at && has_room(update, 1))
    say(c, update, WEIR_MSG_PING, now);
}
