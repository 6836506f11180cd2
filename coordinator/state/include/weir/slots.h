/* slots.h - where the slots of rings and trails stand in memory.
 *
 * What is charged now is, in every ledger, in slots of about the same number, in rows of a line of
 * a cache each. The same rows of several ledgers stand side by side: those that are in use now are
 * in a few pages of memory then, and not in a page for each ring and trail of each ledger.
 */
#ifndef WEIR_SLOTS_H
#define WEIR_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_SLOTS_ROW 8

/* Ledgers side by side. More would use memory for those that are not there. */
#define WEIR_SLOTS_TOGETHER 16

/* weir_slots_words returns the 64-bit words of storage for |users| of |count| slots each. */
static inline size_t weir_slots_words(size_t count, size_t users)
{
  return (users + WEIR_SLOTS_TOGETHER - 1) / WEIR_SLOTS_TOGETHER * WEIR_SLOTS_TOGETHER * count;
}

/* weir_slots_of returns where the |count| slots of user |index| begin in |storage|. */
static inline uint64_t *weir_slots_of(uint64_t *storage, size_t count, size_t index)
{
  return storage + index / WEIR_SLOTS_TOGETHER * WEIR_SLOTS_TOGETHER * count +
         index % WEIR_SLOTS_TOGETHER * WEIR_SLOTS_ROW;
}

/* weir_slots_from returns where |slots| go on after |count| of them, a multiple of
 * WEIR_SLOTS_ROW. */
static inline uint64_t *weir_slots_from(uint64_t *slots, size_t count)
{
  return slots + count * WEIR_SLOTS_TOGETHER;
}

/* weir_slots_at returns slot |number| of |slots|. The others of its row stand around it. */
static inline uint64_t *weir_slots_at(uint64_t *slots, uint64_t number)
{
  return &weir_slots_from(slots, number - number % WEIR_SLOTS_ROW)[number % WEIR_SLOTS_ROW];
}

/* weir_slots_clear empties the first |count| of |slots|. */
static inline void weir_slots_clear(uint64_t *slots, uint64_t count)
{
  for (uint64_t i = 0; i < count; i++)
    *weir_slots_at(slots, i) = 0;
}

#endif
