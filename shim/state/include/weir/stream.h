/* stream.h - the JSON documents of a response body, whatever carries them.
 *
 * A body is one JSON document (or several, or an array of them), or a stream of server-sent events
 * whose "data:" is JSON. The first byte tells which. Events that are not JSON ("[DONE]", an
 * HTML page) give no token and do no harm, so there is no "bad" here: a proxy must pass on what it
 * cannot read. JSON that stands bare between events, as some providers write errors, is read
 * too; it ends the stream.
 *
 * Bounds: one token (struct weir_json). Nothing else of the body is kept.
 * Owner: as in json.h: fed bytes are borrowed until weir_stream_next has returned false.
 */
#ifndef WEIR_STREAM_H
#define WEIR_STREAM_H

#include <weir/json.h>

struct weir_stream {
  bool is_sse;   /* server-sent events were seen */
  bool is_done;  /* "data: [DONE]" was seen */
  bool is_whole; /* the last value at the root is complete */
  /* private */
  const uint8_t *at, *end;
  uint32_t state, matched;
  bool is_after_cr; /* a line feed now belongs to the line end before it */
  bool has_data;    /* the current event has a data line already */
  struct weir_json json;
};

/* weir_stream_init starts a new body. */
void weir_stream_init(struct weir_stream *s);

/* weir_stream_feed hands over |size| more bytes. Precondition: weir_stream_next returned false (or
 * nothing was fed yet). */
void weir_stream_feed(struct weir_stream *s, const void *bytes, size_t size);

/* weir_stream_next scans to the next token, false when everything fed is consumed. The token's
 * path has no leading "[]." of an array at the root; its offsets mean nothing in a stream. */
bool weir_stream_next(struct weir_stream *s, struct weir_json_token *ret_token);

#endif
