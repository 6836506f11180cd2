#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

void daemon_init(struct daemon *d)
{
  *d = (struct daemon){.pid = -1, .out_fd = -1};
  snprintf(d->folder, sizeof d->folder, "/tmp/weir-test-XXXXXX");
  assert_non_null(mkdtemp(d->folder));
  snprintf(d->config, sizeof d->config, "%s/weir.yaml", d->folder);
  snprintf(d->state, sizeof d->state, "%s/weir.state", d->folder);
  snprintf(d->endpoint, sizeof d->endpoint, "ipc://%s/weir.sock", d->folder);
}

void daemon_fini(struct daemon *d)
{
  static const char *const names[] = {
      "weir.yaml",       "weir.state",       "weir.state.new",  "weir.state.lock", "weir.sock",
      "other.state",     "other.state.lock", "other.state.new", "peers",           "peers.new",
      "peers.lock",      "server.key",       "client.key",      "prices.json",     "keys",
      "proxy.yaml",      "weir.db",          "weir.db-wal",     "weir.db.new",     "weir.db.lock",
      "weir.db.damaged", "copy.db",          "copy.db.lock"};
  if (d->pid > 0) {
    kill(d->pid, SIGKILL);
    waitpid(d->pid, NULL, 0);
  }
  if (d->out_fd >= 0)
    close(d->out_fd);
  char path[160];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    snprintf(path, sizeof path, "%s/%s", d->folder, names[i]);
    remove(path);
  }
  rmdir(d->folder);
}

void daemon_key_new(struct daemon_key *ret_key)
{
  assert_int_equal(zmq_curve_keypair(ret_key->public, ret_key->secret), 0);
}

void daemon_key_write(const struct daemon_key *key, const char *path)
{
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  dprintf(fd, "curve\n    public-key = \"%s\"\n    secret-key = \"%s\"\n", key->public,
          key->secret);
  assert_int_equal(close(fd), 0);
}

void daemon_list(const struct daemon *d, const char *format, ...)
{
  char path[128];
  snprintf(path, sizeof path, "%s.new", d->peers);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  va_list args;
  va_start(args, format);
  vfprintf(file, format, args);
  va_end(args);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(rename(path, d->peers), 0);
}

void daemon_secure(struct daemon *d)
{
  struct daemon_key server;
  snprintf(d->endpoint, sizeof d->endpoint, "tcp://127.0.0.1:*");
  snprintf(d->key_file, sizeof d->key_file, "%s/server.key", d->folder);
  snprintf(d->peers, sizeof d->peers, "%s/peers", d->folder);
  daemon_key_new(&server);
  daemon_key_write(&server, d->key_file);
  memcpy(d->server_key, server.public, sizeof d->server_key);
  daemon_key_new(&d->known);
  daemon_list(d, "known %s\n", d->known.public);
}

void daemon_store(struct daemon *d)
{
  snprintf(d->store, sizeof d->store, "%s/weir.db", d->folder);
}

void daemon_configure(struct daemon *d, const char *format, ...)
{
  FILE *file = fopen(d->config, "w");
  assert_non_null(file);
  fprintf(file, "listen: %s\n%s%s\n", d->endpoint,
          d->store[0] != '\0' ? "store: sqlite:" : "state: ",
          d->store[0] != '\0' ? d->store : d->state);
  if (d->server_key[0] != '\0')
    fprintf(file, "key: %s\npeers: %s\n", d->key_file, d->peers);
  va_list args;
  va_start(args, format);
  vfprintf(file, format, args);
  va_end(args);
  assert_int_equal(fclose(file), 0);
}

void daemon_spawn(struct daemon *d, const char *extra)
{
  const char *program = getenv("WEIR_COORDINATOR_BIN");
  if (program == NULL) {
    fail_msg("WEIR_COORDINATOR_BIN names no program");
    return;
  }
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  if (d->out_fd >= 0)
    close(d->out_fd);
  d->out_fd = ends[0];
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  d->log_size = d->log_read = 0;
  d->pid = fork();
  assert_true(d->pid >= 0);
  if (d->pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed leaves nothing behind */
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    execl(program, program, "--config", d->config, extra, (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
}

/* Reads once; false at the end of the output. */
static bool read_log(struct daemon *d)
{
  struct pollfd in = {.fd = d->out_fd, .events = POLLIN};
  if (poll(&in, 1, DAEMON_TIMEOUT_MS) != 1)
    fail_msg("nothing more was logged; so far:\n%s", d->log);
  assert_true(d->log_size < sizeof d->log - 1);
  ssize_t size = read(d->out_fd, d->log + d->log_size, sizeof d->log - 1 - d->log_size);
  if (size <= 0)
    return false;
  d->log_size += (size_t)size;
  d->log[d->log_size] = '\0';
  return true;
}

void daemon_wait_log(struct daemon *d, const char *text)
{
  for (;;) {
    d->log[d->log_size] = '\0';
    char *found = strstr(d->log + d->log_read, text);
    if (found != NULL && strchr(found, '\n') != NULL) {
      d->log_read = (size_t)(strchr(found, '\n') - d->log) + 1;
      return;
    }
    if (!read_log(d))
      fail_msg("the program ended without logging \"%s\":\n%s", text, d->log);
  }
}

void daemon_start(struct daemon *d)
{
  daemon_spawn(d, NULL);
  daemon_wait_log(d, "event=ready");
  const char *bound = strstr(d->log, "listen=tcp://");
  if (bound != NULL)
    snprintf(d->endpoint, sizeof d->endpoint, "%.*s", (int)strcspn(bound + 7, "\n"), bound + 7);
}

void daemon_signal(const struct daemon *d, int number)
{
  assert_int_equal(kill(d->pid, number), 0);
}

int daemon_wait(struct daemon *d)
{
  while (read_log(d))
    ;
  int status = 0;
  assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
  d->pid = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

size_t daemon_rss(const struct daemon *d)
{
  char path[64];
  unsigned long total = 0, resident = 0;
  snprintf(path, sizeof path, "/proc/%d/statm", (int)d->pid);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  assert_int_equal(fscanf(file, "%lu %lu", &total, &resident), 2);
  fclose(file);
  return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- clients ---- */

void client_set_key(void *socket, const struct daemon *d, const struct daemon_key *key)
{
  if (key == NULL || d->server_key[0] == '\0')
    return;
  zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, d->server_key, WEIR_KEY_SIZE);
  zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, key->public, WEIR_KEY_SIZE);
  assert_int_equal(zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, key->secret, WEIR_KEY_SIZE), 0);
}

void client_init(struct client *c, const struct daemon *d, uint8_t number)
{
  client_init_key(c, d, number, &d->known);
}

void client_init_key(struct client *c, const struct daemon *d, uint8_t number,
                     const struct daemon_key *key)
{
  *c = (struct client){.instance = {number}};
  int zero = 0, timeout = DAEMON_TIMEOUT_MS;
  c->context = zmq_ctx_new();
  c->socket = zmq_socket(c->context, ZMQ_DEALER);
  assert_non_null(c->socket);
  zmq_setsockopt(c->socket, ZMQ_LINGER, &zero, sizeof zero);
  zmq_setsockopt(c->socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
  zmq_setsockopt(c->socket, ZMQ_SNDTIMEO, &timeout, sizeof timeout);
  client_set_key(c->socket, d, key);
  assert_int_equal(zmq_connect(c->socket, d->endpoint), 0);
}

void client_fini(struct client *c)
{
  zmq_close(c->socket);
  zmq_ctx_term(c->context);
}

void client_send_bytes(struct client *c, const void *bytes, size_t size, bool is_more)
{
  int sent = zmq_send(c->socket, bytes, size, is_more ? ZMQ_SNDMORE : 0);
  if (sent < 0)
    fail_msg("a frame could not be sent: %s", zmq_strerror(zmq_errno()));
}

void client_send(struct client *c, struct weir_msg *msg)
{
  uint8_t bytes[WEIR_MSG_SIZE_MAX];
  size_t size = 0;
  msg->session = c->session;
  msg->mark = ++c->mark;
  assert_int_equal(weir_codec_encode(msg, bytes, sizeof bytes, &size), WEIR_OK);
  client_send_bytes(c, bytes, size, false);
}

void client_receive(struct client *c, struct weir_msg *ret_msg)
{
  if (c->offset == c->size) {
    int size = zmq_recv(c->socket, c->frame, sizeof c->frame, 0);
    if (size < 0)
      fail_msg("no answer came: %s", zmq_strerror(zmq_errno()));
    c->size = (size_t)size;
    c->offset = 0;
  }
  assert_int_equal(weir_codec_decode(c->frame, c->size, &c->offset, ret_msg), WEIR_OK);
}

void client_hello(struct client *c)
{
  struct weir_msg msg = {.type = WEIR_MSG_HELLO};
  memcpy(msg.hello.instance, c->instance, sizeof msg.hello.instance);
  msg.hello.incarnation = 1;
  msg.hello.version_min = WEIR_PROTOCOL_VERSION_MIN;
  msg.hello.version_max = WEIR_PROTOCOL_VERSION;
  snprintf(msg.hello.name, sizeof msg.hello.name, "test:%u", (unsigned)c->instance[0]);
  c->session = 0;
  client_send(c, &msg);
  client_receive(c, &msg);
  assert_int_equal(msg.type, WEIR_MSG_WELCOME);
  c->session = msg.session;
  c->epoch = msg.welcome.epoch;
}

void client_ask(struct client *c, uint64_t seq, uint64_t deadline_us)
{
  struct weir_msg msg = {.type = WEIR_MSG_ASK};
  msg.ask.seq = seq;
  snprintf(msg.ask.model, sizeof msg.ask.model, "p");
  msg.ask.class = WEIR_CLASS_ONLINE;
  msg.ask.requests = 1;
  msg.ask.input_tokens = 10;
  msg.ask.output_tokens = 10;
  msg.ask.deadline_us = deadline_us;
  client_send(c, &msg);
}

void client_ping(struct client *c)
{
  struct weir_msg msg = {.type = WEIR_MSG_PING};
  client_send(c, &msg);
  client_receive(c, &msg);
  assert_int_equal(msg.type, WEIR_MSG_PONG);
  assert_int_equal(msg.mark, c->mark);
}
