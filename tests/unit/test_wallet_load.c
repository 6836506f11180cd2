/* What wallets bring and cost: instances on one quota, in virtual time, with a round trip between
 * them and a coordinator that is as simple as it can be. Every count below is deterministic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <weir/rng.h>

#include "client_fixture.h"

#define INSTANCES  4
#define WINDOW     WEIR_US_PER_MIN
#define ONE_WAY    MS
#define LEASES_MAX 65536
#define EVENTS_MAX 4096
#define RUN        (6 * WEIR_US_PER_MIN)

/* What is charged: from its grant until a window after it was settled or ended. */
struct lease {
  uint32_t instance;
  uint64_t seq;
  weir_tstamp until; /* charged */
  bool is_open, is_standing;
};

struct waiting {
  uint32_t instance;
  uint64_t seq;
  weir_tstamp deadline;
};

enum event_type {
  EVENT_TO_COORD = 1,
  EVENT_TO_SHIM,
  EVENT_CALL,  /* a caller wants another lease */
  EVENT_SETTLE /* a call ends */
};

struct event {
  weir_tstamp at;
  uint64_t order;
  enum event_type type;
  uint32_t instance;
  uint64_t cookie;
  weir_tstamp sent_at;
  struct weir_msg msg;
};

struct counts {
  uint64_t calls, at_once, failed; /* at once: without a round trip */
  uint64_t messages, frames;       /* both ways, PING and PONG included */
  uint64_t standing, unused;       /* leases ahead of need, and those given back */
  weir_duration wait_us;
};

struct load {
  weir_tstamp now;
  uint32_t limit;    /* requests in a minute, for all */
  weir_duration gap; /* between calls of one instance, on average */
  struct weir_rng rng;
  struct weir_client *clients[INSTANCES];
  void *storage[INSTANCES];
  uint64_t marks[INSTANCES];
  struct weir_client_update update;
  struct event events[EVENTS_MAX];
  uint32_t events_count;
  uint64_t order, cookie;
  struct lease leases[LEASES_MAX];
  uint32_t leases_first, leases_count;
  struct waiting waiting[1024];
  uint32_t waiting_count;
  uint32_t used;
  weir_tstamp counted_from;
  struct counts counts;
};

static bool is_counted(const struct load *l)
{
  return l->now >= l->counted_from;
}

static struct event *expect(struct load *l, weir_tstamp at, enum event_type type, uint32_t instance)
{
  struct event *event = &l->events[l->events_count++];

  assert_true(l->events_count < EVENTS_MAX);
  memset(event, 0, sizeof(*event));
  event->at = at;
  event->order = l->order++;
  event->type = type;
  event->instance = instance;
  return event;
}

/* ---- the coordinator ---- */

static struct weir_msg *answer(struct load *l, uint32_t instance, enum weir_msg_type type)
{
  struct weir_msg *msg = &expect(l, l->now + ONE_WAY, EVENT_TO_SHIM, instance)->msg;

  msg->type = type;
  msg->session = TOKEN;
  msg->mark = l->marks[instance];
  if (is_counted(l))
    l->counts.messages++;
  return msg;
}

/* Forgets what left the window. Leases are charged in order of their grants, so the ones that
 * return early leave gaps, which |used| knows of. */
static void slide(struct load *l)
{
  l->used = 0;
  while (l->leases_first < l->leases_count && l->leases[l->leases_first].until <= l->now &&
         !l->leases[l->leases_first].is_open)
    l->leases_first++;
  for (uint32_t i = l->leases_first; i < l->leases_count; i++)
    l->used += l->leases[i].until > l->now;
}

static uint32_t standing_out(const struct load *l)
{
  uint32_t count = 0;

  for (uint32_t i = l->leases_first; i < l->leases_count; i++)
    count += l->leases[i].is_open && l->leases[i].is_standing && l->leases[i].until > l->now;
  return count;
}

static void grant(struct load *l, uint32_t instance, uint64_t seq, bool is_standing)
{
  struct weir_msg *msg = answer(l, instance, WEIR_MSG_GRANT);

  assert_true(l->leases_count < LEASES_MAX);
  l->leases[l->leases_count++] =
      (struct lease){instance, seq, l->now + TTL + WINDOW, true, is_standing};
  l->used++;
  if (is_counted(l))
    l->counts.standing += is_standing;
  msg->grant = (struct weir_msg_grant){.seq = seq, .ttl_us = TTL, .pool = "p", .model = "m"};
}

static void deny(struct load *l, uint32_t instance, uint64_t seq, enum weir_denial why)
{
  answer(l, instance, WEIR_MSG_DENY)->deny = (struct weir_msg_deny){.seq = seq, .why = why};
}

static void serve(struct load *l)
{
  uint32_t served = 0;

  slide(l);
  while (served < l->waiting_count &&
         (l->used < l->limit || l->waiting[served].deadline <= l->now)) {
    const struct waiting *w = &l->waiting[served++];

    if (w->deadline <= l->now)
      deny(l, w->instance, w->seq, WEIR_DENIAL_DEADLINE);
    else
      grant(l, w->instance, w->seq, false);
  }
  l->waiting_count -= served;
  memmove(l->waiting, l->waiting + served, l->waiting_count * sizeof(*l->waiting));
}

static void on_ask(struct load *l, uint32_t instance, const struct weir_msg_ask *ask)
{
  uint32_t left;

  serve(l);
  left = l->limit - l->used;
  if (ask->is_standing) {
    if (l->waiting_count > 0 || left < l->limit / 20 || standing_out(l) >= left / 4)
      deny(l, instance, ask->seq, WEIR_DENIAL_BUSY);
    else
      grant(l, instance, ask->seq, true);
    return;
  }
  if (left > 0) {
    grant(l, instance, ask->seq, false);
    return;
  }
  assert_true(l->waiting_count < 1024);
  l->waiting[l->waiting_count++] = (struct waiting){instance, ask->seq, l->now + ask->deadline_us};
  answer(l, instance, WEIR_MSG_QUEUED)->queued.seq = ask->seq;
}

static void on_settle(struct load *l, uint32_t instance, const struct weir_msg_settle *settle)
{
  for (uint32_t i = l->leases_first; i < l->leases_count; i++) {
    struct lease *lease = &l->leases[i];

    if (lease->instance != instance || lease->seq != settle->seq || !lease->is_open)
      continue;
    lease->is_open = false;
    lease->until = settle->is_sent ? l->now - settle->sent_ago_us + WINDOW : 0;
    if (is_counted(l))
      l->counts.unused += !settle->is_sent;
    serve(l);
    return;
  }
}

static void on_message(struct load *l, uint32_t instance, const struct weir_msg *msg)
{
  l->marks[instance] = msg->mark;
  if (msg->type == WEIR_MSG_HELLO)
    answer(l, instance, WEIR_MSG_WELCOME)->welcome =
        (struct weir_msg_welcome){.version = WEIR_PROTOCOL_VERSION,
                                  .heartbeat_us = HEARTBEAT,
                                  .session_ttl_us = 3 * SECOND,
                                  .asks_max = 256};
  else if (msg->type == WEIR_MSG_ASK)
    on_ask(l, instance, &msg->ask);
  else if (msg->type == WEIR_MSG_SETTLE)
    on_settle(l, instance, &msg->settle);
  else if (msg->type == WEIR_MSG_PING)
    answer(l, instance, WEIR_MSG_PONG);
}

/* ---- instances ---- */

static void on_result(struct load *l, uint32_t instance, const struct weir_client_result *result)
{
  struct event *end;

  if (is_counted(l)) {
    l->counts.calls++;
    l->counts.at_once += result->wait_us == 0;
    l->counts.wait_us += result->wait_us;
    l->counts.failed += result->type != WEIR_CLIENT_GRANTED;
  }
  if (result->type != WEIR_CLIENT_GRANTED)
    return;
  assert_true(l->now < result->expires_at);
  end = expect(l, l->now + 500 * MS + weir_rng_below(&l->rng, SECOND), EVENT_SETTLE, instance);
  end->cookie = result->cookie;
  end->sent_at = l->now;
}

static void step(struct load *l, uint32_t instance, struct weir_client_event *event)
{
  event->now = l->now;
  l->update.messages_max = WEIR_CLIENT_MESSAGES_MAX;
  assert_int_equal(weir_client_step(l->clients[instance], event, &l->update), WEIR_OK);
  weir_client_check(l->clients[instance]);
  if (is_counted(l)) {
    l->counts.messages += l->update.messages_count;
    l->counts.frames += l->update.messages_count > 0;
  }
  for (uint32_t i = 0; i < l->update.messages_count; i++)
    expect(l, l->now + ONE_WAY, EVENT_TO_COORD, instance)->msg = l->update.messages[i];
  for (uint32_t i = 0; i < l->update.results_count; i++)
    on_result(l, instance, &l->update.results[i]);
}

/* Gaps like those of independent callers: geometric in steps of 1/16 of the mean. */
static weir_duration draw_gap(struct load *l)
{
  weir_duration gap = weir_rng_below(&l->rng, l->gap / 16);

  while (weir_rng_below(&l->rng, 16) > 0)
    gap += l->gap / 16;
  return gap;
}

static void on_call(struct load *l, uint32_t instance)
{
  struct weir_client_ask ask = {.msg = {.model = "m", .class = WEIR_CLASS_ONLINE, .requests = 1},
                                .wait_us = 30 * SECOND};
  struct weir_client_event event = {.type = WEIR_CLIENT_ASK, .ask = &ask};

  expect(l, l->now + draw_gap(l), EVENT_CALL, instance);
  ask.msg.input_tokens = 500 + weir_rng_below(&l->rng, 500) + weir_rng_below(&l->rng, 500);
  ask.msg.output_tokens = 256;
  event.cookie = ++l->cookie;
  step(l, instance, &event);
}

static void happen(struct load *l, const struct event *event)
{
  struct weir_client_settle settle = {
      .msg = {.is_sent = true, .is_final = true, .outcome = WEIR_OUTCOME_OK}};
  struct weir_client_event told = {.cookie = event->cookie};

  switch (event->type) {
  case EVENT_TO_COORD:
    on_message(l, event->instance, &event->msg);
    return;
  case EVENT_TO_SHIM:
    told.type = WEIR_CLIENT_RECEIVED;
    told.msg = &event->msg;
    step(l, event->instance, &told);
    return;
  case EVENT_SETTLE:
    settle.sent_at = event->sent_at;
    told.type = WEIR_CLIENT_SETTLE;
    told.settle = &settle;
    step(l, event->instance, &told);
    return;
  case EVENT_CALL:
    on_call(l, event->instance);
    return;
  }
}

/* The next event or wake, whichever comes first. */
static bool advance(struct load *l, weir_tstamp end)
{
  struct weir_client_event timeout = {.type = WEIR_CLIENT_TIMEOUT};
  uint32_t next = 0, client = INSTANCES;
  struct event event;
  weir_tstamp at;

  for (uint32_t i = 1; i < l->events_count; i++) {
    if (l->events[i].at < l->events[next].at ||
        (l->events[i].at == l->events[next].at && l->events[i].order < l->events[next].order))
      next = i;
  }
  at = l->events[next].at;
  for (uint32_t i = 0; i < INSTANCES; i++) {
    if (weir_client_wake(l->clients[i]) < at) {
      at = weir_client_wake(l->clients[i]);
      client = i;
    }
  }
  if (at >= end)
    return false;
  l->now = at > l->now ? at : l->now;
  if (client < INSTANCES) {
    step(l, client, &timeout);
    return true;
  }
  event = l->events[next];
  l->events[next] = l->events[--l->events_count];
  happen(l, &event);
  return true;
}

static struct counts run(uint32_t wallet_max, uint32_t limit, uint32_t load_pm)
{
  struct load *l = calloc(1, sizeof(*l));
  struct weir_client_config config = {
      .calls_max = 1024, .settlements_max = 1024, .wallet_max = wallet_max, .name = "load"};
  struct counts counts;

  assert_non_null(l);
  l->now = 1000 * SECOND;
  l->counted_from = l->now + 2 * WINDOW;
  l->limit = limit;
  l->gap = (weir_duration)INSTANCES * WINDOW * 1000 / ((uint64_t)limit * load_pm);
  weir_rng_init(&l->rng, 5);
  for (uint32_t i = 0; i < INSTANCES; i++) {
    struct weir_client_event link = {.type = WEIR_CLIENT_LINK, .is_up = true};

    config.seed = i;
    l->storage[i] = malloc(weir_client_size(&config));
    assert_non_null(l->storage[i]);
    l->clients[i] = weir_client_init(l->storage[i], &config);
    step(l, i, &link);
    expect(l, l->now + draw_gap(l), EVENT_CALL, i);
  }
  while (advance(l, 1000 * SECOND + RUN))
    continue;
  counts = l->counts;
  print_message("wallet %u, %4u a minute, load %3u %%: %6.2f messages, %5.2f frames sent a call; "
                "%5.1f %% at once; "
                "wait %7.1f ms; %4.1f %% of standing leases unused; %llu calls, %llu failed\n",
                wallet_max, limit, load_pm / 10, (double)counts.messages / (double)counts.calls,
                (double)counts.frames / (double)counts.calls,
                100.0 * (double)counts.at_once / (double)counts.calls,
                (double)counts.wait_us / (double)counts.calls / 1000,
                counts.standing ? 100.0 * (double)counts.unused / (double)counts.standing : 0.0,
                (unsigned long long)counts.calls, (unsigned long long)counts.failed);
  for (uint32_t i = 0; i < INSTANCES; i++)
    free(l->storage[i]);
  free(l);
  return counts;
}

static void at_half_load_most_calls_start_at_once(void **state)
{
  const struct counts without = run(0, 1200, 500), with = run(8, 1200, 500);

  (void)state;
  assert_int_equal(without.at_once, 0);
  assert_true(with.at_once * 10 > with.calls * 9);
  assert_int_equal(with.failed, 0);
  /* A call is an ASK, a GRANT and a SETTLE; what goes back unused is three more. */
  assert_true(without.messages * 10 < without.calls * 33);
  assert_true(with.messages * 10 < with.calls * 37);
  assert_true(with.frames * 20 < without.frames * 21);
  assert_true(with.unused * 8 < with.standing);
}

static void frequent_calls_need_fewer_frames(void **state)
{
  const struct counts without = run(0, 4800, 500), with = run(8, 4800, 500);

  (void)state;
  assert_true(with.at_once * 100 > with.calls * 94);
  assert_true(with.messages * 100 < with.calls * 315);
  assert_true(with.frames * 10 < without.frames * 8);
  assert_true(with.unused * 50 < with.standing);
}

static void near_saturation_it_costs_little(void **state)
{
  const struct counts without = run(0, 1200, 950), with = run(8, 1200, 950);

  (void)state;
  assert_true(with.failed <= without.failed + with.calls / 200);
  assert_true(with.calls * 100 >= without.calls * 99);
  assert_true(with.messages * 100 < without.messages * 110);
}

static void under_contention_there_are_only_tickets(void **state)
{
  const struct counts without = run(0, 1200, 1200), with = run(8, 1200, 1200);

  (void)state;
  assert_true(with.standing * 50 < with.calls);
  assert_true(with.messages * 100 < without.messages * 104);
  assert_true(with.wait_us * 100 < without.wait_us * 105);
  assert_true(with.calls - with.failed >= (without.calls - without.failed) * 99 / 100);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(at_half_load_most_calls_start_at_once),
      cmocka_unit_test(frequent_calls_need_fewer_frames),
      cmocka_unit_test(near_saturation_it_costs_little),
      cmocka_unit_test(under_contention_there_are_only_tickets),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
