#include "store_row.h"

#include <assert.h>
#include <string.h>

#include <weir/hash.h>

/* Each step is a bijection of the sum, hence what the header says of one byte. */
uint64_t weir_store_checksum(uint64_t sum, const void *bytes, size_t size)
{
  return weir_hash_bytes(sum ^ WEIR_HASH_BASIS, bytes, size) ^ WEIR_HASH_BASIS;
}

static void number_put(uint8_t *bytes, uint64_t number)
{
  for (int i = 0; i < 8; i++)
    bytes[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t number_get(const uint8_t *bytes)
{
  uint64_t number = 0;
  for (int i = 0; i < 8; i++)
    number |= (uint64_t)bytes[i] << (8 * i);
  return number;
}

uint64_t weir_store_checksum_number(uint64_t sum, uint64_t number)
{
  uint8_t bytes[8];
  number_put(bytes, number);
  return weir_store_checksum(sum, bytes, sizeof bytes);
}

/* Sizes go in too, so that no byte can move from one column to the next. */
static uint64_t row_checksum(const struct weir_store_row *row)
{
  uint64_t sum = weir_store_checksum_number(0, (uint64_t)row->kind);
  sum = weir_store_checksum_number(sum, (uint64_t)row->item);
  sum = weir_store_checksum_number(sum, (uint64_t)row->at);
  sum = weir_store_checksum_number(sum, row->owner_size);
  sum = weir_store_checksum(sum, row->owner, row->owner_size);
  return weir_store_checksum(sum, row->numbers, row->numbers_size);
}

void weir_store_row_encode(const struct weir_record *record, uint8_t *bytes,
                           struct weir_store_row *ret_row)
{
  assert(record->count <= WEIR_RECORD_NUMBERS_MAX);
  assert(memchr(record->owner, '\0', sizeof record->owner) != NULL);
  for (uint32_t i = 0; i < record->count; i++)
    number_put(bytes + (size_t)i * 8, record->numbers[i]);
  *ret_row = (struct weir_store_row){.kind = record->kind,
                                     .item = (int64_t)record->item,
                                     .at = (int64_t)record->at,
                                     .owner = record->owner,
                                     .owner_size = strlen(record->owner),
                                     .numbers = bytes,
                                     .numbers_size = (size_t)record->count * 8};
  ret_row->check = (int64_t)row_checksum(ret_row);
}

static const char *row_fault(const struct weir_store_row *row)
{
  if (row->owner_size >= WEIR_RECORD_OWNER_SIZE || row->numbers_size > WEIR_STORE_NUMBERS_SIZE ||
      row->numbers_size % 8 != 0)
    return "its size is none that weir writes";
  if ((uint64_t)row->check != row_checksum(row))
    return "its checksum does not match";
  if (row->kind < 1 || row->kind >= WEIR_RECORD_KIND_MAX)
    return "its kind is unknown: a newer weir wrote it";
  if (memchr(row->owner, '\0', row->owner_size) != NULL)
    return "its owner holds a NUL byte";
  return NULL;
}

enum weir_err weir_store_row_decode(const struct weir_store_row *row,
                                    struct weir_record *ret_record, const char **ret_why)
{
  *ret_why = row_fault(row);
  if (*ret_why != NULL)
    return WEIR_ESYNTAX;
  *ret_record = (struct weir_record){.kind = (enum weir_record_kind)row->kind,
                                     .item = (uint64_t)row->item,
                                     .at = (uint64_t)row->at,
                                     .count = (uint32_t)(row->numbers_size / 8)};
  if (row->owner_size > 0)
    memcpy(ret_record->owner, row->owner, row->owner_size);
  for (uint32_t i = 0; i < ret_record->count; i++)
    ret_record->numbers[i] = number_get(row->numbers + (size_t)i * 8);
  return WEIR_OK;
}
