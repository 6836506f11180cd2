/* proxy.c - weir-proxy beside nginx's proxy_pass and beside no proxy at all, with the same clients
 * and the same upstream, in turns.
 *
 * The proxy at hand has the machine's last core for itself; clients, upstream and coordinator share
 * the others.
 */
#define _GNU_SOURCE /* sched_setaffinity */
#include "bench.h"
#include "proxy_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../demo/child.h"

#define NGINX           "/usr/sbin/nginx"
#define RUNS            5
#define RUNS_Q          1
#define RUN_NS          UINT64_C(1500000000)
#define RUN_Q_NS        UINT64_C(200000000)
#define SAMPLES_MAX     1000000
#define CALLS_IN_FLIGHT 32
#define STREAMS         200
#define IDLE            2000
#define IDLE_Q          100
#define READY_MS        10000
#define FDS_NEEDED      10000
#define CONNECTIONS     "8192"

enum { DIRECT, NGINX_PASS, WEIR, SUBJECTS };

/* One run's figures of one subject. */
struct figures {
  double calls_s, p50_us, p99_us, cpu_us; /* many calls in flight */
  double single_p50_us, single_p99_us;    /* one at a time */
  double event_p50_us, event_p99_us, event_cpu_us;
};

struct subject {
  const char *name, *key;
  struct demo_child child;
  uint16_t port; /* 0: it is not there */
  struct figures runs[RUNS];
  double idle_kb, idle_lease_kb;
};

struct proxy_bench {
  struct bench *bench;
  char folder[32];
  struct demo_child upstream, coordinator;
  uint16_t upstream_port;
  bool is_coordinator_ready;
  struct subject subjects[SUBJECTS];
  uint32_t *samples;
};

static bool fail(const char *what)
{
  fprintf(stderr, "weir-bench: %s: %s\n", what, strerror(errno));
  return false;
}

/* ---- processes ---- */

/* Keeps this process, and those that it starts from now on, on the last core, or off it. With a
 * single core there is nothing to choose. */
static void place(bool is_last)
{
  const int cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
  cpu_set_t set;

  CPU_ZERO(&set);
  for (int i = 0; i < cores; i++) {
    if (cores == 1 || (i == cores - 1) == is_last)
      CPU_SET((size_t)i, &set);
  }
  (void)sched_setaffinity(0, sizeof(set), &set);
}

static void on_port_line(void *context, const char *line, size_t size)
{
  static const char mark[] = "listening on http://127.0.0.1:";
  const char *at = strstr(line, mark);

  (void)size;
  if (at)
    *(uint16_t *)context = (uint16_t)strtoul(at + sizeof(mark) - 1, NULL, 10);
}

static void on_coordinator_line(void *context, const char *line, size_t size)
{
  (void)size;
  if (strstr(line, "event=ready"))
    *(bool *)context = true;
}

/* Reads lines of |child| until one of them sets the first byte of |told|. */
static bool await(struct demo_child *child, demo_line_handler *handler, void *told,
                  const char *name)
{
  const uint64_t give_up_ns = bench_now_ns() + READY_MS * UINT64_C(1000000);
  bool is_told = false;

  while (!is_told && child->fd >= 0 && bench_now_ns() < give_up_ns) {
    struct pollfd output = {child->fd, POLLIN, 0};

    if (poll(&output, 1, READY_MS) > 0)
      demo_child_read(child, handler, told);
    is_told = handler == on_port_line ? *(uint16_t *)told != 0 : *(bool *)told;
  }
  if (!is_told)
    fprintf(stderr, "weir-bench: %s did not start\n", name);
  return is_told;
}

static bool upstream_start(struct proxy_bench *b)
{
  char self[1100];
  const char *const arguments[] = {self, "--upstream", NULL};

  snprintf(self, sizeof(self), "%s/weir-bench", b->bench->programs);
  return (demo_child_start(&b->upstream, arguments, false) || fail(self)) &&
         await(&b->upstream, on_port_line, &b->upstream_port, "the upstream");
}

static bool coordinator_start(struct proxy_bench *b)
{
  char program[1100], config[64];
  const char *const arguments[] = {program, "--config", config, NULL};
  FILE *file;

  snprintf(program, sizeof(program), "%s/weir-coordinator", b->bench->programs);
  snprintf(config, sizeof(config), "%s/weir.yaml", b->folder);
  file = fopen(config, "w");
  if (!file)
    return fail(config);
  fprintf(file,
          "listen: ipc://%s/weir.sock\nstate: %s/weir.state\nproviders:\n"
          "  openai: {kind: openai}\npools:\n  - name: bench\n    provider: openai\n"
          "    models: [" BENCH_JSON ", " BENCH_STREAM ", " BENCH_IDLE "]\n"
          "    limits: {rpm: 100_000M, tpm: 100_000_000M}\n",
          b->folder, b->folder);
  if (fclose(file) != 0)
    return fail(config);
  return (demo_child_start(&b->coordinator, arguments, true) || fail(program)) &&
         await(&b->coordinator, on_coordinator_line, &b->is_coordinator_ready, "the coordinator");
}

static bool weir_start(struct proxy_bench *b, struct subject *s)
{
  char program[1100], text[128];
  const char *const arguments[] = {program, NULL};

  snprintf(program, sizeof(program), "%s/weir-proxy", b->bench->programs);
  snprintf(text, sizeof(text), "ipc://%s/weir.sock", b->folder);
  setenv("WEIR_COORDINATOR", text, 1);
  snprintf(text, sizeof(text), "openai=http://127.0.0.1:%u", b->upstream_port);
  setenv("WEIR_PROVIDERS", text, 1);
  setenv("WEIR_LISTEN", "127.0.0.1:0", 1);
  setenv("WEIR_PROXY_CONNECTIONS", CONNECTIONS, 1);
  s->port = 0;
  return (demo_child_start(&s->child, arguments, false) || fail(program)) &&
         await(&s->child, on_port_line, &s->port, s->name);
}

/* A port that nobody has now; nginx cannot tell which one it took. */
static uint16_t port_find(void)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(address);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool is_found = fd >= 0 && bind(fd, (const struct sockaddr *)&address, size) == 0 &&
                  getsockname(fd, (struct sockaddr *)&address, &size) == 0;

  if (fd >= 0)
    close(fd);
  return is_found ? ntohs(address.sin_port) : 0;
}

/* One process, as its worker is one: it serves in the same way, and dies with us. */
static bool nginx_config_write(const struct proxy_bench *b, const char *path, uint16_t port)
{
  FILE *file = fopen(path, "w");

  if (!file)
    return fail(path);
  fprintf(file,
          "daemon off;\nmaster_process off;\nworker_rlimit_nofile %d;\npid %s/nginx.pid;\n"
          "error_log stderr error;\nevents { worker_connections " CONNECTIONS "; }\nhttp {\n"
          "  access_log off;\n  keepalive_requests 1000000000;\n"
          "  client_body_temp_path %s/body;\n  proxy_temp_path %s/proxy;\n"
          "  fastcgi_temp_path %s/fastcgi;\n  uwsgi_temp_path %s/uwsgi;\n"
          "  scgi_temp_path %s/scgi;\n"
          "  upstream provider {\n    server 127.0.0.1:%u;\n    keepalive 4096;\n"
          "    keepalive_requests 1000000000;\n  }\n"
          "  server {\n    listen 127.0.0.1:%u backlog=1024;\n    location / {\n"
          "      proxy_pass http://provider;\n      proxy_http_version 1.1;\n"
          "      proxy_set_header Connection \"\";\n      proxy_buffering off;\n"
          "      proxy_read_timeout 600s;\n    }\n  }\n}\n",
          FDS_NEEDED, b->folder, b->folder, b->folder, b->folder, b->folder, b->folder,
          b->upstream_port, port);
  return fclose(file) == 0 || fail(path);
}

static void on_nothing(void *context, const char *line, size_t size)
{
  (void)context;
  (void)line;
  (void)size;
}

/* Whether somebody listens on |port|, within the time that a start may take. */
static bool port_await(struct demo_child *child, uint16_t port)
{
  const struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const uint64_t give_up_ns = bench_now_ns() + READY_MS * UINT64_C(1000000);
  bool is_open = false;
  int status;

  while (!is_open && bench_now_ns() < give_up_ns && !demo_child_is_gone(child, &status)) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    is_open = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0)
      close(fd);
    if (!is_open && child->fd >= 0) {
      struct pollfd output = {child->fd, POLLIN, 0}; /* readable at once if it ends */

      poll(&output, 1, 10);
      demo_child_read(child, on_nothing, NULL);
    }
  }
  if (!is_open)
    fprintf(stderr, "weir-bench: nginx did not start\n");
  return is_open;
}

static bool nginx_start(struct proxy_bench *b, struct subject *s)
{
  char config[64];
  const char *const arguments[] = {NGINX, "-p", b->folder, "-c", config, "-e", "stderr", NULL};

  if (access(NGINX, X_OK) != 0)
    return true; /* without it: see bench_proxy */
  s->port = port_find();
  snprintf(config, sizeof(config), "%s/nginx.conf", b->folder);
  return s->port && nginx_config_write(b, config, s->port) &&
         (demo_child_start(&s->child, arguments, false) || fail(NGINX)) &&
         port_await(&s->child, s->port);
}

/* What is measured on the last core. */
static bool subject_start(struct proxy_bench *b, int which)
{
  struct subject *s = &b->subjects[which];
  bool is_good;

  place(true);
  is_good = which == WEIR ? weir_start(b, s) : which == NGINX_PASS ? nginx_start(b, s) : true;
  if (which == DIRECT)
    s->port = b->upstream_port;
  place(false);
  return is_good;
}

static void processes_end(struct proxy_bench *b)
{
  static const char *const files[] = {"weir.sock",       "weir.yaml",      "weir.state",
                                      "weir.state.lock", "weir.state.tmp", "nginx.conf",
                                      "nginx.pid"};
  static const char *const folders[] = {"body", "proxy", "fastcgi", "uwsgi", "scgi"};
  char path[64];

  for (int i = 0; i < SUBJECTS; i++)
    demo_child_end(&b->subjects[i].child, SIGKILL); /* which have nothing to lose */
  demo_child_end(&b->upstream, SIGKILL);
  demo_child_end(&b->coordinator, SIGTERM);
  for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
    snprintf(path, sizeof(path), "%s/%s", b->folder, files[i]);
    unlink(path);
  }
  for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
    snprintf(path, sizeof(path), "%s/%s", b->folder, folders[i]);
    rmdir(path);
  }
  rmdir(b->folder);
}

/* The process's own memory, in kB: what it shares with others is counted by parts. */
static double memory_kb(pid_t pid)
{
  unsigned long kb = 0;
  char path[64], line[256];
  FILE *file;

  snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", (long)pid);
  file = fopen(path, "r");
  while (file && fgets(line, sizeof(line), file) && sscanf(line, "Pss: %lu kB", &kb) != 1)
    ;
  if (kb == 0)
    fprintf(stderr, "weir-bench: %s is not as expected\n", path);
  if (file)
    fclose(file);
  return (double)kb;
}

/* ---- one run ---- */

static uint64_t run_ns(const struct proxy_bench *b)
{
  return b->bench->is_quick ? RUN_Q_NS : RUN_NS;
}

static double cpu_of(const struct subject *s)
{
  return s->child.pid > 0 ? demo_cpu_us(s->child.pid) : 0;
}

static void percentiles(struct proxy_bench *b, size_t count, double *ret_p50, double *ret_p99)
{
  bench_sort_u32(b->samples, count);
  *ret_p50 = (double)bench_percentile(b->samples, count, 50) / 1000;
  *ret_p99 = (double)bench_percentile(b->samples, count, 99) / 1000;
}

static bool calls_run(struct proxy_bench *b, struct subject *s, struct figures *f)
{
  struct load *load = load_open(s->port, CALLS_IN_FLIGHT), *single;
  uint64_t begin_ns;
  double cpu_us;
  size_t count = 0;
  bool is_good;

  if (!load)
    return false;
  is_good = load_calls(load, run_ns(b) / 5, b->samples, SAMPLES_MAX, &count); /* warms up */
  begin_ns = bench_now_ns();
  cpu_us = cpu_of(s);
  is_good = is_good && load_calls(load, run_ns(b), b->samples, SAMPLES_MAX, &count);
  if (is_good) {
    f->calls_s = (double)count * 1e9 / (double)(bench_now_ns() - begin_ns);
    f->cpu_us = (cpu_of(s) - cpu_us) / (double)count;
    percentiles(b, count, &f->p50_us, &f->p99_us);
  }
  load_close(load);
  single = is_good ? load_open(s->port, 1) : NULL;
  is_good = single && load_calls(single, run_ns(b), b->samples, SAMPLES_MAX, &count);
  if (is_good)
    percentiles(b, count, &f->single_p50_us, &f->single_p99_us);
  if (single)
    load_close(single);
  return is_good;
}

static bool streams_run(struct proxy_bench *b, struct subject *s, struct figures *f)
{
  struct load *load = load_open(s->port, STREAMS);
  double cpu_us;
  size_t count = 0;
  bool is_good;

  if (!load)
    return false;
  is_good = load_streams(load, BENCH_STREAM);
  cpu_us = cpu_of(s);
  is_good = is_good && load_events(load, run_ns(b), b->samples, SAMPLES_MAX, &count) && count > 0;
  if (is_good) {
    f->event_cpu_us = (cpu_of(s) - cpu_us) / (double)count;
    percentiles(b, count, &f->event_p50_us, &f->event_p99_us);
  }
  load_close(load);
  return is_good;
}

/* What one more open stream takes, from a start with one call made. */
static bool idle_run(struct proxy_bench *b, int which)
{
  struct subject *s = &b->subjects[which];
  const size_t count = b->bench->is_quick ? IDLE_Q : IDLE;
  double kb = 0, lease_kb = 0;
  struct load *load, *first;
  size_t calls;
  bool is_good;

  demo_child_end(&s->child, SIGKILL);
  if (!subject_start(b, which) || !(first = load_open(s->port, 1)))
    return false;
  is_good = load_calls(first, 1, b->samples, SAMPLES_MAX, &calls);
  load_close(first);
  load = is_good ? load_open(s->port, count) : NULL;
  if (!load)
    return false;
  kb = memory_kb(s->child.pid);
  lease_kb = memory_kb(b->coordinator.pid);
  is_good = load_streams(load, BENCH_IDLE);
  s->idle_kb = (memory_kb(s->child.pid) - kb) / (double)count;
  s->idle_lease_kb = (memory_kb(b->coordinator.pid) - lease_kb) / (double)count;
  load_close(load);
  return is_good;
}

/* ---- report ---- */

#define MEMBER(s, f) ((const double *)((const char *)(s) + (f)))
#define OF(name)     offsetof(struct figures, name)

static size_t runs_of(const struct proxy_bench *b)
{
  return b->bench->is_quick ? RUNS_Q : RUNS;
}

/* The median over all runs of one figure, less that of |base| in the same run (NULL: nothing). */
static double median_of(const struct proxy_bench *b, const struct subject *s,
                        const struct subject *base, size_t figure)
{
  double values[RUNS];

  for (size_t i = 0; i < runs_of(b); i++)
    values[i] = *MEMBER(&s->runs[i], figure) - (base ? *MEMBER(&base->runs[i], figure) : 0);
  return bench_median(values, runs_of(b));
}

/* The median of weir's share of nginx's figure, pair by pair, without what there is without any
 * proxy; the largest or smallest pair in |*ret_best|. */
static double ratio_of(const struct proxy_bench *b, size_t figure, bool is_added, bool is_more_good,
                       double *ret_best)
{
  const struct subject *all = b->subjects;
  double values[RUNS];
  const size_t count = runs_of(b);

  for (size_t i = 0; i < count; i++) {
    const double base = is_added ? *MEMBER(&all[DIRECT].runs[i], figure) : 0;

    values[i] = (*MEMBER(&all[WEIR].runs[i], figure) - base) /
                (*MEMBER(&all[NGINX_PASS].runs[i], figure) - base);
  }
  const double median = bench_median(values, count);
  *ret_best = is_more_good ? values[count - 1] : values[0];
  return median;
}

static void json(const struct proxy_bench *b, const char *subject, const char *name, double value)
{
  char text[64];

  snprintf(text, sizeof(text), "proxy_%s_%s", subject, name);
  bench_json(b->bench, text, value);
}

static void ratio_report(const struct proxy_bench *b, const char *name, const char *key,
                         size_t figure, bool is_added, bool is_more_good)
{
  double best, median;

  if (!b->subjects[NGINX_PASS].port)
    return;
  median = ratio_of(b, figure, is_added, is_more_good, &best);
  printf("    weir : nginx, %-28s %5.2f   (best pair %.2f)\n", name, median, best);
  json(b, "ratio", key, median);
}

static void report(const struct proxy_bench *b)
{
  const struct subject *direct = &b->subjects[DIRECT];

  printf("  JSON calls, %d in flight\n", CALLS_IN_FLIGHT);
  for (const struct subject *s = direct; s < direct + SUBJECTS; s++) {
    if (!s->port)
      continue;
    printf("    %-8s %7.0f /s   p50 %6.0f us  p99 %6.0f us   CPU %5.1f us a call\n", s->name,
           median_of(b, s, NULL, OF(calls_s)), median_of(b, s, NULL, OF(p50_us)),
           median_of(b, s, NULL, OF(p99_us)), median_of(b, s, NULL, OF(cpu_us)));
    json(b, s->key, "calls_per_s", median_of(b, s, NULL, OF(calls_s)));
    json(b, s->key, "call_cpu_us", median_of(b, s, NULL, OF(cpu_us)));
  }
  ratio_report(b, "calls/s", "calls_per_s", OF(calls_s), false, true);
  ratio_report(b, "CPU of a call", "call_cpu", OF(cpu_us), false, false);
  printf("  JSON calls, one at a time\n");
  for (const struct subject *s = direct; s < direct + SUBJECTS; s++) {
    if (!s->port)
      continue;
    printf("    %-8s p50 %6.0f us  p99 %6.0f us   added: p50 %6.0f us  p99 %6.0f us\n", s->name,
           median_of(b, s, NULL, OF(single_p50_us)), median_of(b, s, NULL, OF(single_p99_us)),
           median_of(b, s, direct, OF(single_p50_us)), median_of(b, s, direct, OF(single_p99_us)));
    json(b, s->key, "call_added_p50_us", median_of(b, s, direct, OF(single_p50_us)));
    json(b, s->key, "call_added_p99_us", median_of(b, s, direct, OF(single_p99_us)));
  }
  ratio_report(b, "added p50 of a call", "call_added_p50", OF(single_p50_us), true, false);
  printf("  events of %d streams, each one every %d ms\n", STREAMS, BENCH_EVENT_MS);
  for (const struct subject *s = direct; s < direct + SUBJECTS; s++) {
    if (!s->port)
      continue;
    printf("    %-8s p50 %6.0f us  p99 %6.0f us   added: p50 %6.0f us  p99 %6.0f us   "
           "CPU %5.1f us an event\n",
           s->name, median_of(b, s, NULL, OF(event_p50_us)),
           median_of(b, s, NULL, OF(event_p99_us)), median_of(b, s, direct, OF(event_p50_us)),
           median_of(b, s, direct, OF(event_p99_us)), median_of(b, s, NULL, OF(event_cpu_us)));
    json(b, s->key, "event_added_p50_us", median_of(b, s, direct, OF(event_p50_us)));
    json(b, s->key, "event_added_p99_us", median_of(b, s, direct, OF(event_p99_us)));
    json(b, s->key, "event_cpu_us", median_of(b, s, NULL, OF(event_cpu_us)));
  }
  ratio_report(b, "added p50 of an event", "event_added_p50", OF(event_p50_us), true, false);
  ratio_report(b, "CPU of an event", "event_cpu", OF(event_cpu_us), false, false);
  printf("  memory of one more of %d idle streams\n", b->bench->is_quick ? IDLE_Q : IDLE);
  for (const struct subject *s = direct + 1; s < direct + SUBJECTS; s++) {
    if (!s->port)
      continue;
    printf("    %-8s %6.1f kB", s->name, s->idle_kb);
    if (s == &b->subjects[WEIR])
      printf(", and %.1f kB of the coordinator's for its lease", s->idle_lease_kb);
    printf("\n");
    json(b, s->key, "idle_stream_kb", s->idle_kb);
  }
  json(b, "coordinator", "idle_stream_kb", b->subjects[WEIR].idle_lease_kb);
}

/* ---- all of it ---- */

static bool fds_allow(void)
{
  struct rlimit limit;

  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return fail("file descriptors");
  if (limit.rlim_cur < FDS_NEEDED && limit.rlim_max >= FDS_NEEDED) {
    limit.rlim_cur = FDS_NEEDED;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
      return fail("file descriptors");
  }
  if (limit.rlim_cur < FDS_NEEDED)
    fprintf(stderr, "weir-bench: %llu file descriptors are few for %d streams (ulimit -n)\n",
            (unsigned long long)limit.rlim_cur, IDLE);
  return true;
}

static bool measure(struct proxy_bench *b)
{
  bool is_good = upstream_start(b) && coordinator_start(b);

  for (int i = 0; i < SUBJECTS && is_good; i++)
    is_good = subject_start(b, i);
  if (is_good && !b->subjects[NGINX_PASS].port)
    printf("  (without nginx, which is not at " NGINX ": ./dev bench proxy installs it)\n");
  for (size_t run = 0; run < runs_of(b) && is_good; run++) {
    for (int i = 0; i < SUBJECTS && is_good; i++) {
      struct subject *s = &b->subjects[i];

      is_good = !s->port || (calls_run(b, s, &s->runs[run]) && streams_run(b, s, &s->runs[run]));
    }
  }
  for (int i = NGINX_PASS; i < SUBJECTS && is_good; i++)
    is_good = !b->subjects[i].port || idle_run(b, i);
  if (is_good)
    report(b);
  processes_end(b);
  return is_good;
}

bool bench_proxy(struct bench *bench)
{
  struct proxy_bench *b = calloc(1, sizeof(*b));
  bool is_good;

  if (!b || !(b->samples = malloc(SAMPLES_MAX * sizeof(*b->samples))))
    abort();
  b->bench = bench;
  b->subjects[DIRECT] = (struct subject){.name = "direct", .key = "direct"};
  b->subjects[NGINX_PASS] = (struct subject){.name = "nginx", .key = "nginx"};
  b->subjects[WEIR] = (struct subject){.name = "weir", .key = "weir"};
  b->upstream.fd = b->coordinator.fd = -1;
  for (int i = 0; i < SUBJECTS; i++)
    b->subjects[i].child.fd = -1;
  strcpy(b->folder, "/tmp/weir-bench-XXXXXX");
  is_good = fds_allow() && (mkdtemp(b->folder) || fail(b->folder));
  if (is_good) {
    printf("weir-proxy, nginx's proxy_pass and no proxy, median of %zu runs in turns (the proxy "
           "has a\n"
           "core for itself; clients, upstream and coordinator share the other %ld):\n",
           runs_of(b), sysconf(_SC_NPROCESSORS_ONLN) - 1);
    place(false);
    is_good = measure(b);
  }
  free(b->samples);
  free(b);
  return is_good;
}
