/* keys.c - see keys.h. */
#define _DEFAULT_SOURCE /* explicit_bzero */
#include "keys.h"
#include "file.h"
#include "keyset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_US WEIR_US_PER_S

struct weir_keys {
  uint32_t users; /* its provider, and threads that read its sources again */
  struct weir_keyset set;
};

void weir_key_free(char *key)
{
  if (key)
    weir_file_free(key, strlen(key));
}

void weir_keys_free(struct weir_keys *keys)
{
  if (!keys || --keys->users > 0)
    return;
  weir_keyset_fini(&keys->set);
  free(keys);
}

uint32_t weir_keys_count(const struct weir_keys *keys)
{
  return keys->set.ring.count;
}

/* ---- a new provider ---- */

static int sources_of_list(const struct weir *w, struct weir_keys *keys,
                           const struct weir_provider *provider)
{
  char why[WEIR_KEYSET_WHY_SIZE];

  if (weir_keyset_list(&keys->set, provider->keys, why))
    return WEIR_OK;
  if (!why[0])
    return WEIR_ENOMEM;
  weir_log(w, WEIR_LEVEL_ERROR, "provider %s: %s", provider->name, why);
  return WEIR_ECONFIG;
}

static int sources_of_env(struct weir_keys *keys, const struct weir_provider *provider,
                          const struct weir_provider_rules *rules)
{
  const char *name = provider->key_env ? provider->key_env : rules->key_envs[0];
  struct weir_keysource *source;

  if (!name)
    return WEIR_OK;
  source = weir_keyset_add(&keys->set, WEIR_KEYSOURCE_ENV, name, strlen(name));
  if (!source)
    return WEIR_ENOMEM;
  source->is_optional = true;
  if (provider->key_env || !rules->key_envs[1])
    return WEIR_OK;
  source->other_name = strdup(rules->key_envs[1]);
  return source->other_name ? WEIR_OK : WEIR_ENOMEM;
}

static int source_fill(const struct weir *w, struct weir_keys *keys, struct weir_keysource *source,
                       const struct weir_provider *provider)
{
  char why[WEIR_KEYSET_WHY_SIZE] = "", place[WEIR_KEYSET_PLACE_SIZE], *bytes = NULL;
  bool is_good;
  size_t size;

  if (source->kind == WEIR_KEYSOURCE_GIVEN && provider->key) {
    bytes = strdup(provider->key);
    size = bytes ? strlen(bytes) : 0;
    is_good = bytes && weir_keysource_check(bytes, size, false, why);
  } else {
    is_good = weir_keysource_read(source, source->is_optional, &source->stamp, &bytes, &size, why);
  }
  if (is_good)
    is_good = weir_keyset_put(&keys->set, source, bytes, size, why);
  if (is_good)
    return WEIR_OK;
  weir_file_free(bytes, bytes ? size : 0);
  weir_keysource_show(source, place);
  weir_log(w, WEIR_LEVEL_ERROR, "provider %s: %s: %s", provider->name, place,
           why[0] ? why : "out of memory");
  return why[0] ? WEIR_ECONFIG : WEIR_ENOMEM;
}

static void place_show(const struct weir_keys *keys, const struct weir_provider *provider,
                       char *ret_place, size_t size)
{
  const struct weir_keysource *source = &keys->set.sources[0];

  ret_place[0] = '\0';
  if (provider->keys)
    snprintf(ret_place, size, "%s", provider->keys);
  else if (keys->set.sources_count > 0 && source->kind == WEIR_KEYSOURCE_ENV)
    snprintf(ret_place, size, "%s%s%s", source->name, source->other_name ? " or " : "",
             source->other_name ? source->other_name : "");
}

int weir_keys_new(const struct weir *w, const struct weir_provider *provider,
                  const struct weir_provider_rules *rules, char *ret_place, size_t place_size,
                  struct weir_keys **ret_keys)
{
  struct weir_keys *keys = calloc(1, sizeof(*keys));
  int err;

  if (!keys)
    return WEIR_ENOMEM;
  keys->users = 1;
  if (provider->keys)
    err = sources_of_list(w, keys, provider);
  else if (provider->key)
    err = weir_keyset_add(&keys->set, WEIR_KEYSOURCE_GIVEN, "", 0) ? WEIR_OK : WEIR_ENOMEM;
  else
    err = sources_of_env(keys, provider, rules);
  for (uint32_t i = 0; !err && i < keys->set.sources_count; i++)
    err = source_fill(w, keys, &keys->set.sources[i], provider);
  if (err) {
    weir_keys_free(keys);
    return err;
  }
  place_show(keys, provider, ret_place, place_size);
  *ret_keys = keys;
  return WEIR_OK;
}

/* ---- calls ---- */

/* Precondition: the lock is held. */
static struct weir_keys *keys_of(const struct weir *w, const char *provider)
{
  for (uint32_t i = 0; i < w->providers_count; i++) {
    if (strcmp(w->providers[i]->name, provider) == 0)
      return w->providers[i]->keys;
  }
  return NULL;
}

char *weir_keys_take(struct weir_keys *keys)
{
  const struct weir_keytext *text =
      &keys->set.texts[weir_keyring_take(&keys->set.ring, weir_now())];

  return strndup(text->at, text->size);
}

void weir_keys_reject(struct weir *w, const struct weir_provider_entry *entry,
                      enum weir_outcome outcome)
{
  struct weir_keys *keys;
  struct weir_keytext text;
  uint32_t number = 0, count = 0;

  if (outcome != WEIR_OUTCOME_AUTH || !entry->key)
    return;
  text = (struct weir_keytext){entry->key, strlen(entry->key)};
  pthread_mutex_lock(&w->lock);
  keys = keys_of(w, entry->name);
  if (keys) {
    count = keys->set.ring.count;
    number = weir_keyset_find(&keys->set, &text);
    if (number < count)
      weir_keyring_reject(&keys->set.ring, number, weir_now());
  }
  pthread_mutex_unlock(&w->lock);
  if (number < count)
    weir_log(w, WEIR_LEVEL_WARNING,
             "provider %s: key %u of %u was rejected%s: is it revoked? Change it in %s",
             entry->name, (unsigned)number + 1, (unsigned)count,
             count > 1 ? ", and is left out for 5 minutes" : "",
             entry->key_place[0] ? entry->key_place : "the program");
}

bool weir_keys_is_again(struct weir *w, const struct weir_provider_entry *entry,
                        enum weir_outcome outcome, uint32_t attempt)
{
  const struct weir_keys *keys;
  bool is_again;

  pthread_mutex_lock(&w->lock);
  keys = keys_of(w, entry->name);
  is_again =
      keys && weir_keyring_is_again(&keys->set.ring, outcome, attempt, w->retries_max, weir_now());
  pthread_mutex_unlock(&w->lock);
  return is_again;
}

/* ---- reading again ---- */

/* Reads |source| again and tells people what changed about it. Its name and kind never change, the
 * rest does so under the lock only. */
static bool source_reload(struct weir *w, const char *provider, struct weir_keys *keys,
                          struct weir_keysource *source)
{
  struct weir_keystamp stamp = {0};
  char why[WEIR_KEYSET_WHY_SIZE] = "", place[WEIR_KEYSET_PLACE_SIZE], *bytes;
  bool is_good, is_optional, was_warned;
  size_t size = 0;

  pthread_mutex_lock(&w->lock);
  is_optional = source->is_optional && source->size == 0; /* what was there is not lost */
  pthread_mutex_unlock(&w->lock);
  is_good = weir_keysource_read(source, is_optional, &stamp, &bytes, &size, why);
  pthread_mutex_lock(&w->lock);
  if (is_good && !weir_keyset_put(&keys->set, source, bytes, size, why)) {
    weir_file_free(bytes, size);
    is_good = false;
  }
  was_warned = source->is_warned;
  source->is_warned = !is_good;
  source->stamp = stamp; /* nothing where the file cannot be opened */
  pthread_mutex_unlock(&w->lock);
  weir_keysource_show(source, place);
  if (!is_good && !was_warned)
    weir_log(w, WEIR_LEVEL_WARNING, "provider %s: %s: %s; its former keys stay", provider, place,
             why);
  else if (is_good && was_warned)
    weir_log(w, WEIR_LEVEL_INFO, "provider %s: %s is read again", provider, place);
  return is_good;
}

static bool has_changed(struct weir *w, const struct weir_keysource *source)
{
  struct weir_keystamp stamp;
  bool is_warned;

  pthread_mutex_lock(&w->lock);
  stamp = source->stamp;
  is_warned = source->is_warned;
  pthread_mutex_unlock(&w->lock);
  return weir_keysource_has_changed(source->name, &stamp, is_warned);
}

/* Looks at all sources: those of files that have changed, or with |is_all| every one. False when
 * one could not be read. */
static bool sources_look(struct weir *w, const char *provider, struct weir_keys *keys, bool is_all)
{
  bool are_good = true;

  for (uint32_t i = 0; i < keys->set.sources_count; i++) {
    struct weir_keysource *source = &keys->set.sources[i];

    if (source->kind == WEIR_KEYSOURCE_GIVEN)
      continue;
    if (is_all || (source->kind == WEIR_KEYSOURCE_FILE && has_changed(w, source)))
      are_good &= source_reload(w, provider, keys, source);
  }
  return are_good;
}

/* Precondition: the caller is inside, the lock is not held. */
static bool providers_look(struct weir *w, bool is_all)
{
  bool are_good = true;

  pthread_mutex_lock(&w->lock);
  for (uint32_t i = 0; i < w->providers_count; i++) {
    struct weir_keys *keys = w->providers[i]->keys;
    char name[WEIR_POOL_NAME_SIZE];

    memcpy(name, w->providers[i]->name, sizeof(name));
    keys->users++; /* the provider may be replaced meanwhile */
    pthread_mutex_unlock(&w->lock);
    are_good &= sources_look(w, name, keys, is_all);
    pthread_mutex_lock(&w->lock);
    weir_keys_free(keys);
  }
  pthread_mutex_unlock(&w->lock);
  return are_good;
}

void weir_keys_refresh(struct weir *w)
{
  const weir_tstamp now = weir_now();
  bool is_time;

  pthread_mutex_lock(&w->lock);
  is_time = now >= weir_time_add(w->keys_looked_at, LOOK_US);
  if (is_time)
    w->keys_looked_at = now;
  pthread_mutex_unlock(&w->lock);
  if (is_time)
    (void)providers_look(w, false); /* it has said what is wrong */
}

int weir_keys_reload(struct weir *w)
{
  bool are_good;
  int err = w ? weir_enter(w) : WEIR_EINVAL;

  if (err)
    return err;
  pthread_mutex_unlock(&w->lock);
  are_good = providers_look(w, true);
  pthread_mutex_lock(&w->lock);
  weir_leave(w);
  return are_good ? WEIR_OK : WEIR_ECONFIG;
}
