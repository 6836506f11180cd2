#include "batch_index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch_file.h"

#define LINES_MAX (UINT32_MAX / 2)

void weir_batch_index_init(struct weir_batch_index *index, int fd, weir_batch_check_fn *check,
                           const void *check_context)
{
  *index = (struct weir_batch_index){.fd = fd, .check = check, .check_context = check_context};
}

bool weir_batch_index_load(struct weir_batch_index *index, const struct weir_batch_entry *entry,
                           struct weir_batch_request *ret_request,
                           char ret_reason[WEIR_BATCH_REASON_MAX])
{
  if (!weir_batch_load(index->fd, entry->offset, entry->size, &index->buffer,
                       &index->buffer_size)) {
    snprintf(ret_reason, WEIR_BATCH_REASON_MAX, "the line cannot be read");
    return false;
  }
  return weir_batch_request_parse(index->buffer, entry->size, ret_request, ret_reason);
}

struct weir_batch_entry *weir_batch_index_find(struct weir_batch_index *index, const char *id)
{
  uint64_t hash = weir_batch_id_hash(id);
  uint32_t mask = index->slots_count - 1, slot;
  char reason[WEIR_BATCH_REASON_MAX];
  struct weir_batch_request request;

  if (index->slots_count == 0)
    return NULL;
  for (slot = (uint32_t)hash & mask; index->slots[slot] != 0; slot = (slot + 1) & mask) {
    struct weir_batch_entry *entry = &index->entries[index->slots[slot] - 1];

    if (entry->hash == hash && weir_batch_index_load(index, entry, &request, reason) &&
        strcmp(request.id, id) == 0)
      return entry;
  }
  return NULL;
}

static void slot_fill(struct weir_batch_index *index, uint32_t number)
{
  uint32_t mask = index->slots_count - 1;
  uint32_t slot = (uint32_t)index->entries[number].hash & mask;

  while (index->slots[slot] != 0)
    slot = (slot + 1) & mask;
  index->slots[slot] = number + 1;
}

/* Makes room for one more entry, and keeps the hash table at most half full. */
static enum weir_err grow(struct weir_batch_index *index)
{
  uint32_t capacity = index->capacity > 0 ? index->capacity * 2 : 1024;
  struct weir_batch_entry *entries;
  uint32_t *slots;

  if (index->count < index->capacity)
    return WEIR_OK;
  if (index->capacity > LINES_MAX / 2)
    return WEIR_EFULL;
  entries = realloc(index->entries, (size_t)capacity * sizeof(*entries));
  if (!entries)
    return WEIR_ENOMEM;
  index->entries = entries;
  slots = calloc((size_t)capacity * 2, sizeof(*slots));
  if (!slots)
    return WEIR_ENOMEM;
  free(index->slots);
  index->slots = slots;
  index->slots_count = capacity * 2;
  index->capacity = capacity;
  for (uint32_t i = 0; i < index->count; i++)
    if (index->entries[i].state != WEIR_BATCH_BAD)
      slot_fill(index, i);
  return WEIR_OK;
}

static bool is_blank(const struct weir_batch_text *text)
{
  if (text->is_cut)
    return false;
  for (size_t i = 0; i < text->size; i++)
    if (!strchr(" \t\r", text->bytes[i]) || text->bytes[i] == '\0')
      return false;
  return true;
}

static void line_add(struct weir_batch_index *index, const struct weir_batch_text *text)
{
  struct weir_batch_entry *entry = &index->entries[index->count], *twin = NULL;
  struct weir_batch_request request;
  char reason[WEIR_BATCH_REASON_MAX];
  bool is_fine;

  *entry = (struct weir_batch_entry){
      .offset = text->offset, .size = (uint32_t)text->size, .line = (uint32_t)text->number};
  is_fine = !text->is_cut && weir_batch_request_parse(text->bytes, text->size, &request, reason) &&
            index->check(index->check_context, &request, reason);
  if (is_fine)
    twin = weir_batch_index_find(index, request.id);
  if (is_fine && !twin) {
    entry->hash = weir_batch_id_hash(request.id);
    entry->state = WEIR_BATCH_PENDING;
    slot_fill(index, index->count);
  } else {
    entry->hash = twin ? twin->line : 0;
    entry->state = WEIR_BATCH_BAD;
    index->bad_count++;
  }
  index->count++;
}

enum weir_err weir_batch_index_read(struct weir_batch_index *index)
{
  struct weir_batch_reader reader;
  struct weir_batch_text text;
  enum weir_err err = WEIR_OK;
  int got;

  weir_batch_reader_init(&reader, index->fd, WEIR_BATCH_LINE_MAX);
  while (!err && (got = weir_batch_reader_next(&reader, &text)) != 0) {
    if (got < 0)
      err = WEIR_ESYSTEM;
    else if (text.number > LINES_MAX)
      err = WEIR_EFULL;
    else if (!is_blank(&text))
      err = grow(index);
    if (!err && !is_blank(&text))
      line_add(index, &text);
  }
  weir_batch_reader_fini(&reader);
  return err;
}

struct weir_batch_entry *weir_batch_index_line(struct weir_batch_index *index, uint64_t line)
{
  uint32_t low = 0, high = index->count;

  while (low < high) {
    uint32_t middle = low + (high - low) / 2;

    if (index->entries[middle].line < line)
      low = middle + 1;
    else
      high = middle;
  }
  return low < index->count && index->entries[low].line == line ? &index->entries[low] : NULL;
}

void weir_batch_index_reason(struct weir_batch_index *index, const struct weir_batch_entry *entry,
                             char ret_reason[WEIR_BATCH_REASON_MAX])
{
  struct weir_batch_request request;

  if (entry->size == 0)
    snprintf(ret_reason, WEIR_BATCH_REASON_MAX, "longer than %zu MiB; split the request",
             WEIR_BATCH_LINE_MAX >> 20);
  else if (weir_batch_index_load(index, entry, &request, ret_reason) &&
           index->check(index->check_context, &request, ret_reason))
    snprintf(ret_reason, WEIR_BATCH_REASON_MAX,
             "the id stands in line %" PRIu64 " already; ids must be unique", entry->hash);
}

void weir_batch_index_fini(struct weir_batch_index *index)
{
  free(index->entries);
  free(index->slots);
  free(index->buffer);
  *index = (struct weir_batch_index){0};
}
