#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_coordinator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

struct peer {
  uint8_t route[256];
  int route_size;
};

static void send_frames(struct fake_coordinator *f, const struct peer *peer, const void *bytes,
                        size_t size)
{
  if (zmq_send(f->socket, peer->route, (size_t)peer->route_size, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0)
    (void)!zmq_send(f->socket, bytes, size, ZMQ_DONTWAIT);
}

static void reply(struct fake_coordinator *f, const struct peer *peer, const struct weir_msg *msg)
{
  static const uint8_t garbage[] = {0x77, 0x01, 0x05, 0x00, 0xdd, 0xff, 0xff, 0xff, 0xff};
  uint8_t frame[WEIR_MSG_SIZE_MAX];
  size_t size = 0;

  if (f->talks_garbage)
    send_frames(f, peer, garbage, sizeof(garbage));
  if (weir_codec_encode(msg, frame, sizeof(frame), &size) != WEIR_OK)
    abort();
  send_frames(f, peer, frame, size);
}

static struct weir_msg answer_to_hello(struct fake_coordinator *f, const struct weir_msg *msg)
{
  struct weir_msg out = {.mark = msg->mark};
  struct fake_session *session;

  if (f->answer == FAKE_VERSION || f->sessions_count == FAKE_SESSIONS_MAX) {
    out.type = WEIR_MSG_REFUSE;
    out.refuse.why = WEIR_REFUSAL_VERSION;
    return out;
  }
  session = &f->sessions[f->sessions_count++];
  session->token = ++f->token_last;
  session->mark = msg->mark;
  memcpy(session->instance, msg->hello.instance, WEIR_INSTANCE_SIZE);
  out.type = WEIR_MSG_WELCOME;
  out.session = session->token;
  out.welcome = (struct weir_msg_welcome){.epoch = f->epoch,
                                          .version = WEIR_PROTOCOL_VERSION,
                                          .heartbeat_us = WEIR_US_PER_S,
                                          .session_ttl_us = 30 * WEIR_US_PER_S,
                                          .asks_max = 256,
                                          .coordinator = "fake"};
  return out;
}

/* Returns the choice that |ask| gets, counted from 1, or 0 when it avoids all. */
static uint32_t choose(const struct fake_coordinator *f, const struct weir_msg_ask *ask)
{
  uint32_t chosen = 0;

  for (uint32_t i = f->choices_count; i > 0; i--) {
    if (ask->avoid >> (i - 1) & 1)
      continue;
    if (strcmp(ask->prefer, f->choices[i - 1]) == 0)
      return i;
    chosen = i;
  }
  return chosen;
}

static struct weir_msg denial_of(const struct weir_msg *msg, enum weir_denial why)
{
  struct weir_msg out = {.type = WEIR_MSG_DENY, .session = msg->session, .mark = msg->mark};

  out.deny =
      (struct weir_msg_deny){.seq = msg->ask.seq, .why = why, .retry_in_us = WEIR_DURATION_MAX};
  if (why == WEIR_DENIAL_TOO_LARGE) {
    out.deny.dimension = WEIR_DIMENSION_INPUT_TOKENS;
    out.deny.window_us = WEIR_US_PER_MIN;
    out.deny.cost = 1310720;
    out.deny.amount = 1000000;
  }
  strcpy(out.deny.pool, "pool");
  return out;
}

static struct weir_msg grant_for(const struct fake_coordinator *f, const struct weir_msg *msg,
                                 uint32_t choice)
{
  struct weir_msg out = {.type = WEIR_MSG_GRANT, .session = msg->session, .mark = msg->mark};
  const char *model = f->model[0] ? f->model : msg->ask.model;

  out.grant = (struct weir_msg_grant){.seq = msg->ask.seq,
                                      .ttl_us = f->ttl_us,
                                      .pool = "pool",
                                      .is_reported = f->wants_reports,
                                      .choice = choice,
                                      .choices = f->choices_count,
                                      .timeout_us = f->timeout_us,
                                      .is_probe = f->is_probe,
                                      .ratio_pm = f->ratio_pm,
                                      .ratio_error_pm = f->ratio_error_pm};
  strcpy(out.grant.model, choice ? f->choices[choice - 1] : model);
  return out;
}

static struct weir_msg answer_to_ask(const struct fake_coordinator *f, const struct weir_msg *msg)
{
  struct weir_msg out = {.session = msg->session, .mark = msg->mark};
  const uint32_t choice = choose(f, &msg->ask);

  if (f->retry_denial && msg->ask.attempts > 0)
    return denial_of(msg, f->retry_denial);
  if (f->answer == FAKE_GRANT && f->choices_count > 0 && choice == 0)
    return denial_of(msg, WEIR_DENIAL_NO_POOL);
  if (f->answer == FAKE_GRANT)
    return grant_for(f, msg, choice);
  if (f->answer != FAKE_QUEUE)
    return denial_of(msg, f->denial ? f->denial : WEIR_DENIAL_TOO_LARGE);
  out.type = WEIR_MSG_QUEUED;
  out.queued = (struct weir_msg_queued){.seq = msg->ask.seq, .eta_us = WEIR_US_PER_S};
  return out;
}

static bool is_known(const struct fake_coordinator *f, uint64_t token)
{
  for (uint32_t i = 0; i < f->sessions_count; i++) {
    if (f->sessions[i].token == token)
      return true;
  }
  return false;
}

/* Rows beyond the first are not there. */
static struct weir_msg answer_to_show(const struct fake_coordinator *f, const struct weir_msg *msg)
{
  struct weir_msg out = {.type = WEIR_MSG_ROW, .mark = msg->mark};

  if (msg->show.row == 0 && msg->show.view == WEIR_VIEW_BUDGETS)
    out.row = f->budget;
  else if (msg->show.row == 0)
    out.row = msg->show.view == WEIR_VIEW_TOTALS ? f->totals : f->pool;
  out.row.view = msg->show.view;
  out.row.row = msg->show.row;
  out.row.rows = msg->show.view != WEIR_VIEW_BUDGETS || f->budget.pool[0] != '\0';
  return out;
}

static void on_message(struct fake_coordinator *f, const struct peer *peer,
                       const struct weir_msg *msg)
{
  struct weir_msg out = {.session = msg->session, .mark = msg->mark};

  if (f->received_count < FAKE_LOG_MAX)
    f->received[f->received_count++] = *msg;
  pthread_cond_broadcast(&f->changed);
  if (f->answer == FAKE_SILENT)
    return;
  if (msg->type == WEIR_MSG_HELLO) {
    out = answer_to_hello(f, msg);
  } else if (msg->type == WEIR_MSG_SHOW) {
    out = answer_to_show(f, msg);
  } else if (!is_known(f, msg->session)) {
    out.type = WEIR_MSG_REFUSE;
    out.mark = 0;
    out.refuse.why = WEIR_REFUSAL_SESSION;
  } else if (msg->type == WEIR_MSG_ASK) {
    out = answer_to_ask(f, msg);
  } else if (msg->type == WEIR_MSG_PING) {
    out.type = WEIR_MSG_PONG;
    out.pong.epoch = f->epoch;
  } else {
    return;
  }
  reply(f, peer, &out);
}

static void drain(struct fake_coordinator *f)
{
  struct peer peer;
  uint8_t frame[WEIR_FRAME_SIZE_MAX];

  while ((peer.route_size = zmq_recv(f->socket, peer.route, sizeof(peer.route), ZMQ_DONTWAIT)) >
         0) {
    const int size = zmq_recv(f->socket, frame, sizeof(frame), 0);
    struct weir_msg msg;
    size_t offset = 0;

    pthread_mutex_lock(&f->lock);
    while (size > 0 && offset < (size_t)size) {
      if (weir_codec_decode(frame, (size_t)size, &offset, &msg) != WEIR_OK)
        abort(); /* libweir never sends what does not decode */
      on_message(f, &peer, &msg);
    }
    pthread_mutex_unlock(&f->lock);
  }
}

static void *run(void *argument)
{
  struct fake_coordinator *f = argument;
  bool is_stopping = false;

  while (!is_stopping) {
    zmq_pollitem_t items[] = {{f->socket, 0, ZMQ_POLLIN, 0}, {NULL, f->control_fd, ZMQ_POLLIN, 0}};

    zmq_poll(items, 2, -1);
    pthread_mutex_lock(&f->lock);
    is_stopping = f->is_stopping;
    pthread_mutex_unlock(&f->lock);
    if (!is_stopping)
      drain(f);
  }
  return NULL;
}

void fake_start(struct fake_coordinator *f, enum fake_answer answer)
{
  const int linger = 0;

  f->is_stopping = false;
  f->answer = answer;
  f->epoch++;
  f->sessions_count = 0;
  f->control_fd = eventfd(0, EFD_CLOEXEC);
  f->context = zmq_ctx_new();
  f->socket = zmq_socket(f->context, ZMQ_ROUTER);
  assert_int_equal(zmq_setsockopt(f->socket, ZMQ_LINGER, &linger, sizeof(linger)), 0);
  assert_int_equal(zmq_bind(f->socket, f->endpoint), 0);
  assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
  f->is_running = true;
}

void fake_stop(struct fake_coordinator *f)
{
  if (!f->is_running)
    return;
  pthread_mutex_lock(&f->lock);
  f->is_stopping = true;
  pthread_mutex_unlock(&f->lock);
  eventfd_write(f->control_fd, 1);
  pthread_join(f->thread, NULL);
  zmq_close(f->socket);
  zmq_ctx_term(f->context);
  close(f->control_fd);
  f->is_running = false;
}

void fake_init(struct fake_coordinator *f, enum fake_answer answer)
{
  memset(f, 0, sizeof(*f));
  strcpy(f->folder, "/tmp/weir-test-XXXXXX");
  assert_non_null(mkdtemp(f->folder));
  snprintf(f->endpoint, sizeof(f->endpoint), "ipc://%s/weir.sock", f->folder);
  pthread_mutex_init(&f->lock, NULL);
  pthread_cond_init(&f->changed, NULL);
  f->ttl_us = 30 * WEIR_US_PER_S;
  fake_start(f, answer);
}

void fake_fini(struct fake_coordinator *f)
{
  fake_stop(f);
  remove(f->endpoint + strlen("ipc://"));
  rmdir(f->folder);
  pthread_cond_destroy(&f->changed);
  pthread_mutex_destroy(&f->lock);
}

void fake_set(struct fake_coordinator *f, enum fake_answer answer)
{
  pthread_mutex_lock(&f->lock);
  f->answer = answer;
  pthread_mutex_unlock(&f->lock);
}

static uint32_t count_locked(const struct fake_coordinator *f, enum weir_msg_type type,
                             uint32_t index, struct weir_msg *ret_msg)
{
  uint32_t count = 0;

  for (uint32_t i = 0; i < f->received_count; i++) {
    if (f->received[i].type == type && count++ == index && ret_msg)
      *ret_msg = f->received[i];
  }
  return count;
}

uint32_t fake_count(struct fake_coordinator *f, enum weir_msg_type type)
{
  uint32_t count;

  pthread_mutex_lock(&f->lock);
  count = count_locked(f, type, UINT32_MAX, NULL);
  pthread_mutex_unlock(&f->lock);
  return count;
}

struct weir_msg fake_wait(struct fake_coordinator *f, enum weir_msg_type type, uint32_t count)
{
  struct weir_msg msg = {0};
  struct timespec until;
  int err = 0;

  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += FAKE_TIMEOUT_MS / 1000;
  pthread_mutex_lock(&f->lock);
  while (count_locked(f, type, count - 1, &msg) < count && err == 0)
    err = pthread_cond_timedwait(&f->changed, &f->lock, &until);
  pthread_mutex_unlock(&f->lock);
  if (err != 0)
    fail_msg("%u messages %s did not come", count, weir_msg_name(type));
  return msg;
}

struct weir_msg fake_get(struct fake_coordinator *f, enum weir_msg_type type, uint32_t index)
{
  return fake_wait(f, type, index + 1);
}

uint32_t fake_instances(struct fake_coordinator *f)
{
  uint32_t count = 0;

  pthread_mutex_lock(&f->lock);
  for (uint32_t i = 0; i < f->received_count; i++) {
    bool is_new = f->received[i].type == WEIR_MSG_HELLO;

    for (uint32_t k = 0; k < i && is_new; k++)
      is_new = f->received[k].type != WEIR_MSG_HELLO ||
               memcmp(f->received[k].hello.instance, f->received[i].hello.instance,
                      WEIR_INSTANCE_SIZE) != 0;
    count += is_new;
  }
  pthread_mutex_unlock(&f->lock);
  return count;
}
