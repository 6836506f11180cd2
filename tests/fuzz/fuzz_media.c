/* Whatever stands where an image may: what is read lies in bounds, and line breaks change nothing.
 */
#include <assert.h>
#include <stdlib.h>

#include <weir/media.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* |data| with a line break after every |line| bytes, but none inside of an escape. */
static size_t broken(const uint8_t *data, size_t size, size_t line, uint8_t *ret_text)
{
  size_t used = 0;

  for (size_t i = 0; i < size; i++) {
    ret_text[used++] = data[i];
    if (i % line == line - 1 && data[i] != '\\')
      ret_text[used++] = '\n';
  }
  return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct weir_media media, other;
  uint8_t *text;

  if (size < 1 || !weir_media_read(data + 1, size - 1, &media))
    return 0;
  if (media.type == WEIR_MEDIA_SOUND) {
    assert(media.duration_ms < WEIR_MEDIA_DURATION_MAX);
    return 0;
  }
  assert(media.type == WEIR_MEDIA_IMAGE);
  assert(media.width >= 1 && media.width <= WEIR_MEDIA_SIDE_MAX);
  assert(media.height >= 1 && media.height <= WEIR_MEDIA_SIDE_MAX);
  for (int tokenizer = 1; tokenizer < WEIR_TOKENIZER_MAX; tokenizer++)
    assert(weir_media_tokens((enum weir_tokenizer)tokenizer, &media) > 0);
  text = malloc(2 * size);
  assert(text);
  if (data[1] != 'd' && data[1] != 'Z') { /* not behind the beginning of a URL */
    assert(weir_media_read(text, broken(data + 1, size - 1, data[0] % 16 + 1, text), &other));
    assert(media.width == other.width && media.height == other.height);
  }
  free(text);
  return 0;
}
