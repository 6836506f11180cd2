#include "ledger_fixture.h"

static void a_full_limit_blocks_until_the_oldest_lease_can_no_longer_matter(void **state)
{
  struct books *b = books_pool(1, 1000000);
  weir_tstamp at;
  int binding;

  (void)state;
  books_take(b, cost_of(1, 10, 0));
  at = books_earliest(b, cost_of(1, 10, 0), &binding);
  assert_true(at > SECOND + HOLD + MINUTE);
  assert_true(at <= SECOND + HOLD + MINUTE + b->ledger.limits[0].ring.slot_us);
  assert_int_equal(binding, 0);
}

static void every_limit_is_charged_in_its_own_dimension(void **state)
{
  const enum weir_dimension dimensions[] = {WEIR_DIMENSION_REQUESTS, WEIR_DIMENSION_INPUT_TOKENS,
                                            WEIR_DIMENSION_OUTPUT_TOKENS,
                                            WEIR_DIMENSION_TOTAL_TOKENS, WEIR_DIMENSION_SPEND};
  const uint64_t charges[] = {2, 700, 5, 705, 31};
  struct weir_limit_config limits[5];
  struct weir_cost cost = cost_of(2, 700, 5);
  struct books *b;

  (void)state;
  cost.spend = 31;
  for (uint32_t i = 0; i < 5; i++)
    limits[i] = limit_of(dimensions[i], MINUTE, 1000);
  b = books_open(limits, 5, WEIR_PROFILE_WINDOW, SECOND);
  books_take(b, cost);
  for (uint32_t i = 0; i < 5; i++) {
    assert_int_equal(books_used(b, i), charges[i]);
    assert_int_equal(b->ledger.limits[i].ring.used, charges[i]);
    assert_int_equal(weir_ledger_cost_of(&cost, dimensions[i]), charges[i]);
  }
  assert_int_equal(weir_ledger_cost_of(&cost, WEIR_DIMENSION_IN_FLIGHT), 2);
}

static void a_settle_narrows_the_arrival_and_gives_back_what_was_not_used(void **state)
{
  struct books *b = books_pool(1, 1000);
  struct lease lease = books_take(b, cost_of(1, 900, 0));
  weir_tstamp at;

  (void)state;
  b->now.at = 2 * SECOND;
  books_end(b, &lease, cost_of(1, 400, 0), SECOND + 100 * MS);
  assert_int_equal(b->ledger.limits[1].ring.used, 400);
  at = books_earliest(b, cost_of(1, 600, 0), NULL);
  /* A request's slot is free a window after 1.1 s, not after 1 s + hold. */
  assert_true(at > SECOND + 100 * MS + MINUTE);
  assert_true(at < SECOND + HOLD + MINUTE);
}

static void a_settle_can_neither_widen_a_lease_nor_precede_its_start(void **state)
{
  struct books *b = books_pool(1, 1000);
  struct lease lease = books_take(b, cost_of(1, 900, 0));

  (void)state;
  weir_ledger_narrow(&lease.entry, SECOND + HOLD + 1);
  assert_int_equal(lease.entry.arrival_max, SECOND + HOLD);
  weir_ledger_narrow(&lease.entry, SECOND - 1);
  assert_int_equal(lease.entry.arrival_max, SECOND);
}

static void an_unused_lease_comes_back_whole(void **state)
{
  struct books *b = books_pool(10, 1000);
  struct lease lease = books_take(b, cost_of(1, 900, 0));

  (void)state;
  books_void(b, &lease);
  assert_int_equal(b->ledger.limits[0].ring.used, 0);
  assert_int_equal(b->ledger.limits[1].ring.used, 0);
}

static void a_settle_after_the_window_changes_nothing(void **state)
{
  struct books *b = books_pool(10, 1000);
  struct lease lease = books_take(b, cost_of(1, 900, 0));

  (void)state;
  b->now.at = 10 * MINUTE;
  books_end(b, &lease, cost_of(1, 5, 0), 2 * SECOND);
  assert_int_equal(books_used(b, 0), 0);
  assert_int_equal(books_used(b, 1), 0);
}

static void debt_keeps_the_window_full_until_it_has_drained(void **state)
{
  struct books *b = books_pool(10, 1000);
  struct lease lease = books_take(b, cost_of(1, 900, 0));

  (void)state;
  b->now.at = 2 * SECOND;
  books_end(b, &lease, cost_of(1, 5000, 0), SECOND);
  assert_int_equal(b->ledger.limits[1].ring.used, 5000);
  assert_true(books_earliest(b, cost_of(1, 1, 0), NULL) > SECOND + MINUTE);
}

static void what_exceeds_a_whole_limit_can_never_fit(void **state)
{
  struct books *b = books_pool(10, 1000);
  const struct weir_cost huge = cost_of(1, 1001, 0);
  int binding;

  (void)state;
  assert_int_equal(weir_ledger_misfit(&b->ledger, &huge), 1);
  assert_true(books_earliest(b, huge, &binding) == WEIR_NEVER);
  assert_int_equal(binding, 1);
}

static void a_start_is_never_before_an_earlier_one(void **state)
{
  struct books *b = books_pool(10, 1000);

  (void)state;
  books_take_at(b, cost_of(1, 10, 0), SECOND + 15 * MS);
  assert_int_equal(books_earliest(b, cost_of(1, 10, 0), NULL), SECOND + 15 * MS);
}

static void a_cut_limit_shrinks_by_expiry_and_is_never_negative(void **state)
{
  struct books *b = books_pool(10, 1000);

  (void)state;
  books_take(b, cost_of(1, 900, 0));
  b->limits[1].amount = 100;
  books_configure(b);
  assert_int_equal(b->ledger.limits[1].ring.used, 900);
  assert_true(books_earliest(b, cost_of(1, 50, 0), NULL) > SECOND + MINUTE);
  b->now.at = 3 * MINUTE;
  assert_int_equal(books_earliest(b, cost_of(1, 50, 0), NULL), 3 * MINUTE);
}

static void a_call_larger_than_a_cut_limit_takes_the_whole_of_it(void **state)
{
  struct books *b = books_pool(10, 1000);

  (void)state;
  b->ledger.limits[1].effective = b->ledger.limits[1].cut_amount = 50;
  books_take(b, cost_of(1, 90, 0));
  assert_int_equal(b->ledger.overshoot, 0);
  assert_true(books_earliest(b, cost_of(1, 1, 0), NULL) > SECOND + MINUTE);
}

static void a_limit_added_to_a_running_pool_starts_as_spent(void **state)
{
  struct books *b = books_pool(10, 1000);
  struct lease before = books_take(b, cost_of(1, 10, 0));
  int binding;

  (void)state;
  b->limits[b->limits_count++] = limit_of(WEIR_DIMENSION_REQUESTS, 10 * SECOND, 5);
  books_configure(b);
  assert_true(books_earliest(b, cost_of(1, 10, 0), &binding) > 11 * SECOND);
  assert_int_equal(binding, 2);
  /* A lease of before is in no ring of the new limit: settling it must not touch that. */
  books_void(b, &before);
  assert_int_equal(books_used(b, 2), 5);
  assert_int_equal(b->ledger.limits[2].ring.used, 0);
}

/* How its charges arrive was kept all along; of a long window only with a burst. */
static void a_burst_takes_effect_at_once_but_in_a_long_window(void **state)
{
  const struct weir_limit_config limits[] = {limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, 100),
                                             limit_of(WEIR_DIMENSION_REQUESTS, HOUR, 1000)};
  struct books *b = books_open(limits, 2, WEIR_PROFILE_BUCKET, HOUR);

  (void)state;
  books_take(b, cost_of(5, 10, 0));
  b->limits[0].burst = 50;
  books_configure(b);
  assert_int_equal(b->ledger.limits[0].ring.used, 5);
  assert_int_equal(books_earliest(b, cost_of(45, 10, 0), NULL), HOUR);
  assert_true(books_earliest(b, cost_of(46, 10, 0), NULL) > HOUR);
  b->limits[1].burst = 50;
  books_configure(b);
  assert_int_equal(b->ledger.limits[1].ring.used, 0);
  assert_true(books_earliest(b, cost_of(1, 10, 0), NULL) > 2 * HOUR);
}

static void limits_that_change_places_keep_their_history(void **state)
{
  struct books *b = books_pool(10, 1000);
  struct lease lease = books_take(b, cost_of(1, 300, 0));
  const struct weir_limit_config first = b->limits[0];

  (void)state;
  b->limits[0] = b->limits[1];
  b->limits[1] = first;
  books_configure(b);
  assert_int_equal(b->ledger.limits[0].ring.used, 300);
  assert_int_equal(b->ledger.limits[1].ring.used, 1);
  books_void(b, &lease);
  assert_int_equal(b->ledger.limits[0].ring.used, 0);
}

static void one_limit_changed_in_a_full_pool_leaves_the_others_their_history(void **state)
{
  struct weir_limit_config limits[WEIR_LIMITS_MAX];
  struct books *b;

  (void)state;
  for (uint32_t i = 0; i < WEIR_LIMITS_MAX; i++)
    limits[i] = limit_of(WEIR_DIMENSION_REQUESTS, (i + 1) * HOUR, 10);
  b = books_open(limits, WEIR_LIMITS_MAX, WEIR_PROFILE_WINDOW, SECOND);
  books_take(b, cost_of(1, 0, 0));
  /* Another one first, the old ones behind it but for the last. */
  b->limits[0].window_us = MINUTE;
  memcpy(&b->limits[1], &limits[0], (WEIR_LIMITS_MAX - 1) * sizeof(limits[0]));
  books_configure(b);
  assert_int_equal(b->ledger.limits[0].ring.used, 0);
  for (uint32_t i = 1; i < WEIR_LIMITS_MAX; i++) {
    assert_int_equal(b->ledger.limits[i].config.window_us, b->limits[i].window_us);
    assert_int_equal(b->ledger.limits[i].ring.used, 1);
  }
  weir_ledger_check(&b->ledger);
}

/* A grant may lie a horizon ahead of the reload: what it holds counts from there. */
static void a_new_limit_waits_for_what_starts_after_the_reload(void **state)
{
  struct books *b = books_pool(10, 1000);

  (void)state;
  books_take_at(b, cost_of(1, 10, 0), SECOND + 20000);
  b->limits[b->limits_count++] = limit_of(WEIR_DIMENSION_REQUESTS, 10 * SECOND, 5);
  books_configure(b);
  assert_int_equal(books_earliest(b, cost_of(1, 10, 0), NULL),
                   SECOND + 20000 + WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US + 10 * SECOND);
}

static void a_reload_that_changes_nothing_stops_nothing(void **state)
{
  (void)state;
  for (enum weir_profile p = WEIR_PROFILE_WINDOW; p <= WEIR_PROFILE_UNIVERSAL; p++) {
    const struct weir_limit_config limit = limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, 6000);
    struct books *b = books_open(&limit, 1, p, SECOND);
    struct lease lease;

    lease = books_take(b, cost_of(30, 0, 0));
    books_configure(b);
    /* What is in the books of sub-windows stays in them, and can be settled. */
    if (p >= WEIR_PROFILE_PACED)
      assert_int_equal(b->ledger.sub.used, 30);
    books_end(b, &lease, cost_of(20, 0, 0), SECOND);
    assert_int_equal(books_earliest(b, cost_of(1, 0, 0), NULL), SECOND);
  }
}

static void a_former_life_counts_as_spent_for_short_windows_only(void **state)
{
  const struct weir_limit_config limits[] = {
      limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, 10),
      limit_of(WEIR_DIMENSION_INPUT_TOKENS, MINUTE, 1000),
      limit_of(WEIR_DIMENSION_REQUESTS, WEIR_DAY_WINDOW_US, 100)};
  struct books *b = books_open(limits, 3, WEIR_PROFILE_WINDOW, 100 * SECOND);

  (void)state;
  weir_ledger_assume_spent(&b->ledger, 80 * SECOND);
  assert_int_equal(books_earliest(b, cost_of(1, 10, 0), NULL),
                   80 * SECOND + WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US + MINUTE);
  assert_int_equal(books_used(b, 0), 10);
  assert_int_equal(books_used(b, 2), 0);
}

static void a_limit_raised_after_a_restart_stays_closed_until_the_former_life_is_over(void **state)
{
  struct books *b = books_pool(10, 1000);

  (void)state;
  weir_ledger_assume_spent(&b->ledger, SECOND);
  b->limits[0].amount = 20;
  b->limits[1].amount = 2000;
  b->now.at = 2 * SECOND;
  books_configure(b);
  assert_int_equal(books_earliest(b, cost_of(1, 10, 0), NULL),
                   SECOND + WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US + MINUTE);
}

static void an_eta_counts_the_windows_that_the_queue_ahead_fills(void **state)
{
  struct books *b = books_pool(10, 1000);
  const struct weir_cost ahead = cost_of(25, 250, 0), one = cost_of(1, 10, 0);

  (void)state;
  assert_int_equal(weir_ledger_eta(&b->ledger, &ahead, &one, SECOND, &b->now, NULL),
                   SECOND + 2 * MINUTE);
}

static void pace_is_the_time_in_which_the_binding_limit_produces_the_cost(void **state)
{
  struct books *b = books_pool(60, 6000);

  (void)state;
  assert_int_equal(
      weir_ledger_pace_us(&b->ledger, &(struct weir_cost){.requests = 1, .input_tokens = 50}),
      SECOND);
  assert_int_equal(
      weir_ledger_pace_us(&b->ledger, &(struct weir_cost){.requests = 1, .input_tokens = 500}),
      5 * SECOND);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_full_limit_blocks_until_the_oldest_lease_can_no_longer_matter),
      cmocka_unit_test(every_limit_is_charged_in_its_own_dimension),
      cmocka_unit_test(a_settle_narrows_the_arrival_and_gives_back_what_was_not_used),
      cmocka_unit_test(a_settle_can_neither_widen_a_lease_nor_precede_its_start),
      cmocka_unit_test(an_unused_lease_comes_back_whole),
      cmocka_unit_test(a_settle_after_the_window_changes_nothing),
      cmocka_unit_test(debt_keeps_the_window_full_until_it_has_drained),
      cmocka_unit_test(what_exceeds_a_whole_limit_can_never_fit),
      cmocka_unit_test(a_start_is_never_before_an_earlier_one),
      cmocka_unit_test(a_cut_limit_shrinks_by_expiry_and_is_never_negative),
      cmocka_unit_test(a_call_larger_than_a_cut_limit_takes_the_whole_of_it),
      cmocka_unit_test(a_limit_added_to_a_running_pool_starts_as_spent),
      cmocka_unit_test(a_burst_takes_effect_at_once_but_in_a_long_window),
      cmocka_unit_test(limits_that_change_places_keep_their_history),
      cmocka_unit_test(one_limit_changed_in_a_full_pool_leaves_the_others_their_history),
      cmocka_unit_test(a_new_limit_waits_for_what_starts_after_the_reload),
      cmocka_unit_test(a_reload_that_changes_nothing_stops_nothing),
      cmocka_unit_test(a_former_life_counts_as_spent_for_short_windows_only),
      cmocka_unit_test(a_limit_raised_after_a_restart_stays_closed_until_the_former_life_is_over),
      cmocka_unit_test(an_eta_counts_the_windows_that_the_queue_ahead_fills),
      cmocka_unit_test(pace_is_the_time_in_which_the_binding_limit_produces_the_cost),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
