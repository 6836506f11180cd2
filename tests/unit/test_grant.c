/* What a grant promises to a shim and to the provider: the order of starts, and both its ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/ledger.h>

#include "coord_fixture.h"

static uint64_t slots[WEIR_LIMITS_MAX * WEIR_RING_SLOTS];

static struct weir_ledger ledger_of(uint64_t rpm, uint64_t tpm, weir_tstamp now)
{
  const struct weir_pool_config config = {
      .name = "p",
      .limits_count = 2,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = rpm},
                 {.dimension = WEIR_DIMENSION_INPUT_TOKENS, .window_us = MINUTE, .amount = tpm}},
      .ttl_us = 2 * SECOND,
      .jitter_us = 100 * MS};
  struct weir_ledger l;

  weir_ledger_init(&l, slots, &config, now);
  return l;
}

static void a_lease_never_starts_before_one_that_was_taken_earlier(void **state)
{
  struct weir_ledger l = ledger_of(1, 1000, SECOND);
  const struct weir_cost call = {1, 10, 0}, nothing = {0};
  struct weir_ledger_entry first, second;
  weir_tstamp later, now;

  (void)state;
  weir_ledger_take(&l, &call, SECOND, SECOND, &first);
  later = weir_ledger_earliest(&l, &call, SECOND, SECOND, NULL);
  assert_true(later > SECOND + MINUTE);
  now = later - WEIR_COORD_HORIZON_US;
  weir_ledger_take(&l, &call, later, now, &second);
  /* Both come back unused: now anything fits at once, but its turn is after theirs. */
  weir_ledger_settle(&l, &first, &nothing, 0, now);
  weir_ledger_settle(&l, &second, &nothing, 0, now);
  assert_int_equal(l.limits[0].ring.used, 0);
  assert_true(weir_ledger_earliest(&l, &call, now, now, NULL) == later);
}

static void a_settle_cannot_claim_an_arrival_before_the_start_or_after_the_end(void **state)
{
  struct weir_ledger l = ledger_of(1, 1000, 10 * SECOND);
  const struct weir_cost call = {1, 10, 0};
  struct weir_ledger_entry entry;
  weir_tstamp end;

  (void)state;
  weir_ledger_take(&l, &call, 10 * SECOND, 10 * SECOND, &entry);
  end = entry.arrival_max;
  weir_ledger_settle(&l, &entry, &call, WEIR_NEVER, 11 * SECOND);
  assert_true(entry.arrival_max == end);
  weir_ledger_settle(&l, &entry, &call, 0, 11 * SECOND);
  assert_true(entry.arrival_max == 10 * SECOND);
  assert_true(weir_ledger_earliest(&l, &call, 11 * SECOND, 11 * SECOND, NULL) >
              10 * SECOND + MINUTE);
}

/* One request a second is granted and used at once; the next one waits for the window. */
static struct weir_msg_grant second_grant(struct fixture *f, weir_tstamp *ret_asked_at)
{
  struct weir_msg_grant grant;
  uint64_t session;

  f->pools[0].limits[0].window_us = SECOND;
  fixture_start(f, &small_bounds, &(struct weir_coord_start){.epoch = 1, .seed = 1});
  session = fixture_hello(f, 1, 1, 1);
  assert_int_equal(fixture_ask(f, 1, session, 1, WEIR_CLASS_ONLINE, 10, 10 * SECOND),
                   WEIR_MSG_GRANT);
  fixture_settle(f, 1, session, 1, true, 10, WEIR_OUTCOME_OK);
  f->now += 300 * MS;
  assert_int_equal(fixture_ask(f, 1, session, 2, WEIR_CLASS_ONLINE, 10, 10 * SECOND),
                   WEIR_MSG_QUEUED);
  *ret_asked_at = f->now;
  assert_int_equal(fixture_run(f, f->now + 2 * SECOND), 1);
  assert_int_equal(f->update.sends[0].msg.type, WEIR_MSG_GRANT);
  grant = f->update.sends[0].msg.grant;
  assert_int_equal(grant.seq, 2);
  return grant;
}

static void a_grant_sent_ahead_of_its_start_tells_how_long_to_wait(void **state)
{
  struct fixture f = fixture_of(1, 60000);
  const weir_tstamp first_sent_at = f.now;
  weir_tstamp asked_at;
  struct weir_msg_grant grant;

  (void)state;
  f.config.pools = f.pools;
  f.config.names = f.names;
  grant = second_grant(&f, &asked_at);
  assert_true(grant.start_in_us > 0);
  assert_true(grant.start_in_us <= WEIR_COORD_HORIZON_US);
  /* The first request may have arrived as late as its jitter allows, and stays for one window. */
  assert_true(f.now + grant.start_in_us >= first_sent_at + 100 * MS + SECOND);
  assert_true(grant.ttl_us == 2 * SECOND);
  fixture_free(&f);
}

static void a_grant_tells_how_old_the_mark_is_that_it_echoes(void **state)
{
  struct fixture f = fixture_of(1, 60000);
  weir_tstamp asked_at;
  struct weir_msg_grant grant;

  (void)state;
  f.config.pools = f.pools;
  f.config.names = f.names;
  grant = second_grant(&f, &asked_at);
  assert_true(f.update.sends[0].msg.mark == f.mark);
  assert_true(f.now > asked_at);
  assert_true(grant.since_us == f.now - asked_at);
  fixture_free(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_lease_never_starts_before_one_that_was_taken_earlier),
      cmocka_unit_test(a_settle_cannot_claim_an_arrival_before_the_start_or_after_the_end),
      cmocka_unit_test(a_grant_sent_ahead_of_its_start_tells_how_long_to_wait),
      cmocka_unit_test(a_grant_tells_how_old_the_mark_is_that_it_echoes),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
