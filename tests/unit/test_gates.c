#include "ledger_fixture.h"

/* Exact instants are easiest to see when a lease arrives when it starts. */
static struct books *books_of(const struct weir_limit_config *limits, uint32_t count,
                              enum weir_profile profile)
{
  struct books *b = books_open(limits, count, profile, 1000 * SECOND);

  b->hold_us = 0;
  return b;
}

static struct books *requests_of(uint64_t amount, weir_duration window_us,
                                 enum weir_profile profile)
{
  const struct weir_limit_config limit = limit_of(WEIR_DIMENSION_REQUESTS, window_us, amount);

  return books_of(&limit, 1, profile);
}

static struct books *tokens_of(uint64_t amount, uint64_t burst, enum weir_profile profile)
{
  struct weir_limit_config limit = limit_of(WEIR_DIMENSION_INPUT_TOKENS, MINUTE, amount);

  limit.burst = burst;
  return books_of(&limit, 1, profile);
}

/* The end of the slot of the trail, or of the ring, that |at| is in. */
static weir_tstamp trail_end(const struct weir_trail *t, weir_tstamp at)
{
  return (at / t->slot_us + 1) * t->slot_us;
}

static weir_tstamp ring_end(const struct weir_ring *r, weir_tstamp at)
{
  return ((at + r->window_us) / r->slot_us + 1) * r->slot_us;
}

/* Waits as a coordinator does, a horizon before each answer, until |cost| may start. */
static weir_tstamp wait_for(struct books *b, struct weir_cost cost)
{
  weir_tstamp at = books_earliest(b, cost, NULL);

  for (int i = 0; at > b->now.at + WEIR_LEDGER_HORIZON_US; i++) {
    assert_true(i < 10000 && at != WEIR_NEVER);
    b->now.at = at - WEIR_LEDGER_HORIZON_US;
    at = books_earliest(b, cost, NULL);
  }
  b->now.at = at;
  return at;
}

static bool fits_now(struct books *b, struct weir_cost cost)
{
  return books_earliest(b, cost, NULL) == b->now.at;
}

/* ---- profiles ---- */

static void a_window_admits_its_whole_amount_at_once_and_again_after_a_window(void **state)
{
  struct books *b = requests_of(6000, MINUTE, WEIR_PROFILE_WINDOW);
  const weir_tstamp begin = b->now.at;

  (void)state;
  books_take(b, cost_of(6000, 0, 0));
  assert_int_equal(books_earliest(b, cost_of(1, 0, 0), NULL),
                   ring_end(&b->ledger.limits[0].ring, begin));
  assert_int_equal(wait_for(b, cost_of(6000, 0, 0)), ring_end(&b->ledger.limits[0].ring, begin));
}

static void a_bucket_holds_a_twentieth_unless_it_is_configured(void **state)
{
  const uint64_t bursts[] = {0, 50};

  (void)state;
  for (int i = 0; i < 2; i++) {
    const uint64_t holds = bursts[i] ? bursts[i] : 300;
    struct books *b = tokens_of(6000, bursts[i], WEIR_PROFILE_BUCKET);
    weir_tstamp end;

    assert_true(fits_now(b, cost_of(1, holds, 0)));
    books_take(b, cost_of(1, holds, 0));
    end = trail_end(&b->ledger.limits[0].trail, b->now.at);
    /* 6000 a minute: a token in 10 ms. */
    assert_int_equal(books_earliest(b, cost_of(1, 1, 0), NULL), end + 10 * MS);
    assert_int_equal(books_earliest(b, cost_of(1, 30, 0), NULL), end + 300 * MS);
    assert_int_equal(wait_for(b, cost_of(1, 30, 0)), end + 300 * MS);
  }
}

static void a_bucket_of_a_small_limit_holds_one(void **state)
{
  struct books *b = requests_of(10, MINUTE, WEIR_PROFILE_BUCKET);
  weir_tstamp begin = b->now.at;

  (void)state;
  books_take(b, cost_of(1, 0, 0));
  assert_int_equal(books_earliest(b, cost_of(1, 0, 0), NULL),
                   trail_end(&b->ledger.limits[0].trail, begin) + 6 * SECOND);
}

static void a_call_larger_than_the_burst_waits_until_the_bucket_is_full_then_passes(void **state)
{
  struct books *b = tokens_of(6000, 300, WEIR_PROFILE_BUCKET);
  weir_tstamp end;

  (void)state;
  books_take(b, cost_of(1, 100, 0));
  end = trail_end(&b->ledger.limits[0].trail, b->now.at);
  assert_int_equal(wait_for(b, cost_of(1, 1000, 0)), end + SECOND);
  books_take(b, cost_of(1, 1000, 0));
  /* And pays for it: 701 have to be refilled before one more fits. */
  end = trail_end(&b->ledger.limits[0].trail, b->now.at);
  assert_int_equal(wait_for(b, cost_of(1, 1, 0)), end + 7010 * MS);
}

static void windows_beyond_ten_minutes_are_smoothed_only_with_a_burst(void **state)
{
  struct weir_limit_config limit = limit_of(WEIR_DIMENSION_INPUT_TOKENS, HOUR, 6000);
  struct books *b = books_of(&limit, 1, WEIR_PROFILE_UNIVERSAL);

  (void)state;
  assert_true(fits_now(b, cost_of(1, 3000, 0)));
  books_take(b, cost_of(1, 3000, 0));
  assert_true(fits_now(b, cost_of(1, 3000, 0)));
  limit.burst = 3000;
  b = books_of(&limit, 1, WEIR_PROFILE_UNIVERSAL);
  books_take(b, cost_of(1, 3000, 0));
  assert_true(books_earliest(b, cost_of(1, 3000, 0), NULL) > b->now.at + HOUR / 2);
  limit = limit_of(WEIR_DIMENSION_INPUT_TOKENS, 10 * MINUTE, 6000);
  b = books_of(&limit, 1, WEIR_PROFILE_BUCKET);
  books_take(b, cost_of(1, 300, 0));
  assert_false(fits_now(b, cost_of(1, 300, 0)));
}

static void paced_requests_keep_every_second(void **state)
{
  struct books *b = requests_of(6000, MINUTE, WEIR_PROFILE_PACED);
  weir_tstamp begin = b->now.at;
  int binding = -1;

  (void)state;
  books_take(b, cost_of(40, 0, 0));
  b->now.at += 300 * MS;
  books_take(b, cost_of(60, 0, 0));
  assert_int_equal(books_earliest(b, cost_of(40, 0, 0), &binding), ring_end(&b->ledger.sub, begin));
  assert_int_equal(binding, 0);
  assert_int_equal(books_earliest(b, cost_of(41, 0, 0), NULL),
                   ring_end(&b->ledger.sub, begin + 300 * MS));
  /* A sub-window's slots are fine: a second costs less than a thousandth for them. */
  assert_true(b->ledger.sub.slot_us < 2 * MS);
}

/* 84 in a minute would be one in a second, of which 60 are too few to grow any further. */
static void a_ceiling_on_growth_is_not_rounded_down_to_seconds(void **state)
{
  struct books *b = requests_of(6000, MINUTE, WEIR_PROFILE_PACED);
  const struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_RAMP_LIMIT,
                                         .retry_after_us = SECOND};
  struct lease lease;

  (void)state;
  b->rules.ramp_pm = 400;
  b->rules.ramp_per_us = 2 * MINUTE;
  books_configure(b);
  lease = books_take(b, cost_of(1, 0, 0));
  assert_int_equal(weir_ledger_hear(&b->ledger, &lease.entry, &settle, &b->now),
                   WEIR_HEARD_REJECTION);
  b->now.at += 2 * MINUTE - 1;
  books_used(b, 0);
  assert_int_equal(b->ledger.limits[0].effective, 83);
  books_take(b, cost_of(1, 0, 0));
  books_take(b, cost_of(1, 0, 0));
}

static void tokens_are_not_paced_by_the_second(void **state)
{
  struct books *b = tokens_of(60000, 60000, WEIR_PROFILE_PACED);

  (void)state;
  assert_true(fits_now(b, cost_of(1, 60000, 0)));
  assert_false(b->ledger.has_sub);
}

static void sub_windows_too_short_for_one_request_are_widened(void **state)
{
  const struct weir_limit_config limits[] = {limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, 11),
                                             limit_of(WEIR_DIMENSION_REQUESTS, 10 * MINUTE, 600)};
  struct books *b = books_of(limits, 2, WEIR_PROFILE_PACED);
  weir_tstamp begin = b->now.at;

  (void)state;
  /* 11 a minute: one in 5.45 s, so one in six seconds. */
  assert_int_equal(b->ledger.sub.window_us, 6 * SECOND);
  books_take(b, cost_of(1, 0, 0));
  assert_int_equal(books_earliest(b, cost_of(1, 0, 0), NULL), ring_end(&b->ledger.sub, begin));
}

static void a_limit_of_one_has_no_sub_windows(void **state)
{
  struct books *b = requests_of(1, MINUTE, WEIR_PROFILE_PACED);

  (void)state;
  assert_false(b->ledger.has_sub);
  b = requests_of(100, SECOND, WEIR_PROFILE_PACED);
  assert_false(b->ledger.has_sub);
}

static void sub_windows_are_as_long_as_configured(void **state)
{
  struct weir_limit_config limit = limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, 600);
  struct books *b;
  weir_tstamp begin;

  (void)state;
  limit.burst = 600;
  b = books_of(&limit, 1, WEIR_PROFILE_WINDOW);
  begin = b->now.at;
  b->rules = (struct weir_rules_config){.profile = WEIR_PROFILE_PACED, .sub_us = 10 * SECOND};
  books_configure(b);
  /* Nobody knows what was sent in the last ten seconds before. */
  assert_int_equal(books_earliest(b, cost_of(1, 0, 0), NULL),
                   begin + WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US + 10 * SECOND);
  b->now.at = begin + MINUTE;
  books_take(b, cost_of(30, 0, 0));
  begin = b->now.at;
  b->now.at += 5 * SECOND;
  books_take(b, cost_of(30, 0, 0));
  b->now.at += 3 * SECOND;
  books_take(b, cost_of(30, 0, 0));
  assert_int_equal(books_earliest(b, cost_of(11, 0, 0), NULL), ring_end(&b->ledger.sub, begin));
}

/* A full window at once: the sliding log has room a window later, the sliding counter in full only
 * after two. */
static void only_universal_gates_keep_a_sliding_counter(void **state)
{
  struct books *b = tokens_of(6000, 6000, WEIR_PROFILE_PACED);
  weir_tstamp begin = b->now.at, at;

  (void)state;
  books_take(b, cost_of(1, 6000, 0));
  assert_true(wait_for(b, cost_of(1, 3000, 0)) <= begin + MINUTE + SECOND);
  b = tokens_of(6000, 6000, WEIR_PROFILE_UNIVERSAL);
  books_take(b, cost_of(1, 6000, 0));
  at = wait_for(b, cost_of(1, 3000, 0));
  assert_true(at >= begin + MINUTE * 3 / 2);
  assert_true(at <= begin + MINUTE * 3 / 2 + 2 * b->ledger.limits[0].trail.slot_us);
  at = wait_for(b, cost_of(1, 5990, 0));
  assert_true(at >= begin + 2 * MINUTE - 110 * MS);
}

/* ---- single rules ---- */

static void calls_in_flight_are_counted_until_they_end(void **state)
{
  const struct weir_limit_config limit = limit_of(WEIR_DIMENSION_IN_FLIGHT, 0, 3);
  struct books *b = books_of(&limit, 1, WEIR_PROFILE_UNIVERSAL);
  struct lease two, one;
  int binding = -1;

  (void)state;
  two = books_take(b, cost_of(2, 10, 0));
  one = books_take(b, cost_of(1, 10, 0));
  assert_int_equal(books_used(b, 0), 3);
  /* Nobody knows when one ends: look again then, or in a while. */
  assert_int_equal(books_earliest(b, cost_of(1, 10, 0), &binding), b->now.at + 100 * MS);
  assert_int_equal(binding, 0);
  b->now.at += 7 * SECOND;
  assert_false(fits_now(b, cost_of(1, 10, 0)));
  books_end(b, &two, cost_of(2, 10, 0), b->now.at);
  assert_int_equal(books_used(b, 0), 1);
  assert_true(fits_now(b, cost_of(2, 10, 0)));
  /* From now on the wait is guessed by how long calls take. */
  assert_int_equal(books_earliest(b, cost_of(3, 10, 0), NULL), b->now.at + 7 * SECOND);
  books_void(b, &one);
  assert_int_equal(books_used(b, 0), 0);
}

static void spend_is_kept_like_tokens(void **state)
{
  const struct weir_limit_config limit = limit_of(WEIR_DIMENSION_SPEND, HOUR, 5000000);
  struct books *b = books_of(&limit, 1, WEIR_PROFILE_WINDOW);
  weir_tstamp begin = b->now.at;

  (void)state;
  books_take(b, (struct weir_cost){.requests = 1, .spend = 4000000});
  assert_int_equal(books_used(b, 0), 4000000);
  assert_true(fits_now(b, (struct weir_cost){.requests = 1, .spend = 1000000}));
  assert_int_equal(books_earliest(b, (struct weir_cost){.requests = 1, .spend = 1000001}, NULL),
                   ring_end(&b->ledger.limits[0].ring, begin));
}

static void a_shadow_counts_and_does_not_hold(void **state)
{
  struct weir_limit_config limits[] = {limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, 5),
                                       limit_of(WEIR_DIMENSION_IN_FLIGHT, 0, 1)};
  struct books *b;

  (void)state;
  limits[0].is_shadow = limits[1].is_shadow = true;
  b = books_of(limits, 2, WEIR_PROFILE_UNIVERSAL);
  for (int i = 0; i < 20; i++)
    books_take(b, cost_of(1, 0, 0));
  assert_int_equal(books_used(b, 0), 20);
  assert_int_equal(books_used(b, 1), 20);
  assert_true(fits_now(b, cost_of(1000, 0, 0)));
  assert_false(b->ledger.has_sub);
}

static void a_prepaid_limit_gives_back_only_what_was_never_sent(void **state)
{
  struct weir_limit_config limit = limit_of(WEIR_DIMENSION_TOTAL_TOKENS, MINUTE, 1000);
  struct lease lease, unused, larger;
  struct books *b;

  (void)state;
  limit.is_prepaid = true;
  b = books_of(&limit, 1, WEIR_PROFILE_WINDOW);
  lease = books_take(b, cost_of(1, 100, 300));
  unused = books_take(b, cost_of(1, 100, 100));
  larger = books_take(b, cost_of(1, 10, 10));
  books_end(b, &lease, cost_of(1, 90, 5), b->now.at);
  assert_int_equal(books_used(b, 0), 400 + 200 + 20);
  books_void(b, &unused);
  assert_int_equal(books_used(b, 0), 400 + 20);
  books_end(b, &larger, cost_of(1, 10, 50), b->now.at);
  assert_int_equal(books_used(b, 0), 400 + 60);
}

static void estimates_keep_head_room_until_they_are_known(void **state)
{
  struct books *b = tokens_of(1000, 0, WEIR_PROFILE_WINDOW);
  struct lease lease;

  (void)state;
  b->rules.error_pm = 100;
  lease = books_take(b, cost_of(1, 400, 0));
  /* 400 + 379 + 4 * root(40^2 + 37^2), rounded up, is 999; a sigma of 38 is too much. */
  assert_true(fits_now(b, cost_of(1, 379, 0)));
  assert_false(fits_now(b, cost_of(1, 380, 0)));
  lease.entry.error_pm = 100;
  {
    struct weir_ledger_entry after = lease.entry;

    after.is_known = true;
    books_settle(b, &lease, &after);
  }
  /* 400 + 429 + 4 * 42. */
  assert_true(fits_now(b, cost_of(1, 429, 0)));
  assert_false(fits_now(b, cost_of(1, 430, 0)));
}

static void what_has_ended_keeps_no_head_room(void **state)
{
  struct books *b = tokens_of(1000, 0, WEIR_PROFILE_WINDOW);
  struct lease lease;
  struct weir_ledger_entry after;

  (void)state;
  b->rules.error_pm = 100;
  lease = books_take(b, cost_of(1, 400, 0));
  after = lease.entry;
  after.is_open = false; /* nobody ever told its cost */
  books_settle(b, &lease, &after);
  assert_true(b->ledger.limits[0].variance == 0);
  assert_true(fits_now(b, cost_of(1, 429, 0)));
}

/* A call may take longer than the window: by then it is in no window that a new one can be in. */
static void what_has_left_the_window_keeps_no_head_room(void **state)
{
  struct books *b = tokens_of(1000, 0, WEIR_PROFILE_WINDOW);
  const weir_duration block = WEIR_RING_BLOCK * b->ledger.limits[0].ring.slot_us;
  struct lease lease, other;

  (void)state;
  b->rules.error_pm = 100;
  lease = books_take(b, cost_of(1, 400, 0));
  b->now.at += MINUTE;
  assert_false(b->ledger.limits[0].variance == 0);
  assert_false(fits_now(b, cost_of(1, 429, 0)));
  b->now.at += HOLD + block;
  assert_true(fits_now(b, cost_of(1, 714, 0)));
  assert_true(b->ledger.limits[0].variance == 0);
  /* Its end takes nothing of what others keep. */
  other = books_take(b, cost_of(1, 200, 0));
  books_end(b, &lease, cost_of(1, 900, 0), b->now.at);
  assert_true(b->ledger.limits[0].variance == 20 * 20);
  books_end(b, &other, cost_of(1, 200, 0), b->now.at);
  assert_true(b->ledger.limits[0].variance == 0);
}

static void head_room_is_for_estimates_only(void **state)
{
  struct weir_limit_config limits[] = {limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, 10),
                                       limit_of(WEIR_DIMENSION_INPUT_TOKENS, MINUTE, 1000)};
  struct books *b;

  (void)state;
  limits[1].is_prepaid = true;
  b = books_of(limits, 2, WEIR_PROFILE_WINDOW);
  b->rules.error_pm = 300;
  books_take(b, cost_of(5, 500, 0));
  assert_true(fits_now(b, cost_of(5, 500, 0)));
}

static void a_call_that_fits_only_without_its_head_room_gets_a_whole_window(void **state)
{
  struct books *b = tokens_of(1000, 0, WEIR_PROFILE_WINDOW);

  (void)state;
  b->rules.error_pm = 100;
  assert_true(fits_now(b, cost_of(1, 950, 0)));
  books_take(b, cost_of(1, 1, 0));
  assert_false(fits_now(b, cost_of(1, 950, 0)));
}

static void the_latest_of_several_limits_decides(void **state)
{
  const struct weir_limit_config limits[] = {limit_of(WEIR_DIMENSION_REQUESTS, 10 * SECOND, 2),
                                             limit_of(WEIR_DIMENSION_INPUT_TOKENS, MINUTE, 1000),
                                             limit_of(WEIR_DIMENSION_OUTPUT_TOKENS, MINUTE, 1000)};
  struct books *b = books_of(limits, 3, WEIR_PROFILE_WINDOW);
  weir_tstamp begin = b->now.at;
  int binding = -1;

  (void)state;
  books_take(b, cost_of(2, 600, 10));
  assert_int_equal(books_earliest(b, cost_of(1, 400, 10), &binding),
                   ring_end(&b->ledger.limits[0].ring, begin));
  assert_int_equal(binding, 0);
  assert_int_equal(books_earliest(b, cost_of(1, 401, 10), &binding),
                   ring_end(&b->ledger.limits[1].ring, begin));
  assert_int_equal(binding, 1);
  b->now.at = begin + 2 * MINUTE;
  assert_int_equal(books_earliest(b, cost_of(1, 401, 10), &binding), b->now.at);
  assert_int_equal(binding, -1);
}

static void short_windows_want_to_hear_of_writings(void **state)
{
  (void)state;
  assert_true(weir_ledger_is_reported(&requests_of(6000, MINUTE, WEIR_PROFILE_PACED)->ledger));
  assert_false(weir_ledger_is_reported(&requests_of(6000, MINUTE, WEIR_PROFILE_WINDOW)->ledger));
  assert_true(
      weir_ledger_is_reported(&requests_of(6000, 10 * SECOND, WEIR_PROFILE_WINDOW)->ledger));
}

/* A twentieth of a minute's quota is there again after three seconds, and calls take as long. */
static void buckets_that_fill_up_soon_want_to_hear_of_writings(void **state)
{
  struct weir_limit_config limit = limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, 6000);

  (void)state;
  assert_true(weir_ledger_is_reported(&requests_of(6000, MINUTE, WEIR_PROFILE_BUCKET)->ledger));
  limit.burst = 1500;
  assert_true(weir_ledger_is_reported(&books_of(&limit, 1, WEIR_PROFILE_BUCKET)->ledger));
  limit.burst = 1501;
  assert_false(weir_ledger_is_reported(&books_of(&limit, 1, WEIR_PROFILE_BUCKET)->ledger));
  limit = limit_of(WEIR_DIMENSION_REQUESTS, HOUR, 6000); /* nobody smooths an hour */
  assert_false(weir_ledger_is_reported(&books_of(&limit, 1, WEIR_PROFILE_BUCKET)->ledger));
}

static void an_eta_of_a_cut_limit_is_paced_by_what_is_left_of_it(void **state)
{
  struct books *b = requests_of(6000, MINUTE, WEIR_PROFILE_BUCKET);
  const struct weir_cost ahead = cost_of(359, 0, 0), one = cost_of(1, 0, 0);

  (void)state;
  b->ledger.limits[0].effective = b->ledger.limits[0].cut_amount = 1200;
  b->ledger.limits[0].cut_from = 1200;
  b->ledger.limits[0].cut_at = b->now.at;
  /* A bucket of 60, and 300 more at 20 a second. */
  assert_int_equal(weir_ledger_eta(&b->ledger, &ahead, &one, b->now.at, &b->now, NULL),
                   b->now.at + 15 * SECOND);
}

/* ---- days ---- */

#define DAY  (24 * HOUR)
#define SKEW WEIR_CALENDAR_SKEW_US

/* The wall clock says noon of a day of UTC: midnight is 12 hours ahead. */
static weir_tstamp calendar_begin(struct books *b)
{
  struct weir_wall wall = {.now_us = 20000 * DAY + 12 * HOUR, .zones_count = 1};

  wall.zones[0].number = 20000;
  for (uint64_t i = 0; i < WEIR_ZONE_STARTS; i++)
    wall.zones[0].starts_us[i] = (20000 + i) * DAY;
  weir_calendar_clock(&b->calendar, &wall, b->now.at);
  return b->now.at + 12 * HOUR;
}

static void clock_to(struct books *b, weir_tstamp at)
{
  b->now.at = at;
  weir_calendar_advance(&b->calendar, at);
}

static struct books *day_of(uint64_t amount)
{
  struct weir_limit_config limit = limit_of(WEIR_DIMENSION_REQUESTS, WEIR_DAY_WINDOW_US, amount);

  limit.is_day = true;
  return books_of(&limit, 1, WEIR_PROFILE_UNIVERSAL);
}

static void a_day_is_there_again_at_midnight(void **state)
{
  struct books *b = day_of(100);
  const weir_tstamp midnight = calendar_begin(b);
  int binding = -1;

  (void)state;
  books_take(b, cost_of(70, 0, 0));
  clock_to(b, midnight - HOUR);
  books_take(b, cost_of(30, 0, 0));
  assert_int_equal(books_used(b, 0), 100);
  assert_int_equal(books_earliest(b, cost_of(1, 0, 0), &binding), midnight + SKEW);
  assert_int_equal(binding, 0);
  clock_to(b, midnight + SKEW);
  assert_int_equal(books_used(b, 0), 0);
  assert_true(fits_now(b, cost_of(100, 0, 0)));
}

static void what_may_arrive_around_midnight_is_charged_to_both_days(void **state)
{
  struct books *b = day_of(100);
  const weir_tstamp midnight = calendar_begin(b);
  struct lease early, late;

  (void)state;
  b->hold_us = 2 * SECOND;
  clock_to(b, midnight - SKEW - 3 * SECOND);
  books_take(b, cost_of(40, 0, 0)); /* surely today */
  clock_to(b, midnight - SKEW - SECOND);
  early = books_take(b, cost_of(20, 0, 0));
  late = books_take(b, cost_of(10, 0, 0));
  assert_int_equal(books_used(b, 0), 70);
  assert_int_equal(early.both, late.both);
  assert_true(late.both != 0);
  /* The one was written at once; the other is not heard of until the day is over. */
  books_end(b, &early, cost_of(20, 0, 0), midnight - SKEW - SECOND);
  clock_to(b, midnight + SKEW);
  assert_int_equal(books_used(b, 0), 10);
  assert_false(fits_now(b, cost_of(91, 0, 0)));
  assert_true(fits_now(b, cost_of(90, 0, 0)));
}

static void a_day_is_a_window_of_25_hours_until_the_calendar_is_known(void **state)
{
  struct books *b = day_of(100);
  const weir_tstamp begin = b->now.at;

  (void)state;
  books_take(b, cost_of(100, 0, 0));
  assert_int_equal(books_earliest(b, cost_of(1, 0, 0), NULL),
                   ring_end(&b->ledger.limits[0].ring, begin));
  assert_true(ring_end(&b->ledger.limits[0].ring, begin) > begin + 25 * HOUR);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_window_admits_its_whole_amount_at_once_and_again_after_a_window),
      cmocka_unit_test(a_bucket_holds_a_twentieth_unless_it_is_configured),
      cmocka_unit_test(a_bucket_of_a_small_limit_holds_one),
      cmocka_unit_test(a_call_larger_than_the_burst_waits_until_the_bucket_is_full_then_passes),
      cmocka_unit_test(windows_beyond_ten_minutes_are_smoothed_only_with_a_burst),
      cmocka_unit_test(paced_requests_keep_every_second),
      cmocka_unit_test(a_ceiling_on_growth_is_not_rounded_down_to_seconds),
      cmocka_unit_test(tokens_are_not_paced_by_the_second),
      cmocka_unit_test(sub_windows_too_short_for_one_request_are_widened),
      cmocka_unit_test(a_limit_of_one_has_no_sub_windows),
      cmocka_unit_test(sub_windows_are_as_long_as_configured),
      cmocka_unit_test(only_universal_gates_keep_a_sliding_counter),
      cmocka_unit_test(calls_in_flight_are_counted_until_they_end),
      cmocka_unit_test(spend_is_kept_like_tokens),
      cmocka_unit_test(a_shadow_counts_and_does_not_hold),
      cmocka_unit_test(a_prepaid_limit_gives_back_only_what_was_never_sent),
      cmocka_unit_test(estimates_keep_head_room_until_they_are_known),
      cmocka_unit_test(what_has_ended_keeps_no_head_room),
      cmocka_unit_test(what_has_left_the_window_keeps_no_head_room),
      cmocka_unit_test(head_room_is_for_estimates_only),
      cmocka_unit_test(a_call_that_fits_only_without_its_head_room_gets_a_whole_window),
      cmocka_unit_test(the_latest_of_several_limits_decides),
      cmocka_unit_test(short_windows_want_to_hear_of_writings),
      cmocka_unit_test(buckets_that_fill_up_soon_want_to_hear_of_writings),
      cmocka_unit_test(an_eta_of_a_cut_limit_is_paced_by_what_is_left_of_it),
      cmocka_unit_test(a_day_is_there_again_at_midnight),
      cmocka_unit_test(what_may_arrive_around_midnight_is_charged_to_both_days),
      cmocka_unit_test(a_day_is_a_window_of_25_hours_until_the_calendar_is_known),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
