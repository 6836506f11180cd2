/* hash.h - FNV-1a, for tables, digests and identities: what is not to be guessed has other hashes.
 */
#ifndef WEIR_HASH_H
#define WEIR_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WEIR_HASH_BASIS UINT64_C(0xcbf29ce484222325)
#define WEIR_HASH_PRIME UINT64_C(0x100000001b3)

/* weir_hash_bytes returns |hash|, WEIR_HASH_BASIS at first, with |size| bytes taken in. Files and
 * records on disk hold it: never another one. */
static inline uint64_t weir_hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
  const uint8_t *at = (const uint8_t *)bytes;

  for (size_t i = 0; i < size; i++)
    hash = (hash ^ at[i]) * WEIR_HASH_PRIME;
  return hash;
}

/* weir_hash_text returns a hash of |text|, another one for each |seed|. The same holds for it. */
static inline uint64_t weir_hash_text(const char *text, uint64_t seed)
{
  return weir_hash_bytes(WEIR_HASH_BASIS + seed * UINT64_C(0x9e3779b97f4a7c15), text, strlen(text));
}

/* weir_hash_number returns |hash|, WEIR_HASH_BASIS at first, with |value| taken in: all at once, so
 * what its high bits change is brought down. */
static inline uint64_t weir_hash_number(uint64_t hash, uint64_t value)
{
  hash = (hash ^ value) * WEIR_HASH_PRIME;
  return hash ^ hash >> 29;
}

#endif
