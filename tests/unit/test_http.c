/* The connection machine: what it reads, what it refuses, how it frames answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/http.h>

static const struct weir_http_limits limits_small = {
    .head_bytes_max = 512,
    .target_bytes_max = 64,
    .headers_max = 8,
    .input_bytes_max = 256,
    .body_bytes_max = 100,
};

/* All that a client gets for |bytes| sent in pieces of |piece| bytes (0: all at once, as far as
 * the buffer takes it), each request being answered by its own echo: "METHOD target body". */
struct talk {
  char sent[8192]; /* what the server answered */
  size_t sent_size;
  char seen[8192]; /* the requests: "METHOD target|body\n" */
  uint32_t status; /* of the refusal, 0 for none */
  uint32_t requests;
  bool is_over;
};

static void answer(struct weir_http_conn *c, struct talk *talk, const char *body, size_t size)
{
  struct weir_http_out out = {.at = (uint8_t *)talk->sent + talk->sent_size,
                              .capacity = sizeof talk->sent - talk->sent_size};
  assert_int_equal(weir_http_conn_head(c, 200, NULL, 0, size, false, &out), WEIR_OK);
  assert_int_equal(weir_http_conn_body(c, body, size, &out), WEIR_OK);
  assert_int_equal(weir_http_conn_finish(c, &out), WEIR_OK);
  talk->sent_size += out.size;
}

static void refuse(struct weir_http_conn *c, struct talk *talk)
{
  struct weir_http_out out = {.at = (uint8_t *)talk->sent + talk->sent_size,
                              .capacity = sizeof talk->sent - talk->sent_size};
  const char *reason;
  talk->status = weir_http_conn_error(c, &reason);
  assert_true(reason[0] != '\0');
  assert_int_equal(weir_http_conn_refuse(c, &out), WEIR_OK);
  talk->sent_size += out.size;
}

static void drain(struct weir_http_conn *c, struct talk *talk, char *body, size_t *body_size)
{
  struct weir_http_bytes piece;
  for (;;) {
    switch (weir_http_conn_next(c, &piece)) {
    case WEIR_HTTP_MORE:
      return;
    case WEIR_HTTP_HEAD:
      *body_size = 0;
      break;
    case WEIR_HTTP_BODY:
      memcpy(body + *body_size, piece.at, piece.size);
      *body_size += piece.size;
      break;
    case WEIR_HTTP_END: {
      const struct weir_http_request *request = weir_http_conn_request(c);
      size_t used = strlen(talk->seen);
      snprintf(talk->seen + used, sizeof talk->seen - used, "%s %s|%.*s\n", request->method,
               request->target, (int)*body_size, body);
      talk->requests++;
      answer(c, talk, body, *body_size);
      break;
    }
    case WEIR_HTTP_ERROR:
      refuse(c, talk);
      return;
    }
  }
}

static struct talk talk_to(const struct weir_http_limits *limits, const char *bytes, size_t size,
                           size_t piece)
{
  struct talk talk = {0};
  struct weir_http_conn *c = weir_http_conn_init(malloc(weir_http_conn_size(limits)), limits);
  char body[4096];
  size_t body_size = 0, at = 0;
  while (at < size && !weir_http_conn_is_over(c)) {
    /* A lent buffer, as of a server, of which nothing may be needed afterwards. */
    uint8_t *space, *lent = malloc(limits->input_bytes_max);
    assert_non_null(lent);
    weir_http_conn_lend(c, lent);
    size_t n = weir_http_conn_space(c, &space);
    assert_true(n > 0);
    n = n < size - at ? n : size - at;
    n = piece > 0 && piece < n ? piece : n;
    memcpy(space, bytes + at, n);
    weir_http_conn_fed(c, n);
    at += n;
    drain(c, &talk, body, &body_size);
    weir_http_conn_keep(c);
    memset(lent, '!', limits->input_bytes_max);
    free(lent);
  }
  talk.is_over = weir_http_conn_is_over(c);
  free(c);
  return talk;
}

/* --- what is refused ----------------------------------------------------------------------- */

struct vector {
  const char *name;
  const char *bytes;
  uint32_t status;
  size_t size; /* 0: strlen */
};

#define HOST "Host: a\r\n"
static const char nul_in_value[] = "GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n";
static const char nul_in_target[] = "GET /a\0b HTTP/1.1\r\n" HOST "\r\n";

static const struct vector vectors[] = {
    /* The table of strictness vectors. */
    {"length and chunks",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400, 0},
    {"chunks and length",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
     400, 0},
    {"two lengths that differ",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc", 400, 0},
    {"two lengths that agree",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400, 0},
    {"a list of lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 2, 2\r\n\r\nab", 400, 0},
    {"unknown coding", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
     400, 0},
    {"space before colon", "GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n", 400, 0},
    {"space before colon of a length", "POST / HTTP/1.1\r\n" HOST "Content-Length : 2\r\n\r\nab",
     400, 0},
    {"signed length", "POST / HTTP/1.1\r\n" HOST "Content-Length: +2\r\n\r\nab", 400, 0},
    {"negative length", "POST / HTTP/1.1\r\n" HOST "Content-Length: -2\r\n\r\nab", 400, 0},
    {"hexadecimal length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x2\r\n\r\nab", 400, 0},
    {"length beyond 64 bits",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n", 400, 0},
    {"bare LF lines", "GET / HTTP/1.1\nHost: a\n\n", 400, 0},
    {"bare LF after the request line", "GET / HTTP/1.1\n" HOST "\r\n", 400, 0},
    {"bare LF after a header", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, 0},
    {"folded line", "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", 400, 0},
    {"folded line with a tab", "GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n", 400, 0},
    {"NUL in a value", nul_in_value, 400, sizeof nul_in_value - 1},
    {"NUL in the target", nul_in_target, 400, sizeof nul_in_target - 1},
    {"bare CR in a value", "GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", 400, 0},
    /* What llhttp 8.1 accepts by itself. */
    {"folded length", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n 2\r\n\r\nab", 400, 0},
    {"folded coding", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
     400, 0},
    {"last line is a bare LF", "GET / HTTP/1.1\r\n" HOST "\n", 400, 0},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400, 0},
    {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, 0},
    {"two Hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400, 0},
    {"empty header name", "GET / HTTP/1.1\r\n" HOST ": x\r\n\r\n", 400, 0},
    {"version 2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", 505, 0},
    {"version 0.9", "GET / HTTP/0.9\r\n" HOST "\r\n", 505, 0},
    {"version 1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", 505, 0},
    {"coding on 1.0", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
     0},
    {"two codings", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
     400, 0},
    {"chunked twice",
     "POST / HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400, 0},
    {"chunked, chunked",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, 0},
    {"identity", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", 400, 0},
    {"empty coding", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", 400, 0},
    {"CONNECT", "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 501, 0},
    {"WebSocket",
     "GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n", 501,
     0},
    {"WebSocket among others",
     "GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: h2c,websocket/13\r\n\r\n", 501, 0},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, 0},
    /* Others. */
    {"unknown method", "BREW / HTTP/1.1\r\n" HOST "\r\n", 501, 0},
    {"lower-case method", "get / HTTP/1.1\r\n" HOST "\r\n", 400, 0},
    {"TLS hello", "\x16\x03\x01\x02", 400, 0},
    {"not HTTP", "GET / HTTQ/1.1\r\n" HOST "\r\n", 400, 0},
    {"no colon", "GET / HTTP/1.1\r\n" HOST "X\r\n\r\n", 400, 0},
    {"control byte in a value", "GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n", 400, 0},
    {"space at the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, 0},
    {"leading bare LF", "\nGET / HTTP/1.1\r\n" HOST "\r\n", 400, 0},
    {"expectation", "POST / HTTP/1.1\r\n" HOST "Expect: tea\r\nContent-Length: 1\r\n\r\na", 417, 0},
    {"chunk size is no number",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nx\r\n", 400, 0},
    {"chunk size with sign",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n", 400, 0},
    {"chunk size with space",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n 1\r\na\r\n0\r\n\r\n", 400, 0},
    {"chunk size beyond 64 bits",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\na", 400, 0},
    {"chunk size line ends in LF",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", 400, 0},
    {"chunk longer than its size",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", 400, 0},
    {"chunk ends in LF",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n", 400, 0},
    {"trailers end in LF", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\n",
     400, 0},
    {"folded trailer",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n b\r\n\r\n", 400,
     0},
    {"length in a trailer",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n",
     400, 0},
    {"coding in a trailer",
     "POST / HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\n\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
     400, 0},
    {"body too large", "POST / HTTP/1.1\r\n" HOST "Content-Length: 101\r\n\r\n", 413, 0},
    {"chunk too large", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n65\r\n", 413,
     0},
    {"chunks too large",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n62\r\n", 413, 0},
    {"target too long",
     "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n" HOST
     "\r\n",
     414, 0},
    {"too many headers",
     "GET / HTTP/1.1\r\n" HOST "a:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\nf:1\r\ng:1\r\nh:1\r\n\r\n", 431,
     0},
};

static void refuses_every_vector_at_every_split(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    const struct vector *v = &vectors[i];
    size_t size = v->size > 0 ? v->size : strlen(v->bytes);
    for (size_t piece = 0; piece <= size; piece++) {
      struct talk talk = talk_to(&limits_small, v->bytes, size, piece);
      if (talk.status != v->status)
        fail_msg("%s, in pieces of %zu: %u instead of %u", v->name, piece, talk.status, v->status);
      assert_int_equal(talk.requests, 0);
      assert_true(talk.is_over);
      assert_non_null(strstr(talk.sent, "\r\nConnection: close\r\n"));
    }
  }
}

static void refuses_a_head_longer_than_its_bound(void **state)
{
  (void)state;
  char bytes[1024] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  memset(bytes + strlen(bytes), 'x', sizeof bytes - strlen(bytes) - 1);
  struct talk talk = talk_to(&limits_small, bytes, strlen(bytes), 0);
  assert_int_equal(talk.status, 431);
}

static void takes_a_head_of_exactly_its_bound(void **state)
{
  (void)state;
  char bytes[513] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  memset(bytes + strlen(bytes), 'x', 512 - strlen(bytes));
  memcpy(bytes + 508, "\r\n\r\n", 5);
  assert_int_equal(talk_to(&limits_small, bytes, 512, 7).requests, 1);
}

static void refuses_chunks_that_are_mostly_overhead(void **state)
{
  (void)state;
  char bytes[4096] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=";
  memset(bytes + strlen(bytes), 'x', sizeof bytes - strlen(bytes) - 1);
  assert_int_equal(talk_to(&limits_small, bytes, sizeof bytes - 1, 0).status, 400);
  char zeros[4096] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  memset(zeros + strlen(zeros), '0', sizeof zeros - strlen(zeros) - 1);
  assert_int_equal(talk_to(&limits_small, zeros, sizeof zeros - 1, 0).status, 400);
}

/* --- what is read -------------------------------------------------------------------------- */

static void assert_seen_at_every_split(const char *bytes, const char *seen, bool is_over)
{
  for (size_t piece = 0; piece <= strlen(bytes); piece++) {
    struct talk talk = talk_to(&limits_small, bytes, strlen(bytes), piece);
    assert_int_equal(talk.status, 0);
    assert_string_equal(talk.seen, seen);
    assert_int_equal(talk.is_over, is_over);
  }
}

static void reads_requests_at_every_split(void **state)
{
  (void)state;
  assert_seen_at_every_split("GET /a?b=c%20 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a?b=c%20|\n",
                             false);
  assert_seen_at_every_split("\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
                             "POST /|abc\n", false);
  assert_seen_at_every_split("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
                             "3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n000\r\n\r\n",
                             "POST /|abc0123456789\n", false);
  assert_seen_at_every_split("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "1\r\na\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n",
                             "POST /|a\n", false);
  assert_seen_at_every_split("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "0\r\n\r\n",
                             "POST /|\n", false);
  assert_seen_at_every_split("GET / HTTP/1.0\r\n\r\n", "GET /|\n", true);
  assert_seen_at_every_split("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /|\n", false);
  assert_seen_at_every_split("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /|\n",
                             true);
}

/* As Java's clients send it with the first request of a connection. */
#define OFFER(protocol) "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " protocol "\r\n"

static void an_offer_of_another_protocol_is_passed_over(void **state)
{
  (void)state;
  assert_seen_at_every_split(
      "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n" OFFER(
          "h2c") "HTTP2-Settings: AAEAAEAAAAI\r\n\r\nxy"
                 "GET /2 HTTP/1.1\r\nHost: a\r\n" OFFER(
                     "h2c") "\r\n"
                            "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" OFFER(
                                "TLS/1.2") "\r\n1\r\nz\r\n0\r\n\r\n"
                                           "GET /4 HTTP/1.1\r\nHost: a\r\n" OFFER(
                                               "websockets") "\r\n",
      "POST /1|xy\nGET /2|\nPOST /3|z\nGET /4|\n", false);
}

static void answers_pipelined_requests_in_order(void **state)
{
  (void)state;
  assert_seen_at_every_split("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
                             "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy"
                             "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "1\r\nz\r\n0\r\n\r\n"
                             "GET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                             "GET /5 HTTP/1.1\r\nHost: a\r\n\r\n",
                             "GET /1|\nPOST /2|xy\nPOST /3|z\nGET /4|\n", true);
}

static struct weir_http_conn *conn_with(const char *bytes)
{
  static const struct weir_http_limits limits = WEIR_HTTP_LIMITS_DEFAULT;
  struct weir_http_conn *c = weir_http_conn_init(malloc(weir_http_conn_size(&limits)), &limits);
  uint8_t *at;
  assert_true(weir_http_conn_space(c, &at) >= strlen(bytes));
  memcpy(at, bytes, strlen(bytes));
  weir_http_conn_fed(c, strlen(bytes));
  return c;
}

static void gives_no_event_while_an_answer_is_open(void **state)
{
  (void)state;
  struct weir_http_conn *c = conn_with("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
                                       "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  struct weir_http_bytes piece;
  uint8_t bytes[512];
  struct weir_http_out out = {.at = bytes, .capacity = sizeof bytes};
  assert_true(!weir_http_conn_is_idle(c));
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_HEAD);
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_END);
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_MORE);
  assert_string_equal(weir_http_conn_request(c)->target, "/1");
  assert_int_equal(weir_http_conn_head(c, 204, NULL, 0, 0, false, &out), WEIR_OK);
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_MORE);
  assert_int_equal(weir_http_conn_finish(c, &out), WEIR_OK);
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_HEAD);
  assert_string_equal(weir_http_conn_request(c)->target, "/2");
  free(c);
}

static void gives_headers_whole_and_trimmed(void **state)
{
  (void)state;
  struct weir_http_conn *c =
      conn_with("GET / HTTP/1.1\r\nHOST: a\r\nX-Empty:\r\nX-Pad:  \t b c \t\r\n"
                "X-Twice: 1\r\nx-twice: 2\r\n\r\n");
  struct weir_http_bytes piece;
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_HEAD);
  const struct weir_http_request *request = weir_http_conn_request(c);
  assert_int_equal(request->header_count, 5);
  assert_string_equal(weir_http_request_header(request, "host"), "a");
  assert_string_equal(weir_http_request_header(request, "X-EMPTY"), "");
  assert_string_equal(weir_http_request_header(request, "x-pad"), "b c");
  assert_string_equal(weir_http_request_header(request, "x-twice"), "1");
  assert_string_equal(request->headers[4].value, "2");
  assert_null(weir_http_request_header(request, "x-tw"));
  free(c);
}

static void bounds_what_is_pipelined(void **state)
{
  (void)state;
  struct weir_http_conn *c =
      weir_http_conn_init(malloc(weir_http_conn_size(&limits_small)), &limits_small);
  struct weir_http_bytes piece;
  const char *bytes = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  uint8_t *at;
  assert_int_equal(weir_http_conn_space(c, &at), 256);
  memcpy(at, bytes, strlen(bytes));
  memset(at + strlen(bytes), 'G', 256 - strlen(bytes));
  weir_http_conn_fed(c, 256);
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_HEAD);
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_END);
  assert_int_equal(weir_http_conn_space(c, &at), strlen(bytes));
  weir_http_conn_fed(c, strlen(bytes));
  assert_int_equal(weir_http_conn_space(c, &at), 0);
  free(c);
}

static void keeps_what_is_pipelined_in_a_lent_buffer(void **state)
{
  (void)state;
  struct weir_http_conn *c =
      weir_http_conn_init(malloc(weir_http_conn_size(&limits_small)), &limits_small);
  struct weir_http_bytes piece;
  const char *bytes = "GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n";
  uint8_t lent[256], other[256], answer[512], *at;
  struct weir_http_out out = {answer, 0, sizeof answer};

  weir_http_conn_lend(c, lent);
  assert_int_equal(weir_http_conn_space(c, &at), sizeof lent);
  assert_ptr_equal(at, lent);
  memcpy(at, bytes, strlen(bytes));
  weir_http_conn_fed(c, strlen(bytes));
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_HEAD);
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_END);
  weir_http_conn_keep(c);
  memset(lent, '!', sizeof lent);
  weir_http_conn_lend(c, other); /* not empty: its own buffer stays in use */
  assert_int_equal(weir_http_conn_space(c, &at), 256 - strlen(bytes) / 2);
  assert_ptr_not_equal(at, other);
  assert_int_equal(weir_http_conn_head(c, 204, NULL, 0, 0, false, &out), WEIR_OK);
  assert_int_equal(weir_http_conn_finish(c, &out), WEIR_OK);
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_HEAD);
  assert_string_equal(weir_http_conn_request(c)->target, "/two");
  free(c);
}

/* --- what is answered ---------------------------------------------------------------------- */

/* The bytes of one answer to |request|, made of |pieces| (until NULL). */
static const char *answer_of(const char *request, uint32_t status, uint64_t body_size,
                             const char *const *pieces, bool *ret_is_over)
{
  static char text[1024];
  struct weir_http_out out = {.at = (uint8_t *)text, .capacity = sizeof text - 1};
  struct weir_http_conn *c = conn_with(request);
  struct weir_http_bytes piece;
  struct weir_http_header header = {"X-A", "b"};
  while (weir_http_conn_next(c, &piece) != WEIR_HTTP_MORE)
    ;
  assert_int_equal(weir_http_conn_head(c, status, &header, 1, body_size, false, &out), WEIR_OK);
  for (; *pieces != NULL; pieces++)
    assert_int_equal(weir_http_conn_body(c, *pieces, strlen(*pieces), &out), WEIR_OK);
  assert_int_equal(weir_http_conn_finish(c, &out), WEIR_OK);
  text[out.size] = '\0';
  *ret_is_over = weir_http_conn_is_over(c);
  free(c);
  return text;
}

static void frames_answers_by_version_method_and_status(void **state)
{
  (void)state;
  const char *get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", *old = "GET / HTTP/1.0\r\n\r\n";
  const char *const none[] = {NULL}, *const two[] = {"ab", "", "0123456789abcdef", NULL};
  bool is_over;
  assert_string_equal(answer_of(get, 200, 18, two, &is_over),
                      "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 18\r\n\r\nab0123456789abcdef");
  assert_false(is_over);
  assert_string_equal(answer_of(get, 529, WEIR_HTTP_SIZE_UNKNOWN, two, &is_over),
                      "HTTP/1.1 529 Overloaded\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "2\r\nab\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
  assert_false(is_over);
  assert_string_equal(answer_of(get, 204, 0, none, &is_over),
                      "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n");
  assert_string_equal(answer_of("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, 18, two, &is_over),
                      "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 18\r\n\r\n");
  assert_false(is_over);
  assert_string_equal(answer_of(old, 200, WEIR_HTTP_SIZE_UNKNOWN, two, &is_over),
                      "HTTP/1.1 200 OK\r\nX-A: b\r\nConnection: close\r\n\r\nab0123456789abcdef");
  assert_true(is_over);
  assert_string_equal(
      answer_of("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, 18, two, &is_over),
      "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 18\r\nConnection: keep-alive\r\n\r\n"
      "ab0123456789abcdef");
  assert_false(is_over);
  assert_string_equal(
      answer_of("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200, 0, none, &is_over),
      "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  assert_true(is_over);
  /* Shorter than promised: the connection must not be used again. */
  (void)answer_of(get, 200, 19, two, &is_over);
  assert_true(is_over);
}

static void refuses_answers_that_would_break_framing(void **state)
{
  (void)state;
  static const struct weir_http_header bad[] = {
      {"X", "a\r\nY: b"}, {"X\r\n", "a"},          {"X Y", "a"},        {"", "a"},
      {"X:", "a"},        {"content-LENGTH", "1"}, {"Connection", "x"}, {"Transfer-Encoding", "x"},
  };
  struct weir_http_conn *c = conn_with("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  struct weir_http_bytes piece;
  uint8_t bytes[512];
  struct weir_http_out out = {.at = bytes, .capacity = sizeof bytes};
  while (weir_http_conn_next(c, &piece) != WEIR_HTTP_MORE)
    ;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(weir_http_conn_head(c, 200, &bad[i], 1, 2, false, &out), WEIR_EINVAL);
  assert_int_equal(weir_http_conn_head(c, 101, NULL, 0, 2, false, &out), WEIR_EINVAL);
  assert_int_equal(weir_http_conn_head(c, 600, NULL, 0, 2, false, &out), WEIR_EINVAL);
  struct weir_http_out tiny = {.at = bytes, .capacity = 20};
  assert_int_equal(weir_http_conn_head(c, 200, NULL, 0, 2, false, &tiny), WEIR_EFULL);
  assert_int_equal(out.size + tiny.size, 0);

  assert_int_equal(weir_http_conn_head(c, 200, NULL, 0, 2, false, &out), WEIR_OK);
  size_t size = out.size;
  assert_int_equal(weir_http_conn_body(c, "abc", 3, &out), WEIR_ERANGE);
  assert_int_equal(out.size, size);
  assert_int_equal(weir_http_conn_body(c, "ab", 2, &out), WEIR_OK);
  free(c);
}

static void tells_a_waiting_client_to_continue_once(void **state)
{
  (void)state;
  struct weir_http_conn *c =
      conn_with("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
  struct weir_http_bytes piece;
  uint8_t bytes[64];
  struct weir_http_out out = {.at = bytes, .capacity = sizeof bytes};
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_HEAD);
  assert_int_equal(weir_http_conn_continue(c, &out), WEIR_OK);
  assert_int_equal(weir_http_conn_continue(c, &out), WEIR_OK);
  assert_int_equal(out.size, strlen("HTTP/1.1 100 Continue\r\n\r\n"));
  free(c);

  /* A client that did not wait, and one of HTTP/1.0, need no telling. */
  const char *others[] = {
      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\na",
      "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n",
  };
  for (size_t i = 0; i < 3; i++) {
    c = conn_with(others[i]);
    out.size = 0;
    assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_HEAD);
    assert_int_equal(weir_http_conn_continue(c, &out), WEIR_OK);
    assert_int_equal(out.size, 0);
    free(c);
  }
}

static void ends_the_connection_after_an_early_answer(void **state)
{
  (void)state;
  struct weir_http_conn *c = conn_with("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab");
  struct weir_http_bytes piece;
  uint8_t bytes[512];
  struct weir_http_out out = {.at = bytes, .capacity = sizeof bytes};
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_HEAD);
  assert_int_equal(weir_http_conn_head(c, 401, NULL, 0, 0, false, &out), WEIR_OK);
  assert_int_equal(weir_http_conn_finish(c, &out), WEIR_OK);
  assert_true(weir_http_conn_is_over(c));
  assert_int_equal(weir_http_conn_next(c, &piece), WEIR_HTTP_MORE);
  free(c);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refuses_every_vector_at_every_split),
      cmocka_unit_test(refuses_a_head_longer_than_its_bound),
      cmocka_unit_test(takes_a_head_of_exactly_its_bound),
      cmocka_unit_test(refuses_chunks_that_are_mostly_overhead),
      cmocka_unit_test(reads_requests_at_every_split),
      cmocka_unit_test(an_offer_of_another_protocol_is_passed_over),
      cmocka_unit_test(answers_pipelined_requests_in_order),
      cmocka_unit_test(gives_no_event_while_an_answer_is_open),
      cmocka_unit_test(gives_headers_whole_and_trimmed),
      cmocka_unit_test(bounds_what_is_pipelined),
      cmocka_unit_test(keeps_what_is_pipelined_in_a_lent_buffer),
      cmocka_unit_test(frames_answers_by_version_method_and_status),
      cmocka_unit_test(refuses_answers_that_would_break_framing),
      cmocka_unit_test(tells_a_waiting_client_to_continue_once),
      cmocka_unit_test(ends_the_connection_after_an_early_answer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
