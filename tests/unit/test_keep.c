/* What outlives a coordinator: two lives of it, and a store that the test answers for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keep_fixture.h"

/* ---- waiting for the store ---- */

static void without_a_store_nothing_is_to_be_kept(void **state)
{
  struct fixture *f = *state;
  struct weir_record records[WEIR_COORD_KEEP_MIN];
  uint64_t generation = 0;

  session = fixture_hello(f, 9, 1, 1);
  assert_int_equal(fixture_ask(f, 9, session, 1, WEIR_CLASS_ONLINE, 100, SECOND), WEIR_MSG_GRANT);
  assert_int_equal(weir_coord_keep_due(f->coord), WEIR_NEVER);
  assert_int_equal(weir_coord_keep(f->coord, f->now, records, WEIR_COORD_KEEP_MIN, &generation), 0);
}

static void a_grant_waits_until_its_records_are_durable(void **state)
{
  struct fixture f = first_life(600, 60000);

  (void)state;
  begin(&f, (struct weir_coord_start){0});
  assert_int_equal(fixture_ask(&f, 9, session, 1, WEIR_CLASS_ONLINE, 100, MINUTE), WEIR_MSG_QUEUED);
  assert_true(weir_coord_keep_due(f.coord) <= f.now);
  assert_true(keep(&f));
  assert_int_equal(weir_coord_keep_due(f.coord), WEIR_NEVER); /* one at a time */
  fixture_run(&f, f.now + SECOND);
  assert_int_equal(f.granted_count, 0);
  store.generation++;
  store_say(&f, WEIR_COORD_DURABLE); /* of some other generation */
  assert_int_equal(f.granted_count, 0);
  store.generation--;
  store_say(&f, WEIR_COORD_DURABLE);
  assert_int_equal(f.granted_count, 1);
  fixture_free(&f);
}

static void a_silent_store_stops_grants_and_nothing_else(void **state)
{
  struct fixture f = first_life(600, 60000);

  (void)state;
  begin(&f, (struct weir_coord_start){0});
  fixture_ask(&f, 9, session, 1, WEIR_CLASS_ONLINE, 100, SECOND);
  assert_true(keep(&f));
  while (f.update.count == 0 || answer(&f)->type != WEIR_MSG_DENY)
    assert_true(fixture_run(&f, f.now + 3 * SECOND) > 0);
  assert_int_equal(answer(&f)->deny.why, WEIR_DENIAL_DEADLINE);
  assert_int_equal(f.granted_count, 0);
  fixture_free(&f);
}

static void what_failed_is_kept_again_but_not_at_once(void **state)
{
  struct fixture f = first_life(600, 60000);
  uint32_t written;

  (void)state;
  begin(&f, (struct weir_coord_start){0});
  fixture_ask(&f, 9, session, 1, WEIR_CLASS_ONLINE, 100, MINUTE);
  assert_true(keep(&f));
  written = store.written_count;
  store_say(&f, WEIR_COORD_UNKEPT);
  assert_int_equal(f.granted_count, 0);
  assert_int_equal(weir_coord_keep_due(f.coord), f.now + SECOND);
  fixture_ask(&f, 9, session, 2, WEIR_CLASS_ONLINE, 100, MINUTE); /* whoever asks meanwhile */
  assert_int_equal(weir_coord_keep_due(f.coord), f.now + SECOND);
  f.now += SECOND;
  assert_true(keep(&f));
  assert_true(store.written_count >= written);
  store_say(&f, WEIR_COORD_DURABLE);
  assert_int_equal(f.granted_count, 2);
  fixture_free(&f);
}

static void failures_do_not_make_a_reserve_too_small_for_who_waits(void **state)
{
  struct fixture f = first_life(600, 60000);

  (void)state;
  begin_kept(&f);
  fixture_ask(&f, 9, session, 1, WEIR_CLASS_ONLINE, 50000, HOUR);
  for (int i = 0; i < 2; i++) {
    assert_true(keep(&f));
    store_say(&f, WEIR_COORD_UNKEPT);
    f.now += SECOND;
  }
  assert_true(keep(&f));
  store_say(&f, WEIR_COORD_DURABLE);
  assert_int_equal(f.granted_count, 1);
  fixture_free(&f);
}

static void an_idle_coordinator_writes_nothing_and_then_grants_at_once(void **state)
{
  struct fixture f = first_life(600, 60000);

  (void)state;
  begin_kept(&f);
  assert_int_equal(weir_coord_keep_due(f.coord), WEIR_NEVER);
  wait_until(&f, f.now + 5 * MINUTE);
  assert_int_equal(store.generations, 1);
  assert_int_equal(fixture_ask(&f, 9, session, 1, WEIR_CLASS_ONLINE, 100, MINUTE), WEIR_MSG_GRANT);
  fixture_free(&f);
}

static void a_call_of_any_size_is_reserved_in_one_step(void **state)
{
  struct fixture f = first_life(600, 60000);

  (void)state;
  begin_kept(&f);
  fixture_ask(&f, 9, session, 1, WEIR_CLASS_ONLINE, 50000, MINUTE);
  assert_int_equal(f.granted_count, 0);
  keep_all(&f);
  assert_int_equal(f.granted_count, 1);
  assert_int_equal(store.generations, 2);
  fixture_free(&f);
}

/* 50 calls a second of the 100 that there are. */
static void a_busy_minute_takes_a_few_commits_a_second(void **state)
{
  struct fixture f = first_life(6000, 6000000);
  uint32_t waited = 0;

  (void)state;
  begin_kept(&f);
  store.generations = 0;
  for (int i = 0; i < 3000; i++) {
    const weir_tstamp next = f.now + 20 * MS;

    waited += fixture_ask(&f, 9, session, ++seq, WEIR_CLASS_ONLINE, 500, MINUTE) != WEIR_MSG_GRANT;
    keep_all(&f);
    while (fixture_run(&f, next) > 0)
      ;
    fixture_settle(&f, 9, session, seq, true, 500, WEIR_OUTCOME_OK);
    f.now = next;
  }
  assert_int_equal(f.granted_count, 3000);
  assert_int_equal(waited, 0);
  assert_in_range(store.generations, 10, 240);
  fixture_free(&f);
}

/* ---- going on ---- */

static void what_is_free_is_granted_at_once_and_no_more(void **state)
{
  struct fixture f = first_life(600, 6000000);
  uint32_t again;

  (void)state;
  begin_kept(&f);
  assert_int_equal(granted_now(&f, 400, 10), 400);
  die(&f, SECOND, true);
  again = granted_now(&f, 600, 10);
  assert_in_range(again, 200 - 6, 200); /* but for a reserve, 1 % of a minute */
  wait_until(&f, f.now + MINUTE + 4 * SECOND);
  assert_int_equal(granted_now(&f, 700, 10), 600);
  fixture_free(&f);
}

/* Wherever a crash strikes, the next life charges no less than what was granted, and no more than a
 * reserve above it. */
static void a_crash_costs_one_percent_of_a_minute(void **state)
{
  (void)state;
  for (uint32_t calls = 1; calls < 600; calls += 7) {
    struct fixture f = first_life(600, 6000000);
    uint32_t again;

    begin(&f, (struct weir_coord_start){0});
    keep_all(&f);
    assert_int_equal(granted_now(&f, calls, 10), calls);
    die(&f, 20 * MS, calls % 2);
    again = granted_now(&f, 600, 10);
    assert_true(again + calls <= 600);
    assert_true(again + calls + 6 >= 600);
    fixture_free(&f);
  }
}

static void a_record_of_another_boot_has_no_age(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  begin_kept(&f);
  assert_int_equal(granted_now(&f, 600, 10), 600);
  die(&f, 50 * SECOND, false);
  assert_int_equal(granted_now(&f, 600, 10), 0);
  wait_until(&f, f.now + 20 * SECOND);
  assert_int_equal(granted_now(&f, 600, 10), 0);
  wait_until(&f, f.now + 45 * SECOND);
  assert_int_equal(granted_now(&f, 600, 10), 600);
  fixture_free(&f);
}

static void another_amount_or_burst_keeps_what_was_charged(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  begin_kept(&f);
  assert_int_equal(granted_now(&f, 400, 10), 400);
  f.pools[0].limits[0].amount = 500;
  f.pools[0].limits[0].burst = 100;
  die(&f, SECOND, true);
  assert_in_range(granted_now(&f, 600, 10), 100 - 6, 100);
  fixture_free(&f);
}

/* No grant waits for the record of a limit in the shadow, so that says little of what was granted
 * after it. Five calls of a tenth of a minute's tokens each are more than its reserve. */
static void a_limit_that_was_in_the_shadow_is_closed_when_a_crash_ends_that(void **state)
{
  struct fixture f = first_life(600, 60000);

  (void)state;
  f.pools[0].limits[1].is_shadow = true;
  begin_kept(&f);
  for (uint32_t i = 0; i < 5; i++)
    assert_int_equal(fixture_ask(&f, 9, session, ++seq, WEIR_CLASS_ONLINE, 6000, 0),
                     WEIR_MSG_GRANT);
  f.pools[0].limits[1].is_shadow = false;
  die(&f, SECOND, true);
  keep_all(&f);
  assert_closed_for(&f, 59 * SECOND, 72 * SECOND);
  /* In the shadow as before it closes nothing. */
  f.pools[0].limits[1].is_shadow = true;
  reload_kept(&f);
  die(&f, 2 * MINUTE, true);
  keep_all(&f);
  assert_true(granted_now(&f, 600, 200) > 500);
  fixture_free(&f);
}

static void
a_limit_that_a_reload_put_into_the_shadow_is_closed_by_a_crash_that_ends_that(void **state)
{
  struct fixture f = first_life(600, 60000);

  (void)state;
  begin_kept(&f);
  f.pools[0].limits[1].is_shadow = true;
  reload(&f);
  assert_int_not_equal(fixture_ask(&f, 9, session, ++seq, WEIR_CLASS_ONLINE, 400, 0),
                       WEIR_MSG_GRANT);
  keep_all(&f);
  for (uint32_t i = 0; i < 5; i++)
    assert_int_equal(fixture_ask(&f, 9, session, ++seq, WEIR_CLASS_ONLINE, 6000, 0),
                     WEIR_MSG_GRANT);
  f.pools[0].limits[1].is_shadow = false;
  die(&f, SECOND, true);
  keep_all(&f);
  assert_closed_for(&f, 59 * SECOND, 72 * SECOND);
  fixture_free(&f);
}

static void a_pool_without_a_record_is_closed_for_a_window(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  begin_kept(&f);
  live_as(&f, "renamed");
  assert_closed_for(&f, 59 * SECOND, 71 * SECOND);
  fixture_free(&f);
}

static void a_model_that_changed_its_pool_between_lives_closes_it(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  add_other_pool(&f);
  begin_kept(&f);
  f.names[0].pool = f.names[1].pool = 1;
  die(&f, SECOND, true);
  assert_closed_for(&f, 59 * SECOND, 72 * SECOND);
  fixture_free(&f);
}

/* A reload takes the reserves back: what they are about has changed. */
static void a_reload_that_moves_a_model_has_grants_wait_for_new_records(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  add_other_pool(&f);
  begin_kept(&f);
  reload(&f);
  assert_int_equal(fixture_ask(&f, 9, session, ++seq, WEIR_CLASS_ONLINE, 10, MINUTE),
                   WEIR_MSG_GRANT); /* nothing has changed */
  f.config.names_count = 2;
  reload(&f);
  assert_int_equal(fixture_ask(&f, 9, session, ++seq, WEIR_CLASS_ONLINE, 10, MINUTE),
                   WEIR_MSG_QUEUED); /* of another pool */
  keep_all(&f);
  f.config.names_count = 3;
  f.names[2].pool = 0;
  reload(&f);
  wait_until(&f, f.now + 72 * SECOND); /* closed by the reload itself */
  assert_int_equal(granted_now(&f, 1, 10), 1);
  f.config.names_count = 2;
  reload(&f);
  assert_int_equal(fixture_ask(&f, 9, session, ++seq, WEIR_CLASS_ONLINE, 10, MINUTE),
                   WEIR_MSG_QUEUED);
  keep_all(&f);
  f.now += 200 * MS;
  keep_all(&f);
  assert_int_equal(answer(&f)->type, WEIR_MSG_GRANT);
  fixture_free(&f);
}

/* ---- days, calls in flight, what was learned ---- */

static struct fixture daily(void)
{
  struct fixture f = first_life(6000, 60000000);

  f.pools[0].limits[2] = (struct weir_limit_config){.dimension = WEIR_DIMENSION_REQUESTS,
                                                    .window_us = WEIR_DAY_WINDOW_US,
                                                    .amount = 2000,
                                                    .is_day = true,
                                                    .zone_id = 1};
  f.pools[0].limits_count = 3;
  return f;
}

static void day_counters_survive(void **state)
{
  struct fixture f = daily();

  (void)state;
  begin(&f, (struct weir_coord_start){0});
  clock_tell(&f, 20000);
  keep_all(&f);
  assert_int_equal(granted_now(&f, 1500, 10), 1500);
  die(&f, 2 * HOUR, false);
  clock_tell(&f, 20000);
  assert_in_range(granted_now(&f, 2000, 10), 500 - 2, 500); /* a thousandth of the day */
  fixture_free(&f);
}

static void a_day_that_is_over_does_not_count_in_the_next_life(void **state)
{
  struct fixture f = daily();

  (void)state;
  begin(&f, (struct weir_coord_start){0});
  clock_tell(&f, 20000);
  keep_all(&f);
  assert_int_equal(granted_now(&f, 1500, 10), 1500);
  die(&f, 24 * HOUR, false);
  clock_tell(&f, 20001);
  assert_in_range(granted_now(&f, 2000, 10), 2000 - 2, 2000);
  fixture_free(&f);
}

static void
a_day_that_is_used_up_stays_so_in_the_next_life_unless_it_has_another_amount(void **state)
{
  struct fixture f = daily();

  (void)state;
  begin(&f, (struct weir_coord_start){0});
  clock_tell(&f, 20000);
  keep_all(&f);
  fixture_ask(&f, 9, session, ++seq, WEIR_CLASS_ONLINE, 10, SECOND);
  fixture_settle(&f, 9, session, seq, true, 10, WEIR_OUTCOME_QUOTA_DAY_REQUESTS);
  f.now += SECOND;
  keep_all(&f);
  die(&f, MINUTE, true);
  clock_tell(&f, 20000);
  keep_all(&f);
  assert_int_equal(granted_now(&f, 1, 10), 0);
  f.pools[0].limits[2].amount = 3000;
  die(&f, MINUTE, true);
  clock_tell(&f, 20000);
  keep_all(&f);
  assert_int_equal(granted_now(&f, 1, 10), 1);
  fixture_free(&f);
}

static void until_the_clock_is_told_a_day_is_a_window(void **state)
{
  struct fixture f = daily();

  (void)state;
  begin_kept(&f);
  assert_int_equal(granted_now(&f, 1500, 10), 1500);
  die(&f, 2 * SECOND, false);
  assert_in_range(granted_now(&f, 2000, 10), 500 - 2, 500);
  fixture_free(&f);
}

static uint32_t taken_now(struct fixture *f, uint32_t count)
{
  const uint32_t before = f->granted_count;

  for (uint32_t i = 0; i < count; i++) {
    fixture_ask(f, 9, session, ++seq, WEIR_CLASS_ONLINE, 10, 100 * MS);
    keep_all(f);
  }
  return f->granted_count - before;
}

static void calls_of_a_former_life_stay_in_flight_for_ten_minutes(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  f.pools[0].limits[2] =
      (struct weir_limit_config){.dimension = WEIR_DIMENSION_IN_FLIGHT, .amount = 10};
  f.pools[0].limits_count = 3;
  begin_kept(&f);
  assert_int_equal(taken_now(&f, 7), 7);
  die(&f, SECOND, true);
  assert_in_range(taken_now(&f, 10), 2, 3);
  wait_until(&f, f.now + 10 * MINUTE + 15 * SECOND); /* its own are lost by then, too */
  assert_int_equal(taken_now(&f, 12), 10);
  fixture_free(&f);
}

static void what_upstream_said_survives(void **state)
{
  struct fixture f = first_life(600, 6000000);
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE};

  (void)state;
  begin_kept(&f);
  fixture_ask(&f, 9, session, ++seq, WEIR_CLASS_ONLINE, 10, MINUTE);
  msg.session = session;
  msg.mark = ++f.mark;
  msg.settle.seq = seq;
  msg.settle.is_sent = msg.settle.is_final = true;
  msg.settle.outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS;
  msg.settle.stated_limit = 300;
  msg.settle.retry_after_us = 30 * SECOND;
  fixture_send(&f, 9, &msg);
  f.now += 200 * MS;
  keep_all(&f);
  die(&f, SECOND, true);
  assert_int_equal(granted_now(&f, 1, 10), 0); /* frozen */
  wait_until(&f, f.now + 3 * MINUTE);
  assert_in_range(granted_now(&f, 600, 10), 290, 300);
  fixture_free(&f);
}

/* A life whose breaker has just opened, for 30 s at most. */
static struct fixture opened(void)
{
  struct fixture f = first_life(600, 6000000);

  f.pools[0].breaker = (struct weir_breaker_config){.is_on = true,
                                                    .failures_pm = 500,
                                                    .calls_min = 4,
                                                    .probes = 1,
                                                    .window_us = 20 * SECOND,
                                                    .open_us = 30 * SECOND,
                                                    .open_max_us = MINUTE,
                                                    .probe_timeout_us = 5 * SECOND,
                                                    .ramp_us = 5 * SECOND};
  begin_kept(&f);
  for (int i = 0; i < 4; i++) {
    fixture_ask(&f, 9, session, ++seq, WEIR_CLASS_ONLINE, 10, MINUTE);
    keep_all(&f);
    fixture_settle(&f, 9, session, seq, true, 10, WEIR_OUTCOME_SERVER_ERROR);
  }
  f.now += 200 * MS;
  keep_all(&f);
  return f;
}

static void an_open_breaker_comes_back_open(void **state)
{
  struct fixture f = opened();
  struct weir_coord_change said;
  uint64_t cursor = 0;

  (void)state;
  die(&f, SECOND, true);
  assert_true(weir_coord_change(f.coord, f.now, &cursor, &said));
  assert_int_equal(said.state.breaker, WEIR_BREAKER_OPEN);
  assert_in_range(said.state.open_us, 20 * SECOND, 30 * SECOND);
  fixture_free(&f);
}

static void a_half_open_breaker_comes_back_to_probe_at_once(void **state)
{
  struct fixture f = opened();
  struct weir_coord_change said;
  uint64_t cursor = 0;

  (void)state;
  wait_until(&f, f.now + 40 * SECOND);
  die(&f, SECOND, true);
  assert_true(weir_coord_change(f.coord, f.now, &cursor, &said));
  assert_int_equal(said.state.breaker, WEIR_BREAKER_OPEN);
  assert_int_equal(said.state.open_us, 0);
  fixture_run(&f, f.now);
  assert_true(weir_coord_change(f.coord, f.now, &cursor, &said));
  assert_int_equal(said.state.breaker, WEIR_BREAKER_HALF_OPEN);
  fixture_free(&f);
}

static void estimates_survive(void **state)
{
  struct fixture f = first_life(600, 6000000);

  (void)state;
  begin_kept(&f);
  for (int i = 0; i < 100; i++) { /* each uses twice what it asks for */
    fixture_ask(&f, 9, session, ++seq, WEIR_CLASS_ONLINE, 1000, MINUTE);
    keep_all(&f);
    fixture_settle(&f, 9, session, seq, true, 2000, WEIR_OUTCOME_OK);
    f.now += 200 * MS;
    keep_all(&f);
  }
  die(&f, 2 * MINUTE, true);
  f.pools[0].limits[1].amount = 1900;
  fixture_ask(&f, 9, session, ++seq, WEIR_CLASS_ONLINE, 1000000, MINUTE);
  keep_all(&f);
  /* 2,000,000 are reserved: less than 4,100,000 more fit beside that and its head-room. */
  fixture_ask(&f, 9, session, ++seq, WEIR_CLASS_ONLINE, 2050000, SECOND);
  assert_int_equal(f.granted_count, 1);
  fixture_free(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(without_a_store_nothing_is_to_be_kept, set_up, tear_down),
      cmocka_unit_test(a_grant_waits_until_its_records_are_durable),
      cmocka_unit_test(a_silent_store_stops_grants_and_nothing_else),
      cmocka_unit_test(what_failed_is_kept_again_but_not_at_once),
      cmocka_unit_test(failures_do_not_make_a_reserve_too_small_for_who_waits),
      cmocka_unit_test(an_idle_coordinator_writes_nothing_and_then_grants_at_once),
      cmocka_unit_test(a_call_of_any_size_is_reserved_in_one_step),
      cmocka_unit_test(a_busy_minute_takes_a_few_commits_a_second),
      cmocka_unit_test(what_is_free_is_granted_at_once_and_no_more),
      cmocka_unit_test(a_crash_costs_one_percent_of_a_minute),
      cmocka_unit_test(a_record_of_another_boot_has_no_age),
      cmocka_unit_test(another_amount_or_burst_keeps_what_was_charged),
      cmocka_unit_test(a_limit_that_was_in_the_shadow_is_closed_when_a_crash_ends_that),
      cmocka_unit_test(
          a_limit_that_a_reload_put_into_the_shadow_is_closed_by_a_crash_that_ends_that),
      cmocka_unit_test(a_pool_without_a_record_is_closed_for_a_window),
      cmocka_unit_test(a_model_that_changed_its_pool_between_lives_closes_it),
      cmocka_unit_test(a_reload_that_moves_a_model_has_grants_wait_for_new_records),
      cmocka_unit_test(day_counters_survive),
      cmocka_unit_test(a_day_that_is_over_does_not_count_in_the_next_life),
      cmocka_unit_test(
          a_day_that_is_used_up_stays_so_in_the_next_life_unless_it_has_another_amount),
      cmocka_unit_test(until_the_clock_is_told_a_day_is_a_window),
      cmocka_unit_test(calls_of_a_former_life_stay_in_flight_for_ten_minutes),
      cmocka_unit_test(what_upstream_said_survives),
      cmocka_unit_test(an_open_breaker_comes_back_open),
      cmocka_unit_test(a_half_open_breaker_comes_back_to_probe_at_once),
      cmocka_unit_test(estimates_survive),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
