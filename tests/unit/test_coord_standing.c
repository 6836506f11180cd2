/* Leases ahead of need: what the coordinator has to spare for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coord_fixture.h"

#define ROUTE 9
#define RPM   100
#define TPM   100000

/* A pool of RPM and TPM, one session, and the next sequence number. */
struct talk {
  struct fixture f;
  struct weir_budget_config budget;
  uint64_t session, seq;
};

static struct talk *talk_new(void)
{
  struct talk *t = calloc(1, sizeof(*t));

  assert_non_null(t);
  t->f = fixture_of(RPM, TPM);
  t->f.config.pools = t->f.pools;
  t->f.config.names = t->f.names;
  return t;
}

static void talk_start(struct talk *t)
{
  struct weir_coord_bounds bounds = small_bounds;

  bounds.leases_max = 256;
  bounds.budgets_max = 2;
  fixture_start(&t->f, &bounds, &first_start);
  t->session = fixture_hello(&t->f, ROUTE, 1, 1);
  assert_true(t->session != 0);
}

static struct talk *talk_open(void)
{
  struct talk *t = talk_new();

  talk_start(t);
  return t;
}

static void talk_free(struct talk *t)
{
  fixture_free(&t->f);
  free(t);
}

static const struct weir_msg *answer_of(const struct talk *t)
{
  assert_true(t->f.update.count > 0);
  return &t->f.update.sends[t->f.update.count - 1].msg;
}

static enum weir_msg_type ask(struct talk *t, const char *model, uint64_t tokens, bool is_standing,
                              weir_duration deadline)
{
  struct weir_msg msg = {.type = WEIR_MSG_ASK, .session = t->session, .mark = ++t->f.mark};

  strcpy(msg.ask.model, model);
  msg.ask.seq = ++t->seq;
  msg.ask.class = WEIR_CLASS_ONLINE;
  msg.ask.requests = 1;
  msg.ask.input_tokens = tokens;
  msg.ask.deadline_us = deadline;
  msg.ask.is_standing = is_standing;
  fixture_send(&t->f, ROUTE, &msg);
  return answer_of(t)->type;
}

static bool stand(struct talk *t, uint64_t tokens)
{
  if (ask(t, "gemini/flash", tokens, true, 0) == WEIR_MSG_GRANT) {
    assert_int_equal(answer_of(t)->grant.start_in_us, 0);
    return true;
  }
  assert_int_equal(answer_of(t)->type, WEIR_MSG_DENY);
  assert_int_equal(answer_of(t)->deny.why, WEIR_DENIAL_BUSY);
  assert_string_equal(answer_of(t)->deny.pool, "flash");
  return false;
}

static uint32_t stand_all(struct talk *t, uint64_t tokens)
{
  uint32_t count = 0;

  while (stand(t, tokens))
    count++;
  return count;
}

static void take(struct talk *t, uint32_t count)
{
  for (uint32_t i = 0; i < count; i++)
    assert_int_equal(ask(t, "gemini/flash", 1, false, MINUTE), WEIR_MSG_GRANT);
}

static void settle(struct talk *t, uint64_t seq, bool is_sent, bool is_final, uint64_t tokens)
{
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE, .session = t->session, .mark = ++t->f.mark};

  msg.settle.seq = seq;
  msg.settle.is_sent = is_sent;
  msg.settle.is_final = is_final;
  msg.settle.has_usage = is_final;
  msg.settle.input_tokens = tokens;
  msg.settle.outcome = is_final ? WEIR_OUTCOME_OK : (enum weir_outcome)0;
  fixture_send(&t->f, ROUTE, &msg);
}

/* What is charged in limit |index| of the pool. */
static uint64_t used(struct talk *t, uint32_t index)
{
  struct weir_msg msg = {.type = WEIR_MSG_SHOW};

  msg.show.view = WEIR_VIEW_POOLS;
  fixture_send(&t->f, ROUTE, &msg);
  return answer_of(t)->row.limits[index].used;
}

static void together_they_hold_a_quarter_of_what_is_free(void **state)
{
  struct talk *t = talk_open();

  (void)state;
  assert_int_equal(stand_all(t, 1), 20); /* 80 are free then */
  take(t, 80);                           /* for calls there is everything that is left */
  talk_free(t);
}

static void each_limit_counts(void **state)
{
  struct talk *t = talk_open();

  (void)state;
  assert_int_equal(stand_all(t, TPM / 50), 10);
  assert_int_equal(stand_all(t, 0), 10); /* tokens do not bind these */
  talk_free(t);
}

static void there_are_none_near_the_end_of_a_limit(void **state)
{
  struct talk *t = talk_open();

  (void)state;
  take(t, RPM - RPM / 20);
  assert_true(stand(t, 1)); /* a twentieth is free: one is a quarter of it */
  settle(t, t->seq, false, true, 0);
  take(t, 1);
  assert_false(stand(t, 1));
  talk_free(t);
}

static void there_are_none_while_somebody_waits(void **state)
{
  struct talk *t = talk_open();

  (void)state;
  take(t, 1);
  assert_int_equal(ask(t, "gemini/flash", TPM, false, 5 * MINUTE), WEIR_MSG_QUEUED);
  assert_false(stand(t, 1)); /* although it would fit */
  talk_free(t);
}

static void one_that_is_used_or_returned_makes_room(void **state)
{
  struct talk *t = talk_open();

  (void)state;
  assert_int_equal(stand_all(t, 1), 20);
  settle(t, 1, true, false, 0); /* written: 80 are free, 19 stand */
  assert_int_equal(stand_all(t, 1), 1);
  settle(t, 1, true, true, 1); /* it ends: that was counted */
  assert_int_equal(stand_all(t, 1), 0);
  for (uint64_t seq = 2; seq <= 20; seq++)
    settle(t, seq, false, true, 0);
  assert_int_equal(stand_all(t, 1), 19); /* beside the one, out of 98 */
  talk_free(t);
}

static void one_that_is_lost_is_not_counted_for_ever(void **state)
{
  struct talk *t = talk_open();

  (void)state;
  assert_int_equal(stand_all(t, 1), 20);
  while (t->f.now < 1000 * SECOND + 20 * MINUTE)
    fixture_run(&t->f, 1000 * SECOND + 20 * MINUTE);
  t->session = fixture_hello(&t->f, ROUTE, 1, 2);
  assert_int_equal(stand_all(t, 1), 20);
  talk_free(t);
}

static void asking_again_answers_again(void **state)
{
  struct talk *t = talk_open();

  (void)state;
  assert_true(stand(t, 1));
  t->seq--;
  assert_true(stand(t, 1));
  assert_int_equal(answer_of(t)->grant.seq, 1);
  assert_int_equal(used(t, 0), 1);
  take(t, 98);
  assert_false(stand(t, 1));
  for (uint64_t seq = 2; seq < 40; seq++)
    settle(t, seq, false, true, 0);
  t->seq--; /* it was denied: it is judged afresh */
  assert_true(stand(t, 1));
  talk_free(t);
}

static void a_pool_whose_writings_are_reported_has_none(void **state)
{
  struct talk *t = talk_new();

  (void)state;
  t->f.pools[0].rules.profile = WEIR_PROFILE_PACED;
  talk_start(t);
  assert_false(stand(t, 1));
  take(t, 1);
  assert_true(answer_of(t)->grant.is_reported);
  talk_free(t);
}

/* Unused leases would hold what the bucket can take at once. */
static void nor_has_a_pool_with_a_small_bucket(void **state)
{
  struct talk *t = talk_new();

  (void)state;
  t->f.pools[0].rules.profile = WEIR_PROFILE_BUCKET;
  talk_start(t);
  assert_false(stand(t, 1));
  take(t, 1);
  assert_true(answer_of(t)->grant.is_reported);
  talk_free(t);
}

/* Two pools that share a budget of their requests. */
static struct talk *talk_shared(uint64_t amount)
{
  struct talk *t = talk_new();

  t->budget = (struct weir_budget_config){
      .name = "project",
      .limits_count = 1,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = amount}}};
  t->f.config.budgets = &t->budget;
  t->f.config.budgets_count = 1;
  t->f.pools[0].budgets_count = 1;
  t->f.pools[1] = t->f.pools[0];
  strcpy(t->f.pools[1].name, "pro");
  t->f.config.pools_count = 2;
  t->f.names[1] = (struct weir_name_config){"gemini/pro", "gemini/pro", 1};
  talk_start(t);
  return t;
}

static void a_shared_budget_is_looked_at_over_all_of_its_pools(void **state)
{
  struct talk *t = talk_shared(RPM / 2);
  uint32_t count = 0;

  (void)state;
  assert_int_equal(stand_all(t, 1), 10); /* a quarter of what is free of 50 */
  while (ask(t, "gemini/pro", 1, true, 0) == WEIR_MSG_GRANT)
    count++;
  assert_int_equal(count, 0);
  talk_free(t);
}

static void there_are_none_while_another_pool_waits_for_the_budget(void **state)
{
  struct talk *t = talk_shared(RPM / 2);
  struct weir_msg msg = {.type = WEIR_MSG_ASK};

  (void)state;
  take(t, 30);
  msg.session = t->session;
  msg.mark = ++t->f.mark;
  strcpy(msg.ask.model, "gemini/pro");
  msg.ask.seq = ++t->seq;
  msg.ask.class = WEIR_CLASS_ONLINE;
  msg.ask.requests = 40;
  msg.ask.deadline_us = 5 * MINUTE;
  fixture_send(&t->f, ROUTE, &msg);
  assert_int_equal(answer_of(t)->type, WEIR_MSG_QUEUED);
  assert_false(stand(t, 1));
  talk_free(t);
}

/* They are asked as large as calls may be, so what calls use of them says nothing of estimates. */
static void what_is_used_of_them_teaches_nothing_about_estimates(void **state)
{
  struct talk *t = talk_open();
  uint64_t before;

  (void)state;
  for (int i = 0; i < 50; i++) {
    assert_true(stand(t, 1000));
    settle(t, t->seq, true, true, 100);
    fixture_run(&t->f, t->f.now + 2 * SECOND);
    fixture_send(
        &t->f, ROUTE,
        &(struct weir_msg){.type = WEIR_MSG_PING, .session = t->session, .mark = ++t->f.mark});
  }
  before = used(t, 1);
  assert_int_equal(ask(t, "gemini/flash", 1000, false, MINUTE), WEIR_MSG_GRANT);
  assert_int_equal(used(t, 1), before + 1000);
  talk_free(t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(together_they_hold_a_quarter_of_what_is_free),
      cmocka_unit_test(each_limit_counts),
      cmocka_unit_test(there_are_none_near_the_end_of_a_limit),
      cmocka_unit_test(there_are_none_while_somebody_waits),
      cmocka_unit_test(one_that_is_used_or_returned_makes_room),
      cmocka_unit_test(one_that_is_lost_is_not_counted_for_ever),
      cmocka_unit_test(asking_again_answers_again),
      cmocka_unit_test(a_pool_whose_writings_are_reported_has_none),
      cmocka_unit_test(nor_has_a_pool_with_a_small_bucket),
      cmocka_unit_test(a_shared_budget_is_looked_at_over_all_of_its_pools),
      cmocka_unit_test(there_are_none_while_another_pool_waits_for_the_budget),
      cmocka_unit_test(what_is_used_of_them_teaches_nothing_about_estimates),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
