/* memory.c - what calls have taught this handle: how wrong estimates are, how long answers take,
 * and who served whom. All tables are bounded; what was used longest ago makes room. */
#include "handle.h"

#include <stdio.h>
#include <string.h>

#include <weir/hash.h>

static struct weir_ratio_entry *entry_of(struct weir *w, const char *model)
{
  struct weir_ratio_entry *oldest = &w->ratios[0];

  for (int i = 0; i < WEIR_RATIOS_MAX; i++) {
    struct weir_ratio_entry *entry = &w->ratios[i];

    if (entry->used && strcmp(entry->model, model) == 0) {
      entry->used = ++w->ratios_used;
      return entry;
    }
    if (entry->used < oldest->used)
      oldest = entry;
  }
  snprintf(oldest->model, sizeof(oldest->model), "%s", model);
  oldest->used = ++w->ratios_used;
  weir_ratio_init(&oldest->ratio);
  oldest->took = (struct weir_took){0};
  return oldest;
}

struct weir_ratio *weir_memory_ratio(struct weir *w, const char *model)
{
  return &entry_of(w, model)->ratio;
}

struct weir_took *weir_memory_took(struct weir *w, const char *model)
{
  return &entry_of(w, model)->took;
}

/* Two texts of one hash would share a preference, no more. */
static uint64_t hash_of(const char *name, const char *text)
{
  return weir_hash_text(text, weir_hash_text(name, 0));
}

/* Returns the place of |hash|, or else the one that makes room. */
static struct weir_sticky_entry *place_of(struct weir *w, uint64_t hash)
{
  struct weir_sticky_entry *oldest = &w->sticky[0];

  for (int i = 0; i < WEIR_STICKY_MAX; i++) {
    struct weir_sticky_entry *entry = &w->sticky[i];

    if (entry->used && entry->hash == hash)
      return entry;
    if (entry->used < oldest->used)
      oldest = entry;
  }
  return oldest;
}

void weir_memory_stick(struct weir *w, const char *name, const char *text, const char *model)
{
  const uint64_t hash = hash_of(name, text);
  struct weir_sticky_entry *entry = place_of(w, hash);

  entry->hash = hash;
  entry->used = ++w->sticky_used;
  snprintf(entry->model, sizeof(entry->model), "%s", model);
}

void weir_memory_stuck(struct weir *w, const char *name, const char *text,
                       char ret_model[WEIR_NAME_SIZE])
{
  const uint64_t hash = hash_of(name, text);
  const struct weir_sticky_entry *entry = place_of(w, hash);
  const bool is_there = entry->used && entry->hash == hash;

  snprintf(ret_model, WEIR_NAME_SIZE, "%s", is_there ? entry->model : "");
}
