/* limits.h - how a provider may enforce its limits: five methods, exact, on integers.
 *
 * This is the judge of weir, so it shares nothing with weir's own ledger. A meter holds the limits
 * of one project and model. A call is admitted by all of them or by none; a call that is rejected
 * consumes nothing, unless the meter is told that rejected calls count.
 *
 * Methods, for an amount L per window W (windows and sub-windows are half-open, [y, y + W)):
 *   fixed    at most L in each window that begins at a multiple of W (plus phase)
 *   log      at most L in every window that ends now: each admitted unit is remembered for W
 *   counter  fixed windows, where the one before counts by the share of it that still overlaps
 *            the window that ends now: cur + prev * (W - elapsed) / W + cost <= L
 *   bucket   refilled by L / W continuously, up to |burst| (default L)
 *   sub      at most floor(L * s / W) in each aligned sub-window of |sub_us| (1 s); a sub-window
 * too short for one unit is widened to the least multiple of s that has room for one
 *
 * Pure but for the heap, which the log needs: no clock, no I/O. Instants are microseconds of wall
 * clock since 1970 and must not run backwards.
 */
#ifndef WEIR_UP_LIMITS_H
#define WEIR_UP_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_UP_LIMITS_MAX 8
#define WEIR_UP_NEVER      UINT64_MAX

enum weir_up_dimension {
  WEIR_UP_REQUESTS = 1,
  WEIR_UP_INPUT,  /* input tokens */
  WEIR_UP_OUTPUT, /* output tokens, charged as they are produced; asks for room for one */
  WEIR_UP_TOTAL,  /* what the provider reckons for input and output when the call arrives */
  WEIR_UP_DIMENSION_MAX
};

enum weir_up_method {
  WEIR_UP_FIXED = 1,
  WEIR_UP_LOG,
  WEIR_UP_COUNTER,
  WEIR_UP_BUCKET,
  WEIR_UP_SUB,
  WEIR_UP_METHOD_MAX
};

struct weir_up_limit {
  enum weir_up_dimension dimension;
  enum weir_up_method method;
  bool is_day;        /* reported as a daily limit */
  uint64_t amount;    /* units per window; 0 rejects everything */
  uint64_t window_us; /* > 0 */
  uint64_t phase_us;  /* windows begin at phase + n * window; < window */
  uint64_t burst;     /* bucket: capacity; 0 means |amount| */
  uint64_t sub_us;    /* sub: length of a sub-window; 0 means 1 s */
};

struct weir_up_cost {
  uint64_t units[WEIR_UP_DIMENSION_MAX];
};

struct weir_up_meter;

/* weir_up_meter_new makes a meter of |count| <= WEIR_UP_LIMITS_MAX limits, which it copies; NULL
 * when memory is short. |is_rejected_counted|: rejected calls consume requests, too. */
struct weir_up_meter *weir_up_meter_new(const struct weir_up_limit *limits, uint32_t count,
                                        bool is_rejected_counted, uint64_t now_us);
void weir_up_meter_free(struct weir_up_meter *m);

/* weir_up_meter_admit asks for |cost|. Returns 0 when it was admitted and consumed, else the set of
 * limits that had no room (bit i: limit i). */
uint32_t weir_up_meter_admit(struct weir_up_meter *m, uint64_t now_us,
                             const struct weir_up_cost *cost);

/* weir_up_meter_charge consumes |cost| without asking, beyond the limit if need be. */
void weir_up_meter_charge(struct weir_up_meter *m, uint64_t now_us,
                          const struct weir_up_cost *cost);

uint32_t weir_up_meter_count(const struct weir_up_meter *m);
const struct weir_up_limit *weir_up_meter_limit(const struct weir_up_meter *m, uint32_t i);

/* weir_up_meter_used returns how much of limit |i| is used now, by its own method, rounded up. */
uint64_t weir_up_meter_used(struct weir_up_meter *m, uint32_t i, uint64_t now_us);

/* weir_up_meter_left returns how much of limit |i| is left now: of a bucket what is in it. */
uint64_t weir_up_meter_left(struct weir_up_meter *m, uint32_t i, uint64_t now_us);

/* weir_up_meter_wait_us returns how long until |units| more would fit into limit |i| if nobody else
 * came; WEIR_UP_NEVER when they never fit. */
uint64_t weir_up_meter_wait_us(struct weir_up_meter *m, uint32_t i, uint64_t now_us,
                               uint64_t units);

/* weir_up_meter_reset_us returns how long until limit |i| is unused again if nobody comes. */
uint64_t weir_up_meter_reset_us(struct weir_up_meter *m, uint32_t i, uint64_t now_us);

/* weir_up_meter_peak returns the most units of limit |i| admitted in any window of its length that
 * ended so far, whatever its method. For windows beyond 10 minutes that are not logs it is the
 * most in any aligned window. */
uint64_t weir_up_meter_peak(const struct weir_up_meter *m, uint32_t i);

/* weir_up_method_name and _parse give the words of the methods; _parse returns 0 for others. */
const char *weir_up_method_name(enum weir_up_method method);
enum weir_up_method weir_up_method_parse(const char *text);
const char *weir_up_dimension_name(enum weir_up_dimension dimension);

#endif
