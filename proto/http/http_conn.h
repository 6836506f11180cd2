/* http_conn.h - the connection's insides, shared by its reading and its answering half. */
#ifndef WEIR_HTTP_CONN_H
#define WEIR_HTTP_CONN_H

#include <llhttp.h>
#include <weir/http.h>

enum conn_state {
  CONN_HEAD = 1, /* before or inside request line and headers */
  CONN_BODY,     /* HEAD was returned, END not yet */
  CONN_ANSWER,   /* END was returned: the answer is awaited */
  CONN_ERROR,    /* refused */
  CONN_OVER      /* nothing more is read or written */
};

enum conn_framing {
  FRAMING_NONE = 1, /* no body: HEAD, 204, 304 */
  FRAMING_LENGTH,
  FRAMING_CHUNKS,
  FRAMING_CLOSE
};

struct weir_http_conn {
  struct weir_http_limits limits;
  enum conn_state state;
  llhttp_t parser;

  /* The input buffer holds [input_at, input_end) unread. It is |own_input| or one that was lent. */
  uint8_t *input, *own_input;
  uint32_t input_at, input_end;

  /* Head and trailers: scanned byte by byte before llhttp sees them. */
  uint8_t byte_last;    /* 0 before the first byte */
  uint8_t byte_first;   /* of the request line */
  bool is_begun;        /* the request line has a byte */
  bool is_line_started; /* the line at hand has a byte other than CR */
  bool is_in_trailer;
  uint32_t head_bytes;
  uint32_t line_count;

  /* Where llhttp's fragments are put together: target, then name and value of each line. */
  char *text;
  uint32_t text_size;
  uint32_t item_begin; /* of the name or value at hand */
  struct weir_http_header *headers;

  /* What the callbacks found during one llhttp_execute. */
  bool is_head_done, is_message_done, is_trailer_next;
  struct weir_http_bytes piece;

  uint64_t body_bytes;     /* of content */
  uint64_t body_bytes_max; /* for the request at hand */
  uint64_t wire_bytes;     /* of everything behind the head */

  uint32_t error_status;
  const char *error_reason;

  struct weir_http_request request;
  bool is_continue_sent;

  /* The answer. */
  bool is_head_sent, is_last;
  enum conn_framing framing;
  uint64_t body_left;
};

/* weir_http_conn_is_too_large tells that the head announces a larger body than is taken. */
bool weir_http_conn_is_too_large(const struct weir_http_conn *c);

/* weir_http_conn_restart makes ready for the next request on the same connection. */
void weir_http_conn_restart(struct weir_http_conn *c);

#endif
