/* conf_build.h - what the files that turn a document into a struct weir_conf share.
 *
 *   conf.c          the file, and the keys at its top
 *   conf_pools.c    providers, pools and names
 *   conf_routes.c   routes
 *   conf_limits.c   limits of all of them, and the time zones of days
 *   conf_budgets.c  shared budgets and tenants
 */
#ifndef WEIR_CONF_BUILD_H
#define WEIR_CONF_BUILD_H

#include <weir/conf.h>
#include <weir/conf_read.h>

/* In the order of the words of providers.*.kind. */
enum weir_conf_kind {
  WEIR_CONF_KIND_GEMINI = 0,
  WEIR_CONF_KIND_OPENAI,
  WEIR_CONF_KIND_ANTHROPIC,
  WEIR_CONF_KIND_VERTEX,
  WEIR_CONF_KIND_COMPATIBLE,
  WEIR_CONF_KIND_UNKNOWN /* its kind is missing or misspelt, which is reported where it stands */
};

struct weir_conf_provider {
  char name[WEIR_POOL_NAME_SIZE];
  enum weir_conf_kind kind;
  char zone[WEIR_CONF_ZONE_SIZE]; /* day_reset; "" when it is not given */
};

#define WEIR_CONF_ERROR_PM 100 /* estimate_error of budgets: the default of pools */

/* What limits mean to whom they belong. */
struct weir_conf_scope {
  const char *owner;          /* "a pool", for messages */
  enum weir_dimension tokens; /* what tpm counts; 0: input and output are limited apart */
  const char *zone;           /* whose calendar day "day" is; "": any |day_us| */
  weir_duration day_us;
  bool is_prepaid; /* the provider charges token limits by the estimate */
};

/* What the walk needs beside the result. */
struct weir_conf_builder {
  struct weir_conf_reader reader;
  struct weir_conf *conf;
  uint32_t lines[WEIR_CONF_NAMES_MAX]; /* where each name was given */
  struct weir_conf_provider providers[WEIR_CONF_PROVIDERS_MAX];
  const yaml_node_t *budget_nodes[WEIR_CONF_BUDGETS_MAX]; /* where each was named */
  uint32_t shared_count;                                  /* budgets that pools may name */
};

/* weir_conf_read_pools reads providers, budgets, tenants, pools and routes of the section |top|
 * into b->conf. */
void weir_conf_read_pools(struct weir_conf_builder *b, const struct weir_conf_section *top);

/* weir_conf_read_routes reads routes of the section |top|. Precondition: pools were read. */
void weir_conf_read_routes(struct weir_conf_builder *b, const struct weir_conf_section *top);

/* weir_conf_provider_find returns the provider |name| of |size| bytes, or NULL. */
const struct weir_conf_provider *weir_conf_provider_find(const struct weir_conf_builder *b,
                                                         const char *name, size_t size);

/* weir_conf_name_find returns the place of |name| among the names; their count when it is none. */
uint32_t weir_conf_name_find(const struct weir_conf *conf, const char *name);

/* weir_conf_name_add adds |name|, given at |node|, for |model| in |pool| (an index). Returns the
 * new entry, or NULL and an issue when the name is taken or there are too many. */
struct weir_name_config *weir_conf_name_add(struct weir_conf_builder *b, const yaml_node_t *node,
                                            const char *name, const char *model, uint32_t pool);

/* weir_conf_name_check reports a character of |name| that is neither a letter, a digit, nor one of
 * |extra|, and returns whether there was none; |what| names the thing in the message. */
bool weir_conf_name_check(struct weir_conf_builder *b, const yaml_node_t *node, const char *what,
                          const char *name, const char *extra);

/* weir_conf_zone_check reports a time zone that the system does not know; true when it does. */
bool weir_conf_zone_check(struct weir_conf_builder *b, const yaml_node_t *node, const char *zone);

/* weir_conf_zone_read copies the time zone |key| of the section, or its fallback, to |ret_zone| of
 * WEIR_CONF_ZONE_SIZE bytes; "" when there is none, or it is not valid (reported). */
void weir_conf_zone_read(struct weir_conf_builder *b, const struct weir_conf_section *section,
                         const char *key, char *ret_zone);

/* weir_conf_limits_read reads |node|, a map of short keys or a list, into |limits| of
 * WEIR_LIMITS_MAX and their |count|; |scope| says what they mean. */
void weir_conf_limits_read(struct weir_conf_builder *b, const yaml_node_t *node,
                           const struct weir_conf_scope *scope, struct weir_limit_config *limits,
                           uint32_t *count);

/* weir_conf_limits_spend tells whether one of |count| limits is of money. */
bool weir_conf_limits_spend(const struct weir_limit_config *limits, uint32_t count);

/* weir_conf_read_budgets reads budgets of the section |top|, and then the tenants of all pools. */
void weir_conf_read_budgets(struct weir_conf_builder *b, const struct weir_conf_section *top);

/* weir_conf_read_pool_budgets reads budgets and tenants of pool number |place|, whose section is
 * |pool| and whose limits mean what |scope| says. Precondition: its price was read. */
void weir_conf_read_pool_budgets(struct weir_conf_builder *b, const struct weir_conf_section *pool,
                                 const struct weir_conf_scope *scope, uint32_t place);

/* weir_conf_finish_budgets checks budgets and tenants against all pools, and sorts the tenants. */
void weir_conf_finish_budgets(struct weir_conf_builder *b);

#endif
