/* What rows become: JSON and Prometheus' text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/stats.h>

static char text[1 << 17];

#define assert_holds(part)                                                                         \
  do {                                                                                             \
    if (!strstr(text, part))                                                                       \
      fail_msg("no '%s' in:\n%s", part, text);                                                     \
  } while (0)

static struct weir_msg_row totals, pool, budget, tenant, slow, session;

static struct weir_stats stats_of(void)
{
  totals = (struct weir_msg_row){.epoch = 7, .uptime_us = 61500000, .sessions = 2, .pools = 1};
  totals.counters[WEIR_COUNTER_ASKS] = 9;
  pool = (struct weir_msg_row){.pool = "p",
                               .leases = 3,
                               .rejected_429 = 5,
                               .breaker = WEIR_BREAKER_OPEN,
                               .limits_count = 2,
                               .limits = {{.dimension = WEIR_DIMENSION_REQUESTS,
                                           .window_us = WEIR_US_PER_MIN,
                                           .amount = 1000,
                                           .used = 20,
                                           .effective = 700,
                                           .stated = 800,
                                           .leased = 3},
                                          {.dimension = WEIR_DIMENSION_INPUT_TOKENS,
                                           .window_us = 2500000,
                                           .amount = 50,
                                           .used = 60,
                                           .effective = 50,
                                           .is_shadow = true}},
                               .by = "shared"};
  pool.counters[WEIR_OUTCOME_CAPACITY_THROTTLE] = 4;
  pool.figures[WEIR_FIGURE_HEAD_LIMIT] = 1;
  pool.figures[WEIR_FIGURE_HEAD_COST] = 12;
  pool.figures[WEIR_FIGURE_REJECTED_FOREIGN] = 2;
  pool.figures[WEIR_FIGURE_SPEND] = 1250000;
  pool.figures[WEIR_FIGURE_RATIO_PM] = 905;
  pool.figures[WEIR_FIGURE_WAIT_P95_US] = 1500000;
  budget = (struct weir_msg_row){.pool = "shared",
                                 .limits_count = 1,
                                 .limits = {{.dimension = WEIR_DIMENSION_SPEND,
                                             .window_us = WEIR_US_PER_HOUR,
                                             .amount = 10,
                                             .effective = 10}}};
  tenant = (struct weir_msg_row){.pool = "p", .tenant = "a\"b\\c", .leases = 1};
  tenant.figures[WEIR_FIGURE_CLASS] = WEIR_CLASS_BATCH;
  tenant.figures[WEIR_FIGURE_SHARE_PM] = 874;
  tenant.queued[WEIR_CLASS_BATCH] = 6;
  slow = (struct weir_msg_row){.pool = "p", .instance = "00ff"};
  slow.figures[WEIR_FIGURE_ENDED_US] = 61000000;
  slow.figures[WEIR_FIGURE_WAITED_US] = 250000;
  slow.figures[WEIR_FIGURE_TOOK_US] = 9500000;
  slow.figures[WEIR_FIGURE_OUTPUT_TOKENS] = 70;
  session = (struct weir_msg_row){.instance = "00ff", .tenant = "shop", .leases = 1};
  return (struct weir_stats){.totals = &totals,
                             .pools = &pool,
                             .pools_count = 1,
                             .budgets = &budget,
                             .budgets_count = 1,
                             .tenants = &tenant,
                             .tenants_count = 1,
                             .slow = &slow,
                             .slow_count = 1,
                             .sessions = &session,
                             .sessions_count = 1};
}

static void json_of(const struct weir_stats *stats)
{
  struct weir_stats_out out = {.at = text, .capacity = sizeof(text) - 1};

  weir_stats_json(&out, stats);
  assert_true(out.size < sizeof(text));
  text[out.size] = '\0';
}

static void metrics_of(const struct weir_stats *stats)
{
  struct weir_stats_out out = {.at = text, .capacity = sizeof(text) - 1};

  weir_stats_prometheus(&out, stats);
  assert_true(out.size < sizeof(text));
  text[out.size] = '\0';
}

static void json_tells_why_less_than_the_amount_is_kept(void **state)
{
  struct weir_stats stats = stats_of();

  (void)state;
  json_of(&stats);
  assert_holds("\"amount\":1000,\"used\":20,\"free\":680,\"effective\":700,\"shadow\":false,"
               "\"leased\":3,\"why\":[\"stated\",\"foreign\"],");
  pool.limits[0].effective = 800;
  pool.limits[0].closed_us = 1;
  json_of(&stats);
  assert_holds("\"why\":[\"stated\",\"closed\"],");
}

static void growth_that_is_held_back_is_a_reason_of_its_own(void **state)
{
  struct weir_stats stats = stats_of();

  (void)state;
  metrics_of(&stats);
  assert_holds("weir_limit_ramp{pool=\"p\",dimension=\"requests\",window_seconds=\"60\","
               "mode=\"enforced\"} 800\n");
  pool.limits[0].ramp = 700;
  json_of(&stats);
  assert_holds("\"why\":[\"stated\",\"ramp\"],");
  assert_holds("\"ramp\":700,\"day\":false}");
  metrics_of(&stats);
  assert_holds("weir_limit_ramp{pool=\"p\",dimension=\"requests\",window_seconds=\"60\","
               "mode=\"enforced\"} 700\n");
  pool.limits[0].ramp = 750;
  json_of(&stats);
  assert_holds("\"why\":[\"stated\",\"foreign\",\"ramp\"],");
}

static void what_today_cost_is_told_with_its_budget_and_whose_day_it_is(void **state)
{
  struct weir_stats stats = stats_of();

  (void)state;
  json_of(&stats);
  assert_holds("\"spend\":1250000,\"cost_today\":null,");
  metrics_of(&stats);
  assert_null(strstr(text, "weir_spend_today{"));
  pool.figures[WEIR_FIGURE_TODAY_SPEND] = 5000;
  pool.figures[WEIR_FIGURE_TODAY_DAY] = WEIR_ROW_DAY_LIMIT;
  pool.figures[WEIR_FIGURE_TODAY_US] = 7200000000;
  pool.figures[WEIR_FIGURE_TODAY_LEFT_US] = 1000000;
  budget.figures[WEIR_FIGURE_TODAY_SPEND] = 6000;
  budget.figures[WEIR_FIGURE_TODAY_DAY] = WEIR_ROW_DAY_UTC;
  json_of(&stats);
  assert_holds("\"cost_today\":{\"spend\":5000,\"limit\":null,\"day\":\"limit\","
               "\"counted_s\":7200.000,\"left_s\":1.000},\"rejected\"");
  budget.limits[0].window_us = 25 * WEIR_US_PER_HOUR;
  budget.limits[0].effective = 8;
  json_of(&stats);
  assert_holds("\"cost_today\":{\"spend\":6000,\"limit\":8,\"day\":\"utc\",");
  metrics_of(&stats);
  assert_holds("weir_spend_today{pool=\"p\",day=\"limit\"} 0.005000\n");
  assert_holds("weir_budget_spend_today{budget=\"shared\",day=\"utc\"} 0.006000\n");
}

static void json_lists_slow_calls_and_the_tenants_of_sessions(void **state)
{
  struct weir_stats stats = stats_of();

  (void)state;
  json_of(&stats);
  assert_holds("\"slow\":[{\"pool\":\"p\",\"instance\":\"00ff\",\"ended_s\":61.000,"
               "\"waited_s\":0.250,\"took_s\":9.500,\"input_tokens\":0,\"output_tokens\":70,"
               "\"outcome\":null,\"http\":0}],");
  assert_holds("{\"instance\":\"00ff\",\"tenant\":\"shop\",\"waiting\":0,");
  slow.figures[WEIR_FIGURE_OUTCOME] = WEIR_OUTCOME_DEADLINE;
  json_of(&stats);
  assert_holds("\"outcome\":\"deadline\",");
  stats.pool = "other";
  json_of(&stats);
  assert_holds("\"slow\":[],");
}

static void budgets_tell_of_grants_above_a_limit_too(void **state)
{
  struct weir_stats stats = stats_of();

  (void)state;
  budget.figures[WEIR_FIGURE_OVERSHOOT] = 2;
  json_of(&stats);
  assert_holds("\"cost_today\":null,\"overshoot\":2}],\"tenants\"");
  metrics_of(&stats);
  assert_holds("weir_overshoot_total{pool=\"p\"} 0\n");
  assert_holds("weir_budget_overshoot_total{budget=\"shared\"} 2\n");
}

static void islands_are_shown_beside_what_is_granted(void **state)
{
  struct weir_stats stats = stats_of();

  (void)state;
  pool.limits[0].islands = 50;
  pool.islands = 4;
  pool.island_calls = 17;
  json_of(&stats);
  assert_holds("\"half_s\":0.000,\"islands\":50,");
  assert_holds("\"islands\":4,\"island_calls\":17,");
  metrics_of(&stats);
  assert_holds("weir_islands{pool=\"p\"} 4\n");
  assert_holds("weir_island_calls_total{pool=\"p\"} 17\n");
}

static void json_names_the_limit_of_a_budget_that_the_next_one_waits_for(void **state)
{
  struct weir_stats stats = stats_of();

  (void)state;
  json_of(&stats);
  assert_holds(
      "\"head\":{\"by\":\"shared\",\"budget\":true,\"dimension\":\"spend\",\"window_s\":3600.000,"
      "\"cost\":12,\"start_s\":0.000}");
  pool.figures[WEIR_FIGURE_HEAD_LIMIT] = 2; /* the budget has one */
  assert_null(weir_stats_head(&stats, &pool));
  json_of(&stats);
  assert_holds("\"dimension\":null,");
}

static void json_tells_a_pool_from_a_budget_of_its_name(void **state)
{
  struct weir_stats stats = stats_of();

  (void)state;
  strcpy(pool.by, "p");
  strcpy(budget.pool, "p");
  json_of(&stats);
  assert_holds("\"head\":{\"by\":\"p\",\"budget\":false,\"dimension\":\"requests\",");
  pool.figures[WEIR_FIGURE_HEAD_BUDGET] = 1;
  json_of(&stats);
  assert_holds("\"head\":{\"by\":\"p\",\"budget\":true,\"dimension\":\"spend\",");
}

static void json_of_one_pool_has_its_tenants_only(void **state)
{
  struct weir_stats stats = stats_of();

  (void)state;
  stats.pool = "other";
  json_of(&stats);
  assert_holds("\"pools\":[],\"budgets\":[],\"tenants\":[],");
  stats.pool = "p";
  json_of(&stats);
  assert_holds("\"pools\":[{\"name\":\"p\",");
  assert_holds("\"tenant\":\"a\\\"b\\\\c\",\"class\":\"batch\",\"waiting\":6,");
}

static void rejections_are_told_by_whose_fault_they_were(void **state)
{
  struct weir_stats stats = stats_of();

  (void)state;
  json_of(&stats);
  assert_holds("\"rejected\":{\"own\":3,\"foreign\":2,\"capacity\":4}");
  metrics_of(&stats);
  assert_holds("weir_rejections_total{pool=\"p\",fault=\"own\"} 3\n"
               "weir_rejections_total{pool=\"p\",fault=\"foreign\"} 2\n"
               "weir_rejections_total{pool=\"p\",fault=\"capacity\"} 4\n");
}

static void metrics_have_units_and_escaped_labels(void **state)
{
  struct weir_stats stats = stats_of();

  (void)state;
  metrics_of(&stats);
  assert_holds("# HELP weir_uptime_seconds Since the start.\n# TYPE weir_uptime_seconds gauge\n"
               "weir_uptime_seconds 61.500000\n");
  assert_holds("weir_spend_total{pool=\"p\"} 1.250000\n");
  assert_holds("weir_estimate_ratio{pool=\"p\"} 0.905\n");
  assert_holds("weir_wait_seconds{pool=\"p\",percentile=\"95\"} 1.500000\n");
  assert_holds(
      "weir_tenant_share_ratio{pool=\"p\",tenant=\"a\\\"b\\\\c\",class=\"batch\"} 0.874\n");
  assert_holds("weir_limit_stated{pool=\"p\",dimension=\"requests\",window_seconds=\"60\","
               "mode=\"enforced\"} 800\n");
  assert_holds("weir_limit_used{pool=\"p\",dimension=\"input_tokens\",window_seconds=\"2.500000\","
               "mode=\"shadow\"} 60\n");
  assert_holds("weir_budget_limit_amount{budget=\"shared\",dimension=\"spend\"");
  assert_holds("weir_breaker_state{pool=\"p\",state=\"open\"} 1\n");
  assert_holds("weir_breaker_state{pool=\"p\",state=\"closed\"} 0\n");
  assert_holds("weir_coordinator_asks_total 9\n");
}

static void metrics_tell_what_calls_do_without_the_coordinator(void **state)
{
  struct weir_stats stats = stats_of();

  (void)state;
  pool.without = WEIR_WITHOUT_OPEN;
  metrics_of(&stats);
  assert_holds("weir_without_coordinator{pool=\"p\",mode=\"wait\"} 0\n"
               "weir_without_coordinator{pool=\"p\",mode=\"closed\"} 0\n"
               "weir_without_coordinator{pool=\"p\",mode=\"open\"} 1\n");
}

static void metrics_of_a_breaker_that_is_held_open_say_that_it_has_no_end(void **state)
{
  struct weir_stats stats = stats_of();

  (void)state;
  pool.open_us = 1500000;
  metrics_of(&stats);
  assert_holds("weir_breaker_open_seconds{pool=\"p\"} 1.500000\n");
  pool.open_us = WEIR_DURATION_MAX;
  metrics_of(&stats);
  assert_holds("weir_breaker_open_seconds{pool=\"p\"} +Inf\n");
}

static void posts_of_alerts_are_told_with_the_process(void **state)
{
  struct weir_stats stats = stats_of();
  struct weir_stats_process process = {
      .version = "1", .posts_sent = 7, .posts_failed = 8, .posts_lost = 9};

  (void)state;
  stats.process = &process;
  json_of(&stats);
  assert_holds("\"webhook\":{\"sent\":7,\"failed\":8,\"lost\":9}}");
  metrics_of(&stats);
  assert_holds("weir_webhook_sent_total 7\n");
  assert_holds("weir_webhook_failed_total 8\n");
  assert_holds("weir_webhook_lost_total 9\n");
}

/* A family that stands in two places is what scrapers refuse. */
static void every_family_stands_in_one_place(void **state)
{
  struct weir_stats stats = stats_of();
  struct weir_stats_process process = {.version = "1"};
  const char *at;

  (void)state;
  stats.process = &process;
  metrics_of(&stats);
  for (at = strstr(text, "# TYPE "); at; at = strstr(at + 1, "# TYPE ")) {
    char name[128];

    snprintf(name, sizeof(name), "%.*s ", (int)strcspn(at + 7, " ") + 7, at);
    assert_null(strstr(at + 1, name));
  }
}

static void what_does_not_fit_is_counted_and_not_written(void **state)
{
  struct weir_stats stats = stats_of();
  struct weir_stats_out whole = {.at = text, .capacity = sizeof(text)};
  char *small;

  (void)state;
  weir_stats_json(&whole, &stats);
  for (size_t capacity = 0; capacity <= whole.size; capacity++) {
    struct weir_stats_out out = {.capacity = capacity};

    small =
        malloc(capacity > 0 ? capacity : 1); /* exactly so large: a sanitizer sees a byte more */
    assert_non_null(small);
    out.at = small;
    weir_stats_json(&out, &stats);
    assert_int_equal(out.size, whole.size);
    free(small);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(json_tells_why_less_than_the_amount_is_kept),
      cmocka_unit_test(growth_that_is_held_back_is_a_reason_of_its_own),
      cmocka_unit_test(what_today_cost_is_told_with_its_budget_and_whose_day_it_is),
      cmocka_unit_test(json_lists_slow_calls_and_the_tenants_of_sessions),
      cmocka_unit_test(budgets_tell_of_grants_above_a_limit_too),
      cmocka_unit_test(islands_are_shown_beside_what_is_granted),
      cmocka_unit_test(json_names_the_limit_of_a_budget_that_the_next_one_waits_for),
      cmocka_unit_test(json_tells_a_pool_from_a_budget_of_its_name),
      cmocka_unit_test(json_of_one_pool_has_its_tenants_only),
      cmocka_unit_test(rejections_are_told_by_whose_fault_they_were),
      cmocka_unit_test(metrics_have_units_and_escaped_labels),
      cmocka_unit_test(metrics_tell_what_calls_do_without_the_coordinator),
      cmocka_unit_test(metrics_of_a_breaker_that_is_held_open_say_that_it_has_no_end),
      cmocka_unit_test(posts_of_alerts_are_told_with_the_process),
      cmocka_unit_test(every_family_stands_in_one_place),
      cmocka_unit_test(what_does_not_fit_is_counted_and_not_written),
  };
  return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
