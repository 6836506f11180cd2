/* Pools, budgets, limits and tenants that a life of the coordinator did without: what is in the
 * store of them knows nothing of what was granted meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "keep_fixture.h"

#define CLOSED                                                                                     \
  (72 * SECOND) /* a window of a minute, after all that was granted can have arrived               \
                 */

/* ---- between two lives ---- */

static void a_pool_whose_name_comes_back_is_closed_for_a_window(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  begin_kept(&f);
  live_as(&f, "renamed");
  wait_until(&f, f.now + CLOSED);
  assert_int_equal(granted_now(&f, 600, 10), 600);
  live_as(&f, "flash");
  assert_closed_for(&f, 58 * SECOND, CLOSED);
  fixture_free(&f);
}

static void it_is_so_after_any_number_of_lives_without_it(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  begin_kept(&f);
  strcpy(f.pools[0].name, "renamed");
  for (int life = 0; life < 3; life++) {
    die(&f, SECOND, life % 2);
    wait_until(&f, f.now + CLOSED);
    assert_int_equal(granted_now(&f, 600, 10), 600);
  }
  live_as(&f, "flash");
  assert_int_equal(granted_now(&f, 1, 10), 0);
  fixture_free(&f);
}

/* What is closed stays so, however often a life ends before its first record. */
static void a_life_that_wrote_nothing_changes_nothing(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  begin_kept(&f);
  live_as(&f, "renamed");
  live_as(&f, "flash");
  die(&f, SECOND, true);
  assert_int_equal(granted_now(&f, 1, 10), 0);
  wait_until(&f, f.now + CLOSED);
  assert_int_equal(granted_now(&f, 600, 10), 600);
  die(&f, SECOND, true);
  wait_until(&f, f.now + 58 * SECOND);
  assert_in_range(granted_now(&f, 600, 10), 0, 10); /* it is known again, and that it is spent */
  wait_until(&f, f.now + 4 * SECOND);
  assert_in_range(granted_now(&f, 600, 10), 590, 600);
  fixture_free(&f);
}

/* A project's budget of 100 requests a minute, which the pool spends. */
static void add_project(struct fixture *f)
{
  f->budgets[0] = (struct weir_budget_config){
      .name = "project",
      .limits_count = 1,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = 100}},
      .rules = {.profile = WEIR_PROFILE_WINDOW}};
  f->config.budgets_count = 1;
  f->pools[0].budgets_count = 1;
}

static void remove_project(struct fixture *f)
{
  f->config.budgets_count = f->pools[0].budgets_count = 0;
}

static void a_budget_that_comes_back_is_closed_for_a_window(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  add_project(&f);
  begin_kept(&f);
  remove_project(&f);
  die(&f, SECOND, true);
  assert_int_equal(granted_now(&f, 500, 10), 500);
  add_project(&f);
  die(&f, SECOND, true);
  assert_int_equal(granted_now(&f, 1, 10), 0);
  wait_until(&f, f.now + CLOSED);
  assert_int_equal(granted_now(&f, 200, 10), 100);
  fixture_free(&f);
}

static void a_limit_that_comes_back_is_closed_for_a_window(void **state)
{
  struct fixture f = first_life(600, 6000000);
  const struct weir_limit_config requests = f.pools[0].limits[0], tokens = f.pools[0].limits[1];

  (void)state;
  f.pools[0].limits_count = 1;
  begin_kept(&f);
  f.pools[0].limits[0] = tokens;
  die(&f, SECOND, true);
  wait_until(&f, f.now + CLOSED);
  assert_int_equal(granted_now(&f, 600, 10), 600);
  f.pools[0].limits[0] = requests;
  die(&f, SECOND, true);
  assert_int_equal(granted_now(&f, 1, 10), 0);
  fixture_free(&f);
}

static void a_limit_that_is_gone_closes_its_pool_once(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  begin_kept(&f);
  f.pools[0].limits_count = 1;
  die(&f, SECOND, true);
  assert_int_equal(granted_now(&f, 1, 10), 0);
  wait_until(&f, f.now + CLOSED);
  assert_int_equal(granted_now(&f, 100, 10), 100);
  die(&f, SECOND, true);
  assert_int_equal(granted_now(&f, 100, 10), 100);
  fixture_free(&f);
}

/* Days are known as far as the records are: a day lasts too long to be closed. */
static void a_day_that_comes_back_counts_what_was_recorded(void **state)
{
  struct fixture f = first_life(6000, 60000000);

  (void)state;
  f.pools[0].limits[2] = (struct weir_limit_config){.dimension = WEIR_DIMENSION_REQUESTS,
                                                    .window_us = WEIR_DAY_WINDOW_US,
                                                    .amount = 2000,
                                                    .is_day = true,
                                                    .zone_id = 1};
  f.pools[0].limits_count = 3;
  begin(&f, (struct weir_coord_start){0});
  clock_tell(&f, 20000);
  keep_all(&f);
  assert_int_equal(granted_now(&f, 1500, 10), 1500);
  live_as(&f, "renamed");
  live_as(&f, "flash");
  clock_tell(&f, 20000);
  wait_until(&f, f.now + CLOSED);
  assert_in_range(granted_now(&f, 2000, 10), 500 - 4, 500);
  fixture_free(&f);
}

/* ---- within a life ---- */

static uint32_t ask_now(struct fixture *f, uint64_t tokens)
{
  const uint32_t before = f->granted_count;

  fixture_ask(f, 9, session, ++seq, WEIR_CLASS_ONLINE, tokens, FOREVER);
  return f->granted_count - before;
}

/* Nobody knows what was granted without it, so nothing is until that is on record. */
static void nothing_is_granted_until_it_is_durable_that_a_budget_is_gone(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  add_project(&f);
  begin_kept(&f);
  assert_int_equal(ask_now(&f, 10), 1);
  remove_project(&f);
  reload(&f);
  assert_int_equal(ask_now(&f, 10), 0);
  f.now += 200 * MS;
  assert_true(keep(&f));
  store_say(&f, WEIR_COORD_UNKEPT);
  assert_int_equal(ask_now(&f, 10), 0);
  f.now += 2 * SECOND;
  keep_all(&f);
  assert_int_equal(f.granted_count, 3);
  add_project(&f);
  die(&f, SECOND, true);
  assert_int_equal(granted_now(&f, 1, 10), 0);
  fixture_free(&f);
}

/* Its place in the machine is not given to another before that, or nobody could write it. */
static void a_pool_keeps_its_place_until_it_is_durable_that_it_is_gone(void **state)
{
  struct fixture f = first_life(600, 6000000);
  struct weir_coord_event event = {.type = WEIR_COORD_CONFIG, .config = &f.config};

  (void)state;
  begin_kept(&f); /* one of four places */
  for (uint32_t i = 0; i < 4; i++) {
    f.pools[i] = f.pools[0];
    snprintf(f.pools[i].name, sizeof(f.pools[i].name), "new%u", i);
  }
  f.config.pools_count = 4;
  event.now = f.now;
  assert_int_equal(weir_coord_step(f.coord, &event, &f.update), WEIR_EFULL);
  assert_int_equal(ask_now(&f, 10), 1); /* nothing has changed */
  fixture_settle(&f, 9, session, seq, true, 10, WEIR_OUTCOME_OK);
  f.config.pools_count = 3;
  reload(&f);
  f.config.pools_count = 4;
  assert_int_equal(weir_coord_step(f.coord, &event, &f.update), WEIR_EFULL);
  f.now += 200 * MS;
  keep_all(&f);
  reload(&f);
  keep_all(&f);
  f.now += 200 * MS;
  keep_all(&f);
  wait_until(&f, f.now + CLOSED);
  assert_int_equal(granted_now(&f, 600, 10), 600);
  live_as(&f, "flash");
  assert_int_equal(granted_now(&f, 1, 10), 0);
  fixture_free(&f);
}

/* What a reload has left behind is not believed because others were found out before. */
static void a_limit_that_a_reload_removed_is_closed_until_it_is_written_anew(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  f.pools[0].limits[1].window_us = 10 * MINUTE;
  begin_kept(&f);
  f.pools[0].limits_count = 1;
  reload_kept(&f);
  assert_int_equal(granted_now(&f, 60, 100000), 60);
  f.pools[0].limits_count = 2;
  for (int life = 0; life < 3; life++)
    die(&f, SECOND, true); /* none of which writes anything */
  wait_until(&f, f.now + 9 * MINUTE);
  assert_int_equal(granted_now(&f, 1, 10), 0);
  wait_until(&f, f.now + MINUTE + 12 * SECOND);
  assert_int_equal(granted_now(&f, 1, 10), 1);
  fixture_free(&f);
}

/* ---- tenants ---- */

/* Tenants without a pool, with 50 requests a minute of their own. */
static void add_own(struct fixture *f)
{
  f->budgets[0] = (struct weir_budget_config){
      .name = "own",
      .limits_count = 1,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = 50}},
      .rules = {.is_fixed = true}};
  f->tenants[0] = (struct weir_tenant_config){.name = "a", .pool = WEIR_POOL_ANY, .weight = 1};
  f->config.tenants = f->tenants;
  f->config.budgets = f->budgets;
  f->config.budgets_count = f->config.tenants_count = 1;
}

static void remove_own(struct fixture *f)
{
  f->config.budgets_count = f->config.tenants_count = 0;
}

/* How many of |count| calls of tenant a are granted now. */
static uint32_t granted_to_a(struct fixture *f, uint32_t count)
{
  const uint32_t before = f->granted_count;

  for (uint32_t i = 0; i < count; i++) {
    fixture_ask_as(f, session, ++seq, "a", "gemini/flash", 10, 100 * MS);
    keep_all(f);
    fixture_settle(f, 9, session, seq, true, 10, WEIR_OUTCOME_OK);
    keep_all(f);
  }
  f->now += 200 * MS;
  while (fixture_run(f, f->now) > 0)
    ;
  keep_all(f);
  return f->granted_count - before;
}

static void limits_of_a_tenant_that_come_back_with_a_reload_are_closed_for_a_window(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  add_own(&f);
  begin_kept(&f);
  assert_int_equal(granted_to_a(&f, 60), 50);
  wait_until(&f, f.now + CLOSED);
  remove_own(&f);
  reload_kept(&f);
  assert_int_equal(granted_to_a(&f, 40), 40);
  add_own(&f);
  reload_kept(&f);
  assert_int_equal(granted_to_a(&f, 20), 0);
  wait_until(&f, f.now + CLOSED);
  assert_int_equal(granted_to_a(&f, 60), 50);
  fixture_free(&f);
}

static void so_are_those_that_come_back_with_a_restart(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  add_own(&f);
  begin_kept(&f);
  remove_own(&f);
  die(&f, SECOND, true);
  assert_int_equal(granted_to_a(&f, 40), 40);
  add_own(&f);
  die(&f, SECOND, true);
  assert_int_equal(granted_to_a(&f, 20), 0);
  wait_until(&f, f.now + CLOSED);
  assert_int_equal(granted_to_a(&f, 60), 50);
  fixture_free(&f);
}

/* In the pool a tenant has limits of its own, or, |is_other| false, those that it has everywhere.
 */
static void own_in_pool(struct fixture *f, bool is_other)
{
  add_own(f);
  f->budgets[1] = f->budgets[0];
  strcpy(f->budgets[1].name, "flash:own");
  f->tenants[1] = f->tenants[0];
  f->tenants[1].pool = 0;
  f->tenants[1].budget = is_other;
  f->config.budgets_count = 1 + is_other;
  f->config.tenants_count = 2;
}

static void limits_that_a_tenant_had_elsewhere_only_are_closed_for_a_window(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  own_in_pool(&f, true);
  begin_kept(&f);
  assert_int_equal(granted_to_a(&f, 40), 40);
  own_in_pool(&f, false);
  reload_kept(&f);
  assert_int_equal(granted_to_a(&f, 20), 0);
  wait_until(&f, f.now + CLOSED);
  assert_int_equal(granted_to_a(&f, 40), 40);
  f.config.tenants_count = 1; /* which says the same */
  reload_kept(&f);
  assert_int_equal(granted_to_a(&f, 20), 10);
  die(&f, SECOND, true);
  assert_int_equal(granted_to_a(&f, 1), 0);
  wait_until(&f, f.now + MINUTE + 5 * SECOND);
  own_in_pool(&f, true);
  die(&f, SECOND, true);
  wait_until(&f, f.now + CLOSED);
  assert_int_equal(granted_to_a(&f, 40), 40);
  own_in_pool(&f, false);
  die(&f, SECOND, true);
  assert_int_equal(granted_to_a(&f, 20), 0);
  fixture_free(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_pool_whose_name_comes_back_is_closed_for_a_window),
      cmocka_unit_test(it_is_so_after_any_number_of_lives_without_it),
      cmocka_unit_test(a_life_that_wrote_nothing_changes_nothing),
      cmocka_unit_test(a_budget_that_comes_back_is_closed_for_a_window),
      cmocka_unit_test(a_limit_that_comes_back_is_closed_for_a_window),
      cmocka_unit_test(a_limit_that_is_gone_closes_its_pool_once),
      cmocka_unit_test(a_day_that_comes_back_counts_what_was_recorded),
      cmocka_unit_test(nothing_is_granted_until_it_is_durable_that_a_budget_is_gone),
      cmocka_unit_test(a_pool_keeps_its_place_until_it_is_durable_that_it_is_gone),
      cmocka_unit_test(a_limit_that_a_reload_removed_is_closed_until_it_is_written_anew),
      cmocka_unit_test(limits_of_a_tenant_that_come_back_with_a_reload_are_closed_for_a_window),
      cmocka_unit_test(so_are_those_that_come_back_with_a_restart),
      cmocka_unit_test(limits_that_a_tenant_had_elsewhere_only_are_closed_for_a_window),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
