/* A provider that rejects use that grows too fast: its rule, and what the fleet makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation.h"
#include "slope.h"

#define SLOPE(...) ((struct weir_slope_rule){.least = 1000, __VA_ARGS__})
#define MINUTE     WEIR_US_PER_MIN

static uint64_t taken(struct weir_slope *slope, weir_tstamp at)
{
  uint64_t count = 0;

  for (; weir_slope_fits(slope, at, 100); count += 100)
    weir_slope_take(slope, 100);
  return count;
}

static void a_minute_holds_a_share_more_than_the_fullest_of_the_period_before(void **state)
{
  const struct weir_slope_rule rule = SLOPE(.growth_pm = 500, .per_us = 2 * MINUTE);
  struct weir_slope slope;

  (void)state;
  weir_slope_open(&slope, &rule, 7);
  assert_int_equal(taken(&slope, 7), 1000);
  assert_int_equal(taken(&slope, 7 + MINUTE - 1), 0);
  assert_int_equal(weir_slope_next(&slope), 7 + MINUTE);
  assert_true(weir_slope_fits(&slope, 7 + MINUTE, 1000));
  assert_false(weir_slope_fits(&slope, 7 + MINUTE, 1001)); /* the same period, another minute */
  assert_int_equal(taken(&slope, 7 + 2 * MINUTE), 1500);
  assert_int_equal(taken(&slope, 7 + 4 * MINUTE), 2200); /* of 2,250 */
  assert_int_equal(taken(&slope, 7 + 8 * MINUTE), 1000); /* a period without use */
}

static void a_minute_holds_some_tokens_more_than_before_whatever_was_used(void **state)
{
  const struct weir_slope_rule rule = SLOPE(.step = 300, .per_us = MINUTE);
  struct weir_slope slope;

  (void)state;
  weir_slope_open(&slope, &rule, 0);
  assert_int_equal(taken(&slope, MINUTE), 1300);
  assert_int_equal(taken(&slope, 4 * MINUTE), 2200);
}

static void without_a_least_use_grows_at_will(void **state)
{
  const struct weir_slope_rule rule = {0};
  struct weir_slope slope;

  (void)state;
  weir_slope_open(&slope, &rule, 0);
  assert_true(weir_slope_fits(&slope, 100 * MINUTE, UINT64_C(1) << 60));
}

/* ---- in a run ---- */

static void keep(const struct weir_simulation_row *row, void *context)
{
  *(struct weir_simulation_row *)context = *row;
}

/* The first run of the gallery's scenario; with |growth_pm| of weir's ceilings. */
static struct weir_simulation_row ramp_row(uint32_t growth_pm, uint64_t seed)
{
  struct weir_scenario *s = NULL;
  struct weir_conf_issues issues;
  struct weir_simulation_row row;
  char path[512];

  snprintf(path, sizeof(path), "%s/tests/sim/scenarios/ramp.yaml", getenv("WEIR_SOURCE_DIR"));
  assert_int_equal(weir_scenario_load(path, &s, &issues), WEIR_OK);
  s->seed = seed;
  s->ramp_pm = growth_pm;
  s->schemes[0] = WEIR_SCHEME_WEIR_UNIVERSAL;
  s->schemes_count = 1;
  assert_int_equal(weir_simulation_run(s, keep, &row), WEIR_OK);
  assert_int_equal(row.done, row.calls);
  assert_int_equal(row.rejected, row.ramp_rejected);
  weir_scenario_free(s);
  return row;
}

/* What was on its way when the first rejection was heard is all that is rejected; without ceilings
 * the fleet is told so anew in each of the minutes until all of the limit may be used. */
static void a_fleet_is_told_once_that_it_grows_too_fast(void **state)
{
  (void)state;
  for (uint64_t seed = 1; seed <= 2; seed++) {
    const struct weir_simulation_row with = ramp_row(400, seed), without = ramp_row(0, seed);

    assert_in_range(with.ramp_rejected, 1, 20);
    assert_true(with.ramp_span_s < 1);
    assert_true(without.ramp_rejected > 2 * with.ramp_rejected);
    assert_true(without.ramp_span_s > 300);
  }
}

static struct weir_scenario *scenario_of(const char *text, struct weir_conf_issues *ret_issues)
{
  struct weir_scenario *s = NULL;

  return weir_scenario_parse(text, strlen(text), &s, ret_issues) == WEIR_OK ? s : NULL;
}

#define HEAD(scheme)                                                                               \
  "schemes: [" scheme "]\ninstances: 5\nlimits: [{name: r, tpm: 1M}]\n"                            \
  "workloads: [{name: w, calls: 300, workers: 50, tokens: constant, token_min: 1000, "             \
  "estimate: exact}]\n"

static void tells_what_its_rule_rejected_where_there_is_one(void **state)
{
  struct weir_conf_issues issues;
  struct weir_simulation_row row;
  struct weir_scenario *s;
  char *json = NULL;
  size_t size = 0;
  FILE *file = open_memstream(&json, &size);

  (void)state;
  s = scenario_of(HEAD("naive") "provider: {ramp: {least: 100k}}\n"
                                "expect: [{ramp_span_max: 1s}]\n",
                  &issues);
  assert_non_null(s);
  assert_int_equal(weir_simulation_run(s, keep, &row), WEIR_OK);
  assert_true(row.has_ramp && row.ramp_rejected > 0 && row.ramp_rejected == row.rejected);
  weir_simulation_json(file, &row);
  weir_simulation_text(file, &row);
  fclose(file);
  assert_non_null(strstr(json, "\"ramp_rejected\":"));
  assert_non_null(strstr(json, "\n  use grew too fast: "));
  free(json);
  weir_scenario_free(s);
  s = scenario_of(HEAD("naive"), &issues);
  assert_non_null(s);
  assert_int_equal(weir_simulation_run(s, keep, &row), WEIR_OK);
  assert_true(!row.has_ramp && row.ramp_rejected == 0 && row.rejected == 0);
  weir_scenario_free(s);
}

static void judges_how_long_use_grew_too_fast(void **state)
{
  struct weir_conf_issues issues;
  struct weir_scenario *s = scenario_of(HEAD("naive") "provider: {ramp: {least: 100k}}\n"
                                                      "expect: [{ramp_span_max: 2s}]\n",
                                        &issues);
  struct weir_simulation_row row;
  char text[256];

  (void)state;
  assert_non_null(s);
  assert_int_equal(weir_simulation_run(s, keep, &row), WEIR_OK);
  row.ramp_span_s = 2;
  assert_true(weir_simulation_judge(s, 0, &row, text, sizeof(text)));
  row.ramp_span_s = 2.1;
  assert_false(weir_simulation_judge(s, 0, &row, text, sizeof(text)));
  assert_non_null(strstr(text, "use grew too fast for 2.1 s, more than 2.0 s"));
  row.ramp_rejected = 0;
  assert_false(weir_simulation_judge(s, 0, &row, text, sizeof(text)));
  assert_non_null(strstr(text, "use never grew too fast"));
  weir_scenario_free(s);
}

static void says_where_a_file_is_wrong_about_ramps(void **state)
{
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"provider: {ramp: {growth: 50%}}\n", "'least' is missing"},
      {"provider: {ramp: {least: 1, growth: 50%, step: 3}}\n", "two rules"},
      {"provider: {ramp: {least: 1, per: 90s}}\n", "whole minutes"},
      {"expect: [{ramp_span_max: 1s}]\n", "a run with provider.ramp"},
      {"provider: {ramp: {least: 1}}\nexpect: [{ramp_span_max: 1s, stream: w}]\n",
       "judge a run as a whole"},
  };

  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct weir_conf_issues issues;
    char text[1024];

    snprintf(text, sizeof(text), "%s%s", HEAD("naive"), cases[i].text);
    assert_null(scenario_of(text, &issues));
    if (!strstr(issues.items[0].text, cases[i].message) &&
        !(issues.errors > 1 && strstr(issues.items[1].text, cases[i].message)))
      fail_msg("case %zu: %s", i, issues.items[0].text);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_minute_holds_a_share_more_than_the_fullest_of_the_period_before),
      cmocka_unit_test(a_minute_holds_some_tokens_more_than_before_whatever_was_used),
      cmocka_unit_test(without_a_least_use_grows_at_will),
      cmocka_unit_test(a_fleet_is_told_once_that_it_grows_too_fast),
      cmocka_unit_test(tells_what_its_rule_rejected_where_there_is_one),
      cmocka_unit_test(judges_how_long_use_grew_too_fast),
      cmocka_unit_test(says_where_a_file_is_wrong_about_ramps),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
