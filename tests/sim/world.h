/* world.h - the coordinator's machine, the shims' machines, a network and a provider on one virtual
 * clock: everything that happens follows from one seed.
 *
 * The world advances to the next thing that can happen and no further, then checks every safety
 * property. Faults are drawn per seed (swarm testing): which ones are on, and how often.
 */
#ifndef WEIR_SIM_WORLD_H
#define WEIR_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <weir/time.h>
#include <weir/vocab.h>

#define WEIR_FAULT_LIST(X)                                                                         \
  X(LOSS, "loss")                 /* a message vanishes */                                         \
  X(DELAY, "delay")               /* a message is held up for seconds */                           \
  X(CUT, "cut")                   /* a shim loses its connection for a while */                    \
  X(SHIM_CRASH, "shim_crash")     /* an instance dies and another takes its place */               \
  X(SHIM_PAUSE, "shim_pause")     /* an instance stands still, with leases in hand */              \
  X(COORD_CRASH, "coord_crash")   /* the coordinator dies and starts again */                      \
  X(LIMIT_CHANGE, "limit_change") /* the configuration is reloaded with other amounts, rules */    \
  X(POOL_MOVE, "pool_move")   /* ... another name for the pool, or another pool for the model */   \
  X(CLOCK_STEP, "clock_step") /* the wall clock is set, by up to an hour */                        \
  X(REJECT, "reject")         /* the provider says 429 although there is quota */                  \
  X(SERVER_ERROR, "server_error") /* ... or 500, and nobody knows what was used */                 \
  X(SPIKE, "spike")               /* for seconds all calls are large */                            \
  X(DUPLICATE, "duplicate")       /* a message is delivered twice */                               \
  X(OUTAGE, "outage")             /* for a while nothing works at the provider */                  \
  X(STORE, "store")               /* the store is slow, fails, or says nothing */                  \
  X(PARTITION, "partition")       /* an instance is cut off for long, and has its island */        \
  X(RAMP, "ramp")                 /* the provider says that use grows too fast */

#define X(name, text) WEIR_FAULT_##name,
enum weir_fault { WEIR_FAULT_LIST(X) WEIR_FAULT_MAX };
#undef X

struct weir_sim_report {
  uint64_t seed, digest;
  uint64_t events, calls, granted, denied, arrivals;
  uint64_t unserved; /* calls that waited when the run ended */
  uint64_t enabled[WEIR_FAULT_MAX], fired[WEIR_FAULT_MAX];
  enum weir_profile profile; /* of the pool, at the end */
  bool is_metered;           /* every method that the profile promises was asked about each call */
  bool is_day_judged;        /* there was a limit by the day, and it was checked */
  bool has_backlog;          /* the calm end had a backlog of calls small beside the limit */
  bool has_islands;
  uint64_t island_calls;        /* granted without the coordinator */
  uint64_t ramp_rejections;     /* because use grows too fast */
  bool is_stored;               /* the coordinator had a store */
  uint64_t generations;         /* that it wrote */
  uint64_t resumes, resumes_us; /* lives that granted anew, and how long that took them */
  uint64_t openings, retries;   /* of breakers, and granted, in the last life of the coordinator */
  uint64_t used_pm;    /* thousandths of the fuller limit, the mean over the last windows */
  char violation[256]; /* "" when every property held */
};

/* weir_sim_run runs |seed| for |span| of virtual time with faults and half of it again without, and
 * fills |ret_report|. With |trace|, every event is written there as one line. */
void weir_sim_run(uint64_t seed, weir_duration span, FILE *trace,
                  struct weir_sim_report *ret_report);

const char *weir_fault_name(enum weir_fault fault);

#endif
