/* trip.c - the round trip of a lease: one frame with the SETTLE of the lease before and the next
 * ASK, one frame with its GRANT. The same client measures weir-coordinator and a bare libzmq echo,
 * each in a process of its own, in turns, so that both see the same machine. */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/codec.h>
#include <zmq.h>

#include "../demo/child.h"
#include "samples.h"

#define RUNS        7
#define RUNS_Q      3
#define RUN_NS      UINT64_C(1000000000)
#define RUN_Q_NS    UINT64_C(200000000)
#define WARM_UP_NS  UINT64_C(50000000)
#define CLIENTS_MAX 100
#define SAMPLES_MAX 4000000
#define ANSWER_MS   5000
#define READY_MS    10000

struct server {
  const char *name;
  struct demo_child child;
  char endpoint[128];
  bool is_coordinator, is_ready;
};

struct client {
  void *socket;
  uint64_t session, seq, sent_ns;
};

struct figures {
  double trips_s, p50_us, p99_us;
  double cpu_us; /* of the server, all its threads, for each round trip */
};

struct trip {
  struct bench *bench;
  void *context;
  char folder[32];
  struct server echo, coordinator;
  struct client clients[CLIENTS_MAX];
  uint32_t *samples; /* nanoseconds of each round trip of a run */
  size_t samples_count, out_size, in_size;
};

static bool fail(const char *what)
{
  fprintf(stderr, "weir-bench: %s: %s\n", what, zmq_strerror(errno));
  return false;
}

/* ---- servers ---- */

int bench_echo(const char *endpoint)
{
  void *context = zmq_ctx_new(), *socket = context ? zmq_socket(context, ZMQ_ROUTER) : NULL;
  const struct weir_msg grant = bench_sample_grant(1000000);
  uint8_t bytes[WEIR_MSG_SIZE_MAX];
  size_t size = 0;

  if (!socket || weir_codec_encode(&grant, bytes, sizeof(bytes), &size) != WEIR_OK ||
      zmq_bind(socket, endpoint) != 0)
    return 1;
  puts("event=ready");
  fflush(stdout);
  for (;;) {
    zmq_msg_t route, body;

    zmq_msg_init(&route);
    zmq_msg_init(&body);
    if (zmq_msg_recv(&route, socket, 0) < 0 || zmq_msg_recv(&body, socket, 0) < 0)
      return 1;
    zmq_msg_close(&body);
    if (zmq_msg_send(&route, socket, ZMQ_SNDMORE) < 0 || zmq_send(socket, bytes, size, 0) < 0)
      return 1;
  }
}

static void on_line(void *context, const char *line, size_t size)
{
  struct server *server = context;

  (void)size;
  if (strstr(line, "event=ready"))
    server->is_ready = true;
  else if (!strstr(line, "level=info"))
    fprintf(stderr, "%s: %s\n", server->name, line);
}

static bool server_start(struct server *server, const char *const *arguments)
{
  const uint64_t give_up_ns = bench_now_ns() + READY_MS * UINT64_C(1000000);

  if (!demo_child_start(&server->child, arguments, true))
    return fail(arguments[0]);
  while (!server->is_ready && server->child.fd >= 0 && bench_now_ns() < give_up_ns) {
    struct pollfd output = {server->child.fd, POLLIN, 0};

    if (poll(&output, 1, READY_MS) > 0)
      demo_child_read(&server->child, on_line, server);
  }
  if (!server->is_ready)
    fprintf(stderr, "weir-bench: %s did not start\n", server->name);
  return server->is_ready;
}

static bool config_write(const struct trip *t, const char *path)
{
  FILE *file = fopen(path, "w");

  if (!file)
    return fail(path);
  fprintf(file,
          "listen: %s\nstate: %s/weir.state\nproviders:\n  gemini: {kind: gemini}\npools:\n"
          "  - name: " BENCH_POOL "\n    provider: gemini\n    models: [gemini-2.5-flash]\n"
          "    limits: {rpm: 100_000M, tpm: 100_000_000M, rpd: 100_000_000M}\n",
          t->coordinator.endpoint, t->folder);
  return fclose(file) == 0 || fail(path);
}

static bool servers_start(struct trip *t)
{
  char self[1100], daemon[1100], config[64];
  const char *echo[] = {self, "--echo", t->echo.endpoint, NULL};
  const char *coordinator[] = {daemon, "--config", config, NULL};

  t->echo.name = "bare libzmq echo";
  t->coordinator.name = "weir-coordinator";
  t->coordinator.is_coordinator = true;
  snprintf(self, sizeof(self), "%s/weir-bench", t->bench->programs);
  snprintf(daemon, sizeof(daemon), "%s/weir-coordinator", t->bench->programs);
  snprintf(config, sizeof(config), "%s/weir.yaml", t->folder);
  snprintf(t->echo.endpoint, sizeof(t->echo.endpoint), "ipc://%s/echo.sock", t->folder);
  snprintf(t->coordinator.endpoint, sizeof(t->coordinator.endpoint), "ipc://%s/weir.sock",
           t->folder);
  return config_write(t, config) && server_start(&t->echo, echo) &&
         server_start(&t->coordinator, coordinator);
}

static void servers_end(struct trip *t)
{
  static const char *const files[] = {"echo.sock",  "weir.sock",       "weir.yaml",
                                      "weir.state", "weir.state.lock", "weir.state.tmp"};
  char path[64];

  demo_child_end(&t->echo.child, SIGKILL);
  demo_child_end(&t->coordinator.child, SIGTERM);
  for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
    snprintf(path, sizeof(path), "%s/%s", t->folder, files[i]);
    unlink(path);
  }
  rmdir(t->folder);
}

/* ---- clients ---- */

static bool client_open(struct trip *t, const struct server *server, struct client *c)
{
  int none = 0, patience = ANSWER_MS;

  c->socket = zmq_socket(t->context, ZMQ_DEALER);
  if (!c->socket || zmq_setsockopt(c->socket, ZMQ_LINGER, &none, sizeof(none)) != 0 ||
      zmq_setsockopt(c->socket, ZMQ_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
      zmq_connect(c->socket, server->endpoint) != 0)
    return fail(server->endpoint);
  return true;
}

/* Takes one frame; false when it is not one message of |type|. */
static bool receive(struct client *c, int flags, enum weir_msg_type type, struct weir_msg *ret_msg,
                    size_t *ret_size)
{
  uint8_t bytes[WEIR_FRAME_SIZE_MAX];
  int size = zmq_recv(c->socket, bytes, sizeof(bytes), flags);
  size_t offset = 0;

  if (size < 0)
    return false;
  *ret_size = (size_t)size;
  if ((size_t)size <= sizeof(bytes) &&
      weir_codec_decode(bytes, (size_t)size, &offset, ret_msg) == WEIR_OK && ret_msg->type == type)
    return true;
  fprintf(stderr, "weir-bench: the answer is no %s\n", weir_msg_name(type));
  exit(1);
}

static bool hello(const struct server *server, struct client *c, uint64_t number)
{
  struct weir_msg msg = {.type = WEIR_MSG_HELLO, .mark = 1}, welcome;
  uint8_t bytes[WEIR_MSG_SIZE_MAX];
  size_t size = 0;

  memcpy(msg.hello.instance, &number, sizeof(number));
  msg.hello.incarnation = 1;
  msg.hello.version_min = msg.hello.version_max = WEIR_PROTOCOL_VERSION;
  memcpy(msg.hello.name, "bench", sizeof("bench"));
  if (weir_codec_encode(&msg, bytes, sizeof(bytes), &size) != WEIR_OK ||
      zmq_send(c->socket, bytes, size, 0) < 0)
    return fail("HELLO");
  if (!receive(c, 0, server->is_coordinator ? WEIR_MSG_WELCOME : WEIR_MSG_GRANT, &welcome, &size))
    return fail("no answer to HELLO");
  c->session = welcome.session;
  return true;
}

/* Settles the lease before, if there is one, and asks for the next. */
static bool ask(struct trip *t, struct client *c)
{
  struct weir_msg settle = bench_sample_settle(c->seq), next = bench_sample_ask(c->seq + 1);
  uint8_t bytes[2 * WEIR_MSG_SIZE_MAX];
  size_t size = 0;

  settle.session = next.session = c->session;
  if ((c->seq > 0 && weir_codec_encode(&settle, bytes, sizeof(bytes), &size) != WEIR_OK) ||
      weir_codec_encode(&next, bytes, sizeof(bytes), &size) != WEIR_OK)
    return fail("encode");
  c->seq++;
  c->sent_ns = bench_now_ns();
  t->out_size = size;
  return zmq_send(c->socket, bytes, size, 0) >= 0 || fail("ASK");
}

/* Takes the answer of |c|, if it is there, and asks again until |end_ns|. Returns whether a request
 * is on its way. */
static bool turn(struct trip *t, const struct server *server, struct client *c, bool is_counted,
                 uint64_t end_ns)
{
  struct weir_msg grant;
  uint64_t now_ns;

  if (!receive(c, ZMQ_DONTWAIT, WEIR_MSG_GRANT, &grant, &t->in_size))
    return true;
  if (server->is_coordinator && grant.grant.seq != c->seq) {
    fprintf(stderr, "weir-bench: a grant for another ask\n");
    exit(1);
  }
  now_ns = bench_now_ns();
  if (is_counted && t->samples_count < SAMPLES_MAX)
    t->samples[t->samples_count++] = (uint32_t)(now_ns - c->sent_ns);
  return now_ns < end_ns && ask(t, c);
}

static bool clients_run(struct trip *t, const struct server *server, size_t count, uint64_t run_ns,
                        bool is_counted)
{
  const uint64_t end_ns = bench_now_ns() + run_ns;
  zmq_pollitem_t items[CLIENTS_MAX];
  size_t open = count;

  for (size_t i = 0; i < count; i++) {
    items[i] = (zmq_pollitem_t){t->clients[i].socket, 0, ZMQ_POLLIN, 0};
    if (!ask(t, &t->clients[i]))
      return false;
  }
  while (open > 0) {
    if (zmq_poll(items, (int)count, ANSWER_MS) <= 0)
      return fail("no answer");
    for (size_t i = 0; i < count; i++) {
      if (items[i].revents && !turn(t, server, &t->clients[i], is_counted, end_ns))
        open--;
    }
  }
  return true;
}

/* One run: fresh connections and sessions, a warm-up, then what counts. */
static bool run(struct trip *t, const struct server *server, size_t count, struct figures *ret)
{
  static uint64_t numbers; /* instances differ over all runs */
  const uint64_t run_ns = t->bench->is_quick ? RUN_Q_NS : RUN_NS;
  uint64_t begin_ns = 0;
  double begin_cpu_us = 0;
  bool is_good = true;

  memset(t->clients, 0, sizeof(t->clients));
  t->samples_count = 0;
  for (size_t i = 0; i < count && is_good; i++)
    is_good = client_open(t, server, &t->clients[i]) && hello(server, &t->clients[i], ++numbers);
  if (is_good)
    is_good = clients_run(t, server, count, WARM_UP_NS, false);
  if (is_good) {
    begin_cpu_us = demo_cpu_us(server->child.pid);
    begin_ns = bench_now_ns();
    is_good = clients_run(t, server, count, run_ns, true);
  }
  if (is_good) {
    ret->trips_s = (double)t->samples_count * 1e9 / (double)(bench_now_ns() - begin_ns);
    ret->cpu_us = (demo_cpu_us(server->child.pid) - begin_cpu_us) / (double)t->samples_count;
    bench_sort_u32(t->samples, t->samples_count);
    ret->p50_us = (double)bench_percentile(t->samples, t->samples_count, 50) / 1000;
    ret->p99_us = (double)bench_percentile(t->samples, t->samples_count, 99) / 1000;
  }
  for (size_t i = 0; i < count; i++) {
    if (t->clients[i].socket)
      zmq_close(t->clients[i].socket);
  }
  return is_good;
}

/* ---- report ---- */

static double report(struct bench *bench, const char *name, const char *key, size_t clients,
                     const struct figures *runs, size_t count)
{
  double trips[RUNS], p50[RUNS], p99[RUNS], cpu[RUNS], trips_s;
  char json[64];

  for (size_t i = 0; i < count; i++) {
    trips[i] = runs[i].trips_s;
    p50[i] = runs[i].p50_us;
    p99[i] = runs[i].p99_us;
    cpu[i] = runs[i].cpu_us;
  }
  trips_s = bench_median(trips, count);
  printf("  %3zu in flight  %-16s %7.0f /s  p50 %6.0f us  p99 %6.0f us  server CPU %5.1f us\n",
         clients, name, trips_s, bench_median(p50, count), bench_median(p99, count),
         bench_median(cpu, count));
  snprintf(json, sizeof(json), "trip_%s_per_s_%zu", key, clients);
  bench_json(bench, json, trips_s);
  snprintf(json, sizeof(json), "trip_%s_p50_us_%zu", key, clients);
  bench_json(bench, json, p50[count / 2]);
  snprintf(json, sizeof(json), "trip_%s_p99_us_%zu", key, clients);
  bench_json(bench, json, p99[count / 2]);
  snprintf(json, sizeof(json), "trip_%s_cpu_us_%zu", key, clients);
  bench_json(bench, json, cpu[count / 2]);
  return trips_s;
}

static bool compare(struct trip *t, size_t clients)
{
  const size_t runs = t->bench->is_quick ? RUNS_Q : RUNS;
  struct figures echoes[RUNS], coordinators[RUNS];
  size_t out[2] = {0}, in[2] = {0};
  double echo, coordinator;
  char name[64];

  for (size_t i = 0; i < runs; i++) {
    if (!run(t, &t->echo, clients, &echoes[i]))
      return false;
    out[0] = t->out_size;
    in[0] = t->in_size;
    if (!run(t, &t->coordinator, clients, &coordinators[i]))
      return false;
    out[1] = t->out_size;
    in[1] = t->in_size;
  }
  echo = report(t->bench, t->echo.name, "echo", clients, echoes, runs);
  coordinator = report(t->bench, t->coordinator.name, "coordinator", clients, coordinators, runs);
  printf(
      "                 ratio %.2f   bytes out and in: echo %zu and %zu, coordinator %zu and %zu\n",
      coordinator / echo, out[0], in[0], out[1], in[1]);
  snprintf(name, sizeof(name), "trip_ratio_%zu", clients);
  bench_json(t->bench, name, coordinator / echo);
  return true;
}

bool bench_trip(struct bench *bench)
{
  static const size_t clients[] = {1, 10, 100};
  struct trip *t = calloc(1, sizeof(*t));
  bool is_good = true;

  if (!t || !(t->samples = malloc(SAMPLES_MAX * sizeof(*t->samples))))
    abort();
  t->bench = bench;
  t->echo.child.fd = t->coordinator.child.fd = -1;
  strcpy(t->folder, "/tmp/weir-bench-XXXXXX");
  t->context = zmq_ctx_new();
  if (!t->context)
    abort();
  if (!mkdtemp(t->folder)) {
    (void)fail("weir-bench");
    zmq_ctx_term(t->context);
    free(t->samples);
    free(t);
    return false;
  }
  printf("lease round trips over ipc, one client thread, one request in flight a client,\n"
         "median of %d runs of %.1f s in turns (client and server share the machine's %ld cores;\n"
         "server CPU is what a round trip costs the server, however busy the client is):\n",
         bench->is_quick ? RUNS_Q : RUNS, (double)(bench->is_quick ? RUN_Q_NS : RUN_NS) / 1e9,
         sysconf(_SC_NPROCESSORS_ONLN));
  is_good = servers_start(t);
  for (size_t i = 0; i < sizeof(clients) / sizeof(*clients) && is_good; i++)
    is_good = compare(t, clients[i]);
  servers_end(t);
  zmq_ctx_term(t->context);
  free(t->samples);
  free(t);
  return is_good;
}
