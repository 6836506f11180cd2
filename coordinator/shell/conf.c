#include <weir/conf.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_read.h"

#define IPC_PATH_MAX      107 /* sun_path, less the NUL */
#define DEPTH_MAX         32
#define ROUTE_ENTRIES_MAX 32

/* In the order of the words of providers.*.kind. */
enum provider_kind {
  PROVIDER_GEMINI = 0,
  PROVIDER_OPENAI,
  PROVIDER_ANTHROPIC,
  PROVIDER_VERTEX,
  PROVIDER_COMPATIBLE,
  PROVIDER_UNKNOWN /* its kind is missing or misspelt, which is reported where it stands */
};

struct provider {
  char name[WEIR_POOL_NAME_SIZE];
  enum provider_kind kind;
};

/* What the walk needs beside the result. */
struct builder {
  struct weir_conf_reader reader;
  struct weir_conf *conf;
  uint32_t lines[WEIR_CONF_NAMES_MAX]; /* where each name was given */
  struct provider providers[WEIR_CONF_PROVIDERS_MAX];
};

/* |what| names the thing in messages; |extra| are the marks allowed beside letters and digits. */
static bool check_name(struct builder *b, const yaml_node_t *node, const char *what,
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

/* ---- top level ---- */

static bool is_loopback(const char *address)
{
  return strncmp(address, "127.0.0.1:", 10) == 0 || strncmp(address, "[::1]:", 6) == 0;
}

static bool is_port(const char *text)
{
  if (strcmp(text, "*") == 0)
    return true; /* the system chooses one */
  size_t length = strspn(text, "0123456789");
  return length >= 1 && length <= 5 && text[length] == '\0' && atol(text) >= 1 &&
         atol(text) <= 65535;
}

static void check_endpoint(struct builder *b, const yaml_node_t *node, const char *endpoint,
                           bool is_insecure)
{
  struct weir_conf_issues *issues = b->reader.issues;
  if (strncmp(endpoint, "ipc://", 6) == 0) {
    size_t length = strlen(endpoint + 6);
    if (endpoint[6] != '/')
      weir_conf_issue_add(issues, false, node,
                          "listen: %.60s is not an absolute path; write ipc:///run/weir/weir.sock",
                          endpoint);
    else if (length > IPC_PATH_MAX)
      weir_conf_issue_add(issues, false, node,
                          "listen: the path is %zu bytes long, the system allows %d; choose a "
                          "shorter one",
                          length, IPC_PATH_MAX);
    return;
  }
  if (strncmp(endpoint, "tcp://", 6) != 0) {
    weir_conf_issue_add(issues, false, node,
                        "listen: %.60s is no endpoint; write ipc:///path or tcp://127.0.0.1:port",
                        endpoint);
    return;
  }
  const char *colon = strrchr(endpoint, ':');
  if (colon == endpoint + 3 || !is_port(colon + 1))
    weir_conf_issue_add(issues, false, node,
                        "listen: %.60s has no valid port; write tcp://127.0.0.1:7447", endpoint);
  else if (!is_loopback(endpoint + 6))
    weir_conf_issue_add(issues, false, node,
                        "listen: %.60s would let anybody on the network in, because keys (CURVE) "
                        "come with a later version; use ipc:///path, or tcp://127.0.0.1:port with "
                        "insecure: true",
                        endpoint);
  else if (!is_insecure)
    weir_conf_issue_add(
        issues, false, node,
        "listen: TCP without keys lets every user of this machine in, and keys "
        "(CURVE) come with a later version; use ipc:///path, or add insecure: true");
}

static void read_listen(struct builder *b, const struct weir_conf_section *top)
{
  struct weir_conf *conf = b->conf;
  bool is_insecure = weir_conf_bool(top, "insecure");
  const yaml_node_t *node = weir_conf_find(top, "listen");
  if (node == NULL) {
    conf->listen_count =
        weir_conf_text(top, "listen", conf->listen[0], sizeof conf->listen[0]) ? 1 : 0;
    return;
  }
  size_t count = weir_conf_items(node);
  if (count < 1 || count > WEIR_CONF_LISTEN_MAX) {
    weir_conf_issue_add(b->reader.issues, false, node,
                        "listen has %zu endpoints; give 1 to %d of them", count,
                        WEIR_CONF_LISTEN_MAX);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    const yaml_node_t *item = weir_conf_item(&b->reader, node, i);
    char *endpoint = conf->listen[conf->listen_count];
    if (!weir_conf_node_text(&b->reader, item, "listen", endpoint, sizeof conf->listen[0]))
      continue;
    check_endpoint(b, item, endpoint, is_insecure);
    conf->listen_count++;
  }
}

static void read_top(struct builder *b, const struct weir_conf_section *top)
{
  struct weir_conf *conf = b->conf;
  read_listen(b, top);
  if (!weir_conf_text(top, "state", conf->state, sizeof conf->state))
    conf->state[0] = '\0';

  struct weir_conf_section section;
  if (weir_conf_section_open(&b->reader, weir_conf_find(top, "log"), "log", &section)) {
    conf->log_level = (enum weir_log_level)(weir_conf_word(&section, "level") + 1);
    conf->log_format = (enum weir_log_format)(weir_conf_word(&section, "format") + 1);
  }

  conf->coord.heartbeat_us = weir_conf_number(top, "heartbeat");
  conf->coord.session_ttl_us = weir_conf_number(top, "session_ttl");
  if (conf->coord.session_ttl_us <= conf->coord.heartbeat_us) {
    const yaml_node_t *node = weir_conf_find(top, "session_ttl");
    weir_conf_issue_add(b->reader.issues, false,
                        node != NULL ? node : weir_conf_find(top, "heartbeat"),
                        "session_ttl is not above heartbeat, so every session would end; make it "
                        "about three times as long");
  }
  conf->coord.asks_max = (uint32_t)weir_conf_number(top, "asks_per_session");

  if (weir_conf_section_open(&b->reader, weir_conf_find(top, "bounds"), "bounds", &section)) {
    conf->bounds.pools_max = (uint32_t)weir_conf_number(&section, "pools");
    conf->bounds.sessions_max = (uint32_t)weir_conf_number(&section, "sessions");
    conf->bounds.asks_max = (uint32_t)weir_conf_number(&section, "asks");
    conf->bounds.leases_max = (uint32_t)weir_conf_number(&section, "leases");
  }
  conf->bounds.names_max = WEIR_CONF_NAMES_MAX;
}

/* ---- providers ---- */

static const struct provider *provider_find(const struct builder *b, const char *name, size_t size)
{
  for (uint32_t i = 0; i < b->conf->providers_count; i++) {
    const struct provider *provider = &b->providers[i];
    if (strlen(provider->name) == size && memcmp(provider->name, name, size) == 0)
      return provider;
  }
  return NULL;
}

static void read_provider(struct builder *b, const yaml_node_t *key, const yaml_node_t *value)
{
  struct provider *provider = &b->providers[b->conf->providers_count];
  struct weir_conf_section section;
  if (!weir_conf_node_text(&b->reader, key, "a provider's name", provider->name,
                           sizeof provider->name) ||
      !check_name(b, key, "the provider's name", provider->name, "._-"))
    return;
  b->conf->providers_count++;
  provider->kind = PROVIDER_UNKNOWN;
  if (!weir_conf_section_open(&b->reader, value, "providers.*", &section))
    return;
  int kind = weir_conf_word(&section, "kind");
  if (kind >= 0)
    provider->kind = (enum provider_kind)kind;
  char zone[WEIR_NAME_SIZE];
  if (weir_conf_text(&section, "day_reset", zone, sizeof zone))
    check_name(b, weir_conf_find(&section, "day_reset"), "the time zone", zone, "/_+-");
}

static void read_providers(struct builder *b, const struct weir_conf_section *top)
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
static struct weir_name_config *name_add(struct builder *b, const yaml_node_t *node,
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

static void limit_add(struct builder *b, struct weir_pool_config *pool, const yaml_node_t *node,
                      const struct weir_limit_config *limit)
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
static enum weir_dimension tokens_of(enum provider_kind kind)
{
  return kind == PROVIDER_GEMINI || kind == PROVIDER_VERTEX ? WEIR_DIMENSION_INPUT_TOKENS
                                                            : WEIR_DIMENSION_TOTAL_TOKENS;
}

static void read_short_limits(struct builder *b, const yaml_node_t *node, enum provider_kind kind,
                              struct weir_pool_config *pool)
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
    if (kind == PROVIDER_ANTHROPIC && forms[i].key[0] == 't') {
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

static void read_limits(struct builder *b, const struct weir_conf_section *pool_section,
                        enum provider_kind kind, struct weir_pool_config *pool)
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

static void read_classes(struct builder *b, const struct weir_conf_section *pool_section,
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

static void read_models(struct builder *b, const struct weir_conf_section *section,
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

static void read_pool(struct builder *b, const yaml_node_t *node)
{
  struct weir_conf_section section;
  if (!weir_conf_section_open(&b->reader, node, "pools[]", &section))
    return;
  uint32_t place = b->conf->coord.pools_count++;
  struct weir_pool_config *pool = &b->conf->pools[place];
  if (weir_conf_text(&section, "name", pool->name, sizeof pool->name))
    check_name(b, weir_conf_find(&section, "name"), "the pool's name", pool->name, "._-");

  char name[WEIR_POOL_NAME_SIZE] = "";
  enum provider_kind kind = PROVIDER_UNKNOWN;
  if (weir_conf_text(&section, "provider", name, sizeof name)) {
    const struct provider *provider = provider_find(b, name, strlen(name));
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

static void read_pools(struct builder *b, const struct weir_conf_section *top)
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
static void read_route(struct builder *b, const yaml_node_t *key, const yaml_node_t *value)
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

static void read_routes(struct builder *b, const struct weir_conf_section *top)
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

/* ---- the file ---- */

/* libyaml's own words for a tab in the indentation help nobody. */
static bool find_tab(const char *bytes, size_t size, size_t line, uint32_t *ret_column)
{
  size_t at = 0;
  for (size_t i = 0; i < line; i++) {
    const char *end = memchr(bytes + at, '\n', size - at);
    if (end == NULL)
      return false;
    at = (size_t)(end - bytes) + 1;
  }
  for (size_t i = at; i < size && (bytes[i] == ' ' || bytes[i] == '\t'); i++) {
    if (bytes[i] == '\t') {
      *ret_column = (uint32_t)(i - at) + 1;
      return true;
    }
  }
  return false;
}

static void report_syntax(struct weir_conf_issues *issues, const yaml_parser_t *parser,
                          const char *bytes, size_t size)
{
  const char *problem = parser->problem != NULL ? parser->problem : "unknown";
  uint32_t line = (uint32_t)parser->problem_mark.line + 1, column = 0;
  if (parser->error == YAML_READER_ERROR) {
    weir_conf_issue_at(issues, 0, 0, "byte %zu: %s; save the file as UTF-8 text",
                       parser->problem_offset, problem);
    return;
  }
  if (find_tab(bytes, size, parser->problem_mark.line, &column)) {
    weir_conf_issue_at(issues, line, column,
                       "a tab stands in the indentation, which YAML forbids; use spaces");
    return;
  }
  weir_conf_issue_at(issues, line, (uint32_t)parser->problem_mark.column + 1,
                     "this is not valid YAML (%s%s%s); check indentation, brackets and quotes here "
                     "and in the line before",
                     parser->context != NULL ? parser->context : "",
                     parser->context != NULL ? ": " : "", problem);
}

static void build(struct builder *b)
{
  const yaml_node_t *root = yaml_document_get_root_node(&b->reader.document);
  struct weir_conf_section top;
  if (root == NULL) {
    weir_conf_issue_at(b->reader.issues, 1, 1,
                       "the file is empty; begin with providers and pools, see "
                       "weir-coordinator --help");
    return;
  }
  if (!weir_conf_section_open(&b->reader, root, "", &top))
    return;
  read_top(b, &top);
  read_providers(b, &top);
  read_pools(b, &top);
  read_routes(b, &top);
  b->conf->coord.pools = b->conf->pools;
  b->conf->coord.names = b->conf->names;
}

/* Looks at the stream before a tree is built from it: libyaml's time grows with the square of the
 * nesting. False, and an issue, when it is not one document of valid YAML. */
static bool check_stream(struct weir_conf_issues *issues, yaml_parser_t *parser, const char *bytes,
                         size_t size)
{
  uint32_t depth = 0, documents = 0;
  yaml_event_t event;
  for (;;) {
    if (!yaml_parser_parse(parser, &event)) {
      report_syntax(issues, parser, bytes, size);
      return false;
    }
    yaml_event_type_t type = event.type;
    uint32_t line = (uint32_t)event.start_mark.line + 1;
    uint32_t column = (uint32_t)event.start_mark.column + 1;
    yaml_event_delete(&event);
    if (type == YAML_STREAM_END_EVENT)
      return true;
    if (type == YAML_DOCUMENT_START_EVENT && ++documents > 1) {
      weir_conf_issue_at(issues, line, column,
                         "a second document begins; keep one and remove this '---'");
      return false;
    }
    if (type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT)
      depth--;
    if (type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT)
      depth++;
    if (depth > DEPTH_MAX) {
      weir_conf_issue_at(issues, line, column,
                         "lists and maps are nested deeper than %d; no key needs that", DEPTH_MAX);
      return false;
    }
  }
}

static void read_document(struct builder *b, const char *bytes, size_t size)
{
  for (int pass = 0; pass < 2; pass++) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
      weir_conf_issue_at(b->reader.issues, 0, 0, "out of memory; nothing was read");
      return;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, size);
    bool is_valid = true;
    if (pass == 0) {
      is_valid = check_stream(b->reader.issues, &parser, bytes, size);
    } else if (!yaml_parser_load(&parser, &b->reader.document)) {
      report_syntax(b->reader.issues, &parser, bytes, size);
    } else {
      build(b);
      yaml_document_delete(&b->reader.document);
    }
    yaml_parser_delete(&parser);
    if (!is_valid)
      return;
  }
}

enum weir_err weir_conf_parse(const void *bytes, size_t size, struct weir_conf **ret_conf,
                              struct weir_conf_issues *ret_issues)
{
  *ret_issues = (struct weir_conf_issues){0};
  if (size > WEIR_CONF_FILE_SIZE_MAX) {
    weir_conf_issue_at(ret_issues, 0, 0,
                       "the file is larger than %d bytes; split the pools over "
                       "several coordinators",
                       WEIR_CONF_FILE_SIZE_MAX);
    return WEIR_ECONFIG;
  }
  struct builder *b = calloc(1, sizeof *b);
  struct weir_conf *conf = calloc(1, sizeof *conf);
  if (conf != NULL) {
    conf->pools = calloc(1024, sizeof *conf->pools);
    conf->names = calloc(WEIR_CONF_NAMES_MAX, sizeof *conf->names);
  }
  enum weir_err err = WEIR_ENOMEM;
  if (b != NULL && conf != NULL && conf->pools != NULL && conf->names != NULL) {
    b->conf = conf;
    b->reader.issues = ret_issues;
    read_document(b, bytes, size);
    err = ret_issues->errors > 0 ? WEIR_ECONFIG : WEIR_OK;
  }
  free(b);
  if (err == WEIR_OK)
    *ret_conf = conf;
  else
    weir_conf_free(conf);
  return err;
}

enum weir_err weir_conf_load(const char *path, struct weir_conf **ret_conf,
                             struct weir_conf_issues *ret_issues)
{
  *ret_issues = (struct weir_conf_issues){0};
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    weir_conf_issue_at(ret_issues, 0, 0, "cannot be opened (%s); name it with --config FILE",
                       strerror(errno));
    return WEIR_ECONFIG;
  }
  enum weir_err err = WEIR_ENOMEM;
  char *bytes = malloc(WEIR_CONF_FILE_SIZE_MAX + 1);
  if (bytes != NULL) {
    size_t size = fread(bytes, 1, WEIR_CONF_FILE_SIZE_MAX + 1, file);
    if (ferror(file)) {
      weir_conf_issue_at(ret_issues, 0, 0, "cannot be read (%s); give a readable file",
                         strerror(errno));
      err = WEIR_ECONFIG;
    } else {
      err = weir_conf_parse(bytes, size, ret_conf, ret_issues);
    }
  }
  free(bytes);
  fclose(file);
  return err;
}

void weir_conf_free(struct weir_conf *conf)
{
  if (conf == NULL)
    return;
  free(conf->pools);
  free(conf->names);
  free(conf);
}

void weir_conf_issue_format(const struct weir_conf_issue *issue, const char *file, char *ret_text,
                            size_t size)
{
  const char *kind = issue->is_warning ? "warning: " : "";
  if (issue->line == 0)
    snprintf(ret_text, size, "%s: %s%s", file, kind, issue->text);
  else
    snprintf(ret_text, size, "%s:%u:%u: %s%s", file, (unsigned)issue->line, (unsigned)issue->column,
             kind, issue->text);
}
