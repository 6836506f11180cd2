#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/err.h>
#include <weir/vocab.h>

#include <weir.h>

/* ---- values ---- */

enum type { TYPE_TEXT = 1, TYPE_FLAG, TYPE_NUMBER, TYPE_LISTEN, TYPE_OUTAGE, TYPE_UNKNOWN };

struct setting {
  const char *name, *fallback;
  enum type type;
  size_t place;
  uint64_t least, most; /* of numbers */
  const char *help;
};

#define PLACE(member) offsetof(struct weir_proxy_config, member)

static const struct setting settings[] = {
    {"WEIR_COORDINATOR", NULL, TYPE_TEXT, PLACE(coordinator), 0, 0,
     "ZeroMQ endpoint of the coordinator (ipc:///run/weir/weir.sock)"},
    {"WEIR_LISTEN", "127.0.0.1:8787", TYPE_LISTEN, 0, 0, 0,
     "HOST:PORT and unix:PATH, separated by commas"},
    {"WEIR_PROXY_INSECURE_LISTEN", "0", TYPE_FLAG, PLACE(is_wide), 0, 0,
     "1: WEIR_LISTEN may be an address that other machines reach"},
    {"WEIR_PROXY_SHARED_PORT", "0", TYPE_FLAG, PLACE(is_port_shared), 0, 0,
     "1: several processes may listen on the port, as for a hot restart"},
    {"WEIR_PROXY_TOKEN", NULL, TYPE_TEXT, PLACE(token), 0, 0,
     "who brings it as API key gets the provider's key of this environment"},
    {"WEIR_PROXY_CALL_LOG", NULL, TYPE_TEXT, PLACE(call_log), 0, 0,
     "file that gets a line of JSON for each call, - for standard output"},
    {"WEIR_PROXY_WITHOUT_COORDINATOR", "wait", TYPE_OUTAGE, PLACE(outage), 0, 0,
     "wait: until the deadline; closed: 503 at once; open: pass without limit"},
    {"WEIR_PROXY_UNKNOWN_MODELS", "refuse", TYPE_UNKNOWN, PLACE(is_unknown_passed), 0, 0,
     "refuse or pass what the coordinator has no pool for"},
    {"WEIR_PROXY_ONLINE_WAIT_MS", "60000", TYPE_NUMBER, PLACE(online_wait_ms), 1, WEIR_WAIT_MAX_MS,
     "how long a call of class online may wait"},
    {"WEIR_PROXY_BATCH_WAIT_MS", "600000", TYPE_NUMBER, PLACE(batch_wait_ms), 1, WEIR_WAIT_MAX_MS,
     "the same for class batch"},
    {"WEIR_PROXY_RETRIES", "3", TYPE_NUMBER, PLACE(retries_max), 0, 100,
     "new attempts at a call that failed, before anything was passed on"},
    {"WEIR_PROXY_DRAIN_MS", "30000", TYPE_NUMBER, PLACE(drain_ms), 0, 86400000,
     "how long open answers may go on after SIGTERM"},
    {"WEIR_PROXY_IDLE_MS", "600000", TYPE_NUMBER, PLACE(idle_ms), 1000, 86400000,
     "a provider that sends nothing for so long is given up"},
    {"WEIR_PROXY_STALL_MS", "30000", TYPE_NUMBER, PLACE(stall_ms), 100, 86400000,
     "a client that reads nothing of its answer for so long is cut off"},
    {"WEIR_PROXY_BODY_MIB", "64", TYPE_NUMBER, PLACE(body_mib_max), 1, 1024,
     "largest request body"},
    {"WEIR_PROXY_CONNECTIONS", "4096", TYPE_NUMBER, PLACE(connections_max), 1, 65536,
     "open connections; further ones are closed"},
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static bool number_read(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
  char *end = NULL;
  unsigned long long value = strtoull(text, &end, 10);

  if (!isdigit((unsigned char)text[0]) || *end != '\0' || value < least || value > most)
    return false;
  *ret = value;
  return true;
}

static bool word_read(const char *text, const char *const *words, size_t count, size_t *ret)
{
  for (size_t i = 0; i < count; i++) {
    if (strcmp(text, words[i]) == 0) {
      *ret = i;
      return true;
    }
  }
  return false;
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

static bool listen_read(const char *text, struct weir_proxy_config *c)
{
  static const char prefix[] = "unix:";

  c->host[0] = '\0';
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

static bool value_read(const struct setting *s, const char *text, struct weir_proxy_config *c)
{
  static const char *const flags[] = {"0", "1"};
  static const char *const outages[] = {"wait", "closed", "open"};
  static const char *const unknowns[] = {"refuse", "pass"};
  char *place = (char *)c + s->place;
  size_t word = 0;

  switch (s->type) {
  case TYPE_TEXT:
    *(const char **)(void *)place = text;
    return text[0] != '\0';
  case TYPE_NUMBER:
    return number_read(text, s->least, s->most, (uint64_t *)(void *)place);
  case TYPE_LISTEN:
    return listen_read(text, c);
  case TYPE_FLAG:
    if (!word_read(text, flags, 2, &word))
      return false;
    *(bool *)place = word == 1;
    return true;
  case TYPE_UNKNOWN:
    if (!word_read(text, unknowns, 2, &word))
      return false;
    *(bool *)place = word == 1;
    return true;
  case TYPE_OUTAGE:
    if (!word_read(text, outages, 3, &word))
      return false;
    c->outage = (enum weir_outage)(word + 1);
    return true;
  }
  return false;
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

static bool is_key(const char *key)
{
  for (const char *at = key; *at != '\0'; at++)
    if (*at <= 0x20 || *at > 0x7e)
      return false;
  return key[0] != '\0' && strlen(key) <= WEIR_PROXY_KEY_MAX;
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

static void key_find(struct weir_proxy_provider *p)
{
  const struct weir_provider_rules *rules = weir_provider_rules_of(p->kind);
  const bool is_own = strcmp(p->name, weir_provider_kind_name(p->kind)) == 0;
  char own[80];
  const char *names[2] = {rules->key_envs[0], rules->key_envs[1]};

  if (!is_own || !names[0]) {
    key_name(p->name, own);
    names[0] = own;
    names[1] = NULL;
  }
  snprintf(p->key_env, sizeof(p->key_env), "%s%s%s", names[0], names[1] ? " or " : "",
           names[1] ? names[1] : "");
  for (size_t i = 0; i < 2 && !p->key; i++) {
    const char *key = names[i] ? getenv(names[i]) : NULL;

    if (key && key[0] != '\0')
      p->key = key;
  }
}

/* Adds a provider, or replaces the one of that name. False when there is no room. */
static bool provider_set(struct weir_proxy_config *c, const struct weir_proxy_provider *provider)
{
  size_t i = 0;

  while (i < c->provider_count && strcmp(c->providers[i].name, provider->name) != 0)
    i++;
  if (i == WEIR_PROXY_PROVIDERS_MAX)
    return false;
  if (i == c->provider_count)
    c->provider_count++;
  c->providers[i] = *provider;
  key_find(&c->providers[i]);
  c->mounts[i] = (struct weir_mount){c->providers[i].name, provider->kind};
  return true;
}

/* "name=url" or "name:kind=url". NULL, or what is wrong. */
static const char *provider_read(struct weir_proxy_config *c, const char *text, size_t size)
{
  struct weir_proxy_provider p = {.kind = 0};
  const char *equals = memchr(text, '=', size);
  const char *colon = equals ? memchr(text, ':', (size_t)(equals - text)) : NULL;
  const char *end = colon ? colon : equals;
  char kind[16];

  if (!equals)
    return "is not of the form NAME=URL or NAME:KIND=URL";
  if (end == text || (size_t)(end - text) >= sizeof(p.name))
    return "has no name, or one of more than 31 letters";
  memcpy(p.name, text, (size_t)(end - text));
  for (const char *at = p.name; *at != '\0'; at++)
    if (!isalnum((unsigned char)*at) && !strchr("-_.", *at))
      return "has a name of other characters than letters, digits, '-', '_', '.'";
  if (colon && (size_t)(equals - colon) - 1 < sizeof(kind)) {
    snprintf(kind, sizeof(kind), "%.*s", (int)(equals - colon) - 1, colon + 1);
    p.kind = weir_provider_kind_parse(kind);
  } else if (!colon) {
    p.kind = weir_provider_kind_parse(p.name);
    p.kind = p.kind ? p.kind : WEIR_PROVIDER_COMPATIBLE;
  }
  if (!p.kind)
    return "has an unknown kind; known are gemini, vertex, openai, anthropic, compatible";
  size -= (size_t)(equals - text) + 1;
  while (size > 0 && equals[size] == '/')
    size--;
  if (size >= sizeof(p.base_url))
    return "has a URL of more than 255 characters";
  memcpy(p.base_url, equals + 1, size);
  if (!is_url(p.base_url))
    return "needs a URL that begins with http:// or https:// and names a host";
  return provider_set(c, &p) ? NULL : "is one too many: there may be 32";
}

static int providers_read(struct weir_proxy_config *c, FILE *errors)
{
  const char *text = getenv("WEIR_PROVIDERS");
  int wrong = 0;

  for (int kind = 1; kind < WEIR_PROVIDER_MAX; kind++) {
    const char *url = weir_provider_rules_of((enum weir_provider_kind)kind)->base_url;
    struct weir_proxy_provider p = {.kind = (enum weir_provider_kind)kind};

    if (!url)
      continue;
    snprintf(p.name, sizeof(p.name), "%s", weir_provider_kind_name(p.kind));
    snprintf(p.base_url, sizeof(p.base_url), "%s", url);
    (void)provider_set(c, &p); /* there is room for these */
  }
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
  for (size_t i = 0; i < c->provider_count; i++) {
    if (c->providers[i].key && !is_key(c->providers[i].key)) {
      fprintf(errors, "%s: the key holds spaces or line ends, or is above 8 KiB\n",
              c->providers[i].key_env);
      wrong++;
    }
  }
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
            "allows it\n",
            c->socket_fd ? "the socket that was handed over" : c->host);
    return 1;
  }
  if (c->is_wide && !c->token) {
    fprintf(errors, "WEIR_LISTEN: an address that other machines reach needs a "
                    "WEIR_PROXY_TOKEN\n");
    return 1;
  }
  return 0;
}

int weir_proxy_config_read(struct weir_proxy_config *ret_config, FILE *errors)
{
  struct weir_proxy_config *c = ret_config;
  int wrong = 0;

  *c = (struct weir_proxy_config){.coordinator = NULL};
  for (size_t i = 0; i < SETTINGS; i++) {
    const char *value = getenv(settings[i].name);

    if (!value)
      value = settings[i].fallback;
    if (!value || value_read(&settings[i], value, c))
      continue;
    fprintf(errors, "%s: \"%s\" is not understood: %s\n", settings[i].name, value,
            settings[i].help);
    wrong++;
  }
  if (c->token && !is_key(c->token)) {
    fprintf(errors, "WEIR_PROXY_TOKEN: it holds spaces or line ends\n");
    wrong++;
  }
  wrong += providers_read(c, errors);
  wrong += socket_read(c, errors);
  return wrong + (wrong == 0 ? listen_check(c, errors) : 0);
}

void weir_proxy_config_show(const struct weir_proxy_config *c, FILE *out)
{
  static const char *const outages[] = {"?", "wait", "closed", "open"};

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
            p->base_url, p->key ? "key of" : "no key in", p->key_env);
  }
}

void weir_proxy_config_help(FILE *out)
{
  for (size_t i = 0; i < SETTINGS; i++)
    fprintf(out, "  %-30s  %s%s%s%s\n", settings[i].name, settings[i].help,
            settings[i].fallback ? " (" : "", settings[i].fallback ? settings[i].fallback : "",
            settings[i].fallback ? ")" : "");
  fprintf(out,
          "  %-30s  further providers, NAME=URL or NAME:KIND=URL, separated by commas;\n"
          "  %-30s  a known name (openai, anthropic, gemini) gets another URL\n",
          "WEIR_PROVIDERS", "");
}
