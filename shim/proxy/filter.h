/* filter.h - takes the chunk with the usage out of an OpenAI chat stream, for a client that did not
 * ask for it (the proxy did, to learn what the call cost).
 *
 *   weir_filter_feed(&f, bytes, size);
 *   while (weir_filter_next(&f, &piece)) send(piece.at, piece.size);
 *   ...
 *   if (weir_filter_end(&f, &piece)) send(piece.at, piece.size);
 *
 * That chunk is an event of one line, "data: {... "choices":[], ... "usage":{...} ...}". Everything
 * else passes as it came, in the pieces in which it came: an event is held back only while its end
 * is awaited, and one that is longer than WEIR_FILTER_EVENT_MAX is not that chunk and no longer
 * held.
 * Owner: fed bytes are borrowed until weir_filter_next has returned false; a piece is valid until
 * the next call.
 */
#ifndef WEIR_PROXY_FILTER_H
#define WEIR_PROXY_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_FILTER_EVENT_MAX ((size_t)4096)

struct weir_filter_piece {
  const char *at;
  size_t size;
};

/* The fields are private. */
struct weir_filter {
  const char *at, *end;
  bool is_line_begin;   /* the byte before ended a line (or nothing came yet) */
  bool is_after_cr;     /* a line feed now belongs to the line end before it */
  bool is_passing;      /* the event at hand is too long: its rest passes */
  bool is_last_dropped; /* the event before was taken out, with all of its line end */
  uint32_t held_size;
  char held[WEIR_FILTER_EVENT_MAX]; /* the beginning of an event */
};

/* weir_filter_init starts a new stream. */
void weir_filter_init(struct weir_filter *f);

/* weir_filter_feed hands over |size| more bytes. Precondition: weir_filter_next returned false (or
 * nothing was fed yet). */
void weir_filter_feed(struct weir_filter *f, const char *bytes, size_t size);

/* weir_filter_next returns the next piece to pass on; false when everything fed is consumed. */
bool weir_filter_next(struct weir_filter *f, struct weir_filter_piece *ret_piece);

/* weir_filter_end tells that no byte follows: what is held passes. False: nothing was held. */
bool weir_filter_end(struct weir_filter *f, struct weir_filter_piece *ret_piece);

#endif
