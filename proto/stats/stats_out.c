#include <weir/stats_out.h>

#include <string.h>

static void put_bytes(struct weir_stats_out *out, const char *bytes, size_t size)
{
  if (size > 0 && out->size <= out->capacity && size <= out->capacity - out->size)
    memcpy(out->at + out->size, bytes, size);
  out->size += size;
}

void weir_stats_put(struct weir_stats_out *out, const char *text)
{
  put_bytes(out, text, strlen(text));
}

/* The last digits of |value|, at least |least| of them. */
static void put_digits(struct weir_stats_out *out, uint64_t value, uint32_t least)
{
  char digits[20];
  uint32_t at = sizeof(digits);

  do
    digits[--at] = (char)('0' + value % 10);
  while ((value /= 10) > 0 || sizeof(digits) - at < least);
  put_bytes(out, digits + at, sizeof(digits) - at);
}

void weir_stats_put_uint(struct weir_stats_out *out, uint64_t value)
{
  put_digits(out, value, 1);
}

void weir_stats_put_part(struct weir_stats_out *out, uint64_t value, uint32_t digits)
{
  uint64_t unit = 1;

  for (uint32_t i = 0; i < digits; i++)
    unit *= 10;
  put_digits(out, value / unit, 1);
  put_bytes(out, ".", 1);
  put_digits(out, value % unit, digits);
}

/* Rows hold printable ASCII only: what both formats escape are these two. */
void weir_stats_put_quoted(struct weir_stats_out *out, const char *text)
{
  put_bytes(out, "\"", 1);
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\')
      put_bytes(out, "\\", 1);
    put_bytes(out, text, 1);
  }
  put_bytes(out, "\"", 1);
}
