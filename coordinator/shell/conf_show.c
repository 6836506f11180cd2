#include <weir/conf.h>

#include <inttypes.h>
#include <stdio.h>

/* "1m", "250ms": the largest unit that comes out even. */
static void duration_format(weir_duration us, char *ret_text, size_t size)
{
  static const struct {
    const char *unit;
    uint64_t us;
  } units[] = {{"d", 24 * WEIR_US_PER_HOUR}, {"h", WEIR_US_PER_HOUR}, {"m", WEIR_US_PER_MIN},
               {"s", WEIR_US_PER_S},         {"ms", WEIR_US_PER_MS},  {"us", 1}};
  size_t place = us == 0 ? 3 : 0; /* "0s" */
  while (us % units[place].us != 0)
    place++;
  snprintf(ret_text, size, "%" PRIu64 "%s", us / units[place].us, units[place].unit);
}

/* Money without needless zeros: "25", "12.5". */
static void amount_format(enum weir_dimension dimension, uint64_t amount, char *ret_text,
                          size_t size)
{
  if (dimension != WEIR_DIMENSION_SPEND) {
    snprintf(ret_text, size, "%" PRIu64, amount);
    return;
  }
  uint64_t rest = amount % 1000000;
  int digits = 6;
  for (; digits > 0 && rest % 10 == 0; digits--)
    rest /= 10;
  if (digits == 0)
    snprintf(ret_text, size, "%" PRIu64, amount / 1000000);
  else
    snprintf(ret_text, size, "%" PRIu64 ".%0*" PRIu64, amount / 1000000, digits, rest);
}

void weir_conf_limit_format(const struct weir_conf *conf, const struct weir_limit_config *limit,
                            char *ret_text, size_t size)
{
  char amount[32], burst[32], window[WEIR_CONF_ZONE_SIZE + 32] = "";
  amount_format(limit->dimension, limit->amount, amount, sizeof amount);
  amount_format(limit->dimension, limit->burst, burst, sizeof burst);
  if (limit->is_day)
    snprintf(window, sizeof window, "/day %s", conf->zones[limit->zone]);
  else if (limit->window_us > 0) {
    window[0] = '/';
    duration_format(limit->window_us, window + 1, sizeof window - 1);
  }
  snprintf(ret_text, size, "%s %s%s%s%s%s%s", weir_dimension_name(limit->dimension), amount, window,
           limit->burst > 0 ? ", burst " : "", limit->burst > 0 ? burst : "",
           limit->is_prepaid ? ", charged by estimate" : "", limit->is_shadow ? ", shadow" : "");
}

static void limits_show(const struct weir_conf *conf, const struct weir_limit_config *limits,
                        uint32_t count, FILE *file)
{
  char text[WEIR_CONF_LIMIT_SIZE];
  for (uint32_t i = 0; i < count; i++) {
    weir_conf_limit_format(conf, &limits[i], text, sizeof text);
    fprintf(file, "; %s", text);
  }
  fputc('\n', file);
}

static void percent_format(uint32_t share_pm, char *ret_text, size_t size)
{
  if (share_pm % 10 == 0)
    snprintf(ret_text, size, "%u%%", (unsigned)(share_pm / 10));
  else
    snprintf(ret_text, size, "%u.%u%%", (unsigned)(share_pm / 10), (unsigned)(share_pm % 10));
}

static void ramp_show(const struct weir_pool_config *pool, FILE *file)
{
  char growth[32], per[32];
  percent_format(pool->rules.ramp_pm, growth, sizeof growth);
  duration_format(pool->rules.ramp_per_us, per, sizeof per);
  fprintf(file, "pool %s: growth %s per %s once it was too fast\n", pool->name, growth, per);
}

static void breaker_show(const struct weir_pool_config *pool, FILE *file)
{
  const struct weir_breaker_config *breaker = &pool->breaker;
  char failures[32], window[32], open[32], open_max[32], timeout[32], ramp[32], retries[32];
  percent_format(pool->retries_pm, retries, sizeof retries);
  if (breaker->is_on) {
    percent_format(breaker->failures_pm, failures, sizeof failures);
    duration_format(breaker->window_us, window, sizeof window);
    duration_format(breaker->open_us, open, sizeof open);
    duration_format(breaker->open_max_us, open_max, sizeof open_max);
    duration_format(breaker->probe_timeout_us, timeout, sizeof timeout);
    duration_format(breaker->ramp_us, ramp, sizeof ramp);
    fprintf(file,
            "pool %s: breaker at %s of %u calls in %s, open %s..%s, %u probes within %s, ramp %s",
            pool->name, failures, (unsigned)breaker->calls_min, window, open, open_max,
            (unsigned)breaker->probes, timeout, ramp);
  } else {
    fprintf(file, "pool %s: no breaker", pool->name);
  }
  fprintf(file, "; retries %s\n", retries);
}

static void island_show(const struct weir_pool_config *pool, FILE *file)
{
  const struct weir_island_config *island = &pool->island;
  char share[32], how_long[32];
  if (island->share_pm == 0)
    return;
  percent_format(island->share_pm, share, sizeof share);
  duration_format(island->for_us, how_long, sizeof how_long);
  fprintf(file, "pool %s: island of %s for %u instances, %s each\n", pool->name, share,
          (unsigned)island->places, how_long);
}

static void without_show(const struct weir_pool_config *pool, FILE *file)
{
  if (pool->without == WEIR_WITHOUT_CLOSED)
    fprintf(file, "pool %s: without the coordinator calls fail at once\n", pool->name);
  else if (pool->without == WEIR_WITHOUT_OPEN)
    fprintf(file, "pool %s: without the coordinator calls go WITHOUT LIMIT\n", pool->name);
}

static void pool_show(const struct weir_conf *conf, const struct weir_pool_config *pool, FILE *file)
{
  fprintf(file, "pool %s: %s%s", pool->name, weir_profile_name(pool->rules.profile),
          pool->rules.is_fixed ? " (fixed)" : "");
  for (uint32_t i = 0; i < pool->budgets_count; i++)
    fprintf(file, "; budget %s", conf->budgets[pool->budgets[i]].name);
  limits_show(conf, pool->limits, pool->limits_count, file);
  breaker_show(pool, file);
  ramp_show(pool, file);
  island_show(pool, file);
  without_show(pool, file);
}

static void route_show(const struct weir_conf *conf, const struct weir_route_config *route,
                       FILE *file)
{
  static const char *const policies[] = {"order", "fastest", "cheapest"};
  char text[32];
  duration_format(route->patience_us, text, sizeof text);
  fprintf(file, "route %s: %s, patience %s", conf->names[route->name].name, policies[route->policy],
          text);
  for (uint32_t i = 0; i < route->choices_count; i++)
    fprintf(file, "; %s", conf->names[route->choices[i]].model);
  for (int class = 1; class < WEIR_CLASS_MAX; class ++) {
    if (route->timeout_us[class] == 0)
      continue;
    duration_format(route->timeout_us[class], text, sizeof text);
    fprintf(file, "; %s timeout %s", weir_class_name((enum weir_class) class), text);
  }
  fputc('\n', file);
}

void weir_conf_show(const struct weir_conf *conf, FILE *file)
{
  const struct weir_coord_config *coord = &conf->coord;
  for (uint32_t i = 0; i < coord->pools_count; i++)
    pool_show(conf, &conf->pools[i], file);
  for (uint32_t i = 0; i < coord->budgets_count; i++) {
    const struct weir_budget_config *budget = &conf->budgets[i];
    fprintf(file, "budget %s: %s", budget->name, weir_profile_name(budget->rules.profile));
    limits_show(conf, budget->limits, budget->limits_count, file);
  }
  for (uint32_t i = 0; i < coord->tenants_count; i++) {
    const struct weir_tenant_config *tenant = &conf->tenants[i];
    fprintf(file, "tenant %s: weight %u", tenant->name, (unsigned)tenant->weight);
    if (tenant->pool != WEIR_POOL_ANY)
      fprintf(file, "; in pool %s", conf->pools[tenant->pool].name);
    if (tenant->budget != WEIR_BUDGET_NONE)
      fprintf(file, "; budget %s", conf->budgets[tenant->budget].name);
    fputc('\n', file);
  }
  for (uint32_t i = 0; i < coord->routes_count; i++)
    route_show(conf, &conf->routes[i], file);
}
