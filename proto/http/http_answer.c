/* The answering half of a connection: status line, headers, framing. */
#include <assert.h>
#include <string.h>

#include <weir/http.h>

#include "http_conn.h"

const char *weir_http_status_text(uint32_t status)
{
  static const struct {
    uint32_t status;
    const char *text;
  } texts[] = {
      {100, "Continue"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {402, "Payment Required"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Content"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {499, "Client Closed Request"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
      {529, "Overloaded"},
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (texts[i].status == status)
      return texts[i].text;
  return "Unknown";
}

/* --- writing: callers have made sure of the room ------------------------------------------- */

static size_t room(const struct weir_http_out *out)
{
  return out->capacity - out->size;
}

static void put(struct weir_http_out *out, const void *bytes, size_t size)
{
  assert(size <= room(out));
  memcpy(out->at + out->size, bytes, size);
  out->size += size;
}

static void put_text(struct weir_http_out *out, const char *text)
{
  put(out, text, strlen(text));
}

static void put_number(struct weir_http_out *out, uint64_t value, uint32_t base)
{
  char digits[20];
  size_t at = sizeof digits;
  do {
    digits[--at] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value > 0);
  put(out, digits + at, sizeof digits - at);
}

static void put_header(struct weir_http_out *out, const char *name, const char *value)
{
  put_text(out, name);
  put_text(out, ": ");
  put_text(out, value);
  put_text(out, "\r\n");
}

static void put_status(struct weir_http_out *out, uint32_t status)
{
  put_text(out, "HTTP/1.1 ");
  put_number(out, status, 10);
  put_text(out, " ");
  put_text(out, weir_http_status_text(status));
  put_text(out, "\r\n");
}

/* --- the caller's headers ------------------------------------------------------------------ */

static bool is_token(const char *name)
{
  for (const char *at = name; *at != '\0'; at++) {
    bool is_alnum =
        (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
    if (!is_alnum && strchr("!#$%&'*+-.^_`|~", *at) == NULL)
      return false;
  }
  return name[0] != '\0';
}

static bool is_framing(const char *name)
{
  static const char *const names[] = {"content-length", "transfer-encoding", "connection"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const char *a = name, *b = names[i];
    while (*b != '\0' && (*a == *b || *a == *b - ('a' - 'A'))) {
      a++;
      b++;
    }
    if (*a == '\0' && *b == '\0')
      return true;
  }
  return false;
}

static bool is_header_sound(const struct weir_http_header *header)
{
  return is_token(header->name) && !is_framing(header->name) &&
         strpbrk(header->value, "\r\n") == NULL;
}

size_t weir_http_head_size(const struct weir_http_header *headers, uint32_t header_count)
{
  size_t size = 192; /* status line, our framing headers, the empty line */
  for (uint32_t i = 0; i < header_count; i++)
    size += strlen(headers[i].name) + strlen(headers[i].value) + 4;
  return size;
}

/* --- one answer ---------------------------------------------------------------------------- */

enum weir_err weir_http_conn_continue(struct weir_http_conn *c, struct weir_http_out *out)
{
  if (!c->is_head_done || !c->request.is_continue_awaited || c->is_continue_sent ||
      c->is_head_sent || c->wire_bytes > 0 || c->input_at < c->input_end || c->is_message_done ||
      weir_http_conn_is_too_large(c))
    return WEIR_OK;
  if (room(out) < 32)
    return WEIR_EFULL;
  put_text(out, "HTTP/1.1 100 Continue\r\n\r\n");
  c->is_continue_sent = true;
  return WEIR_OK;
}

enum weir_err weir_http_conn_refuse(struct weir_http_conn *c, struct weir_http_out *out)
{
  assert(c->state == CONN_ERROR);
  if (room(out) < 512)
    return WEIR_EFULL;
  put_status(out, c->error_status);
  put_header(out, "Content-Type", "text/plain");
  put_text(out, "Content-Length: ");
  put_number(out, strlen(c->error_reason) + 1, 10);
  put_text(out, "\r\nConnection: close\r\n\r\n");
  put_text(out, c->error_reason);
  put_text(out, "\n");
  c->state = CONN_OVER;
  return WEIR_OK;
}

static enum conn_framing framing_of(const struct weir_http_conn *c, uint32_t status,
                                    uint64_t body_size)
{
  if (status == 204 || status == 304 || strcmp(c->request.method, "HEAD") == 0)
    return FRAMING_NONE;
  if (body_size != WEIR_HTTP_SIZE_UNKNOWN)
    return FRAMING_LENGTH;
  return c->request.version_minor == 1 ? FRAMING_CHUNKS : FRAMING_CLOSE;
}

enum weir_err weir_http_conn_head(struct weir_http_conn *c, uint32_t status,
                                  const struct weir_http_header *headers, uint32_t header_count,
                                  uint64_t body_size, bool is_last, struct weir_http_out *out)
{
  assert((c->state == CONN_BODY || c->state == CONN_ANSWER) && !c->is_head_sent);
  if (status < 200 || status > 599)
    return WEIR_EINVAL;
  for (uint32_t i = 0; i < header_count; i++)
    if (!is_header_sound(&headers[i]))
      return WEIR_EINVAL;
  if (room(out) < weir_http_head_size(headers, header_count))
    return WEIR_EFULL;

  c->framing = framing_of(c, status, body_size);
  c->body_left = body_size;
  c->is_last =
      is_last || !c->request.is_keep_alive || !c->is_message_done || c->framing == FRAMING_CLOSE;
  c->is_head_sent = true;

  put_status(out, status);
  for (uint32_t i = 0; i < header_count; i++)
    put_header(out, headers[i].name, headers[i].value);
  /* An answer to HEAD tells the length that GET would have; 204 has none to tell. */
  if (body_size != WEIR_HTTP_SIZE_UNKNOWN && status != 204 && status != 304) {
    put_text(out, "Content-Length: ");
    put_number(out, body_size, 10);
    put_text(out, "\r\n");
  } else if (c->framing == FRAMING_CHUNKS) {
    put_header(out, "Transfer-Encoding", "chunked");
  }
  if (c->is_last)
    put_header(out, "Connection", "close");
  else if (c->request.version_minor == 0)
    put_header(out, "Connection", "keep-alive");
  put_text(out, "\r\n");
  return WEIR_OK;
}

enum weir_err weir_http_conn_body(struct weir_http_conn *c, const void *bytes, size_t size,
                                  struct weir_http_out *out)
{
  assert(c->is_head_sent);
  if (c->framing == FRAMING_NONE || size == 0)
    return WEIR_OK;
  if (c->framing == FRAMING_LENGTH && size > c->body_left)
    return WEIR_ERANGE;
  if (room(out) < WEIR_HTTP_CHUNK_OVERHEAD || room(out) - WEIR_HTTP_CHUNK_OVERHEAD < size)
    return WEIR_EFULL;
  if (c->framing == FRAMING_CHUNKS) {
    put_number(out, size, 16);
    put_text(out, "\r\n");
  }
  put(out, bytes, size);
  if (c->framing == FRAMING_CHUNKS)
    put_text(out, "\r\n");
  else if (c->framing == FRAMING_LENGTH)
    c->body_left -= size;
  return WEIR_OK;
}

enum weir_err weir_http_conn_finish(struct weir_http_conn *c, struct weir_http_out *out)
{
  assert(c->is_head_sent);
  if (room(out) < WEIR_HTTP_CHUNK_OVERHEAD)
    return WEIR_EFULL;
  if (c->framing == FRAMING_CHUNKS)
    put_text(out, "0\r\n\r\n");
  bool is_cut = c->framing == FRAMING_LENGTH && c->body_left > 0;
  if (c->is_last || is_cut)
    c->state = CONN_OVER;
  else
    weir_http_conn_restart(c);
  return WEIR_OK;
}

bool weir_http_conn_is_over(const struct weir_http_conn *c)
{
  return c->state == CONN_OVER;
}

bool weir_http_conn_is_ended_by_close(const struct weir_http_conn *c)
{
  return c->is_head_sent && c->framing == FRAMING_CLOSE;
}
