#include <weir/record.h>

#include <string.h>

struct weir_record *weir_record_begin(struct weir_record *record, enum weir_record_kind kind,
                                      const char *owner, uint64_t item, weir_tstamp now)
{
  memset(record, 0, sizeof(*record));
  record->kind = kind;
  strncpy(record->owner, owner, sizeof(record->owner) - 1);
  record->item = item;
  record->at = now;
  return record;
}

const struct weir_record *weir_past_find(const struct weir_past *past, enum weir_record_kind kind,
                                         const char *owner, uint64_t item, uint32_t count_min)
{
  for (uint32_t i = 0; i < past->count; i++) {
    const struct weir_record *record = &past->records[i];

    if (record->kind == kind && record->item == item && record->count >= count_min &&
        record->count <= WEIR_RECORD_NUMBERS_MAX && strcmp(record->owner, owner) == 0)
      return record;
  }
  return NULL;
}
