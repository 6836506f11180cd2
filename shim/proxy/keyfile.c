#include "keyfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file.h"

#define LOOK_US       WEIR_US_PER_S
#define FILE_SIZE_MAX (WEIR_KEYS_MAX * (WEIR_KEY_SIZE_MAX + 2))
#define STAMPS_MAX    64 /* places */

struct text {
  const char *at;
  size_t size;
};

/* What tells that a file has changed. */
struct stamp {
  dev_t device;
  ino_t inode;
  off_t size;
  struct timespec mtime;
};

/* All places as they were read once. */
struct reading {
  char *bytes; /* one key a line */
  size_t size;
  struct text texts[WEIR_KEYS_MAX];
  uint32_t count;
  struct stamp stamps[STAMPS_MAX];
};

struct weir_keyfile {
  char *name, *places;
  struct reading now;
  uint64_t number;
  struct weir_keyring ring;
  weir_tstamp looked_at;
  bool is_warned; /* that the files cannot be read any more */
};

/* ---- reading ---- */

static bool is_same(const struct text *a, const struct text *b)
{
  return a->size == b->size && memcmp(a->at, b->at, a->size) == 0;
}

/* The number of |text| among the keys of |r|, or their count. */
static uint32_t text_find(const struct reading *r, const struct text *text)
{
  uint32_t i = 0;

  while (i < r->count && !is_same(&r->texts[i], text))
    i++;
  return i;
}

static bool is_same_stamp(const struct stamp *a, const struct stamp *b)
{
  return a->device == b->device && a->inode == b->inode && a->size == b->size &&
         a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

static struct stamp stamp_of(const struct stat *s)
{
  return (struct stamp){
      .device = s->st_dev, .inode = s->st_ino, .size = s->st_size, .mtime = s->st_mtim};
}

/* Adds |size| bytes and a line's end. */
static bool bytes_add(struct reading *r, const char *bytes, size_t size)
{
  char *grown = malloc(r->size + size + 1);

  if (!grown)
    return false;
  if (r->size > 0)
    memcpy(grown, r->bytes, r->size);
  memcpy(grown + r->size, bytes, size);
  grown[r->size + size] = '\n';
  weir_file_free(r->bytes, r->size); /* not by realloc, which would leave keys behind */
  r->bytes = grown;
  r->size += size + 1;
  return true;
}

/* NULL, or why the key on |*ret_line| of |bytes| is none. */
static const char *flaw_of(const char *bytes, size_t size, uint32_t *ret_line)
{
  struct weir_key_scan scan;
  uint32_t count = 0;

  weir_key_scan_init(&scan, bytes, size);
  while (weir_key_scan_next(&scan))
    count++;
  *ret_line = scan.fault ? scan.line : 1;
  return scan.fault ? scan.fault : count == 0 ? "is missing" : NULL;
}

/* Reads one place. */
static bool place_read(struct reading *r, const struct weir_keyref *ref, struct stamp *ret_stamp,
                       char *why)
{
  char name[WEIR_KEYFILE_WHY_SIZE], *bytes = NULL;
  const char *flaw;
  struct stat stat;
  uint32_t line;
  size_t size;
  int error = 0;

  if (ref->size >= sizeof(name) - 8) {
    snprintf(why, WEIR_KEYFILE_WHY_SIZE, "the name of a place is too long");
    return false;
  }
  snprintf(name, sizeof(name), "%.*s", (int)ref->size, ref->name);
  if (ref->is_file) {
    error = weir_file_read(name, FILE_SIZE_MAX, &stat, &bytes, &size);
    if (!error)
      *ret_stamp = stamp_of(&stat);
  } else {
    const char *value = getenv(name);

    bytes = strdup(value ? value : "");
    size = bytes ? strlen(bytes) : 0;
    error = bytes ? 0 : ENOMEM;
  }
  if (error) {
    snprintf(why, WEIR_KEYFILE_WHY_SIZE, "%.150s cannot be read: %.60s", name,
             error == EINVAL ? "it is not a regular file" : strerror(error));
    return false;
  }
  flaw = flaw_of(bytes, size, &line);
  if (flaw)
    snprintf(why, WEIR_KEYFILE_WHY_SIZE, "%.120s: the key on line %u %s; write one key a line",
             name, (unsigned)line, flaw);
  else if (!bytes_add(r, bytes, size))
    snprintf(why, WEIR_KEYFILE_WHY_SIZE, "%s", flaw = "out of memory");
  weir_file_free(bytes, size);
  return !flaw;
}

/* Collects the keys of all places, each once. */
static bool texts_collect(struct reading *r, char *why)
{
  struct weir_key_scan scan;

  weir_key_scan_init(&scan, r->bytes, r->size);
  while (weir_key_scan_next(&scan)) {
    const struct text text = {scan.key, scan.size};

    if (text_find(r, &text) < r->count)
      continue;
    if (r->count == WEIR_KEYS_MAX) {
      snprintf(why, WEIR_KEYFILE_WHY_SIZE, "more than %d keys; leave some out", WEIR_KEYS_MAX);
      return false;
    }
    r->texts[r->count++] = text;
  }
  return true;
}

static bool reading_make(struct reading *r, const char *places, char *why)
{
  struct weir_keyref ref;
  uint32_t place = 0;
  int result = 1;

  *r = (struct reading){.bytes = NULL};
  while (place < STAMPS_MAX && (result = weir_keyref_next(&places, &ref)) > 0) {
    if (!place_read(r, &ref, &r->stamps[place], why))
      result = -2;
    if (result < 0)
      break;
    place++;
  }
  /* What stands at a place that is none may be a key: it is not shown. */
  if (result == -1 || (result == 0 && place == 0) || (result > 0 && *places != '\0'))
    snprintf(why, WEIR_KEYFILE_WHY_SIZE,
             "place %u is none, or one too many; write env:NAME or file:/path, separated by commas",
             (unsigned)place + 1);
  else if (result != -2 && texts_collect(r, why))
    return true;
  weir_file_free(r->bytes, r->size);
  r->bytes = NULL;
  return false;
}

/* ---- open and close ---- */

struct weir_keyfile *weir_keyfile_open(const char *name, const char *places, char *why)
{
  struct weir_keyfile *keys = calloc(1, sizeof(*keys));

  snprintf(why, WEIR_KEYFILE_WHY_SIZE, "out of memory");
  if (!keys)
    return NULL;
  keys->name = strdup(name);
  keys->places = strdup(places);
  if (!keys->name || !keys->places || !reading_make(&keys->now, places, why)) {
    weir_keyfile_close(keys);
    return NULL;
  }
  weir_keyring_init(&keys->ring, keys->now.count);
  return keys;
}

void weir_keyfile_close(struct weir_keyfile *keys)
{
  if (!keys)
    return;
  weir_file_free(keys->now.bytes, keys->now.size);
  free(keys->name);
  free(keys->places);
  free(keys);
}

uint32_t weir_keyfile_count(const struct weir_keyfile *keys)
{
  return keys->now.count;
}

/* ---- reading again ---- */

static bool has_changed(const struct weir_keyfile *keys)
{
  const char *at = keys->places;
  struct weir_keyref ref;

  for (uint32_t i = 0; i < STAMPS_MAX && weir_keyref_next(&at, &ref) > 0; i++) {
    char path[WEIR_KEYFILE_WHY_SIZE];
    struct stamp stamp;
    struct stat s;

    if (!ref.is_file)
      continue;
    snprintf(path, sizeof(path), "%.*s", (int)ref.size, ref.name);
    if (stat(path, &s) != 0)
      return true;
    stamp = stamp_of(&s);
    if (!is_same_stamp(&stamp, &keys->now.stamps[i]))
      return true;
  }
  return false;
}

/* Keys that stay go on resting. */
static void reading_replace(struct weir_keyfile *keys, const struct reading *next)
{
  struct weir_keyring ring;

  weir_keyring_init(&ring, next->count);
  ring.next = keys->ring.next < next->count ? keys->ring.next : 0;
  for (uint32_t i = 0; i < next->count; i++) {
    const uint32_t old = text_find(&keys->now, &next->texts[i]);

    if (old < keys->now.count)
      ring.rests_until[i] = keys->ring.rests_until[old];
  }
  weir_file_free(keys->now.bytes, keys->now.size);
  keys->now = *next;
  keys->ring = ring;
  keys->number++;
}

static void look(struct weir_keyfile *keys, weir_tstamp now)
{
  char why[WEIR_KEYFILE_WHY_SIZE];
  struct reading next;
  bool is_good;

  if (keys->looked_at != 0 && now < weir_time_add(keys->looked_at, LOOK_US))
    return;
  keys->looked_at = now;
  if (!has_changed(keys))
    return;
  is_good = reading_make(&next, keys->places, why);
  if (is_good) {
    reading_replace(keys, &next);
    fprintf(stderr, "weir-proxy: provider %s: its keys were read again: %u\n", keys->name,
            (unsigned)next.count);
  } else if (!keys->is_warned) {
    fprintf(stderr, "weir-proxy: provider %s: %s; its former keys stay\n", keys->name, why);
  }
  keys->is_warned = !is_good;
}

/* ---- calls ---- */

struct weir_keyfile_key weir_keyfile_take(struct weir_keyfile *keys, weir_tstamp now)
{
  uint32_t number;

  look(keys, now);
  number = weir_keyring_take(&keys->ring, now);
  return (struct weir_keyfile_key){.text = keys->now.texts[number].at,
                                   .size = keys->now.texts[number].size,
                                   .number = number,
                                   .reading = keys->number};
}

void weir_keyfile_reject(struct weir_keyfile *keys, const struct weir_keyfile_key *key,
                         weir_tstamp now)
{
  if (key->reading != keys->number)
    return;
  weir_keyring_reject(&keys->ring, key->number, now);
  fprintf(stderr, "weir-proxy: provider %s: key %u of %u was rejected%s: is it revoked?\n",
          keys->name, (unsigned)key->number + 1, (unsigned)keys->now.count,
          keys->now.count > 1 ? ", and is left out for 5 minutes" : "");
}

bool weir_keyfile_is_again(const struct weir_keyfile *keys, enum weir_outcome outcome,
                           uint32_t attempt, uint32_t retries_max, weir_tstamp now)
{
  return weir_keyring_is_again(&keys->ring, outcome, attempt, retries_max, now);
}
