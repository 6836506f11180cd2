/* hook.h - a thread that posts alerts to a URL of the operator's.
 *
 * What is to be told is copied and posted in order, one at a time, as JSON. A post that fails
 * (no connection, or a status other than 2xx) is tried again after a pause that doubles from
 * WEIR_HOOK_PAUSE_MS with jitter, WEIR_HOOK_TRIES times in all; then it is lost, and counted. While
 * WEIR_HOOK_WAITING_MAX wait, new ones are lost, so a dead receiver costs neither memory nor
 * grants. What fails and what is lost is logged (event=webhook), at most once a second, and that
 * posts arrive again; never the URL, which often is a secret itself.
 *
 * With a secret, the header "x-weir-signature: sha256=HEX" holds the HMAC-SHA256 of the body by it.
 *
 * Owner: the caller owns the struct, at a fixed place, from start to stop. weir_hook_send never
 * blocks, and may be called by one thread.
 */
#ifndef WEIR_HOOK_H
#define WEIR_HOOK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/err.h>

#include "log.h"

#define WEIR_HOOK_BODY_SIZE   1024
#define WEIR_HOOK_WAITING_MAX 64
#define WEIR_HOOK_TRIES       6
#define WEIR_HOOK_PAUSE_MS    1000
#define WEIR_HOOK_TIMEOUT_MS  10000 /* of one post */
#define WEIR_HOOK_URL_SIZE    1024
#define WEIR_HOOK_SECRET_SIZE 256
#define WEIR_HOOK_ERROR_SIZE  1280

struct weir_hook_counts {
  uint64_t sent, failed /* tries */, lost;
};

struct weir_hook {
  char url[WEIR_HOOK_URL_SIZE];
  char secret[WEIR_HOOK_SECRET_SIZE]; /* "": posts are not signed */
  bool is_running;
  void *curl; /* the thread's */
  struct weir_log *log;
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t cond;
  /* Under mutex. */
  bool is_stopping, is_failing;
  struct weir_log_rate rate;
  uint32_t first, count;
  char bodies[WEIR_HOOK_WAITING_MAX][WEIR_HOOK_BODY_SIZE];
  struct weir_hook_counts counts;
};

/* weir_hook_start begins to post to |url|; the secret is the first line of the file
 * |secret_path|, "" for none. |log| stays the caller's until the hook is stopped. WEIR_ECONFIG
 * (the secret cannot be read) or WEIR_ESYSTEM, with the reason in |ret_error| (WEIR_HOOK_ERROR_SIZE
 * bytes). */
WEIR_MUSTUSE enum weir_err weir_hook_start(struct weir_hook *hook, const char *url,
                                           const char *secret_path, struct weir_log *log,
                                           char *ret_error);

/* weir_hook_send has |body|, a text of fewer than WEIR_HOOK_BODY_SIZE bytes, posted. */
void weir_hook_send(struct weir_hook *hook, const char *body);

/* weir_hook_counts returns what became of posts so far. */
struct weir_hook_counts weir_hook_counts(struct weir_hook *hook);

/* weir_hook_stop ends the thread; a post that is under way is given up, and what waits is lost:
 * that is logged and counted. A hook that was not started is left alone. */
void weir_hook_stop(struct weir_hook *hook);

/* weir_hook_sign writes the HMAC-SHA256 of |body| by |secret| in hexadecimal into |ret_text| of 65
 * bytes. */
void weir_hook_sign(const char *secret, const char *body, char *ret_text);

#endif
