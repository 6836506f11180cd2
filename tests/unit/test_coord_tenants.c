#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "coord_fixture.h"

#define FLASH "gemini/flash"
#define MANY  100000u

static const struct weir_coord_bounds bounds = {.pools_max = 4,
                                                .names_max = 8,
                                                .sessions_max = 8,
                                                .asks_max = 512,
                                                .leases_max = 2048,
                                                .budgets_max = 4,
                                                .tenants_max = 16};

/* 60 requests and 6,000 input tokens a minute; sessions that never end. */
static int set_up_wide(void **state)
{
  struct fixture *f = malloc(sizeof(*f));

  *f = fixture_of(60, 6000);
  f->config.pools = f->pools;
  f->config.names = f->names;
  f->config.tenants = f->tenants;
  f->config.budgets = f->budgets;
  f->config.session_ttl_us = 1000 * MINUTE;
  f->config.asks_max = 500;
  fixture_start(f, &bounds, &first_start);
  *state = f;
  return 0;
}

static void tenant_set(struct fixture *f, const char *name, uint32_t pool, uint32_t weight,
                       uint32_t budget)
{
  struct weir_tenant_config *tenant = &f->tenants[f->config.tenants_count++];

  strcpy(tenant->name, name);
  tenant->pool = pool;
  tenant->weight = weight;
  tenant->budget = budget;
}

static void budget_set(struct fixture *f, const char *name, enum weir_dimension dimension,
                       uint64_t amount)
{
  struct weir_budget_config *budget = &f->budgets[f->config.budgets_count++];

  memset(budget, 0, sizeof(*budget));
  strcpy(budget->name, name);
  budget->limits_count = 1;
  budget->limits[0] =
      (struct weir_limit_config){.dimension = dimension,
                                 .window_us = dimension == WEIR_DIMENSION_IN_FLIGHT ? 0 : MINUTE,
                                 .amount = amount};
}

/* A reload closes what it adds for a while. */
static void reload_and_open(struct fixture *f)
{
  reload(f);
  fixture_run(f, f->now + 2 * MINUTE);
}

/* Tenants that always have |BACKLOG| asks waiting, and what they were granted. */
#define BACKLOG 200 /* more than a window holds of one of them */

struct load {
  const char *name;
  uint64_t tokens, used; /* asked for, and used in the end */
  uint64_t grants;
};

/* Runs until |count| grants were made. */
static void grant_await(struct fixture *f, uint32_t count)
{
  const weir_tstamp until = f->now + 20 * MINUTE;

  while (f->granted_count < count) {
    assert_true(f->now < until);
    fixture_run(f, f->now + MINUTE);
  }
}

/* Keeps the backlog of |count| loads for |grants| grants; |look| is called after each. Numbers tell
 * whose an ask is: those of load i are i modulo |count|, those of an earlier run are load 0's. */
static void run_loads(struct fixture *f, uint64_t s, struct load *loads, uint64_t count,
                      uint32_t grants, void (*look)(const struct load *))
{
  static uint64_t seq = 2000;
  const uint64_t first = (seq / count + 1) * count;
  uint32_t from;

  seq = first;
  f->granted_count = 0;
  for (uint64_t i = 0; i < BACKLOG * count; i++, seq++)
    fixture_ask_as(f, s, seq, loads[seq % count].name, FLASH, loads[seq % count].tokens,
                   500 * MINUTE);
  from = f->granted_count;
  for (uint32_t i = 0; i < from + grants; i++) {
    struct load *load;

    grant_await(f, i + 1);
    load = &loads[f->granted[i] < first ? 0 : f->granted[i] % count];
    if (i >= from)
      load->grants++;
    fixture_settle(f, 9, s, f->granted[i], true, load->used, WEIR_OUTCOME_OK);
    while (seq % count != (uint64_t)(load - loads))
      seq++;
    fixture_ask_as(f, s, seq++, load->name, FLASH, load->tokens, 500 * MINUTE);
    if (look && i >= from)
      look(loads);
  }
}

/* Fills the window, so that whoever comes waits. */
static void fill(struct fixture *f, uint64_t s, const char *tenant)
{
  uint64_t seq = 900;

  while (fixture_ask_as(f, s, seq, tenant, FLASH, 1, 0) == WEIR_MSG_GRANT)
    seq++;
  assert_in_range(seq, 959, 960);
}

/* Loads 0 and 1 take a tenth of the tokens and a 60th of the requests with each call. */
static void shares_differ_by_two_calls(const struct load *loads)
{
  const int64_t difference = (int64_t)(loads[0].grants * 6) - (int64_t)loads[1].grants;

  assert_in_range(difference + 12, 0, 24);
}

static void opposite_shapes_get_equal_dominant_shares(void **state)
{
  struct fixture *f = *state;
  struct load loads[2] = {{"tokens", 600, 600, 0}, {"calls", 10, 10, 0}};
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fill(f, s, "before");
  run_loads(f, s, loads, 2, 2000, shares_differ_by_two_calls);
  assert_true(loads[0].grants > 250);
}

static void shares_are_of_what_was_used_not_of_what_was_asked(void **state)
{
  struct fixture *f = *state;
  struct load loads[2] = {{"modest", 300, 300, 0}, {"careful", 900, 300, 0}};
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fill(f, s, "before");
  run_loads(f, s, loads, 2, 1000, NULL);
  assert_in_range(loads[0].grants, 480, 520);
}

static void weights_divide_the_quota(void **state)
{
  struct fixture *f = *state;
  struct load loads[2] = {{"three", 100, 100, 0}, {"one", 100, 100, 0}};
  uint64_t s = fixture_hello(f, 9, 1, 1);

  tenant_set(f, "three", WEIR_POOL_ANY, 3, WEIR_BUDGET_NONE);
  reload(f);
  fill(f, s, "before");
  run_loads(f, s, loads, 2, 1000, NULL);
  assert_in_range(loads[0].grants, 740, 760);
}

static void an_entry_for_the_pool_goes_before_one_for_any(void **state)
{
  struct fixture *f = *state;
  struct load loads[2] = {{"two", 100, 100, 0}, {"one", 100, 100, 0}};
  uint64_t s = fixture_hello(f, 9, 1, 1);

  tenant_set(f, "two", WEIR_POOL_ANY, 9, WEIR_BUDGET_NONE);
  tenant_set(f, "two", 0, 2, WEIR_BUDGET_NONE);
  reload(f);
  fill(f, s, "before");
  run_loads(f, s, loads, 2, 900, NULL);
  assert_in_range(loads[0].grants, 590, 610);
}

static void idle_time_is_not_saved_up(void **state)
{
  struct fixture *f = *state;
  struct load alone[1] = {{"early", 100, 100, 0}};
  struct load both[2] = {{"early", 100, 100, 0}, {"late", 100, 100, 0}};
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fixture_ask_as(f, s, 1, "late", FLASH, 100, 0);
  fixture_settle(f, 9, s, 1, true, 100, WEIR_OUTCOME_OK);
  fill(f, s, "early");
  run_loads(f, s, alone, 1, 1200, NULL);
  run_loads(f, s, both, 2, 100, NULL);
  assert_in_range(both[1].grants, 48, 52);
}

static void a_light_tenant_waits_for_one_call_of_others_at_most(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fill(f, s, "before");
  for (uint64_t seq = 1600; seq < 1700; seq++)
    assert_int_equal(fixture_ask_as(f, s, seq, "hog", FLASH, 100, 5 * MINUTE), WEIR_MSG_QUEUED);
  assert_int_equal(fixture_ask_as(f, s, 1700, "light", FLASH, 100, 5 * MINUTE), WEIR_MSG_QUEUED);
  assert_int_equal(answer(f)->queued.ahead, 0);
  f->granted_count = 0;
  for (uint64_t seq = 900; seq < 902; seq++)
    fixture_settle(f, 9, s, seq, false, 0, WEIR_OUTCOME_CANCELLED);
  assert_int_equal(f->granted[0], 1600); /* it came first */
  assert_int_equal(f->granted[1], 1700);
  /* Beside one that has been served, a light one is next. */
  for (uint64_t seq = 1701; seq < 1704; seq++) {
    char name[8];

    snprintf(name, sizeof(name), "l%u", (unsigned)seq);
    fixture_ask_as(f, s, seq, name, FLASH, 100, 5 * MINUTE);
    fixture_settle(f, 9, s, seq - 799, false, 0, WEIR_OUTCOME_CANCELLED);
    assert_int_equal(answer(f)->grant.seq, seq);
  }
}

/* The hog has more waiting than ten windows hold. */
static void a_light_tenant_is_not_denied_for_what_others_have_waiting(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fill(f, s, "before");
  for (uint64_t seq = 1600; seq < 1700; seq++)
    fixture_ask_as(f, s, seq, "hog", FLASH, 6000, 50 * MINUTE);
  assert_int_equal(fixture_ask_as(f, s, 1700, "hog", FLASH, 6000, 3 * MINUTE), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_DEADLINE);
  assert_int_equal(fixture_ask_as(f, s, 1701, "light", FLASH, 6000, 3 * MINUTE), WEIR_MSG_QUEUED);
  f->granted_count = 0;
  grant_await(f, 2);
  assert_int_equal(f->granted[1], 1701);
}

static void tenants_without_a_name_wait_in_one_line(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  fill(f, s, "");
  fixture_ask_as(f, s, 1600, "", FLASH, 100, 5 * MINUTE);
  fixture_ask_as(f, s, 1601, "", FLASH, 1, 5 * MINUTE);
  assert_int_equal(answer(f)->queued.ahead, 1);
  fixture_settle(f, 9, s, 900, false, 0, WEIR_OUTCOME_CANCELLED);
  assert_int_equal(answer(f)->grant.seq, 1600);
}

static void a_tenant_is_parked_by_its_own_budget_and_stops_nobody_else(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);
  weir_tstamp began;

  budget_set(f, "one", WEIR_DIMENSION_REQUESTS, 1);
  tenant_set(f, "capped", WEIR_POOL_ANY, 1, 0);
  reload_and_open(f);
  began = f->now;
  assert_int_equal(fixture_ask_as(f, s, 1, "capped", FLASH, 1, MINUTE), WEIR_MSG_GRANT);
  assert_int_equal(fixture_ask_as(f, s, 2, "capped", FLASH, 1, 10 * SECOND), WEIR_MSG_DENY);
  assert_string_equal(answer(f)->deny.pool, "one");
  assert_int_equal(answer(f)->deny.amount, 1);
  assert_int_equal(fixture_ask_as(f, s, 3, "capped", FLASH, 1, 10 * MINUTE), WEIR_MSG_QUEUED);
  assert_int_equal(fixture_ask_as(f, s, 4, "free", FLASH, 1, 0), WEIR_MSG_GRANT);
  assert_int_equal(fixture_ask_as(f, s, 5, "", FLASH, 1, 0), WEIR_MSG_GRANT);
  f->granted_count = 0;
  grant_await(f, 1);
  assert_int_equal(f->granted[0], 3);
  assert_in_range(f->now - began, MINUTE, MINUTE + 3 * SECOND);
}

static void what_returns_to_its_budget_wakes_a_parked_tenant(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  budget_set(f, "one", WEIR_DIMENSION_REQUESTS, 1);
  tenant_set(f, "capped", WEIR_POOL_ANY, 1, 0);
  reload_and_open(f);
  f->granted_count = 0;
  for (uint64_t seq = 1; seq <= 3; seq++)
    fixture_ask_as(f, s, seq, "capped", FLASH, 1, 10 * MINUTE);
  assert_int_equal(f->granted_count, 1);
  fixture_settle(f, 9, s, 1, false, 0, WEIR_OUTCOME_CANCELLED);
  fixture_run(f, f->now);
  assert_int_equal(f->granted_count, 2);
  assert_int_equal(f->granted[1], 2);
}

/* Whose own budget never has room is told so, whoever else is served. */
static void a_call_larger_than_its_tenants_budget_is_denied(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);

  budget_set(f, "small", WEIR_DIMENSION_INPUT_TOKENS, 100);
  tenant_set(f, "capped", WEIR_POOL_ANY, 1, 0);
  reload_and_open(f);
  assert_int_equal(fixture_ask_as(f, s, 1, "capped", FLASH, 101, 10 * MINUTE), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_TOO_LARGE);
  assert_int_equal(answer(f)->deny.cost, 101);
  assert_int_equal(fixture_ask_as(f, s, 2, "capped", FLASH, 100, 0), WEIR_MSG_GRANT);
}

static void parked_asks_are_cancelled_and_denied_like_others(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);
  struct weir_msg cancel = {.type = WEIR_MSG_CANCEL, .session = s};

  budget_set(f, "hundred", WEIR_DIMENSION_INPUT_TOKENS, 100);
  tenant_set(f, "capped", WEIR_POOL_ANY, 1, 0);
  reload_and_open(f);
  f->granted_count = 0;
  fixture_ask_as(f, s, 1, "capped", FLASH, 60, 0);
  fixture_ask_as(f, s, 2, "capped", FLASH, 60, 10 * MINUTE);
  fixture_ask_as(f, s, 3, "capped", FLASH, 40, 10 * MINUTE);
  assert_int_equal(f->granted_count, 1);
  cancel.cancel.seq = 2; /* the head that did not fit; the next one does */
  fixture_send(f, 9, &cancel);
  fixture_run(f, f->now);
  assert_int_equal(f->granted_count, 2);
  assert_int_equal(f->granted[1], 3);
  fixture_ask_as(f, s, 4, "capped", FLASH, 60, 64 * SECOND);
  f->config.tenants_count = 0; /* nobody has a budget any more */
  reload(f);
  assert_int_equal(f->granted_count, 3);
}

static void a_full_table_of_tenants_serves_others_without_a_name(void **state)
{
  struct fixture *f = *state;
  uint64_t s = fixture_hello(f, 9, 1, 1);
  char name[16];

  budget_set(f, "some", WEIR_DIMENSION_REQUESTS, 10);
  tenant_set(f, "capped", WEIR_POOL_ANY, 1, 0);
  reload_and_open(f);
  fill(f, s, "");
  for (uint64_t i = 0; i < bounds.tenants_max + 4; i++) {
    snprintf(name, sizeof(name), "t%u", (unsigned)i);
    assert_int_equal(fixture_ask_as(f, s, 1600 + i, name, FLASH, 1, 5 * MINUTE), WEIR_MSG_QUEUED);
  }
  /* The last of four that wait in one line, beside all the others. */
  assert_int_equal(answer(f)->queued.ahead, bounds.tenants_max + 3);
  /* A budget cannot be kept without a record. */
  assert_int_equal(fixture_ask_as(f, s, 1700, "capped", FLASH, 1, 5 * MINUTE), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_QUEUE_FULL);
  f->granted_count = 0;
  grant_await(f, bounds.tenants_max + 4);
  /* Leases hold their tenants' records until they are settled. */
  for (uint64_t i = 0; i < bounds.tenants_max + 4; i++)
    fixture_settle(f, 9, s, 1600 + i, true, 1, WEIR_OUTCOME_OK);
  assert_int_equal(fixture_ask_as(f, s, 1701, "capped", FLASH, 1, SECOND), WEIR_MSG_GRANT);
}

/* Steps without weir_coord_check, whose cost grows with all that waits. */
static uint32_t step(struct fixture *f, const struct weir_coord_event *event)
{
  assert_int_equal(weir_coord_step(f->coord, event, &f->update), WEIR_OK);
  return f->update.count;
}

static void a_hundred_thousand_waiters_are_all_served_in_fair_order(void **state)
{
  const struct weir_coord_bounds large = {.pools_max = 1,
                                          .names_max = 8,
                                          .sessions_max = 200,
                                          .asks_max = MANY,
                                          .leases_max = MANY + 1,
                                          .budgets_max = 1,
                                          .tenants_max = 100};
  struct weir_coord_bounds without = large;
  struct fixture f = fixture_of(1, 1);
  struct weir_msg msg = {.type = WEIR_MSG_ASK};
  struct weir_coord_event event = {
      .type = WEIR_COORD_MESSAGE, .route = 1, .now = f.now, .msg = &msg};
  uint64_t sessions[200];
  uint32_t grants = 0, of_half = 0;

  (void)state;
  without.asks_max = 0;
  /* Its record, its place in the heap of deadlines, and its number in the table of calls. */
  assert_true((weir_coord_size(&large) - weir_coord_size(&without)) / MANY <= 160);
  f.config.pools = f.pools;
  f.config.names = f.names;
  f.config.asks_max = 1000;
  f.config.session_ttl_us = 1000 * MINUTE;
  fixture_start(&f, &large, &first_start);
  for (uint32_t i = 0; i < 200; i++)
    sessions[i] = fixture_hello(&f, 1, (uint8_t)i, 1);
  strcpy(msg.ask.model, FLASH);
  msg.ask.class = WEIR_CLASS_ONLINE;
  msg.ask.requests = msg.ask.input_tokens = 1;
  msg.ask.deadline_us = WEIR_DURATION_MAX;
  for (uint32_t i = 0; i <= MANY; i++) {
    msg.session = sessions[i % 200];
    msg.ask.seq = i / 200 + 1;
    /* Half of all asks are one tenant's. */
    snprintf(msg.ask.tenant, sizeof(msg.ask.tenant), "t%u", i % 2 ? 0 : i / 2 % 100);
    step(&f, &event);
    assert_int_equal(answer(&f)->type, i == 0 ? WEIR_MSG_GRANT : WEIR_MSG_QUEUED);
  }
  weir_coord_check(f.coord);
  f.pools[0].limits[0].amount = f.pools[0].limits[1].amount = UINT64_C(2) * MANY;
  event.type = WEIR_COORD_CONFIG;
  event.config = &f.config;
  step(&f, &event);
  event.type = WEIR_COORD_TIMEOUT;
  while (step(&f, &event) > 0) {
    for (uint32_t i = 0; i < f.update.count; i++) {
      assert_int_equal(f.update.sends[i].msg.type, WEIR_MSG_GRANT);
      /* Sessions with odd places are those of the tenant with half of all asks. */
      for (uint32_t k = 1; k < 200 && grants < 10000; k += 2)
        of_half += f.update.sends[i].msg.session == sessions[k];
      grants++;
    }
  }
  /* One of a hundred tenants, all of which still have asks waiting. */
  assert_in_range(of_half, 99, 101);
  assert_int_equal(grants, MANY);
  weir_coord_check(f.coord);
  fixture_free(&f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_wide, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(opposite_shapes_get_equal_dominant_shares),
      TEST(shares_are_of_what_was_used_not_of_what_was_asked),
      TEST(weights_divide_the_quota),
      TEST(an_entry_for_the_pool_goes_before_one_for_any),
      TEST(idle_time_is_not_saved_up),
      TEST(a_light_tenant_waits_for_one_call_of_others_at_most),
      TEST(a_light_tenant_is_not_denied_for_what_others_have_waiting),
      TEST(tenants_without_a_name_wait_in_one_line),
      TEST(a_tenant_is_parked_by_its_own_budget_and_stops_nobody_else),
      TEST(what_returns_to_its_budget_wakes_a_parked_tenant),
      TEST(a_call_larger_than_its_tenants_budget_is_denied),
      TEST(parked_asks_are_cancelled_and_denied_like_others),
      TEST(a_full_table_of_tenants_serves_others_without_a_name),
      TEST(a_hundred_thousand_waiters_are_all_served_in_fair_order),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
