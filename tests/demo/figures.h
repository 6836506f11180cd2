/* figures.h - what a half of the demo comes to: pure arithmetic over its calls and over what the
 * provider admitted.
 *
 * The share of the quota that is used while work is waiting: take the instants on a grid of 100 ms
 * at which some call waits for quota (it sits in back-off after a 429, or has waited for a lease
 * for more than 50 ms). At each, add up the input tokens that the provider admitted in the window
 * that ends there, by its own count and clock, divide by the limit, and cap at 1. The figure is the
 * mean over these instants; 1 when nobody ever waited.
 *
 * Why this is fair. Nothing is left out at the beginning: if somebody is made to wait while the
 * first window is still empty, that counts against whoever makes them wait. It ends with the last
 * instant at which somebody waits: what is idle after that is no waste. Requests that the provider
 * rejected carry no tokens.
 */
#ifndef WEIR_DEMO_FIGURES_H
#define WEIR_DEMO_FIGURES_H

#include <stddef.h>
#include <stdint.h>

#include "call.h"

#define DEMO_GRID_MS     100
#define DEMO_WAIT_MIN_MS 50 /* a shorter wait is the round trip of a lease, not the quota */

/* A request that the provider admitted. */
struct demo_arrival {
  uint64_t at_ms; /* on CLOCK_MONOTONIC */
  uint64_t tokens;
};

struct demo_figures {
  uint64_t calls; /* finished */
  uint64_t failed;
  uint64_t rejected_429; /* as the instances saw them */
  double quota_used;     /* 0 .. 1 */
  uint64_t waiting_ms;   /* how long somebody waited: the time that quota_used speaks of */
  uint64_t wait_p50_ms, wait_p95_ms, wait_p99_ms;
  double seconds; /* from the first wish to start to the end of the last call */
  uint64_t input_tokens;
};

/* demo_figures_of works out the figures of |count| calls, of which the provider admitted
 * |arrivals|, under |limit| input tokens in |window_ms|. */
struct demo_figures demo_figures_of(const struct demo_call *calls, size_t count,
                                    const struct demo_arrival *arrivals, size_t arrivals_count,
                                    uint64_t limit, uint64_t window_ms);

#endif
