/* The list of keys, files of keys, and what the shell makes of them: no process, no network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <weir/key.h>
#include <weir/peers.h>
#include <weir/rng.h>

#include "gate.h"
#include "guard.h"
#include "secret.h"
#include "watch.h"

#define KEY_A "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7" /* RFC 26's examples */
#define KEY_B "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"

/* ---- keys ---- */

static void decodes_keys_as_libzmq_does(void **state)
{
  struct weir_rng rng;
  (void)state;
  weir_rng_init(&rng, 1);
  for (int i = 0; i < 1000; i++) {
    uint8_t bytes[WEIR_KEY_BYTES], decoded[WEIR_KEY_BYTES];
    char text[WEIR_KEY_SIZE];
    for (size_t k = 0; k < sizeof bytes; k++)
      bytes[k] = (uint8_t)weir_rng_next(&rng);
    assert_non_null(zmq_z85_encode(text, bytes, sizeof bytes));
    assert_true(weir_key_decode(text, decoded));
    assert_memory_equal(bytes, decoded, sizeof bytes);
  }
}

static void refuses_what_is_no_key(void **state)
{
  static const char *const texts[] = {"",
                                      "abc",
                                      (KEY_A "0"),
                                      "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf ",
                                      "#####################################000",
                                      "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf\"",
                                      "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf\xc3"};
  uint8_t bytes[WEIR_KEY_BYTES];
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    assert_false(weir_key_decode(texts[i], bytes));
}

static enum weir_err parse_file(const char *text, char *ret_secret)
{
  return weir_key_file_parse(text, strlen(text), ret_secret);
}

static void finds_the_secret_key_of_a_file(void **state)
{
  char secret[WEIR_KEY_SIZE];
  (void)state;
  assert_int_equal(parse_file("#   ZeroMQ CURVE **Secret** Certificate\r\n\r\nmetadata\r\n"
                              "    name = \"a = b\"\r\ncurve\r\n    public-key = \"" KEY_A
                              "\"\r\n\tsecret-key=\"" KEY_B "\"",
                              secret),
                   WEIR_OK);
  assert_string_equal(secret, KEY_B);
}

static void refuses_files_without_exactly_one_secret_key(void **state)
{
  static const struct {
    const char *text;
    enum weir_err err;
  } files[] = {
      {"", WEIR_EMISSING},
      {"curve\n    public-key = \"" KEY_A "\"\n", WEIR_EMISSING},
      {"metadata\n    secret-key = \"" KEY_A "\"\n", WEIR_EMISSING},
      {"secret-key = \"" KEY_A "\"\n", WEIR_EMISSING},
      {"curve\n    secret-key = " KEY_A "\n", WEIR_ESYNTAX},
      {"curve\n    secret-key = \"" KEY_A "0\"\n", WEIR_ESYNTAX},
      {"curve\n    secret-key = \"\"\n", WEIR_ESYNTAX},
      {"curve\n    secret-key\n", WEIR_ESYNTAX},
      {"curve\n    secret-key = \"" KEY_A "\"\n    secret-key = \"" KEY_B "\"\n", WEIR_ESYNTAX},
  };
  char secret[WEIR_KEY_SIZE] = "as it was";
  (void)state;
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
    assert_int_equal(parse_file(files[i].text, secret), files[i].err);
  assert_string_equal(secret, "as it was");
}

/* ---- the list ---- */

static struct weir_conf_issues issues;

static struct weir_peers *parse(const char *text)
{
  struct weir_peers *peers = NULL;
  if (weir_peers_parse(text, strlen(text), &peers, &issues) != WEIR_OK) {
    char line[WEIR_CONF_LINE_SIZE];
    weir_conf_issue_format(&issues.items[0], "f", line, sizeof line);
    fail_msg("%s", line);
  }
  return peers;
}

static void reads_names_keys_and_what_is_said_of_them(void **state)
{
  (void)state;
  struct weir_peers *peers = parse("# those of the shop\n\n"
                                   "  a " KEY_A " tenant=shop rights=ask messages=2k bytes=1M "
                                   "sessions=3\r\n"
                                   "b\t" KEY_B);
  assert_int_equal(peers->count, 2);
  const struct weir_peer *a = weir_peers_find(peers, KEY_A), *b = weir_peers_find(peers, KEY_B);
  assert_string_equal(a->name, "a");
  assert_string_equal(a->is.tenant, "shop");
  assert_int_equal(a->is.rights, WEIR_RIGHT_ASK);
  assert_int_equal(a->messages, 2000);
  assert_int_equal(a->bytes, 1000000);
  assert_int_equal(a->is.sessions_max, 3);
  assert_string_equal(b->name, "b");
  assert_int_equal(b->is.rights, WEIR_RIGHTS_DEFAULT);
  assert_string_equal(b->is.tenant, "");
  assert_true(a->is.id != 0 && b->is.id != 0 && a->is.id != b->is.id);
  assert_null(weir_peers_find(peers, "plain"));
  weir_peers_free(peers);
}

static void an_empty_list_lets_nobody_in(void **state)
{
  (void)state;
  struct weir_peers *peers = parse("");
  assert_int_equal(peers->count, 0);
  assert_null(weir_peers_find(peers, KEY_A));
  assert_null(weir_peers_find(NULL, KEY_A));
  weir_peers_free(peers);
}

static void says_in_which_line_what_is_wrong(void **state)
{
  static const struct {
    const char *text, *issue;
  } lists[] = {
      {"a\n", "f:1:1: after 'a' no public key follows; copy the line that 'weir keys new' prints"},
      {"\n  a " KEY_A "0\n",
       "f:2:3: after 'a' no public key follows; copy the line that 'weir keys new' prints"},
      {"a " KEY_A " tenant=\n", "f:1:1: 'tenant' is unknown, stands twice, or has no valid value; "
                                "write tenant=NAME, rights=ask,show,admin, messages=N, bytes=N or "
                                "sessions=N"},
      {"a " KEY_A " rights=ask rights=show\n",
       "f:1:1: 'rights' is unknown, stands twice, or has no valid value; write tenant=NAME, "
       "rights=ask,show,admin, messages=N, bytes=N or sessions=N"},
      {"a " KEY_A " rights=root\n",
       "f:1:1: 'rights' is unknown, stands twice, or has no valid value; write tenant=NAME, "
       "rights=ask,show,admin, messages=N, bytes=N or sessions=N"},
      {"a " KEY_A "\nb " KEY_A "\n",
       "f: 'a' and 'b' have the same key; remove one, or make a new key"},
      {"a " KEY_A "\na " KEY_B "\n", "f: the name 'a' stands twice; rename or remove one"},
  };
  char line[WEIR_CONF_LINE_SIZE];
  (void)state;
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    struct weir_peers *peers = NULL;
    assert_int_equal(weir_peers_parse(lists[i].text, strlen(lists[i].text), &peers, &issues),
                     WEIR_ECONFIG);
    weir_conf_issue_format(&issues.items[0], "f", line, sizeof line);
    if (strcmp(line, lists[i].issue) != 0 && i != 5) /* equal keys sort either way */
      assert_string_equal(line, lists[i].issue);
  }
}

static void what_it_writes_it_reads_back(void **state)
{
  static const char *const lines[] = {"a " KEY_A " rights=ask,show",
                                      "a " KEY_A " tenant=shop rights= messages=1",
                                      "a " KEY_A " rights=ask,show,admin bytes=16384 sessions=9"};
  (void)state;
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    struct weir_peer peer;
    char line[WEIR_PEER_LINE_SIZE], why[WEIR_CONF_ISSUE_SIZE];
    assert_true(weir_peer_parse(lines[i], &peer, why, sizeof why));
    weir_peer_format(&peer, line);
    assert_string_equal(line, lines[i]);
  }
}

static void the_longest_line_that_it_writes_it_reads_back(void **state)
{
  struct weir_peer peer = {.key = KEY_A,
                           .is = {.rights = WEIR_RIGHTS_ALL, .sessions_max = UINT32_MAX},
                           .messages = WEIR_THROTTLE_RATE_MAX,
                           .bytes = WEIR_THROTTLE_RATE_MAX};
  struct weir_peer again;
  char line[WEIR_PEER_LINE_SIZE], why[WEIR_CONF_ISSUE_SIZE];
  (void)state;
  memset(peer.name, 'n', sizeof peer.name - 1);
  memset(peer.is.tenant, 't', sizeof peer.is.tenant - 1);
  weir_peer_format(&peer, line);
  assert_true(weir_peer_parse(line, &again, why, sizeof why));
  assert_int_equal(again.is.sessions_max, UINT32_MAX);
  assert_string_equal(again.is.tenant, peer.is.tenant);
}

/* ---- whose frame it is ---- */

static int setup_guard(void **state)
{
  static struct weir_guard guard;
  if (weir_guard_init(&guard, 4) != WEIR_OK)
    return -1;
  guard.limits = (struct weir_throttle_limits){10, 1000000, WEIR_US_PER_S};
  guard.sessions_max = 5;
  guard.plain_rights = WEIR_RIGHT_ASK;
  *state = &guard;
  return 0;
}

static int teardown_guard(void **state)
{
  weir_guard_fini(*state);
  return 0;
}

/* How many of |count| frames on |route| pass; the last one's peer in |ret_peer|. */
static uint32_t admit(struct weir_guard *guard, const struct weir_peers *peers, uint64_t route,
                      const char *user, uint32_t count, struct weir_coord_peer *ret_peer)
{
  uint32_t passed = 0;
  for (uint32_t i = 0; i < count; i++)
    passed +=
        weir_guard_admit(guard, peers, route, user, 10, WEIR_US_PER_S, ret_peer) == WEIR_GUARD_PASS;
  return passed;
}

static void without_a_word_whose_it_is_nothing_passes(void **state)
{
  struct weir_coord_peer peer;
  assert_int_equal(weir_guard_admit(*state, NULL, 1, NULL, 10, 1, &peer), WEIR_GUARD_NOBODY);
}

static void peers_without_a_key_have_the_rights_that_are_configured(void **state)
{
  struct weir_coord_peer peer = {0};
  assert_int_equal(admit(*state, NULL, 1, WEIR_GATE_PLAIN, 1, &peer), 1);
  assert_int_equal(peer.id, 0);
  assert_int_equal(peer.rights, WEIR_RIGHT_ASK);
  assert_false(peer.is_torn);
}

static void a_key_that_is_not_listed_passes_without_rights(void **state)
{
  struct weir_peers *peers = parse("b " KEY_B "\n");
  struct weir_coord_peer peer = {0};
  assert_int_equal(admit(*state, peers, 1, KEY_A, 1, &peer), 1);
  assert_int_equal(peer.rights, 0);
  assert_true(peer.id != 0);
  assert_int_equal(admit(*state, peers, 2, KEY_B, 1, &peer), 1);
  assert_int_equal(peer.rights, WEIR_RIGHTS_DEFAULT);
  assert_int_equal(peer.sessions_max, 5);
  weir_peers_free(peers);
}

static void connections_without_a_key_have_a_throttle_each(void **state)
{
  struct weir_coord_peer peer;
  assert_int_equal(admit(*state, NULL, 1, WEIR_GATE_PLAIN, 100, &peer), 10);
  assert_int_equal(admit(*state, NULL, 2, WEIR_GATE_PLAIN, 100, &peer), 10);
}

static void connections_of_one_key_share_a_throttle(void **state)
{
  struct weir_peers *peers = parse("a " KEY_A "\nb " KEY_B " messages=3\n");
  struct weir_coord_peer peer;
  assert_int_equal(admit(*state, peers, 1, KEY_A, 6, &peer), 6);
  assert_int_equal(admit(*state, peers, 2, KEY_A, 100, &peer), 4);
  assert_int_equal(admit(*state, peers, 3, KEY_B, 100, &peer), 3);
  weir_peers_free(peers);
}

static void what_follows_a_dropped_frame_is_torn_on_its_connection_only(void **state)
{
  struct weir_guard *guard = *state;
  struct weir_coord_peer peer;
  admit(guard, NULL, 1, WEIR_GATE_PLAIN, 11, &peer);
  assert_int_equal(admit(guard, NULL, 2, WEIR_GATE_PLAIN, 1, &peer), 1);
  assert_false(peer.is_torn);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(
        weir_guard_admit(guard, NULL, 1, WEIR_GATE_PLAIN, 10, 2 * WEIR_US_PER_S, &peer),
        WEIR_GUARD_PASS);
    assert_int_equal(peer.is_torn, i == 0);
  }
}

static void the_connection_that_was_silent_longest_makes_room(void **state)
{
  struct weir_coord_peer peer;
  for (uint64_t route = 1; route <= 4; route++)
    admit(*state, NULL, route, WEIR_GATE_PLAIN, 10, &peer);
  admit(*state, NULL, 1, WEIR_GATE_PLAIN, 1, &peer); /* heard of again, though dropped */
  assert_int_equal(admit(*state, NULL, 5, WEIR_GATE_PLAIN, 1, &peer), 1); /* in place of 2 */
  assert_int_equal(admit(*state, NULL, 1, WEIR_GATE_PLAIN, 1, &peer), 0);
  assert_int_equal(admit(*state, NULL, 3, WEIR_GATE_PLAIN, 1, &peer), 0);
  assert_int_equal(admit(*state, NULL, 2, WEIR_GATE_PLAIN, 1, &peer), 1);
}

/* ---- the gate ---- */

static void a_new_list_keeps_what_the_throttles_know(void **state)
{
  struct weir_guard *guard = *state;
  struct weir_gate gate;
  struct weir_coord_peer peer;
  char error[WEIR_GATE_ERROR_SIZE];
  void *context = zmq_ctx_new();
  assert_int_equal(weir_gate_start(&gate, context, parse("a " KEY_A "\n"), error), WEIR_OK);
  assert_int_equal(admit(guard, gate.peers, 1, KEY_A, 100, &peer), 10);
  weir_gate_replace(&gate, parse("b " KEY_B "\na " KEY_A "\n"));
  assert_int_equal(admit(guard, gate.peers, 1, KEY_A, 100, &peer), 0);
  assert_int_equal(admit(guard, gate.peers, 2, KEY_B, 100, &peer), 10);
  weir_gate_stop(&gate);
  zmq_ctx_term(context);
}

static void *bind_curve(void *context, const char *secret, char *ret_endpoint, size_t size)
{
  int one = 1, zero = 0;
  void *socket = zmq_socket(context, ZMQ_ROUTER);
  zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
  zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, WEIR_GATE_DOMAIN, strlen(WEIR_GATE_DOMAIN));
  zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &one, sizeof one);
  zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, WEIR_KEY_SIZE);
  assert_int_equal(zmq_bind(socket, "tcp://127.0.0.1:*"), 0);
  assert_int_equal(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, ret_endpoint, &size), 0);
  return socket;
}

static void a_key_that_nobody_knows_is_refused(void **state)
{
  (void)state;
  char public[WEIR_KEY_SIZE], secret[WEIR_KEY_SIZE], endpoint[64], error[WEIR_GATE_ERROR_SIZE];
  struct weir_gate gate;
  struct weir_gate_refusals refusals;
  void *context = zmq_ctx_new();
  assert_int_equal(zmq_curve_keypair(public, secret), 0);
  assert_int_equal(weir_gate_start(&gate, context, parse("a " KEY_A "\n"), error), WEIR_OK);
  void *socket = bind_curve(context, secret, endpoint, sizeof endpoint);
  assert_int_equal(weir_gate_test(&gate, endpoint, public, error), WEIR_OK);
  weir_gate_refusals(&gate, &refusals);
  assert_int_equal(refusals.count, 0); /* its own does not count */
  zmq_close(socket);
  weir_gate_stop(&gate);
  zmq_ctx_term(context);
}

/* A socket that insists on nothing, and no handler: what the test at the start is for. */
static void notices_a_socket_that_lets_everybody_in(void **state)
{
  (void)state;
  char public[WEIR_KEY_SIZE], secret[WEIR_KEY_SIZE], endpoint[64], error[WEIR_GATE_ERROR_SIZE];
  void *context = zmq_ctx_new();
  struct weir_gate gate = {.context = context, .event_fd = -1};
  pthread_mutex_init(&gate.lock, NULL);
  assert_int_equal(zmq_curve_keypair(public, secret), 0);
  void *open = bind_curve(context, secret, endpoint, sizeof endpoint);
  assert_int_equal(weir_gate_test(&gate, endpoint, public, error), WEIR_ESYSTEM);
  assert_non_null(strstr(error, "got in"));
  zmq_close(open);
  zmq_ctx_term(context);
  pthread_mutex_destroy(&gate.lock);
}

/* ---- files ---- */

static void refuses_a_secret_that_others_may_read(void **state)
{
  (void)state;
  char folder[] = "/tmp/weir-test-XXXXXX", path[64], error[WEIR_SECRET_ERROR_SIZE];
  char public[WEIR_KEY_SIZE], key[WEIR_KEY_SIZE];
  struct weir_secret secret;
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/k", folder);
  assert_int_equal(zmq_curve_keypair(public, key), 0);
  assert_int_equal(weir_secret_load(path, &secret, error), WEIR_ECONFIG);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fprintf(file, "curve\n    secret-key = \"%s\"\n", key);
  fclose(file);
  chmod(path, 0604);
  assert_int_equal(weir_secret_load(path, &secret, error), WEIR_ECONFIG);
  assert_non_null(strstr(error, "others may read"));
  assert_null(strstr(error, key));
  chmod(path, 0640);
  assert_int_equal(weir_secret_load(path, &secret, error), WEIR_OK);
  assert_string_equal(secret.public, public);
  weir_secret_wipe(&secret);
  for (size_t i = 0; i < sizeof secret; i++)
    assert_int_equal(((const char *)&secret)[i], 0);
  unlink(path);
  rmdir(folder);
}

static void write_text(const char *path, const char *text)
{
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
}

static void tells_when_a_file_is_changed_replaced_or_gone(void **state)
{
  (void)state;
  char folder[] = "/tmp/weir-test-XXXXXX", path[64], other[64];
  struct weir_watch watch;
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/a", folder);
  snprintf(other, sizeof other, "%s/b", folder);
  write_text(path, "1");
  weir_watch_open(&watch, path);
  assert_true(watch.fd >= 0);
  assert_false(weir_watch_changed(&watch));
  write_text(path, "12");
  assert_true(weir_watch_changed(&watch));
  assert_false(weir_watch_changed(&watch));
  write_text(other, "12");
  assert_false(weir_watch_changed(&watch));
  assert_int_equal(rename(other, path), 0);
  assert_true(weir_watch_changed(&watch));
  unlink(path);
  assert_true(weir_watch_changed(&watch));
  weir_watch_close(&watch);
  rmdir(folder);
}

/* What stands in the file; the sentence about it must not tell. */
static enum weir_err line_of(const char *bytes, size_t size, char *ret_line, size_t line_size)
{
  char path[] = "/tmp/weir-test-XXXXXX", error[WEIR_SECRET_ERROR_SIZE] = "";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, bytes, size), (ssize_t)size);
  close(fd);
  enum weir_err err = weir_secret_line(path, ret_line, line_size, error);
  unlink(path);
  if (err != WEIR_OK) {
    assert_int_equal(strncmp(error, path, strlen(path)), 0);
    assert_string_equal(ret_line, "");
  }
  assert_null(strstr(error, "secret1"));
  return err;
}

static void takes_the_first_line_of_a_file_whole_or_not_at_all(void **state)
{
  (void)state;
  char line[8];
  assert_int_equal(line_of("secret1", 7, line, sizeof line), WEIR_OK);
  assert_string_equal(line, "secret1");
  assert_int_equal(line_of("secret1\r\nmore\n", 14, line, sizeof line), WEIR_OK);
  assert_string_equal(line, "secret1");
  assert_int_equal(line_of("a\nb", 3, line, sizeof line), WEIR_OK);
  assert_memory_equal(line, "a\0\0\0\0\0\0\0", 8);
  assert_int_equal(line_of("secret12", 8, line, sizeof line), WEIR_ECONFIG);
  assert_int_equal(line_of("secret12\n", 9, line, sizeof line), WEIR_ECONFIG);
  assert_int_equal(line_of("sec\0et\n", 7, line, sizeof line), WEIR_ECONFIG);
  assert_int_equal(line_of("\nsecret1", 8, line, sizeof line), WEIR_ECONFIG);
  assert_int_equal(line_of("", 0, line, sizeof line), WEIR_ECONFIG);
}

/* Nobody writes to the pipe: whoever waits for that waits for ever. */
static void takes_no_secret_from_what_is_no_regular_file(void **state)
{
  (void)state;
  char folder[] = "/tmp/weir-test-XXXXXX", path[64], error[WEIR_SECRET_ERROR_SIZE], line[8];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/k", folder);
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_int_equal(weir_secret_line(path, line, sizeof line, error), WEIR_ECONFIG);
  assert_non_null(strstr(error, "no regular file"));
  unlink(path);
  assert_int_equal(weir_secret_line(path, line, sizeof line, error), WEIR_ECONFIG);
  assert_non_null(strstr(error, "No such file"));
  rmdir(folder);
}

int main(void)
{
#define GUARD(name) cmocka_unit_test_setup_teardown(name, setup_guard, teardown_guard)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decodes_keys_as_libzmq_does),
      cmocka_unit_test(refuses_what_is_no_key),
      cmocka_unit_test(finds_the_secret_key_of_a_file),
      cmocka_unit_test(refuses_files_without_exactly_one_secret_key),
      cmocka_unit_test(reads_names_keys_and_what_is_said_of_them),
      cmocka_unit_test(an_empty_list_lets_nobody_in),
      cmocka_unit_test(says_in_which_line_what_is_wrong),
      cmocka_unit_test(what_it_writes_it_reads_back),
      cmocka_unit_test(the_longest_line_that_it_writes_it_reads_back),
      GUARD(without_a_word_whose_it_is_nothing_passes),
      GUARD(peers_without_a_key_have_the_rights_that_are_configured),
      GUARD(a_key_that_is_not_listed_passes_without_rights),
      GUARD(connections_without_a_key_have_a_throttle_each),
      GUARD(connections_of_one_key_share_a_throttle),
      GUARD(what_follows_a_dropped_frame_is_torn_on_its_connection_only),
      GUARD(the_connection_that_was_silent_longest_makes_room),
      GUARD(a_new_list_keeps_what_the_throttles_know),
      cmocka_unit_test(a_key_that_nobody_knows_is_refused),
      cmocka_unit_test(notices_a_socket_that_lets_everybody_in),
      cmocka_unit_test(refuses_a_secret_that_others_may_read),
      cmocka_unit_test(takes_the_first_line_of_a_file_whole_or_not_at_all),
      cmocka_unit_test(takes_no_secret_from_what_is_no_regular_file),
      cmocka_unit_test(tells_when_a_file_is_changed_replaced_or_gone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
