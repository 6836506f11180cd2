/* stats.h - what a coordinator shows, as JSON and as Prometheus reads it. docs/STATISTICS.md says
 * what each member and metric means.
 *
 *   struct weir_stats_out out = {.at = buffer, .capacity = sizeof(buffer)};
 *   weir_stats_json(&out, &stats);
 *   if (out.size > out.capacity) ... once more, with so much room
 *
 * Pure: rows in, text out. Texts of rows are printable ASCII, as the wire has them.
 *
 * Owner: the caller owns buffer and rows; nothing is kept.
 */
#ifndef WEIR_STATS_H
#define WEIR_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/msg.h>

/* Text that is written. What does not fit is counted, not written: |size| is what it would take. */
struct weir_stats_out {
  char *at;
  size_t size, capacity;
};

/* What the coordinator's process tells of itself; only its own admin port knows. */
struct weir_stats_process {
  const char *version;
  uint64_t resident_bytes, cpu_us;
  uint64_t frames_in, bytes_in; /* received, and of their sizes */
  uint64_t frames_out, bytes_out;
  uint64_t posts_sent, posts_failed, posts_lost; /* of alerts; each try that failed counts */
};

struct weir_stats {
  const char *coordinator; /* where it was asked; NULL: not told */
  const char *pool;        /* only this pool, its tenants and calls, no budgets; NULL: everything */
  const struct weir_msg_row *totals;
  const struct weir_msg_row *pools, *budgets, *tenants, *slow, *sessions; /* rows of these views */
  uint32_t pools_count, budgets_count, tenants_count, slow_count, sessions_count;
  const struct weir_stats_process *process; /* NULL: not told */
};

/* weir_stats_amount returns what is kept of |limit| now: less than its amount after a cut, or by
 * a ramp. A coordinator that does not tell keeps all of it. */
uint64_t weir_stats_amount(const struct weir_msg_row_limit *limit);

/* weir_stats_is_foreign tells whether |limit| is cut because of a foreign spender: less is kept
 * than what upstream stated, and a ramp, leave. */
bool weir_stats_is_foreign(const struct weir_msg_row_limit *limit);

/* weir_stats_free returns how much of |limit| is not charged. */
uint64_t weir_stats_free(const struct weir_msg_row_limit *limit);

/* weir_stats_head_of returns whose limit the next ask of |pool|, a row of |stats|, waits for:
 * |pool| or the row of a budget, which may have the same name; NULL when it waits for none that is
 * told.
 */
const struct weir_msg_row *weir_stats_head_of(const struct weir_stats *stats,
                                              const struct weir_msg_row *pool);

/* weir_stats_head returns the limit that the next ask of |pool|, a row of |stats|, waits for; NULL
 * when it waits for none that is told. */
const struct weir_msg_row_limit *weir_stats_head(const struct weir_stats *stats,
                                                 const struct weir_msg_row *pool);

/* weir_stats_day_budget returns the limit of |row| on what a day may cost: its limit of spending
 * over 24 or 25 hours, as a calendar day is; NULL when it has none. */
const struct weir_msg_row_limit *weir_stats_day_budget(const struct weir_msg_row *row);

/* weir_stats_day_name returns "utc" or "limit" for whose day it is that the cost of |row| is about,
 * NULL when no cost of today is told. */
const char *weir_stats_day_name(const struct weir_msg_row *row);

/* weir_stats_json appends one JSON object on one line, with a newline. */
void weir_stats_json(struct weir_stats_out *out, const struct weir_stats *stats);

/* weir_stats_prometheus appends all metrics in Prometheus' text format, version 0.0.4. Sessions are
 * counted, not listed. */
void weir_stats_prometheus(struct weir_stats_out *out, const struct weir_stats *stats);

#endif
