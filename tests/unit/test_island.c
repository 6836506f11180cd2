/* What an instance calls while nobody answers it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client_fixture.h"

#define FOR (60 * SECOND)

/* Two requests at once and one in 10 s; as told by the last message that was heard. */
static void tell_idle(struct fixture *f, weir_duration for_us, weir_duration idle_us)
{
  struct weir_msg msg = fixture_say(f, WEIR_MSG_ISLAND);

  msg.island = (struct weir_msg_island){
      .pool = "flash",
      .for_us = for_us,
      .ttl_us = TTL,
      .idle_us = idle_us,
      .parts_count = 1,
      .parts = {{WEIR_DIMENSION_REQUESTS, .amount = 1, .window_us = 10 * SECOND, .burst = 2}}};
  fixture_receive(f, &msg);
}

static void tell(struct fixture *f)
{
  tell_idle(f, FOR, WEIR_DURATION_MAX);
}

/* Has a call granted as |grant| says. */
static void ask_for(struct fixture *f, struct weir_msg_grant grant)
{
  struct weir_msg msg;

  fixture_ask(f, 1, 100 * SECOND);
  fixture_hear(f);
  msg = fixture_say(f, WEIR_MSG_GRANT);
  grant.seq = fixture_last(f, WEIR_MSG_ASK)->ask.seq;
  msg.grant = grant;
  fixture_receive(f, &msg);
  assert_int_equal(f->results_count, 1);
}

/* In session, knowing what "gemini/flash" is granted as, and told of its island. */
static struct fixture *told(void)
{
  struct fixture *f = fixture_open(32);

  fixture_ask(f, 1, 100 * SECOND);
  fixture_grant(f, fixture_last(f, WEIR_MSG_ASK)->ask.seq);
  assert_int_equal(f->results_count, 1);
  tell(f);
  return f;
}

static uint32_t islands_in(const struct fixture *f)
{
  uint32_t count = 0;

  for (uint32_t i = 0; i < f->results_count; i++)
    count += f->results[i].is_island;
  return count;
}

static void without_a_session_calls_go_as_far_as_the_part_allows(void **state)
{
  struct fixture *f = told();
  const struct weir_client_result *last = &f->results[1];

  (void)state;
  fixture_link(f, false);
  fixture_ask(f, 2, 100 * SECOND);
  assert_int_equal(islands_in(f), 1);
  assert_int_equal(last->type, WEIR_CLIENT_GRANTED);
  assert_string_equal(last->grant.model, "gemini/flash");
  assert_int_equal(last->expires_at, f->now + TTL);
  fixture_ask(f, 3, 100 * SECOND);
  assert_int_equal(islands_in(f), 2);
  fixture_ask(f, 4, 100 * SECOND); /* the bucket is empty: one comes back in 10 s */
  fixture_run_to(f, 1000 * SECOND + 10 * SECOND - 1);
  assert_int_equal(islands_in(f), 2);
  fixture_run_to(f, 1000 * SECOND + 10 * SECOND);
  assert_int_equal(islands_in(f), 3);
  assert_int_equal(fixture_status(f).island_calls, 3);
  fixture_free(f);
}

static void what_was_left_when_it_had_a_session_is_not_told_as_left_now(void **state)
{
  struct fixture *f = fixture_open(32);
  const struct weir_msg_grant *grant = &f->results[1].grant;

  (void)state;
  ask_for(f, (struct weir_msg_grant){.ttl_us = TTL,
                                     .pool = "flash",
                                     .model = "gemini/flash",
                                     .timeout_us = 9 * SECOND,
                                     .requests_limit = 100,
                                     .requests_left = 99,
                                     .tokens_limit = 1000,
                                     .tokens_left = 900});
  assert_int_equal(f->results[0].grant.requests_left, 99);
  tell(f);
  fixture_link(f, false);
  fixture_ask(f, 2, SECOND);
  assert_int_equal(islands_in(f), 1);
  assert_int_equal(grant->timeout_us, 9 * SECOND);
  assert_int_equal(grant->requests_limit + grant->requests_left, 0);
  assert_int_equal(grant->tokens_limit + grant->tokens_left, 0);
  fixture_free(f);
}

static void with_a_session_nothing_goes_that_way(void **state)
{
  struct fixture *f = told();

  (void)state;
  fixture_ask(f, 2, 100 * SECOND);
  assert_int_equal(islands_in(f), 0);
  fixture_free(f);
}

static void the_time_ends_after_the_sending_of_what_was_heard(void **state)
{
  struct fixture *f = told();
  const weir_tstamp sent_at = f->now;

  (void)state;
  f->now += 5 * SECOND; /* heard late: that is no more time */
  tell(f);
  fixture_link(f, false);
  f->now = sent_at + FOR - 1;
  fixture_ask(f, 2, SECOND);
  assert_int_equal(islands_in(f), 1);
  f->now = sent_at + FOR;
  fixture_ask(f, 3, SECOND);
  assert_int_equal(islands_in(f), 1);
  fixture_free(f);
}

static void what_was_used_stays_used_over_a_session(void **state)
{
  struct fixture *f = told();

  (void)state;
  fixture_link(f, false);
  fixture_ask(f, 2, SECOND);
  fixture_ask(f, 3, SECOND);
  assert_int_equal(islands_in(f), 2);
  fixture_link(f, true);
  fixture_welcome(f, TOKEN + 1, 32);
  tell(f);
  fixture_link(f, false);
  fixture_ask(f, 4, SECOND);
  assert_int_equal(islands_in(f), 2);
  fixture_free(f);
}

static void a_place_that_was_just_left_is_empty_and_fills(void **state)
{
  struct fixture *f = told();

  (void)state;
  tell_idle(f, FOR, 15 * SECOND); /* of 20: one is there */
  fixture_link(f, false);
  fixture_ask(f, 2, SECOND);
  fixture_ask(f, 3, SECOND);
  assert_int_equal(islands_in(f), 1);
  fixture_free(f);
}

static void who_is_told_that_there_is_nothing_stops_and_forgets_no_use(void **state)
{
  struct fixture *f = told();
  struct weir_msg msg = fixture_say(f, WEIR_MSG_ISLAND);

  (void)state;
  fixture_link(f, false);
  fixture_ask(f, 2, SECOND);
  fixture_ask(f, 3, SECOND);
  assert_int_equal(islands_in(f), 2);
  fixture_link(f, true);
  fixture_welcome(f, TOKEN + 1, 32);
  msg = fixture_say(f, WEIR_MSG_ISLAND);
  memcpy(msg.island.pool, "flash", sizeof("flash"));
  fixture_receive(f, &msg); /* for no time, and no parts */
  fixture_link(f, false);
  f->now += SECOND;
  fixture_ask(f, 4, SECOND);
  assert_int_equal(islands_in(f), 2);
  fixture_link(f, true);
  fixture_welcome(f, TOKEN + 2, 32);
  tell(f);
  fixture_link(f, false);
  fixture_ask(f, 5, 8 * SECOND); /* one comes back in 10 s, of which one is over */
  fixture_run_to(f, f->now + 8 * SECOND);
  assert_int_equal(islands_in(f), 2);
  fixture_ask(f, 6, SECOND);
  fixture_run_to(f, f->now + SECOND);
  assert_int_equal(islands_in(f), 3);
  fixture_free(f);
}

static void what_was_asked_before_goes_too_and_is_taken_back(void **state)
{
  struct fixture *f = told();
  uint64_t seq;

  (void)state;
  fixture_ask(f, 2, 100 * SECOND);
  seq = fixture_last(f, WEIR_MSG_ASK)->ask.seq;
  fixture_queued(f, seq);
  fixture_link(f, false);
  assert_int_equal(islands_in(f), 1);
  assert_int_equal(f->results[1].cookie, 2);
  fixture_link(f, true);
  fixture_welcome(f, TOKEN + 1, 32);
  assert_int_equal(fixture_last(f, WEIR_MSG_CANCEL)->cancel.seq, seq);
  fixture_free(f);
}

static void the_coordinator_hears_of_it_once_in_the_next_session(void **state)
{
  struct fixture *f = told();
  const struct weir_msg *settle;

  (void)state;
  fixture_link(f, false);
  fixture_ask(f, 2, 100 * SECOND);
  fixture_settle(f, 2, false); /* nobody asked for it */
  fixture_settle(f, 2, true);
  fixture_link(f, true);
  fixture_welcome(f, TOKEN + 1, 32);
  settle = fixture_last(f, WEIR_MSG_SETTLE);
  assert_int_equal(fixture_count(f, WEIR_MSG_SETTLE), 1);
  assert_string_equal(settle->settle.island, "flash");
  assert_true(settle->settle.is_sent && settle->settle.is_final);
  assert_true(settle->settle.seq > fixture_last(f, WEIR_MSG_ASK)->ask.seq);
  fixture_free(f);
}

static void a_rejection_closes_the_part_for_a_while(void **state)
{
  struct fixture *f = told();
  struct weir_client_settle settle = {
      .msg = {.is_sent = true, .is_final = true, .outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS},
      .sent_at = f->now};
  struct weir_client_event event = {.type = WEIR_CLIENT_SETTLE, .cookie = 2, .settle = &settle};

  (void)state;
  fixture_link(f, false);
  fixture_ask(f, 2, 100 * SECOND);
  assert_int_equal(fixture_step(f, &event), WEIR_OK);
  fixture_ask(f, 3, 100 * SECOND);
  fixture_run_to(f, 1005 * SECOND - 1);
  assert_int_equal(islands_in(f), 1);
  fixture_run_to(f, 1005 * SECOND);
  assert_int_equal(islands_in(f), 2);
  fixture_free(f);
}

static void use_beyond_the_estimate_is_debt(void **state)
{
  struct fixture *f = told();
  struct weir_client_settle settle = {
      .msg = {.is_sent = true, .is_final = true, .has_usage = true, .input_tokens = 300},
      .sent_at = f->now};
  struct weir_client_event event = {.type = WEIR_CLIENT_SETTLE, .cookie = 2, .settle = &settle};
  struct weir_msg msg = fixture_say(f, WEIR_MSG_ISLAND);

  (void)state;
  msg.island = (struct weir_msg_island){
      .pool = "flash",
      .for_us = FOR,
      .ttl_us = TTL,
      .idle_us = WEIR_DURATION_MAX,
      .parts_count = 1,
      .parts = {{WEIR_DIMENSION_INPUT_TOKENS, .amount = 100, .window_us = SECOND, .burst = 200}}};
  /* Another kind of part than before starts empty. */
  fixture_receive(f, &msg);
  f->now += 2 * SECOND;
  fixture_link(f, false);
  fixture_ask(f, 2, 100 * SECOND);
  assert_int_equal(islands_in(f), 1);
  assert_int_equal(fixture_step(f, &event), WEIR_OK);
  fixture_ask(f, 3, 100 * SECOND); /* 200 - 300 - 100: two seconds */
  fixture_run_to(f, 1004 * SECOND - 1);
  assert_int_equal(islands_in(f), 1);
  fixture_run_to(f, 1004 * SECOND);
  assert_int_equal(islands_in(f), 2);
  fixture_free(f);
}

/* Told of |told| about its pool, it is cut off at once and asks; returns after how long the call
 * went, within a minute. */
static weir_duration went_after(struct weir_msg_state state)
{
  struct fixture *f = told();
  struct weir_msg msg = fixture_say(f, WEIR_MSG_STATE);
  const weir_tstamp since = f->now;
  weir_duration after;

  memcpy(state.pool, "flash", sizeof("flash"));
  msg.state = state;
  fixture_receive(f, &msg);
  fixture_link(f, false);
  fixture_ask(f, 2, 2 * FOR);
  while (islands_in(f) == 0 && f->now < since + FOR)
    fixture_run_to(f, f->now + SECOND);
  after = islands_in(f) > 0 ? f->now - since : WEIR_DURATION_MAX;
  fixture_free(f);
  return after;
}

static void while_the_breaker_is_open_nothing_goes(void **state)
{
  struct weir_msg_state msg = {.breaker = WEIR_BREAKER_OPEN, .open_us = 20 * SECOND};

  (void)state;
  assert_int_equal(went_after(msg), 20 * SECOND);
  msg.open_us = WEIR_DURATION_MAX; /* held */
  assert_int_equal(went_after(msg), WEIR_DURATION_MAX);
  msg.open_us = 20 * SECOND;
  msg.closed_us = 40 * SECOND; /* the day is used up as well */
  assert_int_equal(went_after(msg), 40 * SECOND);
}

static void nobody_is_told_that_probes_went_well_and_calls_go_after_a_while(void **state)
{
  (void)state;
  assert_int_equal(went_after((struct weir_msg_state){.breaker = WEIR_BREAKER_HALF_OPEN}),
                   30 * SECOND);
  assert_int_equal(went_after((struct weir_msg_state){.breaker = WEIR_BREAKER_RAMP}), 0);
}

/* Told of a bucket of |burst| calls, |amount| of which come back in |window|, and cut off. */
static struct fixture *cut_off_with(uint64_t amount, weir_duration window, uint64_t burst)
{
  struct fixture *f = told();
  struct weir_msg msg = fixture_say(f, WEIR_MSG_ISLAND);

  msg.island =
      (struct weir_msg_island){.pool = "flash",
                               .for_us = FOR,
                               .ttl_us = TTL,
                               .idle_us = WEIR_DURATION_MAX,
                               .parts_count = 1,
                               .parts = {{WEIR_DIMENSION_REQUESTS, amount, window, burst}}};
  fixture_receive(f, &msg);
  f->now += SECOND; /* it is full, whatever was there before */
  fixture_link(f, false);
  return f;
}

static void a_part_of_one_call_lets_it_through(void **state)
{
  struct fixture *f = cut_off_with(3, 100 * MS, 1);

  (void)state;
  fixture_ask(f, 2, 100 * SECOND);
  assert_int_equal(islands_in(f), 1);
  fixture_ask(f, 3, 100 * SECOND);
  fixture_run_to(f, f->now + 33333);
  assert_int_equal(islands_in(f), 1);
  fixture_run_to(f, f->now + 1);
  assert_int_equal(islands_in(f), 2);
  fixture_free(f);
}

/* Instants are whole: a bucket whose depth is rounded up lets no more through than the bound says.
 */
static void whatever_is_rounded_calls_weigh_less_than_the_bound(void **state)
{
  enum { STEPS = 60 };
  static const weir_duration windows[] = {7, 10, 13};

  (void)state;
  for (uint64_t code = 0; code < 3 * 5 * 4; code++) {
    const weir_duration window = windows[code % 3];
    const uint64_t amount = 1 + code / 3 % 5, burst = 1 + code / 15;
    struct fixture *f = cut_off_with(amount, window, burst);
    weir_tstamp at[4 * STEPS];
    uint32_t count = 0;

    for (uint64_t i = 0; i < (uint64_t)4 * STEPS; i++) {
      const uint32_t before = islands_in(f);

      fixture_ask(f, 10 + i, 0);
      if (islands_in(f) > before) {
        at[count++] = f->now;
        fixture_settle(f, 10 + i, true);
      }
      if (i % 4 == 3)
        fixture_run_to(f, f->now + 1);
    }
    assert_true(count >= burst);
    for (uint32_t i = 0; i < count; i++) {
      for (uint32_t k = i; k < count; k++)
        assert_true((k - i + 1) * window < burst * window + (at[k] - at[i] + 1) * amount);
    }
    fixture_free(f);
  }
}

/* ---- what no island lets through ---- */

/* In a session of an instance that says |own|, whose pool says |pool|: it has a grant. */
static struct fixture *granted(enum weir_without own, enum weir_without pool)
{
  const struct weir_client_config config = {.calls_max = 64,
                                            .settlements_max = 64,
                                            .instance = {1, 2, 3},
                                            .seed = 42,
                                            .without = own,
                                            .name = "test"};
  struct fixture *f = fixture_make(&config);

  fixture_link(f, true);
  fixture_welcome(f, TOKEN, 32);
  ask_for(f, (struct weir_msg_grant){
                 .ttl_us = TTL, .pool = "flash", .model = "gemini/flash", .without = pool});
  return f;
}

static void calls_wait_fail_or_go_by_the_stricter_word(void **state)
{
  enum { WAIT = WEIR_WITHOUT_WAIT, CLOSED = WEIR_WITHOUT_CLOSED, OPEN = WEIR_WITHOUT_OPEN };
  static const struct {
    int own, pool, is;
  } cases[] = {{0, 0, WAIT},           {0, WAIT, WAIT},     {0, CLOSED, CLOSED},
               {0, OPEN, OPEN},        {WAIT, 0, WAIT},     {WAIT, CLOSED, CLOSED},
               {WAIT, OPEN, WAIT},     {CLOSED, 0, CLOSED}, {CLOSED, WAIT, CLOSED},
               {CLOSED, OPEN, CLOSED}, {OPEN, 0, WAIT},     {OPEN, WAIT, WAIT},
               {OPEN, CLOSED, CLOSED}, {OPEN, OPEN, OPEN}};

  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct fixture *f = granted((enum weir_without)cases[i].own, (enum weir_without)cases[i].pool);
    const struct weir_client_result *last = &f->results[1];
    const weir_tstamp since = f->now;

    fixture_link(f, false);
    fixture_ask(f, 2, 5 * SECOND);
    fixture_run_to(f, since + WEIR_CLIENT_AWAY_US - 1); /* a link that breaks is no outage yet */
    assert_int_equal(f->results_count, 1);
    fixture_run_to(f, since + 4 * SECOND);
    assert_int_equal(f->results_count, cases[i].is == WAIT ? 1 : 2);
    if (cases[i].is == CLOSED)
      assert_int_equal(last->type, WEIR_CLIENT_UNREACHABLE);
    if (cases[i].is == OPEN)
      assert_true(last->type == WEIR_CLIENT_GRANTED && last->is_open && !last->is_island);
    if (cases[i].is != WAIT)
      assert_int_equal(last->wait_us, WEIR_CLIENT_AWAY_US);
    fixture_run_to(f, since + 5 * SECOND);
    assert_int_equal(f->results_count, 2);
    fixture_free(f);
  }
}

static void what_was_asked_before_fails_too_where_calls_do(void **state)
{
  struct fixture *f = granted(0, WEIR_WITHOUT_CLOSED);

  (void)state;
  fixture_ask(f, 2, 100 * SECOND);
  fixture_queued(f, fixture_last(f, WEIR_MSG_ASK)->ask.seq);
  fixture_link(f, false);
  fixture_run_to(f, f->now + WEIR_CLIENT_AWAY_US);
  assert_int_equal(f->results_count, 2);
  assert_int_equal(f->results[1].type, WEIR_CLIENT_UNREACHABLE);
  fixture_ask(f, 3, 100 * SECOND); /* it is away already */
  assert_int_equal(f->results_count, 3);
  fixture_free(f);
}

static void an_island_goes_first_and_the_rest_without_limit(void **state)
{
  struct fixture *f = granted(0, WEIR_WITHOUT_OPEN);

  (void)state;
  tell(f);
  fixture_link(f, false);
  fixture_ask(f, 2, 100 * SECOND);
  fixture_ask(f, 3, 100 * SECOND);
  assert_int_equal(islands_in(f), 2);
  fixture_ask(f, 4, 100 * SECOND);
  fixture_run_to(f, f->now + WEIR_CLIENT_AWAY_US);
  assert_int_equal(islands_in(f), 2);
  assert_int_equal(f->results_count, 4);
  assert_true(f->results[3].is_open);
  assert_int_equal(f->results[3].expires_at, f->now + TTL);
  fixture_free(f);
}

static void a_call_without_limit_is_told_of_and_takes_no_lease(void **state)
{
  struct fixture *f = granted(0, WEIR_WITHOUT_OPEN);
  uint32_t told = 0;

  (void)state;
  fixture_settle(f, 1, true);
  fixture_link(f, false);
  fixture_run_to(f, f->now + WEIR_CLIENT_AWAY_US);
  fixture_ask(f, 2, 100 * SECOND);
  assert_true(f->results[1].is_open);
  fixture_settle(f, 2, false); /* nobody asked for it */
  fixture_settle(f, 2, true);
  fixture_link(f, true);
  fixture_welcome(f, TOKEN + 1, 32);
  for (uint32_t i = 0; i < f->sent_count; i++)
    told += f->sent[i].type == WEIR_MSG_SETTLE && strcmp(f->sent[i].settle.island, "flash") == 0;
  assert_int_equal(told, 1);
  fixture_ask(f, 3, 100 * SECOND); /* with a session there are limits again */
  assert_int_equal(f->results_count, 2);
  fixture_free(f);
}

static void an_open_breaker_holds_what_goes_without_limit_too(void **state)
{
  struct fixture *f = granted(0, WEIR_WITHOUT_OPEN);
  struct weir_msg msg = fixture_say(f, WEIR_MSG_STATE);
  const weir_tstamp since = f->now;

  (void)state;
  msg.state = (struct weir_msg_state){
      .pool = "flash", .breaker = WEIR_BREAKER_OPEN, .open_us = 20 * SECOND};
  fixture_receive(f, &msg);
  fixture_link(f, false);
  fixture_ask(f, 2, 100 * SECOND);
  fixture_run_to(f, since + 20 * SECOND - 1);
  assert_int_equal(f->results_count, 1);
  fixture_run_to(f, since + 20 * SECOND);
  assert_int_equal(f->results_count, 2);
  fixture_free(f);
}

static void hello_says_that_islands_are_understood(void **state)
{
  struct fixture *f = told();

  (void)state;
  assert_true(fixture_last(f, WEIR_MSG_HELLO)->hello.takes_islands);
  fixture_free(f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_a_session_calls_go_as_far_as_the_part_allows),
      cmocka_unit_test(what_was_left_when_it_had_a_session_is_not_told_as_left_now),
      cmocka_unit_test(with_a_session_nothing_goes_that_way),
      cmocka_unit_test(the_time_ends_after_the_sending_of_what_was_heard),
      cmocka_unit_test(what_was_used_stays_used_over_a_session),
      cmocka_unit_test(a_place_that_was_just_left_is_empty_and_fills),
      cmocka_unit_test(who_is_told_that_there_is_nothing_stops_and_forgets_no_use),
      cmocka_unit_test(what_was_asked_before_goes_too_and_is_taken_back),
      cmocka_unit_test(the_coordinator_hears_of_it_once_in_the_next_session),
      cmocka_unit_test(a_rejection_closes_the_part_for_a_while),
      cmocka_unit_test(use_beyond_the_estimate_is_debt),
      cmocka_unit_test(while_the_breaker_is_open_nothing_goes),
      cmocka_unit_test(nobody_is_told_that_probes_went_well_and_calls_go_after_a_while),
      cmocka_unit_test(a_part_of_one_call_lets_it_through),
      cmocka_unit_test(whatever_is_rounded_calls_weigh_less_than_the_bound),
      cmocka_unit_test(calls_wait_fail_or_go_by_the_stricter_word),
      cmocka_unit_test(what_was_asked_before_fails_too_where_calls_do),
      cmocka_unit_test(an_island_goes_first_and_the_rest_without_limit),
      cmocka_unit_test(a_call_without_limit_is_told_of_and_takes_no_lease),
      cmocka_unit_test(an_open_breaker_holds_what_goes_without_limit_too),
      cmocka_unit_test(hello_says_that_islands_are_understood),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
