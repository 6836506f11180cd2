/* world_state.h - the inside of the simulated world, shared by its files only.
 *
 *   world.c         what happens next: virtual time, order, the run of a seed
 *   world_coord.c   the coordinator's machine, and what it is configured with
 *   world_store.c   its store
 *   world_shim.c    the instances: their machines, their calls, their connections
 *   world_judge.c   the provider: what arrives there, and what must hold of it
 *   world_faults.c  what goes wrong
 */
#ifndef WEIR_SIM_WORLD_STATE_H
#define WEIR_SIM_WORLD_STATE_H

#include "limits.h"
#include "world.h"

#include <weir/client.h>
#include <weir/coord.h>
#include <weir/rng.h>

#define MS     WEIR_US_PER_MS
#define SECOND WEIR_US_PER_S
#define MINUTE WEIR_US_PER_MIN

#define SHIMS_MAX      12
#define CALLS_MAX      24   /* of one shim at a time */
#define EVENTS_MAX     8192 /* pending: messages under way, timers, completions */
#define ARRIVALS_MAX   400000
#define RESERVE_MAX    8000 /* tokens of one call */
#define WAIT_MAX_US    (4 * MINUTE)
#define TENANTS_MAX    3
#define METERS_MAX     4
#define JUDGED_WINDOWS 2 /* of the end, in which the use of the quota is judged */
#define POOL_NAMES     6 /* that reloads give to the pool in use, in turn */
#define RETRIES_MAX_PM 200

enum happening_type {
  HAPPENING_TO_COORD = 1, /* a message reaches the coordinator */
  HAPPENING_TO_SHIM,
  HAPPENING_WRITE,   /* a shim writes its request */
  HAPPENING_ARRIVE,  /* it reaches the provider */
  HAPPENING_ANSWER,  /* the answer reaches the shim */
  HAPPENING_CALL,    /* the load wants another call */
  HAPPENING_LINK_UP, /* a connection is there again */
  HAPPENING_RESUME,  /* a paused shim goes on */
  HAPPENING_COORD_START,
  HAPPENING_STORED, /* the store answers */
  HAPPENING_CLOCK,  /* time to tell the coordinator what the wall clock says */
  HAPPENING_FAULT   /* time to draw a fault */
};

struct happening {
  weir_tstamp at;
  uint64_t order;
  enum happening_type type;
  uint32_t shim, life, call; /* an actor's life: what was meant for a former one is dropped */
  uint32_t tenant;           /* of the call */
  bool is_over;              /* the provider's part of an answer was done */
  uint64_t route, cookie;
  struct weir_msg msg; /* of an answer: a SETTLE of what it said */
};

/* The heap moves these, not what happens. */
struct expected {
  weir_tstamp at;
  uint64_t order;
  uint32_t slot;
};

struct call {
  bool is_used;
  uint64_t cookie;
  weir_tstamp expires_at, sent_at; /* on the shim's clock */
  uint64_t reserved, actual;
  uint32_t tenant, attempts;
  bool is_reported; /* its writing is to be told at once */
};

struct shim {
  void *storage;
  struct weir_client *client;
  struct weir_rng rng;
  uint32_t life, link; /* links are counted: each is another route for the coordinator */
  weir_duration clock; /* its clock minus the world's */
  bool is_up, is_paused;
  weir_tstamp client_wake;                 /* on the world's clock */
  weir_tstamp to_coord_last, to_shim_last; /* latest deliveries on this link */
  weir_tstamp resume_at;
  struct call calls[CALLS_MAX];
  uint32_t concurrency;
  uint64_t cookie_next, waiting;
};

struct arrival {
  weir_tstamp at;
  uint64_t tokens;
  uint32_t tenant;
};

/* What is judged by an exact sliding window. */
enum { OF_POOL, OF_PROJECT, OF_TENANT, WINDOWS_MAX };

struct window {
  bool is_on;
  weir_duration us;
  uint64_t requests_max, tokens_max; /* the highest in force within the window */
  uint32_t first;                    /* arrival */
  uint64_t requests, tokens;         /* in it now */
  uint64_t requests_us, tokens_us;   /* what stood in it, times how long: the calm end */
};

#define STORE_ROWS        256
#define STORE_WRITTEN_MAX 64

/* One row a key, the last that is durable, and those that are being written. */
struct store {
  bool is_on;
  uint32_t rows_count, written_count, trouble;
  weir_tstamp trouble_until;
  struct weir_record rows[STORE_ROWS], written[STORE_WRITTEN_MAX];
};

struct world {
  weir_tstamp now, began, calm_at, end;
  struct weir_rng rng;
  FILE *trace;
  struct weir_sim_report *report;

  struct expected *heap; /* a binary heap: earliest first, then in order of making */
  uint32_t heap_count;
  struct happening *happenings; /* EVENTS_MAX slots */
  uint32_t *free;               /* those not in use, on a stack */
  uint64_t order_next;

  void *coord_storage;
  struct weir_coord *coord;
  uint32_t coord_life;
  bool is_coord_up;
  uint64_t epoch;
  weir_tstamp granted_max;          /* over all lives */
  struct weir_pool_config pool;     /* the one quota that the provider knows */
  struct weir_pool_config pools[2]; /* under two names: one of them has the model */
  struct weir_name_config names[2]; /* the model's, and a route's to it */
  struct weir_route_config route;
  bool has_route;                       /* instances ask for it instead of the model */
  struct weir_budget_config budgets[2]; /* the project's, and that of the first tenant */
  struct weir_tenant_config tenants[TENANTS_MAX];
  uint32_t pool_number;
  struct weir_coord_config config;
  struct weir_coord_update coord_update;
  uint64_t coord_steps;
  /* What the coordinator said of breakers: by the number in the pool's name, the other one last. */
  uint64_t changes_heard, grants_counted;
  bool is_open[POOL_NAMES + 1];
  weir_tstamp coord_began, coord_died;
  bool is_resuming; /* the coordinator started anew, and has granted nothing yet */
  struct store store;

  /* The provider's midnight, by the true clock; what the coordinator's clock and the provider's
   * differ from that. */
  weir_tstamp midnight_at;
  int64_t wall_error_us, provider_skew_us;

  struct shim shims[SHIMS_MAX];
  uint32_t shims_count;
  weir_duration net_min, net_spread; /* between shim and coordinator */
  weir_duration up_min;              /* between shim and provider, + 0 .. jitter */
  struct weir_client_update client_update;

  /* The provider, and the judge. */
  struct arrival *arrivals;
  uint32_t arrivals_count;
  struct window windows[WINDOWS_MAX];
  weir_tstamp limits_fall_at;
  struct weir_up_meter *meters[METERS_MAX]; /* two each of requests and tokens, or NULL */
  uint64_t flight, flight_max;              /* calls under way there; 0: no limit */
  uint64_t day_used[2], day_max;            /* before and after midnight; 0: no limit */
  uint32_t rejects_next, errors_next;       /* answers that are to be 429, or 500 */
  uint32_t ramps_next;                      /* those that are to say that use grows too fast */
  weir_tstamp outage_until;
  uint32_t outage_kind;
  weir_tstamp spike_until;
};

/* world.c */
/* world_draw returns a number below |bound| > 0: everything random is drawn here. */
uint64_t world_draw(struct world *w, uint64_t bound);
/* world_expect makes |what| happen at |at|, or now if that is over. */
void world_expect(struct world *w, weir_tstamp at, const struct happening *what);
void world_trace(const struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* world_violation says that a property does not hold: the first one ends the run. */
void world_violation(struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* world_coord.c */
/* coord_storage_new returns zeroed storage for the machine, to be freed by the caller; NULL when
 * memory is short. */
void *coord_storage_new(void);
void coord_start(struct world *w);
void coord_step(struct world *w, const struct weir_coord_event *event);
/* coord_configure draws what is configured beside the two limits of |w->pool|. */
void coord_configure(struct world *w);
/* coord_rules_draw draws the profile of |w->pool|, and how long its leases last. */
void coord_rules_draw(struct world *w);
/* coord_clock tells the coordinator what the wall clock says. */
void coord_clock(struct world *w);
/* coord_name puts the model, and the route to it if the world has one, into the pool of that index;
 * or takes them away. */
void coord_name(struct world *w, uint32_t pool, bool is_there);
/* coord_pools_make gives the coordinator's pools the limits of |w->pool|. */
void coord_pools_make(struct world *w);
/* coord_reload has the coordinator read its configuration again. */
void coord_reload(struct world *w);
/* coord_message and coord_restart: a message, or the next life, is there. */
void coord_message(struct world *w, const struct happening *it);
void coord_restart(struct world *w, uint32_t life);

/* world_store.c */
/* store_draw draws whether there is a store. */
void store_draw(struct world *w);
/* store_trouble begins a time in which it is slow, fails or says nothing. */
void store_trouble(struct world *w);
/* store_wake returns when the coordinator wants store_write next. */
weir_tstamp store_wake(const struct world *w);
void store_write(struct world *w);
/* store_answer, store_crash: what was being written is done, or torn. */
void store_answer(struct world *w, const struct happening *it);
void store_crash(struct world *w);

/* world_shim.c */
void shim_start(struct world *w, uint32_t shim);
/* shim_link gives |shim| another connection, or takes it. */
void shim_link(struct world *w, uint32_t shim, bool is_up);
/* shim_feed steps the machine of |shim| and does what it wants. */
void shim_feed(struct world *w, uint32_t shim, struct weir_client_event *event);
/* shim_send sends |msg| of the coordinator to the peer |route|. */
void shim_send(struct world *w, uint64_t route, const struct weir_msg *msg);
uint64_t shim_route(const struct world *w, uint32_t shim);
/* shim_happening is told of everything that happens to an instance. */
void shim_happening(struct world *w, const struct happening *it);

/* world_judge.c */
/* judge_init begins with the limits that are configured now; judge_end frees. */
void judge_init(struct world *w);
void judge_end(struct world *w);
/* judge_arrival takes a call that reaches the provider now, and answers it. */
void judge_arrival(struct world *w, const struct happening *it);
/* judge_time lets time pass until |at|. */
void judge_time(struct world *w, weir_tstamp at);
void judge_report(struct world *w);

/* world_faults.c */
/* faults_draw lets some faults strike, and comes back a while later. */
void faults_draw(struct world *w);
bool world_is_on(const struct world *w, enum weir_fault fault);
/* world_strikes tells whether |fault| strikes now, which it does once in |one_in| while it is on.
 */
bool world_strikes(struct world *w, enum weir_fault fault, uint32_t one_in);

#endif
