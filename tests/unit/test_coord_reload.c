#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "coord_fixture.h"

static void a_raised_limit_serves_the_queue_at_once(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);
  struct weir_coord_event event = {.type = WEIR_COORD_CONFIG, .now = f->now, .config = &f->config};

  for (uint64_t seq = 1; seq <= 3; seq++)
    fixture_ask(f, 9, s, seq, WEIR_CLASS_ONLINE, 1, 3 * MINUTE);
  f->pools[0].limits[0].amount = 3;
  assert_int_equal(weir_coord_step(f->coord, &event, &f->update), WEIR_OK);
  fixture_run(f, f->now);
  assert_int_equal(answer(f)->type, WEIR_MSG_GRANT);
  assert_int_equal(answer(f)->grant.seq, 3);
}

static void a_removed_pool_denies_what_waits_and_settles_what_is_out(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);
  struct weir_coord_event event = {.type = WEIR_COORD_CONFIG, .now = f->now, .config = &f->config};

  for (uint64_t seq = 1; seq <= 3; seq++)
    fixture_ask(f, 9, s, seq, WEIR_CLASS_ONLINE, 1, 3 * MINUTE);
  strcpy(f->pools[0].name, "other");
  assert_int_equal(weir_coord_step(f->coord, &event, &f->update), WEIR_OK);
  fixture_run(f, f->now);
  assert_int_equal(answer(f)->type, WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_CLOSED);
  fixture_settle(f, 9, s, 1, true, 1, WEIR_OUTCOME_OK);
  fixture_settle(f, 9, s, 2, true, 1, WEIR_OUTCOME_OK);
  assert_int_equal(counter(f, WEIR_COUNTER_SETTLED), 2);
}

static void a_session_lives_by_the_ttl_that_it_was_told(void **state)
{
  struct fixture *f = *state;
  struct weir_msg ping = {.type = WEIR_MSG_PING, .session = fixture_hello(f, 9, 1, 1)};

  f->config.heartbeat_us = 100 * MS;
  f->config.session_ttl_us = 300 * MS;
  reload(f);
  fixture_run(f, f->now + 2 * SECOND);
  fixture_send(f, 9, &ping);
  assert_int_equal(answer(f)->type, WEIR_MSG_PONG);
  fixture_run(f, f->now + 2 * SECOND); /* its timer, set by the HELLO, looks at the PING */
  fixture_send(f, 9, &ping);
  assert_int_equal(answer(f)->type, WEIR_MSG_PONG);
}

static void a_pool_under_another_name_gives_no_second_quota(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0);
  fixture_ask(f, 9, s, 2, WEIR_CLASS_ONLINE, 1, 0);
  strcpy(f->pools[0].name, "renamed");
  reload(f);
  assert_int_equal(fixture_ask(f, 9, s, 3, WEIR_CLASS_ONLINE, 1, MINUTE), WEIR_MSG_DENY);
  assert_int_equal(fixture_ask(f, 9, s, 3, WEIR_CLASS_ONLINE, 1, 2 * MINUTE), WEIR_MSG_QUEUED);
}

/* In a full table the new name takes the very place of the old one. */
static void a_pool_that_is_renamed_in_its_place_gives_no_second_quota(void **state)
{
  const struct weir_coord_bounds bounds = {.pools_max = 1,
                                           .names_max = 8,
                                           .sessions_max = 8,
                                           .asks_max = 64,
                                           .leases_max = 64,
                                           .budgets_max = 4,
                                           .tenants_max = 64};
  struct fixture f = fixture_of(2, 60000);
  uint64_t s;

  (void)state;
  f.config.pools = f.pools;
  f.config.names = f.names;
  fixture_start(&f, &bounds, &first_start);
  s = fixture_hello(&f, 9, 1, 1);
  fixture_ask(&f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0);
  fixture_settle(&f, 9, s, 1, true, 1, WEIR_OUTCOME_OK);
  strcpy(f.pools[0].name, "renamed");
  reload(&f);
  assert_int_equal(fixture_ask(&f, 9, s, 2, WEIR_CLASS_ONLINE, 1, MINUTE), WEIR_MSG_DENY);
  fixture_free(&f);
}

static void a_pool_that_is_removed_and_comes_back_finds_its_books(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  /* Windows that no reload closes: only the books can tell what they hold. */
  f->pools[0].limits[0].window_us = f->pools[0].limits[1].window_us = 2 * WEIR_US_PER_HOUR;
  reload(f);
  fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0);
  fixture_settle(f, 9, s, 1, true, 1, WEIR_OUTCOME_OK);
  f->config.pools_count = f->config.names_count = 0;
  reload(f);
  f->config.pools_count = 1;
  f->config.names_count = 2;
  reload(f);
  assert_int_equal(fixture_ask(f, 9, s, 2, WEIR_CLASS_ONLINE, 1, 0), WEIR_MSG_GRANT);
  assert_int_equal(fixture_ask(f, 9, s, 3, WEIR_CLASS_ONLINE, 1, SECOND), WEIR_MSG_DENY);
}

static void a_model_that_moves_into_a_pool_closes_it_until_its_past_is_over(void **state)
{
  struct fixture *f = *state;
  uint64_t s;

  fixture_hello(f, 9, 1, 1);
  f->pools[1] = f->pools[0];
  strcpy(f->pools[1].name, "other");
  strcpy(f->names[2].name, "gemini/other");
  strcpy(f->names[2].model, "gemini/other");
  f->names[2].pool = 1;
  f->config.pools_count = 2;
  f->config.names_count = 3;
  reload(f);
  fixture_run(f, f->now + 2 * MINUTE); /* the new pool has opened, the session is over */
  s = fixture_hello(f, 9, 1, 2);
  f->names[0].pool = f->names[1].pool = 1;
  reload(f);
  assert_int_equal(fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, MINUTE), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_DEADLINE);
}

static void a_model_that_was_gone_for_a_while_brings_its_past_along(void **state)
{
  struct fixture *f = *state;
  uint64_t s;

  add_other_pool(f);
  reload(f);
  fixture_run(f, f->now + 2 * MINUTE);
  s = fixture_hello(f, 9, 1, 1);
  assert_int_equal(fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 0), WEIR_MSG_GRANT);
  /* The first pool goes with its models, and a moment later the second one has them. */
  f->config.pools = &f->pools[1];
  f->config.names = &f->names[2];
  f->names[2].pool = 0;
  f->config.pools_count = f->config.names_count = 1;
  reload(f);
  f->config.names = f->names;
  f->names[0].pool = f->names[1].pool = 0;
  f->config.names_count = 3;
  f->now += SECOND;
  reload(f);
  assert_int_equal(fixture_ask(f, 9, s, 2, WEIR_CLASS_ONLINE, 1, MINUTE), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_DEADLINE);
  /* Not longer than that past: it ended when the first pool went, a second ago. */
  assert_int_equal(fixture_ask(f, 9, s, 2, WEIR_CLASS_ONLINE, 1, MINUTE + 10 * SECOND),
                   WEIR_MSG_QUEUED);
}

static void what_waits_for_a_model_that_moves_away_is_not_granted_by_its_old_pool(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  for (uint64_t seq = 1; seq <= 3; seq++)
    fixture_ask(f, 9, s, seq, WEIR_CLASS_ONLINE, 1, 3 * MINUTE);
  add_other_pool(f);
  f->names[0].pool = f->names[1].pool = 1;
  f->names[2].pool = 0;
  reload(f);
  assert_int_equal(answer(f)->type, WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.seq, 3);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_CLOSED);
}

static void removed_pools_give_their_place_to_new_ones(void **state)
{
  struct fixture *f = *state;

  for (int i = 0; i < 20; i++) {
    snprintf(f->pools[0].name, sizeof(f->pools[0].name), "pool-%d", i);
    reload(f);
  }
  weir_coord_check(f->coord);
}

static void a_configuration_beyond_the_bounds_changes_nothing(void **state)
{
  struct fixture *f = *state;
  struct weir_coord_event event = {.type = WEIR_COORD_CONFIG, .now = f->now, .config = &f->config};

  f->config.names_count = small_bounds.names_max + 1;
  assert_int_equal(weir_coord_step(f->coord, &event, &f->update), WEIR_EFULL);
}

static void a_later_life_assumes_the_former_one_spent_everything(void **state)
{
  struct fixture *f = *state;
  const struct weir_coord_start again = {
      .epoch = 2, .seed = 1, .has_past = true, .past_us = 20 * SECOND};
  uint64_t s;

  fixture_free(f);
  fixture_start(f, &small_bounds, &again);
  s = fixture_hello(f, 9, 1, 1);
  assert_int_equal(answer(f)->welcome.epoch, 2);
  assert_int_equal(fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 45 * SECOND), WEIR_MSG_DENY);
  assert_int_equal(fixture_ask(f, 9, s, 1, WEIR_CLASS_ONLINE, 1, 51 * SECOND), WEIR_MSG_QUEUED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_raised_limit_serves_the_queue_at_once),
      TEST(a_removed_pool_denies_what_waits_and_settles_what_is_out),
      TEST(a_session_lives_by_the_ttl_that_it_was_told),
      TEST(a_pool_under_another_name_gives_no_second_quota),
      TEST(a_pool_that_is_renamed_in_its_place_gives_no_second_quota),
      TEST(a_pool_that_is_removed_and_comes_back_finds_its_books),
      TEST(a_model_that_moves_into_a_pool_closes_it_until_its_past_is_over),
      TEST(a_model_that_was_gone_for_a_while_brings_its_past_along),
      TEST(what_waits_for_a_model_that_moves_away_is_not_granted_by_its_old_pool),
      TEST(removed_pools_give_their_place_to_new_ones),
      TEST(a_configuration_beyond_the_bounds_changes_nothing),
      TEST(a_later_life_assumes_the_former_one_spent_everything),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
