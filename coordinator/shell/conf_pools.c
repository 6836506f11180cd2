#include <stdio.h>
#include <string.h>

#include "conf_build.h"

#include <weir/coord.h>

#define SHORT_WINDOW_US (10 * WEIR_US_PER_S)

bool weir_conf_name_check(struct weir_conf_builder *b, const yaml_node_t *node, const char *what,
                          const char *name, const char *extra)
{
  for (const char *at = name; *at != '\0'; at++) {
    bool is_letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
    if (is_letter || (*at >= '0' && *at <= '9') || strchr(extra, *at) != NULL)
      continue;
    weir_conf_issue_add(b->reader.issues, false, node,
                        "%s '%.40s' has a character that is not allowed; use letters, digits and "
                        "%s",
                        what, name, extra);
    return false;
  }
  return true;
}

/* ---- providers ---- */

const struct weir_conf_provider *weir_conf_provider_find(const struct weir_conf_builder *b,
                                                         const char *name, size_t size)
{
  for (uint32_t i = 0; i < b->conf->providers_count; i++) {
    const struct weir_conf_provider *provider = &b->providers[i];
    if (strlen(provider->name) == size && memcmp(provider->name, name, size) == 0)
      return provider;
  }
  return NULL;
}

static void read_provider(struct weir_conf_builder *b, const yaml_node_t *key,
                          const yaml_node_t *value)
{
  struct weir_conf_provider *provider = &b->providers[b->conf->providers_count];
  struct weir_conf_section section;
  if (!weir_conf_node_text(&b->reader, key, "a provider's name", provider->name,
                           sizeof provider->name) ||
      !weir_conf_name_check(b, key, "the provider's name", provider->name, "._-"))
    return;
  b->conf->providers_count++;
  provider->kind = WEIR_CONF_KIND_UNKNOWN;
  if (!weir_conf_section_open(&b->reader, value, "providers.*", &section))
    return;
  int kind = weir_conf_word(&section, "kind");
  if (kind >= 0)
    provider->kind = (enum weir_conf_kind)kind;
  weir_conf_zone_read(b, &section, "day_reset", provider->zone);
}

static void read_providers(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  struct weir_conf_section section;
  const yaml_node_t *node = weir_conf_need(top, "providers");
  if (node == NULL || !weir_conf_section_open(&b->reader, node, "providers", &section))
    return;
  for (size_t i = 0; i < weir_conf_pairs(node); i++) {
    const yaml_node_t *key = NULL, *value = NULL;
    if (!weir_conf_pair(&b->reader, node, i, &key, &value))
      continue;
    if (b->conf->providers_count == WEIR_CONF_PROVIDERS_MAX) {
      weir_conf_issue_add(b->reader.issues, false, key, "more than %d providers; remove some",
                          WEIR_CONF_PROVIDERS_MAX);
      return;
    }
    read_provider(b, key, value);
  }
}

/* ---- names ---- */

uint32_t weir_conf_name_find(const struct weir_conf *conf, const char *name)
{
  uint32_t place = 0;
  while (place < conf->coord.names_count && strcmp(conf->names[place].name, name) != 0)
    place++;
  return place;
}

struct weir_name_config *weir_conf_name_add(struct weir_conf_builder *b, const yaml_node_t *node,
                                            const char *name, const char *model, uint32_t pool)
{
  struct weir_conf *conf = b->conf;
  uint32_t place = weir_conf_name_find(conf, name);
  if (place < conf->coord.names_count) {
    weir_conf_issue_add(b->reader.issues, false, node,
                        "the name '%s' is taken by line %u; every pool, model and route needs a "
                        "name of its own",
                        name, (unsigned)b->lines[place]);
    return NULL;
  }
  if (place == WEIR_CONF_NAMES_MAX) {
    weir_conf_issue_add(b->reader.issues, false, node,
                        "more than %d pools, models and routes; remove some", WEIR_CONF_NAMES_MAX);
    return NULL;
  }
  struct weir_name_config *entry = &conf->names[place];
  memcpy(entry->name, name, strlen(name) + 1);
  memcpy(entry->model, model, strlen(model) + 1);
  entry->pool = pool;
  b->lines[place] = (uint32_t)node->start_mark.line + 1;
  conf->coord.names_count++;
  return entry;
}

/* ---- pools ---- */

/* What "tokens", "a day" and "charged" mean to each kind, and which method it counts by. A day is a
 * calendar day only where the provider says so; where nothing is known, 25 hours hold every day of
 * every zone. Buckets that are refilled continuously know no midnight: any 24 hours. OpenAI says
 * that use should not grow by more than 50 % in 15 minutes; Anthropic states its ceiling in its
 * rejections, and that seen grew by a sixth in a minute; nobody else says anything. */
static const struct kind_rules {
  enum weir_profile profile;
  enum weir_dimension tokens;
  const char *zone;
  weir_duration day_us;
  bool is_prepaid;
  uint32_t ramp_pm;
  weir_duration ramp_per_us;
} kind_rules[] = {
    [WEIR_CONF_KIND_GEMINI] = {WEIR_PROFILE_WINDOW, WEIR_DIMENSION_INPUT_TOKENS,
                               "America/Los_Angeles", WEIR_DAY_WINDOW_US, false, 500,
                               15 * WEIR_US_PER_MIN},
    [WEIR_CONF_KIND_OPENAI] = {WEIR_PROFILE_BUCKET, WEIR_DIMENSION_TOTAL_TOKENS, "",
                               24 * WEIR_US_PER_HOUR, true, 500, 15 * WEIR_US_PER_MIN},
    [WEIR_CONF_KIND_ANTHROPIC] = {WEIR_PROFILE_BUCKET, 0, "", 24 * WEIR_US_PER_HOUR, false, 100,
                                  WEIR_US_PER_MIN},
    [WEIR_CONF_KIND_VERTEX] = {WEIR_PROFILE_WINDOW, WEIR_DIMENSION_INPUT_TOKENS, "",
                               WEIR_DAY_WINDOW_US, false, 500, 15 * WEIR_US_PER_MIN},
    [WEIR_CONF_KIND_COMPATIBLE] = {WEIR_PROFILE_UNIVERSAL, WEIR_DIMENSION_TOTAL_TOKENS, "",
                                   WEIR_DAY_WINDOW_US, true, 500, 15 * WEIR_US_PER_MIN},
    [WEIR_CONF_KIND_UNKNOWN] = {WEIR_PROFILE_UNIVERSAL, WEIR_DIMENSION_TOTAL_TOKENS, "",
                                WEIR_DAY_WINDOW_US, true, 500, 15 * WEIR_US_PER_MIN},
};

static void read_rules(const struct weir_conf_section *section, enum weir_profile fallback,
                       struct weir_rules_config *rules)
{
  int profile = weir_conf_word(section, "profile");
  rules->profile = profile < 0 ? fallback : (enum weir_profile)(profile + 1);
  rules->is_fixed = !weir_conf_bool(section, "fall_back");
  rules->sub_us = weir_conf_number(section, "sub_window");
  rules->error_pm = (uint32_t)weir_conf_number(section, "estimate_error");
}

static void read_ramp(struct weir_conf_builder *b, const struct weir_conf_section *pool_section,
                      const struct kind_rules *kind, struct weir_rules_config *rules)
{
  struct weir_conf_section ramp;
  rules->ramp_pm = kind->ramp_pm;
  rules->ramp_per_us = kind->ramp_per_us;
  if (!weir_conf_section_open(&b->reader, weir_conf_find(pool_section, "ramp"), "pools[].ramp",
                              &ramp))
    return;
  if (weir_conf_find(&ramp, "growth") != NULL)
    rules->ramp_pm = (uint32_t)weir_conf_number(&ramp, "growth");
  if (weir_conf_find(&ramp, "per") != NULL)
    rules->ramp_per_us = weir_conf_number(&ramp, "per");
}

static void read_price(struct weir_conf_builder *b, const struct weir_conf_section *pool_section,
                       struct weir_pool_config *pool)
{
  const yaml_node_t *node = weir_conf_find(pool_section, "price");
  struct weir_conf_section price;
  if (node == NULL || !weir_conf_section_open(&b->reader, node, "pools[].price", &price))
    return;
  pool->price_input = weir_conf_number(&price, "input");
  pool->price_output = weir_conf_number(&price, "output");
}

/* Limits, and what counts beside them. */
static void read_quota(struct weir_conf_builder *b, const struct weir_conf_section *section,
                       const struct weir_conf_provider *provider, uint32_t place)
{
  struct weir_pool_config *pool = &b->conf->pools[place];
  enum weir_conf_kind kind = provider == NULL ? WEIR_CONF_KIND_UNKNOWN : provider->kind;
  const struct kind_rules *rules = &kind_rules[kind];
  int charge = weir_conf_word(section, "charge");
  struct weir_conf_scope scope = {
      .owner = "a pool",
      .tokens = rules->tokens,
      .zone = provider != NULL && provider->zone[0] != '\0' ? provider->zone : rules->zone,
      .day_us = rules->day_us,
      .is_prepaid = charge < 0 ? rules->is_prepaid : charge == 0};
  read_rules(section, rules->profile, &pool->rules);
  read_ramp(b, section, rules, &pool->rules);
  read_price(b, section, pool);
  const yaml_node_t *node = weir_conf_need(section, "limits");
  if (node != NULL)
    weir_conf_limits_read(b, node, &scope, pool->limits, &pool->limits_count);
  if (weir_conf_limits_spend(pool->limits, pool->limits_count) &&
      pool->price_input + pool->price_output == 0)
    weir_conf_issue_add(b->reader.issues, false, node,
                        "spend is limited, but the pool has no price; add price: {input: ..., "
                        "output: ...} for a million tokens");
  weir_conf_read_pool_budgets(b, section, &scope, place);
}

static void read_classes(struct weir_conf_builder *b, const struct weir_conf_section *pool_section,
                         struct weir_pool_config *pool)
{
  const yaml_node_t *node = weir_conf_find(pool_section, "classes");
  struct weir_conf_section classes, online, batch;
  if (!weir_conf_section_open(&b->reader, node, "pools[].classes", &classes) ||
      !weir_conf_section_open(&b->reader, weir_conf_find(&classes, "online"),
                              "pools[].classes.online", &online) ||
      !weir_conf_section_open(&b->reader, weir_conf_find(&classes, "batch"),
                              "pools[].classes.batch", &batch))
    return;
  uint64_t online_pm = weir_conf_number(&online, "floor");
  uint64_t batch_pm = weir_conf_number(&batch, "floor");
  if (online_pm + batch_pm > 1000)
    weir_conf_issue_add(b->reader.issues, false, node,
                        "the floors of online and batch (default 10%%) are more than 100%% "
                        "together; lower one");
  pool->batch_floor_pm = (uint32_t)batch_pm;
}

static void read_models(struct weir_conf_builder *b, const struct weir_conf_section *section,
                        const char *provider, uint32_t pool)
{
  const yaml_node_t *node = weir_conf_need(section, "models");
  if (node == NULL)
    return;
  if (weir_conf_items(node) == 0)
    weir_conf_issue_add(b->reader.issues, false, node,
                        "models is empty; name at least one model of the provider");
  /* The pool's own name means its first model, which is known below. */
  struct weir_name_config *own = NULL;
  const char *pool_name = b->conf->pools[pool].name;
  if (pool_name[0] != '\0')
    own = weir_conf_name_add(b, weir_conf_find(section, "name"), pool_name, "", pool);
  for (size_t i = 0; i < weir_conf_items(node); i++) {
    const yaml_node_t *item = weir_conf_item(&b->reader, node, i);
    char model[WEIR_NAME_SIZE], full[2 * WEIR_NAME_SIZE];
    if (!weir_conf_node_text(&b->reader, item, "models", model, sizeof model) ||
        !weir_conf_name_check(b, item, "the model", model, "._-/:@+"))
      continue;
    int size = snprintf(full, sizeof full, "%s/%s", provider, model);
    if (size >= WEIR_NAME_SIZE) {
      weir_conf_issue_add(b->reader.issues, false, item,
                          "'%s' is %d bytes long; provider/model may have %d, shorten the "
                          "provider's name",
                          full, size, WEIR_NAME_SIZE - 1);
      continue;
    }
    if (i == 0 && own != NULL)
      memcpy(own->model, full, (size_t)size + 1);
    weir_conf_name_add(b, item, full, full, pool);
  }
}

/* Every limit is held for up to lease_ttl longer than its window, which short ones feel. */
static void warn_times(struct weir_conf_builder *b, const struct weir_conf_section *section,
                       const struct weir_pool_config *pool)
{
  weir_duration shortest = SHORT_WINDOW_US;
  for (uint32_t i = 0; i < pool->limits_count; i++) {
    if (pool->limits[i].window_us > 0 && pool->limits[i].window_us < shortest)
      shortest = pool->limits[i].window_us;
  }
  if (shortest == SHORT_WINDOW_US || pool->ttl_us <= shortest / 4)
    return;
  const yaml_node_t *node = weir_conf_find(section, "lease_ttl");
  weir_conf_issue_add(b->reader.issues, true, node != NULL ? node : section->node,
                      "lease_ttl (%llums) is long beside a window of %llums, so calls that do not "
                      "settle at once hold most of that limit; set lease_ttl to %llums or less",
                      (unsigned long long)(pool->ttl_us / WEIR_US_PER_MS),
                      (unsigned long long)(shortest / WEIR_US_PER_MS),
                      (unsigned long long)(shortest / 4 / WEIR_US_PER_MS));
}

static void read_times(struct weir_conf_builder *b, const struct weir_conf_section *section,
                       struct weir_pool_config *pool)
{
  pool->ttl_us = weir_conf_number(section, "lease_ttl");
  pool->jitter_us = weir_conf_number(section, "jitter");
  if (pool->ttl_us + pool->jitter_us > WEIR_HOLD_MAX_US) {
    const yaml_node_t *ttl = weir_conf_find(section, "lease_ttl");
    weir_conf_issue_add(b->reader.issues, false,
                        ttl != NULL ? ttl : weir_conf_find(section, "jitter"),
                        "lease_ttl and jitter are more than %llus together; shorten one",
                        (unsigned long long)(WEIR_HOLD_MAX_US / WEIR_US_PER_S));
  }
  warn_times(b, section, pool);
}

static void read_breaker(struct weir_conf_builder *b, const struct weir_conf_section *pool_section,
                         struct weir_pool_config *pool)
{
  const yaml_node_t *node = weir_conf_find(pool_section, "breaker");
  struct weir_breaker_config *breaker = &pool->breaker;
  struct weir_conf_section section;
  pool->retries_pm = (uint32_t)weir_conf_number(pool_section, "retries");
  if (!weir_conf_section_open(&b->reader, node, "pools[].breaker", &section))
    return;
  breaker->is_on = weir_conf_bool(&section, "enabled");
  breaker->failures_pm = (uint32_t)weir_conf_number(&section, "failures");
  breaker->calls_min = (uint32_t)weir_conf_number(&section, "min_calls");
  breaker->window_us = weir_conf_number(&section, "window");
  breaker->open_us = weir_conf_number(&section, "open");
  breaker->open_max_us = weir_conf_number(&section, "open_max");
  breaker->probes = (uint32_t)weir_conf_number(&section, "probes");
  breaker->probe_timeout_us = weir_conf_number(&section, "probe_timeout");
  breaker->ramp_us = weir_conf_number(&section, "ramp");
  if (breaker->open_max_us < breaker->open_us) {
    const yaml_node_t *most = weir_conf_find(&section, "open_max");
    weir_conf_issue_add(b->reader.issues, false,
                        most != NULL ? most : weir_conf_find(&section, "open"),
                        "breaker: open_max (%llums) is below open (%llums); raise it",
                        (unsigned long long)(breaker->open_max_us / WEIR_US_PER_MS),
                        (unsigned long long)(breaker->open_us / WEIR_US_PER_MS));
  }
}

/* What a part is out of must be known to instances: limits of the pool alone, with windows. Tenants
 * of all pools, and those of |place|, have been read. */
static const char *island_obstacle(const struct weir_conf *conf, uint32_t place)
{
  const struct weir_pool_config *pool = &conf->pools[place];
  if (pool->budgets_count > 0)
    return "the pool has budgets, which other pools spend too";
  for (uint32_t i = 0; i < pool->limits_count; i++) {
    if (pool->limits[i].dimension == WEIR_DIMENSION_IN_FLIGHT && !pool->limits[i].is_shadow)
      return "the pool limits calls in flight, which only the coordinator can count";
  }
  for (uint32_t i = 0; i < conf->coord.tenants_count; i++) {
    const struct weir_tenant_config *tenant = &conf->tenants[i];
    if (tenant->budget != WEIR_BUDGET_NONE &&
        (tenant->pool == WEIR_POOL_ANY || tenant->pool == place))
      return "a tenant in the pool has limits of its own, which only the coordinator can keep";
  }
  return NULL;
}

static void read_island(struct weir_conf_builder *b, const struct weir_conf_section *pool_section,
                        uint32_t place)
{
  struct weir_pool_config *pool = &b->conf->pools[place];
  const yaml_node_t *node = weir_conf_find(pool_section, "island");
  struct weir_conf_section section;
  struct weir_msg_island parts;
  if (!weir_conf_section_open(&b->reader, node, "pools[].island", &section))
    return;
  pool->island.share_pm = (uint32_t)weir_conf_number(&section, "share");
  pool->island.places = (uint32_t)weir_conf_number(&section, "places");
  pool->island.for_us = weir_conf_number(&section, "for");
  if (pool->island.share_pm == 0)
    return;
  const char *obstacle = island_obstacle(b->conf, place);
  if (obstacle != NULL)
    weir_conf_issue_add(b->reader.issues, false, node, "island cannot be kept: %s; remove it",
                        obstacle);
  else if (!weir_island_parts(pool, pool->rules.profile, &parts))
    weir_conf_issue_add(b->reader.issues, true, node,
                        "a place of the island is less than one call, so share is lost; raise it, "
                        "or lower places");
}

static void read_pool(struct weir_conf_builder *b, const yaml_node_t *node)
{
  struct weir_conf_section section;
  if (!weir_conf_section_open(&b->reader, node, "pools[]", &section))
    return;
  uint32_t place = b->conf->coord.pools_count++;
  struct weir_pool_config *pool = &b->conf->pools[place];
  if (weir_conf_text(&section, "name", pool->name, sizeof pool->name))
    weir_conf_name_check(b, weir_conf_find(&section, "name"), "the pool's name", pool->name, "._-");

  char name[WEIR_POOL_NAME_SIZE] = "";
  const struct weir_conf_provider *provider = NULL;
  if (weir_conf_text(&section, "provider", name, sizeof name)) {
    provider = weir_conf_provider_find(b, name, strlen(name));
    if (provider == NULL)
      weir_conf_issue_add(b->reader.issues, false, weir_conf_find(&section, "provider"),
                          "unknown provider '%s'; add it under providers: %s: {kind: ...}", name,
                          name);
  }
  read_models(b, &section, name, place);
  read_quota(b, &section, provider, place);
  read_times(b, &section, pool);
  read_classes(b, &section, pool);
  read_breaker(b, &section, pool);
  read_island(b, &section, place);
  pool->without = (enum weir_without)(weir_conf_word(&section, "without_coordinator") + 1);
}

static void read_pools(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  const yaml_node_t *node = weir_conf_need(top, "pools");
  if (node == NULL)
    return;
  if (node->type != YAML_SEQUENCE_NODE) {
    weir_conf_issue_add(b->reader.issues, false, node,
                        "pools must be a list; begin each pool with '- name: ...'");
    return;
  }
  size_t count = weir_conf_items(node);
  if (count == 0)
    weir_conf_issue_add(b->reader.issues, false, node,
                        "pools is empty; there must be at least one");
  for (size_t i = 0; i < count; i++) {
    const yaml_node_t *item = weir_conf_item(&b->reader, node, i);
    if (i == b->conf->bounds.pools_max) {
      weir_conf_issue_add(b->reader.issues, false, item,
                          "there are %zu pools, bounds.pools allows %u; raise it or remove pools",
                          count, (unsigned)b->conf->bounds.pools_max);
      return;
    }
    read_pool(b, item);
  }
}

void weir_conf_read_pools(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  read_providers(b, top);
  weir_conf_read_budgets(b, top);
  read_pools(b, top);
  weir_conf_finish_budgets(b);
  weir_conf_read_routes(b, top);
}
