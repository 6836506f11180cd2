#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/fair.h>
#include <weir/rng.h>

#define CLASSES 2
#define TENANTS 8

static int set_up(void **state)
{
  struct weir_fair *f = malloc(sizeof(*f));

  weir_fair_init(f, malloc(weir_fair_size(CLASSES, TENANTS)), CLASSES, TENANTS);
  *state = f;
  return 0;
}

static int tear_down(void **state)
{
  struct weir_fair *f = *state;

  weir_fair_check(f);
  free(f->records);
  free(f);
  return 0;
}

/* A tenant that waits, held once. */
static uint32_t enter(struct weir_fair *f, uint32_t class, const char *name, uint32_t weight)
{
  uint32_t t = weir_fair_open(f, class, name);

  assert_int_not_equal(t, WEIR_FAIR_NONE);
  weir_fair_hold(f, t);
  weir_fair_weigh(f, t, weight);
  weir_fair_ready(f, t);
  return t;
}

static void leave(struct weir_fair *f, uint32_t t)
{
  weir_fair_rest(f, t);
  weir_fair_drop(f, t);
}

/* Serves |count| calls to whoever is first; |served[t]| adds what each took. */
static void serve(struct weir_fair *f, uint32_t count, const weir_duration *pace, uint64_t *served)
{
  for (uint32_t i = 0; i < count; i++) {
    uint32_t t = weir_fair_first(f, 0);

    weir_fair_charge(f, t, pace[t]);
    served[t] += pace[t];
    weir_fair_check(f);
  }
}

static void backlogged_tenants_differ_by_two_calls_at_most_whatever_their_sizes(void **state)
{
  struct weir_fair *f = *state;
  weir_duration pace[CLASSES + TENANTS] = {0};
  uint64_t served[CLASSES + TENANTS] = {0};
  uint32_t t[4];

  for (uint32_t i = 0; i < 4; i++) {
    const char name[] = {(char)('a' + i), '\0'};

    t[i] = enter(f, 0, name, 1);
    pace[t[i]] = 7 + 1000 * i;
  }
  for (uint32_t round = 0; round < 2000; round++) {
    serve(f, 1, pace, served);
    for (uint32_t i = 0; i < 4; i++)
      for (uint32_t k = 0; k < 4; k++)
        assert_true(served[t[i]] <= served[t[k]] + 2 * pace[t[3]]);
  }
  for (uint32_t i = 0; i < 4; i++)
    leave(f, t[i]);
}

static void weights_divide_what_is_served(void **state)
{
  struct weir_fair *f = *state;
  weir_duration pace[CLASSES + TENANTS] = {0};
  uint64_t served[CLASSES + TENANTS] = {0};
  uint32_t heavy = enter(f, 0, "heavy", 3), light = enter(f, 0, "light", 1);

  pace[heavy] = 100;
  pace[light] = 100;
  assert_int_equal(weir_fair_weights(f, 0), 4);
  serve(f, 4000, pace, served);
  assert_in_range(served[heavy], 300000 - 200, 300000 + 200);
  leave(f, heavy);
  assert_int_equal(weir_fair_weights(f, 0), 1);
  leave(f, light);
}

static void nobody_saves_up_idle_time(void **state)
{
  struct weir_fair *f = *state;
  weir_duration pace[CLASSES + TENANTS] = {0};
  uint64_t served[CLASSES + TENANTS] = {0};
  uint32_t busy = enter(f, 0, "busy", 1), late;

  for (uint32_t i = 0; i < CLASSES + TENANTS; i++)
    pace[i] = 10;
  serve(f, 1000, pace, served);
  late = enter(f, 0, "late", 1);
  memset(served, 0, sizeof(served));
  serve(f, 100, pace, served);
  assert_in_range(served[late], 490, 510);
  leave(f, busy);
  leave(f, late);
}

static void who_just_came_is_served_before_who_was_served(void **state)
{
  struct weir_fair *f = *state;
  uint32_t hog = enter(f, 0, "hog", 1), light;

  for (int i = 0; i < 10; i++)
    weir_fair_charge(f, hog, 1000000);
  light = enter(f, 0, "light", 1);
  assert_int_equal(weir_fair_first(f, 0), light);
  weir_fair_charge(f, light, 1);
  /* And again, for its call was small. */
  assert_int_equal(weir_fair_first(f, 0), light);
  leave(f, hog);
  leave(f, light);
}

static void equal_times_go_in_the_order_of_their_coming(void **state)
{
  struct weir_fair *f = *state;
  uint32_t t[4];

  for (uint32_t i = 0; i < 4; i++) {
    const char name[] = {(char)('z' - i), '\0'};

    t[i] = enter(f, 0, name, 1);
  }
  for (uint32_t i = 0; i < 4; i++) {
    assert_int_equal(weir_fair_first(f, 0), t[i]);
    leave(f, t[i]);
  }
}

static void what_was_not_used_comes_back_and_what_was_more_is_paid(void **state)
{
  struct weir_fair *f = *state;
  uint32_t a = enter(f, 0, "a", 2), b = enter(f, 0, "b", 1);
  uint64_t of_a = weir_fair_charge(f, a, 1000), of_b = weir_fair_charge(f, b, 600);

  assert_int_equal(weir_fair_first(f, 0), a); /* 1000 / 2 before 600 */
  of_a = weir_fair_correct(f, a, of_a, 1400);
  assert_int_equal(weir_fair_first(f, 0), b);
  of_a = weir_fair_correct(f, a, of_a, 1000);
  assert_int_equal(weir_fair_first(f, 0), a);
  of_b = weir_fair_correct(f, b, of_b, 0);
  assert_int_equal(of_b, 0);
  assert_int_equal(weir_fair_first(f, 0), b);
  assert_int_equal(weir_fair_correct(f, b, of_b, 0), 0);
  assert_int_equal(of_a, 1000 * 1024 / 2);
  leave(f, a);
  leave(f, b);
}

static void a_record_is_remembered_while_it_is_ahead_and_free_afterwards(void **state)
{
  struct weir_fair *f = *state;
  uint32_t other = enter(f, 0, "other", 1), ahead = enter(f, 0, "ahead", 1);

  weir_fair_charge(f, other, 10);
  weir_fair_charge(f, ahead, 1000);
  leave(f, ahead);
  assert_int_equal(f->records[ahead].state, WEIR_FAIR_IDLE);
  /* It comes back where it was: nobody is forgiven by a moment's absence. */
  assert_int_equal(enter(f, 0, "ahead", 1), ahead);
  assert_int_equal(weir_fair_first(f, 0), other);
  leave(f, ahead);
  for (int i = 0; i < 101; i++)
    weir_fair_charge(f, other, 10);
  assert_int_equal(f->records[ahead].state, WEIR_FAIR_FREE);
  leave(f, other);
}

static void a_free_record_is_the_same_tenants_until_another_needs_its_place(void **state)
{
  struct weir_fair *f = *state;
  uint32_t t[TENANTS];
  char name[8];

  for (uint32_t i = 0; i < TENANTS; i++) {
    snprintf(name, sizeof(name), "t%u", i);
    t[i] = enter(f, 0, name, 1);
    assert_false(f->records[t[i]].was_known);
  }
  leave(f, t[5]); /* who leaves first is the first whose place is taken */
  leave(f, t[2]);
  leave(f, t[7]);
  assert_int_equal(enter(f, 0, "t2", 3), t[2]);
  assert_true(f->records[t[2]].was_known);
  assert_int_equal(f->records[t[2]].weight, 3);
  assert_int_equal(enter(f, 0, "other", 1), t[5]);
  assert_false(f->records[t[5]].was_known);
  weir_fair_check(f);
  assert_int_equal(enter(f, 1, "t7", 1), t[7]); /* of another class: another tenant */
  assert_false(f->records[t[7]].was_known);
  assert_int_equal(weir_fair_open(f, 0, "t7"), WEIR_FAIR_NONE);
}

static void a_record_lives_while_something_holds_it(void **state)
{
  struct weir_fair *f = *state;
  uint32_t t = enter(f, 0, "t", 1);
  uint64_t charged = weir_fair_charge(f, t, 100);

  weir_fair_hold(f, t); /* its lease */
  leave(f, t);
  assert_int_equal(f->records[t].state, WEIR_FAIR_HELD);
  weir_fair_correct(f, t, charged, 300);
  weir_fair_drop(f, t);
  assert_int_equal(f->records[t].state, WEIR_FAIR_FREE);
}

static void a_full_table_has_no_place_but_the_nameless_have_theirs(void **state)
{
  struct weir_fair *f = *state;
  uint32_t t[TENANTS];

  for (uint32_t i = 0; i < TENANTS; i++) {
    char name[8];

    snprintf(name, sizeof(name), "t%u", i);
    t[i] = enter(f, 0, name, 1);
  }
  assert_int_equal(weir_fair_open(f, 0, "more"), WEIR_FAIR_NONE);
  assert_int_equal(weir_fair_open(f, 1, "t0"), WEIR_FAIR_NONE);
  assert_int_equal(weir_fair_open(f, 0, ""), 0);
  assert_int_equal(weir_fair_open(f, 1, ""), 1);
  leave(f, t[3]);
  t[3] = enter(f, 1, "more", 1);
  for (uint32_t i = 0; i < TENANTS; i++)
    leave(f, t[i]);
}

static void classes_have_tenants_and_times_of_their_own(void **state)
{
  struct weir_fair *f = *state;
  uint32_t a = enter(f, 0, "same", 1), b = enter(f, 1, "same", 1);

  assert_int_not_equal(a, b);
  weir_fair_charge(f, a, 1000);
  assert_int_equal(weir_fair_first(f, 1), b);
  assert_int_equal(f->records[b].time, 0);
  leave(f, a);
  leave(f, b);
}

/* Against a list that is searched from its begin. */
static void random_orders_agree_with_a_list(void **state)
{
  struct weir_fair *f = *state;
  struct weir_rng rng;
  bool is_in[TENANTS] = {false};
  uint32_t record[TENANTS] = {0};

  weir_rng_init(&rng, 7);
  for (int i = 0; i < 20000; i++) {
    uint32_t k = (uint32_t)weir_rng_below(&rng, TENANTS), first = weir_fair_first(f, 0);
    char name[8];

    snprintf(name, sizeof(name), "t%u", k);
    if (!is_in[k]) {
      record[k] = enter(f, 0, name, 1 + k);
      is_in[k] = true;
    } else if (weir_rng_below(&rng, 3) == 0) {
      leave(f, record[k]);
      is_in[k] = false;
    } else {
      weir_fair_charge(f, first, 1 + weir_rng_below(&rng, 100));
    }
    first = weir_fair_first(f, 0);
    for (uint32_t j = 0; j < TENANTS; j++) {
      if (is_in[j])
        assert_true(f->records[first].time <= f->records[record[j]].time);
    }
    weir_fair_check(f);
  }
  for (uint32_t k = 0; k < TENANTS; k++) {
    if (is_in[k])
      leave(f, record[k]);
  }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(backlogged_tenants_differ_by_two_calls_at_most_whatever_their_sizes),
      TEST(weights_divide_what_is_served),
      TEST(nobody_saves_up_idle_time),
      TEST(who_just_came_is_served_before_who_was_served),
      TEST(equal_times_go_in_the_order_of_their_coming),
      TEST(what_was_not_used_comes_back_and_what_was_more_is_paid),
      TEST(a_record_is_remembered_while_it_is_ahead_and_free_afterwards),
      TEST(a_free_record_is_the_same_tenants_until_another_needs_its_place),
      TEST(a_record_lives_while_something_holds_it),
      TEST(a_full_table_has_no_place_but_the_nameless_have_theirs),
      TEST(classes_have_tenants_and_times_of_their_own),
      TEST(random_orders_agree_with_a_list),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
