/* half.h - one half of the demo: the whole workload against a fresh provider, with weir or without.
 *
 * Owner: the caller; results are freed by demo_half_free. Blocking: for as long as the half takes.
 */
#ifndef WEIR_DEMO_HALF_H
#define WEIR_DEMO_HALF_H

#include <stdbool.h>
#include <stdint.h>

#include "call.h"
#include "child.h"
#include "figures.h"
#include "upstream.h"

#define DEMO_INSTANCES_MAX 64
#define DEMO_MODEL         "gemini-2.5-flash"
#define DEMO_NEVER         UINT64_MAX

struct demo_plan {
  const char *programs; /* folder of the other programs */
  const char *folder;   /* a fresh temporary one: socket, configuration, state */
  const char *workload_path;
  uint64_t instances, parallel, requests, seed;
  uint64_t window_ms;
  uint64_t limit_requests, limit_tokens; /* in a window */
  uint64_t kill_instance_ms;             /* into weir's half; DEMO_NEVER: not */
  uint64_t kill_coordinator_ms;
};

struct demo_instance_view {
  struct demo_child child;
  uint64_t begun, done, failed, rejected_429, waiting;
  uint64_t reconnected_ms; /* after the coordinator was killed; 0: not yet */
  bool is_killed;
};

struct demo_half {
  const struct demo_plan *plan;
  bool is_weir;
  struct demo_child upstream, coordinator;
  bool is_upstream_ready, is_coordinator_ready;
  char base_url[64];
  char endpoint[128];
  uint64_t started_ms, killed_instance_ms, killed_coordinator_ms; /* instants; 0: not yet */
  struct demo_instance_view instances[DEMO_INSTANCES_MAX];
  struct demo_call *calls;
  uint64_t calls_count, calls_lost; /* lost: of the killed instance */
  struct demo_figures figures;
  struct demo_counters counters;
  char error[512]; /* why the half could not be run to its end; "": it was */
};

/* demo_half_count_tokens starts a provider without limits only to learn how many input tokens the
 * workload has by its count. False after a message on standard error. */
bool demo_half_count_tokens(const struct demo_plan *plan, uint64_t *ret_tokens);

/* demo_half_run runs a half and works out its figures. |signal_fd| becomes readable when the demo
 * is to stop. False when it could not be run to its end: |error| says why. All processes that it
 * started have ended when it returns. */
bool demo_half_run(struct demo_half *half, const struct demo_plan *plan, bool is_weir,
                   int signal_fd);

/* demo_half_free frees the calls. */
void demo_half_free(struct demo_half *half);

#endif
