/* Outages in the scenario engine: what is noted of them, what follows, and what is expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outage.h"
#include "simulation.h"

#define ROWS_MAX 8
#define BIN      WEIR_OUTAGE_BIN_US
#define S        WEIR_US_PER_S

struct rows {
  uint32_t count;
  struct weir_simulation_row rows[ROWS_MAX];
};

static struct rows kept;

static void keep(const struct weir_simulation_row *row, void *context)
{
  struct rows *rows = context;

  assert_true(rows->count < ROWS_MAX);
  rows->rows[rows->count] = *row;
  rows->rows[rows->count++].prior = NULL;
}

static struct weir_scenario *scenario_of(const char *text)
{
  struct weir_scenario *s = NULL;
  struct weir_conf_issues issues;

  if (weir_scenario_parse(text, strlen(text), &s, &issues) != WEIR_OK)
    fail_msg("%u:%u: %s", issues.items[0].line, issues.items[0].column, issues.items[0].text);
  return s;
}

/* Runs |text| and returns its rows; the scenario outlives them. */
static const struct rows *run_text(struct weir_scenario **ret_scenario, const char *text)
{
  *ret_scenario = scenario_of(text);
  kept.count = 0;
  assert_int_equal(weir_simulation_run(*ret_scenario, keep, &kept), WEIR_OK);
  return &kept;
}

static bool is_about(double value, double wanted)
{
  return fabs(value - wanted) < 1e-9;
}

/* ---- notes and figures ---- */

/* |count| requests in the bin that begins at |at|. */
static void came(struct weir_outage *o, weir_tstamp at, uint32_t count, bool is_admitted)
{
  for (uint32_t i = 0; i < count; i++)
    weir_outage_came(o, at + i * BIN / count, is_admitted);
}

/* Ten seconds, a fault from the sixth to the eighth. */
static struct weir_scenario faulty(void)
{
  struct weir_scenario s = {.faults_count = 2};

  s.faults[0] = (struct weir_scenario_fault){.from_us = 7 * S, .to_us = 8 * S};
  s.faults[1] = (struct weir_scenario_fault){.from_us = 6 * S, .to_us = 7 * S};
  return s;
}

static void
bins_after_the_last_fault_are_compared_with_the_later_half_before_the_first(void **state)
{
  const struct weir_scenario s = faulty();
  struct weir_outage_figures f;
  struct weir_outage o;

  (void)state;
  weir_outage_open(&o, 10 * S);
  came(&o, 0, 90, true); /* the beginning is no steady state */
  for (weir_tstamp at = 3 * S; at < 6 * S; at += 2 * BIN) {
    came(&o, at, 8, true);
    came(&o, at + BIN, 12, true);
  }
  came(&o, 6 * S, 70, false);
  came(&o, 7 * S, 30, false);
  came(&o, 8 * S, 17, true);
  came(&o, 9 * S + 9 * BIN, 99, true); /* no call came for so long: no whole bin of them */
  weir_outage_find(&o, &s, 0, 9 * S + 9 * BIN + 1, &f);
  assert_true(f.has_faults && f.has_steady);
  assert_int_equal(f.during, 100);
  assert_true(is_about(f.steady_mean, 10) && is_about(f.steady_max, 12));
  assert_true(is_about(f.after_max, 17));
  assert_true(is_about(f.bin_ratio, 1.7) && is_about(f.bin_ratio_max, 17.0 / 12));
  weir_outage_fini(&o);
}

static void a_fault_that_begins_at_once_is_compared_with_nothing(void **state)
{
  const struct weir_scenario s = faulty();
  struct weir_outage_figures f;
  struct weir_outage o;

  (void)state;
  weir_outage_open(&o, 10 * S);
  came(&o, 5 * S, 8, true);
  weir_outage_find(&o, &s, 5 * S, 10 * S, &f);
  assert_true(f.has_faults && !f.has_steady && !f.has_recovered);
  weir_outage_fini(&o);
}

static void recovered_is_who_is_admitted_nine_of_ten_in_a_second(void **state)
{
  const struct weir_scenario s = faulty();
  struct weir_outage_figures f;
  struct weir_outage o;

  (void)state;
  weir_outage_open(&o, 20 * S);
  for (weir_tstamp at = 0; at < 6 * S; at += BIN)
    came(&o, at, 10, true);
  for (weir_tstamp at = 8 * S; at < 9 * S; at += BIN)
    came(&o, at, 40, false); /* many, but rejected */
  for (weir_tstamp at = 9 * S; at < 10 * S; at += BIN)
    came(&o, at, 8, true);
  for (weir_tstamp at = 10 * S; at < 11 * S; at += BIN)
    came(&o, at, 10, true);
  weir_outage_find(&o, &s, 0, 20 * S, &f);
  assert_true(f.has_recovered);
  /* Five bins of 8 and five of 10 are 90 of 100. */
  assert_true(is_about(f.recovery_s, 2.5));
  weir_outage_find(&o, &s, 0, 10 * S, &f);
  assert_false(f.has_recovered);
  weir_outage_fini(&o);
}

static void a_state_that_every_session_is_told_of_is_one(void **state)
{
  const struct weir_scenario s = faulty();
  struct weir_outage_figures f;
  struct weir_outage o;

  (void)state;
  weir_outage_open(&o, 10 * S);
  for (int period = 0; period < 3; period++) {
    for (int session = 0; session < 5; session++)
      weir_outage_state(&o, WEIR_BREAKER_OPEN);
    for (int session = 0; session < 5; session++)
      weir_outage_state(&o, WEIR_BREAKER_HALF_OPEN);
    for (int probe = 0; probe < 3 + (period == 1); probe++)
      assert_int_equal(weir_outage_probe(&o), period + 1);
  }
  weir_outage_find(&o, &s, 0, 10 * S, &f);
  assert_int_equal(f.openings, 3);
  assert_int_equal(f.periods, 3);
  assert_int_equal(f.probes_min, 3);
  assert_int_equal(f.probes_max, 4);
  weir_outage_fini(&o);
}

static void a_probe_without_a_word_is_told_apart(void **state)
{
  const struct weir_scenario s = faulty();
  struct weir_outage_figures f;
  struct weir_outage o;
  uint32_t first, second;

  (void)state;
  weir_outage_open(&o, S);
  weir_outage_state(&o, WEIR_BREAKER_HALF_OPEN);
  first = weir_outage_probe(&o);
  (void)weir_outage_probe(&o);
  weir_outage_state(&o, WEIR_BREAKER_OPEN);
  weir_outage_probe_void(&o, first); /* it was one all the same: its period is over */
  weir_outage_state(&o, WEIR_BREAKER_HALF_OPEN);
  second = weir_outage_probe(&o);
  for (int i = 0; i < 3; i++)
    (void)weir_outage_probe(&o);
  weir_outage_probe_void(&o, first);
  weir_outage_probe_void(&o, second);
  weir_outage_find(&o, &s, 0, S, &f);
  assert_int_equal(f.probes_min, 2);
  assert_int_equal(f.probes_max, 3);
  assert_int_equal(f.probes_void, 1);
  weir_outage_fini(&o);
}

static void periods_beyond_the_table_count_as_the_last(void **state)
{
  const struct weir_scenario s = faulty();
  struct weir_outage_figures f;
  struct weir_outage o;

  (void)state;
  weir_outage_open(&o, S);
  for (int period = 0; period <= WEIR_OUTAGE_PERIODS_MAX; period++) {
    weir_outage_state(&o, WEIR_BREAKER_OPEN);
    weir_outage_state(&o, WEIR_BREAKER_HALF_OPEN);
    (void)weir_outage_probe(&o);
  }
  weir_outage_find(&o, &s, 0, S, &f);
  assert_int_equal(f.periods, WEIR_OUTAGE_PERIODS_MAX);
  assert_int_equal(f.probes_min, 1);
  assert_int_equal(f.probes_max, 2);
  weir_outage_fini(&o);
}

static void new_attempts_are_told_from_calls(void **state)
{
  const struct weir_scenario s = {0};
  struct weir_outage_figures f;
  struct weir_outage o;

  (void)state;
  weir_outage_open(&o, S);
  for (uint32_t i = 0; i < 10; i++)
    weir_outage_wrote(&o, i, 0, true, false);
  weir_outage_wrote(&o, 11, 1, true, true);
  weir_outage_wrote(&o, 12, 2, false, false);
  weir_outage_find(&o, &s, 0, S, &f);
  assert_false(f.has_faults);
  assert_int_equal(f.retries, 2);
  assert_int_equal(f.retries_during, 1);
  assert_true(is_about(f.retry_share, 0.2));
  weir_outage_fini(&o);
}

static void who_moved_sends_nothing_more_to_the_first_provider(void **state)
{
  const struct weir_scenario s = {0};
  struct weir_outage_figures f;
  struct weir_outage o;

  (void)state;
  weir_outage_open(&o, S);
  weir_outage_wrote(&o, 1000, 0, true, false);
  weir_outage_find(&o, &s, 0, S, &f);
  assert_false(f.has_moved);
  weir_outage_rejected(&o, 2000);
  weir_outage_wrote(&o, 9000, 0, false, false); /* to the other one */
  weir_outage_find(&o, &s, 0, S, &f);
  assert_true(f.has_moved && is_about(f.moved_ms, 0));
  weir_outage_wrote(&o, 3500, 0, true, false);
  weir_outage_rejected(&o, 3000); /* the first counts */
  weir_outage_find(&o, &s, 0, S, &f);
  assert_true(is_about(f.moved_ms, 1.5));
  assert_int_equal(f.asked_after, 1);
  weir_outage_fini(&o);
}

/* ---- runs ---- */

/* 1,200 requests a minute, 14 a second of them used; between calls there is no other failure. */
#define BASE                                                                                       \
  "limits: [{name: r, rpm: 1200}]\nmethods: [log]\ninstances: [20]\n"                              \
  "provider: {failing_uncharged: 0%, failing_charged: 0%, latency_median: 100ms}\n"                \
  "weir: {estimate_error: 0%}\n"
#define STEADY                                                                                     \
  "workloads: [{name: w, kind: poisson, duration: 60s, load: 70%, deadline: 20s, "                 \
  "tokens: constant, estimate: exact}]\n"
#define FAULT "faults: [{from: 20s, to: 30s, answer: overloaded}]\n"

static void naive_callers_multiply_in_an_outage_and_come_back_in_a_wave(void **state)
{
  struct weir_scenario *s;
  const struct weir_simulation_row *row =
      run_text(&s, "schemes: [naive]\nretry: {errors: true}\n" BASE STEADY FAULT)->rows;

  (void)state;
  assert_true(row->outage.during > 2 * 140);
  assert_true(row->outage.retries_during > 140);
  assert_true(row->outage.bin_ratio > 2);
  assert_true(row->errors > 0); /* of those that began first */
  assert_int_equal(row->outage.periods, 0);
  weir_scenario_free(s);
}

static void without_new_attempts_a_call_of_an_outage_is_lost(void **state)
{
  static const char *const schemes[] = {"naive", "weir-window"};

  (void)state;
  for (int i = 0; i < 2; i++) {
    struct weir_scenario *s;
    char text[1024];
    const struct weir_simulation_row *row = kept.rows;

    snprintf(text, sizeof(text), "schemes: [%s]\n%s", schemes[i], BASE STEADY FAULT);
    run_text(&s, text);
    assert_int_equal(row->outage.retries, 0);
    assert_true(row->errors > 0);
    assert_int_equal(row->errors + row->done + row->failed, row->calls);
    weir_scenario_free(s);
  }
}

static void every_fault_answers_as_it_says(void **state)
{
  static const struct {
    const char *answer;
    bool is_counted;
  } cases[] = {
      {"overloaded", false}, {"server_error", true}, {"network", false}, {"capacity", false}};

  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct weir_scenario *s;
    char text[1024];
    const struct weir_simulation_row *row = kept.rows;

    /* Twice the limit in the outage alone: what is counted gets rejected. */
    snprintf(text, sizeof(text), "schemes: [naive]\nretries: 0\n%s%s%s}]\n", BASE,
             "workloads: [{name: w, kind: poisson, duration: 60s, load: 200%}]\n"
             "faults: [{from: 0s, to: 1h, answer: ",
             cases[i].answer);
    run_text(&s, text);
    assert_int_equal(row->done, 0);
    assert_int_equal(row->errors + row->failed, row->calls);
    if (cases[i].is_counted)
      assert_true(row->rejected > row->calls / 3);
    else
      assert_int_equal(row->rejected, 0);
    weir_scenario_free(s);
  }
}

static void a_share_of_a_fault_lets_the_others_pass(void **state)
{
  struct weir_scenario *s;
  const struct weir_simulation_row *row =
      run_text(&s, "schemes: [naive]\n" BASE STEADY
                   "faults: [{from: 0s, to: 1h, share: 25%, answer: network, latency: 1s}]\n")
          ->rows;
  const double share = (double)row->errors / (double)row->calls;

  (void)state;
  assert_true(share > 0.2 && share < 0.3);
  assert_int_equal(row->done + row->errors, row->calls);
  weir_scenario_free(s);
}

/* Answers take a minute: everybody hangs up at the deadline, and not a microsecond later. */
static void callers_hang_up_at_their_deadline(void **state)
{
  static const char *const schemes[] = {"naive", "weir-window"};

  (void)state;
  for (int i = 0; i < 2; i++) {
    struct weir_scenario *s;
    char text[1024];
    const struct weir_simulation_row *row = kept.rows;

    snprintf(text, sizeof(text), "schemes: [%s]\n%s", schemes[i],
             "limits: [{name: r, rpm: 1200}]\ninstances: [20]\n"
             "provider: {latency_median: 1m, latency_sigma: 0%, failing_uncharged: 0%}\n"
             "breaker: {enabled: false}\n" STEADY);
    run_text(&s, text);
    assert_int_equal(row->done, 0);
    assert_int_equal(row->failed + row->errors, row->calls);
    assert_int_equal(row->outage.expired, row->failed + row->errors);
    assert_true(is_about(row->outage.overrun_ms, 0));
    weir_scenario_free(s);
  }
}

/* A day's limit is no rate: loads and shares of the quota go by the others. */
static void a_day_is_used_up_by_somebody_else(void **state)
{
  struct weir_scenario *s;
  const struct weir_simulation_row *row =
      run_text(&s, "schemes: [naive]\nretries: 0\nmethods: [log]\n"
                   "limits: [{name: r, rpm: 1200, rpd: 500}]\n"
                   "provider: {failing_uncharged: 0%}\n"
                   "workloads: [{name: w, kind: poisson, duration: 60s, load: 10%}]\n"
                   "foreign: {share: 60%, from: 1s, until: 1m}\n")
          ->rows;

  (void)state;
  assert_in_range(row->calls, 80, 170);
  assert_in_range(row->foreign_arrivals, 600, 850);
  assert_int_equal(row->arrivals - row->rejected + row->foreign_arrivals - row->foreign_rejected,
                   500);
  assert_true(row->rejected > 10 && row->outage.has_moved);
  assert_true(row->outage.asked_after > 10);
  weir_scenario_free(s);
}

/* ---- expectations ---- */

static void says_what_an_outage_was_not_like(void **state)
{
  static const struct {
    const char *expect, *text; /* NULL: it holds */
  } cases[] = {
      {"probes: 3", "the breaker was never half open"},
      {"bin_ratio_max: 150%", "of the mean before, more than 150.0%"},
      {"bin_ratio_max: 90000%", NULL},
      {"retry_share_max: 10%", "of the calls sent, more than 10.0%"},
      {"retry_share_max: 1000%", NULL},
      {"overrun_max: 50ms", NULL},
      {"recovery_max: 20s", NULL},
      {"recovery_max: 100ms", "to 90% of before, more than 0.1 s"},
      {"moved_max: 1h", "the first provider rejected nothing"},
      {"done_share_min: 100%", "of the calls were answered, less than 100.0%"},
      {"done_share_min: 10%", NULL},
  };

  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct weir_scenario *s;
    const struct rows *r;
    char text[1024], told[256] = "";
    bool holds;

    snprintf(text, sizeof(text), "%sexpect: [{%s}]\n",
             "schemes: [naive]\nretry: {errors: true}\n" BASE STEADY FAULT, cases[i].expect);
    r = run_text(&s, text);
    holds = weir_simulation_judge(s, 0, &r->rows[0], told, sizeof(told));
    if (holds != !cases[i].text || (cases[i].text && !strstr(told, cases[i].text)))
      fail_msg("%s: '%s'", cases[i].expect, told);
    weir_scenario_free(s);
  }
}

static void judges_probes_deadlines_and_moves_by_their_figures(void **state)
{
  struct weir_scenario *s = scenario_of("schemes: [naive]\n" BASE STEADY FAULT
                                        "expect: [{probes: 3}, {overrun_max: 50ms}, "
                                        "{moved_max: 2ms}, {recovery_max: 1h}]\n");
  struct weir_simulation_row row = {.scheme = WEIR_SCHEME_NAIVE,
                                    .method = WEIR_UP_LOG,
                                    .instances = 20,
                                    .workload = &s->workloads[0],
                                    .set = &s->sets[0],
                                    .outage = {.periods = 2,
                                               .probes_min = 3,
                                               .probes_max = 3,
                                               .overrun_ms = 50,
                                               .has_moved = true,
                                               .moved_ms = 2}};
  char text[256];

  (void)state;
  for (uint32_t i = 0; i < 3; i++)
    assert_true(weir_simulation_judge(s, i, &row, text, sizeof(text)));
  assert_false(weir_simulation_judge(s, 3, &row, text, sizeof(text)));
  assert_non_null(strstr(text, "did not reach 90%"));
  row.outage.probes_min = 2;
  row.outage.overrun_ms = 50.1;
  row.outage.moved_ms = 2.1;
  assert_false(weir_simulation_judge(s, 0, &row, text, sizeof(text)));
  assert_non_null(strstr(text, "half-open periods had 2 to 3 probes, not 3"));
  row.outage.probes_min = 3;
  row.outage.probes_max = 4;
  assert_false(weir_simulation_judge(s, 0, &row, text, sizeof(text)));
  assert_false(weir_simulation_judge(s, 1, &row, text, sizeof(text)));
  assert_non_null(strstr(text, "50.1 ms after its deadline"));
  assert_false(weir_simulation_judge(s, 2, &row, text, sizeof(text)));
  assert_non_null(strstr(text, "2.1 ms after the first rejection"));
  weir_scenario_free(s);
}

static void says_where_a_file_is_wrong_about_outages(void **state)
{
  static const struct {
    const char *text;
    uint32_t line, column;
    const char *message;
  } cases[] = {
      {"schemes: [naive]\nfaults: [{from: 9s, to: 9s}]\n", 2, 25, "not after from"},
      {"schemes: [naive]\nfaults: [{answer: overload}]\n", 2, 19, "did you mean 'overloaded'?"},
      {"schemes: [naive]\nexpect: [{probes: 3}]\n", 2, 10, "add faults"},
      {"schemes: [naive]\nfallback: {rpm: 1, rph: 3}\n", 2, 20, "unknown key"},
      {"schemes: [naive]\nfallback: {}\n", 2, 11, "without a limit"},
      {"schemes: [naive]\nbreaker: {open_max: 4s}\n", 2, 21, "below open"},
  };

  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct weir_scenario *s = NULL;
    struct weir_conf_issues issues;
    const struct weir_conf_issue *issue = &issues.items[0];
    char text[1024];

    snprintf(text, sizeof(text), "%s%s", cases[i].text, BASE STEADY);
    assert_int_equal(weir_scenario_parse(text, strlen(text), &s, &issues), WEIR_ECONFIG);
    if (issue->line != cases[i].line || issue->column != cases[i].column ||
        !strstr(issue->text, cases[i].message))
      fail_msg("case %zu: %u:%u: %s", i, issue->line, issue->column, issue->text);
  }
}

/* ---- the gallery ---- */

struct verdict {
  const struct weir_scenario *scenario;
  char text[512]; /* what did not hold, one after the other */
};

static void judge_all(const struct weir_simulation_row *row, void *context)
{
  struct verdict *v = context;
  char text[256];

  for (uint32_t i = 0; i < v->scenario->expects_count; i++) {
    const size_t used = strlen(v->text);

    if (!weir_simulation_judge(v->scenario, i, row, text, sizeof(text)))
      snprintf(v->text + used, sizeof(v->text) - used, "%s\n", text);
  }
}

/* Runs a scenario of the gallery from |seeds| seeds, and weir's schemes of it only. */
static void keeps_its_promises(const char *name, uint64_t seeds)
{
  char path[512];

  snprintf(path, sizeof(path), "%s/tests/sim/scenarios/%s.yaml", getenv("WEIR_SOURCE_DIR"), name);
  for (uint64_t seed = 1; seed <= seeds; seed++) {
    struct weir_scenario *s = NULL;
    struct weir_conf_issues issues;
    struct verdict v = {0};

    assert_int_equal(weir_scenario_load(path, &s, &issues), WEIR_OK);
    assert_true(s->expects_count > 0);
    s->schemes_count = 2;
    assert_true(weir_scheme_is_weir(s->schemes[0]) && weir_scheme_is_weir(s->schemes[1]));
    s->seed = seed;
    v.scenario = s;
    assert_int_equal(weir_simulation_run(s, judge_all, &v), WEIR_OK);
    if (v.text[0])
      fail_msg("%s, seed %u: %s", name, (unsigned)seed, v.text);
    weir_scenario_free(s);
  }
}

static void a_fleet_acts_as_one_in_an_outage(void **state)
{
  (void)state;
  keeps_its_promises("outage", 2);
}

static void a_fleet_acts_as_one_when_connections_break_twice(void **state)
{
  (void)state;
  keeps_its_promises("outage_network", 2);
}

static void a_used_up_day_moves_the_fleet_at_once(void **state)
{
  (void)state;
  keeps_its_promises("exhausted", 5);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bins_after_the_last_fault_are_compared_with_the_later_half_before_the_first),
      cmocka_unit_test(a_fault_that_begins_at_once_is_compared_with_nothing),
      cmocka_unit_test(recovered_is_who_is_admitted_nine_of_ten_in_a_second),
      cmocka_unit_test(a_state_that_every_session_is_told_of_is_one),
      cmocka_unit_test(a_probe_without_a_word_is_told_apart),
      cmocka_unit_test(periods_beyond_the_table_count_as_the_last),
      cmocka_unit_test(new_attempts_are_told_from_calls),
      cmocka_unit_test(who_moved_sends_nothing_more_to_the_first_provider),
      cmocka_unit_test(naive_callers_multiply_in_an_outage_and_come_back_in_a_wave),
      cmocka_unit_test(without_new_attempts_a_call_of_an_outage_is_lost),
      cmocka_unit_test(every_fault_answers_as_it_says),
      cmocka_unit_test(a_share_of_a_fault_lets_the_others_pass),
      cmocka_unit_test(callers_hang_up_at_their_deadline),
      cmocka_unit_test(a_day_is_used_up_by_somebody_else),
      cmocka_unit_test(says_what_an_outage_was_not_like),
      cmocka_unit_test(judges_probes_deadlines_and_moves_by_their_figures),
      cmocka_unit_test(says_where_a_file_is_wrong_about_outages),
      cmocka_unit_test(a_fleet_acts_as_one_in_an_outage),
      cmocka_unit_test(a_fleet_acts_as_one_when_connections_break_twice),
      cmocka_unit_test(a_used_up_day_moves_the_fleet_at_once),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
