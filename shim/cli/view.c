#include "view.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include <weir/codec.h>

#include "cli.h"

struct look {
  void *socket;
  uint64_t deadline_us;
  struct weir_view_data *data;
  bool has_totals;
  uint32_t answers; /* rows of pools received */
};

/* Sends SHOW for rows |from|..|until| of |view|, many in a frame. */
static enum weir_err show_send(struct look *look, enum weir_view view, uint32_t from,
                               uint32_t until)
{
  uint8_t frame[WEIR_FRAME_SIZE_MAX];
  size_t size = 0;

  for (uint32_t row = from; row < until; row++) {
    struct weir_msg msg = {.type = WEIR_MSG_SHOW, .show = {.view = view, .row = row}};
    enum weir_err err;

    /* The answers are larger than the questions: a frame of ours stays small. */
    if (row > from && (row - from) % 64 == 0) {
      if (zmq_send(look->socket, frame, size, 0) < 0)
        return WEIR_EUNREACHABLE;
      size = 0;
    }
    err = weir_codec_encode(&msg, frame, sizeof(frame), &size);
    if (err)
      return err;
  }
  return zmq_send(look->socket, frame, size, 0) < 0 ? WEIR_EUNREACHABLE : WEIR_OK;
}

static void row_take(struct look *look, const struct weir_msg_row *row)
{
  struct weir_view_data *data = look->data;

  if (row->view == WEIR_VIEW_TOTALS) {
    data->totals = *row;
    look->has_totals = true;
    return;
  }
  look->answers++;
  /* A reload between the two questions may have taken pools away. */
  if (data->pools && row->row < row->rows && row->row < data->totals.pools)
    data->pools[row->row] = *row;
}

/* Receives one frame and takes its rows. */
static enum weir_err frame_take(struct look *look)
{
  uint64_t now = weir_cli_now_us();
  zmq_pollitem_t item = {.socket = look->socket, .events = ZMQ_POLLIN};
  uint8_t frame[WEIR_FRAME_SIZE_MAX];
  size_t offset = 0;
  int size;

  if (now >= look->deadline_us ||
      zmq_poll(&item, 1, (long)((look->deadline_us - now) / 1000 + 1)) == 0)
    return WEIR_EUNREACHABLE;
  size = zmq_recv(look->socket, frame, sizeof(frame), ZMQ_DONTWAIT);
  if (size < 0)
    return errno == EAGAIN || errno == EINTR ? WEIR_OK : WEIR_ESYSTEM;
  if ((size_t)size > sizeof(frame))
    return WEIR_ERANGE;
  while (offset < (size_t)size) {
    struct weir_msg msg;
    enum weir_err err = weir_codec_decode(frame, (size_t)size, &offset, &msg);

    if (err)
      return err;
    if (msg.type == WEIR_MSG_ROW)
      row_take(look, &msg.row);
    else if (msg.type == WEIR_MSG_REFUSE)
      return WEIR_EVERSION;
  }
  return WEIR_OK;
}

static enum weir_err look_run(struct look *look)
{
  struct weir_view_data *data = look->data;
  enum weir_err err = show_send(look, WEIR_VIEW_TOTALS, 0, 1);
  uint32_t count = 0;

  while (!err && !look->has_totals)
    err = frame_take(look);
  if (err || data->totals.pools == 0)
    return err;
  if (data->totals.pools > WEIR_VIEW_POOLS_MAX)
    return WEIR_ERANGE;
  data->pools = calloc(data->totals.pools, sizeof(*data->pools));
  if (!data->pools)
    return WEIR_ENOMEM;
  err = show_send(look, WEIR_VIEW_POOLS, 0, data->totals.pools);
  while (!err && look->answers < data->totals.pools)
    err = frame_take(look);
  for (uint32_t i = 0; i < data->totals.pools; i++)
    if (data->pools[i].pool[0] != '\0')
      data->pools[count++] = data->pools[i];
  data->pools_count = count;
  return err;
}

static enum weir_err socket_open(void *context, const char *endpoint, uint64_t timeout_ms,
                                 void **ret_socket)
{
  void *socket = zmq_socket(context, ZMQ_DEALER);
  int linger = 0, hwm = 0, timeout = (int)timeout_ms;
  int64_t size_max = WEIR_FRAME_SIZE_MAX;

  if (!socket)
    return WEIR_ESYSTEM;
  zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger));
  zmq_setsockopt(socket, ZMQ_RCVHWM, &hwm, sizeof(hwm));
  zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout, sizeof(timeout));
  zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max));
  if (zmq_connect(socket, endpoint) != 0) {
    zmq_close(socket);
    return WEIR_EINVAL;
  }
  *ret_socket = socket;
  return WEIR_OK;
}

enum weir_err weir_view_get(const char *endpoint, uint64_t timeout_ms,
                            struct weir_view_data *ret_data)
{
  struct weir_view_data data = {0};
  struct look look = {.deadline_us = weir_cli_now_us() + timeout_ms * 1000, .data = &data};
  void *context = zmq_ctx_new();
  enum weir_err err;

  if (!context)
    return WEIR_ESYSTEM;
  err = socket_open(context, endpoint, timeout_ms, &look.socket);
  if (!err) {
    err = look_run(&look);
    zmq_close(look.socket);
  }
  zmq_ctx_term(context);
  if (err)
    weir_view_free(&data);
  else
    *ret_data = data;
  return err;
}

uint64_t weir_view_amount(const struct weir_msg_row_limit *limit)
{
  return limit->effective > 0 && limit->effective < limit->amount ? limit->effective
                                                                  : limit->amount;
}

void weir_view_free(struct weir_view_data *data)
{
  free(data->pools);
  *data = (struct weir_view_data){0};
}
