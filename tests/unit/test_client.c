/* The client machine in virtual time, against a coordinator that says what each test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/rng.h>

#include "client_fixture.h"

/* ---- sessions ---- */

static void says_hello_at_once_and_again_after_250_to_500_ms(void **state)
{
  struct fixture *f = fixture_new(8, 8, 1);
  weir_tstamp last;

  (void)state;
  assert_int_equal(weir_client_wake(f->client), WEIR_NEVER);
  fixture_link(f, true);
  assert_int_equal(f->sent_count, 1);
  assert_int_equal(f->sent[0].type, WEIR_MSG_HELLO);
  assert_int_equal(f->sent[0].session, 0);
  for (uint32_t i = 1; i < 20; i++) {
    last = f->now;
    fixture_run_to(f, weir_client_wake(f->client));
    assert_int_equal(f->sent_count, i + 1);
    assert_in_range(f->now - last, 250 * MS, 500 * MS);
    assert_int_equal(f->sent[i].hello.incarnation, f->sent[0].hello.incarnation);
  }
  fixture_free(f);
}

static void says_nothing_without_a_link(void **state)
{
  struct fixture *f = fixture_new(8, 8, 1);

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  fixture_run_to(f, f->now + 5 * SECOND);
  assert_int_equal(f->sent_count, 0);
  assert_int_equal(f->results_count, 0);
  fixture_free(f);
}

static void sends_what_waited_when_it_is_welcome(void **state)
{
  struct fixture *f = fixture_new(8, 8, 1);
  const struct weir_msg *ask;

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  f->now += SECOND;
  fixture_link(f, true);
  assert_null(fixture_last(f, WEIR_MSG_ASK));
  fixture_welcome(f, TOKEN, 8);
  ask = fixture_last(f, WEIR_MSG_ASK);
  assert_non_null(ask);
  assert_int_equal(ask->session, TOKEN);
  assert_int_equal(ask->ask.deadline_us, 9 * SECOND);
  assert_int_equal(ask->ask.input_tokens, 100);
  fixture_free(f);
}

static void pings_only_when_it_said_nothing_for_a_heartbeat(void **state)
{
  struct fixture *f = fixture_open(8);
  struct weir_msg pong;

  (void)state;
  f->now += HEARTBEAT - MS;
  fixture_ask(f, 1, 60 * SECOND);
  fixture_run_to(f, f->now + HEARTBEAT - MS);
  assert_int_equal(fixture_count(f, WEIR_MSG_PING), 0);
  fixture_run_to(f, f->now + MS);
  assert_int_equal(fixture_count(f, WEIR_MSG_PING), 1);
  for (int i = 0; i < 10; i++) {
    fixture_hear(f);
    pong = fixture_say(f, WEIR_MSG_PONG);
    fixture_receive(f, &pong);
    fixture_run_to(f, f->now + HEARTBEAT);
  }
  assert_int_equal(fixture_count(f, WEIR_MSG_PING), 11);
  assert_int_equal(fixture_count(f, WEIR_MSG_HELLO), 1);
  fixture_free(f);
}

/* A settlement is not answered: a coordinator that only hears settlements is silent, not dead. */
static void pings_although_it_settles_all_the_time(void **state)
{
  struct fixture *f = fixture_open(8);

  (void)state;
  fixture_ask(f, 1, 60 * SECOND);
  fixture_grant(f, 1);
  for (int i = 0; i < 20; i++) {
    uint32_t pings = fixture_count(f, WEIR_MSG_PING);

    fixture_run_to(f, f->now + HEARTBEAT / 2);
    fixture_settle(f, 1, false);
    if (fixture_count(f, WEIR_MSG_PING) > pings) {
      struct weir_msg pong;

      fixture_hear(f);
      pong = fixture_say(f, WEIR_MSG_PONG);
      fixture_receive(f, &pong);
    }
  }
  assert_in_range(fixture_count(f, WEIR_MSG_PING), 9, 11);
  assert_int_equal(fixture_count(f, WEIR_MSG_HELLO), 1);
  fixture_free(f);
}

static void takes_silence_for_the_end_of_the_session(void **state)
{
  struct fixture *f = fixture_open(8);

  (void)state;
  fixture_run_to(f, f->now + 2 * HEARTBEAT);
  assert_int_equal(fixture_count(f, WEIR_MSG_HELLO), 1);
  fixture_run_to(f, f->now + HEARTBEAT);
  assert_true(fixture_count(f, WEIR_MSG_HELLO) > 1);
  assert_int_equal(fixture_status(f).state, WEIR_CLIENT_CONNECTING);
  fixture_free(f);
}

static void a_lost_session_is_followed_by_one_of_a_higher_incarnation(void **state)
{
  struct fixture *f = fixture_open(8);
  uint64_t incarnation = fixture_last(f, WEIR_MSG_HELLO)->hello.incarnation;

  (void)state;
  fixture_refuse(f, TOKEN, WEIR_REFUSAL_SESSION);
  assert_int_equal(fixture_count(f, WEIR_MSG_HELLO), 2);
  assert_true(fixture_last(f, WEIR_MSG_HELLO)->hello.incarnation > incarnation);
  /* Late words of the old session change nothing. */
  fixture_refuse(f, TOKEN, WEIR_REFUSAL_SESSION);
  assert_int_equal(fixture_count(f, WEIR_MSG_HELLO), 2);
  fixture_welcome(f, TOKEN + 1, 8);
  fixture_refuse(f, TOKEN, WEIR_REFUSAL_SESSION);
  assert_int_equal(fixture_status(f).state, WEIR_CLIENT_OPEN);
  assert_int_equal(fixture_status(f).sessions, 2);
  fixture_free(f);
}

static void a_welcome_to_an_earlier_hello_opens_nothing(void **state)
{
  struct fixture *f = fixture_open(8);
  struct weir_msg welcome = fixture_say(f, WEIR_MSG_WELCOME);

  (void)state;
  welcome.welcome.heartbeat_us = HEARTBEAT;
  welcome.welcome.session_ttl_us = 3 * SECOND;
  welcome.welcome.asks_max = 8;
  fixture_refuse(f, TOKEN, WEIR_REFUSAL_SESSION);
  fixture_receive(f, &welcome);
  assert_int_equal(fixture_status(f).state, WEIR_CLIENT_CONNECTING);
  fixture_free(f);
}

static void a_full_coordinator_is_asked_again_when_it_says(void **state)
{
  struct fixture *f = fixture_new(8, 8, 1);
  struct weir_msg refuse;

  (void)state;
  fixture_link(f, true);
  refuse = fixture_say(f, WEIR_MSG_REFUSE);
  refuse.refuse = (struct weir_msg_refuse){WEIR_REFUSAL_FULL, 3 * SECOND};
  fixture_receive(f, &refuse);
  assert_in_range(weir_client_wake(f->client), f->now + 3 * SECOND, f->now + 3 * SECOND + 250 * MS);
  fixture_free(f);
}

static void a_refused_key_ends_what_waits_until_there_is_a_link(void **state)
{
  struct fixture *f = fixture_new(8, 8, 1);
  struct weir_client_event refused = {.type = WEIR_CLIENT_LINK, .is_refused = true};

  (void)state;
  fixture_ask(f, 1, 60 * SECOND);
  assert_int_equal(fixture_step(f, &refused), WEIR_OK);
  fixture_ask(f, 2, 60 * SECOND); /* fails at once */
  assert_int_equal(f->results_count, 2);
  for (uint32_t i = 0; i < 2; i++) {
    assert_int_equal(f->results[i].type, WEIR_CLIENT_UNREACHABLE);
    assert_int_equal(f->results[i].refusal, WEIR_REFUSAL_FORBIDDEN);
  }
  fixture_link(f, false);
  fixture_ask(f, 3, 60 * SECOND); /* waits: the key may be known by then */
  assert_int_equal(f->results_count, 2);
  fixture_link(f, true);
  assert_int_equal(fixture_count(f, WEIR_MSG_HELLO), 1);
  fixture_free(f);
}

static void gives_up_with_the_reason_until_there_is_another_link(void **state)
{
  struct fixture *f = fixture_new(200, 8, 1);

  (void)state;
  for (uint64_t i = 1; i <= 100; i++)
    fixture_ask(f, i, 60 * SECOND);
  fixture_link(f, true);
  fixture_refuse(f, 0, WEIR_REFUSAL_VERSION);
  fixture_settle_down(f);
  assert_int_equal(f->results_count, 100);
  for (uint32_t i = 0; i < 100; i++) {
    assert_int_equal(f->results[i].type, WEIR_CLIENT_UNREACHABLE);
    assert_int_equal(f->results[i].refusal, WEIR_REFUSAL_VERSION);
  }
  fixture_ask(f, 101, 60 * SECOND); /* fails at once */
  assert_int_equal(f->results_count, 101);
  assert_int_equal(weir_client_wake(f->client), WEIR_NEVER);
  fixture_link(f, false);
  fixture_link(f, true);
  assert_int_equal(fixture_count(f, WEIR_MSG_HELLO), 2);
  fixture_free(f);
}

/* ---- grants ---- */

static void a_lease_is_reported_at_its_start_and_never_earlier(void **state)
{
  struct fixture *f = fixture_open(8);
  weir_tstamp start;

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  fixture_hear(f);
  f->now += 5 * MS;
  start = f->now + 20 * MS;
  fixture_grant_after(f, 1, 20 * MS, 0);
  fixture_run_to(f, start - 1);
  assert_int_equal(f->results_count, 0);
  fixture_run_to(f, start);
  assert_int_equal(f->results_count, 1);
  assert_int_equal(f->results[0].type, WEIR_CLIENT_GRANTED);
  assert_int_equal(f->results[0].cookie, 1);
  assert_int_equal(f->results[0].context, 1000001);
  assert_int_equal(f->results[0].wait_us, 25 * MS);
  assert_string_equal(f->results[0].grant.model, "gemini/flash");
  fixture_free(f);
}

static void a_lease_ends_counted_from_the_sending_of_what_the_grant_echoes(void **state)
{
  struct fixture *f = fixture_open(8);
  const weir_tstamp sent_at = f->now;

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  fixture_hear(f); /* echoes the ask, not the ping that follows */
  fixture_run_to(f, sent_at + 1500 * MS);
  assert_int_equal(fixture_count(f, WEIR_MSG_PING), 1);
  fixture_grant_after(f, 1, 20 * MS, 400 * MS);
  fixture_run_to(f, f->now + 20 * MS);
  assert_int_equal(f->results_count, 1);
  assert_int_equal(f->results[0].expires_at, sent_at + 400 * MS + 20 * MS + TTL);
  fixture_free(f);
}

static void a_grant_that_was_too_long_on_its_way_is_given_back_and_asked_for_again(void **state)
{
  struct fixture *f = fixture_open(8);
  const struct weir_msg *settle, *ask;

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  fixture_hear(f);
  fixture_run_to(f, f->now + TTL);
  fixture_grant_after(f, 1, 0, 0);
  assert_int_equal(f->results_count, 0);
  settle = fixture_last(f, WEIR_MSG_SETTLE);
  assert_non_null(settle);
  assert_int_equal(settle->settle.seq, 1);
  assert_false(settle->settle.is_sent);
  assert_true(settle->settle.is_final);
  ask = fixture_last(f, WEIR_MSG_ASK);
  assert_int_equal(ask->ask.seq, 2);
  assert_int_equal(ask->ask.deadline_us, 10 * SECOND - TTL);
  fixture_grant(f, 2);
  assert_int_equal(f->results_count, 1);
  fixture_free(f);
}

static void a_grant_that_echoes_a_forgotten_message_counts_as_expired(void **state)
{
  struct fixture *f = fixture_open(8);
  struct weir_msg pong = fixture_say(f, WEIR_MSG_PONG);

  (void)state;
  fixture_ask(f, 1, 100 * SECOND);
  fixture_hear(f);
  pong.mark = f->mark;
  for (uint64_t i = 0; i < 5000; i++) { /* each says ASK and CANCEL, in no time at all */
    fixture_ask(f, 100 + i, 100 * SECOND);
    assert_int_equal(fixture_cancel(f, 100 + i), WEIR_OK);
    if (i % 50 == 0) {
      struct weir_msg heard = pong;

      heard.mark = f->update.messages[f->update.messages_count - 1].mark;
      fixture_receive(f, &heard);
    }
  }
  f->results_count = 0;
  fixture_grant_after(f, 1, 0, 0); /* echoes the first ask */
  assert_int_equal(f->results_count, 0);
  assert_int_equal(f->update.messages[0].type, WEIR_MSG_SETTLE);
  assert_int_equal(f->update.messages[1].type, WEIR_MSG_ASK);
  fixture_free(f);
}

static void a_lease_that_a_late_step_finds_expired_is_not_handed_out(void **state)
{
  struct fixture *f = fixture_open(8);

  (void)state;
  fixture_ask(f, 1, 60 * SECOND);
  fixture_hear(f);
  fixture_grant_after(f, 1, 20 * MS, 0);
  f->now += 20 * MS + TTL; /* the thread did not get to run */
  fixture_settle_down(f);
  assert_int_equal(f->results_count, 0);
  assert_false(fixture_last(f, WEIR_MSG_SETTLE)->settle.is_sent);
  assert_int_equal(fixture_last(f, WEIR_MSG_ASK)->ask.seq, 2);
  fixture_free(f);
}

static void the_same_grant_again_and_unknown_grants_change_nothing(void **state)
{
  struct fixture *f = fixture_open(8);
  uint64_t digest;

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  fixture_grant(f, 1);
  assert_int_equal(f->results_count, 1);
  digest = weir_client_digest(f->client);
  fixture_grant(f, 1);
  fixture_grant(f, 77);
  assert_int_equal(f->results_count, 1);
  assert_null(fixture_last(f, WEIR_MSG_SETTLE));
  assert_true(digest == weir_client_digest(f->client));
  fixture_free(f);
}

static void a_denial_is_handed_on_with_its_numbers(void **state)
{
  struct fixture *f = fixture_open(8);

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  fixture_deny(f, 1, WEIR_DENIAL_TOO_LARGE);
  assert_int_equal(f->results_count, 1);
  assert_int_equal(f->results[0].type, WEIR_CLIENT_DENIED);
  assert_int_equal(f->results[0].deny.why, WEIR_DENIAL_TOO_LARGE);
  assert_int_equal(f->results[0].deny.retry_in_us, 5 * SECOND);
  assert_int_equal(fixture_status(f).calls, 0);
  fixture_free(f);
}

/* ---- deadlines and cancelling ---- */

static void who_waits_in_the_coordinators_queue_times_out_at_the_deadline(void **state)
{
  struct fixture *f = fixture_open(8);
  const weir_tstamp deadline = f->now + 900 * MS;

  (void)state;
  fixture_ask(f, 1, 900 * MS);
  fixture_queued(f, 1);
  fixture_run_to(f, deadline - 1);
  assert_int_equal(f->results_count, 0);
  fixture_run_to(f, deadline);
  assert_int_equal(f->results_count, 1);
  assert_int_equal(f->results[0].type, WEIR_CLIENT_TIMED_OUT);
  assert_true(f->results[0].is_queued);
  assert_int_equal(fixture_last(f, WEIR_MSG_CANCEL)->cancel.seq, 1);
  fixture_free(f);
}

static void who_gets_no_answer_learns_that_the_coordinator_is_unreachable(void **state)
{
  struct fixture *f = fixture_new(8, 8, 1);

  (void)state;
  fixture_ask(f, 1, 500 * MS); /* no link */
  fixture_run_to(f, f->now + 500 * MS);
  assert_int_equal(f->results_count, 1);
  assert_int_equal(f->results[0].type, WEIR_CLIENT_UNREACHABLE);
  assert_int_equal(f->results[0].wait_us, 500 * MS);
  fixture_link(f, true);
  fixture_welcome(f, TOKEN, 8);
  fixture_ask(f, 2, 500 * MS); /* sent, never answered */
  fixture_run_to(f, f->now + 500 * MS);
  assert_int_equal(f->results_count, 2);
  assert_int_equal(f->results[1].type, WEIR_CLIENT_UNREACHABLE);
  fixture_free(f);
}

static void a_lease_that_would_start_after_the_deadline_is_given_back(void **state)
{
  struct fixture *f = fixture_open(8);

  (void)state;
  fixture_ask(f, 1, 10 * MS);
  fixture_hear(f);
  fixture_grant_after(f, 1, 20 * MS, 0);
  fixture_run_to(f, f->now + 10 * MS);
  assert_int_equal(f->results_count, 1);
  assert_int_equal(f->results[0].type, WEIR_CLIENT_TIMED_OUT);
  assert_false(fixture_last(f, WEIR_MSG_SETTLE)->settle.is_sent);
  fixture_run_to(f, f->now + 100 * MS);
  assert_int_equal(f->results_count, 1);
  fixture_free(f);
}

static void a_grant_that_crosses_a_cancel_is_given_back(void **state)
{
  struct fixture *f = fixture_open(8);

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  fixture_hear(f); /* the coordinator grants before it hears of the cancel */
  assert_int_equal(fixture_cancel(f, 1), WEIR_OK);
  assert_int_equal(f->results_count, 1);
  assert_int_equal(f->results[0].type, WEIR_CLIENT_CANCELLED);
  assert_int_equal(fixture_last(f, WEIR_MSG_CANCEL)->cancel.seq, 1);
  fixture_grant_after(f, 1, 0, 0);
  assert_int_equal(f->results_count, 1);
  assert_int_equal(fixture_last(f, WEIR_MSG_SETTLE)->settle.seq, 1);
  assert_false(fixture_last(f, WEIR_MSG_SETTLE)->settle.is_sent);
  assert_int_equal(fixture_status(f).calls, 0);
  fixture_free(f);
}

static void a_withdrawn_ask_is_forgotten_when_the_coordinator_heard_of_it(void **state)
{
  struct fixture *f = fixture_open(8);
  struct weir_msg pong;

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  assert_int_equal(fixture_cancel(f, 1), WEIR_OK);
  assert_int_equal(fixture_cancel(f, 1), WEIR_ENOENT);
  assert_int_equal(fixture_status(f).calls, 1);
  fixture_hear(f);
  pong = fixture_say(f, WEIR_MSG_PONG);
  fixture_receive(f, &pong);
  assert_int_equal(fixture_status(f).calls, 0);
  fixture_free(f);
}

static void an_ask_withdrawn_without_a_session_is_taken_back_in_the_next(void **state)
{
  struct fixture *f = fixture_open(8);
  uint32_t before;

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  fixture_refuse(f, TOKEN, WEIR_REFUSAL_SESSION); /* a grant may have been lost with it */
  assert_int_equal(fixture_cancel(f, 1), WEIR_OK);
  before = f->sent_count;
  fixture_welcome(f, TOKEN + 1, 8);
  assert_int_equal(f->sent_count, before + 2);
  assert_int_equal(f->sent[before].type, WEIR_MSG_CANCEL);
  assert_int_equal(f->sent[before + 1].type, WEIR_MSG_SETTLE);
  assert_int_equal(f->sent[before + 1].settle.seq, 1);
  assert_false(f->sent[before + 1].settle.is_sent);
  fixture_free(f);
}

/* ---- replay ---- */

static void a_new_session_repeats_the_open_asks_in_order_with_the_time_left(void **state)
{
  struct fixture *f = fixture_open(8);
  uint32_t before;

  (void)state;
  for (uint64_t i = 1; i <= 5; i++)
    fixture_ask(f, i, 10 * SECOND);
  fixture_queued(f, 1);
  fixture_grant(f, 2);
  fixture_deny(f, 4, WEIR_DENIAL_DEADLINE);
  f->now += SECOND;
  fixture_refuse(f, TOKEN, WEIR_REFUSAL_SESSION);
  f->now += 300 * MS;
  before = f->sent_count;
  fixture_welcome(f, TOKEN + 1, 8);
  assert_int_equal(f->sent_count, before + 3);
  for (uint32_t i = 0; i < 3; i++) {
    const uint64_t seqs[] = {1, 3, 5};

    assert_int_equal(f->sent[before + i].type, WEIR_MSG_ASK);
    assert_int_equal(f->sent[before + i].session, TOKEN + 1);
    assert_int_equal(f->sent[before + i].ask.seq, seqs[i]);
    assert_int_equal(f->sent[before + i].ask.deadline_us, 8700 * MS);
  }
  fixture_grant(f, 3);
  assert_int_equal(f->results[f->results_count - 1].cookie, 3);
  fixture_free(f);
}

static void an_ask_that_is_over_there_but_not_here_is_asked_again_under_a_new_number(void **state)
{
  struct fixture *f = fixture_open(8);

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  f->now += SECOND;
  fixture_deny(f, 1, WEIR_DENIAL_FINISHED);
  assert_int_equal(f->results_count, 0);
  assert_int_equal(fixture_last(f, WEIR_MSG_ASK)->ask.seq, 2);
  assert_int_equal(fixture_last(f, WEIR_MSG_ASK)->ask.deadline_us, 9 * SECOND);
  fixture_grant(f, 2);
  assert_int_equal(f->results[0].cookie, 1);
  fixture_free(f);
}

static void messages_that_could_not_be_sent_begin_a_new_session(void **state)
{
  struct fixture *f = fixture_open(8);
  struct weir_client_event unsent = {.type = WEIR_CLIENT_UNSENT};

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  assert_int_equal(fixture_step(f, &unsent), WEIR_OK);
  fixture_run_to(f, f->now + WEIR_CLIENT_HELLO_MAX_US);
  assert_true(fixture_count(f, WEIR_MSG_HELLO) >= 2);
  fixture_welcome(f, TOKEN + 1, 8);
  assert_int_equal(fixture_count(f, WEIR_MSG_ASK), 2);
  assert_int_equal(fixture_last(f, WEIR_MSG_ASK)->ask.seq, 1);
  fixture_free(f);
}

/* ---- settlements ---- */

static void a_settlement_is_repeated_in_each_session_until_it_is_acknowledged(void **state)
{
  struct fixture *f = fixture_open(8);
  struct weir_msg pong;

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  fixture_grant(f, 1);
  assert_int_equal(fixture_settle(f, 1, true), WEIR_OK);
  assert_int_equal(fixture_last(f, WEIR_MSG_SETTLE)->settle.sent_ago_us, 0);
  /* An echo of what came before it is no acknowledgement. */
  pong = fixture_say(f, WEIR_MSG_PONG);
  fixture_receive(f, &pong);
  assert_int_equal(fixture_status(f).settlements, 1);
  f->now += SECOND;
  fixture_refuse(f, TOKEN, WEIR_REFUSAL_SESSION);
  fixture_welcome(f, TOKEN + 1, 8);
  assert_int_equal(fixture_count(f, WEIR_MSG_SETTLE), 2);
  assert_int_equal(fixture_last(f, WEIR_MSG_SETTLE)->settle.seq, 1);
  assert_int_equal(fixture_last(f, WEIR_MSG_SETTLE)->settle.sent_ago_us, SECOND);
  fixture_hear(f);
  pong = fixture_say(f, WEIR_MSG_PONG);
  fixture_receive(f, &pong);
  assert_int_equal(fixture_status(f).settlements, 0);
  fixture_refuse(f, TOKEN + 1, WEIR_REFUSAL_SESSION);
  fixture_welcome(f, TOKEN + 2, 8);
  assert_int_equal(fixture_count(f, WEIR_MSG_SETTLE), 2);
  fixture_free(f);
}

static void too_many_settlements_drop_the_oldest_and_count_it(void **state)
{
  struct fixture *f = fixture_open(200);

  (void)state;
  for (uint64_t i = 1; i <= 70; i++) {
    fixture_ask(f, i, 60 * SECOND);
    fixture_grant(f, i);
  }
  fixture_link(f, false);
  for (uint64_t i = 1; i <= 70; i++)
    assert_int_equal(fixture_settle(f, i, true), WEIR_OK);
  assert_int_equal(fixture_status(f).settlements, 64);
  assert_int_equal(fixture_status(f).settlements_dropped, 6);
  fixture_link(f, true);
  fixture_welcome(f, TOKEN + 1, 8);
  fixture_settle_down(f);
  assert_int_equal(fixture_count(f, WEIR_MSG_SETTLE), 64);
  assert_int_equal(fixture_last(f, WEIR_MSG_SETTLE)->settle.seq, 70);
  fixture_free(f);
}

static void a_lease_is_settled_once_but_may_be_settled_in_between(void **state)
{
  struct fixture *f = fixture_open(8);

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  assert_int_equal(fixture_settle(f, 1, true), WEIR_ENOENT); /* not granted yet */
  fixture_grant(f, 1);
  assert_int_equal(fixture_settle(f, 1, false), WEIR_OK);
  assert_int_equal(fixture_settle(f, 1, true), WEIR_OK);
  assert_int_equal(fixture_settle(f, 1, true), WEIR_ENOENT);
  assert_int_equal(fixture_count(f, WEIR_MSG_SETTLE), 2);
  fixture_free(f);
}

/* The report of a writing: no usage, no outcome, and the call goes on. */
static void an_interim_settlement_needs_no_usage_and_says_when_it_was_written(void **state)
{
  struct fixture *f = fixture_open(8);
  struct weir_client_settle settle = {.msg = {.is_sent = true}};
  struct weir_client_event event = {.type = WEIR_CLIENT_SETTLE, .cookie = 1, .settle = &settle};
  const struct weir_msg *said;

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  fixture_grant(f, 1);
  settle.sent_at = f->now - 40;
  assert_int_equal(fixture_step(f, &event), WEIR_OK);
  said = fixture_last(f, WEIR_MSG_SETTLE);
  assert_int_equal(said->settle.seq, 1);
  assert_true(said->settle.is_sent);
  assert_false(said->settle.is_final);
  assert_false(said->settle.has_usage);
  assert_int_equal(said->settle.outcome, 0);
  assert_int_equal(said->settle.sent_ago_us, 40);
  assert_int_equal(fixture_status(f).settlements, 0);
  assert_int_equal(fixture_settle(f, 1, true), WEIR_OK);
  fixture_free(f);
}

static void a_later_settlement_of_a_call_supersedes_one_that_was_not_final(void **state)
{
  struct fixture *f = fixture_open(8);

  (void)state;
  for (uint64_t i = 1; i <= 3; i++) {
    fixture_ask(f, i, 60 * SECOND);
    fixture_grant(f, i);
  }
  fixture_link(f, false);
  for (int i = 0; i < 100; i++)
    assert_int_equal(fixture_settle(f, 1, false), WEIR_OK);
  assert_int_equal(fixture_settle(f, 2, false), WEIR_OK);
  f->now += SECOND;
  assert_int_equal(fixture_settle(f, 1, false), WEIR_OK);
  assert_int_equal(fixture_settle(f, 2, true), WEIR_OK);
  fixture_link(f, true);
  fixture_welcome(f, TOKEN + 1, 8);
  fixture_settle_down(f);
  /* What is final comes first; of call 1 the last word, of call 3 none. */
  assert_int_equal(fixture_count(f, WEIR_MSG_SETTLE), 2);
  assert_int_equal(fixture_last(f, WEIR_MSG_SETTLE)->settle.seq, 1);
  assert_int_equal(fixture_last(f, WEIR_MSG_SETTLE)->settle.sent_ago_us, 0);
  assert_false(fixture_last(f, WEIR_MSG_SETTLE)->settle.is_final);
  fixture_free(f);
}

static void an_interim_settlement_is_said_once_in_each_session(void **state)
{
  struct fixture *f = fixture_open(8);

  (void)state;
  fixture_ask(f, 1, 60 * SECOND);
  fixture_grant(f, 1);
  assert_int_equal(fixture_settle(f, 1, false), WEIR_OK);
  fixture_settle_down(f);
  assert_int_equal(fixture_count(f, WEIR_MSG_SETTLE), 1);
  f->now += SECOND;
  fixture_refuse(f, TOKEN, WEIR_REFUSAL_SESSION);
  fixture_welcome(f, TOKEN + 1, 8);
  fixture_settle_down(f);
  assert_int_equal(fixture_count(f, WEIR_MSG_SETTLE), 2);
  assert_int_equal(fixture_last(f, WEIR_MSG_SETTLE)->settle.sent_ago_us, SECOND);
  /* The call has ended: nothing more is said of its middle. */
  assert_int_equal(fixture_settle(f, 1, true), WEIR_OK);
  fixture_refuse(f, TOKEN + 1, WEIR_REFUSAL_SESSION);
  fixture_welcome(f, TOKEN + 2, 8);
  fixture_settle_down(f);
  assert_int_equal(fixture_count(f, WEIR_MSG_SETTLE), 4);
  assert_true(fixture_last(f, WEIR_MSG_SETTLE)->settle.is_final);
  fixture_free(f);
}

static void interim_settlements_push_out_no_final_ones(void **state)
{
  struct fixture *f = fixture_open(400);
  uint32_t finals = 0;

  (void)state;
  for (uint64_t i = 1; i <= 200; i++) {
    fixture_ask(f, i, 60 * SECOND);
    fixture_grant(f, i);
  }
  fixture_link(f, false);
  for (uint64_t i = 1; i <= 64; i++) /* as many as are kept */
    assert_int_equal(fixture_settle(f, i, true), WEIR_OK);
  for (uint64_t i = 65; i <= 200; i++)
    assert_int_equal(fixture_settle(f, i, false), WEIR_OK);
  assert_int_equal(fixture_status(f).settlements, 64);
  assert_int_equal(fixture_status(f).settlements_dropped, 0);
  fixture_link(f, true);
  fixture_welcome(f, TOKEN + 1, 8);
  fixture_settle_down(f);
  assert_int_equal(fixture_count(f, WEIR_MSG_SETTLE), 200);
  for (uint32_t i = 0; i < f->sent_count; i++)
    finals += f->sent[i].type == WEIR_MSG_SETTLE && f->sent[i].settle.is_final;
  assert_int_equal(finals, 64);
  fixture_free(f);
}

static void a_lease_that_nobody_settles_is_forgotten_in_the_end(void **state)
{
  struct fixture *f = fixture_open(8);

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  fixture_grant(f, 1);
  fixture_link(f, false);
  fixture_run_to(f, f->now + TTL + WEIR_CLIENT_LEASE_GRACE_US - 1);
  assert_int_equal(fixture_status(f).calls, 1);
  fixture_run_to(f, f->now + 1);
  assert_int_equal(fixture_status(f).calls, 0);
  assert_int_equal(fixture_settle(f, 1, true), WEIR_ENOENT);
  fixture_free(f);
}

/* ---- bounds ---- */

static void no_more_asks_are_out_than_the_coordinator_gives_credit_for(void **state)
{
  struct fixture *f = fixture_open(4);

  (void)state;
  for (uint64_t i = 1; i <= 10; i++)
    fixture_ask(f, i, 60 * SECOND);
  assert_int_equal(fixture_count(f, WEIR_MSG_ASK), 4);
  fixture_grant(f, 2);
  assert_int_equal(fixture_count(f, WEIR_MSG_ASK), 5);
  assert_int_equal(fixture_cancel(f, 3), WEIR_OK);
  assert_int_equal(fixture_count(f, WEIR_MSG_ASK), 6);
  fixture_refuse(f, TOKEN, WEIR_REFUSAL_SESSION);
  f->sent_count = 0;
  fixture_link(f, true);
  fixture_welcome(f, TOKEN + 1, 2); /* less than before */
  assert_int_equal(fixture_count(f, WEIR_MSG_ASK), 2);
  assert_int_equal(f->sent[f->sent_count - 1].ask.seq, 4);
  fixture_free(f);
}

static void batch_work_leaves_room_for_online_asks(void **state)
{
  struct fixture *f = fixture_open(8);

  (void)state;
  for (uint64_t i = 1; i <= 20; i++)
    assert_int_equal(fixture_ask_as(f, i, WEIR_CLASS_BATCH, 60 * SECOND), WEIR_OK);
  assert_int_equal(fixture_count(f, WEIR_MSG_ASK), 6);
  fixture_ask(f, 100, 60 * SECOND);
  assert_int_equal(fixture_count(f, WEIR_MSG_ASK), 7);
  assert_int_equal(fixture_last(f, WEIR_MSG_ASK)->ask.class, WEIR_CLASS_ONLINE);
  fixture_free(f);
}

static void online_asks_that_wait_here_go_before_batch_asks(void **state)
{
  struct fixture *f = fixture_new(16, 8, 1);

  (void)state;
  assert_int_equal(fixture_ask_as(f, 1, WEIR_CLASS_BATCH, 60 * SECOND), WEIR_OK);
  assert_int_equal(fixture_ask_as(f, 2, WEIR_CLASS_ONLINE, 60 * SECOND), WEIR_OK);
  fixture_link(f, true);
  f->sent_count = 1;
  fixture_welcome(f, TOKEN, 8);
  assert_int_equal(f->sent[1].ask.class, WEIR_CLASS_ONLINE);
  assert_int_equal(f->sent[2].ask.class, WEIR_CLASS_BATCH);
  fixture_free(f);
}

static void an_ask_that_waits_long_does_not_stall_thousands_behind_it(void **state)
{
  struct fixture *f = fixture_open(8);

  (void)state;
  assert_int_equal(fixture_ask_as(f, 1, WEIR_CLASS_BATCH, 60 * SECOND), WEIR_OK);
  fixture_queued(f, 1);
  for (uint64_t i = 2; i <= UINT64_C(2) * WEIR_SEQ_WINDOW; i++) {
    fixture_ask(f, i, 60 * SECOND);
    fixture_grant(f, i);
    assert_int_equal(f->results[f->results_count - 1].cookie, i);
    assert_int_equal(fixture_settle(f, i, true), WEIR_OK);
  }
  fixture_grant(f, 1);
  assert_int_equal(f->results[f->results_count - 1].cookie, 1);
  fixture_free(f);
}

static void a_full_table_refuses_the_next_ask(void **state)
{
  struct fixture *f = fixture_new(2, 8, 1);

  (void)state;
  fixture_ask(f, 1, SECOND);
  fixture_ask(f, 2, SECOND);
  assert_int_equal(fixture_ask_as(f, 3, WEIR_CLASS_ONLINE, SECOND), WEIR_EFULL);
  fixture_run_to(f, f->now + SECOND);
  fixture_ask(f, 3, SECOND);
  fixture_free(f);
}

static void results_that_do_not_fit_follow_at_once(void **state)
{
  struct fixture *f = fixture_new(300, 8, 1);
  struct weir_client_event timeout = {.type = WEIR_CLIENT_TIMEOUT};

  (void)state;
  for (uint64_t i = 1; i <= 300; i++)
    fixture_ask(f, i, SECOND);
  f->now += SECOND;
  assert_int_equal(fixture_step(f, &timeout), WEIR_OK);
  assert_int_equal(f->update.results_count, WEIR_CLIENT_RESULTS_MAX);
  assert_true(f->update.wake <= f->now);
  fixture_settle_down(f);
  assert_int_equal(f->results_count, 300);
  fixture_free(f);
}

static void messages_that_have_no_room_wait_for_it(void **state)
{
  struct fixture *f = fixture_open(512);
  struct weir_client_ask ask = {
      .msg = {.model = "gemini/flash", .class = WEIR_CLASS_ONLINE, .requests = 1},
      .wait_us = SECOND};
  struct weir_client_event event = {
      .type = WEIR_CLIENT_ASK, .now = f->now, .cookie = 1, .ask = &ask};

  (void)state;
  f->update.messages_max = 0;
  assert_int_equal(weir_client_step(f->client, &event, &f->update), WEIR_OK);
  assert_int_equal(f->update.messages_count, 0);
  assert_true(f->update.wake <= f->now);
  event.type = WEIR_CLIENT_TIMEOUT;
  f->update.messages_max = 1;
  assert_int_equal(weir_client_step(f->client, &event, &f->update), WEIR_OK);
  assert_int_equal(f->update.messages_count, 1);
  assert_int_equal(f->update.messages[0].type, WEIR_MSG_ASK);
  assert_true(f->update.wake > f->now);
  fixture_free(f);
}

/* ---- the end ---- */

static void says_goodbye_after_its_settlements(void **state)
{
  struct fixture *f = fixture_open(8);
  struct weir_client_event close = {.type = WEIR_CLIENT_CLOSE};

  (void)state;
  fixture_ask(f, 1, 10 * SECOND);
  fixture_ask(f, 2, 10 * SECOND);
  fixture_grant(f, 1);
  fixture_hear(f);
  fixture_grant_after(f, 2, 20 * MS, 0); /* not handed out yet */
  assert_int_equal(fixture_settle(f, 1, true), WEIR_OK);
  assert_int_equal(fixture_step(f, &close), WEIR_OK);
  fixture_settle_down(f);
  assert_int_equal(fixture_count(f, WEIR_MSG_SETTLE), 2);
  assert_int_equal(f->sent[f->sent_count - 1].type, WEIR_MSG_BYE);
  assert_int_equal(fixture_status(f).state, WEIR_CLIENT_CLOSED);
  assert_int_equal(weir_client_wake(f->client), WEIR_NEVER);
  fixture_free(f);
}

/* ---- at random ---- */

/* A coordinator that answers whatever it heard of with anything, in any order, or not at all. */
static void random_step(struct fixture *f, struct weir_rng *rng, uint64_t *cookie)
{
  const struct weir_msg *ask = fixture_last(f, WEIR_MSG_ASK);
  const uint64_t seq = weir_time_sub((ask ? ask->ask.seq : 0) + 1, weir_rng_below(rng, 8));
  const uint64_t known = weir_time_sub(*cookie + 1, weir_rng_below(rng, 12));
  const enum weir_class class = weir_rng_below(rng, 2) ? WEIR_CLASS_ONLINE : WEIR_CLASS_BATCH;
  const enum weir_refusal refusal = (enum weir_refusal)(1 + weir_rng_below(rng, 4));

  switch (weir_rng_below(rng, 14)) {
  case 0:
  case 1:
  case 2:
    (void)!fixture_ask_as(f, ++*cookie, class, weir_rng_below(rng, 3 * SECOND));
    break;
  case 3:
    (void)!fixture_cancel(f, known);
    break;
  case 4:
  case 5:
    (void)!fixture_settle(f, known, weir_rng_below(rng, 2) != 0);
    break;
  case 6:
  case 7:
  case 8:
    fixture_hear(f);
    fixture_grant_after(f, seq, weir_rng_below(rng, 30 * MS), weir_rng_below(rng, SECOND));
    break;
  case 9:
    fixture_deny(f, seq, (enum weir_denial)(1 + weir_rng_below(rng, WEIR_DENIAL_MAX - 1)));
    break;
  case 10:
    fixture_queued(f, seq);
    break;
  case 11:
    fixture_link(f, weir_rng_below(rng, 4) != 0);
    break;
  case 12:
    fixture_refuse(f, weir_rng_below(rng, 2) ? f->token : 0, refusal);
    break;
  default:
    if (weir_rng_below(rng, 3) == 0)
      f->mark = weir_rng_next(rng); /* an echo of nothing */
    fixture_welcome(f, TOKEN + weir_rng_below(rng, 4), 1 + (uint32_t)weir_rng_below(rng, 40));
  }
  fixture_run_to(f, f->now + weir_rng_below(rng, 200 * MS));
}

static uint64_t random_run(uint64_t seed, uint32_t *ret_granted)
{
  struct fixture *f = fixture_new(64, 16, seed);
  struct weir_rng rng;
  uint64_t cookie = 0, digest;

  weir_rng_init(&rng, seed);
  *ret_granted = 0;
  for (int i = 0; i < 2000; i++) {
    random_step(f, &rng, &cookie);
    for (uint32_t k = 0; k < f->results_count; k++) {
      if (f->results[k].type == WEIR_CLIENT_GRANTED) {
        assert_true(f->results[k].expires_at > 0);
        ++*ret_granted;
      }
    }
    f->sent_count = f->sent_count > 4096 ? 0 : f->sent_count;
    f->results_count = 0;
  }
  /* Everybody gets a result: what is left are leases and what the coordinator has not heard of. */
  fixture_link(f, false);
  fixture_run_to(f, f->now + WEIR_CLIENT_LEASE_GRACE_US + 60 * SECOND);
  fixture_link(f, true);
  fixture_welcome(f, TOKEN, 8);
  fixture_settle_down(f);
  fixture_grant(f, UINT64_C(1) << 40); /* an echo */
  assert_int_equal(fixture_status(f).calls, 0);
  assert_int_equal(fixture_status(f).settlements, 0);
  digest = weir_client_digest(f->client);
  fixture_free(f);
  return digest;
}

static void any_conversation_keeps_the_books_in_order_and_repeats_exactly(void **state)
{
  (void)state;
  for (uint64_t seed = 1; seed <= 30; seed++) {
    uint32_t granted, again;
    const uint64_t digest = random_run(seed, &granted);

    assert_true(granted > 0);
    assert_true(digest == random_run(seed, &again));
    assert_int_equal(granted, again);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(says_hello_at_once_and_again_after_250_to_500_ms),
      cmocka_unit_test(says_nothing_without_a_link),
      cmocka_unit_test(sends_what_waited_when_it_is_welcome),
      cmocka_unit_test(pings_only_when_it_said_nothing_for_a_heartbeat),
      cmocka_unit_test(pings_although_it_settles_all_the_time),
      cmocka_unit_test(takes_silence_for_the_end_of_the_session),
      cmocka_unit_test(a_lost_session_is_followed_by_one_of_a_higher_incarnation),
      cmocka_unit_test(a_welcome_to_an_earlier_hello_opens_nothing),
      cmocka_unit_test(a_full_coordinator_is_asked_again_when_it_says),
      cmocka_unit_test(a_refused_key_ends_what_waits_until_there_is_a_link),
      cmocka_unit_test(gives_up_with_the_reason_until_there_is_another_link),
      cmocka_unit_test(a_lease_is_reported_at_its_start_and_never_earlier),
      cmocka_unit_test(a_lease_ends_counted_from_the_sending_of_what_the_grant_echoes),
      cmocka_unit_test(a_grant_that_was_too_long_on_its_way_is_given_back_and_asked_for_again),
      cmocka_unit_test(a_grant_that_echoes_a_forgotten_message_counts_as_expired),
      cmocka_unit_test(a_lease_that_a_late_step_finds_expired_is_not_handed_out),
      cmocka_unit_test(the_same_grant_again_and_unknown_grants_change_nothing),
      cmocka_unit_test(a_denial_is_handed_on_with_its_numbers),
      cmocka_unit_test(who_waits_in_the_coordinators_queue_times_out_at_the_deadline),
      cmocka_unit_test(who_gets_no_answer_learns_that_the_coordinator_is_unreachable),
      cmocka_unit_test(a_lease_that_would_start_after_the_deadline_is_given_back),
      cmocka_unit_test(a_grant_that_crosses_a_cancel_is_given_back),
      cmocka_unit_test(a_withdrawn_ask_is_forgotten_when_the_coordinator_heard_of_it),
      cmocka_unit_test(an_ask_withdrawn_without_a_session_is_taken_back_in_the_next),
      cmocka_unit_test(a_new_session_repeats_the_open_asks_in_order_with_the_time_left),
      cmocka_unit_test(an_ask_that_is_over_there_but_not_here_is_asked_again_under_a_new_number),
      cmocka_unit_test(messages_that_could_not_be_sent_begin_a_new_session),
      cmocka_unit_test(a_settlement_is_repeated_in_each_session_until_it_is_acknowledged),
      cmocka_unit_test(too_many_settlements_drop_the_oldest_and_count_it),
      cmocka_unit_test(a_lease_is_settled_once_but_may_be_settled_in_between),
      cmocka_unit_test(an_interim_settlement_needs_no_usage_and_says_when_it_was_written),
      cmocka_unit_test(a_later_settlement_of_a_call_supersedes_one_that_was_not_final),
      cmocka_unit_test(an_interim_settlement_is_said_once_in_each_session),
      cmocka_unit_test(interim_settlements_push_out_no_final_ones),
      cmocka_unit_test(a_lease_that_nobody_settles_is_forgotten_in_the_end),
      cmocka_unit_test(no_more_asks_are_out_than_the_coordinator_gives_credit_for),
      cmocka_unit_test(batch_work_leaves_room_for_online_asks),
      cmocka_unit_test(online_asks_that_wait_here_go_before_batch_asks),
      cmocka_unit_test(an_ask_that_waits_long_does_not_stall_thousands_behind_it),
      cmocka_unit_test(a_full_table_refuses_the_next_ask),
      cmocka_unit_test(results_that_do_not_fit_follow_at_once),
      cmocka_unit_test(messages_that_have_no_room_wait_for_it),
      cmocka_unit_test(says_goodbye_after_its_settlements),
      cmocka_unit_test(any_conversation_keeps_the_books_in_order_and_repeats_exactly),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
