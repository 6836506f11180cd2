/* view.h - asks the coordinator what it would show: its pools and its totals.
 *
 * SHOW needs no session, so a look disturbs nobody. Requests are pipelined: a look costs two round
 * trips, however many pools there are.
 */
#ifndef WEIR_VIEW_H
#define WEIR_VIEW_H

#include <stdint.h>

#include <weir/err.h>
#include <weir/msg.h>

#define WEIR_VIEW_TIMEOUT_MS 2000
#define WEIR_VIEW_POOLS_MAX  65536

struct weir_view_data {
  struct weir_msg_row totals;
  struct weir_msg_row *pools; /* in the coordinator's order */
  uint32_t pools_count;
};

/* weir_view_get looks at the coordinator at |endpoint| and waits up to |timeout_ms| for all of it.
 * |ret_data| belongs to the caller: weir_view_free. Errors: WEIR_EINVAL (|endpoint| is not an
 * endpoint), WEIR_EUNREACHABLE, WEIR_ESYSTEM, WEIR_ENOMEM, or the codec's when the answer is not
 * weir's. */
WEIR_MUSTUSE enum weir_err weir_view_get(const char *endpoint, uint64_t timeout_ms,
                                         struct weir_view_data *ret_data);

/* weir_view_amount returns what is kept of |limit| now: less than its amount after a cut. A
 * coordinator that does not tell keeps all of it. */
uint64_t weir_view_amount(const struct weir_msg_row_limit *limit);

/* weir_view_free frees what weir_view_get gave; zeros are allowed. */
void weir_view_free(struct weir_view_data *data);

#endif
