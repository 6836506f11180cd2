/* ledger.h - the books of one budget: what may still reach the provider in every window.
 *
 * A budget has limits; a taken lease may arrive upstream anywhere in [start, arrival_max], and each
 * limit charges it so that no choice of arrivals gets a window over the amount. Which gates a limit
 * keeps beside its window follows from the ledger's profile (docs/LEDGER.md has the derivation):
 *
 *   every profile   ring.h: an exact sliding window; day.h: calendar days; calls in flight
 *   BUCKET          trail.h: any interval x carries at most burst + x * amount / window
 *   PACED           and a ring of |sub_us| for requests
 *   UNIVERSAL       and trail.h: a sliding counter of any phase
 *
 * A lease may be in several ledgers (its pool's, a project's, its tenant's): the caller finds a
 * start that fits all of them, then takes it in each. Leases of a ledger are taken in the order of
 * their starts.
 *
 *   entry: take -> settle ... -> end
 *
 * Owner: the machine owns its ledgers; slots live in storage that it got from its caller.
 * Cost: take, settle and end O(limits); earliest O(limits) while there is room, and a bounded
 * number of slots more when there is not.
 */
#ifndef WEIR_LEDGER_H
#define WEIR_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/calendar.h>
#include <weir/config.h>
#include <weir/day.h>
#include <weir/line.h>
#include <weir/msg.h>
#include <weir/ramp.h>
#include <weir/record.h>
#include <weir/ring.h>
#include <weir/time.h>
#include <weir/trail.h>
#include <weir/wide.h>

/* The slots of one ledger (slots.h): each limit's ring and trail, and the ring of sub-windows, each
 * a row apart. All ledgers are at about the same slot at the same time: at distances of powers of
 * two, those slots would drive each other out of the same few places of a cache. */
#define WEIR_LEDGER_GAP WEIR_SLOTS_ROW
#define WEIR_LEDGER_LIMIT_SLOTS                                                                    \
  (WEIR_RING_SLOTS + WEIR_LEDGER_GAP + WEIR_TRAIL_SLOTS + WEIR_LEDGER_GAP)
#define WEIR_LEDGER_SLOTS                                                                          \
  ((size_t)WEIR_LIMITS_MAX * WEIR_LEDGER_LIMIT_SLOTS + WEIR_RING_SLOTS + WEIR_LEDGER_GAP)

/* Smoothness is asked of windows up to this length; longer ones are kept as windows only, unless
 * their burst is configured: no provider is known that smooths an hour or a day. */
#define WEIR_LEDGER_SMOOTH_MAX_US (10 * WEIR_US_PER_MIN)

/* Spread of delays that stray rejections can add to a pool's jitter. */
#define WEIR_LEDGER_WIDEN_MAX_US (500 * WEIR_US_PER_MS)

/* Free space kept for the error of the estimates of everything unsettled, in sigmas. */
#define WEIR_LEDGER_SIGMAS 4

/* What one lease costs, before it is seen through a limit's dimension. */
struct weir_cost {
  uint64_t requests, input_tokens, output_tokens;
  uint64_t spend; /* millionths of the currency */
};

struct weir_ledger_config {
  uint32_t limits_count;
  const struct weir_limit_config *limits;
  const struct weir_rules_config *rules;
  weir_duration hold_us; /* longest ttl + jitter of the leases that spend it */
  /* Calls that are in no book arrive by then; they keep to what is enforced until now and not to
   * what is new. 0: there are none. */
  weir_tstamp others_until;
};

/* A lease as ledgers know it. */
struct weir_ledger_entry {
  struct weir_cost cost;    /* charged now */
  struct weir_cost reserve; /* as it was asked for: what prepaid limits charge */
  uint64_t number;          /* the machine numbers its leases, over all ledgers */
  weir_tstamp start;        /* earliest arrival */
  weir_tstamp arrival_max;  /* latest possible arrival known so far */
  uint32_t error_pm; /* of the estimate, one sigma, until the end (input: until |is_known|) */
  bool is_void;      /* never sent: charged nowhere */
  bool is_known;     /* |cost| has the input that the provider reported */
  bool is_open;      /* until weir_ledger_end */
};

/* What is durable of a limit, beside what is left of its reserve (kept.c). */
struct weir_reserve {
  uint64_t largest; /* call lately */
  uint64_t freed;   /* of what the last record holds */
  uint64_t next;    /* the reserve of the record that is being written, */
  uint64_t before;  /* and |left| when that was made */
  uint64_t ghosts;  /* IN_FLIGHT: calls of a former life, */
  weir_tstamp ghosts_until;
  uint64_t unsure;       /* of a former life, charged on the day that it is when that is known, */
  weir_tstamp unsure_at; /* arriving until then */
};

/* How soon a ledger is to be kept again. */
enum weir_urge {
  WEIR_URGE_NONE = 0,
  WEIR_URGE_LEISURE, /* its records hold more than is true */
  WEIR_URGE_SOON,    /* its reserve is half used, or upstream said something */
  WEIR_URGE_NOW      /* a grant waits for it */
};

#define WEIR_LEDGER_VARIANCES UINT64_C(16) /* more blocks than a ring reaches over */

/* What every lease asks for stands first, in four lines of a cache, or five where a store is kept:
 * with a thousand ledgers, time goes by the line. */
struct weir_ledger_limit {
  /* Of |config|, worked out once. */
  WEIR_LINE uint8_t dimension; /* enum weir_dimension */
  bool is_windowed;            /* kept in its ring: all but calls in flight */
  bool is_smoothable;          /* gates beside the window can apply: it has a trail */
  bool is_estimated;           /* what it counts is an estimate until it is reported */
  bool is_shadow, is_prepaid, is_day;
  uint8_t bit;              /* in what is remembered beside an entry */
  uint64_t effective;       /* kept now: the ceiling, or less by a cut or a ramp */
  uint64_t ceiling;         /* config.amount, or less where upstream stated so */
  weir_tstamp closed_until; /* what was spent before is unknown, or upstream said so */
  uint64_t born_number;     /* leases with a smaller number are not in these books */
  uint64_t flight;          /* IN_FLIGHT */
  uint64_t pace, pace_bits; /* a unit takes pace / 2^pace_bits us of the whole quota */
  weir_wide variance;       /* of the estimates of everything open that is still charged */
  struct weir_ring ring;    /* window */
  struct weir_trail trail;  /* smoothness */
  uint64_t left, low;       /* of the reserve that is durable; and where the next one is due */
  struct weir_reserve reserve;
  struct weir_day day; /* is_day */
  /* |variance| by the ring's blocks: what has not ended needs no room for its error any more when
   * its charge has come back. */
  weir_wide variances[WEIR_LEDGER_VARIANCES];
  struct weir_limit_config config;
  uint64_t cut_from;   /* what was in use when the limit was cut (learn.c); 0: it was not */
  uint64_t cut_amount; /* what that leaves now; the ceiling where it was not */
  weir_tstamp cut_at;
  struct weir_ramp ramp; /* is_smoothable */
};

struct weir_ledger {
  uint32_t limits_count;
  enum weir_profile profile; /* now: at least as strict as the configured one */
  bool has_day, has_sub;
  bool is_kept;                           /* in a store: grants need a durable reserve */
  bool is_writing;                        /* a record of it is under way */
  bool is_news;                           /* upstream said something that no record has */
  enum weir_urge urge;                    /* until the next weir_ledger_keep */
  bool is_calm;                           /* nothing that was heard changes with time */
  weir_tstamp refreshed_at;               /* what time alone changes is as of this instant */
  weir_tstamp turns_at;                   /* until then no slot comes back */
  weir_tstamp start_last;                 /* leases start in the order in which they are taken */
  weir_tstamp frozen_until, smooth_until; /* nothing starts; what starts is smoothed */
  weir_duration widen_us;                 /* added to the spread of delays after stray rejections */
  weir_duration flight_us;                /* how long a call is in flight, a running mean */
  struct weir_cost leased;                /* what open leases are charged */
  uint64_t overshoot; /* takes that left a limit above what is kept: none, or the ledger is wrong */
  struct weir_rules_config rules;
  weir_duration hold_us; /* longest of its leases, but for what stray rejections add */
  uint64_t shape;        /* what its records are about: limits, and what spends them */
  /* PACED: requests in sub-windows. */
  struct weir_ring sub;
  uint64_t sub_born_number;
  weir_duration sub_hold_us; /* that the ring has room for */
  weir_tstamp sub_closed_until;
  /* Rejections that our own books cannot explain (learn.c). */
  uint64_t epoch_number; /* leases from this number on belong to the next epoch of rejections */
  uint32_t epoch_count;
  bool is_epoch_answered;
  weir_tstamp epoch_at, clean_at, tick_at;
  uint64_t ramp_number; /* leases from this number on started under the ramp (ramp.h) */
  uint32_t ramp_slower; /* its growth is halved so many times: it was too fast before */
  struct weir_ledger_limit limits[WEIR_LIMITS_MAX];
};

/* An instant as ledgers see it. */
struct weir_instant {
  weir_tstamp at;
  uint64_t number; /* of the next lease */
  const struct weir_calendar *calendar;
};

/* weir_ledger_init makes an empty ledger of |config| on |slots|, WEIR_LEDGER_SLOTS of them
 * (slots.h) that the caller keeps. */
void weir_ledger_init(struct weir_ledger *l, uint64_t *slots,
                      const struct weir_ledger_config *config, const struct weir_instant *now);

/* weir_ledger_configure applies another configuration while leases are out. A limit known by
 * dimension and window keeps its history and changes its amount: after a cut it shrinks by expiry.
 * A limit that is new to a running ledger is closed for one window and the longest hold, because
 * what was sent before, or by |others_until|, is in no book of ours; only windows longer than
 * WEIR_LEDGER_ASSUME_MAX start empty. One that was in the shadow is closed because of those others.
 * What was learned from upstream is forgotten where the configured amount, its |islands| or the
 * profile changed. */
void weir_ledger_configure(struct weir_ledger *l, const struct weir_ledger_config *config,
                           const struct weir_instant *now);

/* weir_ledger_assume_spent closes every limit until what started by |until| can no longer matter:
 * what a coordinator must assume of its own former life, and of what a reload may have renamed.
 * That life may have known other amounts and longer holds, so no amount would be a safe guess.
 * Windows longer than WEIR_LEDGER_ASSUME_MAX are left alone, or one crash would close a pool for a
 * day. */
#define WEIR_LEDGER_ASSUME_MAX WEIR_US_PER_HOUR
void weir_ledger_assume_spent(struct weir_ledger *l, weir_tstamp until);

/* weir_ledger_used returns what is charged in limit |index| now; the whole amount, at least, while
 * it is closed. */
uint64_t weir_ledger_used(struct weir_ledger *l, uint32_t index, const struct weir_instant *now);

/* weir_ledger_leased returns what open leases are charged in limit |index|. */
uint64_t weir_ledger_leased(const struct weir_ledger *l, uint32_t index);

/* weir_ledger_half_us returns how long it takes, as the books show now, until half of what is
 * charged in limit |index| has come back: 0 when nothing is charged, and for calls in flight. */
weir_duration weir_ledger_half_us(struct weir_ledger *l, uint32_t index,
                                  const struct weir_instant *now);

/* weir_ledger_ramp returns what use of limit |index| may have grown to now (ramp.h), while that is
 * below what upstream allows; else 0. */
uint64_t weir_ledger_ramp(struct weir_ledger *l, uint32_t index, const struct weir_instant *now);

/* weir_ledger_is_cut tells whether a limit is cut because of a foreign spender. */
bool weir_ledger_is_cut(const struct weir_ledger *l);

/* weir_ledger_cost_of returns what |cost| weighs in |dimension|. */
uint64_t weir_ledger_cost_of(const struct weir_cost *cost, enum weir_dimension dimension);

/* weir_ledger_misfit returns the index of the first enforced limit whose amount |cost| exceeds even
 * when it is empty, or -1. */
int weir_ledger_misfit(const struct weir_ledger *l, const struct weir_cost *cost);

/* weir_ledger_earliest returns the first instant at or after |from| at which |entry| (its costs and
 * error; nothing else is read) fits every enforced limit and gate, as far as the books show now;
 * WEIR_NEVER when it can never fit. An answer more than WEIR_LEDGER_HORIZON_US ahead may be early:
 * ask again then. |ret_binding|, if not NULL, gets the index of the limit that decided, or -1 when
 * none did. */
#define WEIR_LEDGER_HORIZON_US (20 * WEIR_US_PER_MS)
weir_tstamp weir_ledger_earliest(struct weir_ledger *l, const struct weir_ledger_entry *entry,
                                 weir_duration hold_us, weir_tstamp from,
                                 const struct weir_instant *now, int *ret_binding);

/* weir_ledger_eta returns when |cost| could start behind |ahead|, which may span many windows: an
 * estimate from today's books, for ETAs and early denials. */
weir_tstamp weir_ledger_eta(struct weir_ledger *l, const struct weir_cost *ahead,
                            const struct weir_cost *cost, weir_tstamp from,
                            const struct weir_instant *now, int *ret_binding);

/* weir_ledger_take charges |entry|, whose fields the caller has filled. |ret_both| gets what this
 * ledger has to remember of it (the bits of limits that charge two days); the caller keeps it
 * beside the entry, one for each ledger. Preconditions: its start is weir_ledger_earliest for it,
 * not before that of an earlier take, at most WEIR_LEDGER_HORIZON_US ahead, and arrival_max - start
 * is at most WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US. */
void weir_ledger_take(struct weir_ledger *l, const struct weir_ledger_entry *entry,
                      const struct weir_instant *now, uint8_t *ret_both);

/* weir_ledger_settle replaces the charge of |before| by that of |after|, the same lease: another
 * cost, an earlier latest arrival (weir_ledger_narrow), never sent, or ended. A cost above the
 * reserve is debt: the window stays full until it has drained. */
void weir_ledger_settle(struct weir_ledger *l, const struct weir_ledger_entry *before,
                        const struct weir_ledger_entry *after, const struct weir_instant *now,
                        uint8_t *both);

/* weir_ledger_narrow gives |entry| the latest arrival |arrival_max|, clamped to what it allows. */
void weir_ledger_narrow(struct weir_ledger_entry *entry, weir_tstamp arrival_max);

/* Windows up to this length, and buckets that fill up in it, want to hear of a writing at once. */
#define WEIR_LEDGER_REPORT_MAX_US (15 * WEIR_US_PER_S)

/* weir_ledger_is_reported tells whether leases are to be settled as soon as they are written: a
 * gate's window is too short to wait for the end of the call. */
bool weir_ledger_is_reported(const struct weir_ledger *l);

/* weir_ledger_pace_us returns how long the whole quota takes to produce |cost|: the largest
 * cost * window / amount over the limits, at least 1. The unit of class floors and fair shares. */
weir_duration weir_ledger_pace_us(const struct weir_ledger *l, const struct weir_cost *cost);

/* weir_ledger_sustained_us is the same over windows of up to WEIR_LEDGER_SMOOTH_MAX_US, 0 without
 * any: what the quota produces while nobody thinks of the end of the day. */
weir_duration weir_ledger_sustained_us(const struct weir_ledger *l, const struct weir_cost *cost);

/* weir_ledger_step_us returns how long after the last start what waits should start with |cost|, so
 * that a sub-window fills evenly: how long its limit takes to produce the requests of |cost|. 0
 * without sub-windows. No gate: whoever starts earlier is within every limit too. */
weir_duration weir_ledger_step_us(const struct weir_ledger *l, const struct weir_cost *cost);

struct weir_gates {
  bool is_smooth; /* there are gates beside the window */
  uint64_t burst; /* of the bucket */
  uint64_t sub;   /* of each sub-window of |sub_us|; 0: there are none */
  weir_duration sub_us;
};

/* weir_ledger_gates returns what the gates beside the window let through of |limit| in a ledger
 * with |rules|. */
struct weir_gates weir_ledger_gates(const struct weir_rules_config *rules,
                                    const struct weir_limit_config *limit);

/* weir_ledger_wake returns when the ledger changes by itself next (a cut limit grows back, a
 * ramp goes on), or
 * WEIR_NEVER: whoever waits looks again then. */
weir_tstamp weir_ledger_wake(const struct weir_ledger *l, weir_tstamp now);

/* What upstream said of a call, and what became of it (learn.c). */
enum weir_heard {
  WEIR_HEARD_NOTHING = 0,
  WEIR_HEARD_REJECTION, /* nothing starts for a while */
  WEIR_HEARD_FALLBACK,  /* and the ledger keeps the universal gates from now on */
  WEIR_HEARD_CUT        /* and limits were cut: somebody else spends */
};

/* weir_ledger_hear takes in the outcome of the lease |entry|: freezes, learns the limit that a
 * rejection named, closes a day, falls back, cuts, begins a ramp. */
enum weir_heard weir_ledger_hear(struct weir_ledger *l, const struct weir_ledger_entry *entry,
                                 const struct weir_msg_settle *settle,
                                 const struct weir_instant *now);

/* weir_ledger_closed_until returns when the last enforced limit that is closed opens again, as far
 * as is known; an instant that has passed where none is. */
weir_tstamp weir_ledger_closed_until(const struct weir_ledger *l);

/* ---- what outlives a life (kept.c; docs/LEDGER.md, "Restarts") ---- */

/* Records that weir_ledger_keep makes at most. */
#define WEIR_LEDGER_RECORDS_MAX (2 * WEIR_LIMITS_MAX + 1)

/* A call of a former life may be in flight for so long after its latest arrival. */
#define WEIR_LEDGER_GHOSTS_US (10 * WEIR_US_PER_MIN)

/* weir_ledger_shape tells that the ledger's records are kept, and what they are about: |members|, a
 * hash of what spends it, and its limits. True when that has changed: the caller grants nothing
 * before new records are durable. */
bool weir_ledger_shape(struct weir_ledger *l, uint64_t members);

/* weir_ledger_is_covered tells whether a durable reserve covers a lease of |entry| in every
 * enforced limit; true without a store. If not, the next records will, and it is urgent NOW. */
bool weir_ledger_is_covered(struct weir_ledger *l, const struct weir_ledger_entry *entry);

/* weir_ledger_keep fills |ret_records|, WEIR_LEDGER_RECORDS_MAX of them, under |owner| with all
 * that is to be durable of this ledger, and returns how many. */
uint32_t weir_ledger_keep(struct weir_ledger *l, const char *owner, const struct weir_instant *now,
                          struct weir_record *ret_records);

/* weir_ledger_kept takes in whether what weir_ledger_keep made last is durable. */
void weir_ledger_kept(struct weir_ledger *l, bool is_durable);

/* weir_ledger_restore charges the empty ledger with all that |past| may have granted under |owner|.
 * What it has no record of, or of something else, is closed as by weir_ledger_assume_spent. False
 * when any record is of something else: then all is closed. Precondition: weir_ledger_shape was
 * called. */
bool weir_ledger_restore(struct weir_ledger *l, const char *owner, const struct weir_past *past,
                         const struct weir_instant *now);

/* weir_ledger_goes_on tells whether |record|, one of this ledger's owner, is about one of its
 * limits and about what spends it now. Precondition: weir_ledger_shape was called. */
bool weir_ledger_goes_on(const struct weir_ledger *l, const struct weir_record *record);

/* weir_record_disown has |record| state that it knows nothing of what was granted since it was
 * made. False, and no effect, when it states that already, or is not a limit's. */
bool weir_record_disown(struct weir_record *record);

/* weir_ledger_check asserts that every sum is the sum of its parts. */
void weir_ledger_check(const struct weir_ledger *l);

#endif
