/* Which model of a route an ask gets, at once and while it waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "coord_fixture.h"

#define ONLINE WEIR_CLASS_ONLINE
#define BATCH  WEIR_CLASS_BATCH

static const char *const models[] = {"x/a", "y/b", "z/c"};

static const struct weir_coord_bounds bounds = {.pools_max = 4,
                                                .names_max = 8,
                                                .routes_max = 2,
                                                .sessions_max = 8,
                                                .asks_max = 64,
                                                .leases_max = 64,
                                                .budgets_max = 4,
                                                .tenants_max = 16};

struct routes {
  struct fixture f; /* first, so that the fixture's functions take it */
  struct weir_route_config routes[2];
  uint64_t s, seq;
  char grants[256]; /* the pools of all grants, in their order */
  uint64_t seqs[256];
  uint32_t grants_count;
  struct weir_msg last;
};

/* Pools a, b and c of |rpm| requests a minute, and the route "fast" over all three. */
static void three_pools(struct routes *r, uint64_t rpm)
{
  struct fixture *f = &r->f;

  for (uint32_t i = 0; i < 3; i++) {
    f->pools[i] = f->pools[0];
    f->pools[i].limits[0].amount = rpm;
    snprintf(f->pools[i].name, sizeof(f->pools[i].name), "%c", 'a' + (int)i);
    strcpy(f->names[i].name, models[i]);
    strcpy(f->names[i].model, models[i]);
    f->names[i].pool = i;
    r->routes[0].choices[i] = i;
  }
  strcpy(f->names[3].name, "fast");
  strcpy(f->names[3].model, models[0]);
  f->names[3].pool = 0;
  r->routes[0].name = 3;
  r->routes[0].choices_count = 3;
  r->routes[0].patience_us = 250 * MS;
  r->routes[0].timeout_us[ONLINE] = 10 * SECOND;
  f->config.pools_count = 3;
  f->config.names_count = 4;
  f->config.routes_count = 1;
  f->config.routes = r->routes;
}

static int set_up_routes(void **state)
{
  struct routes *r = calloc(1, sizeof(*r));

  r->f = fixture_of(2, 60000);
  r->f.config.pools = r->f.pools;
  r->f.config.names = r->f.names;
  r->f.config.tenants = r->f.tenants;
  r->f.config.budgets = r->f.budgets;
  r->f.config.session_ttl_us = 720 * WEIR_US_PER_HOUR; /* nobody pings here */
  three_pools(r, 2);
  *state = r;
  return 0;
}

static int tear_down_routes(void **state)
{
  struct routes *r = *state;

  fixture_free(&r->f);
  free(r);
  return 0;
}

static void note(struct routes *r)
{
  for (uint32_t i = 0; i < r->f.update.count; i++) {
    const struct weir_msg *msg = &r->f.update.sends[i].msg;

    if (msg->type != WEIR_MSG_STATE) /* news, and no answer */
      r->last = *msg;
    if (msg->type != WEIR_MSG_GRANT)
      continue;
    r->seqs[r->grants_count] = msg->grant.seq;
    r->grants[r->grants_count++] = msg->grant.pool[0];
  }
}

static void start(struct routes *r)
{
  fixture_start(&r->f, &bounds, &first_start);
  r->s = fixture_hello(&r->f, 9, 1, 1);
}

static void run(struct routes *r, weir_duration us)
{
  const weir_tstamp until = r->f.now + us;

  do {
    fixture_run(&r->f, until);
    note(r);
  } while (r->f.update.count > 0);
}

static struct weir_msg ask_of(struct routes *r, const char *model, weir_duration deadline)
{
  struct weir_msg msg = {.type = WEIR_MSG_ASK, .session = r->s, .mark = ++r->f.mark};

  strcpy(msg.ask.model, model);
  msg.ask.seq = ++r->seq;
  msg.ask.class = ONLINE;
  msg.ask.requests = 1;
  msg.ask.input_tokens = 10;
  msg.ask.deadline_us = deadline;
  return msg;
}

static const struct weir_msg *send_ask(struct routes *r, const struct weir_msg *msg)
{
  r->last.type = 0;
  fixture_send(&r->f, 9, msg);
  note(r);
  return &r->last;
}

static const struct weir_msg *ask_for(struct routes *r, const char *model, weir_duration deadline)
{
  const struct weir_msg msg = ask_of(r, model, deadline);

  return send_ask(r, &msg);
}

/* One that would rather wait for |prefer| than start elsewhere. */
static const struct weir_msg *ask_with(struct routes *r, const char *prefer, weir_duration deadline)
{
  struct weir_msg msg = ask_of(r, "fast", deadline);

  strcpy(msg.ask.prefer, prefer);
  return send_ask(r, &msg);
}

static void assert_grant(const struct weir_msg *msg, char pool, uint32_t choice)
{
  assert_int_equal(msg->type, WEIR_MSG_GRANT);
  assert_int_equal(msg->grant.pool[0], pool);
  assert_int_equal(msg->grant.choice, choice);
  if (choice > 0)
    assert_string_equal(msg->grant.model, models[choice - 1]);
}

/* Takes all that |model| has left. */
static void use_up(struct routes *r, const char *model)
{
  while (ask_for(r, model, 0)->type == WEIR_MSG_GRANT) {
  }
  r->grants_count = 0;
}

static void settle(struct routes *r, uint64_t seq, bool is_sent, enum weir_outcome outcome)
{
  fixture_settle(&r->f, 9, r->s, seq, is_sent, 10, outcome);
  note(r);
}

static void steer(struct routes *r, const char *pool, enum weir_steer what)
{
  struct weir_msg msg = {.type = WEIR_MSG_STEER, .steer = {.steer = what}};

  strcpy(msg.steer.pool, pool);
  fixture_send(&r->f, 77, &msg);
}

static void the_first_choice_is_taken_while_it_has_room(void **state)
{
  struct routes *r = *state;
  const struct weir_msg *msg;

  start(r);
  msg = ask_for(r, "fast", SECOND);
  assert_grant(msg, 'a', 1);
  assert_int_equal(msg->grant.choices, 3);
  assert_int_equal(msg->grant.timeout_us, 10 * SECOND);
  assert_int_equal(counter(&r->f, WEIR_COUNTER_REROUTED), 0);
}

static void who_asks_for_a_model_is_told_of_no_choice(void **state)
{
  struct routes *r = *state;
  const struct weir_msg *msg;

  start(r);
  msg = ask_for(r, "y/b", SECOND);
  assert_grant(msg, 'b', 0);
  assert_int_equal(msg->grant.choices, 0);
  assert_int_equal(msg->grant.timeout_us, 0);
}

static void the_timeout_is_that_of_the_class(void **state)
{
  struct routes *r = *state;
  struct weir_msg msg;

  r->routes[0].timeout_us[BATCH] = 5 * MINUTE;
  start(r);
  msg = ask_of(r, "fast", SECOND);
  msg.ask.class = BATCH;
  assert_int_equal(send_ask(r, &msg)->grant.timeout_us, 5 * MINUTE);
}

static void the_next_choice_is_taken_when_the_first_is_used_up(void **state)
{
  struct routes *r = *state;

  start(r);
  for (int i = 0; i < 6; i++)
    assert_int_equal(ask_for(r, "fast", SECOND)->type, WEIR_MSG_GRANT);
  assert_memory_equal(r->grants, "aabbcc", 6);
  assert_int_equal(counter(&r->f, WEIR_COUNTER_REROUTED), 4);
  assert_grant(&r->last, 'c', 3);
}

static void now_or_never_goes_to_whoever_has_room_now(void **state)
{
  struct routes *r = *state;

  start(r);
  use_up(r, "x/a");
  assert_grant(ask_for(r, "fast", 0), 'b', 2);
}

/* Its only lease was sent and its window ends in a fifth of a second. */
static void begin_short_wait(struct routes *r)
{
  r->f.pools[0].limits[0] = (struct weir_limit_config){
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = SECOND, .amount = 1};
  start(r);
  ask_for(r, "x/a", 0);
  settle(r, 1, true, WEIR_OUTCOME_OK);
  run(r, 900 * MS);
}

static void a_first_choice_that_is_hardly_later_keeps_its_work(void **state)
{
  struct routes *r = *state;

  begin_short_wait(r);
  assert_int_equal(ask_for(r, "fast", 10 * SECOND)->type, WEIR_MSG_QUEUED);
  run(r, SECOND);
  assert_grant(&r->last, 'a', 1);
}

static void without_patience_the_first_that_has_room_is_taken(void **state)
{
  struct routes *r = *state;

  r->routes[0].patience_us = 0;
  begin_short_wait(r);
  assert_grant(ask_for(r, "fast", 10 * SECOND), 'b', 2);
}

static void when_all_are_used_up_it_waits_for_the_earliest(void **state)
{
  struct routes *r = *state;

  start(r);
  use_up(r, "z/c");
  run(r, SECOND);
  use_up(r, "x/a");
  run(r, SECOND);
  use_up(r, "y/b");
  assert_int_equal(ask_for(r, "fast", 5 * MINUTE)->type, WEIR_MSG_QUEUED);
  run(r, 2 * MINUTE);
  assert_int_equal(r->grants_count, 1);
  assert_grant(&r->last, 'c', 3);
}

static void avoided_choices_are_not_taken(void **state)
{
  struct routes *r = *state;
  struct weir_msg msg;

  start(r);
  msg = ask_of(r, "fast", SECOND);
  msg.ask.avoid = 1;
  assert_grant(send_ask(r, &msg), 'b', 2);
  msg = ask_of(r, "fast", SECOND);
  msg.ask.avoid = 3;
  assert_grant(send_ask(r, &msg), 'c', 3);
  msg = ask_of(r, "fast", SECOND);
  msg.ask.avoid = 7;
  assert_int_equal(send_ask(r, &msg)->type, WEIR_MSG_DENY);
  assert_int_equal(r->last.deny.why, WEIR_DENIAL_NO_POOL);
}

static void bits_beyond_the_choices_avoid_nothing(void **state)
{
  struct routes *r = *state;
  struct weir_msg msg;

  start(r);
  msg = ask_of(r, "fast", SECOND);
  msg.ask.avoid = 0xfff8;
  assert_grant(send_ask(r, &msg), 'a', 1);
}

static void an_avoided_choice_is_not_moved_to(void **state)
{
  struct routes *r = *state;
  struct weir_msg msg;

  start(r);
  use_up(r, "x/a");
  use_up(r, "y/b");
  msg = ask_of(r, "fast", 5 * MINUTE);
  msg.ask.avoid = 4;
  assert_int_equal(send_ask(r, &msg)->type, WEIR_MSG_QUEUED);
  run(r, 2 * MINUTE);
  assert_grant(&r->last, 'a', 1);
}

static void the_preferred_choice_is_waited_for(void **state)
{
  struct routes *r = *state;

  start(r);
  use_up(r, "y/b");
  assert_int_equal(ask_with(r, "y/b", 5 * MINUTE)->type, WEIR_MSG_QUEUED);
  run(r, 2 * MINUTE);
  assert_grant(&r->last, 'b', 2);
}

static void a_preferred_choice_that_is_too_late_is_not_waited_for(void **state)
{
  struct routes *r = *state;

  start(r);
  use_up(r, "y/b");
  assert_grant(ask_with(r, "y/b", SECOND), 'a', 1);
  assert_grant(ask_with(r, "nobody/knows", SECOND), 'a', 1);
}

static void the_cheapest_of_those_with_room_is_taken(void **state)
{
  struct routes *r = *state;

  r->routes[0].policy = WEIR_ROUTE_CHEAPEST;
  r->f.pools[1].price_input = 300000;
  r->f.pools[2].price_input = 200000; /* and a has no price */
  start(r);
  for (int i = 0; i < 6; i++)
    ask_for(r, "fast", SECOND);
  assert_memory_equal(r->grants, "ccbbaa", 6);
}

/* A call of |model| that takes |took|. */
static void call(struct routes *r, const char *model, weir_duration took)
{
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE, .session = r->s};

  assert_int_equal(ask_for(r, model, 0)->type, WEIR_MSG_GRANT);
  msg.mark = ++r->f.mark;
  msg.settle.seq = r->seq;
  msg.settle.is_sent = msg.settle.is_final = true;
  msg.settle.outcome = WEIR_OUTCOME_OK;
  msg.settle.latency_us = took;
  fixture_send(&r->f, 9, &msg);
}

static void the_fastest_of_those_with_room_is_taken(void **state)
{
  struct routes *r = *state;

  three_pools(r, 40);
  r->routes[0].policy = WEIR_ROUTE_FASTEST;
  start(r);
  for (int i = 0; i < 10; i++) {
    call(r, "x/a", 3 * SECOND);
    call(r, "y/b", SECOND);
    call(r, "z/c", 2 * SECOND);
  }
  assert_grant(ask_for(r, "fast", SECOND), 'b', 2);
  use_up(r, "y/b");
  assert_grant(ask_for(r, "fast", SECOND), 'c', 3);
}

/* Otherwise nobody would ever know. */
static void a_model_of_unknown_speed_is_tried_with_a_few_calls(void **state)
{
  struct routes *r = *state;

  three_pools(r, 40);
  r->routes[0].policy = WEIR_ROUTE_FASTEST;
  start(r);
  for (int i = 0; i < 10; i++)
    call(r, "y/b", SECOND);
  r->grants_count = 0;
  for (int i = 0; i < 9; i++)
    ask_for(r, "fast", SECOND);
  assert_memory_equal(r->grants, "aaaaccccb", 9);
  run(r, 20 * MINUTE); /* all of that is forgotten, and so is how fast b was */
  r->grants_count = 0;
  for (int i = 0; i < 5; i++)
    ask_for(r, "fast", SECOND);
  assert_memory_equal(r->grants, "aaaab", 5);
}

static void a_denial_is_about_the_choice_that_starts_first(void **state)
{
  struct routes *r = *state;

  start(r);
  use_up(r, "y/b");
  run(r, 10 * SECOND);
  use_up(r, "x/a");
  use_up(r, "z/c");
  assert_int_equal(ask_for(r, "fast", SECOND)->type, WEIR_MSG_DENY);
  assert_int_equal(r->last.deny.why, WEIR_DENIAL_DEADLINE);
  assert_string_equal(r->last.deny.pool, "b");
  assert_in_range(r->last.deny.retry_in_us, 50 * SECOND, 53 * SECOND);
  assert_int_equal(r->last.deny.amount, 2);
  assert_int_equal(r->last.deny.dimension, WEIR_DIMENSION_REQUESTS);
}

static void what_is_too_large_for_one_choice_goes_to_another(void **state)
{
  struct routes *r = *state;
  struct weir_msg msg;

  r->f.pools[0].limits[1].amount = 1000;
  start(r);
  msg = ask_of(r, "fast", SECOND);
  msg.ask.input_tokens = 5000;
  assert_grant(send_ask(r, &msg), 'b', 2);
  msg = ask_of(r, "fast", SECOND);
  msg.ask.input_tokens = 60001;
  assert_int_equal(send_ask(r, &msg)->type, WEIR_MSG_DENY);
  assert_int_equal(r->last.deny.why, WEIR_DENIAL_TOO_LARGE);
}

/* It waits for a; what comes back to c is found without anybody telling. */
static void what_waits_moves_to_a_choice_that_has_room_again(void **state)
{
  struct routes *r = *state;
  uint64_t unused;

  start(r);
  ask_for(r, "z/c", 0);
  unused = r->seq;
  use_up(r, "z/c");
  use_up(r, "x/a");
  use_up(r, "y/b");
  assert_int_equal(ask_for(r, "fast", MINUTE + 10 * SECOND)->type, WEIR_MSG_QUEUED);
  settle(r, unused, false, WEIR_OUTCOME_CANCELLED);
  run(r, 100 * MS);
  assert_int_equal(r->grants_count, 1);
  assert_grant(&r->last, 'c', 3);
}

/* Three wait for a, whose window ends first; b gets room for two. */
static void all_who_fit_move_at_once(void **state)
{
  struct routes *r = *state;

  r->f.pools[0].limits[0].amount = 4;
  r->f.pools[1].limits[0].amount = 1;
  r->routes[0].choices_count = 2;
  start(r);
  use_up(r, "x/a");
  run(r, 5 * SECOND);
  use_up(r, "y/b");
  for (int i = 0; i < 3; i++)
    assert_int_equal(ask_for(r, "fast", 2 * MINUTE)->type, WEIR_MSG_QUEUED);
  r->f.pools[1].limits[0].amount = 3;
  reload(&r->f);
  note(r);
  run(r, 0);
  assert_int_equal(r->grants_count, 2);
  assert_memory_equal(r->grants, "bb", 2);
}

static void exhaust_day(struct routes *r, uint64_t seq)
{
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE, .session = r->s, .mark = ++r->f.mark};

  msg.settle.seq = seq;
  msg.settle.is_sent = msg.settle.is_final = true;
  msg.settle.http = 429;
  msg.settle.outcome = WEIR_OUTCOME_QUOTA_DAY_REQUESTS;
  fixture_send(&r->f, 9, &msg);
  note(r);
}

static void limit_days(struct routes *r)
{
  for (int i = 0; i < 3; i++) {
    r->f.pools[i].limits[2] = (struct weir_limit_config){
        .dimension = WEIR_DIMENSION_REQUESTS, .window_us = WEIR_DAY_WINDOW_US, .amount = 1000};
    r->f.pools[i].limits_count = 3;
  }
}

/* Nine would rather wait for a when the first rejection is heard; b takes all of them at that
 * instant. */
static void a_day_that_is_used_up_moves_everybody_at_once(void **state)
{
  struct routes *r = *state;

  limit_days(r);
  r->f.pools[0].limits[0].amount = 1;
  r->f.pools[1].limits[0].amount = 10;
  r->routes[0].choices_count = 2;
  start(r);
  ask_for(r, "x/a", 0);
  for (int i = 0; i < 9; i++)
    assert_int_equal(ask_with(r, "x/a", 20 * MINUTE)->type, WEIR_MSG_QUEUED);
  r->grants_count = 0;
  exhaust_day(r, 1);
  run(r, 0);
  assert_int_equal(r->grants_count, 9);
  for (uint32_t i = 0; i < 9; i++) {
    assert_int_equal(r->grants[i], 'b');
    assert_int_equal(r->seqs[i], 2 + i); /* in the order in which they came */
  }
  assert_grant(ask_for(r, "fast", SECOND), 'b', 2);
}

/* More than one update holds. */
static void hundreds_move_at_one_instant_too(void **state)
{
  static const struct weir_coord_bounds large = {.pools_max = 4,
                                                 .names_max = 8,
                                                 .routes_max = 2,
                                                 .sessions_max = 8,
                                                 .asks_max = 1000,
                                                 .leases_max = 1000,
                                                 .tenants_max = 16};
  struct routes *r = *state;

  limit_days(r);
  r->f.pools[0].limits[0].amount = 1;
  r->f.pools[1].limits[0].amount = 1000;
  r->f.config.asks_max = 1000;
  fixture_start(&r->f, &large, &first_start);
  r->s = fixture_hello(&r->f, 9, 1, 1);
  ask_for(r, "x/a", 0);
  for (int i = 0; i < 700; i++)
    assert_int_equal(ask_with(r, "x/a", 12 * WEIR_US_PER_HOUR)->type, WEIR_MSG_QUEUED);
  exhaust_day(r, 1);
  fixture_run(&r->f, r->f.now);
  assert_true(r->f.update.count > 200);
  while (weir_coord_wake(r->f.coord) <= r->f.now)
    fixture_run(&r->f, r->f.now);
  assert_int_equal(counter(&r->f, WEIR_COUNTER_GRANTS), 701);
  assert_int_equal(counter(&r->f, WEIR_COUNTER_REROUTED), 700);
  for (uint32_t i = 0; i < 700; i++)
    assert_int_equal(r->f.granted[1 + i], 2 + i);
}

/* One that named a's model, and may wait for another day, stands before them. */
static void who_cannot_move_holds_nobody_back(void **state)
{
  struct routes *r = *state;

  limit_days(r);
  r->f.pools[0].limits[0].amount = 1;
  r->f.pools[1].limits[0].amount = 10;
  start(r);
  ask_for(r, "x/a", 0);
  ask_for(r, "x/a", 48 * WEIR_US_PER_HOUR);
  for (int i = 0; i < 5; i++)
    assert_int_equal(ask_with(r, "x/a", 20 * MINUTE)->type, WEIR_MSG_QUEUED);
  r->grants_count = 0;
  exhaust_day(r, 1);
  run(r, 0);
  assert_int_equal(r->grants_count, 5);
  assert_memory_equal(r->grants, "bbbbb", 5);
}

/* Batch may wait for days, and still goes where it can start. */
static void who_may_wait_for_days_moves_too(void **state)
{
  struct routes *r = *state;
  struct weir_msg msg;

  limit_days(r);
  r->f.pools[0].limits[0].amount = 1;
  r->routes[0].patience_us = 2 * MINUTE;
  start(r);
  use_up(r, "y/b");
  use_up(r, "z/c");
  ask_for(r, "x/a", 0);
  msg = ask_of(r, "fast", 48 * WEIR_US_PER_HOUR);
  msg.ask.class = BATCH;
  assert_int_equal(send_ask(r, &msg)->type, WEIR_MSG_QUEUED);
  exhaust_day(r, msg.ask.seq - 1);
  run(r, 2 * MINUTE);
  assert_grant(&r->last, 'b', 2);
}

static void a_removed_pool_moves_those_who_have_a_choice(void **state)
{
  struct routes *r = *state;

  r->f.pools[0].limits[0].amount = 1;
  r->routes[0].patience_us = 2 * MINUTE;
  start(r);
  ask_for(r, "x/a", 0);
  assert_int_equal(ask_for(r, "fast", 10 * MINUTE)->type, WEIR_MSG_QUEUED);
  assert_int_equal(ask_for(r, "x/a", 10 * MINUTE)->type, WEIR_MSG_QUEUED);
  /* b and c stay, a goes */
  r->f.pools[0] = r->f.pools[1];
  r->f.pools[1] = r->f.pools[2];
  r->f.names[0] = r->f.names[1];
  r->f.names[1] = r->f.names[2];
  r->f.names[2] = r->f.names[3];
  r->f.names[0].pool = r->f.names[2].pool = 0;
  r->f.names[1].pool = 1;
  strcpy(r->f.names[2].model, models[1]);
  r->routes[0].name = 2;
  r->routes[0].choices_count = 2;
  r->f.config.pools_count = 2;
  r->f.config.names_count = 3;
  r->grants_count = 0;
  reload(&r->f);
  note(r);
  run(r, 0);
  assert_int_equal(r->grants_count, 1);
  assert_int_equal(r->grants[0], 'b');
  assert_int_equal(r->seqs[0], 2);
  assert_int_equal(counter(&r->f, WEIR_COUNTER_DENIED), 1); /* who named a's model */
}

/* Two on x, a and b, of which b goes. */
static void a_model_that_left_the_route_is_not_waited_for(void **state)
{
  struct routes *r = *state;

  r->f.pools[0].limits[0].amount = 1;
  r->routes[0].patience_us = 2 * MINUTE;
  start(r);
  ask_for(r, "x/a", 0);
  assert_int_equal(ask_for(r, "fast", 10 * MINUTE)->type, WEIR_MSG_QUEUED);
  r->routes[0].choices[0] = 2;
  r->routes[0].choices_count = 1;
  reload(&r->f);
  note(r);
  run(r, 0);
  assert_int_equal(r->last.type, WEIR_MSG_GRANT);
  assert_int_equal(r->last.grant.pool[0], 'c');
  assert_int_equal(r->last.grant.choice, 1);
  assert_int_equal(r->last.grant.choices, 1);
}

/* The new model has the place of the old one in the tables, and the same pool. */
static void what_waits_for_a_model_that_another_replaced_in_its_route_waits_for_that(void **state)
{
  struct routes *r = *state;

  r->f.pools[0].limits[0].amount = 1;
  r->routes[0].choices_count = 1;
  start(r);
  ask_for(r, "x/a", 0);
  assert_int_equal(ask_for(r, "fast", 10 * MINUTE)->type, WEIR_MSG_QUEUED);
  strcpy(r->f.names[0].name, "x/new");
  strcpy(r->f.names[0].model, "x/new");
  strcpy(r->f.names[3].model, "x/new");
  reload(&r->f);
  note(r);
  run(r, 5 * MINUTE);
  assert_int_equal(counter(&r->f, WEIR_COUNTER_DENIED), 0);
  assert_int_equal(r->last.type, WEIR_MSG_GRANT);
  assert_string_equal(r->last.grant.model, "x/new");
}

/* All tokens of the pool are held by those who wait there, and they keep them. */
static void new_attempts_keep_their_tokens_when_their_model_is_replaced(void **state)
{
  struct routes *r = *state;
  struct weir_msg msg;
  uint32_t waiting = 0;

  r->f.pools[0].limits[0].amount = 1;
  r->f.pools[0].retries_pm = 1;
  r->routes[0].choices_count = 1;
  start(r);
  ask_for(r, "x/a", 0);
  do {
    msg = ask_of(r, "fast", 60 * MINUTE);
    msg.ask.attempts = 1;
    waiting++;
  } while (send_ask(r, &msg)->type == WEIR_MSG_QUEUED);
  assert_true(waiting > 1);
  assert_int_equal(r->last.deny.why, WEIR_DENIAL_RETRIES);
  strcpy(r->f.names[0].name, "x/new");
  strcpy(r->f.names[0].model, "x/new");
  strcpy(r->f.names[3].model, "x/new");
  reload(&r->f);
  note(r);
  run(r, 40 * MINUTE);
  assert_int_equal(counter(&r->f, WEIR_COUNTER_DENIED), 1);
  assert_int_equal(r->grants_count, waiting);
}

static void a_route_that_is_gone_leaves_what_waits_where_it_is(void **state)
{
  struct routes *r = *state;

  r->f.pools[0].limits[0].amount = 1;
  r->routes[0].patience_us = 2 * MINUTE;
  start(r);
  ask_for(r, "x/a", 0);
  assert_int_equal(ask_for(r, "fast", 10 * MINUTE)->type, WEIR_MSG_QUEUED);
  r->f.config.routes_count = 0;
  r->f.config.names_count = 3;
  reload(&r->f);
  run(r, 2 * MINUTE);
  assert_grant(&r->last, 'a', 0);
  assert_int_equal(ask_for(r, "fast", 0)->deny.why, WEIR_DENIAL_NO_POOL);
}

static void a_replay_finds_the_ask_where_it_is_now(void **state)
{
  struct routes *r = *state;
  struct weir_msg msg;

  start(r);
  use_up(r, "x/a");
  use_up(r, "y/b");
  ask_for(r, "z/c", 0);
  ask_for(r, "z/c", 0);
  msg = ask_of(r, "fast", MINUTE + 10 * SECOND);
  assert_int_equal(send_ask(r, &msg)->type, WEIR_MSG_QUEUED);
  settle(r, msg.ask.seq - 1, false, WEIR_OUTCOME_CANCELLED);
  run(r, 100 * MS);
  assert_grant(&r->last, 'c', 3);
  msg.mark = ++r->f.mark;
  assert_grant(send_ask(r, &msg), 'c', 3); /* the same lease */
  assert_int_equal(r->last.grant.choices, 3);
  assert_int_equal(r->last.grant.timeout_us, 10 * SECOND);
  assert_int_equal(counter(&r->f, WEIR_COUNTER_REPLAYS), 1);
  assert_int_equal(counter(&r->f, WEIR_COUNTER_REROUTED), 1);
}

static void reject(struct routes *r, uint64_t seq, weir_duration retry_after)
{
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE, .session = r->s, .mark = ++r->f.mark};

  msg.settle.seq = seq;
  msg.settle.is_sent = msg.settle.is_final = true;
  msg.settle.http = 429;
  msg.settle.outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS;
  msg.settle.retry_after_us = retry_after;
  fixture_send(&r->f, 9, &msg);
  note(r);
}

/* Somebody else is a's head when a is frozen until after its deadline. b has room before that. */
static void at_its_deadline_an_ask_takes_any_choice_that_has_room(void **state)
{
  struct routes *r = *state;

  r->routes[0].choices_count = 2;
  start(r);
  use_up(r, "x/a");
  run(r, 5 * SECOND);
  use_up(r, "y/b");
  run(r, 25 * SECOND);
  assert_int_equal(ask_for(r, "x/a", 10 * MINUTE)->type, WEIR_MSG_QUEUED);
  assert_int_equal(ask_for(r, "fast", 40 * SECOND)->type, WEIR_MSG_QUEUED);
  run(r, SECOND);
  reject(r, 1, MINUTE);
  run(r, 38 * SECOND);
  assert_int_equal(r->grants_count, 0);
  run(r, 2 * SECOND);
  assert_grant(&r->last, 'b', 2);
}

/* a is frozen, and b starts before it; but whoever asks for b goes first there. */
static void an_ask_leaves_its_place_only_for_a_start_at_once(void **state)
{
  struct routes *r = *state;

  r->routes[0].choices_count = 2;
  r->f.pools[1].limits[0].amount = 1;
  start(r);
  use_up(r, "x/a");
  run(r, 5 * SECOND);
  use_up(r, "y/b");
  assert_int_equal(ask_for(r, "fast", 5 * MINUTE)->type, WEIR_MSG_QUEUED);
  reject(r, 1, 90 * SECOND);
  run(r, SECOND);
  assert_int_equal(ask_for(r, "y/b", 5 * MINUTE)->type, WEIR_MSG_QUEUED);
  run(r, 70 * SECOND);
  assert_grant(&r->last, 'b', 0);
  assert_int_equal(r->grants_count, 1);
}

/* A large ask is b's head, so what is small does not start there at once, though it would fit. */
static void a_choice_where_others_go_first_has_no_room(void **state)
{
  struct routes *r = *state;
  struct weir_msg msg;

  r->f.pools[1].limits[0].amount = 10;
  start(r);
  use_up(r, "x/a");
  msg = ask_of(r, "y/b", 0);
  msg.ask.input_tokens = 50000;
  assert_grant(send_ask(r, &msg), 'b', 0);
  msg = ask_of(r, "y/b", 5 * MINUTE);
  msg.ask.input_tokens = 20000;
  assert_int_equal(send_ask(r, &msg)->type, WEIR_MSG_QUEUED);
  assert_grant(ask_for(r, "fast", 5 * MINUTE), 'c', 3);
}

/* The first bit meant a; after the reload it would mean c. */
static void what_was_avoided_is_forgotten_with_the_choices_it_was_about(void **state)
{
  struct routes *r = *state;
  struct weir_msg msg;

  r->routes[0].choices_count = 2;
  start(r);
  use_up(r, "y/b");
  msg = ask_of(r, "fast", 5 * MINUTE);
  msg.ask.avoid = 1;
  assert_int_equal(send_ask(r, &msg)->type, WEIR_MSG_QUEUED);
  r->routes[0].choices[0] = 2;
  reload(&r->f);
  note(r);
  run(r, 0);
  assert_int_equal(r->last.type, WEIR_MSG_GRANT);
  assert_int_equal(r->last.grant.pool[0], 'c');
  assert_int_equal(r->last.grant.choice, 1);
}

static void a_standing_ask_takes_a_choice_with_room_and_never_waits(void **state)
{
  struct routes *r = *state;
  struct weir_msg msg;

  three_pools(r, 20);
  start(r);
  msg = ask_of(r, "fast", 0);
  msg.ask.is_standing = true;
  assert_grant(send_ask(r, &msg), 'a', 1);
  use_up(r, "x/a");
  msg = ask_of(r, "fast", 0);
  msg.ask.is_standing = true;
  assert_grant(send_ask(r, &msg), 'b', 2);
  use_up(r, "y/b");
  use_up(r, "z/c");
  msg = ask_of(r, "fast", 0);
  msg.ask.is_standing = true;
  assert_int_equal(send_ask(r, &msg)->deny.why, WEIR_DENIAL_BUSY);
}

/* acme may have one request a minute of b, and all it wants of a. */
static void a_moved_ask_keeps_its_tenant(void **state)
{
  struct routes *r = *state;
  struct weir_msg msg;

  r->f.budgets[0] = (struct weir_budget_config){
      .name = "b:acme",
      .limits_count = 1,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = 1}}};
  r->f.tenants[0] =
      (struct weir_tenant_config){.name = "acme", .pool = 1, .weight = 1, .budget = 0};
  r->f.config.budgets_count = r->f.config.tenants_count = 1;
  r->routes[0].choices_count = 2;
  limit_days(r);
  start(r);
  use_up(r, "y/b");
  ask_for(r, "x/a", 0);
  ask_for(r, "x/a", 0);
  for (int i = 0; i < 2; i++) {
    msg = ask_of(r, "fast", 3 * MINUTE);
    strcpy(msg.ask.tenant, "acme");
    assert_int_equal(send_ask(r, &msg)->type, WEIR_MSG_QUEUED);
  }
  r->grants_count = 0;
  exhaust_day(r, msg.ask.seq - 2);
  run(r, MINUTE + 5 * SECOND);
  assert_int_equal(r->grants_count, 1); /* its budget has one a minute */
  run(r, MINUTE + 5 * SECOND);
  assert_int_equal(r->grants_count, 2);
  assert_memory_equal(r->grants, "bb", 2);
}

/* The one place of the table is hog's, so acme waits without a name; at b it has a budget of its
 * own, which nobody could charge. */
static void an_ask_whose_tenant_is_not_remembered_stays(void **state)
{
  static const struct weir_coord_bounds one_tenant = {.pools_max = 4,
                                                      .names_max = 8,
                                                      .routes_max = 2,
                                                      .sessions_max = 8,
                                                      .asks_max = 64,
                                                      .leases_max = 64,
                                                      .budgets_max = 4,
                                                      .tenants_max = 1};
  struct routes *r = *state;
  struct weir_msg msg;

  r->f.budgets[0] = (struct weir_budget_config){
      .name = "b:acme",
      .limits_count = 1,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = 1}}};
  r->f.tenants[0] =
      (struct weir_tenant_config){.name = "acme", .pool = 1, .weight = 1, .budget = 0};
  r->f.config.budgets_count = r->f.config.tenants_count = 1;
  r->routes[0].choices_count = 2;
  limit_days(r);
  fixture_start(&r->f, &one_tenant, &first_start);
  r->s = fixture_hello(&r->f, 9, 1, 1);
  for (int i = 0; i < 2; i++) {
    msg = ask_of(r, "x/a", 0);
    strcpy(msg.ask.tenant, "hog");
    assert_int_equal(send_ask(r, &msg)->type, WEIR_MSG_GRANT);
  }
  msg = ask_of(r, "fast", 5 * MINUTE);
  strcpy(msg.ask.tenant, "acme");
  strcpy(msg.ask.prefer, "x/a");
  assert_int_equal(send_ask(r, &msg)->type, WEIR_MSG_QUEUED);
  r->grants_count = 0;
  exhaust_day(r, 1);
  run(r, 0);
  assert_int_equal(r->grants_count, 0);
  assert_int_equal(r->last.deny.why, WEIR_DENIAL_DEADLINE);
}

/* acme finds no place of its own at b, to which it moves; c has a budget for it. */
static void a_name_that_is_lost_on_the_way_is_not_taken_for_nobodys(void **state)
{
  static const struct weir_coord_bounds two_tenants = {.pools_max = 4,
                                                       .names_max = 8,
                                                       .routes_max = 2,
                                                       .sessions_max = 8,
                                                       .asks_max = 64,
                                                       .leases_max = 64,
                                                       .budgets_max = 4,
                                                       .tenants_max = 2};
  struct routes *r = *state;
  struct weir_msg msg;

  r->f.budgets[0] = (struct weir_budget_config){
      .name = "c:acme",
      .limits_count = 1,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = 1}}};
  r->f.tenants[0] =
      (struct weir_tenant_config){.name = "acme", .pool = 2, .weight = 1, .budget = 0};
  r->f.config.budgets_count = r->f.config.tenants_count = 1;
  fixture_start(&r->f, &two_tenants, &first_start);
  r->s = fixture_hello(&r->f, 9, 1, 1);
  use_up(r, "y/b");
  for (int i = 0; i < 2; i++) {
    msg = ask_of(r, "x/a", 0);
    strcpy(msg.ask.tenant, "hog");
    assert_int_equal(send_ask(r, &msg)->type, WEIR_MSG_GRANT);
  }
  msg = ask_of(r, "fast", 5 * MINUTE);
  strcpy(msg.ask.tenant, "acme");
  strcpy(msg.ask.prefer, "x/a");
  assert_int_equal(send_ask(r, &msg)->type, WEIR_MSG_QUEUED);
  steer(r, "c", WEIR_STEER_OPEN);
  steer(r, "a", WEIR_STEER_OPEN); /* it moves to b */
  run(r, SECOND);
  steer(r, "c", WEIR_STEER_CLOSE);
  r->grants_count = 0;
  steer(r, "b", WEIR_STEER_OPEN);
  run(r, SECOND);
  assert_int_equal(r->grants_count, 0);
  assert_int_equal(r->last.deny.why, WEIR_DENIAL_OPEN);
}

static void a_moved_ask_can_be_cancelled(void **state)
{
  struct routes *r = *state;
  struct weir_msg cancel = {.type = WEIR_MSG_CANCEL};

  limit_days(r);
  start(r);
  use_up(r, "y/b");
  use_up(r, "z/c");
  ask_for(r, "x/a", 0);
  ask_for(r, "x/a", 0);
  assert_int_equal(ask_for(r, "fast", 3 * MINUTE)->type, WEIR_MSG_QUEUED);
  exhaust_day(r, r->seq - 1);
  run(r, SECOND);
  cancel.session = r->s;
  cancel.mark = ++r->f.mark;
  cancel.cancel.seq = r->seq;
  fixture_send(&r->f, 9, &cancel);
  r->grants_count = 0;
  run(r, 3 * MINUTE);
  assert_int_equal(r->grants_count, 0);
  assert_int_equal(counter(&r->f, WEIR_COUNTER_CANCELLED), 1);
}

/* ---- breakers ---- */

static void an_open_breaker_sends_new_asks_elsewhere(void **state)
{
  struct routes *r = *state;
  struct weir_msg standing;

  three_pools(r, 20);
  start(r);
  steer(r, "a", WEIR_STEER_OPEN);
  assert_grant(ask_for(r, "fast", MINUTE), 'b', 2);
  assert_grant(ask_with(r, "x/a", MINUTE), 'b', 2);
  standing = ask_of(r, "fast", 0);
  standing.ask.is_standing = true;
  assert_grant(send_ask(r, &standing), 'b', 2);
}

static void a_breaker_that_opens_moves_all_who_wait(void **state)
{
  struct routes *r = *state;

  r->f.pools[1].limits[0].amount = 10;
  start(r);
  use_up(r, "x/a");
  for (int i = 0; i < 6; i++)
    assert_int_equal(ask_with(r, "x/a", 10 * MINUTE)->type, WEIR_MSG_QUEUED);
  steer(r, "a", WEIR_STEER_OPEN);
  run(r, 0);
  assert_memory_equal(r->grants, "bbbbbb", 6);
  for (uint32_t i = 1; i < 6; i++)
    assert_true(r->seqs[i] > r->seqs[i - 1]);
}

/* b and c are used up, too: waiting for one of them is better than for a. */
static void a_breaker_that_opens_moves_who_has_to_wait_elsewhere_as_well(void **state)
{
  struct routes *r = *state;

  start(r);
  use_up(r, "x/a");
  use_up(r, "y/b");
  use_up(r, "z/c");
  assert_int_equal(ask_for(r, "fast", 10 * MINUTE)->type, WEIR_MSG_QUEUED);
  steer(r, "a", WEIR_STEER_OPEN);
  run(r, 2 * MINUTE);
  assert_int_equal(r->grants_count, 1);
  assert_grant(&r->last, 'b', 2);
}

static void when_all_breakers_are_open_the_denial_says_so(void **state)
{
  struct routes *r = *state;

  start(r);
  steer(r, "a", WEIR_STEER_OPEN);
  steer(r, "b", WEIR_STEER_OPEN);
  steer(r, "c", WEIR_STEER_OPEN);
  assert_int_equal(ask_for(r, "fast", MINUTE)->type, WEIR_MSG_DENY);
  assert_int_equal(r->last.deny.why, WEIR_DENIAL_OPEN);
  assert_int_equal(r->last.deny.retry_in_us, WEIR_DURATION_MAX);
  assert_int_equal(r->last.deny.amount, 0);
}

static const struct weir_breaker_config usual = {.is_on = true,
                                                 .failures_pm = 500,
                                                 .calls_min = 20,
                                                 .probes = 3,
                                                 .window_us = 10 * SECOND,
                                                 .open_us = 5 * SECOND,
                                                 .open_max_us = 2 * MINUTE,
                                                 .probe_timeout_us = 30 * SECOND,
                                                 .ramp_us = 10 * SECOND};

/* A head that may wait for another day is before it, and nothing else is open. */
static void who_has_no_choice_in_time_is_told_so_at_once(void **state)
{
  struct routes *r = *state;

  limit_days(r);
  start(r);
  use_up(r, "x/a");
  ask_for(r, "x/a", 48 * WEIR_US_PER_HOUR);
  steer(r, "b", WEIR_STEER_OPEN);
  steer(r, "c", WEIR_STEER_OPEN);
  assert_int_equal(ask_for(r, "fast", 2 * MINUTE)->type, WEIR_MSG_QUEUED);
  exhaust_day(r, 1);
  run(r, 0);
  assert_int_equal(r->last.type, WEIR_MSG_DENY);
  assert_int_equal(r->last.deny.seq, r->seq);
  assert_int_equal(counter(&r->f, WEIR_COUNTER_DENIED), 2); /* with the one of use_up */
}

/* a is held open, b opens again in five seconds. */
static void a_denial_is_about_the_breaker_that_opens_first(void **state)
{
  struct routes *r = *state;

  three_pools(r, 40);
  r->f.pools[1].breaker = usual;
  r->routes[0].choices_count = 2;
  start(r);
  steer(r, "a", WEIR_STEER_OPEN);
  for (int i = 0; i < 20; i++) {
    ask_for(r, "y/b", 0);
    settle(r, r->seq, true, WEIR_OUTCOME_OVERLOADED);
  }
  assert_int_equal(ask_for(r, "fast", SECOND)->deny.why, WEIR_DENIAL_OPEN);
  assert_string_equal(r->last.deny.pool, "b");
  assert_in_range(r->last.deny.retry_in_us, 2 * SECOND, 8 * SECOND);
}

static void a_half_open_first_choice_gets_its_probes_and_the_next_the_rest(void **state)
{
  struct routes *r = *state;

  three_pools(r, 40);
  r->f.pools[0].breaker = usual;
  start(r);
  for (int i = 0; i < 20; i++) {
    ask_for(r, "x/a", 0);
    settle(r, r->seq, true, WEIR_OUTCOME_OVERLOADED);
  }
  assert_grant(ask_for(r, "fast", MINUTE), 'b', 2);
  assert_grant(ask_with(r, "x/a", MINUTE), 'b', 2); /* it would be open again by then */
  run(r, 8 * SECOND);
  r->grants_count = 0;
  for (int i = 0; i < 5; i++)
    ask_for(r, "fast", MINUTE);
  assert_memory_equal(r->grants, "aaabb", 5);
}

/* ---- new attempts ---- */

static const struct weir_msg *ask_again(struct routes *r, const char *model, const char *prefer)
{
  struct weir_msg msg = ask_of(r, model, 10 * MINUTE);

  msg.ask.attempts = 1;
  strcpy(msg.ask.prefer, prefer);
  return send_ask(r, &msg);
}

/* How many tokens for new attempts |model| has left; calls that start or wait have them then. */
static uint32_t count_tokens(struct routes *r, const char *model)
{
  uint32_t count = 0;

  while (ask_again(r, model, "")->type != WEIR_MSG_DENY)
    count++;
  assert_int_equal(r->last.deny.why, WEIR_DENIAL_RETRIES);
  return count;
}

static int set_up_retries(void **state)
{
  struct routes *r;

  set_up_routes(state);
  r = *state;
  three_pools(r, 100);
  r->f.pools[0].retries_pm = r->f.pools[1].retries_pm = 1;
  return 0;
}

static void a_new_attempt_goes_where_there_is_a_token_for_it(void **state)
{
  struct routes *r = *state;

  start(r);
  assert_int_equal(count_tokens(r, "x/a"), 10);
  assert_grant(ask_again(r, "fast", ""), 'b', 2);
  assert_int_equal(count_tokens(r, "fast"), 9);
  assert_int_equal(ask_again(r, "fast", "")->deny.why, WEIR_DENIAL_RETRIES);
  assert_int_equal(ask_for(r, "fast", 0)->type, WEIR_MSG_GRANT); /* a first one needs none */
}

static void a_call_that_failed_elsewhere_needs_no_token(void **state)
{
  struct routes *r = *state;
  struct weir_msg msg;

  start(r);
  assert_int_equal(count_tokens(r, "y/b"), 10);
  msg = ask_of(r, "fast", 0);
  msg.ask.attempts = 1;
  msg.ask.avoid = 1;
  assert_grant(send_ask(r, &msg), 'b', 2);
  /* Once more where it has been. */
  msg = ask_of(r, "fast", 0);
  msg.ask.attempts = 2;
  msg.ask.avoid = 5;
  assert_grant(send_ask(r, &msg), 'b', 2);
  msg = ask_of(r, "fast", 0);
  msg.ask.attempts = 3;
  msg.ask.avoid = 5;
  assert_int_equal(send_ask(r, &msg)->deny.why, WEIR_DENIAL_RETRIES);
  /* What is no route has no elsewhere. */
  msg = ask_of(r, "y/b", 0);
  msg.ask.attempts = 1;
  msg.ask.avoid = 1;
  assert_int_equal(send_ask(r, &msg)->deny.why, WEIR_DENIAL_RETRIES);
}

static void a_new_attempt_that_moves_gives_its_token_back(void **state)
{
  struct routes *r = *state;

  r->f.pools[0].limits[0].amount = 20;
  start(r);
  use_up(r, "x/a");
  assert_int_equal(ask_again(r, "fast", "x/a")->type, WEIR_MSG_QUEUED);
  steer(r, "a", WEIR_STEER_OPEN);
  run(r, 0);
  assert_grant(&r->last, 'b', 2);
  assert_int_equal(count_tokens(r, "y/b"), 9);
  steer(r, "a", WEIR_STEER_CLOSE);
  assert_int_equal(count_tokens(r, "x/a"), 10);
}

/* Two models of one pool: there is nothing to move for. */
static void a_choice_in_the_same_pool_is_no_other_place_to_wait(void **state)
{
  struct routes *r = *state;

  r->f.names[1].pool = 0;
  r->routes[0].choices_count = 2;
  limit_days(r);
  start(r);
  ask_for(r, "x/a", 0);
  ask_for(r, "x/a", 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(ask_for(r, "fast", 48 * WEIR_US_PER_HOUR)->type, WEIR_MSG_QUEUED);
  r->grants_count = 0;
  exhaust_day(r, 1);
  run(r, 30 * MINUTE);
  assert_int_equal(r->grants_count, 3);
  for (uint32_t i = 0; i < 3; i++)
    assert_int_equal(r->seqs[i], 3 + i);
  assert_int_equal(counter(&r->f, WEIR_COUNTER_REROUTED), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_routes, tear_down_routes)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(the_first_choice_is_taken_while_it_has_room),
      TEST(who_asks_for_a_model_is_told_of_no_choice),
      TEST(the_timeout_is_that_of_the_class),
      TEST(the_next_choice_is_taken_when_the_first_is_used_up),
      TEST(now_or_never_goes_to_whoever_has_room_now),
      TEST(a_first_choice_that_is_hardly_later_keeps_its_work),
      TEST(without_patience_the_first_that_has_room_is_taken),
      TEST(when_all_are_used_up_it_waits_for_the_earliest),
      TEST(avoided_choices_are_not_taken),
      TEST(bits_beyond_the_choices_avoid_nothing),
      TEST(an_avoided_choice_is_not_moved_to),
      TEST(the_preferred_choice_is_waited_for),
      TEST(a_preferred_choice_that_is_too_late_is_not_waited_for),
      TEST(the_cheapest_of_those_with_room_is_taken),
      TEST(the_fastest_of_those_with_room_is_taken),
      TEST(a_model_of_unknown_speed_is_tried_with_a_few_calls),
      TEST(a_denial_is_about_the_choice_that_starts_first),
      TEST(what_is_too_large_for_one_choice_goes_to_another),
      TEST(what_waits_moves_to_a_choice_that_has_room_again),
      TEST(all_who_fit_move_at_once),
      TEST(a_day_that_is_used_up_moves_everybody_at_once),
      TEST(hundreds_move_at_one_instant_too),
      TEST(who_cannot_move_holds_nobody_back),
      TEST(who_may_wait_for_days_moves_too),
      TEST(a_removed_pool_moves_those_who_have_a_choice),
      TEST(a_model_that_left_the_route_is_not_waited_for),
      TEST(what_waits_for_a_model_that_another_replaced_in_its_route_waits_for_that),
      TEST(new_attempts_keep_their_tokens_when_their_model_is_replaced),
      TEST(a_route_that_is_gone_leaves_what_waits_where_it_is),
      TEST(a_replay_finds_the_ask_where_it_is_now),
      TEST(at_its_deadline_an_ask_takes_any_choice_that_has_room),
      TEST(an_ask_leaves_its_place_only_for_a_start_at_once),
      TEST(a_choice_where_others_go_first_has_no_room),
      TEST(what_was_avoided_is_forgotten_with_the_choices_it_was_about),
      TEST(a_standing_ask_takes_a_choice_with_room_and_never_waits),
      TEST(a_moved_ask_keeps_its_tenant),
      TEST(an_ask_whose_tenant_is_not_remembered_stays),
      TEST(a_name_that_is_lost_on_the_way_is_not_taken_for_nobodys),
      TEST(a_moved_ask_can_be_cancelled),
      TEST(a_choice_in_the_same_pool_is_no_other_place_to_wait),
      TEST(an_open_breaker_sends_new_asks_elsewhere),
      TEST(a_breaker_that_opens_moves_all_who_wait),
      TEST(a_breaker_that_opens_moves_who_has_to_wait_elsewhere_as_well),
      TEST(when_all_breakers_are_open_the_denial_says_so),
      TEST(who_has_no_choice_in_time_is_told_so_at_once),
      TEST(a_denial_is_about_the_breaker_that_opens_first),
      TEST(a_half_open_first_choice_gets_its_probes_and_the_next_the_rest),
      cmocka_unit_test_setup_teardown(a_new_attempt_goes_where_there_is_a_token_for_it,
                                      set_up_retries, tear_down_routes),
      cmocka_unit_test_setup_teardown(a_call_that_failed_elsewhere_needs_no_token, set_up_retries,
                                      tear_down_routes),
      cmocka_unit_test_setup_teardown(a_new_attempt_that_moves_gives_its_token_back, set_up_retries,
                                      tear_down_routes),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
