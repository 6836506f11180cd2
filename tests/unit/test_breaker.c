/* A breaker by itself: what it makes of outcomes, probes, time and an operator's word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <weir/breaker.h>

#define MS     WEIR_US_PER_MS
#define SECOND WEIR_US_PER_S
#define MINUTE WEIR_US_PER_MIN

static const struct weir_breaker_config usual = {.is_on = true,
                                                 .failures_pm = 500,
                                                 .calls_min = 20,
                                                 .probes = 3,
                                                 .window_us = 10 * SECOND,
                                                 .open_us = 5 * SECOND,
                                                 .open_max_us = 2 * MINUTE,
                                                 .probe_timeout_us = 30 * SECOND,
                                                 .ramp_us = 10 * SECOND};

static struct weir_breaker b;
static struct weir_rng rng;
static weir_tstamp now;

static int set_up(void **state)
{
  (void)state;
  weir_rng_init(&rng, 7);
  weir_breaker_init(&b, &usual);
  now = 1000 * SECOND;
  return 0;
}

static void advance_to(weir_tstamp at)
{
  now = at;
  weir_breaker_advance(&b, true, now, &rng);
  weir_breaker_check(&b);
}

static struct weir_breaker_pass take(void)
{
  const struct weir_breaker_pass pass = weir_breaker_take(&b, now, 0);

  weir_breaker_check(&b);
  return pass;
}

static void hear(const struct weir_breaker_pass *pass, const struct weir_msg_settle *said)
{
  weir_breaker_hear(&b, pass, said, now, &rng);
  weir_breaker_check(&b);
}

static void end(const struct weir_breaker_pass *pass, enum weir_outcome outcome)
{
  hear(pass, &(struct weir_msg_settle){.is_sent = true, .is_final = true, .outcome = outcome});
}

/* |count| calls that are granted and end now. */
static void call(uint32_t count, enum weir_outcome outcome)
{
  for (uint32_t i = 0; i < count; i++) {
    const struct weir_breaker_pass pass = take();

    end(&pass, outcome);
  }
}

static void fail_until_open(void)
{
  for (int i = 0; i < 20; i++) {
    const struct weir_breaker_pass pass = {.period = b.period};

    end(&pass, WEIR_OUTCOME_OVERLOADED);
  }
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
}

static void open_then_probe(void)
{
  fail_until_open();
  advance_to(b.open_until);
  assert_int_equal(b.state, WEIR_BREAKER_HALF_OPEN);
}

static void recover(void)
{
  open_then_probe();
  call(3, WEIR_OUTCOME_OK);
  assert_int_equal(b.state, WEIR_BREAKER_RAMP);
}

/* ---- closed ---- */

static void opens_when_the_share_of_failures_is_reached(void **state)
{
  (void)state;
  call(10, WEIR_OUTCOME_OK);
  call(9, WEIR_OUTCOME_SERVER_ERROR);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED); /* 19 calls */
  call(1, WEIR_OUTCOME_SERVER_ERROR);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
}

/* Errors come at once, answers take their time: those that are still under way are no failures. */
static void a_burst_whose_first_ends_are_its_few_failures_does_not_open_it(void **state)
{
  struct weir_breaker_pass passes[100];

  (void)state;
  for (uint32_t i = 0; i < 100; i++)
    passes[i] = take();
  advance_to(now + SECOND);
  for (uint32_t i = 0; i < 49; i++)
    end(&passes[i], WEIR_OUTCOME_SERVER_ERROR);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
  end(&passes[49], WEIR_OUTCOME_SERVER_ERROR);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
}

/* Where every call hangs, ends come long after their starts. */
static void starts_that_are_older_than_the_window_do_not_count(void **state)
{
  struct weir_breaker_pass passes[100];

  (void)state;
  for (uint32_t i = 0; i < 100; i++)
    passes[i] = take();
  advance_to(now + 60 * SECOND);
  for (uint32_t i = 0; i < 20; i++)
    end(&passes[i], WEIR_OUTCOME_DEADLINE);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
}

static void stays_closed_below_the_share(void **state)
{
  (void)state;
  call(60, WEIR_OUTCOME_OK);
  call(59, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
  call(1, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
}

static void counts_only_what_tells_about_upstream(void **state)
{
  static const enum weir_outcome failures[] = {WEIR_OUTCOME_CAPACITY_THROTTLE,
                                               WEIR_OUTCOME_OVERLOADED, WEIR_OUTCOME_SERVER_ERROR,
                                               WEIR_OUTCOME_DEADLINE, WEIR_OUTCOME_NETWORK};
  static const enum weir_outcome well[] = {WEIR_OUTCOME_OK, WEIR_OUTCOME_REQUEST_TOO_LARGE,
                                           WEIR_OUTCOME_CONTEXT_OVERFLOW,
                                           WEIR_OUTCOME_MODEL_NOT_FOUND, WEIR_OUTCOME_BAD_REQUEST};
  uint32_t counted = 0;

  for (int outcome = 0; outcome < WEIR_OUTCOME_MAX; outcome++) {
    bool is_failure = false, is_well = false;

    for (int i = 0; i < 5; i++) {
      is_failure = is_failure || failures[i] == (enum weir_outcome)outcome;
      is_well = is_well || well[i] == (enum weir_outcome)outcome;
    }
    set_up(state);
    call(19, WEIR_OUTCOME_OVERLOADED);
    call(1, (enum weir_outcome)outcome);
    /* What is not counted leaves it at 19; a success makes 20, but opens nothing by itself. */
    assert_int_equal(b.state, is_failure ? WEIR_BREAKER_OPEN : WEIR_BREAKER_CLOSED);
    if (!is_failure)
      call(1, WEIR_OUTCOME_OVERLOADED);
    assert_int_equal(b.state, WEIR_BREAKER_OPEN);
    counted += is_failure || is_well;
    if (is_failure)
      continue;
    set_up(state);
    call(40, (enum weir_outcome)outcome);
    call(20, WEIR_OUTCOME_OVERLOADED);
    assert_int_equal(b.state, is_well ? WEIR_BREAKER_CLOSED : WEIR_BREAKER_OPEN);
  }
  assert_int_equal(counted, 10);
}

static void forgets_what_the_window_has_left_behind(void **state)
{
  for (weir_duration later = 10 * SECOND; later <= 30 * SECOND; later += SECOND) {
    set_up(state);
    call(19, WEIR_OUTCOME_OVERLOADED);
    now += later;
    call(1, WEIR_OUTCOME_OVERLOADED);
    assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
  }
  for (weir_duration later = 0; later < 10 * SECOND; later += SECOND) {
    set_up(state);
    call(19, WEIR_OUTCOME_OVERLOADED);
    now += later;
    call(1, WEIR_OUTCOME_OVERLOADED);
    assert_int_equal(b.state, WEIR_BREAKER_OPEN);
  }
}

static void says_nothing_of_calls_that_have_not_ended(void **state)
{
  const struct weir_msg_settle interim = {.is_sent = true, .outcome = WEIR_OUTCOME_OVERLOADED};
  const struct weir_msg_settle unused = {.is_final = true, .outcome = WEIR_OUTCOME_OVERLOADED};
  struct weir_breaker_pass pass = take();

  (void)state;
  for (int i = 0; i < 100; i++) {
    hear(&pass, &interim);
    hear(&pass, &unused);
  }
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
}

static void never_opens_by_itself_when_it_is_off(void **state)
{
  struct weir_breaker_config config = usual;

  (void)state;
  config.is_on = false;
  weir_breaker_init(&b, &config);
  call(1000, WEIR_OUTCOME_NETWORK);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
  weir_breaker_steer(&b, WEIR_STEER_OPEN, now);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
  weir_breaker_steer(&b, WEIR_STEER_AUTO, now);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
}

/* ---- open ---- */

static void lets_nothing_through_until_the_time_is_over(void **state)
{
  (void)state;
  fail_until_open();
  assert_true(weir_breaker_is_shut(&b));
  assert_int_equal(weir_breaker_wake(&b), b.open_until);
  assert_int_equal(weir_breaker_starts_at(&b), b.open_until);
  assert_in_range(weir_breaker_open_us(&b, now), 45 * SECOND / 10, 5 * SECOND);
  advance_to(b.open_until - 1);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
  assert_int_equal(weir_breaker_open_us(&b, now), 1);
  advance_to(b.open_until);
  assert_int_equal(b.state, WEIR_BREAKER_HALF_OPEN);
  assert_false(weir_breaker_is_shut(&b));
}

static void doubles_with_each_failed_probe_up_to_the_most(void **state)
{
  static const uint64_t seconds[] = {5, 10, 20, 40, 80, 120, 120, 120};

  (void)state;
  fail_until_open();
  for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
    assert_in_range(b.open_until - b.opened_at, seconds[i] * 900 * MS, seconds[i] * SECOND);
    advance_to(b.open_until);
    call(1, WEIR_OUTCOME_DEADLINE);
    assert_int_equal(b.state, WEIR_BREAKER_OPEN);
  }
}

static void opens_for_lengths_that_differ(void **state)
{
  weir_duration lengths[2];

  for (int i = 0; i < 2; i++) {
    set_up(state);
    weir_rng_init(&rng, 100 + (uint64_t)i);
    fail_until_open();
    lengths[i] = b.open_until - now;
  }
  assert_int_not_equal(lengths[0], lengths[1]);
}

static void begins_anew_after_it_was_well_for_long(void **state)
{
  (void)state;
  open_then_probe();
  call(1, WEIR_OUTCOME_NETWORK);
  advance_to(b.open_until);
  call(3, WEIR_OUTCOME_OK);
  advance_to(now + usual.ramp_us);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
  now += MINUTE; /* not long enough: it goes on where it was */
  fail_until_open();
  assert_in_range(b.open_until - now, 18 * SECOND, 20 * SECOND);
  advance_to(b.open_until);
  call(3, WEIR_OUTCOME_OK);
  advance_to(now + usual.ramp_us);
  now += 2 * MINUTE;
  fail_until_open();
  assert_in_range(b.open_until - now, 45 * SECOND / 10, 5 * SECOND);
}

static void is_prolonged_by_what_the_provider_states(void **state)
{
  struct weir_msg_settle said = {.is_sent = true,
                                 .is_final = true,
                                 .outcome = WEIR_OUTCOME_OVERLOADED,
                                 .retry_after_us = 33 * SECOND};
  struct weir_breaker_pass pass = take();
  const weir_tstamp began = now;

  (void)state;
  hear(&pass, &said); /* heard while closed: it counts from then */
  now += SECOND;
  call(19, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
  assert_int_equal(b.open_until, began + 33 * SECOND);
  now += 10 * SECOND;
  hear(&pass, &said); /* of a call from before: it says more */
  assert_int_equal(b.open_until, now + 33 * SECOND);
  said.retry_after_us = 400 * SECOND;
  hear(&pass, &said);
  assert_int_equal(b.open_until, b.opened_at + 2 * MINUTE);
  said.outcome = WEIR_OUTCOME_QUOTA_DAY_TOKENS;
  said.retry_after_us = 300 * SECOND;
  b.open_until = now + SECOND;
  hear(&pass, &said);
  assert_int_equal(b.open_until, now + SECOND);
}

/* ---- half open ---- */

static void lets_exactly_the_probes_through(void **state)
{
  (void)state;
  open_then_probe();
  assert_int_equal(weir_breaker_wake(&b), WEIR_NEVER);
  for (uint32_t i = 0; i < 3; i++) {
    assert_false(weir_breaker_is_shut(&b));
    assert_int_equal(take().probe, i + 1);
    assert_int_equal(weir_breaker_probes(&b), i + 1);
    now += SECOND;
  }
  assert_true(weir_breaker_is_shut(&b));
  assert_int_equal(weir_breaker_starts_at(&b), now + 27 * SECOND); /* the first may be lost */
}

static void goes_on_when_all_probes_went_well(void **state)
{
  struct weir_breaker_pass probes[3];

  (void)state;
  open_then_probe();
  for (int i = 0; i < 3; i++)
    probes[i] = take();
  end(&probes[1], WEIR_OUTCOME_OK);
  end(&probes[0], WEIR_OUTCOME_BAD_REQUEST); /* an answer all the same */
  assert_int_equal(b.state, WEIR_BREAKER_HALF_OPEN);
  assert_true(weir_breaker_is_shut(&b)); /* its place is not for another */
  end(&probes[2], WEIR_OUTCOME_OK);
  assert_int_equal(b.state, WEIR_BREAKER_RAMP);
}

static void takes_the_first_bytes_of_an_answer_for_a_success(void **state)
{
  struct weir_msg_settle said = {.is_sent = true};
  struct weir_breaker_pass probe;

  (void)state;
  open_then_probe();
  call(2, WEIR_OUTCOME_OK);
  probe = take();
  hear(&probe, &said); /* written, no status yet */
  said.http = 199;
  hear(&probe, &said);
  said.http = 300;
  hear(&probe, &said);
  assert_int_equal(b.state, WEIR_BREAKER_HALF_OPEN);
  said.http = 200;
  hear(&probe, &said);
  assert_int_equal(b.state, WEIR_BREAKER_RAMP);
}

static void opens_again_when_an_answer_breaks_off(void **state)
{
  const struct weir_msg_settle begun = {.is_sent = true, .http = 200};
  struct weir_breaker_pass probe;

  (void)state;
  open_then_probe();
  probe = take();
  hear(&probe, &begun);
  end(&probe, WEIR_OUTCOME_NETWORK);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
}

static void keeps_a_success_whose_end_says_nothing(void **state)
{
  const struct weir_msg_settle begun = {.is_sent = true, .http = 200};
  struct weir_breaker_pass probe;

  (void)state;
  open_then_probe();
  probe = take();
  hear(&probe, &begun);
  end(&probe, WEIR_OUTCOME_CANCELLED);
  assert_int_equal(weir_breaker_probes(&b), 1);
  call(2, WEIR_OUTCOME_OK);
  assert_int_equal(b.state, WEIR_BREAKER_RAMP);
}

static void opens_at_once_when_a_probe_fails(void **state)
{
  struct weir_breaker_pass probes[3];

  (void)state;
  open_then_probe();
  for (int i = 0; i < 3; i++)
    probes[i] = take();
  end(&probes[0], WEIR_OUTCOME_OK);
  end(&probes[1], WEIR_OUTCOME_SERVER_ERROR);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
  end(&probes[2], WEIR_OUTCOME_OK); /* of a period that is over */
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
}

static void opens_again_when_a_probe_is_lost(void **state)
{
  struct weir_breaker_pass probe;

  (void)state;
  open_then_probe();
  call(2, WEIR_OUTCOME_OK);
  probe = take();
  assert_int_equal(weir_breaker_wake(&b), now + 30 * SECOND);
  advance_to(now + 30 * SECOND - 1);
  assert_int_equal(b.state, WEIR_BREAKER_HALF_OPEN);
  advance_to(now + 1);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
  advance_to(b.open_until);
  end(&probe, WEIR_OUTCOME_OK); /* too late to count among the new probes */
  assert_int_equal(weir_breaker_probes(&b), 0);
  assert_int_equal(b.state, WEIR_BREAKER_HALF_OPEN);
}

static void lets_another_go_in_the_place_of_one_that_decides_nothing(void **state)
{
  static const enum weir_outcome nothing[] = {WEIR_OUTCOME_CANCELLED, WEIR_OUTCOME_AUTH,
                                              WEIR_OUTCOME_QUOTA_MINUTE_TOKENS};
  const struct weir_msg_settle unsent = {.is_final = true};
  struct weir_breaker_pass probe;

  (void)state;
  open_then_probe();
  take();
  take();
  for (int i = 0; i < 3; i++) {
    probe = take();
    assert_true(weir_breaker_is_shut(&b));
    end(&probe, nothing[i]);
    assert_false(weir_breaker_is_shut(&b));
  }
  probe = take();
  hear(&probe, &unsent);
  assert_int_equal(weir_breaker_probes(&b), 2);
  assert_int_equal(b.state, WEIR_BREAKER_HALF_OPEN);
}

static void does_not_count_calls_from_before_among_the_probes(void **state)
{
  struct weir_breaker_pass before[2] = {take(), take()};

  (void)state;
  open_then_probe();
  take();
  end(&before[0], WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(b.state, WEIR_BREAKER_HALF_OPEN);
  end(&before[1], WEIR_OUTCOME_OK);
  assert_int_equal(weir_breaker_probes(&b), 1);
  assert_int_equal(b.state, WEIR_BREAKER_HALF_OPEN);
}

static void does_not_count_calls_from_before_after_it_has_closed(void **state)
{
  struct weir_breaker_pass before = take();

  (void)state;
  recover();
  for (int i = 0; i < 100; i++)
    end(&before, WEIR_OUTCOME_DEADLINE);
  assert_int_equal(b.state, WEIR_BREAKER_RAMP);
}

/* ---- ramp ---- */

static void starts_calls_in_growing_numbers(void **state)
{
  (void)state;
  recover();
  assert_true(weir_breaker_starts_at(&b) <= now);
  weir_breaker_take(&b, now, 100 * MS);
  assert_int_equal(weir_breaker_starts_at(&b), now + 400 * MS); /* a quarter */
  now += 5 * SECOND;
  weir_breaker_take(&b, now, 100 * MS);
  assert_int_equal(weir_breaker_starts_at(&b), now + 160 * MS); /* five eighths */
  now += 5 * SECOND;
  weir_breaker_take(&b, now, 100 * MS);
  assert_int_equal(weir_breaker_starts_at(&b), now + 100 * MS);
  now += MINUTE;
  weir_breaker_take(&b, now, 100 * MS);
  assert_int_equal(weir_breaker_starts_at(&b), now + 100 * MS); /* and no more */
}

static void closes_when_the_last_start_that_it_gave_out_has_come(void **state)
{
  (void)state;
  recover();
  now += 10 * SECOND;
  weir_breaker_take(&b, now + 20 * MS, 100 * MS);
  assert_int_equal(weir_breaker_wake(&b), now + 120 * MS);
  advance_to(now + 120 * MS - 1);
  assert_int_equal(b.state, WEIR_BREAKER_RAMP);
  advance_to(now + 1);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
}

static void closes_when_the_ramp_is_over_and_the_queue_has_drained(void **state)
{
  (void)state;
  recover();
  advance_to(now + 10 * SECOND - 1);
  assert_int_equal(b.state, WEIR_BREAKER_RAMP); /* drained, but too early */
  now += 1;
  weir_breaker_advance(&b, false, now, &rng);
  assert_int_equal(b.state, WEIR_BREAKER_RAMP); /* time is over, but somebody waits */
  now += MINUTE;
  advance_to(now);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
  assert_true(weir_breaker_starts_at(&b) <= now);
}

static void paces_a_backlog_that_stays_for_two_minutes_and_no_longer(void **state)
{
  (void)state;
  recover();
  for (weir_tstamp end = now + 2 * MINUTE - 1; now < end; now += SECOND) {
    weir_breaker_take(&b, now, 2 * SECOND);
    weir_breaker_advance(&b, false, now, &rng);
    assert_int_equal(b.state, WEIR_BREAKER_RAMP);
  }
  weir_breaker_take(&b, now, 2 * SECOND);
  weir_breaker_advance(&b, false, now, &rng);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
  assert_true(weir_breaker_starts_at(&b) <= now);
}

static void opens_again_in_the_ramp(void **state)
{
  (void)state;
  recover();
  call(19, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(b.state, WEIR_BREAKER_RAMP); /* what was before the outage counts no more */
  call(1, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
  assert_in_range(b.open_until - now, 9 * SECOND, 10 * SECOND); /* and for longer */
}

/* ---- an operator ---- */

static void stays_open_as_long_as_it_is_held(void **state)
{
  (void)state;
  weir_breaker_steer(&b, WEIR_STEER_OPEN, now);
  assert_int_equal(weir_breaker_open_us(&b, now), WEIR_DURATION_MAX);
  assert_int_equal(weir_breaker_wake(&b), WEIR_NEVER);
  assert_int_equal(weir_breaker_starts_at(&b), WEIR_NEVER);
  advance_to(now + 100 * MINUTE);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
  weir_breaker_steer(&b, WEIR_STEER_AUTO, now);
  advance_to(now);
  assert_int_equal(b.state, WEIR_BREAKER_HALF_OPEN);
}

static void lets_an_opening_run_on_after_it_was_held(void **state)
{
  weir_tstamp until;

  (void)state;
  fail_until_open();
  until = b.open_until;
  weir_breaker_steer(&b, WEIR_STEER_OPEN, now);
  weir_breaker_steer(&b, WEIR_STEER_AUTO, now + SECOND);
  assert_int_equal(weir_breaker_wake(&b), until);
}

static void takes_no_word_of_probes_that_an_operator_cut_off(void **state)
{
  struct weir_breaker_pass probe;

  (void)state;
  open_then_probe();
  probe = take();
  weir_breaker_steer(&b, WEIR_STEER_OPEN, now);
  weir_breaker_steer(&b, WEIR_STEER_AUTO, now);
  advance_to(now);
  end(&probe, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(b.state, WEIR_BREAKER_HALF_OPEN);
}

static void closes_now_and_forgets(void **state)
{
  struct weir_breaker_pass before = take();

  (void)state;
  open_then_probe();
  call(1, WEIR_OUTCOME_OVERLOADED);
  weir_breaker_steer(&b, WEIR_STEER_CLOSE, now);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
  assert_int_equal(b.held, WEIR_STEER_AUTO);
  call(19, WEIR_OUTCOME_OVERLOADED);
  end(&before, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
  call(1, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
  assert_in_range(b.open_until - now, 45 * SECOND / 10, 5 * SECOND); /* as if for the first time */
}

static void stays_closed_when_it_is_forced(void **state)
{
  (void)state;
  fail_until_open();
  weir_breaker_steer(&b, WEIR_STEER_FORCE, now);
  call(100, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
  weir_breaker_steer(&b, WEIR_STEER_AUTO, now);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
  call(1, WEIR_OUTCOME_OVERLOADED); /* it has counted all along */
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
}

static void counts_its_changes(void **state)
{
  uint64_t changes;

  (void)state;
  recover();
  assert_int_equal(b.changes, 3);
  weir_breaker_steer(&b, WEIR_STEER_OPEN, now);
  changes = b.changes;
  weir_breaker_steer(&b, WEIR_STEER_OPEN, now);
  assert_int_equal(b.changes, changes);
  weir_breaker_steer(&b, WEIR_STEER_AUTO, now);
  assert_int_equal(b.changes, changes + 1);
}

/* ---- another configuration ---- */

static void keeps_its_state_through_a_reload(void **state)
{
  struct weir_breaker_config config = usual;
  weir_tstamp until;

  (void)state;
  call(19, WEIR_OUTCOME_OVERLOADED);
  config.open_us = 7 * SECOND;
  weir_breaker_configure(&b, &config, now);
  call(1, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
  assert_in_range(b.open_until - now, 63 * SECOND / 10, 7 * SECOND);
  until = b.open_until;
  config.probes = 1;
  weir_breaker_configure(&b, &config, now);
  assert_int_equal(b.open_until, until);
  config.open_max_us = SECOND;
  weir_breaker_configure(&b, &config, now);
  assert_int_equal(b.open_until, now + SECOND);
  advance_to(b.open_until);
  config.probes = 2; /* of the next period */
  weir_breaker_configure(&b, &config, now);
  call(1, WEIR_OUTCOME_OK);
  assert_int_equal(b.state, WEIR_BREAKER_RAMP);
}

static void begins_to_count_anew_over_another_window(void **state)
{
  struct weir_breaker_config config = usual;

  (void)state;
  call(19, WEIR_OUTCOME_OVERLOADED);
  config.window_us = 20 * SECOND;
  weir_breaker_configure(&b, &config, now);
  call(19, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
  call(1, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
}

static void closes_when_it_is_turned_off_but_for_what_is_held(void **state)
{
  struct weir_breaker_config off = usual;

  (void)state;
  off.is_on = false;
  fail_until_open();
  weir_breaker_configure(&b, &off, now);
  assert_int_equal(b.state, WEIR_BREAKER_CLOSED);
  weir_breaker_configure(&b, &usual, now);
  weir_breaker_steer(&b, WEIR_STEER_OPEN, now);
  weir_breaker_configure(&b, &off, now);
  assert_int_equal(b.state, WEIR_BREAKER_OPEN);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(opens_when_the_share_of_failures_is_reached, set_up),
      cmocka_unit_test_setup(a_burst_whose_first_ends_are_its_few_failures_does_not_open_it,
                             set_up),
      cmocka_unit_test_setup(starts_that_are_older_than_the_window_do_not_count, set_up),
      cmocka_unit_test_setup(stays_closed_below_the_share, set_up),
      cmocka_unit_test_setup(counts_only_what_tells_about_upstream, set_up),
      cmocka_unit_test_setup(forgets_what_the_window_has_left_behind, set_up),
      cmocka_unit_test_setup(says_nothing_of_calls_that_have_not_ended, set_up),
      cmocka_unit_test_setup(never_opens_by_itself_when_it_is_off, set_up),
      cmocka_unit_test_setup(lets_nothing_through_until_the_time_is_over, set_up),
      cmocka_unit_test_setup(doubles_with_each_failed_probe_up_to_the_most, set_up),
      cmocka_unit_test_setup(opens_for_lengths_that_differ, set_up),
      cmocka_unit_test_setup(begins_anew_after_it_was_well_for_long, set_up),
      cmocka_unit_test_setup(is_prolonged_by_what_the_provider_states, set_up),
      cmocka_unit_test_setup(lets_exactly_the_probes_through, set_up),
      cmocka_unit_test_setup(goes_on_when_all_probes_went_well, set_up),
      cmocka_unit_test_setup(takes_the_first_bytes_of_an_answer_for_a_success, set_up),
      cmocka_unit_test_setup(opens_again_when_an_answer_breaks_off, set_up),
      cmocka_unit_test_setup(keeps_a_success_whose_end_says_nothing, set_up),
      cmocka_unit_test_setup(opens_at_once_when_a_probe_fails, set_up),
      cmocka_unit_test_setup(opens_again_when_a_probe_is_lost, set_up),
      cmocka_unit_test_setup(lets_another_go_in_the_place_of_one_that_decides_nothing, set_up),
      cmocka_unit_test_setup(does_not_count_calls_from_before_among_the_probes, set_up),
      cmocka_unit_test_setup(does_not_count_calls_from_before_after_it_has_closed, set_up),
      cmocka_unit_test_setup(starts_calls_in_growing_numbers, set_up),
      cmocka_unit_test_setup(closes_when_the_last_start_that_it_gave_out_has_come, set_up),
      cmocka_unit_test_setup(closes_when_the_ramp_is_over_and_the_queue_has_drained, set_up),
      cmocka_unit_test_setup(paces_a_backlog_that_stays_for_two_minutes_and_no_longer, set_up),
      cmocka_unit_test_setup(opens_again_in_the_ramp, set_up),
      cmocka_unit_test_setup(stays_open_as_long_as_it_is_held, set_up),
      cmocka_unit_test_setup(lets_an_opening_run_on_after_it_was_held, set_up),
      cmocka_unit_test_setup(takes_no_word_of_probes_that_an_operator_cut_off, set_up),
      cmocka_unit_test_setup(closes_now_and_forgets, set_up),
      cmocka_unit_test_setup(stays_closed_when_it_is_forced, set_up),
      cmocka_unit_test_setup(counts_its_changes, set_up),
      cmocka_unit_test_setup(keeps_its_state_through_a_reload, set_up),
      cmocka_unit_test_setup(begins_to_count_anew_over_another_window, set_up),
      cmocka_unit_test_setup(closes_when_it_is_turned_off_but_for_what_is_held, set_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
