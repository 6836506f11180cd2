/* client_machine.h - the inside of the client machine, shared by its files only.
 *
 *   client.c       storage, dispatch from event to handler, the session
 *   client_call.c  the life of a call: lists, timers, results, settlements
 *   client_send.c  what is put on the wire, in which order
 *   island.c       what may be called while nobody answers
 *   wallet.c       leases ahead of need: how many, how large, when they go back
 *
 * Handlers only change state. What has to be said follows from the state and is collected at the
 * end of each step, as far as there is room, so nothing is lost when there is none.
 */
#ifndef WEIR_CLIENT_MACHINE_H
#define WEIR_CLIENT_MACHINE_H

#include <weir/client.h>
#include <weir/pq.h>
#include <weir/rng.h>
#include <weir/table.h>
#include <weir/wide.h>

#define WEIR_CLIENT_NONE UINT32_MAX

/* The sending times of this many last messages are known; a GRANT that echoes an older one cannot
 * be bounded and counts as expired. */
#define WEIR_CLIENT_MARKS 4096

/* Batch work never has more than this share of the credit, so that many batch asks that wait at the
 * coordinator do not keep an online ask from getting there. */
#define WEIR_CLIENT_BATCH_CREDIT(credit) ((credit) - (credit) / 4)

/* So many pools whose breaker is not closed are remembered. */
#define WEIR_CLIENT_BROKEN_MAX 32

/* Standing asks are sent while less than this share of the credit is used. */
#define WEIR_CLIENT_STANDING_CREDIT(credit) ((credit) / 2)

enum weir_call_state {
  WEIR_CALL_FREE = 0,
  WEIR_CALL_WAITING,   /* in waiting[class] */
  WEIR_CALL_ASKED,     /* in asked */
  WEIR_CALL_HELD,      /* in no list: the timer reports it at its start */
  WEIR_CALL_LEASED,    /* in |interim| if it has one; the timer forgets it */
  WEIR_CALL_WITHDRAWN, /* in withdrawn; has no cookie any more */
  WEIR_CALL_STANDING,  /* in its wallet's |held|: a lease without a call */
  WEIR_CALL_MAX
};

struct weir_call {
  struct weir_pq_node timer; /* first, so that a node is its call */
  enum weir_call_state state;
  uint32_t next, prev; /* in its list; |next| also links free calls */
  uint64_t cookie, context;
  uint64_t session; /* number of the session in which it was last sent, 0: never */
  uint64_t mark;    /* of its last message in that session */
  weir_tstamp asked_at, deadline;
  bool is_queued; /* the coordinator said so in its last session */
  bool is_immediate;
  struct weir_msg_ask ask; /* |seq| is 0 until it is sent. |is_standing|: it has no caller and no
                              cookie; |deadline| is when its ask is given up, or it is returned */
  uint32_t wallet;         /* whose it is while it is standing, and asked or held */
  weir_tstamp start_at, expires_at;
  struct weir_msg_grant grant;
  uint32_t island; /* it is out of islands[island - 1], without a lease; 0: it is not */
  bool is_open;    /* it goes without a lease and out of nothing */
  bool has_interim;
  struct weir_client_settle interim; /* the last settlement that was not final */
};

/* |cursor| is the first call that was not sent in this session; all after it were not either. */
struct weir_call_list {
  uint32_t first, last, cursor, count;
};

struct weir_settlement_kept {
  struct weir_msg_settle msg;
  weir_tstamp sent_at;
  uint64_t mark; /* in this session, once the cursor has passed it */
};

struct weir_client_mark {
  uint64_t mark;
  weir_tstamp sent_at;
};

/* What calls ask of one dimension, in eighths of a token: averages that forget. */
struct weir_wallet_cost {
  uint64_t mean_8, deviation_8;
};

/* The online calls of one model and tenant, and what is leased ahead for them. */
struct weir_wallet {
  char model[WEIR_NAME_SIZE];
  char tenant[WEIR_TENANT_SIZE];
  weir_tstamp asked_at; /* the last call */
  uint32_t gaps, costs; /* how many each average is made of, up to its weight */
  weir_duration gap_us; /* between calls */
  struct weir_wallet_cost input, output;
  char pool[WEIR_POOL_NAME_SIZE]; /* of the last lease; "": none yet */
  weir_duration ttl_us;           /* of the last lease; 0: none yet */
  bool is_reported;               /* as it said */
  bool is_probing;                /* was quiet: one at a time, until one is granted */
  weir_tstamp quiet_until;        /* others wait: nothing is leased ahead */
  weir_duration quiet_us;         /* how long it was quiet last; 0: the last try went well */
  struct weir_call_list held;     /* in order of their grants */
  uint32_t asked, wanted;         /* standing asks without an answer, and those to be sent */
};

/* What may be used of one dimension of a pool without the coordinator. */
struct weir_island_bucket {
  struct weir_msg_island_part part;
  weir_duration depth_us; /* an empty one is full after this */
  weir_tstamp full_at;
};

struct weir_island {
  char pool[WEIR_POOL_NAME_SIZE];
  weir_tstamp ends_at, closed_until;
  weir_tstamp waits_at; /* the first call that waits for it may start then; over: none does */
  weir_duration ttl_us;
  uint32_t calls; /* out of it and not settled */
  uint32_t parts_count;
  struct weir_island_bucket buckets[WEIR_LIMITS_MAX];
};

/* A pool whose breaker is not closed, or whose day is used up. */
struct weir_broken {
  char pool[WEIR_POOL_NAME_SIZE];
  weir_tstamp until; /* no call at all goes before; WEIR_NEVER: until it is told otherwise */
};

struct weir_island_name {
  char name[WEIR_NAME_SIZE];
  struct weir_msg_grant grant;
};

struct weir_client {
  struct weir_client_config config;
  enum weir_client_state state;
  bool is_closing;
  struct weir_rng rng;

  /* the session */
  uint64_t token, incarnation, sessions, epoch;
  uint64_t mark_last, hello_mark; /* hello_mark: the first HELLO since connecting began */
  weir_duration heartbeat_us, patience_us;
  uint32_t credit;
  weir_tstamp hello_at, ping_at, silent_at;
  enum weir_refusal refusal;
  struct weir_client_mark *marks;

  /* calls */
  struct weir_call *calls;
  uint32_t calls_fresh; /* calls from here on were never used: their memory is untouched */
  uint32_t calls_free, calls_count;
  uint64_t seq_last;
  struct weir_call_list waiting[WEIR_CLASS_MAX], asked, withdrawn, interim;
  uint32_t flying[WEIR_CLASS_MAX]; /* of |asked|: sent in this session */
  struct weir_table by_cookie, by_seq;
  struct weir_pq timers;

  /* wallets */
  struct weir_wallet wallets[WEIR_CLIENT_WALLETS];
  uint32_t wallets_count;  /* places from here on were never used */
  uint32_t standing_count; /* of |calls_count|: standing, withdrawn ones included */
  uint64_t claims;
  /* Pools whose breaker is not closed, as far as this session was told. One too many takes the
   * place of the first: a pool that is forgotten only has its standing asks denied. */
  struct weir_broken broken[WEIR_CLIENT_BROKEN_MAX];
  uint32_t broken_count, broken_next;

  /* islands: places in both from their count on were never used */
  struct weir_island islands[WEIR_CLIENT_ISLANDS];
  struct weir_island_name island_names[WEIR_CLIENT_ISLAND_NAMES];
  uint32_t islands_count, island_names_count, island_names_next;
  weir_tstamp island_at; /* when a waiting call may use one, or is to be looked at again */
  weir_tstamp away_at;   /* while there is no session: when the coordinator counts as away */
  uint64_t island_calls;

  /* final settlements: a ring by ever growing positions, head <= cursor <= tail. Others stay with
   * their calls, so that they push none out. */
  struct weir_settlement_kept *settlements;
  uint64_t settlements_head, settlements_cursor, settlements_tail, settlements_dropped;
};

/* weir_call_is_leased tells whether the coordinator granted |call|, which is held or leased. */
static inline bool weir_call_is_leased(const struct weir_call *call)
{
  return call->island == 0 && !call->is_open;
}

static inline uint32_t weir_call_index(const struct weir_client *c, const struct weir_call *call)
{
  return (uint32_t)(call - c->calls);
}

/* weir_call_open adds a waiting call, or returns WEIR_EFULL. */
enum weir_err weir_call_open(struct weir_client *c, const struct weir_client_event *event);

/* weir_call_cancel ends a call at the caller's wish; WEIR_ENOENT when it does not wait. */
enum weir_err weir_call_cancel(struct weir_client *c, const struct weir_client_event *event,
                               struct weir_client_update *update);

/* weir_call_settle keeps a settlement for sending: a final one until it is acknowledged, another
 * one until the next of its call. WEIR_ENOENT when the call is not leased. */
enum weir_err weir_call_settle(struct weir_client *c, const struct weir_client_event *event);

/* weir_call_granted, weir_call_queued, weir_call_denied take in an answer to an ASK. */
void weir_call_granted(struct weir_client *c, const struct weir_msg *msg, weir_tstamp now);
void weir_call_queued(struct weir_client *c, const struct weir_msg_queued *queued, weir_tstamp now);
void weir_call_denied(struct weir_client *c, const struct weir_msg_deny *deny, weir_tstamp now,
                      struct weir_client_update *update);

/* weir_call_acknowledge forgets what the coordinator has processed up to |mark|. */
void weir_call_acknowledge(struct weir_client *c, uint64_t mark);

/* weir_call_unsend makes everything unsent, for a new session. */
void weir_call_unsend(struct weir_client *c);

/* weir_call_release gives back all leases that nobody has seen yet. */
void weir_call_release(struct weir_client *c);

/* weir_call_stand adds an ask of |wallet| for a lease like |ask|, to be sent next. Precondition:
 * weir_wallet_is_ready. */
void weir_call_stand(struct weir_client *c, uint32_t wallet, const struct weir_msg_ask *ask,
                     weir_tstamp deadline);

/* weir_call_keep has |call| looked at, at |at|: a standing lease by weir_wallet_due; one that waits
 * without a session fails then. */
void weir_call_keep(struct weir_client *c, struct weir_call *call, weir_tstamp at);

/* weir_call_return ends a standing call: a lease is given back, an ask withdrawn. */
void weir_call_return(struct weir_client *c, struct weir_call *call);

/* weir_call_due does what the instant asks for, as far as there is room for results. */
void weir_call_due(struct weir_client *c, weir_tstamp now, struct weir_client_update *update);

/* weir_call_take_up gives the next waiting call its sequence number and moves it to |asked|; false
 * when none may be sent. */
bool weir_call_take_up(struct weir_client *c);

/* weir_call_list_pass moves the cursor over the call that it stands on. */
void weir_call_list_pass(struct weir_client *c, struct weir_call_list *list);

/* weir_call_may_use tells whether |grant|, which was given to another one, is of a choice that a
 * call like |ask| takes. */
bool weir_call_may_use(const struct weir_msg_ask *ask, const struct weir_msg_grant *grant);

/* weir_call_may_fly tells whether one more ask of |class| may be out. */
bool weir_call_may_fly(const struct weir_client *c, enum weir_class class);

/* weir_call_is_ready tells whether a waiting call could be taken up now. */
bool weir_call_is_ready(const struct weir_client *c);

/* weir_wallet_observe takes note of a caller's |ask| and returns the wallet for it, or NULL when
 * such calls have none: new attempts have none either, because the coordinator counts them. A
 * wallet that was used longest ago makes room, and returns what it holds.
 */
struct weir_wallet *weir_wallet_observe(struct weir_client *c, const struct weir_msg_ask *ask,
                                        weir_tstamp now);

/* weir_wallet_pick returns a lease of |wallet| that |ask| may use now, or NULL. */
struct weir_call *weir_wallet_pick(struct weir_client *c, const struct weir_wallet *wallet,
                                   const struct weir_msg_ask *ask, weir_tstamp now);

/* weir_wallet_plan decides how many leases |wallet| wants. */
void weir_wallet_plan(struct weir_client *c, struct weir_wallet *wallet, weir_tstamp now);

/* weir_wallet_granted learns from the grant of |call|, and keeps it if it is a standing one. */
void weir_wallet_granted(struct weir_client *c, struct weir_call *call, weir_tstamp now);

/* weir_wallet_busy hears that others wait for what |call| asked for. */
void weir_wallet_busy(struct weir_client *c, const struct weir_call *call, weir_tstamp now);

/* weir_wallet_rejected hears that upstream rejected |call|: what is held for such calls goes back.
 */
void weir_wallet_rejected(struct weir_client *c, const struct weir_call *call, weir_tstamp now);

/* weir_wallet_state hears of the breaker of a pool: unless it is closed, what is held of the pool
 * goes back, and nothing of it is leased ahead. */
void weir_wallet_state(struct weir_client *c, const struct weir_msg_state *state, weir_tstamp now);

/* weir_wallet_forget forgets all breakers: a new session is told of those that are not closed. */
void weir_wallet_forget(struct weir_client *c);

/* weir_wallet_due decides what becomes of a standing |call| whose timer is due. */
void weir_wallet_due(struct weir_client *c, struct weir_call *call, weir_tstamp now);

/* weir_wallet_withdraw takes back the standing asks without an answer: there is no session. */
void weir_wallet_withdraw(struct weir_client *c);

/* weir_wallet_is_ready tells whether a standing ask may be wanted and could be sent now. */
bool weir_wallet_is_ready(const struct weir_client *c);

/* weir_wallet_take_up makes the next standing ask, to be sent at once; false when none is wanted
 * any more. */
bool weir_wallet_take_up(struct weir_client *c, weir_tstamp now);

/* weir_wallet_check asserts the invariants of all wallets. */
void weir_wallet_check(const struct weir_client *c);

/* weir_wallet_is_broken tells whether the breaker of |pool| is known not to be closed. */
bool weir_wallet_is_broken(const struct weir_client *c, const char *pool);

/* weir_wallet_broken_until returns before when no call of |pool| goes at all, as far as was told;
 * an instant that has passed when calls go. */
weir_tstamp weir_wallet_broken_until(const struct weir_client *c, const char *pool);

/* weir_call_isolate makes |call|, which waits or is asked, one that is held without a lease, with a
 * number of its own, and returns it; what was asked is taken back. NULL when there is no room. */
struct weir_call *weir_call_isolate(struct weir_client *c, struct weir_call *call);

/* weir_island_told takes in an ISLAND. */
void weir_island_told(struct weir_client *c, const struct weir_msg *msg, weir_tstamp now);

/* weir_island_learn remembers what |call| was granted, for calls of the same name. */
void weir_island_learn(struct weir_client *c, const struct weir_call *call);

/* weir_island_serve lets through what waits, if there is no session, as far as parts allow. */
void weir_island_serve(struct weir_client *c, weir_tstamp now);

/* weir_island_ask does so for a new |call| alone. */
void weir_island_ask(struct weir_client *c, struct weir_call *call, weir_tstamp now);

/* weir_island_settled learns from what became of |call|, which is out of an island. */
void weir_island_settled(struct weir_client *c, const struct weir_call *call,
                         const struct weir_client_settle *settle, weir_tstamp now);

/* weir_island_ended hears that |call| is no longer out of its island. */
void weir_island_ended(struct weir_client *c, struct weir_call *call);

/* weir_island_check asserts the invariants of all islands. */
void weir_island_check(const struct weir_client *c);

/* weir_send_fill writes what has to be said into |update|, as far as there is room. */
void weir_send_fill(struct weir_client *c, weir_tstamp now, struct weir_client_update *update);

/* weir_send_is_pending tells whether something has to be said at once. */
bool weir_send_is_pending(const struct weir_client *c);

/* weir_send_time returns when the message |mark| was sent, false when that is not known any more.
 */
bool weir_send_time(const struct weir_client *c, uint64_t mark, weir_tstamp *ret_at);

#endif
