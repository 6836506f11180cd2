#include "put.h"

#include <assert.h>
#include <string.h>

void weir_put_init(struct weir_put *p, char *at, size_t capacity)
{
  assert(capacity > 0);
  *p = (struct weir_put){.at = at, .capacity = capacity};
  at[0] = '\0';
}

void weir_put_bytes(struct weir_put *p, const void *bytes, size_t size)
{
  if (p->is_cut || size > p->capacity - p->size - 1) {
    p->is_cut = true;
    return;
  }
  memcpy(p->at + p->size, bytes, size);
  p->size += size;
  p->at[p->size] = '\0';
}

void weir_put_text(struct weir_put *p, const char *text)
{
  weir_put_bytes(p, text, strlen(text));
}

void weir_put_number(struct weir_put *p, uint64_t value)
{
  char digits[20];
  size_t at = sizeof(digits);

  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  weir_put_bytes(p, digits + at, sizeof(digits) - at);
}

void weir_put_json(struct weir_put *p, const char *text)
{
  static const char hex[] = "0123456789abcdef";

  for (; *text != '\0'; text++) {
    const unsigned char c = (unsigned char)*text;

    if (c == '"' || c == '\\') {
      weir_put_bytes(p, "\\", 1);
      weir_put_bytes(p, text, 1);
    } else if (c < 0x20) {
      weir_put_text(p, "\\u00");
      weir_put_bytes(p, &hex[c >> 4], 1);
      weir_put_bytes(p, &hex[c & 0xf], 1);
    } else {
      weir_put_bytes(p, text, 1);
    }
  }
}
