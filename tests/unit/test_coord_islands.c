/* What instances may do without the coordinator: who is told what, and what is kept back for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coord_fixture.h"

#include <weir/ledger.h>

#define ROUTE 9
#define FOR   (20 * SECOND)
#define HOLD  (2 * SECOND + 100 * MS + 500 * MS)

/* A pool of 100 requests and 100,000 tokens a minute, a fifth of it for islands with |places|. */
static struct fixture *make_share(uint32_t share_pm, uint32_t places, weir_duration for_us,
                                  const struct weir_coord_start *start)
{
  struct fixture *f = malloc(sizeof(*f));

  assert_non_null(f);
  *f = fixture_of(100, 100000);
  f->config.pools = f->pools;
  f->config.names = f->names;
  f->pools[0].rules.profile = WEIR_PROFILE_WINDOW;
  f->pools[0].island =
      (struct weir_island_config){.share_pm = share_pm, .places = places, .for_us = for_us};
  fixture_start(f, &small_bounds, start);
  return f;
}

static struct fixture *make_for(uint32_t places, weir_duration for_us,
                                const struct weir_coord_start *start)
{
  return make_share(200, places, for_us, start);
}

static struct fixture *make(uint32_t places, const struct weir_coord_start *start)
{
  return make_for(places, FOR, start);
}

static void done(struct fixture *f)
{
  fixture_free(f);
  free(f);
}

static uint64_t hello(struct fixture *f, uint64_t route, uint8_t instance, bool takes_islands)
{
  struct weir_msg msg = {.type = WEIR_MSG_HELLO, .mark = ++f->mark};

  memset(msg.hello.instance, instance, sizeof(msg.hello.instance));
  msg.hello.incarnation = f->mark;
  msg.hello.version_min = msg.hello.version_max = 1;
  msg.hello.takes_islands = takes_islands;
  fixture_send(f, route, &msg);
  assert_int_equal(f->update.sends[0].msg.type, WEIR_MSG_WELCOME);
  return f->update.sends[0].msg.session;
}

static const struct weir_msg_island *told(const struct fixture *f)
{
  for (uint32_t i = 0; i < f->update.count; i++) {
    if (f->update.sends[i].msg.type == WEIR_MSG_ISLAND)
      return &f->update.sends[i].msg.island;
  }
  return NULL;
}

static const struct weir_msg_island *call(struct fixture *f, uint64_t route, uint64_t session)
{
  static uint64_t seq;

  fixture_ask(f, route, session, ++seq, WEIR_CLASS_ONLINE, 100, 0);
  return told(f);
}

static void ping(struct fixture *f, uint64_t route, uint64_t session)
{
  const struct weir_msg msg = {.type = WEIR_MSG_PING, .session = session, .mark = ++f->mark};

  fixture_send(f, route, &msg);
}

/* Keeps the session alive until |at|; returns how often it was told meanwhile. */
static uint32_t live_until(struct fixture *f, uint64_t route, uint64_t session, weir_tstamp at)
{
  uint32_t count = 0;

  while (f->now < at) {
    const weir_tstamp next = f->now + SECOND < at ? f->now + SECOND : at;

    while (f->now < next)
      fixture_run(f, next);
    ping(f, route, session);
    count += told(f) != NULL;
  }
  return count;
}

static struct weir_msg_row row_in(struct fixture *f, enum weir_view view, uint32_t row)
{
  const struct weir_msg msg = {.type = WEIR_MSG_SHOW, .show = {.view = view, .row = row}};

  fixture_send(f, 77, &msg);
  return answer(f)->row;
}

static struct weir_msg_row row_of(struct fixture *f)
{
  return row_in(f, WEIR_VIEW_POOLS, 0);
}

static void who_uses_a_pool_is_told_its_part_with_the_grant(void **state)
{
  struct fixture *f = make(2, &first_start);
  const struct weir_msg_island *island = call(f, ROUTE, hello(f, ROUTE, 1, true));

  (void)state;
  assert_non_null(island);
  assert_string_equal(island->pool, "flash");
  assert_int_equal(island->for_us, FOR);
  assert_int_equal(island->ttl_us, 2 * SECOND);
  assert_int_equal(island->idle_us, WEIR_DURATION_MAX);
  assert_int_equal(island->parts_count, 2);
  /* Ten requests are a place's: five come back in a window and what calls are held, six at once. */
  assert_int_equal(island->parts[0].dimension, WEIR_DIMENSION_REQUESTS);
  assert_int_equal(island->parts[0].amount, 5);
  assert_int_equal(island->parts[0].burst, 6);
  assert_int_equal(island->parts[0].window_us, MINUTE + HOLD + 2);
  assert_int_equal(island->parts[1].amount + island->parts[1].burst, 10001);
  done(f);
}

static void grants_do_without_what_islands_may_use(void **state)
{
  struct fixture *f = make(2, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, true);
  struct weir_msg_row row;

  (void)state;
  for (uint64_t seq = 1; seq <= 60; seq++)
    assert_int_equal(fixture_ask_as(f, session, 1000 + seq, "", "gemini/flash", 1, 0) > 0, true);
  row = row_of(f);
  assert_int_equal(row.limits[0].amount, 80);
  assert_int_equal(row.limits[0].islands, 20);
  assert_int_equal(row.islands, 1);
  done(f);
}

static void a_grant_and_statistics_say_what_calls_do_without_the_coordinator(void **state)
{
  struct fixture *f = make(1, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, false);

  (void)state;
  for (int i = 0; i <= WEIR_WITHOUT_OPEN; i++) {
    f->pools[0].without = (enum weir_without)i;
    reload(f);
    call(f, ROUTE, session);
    assert_int_equal(f->update.sends[0].msg.type, WEIR_MSG_GRANT);
    assert_int_equal(f->update.sends[0].msg.grant.without, i > WEIR_WITHOUT_WAIT ? i : 0);
    assert_int_equal(row_of(f).without, i > 0 ? i : WEIR_WITHOUT_WAIT);
  }
  done(f);
}

static void who_did_not_say_so_is_not_told(void **state)
{
  struct fixture *f = make(2, &first_start);

  (void)state;
  assert_null(call(f, ROUTE, hello(f, ROUTE, 1, false)));
  done(f);
}

static void there_are_no_more_places_than_configured(void **state)
{
  struct fixture *f = make(2, &first_start);
  const uint64_t a = hello(f, 1, 1, true), b = hello(f, 2, 2, true), c = hello(f, 3, 3, true);

  (void)state;
  assert_non_null(call(f, 1, a));
  assert_non_null(call(f, 2, b));
  assert_null(call(f, 3, c));
  assert_null(call(f, 1, a)); /* it was told a moment ago */
  assert_int_equal(row_of(f).islands, 2);
  done(f);
}

static void a_holder_is_told_again_when_a_quarter_of_its_time_is_over(void **state)
{
  struct fixture *f = make(1, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, true);

  (void)state;
  assert_non_null(call(f, ROUTE, session));
  assert_int_equal(live_until(f, ROUTE, session, f->now + FOR / 4 - MS), 0);
  assert_int_equal(live_until(f, ROUTE, session, f->now + FOR), 4);
  done(f);
}

static void a_place_is_free_when_its_holder_may_not_use_it_any_more(void **state)
{
  struct fixture *f = make(1, &first_start);
  const uint64_t a = hello(f, 1, 1, true), b = hello(f, 2, 2, true);
  const weir_tstamp over = f->now + FOR + HOLD;

  (void)state;
  assert_non_null(call(f, 1, a));
  live_until(f, 2, b, over - 1);
  assert_null(call(f, 2, b));
  live_until(f, 2, b, over + SECOND);
  assert_non_null(call(f, 2, b));
  assert_int_equal(told(f)->idle_us, SECOND); /* it fills since */
  done(f);
}

static void who_says_goodbye_gives_its_place_back(void **state)
{
  struct fixture *f = make(1, &first_start);
  const uint64_t a = hello(f, 1, 1, true), b = hello(f, 2, 2, true);
  const struct weir_msg bye = {.type = WEIR_MSG_BYE, .session = a, .mark = 100};

  (void)state;
  assert_non_null(call(f, 1, a));
  fixture_send(f, 1, &bye);
  assert_null(call(f, 2, b));
  live_until(f, 2, b, f->now + HOLD);
  assert_non_null(call(f, 2, b));
  done(f);
}

static void a_new_life_waits_until_islands_of_the_former_are_over(void **state)
{
  const struct weir_coord_start start = {.epoch = 2, .seed = 42, .has_past = true};
  struct fixture *f = make_for(1, 5 * MINUTE, &start);
  const uint64_t session = hello(f, ROUTE, 1, true);
  const weir_tstamp over = f->now + 5 * MINUTE + HOLD;

  (void)state;
  assert_int_equal(row_of(f).islands, 0); /* nobody that is known */
  assert_int_equal(row_of(f).limits[0].amount, 80);
  live_until(f, ROUTE, session, over - 1);
  assert_null(call(f, ROUTE, session));
  assert_int_equal(answer(f)->type, WEIR_MSG_GRANT); /* the pool itself serves again */
  live_until(f, ROUTE, session, over + SECOND);
  assert_non_null(call(f, ROUTE, session));
  assert_int_equal(told(f)->idle_us, SECOND);
  done(f);
}

static void a_lower_share_is_kept_back_when_the_former_is_over(void **state)
{
  struct fixture *f = make(1, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, true);
  const weir_tstamp until = f->now + FOR + HOLD, over = until + MINUTE;

  (void)state;
  assert_non_null(call(f, ROUTE, session));
  f->pools[0].island.share_pm = 100;
  reload(f);
  assert_int_equal(row_of(f).limits[0].amount, 80);
  assert_int_equal(live_until(f, ROUTE, session, until - 1), 0);
  live_until(f, ROUTE, session, over - 1);
  assert_int_equal(row_of(f).limits[0].amount, 80);
  live_until(f, ROUTE, session, over);
  assert_int_equal(row_of(f).limits[0].amount, 90);
  assert_int_equal(row_of(f).limits[0].islands, 10);
  done(f);
}

static void a_share_that_is_new_is_told_when_grants_are_within_the_rest(void **state)
{
  struct fixture *f = make_share(0, 1, FOR, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, true);
  const weir_tstamp over = f->now + MINUTE + 10520 * MS;

  (void)state;
  assert_null(call(f, ROUTE, session));
  f->pools[0].island.share_pm = 200;
  reload(f);
  live_until(f, ROUTE, session, over - 1);
  assert_null(call(f, ROUTE, session));
  live_until(f, ROUTE, session, over);
  assert_non_null(call(f, ROUTE, session));
  done(f);
}

static void a_holder_is_told_once_when_there_is_nothing_any_more(void **state)
{
  struct fixture *f = make_for(1, 5 * MINUTE, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, true), other = hello(f, 2, 2, true);
  const weir_tstamp over = f->now + 5 * MINUTE + HOLD;

  (void)state;
  assert_non_null(call(f, ROUTE, session));
  f->pools[0].island.share_pm = 0;
  reload(f);
  ping(f, ROUTE, session);
  assert_non_null(told(f));
  assert_string_equal(told(f)->pool, "flash");
  assert_int_equal(told(f)->for_us, 0);
  assert_int_equal(told(f)->parts_count, 0);
  ping(f, 2, other); /* which had none */
  assert_null(told(f));
  assert_int_equal(row_of(f).islands, 0);
  assert_int_equal(row_of(f).limits[0].amount, 80); /* it may not have heard of it */
  assert_int_equal(live_until(f, ROUTE, session, over + MINUTE), 0);
  assert_int_equal(row_of(f).limits[0].amount, 100);
  done(f);
}

static void a_holder_of_a_pool_that_is_removed_is_told_too(void **state)
{
  struct fixture *f = make_for(1, 5 * MINUTE, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, true);

  (void)state;
  assert_non_null(call(f, ROUTE, session));
  strcpy(f->pools[0].name, "other");
  reload(f);
  ping(f, ROUTE, session);
  assert_non_null(told(f));
  assert_string_equal(told(f)->pool, "flash");
  assert_int_equal(told(f)->for_us, 0);
  done(f);
}

static void a_day_that_holds_more_than_the_rest_has_no_islands(void **state)
{
  struct fixture *f = make_share(0, 1, FOR, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, true);

  (void)state;
  f->pools[0].limits[1] = (struct weir_limit_config){
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = WEIR_DAY_WINDOW_US, .amount = 10};
  reload(f);
  for (int i = 0; i < 9; i++)
    call(f, ROUTE, session);
  f->pools[0].island.share_pm = 200; /* 8 are left of 10, and 9 are used */
  reload(f);
  live_until(f, ROUTE, session, f->now + 2 * MINUTE);
  ping(f, ROUTE, session);
  assert_null(call(f, ROUTE, session));
  assert_int_equal(row_of(f).islands, 0);
  done(f);
}

static void a_call_without_lease_is_counted_once(void **state)
{
  struct fixture *f = make(1, &first_start);
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE, .mark = 50};

  (void)state;
  msg.session = hello(f, ROUTE, 1, true);
  msg.settle = (struct weir_msg_settle){
      .seq = 7, .is_sent = true, .is_final = true, .outcome = WEIR_OUTCOME_OK, .island = "flash"};
  fixture_send(f, ROUTE, &msg);
  fixture_send(f, ROUTE, &msg);
  msg.settle.seq = 8;
  msg.settle.is_sent = false;
  fixture_send(f, ROUTE, &msg);
  assert_int_equal(counter(f, WEIR_COUNTER_ISLAND_CALLS), 1);
  assert_int_equal(row_of(f).island_calls, 1);
  assert_int_equal(counter(f, WEIR_COUNTER_SETTLED_LATE), 0);
  done(f);
}

static void parts_are_smaller_where_gates_are_finer(void **state)
{
  struct weir_pool_config pool = {
      .limits_count = 1,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = 6000}},
      .ttl_us = 400 * MS,
      .jitter_us = 100 * MS,
      .island = {.share_pm = 200, .places = 2, .for_us = FOR}};
  struct weir_msg_island island;
  uint64_t former = UINT64_MAX;

  (void)state;
  for (int i = WEIR_PROFILE_WINDOW; i <= WEIR_PROFILE_UNIVERSAL; i++) {
    assert_true(weir_island_parts(&pool, (enum weir_profile)i, &island));
    assert_true(island.parts[0].burst > 0 && island.parts[0].burst <= former);
    former = island.parts[0].burst;
  }
  /* Two places of a sub-window of one request: none gets it. */
  pool.limits[0].amount = 60;
  assert_false(weir_island_parts(&pool, WEIR_PROFILE_PACED, &island));
  assert_int_equal(island.parts_count, 0);
  done(make(1, &first_start));
}

static void what_may_be_spent_is_told_as_tokens_at_the_higher_price(void **state)
{
  struct weir_pool_config pool = {.limits_count = 1,
                                  .limits = {{.dimension = WEIR_DIMENSION_SPEND,
                                              .window_us = WEIR_DAY_WINDOW_US,
                                              .amount = 100000000}},
                                  .price_input = 1000000,
                                  .price_output = 4000000,
                                  .ttl_us = SECOND,
                                  .island = {.share_pm = 100, .places = 1, .for_us = FOR}};
  struct weir_msg_island island;

  (void)state;
  assert_true(weir_island_parts(&pool, WEIR_PROFILE_WINDOW, &island));
  assert_int_equal(island.parts[0].dimension, WEIR_DIMENSION_TOTAL_TOKENS);
  assert_int_equal(island.parts[0].amount, 1250000); /* 5 of 10, at 4 for a million */
  pool.price_input = pool.price_output = 0;
  assert_false(weir_island_parts(&pool, WEIR_PROFILE_WINDOW, &island));
}

/* ---- limits that who was told of others does not know ---- */

/* How long a limit that is new stays closed beside calls without the coordinator until |until|. */
static weir_duration closed_for(const struct fixture *f, weir_tstamp until, weir_duration window)
{
  return until - f->now + WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US + window;
}

static const struct weir_limit_config short_limit = {
    .dimension = WEIR_DIMENSION_REQUESTS, .window_us = 10 * SECOND, .amount = 30};

static void a_limit_that_is_new_waits_for_who_does_not_know_it(void **state)
{
  struct fixture *f = make(1, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, true);
  const weir_tstamp until = f->now + FOR + HOLD;

  (void)state;
  assert_non_null(call(f, ROUTE, session));
  live_until(f, ROUTE, session, f->now + SECOND);
  f->pools[0].limits[f->pools[0].limits_count++] = short_limit;
  reload(f);
  assert_int_equal(row_of(f).limits[0].closed_us, 0); /* that one it knows */
  assert_int_equal(row_of(f).limits[2].closed_us, closed_for(f, until, 10 * SECOND));
  done(f);
}

static void a_limit_that_is_enforced_from_now_on_does_so_too(void **state)
{
  struct fixture *f = make(1, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, true);
  const struct weir_msg_island *island;

  (void)state;
  f->pools[0].limits[1].is_shadow = true;
  reload(f);
  live_until(f, ROUTE, session, f->now + 2 * MINUTE);
  assert_non_null(island = call(f, ROUTE, session));
  assert_int_equal(island->parts_count, 1);
  f->pools[0].limits[1].is_shadow = false;
  reload(f);
  assert_int_equal(row_of(f).limits[1].closed_us, closed_for(f, f->now + FOR + HOLD, MINUTE));
  live_until(f, ROUTE, session, f->now + FOR + HOLD + MINUTE);
  assert_null(call(f, ROUTE, session)); /* nothing is granted yet */
  live_until(f, ROUTE, session, f->now + WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US);
  assert_non_null(island = call(f, ROUTE, session));
  assert_int_equal(island->parts_count, 2);
  done(f);
}

static void nobody_is_told_of_other_parts_while_former_calls_are_in_a_window(void **state)
{
  struct fixture *f = make(1, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, true);
  const weir_tstamp over = f->now + FOR + HOLD + MINUTE;

  (void)state;
  assert_non_null(call(f, ROUTE, session));
  f->pools[0].island.places = 2; /* of half the size, and one of them was never held */
  reload(f);
  live_until(f, ROUTE, session, over - 1);
  assert_null(call(f, ROUTE, session));
  live_until(f, ROUTE, session, over);
  assert_non_null(call(f, ROUTE, session));
  done(f);
}

static void the_limits_of_a_tenant_that_are_new_wait_too(void **state)
{
  struct fixture *f = make(1, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, true);
  const weir_tstamp until = f->now + FOR + HOLD;

  (void)state;
  assert_non_null(call(f, ROUTE, session));
  strcpy(f->budgets[0].name, "alice");
  f->budgets[0].limits_count = 1;
  f->budgets[0].limits[0] = short_limit;
  strcpy(f->tenants[0].name, "alice");
  f->tenants[0].pool = WEIR_POOL_ANY;
  f->tenants[0].weight = 1;
  f->config.budgets = f->budgets;
  f->config.tenants = f->tenants;
  f->config.budgets_count = f->config.tenants_count = 1;
  reload(f);
  assert_int_equal(row_in(f, WEIR_VIEW_BUDGETS, 0).limits[0].closed_us,
                   closed_for(f, until, 10 * SECOND));
  done(f);
}

/* Of the model that a pool got from one with islands, in the reload after that. */
static void a_pool_that_got_a_model_waits_for_its_islands_with_each_new_limit(void **state)
{
  struct fixture *f = make_for(1, 5 * MINUTE, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, true);
  const weir_tstamp until = f->now + 5 * MINUTE + HOLD;

  (void)state;
  assert_non_null(call(f, ROUTE, session));
  f->pools[1] = f->pools[0];
  strcpy(f->pools[1].name, "other");
  memset(&f->pools[1].island, 0, sizeof(f->pools[1].island));
  f->config.pools_count = 2;
  f->names[0].pool = f->names[1].pool = 1;
  reload(f);
  f->pools[1].limits[f->pools[1].limits_count++] = short_limit;
  reload(f);
  for (uint32_t i = 0; i < 2; i++) {
    const struct weir_msg_row row = row_in(f, WEIR_VIEW_POOLS, i);

    if (strcmp(row.pool, "other") == 0)
      assert_int_equal(row.limits[2].closed_us, closed_for(f, until, 10 * SECOND));
  }
  done(f);
}

/* The same of a budget that the pool spends since a former reload. */
static void a_budget_that_a_pool_came_to_waits_with_each_new_limit(void **state)
{
  struct fixture *f = make_for(1, 5 * MINUTE, &first_start);
  const uint64_t session = hello(f, ROUTE, 1, true);
  const weir_tstamp until = f->now + 5 * MINUTE + HOLD;

  (void)state;
  assert_non_null(call(f, ROUTE, session));
  strcpy(f->budgets[0].name, "project");
  f->budgets[0].limits_count = 1;
  f->budgets[0].limits[0] = f->pools[0].limits[0];
  f->config.budgets = f->budgets;
  f->config.budgets_count = 1;
  f->pools[0].budgets_count = 1;
  memset(&f->pools[0].island, 0, sizeof(f->pools[0].island));
  reload(f);
  f->budgets[0].limits[f->budgets[0].limits_count++] = short_limit;
  reload(f);
  assert_int_equal(row_in(f, WEIR_VIEW_BUDGETS, 0).limits[1].closed_us,
                   closed_for(f, until, 10 * SECOND));
  done(f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_uses_a_pool_is_told_its_part_with_the_grant),
      cmocka_unit_test(grants_do_without_what_islands_may_use),
      cmocka_unit_test(a_grant_and_statistics_say_what_calls_do_without_the_coordinator),
      cmocka_unit_test(who_did_not_say_so_is_not_told),
      cmocka_unit_test(there_are_no_more_places_than_configured),
      cmocka_unit_test(a_holder_is_told_again_when_a_quarter_of_its_time_is_over),
      cmocka_unit_test(a_place_is_free_when_its_holder_may_not_use_it_any_more),
      cmocka_unit_test(who_says_goodbye_gives_its_place_back),
      cmocka_unit_test(a_new_life_waits_until_islands_of_the_former_are_over),
      cmocka_unit_test(a_lower_share_is_kept_back_when_the_former_is_over),
      cmocka_unit_test(a_share_that_is_new_is_told_when_grants_are_within_the_rest),
      cmocka_unit_test(a_holder_is_told_once_when_there_is_nothing_any_more),
      cmocka_unit_test(a_holder_of_a_pool_that_is_removed_is_told_too),
      cmocka_unit_test(a_day_that_holds_more_than_the_rest_has_no_islands),
      cmocka_unit_test(a_call_without_lease_is_counted_once),
      cmocka_unit_test(parts_are_smaller_where_gates_are_finer),
      cmocka_unit_test(what_may_be_spent_is_told_as_tokens_at_the_higher_price),
      cmocka_unit_test(a_limit_that_is_new_waits_for_who_does_not_know_it),
      cmocka_unit_test(a_limit_that_is_enforced_from_now_on_does_so_too),
      cmocka_unit_test(nobody_is_told_of_other_parts_while_former_calls_are_in_a_window),
      cmocka_unit_test(the_limits_of_a_tenant_that_are_new_wait_too),
      cmocka_unit_test(a_pool_that_got_a_model_waits_for_its_islands_with_each_new_limit),
      cmocka_unit_test(a_budget_that_a_pool_came_to_waits_with_each_new_limit),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
