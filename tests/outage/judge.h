/* judge.h - what the provider's log and the callers' records say of an outage. Pure functions over
 * what was recorded; all instants are microseconds of CLOCK_MONOTONIC.
 */
#ifndef WEIR_OUTAGE_JUDGE_H
#define WEIR_OUTAGE_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTAGE_PERIODS_MAX 64

/* A request in the provider's log. */
struct outage_request {
  uint64_t at_us;
  bool is_admitted;
  bool is_fallback; /* of the second model */
  bool is_foreign;  /* of somebody who does not ask weir */
};

/* A call, as its caller saw it. */
struct outage_call {
  uint64_t begun_us, over_us;
  uint32_t attempts; /* requests sent */
  bool is_ok;
};

struct outage_records {
  const struct outage_request *requests; /* in the order of their instants */
  size_t requests_count;
  const struct outage_call *calls;
  size_t calls_count;
};

/* When what happened, and what was configured. */
struct outage_times {
  uint64_t begun_us;       /* the first calls */
  uint64_t from_us, to_us; /* the outage */
  uint64_t ended_us;       /* the last calls began */
  uint64_t open_us;        /* shortest opening of the breaker */
  uint64_t answer_us;      /* no answer but a failure takes less */
  uint64_t deadline_us;    /* of a call, from its begin */
};

struct outage_figures {
  uint64_t calls, answered, requests;
  uint64_t unknown;   /* requests in the log less those that the callers know of, or the reverse */
  uint64_t during;    /* requests while the outage lasted */
  uint64_t retries;   /* requests that were not the first of their call */
  double retry_share; /* of the calls that were sent at all */
  uint32_t periods;   /* in which a few requests came after a silence */
  uint32_t probes[OUTAGE_PERIODS_MAX];     /* how many */
  double bin_mean, bin_max, bin_max_after; /* requests in 100 ms, before and after the outage */
  double second_max, second_max_after;     /* in a second */
  double recovery_s; /* from its end to 90 % of the mean admitted in a second; < 0: never */
  uint64_t expired;  /* calls that were not answered by their deadline */
  double overrun_ms; /* the longest that one went on after it */
};

/* outage_judge reckons the figures of an outage. */
void outage_judge(const struct outage_records *records, const struct outage_times *times,
                  struct outage_figures *ret_figures);

/* What became of calls when the first model's day was used up. */
struct outage_move {
  uint64_t calls, answered;
  uint64_t rejected;    /* requests of the fleet that the first model rejected */
  uint64_t after;       /* requests of the fleet to it that came after the first of these */
  double after_ms;      /* how long after it the last of them came */
  uint64_t on_fallback; /* requests to the second model */
  uint64_t wandered;    /* of them, before the first rejection */
};

/* outage_judge_move reckons that. */
void outage_judge_move(const struct outage_records *records, struct outage_move *ret_move);

#endif
