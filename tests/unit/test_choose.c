/* Which model of a route, over what is known of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/choose.h>

#define NOW      (100 * WEIR_US_PER_S)
#define SOON     (NOW + 250 * WEIR_US_PER_MS)
#define DEADLINE (NOW + 10 * WEIR_US_PER_S)
#define NONE     WEIR_CHOOSE_NONE

static struct weir_choose of(const struct weir_option *options, uint32_t count)
{
  return (struct weir_choose){
      .count = count, .options = options, .prefer = NONE, .soon = SOON, .deadline = DEADLINE};
}

static void takes_the_first_that_can_start_soon(void **state)
{
  const struct weir_option options[] = {
      {true, false, SOON + 1, 0}, {true, false, SOON, 0}, {true, false, NOW, 0}};
  const struct weir_choose choose = of(options, 3);

  (void)state;
  assert_int_equal(weir_choose(&choose), 1);
}

static void takes_the_earliest_when_none_starts_soon(void **state)
{
  const struct weir_option options[] = {
      {true, false, SOON + 3, 0}, {true, false, SOON + 1, 9}, {true, false, SOON + 1, 0}};
  const struct weir_choose choose = of(options, 3);

  (void)state;
  assert_int_equal(weir_choose(&choose), 1); /* equals go in their order, whatever their rank */
}

static void takes_the_least_rank_of_those_that_start_soon(void **state)
{
  const struct weir_option options[] = {{true, false, NOW, 7},
                                        {true, false, SOON, 5},
                                        {true, false, SOON + 1, 1},
                                        {true, false, NOW, 5}};
  const struct weir_choose choose = of(options, 4);

  (void)state;
  assert_int_equal(weir_choose(&choose), 1);
}

static void takes_nothing_that_cannot_be_had(void **state)
{
  struct weir_option options[] = {{false, false, NOW, 0}, {true, false, NOW, 1}};
  struct weir_choose choose = of(options, 2);

  (void)state;
  assert_int_equal(weir_choose(&choose), 1);
  options[1].is_usable = false;
  assert_int_equal(weir_choose(&choose), NONE);
  assert_int_equal(weir_choose_soonest(&choose), NONE);
  choose.count = 0;
  assert_int_equal(weir_choose(&choose), NONE);
}

static void takes_nothing_that_starts_after_the_deadline(void **state)
{
  const struct weir_option options[] = {
      {true, false, WEIR_NEVER, 0}, {true, false, DEADLINE + 2, 0}, {true, false, DEADLINE + 1, 0}};
  struct weir_choose choose = of(options, 3);

  (void)state;
  assert_int_equal(weir_choose(&choose), NONE);
  assert_int_equal(weir_choose_soonest(&choose), 2);
  choose.deadline = DEADLINE + 1;
  assert_int_equal(weir_choose(&choose), 2);
}

/* Now or never: soon lies after the deadline. */
static void a_deadline_goes_before_patience(void **state)
{
  const struct weir_option options[] = {{true, false, NOW + 1, 0}, {true, false, NOW, 0}};
  struct weir_choose choose = of(options, 2);

  (void)state;
  choose.deadline = NOW;
  assert_int_equal(weir_choose(&choose), 1);
}

static void stays_with_the_preferred_one_while_it_is_in_time(void **state)
{
  struct weir_option options[] = {
      {true, false, NOW, 0}, {true, false, DEADLINE, 9}, {true, false, NOW, 0}};
  struct weir_choose choose = of(options, 3);

  (void)state;
  choose.prefer = 1;
  assert_int_equal(weir_choose(&choose), 1);
  options[1].at = DEADLINE + 1;
  assert_int_equal(weir_choose(&choose), 0);
}

static void leaves_the_preferred_one_when_it_is_closed_or_cannot_be_had(void **state)
{
  struct weir_option options[] = {{true, false, NOW, 0}, {true, true, NOW + 1, 0}};
  struct weir_choose choose = of(options, 2);

  (void)state;
  choose.prefer = 1;
  assert_int_equal(weir_choose(&choose), 0);
  options[1] = (struct weir_option){false, false, NOW, 0};
  assert_int_equal(weir_choose(&choose), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_the_first_that_can_start_soon),
      cmocka_unit_test(takes_the_earliest_when_none_starts_soon),
      cmocka_unit_test(takes_the_least_rank_of_those_that_start_soon),
      cmocka_unit_test(takes_nothing_that_cannot_be_had),
      cmocka_unit_test(takes_nothing_that_starts_after_the_deadline),
      cmocka_unit_test(a_deadline_goes_before_patience),
      cmocka_unit_test(stays_with_the_preferred_one_while_it_is_in_time),
      cmocka_unit_test(leaves_the_preferred_one_when_it_is_closed_or_cannot_be_had),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
