#include "upload.h"

#include <assert.h>
#include <string.h>

#include <weir/text.h>

static bool is_word(const char *at, size_t size, const char *word)
{
  char text[40];

  if (size != strlen(word) || size >= sizeof(text))
    return false;
  memcpy(text, at, size);
  text[size] = '\0';
  return weir_text_is(text, word);
}

/* JSON ("application/problem+json; charset=utf-8"), and what is said of JSON without thinking:
 * nothing, and what curl and browsers say by themselves. */
static bool may_be_json(const char *type)
{
  const size_t size = type ? strcspn(type, "; \t") : 0, json = strlen("json");

  return size == 0 || is_word(type, size, "text/plain") ||
         is_word(type, size, "application/x-www-form-urlencoded") ||
         (size > json && strchr("/+", type[size - json - 1]) &&
          is_word(type + size - json, json, "json"));
}

bool weir_upload_is_unread(const struct weir_path *path, const char *route,
                           const char *content_type, uint64_t body_size, uint64_t memory_bytes)
{
  return path->operation == WEIR_OPERATION_OTHER && !path->has_model && !route &&
         (path->is_batch || !may_be_json(content_type)) && body_size > memory_bytes;
}

void weir_upload_init(struct weir_upload *upload)
{
  upload->begin = upload->size = 0;
  upload->is_over = false;
}

bool weir_upload_has_room(const struct weir_upload *upload)
{
  return WEIR_UPLOAD_SIZE - upload->size >= WEIR_UPLOAD_PIECE_MAX;
}

void weir_upload_put(struct weir_upload *upload, const char *bytes, size_t size)
{
  const size_t end = (upload->begin + upload->size) % WEIR_UPLOAD_SIZE;
  const size_t first = size < WEIR_UPLOAD_SIZE - end ? size : WEIR_UPLOAD_SIZE - end;

  assert(size <= WEIR_UPLOAD_SIZE - upload->size);
  memcpy(upload->bytes + end, bytes, first);
  memcpy(upload->bytes, bytes + first, size - first);
  upload->size += size;
}

/* As much as stands in one piece. */
static size_t piece_take(struct weir_upload *upload, char *ret_bytes, size_t size)
{
  const size_t whole = WEIR_UPLOAD_SIZE - upload->begin;

  size = size < upload->size ? size : upload->size;
  size = size < whole ? size : whole;
  memcpy(ret_bytes, upload->bytes + upload->begin, size);
  upload->begin = (upload->begin + size) % WEIR_UPLOAD_SIZE;
  upload->size -= size;
  return size;
}

size_t weir_upload_take(struct weir_upload *upload, char *ret_bytes, size_t size)
{
  const size_t first = piece_take(upload, ret_bytes, size);

  return first + piece_take(upload, ret_bytes + first, size - first);
}
