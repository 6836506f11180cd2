#include <weir/table.h>

#include <assert.h>
#include <string.h>

#include <weir/hash.h>

#define CAPACITY_MAX (UINT32_C(1) << 30)

/* Eight bytes at a time: each step waits for the one before it. */
uint64_t weir_table_key(const char *text, uint32_t seed)
{
  uint64_t key = weir_hash_number(WEIR_HASH_BASIS, seed), word;
  size_t left = strlen(text);

  for (; left >= sizeof(word); left -= sizeof(word)) {
    memcpy(&word, text, sizeof(word));
    key = weir_hash_number(key, word);
    text += sizeof(word);
  }
  word = 0;
  for (; left > 0; left--)
    word = word << 8 | (uint8_t)*text++;
  return weir_hash_number(key, word);
}

/* The number of slots: at most three quarters are ever used, so a probe always meets a free one. */
static uint32_t slots_for(uint32_t capacity)
{
  uint32_t slots = 1;

  assert(capacity <= CAPACITY_MAX);
  while ((uint64_t)slots * 3 < (uint64_t)capacity * 4)
    slots *= 2;
  return slots;
}

/* Where |key| belongs. Keys are often consecutive, so their bits are mixed (splitmix64's end). */
static uint32_t home_of(const struct weir_table *t, uint64_t key)
{
  key = (key ^ (key >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  key = (key ^ (key >> 27)) * UINT64_C(0x94d049bb133111eb);
  return (uint32_t)(key ^ (key >> 31)) & t->mask;
}

/* The slot that holds |key|, or the free one where it would go. */
static struct weir_table_slot *slot_of(const struct weir_table *t, uint64_t key)
{
  uint32_t i = home_of(t, key);

  while (t->slots[i].is_used && t->slots[i].key != key)
    i = (i + 1) & t->mask;
  return &t->slots[i];
}

size_t weir_table_size(uint32_t capacity)
{
  return slots_for(capacity) * sizeof(struct weir_table_slot);
}

void weir_table_init(struct weir_table *t, void *storage, uint32_t capacity)
{
  t->slots = storage;
  t->mask = slots_for(capacity) - 1;
  t->count = 0;
  t->capacity = capacity;
  memset(storage, 0, weir_table_size(capacity));
}

bool weir_table_find(const struct weir_table *t, uint64_t key, uint32_t *ret_value)
{
  const struct weir_table_slot *slot = slot_of(t, key);

  if (!slot->is_used)
    return false;
  if (ret_value)
    *ret_value = slot->value;
  return true;
}

enum weir_err weir_table_put(struct weir_table *t, uint64_t key, uint32_t value)
{
  struct weir_table_slot *slot = slot_of(t, key);

  if (!slot->is_used) {
    if (t->count == t->capacity)
      return WEIR_EFULL;
    t->count++;
  }
  *slot = (struct weir_table_slot){.key = key, .value = value, .is_used = 1};
  return WEIR_OK;
}

bool weir_table_remove(struct weir_table *t, uint64_t key)
{
  uint32_t hole = (uint32_t)(slot_of(t, key) - t->slots), i = hole;

  if (!t->slots[hole].is_used)
    return false;
  for (;;) {
    i = (i + 1) & t->mask;
    if (!t->slots[i].is_used)
      break;
    /* An entry may move back into the hole unless its home lies after the hole, on the way to i. */
    if (((i - home_of(t, t->slots[i].key)) & t->mask) >= ((i - hole) & t->mask)) {
      t->slots[hole] = t->slots[i];
      hole = i;
    }
  }
  t->slots[hole].is_used = 0;
  t->count--;
  return true;
}
