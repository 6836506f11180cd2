/* worker.c - the one thread that owns the sockets: it takes messages in, sends what the machine has
 * to say, and wakes it in time. It decides nothing.
 *
 * libzmq and not czmq: czmq takes over the host's signals. libzmq aborts the process when it runs
 * out of descriptors or threads while it starts, hence the probes before.
 */
#include "handle.h"
#include "identity.h"

#include <weir/codec.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#define FDS_NEEDED     32  /* libzmq takes about ten */
#define THREADS_NEEDED 3   /* its two, and the worker */
#define DRAIN_MAX      256 /* frames taken in before something is said */
#define POLL_MS_MAX    60000
#define BROKEN_MAX     3             /* handshakes broken off in a row: no accident any more */
#define RETRY_MIN_US   WEIR_US_PER_S /* after a refusal; up to twice as long */
#define GOODBYE_MS     500 /* for what is on its way to the coordinator when the handle is closed */

/* ---- starting ---- */

static bool has_fds(void)
{
  int fds[FDS_NEEDED], count = 0;

  while (count < FDS_NEEDED) {
    fds[count] = eventfd(0, EFD_CLOEXEC);
    if (fds[count] < 0)
      break;
    count++;
  }
  for (int i = 0; i < count; i++)
    close(fds[i]);
  return count == FDS_NEEDED;
}

static void *probe(void *lock)
{
  pthread_mutex_lock(lock); /* held by the one who counts: all probes exist at once */
  pthread_mutex_unlock(lock);
  return NULL;
}

static bool has_threads(void)
{
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_t threads[THREADS_NEEDED];
  int count = 0;

  pthread_mutex_lock(&lock);
  while (count < THREADS_NEEDED && pthread_create(&threads[count], NULL, probe, &lock) == 0)
    count++;
  pthread_mutex_unlock(&lock);
  for (int i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
  pthread_mutex_destroy(&lock);
  return count == THREADS_NEEDED;
}

static void name_instance(const struct weir *w, char ret_name[WEIR_NAME_SIZE])
{
  char program[32] = "";
  FILE *comm;

  if (w->name[0]) {
    memcpy(ret_name, w->name, WEIR_NAME_SIZE);
    return;
  }
  comm = fopen("/proc/self/comm", "re");
  if (comm) {
    if (!fgets(program, sizeof(program), comm))
      program[0] = '\0';
    fclose(comm);
  }
  for (char *at = program; *at; at++) {
    if (*at == '\n')
      *at = '\0';
    else if (*at < 0x20 || *at > 0x7e)
      *at = '?';
  }
  snprintf(ret_name, WEIR_NAME_SIZE, "%s:%ld", program[0] ? program : "weir", (long)getpid());
}

static int make_machine(struct weir *w)
{
  struct weir_client_config *config = &w->client_config;
  void *storage = w->client;

  memset(config, 0, sizeof(*config));
  config->calls_max = WEIR_CALLS_MAX;
  config->settlements_max = WEIR_SETTLEMENTS_MAX;
  config->wallet_max = w->wallet_max;
  config->without = w->without;
  weir_random(config->instance, sizeof(config->instance));
  weir_random(&config->seed, sizeof(config->seed));
  name_instance(w, config->name);
  /* A few megabytes, of which only what is used is ever touched. */
  if (!storage)
    storage = calloc(1, weir_client_size(config));
  if (!storage)
    return WEIR_ENOMEM;
  w->client = weir_client_init(storage, config);
  return WEIR_OK;
}

static bool set_int(void *socket, int option, int value)
{
  return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

/* libzmq's own jitter is the same in every process; and it would not vary from start to start. */
static bool set_reconnect(void *socket)
{
  uint8_t random;

  weir_random(&random, sizeof(random));
  return set_int(socket, ZMQ_RECONNECT_IVL, 50 + random * 200 / 255) &&
         set_int(socket, ZMQ_RECONNECT_IVL_MAX, 1000);
}

static bool set_options(void *socket)
{
  const int64_t frame_max = WEIR_FRAME_SIZE_MAX;

  return set_int(socket, ZMQ_IMMEDIATE, 1) && /* nothing queues up for a coordinator that is away */
         set_int(socket, ZMQ_LINGER, 0) && set_int(socket, ZMQ_SNDHWM, 256) &&
         set_int(socket, ZMQ_RCVHWM, 0) && /* bounded by the credit */
         set_int(socket, ZMQ_CONNECT_TIMEOUT, 1000) && set_int(socket, ZMQ_HANDSHAKE_IVL, 3000) &&
         set_reconnect(socket) &&
         zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof(frame_max)) == 0;
}

static void close_sockets(struct weir_worker *worker)
{
  if (worker->monitor) {
    zmq_socket_monitor(worker->socket, NULL, 0); /* a monitor that nobody reads would block */
    zmq_close(worker->monitor);
  }
  if (worker->socket)
    zmq_close(worker->socket);
  if (worker->context)
    zmq_ctx_term(worker->context);
  if (worker->wake_fd >= 0)
    close(worker->wake_fd);
  worker->monitor = worker->socket = worker->context = NULL;
  worker->wake_fd = -1;
}

#define EVENTS                                                                                     \
  (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |      \
   ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)

static int open_sockets(struct weir *w)
{
  struct weir_worker *worker = &w->worker;
  int err;

  worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  worker->context = zmq_ctx_new();
  if (worker->wake_fd < 0 || !worker->context)
    return WEIR_ESYSTEM;
  worker->socket = zmq_socket(worker->context, ZMQ_DEALER);
  worker->monitor = zmq_socket(worker->context, ZMQ_PAIR);
  if (!worker->socket || !worker->monitor || !set_options(worker->socket))
    return WEIR_ESYSTEM;
  /* The monitor tells at once that a connection broke, which sending would only tell later. */
  if (zmq_socket_monitor(worker->socket, "inproc://monitor", EVENTS) != 0 ||
      zmq_connect(worker->monitor, "inproc://monitor") != 0)
    return WEIR_ESYSTEM;
  err = weir_identity_apply(w, worker->socket);
  if (err)
    return err;
  return zmq_connect(worker->socket, w->coordinator) == 0 ? WEIR_OK : WEIR_ECONFIG;
}

/* ---- the loop ---- */

/* Steps the machine and returns whether it wants to go on at once. The clock is read here and not
 * once a round: a grant starts counting when it is received, and other threads step in between. */
static bool step(struct weir *w, struct weir_client_event *event, uint32_t messages_max)
{
  struct weir_client_update *update = &w->worker.update;
  enum weir_err err;

  pthread_mutex_lock(&w->lock);
  event->now = weir_now();
  update->messages_max = messages_max;
  err = weir_client_step(w->client, event, update);
  (void)err; /* only asks, cancels and settlements fail */
  weir_lease_deliver(w, update, event->now);
  w->worker.poll_until = update->wake;
  pthread_mutex_unlock(&w->lock);
  return update->wake <= event->now;
}

/* Draws when to connect again: libzmq does not, once it was refused. */
static void retry_later(struct weir_worker *worker)
{
  uint32_t random;

  weir_random(&random, sizeof(random));
  worker->retry_at = weir_time_add(weir_now(), RETRY_MIN_US + random % RETRY_MIN_US);
}

/* What an event says about keys. */
static void note_refusal(struct weir_worker *worker, uint16_t what, uint32_t value)
{
  if (what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
    worker->refused = WEIR_LINK_FINE;
    worker->broken = 0;
    worker->retry_at = 0;
  } else if (what == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
    worker->refused = WEIR_LINK_KEY;
    retry_later(worker);
  } else if (what == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) {
    if (value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
      worker->refused = WEIR_LINK_MECHANISM;
    retry_later(worker);
  } else if (what == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL &&
             (value == EPIPE || value == ECONNRESET) && ++worker->broken >= BROKEN_MAX) {
    worker->refused = WEIR_LINK_SERVER;
  }
}

/* Connects again after a refusal: the key may be known now, or the file hold another one. */
static void connect_again(struct weir *w)
{
  struct weir_worker *worker = &w->worker;

  if (worker->retry_at == 0 || worker->retry_at > weir_now())
    return;
  worker->retry_at = 0;
  zmq_disconnect(worker->socket, w->coordinator);
  if (weir_identity_apply(w, worker->socket) != WEIR_OK ||
      zmq_connect(worker->socket, w->coordinator) != 0)
    retry_later(worker);
}

static void on_monitor(struct weir *w)
{
  struct weir_client_event event = {.type = WEIR_CLIENT_LINK};
  uint8_t head[6];
  uint16_t what;
  uint32_t value;
  char address[256];

  /* Two frames: event and value, then an address. */
  while (zmq_recv(w->worker.monitor, head, sizeof(head), ZMQ_DONTWAIT) == (int)sizeof(head)) {
    (void)!zmq_recv(w->worker.monitor, address, sizeof(address), 0);
    memcpy(&what, head, sizeof(what));
    memcpy(&value, head + sizeof(what), sizeof(value));
    note_refusal(&w->worker, what, value);
    event.is_up = what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    event.is_refused = w->worker.refused != WEIR_LINK_FINE;
    step(w, &event, 0);
  }
}

/* A frame that does not decode ends there: the rest of it is worth nothing. */
static void on_frame(struct weir *w, const void *bytes, size_t size)
{
  struct weir_msg msg;
  struct weir_client_event event = {.type = WEIR_CLIENT_RECEIVED, .msg = &msg};
  size_t offset = 0;

  while (offset < size && weir_codec_decode(bytes, size, &offset, &msg) == WEIR_OK) {
    step(w, &event, 0);
  }
}

static void on_readable(struct weir *w)
{
  zmq_msg_t frame;

  zmq_msg_init(&frame);
  for (int i = 0; i < DRAIN_MAX; i++) {
    if (zmq_msg_recv(&frame, w->worker.socket, ZMQ_DONTWAIT) < 0)
      break;
    on_frame(w, zmq_msg_data(&frame), zmq_msg_size(&frame));
  }
  zmq_msg_close(&frame);
}

static bool send_frame(void *socket, const uint8_t *bytes, size_t size)
{
  return size == 0 || zmq_send(socket, bytes, size, ZMQ_DONTWAIT) == (int)size;
}

static bool send_messages(void *socket, const struct weir_client_update *update)
{
  uint8_t frame[WEIR_FRAME_SIZE_MAX];
  size_t size = 0;
  bool is_sent = true;

  for (uint32_t i = 0; i < update->messages_count && is_sent; i++) {
    enum weir_err err = weir_codec_encode(&update->messages[i], frame, sizeof(frame), &size);

    if (err == WEIR_EFULL) {
      is_sent = send_frame(socket, frame, size);
      size = 0;
      err = weir_codec_encode(&update->messages[i], frame, sizeof(frame), &size);
    }
    /* A message that cannot be encoded would be a bug of ours; without it the session goes on. */
    (void)err;
  }
  return is_sent && send_frame(socket, frame, size);
}

/* Lets the machine speak until it has said everything. */
static void speak(struct weir *w)
{
  struct weir_client_event event = {.type = WEIR_CLIENT_TIMEOUT};
  bool goes_on;

  do {
    goes_on = step(w, &event, WEIR_CLIENT_MESSAGES_MAX);
    event.type = WEIR_CLIENT_TIMEOUT;
    if (!send_messages(w->worker.socket, &w->worker.update)) {
      event.type = WEIR_CLIENT_UNSENT;
      goes_on = true;
    }
  } while (goes_on);
}

/* What the host was told. */
struct reporter {
  struct weir *w;
  enum weir_client_state state; /* as it was logged */
  uint64_t dropped;
};

static const char *refusal_text(const struct weir_worker *worker, enum weir_refusal refusal)
{
  if (refusal == WEIR_REFUSAL_VERSION)
    return "no common protocol version; update the older of the two";
  if (refusal != WEIR_REFUSAL_FORBIDDEN)
    return "a newer copy of it is known";
  if (worker->refused == WEIR_LINK_MECHANISM)
    return "one of the two uses keys, the other does not";
  if (worker->refused == WEIR_LINK_SERVER)
    return "it breaks off each handshake; is server_key its public key?";
  return "the coordinator refused this key; 'weir keys list' shows those that it knows";
}

static void report(struct reporter *t)
{
  struct weir *w = t->w;
  struct weir_client_status status;

  pthread_mutex_lock(&w->lock);
  weir_client_show(w->client, &status);
  pthread_mutex_unlock(&w->lock);
  if (status.settlements_dropped > t->dropped)
    weir_log(w, WEIR_LEVEL_WARNING,
             "%llu settlements dropped: too many while the coordinator was away; their leases "
             "stay charged",
             (unsigned long long)(status.settlements_dropped - t->dropped));
  t->dropped = status.settlements_dropped;
  /* The key was taken from the list: it may come back to it, but only a new connection tells. */
  if (status.state == WEIR_CLIENT_REFUSED && status.refusal == WEIR_REFUSAL_FORBIDDEN &&
      w->worker.refused == WEIR_LINK_FINE) {
    w->worker.refused = WEIR_LINK_KEY;
    retry_later(&w->worker);
  }
  if (status.state == t->state)
    return;
  if (status.state == WEIR_CLIENT_OPEN)
    weir_log(w, WEIR_LEVEL_INFO, "in session with the coordinator at %s (epoch %llu)",
             w->coordinator, (unsigned long long)status.epoch);
  else if (status.state == WEIR_CLIENT_REFUSED)
    weir_log(w, WEIR_LEVEL_ERROR, "the coordinator at %s refuses this instance: %s", w->coordinator,
             refusal_text(&w->worker, status.refusal));
  else if (t->state == WEIR_CLIENT_OPEN)
    weir_log(w, WEIR_LEVEL_WARNING, "the coordinator at %s is gone; connecting again",
             w->coordinator);
  t->state = status.state;
}

/* Tells the host of the results, of all that came together at once. */
static void signal_host(struct weir *w)
{
  pthread_mutex_lock(&w->lock);
  weir_lease_signal(w);
  pthread_mutex_unlock(&w->lock);
}

/* Returns with what there is to read taken in. */
static void sleep_until(struct weir *w, weir_tstamp wake)
{
  zmq_pollitem_t items[] = {{w->worker.socket, 0, ZMQ_POLLIN, 0},
                            {w->worker.monitor, 0, ZMQ_POLLIN, 0},
                            {NULL, w->worker.wake_fd, ZMQ_POLLIN, 0}};
  const weir_duration left = weir_time_sub(wake, weir_now());
  long timeout = POLL_MS_MAX;
  eventfd_t count;

  if (left < (weir_duration)POLL_MS_MAX * WEIR_US_PER_MS)
    timeout = (long)((left + WEIR_US_PER_MS - 1) / WEIR_US_PER_MS);
  if (zmq_poll(items, 3, timeout) <= 0)
    return;
  if (items[2].revents)
    eventfd_read(w->worker.wake_fd, &count);
  if (items[1].revents)
    on_monitor(w);
  if (items[0].revents) {
    on_readable(w);
    signal_host(w);
  }
}

static bool is_stopping(struct weir *w, weir_tstamp *ret_wake)
{
  bool is_stopping;

  pthread_mutex_lock(&w->lock);
  is_stopping = w->worker.is_stopping;
  *ret_wake = w->worker.poll_until;
  pthread_mutex_unlock(&w->lock);
  return is_stopping;
}

static void *run(void *handle)
{
  struct weir *w = handle;
  struct reporter t = {.w = w};
  struct weir_client_event close_event = {.type = WEIR_CLIENT_CLOSE};
  weir_tstamp wake;

  while (!is_stopping(w, &wake)) {
    if (w->worker.retry_at > 0 && w->worker.retry_at < wake)
      wake = w->worker.retry_at;
    sleep_until(w, wake);
    connect_again(w);
    speak(w);
    signal_host(w);
    report(&t);
  }
  step(w, &close_event, 0);
  speak(w);
  signal_host(w);
  set_int(w->worker.socket, ZMQ_LINGER, GOODBYE_MS);
  return NULL;
}

/* ---- for the other files ---- */

static int start_thread(struct weir *w)
{
  sigset_t all, before;
  int err;

  /* New threads inherit the mask: the host's handlers never run on them. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  err = has_fds() && has_threads() ? open_sockets(w) : WEIR_ESYSTEM;
  if (!err && pthread_create(&w->worker.thread, NULL, run, w) != 0)
    err = WEIR_ESYSTEM;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return err;
}

int weir_worker_start(struct weir *w)
{
  int err;

  if (w->worker.is_running)
    return WEIR_OK;
  err = make_machine(w);
  if (err)
    return err;
  w->worker.is_stopping = false;
  w->worker.poll_until = w->worker.retry_at = 0;
  w->worker.refused = WEIR_LINK_FINE;
  w->worker.broken = 0;
  err = start_thread(w);
  if (err)
    close_sockets(&w->worker);
  w->worker.is_running = err == WEIR_OK;
  return err;
}

void weir_worker_wake(struct weir *w, weir_tstamp wake)
{
  if (wake >= w->worker.poll_until)
    return;
  w->worker.poll_until = wake;
  eventfd_write(w->worker.wake_fd, 1);
}

void weir_worker_stop(struct weir *w)
{
  bool is_running;

  pthread_mutex_lock(&w->lock);
  is_running = w->worker.is_running;
  w->worker.is_stopping = true;
  if (is_running)
    eventfd_write(w->worker.wake_fd, 1);
  pthread_mutex_unlock(&w->lock);
  if (!is_running)
    return;
  pthread_join(w->worker.thread, NULL);
  w->worker.is_running = false;
  close_sockets(&w->worker);
}

void weir_worker_forget(struct weir *w)
{
  struct weir_worker *worker = &w->worker;

  if (worker->is_running)
    close(worker->wake_fd); /* our copy: the parent keeps its own */
  worker->is_running = false;
  worker->context = worker->socket = worker->monitor = NULL;
  worker->wake_fd = -1;
}
