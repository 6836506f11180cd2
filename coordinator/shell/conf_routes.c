#include <stdio.h>
#include <string.h>

#include "conf_build.h"
#include <weir/conf_value.h>

#define TYPO_DISTANCE 3
#define TYPO_PART     4 /* of the letters at most this part is wrong */

/* The model that |entry| is probably meant to be, or NULL. */
static const char *model_guess(const struct weir_conf *conf, const char *entry)
{
  size_t best = TYPO_DISTANCE + 1;
  const char *guess = NULL;
  for (uint32_t i = 0; i < conf->coord.names_count; i++) {
    const char *name = conf->names[i].name;
    size_t distance = weir_conf_distance(entry, name);
    if (strchr(name, '/') != NULL && distance < best && distance <= strlen(entry) / TYPO_PART) {
      best = distance;
      guess = name;
    }
  }
  return guess;
}

/* A model without a pool is no error: the same routes may serve several coordinators. */
static void report_missing(struct weir_conf_builder *b, const yaml_node_t *node, const char *entry)
{
  struct weir_conf_issues *issues = b->reader.issues;
  const char *slash = strchr(entry, '/'), *guess = model_guess(b->conf, entry);
  if (slash == NULL)
    weir_conf_issue_add(issues, false, node, "'%s' is no provider/model; write both", entry);
  else if (guess != NULL)
    weir_conf_issue_add(issues, true, node,
                        "'%s' has no pool and is passed over; did you mean '%s'?", entry, guess);
  else if (weir_conf_provider_find(b, entry, (size_t)(slash - entry)) == NULL)
    weir_conf_issue_add(issues, true, node,
                        "'%s' names an unknown provider and is passed over; add the provider and "
                        "a pool for it, or remove it",
                        entry);
  else
    weir_conf_issue_add(issues, true, node,
                        "'%s' has no pool and is passed over; add it to the models of a pool, or "
                        "remove it",
                        entry);
}

static void read_choice(struct weir_conf_builder *b, const yaml_node_t *node,
                        struct weir_route_config *route)
{
  char entry[WEIR_NAME_SIZE];
  if (!weir_conf_node_text(&b->reader, node, "models", entry, sizeof entry))
    return;
  uint32_t place = weir_conf_name_find(b->conf, entry);
  if (strchr(entry, '/') == NULL || place == b->conf->coord.names_count) {
    report_missing(b, node, entry);
    return;
  }
  for (uint32_t i = 0; i < route->choices_count; i++) {
    if (route->choices[i] == place) {
      weir_conf_issue_add(b->reader.issues, false, node,
                          "'%s' stands in this route twice; remove one", entry);
      return;
    }
  }
  route->choices[route->choices_count++] = place;
}

/* A text or a list of them; false when no model with a pool is left, and no issue says why. */
static bool read_choices(struct weir_conf_builder *b, const yaml_node_t *node,
                         struct weir_route_config *route)
{
  if (weir_conf_items(node) > WEIR_CHOICES_MAX) {
    weir_conf_issue_add(b->reader.issues, false, node, "a route has at most %d models; remove some",
                        WEIR_CHOICES_MAX);
    return true;
  }
  uint32_t errors = b->reader.issues->errors;
  for (size_t i = 0; i < weir_conf_items(node); i++)
    read_choice(b, weir_conf_item(&b->reader, node, i), route);
  if (route->choices_count > 0)
    return true;
  return b->reader.issues->errors > errors;
}

/* The long form, a map, or the short one, the choices alone: then |section| is empty. */
static bool read_terms(struct weir_conf_builder *b, const struct weir_conf_section *section,
                       const yaml_node_t *choices, struct weir_route_config *route)
{
  struct weir_conf_section timeout;
  int policy = weir_conf_word(section, "policy");
  route->policy = policy < 0 ? WEIR_ROUTE_ORDER : (enum weir_route_policy)policy;
  route->patience_us = weir_conf_number(section, "patience");
  if (weir_conf_section_open(&b->reader, weir_conf_find(section, "timeout"), "routes.*.timeout",
                             &timeout)) {
    route->timeout_us[WEIR_CLASS_ONLINE] = weir_conf_number(&timeout, "online");
    route->timeout_us[WEIR_CLASS_BATCH] = weir_conf_number(&timeout, "batch");
  }
  if (section->node != NULL)
    choices = weir_conf_need(section, "models");
  return choices == NULL || read_choices(b, choices, route);
}

static void read_route(struct weir_conf_builder *b, const yaml_node_t *key,
                       const yaml_node_t *value)
{
  struct weir_conf *conf = b->conf;
  struct weir_route_config *route = &conf->routes[conf->coord.routes_count];
  char alias[WEIR_NAME_SIZE];
  if (!weir_conf_node_text(&b->reader, key, "a route's name", alias, sizeof alias) ||
      !weir_conf_name_check(b, key, "the route's name", alias, "._-"))
    return;
  *route = (struct weir_route_config){0};
  struct weir_conf_section section;
  bool is_map = value->type == YAML_MAPPING_NODE;
  if (!weir_conf_section_open(&b->reader, is_map ? value : NULL, "routes.*", &section))
    return;
  if (!read_terms(b, &section, value, route)) {
    weir_conf_issue_add(b->reader.issues, false, key,
                        "the route '%s' leads to no pool; name a provider/model of a pool", alias);
    return;
  }
  if (route->choices_count == 0)
    return;
  const struct weir_name_config *first = &conf->names[route->choices[0]];
  route->name = conf->coord.names_count;
  if (weir_conf_name_add(b, key, alias, first->model, first->pool) != NULL)
    conf->coord.routes_count++;
}

void weir_conf_read_routes(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  struct weir_conf_section section;
  const yaml_node_t *node = weir_conf_find(top, "routes");
  if (node == NULL || !weir_conf_section_open(&b->reader, node, "routes", &section))
    return;
  for (size_t i = 0; i < weir_conf_pairs(node); i++) {
    const yaml_node_t *key = NULL, *value = NULL;
    if (!weir_conf_pair(&b->reader, node, i, &key, &value))
      continue;
    if (b->conf->coord.routes_count == WEIR_CONF_ROUTES_MAX) {
      weir_conf_issue_add(b->reader.issues, false, key, "more than %d routes; remove some",
                          WEIR_CONF_ROUTES_MAX);
      return;
    }
    read_route(b, key, value);
  }
}
