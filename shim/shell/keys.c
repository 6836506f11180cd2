/* keys.c - see keys.h. */
#define _DEFAULT_SOURCE /* explicit_bzero */
#include "keys.h"
#include "file.h"

#include <weir/keyring.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_US       WEIR_US_PER_S
#define FILE_SIZE_MAX (WEIR_KEYS_MAX * (WEIR_KEY_SIZE_MAX + 2))
#define WHY_SIZE      160

enum source_kind {
  SOURCE_GIVEN = 1, /* by the program: never changes */
  SOURCE_ENV,
  SOURCE_FILE
};

/* What tells that a file has changed. */
struct stamp {
  dev_t device;
  ino_t inode;
  off_t size;
  struct timespec mtime;
};

struct source {
  enum source_kind kind;
  bool is_optional; /* may hold no key */
  bool is_warned;   /* that it cannot be read any more */
  char *name;       /* the variable or the path */
  char *other_name; /* a variable that is read where the first is empty; NULL: none */
  struct stamp stamp;
  char *bytes; /* as they were read last */
  size_t size;
};

struct key_text {
  const char *at; /* in the bytes of a source */
  size_t size;
};

struct weir_keys {
  uint32_t users; /* its provider, and threads that read its sources again */
  struct weir_keyring ring;
  struct key_text texts[WEIR_KEYS_MAX];
  uint32_t sources_count;
  struct source sources[WEIR_KEYS_MAX];
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
  for (uint32_t i = 0; i < keys->sources_count; i++) {
    free(keys->sources[i].name);
    free(keys->sources[i].other_name);
    weir_file_free(keys->sources[i].bytes, keys->sources[i].size);
  }
  free(keys);
}

uint32_t weir_keys_count(const struct weir_keys *keys)
{
  return keys->ring.count;
}

/* ---- the ring of all sources' keys ---- */

static bool is_same(const struct key_text *a, const struct key_text *b)
{
  return a->size == b->size && memcmp(a->at, b->at, a->size) == 0;
}

/* The number of |text| among |count| texts, or |count|. */
static uint32_t text_find(const struct key_text *texts, uint32_t count, const struct key_text *text)
{
  uint32_t i = 0;

  while (i < count && !is_same(&texts[i], text))
    i++;
  return i;
}

/* Collects the keys of all sources, each once; false when there are too many. */
static bool texts_collect(const struct weir_keys *keys, struct key_text *ret_texts,
                          uint32_t *ret_count)
{
  *ret_count = 0;
  for (uint32_t i = 0; i < keys->sources_count; i++) {
    struct weir_key_scan scan;

    weir_key_scan_init(&scan, keys->sources[i].bytes, keys->sources[i].size);
    while (weir_key_scan_next(&scan)) {
      const struct key_text text = {scan.key, scan.size};

      if (text_find(ret_texts, *ret_count, &text) < *ret_count)
        continue;
      if (*ret_count == WEIR_KEYS_MAX)
        return false;
      ret_texts[(*ret_count)++] = text;
    }
  }
  return true;
}

/* Makes the ring anew; keys that stay go on resting. */
static bool ring_make(struct weir_keys *keys)
{
  struct key_text texts[WEIR_KEYS_MAX];
  struct weir_keyring ring;
  uint32_t count;

  if (!texts_collect(keys, texts, &count))
    return false;
  weir_keyring_init(&ring, count);
  ring.next = keys->ring.next;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t old = text_find(keys->texts, keys->ring.count, &texts[i]);

    if (old < keys->ring.count)
      ring.rests_until[i] = keys->ring.rests_until[old];
  }
  keys->ring = ring;
  memcpy(keys->texts, texts, sizeof(texts));
  return true;
}

/* Gives |source| other bytes, which it owns from now on; on false they are the caller's still, and
 * nothing has changed. */
static bool source_set(struct weir_keys *keys, struct source *source, char *bytes, size_t size)
{
  char *const old = source->bytes;
  const size_t old_size = source->size;

  source->bytes = bytes;
  source->size = size;
  if (!ring_make(keys)) {
    source->bytes = old;
    source->size = old_size;
    return false;
  }
  weir_file_free(old, old_size); /* not before: the ring was compared with its keys */
  return true;
}

/* ---- reading a source ---- */

static struct stamp stamp_of(const struct stat *s)
{
  return (struct stamp){
      .device = s->st_dev, .inode = s->st_ino, .size = s->st_size, .mtime = s->st_mtim};
}

static bool is_same_stamp(const struct stamp *a, const struct stamp *b)
{
  return a->device == b->device && a->inode == b->inode && a->size == b->size &&
         a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

static bool is_fine(const char *bytes, size_t size, bool is_optional, char why[WHY_SIZE])
{
  struct weir_key_scan scan;
  uint32_t count = 0;

  weir_key_scan_init(&scan, bytes, size);
  while (weir_key_scan_next(&scan))
    count++;
  if (scan.fault)
    snprintf(why, WHY_SIZE, "the key on line %u %s; write one key a line", (unsigned)scan.line,
             scan.fault);
  else if (count == 0 && !is_optional)
    snprintf(why, WHY_SIZE, "there is no key in it; write one key a line");
  else
    return true;
  return false;
}

static const char *env_read(const struct source *source)
{
  const char *value = getenv(source->name);

  if ((!value || !*value) && source->other_name)
    value = getenv(source->other_name);
  return value ? value : "";
}

/* Reads what |source| names and looks whether it holds keys, or with |is_optional| none; |why|
 * tells what is wrong. The caller frees *ret_bytes with weir_file_free. */
static bool source_read(const struct source *source, bool is_optional, struct stamp *ret_stamp,
                        char **ret_bytes, size_t *ret_size, char why[WHY_SIZE])
{
  struct stat stat;
  int error = 0;

  *ret_bytes = NULL;
  if (source->kind == SOURCE_FILE) {
    error = weir_file_read(source->name, FILE_SIZE_MAX, &stat, ret_bytes, ret_size);
    if (!error)
      *ret_stamp = stamp_of(&stat);
  } else {
    *ret_bytes = strdup(env_read(source));
    *ret_size = *ret_bytes ? strlen(*ret_bytes) : 0;
    error = *ret_bytes ? 0 : ENOMEM;
  }
  if (error) {
    snprintf(why, WHY_SIZE, "it cannot be read: %s",
             error == EINVAL  ? "not a regular file"
             : error == EFBIG ? "larger than 64 keys of 8,192 bytes"
                              : strerror(error));
    return false;
  }
  if (is_fine(*ret_bytes, *ret_size, is_optional, why))
    return true;
  weir_file_free(*ret_bytes, *ret_size);
  *ret_bytes = NULL;
  return false;
}

/* ---- a new provider ---- */

static struct source *source_add(struct weir_keys *keys, enum source_kind kind, const char *name,
                                 size_t size)
{
  struct source *source = &keys->sources[keys->sources_count];

  source->kind = kind;
  source->name = strndup(name, size);
  if (!source->name)
    return NULL;
  keys->sources_count++;
  return source;
}

static int sources_of_list(const struct weir *w, struct weir_keys *keys,
                           const struct weir_provider *provider)
{
  const char *at = provider->keys;
  struct weir_keyref ref;
  int result;

  while ((result = weir_keyref_next(&at, &ref)) > 0 && keys->sources_count < WEIR_KEYS_MAX) {
    if (!source_add(keys, ref.is_file ? SOURCE_FILE : SOURCE_ENV, ref.name, ref.size))
      return WEIR_ENOMEM;
  }
  if (result == 0 && keys->sources_count > 0)
    return WEIR_OK;
  /* What stands there may be a key: it is not shown. */
  weir_log(
      w, WEIR_LEVEL_ERROR,
      "provider %s: place %u of its keys %s; write env:NAME or file:/path, separated by commas",
      provider->name, (unsigned)keys->sources_count + 1,
      result > 0 ? "is one too many, 64 are the most" : "is none");
  return WEIR_ECONFIG;
}

static int sources_of_env(struct weir_keys *keys, const struct weir_provider *provider,
                          const struct weir_provider_rules *rules)
{
  const char *name = provider->key_env ? provider->key_env : rules->key_envs[0];
  struct source *source;

  if (!name)
    return WEIR_OK;
  source = source_add(keys, SOURCE_ENV, name, strlen(name));
  if (!source)
    return WEIR_ENOMEM;
  source->is_optional = true;
  if (provider->key_env || !rules->key_envs[1])
    return WEIR_OK;
  source->other_name = strdup(rules->key_envs[1]);
  return source->other_name ? WEIR_OK : WEIR_ENOMEM;
}

static void source_show(const struct source *source, char *ret_text, size_t size)
{
  if (source->kind == SOURCE_GIVEN)
    snprintf(ret_text, size, "the key that the program gave");
  else
    snprintf(ret_text, size, "%s%.100s%s%.60s",
             source->kind == SOURCE_FILE ? "file:" : "env:", source->name,
             source->other_name ? " or " : "", source->other_name ? source->other_name : "");
}

static int source_fill(const struct weir *w, struct weir_keys *keys, struct source *source,
                       const struct weir_provider *provider)
{
  char why[WHY_SIZE] = "", place[WHY_SIZE + 16], *bytes = NULL;
  bool is_good;
  size_t size;

  if (source->kind == SOURCE_GIVEN && provider->key) {
    bytes = strdup(provider->key);
    size = bytes ? strlen(bytes) : 0;
    is_good = bytes && is_fine(bytes, size, false, why);
  } else {
    is_good = source_read(source, source->is_optional, &source->stamp, &bytes, &size, why);
  }
  if (is_good && !source_set(keys, source, bytes, size)) {
    snprintf(why, sizeof(why), "more than 64 keys; leave some out");
    is_good = false;
  }
  if (is_good)
    return WEIR_OK;
  weir_file_free(bytes, bytes ? size : 0);
  source_show(source, place, sizeof(place));
  weir_log(w, WEIR_LEVEL_ERROR, "provider %s: %s: %s", provider->name, place,
           why[0] ? why : "out of memory");
  return why[0] ? WEIR_ECONFIG : WEIR_ENOMEM;
}

static void place_show(const struct weir_keys *keys, const struct weir_provider *provider,
                       char *ret_place, size_t size)
{
  const struct source *source = &keys->sources[0];

  ret_place[0] = '\0';
  if (provider->keys)
    snprintf(ret_place, size, "%s", provider->keys);
  else if (keys->sources_count > 0 && source->kind == SOURCE_ENV)
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
    err = source_add(keys, SOURCE_GIVEN, "", 0) ? WEIR_OK : WEIR_ENOMEM;
  else
    err = sources_of_env(keys, provider, rules);
  for (uint32_t i = 0; !err && i < keys->sources_count; i++)
    err = source_fill(w, keys, &keys->sources[i], provider);
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
  const struct key_text *text = &keys->texts[weir_keyring_take(&keys->ring, weir_now())];

  return strndup(text->at, text->size);
}

void weir_keys_reject(struct weir *w, const struct weir_provider_entry *entry,
                      enum weir_outcome outcome)
{
  struct weir_keys *keys;
  struct key_text text;
  uint32_t number = 0, count = 0;

  if (outcome != WEIR_OUTCOME_AUTH || !entry->key)
    return;
  text = (struct key_text){entry->key, strlen(entry->key)};
  pthread_mutex_lock(&w->lock);
  keys = keys_of(w, entry->name);
  if (keys) {
    count = keys->ring.count;
    number = text_find(keys->texts, count, &text);
    if (number < count)
      weir_keyring_reject(&keys->ring, number, weir_now());
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
      keys && weir_keyring_is_again(&keys->ring, outcome, attempt, w->retries_max, weir_now());
  pthread_mutex_unlock(&w->lock);
  return is_again;
}

/* ---- reading again ---- */

/* Reads |source| again and tells people what changed about it. Its name and kind never change, the
 * rest does so under the lock only. */
static bool source_reload(struct weir *w, const char *provider, struct weir_keys *keys,
                          struct source *source)
{
  struct stamp stamp = {0};
  char why[WHY_SIZE] = "", place[WHY_SIZE + 16], *bytes;
  bool is_good, is_optional, was_warned;
  size_t size = 0;

  pthread_mutex_lock(&w->lock);
  is_optional = source->is_optional && source->size == 0; /* what was there is not lost */
  pthread_mutex_unlock(&w->lock);
  is_good = source_read(source, is_optional, &stamp, &bytes, &size, why);
  pthread_mutex_lock(&w->lock);
  if (is_good && !source_set(keys, source, bytes, size)) {
    weir_file_free(bytes, size);
    snprintf(why, sizeof(why), "more than 64 keys; leave some out");
    is_good = false;
  }
  was_warned = source->is_warned;
  source->is_warned = !is_good;
  source->stamp = stamp; /* nothing where the file cannot be opened */
  pthread_mutex_unlock(&w->lock);
  source_show(source, place, sizeof(place));
  if (!is_good && !was_warned)
    weir_log(w, WEIR_LEVEL_WARNING, "provider %s: %s: %s; its former keys stay", provider, place,
             why);
  else if (is_good && was_warned)
    weir_log(w, WEIR_LEVEL_INFO, "provider %s: %s is read again", provider, place);
  return is_good;
}

static bool has_changed(struct weir *w, const struct source *source)
{
  struct stamp stamp, now;
  struct stat s;
  bool is_warned;

  pthread_mutex_lock(&w->lock);
  stamp = source->stamp;
  is_warned = source->is_warned;
  pthread_mutex_unlock(&w->lock);
  if (stat(source->name, &s) != 0)
    return !is_warned; /* once, to tell of it */
  now = stamp_of(&s);
  return !is_same_stamp(&stamp, &now);
}

/* Looks at all sources: those of files that have changed, or with |is_all| every one. False when
 * one could not be read. */
static bool sources_look(struct weir *w, const char *provider, struct weir_keys *keys, bool is_all)
{
  bool are_good = true;

  for (uint32_t i = 0; i < keys->sources_count; i++) {
    struct source *source = &keys->sources[i];

    if (source->kind == SOURCE_GIVEN)
      continue;
    if (is_all || (source->kind == SOURCE_FILE && has_changed(w, source)))
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
