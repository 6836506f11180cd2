/* msg.h - every message of weir's wire as a plain struct. PROTOCOL.md is normative.
 *
 * State machines exchange these structs; only the shells turn them into bytes (codec.h). Strings
 * are NUL-terminated within their arrays. Times are durations in microseconds: clocks are never
 * compared across the wire.
 */
#ifndef WEIR_MSG_H
#define WEIR_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/time.h>
#include <weir/vocab.h>

#define WEIR_PROTOCOL_VERSION     1
#define WEIR_PROTOCOL_VERSION_MIN 1

#define WEIR_INSTANCE_SIZE  16
#define WEIR_NAME_SIZE      64 /* instance names, model names, version texts; with the NUL */
#define WEIR_POOL_NAME_SIZE 32
#define WEIR_TENANT_SIZE    32   /* name of a tenant with its NUL */
#define WEIR_LIMITS_MAX     8    /* limits of one pool */
#define WEIR_SEQ_WINDOW     1024 /* numbers of asks that the coordinator remembers of an instance */
#define WEIR_TOKENS_MAX     (UINT64_C(1) << 30) /* of one call; 2^33 of them still fit 63 bits */
#define WEIR_AMOUNT_MAX     (UINT64_C(1) << 62) /* of a limit, a use, a cost in a report */
#define WEIR_REQUESTS_MAX   (UINT64_C(1) << 20)
#define WEIR_CHOICES_MAX    16  /* models of one route */
#define WEIR_ATTEMPTS_MAX   100 /* of one call */
#define WEIR_RATIO_MAX_PM   1000000
#define WEIR_DURATION_MAX   (UINT64_C(400) * 24 * WEIR_US_PER_HOUR)

/* X(name, value, text, direction): S = shim to coordinator, C = coordinator to shim */
#define WEIR_MSG_LIST(X)                                                                           \
  X(HELLO, 1, "HELLO", S)                                                                          \
  X(WELCOME, 2, "WELCOME", C)                                                                      \
  X(REFUSE, 3, "REFUSE", C)                                                                        \
  X(ASK, 4, "ASK", S)                                                                              \
  X(GRANT, 5, "GRANT", C)                                                                          \
  X(QUEUED, 6, "QUEUED", C)                                                                        \
  X(DENY, 7, "DENY", C)                                                                            \
  X(SETTLE, 8, "SETTLE", S)                                                                        \
  X(CANCEL, 9, "CANCEL", S)                                                                        \
  X(PING, 10, "PING", S)                                                                           \
  X(PONG, 11, "PONG", C)                                                                           \
  X(BYE, 12, "BYE", S)                                                                             \
  X(SHOW, 13, "SHOW", S)                                                                           \
  X(ROW, 14, "ROW", C)                                                                             \
  X(STATE, 15, "STATE", C)                                                                         \
  X(STEER, 16, "STEER", S)                                                                         \
  X(ISLAND, 17, "ISLAND", C)

#define X(name, value, text, direction) WEIR_MSG_##name = (value),
enum weir_msg_type { WEIR_MSG_LIST(X) WEIR_MSG_MAX };
#undef X

/* Why the coordinator will not talk: the shim says HELLO again, or gives up. */
#define WEIR_REFUSAL_LIST(X)                                                                       \
  X(VERSION, 1, "version")     /* no common protocol version: give up */                           \
  X(SESSION, 2, "session")     /* unknown or ended session: say HELLO */                           \
  X(FULL, 3, "full")           /* the session table is full: say HELLO later */                    \
  X(STALE, 4, "stale")         /* a newer incarnation of this instance is known: give up */        \
  X(FORBIDDEN, 5, "forbidden") /* the peer's key does not have the right: give up */
#define X(name, value, text) WEIR_REFUSAL_##name = (value),
enum weir_refusal { WEIR_REFUSAL_LIST(X) WEIR_REFUSAL_MAX };
#undef X

#define WEIR_VIEW_LIST(X)                                                                          \
  X(TOTALS, 1, "totals")     /* one row: counters of the whole coordinator */                      \
  X(POOLS, 2, "pools")       /* a row a pool */                                                    \
  X(BUDGETS, 3, "budgets")   /* a row a shared budget or one of a tenant */                        \
  X(TENANTS, 4, "tenants")   /* a row a tenant of a class of a pool; the busiest only */           \
  X(SESSIONS, 5, "sessions") /* a row an open session */                                           \
  X(SLOW, 6, "slow")         /* a row a call: the slowest that ended lately */
#define X(name, value, text) WEIR_VIEW_##name = (value),
enum weir_view { WEIR_VIEW_LIST(X) WEIR_VIEW_MAX };
#undef X

/* Numbers of a row beside its fields; 0 stands for what is not told. */
#define WEIR_FIGURE_LIST(X)                                                                        \
  X(VIEWS, 1, "views")                       /* totals: the highest view that can be shown */      \
  X(OLDEST_ONLINE_US, 2, "oldest_online_us") /* the longest that anybody in the class waits */     \
  X(OLDEST_BATCH_US, 3, "oldest_batch_us")                                                         \
  X(WAIT_P50_US, 4, "wait_p50_us") /* from ask to grant, lately */                                 \
  X(WAIT_P95_US, 5, "wait_p95_us")                                                                 \
  X(WAIT_P99_US, 6, "wait_p99_us")                                                                 \
  X(HEAD_LIMIT, 7, "head_limit")       /* what the next one waits for: limit n, from 1, of |by| */ \
  X(HEAD_START_US, 8, "head_start_us") /* until there is room for it, as the books show */         \
  X(HEAD_COST, 9, "head_cost")         /* what it weighs in that limit */                          \
  X(INPUT_TOKENS, 10, "input_tokens")  /* settled since the start */                               \
  X(OUTPUT_TOKENS, 11, "output_tokens")                                                            \
  X(SPEND, 12, "spend")                                                                            \
  X(REJECTED_FOREIGN, 13, "rejected_foreign") /* quota rejections laid to a foreign spender */     \
  X(RATIO_PM, 14, "ratio_pm")                 /* use of estimates, as in GRANT */                  \
  X(RATIO_ERROR_PM, 15, "ratio_error_pm")                                                          \
  X(OVERSHOOT, 16, "overshoot") /* grants that took a limit above what is kept: a defect */        \
  X(SHARE_PM, 17, "share_pm")   /* of the quota, used in the last minute; capped at 10^6 */        \
  X(WEIGHT, 18, "weight")                                                                          \
  X(CLASS, 19, "class")             /* a class */                                                  \
  X(SILENT_US, 20, "silent_us")     /* since the session was heard of */                           \
  X(ASKS, 21, "asks")               /* waiting */                                                  \
  X(HEAD_BUDGET, 22, "head_budget") /* 1: |by| is a budget */                                      \
  X(TODAY_SPEND, 23, "today_spend") /* of calls that ended today; what follows is 0: not told */   \
  X(TODAY_DAY, 24, "today_day")     /* whose day: enum weir_row_day */                             \
  X(TODAY_US, 25, "today_us")       /* it was counted so long: not the whole day after a start */  \
  X(TODAY_LEFT_US, 26, "today_left_us") /* until the day is over */                                \
  X(ENDED_US, 27, "ended_us")           /* slow: so long ago */                                    \
  X(WAITED_US, 28, "waited_us")         /* from its ask to its start */                            \
  X(TOOK_US, 29, "took_us")             /* from its writing to the end of the answer */            \
  X(OUTCOME, 30, "outcome")             /* an outcome; 0: it has none */                           \
  X(HTTP, 31, "http")                   /* status; 0: there was none */
#define X(name, value, text) WEIR_FIGURE_##name = (value),
enum weir_figure { WEIR_FIGURE_LIST(X) WEIR_FIGURE_MAX };
#undef X

/* Whose day a figure of today is about. */
enum weir_row_day {
  WEIR_ROW_DAY_UTC = 1,
  WEIR_ROW_DAY_LIMIT /* that of a limit by the calendar day, in its time zone */
};

#define WEIR_INSTANCE_TEXT_SIZE (2 * WEIR_INSTANCE_SIZE + 1)

struct weir_msg_hello {
  uint8_t instance[WEIR_INSTANCE_SIZE]; /* random, drawn when the process (or fork) starts */
  uint64_t incarnation;                 /* grows with every new session of this instance */
  uint32_t version_min, version_max;
  char name[WEIR_NAME_SIZE]; /* for people: "checkout-7f9c:4711" */
  bool takes_islands;        /* ISLAND is understood, and may be sent */
};

struct weir_msg_welcome {
  uint64_t epoch; /* of this coordinator; grows with every start */
  uint32_t version;
  uint64_t heartbeat_us;            /* send something at least this often */
  uint64_t session_ttl_us;          /* silence after which the session ends */
  uint32_t asks_max;                /* asks this session may have waiting */
  char coordinator[WEIR_NAME_SIZE]; /* its version, for people */
};

struct weir_msg_refuse {
  enum weir_refusal why;
  uint64_t retry_in_us; /* 0: at once */
};

struct weir_msg_ask {
  uint64_t seq; /* grows with every ask of the instance; names ask, lease and settle */
  char model[WEIR_NAME_SIZE]; /* pool, "provider/model" or route */
  enum weir_class class;
  uint64_t requests;             /* 1 .. WEIR_REQUESTS_MAX */
  uint64_t input_tokens;         /* estimate, 0 .. WEIR_TOKENS_MAX */
  uint64_t output_tokens;        /* upper bound (max_tokens) or estimate */
  uint64_t deadline_us;          /* must be able to start within this; 0 asks for "now or never" */
  char tenant[WEIR_TENANT_SIZE]; /* on whose behalf, for fair shares; "": nobody in particular */
  bool is_standing;            /* ahead of need: only now, and only while there is room to spare */
  uint32_t attempts;           /* of this call that were sent before */
  uint64_t avoid;              /* bit n - 1: choice n of the route has failed this call */
  char prefer[WEIR_NAME_SIZE]; /* "provider/model" of the route to take if it can be; "": any */
};

struct weir_msg_grant {
  uint64_t seq;
  uint64_t start_in_us; /* counted by the shim from receipt: never early */
  uint64_t ttl_us;      /* length of the interval in which the request must be written */
  uint64_t since_us;    /* between the receipt of |mark| and this grant, on the coordinator's clock:
                           the grant was made no earlier than sent(mark) + since */
  char pool[WEIR_POOL_NAME_SIZE];
  char model[WEIR_NAME_SIZE]; /* what the route resolved to: "provider/model" */
  bool is_reported;           /* settle (not final) as soon as the request is written: the window
                                 is so short that the end of the call would be late */
  uint32_t choice, choices;   /* this is choice n of so many of the route; 0: asked for itself */
  uint64_t timeout_us;        /* of the transfer, as configured; 0: not told */
  bool is_probe;              /* what becomes of it decides on the pool's breaker */
  /* What calls of this pool and tenant used of what was estimated for them, in thousandths, and how
   * much that varies (one sigma); 0: not known. */
  uint64_t ratio_pm, ratio_error_pm;
  /* What the pool's own limits leave the whole project as of this grant, it included: of requests
   * and of input tokens or all tokens the limit of which least is left. A limit of 0: none, or not
   * told. */
  uint64_t requests_limit, requests_left, tokens_limit, tokens_left;
  /* What becomes of calls of this pool while the coordinator does not answer; 0: they wait. */
  enum weir_without without;
};

struct weir_msg_queued {
  uint64_t seq;
  uint64_t eta_us;
  uint32_t ahead; /* asks before this one in its pool and class */
};

struct weir_msg_deny {
  uint64_t seq;
  enum weir_denial why;
  uint64_t retry_in_us; /* earliest start as far as is known; WEIR_DURATION_MAX: never */
  /* The limit that binds, if one does (|amount| > 0). */
  enum weir_dimension dimension;
  uint64_t window_us, cost, amount;
  char pool[WEIR_POOL_NAME_SIZE];
};

struct weir_msg_settle {
  uint64_t seq;
  bool is_sent;              /* false: the lease was not used, everything comes back */
  bool is_final;             /* false: usage known so far; another settle follows */
  bool has_usage;            /* input_tokens and output_tokens are the provider's figures */
  uint64_t sent_ago_us;      /* between the writing of the request and this message */
  enum weir_outcome outcome; /* 0: no call was made, or it has not ended */
  uint32_t http;             /* status, 0 when there was none */
  uint64_t input_tokens, output_tokens;
  uint64_t retry_after_us; /* as stated by the provider; 0: not stated */
  uint64_t latency_us;     /* from the writing of the request to the end of the answer */
  uint64_t stated_limit;   /* the amount that a rejection named as its limit; 0: none */
  uint64_t stated_used;    /* what it named as used of it; 0: nothing named */
  /* What headers said of the minute's limits; a limit of 0: nothing was said. */
  uint64_t requests_limit, requests_left, tokens_limit, tokens_left;
  uint64_t estimated_tokens; /* input as it was estimated, before any correction; 0: not told */
  char island[WEIR_POOL_NAME_SIZE]; /* there is no lease: the call was made without the coordinator,
                                       out of the instance's part of this pool; "": with a lease */
};

struct weir_msg_cancel {
  uint64_t seq;
};

struct weir_msg_pong {
  uint64_t epoch;
};

struct weir_msg_show {
  enum weir_view view;
  uint32_t row;
};

struct weir_msg_row_limit {
  enum weir_dimension dimension;
  uint64_t window_us, amount, used; /* used: charged in the window now, leases included */
  uint64_t effective; /* what is kept now: less than |amount| after a cut, or by a ramp; 0: not
                         told, |amount| */
  bool is_shadow;     /* counted, not enforced */
  uint64_t leased;    /* what open leases are charged of |used| at most */
  uint64_t stated;    /* what upstream named, when that is less than |amount|; 0: nothing */
  uint64_t closed_us; /* nothing fits for so long: used up by what is not in the books */
  uint64_t half_us;   /* until half of |used| has come back, as the books show; 0: not told */
  uint64_t islands;   /* beside |amount|: what instances without the coordinator may use */
  uint64_t ramp; /* what use may have grown to by now, after upstream said that it grew too fast,
                    when that is less than upstream allows; 0: it grows freely */
  bool is_day;   /* a calendar day of some zone, of which none is longer than |window_us| */
};

/* Counters of a row: by enum weir_counter, or by enum weir_outcome. */
#define WEIR_ROW_COUNTERS                                                                          \
  ((int)WEIR_COUNTER_MAX > (int)WEIR_OUTCOME_MAX ? (int)WEIR_COUNTER_MAX : (int)WEIR_OUTCOME_MAX)

struct weir_msg_row {
  enum weir_view view;
  uint32_t row, rows; /* rows = 0: the view is empty and the rest unset */
  uint64_t epoch, uptime_us;
  /* totals */
  uint32_t sessions, pools;
  uint64_t counters[WEIR_ROW_COUNTERS]; /* by enum weir_counter; [0] unused. Of a pool: settled
                                           calls by enum weir_outcome */
  /* pools, budgets */
  char pool[WEIR_POOL_NAME_SIZE];
  uint32_t limits_count;
  struct weir_msg_row_limit limits[WEIR_LIMITS_MAX];
  uint32_t queued[WEIR_CLASS_MAX]; /* by enum weir_class; [0] unused */
  uint32_t leases;                 /* granted and not settled */
  uint64_t grants, rejected_429;   /* since start */
  uint64_t frozen_us;              /* no grant for this long, because of what upstream said */
  enum weir_profile profile;       /* the gates that it keeps now; 0: not told */
  enum weir_breaker_state breaker; /* 0: not told */
  uint64_t open_us;                /* until the breaker probes; WEIR_DURATION_MAX: held open */
  uint32_t probes;                 /* out, or gone well, in this half-open period */
  uint64_t retries;                /* grants for new attempts since start */
  uint64_t latency_p50_us, latency_p95_us, latency_p99_us; /* of good calls; 0: none yet */
  uint64_t figures[WEIR_FIGURE_MAX];                       /* by enum weir_figure; [0] unused */
  char by[WEIR_POOL_NAME_SIZE];           /* pool or budget whose limit the next one waits for */
  char tenant[WEIR_TENANT_SIZE];          /* tenants: its name, perhaps ""; |pool| is its pool.
                                             sessions: that its key is bound to; "": to none */
  char instance[WEIR_INSTANCE_TEXT_SIZE]; /* sessions, slow: hexadecimal */
  uint32_t islands;          /* instances that have a part of it to use without the coordinator */
  uint64_t island_calls;     /* that instances made so, as they told since start */
  enum weir_without without; /* what its calls do then, as it is configured; 0: not told */
};

/* What shims are told of a pool when it changes. */
struct weir_msg_state {
  char pool[WEIR_POOL_NAME_SIZE]; /* "": the pool asked about is not there */
  enum weir_breaker_state breaker;
  bool is_held;       /* by an operator */
  uint64_t open_us;   /* until it probes; WEIR_DURATION_MAX: held open */
  uint64_t closed_us; /* nothing starts for so long: a limit by the day is used up; 0: none is */
};

struct weir_msg_steer {
  char pool[WEIR_POOL_NAME_SIZE];
  enum weir_steer steer;
};

/* What an instance may use of one dimension by itself: every interval of t microseconds holds at
 * most burst + t * amount / window. */
struct weir_msg_island_part {
  enum weir_dimension dimension; /* REQUESTS .. TOTAL_TOKENS */
  uint64_t amount, window_us, burst;
};

/* What an instance may do in a pool while it has no session. A later one replaces an earlier one.
 */
struct weir_msg_island {
  char pool[WEIR_POOL_NAME_SIZE];
  uint64_t for_us;  /* since the sending of |mark|; 0: nothing any more */
  uint64_t ttl_us;  /* a call must be written within this after it was let through */
  uint64_t idle_us; /* nobody used this part for so long before this message, but its holder */
  uint32_t parts_count;
  struct weir_msg_island_part parts[WEIR_LIMITS_MAX];
};

/* A message. |session| is the token of WELCOME (0 in HELLO, and in SHOW without a session).
 * |mark| in a message of the shim numbers it (from 1, growing); in one of the coordinator it echoes
 * the last mark received in that session: everything up to it has been processed. */
struct weir_msg {
  enum weir_msg_type type;
  uint64_t session;
  uint64_t mark;
  union {
    struct weir_msg_hello hello;
    struct weir_msg_welcome welcome;
    struct weir_msg_refuse refuse;
    struct weir_msg_ask ask;
    struct weir_msg_grant grant;
    struct weir_msg_queued queued;
    struct weir_msg_deny deny;
    struct weir_msg_settle settle;
    struct weir_msg_cancel cancel;
    struct weir_msg_pong pong;
    struct weir_msg_show show;
    struct weir_msg_row row;
    struct weir_msg_state state;
    struct weir_msg_steer steer;
    struct weir_msg_island island;
  };
};

/* weir_msg_name returns "ASK" for WEIR_MSG_ASK, "?" outside the list. Static storage. */
const char *weir_msg_name(enum weir_msg_type type);

/* weir_refusal_name, weir_view_name return the word of a value, "?" outside the list. */
const char *weir_refusal_name(enum weir_refusal refusal);
const char *weir_view_name(enum weir_view view);

#endif
