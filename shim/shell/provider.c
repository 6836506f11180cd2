/* provider.c - names, addresses and keys of providers. */
#include "handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void weir_provider_entry_free(struct weir_provider_entry *entry)
{
  if (!entry)
    return;
  free(entry->key);
  free(entry->base_url);
  free(entry);
}

static bool is_url(const char *text)
{
  const char *host = NULL;

  if (strncmp(text, "https://", 8) == 0)
    host = text + 8;
  else if (strncmp(text, "http://", 7) == 0)
    host = text + 7;
  if (!host || !*host || *host == '/')
    return false;
  for (const char *at = text; *at; at++) {
    if (*at <= 0x20 || *at > 0x7e || *at == '?' || *at == '#')
      return false;
  }
  return true;
}

/* A key goes into a header line: what would break out of it is no key. */
static bool is_key(const char *text)
{
  for (const char *at = text; *at; at++) {
    if (*at <= 0x20 || *at > 0x7e)
      return false;
  }
  return *text != '\0';
}

static const char *key_from_env(const struct weir_provider *provider,
                                const struct weir_provider_rules *rules,
                                struct weir_provider_entry *entry)
{
  const char *names[2] = {rules->key_envs[0], rules->key_envs[1]};

  if (provider->key_env) {
    names[0] = provider->key_env;
    names[1] = NULL;
  }
  if (names[0])
    snprintf(entry->key_env, sizeof(entry->key_env), "%s%s%s", names[0], names[1] ? " or " : "",
             names[1] ? names[1] : "");
  for (int i = 0; i < 2; i++) {
    const char *key = names[i] ? getenv(names[i]) : NULL;

    if (key && *key)
      return key;
  }
  return NULL;
}

static int fill_strings(struct weir_provider_entry *entry, const char *url, const char *key)
{
  size_t size = strlen(url);

  while (size > 0 && url[size - 1] == '/')
    size--;
  entry->base_url = strndup(url, size);
  if (key)
    entry->key = strdup(key);
  return entry->base_url && (entry->key || !key) ? WEIR_OK : WEIR_ENOMEM;
}

static int make_entry(const struct weir *w, const struct weir_provider *provider,
                      struct weir_provider_entry **ret_entry)
{
  const char *kind_name = provider->kind ? provider->kind : provider->name;
  const enum weir_provider_kind kind = weir_provider_kind_parse(kind_name);
  const struct weir_provider_rules *rules = weir_provider_rules_of(kind);
  const char *url = provider->base_url ? provider->base_url : rules->base_url;
  const char *key;
  struct weir_provider_entry *entry;
  int err;

  if (!kind || !url || !is_url(url)) {
    weir_log(w, WEIR_LEVEL_ERROR, "provider %s: %s", provider->name,
             !kind  ? "unknown kind; known are gemini, vertex, openai, anthropic, compatible"
             : !url ? "this kind needs a base_url"
                    : "base_url has to begin with http:// or https:// and name a host");
    return WEIR_ECONFIG;
  }
  entry = calloc(1, sizeof(*entry));
  if (!entry)
    return WEIR_ENOMEM;
  snprintf(entry->name, sizeof(entry->name), "%s", provider->name);
  entry->kind = kind;
  entry->is_own_url = !provider->base_url;
  key = provider->key ? provider->key : key_from_env(provider, rules, entry);
  if (key && !is_key(key)) {
    weir_log(w, WEIR_LEVEL_ERROR, "provider %s: its key is empty or holds spaces or line ends",
             provider->name);
    err = WEIR_ECONFIG;
  } else {
    err = fill_strings(entry, url, key);
  }
  if (err)
    weir_provider_entry_free(entry);
  else
    *ret_entry = entry;
  return err;
}

/* Precondition: the lock is held, or nobody else has the handle yet. */
static int add(struct weir *w, struct weir_provider_entry *entry)
{
  for (uint32_t i = 0; i < w->providers_count; i++) {
    if (strcmp(w->providers[i]->name, entry->name) == 0) {
      weir_provider_entry_free(w->providers[i]);
      w->providers[i] = entry;
      return WEIR_OK;
    }
  }
  if (w->providers_count == WEIR_PROVIDERS_MAX)
    return WEIR_EFULL;
  w->providers[w->providers_count++] = entry;
  return WEIR_OK;
}

int weir_provider_add(struct weir *w, const struct weir_provider *provider)
{
  struct weir_provider_entry *entry;
  int err;

  if (!w || !provider || provider->size != sizeof(*provider) || !provider->name ||
      !*provider->name || strlen(provider->name) >= WEIR_POOL_NAME_SIZE ||
      strchr(provider->name, '/'))
    return WEIR_EINVAL;
  err = make_entry(w, provider, &entry);
  if (err)
    return err;
  err = weir_enter(w);
  if (err) {
    weir_provider_entry_free(entry);
    return err;
  }
  err = add(w, entry);
  if (err)
    weir_provider_entry_free(entry);
  weir_leave(w);
  return err;
}

int weir_providers_init(struct weir *w)
{
  for (int kind = 1; kind < WEIR_PROVIDER_MAX; kind++) {
    struct weir_provider provider = WEIR_INIT(struct weir_provider);
    struct weir_provider_entry *entry;
    int err;

    if (!weir_provider_rules_of((enum weir_provider_kind)kind)->base_url)
      continue; /* wants a URL, so it has to be added */
    provider.name = weir_provider_kind_name((enum weir_provider_kind)kind);
    err = make_entry(w, &provider, &entry);
    if (!err)
      err = add(w, entry);
    if (err == WEIR_ENOMEM)
      return err;
    /* A bad key in the environment does not keep the other providers from working. */
  }
  return WEIR_OK;
}

void weir_providers_free(struct weir *w)
{
  for (uint32_t i = 0; i < w->providers_count; i++)
    weir_provider_entry_free(w->providers[i]);
  w->providers_count = 0;
}

int weir_providers_find(const struct weir *w, const char *model,
                        struct weir_provider_entry **ret_entry)
{
  const char *slash = strchr(model, '/');

  for (uint32_t i = 0; slash && i < w->providers_count; i++) {
    const struct weir_provider_entry *from = w->providers[i];
    struct weir_provider_entry *copy;

    if (strlen(from->name) != (size_t)(slash - model) ||
        strncmp(from->name, model, (size_t)(slash - model)) != 0)
      continue;
    copy = malloc(sizeof(*copy));
    if (!copy)
      return WEIR_ENOMEM;
    *copy = *from;
    copy->key = NULL;
    if (fill_strings(copy, from->base_url, from->key) != WEIR_OK) {
      weir_provider_entry_free(copy);
      return WEIR_ENOMEM;
    }
    *ret_entry = copy;
    return WEIR_OK;
  }
  return WEIR_ENOENT;
}
