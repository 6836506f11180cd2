/* conf.h - the coordinator's configuration file: YAML in, checked numbers or a list of issues out.
 *
 * Every key stands in one table (weir_conf_keys) with its type, range, default and meaning; the
 * reader, its error messages and docs/CONFIGURATION.md all follow it. All problems of a file are
 * reported at once, each with line, column and what to do.
 *
 * Owner: the caller owns a struct weir_conf and frees it. Threads: none shared. Blocking:
 * weir_conf_load reads a file, and both it and weir_conf_parse look for time zones in
 * /usr/share/zoneinfo.
 */
#ifndef WEIR_CONF_H
#define WEIR_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <weir/alerts.h>
#include <weir/conf_key.h>
#include <weir/config.h>
#include <weir/err.h>
#include <weir/peer.h>
#include <weir/throttle.h>

#define WEIR_CONF_POOLS_MAX     1024 /* the highest value of bounds.pools */
#define WEIR_CONF_NAMES_MAX     4096 /* pools, models and routes together */
#define WEIR_CONF_ROUTES_MAX    1024
#define WEIR_CONF_PROVIDERS_MAX 64
#define WEIR_CONF_BUDGETS_MAX   4096 /* the highest value of bounds.budgets */
#define WEIR_CONF_TENANTS_MAX   4096 /* entries of tenants and pools[].tenants */
#define WEIR_CONF_ZONE_SIZE     48   /* name of a time zone with its NUL */
#define WEIR_CONF_LIMIT_SIZE    192  /* what weir_conf_limit_format writes */
#define WEIR_CONF_LISTEN_MAX    8
#define WEIR_CONF_ENDPOINT_SIZE 128
#define WEIR_CONF_ADMIN_SIZE    64

enum weir_log_level { WEIR_LOG_ERROR = 1, WEIR_LOG_WARN, WEIR_LOG_INFO, WEIR_LOG_DEBUG };
enum weir_log_format { WEIR_LOG_LOGFMT = 1, WEIR_LOG_JSON };

struct weir_conf {
  struct weir_coord_config coord; /* refers to the arrays below */
  struct weir_coord_bounds bounds;
  struct weir_pool_config *pools;
  struct weir_name_config *names;
  struct weir_route_config *routes;
  struct weir_budget_config *budgets; /* the shared ones, then those of tenants */
  struct weir_tenant_config *tenants; /* by pool, then by name; those of all pools come last */
  uint32_t zones_count;               /* time zones whose days limits follow, each once */
  char zones[WEIR_ZONES_MAX]
            [WEIR_CONF_ZONE_SIZE]; /* "America/Los_Angeles"; limits hold the index */
  uint32_t providers_count;
  uint32_t listen_count;
  char listen[WEIR_CONF_LISTEN_MAX]
             [WEIR_CONF_ENDPOINT_SIZE];  /* "ipc:///path", "tcp://0.0.0.0:7447" */
  char store[WEIR_CONF_PATH_SIZE];       /* path of the store; "": none, then |state| is used */
  char state[WEIR_CONF_PATH_SIZE];       /* path of the state file; "" with a store */
  char key[WEIR_CONF_PATH_SIZE];         /* path of the coordinator's secret key; "": none */
  char peers[WEIR_CONF_PATH_SIZE];       /* path of the list of keys; "": none */
  char admin_host[WEIR_CONF_ADMIN_SIZE]; /* where the admin port listens; "": nowhere */
  uint16_t admin_port;
  char admin_token[WEIR_CONF_PATH_SIZE]; /* path of the file with its token; "": none */
  uint32_t plain_rights;                 /* of peers without a key: bits of enum weir_right */
  struct weir_throttle_limits peer_limits;
  uint32_t peer_sessions; /* of one key */
  enum weir_log_level log_level;
  enum weir_log_format log_format;
  struct weir_alerts_config alerts;
  char webhook[WEIR_CONF_PATH_SIZE];        /* URL that alerts are posted to; "": none */
  char webhook_secret[WEIR_CONF_PATH_SIZE]; /* path of the file with its secret; "": none */
};

/* weir_conf_parse reads the |size| bytes of a file and gives what they say in |ret_conf|, to be
 * freed by weir_conf_free. |ret_issues| is always filled; it may hold warnings on success.
 * WEIR_ECONFIG when there is at least one error, WEIR_ENOMEM. */
WEIR_MUSTUSE enum weir_err weir_conf_parse(const void *bytes, size_t size,
                                           struct weir_conf **ret_conf,
                                           struct weir_conf_issues *ret_issues);

/* weir_conf_load is weir_conf_parse on the file |path|; a file that cannot be read is an issue of
 * line 0. */
WEIR_MUSTUSE enum weir_err weir_conf_load(const char *path, struct weir_conf **ret_conf,
                                          struct weir_conf_issues *ret_issues);

/* weir_conf_free frees |conf|; NULL is allowed. */
void weir_conf_free(struct weir_conf *conf);

/* weir_conf_limit_format writes what a limit of |conf| allows, such as "requests 1000/1m" or
 * "spend 25/day UTC, shadow", into |ret_text| of |size| bytes (WEIR_CONF_LIMIT_SIZE holds all). */
void weir_conf_limit_format(const struct weir_conf *conf, const struct weir_limit_config *limit,
                            char *ret_text, size_t size);

/* weir_conf_show prints a line for each pool, budget, tenant and route of |conf| to |file|: what
 * the file means with all defaults in place. */
void weir_conf_show(const struct weir_conf *conf, FILE *file);

/* weir_conf_keys returns the table of all keys and its length in |ret_count|. Static storage. */
const struct weir_conf_key *weir_conf_keys(size_t *ret_count);

#endif
