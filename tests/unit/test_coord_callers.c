/* What the coordinator learns of calls that ended, and tells to whoever asks next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "coord_fixture.h"

static int set_up_roomy(void **state)
{
  struct fixture *f = calloc(1, sizeof(*f));

  *f = fixture_of(100000, 100000000);
  f->config.pools = f->pools;
  f->config.names = f->names;
  fixture_start(f, &small_bounds, &first_start);
  *state = f;
  return 0;
}

struct end {
  uint64_t estimated, used;
  weir_duration latency;
  enum weir_outcome outcome;
};

/* A call of |tenant|; returns its GRANT. */
static struct weir_msg_grant call(struct fixture *f, uint64_t s, const char *tenant,
                                  const char *model, const struct end *end)
{
  static uint64_t seq;
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE, .session = s};
  struct weir_msg_grant grant;

  assert_int_equal(fixture_ask_as(f, s, ++seq, tenant, model, 10, 0), WEIR_MSG_GRANT);
  grant = answer(f)->grant;
  msg.mark = ++f->mark;
  msg.settle.seq = seq;
  msg.settle.is_sent = msg.settle.is_final = true;
  msg.settle.outcome = end->outcome;
  msg.settle.has_usage = end->used > 0;
  msg.settle.input_tokens = end->used;
  msg.settle.estimated_tokens = end->estimated;
  msg.settle.latency_us = end->latency;
  fixture_send(f, 9, &msg);
  return grant;
}

static struct weir_msg_row row_of(struct fixture *f)
{
  struct weir_msg msg = {.type = WEIR_MSG_SHOW, .show = {.view = WEIR_VIEW_POOLS, .row = 0}};

  fixture_send(f, 9, &msg);
  return answer(f)->row;
}

#define FLASH "gemini/flash"

static const struct end exact = {.estimated = 1000, .used = 1000, .outcome = WEIR_OUTCOME_OK};
static const struct end twice = {.estimated = 1000, .used = 2000, .outcome = WEIR_OUTCOME_OK};
static const struct end untold = {.used = 5000, .outcome = WEIR_OUTCOME_OK};
static const struct end unused = {.estimated = 1000, .outcome = WEIR_OUTCOME_NETWORK};

static void grants_tell_what_calls_used_of_their_estimates(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  for (int i = 0; i < 8; i++)
    assert_int_equal(call(f, s, "acme", FLASH, &twice).ratio_pm, 0);
  assert_int_equal(call(f, s, "acme", FLASH, &twice).ratio_pm, 2000);
}

static void grants_tell_what_the_pools_limits_leave(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);
  struct weir_msg_grant grant = call(f, s, "acme", FLASH, &exact);

  /* Ten tokens were asked for; the settling came after the grant. */
  assert_int_equal(grant.requests_limit, 100000);
  assert_int_equal(grant.requests_left, 99999);
  assert_int_equal(grant.tokens_limit, 100000000);
  assert_int_equal(grant.tokens_left, 100000000 - 10);
  grant = call(f, s, "acme", FLASH, &exact);
  assert_int_equal(grant.requests_left, 99998);
  assert_int_equal(grant.tokens_left, 100000000 - 1000 - 10);
}

static void of_several_limits_the_one_that_binds_is_told(void **state)
{
  struct fixture f = fixture_of(100, 100000000);
  uint64_t s;

  (void)state;
  f.pools[0].limits_count = 4;
  f.pools[0].limits[2] = (struct weir_limit_config){
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = 2 * MINUTE, .amount = 101};
  f.pools[0].limits[3] = (struct weir_limit_config){.dimension = WEIR_DIMENSION_TOTAL_TOKENS,
                                                    .window_us = MINUTE,
                                                    .amount = 50000,
                                                    .is_shadow = true};
  f.config.pools = f.pools;
  f.config.names = f.names;
  fixture_start(&f, &small_bounds, &first_start);
  s = fixture_hello(&f, 9, 1, 1);
  {
    const struct weir_msg_grant grant = call(&f, s, "acme", FLASH, &unused);

    assert_int_equal(grant.requests_limit, 100);
    assert_int_equal(grant.requests_left, 99);
    assert_int_equal(grant.tokens_limit, 100000000); /* a shadow binds nobody */
  }
  fixture_free(&f);
}

static void only_what_was_estimated_and_used_teaches(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  for (int i = 0; i < 20; i++) {
    call(f, s, "acme", FLASH, &untold);
    call(f, s, "acme", FLASH, &unused);
  }
  assert_int_equal(call(f, s, "acme", FLASH, &exact).ratio_pm, 0);
}

static void a_tenant_has_its_own_and_a_new_one_the_pools(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  for (int i = 0; i < 200; i++) {
    call(f, s, "acme", FLASH, &exact);
    call(f, s, "other", FLASH, &twice);
  }
  assert_int_equal(call(f, s, "acme", FLASH, &exact).ratio_pm, 1000);
  assert_int_equal(call(f, s, "other", FLASH, &twice).ratio_pm, 2000);
  assert_in_range(call(f, s, "new", FLASH, &exact).ratio_pm, 1450, 1550);
  assert_in_range(call(f, s, "new", FLASH, &exact).ratio_error_pm, 450, 550);
}

static void pools_are_learned_apart(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  add_other_pool(f);
  reload(f);
  fixture_run(f, f->now + 3 * MINUTE);
  s = fixture_hello(f, 9, 1, 2);
  for (int i = 0; i < 9; i++)
    call(f, s, "acme", FLASH, &twice);
  assert_int_equal(call(f, s, "acme", "gemini/other", &exact).ratio_pm, 0);
}

/* The table has sixteen places. */
static void who_was_not_heard_of_for_longest_makes_room(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);
  char name[16];

  for (int i = 0; i < 16; i++) {
    snprintf(name, sizeof(name), "t%d", i);
    for (int k = 0; k < 9; k++)
      call(f, s, name, FLASH, i % 2 ? &twice : &exact);
  }
  call(f, s, "t0", FLASH, &exact);       /* heard of again */
  call(f, s, "one more", FLASH, &exact); /* in place of t1 */
  assert_int_equal(call(f, s, "t0", FLASH, &untold).ratio_pm, 1000);
  assert_int_equal(call(f, s, "t3", FLASH, &untold).ratio_pm, 2000);
  assert_in_range(call(f, s, "t1", FLASH, &untold).ratio_pm, 1200, 1800); /* the pool's */
}

static void a_pool_in_the_place_of_another_knows_nothing_of_its_tenants(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  for (int i = 0; i < 9; i++)
    call(f, s, "acme", FLASH, &twice);
  for (char name = 'p'; name < 'p' + 5; name++) { /* until its place is needed */
    snprintf(f->pools[0].name, sizeof(f->pools[0].name), "%c", name);
    reload(f);
    fixture_run(f, f->now + 15 * MINUTE);
  }
  s = fixture_hello(f, 9, 1, 2);
  assert_int_equal(call(f, s, "acme", FLASH, &untold).ratio_pm, 0);
  for (int i = 0; i < 9; i++) /* a tenant has its own as soon as the pool has one */
    call(f, s, "other", FLASH, &exact);
  assert_int_equal(call(f, s, "acme", FLASH, &exact).ratio_pm, 1000);
}

static void a_rows_latencies_are_those_of_good_calls(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);
  struct weir_msg_row row;

  assert_int_equal(row_of(f).latency_p95_us, 0);
  for (weir_duration i = 1; i <= 100; i++)
    call(f, s, "", FLASH, &(struct end){.latency = i * 10 * MS, .outcome = WEIR_OUTCOME_OK});
  for (int i = 0; i < 100; i++)
    call(f, s, "", FLASH, &(struct end){.latency = MINUTE, .outcome = WEIR_OUTCOME_SERVER_ERROR});
  row = row_of(f);
  assert_in_range(row.latency_p50_us, 484 * MS, 516 * MS);
  assert_in_range(row.latency_p95_us, 920 * MS, 980 * MS);
  assert_in_range(row.latency_p99_us, 959 * MS, 1021 * MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_roomy, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(grants_tell_what_calls_used_of_their_estimates),
      TEST(grants_tell_what_the_pools_limits_leave),
      cmocka_unit_test(of_several_limits_the_one_that_binds_is_told),
      TEST(only_what_was_estimated_and_used_teaches),
      TEST(a_tenant_has_its_own_and_a_new_one_the_pools),
      TEST(pools_are_learned_apart),
      TEST(who_was_not_heard_of_for_longest_makes_room),
      TEST(a_pool_in_the_place_of_another_knows_nothing_of_its_tenants),
      TEST(a_rows_latencies_are_those_of_good_calls),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
