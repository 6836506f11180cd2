/* alerts.h - what somebody should hear about, found in the rows that everybody can see.
 *
 *   for each look: weir_alerts_row for each row of pools and budgets, then weir_alerts_sweep
 *
 *   near_limit     nearly all of a limit is used, and online work waits for it; of windows longer
 *                  than WEIR_ALERT_LONG_US, waiting or not
 *   day_ends_early at the pace of the last quarter of an hour such a window is used up before half
 *                  of what is used has come back: of a calendar day, before it turns
 *   breaker_open   calls do not go through
 *   foreign        a limit is cut, because somebody else spends the same quota
 *   rejected       the provider rejected a call by a quota, and no foreign spender explains it
 *   drift          calls use much more or less than was estimated
 *
 * A condition that lasts begins an alert, and one that has been gone as long ends it; so what comes
 * and goes is told once.
 *
 * Owner: the caller owns the storage; rows are borrowed for the call. Pure: no clock of its own.
 */
#ifndef WEIR_ALERTS_H
#define WEIR_ALERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/msg.h>
#include <weir/table.h>
#include <weir/time.h>

#define WEIR_ALERT_LIST(X)                                                                         \
  X(NEAR_LIMIT, 1, "near_limit")                                                                   \
  X(DAY_ENDS_EARLY, 2, "day_ends_early")                                                           \
  X(BREAKER_OPEN, 3, "breaker_open")                                                               \
  X(FOREIGN, 4, "foreign")                                                                         \
  X(REJECTED, 5, "rejected")                                                                       \
  X(DRIFT, 6, "drift")
#define X(name, value, text) WEIR_ALERT_##name = (value),
enum weir_alert_kind { WEIR_ALERT_LIST(X) WEIR_ALERT_KIND_MAX };
#undef X

#define WEIR_ALERT_LONG_US  (10 * WEIR_US_PER_MIN)
#define WEIR_ALERT_PACE_US  (15 * WEIR_US_PER_MIN) /* over which the pace of a window is taken */
#define WEIR_ALERT_QUIET_US (10 * WEIR_US_PER_MIN) /* without a rejection: that alert ends */

/* Alerts that one row can begin or end. */
#define WEIR_ALERT_ROW_MAX (3 * WEIR_LIMITS_MAX + 3)

struct weir_alerts_config {
  uint32_t near_pm;     /* of what is kept; 0: never */
  uint32_t drift_pm;    /* away from what was estimated; 0: never */
  weir_duration for_us; /* how long near_limit, day_ends_early and drift have to last */
};

struct weir_alert {
  enum weir_alert_kind kind;
  bool has_begun; /* else it has ended */
  char owner[WEIR_POOL_NAME_SIZE];
  bool is_limit; /* of this limit */
  bool is_day;   /* which is one of calendar days, none of which is longer than |window_us| */
  enum weir_dimension dimension;
  weir_duration window_us;
  uint64_t used, kept;
  weir_duration in_us; /* DAY_ENDS_EARLY: until it is used up */
  uint32_t ratio_pm;   /* DRIFT: used of what was estimated */
};

struct weir_alerts; /* lives in the caller's storage */

/* weir_alert_name returns "near_limit" for WEIR_ALERT_NEAR_LIMIT. Static storage. */
const char *weir_alert_name(enum weir_alert_kind kind);

/* weir_alerts_size returns the bytes of storage for |owners_max| pools and budgets together. */
size_t weir_alerts_size(uint32_t owners_max);

/* weir_alerts_init makes a state without alerts in |storage| of weir_alerts_size bytes, aligned as
 * malloc does. */
struct weir_alerts *weir_alerts_init(void *storage, uint32_t owners_max,
                                     const struct weir_alerts_config *config);

/* weir_alerts_configure replaces the configuration; what no longer holds ends at the next look. */
void weir_alerts_configure(struct weir_alerts *a, const struct weir_alerts_config *config);

/* weir_alerts_row looks at one |row| of view pools or budgets as of |now|, and gives the alerts
 * that began or ended in |ret_alerts| (WEIR_ALERT_ROW_MAX of them fit). Returns their count. An
 * owner beyond owners_max is passed over. A limit is known by its dimension and window; what is not
 * in the row any more is forgotten. */
uint32_t weir_alerts_row(struct weir_alerts *a, const struct weir_msg_row *row, weir_tstamp now,
                         struct weir_alert *ret_alerts);

/* weir_alerts_sweep forgets the owners that had no row since the last sweep, as after a reload;
 * what they had begun ends without a word. */
void weir_alerts_sweep(struct weir_alerts *a);

#endif
