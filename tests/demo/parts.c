#include "parts.h"

#include "clock.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READY_WAIT_MS 10000
#define LATENCY_MS    "600"
#define LATENCY_SIGMA "0.4"
#define ARGUMENTS_MAX 40

#define ARRIVALS_OF_A_REQUEST 4 /* the first, and three retries */

void demo_half_fail(struct demo_half *half, const char *format, ...)
{
  va_list arguments;

  if (half->error[0])
    return;
  va_start(arguments, format);
  vsnprintf(half->error, sizeof(half->error), format, arguments);
  va_end(arguments);
}

/* ---- arguments ---- */

struct arguments {
  size_t count;
  const char *list[ARGUMENTS_MAX];
  size_t used;
  char texts[2048];
};

static const char *text_of(struct arguments *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const char *text_of(struct arguments *a, const char *format, ...)
{
  char *text = a->texts + a->used;
  va_list list;
  int size;

  va_start(list, format);
  size = vsnprintf(text, sizeof(a->texts) - a->used, format, list);
  va_end(list);
  if (size < 0 || (size_t)size >= sizeof(a->texts) - a->used)
    abort(); /* paths of a temporary folder: they fit */
  a->used += (size_t)size + 1;
  return text;
}

static void add(struct arguments *a, const char *argument)
{
  if (a->count + 1 >= ARGUMENTS_MAX)
    abort();
  a->list[a->count++] = argument;
}

static void add_number(struct arguments *a, const char *option, uint64_t number)
{
  add(a, option);
  add(a, text_of(a, "%" PRIu64, number));
}

/* ---- the provider ---- */

void demo_upstream_line(void *context, const char *line, size_t size)
{
  static const char prefix[] = "listening on ";
  struct demo_half *half = context;

  (void)size;
  if (strncmp(line, prefix, sizeof(prefix) - 1) == 0) {
    snprintf(half->base_url, sizeof(half->base_url), "%s", line + sizeof(prefix) - 1);
    half->is_upstream_ready = true;
  } else {
    fprintf(stderr, "weir-upstream: %s\n", line);
  }
}

/* Reads |child| until its handler has set |*is_ready|; false when it does not in time. */
static bool ready_await(struct demo_child *child, demo_line_handler *handler,
                        struct demo_half *half, const bool *is_ready)
{
  const uint64_t give_up_ms = demo_now_ms() + READY_WAIT_MS;
  uint64_t now_ms;

  while (!*is_ready && child->fd >= 0 && (now_ms = demo_now_ms()) < give_up_ms) {
    struct pollfd output = {child->fd, POLLIN, 0};

    if (poll(&output, 1, (int)(give_up_ms - now_ms)) > 0)
      demo_child_read(child, handler, half);
  }
  return *is_ready;
}

/* The provider's windows begin at multiples of their length, on the wall clock. */
static uint64_t wall_ms(void)
{
  struct timespec now;

  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool demo_upstream_start(struct demo_half *half)
{
  const struct demo_plan *plan = half->plan;
  struct arguments a = {0};

  add(&a, text_of(&a, "%s/weir-upstream", plan->programs));
  add(&a, "--listen");
  add(&a, "127.0.0.1:0");
  add_number(&a, "--seed", plan->seed);
  if (plan->limit_tokens > 0) {
    add(&a, "--limit");
    add(&a, text_of(&a, "rpm=%" PRIu64, plan->limit_requests));
    add(&a, "--limit");
    add(&a, text_of(&a, "tpm=%" PRIu64, plan->limit_tokens));
    add(&a, "--method");
    add(&a, "fixed");
    add_number(&a, "--window-ms", plan->window_ms);
    add_number(&a, "--log", ARRIVALS_OF_A_REQUEST * plan->requests);
    add_number(&a, "--phase-ms", wall_ms() % plan->window_ms);
    add(&a, "--latency-median-ms");
    add(&a, LATENCY_MS);
    add(&a, "--latency-sigma");
    add(&a, LATENCY_SIGMA);
  } else {
    add(&a, "--latency-ms");
    add(&a, "0..0");
  }
  half->is_upstream_ready = false;
  if (!demo_child_start(&half->upstream, a.list, true))
    demo_half_fail(half, "%s: %s", a.list[0], strerror(errno));
  else if (!ready_await(&half->upstream, demo_upstream_line, half, &half->is_upstream_ready))
    demo_half_fail(half, "weir-upstream did not start");
  return half->error[0] == 0;
}

/* ---- the coordinator ---- */

void demo_coordinator_line(void *context, const char *line, size_t size)
{
  struct demo_half *half = context;

  (void)size;
  if (strstr(line, "event=ready"))
    half->is_coordinator_ready = true;
  if (!strstr(line, "level=info"))
    fprintf(stderr, "weir-coordinator: %s\n", line);
}

bool demo_coordinator_configure(struct demo_half *half)
{
  const struct demo_plan *plan = half->plan;
  /* The default of 3 s for a minute; a shorter window is scaled time, as far as machines allow. */
  const uint64_t ttl_ms = plan->window_ms < 60000 ? 1000 + plan->window_ms / 30 : 3000;
  /* Short windows want leases that are short beside them. */
  const uint64_t lease_ttl_ms = plan->window_ms < 10000 ? plan->window_ms / 5 : 2000;
  char path[256];
  FILE *file;

  snprintf(path, sizeof(path), "%s/weir.yaml", plan->folder);
  snprintf(half->endpoint, sizeof(half->endpoint), "ipc://%s/weir.sock", plan->folder);
  file = fopen(path, "w");
  if (!file) {
    demo_half_fail(half, "%s: %s", path, strerror(errno));
    return false;
  }
  fprintf(file,
          "listen: %s\n"
          "state: %s/weir.state\n"
          "log: {level: info, format: logfmt}\n"
          "heartbeat: %" PRIu64 "ms\n"
          "session_ttl: %" PRIu64 "ms\n"
          "providers:\n"
          "  gemini: {kind: gemini}\n"
          "pools:\n"
          "  - name: demo\n"
          "    provider: gemini\n"
          "    models: [%s]\n"
          "    lease_ttl: %" PRIu64 "ms\n"
          "    limits:\n"
          "      - {dimension: requests, window: %" PRIu64 "ms, amount: %" PRIu64 "}\n"
          "      - {dimension: input_tokens, window: %" PRIu64 "ms, amount: %" PRIu64 "}\n",
          half->endpoint, plan->folder, ttl_ms / 3, ttl_ms, DEMO_MODEL, lease_ttl_ms,
          plan->window_ms, plan->limit_requests, plan->window_ms, plan->limit_tokens);
  if (fclose(file) != 0)
    demo_half_fail(half, "%s: %s", path, strerror(errno));
  return half->error[0] == 0;
}

bool demo_coordinator_start(struct demo_half *half)
{
  struct arguments a = {0};

  add(&a, text_of(&a, "%s/weir-coordinator", half->plan->programs));
  add(&a, "--config");
  add(&a, text_of(&a, "%s/weir.yaml", half->plan->folder));
  half->is_coordinator_ready = false;
  if (!demo_child_start(&half->coordinator, a.list, true))
    demo_half_fail(half, "%s: %s", a.list[0], strerror(errno));
  else if (!ready_await(&half->coordinator, demo_coordinator_line, half,
                        &half->is_coordinator_ready))
    demo_half_fail(half, "weir-coordinator did not start");
  return half->error[0] == 0;
}

/* ---- instances ---- */

bool demo_instance_start(struct demo_half *half, uint64_t number)
{
  const struct demo_plan *plan = half->plan;
  struct arguments a = {0};

  add(&a, text_of(&a, "%s/weir-demo-instance", plan->programs));
  add(&a, "--mode");
  add(&a, half->is_weir ? "weir" : "naive");
  add(&a, "--base-url");
  add(&a, half->base_url);
  add(&a, "--model");
  add(&a, DEMO_MODEL);
  add(&a, "--workload");
  add(&a, plan->workload_path);
  add_number(&a, "--requests", plan->requests);
  add_number(&a, "--number", number);
  add_number(&a, "--instances", plan->instances);
  add_number(&a, "--parallel", plan->parallel);
  add_number(&a, "--seed", plan->seed + number);
  add_number(&a, "--max-wait-ms", demo_half_bound_ms(plan));
  if (half->is_weir) {
    add(&a, "--coordinator");
    add(&a, half->endpoint);
  }
  if (demo_child_start(&half->instances[number].child, a.list, false))
    return true;
  demo_half_fail(half, "%s: %s", a.list[0], strerror(errno));
  return false;
}
