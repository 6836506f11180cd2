/* fetch.h - HTTP out: libcurl's multi interface on a libuv loop, for many transfers at a time.
 *
 * At most one sending for each fetch: libcurl would send a request again by itself when a kept
 * connection turns out to be dead, and the provider might count both. The second sending is
 * refused, and so is the first when its lease has ended meanwhile.
 *
 * Everything happens on the loop's thread and nothing blocks. The handler's functions but on_end
 * are called from within libcurl: they must neither start nor cancel a fetch.
 */
#ifndef WEIR_PROXY_FETCH_H
#define WEIR_PROXY_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>
#include <uv.h>

#include <weir/facts.h>
#include <weir/time.h>

#define WEIR_FETCH_HEADERS_MAX      100
#define WEIR_FETCH_HEADERS_SIZE_MAX 32768

struct weir_fetcher;
struct weir_fetch;

enum weir_fetch_end {
  WEIR_FETCH_DONE = 1,  /* a whole answer, of whatever status */
  WEIR_FETCH_TIMED_OUT, /* not whole within |timeout_us| */
  WEIR_FETCH_EXPIRED,   /* the lease ended before the request was written: nothing was sent */
  WEIR_FETCH_FAILED     /* no connection, or no whole answer: weir_fetch_sent_us tells them apart */
};

struct weir_fetch_handler {
  /* on_need asks for the next bytes of a streamed body: up to |size| of them to |to|, and returns
   * how many. 0 is its end with |*ret_is_over|, or else: none yet, and it asks again after
   * weir_fetch_more. */
  size_t (*on_need)(struct weir_fetch *fetch, char *to, size_t size, bool *ret_is_over,
                    void *context);

  /* on_written is called once when the whole request is written, or before on_head. */
  void (*on_written)(struct weir_fetch *fetch, void *context);

  /* on_head is called once, when status and headers are there. */
  void (*on_head)(struct weir_fetch *fetch, void *context);

  /* on_data gets a piece of the body. False: not now; it comes again after weir_fetch_resume. */
  bool (*on_data)(struct weir_fetch *fetch, const char *bytes, size_t size, void *context);

  /* on_end is called once, at the end, unless the fetch was cancelled before; then |fetch| is
   * gone. |error| holds libcurl's words about FAILED. */
  void (*on_end)(struct weir_fetch *fetch, enum weir_fetch_end end, const char *error,
                 void *context);
};

struct weir_fetch_request {
  const char *method;
  const char *url;
  const struct weir_header *headers; /* copied; Content-Length is not among them */
  size_t header_count;
  const void *body; /* borrowed until the end */
  size_t
      body_size; /* of a streamed one: SIZE_MAX where it is not known, so that it goes in chunks */
  bool has_body; /* false: none at all, as with GET */
  bool is_streamed;         /* it comes by on_need */
  weir_duration timeout_us; /* of the whole; 0: none */
  weir_tstamp expires_at;   /* of the lease; WEIR_NEVER: without one */
  uint64_t idle_ms;         /* without a byte in either direction, after which it fails */
};

/* weir_fetcher_open makes a fetcher on |loop|. NULL without memory. The caller ends it with
 * weir_fetcher_close. */
struct weir_fetcher *weir_fetcher_open(uv_loop_t *loop, const struct weir_fetch_handler *handler);

/* weir_fetcher_close ends it when no fetch is under way (a precondition); it frees itself from the
 * loop. */
void weir_fetcher_close(struct weir_fetcher *fetcher);

/* weir_fetch_start begins. NULL without memory, or where libcurl does not understand the URL. */
struct weir_fetch *weir_fetch_start(struct weir_fetcher *fetcher,
                                    const struct weir_fetch_request *request, void *context);

/* weir_fetch_cancel ends a fetch at once, without on_end. Not from within a handler's function but
 * on_end, after which there is nothing to cancel. */
void weir_fetch_cancel(struct weir_fetch *fetch);

/* weir_fetch_resume goes on after an on_data that returned false. */
void weir_fetch_resume(struct weir_fetch *fetch);

/* weir_fetch_more has on_need asked again, after it had nothing. */
void weir_fetch_more(struct weir_fetch *fetch);

/* weir_fetch_is_uploaded tells that the request's body is not needed any more. */
bool weir_fetch_is_uploaded(const struct weir_fetch *fetch);

/* weir_fetch_http returns the answer's status; 0: none yet. */
uint32_t weir_fetch_http(const struct weir_fetch *fetch);

/* weir_fetch_headers returns the answer's headers, up to weir_fetch_forget; how many in
 * |*ret_count|. Those beyond the bounds are left out. */
const struct weir_header *weir_fetch_headers(const struct weir_fetch *fetch, size_t *ret_count);

/* weir_fetch_forget frees the headers, which long streams do without. */
void weir_fetch_forget(struct weir_fetch *fetch);

/* weir_fetch_sent_us returns when the request was written: its last byte, or while that is under
 * way the first. 0: it was not. */
weir_tstamp weir_fetch_sent_us(const struct weir_fetch *fetch);

#endif
