/* keyset.c - see keyset.h. */
#include "keyset.h"
#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_SIZE_MAX (WEIR_KEYS_MAX * (WEIR_KEY_SIZE_MAX + 2))

void weir_keyset_fini(struct weir_keyset *set)
{
  for (uint32_t i = 0; i < set->sources_count; i++) {
    free(set->sources[i].name);
    free(set->sources[i].other_name);
    weir_file_free(set->sources[i].bytes, set->sources[i].size);
  }
  *set = (struct weir_keyset){.sources_count = 0};
}

/* ---- the ring of all sources' keys ---- */

static bool is_same(const struct weir_keytext *a, const struct weir_keytext *b)
{
  return a->size == b->size && memcmp(a->at, b->at, a->size) == 0;
}

/* The number of |text| among |count| texts, or |count|. */
static uint32_t text_find(const struct weir_keytext *texts, uint32_t count,
                          const struct weir_keytext *text)
{
  uint32_t i = 0;

  while (i < count && !is_same(&texts[i], text))
    i++;
  return i;
}

uint32_t weir_keyset_find(const struct weir_keyset *set, const struct weir_keytext *text)
{
  return text_find(set->texts, set->ring.count, text);
}

/* Collects the keys of all sources, each once; false when there are too many. */
static bool texts_collect(const struct weir_keyset *set, struct weir_keytext *ret_texts,
                          uint32_t *ret_count)
{
  *ret_count = 0;
  for (uint32_t i = 0; i < set->sources_count; i++) {
    struct weir_key_scan scan;

    weir_key_scan_init(&scan, set->sources[i].bytes, set->sources[i].size);
    while (weir_key_scan_next(&scan)) {
      const struct weir_keytext text = {scan.key, scan.size};

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
static bool ring_make(struct weir_keyset *set)
{
  struct weir_keytext texts[WEIR_KEYS_MAX];
  struct weir_keyring ring;
  uint32_t count;

  if (!texts_collect(set, texts, &count))
    return false;
  weir_keyring_init(&ring, count);
  ring.next = set->ring.next;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t old = weir_keyset_find(set, &texts[i]);

    if (old < set->ring.count)
      ring.rests_until[i] = set->ring.rests_until[old];
  }
  set->ring = ring;
  memcpy(set->texts, texts, sizeof(texts));
  return true;
}

bool weir_keyset_put(struct weir_keyset *set, struct weir_keysource *source, char *bytes,
                     size_t size, char *why)
{
  char *const old = source->bytes;
  const size_t old_size = source->size;

  source->bytes = bytes;
  source->size = size;
  if (!ring_make(set)) {
    source->bytes = old;
    source->size = old_size;
    snprintf(why, WEIR_KEYSET_WHY_SIZE, "more than 64 keys; leave some out");
    return false;
  }
  weir_file_free(old, old_size); /* not before: the ring was compared with its keys */
  return true;
}

/* ---- sources ---- */

struct weir_keysource *weir_keyset_add(struct weir_keyset *set, enum weir_keysource_kind kind,
                                       const char *name, size_t size)
{
  struct weir_keysource *source = &set->sources[set->sources_count];

  source->kind = kind;
  source->name = strndup(name, size);
  if (!source->name)
    return NULL;
  set->sources_count++;
  return source;
}

bool weir_keyset_list(struct weir_keyset *set, const char *places, char *why)
{
  struct weir_keyref ref;
  int result;

  why[0] = '\0';
  while ((result = weir_keyref_next(&places, &ref)) > 0 && set->sources_count < WEIR_KEYS_MAX) {
    if (!weir_keyset_add(set, ref.is_file ? WEIR_KEYSOURCE_FILE : WEIR_KEYSOURCE_ENV, ref.name,
                         ref.size))
      return false;
  }
  if (result == 0 && set->sources_count > 0)
    return true;
  snprintf(why, WEIR_KEYSET_WHY_SIZE,
           "place %u of its keys %s; write env:NAME or file:/path, separated by commas",
           (unsigned)set->sources_count + 1,
           result > 0 ? "is one too many, 64 are the most" : "is none");
  return false;
}

void weir_keysource_show(const struct weir_keysource *source, char *ret_text)
{
  if (source->kind == WEIR_KEYSOURCE_GIVEN)
    snprintf(ret_text, WEIR_KEYSET_PLACE_SIZE, "the key that the program gave");
  else
    snprintf(ret_text, WEIR_KEYSET_PLACE_SIZE, "%s%.100s%s%.60s",
             source->kind == WEIR_KEYSOURCE_FILE ? "file:" : "env:", source->name,
             source->other_name ? " or " : "", source->other_name ? source->other_name : "");
}

/* ---- reading a source ---- */

static struct weir_keystamp stamp_of(const struct stat *s)
{
  return (struct weir_keystamp){
      .device = s->st_dev, .inode = s->st_ino, .size = s->st_size, .mtime = s->st_mtim};
}

bool weir_keysource_has_changed(const char *path, const struct weir_keystamp *stamp, bool is_warned)
{
  struct weir_keystamp now;
  struct stat s;

  if (stat(path, &s) != 0)
    return !is_warned; /* once, to tell of it */
  now = stamp_of(&s);
  return stamp->device != now.device || stamp->inode != now.inode || stamp->size != now.size ||
         stamp->mtime.tv_sec != now.mtime.tv_sec || stamp->mtime.tv_nsec != now.mtime.tv_nsec;
}

bool weir_keysource_check(const char *bytes, size_t size, bool is_optional, char *why)
{
  struct weir_key_scan scan;
  uint32_t count = 0;

  weir_key_scan_init(&scan, bytes, size);
  while (weir_key_scan_next(&scan))
    count++;
  if (scan.fault)
    snprintf(why, WEIR_KEYSET_WHY_SIZE, "the key on line %u %s; write one key a line",
             (unsigned)scan.line, scan.fault);
  else if (count == 0 && !is_optional)
    snprintf(why, WEIR_KEYSET_WHY_SIZE, "there is no key in it; write one key a line");
  else
    return true;
  return false;
}

static const char *env_read(const struct weir_keysource *source)
{
  const char *value = getenv(source->name);

  if ((!value || !*value) && source->other_name)
    value = getenv(source->other_name);
  return value ? value : "";
}

bool weir_keysource_read(const struct weir_keysource *source, bool is_optional,
                         struct weir_keystamp *ret_stamp, char **ret_bytes, size_t *ret_size,
                         char *why)
{
  struct stat stat;
  int error = 0;

  *ret_bytes = NULL;
  if (source->kind == WEIR_KEYSOURCE_FILE) {
    error = weir_file_read(source->name, FILE_SIZE_MAX, &stat, ret_bytes, ret_size);
    if (!error)
      *ret_stamp = stamp_of(&stat);
  } else {
    *ret_bytes = strdup(env_read(source));
    *ret_size = *ret_bytes ? strlen(*ret_bytes) : 0;
    error = *ret_bytes ? 0 : ENOMEM;
  }
  if (error) {
    snprintf(why, WEIR_KEYSET_WHY_SIZE, "it cannot be read: %s",
             error == EINVAL  ? "not a regular file"
             : error == EFBIG ? "larger than 64 keys of 8,192 bytes"
                              : strerror(error));
    return false;
  }
  if (weir_keysource_check(*ret_bytes, *ret_size, is_optional, why))
    return true;
  weir_file_free(*ret_bytes, *ret_size);
  *ret_bytes = NULL;
  return false;
}
