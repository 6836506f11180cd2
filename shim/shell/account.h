/* account.h - what calls cost, and the line that the call log has for each. */
#ifndef WEIR_SHELL_ACCOUNT_H
#define WEIR_SHELL_ACCOUNT_H

#include "handle.h"
#include "upstream.h"

#include <weir/calllog.h>

/* weir_account_open reads the built-in prices, and on top of them the file |path|, or without one
 * (NULL) that of $WEIR_PRICES. WEIR_ECONFIG (said in the log), WEIR_ENOMEM. Blocks on the file. */
WEIR_MUSTUSE int weir_account_open(struct weir *w, const char *path);

/* weir_account_close frees the prices. */
void weir_account_close(struct weir *w);

/* weir_account_fill tells |response| which tokens of the answer in |t| were cached, and what they
 * all cost. |model| is "provider/model" as it was called. */
void weir_account_fill(const struct weir *w, const struct weir_transfer *t, const char *model,
                       struct weir_response *response);

/* weir_account_log gives the line of an ended call to the host, if it wants it. |more| has what
 * neither request, lease nor response tells: err, queue_us, is_degraded; the rest of it is filled
 * here. Precondition: the lock is not held. */
void weir_account_log(const struct weir *w, const struct weir_request *request,
                      const struct weir_lease *lease, const struct weir_response *response,
                      struct weir_calllog more);

#endif
