/* Any bytes as a row of the store: what is taken has to be what is written again. The first bytes
 * are the numbers of a row, then the size of its owner, the owner, and its numbers. With a right
 * checksum instead of theirs they get past it. */
#include <assert.h>
#include <string.h>

#include "store_row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct weir_store_row *row, const struct weir_record *record)
{
  uint8_t numbers[WEIR_STORE_NUMBERS_SIZE];
  struct weir_store_row again;

  weir_store_row_encode(record, numbers, &again);
  assert(again.kind == row->kind && again.item == row->item && again.at == row->at);
  assert(again.check == row->check && again.owner_size == row->owner_size);
  assert(memcmp(again.owner, row->owner, row->owner_size) == 0);
  assert(again.numbers_size == row->numbers_size);
  assert(memcmp(again.numbers, row->numbers, row->numbers_size) == 0);
}

/* The checksum of |row|, by a record of the same bytes where there is one. */
static int64_t right_check(const struct weir_store_row *row)
{
  static struct weir_record record;
  uint8_t numbers[WEIR_STORE_NUMBERS_SIZE];
  struct weir_store_row encoded;

  if (row->owner_size >= sizeof record.owner || row->numbers_size > sizeof numbers)
    return row->check;
  memset(&record, 0, sizeof record);
  record.kind = (enum weir_record_kind)(row->kind & 7);
  memcpy(record.owner, row->owner, row->owner_size);
  record.item = (uint64_t)row->item;
  record.at = (uint64_t)row->at;
  record.count = (uint32_t)(row->numbers_size / 8);
  for (uint32_t i = 0; i < record.count; i++)
    for (int k = 0; k < 8; k++)
      record.numbers[i] |= (uint64_t)row->numbers[i * 8 + (uint32_t)k] << (8 * k);
  weir_store_row_encode(&record, numbers, &encoded);
  return encoded.check;
}

static void decode(const struct weir_store_row *row)
{
  struct weir_record record;
  const char *why = NULL;

  if (weir_store_row_decode(row, &record, &why) == WEIR_OK)
    check_again(row, &record);
  else
    assert(why != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct weir_store_row row = {0};
  uint16_t owner_size;
  const size_t head = 4 * 8 + sizeof owner_size;

  if (size < head)
    return 0;
  memcpy(&row.kind, data, 8);
  memcpy(&row.item, data + 8, 8);
  memcpy(&row.at, data + 16, 8);
  memcpy(&row.check, data + 24, 8);
  memcpy(&owner_size, data + 32, sizeof owner_size);
  row.owner_size = owner_size <= size - head ? owner_size : size - head;
  row.owner = (const char *)data + head;
  row.numbers = data + head + row.owner_size;
  row.numbers_size = size - head - row.owner_size;
  decode(&row);
  row.check = right_check(&row);
  decode(&row);
  return 0;
}
