/* One connection of the server: bytes in, exchange, bytes out. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, POLLRDHUP */

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "http_server_in.h"

/* --- buffers ------------------------------------------------------------------------------- */

#define BUFFER_MIN 1024
#define TURN_MAX   32768 /* so much is not held back until the turn ends */

static bool buffer_reserve(struct buffer *b, size_t size)
{
  if (b->capacity - b->size >= size)
    return true;
  size_t capacity = b->capacity < BUFFER_MIN ? BUFFER_MIN : b->capacity;
  while (capacity - b->size < size)
    capacity *= 2;
  uint8_t *at = realloc(b->at, capacity);
  if (at == NULL)
    return false;
  *b = (struct buffer){.at = at, .size = b->size, .capacity = capacity};
  return true;
}

static void buffer_free(struct buffer *b)
{
  free(b->at);
  *b = (struct buffer){0};
}

/* What the machine of a connection works on has room for the largest head, of which most use two
 * kilobytes. Mapped by itself, it takes two pages then; among other things of the heap, which begin
 * anywhere in a page, it would take four. */
static void *storage_new(size_t size)
{
  void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? NULL : at;
}

static void storage_free(void *at, size_t size)
{
  if (at != NULL)
    (void)munmap(at, size);
}

/* --- the end of an exchange and of a connection -------------------------------------------- */

static void on_write(uv_write_t *write, int status);
static void process(struct weir_http_exchange *x);
static void read_as_room_is(struct weir_http_exchange *x);
static void body_go_on(struct weir_http_exchange *x);

static bool is_exchange_open(const struct weir_http_exchange *x)
{
  return x->state == EXCHANGE_OPEN || x->state == EXCHANGE_STARTED || x->state == EXCHANGE_FINISHED;
}

static void touch(struct weir_http_exchange *x)
{
  x->since_ms = uv_now(x->server->loop);
}

static void spool_release(struct weir_http_exchange *x)
{
  weir_spool_close(&x->spool);
  weir_http_server_spool_give(x->server, x->spooled_bytes);
  x->spooled_bytes = 0;
}

static void body_release(struct weir_http_exchange *x)
{
  x->server->bodies_bytes -= x->body.capacity;
  buffer_free(&x->body);
  spool_release(x);
}

/* Ends the exchange at hand; the connection's next state is |state|. */
static void exchange_end(struct weir_http_exchange *x, bool is_sent, enum exchange_state state)
{
  const struct weir_http_handler *handler = &x->server->options.handler;
  assert(is_exchange_open(x));
  x->state = state;
  if (handler->on_close != NULL)
    handler->on_close(x, is_sent, handler->context);
  body_release(x);
  x->data = NULL;
  x->is_full = x->is_streamed = x->is_body_paused = false;
  x->index++;
  touch(x);
}

static void due_forget(struct weir_http_exchange *x)
{
  if (x->due_at == NULL)
    return;
  *x->due_at = x->due_next;
  if (x->due_next != NULL)
    x->due_next->due_at = x->due_at;
  x->due_at = NULL;
}

static void on_socket_closed(uv_handle_t *handle)
{
  struct weir_http_exchange *x = handle->data;
  struct weir_http_server *server = x->server;
  if (x->prev != NULL)
    x->prev->next = x->next;
  else
    server->connections = x->next;
  if (x->next != NULL)
    x->next->prev = x->prev;
  server->connection_count--;
  body_release(x);
  buffer_free(&x->out);
  buffer_free(&x->flying);
  storage_free(x->http, weir_http_conn_size(&server->options.limits));
  free(x);
  weir_http_server_reap(server);
}

void weir_http_exchange_cut(struct weir_http_exchange *x)
{
  if (x->state == EXCHANGE_CLOSING)
    return;
  /* A close would make an answer look whole that has no other end; a Unix socket knows no reset. */
  bool is_reset = is_exchange_open(x) && weir_http_conn_is_ended_by_close(x->http) &&
                  x->io.handle.type == UV_TCP;
  if (is_exchange_open(x))
    exchange_end(x, false, EXCHANGE_CLOSING);
  x->state = EXCHANGE_CLOSING;
  due_forget(x);
  if (!is_reset || uv_tcp_close_reset(&x->io.tcp, on_socket_closed) != 0)
    uv_close(&x->io.handle, on_socket_closed);
}

/* Closes so that the last answer arrives: a close with unread input would send a reset, which may
 * overtake what the client has not read yet. */
static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
  struct weir_http_exchange *x = shutdown->handle->data;
  if (status != 0 || x->is_eof)
    weir_http_exchange_cut(x);
}

static void linger(struct weir_http_exchange *x)
{
  x->state = EXCHANGE_LINGERING;
  touch(x);
  read_as_room_is(x); /* a streamed body may have been left unread */
  if (uv_shutdown(&x->shutdown, &x->io.stream, on_shutdown) != 0)
    weir_http_exchange_cut(x);
}

/* --- bytes out ----------------------------------------------------------------------------- */

size_t weir_http_exchange_queued(const struct weir_http_exchange *x)
{
  return x->out.size + (x->is_flying ? uv_stream_get_write_queue_size(&x->io.stream) : 0);
}

/* Hands on what waits. Errors come later, by on_write or the sweep, so that no function of the
 * handler's that only adds bytes can end its exchange under its feet. */
static void flush(struct weir_http_exchange *x)
{
  if (x->is_flying || x->out.size == 0 || x->state == EXCHANGE_CLOSING)
    return;
  uv_buf_t bytes = uv_buf_init((char *)x->out.at, (unsigned)x->out.size);
  int taken = uv_try_write(&x->io.stream, &bytes, 1);
  size_t done = taken > 0 ? (size_t)taken : 0;
  if (done == x->out.size) {
    buffer_free(&x->out); /* most connections are idle, or between two events of a stream */
    return;
  }
  struct buffer rest = x->out;
  x->out = x->flying;
  x->flying = rest;
  bytes = uv_buf_init((char *)rest.at + done, (unsigned)(rest.size - done));
  x->is_flying = true;
  x->is_broken = uv_write(&x->write, &x->io.stream, &bytes, 1, on_write) != 0;
}

/* After each change of the queue: the answer may be complete, or room may be back. */
static void settle(struct weir_http_exchange *x)
{
  if (x->state == EXCHANGE_CLOSING || x->is_broken || weir_http_exchange_queued(x) > 0)
    return;
  if (x->state == EXCHANGE_FINISHED) {
    exchange_end(x, true, EXCHANGE_READING);
    if (weir_http_conn_is_over(x->http) || x->server->is_closing || x->is_eof)
      linger(x);
    else
      process(x);
  } else if (x->is_full && x->state == EXCHANGE_STARTED) {
    const struct weir_http_handler *handler = &x->server->options.handler;
    x->is_full = false;
    if (handler->on_drain != NULL)
      handler->on_drain(x, handler->context);
  } else if (x->state == EXCHANGE_READING && weir_http_conn_is_over(x->http)) {
    linger(x);
  }
}

static void on_write(uv_write_t *write, int status)
{
  struct weir_http_exchange *x = write->handle->data;
  x->is_flying = false;
  buffer_free(&x->flying);
  if (status != 0)
    weir_http_exchange_cut(x);
  if (x->state == EXCHANGE_CLOSING)
    return;
  flush(x);
  settle(x);
}

static void on_turn_end(uv_prepare_t *prepare)
{
  weir_http_exchanges_flush(prepare->data);
}

/* Looks at |x| when the turn of the loop ends. */
static void due_add(struct weir_http_exchange *x)
{
  struct weir_http_server *server = x->server;
  if (x->due_at != NULL)
    return;
  if (server->due == NULL)
    (void)uv_prepare_start(&server->turn_end, on_turn_end);
  x->due_next = server->due;
  x->due_at = &server->due;
  if (x->due_next != NULL)
    x->due_next->due_at = &x->due_next;
  server->due = x;
}

/* Has what is queued written when the turn of the loop ends: by then the rest of an answer, or the
 * next events of a stream, are often there as well, and go with the same system call. */
static void flush_soon(struct weir_http_exchange *x)
{
  if (x->out.size >= TURN_MAX)
    flush(x);
  due_add(x);
}

void weir_http_exchanges_flush(struct weir_http_server *server)
{
  while (server->due != NULL) {
    struct weir_http_exchange *x = server->due;
    due_forget(x);
    flush(x);
    settle(x);
    if (x->is_streamed && !x->is_body_paused)
      body_go_on(x);
  }
  (void)uv_prepare_stop(&server->turn_end);
}

/* Room for |size| more bytes as the machine's output; false when memory is short. */
static bool out_begin(struct weir_http_exchange *x, size_t size, struct weir_http_out *ret_out)
{
  if (!buffer_reserve(&x->out, size))
    return false;
  if (weir_http_exchange_queued(x) == 0)
    touch(x);
  *ret_out = (struct weir_http_out){x->out.at, x->out.size, x->out.capacity};
  return true;
}

static void out_end(struct weir_http_exchange *x, const struct weir_http_out *out)
{
  x->queued_total += out->size - x->out.size;
  x->out.size = out->size;
}

/* --- bytes in ------------------------------------------------------------------------------ */

/* Answers before the request is read, with |refusal| or with what the machine found (NULL); the
 * connection ends with it. */
static void refuse(struct weir_http_exchange *x, const struct weir_http_refusal *refusal)
{
  const size_t room = refusal == NULL
                          ? 1024
                          : weir_http_head_size(refusal->headers, refusal->header_count) +
                                refusal->size + 2 * WEIR_HTTP_CHUNK_OVERHEAD;
  struct weir_http_out out;
  if (!out_begin(x, room, &out)) {
    weir_http_exchange_cut(x);
    return;
  }
  enum weir_err err;
  if (refusal == NULL) {
    err = weir_http_conn_refuse(x->http, &out);
  } else {
    err = weir_http_conn_head(x->http, refusal->status, refusal->headers, refusal->header_count,
                              refusal->size, true, &out);
    if (err == WEIR_OK)
      err = weir_http_conn_body(x->http, refusal->body, refusal->size, &out);
    if (err == WEIR_OK)
      err = weir_http_conn_finish(x->http, &out);
  }
  assert(err == WEIR_OK);
  out_end(x, &out);
  flush(x);
  settle(x);
}

static void refuse_full(struct weir_http_exchange *x)
{
  const struct weir_http_handler *handler = &x->server->options.handler;
  struct weir_http_refusal full = {.status = 503,
                                   .body = "the server holds too many requests\n",
                                   .size = sizeof "the server holds too many requests\n" - 1};
  if (handler->on_full != NULL)
    handler->on_full(weir_http_conn_request(x->http), &full, handler->context);
  refuse(x, &full);
}

static bool spool_add(struct weir_http_exchange *x, const void *bytes, size_t size)
{
  if (!weir_http_server_spool_take(x->server, size))
    return false;
  x->spooled_bytes += size;
  return weir_spool_add(&x->spool, bytes, size);
}

/* Moves a body that grows by |size| too large for memory into a file. False: it stays where it is,
 * because it is small, or because no file can be made. */
static bool spool_begin(struct weir_http_exchange *x, size_t size)
{
  if (x->server->spool_folder == NULL || x->body.size + size <= x->server->options.spool_bytes ||
      !weir_spool_open(&x->spool, x->server->spool_folder))
    return false;
  if (!spool_add(x, x->body.at, x->body.size)) {
    spool_release(x);
    return false;
  }
  x->server->bodies_bytes -= x->body.capacity;
  buffer_free(&x->body);
  return true;
}

static bool body_add(struct weir_http_exchange *x, const void *bytes, size_t size)
{
  size_t before = x->body.capacity;
  if (x->spool.is_open || spool_begin(x, size))
    return spool_add(x, bytes, size);
  if (!buffer_reserve(&x->body, size + 1))
    return false;
  x->server->bodies_bytes += x->body.capacity - before;
  if (size > 0)
    memcpy(x->body.at + x->body.size, bytes, size);
  x->body.size += size;
  x->body.at[x->body.size] = '\0';
  return x->server->bodies_bytes <= x->server->options.bodies_bytes_max;
}

static void send_continue(struct weir_http_exchange *x)
{
  struct weir_http_out out;
  if (!weir_http_conn_request(x->http)->is_continue_awaited || !out_begin(x, 64, &out))
    return;
  enum weir_err err = weir_http_conn_continue(x->http, &out);
  assert(err == WEIR_OK);
  out_end(x, &out);
  flush(x);
}

/* The exchange begins before its body. */
static void stream_begin(struct weir_http_exchange *x)
{
  const struct weir_http_handler *handler = &x->server->options.handler;
  weir_http_conn_body_max(x->http, UINT64_MAX);
  x->request = *weir_http_conn_request(x->http);
  x->state = EXCHANGE_OPEN;
  x->is_streamed = x->is_body_paused = true;
  handler->on_request(x, handler->context);
}

/* False: the request was refused by its headers. */
static bool head_take(struct weir_http_exchange *x)
{
  const struct weir_http_handler *handler = &x->server->options.handler;
  struct weir_http_refusal refusal = {.status = 0};
  enum weir_http_intake intake = WEIR_HTTP_WHOLE;
  if (handler->on_head != NULL)
    intake = handler->on_head(weir_http_conn_request(x->http), &refusal, handler->context);
  if (intake == WEIR_HTTP_REFUSED)
    refuse(x, &refusal);
  else if (intake == WEIR_HTTP_STREAMED)
    stream_begin(x);
  else
    send_continue(x);
  return intake != WEIR_HTTP_REFUSED;
}

/* The rest of a streamed body. */
static void stream_add(struct weir_http_exchange *x, const void *bytes, size_t size)
{
  const struct weir_http_handler *handler = &x->server->options.handler;
  x->is_streamed = size > 0;
  handler->on_body(x, bytes, size, handler->context);
}

/* What follows of a streamed body makes no sense, or does not come. False: its answer has begun, so
 * that there can be no other. */
static bool stream_end(struct weir_http_exchange *x)
{
  if (x->state != EXCHANGE_OPEN) {
    weir_http_exchange_cut(x);
    return false;
  }
  exchange_end(x, false, EXCHANGE_READING);
  return true;
}

static void body_go_on(struct weir_http_exchange *x)
{
  send_continue(x);
  process(x);
}

static void dispatch(struct weir_http_exchange *x)
{
  const struct weir_http_handler *handler = &x->server->options.handler;
  if (!body_add(x, NULL, 0) || (x->spool.is_open && weir_spool_map(&x->spool) == NULL)) {
    refuse_full(x);
    return;
  }
  x->request = *weir_http_conn_request(x->http);
  x->state = EXCHANGE_OPEN;
  handler->on_request(x, handler->context);
}

/* One event of the machine. False: nothing to go on with now. */
static bool process_one(struct weir_http_exchange *x)
{
  struct weir_http_bytes piece;
  switch (weir_http_conn_next(x->http, &piece)) {
  case WEIR_HTTP_MORE:
    return false;
  case WEIR_HTTP_HEAD:
    return head_take(x);
  case WEIR_HTTP_BODY:
    if (x->is_streamed)
      stream_add(x, piece.at, piece.size);
    else if (!body_add(x, piece.at, piece.size))
      refuse_full(x);
    return true;
  case WEIR_HTTP_END:
    if (x->is_streamed)
      stream_add(x, NULL, 0);
    else
      dispatch(x);
    return true;
  case WEIR_HTTP_ERROR:
    if (!x->is_streamed || stream_end(x))
      refuse(x, NULL);
    return false;
  }
  return false;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_bytes)
{
  (void)suggested;
  struct weir_http_exchange *x = handle->data;
  uint8_t *at;
  weir_http_conn_lend(x->http, x->server->input); /* up to on_read, which follows at once */
  size_t size = weir_http_conn_space(x->http, &at);
  *ret_bytes = uv_buf_init((char *)at, (unsigned)size);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *bytes);

/* Reads while there is room: also while an answer is open, to learn that the client is gone. */
static void read_as_room_is(struct weir_http_exchange *x)
{
  uint8_t *at;
  bool is_room = weir_http_conn_space(x->http, &at) > 0 && !x->is_eof;
  if (is_room && !x->is_reading)
    x->is_reading = uv_read_start(&x->io.stream, on_alloc, on_read) == 0;
  else if (!is_room && x->is_reading)
    x->is_reading = uv_read_stop(&x->io.stream) != 0;
}

static bool is_input_due(const struct weir_http_exchange *x)
{
  return x->state == EXCHANGE_READING ||
         (x->is_streamed && !x->is_body_paused && x->state != EXCHANGE_FINISHED);
}

static void process(struct weir_http_exchange *x)
{
  if (x->is_processing)
    return;
  x->is_processing = true;
  while (is_input_due(x) && process_one(x))
    ;
  x->is_processing = false;
  if (x->state != EXCHANGE_CLOSING)
    read_as_room_is(x);
}

static void take(struct weir_http_exchange *x, ssize_t size)
{
  if (size < 0) {
    /* An answer that is complete is still written: the client may have shut its side down. */
    x->is_eof = true;
    if (size == UV_EOF && x->state == EXCHANGE_FINISHED)
      read_as_room_is(x);
    else
      weir_http_exchange_cut(x);
    return;
  }
  if (x->state == EXCHANGE_LINGERING)
    return;
  if ((x->state == EXCHANGE_READING || x->is_streamed) && size > 0) {
    /* A head has a time limit from its first byte, a body from one read to the next. */
    if (weir_http_conn_is_idle(x->http) || weir_http_conn_is_in_body(x->http))
      touch(x);
  }
  weir_http_conn_fed(x->http, (size_t)size);
  process(x);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *bytes)
{
  (void)bytes;
  struct weir_http_exchange *x = stream->data;
  take(x, size);
  weir_http_conn_keep(x->http);
}

static struct weir_http_exchange *exchange_new(struct weir_http_server *server, bool is_tcp)
{
  struct weir_http_exchange *x = calloc(1, sizeof *x);
  const size_t size = weir_http_conn_size(&server->options.limits);
  void *storage = storage_new(size);
  if (x == NULL || storage == NULL) {
    free(x);
    storage_free(storage, size);
    return NULL;
  }
  int err =
      is_tcp ? uv_tcp_init(server->loop, &x->io.tcp) : uv_pipe_init(server->loop, &x->io.pipe, 0);
  assert(err == 0); /* neither opens a descriptor yet */
  x->io.handle.data = x;
  x->server = server;
  x->http = weir_http_conn_init(storage, &server->options.limits);
  x->state = EXCHANGE_READING;
  x->next = server->connections;
  if (x->next != NULL)
    x->next->prev = x;
  server->connections = x;
  server->connection_count++;
  touch(x);
  return x;
}

static void exchange_begin(struct weir_http_exchange *x, bool is_open, bool is_tcp)
{
  struct weir_http_server *server = x->server;
  if (!is_open || server->is_closing ||
      server->connection_count > server->options.connections_max) {
    weir_http_exchange_cut(x);
    return;
  }
  /* Small events of a stream must not wait for the acknowledgement of the one before. */
  if (is_tcp)
    (void)uv_tcp_nodelay(&x->io.tcp, 1);
  read_as_room_is(x);
}

void weir_http_exchange_accept(struct weir_http_server *server, uv_stream_t *listener)
{
  bool is_tcp = listener == (uv_stream_t *)&server->tcp;
  struct weir_http_exchange *x = exchange_new(server, is_tcp);
  if (x != NULL)
    exchange_begin(x, uv_accept(listener, &x->io.stream) == 0, is_tcp);
}

bool weir_http_exchange_adopt(struct weir_http_server *server, int fd)
{
  struct weir_http_exchange *x = fd >= 0 ? exchange_new(server, true) : NULL;
  if (x == NULL) {
    if (fd >= 0)
      (void)close(fd);
    return false;
  }
  int err = uv_tcp_open(&x->io.tcp, fd);
  if (err != 0)
    (void)close(fd);
  exchange_begin(x, err == 0, true);
  return true;
}

/* --- time ---------------------------------------------------------------------------------- */

bool weir_http_exchange_is_idle(const struct weir_http_exchange *x)
{
  return x->state == EXCHANGE_READING && weir_http_conn_is_idle(x->http) &&
         weir_http_exchange_queued(x) == 0;
}

/* A client too slow with its request. The machine cannot answer before it has a head, so this
 * answer is written by hand. */
static void time_out(struct weir_http_exchange *x)
{
  static const char text[] = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n"
                             "Connection: close\r\n\r\n";
  struct weir_http_out out;
  if (!out_begin(x, sizeof text, &out)) {
    weir_http_exchange_cut(x);
    return;
  }
  memcpy(out.at + out.size, text, sizeof text - 1);
  out.size += sizeof text - 1;
  out_end(x, &out);
  flush(x);
  linger(x);
}

/* Whether the client of a body that waits is gone, of which nothing is read meanwhile. */
static bool is_gone(const struct weir_http_exchange *x)
{
  struct pollfd client = {.events = POLLRDHUP};
  if (!x->is_streamed || !x->is_body_paused || uv_fileno(&x->io.handle, &client.fd) != 0)
    return false;
  return poll(&client, 1, 0) == 1;
}

/* A client that is to send. */
static void sweep_reading(struct weir_http_exchange *x, uint64_t age_ms)
{
  const struct weir_http_server_options *options = &x->server->options;
  if (weir_http_conn_is_idle(x->http)) {
    if (age_ms > options->idle_ms)
      weir_http_exchange_cut(x);
  } else if (age_ms > (weir_http_conn_is_in_body(x->http) ? options->body_ms : options->head_ms)) {
    time_out(x);
  }
}

/* A client that is to take what is queued. */
static void sweep_writing(struct weir_http_exchange *x, uint64_t age_ms, size_t queued)
{
  uint64_t taken = x->queued_total - queued;
  if (taken != x->taken_mark) {
    x->taken_mark = taken;
    touch(x);
  } else if (age_ms > x->server->options.stall_ms) {
    weir_http_exchange_cut(x);
  }
}

void weir_http_exchange_sweep(struct weir_http_exchange *x, uint64_t now_ms)
{
  uint64_t age_ms = now_ms - x->since_ms;
  size_t queued = weir_http_exchange_queued(x);
  bool is_body_awaited = x->is_streamed && !x->is_body_paused;
  if (x->state == EXCHANGE_CLOSING)
    return;
  if (x->is_broken || is_gone(x)) {
    weir_http_exchange_cut(x);
  } else if (queued > 0) {
    sweep_writing(x, age_ms, queued);
  } else if (x->state == EXCHANGE_LINGERING) {
    if (age_ms > LINGER_MS)
      weir_http_exchange_cut(x);
  } else if (x->state == EXCHANGE_READING) {
    sweep_reading(x, age_ms);
  } else if (is_body_awaited && age_ms > x->server->options.body_ms && stream_end(x)) {
    time_out(x);
  }
}

/* --- what the handler calls ---------------------------------------------------------------- */

const struct weir_http_request *weir_http_exchange_request(const struct weir_http_exchange *x)
{
  return &x->request;
}

const char *weir_http_exchange_body(const struct weir_http_exchange *x, size_t *ret_size)
{
  *ret_size = x->spool.is_open ? x->spool.size : x->body.size;
  return x->spool.is_open ? x->spool.at : (const char *)x->body.at;
}

void weir_http_exchange_body_relax(struct weir_http_exchange *x)
{
  weir_spool_relax(&x->spool);
}

void weir_http_exchange_body_forget(struct weir_http_exchange *x)
{
  body_release(x);
}

bool weir_http_exchange_is_streamed(const struct weir_http_exchange *x)
{
  return x->is_streamed;
}

void weir_http_exchange_body_resume(struct weir_http_exchange *x)
{
  if (!x->is_streamed || !x->is_body_paused)
    return;
  x->is_body_paused = false;
  touch(x);
  due_add(x);
}

void weir_http_exchange_body_pause(struct weir_http_exchange *x)
{
  x->is_body_paused = x->is_streamed;
}

void weir_http_exchange_set_data(struct weir_http_exchange *x, void *data)
{
  x->data = data;
}

void *weir_http_exchange_data(const struct weir_http_exchange *x)
{
  return x->data;
}

uint64_t weir_http_exchange_index(const struct weir_http_exchange *x)
{
  return x->index;
}

static enum weir_err queue_head(struct weir_http_exchange *x, uint32_t status,
                                const struct weir_http_header *headers, uint32_t header_count,
                                uint64_t body_size, size_t room)
{
  struct weir_http_out out;
  assert(x->state == EXCHANGE_OPEN);
  if (!out_begin(x, weir_http_head_size(headers, header_count) + room, &out))
    return WEIR_ENOMEM;
  enum weir_err err = weir_http_conn_head(x->http, status, headers, header_count, body_size,
                                          x->server->is_closing, &out);
  if (err != WEIR_OK)
    return err;
  out_end(x, &out);
  x->state = EXCHANGE_STARTED;
  return WEIR_OK;
}

enum weir_err weir_http_exchange_start(struct weir_http_exchange *x, uint32_t status,
                                       const struct weir_http_header *headers,
                                       uint32_t header_count, uint64_t body_size)
{
  enum weir_err err = queue_head(x, status, headers, header_count, body_size, 0);
  if (err == WEIR_OK)
    flush_soon(x);
  return err;
}

enum weir_err weir_http_exchange_send(struct weir_http_exchange *x, const void *bytes, size_t size)
{
  struct weir_http_out out;
  assert(x->state == EXCHANGE_STARTED);
  if (weir_http_exchange_queued(x) >= WEIR_HTTP_QUEUE_MAX) {
    x->is_full = true;
    return WEIR_EFULL;
  }
  if (!out_begin(x, size + WEIR_HTTP_CHUNK_OVERHEAD, &out))
    return WEIR_ENOMEM;
  enum weir_err err = weir_http_conn_body(x->http, bytes, size, &out);
  if (err != WEIR_OK)
    return err;
  out_end(x, &out);
  flush_soon(x);
  return WEIR_OK;
}

bool weir_http_exchange_wait(struct weir_http_exchange *x)
{
  assert(x->state == EXCHANGE_STARTED);
  x->is_full = weir_http_exchange_queued(x) > 0;
  return x->is_full;
}

void weir_http_exchange_finish(struct weir_http_exchange *x)
{
  struct weir_http_out out;
  assert(x->state == EXCHANGE_STARTED);
  if (!out_begin(x, WEIR_HTTP_CHUNK_OVERHEAD, &out)) {
    weir_http_exchange_cut(x); /* without its end the answer reads as broken, as it is */
    return;
  }
  enum weir_err err = weir_http_conn_finish(x->http, &out);
  assert(err == WEIR_OK);
  out_end(x, &out);
  x->state = EXCHANGE_FINISHED;
  flush_soon(x);
}

enum weir_err weir_http_exchange_respond(struct weir_http_exchange *x, uint32_t status,
                                         const struct weir_http_header *headers,
                                         uint32_t header_count, const void *body, size_t size)
{
  struct weir_http_out out;
  enum weir_err err =
      queue_head(x, status, headers, header_count, size, size + 2 * WEIR_HTTP_CHUNK_OVERHEAD);
  if (err != WEIR_OK)
    return err;
  bool is_room = out_begin(x, size + WEIR_HTTP_CHUNK_OVERHEAD, &out);
  assert(is_room); /* reserved above */
  err = weir_http_conn_body(x->http, body, size, &out);
  assert(err == WEIR_OK);
  out_end(x, &out);
  weir_http_exchange_finish(x);
  return WEIR_OK;
}

void weir_http_exchange_abort(struct weir_http_exchange *x)
{
  flush(x); /* what was sent before is the client's to see */
  weir_http_exchange_cut(x);
}
