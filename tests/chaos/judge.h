/* judge.h - what the provider's log says of a run in which parts were killed, stopped and cut off.
 * Pure functions over what was recorded; all instants are microseconds of CLOCK_MONOTONIC.
 */
#ifndef WEIR_CHAOS_JUDGE_H
#define WEIR_CHAOS_JUDGE_H

#include <stddef.h>
#include <stdint.h>

#include "../outage/judge.h"

/* One blow at the coordinator, or at an instance. */
struct chaos_blow {
  uint64_t down_us; /* it was killed, stopped or cut off */
  uint64_t up_us;   /* it was ready again */
};

struct chaos_records {
  const struct outage_request *requests; /* in the order of their instants */
  size_t requests_count;
  const struct chaos_blow *blows; /* in the order of their instants */
  size_t blows_count;
  uint64_t from_us, to_us;    /* work was waiting from here to there */
  uint64_t amount, window_us; /* the limit; |amount| > 0, |window_us| > 0 */
};

struct chaos_figures {
  uint64_t blows, arrivals;
  uint64_t over;            /* requests that the provider rejected */
  uint64_t peak;            /* the most that it admitted in any window of |window_us| */
  double use;               /* of the quota between |from_us| and |to_us| */
  uint64_t barren;          /* blows after which nothing arrived before the next one */
  double p50_ms, worst_ms;  /* of the others: from |down_us| to the first arrival after |up_us| */
  double worst_from_up_ms;  /* the same from |up_us| */
  double longest_silence_s; /* between two arrivals, or an arrival and an end of the span */
};

/* chaos_judge reckons the figures. |scratch| is storage for one number a blow. */
void chaos_judge(const struct chaos_records *records, double *scratch,
                 struct chaos_figures *ret_figures);

/* chaos_arrivals counts the requests of [from_us, to_us). */
uint64_t chaos_arrivals(const struct chaos_records *records, uint64_t from_us, uint64_t to_us);

/* What callers know of their requests beside what the provider saw of them. */
struct chaos_balance {
  uint64_t begun, over; /* calls; those that were killed are never over */
  uint64_t attempts;    /* requests of those that are over */
  uint64_t arrivals;    /* requests that the provider saw */
};

/* chaos_balance_twice returns how many requests came for which there was no lease: more than
 * callers sent, those that were killed included. chaos_balance_lost returns how many leases were
 * paid for and never spent: requests that callers know of and the provider does not. */
uint64_t chaos_balance_twice(const struct chaos_balance *balance);
uint64_t chaos_balance_lost(const struct chaos_balance *balance);

/* chaos_percentile returns the value below or at which |share| of |values| lie (nearest rank),
 * after sorting them in place; 0 when there are none. */
double chaos_percentile(double *values, size_t count, double share);

#endif
