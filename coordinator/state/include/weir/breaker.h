/* breaker.h - whether calls of one pool go through, by what became of the last ones.
 *
 *   closed -> open -> half_open -> ramp -> closed
 *              ^----------+---------+
 *
 * Closed, starts and ends of calls are counted over a rolling window; enough failures open it.
 * Open, nothing starts. Half open, a few probes start, in the whole fleet, and what becomes of them
 * decides: all well, and calls start again in growing numbers; one failed or lost, and it opens
 * for twice as long. docs/BREAKER.md has the rules and their reasons.
 *
 * Each opening begins a new period. A call belongs to the period in which it was granted, and what
 * is heard of it in a later one tells nothing about upstream as it is now.
 *
 * No clock and no randomness of its own. Owner: the machine's pools. Cost of everything: O(1).
 */
#ifndef WEIR_BREAKER_H
#define WEIR_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/config.h>
#include <weir/msg.h>
#include <weir/rng.h>
#include <weir/time.h>
#include <weir/vocab.h>

#define WEIR_BREAKER_SLOTS 10 /* of the window */

/* Of the sustained rate: where a ramp begins, and what it has reached after |ramp_us|. It stays
 * there while somebody waits, so that what an outage left behind comes no faster than a backlog
 * ever does; but not for longer than so many times |ramp_us|, and two minutes: a start that is late
 * is lost to even steps, and a backlog that is always there would never have the whole quota. */
#define WEIR_BREAKER_RAMP_FIRST_PM 250
#define WEIR_BREAKER_RAMP_FULL_PM  1000
#define WEIR_BREAKER_RAMP_TIMES    10
#define WEIR_BREAKER_RAMP_LAST_US  (2 * WEIR_US_PER_MIN)

struct weir_breaker_slot {
  uint64_t number;                  /* of the window's tenth, counted from the clock's zero */
  uint64_t starts, calls, failures; /* let through; ended, and of those failed */
  uint64_t idle;                    /* ended without a word about upstream */
};

/* What every call asks for stands first. */
struct weir_breaker {
  enum weir_breaker_state state;
  enum weir_steer held; /* OPEN or FORCE: by an operator; else AUTO */
  uint32_t period;      /* grows with each opening, and when the past is forgotten */
  uint32_t streak;      /* openings in a row: how often |open_us| is doubled */
  uint64_t changes;     /* of |state| and |held| */
  struct weir_breaker_config config;
  weir_tstamp opened_at, open_until;
  weir_tstamp stated_until; /* how long failing answers asked to be left alone */
  weir_tstamp closed_at;    /* 0: it never was open */
  /* Half open: a place a probe. 0: free; WEIR_NEVER: it went well; else when it is lost. */
  uint32_t probes_max; /* of this period */
  weir_tstamp probes[WEIR_PROBES_MAX];
  weir_tstamp ramp_at, ramp_next; /* when the ramp began, and when the next call may start */
  struct weir_breaker_slot slots[WEIR_BREAKER_SLOTS];
};

/* What a call keeps of the breaker that let it through. */
struct weir_breaker_pass {
  uint32_t period;
  uint32_t probe; /* its place, from 1; 0: it is none */
};

/* weir_breaker_init makes a closed breaker of |config|. */
void weir_breaker_init(struct weir_breaker *b, const struct weir_breaker_config *config);

/* weir_breaker_configure applies another configuration: where the breaker is stays, and so does
 * what was counted, unless the window has another length. One that is turned off is closed, but for
 * what an operator holds. */
void weir_breaker_configure(struct weir_breaker *b, const struct weir_breaker_config *config,
                            weir_tstamp now);

/* weir_breaker_wake returns when weir_breaker_advance has something to do next, or WEIR_NEVER. */
weir_tstamp weir_breaker_wake(const struct weir_breaker *b);

/* weir_breaker_advance does what is due by |now|: an open one probes, a probe is lost, a ramp whose
 * pool has nothing waiting (|is_drained|), or that has lasted long enough, is over. */
void weir_breaker_advance(struct weir_breaker *b, bool is_drained, weir_tstamp now,
                          struct weir_rng *rng);

/* weir_breaker_starts_at returns when a call may start, as far as is known: |now| or earlier when
 * at once; WEIR_NEVER while it is held open. Half open with all probes out it is when the first of
 * them is lost: an answer may come at any time before. */
weir_tstamp weir_breaker_starts_at(const struct weir_breaker *b);

/* weir_breaker_is_shut tells whether nothing is let through now: open, or all probes are out. */
bool weir_breaker_is_shut(const struct weir_breaker *b);

/* weir_breaker_take lets through a call that starts at |start| and of which the whole quota allows
 * one each |pace_us|. Precondition: not weir_breaker_is_shut. */
struct weir_breaker_pass weir_breaker_take(struct weir_breaker *b, weir_tstamp start,
                                           weir_duration pace_us);

/* weir_breaker_hear takes in what is said of the call |pass|. */
void weir_breaker_hear(struct weir_breaker *b, const struct weir_breaker_pass *pass,
                       const struct weir_msg_settle *said, weir_tstamp now, struct weir_rng *rng);

/* weir_breaker_steer does what an operator wants. */
void weir_breaker_steer(struct weir_breaker *b, enum weir_steer steer, weir_tstamp now);

/* weir_breaker_resume goes on, in a new breaker, where one of a former life was: open for |open_us|
 * yet, after |streak| openings in a row. */
void weir_breaker_resume(struct weir_breaker *b, enum weir_breaker_state state,
                         enum weir_steer held, uint32_t streak, weir_duration open_us,
                         weir_tstamp now);

/* weir_breaker_open_us returns for how long yet nothing is let through: 0 unless it is open,
 * WEIR_DURATION_MAX while it is held open. */
weir_duration weir_breaker_open_us(const struct weir_breaker *b, weir_tstamp now);

/* weir_breaker_probes returns how many probes of this half-open period are out or went well. */
uint32_t weir_breaker_probes(const struct weir_breaker *b);

/* weir_breaker_check asserts what must hold of it. */
void weir_breaker_check(const struct weir_breaker *b);

#endif
