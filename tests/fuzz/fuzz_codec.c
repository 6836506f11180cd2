/* Any bytes as a frame: what decodes must encode again, and decode to the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <weir/codec.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct weir_msg msg, again;
  const uint8_t *bytes = (const uint8_t *)&msg; /* compared as bytes: a decoded message is zeroed */
  size_t offset = 0;

  while (offset < size && weir_codec_decode(data, size, &offset, &msg) == WEIR_OK) {
    uint8_t buffer[WEIR_MSG_SIZE_MAX];
    size_t written = 0, read = 0;

    assert(weir_codec_encode(&msg, buffer, sizeof(buffer), &written) == WEIR_OK);
    assert(weir_codec_decode(buffer, written, &read, &again) == WEIR_OK);
    assert(read == written && memcmp(bytes, (const uint8_t *)&again, sizeof(msg)) == 0);
  }
  return 0;
}
