#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "coord_fixture.h"

#define FLASH "gemini/flash"

/* 100 requests and 10,000 input tokens a minute; room for more tenants than are shown. */
static int set_up_tokens(void **state)
{
  static const struct weir_coord_bounds bounds = {.pools_max = 4,
                                                  .names_max = 8,
                                                  .sessions_max = 8,
                                                  .asks_max = 512,
                                                  .leases_max = 2048,
                                                  .budgets_max = 4,
                                                  .tenants_max = 128};
  struct fixture *f = malloc(sizeof(*f));

  *f = fixture_of(100, 10000);
  f->config.pools = f->pools;
  f->config.names = f->names;
  f->config.session_ttl_us = 1000 * MINUTE;
  f->config.asks_max = 500;
  fixture_start(f, &bounds, &first_start);
  *state = f;
  return 0;
}

static const struct weir_msg_row *show(struct fixture *f, enum weir_view view, uint32_t number)
{
  const struct weir_msg msg = {.type = WEIR_MSG_SHOW, .show = {view, number}};

  fixture_send(f, 77, &msg);
  return &answer(f)->row;
}

/* Asks, and a pool that waits for tokens: "long" took 9,000 of 10,000 with three calls. */
static uint64_t exhaust(struct fixture *f)
{
  const uint64_t s = fixture_hello(f, 9, 1, 1);

  for (uint64_t seq = 1; seq <= 3; seq++)
    assert_int_equal(fixture_ask_as(f, s, seq, "long", FLASH, 3000, 10 * MINUTE), WEIR_MSG_GRANT);
  for (uint64_t seq = 4; seq <= 6; seq++)
    assert_int_equal(fixture_ask_as(f, s, seq, "long", FLASH, 3000, 10 * MINUTE), WEIR_MSG_QUEUED);
  return s;
}

static void tells_what_of_a_limit_is_leased(void **state)
{
  struct fixture *f = *state;
  const uint64_t s = exhaust(f);
  const struct weir_msg_row *row = show(f, WEIR_VIEW_POOLS, 0);

  assert_int_equal(row->limits[1].used, 9000);
  assert_int_equal(row->limits[1].leased, 9000);
  assert_int_equal(row->limits[0].leased, 3);
  fixture_settle(f, 9, s, 1, true, 2500, WEIR_OUTCOME_OK);
  row = show(f, WEIR_VIEW_POOLS, 0);
  assert_int_equal(row->limits[1].used, 8500);
  assert_int_equal(row->limits[1].leased, 6000);
  fixture_settle(f, 9, s, 2, false, 0, WEIR_OUTCOME_OK);
  row = show(f, WEIR_VIEW_POOLS, 0);
  assert_int_equal(row->limits[1].leased, 6000); /* another one took what came back */
  assert_int_equal(row->queued[WEIR_CLASS_ONLINE], 2);
}

static void tells_which_limit_the_next_one_waits_for_and_how_long(void **state)
{
  struct fixture *f = *state;
  const struct weir_msg_row *row;

  exhaust(f);
  row = show(f, WEIR_VIEW_POOLS, 0);
  assert_int_equal(row->figures[WEIR_FIGURE_HEAD_LIMIT], 2);
  assert_string_equal(row->by, "flash");
  assert_int_equal(row->figures[WEIR_FIGURE_HEAD_COST], 3000);
  assert_in_range(row->figures[WEIR_FIGURE_HEAD_START_US], MINUTE, 2 * MINUTE);
  assert_in_range(row->limits[1].half_us, MINUTE, 2 * MINUTE);
}

static void tells_nothing_of_a_next_one_where_nobody_waits(void **state)
{
  struct fixture *f = *state;
  const uint64_t s = fixture_hello(f, 9, 1, 1);
  const struct weir_msg_row *row;

  fixture_ask_as(f, s, 1, "long", FLASH, 3000, 10 * MINUTE);
  row = show(f, WEIR_VIEW_POOLS, 0);
  assert_int_equal(row->figures[WEIR_FIGURE_HEAD_LIMIT], 0);
  assert_int_equal(row->figures[WEIR_FIGURE_OLDEST_ONLINE_US], 0);
  assert_string_equal(row->by, "");
}

static void tells_the_longest_wait_of_each_class(void **state)
{
  struct fixture *f = *state;
  const uint64_t s = fixture_hello(f, 9, 1, 1);
  const struct weir_msg_row *row;

  fixture_ask_as(f, s, 1, "other", FLASH, 3000, 10 * MINUTE);
  for (uint64_t seq = 2; seq <= 6; seq++)
    fixture_ask_as(f, s, seq, "long", FLASH, 3000, 10 * MINUTE);
  fixture_settle(f, 9, s, 1, false, 0, WEIR_OUTCOME_OK); /* "long" is served, and has its turn */
  f->now += 7 * SECOND;
  fixture_ask_as(f, s, 7, "short", FLASH, 3000, 10 * MINUTE);
  f->now += 3 * SECOND;
  row = show(f, WEIR_VIEW_POOLS, 0);
  assert_int_equal(row->figures[WEIR_FIGURE_OLDEST_ONLINE_US], 10 * SECOND);
  assert_int_equal(row->figures[WEIR_FIGURE_OLDEST_BATCH_US], 0);
}

static void learns_how_long_asks_waited(void **state)
{
  struct fixture *f = *state;
  const uint64_t s = exhaust(f);
  const struct weir_msg_row *row;

  row = show(f, WEIR_VIEW_POOLS, 0);
  assert_in_range(row->figures[WEIR_FIGURE_WAIT_P99_US], 0, MS); /* nobody waited yet */
  f->now += 20 * SECOND;
  for (uint64_t seq = 1; seq <= 3; seq++)
    fixture_settle(f, 9, s, seq, false, 0, WEIR_OUTCOME_OK);
  row = show(f, WEIR_VIEW_POOLS, 0);
  assert_in_range(row->figures[WEIR_FIGURE_WAIT_P50_US], 0, MS);
  assert_in_range(row->figures[WEIR_FIGURE_WAIT_P99_US], 19 * SECOND, 21 * SECOND);
}

static void counts_tokens_of_ended_calls_only(void **state)
{
  struct fixture *f = *state;
  const uint64_t s = exhaust(f);

  assert_int_equal(show(f, WEIR_VIEW_POOLS, 0)->figures[WEIR_FIGURE_INPUT_TOKENS], 0);
  fixture_settle(f, 9, s, 1, true, 2500, WEIR_OUTCOME_OK);
  fixture_settle(f, 9, s, 2, false, 700, WEIR_OUTCOME_OK);
  assert_int_equal(show(f, WEIR_VIEW_POOLS, 0)->figures[WEIR_FIGURE_INPUT_TOKENS], 2500);
}

static void names_the_tenant_that_used_the_quota_first(void **state)
{
  struct fixture *f = *state;
  const uint64_t s = fixture_hello(f, 9, 1, 1);
  const struct weir_msg_row *row;

  for (uint64_t seq = 10; seq < 20; seq++)
    fixture_ask_as(f, s, seq, "short", FLASH, 10, 10 * MINUTE);
  for (uint64_t seq = 1; seq <= 3; seq++)
    fixture_ask_as(f, s, seq, "long", FLASH, 3000, 10 * MINUTE);
  row = show(f, WEIR_VIEW_TENANTS, 0);
  assert_int_equal(row->rows, 2);
  assert_string_equal(row->tenant, "long");
  assert_string_equal(row->pool, "flash");
  assert_int_equal(row->leases, 3);
  assert_in_range(row->figures[WEIR_FIGURE_SHARE_PM], 890, 910);
  row = show(f, WEIR_VIEW_TENANTS, 1);
  assert_string_equal(row->tenant, "short");
  assert_in_range(row->figures[WEIR_FIGURE_SHARE_PM], 95, 105); /* of the requests */
  assert_int_equal(row->figures[WEIR_FIGURE_CLASS], WEIR_CLASS_ONLINE);
}

/* Whoever looks for who used the quota up mostly comes when these calls have ended. */
static void names_a_tenant_whose_calls_have_all_ended(void **state)
{
  struct fixture *f = *state;
  const uint64_t s = fixture_hello(f, 9, 1, 1);
  const struct weir_msg_row *row;

  for (uint64_t seq = 1; seq <= 3; seq++) {
    fixture_ask_as(f, s, seq, "long", FLASH, 3000, 10 * MINUTE);
    fixture_settle(f, 9, s, seq, true, 3000, WEIR_OUTCOME_OK);
  }
  fixture_ask_as(f, s, 4, "short", FLASH, 3000, 10 * MINUTE);
  row = show(f, WEIR_VIEW_TENANTS, 0);
  assert_int_equal(row->rows, 2);
  assert_string_equal(row->tenant, "long");
  assert_int_equal(row->leases, 0);
  assert_in_range(row->figures[WEIR_FIGURE_SHARE_PM], 890, 910);
  row = show(f, WEIR_VIEW_TENANTS, 1);
  assert_string_equal(row->tenant, "short");
  assert_int_equal(row->queued[WEIR_CLASS_ONLINE], 1);
  f->now += 3 * MINUTE;
  for (uint32_t i = 0, rows = show(f, WEIR_VIEW_TENANTS, 0)->rows; i < rows; i++)
    assert_string_not_equal(show(f, WEIR_VIEW_TENANTS, i)->tenant, "long");
}

static void a_share_is_corrected_by_the_settlement_and_forgotten_after_two_minutes(void **state)
{
  struct fixture *f = *state;
  const uint64_t s = exhaust(f);

  fixture_settle(f, 9, s, 1, true, 2000, WEIR_OUTCOME_OK);
  assert_in_range(show(f, WEIR_VIEW_TENANTS, 0)->figures[WEIR_FIGURE_SHARE_PM], 790, 810);
  f->now += 3 * MINUTE;
  assert_int_equal(show(f, WEIR_VIEW_TENANTS, 0)->figures[WEIR_FIGURE_SHARE_PM], 0);
}

static void shows_the_busiest_tenants_when_there_are_very_many(void **state)
{
  struct fixture *f = *state;
  const uint64_t s = fixture_hello(f, 9, 1, 1);
  char tenant[WEIR_TENANT_SIZE];

  for (uint64_t i = 0; i < 90; i++) {
    snprintf(tenant, sizeof(tenant), "t%02d", (int)i);
    assert_int_equal(fixture_ask_as(f, s, i + 1, tenant, FLASH, i == 80 ? 900 : 1, MINUTE),
                     WEIR_MSG_GRANT);
  }
  assert_int_equal(show(f, WEIR_VIEW_TENANTS, 0)->rows, 64);
  assert_string_equal(show(f, WEIR_VIEW_TENANTS, 0)->tenant, "t80");
}

static void shows_a_row_for_each_session(void **state)
{
  struct fixture *f = *state;
  const uint64_t s = exhaust(f);
  const struct weir_msg_row *row;

  (void)s;
  fixture_hello(f, 10, 0xab, 1);
  f->now += SECOND;
  row = show(f, WEIR_VIEW_SESSIONS, 0);
  assert_int_equal(row->rows, 2);
  assert_string_equal(row->instance, "01010101010101010101010101010101");
  assert_int_equal(row->leases, 3);
  assert_int_equal(row->figures[WEIR_FIGURE_ASKS], 3);
  assert_int_equal(row->figures[WEIR_FIGURE_SILENT_US], SECOND);
  assert_string_equal(show(f, WEIR_VIEW_SESSIONS, 1)->instance, "abababababababababababababababab");
  assert_string_equal(show(f, WEIR_VIEW_SESSIONS, 2)->instance, "");
  assert_string_equal(show(f, WEIR_VIEW_SESSIONS, 0)->instance, "01010101010101010101010101010101");
}

static void finds_every_pool_in_any_order_and_after_a_reload(void **state)
{
  struct fixture *f = *state;

  add_other_pool(f);
  reload(f);
  assert_string_equal(show(f, WEIR_VIEW_POOLS, 1)->pool, "other");
  assert_string_equal(show(f, WEIR_VIEW_POOLS, 1)->pool, "other");
  assert_string_equal(show(f, WEIR_VIEW_POOLS, 0)->pool, "flash");
  assert_string_equal(show(f, WEIR_VIEW_POOLS, 1)->pool, "other");
  assert_int_equal(show(f, WEIR_VIEW_POOLS, 2)->rows, 2);
  f->config.pools_count = 1;
  f->config.names_count = 1;
  reload(f);
  assert_string_equal(show(f, WEIR_VIEW_POOLS, 1)->pool, "");
  assert_int_equal(show(f, WEIR_VIEW_POOLS, 1)->rows, 1);
}

static void budget_add(struct fixture *f, const char *name)
{
  struct weir_budget_config *budget = &f->budgets[f->config.budgets_count++];

  *budget = (struct weir_budget_config){.limits_count = 1, .limits[0] = f->pools[0].limits[0]};
  strcpy(budget->name, name);
  f->config.budgets = f->budgets;
}

static void finds_every_budget_in_any_order_between_other_views_and_after_a_reload(void **state)
{
  struct fixture *f = *state;

  assert_int_equal(show(f, WEIR_VIEW_BUDGETS, 0)->rows, 0);
  add_other_pool(f);
  budget_add(f, "a");
  budget_add(f, "b");
  budget_add(f, "c");
  reload(f);
  assert_string_equal(show(f, WEIR_VIEW_BUDGETS, 2)->pool, "c");
  assert_int_equal(show(f, WEIR_VIEW_BUDGETS, 2)->rows, 3);
  assert_string_equal(show(f, WEIR_VIEW_BUDGETS, 1)->pool, "b");
  assert_string_equal(show(f, WEIR_VIEW_POOLS, 1)->pool, "other");
  assert_int_equal(show(f, WEIR_VIEW_POOLS, 1)->rows, 2);
  assert_string_equal(show(f, WEIR_VIEW_BUDGETS, 1)->pool, "b");
  assert_int_equal(show(f, WEIR_VIEW_BUDGETS, 3)->rows, 3);
  assert_string_equal(show(f, WEIR_VIEW_BUDGETS, 3)->pool, "");
  assert_string_equal(show(f, WEIR_VIEW_BUDGETS, 0)->pool, "a");
  f->budgets[0] = f->budgets[1];
  f->config.budgets_count = 1;
  reload(f);
  assert_string_equal(show(f, WEIR_VIEW_BUDGETS, 0)->pool, "b");
  assert_int_equal(show(f, WEIR_VIEW_BUDGETS, 0)->rows, 1);
}

static void lays_rejections_to_a_foreign_spender_once_a_limit_is_cut_for_it(void **state)
{
  struct fixture *f = *state;
  const uint64_t s = fixture_hello(f, 9, 1, 1);
  struct weir_msg foreign = {.type = WEIR_MSG_SETTLE, .session = s};
  const struct weir_msg_row *row;

  for (uint64_t seq = 1; seq <= 20; seq++)
    fixture_ask_as(f, s, seq, "", FLASH, 10, 10 * MINUTE);
  fixture_settle(f, 9, s, 1, true, 10, WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS);
  row = show(f, WEIR_VIEW_POOLS, 0);
  assert_int_equal(row->rejected_429, 1);
  assert_int_equal(row->figures[WEIR_FIGURE_REJECTED_FOREIGN], 0);
  foreign.mark = ++f->mark;
  foreign.settle = (struct weir_msg_settle){.seq = 2,
                                            .is_sent = true,
                                            .is_final = true,
                                            .outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS,
                                            .stated_limit = 100,
                                            .stated_used = 90};
  fixture_send(f, 9, &foreign);
  row = show(f, WEIR_VIEW_POOLS, 0);
  assert_int_equal(row->limits[0].effective, 30);
  assert_int_equal(row->limits[0].stated, 0); /* what it named is what is configured */
  assert_int_equal(row->rejected_429, 2);
  assert_int_equal(row->figures[WEIR_FIGURE_REJECTED_FOREIGN], 1);
}

static void clock_tell(struct fixture *f, uint64_t day)
{
  struct weir_wall wall = {.zones_count = 1, .now_us = (day * 24 + 12) * WEIR_US_PER_HOUR};
  const struct weir_coord_event event = {.type = WEIR_COORD_CLOCK, .now = f->now, .wall = &wall};

  wall.zones[0].number = day;
  for (uint64_t i = 0; i < WEIR_ZONE_STARTS; i++)
    wall.zones[0].starts_us[i] = ((day + i) * 24 + 8) * WEIR_US_PER_HOUR;
  fixture_step(f, &event);
}

static void tells_what_today_cost_a_pool_and_its_budget_where_calls_have_prices(void **state)
{
  struct fixture *f = *state;
  const struct weir_msg_row *row;
  uint64_t s;

  f->now += 20 * WEIR_US_PER_HOUR;
  clock_tell(f, 100);
  budget_add(f, "project");
  add_other_pool(f); /* has no prices */
  f->pools[0].price_input = 2000000;
  f->pools[0].budgets_count = 1;
  f->pools[0].limits[2] = (struct weir_limit_config){.dimension = WEIR_DIMENSION_SPEND,
                                                     .window_us = WEIR_DAY_WINDOW_US,
                                                     .amount = 1000000,
                                                     .is_day = true,
                                                     .zone_id = 1};
  f->pools[0].limits_count = 3;
  reload(f);
  fixture_run(f, f->now + 2 * WEIR_US_PER_HOUR); /* the reload closed what is new */
  s = fixture_hello(f, 9, 1, 1);
  assert_int_equal(show(f, WEIR_VIEW_BUDGETS, 0)->figures[WEIR_FIGURE_TODAY_DAY], 0);
  assert_int_equal(fixture_ask_as(f, s, 1, "", FLASH, 3000, MINUTE), WEIR_MSG_GRANT);
  assert_int_equal(show(f, WEIR_VIEW_POOLS, 0)->figures[WEIR_FIGURE_TODAY_SPEND], 0);
  fixture_settle(f, 9, s, 1, true, 2500, WEIR_OUTCOME_OK);
  row = show(f, WEIR_VIEW_POOLS, 0);
  assert_int_equal(row->figures[WEIR_FIGURE_TODAY_SPEND], 5000);
  assert_int_equal(row->figures[WEIR_FIGURE_TODAY_DAY], WEIR_ROW_DAY_LIMIT);
  assert_int_equal(row->figures[WEIR_FIGURE_TODAY_US], 6 * WEIR_US_PER_HOUR);
  assert_int_equal(row->figures[WEIR_FIGURE_TODAY_LEFT_US], 18 * WEIR_US_PER_HOUR);
  assert_true(row->limits[2].is_day && !row->limits[0].is_day);
  row = show(f, WEIR_VIEW_BUDGETS, 0);
  assert_int_equal(row->figures[WEIR_FIGURE_TODAY_SPEND], 5000);
  assert_int_equal(row->figures[WEIR_FIGURE_TODAY_DAY], WEIR_ROW_DAY_UTC);
  assert_int_equal(row->figures[WEIR_FIGURE_TODAY_LEFT_US], 10 * WEIR_US_PER_HOUR);
  assert_int_equal(show(f, WEIR_VIEW_POOLS, 1)->figures[WEIR_FIGURE_TODAY_DAY], 0);
  fixture_run(f, f->now + 11 * WEIR_US_PER_HOUR);
  assert_int_equal(show(f, WEIR_VIEW_BUDGETS, 0)->figures[WEIR_FIGURE_TODAY_SPEND], 0);
  assert_int_equal(show(f, WEIR_VIEW_POOLS, 0)->figures[WEIR_FIGURE_TODAY_SPEND], 5000);
}

/* Settles |seq| as |outcome| of |http| after |latency_us|. */
static void settle_slowly(struct fixture *f, uint64_t session, uint64_t seq,
                          weir_duration latency_us, enum weir_outcome outcome, uint32_t http)
{
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE, .session = session, .mark = ++f->mark};

  msg.settle = (struct weir_msg_settle){.seq = seq,
                                        .is_sent = true,
                                        .is_final = true,
                                        .has_usage = http == 200,
                                        .input_tokens = 2500,
                                        .output_tokens = 70,
                                        .outcome = outcome,
                                        .http = http,
                                        .latency_us = latency_us};
  fixture_send(f, 9, &msg);
}

static void lists_the_slowest_calls_with_how_long_they_waited(void **state)
{
  struct fixture *f = *state;
  const uint64_t s = exhaust(f); /* 4 to 6 wait */
  const struct weir_msg_row *row;

  assert_int_equal(show(f, WEIR_VIEW_SLOW, 0)->rows, 0);
  f->now += 20 * SECOND;
  settle_slowly(f, s, 1, 0, WEIR_OUTCOME_OK, 200);       /* how long it took is not told */
  fixture_settle(f, 9, s, 2, false, 0, WEIR_OUTCOME_OK); /* was not sent: 4 has its place */
  settle_slowly(f, s, 3, 8 * SECOND, WEIR_OUTCOME_OK, 200);
  f->now += SECOND;
  settle_slowly(f, s, 4, 3 * SECOND, WEIR_OUTCOME_DEADLINE, 0);
  f->now += 2 * SECOND;
  row = show(f, WEIR_VIEW_SLOW, 0);
  assert_int_equal(row->rows, 2);
  assert_string_equal(row->pool, "flash");
  assert_string_equal(row->instance, "01010101010101010101010101010101");
  assert_int_equal(row->figures[WEIR_FIGURE_ENDED_US], 2 * SECOND);
  assert_in_range(row->figures[WEIR_FIGURE_WAITED_US], 20 * SECOND, 21 * SECOND);
  assert_int_equal(row->figures[WEIR_FIGURE_TOOK_US], 3 * SECOND);
  assert_int_equal(row->figures[WEIR_FIGURE_INPUT_TOKENS], 0);
  assert_int_equal(row->figures[WEIR_FIGURE_OUTCOME], WEIR_OUTCOME_DEADLINE);
  assert_int_equal(row->figures[WEIR_FIGURE_HTTP], 0);
  row = show(f, WEIR_VIEW_SLOW, 1);
  assert_int_equal(row->figures[WEIR_FIGURE_WAITED_US], 0);
  assert_int_equal(row->figures[WEIR_FIGURE_TOOK_US], 8 * SECOND);
  assert_int_equal(row->figures[WEIR_FIGURE_INPUT_TOKENS], 2500);
  assert_int_equal(row->figures[WEIR_FIGURE_OUTPUT_TOKENS], 70);
  assert_int_equal(row->figures[WEIR_FIGURE_HTTP], 200);
  assert_string_equal(show(f, WEIR_VIEW_SLOW, 2)->pool, "");
  assert_int_equal(show(f, WEIR_VIEW_SLOW, UINT32_MAX)->rows, 2);
  f->now += 10 * MINUTE;
  assert_int_equal(show(f, WEIR_VIEW_SLOW, 0)->rows, 0);
}

static void tells_what_use_may_have_grown_to_apart_from_a_cut(void **state)
{
  struct fixture *f = *state;
  const struct weir_msg_row *row;
  uint64_t s;

  f->pools[0].rules.ramp_pm = 500;
  f->pools[0].rules.ramp_per_us = MINUTE;
  reload(f);
  assert_int_equal(show(f, WEIR_VIEW_POOLS, 0)->limits[0].ramp, 0);
  s = fixture_hello(f, 9, 1, 1);
  for (uint64_t seq = 1; seq <= 20; seq++)
    fixture_ask_as(f, s, seq, "", FLASH, 10, 10 * MINUTE);
  fixture_settle(f, 9, s, 1, true, 10, WEIR_OUTCOME_RAMP_LIMIT);
  row = show(f, WEIR_VIEW_POOLS, 0);
  assert_in_range(row->limits[0].ramp, 1, 20);
  assert_int_equal(row->limits[0].effective, row->limits[0].ramp);
  assert_int_equal(row->limits[0].stated, 0);
  f->now += 30 * SECOND;
  row = show(f, WEIR_VIEW_POOLS, 0);
  assert_int_equal(row->limits[0].effective, row->limits[0].ramp);
}

static void tells_that_a_limit_is_closed_and_how_long(void **state)
{
  struct fixture *f = *state;
  const struct weir_msg_row *row;

  f->pools[0].limits[2] = (struct weir_limit_config){
      .dimension = WEIR_DIMENSION_OUTPUT_TOKENS, .window_us = MINUTE, .amount = 5000};
  f->pools[0].limits_count = 3;
  reload(f);
  row = show(f, WEIR_VIEW_POOLS, 0);
  assert_int_equal(row->limits[0].closed_us, 0);
  assert_true(row->limits[2].closed_us > MINUTE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_tokens, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(tells_what_of_a_limit_is_leased),
      TEST(tells_which_limit_the_next_one_waits_for_and_how_long),
      TEST(tells_nothing_of_a_next_one_where_nobody_waits),
      TEST(tells_the_longest_wait_of_each_class),
      TEST(learns_how_long_asks_waited),
      TEST(counts_tokens_of_ended_calls_only),
      TEST(names_the_tenant_that_used_the_quota_first),
      TEST(names_a_tenant_whose_calls_have_all_ended),
      TEST(a_share_is_corrected_by_the_settlement_and_forgotten_after_two_minutes),
      TEST(shows_the_busiest_tenants_when_there_are_very_many),
      TEST(shows_a_row_for_each_session),
      TEST(finds_every_pool_in_any_order_and_after_a_reload),
      TEST(finds_every_budget_in_any_order_between_other_views_and_after_a_reload),
      TEST(lays_rejections_to_a_foreign_spender_once_a_limit_is_cut_for_it),
      TEST(tells_what_today_cost_a_pool_and_its_budget_where_calls_have_prices),
      TEST(lists_the_slowest_calls_with_how_long_they_waited),
      TEST(tells_what_use_may_have_grown_to_apart_from_a_cut),
      TEST(tells_that_a_limit_is_closed_and_how_long),
  };
  return cmocka_run_group_tests_name("show", tests, NULL, NULL);
}
