/* client.h - one instance's side of the conversation with the coordinator, as a pure machine.
 *
 *   update.messages_max = WEIR_CLIENT_MESSAGES_MAX;
 *   weir_client_step(c, &event, &update);  // decide
 *   put update.messages on the wire, hand update.results to who asked
 *   step again with TIMEOUT at update.wake, or with the next event
 *
 * A call's life:
 *
 *   ASK -> waiting -> asked -> held -> leased -> (SETTLE)
 *             |         |        |
 *             +---------+--------+-> timed out, denied, unreachable, cancelled
 *
 * waiting: no session, or no credit at the coordinator. asked: ASK was sent; in a new session it
 * is sent again. held: granted, but its start has not come; GRANTED is reported at the start, never
 * early. leased: the caller has it. A call that ends while it is asked stays as "withdrawn" until
 * the coordinator is known to have heard of it, so that a grant that crosses is given back.
 *
 * A lease ends by this machine's own clock, counted from the sending of the message that the GRANT
 * echoes: the coordinator cannot have made the grant before that. Clocks are never compared.
 *
 * Two messages of one ask differ in nothing but their remaining deadline, so whatever is lost on
 * the way can be sent again. Final settlements are kept until the coordinator acknowledges them,
 * the oldest making room; of the others each call keeps its last one, which is sent once in a
 * session and dropped with the call, so that they take nothing from the final ones.
 *
 * Wallets: of calls that come steadily, some leases are asked for ahead of need and held, so that
 * the next calls start without a round trip (PROTOCOL.md, section 6, standing leases):
 *
 *   ASK is_standing -> held in the wallet -> a fitting call: leased, as above
 *                          |
 *                          +-> given back: a quarter of its ttl is left, or the calls have ceased
 *
 * There is a wallet for each model and tenant of the online calls for one request, immediate ones
 * included. It wants as many leases as calls come in half a ttl, a second at most (docs of the
 * constants below), and none when that is less than one, when the coordinator said that others
 * wait, while the breaker of the pool is not closed, or where grants are reported. New attempts ask
 * as if there were no wallets, because the coordinator counts them.
 *
 * Islands: of some pools the coordinator tells this instance a part that it may use without it, for
 * a time. While there is no session, calls are held and leased out of that part as far as it goes,
 * those first that were asked before; what the coordinator may still grant them is given back. A
 * call's pool and model are those that its name was granted last, and so is what becomes of the
 * rest: it waits, it fails, or it goes without limit. In a new session the coordinator hears of
 * each such call by a SETTLE that names the pool.
 *
 * Owner: the caller owns storage, events and updates; the machine keeps no pointer into them.
 * One thread at a time. Cost of a step: O(log n) plus what it sends and reports; no allocation.
 */
#ifndef WEIR_CLIENT_H
#define WEIR_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/err.h>
#include <weir/msg.h>
#include <weir/time.h>

#define WEIR_CLIENT_MESSAGES_MAX 64
#define WEIR_CLIENT_RESULTS_MAX  64

/* HELLO is said again after a random time in this range, until WELCOME comes. */
#define WEIR_CLIENT_HELLO_MIN_US (250 * WEIR_US_PER_MS)
#define WEIR_CLIENT_HELLO_MAX_US (500 * WEIR_US_PER_MS)

/* A lease that nobody settles is forgotten this long after its end: the coordinator has then
 * counted it as lost. */
#define WEIR_CLIENT_LEASE_GRACE_US (10 * WEIR_US_PER_MIN)

/* Wallets of one instance; another model or tenant takes the place of that used longest ago. */
#define WEIR_CLIENT_WALLETS 16

/* Pools that an instance may use without the coordinator, and names of which it remembers what they
 * were granted as. */
#define WEIR_CLIENT_ISLANDS      16
#define WEIR_CLIENT_ISLAND_NAMES 32

/* The coordinator counts as away when there was no session for so long: calls fail or go without
 * limit then, where their pool says so. */
#define WEIR_CLIENT_AWAY_US WEIR_US_PER_S

/* No wallet holds more leases than this. */
#define WEIR_CLIENT_WALLET_MAX 64

/* Leases are held for calls that come within half a ttl, but not longer than this: what is held is
 * missing elsewhere. With shorter ttls than the least nothing is held. */
#define WEIR_CLIENT_HOLD_MAX_US     WEIR_US_PER_S
#define WEIR_CLIENT_HOLD_TTL_MIN_US (50 * WEIR_US_PER_MS)

/* After a sign that others wait nothing is leased ahead for a time that is drawn from d to 2 d; d
 * begins at the least and doubles up to the most, until a standing ask is granted. */
#define WEIR_CLIENT_QUIET_MIN_US WEIR_US_PER_S
#define WEIR_CLIENT_QUIET_MAX_US (30 * WEIR_US_PER_S)

struct weir_client; /* lives in the caller's storage */

struct weir_client_config {
  uint32_t calls_max;       /* waiting, asked and leased together; at least 1 */
  uint32_t settlements_max; /* final ones kept until acknowledged; at least 1 */
  uint32_t wallet_max;      /* leases held ahead for one kind of calls; 0: none */
  uint8_t instance[WEIR_INSTANCE_SIZE];
  uint64_t seed;             /* of the jitter */
  enum weir_without without; /* where it is stricter than what a pool says; 0: never */
  char name[WEIR_NAME_SIZE];
};

enum weir_client_event_type {
  WEIR_CLIENT_LINK = 1, /* the transport came up, went down or was refused: |is_up|, |is_refused| */
  WEIR_CLIENT_RECEIVED, /* |msg| */
  WEIR_CLIENT_UNSENT,   /* messages of an update could not be sent: they count as lost */
  WEIR_CLIENT_ASK,      /* |cookie|, |context|, |ask| */
  WEIR_CLIENT_CANCEL,   /* |cookie| */
  WEIR_CLIENT_SETTLE,   /* |cookie|, |settle| */
  WEIR_CLIENT_CLOSE,    /* say BYE; no result and no other event follows, but TIMEOUT may */
  WEIR_CLIENT_TIMEOUT   /* the wake instant has come, or there is room for messages again */
};

struct weir_client_ask {
  struct weir_msg_ask msg; /* |seq|, |deadline_us| and |is_standing| are filled in by the machine */
  weir_duration wait_us;   /* a result comes within this */
  bool is_immediate;       /* do not queue at the coordinator: now or never */
};

struct weir_client_settle {
  struct weir_msg_settle msg; /* |seq| and |sent_ago_us| are filled in by the machine */
  weir_tstamp sent_at;        /* when the request was written, if |msg.is_sent| */
};

struct weir_client_event {
  enum weir_client_event_type type;
  weir_tstamp now; /* never goes back */
  uint64_t cookie; /* names a call; the caller uses each once */
  uint64_t context;
  bool is_up;
  bool is_refused; /* down, because the coordinator does not take this instance's key: who waits is
                      told so at once. It may come up all the same, later */
  const struct weir_msg *msg;
  const struct weir_client_ask *ask;
  const struct weir_client_settle *settle;
};

enum weir_client_result_type {
  WEIR_CLIENT_GRANTED = 1, /* |expires_at|, |grant|; the call is leased until it is settled */
  WEIR_CLIENT_DENIED,      /* |deny| */
  WEIR_CLIENT_TIMED_OUT,
  WEIR_CLIENT_UNREACHABLE, /* the coordinator did not answer; |refusal| says why if it is known */
  WEIR_CLIENT_CANCELLED
};

struct weir_client_result {
  enum weir_client_result_type type;
  uint64_t cookie, context; /* as in ASK */
  weir_duration wait_us;    /* since ASK */
  bool is_queued;           /* the coordinator let it wait */
  bool is_island;           /* granted without the coordinator, out of this instance's part */
  bool is_open;             /* without it, and without any limit, as its pool says */
  weir_tstamp expires_at;
  enum weir_refusal refusal;
  struct weir_msg_grant grant;
  struct weir_msg_deny deny;
};

struct weir_client_update {
  uint32_t messages_max; /* set by the caller: room for this many, at most the array's size */
  uint32_t messages_count, results_count;
  weir_tstamp wake; /* of the next TIMEOUT; not later than now when more waits to be sent */
  struct weir_msg messages[WEIR_CLIENT_MESSAGES_MAX]; /* in this order */
  struct weir_client_result results[WEIR_CLIENT_RESULTS_MAX];
};

enum weir_client_state {
  WEIR_CLIENT_DOWN = 1,   /* no transport */
  WEIR_CLIENT_CONNECTING, /* HELLO is on its way */
  WEIR_CLIENT_OPEN,       /* in session */
  WEIR_CLIENT_REFUSED,    /* the coordinator will not talk to us; a new transport tries again */
  WEIR_CLIENT_CLOSED,
  WEIR_CLIENT_STATE_MAX
};

struct weir_client_status {
  enum weir_client_state state;
  enum weir_refusal refusal;    /* the last one, 0 without */
  uint64_t epoch;               /* of the coordinator of the last session */
  uint64_t sessions;            /* opened so far */
  uint64_t settlements_dropped; /* final ones: too many waited for their acknowledgement */
  uint32_t calls, settlements;  /* kept now; of the settlements, the final ones */
  uint32_t standing;            /* leases held ahead of need now */
  uint64_t claims;              /* calls that got such a lease */
  uint32_t islands;             /* pools that it was told it may use without the coordinator */
  uint64_t island_calls;        /* calls that did */
};

/* weir_client_size returns the bytes of storage for |config|. */
size_t weir_client_size(const struct weir_client_config *config);

/* weir_client_init makes a machine without transport in |storage| (weir_client_size bytes, aligned
 * as malloc does) and returns it. */
struct weir_client *weir_client_init(void *storage, const struct weir_client_config *config);

/* weir_client_step takes one event and fills |update|.
 *
 * Fails, changing nothing of the calls (|update| is filled even so), with:
 *   WEIR_EFULL   ASK: calls_max are there
 *   WEIR_ENOENT  CANCEL: no such call waits; SETTLE: no such call is leased */
WEIR_MUSTUSE enum weir_err weir_client_step(struct weir_client *c,
                                            const struct weir_client_event *event,
                                            struct weir_client_update *update);

/* weir_client_wake returns the instant of the next TIMEOUT, or WEIR_NEVER. */
weir_tstamp weir_client_wake(const struct weir_client *c);

/* weir_client_show writes what there is to see. */
void weir_client_show(const struct weir_client *c, struct weir_client_status *ret_status);

/* weir_client_check asserts every invariant; O(everything), for tests and simulation. */
void weir_client_check(const struct weir_client *c);

/* weir_client_digest returns a hash of the state: equal runs have equal digests. */
uint64_t weir_client_digest(const struct weir_client *c);

#endif
