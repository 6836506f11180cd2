#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <weir/rng.h>

#include "coord_fixture.h"

#define FLASH "gemini/flash"
#define OTHER "gemini/other"

static const struct weir_coord_bounds bounds = {.pools_max = 4,
                                                .names_max = 8,
                                                .sessions_max = 8,
                                                .asks_max = 512,
                                                .leases_max = 512,
                                                .budgets_max = 2,
                                                .tenants_max = 16};

static struct weir_limit_config limit_of(enum weir_dimension dimension, uint64_t amount)
{
  return (struct weir_limit_config){.dimension = dimension,
                                    .window_us = dimension == WEIR_DIMENSION_IN_FLIGHT ? 0 : MINUTE,
                                    .amount = amount};
}

static void budget_set(struct fixture *f, const char *name, enum weir_dimension dimension,
                       uint64_t amount)
{
  struct weir_budget_config *budget = &f->budgets[f->config.budgets_count++];

  memset(budget, 0, sizeof(*budget));
  strcpy(budget->name, name);
  budget->limits_count = 1;
  budget->limits[0] = limit_of(dimension, amount);
}

/* Two pools of 600 requests and 60,000 input tokens a minute; the machine is not started. */
static int set_up_pools(void **state)
{
  struct fixture *f = malloc(sizeof(*f));

  *f = fixture_of(600, 60000);
  f->config.pools = f->pools;
  f->config.names = f->names;
  f->config.budgets = f->budgets;
  f->config.tenants = f->tenants;
  f->config.session_ttl_us = 1000 * MINUTE;
  f->config.asks_max = 500;
  add_other_pool(f);
  *state = f;
  return 0;
}

/* Starts with both pools spending the budgets that were set, and says HELLO. */
static uint64_t start(struct fixture *f)
{
  for (uint32_t i = 0; i < 2; i++) {
    for (uint32_t k = 0; k < f->config.budgets_count; k++)
      f->pools[i].budgets[f->pools[i].budgets_count++] = k;
  }
  fixture_start(f, &bounds, &first_start);
  return fixture_hello(f, 9, 1, 1);
}

static void grant_await(struct fixture *f, uint32_t count)
{
  const weir_tstamp until = f->now + 20 * MINUTE;

  while (f->granted_count < count) {
    assert_true(f->now < until);
    fixture_run(f, f->now + MINUTE);
  }
}

static void settle_partly(struct fixture *f, uint64_t s, uint64_t seq, uint64_t tokens)
{
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE, .session = s, .mark = ++f->mark};

  msg.settle.seq = seq;
  msg.settle.is_sent = true;
  msg.settle.has_usage = tokens > 0;
  msg.settle.input_tokens = tokens;
  fixture_send(f, 9, &msg);
}

static const struct weir_msg_row *pool_row(struct fixture *f, uint32_t index)
{
  const struct weir_msg show = {.type = WEIR_MSG_SHOW, .show = {WEIR_VIEW_POOLS, index}};

  fixture_send(f, 77, &show);
  return &answer(f)->row;
}

/* What pool |index| has used of its limit |limit|. */
static uint64_t used(struct fixture *f, uint32_t index, uint32_t limit)
{
  return pool_row(f, index)->limits[limit].used;
}

static void a_shared_budget_holds_over_both_pools(void **state)
{
  struct fixture *f = *state;
  uint64_t s;
  weir_tstamp began;

  budget_set(f, "project", WEIR_DIMENSION_REQUESTS, 10);
  s = start(f);
  began = f->now;
  for (uint64_t seq = 1; seq <= 40; seq++)
    fixture_ask_as(f, s, seq, "", seq % 2 ? FLASH : OTHER, 1, 20 * MINUTE);
  for (uint32_t window = 1; window <= 4; window++) {
    assert_int_equal(f->granted_count, 10 * window);
    if (window < 4)
      grant_await(f, 10 * window + 1);
    while (fixture_run(f, f->now + SECOND) > 0)
      ;
    assert_true(f->now - began >= window * MINUTE || window == 4);
  }
}

/* When one of two ledgers has no room, nothing is charged in the other. */
static void a_lease_is_charged_in_all_of_its_ledgers_or_in_none(void **state)
{
  struct fixture *f = *state;
  uint64_t s;

  budget_set(f, "project", WEIR_DIMENSION_INPUT_TOKENS, 1000);
  s = start(f);
  assert_int_equal(fixture_ask_as(f, s, 1, "", FLASH, 700, 0), WEIR_MSG_GRANT);
  assert_int_equal(fixture_ask_as(f, s, 2, "", FLASH, 400, 2 * MINUTE), WEIR_MSG_QUEUED);
  assert_int_equal(fixture_ask_as(f, s, 3, "", OTHER, 400, 30 * SECOND), WEIR_MSG_DENY);
  assert_string_equal(answer(f)->deny.pool, "project");
  assert_int_equal(answer(f)->deny.amount, 1000);
  assert_int_equal(used(f, 0, 0), 1);
  assert_int_equal(used(f, 0, 1), 700);
  assert_int_equal(used(f, 1, 0), 0);
  /* The other way round: the pool is full, and the budget is not charged. */
  f->granted_count = 0;
  fixture_settle(f, 9, s, 1, true, 300, WEIR_OUTCOME_OK);
  assert_int_equal(f->granted[0], 2);
  assert_int_equal(fixture_ask_as(f, s, 4, "", OTHER, 300, 0), WEIR_MSG_GRANT);
}

/* "flash" is the name of the first pool, too. */
static void what_the_next_one_waits_for_is_told_apart_from_a_budget_of_its_name(void **state)
{
  struct fixture *f = *state;
  uint64_t s;

  budget_set(f, "flash", WEIR_DIMENSION_INPUT_TOKENS, 70000);
  s = start(f);
  fixture_ask_as(f, s, 1, "", FLASH, 59000, 0);
  assert_int_equal(fixture_ask_as(f, s, 2, "", FLASH, 5000, 9 * MINUTE), WEIR_MSG_QUEUED);
  assert_string_equal(pool_row(f, 0)->by, "flash");
  assert_int_equal(pool_row(f, 0)->figures[WEIR_FIGURE_HEAD_LIMIT], 2);
  assert_int_equal(pool_row(f, 0)->figures[WEIR_FIGURE_HEAD_BUDGET], 0);
  assert_int_equal(fixture_ask_as(f, s, 3, "", OTHER, 50000, 9 * MINUTE), WEIR_MSG_QUEUED);
  assert_string_equal(pool_row(f, 1)->by, "flash");
  assert_int_equal(pool_row(f, 1)->figures[WEIR_FIGURE_HEAD_LIMIT], 1);
  assert_int_equal(pool_row(f, 1)->figures[WEIR_FIGURE_HEAD_BUDGET], 1);
}

static void a_large_ask_of_one_pool_is_not_starved_by_small_ones_of_another(void **state)
{
  struct fixture *f = *state;
  weir_tstamp began;
  uint64_t s, seq;
  bool is_served = false;

  budget_set(f, "project", WEIR_DIMENSION_INPUT_TOKENS, 1000);
  s = start(f);
  /* Small ones that never stop, spread over the window: a new one for each that is granted. */
  for (seq = 1; seq <= 30; seq++) {
    fixture_ask_as(f, s, seq, "", FLASH, 100, 60 * MINUTE);
    if (seq < 10)
      f->now += 5 * SECOND;
  }
  began = f->now;
  fixture_ask_as(f, s, 1000, "", OTHER, 800, 60 * MINUTE);
  for (uint32_t i = 0; !is_served; i++) {
    grant_await(f, i + 1);
    is_served = f->granted[i] == 1000;
    fixture_settle(f, 9, s, f->granted[i], true, is_served ? 800 : 100, WEIR_OUTCOME_OK);
    if (seq < 500)
      fixture_ask_as(f, s, seq++, "", FLASH, 100, 60 * MINUTE);
  }
  assert_true(f->now - began < MINUTE + 10 * SECOND);
  /* And the small ones go on. */
  grant_await(f, f->granted_count + 5);
}

static void pools_take_turns_at_a_budget(void **state)
{
  struct fixture *f = *state;
  uint64_t s, of_flash = 0;

  budget_set(f, "project", WEIR_DIMENSION_REQUESTS, 10);
  s = start(f);
  for (uint64_t seq = 1; seq <= 200; seq++) /* all of one pool's before the other's */
    fixture_ask_as(f, s, seq, "", seq <= 100 ? FLASH : OTHER, 1, 60 * MINUTE);
  grant_await(f, 110);
  for (uint32_t i = 10; i < 110; i++)
    of_flash += f->granted[i] <= 100;
  assert_in_range(of_flash, 49, 51);
}

/* The line is only for those whom the budget itself blocks. */
static void a_pool_that_its_own_limit_blocks_does_not_hold_up_a_budget(void **state)
{
  struct fixture *f = *state;
  uint64_t s;

  f->pools[0].limits[0] = (struct weir_limit_config){
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = 2 * WEIR_US_PER_HOUR, .amount = 2};
  budget_set(f, "project", WEIR_DIMENSION_INPUT_TOKENS, 1000);
  s = start(f);
  assert_int_equal(fixture_ask_as(f, s, 1, "", FLASH, 500, 0), WEIR_MSG_GRANT);
  assert_int_equal(fixture_ask_as(f, s, 2, "", FLASH, 500, 0), WEIR_MSG_GRANT);
  /* Blocked by both now, by its own limit for two hours. */
  fixture_ask_as(f, s, 3, "", FLASH, 500, 5 * WEIR_US_PER_HOUR);
  fixture_ask_as(f, s, 4, "", OTHER, 500, 2 * MINUTE);
  f->granted_count = 0;
  grant_await(f, 1);
  assert_int_equal(f->granted[0], 4);
}

static void calls_in_flight_are_limited_until_they_end(void **state)
{
  struct fixture *f = *state;
  uint64_t s;

  budget_set(f, "project", WEIR_DIMENSION_IN_FLIGHT, 2);
  s = start(f);
  f->granted_count = 0;
  fixture_ask_as(f, s, 1, "", FLASH, 1, 0);
  fixture_ask_as(f, s, 2, "", OTHER, 1, 0);
  fixture_ask_as(f, s, 3, "", FLASH, 1, 60 * MINUTE);
  fixture_ask_as(f, s, 4, "", OTHER, 1, 60 * MINUTE);
  settle_partly(f, s, 1, 1);
  fixture_run(f, f->now + SECOND);
  assert_int_equal(f->granted_count, 2);
  fixture_settle(f, 9, s, 1, true, 1, WEIR_OUTCOME_OK);
  fixture_run(f, f->now);
  assert_int_equal(f->granted_count, 3);
  assert_int_equal(f->granted[2], 3);
  /* The others are never settled: they end when they are lost. */
  grant_await(f, 4);
  assert_true(counter(f, WEIR_COUNTER_LOST) >= 1);
}

static void spend_is_what_the_prices_make_of_tokens(void **state)
{
  struct fixture *f = *state;
  uint64_t s;

  f->pools[0].price_input = 3000001; /* three millionths a token, and a little: rounded up */
  budget_set(f, "money", WEIR_DIMENSION_SPEND, 1000);
  s = start(f);
  assert_int_equal(fixture_ask_as(f, s, 1, "", FLASH, 334, MINUTE), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_TOO_LARGE);
  assert_int_equal(answer(f)->deny.dimension, WEIR_DIMENSION_SPEND);
  assert_int_equal(answer(f)->deny.cost, 1003);
  assert_int_equal(fixture_ask_as(f, s, 2, "", FLASH, 200, 0), WEIR_MSG_GRANT);
  assert_int_equal(fixture_ask_as(f, s, 3, "", FLASH, 200, 30 * SECOND), WEIR_MSG_DENY);
  assert_int_equal(fixture_ask_as(f, s, 4, "", OTHER, 60000, 0), WEIR_MSG_GRANT); /* has no price */
  fixture_settle(f, 9, s, 2, true, 100, WEIR_OUTCOME_OK);
  assert_int_equal(fixture_ask_as(f, s, 5, "", FLASH, 200, 0), WEIR_MSG_GRANT);
}

static void a_lease_is_settled_in_parts_and_once_for_all(void **state)
{
  struct fixture *f = *state;
  uint64_t s;

  budget_set(f, "project", WEIR_DIMENSION_INPUT_TOKENS, 1000);
  s = start(f);
  fixture_ask_as(f, s, 1, "", FLASH, 900, 0);
  settle_partly(f, s, 1, 0); /* written, nothing known of its use */
  assert_int_equal(used(f, 0, 1), 900);
  settle_partly(f, s, 1, 500);
  assert_int_equal(used(f, 0, 1), 500);
  settle_partly(f, s, 1, 700);
  settle_partly(f, s, 1, 700);
  assert_int_equal(used(f, 0, 1), 700);
  assert_int_equal(fixture_ask_as(f, s, 2, "", OTHER, 301, SECOND), WEIR_MSG_DENY);
  fixture_settle(f, 9, s, 1, true, 600, WEIR_OUTCOME_OK);
  assert_int_equal(used(f, 0, 1), 600);
  settle_partly(f, s, 1, 1);
  fixture_settle(f, 9, s, 1, false, 0, WEIR_OUTCOME_CANCELLED);
  assert_int_equal(used(f, 0, 1), 600);
  assert_int_equal(counter(f, WEIR_COUNTER_SETTLED), 1);
  assert_int_equal(counter(f, WEIR_COUNTER_SETTLED_LATE), 2);
  assert_int_equal(fixture_ask_as(f, s, 3, "", OTHER, 401, SECOND), WEIR_MSG_DENY);
  assert_int_equal(fixture_ask_as(f, s, 4, "", OTHER, 400, 0), WEIR_MSG_GRANT);
}

static void estimates_follow_what_calls_use(void **state)
{
  struct fixture *f = *state;
  uint64_t s = start(f);

  for (uint64_t seq = 1; seq <= 50; seq++) {
    fixture_ask_as(f, s, seq, "", FLASH, 1000, 0);
    fixture_settle(f, 9, s, seq, true, 2000, WEIR_OUTCOME_OK);
  }
  fixture_run(f, f->now + 2 * MINUTE);
  fixture_ask_as(f, s, 51, "", FLASH, 1000, 0);
  assert_in_range(used(f, 0, 1), 2000, 2001);
  /* Nothing was learned of the other pool. */
  fixture_ask_as(f, s, 52, "", OTHER, 1000, 0);
  assert_int_equal(used(f, 1, 1), 1000);
}

static void a_removed_budget_keeps_its_place_until_its_leases_end(void **state)
{
  struct fixture *f = *state;
  struct weir_coord_event event = {.type = WEIR_COORD_CONFIG, .config = &f->config};
  uint64_t s;

  budget_set(f, "one", WEIR_DIMENSION_REQUESTS, 10);
  budget_set(f, "two", WEIR_DIMENSION_REQUESTS, 10);
  s = start(f);
  fixture_ask_as(f, s, 1, "", FLASH, 1, 0);
  strcpy(f->budgets[0].name, "three");
  event.now = f->now;
  assert_int_equal(weir_coord_step(f->coord, &event, &f->update), WEIR_EFULL);
  weir_coord_check(f->coord);
  fixture_settle(f, 9, s, 1, true, 1, WEIR_OUTCOME_OK);
  reload(f);
  /* Nobody knows what the new one's calls were before it. */
  assert_int_equal(fixture_ask_as(f, s, 2, "", FLASH, 1, MINUTE), WEIR_MSG_DENY);
  assert_int_equal(fixture_ask_as(f, s, 3, "", FLASH, 1, 2 * MINUTE), WEIR_MSG_QUEUED);
}

static void leases_settle_into_the_budgets_that_they_took(void **state)
{
  struct fixture *f = *state;
  uint64_t s;

  budget_set(f, "project", WEIR_DIMENSION_REQUESTS, 2);
  s = start(f);
  fixture_ask_as(f, s, 1, "", FLASH, 1, 0);
  fixture_ask_as(f, s, 2, "", OTHER, 1, 0);
  fixture_ask_as(f, s, 3, "", OTHER, 1, 10 * MINUTE);
  f->pools[0].budgets_count = 0; /* the pool leaves the project, its lease does not */
  reload(f);
  f->granted_count = 0;
  fixture_settle(f, 9, s, 1, false, 0, WEIR_OUTCOME_CANCELLED);
  fixture_run(f, f->now);
  assert_int_equal(f->granted_count, 1);
  assert_int_equal(f->granted[0], 3);
}

static void what_waits_keeps_its_place_over_a_reload(void **state)
{
  struct fixture *f = *state;
  uint64_t s;

  budget_set(f, "project", WEIR_DIMENSION_REQUESTS, 2);
  s = start(f);
  f->granted_count = 0;
  for (uint64_t seq = 1; seq <= 6; seq++)
    fixture_ask_as(f, s, seq, "", seq % 2 ? OTHER : FLASH, 1, 20 * MINUTE);
  reload(f);
  reload(f);
  grant_await(f, 6);
  for (uint32_t i = 0; i < 6; i++)
    assert_int_equal(f->granted[i], i + 1);
}

/* Both pools stand in the lines for both budgets, in any order, and nobody waits for ever: every
 * ask is granted, for all deadlines are far away. weir_coord_check looks after each step. */
static void random_loads_are_all_served_and_nothing_waits_in_a_circle(void **state)
{
  static const char *const tenants[] = {"", "a", "b", "capped", "capped2"};
  struct fixture *f = *state;
  struct weir_rng rng;
  uint64_t s, seq = 1;

  weir_rng_init(&rng, 11);
  budget_set(f, "tokens", WEIR_DIMENSION_INPUT_TOKENS, 2000);
  budget_set(f, "flight", WEIR_DIMENSION_IN_FLIGHT, 8);
  f->pools[0].limits[0].amount = 40;
  for (uint32_t i = 0; i < 2; i++) {
    f->tenants[i] =
        (struct weir_tenant_config){.pool = WEIR_POOL_ANY, .weight = i + 1, .budget = 1};
    strcpy(f->tenants[i].name, tenants[3 + i]);
  }
  f->config.tenants_count = 2;
  f->pools[0].budgets[f->pools[0].budgets_count++] = 0;
  f->pools[1].budgets[f->pools[1].budgets_count++] = 0;
  fixture_start(f, &bounds, &first_start);
  s = fixture_hello(f, 9, 1, 1);
  for (uint32_t settled = 0; settled < 1500;) {
    const char *tenant = tenants[weir_rng_below(&rng, 5)];
    const char *model = weir_rng_below(&rng, 2) ? FLASH : OTHER;

    if (seq - settled < 100 && seq < 1600)
      fixture_ask_as(f, s, seq++, tenant, model, 1 + weir_rng_below(&rng, 10) * 100, 900 * MINUTE);
    if (weir_rng_below(&rng, 3) == 0)
      fixture_run(f, f->now + weir_rng_below(&rng, 5 * SECOND));
    if (settled + 6 < f->granted_count || seq - settled >= 100 || seq >= 1600) {
      grant_await(f, settled + 1);
      fixture_settle(f, 9, s, f->granted[settled], weir_rng_below(&rng, 10) > 0,
                     weir_rng_below(&rng, 1000), WEIR_OUTCOME_OK);
      settled++;
    }
  }
  assert_int_equal(counter(f, WEIR_COUNTER_DENIED), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_pools, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_shared_budget_holds_over_both_pools),
      TEST(a_lease_is_charged_in_all_of_its_ledgers_or_in_none),
      TEST(what_the_next_one_waits_for_is_told_apart_from_a_budget_of_its_name),
      TEST(a_large_ask_of_one_pool_is_not_starved_by_small_ones_of_another),
      TEST(pools_take_turns_at_a_budget),
      TEST(a_pool_that_its_own_limit_blocks_does_not_hold_up_a_budget),
      TEST(calls_in_flight_are_limited_until_they_end),
      TEST(spend_is_what_the_prices_make_of_tokens),
      TEST(a_lease_is_settled_in_parts_and_once_for_all),
      TEST(estimates_follow_what_calls_use),
      TEST(a_removed_budget_keeps_its_place_until_its_leases_end),
      TEST(leases_settle_into_the_budgets_that_they_took),
      TEST(what_waits_keeps_its_place_over_a_reload),
      TEST(random_loads_are_all_served_and_nothing_waits_in_a_circle),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
