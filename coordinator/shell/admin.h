/* admin.h - the admin port: metrics, statistics and health over HTTP.
 *
 * A thread of its own with a libuv loop. It shares nothing with the coordinator's loop but a pair
 * of sockets, and walks through its rows (rows.h). So what a scrape costs a turn of the loop is
 * bounded, and while the loop waits for its state file, /readyz says so. One walk through the rows
 * serves all who wait for it, and whoever comes within WEIR_ADMIN_FRESH_MS after it. A walk whose
 * answers do not come is given up with those who wait for it; whoever comes then begins another.
 *
 * Owner: weir_admin_start gives a handle on the heap; weir_admin_stop frees it.
 */
#ifndef WEIR_ADMIN_H
#define WEIR_ADMIN_H

#include <stdint.h>

#include <weir/err.h>

#define WEIR_ADMIN_ERROR_SIZE    1280
#define WEIR_ADMIN_TOKEN_SIZE    256
#define WEIR_ADMIN_FRESH_MS      200  /* of rows: older ones are asked for again */
#define WEIR_ADMIN_PATIENCE_MS   1000 /* for the rows; then 503 */
#define WEIR_ADMIN_EVENTS_MS     1000 /* between events */
#define WEIR_ADMIN_LISTENERS_MAX 16   /* of /events; more get 503 */
#define WEIR_ADMIN_WAITERS_MAX   64   /* answers that wait for rows; more get 503 */
#define WEIR_ADMIN_SESSIONS_MAX  1000 /* listed by /stats.json?sessions */
#define WEIR_ADMIN_ROWS_MAX      8192 /* of a view; no configuration has as many */

struct weir_admin;
struct weir_alarm; /* alarm.h */

/* weir_admin_token reads the token that the file |path| holds: one line of printable characters
 * without blanks, at least 16, which the caller wipes. WEIR_ECONFIG with a line in |ret_error|
 * (WEIR_ADMIN_ERROR_SIZE bytes), and then nothing of it in |ret_token|. */
WEIR_MUSTUSE enum weir_err weir_admin_token(const char *path, char ret_token[WEIR_ADMIN_TOKEN_SIZE],
                                            char *ret_error);

/* weir_admin_start listens on |host|, a numeric address, and |port| (0: any), and starts the
 * thread. |token|: what "Authorization: Bearer" has to say; "": nothing, and then the Host header
 * has to name a loopback address, so that no web page gets in by a name of its own. |alarm| tells
 * of posts, until weir_admin_stop; NULL is allowed. |ret_tap_fd| is the coordinator's end of the
 * pair, which weir_admin_stop closes; |ret_port| the port in use. WEIR_ESYSTEM, WEIR_EINVAL or
 * WEIR_ENOMEM, with a line in |ret_error|. */
WEIR_MUSTUSE enum weir_err weir_admin_start(const char *host, uint16_t port, const char *token,
                                            struct weir_alarm *alarm, struct weir_admin **ret_admin,
                                            int *ret_tap_fd, uint16_t *ret_port, char *ret_error);

/* weir_admin_stop ends the thread, waits for it and frees |admin|; NULL is allowed. */
void weir_admin_stop(struct weir_admin *admin);

#endif
