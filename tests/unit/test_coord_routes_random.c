/* Routes under anything that may happen: whatever the order of asks, settles, breakers, days and
 * reloads, each ask is answered once and in time, with a choice that it may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <weir/rng.h>

#include "coord_fixture.h"

#define SEEDS      500
#define OPERATIONS 400
#define ASKS       (OPERATIONS + 1)
#define STEPS_MAX  300 /* at one instant */

#define STEPS_ALL_MAX 10000

static const struct weir_coord_bounds bounds = {.pools_max = 4,
                                                .names_max = 8,
                                                .routes_max = 2,
                                                .sessions_max = 8,
                                                .asks_max = 256,
                                                .leases_max = 24, /* so that they run out, too */
                                                .budgets_max = 4,
                                                .tenants_max = 2};

enum state { FREE, ASKED, GRANTED, OVER };

struct known {
  enum state state;
  weir_tstamp deadline;
  uint64_t avoid;
  bool is_routed;
  uint32_t version; /* of the configuration when it was asked */
};

struct world {
  struct fixture f;
  struct weir_route_config route;
  struct weir_rng rng;
  struct known asks[ASKS];
  uint64_t s, seq, granted_total, moved_total;
  uint32_t version;
  uint64_t steps;
};

static uint64_t below(struct world *w, uint64_t n)
{
  return weir_rng_below(&w->rng, n);
}

static void configure(struct world *w)
{
  for (uint32_t i = 0; i < 3; i++) {
    struct weir_pool_config *pool = &w->f.pools[i];

    *pool = (struct weir_pool_config){
        .limits_count = 2,
        .limits = {{.dimension = WEIR_DIMENSION_REQUESTS,
                    .window_us = below(w, 2) ? MINUTE : 5 * SECOND,
                    .amount = 1 + below(w, 8)},
                   {.dimension = WEIR_DIMENSION_REQUESTS,
                    .window_us = WEIR_DAY_WINDOW_US,
                    .amount = 1000}},
        .rules = {.profile = (enum weir_profile)(1 + below(w, 3)), .is_fixed = true},
        .ttl_us = 2 * SECOND,
        .jitter_us = 100 * MS,
        .batch_floor_pm = 100,
        .retries_pm = below(w, 2) ? 100 : 1,
        .price_input = below(w, 3),
        .breaker = {.is_on = true,
                    .failures_pm = 500,
                    .calls_min = 3,
                    .probes = 1 + (uint32_t)below(w, 2),
                    .window_us = 10 * SECOND,
                    .open_us = 5 * SECOND,
                    .open_max_us = 2 * MINUTE,
                    .probe_timeout_us = 10 * SECOND,
                    .ramp_us = 5 * SECOND}};
    snprintf(pool->name, sizeof(pool->name), "p%u", (unsigned)i);
    snprintf(w->f.names[i].name, WEIR_NAME_SIZE, "x/m%u", (unsigned)i);
    snprintf(w->f.names[i].model, WEIR_NAME_SIZE, "x/m%u", (unsigned)i);
    w->f.names[i].pool = i;
  }
  strcpy(w->f.names[3].name, "fast");
  strcpy(w->f.names[3].model, "x/m0");
  w->f.names[3].pool = 0;
  w->f.budgets[0] = (struct weir_budget_config){
      .name = "p1:t0",
      .limits_count = 1,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = 2}}};
  w->f.tenants[0] = (struct weir_tenant_config){.name = "t0", .pool = 1, .weight = 2, .budget = 0};
  w->f.config.pools_count = 3;
  w->f.config.names_count = 4;
  w->f.config.budgets_count = w->f.config.tenants_count = 1;
}

/* Any one to three of the models, in any order. */
static void draw_route(struct world *w)
{
  const uint32_t first = (uint32_t)below(w, 3), turn = 1 + (uint32_t)below(w, 2);

  w->route.name = 3;
  w->route.policy = (enum weir_route_policy)below(w, 3);
  w->route.patience_us = below(w, 2) ? 250 * MS : 5 * SECOND * below(w, 2);
  w->route.choices_count = below(w, 4) ? 3 : 1 + (uint32_t)below(w, 2);
  for (uint32_t k = 0; k < 3; k++)
    w->route.choices[k] = (first + k * turn) % 3;
  memcpy(w->f.names[3].model, w->f.names[w->route.choices[0]].model, WEIR_NAME_SIZE);
  w->f.names[3].pool = w->route.choices[0];
  w->version++;
}

static void hear_grant(struct world *w, const struct weir_msg_grant *grant)
{
  struct known *ask = &w->asks[grant->seq];

  assert_int_equal(ask->state, ASKED);
  ask->state = GRANTED;
  w->granted_total++;
  assert_true(w->f.now + grant->start_in_us <= ask->deadline);
  assert_int_equal(grant->pool[1], grant->model[3]); /* "p1", "x/m1" */
  if (!ask->is_routed) {
    assert_int_equal(grant->choice, 0);
    return;
  }
  assert_true(grant->choice >= 1 && grant->choice <= grant->choices);
  assert_int_equal(grant->choices, w->route.choices_count);
  assert_string_equal(grant->model, w->f.names[w->route.choices[grant->choice - 1]].name);
  assert_true(ask->version != w->version || (ask->avoid >> (grant->choice - 1) & 1) == 0);
  w->moved_total += grant->choice > 1;
}

static void hear(struct world *w)
{
  for (uint32_t i = 0; i < w->f.update.count; i++) {
    const struct weir_msg *msg = &w->f.update.sends[i].msg;

    if (msg->type == WEIR_MSG_GRANT) {
      hear_grant(w, &msg->grant);
    } else if (msg->type == WEIR_MSG_DENY) {
      assert_int_equal(w->asks[msg->deny.seq].state, ASKED);
      w->asks[msg->deny.seq].state = OVER;
    }
  }
}

static void run(struct world *w, weir_tstamp until)
{
  uint32_t steps = 0;

  while (weir_coord_wake(w->f.coord) <= until) {
    struct weir_coord_event event = {.type = WEIR_COORD_TIMEOUT};
    const weir_tstamp wake = weir_coord_wake(w->f.coord);

    steps = wake > w->f.now ? 0 : steps + 1;
    assert_true(steps < STEPS_MAX);
    w->f.now = wake > w->f.now ? wake : w->f.now;
    event.now = w->f.now;
    assert_int_equal(weir_coord_step(w->f.coord, &event, &w->f.update), WEIR_OK);
    if (w->f.update.count > 0) /* checking takes long: not whenever somebody just looked */
      weir_coord_check(w->f.coord);
    hear(w);
    w->steps++;
  }
  w->f.now = until;
}

static void send(struct world *w, const struct weir_msg *msg)
{
  fixture_send(&w->f, 9, msg);
  hear(w);
}

static void ask(struct world *w)
{
  struct weir_msg msg = {.type = WEIR_MSG_ASK, .session = w->s, .mark = ++w->f.mark};
  const uint64_t seq = ++w->seq;

  snprintf(msg.ask.model, WEIR_NAME_SIZE, "%s", w->f.names[below(w, 4) ? 3 : below(w, 3)].name);
  msg.ask.seq = seq;
  msg.ask.class = below(w, 3) ? WEIR_CLASS_ONLINE : WEIR_CLASS_BATCH;
  msg.ask.requests = 1 + below(w, 2);
  msg.ask.input_tokens = below(w, 100);
  msg.ask.deadline_us = below(w, 4) ? below(w, 3 * MINUTE) : 0;
  snprintf(msg.ask.tenant, WEIR_TENANT_SIZE, "t%u", (unsigned)below(w, 4));
  msg.ask.is_standing = msg.ask.deadline_us == 0 && below(w, 2);
  msg.ask.attempts = below(w, 4) ? 0 : 1;
  msg.ask.avoid = below(w, 3) ? 0 : below(w, 8);
  if (below(w, 4) == 0)
    snprintf(msg.ask.prefer, WEIR_NAME_SIZE, "%s", w->f.names[below(w, 3)].name);
  w->asks[seq] = (struct known){.state = ASKED,
                                .deadline = w->f.now + msg.ask.deadline_us,
                                .avoid = msg.ask.avoid,
                                .is_routed = strcmp(msg.ask.model, "fast") == 0,
                                .version = w->version};
  send(w, &msg);
}

static void settle(struct world *w)
{
  static const enum weir_outcome outcomes[] = {WEIR_OUTCOME_OK,
                                               WEIR_OUTCOME_OK,
                                               WEIR_OUTCOME_OVERLOADED,
                                               WEIR_OUTCOME_OVERLOADED,
                                               WEIR_OUTCOME_SERVER_ERROR,
                                               WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS,
                                               WEIR_OUTCOME_QUOTA_DAY_REQUESTS};
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE, .session = w->s, .mark = ++w->f.mark};
  const uint64_t from = below(w, ASKS);

  for (uint64_t i = 0; i < ASKS; i++) {
    const uint64_t seq = (from + i) % ASKS;

    if (w->asks[seq].state != GRANTED)
      continue;
    w->asks[seq].state = OVER;
    msg.settle.seq = seq;
    msg.settle.is_sent = below(w, 4) > 0;
    msg.settle.is_final = true;
    msg.settle.outcome = outcomes[below(w, sizeof(outcomes) / sizeof(*outcomes))];
    msg.settle.latency_us = below(w, 5 * SECOND);
    msg.settle.has_usage = below(w, 2);
    msg.settle.input_tokens = below(w, 100);
    msg.settle.estimated_tokens = below(w, 100);
    send(w, &msg);
    return;
  }
}

static void steer(struct world *w)
{
  struct weir_msg msg = {.type = WEIR_MSG_STEER};

  snprintf(msg.steer.pool, WEIR_POOL_NAME_SIZE, "p%u", (unsigned)below(w, 3));
  msg.steer.steer = (enum weir_steer)(1 + below(w, WEIR_STEER_MAX - 1));
  send(w, &msg);
}

static void reload_route(struct world *w)
{
  struct weir_coord_event event = {
      .type = WEIR_COORD_CONFIG, .now = w->f.now, .config = &w->f.config};

  draw_route(w);
  w->f.config.routes_count = below(w, 8) > 0;
  w->f.config.names_count = 3 + w->f.config.routes_count;
  fixture_step(&w->f, &event);
  if (w->f.config.routes_count == 0) { /* who waited for it waits for its model now */
    for (uint64_t seq = 0; seq < ASKS; seq++)
      w->asks[seq].is_routed = false;
  }
}

static void operate(struct world *w)
{
  const uint64_t what = below(w, 100);

  if (what < 55)
    ask(w);
  else if (what < 85)
    settle(w);
  else if (what < 88)
    steer(w);
  else if (what < 90)
    reload_route(w);
  else
    run(w, w->f.now + (below(w, 3) ? below(w, 2 * SECOND) : below(w, 40 * SECOND)));
}

static void run_seed(struct world *w, uint64_t seed)
{
  memset(w, 0, sizeof(*w));
  w->f = fixture_of(1, 1);
  w->f.config.pools = w->f.pools;
  w->f.config.names = w->f.names;
  w->f.config.budgets = w->f.budgets;
  w->f.config.tenants = w->f.tenants;
  w->f.config.routes = &w->route;
  w->f.config.routes_count = 1;
  w->f.config.session_ttl_us = 24 * WEIR_US_PER_HOUR;
  w->f.config.asks_max = 200;
  weir_rng_init(&w->rng, seed);
  configure(w);
  draw_route(w);
  fixture_start(&w->f, &bounds, &first_start);
  w->s = fixture_hello(&w->f, 9, 1, 1);
  for (int i = 0; i < OPERATIONS; i++)
    operate(w);
  run(w, w->f.now + 4 * MINUTE);
  for (uint64_t seq = 1; seq <= w->seq; seq++)
    assert_int_not_equal(w->asks[seq].state, ASKED);
  fixture_free(&w->f);
}

static void each_ask_is_answered_once_in_time_with_a_choice_that_it_may_have(void **state)
{
  static struct world w;
  uint64_t granted = 0, moved = 0;

  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    run_seed(&w, seed);
    granted += w.granted_total;
    moved += w.moved_total;
    assert_true(w.steps < STEPS_ALL_MAX); /* nobody goes round in circles */
  }
  /* It is about something. */
  assert_true(granted / SEEDS > 20 && moved / SEEDS > 5);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_ask_is_answered_once_in_time_with_a_choice_that_it_may_have),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
