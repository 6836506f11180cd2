#include <weir/utf8.h>

size_t weir_utf8_size(const void *at, size_t left)
{
  const uint8_t *bytes = at;
  uint8_t lead = bytes[0], low = 0x80, high = 0xbf;
  size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

  if (lead < 0x80)
    return 1;
  if (lead < 0xc2 || lead > 0xf4 || size > left)
    return 0;
  if (lead == 0xe0)
    low = 0xa0;
  else if (lead == 0xed)
    high = 0x9f;
  else if (lead == 0xf0)
    low = 0x90;
  else if (lead == 0xf4)
    high = 0x8f;
  if (bytes[1] < low || bytes[1] > high)
    return 0;
  for (size_t i = 2; i < size; i++)
    if ((bytes[i] & 0xc0) != 0x80)
      return 0;
  return size;
}
