/* figures.h - what a half of the demo comes to: pure arithmetic over its finished calls.
 *
 * The share of the quota that is used while work is waiting: take the instants on a grid of 100 ms
 * at which some call waits for quota (it sits in back-off after a 429, or has waited for a lease
 * for more than 50 ms). At each, add up the input tokens of the requests written in the window that
 * ends there, by the provider's own count, divide by the limit, and cap at 1. The figure is the
 * mean over these instants; 1 when nobody ever waited.
 *
 * Why this is fair. Nothing is left out at the beginning: if somebody is made to wait while the
 * first window is still empty, that counts against whoever makes them wait. It ends with the last
 * instant at which somebody waits: what is idle after that is no waste. A request that the provider
 * refused carries no tokens, and neither does one whose instance was killed before it could tell:
 * the figure errs low.
 */
#ifndef WEIR_DEMO_FIGURES_H
#define WEIR_DEMO_FIGURES_H

#include <stddef.h>
#include <stdint.h>

#include "call.h"

#define DEMO_GRID_MS     100
#define DEMO_WAIT_MIN_MS 50 /* a shorter wait is the round trip of a lease, not the quota */

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

/* demo_figures_of works out the figures of |count| calls under |limit| input tokens in |window_ms|.
 * Sorts |calls| by the time they were sent. */
struct demo_figures demo_figures_of(struct demo_call *calls, size_t count, uint64_t limit,
                                    uint64_t window_ms);

/* demo_quota_used_at returns the input tokens among |calls| (sorted by t_sent_ms) that were written
 * in (at - window, at]. */
uint64_t demo_quota_used_at(const struct demo_call *calls, size_t count, uint64_t at_ms,
                            uint64_t window_ms);

#endif
