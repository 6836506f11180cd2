#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct weir_up_buffer *b, size_t size)
{
  if (b->capacity - b->size > size)
    return;
  size_t capacity = b->capacity < 512 ? 512 : b->capacity;
  while (capacity - b->size <= size)
    capacity *= 2;
  b->text = realloc(b->text, capacity);
  if (b->text == NULL)
    abort();
  b->capacity = capacity;
}

void weir_up_add_bytes(struct weir_up_buffer *b, const char *bytes, size_t size)
{
  reserve(b, size);
  if (size > 0)
    memcpy(b->text + b->size, bytes, size);
  b->size += size;
  b->text[b->size] = '\0';
}

void weir_up_add(struct weir_up_buffer *b, const char *format, ...)
{
  va_list args;
  reserve(b, 256);
  for (;;) {
    va_start(args, format);
    int size = vsnprintf(b->text + b->size, b->capacity - b->size, format, args);
    va_end(args);
    if (size < 0)
      abort();
    if ((size_t)size < b->capacity - b->size) {
      b->size += (size_t)size;
      return;
    }
    reserve(b, (size_t)size);
  }
}

void weir_up_add_json(struct weir_up_buffer *b, const char *text)
{
  weir_up_add_bytes(b, "\"", 1);
  for (const char *at = text; *at != '\0'; at++) {
    if (*at == '"' || *at == '\\')
      weir_up_add(b, "\\%c", *at);
    else if (*at == '\n')
      weir_up_add(b, "\\n");
    else if ((unsigned char)*at < 32)
      weir_up_add(b, "\\u%04x", (unsigned)*at);
    else
      weir_up_add_bytes(b, at, 1);
  }
  weir_up_add_bytes(b, "\"", 1);
}

void weir_up_buffer_free(struct weir_up_buffer *b)
{
  free(b->text);
  *b = (struct weir_up_buffer){0};
}
