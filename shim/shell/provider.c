/* provider.c - names and addresses of providers. */
#include "keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void weir_provider_entry_free(struct weir_provider_entry *entry)
{
  if (!entry)
    return;
  weir_key_free(entry->key);
  weir_keys_free(entry->keys);
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

static char *url_copy(const char *url)
{
  size_t size = strlen(url);

  while (size > 0 && url[size - 1] == '/')
    size--;
  return strndup(url, size);
}

static int make_entry(const struct weir *w, const struct weir_provider *provider,
                      struct weir_provider_entry **ret_entry)
{
  const char *kind_name = provider->kind ? provider->kind : provider->name;
  const enum weir_provider_kind kind = weir_provider_kind_parse(kind_name);
  const struct weir_provider_rules *rules = weir_provider_rules_of(kind);
  const char *url = provider->base_url ? provider->base_url : rules->base_url;
  struct weir_provider_entry *entry;
  int err = WEIR_ENOMEM;

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
  entry->base_url = url_copy(url);
  if (entry->base_url)
    err =
        weir_keys_new(w, provider, rules, entry->key_place, sizeof(entry->key_place), &entry->keys);
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
  struct weir_provider own;
  struct weir_provider_entry *entry;
  int err;

  if (!w || !provider || !weir_sized_read(provider, WEIR_PROVIDER_SIZE_FIRST, &own, sizeof(own)) ||
      !own.name || !*own.name || strlen(own.name) >= WEIR_POOL_NAME_SIZE || strchr(own.name, '/'))
    return WEIR_EINVAL;
  err = make_entry(w, &own, &entry);
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

/* A copy for a call, which must not see the provider change. */
static int copy(const struct weir_provider_entry *from, bool takes_key,
                struct weir_provider_entry **ret_entry)
{
  struct weir_provider_entry *entry = malloc(sizeof(*entry));

  if (!entry)
    return WEIR_ENOMEM;
  *entry = *from;
  entry->keys = NULL;
  entry->has_keys = weir_keys_count(from->keys) > 0;
  entry->base_url = strdup(from->base_url);
  if (takes_key && entry->has_keys)
    entry->key = weir_keys_take(from->keys);
  if (!entry->base_url || (takes_key && entry->has_keys && !entry->key)) {
    weir_provider_entry_free(entry);
    return WEIR_ENOMEM;
  }
  *ret_entry = entry;
  return WEIR_OK;
}

int weir_providers_find(const struct weir *w, const char *model, bool takes_key,
                        struct weir_provider_entry **ret_entry)
{
  const char *slash = strchr(model, '/');

  for (uint32_t i = 0; slash && i < w->providers_count; i++) {
    const struct weir_provider_entry *from = w->providers[i];

    if (strlen(from->name) == (size_t)(slash - model) &&
        strncmp(from->name, model, (size_t)(slash - model)) == 0)
      return copy(from, takes_key, ret_entry);
  }
  return WEIR_ENOENT;
}
