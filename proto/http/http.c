#include <assert.h>
#include <string.h>

#include <weir/http.h>

#include "http_conn.h"

/* Always -1, which stops llhttp. The first flaw is the one that is told. */
static int fail(struct weir_http_conn *c, uint32_t status, const char *reason)
{
  if (c->error_status == 0) {
    c->error_status = status;
    c->error_reason = reason;
  }
  return -1;
}

static char lower(char byte)
{
  return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

static bool is_same_word(const char *a, const char *b)
{
  while (*a != '\0' && lower(*a) == lower(*b)) {
    a++;
    b++;
  }
  return lower(*a) == lower(*b);
}

/* --- llhttp's callbacks: they collect, and judge what llhttp lets pass --------------------- */

static struct weir_http_conn *conn_of(llhttp_t *parser)
{
  return parser->data;
}

/* The storage holds head_bytes_max: every text plus its NUL is shorter than its line. */
static int collect(struct weir_http_conn *c, const char *at, size_t size)
{
  assert(size < c->limits.head_bytes_max && c->text_size < c->limits.head_bytes_max - size);
  memcpy(c->text + c->text_size, at, size);
  c->text_size += (uint32_t)size;
  return 0;
}

static const char *item_end(struct weir_http_conn *c)
{
  while (c->text_size > c->item_begin &&
         (c->text[c->text_size - 1] == ' ' || c->text[c->text_size - 1] == '\t'))
    c->text_size--;
  const char *item = c->text + c->item_begin;
  c->text[c->text_size++] = '\0';
  c->item_begin = c->text_size;
  return item;
}

static int on_url(llhttp_t *parser, const char *at, size_t size)
{
  struct weir_http_conn *c = conn_of(parser);
  if (size > c->limits.target_bytes_max - c->text_size)
    return fail(c, 414, "the target of the request line is too long");
  return collect(c, at, size);
}

static int on_url_complete(llhttp_t *parser)
{
  struct weir_http_conn *c = conn_of(parser);
  c->request.target = item_end(c);
  return 0;
}

static int on_header_part(llhttp_t *parser, const char *at, size_t size)
{
  return collect(conn_of(parser), at, size);
}

static int on_field_complete(llhttp_t *parser)
{
  struct weir_http_conn *c = conn_of(parser);
  if (c->text_size == c->item_begin)
    return fail(c, 400, "a header line has no name");
  if (c->line_count == c->limits.headers_max)
    return fail(c, 431, "there are too many header lines");
  c->headers[c->line_count].name = item_end(c);
  return 0;
}

static int on_value_complete(llhttp_t *parser)
{
  struct weir_http_conn *c = conn_of(parser);
  struct weir_http_header *line = &c->headers[c->line_count++];
  line->value = item_end(c);
  if (c->is_in_trailer &&
      (is_same_word(line->name, "content-length") || is_same_word(line->name, "host") ||
       is_same_word(line->name, "transfer-encoding") || is_same_word(line->name, "connection")))
    return fail(c, 400, "a trailer must not hold framing or routing fields");
  return 0;
}

static int check_headers(struct weir_http_conn *c)
{
  uint32_t hosts = 0, encodings = 0;
  const char *host = "", *encoding = "";
  for (uint32_t i = 0; i < c->line_count; i++) {
    const struct weir_http_header *line = &c->headers[i];
    if (is_same_word(line->name, "host")) {
      hosts++;
      host = line->value;
    } else if (is_same_word(line->name, "transfer-encoding")) {
      encodings++;
      encoding = line->value;
    } else if (is_same_word(line->name, "expect")) {
      if (!is_same_word(line->value, "100-continue"))
        return fail(c, 417, "the only expectation known here is 100-continue");
      c->request.is_continue_awaited = c->request.version_minor == 1;
    }
  }
  if (hosts > 1)
    return fail(c, 400, "there are two Host headers");
  if (c->request.version_minor == 1 && (hosts == 0 || host[0] == '\0'))
    return fail(c, 400, "HTTP/1.1 requires a Host header");
  if (encodings == 0)
    return 0;
  if (c->request.version_minor == 0)
    return fail(c, 400, "HTTP/1.0 has no Transfer-Encoding");
  if (encodings > 1 || !is_same_word(encoding, "chunked"))
    return fail(c, 400, "Transfer-Encoding must be exactly one \"chunked\"");
  c->request.body_size = WEIR_HTTP_SIZE_UNKNOWN;
  return 0;
}

/* A list of protocols, each a name and perhaps a version, that has WebSocket's. */
static bool has_websocket(const char *list)
{
  static const char name[] = "websocket";
  while (*list != '\0') {
    size_t same = 0;
    list += strspn(list, ", \t");
    while (name[same] != '\0' && lower(list[same]) == name[same])
      same++;
    if (name[same] == '\0' && (list[same] == '\0' || strchr(",/ \t", list[same]) != NULL))
      return true;
    list += strcspn(list, ",");
  }
  return false;
}

/* Another protocol is an offer, which need not be taken up (RFC 9110, 7.8): Java's clients offer
 * HTTP/2 or TLS with an ordinary request. Who asks for WebSocket can do with nothing else. */
static bool has_websocket_line(const struct weir_http_conn *c)
{
  for (uint32_t i = 0; i < c->line_count; i++)
    if (is_same_word(c->headers[i].name, "upgrade") && has_websocket(c->headers[i].value))
      return true;
  return false;
}

static int on_headers_complete(llhttp_t *parser)
{
  struct weir_http_conn *c = conn_of(parser);
  if (parser->http_major != 1 || parser->http_minor > 1)
    return fail(c, 505, "the versions known here are HTTP/1.1 and HTTP/1.0");
  if (parser->method == HTTP_CONNECT || (parser->upgrade && has_websocket_line(c)))
    return fail(c, 501, "neither CONNECT nor WebSocket is offered here");
  parser->upgrade = 0;
  c->request.method = llhttp_method_name((llhttp_method_t)parser->method);
  c->request.version_minor = parser->http_minor;
  c->request.headers = c->headers;
  c->request.header_count = c->line_count;
  c->request.is_keep_alive = llhttp_should_keep_alive(parser) != 0;
  c->request.body_size = (parser->flags & F_CONTENT_LENGTH) != 0 ? parser->content_length : 0;
  if (check_headers(c) != 0)
    return -1;
  c->is_head_done = true;
  return 0;
}

/* |wire_bytes| of body and framing arrived so far. Judged where content begins and where input
 * ends, so that the answer does not depend on how the bytes were cut. */
static int check_overhead(struct weir_http_conn *c, uint64_t wire_bytes)
{
  if (wire_bytes - c->body_bytes > c->limits.head_bytes_max + 16 * c->body_bytes)
    return fail(c, 400, "the chunks are mostly overhead");
  return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t size)
{
  struct weir_http_conn *c = conn_of(parser);
  if (size == 0)
    return 0;
  const char *begin = (const char *)c->input + c->input_at;
  if (check_overhead(c, c->wire_bytes + (uint64_t)(at - begin)) != 0)
    return -1;
  if (size > c->body_bytes_max - c->body_bytes)
    return fail(c, 413, "the body is larger than this server takes");
  c->body_bytes += size;
  c->piece = (struct weir_http_bytes){.at = (const uint8_t *)at, .size = size};
  return HPE_PAUSED;
}

/* The end of chunks is a place to stop: what follows, trailers, is scanned like a head. */
static int on_chunk_header(llhttp_t *parser)
{
  struct weir_http_conn *c = conn_of(parser);
  if (parser->content_length > c->body_bytes_max - c->body_bytes)
    return fail(c, 413, "the body is larger than this server takes");
  c->is_trailer_next = parser->content_length == 0;
  return c->is_trailer_next ? HPE_PAUSED : 0;
}

static int on_message_complete(llhttp_t *parser)
{
  conn_of(parser)->is_message_done = true;
  return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_header_field = on_header_part,
    .on_header_field_complete = on_field_complete,
    .on_header_value = on_header_part,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

/* --- storage ------------------------------------------------------------------------------- */

static size_t aligned(size_t size)
{
  return (size + 15) & ~(size_t)15;
}

size_t weir_http_conn_size(const struct weir_http_limits *limits)
{
  return aligned(sizeof(struct weir_http_conn)) +
         aligned(limits->headers_max * sizeof(struct weir_http_header)) +
         aligned(limits->head_bytes_max) + limits->input_bytes_max;
}

void weir_http_conn_restart(struct weir_http_conn *c)
{
  c->state = CONN_HEAD;
  c->byte_last = c->byte_first = 0;
  c->is_begun = c->is_line_started = c->is_in_trailer = false;
  c->head_bytes = c->line_count = c->text_size = c->item_begin = 0;
  c->is_head_done = c->is_message_done = c->is_trailer_next = false;
  c->piece = (struct weir_http_bytes){0};
  c->body_bytes = c->wire_bytes = 0;
  c->body_bytes_max = c->limits.body_bytes_max;
  c->request = (struct weir_http_request){0};
  c->is_continue_sent = c->is_head_sent = c->is_last = false;
}

struct weir_http_conn *weir_http_conn_init(void *storage, const struct weir_http_limits *limits)
{
  assert(limits->head_bytes_max > 0 && limits->target_bytes_max > 0 && limits->headers_max > 0 &&
         limits->input_bytes_max > 0);
  struct weir_http_conn *c = storage;
  uint8_t *at = (uint8_t *)storage + aligned(sizeof *c);
  *c = (struct weir_http_conn){.limits = *limits};
  c->headers = (void *)at;
  at += aligned(limits->headers_max * sizeof(struct weir_http_header));
  c->text = (char *)at;
  at += aligned(limits->head_bytes_max);
  c->input = c->own_input = at;
  llhttp_init(&c->parser, HTTP_REQUEST, &settings);
  c->parser.data = c;
  weir_http_conn_restart(c);
  return c;
}

/* --- bytes in ------------------------------------------------------------------------------ */

size_t weir_http_conn_space(struct weir_http_conn *c, uint8_t **ret_at)
{
  if (c->state == CONN_ERROR || c->state == CONN_OVER)
    c->input_at = c->input_end = 0;
  memmove(c->input, c->input + c->input_at, c->input_end - c->input_at);
  c->input_end -= c->input_at;
  c->input_at = 0;
  *ret_at = c->input + c->input_end;
  return c->limits.input_bytes_max - c->input_end;
}

void weir_http_conn_fed(struct weir_http_conn *c, size_t size)
{
  assert(size <= c->limits.input_bytes_max - c->input_end);
  c->input_end += (uint32_t)size;
}

void weir_http_conn_lend(struct weir_http_conn *c, uint8_t *buffer)
{
  if (c->input_at == c->input_end) {
    c->input = buffer;
    c->input_at = c->input_end = 0;
  }
}

void weir_http_conn_keep(struct weir_http_conn *c)
{
  const uint32_t size = c->input_end - c->input_at;

  if (c->input == c->own_input)
    return;
  memcpy(c->own_input, c->input + c->input_at, size);
  c->input = c->own_input;
  c->input_at = 0;
  c->input_end = size;
}

bool weir_http_conn_is_idle(const struct weir_http_conn *c)
{
  return c->state == CONN_HEAD && c->head_bytes == 0 && c->input_at == c->input_end;
}

bool weir_http_conn_is_in_body(const struct weir_http_conn *c)
{
  return c->state == CONN_BODY;
}

static enum weir_http_event refused(struct weir_http_conn *c)
{
  c->state = CONN_ERROR;
  return WEIR_HTTP_ERROR;
}

static void parser_error(struct weir_http_conn *c, llhttp_errno_t err)
{
  if (err == HPE_INVALID_METHOD && c->byte_first >= 'A' && c->byte_first <= 'Z')
    (void)fail(c, 501, "the request's method is not known here");
  else if (err == HPE_INVALID_VERSION || err == HPE_PAUSED_H2_UPGRADE)
    (void)fail(c, 505, "the versions known here are HTTP/1.1 and HTTP/1.0");
  else
    (void)fail(c, 400, "the request is not well-formed HTTP/1.1");
}

/* Runs llhttp over |size| bytes; tells how many it took. False: c->error_status is set. */
static bool execute(struct weir_http_conn *c, size_t size, size_t *ret_taken)
{
  const char *at = (const char *)c->input + c->input_at;
  llhttp_errno_t err = llhttp_execute(&c->parser, at, size);
  *ret_taken = size;
  if (err == HPE_PAUSED) {
    *ret_taken = (size_t)(llhttp_get_error_pos(&c->parser) - at);
    llhttp_resume(&c->parser);
  } else if (err != HPE_OK) {
    parser_error(c, err);
  }
  c->input_at += (uint32_t)*ret_taken;
  return c->error_status == 0;
}

/* One byte of a head or trailer. False: c->error_status is set. |*ret_is_end|: it is the last. */
static bool scan_byte(struct weir_http_conn *c, uint8_t byte, bool *ret_is_end)
{
  if (c->byte_last == '\r' && byte != '\n')
    return fail(c, 400, "a CR stands without its LF") == 0;
  if (byte == '\n') {
    if (c->byte_last != '\r')
      return fail(c, 400, "a line ends in LF without CR") == 0;
    /* Empty lines before a request line are skipped, as RFC 9112 section 2.2 asks. */
    bool is_first = !c->is_begun;
    *ret_is_end = !c->is_line_started && !is_first;
    c->is_line_started = false;
  } else if (byte != '\r') {
    bool is_line_begin = !c->is_line_started;
    c->is_line_started = true;
    if (!c->is_begun) {
      c->is_begun = true;
      c->byte_first = byte;
    } else if (is_line_begin && (byte == ' ' || byte == '\t')) {
      return fail(c, 400, "header lines must not be folded") == 0;
    }
  }
  c->byte_last = byte;
  return true;
}

/* Gives llhttp the head (or trailer) up to its last byte and no further. */
static enum weir_http_event scan_lines(struct weir_http_conn *c)
{
  bool is_end = false;
  uint32_t at = c->input_at;
  while (at < c->input_end && !is_end && c->error_status == 0) {
    if (c->head_bytes == c->limits.head_bytes_max)
      (void)fail(c, 431, "the head of the request is too long");
    else if (scan_byte(c, c->input[at], &is_end))
      at++;
    c->head_bytes++;
  }
  /* Lines before a flaw are judged first, so that the answer names what comes first. */
  uint32_t status = c->error_status;
  const char *reason = c->error_reason;
  c->error_status = 0;
  size_t taken;
  bool is_sound = execute(c, at - c->input_at, &taken);
  if (is_sound && status != 0)
    is_sound = fail(c, status, reason) == 0;
  if (!is_sound)
    return refused(c);
  if (!is_end)
    return WEIR_HTTP_MORE;
  /* Both scans must agree on where the head ends; if not, the framing is in doubt. (The preface of
   * HTTP/2 is the known case: llhttp awaits a second line.) */
  if (c->is_in_trailer ? !c->is_message_done : !c->is_head_done) {
    parser_error(c, c->parser.method == HTTP_PRI ? HPE_PAUSED_H2_UPGRADE : HPE_INTERNAL);
    return refused(c);
  }
  return WEIR_HTTP_HEAD;
}

static enum weir_http_event read_trailer(struct weir_http_conn *c)
{
  enum weir_http_event event = scan_lines(c);
  return event == WEIR_HTTP_HEAD ? WEIR_HTTP_END : event;
}

static enum weir_http_event read_body(struct weir_http_conn *c, struct weir_http_bytes *ret_body)
{
  if (weir_http_conn_is_too_large(c)) {
    (void)fail(c, 413, "the body is larger than this server takes");
    return refused(c);
  }
  while (!c->is_message_done) {
    if (c->is_in_trailer)
      return read_trailer(c);
    size_t size = c->input_end - c->input_at, taken;
    c->piece.size = 0;
    if (!execute(c, size, &taken))
      return refused(c);
    c->wire_bytes += taken;
    if (check_overhead(c, c->wire_bytes) != 0)
      return refused(c);
    if (c->is_trailer_next) {
      c->is_in_trailer = true;
      c->byte_last = 0;
      c->is_line_started = false;
    }
    if (c->piece.size > 0) {
      *ret_body = c->piece;
      return WEIR_HTTP_BODY;
    }
    if (taken == size && !c->is_message_done && !c->is_in_trailer)
      return WEIR_HTTP_MORE;
  }
  return WEIR_HTTP_END;
}

enum weir_http_event weir_http_conn_next(struct weir_http_conn *c, struct weir_http_bytes *ret_body)
{
  enum weir_http_event event = WEIR_HTTP_MORE;
  switch (c->state) {
  case CONN_HEAD:
    if (c->input_at == c->input_end)
      return WEIR_HTTP_MORE;
    event = scan_lines(c);
    if (event == WEIR_HTTP_HEAD)
      c->state = CONN_BODY;
    return event;
  case CONN_BODY:
    event = read_body(c, ret_body);
    if (event == WEIR_HTTP_END)
      c->state = CONN_ANSWER;
    return event;
  case CONN_ERROR:
    return WEIR_HTTP_ERROR;
  case CONN_ANSWER:
  case CONN_OVER:
    break;
  }
  return WEIR_HTTP_MORE;
}

void weir_http_conn_body_max(struct weir_http_conn *c, uint64_t bytes)
{
  assert(c->state == CONN_BODY && c->wire_bytes == 0);
  c->body_bytes_max = bytes;
}

bool weir_http_conn_is_too_large(const struct weir_http_conn *c)
{
  return c->request.body_size != WEIR_HTTP_SIZE_UNKNOWN && c->request.body_size > c->body_bytes_max;
}

const struct weir_http_request *weir_http_conn_request(const struct weir_http_conn *c)
{
  assert(c->is_head_done);
  return &c->request;
}

uint32_t weir_http_conn_error(const struct weir_http_conn *c, const char **ret_reason)
{
  assert(c->error_status != 0);
  *ret_reason = c->error_reason;
  return c->error_status;
}

const char *weir_http_request_header(const struct weir_http_request *request, const char *name)
{
  for (uint32_t i = 0; i < request->header_count; i++)
    if (is_same_word(request->headers[i].name, name))
      return request->headers[i].value;
  return NULL;
}
