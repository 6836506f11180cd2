/* Identity end to end: a real coordinator on TCP, and instances with keys that it knows, does not
 * know, and knows no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "daemon.h"
#include "sanitizer.h"

#include <weir.h>

#define CONFIG                                                                                     \
  "bounds: {sessions: 64, asks: 256, leases: 4096}\n"                                              \
  "providers: {g: {kind: gemini}}\n"                                                               \
  "pools: [{name: p, provider: g, models: m, limits: {rpm: 1M}}]\n"
#define GROWTH_MAX (8u << 20)
#define FLOOD_RATE 50 /* frames a second of the peer that floods */
#define PASS_MS    (1000 / FLOOD_RATE)

static int setup(void **state)
{
  struct daemon *d = calloc(1, sizeof *d);
  if (d == NULL)
    return -1;
  daemon_init(d);
  daemon_secure(d);
  daemon_configure(d, CONFIG);
  daemon_start(d);
  *state = d;
  return 0;
}

static int teardown(void **state)
{
  daemon_fini(*state);
  free(*state);
  return 0;
}

/* ---- an instance ---- */

struct instance {
  struct weir *weir;
  char key_file[96];
  pthread_mutex_t lock;
  char log[4096];
};

static void take_line(void *context, enum weir_level level, const char *text)
{
  struct instance *i = context;
  (void)level;
  pthread_mutex_lock(&i->lock);
  size_t size = strlen(i->log);
  snprintf(i->log + size, sizeof i->log - size, "%s\n", text);
  pthread_mutex_unlock(&i->lock);
}

static bool has_logged(struct instance *i, const char *text)
{
  pthread_mutex_lock(&i->lock);
  bool has = strstr(i->log, text) != NULL;
  pthread_mutex_unlock(&i->lock);
  return has;
}

static int open_instance(struct instance *i, const struct daemon *d, const char *server_key,
                         const struct daemon_key *key)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  *i = (struct instance){.lock = PTHREAD_MUTEX_INITIALIZER};
  snprintf(i->key_file, sizeof i->key_file, "%s/client.key", d->folder);
  if (key != NULL)
    daemon_key_write(key, i->key_file);
  options.coordinator = d->endpoint;
  options.server_key = server_key;
  options.key_file = key != NULL ? i->key_file : NULL;
  options.is_without_wallet = 1;
  options.log = take_line;
  options.log_context = i;
  return weir_open(&options, &i->weir);
}

/* One lease, given back at once; the error of the acquire. */
static int lease(struct instance *i)
{
  struct weir_ask ask = WEIR_INIT(struct weir_ask);
  struct weir_lease got = WEIR_INIT(struct weir_lease);
  struct weir_settlement unsent = WEIR_INIT(struct weir_settlement);
  ask.model = "p";
  ask.max_wait_ms = DAEMON_TIMEOUT_MS;
  int err = weir_acquire(i->weir, &ask, &got);
  unsent.is_unsent = 1;
  if (err == WEIR_OK)
    assert_int_equal(weir_settle(i->weir, &got, &unsent), WEIR_OK);
  return err;
}

static void a_key_that_is_known_takes_leases(void **state)
{
  struct daemon *d = *state;
  const struct daemon_key key = d->known;
  struct instance i;
  assert_int_equal(open_instance(&i, d, d->server_key, &key), WEIR_OK);
  assert_int_equal(lease(&i), WEIR_OK);
  assert_int_equal(lease(&i), WEIR_OK);
  weir_close(i.weir);
  assert_false(has_logged(&i, key.secret));
  assert_null(strstr(d->log, key.secret));
}

static void an_unknown_key_is_told_so_and_gets_in_once_it_is_listed(void **state)
{
  struct daemon *d = *state;
  struct daemon_key stranger;
  struct instance i;
  daemon_key_new(&stranger);
  assert_int_equal(open_instance(&i, d, d->server_key, &stranger), WEIR_OK);
  assert_int_equal(lease(&i), WEIR_EKEY);
  assert_string_equal(weir_error_text(WEIR_EKEY), "the coordinator refused this key");
  daemon_wait_log(d, "event=key_refused");
  assert_non_null(strstr(d->log, stranger.public));
  assert_int_equal(lease(&i), WEIR_EKEY); /* at once, as long as nothing else is known */
  daemon_list(d, "stranger %s\n", stranger.public);
  daemon_wait_log(d, "event=peers");
  int err;
  while ((err = lease(&i)) == WEIR_EKEY)
    ; /* until it has tried again: it does so by itself; the test's time limit bounds this */
  assert_int_equal(err, WEIR_OK);
  assert_true(has_logged(&i, "the coordinator refused this key"));
  weir_close(i.weir);
}

static void a_key_that_is_revoked_loses_its_session_and_gets_no_other(void **state)
{
  struct daemon *d = *state;
  struct instance i;
  assert_int_equal(open_instance(&i, d, d->server_key, &d->known), WEIR_OK);
  assert_int_equal(lease(&i), WEIR_OK);
  daemon_list(d, "# nobody\n");
  daemon_wait_log(d, "event=peers");
  assert_int_equal(lease(&i), WEIR_EKEY);
  daemon_wait_log(d, "event=key_refused"); /* it tried to come back */
  assert_int_equal(lease(&i), WEIR_EKEY);
  weir_close(i.weir);
}

static void another_server_key_is_noticed(void **state)
{
  struct daemon *d = *state;
  struct daemon_key impostor;
  struct instance i;
  daemon_key_new(&impostor);
  assert_int_equal(open_instance(&i, d, impostor.public, &d->known), WEIR_OK);
  assert_int_equal(lease(&i), WEIR_EKEY);
  weir_close(i.weir);
  assert_true(has_logged(&i, "is server_key its public key?"));
}

static void on_tcp_nothing_begins_without_keys_that_can_be_used(void **state)
{
  struct daemon *d = *state;
  struct daemon_key broken = d->known;
  struct instance i;
  assert_int_equal(open_instance(&i, d, NULL, NULL), WEIR_ECONFIG);
  assert_true(has_logged(&i, "give server_key and key_file"));
  assert_int_equal(open_instance(&i, d, d->server_key, NULL), WEIR_ECONFIG);
  assert_true(has_logged(&i, "give key_file"));
  assert_int_equal(open_instance(&i, d, "abc", &d->known), WEIR_ECONFIG);
  assert_true(has_logged(&i, "server_key is no public key"));
  broken.secret[0] = '"';
  assert_int_equal(open_instance(&i, d, d->server_key, &broken), WEIR_ECONFIG);
  assert_true(has_logged(&i, "holds no secret key"));
  chmod(i.key_file, 0644);
  daemon_key_write(&d->known, i.key_file); /* keeps the mode */
  struct weir_options options = WEIR_INIT(struct weir_options);
  options.coordinator = d->endpoint;
  options.server_key = d->server_key;
  options.key_file = i.key_file;
  options.log = take_line;
  options.log_context = &i;
  assert_int_equal(weir_open(&options, &i.weir), WEIR_ECONFIG);
  assert_true(has_logged(&i, "others may read or change it"));
  chmod(i.key_file, 0600);
  assert_int_equal(weir_open(&options, &i.weir), WEIR_OK);
  weir_close(i.weir);
}

/* ---- below the library ---- */

static void expect_refusal(struct client *c, enum weir_refusal why)
{
  struct weir_msg msg;
  client_receive(c, &msg);
  assert_int_equal(msg.type, WEIR_MSG_REFUSE);
  assert_int_equal(msg.refuse.why, why);
}

static void a_token_and_an_instance_are_worth_nothing_to_another_key(void **state)
{
  struct daemon *d = *state;
  struct daemon_key second;
  struct client owner, thief;
  daemon_key_new(&second);
  daemon_list(d, "known %s\nsecond %s\n", d->known.public, second.public);
  daemon_wait_log(d, "event=peers");
  client_init(&owner, d, 1);
  client_hello(&owner);
  client_init_key(&thief, d, 1, &second);
  thief.session = owner.session;
  thief.mark = owner.mark;
  client_ask(&thief, 1, 0);
  expect_refusal(&thief, WEIR_REFUSAL_SESSION);
  struct weir_msg hello = {.type = WEIR_MSG_HELLO};
  memcpy(hello.hello.instance, owner.instance, sizeof hello.hello.instance);
  hello.hello.incarnation = 99;
  hello.hello.version_min = hello.hello.version_max = WEIR_PROTOCOL_VERSION;
  thief.session = 0;
  client_send(&thief, &hello);
  expect_refusal(&thief, WEIR_REFUSAL_FORBIDDEN);
  client_ping(&owner);
  client_fini(&thief);
  client_fini(&owner);
}

static void rights_change_with_the_list(void **state)
{
  struct daemon *d = *state;
  struct client c;
  struct weir_msg steer = {.type = WEIR_MSG_STEER,
                           .steer = {.pool = "p", .steer = WEIR_STEER_OPEN}},
                  answer;
  client_init(&c, d, 1);
  client_hello(&c);
  client_send(&c, &steer);
  expect_refusal(&c, WEIR_REFUSAL_FORBIDDEN);
  daemon_list(d, "known %s rights=ask,admin\n", d->known.public);
  daemon_wait_log(d, "event=peers");
  client_send(&c, &steer);
  client_receive(&c, &answer); /* the word to every session, and the answer, are alike */
  assert_int_equal(answer.type, WEIR_MSG_STATE);
  assert_int_equal(answer.state.breaker, WEIR_BREAKER_OPEN);
  client_fini(&c);
}

static void a_list_that_is_not_valid_changes_nothing(void **state)
{
  struct daemon *d = *state;
  struct client c;
  client_init(&c, d, 1);
  client_hello(&c);
  daemon_list(d, "known\n");
  daemon_wait_log(d, "peers:1:1: after 'known' no public key follows");
  daemon_wait_log(d, "event=peers_not_reloaded");
  client_ping(&c);
  daemon_signal(d, SIGHUP);
  daemon_wait_log(d, "event=peers_not_reloaded");
  client_ping(&c);
  client_fini(&c);
}

static void a_key_is_revoked_even_by_a_reload_whose_configuration_is_not_valid(void **state)
{
  struct daemon *d = *state;
  struct client c;
  struct weir_msg ping = {.type = WEIR_MSG_PING};
  client_init(&c, d, 1);
  client_hello(&c);
  daemon_configure(d, "nonsense: true\n");
  daemon_list(d, "# nobody\n");
  daemon_signal(d, SIGHUP);
  daemon_wait_log(d, "event=not_reloaded");
  daemon_wait_log(d, "event=peers");
  client_send(&c, &ping);
  expect_refusal(&c, WEIR_REFUSAL_FORBIDDEN);
  client_fini(&c);
}

/* TCP stays open until the restart, so its list has to stay, too. */
static void a_key_is_revoked_also_after_a_reload_that_wants_no_keys_any_more(void **state)
{
  struct daemon *d = *state;
  struct client c;
  struct weir_msg ping = {.type = WEIR_MSG_PING};
  client_init(&c, d, 1);
  client_hello(&c);
  FILE *file = fopen(d->config, "w");
  assert_non_null(file);
  fprintf(file, "listen: ipc://%s/weir.sock\nstate: %s\n" CONFIG, d->folder, d->state);
  assert_int_equal(fclose(file), 0);
  daemon_signal(d, SIGHUP);
  daemon_wait_log(d, "'listen' changes only at a restart");
  daemon_wait_log(d, "event=reloaded");
  daemon_list(d, "# nobody\n");
  daemon_wait_log(d, "keys=0");
  client_send(&c, &ping);
  expect_refusal(&c, WEIR_REFUSAL_FORBIDDEN);
  client_fini(&c);
}

static uint64_t throttled_of(struct client *c)
{
  struct weir_msg show = {.type = WEIR_MSG_SHOW, .show = {.view = WEIR_VIEW_TOTALS}};
  client_send(c, &show);
  client_receive(c, &show);
  assert_int_equal(show.type, WEIR_MSG_ROW);
  return show.row.counters[WEIR_COUNTER_THROTTLED];
}

static void a_peer_that_floods_is_cut_counted_and_harms_nobody(void **state)
{
  struct daemon *d = *state;
  struct daemon_key second;
  struct client healthy, flood;
  daemon_key_new(&second);
  daemon_list(d, "known %s\nflood %s messages=%d\n", d->known.public, second.public, FLOOD_RATE);
  daemon_wait_log(d, "event=peers");
  client_init(&healthy, d, 1);
  client_hello(&healthy);
  client_init_key(&flood, d, 2, &second);
  client_hello(&flood);
  size_t before = daemon_rss(d);
  for (uint32_t i = 0; i < 20000; i++) {
    struct weir_msg ping = {.type = WEIR_MSG_PING};
    client_send(&flood, &ping);
    if (i % 500 == 0)
      client_ping(&healthy);
  }
  daemon_wait_log(d, "event=throttled peer=flood");
  while (throttled_of(&healthy) < 10000)
    client_ping(&healthy); /* until they have arrived; the test's time limit bounds this */
  const size_t after = daemon_rss(d);
  if (!UNDER_TSAN && !UNDER_ASAN && after > before + GROWTH_MAX)
    fail_msg("resident memory grew from %zu to %zu bytes", before, after);
  /* What it said has holes: its session is over, and its next frame that passes is told so. The
   * flood itself may be over before another one could pass. */
  struct weir_msg msg;
  do {
    zmq_pollitem_t in = {.socket = flood.socket, .events = ZMQ_POLLIN};
    while (flood.offset == flood.size && zmq_poll(&in, 1, PASS_MS) == 0)
      client_send(&flood, &(struct weir_msg){.type = WEIR_MSG_PING});
    client_receive(&flood, &msg);
  } while (msg.type == WEIR_MSG_PONG);
  assert_int_equal(msg.type, WEIR_MSG_REFUSE);
  assert_int_equal(msg.refuse.why, WEIR_REFUSAL_SESSION);
  client_fini(&flood);
  client_fini(&healthy);
}

/* Waits for the end of a handshake of |socket|. */
static uint16_t handshake_end(struct client *c, const struct daemon *d)
{
  uint8_t head[6], address[256];
  uint16_t event = 0;
  int zero = 0, timeout = DAEMON_TIMEOUT_MS;
  void *monitor = zmq_socket(c->context, ZMQ_PAIR), *socket = zmq_socket(c->context, ZMQ_DEALER);
  zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
  zmq_setsockopt(monitor, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
  assert_int_equal(
      zmq_socket_monitor(socket, "inproc://m",
                         ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL),
      0);
  assert_int_equal(zmq_connect(monitor, "inproc://m"), 0);
  assert_int_equal(zmq_connect(socket, d->endpoint), 0);
  assert_int_equal(zmq_recv(monitor, head, sizeof head, 0), sizeof head);
  assert_true(zmq_recv(monitor, address, sizeof address, 0) >= 0);
  memcpy(&event, head, sizeof event);
  zmq_socket_monitor(socket, NULL, 0);
  zmq_close(socket);
  zmq_close(monitor);
  return event;
}

static void a_plain_client_is_not_let_in(void **state)
{
  struct daemon *d = *state;
  struct client c;
  client_init(&c, d, 1);
  assert_int_equal(handshake_end(&c, d), ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL);
  client_hello(&c); /* not before: the handshake's end may be longer away than a session lives */
  client_ping(&c);
  client_fini(&c);
}

/* ---- ipc ---- */

static int setup_ipc(void **state)
{
  struct daemon *d = calloc(1, sizeof *d);
  if (d == NULL)
    return -1;
  daemon_init(d);
  *state = d;
  return 0;
}

static void on_ipc_no_key_is_needed_and_none_is_used(void **state)
{
  struct daemon *d = *state;
  struct daemon_key key;
  struct instance i;
  daemon_configure(d, CONFIG);
  daemon_start(d);
  daemon_key_new(&key);
  assert_int_equal(open_instance(&i, d, key.public, &key), WEIR_OK);
  assert_int_equal(lease(&i), WEIR_OK);
  weir_close(i.weir);
}

static void on_ipc_rights_are_those_of_the_configuration(void **state)
{
  struct daemon *d = *state;
  struct client c;
  struct weir_msg steer = {.type = WEIR_MSG_STEER,
                           .steer = {.pool = "p", .steer = WEIR_STEER_OPEN}};
  daemon_configure(d, "plain_rights: [ask, show]\n" CONFIG);
  daemon_start(d);
  client_init(&c, d, 1);
  client_hello(&c);
  client_send(&c, &steer);
  expect_refusal(&c, WEIR_REFUSAL_FORBIDDEN);
  daemon_configure(d, CONFIG);
  daemon_signal(d, SIGHUP);
  daemon_wait_log(d, "event=reloaded");
  client_send(&c, &steer);
  client_receive(&c, &steer);
  assert_int_equal(steer.type, WEIR_MSG_STATE);
  client_fini(&c);
}

static void a_coordinator_without_its_key_does_not_start(void **state)
{
  struct daemon *d = *state;
  daemon_secure(d);
  unlink(d->key_file);
  daemon_configure(d, CONFIG);
  daemon_spawn(d, NULL);
  assert_int_equal(daemon_wait(d), 1);
  assert_non_null(strstr(d->log, "server.key: No such file"));
}

static void a_coordinator_without_a_valid_list_does_not_start(void **state)
{
  struct daemon *d = *state;
  daemon_secure(d);
  daemon_list(d, "x y\n");
  daemon_configure(d, CONFIG);
  daemon_spawn(d, "--check");
  assert_int_equal(daemon_wait(d), 1);
  assert_non_null(strstr(d->log, "peers:1:1: after 'x' no public key follows"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define IPC(name)  cmocka_unit_test_setup_teardown(name, setup_ipc, teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_key_that_is_known_takes_leases),
      TEST(an_unknown_key_is_told_so_and_gets_in_once_it_is_listed),
      TEST(a_key_that_is_revoked_loses_its_session_and_gets_no_other),
      TEST(another_server_key_is_noticed),
      TEST(on_tcp_nothing_begins_without_keys_that_can_be_used),
      TEST(a_token_and_an_instance_are_worth_nothing_to_another_key),
      TEST(rights_change_with_the_list),
      TEST(a_list_that_is_not_valid_changes_nothing),
      TEST(a_key_is_revoked_even_by_a_reload_whose_configuration_is_not_valid),
      TEST(a_key_is_revoked_also_after_a_reload_that_wants_no_keys_any_more),
      TEST(a_peer_that_floods_is_cut_counted_and_harms_nobody),
      TEST(a_plain_client_is_not_let_in),
      IPC(on_ipc_no_key_is_needed_and_none_is_used),
      IPC(on_ipc_rights_are_those_of_the_configuration),
      IPC(a_coordinator_without_its_key_does_not_start),
      IPC(a_coordinator_without_a_valid_list_does_not_start),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
