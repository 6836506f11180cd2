/* machine.h - the inside of the coordinator's machine, shared by the files of this folder only.
 *
 *   coord.c    storage, dispatch from event to handler, timers
 *   pools.c    which pools there are: configuration and names
 *   session.c  who talks: HELLO, PING, BYE, silence
 *   queue.c    who waits: ASK, CANCEL, order of service, grants
 *   lease.c    who holds: SETTLE, leases that are never settled
 *   show.c     what people see: SHOW
 *   check.c    what must hold after every event
 *   machine.c  what they all use
 *
 * Every object has one owner: the machine's arrays. Lists link indices, never pointers.
 */
#ifndef WEIR_COORD_MACHINE_H
#define WEIR_COORD_MACHINE_H

#include <weir/calendar.h>
#include <weir/coord.h>
#include <weir/ledger.h>
#include <weir/pq.h>
#include <weir/rng.h>
#include <weir/table.h>

#define WEIR_NONE UINT32_MAX

/* Values of the table |calls|: an ask's index, or a lease's with this bit. */
#define WEIR_CALL_LEASE UINT32_C(0x80000000)

struct weir_link {
  uint32_t next, prev;
};

struct weir_list {
  uint32_t first, last, count;
};

enum weir_session_state {
  WEIR_SESSION_FREE = 0,
  WEIR_SESSION_OPEN = 1,
  WEIR_SESSION_GONE = 2 /* silent or BYE, but leases of it are still in the books */
};

struct weir_session {
  struct weir_pq_node timer; /* first, so that a node is its session */
  enum weir_session_state state;
  uint8_t instance[WEIR_INSTANCE_SIZE];
  uint64_t incarnation, token, route;
  uint64_t mark; /* last received */
  weir_tstamp mark_at, heard_at;
  weir_duration ttl_us; /* as it was told */
  struct weir_list asks;
  uint32_t leases_count;
  uint32_t free_next;
  /* Which of the last WEIR_SEQ_WINDOW sequence numbers were seen: as in IPsec's anti-replay. */
  uint64_t seq_top;
  uint64_t seq_seen[WEIR_SEQ_WINDOW / 64];
};

struct weir_waiting {
  struct weir_pq_node timer; /* deadline */
  uint32_t session, pool;
  uint64_t seq;
  enum weir_class class;
  struct weir_cost cost;
  weir_tstamp deadline;
  struct weir_link in_pool, in_session;
  char model[WEIR_NAME_SIZE];
};

struct weir_held {
  struct weir_pq_node timer; /* when it is forgotten */
  uint32_t session, pool;
  uint64_t seq;
  enum weir_class class;
  struct weir_ledger_entry entry;
  weir_duration ttl_us;
  uint32_t free_next;
  char model[WEIR_NAME_SIZE];
};

enum weir_pool_state {
  WEIR_POOL_FREE = 0,
  WEIR_POOL_OPEN = 1,
  WEIR_POOL_REMOVED = 2 /* no longer configured; keeps its books until its place is needed */
};

struct weir_pool {
  struct weir_pq_node timer; /* when its queue is to be looked at again */
  enum weir_pool_state state;
  struct weir_pool_config config;
  struct weir_ledger ledger;
  struct weir_list queue[WEIR_CLASS_MAX];
  struct weir_cost queued[WEIR_CLASS_MAX]; /* sums over the queue */
  weir_duration batch_owed_us;             /* of the whole quota, to batch, by its floor */
  weir_tstamp frozen_until;
  uint32_t leases_count;
  uint64_t grants, rejected_429;
};

struct weir_name {
  char name[WEIR_NAME_SIZE];
  char model[WEIR_NAME_SIZE];
  uint32_t pool;
};

struct weir_coord {
  struct weir_coord_bounds bounds;
  uint64_t epoch;
  bool is_running; /* from here on, a new configuration is a reload */
  weir_tstamp started_at, configured_at, arrival_max;
  weir_duration heartbeat_us, session_ttl_us;
  uint32_t session_asks_max;
  uint32_t names_count;
  struct weir_rng rng;
  uint64_t counters[WEIR_COUNTER_MAX];
  struct weir_calendar calendar;

  struct weir_session *sessions;
  struct weir_waiting *asks;
  struct weir_held *leases;
  struct weir_pool *pools;
  struct weir_name *names;
  uint64_t *slots;

  uint32_t sessions_free, asks_free, leases_free; /* heads of free lists */
  uint32_t sessions_open;
  bool is_starved;        /* a pool could grant, but for the place of a lease */
  uint32_t starved_first; /* the pool that is next to have the first place that comes free */
  struct weir_table by_token, by_instance; /* -> session */
  struct weir_table calls;                 /* (session, seq) -> ask or lease */
  struct weir_table by_name;               /* hash of a name -> names */
  struct weir_pq session_timers, ask_timers, lease_timers, pool_timers;
};

/* What a handler works on: one event, one update. */
struct weir_turn {
  weir_tstamp now;
  uint64_t route;
  struct weir_coord_update *update;
};

/* machine.c */
/* weir_turn_send begins a message of the update. Precondition: there is room (weir_turn_is_full).
 */
struct weir_msg *weir_turn_send(struct weir_turn *turn, uint64_t route, enum weir_msg_type type);
bool weir_turn_is_full(const struct weir_turn *turn);
uint64_t weir_call_key(uint32_t session, uint64_t seq);
void weir_list_append(struct weir_list *list, struct weir_link *link_of_last,
                      struct weir_link *link, uint32_t index);
void weir_timer_set(struct weir_pq *q, struct weir_pq_node *node, weir_tstamp at);

/* pools.c */
/* weir_pools_configure applies |config|; WEIR_EFULL, changing nothing, beyond the bounds. */
enum weir_err weir_pools_configure(struct weir_coord *c, const struct weir_coord_config *config,
                                   weir_tstamp now);
void weir_pools_assume_spent(struct weir_coord *c, weir_tstamp until);
/* weir_coord_name_find returns the index of |name| among the names, or WEIR_NONE. */
uint32_t weir_coord_name_find(const struct weir_coord *c, const char *name);

/* session.c */
void weir_session_hello(struct weir_coord *c, struct weir_turn *turn, const struct weir_msg *msg);
/* weir_session_find returns the open session of |msg| and notes that it was heard; sends REFUSE and
 * returns NULL when there is none. */
struct weir_session *weir_session_find(struct weir_coord *c, struct weir_turn *turn,
                                       const struct weir_msg *msg);
void weir_session_ping(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s);
void weir_session_end(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s);
void weir_session_timeout(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s);
/* weir_session_release frees the record of a session that is gone once no lease needs it. */
void weir_session_release(struct weir_coord *c, struct weir_session *s);
/* weir_session_send begins a message to |s| that echoes its last mark. */
struct weir_msg *weir_session_send(struct weir_turn *turn, const struct weir_session *s,
                                   enum weir_msg_type type);
bool weir_session_seq_is_new(const struct weir_session *s, uint64_t seq);
void weir_session_seq_note(struct weir_session *s, uint64_t seq);
void weir_session_seq_forget(struct weir_session *s, uint64_t seq);

/* queue.c */
void weir_queue_ask(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                    const struct weir_msg_ask *ask);
void weir_queue_cancel(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                       const struct weir_msg_cancel *cancel);
/* weir_queue_drop takes an ask out of every list and frees it. */
void weir_queue_drop(struct weir_coord *c, struct weir_waiting *ask);
void weir_queue_deadline(struct weir_coord *c, struct weir_turn *turn, struct weir_waiting *ask);
/* weir_queue_serve grants what can start now and sets the pool's timer for the rest. */
void weir_queue_serve(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool);
/* weir_queue_unstarve has every queue looked at, because the place of a lease is free again. */
void weir_queue_unstarve(struct weir_coord *c, weir_tstamp now);

/* lease.c */
/* weir_lease_take turns |ask| into a lease from |start| on; |ask| is gone afterwards. */
struct weir_held *weir_lease_take(struct weir_coord *c, struct weir_turn *turn,
                                  struct weir_waiting *ask, weir_tstamp start);
void weir_lease_send(struct weir_coord *c, struct weir_turn *turn, const struct weir_held *lease);
void weir_lease_settle(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                       const struct weir_msg_settle *settle);
void weir_lease_lose(struct weir_coord *c, struct weir_turn *turn, struct weir_held *lease);

/* show.c */
void weir_show_row(struct weir_coord *c, struct weir_turn *turn, const struct weir_msg *msg);

#endif
