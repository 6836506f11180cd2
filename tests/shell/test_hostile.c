/* Broken and hostile peers: none of 10,000 frames may crash the coordinator, make it grow, or keep
 * a healthy client beside them from its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include <weir/rng.h>

#include "daemon.h"
#include "sanitizer.h"

#define FRAMES       10000
#define GROWTH_MAX   (8u << 20) /* bytes of resident memory, malloc's own slack included */
#define HEALTHY_EACH 50         /* frames between two checks of the healthy client */

static int start(void **state, bool is_secure)
{
  struct daemon *d = calloc(1, sizeof *d);
  if (d == NULL)
    return -1;
  daemon_init(d);
  if (is_secure)
    daemon_secure(d);
  daemon_configure(d, "heartbeat: 10s\nsession_ttl: 5m\n"
                      "bounds: {sessions: 256, asks: 1024, leases: 16384}\n"
                      "providers: {g: {kind: gemini}}\n"
                      "pools: [{name: p, provider: g, models: m, limits: {rpm: 1M}}]\n");
  daemon_start(d);
  *state = d;
  return 0;
}

static int setup(void **state)
{
  return start(state, false);
}

/* The same by TCP, by somebody whose key is known. */
static int setup_secure(void **state)
{
  return start(state, true);
}

static int teardown(void **state)
{
  daemon_fini(*state);
  free(*state);
  return 0;
}

/* One whole call of a client that does everything right. */
static void check_healthy(struct client *c, uint64_t seq)
{
  struct weir_msg msg;
  client_ask(c, seq, WEIR_US_PER_S);
  client_receive(c, &msg);
  assert_int_equal(msg.type, WEIR_MSG_GRANT);
  assert_int_equal(msg.grant.seq, seq);
  struct weir_msg settle = {.type = WEIR_MSG_SETTLE};
  settle.settle.seq = seq;
  settle.settle.is_final = true;
  settle.settle.outcome = WEIR_OUTCOME_CANCELLED;
  client_send(c, &settle);
  client_ping(c);
}

static uint64_t malformed_of(struct client *c)
{
  struct weir_msg show = {.type = WEIR_MSG_SHOW, .show = {.view = WEIR_VIEW_TOTALS}};
  client_send(c, &show);
  client_receive(c, &show);
  assert_int_equal(show.type, WEIR_MSG_ROW);
  return show.row.counters[WEIR_COUNTER_MALFORMED];
}

/* A valid frame of one of the shim's messages, as a seed for mutations. */
static size_t valid_frame(struct weir_rng *rng, uint64_t session, uint8_t *ret_bytes)
{
  static const enum weir_msg_type types[] = {WEIR_MSG_HELLO,  WEIR_MSG_ASK,  WEIR_MSG_SETTLE,
                                             WEIR_MSG_CANCEL, WEIR_MSG_PING, WEIR_MSG_SHOW};
  struct weir_msg msg = {.type = types[weir_rng_below(rng, sizeof types / sizeof types[0])],
                         .session = session,
                         .mark = weir_rng_below(rng, 1000) + 1};
  if (msg.type == WEIR_MSG_HELLO) {
    msg.hello.instance[3] = (uint8_t)weir_rng_below(rng, 256);
    msg.hello.incarnation = 1 + weir_rng_below(rng, 4);
    msg.hello.version_min = msg.hello.version_max = 1;
    snprintf(msg.hello.name, sizeof msg.hello.name, "hostile");
  } else if (msg.type == WEIR_MSG_ASK) {
    msg.ask = (struct weir_msg_ask){.seq = weir_rng_below(rng, 5000) + 1,
                                    .model = "p",
                                    .class = WEIR_CLASS_BATCH,
                                    .requests = 1,
                                    .input_tokens = weir_rng_below(rng, 100000),
                                    .deadline_us = weir_rng_below(rng, 1000000)};
  } else if (msg.type == WEIR_MSG_SETTLE) {
    msg.settle = (struct weir_msg_settle){.seq = weir_rng_below(rng, 5000) + 1,
                                          .is_sent = true,
                                          .is_final = true,
                                          .outcome = WEIR_OUTCOME_OK,
                                          .http = 200};
  } else if (msg.type == WEIR_MSG_CANCEL) {
    msg.cancel.seq = weir_rng_below(rng, 5000) + 1;
  } else if (msg.type == WEIR_MSG_SHOW) {
    msg.show.view = WEIR_VIEW_POOLS;
    msg.show.row = (uint32_t)weir_rng_below(rng, 3);
  }
  size_t size = 0;
  assert_int_equal(weir_codec_encode(&msg, ret_bytes, WEIR_MSG_SIZE_MAX, &size), WEIR_OK);
  return size;
}

/* Random bytes, half of them behind a valid head. */
static size_t random_frame(struct weir_rng *rng, uint8_t *ret_bytes)
{
  size_t size = 1 + weir_rng_below(rng, 400);
  for (size_t i = 0; i < size; i++)
    ret_bytes[i] = (uint8_t)weir_rng_next(rng);
  if (weir_rng_below(rng, 2) == 0 && size > 4) {
    ret_bytes[0] = WEIR_MAGIC;
    ret_bytes[1] = WEIR_PROTOCOL_VERSION;
    ret_bytes[2] = (uint8_t)(1 + weir_rng_below(rng, WEIR_MSG_MAX));
    ret_bytes[3] = 0;
  }
  return size;
}

/* Containers in containers, or lengths that promise gigabytes. */
static size_t nested_frame(struct weir_rng *rng, uint8_t *ret_bytes)
{
  static const uint8_t openers[] = {0x91, 0x81, 0xdd, 0xdf, 0xdb, 0xc6, 0xc9};
  uint8_t opener = openers[weir_rng_below(rng, sizeof openers)];
  size_t size = 4 + weir_rng_below(rng, WEIR_FRAME_SIZE_MAX - 4);
  memset(ret_bytes, opener, size);
  ret_bytes[0] = WEIR_MAGIC;
  ret_bytes[1] = WEIR_PROTOCOL_VERSION;
  ret_bytes[2] = WEIR_MSG_ASK;
  ret_bytes[3] = 0;
  return size;
}

static void send_hostile(struct client *c, struct weir_rng *rng, uint64_t session)
{
  static uint8_t bytes[WEIR_FRAME_SIZE_MAX];
  size_t size = 0;
  switch (weir_rng_below(rng, 6)) {
  case 0:
    size = random_frame(rng, bytes);
    break;
  case 1: /* truncated */
    size = valid_frame(rng, session, bytes);
    size = weir_rng_below(rng, size);
    break;
  case 2: /* a few bytes changed */
    size = valid_frame(rng, session, bytes);
    for (uint64_t i = 0; i <= weir_rng_below(rng, 4); i++)
      bytes[weir_rng_below(rng, size)] = (uint8_t)weir_rng_next(rng);
    break;
  case 3:
    size = nested_frame(rng, bytes);
    break;
  case 4: /* many frames in one message */
    size = valid_frame(rng, session, bytes);
    for (uint64_t i = 0; i < 2 + weir_rng_below(rng, 50); i++)
      client_send_bytes(c, bytes, size, true);
    break;
  default: /* valid ones, with the wrong session or none */
    size = valid_frame(rng, weir_rng_below(rng, 2) == 0 ? session : weir_rng_next(rng), bytes);
    break;
  }
  client_send_bytes(c, bytes, size, false);
}

/* The release build judges: what a sanitizer keeps beside each byte is none of the coordinator's.
 */
static void check_growth(const struct daemon *d, size_t before)
{
  size_t after = daemon_rss(d);
  if (!UNDER_TSAN && !UNDER_ASAN && after > before + GROWTH_MAX)
    fail_msg("resident memory grew from %zu to %zu bytes", before, after);
}

static void drop_answers(struct client *c)
{
  uint8_t bytes[64];
  while (zmq_recv(c->socket, bytes, sizeof bytes, ZMQ_DONTWAIT) >= 0)
    ;
}

static void survives_ten_thousand_malformed_frames(void **state)
{
  struct daemon *d = *state;
  struct client healthy, hostile;
  struct weir_rng rng;
  const char *seed = getenv("WEIR_SEED");
  weir_rng_init(&rng, seed != NULL ? strtoull(seed, NULL, 10) : 1);
  client_init(&healthy, d, 1);
  client_hello(&healthy);
  client_init(&hostile, d, 200);
  client_hello(&hostile);
  uint64_t seq = 0;
  size_t before = 0;
  for (uint32_t i = 0; i < FRAMES; i++) {
    send_hostile(&hostile, &rng, hostile.session);
    if (i % HEALTHY_EACH == 0) {
      check_healthy(&healthy, ++seq);
      drop_answers(&hostile);
    }
    if (i == FRAMES / 5)
      before = daemon_rss(d); /* tables and malloc have been used once */
  }
  check_healthy(&healthy, ++seq);
  check_growth(d, before);
  /* Two of three kinds can only be malformed: the frames did arrive. */
  assert_true(malformed_of(&healthy) > FRAMES / 3);
  client_fini(&hostile);
  client_fini(&healthy);
}

static void drops_a_peer_that_sends_a_larger_frame(void **state)
{
  struct daemon *d = *state;
  struct client healthy, hostile;
  client_init(&healthy, d, 1);
  client_hello(&healthy);
  size_t size = 64u << 20, before = daemon_rss(d);
  uint8_t *bytes = calloc(1, size);
  assert_non_null(bytes);
  for (uint8_t i = 0; i < 8; i++) {
    client_init(&hostile, d, (uint8_t)(100 + i));
    client_hello(&hostile);
    client_send_bytes(&hostile, bytes, size, false);
    check_healthy(&healthy, i + 1u);
    client_fini(&hostile);
  }
  free(bytes);
  check_growth(d, before);
  client_fini(&healthy);
}

static void ignores_peers_that_choose_their_routing_id(void **state)
{
  struct daemon *d = *state;
  struct client healthy, hostile;
  client_init(&healthy, d, 1);
  client_hello(&healthy);
  uint64_t before = malformed_of(&healthy);
  static const char *const ids[] = {"a", "abcde", "\1\0\0\0\1", "0123456789012345678901234567"};
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    client_init(&hostile, d, (uint8_t)(100 + i));
    void *socket = zmq_socket(hostile.context, ZMQ_DEALER);
    int zero = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_ROUTING_ID, ids[i], i == 2 ? 5 : strlen(ids[i])),
                     0);
    client_set_key(socket, d, &d->known);
    assert_int_equal(zmq_connect(socket, d->endpoint), 0);
    struct weir_msg hello = {.type = WEIR_MSG_HELLO, .mark = 1};
    hello.hello.incarnation = 1;
    hello.hello.version_min = hello.hello.version_max = 1;
    uint8_t bytes[WEIR_MSG_SIZE_MAX];
    size_t size = 0;
    assert_int_equal(weir_codec_encode(&hello, bytes, sizeof bytes, &size), WEIR_OK);
    assert_int_equal(zmq_send(socket, bytes, size, 0), size);
    if (i == 0) /* at most one line a second: the first is certain */
      daemon_wait_log(d, "the peer set a routing id of its own");
    while (malformed_of(&healthy) < before + i + 1)
      client_ping(&healthy); /* until it has arrived; the test's time limit bounds this */
    assert_int_equal(zmq_recv(socket, bytes, sizeof bytes, ZMQ_DONTWAIT), -1);
    zmq_close(socket);
    client_fini(&hostile);
  }
  client_fini(&healthy);
}

static int connect_to(int family, const void *address, socklen_t size)
{
  int fd = socket(family, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, address, size), 0);
  return fd;
}

static int raw_connect(const struct daemon *d)
{
  if (d->server_key[0] != '\0') {
    struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    tcp.sin_port = htons((uint16_t)atoi(strrchr(d->endpoint, ':') + 1));
    return connect_to(AF_INET, &tcp, sizeof tcp);
  }
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", d->endpoint + strlen("ipc://"));
  return connect_to(AF_UNIX, &address, sizeof address);
}

/* Below the messages: bytes that are no ZMTP at all. */
static void survives_bytes_that_are_no_zmtp(void **state)
{
  struct daemon *d = *state;
  struct client healthy;
  struct weir_rng rng;
  weir_rng_init(&rng, 7);
  client_init(&healthy, d, 1);
  client_hello(&healthy);
  for (uint32_t i = 0; i < 500; i++) {
    uint8_t bytes[512];
    int fd = raw_connect(d);
    size_t size = 1 + weir_rng_below(&rng, sizeof bytes);
    for (size_t k = 0; k < size; k++)
      bytes[k] = (uint8_t)weir_rng_next(&rng);
    if (i % 4 == 0)
      size = (size_t)snprintf((char *)bytes, sizeof bytes, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    assert_true(sent == (ssize_t)size || errno == EPIPE || errno == ECONNRESET);
    close(fd);
    if (i % HEALTHY_EACH == 0)
      check_healthy(&healthy, i + 1);
  }
  check_healthy(&healthy, 501);
  client_fini(&healthy);
}

/* Bytes behind a greeting that is right: CURVE's own commands, mutated. */
static void survives_handshakes_that_go_wrong_half_way(void **state)
{
  struct daemon *d = *state;
  struct client healthy;
  struct weir_rng rng;
  weir_rng_init(&rng, 11);
  client_init(&healthy, d, 1);
  client_hello(&healthy);
  for (uint32_t i = 0; i < 300; i++) {
    uint8_t bytes[64 + 210] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1};
    static const uint8_t hello[] = {0x04, 200, 5, 'H', 'E', 'L', 'L', 'O', 1, 0};
    int fd = raw_connect(d);
    memcpy(bytes + 12, i % 5 == 0 ? "PLAIN" : "CURVE", 5);
    memcpy(bytes + 64, hello, sizeof hello);
    for (size_t k = 64 + sizeof hello; k < sizeof bytes; k++)
      bytes[k] = (uint8_t)weir_rng_next(&rng);
    if (i % 3 == 0)
      bytes[64 + weir_rng_below(&rng, sizeof hello)] = (uint8_t)weir_rng_next(&rng);
    size_t size = i % 2 == 0 ? sizeof bytes : 64 + weir_rng_below(&rng, 210);
    ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    assert_true(sent == (ssize_t)size || errno == EPIPE || errno == ECONNRESET);
    close(fd);
    if (i % HEALTHY_EACH == 0)
      check_healthy(&healthy, i + 1);
  }
  check_healthy(&healthy, 301);
  client_fini(&healthy);
}

/* A peer that never reads fills its own queue and nobody else's. */
static void forgets_answers_of_a_peer_that_does_not_read(void **state)
{
  struct daemon *d = *state;
  struct client healthy, silent;
  client_init(&healthy, d, 1);
  client_hello(&healthy);
  client_init(&silent, d, 99);
  client_hello(&silent);
  for (uint32_t i = 0; i < 20000; i++) {
    struct weir_msg show = {.type = WEIR_MSG_SHOW, .show = {.view = WEIR_VIEW_TOTALS}};
    client_send(&silent, &show);
    if (i % 1000 == 0)
      check_healthy(&healthy, i / 1000 + 1);
  }
  check_healthy(&healthy, 21);
  client_fini(&silent);
  client_fini(&healthy);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SECURE(name)                                                                               \
  {                                                                                                \
    "secure_" #name, name, setup_secure, teardown, NULL                                            \
  }
  const struct CMUnitTest tests[] = {
      TEST(survives_ten_thousand_malformed_frames),
      TEST(drops_a_peer_that_sends_a_larger_frame),
      TEST(ignores_peers_that_choose_their_routing_id),
      TEST(survives_bytes_that_are_no_zmtp),
      TEST(forgets_answers_of_a_peer_that_does_not_read),
      SECURE(survives_ten_thousand_malformed_frames),
      SECURE(drops_a_peer_that_sends_a_larger_frame),
      SECURE(ignores_peers_that_choose_their_routing_id),
      SECURE(survives_bytes_that_are_no_zmtp),
      SECURE(survives_handshakes_that_go_wrong_half_way),
      SECURE(forgets_answers_of_a_peer_that_does_not_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
