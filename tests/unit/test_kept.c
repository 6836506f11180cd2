/* What outlives a ledger: two lives of one, and its records. */
#include "ledger_fixture.h"

#include <stdbool.h>

static struct {
  struct weir_record records[WEIR_LEDGER_RECORDS_MAX];
  uint32_t count;
} kept;

static void keep(struct books *b)
{
  kept.count = weir_ledger_keep(&b->ledger, "pool", &b->now, kept.records);
}

static void keep_durable(struct books *b)
{
  keep(b);
  weir_ledger_kept(&b->ledger, true);
}

static struct books *books_kept(uint64_t rpm, uint64_t tpm)
{
  struct books *b = books_pool(rpm, tpm);

  b->now.at = HOUR;
  weir_ledger_shape(&b->ledger, 1);
  keep_durable(b);
  return b;
}

/* The next life, which begins when the last grants of the former one have started. */
static void die(struct books *b, uint64_t members)
{
  const struct weir_ledger_config config = config_of(b);
  struct weir_past past = {.records = kept.records, .count = kept.count, .is_same_boot = true};

  past.started_until = b->now.at;
  b->now.number = 1;
  weir_ledger_init(&b->ledger, b->slots, &config, &b->now);
  weir_ledger_shape(&b->ledger, members);
  weir_ledger_restore(&b->ledger, "pool", &past, &b->now);
  weir_ledger_check(&b->ledger);
}

static bool is_covered(struct books *b, struct weir_cost cost)
{
  const struct lease lease = lease_of(b, cost, b->now.at);

  return weir_ledger_is_covered(&b->ledger, &lease.entry);
}

static void grants_use_the_reserve_and_a_record_renews_it(void **state)
{
  struct books *b = books_kept(600, 1000000);

  (void)state;
  for (int i = 0; i < 6; i++) { /* 1 % of 600 */
    assert_true(is_covered(b, cost_of(1, 10, 0)));
    books_take(b, cost_of(1, 10, 0));
  }
  assert_false(is_covered(b, cost_of(1, 10, 0)));
  assert_int_equal(b->ledger.urge, WEIR_URGE_NOW);
  keep(b);
  assert_false(is_covered(b, cost_of(1, 10, 0))); /* it is not durable yet */
  weir_ledger_kept(&b->ledger, true);
  assert_true(is_covered(b, cost_of(1, 10, 0)));
}

static void what_is_granted_while_a_record_is_written_is_taken_from_it_too(void **state)
{
  struct books *b = books_kept(600, 1000000);

  (void)state;
  books_take(b, cost_of(1, 10, 0));
  keep(b);
  for (int i = 0; i < 4; i++)
    books_take(b, cost_of(1, 10, 0));
  weir_ledger_kept(&b->ledger, true);
  assert_true(is_covered(b, cost_of(2, 10, 0)));
  assert_false(is_covered(b, cost_of(3, 10, 0)));
}

static void a_smaller_reserve_counts_as_soon_as_it_may_be_in_the_store(void **state)
{
  struct books *b = books_kept(600, 1000000);

  (void)state;
  assert_false(is_covered(b, cost_of(100, 10, 0)));
  keep_durable(b);
  assert_true(is_covered(b, cost_of(99, 10, 0)));
  for (int i = 0; i < 64; i++) { /* nothing as large comes again */
    const uint64_t before = b->ledger.limits[0].left;

    keep(b);
    assert_true(b->ledger.limits[0].left <= b->ledger.limits[0].reserve.next);
    assert_true(b->ledger.limits[0].left <= before);
    weir_ledger_kept(&b->ledger, true);
  }
  assert_false(is_covered(b, cost_of(40, 10, 0)));
}

/* The amounts are those that are granted out of: what was learned of one is not of the other. */
static void another_part_of_islands_keeps_charges_and_nothing_that_was_learned(void **state)
{
  const uint64_t parts[] = {60, 0}, ceilings[] = {400, 600};

  (void)state;
  for (int i = 0; i < 2; i++) {
    struct books *b = books_kept(600, 1000000);

    b->limits[0].islands = 60;
    books_configure(b);
    books_take(b, cost_of(100, 10, 0));
    b->ledger.limits[0].ceiling = 400;
    b->ledger.limits[0].effective = b->ledger.limits[0].cut_amount = 400;
    b->ledger.is_calm = false;
    keep_durable(b);
    b->limits[0].islands = parts[i];
    die(b, 1);
    assert_int_equal(b->ledger.limits[0].ceiling, ceilings[i]);
    assert_int_equal(b->ledger.limits[0].closed_until, 0);
    assert_in_range(b->ledger.limits[0].ring.used, 100, 206);
  }
}

static void a_reload_of_islands_forgets_what_was_learned_of_the_same_amount(void **state)
{
  struct books *b = books_pool(600, 1000000);

  (void)state;
  b->ledger.limits[0].ceiling = b->ledger.limits[0].effective = 400;
  books_configure(b);
  assert_int_equal(b->ledger.limits[0].ceiling, 400);
  b->limits[0].islands = 60;
  books_configure(b);
  assert_int_equal(b->ledger.limits[0].ceiling, 600);
}

/* A grant that waits finds enough, whatever others take meanwhile. */
static void others_cannot_use_up_what_a_grant_waits_for(void **state)
{
  struct books *b = books_kept(600, 1000000);

  (void)state;
  assert_false(is_covered(b, cost_of(7, 10, 0)));
  keep(b);
  for (int i = 0; i < 6; i++)
    books_take(b, cost_of(1, 10, 0));
  weir_ledger_kept(&b->ledger, true);
  assert_true(is_covered(b, cost_of(7, 10, 0)));
}

static void debt_uses_the_reserve(void **state)
{
  struct books *b = books_kept(600, 1000000);
  struct lease lease = books_take(b, cost_of(1, 1000, 0));

  (void)state;
  assert_true(is_covered(b, cost_of(1, 8000, 0)));
  books_end(b, &lease, cost_of(1, 4000, 0), b->now.at);
  assert_true(is_covered(b, cost_of(1, 6000, 0)));
  assert_false(is_covered(b, cost_of(1, 6001, 0)));
}

/* The next life knows no errors of its own, but what is out may cost more than it reserved. */
static void the_head_room_of_what_is_out_stays_free(void **state)
{
  struct books *b = books_kept(600, 1000000);

  (void)state;
  b->rules.error_pm = 100;
  for (int i = 0; i < 25; i++) {
    books_take(b, cost_of(1, 10000, 0));
    keep_durable(b);
  }
  die(b, 1);
  /* 25 calls of 10,000 by 10 %, four times the root of their squares; and a reserve. */
  assert_int_equal(books_used(b, 1), 250000 + 4 * 5000 + 10000);
}

static void records_of_something_else_close_the_window(void **state)
{
  struct books *b = books_kept(600, 1000000);

  (void)state;
  die(b, 2);
  assert_int_equal(books_used(b, 0), 600);
  b->now.at += 72 * SECOND;
  assert_int_equal(books_used(b, 0), 0);
}

static void a_limit_that_has_no_record_is_closed_and_so_are_those_beside_it(void **state)
{
  struct books *b = books_kept(600, 1000000);

  (void)state;
  b->limits[b->limits_count++] = limit_of(WEIR_DIMENSION_REQUESTS, 10 * SECOND, 100);
  die(b, 1);
  assert_int_equal(books_used(b, 0), 600);
  assert_int_equal(books_used(b, 2), 100);
}

/* Charges come back a step later than they would have, and no sooner. */
static void charges_come_back_a_step_late_at_most(void **state)
{
  struct books *b = books_kept(600, 100000000);
  struct lease lease;

  (void)state;
  for (int i = 0; i < 40; i++) {
    lease = books_take(b, cost_of(1, 10, 0));
    books_end(b, &lease, cost_of(1, 10, 0), b->now.at);
    keep_durable(b);
    b->now.at += SECOND;
  }
  die(b, 1);
  for (int i = 1; i < 40; i++) {
    b->now.at = HOUR + MINUTE + (weir_tstamp)i * SECOND - 100 * MS;
    assert_in_range(books_used(b, 0), 40 - i + 6, 40 - i + 6 + 2);
  }
}

static void what_is_given_back_is_written_at_leisure(void **state)
{
  struct books *b = books_kept(600, 1000000);
  struct lease small = books_take(b, cost_of(1, 4000, 0)), large;

  (void)state;
  keep_durable(b);
  large = books_take(b, cost_of(1, 4000, 0));
  keep_durable(b);
  books_end(b, &small, cost_of(1, 100, 0), b->now.at);
  assert_int_equal(b->ledger.urge, WEIR_URGE_NONE); /* less than half of a reserve */
  books_end(b, &large, cost_of(1, 100, 0), b->now.at);
  assert_int_equal(b->ledger.urge, WEIR_URGE_LEISURE);
  keep_durable(b);
  assert_int_equal(b->ledger.urge, WEIR_URGE_NONE);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(grants_use_the_reserve_and_a_record_renews_it),
      cmocka_unit_test(what_is_granted_while_a_record_is_written_is_taken_from_it_too),
      cmocka_unit_test(a_smaller_reserve_counts_as_soon_as_it_may_be_in_the_store),
      cmocka_unit_test(another_part_of_islands_keeps_charges_and_nothing_that_was_learned),
      cmocka_unit_test(a_reload_of_islands_forgets_what_was_learned_of_the_same_amount),
      cmocka_unit_test(others_cannot_use_up_what_a_grant_waits_for),
      cmocka_unit_test(debt_uses_the_reserve),
      cmocka_unit_test(the_head_room_of_what_is_out_stays_free),
      cmocka_unit_test(records_of_something_else_close_the_window),
      cmocka_unit_test(a_limit_that_has_no_record_is_closed_and_so_are_those_beside_it),
      cmocka_unit_test(charges_come_back_a_step_late_at_most),
      cmocka_unit_test(what_is_given_back_is_written_at_leisure),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
