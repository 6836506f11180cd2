#include "config_in.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/conf_value.h>
#include <weir/err.h>
#include <weir/vocab.h>

#include <weir.h>

/* ---- the table ---- */

#define PLACE(member) offsetof(struct weir_proxy_config, member)
#define DAY_MS        "86400000"
#define WAIT_MAX_MS   "604800000"

#define KIND_WORD(name, value, text, rules) " " text

static const struct weir_proxy_setting settings[] = {
    {"WEIR_COORDINATOR",
     {"coordinator", WEIR_CONF_TEXT, "", "",
      "ZeroMQ endpoint of the coordinator (ipc:///run/weir/weir.sock)"},
     PLACE(coordinator)},
    {"WEIR_LISTEN",
     {"listen", WEIR_CONF_TEXTS, "127.0.0.1:8787", "",
      "HOST:PORT and unix:PATH, separated by commas"},
     0},
    {"WEIR_PROXY_INSECURE_LISTEN",
     {"insecure_listen", WEIR_CONF_BOOL, "false", "",
      "true: listen may be an address that other machines reach"},
     PLACE(is_wide)},
    {"WEIR_PROXY_SHARED_PORT",
     {"shared_port", WEIR_CONF_BOOL, "false", "",
      "true: several processes may listen on the port, as for a hot restart"},
     PLACE(is_port_shared)},
    {"WEIR_PROXY_TOKEN",
     {"token", WEIR_CONF_TEXT, "", "",
      "who brings it as API key gets the provider's key of this proxy"},
     PLACE(token)},
    {"WEIR_PROXY_CALL_LOG",
     {"call_log", WEIR_CONF_TEXT, "", "",
      "file that gets a line of JSON for each call, - for standard output"},
     PLACE(call_log)},
    {"WEIR_PRICES",
     {"prices", WEIR_CONF_TEXT, "", "",
      "file of prices that take the place of built-in ones (weir help prices)"},
     PLACE(prices)},
    {"WEIR_PROXY_WITHOUT_COORDINATOR",
     {"without_coordinator", WEIR_CONF_WORD, "pool", "pool|wait|closed",
      "pool: as the coordinator said; wait: none goes without limit; closed: 503 at once"},
     PLACE(outage)},
    {"WEIR_PROXY_UNKNOWN_MODELS",
     {"unknown_models", WEIR_CONF_WORD, "refuse", "refuse|pass",
      "refuse or pass what the coordinator has no pool for"},
     PLACE(is_unknown_passed)},
    {"WEIR_PROXY_ONLINE_WAIT_MS",
     {"online_wait_ms", WEIR_CONF_AMOUNT, "60000", "1.." WAIT_MAX_MS,
      "how long a call of class online may wait"},
     PLACE(online_wait_ms)},
    {"WEIR_PROXY_BATCH_WAIT_MS",
     {"batch_wait_ms", WEIR_CONF_AMOUNT, "600000", "1.." WAIT_MAX_MS, "the same for class batch"},
     PLACE(batch_wait_ms)},
    {"WEIR_PROXY_RETRIES",
     {"retries", WEIR_CONF_AMOUNT, "3", "0..100",
      "new attempts at a call that failed, before anything was passed on"},
     PLACE(retries_max)},
    {"WEIR_PROXY_DRAIN_MS",
     {"drain_ms", WEIR_CONF_AMOUNT, "30000", "0.." DAY_MS,
      "how long open answers may go on after SIGTERM"},
     PLACE(drain_ms)},
    {"WEIR_PROXY_HEAD_MS",
     {"head_ms", WEIR_CONF_AMOUNT, "10000", "100.." DAY_MS,
      "a client that needs longer for a request's headers is cut off"},
     PLACE(head_ms)},
    {"WEIR_PROXY_IDLE_MS",
     {"idle_ms", WEIR_CONF_AMOUNT, "600000", "1000.." DAY_MS,
      "a provider that sends nothing for so long is given up"},
     PLACE(idle_ms)},
    {"WEIR_PROXY_STALL_MS",
     {"stall_ms", WEIR_CONF_AMOUNT, "30000", "100.." DAY_MS,
      "a client that reads nothing of its answer for so long is cut off"},
     PLACE(stall_ms)},
    {"WEIR_PROXY_BODY_MIB",
     {"body_mib", WEIR_CONF_AMOUNT, "64", "1..1024", "largest request body"},
     PLACE(body_mib_max)},
    {"WEIR_PROXY_BODY_MEMORY_KIB",
     {"body_memory_kib", WEIR_CONF_AMOUNT, "256", "16..1048576",
      "a larger request body goes into a file without a name"},
     PLACE(body_memory_kib)},
    {"WEIR_PROXY_SPOOL_DIR",
     {"spool_dir", WEIR_CONF_TEXT, "/var/tmp", "", "folder of these files"},
     PLACE(spool_dir)},
    {"WEIR_PROXY_SPOOL_MIB",
     {"spool_mib", WEIR_CONF_AMOUNT, "4096", "1..16777216",
      "all of these files together; a request that does not fit gets 503"},
     PLACE(spool_mib_max)},
    {"WEIR_PROXY_CONNECTIONS",
     {"connections", WEIR_CONF_AMOUNT, "4096", "1..65536",
      "open connections; further ones are closed"},
     PLACE(connections_max)},
};

_Static_assert(WEIR_WAIT_MAX_MS == 604800000, "WAIT_MAX_MS is libweir's own bound");

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

const struct weir_proxy_setting *weir_proxy_settings(size_t *ret_count)
{
  *ret_count = SETTINGS;
  return settings;
}

/* ---- values ---- */

static void *place_of(struct weir_proxy_config *c, const struct weir_proxy_setting *s)
{
  return (char *)c + s->place;
}

bool weir_proxy_text_set(char **place, const char *text)
{
  char *copy = strdup(text);

  if (!copy)
    return false;
  free(*place);
  *place = copy;
  return true;
}

void weir_proxy_word_set(struct weir_proxy_config *c, const struct weir_proxy_setting *setting,
                         size_t index)
{
  if (setting->place == PLACE(outage))
    c->outage = (enum weir_outage)(index + 1);
  else
    *(bool *)place_of(c, setting) = index == 1;
}

static bool number_read(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
  char *end = NULL;
  unsigned long long value = strtoull(text, &end, 10);

  if (!isdigit((unsigned char)text[0]) || *end != '\0' || value < least || value > most)
    return false;
  *ret = value;
  return true;
}

/* HOST:PORT, where HOST may be [::1]. */
static bool address_read(const char *text, size_t size, struct weir_proxy_config *c)
{
  const char *colon = NULL;
  char port[8];
  uint64_t number;

  for (size_t i = 0; i < size; i++)
    if (text[i] == ':')
      colon = text + i;
  if (!colon || c->host[0] != '\0')
    return false;
  size -= (size_t)(colon - text) + 1;
  if (size >= sizeof(port))
    return false;
  memcpy(port, colon + 1, size);
  port[size] = '\0';
  size = (size_t)(colon - text);
  if (size > 2 && text[0] == '[' && text[size - 1] == ']') {
    text++;
    size -= 2;
  }
  if (size == 0 || size >= sizeof(c->host) || !number_read(port, 0, 65535, &number))
    return false;
  memcpy(c->host, text, size);
  c->host[size] = '\0';
  c->port = (uint16_t)number;
  return true;
}

bool weir_proxy_listen_set(struct weir_proxy_config *c, const char *text)
{
  static const char prefix[] = "unix:";

  c->host[0] = '\0';
  free(c->unix_path);
  c->unix_path = NULL;
  while (*text != '\0') {
    const size_t size = strcspn(text, ",");

    if (strncmp(text, prefix, sizeof(prefix) - 1) == 0) {
      if (c->unix_path || size < sizeof(prefix))
        return false;
      c->unix_path = strndup(text + sizeof(prefix) - 1, size - (sizeof(prefix) - 1));
    } else if (!address_read(text, size, c)) {
      return false;
    }
    text += size;
    text += *text == ',';
  }
  return c->host[0] != '\0' || c->unix_path;
}

/* A value from the environment, or the default. */
static bool value_read(const struct weir_proxy_setting *s, const char *text,
                       struct weir_proxy_config *c)
{
  const char *words = s->key.type == WEIR_CONF_BOOL ? "0|1|false|true" : s->key.range;
  uint64_t number;
  int word;

  if (s->key.type == WEIR_CONF_TEXTS)
    return weir_proxy_listen_set(c, text);
  if (s->key.type == WEIR_CONF_TEXT)
    return text[0] != '\0' && weir_proxy_text_set(place_of(c, s), text);
  if (s->key.type == WEIR_CONF_AMOUNT) {
    if (!weir_conf_value_parse(s->key.type, text, &number) ||
        !weir_conf_value_in_range(s->key.type, s->key.range, number))
      return false;
    *(uint64_t *)place_of(c, s) = number;
    return true;
  }
  word = weir_conf_word_find(words, text);
  if (word >= 0)
    weir_proxy_word_set(c, s, s->key.type == WEIR_CONF_BOOL ? (size_t)word % 2 : (size_t)word);
  return word >= 0;
}

/* ---- providers ---- */

static bool is_url(const char *url)
{
  const char *host = strncmp(url, "https://", 8) == 0  ? url + 8
                     : strncmp(url, "http://", 7) == 0 ? url + 7
                                                       : "";

  if (host[0] == '\0' || host[0] == '/')
    return false;
  for (; *url != '\0'; url++)
    if (*url <= 0x20 || *url > 0x7e || *url == '?' || *url == '#')
      return false;
  return true;
}

/* NULL, or why the token cannot be one: it comes as keys do. */
static const char *token_flaw(const char *token)
{
  struct weir_key_scan scan;

  weir_key_scan_init(&scan, token, strlen(token));
  if (weir_key_scan_next(&scan) && scan.size == strlen(token))
    return NULL;
  return scan.fault ? scan.fault : "holds a line's end, or blanks at its ends";
}

static char upper(char c)
{
  if (c >= 'a' && c <= 'z')
    return (char)(c - 'a' + 'A');
  return isalnum((unsigned char)c) ? c : '_';
}

/* GROQ_API_KEY for groq. */
static void key_name(const char *name, char ret_name[80])
{
  size_t i;

  for (i = 0; name[i] != '\0'; i++)
    ret_name[i] = upper(name[i]);
  snprintf(ret_name + i, 80 - i, "_API_KEY");
}

/* Where the keys of |p| are: where the file says, or in the first variable of its name that is
 * set. Returns how much is wrong. */
static int keys_open(struct weir_proxy_provider *p, FILE *errors)
{
  const struct weir_provider_rules *rules = weir_provider_rules_of(p->kind);
  const bool is_own = strcmp(p->name, weir_provider_kind_name(p->kind)) == 0;
  char own[80], places[96] = "", why[WEIR_KEYFILE_WHY_SIZE];
  const char *names[2] = {rules->key_envs[0], rules->key_envs[1]};

  if (!is_own || !names[0]) {
    key_name(p->name, own);
    names[0] = own;
    names[1] = NULL;
  }
  snprintf(p->key_env, sizeof(p->key_env), "%s%s%s", names[0], names[1] ? " or " : "",
           names[1] ? names[1] : "");
  for (size_t i = 0; i < 2 && places[0] == '\0'; i++) {
    const char *value = names[i] ? getenv(names[i]) : NULL;

    if (value && value[0] != '\0')
      snprintf(places, sizeof(places), "env:%s", names[i]);
  }
  if (p->places)
    snprintf(p->key_env, sizeof(p->key_env), "%.170s", p->places);
  if (!p->places && places[0] == '\0')
    return 0;
  p->keys = weir_keyfile_open(p->name, p->places ? p->places : places, why);
  if (p->keys)
    return 0;
  fprintf(errors, "provider %s: keys: %s\n", p->name, why);
  return 1;
}

/* NULL, or what is wrong with the name. */
static const char *name_flaw(const char *name, size_t size)
{
  if (size == 0 || size >= WEIR_PROXY_NAME_SIZE)
    return "has no name, or one of more than 31 letters";
  for (size_t i = 0; i < size; i++)
    if (!isalnum((unsigned char)name[i]) && (name[i] == '\0' || !strchr("-_.", name[i])))
      return "has a name of other characters than letters, digits, '-', '_', '.'";
  return NULL;
}

/* NULL, or what is wrong with the URL. */
static const char *url_set(struct weir_proxy_provider *p, const char *url, size_t size)
{
  while (size > 0 && url[size - 1] == '/')
    size--;
  if (size >= sizeof(p->base_url))
    return "has a URL of more than 255 characters";
  memcpy(p->base_url, url, size);
  p->base_url[size] = '\0';
  return is_url(p->base_url) ? NULL
                             : "needs a URL that begins with http:// or https:// and names a host";
}

const char *weir_proxy_provider_set(struct weir_proxy_config *c, const char *name, size_t name_size,
                                    enum weir_provider_kind kind, const char *url, size_t url_size,
                                    const char *keys)
{
  const char *flaw = name_flaw(name, name_size);
  struct weir_proxy_provider *p, next = {.kind = 0};
  size_t i = 0;

  if (flaw)
    return flaw;
  memcpy(next.name, name, name_size);
  while (i < c->provider_count && strcmp(c->providers[i].name, next.name) != 0)
    i++;
  if (i == WEIR_PROXY_PROVIDERS_MAX)
    return "is one too many: there may be 32";
  if (i < c->provider_count)
    next = c->providers[i];
  if (kind == 0 && next.kind == 0)
    kind = weir_provider_kind_parse(next.name);
  if (kind != 0 || next.kind == 0)
    next.kind = kind ? kind : WEIR_PROVIDER_COMPATIBLE;
  flaw = url || next.base_url[0] == '\0' ? url_set(&next, url ? url : "", url_size) : NULL;
  if (flaw)
    return flaw;
  if (keys && !weir_proxy_text_set(&next.places, keys))
    return "does not fit into memory";
  p = &c->providers[i];
  *p = next;
  c->provider_count += i == c->provider_count;
  c->mounts[i] = (struct weir_mount){p->name, p->kind};
  return NULL;
}

/* "name=url" or "name:kind=url". NULL, or what is wrong. */
static const char *provider_read(struct weir_proxy_config *c, const char *text, size_t size)
{
  const char *equals = memchr(text, '=', size);
  const char *colon = equals ? memchr(text, ':', (size_t)(equals - text)) : NULL;
  enum weir_provider_kind kind = 0;
  char word[16] = "";

  if (!equals)
    return "is not of the form NAME=URL or NAME:KIND=URL";
  if (colon && (size_t)(equals - colon) - 1 < sizeof(word)) {
    memcpy(word, colon + 1, (size_t)(equals - colon) - 1);
    word[equals - colon - 1] = '\0';
  }
  kind = colon ? weir_provider_kind_parse(word) : 0;
  if (colon && !kind)
    return "has an unknown kind; known are:" WEIR_PROVIDER_LIST(KIND_WORD);
  return weir_proxy_provider_set(c, text, (size_t)((colon ? colon : equals) - text), kind,
                                 equals + 1, size - (size_t)(equals - text) - 1, NULL);
}

/* Those that are known without being told of. */
static void providers_init(struct weir_proxy_config *c)
{
  for (int kind = 1; kind < WEIR_PROVIDER_MAX; kind++) {
    const char *url = weir_provider_rules_of((enum weir_provider_kind)kind)->base_url;
    const char *name = weir_provider_kind_name((enum weir_provider_kind)kind);

    if (url) /* there is room for these */
      (void)weir_proxy_provider_set(c, name, strlen(name), (enum weir_provider_kind)kind, url,
                                    strlen(url), NULL);
  }
}

static int providers_read(struct weir_proxy_config *c, FILE *errors)
{
  const char *text = getenv("WEIR_PROVIDERS");
  int wrong = 0;

  while (text && *text != '\0') {
    const size_t size = strcspn(text, ", ");
    const char *flaw = size > 0 ? provider_read(c, text, size) : NULL;

    if (flaw) {
      fprintf(errors, "WEIR_PROVIDERS: \"%.*s\" %s\n", (int)size, text, flaw);
      wrong++;
    }
    text += size;
    text += *text != '\0';
  }
  for (size_t i = 0; i < c->provider_count; i++)
    wrong += keys_open(&c->providers[i], errors);
  return wrong;
}

/* ---- the whole ---- */

static bool is_loopback(const char *host)
{
  return host[0] == '\0' || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

/* Socket activation (sd_listen_fds(3)): the first socket stands at descriptor 3. */
static int socket_read(struct weir_proxy_config *c, FILE *errors)
{
  const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
  uint64_t number;

  if (!count || !pid || !number_read(pid, 1, INT32_MAX, &number) || number != (uint64_t)getpid())
    return 0;
  if (!number_read(count, 1, 1, &number)) {
    fprintf(errors, "LISTEN_FDS: \"%s\": one socket can be taken over\n", count);
    return 1;
  }
  c->socket_fd = 3;
  return 0;
}

static bool is_socket_loopback(int fd)
{
  struct sockaddr_storage address = {0};
  socklen_t size = sizeof(address);
  char host[INET6_ADDRSTRLEN] = "";

  if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
    return false;
  if (address.ss_family == AF_INET)
    (void)inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, host, sizeof(host));
  else if (address.ss_family == AF_INET6)
    (void)inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, host, sizeof(host));
  return is_loopback(host); /* "" is a Unix socket's */
}

static int listen_check(struct weir_proxy_config *c, FILE *errors)
{
  const bool is_allowed = c->is_wide;

  c->is_wide = c->socket_fd ? !is_socket_loopback(c->socket_fd) : !is_loopback(c->host);
  if (c->is_wide && !is_allowed) {
    fprintf(errors,
            "WEIR_LISTEN: other machines reach %s, in clear text; WEIR_PROXY_INSECURE_LISTEN=1 "
            "(insecure_listen: true) allows it\n",
            c->socket_fd ? "the socket that was handed over" : c->host);
    return 1;
  }
  if (c->is_wide && !c->token) {
    fprintf(errors, "WEIR_LISTEN: an address that other machines reach needs a "
                    "WEIR_PROXY_TOKEN (token)\n");
    return 1;
  }
  return 0;
}

int weir_proxy_config_read(struct weir_proxy_config *ret_config, const char *path, FILE *errors)
{
  struct weir_proxy_config *c = ret_config;
  const char *flaw;
  int wrong = 0;

  *c = (struct weir_proxy_config){.coordinator = NULL};
  providers_init(c);
  for (size_t i = 0; i < SETTINGS; i++)
    if (settings[i].key.fallback[0] != '\0')
      (void)value_read(&settings[i], settings[i].key.fallback, c);
  if (path)
    wrong += weir_proxy_config_load(c, path, errors);
  for (size_t i = 0; i < SETTINGS; i++) {
    const char *value = getenv(settings[i].name);

    if (!value || value_read(&settings[i], value, c))
      continue;
    fprintf(errors, "%s: \"%s\" is not understood: %s\n", settings[i].name, value,
            settings[i].key.help);
    wrong++;
  }
  flaw = c->token ? token_flaw(c->token) : NULL;
  if (flaw) {
    fprintf(errors, "WEIR_PROXY_TOKEN (token): it %s\n", flaw);
    wrong++;
  }
  wrong += providers_read(c, errors);
  wrong += socket_read(c, errors);
  return wrong + (wrong == 0 ? listen_check(c, errors) : 0);
}

void weir_proxy_config_fini(struct weir_proxy_config *c)
{
  free(c->coordinator);
  free(c->unix_path);
  free(c->token);
  free(c->call_log);
  free(c->prices);
  free(c->spool_dir);
  for (size_t i = 0; i < c->provider_count; i++) {
    free(c->providers[i].places);
    weir_keyfile_close(c->providers[i].keys);
  }
}

void weir_proxy_config_show(const struct weir_proxy_config *c, FILE *out)
{
  static const char *const outages[] = {"?", "as the pool says", "wait", "closed"};

  fprintf(out, "coordinator: %s\n", c->coordinator ? c->coordinator : "ipc:///run/weir/weir.sock");
  if (c->host[0] != '\0')
    fprintf(out, "listen: http://%s%s%s:%u\n", strchr(c->host, ':') ? "[" : "", c->host,
            strchr(c->host, ':') ? "]" : "", c->port);
  if (c->unix_path)
    fprintf(out, "listen: unix:%s\n", c->unix_path);
  fprintf(out, "token: %s\n", !c->token ? "none" : c->is_wide ? "required" : "set");
  fprintf(out, "without coordinator: %s\n", outages[c->outage]);
  fprintf(out, "models without pool: %s\n", c->is_unknown_passed ? "pass" : "refuse");
  for (size_t i = 0; i < c->provider_count; i++) {
    const struct weir_proxy_provider *p = &c->providers[i];

    fprintf(out, "provider /%s: %s at %s, %s %s\n", p->name, weir_provider_kind_name(p->kind),
            p->base_url, p->keys ? "key of" : "no key in", p->key_env);
  }
}

void weir_proxy_config_help(FILE *out)
{
  for (size_t i = 0; i < SETTINGS; i++) {
    const struct weir_conf_key *key = &settings[i].key;

    fprintf(out, "  %-19s  %-30s  %s%s%s%s\n", key->path, settings[i].name, key->help,
            key->fallback[0] ? " (" : "", key->fallback, key->fallback[0] ? ")" : "");
  }
  fprintf(out,
          "  %-19s  %-30s  further providers, NAME=URL or NAME:KIND=URL, separated by commas;\n"
          "  %-19s  %-30s  a known name (openai, anthropic, gemini) gets another URL\n",
          "providers", "WEIR_PROVIDERS", "", "");
}
