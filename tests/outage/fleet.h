/* fleet.h - many instances in one process: a handle of libweir each, or plain HTTP, and threads
 * that call, each at random instants.
 *
 * Owner: the caller owns the fleet, a plain struct, and frees it with outage_fleet_free. Blocking:
 * outage_fleet_stop waits until the calls under way are over.
 */
#ifndef WEIR_OUTAGE_FLEET_H
#define WEIR_OUTAGE_FLEET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir.h>

#include "judge.h"

#define OUTAGE_INSTANCES ((size_t)100)
#define OUTAGE_THREADS   ((size_t)6) /* of an instance */

struct outage_fleet {
  bool is_weir, has_no_wallet; /* weir without leases ahead of need */
  const char *base_url, *endpoint;
  const char *model;    /* what weir is asked for: "gemini/…" or a route */
  uint64_t rate;        /* calls in a second, of all */
  uint64_t answer_us;   /* mean time of an answer, to keep the rate */
  uint64_t deadline_ms; /* of a call */
  uint64_t seed;
  /* From here on its own. */
  pthread_mutex_t lock;
  pthread_cond_t ended;
  bool is_ended;
  struct weir *handles[OUTAGE_INSTANCES];
  pthread_t threads[OUTAGE_INSTANCES * OUTAGE_THREADS];
  size_t threads_count, next; /* next: number of the thread that starts next */
  struct outage_call *calls;
  size_t calls_count, calls_capacity;
};

/* outage_fleet_start opens the handles and lets the threads call. False after a message. */
bool outage_fleet_start(struct outage_fleet *fleet);

/* outage_fleet_wait waits until |until_us|. */
void outage_fleet_wait(struct outage_fleet *fleet, uint64_t until_us);

/* outage_fleet_stop lets no further call begin and waits for those under way; |calls| then holds
 * all of them. */
void outage_fleet_stop(struct outage_fleet *fleet);
void outage_fleet_free(struct outage_fleet *fleet);

#define OUTAGE_FOREIGN_TOKENS 1

/* outage_spend posts small requests (of OUTAGE_FOREIGN_TOKENS) to the first model, past weir, from
 * 64 threads, until each has been rejected. */
void outage_spend(const char *base_url);

#endif
