#include <stdio.h>
#include <string.h>

#include "conf_build.h"

#define ROUTE_ENTRIES_MAX 32

/* |what| names the thing in messages; |extra| are the marks allowed beside letters and digits. */
static bool check_name(struct weir_conf_builder *b, const yaml_node_t *node, const char *what,
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

static const struct weir_conf_provider *provider_find(const struct weir_conf_builder *b,
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
      !check_name(b, key, "the provider's name", provider->name, "._-"))
    return;
  b->conf->providers_count++;
  provider->kind = WEIR_CONF_KIND_UNKNOWN;
  if (!weir_conf_section_open(&b->reader, value, "providers.*", &section))
    return;
  int kind = weir_conf_word(&section, "kind");
  if (kind >= 0)
    provider->kind = (enum weir_conf_kind)kind;
  char zone[WEIR_NAME_SIZE];
  if (weir_conf_text(&section, "day_reset", zone, sizeof zone))
    check_name(b, weir_conf_find(&section, "day_reset"), "the time zone", zone, "/_+-");
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

static uint32_t name_find(const struct weir_conf *conf, const char *name)
{
  uint32_t place = 0;
  while (place < conf->coord.names_count && strcmp(conf->names[place].name, name) != 0)
    place++;
  return place;
}

/* Returns the new entry, or NULL and an issue. */
static struct weir_name_config *name_add(struct weir_conf_builder *b, const yaml_node_t *node,
                                         const char *name, const char *model, uint32_t pool)
{
  struct weir_conf *conf = b->conf;
  uint32_t place = name_find(conf, name);
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

/* ---- limits ---- */

static void limit_add(struct weir_conf_builder *b, struct weir_pool_config *pool,
                      const yaml_node_t *node, const struct weir_limit_config *limit)
{
  for (uint32_t i = 0; i < pool->limits_count; i++) {
    if (pool->limits[i].dimension == limit->dimension &&
        pool->limits[i].window_us == limit->window_us) {
      weir_conf_issue_add(b->reader.issues, false, node,
                          "%s are limited twice over the same window; keep the smaller amount",
                          weir_dimension_name(limit->dimension));
      return;
    }
  }
  if (pool->limits_count == WEIR_LIMITS_MAX) {
    weir_conf_issue_add(b->reader.issues, false, node, "a pool has at most %d limits; remove some",
                        WEIR_LIMITS_MAX);
    return;
  }
  pool->limits[pool->limits_count++] = *limit;
}

/* What "tokens" means to a provider (docs/PROVIDERS.md). */
static enum weir_dimension tokens_of(enum weir_conf_kind kind)
{
  return kind == WEIR_CONF_KIND_GEMINI || kind == WEIR_CONF_KIND_VERTEX
             ? WEIR_DIMENSION_INPUT_TOKENS
             : WEIR_DIMENSION_TOTAL_TOKENS;
}

static void read_short_limits(struct weir_conf_builder *b, const yaml_node_t *node,
                              enum weir_conf_kind kind, struct weir_pool_config *pool)
{
  const struct {
    const char *key;
    enum weir_dimension dimension;
    weir_duration window_us;
  } forms[] = {{"rpm", WEIR_DIMENSION_REQUESTS, WEIR_US_PER_MIN},
               {"tpm", tokens_of(kind), WEIR_US_PER_MIN},
               {"itpm", WEIR_DIMENSION_INPUT_TOKENS, WEIR_US_PER_MIN},
               {"otpm", WEIR_DIMENSION_OUTPUT_TOKENS, WEIR_US_PER_MIN},
               {"rpd", WEIR_DIMENSION_REQUESTS, WEIR_DAY_WINDOW_US},
               {"tpd", tokens_of(kind), WEIR_DAY_WINDOW_US}};
  struct weir_conf_section section;
  if (!weir_conf_section_open(&b->reader, node, "pools[].limits", &section))
    return;
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    const yaml_node_t *value = weir_conf_find(&section, forms[i].key);
    if (value == NULL)
      continue;
    if (kind == WEIR_CONF_KIND_ANTHROPIC && forms[i].key[0] == 't') {
      weir_conf_issue_add(b->reader.issues, false, value,
                          "%s: anthropic limits input and output tokens apart; write itpm and otpm",
                          forms[i].key);
      continue;
    }
    struct weir_limit_config limit = {.dimension = forms[i].dimension,
                                      .window_us = forms[i].window_us,
                                      .amount = weir_conf_number(&section, forms[i].key)};
    limit_add(b, pool, value, &limit);
  }
}

static void read_limits(struct weir_conf_builder *b, const struct weir_conf_section *pool_section,
                        enum weir_conf_kind kind, struct weir_pool_config *pool)
{
  const yaml_node_t *node = weir_conf_need(pool_section, "limits");
  if (node == NULL)
    return;
  uint32_t errors = b->reader.issues->errors;
  if (node->type != YAML_SEQUENCE_NODE) {
    read_short_limits(b, node, kind, pool);
  } else {
    for (size_t i = 0; i < weir_conf_items(node); i++) {
      const yaml_node_t *item = weir_conf_item(&b->reader, node, i);
      struct weir_conf_section section;
      if (!weir_conf_section_open(&b->reader, item, "pools[].limits[]", &section))
        continue;
      struct weir_limit_config limit = {
          .dimension = (enum weir_dimension)(weir_conf_word(&section, "dimension") + 1),
          .window_us = weir_conf_number(&section, "window"),
          .amount = weir_conf_number(&section, "amount")};
      limit_add(b, pool, item, &limit);
    }
  }
  if (pool->limits_count == 0 && b->reader.issues->errors == errors)
    weir_conf_issue_add(b->reader.issues, false, node,
                        "limits is empty; write at least one, such as {rpm: 1000}");
}

/* ---- pools ---- */

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
    own = name_add(b, weir_conf_find(section, "name"), pool_name, "", pool);
  for (size_t i = 0; i < weir_conf_items(node); i++) {
    const yaml_node_t *item = weir_conf_item(&b->reader, node, i);
    char model[WEIR_NAME_SIZE], full[2 * WEIR_NAME_SIZE];
    if (!weir_conf_node_text(&b->reader, item, "models", model, sizeof model) ||
        !check_name(b, item, "the model", model, "._-/:@+"))
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
    name_add(b, item, full, full, pool);
  }
}

static void read_pool(struct weir_conf_builder *b, const yaml_node_t *node)
{
  struct weir_conf_section section;
  if (!weir_conf_section_open(&b->reader, node, "pools[]", &section))
    return;
  uint32_t place = b->conf->coord.pools_count++;
  struct weir_pool_config *pool = &b->conf->pools[place];
  if (weir_conf_text(&section, "name", pool->name, sizeof pool->name))
    check_name(b, weir_conf_find(&section, "name"), "the pool's name", pool->name, "._-");

  char name[WEIR_POOL_NAME_SIZE] = "";
  enum weir_conf_kind kind = WEIR_CONF_KIND_UNKNOWN;
  if (weir_conf_text(&section, "provider", name, sizeof name)) {
    const struct weir_conf_provider *provider = provider_find(b, name, strlen(name));
    if (provider == NULL)
      weir_conf_issue_add(b->reader.issues, false, weir_conf_find(&section, "provider"),
                          "unknown provider '%s'; add it under providers: %s: {kind: ...}", name,
                          name);
    else
      kind = provider->kind;
  }
  read_models(b, &section, name, place);
  read_limits(b, &section, kind, pool);
  pool->ttl_us = weir_conf_number(&section, "lease_ttl");
  pool->jitter_us = weir_conf_number(&section, "jitter");
  if (pool->ttl_us + pool->jitter_us > WEIR_HOLD_MAX_US) {
    const yaml_node_t *ttl = weir_conf_find(&section, "lease_ttl");
    weir_conf_issue_add(b->reader.issues, false,
                        ttl != NULL ? ttl : weir_conf_find(&section, "jitter"),
                        "lease_ttl and jitter are more than %llus together; shorten one",
                        (unsigned long long)(WEIR_HOLD_MAX_US / WEIR_US_PER_S));
  }
  read_classes(b, &section, pool);
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

/* ---- routes ---- */

/* The first entry that has a pool decides; the others are checked for typing errors. */
static void read_route(struct weir_conf_builder *b, const yaml_node_t *key,
                       const yaml_node_t *value)
{
  struct weir_conf *conf = b->conf;
  struct weir_conf_issues *issues = b->reader.issues;
  char alias[WEIR_NAME_SIZE], entry[WEIR_NAME_SIZE];
  if (!weir_conf_node_text(&b->reader, key, "a route's name", alias, sizeof alias) ||
      !check_name(b, key, "the route's name", alias, "._-"))
    return;
  if (weir_conf_items(value) > ROUTE_ENTRIES_MAX) {
    weir_conf_issue_add(issues, false, value, "a route has at most %d entries; remove some",
                        ROUTE_ENTRIES_MAX);
    return;
  }
  uint32_t chosen = WEIR_CONF_NAMES_MAX, errors = issues->errors;
  for (size_t i = 0; i < weir_conf_items(value); i++) {
    const yaml_node_t *item = weir_conf_item(&b->reader, value, i);
    if (!weir_conf_node_text(&b->reader, item, "routes", entry, sizeof entry))
      continue;
    const char *slash = strchr(entry, '/');
    uint32_t place = name_find(conf, entry);
    if (slash == NULL)
      weir_conf_issue_add(issues, false, item, "'%s' is no provider/model; write both", entry);
    else if (place < conf->coord.names_count) {
      if (chosen == WEIR_CONF_NAMES_MAX)
        chosen = place;
    } else if (provider_find(b, entry, (size_t)(slash - entry)) == NULL)
      weir_conf_issue_add(issues, true, item,
                          "'%s' names an unknown provider and is passed over; add the provider and "
                          "a pool for it, or remove it",
                          entry);
    else
      weir_conf_issue_add(issues, true, item,
                          "'%s' has no pool and is passed over; add it to the models of a pool, or "
                          "remove it",
                          entry);
  }
  if (chosen < WEIR_CONF_NAMES_MAX) {
    name_add(b, key, alias, conf->names[chosen].model, conf->names[chosen].pool);
    conf->routes_count++;
  } else if (issues->errors == errors)
    weir_conf_issue_add(issues, false, key,
                        "the route '%s' leads to no pool; name a provider/model of a pool", alias);
}

static void read_routes(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  struct weir_conf_section section;
  const yaml_node_t *node = weir_conf_find(top, "routes");
  if (node == NULL || !weir_conf_section_open(&b->reader, node, "routes", &section))
    return;
  for (size_t i = 0; i < weir_conf_pairs(node); i++) {
    const yaml_node_t *key = NULL, *value = NULL;
    if (weir_conf_pair(&b->reader, node, i, &key, &value))
      read_route(b, key, value);
  }
}

void weir_conf_read_pools(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  read_providers(b, top);
  read_pools(b, top);
  read_routes(b, top);
}
