/* table.h - a hash map from 64-bit keys to 32-bit values, of fixed capacity, on the caller's
 * storage.
 *
 * Owner: the caller owns the storage for as long as the table lives. Cost: find, put and remove
 * are O(1) on average; linear probing, removal by back-shifting, so no tombstones pile up.
 */
#ifndef WEIR_TABLE_H
#define WEIR_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/err.h>

struct weir_table_slot {
  uint64_t key;
  uint32_t value;
  uint32_t is_used;
};

struct weir_table {
  struct weir_table_slot *slots; /* a power of two, at least 4/3 of capacity */
  uint32_t mask, count, capacity;
};

/* weir_table_key returns a key for |text|, other ones for each |seed|. Few texts have the same one;
 * the caller compares them. */
uint64_t weir_table_key(const char *text, uint32_t seed);

/* weir_table_size returns the bytes of storage for |capacity| entries. */
size_t weir_table_size(uint32_t capacity);

/* weir_table_init makes an empty table in |storage| of weir_table_size(|capacity|) bytes, aligned
 * for struct weir_table_slot. */
void weir_table_init(struct weir_table *t, void *storage, uint32_t capacity);

/* weir_table_find tells whether |key| is there and, if so, its value. |ret_value| may be NULL. */
bool weir_table_find(const struct weir_table *t, uint64_t key, uint32_t *ret_value);

/* weir_table_put adds |key| or replaces its value; WEIR_EFULL, changing nothing, at capacity. */
WEIR_MUSTUSE enum weir_err weir_table_put(struct weir_table *t, uint64_t key, uint32_t value);

/* weir_table_remove takes |key| out; false when it is not there. */
bool weir_table_remove(struct weir_table *t, uint64_t key);

#endif
