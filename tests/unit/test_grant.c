/* What a grant promises to a shim and to the provider: the order of starts, and both its ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/ledger.h>

#include "coord_fixture.h"

static uint64_t slots[WEIR_LEDGER_SLOTS * WEIR_SLOTS_TOGETHER];
static struct weir_calendar calendar;

static struct weir_instant at(weir_tstamp now, uint64_t number)
{
  return (struct weir_instant){.at = now, .number = number, .calendar = &calendar};
}

static struct weir_ledger ledger_of(uint64_t rpm, uint64_t tpm, weir_tstamp now)
{
  const struct weir_limit_config limits[] = {
      {.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = rpm},
      {.dimension = WEIR_DIMENSION_INPUT_TOKENS, .window_us = MINUTE, .amount = tpm}};
  const struct weir_rules_config rules = {.profile = WEIR_PROFILE_WINDOW};
  const struct weir_ledger_config config = {
      .limits_count = 2, .limits = limits, .rules = &rules, .hold_us = 2 * SECOND + 100 * MS};
  const struct weir_instant instant = at(now, 0);
  struct weir_ledger l;

  weir_calendar_init(&calendar);
  weir_ledger_init(&l, slots, &config, &instant);
  return l;
}

/* A request of 10 tokens that may arrive from |start| on. */
static struct weir_ledger_entry entry_of(uint64_t number, weir_tstamp start)
{
  struct weir_ledger_entry entry = {.number = number,
                                    .start = start,
                                    .arrival_max = start + 2 * SECOND + 100 * MS,
                                    .is_open = true};

  entry.cost.requests = 1;
  entry.cost.input_tokens = 10;
  entry.reserve = entry.cost;
  return entry;
}

static weir_tstamp earliest(struct weir_ledger *l, uint64_t number, weir_tstamp now)
{
  const struct weir_ledger_entry entry = entry_of(number, now);
  const struct weir_instant instant = at(now, number);

  return weir_ledger_earliest(l, &entry, 2 * SECOND + 100 * MS, now, &instant, NULL);
}

static void a_lease_never_starts_before_one_that_was_taken_earlier(void **state)
{
  struct weir_ledger l = ledger_of(1, 1000, SECOND);
  struct weir_ledger_entry entries[2] = {entry_of(0, SECOND)}, after;
  struct weir_instant instant = at(SECOND, 0);
  uint8_t both[2];
  weir_tstamp later;

  (void)state;
  weir_ledger_take(&l, &entries[0], &instant, &both[0]);
  later = earliest(&l, 1, SECOND);
  assert_true(later > SECOND + MINUTE);
  instant = at(later - WEIR_COORD_HORIZON_US, 1);
  entries[1] = entry_of(1, later);
  weir_ledger_take(&l, &entries[1], &instant, &both[1]);
  /* Both come back unused: now anything fits at once, but its turn is after theirs. */
  instant.number = 2;
  for (int i = 0; i < 2; i++) {
    after = entries[i];
    after.is_void = true;
    after.is_open = false;
    weir_ledger_settle(&l, &entries[i], &after, &instant, &both[i]);
  }
  assert_int_equal(l.limits[0].ring.used, 0);
  assert_true(earliest(&l, 2, instant.at) == later);
}

static void a_settle_cannot_claim_an_arrival_before_the_start_or_after_the_end(void **state)
{
  struct weir_ledger l = ledger_of(1, 1000, 10 * SECOND);
  struct weir_ledger_entry entry = entry_of(0, 10 * SECOND), after = entry;
  struct weir_instant instant = at(10 * SECOND, 0);
  uint8_t both;

  (void)state;
  weir_ledger_take(&l, &entry, &instant, &both);
  instant = at(11 * SECOND, 1);
  weir_ledger_narrow(&after, WEIR_NEVER);
  assert_true(after.arrival_max == entry.arrival_max);
  weir_ledger_narrow(&after, 0);
  assert_true(after.arrival_max == 10 * SECOND);
  weir_ledger_settle(&l, &entry, &after, &instant, &both);
  assert_true(earliest(&l, 1, 11 * SECOND) > 10 * SECOND + MINUTE);
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
