#include "ledger_fixture.h"

#include <weir/ramp.h>
#include <weir/rng.h>

#define PACE ((struct weir_ramp_pace){.growth_pm = 500, .per_us = MINUTE})

static struct weir_ramp begun(uint64_t used, uint64_t most)
{
  struct weir_ramp ramp = {0};

  weir_ramp_begin(&ramp, used, most, MINUTE, HOUR);
  return ramp;
}

static uint64_t amount(const struct weir_ramp *ramp, weir_tstamp at)
{
  return weir_ramp_amount(ramp, &PACE, at);
}

static void advance(struct weir_ramp *ramp, uint64_t used, weir_tstamp at)
{
  weir_ramp_advance(ramp, &PACE, used, 100000, at);
}

/* ---- the ceiling ---- */

static void begins_a_tenth_below_what_was_in_use(void **state)
{
  const struct weir_ramp ramp = begun(2000, 100000);

  (void)state;
  assert_int_equal(amount(&ramp, HOUR), 1800);
}

static void never_begins_below_a_hundredth_of_the_limit_nor_below_one(void **state)
{
  const struct weir_ramp ramp = begun(10, 100000), least = begun(0, 5);

  (void)state;
  assert_int_equal(amount(&ramp, HOUR), 1000);
  assert_int_equal(amount(&least, HOUR), 1);
}

static void grows_evenly_by_its_share_in_a_period_and_no_further(void **state)
{
  const struct weir_ramp ramp = begun(2000, 100000);

  (void)state;
  assert_int_equal(amount(&ramp, HOUR + MINUTE / 2), 1800 + 450);
  assert_int_equal(amount(&ramp, HOUR + MINUTE), 1800 + 900);
  assert_int_equal(amount(&ramp, 9 * HOUR), 1800 + 900);
}

static void grows_from_itself_where_it_was_used(void **state)
{
  struct weir_ramp ramp = begun(2000, 100000);

  (void)state;
  advance(&ramp, 1800, HOUR + MINUTE - 1);
  assert_int_equal(ramp.base, 1800);
  advance(&ramp, 1350, HOUR + MINUTE);
  assert_int_equal(ramp.base, 2700);
  assert_int_equal(amount(&ramp, HOUR + 2 * MINUTE), 4050);
}

static void falls_back_to_what_is_used_but_not_below_its_beginning(void **state)
{
  struct weir_ramp ramp = begun(2000, 100000);

  (void)state;
  advance(&ramp, 1800, HOUR + MINUTE);
  advance(&ramp, 2100, HOUR + 2 * MINUTE);
  assert_int_equal(ramp.base, 2700 * 3 / 2);
  advance(&ramp, 2500, HOUR + 3 * MINUTE - 1);
  advance(&ramp, 1, HOUR + 3 * MINUTE);
  assert_int_equal(ramp.base, 2500);
  advance(&ramp, 0, HOUR + 4 * MINUTE);
  assert_int_equal(ramp.base, 1800);
}

static void does_not_grow_while_what_was_in_use_before_drains(void **state)
{
  struct weir_ramp ramp = begun(2000, 100000);

  (void)state;
  advance(&ramp, 2701, HOUR + 1);
  advance(&ramp, 1800, HOUR + MINUTE);
  assert_int_equal(ramp.base, 1800);
  assert_int_equal(amount(&ramp, HOUR + MINUTE), 1800);
  advance(&ramp, 1800, HOUR + 2 * MINUTE);
  assert_int_equal(ramp.base, 2700);
}

static void what_is_above_it_when_all_has_drained_is_use_of_all_of_it(void **state)
{
  struct weir_ramp ramp = begun(2000, 100000);

  (void)state;
  advance(&ramp, 50000, HOUR + MINUTE);
  assert_int_equal(ramp.base, 1800);
  advance(&ramp, 50000, HOUR + 2 * MINUTE);
  assert_int_equal(ramp.base, 2700);
  weir_ramp_begin(&ramp, 2000, 100000, MINUTE, HOUR + 2 * MINUTE); /* something drains again */
  advance(&ramp, 50000, HOUR + 3 * MINUTE);
  assert_int_equal(ramp.base, 1800);
}

static void the_smallest_grows_by_one(void **state)
{
  struct weir_ramp ramp = begun(0, 5);

  (void)state;
  weir_ramp_advance(&ramp, &PACE, 1, 5, HOUR + MINUTE);
  assert_int_equal(ramp.base, 2);
}

static void is_over_when_it_has_reached_the_limit(void **state)
{
  struct weir_ramp ramp = begun(80000, 100000);

  (void)state;
  advance(&ramp, 72000, HOUR + MINUTE);
  assert_int_equal(ramp.base, 0);
  advance(&ramp, 72000, HOUR + 2 * MINUTE);
  assert_int_equal(ramp.base, 0);
}

static void is_over_when_nobody_grew_against_it_for_an_hour(void **state)
{
  struct weir_ramp ramp = begun(2000, 100000);

  (void)state;
  advance(&ramp, 0, HOUR + WEIR_RAMP_LAST_US - 1);
  assert_int_equal(ramp.base, 1800);
  advance(&ramp, 0, HOUR + WEIR_RAMP_LAST_US + MINUTE);
  assert_int_equal(ramp.base, 0);
}

static void another_rejection_never_raises_it(void **state)
{
  struct weir_ramp ramp = begun(2000, 100000);

  (void)state;
  weir_ramp_begin(&ramp, 9000, 100000, MINUTE, HOUR + MINUTE);
  assert_int_equal(ramp.base, 1800);
  weir_ramp_begin(&ramp, 1500, 100000, MINUTE, HOUR + MINUTE);
  assert_int_equal(ramp.base, 1350);
  assert_int_equal(ramp.first, 1350);
}

static void the_largest_amounts_do_not_overflow(void **state)
{
  struct weir_ramp ramp = begun(WEIR_LIMIT_MAX, WEIR_LIMIT_MAX);
  const struct weir_ramp_pace pace = {.growth_pm = UINT32_MAX, .per_us = 1};

  (void)state;
  assert_true(weir_ramp_amount(&ramp, &pace, WEIR_NEVER) > ramp.base);
}

/* ---- in a ledger ---- */

static struct books *ramp_books(uint64_t rpm, uint64_t tpm)
{
  const struct weir_limit_config limits[] = {limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, rpm),
                                             limit_of(WEIR_DIMENSION_INPUT_TOKENS, MINUTE, tpm),
                                             limit_of(WEIR_DIMENSION_REQUESTS, 24 * HOUR, 1000000)};
  struct books *b = books_open(limits, 3, WEIR_PROFILE_BUCKET, 1000 * SECOND);

  b->rules.ramp_pm = 500;
  b->rules.ramp_per_us = MINUTE;
  b->hold_us = 0;
  books_configure(b);
  return b;
}

static void reject(struct books *b, const struct lease *lease)
{
  const struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_RAMP_LIMIT,
                                         .retry_after_us = SECOND};

  assert_int_equal(weir_ledger_hear(&b->ledger, &lease->entry, &settle, &b->now),
                   WEIR_HEARD_REJECTION);
  weir_ledger_check(&b->ledger);
}

/* Two windows of |requests| of |tokens| each, evenly; the last of them is returned. */
static struct lease use(struct books *b, int requests, uint64_t tokens)
{
  struct lease lease = {0};

  for (int i = 0; i < 2 * requests; i++) {
    b->now.at += MINUTE / (weir_duration)requests;
    lease = books_take_at(b, cost_of(1, tokens, 0), b->now.at);
  }
  return lease;
}

static void a_rejection_holds_limits_of_a_minute_to_what_was_in_use_and_no_day(void **state)
{
  struct books *b = ramp_books(1000, 1000000);
  struct lease last = use(b, 100, 1000);

  (void)state;
  reject(b, &last);
  assert_in_range(b->ledger.limits[0].effective, 88, 90);
  assert_in_range(b->ledger.limits[1].effective, 88000, 90000);
  assert_int_equal(b->ledger.limits[2].effective, 1000000);
  assert_true(weir_ledger_wake(&b->ledger, b->now.at) <= b->now.at + SECOND);
}

static void what_was_on_its_way_when_it_was_heard_changes_nothing(void **state)
{
  struct books *b = ramp_books(1000, 1000000);
  struct lease last = use(b, 100, 1000);
  uint64_t kept;

  (void)state;
  reject(b, &last);
  kept = b->ledger.limits[0].effective;
  b->now.at += 90 * SECOND; /* nothing in use any more */
  weir_ledger_used(&b->ledger, 0, &b->now);
  reject(b, &last);
  assert_true(b->ledger.limits[0].effective >= kept);
  assert_int_equal(b->ledger.ramp_slower, 0);
}

static void a_later_rejection_halves_the_growth(void **state)
{
  struct books *b = ramp_books(1000, 1000000);
  struct lease last = use(b, 100, 1000);

  (void)state;
  reject(b, &last);
  last = use(b, 80, 1000);
  reject(b, &last);
  assert_int_equal(b->ledger.ramp_slower, 1);
  assert_in_range(b->ledger.limits[0].ramp.base, 70, 73);
  b->now.at += MINUTE - 1;
  weir_ledger_used(&b->ledger, 0, &b->now);
  assert_in_range(b->ledger.limits[0].effective, 86, 91);
}

static void without_growth_only_the_freeze_follows(void **state)
{
  struct books *b = ramp_books(1000, 1000000);
  struct lease last;

  (void)state;
  b->rules.ramp_pm = 0;
  books_configure(b);
  last = use(b, 100, 1000);
  reject(b, &last);
  assert_int_equal(b->ledger.limits[0].effective, 1000);
  assert_int_equal(b->ledger.frozen_until, b->now.at + SECOND);
}

static void a_reload_without_growth_ends_it(void **state)
{
  struct books *b = ramp_books(1000, 1000000);
  struct lease last = use(b, 100, 1000);

  (void)state;
  reject(b, &last);
  b->rules.ramp_pm = 0;
  books_configure(b);
  assert_int_equal(b->ledger.limits[0].effective, 1000);
  assert_int_equal(b->ledger.limits[1].effective, 1000000);
}

static void a_cut_and_a_ramp_hold_each_for_itself(void **state)
{
  struct books *b = ramp_books(1000, 1000000);
  struct lease last = use(b, 100, 1000);
  const struct weir_msg_settle left = {
      .outcome = WEIR_OUTCOME_OK, .requests_limit = 1000, .requests_left = 500};

  (void)state;
  weir_ledger_hear(&b->ledger, &last.entry, &left, &b->now);
  assert_in_range(b->ledger.limits[0].effective, 590, 610);
  reject(b, &last);
  assert_in_range(b->ledger.limits[0].effective, 88, 90);
  assert_in_range(b->ledger.limits[0].cut_amount, 590, 610);
  b->rules.ramp_pm = 0;
  books_configure(b);
  assert_in_range(b->ledger.limits[0].effective, 590, 610);
}

static struct lease take_when_it_fits(struct books *b, struct weir_cost cost)
{
  weir_tstamp at;

  while ((at = books_earliest(b, cost, NULL)) > b->now.at)
    b->now.at = at;
  return books_take(b, cost);
}

/* Such a call gets an empty window to itself, however small the ceiling is. */
static void one_call_a_minute_that_is_larger_than_the_ceiling_lets_it_grow(void **state)
{
  struct books *b = ramp_books(1000, 1000000);
  struct lease last;
  weir_tstamp start;

  (void)state;
  last = take_when_it_fits(b, cost_of(1, 200000, 0));
  start = b->now.at;
  reject(b, &last);
  assert_int_equal(b->ledger.limits[1].effective, 90000);
  for (int i = 0; i < 10; i++) {
    last = take_when_it_fits(b, cost_of(1, 200000, 0));
    b->now.at += 5 * SECOND;
    books_end(b, &last, cost_of(1, 200000, 0), last.entry.arrival_max);
  }
  assert_true(b->now.at < start + 11 * MINUTE);
  assert_true(b->ledger.limits[1].effective >= 200000);
}

/* ---- a provider that enforces it ---- */

/* What it lets through in a minute: a share more than in the one before, or some tokens more. */
struct provider {
  uint64_t least, step;
  uint32_t growth_pm;
  weir_tstamp minute; /* when its minute began */
  uint64_t cap, used;
};

static bool takes(struct provider *p, uint64_t tokens, weir_tstamp at)
{
  for (; at >= p->minute + MINUTE; p->minute += MINUTE) {
    const uint64_t grown = p->step ? p->cap + p->step : p->used * (1000 + p->growth_pm) / 1000;

    p->cap = grown > p->least ? grown : p->least;
    p->used = 0;
  }
  if (p->used + tokens > p->cap)
    return false;
  p->used += tokens;
  return true;
}

struct loop {
  struct weir_rng rng;
  struct books *books;
  struct provider provider;
  int rejected, after; /* all, and those that started after the first was heard */
  uint64_t heard_number;
};

/* One call at |at|: it arrives within its hold and is settled when it has. */
static void call_once(struct loop *l, uint64_t tokens)
{
  struct books *b = l->books;
  struct lease lease = books_take_at(b, cost_of(1, tokens, 0), b->now.at);
  const weir_tstamp arrival = b->now.at + weir_rng_below(&l->rng, 50 * MS);
  struct weir_ledger_entry after = lease.entry;

  if (!takes(&l->provider, tokens, arrival)) {
    l->rejected++;
    l->after += l->heard_number > 0;
    reject(b, &lease);
    if (l->heard_number == 0)
      l->heard_number = b->now.number;
  }
  after.is_open = false;
  books_settle(b, &lease, &after);
}

/* A backlog for |span| under |provider|; returns when the limit was whole again, after the start.
 */
static weir_duration backlog(struct loop *l, uint64_t tpm, uint32_t growth_pm, weir_duration span)
{
  struct books *b = ramp_books(100000, tpm);
  const weir_tstamp start = b->now.at;
  weir_duration whole = 0;

  l->books = b;
  b->rules.ramp_pm = growth_pm;
  b->hold_us = 100 * MS;
  books_configure(b);
  l->provider.minute = start - weir_rng_below(&l->rng, MINUTE);
  l->provider.cap = l->provider.least;
  while (b->now.at < start + span) {
    const uint64_t tokens = 200 + weir_rng_below(&l->rng, 3000);
    const weir_tstamp at = books_earliest(b, cost_of(1, tokens, 0), NULL);

    if (at > b->now.at) {
      b->now.at = at < b->now.at + SECOND / 4 ? at : b->now.at + SECOND / 4;
      weir_ledger_used(&b->ledger, 0, &b->now);
      continue;
    }
    call_once(l, tokens);
    if (l->heard_number > 0 && whole == 0 && b->ledger.limits[1].effective == tpm)
      whole = b->now.at - start;
  }
  return whole;
}

static void a_fleet_grows_as_fast_as_a_provider_lets_it_and_is_rejected_once(void **state)
{
  (void)state;
  for (uint64_t seed = 1; seed <= 6; seed++) {
    struct loop l = {.provider = {.least = 60000, .growth_pm = 500}};
    weir_duration whole;

    weir_rng_init(&l.rng, seed);
    whole = backlog(&l, 1000000, 400, 16 * MINUTE);
    assert_int_equal(l.rejected, 1);
    assert_int_equal(l.after, 0);
    assert_in_range(whole, 8 * MINUTE, 14 * MINUTE);
  }
}

static void a_fleet_keeps_to_steps_of_tokens_a_minute_too(void **state)
{
  (void)state;
  for (uint64_t seed = 1; seed <= 6; seed++) {
    struct loop l = {.provider = {.least = 58276, .step = 10000}};

    weir_rng_init(&l.rng, seed);
    backlog(&l, 150000, 100, 20 * MINUTE);
    assert_int_equal(l.rejected, 1);
    assert_int_equal(l.after, 0);
    assert_int_equal(l.books->ledger.limits[1].effective, 150000);
  }
}

static void who_grows_too_fast_is_rejected_less_and_less(void **state)
{
  (void)state;
  for (uint64_t seed = 1; seed <= 6; seed++) {
    struct loop l = {.provider = {.least = 60000, .growth_pm = 150}};

    weir_rng_init(&l.rng, seed);
    backlog(&l, 500000, 1000, 30 * MINUTE);
    assert_in_range(l.rejected, 2, 6);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(begins_a_tenth_below_what_was_in_use),
      cmocka_unit_test(never_begins_below_a_hundredth_of_the_limit_nor_below_one),
      cmocka_unit_test(grows_evenly_by_its_share_in_a_period_and_no_further),
      cmocka_unit_test(grows_from_itself_where_it_was_used),
      cmocka_unit_test(falls_back_to_what_is_used_but_not_below_its_beginning),
      cmocka_unit_test(does_not_grow_while_what_was_in_use_before_drains),
      cmocka_unit_test(what_is_above_it_when_all_has_drained_is_use_of_all_of_it),
      cmocka_unit_test(the_smallest_grows_by_one),
      cmocka_unit_test(is_over_when_it_has_reached_the_limit),
      cmocka_unit_test(is_over_when_nobody_grew_against_it_for_an_hour),
      cmocka_unit_test(another_rejection_never_raises_it),
      cmocka_unit_test(the_largest_amounts_do_not_overflow),
      cmocka_unit_test(a_rejection_holds_limits_of_a_minute_to_what_was_in_use_and_no_day),
      cmocka_unit_test(what_was_on_its_way_when_it_was_heard_changes_nothing),
      cmocka_unit_test(a_later_rejection_halves_the_growth),
      cmocka_unit_test(without_growth_only_the_freeze_follows),
      cmocka_unit_test(a_reload_without_growth_ends_it),
      cmocka_unit_test(a_cut_and_a_ramp_hold_each_for_itself),
      cmocka_unit_test(one_call_a_minute_that_is_larger_than_the_ceiling_lets_it_grow),
      cmocka_unit_test(a_fleet_grows_as_fast_as_a_provider_lets_it_and_is_rejected_once),
      cmocka_unit_test(a_fleet_keeps_to_steps_of_tokens_a_minute_too),
      cmocka_unit_test(who_grows_too_fast_is_rejected_less_and_less),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
