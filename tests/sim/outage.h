/* outage.h - what a run shows of the time in which its provider failed: how many requests came, how
 * many of them were new attempts, what the breaker let through, and how all went on afterwards.
 *
 * Instants are microseconds since the begin of the run. Owner: the caller owns the notes and frees
 * them with weir_outage_fini. Nothing here reads a clock.
 */
#ifndef WEIR_SIM_OUTAGE_H
#define WEIR_SIM_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/time.h>
#include <weir/vocab.h>

#include "scenario.h"

#define WEIR_OUTAGE_BIN_US      (100 * WEIR_US_PER_MS)
#define WEIR_OUTAGE_PERIODS_MAX 256 /* half-open periods that are told apart; the rest is one */

/* What is noted while a run goes on. */
struct weir_outage {
  uint32_t bins_count;
  uint32_t *arrived, *admitted;    /* requests at the first provider, by bin */
  uint64_t firsts, retries;        /* requests written: the first of a call, and new attempts */
  uint64_t retries_during;         /* those that were written while a fault lasted */
  enum weir_breaker_state breaker; /* of the first provider's pool; 0: nothing was said yet */
  uint32_t openings;
  uint32_t periods;                         /* half-open ones so far */
  uint32_t probes[WEIR_OUTAGE_PERIODS_MAX]; /* sent in each, but for those without a word */
  uint64_t probes_void;                     /* their callers hung up before they told anything */
  uint64_t expired;                         /* calls that were not answered by their deadline */
  weir_duration overrun_us;                 /* the longest that one went on after it */
  bool has_rejection;
  weir_tstamp rejected_at; /* the first rejection by a quota of the first provider was heard of */
  weir_tstamp asked_at;    /* the last request to it was written */
  uint64_t asked_after;    /* requests written to it since the rejection was heard of */
};

/* What follows of it. */
struct weir_outage_figures {
  bool has_faults, has_steady;    /* calls came for at least two seconds before the first fault */
  double steady_mean, steady_max; /* requests in a bin before the first fault: mean, and the most */
  double after_max;               /* the most in a bin after the last fault, while calls came */
  double bin_ratio, bin_ratio_max; /* of after_max to the mean, and to the most before */
  bool has_recovered;
  double recovery_s; /* from the end of the last fault to 90 % of what was admitted before */
  uint64_t during;   /* requests that came while a fault lasted */
  uint64_t retries, retries_during;
  double retry_share; /* new attempts for each call that was sent at all */
  uint32_t openings, periods, probes_min, probes_max; /* of the breaker; 0 without one */
  uint64_t probes_void;
  uint64_t expired;
  double overrun_ms;
  bool has_moved;  /* a quota of the first provider rejected a call */
  double moved_ms; /* from when that was heard of to the last request to that provider */
  uint64_t asked_after;
};

/* weir_outage_open makes notes of nothing, for a run of |length_us|. Aborts when memory is short.
 */
void weir_outage_open(struct weir_outage *o, weir_duration length_us);
void weir_outage_fini(struct weir_outage *o);

/* weir_outage_wrote notes a request to the first provider (|is_first|) or another that was written
 * at |at|, |attempts| requests of its call before; |is_faulty|: while a fault lasts. */
void weir_outage_wrote(struct weir_outage *o, weir_tstamp at, uint32_t attempts, bool is_first,
                       bool is_faulty);

/* weir_outage_came notes a request that reached the first provider. */
void weir_outage_came(struct weir_outage *o, weir_tstamp at, bool is_admitted);

/* weir_outage_state notes that the breaker was said to be in |state|. */
void weir_outage_state(struct weir_outage *o, enum weir_breaker_state state);

/* weir_outage_probe notes that a probe was sent and returns its period; weir_outage_probe_void that
 * its caller hung up: it told nothing, and while its period lasts another may go in its place. */
uint32_t weir_outage_probe(struct weir_outage *o);
void weir_outage_probe_void(struct weir_outage *o, uint32_t period);

/* weir_outage_expired notes a call that was over, or given up, |late_us| after its deadline. */
void weir_outage_expired(struct weir_outage *o, weir_duration late_us);

/* weir_outage_rejected notes that an instance heard of a rejection by the first provider's quota.
 */
void weir_outage_rejected(struct weir_outage *o, weir_tstamp at);

/* weir_outage_find reckons the figures of a run of |s| whose last call came at |last_us|. The
 * steady state before is the later half of the time from |first_us|, the first call, to the first
 * fault. */
void weir_outage_find(const struct weir_outage *o, const struct weir_scenario *s,
                      weir_tstamp first_us, weir_tstamp last_us,
                      struct weir_outage_figures *ret_figures);

#endif
