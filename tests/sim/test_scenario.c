/* The scenario engine: its rows follow from the seed, its baselines do what they say, weir keeps
 * what it promises, and files with errors say where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "events.h"
#include "load.h"
#include "simulation.h"

#define ROWS_MAX 256

/* 1,200 requests a minute; 2,400 calls at once. */
#define BASE                                                                                       \
  "limits: [{name: r, rpm: 1200, tpm: 8M}]\n"                                                      \
  "weir: {estimate_error: 0%}\n"
#define BACKLOG "workloads: [{name: w, calls: 2400, workers: 200, estimate: exact}]\n"

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
  rows->rows[rows->count++].prior = NULL; /* only there while it is reported */
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
  assert_int_equal(kept.count, weir_simulation_count(*ret_scenario));
  return &kept;
}

static void json_row(const struct weir_simulation_row *row, void *context)
{
  weir_simulation_json(context, row);
}

/* The rows of |s| as JSON, to be freed. */
static char *json_of(const struct weir_scenario *s)
{
  char *text = NULL;
  size_t size = 0;
  FILE *file = open_memstream(&text, &size);

  assert_non_null(file);
  assert_int_equal(weir_simulation_run(s, json_row, file), WEIR_OK);
  fclose(file);
  return text;
}

static void equal_seeds_give_equal_rows(void **state)
{
  struct weir_scenario *s = scenario_of(
      "schemes: [weir-universal, weir-window, naive, static, fixed_counter, global_bucket, "
      "doorman]\n"
      "methods: [fixed, log, counter, bucket, sub1s]\n"
      "instances: [7]\n" BASE "workloads: [{name: w, kind: bursty, duration: 1m, bursts: 4}]\n"
      "foreign: {share: 10%, from: 10s, until: 40s}\n"
      "crashes: [{instance: 3, at: 20s}]\n");
  char *a = json_of(s), *b = json_of(s), *c;

  (void)state;
  s->seed++;
  c = json_of(s);
  assert_string_equal(a, b);
  assert_string_not_equal(a, c);
  free(a);
  free(b);
  free(c);
  weir_scenario_free(s);
}

/* ---- the parts ---- */

static void equal_instants_happen_in_the_order_in_which_they_were_added(void **state)
{
  struct weir_events q = {0};
  struct weir_rng rng;
  weir_tstamp last_at = 0;
  uint64_t last_order = 0;

  (void)state;
  weir_rng_init(&rng, 5);
  for (uint32_t i = 0; i < 20000; i++) {
    const struct weir_sim_event event = {.a = i};

    weir_events_add(&q, weir_rng_below(&rng, 300), &event);
    if (i % 3 == 2)
      (void)weir_events_take(&q);
  }
  while (q.count > 0) {
    const struct weir_sim_event event = weir_events_take(&q);

    assert_true(event.at > last_at || (event.at == last_at && event.order >= last_order));
    last_at = event.at;
    last_order = event.order;
  }
  weir_events_fini(&q);
}

static void draws_have_the_means_that_they_should(void **state)
{
  const uint32_t count = 200000;
  double exponential = 0, lognormal = 0, pareto = 0;
  struct weir_rng rng;

  (void)state;
  weir_rng_init(&rng, 11);
  for (uint32_t i = 0; i < count; i++) {
    exponential += weir_draw_exponential(&rng, 3);
    lognormal += log(weir_draw_lognormal(&rng, 2, 0.5));
    pareto += weir_draw_pareto(&rng, 1.3, 200, 120000);
  }
  assert_true(fabs(exponential / count - 3) < 0.05);
  assert_true(fabs(exp(lognormal / count) - 2) < 0.02);
  assert_true(fabs(pareto / count / weir_pareto_mean(1.3, 200, 120000) - 1) < 0.05);
  assert_true(fabs(weir_pareto_mean(1, 1, exp(1)) - 1 / (1 - exp(-1))) < 1e-9);
}

static void loads_use_the_quota_as_much_as_they_say(void **state)
{
  struct weir_scenario *s = scenario_of(
      "schemes: [naive]\nlimits: [{name: t, rpm: 6000, tpm: 3M}]\n"
      "workloads: [{name: w, kind: bursty, duration: 1h, load: 80%, hot_instances: 20%}]\n");
  struct weir_load load;
  double tokens = 0, hot = 0;

  (void)state;
  assert_int_equal(weir_load_make(&s->workloads[0], &s->sets[0], 100, 3, &load), WEIR_OK);
  for (uint32_t i = 0; i < load.count; i++) {
    tokens += load.arrivals[i].tokens;
    hot += load.arrivals[i].instance < 20;
    assert_true(i == 0 || load.arrivals[i].at >= load.arrivals[i - 1].at);
  }
  assert_true(s->sets[0].limits[load.bound].is_tokens);
  assert_true(fabs(tokens / (3e6 * 60) - 0.8) < 0.05);
  /* 80 % by choice, and a fifth of the others by chance. */
  assert_true(fabs(hot / load.count - 0.84) < 0.01);
  weir_load_fini(&load);
  weir_scenario_free(s);
}

static void refuses_a_load_without_end(void **state)
{
  struct weir_scenario *s = scenario_of("schemes: [naive]\nlimits: [{name: t, rpm: 100M}]\n"
                                        "workloads: [{name: w, kind: poisson, duration: 24h}]\n");

  (void)state;
  kept.count = 0;
  assert_int_equal(weir_simulation_run(s, keep, &kept), WEIR_EFULL);
  weir_scenario_free(s);
}

/* ---- the baselines ---- */

static void naive_callers_lose_calls_to_sub_windows(void **state)
{
  struct weir_scenario *s;
  const struct weir_simulation_row *row =
      run_text(&s, "schemes: [naive]\nmethods: [sub1s]\ninstances: [20]\n" BASE BACKLOG)->rows;

  (void)state;
  assert_true(row->rejected > row->calls);
  assert_true(row->failed > row->calls / 10);
  assert_true(row->messages_per_call == 0);
  weir_scenario_free(s);
}

static void a_bucket_that_begins_full_gets_twice_the_window_in_the_first_minute(void **state)
{
  struct weir_scenario *s;
  const struct rows *r =
      run_text(&s, "schemes: [global_bucket]\nmethods: [log, bucket]\n" BASE BACKLOG);

  (void)state;
  assert_true(r->rows[0].rejected > 100);
  assert_true(r->rows[1].rejected > 100);
  weir_scenario_free(s);
}

static void a_counter_of_fixed_windows_floods_a_small_bucket(void **state)
{
  struct weir_scenario *s;
  const struct rows *r =
      run_text(&s, "schemes: [fixed_counter]\nmethods: [fixed, bucket]\n" BASE BACKLOG);

  (void)state;
  assert_true(r->rows[0].rejected < r->rows[0].calls / 20);
  assert_true(r->rows[1].rejected > r->rows[1].calls);
  weir_scenario_free(s);
}

static void a_static_share_is_never_over_a_window_and_leaves_quota_unused(void **state)
{
  struct weir_scenario *s;
  const struct rows *r = run_text(
      &s, "schemes: [static, weir-window]\ninstances: [100]\nmethods: [fixed]\n" BASE
          "workloads: [{name: w, kind: bursty, duration: 2m, bursts: 6, estimate: exact}]\n");

  (void)state;
  assert_int_equal(r->rows[0].rejected, 0);
  assert_true(r->rows[0].makespan_s > 2 * r->rows[1].makespan_s);
  weir_scenario_free(s);
}

static void doorman_keeps_a_hundred_instances_below_the_rate(void **state)
{
  struct weir_scenario *s;
  const struct rows *r =
      run_text(&s, "schemes: [doorman]\nmethods: [fixed, log, counter]\ninstances: [100]\n"
                   "limits: [{name: r, rpm: 6000, tpm: 8M}]\n"
                   "workloads: [{name: w, calls: 20000}]\n");

  (void)state;
  for (uint32_t i = 0; i < r->count; i++) {
    assert_int_equal(r->rows[i].rejected, 0);
    assert_true(r->rows[i].utilisation > 0.7 && r->rows[i].utilisation <= 1.0);
  }
  weir_scenario_free(s);
}

/* ---- weir ---- */

static void weir_fills_the_windows_and_is_never_rejected(void **state)
{
  struct weir_scenario *s;
  const struct rows *r = run_text(&s, "schemes: [weir-window]\nmethods: [fixed, log]\n"
                                      "instances: [1, 30, 1500]\n" BASE BACKLOG);

  (void)state;
  for (uint32_t i = 0; i < r->count; i++) {
    const struct weir_simulation_row *row = &r->rows[i];

    assert_int_equal(row->rejected, 0);
    assert_int_equal(row->failed + row->unfinished, 0);
    assert_true(row->has_utilisation && row->utilisation > 0.98);
    assert_true(row->jitter_ms == 24);
  }
  weir_scenario_free(s);
}

/* The negative control: with delays that spread further than weir is told, it is rejected. */
static void weir_holds_for_the_jitter_that_it_is_told_and_no_longer(void **state)
{
  static const char *const jitters[] = {"500ms", "0s"};

  (void)state;
  for (int i = 0; i < 2; i++) {
    struct weir_scenario *s;
    char text[512];

    snprintf(text, sizeof(text),
             "schemes: [weir-window]\nmethods: [log]\ninstances: [20]\n"
             "limits: [{name: r, rpm: 1200}]\n%sprovider: {delay_spread: 500ms}\n"
             "weir: {estimate_error: 0%%, jitter: %s}\n",
             BACKLOG, jitters[i]);
    run_text(&s, text);
    assert_true((kept.rows[0].rejected > 0) == (i == 1));
    weir_scenario_free(s);
  }
}

static void leases_that_come_too_late_are_given_back_and_asked_for_again(void **state)
{
  struct weir_scenario *s =
      scenario_of("schemes: [weir-window]\ninstances: [10]\n" BASE
                  "workloads: [{name: w, calls: 600, workers: 50, estimate: exact}]\n");
  const struct weir_simulation_row *row = kept.rows;

  (void)state;
  s->write_delay_us = 3 * s->lease_ttl_us; /* no file may say so */
  kept.count = 0;
  assert_int_equal(weir_simulation_run(s, keep, &kept), WEIR_OK);
  assert_int_equal(row->rejected, 0);
  assert_int_equal(row->failed + row->unfinished, 0);
  assert_true(row->messages_per_call > 8); /* each was asked for several times */
  weir_scenario_free(s);
}

static void a_crash_costs_what_was_under_way_and_nothing_else(void **state)
{
  struct weir_scenario *s;
  const struct rows *r =
      run_text(&s, "schemes: [weir-window, naive, static, fixed_counter, global_bucket, doorman]\n"
                   "instances: [1, 4]\nmethods: [log]\nretries: 1000\n" BASE
                   "provider: {failing_uncharged: 0%, failing_charged: 0%}\n"
                   "workloads: [{name: w, calls: 1800, workers: 400, estimate: exact}]\n"
                   "crashes: [{instance: 0, at: 1s, down: 2s}, {instance: 9, at: 1s}]\n");

  (void)state;
  for (uint32_t i = 0; i < r->count; i++) {
    const struct weir_simulation_row *row = &r->rows[i];

    /* Doorman's first master gives all to whom asks first: the instance may have had no call. */
    assert_true(row->lost > 0 || row->scheme == WEIR_SCHEME_DOORMAN);
    assert_true(row->lost <= 400);
    assert_int_equal(row->done + row->lost, row->calls);
  }
  weir_scenario_free(s);
}

static void somebody_else_gets_what_he_takes(void **state)
{
  struct weir_scenario *s;
  const struct weir_simulation_row *row =
      run_text(&s, "schemes: [weir-window]\nmethods: [fixed]\n" BASE
                   "workloads: [{name: w, calls: 6000, workers: 200, estimate: exact}]\n"
                   "foreign: {share: 30%, from: 1m, until: 3m}\n")
          ->rows;

  (void)state;
  /* 30 % of 1,200 a minute, for two minutes. */
  assert_in_range(row->foreign_arrivals, 600, 840);
  assert_true(row->rejected > 0);
  assert_true(row->utilisation < 0.99);
  weir_scenario_free(s);
}

static void tells_of_each_stream(void **state)
{
  struct weir_scenario *s;
  const struct weir_simulation_row *row =
      run_text(&s,
               "schemes: [weir-window]\n" BASE "workloads:\n"
               "  - name: w\n"
               "    streams:\n"
               "      - {name: online, calls: 4800, workers: 400, estimate: exact}\n"
               "      - {name: batch, class: batch, calls: 2400, workers: 400, estimate: exact}\n")
          ->rows;
  const struct weir_simulation_stream *online = &row->streams[0], *batch = &row->streams[1];

  (void)state;
  assert_int_equal(row->streams_count, 2);
  assert_int_equal(online->calls, 4800);
  assert_int_equal(batch->calls, 2400);
  assert_int_equal(row->done, online->done + batch->done);
  assert_true(fabs(online->share + batch->share - 1) < 0.001); /* one limit binds both */
  assert_true(batch->share > 0.09);
  assert_true(row->fairness > 0.5 && row->fairness < 1);
  weir_scenario_free(s);
}

/* ---- expectations ---- */

static void says_what_was_not_as_expected(void **state)
{
  static const struct {
    const char *expect, *text; /* NULL: it holds */
  } cases[] = {
      {"rejected_429: 0", NULL},
      {"rejected_429_min: 1", "rejected_429 is 0, less than 1"},
      {"utilisation_min: 97%", NULL},
      {"utilisation_min: 101%", "less than 101.0%"},
      {"wait_p99_max: 1s", "more than 1.000 s"},
      {"failed: 0", NULL},
      {"scheme: naive, rejected_429: 0", "naive on log, 100 instances, w, limits r: rejected_429"},
      {"scheme: naive, failed: 3", "more than 3"},
      {"rejected_share_max: 0%", NULL},
      {"scheme: naive, rejected_share_max: 1%", "of what arrived was rejected, more than 1.0%"},
      {"goodput_of_left_min: 90%", NULL}, /* nobody else is there */
      {"fairness_min: 98%", NULL},        /* there is one stream */
      {"scheme: naive, instances: 7, failed: 3", NULL},
      {"scheme: naive, method: bucket, failed: 3", NULL},
  };

  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct weir_scenario *s;
    const struct rows *r;
    char text[1024], told[256] = "";
    bool holds = true;

    snprintf(text, sizeof(text), "%sexpect: [{%s}]\n",
             "schemes: [weir-window, naive]\n" BASE BACKLOG, cases[i].expect);
    r = run_text(&s, text);
    for (uint32_t j = 0; j < r->count; j++)
      if (strstr(cases[i].expect, "naive") || r->rows[j].scheme != WEIR_SCHEME_NAIVE)
        holds = weir_simulation_judge(s, 0, &r->rows[j], told, sizeof(told)) && holds;
    if (holds != !cases[i].text || (cases[i].text && !strstr(told, cases[i].text)))
      fail_msg("%s: '%s'", cases[i].expect, told);
    weir_scenario_free(s);
  }
}

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

/* What does not hold of |s| as it runs. */
static struct verdict verdict_of(const struct weir_scenario *s)
{
  struct verdict v = {.scenario = s};

  assert_int_equal(weir_simulation_run(s, judge_all, &v), WEIR_OK);
  return v;
}

/* The one stream comes at the same instants in both workloads, and waits for the other in the
 * second one. */
#define ALONE_AND_BESIDE                                                                           \
  "schemes: [weir-window]\n" BASE "workloads:\n"                                                   \
  "  - {name: alone, streams: [{name: a, calls: 900, estimate: exact}]}\n"                         \
  "  - {name: beside, streams: [{name: a, calls: 900, estimate: exact},\n"                         \
  "                             {name: b, calls: 900, estimate: exact}]}\n"

static void judges_waits_against_another_workload(void **state)
{
  struct weir_scenario *s =
      scenario_of(ALONE_AND_BESIDE
                  "expect:\n"
                  "  - {workload: beside, stream: a, wait_p99_ratio_max: 120%, against: alone}\n"
                  "  - {workload: beside, stream: b, wait_p99_ratio_max: 120%, against: alone}\n");
  struct verdict v = verdict_of(s);

  (void)state;
  assert_non_null(strstr(v.text, "beside/a, limits r: wait_p99 is 60."));
  assert_non_null(strstr(v.text, "that 120% of alone's are"));
  weir_scenario_free(s);
  s = scenario_of(ALONE_AND_BESIDE "expect: [{workload: beside, stream: a, "
                                   "wait_p99_ratio_max: 120%, against: alone},\n"
                                   "{workload: beside, fairness_min: 90%}]\n");
  s->workloads[1].streams[1].calls = 0; /* nobody is beside it: nothing is shared */
  v = verdict_of(s);
  assert_null(strstr(v.text, "wait_p99"));
  assert_non_null(strstr(v.text, "fairness is 50.00%, less than 90.0%"));
  weir_scenario_free(s);
}

/* Of 1,200 a minute somebody takes about 360; a scheme that keeps to a fixed share is no measure,
 * since what he is denied he has not taken. */
static void reckons_what_somebody_else_left(void **state)
{
  struct weir_scenario *s;
  const struct weir_simulation_row *row =
      run_text(&s, "schemes: [weir-window]\nmethods: [bucket]\n" BASE
                   "workloads: [{name: w, calls: 6000, workers: 200, estimate: exact}]\n"
                   "foreign: {share: 30%, from: 1m, until: 3m}\n"
                   "expect: [{goodput_of_left_min: 150%}]\n")
          ->rows;
  char text[256] = "";

  (void)state;
  assert_true(row->has_left);
  assert_true(row->left > 0.65 && row->left < 0.75);
  assert_true(row->goodput_of_left > 0.8 && row->goodput_of_left < 1.1);
  assert_false(weir_simulation_judge(s, 0, row, text, sizeof(text)));
  assert_non_null(strstr(text, "goodput_of_left is"));
  weir_scenario_free(s);
}

/* ---- files ---- */

static void says_where_a_file_is_wrong(void **state)
{
  static const struct {
    const char *text;
    uint32_t line, column;
    const char *message;
  } cases[] = {
      {"", 1, 1, "the file is empty"},
      {"schemes: [naive]\nlimits: [{name: r, rpm: 1}]\n", 1, 1, "'workloads' is missing"},
      {"schemes: [naiv]\n" BASE BACKLOG, 1, 11, "did you mean 'naive'?"},
      {"schemes: [wondrous]\n" BASE BACKLOG, 1, 11, "docs/SIMULATE.md lists them"},
      {"schemes: [naive]\nmethods: [logs]\n" BASE BACKLOG, 2, 11, "did you mean 'log'?"},
      {"schemes: [naive]\ninstances: [0]\n" BASE BACKLOG, 2, 13, "from 1 to 10000"},
      {"schemes: [naive]\ninstances: []\n" BASE BACKLOG, 2, 12, "give 1 to 16"},
      {"schemes: [naive]\nlimits: [{name: r}]\n" BACKLOG, 2, 17, "without a limit"},
      {"schemes: [naive]\nlimits: [{name: 'a b', rpm: 1}]\n" BACKLOG, 2, 17, "is no name"},
      {"schemes: [naive]\n" BASE "workloads: [{name: w, kind: bursti}]\n", 4, 29,
       "did you mean 'bursty'?"},
      {"schemes: [naive]\n" BASE "workloads: [{name: w, call: 7}]\n", 4, 23,
       "did you mean 'calls'?"},
      {"schemes: [naive]\n" BASE "workloads: [{name: w, token_min: 200k}]\n", 4, 34,
       "not below token_max"},
      {"schemes: [naive]\n" BASE "workloads: [{name: w, calls: 1, streams: [{name: s}]}]\n", 4, 42,
       "no other key but name"},
      {"schemes: [naive]\n" BASE
       "workloads: [{name: w, streams: [{name: s, streams: [{name: t}]}]}]\n",
       4, 52, "a stream has no streams"},
      {"schemes: [naive]\nweir: {lease_ttl: 2ms}\nlimits: [{name: r, rpm: 1}]\n" BACKLOG, 2, 19,
       "leases would expire"},
      {"schemes: [naive]\nweir: {session_ttl: 1s}\nlimits: [{name: r, rpm: 1}]\n" BACKLOG, 2, 21,
       "not above heartbeat"},
      {"schemes: [naive]\nnetwork: {hop_min: 2ms}\n" BASE BACKLOG, 2, 20, "above hop_max"},
      {"schemes: [naive]\nforeign: {share: 9%, from: 9m}\n" BASE BACKLOG, 2, 10, "not after from"},
      {"schemes: [naive]\n" BASE BACKLOG "expect: [{scheme: static, failed: 0}]\n", 5, 19,
       "not among schemes"},
      {"schemes: [naive]\n" BASE BACKLOG "expect: [{workload: x, failed: 0}]\n", 5, 21,
       "no workload is called 'x'"},
      {"schemes: [naive]\n" BASE BACKLOG "expect: [{stream: x, share_min: 1%}]\n", 5, 19,
       "no stream is called 'x'"},
      {"schemes: [naive]\n" BASE BACKLOG "expect: [{against: w, failed: 0}]\n", 5, 20,
       "belong together"},
      {"schemes: [naive]\n" BASE BACKLOG
       "expect: [{workload: w, wait_p99_ratio_max: 9%, against: w}]\n",
       5, 57, "no workload before"},
      {"schemes: [naive]\n" BASE BACKLOG "expect: [{scheme: naive}]\n", 5, 19,
       "nothing is expected here"},
      {"schemes: [naive\n", 2, 1, "not valid YAML"},
  };

  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct weir_scenario *s = NULL;
    struct weir_conf_issues issues;
    const struct weir_conf_issue *issue = &issues.items[0];

    assert_int_equal(weir_scenario_parse(cases[i].text, strlen(cases[i].text), &s, &issues),
                     WEIR_ECONFIG);
    if (issue->line != cases[i].line || issue->column != cases[i].column ||
        !strstr(issue->text, cases[i].message))
      fail_msg("case %zu: %u:%u: %s", i, issue->line, issue->column, issue->text);
  }
}

static void gives_defaults_to_what_is_not_said(void **state)
{
  struct weir_scenario *s =
      scenario_of("schemes: naive\nlimits: [{name: r, rpm: 1}]\nworkloads: [{name: w}]\n");

  (void)state;
  assert_int_equal(s->methods_count, 1);
  assert_int_equal(s->methods[0], WEIR_UP_LOG);
  assert_int_equal(s->fleets[0], 100);
  assert_int_equal(s->hop_min_us, 200);
  assert_int_equal(s->lease_ttl_us + s->jitter_us, 24000);
  assert_int_equal(s->burst_pm, 100);
  assert_int_equal(s->workloads[0].streams[0].class, WEIR_CLASS_ONLINE);
  assert_int_equal(s->workloads[0].streams[0].token_alpha_pm, 1300);
  weir_scenario_free(s);
}

/* The path of a file of the source tree. */
static const char *source_path(const char *name)
{
  static char path[512];

  snprintf(path, sizeof(path), "%s/%s", getenv("WEIR_SOURCE_DIR"), name);
  return path;
}

static void every_scenario_of_the_gallery_is_valid(void **state)
{
  static const char *const names[] = {"accuracy",       "estimates", "foreign", "classes",
                                      "tenants",        "double",    "quick",   "outage",
                                      "outage_network", "exhausted", "ramp"};

  (void)state;
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    struct weir_scenario *s = NULL;
    struct weir_conf_issues issues;
    char name[64];

    snprintf(name, sizeof(name), "tests/sim/scenarios/%s.yaml", names[i]);
    if (weir_scenario_load(source_path(name), &s, &issues) != WEIR_OK)
      fail_msg("%s:%u:%u: %s", name, issues.items[0].line, issues.items[0].column,
               issues.items[0].text);
    weir_scenario_free(s);
  }
}

static void the_quick_scenario_is_as_it_expects(void **state)
{
  struct weir_scenario *s = NULL;
  struct weir_conf_issues issues;
  uint32_t judged = 0;

  (void)state;
  assert_int_equal(weir_scenario_load(source_path("tests/sim/scenarios/quick.yaml"), &s, &issues),
                   WEIR_OK);
  kept.count = 0;
  assert_int_equal(weir_simulation_run(s, keep, &kept), WEIR_OK);
  for (uint32_t i = 0; i < kept.count; i++) {
    const struct weir_simulation_row *row = &kept.rows[i];
    char text[256];

    for (uint32_t j = 0; j < s->expects_count; j++)
      if (!weir_simulation_judge(s, j, row, text, sizeof(text)))
        fail_msg("quick.yaml:%u: %s", s->expects[j].line, text);
    if (row->scheme != WEIR_SCHEME_WEIR_WINDOW ||
        (row->method != WEIR_UP_FIXED && row->method != WEIR_UP_LOG))
      continue;
    assert_int_equal(row->rejected, 0);
    judged++;
  }
  assert_int_equal(judged, 8);
  weir_scenario_free(s);
}

/* What docs/ACCURACY.md promises, in the cells that take the least time. */
static void promises_hold_where_they_are_cheap_to_check(void **state)
{
  static const char *const names[] = {"estimates", "foreign", "tenants"};

  (void)state;
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    struct weir_scenario *s = NULL;
    struct weir_conf_issues issues;
    struct verdict v;
    char name[64];

    snprintf(name, sizeof(name), "tests/sim/scenarios/%s.yaml", names[i]);
    assert_int_equal(weir_scenario_load(source_path(name), &s, &issues), WEIR_OK);
    s->schemes[0] = WEIR_SCHEME_WEIR_UNIVERSAL;
    s->methods[0] = WEIR_UP_LOG;
    s->schemes_count = s->methods_count = s->workloads_count = 1;
    v = verdict_of(s);
    if (v.text[0])
      fail_msg("%s: %s", name, v.text);
    weir_scenario_free(s);
  }
}

static char *read_source(const char *name)
{
  FILE *file = fopen(source_path(name), "rb");
  char *text = calloc(1, 1 << 17);

  assert_non_null(file);
  assert_non_null(text);
  (void)!fread(text, 1, (1 << 17) - 1, file);
  fclose(file);
  return text;
}

static void documents_every_key_as_the_table_says(void **state)
{
  char *text = read_source("docs/SIMULATE.md");
  size_t count = 0, missing = 0;
  const struct weir_conf_key *keys = weir_scenario_keys(&count);

  (void)state;
  assert_true(count > 60);
  for (size_t i = 0; i < count; i++) {
    const struct weir_conf_key *key = &keys[i];
    const char *tick = key->fallback && key->fallback[0] ? "`" : "";
    char range[256], row[900];
    size_t size = 0;

    for (const char *at = key->range; *at != '\0'; at++)
      size += (size_t)snprintf(range + size, sizeof(range) - size, *at == '|' ? ", " : "%c", *at);
    range[size] = '\0';
    snprintf(row, sizeof(row), "| `%s` | %s | %s%s%s | %s | %s |", key->path,
             weir_conf_type_name(key->type), tick, key->fallback ? key->fallback : "required", tick,
             range, key->help);
    if (strstr(text, row))
      continue;
    print_error("docs/SIMULATE.md lacks this row:\n%s\n", row);
    missing++;
  }
  free(text);
  assert_int_equal(missing, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_seeds_give_equal_rows),
      cmocka_unit_test(equal_instants_happen_in_the_order_in_which_they_were_added),
      cmocka_unit_test(draws_have_the_means_that_they_should),
      cmocka_unit_test(loads_use_the_quota_as_much_as_they_say),
      cmocka_unit_test(refuses_a_load_without_end),
      cmocka_unit_test(naive_callers_lose_calls_to_sub_windows),
      cmocka_unit_test(a_bucket_that_begins_full_gets_twice_the_window_in_the_first_minute),
      cmocka_unit_test(a_counter_of_fixed_windows_floods_a_small_bucket),
      cmocka_unit_test(a_static_share_is_never_over_a_window_and_leaves_quota_unused),
      cmocka_unit_test(doorman_keeps_a_hundred_instances_below_the_rate),
      cmocka_unit_test(weir_fills_the_windows_and_is_never_rejected),
      cmocka_unit_test(weir_holds_for_the_jitter_that_it_is_told_and_no_longer),
      cmocka_unit_test(leases_that_come_too_late_are_given_back_and_asked_for_again),
      cmocka_unit_test(a_crash_costs_what_was_under_way_and_nothing_else),
      cmocka_unit_test(somebody_else_gets_what_he_takes),
      cmocka_unit_test(tells_of_each_stream),
      cmocka_unit_test(says_what_was_not_as_expected),
      cmocka_unit_test(judges_waits_against_another_workload),
      cmocka_unit_test(reckons_what_somebody_else_left),
      cmocka_unit_test(says_where_a_file_is_wrong),
      cmocka_unit_test(gives_defaults_to_what_is_not_said),
      cmocka_unit_test(every_scenario_of_the_gallery_is_valid),
      cmocka_unit_test(the_quick_scenario_is_as_it_expects),
      cmocka_unit_test(promises_hold_where_they_are_cheap_to_check),
      cmocka_unit_test(documents_every_key_as_the_table_says),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
