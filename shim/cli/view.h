/* view.h - asks the coordinator what it would show: its pools, its budgets and its totals; and
 * steers its breakers.
 *
 * SHOW and STEER need no session, so a look disturbs nobody. Requests are pipelined: a look costs
 * five or six round trips, however many pools there are.
 */
#ifndef WEIR_VIEW_H
#define WEIR_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/err.h>
#include <weir/msg.h>
#include <weir/stats.h>

#include "cli.h"

#define WEIR_VIEW_TIMEOUT_MS  2000
#define WEIR_VIEW_POOLS_MAX   65536
#define WEIR_VIEW_TENANTS_MAX 64 /* as many as a coordinator shows */
#define WEIR_VIEW_SLOW_MAX    16 /* the same, of slow calls */
#define WEIR_VIEW_LIMIT_SIZE  48 /* of a limit's name */

struct weir_view_data {
  struct weir_msg_row totals;
  struct weir_msg_row *pools, *budgets;           /* in the coordinator's order */
  struct weir_msg_row *tenants, *slow, *sessions; /* none of an older coordinator */
  uint32_t pools_count, budgets_count, tenants_count, slow_count, sessions_count;
};

/* weir_view_get looks at the coordinator at |endpoint| and waits up to |timeout_ms| for all of it,
 * and for up to |sessions_max| sessions. |ret_data| belongs to the caller: weir_view_free. On tcp
 * it shows the keys of $WEIR_SERVER_KEY and $WEIR_KEY_FILE. Errors: WEIR_EINVAL (|endpoint| is not
 * an endpoint), WEIR_ECONFIG (no usable keys), WEIR_EKEY (refused), WEIR_EDENIED (the key lacks the
 * right), WEIR_EUNREACHABLE, WEIR_ESYSTEM, WEIR_ENOMEM, or the codec's when the answer is not
 * weir's. */
WEIR_MUSTUSE enum weir_err weir_view_get(const char *endpoint, uint64_t timeout_ms,
                                         uint32_t sessions_max, struct weir_view_data *ret_data);

/* weir_view_steer has the breaker of |pool|, a name of up to 30 bytes that need not be there, do
 * what |steer| says, and waits up to |timeout_ms| for the answer: |ret_state| gets where it is
 * then, with the name "" when there is no such pool. Errors as weir_view_get. */
WEIR_MUSTUSE enum weir_err weir_view_steer(const char *endpoint, uint64_t timeout_ms,
                                           const char *pool, enum weir_steer steer,
                                           struct weir_msg_state *ret_state);

/* weir_view_failed says why |command| got no answer from |endpoint| within |timeout_ms|: |err| of
 * the functions above. Returns the exit code. */
int weir_view_failed(const struct weir_cli_command *command, const char *endpoint,
                     uint64_t timeout_ms, enum weir_err err);

/* weir_view_pool returns the row of |pool|, owned by |data|; NULL, having said so in the name of
 * |command|, when there is none. */
const struct weir_msg_row *weir_view_pool(const struct weir_cli_command *command,
                                          const struct weir_view_data *data, const char *pool);

/* weir_view_stats makes |ret_stats| refer to the rows of |data|. */
void weir_view_stats(const struct weir_view_data *data, struct weir_stats *ret_stats);

/* weir_view_print writes |stats| to stdout as JSON; false, having said so in the name of |command|,
 * when memory runs out. */
bool weir_view_print(const struct weir_cli_command *command, const struct weir_stats *stats);

/* weir_view_used_pm returns what of |limit| is used, in thousandths of what is kept of it now: more
 * than 1000 when too much is. */
uint64_t weir_view_used_pm(const struct weir_msg_row_limit *limit);

/* weir_view_limit_name writes the dimension and window of |limit|, the latter in the largest unit
 * that divides it: "requests/1m"; "requests/day"; "in_flight", which has none. Returns |ret_text|.
 */
const char *weir_view_limit_name(const struct weir_msg_row_limit *limit,
                                 char ret_text[WEIR_VIEW_LIMIT_SIZE]);

/* weir_view_amount writes |value| of |limit| as weir_cli_grouped does, but money, which is in
 * millionths, as it is configured, "0.075", with two decimals at least; returns |ret_text|. */
const char *weir_view_amount(const struct weir_msg_row_limit *limit, uint64_t value,
                             char ret_text[WEIR_CLI_TEXT_SIZE]);

/* weir_view_free frees what weir_view_get gave; zeros are allowed. */
void weir_view_free(struct weir_view_data *data);

#endif
