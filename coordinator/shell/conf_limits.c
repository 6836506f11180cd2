#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <weir/hash.h>

#include "conf_build.h"

#define ZONE_FOLDER "/usr/share/zoneinfo"
#define MONTH_US    (UINT64_C(31) * 24 * WEIR_US_PER_HOUR)

/* ---- time zones ---- */

bool weir_conf_zone_check(struct weir_conf_builder *b, const yaml_node_t *node, const char *zone)
{
  char path[sizeof ZONE_FOLDER + 1 + WEIR_CONF_ZONE_SIZE];
  struct stat status;
  if (!weir_conf_name_check(b, node, "the time zone", zone, "/_+-"))
    return false;
  snprintf(path, sizeof path, "%s/%s", ZONE_FOLDER, zone);
  if (strcmp(zone, "UTC") == 0 ||
      (zone[0] != '/' && stat(path, &status) == 0 && S_ISREG(status.st_mode)))
    return true;
  weir_conf_issue_add(b->reader.issues, false, node,
                      "there is no time zone '%s' in " ZONE_FOLDER "; write one such as "
                      "America/Los_Angeles or UTC, or install the package tzdata",
                      zone);
  return false;
}

void weir_conf_zone_read(struct weir_conf_builder *b, const struct weir_conf_section *section,
                         const char *key, char *ret_zone)
{
  const yaml_node_t *node = weir_conf_find(section, key);
  if (!weir_conf_text(section, key, ret_zone, WEIR_CONF_ZONE_SIZE) ||
      (node != NULL && !weir_conf_zone_check(b, node, ret_zone)))
    ret_zone[0] = '\0';
}

/* Places may change with a reload, a zone's number does not. */
static uint64_t zone_id(const char *zone)
{
  return weir_hash_text(zone, 0);
}

/* Returns the place of |zone| among those in use, where it is put if need be. */
static uint32_t zone_place(struct weir_conf_builder *b, const yaml_node_t *node, const char *zone)
{
  struct weir_conf *conf = b->conf;
  for (uint32_t i = 0; i < conf->zones_count; i++) {
    if (strcmp(conf->zones[i], zone) == 0)
      return i;
  }
  /* That of a provider's kind was not checked when the file was read. */
  if (!weir_conf_zone_check(b, node, zone))
    return 0;
  if (conf->zones_count == WEIR_ZONES_MAX) {
    weir_conf_issue_add(b->reader.issues, false, node,
                        "days of more than %d time zones are limited, %s is one too many; use "
                        "fewer zones, or limit any 25h instead of a day",
                        WEIR_ZONES_MAX, zone);
    return 0;
  }
  memcpy(conf->zones[conf->zones_count], zone, strlen(zone) + 1);
  return conf->zones_count++;
}

/* ---- limits ---- */

static void limit_set_day(struct weir_conf_builder *b, const yaml_node_t *node,
                          const struct weir_conf_scope *scope, struct weir_limit_config *limit)
{
  limit->window_us = scope->day_us;
  if (scope->zone[0] == '\0')
    return;
  limit->window_us = WEIR_DAY_WINDOW_US;
  limit->is_day = true;
  limit->zone = zone_place(b, node, scope->zone);
  limit->zone_id = zone_id(scope->zone);
}

static bool is_tokens(enum weir_dimension dimension)
{
  return dimension == WEIR_DIMENSION_INPUT_TOKENS || dimension == WEIR_DIMENSION_OUTPUT_TOKENS ||
         dimension == WEIR_DIMENSION_TOTAL_TOKENS;
}

static void limit_add(struct weir_conf_builder *b, const yaml_node_t *node,
                      const struct weir_conf_scope *scope, struct weir_limit_config *limit,
                      struct weir_limit_config *limits, uint32_t *count)
{
  limit->is_prepaid = scope->is_prepaid && is_tokens(limit->dimension);
  for (uint32_t i = 0; i < *count; i++) {
    if (limits[i].dimension != limit->dimension || limits[i].window_us != limit->window_us)
      continue;
    weir_conf_issue_add(b->reader.issues, false, node,
                        "%s are limited twice over the same window; keep the smaller amount",
                        limit->dimension == WEIR_DIMENSION_IN_FLIGHT
                            ? "calls in flight"
                            : weir_dimension_name(limit->dimension));
    return;
  }
  if (*count == WEIR_LIMITS_MAX) {
    weir_conf_issue_add(b->reader.issues, false, node, "%s has at most %d limits; remove some",
                        scope->owner, WEIR_LIMITS_MAX);
    return;
  }
  limits[(*count)++] = *limit;
}

/* A short key of a map of limits. */
static const struct form {
  const char *key;
  weir_duration window_us;
  enum weir_dimension dimension; /* 0: the tokens of the scope */
  bool is_day;
} forms[] = {{"rpm", WEIR_US_PER_MIN, WEIR_DIMENSION_REQUESTS, false},
             {"tpm", WEIR_US_PER_MIN, 0, false},
             {"itpm", WEIR_US_PER_MIN, WEIR_DIMENSION_INPUT_TOKENS, false},
             {"otpm", WEIR_US_PER_MIN, WEIR_DIMENSION_OUTPUT_TOKENS, false},
             {"rpd", 0, WEIR_DIMENSION_REQUESTS, true},
             {"tpd", 0, 0, true},
             {"in_flight", 0, WEIR_DIMENSION_IN_FLIGHT, false},
             {"spend_day", 0, WEIR_DIMENSION_SPEND, true},
             {"spend_month", MONTH_US, WEIR_DIMENSION_SPEND, false}};

static void read_map(struct weir_conf_builder *b, const yaml_node_t *node,
                     const struct weir_conf_scope *scope, struct weir_limit_config *limits,
                     uint32_t *count)
{
  struct weir_conf_section section;
  if (!weir_conf_section_open(&b->reader, node, "pools[].limits", &section))
    return;
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    const struct form *form = &forms[i];
    const yaml_node_t *value = weir_conf_find(&section, form->key);
    if (value == NULL)
      continue;
    struct weir_limit_config limit = {.dimension =
                                          form->dimension == 0 ? scope->tokens : form->dimension,
                                      .window_us = form->window_us,
                                      .amount = weir_conf_number(&section, form->key)};
    if (limit.dimension == 0) {
      weir_conf_issue_add(b->reader.issues, false, value,
                          "%s: anthropic limits input and output tokens apart; write itpm and otpm",
                          form->key);
      continue;
    }
    if (form->is_day)
      limit_set_day(b, value, scope, &limit);
    limit_add(b, value, scope, &limit, limits, count);
  }
}

static void read_window(struct weir_conf_builder *b, const struct weir_conf_section *section,
                        const struct weir_conf_scope *scope, struct weir_limit_config *limit)
{
  const yaml_node_t *node = weir_conf_find(section, "window");
  if (limit->dimension == WEIR_DIMENSION_IN_FLIGHT) {
    if (node != NULL)
      weir_conf_issue_add(b->reader.issues, false, node,
                          "window: calls in flight are counted at every instant, not over a "
                          "window; remove it");
    return;
  }
  node = weir_conf_need(section, "window");
  if (node != NULL && weir_conf_is_word(node, "day"))
    limit_set_day(b, node, scope, limit);
  else if (node != NULL)
    limit->window_us = weir_conf_number(section, "window");
}

static void read_burst(struct weir_conf_builder *b, const struct weir_conf_section *section,
                       const char *like, struct weir_limit_config *limit)
{
  const yaml_node_t *node = weir_conf_find(section, "burst");
  if (node == NULL)
    return;
  limit->burst = weir_conf_number_like(section, "burst", like);
  if (limit->dimension == WEIR_DIMENSION_IN_FLIGHT)
    weir_conf_issue_add(b->reader.issues, false, node,
                        "burst: calls in flight have no bucket; remove it");
  else if (limit->amount > 0 && limit->burst > limit->amount)
    weir_conf_issue_add(b->reader.issues, false, node,
                        "burst is above amount, which no window may exceed; write at most the "
                        "amount");
}

static void read_item(struct weir_conf_builder *b, const yaml_node_t *item,
                      const struct weir_conf_scope *scope, struct weir_limit_config *limits,
                      uint32_t *count)
{
  struct weir_conf_section section;
  if (!weir_conf_section_open(&b->reader, item, "pools[].limits[]", &section))
    return;
  struct weir_limit_config limit = {
      .dimension = (enum weir_dimension)(weir_conf_word(&section, "dimension") + 1)};
  const char *like = limit.dimension == WEIR_DIMENSION_SPEND ? "pools[].limits.spend_day"
                                                             : "pools[].limits[].amount";
  read_window(b, &section, scope, &limit);
  limit.amount = weir_conf_number_like(&section, "amount", like);
  read_burst(b, &section, like, &limit);
  limit.is_shadow = weir_conf_word(&section, "mode") == 1;
  if (limit.dimension != 0)
    limit_add(b, item, scope, &limit, limits, count);
}

void weir_conf_limits_read(struct weir_conf_builder *b, const yaml_node_t *node,
                           const struct weir_conf_scope *scope, struct weir_limit_config *limits,
                           uint32_t *count)
{
  uint32_t errors = b->reader.issues->errors;
  if (node->type == YAML_SCALAR_NODE) {
    weir_conf_issue_add(b->reader.issues, false, node,
                        "limits must be a map or a list; write such as {rpm: 1000}");
    return;
  }
  if (node->type == YAML_SEQUENCE_NODE) {
    for (size_t i = 0; i < weir_conf_items(node); i++)
      read_item(b, weir_conf_item(&b->reader, node, i), scope, limits, count);
  } else {
    read_map(b, node, scope, limits, count);
  }
  if (*count == 0 && b->reader.issues->errors == errors)
    weir_conf_issue_add(b->reader.issues, false, node,
                        "limits is empty; write at least one, such as {rpm: 1000}");
}

bool weir_conf_limits_spend(const struct weir_limit_config *limits, uint32_t count)
{
  for (uint32_t i = 0; i < count; i++) {
    if (limits[i].dimension == WEIR_DIMENSION_SPEND)
      return true;
  }
  return false;
}
