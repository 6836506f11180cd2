#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_build.h"
#include <weir/conf_value.h>

#define TYPO_DISTANCE 2

static uint32_t budget_find(const struct weir_conf *conf, uint32_t count, const char *name)
{
  for (uint32_t i = 0; i < count; i++) {
    if (strcmp(conf->budgets[i].name, name) == 0)
      return i;
  }
  return WEIR_BUDGET_NONE;
}

/* Returns the new budget's place, or WEIR_BUDGET_NONE and an issue. */
static uint32_t budget_add(struct weir_conf_builder *b, const yaml_node_t *node, const char *name)
{
  struct weir_conf *conf = b->conf;
  uint32_t place = budget_find(conf, conf->coord.budgets_count, name);
  if (place != WEIR_BUDGET_NONE) {
    weir_conf_issue_add(b->reader.issues, false, node,
                        "the name '%s' is taken by the budget of line %u; every budget needs a "
                        "name of its own, those of tenants included",
                        name, (unsigned)b->budget_nodes[place]->start_mark.line + 1);
    return WEIR_BUDGET_NONE;
  }
  place = conf->coord.budgets_count;
  if (place == conf->bounds.budgets_max) {
    weir_conf_issue_add(b->reader.issues, false, node,
                        "bounds.budgets allows %u budgets, those of tenants included; raise it or "
                        "remove some",
                        (unsigned)conf->bounds.budgets_max);
    return WEIR_BUDGET_NONE;
  }
  struct weir_budget_config *budget = &conf->budgets[place];
  memcpy(budget->name, name, strlen(name) + 1);
  budget->rules = (struct weir_rules_config){.profile = WEIR_PROFILE_WINDOW,
                                             .sub_us = WEIR_SUB_DEFAULT_US,
                                             .error_pm = WEIR_CONF_ERROR_PM};
  b->budget_nodes[place] = node;
  conf->coord.budgets_count++;
  return place;
}

static bool has_spend(const struct weir_conf *conf, uint32_t budget)
{
  return budget != WEIR_BUDGET_NONE &&
         weir_conf_limits_spend(conf->budgets[budget].limits, conf->budgets[budget].limits_count);
}

static bool has_price(const struct weir_pool_config *pool)
{
  return pool->price_input + pool->price_output > 0;
}

static void report_price(struct weir_conf_builder *b, const yaml_node_t *node, uint32_t budget,
                         const struct weir_pool_config *pool)
{
  weir_conf_issue_add(b->reader.issues, false, node,
                      "the budget '%s' limits spend, but the pool '%s' has no price; add price: "
                      "{input: ..., output: ...} for a million tokens to that pool",
                      b->conf->budgets[budget].name, pool->name);
}

/* ---- shared budgets ---- */

static void read_budget(struct weir_conf_builder *b, const yaml_node_t *key,
                        const yaml_node_t *value)
{
  char name[WEIR_POOL_NAME_SIZE], zone[WEIR_CONF_ZONE_SIZE];
  if (!weir_conf_node_text(&b->reader, key, "a budget's name", name, sizeof name) ||
      !weir_conf_name_check(b, key, "the budget's name", name, "._-"))
    return;
  uint32_t place = budget_add(b, key, name);
  struct weir_conf_section section;
  if (place == WEIR_BUDGET_NONE ||
      !weir_conf_section_open(&b->reader, value, "budgets.*", &section))
    return;
  struct weir_budget_config *budget = &b->conf->budgets[place];
  int profile = weir_conf_word(&section, "profile");
  if (profile >= 0)
    budget->rules.profile = (enum weir_profile)(profile + 1);
  weir_conf_zone_read(b, &section, "day_reset", zone);
  struct weir_conf_scope scope = {.owner = "a budget",
                                  .tokens = WEIR_DIMENSION_TOTAL_TOKENS,
                                  .zone = zone,
                                  .day_us = WEIR_DAY_WINDOW_US};
  const yaml_node_t *node = weir_conf_need(&section, "limits");
  if (node != NULL)
    weir_conf_limits_read(b, node, &scope, budget->limits, &budget->limits_count);
}

static uint32_t budget_guess(const struct weir_conf_builder *b, const char *name)
{
  uint32_t guess = WEIR_BUDGET_NONE;
  size_t best = TYPO_DISTANCE + 1;
  for (uint32_t i = 0; i < b->shared_count; i++) {
    size_t distance = weir_conf_distance(name, b->conf->budgets[i].name);
    if (distance < best && distance < strlen(b->conf->budgets[i].name)) {
      best = distance;
      guess = i;
    }
  }
  return guess;
}

static void report_budget(struct weir_conf_builder *b, const yaml_node_t *node, const char *name)
{
  uint32_t guess = budget_guess(b, name);
  if (guess != WEIR_BUDGET_NONE)
    weir_conf_issue_add(b->reader.issues, false, node, "unknown budget '%s'; did you mean '%s'?",
                        name, b->conf->budgets[guess].name);
  else
    weir_conf_issue_add(b->reader.issues, false, node,
                        "unknown budget '%s'; add it under budgets: %s: {limits: ...}", name, name);
}

static void read_pool_budget(struct weir_conf_builder *b, const yaml_node_t *node,
                             struct weir_pool_config *pool)
{
  char name[WEIR_POOL_NAME_SIZE];
  if (!weir_conf_node_text(&b->reader, node, "budgets", name, sizeof name))
    return;
  uint32_t place = budget_find(b->conf, b->shared_count, name);
  if (place == WEIR_BUDGET_NONE) {
    report_budget(b, node, name);
    return;
  }
  for (uint32_t i = 0; i < pool->budgets_count; i++) {
    if (pool->budgets[i] == place) {
      weir_conf_issue_add(b->reader.issues, false, node,
                          "the budget '%s' stands here twice; remove one", name);
      return;
    }
  }
  if (has_spend(b->conf, place) && !has_price(pool))
    report_price(b, node, place, pool);
  pool->budgets[pool->budgets_count++] = place;
}

/* ---- tenants ---- */

static struct weir_tenant_config *tenant_find(const struct weir_conf *conf, uint32_t pool,
                                              const char *name)
{
  for (uint32_t i = 0; i < conf->coord.tenants_count; i++) {
    struct weir_tenant_config *tenant = &conf->tenants[i];
    if (tenant->pool == pool && strcmp(tenant->name, name) == 0)
      return tenant;
  }
  return NULL;
}

/* Returns the new entry, or NULL and an issue. */
static struct weir_tenant_config *tenant_add(struct weir_conf_builder *b, const yaml_node_t *node,
                                             const char *name, uint32_t pool)
{
  struct weir_conf *conf = b->conf;
  uint32_t most = conf->bounds.tenants_max;
  if (most > WEIR_CONF_TENANTS_MAX)
    most = WEIR_CONF_TENANTS_MAX;
  if (conf->coord.tenants_count == most) {
    weir_conf_issue_add(b->reader.issues, false, node,
                        "more than %u tenants are configured; remove some, or raise bounds.tenants "
                        "(the file may name %d)",
                        (unsigned)most, WEIR_CONF_TENANTS_MAX);
    return NULL;
  }
  struct weir_tenant_config *tenant = &conf->tenants[conf->coord.tenants_count++];
  memcpy(tenant->name, name, strlen(name) + 1);
  tenant->pool = pool;
  tenant->weight = 1;
  tenant->budget = WEIR_BUDGET_NONE;
  return tenant;
}

static void read_tenant_limits(struct weir_conf_builder *b, const yaml_node_t *key,
                               const yaml_node_t *node, const struct weir_conf_scope *scope,
                               struct weir_tenant_config *tenant)
{
  struct weir_conf *conf = b->conf;
  bool is_any = tenant->pool == WEIR_POOL_ANY;
  char name[WEIR_POOL_NAME_SIZE + WEIR_TENANT_SIZE];
  int size = snprintf(name, sizeof name, "%s%s%s", is_any ? "" : conf->pools[tenant->pool].name,
                      is_any ? "" : ":", tenant->name);
  if (size >= WEIR_POOL_NAME_SIZE) {
    weir_conf_issue_add(b->reader.issues, false, key,
                        "the limits of this tenant are a budget of the name '%s', which is %d "
                        "bytes long; at most %d are allowed, shorten the name of pool or tenant",
                        name, size, WEIR_POOL_NAME_SIZE - 1);
    return;
  }
  uint32_t place = budget_add(b, key, name);
  if (place == WEIR_BUDGET_NONE)
    return;
  struct weir_budget_config *budget = &conf->budgets[place];
  budget->rules.is_fixed = true; /* nobody but us keeps it: a rejection says nothing about it */
  weir_conf_limits_read(b, node, scope, budget->limits, &budget->limits_count);
  tenant->budget = place;
  if (!is_any && has_spend(conf, place) && !has_price(&conf->pools[tenant->pool]))
    report_price(b, node, place, &conf->pools[tenant->pool]);
}

/* An entry of a pool takes over what it does not say from that of all pools. False when there is no
 * room for more. */
static bool read_tenant(struct weir_conf_builder *b, const yaml_node_t *key,
                        const yaml_node_t *value, const struct weir_conf_scope *scope,
                        uint32_t pool)
{
  char name[WEIR_TENANT_SIZE], zone[WEIR_CONF_ZONE_SIZE];
  if (!weir_conf_node_text(&b->reader, key, "a tenant's name", name, sizeof name) ||
      !weir_conf_name_check(b, key, "the tenant's name", name, "._-/:@+"))
    return true;
  bool is_any = pool == WEIR_POOL_ANY;
  struct weir_conf_section section;
  if (!weir_conf_section_open(&b->reader, value, is_any ? "tenants.*" : "pools[].tenants.*",
                              &section))
    return true;
  const struct weir_tenant_config *overall =
      is_any ? NULL : tenant_find(b->conf, WEIR_POOL_ANY, name);
  struct weir_tenant_config *tenant = tenant_add(b, key, name, pool);
  if (tenant == NULL)
    return false;
  if (overall != NULL) {
    tenant->weight = overall->weight;
    tenant->budget = overall->budget;
  }
  if (is_any || weir_conf_find(&section, "weight") != NULL)
    tenant->weight = (uint32_t)weir_conf_number(&section, "weight");
  struct weir_conf_scope own = *scope;
  if (is_any) {
    weir_conf_zone_read(b, &section, "day_reset", zone);
    own.zone = zone;
  }
  const yaml_node_t *node = weir_conf_find(&section, "limits");
  if (node != NULL)
    read_tenant_limits(b, key, node, &own, tenant);
  return true;
}

static void read_tenants(struct weir_conf_builder *b, const struct weir_conf_section *parent,
                         const struct weir_conf_scope *scope, uint32_t pool)
{
  struct weir_conf_section section;
  const yaml_node_t *node = weir_conf_find(parent, "tenants");
  const char *path = pool == WEIR_POOL_ANY ? "tenants" : "pools[].tenants";
  if (node == NULL || !weir_conf_section_open(&b->reader, node, path, &section))
    return;
  for (size_t i = 0; i < weir_conf_pairs(node); i++) {
    const yaml_node_t *key = NULL, *value = NULL;
    if (weir_conf_pair(&b->reader, node, i, &key, &value) &&
        !read_tenant(b, key, value, scope, pool))
      return;
  }
}

/* ---- all ---- */

void weir_conf_read_budgets(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  struct weir_conf_section section;
  const yaml_node_t *node = weir_conf_find(top, "budgets");
  if (node != NULL && weir_conf_section_open(&b->reader, node, "budgets", &section)) {
    for (size_t i = 0; i < weir_conf_pairs(node); i++) {
      const yaml_node_t *key = NULL, *value = NULL;
      if (weir_conf_pair(&b->reader, node, i, &key, &value))
        read_budget(b, key, value);
    }
  }
  b->shared_count = b->conf->coord.budgets_count;
  const struct weir_conf_scope scope = {.owner = "a tenant",
                                        .tokens = WEIR_DIMENSION_TOTAL_TOKENS,
                                        .zone = "",
                                        .day_us = WEIR_DAY_WINDOW_US};
  read_tenants(b, top, &scope, WEIR_POOL_ANY);
}

void weir_conf_read_pool_budgets(struct weir_conf_builder *b, const struct weir_conf_section *pool,
                                 const struct weir_conf_scope *scope, uint32_t place)
{
  const yaml_node_t *node = weir_conf_find(pool, "budgets");
  size_t count = node == NULL ? 0 : weir_conf_items(node);
  if (count > WEIR_POOL_BUDGETS) {
    weir_conf_issue_add(b->reader.issues, false, node, "a pool has at most %d budgets; remove some",
                        WEIR_POOL_BUDGETS);
    count = 0;
  }
  for (size_t i = 0; i < count; i++)
    read_pool_budget(b, weir_conf_item(&b->reader, node, i), &b->conf->pools[place]);
  /* A tenant's share is ours to keep: what the provider charges for the estimate stays apart. */
  struct weir_conf_scope own = *scope;
  own.owner = "a tenant";
  own.is_prepaid = false;
  read_tenants(b, pool, &own, place);
}

static bool is_in_use(const struct weir_conf *conf, uint32_t budget)
{
  for (uint32_t i = 0; i < conf->coord.pools_count; i++) {
    for (uint32_t k = 0; k < conf->pools[i].budgets_count; k++) {
      if (conf->pools[i].budgets[k] == budget)
        return true;
    }
  }
  return false;
}

/* Tenants of every pool meet pools that were not read when they were. */
static void check_tenant(struct weir_conf_builder *b, const struct weir_tenant_config *tenant)
{
  const struct weir_conf *conf = b->conf;
  for (uint32_t i = 0; i < conf->coord.pools_count; i++) {
    if (!has_price(&conf->pools[i])) {
      report_price(b, b->budget_nodes[tenant->budget], tenant->budget, &conf->pools[i]);
      return; /* one message is enough to show what is missing */
    }
  }
}

static int tenant_compare(const void *left, const void *right)
{
  const struct weir_tenant_config *a = left, *b = right;
  if (a->pool != b->pool)
    return a->pool < b->pool ? -1 : 1;
  return strcmp(a->name, b->name);
}

void weir_conf_finish_budgets(struct weir_conf_builder *b)
{
  struct weir_conf *conf = b->conf;
  for (uint32_t i = 0; i < b->shared_count; i++) {
    if (!is_in_use(conf, i))
      weir_conf_issue_add(
          b->reader.issues, true, b->budget_nodes[i],
          "no pool uses the budget '%s'; name it in budgets of a pool, or remove it",
          conf->budgets[i].name);
  }
  for (uint32_t i = 0; i < conf->coord.tenants_count; i++) {
    if (conf->tenants[i].pool == WEIR_POOL_ANY && has_spend(conf, conf->tenants[i].budget))
      check_tenant(b, &conf->tenants[i]);
  }
  qsort(conf->tenants, conf->coord.tenants_count, sizeof *conf->tenants, tenant_compare);
}
