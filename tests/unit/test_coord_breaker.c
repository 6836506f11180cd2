/* Breakers and new attempts in the coordinator's machine: who is granted, who waits, who is denied,
 * and who hears of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coord_fixture.h"

#define ROUTE         9
#define OPERATOR      77
#define ROUTE_FAILING 55

static const struct weir_breaker_config usual = {.is_on = true,
                                                 .failures_pm = 500,
                                                 .calls_min = 20,
                                                 .probes = 3,
                                                 .window_us = 10 * SECOND,
                                                 .open_us = 5 * SECOND,
                                                 .open_max_us = 2 * MINUTE,
                                                 .probe_timeout_us = 30 * SECOND,
                                                 .ramp_us = 10 * SECOND};

static uint64_t session;

/* 6,000 requests a minute, a breaker, a tenth of new attempts. */
static int set_up_breaker(void **state)
{
  struct fixture *f = malloc(sizeof(*f));

  *f = fixture_of(6000, 60000000);
  f->pools[0].breaker = usual;
  f->pools[0].retries_pm = 100;
  f->config.pools = f->pools;
  f->config.names = f->names;
  f->config.session_ttl_us = 100 * MINUTE;
  fixture_start(f, &small_bounds, &first_start);
  session = fixture_hello(f, ROUTE, 1, 1);
  *state = f;
  return 0;
}

static enum weir_msg_type ask(struct fixture *f, uint64_t seq, weir_duration deadline)
{
  return fixture_ask(f, ROUTE, session, seq, WEIR_CLASS_ONLINE, 10, deadline);
}

static void end(struct fixture *f, uint64_t seq, enum weir_outcome outcome)
{
  fixture_settle(f, ROUTE, session, seq, true, 10, outcome);
}

/* The breaker of the first pool, as SHOW tells. */
static struct weir_msg_row row_of(struct fixture *f, enum weir_view view, uint32_t number)
{
  const struct weir_msg msg = {.type = WEIR_MSG_SHOW, .show = {view, number}};

  fixture_send(f, OPERATOR, &msg);
  assert_int_equal(answer(f)->type, WEIR_MSG_ROW);
  return answer(f)->row;
}

static enum weir_breaker_state breaker(struct fixture *f)
{
  return row_of(f, WEIR_VIEW_POOLS, 0).breaker;
}

static const struct weir_msg_state *steer(struct fixture *f, const char *pool, enum weir_steer what)
{
  struct weir_msg msg = {.type = WEIR_MSG_STEER, .steer = {.steer = what}};

  strcpy(msg.steer.pool, pool);
  fixture_send(f, OPERATOR, &msg);
  assert_int_equal(answer(f)->type, WEIR_MSG_STATE);
  assert_int_equal(f->update.sends[f->update.count - 1].route, OPERATOR);
  return &answer(f)->state;
}

/* Takes timeouts up to now, and drops what they send. */
static void settle_down(struct fixture *f)
{
  while (fixture_run(f, f->now) > 0)
    ;
}

/* Calls of another instance, so that tests number theirs from 1. */
static void fail_until_open(struct fixture *f)
{
  const uint64_t other = fixture_hello(f, ROUTE_FAILING, ROUTE_FAILING, 1);

  for (uint64_t seq = 1; seq <= 20; seq++) {
    assert_int_equal(fixture_ask(f, ROUTE_FAILING, other, seq, WEIR_CLASS_ONLINE, 10, 0),
                     WEIR_MSG_GRANT);
    fixture_settle(f, ROUTE_FAILING, other, seq, true, 10, WEIR_OUTCOME_OVERLOADED);
  }
  assert_int_equal(breaker(f), WEIR_BREAKER_OPEN);
}

/* Runs until |type| is sent and returns it; NULL when that is not so by |until|. */
static const struct weir_msg *run_to(struct fixture *f, enum weir_msg_type type, weir_tstamp until)
{
  while (fixture_run(f, until) > 0) {
    for (uint32_t i = 0; i < f->update.count; i++) {
      if (f->update.sends[i].msg.type == type)
        return &f->update.sends[i].msg;
    }
  }
  return NULL;
}

/* ---- open ---- */

static void denies_at_once_what_cannot_wait_until_it_probes(void **state)
{
  struct fixture *f = *state;

  fail_until_open(f);
  assert_int_equal(ask(f, 1, 2 * SECOND), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_OPEN);
  assert_in_range(answer(f)->deny.retry_in_us, 4 * SECOND, 5 * SECOND);
  assert_string_equal(answer(f)->deny.pool, "flash");
  assert_int_equal(ask(f, 2, MINUTE), WEIR_MSG_QUEUED);
  assert_in_range(answer(f)->queued.eta_us, 4 * SECOND, 5 * SECOND);
  assert_int_equal(ask(f, 3, 2 * SECOND), WEIR_MSG_DENY); /* now somebody waits */
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_OPEN);
  assert_in_range(answer(f)->deny.retry_in_us, 4 * SECOND, 5 * SECOND);
}

/* Denials of the update, all of which are to be of 31 or 32. */
static uint32_t denials(const struct fixture *f)
{
  uint32_t count = 0;

  for (uint32_t i = 0; i < f->update.count; i++) {
    if (f->update.sends[i].msg.type != WEIR_MSG_DENY)
      continue;
    assert_int_equal(f->update.sends[i].msg.deny.why, WEIR_DENIAL_OPEN);
    assert_in_range(f->update.sends[i].msg.deny.seq, 31, 32);
    count++;
  }
  return count;
}

static void tells_those_that_wait_and_cannot_any_longer(void **state)
{
  struct fixture *f = *state;
  uint32_t denied = 0;

  for (uint64_t seq = 1; seq <= 20; seq++)
    assert_int_equal(ask(f, seq, 0), WEIR_MSG_GRANT);
  f->pools[0].limits[0].amount = 20; /* so that what follows has to wait */
  reload(f);
  assert_int_equal(ask(f, 30, 3 * MINUTE), WEIR_MSG_QUEUED);
  for (uint64_t seq = 31; seq <= 34; seq++) /* behind it */
    assert_int_equal(fixture_ask_as(f, session, seq, seq % 2 ? "acme" : "", "gemini/flash", 10,
                                    seq < 33 ? 70 * SECOND : 3 * MINUTE),
                     WEIR_MSG_QUEUED);
  f->pools[0].breaker.open_us = 100 * SECOND;
  reload(f);
  for (uint64_t seq = 1; seq <= 20; seq++) {
    end(f, seq, WEIR_OUTCOME_NETWORK);
    denied += denials(f);
  }
  assert_int_equal(breaker(f), WEIR_BREAKER_OPEN);
  while (fixture_run(f, f->now) > 0)
    denied += denials(f);
  assert_int_equal(denied, 2);
}

static void grants_nothing_while_it_is_open(void **state)
{
  struct fixture *f = *state;
  uint32_t granted;

  fail_until_open(f);
  settle_down(f);
  granted = f->granted_count;
  for (uint64_t seq = 1; seq <= 10; seq++)
    assert_int_equal(ask(f, seq, MINUTE), WEIR_MSG_QUEUED);
  assert_null(run_to(f, WEIR_MSG_GRANT, f->now + 44 * SECOND / 10));
  assert_int_equal(f->granted_count, granted);
}

static void does_not_stand_in_the_way_of_other_pools(void **state)
{
  struct fixture *f = *state;
  const struct weir_msg *msg;

  add_other_pool(f);
  f->config.budgets_count = 1;
  f->budgets[0] = (struct weir_budget_config){
      .name = "project",
      .limits_count = 1,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = 2}}};
  f->config.budgets = f->budgets;
  for (int i = 0; i < 2; i++) {
    f->pools[i].budgets_count = 1;
    f->pools[i].budgets[0] = 0;
  }
  f->pools[0].breaker.calls_min = 1;
  f->pools[0].breaker.open_us = 100 * SECOND;
  reload(f);
  f->now += 5 * MINUTE; /* what is new is closed for a while */
  assert_int_equal(ask(f, 1, 0), WEIR_MSG_GRANT);
  assert_int_equal(ask(f, 2, 0), WEIR_MSG_GRANT);
  assert_int_equal(ask(f, 3, 4 * MINUTE), WEIR_MSG_QUEUED); /* it stands first in the line */
  end(f, 1, WEIR_OUTCOME_NETWORK);
  assert_int_equal(breaker(f), WEIR_BREAKER_OPEN);
  assert_int_equal(fixture_ask_as(f, session, 4, "", "gemini/other", 10, 4 * MINUTE),
                   WEIR_MSG_QUEUED);
  msg = run_to(f, WEIR_MSG_GRANT, f->now + 80 * SECOND);
  assert_non_null(msg);
  assert_int_equal(msg->grant.seq, 4);
}

/* ---- half open ---- */

static void grants_exactly_the_probes_and_then_waits_for_them(void **state)
{
  struct fixture *f = *state;
  uint64_t probes[3];

  fail_until_open(f);
  settle_down(f);
  for (uint64_t seq = 1; seq <= 8; seq++)
    assert_int_equal(fixture_ask(f, ROUTE, session, seq,
                                 seq % 2 ? WEIR_CLASS_ONLINE : WEIR_CLASS_BATCH, 10, MINUTE),
                     WEIR_MSG_QUEUED);
  for (int i = 0; i < 3;) {
    const struct weir_msg *msg = run_to(f, WEIR_MSG_GRANT, f->now + 6 * SECOND);

    assert_non_null(msg);
    for (uint32_t k = 0; k < f->update.count; k++) {
      if (f->update.sends[k].msg.type != WEIR_MSG_GRANT)
        continue;
      assert_true(f->update.sends[k].msg.grant.is_probe);
      probes[i++] = f->update.sends[k].msg.grant.seq;
    }
  }
  assert_int_equal(breaker(f), WEIR_BREAKER_HALF_OPEN);
  assert_int_equal(row_of(f, WEIR_VIEW_POOLS, 0).probes, 3);
  assert_int_equal(counter(f, WEIR_COUNTER_PROBES), 3);
  assert_int_equal(ask(f, 9, 10 * SECOND), WEIR_MSG_QUEUED); /* they may answer before that */
  assert_null(run_to(f, WEIR_MSG_GRANT, f->now + SECOND));
  end(f, probes[0], WEIR_OUTCOME_OK);
  end(f, probes[1], WEIR_OUTCOME_OK);
  assert_int_equal(breaker(f), WEIR_BREAKER_HALF_OPEN);
  end(f, probes[2], WEIR_OUTCOME_OK);
  assert_int_equal(answer(f)->type, WEIR_MSG_GRANT); /* the next one, at once */
  assert_false(answer(f)->grant.is_probe);
  assert_int_equal(breaker(f), WEIR_BREAKER_RAMP);
}

static void grants_another_probe_for_one_that_was_not_sent(void **state)
{
  struct fixture *f = *state;
  uint64_t first;

  fail_until_open(f);
  settle_down(f);
  for (uint64_t seq = 1; seq <= 5; seq++)
    assert_int_equal(ask(f, seq, MINUTE), WEIR_MSG_QUEUED);
  first = run_to(f, WEIR_MSG_GRANT, f->now + 6 * SECOND)->grant.seq;
  settle_down(f);
  assert_int_equal(counter(f, WEIR_COUNTER_PROBES), 3);
  fixture_settle(f, ROUTE, session, first, false, 0, 0);
  assert_int_equal(answer(f)->type, WEIR_MSG_GRANT);
  assert_true(answer(f)->grant.is_probe);
  assert_int_equal(counter(f, WEIR_COUNTER_PROBES), 4);
  assert_int_equal(row_of(f, WEIR_VIEW_POOLS, 0).probes, 3);
}

static void opens_again_when_nothing_is_heard_of_a_probe(void **state)
{
  struct fixture *f = *state;

  fail_until_open(f);
  settle_down(f);
  f->now += 5 * SECOND;
  settle_down(f);
  assert_int_equal(breaker(f), WEIR_BREAKER_HALF_OPEN);
  assert_int_equal(ask(f, 1, 0), WEIR_MSG_GRANT);
  f->now += 30 * SECOND;
  settle_down(f);
  assert_int_equal(breaker(f), WEIR_BREAKER_OPEN);
  assert_int_equal(counter(f, WEIR_COUNTER_OPENINGS), 2);
}

/* A good call of |latency|, or one that was hung up after it. */
static void end_after(struct fixture *f, uint64_t seq, weir_duration latency,
                      enum weir_outcome outcome, uint32_t http)
{
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE, .session = session, .mark = ++f->mark};

  msg.settle.seq = seq;
  msg.settle.is_sent = msg.settle.is_final = true;
  msg.settle.latency_us = latency;
  msg.settle.outcome = outcome;
  msg.settle.http = http;
  fixture_send(f, ROUTE, &msg);
}

/* Good calls, that take up to 2 s. */
static void learn(struct fixture *f, uint64_t calls)
{
  for (uint64_t seq = 1; seq <= calls; seq++) {
    assert_int_equal(ask(f, 1000 + seq, 0), WEIR_MSG_GRANT);
    end_after(f, 1000 + seq, 2 * SECOND * seq / calls, WEIR_OUTCOME_OK, 200);
  }
  f->now += 20 * SECOND; /* past the window */
  settle_down(f);
}

static void learn_then_probe(struct fixture *f, uint64_t calls)
{
  learn(f, calls);
  fail_until_open(f);
  f->now += 5 * SECOND;
  settle_down(f);
  assert_int_equal(breaker(f), WEIR_BREAKER_HALF_OPEN);
}

/* What is sent up to |until|: a bit for each ask (from 2,000 on) that is granted as a probe, or
 * denied *open*. */
static void run_and_sort(struct fixture *f, weir_tstamp until, uint32_t *ret_probes,
                         uint32_t *ret_denied)
{
  *ret_probes = *ret_denied = 0;
  while (fixture_run(f, until) > 0) {
    for (uint32_t i = 0; i < f->update.count; i++) {
      const struct weir_msg *msg = &f->update.sends[i].msg;

      if (msg->type == WEIR_MSG_GRANT && msg->grant.is_probe)
        *ret_probes |= UINT32_C(1) << (msg->grant.seq - 2000);
      if (msg->type == WEIR_MSG_DENY && msg->deny.why == WEIR_DENIAL_OPEN)
        *ret_denied |= UINT32_C(1) << (msg->deny.seq - 2000);
    }
  }
}

static void gives_no_probe_to_who_has_no_time_for_its_answer(void **state)
{
  struct fixture *f = *state;
  uint32_t probes, denied;

  learn(f, 100);
  fail_until_open(f);
  settle_down(f);
  assert_int_equal(ask(f, 2001, 6 * SECOND), WEIR_MSG_QUEUED);
  assert_int_equal(ask(f, 2002, 9 * SECOND), WEIR_MSG_QUEUED);
  for (uint64_t seq = 2003; seq <= 2006; seq++)
    assert_int_equal(ask(f, seq, MINUTE), WEIR_MSG_QUEUED);
  run_and_sort(f, f->now + 5 * SECOND, &probes, &denied);
  assert_int_equal(denied, 1 << 1);
  assert_int_equal(probes, 1 << 2 | 1 << 3 | 1 << 4);
  /* Another one in the place of one that was not sent: who had time enough has not any more. */
  assert_int_equal(ask(f, 2007, 3 * SECOND), WEIR_MSG_QUEUED);
  run_and_sort(f, f->now + 2 * SECOND, &probes, &denied);
  assert_int_equal(probes | denied, 0);
  fixture_settle(f, ROUTE, session, 2004, false, 0, 0);
  assert_int_equal(answer(f)->type, WEIR_MSG_GRANT);
  assert_int_equal(answer(f)->grant.seq, 2005);
  run_and_sort(f, f->now, &probes, &denied);
  assert_int_equal(denied | probes, 1 << 7);
}

static void a_caller_who_hangs_up_early_decides_nothing(void **state)
{
  struct fixture *f = *state;

  learn_then_probe(f, 100);
  for (uint64_t seq = 1; seq <= 3; seq++)
    assert_int_equal(ask(f, 2000 + seq, 0), WEIR_MSG_GRANT);
  end_after(f, 2001, 1500 * MS, WEIR_OUTCOME_DEADLINE, 0);
  assert_int_equal(breaker(f), WEIR_BREAKER_HALF_OPEN);
  assert_int_equal(row_of(f, WEIR_VIEW_POOLS, 0).probes, 2);
  assert_int_equal(ask(f, 2004, 0), WEIR_MSG_GRANT);
  assert_true(answer(f)->grant.is_probe);
  /* Longer than nearly all calls take: that is an answer. */
  end_after(f, 2004, 3 * SECOND, WEIR_OUTCOME_DEADLINE, 0);
  assert_int_equal(breaker(f), WEIR_BREAKER_OPEN);
}

static void a_deadline_that_upstream_tells_of_is_a_failure(void **state)
{
  struct fixture *f = *state;

  learn_then_probe(f, 100);
  assert_int_equal(ask(f, 2001, 0), WEIR_MSG_GRANT);
  end_after(f, 2001, 10 * MS, WEIR_OUTCOME_DEADLINE, 504);
  assert_int_equal(breaker(f), WEIR_BREAKER_OPEN);
}

static void a_deadline_is_a_failure_while_it_is_not_known_how_long_calls_take(void **state)
{
  struct fixture *f = *state;

  learn_then_probe(f, 31);
  assert_int_equal(ask(f, 2001, 0), WEIR_MSG_GRANT);
  end_after(f, 2001, 10 * MS, WEIR_OUTCOME_DEADLINE, 0);
  assert_int_equal(breaker(f), WEIR_BREAKER_OPEN);
}

static void tells_who_waited_for_probes_in_vain_that_it_is_not_closed(void **state)
{
  struct fixture *f = *state;
  const struct weir_msg *msg;

  fail_until_open(f);
  f->now += 5 * SECOND;
  settle_down(f);
  for (uint64_t seq = 1; seq <= 3; seq++)
    assert_int_equal(ask(f, seq, 0), WEIR_MSG_GRANT);
  assert_int_equal(ask(f, 4, SECOND), WEIR_MSG_QUEUED);
  msg = run_to(f, WEIR_MSG_DENY, f->now + SECOND);
  assert_non_null(msg);
  assert_int_equal(msg->deny.why, WEIR_DENIAL_OPEN);
  assert_int_equal(msg->deny.retry_in_us, 29 * SECOND); /* the first probe may be lost */
}

/* ---- ramp ---- */

/* Arrivals at |per_second| for |seconds|; upstream fails all that starts before |well_at|. */
struct storm {
  uint32_t bins[4000]; /* starts in each tenth of a second */
  weir_tstamp began, well_at;
  uint32_t granted, denied;
};

static void storm_take(struct fixture *f, struct storm *s)
{
  uint64_t ended[WEIR_COORD_SENDS_MAX];
  weir_tstamp starts[WEIR_COORD_SENDS_MAX];
  uint32_t count = 0;

  for (uint32_t i = 0; i < f->update.count; i++) {
    const struct weir_msg *msg = &f->update.sends[i].msg;

    s->denied += msg->type == WEIR_MSG_DENY;
    if (msg->type != WEIR_MSG_GRANT)
      continue;
    starts[count] = f->now + msg->grant.start_in_us;
    ended[count++] = msg->grant.seq;
  }
  for (uint32_t i = 0; i < count; i++) {
    s->granted++;
    s->bins[(starts[i] - s->began) / (100 * MS)]++;
    end(f, ended[i], starts[i] < s->well_at ? WEIR_OUTCOME_OVERLOADED : WEIR_OUTCOME_OK);
    storm_take(f, s);
  }
}

static void storm_run(struct fixture *f, struct storm *s, uint32_t per_second, uint32_t seconds)
{
  uint64_t seq = 1;

  for (uint32_t i = 0; i < per_second * seconds; i++) {
    const weir_tstamp at = s->began + (weir_tstamp)i * SECOND / per_second;

    while (fixture_run(f, at) > 0)
      storm_take(f, s);
    ask(f, seq++, 40 * SECOND);
    storm_take(f, s);
  }
}

static void sends_no_second_wave_after_an_outage(void **state)
{
  struct fixture *f = *state;
  static struct storm storm;
  uint32_t most = 0, served = 0;

  fixture_free(f);
  *f = fixture_of(6000, 60000000);
  f->pools[0].breaker = usual;
  f->config.pools = f->pools;
  f->config.names = f->names;
  f->config.session_ttl_us = 100 * MINUTE;
  f->config.asks_max = 100000;
  fixture_start(f,
                &(struct weir_coord_bounds){.pools_max = 1,
                                            .names_max = 2,
                                            .sessions_max = 1,
                                            .asks_max = 10000,
                                            .leases_max = 10000,
                                            .budgets_max = 1,
                                            .tenants_max = 16},
                &first_start);
  session = fixture_hello(f, ROUTE, 1, 1);
  memset(&storm, 0, sizeof(storm));
  storm.began = f->now;
  storm.well_at = f->now + 20 * SECOND;
  storm_run(f, &storm, 70, 240); /* 7 in a tenth of a second, of 10 that the quota allows */
  for (uint32_t i = 200; i < 2400; i++) {
    most = storm.bins[i] > most ? storm.bins[i] : most;
    served += storm.bins[i];
  }
  assert_in_range(most, 7, 10);            /* less than one and a half times the steady state */
  assert_true(served > 70 * 220 * 9 / 10); /* and what waited was served */
  assert_int_equal(breaker(f), WEIR_BREAKER_CLOSED);
  for (uint32_t i = 2300; i < 2400; i++)
    assert_in_range(storm.bins[i], 6, 8);
}

static void closes_when_nobody_waits_any_more(void **state)
{
  struct fixture *f = *state;

  fail_until_open(f);
  f->now += 5 * SECOND;
  settle_down(f);
  for (uint64_t seq = 1; seq <= 3; seq++) {
    assert_int_equal(ask(f, seq, 0), WEIR_MSG_GRANT);
    end(f, seq, WEIR_OUTCOME_OK);
  }
  assert_int_equal(breaker(f), WEIR_BREAKER_RAMP);
  f->now += 10 * SECOND - 1;
  settle_down(f);
  assert_int_equal(breaker(f), WEIR_BREAKER_RAMP);
  f->now += 1;
  settle_down(f);
  assert_int_equal(breaker(f), WEIR_BREAKER_CLOSED);
}

static void gives_no_leases_ahead_of_need_unless_it_is_closed(void **state)
{
  struct fixture *f = *state;
  struct weir_msg msg = {.type = WEIR_MSG_ASK, .session = session};

  strcpy(msg.ask.model, "gemini/flash");
  msg.ask.class = WEIR_CLASS_ONLINE;
  msg.ask.requests = 1;
  msg.ask.is_standing = true;
  for (uint64_t seq = 1; seq <= 4; seq++) {
    msg.ask.seq = seq;
    msg.mark = ++f->mark;
    fixture_send(f, ROUTE, &msg);
    if (seq == 1)
      assert_int_equal(answer(f)->type, WEIR_MSG_GRANT);
    else
      assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_BUSY);
    if (seq == 1) {
      fail_until_open(f);
    } else if (seq == 2) {
      f->now += 5 * SECOND;
      settle_down(f);
      assert_int_equal(breaker(f), WEIR_BREAKER_HALF_OPEN);
    } else if (seq == 3) {
      for (uint64_t probe = 11; probe <= 13; probe++) {
        assert_int_equal(ask(f, probe, 0), WEIR_MSG_GRANT);
        end(f, probe, WEIR_OUTCOME_OK);
      }
      assert_int_equal(breaker(f), WEIR_BREAKER_RAMP);
    }
  }
}

/* ---- who hears of it ---- */

static void tells_every_session_however_many_there_are(void **state)
{
  enum { SESSIONS = 600 };
  struct fixture *f = *state;
  enum weir_breaker_state last[SESSIONS + 1] = {0};
  uint32_t heard[SESSIONS + 1] = {0}, sent = 0, steps = 0;

  fixture_free(f);
  *f = fixture_of(6000, 60000000);
  f->pools[0].breaker = usual;
  f->config.pools = f->pools;
  f->config.names = f->names;
  fixture_start(f,
                &(struct weir_coord_bounds){.pools_max = 1,
                                            .names_max = 2,
                                            .sessions_max = SESSIONS + 50,
                                            .asks_max = 10,
                                            .leases_max = 100,
                                            .budgets_max = 1,
                                            .tenants_max = 16},
                &first_start);
  for (uint32_t i = 1; i <= SESSIONS; i++) {
    struct weir_msg msg = {.type = WEIR_MSG_HELLO, .mark = ++f->mark};

    memcpy(msg.hello.instance, &i, sizeof(i));
    msg.hello.incarnation = msg.hello.version_min = msg.hello.version_max = 1;
    fixture_send(f, i, &msg);
    assert_int_equal(f->update.count, 1); /* all is closed: nothing to hear of */
  }
  steer(f, "flash", WEIR_STEER_OPEN);
  while (weir_coord_wake(f->coord) <= f->now) {
    fixture_step(f, &(struct weir_coord_event){.type = WEIR_COORD_TIMEOUT, .now = f->now});
    assert_true(f->update.count <= WEIR_COORD_SENDS_MAX / 2); /* others have their half */
    for (uint32_t i = 0; i < f->update.count; i++) {
      assert_int_equal(f->update.sends[i].msg.type, WEIR_MSG_STATE);
      last[f->update.sends[i].route] = f->update.sends[i].msg.state.breaker;
      heard[f->update.sends[i].route]++;
      sent++;
    }
    if (++steps == 2)
      steer(f, "flash", WEIR_STEER_CLOSE); /* some know of the opening, some never will */
  }
  for (uint32_t i = 1; i <= SESSIONS; i++) {
    assert_in_range(heard[i], 1, 2);
    assert_int_equal(last[i], WEIR_BREAKER_CLOSED);
  }
  assert_true(sent > SESSIONS && sent < 2 * SESSIONS && steps > 4);
}

static void tells_a_change_in_between_to_everybody_once_more(void **state)
{
  struct fixture *f = *state;
  enum weir_breaker_state last[9] = {0};

  for (uint8_t i = 2; i <= 8; i++)
    fixture_hello(f, i, i, 1);
  fixture_hello(f, ROUTE, 1, 1);
  steer(f, "flash", WEIR_STEER_OPEN);
  steer(f, "flash", WEIR_STEER_CLOSE);
  while (fixture_run(f, f->now) > 0) {
    for (uint32_t i = 0; i < f->update.count; i++)
      last[f->update.sends[i].route % 9] = f->update.sends[i].msg.state.breaker;
  }
  for (int i = 0; i < 9; i++)
    assert_int_equal(last[i], i == 1 ? 0 : WEIR_BREAKER_CLOSED); /* nobody is on route 1 */
}

static void tells_a_new_session_what_is_not_closed(void **state)
{
  struct fixture *f = *state;

  add_other_pool(f);
  f->config.pools = f->pools;
  reload(f);
  settle_down(f);
  steer(f, "flash", WEIR_STEER_OPEN);
  steer(f, "other", WEIR_STEER_OPEN);
  steer(f, "other", WEIR_STEER_CLOSE);
  settle_down(f);
  fixture_hello(f, 3, 3, 1);
  assert_int_equal(f->update.count, 2);
  assert_int_equal(f->update.sends[0].msg.type, WEIR_MSG_WELCOME);
  assert_int_equal(f->update.sends[1].msg.type, WEIR_MSG_STATE);
  assert_int_equal(f->update.sends[1].msg.session, f->update.sends[0].msg.session);
  assert_string_equal(f->update.sends[1].msg.state.pool, "flash");
  assert_int_equal(f->update.sends[1].msg.state.open_us, WEIR_DURATION_MAX);
  settle_down(f);
  fixture_hello(f, 3, 3, 2); /* a session that begins anew hears it anew */
  assert_int_equal(f->update.count, 2);
  assert_int_equal(fixture_run(f, f->now), 0);
}

/* One settle, and whoever holds leases ahead of need gives them back. */
static void tells_every_session_that_a_day_is_used_up_and_that_it_is_over(void **state)
{
  struct fixture *f = *state;
  const struct weir_msg_state *said = &f->update.sends[0].msg.state;
  weir_duration closed;

  fixture_hello(f, 2, 2, 1);
  settle_down(f);
  for (uint64_t seq = 1; seq <= 3; seq++) {
    assert_int_equal(ask(f, seq, 0), WEIR_MSG_GRANT);
    end(f, seq, WEIR_OUTCOME_OK);
  }
  assert_int_equal(ask(f, 4, 0), WEIR_MSG_GRANT);
  assert_int_equal(ask(f, 5, 0), WEIR_MSG_GRANT);
  end(f, 4, WEIR_OUTCOME_QUOTA_DAY_REQUESTS);
  assert_int_equal(fixture_run(f, f->now), 2);
  for (uint32_t i = 0; i < 2; i++) {
    assert_int_equal(f->update.sends[i].msg.type, WEIR_MSG_STATE);
    assert_int_equal(f->update.sends[i].msg.state.breaker, WEIR_BREAKER_CLOSED);
    assert_in_range(f->update.sends[i].msg.state.closed_us, 10 * MINUTE, 60 * MINUTE);
  }
  closed = said->closed_us;
  end(f, 5, WEIR_OUTCOME_QUOTA_DAY_REQUESTS);
  assert_int_equal(fixture_run(f, f->now), 0); /* it is known */
  fixture_hello(f, 3, 3, 1);
  assert_int_equal(f->update.count, 2); /* WELCOME, STATE */
  assert_true(f->update.sends[1].msg.state.closed_us > 0);
  assert_int_equal(fixture_run(f, f->now + closed - SECOND), 0);
  assert_int_equal(fixture_run(f, f->now + 2 * SECOND), 3);
  assert_int_equal(said->closed_us, 0);
  assert_int_equal(said->breaker, WEIR_BREAKER_CLOSED);
}

static void tells_that_a_reload_ended_a_day_that_is_used_up(void **state)
{
  struct fixture *f = *state;
  const struct weir_msg_state *said = &f->update.sends[0].msg.state;

  f->pools[0].limits[2] = (struct weir_limit_config){
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = WEIR_DAY_WINDOW_US, .amount = 1000};
  f->pools[0].limits_count = 3;
  f->config.pools = f->pools;
  reload(f);
  settle_down(f);
  assert_int_equal(ask(f, 1, 0), WEIR_MSG_GRANT);
  end(f, 1, WEIR_OUTCOME_QUOTA_DAY_REQUESTS);
  assert_true(fixture_run(f, f->now) > 0);
  assert_true(said->closed_us > 0);
  settle_down(f);
  f->pools[0].limits[2].amount = 2000;
  {
    struct weir_coord_event event = {
        .type = WEIR_COORD_CONFIG, .now = f->now, .config = &f->config};

    fixture_step(f, &event);
  }
  assert_true(fixture_run(f, f->now) > 0);
  assert_int_equal(f->update.sends[0].msg.type, WEIR_MSG_STATE);
  assert_int_equal(said->closed_us, 0);
  assert_int_equal(ask(f, 2, 0), WEIR_MSG_GRANT);
}

static void tells_of_a_pool_that_was_removed_when_it_is_back(void **state)
{
  struct fixture *f = *state;
  struct weir_coord_change said;
  uint64_t cursor = 0;

  add_other_pool(f);
  f->config.pools = f->pools;
  reload(f);
  settle_down(f);
  steer(f, "other", WEIR_STEER_OPEN);
  f->config.pools_count = 1;
  f->config.names_count = 2;
  reload(f); /* before anybody was told */
  assert_string_equal(steer(f, "other", WEIR_STEER_CLOSE)->pool, "");
  fixture_hello(f, 3, 3, 1);
  assert_int_equal(f->update.count, 1);
  assert_false(weir_coord_change(f->coord, f->now, &cursor, &said));
  settle_down(f);
  add_other_pool(f);
  assert_int_equal(weir_coord_step(f->coord,
                                   &(struct weir_coord_event){.type = WEIR_COORD_CONFIG,
                                                              .now = f->now,
                                                              .config = &f->config},
                                   &f->update),
                   WEIR_OK);
  assert_int_equal(fixture_run(f, f->now), 2); /* both sessions */
  for (uint32_t i = 0; i < 2; i++) {
    assert_string_equal(f->update.sends[i].msg.state.pool, "other");
    assert_int_equal(f->update.sends[i].msg.state.breaker, WEIR_BREAKER_OPEN);
  }
  assert_true(weir_coord_change(f->coord, f->now, &cursor, &said));
  assert_true(said.is_breaker && !said.is_used_up);
  assert_int_equal(said.state.breaker, WEIR_BREAKER_OPEN);
}

static void tells_the_log_of_each_change(void **state)
{
  struct fixture *f = *state;
  struct weir_coord_change said;
  uint64_t cursor = 0;

  assert_false(weir_coord_change(f->coord, f->now, &cursor, &said));
  fail_until_open(f);
  assert_true(weir_coord_change(f->coord, f->now, &cursor, &said));
  assert_true(said.is_breaker && !said.is_used_up);
  assert_string_equal(said.state.pool, "flash");
  assert_int_equal(said.state.breaker, WEIR_BREAKER_OPEN);
  assert_in_range(said.state.open_us, 4 * SECOND, 5 * SECOND);
  assert_false(weir_coord_change(f->coord, f->now, &cursor, &said));
  add_other_pool(f);
  reload(f); /* a pool that is new has not changed */
  assert_false(weir_coord_change(f->coord, f->now, &cursor, &said));
}

static void tells_the_log_of_a_day_once_and_of_breakers_while_it_is_used_up(void **state)
{
  struct fixture *f = *state;
  struct weir_coord_change said;
  uint64_t cursor = 0;

  settle_down(f);
  for (uint64_t seq = 1; seq <= 3; seq++) {
    assert_int_equal(ask(f, seq, 0), WEIR_MSG_GRANT);
    end(f, seq, WEIR_OUTCOME_OK);
  }
  assert_int_equal(ask(f, 4, 0), WEIR_MSG_GRANT);
  end(f, 4, WEIR_OUTCOME_QUOTA_DAY_REQUESTS);
  assert_true(weir_coord_change(f->coord, f->now, &cursor, &said));
  assert_true(said.is_used_up && !said.is_breaker);
  assert_in_range(said.state.closed_us, 10 * MINUTE, 60 * MINUTE);
  steer(f, "flash", WEIR_STEER_OPEN);
  assert_true(weir_coord_change(f->coord, f->now, &cursor, &said));
  assert_true(said.is_breaker && !said.is_used_up);
  assert_int_equal(said.state.breaker, WEIR_BREAKER_OPEN);
  fixture_run(f, f->now + said.state.closed_us + SECOND); /* the day is over, which is no line */
  assert_false(weir_coord_change(f->coord, f->now, &cursor, &said));
}

/* ---- an operator ---- */

static void is_steered_without_a_session(void **state)
{
  struct fixture *f = *state;
  const struct weir_msg_state *said = steer(f, "flash", WEIR_STEER_OPEN);

  assert_string_equal(said->pool, "flash");
  assert_int_equal(said->breaker, WEIR_BREAKER_OPEN);
  assert_true(said->is_held);
  assert_int_equal(said->open_us, WEIR_DURATION_MAX);
  assert_int_equal(ask(f, 1, MINUTE), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_OPEN);
  assert_int_equal(answer(f)->deny.retry_in_us, WEIR_DURATION_MAX);
  said = steer(f, "flash", WEIR_STEER_AUTO);
  assert_int_equal(said->breaker, WEIR_BREAKER_HALF_OPEN);
  assert_false(said->is_held);
  assert_int_equal(steer(f, "flash", WEIR_STEER_FORCE)->breaker, WEIR_BREAKER_CLOSED);
  assert_int_equal(ask(f, 2, 0), WEIR_MSG_GRANT);
  said = steer(f, "flahs", WEIR_STEER_OPEN);
  assert_string_equal(said->pool, "");
  assert_int_equal(breaker(f), WEIR_BREAKER_CLOSED);
}

static void denies_those_that_wait_when_it_is_held_open(void **state)
{
  struct fixture *f = *state;

  fail_until_open(f);
  settle_down(f);
  assert_int_equal(ask(f, 1, 10 * MINUTE), WEIR_MSG_QUEUED);
  steer(f, "flash", WEIR_STEER_OPEN);
  assert_non_null(run_to(f, WEIR_MSG_DENY, f->now));
}

static void lets_those_that_wait_start_when_it_is_closed_by_hand(void **state)
{
  struct fixture *f = *state;

  fail_until_open(f);
  settle_down(f);
  assert_int_equal(ask(f, 1, 10 * MINUTE), WEIR_MSG_QUEUED);
  steer(f, "flash", WEIR_STEER_CLOSE);
  assert_non_null(run_to(f, WEIR_MSG_GRANT, f->now));
}

/* ---- reloads ---- */

static void stays_as_it_is_through_a_reload(void **state)
{
  struct fixture *f = *state;

  fail_until_open(f);
  reload(f);
  assert_int_equal(breaker(f), WEIR_BREAKER_OPEN);
  f->pools[0].breaker.is_on = false;
  reload(f);
  assert_int_equal(breaker(f), WEIR_BREAKER_CLOSED);
}

/* ---- new attempts ---- */

static enum weir_msg_type ask_again(struct fixture *f, uint64_t seq, weir_duration deadline)
{
  struct weir_msg msg = {.type = WEIR_MSG_ASK, .session = session, .mark = ++f->mark};

  strcpy(msg.ask.model, "gemini/flash");
  msg.ask.seq = seq;
  msg.ask.class = WEIR_CLASS_ONLINE;
  msg.ask.requests = 1;
  msg.ask.deadline_us = deadline;
  msg.ask.attempts = 1;
  fixture_send(f, ROUTE, &msg);
  return answer(f)->type;
}

static void denies_new_attempts_beyond_their_share(void **state)
{
  struct fixture *f = *state;

  for (uint64_t seq = 1; seq <= 10; seq++)
    assert_int_equal(ask_again(f, seq, 0), WEIR_MSG_GRANT);
  assert_int_equal(ask_again(f, 11, MINUTE), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_RETRIES);
  assert_in_range(answer(f)->deny.retry_in_us, 9 * SECOND, 11 * SECOND);
  assert_int_equal(counter(f, WEIR_COUNTER_RETRIES), 10);
  assert_int_equal(row_of(f, WEIR_VIEW_POOLS, 0).retries, 10);
  for (uint64_t seq = 20; seq < 30; seq++)
    assert_int_equal(ask(f, seq, 0), WEIR_MSG_GRANT);
  assert_int_equal(ask_again(f, 11, MINUTE), WEIR_MSG_GRANT); /* ten first ones earned it */
  assert_int_equal(ask_again(f, 12, MINUTE), WEIR_MSG_DENY);
}

static void what_a_minute_s_quota_rejected_needs_no_share(void **state)
{
  struct fixture *f = *state;

  for (uint64_t seq = 1; seq <= 20; seq++)
    assert_int_equal(ask(f, seq, 0), WEIR_MSG_GRANT);
  for (uint64_t seq = 1; seq <= 20; seq++)
    fixture_settle(f, ROUTE, session, seq, true, 10, WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS);
  for (uint64_t seq = 21; seq <= 42; seq++) /* and two that first attempts earned */
    assert_int_equal(ask_again(f, seq, 10 * MINUTE), WEIR_MSG_QUEUED);
  assert_int_equal(ask_again(f, 43, 10 * MINUTE), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_RETRIES);
}

static void gives_the_token_back_of_an_attempt_that_is_not_made(void **state)
{
  struct fixture *f = *state;
  struct weir_msg cancel = {.type = WEIR_MSG_CANCEL, .session = session};

  for (uint64_t seq = 1; seq <= 9; seq++)
    assert_int_equal(ask_again(f, seq, 0), WEIR_MSG_GRANT);
  for (uint64_t seq = 50; seq < 60; seq++) {
    assert_int_equal(ask_again(f, seq, 0), WEIR_MSG_GRANT);
    fixture_settle(f, ROUTE, session, seq, false, 0, 0); /* not sent */
  }
  steer(f, "flash", WEIR_STEER_OPEN);
  for (uint64_t seq = 60; seq < 70; seq++)
    assert_int_equal(ask_again(f, seq, 0), WEIR_MSG_DENY); /* denied, as it is open */
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_OPEN);
  steer(f, "flash", WEIR_STEER_CLOSE);
  settle_down(f);
  fail_until_open(f); /* earns two */
  assert_int_equal(ask_again(f, 70, MINUTE), WEIR_MSG_QUEUED);
  assert_int_equal(ask_again(f, 71, MINUTE), WEIR_MSG_QUEUED);
  assert_int_equal(ask_again(f, 72, MINUTE), WEIR_MSG_QUEUED);
  assert_int_equal(ask_again(f, 73, SECOND), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_RETRIES);
  cancel.mark = ++f->mark;
  cancel.cancel.seq = 71;
  fixture_send(f, ROUTE, &cancel);
  assert_int_equal(ask_again(f, 74, SECOND), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_OPEN); /* there was a token for it */
  assert_int_equal(ask_again(f, 75, MINUTE), WEIR_MSG_QUEUED);
}

static void earns_nothing_for_what_was_not_sent(void **state)
{
  struct fixture *f = *state;

  for (uint64_t seq = 1; seq <= 10; seq++)
    assert_int_equal(ask_again(f, seq, 0), WEIR_MSG_GRANT);
  for (uint64_t seq = 20; seq < 120; seq++) {
    assert_int_equal(ask(f, seq, 0), WEIR_MSG_GRANT);
    fixture_settle(f, ROUTE, session, seq, false, 0, 0);
  }
  assert_int_equal(ask_again(f, 200, 0), WEIR_MSG_DENY);
}

static void has_no_new_attempts_where_there_is_no_share(void **state)
{
  struct fixture *f = *state;

  f->pools[0].retries_pm = 0;
  reload(f);
  assert_int_equal(ask_again(f, 1, 0), WEIR_MSG_DENY);
  assert_int_equal(answer(f)->deny.why, WEIR_DENIAL_RETRIES);
  assert_int_equal(answer(f)->deny.retry_in_us, WEIR_DURATION_MAX);
}

/* ---- what is shown ---- */

static void shows_outcomes_and_how_long_it_is_open(void **state)
{
  struct fixture *f = *state;
  struct weir_msg_row row;

  assert_int_equal(ask(f, 1, 0), WEIR_MSG_GRANT);
  end(f, 1, WEIR_OUTCOME_CANCELLED);
  fail_until_open(f);
  row = row_of(f, WEIR_VIEW_POOLS, 0);
  assert_int_equal(row.counters[WEIR_OUTCOME_CANCELLED], 1);
  assert_int_equal(row.counters[WEIR_OUTCOME_OVERLOADED], 20);
  assert_int_equal(row.breaker, WEIR_BREAKER_OPEN);
  assert_in_range(row.open_us, 4 * SECOND, 5 * SECOND);
  assert_int_equal(counter(f, WEIR_COUNTER_OPENINGS), 1);
}

static void shows_a_row_for_each_budget(void **state)
{
  struct fixture *f = *state;
  struct weir_msg_row row;

  assert_int_equal(row_of(f, WEIR_VIEW_BUDGETS, 0).rows, 0);
  f->budgets[0] = (struct weir_budget_config){
      .name = "project",
      .limits_count = 1,
      .rules.profile = WEIR_PROFILE_PACED,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = 50}}};
  f->budgets[1] = f->budgets[0];
  strcpy(f->budgets[1].name, "acme");
  f->budgets[1].limits[0].amount = 7;
  f->config.budgets = f->budgets;
  f->config.budgets_count = 2;
  f->pools[0].budgets_count = 1;
  reload(f);
  f->now += 2 * MINUTE;
  assert_int_equal(ask(f, 1, 0), WEIR_MSG_GRANT);
  row = row_of(f, WEIR_VIEW_BUDGETS, 0);
  assert_int_equal(row.rows, 2);
  assert_string_equal(row.pool, "project");
  assert_int_equal(row.leases, 1);
  assert_int_equal(row.profile, WEIR_PROFILE_PACED);
  assert_int_equal(row.limits_count, 1);
  assert_int_equal(row.limits[0].used, 1);
  assert_int_equal(row.limits[0].amount, 50);
  row = row_of(f, WEIR_VIEW_BUDGETS, 1);
  assert_string_equal(row.pool, "acme");
  assert_int_equal(row.limits[0].amount, 7);
  assert_int_equal(row.leases, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_breaker, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(denies_at_once_what_cannot_wait_until_it_probes),
      TEST(tells_those_that_wait_and_cannot_any_longer),
      TEST(grants_nothing_while_it_is_open),
      TEST(does_not_stand_in_the_way_of_other_pools),
      TEST(grants_exactly_the_probes_and_then_waits_for_them),
      TEST(grants_another_probe_for_one_that_was_not_sent),
      TEST(opens_again_when_nothing_is_heard_of_a_probe),
      TEST(gives_no_probe_to_who_has_no_time_for_its_answer),
      TEST(a_caller_who_hangs_up_early_decides_nothing),
      TEST(a_deadline_that_upstream_tells_of_is_a_failure),
      TEST(a_deadline_is_a_failure_while_it_is_not_known_how_long_calls_take),
      TEST(tells_who_waited_for_probes_in_vain_that_it_is_not_closed),
      TEST(sends_no_second_wave_after_an_outage),
      TEST(closes_when_nobody_waits_any_more),
      TEST(gives_no_leases_ahead_of_need_unless_it_is_closed),
      TEST(tells_every_session_however_many_there_are),
      TEST(tells_a_change_in_between_to_everybody_once_more),
      TEST(tells_a_new_session_what_is_not_closed),
      TEST(tells_every_session_that_a_day_is_used_up_and_that_it_is_over),
      TEST(tells_that_a_reload_ended_a_day_that_is_used_up),
      TEST(tells_of_a_pool_that_was_removed_when_it_is_back),
      TEST(tells_the_log_of_each_change),
      TEST(tells_the_log_of_a_day_once_and_of_breakers_while_it_is_used_up),
      TEST(is_steered_without_a_session),
      TEST(denies_those_that_wait_when_it_is_held_open),
      TEST(lets_those_that_wait_start_when_it_is_closed_by_hand),
      TEST(stays_as_it_is_through_a_reload),
      TEST(denies_new_attempts_beyond_their_share),
      TEST(what_a_minute_s_quota_rejected_needs_no_share),
      TEST(gives_the_token_back_of_an_attempt_that_is_not_made),
      TEST(earns_nothing_for_what_was_not_sent),
      TEST(has_no_new_attempts_where_there_is_no_share),
      TEST(shows_outcomes_and_how_long_it_is_open),
      TEST(shows_a_row_for_each_budget),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
