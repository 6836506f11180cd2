/* machine.h - the inside of the coordinator's machine, shared by the files of this folder only.
 *
 *   coord.c    storage, dispatch from event to handler, timers
 *   pools.c    which pools there are: configuration and names
 *   budgets.c  limits over several pools, and the lines of those who wait for one
 *   tenants.c  who shares a pool: weights, own budgets, lists of what waits
 *   session.c  who talks: HELLO, PING, BYE, silence
 *   queue.c    who waits: ASK, CANCEL, ETAs, deadlines
 *   serve.c    who is next, and when: order of service, parking, grants
 *   standing.c leases ahead of need: only out of what is to spare
 *   route.c    which model of a route, at once and while an ask waits
 *   callers.c  what calls of a tenant use of what is estimated for them
 *   lease.c    who holds: SETTLE, what calls cost and took, leases that are never settled
 *   breakers.c whether a pool's calls go through: transitions, new attempts, STEER
 *   islands.c  what instances may do while nobody answers them
 *   tell.c     who hears of breakers and of days that are used up: STATE to every session
 *   keep.c     what outlives this life: records, and who waits for them
 *   show.c     what people see: SHOW
 *   check.c    what must hold after every event
 *   machine.c  what they all use
 *
 * Every object has one owner: the machine's arrays. Lists link indices, never pointers.
 */
#ifndef WEIR_COORD_MACHINE_H
#define WEIR_COORD_MACHINE_H

#include <assert.h>

#include <weir/bias.h>
#include <weir/breaker.h>
#include <weir/calendar.h>
#include <weir/choose.h>
#include <weir/coord.h>
#include <weir/fair.h>
#include <weir/hash.h>
#include <weir/latency.h>
#include <weir/ledger.h>
#include <weir/line.h>
#include <weir/pq.h>
#include <weir/ratio.h>
#include <weir/retries.h>
#include <weir/rng.h>
#include <weir/slow.h>
#include <weir/table.h>
#include <weir/today.h>

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
  uint64_t peer;                 /* id of whom it belongs to */
  char tenant[WEIR_TENANT_SIZE]; /* that its key is bound to; "": to none */
  uint64_t mark;                 /* last received */
  weir_tstamp mark_at, heard_at;
  weir_duration ttl_us; /* as it was told */
  struct weir_list asks;
  uint32_t leases_count;
  uint32_t free_next;
  bool takes_islands;
  weir_tstamp islands_at;  /* when the next of its places is to be told of again */
  uint64_t told, welcomed; /* of |changes|: heard of so far, and when the session began */
  /* Which of the last WEIR_SEQ_WINDOW sequence numbers were seen: as in IPsec's anti-replay. */
  uint64_t seq_top;
  uint64_t seq_seen[WEIR_SEQ_WINDOW / 64];
};

/* What an ask that named a route keeps of it, for as long as it waits. */
struct weir_wish {
  uint32_t name, born;  /* of the route; WEIR_NONE: the ask named a model */
  uint32_t mark;        /* of the choices that the rest is about */
  uint16_t avoid, left; /* bit k: choice k failed the call; the ask came from there lately */
  uint8_t prefer;       /* a choice, or WEIR_CHOICES_MAX */
  bool is_nameless;     /* its tenant found the table full, and nobody knows the name any more */
  uint32_t moved_ms;    /* when it came from there, modulo 2^32: there may be very many of these */
};

#define WEIR_WAITING_REQUESTS_BITS 24
static_assert(WEIR_REQUESTS_MAX < UINT64_C(1) << WEIR_WAITING_REQUESTS_BITS, "a waiting ask's");

/* A waiting ask: there may be very many. Its pool, class and tenant are those of its record. */
struct weir_waiting {
  struct weir_pq_node timer; /* at its deadline */
  uint64_t seq;
  uint32_t input_tokens, output_tokens;
  uint32_t requests : WEIR_WAITING_REQUESTS_BITS;
  bool is_standing : 1;
  bool is_retry : 1; /* holds one of its pool's tokens for new attempts */
  uint32_t session, tenant;
  uint32_t name, name_born; /* of its model: a reload may have given the place to another name */
  uint32_t asked_ms;        /* when, modulo 2^32 */
  struct weir_wish wish;
  struct weir_link in_tenant, in_session;
};

/* The ledgers of one lease: its pool's, those of shared budgets, and its tenant's own. */
#define WEIR_LEASE_LEDGERS (1 + WEIR_POOL_BUDGETS + 1)

struct weir_books {
  uint32_t count, shared; /* |shared| of them others may spend, too: all but the tenant's own */
  struct weir_ledger *ledgers[WEIR_LEASE_LEDGERS];
  uint32_t budgets[WEIR_LEASE_LEDGERS]; /* [0], the pool's, is WEIR_NONE */
};

struct weir_held {
  struct weir_pq_node timer; /* when it is forgotten */
  uint32_t session, pool, tenant;
  uint32_t waited_ms; /* from its ask to its start; 0: asked ahead of need */
  uint64_t seq;
  uint64_t charged; /* to its tenant's virtual time */
  struct weir_ledger_entry entry;
  weir_duration ttl_us, timeout_us;
  uint8_t choice, choices; /* of a route, from 1; 0: the ask named a model */
  bool is_standing;        /* asked ahead of need: as large as calls are at most */
  bool is_unused;          /* and not known to be used yet: counted in |standing| of its books */
  bool is_retry;           /* a new attempt: else it earned a share of one */
  struct weir_breaker_pass pass;
  uint8_t books_count, books_shared;
  uint8_t both[WEIR_LEASE_LEDGERS]; /* what each ledger has to remember */
  uint32_t budgets[WEIR_LEASE_LEDGERS];
  uint32_t free_next;
  char model[WEIR_NAME_SIZE];
};

/* A place in the line for a budget. */
struct weir_place {
  struct weir_link link;
  uint32_t budget; /* WEIR_NONE: in no line */
};

/* A tenant in one pool and class, beside its record in |fair| with the same index. */
struct weir_tenant {
  WEIR_LINE struct weir_pq_node timer; /* parked: when its own budget is to be looked at again */
  bool is_parked;                      /* its own budget blocks it, so others go first */
  uint32_t budget;                     /* its own, or WEIR_NONE */
  uint64_t ticket;                     /* its rank in lines; 0: none yet */
  struct weir_place place;             /* in the line for |budget| */
  struct weir_list asks;               /* first come, first served */
  struct weir_cost queued;             /* sum over |asks|; no spend, prices may change */
  /* What its leases take of the quota, in the minute |recent_at| and in the one before. */
  uint64_t recent_at, recent_us, before_us;
};

enum weir_pool_state {
  WEIR_POOL_FREE = 0,
  WEIR_POOL_OPEN = 1,
  WEIR_POOL_REMOVED = 2 /* no longer configured; keeps its books until its place is needed */
};

struct weir_queue {
  uint32_t count;
  struct weir_cost queued; /* sum over its tenants */
};

/* A place among those that may use a pool without the coordinator. */
struct weir_island {
  uint8_t instance[WEIR_INSTANCE_SIZE]; /* that holds it, or held it last */
  bool is_taken;                        /* by an instance that is known */
  weir_tstamp told_at, until; /* its holder's calls arrive by |until|, if it hears no more */
  weir_tstamp free_at;        /* when it was free, before it was taken last; 0: ever since */
};

/* What a limit does without for islands. */
struct weir_carve {
  struct weir_limit_config limit;
  uint64_t amount;
  weir_tstamp until; /* so much is kept, even if less is configured */
};

/* What every call asks for stands first, in as few lines of a cache as it takes, before what is
 * large or rarely needed. */
struct weir_pool {
  WEIR_LINE struct weir_pq_node timer; /* when its queue is to be looked at again */
  enum weir_pool_state state;
  uint32_t leases_count;
  struct weir_queue queue[WEIR_CLASS_MAX];
  uint64_t batch_owed; /* to batch by its floor, in quota (serve.c) */
  uint64_t batch_paid; /* what batch had beyond it, which its floor makes up for first */
  uint64_t ticket;     /* its rank in lines; 0: none yet, it stands in none */
  uint64_t grants;
  uint32_t at_once; /* grants without a wait that |wait| is still to learn of, many at a time */
  enum weir_breaker_state noted; /* the breaker's state, and its |changes|, as last looked at */
  uint64_t changes_noted;
  weir_tstamp used_up_until; /* by the day, as instances were told; 0: they were told of nothing */
  struct weir_pq_node breaker_timer;
  struct weir_breaker breaker;
  WEIR_LINE struct weir_bias bias;
  uint64_t input_tokens, output_tokens, spend; /* of settled calls */
  uint64_t outcomes[WEIR_OUTCOME_MAX];         /* settled calls; [0] unused */
  struct weir_ratio ratio;                     /* over all of its tenants */
  WEIR_LINE struct weir_retries retries;
  WEIR_LINE struct weir_pool_config config; /* budgets: indices into the machine's */
  struct weir_ledger ledger;
  struct weir_place places[WEIR_POOL_BUDGETS];
  uint64_t rejected_429, rejected_foreign;
  weir_tstamp latency_at;                           /* the last of |latency| */
  struct weir_latency latency;                      /* of good calls */
  struct weir_latency wait;                         /* from ask to grant */
  uint32_t former_count, former[WEIR_POOL_BUDGETS]; /* budgets before the reload under way */
  struct weir_cost standing;                        /* leases ahead of need that are out unused */
  uint64_t opened_number; /* of the first lease that could not be granted since it opened */
  uint64_t changed;       /* when sessions last had to hear of it, in the coordinator's |changes| */
  uint64_t breaker_changed, day_changed; /* the same, because of its breaker, and of its day */
  struct weir_link in_changed;
  uint64_t retries_count; /* grants for new attempts */
  bool is_left;           /* it closed, and who could went elsewhere */
  struct weir_island islands[WEIR_ISLAND_PLACES_MAX];
  uint32_t islands_used;                    /* places from here on were never taken */
  uint32_t islands_next;                    /* of the pools that may have places, or WEIR_NONE */
  struct weir_msg_island island;            /* what is told of a place, by this profile; */
  enum weir_profile island_profile;         /* 0: to be worked out */
  struct weir_carve carve[WEIR_LIMITS_MAX]; /* of each limit */
  uint32_t carve_count;
  weir_tstamp carve_again_at; /* when less may be kept; WEIR_NEVER: it is as configured */
  weir_tstamp islands_until;  /* the latest arrival that was ever allowed to any place, also of
                                 former pools of its models; 0: none was */
  weir_tstamp islands_from;   /* nobody is told before: others still go by former numbers */
  bool has_owners;            /* tenants with limits of their own, which islands do not know */
  uint64_t island_calls;
  struct weir_today today;
};

/* Limits over several pools, or of one tenant. */
struct weir_budget {
  enum weir_pool_state state;
  struct weir_budget_config config;
  struct weir_ledger ledger;
  struct weir_list line; /* of those whom it blocks, by their tickets */
  uint32_t leases_count;
  struct weir_today today;
  struct weir_cost standing; /* as a pool's */
  uint64_t sharers;          /* a hash of the tenants that spend it, */
  uint64_t former_sharers;   /* and of those before the reload under way */
};

/* A name keeps its place as long as it is configured. */
struct weir_name {
  WEIR_LINE uint32_t pool;
  uint32_t meant; /* the name of |model|, if it is in the same pool, or WEIR_NONE */
  uint32_t route; /* that has this name, or WEIR_NONE */
  uint32_t born;  /* counts names: another one in the same place has another */
  bool is_wanted;
  char name[WEIR_NAME_SIZE]; /* "": a free place */
  char model[WEIR_NAME_SIZE];
};

struct weir_route {
  struct weir_route_config config; /* names: the machine's */
  uint32_t mark;                   /* of its choices: other ones have another */
};

/* What calls of a tenant in a pool use of their estimates. */
struct weir_caller {
  struct weir_ratio ratio;
  struct weir_link link;
  uint32_t pool;
  char name[WEIR_TENANT_SIZE];
};

#define WEIR_SHOW_TENANTS_MAX 64

/* What spares SHOW from walking a whole table for each row. */
struct weir_shown {
  enum weir_view view; /* of the last row that was asked of a table; 0: none since the reload */
  uint32_t row, index; /* its number and its place */
  uint32_t rows;       /* that the view has */
  uint32_t tenants_count, tenants[WEIR_SHOW_TENANTS_MAX]; /* the busiest first */
};

/* What the configuration says of a tenant. */
struct weir_share {
  char name[WEIR_TENANT_SIZE];
  uint32_t pool, weight, budget; /* the machine's indices, WEIR_POOL_ANY, WEIR_NONE */
};

/* How a pool or budget is kept. */
struct weir_keep {
  struct weir_pq_node timer; /* first; 0: a grant waits for it */
  enum weir_urge noted;      /* that |timer| follows */
  bool is_waiting;           /* a pool: its head waits for the store */
  bool is_told;              /* it is durable what its records are about now */
  bool goes_on;              /* with records of a former life */
  bool is_breaker_news;
  weir_tstamp estimates_at; /* when they may be kept again */
  uint64_t members;         /* a hash of what spends it */
};

struct weir_coord {
  struct weir_coord_bounds bounds;
  uint64_t epoch;
  bool is_running; /* from here on, a new configuration is a reload */
  weir_tstamp started_at, configured_at, arrival_max;
  weir_duration heartbeat_us, session_ttl_us;
  uint32_t session_asks_max;
  uint32_t names_born;
  uint64_t lease_number;       /* of the next lease, over all ledgers */
  uint32_t islands_first;      /* of the pools that may have places, or WEIR_NONE */
  weir_tstamp islands_at;      /* when a pool may keep less for islands */
  weir_tstamp islands_lost_at; /* islands of models that are no longer configured end by then */
  uint64_t ticket_next;
  struct weir_rng rng;
  uint64_t counters[WEIR_COUNTER_MAX];
  struct weir_calendar calendar;

  struct weir_session *sessions;
  struct weir_waiting *asks;
  struct weir_held *leases;
  struct weir_pool *pools;
  struct weir_budget *budgets;
  struct weir_tenant *tenants; /* two a pool without name, then bounds.tenants_max */
  struct weir_name *names;
  struct weir_route *routes;
  struct weir_share *shares;
  uint32_t shares_count;
  struct weir_caller *callers;    /* bounds.tenants_max */
  struct weir_list callers_heard; /* who was heard of last comes last */
  uint64_t *slots;                /* of the pools' ledgers, then of the budgets' */
  struct weir_keep *keeps;        /* of pools, then of budgets */
  uint32_t *keep_under_way;       /* of them, those in the generation that is being written */
  uint32_t *keep_waiting;         /* pools that wait for the store */
  uint32_t keep_under_way_count, keep_waiting_count;
  uint32_t keep_untold_count; /* until all is told nothing is granted */
  bool is_durable;            /* a store is kept */
  uint64_t generation;
  weir_tstamp kept_at;       /* when the last one was made; 0: none yet */
  weir_tstamp keep_again_at; /* the last one failed: when the next one may be made */
  struct weir_fair fair;
  struct weir_shown shown;
  struct weir_slow slow;

  uint32_t sessions_free, asks_free, leases_free; /* heads of free lists */
  uint32_t sessions_open;
  bool is_starved;        /* a pool could grant, but for the place of a lease */
  uint32_t starved_first; /* the pool that is next to have the first place that comes free */
  /* Changes of breakers, and the pools by their last one, so that sessions can be told. */
  uint64_t changes;
  struct weir_list changed;
  uint32_t tell_next, tell_left; /* the session to look at next, and how many yet */
  weir_tstamp tell_at;
  struct weir_table by_token, by_instance; /* -> session */
  struct weir_table by_peer;               /* id -> its open sessions */
  struct weir_table calls;                 /* (session, seq) -> ask or lease */
  struct weir_table by_name;               /* hash of a name -> names */
  struct weir_table by_share;              /* hash of a tenant's name and pool -> shares */
  struct weir_table by_caller;             /* the same -> callers */
  struct weir_pq session_timers, ask_timers, lease_timers, pool_timers, tenant_timers,
      breaker_timers, keep_timers;
};

/* What a handler works on: one event, one update. */
struct weir_turn {
  weir_tstamp now;
  uint64_t route;
  const struct weir_coord_peer *peer;
  struct weir_coord_update *update;
  struct weir_instant instant; /* |now| as ledgers see it */
};

/* What a lease would be. */
struct weir_plan {
  struct weir_books books;
  struct weir_ledger_entry entry;
  weir_duration ttl_us, hold_us;
  /* The ledger and its limit that decide the start; NULL and -1 when none does. */
  const struct weir_ledger *by;
  int binding;
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
void weir_cost_add(struct weir_cost *sum, const struct weir_cost *cost);
void weir_cost_sub(struct weir_cost *sum, const struct weir_cost *cost);
/* weir_price_of returns the spend of |cost| by the prices of |config|, rounded up. */
uint64_t weir_price_of(const struct weir_pool_config *config, const struct weir_cost *cost);

/* pools.c */
/* weir_pools_configure applies |config|; WEIR_EFULL, changing nothing, beyond the bounds. */
enum weir_err weir_pools_configure(struct weir_coord *c, const struct weir_coord_config *config,
                                   const struct weir_instant *now);
void weir_pools_assume_spent(struct weir_coord *c, weir_tstamp until);
/* weir_coord_name_find returns the index of |name| among the names, or WEIR_NONE. */
uint32_t weir_coord_name_find(const struct weir_coord *c, const char *name);
/* weir_pool_named returns the index of the pool |name|, or WEIR_NONE. */
uint32_t weir_pool_named(const struct weir_coord *c, const char *name);
bool weir_pool_has_waiting(const struct weir_pool *pool);
/* weir_pools_look has every queue looked at. */
void weir_pools_look(struct weir_coord *c, weir_tstamp now);
/* weir_pools_carve_less gives pools back what they kept for islands that are over. */
void weir_pools_carve_less(struct weir_coord *c, const struct weir_instant *now);
/* What was granted by |granted| starts by the returned instant. */
weir_tstamp weir_started_until(weir_tstamp granted);

/* budgets.c */
bool weir_budgets_fit(const struct weir_coord *c, const struct weir_coord_config *config);
void weir_budgets_configure(struct weir_coord *c, const struct weir_coord_config *config,
                            const struct weir_instant *now);
/* weir_budget_named returns the index of the budget |name|, or WEIR_NONE. */
uint32_t weir_budget_named(const struct weir_coord *c, const char *name);
/* weir_books_open fills |books| with what a lease of |pool| and of the tenant with |own| spends. */
void weir_books_open(struct weir_coord *c, struct weir_pool *pool, uint32_t own,
                     struct weir_books *books);
void weir_books_of_lease(struct weir_coord *c, const struct weir_held *lease,
                         struct weir_books *books);
/* weir_books_pace_us is weir_ledger_pace_us over all that tenants share. */
weir_duration weir_books_pace_us(const struct weir_books *books, const struct weir_cost *cost);
/* weir_books_sustained_us is the same of limits over short windows alone, where there are any. */
weir_duration weir_books_sustained_us(const struct weir_books *books, const struct weir_cost *cost);
weir_duration weir_books_widen_us(const struct weir_books *books);

/* Lines. A member is a pool in the line for one of its shared budgets, or a tenant in the line for
 * its own. They stand by their tickets, so no two wait for each other in two lines. Whoever stands
 * first is looked at when something comes back to the budget; nobody else is. */
uint32_t weir_member_of_pool(const struct weir_coord *c, const struct weir_pool *pool, uint32_t k);
uint32_t weir_member_of_tenant(const struct weir_coord *c, uint32_t tenant);
/* weir_line_join puts |member| into the line for |budget|, by its ticket, which it gets if need be;
 * no effect when it stands there. */
void weir_line_join(struct weir_coord *c, uint32_t budget, uint32_t member);
/* weir_line_leave takes |member| out of its line, if any; who stands first then is looked at. */
void weir_line_leave(struct weir_coord *c, uint32_t member, weir_tstamp now);
/* weir_line_is_clear tells whether nobody with an earlier ticket stands in the line: |ticket| 0 is
 * later than all. */
bool weir_line_is_clear(const struct weir_coord *c, uint32_t budget, uint64_t ticket);
/* weir_line_look has the first of the line looked at. */
void weir_line_look(struct weir_coord *c, uint32_t budget, weir_tstamp now);

/* tenants.c */
/* weir_tenants_configure takes over what |config| says of tenants. Nobody is parked. */
void weir_tenants_configure(struct weir_coord *c, const struct weir_coord_config *config,
                            weir_tstamp now);
/* weir_tenant_enter returns the tenant |name| in |pool| and |class|, held once more, or WEIR_NONE
 * when there is no place for one that has a budget of its own; others join the one without name. */
uint32_t weir_tenant_enter(struct weir_coord *c, uint32_t pool, enum weir_class class,
                           const char *name);
uint32_t weir_class_index(uint32_t pool, enum weir_class class);
uint32_t weir_tenant_pool(const struct weir_coord *c, uint32_t tenant);
enum weir_class weir_tenant_class(const struct weir_coord *c, uint32_t tenant);
/* weir_tenants_forget forgets what was used of |pool|, whose place another takes. O(tenants) */
void weir_tenants_forget(struct weir_coord *c, uint32_t pool);

/* weir_tenant_spend notes that a lease of |tenant| is charged |after| to its virtual time, and no
 * longer |before|. */
void weir_tenant_spend(struct weir_coord *c, uint32_t tenant, uint64_t before, uint64_t after,
                       weir_tstamp now);
/* weir_tenant_share_pm returns what |tenant| used in the last minute, in thousandths of what the
 * whole quota produces in one; 10^6 at most. */
uint32_t weir_tenant_share_pm(const struct weir_coord *c, uint32_t tenant, weir_tstamp now);
void weir_tenant_push(struct weir_coord *c, struct weir_waiting *ask);
/* weir_tenant_remove takes |ask| out of its tenant's list; the ask still holds the tenant. */
void weir_tenant_remove(struct weir_coord *c, struct weir_waiting *ask, weir_tstamp now);
/* weir_tenant_park lets others go before |tenant| until |at|, or until the line moves. */
void weir_tenant_park(struct weir_coord *c, uint32_t tenant, weir_tstamp at);
void weir_tenant_unpark(struct weir_coord *c, uint32_t tenant, weir_tstamp now);

/* session.c */
/* weir_session_refuse answers the message of the turn, whose session is |token|. */
void weir_session_refuse(struct weir_coord *c, struct weir_turn *turn, uint64_t token,
                         enum weir_refusal why);
void weir_session_hello(struct weir_coord *c, struct weir_turn *turn, const struct weir_msg *msg);
/* weir_session_find returns the open session of |msg| and notes that it was heard; sends REFUSE and
 * returns NULL when there is none, or when it ends here because of its peer. */
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
/* weir_queue_leave takes an ask out of every list and frees it, but leaves its number in the table
 * of calls to what it becomes. */
void weir_queue_leave(struct weir_coord *c, struct weir_waiting *ask, weir_tstamp now);
/* weir_queue_drop takes its number out, too. */
void weir_queue_drop(struct weir_coord *c, struct weir_waiting *ask, weir_tstamp now);
void weir_queue_deadline(struct weir_coord *c, struct weir_turn *turn, struct weir_waiting *ask);
/* weir_queue_deny denies a waiting ask, because of |plan|'s limit if it names one, and drops it. A
 * denied ask holds nothing, so its number is free to be judged afresh. */
void weir_queue_deny(struct weir_coord *c, struct weir_turn *turn, struct weir_waiting *ask,
                     enum weir_denial why, weir_tstamp retry_at, const struct weir_plan *plan);
struct weir_cost weir_ask_cost(const struct weir_waiting *ask);
/* weir_plan_open fills |plan| for a call of |asked| in |pool|, of a tenant with budget |own|:
 * books, costs and times, but no start. */
void weir_plan_open(struct weir_coord *c, struct weir_pool *pool, uint32_t own,
                    const struct weir_cost *asked, struct weir_plan *plan);
/* weir_plan_eta returns when |plan| could start behind what |tenant| has waiting but for |except|,
 * which may be NULL, and as much of others as their weights let them have meanwhile. */
weir_tstamp weir_plan_eta(const struct weir_coord *c, const struct weir_turn *turn, uint32_t tenant,
                          const struct weir_waiting *except, struct weir_plan *plan);

/* serve.c */
/* weir_plan_times fills in when |plan| fits each of its ledgers by itself, and returns the latest.
 */
weir_tstamp weir_plan_times(struct weir_turn *turn, struct weir_plan *plan,
                            weir_tstamp times[WEIR_LEASE_LEDGERS]);
/* weir_serve_first returns the tenant whose turn is next in |pool|, or WEIR_FAIR_NONE. */
uint32_t weir_serve_first(struct weir_coord *c, const struct weir_pool *pool);
/* weir_serve_pool grants what can start now and sets the pool's timer for the rest. */
void weir_serve_pool(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool);
/* weir_serve_parked looks whether the own budget of |tenant| still blocks it. */
void weir_serve_parked(struct weir_coord *c, struct weir_turn *turn, struct weir_tenant *tenant);
/* weir_serve_unstarve has every queue looked at, because the place of a lease is free again. */
void weir_serve_unstarve(struct weir_coord *c, weir_tstamp now);

/* standing.c */
/* weir_standing_is_spare tells whether |ask| may have a lease ahead of need, out of |pool| and the
 * budgets of |tenant|. */
bool weir_standing_is_spare(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool,
                            uint32_t tenant, const struct weir_msg_ask *ask);
/* weir_standing_begin counts |lease|, which nobody uses yet, in its books. */
void weir_standing_begin(struct weir_coord *c, struct weir_held *lease);
/* weir_standing_end takes |lease| out of that count: it is used, or over. No effect otherwise. */
void weir_standing_end(struct weir_coord *c, struct weir_held *lease);
/* weir_standing_cost returns what |entry| is charged at most. */
struct weir_cost weir_standing_cost(const struct weir_ledger_entry *entry);

/* route.c */
/* What a route gives an ask: a model, or the reason of a denial. */
struct weir_pick {
  uint32_t model; /* its name's index; WEIR_NONE: denied */
  struct weir_wish wish;
  enum weir_denial why;         /* unset unless denied, as what follows */
  weir_tstamp at;               /* when it could start */
  const struct weir_pool *pool; /* whose, or NULL */
  struct weir_plan plan;        /* |by| tells whether a limit is to blame */
};

enum weir_moved {
  WEIR_MOVED_NOT = 0,
  WEIR_MOVED_ON,  /* it starts elsewhere at once; serve that pool before asking for the next */
  WEIR_MOVED_AWAY /* there is nothing to wait for here; it waits elsewhere */
};

/* weir_routes_configure takes over the routes of |config|. Precondition: names are in place. */
void weir_routes_configure(struct weir_coord *c, const struct weir_coord_config *config);
/* weir_route_pick chooses a model for |ask|, which names the route of the name |name|. */
void weir_route_pick(struct weir_coord *c, struct weir_turn *turn, uint32_t name,
                     const struct weir_msg_ask *ask, struct weir_pick *pick);
/* weir_route_move lets |ask|, which starts where it waits at |start| (WEIR_NEVER: not at all), wait
 * for another model if that is better for it. The timers of both pools are then due, the other's
 * first. No effect on asks that named no route. */
enum weir_moved weir_route_move(struct weir_coord *c, struct weir_turn *turn,
                                struct weir_waiting *ask, weir_tstamp start);
/* weir_route_is_left tells whether a reload took the model of |ask| out of its route. */
bool weir_route_is_left(const struct weir_coord *c, const struct weir_waiting *ask);
/* weir_route_has_choice tells whether |ask| may go elsewhere, if there is room. */
bool weir_route_has_choice(const struct weir_coord *c, const struct weir_waiting *ask);
/* weir_route_look_at returns when |ask|, the head of a pool that is looked at again at |at|, is to
 * be looked at: earlier where it has other choices. */
weir_tstamp weir_route_look_at(const struct weir_coord *c, const struct weir_turn *turn,
                               const struct weir_waiting *ask, weir_tstamp at);
/* weir_route_evacuate has whoever can move away from |pool|, also from behind a head that cannot,
 * when it has just closed: its head starts at |start|. Whoever has a choice, but none in time, has
 * its deadline now. O(what waits there), once for each closing.
 */
void weir_route_evacuate(struct weir_coord *c, struct weir_turn *turn, struct weir_pool *pool,
                         weir_tstamp start);
/* weir_route_stamp writes into |lease| which choice of its route |ask|, of |class|, became. */
void weir_route_stamp(struct weir_coord *c, const struct weir_waiting *ask, enum weir_class class,
                      struct weir_held *lease);

/* callers.c */
/* weir_callers_hear takes in the use that the last |settle| of |lease| reports. */
void weir_callers_hear(struct weir_coord *c, const struct weir_held *lease,
                       const struct weir_msg_settle *settle);
/* weir_caller_ratio returns what is known of calls like |lease|: its tenant's, else its pool's. */
const struct weir_ratio *weir_caller_ratio(const struct weir_coord *c,
                                           const struct weir_held *lease);
/* weir_callers_forget forgets what was learned of tenants in |pool|, which is another one now. */
void weir_callers_forget(struct weir_coord *c, uint32_t pool);

/* lease.c */
/* weir_lease_take turns |ask| into a lease by |plan|, which has a start; |ask| is gone afterwards.
 */
struct weir_held *weir_lease_take(struct weir_coord *c, struct weir_turn *turn,
                                  struct weir_waiting *ask, const struct weir_plan *plan);
void weir_lease_send(struct weir_coord *c, struct weir_turn *turn, const struct weir_held *lease);
void weir_lease_settle(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s,
                       const struct weir_msg_settle *settle);
void weir_lease_lose(struct weir_coord *c, struct weir_turn *turn, struct weir_held *lease);

/* breakers.c */
/* weir_breakers_begin begins the breaker and the new attempts of a new pool. */
void weir_breakers_begin(struct weir_pool *pool, const struct weir_pool_config *config,
                         weir_tstamp now);
/* weir_breakers_end forgets what the machine holds of a pool whose place goes to another. */
void weir_breakers_end(struct weir_coord *c, struct weir_pool *pool);
/* weir_breakers_note acts on whatever has changed in the breaker of |pool|: timers, queue, news. */
void weir_breakers_note(struct weir_coord *c, struct weir_pool *pool, weir_tstamp now);
/* weir_breakers_advance does what is due; it is called when the queue has drained, too. */
void weir_breakers_advance(struct weir_coord *c, struct weir_pool *pool, weir_tstamp now);
void weir_breakers_timeout(struct weir_coord *c, struct weir_pq_node *due, weir_tstamp now);
/* weir_breakers_take lets |lease|, which was just taken by |plan|, through. */
void weir_breakers_take(struct weir_coord *c, struct weir_held *lease, const struct weir_plan *plan,
                        weir_tstamp now);
/* weir_breakers_hear takes in what is said of |lease|. */
void weir_breakers_hear(struct weir_coord *c, const struct weir_held *lease,
                        const struct weir_msg_settle *settle, weir_tstamp now);
/* weir_breakers_used_up tells instances, once, that upstream has no more for |pool| until its day
 * is over: what they hold ahead of need is of no use. */
void weir_breakers_used_up(struct weir_coord *c, struct weir_pool *pool, weir_tstamp now);
/* weir_breakers_reopen lets the day of |pool| be over earlier, if a reload has opened its limit; to
 * be noted afterwards. */
void weir_breakers_reopen(struct weir_pool *pool, weir_tstamp now);
/* weir_breakers_state fills |state| with where the breaker of |pool| is, and its day. */
void weir_breakers_state(const struct weir_pool *pool, weir_tstamp now,
                         struct weir_msg_state *state);
void weir_breakers_steer(struct weir_coord *c, struct weir_turn *turn, const struct weir_msg *msg);
/* weir_ask_is_retry tells whether |ask| is a new attempt where it goes; |is_routed|: its name is a
 * route. A call that failed only on choices that it avoids has not been sent to any of the others:
 * they owe it no token, or a fleet could not leave a model that fails. */
bool weir_ask_is_retry(const struct weir_msg_ask *ask, bool is_routed);
/* weir_retry_take takes the token of a new attempt in |pool|; false, with when there will be one,
 * when there is none. Whoever takes it gives it back, or marks with it an ask (|is_retry|), which
 * keeps it until it is dropped, or a lease, which has used it. */
bool weir_retry_take(struct weir_pool *pool, weir_tstamp now, weir_tstamp *ret_at);

/* tell.c */
/* weir_tell_change notes that every session is to hear of |pool|. */
void weir_tell_change(struct weir_coord *c, struct weir_pool *pool, weir_tstamp now);
/* weir_tell_forget takes |pool| out of what there is to hear. */
void weir_tell_forget(struct weir_coord *c, struct weir_pool *pool);
/* weir_tell_welcome tells a new session of all breakers that are not closed, as many as there is
 * room for; the others follow. */
void weir_tell_welcome(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s);
/* weir_tell_sessions goes on telling, some sessions a step, so that others are served beside. */
void weir_tell_sessions(struct weir_coord *c, struct weir_turn *turn);

/* keep.c */
/* weir_keep_note has the ledgers of |books|, of which the first is that of the pool |pool|, kept as
 * soon as they ask for. */
void weir_keep_note(struct weir_coord *c, const struct weir_books *books, uint32_t pool,
                    weir_tstamp now);
/* weir_keep_breaker has the breaker of |pool| kept soon. */
void weir_keep_breaker(struct weir_coord *c, const struct weir_pool *pool, weir_tstamp now);
/* weir_keep_is_covered tells whether durable reserves cover |plan|, and all that a reload has
 * changed is durable; if not, |pool| is looked at when records have been written. */
bool weir_keep_is_covered(struct weir_coord *c, struct weir_pool *pool,
                          const struct weir_plan *plan, weir_tstamp now);
/* weir_keep_configure tells every ledger what spends it now. Where that has changed, nothing at all
 * is granted until it is durable: others may spend what its records are about. */
void weir_keep_configure(struct weir_coord *c, weir_tstamp now);
/* weir_keep_index_of_budget returns the place of |budget| among what is kept; a pool has its own.
 */
uint32_t weir_keep_index_of_budget(const struct weir_coord *c, uint32_t budget);
/* weir_keep_leave tells that pool or budget |index| is no longer configured. */
void weir_keep_leave(struct weir_coord *c, uint32_t index);
/* weir_keep_has_left tells whether that is durable; true without a store. Until then nobody else
 * may have its place, or nobody could write it. */
bool weir_keep_has_left(const struct weir_coord *c, uint32_t index);
/* weir_keep_restore goes on from |past|. Precondition: nothing was granted yet. */
void weir_keep_restore(struct weir_coord *c, const struct weir_past *past,
                       const struct weir_instant *now);
/* weir_keep_answer takes in what became of a generation. */
void weir_keep_answer(struct weir_coord *c, struct weir_turn *turn, uint64_t generation,
                      bool is_durable);

/* islands.c */
/* weir_island_carve returns what |limit| of a pool of |config| does without. */
uint64_t weir_island_carve(const struct weir_pool_config *config,
                           const struct weir_limit_config *limit);
/* weir_islands_limits writes the limits of |config| less what is kept back for islands: now, and as
 * long as islands of a former configuration may be out. */
void weir_islands_limits(struct weir_coord *c, struct weir_pool *pool,
                         const struct weir_pool_config *config, weir_tstamp now,
                         struct weir_limit_config *ret_limits);
/* weir_islands_change lets nobody be told of other numbers than those of |pool| before all who were
 * told of these have stopped, and what was granted by them is over. Precondition: |config| does not
 * replace the pool's yet. */
void weir_islands_change(struct weir_pool *pool, const struct weir_pool_config *config,
                         weir_tstamp now);
/* weir_islands_offer gives |s|, which uses |pool|, a place if there is one, and tells it of its
 * place again when it is time. */
void weir_islands_offer(struct weir_turn *turn, struct weir_session *s, struct weir_pool *pool);
/* weir_islands_renew tells |s| again of all of its places for which it is time, and of those that
 * it has no more. */
void weir_islands_renew(struct weir_coord *c, struct weir_turn *turn, struct weir_session *s);
/* weir_islands_configured takes in that the pools are those of a new configuration. */
void weir_islands_configured(struct weir_coord *c, weir_tstamp now);
/* weir_islands_leave frees the places of |s|, which makes no new calls any more. */
void weir_islands_leave(struct weir_coord *c, struct weir_session *s, weir_tstamp now);
/* weir_islands_out returns how many places are held. */
uint32_t weir_islands_out(const struct weir_pool *pool, weir_tstamp now);
/* weir_islands_inherit takes in that calls without the coordinator of a model that is |pool|'s now
 * arrive by |until|, by the parts of another one; 0: there are none. */
void weir_islands_inherit(struct weir_pool *pool, weir_tstamp until);
/* weir_islands_assume_all takes all places as held by somebody unknown, for whatever a former life
 * may have told by |last|. */
void weir_islands_assume_all(struct weir_coord *c, weir_tstamp last);
/* weir_islands_settled counts a call that was made without a lease. */
void weir_islands_settled(struct weir_coord *c, struct weir_session *s,
                          const struct weir_msg_settle *settle);

/* show.c */
void weir_show_row(struct weir_coord *c, struct weir_turn *turn, const struct weir_msg *msg);

#endif
