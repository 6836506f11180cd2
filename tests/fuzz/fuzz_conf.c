/* Any bytes as a configuration file: no crash, and what is accepted holds what config.h demands. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <weir/conf.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_limits(const struct weir_conf *conf, const struct weir_limit_config *limits,
                         uint32_t count)
{
  assert(count >= 1 && count <= WEIR_LIMITS_MAX);
  for (uint32_t i = 0; i < count; i++) {
    const struct weir_limit_config *limit = &limits[i];
    assert(limit->dimension >= 1 && limit->dimension < WEIR_DIMENSION_MAX);
    if (limit->dimension == WEIR_DIMENSION_IN_FLIGHT)
      assert(limit->window_us == 0 && limit->burst == 0 && !limit->is_day);
    else
      assert(limit->window_us >= WEIR_WINDOW_MIN_US && limit->window_us <= WEIR_WINDOW_MAX_US);
    assert(limit->amount >= 1 && limit->amount <= WEIR_LIMIT_MAX && limit->burst <= limit->amount);
    if (limit->is_day)
      assert(limit->window_us == WEIR_DAY_WINDOW_US && limit->zone < conf->zones_count);
    char text[WEIR_CONF_LIMIT_SIZE];
    weir_conf_limit_format(conf, limit, text, sizeof text);
    assert(strlen(text) + 1 < sizeof text);
    for (uint32_t k = 0; k < i; k++)
      assert(limits[k].dimension != limit->dimension || limits[k].window_us != limit->window_us);
  }
}

static void check_rules(const struct weir_rules_config *rules)
{
  assert(rules->profile >= 1 && rules->profile < WEIR_PROFILE_MAX);
  assert(rules->sub_us >= 100 * WEIR_US_PER_MS && rules->sub_us <= 10 * WEIR_US_PER_S);
  assert(rules->error_pm <= WEIR_ERROR_MAX_PM);
}

static void check_budgets(const struct weir_conf *conf)
{
  const struct weir_coord_config *c = &conf->coord;
  assert(c->budgets_count <= conf->bounds.budgets_max);
  assert(c->tenants_count <= conf->bounds.tenants_max && conf->zones_count <= WEIR_ZONES_MAX);
  for (uint32_t i = 0; i < c->budgets_count; i++) {
    assert(memchr(c->budgets[i].name, '\0', sizeof c->budgets[i].name) != NULL);
    check_rules(&c->budgets[i].rules);
    check_limits(conf, c->budgets[i].limits, c->budgets[i].limits_count);
    for (uint32_t k = 0; k < i; k++)
      assert(strcmp(c->budgets[k].name, c->budgets[i].name) != 0);
  }
  for (uint32_t i = 0; i < c->tenants_count; i++) {
    const struct weir_tenant_config *tenant = &c->tenants[i];
    assert(memchr(tenant->name, '\0', sizeof tenant->name) != NULL);
    assert(tenant->pool < c->pools_count || tenant->pool == WEIR_POOL_ANY);
    assert(tenant->weight >= 1 && tenant->weight <= WEIR_WEIGHT_MAX);
    assert(tenant->budget < c->budgets_count || tenant->budget == WEIR_BUDGET_NONE);
    assert(i == 0 || tenant->pool != tenant[-1].pool || strcmp(tenant[-1].name, tenant->name) < 0);
  }
}

static void check_routes(const struct weir_conf *conf)
{
  const struct weir_coord_config *c = &conf->coord;
  assert(c->routes_count <= conf->bounds.routes_max);
  for (uint32_t i = 0; i < c->routes_count; i++) {
    const struct weir_route_config *route = &c->routes[i];
    assert(route->name < c->names_count && strchr(c->names[route->name].name, '/') == NULL);
    assert(route->choices_count >= 1 && route->choices_count <= WEIR_CHOICES_MAX);
    assert(route->policy <= WEIR_ROUTE_CHEAPEST);
    for (uint32_t k = 0; k < route->choices_count; k++)
      assert(strchr(c->names[route->choices[k]].name, '/') != NULL);
  }
}

static void check(const struct weir_conf *conf)
{
  const struct weir_coord_config *c = &conf->coord;
  assert(c->pools_count >= 1 && c->pools_count <= conf->bounds.pools_max);
  assert(c->names_count >= c->pools_count && c->names_count <= conf->bounds.names_max);
  assert(c->session_ttl_us > c->heartbeat_us && c->asks_max >= 1);
  assert(conf->listen_count >= 1 && conf->state[0] != '\0');
  for (uint32_t i = 0; i < c->pools_count; i++) {
    const struct weir_pool_config *pool = &c->pools[i];
    assert(pool->name[0] != '\0' && memchr(pool->name, '\0', sizeof pool->name) != NULL);
    assert(pool->ttl_us > 0 && pool->ttl_us + pool->jitter_us <= WEIR_HOLD_MAX_US);
    assert(pool->batch_floor_pm <= WEIR_FLOOR_MAX_PM);
    assert(pool->price_input <= WEIR_PRICE_MAX && pool->price_output <= WEIR_PRICE_MAX);
    assert(pool->budgets_count <= WEIR_POOL_BUDGETS);
    for (uint32_t k = 0; k < pool->budgets_count; k++)
      assert(pool->budgets[k] < c->budgets_count);
    check_rules(&pool->rules);
    check_limits(conf, pool->limits, pool->limits_count);
  }
  check_budgets(conf);
  for (uint32_t i = 0; i < c->names_count; i++) {
    assert(c->names[i].pool < c->pools_count && c->names[i].model[0] != '\0');
    assert(memchr(c->names[i].name, '\0', WEIR_NAME_SIZE) != NULL);
    assert(memchr(c->names[i].model, '\0', WEIR_NAME_SIZE) != NULL);
  }
  check_routes(conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct weir_conf_issues issues;
  struct weir_conf *conf = NULL;
  enum weir_err err = weir_conf_parse(data, size, &conf, &issues);
  assert((err == WEIR_OK) == (issues.errors == 0 && conf != NULL));
  for (uint32_t i = 0; i < issues.count; i++) {
    char line[WEIR_CONF_LINE_SIZE];
    weir_conf_issue_format(&issues.items[i], "f", line, sizeof line);
    assert(strchr(line, '\n') == NULL);
  }
  if (conf != NULL)
    check(conf);
  weir_conf_free(conf);
  return 0;
}
