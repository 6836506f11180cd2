/* instance.h - what the two ways of calling, plain and through weir, share within an instance.
 *
 * Owner: main() owns the instance; threads only report through demo_instance_* and call one of the
 * two clients. Blocking: everything but the reports.
 */
#ifndef WEIR_DEMO_INSTANCE_H
#define WEIR_DEMO_INSTANCE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/rng.h>

#include "call.h"
#include "workload.h"

#define DEMO_KEY "demo-key" /* the simulated provider takes any */

struct demo_instance {
  bool is_weir;
  const char *base_url, *model, *coordinator;
  uint64_t number, instances, parallel, requests, seed;
  uint64_t max_wait_ms; /* weir: longest wait for a lease */
  struct demo_workload workload;
  pthread_mutex_t lock;
  uint64_t next;    /* request to be taken next */
  uint64_t waiting; /* calls that wait for quota */
};

/* demo_instance_report writes one line to standard output. */
void demo_instance_report(struct demo_instance *instance, const struct demo_line *line);

/* demo_instance_note reports a text for people. */
void demo_instance_note(struct demo_instance *instance, const char *text);

/* demo_instance_waits counts one call more (|by| = 1) or less (-1) that waits, and reports it. */
void demo_instance_waits(struct demo_instance *instance, int by);

/* demo_call_wait adds an interval in which |call| waited for quota. */
void demo_call_wait(struct demo_call *call, uint64_t from_ms, uint64_t to_ms);

/* One thread's client without weir: plain libcurl, exponential back-off with jitter. */
struct demo_naive;

/* demo_naive_new makes a client with its own connection and its own stream of random numbers. */
struct demo_naive *demo_naive_new(struct demo_instance *instance, uint64_t seed);
void demo_naive_free(struct demo_naive *naive);

/* demo_naive_call runs one request to its end. |call| has its index and t_first_ms. */
void demo_naive_call(struct demo_naive *naive, const struct demo_request *request,
                     struct demo_call *call);

/* All threads' client through weir. */
struct demo_managed;

/* demo_managed_new opens libweir; NULL after a message on standard error. */
struct demo_managed *demo_managed_new(struct demo_instance *instance);
void demo_managed_free(struct demo_managed *managed);

/* demo_managed_call runs one request to its end, as demo_naive_call; from any thread. */
void demo_managed_call(struct demo_managed *managed, const struct demo_request *request,
                       struct demo_call *call);

#endif
