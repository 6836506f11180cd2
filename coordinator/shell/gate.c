#define _DEFAULT_SOURCE /* explicit_bzero */
#include "gate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#define FRAMES_MAX   8
#define FRAME_SIZE   256
#define TEST_TURNS   50 /* of TEST_TURN_MS each, at most */
#define TEST_TURN_MS 100

/* ---- the handler ---- */

/* A request: version, id, domain, address, identity, mechanism, credentials. */
enum {
  FRAME_VERSION,
  FRAME_ID,
  FRAME_DOMAIN,
  FRAME_ADDRESS,
  FRAME_IDENTITY,
  FRAME_MECHANISM,
  FRAME_KEY
};

struct request {
  int count;
  int sizes[FRAMES_MAX];
  char frames[FRAMES_MAX][FRAME_SIZE]; /* with a NUL behind each */
};

static bool receive(void *socket, struct request *r)
{
  int more = 1;
  size_t size = sizeof more;
  r->count = 0;
  while (more) {
    char rest[FRAME_SIZE];
    bool has_room = r->count < FRAMES_MAX;
    int got = zmq_recv(socket, has_room ? r->frames[r->count] : rest, FRAME_SIZE - 1, 0);
    if (got < 0 || zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) != 0)
      return false;
    if (has_room) {
      r->sizes[r->count] = got < FRAME_SIZE ? got : FRAME_SIZE - 1;
      r->frames[r->count][r->sizes[r->count]] = '\0';
    }
    r->count++;
  }
  return true;
}

static bool is_listed(struct weir_gate *gate, const struct request *r, char *ret_key)
{
  if (r->count != FRAME_KEY + 1 || r->sizes[FRAME_KEY] != WEIR_KEY_BYTES ||
      zmq_z85_encode(ret_key, (const uint8_t *)r->frames[FRAME_KEY], WEIR_KEY_BYTES) == NULL)
    return false;
  pthread_mutex_lock(&gate->lock);
  bool is_known = weir_peers_find(gate->peers, ret_key) != NULL;
  if (!is_known) {
    gate->refusals.count++;
    memcpy(gate->refusals.key, ret_key, sizeof gate->refusals.key);
    snprintf(gate->refusals.address, sizeof gate->refusals.address, "%.63s",
             r->frames[FRAME_ADDRESS]);
  }
  pthread_mutex_unlock(&gate->lock);
  if (!is_known)
    eventfd_write(gate->event_fd, 1);
  return is_known;
}

static void answer(struct weir_gate *gate, const struct request *r)
{
  char key[WEIR_KEY_SIZE] = "";
  const char *user = NULL;
  bool is_ours = r->count > FRAME_MECHANISM && strcmp(r->frames[FRAME_VERSION], "1.0") == 0 &&
                 strcmp(r->frames[FRAME_DOMAIN], WEIR_GATE_DOMAIN) == 0;
  if (is_ours && strcmp(r->frames[FRAME_MECHANISM], "NULL") == 0)
    user = WEIR_GATE_PLAIN; /* only ipc is bound without keys: sock.c */
  else if (is_ours && strcmp(r->frames[FRAME_MECHANISM], "CURVE") == 0 && is_listed(gate, r, key))
    user = key;
  const char *id = r->count > FRAME_ID ? r->frames[FRAME_ID] : "";
  size_t id_size = r->count > FRAME_ID ? (size_t)r->sizes[FRAME_ID] : 0;
  zmq_send(gate->socket, "1.0", 3, ZMQ_SNDMORE);
  zmq_send(gate->socket, id, id_size, ZMQ_SNDMORE);
  zmq_send(gate->socket, user != NULL ? "200" : "400", 3, ZMQ_SNDMORE);
  zmq_send(gate->socket, "", 0, ZMQ_SNDMORE);
  zmq_send(gate->socket, user != NULL ? user : "", user != NULL ? strlen(user) : 0, ZMQ_SNDMORE);
  zmq_send(gate->socket, "", 0, 0);
}

static void *run(void *context)
{
  struct weir_gate *gate = context;
  struct request r;
  for (;;) {
    zmq_pollitem_t items[] = {{.socket = gate->socket, .events = ZMQ_POLLIN},
                              {.fd = gate->stop_fd, .events = ZMQ_POLLIN}};
    if (zmq_poll(items, 2, -1) < 0 && errno != EINTR)
      return NULL;
    if (items[1].revents != 0)
      return NULL;
    if (items[0].revents != 0 && receive(gate->socket, &r))
      answer(gate, &r);
  }
}

/* ---- start and stop ---- */

static void close_all(struct weir_gate *gate)
{
  if (gate->socket != NULL)
    zmq_close(gate->socket);
  if (gate->stop_fd >= 0)
    close(gate->stop_fd);
  if (gate->event_fd >= 0)
    close(gate->event_fd);
  pthread_mutex_destroy(&gate->lock);
}

enum weir_err weir_gate_start(struct weir_gate *gate, void *context, struct weir_peers *peers,
                              char *ret_error)
{
  int linger = 0;
  *gate = (struct weir_gate){.context = context};
  pthread_mutex_init(&gate->lock, NULL);
  gate->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  gate->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  gate->socket = zmq_socket(context, ZMQ_REP);
  gate->peers = peers;
  if (gate->stop_fd >= 0 && gate->event_fd >= 0 && gate->socket != NULL &&
      zmq_setsockopt(gate->socket, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
      zmq_bind(gate->socket, "inproc://zeromq.zap.01") == 0 &&
      pthread_create(&gate->thread, NULL, run, gate) == 0)
    return WEIR_OK;
  snprintf(ret_error, WEIR_GATE_ERROR_SIZE,
           "the handler of keys cannot start (%s); raise the limits of descriptors and threads",
           strerror(errno));
  close_all(gate);
  return WEIR_ESYSTEM;
}

void weir_gate_stop(struct weir_gate *gate)
{
  eventfd_write(gate->stop_fd, 1);
  pthread_join(gate->thread, NULL);
  close_all(gate);
  weir_peers_free(gate->peers);
}

void weir_gate_replace(struct weir_gate *gate, struct weir_peers *peers)
{
  struct weir_peers *former = gate->peers;
  for (uint32_t i = 0; peers != NULL && i < peers->count; i++) {
    const struct weir_peer *same = weir_peers_find(former, peers->items[i].key);
    if (same != NULL)
      peers->items[i].throttle = same->throttle;
  }
  pthread_mutex_lock(&gate->lock);
  gate->peers = peers;
  pthread_mutex_unlock(&gate->lock);
  weir_peers_free(former);
}

void weir_gate_refusals(struct weir_gate *gate, struct weir_gate_refusals *ret_refusals)
{
  eventfd_t count = 0;
  eventfd_read(gate->event_fd, &count);
  pthread_mutex_lock(&gate->lock);
  *ret_refusals = gate->refusals;
  gate->refusals = (struct weir_gate_refusals){0};
  pthread_mutex_unlock(&gate->lock);
}

/* ---- the test ---- */

/* Waits for the end of the handshake; 0 when it takes too long. */
static uint16_t handshake_end(void *monitor)
{
  for (int i = 0; i < TEST_TURNS; i++) {
    zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
    uint8_t head[6];
    char address[FRAME_SIZE];
    uint16_t event = 0;
    if (zmq_poll(&item, 1, TEST_TURN_MS) <= 0 ||
        zmq_recv(monitor, head, sizeof head, 0) != (int)sizeof head)
      continue;
    (void)!zmq_recv(monitor, address, sizeof address, 0);
    memcpy(&event, head, sizeof event);
    return event;
  }
  return 0;
}

static bool set_keys(void *socket, const char *server_key)
{
  char public[WEIR_KEY_SIZE], secret[WEIR_KEY_SIZE];
  int linger = 0;
  bool is_set = zmq_curve_keypair(public, secret) == 0 &&
                zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
                zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, WEIR_KEY_SIZE) == 0 &&
                zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public, WEIR_KEY_SIZE) == 0 &&
                zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, WEIR_KEY_SIZE) == 0;
  explicit_bzero(secret, sizeof secret);
  return is_set;
}

/* Where to connect to what is bound to every address. */
static void reach(const char *endpoint, char *ret_endpoint, size_t size)
{
  if (strncmp(endpoint, "tcp://0.0.0.0:", 14) == 0)
    snprintf(ret_endpoint, size, "tcp://127.0.0.1:%s", endpoint + 14);
  else if (strncmp(endpoint, "tcp://[::]:", 11) == 0)
    snprintf(ret_endpoint, size, "tcp://[::1]:%s", endpoint + 11);
  else
    snprintf(ret_endpoint, size, "%s", endpoint);
}

static uint16_t try_unknown(void *context, const char *endpoint, const char *public_key)
{
  char address[FRAME_SIZE];
  uint16_t event = 0;
  int ipv6 = strncmp(endpoint, "tcp://[", 7) == 0;
  void *socket = zmq_socket(context, ZMQ_DEALER), *monitor = zmq_socket(context, ZMQ_PAIR);
  reach(endpoint, address, sizeof address);
  if (socket != NULL && monitor != NULL && set_keys(socket, public_key) &&
      zmq_setsockopt(socket, ZMQ_IPV6, &ipv6, sizeof ipv6) == 0 &&
      zmq_socket_monitor(socket, "inproc://weir.gate.test",
                         ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                             ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) == 0 &&
      zmq_connect(monitor, "inproc://weir.gate.test") == 0 && zmq_connect(socket, address) == 0)
    event = handshake_end(monitor);
  if (socket != NULL) {
    zmq_socket_monitor(socket, NULL, 0);
    zmq_close(socket);
  }
  if (monitor != NULL)
    zmq_close(monitor);
  return event;
}

enum weir_err weir_gate_test(struct weir_gate *gate, const char *endpoint, const char *public_key,
                             char *ret_error)
{
  struct weir_gate_refusals own;
  uint16_t event = try_unknown(gate->context, endpoint, public_key);
  weir_gate_refusals(gate, &own); /* nobody needs to read of it */
  if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
    return WEIR_OK;
  snprintf(ret_error, WEIR_GATE_ERROR_SIZE,
           event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED
               ? "%s: a key that nobody knows got in; this libzmq does not keep what is asked of it"
               : "%s: the test with a key that nobody knows was not answered; nobody is served",
           endpoint);
  return WEIR_ESYSTEM;
}
