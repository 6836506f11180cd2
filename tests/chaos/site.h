/* site.h - one act's stage: a stand of tests/outage with a coordinator that lives many times, a
 * fleet, and the instants of the blows at them.
 *
 * Functions that can fail say why on standard error and return false.
 */
#ifndef WEIR_CHAOS_SITE_H
#define WEIR_CHAOS_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/rng.h>

#include "../demo/promise.h"
#include "../outage/stand.h"
#include "fleet.h"
#include "judge.h"

#define CHAOS_BLOWS_MAX 4096

/* The limit that most acts keep: 50 calls a second. */
/* A configuration of one pool with |LIMITS|, a literal of YAML. */
#define CHAOS_CONFIG(LIMITS)                                                                       \
  "heartbeat: 100ms\n"                                                                             \
  "session_ttl: 300ms\n"                                                                           \
  "providers:\n"                                                                                   \
  "  gemini: {kind: gemini}\n"                                                                     \
  "pools:\n"                                                                                       \
  "  - name: flash\n"                                                                              \
  "    provider: gemini\n"                                                                         \
  "    models: [" OUTAGE_MODEL "]\n"                                                               \
  "    limits: " LIMITS "\n"                                                                       \
  "    profile: window\n"                                                                          \
  "    lease_ttl: 500ms\n"                                                                         \
  "    jitter: 100ms\n"

#define CHAOS_WINDOW_MS UINT64_C(5000)
#define CHAOS_AMOUNT    UINT64_C(250)

struct chaos_options {
  bool is_short;
  bool is_store; /* the coordinator keeps its books in a store, not only a state file */
  uint64_t seed;
  char programs[512];
};

struct chaos_site {
  const struct chaos_options *options;
  struct outage_stand stand;
  struct chaos_fleet fleet;
  struct weir_rng rng;
  uint64_t amount, window_ms;
  uint64_t from_us, to_us;
  struct chaos_blow blows[CHAOS_BLOWS_MAX];
  size_t blows_count;
  bool is_quiet;              /* errors that the coordinator logs are counted, not shown */
  uint64_t errors;            /* lines of its log that tell of one */
  uint64_t held, key_refused; /* that say so */
  /* After chaos_site_end. */
  struct outage_request *requests;
  size_t requests_count;
  struct chaos_figures figures;
  struct chaos_balance balance;
  uint64_t failed; /* calls */
  int err;         /* of one of them */
};

/* chaos_interrupt_catch catches SIGINT and SIGTERM: waits end at once after one and nothing more
 * starts, so that acts fail and take away what they made. chaos_is_interrupted tells. */
void chaos_interrupt_catch(void);
bool chaos_is_interrupted(void);

/* chaos_site_new prepares one of the usual limit; |config| gives pools and providers and has to
 * outlive it. Aborts when memory is short. chaos_config returns the usual one, static storage. The
 * caller may change the stand before chaos_site_start, which starts the processes and lets the
 * fleet call for a window; acts that need no fleet start the stand alone. */
struct chaos_site *chaos_site_new(const struct chaos_options *options, const char *config);
const char *chaos_config(void);
bool chaos_site_start(struct chaos_site *site);

/* chaos_site_wait lets |ms| pass and reads what the coordinator says meanwhile. */
void chaos_site_wait(struct chaos_site *site, uint64_t ms);

/* chaos_site_wait_random waits for between |min_ms| and |max_ms|. */
void chaos_site_wait_random(struct chaos_site *site, uint64_t min_ms, uint64_t max_ms);

/* chaos_site_recover waits until a call was answered that was not under way when this began, for
 * |ms| at most; false when none was. */
bool chaos_site_recover(struct chaos_site *site, uint64_t ms);

/* chaos_site_blow_begin notes that something is down from now on, chaos_site_blow_end that it is up
 * again. */
void chaos_site_blow_begin(struct chaos_site *site);
void chaos_site_blow_end(struct chaos_site *site);

/* chaos_site_kill kills the coordinator by SIGKILL and starts its next life at once;
 * |is_forgotten|: without what it remembered. */
bool chaos_site_kill(struct chaos_site *site, bool is_forgotten);

/* chaos_site_forget removes the files in which the coordinator remembers. */
void chaos_site_forget(const struct chaos_site *site);

/* chaos_site_end stops the fleet and judges; chaos_site_free ends the processes and frees it. */
bool chaos_site_end(struct chaos_site *site);
void chaos_site_free(struct chaos_site *site);

/* ---- rows ---- */

/* chaos_head prints the table's head, chaos_row the row of a site that has ended. */
void chaos_head(void);
void chaos_row(const char *name, const struct chaos_site *site);

/* chaos_note prints a line that belongs to the row before. */
void chaos_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* chaos_promise_never_over is the promise of every act: no rejection, nothing paid twice, no call
 * that failed. */
bool chaos_promise_never_over(const struct chaos_site *site);

#endif
