/* vocab.h - the closed vocabularies that code, wire, configuration, metrics and docs share.
 *
 * Each list makes the enum and its names, so they cannot drift. Values stand on the wire: they
 * are only ever added at the end.
 */
#ifndef WEIR_VOCAB_H
#define WEIR_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a limit counts. */
#define WEIR_DIMENSION_LIST(X)                                                                     \
  X(REQUESTS, 1, "requests")                                                                       \
  X(INPUT_TOKENS, 2, "input_tokens")                                                               \
  X(OUTPUT_TOKENS, 3, "output_tokens")                                                             \
  X(TOTAL_TOKENS, 4, "total_tokens")                                                               \
  X(SPEND, 5, "spend")         /* millionths of the currency of the prices */                      \
  X(IN_FLIGHT, 6, "in_flight") /* calls under way at the same time; has no window */

/* Which gates a ledger keeps, by what is known of the provider's method (docs/LEDGER.md): each
 * profile is stricter than the ones before it. */
#define WEIR_PROFILE_LIST(X)                                                                       \
  X(WINDOW, 1, "window")       /* every window: fixed windows of any phase, sliding logs */        \
  X(BUCKET, 2, "bucket")       /* and a bucket of |burst|, refilled continuously */                \
  X(PACED, 3, "paced")         /* and sub-windows of a second for requests */                      \
  X(UNIVERSAL, 4, "universal") /* and sliding counters: every method that we know */

/* Classes of work, the most urgent first. */
#define WEIR_CLASS_LIST(X)                                                                         \
  X(ONLINE, 1, "online")                                                                           \
  X(BATCH, 2, "batch")

/* Why the coordinator denied an ask. */
#define WEIR_DENIAL_LIST(X)                                                                        \
  X(NO_POOL, 1, "no_pool")       /* no pool or route has that model */                             \
  X(TOO_LARGE, 2, "too_large")   /* costs more than a whole limit: it can never fit */             \
  X(DEADLINE, 3, "deadline")     /* its earliest start lies past its deadline */                   \
  X(QUEUE_FULL, 4, "queue_full") /* the coordinator's or the session's bound is reached */         \
  X(FINISHED, 5, "finished")     /* this sequence number was granted before and is over */         \
  X(CLOSED, 6, "closed")         /* the pool, or the model in it, was removed */                   \
  X(BUSY, 7, "busy")             /* asked ahead of need, and there is no room to spare */          \
  X(OPEN, 8, "open")             /* the breaker is open for longer than the deadline */            \
  X(RETRIES, 9, "retries")       /* a new attempt, and the fleet has made its share of them */

/* Where a pool's breaker is (docs/BREAKER.md). */
#define WEIR_BREAKER_LIST(X)                                                                       \
  X(CLOSED, 1, "closed")       /* calls go through */                                              \
  X(OPEN, 2, "open")           /* no call goes through */                                          \
  X(HALF_OPEN, 3, "half_open") /* a few probes go through, and what becomes of them decides */     \
  X(RAMP, 4, "ramp")           /* the probes went well: calls go through in growing numbers */

/* What an operator has a breaker do. */
#define WEIR_STEER_LIST(X)                                                                         \
  X(AUTO, 1, "auto")   /* it decides by itself again */                                            \
  X(OPEN, 2, "open")   /* held open until told otherwise */                                        \
  X(CLOSE, 3, "close") /* closed now; from here on it decides by itself */                         \
  X(FORCE, 4, "force") /* held closed, whatever happens, until told otherwise */

/* What instances do with calls of a pool while the coordinator does not answer. */
#define WEIR_WITHOUT_LIST(X)                                                                       \
  X(WAIT, 1, "wait")     /* what islands let through goes, the rest waits for the coordinator */   \
  X(CLOSED, 2, "closed") /* the rest fails at once */                                              \
  X(OPEN, 3, "open")     /* the rest goes, without any limit */

/* How a call ended: success, or exactly one class of the error vocabulary (docs/PROVIDERS.md). */
#define WEIR_OUTCOME_LIST(X)                                                                       \
  X(OK, 1, "ok")                                                                                   \
  X(QUOTA_MINUTE_REQUESTS, 2, "quota_minute_requests")                                             \
  X(QUOTA_MINUTE_TOKENS, 3, "quota_minute_tokens")                                                 \
  X(QUOTA_DAY_REQUESTS, 4, "quota_day_requests")                                                   \
  X(QUOTA_DAY_TOKENS, 5, "quota_day_tokens")                                                       \
  X(QUOTA_SPEND, 6, "quota_spend")                                                                 \
  X(RAMP_LIMIT, 7, "ramp_limit")                                                                   \
  X(CAPACITY_THROTTLE, 8, "capacity_throttle")                                                     \
  X(OVERLOADED, 9, "overloaded")                                                                   \
  X(SERVER_ERROR, 10, "server_error")                                                              \
  X(DEADLINE, 11, "deadline")                                                                      \
  X(REQUEST_TOO_LARGE, 12, "request_too_large")                                                    \
  X(CONTEXT_OVERFLOW, 13, "context_overflow")                                                      \
  X(NO_ACCESS_TIER, 14, "no_access_tier")                                                          \
  X(BILLING, 15, "billing")                                                                        \
  X(AUTH, 16, "auth")                                                                              \
  X(PERMISSION, 17, "permission")                                                                  \
  X(MODEL_NOT_FOUND, 18, "model_not_found")                                                        \
  X(BAD_REQUEST, 19, "bad_request")                                                                \
  X(CANCELLED, 20, "cancelled")                                                                    \
  X(NETWORK, 21, "network")

/* What the coordinator counts since its start (view "totals" of SHOW). */
#define WEIR_COUNTER_LIST(X)                                                                       \
  X(ASKS, 1, "asks")       /* asks received, replays not counted */                                \
  X(REPLAYS, 2, "replays") /* asks received again, answered again */                               \
  X(GRANTS, 3, "grants")                                                                           \
  X(QUEUED, 4, "queued") /* asks that had to wait */                                               \
  X(DENIED, 5, "denied")                                                                           \
  X(CANCELLED, 6, "cancelled") /* asks withdrawn while they waited */                              \
  X(SETTLED, 7, "settled")                                                                         \
  X(SETTLED_UNUSED, 8, "settled_unused") /* leases returned without having been sent */            \
  X(SETTLED_LATE, 9, "settled_late")     /* settles of leases no longer in the books */            \
  X(LOST, 10, "lost")                    /* leases never settled: charged in full */               \
  X(REJECTED_429, 11, "rejected_429")    /* settles that report a quota rejection */               \
  X(SESSIONS_OPENED, 12, "sessions_opened")                                                        \
  X(SESSIONS_LOST, 13, "sessions_lost") /* ended by silence, not by BYE */                         \
  X(MALFORMED, 14, "malformed")         /* frames that did not decode */                           \
  X(REFUSED, 15, "refused")             /* well-formed messages without a live session */          \
  X(UNSENT, 16, "unsent")               /* replies that a full or gone peer did not take */        \
  X(FALLBACKS, 17, "fallbacks")         /* ledgers that fell back to the stricter profile */       \
  X(CUTS, 18, "cuts")                   /* limits cut because somebody else spends them */         \
  X(RETRIES, 19, "retries")             /* grants for new attempts of a call */                    \
  X(OPENINGS, 20, "openings")           /* breakers that opened, again after a probe included */   \
  X(PROBES, 21, "probes")               /* grants while a breaker was half open */                 \
  X(REROUTED, 22, "rerouted")           /* grants of another choice than a route's first */        \
  X(THROTTLED, 23, "throttled")         /* frames dropped because their peer sent too many */      \
  X(ISLAND_CALLS, 24, "island_calls")   /* calls made without the coordinator, told of later */

#define X(name, value, text) WEIR_DIMENSION_##name = (value),
enum weir_dimension { WEIR_DIMENSION_LIST(X) WEIR_DIMENSION_MAX };
#undef X
#define X(name, value, text) WEIR_PROFILE_##name = (value),
enum weir_profile { WEIR_PROFILE_LIST(X) WEIR_PROFILE_MAX };
#undef X
#define X(name, value, text) WEIR_CLASS_##name = (value),
enum weir_class { WEIR_CLASS_LIST(X) WEIR_CLASS_MAX };
#undef X
#define X(name, value, text) WEIR_DENIAL_##name = (value),
enum weir_denial { WEIR_DENIAL_LIST(X) WEIR_DENIAL_MAX };
#undef X
#define X(name, value, text) WEIR_BREAKER_##name = (value),
enum weir_breaker_state { WEIR_BREAKER_LIST(X) WEIR_BREAKER_MAX };
#undef X
#define X(name, value, text) WEIR_WITHOUT_##name = (value),
enum weir_without { WEIR_WITHOUT_LIST(X) WEIR_WITHOUT_MAX };
#undef X
#define X(name, value, text) WEIR_STEER_##name = (value),
enum weir_steer { WEIR_STEER_LIST(X) WEIR_STEER_MAX };
#undef X
#define X(name, value, text) WEIR_OUTCOME_##name = (value),
enum weir_outcome { WEIR_OUTCOME_LIST(X) WEIR_OUTCOME_MAX };
#undef X
#define X(name, value, text) WEIR_COUNTER_##name = (value),
enum weir_counter { WEIR_COUNTER_LIST(X) WEIR_COUNTER_MAX };
#undef X

/* weir_*_name returns the word of a value, or "?" for a number outside the vocabulary. Static
 * storage. */
const char *weir_dimension_name(enum weir_dimension dimension);
const char *weir_profile_name(enum weir_profile profile);
const char *weir_class_name(enum weir_class class);
const char *weir_denial_name(enum weir_denial denial);
const char *weir_breaker_name(enum weir_breaker_state state);
const char *weir_without_name(enum weir_without without);
const char *weir_steer_name(enum weir_steer steer);
const char *weir_outcome_name(enum weir_outcome outcome);
const char *weir_counter_name(enum weir_counter counter);

/* weir_*_parse returns the value of the word |text|, or 0 when the vocabulary lacks it. */
enum weir_dimension weir_dimension_parse(const char *text);
enum weir_profile weir_profile_parse(const char *text);
enum weir_class weir_class_parse(const char *text);
enum weir_outcome weir_outcome_parse(const char *text);
enum weir_steer weir_steer_parse(const char *text);

/* weir_outcome_is_quota tells whether |outcome| is a rejection by a quota that weir keeps, so that
 * with all traffic on weir it should never be seen. */
bool weir_outcome_is_quota(enum weir_outcome outcome);

#endif
