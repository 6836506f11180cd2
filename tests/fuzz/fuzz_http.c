/* The connection machine fed with anything in pieces of any size: it never crashes, never reads
 * past what it was given, and what it reads does not depend on the pieces. The first byte chooses
 * the size of the pieces. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <weir/http.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct weir_http_limits limits = {
    .head_bytes_max = 256,
    .target_bytes_max = 64,
    .headers_max = 6,
    .input_bytes_max = 128,
    .body_bytes_max = 300,
};

struct result {
  uint64_t digest; /* of all heads and bodies */
  uint32_t status, requests;
};

static void mix(struct result *r, const void *bytes, size_t size)
{
  const uint8_t *at = bytes;
  for (size_t i = 0; i < size; i++)
    r->digest = (r->digest ^ at[i]) * UINT64_C(1099511628211);
}

static void read_head(const struct weir_http_request *request, struct result *r)
{
  mix(r, request->method, strlen(request->method));
  mix(r, request->target, strlen(request->target));
  assert(request->header_count <= limits.headers_max);
  for (uint32_t i = 0; i < request->header_count; i++) {
    const struct weir_http_header *h = &request->headers[i];
    mix(r, h->name, strlen(h->name));
    mix(r, h->value, strlen(h->value));
    assert(h->name[0] != '\0' && strpbrk(h->value, "\r\n") == NULL);
  }
}

static void answer(struct weir_http_conn *c)
{
  uint8_t bytes[512];
  struct weir_http_out out = {.at = bytes, .capacity = sizeof bytes};
  assert(weir_http_conn_head(c, 200, NULL, 0, WEIR_HTTP_SIZE_UNKNOWN, false, &out) == WEIR_OK);
  assert(weir_http_conn_body(c, "x", 1, &out) == WEIR_OK);
  assert(weir_http_conn_finish(c, &out) == WEIR_OK);
}

static void drain(struct weir_http_conn *c, struct result *r, uint64_t *body_bytes)
{
  struct weir_http_bytes piece;
  const char *reason;
  for (;;) {
    switch (weir_http_conn_next(c, &piece)) {
    case WEIR_HTTP_MORE:
      return;
    case WEIR_HTTP_HEAD:
      *body_bytes = 0;
      read_head(weir_http_conn_request(c), r);
      break;
    case WEIR_HTTP_BODY:
      *body_bytes += piece.size;
      assert(piece.size > 0 && *body_bytes <= limits.body_bytes_max);
      mix(r, piece.at, piece.size);
      break;
    case WEIR_HTTP_END: {
      const struct weir_http_request *request = weir_http_conn_request(c);
      assert(request->body_size == WEIR_HTTP_SIZE_UNKNOWN || request->body_size == *body_bytes);
      r->requests++;
      answer(c);
      break;
    }
    case WEIR_HTTP_ERROR:
      r->status = weir_http_conn_error(c, &reason);
      return;
    }
  }
}

static struct result run(const uint8_t *data, size_t size, size_t step)
{
  struct result r = {.digest = UINT64_C(14695981039346656037)};
  void *storage = malloc(weir_http_conn_size(&limits));
  struct weir_http_conn *c = weir_http_conn_init(storage, &limits);
  uint8_t *lent = malloc(limits.input_bytes_max);
  uint64_t body_bytes = 0;
  for (size_t at = 0; at < size && r.status == 0 && !weir_http_conn_is_over(c);) {
    uint8_t *space;
    weir_http_conn_lend(c, lent);
    size_t n = weir_http_conn_space(c, &space);
    assert(n > 0); /* every answer is given at once, so nothing stays in the buffer */
    n = n < size - at ? n : size - at;
    n = n < step ? n : step;
    memcpy(space, data + at, n);
    weir_http_conn_fed(c, n);
    at += n;
    drain(c, &r, &body_bytes);
    weir_http_conn_keep(c);
  }
  free(lent);
  free(storage);
  return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1)
    return 0;
  struct result whole = run(data + 1, size - 1, SIZE_MAX);
  struct result pieces = run(data + 1, size - 1, 1 + data[0] % 16);
  assert(whole.requests == pieces.requests);
  /* Where a head has two flaws, the pieces may choose which one is named. */
  assert((whole.status == 0) == (pieces.status == 0));
  /* A body cut by a refusal may have come further in smaller pieces. */
  assert(whole.status != 0 || whole.digest == pieces.digest);
  return 0;
}
