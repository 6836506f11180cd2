/* Any bytes as a line of a batch: nothing breaks, and what is accepted can be written and read
 * back. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "batch_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
  const char *line = (const char *)bytes;
  struct weir_batch_request request;
  struct weir_batch_record record;
  char reason[WEIR_BATCH_REASON_MAX];
  /* The line itself serves as the provider's answer, too. */
  struct weir_batch_result result = {.is_ok = size % 2 != 0,
                                     .is_retryable = size % 3 != 0,
                                     .http = 200,
                                     .code = "ok",
                                     .body = bytes,
                                     .body_size = size};
  struct weir_jsonout out = {0};

  (void)weir_batch_record_parse(line, size, &record);
  if (!weir_batch_request_parse(line, size, &request, reason)) {
    assert(memchr(reason, '\0', sizeof(reason)));
    return 0;
  }
  assert(request.body_begin < request.body_end && request.body_end <= size);
  assert(line[request.body_begin] == '{' && line[request.body_end - 1] == '}');
  weir_batch_result_write(&out, &request, 1, &result);
  assert(memchr(out.bytes, '\n', out.size) == out.bytes + out.size - 1);
  assert(weir_batch_record_parse(out.bytes, out.size - 1, &record));
  assert(strcmp(record.id, request.id) == 0);
  assert(record.is_ok == result.is_ok);
  weir_jsonout_free(&out);
  return 0;
}
