#include "keyfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "keyset.h"

#define LOOK_US WEIR_US_PER_S

struct weir_keyfile {
  char *name;
  struct weir_keyset set;
  uint64_t reading; /* grows when keys get other numbers */
  weir_tstamp looked_at;
};

/* ---- open and close ---- */

/* Reads |source|. False, with the reason in |why|. */
static bool source_fill(struct weir_keyset *set, struct weir_keysource *source, char *why)
{
  char *bytes;
  size_t size;

  if (!weir_keysource_read(source, false, &source->stamp, &bytes, &size, why))
    return false;
  if (weir_keyset_put(set, source, bytes, size, why))
    return true;
  weir_file_free(bytes, size);
  return false;
}

static bool sources_fill(struct weir_keyset *set, const char *places, char *ret_why)
{
  char why[WEIR_KEYSET_WHY_SIZE], place[WEIR_KEYSET_PLACE_SIZE];

  if (!weir_keyset_list(set, places, why)) {
    snprintf(ret_why, WEIR_KEYFILE_WHY_SIZE, "%s", why[0] ? why : "out of memory");
    return false;
  }
  for (uint32_t i = 0; i < set->sources_count; i++) {
    if (source_fill(set, &set->sources[i], why))
      continue;
    weir_keysource_show(&set->sources[i], place);
    snprintf(ret_why, WEIR_KEYFILE_WHY_SIZE, "%s: %s", place, why);
    return false;
  }
  return true;
}

struct weir_keyfile *weir_keyfile_open(const char *name, const char *places, char *why)
{
  struct weir_keyfile *keys = calloc(1, sizeof(*keys));

  snprintf(why, WEIR_KEYFILE_WHY_SIZE, "out of memory");
  if (!keys)
    return NULL;
  keys->name = strdup(name);
  if (keys->name && sources_fill(&keys->set, places, why))
    return keys;
  weir_keyfile_close(keys);
  return NULL;
}

void weir_keyfile_close(struct weir_keyfile *keys)
{
  if (!keys)
    return;
  weir_keyset_fini(&keys->set);
  free(keys->name);
  free(keys);
}

uint32_t weir_keyfile_count(const struct weir_keyfile *keys)
{
  return keys->set.ring.count;
}

/* ---- reading again ---- */

static void source_reload(struct weir_keyfile *keys, struct weir_keysource *source)
{
  char why[WEIR_KEYSET_WHY_SIZE], place[WEIR_KEYSET_PLACE_SIZE];
  const bool was_warned = source->is_warned;

  source->stamp = (struct weir_keystamp){.size = 0}; /* stays so where it cannot be opened */
  source->is_warned = !source_fill(&keys->set, source, why);
  weir_keysource_show(source, place);
  if (!source->is_warned) {
    keys->reading++;
    fprintf(stderr, "weir-proxy: provider %s: %s was read again: %u keys in all\n", keys->name,
            place, (unsigned)keys->set.ring.count);
  } else if (!was_warned) {
    fprintf(stderr, "weir-proxy: provider %s: %s: %s; its former keys stay\n", keys->name, place,
            why);
  }
}

static void look(struct weir_keyfile *keys, weir_tstamp now)
{
  if (keys->looked_at != 0 && now < weir_time_add(keys->looked_at, LOOK_US))
    return;
  keys->looked_at = now;
  for (uint32_t i = 0; i < keys->set.sources_count; i++) {
    struct weir_keysource *source = &keys->set.sources[i];

    if (source->kind == WEIR_KEYSOURCE_FILE &&
        weir_keysource_has_changed(source->name, &source->stamp, source->is_warned))
      source_reload(keys, source);
  }
}

/* ---- calls ---- */

struct weir_keyfile_key weir_keyfile_take(struct weir_keyfile *keys, weir_tstamp now)
{
  uint32_t number;

  look(keys, now);
  number = weir_keyring_take(&keys->set.ring, now);
  return (struct weir_keyfile_key){.text = keys->set.texts[number].at,
                                   .size = keys->set.texts[number].size,
                                   .number = number,
                                   .reading = keys->reading};
}

void weir_keyfile_reject(struct weir_keyfile *keys, const struct weir_keyfile_key *key,
                         weir_tstamp now)
{
  const uint32_t count = keys->set.ring.count;

  if (key->reading != keys->reading)
    return;
  weir_keyring_reject(&keys->set.ring, key->number, now);
  fprintf(stderr, "weir-proxy: provider %s: key %u of %u was rejected%s: is it revoked?\n",
          keys->name, (unsigned)key->number + 1, (unsigned)count,
          count > 1 ? ", and is left out for 5 minutes" : "");
}

bool weir_keyfile_is_again(const struct weir_keyfile *keys, enum weir_outcome outcome,
                           uint32_t attempt, uint32_t retries_max, weir_tstamp now)
{
  return weir_keyring_is_again(&keys->set.ring, outcome, attempt, retries_max, now);
}
