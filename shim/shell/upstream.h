/* upstream.h - one HTTP transfer to a provider, by libcurl, on the caller's thread.
 *
 * At most one sending: libcurl would send a request again by itself when a kept connection turns
 * out to be dead, and the provider might count both. The second sending is refused, and so is the
 * first when the lease has ended meanwhile.
 */
#ifndef WEIR_SHELL_UPSTREAM_H
#define WEIR_SHELL_UPSTREAM_H

#include "handle.h"

#include <weir/usage.h>

#define WEIR_HEADERS_MAX      64
#define WEIR_HEADERS_SIZE_MAX 16384
#define WEIR_ANSWER_SIZE_MAX  ((size_t)256 << 20)

enum weir_transfer_end {
  WEIR_TRANSFER_DONE = 1, /* a whole answer, of whatever status */
  WEIR_TRANSFER_EXPIRED,  /* the lease ended before the request was written: nothing was sent */
  WEIR_TRANSFER_FAILED,   /* no connection, or no whole answer: |is_sent| tells them apart */
  WEIR_TRANSFER_TIMED_OUT,
  WEIR_TRANSFER_REFUSED, /* on_data wanted no more */
  WEIR_TRANSFER_CLOSED,  /* weir_close */
  WEIR_TRANSFER_TOO_LARGE,
  WEIR_TRANSFER_NO_MEMORY
};

struct weir_transfer {
  /* set by the caller, who keeps what they point to */
  struct weir *w;
  const struct weir_provider_entry *provider;
  const char *url;
  bool is_openai; /* speaks OpenAI's protocol, whatever the provider's own is */
  const void *request;
  size_t request_size;
  weir_tstamp expires_at, deadline;
  weir_data_fn *on_data; /* NULL: the answer is kept */
  void *on_data_context;
  /* called once when the whole request is written, which |sent_at| then says; may be NULL */
  void (*on_written)(struct weir_transfer *transfer, void *context);
  /* called once at the first bytes of the body of a 2xx answer; may be NULL */
  void (*on_first)(struct weir_transfer *transfer, void *context);
  /* called once when the input tokens of a stream that goes on become known; may be NULL */
  void (*on_input)(struct weir_transfer *transfer, void *context);
  void *told_context;

  /* the result; |body| belongs to the transfer until the caller takes it */
  enum weir_transfer_end end;
  bool is_sent;                            /* or began to be */
  weir_tstamp sent_at, first_at, ended_at; /* first_at: 0 without an answer; sent_at: when the
                                              last byte was given to the system, or, where an answer
                                              or the end came before that, the first */
  int http;
  struct weir_header headers[WEIR_HEADERS_MAX];
  size_t headers_count;
  char *body;
  size_t body_size;
  bool has_passed_on; /* on_data was called */
  struct weir_usage_scan scan;
  char error[128]; /* libcurl's words about FAILED */

  /* private */
  uint32_t sendings;
  size_t body_capacity, headers_size;
  bool is_written_told, is_input_told, is_refused, is_out_of_memory, is_expired;
  char headers_text[WEIR_HEADERS_SIZE_MAX];
};

/* weir_transfer_run makes the transfer; blocks until it has ended, at |deadline| at the latest.
 * Precondition: the lock is not held, the caller is inside. */
void weir_transfer_run(struct weir_transfer *t);

/* weir_transfer_free frees |t| and the body that nobody took; NULL does nothing. */
void weir_transfer_free(struct weir_transfer *t);

#endif
