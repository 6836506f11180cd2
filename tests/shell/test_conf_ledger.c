/* The keys of the whole ledger in the configuration file: profiles, money, calls in flight, days,
 * budgets and tenants. */
#include "conf_fixture.h"

/* One pool of a provider of |kind| with |rest| after its limits. */
#define KIND_POOL(kind, limits, rest)                                                              \
  "providers: {g: {kind: " kind "}}\n"                                                             \
  "pools:\n- {name: p, provider: g, models: m, limits: " limits rest "}\n"
#define LIST(item) KIND_POOL("gemini", "[{" item "}]", "")
#define PRICE      ", price: {input: 1, output: 2}"

static const struct weir_limit_config *limit_of(const struct weir_conf *conf, uint32_t place)
{
  assert_true(place < conf->pools[0].limits_count);
  return &conf->pools[0].limits[place];
}

static void gives_each_kind_its_method(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    enum weir_profile profile;
    bool is_prepaid;
  } kinds[] = {
      {KIND_POOL("gemini", "{rpm: 1, tpm: 2}", ""), WEIR_PROFILE_WINDOW, false},
      {KIND_POOL("vertex", "{rpm: 1, tpm: 2}", ""), WEIR_PROFILE_WINDOW, false},
      {KIND_POOL("openai", "{rpm: 1, tpm: 2}", ""), WEIR_PROFILE_BUCKET, true},
      {KIND_POOL("anthropic", "{rpm: 1, itpm: 2}", ""), WEIR_PROFILE_BUCKET, false},
      {KIND_POOL("compatible", "{rpm: 1, tpm: 2}", ""), WEIR_PROFILE_UNIVERSAL, true},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    struct weir_conf *conf = parse(kinds[i].text);
    assert_int_equal(issues.count, 0);
    assert_int_equal(conf->pools[0].rules.profile, kinds[i].profile);
    assert_false(limit_of(conf, 0)->is_prepaid); /* requests are charged as they come */
    assert_int_equal(limit_of(conf, 1)->is_prepaid, kinds[i].is_prepaid);
    weir_conf_free(conf);
  }
}

static void takes_the_rules_that_a_pool_states(void **state)
{
  (void)state;
  struct weir_conf *conf = parse(GOOD);
  assert_false(conf->pools[0].rules.is_fixed);
  assert_int_equal(conf->pools[0].rules.sub_us, WEIR_US_PER_S);
  assert_int_equal(conf->pools[0].rules.error_pm, 100);
  weir_conf_free(conf);
  static const char *const words[] = {"window", "bucket", "paced", "universal"};
  for (size_t i = 0; i < 4; i++) {
    char text[400];
    snprintf(text, sizeof text,
             BAD_POOL(", profile: %s, fall_back: false, sub_window: 250ms, "
                      "estimate_error: 12.5%%"),
             words[i]);
    conf = parse(text);
    assert_int_equal(conf->pools[0].rules.profile, weir_profile_parse(words[i]));
    assert_true(conf->pools[0].rules.is_fixed);
    assert_int_equal(conf->pools[0].rules.sub_us, 250 * WEIR_US_PER_MS);
    assert_int_equal(conf->pools[0].rules.error_pm, 125);
    weir_conf_free(conf);
  }
}

static void reads_the_island_of_a_pool(void **state)
{
  (void)state;
  struct weir_conf *conf =
      parse(KIND_POOL("gemini", "{rpm: 1000}", ", island: {share: 12.5%, places: 5, for: 3m}"));
  const struct weir_island_config *island = &conf->pools[0].island;
  assert_int_equal(issues.count, 0);
  assert_int_equal(island->share_pm, 125);
  assert_int_equal(island->places, 5);
  assert_int_equal(island->for_us, 3 * WEIR_US_PER_MIN);
  weir_conf_free(conf);
  conf = parse(KIND_POOL("gemini", "{rpm: 1000}", ""));
  assert_int_equal(conf->pools[0].island.share_pm, 0);
  weir_conf_free(conf);
}

static void reads_what_calls_do_without_the_coordinator(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    enum weir_without without;
  } files[] = {
      {KIND_POOL("gemini", "{rpm: 1000}", ""), WEIR_WITHOUT_WAIT},
      {KIND_POOL("gemini", "{rpm: 1000}", ", without_coordinator: wait"), WEIR_WITHOUT_WAIT},
      {KIND_POOL("gemini", "{rpm: 1000}", ", without_coordinator: closed"), WEIR_WITHOUT_CLOSED},
      {KIND_POOL("gemini", "{rpm: 1000}", ", without_coordinator: open"), WEIR_WITHOUT_OPEN},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    struct weir_conf *conf = parse(files[i].text);
    assert_int_equal(conf->pools[0].without, files[i].without);
    weir_conf_free(conf);
  }
}

static void warns_of_an_island_without_a_call(void **state)
{
  (void)state;
  struct weir_conf *conf =
      parse(KIND_POOL("gemini", "{rpm: 30}", ", island: {share: 10%, places: 4}"));
  assert_non_null(conf);
  assert_int_equal(issues.count, 1);
  assert_non_null(strstr(issues.items[0].text, "less than one call"));
  weir_conf_free(conf);
}

static void refuses_an_island_where_calls_in_flight_are_limited(void **state)
{
  (void)state;
  static const char text[] =
      KIND_POOL("gemini", "{rpm: 1000, in_flight: 9}", ", island: {share: 10%}");
  char lines[WEIR_CONF_LINE_SIZE * 2];
  issues_of(text, strlen(text), lines, sizeof lines);
  assert_int_equal(issues.errors, 1);
  assert_non_null(strstr(issues.items[0].text, "calls in flight"));
}

static void refuses_an_island_where_a_tenant_has_limits(void **state)
{
  (void)state;
#define ISLAND_TENANTS(limits, more)                                                               \
  KIND_POOL("gemini", "{rpm: 1000}", ", island: {share: 10%}, tenants: {a: {" limits "}}") more
  static const struct {
    const char *text;
    uint32_t errors;
  } files[] = {
      {ISLAND_TENANTS("limits: {rpm: 9}", ""), 1},
      {ISLAND_TENANTS("weight: 2", "tenants: {b: {limits: {rpm: 9}}}\n"), 1},
      {ISLAND_TENANTS("weight: 2", "tenants: {b: {weight: 2}}\n"), 0},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char lines[WEIR_CONF_LINE_SIZE * 2];
    issues_of(files[i].text, strlen(files[i].text), lines, sizeof lines);
    assert_int_equal(issues.errors, files[i].errors);
    if (files[i].errors > 0)
      assert_non_null(strstr(issues.items[0].text, "a tenant in the pool has limits of its own"));
  }
#undef ISLAND_TENANTS
}

static void charges_as_the_pool_says(void **state)
{
  (void)state;
  struct weir_conf *conf =
      parse(KIND_POOL("openai", "{rpm: 1, tpm: 2, itpm: 3, in_flight: 4}", ", charge: actual"));
  for (uint32_t i = 0; i < 4; i++)
    assert_false(limit_of(conf, i)->is_prepaid);
  weir_conf_free(conf);
  conf = parse(KIND_POOL("gemini", "{rpm: 1, tpm: 2, otpm: 3, in_flight: 4, spend_day: 5}",
                         PRICE ", charge: estimate"));
  static const bool expected[] = {false, true, true, false, false};
  for (uint32_t i = 0; i < 5; i++)
    assert_int_equal(limit_of(conf, i)->is_prepaid, expected[i]);
  weir_conf_free(conf);
}

static void counts_days_as_the_provider_does(void **state)
{
  (void)state;
  static const struct {
    const char *provider, *zone;
    weir_duration window_us;
  } days[] = {
      {"kind: gemini", "America/Los_Angeles", WEIR_DAY_WINDOW_US},
      {"kind: gemini, day_reset: Asia/Tokyo", "Asia/Tokyo", WEIR_DAY_WINDOW_US},
      {"kind: openai", NULL, 24 * WEIR_US_PER_HOUR},
      {"kind: openai, day_reset: UTC", "UTC", WEIR_DAY_WINDOW_US},
      {"kind: anthropic", NULL, 24 * WEIR_US_PER_HOUR},
      {"kind: vertex", NULL, WEIR_DAY_WINDOW_US},
      {"kind: compatible", NULL, WEIR_DAY_WINDOW_US},
      {"kind: compatible, day_reset: Europe/Berlin", "Europe/Berlin", WEIR_DAY_WINDOW_US},
  };
  static const char *const limits[] = {"{rpd: 5}",
                                       "[{dimension: requests, window: day, amount: 5}]"};
  for (size_t i = 0; i < 2 * sizeof days / sizeof days[0]; i++) {
    char text[400];
    snprintf(text, sizeof text,
             "providers: {g: {%s}}\npools: [{name: p, provider: g, models: m, limits: %s}]\n",
             days[i / 2].provider, limits[i % 2]);
    struct weir_conf *conf = parse(text);
    assert_int_equal(limit_of(conf, 0)->dimension, WEIR_DIMENSION_REQUESTS);
    assert_int_equal(limit_of(conf, 0)->amount, 5);
    assert_int_equal(limit_of(conf, 0)->window_us, days[i / 2].window_us);
    assert_int_equal(limit_of(conf, 0)->is_day, days[i / 2].zone != NULL);
    assert_int_equal(conf->zones_count, days[i / 2].zone != NULL ? 1 : 0);
    if (days[i / 2].zone != NULL)
      assert_string_equal(conf->zones[limit_of(conf, 0)->zone], days[i / 2].zone);
    weir_conf_free(conf);
  }
}

static void keeps_each_time_zone_in_use_once(void **state)
{
  (void)state;
  struct weir_conf *conf =
      parse("providers: {a: {kind: gemini}, b: {kind: openai, day_reset: Asia/Tokyo},\n"
            "  c: {kind: gemini, day_reset: Europe/Paris}}\n"
            "pools:\n"
            "- {name: p, provider: a, models: m, limits: {rpd: 1, tpd: 2}}\n"
            "- {name: q, provider: b, models: m, limits: {rpd: 1}}\n"
            "- {name: r, provider: a, models: k, limits: {rpd: 1}}\n"
            "- {name: s, provider: c, models: m, limits: {rpm: 1}}\n");
  assert_int_equal(conf->zones_count, 2); /* that of c limits nothing by the day */
  assert_string_equal(conf->zones[0], "America/Los_Angeles");
  assert_string_equal(conf->zones[1], "Asia/Tokyo");
  assert_int_equal(conf->pools[0].limits[0].zone, 0);
  assert_int_equal(conf->pools[0].limits[1].zone, 0);
  assert_int_equal(conf->pools[1].limits[0].zone, 1);
  assert_int_equal(conf->pools[2].limits[0].zone, 0);
  weir_conf_free(conf);
}

static void reads_money_and_calls_in_flight(void **state)
{
  (void)state;
  struct weir_conf *conf =
      parse(KIND_POOL("openai", "{in_flight: 50, spend_day: 12.50, spend_month: 250}",
                      ", price: {input: 0.30, output: 2.5}"));
  assert_int_equal(issues.count, 0);
  assert_int_equal(conf->pools[0].limits_count, 3);
  assert_int_equal(limit_of(conf, 0)->dimension, WEIR_DIMENSION_IN_FLIGHT);
  assert_int_equal(limit_of(conf, 0)->window_us, 0);
  assert_int_equal(limit_of(conf, 0)->amount, 50);
  assert_int_equal(limit_of(conf, 1)->dimension, WEIR_DIMENSION_SPEND);
  assert_int_equal(limit_of(conf, 1)->window_us, 24 * WEIR_US_PER_HOUR);
  assert_int_equal(limit_of(conf, 1)->amount, 12500000);
  assert_int_equal(limit_of(conf, 2)->dimension, WEIR_DIMENSION_SPEND);
  assert_int_equal(limit_of(conf, 2)->window_us, UINT64_C(31) * 24 * WEIR_US_PER_HOUR);
  assert_int_equal(limit_of(conf, 2)->amount, 250000000);
  assert_int_equal(conf->pools[0].price_input, 300000);
  assert_int_equal(conf->pools[0].price_output, 2500000);
  weir_conf_free(conf);
}

static void reads_all_of_a_limit_in_a_list(void **state)
{
  (void)state;
  struct weir_conf *conf =
      parse(KIND_POOL("gemini",
                      "[{dimension: spend, window: 31d, amount: 0.5, burst: 0.25, mode: enforce}, "
                      "{dimension: in_flight, amount: 7, mode: shadow}, "
                      "{dimension: requests, window: 10s, amount: 10, burst: 10}, "
                      "{dimension: requests, window: day, amount: 10}]",
                      PRICE));
  assert_int_equal(conf->pools[0].limits_count, 4);
  assert_int_equal(limit_of(conf, 0)->dimension, WEIR_DIMENSION_SPEND);
  assert_int_equal(limit_of(conf, 0)->amount, 500000);
  assert_int_equal(limit_of(conf, 0)->burst, 250000);
  assert_int_equal(limit_of(conf, 0)->window_us, UINT64_C(31) * 24 * WEIR_US_PER_HOUR);
  assert_false(limit_of(conf, 0)->is_shadow);
  assert_int_equal(limit_of(conf, 1)->dimension, WEIR_DIMENSION_IN_FLIGHT);
  assert_int_equal(limit_of(conf, 1)->window_us, 0);
  assert_int_equal(limit_of(conf, 1)->amount, 7);
  assert_true(limit_of(conf, 1)->is_shadow);
  assert_int_equal(limit_of(conf, 2)->burst, 10);
  assert_false(limit_of(conf, 2)->is_shadow);
  assert_int_equal(limit_of(conf, 3)->burst, 0);
  assert_true(limit_of(conf, 3)->is_day);
  weir_conf_free(conf);
}

static void shares_budgets_among_pools(void **state)
{
  (void)state;
  struct weir_conf *conf =
      parse("providers: {o: {kind: openai}}\n"
            "budgets:\n"
            "  project: {limits: {tpm: 9, rpd: 8}, day_reset: Asia/Tokyo, profile: bucket}\n"
            "  team: {limits: [{dimension: input_tokens, window: 1m, amount: 7}]}\n"
            "  days: {limits: {tpd: 6}}\n"
            "pools:\n"
            "- {name: p, provider: o, models: m, limits: {rpm: 1}, budgets: [team, project]}\n"
            "- {name: q, provider: o, models: k, limits: {rpm: 1}, budgets: project}\n"
            "- {name: r, provider: o, models: o, limits: {rpm: 1}, budgets: [days]}\n"
            "- {name: s, provider: o, models: p, limits: {rpm: 1}}\n");
  assert_int_equal(issues.count, 0);
  assert_int_equal(conf->coord.budgets_count, 3);
  const struct weir_budget_config *budgets = conf->coord.budgets;
  assert_string_equal(budgets[0].name, "project");
  assert_int_equal(budgets[0].rules.profile, WEIR_PROFILE_BUCKET);
  assert_int_equal(budgets[0].limits_count, 2);
  assert_int_equal(budgets[0].limits[0].dimension, WEIR_DIMENSION_TOTAL_TOKENS);
  assert_false(budgets[0].limits[0].is_prepaid);
  assert_true(budgets[0].limits[1].is_day);
  assert_string_equal(conf->zones[budgets[0].limits[1].zone], "Asia/Tokyo");
  assert_string_equal(budgets[1].name, "team");
  assert_int_equal(budgets[1].rules.profile, WEIR_PROFILE_WINDOW);
  assert_int_equal(budgets[1].rules.sub_us, WEIR_US_PER_S);
  assert_int_equal(budgets[1].rules.error_pm, 100);
  assert_false(budgets[1].rules.is_fixed);
  assert_int_equal(budgets[1].limits[0].dimension, WEIR_DIMENSION_INPUT_TOKENS);
  assert_true(budgets[2].limits[0].is_day);
  assert_string_equal(conf->zones[budgets[2].limits[0].zone], "UTC");
  assert_int_equal(conf->pools[0].budgets_count, 2);
  assert_int_equal(conf->pools[0].budgets[0], 1);
  assert_int_equal(conf->pools[0].budgets[1], 0);
  assert_int_equal(conf->pools[1].budgets_count, 1);
  assert_int_equal(conf->pools[1].budgets[0], 0);
  assert_int_equal(conf->pools[3].budgets_count, 0);
  weir_conf_free(conf);
}

static void gives_tenants_weights_and_budgets(void **state)
{
  (void)state;
  struct weir_conf *conf =
      parse("providers: {g: {kind: gemini}}\n"
            "tenants:\n"
            "  zeta: {weight: 5}\n"
            "  acme: {weight: 3, limits: {rpm: 9, tpm: 8, rpd: 7}, day_reset: Asia/Tokyo}\n"
            "  plain: {}\n"
            "pools:\n"
            "- {name: p, provider: g, models: m, limits: {rpm: 1}, tenants: {acme: {weight: 2}}}\n"
            "- {name: q, provider: g, models: k, limits: {rpm: 1}, tenants: {\n"
            "    zeta: {limits: {tpm: 6, rpd: 5}}, acme: {limits: {rpm: 4}}, new: {weight: 7}}}\n");
  assert_int_equal(issues.count, 0);
  static const struct {
    const char *name;
    uint32_t pool, weight;
    const char *budget;
  } expected[] = {
      {"acme", 0, 2, "acme"},
      {"acme", 1, 3, "q:acme"},
      {"new", 1, 7, NULL},
      {"zeta", 1, 5, "q:zeta"},
      {"acme", WEIR_POOL_ANY, 3, "acme"},
      {"plain", WEIR_POOL_ANY, 1, NULL},
      {"zeta", WEIR_POOL_ANY, 5, NULL},
  };
  assert_int_equal(conf->coord.tenants_count, sizeof expected / sizeof expected[0]);
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    const struct weir_tenant_config *tenant = &conf->coord.tenants[i];
    assert_string_equal(tenant->name, expected[i].name);
    assert_int_equal(tenant->pool, expected[i].pool);
    assert_int_equal(tenant->weight, expected[i].weight);
    if (expected[i].budget == NULL)
      assert_int_equal(tenant->budget, WEIR_BUDGET_NONE);
    else
      assert_string_equal(conf->budgets[tenant->budget].name, expected[i].budget);
  }
  const struct weir_budget_config *acme = &conf->budgets[conf->tenants[4].budget];
  assert_true(acme->rules.is_fixed);
  assert_int_equal(acme->limits[1].dimension, WEIR_DIMENSION_TOTAL_TOKENS);
  assert_string_equal(conf->zones[acme->limits[2].zone], "Asia/Tokyo");
  /* In a pool, as that pool counts. */
  const struct weir_budget_config *zeta = &conf->budgets[conf->tenants[3].budget];
  assert_int_equal(zeta->limits[0].dimension, WEIR_DIMENSION_INPUT_TOKENS);
  assert_string_equal(conf->zones[zeta->limits[1].zone], "America/Los_Angeles");
  weir_conf_free(conf);
}

static void sizes_the_tables_of_budgets_and_tenants(void **state)
{
  (void)state;
  struct weir_conf *conf = parse(GOOD "bounds: {budgets: 4096, tenants: 16}\n");
  assert_int_equal(conf->bounds.budgets_max, 4096);
  assert_int_equal(conf->bounds.tenants_max, 16);
  weir_conf_free(conf);
}

static void shows_what_a_file_means(void **state)
{
  (void)state;
  struct weir_conf *conf =
      parse("providers: {o: {kind: openai}}\n"
            "budgets: {all: {limits: {spend_day: 0.075}}}\n"
            "tenants: {acme: {weight: 2}}\n"
            "pools:\n"
            "- {name: p, provider: o, models: m, fall_back: false, budgets: all" PRICE ",\n"
            "   breaker: {failures: 12.5%}, ramp: {growth: 20%},\n"
            "   tenants: {acme: {limits: {spend_month: 25}}}, limits: [\n"
            "   {dimension: total_tokens, window: 90s, amount: 5, burst: 2, mode: shadow}]}\n");
  char text[1000] = {0};
  FILE *file = fmemopen(text, sizeof text, "w");
  assert_non_null(file);
  weir_conf_show(conf, file);
  assert_int_equal(fclose(file), 0);
  assert_string_equal(text, "pool p: bucket (fixed); budget all; total_tokens 5/90s, burst 2, "
                            "charged by estimate, shadow\n"
                            "pool p: breaker at 12.5% of 20 calls in 10s, open 5s..2m, 3 probes "
                            "within 30s, ramp 10s; retries 10%\n"
                            "pool p: growth 20% per 15m once it was too fast\n"
                            "budget all: window; spend 0.075/day UTC\n"
                            "budget p:acme: window; spend 25/31d\n"
                            "tenant acme: weight 2; in pool p; budget p:acme\n"
                            "tenant acme: weight 2\n");
  weir_conf_free(conf);
}

static void reads_the_breaker_and_the_share_of_new_attempts(void **state)
{
  (void)state;
  struct weir_conf *conf = parse(
      BAD_POOL(", retries: 2.5%, breaker: {failures: 40%, min_calls: 7, window: 20s, open: 1s, "
               "open_max: 1m, probes: 2, probe_timeout: 9s, ramp: 3s}"));
  const struct weir_breaker_config *breaker = &conf->pools[0].breaker;
  assert_true(breaker->is_on);
  assert_int_equal(breaker->failures_pm, 400);
  assert_int_equal(breaker->calls_min, 7);
  assert_int_equal(breaker->window_us, 20 * WEIR_US_PER_S);
  assert_int_equal(breaker->open_us, WEIR_US_PER_S);
  assert_int_equal(breaker->open_max_us, WEIR_US_PER_MIN);
  assert_int_equal(breaker->probes, 2);
  assert_int_equal(breaker->probe_timeout_us, 9 * WEIR_US_PER_S);
  assert_int_equal(breaker->ramp_us, 3 * WEIR_US_PER_S);
  assert_int_equal(conf->pools[0].retries_pm, 25);
  weir_conf_free(conf);
  conf = parse(BAD_POOL(", breaker: {enabled: false}"));
  assert_false(conf->pools[0].breaker.is_on);
  assert_int_equal(conf->pools[0].retries_pm, 100);
  weir_conf_free(conf);
}

static void reads_how_fast_use_may_grow_or_knows_it_by_the_kind(void **state)
{
  static const struct {
    const char *kind, *ramp;
    uint32_t growth_pm;
    weir_duration per_us;
  } expected[] = {{"gemini", "", 500, 15 * WEIR_US_PER_MIN},
                  {"openai", "", 500, 15 * WEIR_US_PER_MIN},
                  {"anthropic", "", 100, WEIR_US_PER_MIN},
                  {"vertex", "", 500, 15 * WEIR_US_PER_MIN},
                  {"compatible", "", 500, 15 * WEIR_US_PER_MIN},
                  {"anthropic", ", ramp: {growth: 100%, per: 30s}", 1000, 30 * WEIR_US_PER_S},
                  {"openai", ", ramp: {growth: 0%}", 0, 15 * WEIR_US_PER_MIN},
                  {"openai", ", ramp: {per: 1h}", 500, WEIR_US_PER_HOUR}};
  (void)state;
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    char text[256];
    snprintf(text, sizeof text,
             "providers: {x: {kind: %s}}\n"
             "pools: [{name: p, provider: x, models: m, limits: {rpm: 1}%s}]\n",
             expected[i].kind, expected[i].ramp);
    struct weir_conf *conf = parse(text);
    assert_int_equal(issues.count, 0);
    assert_int_equal(conf->pools[0].rules.ramp_pm, expected[i].growth_pm);
    assert_int_equal(conf->pools[0].rules.ramp_per_us, expected[i].per_us);
    weir_conf_free(conf);
  }
}

#define RANGE "is out of range; allowed is "

static const struct bad_file bad_values[] = {
    {BAD_POOL(", profile: bukcet"),
     "f:3:64: profile: unknown word 'bukcet'; did you mean 'bucket'?\n"},
    {BAD_POOL(", profile: [paced]"), "f:3:64: profile must be a single value, not a map or a list; "
                                     "write 'profile: value'\n"},
    {BAD_POOL(", fall_back: no"),
     "f:3:66: fall_back: 'no' is not a valid boolean; write true or false\n"},
    {BAD_POOL(", fallback: true"), "f:3:55: unknown key 'fallback'; did you mean 'fall_back'?\n"},
    {BAD_POOL(", sub_window: 50ms"), "f:3:67: sub_window: 50ms " RANGE "100ms..10s\n"},
    {BAD_POOL(", sub_window: 11s"), "f:3:67: sub_window: 11s " RANGE "100ms..10s\n"},
    {BAD_POOL(", sub_window: 1"), "f:3:67: sub_window: '1' is not a valid duration; write a number "
                                  "with its unit such as 250ms, 2s, 1m, 1h or 1d\n"},
    {BAD_POOL(", estimate_error: 101%"), "f:3:71: estimate_error: 101% " RANGE "0%..100%\n"},
    {BAD_POOL(", estimate_error: 0.1"), "f:3:71: estimate_error: '0.1' is not a valid percentage; "
                                        "write a percentage such as 10% or 12.5%\n"},
    {BAD_POOL(", charge: actaul"),
     "f:3:63: charge: unknown word 'actaul'; did you mean 'actual'?\n"},
    {BAD_POOL(", breaker: off"), "f:3:64: pools[].breaker must be a map; write keys and values, "
                                 "'key: value'\n"},
    {BAD_POOL(", breaker: {failures: 0%}"), "f:3:75: failures: 0% " RANGE "1%..100%\n"},
    {BAD_POOL(", breaker: {probes: 17}"), "f:3:73: probes: 17 " RANGE "1..16\n"},
    {BAD_POOL(", breaker: {probs: 1}"), "f:3:65: unknown key 'probs'; did you mean 'probes'?\n"},
    {BAD_POOL(", breaker: {open: 5s, open_max: 4s}"),
     "f:3:85: breaker: open_max (4000ms) is below open (5000ms); raise it\n"},
    {BAD_POOL(", breaker: {open: 3m}"),
     "f:3:71: breaker: open_max (120000ms) is below open (180000ms); raise it\n"},
    {BAD_POOL(", retries: 101%"), "f:3:64: retries: 101% " RANGE "0%..100%\n"},
    {BAD_POOL(", price: 3"), "f:3:62: pools[].price must be a map; write keys and values, 'key: "
                             "value'\n"},
    {BAD_POOL(", price: {input: 1}"), "f:3:62: 'output' is missing; add it: of output tokens\n"},
    {BAD_POOL(", price: {input: 1000001, output: 0}"),
     "f:3:70: input: 1000001 " RANGE "0..1000000\n"},
    {BAD_POOL(", price: {input: $1, output: 0}"),
     "f:3:70: input: '$1' is not a valid sum of money; write an amount of money such as 25, 12.50 "
     "or "
     "0.075, with six decimals at most\n"},
    {KIND_POOL("gemini", "{in_flight: 0}", ""),
     "f:3:57: in_flight: 0 " RANGE "1..281474976710656\n"},
    {KIND_POOL("gemini", "{in_flight: some}", ""),
     "f:3:57: in_flight: 'some' is not a valid amount; write a whole number such as 1000, 1_000, "
     "10k or 2.5M\n"},
    {KIND_POOL("gemini", "{spend_day: 0}", PRICE),
     "f:3:57: spend_day: 0 " RANGE "0.000001..281474976\n"},
    {KIND_POOL("gemini", "{spend_month: 281474977}", PRICE),
     "f:3:59: spend_month: 281474977 " RANGE "0.000001..281474976\n"},
    {KIND_POOL("gemini", "{spend_day: 1}", ""),
     "f:3:45: spend is limited, but the pool has no price; add price: {input: ..., output: ...} "
     "for a million tokens\n"},
    {KIND_POOL("gemini", "{spend_day: 1}", ", price: {input: 0, output: 0}"),
     "f:3:45: spend is limited, but the pool has no price; add price: {input: ..., output: ...} "
     "for a million tokens\n"},
    {KIND_POOL("gemini", "10", ""),
     "f:3:45: limits must be a map or a list; write such as {rpm: 1000}\n"},
    {GOOD "bounds: {budgets: 0}\n", "f:3:19: budgets: 0 " RANGE "1..4096\n"},
    {GOOD "bounds: {budgets: 4097}\n", "f:3:19: budgets: 4097 " RANGE "1..4096\n"},
    {GOOD "bounds: {tenants: 15}\n", "f:3:19: tenants: 15 " RANGE "16..1048576\n"},
    {GOOD "bounds: {tenants: 2M}\n", "f:3:19: tenants: 2M " RANGE "16..1048576\n"},
};

static void refuses_values_out_of_range_or_of_the_wrong_type(void **state)
{
  (void)state;
  check_bad(bad_values, sizeof bad_values / sizeof bad_values[0]);
}

static const struct bad_file bad_lists[] = {
    {LIST("dimension: requests, amount: 1"),
     "f:3:46: 'window' is missing; add it: the time in which it is counted, or the word day; "
     "required, but for in_flight, which has none\n"},
    {LIST("dimension: requests, window: dya, amount: 1"),
     "f:3:76: window: 'dya' is not a valid duration; write a number with its unit such as 250ms, "
     "2s, 1m, 1h or 1d\n"},
    {LIST("dimension: in_flight, window: 1m, amount: 1"),
     "f:3:77: window: calls in flight are counted at every instant, not over a window; remove "
     "it\n"},
    {LIST("dimension: in_flight, amount: 3, burst: 1"),
     "f:3:87: burst: calls in flight have no bucket; remove it\n"},
    {LIST("dimension: requests, window: 1m, amount: 3, burst: 4"),
     "f:3:98: burst is above amount, which no window may exceed; write at most the amount\n"},
    {LIST("dimension: requests, window: 1m, amount: 3, burst: 0"),
     "f:3:98: burst: 0 " RANGE "1..281474976710656\n"},
    {LIST("dimension: requests, window: 1m, amount: 3, mode: shadwo"),
     "f:3:97: mode: unknown word 'shadwo'; did you mean 'shadow'?\n"},
    {LIST("dimension: requests, window: 1m, amount: 2.50"),
     "f:3:88: amount: '2.50' is not a valid amount; write a whole number such as 1000, 1_000, 10k "
     "or 2.5M\n"},
    {KIND_POOL("gemini", "[{dimension: spend, window: 10m, amount: 10k}]", PRICE),
     "f:3:86: amount: '10k' is not a valid sum of money; write an amount of money such as 25, "
     "12.50 or "
     "0.075, with six decimals at most\n"},
    {KIND_POOL("gemini", "[{dimension: in_flight, amount: 1}, {dimension: in_flight, amount: 2}]",
               ""),
     "f:3:81: calls in flight are limited twice over the same window; keep the smaller amount\n"},
    {KIND_POOL("gemini",
               "{rpm: 1, itpm: 1, otpm: 1, rpd: 1, tpd: 1, in_flight: 1, spend_day: 1, "
               "spend_month: 1}",
               PRICE),
     ""},
    {KIND_POOL("openai",
               "{rpm: 1, tpm: 1, itpm: 1, otpm: 1, rpd: 1, tpd: 1, in_flight: 1, spend_day: 1, "
               "spend_month: 1}",
               PRICE),
     "f:3:137: a pool has at most 8 limits; remove some\n"},
    {KIND_POOL("bucket", "{rpm: 1}", ""), "f:1:23: kind: unknown word 'bucket'; write one of "
                                          "gemini|openai|anthropic|vertex|compatible\n"},
};

static void says_what_is_wrong_with_a_limit(void **state)
{
  (void)state;
  check_bad(bad_lists, sizeof bad_lists / sizeof bad_lists[0]);
}

#define NO_ZONE                                                                                    \
  "in /usr/share/zoneinfo; write one such as America/Los_Angeles or UTC, or install the package "  \
  "tzdata\n"
#define DAYS(n) "  t" n ": {limits: {rpd: 1}, day_reset: Etc/GMT+" n "}\n"

static const struct bad_file bad_zones[] = {
    {"providers: {g: {kind: gemini, day_reset: America/Los_Angelos}}\n" POOL,
     "f:1:42: there is no time zone 'America/Los_Angelos' " NO_ZONE},
    {"providers: {g: {kind: gemini, day_reset: America}}\n" POOL,
     "f:1:42: there is no time zone 'America' " NO_ZONE},
    {"providers: {g: {kind: gemini, day_reset: /etc/passwd}}\n" POOL,
     "f:1:42: there is no time zone '/etc/passwd' " NO_ZONE},
    {"providers: {g: {kind: gemini, day_reset: "
     "A2345678901234567890123456789012345678901234567x}}\n" POOL,
     "f:1:42: day_reset is 48 bytes long; at most 47 are allowed, shorten it\n"},
    {GOOD "tenants: {acme: {limits: {rpd: 1}, day_reset: Mars}}\n",
     "f:3:47: there is no time zone 'Mars' " NO_ZONE},
    {GOOD "tenants:\n" DAYS("1") DAYS("2") DAYS("3") DAYS("4") DAYS("5") DAYS("6") DAYS("7")
         DAYS("8") DAYS("9"),
     "f:12:22: days of more than 8 time zones are limited, Etc/GMT+9 is one too many; use fewer "
     "zones, or limit any 25h instead of a day\n"},
};

static void says_what_is_wrong_with_a_time_zone(void **state)
{
  (void)state;
  check_bad(bad_zones, sizeof bad_zones / sizeof bad_zones[0]);
}

/* Lines 1 to 3; the pool with |rest| is line 5. */
#define SHARED(rest)                                                                               \
  PROVIDER "budgets: {project: {limits: {rpm: 1}},\n"                                              \
           "  money: {limits: {spend_day: 1}}}\n"                                                  \
           "pools:\n- {name: p, provider: g, models: m, limits: {rpm: 1}" rest "}\n"
#define UNUSED(at, name)                                                                           \
  "f:" at ": warning: no pool uses the budget '" name                                              \
  "'; name it in budgets of a pool, or remove it\n"

static const struct bad_file bad_budgets[] = {
    {GOOD "budgets: [a]\n", "f:3:10: budgets must be a map; write keys and values, 'key: value'\n"},
    {GOOD "budgets: {b: {}}\n",
     UNUSED("3:11", "b") "f:3:14: 'limits' is missing; add it: what all these pools may use "
                         "together, written as pools[].limits; tpm counts all tokens\n"},
    {GOOD "budgets: {b: {limits: {rpm: 1}, profil: paced}}\n",
     UNUSED("3:11", "b") "f:3:33: unknown key 'profil'; did you mean 'profile'?\n"},
    {GOOD "budgets: {\"b:c\": {limits: {rpm: 1}}}\n",
     "f:3:11: the budget's name 'b:c' has a character that is not allowed; use letters, digits and "
     "._-\n"},
    {GOOD "budgets: {b: {limits: {rpm: 1}, profile: strict}}\n",
     UNUSED("3:11", "b") "f:3:42: profile: unknown word 'strict'; write one of "
                         "window|bucket|paced|universal\n"},
    {GOOD "bounds: {budgets: 1}\nbudgets: {b: {limits: {rpm: 1}}, c: {limits: {rpm: 1}}}\n",
     UNUSED("4:11", "b") "f:4:34: bounds.budgets allows 1 budgets, those of tenants included; "
                         "raise it or remove some\n"},
    {SHARED(", budgets: projcet, price: {input: 1, output: 1}"),
     UNUSED("2:11", "project")
         UNUSED("3:3", "money") "f:5:64: unknown budget 'projcet'; did you mean 'project'?\n"},
    {SHARED(", budgets: [zz, money], price: {input: 1, output: 1}"),
     UNUSED("2:11", "project") "f:5:65: unknown budget 'zz'; add it under budgets: zz: {limits: "
                               "...}\n"},
    {SHARED(", budgets: [project, money]"),
     "f:5:74: the budget 'money' limits spend, but the pool 'p' has no price; add price: {input: "
     "..., output: ...} for a million tokens to that pool\n"},
    {SHARED(", budgets: [project, project]"),
     UNUSED("3:3", "money") "f:5:74: the budget 'project' stands here twice; remove one\n"},
    {SHARED(", budgets: [project, money, x]"),
     UNUSED("2:11", "project") UNUSED("3:3", "money") "f:5:64: a pool has at most 2 budgets; "
                                                      "remove some\n"},
    {SHARED(", budgets: {project: 1}"),
     UNUSED("2:11", "project") UNUSED("3:3", "money") "f:5:64: budgets must be a single value, not "
                                                      "a map or a list; write 'budgets: value'\n"},
};

static void says_what_is_wrong_with_a_budget(void **state)
{
  (void)state;
  check_bad(bad_budgets, sizeof bad_budgets / sizeof bad_budgets[0]);
}

static const struct bad_file bad_tenants[] = {
    {GOOD "tenants: {acme: {weight: 0}}\n", "f:3:26: weight: 0 " RANGE "1..1000\n"},
    {GOOD "tenants: {acme: {weight: 1001}}\n", "f:3:26: weight: 1001 " RANGE "1..1000\n"},
    {GOOD "tenants: {acme: {weigth: 1}}\n",
     "f:3:18: unknown key 'weigth'; did you mean 'weight'?\n"},
    {GOOD "tenants: {acme: 3}\n",
     "f:3:17: tenants.* must be a map; write keys and values, 'key: value'\n"},
    {GOOD "tenants: {\"a b\": {}}\n", "f:3:11: the tenant's name 'a b' has a character that is not "
                                      "allowed; use letters, digits and ._-/:@+\n"},
    {GOOD "tenants: {a2345678901234567890123456789012: {}}\n",
     "f:3:11: a tenant's name is 32 bytes long; at most 31 are allowed, shorten it\n"},
    {GOOD "tenants: {acme: {limits: {}}}\n",
     "f:3:26: limits is empty; write at least one, such as {rpm: 1000}\n"},
    {GOOD "tenants: {acme: {limits: {spend_day: 1}}}\n",
     "f:3:11: the budget 'acme' limits spend, but the pool 'p' has no price; add price: {input: "
     "..., output: ...} for a million tokens to that pool\n"},
    {BAD_POOL(", tenants: {acme: {limits: {spend_day: 1}}}"),
     "f:3:80: the budget 'p:acme' limits spend, but the pool 'p' has no price; add price: {input: "
     "..., output: ...} for a million tokens to that pool\n"},
    {BAD_POOL(", tenants: {a23456789012345678901234567890: {limits: {rpm: 1}}}"),
     "f:3:65: the limits of this tenant are a budget of the name "
     "'p:a23456789012345678901234567890', which is 32 bytes long; at most 31 are allowed, shorten "
     "the name of pool or tenant\n"},
    {BAD_POOL(", tenants: {a23456789012345678901234567890: {weight: 2}}"), ""},
    {BAD_POOL(", tenants: {acme: {day_reset: UTC}}"),
     "f:3:72: unknown key 'day_reset'; known here: weight, limits\n"},
    {BAD_POOL(", tenants: {acme: {weight: 1k5}}"),
     "f:3:80: weight: '1k5' is not a valid amount; write a whole number such as 1000, 1_000, 10k "
     "or 2.5M\n"},
    {PROVIDER "budgets: {acme: {limits: {rpm: 1}}}\ntenants: {acme: {limits: {rpm: 1}}}\n"
              "pools:\n- {name: p, provider: g, models: m, limits: {rpm: 1}, budgets: acme}\n",
     "f:3:11: the name 'acme' is taken by the budget of line 2; every budget needs a name of its "
     "own, those of tenants included\n"},
    {GOOD "bounds: {tenants: 16}\ntenants: {a: {}, b: {}, c: {}, d: {}, e: {}, f: {}, g: {}, h: "
          "{}, i: {}, j: {}, k: {}, l: {}, m: {}, o: {}, p: {}, q: {}, r: {}, s: {}}\n",
     "f:4:123: more than 16 tenants are configured; remove some, or raise bounds.tenants (the file "
     "may name 4096)\n"},
};

static void says_what_is_wrong_with_a_tenant(void **state)
{
  (void)state;
  check_bad(bad_tenants, sizeof bad_tenants / sizeof bad_tenants[0]);
}

static const struct bad_file long_leases[] = {
    {LIST("dimension: requests, window: 1s, amount: 5"),
     "f:3:3: warning: lease_ttl (2000ms) is long beside a window of 1000ms, so calls that do not "
     "settle at once hold most of that limit; set lease_ttl to 250ms or less\n"},
    {KIND_POOL("openai", "[{dimension: requests, window: 4s, amount: 5}]", ", lease_ttl: 1001ms"),
     "f:3:104: warning: lease_ttl (1001ms) is long beside a window of 4000ms, so calls that do not "
     "settle at once hold most of that limit; set lease_ttl to 1000ms or less\n"},
    {KIND_POOL("openai", "[{dimension: requests, window: 4s, amount: 5}]", ", lease_ttl: 1s"), ""},
    {KIND_POOL("openai", "[{dimension: requests, window: 10s, amount: 5}]", ", lease_ttl: 5s"), ""},
    {KIND_POOL("gemini", "{in_flight: 5}", ", lease_ttl: 5s"), ""},
};

static void warns_of_leases_that_outlast_a_window(void **state)
{
  (void)state;
  check_bad(long_leases, sizeof long_leases / sizeof long_leases[0]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gives_each_kind_its_method),
      cmocka_unit_test(takes_the_rules_that_a_pool_states),
      cmocka_unit_test(reads_the_breaker_and_the_share_of_new_attempts),
      cmocka_unit_test(reads_how_fast_use_may_grow_or_knows_it_by_the_kind),
      cmocka_unit_test(reads_the_island_of_a_pool),
      cmocka_unit_test(reads_what_calls_do_without_the_coordinator),
      cmocka_unit_test(warns_of_an_island_without_a_call),
      cmocka_unit_test(refuses_an_island_where_calls_in_flight_are_limited),
      cmocka_unit_test(refuses_an_island_where_a_tenant_has_limits),
      cmocka_unit_test(charges_as_the_pool_says),
      cmocka_unit_test(counts_days_as_the_provider_does),
      cmocka_unit_test(keeps_each_time_zone_in_use_once),
      cmocka_unit_test(reads_money_and_calls_in_flight),
      cmocka_unit_test(reads_all_of_a_limit_in_a_list),
      cmocka_unit_test(shares_budgets_among_pools),
      cmocka_unit_test(gives_tenants_weights_and_budgets),
      cmocka_unit_test(sizes_the_tables_of_budgets_and_tenants),
      cmocka_unit_test(shows_what_a_file_means),
      cmocka_unit_test(refuses_values_out_of_range_or_of_the_wrong_type),
      cmocka_unit_test(says_what_is_wrong_with_a_limit),
      cmocka_unit_test(says_what_is_wrong_with_a_time_zone),
      cmocka_unit_test(says_what_is_wrong_with_a_budget),
      cmocka_unit_test(says_what_is_wrong_with_a_tenant),
      cmocka_unit_test(warns_of_leases_that_outlast_a_window),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
