#include <weir/conf.h>
#include <weir/peers.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_build.h"

#define STORE_SCHEME "sqlite:"
#define IPC_PATH_MAX 107 /* sun_path, less the NUL */

/* ---- top level ---- */

static bool is_port(const char *text)
{
  if (strcmp(text, "*") == 0)
    return true; /* the system chooses one */
  size_t length = strspn(text, "0123456789");
  if (length < 1 || length > 5 || text[length] != '\0')
    return false;
  unsigned long port = strtoul(text, NULL, 10);
  return port >= 1 && port <= 65535;
}

static void check_endpoint(struct weir_conf_builder *b, const yaml_node_t *node,
                           const char *endpoint)
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
                        "listen: %.60s is no endpoint; write ipc:///path or tcp://address:port",
                        endpoint);
    return;
  }
  const char *colon = strrchr(endpoint, ':');
  if (colon == endpoint + 3 || !is_port(colon + 1))
    weir_conf_issue_add(issues, false, node,
                        "listen: %.60s has no valid port; write tcp://127.0.0.1:7447", endpoint);
  else if (b->conf->key[0] == '\0' || b->conf->peers[0] == '\0')
    weir_conf_issue_add(issues, false, node,
                        "listen: TCP needs keys; add key: FILE (made by 'weir keys new "
                        "--coordinator') and peers: FILE (see 'weir help keys'), or use "
                        "ipc:///path");
}

/* At the start the second one would find the first, and take it for another process. */
static bool stands_before(const struct weir_conf *conf, const char *endpoint)
{
  const char *port = strrchr(endpoint, ':');
  for (uint32_t i = 0; i < conf->listen_count; i++) {
    if (strcmp(conf->listen[i], endpoint) == 0)
      return port == NULL || strcmp(port, ":*") != 0; /* each "*" is a port of its own */
  }
  return false;
}

static void read_listen(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  struct weir_conf *conf = b->conf;
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
    check_endpoint(b, item, endpoint);
    if (stands_before(conf, endpoint))
      weir_conf_issue_add(b->reader.issues, false, item,
                          "listen: %.60s stands here twice; remove one", endpoint);
    conf->listen_count++;
  }
}

/* Rights are few words, but a list: the table's words are one of several. */
static void read_plain_rights(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  const yaml_node_t *node = weir_conf_find(top, "plain_rights");
  b->conf->plain_rights = node == NULL ? WEIR_RIGHTS_ALL : 0;
  for (size_t i = 0; node != NULL && i < weir_conf_items(node); i++) {
    const yaml_node_t *item = weir_conf_item(&b->reader, node, i);
    char word[WEIR_RIGHTS_SIZE];
    uint32_t right = 0;
    if (!weir_conf_node_text(&b->reader, item, "plain_rights", word, sizeof word))
      continue;
    if (word[0] == '\0' || strchr(word, ',') != NULL || !weir_rights_parse(word, &right))
      weir_conf_issue_add(b->reader.issues, false, item,
                          "plain_rights: unknown word '%s'; write some of ask, show, admin", word);
    b->conf->plain_rights |= right;
  }
}

static void read_peers(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  struct weir_conf *conf = b->conf;
  struct weir_conf_section section;
  if (!weir_conf_text(top, "key", conf->key, sizeof conf->key))
    conf->key[0] = '\0';
  if (!weir_conf_text(top, "peers", conf->peers, sizeof conf->peers))
    conf->peers[0] = '\0';
  read_plain_rights(b, top);
  if (weir_conf_section_open(&b->reader, weir_conf_find(top, "peer_limits"), "peer_limits",
                             &section)) {
    conf->peer_limits.messages = weir_conf_number(&section, "messages");
    conf->peer_limits.bytes = weir_conf_number(&section, "bytes");
    conf->peer_limits.burst_us = weir_conf_number(&section, "burst");
    conf->peer_sessions = (uint32_t)weir_conf_number(&section, "sessions");
  }
}

/* "http://127.0.0.1:7448" or "http://[::1]:7448". */
static bool admin_parse(const char *text, struct weir_conf *conf)
{
  const char *host = text + 7, *colon = strrchr(text, ':');
  unsigned char address[sizeof(struct in6_addr)];
  char *end = NULL;
  if (strncmp(text, "http://", 7) != 0 || colon == NULL || colon < host || colon[1] < '0' ||
      colon[1] > '9')
    return false;
  bool is_six = host[0] == '[' && colon[-1] == ']';
  size_t size = (size_t)(colon - host) - (is_six ? 2 : 0);
  unsigned long port = strtoul(colon + 1, &end, 10);
  if (*end != '\0' || port > 65535 || size >= sizeof conf->admin_host)
    return false;
  memcpy(conf->admin_host, host + is_six, size);
  conf->admin_host[size] = '\0';
  conf->admin_port = (uint16_t)port;
  return inet_pton(is_six ? AF_INET6 : AF_INET, conf->admin_host, address) == 1;
}

static void read_admin(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  struct weir_conf *conf = b->conf;
  char text[WEIR_CONF_ENDPOINT_SIZE];
  const yaml_node_t *node = weir_conf_find(top, "admin");
  if (!weir_conf_text(top, "admin_token", conf->admin_token, sizeof conf->admin_token))
    conf->admin_token[0] = '\0';
  if (!weir_conf_text(top, "admin", text, sizeof text) || text[0] == '\0')
    return;
  if (!admin_parse(text, conf)) {
    conf->admin_host[0] = '\0';
    weir_conf_issue_add(b->reader.issues, false, node,
                        "admin: '%.60s' is no address; write http://127.0.0.1:7448", text);
    return;
  }
  bool is_loopback =
      strncmp(conf->admin_host, "127.", 4) == 0 || strcmp(conf->admin_host, "::1") == 0;
  if (!is_loopback && conf->admin_token[0] == '\0')
    weir_conf_issue_add(b->reader.issues, false, node,
                        "admin: others than this machine reach %s, so it needs admin_token: FILE; "
                        "or use http://127.0.0.1:%u",
                        conf->admin_host, (unsigned)conf->admin_port);
}

/* Curl would refuse others with each post, which nobody sees before the first alert. */
static bool is_url(const char *text)
{
  const char *host = strncmp(text, "http://", 7) == 0    ? text + 7
                     : strncmp(text, "https://", 8) == 0 ? text + 8
                                                         : "";
  for (const char *at = host; *at != '\0'; at++) {
    if ((unsigned char)*at <= ' ' || *at == 0x7f)
      return false;
  }
  return host[0] != '\0' && strchr("/?#:", host[0]) == NULL;
}

static void read_alerts(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  struct weir_conf *conf = b->conf;
  struct weir_conf_section section;
  if (!weir_conf_section_open(&b->reader, weir_conf_find(top, "alerts"), "alerts", &section))
    return;
  conf->alerts.near_pm = (uint32_t)weir_conf_number(&section, "near_limit");
  conf->alerts.drift_pm = (uint32_t)weir_conf_number(&section, "drift");
  conf->alerts.for_us = weir_conf_number(&section, "for");
  if (!weir_conf_text(&section, "webhook", conf->webhook, sizeof conf->webhook))
    conf->webhook[0] = '\0';
  if (!weir_conf_text(&section, "webhook_secret", conf->webhook_secret,
                      sizeof conf->webhook_secret))
    conf->webhook_secret[0] = '\0';
  if (conf->webhook[0] != '\0' && !is_url(conf->webhook))
    weir_conf_issue_add(b->reader.issues, false, weir_conf_find(&section, "webhook"),
                        "alerts.webhook: '%.60s' is no URL; write https://host/path",
                        conf->webhook);
}

/* The store has all that the state file would have: two of them could say two things. */
static void read_past(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  struct weir_conf *conf = b->conf;
  const yaml_node_t *node = weir_conf_find(top, "store"), *state = weir_conf_find(top, "state");
  char url[WEIR_CONF_PATH_SIZE];
  if (!weir_conf_text(top, "state", conf->state, sizeof conf->state))
    conf->state[0] = '\0';
  if (!weir_conf_text(top, "store", url, sizeof url) || url[0] == '\0')
    return;
  if (strncmp(url, STORE_SCHEME, strlen(STORE_SCHEME)) != 0 || url[strlen(STORE_SCHEME)] != '/') {
    weir_conf_issue_add(b->reader.issues, false, node,
                        "store: %.60s is no store; write sqlite:/var/lib/weir/weir.db", url);
    return;
  }
  if (state != NULL)
    weir_conf_issue_add(b->reader.issues, false, state,
                        "state and store are both given; remove state, the store remembers more");
  memcpy(conf->store, url + strlen(STORE_SCHEME), strlen(url + strlen(STORE_SCHEME)) + 1);
  conf->state[0] = '\0';
}

static void read_top(struct weir_conf_builder *b, const struct weir_conf_section *top)
{
  struct weir_conf *conf = b->conf;
  read_peers(b, top);
  read_admin(b, top);
  read_alerts(b, top);
  read_listen(b, top);
  read_past(b, top);

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
    conf->bounds.budgets_max = (uint32_t)weir_conf_number(&section, "budgets");
    conf->bounds.tenants_max = (uint32_t)weir_conf_number(&section, "tenants");
  }
  conf->bounds.names_max = WEIR_CONF_NAMES_MAX;
  conf->bounds.routes_max = WEIR_CONF_ROUTES_MAX;
}

/* ---- the file ---- */

static void build(struct weir_conf_reader *reader, const yaml_node_t *root, void *context)
{
  struct weir_conf_builder *b = context;
  struct weir_conf_section top;
  (void)reader;
  if (root == NULL) {
    weir_conf_issue_at(b->reader.issues, 1, 1,
                       "the file is empty; begin with providers and pools, see "
                       "weir-coordinator --help");
    return;
  }
  if (!weir_conf_section_open(&b->reader, root, "", &top))
    return;
  read_top(b, &top);
  weir_conf_read_pools(b, &top);
  b->conf->coord.pools = b->conf->pools;
  b->conf->coord.names = b->conf->names;
  b->conf->coord.routes = b->conf->routes;
  b->conf->coord.budgets = b->conf->budgets;
  b->conf->coord.tenants = b->conf->tenants;
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
  struct weir_conf_builder *b = calloc(1, sizeof *b);
  struct weir_conf *conf = calloc(1, sizeof *conf);
  if (conf != NULL) {
    conf->pools = calloc(WEIR_CONF_POOLS_MAX, sizeof *conf->pools);
    conf->names = calloc(WEIR_CONF_NAMES_MAX, sizeof *conf->names);
    conf->routes = calloc(WEIR_CONF_ROUTES_MAX, sizeof *conf->routes);
    conf->budgets = calloc(WEIR_CONF_BUDGETS_MAX, sizeof *conf->budgets);
    conf->tenants = calloc(WEIR_CONF_TENANTS_MAX, sizeof *conf->tenants);
  }
  enum weir_err err = WEIR_ENOMEM;
  if (b != NULL && conf != NULL && conf->pools != NULL && conf->names != NULL &&
      conf->routes != NULL && conf->budgets != NULL && conf->tenants != NULL) {
    b->conf = conf;
    b->reader.issues = ret_issues;
    b->reader.keys = weir_conf_keys(&b->reader.keys_count);
    weir_conf_document_read(&b->reader, bytes, size, build, b);
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
  size_t size = 0;
  *ret_issues = (struct weir_conf_issues){0};
  char *bytes = weir_conf_file_read(path, &size, ret_issues);
  if (bytes == NULL)
    return ret_issues->errors > 0 ? WEIR_ECONFIG : WEIR_ENOMEM;
  enum weir_err err = weir_conf_parse(bytes, size, ret_conf, ret_issues);
  free(bytes);
  return err;
}

void weir_conf_free(struct weir_conf *conf)
{
  if (conf == NULL)
    return;
  free(conf->pools);
  free(conf->names);
  free(conf->routes);
  free(conf->budgets);
  free(conf->tenants);
  free(conf);
}
