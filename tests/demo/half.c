#include "half.h"

#include "clock.h"
#include "parts.h"
#include "screen.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* The work is two windows; a coordinator that is killed costs one more. */
#define WINDOWS_MAX 10
#define BOUND_MS    60000
#define TICK_MS     200

uint64_t demo_half_bound_ms(const struct demo_plan *plan)
{
  return WINDOWS_MAX * plan->window_ms + BOUND_MS;
}

bool demo_half_count_tokens(const struct demo_plan *plan, uint64_t *ret_tokens)
{
  struct demo_plan unlimited = *plan;
  struct demo_half *half = calloc(1, sizeof(*half));
  struct demo_workload workload;
  bool is_counted = false;

  if (!half)
    abort();
  unlimited.limit_tokens = 0;
  half->plan = &unlimited;
  half->upstream.fd = -1;
  if (demo_workload_load(plan->workload_path, plan->requests, &workload)) {
    if (demo_upstream_start(half))
      is_counted = demo_upstream_tokens(half->base_url, DEMO_MODEL, &workload, ret_tokens);
    else
      fprintf(stderr, "weir-demo: %s\n", half->error);
    demo_child_end(&half->upstream, SIGTERM);
    demo_workload_free(&workload);
  }
  free(half);
  return is_counted;
}

/* ---- what instances tell ---- */

struct reader {
  struct demo_half *half;
  struct demo_instance_view *view;
  struct demo_screen *screen;
};

static void on_call(struct demo_half *half, struct demo_instance_view *view,
                    const struct demo_call *call)
{
  view->done += call->is_ok;
  view->failed += !call->is_ok;
  view->rejected_429 += call->rejected_429;
  if (half->calls_count < half->plan->requests)
    half->calls[half->calls_count++] = *call;
  else
    demo_half_fail(half, "an instance told of more calls than there are requests");
}

/* libweir says so whenever a session has begun. */
static void on_note(struct reader *r, const char *note)
{
  struct demo_half *half = r->half;

  if (strstr(note, "in session with") && half->killed_coordinator_ms && !r->view->reconnected_ms)
    r->view->reconnected_ms = demo_now_ms() - half->killed_coordinator_ms;
}

static void on_line(void *context, const char *text, size_t size)
{
  struct reader *r = context;
  struct demo_line line;

  if (!demo_line_parse(text, size, &line)) {
    demo_half_fail(r->half, "an instance wrote a line that is none of its: %.100s", text);
    return;
  }
  switch (line.type) {
  case DEMO_LINE_BEGIN:
    r->view->begun++;
    break;
  case DEMO_LINE_WAITING:
    r->view->waiting = line.number;
    break;
  case DEMO_LINE_NOTE:
    on_note(r, line.note);
    break;
  case DEMO_LINE_CALL:
    on_call(r->half, r->view, &line.call);
    break;
  }
}

/* ---- running ---- */

static void kill_instance(struct demo_half *half, struct demo_screen *screen, uint64_t now_ms)
{
  struct demo_instance_view *view = &half->instances[half->plan->instances - 1];
  struct reader reader = {half, view, screen};

  demo_screen_say(screen, "kill -9 of instance %" PRIu64 " after %.1f s", half->plan->instances,
                  (double)(now_ms - half->started_ms) / 1000);
  half->killed_instance_ms = now_ms;
  if (view->child.pid > 0)
    kill(view->child.pid, SIGKILL);
  view->is_killed = true;
  view->waiting = 0;
  demo_child_read(&view->child, on_line, &reader);
}

static bool kill_coordinator(struct demo_half *half, struct demo_screen *screen, uint64_t now_ms)
{
  demo_screen_say(screen, "kill -9 of the coordinator after %.1f s, and a new one at once",
                  (double)(now_ms - half->started_ms) / 1000);
  half->killed_coordinator_ms = now_ms;
  demo_child_end(&half->coordinator, SIGKILL);
  return demo_coordinator_start(half);
}

static void faults(struct demo_half *half, struct demo_screen *screen, uint64_t now_ms)
{
  const struct demo_plan *plan = half->plan;
  const uint64_t age_ms = now_ms - half->started_ms;

  if (!half->is_weir)
    return;
  if (age_ms >= plan->kill_instance_ms && !half->killed_instance_ms)
    kill_instance(half, screen, now_ms);
  if (age_ms >= plan->kill_coordinator_ms && !half->killed_coordinator_ms)
    kill_coordinator(half, screen, now_ms);
}

/* A part that ends by itself ends the half. */
static void watch(struct demo_half *half)
{
  int status;

  if (demo_child_is_gone(&half->upstream, &status))
    demo_half_fail(half, "weir-upstream ended by itself (status %d)", status);
  if (demo_child_is_gone(&half->coordinator, &status))
    demo_half_fail(half, "weir-coordinator ended by itself (status %d)", status);
  for (uint64_t i = 0; i < half->plan->instances; i++) {
    struct demo_instance_view *view = &half->instances[i];

    if (demo_child_is_gone(&view->child, &status) && status != 0 && !view->is_killed)
      demo_half_fail(half, "instance %" PRIu64 " ended with status %d", i + 1, status);
  }
}

/* Reads what there is to read, for a tick at most. Returns false when all instances are through. */
static bool turn(struct demo_half *half, struct demo_screen *screen, int signal_fd)
{
  struct pollfd fds[DEMO_INSTANCES_MAX + 3];
  bool is_any_open = false;
  nfds_t count = 0;

  fds[count++] = (struct pollfd){signal_fd, POLLIN, 0};
  fds[count++] = (struct pollfd){half->upstream.fd, POLLIN, 0};
  fds[count++] = (struct pollfd){half->coordinator.fd, POLLIN, 0};
  for (uint64_t i = 0; i < half->plan->instances; i++) {
    is_any_open |= half->instances[i].child.fd >= 0;
    fds[count++] = (struct pollfd){half->instances[i].child.fd, POLLIN, 0};
  }
  if (!is_any_open)
    return false;
  if (poll(fds, count, TICK_MS) <= 0)
    return true;
  if (fds[0].revents)
    demo_half_fail(half, "interrupted");
  if (fds[1].revents)
    demo_child_read(&half->upstream, demo_upstream_line, half);
  if (fds[2].revents)
    demo_child_read(&half->coordinator, demo_coordinator_line, half);
  for (uint64_t i = 0; i < half->plan->instances; i++) {
    struct reader reader = {half, &half->instances[i], screen};

    if (fds[3 + i].revents)
      demo_child_read(&half->instances[i].child, on_line, &reader);
  }
  return true;
}

static void run(struct demo_half *half, struct demo_screen *screen, int signal_fd)
{
  uint64_t now_ms = demo_now_ms();

  while (!half->error[0] && turn(half, screen, signal_fd)) {
    now_ms = demo_now_ms();
    watch(half);
    faults(half, screen, now_ms);
    demo_screen_draw(screen, half, now_ms, false);
    if (now_ms - half->started_ms > demo_half_bound_ms(half->plan))
      demo_half_fail(half, "not through after %" PRIu64 " s",
                     demo_half_bound_ms(half->plan) / 1000);
  }
  watch(half);
  demo_screen_draw(screen, half, now_ms, true);
}

static bool start(struct demo_half *half)
{
  half->started_ms = demo_now_ms();
  if (half->is_weir && (!demo_coordinator_configure(half) || !demo_coordinator_start(half)))
    return false;
  if (!demo_upstream_start(half))
    return false;
  half->started_ms = demo_now_ms();
  for (uint64_t i = 0; i < half->plan->instances; i++) {
    if (!demo_instance_start(half, i))
      return false;
  }
  return true;
}

static void end(struct demo_half *half)
{
  for (uint64_t i = 0; i < half->plan->instances; i++)
    demo_child_end(&half->instances[i].child, SIGKILL);
  demo_child_end(&half->coordinator, SIGTERM);
  demo_child_end(&half->upstream, SIGTERM);
}

/* What the provider counted, while it still runs. */
static void conclude(struct demo_half *half)
{
  const struct demo_plan *plan = half->plan;
  struct demo_arrival *arrivals = NULL;
  size_t count = 0;

  if (!demo_upstream_counters(half->base_url, &half->counters) ||
      !demo_upstream_arrivals(half->base_url, &arrivals, &count)) {
    demo_half_fail(half, "the provider does not tell what it counted");
    return;
  }
  half->calls_lost = plan->requests - half->calls_count;
  half->figures = demo_figures_of(half->calls, half->calls_count, arrivals, count,
                                  plan->limit_tokens, plan->window_ms);
  free(arrivals);
}

bool demo_half_run(struct demo_half *half, const struct demo_plan *plan, bool is_weir,
                   int signal_fd)
{
  struct demo_screen screen;

  memset(half, 0, sizeof(*half));
  demo_screen_init(&screen);
  half->plan = plan;
  half->is_weir = is_weir;
  half->upstream.fd = half->coordinator.fd = -1;
  for (uint64_t i = 0; i < DEMO_INSTANCES_MAX; i++)
    half->instances[i].child.fd = -1;
  half->calls = calloc(plan->requests, sizeof(*half->calls));
  if (!half->calls)
    abort();
  if (start(half))
    run(half, &screen, signal_fd);
  if (!half->error[0])
    conclude(half);
  end(half);
  return half->error[0] == 0;
}

void demo_half_free(struct demo_half *half)
{
  free(half->calls);
  half->calls = NULL;
}
