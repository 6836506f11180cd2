#include "ledger_fixture.h"

static struct books *requests_of(uint64_t amount, enum weir_profile profile)
{
  const struct weir_limit_config limit = limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, amount);
  struct books *b = books_open(&limit, 1, profile, 1000 * SECOND);

  b->hold_us = 0;
  return b;
}

static struct books *fixed_requests_of(uint64_t amount, enum weir_profile profile)
{
  struct books *b = requests_of(amount, profile);

  b->ledger.rules.is_fixed = b->rules.is_fixed = true;
  return b;
}

static enum weir_heard hear(struct books *b, const struct lease *lease,
                            const struct weir_msg_settle *settle)
{
  enum weir_heard heard = weir_ledger_hear(&b->ledger, &lease->entry, settle, &b->now);

  weir_ledger_check(&b->ledger);
  return heard;
}

static enum weir_heard reject(struct books *b, const struct lease *lease)
{
  const struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS,
                                         .retry_after_us = 1};

  return hear(b, lease, &settle);
}

static weir_tstamp earliest_one(struct books *b)
{
  return books_earliest(b, cost_of(1, 0, 0), NULL);
}

static void pass(struct books *b, weir_duration time)
{
  b->now.at += time;
  weir_ledger_used(&b->ledger, 0, &b->now);
}

/* ---- freezing ---- */

static void a_rejection_freezes_for_the_stated_wait_or_five_seconds(void **state)
{
  const weir_duration stated[] = {0, 700 * MS, 2 * MINUTE, 3 * HOUR};
  const weir_duration waits[] = {5 * SECOND, 700 * MS, 2 * MINUTE, 2 * MINUTE};

  (void)state;
  for (int i = 0; i < 4; i++) {
    struct books *b = requests_of(100, WEIR_PROFILE_WINDOW);
    struct lease lease = books_take(b, cost_of(1, 0, 0));
    const struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_QUOTA_MINUTE_TOKENS,
                                           .retry_after_us = stated[i]};

    hear(b, &lease, &settle);
    assert_int_equal(b->ledger.frozen_until, b->now.at + waits[i]);
    assert_true(earliest_one(b) >= b->now.at + waits[i]);
  }
}

static void a_shorter_wait_does_not_end_a_longer_one(void **state)
{
  struct books *b = requests_of(100, WEIR_PROFILE_WINDOW);
  struct lease lease = books_take(b, cost_of(1, 0, 0));
  struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS,
                                   .retry_after_us = 40 * SECOND};
  weir_tstamp until;

  (void)state;
  hear(b, &lease, &settle);
  until = b->ledger.frozen_until;
  settle.retry_after_us = SECOND;
  hear(b, &lease, &settle);
  assert_int_equal(b->ledger.frozen_until, until);
}

static void only_rejections_by_a_quota_or_a_ramp_freeze(void **state)
{
  (void)state;
  for (enum weir_outcome o = WEIR_OUTCOME_OK; o < WEIR_OUTCOME_MAX; o++) {
    struct books *b = requests_of(100, WEIR_PROFILE_WINDOW);
    struct lease lease = books_take(b, cost_of(1, 0, 0));
    const struct weir_msg_settle settle = {.outcome = o, .retry_after_us = SECOND};
    const bool is_rejection = hear(b, &lease, &settle) != WEIR_HEARD_NOTHING;

    assert_int_equal(is_rejection, weir_outcome_is_quota(o) || o == WEIR_OUTCOME_RAMP_LIMIT);
    assert_int_equal(b->ledger.frozen_until > 0, is_rejection);
  }
}

static void what_waited_for_the_end_of_a_freeze_is_released_smoothly(void **state)
{
  struct books *b = fixed_requests_of(6000, WEIR_PROFILE_WINDOW);
  struct lease lease = books_take(b, cost_of(1, 0, 0));
  const weir_duration slot_us = b->ledger.limits[0].trail.slot_us;

  (void)state;
  reject(b, &lease);
  pass(b, MINUTE / 2);
  /* A bucket of 300 at first, then one in 10 ms. */
  books_take(b, cost_of(300, 0, 0));
  assert_int_equal(earliest_one(b), (b->now.at / slot_us + 1) * slot_us + 10 * MS);
  /* After a window all is as before. */
  b->now.at = b->ledger.smooth_until;
  books_take(b, cost_of(5000, 0, 0));
  assert_int_equal(earliest_one(b), b->now.at);
}

static void a_smooth_release_is_over_after_a_window(void **state)
{
  struct books *b = fixed_requests_of(6000, WEIR_PROFILE_WINDOW);
  struct lease lease = books_take(b, cost_of(1, 0, 0));

  (void)state;
  reject(b, &lease);
  b->now.at = b->ledger.smooth_until - 10 * MS;
  books_take(b, cost_of(300, 0, 0));
  assert_int_equal(books_earliest(b, cost_of(3000, 0, 0), NULL), b->ledger.smooth_until);
}

/* ---- the ladder ---- */

static void an_unexplained_rejection_makes_the_gates_universal(void **state)
{
  struct books *b = requests_of(6000, WEIR_PROFILE_WINDOW);
  struct lease lease = books_take(b, cost_of(1, 0, 0));

  (void)state;
  assert_int_equal(reject(b, &lease), WEIR_HEARD_FALLBACK);
  assert_int_equal(b->ledger.profile, WEIR_PROFILE_UNIVERSAL);
  assert_int_equal(b->ledger.limits[0].effective, 6000);
  /* What was sent in the last second is in no ring: it is closed until that cannot matter. */
  assert_int_equal(earliest_one(b),
                   b->now.at + WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US + SECOND);
  /* Those that come after it are of the same epoch. */
  for (int i = 0; i < 10; i++)
    assert_int_equal(reject(b, &lease), WEIR_HEARD_REJECTION);
  pass(b, 10 * SECOND);
  assert_int_equal(b->ledger.widen_us, 0);
}

static void a_fixed_profile_stays(void **state)
{
  struct books *b = fixed_requests_of(6000, WEIR_PROFILE_BUCKET);
  struct lease lease = books_take(b, cost_of(1, 0, 0));

  (void)state;
  assert_int_equal(reject(b, &lease), WEIR_HEARD_REJECTION);
  assert_int_equal(b->ledger.profile, WEIR_PROFILE_BUCKET);
}

static void debt_explains_a_rejection_in_its_own_dimension(void **state)
{
  struct books *b = books_pool(100, 1000);
  struct lease lease = books_take(b, cost_of(1, 900, 0));
  struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_QUOTA_MINUTE_TOKENS};

  (void)state;
  books_end(b, &lease, cost_of(1, 1001, 0), b->now.at);
  assert_int_equal(hear(b, &lease, &settle), WEIR_HEARD_REJECTION);
  assert_int_equal(b->ledger.profile, WEIR_PROFILE_WINDOW);
  settle.outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS;
  assert_int_equal(hear(b, &lease, &settle), WEIR_HEARD_FALLBACK);
}

static void what_a_former_life_spent_explains_a_rejection(void **state)
{
  struct books *b = requests_of(100, WEIR_PROFILE_WINDOW);
  struct lease lease = books_take(b, cost_of(1, 0, 0));

  (void)state;
  weir_ledger_assume_spent(&b->ledger, b->now.at);
  assert_int_equal(reject(b, &lease), WEIR_HEARD_REJECTION);
  assert_int_equal(b->ledger.profile, WEIR_PROFILE_WINDOW);
}

static void a_stray_rejection_widens_the_delays_and_clean_time_narrows_them(void **state)
{
  struct books *b = requests_of(6000, WEIR_PROFILE_UNIVERSAL);
  struct lease lease = books_take(b, cost_of(1, 0, 0));

  (void)state;
  assert_int_equal(reject(b, &lease), WEIR_HEARD_REJECTION);
  pass(b, SECOND);
  assert_int_equal(b->ledger.widen_us, 0); /* others may follow */
  pass(b, 1);
  assert_int_equal(b->ledger.widen_us, 5 * MS);
  pass(b, 10 * MINUTE - 1);
  assert_int_equal(b->ledger.widen_us, 5 * MS);
  pass(b, 1);
  assert_int_equal(b->ledger.widen_us, 4 * MS);
  pass(b, 30 * MINUTE);
  assert_int_equal(b->ledger.widen_us, MS);
  pass(b, 20 * HOUR);
  assert_int_equal(b->ledger.widen_us, 0);
}

static void delays_are_never_widened_beyond_their_bound(void **state)
{
  struct books *b = requests_of(6000, WEIR_PROFILE_UNIVERSAL);

  (void)state;
  for (int i = 0; i < 120; i++) {
    struct lease lease = books_take_at(b, cost_of(1, 0, 0), b->now.at);

    reject(b, &lease);
    pass(b, 2 * SECOND);
  }
  assert_int_equal(b->ledger.widen_us, WEIR_LEDGER_WIDEN_MAX_US);
  assert_int_equal(b->ledger.limits[0].effective, 6000);
}

/* 80 of 100 in use, and three rejections of one epoch. */
static struct books *cut_books(void)
{
  struct books *b = requests_of(100, WEIR_PROFILE_UNIVERSAL);
  struct lease lease;

  for (int i = 0; i < 80; i++)
    lease = books_take_at(b, cost_of(1, 0, 0), b->now.at);
  assert_int_equal(reject(b, &lease), WEIR_HEARD_REJECTION);
  assert_int_equal(reject(b, &lease), WEIR_HEARD_REJECTION);
  assert_int_equal(reject(b, &lease), WEIR_HEARD_CUT);
  assert_int_equal(reject(b, &lease), WEIR_HEARD_REJECTION);
  return b;
}

static void three_rejections_of_an_epoch_cut_to_a_part_of_our_own_use(void **state)
{
  struct books *b = cut_books();

  (void)state;
  assert_int_equal(b->ledger.limits[0].effective, 72);
  assert_int_equal(b->ledger.limits[0].ceiling, 100);
  assert_int_equal(weir_ledger_wake(&b->ledger, b->now.at), b->now.at + MINUTE / 120);
  pass(b, 2 * SECOND);
  assert_int_equal(b->ledger.widen_us, 0);
  /* 80 are in use: nothing starts before some of them come back. */
  assert_true(earliest_one(b) > b->now.at + 50 * SECOND);
}

static void a_cut_limit_grows_back_flat_around_what_was_in_use_then_ever_faster(void **state)
{
  struct books *b = cut_books();
  uint64_t before = 72;

  (void)state;
  pass(b, MINUTE);
  assert_int_equal(b->ledger.limits[0].effective, 80);
  pass(b, MINUTE);
  assert_int_equal(b->ledger.limits[0].effective, 88);
  for (int i = 0; i < 60; i++) {
    pass(b, SECOND);
    assert_true(b->ledger.limits[0].effective >= before);
    before = b->ledger.limits[0].effective;
  }
  assert_int_equal(before, 100);
  assert_true(weir_ledger_wake(&b->ledger, b->now.at) == WEIR_NEVER);
}

static void a_limit_that_was_cut_to_one_grows_back(void **state)
{
  struct books *b = requests_of(31, WEIR_PROFILE_UNIVERSAL);
  struct lease lease = books_take(b, cost_of(1, 0, 0));
  const struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_OK, .requests_limit = 31};

  (void)state;
  weir_ledger_hear(&b->ledger, &lease.entry, &settle, &b->now);
  assert_int_equal(b->ledger.limits[0].effective, 1);
  pass(b, 4 * MINUTE);
  assert_in_range(b->ledger.limits[0].effective, 2, 30);
  pass(b, 4 * MINUTE);
  assert_int_equal(b->ledger.limits[0].effective, 31);
}

static void rejections_of_leases_from_before_the_cut_do_not_cut_again(void **state)
{
  struct books *b = cut_books();
  struct lease old = lease_of(b, cost_of(1, 0, 0), b->now.at), young;

  (void)state;
  old.entry.number = 5;
  pass(b, 3 * SECOND);
  for (int i = 0; i < 10; i++)
    assert_int_equal(reject(b, &old), WEIR_HEARD_REJECTION);
  assert_true(b->ledger.limits[0].effective >= 72);
  young = books_take_at(b, cost_of(1, 0, 0), b->now.at);
  assert_int_equal(young.entry.number, b->ledger.epoch_number);
  /* 81 are in use: that is debt beside a limit of 72 to 80, and explains itself. */
  assert_int_equal(reject(b, &young), WEIR_HEARD_REJECTION);
}

static void a_limit_that_is_hardly_used_is_not_cut(void **state)
{
  struct books *b = requests_of(100, WEIR_PROFILE_UNIVERSAL);
  struct lease lease = books_take_at(b, cost_of(50, 0, 0), b->now.at);

  (void)state;
  for (int i = 0; i < 3; i++)
    reject(b, &lease);
  assert_int_equal(b->ledger.limits[0].effective, 100);
}

/* ---- what is stated ---- */

static void a_stated_limit_below_ours_is_the_truth_and_one_above_is_not(void **state)
{
  struct books *b = requests_of(100, WEIR_PROFILE_WINDOW);
  struct lease lease = books_take(b, cost_of(1, 0, 0));
  struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS,
                                   .stated_limit = 60};
  const struct weir_cost larger = cost_of(61, 0, 0);

  (void)state;
  assert_int_equal(hear(b, &lease, &settle), WEIR_HEARD_REJECTION); /* which explains it */
  assert_int_equal(b->ledger.profile, WEIR_PROFILE_WINDOW);
  assert_int_equal(b->ledger.limits[0].ceiling, 60);
  assert_int_equal(b->ledger.limits[0].effective, 60);
  assert_int_equal(weir_ledger_misfit(&b->ledger, &larger), 0);
  settle.stated_limit = 1000;
  hear(b, &lease, &settle);
  assert_int_equal(b->ledger.limits[0].ceiling, 60);
}

static void a_header_states_a_limit_too_and_freezes_nothing(void **state)
{
  struct books *b = books_pool(100, 1000);
  struct lease lease = books_take(b, cost_of(1, 10, 0));
  const struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_OK,
                                         .requests_limit = 50,
                                         .requests_left = 49,
                                         .tokens_limit = 900,
                                         .tokens_left = 890};

  (void)state;
  assert_int_equal(hear(b, &lease, &settle), WEIR_HEARD_NOTHING);
  assert_int_equal(b->ledger.limits[0].effective, 50);
  assert_int_equal(b->ledger.limits[1].effective, 900);
  assert_int_equal(b->ledger.frozen_until, 0);
}

static void a_number_that_may_mean_two_limits_means_none(void **state)
{
  const struct weir_limit_config limits[] = {limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, 100),
                                             limit_of(WEIR_DIMENSION_REQUESTS, 10 * MINUTE, 500)};
  struct books *b = books_open(limits, 2, WEIR_PROFILE_WINDOW, 1000 * SECOND);
  struct lease lease = books_take(b, cost_of(1, 0, 0));
  const struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_OK, .requests_limit = 60};

  (void)state;
  hear(b, &lease, &settle);
  assert_int_equal(b->ledger.limits[0].ceiling, 100);
  assert_int_equal(b->ledger.limits[1].ceiling, 500);
}

static void what_is_left_shows_what_others_use(void **state)
{
  struct books *b = requests_of(100, WEIR_PROFILE_WINDOW);
  struct lease lease = books_take(b, cost_of(30, 0, 0));
  struct weir_msg_settle settle = {
      .outcome = WEIR_OUTCOME_OK, .requests_limit = 100, .requests_left = 65};

  (void)state;
  hear(b, &lease, &settle); /* a twentieth is noise */
  assert_int_equal(b->ledger.limits[0].effective, 100);
  settle.requests_left = 45;
  hear(b, &lease, &settle);
  assert_int_equal(b->ledger.limits[0].effective, 75);
  assert_int_equal(b->ledger.limits[0].ceiling, 100);
}

static void a_rejection_that_names_the_use_shows_it_too(void **state)
{
  struct books *b = requests_of(100, WEIR_PROFILE_WINDOW);
  struct lease lease = books_take(b, cost_of(30, 0, 0));
  const struct weir_msg_settle settle = {
      .outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS, .stated_limit = 100, .stated_used = 100};

  (void)state;
  hear(b, &lease, &settle);
  assert_int_equal(b->ledger.limits[0].effective, 30);
}

static void what_islands_may_use_is_not_others_use(void **state)
{
  struct books *b = requests_of(80, WEIR_PROFILE_WINDOW);
  struct weir_msg_settle settle = {
      .outcome = WEIR_OUTCOME_OK, .requests_limit = 100, .requests_left = 50};
  struct lease lease;

  (void)state;
  b->limits[0].islands = 20;
  books_configure(b);
  lease = books_take(b, cost_of(30, 0, 0));
  hear(b, &lease, &settle); /* 30 are ours, and 20 those of instances without the coordinator */
  assert_int_equal(b->ledger.limits[0].effective, 80);
  settle.requests_left = 45;
  hear(b, &lease, &settle);
  assert_int_equal(b->ledger.limits[0].effective, 75);
}

/* However little was left, a probe finds the way back. */
static void a_limit_that_others_used_up_comes_back_whole(void **state)
{
  struct books *b = requests_of(6000, WEIR_PROFILE_WINDOW);
  struct lease lease = books_take(b, cost_of(1, 0, 0));
  const struct weir_msg_settle settle = {
      .outcome = WEIR_OUTCOME_OK, .requests_limit = 6000, .requests_left = 0};

  (void)state;
  hear(b, &lease, &settle);
  assert_int_equal(b->ledger.limits[0].effective, 300);
  for (int i = 0; i < 8 * 60; i++)
    pass(b, SECOND);
  assert_int_equal(b->ledger.limits[0].effective, 6000);
}

/* A long call tells of its beginning: what was ours then is nobody else's now. */
static void what_was_ours_when_it_was_said_is_not_others_use(void **state)
{
  struct books *b = requests_of(100, WEIR_PROFILE_WINDOW);
  struct weir_msg_settle settle = {
      .outcome = WEIR_OUTCOME_OK, .requests_limit = 100, .requests_left = 0};
  struct lease lease = books_take(b, cost_of(99, 0, 0)), last;

  (void)state;
  pass(b, MINUTE / 2);
  last = books_take(b, cost_of(1, 0, 0));
  pass(b, MINUTE / 2 + SECOND);
  assert_int_equal(b->ledger.limits[0].ring.used, 1);
  hear(b, &last, &settle);
  assert_int_equal(b->ledger.limits[0].effective, 100);
  /* A call so long that the books have forgotten its beginning teaches nothing. */
  pass(b, 2 * MINUTE);
  hear(b, &lease, &settle);
  assert_int_equal(b->ledger.limits[0].effective, 100);
  /* What nobody of us used at any time is others'. */
  lease = books_take(b, cost_of(20, 0, 0));
  pass(b, 10 * SECOND);
  settle.requests_left = 20;
  hear(b, &lease, &settle);
  assert_int_equal(b->ledger.limits[0].effective, 40);
}

static void what_was_learned_of_another_amount_is_forgotten(void **state)
{
  struct books *b = requests_of(100, WEIR_PROFILE_WINDOW);
  struct lease lease = books_take(b, cost_of(1, 0, 0));
  const struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS,
                                         .stated_limit = 60};

  (void)state;
  hear(b, &lease, &settle);
  books_configure(b);
  assert_int_equal(b->ledger.limits[0].ceiling, 60);
  b->limits[0].amount = 200;
  books_configure(b);
  assert_int_equal(b->ledger.limits[0].ceiling, 200);
  assert_int_equal(b->ledger.limits[0].effective, 200);
}

static void a_fallback_lasts_until_another_profile_is_configured(void **state)
{
  struct books *b = requests_of(6000, WEIR_PROFILE_WINDOW);
  struct lease lease = books_take(b, cost_of(1, 0, 0));

  (void)state;
  reject(b, &lease);
  b->limits[0].amount = 5000;
  books_configure(b);
  assert_int_equal(b->ledger.profile, WEIR_PROFILE_UNIVERSAL);
  b->rules.profile = WEIR_PROFILE_BUCKET;
  books_configure(b);
  assert_int_equal(b->ledger.profile, WEIR_PROFILE_BUCKET);
  assert_false(b->ledger.has_sub);
}

/* ---- days ---- */

#define DAY  (24 * HOUR)
#define SKEW WEIR_CALENDAR_SKEW_US

static struct books *day_of(bool is_calendar)
{
  struct weir_limit_config limits[] = {limit_of(WEIR_DIMENSION_REQUESTS, WEIR_DAY_WINDOW_US, 1000),
                                       limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, 600)};
  struct weir_wall wall = {.now_us = 20000 * DAY + 12 * HOUR, .zones_count = 1};
  struct books *b;

  limits[0].is_day = true;
  b = books_open(limits, 2, WEIR_PROFILE_WINDOW, 1000 * SECOND);
  b->hold_us = 0;
  wall.zones[0].number = 20000;
  for (uint64_t i = 0; i < WEIR_ZONE_STARTS; i++)
    wall.zones[0].starts_us[i] = (20000 + i) * DAY;
  if (is_calendar)
    weir_calendar_clock(&b->calendar, &wall, b->now.at);
  return b;
}

static void a_day_that_is_used_up_is_closed_until_it_turns(void **state)
{
  struct books *b = day_of(true);
  struct lease lease = books_take(b, cost_of(1, 0, 0));
  const struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_QUOTA_DAY_REQUESTS,
                                         .retry_after_us = 30 * SECOND};
  const weir_tstamp turn = b->now.at + 12 * HOUR + SKEW;
  int binding = -1;

  (void)state;
  assert_int_equal(hear(b, &lease, &settle), WEIR_HEARD_REJECTION);
  assert_int_equal(books_earliest(b, cost_of(1, 0, 0), &binding), turn);
  assert_int_equal(binding, 0);
  assert_int_equal(b->ledger.profile, WEIR_PROFILE_WINDOW);
  assert_int_equal(books_used(b, 0), 1000);
  b->now.at = turn;
  weir_calendar_advance(&b->calendar, turn);
  assert_int_equal(earliest_one(b), turn);
  assert_int_equal(books_used(b, 0), 0);
}

static void a_day_that_is_used_up_opens_with_another_amount_and_with_nothing_else(void **state)
{
  struct books *b = day_of(true);
  struct lease lease = books_take(b, cost_of(1, 0, 0));
  const struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_QUOTA_DAY_REQUESTS};
  const weir_tstamp turn = b->now.at + 12 * HOUR + SKEW;

  (void)state;
  hear(b, &lease, &settle);
  b->limits[1].amount = 300;
  books_configure(b);
  assert_int_equal(earliest_one(b), turn);
  b->limits[0].amount = 900;
  b->limits[0].islands = 100; /* the same, but for who has it */
  books_configure(b);
  assert_int_equal(earliest_one(b), turn);
  b->limits[0].amount = 9900;
  books_configure(b);
  assert_int_equal(earliest_one(b), b->now.at);
}

static void without_a_calendar_a_day_is_looked_at_again_within_the_hour(void **state)
{
  const weir_duration stated[] = {0, 30 * MINUTE, 9 * HOUR};
  const weir_duration waits[] = {10 * MINUTE, 30 * MINUTE, HOUR};

  (void)state;
  for (int i = 0; i < 3; i++) {
    struct books *b = day_of(false);
    struct lease lease = books_take(b, cost_of(1, 0, 0));
    const struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_QUOTA_DAY_REQUESTS,
                                           .retry_after_us = stated[i]};

    hear(b, &lease, &settle);
    assert_int_equal(earliest_one(b), b->now.at + waits[i]);
  }
}

static void a_day_that_is_not_configured_freezes(void **state)
{
  struct books *b = day_of(true);
  struct lease lease = books_take(b, cost_of(1, 0, 0));
  const struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_QUOTA_DAY_TOKENS};

  (void)state;
  hear(b, &lease, &settle);
  assert_int_equal(b->ledger.frozen_until, b->now.at + 10 * MINUTE);
}

static void a_day_in_the_shadow_freezes_as_one_that_is_not_configured(void **state)
{
  struct books *b = day_of(true);
  const struct weir_msg_settle settle = {.outcome = WEIR_OUTCOME_QUOTA_DAY_REQUESTS};
  struct lease lease;

  (void)state;
  b->limits[0].is_shadow = true;
  books_configure(b);
  lease = books_take(b, cost_of(1, 0, 0));
  hear(b, &lease, &settle);
  assert_int_equal(earliest_one(b), b->now.at + 10 * MINUTE);
}

/* The sliding window beside the day still holds what was used before midnight. */
static void others_use_of_a_day_is_reckoned_with_the_day(void **state)
{
  struct books *b = day_of(true);
  struct lease lease, before;
  const struct weir_msg_settle settle = {
      .outcome = WEIR_OUTCOME_QUOTA_DAY_REQUESTS, .stated_limit = 1000, .stated_used = 1000};

  (void)state;
  before = books_take(b, cost_of(600, 0, 0));
  b->now.at += 12 * HOUR + SKEW;
  weir_calendar_advance(&b->calendar, b->now.at);
  lease = books_take(b, cost_of(100, 0, 0));
  /* Late news of yesterday are none of today. */
  hear(b, &before, &settle);
  assert_int_equal(b->ledger.limits[0].effective, 1000);
  hear(b, &lease, &settle);
  assert_int_equal(b->ledger.limits[0].effective, 100);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_rejection_freezes_for_the_stated_wait_or_five_seconds),
      cmocka_unit_test(a_shorter_wait_does_not_end_a_longer_one),
      cmocka_unit_test(only_rejections_by_a_quota_or_a_ramp_freeze),
      cmocka_unit_test(what_waited_for_the_end_of_a_freeze_is_released_smoothly),
      cmocka_unit_test(a_smooth_release_is_over_after_a_window),
      cmocka_unit_test(an_unexplained_rejection_makes_the_gates_universal),
      cmocka_unit_test(a_fixed_profile_stays),
      cmocka_unit_test(debt_explains_a_rejection_in_its_own_dimension),
      cmocka_unit_test(what_a_former_life_spent_explains_a_rejection),
      cmocka_unit_test(a_stray_rejection_widens_the_delays_and_clean_time_narrows_them),
      cmocka_unit_test(delays_are_never_widened_beyond_their_bound),
      cmocka_unit_test(three_rejections_of_an_epoch_cut_to_a_part_of_our_own_use),
      cmocka_unit_test(a_cut_limit_grows_back_flat_around_what_was_in_use_then_ever_faster),
      cmocka_unit_test(a_limit_that_was_cut_to_one_grows_back),
      cmocka_unit_test(rejections_of_leases_from_before_the_cut_do_not_cut_again),
      cmocka_unit_test(a_limit_that_is_hardly_used_is_not_cut),
      cmocka_unit_test(a_stated_limit_below_ours_is_the_truth_and_one_above_is_not),
      cmocka_unit_test(a_header_states_a_limit_too_and_freezes_nothing),
      cmocka_unit_test(a_number_that_may_mean_two_limits_means_none),
      cmocka_unit_test(what_is_left_shows_what_others_use),
      cmocka_unit_test(a_rejection_that_names_the_use_shows_it_too),
      cmocka_unit_test(what_islands_may_use_is_not_others_use),
      cmocka_unit_test(a_limit_that_others_used_up_comes_back_whole),
      cmocka_unit_test(what_was_ours_when_it_was_said_is_not_others_use),
      cmocka_unit_test(what_was_learned_of_another_amount_is_forgotten),
      cmocka_unit_test(a_fallback_lasts_until_another_profile_is_configured),
      cmocka_unit_test(a_day_that_is_used_up_is_closed_until_it_turns),
      cmocka_unit_test(a_day_that_is_used_up_opens_with_another_amount_and_with_nothing_else),
      cmocka_unit_test(without_a_calendar_a_day_is_looked_at_again_within_the_hour),
      cmocka_unit_test(a_day_that_is_not_configured_freezes),
      cmocka_unit_test(a_day_in_the_shadow_freezes_as_one_that_is_not_configured),
      cmocka_unit_test(others_use_of_a_day_is_reckoned_with_the_day),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
