#include <weir/ring.h>

#include <assert.h>
#include <string.h>

static uint64_t *slot_of(const struct weir_ring *r, uint64_t number)
{
  return weir_slots_at(r->slots, number % WEIR_RING_SLOTS);
}

static uint64_t block_of(uint64_t number)
{
  return number % WEIR_RING_SLOTS / WEIR_RING_BLOCK;
}

static uint64_t expiry_slot(const struct weir_ring *r, weir_tstamp arrival_max)
{
  return weir_time_add(arrival_max, r->window_us) / r->slot_us;
}

void weir_ring_init(struct weir_ring *r, uint64_t *slots, weir_duration window_us,
                    weir_duration ahead_us, weir_tstamp now)
{
  const uint64_t usable = WEIR_RING_SLOTS - 4;

  assert(window_us > 0);
  memset(r, 0, sizeof(*r));
  weir_slots_clear(slots, WEIR_RING_SLOTS);
  r->window_us = window_us;
  r->slot_us = (window_us + ahead_us + usable - 1) / usable;
  r->head = now / r->slot_us;
  r->head_end = (r->head + 1) * r->slot_us;
  r->slots = slots;
}

void weir_ring_advance(struct weir_ring *r, weir_tstamp now)
{
  uint64_t head;

  if (now < r->head_end)
    return;
  head = now / r->slot_us;
  if (r->used > 0 && head - r->head >= WEIR_RING_SLOTS) {
    weir_slots_clear(r->slots, WEIR_RING_SLOTS);
    memset(r->blocks, 0, sizeof(r->blocks));
    r->used = 0;
  }
  while (r->used > 0 && r->head < head) {
    uint64_t *slot = slot_of(r, r->head);

    r->used -= *slot;
    r->blocks[block_of(r->head)] -= *slot;
    *slot = 0;
    r->head++;
  }
  r->head = head;
  r->head_end = (head + 1) * r->slot_us;
}

void weir_ring_add(struct weir_ring *r, weir_tstamp arrival_max, uint64_t cost)
{
  uint64_t number = expiry_slot(r, arrival_max);

  if (number < r->head)
    return;
  assert(number - r->head < WEIR_RING_SLOTS);
  *slot_of(r, number) += cost;
  r->blocks[block_of(number)] += cost;
  r->used += cost;
}

void weir_ring_remove(struct weir_ring *r, weir_tstamp arrival_max, uint64_t cost)
{
  uint64_t number = expiry_slot(r, arrival_max);

  if (number < r->head)
    return;
  assert(*slot_of(r, number) >= cost);
  *slot_of(r, number) -= cost;
  r->blocks[block_of(number)] -= cost;
  r->used -= cost;
}

/* A line of a cache. No row lies across the end of the array. */
static uint64_t row_of(const struct weir_ring *r, uint64_t number)
{
  const uint64_t *slots = slot_of(r, number);
  uint64_t sum = 0;

  for (int i = 0; i < WEIR_SLOTS_ROW; i++)
    sum += slots[i];
  return sum;
}

/* How many slots from |number| on may be given back at once, and what they hold in |ret_held|, so
 * that more than |room| is left of |used|: a block, a row, or one slot whatever is left. */
static uint64_t skip(const struct weir_ring *r, uint64_t number, uint64_t used, uint64_t room,
                     uint64_t *ret_held)
{
  /* The block that holds the head also holds the far end of the ring: never skip it whole. */
  const uint64_t blocks_end = r->head - r->head % WEIR_RING_BLOCK + WEIR_RING_SLOTS;

  if (number % WEIR_RING_BLOCK == 0 && number < blocks_end) {
    *ret_held = r->blocks[block_of(number)];
    if (used - *ret_held > room)
      return WEIR_RING_BLOCK;
  }
  if (number % WEIR_SLOTS_ROW == 0 && number + WEIR_SLOTS_ROW <= r->head + WEIR_RING_SLOTS) {
    *ret_held = row_of(r, number);
    if (used - *ret_held > room)
      return WEIR_SLOTS_ROW;
  }
  *ret_held = *slot_of(r, number);
  return 1;
}

weir_tstamp weir_ring_earliest(const struct weir_ring *r, uint64_t room, weir_tstamp from)
{
  uint64_t used = r->used, number = r->head;
  weir_tstamp free_at;

  while (used > room) {
    uint64_t held;

    number += skip(r, number, used, room, &held);
    used -= held;
  }
  if (number == r->head)
    return from;
  free_at = number * r->slot_us;
  return free_at > from ? free_at : from;
}

uint64_t weir_ring_block(const struct weir_ring *r, weir_tstamp arrival_max)
{
  return expiry_slot(r, arrival_max) / WEIR_RING_BLOCK;
}

void weir_ring_check(const struct weir_ring *r)
{
  uint64_t used = 0;

  for (uint64_t b = 0; b < WEIR_RING_BLOCKS; b++) {
    uint64_t block = 0;

    for (uint64_t i = 0; i < WEIR_RING_BLOCK; i++)
      block += *slot_of(r, b * WEIR_RING_BLOCK + i);
    assert(block == r->blocks[b]);
    used += block;
  }
  assert(used == r->used);
}
