/* engine.h - one run: instances with work to do, a provider, and a scheme that tells when a call
 * may be sent, on one virtual clock.
 *
 * A call's life:
 *
 *   arrives -> queued -> (a worker takes it up) begun -> sent -> counted -> answered -> over
 *                                                 ^                            |
 *                                                 +------ rejected (429) ------+
 *
 * The engine owns calls, instances, the provider and the clock; a scheme owns what it keeps of its
 * own (|own|) and says when a begun call is to be sent. Everything random follows from the run's
 * seed, and each part draws from its own stream.
 */
#ifndef WEIR_SIM_ENGINE_H
#define WEIR_SIM_ENGINE_H

#include <weir/rng.h>

#include "events.h"
#include "limits.h"
#include "load.h"
#include "outage.h"
#include "scenario.h"

#define WEIR_SIM_NO_CALL UINT32_MAX

/* The virtual clock begins here: late enough for windows of any phase to have begun before. */
#define WEIR_SIM_BEGIN (24 * WEIR_US_PER_HOUR)

enum weir_sim_event_type {
  WEIR_SIM_CALL = 1, /* the next arrival of the load */
  WEIR_SIM_COUNT,    /* call |a| of serial |b| reaches the provider */
  WEIR_SIM_ANSWER,   /* its answer |c| (enum weir_sim_answer) is back */
  WEIR_SIM_DEADLINE, /* of call |a| */
  WEIR_SIM_AGAIN,    /* a rejected call has waited long enough */
  WEIR_SIM_CRASH,    /* |a|: index of the crash */
  WEIR_SIM_BOOT,     /* |instance| is there again */
  WEIR_SIM_FOREIGN,  /* somebody else's call reaches the provider */
  WEIR_SIM_SCHEME    /* from here on: the scheme's own */
};

/* What became of a request. */
enum weir_sim_answer {
  WEIR_SIM_OK = 1,
  WEIR_SIM_REJECTED, /* 429: a limit, of those in |rejected_by|, is full */
  WEIR_SIM_STEEP,    /* 429: use grows too fast; not before |steep_until| */
  WEIR_SIM_BROKEN,   /* 500, counted */
  WEIR_SIM_BUSY,     /* 503, not counted */
  WEIR_SIM_CAPACITY, /* 429 that names no limit, not counted */
  WEIR_SIM_CUT,      /* no answer: the connection broke; not counted */
  WEIR_SIM_EXPIRED   /* none by the deadline: the caller hangs up */
};

enum weir_sim_call_state {
  WEIR_SIM_FUTURE = 0,
  WEIR_SIM_QUEUED, /* no worker has taken it up */
  WEIR_SIM_BEGUN,  /* the scheme has it */
  WEIR_SIM_SENT,
  WEIR_SIM_DONE,   /* answered */
  WEIR_SIM_FAILED, /* given up: too many rejections, too late, or the scheme refused it */
  WEIR_SIM_ERROR,  /* the provider failed, the last time if it was tried again */
  WEIR_SIM_LOST    /* its instance died with the answer under way */
};

struct weir_sim_call {
  weir_tstamp at, sent_at;
  uint32_t tokens, estimate, instance, stream;
  uint32_t next; /* in a queue */
  uint32_t
      serial; /* grows with each step of its life: what is scheduled for an earlier one is void */
  uint32_t attempts;
  uint32_t provider; /* that it is sent to: 0, or 1 for the fallback; the scheme sets it */
  enum weir_sim_call_state state;
};

struct weir_sim_queue {
  uint32_t first, last, count;
  uint64_t estimate; /* tokens of its calls, as estimated */
};

struct weir_sim_instance {
  bool is_up;
  uint32_t life; /* grows with each start */
  struct weir_sim_queue queues[WEIR_SCENARIO_STREAMS_MAX];
  uint32_t busy[WEIR_SCENARIO_STREAMS_MAX]; /* workers */
};

struct weir_sim_use {
  uint32_t requests;
  uint64_t tokens;
};

struct weir_sim;

/* How a scheme works. Functions that it does not need are NULL. */
struct weir_sim_scheme {
  void (*open)(struct weir_sim *sim); /* makes |sim->own| */
  void (*close)(struct weir_sim *sim);
  void (*arrived)(struct weir_sim *sim, uint32_t call); /* at its instance, before it is queued */
  void (*begin)(struct weir_sim *sim, uint32_t call);   /* get it sent: weir_sim_send */
  void (*event)(struct weir_sim *sim, const struct weir_sim_event *event); /* its own */
  void (*answered)(struct weir_sim *sim, uint32_t call, enum weir_sim_answer answer);
  /* Whether to try a failed call again, and in |ret_after_us|; as `naive` does without it. */
  bool (*again)(struct weir_sim *sim, uint32_t call, enum weir_sim_answer answer,
                weir_duration *ret_after_us);
  void (*crash)(struct weir_sim *sim, uint32_t instance);
  void (*boot)(struct weir_sim *sim, uint32_t instance); /* also at the begin */
};

struct weir_sim {
  const struct weir_scenario *scenario;
  const struct weir_scenario_set *set;
  const struct weir_scenario_workload *workload;
  const struct weir_load *load;
  const struct weir_sim_scheme *scheme;
  enum weir_scheme scheme_name;
  enum weir_up_method method;
  void *own; /* the scheme's */

  weir_tstamp now;
  struct weir_events events;
  struct weir_rng net_rng, provider_rng, host_rng, scheme_rng, foreign_rng, fault_rng;

  struct weir_sim_call *calls;
  uint32_t arrived, settled;
  struct weir_sim_instance *instances;
  uint32_t instances_count, workers_max[WEIR_SCENARIO_STREAMS_MAX]; /* of one instance */

  /* the provider */
  struct weir_up_meter *meters[2]; /* the second: of the fallback, NULL without */
  uint64_t counted, rejected, foreign_counted, foreign_rejected;
  uint32_t
      rejected_by; /* bit i: limit i of the set was among those without room, at the last 429 */
  struct weir_slope slope; /* of the first provider */
  uint64_t steep;          /* calls that it rejected, the first and the last of them */
  weir_tstamp steep_first, steep_last, steep_until;
  struct weir_sim_use *use; /* accepted, by second of the run */
  uint32_t *foreign_use;    /* somebody else's accepted calls, by second of the run */
  uint32_t use_seconds;
  struct weir_sim_use stream_use[WEIR_SCENARIO_STREAMS_MAX]; /* while all streams had work */
  bool is_contended;

  struct weir_outage outage;
  uint64_t messages, events_count;
  weir_tstamp last_at; /* a call was over */
};

/* weir_sim_scheme_of returns the functions of a scheme. Static storage. */
const struct weir_sim_scheme *weir_sim_scheme_of(enum weir_scheme scheme);

extern const struct weir_sim_scheme weir_sim_naive, weir_sim_static, weir_sim_fixed_counter,
    weir_sim_global_bucket, weir_sim_doorman, weir_sim_weir;

/* weir_sim_run runs what |sim| says: scenario, set, workload, load, scheme_name, method and
 * instances_count are set, the rest is zero. |seed| is that of the cell. What came of it stands in
 * |sim| until weir_sim_fini. Aborts when memory is short. */
void weir_sim_run(struct weir_sim *sim, uint64_t seed);
void weir_sim_fini(struct weir_sim *sim);

/* ---- for schemes ---- */

/* weir_sim_send writes the request of the begun |call| now. */
void weir_sim_send(struct weir_sim *sim, uint32_t call);

/* weir_sim_refuse gives the begun |call| up. */
void weir_sim_refuse(struct weir_sim *sim, uint32_t call);

/* weir_sim_at schedules an event of the scheme's |type| for |instance|; |a| to |c| are its own. */
void weir_sim_at(struct weir_sim *sim, weir_tstamp at, uint32_t type, uint32_t instance, uint32_t a,
                 uint32_t b, uint32_t c);

/* weir_sim_hop counts a message and returns when it arrives. */
weir_tstamp weir_sim_hop(struct weir_sim *sim);

/* weir_sim_is_begun tells whether |call| still waits in the step |serial| of its life. */
bool weir_sim_is_begun(const struct weir_sim *sim, uint32_t call, uint32_t serial);

/* weir_sim_deadline returns the instant by which |call| has to be over, WEIR_NEVER without one. */
weir_tstamp weir_sim_deadline(const struct weir_sim *sim, uint32_t call);

/* weir_sim_since returns how long the run has lasted. */
weir_tstamp weir_sim_since(const struct weir_sim *sim);

/* weir_sim_queue_add, _take handle queues of calls; _take returns WEIR_SIM_NO_CALL when empty. */
void weir_sim_queue_add(struct weir_sim *sim, struct weir_sim_queue *queue, uint32_t call);
uint32_t weir_sim_queue_take(struct weir_sim *sim, struct weir_sim_queue *queue);

/* weir_sim_rate returns requests (or tokens, with |is_tokens|) in a second that the set of limits
 * allows in the long run; HUGE_VAL without such a limit. Limits of a day are no rates. */
double weir_sim_rate(const struct weir_sim *sim, bool is_tokens);

/* weir_sim_foreign_rate returns how many of somebody else's calls in a second would fill every
 * limit: each costs as much of one as of another. */
double weir_sim_foreign_rate(const struct weir_sim *sim);

/* weir_sim_alloc returns zeroed memory for |count| objects of |size|; aborts without. */
void *weir_sim_alloc(size_t count, size_t size);

#endif
