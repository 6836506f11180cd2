/* http.h - the server side of one HTTP/1.1 connection, without any I/O.
 *
 *   bytes in -> events out                        answers in -> bytes out
 *   weir_http_conn_space / _fed / _next           weir_http_conn_head / _body / _finish
 *
 *   n = weir_http_conn_space(c, &at);  n = read(fd, at, n);  weir_http_conn_fed(c, n);
 *   while ((event = weir_http_conn_next(c, &body)) != WEIR_HTTP_MORE) ...
 *
 * One request at a time: after END the machine gives no event until its answer is finished, while
 * further (pipelined) bytes wait in the input buffer; a full buffer means "stop reading".
 *
 * Framing is never guessed, because budgets and keys are enforced per request. On top of llhttp's
 * strict mode these are refused: folded header lines, lines that end in a bare LF or hold a bare
 * CR, missing, empty or repeated Host (HTTP/1.1), empty header names, versions other than 1.0 and
 * 1.1 (505), any Transfer-Encoding other than exactly one "chunked", Transfer-Encoding on
 * HTTP/1.0, framing fields in trailers, unknown methods, CONNECT and WebSocket (501), expectations
 * other than "100-continue" (417). Nothing is read behind an error: the connection ends there.
 * An Upgrade to another protocol than WebSocket is passed over.
 *
 * Bounds: struct weir_http_limits, and: chunk overhead (sizes, extensions, line ends) of at most
 * head_bytes_max plus 16 bytes for each body byte. Time is the shell's: see http_server.h.
 *
 * Owner: the caller owns the storage; the machine allocates nothing. The request and all that it
 * points to live until the answer is finished (or the connection is thrown away).
 */
#ifndef WEIR_HTTP_H
#define WEIR_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/err.h>

struct weir_http_limits {
  uint32_t head_bytes_max;   /* request line, headers and trailers with their line ends; else 431 */
  uint32_t target_bytes_max; /* of the request line's target; else 414 */
  uint32_t headers_max;      /* header and trailer lines; else 431 */
  uint32_t input_bytes_max;  /* input buffer: the most pipelined bytes that are held */
  uint64_t body_bytes_max;   /* of one request, after chunks are joined; else 413 */
};

/* Good for a server of LLM requests: 32 MiB is the largest body that a provider takes. */
#define WEIR_HTTP_LIMITS_DEFAULT                                                                   \
  {                                                                                                \
    .head_bytes_max = 32768, .target_bytes_max = 8192, .headers_max = 100,                         \
    .input_bytes_max = 16384, .body_bytes_max = UINT64_C(32) << 20                                 \
  }

/* A header line. Both texts are NUL-terminated and hold no NUL, CR or LF. */
struct weir_http_header {
  const char *name; /* as it was sent: compare without case, or use weir_http_request_header */
  const char *value;
};

#define WEIR_HTTP_SIZE_UNKNOWN UINT64_MAX

struct weir_http_request {
  const char *method; /* "GET": static */
  const char *target; /* raw, with its query; '/...' or, as sent to a proxy, 'http://...' */
  const struct weir_http_header *headers;
  uint32_t header_count;
  uint32_t version_minor;   /* HTTP/1.x */
  uint64_t body_size;       /* WEIR_HTTP_SIZE_UNKNOWN: chunked */
  bool is_keep_alive;       /* the client would use the connection again */
  bool is_continue_awaited; /* "Expect: 100-continue" */
};

enum weir_http_event {
  WEIR_HTTP_MORE = 1, /* nothing before more bytes arrive, or before the answer is finished */
  WEIR_HTTP_HEAD,     /* weir_http_conn_request is filled */
  WEIR_HTTP_BODY,     /* a piece of the body, as large as it arrived */
  WEIR_HTTP_END,      /* the request is complete */
  WEIR_HTTP_ERROR     /* refused: send weir_http_conn_refuse's bytes and close; stays so */
};

struct weir_http_bytes {
  const uint8_t *at; /* in the input buffer: valid until the next call on this connection */
  size_t size;
};

/* Bytes for the client, in a buffer of the caller's. */
struct weir_http_out {
  uint8_t *at;
  size_t size, capacity;
};

struct weir_http_conn;

/* weir_http_conn_size returns the bytes of storage for one connection under |limits|. */
size_t weir_http_conn_size(const struct weir_http_limits *limits);

/* weir_http_conn_init makes a new connection in |storage| (aligned as malloc aligns), which it
 * returns. |limits| is copied; none of its fields may be 0 but body_bytes_max. */
struct weir_http_conn *weir_http_conn_init(void *storage, const struct weir_http_limits *limits);

/* weir_http_conn_space returns how many bytes may be read now, to |*ret_at|; 0 when the buffer is
 * full. Moves unread bytes to the front: a body piece got before is gone. */
size_t weir_http_conn_space(struct weir_http_conn *c, uint8_t **ret_at);

/* weir_http_conn_fed tells that |size| bytes now stand at weir_http_conn_space's place. */
void weir_http_conn_fed(struct weir_http_conn *c, size_t size);

/* weir_http_conn_lend has the next bytes read into |buffer| (borrowed, of input_bytes_max), in
 * place of the connection's own input buffer, if that is empty; up to weir_http_conn_keep. So
 * connections that wait need no memory for input. */
void weir_http_conn_lend(struct weir_http_conn *c, uint8_t *buffer);

/* weir_http_conn_keep gives back what weir_http_conn_lend lent: what is still unread moves to the
 * connection's own buffer. Body pieces got before are gone. */
void weir_http_conn_keep(struct weir_http_conn *c);

/* weir_http_conn_next returns the next event; |*ret_body| is set with BODY only. */
enum weir_http_event weir_http_conn_next(struct weir_http_conn *c,
                                         struct weir_http_bytes *ret_body);

/* weir_http_conn_request returns the request at hand. Precondition: HEAD was returned and its
 * answer is not finished. */
const struct weir_http_request *weir_http_conn_request(const struct weir_http_conn *c);

/* weir_http_conn_body_max takes a body of up to |bytes| for the request at hand, in place of the
 * limit's. Precondition: HEAD was the last event. */
void weir_http_conn_body_max(struct weir_http_conn *c, uint64_t bytes);

/* weir_http_conn_is_idle tells that no byte of a request has arrived that is not answered: closing
 * now loses nothing. */
bool weir_http_conn_is_idle(const struct weir_http_conn *c);

/* weir_http_conn_is_in_body tells that HEAD was returned and END was not. */
bool weir_http_conn_is_in_body(const struct weir_http_conn *c);

/* weir_http_conn_refuse writes the whole answer to an ERROR: its status, "Connection: close" and
 * one line of plain text that tells what was wrong. Needs 512 bytes of room; WEIR_EFULL
 * otherwise. */
WEIR_MUSTUSE enum weir_err weir_http_conn_refuse(struct weir_http_conn *c,
                                                 struct weir_http_out *out);

/* weir_http_conn_error returns the status of an ERROR, and its reason in |*ret_reason| (static). */
uint32_t weir_http_conn_error(const struct weir_http_conn *c, const char **ret_reason);

/* weir_http_conn_continue writes "100 Continue" if the client awaits it, no byte of the body has
 * come, and it is not larger than is taken; else nothing. Needs 32 bytes of room; WEIR_EFULL
 * otherwise. */
WEIR_MUSTUSE enum weir_err weir_http_conn_continue(struct weir_http_conn *c,
                                                   struct weir_http_out *out);

/* weir_http_head_size returns how much room weir_http_conn_head needs at most. */
size_t weir_http_head_size(const struct weir_http_header *headers, uint32_t header_count);

/* weir_http_conn_head writes status line and headers, and adds the framing: Content-Length for a
 * known |body_size|, chunks for WEIR_HTTP_SIZE_UNKNOWN (HTTP/1.0: until close), none for 1xx, 204
 * and 304. With |is_last|, or where the protocol demands it, it adds "Connection: close".
 *
 * Fails, changing nothing, with:
 *   WEIR_EINVAL  |status| is not in 200..599, a header holds CR, LF or NUL, is empty or no token,
 *                or is one of Content-Length, Transfer-Encoding, Connection, which are not the
 *                caller's
 *   WEIR_EFULL   |out| lacks room
 * Preconditions: HEAD was returned and this request has no head yet. An answer before END closes
 * the connection, since its body would have to be read to find the next request. */
WEIR_MUSTUSE enum weir_err weir_http_conn_head(struct weir_http_conn *c, uint32_t status,
                                               const struct weir_http_header *headers,
                                               uint32_t header_count, uint64_t body_size,
                                               bool is_last, struct weir_http_out *out);

/* Room that framing adds to one piece of a body, and to its end. */
#define WEIR_HTTP_CHUNK_OVERHEAD ((size_t)24)

/* weir_http_conn_body writes one piece of the body, framed (nothing for HEAD, 204 and 304).
 *
 * Fails, changing nothing, with:
 *   WEIR_ERANGE  more than the Content-Length that was promised
 *   WEIR_EFULL   |out| lacks |size| + WEIR_HTTP_CHUNK_OVERHEAD bytes of room */
WEIR_MUSTUSE enum weir_err weir_http_conn_body(struct weir_http_conn *c, const void *bytes,
                                               size_t size, struct weir_http_out *out);

/* weir_http_conn_finish writes what ends the answer and makes ready for the next request. Needs
 * WEIR_HTTP_CHUNK_OVERHEAD bytes of room; WEIR_EFULL otherwise. A body shorter than promised ends
 * the connection, the only honest signal for it. */
WEIR_MUSTUSE enum weir_err weir_http_conn_finish(struct weir_http_conn *c,
                                                 struct weir_http_out *out);

/* weir_http_conn_is_over tells that the connection is to be closed once |out| has been sent. */
bool weir_http_conn_is_over(const struct weir_http_conn *c);

/* weir_http_conn_is_ended_by_close tells that the answer at hand has no other end than that of the
 * connection, as with HTTP/1.0: one that is not whole has to end with a reset. */
bool weir_http_conn_is_ended_by_close(const struct weir_http_conn *c);

/* weir_http_request_header returns the value of the first header |name| (any case), or NULL. */
const char *weir_http_request_header(const struct weir_http_request *request, const char *name);

/* weir_http_status_text returns the reason phrase of |status|, "Unknown" where there is none. */
const char *weir_http_status_text(uint32_t status);

#endif
