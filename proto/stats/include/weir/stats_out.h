/* stats_out.h - text into a buffer of fixed size, for statistics and alerts. Pure.
 *
 * Owner: the caller owns |out| and its buffer (weir_stats_out in stats.h). What does not fit is
 * counted and not written, and nothing behind it is.
 */
#ifndef WEIR_STATS_OUT_H
#define WEIR_STATS_OUT_H

#include <weir/stats.h>

/* weir_stats_put appends the NUL-terminated |text|. */
void weir_stats_put(struct weir_stats_out *out, const char *text);

/* weir_stats_put_uint appends |value| in decimal. */
void weir_stats_put_uint(struct weir_stats_out *out, uint64_t value);

/* weir_stats_put_part appends |value| / 10^|digits| with |digits| decimals, 1 to 6. */
void weir_stats_put_part(struct weir_stats_out *out, uint64_t value, uint32_t digits);

/* weir_stats_put_quoted appends |text|, printable ASCII, in double quotes, as JSON and Prometheus
 * both read it. */
void weir_stats_put_quoted(struct weir_stats_out *out, const char *text);

#endif
