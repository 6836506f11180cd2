#include <weir/alerts.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define S   WEIR_US_PER_S
#define MIN WEIR_US_PER_MIN
#define H   WEIR_US_PER_HOUR

enum { OWNERS = 3 };

static _Alignas(16) uint8_t storage[65536];
static struct weir_alerts *a;
static struct weir_alert alerts[WEIR_ALERT_ROW_MAX];

static struct weir_msg_row minute(uint64_t used, uint32_t online)
{
  struct weir_msg_row row = {
      .view = WEIR_VIEW_POOLS, .rows = 1, .pool = "flash", .limits_count = 1};

  row.limits[0] = (struct weir_msg_row_limit){
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = MIN, .amount = 1000, .used = used};
  row.queued[WEIR_CLASS_ONLINE] = online;
  return row;
}

static struct weir_msg_row day(uint64_t used, weir_duration left_us)
{
  struct weir_msg_row row = minute(used, 0);

  row.limits[0].window_us = 24 * H;
  row.limits[0].amount = 10000;
  row.limits[0].half_us = left_us;
  return row;
}

static uint32_t look(const struct weir_msg_row *row, weir_tstamp now)
{
  uint32_t count = weir_alerts_row(a, row, now, alerts);

  weir_alerts_sweep(a);
  return count;
}

static int setup(void **state)
{
  const struct weir_alerts_config config = {.near_pm = 900, .drift_pm = 300, .for_us = 5 * MIN};

  (void)state;
  assert_true(weir_alerts_size(OWNERS) <= sizeof(storage));
  a = weir_alerts_init(storage, OWNERS, &config);
  return 0;
}

static void a_full_minute_is_no_news_while_nobody_urgent_waits(void **state)
{
  const struct weir_msg_row row = minute(1000, 0);

  (void)state;
  for (weir_tstamp now = S; now < H; now += 10 * S)
    assert_int_equal(look(&row, now), 0);
}

static void a_full_minute_that_online_work_waits_for_is_told_once_and_its_end_once(void **state)
{
  const struct weir_msg_row full = minute(950, 3), free = minute(100, 0);

  (void)state;
  assert_int_equal(look(&full, S), 0);
  assert_int_equal(look(&full, 5 * MIN + S - 1), 0);
  assert_int_equal(look(&full, 5 * MIN + S), 1);
  assert_int_equal(alerts[0].kind, WEIR_ALERT_NEAR_LIMIT);
  assert_true(alerts[0].has_begun && alerts[0].is_limit);
  assert_string_equal(alerts[0].owner, "flash");
  assert_int_equal(alerts[0].used, 950);
  assert_int_equal(alerts[0].kept, 1000);
  assert_int_equal(look(&full, 6 * MIN), 0);
  assert_int_equal(look(&free, 7 * MIN), 0);
  assert_int_equal(look(&free, 12 * MIN), 1);
  assert_false(alerts[0].has_begun);
}

static void what_comes_and_goes_is_not_told(void **state)
{
  const struct weir_msg_row full = minute(950, 3), free = minute(100, 0);

  (void)state;
  for (weir_tstamp now = MIN; now < H; now += 2 * MIN) {
    assert_int_equal(look(&full, now), 0);
    assert_int_equal(look(&free, now + MIN), 0);
  }
}

static void a_long_window_is_told_of_when_it_is_nearly_full(void **state)
{
  const struct weir_msg_row row = day(9000, 0);

  (void)state;
  assert_int_equal(look(&row, S), 0);
  assert_int_equal(look(&row, 6 * MIN), 1);
  assert_int_equal(alerts[0].kind, WEIR_ALERT_NEAR_LIMIT);
}

/* 20 a minute of 10,000: eight hours and 20 minutes, and the day has ten hours left. */
static void a_day_that_will_not_last_is_told_of_long_before(void **state)
{
  uint32_t told = 0;

  (void)state;
  for (uint64_t minute_now = 1; minute_now <= 40 && told == 0; minute_now++) {
    const struct weir_msg_row row = day(20 * minute_now, 10 * H);

    told = look(&row, minute_now * MIN);
  }
  assert_int_equal(told, 1);
  assert_int_equal(alerts[0].kind, WEIR_ALERT_DAY_ENDS_EARLY);
  assert_true(alerts[0].in_us > 7 * H && alerts[0].in_us < 8 * H + 20 * MIN);
}

static void a_day_that_lasts_is_not_told_of(void **state)
{
  (void)state;
  for (uint64_t minute_now = 1; minute_now <= 300; minute_now++) {
    const struct weir_msg_row row = day(10 * minute_now, 10 * H);

    assert_int_equal(look(&row, minute_now * MIN), 0);
  }
}

static void breakers_and_foreign_spenders_are_told_of_at_once(void **state)
{
  struct weir_msg_row row = minute(10, 0);

  (void)state;
  row.breaker = WEIR_BREAKER_OPEN;
  row.limits[0].effective = 700;
  assert_int_equal(look(&row, S), 2);
  assert_int_equal(alerts[0].kind, WEIR_ALERT_FOREIGN);
  assert_int_equal(alerts[0].kept, 700);
  assert_int_equal(alerts[1].kind, WEIR_ALERT_BREAKER_OPEN);
  row.breaker = WEIR_BREAKER_HALF_OPEN;
  assert_int_equal(look(&row, 2 * S), 0);
  row.breaker = WEIR_BREAKER_RAMP;
  row.limits[0].effective = 0; /* not told: whole */
  assert_int_equal(look(&row, 3 * S), 2);
  assert_false(alerts[0].has_begun || alerts[1].has_begun);
}

static void an_amount_that_upstream_stated_is_no_foreign_spender(void **state)
{
  struct weir_msg_row row = minute(10, 0);

  (void)state;
  row.limits[0].effective = row.limits[0].stated = 700;
  assert_int_equal(look(&row, S), 0);
}

static void growth_that_is_held_back_is_no_foreign_spender_but_may_have_one_beside_it(void **state)
{
  struct weir_msg_row row = minute(10, 0);

  (void)state;
  row.limits[0].effective = row.limits[0].ramp = 700;
  assert_int_equal(look(&row, S), 0);
  row.limits[0].stated = 800;
  assert_int_equal(look(&row, S), 0);
  row.limits[0].effective = 699;
  assert_int_equal(look(&row, S), 1);
  assert_int_equal(alerts[0].kind, WEIR_ALERT_FOREIGN);
}

static void a_rejection_that_no_foreign_spender_explains_is_told_of(void **state)
{
  struct weir_msg_row row = minute(10, 0);

  (void)state;
  row.rejected_429 = 7; /* before the first look: not news */
  assert_int_equal(look(&row, S), 0);
  row.rejected_429 = 9;
  row.figures[WEIR_FIGURE_REJECTED_FOREIGN] = 2;
  assert_int_equal(look(&row, 2 * S), 0);
  row.rejected_429 = 10;
  assert_int_equal(look(&row, 3 * S), 1);
  assert_int_equal(alerts[0].kind, WEIR_ALERT_REJECTED);
  assert_int_equal(look(&row, 3 * S + WEIR_ALERT_QUIET_US - 1), 0);
  assert_int_equal(look(&row, 3 * S + WEIR_ALERT_QUIET_US), 1);
  assert_false(alerts[0].has_begun);
}

static void estimates_that_are_far_off_are_told_of_in_both_directions(void **state)
{
  struct weir_msg_row row = minute(10, 0);

  (void)state;
  row.figures[WEIR_FIGURE_RATIO_PM] = 1300; /* within */
  assert_int_equal(look(&row, S), 0);
  assert_int_equal(look(&row, 6 * MIN), 0);
  row.figures[WEIR_FIGURE_RATIO_PM] = 699;
  assert_int_equal(look(&row, 7 * MIN), 0);
  assert_int_equal(look(&row, 12 * MIN), 1);
  assert_int_equal(alerts[0].kind, WEIR_ALERT_DRIFT);
  assert_int_equal(alerts[0].ratio_pm, 699);
}

static void a_limit_keeps_its_alerts_where_a_reload_moves_it(void **state)
{
  struct weir_msg_row row = minute(10, 0), moved;

  (void)state;
  row.limits_count = 2;
  row.limits[0].effective = 700;
  row.limits[1] = (struct weir_msg_row_limit){
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = 24 * H, .amount = 1000, .used = 950};
  assert_int_equal(look(&row, S), 1);
  moved = row;
  moved.limits_count = 3;
  moved.limits[0] = row.limits[1];
  moved.limits[1] = (struct weir_msg_row_limit){
      .dimension = WEIR_DIMENSION_INPUT_TOKENS, .window_us = MIN, .amount = 1000};
  moved.limits[2] = row.limits[0];
  assert_int_equal(look(&moved, 3 * MIN), 0);
  assert_int_equal(look(&row, 5 * MIN + S), 1); /* nearly all of the day, for five minutes */
  assert_int_equal(alerts[0].window_us, 24 * H);
  assert_int_equal(alerts[0].kind, WEIR_ALERT_NEAR_LIMIT);
}

static void a_limit_that_a_reload_has_removed_is_forgotten(void **state)
{
  struct weir_msg_row cut = minute(10, 0), other = minute(10, 0);

  (void)state;
  cut.limits[0].effective = 700;
  other.limits[0].dimension = WEIR_DIMENSION_INPUT_TOKENS;
  assert_int_equal(look(&cut, S), 1);
  assert_int_equal(look(&other, 2 * S), 0);
  assert_int_equal(look(&cut, 3 * S), 1);
  assert_true(alerts[0].has_begun);
}

static void what_is_gone_is_forgotten_and_what_stays_keeps_its_alerts(void **state)
{
  struct weir_msg_row rows[OWNERS + 1];
  uint32_t told = 0;

  (void)state;
  for (uint32_t i = 0; i <= OWNERS; i++) {
    rows[i] = minute(10, 0);
    rows[i].pool[0] = (char)('a' + i);
    rows[i].breaker = WEIR_BREAKER_OPEN;
  }
  for (uint32_t i = 0; i <= OWNERS; i++)
    told += weir_alerts_row(a, &rows[i], S, alerts);
  assert_int_equal(told, OWNERS); /* one does not fit */
  weir_alerts_sweep(a);
  assert_int_equal(look(&rows[2], 2 * S), 0); /* the others had no row */
  assert_int_equal(weir_alerts_row(a, &rows[0], 3 * S, alerts), 1);
  assert_int_equal(weir_alerts_row(a, &rows[2], 3 * S, alerts), 0);
}

static void a_pool_and_a_budget_of_one_name_are_two(void **state)
{
  struct weir_msg_row row = minute(10, 0);

  (void)state;
  row.limits[0].effective = 700;
  assert_int_equal(weir_alerts_row(a, &row, S, alerts), 1);
  row.view = WEIR_VIEW_BUDGETS;
  assert_int_equal(weir_alerts_row(a, &row, S, alerts), 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(a_full_minute_is_no_news_while_nobody_urgent_waits, setup),
      cmocka_unit_test_setup(a_full_minute_that_online_work_waits_for_is_told_once_and_its_end_once,
                             setup),
      cmocka_unit_test_setup(what_comes_and_goes_is_not_told, setup),
      cmocka_unit_test_setup(a_long_window_is_told_of_when_it_is_nearly_full, setup),
      cmocka_unit_test_setup(a_day_that_will_not_last_is_told_of_long_before, setup),
      cmocka_unit_test_setup(a_day_that_lasts_is_not_told_of, setup),
      cmocka_unit_test_setup(breakers_and_foreign_spenders_are_told_of_at_once, setup),
      cmocka_unit_test_setup(an_amount_that_upstream_stated_is_no_foreign_spender, setup),
      cmocka_unit_test_setup(
          growth_that_is_held_back_is_no_foreign_spender_but_may_have_one_beside_it, setup),
      cmocka_unit_test_setup(a_rejection_that_no_foreign_spender_explains_is_told_of, setup),
      cmocka_unit_test_setup(estimates_that_are_far_off_are_told_of_in_both_directions, setup),
      cmocka_unit_test_setup(a_limit_keeps_its_alerts_where_a_reload_moves_it, setup),
      cmocka_unit_test_setup(a_limit_that_a_reload_has_removed_is_forgotten, setup),
      cmocka_unit_test_setup(what_is_gone_is_forgotten_and_what_stays_keeps_its_alerts, setup),
      cmocka_unit_test_setup(a_pool_and_a_budget_of_one_name_are_two, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
