/* parts.h - the processes of a half, each started with what the plan says.
 *
 * Functions that can fail put the reason into the half's |error|. Blocking: the two that wait for a
 * part to be ready, for at most 10 s.
 */
#ifndef WEIR_DEMO_PARTS_H
#define WEIR_DEMO_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "half.h"

/* demo_half_fail keeps the first reason why the half cannot go on. */
void demo_half_fail(struct demo_half *half, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* demo_half_bound_ms returns how long a half may take before it counts as stuck. */
uint64_t demo_half_bound_ms(const struct demo_plan *plan);

/* demo_upstream_start starts the provider and waits until it listens; its windows begin then. A
 * plan whose limit_tokens is 0 makes one without limits or latency. */
bool demo_upstream_start(struct demo_half *half);

/* demo_upstream_line and demo_coordinator_line take a line of theirs; errors go on to standard
 * error. */
void demo_upstream_line(void *context, const char *line, size_t size);
void demo_coordinator_line(void *context, const char *line, size_t size);

/* demo_coordinator_configure writes the coordinator's configuration into the plan's folder. */
bool demo_coordinator_configure(struct demo_half *half);

/* demo_coordinator_start starts it and waits until it is ready. */
bool demo_coordinator_start(struct demo_half *half);

/* demo_instance_start starts instance |number|, counted from 0. */
bool demo_instance_start(struct demo_half *half, uint64_t number);

#endif
