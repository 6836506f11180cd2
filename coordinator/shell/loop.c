#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"

#define ROUTE_SIZE    5 /* ids that ROUTER makes: a zero byte and a number */
#define ROUTE_UNKNOWN UINT64_MAX
#define ROUTE_TAP     (UINT64_MAX - WEIR_LOOP_TAPS) /* and above: taps, which are no peers */
#define POLL_MAX_MS   60000

/* Kinds of malformed frames beside the decoder's errors. */
enum { KIND_ROUTE = WEIR_LOOP_KINDS - 4, KIND_PARTS, KIND_EMPTY, KIND_NOBODY };

/* ---- out ---- */

static void step(struct weir_loop *loop, const struct weir_coord_event *event);

/* To the admin port or the alarm, which ask for no more than their end holds. */
static bool flush_tap(struct weir_loop *loop)
{
  const struct iovec parts[] = {{&loop->wire, sizeof loop->wire}, {loop->out, loop->out_size}};
  const struct msghdr datagram = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = 2};
  return sendmsg(loop->tap_fds[loop->out_route - ROUTE_TAP], &datagram,
                 MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static bool flush_peer(struct weir_loop *loop)
{
  uint8_t route[ROUTE_SIZE] = {0};
  uint32_t number = (uint32_t)loop->out_route;
  memcpy(route + 1, &number, sizeof number);
  loop->wire.frames_out++;
  loop->wire.bytes_out += loop->out_size;
  return zmq_send(loop->handle, route, sizeof route, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
         zmq_send(loop->handle, loop->out, loop->out_size, ZMQ_DONTWAIT) >= 0;
}

/* Sends what is collected. A peer that is gone or does not read loses it: its leases expire. */
static void flush(struct weir_loop *loop)
{
  if (loop->out_size == 0)
    return;
  bool is_sent = loop->out_route >= ROUTE_TAP && loop->out_route < ROUTE_UNKNOWN ? flush_tap(loop)
                                                                                 : flush_peer(loop);
  if (!is_sent)
    loop->unsent += loop->out_messages;
  loop->out_size = 0;
  loop->out_messages = 0;
}

static void put(struct weir_loop *loop, const struct weir_coord_send *send)
{
  if (send->route != loop->out_route)
    flush(loop);
  loop->out_route = send->route;
  enum weir_err err = weir_codec_encode(&send->msg, loop->out, sizeof loop->out, &loop->out_size);
  if (err == WEIR_EFULL) {
    flush(loop);
    err = weir_codec_encode(&send->msg, loop->out, sizeof loop->out, &loop->out_size);
  }
  if (err == WEIR_OK) {
    loop->out_messages++;
    return;
  }
  uint64_t count = 0;
  loop->unsent++;
  if (weir_log_rate_due(&loop->encode_rate, loop->now, &count)) {
    weir_log_begin(loop->log, WEIR_LOG_ERROR, "not_encoded");
    weir_log_text(loop->log, "message", weir_msg_name(send->msg.type));
    weir_log_text(loop->log, "error", weir_err_text(err));
    weir_log_number(loop->log, "count", count);
    weir_log_end(loop->log);
  }
}

/* The machine counts what was not delivered; to count needs no answer. */
static void report_unsent(struct weir_loop *loop)
{
  uint64_t count = 0;
  for (; loop->unsent > 0; loop->unsent--) {
    step(loop, &(struct weir_coord_event){.type = WEIR_COORD_UNSENT, .now = loop->now});
    if (weir_log_rate_due(&loop->unsent_rate, loop->now, &count)) {
      weir_log_begin(loop->log, WEIR_LOG_WARN, "unsent");
      weir_log_number(loop->log, "count", count);
      weir_log_end(loop->log);
    }
  }
}

static void step(struct weir_loop *loop, const struct weir_coord_event *event)
{
  enum weir_err err = weir_coord_step(loop->coord, event, &loop->update);
  assert(err == WEIR_OK);
  (void)err;
  for (uint32_t i = 0; i < loop->update.count; i++)
    put(loop, &loop->update.sends[i]);
}

/* ---- in ---- */

static void malformed(struct weir_loop *loop, uint64_t route, int kind, const char *why)
{
  step(loop,
       &(struct weir_coord_event){.type = WEIR_COORD_MALFORMED, .now = loop->now, .route = route});
  uint64_t count = 0;
  if (kind < WEIR_LOOP_KINDS && weir_log_rate_due(&loop->malformed[kind], loop->now, &count)) {
    weir_log_begin(loop->log, WEIR_LOG_WARN, "malformed");
    weir_log_text(loop->log, "why", why);
    weir_log_number(loop->log, "count", count);
    weir_log_end(loop->log);
  }
}

/* Takes one message with all its frames from the socket: the peer and exactly one frame. What is
 * not of that form is dropped here. False when nothing is left to receive. */
static bool receive(struct weir_loop *loop)
{
  struct weir_loop_frame *frame = &loop->frames[loop->frames_count];
  uint8_t route[ROUTE_SIZE + 1];
  int size = zmq_recv(loop->handle, route, sizeof route, ZMQ_DONTWAIT);
  if (size < 0)
    return false;
  zmq_msg_init(&frame->body);
  if (zmq_msg_recv(&frame->body, loop->handle, ZMQ_DONTWAIT) < 0)
    return false;
  bool is_single = !zmq_msg_more(&frame->body);
  for (bool is_more = !is_single; is_more; is_more = zmq_msg_more(&frame->body)) {
    if (zmq_msg_recv(&frame->body, loop->handle, ZMQ_DONTWAIT) < 0)
      break;
  }
  bool is_ours = size == ROUTE_SIZE && route[0] == 0; /* else the peer chose its own */
  if (is_single && is_ours) {
    uint32_t number = 0;
    memcpy(&number, route + 1, sizeof number);
    frame->route = number;
    loop->frames_count++;
    return true;
  }
  zmq_msg_close(&frame->body);
  if (is_ours)
    malformed(loop, ROUTE_UNKNOWN, KIND_PARTS, "a message is one frame, this one has more");
  else
    malformed(loop, ROUTE_UNKNOWN, KIND_ROUTE, "the peer set a routing id of its own");
  return true;
}

static void throttled(struct weir_loop *loop, uint64_t route, const char *user)
{
  const struct weir_peer *listed = weir_peers_find(loop->gate->peers, user);
  uint64_t count = 0;
  step(loop,
       &(struct weir_coord_event){.type = WEIR_COORD_THROTTLED, .now = loop->now, .route = route});
  if (weir_log_rate_due(&loop->throttled_rate, loop->now, &count)) {
    weir_log_begin(loop->log, WEIR_LOG_WARN, "throttled");
    weir_log_text(loop->log, "peer", listed != NULL ? listed->name : user);
    weir_log_number(loop->log, "count", count);
    weir_log_end(loop->log);
  }
}

/* Whether the frame counts, and whose it is: told by the payload, the only frame that keeps it. */
static bool admit(struct weir_loop *loop, struct weir_loop_frame *frame,
                  struct weir_coord_peer *ret_peer)
{
  const char *user = zmq_msg_gets(&frame->body, "User-Id");
  switch (weir_guard_admit(&loop->guard, loop->gate->peers, frame->route, user,
                           zmq_msg_size(&frame->body), loop->now, ret_peer)) {
  case WEIR_GUARD_PASS:
    return true;
  case WEIR_GUARD_THROTTLED:
    throttled(loop, frame->route, user);
    return false;
  case WEIR_GUARD_NOBODY:
    break;
  }
  malformed(loop, frame->route, KIND_NOBODY, "nobody vouches for the peer");
  return false;
}

static void decode(struct weir_loop *loop, struct weir_loop_frame *frame)
{
  struct weir_coord_peer peer;
  if (!admit(loop, frame, &peer))
    return;
  const uint8_t *bytes = zmq_msg_data(&frame->body);
  size_t size = zmq_msg_size(&frame->body), offset = 0;
  loop->wire.frames_in++;
  loop->wire.bytes_in += size;
  if (size == 0)
    malformed(loop, frame->route, KIND_EMPTY, "the frame is empty");
  while (offset < size) {
    struct weir_msg msg;
    enum weir_err err = weir_codec_decode(bytes, size, &offset, &msg);
    if (err != WEIR_OK) {
      malformed(loop, frame->route, -(int)err, weir_err_text(err));
      return;
    }
    step(loop, &(struct weir_coord_event){.type = WEIR_COORD_MESSAGE,
                                          .now = loop->now,
                                          .route = frame->route,
                                          .msg = &msg,
                                          .peer = &peer});
  }
}

/* One datagram of each tap a turn: what they ask for beside grants is bounded by that. */
static void serve_tap(struct weir_loop *loop, uint32_t tap)
{
  static const struct weir_coord_peer reader = {.rights = WEIR_RIGHT_SHOW};
  uint8_t bytes[WEIR_TAP_ROWS_MAX * 32];
  size_t offset = 0;
  ssize_t size =
      loop->tap_fds[tap] >= 0 ? recv(loop->tap_fds[tap], bytes, sizeof bytes, MSG_DONTWAIT) : 0;
  for (uint32_t i = 0; i < WEIR_TAP_ROWS_MAX && size > 0 && offset < (size_t)size; i++) {
    struct weir_msg msg;
    if (weir_codec_decode(bytes, (size_t)size, &offset, &msg) != WEIR_OK)
      return;
    step(loop, &(struct weir_coord_event){.type = WEIR_COORD_MESSAGE,
                                          .now = loop->now,
                                          .route = ROUTE_TAP + tap,
                                          .msg = &msg,
                                          .peer = &reader});
  }
}

/* ---- the turn ---- */

/* False when the socket may hold more. */
static bool receive_all(struct weir_loop *loop)
{
  size_t bytes = 0;
  for (uint32_t i = 0; i < WEIR_LOOP_FRAMES_MAX && bytes < WEIR_LOOP_BYTES_MAX; i++) {
    uint32_t before = loop->frames_count;
    if (!receive(loop))
      return true;
    if (loop->frames_count > before)
      bytes += zmq_msg_size(&loop->frames[before].body);
  }
  return false;
}

/* Without a store grants must be covered by the state file. While they are not, frames wait: those
 * received in |frames|, the others in the socket. */
static bool check_covered(struct weir_loop *loop)
{
  bool is_covered = loop->keeper == NULL || weir_keeper_covers(loop->keeper, loop->now);
  if (is_covered && loop->is_held)
    weir_log_say(loop->log, WEIR_LOG_INFO, "resumed", "the state file is written again");
  if (!is_covered && !loop->is_held)
    weir_log_say(loop->log, WEIR_LOG_ERROR, "held",
                 "no grants until the state file is written again");
  loop->is_held = !is_covered;
  return is_covered;
}

static void report_used_up(struct weir_loop *loop, const struct weir_msg_state *state)
{
  weir_log_begin(loop->log, WEIR_LOG_WARN, "day_used_up");
  weir_log_text(loop->log, "pool", state->pool);
  weir_log_number(loop->log, "closed_ms", state->closed_us / WEIR_US_PER_MS);
  weir_log_end(loop->log);
}

static void report_breaker(struct weir_loop *loop, const struct weir_msg_state *state)
{
  bool is_open = state->breaker == WEIR_BREAKER_OPEN;
  weir_log_begin(loop->log, is_open ? WEIR_LOG_WARN : WEIR_LOG_INFO, "breaker");
  weir_log_text(loop->log, "pool", state->pool);
  weir_log_text(loop->log, "state", weir_breaker_name(state->breaker));
  if (state->is_held)
    weir_log_text(loop->log, "by", "operator");
  else if (is_open)
    weir_log_number(loop->log, "open_ms", state->open_us / WEIR_US_PER_MS);
  weir_log_end(loop->log);
}

/* A line for each breaker that is in another state than at the last turn, and for each day that is
 * used up since then. */
static void report_changes(struct weir_loop *loop)
{
  struct weir_coord_change change;
  while (weir_coord_change(loop->coord, loop->now, &loop->changes, &change)) {
    if (change.is_used_up)
      report_used_up(loop, &change.state);
    if (change.is_breaker)
      report_breaker(loop, &change.state);
  }
}

/* ---- the store ---- */

/* When the next generation may go to the recorder, if the machine wants it kept by then. */
static weir_tstamp keep_due(const struct weir_loop *loop)
{
  if (loop->recorder == NULL || weir_recorder_room(loop->recorder) == NULL)
    return WEIR_NEVER;
  return weir_coord_keep_due(loop->coord);
}

static void keep(struct weir_loop *loop)
{
  uint64_t generation = 0;
  if (keep_due(loop) > loop->now)
    return;
  uint32_t count = weir_coord_keep(loop->coord, loop->now, weir_recorder_room(loop->recorder),
                                   WEIR_RECORDER_RECORDS_MAX, &generation);
  if (count > 0)
    weir_recorder_give(loop->recorder, count, generation);
}

static void report_store(struct weir_loop *loop, bool is_durable, const char *error)
{
  uint64_t count = 0;
  if (is_durable && loop->is_store_failing)
    weir_log_say(loop->log, WEIR_LOG_INFO, "store", "written again");
  loop->is_store_failing = !is_durable;
  if (is_durable || !weir_log_rate_due(&loop->store_rate, loop->now, &count))
    return;
  weir_log_begin(loop->log, WEIR_LOG_ERROR, "store");
  weir_log_text(loop->log, "why", error);
  weir_log_number(loop->log, "count", count);
  weir_log_text(loop->log, "detail", "nothing is granted that is not recorded");
  weir_log_end(loop->log);
}

static void on_recorded(struct weir_loop *loop)
{
  char error[WEIR_STORE_ERROR_SIZE];
  uint64_t generation = 0;
  bool is_durable = false;
  if (!weir_recorder_take(loop->recorder, &generation, &is_durable, error))
    return;
  loop->now = weir_clock_now();
  report_store(loop, is_durable, error);
  step(loop, &(struct weir_coord_event){.type = is_durable ? WEIR_COORD_DURABLE : WEIR_COORD_UNKEPT,
                                        .now = loop->now,
                                        .generation = generation});
  flush(loop);
}

/* ---- one turn ---- */

static void serve(struct weir_loop *loop)
{
  bool is_drained = !loop->is_held && receive_all(loop);
  loop->now = weir_clock_now();
  if (!check_covered(loop))
    return;
  for (uint32_t i = 0; i < loop->frames_count; i++) {
    decode(loop, &loop->frames[i]);
    zmq_msg_close(&loop->frames[i].body);
  }
  loop->frames_count = 0;
  for (uint32_t i = 0; i < WEIR_LOOP_TAPS; i++)
    serve_tap(loop, i);
  if (is_drained || ++loop->undrained == WEIR_LOOP_UNDRAINED_MAX) {
    loop->undrained = 0;
    for (int i = 0; i < WEIR_LOOP_TIMEOUTS_MAX && weir_coord_wake(loop->coord) <= loop->now; i++)
      step(loop, &(struct weir_coord_event){.type = WEIR_COORD_TIMEOUT, .now = loop->now});
  }
  /* Whatever happens to this process now, what is durable covers what was granted. */
  assert(loop->keeper == NULL ||
         weir_coord_grant_max(loop->coord) <= atomic_load(&loop->keeper->durable_until));
  flush(loop);
  keep(loop);
  report_unsent(loop);
  report_changes(loop);
}

static void on_kept(struct weir_loop *loop)
{
  char error[WEIR_EPOCH_ERROR_SIZE];
  weir_keeper_error(loop->keeper, error);
  if (error[0] != '\0')
    weir_log_say(loop->log, WEIR_LOG_ERROR, "state_not_written", error);
}

static void on_refused(struct weir_loop *loop)
{
  struct weir_gate_refusals refusals;
  uint64_t lines = 0;
  weir_gate_refusals(loop->gate, &refusals);
  loop->keys_refused += refusals.count;
  if (refusals.count == 0 || !weir_log_rate_due(&loop->refused_rate, weir_clock_now(), &lines))
    return;
  weir_log_begin(loop->log, WEIR_LOG_WARN, "key_refused");
  weir_log_text(loop->log, "key", refusals.key);
  weir_log_text(loop->log, "from", refusals.address);
  weir_log_number(loop->log, "refused", loop->keys_refused);
  weir_log_end(loop->log);
}

/* Returns the signal that ends the loop, or 0. */
static int on_signal(struct weir_loop *loop)
{
  struct signalfd_siginfo info;
  if (read(loop->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
    return 0;
  if (info.ssi_signo != SIGHUP)
    return (int)info.ssi_signo;
  loop->now = weir_clock_now();
  loop->reload(loop, loop->now);
  return 0;
}

static long poll_ms(const struct weir_loop *loop)
{
  if (loop->is_held)
    return POLL_MAX_MS; /* the keeper tells of every write */
  weir_tstamp wake = weir_coord_wake(loop->coord), due = keep_due(loop);
  if (due < wake)
    wake = due;
  uint64_t wait_us = weir_time_sub(wake, weir_clock_now());
  if (wait_us > POLL_MAX_MS * WEIR_US_PER_MS)
    return POLL_MAX_MS;
  return (long)((wait_us + WEIR_US_PER_MS - 1) / WEIR_US_PER_MS);
}

static void on_events(struct weir_loop *loop, const zmq_pollitem_t *items)
{
  if (items[1].revents != 0 && loop->keeper != NULL)
    on_kept(loop);
  else if (items[1].revents != 0)
    on_recorded(loop);
  if (items[2].revents != 0)
    loop->clock(loop);
  if (items[3].revents != 0)
    on_refused(loop);
  if (items[4].revents != 0)
    loop->peers(loop);
}

int weir_loop_run(struct weir_loop *loop)
{
  loop->handle = zsock_resolve(loop->sock);
  loop->clock(loop);
  for (;;) {
    zmq_pollitem_t items[] = {
        {.fd = loop->signal_fd, .events = ZMQ_POLLIN},
        {.fd = loop->keeper != NULL ? loop->keeper->event_fd : loop->recorder->event_fd,
         .events = ZMQ_POLLIN},
        {.fd = loop->clock_fd, .events = ZMQ_POLLIN},
        {.fd = loop->gate->event_fd, .events = ZMQ_POLLIN},
        /* one that is always there stands in for one that may not be */
        {.fd = loop->peers_fd >= 0 ? loop->peers_fd : loop->clock_fd,
         .events = loop->peers_fd >= 0 ? ZMQ_POLLIN : 0},
        {.fd = loop->tap_fds[0] >= 0 ? loop->tap_fds[0] : loop->clock_fd,
         .events = loop->tap_fds[0] >= 0 ? ZMQ_POLLIN : 0},
        {.fd = loop->tap_fds[1] >= 0 ? loop->tap_fds[1] : loop->clock_fd,
         .events = loop->tap_fds[1] >= 0 ? ZMQ_POLLIN : 0},
        {.socket = loop->handle, .events = ZMQ_POLLIN}};
    if (zmq_poll(items, loop->is_held ? 5 : 8, poll_ms(loop)) < 0 && errno != EINTR)
      return -errno;
    if (items[0].revents != 0) {
      int signal = on_signal(loop);
      if (signal != 0)
        return signal;
    }
    on_events(loop, items);
    serve(loop);
  }
}

enum weir_err weir_loop_config(struct weir_loop *loop, const struct weir_coord_config *config,
                               weir_tstamp now)
{
  struct weir_coord_event event = {.type = WEIR_COORD_CONFIG, .now = now, .config = config};
  enum weir_err err = weir_coord_step(loop->coord, &event, &loop->update);
  for (uint32_t i = 0; err == WEIR_OK && i < loop->update.count; i++)
    put(loop, &loop->update.sends[i]);
  flush(loop);
  return err;
}

void weir_loop_clock(struct weir_loop *loop, const struct weir_wall *wall, weir_tstamp now)
{
  loop->now = now;
  step(loop, &(struct weir_coord_event){.type = WEIR_COORD_CLOCK, .now = now, .wall = wall});
  flush(loop);
}
