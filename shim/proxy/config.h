/* config.h - the proxy's settings: from a file in YAML, and from the environment, which overrides
 * it. One table gives their names in both, defaults, ranges and the help text.
 */
#ifndef WEIR_PROXY_CONFIG_H
#define WEIR_PROXY_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <weir/conf_key.h>

#include "keyfile.h"
#include "paths.h"

#define WEIR_PROXY_PROVIDERS_MAX 32
#define WEIR_PROXY_NAME_SIZE     32
#define WEIR_PROXY_URL_SIZE      256

/* What happens to calls while the coordinator does not answer. */
enum weir_outage {
  WEIR_OUTAGE_POOL = 1, /* what the coordinator said of their pool */
  WEIR_OUTAGE_WAIT,     /* they wait until their deadline, or are refused where it said so */
  WEIR_OUTAGE_CLOSED,   /* they are refused at once */
  WEIR_OUTAGE_MAX
};

struct weir_proxy_provider {
  char name[WEIR_PROXY_NAME_SIZE];
  enum weir_provider_kind kind;
  char base_url[WEIR_PROXY_URL_SIZE]; /* without slash at its end */
  char *places;                       /* where the file says that its keys are; NULL: nothing */
  struct weir_keyfile *keys;          /* NULL: none */
  char key_env[176];                  /* where they were looked for */
};

struct weir_proxy_config {
  char *coordinator; /* NULL: libweir's default */
  char host[64];     /* "": no TCP */
  uint16_t port;
  char *unix_path; /* NULL: none */
  bool is_wide;    /* other machines may connect */
  bool is_port_shared;
  int socket_fd;  /* a listening socket that systemd has handed over; 0: none */
  char *token;    /* NULL: none */
  char *call_log; /* a path, or "-" for stdout; NULL: none */
  char *prices;   /* a file on top of the prices that are built in; NULL: none */
  enum weir_outage outage;
  bool is_unknown_passed; /* models without a pool pass without lease */
  uint64_t online_wait_ms, batch_wait_ms, drain_ms, head_ms, idle_ms, stall_ms;
  uint64_t retries_max, body_mib_max, body_memory_kib, connections_max;
  char *spool_dir;        /* for bodies above |body_memory_kib| */
  uint64_t spool_mib_max; /* of all of them */
  size_t provider_count;
  struct weir_proxy_provider providers[WEIR_PROXY_PROVIDERS_MAX];
  struct weir_mount mounts[WEIR_PROXY_PROVIDERS_MAX]; /* the same, for paths */
};

/* weir_proxy_config_read reads the file |path| (NULL: none), and then the environment, which
 * overrides it. Returns how much is wrong; each is explained by a line on |errors|. Blocks on
 * files. The caller frees with weir_proxy_config_fini, also after errors. */
int weir_proxy_config_read(struct weir_proxy_config *ret_config, const char *path, FILE *errors);

/* weir_proxy_config_fini frees what the settings hold. */
void weir_proxy_config_fini(struct weir_proxy_config *config);

/* weir_proxy_config_parse takes the |size| bytes of a file into |config|, which holds settings
 * already (the defaults, or all zero). Issues are added to |issues|. */
void weir_proxy_config_parse(struct weir_proxy_config *config, const char *bytes, size_t size,
                             struct weir_conf_issues *issues);

/* weir_proxy_config_load is weir_proxy_config_parse for the file |path|, and prints issues to
 * |errors|, whose number it returns. Blocks. */
int weir_proxy_config_load(struct weir_proxy_config *config, const char *path, FILE *errors);

/* weir_proxy_config_show prints what the settings mean, without keys. */
void weir_proxy_config_show(const struct weir_proxy_config *config, FILE *out);

/* weir_proxy_config_help prints the settings with their names in file and environment. */
void weir_proxy_config_help(FILE *out);

#endif
