/* http_server.h - an HTTP/1.1 server on libuv, for the sidecar, the admin port and the simulated
 * provider.
 *
 *   static void on_request(struct weir_http_exchange *x, void *context)
 *   { weir_http_exchange_respond(x, 200, NULL, 0, "hello\n", 6); }
 *
 *   struct weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_DEFAULT;
 *   options.handler = (struct weir_http_handler){.on_request = on_request};
 *   err = weir_http_server_open(&loop, &options, &server, error, sizeof error);
 *
 * An exchange is one request and its answer. The handler is called when the request is complete
 * with its body, or, if it wants so, before the body comes, which it then gets in pieces; it
 * answers at once or any time later, whole or in pieces. The handle dies, and
 * on_close is called, exactly once: when the answer is fully handed to the system, or when the
 * client is gone. A client that closes only its sending half counts as gone.
 *
 * What the handler queues is written when the loop's turn ends, in one system call for each
 * connection.
 *
 * Back-pressure: up to WEIR_HTTP_QUEUE_MAX unsent bytes wait per connection; above that
 * weir_http_exchange_send says WEIR_EFULL and on_drain tells when the queue is empty. A client
 * that takes no byte of a waiting answer for stall_ms is cut off.
 *
 * Everything happens on the loop's thread: call nothing from another one, and no call blocks. To
 * use several cores, run one loop, server and thread each, with is_port_shared.
 */
#ifndef WEIR_HTTP_SERVER_H
#define WEIR_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include <weir/err.h>
#include <weir/http.h>

#define WEIR_HTTP_QUEUE_MAX 1048576

struct weir_http_server;
struct weir_http_exchange;

/* An answer in place of the request's own. */
struct weir_http_refusal {
  uint32_t status;
  const struct weir_http_header *headers; /* static */
  uint32_t header_count;
  char body[768];
  size_t size;
};

/* What becomes of a request whose headers are there. */
enum weir_http_intake {
  WEIR_HTTP_REFUSED = 1, /* it is answered at once without reading its body, the connection closed;
                            no exchange begins */
  WEIR_HTTP_WHOLE,       /* on_request follows when its body is there */
  WEIR_HTTP_STREAMED     /* on_request follows now, and the body, of any size, by on_body */
};

struct weir_http_handler {
  void *context; /* borrowed; passed to each function */

  /* on_head is called when a request's headers are there and its body is not. |ret_refusal| is the
   * answer to one that is refused. NULL: all are whole. */
  enum weir_http_intake (*on_head)(const struct weir_http_request *request,
                                   struct weir_http_refusal *ret_refusal, void *context);

  /* on_body gets a piece of a streamed body, of at most input_bytes_max, and at its end a |size| of
   * 0. Only after weir_http_exchange_body_resume, and no more once the answer is finished; for an
   * answer that begins before the body's end the connection closes behind it. NULL: none is
   * streamed. */
  void (*on_body)(struct weir_http_exchange *x, const void *bytes, size_t size, void *context);

  /* on_full is called when memory or disk has no room for a request's body: it fills |ret_refusal|,
   * with which the request is answered, and the connection closed. NULL: a plain 503. */
  void (*on_full)(const struct weir_http_request *request, struct weir_http_refusal *ret_refusal,
                  void *context);

  /* on_request is called once per request: complete, unless it is streamed. */
  void (*on_request)(struct weir_http_exchange *x, void *context);

  /* on_drain is called when the queue that was full is empty. May be NULL. Not called from
   * within weir_http_exchange_send. */
  void (*on_drain)(struct weir_http_exchange *x, void *context);

  /* on_close is called when |x| ends, after which it must not be used: |is_sent| tells that the
   * answer was finished and written, not that the client read it. May be NULL. It may come from
   * within weir_http_exchange_respond, _finish or _abort, never from within _start or _send. */
  void (*on_close)(struct weir_http_exchange *x, bool is_sent, void *context);
};

struct weir_http_server_options {
  struct weir_http_handler handler;
  struct weir_http_limits limits; /* of each connection */

  const char *host;      /* numeric IPv4 or IPv6 address; NULL: no TCP */
  uint16_t port;         /* 0: any free one */
  bool is_port_shared;   /* SO_REUSEPORT, for several loops on one port */
  const char *unix_path; /* NULL: no Unix socket. A stale socket file is replaced */
  uint32_t unix_mode;    /* permissions of the socket file */

  int socket_fd; /* a listening socket, TCP or Unix, that is taken over, as from systemd; then
                    neither host nor unix_path may be given. 0: none */

  uint32_t connections_max;  /* further ones are closed at once */
  uint64_t bodies_bytes_max; /* of all requests that are held in memory; above that 503 */
  const char *spool_folder;  /* where a body of more than |spool_bytes| goes, in a file without a
                                name; NULL, or where none can be made: it stays in memory. When the
                                disk is full meanwhile: 503 */
  uint64_t spool_bytes;
  uint64_t spool_bytes_max; /* of all that is in such files; above that 503 */
  uint32_t head_ms;         /* from the first byte of a request to its headers' end; else 408 */
  uint32_t body_ms;         /* between two reads of a body that is wanted; else 408 */
  uint32_t idle_ms;         /* between requests; then the connection is closed */
  uint32_t linger_ms;       /* when closing: before idle connections are closed, whose clients may
                               be about to send; 0: at once */
  uint32_t stall_ms;        /* without progress of a waiting answer; then it is cut */
};

#define WEIR_HTTP_SERVER_OPTIONS_DEFAULT                                                           \
  {                                                                                                \
    .limits = WEIR_HTTP_LIMITS_DEFAULT, .host = "127.0.0.1", .unix_mode = 0600,                    \
    .connections_max = 4096, .bodies_bytes_max = UINT64_C(512) << 20,                              \
    .spool_bytes_max = UINT64_C(4096) << 20, .head_ms = 10000, .body_ms = 30000, .idle_ms = 75000, \
    .stall_ms = 30000                                                                              \
  }

/* weir_http_server_open listens on |loop|. |options| is copied, its texts are not kept.
 *
 * Fails with WEIR_EINVAL (address or option out of range), WEIR_ESYSTEM (the address is in use or
 * not allowed) or WEIR_ENOMEM, and puts one line that says what and why into |error|. After a
 * failure the loop must run once more, to close what was open. */
WEIR_MUSTUSE enum weir_err weir_http_server_open(uv_loop_t *loop,
                                                 const struct weir_http_server_options *options,
                                                 struct weir_http_server **ret_server, char *error,
                                                 size_t error_size);

/* weir_http_server_port returns the TCP port that it listens on; 0 without TCP. */
uint16_t weir_http_server_port(const struct weir_http_server *server);

/* weir_http_server_connections returns the number of open connections. */
uint32_t weir_http_server_connections(const struct weir_http_server *server);

/* weir_http_server_close stops accepting, after what the system has accepted already, closes idle
 * connections, at once or after |linger_ms|, lets open exchanges finish for up to |limit_ms|, then
 * cuts them; then frees |server| and calls |on_closed| (may be NULL) from the loop. The handler is
 * still called meanwhile, for exchanges that are open. Call it once; NULL is allowed. */
void weir_http_server_close(struct weir_http_server *server, uint64_t limit_ms,
                            void (*on_closed)(void *context), void *context);

/* weir_http_server_spool_take counts |size| bytes in files of the handler's own with those of the
 * bodies, against spool_bytes_max: false, and nothing is counted, where they are too many. */
WEIR_MUSTUSE bool weir_http_server_spool_take(struct weir_http_server *server, uint64_t size);

/* weir_http_server_spool_give takes off |size| bytes that weir_http_server_spool_take counted. */
void weir_http_server_spool_give(struct weir_http_server *server, uint64_t size);

/* --- one exchange -------------------------------------------------------------------------- */

/* weir_http_exchange_request returns the request; valid as long as |x|. */
const struct weir_http_request *weir_http_exchange_request(const struct weir_http_exchange *x);

/* weir_http_exchange_body returns the whole body of the request; valid as long as |x|. It is
 * followed by a NUL byte that |*ret_size| does not count. */
const char *weir_http_exchange_body(const struct weir_http_exchange *x, size_t *ret_size);

/* weir_http_exchange_body_relax tells that the body is not needed for a while: one that was
 * written to a file leaves memory until it is read again. */
void weir_http_exchange_body_relax(struct weir_http_exchange *x);

/* weir_http_exchange_body_forget frees the body, for answers that go on long after it was used. */
void weir_http_exchange_body_forget(struct weir_http_exchange *x);

/* weir_http_exchange_is_streamed tells that the body, or the rest of it, comes by on_body. */
bool weir_http_exchange_is_streamed(const struct weir_http_exchange *x);

/* weir_http_exchange_body_resume has the pieces of a streamed body come, from the next turn of the
 * loop on; the first time, a client that awaits "100 Continue" gets it. Does nothing where no body
 * is streamed. */
void weir_http_exchange_body_resume(struct weir_http_exchange *x);

/* weir_http_exchange_body_pause ends that, as it is at first: no piece comes, and no more than
 * input_bytes_max is read ahead. Does nothing where no body is streamed. */
void weir_http_exchange_body_pause(struct weir_http_exchange *x);

/* weir_http_exchange_set_data and weir_http_exchange_data keep and return a pointer of the
 * handler's, with |x|; NULL at first. */
void weir_http_exchange_set_data(struct weir_http_exchange *x, void *data);
void *weir_http_exchange_data(const struct weir_http_exchange *x);

/* weir_http_exchange_index returns how many requests came before on the same connection. */
uint64_t weir_http_exchange_index(const struct weir_http_exchange *x);

/* weir_http_exchange_respond gives the whole answer and ends |x|: on_close follows, perhaps before
 * it returns. |headers| and |body| are copied. Content-Length, Transfer-Encoding and Connection
 * are not for the caller (WEIR_EINVAL, as is a status outside 200..599: nothing was sent, |x|
 * lives). WEIR_ENOMEM: as well. */
WEIR_MUSTUSE enum weir_err weir_http_exchange_respond(struct weir_http_exchange *x, uint32_t status,
                                                      const struct weir_http_header *headers,
                                                      uint32_t header_count, const void *body,
                                                      size_t size);

/* weir_http_exchange_start begins an answer whose pieces follow; |body_size| is their sum, or
 * WEIR_HTTP_SIZE_UNKNOWN. Errors as weir_http_exchange_respond's. */
WEIR_MUSTUSE enum weir_err weir_http_exchange_start(struct weir_http_exchange *x, uint32_t status,
                                                    const struct weir_http_header *headers,
                                                    uint32_t header_count, uint64_t body_size);

/* weir_http_exchange_send adds one piece, copied, which is written when the loop's turn ends, or at
 * once where much waits.
 *
 * Fails, sending nothing, with:
 *   WEIR_EFULL   WEIR_HTTP_QUEUE_MAX bytes or more wait already: on_drain will follow
 *   WEIR_ERANGE  more than the announced body_size
 *   WEIR_ENOMEM
 * Precondition: started. The piece itself may be of any size. */
WEIR_MUSTUSE enum weir_err weir_http_exchange_send(struct weir_http_exchange *x, const void *bytes,
                                                   size_t size);

/* weir_http_exchange_queued returns how many bytes wait for the client. */
size_t weir_http_exchange_queued(const struct weir_http_exchange *x);

/* weir_http_exchange_wait has on_drain called when the queue is empty, as after a WEIR_EFULL.
 * False, and no call, when it is empty already. Precondition: started. */
bool weir_http_exchange_wait(struct weir_http_exchange *x);

/* weir_http_exchange_finish ends a started answer; on_close follows when all is written. */
void weir_http_exchange_finish(struct weir_http_exchange *x);

/* weir_http_exchange_abort cuts the connection without (further) answer, so that the client can
 * tell a broken answer from a finished one; on_close is called before it returns. Of what is queued
 * the client gets as much as the system takes at once; the rest is dropped, as by every cut. */
void weir_http_exchange_abort(struct weir_http_exchange *x);

#endif
