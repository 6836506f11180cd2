/* A stream cut anywhere is filtered as in one piece, and what is taken out of it are whole events
 * that tell a usage. */
#include <assert.h>
#include <string.h>

#include "filter.h"

#define STREAM_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t run(const char *stream, size_t size, size_t piece, char *ret_text)
{
  static struct weir_filter filter;
  struct weir_filter_piece out;
  size_t written = 0;

  weir_filter_init(&filter);
  for (size_t at = 0; at < size; at += piece) {
    weir_filter_feed(&filter, stream + at, piece < size - at ? piece : size - at);
    while (weir_filter_next(&filter, &out)) {
      assert(out.size > 0 && written + out.size <= size);
      memcpy(ret_text + written, out.at, out.size);
      written += out.size;
    }
  }
  if (weir_filter_end(&filter, &out)) {
    assert(written + out.size <= size);
    memcpy(ret_text + written, out.at, out.size);
    written += out.size;
  }
  return written;
}

/* Whether |part| is |whole| with bytes left out. */
static bool is_part(const char *part, size_t part_size, const char *whole, size_t size)
{
  size_t at = 0;

  for (size_t i = 0; i < size && at < part_size; i++)
    at += part[at] == whole[i];
  return at == part_size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static char whole[STREAM_MAX], pieces[STREAM_MAX];
  size_t piece, whole_size, pieces_size;

  if (size < 1 || size > STREAM_MAX)
    return 0;
  piece = (size_t)data[0] + 1;
  data++;
  size--;
  whole_size = run((const char *)data, size, size + 1, whole);
  pieces_size = run((const char *)data, size, piece, pieces);
  assert(whole_size == pieces_size && memcmp(whole, pieces, whole_size) == 0);
  assert(is_part(whole, whole_size, (const char *)data, size));
  if (size >= 7 && whole_size < size) {
    bool has_usage = false;

    for (size_t i = 0; i + 7 <= size; i++)
      has_usage |= memcmp(data + i, "\"usage\"", 7) == 0;
    assert(has_usage);
  }
  return 0;
}
