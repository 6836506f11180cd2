/* rows.h - a walk through the rows of a view, for the threads that ask the loop for them (admin.h,
 * alarm.h) over a pair of sockets.
 *
 *   weir_rows_begin                    asks for the first row, which tells how many there are
 *   for each datagram:
 *     weir_rows_take until it is false
 *     weir_rows_is_answered            else more is to come
 *     weir_rows_has_next ? weir_rows_ask : the view is through
 *
 * SHOW messages, WEIR_TAP_ROWS_MAX in a datagram at most and one datagram at a time; ROWs come
 * back, in the same order. Only the row that is expected counts, so late answers to a walk that was
 * given up do no harm, and an answer that is lost leaves a walk that weir_rows_is_overdue.
 *
 * Owner: the caller owns the struct, in one thread. Nothing here blocks.
 */
#ifndef WEIR_ROWS_H
#define WEIR_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/codec.h>
#include <weir/msg.h>
#include <weir/time.h>

/* What each datagram from the loop begins with; rows follow, as on the wire. */
struct weir_tap_head {
  uint64_t frames_in, bytes_in, frames_out, bytes_out;
};

#define WEIR_TAP_ROWS_MAX      16
#define WEIR_TAP_DATAGRAM_SIZE (sizeof(struct weir_tap_head) + WEIR_FRAME_SIZE_MAX)

struct weir_rows {
  int fd;                   /* the asking end, which stays the caller's */
  enum weir_view view;      /* 0: no walk is under way */
  uint32_t count;           /* of the view's rows, once the first came; the caller may lower it */
  uint32_t asked, answered; /* rows so far, from the first on */
  weir_tstamp asked_at;
};

/* weir_rows_begin begins a walk through |view| at |now|, instead of any other. False when nothing
 * can be asked now; then no walk is under way. */
bool weir_rows_begin(struct weir_rows *rows, enum weir_view view, weir_tstamp now);

/* weir_rows_ask asks for the next rows. False as weir_rows_begin. */
bool weir_rows_ask(struct weir_rows *rows, weir_tstamp now);

/* weir_rows_take reads on in a datagram's |bytes|, behind its head, from |*offset|. True with the
 * next row that is expected and there; false at the datagram's end. */
bool weir_rows_take(struct weir_rows *rows, const uint8_t *bytes, size_t size, size_t *offset,
                    struct weir_msg_row *ret_row);

/* weir_rows_is_answered tells whether all came that was asked for, of a walk that is under way. */
bool weir_rows_is_answered(const struct weir_rows *rows);

/* weir_rows_has_next tells whether the view has rows that were not asked for. */
bool weir_rows_has_next(const struct weir_rows *rows);

/* weir_rows_is_overdue tells whether the datagram under way is not answered |patience_us| after it
 * was sent. */
bool weir_rows_is_overdue(const struct weir_rows *rows, weir_tstamp now, weir_duration patience_us);

#endif
