#include "rows.h"

#include <sys/socket.h>

#include <weir/codec.h>

bool weir_rows_ask(struct weir_rows *rows, weir_tstamp now)
{
  uint8_t frame[WEIR_FRAME_SIZE_MAX];
  size_t size = 0;
  uint32_t count = rows->count - rows->asked;
  if (count > WEIR_TAP_ROWS_MAX)
    count = WEIR_TAP_ROWS_MAX;
  enum weir_err err = WEIR_OK;
  for (uint32_t i = 0; i < count && err == WEIR_OK; i++) {
    const struct weir_msg msg = {.type = WEIR_MSG_SHOW,
                                 .show = {.view = rows->view, .row = rows->asked + i}};
    err = weir_codec_encode(&msg, frame, sizeof frame, &size);
  }
  rows->asked += count;
  rows->asked_at = now;
  /* Its end has room but for a loop that stands still through many walks. */
  if (err == WEIR_OK && send(rows->fd, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size)
    return true;
  rows->view = 0;
  return false;
}

bool weir_rows_begin(struct weir_rows *rows, enum weir_view view, weir_tstamp now)
{
  *rows = (struct weir_rows){.fd = rows->fd, .view = view, .count = 1};
  return weir_rows_ask(rows, now);
}

bool weir_rows_take(struct weir_rows *rows, const uint8_t *bytes, size_t size, size_t *offset,
                    struct weir_msg_row *ret_row)
{
  while (*offset < size) {
    struct weir_msg msg;
    if (weir_codec_decode(bytes, size, offset, &msg) != WEIR_OK) {
      *offset = size;
      return false;
    }
    if (msg.type != WEIR_MSG_ROW || rows->view == 0 || msg.row.view != rows->view ||
        msg.row.row != rows->answered || rows->answered == rows->asked)
      continue;
    rows->answered++;
    if (msg.row.row == 0)
      rows->count = msg.row.rows;
    if (msg.row.row >= msg.row.rows)
      continue; /* a reload between two questions may have taken it away */
    *ret_row = msg.row;
    return true;
  }
  return false;
}

bool weir_rows_is_answered(const struct weir_rows *rows)
{
  return rows->view != 0 && rows->answered == rows->asked;
}

bool weir_rows_has_next(const struct weir_rows *rows)
{
  return rows->asked < rows->count;
}

bool weir_rows_is_overdue(const struct weir_rows *rows, weir_tstamp now, weir_duration patience_us)
{
  return rows->view != 0 && rows->answered < rows->asked &&
         weir_time_sub(now, rows->asked_at) >= patience_us;
}
