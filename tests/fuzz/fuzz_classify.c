/* Any answer gets a verdict within its bounds: kind, status, two headers, body. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <weir/classify.h>

static char *text_take(const uint8_t **at, const uint8_t *end)
{
  const uint8_t *stop = *at < end ? memchr(*at, '\0', (size_t)(end - *at)) : NULL;
  size_t size = (size_t)((stop ? stop : end) - *at);
  char *text = malloc(size + 1);

  assert(text);
  memcpy(text, *at, size);
  text[size] = '\0';
  *at = stop ? stop + 1 : end;
  return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const names[] = {"retry-after", "retry-after-ms", "x-should-retry",
                                      "anthropic-ratelimit-input-tokens-remaining"};
  static const int statuses[] = {0,   200, 302, 400, 401, 402, 403, 404, 408,
                                 409, 413, 429, 499, 500, 503, 504, 529};
  const uint8_t *at = data + 3, *end = data + size;
  struct weir_header headers[2];
  struct weir_answer answer = {.headers = headers, .headers_count = 2, .wall_s = 1764000000};
  struct weir_verdict v, again;
  char *values[2];

  if (size < 3)
    return 0;
  answer.kind = (enum weir_provider_kind)(data[0] % (WEIR_PROVIDER_MAX + 1));
  answer.http = statuses[data[1] % (sizeof(statuses) / sizeof(statuses[0]))];
  for (size_t i = 0; i < 2; i++) {
    values[i] = text_take(&at, end);
    headers[i] = (struct weir_header){names[(data[2] >> (2 * i)) & 3], values[i]};
  }
  answer.body = at;
  answer.body_size = (size_t)(end - at);
  memset(&v, 0, sizeof(v));
  memset(&again, 0, sizeof(again));
  weir_classify(&answer, &v);
  weir_classify(&answer, &again);
  assert(v.outcome == again.outcome && v.wait_us == again.wait_us && v.limit == again.limit);
  assert(v.outcome > 0 && v.outcome < WEIR_OUTCOME_MAX);
  assert(!v.is_retryable || weir_outcome_is_retryable(v.outcome));
  assert(v.wait_us <= UINT64_C(31) * 24 * WEIR_US_PER_HOUR && (v.has_wait || v.wait_us == 0));
  assert(!v.has_limit || (v.dimension > 0 && v.window_us > 0));
  for (size_t i = 0; i < 2; i++)
    free(values[i]);
  return 0;
}
