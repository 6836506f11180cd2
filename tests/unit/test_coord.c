#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "coord_fixture.h"

static void a_hello_is_welcomed_with_epoch_and_rules(void **state)
{
  struct fixture *f = *state;

  assert_true(fixture_hello(f, 9, 1, 1) != 0);
  assert_int_equal(answer(f)->welcome.epoch, 1);
  assert_int_equal(answer(f)->welcome.heartbeat_us, SECOND);
  assert_int_equal(answer(f)->welcome.session_ttl_us, 3 * SECOND);
  assert_int_equal(answer(f)->welcome.asks_max, 32);
  assert_int_equal(answer(f)->mark, f->mark);
}

static void a_version_that_we_do_not_speak_is_refused(void **state)
{
  struct fixture *f = *state;
  struct weir_msg msg = {.type = WEIR_MSG_HELLO, .mark = 1};

  msg.hello.version_min = 7;
  msg.hello.version_max = 9;
  fixture_send(f, 9, &msg);
  assert_int_equal(answer(f)->type, WEIR_MSG_REFUSE);
  assert_int_equal(answer(f)->refuse.why, WEIR_REFUSAL_VERSION);
}

static void an_ask_that_fits_is_granted_at_once(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  assert_int_equal(fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 100, SECOND), WEIR_MSG_GRANT);
  assert_int_equal(answer(f)->grant.seq, 1);
  assert_int_equal(answer(f)->grant.start_in_us, 0);
  assert_int_equal(answer(f)->grant.ttl_us, 2 * SECOND);
  assert_int_equal(answer(f)->grant.since_us, 0);
  assert_string_equal(answer(f)->grant.pool, "flash");
  assert_string_equal(answer(f)->grant.model, "gemini/flash");
}

static void a_message_without_a_session_or_from_another_route_is_refused(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  assert_int_equal(fixture_ask(f, 9, s + 1, 1, WEIR_CLASS_ONLINE, 1, 0), WEIR_MSG_REFUSE);
  assert_int_equal(fixture_ask(f, 8, s, 1, WEIR_CLASS_ONLINE, 1, 0), WEIR_MSG_REFUSE);
  assert_int_equal(answer(f)->refuse.why, WEIR_REFUSAL_SESSION);
  assert_int_equal(counter(f, WEIR_COUNTER_REFUSED), 2);
}

static void a_full_window_queues_and_the_grant_is_pushed_when_it_frees(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);
  weir_tstamp began = f->now;

  fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0);
  fixture_ask(f, 9, s, 2, WEIR_CLASS_ONLINE, 1, 0);
  assert_int_equal(fixture_ask(f, 9, s, 3, WEIR_CLASS_ONLINE, 1, 2 * MINUTE), WEIR_MSG_QUEUED);
  assert_true(answer(f)->queued.eta_us > MINUTE + 2100 * MS);
  f->now += 2 * SECOND;
  fixture_settle(f, 9, s, 1, true, 1, WEIR_OUTCOME_OK);
  assert_int_equal(f->update.count, 0);
  while (f->update.count == 0) { /* the shim lives on */
    struct weir_msg ping = {.type = WEIR_MSG_PING, .session = s, .mark = ++f->mark};

    fixture_run(f, f->now + SECOND);
    if (f->update.count == 0)
      fixture_send(f, 9, &ping);
    if (f->update.count > 0 && answer(f)->type == WEIR_MSG_PONG)
      f->update.count = 0;
  }
  assert_int_equal(answer(f)->type, WEIR_MSG_GRANT);
  assert_int_equal(answer(f)->grant.seq, 3);
  /* Lease 1 was written when the settle says: now - 0 s ago, arrival at most 100 ms later. */
  assert_true(f->now + answer(f)->grant.start_in_us > began + 2 * SECOND + 100 * MS + MINUTE);
  assert_true(f->now + answer(f)->grant.start_in_us <
              began + 2 * SECOND + 100 * MS + MINUTE + 50 * MS);
  assert_true(answer(f)->grant.start_in_us <= WEIR_COORD_HORIZON_US);
}

static void an_ask_whose_earliest_start_is_past_its_deadline_is_denied_with_the_eta(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0);
  fixture_ask(f, 9, s, 2, WEIR_CLASS_ONLINE, 1, 0);
  assert_int_equal(fixture_ask(f, 9, s, 3, WEIR_CLASS_ONLINE, 1, 10 * SECOND), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_DEADLINE);
  assert_true(answer(f)->deny.retry_in_us > MINUTE);
  assert_int_equal(answer(f)->deny.dimension, WEIR_DIMENSION_REQUESTS);
  assert_int_equal(answer(f)->deny.amount, 2);
}

static void an_ask_larger_than_the_limit_is_denied_with_the_numbers(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  assert_int_equal(fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 60001, MINUTE), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_TOO_LARGE);
  assert_int_equal(answer(f)->deny.cost, 60001);
  assert_int_equal(answer(f)->deny.amount, 60000);
  assert_int_equal(answer(f)->deny.window_us, MINUTE);
  assert_int_equal(answer(f)->deny.retry_in_us, WEIR_DURATION_MAX);
}

static void an_unknown_model_is_denied_and_a_route_resolves(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);
  struct weir_msg msg = {.type = WEIR_MSG_ASK, .session = s, .mark = ++f->mark};

  msg.ask.seq = 1;
  msg.ask.class = WEIR_CLASS_ONLINE;
  msg.ask.requests = 1;
  strcpy(msg.ask.model, "gemini/none");
  fixture_send(f, 9, &msg);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_NO_POOL);
  strcpy(msg.ask.model, "fast");
  fixture_send(f, 9, &msg);
  assert_int_equal(answer(f)->type, WEIR_MSG_GRANT);
  assert_string_equal(answer(f)->grant.model, "gemini/flash");
}

static void a_replayed_ask_gets_the_same_lease_and_charges_nothing_more(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0);
  f->now += 500 * MS;
  assert_int_equal(fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0), WEIR_MSG_GRANT);
  /* The end stays where it was, so that the charge still covers it. */
  assert_int_equal(answer(f)->grant.start_in_us, 0);
  assert_int_equal(answer(f)->grant.ttl_us, 1500 * MS);
  assert_int_equal(counter(f, WEIR_COUNTER_GRANTS), 1);
  assert_int_equal(counter(f, WEIR_COUNTER_REPLAYS), 1);
  assert_int_equal(fixture_ask(f, 9, s, 2, WEIR_CLASS_ONLINE, 1, 0), WEIR_MSG_GRANT);
}

static void a_replayed_ask_that_waits_keeps_its_place(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  for (uint64_t seq = 1; seq <= 4; seq++)
    fixture_ask(f, 9, s, seq, WEIR_CLASS_ONLINE, 1, 3 * MINUTE);
  assert_int_equal(fixture_ask(f, 9, s, 3, WEIR_CLASS_ONLINE, 1, 3 * MINUTE), WEIR_MSG_QUEUED);
  assert_int_equal(counter(f, WEIR_COUNTER_ASKS), 4);
  assert_int_equal(counter(f, WEIR_COUNTER_QUEUED), 2);
}

static void an_ask_that_is_over_is_finished_and_never_granted_twice(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0);
  fixture_settle(f, 9, s, 1, false, 0, WEIR_OUTCOME_CANCELLED);
  assert_int_equal(fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_FINISHED);
  assert_int_equal(counter(f, WEIR_COUNTER_GRANTS), 1);
}

static void a_replay_of_a_lease_whose_time_is_over_is_finished(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0);
  f->now += 2 * SECOND;
  assert_int_equal(fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_FINISHED);
}

static void settling_twice_counts_once(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0);
  fixture_settle(f, 9, s, 1, true, 1, WEIR_OUTCOME_OK);
  fixture_settle(f, 9, s, 1, true, 1, WEIR_OUTCOME_OK);
  assert_int_equal(counter(f, WEIR_COUNTER_SETTLED), 1);
  assert_int_equal(counter(f, WEIR_COUNTER_SETTLED_LATE), 1);
}

static void an_unused_lease_frees_its_place_for_who_waits(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  for (uint64_t seq = 1; seq <= 3; seq++)
    fixture_ask(f, 9, s, seq, WEIR_CLASS_ONLINE, 1, 3 * MINUTE);
  fixture_settle(f, 9, s, 1, false, 0, WEIR_OUTCOME_CANCELLED);
  assert_int_equal(answer(f)->type, WEIR_MSG_GRANT);
  assert_int_equal(answer(f)->grant.seq, 3);
  assert_int_equal(answer(f)->grant.start_in_us, 0);
}

static void online_goes_before_batch(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fixture_ask(f, 9, s, 1, WEIR_CLASS_BATCH, 1, 3 * MINUTE);
  fixture_ask(f, 9, s, 2, WEIR_CLASS_BATCH, 1, 3 * MINUTE);
  fixture_ask(f, 9, s, 3, WEIR_CLASS_BATCH, 1, 3 * MINUTE);
  fixture_ask(f, 9, s, 4, WEIR_CLASS_ONLINE, 1, 3 * MINUTE);
  fixture_settle(f, 9, s, 1, false, 0, WEIR_OUTCOME_CANCELLED);
  assert_int_equal(answer(f)->grant.seq, 4);
}

/* Opens a session on a machine that has room for hundreds that wait. */
static uint64_t open_roomy(struct fixture *g)
{
  const struct weir_coord_bounds bounds = {.pools_max = 4,
                                           .names_max = 8,
                                           .sessions_max = 8,
                                           .asks_max = 512,
                                           .leases_max = 512,
                                           .budgets_max = 4,
                                           .tenants_max = 64};

  g->config.pools = g->pools;
  g->config.names = g->names;
  g->config.budgets = g->budgets;
  g->config.session_ttl_us = 3000 * SECOND;
  g->config.asks_max = 400;
  fixture_start(g, &bounds, &first_start);
  return fixture_hello(g, 9, 1, 1);
}

/* The share of batch, in thousandths of all tokens, of 1200 calls when each class always has
 * somebody waiting: every lease is used at once and followed by a new ask of its class. */
static uint64_t share_of_batch(struct fixture *g, uint64_t online, uint64_t batch)
{
  const enum weir_class classes[] = {WEIR_CLASS_BATCH, WEIR_CLASS_ONLINE};
  const uint64_t tokens[] = {batch, online};
  uint64_t s, used[] = {0, 0};

  s = open_roomy(g);
  for (uint64_t seq = 1; seq <= 300; seq++) /* odd numbers are online */
    fixture_ask(g, 9, s, seq, classes[seq % 2], tokens[seq % 2], 900 * MINUTE);
  for (uint32_t i = 0, seq = 300; i < 1200; i++) {
    uint32_t which;

    while (g->granted_count == i)
      fixture_run(g, g->now + MINUTE);
    which = g->granted[i] % 2;
    used[which] += tokens[which];
    fixture_settle(g, 9, s, g->granted[i], true, tokens[which], WEIR_OUTCOME_OK);
    seq += seq % 2 == which ? 2 : 1;
    fixture_ask(g, 9, s, seq, classes[which], tokens[which], 900 * MINUTE);
  }
  fixture_free(g);
  return used[0] * 1000 / (used[0] + used[1]);
}

static void batch_gets_its_floor_beside_a_saturating_online_load(void **state)
{
  struct fixture g = fixture_of(60, 60000);

  (void)state;
  /* The first minute's burst was split evenly; the floor is a tenth of the other nineteen. */
  assert_in_range(share_of_batch(&g, 1, 1), 100, 135);
}

static void batch_gets_its_floor_of_calls_in_flight(void **state)
{
  struct fixture g = fixture_of(60, 60000);

  (void)state;
  g.pools[0].limits_count = 1;
  g.pools[0].limits[0] =
      (struct weir_limit_config){.dimension = WEIR_DIMENSION_IN_FLIGHT, .amount = 4};
  assert_in_range(share_of_batch(&g, 1, 1), 95, 105);
}

/* By what is short, and not by the number of calls. */
static void batch_gets_its_floor_of_a_budget_that_its_pool_shares(void **state)
{
  struct fixture g = fixture_of(6000, 600000000);

  (void)state;
  strcpy(g.budgets[0].name, "project");
  g.budgets[0].limits_count = 1;
  g.budgets[0].limits[0] = (struct weir_limit_config){
      .dimension = WEIR_DIMENSION_INPUT_TOKENS, .window_us = MINUTE, .amount = 60000};
  g.config.budgets_count = 1;
  g.pools[0].budgets_count = 1;
  assert_in_range(share_of_batch(&g, 1000, 5000), 90, 160);
}

static void batch_gets_its_floor_of_money(void **state)
{
  struct fixture g = fixture_of(60, 60000);

  (void)state;
  g.pools[0].price_input = 1000000;
  g.pools[0].limits_count = 1;
  g.pools[0].limits[0] = (struct weir_limit_config){
      .dimension = WEIR_DIMENSION_SPEND, .window_us = MINUTE, .amount = 60000};
  assert_in_range(share_of_batch(&g, 1000, 5000), 90, 160);
}

/* A minute of online work always waits, so all of it is never over in time for batch; its floor is.
 */
static void batch_is_not_denied_what_its_floor_gives_it_in_time(void **state)
{
  struct fixture g = fixture_of(60, 60000);
  uint64_t s, seq = 0;

  (void)state;
  s = open_roomy(&g);
  while (seq < 180)
    fixture_ask(&g, 9, s, ++seq, WEIR_CLASS_ONLINE, 1, 100 * MINUTE);
  assert_int_equal(fixture_ask(&g, 9, s, 1000, WEIR_CLASS_BATCH, 1, 90 * SECOND), WEIR_MSG_QUEUED);
  while (g.granted_count < 60 + 9 + 1)
    fixture_run(&g, g.now + SECOND);
  assert_int_equal(g.granted[60 + 9], 1000);
  /* Behind ten of its class it cannot be. */
  for (seq = 2000; seq < 2010; seq++)
    fixture_ask(&g, 9, s, seq, WEIR_CLASS_BATCH, 1, 100 * MINUTE);
  assert_int_equal(fixture_ask(&g, 9, s, 3000, WEIR_CLASS_BATCH, 1, 60 * SECOND), WEIR_MSG_DENY);
  fixture_free(&g);
}

/* Batch had the whole quota for two minutes: the burst of online work that comes then does not give
 * it a tenth on top. But no longer than a minute's floor makes up for. */
static void batch_that_had_more_than_its_floor_waits_for_a_burst_of_online_work(void **state)
{
  struct fixture g = fixture_of(60, 60000);
  uint64_t s, seq = 0;
  uint32_t granted, batch = 0;

  (void)state;
  s = open_roomy(&g);
  while (seq < 300)
    fixture_ask(&g, 9, s, ++seq, WEIR_CLASS_BATCH, 1, 100 * MINUTE);
  fixture_run(&g, g.now + 119 * SECOND);
  granted = g.granted_count;
  assert_in_range(granted, 100, 125);
  while (seq < 400)
    fixture_ask(&g, 9, s, ++seq, WEIR_CLASS_ONLINE, 1, 100 * MINUTE);
  while (g.granted_count < granted + 80)
    fixture_run(&g, g.now + SECOND);
  for (uint32_t i = granted; i < granted + 80; i++) {
    if (g.granted[i] <= 300)
      batch++;
    if (i == granted + 49)
      assert_int_equal(batch, 0);
  }
  assert_in_range(batch, 1, 8);
  fixture_free(&g);
}

/* Ten requests a second, in any second. Were those that wait let in as soon as a second has room,
 * the ten that were let in at once would come back at once for ever, and whoever asks just after
 * that would wait for a second. */
static void
an_online_call_beside_a_batch_backlog_waits_for_a_step_and_not_for_a_second(void **state)
{
  const weir_duration step = 100 * MS, slack = 60 * MS;
  struct fixture g = fixture_of(600, 600000);
  weir_tstamp asked_at;
  uint64_t s;

  (void)state;
  g.config.pools = g.pools;
  g.config.names = g.names;
  g.config.session_ttl_us = 3000 * SECOND;
  g.config.asks_max = 60;
  g.pools[0].rules.profile = WEIR_PROFILE_PACED;
  g.pools[0].ttl_us = 4 * MS;
  g.pools[0].jitter_us = 20 * MS;
  fixture_start(&g, &small_bounds, &first_start);
  s = fixture_hello(&g, 9, 1, 1);
  for (uint64_t seq = 1; seq <= 60; seq++)
    fixture_ask(&g, 9, s, seq, WEIR_CLASS_BATCH, 1, 100 * MINUTE);
  assert_int_equal(g.granted_count, 10); /* nobody else waited: they went at once */
  asked_at = g.now + 2300 * MS;
  while (g.now < asked_at)
    fixture_run(&g, asked_at);
  fixture_ask(&g, 9, s, 1000, WEIR_CLASS_ONLINE, 1, 100 * MINUTE);
  while (g.granted[g.granted_count - 1] != 1000 && g.now < asked_at + 2 * SECOND)
    fixture_run(&g, asked_at + 2 * SECOND);
  assert_int_equal(g.granted[g.granted_count - 1], 1000);
  assert_true(g.now + answer(&g)->grant.start_in_us <= asked_at + step + slack);
  assert_in_range(g.granted_count, 20, 25); /* and nothing of the quota is lost */
  fixture_free(&g);
}

static void a_silent_session_ends_and_its_asks_vanish_but_its_leases_stay_charged(void **state)
{
  struct fixture *f = *state;
  uint64_t dead = fixture_hello(f, 9, 1, 1), live;

  fixture_ask(f, 9, dead, 1, WEIR_CLASS_ONLINE, 1, 0);
  fixture_ask(f, 9, dead, 2, WEIR_CLASS_ONLINE, 1, 0);
  fixture_ask(f, 9, dead, 3, WEIR_CLASS_ONLINE, 1, 3 * MINUTE);
  f->now += 2900 * MS;
  live = fixture_hello(f, 10, 2, 1);
  assert_int_equal(fixture_ask(f, 10, live, 1, WEIR_CLASS_ONLINE, 1, 3 * MINUTE), WEIR_MSG_QUEUED);
  fixture_run(f, f->now + 200 * MS);
  assert_int_equal(counter(f, WEIR_COUNTER_SESSIONS_LOST), 1);
  assert_int_equal(fixture_ask(f, 9, dead, 4, WEIR_CLASS_ONLINE, 1, 0), WEIR_MSG_REFUSE);
  /* The window is still full of the dead one's leases, for nobody knows whether they were used. */
  assert_int_equal(fixture_ask(f, 10, live, 2, WEIR_CLASS_ONLINE, 1, 10 * SECOND), WEIR_MSG_DENY);
}

static void an_instance_that_returns_finds_its_leases_and_settles_them(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0);
  fixture_run(f, f->now + 4 * SECOND);
  assert_int_equal(counter(f, WEIR_COUNTER_SESSIONS_LOST), 1);
  s = fixture_hello(f, 11, 1, 2);
  assert_true(s != 0);
  fixture_settle(f, 11, s, 1, true, 1, WEIR_OUTCOME_OK);
  assert_int_equal(counter(f, WEIR_COUNTER_SETTLED), 1);
}

static void an_older_incarnation_is_refused_as_stale(void **state)
{
  struct fixture *f = *state;

  fixture_hello(f, 9, 1, 5);
  assert_int_equal(fixture_hello(f, 10, 1, 4), 0);
  assert_int_equal(answer(f)->refuse.why, WEIR_REFUSAL_STALE);
}

static void a_repeated_hello_keeps_the_session_and_what_waits_in_it(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  for (uint64_t seq = 1; seq <= 3; seq++)
    fixture_ask(f, 9, s, seq, WEIR_CLASS_ONLINE, 1, 3 * MINUTE);
  assert_true(fixture_hello(f, 9, 1, 1) == s);
  assert_true(fixture_hello(f, 12, 1, 2) != s);
  s = answer(f)->session;
  assert_int_equal(fixture_ask(f, 12, s, 3, WEIR_CLASS_ONLINE, 1, 3 * MINUTE), WEIR_MSG_QUEUED);
  assert_int_equal(counter(f, WEIR_COUNTER_ASKS), 3);
}

static void a_lease_that_is_never_settled_is_counted_as_lost_once(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0);
  fixture_run(f, f->now + 20 * MINUTE);
  assert_int_equal(counter(f, WEIR_COUNTER_LOST), 1);
  assert_true(weir_coord_wake(f->coord) == WEIR_NEVER);
}

static void a_cancelled_ask_leaves_the_queue(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);
  struct weir_msg cancel = {.type = WEIR_MSG_CANCEL, .session = s};

  for (uint64_t seq = 1; seq <= 3; seq++)
    fixture_ask(f, 9, s, seq, WEIR_CLASS_ONLINE, 1, 3 * MINUTE);
  cancel.cancel.seq = 3;
  fixture_send(f, 9, &cancel);
  assert_int_equal(counter(f, WEIR_COUNTER_CANCELLED), 1);
  fixture_settle(f, 9, s, 1, false, 0, WEIR_OUTCOME_CANCELLED);
  assert_int_equal(f->update.count, 0);
}

static void an_ask_that_waited_to_its_deadline_is_denied(void **state)
{
  struct fixture *f = *state;
  uint64_t s;

  f->config.session_ttl_us = 3000 * SECOND;
  fixture_free(f);
  memset(&f->update, 0, sizeof(f->update));
  fixture_start(f, &small_bounds, &first_start);
  s = fixture_hello(f, 9, 1, 1);
  fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0);
  fixture_ask(f, 9, s, 2, WEIR_CLASS_ONLINE, 1, 0);
  assert_int_equal(fixture_ask(f, 9, s, 3, WEIR_CLASS_ONLINE, 1, 62500 * MS), WEIR_MSG_QUEUED);
  /* Upstream says "not before two minutes": the head of the queue cannot make it any more. */
  f->now += SECOND;
  {
    struct weir_msg msg = {.type = WEIR_MSG_SETTLE, .session = s, .mark = ++f->mark};

    msg.settle.seq = 1;
    msg.settle.is_sent = msg.settle.is_final = true;
    msg.settle.outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS;
    msg.settle.retry_after_us = 2 * MINUTE;
    fixture_send(f, 9, &msg);
  }
  assert_int_equal(answer(f)->type, WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_DEADLINE);
  assert_int_equal(answer(f)->deny.seq, 3);
}

static void a_rejection_by_the_provider_freezes_the_pool_for_everybody(void **state)
{
  struct fixture g = fixture_of(600, 60000);
  uint64_t s, other;

  (void)state;
  g.pools[0].rules.is_fixed = true; /* no stricter gates beside the wait */
  g.config.pools = g.pools;
  g.config.names = g.names;
  fixture_start(&g, &small_bounds, &first_start);
  s = fixture_hello(&g, 9, 1, 1);
  other = fixture_hello(&g, 10, 2, 1);
  fixture_ask(&g, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0);
  fixture_settle(&g, 9, s, 1, true, 1, WEIR_OUTCOME_QUOTA_MINUTE_TOKENS);
  assert_int_equal(fixture_ask(&g, 10, other, 1, WEIR_CLASS_ONLINE, 1, 10 * SECOND),
                   WEIR_MSG_QUEUED);
  assert_int_equal(g.update.sends[0].msg.queued.eta_us, 5 * SECOND);
  assert_int_equal(weir_coord_counter(g.coord, WEIR_COUNTER_REJECTED_429), 1);
  fixture_free(&g);
}

static void a_session_may_not_have_more_asks_waiting_than_it_was_told(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  for (uint64_t seq = 1; seq <= 2 + 32; seq++)
    fixture_ask(f, 9, s, seq, WEIR_CLASS_ONLINE, 1, 100 * MINUTE);
  assert_int_equal(fixture_ask(f, 9, s, 99, WEIR_CLASS_ONLINE, 1, 100 * MINUTE), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_QUEUE_FULL);
}

static void a_full_session_table_refuses_and_a_bye_makes_room(void **state)
{
  struct fixture *f = *state;
  struct weir_msg bye = {.type = WEIR_MSG_BYE};
  uint64_t s = 0;

  for (uint8_t i = 1; i <= small_bounds.sessions_max; i++)
    s = fixture_hello(f, i, i, 1);
  assert_int_equal(fixture_hello(f, 99, 99, 1), 0);
  assert_int_equal(answer(f)->refuse.why, WEIR_REFUSAL_FULL);
  bye.session = s;
  fixture_send(f, small_bounds.sessions_max, &bye);
  assert_true(fixture_hello(f, 99, 99, 1) != 0);
}

static void a_place_among_the_leases_goes_to_who_waits_in_another_pool(void **state)
{
  const struct weir_coord_bounds bounds = {.pools_max = 4,
                                           .names_max = 8,
                                           .sessions_max = 8,
                                           .asks_max = 64,
                                           .leases_max = 2,
                                           .budgets_max = 4,
                                           .tenants_max = 64};
  struct fixture f = fixture_of(600, 60000);
  struct weir_msg other = {.type = WEIR_MSG_ASK};
  uint64_t s;

  (void)state;
  f.config.pools = f.pools;
  f.config.names = f.names;
  add_other_pool(&f);
  fixture_start(&f, &bounds, &first_start);
  s = fixture_hello(&f, 9, 1, 1);
  for (uint64_t seq = 1; seq <= 4; seq++)
    fixture_ask(&f, 9, s, seq, WEIR_CLASS_ONLINE, 1, MINUTE);
  assert_int_equal(f.granted_count, 2);
  other.session = s;
  other.mark = ++f.mark;
  other.ask = (struct weir_msg_ask){.seq = 9, .class = WEIR_CLASS_ONLINE, .requests = 1};
  other.ask.deadline_us = MINUTE;
  strcpy(other.ask.model, "gemini/other");
  fixture_send(&f, 9, &other);
  assert_int_equal(answer(&f)->type, WEIR_MSG_QUEUED);
  /* Both pools wait, and each gets one of the two places, whoever gave them back. */
  for (uint64_t seq = 1; seq <= 2; seq++) {
    fixture_settle(&f, 9, s, seq, true, 1, WEIR_OUTCOME_OK);
    while (fixture_run(&f, f.now) > 0)
      ;
  }
  assert_int_equal(f.granted_count, 4);
  assert_true(f.granted[2] == 9 || f.granted[3] == 9);
  fixture_free(&f);
}

static void rows_tell_what_the_books_hold(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);
  struct weir_msg show = {.type = WEIR_MSG_SHOW};
  const struct weir_msg_row *row;

  for (uint64_t seq = 1; seq <= 3; seq++)
    fixture_ask(f, 9, s, seq, WEIR_CLASS_ONLINE, 100, 3 * MINUTE);
  show.show.view = WEIR_VIEW_POOLS;
  fixture_send(f, 77, &show);
  row = &answer(f)->row;
  assert_int_equal(row->rows, 1);
  assert_string_equal(row->pool, "flash");
  assert_int_equal(row->limits[1].used, 200);
  assert_int_equal(row->limits[1].amount, 60000);
  assert_int_equal(row->queued[WEIR_CLASS_ONLINE], 1);
  assert_int_equal(row->leases, 2);
  show.show.view = WEIR_VIEW_TOTALS;
  fixture_send(f, 77, &show);
  assert_int_equal(answer(f)->row.counters[WEIR_COUNTER_GRANTS], 2);
  assert_int_equal(answer(f)->row.sessions, 1);
}

/* Far more waiters become free at once than one update holds. */
static void a_full_update_continues_at_the_next_step(void **state)
{
  const struct weir_coord_bounds bounds = {.pools_max = 4,
                                           .names_max = 8,
                                           .sessions_max = 64,
                                           .asks_max = 4096,
                                           .leases_max = 4096,
                                           .budgets_max = 4,
                                           .tenants_max = 64};
  struct fixture f = fixture_of(2000, 1000000);
  struct weir_coord_event event = {.type = WEIR_COORD_CONFIG, .config = &f.config};
  uint64_t sessions[40];
  uint32_t grants = 0;

  (void)state;
  f.config.pools = f.pools;
  f.config.names = f.names;
  f.pools[0].limits[0].amount = 1;
  fixture_start(&f, &bounds, &first_start);
  for (uint8_t i = 0; i < 40; i++)
    sessions[i] = fixture_hello(&f, i, i, 1);
  for (uint64_t i = 0; i < 1001; i++)
    fixture_ask(&f, i % 40, sessions[i % 40], i + 1, WEIR_CLASS_ONLINE, 1, 2000 * MINUTE);
  f.pools[0].limits[0].amount = 2000;
  event.now = f.now;
  assert_int_equal(weir_coord_step(f.coord, &event, &f.update), WEIR_OK);
  while (fixture_run(&f, f.now) > 0) {
    assert_true(f.update.count <= WEIR_COORD_SENDS_MAX);
    grants += f.update.count;
  }
  assert_int_equal(grants, 1000);
  fixture_free(&f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_hello_is_welcomed_with_epoch_and_rules),
      TEST(a_version_that_we_do_not_speak_is_refused),
      TEST(an_ask_that_fits_is_granted_at_once),
      TEST(a_message_without_a_session_or_from_another_route_is_refused),
      TEST(a_full_window_queues_and_the_grant_is_pushed_when_it_frees),
      TEST(an_ask_whose_earliest_start_is_past_its_deadline_is_denied_with_the_eta),
      TEST(an_ask_larger_than_the_limit_is_denied_with_the_numbers),
      TEST(an_unknown_model_is_denied_and_a_route_resolves),
      TEST(a_replayed_ask_gets_the_same_lease_and_charges_nothing_more),
      TEST(a_replayed_ask_that_waits_keeps_its_place),
      TEST(an_ask_that_is_over_is_finished_and_never_granted_twice),
      TEST(a_replay_of_a_lease_whose_time_is_over_is_finished),
      TEST(settling_twice_counts_once),
      TEST(an_unused_lease_frees_its_place_for_who_waits),
      TEST(online_goes_before_batch),
      TEST(batch_gets_its_floor_beside_a_saturating_online_load),
      TEST(batch_is_not_denied_what_its_floor_gives_it_in_time),
      TEST(batch_gets_its_floor_of_calls_in_flight),
      TEST(batch_gets_its_floor_of_a_budget_that_its_pool_shares),
      TEST(batch_gets_its_floor_of_money),
      TEST(batch_that_had_more_than_its_floor_waits_for_a_burst_of_online_work),
      TEST(an_online_call_beside_a_batch_backlog_waits_for_a_step_and_not_for_a_second),
      TEST(a_silent_session_ends_and_its_asks_vanish_but_its_leases_stay_charged),
      TEST(an_instance_that_returns_finds_its_leases_and_settles_them),
      TEST(an_older_incarnation_is_refused_as_stale),
      TEST(a_repeated_hello_keeps_the_session_and_what_waits_in_it),
      TEST(a_lease_that_is_never_settled_is_counted_as_lost_once),
      TEST(a_cancelled_ask_leaves_the_queue),
      TEST(an_ask_that_waited_to_its_deadline_is_denied),
      TEST(a_rejection_by_the_provider_freezes_the_pool_for_everybody),
      TEST(a_session_may_not_have_more_asks_waiting_than_it_was_told),
      TEST(a_full_session_table_refuses_and_a_bye_makes_room),
      TEST(a_place_among_the_leases_goes_to_who_waits_in_another_pool),
      TEST(rows_tell_what_the_books_hold),
      TEST(a_full_update_continues_at_the_next_step),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
