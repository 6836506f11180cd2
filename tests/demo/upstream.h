/* upstream.h - what the demo asks of the simulated provider, by HTTP.
 *
 * Blocking: every function waits for its answers, at most 10 s each. One thread.
 */
#ifndef WEIR_DEMO_UPSTREAM_H
#define WEIR_DEMO_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "figures.h"
#include "workload.h"

struct demo_counters {
  uint64_t now_ms;   /* on the provider's clock */
  uint64_t arrivals; /* generate requests that reached the provider */
  uint64_t admitted;
  uint64_t rejected_429;
  uint64_t input_tokens; /* of the admitted ones */
};

/* demo_upstream_tokens asks the provider's countTokens for every request of |workload| and adds up.
 * False after a message on standard error. */
bool demo_upstream_tokens(const char *base_url, const char *model,
                          const struct demo_workload *workload, uint64_t *ret_tokens);

/* demo_upstream_counters reads the provider's own counters. False after a message. */
bool demo_upstream_counters(const char *base_url, struct demo_counters *ret_counters);

/* demo_upstream_arrivals reads the provider's log of the requests that it admitted, with their
 * times moved to CLOCK_MONOTONIC. |*ret_arrivals| is the caller's, to be freed by free(). False
 * after a message; also when the log was too short for all of them. */
bool demo_upstream_arrivals(const char *base_url, struct demo_arrival **ret_arrivals,
                            size_t *ret_count);

#endif
