#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <weir/ledger.h>

#define SECOND WEIR_US_PER_S
#define MINUTE WEIR_US_PER_MIN
#define HOLD   (2100 * WEIR_US_PER_MS)

static uint64_t slots[WEIR_LIMITS_MAX * WEIR_RING_SLOTS];

static struct weir_pool_config pool_of(uint64_t rpm, uint64_t tpm)
{
  return (struct weir_pool_config){
      .name = "p",
      .limits_count = 2,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = rpm},
                 {.dimension = WEIR_DIMENSION_INPUT_TOKENS, .window_us = MINUTE, .amount = tpm}},
      .ttl_us = 2 * SECOND,
      .jitter_us = 100 * WEIR_US_PER_MS};
}

static struct weir_ledger ledger_of(const struct weir_pool_config *config)
{
  struct weir_ledger l;

  weir_ledger_init(&l, slots, config, SECOND);
  return l;
}

static struct weir_ledger_entry take(struct weir_ledger *l, struct weir_cost cost, weir_tstamp now)
{
  struct weir_ledger_entry entry;
  weir_tstamp start = weir_ledger_earliest(l, &cost, now, now, NULL);

  assert_int_equal(start, now);
  weir_ledger_take(l, &cost, start, now, &entry);
  return entry;
}

static void a_full_limit_blocks_until_the_oldest_lease_can_no_longer_matter(void **state)
{
  struct weir_pool_config config = pool_of(1, 1000000);
  struct weir_ledger l = ledger_of(&config);
  const struct weir_cost one = {1, 10, 0};
  weir_tstamp at;
  int binding;

  (void)state;
  take(&l, one, SECOND);
  at = weir_ledger_earliest(&l, &one, SECOND, SECOND, &binding);
  assert_true(at > SECOND + HOLD + MINUTE);
  assert_true(at <= SECOND + HOLD + MINUTE + l.limits[0].ring.slot_us);
  assert_int_equal(binding, 0);
}

static void every_limit_is_charged_in_its_own_dimension(void **state)
{
  struct weir_pool_config config = pool_of(100, 1000);
  struct weir_ledger l = ledger_of(&config);

  (void)state;
  take(&l, (struct weir_cost){1, 700, 5}, SECOND);
  assert_int_equal(l.limits[0].ring.used, 1);
  assert_int_equal(l.limits[1].ring.used, 700);
  assert_int_equal(weir_ledger_cost_of(&(struct weir_cost){1, 700, 5}, WEIR_DIMENSION_TOTAL_TOKENS),
                   705);
}

static void a_settle_narrows_the_arrival_and_gives_back_what_was_not_used(void **state)
{
  struct weir_pool_config config = pool_of(1, 1000);
  struct weir_ledger l = ledger_of(&config);
  struct weir_ledger_entry entry = take(&l, (struct weir_cost){1, 900, 0}, SECOND);
  const struct weir_cost actual = {1, 400, 0}, next = {1, 600, 0};
  weir_tstamp at;

  (void)state;
  weir_ledger_settle(&l, &entry, &actual, SECOND + 100 * WEIR_US_PER_MS, 2 * SECOND);
  assert_int_equal(l.limits[1].ring.used, 400);
  at = weir_ledger_earliest(&l, &next, 2 * SECOND, 2 * SECOND, NULL);
  /* A request's slot is free a window after 1.1 s, not after 1 s + hold. */
  assert_true(at > SECOND + 100 * WEIR_US_PER_MS + MINUTE);
  assert_true(at < SECOND + HOLD + MINUTE);
}

static void an_unused_lease_comes_back_whole(void **state)
{
  struct weir_pool_config config = pool_of(10, 1000);
  struct weir_ledger l = ledger_of(&config);
  struct weir_ledger_entry entry = take(&l, (struct weir_cost){1, 900, 0}, SECOND);
  const struct weir_cost nothing = {0};

  (void)state;
  weir_ledger_settle(&l, &entry, &nothing, 0, SECOND);
  assert_int_equal(l.limits[0].ring.used, 0);
  assert_int_equal(l.limits[1].ring.used, 0);
}

static void debt_keeps_the_window_full_until_it_has_drained(void **state)
{
  struct weir_pool_config config = pool_of(10, 1000);
  struct weir_ledger l = ledger_of(&config);
  struct weir_ledger_entry entry = take(&l, (struct weir_cost){1, 900, 0}, SECOND);
  const struct weir_cost actual = {1, 5000, 0}, small = {1, 1, 0};

  (void)state;
  weir_ledger_settle(&l, &entry, &actual, SECOND, 2 * SECOND);
  assert_int_equal(l.limits[1].ring.used, 5000);
  assert_true(weir_ledger_earliest(&l, &small, 2 * SECOND, 2 * SECOND, NULL) > SECOND + MINUTE);
}

static void what_exceeds_a_whole_limit_can_never_fit(void **state)
{
  struct weir_pool_config config = pool_of(10, 1000);
  struct weir_ledger l = ledger_of(&config);
  const struct weir_cost huge = {1, 1001, 0};
  int binding;

  (void)state;
  assert_int_equal(weir_ledger_misfit(&l, &huge), 1);
  assert_true(weir_ledger_earliest(&l, &huge, SECOND, SECOND, &binding) == WEIR_NEVER);
  assert_int_equal(binding, 1);
}

static void a_cut_limit_shrinks_by_expiry_and_is_never_negative(void **state)
{
  struct weir_pool_config config = pool_of(10, 1000), cut = pool_of(10, 100);
  struct weir_ledger l = ledger_of(&config);
  const struct weir_cost small = {1, 50, 0};

  (void)state;
  take(&l, (struct weir_cost){1, 900, 0}, SECOND);
  weir_ledger_configure(&l, &cut, SECOND);
  assert_int_equal(l.limits[1].ring.used, 900);
  assert_true(weir_ledger_earliest(&l, &small, SECOND, SECOND, NULL) > SECOND + MINUTE);
  assert_int_equal(weir_ledger_earliest(&l, &small, 3 * MINUTE, 3 * MINUTE, NULL), 3 * MINUTE);
}

static void a_limit_added_to_a_running_pool_starts_as_spent(void **state)
{
  struct weir_pool_config config = pool_of(10, 1000), more = pool_of(10, 1000);
  struct weir_ledger l = ledger_of(&config);
  const struct weir_cost one = {1, 10, 0}, nothing = {0};
  struct weir_ledger_entry before = take(&l, one, SECOND);
  int binding;

  (void)state;
  more.limits[2] = (struct weir_limit_config){
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = 10 * SECOND, .amount = 5};
  more.limits_count = 3;
  weir_ledger_configure(&l, &more, SECOND);
  assert_true(weir_ledger_earliest(&l, &one, SECOND, SECOND, &binding) > 11 * SECOND);
  assert_int_equal(binding, 2);
  /* A lease of before is in no ring of the new limit: settling it must not touch that. */
  weir_ledger_settle(&l, &before, &nothing, 0, SECOND);
  assert_int_equal(weir_ledger_used(&l, 2, SECOND), 5);
  weir_ledger_check(&l);
}

static void limits_that_change_places_keep_their_history(void **state)
{
  struct weir_pool_config config = pool_of(10, 1000), swapped = pool_of(10, 1000);
  struct weir_ledger l = ledger_of(&config);
  struct weir_ledger_entry entry = take(&l, (struct weir_cost){1, 300, 0}, SECOND);
  const struct weir_cost nothing = {0};

  (void)state;
  swapped.limits[0] = config.limits[1];
  swapped.limits[1] = config.limits[0];
  weir_ledger_configure(&l, &swapped, SECOND);
  assert_int_equal(l.limits[0].ring.used, 300);
  assert_int_equal(l.limits[1].ring.used, 1);
  weir_ledger_settle(&l, &entry, &nothing, 0, SECOND);
  assert_int_equal(l.limits[0].ring.used, 0);
}

static void one_limit_changed_in_a_full_pool_leaves_the_others_their_history(void **state)
{
  struct weir_pool_config config = pool_of(10, 1000), changed;
  struct weir_ledger l;

  (void)state;
  config.limits_count = WEIR_LIMITS_MAX;
  for (uint32_t i = 0; i < WEIR_LIMITS_MAX; i++)
    config.limits[i] = (struct weir_limit_config){.dimension = WEIR_DIMENSION_REQUESTS,
                                                  .window_us = (i + 1) * WEIR_US_PER_HOUR,
                                                  .amount = 10};
  weir_ledger_init(&l, slots, &config, SECOND);
  take(&l, (struct weir_cost){1, 0, 0}, SECOND);
  /* Another one first, the old ones behind it but for the last. */
  changed = config;
  changed.limits[0].window_us = MINUTE;
  memcpy(&changed.limits[1], &config.limits[0], (WEIR_LIMITS_MAX - 1) * sizeof(config.limits[0]));
  weir_ledger_configure(&l, &changed, SECOND);
  assert_int_equal(l.limits[0].ring.used, 0);
  for (uint32_t i = 1; i < WEIR_LIMITS_MAX; i++) {
    assert_int_equal(l.limits[i].config.window_us, changed.limits[i].window_us);
    assert_int_equal(l.limits[i].ring.used, 1);
  }
  weir_ledger_check(&l);
}

/* A grant may lie a horizon ahead of the reload: what it holds counts from there. */
static void a_new_limit_waits_for_what_starts_after_the_reload(void **state)
{
  struct weir_pool_config config = pool_of(10, 1000), more = pool_of(10, 1000);
  struct weir_ledger l = ledger_of(&config);
  const struct weir_cost one = {1, 10, 0};

  (void)state;
  take(&l, one, SECOND + 20000);
  more.limits[2] = (struct weir_limit_config){
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = 10 * SECOND, .amount = 5};
  more.limits_count = 3;
  weir_ledger_configure(&l, &more, SECOND);
  assert_int_equal(weir_ledger_earliest(&l, &one, SECOND, SECOND, NULL),
                   SECOND + 20000 + WEIR_HOLD_MAX_US + 10 * SECOND);
}

static void a_former_life_counts_as_spent_for_short_windows_only(void **state)
{
  struct weir_pool_config config = pool_of(10, 1000);
  struct weir_ledger l;
  const struct weir_cost one = {1, 10, 0};
  weir_tstamp at;

  (void)state;
  config.limits[2] = (struct weir_limit_config){
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = WEIR_DAY_WINDOW_US, .amount = 100};
  config.limits_count = 3;
  weir_ledger_init(&l, slots, &config, 100 * SECOND);
  weir_ledger_assume_spent(&l, 80 * SECOND);
  at = weir_ledger_earliest(&l, &one, 100 * SECOND, 100 * SECOND, NULL);
  assert_int_equal(at, 80 * SECOND + WEIR_HOLD_MAX_US + MINUTE);
  assert_int_equal(weir_ledger_used(&l, 0, 100 * SECOND), 10);
  assert_int_equal(weir_ledger_used(&l, 2, 100 * SECOND), 0);
}

static void a_limit_raised_after_a_restart_stays_closed_until_the_former_life_is_over(void **state)
{
  struct weir_pool_config config = pool_of(10, 1000), raised = pool_of(20, 2000);
  struct weir_ledger l = ledger_of(&config);
  const struct weir_cost one = {1, 10, 0};

  (void)state;
  weir_ledger_assume_spent(&l, SECOND);
  weir_ledger_configure(&l, &raised, 2 * SECOND);
  assert_int_equal(weir_ledger_earliest(&l, &one, 2 * SECOND, 2 * SECOND, NULL),
                   SECOND + WEIR_HOLD_MAX_US + MINUTE);
}

static void an_eta_counts_the_windows_that_the_queue_ahead_fills(void **state)
{
  struct weir_pool_config config = pool_of(10, 1000);
  struct weir_ledger l = ledger_of(&config);
  const struct weir_cost ahead = {25, 250, 0}, one = {1, 10, 0};
  weir_tstamp at = weir_ledger_eta(&l, &ahead, &one, SECOND, SECOND, NULL);

  (void)state;
  assert_int_equal(at, SECOND + 2 * MINUTE);
}

static void pace_is_the_time_in_which_the_binding_limit_produces_the_cost(void **state)
{
  struct weir_pool_config config = pool_of(60, 6000);
  struct weir_ledger l = ledger_of(&config);

  (void)state;
  assert_int_equal(weir_ledger_pace_us(&l, &(struct weir_cost){1, 50, 0}), SECOND);
  assert_int_equal(weir_ledger_pace_us(&l, &(struct weir_cost){1, 500, 0}), 5 * SECOND);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_full_limit_blocks_until_the_oldest_lease_can_no_longer_matter),
      cmocka_unit_test(every_limit_is_charged_in_its_own_dimension),
      cmocka_unit_test(a_settle_narrows_the_arrival_and_gives_back_what_was_not_used),
      cmocka_unit_test(an_unused_lease_comes_back_whole),
      cmocka_unit_test(debt_keeps_the_window_full_until_it_has_drained),
      cmocka_unit_test(what_exceeds_a_whole_limit_can_never_fit),
      cmocka_unit_test(a_cut_limit_shrinks_by_expiry_and_is_never_negative),
      cmocka_unit_test(a_limit_added_to_a_running_pool_starts_as_spent),
      cmocka_unit_test(limits_that_change_places_keep_their_history),
      cmocka_unit_test(one_limit_changed_in_a_full_pool_leaves_the_others_their_history),
      cmocka_unit_test(a_new_limit_waits_for_what_starts_after_the_reload),
      cmocka_unit_test(a_former_life_counts_as_spent_for_short_windows_only),
      cmocka_unit_test(a_limit_raised_after_a_restart_stays_closed_until_the_former_life_is_over),
      cmocka_unit_test(an_eta_counts_the_windows_that_the_queue_ahead_fills),
      cmocka_unit_test(pace_is_the_time_in_which_the_binding_limit_produces_the_cost),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
