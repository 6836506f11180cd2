/* Leases ahead of need: the client machine in virtual time, against a coordinator that says what
 * each test wants. What it brings is measured in test_wallet_load.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include <weir/rng.h>

#include "client_fixture.h"

#define WALLET  4
#define GAP     (100 * MS)
#define RTT     MS
#define WARM_UP 8 /* calls until the wallet is filled */

static const struct weir_client_config config = {
    .calls_max = 64, .settlements_max = 64, .wallet_max = WALLET, .seed = 42, .name = "test"};

/* A fixture and what the coordinator has answered so far. */
struct talk {
  struct fixture *f;
  uint32_t heard; /* of |f->sent| */
  uint64_t cookie;
};

static struct talk talk_open(void)
{
  struct talk t = {.f = fixture_make(&config)};

  fixture_link(t.f, true);
  fixture_welcome(t.f, TOKEN, 16);
  return t;
}

static void grant_for(struct fixture *f, const struct weir_msg *ask, weir_duration ttl,
                      bool is_reported)
{
  struct weir_msg msg;

  f->mark = ask->mark;
  msg = fixture_say(f, WEIR_MSG_GRANT);
  msg.grant = (struct weir_msg_grant){.seq = ask->ask.seq,
                                      .ttl_us = ttl,
                                      .pool = "flash",
                                      .model = "gemini/flash",
                                      .is_reported = is_reported};
  fixture_receive(f, &msg);
}

/* Grants what was asked since the last time. */
static void grant_all(struct talk *t)
{
  while (t->heard < t->f->sent_count) {
    const struct weir_msg *msg = &t->f->sent[t->heard++];

    if (msg->type == WEIR_MSG_ASK)
      grant_for(t->f, msg, TTL, false);
  }
}

/* Lets |time| pass; the coordinator lives, but answers no ask. */
static void pass(struct talk *t, weir_duration time)
{
  const weir_tstamp until = t->f->now + time;

  while (t->f->now < until) {
    struct weir_msg pong;
    const weir_tstamp then = t->f->now + HEARTBEAT / 2;

    fixture_hear(t->f);
    pong = fixture_say(t->f, WEIR_MSG_PONG);
    fixture_receive(t->f, &pong);
    fixture_run_to(t->f, then < until ? then : until);
  }
}

static uint32_t standing_asks(const struct fixture *f)
{
  uint32_t count = 0;

  for (uint32_t i = 0; i < f->sent_count; i++)
    count += f->sent[i].type == WEIR_MSG_ASK && f->sent[i].ask.is_standing;
  return count;
}

static uint32_t caller_asks(const struct fixture *f)
{
  return fixture_count(f, WEIR_MSG_ASK) - standing_asks(f);
}

static uint32_t returned(const struct fixture *f)
{
  uint32_t count = 0;

  for (uint32_t i = 0; i < f->sent_count; i++)
    count += f->sent[i].type == WEIR_MSG_SETTLE && !f->sent[i].settle.is_sent;
  return count;
}

static void call_as(struct talk *t, const struct weir_msg_ask *msg)
{
  const struct weir_client_ask ask = {.msg = *msg, .wait_us = 10 * SECOND};
  struct weir_client_event event = {
      .type = WEIR_CLIENT_ASK, .cookie = ++t->cookie, .context = t->cookie, .ask = &ask};

  assert_int_equal(fixture_step(t->f, &event), WEIR_OK);
}

static void call(struct talk *t, uint64_t tokens)
{
  const struct weir_msg_ask ask = {
      .model = "gemini/flash", .class = WEIR_CLASS_ONLINE, .requests = 1, .input_tokens = tokens};

  call_as(t, &ask);
}

/* The last call is settled, or has no lease. */
static void settle_last(struct talk *t)
{
  (void)!fixture_settle(t->f, t->cookie, true);
}

/* |count| calls, one every GAP, each granted after RTT and settled. */
static void call_steadily(struct talk *t, uint32_t count)
{
  for (uint32_t i = 0; i < count; i++) {
    call(t, 100);
    fixture_run_to(t->f, t->f->now + RTT);
    grant_all(t);
    settle_last(t);
    fixture_run_to(t->f, t->f->now + GAP - RTT);
  }
}

static struct talk talk_warm(void)
{
  struct talk t = talk_open();

  call_steadily(&t, WARM_UP);
  assert_in_range(fixture_status(t.f).standing, 1, WALLET);
  return t;
}

static void talk_free(struct talk *t)
{
  fixture_free(t->f);
}

/* ---- using it ---- */

static void a_steady_caller_does_not_wait(void **state)
{
  struct talk t = talk_warm();
  const uint32_t asks = caller_asks(t.f), results = t.f->results_count;

  (void)state;
  call_steadily(&t, 100);
  assert_int_equal(caller_asks(t.f), asks);
  assert_int_equal(t.f->results_count, results + 100);
  for (uint32_t i = results; i < t.f->results_count; i++) {
    assert_int_equal(t.f->results[i].type, WEIR_CLIENT_GRANTED);
    assert_int_equal(t.f->results[i].wait_us, 0);
    assert_string_equal(t.f->results[i].grant.model, "gemini/flash");
  }
  assert_int_equal(fixture_status(t.f).claims, 108 - asks);
  /* A lease for each call, and what is held now. */
  assert_int_equal(fixture_count(t.f, WEIR_MSG_ASK), 108 + fixture_status(t.f).standing);
  assert_int_equal(returned(t.f), 0);
  talk_free(&t);
}

static void half_a_wallet_is_asked_for_in_one_frame(void **state)
{
  struct talk t = talk_warm();
  uint32_t frames = 0, asks = 0;

  (void)state;
  for (int i = 0; i < 40; i++) {
    const uint32_t before = fixture_count(t.f, WEIR_MSG_ASK);

    call_steadily(&t, 1);
    frames += fixture_count(t.f, WEIR_MSG_ASK) > before;
    asks += fixture_count(t.f, WEIR_MSG_ASK) - before;
  }
  assert_in_range(asks, 39, 41);
  assert_in_range(frames, 19, 21);
  talk_free(&t);
}

static void a_standing_ask_is_now_or_never_and_for_one_call(void **state)
{
  struct talk t = talk_warm();

  (void)state;
  assert_true(standing_asks(t.f) > 0);
  for (uint32_t i = 0; i < t.f->sent_count; i++) {
    const struct weir_msg_ask *ask = &t.f->sent[i].ask;

    if (t.f->sent[i].type != WEIR_MSG_ASK || !ask->is_standing)
      continue;
    assert_int_equal(ask->deadline_us, 0);
    assert_int_equal(ask->requests, 1);
    assert_int_equal(ask->input_tokens, 100); /* all were the same */
    assert_int_equal(ask->class, WEIR_CLASS_ONLINE);
  }
  talk_free(&t);
}

static void no_lease_serves_two_calls(void **state)
{
  static uint8_t uses[8192];
  struct talk t = talk_warm();

  (void)state;
  call_steadily(&t, 200);
  memset(uses, 0, sizeof(uses));
  for (uint32_t i = 0; i < t.f->sent_count; i++) {
    if (t.f->sent[i].type == WEIR_MSG_SETTLE)
      assert_int_equal(uses[t.f->sent[i].settle.seq]++, 0);
  }
  for (uint32_t i = 0; i < t.f->results_count; i++)
    assert_int_equal(uses[t.f->results[i].grant.seq], 1);
  talk_free(&t);
}

static void a_lease_that_is_handed_out_has_time_left_for_the_request(void **state)
{
  struct talk t = talk_warm();
  struct weir_rng rng;
  const uint32_t from = t.f->results_count;

  (void)state;
  weir_rng_init(&rng, 7);
  for (int i = 0; i < 300; i++) {
    const uint32_t before = t.f->results_count;

    pass(&t, weir_rng_below(&rng, i % 50 ? 2 * GAP : 2 * TTL));
    call(&t, 100);
    if (t.f->results_count > before)
      assert_true(t.f->results[before].expires_at >= t.f->now + TTL / 4);
    fixture_run_to(t.f, t.f->now + RTT);
    grant_all(&t);
    settle_last(&t);
  }
  assert_int_equal(t.f->results_count, from + 300);
  assert_true(fixture_status(t.f).claims > 150);
  talk_free(&t);
}

static void a_lease_that_is_too_old_for_a_call_goes_back_although_calls_come(void **state)
{
  struct talk t = talk_warm();
  const uint32_t before = returned(t.f);

  (void)state;
  for (int i = 0; i < 4; i++) { /* the fourth of the wallet would be 1.8 s old */
    const uint32_t results = t.f->results_count;

    call(&t, 100);
    if (t.f->results_count > results)
      assert_true(t.f->results[results].expires_at >= t.f->now + TTL / 4);
    fixture_run_to(t.f, t.f->now + RTT);
    grant_all(&t);
    settle_last(&t);
    pass(&t, 6 * GAP - RTT);
  }
  assert_true(returned(t.f) > before);
  talk_free(&t);
}

static void a_call_larger_than_the_lease_asks_as_ever(void **state)
{
  struct talk t = talk_warm();
  const uint32_t asks = caller_asks(t.f), held = fixture_status(t.f).standing;

  (void)state;
  call(&t, 101);
  assert_int_equal(caller_asks(t.f), asks + 1);
  assert_int_equal(fixture_last(t.f, WEIR_MSG_ASK)->ask.input_tokens, 101);
  assert_int_equal(fixture_status(t.f).standing, held);
  call(&t, 99);
  assert_int_equal(caller_asks(t.f), asks + 1);
  assert_int_equal(fixture_status(t.f).standing, held - 1);
  talk_free(&t);
}

static void calls_of_varying_size_mostly_fit(void **state)
{
  struct talk t = talk_open();
  struct weir_rng rng;

  (void)state;
  weir_rng_init(&rng, 3);
  for (int i = 0; i < 200; i++) {
    call(&t, 500 + weir_rng_below(&rng, 1000));
    fixture_run_to(t.f, t.f->now + RTT);
    grant_all(&t);
    settle_last(&t);
    fixture_run_to(t.f, t.f->now + GAP - RTT);
  }
  assert_true(fixture_status(t.f).claims > 160);
  talk_free(&t);
}

static void one_huge_call_does_not_make_leases_huge(void **state)
{
  struct talk t = talk_warm();

  (void)state;
  call(&t, 1000000);
  t.f->sent_count = t.heard = 0;
  call_steadily(&t, 20);
  assert_true(standing_asks(t.f) > 0);
  for (uint32_t i = 0; i < t.f->sent_count; i++) {
    if (t.f->sent[i].type == WEIR_MSG_ASK)
      assert_in_range(t.f->sent[i].ask.input_tokens, 100, 400);
  }
  talk_free(&t);
}

static void only_calls_of_the_same_kind_are_served(void **state)
{
  const struct weir_msg_ask others[] = {
      {.model = "gemini/pro", .class = WEIR_CLASS_ONLINE, .requests = 1},
      {.model = "gemini/flash", .class = WEIR_CLASS_BATCH, .requests = 1},
      {.model = "gemini/flash", .class = WEIR_CLASS_ONLINE, .requests = 2},
      {.model = "gemini/flash", .class = WEIR_CLASS_ONLINE, .requests = 1, .output_tokens = 1},
      {.model = "gemini/flash", .class = WEIR_CLASS_ONLINE, .requests = 1, .tenant = "search"}};
  struct talk t = talk_warm();
  const uint32_t held = fixture_status(t.f).standing;

  (void)state;
  for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
    const uint32_t asks = caller_asks(t.f);

    call_as(&t, &others[i]);
    assert_int_equal(caller_asks(t.f), asks + 1);
    assert_int_equal(fixture_status(t.f).standing, held);
  }
  talk_free(&t);
}

static void batch_work_never_leases_ahead(void **state)
{
  const struct weir_msg_ask ask = {
      .model = "gemini/flash", .class = WEIR_CLASS_BATCH, .requests = 1};
  struct talk t = talk_open();

  (void)state;
  for (int i = 0; i < 50; i++) {
    call_as(&t, &ask);
    grant_all(&t);
    settle_last(&t);
    fixture_run_to(t.f, t.f->now + 10 * MS);
  }
  assert_int_equal(standing_asks(t.f), 0);
  talk_free(&t);
}

/* ---- how many ---- */

static void rare_calls_lease_nothing_ahead(void **state)
{
  struct talk t = talk_open();

  (void)state;
  for (int i = 0; i < 50; i++) {
    call(&t, 100);
    grant_all(&t);
    settle_last(&t);
    fixture_run_to(t.f, t.f->now + TTL / 2 + MS);
  }
  assert_int_equal(standing_asks(t.f), 0);
  talk_free(&t);
}

static void no_more_is_held_than_calls_come_in_half_a_ttl(void **state)
{
  struct talk t = talk_open();

  (void)state;
  for (int i = 0; i < 50; i++) {
    call(&t, 100);
    grant_all(&t);
    settle_last(&t);
    fixture_run_to(t.f, t.f->now + 400 * MS); /* 2.5 of them in a second */
    assert_true(fixture_status(t.f).standing <= 2);
  }
  assert_int_equal(fixture_status(t.f).standing, 2);
  talk_free(&t);
}

static void short_leases_and_reported_ones_are_not_held(void **state)
{
  (void)state;
  for (int is_reported = 0; is_reported < 2; is_reported++) {
    struct talk t = talk_open();

    for (int i = 0; i < 50; i++) {
      call(&t, 100);
      grant_for(t.f, fixture_last(t.f, WEIR_MSG_ASK), is_reported ? TTL : 40 * MS, is_reported);
      settle_last(&t);
      fixture_run_to(t.f, t.f->now + 10 * MS);
    }
    assert_int_equal(standing_asks(t.f), 0);
    talk_free(&t);
  }
}

static void standing_asks_leave_half_of_the_credit_to_calls(void **state)
{
  struct talk t = {.f = fixture_make(&config)};
  uint32_t asks;

  (void)state;
  fixture_link(t.f, true);
  fixture_welcome(t.f, TOKEN, 4);
  for (int i = 0; i < 10; i++) { /* what is standing gets no answer */
    call(&t, 100);
    while (t.heard < t.f->sent_count) {
      const struct weir_msg *msg = &t.f->sent[t.heard++];

      if (msg->type == WEIR_MSG_ASK && !msg->ask.is_standing)
        grant_for(t.f, msg, TTL, false);
    }
    settle_last(&t);
    fixture_run_to(t.f, t.f->now + GAP);
  }
  assert_int_equal(standing_asks(t.f), 2);
  asks = caller_asks(t.f);
  call(&t, 100);
  call(&t, 100);
  assert_int_equal(caller_asks(t.f), asks + 2);
  talk_free(&t);
}

static void a_wallet_that_was_used_longest_ago_makes_room_and_returns_its_leases(void **state)
{
  struct talk t = talk_warm();
  struct weir_msg_ask ask = {.model = "a", .class = WEIR_CLASS_ONLINE, .requests = 1};
  const uint32_t held = fixture_status(t.f).standing, before = returned(t.f);

  (void)state;
  for (int i = 0; i < WEIR_CLIENT_WALLETS; i++, ask.model[0]++)
    call_as(&t, &ask);
  assert_int_equal(fixture_status(t.f).standing, 0);
  assert_int_equal(returned(t.f), before + held);
  talk_free(&t);
}

/* ---- going back ---- */

static void what_is_not_used_goes_back_when_calls_cease(void **state)
{
  struct talk t = talk_warm();
  const uint32_t held = fixture_status(t.f).standing, before = returned(t.f);
  const uint32_t asks = fixture_count(t.f, WEIR_MSG_ASK);

  (void)state;
  fixture_run_to(t.f, t.f->now + TTL / 2);
  assert_int_equal(fixture_status(t.f).standing, 0);
  assert_int_equal(returned(t.f), before + held);
  assert_int_equal(fixture_count(t.f, WEIR_MSG_ASK), asks);
  assert_int_equal(fixture_status(t.f).calls, 0);
  talk_free(&t);
}

static void a_lease_goes_back_before_its_end_when_calls_are_too_large_for_it(void **state)
{
  struct talk t = talk_warm();
  const weir_tstamp began = t.f->now;

  (void)state;
  while (fixture_status(t.f).standing > 0) {
    call(&t, 1000000);
    fixture_deny(t.f, fixture_last(t.f, WEIR_MSG_ASK)->ask.seq, WEIR_DENIAL_DEADLINE);
    fixture_run_to(t.f, t.f->now + GAP);
    assert_true(t.f->now <= began + TTL);
  }
  assert_true(returned(t.f) > 0);
  talk_free(&t);
}

static void a_quota_rejection_returns_everything_at_once(void **state)
{
  struct talk t = talk_warm();
  struct weir_client_settle settle = {.msg = {.is_sent = true,
                                              .is_final = true,
                                              .outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS,
                                              .http = 429}};
  struct weir_client_event event = {.type = WEIR_CLIENT_SETTLE, .settle = &settle};

  (void)state;
  call(&t, 100);
  event.cookie = t.cookie;
  assert_int_equal(fixture_step(t.f, &event), WEIR_OK);
  assert_int_equal(fixture_status(t.f).standing, 0);
  t.f->sent_count = t.heard = 0;
  call_steadily(&t, 8);
  assert_int_equal(standing_asks(t.f), 0);
  talk_free(&t);
}

static void closing_returns_everything_before_goodbye(void **state)
{
  struct talk t = talk_warm();
  struct weir_client_event close = {.type = WEIR_CLIENT_CLOSE};
  const uint32_t held = fixture_status(t.f).standing, before = returned(t.f);

  (void)state;
  assert_int_equal(fixture_step(t.f, &close), WEIR_OK);
  fixture_settle_down(t.f);
  assert_int_equal(returned(t.f), before + held);
  assert_int_equal(t.f->sent[t.f->sent_count - 1].type, WEIR_MSG_BYE);
  assert_int_equal(weir_client_wake(t.f->client), WEIR_NEVER);
  talk_free(&t);
}

static void returns_push_out_no_settlement_of_a_call(void **state)
{
  struct weir_client_config own = config;
  struct talk t;
  uint64_t first;

  (void)state;
  own.settlements_max = 8;
  t = (struct talk){.f = fixture_make(&own)};
  fixture_link(t.f, true);
  fixture_welcome(t.f, TOKEN, 16);
  call_steadily(&t, WARM_UP);
  first = t.cookie + 1;
  for (int i = 0; i < 8; i++) {
    call(&t, 100);
    fixture_run_to(t.f, t.f->now + RTT);
    grant_all(&t);
  }
  assert_int_equal(fixture_status(t.f).settlements, 0);
  assert_true(fixture_status(t.f).standing > 0);
  fixture_link(t.f, false);
  for (uint64_t cookie = first; cookie <= t.cookie; cookie++)
    assert_int_equal(fixture_settle(t.f, cookie, true), WEIR_OK);
  fixture_run_to(t.f, t.f->now + TTL);
  assert_int_equal(fixture_status(t.f).standing, 0);
  assert_int_equal(fixture_status(t.f).settlements, 8);
  assert_int_equal(fixture_status(t.f).settlements_dropped, 0);
  talk_free(&t);
}

/* ---- others wait ---- */

static void contention_turns_it_off_for_ever_longer(void **state)
{
  struct talk t = talk_warm();
  weir_duration quiet = WEIR_CLIENT_QUIET_MIN_US;
  uint32_t probes;

  (void)state;
  for (int round = 0; round < 8; round++) {
    weir_tstamp from;

    /* Calls until there is another standing ask; it is denied. */
    probes = standing_asks(t.f);
    while (standing_asks(t.f) == probes) {
      call(&t, 100);
      if (!fixture_last(t.f, WEIR_MSG_ASK)->ask.is_standing)
        grant_all(&t);
      settle_last(&t);
      if (standing_asks(t.f) == probes)
        fixture_run_to(t.f, t.f->now + GAP);
    }
    assert_in_range(standing_asks(t.f) - probes, 1, round ? 1 : WALLET);
    from = t.f->now;
    for (uint32_t i = t.heard; i < t.f->sent_count; i++) {
      if (t.f->sent[i].type == WEIR_MSG_ASK)
        fixture_deny(t.f, t.f->sent[i].ask.seq, WEIR_DENIAL_BUSY);
    }
    t.heard = t.f->sent_count;
    t.f->sent_count = t.heard = t.f->results_count = 0;
    while (t.f->now + GAP < from + quiet) {
      call_steadily(&t, 1);
      assert_int_equal(standing_asks(t.f), 0);
      t.f->sent_count = t.heard = t.f->results_count = 0;
    }
    quiet = 2 * quiet < WEIR_CLIENT_QUIET_MAX_US ? 2 * quiet : WEIR_CLIENT_QUIET_MAX_US;
  }
  assert_int_equal(quiet, WEIR_CLIENT_QUIET_MAX_US);
  talk_free(&t);
}

static void a_call_that_has_to_queue_turns_it_off(void **state)
{
  struct talk t = talk_warm();
  uint32_t before;

  (void)state;
  call(&t, 1000);
  fixture_queued(t.f, fixture_last(t.f, WEIR_MSG_ASK)->ask.seq);
  t.heard = t.f->sent_count;
  before = standing_asks(t.f);
  call_steadily(&t, 8); /* uses up what is there, then asks for each */
  assert_int_equal(standing_asks(t.f), before);
  assert_int_equal(fixture_status(t.f).standing, 0);
  talk_free(&t);
}

static void a_call_that_is_too_large_for_the_limit_is_no_contention(void **state)
{
  struct talk t = talk_warm();
  uint32_t before;

  (void)state;
  call(&t, 100000);
  fixture_deny(t.f, fixture_last(t.f, WEIR_MSG_ASK)->ask.seq, WEIR_DENIAL_TOO_LARGE);
  t.heard = t.f->sent_count;
  before = standing_asks(t.f);
  call_steadily(&t, 8);
  assert_true(standing_asks(t.f) > before);
  talk_free(&t);
}

static void after_a_grant_it_is_filled_again(void **state)
{
  struct talk t = talk_warm();

  (void)state;
  call(&t, 1000);
  fixture_queued(t.f, fixture_last(t.f, WEIR_MSG_ASK)->ask.seq);
  t.heard = t.f->sent_count;
  call_steadily(&t, 30);
  assert_true(fixture_status(t.f).standing > 1);
  talk_free(&t);
}

/* ---- sessions ---- */

/* Calls until more is asked for ahead, which nobody answers. */
static uint64_t ask_ahead(struct talk *t)
{
  const uint32_t before = standing_asks(t->f);

  while (standing_asks(t->f) == before)
    call(t, 100);
  return fixture_last(t->f, WEIR_MSG_ASK)->ask.seq;
}

static void leases_outlive_the_session_and_asks_are_withdrawn(void **state)
{
  struct talk t = talk_warm();
  const uint64_t seq = ask_ahead(&t);
  const uint32_t held = fixture_status(t.f).standing;

  (void)state;
  assert_true(held > 0);
  fixture_link(t.f, false);
  t.f->results_count = 0;
  call(&t, 100);
  assert_int_equal(t.f->results_count, 1);
  assert_int_equal(t.f->results[0].type, WEIR_CLIENT_GRANTED);
  assert_int_equal(fixture_status(t.f).standing, held - 1);
  t.f->sent_count = 0;
  fixture_link(t.f, true);
  fixture_welcome(t.f, TOKEN + 1, 16);
  assert_int_equal(standing_asks(t.f), 0);
  assert_int_equal(fixture_last(t.f, WEIR_MSG_CANCEL)->cancel.seq, seq);
  assert_int_equal(fixture_last(t.f, WEIR_MSG_SETTLE)->settle.seq, seq);
  assert_false(fixture_last(t.f, WEIR_MSG_SETTLE)->settle.is_sent);
  talk_free(&t);
}

static void an_answer_that_was_lost_is_not_waited_for(void **state)
{
  struct talk t = talk_warm();
  const uint64_t seq = ask_ahead(&t);

  (void)state;
  pass(&t, TTL - MS);
  assert_null(fixture_last(t.f, WEIR_MSG_CANCEL));
  pass(&t, MS);
  assert_int_equal(fixture_last(t.f, WEIR_MSG_CANCEL)->cancel.seq, seq);
  t.heard = t.f->sent_count;
  call_steadily(&t, 20);
  assert_true(fixture_status(t.f).standing > 0);
  talk_free(&t);
}

/* libweir makes the machine anew in a forked child, in its copy of the storage. */
static void a_machine_made_anew_has_none_of_the_leases(void **state)
{
  struct talk t = talk_warm();

  (void)state;
  t.f->client = weir_client_init(t.f->storage, &config);
  assert_int_equal(fixture_status(t.f).standing, 0);
  t.f->results_count = 0;
  fixture_link(t.f, true);
  fixture_welcome(t.f, TOKEN + 1, 16);
  call(&t, 100);
  assert_int_equal(t.f->results_count, 0);
  talk_free(&t);
}

static void callers_have_their_places_whatever_is_held(void **state)
{
  struct talk t = talk_warm();
  const struct weir_client_ask ask = {
      .msg = {.model = "m", .class = WEIR_CLASS_BATCH, .requests = 1}, .wait_us = SECOND};
  struct weir_client_event event = {.type = WEIR_CLIENT_ASK, .ask = &ask};

  (void)state;
  assert_true(fixture_status(t.f).standing > 0);
  for (uint64_t i = 0; i < config.calls_max; i++) {
    event.cookie = 1000 + i;
    assert_int_equal(fixture_step(t.f, &event), WEIR_OK);
  }
  event.cookie++;
  assert_int_equal(fixture_step(t.f, &event), WEIR_EFULL);
  talk_free(&t);
}

static void without_a_wallet_nothing_is_leased_ahead(void **state)
{
  struct talk t = {.f = fixture_open(16)};

  (void)state;
  call_steadily(&t, 100);
  assert_int_equal(standing_asks(t.f), 0);
  assert_int_equal(fixture_status(t.f).claims, 0);
  talk_free(&t);
}

/* ---- routes and new attempts ---- */

/* What is asked is granted as choice 2 of 3. */
static void grant_second(struct talk *t)
{
  while (t->heard < t->f->sent_count) {
    const struct weir_msg *ask = &t->f->sent[t->heard++];
    struct weir_msg msg;

    if (ask->type != WEIR_MSG_ASK)
      continue;
    t->f->mark = ask->mark;
    msg = fixture_say(t->f, WEIR_MSG_GRANT);
    msg.grant = (struct weir_msg_grant){.seq = ask->ask.seq,
                                        .ttl_us = TTL,
                                        .pool = "gpt",
                                        .model = "openai/gpt",
                                        .choice = 2,
                                        .choices = 3};
    fixture_receive(t->f, &msg);
  }
}

static const struct weir_msg_ask routed = {
    .model = "fast", .class = WEIR_CLASS_ONLINE, .requests = 1, .input_tokens = 100};

/* Holds leases of the route "fast", all of them for its second choice. */
static struct talk talk_routed(void)
{
  struct talk t = talk_open();

  for (uint32_t i = 0; i < WARM_UP; i++) {
    call_as(&t, &routed);
    fixture_run_to(t.f, t.f->now + RTT);
    grant_second(&t);
    settle_last(&t);
    fixture_run_to(t.f, t.f->now + GAP - RTT);
  }
  assert_in_range(fixture_status(t.f).standing, 2, WALLET);
  return t;
}

static bool is_claimed(struct talk *t, const struct weir_msg_ask *ask)
{
  const uint64_t claims = fixture_status(t->f).claims;

  call_as(t, ask);
  return fixture_status(t->f).claims > claims;
}

static void a_lease_of_a_choice_that_has_failed_a_call_is_not_for_it(void **state)
{
  struct talk t = talk_routed();
  struct weir_msg_ask ask = routed;

  (void)state;
  ask.avoid = 2;
  assert_false(is_claimed(&t, &ask));
  assert_int_equal(fixture_last(t.f, WEIR_MSG_ASK)->ask.avoid, 2);
  ask.avoid = 5; /* the first and the third */
  assert_true(is_claimed(&t, &ask));
  talk_free(&t);
}

static void a_lease_of_another_model_than_the_preferred_one_is_not_for_the_call(void **state)
{
  struct talk t = talk_routed();
  struct weir_msg_ask ask = routed;

  (void)state;
  strcpy(ask.prefer, "gemini/flash");
  assert_false(is_claimed(&t, &ask));
  assert_string_equal(fixture_last(t.f, WEIR_MSG_ASK)->ask.prefer, "gemini/flash");
  strcpy(ask.prefer, "openai/gpt");
  assert_true(is_claimed(&t, &ask));
  talk_free(&t);
}

static void a_new_attempt_is_asked_for_where_it_is_counted(void **state)
{
  struct talk t = talk_routed();
  struct weir_msg_ask ask = routed;

  (void)state;
  ask.attempts = 1;
  assert_false(is_claimed(&t, &ask));
  assert_int_equal(fixture_last(t.f, WEIR_MSG_ASK)->ask.attempts, 1);
  assert_true(is_claimed(&t, &routed));
  talk_free(&t);
}

static void new_attempts_alone_lease_nothing_ahead(void **state)
{
  struct talk t = talk_open();
  struct weir_msg_ask ask = routed;

  (void)state;
  ask.attempts = 1;
  for (int i = 0; i < 20; i++) {
    call_as(&t, &ask);
    fixture_run_to(t.f, t.f->now + GAP);
    grant_second(&t);
    settle_last(&t);
  }
  assert_int_equal(standing_asks(t.f), 0);
  talk_free(&t);
}

static void standing_asks_avoid_and_prefer_nothing(void **state)
{
  struct talk t = talk_open();
  struct weir_msg_ask ask = routed;

  (void)state;
  ask.avoid = 1;
  strcpy(ask.prefer, "openai/gpt");
  for (int i = 0; i < 20; i++) {
    call_as(&t, &ask);
    fixture_run_to(t.f, t.f->now + GAP);
    grant_second(&t);
    settle_last(&t);
  }
  assert_true(standing_asks(t.f) > 0);
  for (uint32_t i = 0; i < t.f->sent_count; i++) {
    const struct weir_msg_ask *sent = &t.f->sent[i].ask;

    if (t.f->sent[i].type == WEIR_MSG_ASK && sent->is_standing)
      assert_true(sent->attempts == 0 && sent->avoid == 0 && sent->prefer[0] == '\0');
  }
  talk_free(&t);
}

static void a_new_attempt_too_many_is_no_contention(void **state)
{
  struct talk t = talk_routed();
  struct weir_msg_ask ask = routed;

  (void)state;
  ask.attempts = 1;
  call_as(&t, &ask);
  fixture_deny(t.f, fixture_last(t.f, WEIR_MSG_ASK)->ask.seq, WEIR_DENIAL_RETRIES);
  t.f->sent_count = t.heard = 0;
  for (int i = 0; i < WALLET; i++)
    call_as(&t, &routed);
  assert_true(standing_asks(t.f) > 0);
  talk_free(&t);
}

/* ---- breakers ---- */

static void tell(struct fixture *f, const char *pool, enum weir_breaker_state breaker)
{
  struct weir_msg msg;

  fixture_hear(f);
  msg = fixture_say(f, WEIR_MSG_STATE);
  strcpy(msg.state.pool, pool);
  msg.state.breaker = breaker;
  fixture_receive(f, &msg);
}

static void a_breaker_that_is_not_closed_returns_what_is_held_until_it_is(void **state)
{
  static const enum weir_breaker_state states[] = {WEIR_BREAKER_OPEN, WEIR_BREAKER_HALF_OPEN,
                                                   WEIR_BREAKER_RAMP};
  (void)state;

  for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
    struct talk t = talk_warm();
    const uint32_t held = fixture_status(t.f).standing;

    t.f->sent_count = t.heard = 0;
    tell(t.f, "flash", states[i]);
    assert_int_equal(fixture_status(t.f).standing, 0);
    assert_int_equal(returned(t.f), held);
    call_steadily(&t, 20);
    assert_int_equal(standing_asks(t.f), 0);
    tell(t.f, "flash", WEIR_BREAKER_CLOSED);
    call_steadily(&t, 20);
    assert_true(fixture_status(t.f).standing > 0);
    talk_free(&t);
  }
}

static void a_day_that_is_used_up_returns_what_is_held_until_it_is_over(void **state)
{
  struct talk t = talk_warm();
  const uint32_t held = fixture_status(t.f).standing;
  struct weir_msg msg;

  (void)state;
  t.f->sent_count = t.heard = 0;
  fixture_hear(t.f);
  msg = fixture_say(t.f, WEIR_MSG_STATE);
  strcpy(msg.state.pool, "flash");
  msg.state.breaker = WEIR_BREAKER_CLOSED;
  msg.state.closed_us = 60 * 60 * SECOND;
  fixture_receive(t.f, &msg);
  assert_int_equal(returned(t.f), held);
  call_steadily(&t, 20);
  assert_int_equal(standing_asks(t.f), 0);
  tell(t.f, "flash", WEIR_BREAKER_CLOSED);
  call_steadily(&t, 20);
  assert_true(fixture_status(t.f).standing > 0);
  talk_free(&t);
}

static void the_breaker_of_another_pool_changes_nothing(void **state)
{
  struct talk t = talk_warm();
  const uint32_t held = fixture_status(t.f).standing;

  (void)state;
  tell(t.f, "pro", WEIR_BREAKER_OPEN);
  tell(t.f, "", WEIR_BREAKER_OPEN);
  assert_int_equal(fixture_status(t.f).standing, held);
  assert_int_equal(returned(t.f), 0);
  talk_free(&t);
}

static void standing_asks_without_an_answer_are_withdrawn_and_late_grants_go_back(void **state)
{
  struct talk t = talk_warm();
  const uint64_t seq = ask_ahead(&t);
  const struct weir_msg ask = *fixture_last(t.f, WEIR_MSG_ASK);

  (void)state;
  tell(t.f, "flash", WEIR_BREAKER_OPEN);
  assert_int_equal(fixture_last(t.f, WEIR_MSG_CANCEL)->cancel.seq, seq);
  grant_for(t.f, &ask, TTL, false);
  assert_int_equal(fixture_last(t.f, WEIR_MSG_SETTLE)->settle.seq, seq);
  assert_false(fixture_last(t.f, WEIR_MSG_SETTLE)->settle.is_sent);
  assert_int_equal(fixture_status(t.f).standing, 0);
  talk_free(&t);
}

/* A route asks ahead while its last grant came from a pool that works. */
static void a_standing_grant_of_a_pool_that_is_out_of_order_goes_back(void **state)
{
  struct talk t = talk_warm();
  const struct weir_msg *ask;
  struct weir_msg msg;

  (void)state;
  tell(t.f, "gpt", WEIR_BREAKER_OPEN);
  ask_ahead(&t);
  ask = fixture_last(t.f, WEIR_MSG_ASK);
  msg = fixture_say(t.f, WEIR_MSG_GRANT);
  msg.mark = ask->mark;
  msg.grant = (struct weir_msg_grant){
      .seq = ask->ask.seq, .ttl_us = TTL, .pool = "gpt", .model = "openai/gpt"};
  fixture_receive(t.f, &msg);
  assert_int_equal(fixture_last(t.f, WEIR_MSG_SETTLE)->settle.seq, msg.grant.seq);
  assert_false(fixture_last(t.f, WEIR_MSG_SETTLE)->settle.is_sent);
  talk_free(&t);
}

static void a_call_that_was_granted_and_has_not_begun_goes_on(void **state)
{
  struct talk t = talk_open();

  (void)state;
  call(&t, 100);
  fixture_hear(t.f);
  fixture_grant_after(t.f, fixture_last(t.f, WEIR_MSG_ASK)->ask.seq, SECOND, 0);
  tell(t.f, "flash", WEIR_BREAKER_OPEN);
  fixture_run_to(t.f, t.f->now + SECOND);
  assert_int_equal(t.f->results_count, 1);
  assert_int_equal(t.f->results[0].type, WEIR_CLIENT_GRANTED);
  talk_free(&t);
}

static void a_new_session_is_told_of_breakers_anew(void **state)
{
  struct talk t = talk_warm();

  (void)state;
  tell(t.f, "flash", WEIR_BREAKER_OPEN);
  fixture_link(t.f, false);
  fixture_link(t.f, true);
  fixture_welcome(t.f, TOKEN + 1, 16);
  t.heard = t.f->sent_count;
  call_steadily(&t, 20);
  assert_true(fixture_status(t.f).standing > 0);
  talk_free(&t);
}

static void more_breakers_than_are_remembered_forget_the_first(void **state)
{
  struct talk t = talk_warm();
  char pool[WEIR_POOL_NAME_SIZE];

  (void)state;
  tell(t.f, "flash", WEIR_BREAKER_OPEN);
  for (int i = 1; i < 32; i++) {
    snprintf(pool, sizeof(pool), "pool-%d", i);
    tell(t.f, pool, WEIR_BREAKER_OPEN);
  }
  call_steadily(&t, 20);
  assert_int_equal(fixture_status(t.f).standing, 0);
  tell(t.f, "one-more", WEIR_BREAKER_OPEN);
  call_steadily(&t, 20);
  assert_true(fixture_status(t.f).standing > 0);
  for (int i = 1; i < 32; i++) {
    snprintf(pool, sizeof(pool), "pool-%d", i);
    tell(t.f, pool, WEIR_BREAKER_CLOSED);
  }
  tell(t.f, "flash", WEIR_BREAKER_OPEN);
  assert_int_equal(fixture_status(t.f).standing, 0);
  talk_free(&t);
}

/* ---- at random ---- */

static void random_answer(struct talk *t, struct weir_rng *rng)
{
  while (t->heard < t->f->sent_count) {
    const struct weir_msg msg = t->f->sent[t->heard++];

    if (msg.type != WEIR_MSG_ASK)
      continue;
    switch (weir_rng_below(rng, 200)) {
    case 0:
      fixture_deny(t->f, msg.ask.seq,
                   (enum weir_denial)(1 + weir_rng_below(rng, WEIR_DENIAL_MAX - 1)));
      break;
    case 1:
      fixture_queued(t->f, msg.ask.seq);
      break;
    case 2:
      break; /* lost */
    default:
      grant_for(t->f, &msg, 60 * MS + weir_rng_below(rng, TTL), false);
    }
  }
}

static void random_breaker(struct talk *t, struct weir_rng *rng)
{
  tell(t->f, weir_rng_below(rng, 2) ? "flash" : "gpt",
       (enum weir_breaker_state)(1 + weir_rng_below(rng, WEIR_BREAKER_MAX - 1)));
}

static uint64_t random_run(uint64_t seed, uint64_t *ret_claims)
{
  struct weir_client_config own = config;
  struct talk t;
  struct weir_rng rng;
  uint64_t digest;

  own.seed = seed;
  own.settlements_max = 1 + seed % 16;
  t = (struct talk){.f = fixture_make(&own)};
  weir_rng_init(&rng, seed);
  fixture_link(t.f, true);
  fixture_welcome(t.f, TOKEN, 16);
  for (int i = 0; i < 2000; i++) {
    struct weir_msg_ask ask = {.model = "a", .class = WEIR_CLASS_ONLINE, .requests = 1};

    if (i % 400 < 40)
      ask.model[0] = (char)('a' + (int)weir_rng_below(&rng, 20));
    ask.input_tokens = weir_rng_below(&rng, 1000);
    ask.attempts = weir_rng_below(&rng, 10) == 0;
    ask.avoid = weir_rng_below(&rng, 10) ? 0 : weir_rng_below(&rng, 4);
    if (fixture_status(t.f).calls < config.calls_max)
      call_as(&t, &ask);
    fixture_run_to(t.f, t.f->now + weir_rng_below(&rng, 30 * MS));
    random_answer(&t, &rng);
    (void)!fixture_settle(t.f, t.cookie - weir_rng_below(&rng, 4), weir_rng_below(&rng, 2) != 0);
    if (weir_rng_below(&rng, 50) == 0)
      random_breaker(&t, &rng);
    if (weir_rng_below(&rng, 200) == 0) {
      fixture_link(t.f, weir_rng_below(&rng, 2) != 0);
      fixture_link(t.f, true);
      fixture_welcome(t.f, TOKEN + weir_rng_next(&rng) % 1000, 16);
    }
    for (uint32_t k = 0; k < t.f->results_count; k++)
      assert_true(t.f->results[k].type != WEIR_CLIENT_GRANTED || t.f->results[k].expires_at > 0);
    t.f->sent_count = t.heard = t.f->results_count = 0;
  }
  *ret_claims = fixture_status(t.f).claims;
  fixture_link(t.f, false);
  fixture_run_to(t.f, t.f->now + WEIR_CLIENT_LEASE_GRACE_US + 60 * SECOND);
  assert_int_equal(fixture_status(t.f).standing, 0);
  digest = weir_client_digest(t.f->client);
  talk_free(&t);
  return digest;
}

static void any_conversation_keeps_the_books_in_order_and_repeats_exactly(void **state)
{
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    uint64_t claims, again;
    const uint64_t digest = random_run(seed, &claims);

    assert_true(claims > 0);
    assert_true(digest == random_run(seed, &again));
    assert_int_equal(claims, again);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_steady_caller_does_not_wait),
      cmocka_unit_test(half_a_wallet_is_asked_for_in_one_frame),
      cmocka_unit_test(a_standing_ask_is_now_or_never_and_for_one_call),
      cmocka_unit_test(no_lease_serves_two_calls),
      cmocka_unit_test(a_lease_that_is_handed_out_has_time_left_for_the_request),
      cmocka_unit_test(a_lease_that_is_too_old_for_a_call_goes_back_although_calls_come),
      cmocka_unit_test(a_call_larger_than_the_lease_asks_as_ever),
      cmocka_unit_test(calls_of_varying_size_mostly_fit),
      cmocka_unit_test(one_huge_call_does_not_make_leases_huge),
      cmocka_unit_test(only_calls_of_the_same_kind_are_served),
      cmocka_unit_test(batch_work_never_leases_ahead),
      cmocka_unit_test(rare_calls_lease_nothing_ahead),
      cmocka_unit_test(no_more_is_held_than_calls_come_in_half_a_ttl),
      cmocka_unit_test(short_leases_and_reported_ones_are_not_held),
      cmocka_unit_test(standing_asks_leave_half_of_the_credit_to_calls),
      cmocka_unit_test(a_wallet_that_was_used_longest_ago_makes_room_and_returns_its_leases),
      cmocka_unit_test(what_is_not_used_goes_back_when_calls_cease),
      cmocka_unit_test(a_lease_goes_back_before_its_end_when_calls_are_too_large_for_it),
      cmocka_unit_test(a_quota_rejection_returns_everything_at_once),
      cmocka_unit_test(closing_returns_everything_before_goodbye),
      cmocka_unit_test(returns_push_out_no_settlement_of_a_call),
      cmocka_unit_test(contention_turns_it_off_for_ever_longer),
      cmocka_unit_test(a_call_that_has_to_queue_turns_it_off),
      cmocka_unit_test(a_call_that_is_too_large_for_the_limit_is_no_contention),
      cmocka_unit_test(after_a_grant_it_is_filled_again),
      cmocka_unit_test(leases_outlive_the_session_and_asks_are_withdrawn),
      cmocka_unit_test(an_answer_that_was_lost_is_not_waited_for),
      cmocka_unit_test(a_machine_made_anew_has_none_of_the_leases),
      cmocka_unit_test(callers_have_their_places_whatever_is_held),
      cmocka_unit_test(without_a_wallet_nothing_is_leased_ahead),
      cmocka_unit_test(a_lease_of_a_choice_that_has_failed_a_call_is_not_for_it),
      cmocka_unit_test(a_lease_of_another_model_than_the_preferred_one_is_not_for_the_call),
      cmocka_unit_test(a_new_attempt_is_asked_for_where_it_is_counted),
      cmocka_unit_test(new_attempts_alone_lease_nothing_ahead),
      cmocka_unit_test(standing_asks_avoid_and_prefer_nothing),
      cmocka_unit_test(a_new_attempt_too_many_is_no_contention),
      cmocka_unit_test(a_breaker_that_is_not_closed_returns_what_is_held_until_it_is),
      cmocka_unit_test(a_day_that_is_used_up_returns_what_is_held_until_it_is_over),
      cmocka_unit_test(the_breaker_of_another_pool_changes_nothing),
      cmocka_unit_test(standing_asks_without_an_answer_are_withdrawn_and_late_grants_go_back),
      cmocka_unit_test(a_standing_grant_of_a_pool_that_is_out_of_order_goes_back),
      cmocka_unit_test(a_call_that_was_granted_and_has_not_begun_goes_on),
      cmocka_unit_test(a_new_session_is_told_of_breakers_anew),
      cmocka_unit_test(more_breakers_than_are_remembered_forget_the_first),
      cmocka_unit_test(any_conversation_keeps_the_books_in_order_and_repeats_exactly),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
