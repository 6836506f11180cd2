/* Who may do what: what the machine makes of the peer that a message comes from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coord_fixture.h"

static const struct weir_coord_peer shop = {
    .id = 7, .rights = WEIR_RIGHT_ASK | WEIR_RIGHT_SHOW, .sessions_max = 2, .tenant = "shop"};
static const struct weir_coord_peer other = {.id = 8, .rights = WEIR_RIGHTS_ALL};

/* Sends |msg| as |peer|; returns the type of the last answer, 0 when there is none. */
static enum weir_msg_type send_as(struct fixture *f, uint64_t route, struct weir_msg *msg,
                                  const struct weir_coord_peer *peer)
{
  struct weir_coord_event event = {
      .type = WEIR_COORD_MESSAGE, .now = f->now, .route = route, .msg = msg, .peer = peer};

  msg->mark = ++f->mark;
  fixture_step(f, &event);
  return f->update.count > 0 ? f->update.sends[f->update.count - 1].msg.type : 0;
}

static uint64_t hello_as(struct fixture *f, uint64_t route, uint8_t instance, uint64_t incarnation,
                         const struct weir_coord_peer *peer)
{
  struct weir_msg msg = {.type = WEIR_MSG_HELLO};

  memset(msg.hello.instance, instance, sizeof(msg.hello.instance));
  msg.hello.incarnation = incarnation;
  msg.hello.version_min = msg.hello.version_max = 1;
  return send_as(f, route, &msg, peer) == WEIR_MSG_WELCOME ? answer(f)->session : 0;
}

static struct weir_msg ask_of(uint64_t session, uint64_t seq, const char *tenant)
{
  struct weir_msg msg = {.type = WEIR_MSG_ASK, .session = session};

  msg.ask.seq = seq;
  strcpy(msg.ask.model, "gemini/flash");
  strcpy(msg.ask.tenant, tenant);
  msg.ask.class = WEIR_CLASS_ONLINE;
  msg.ask.requests = 1;
  msg.ask.input_tokens = 1;
  msg.ask.deadline_us = 3 * MINUTE;
  return msg;
}

static void a_peer_without_the_right_to_ask_opens_no_session(void **state)
{
  struct fixture *f = *state;
  const struct weir_coord_peer viewer = {.id = 7, .rights = WEIR_RIGHT_SHOW};
  struct weir_msg show = {.type = WEIR_MSG_SHOW, .show = {.view = WEIR_VIEW_TOTALS}};

  assert_int_equal(hello_as(f, 9, 1, 1, &viewer), 0);
  assert_int_equal(answer(f)->type, WEIR_MSG_REFUSE);
  assert_int_equal(answer(f)->refuse.why, WEIR_REFUSAL_FORBIDDEN);
  assert_int_equal(send_as(f, 9, &show, &viewer), WEIR_MSG_ROW);
}

static void only_an_admin_steers_and_only_who_may_looks(void **state)
{
  struct fixture *f = *state;
  const struct weir_coord_peer asker = {.id = 7, .rights = WEIR_RIGHT_ASK};
  struct weir_msg show = {.type = WEIR_MSG_SHOW, .show = {.view = WEIR_VIEW_POOLS}};
  struct weir_msg steer = {.type = WEIR_MSG_STEER,
                           .steer = {.pool = "flash", .steer = WEIR_STEER_OPEN}};

  assert_int_equal(send_as(f, 9, &steer, &shop), WEIR_MSG_REFUSE);
  assert_int_equal(answer(f)->refuse.why, WEIR_REFUSAL_FORBIDDEN);
  assert_int_equal(send_as(f, 9, &show, &asker), WEIR_MSG_REFUSE);
  assert_int_equal(send_as(f, 9, &show, &shop), WEIR_MSG_ROW);
  assert_int_equal(answer(f)->row.breaker, WEIR_BREAKER_CLOSED);
  assert_int_equal(send_as(f, 9, &steer, &other), WEIR_MSG_STATE);
  assert_int_equal(answer(f)->state.breaker, WEIR_BREAKER_OPEN);
  assert_int_equal(counter(f, WEIR_COUNTER_REFUSED), 2);
}

static void a_session_is_shown_with_the_tenant_that_its_key_is_bound_to_now(void **state)
{
  struct fixture *f = *state;
  struct weir_msg show = {.type = WEIR_MSG_SHOW, .show = {.view = WEIR_VIEW_SESSIONS}};
  struct weir_msg ping = {.type = WEIR_MSG_PING};
  struct weir_coord_peer moved = shop;

  ping.session = hello_as(f, 9, 1, 1, &shop);
  assert_int_equal(send_as(f, 77, &show, &other), WEIR_MSG_ROW);
  assert_string_equal(answer(f)->row.tenant, "shop");
  strcpy(moved.tenant, "store");
  send_as(f, 9, &ping, &moved);
  send_as(f, 77, &show, &other);
  assert_string_equal(answer(f)->row.tenant, "store");
  memset(moved.tenant, 0, sizeof(moved.tenant));
  send_as(f, 9, &ping, &moved);
  send_as(f, 77, &show, &other);
  assert_string_equal(answer(f)->row.tenant, "");
}

/* One tenant has one request a minute: whose is charged shows in what the second ask gets. */
static void asks_are_the_tenants_of_the_key_whatever_they_say(void **state)
{
  struct fixture *f = *state;
  struct weir_tenant_config tenant = {
      .name = "shop",
      .pool = WEIR_POOL_ANY,
      .weight = 1,
      .budget = 0,
  };
  struct weir_budget_config budget = {
      .name = "shop",
      .limits_count = 1,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = 1}}};
  struct weir_msg first, second, free_choice;
  uint64_t s, t;

  f->pools[0].limits[0].amount = 600;
  f->tenants[0] = tenant;
  f->budgets[0] = budget;
  f->config.tenants = f->tenants;
  f->config.tenants_count = 1;
  f->config.budgets = f->budgets;
  f->config.budgets_count = 1;
  free(f->storage); /* a budget that comes with a reload begins used up */
  fixture_start(f, &small_bounds, &first_start);
  s = hello_as(f, 9, 1, 1, &shop);
  t = hello_as(f, 10, 2, 1, &other);
  first = ask_of(s, 1, "");
  second = ask_of(s, 2, "somebody else");
  free_choice = ask_of(t, 1, "somebody else");
  assert_int_equal(send_as(f, 9, &first, &shop), WEIR_MSG_GRANT);
  assert_int_equal(send_as(f, 10, &free_choice, &other), WEIR_MSG_GRANT);
  assert_int_equal(send_as(f, 9, &second, &shop), WEIR_MSG_QUEUED);
  free_choice.ask.seq = 2;
  assert_int_equal(send_as(f, 10, &free_choice, &other), WEIR_MSG_GRANT);
}

static void a_token_is_worth_nothing_to_another_key(void **state)
{
  struct fixture *f = *state;
  uint64_t s = hello_as(f, 9, 1, 1, &shop);
  struct weir_msg ask = ask_of(s, 1, "");

  assert_int_equal(send_as(f, 10, &ask, &other), WEIR_MSG_REFUSE);
  assert_int_equal(answer(f)->refuse.why, WEIR_REFUSAL_SESSION);
  assert_int_equal(send_as(f, 9, &ask, &shop), WEIR_MSG_GRANT);
}

static void an_instance_cannot_be_taken_over_by_another_key(void **state)
{
  struct fixture *f = *state;
  uint64_t s = hello_as(f, 9, 1, 1, &shop);
  struct weir_msg ask = ask_of(s, 1, ""), bye = {.type = WEIR_MSG_BYE, .session = s};

  assert_int_equal(hello_as(f, 10, 1, 2, &other), 0);
  assert_int_equal(answer(f)->refuse.why, WEIR_REFUSAL_FORBIDDEN);
  assert_int_equal(send_as(f, 9, &ask, &shop), WEIR_MSG_GRANT);
  /* Nor while only its leases are left. */
  send_as(f, 9, &bye, &shop);
  assert_int_equal(hello_as(f, 10, 1, 2, &other), 0);
  assert_int_equal(answer(f)->refuse.why, WEIR_REFUSAL_FORBIDDEN);
  assert_true(hello_as(f, 10, 1, 2, &shop) != 0);
}

static void the_next_message_of_a_revoked_key_ends_its_session(void **state)
{
  struct fixture *f = *state;
  const struct weir_coord_peer revoked = {.id = 7};
  uint64_t s = hello_as(f, 9, 1, 1, &shop);
  struct weir_msg ping = {.type = WEIR_MSG_PING, .session = s}, ask;

  for (uint64_t seq = 1; seq <= 3; seq++) {
    ask = ask_of(s, seq, "");
    send_as(f, 9, &ask, &shop);
  }
  assert_int_equal(answer(f)->type, WEIR_MSG_QUEUED);
  assert_int_equal(send_as(f, 9, &ping, &revoked), WEIR_MSG_REFUSE);
  assert_int_equal(answer(f)->refuse.why, WEIR_REFUSAL_FORBIDDEN);
  assert_int_equal(answer(f)->session, s);
  /* What it had waiting is gone: nothing is granted to it any more. */
  fixture_run(f, f->now + 2 * MINUTE);
  assert_int_equal(f->granted_count, 2);
  assert_int_equal(send_as(f, 9, &ping, &shop), WEIR_MSG_REFUSE);
  assert_int_equal(answer(f)->refuse.why, WEIR_REFUSAL_SESSION);
}

static void a_hole_in_what_was_said_ends_the_session(void **state)
{
  struct fixture *f = *state;
  struct weir_coord_peer torn = shop;
  uint64_t s = hello_as(f, 9, 1, 1, &shop);
  struct weir_msg ping = {.type = WEIR_MSG_PING, .session = s};

  torn.is_torn = true;
  assert_int_equal(send_as(f, 9, &ping, &torn), WEIR_MSG_REFUSE);
  assert_int_equal(answer(f)->refuse.why, WEIR_REFUSAL_SESSION);
  assert_int_equal(send_as(f, 9, &ping, &shop), WEIR_MSG_REFUSE);
  assert_true(hello_as(f, 9, 1, 2, &torn) != 0);
}

static void a_key_has_so_many_sessions_and_no_more(void **state)
{
  struct fixture *f = *state;
  uint64_t first = hello_as(f, 9, 1, 1, &shop);
  struct weir_msg bye = {.type = WEIR_MSG_BYE, .session = first};

  assert_true(first != 0 && hello_as(f, 10, 2, 1, &shop) != 0);
  assert_int_equal(hello_as(f, 11, 3, 1, &shop), 0);
  assert_int_equal(answer(f)->refuse.why, WEIR_REFUSAL_FULL);
  assert_true(hello_as(f, 11, 3, 1, &other) != 0); /* others have theirs */
  assert_true(hello_as(f, 12, 2, 2, &shop) != 0);  /* in place of its own */
  send_as(f, 9, &bye, &shop);
  assert_true(hello_as(f, 13, 4, 1, &shop) != 0);
  /* Silence counts as an end, too. */
  fixture_run(f, f->now + MINUTE);
  assert_true(hello_as(f, 14, 5, 1, &shop) != 0 && hello_as(f, 15, 6, 1, &shop) != 0);
  assert_int_equal(hello_as(f, 16, 7, 1, &shop), 0);
}

static void peers_without_a_key_have_as_many_sessions_as_there_are(void **state)
{
  struct fixture *f = *state;
  const struct weir_coord_peer plain = {.rights = WEIR_RIGHTS_ALL, .sessions_max = 1};

  for (uint8_t i = 1; i <= 8; i++)
    assert_true(hello_as(f, i, i, 1, &plain) != 0);
  assert_int_equal(hello_as(f, 9, 9, 1, &plain), 0);
}

static void frames_that_were_dropped_are_counted(void **state)
{
  struct fixture *f = *state;
  struct weir_coord_event event = {.type = WEIR_COORD_THROTTLED, .now = f->now, .route = 9};

  fixture_step(f, &event);
  assert_int_equal(f->update.count, 0);
  assert_int_equal(counter(f, WEIR_COUNTER_THROTTLED), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_peer_without_the_right_to_ask_opens_no_session),
      TEST(only_an_admin_steers_and_only_who_may_looks),
      TEST(a_session_is_shown_with_the_tenant_that_its_key_is_bound_to_now),
      TEST(asks_are_the_tenants_of_the_key_whatever_they_say),
      TEST(a_token_is_worth_nothing_to_another_key),
      TEST(an_instance_cannot_be_taken_over_by_another_key),
      TEST(the_next_message_of_a_revoked_key_ends_its_session),
      TEST(a_hole_in_what_was_said_ends_the_session),
      TEST(a_key_has_so_many_sessions_and_no_more),
      TEST(peers_without_a_key_have_as_many_sessions_as_there_are),
      TEST(frames_that_were_dropped_are_counted),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
