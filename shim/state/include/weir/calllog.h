/* calllog.h - the line that the call log has for each call: one JSON object.
 *
 * Numbers and names only: no prompt, no answer, no key. Bounded, whatever the names hold: each is
 * cut to its share of the line.
 */
#ifndef WEIR_CALLLOG_H
#define WEIR_CALLLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/err.h>
#include <weir/vocab.h>

#define WEIR_CALLLOG_SIZE 1024 /* of a line, its NUL included */

/* What is known of a call; names may be NULL or "" for none. Everything is borrowed. */
struct weir_calllog {
  uint64_t wall_ms;   /* Unix time of its end */
  const char *route;  /* what was asked for: "provider/model", a route or a pool */
  const char *called; /* "provider/model" of the last attempt */
  const char *pool, *tag, *tenant;
  enum weir_class work_class;
  int err;                   /* what weir_call returned, or would have without what stood in */
  enum weir_outcome outcome; /* of the last attempt; 0: nothing was sent */
  enum weir_denial denial;   /* with WEIR_EDENIED */
  bool is_degraded;          /* it failed, and something else stood in for the answer */
  uint32_t http, attempts;
  uint64_t wait_us;  /* all waiting */
  uint64_t queue_us; /* the part of it that was for leases */
  uint64_t latency_us, first_us;
  bool has_usage;
  uint64_t input_tokens, output_tokens, cached_tokens;
  bool has_cost;
  uint64_t cost_micro;
  uint64_t lease; /* id of the last one; 0: none */
};

/* weir_calllog_write writes the line, without a newline, NUL-terminated; returns its length. Bytes
 * of names that are no UTF-8 become U+FFFD, what looks like a secret in a URL becomes "***". */
size_t weir_calllog_write(const struct weir_calllog *call, char ret_line[WEIR_CALLLOG_SIZE]);

#endif
