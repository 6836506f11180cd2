/* config.h - the proxy's settings, all from the environment: one table gives their names, defaults,
 * checks and the help text.
 */
#ifndef WEIR_PROXY_CONFIG_H
#define WEIR_PROXY_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "paths.h"

#define WEIR_PROXY_PROVIDERS_MAX 32
#define WEIR_PROXY_NAME_SIZE     32
#define WEIR_PROXY_URL_SIZE      256
#define WEIR_PROXY_KEY_MAX       8192

/* What happens to calls while the coordinator does not answer. */
enum weir_outage {
  WEIR_OUTAGE_WAIT = 1, /* they wait until their deadline */
  WEIR_OUTAGE_CLOSED,   /* they are refused at once */
  WEIR_OUTAGE_OPEN,     /* they pass without lease */
  WEIR_OUTAGE_MAX
};

struct weir_proxy_provider {
  char name[WEIR_PROXY_NAME_SIZE];
  enum weir_provider_kind kind;
  char base_url[WEIR_PROXY_URL_SIZE]; /* without slash at its end */
  const char *key;                    /* of the environment; NULL: none */
  char key_env[176];                  /* where it was looked for */
};

struct weir_proxy_config {
  const char *coordinator; /* NULL: libweir's default */
  char host[64];           /* "": no TCP */
  uint16_t port;
  const char *unix_path; /* NULL: none */
  bool is_wide;          /* other machines may connect */
  bool is_port_shared;
  int socket_fd;        /* a listening socket that systemd has handed over; 0: none */
  const char *token;    /* NULL: none */
  const char *call_log; /* a path, or "-" for stdout; NULL: none */
  enum weir_outage outage;
  bool is_unknown_passed; /* models without a pool pass without lease */
  uint64_t online_wait_ms, batch_wait_ms, drain_ms, idle_ms, stall_ms;
  uint64_t retries_max, body_mib_max, connections_max;
  size_t provider_count;
  struct weir_proxy_provider providers[WEIR_PROXY_PROVIDERS_MAX];
  struct weir_mount mounts[WEIR_PROXY_PROVIDERS_MAX]; /* the same, for paths */
};

/* weir_proxy_config_read reads the environment. Returns how many settings are wrong; each is
 * explained by a line on |errors|. The strings of the environment are kept. */
int weir_proxy_config_read(struct weir_proxy_config *ret_config, FILE *errors);

/* weir_proxy_config_show prints what the settings mean, without keys. */
void weir_proxy_config_show(const struct weir_proxy_config *config, FILE *out);

/* weir_proxy_config_help prints the settings with their defaults. */
void weir_proxy_config_help(FILE *out);

#endif
