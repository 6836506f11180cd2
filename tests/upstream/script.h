/* script.h - how the simulated provider behaves: its limits, latency, output and faults.
 *
 * One table of keys serves the command line (--latency-ms 300..1500) and the JSON of POST
 * /_admin/script and /_admin/limits ({"latency_ms": "300..1500"}).
 */
#ifndef WEIR_UP_SCRIPT_H
#define WEIR_UP_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/rng.h>

#include "buffer.h"
#include "limits.h"
#include "request.h"

#define WEIR_UP_FAULTS_MAX 32
#define WEIR_UP_MODELS_MAX 32
#define WEIR_UP_KEYS_MAX   64
#define WEIR_UP_NAME_MAX   127

/* X(name, text, what it does) */
#define WEIR_UP_FAULT_LIST(X)                                                                      \
  X(CAPACITY_429, "capacity_429", "429 that names no quota")                                       \
  X(OVERLOADED_503, "overloaded_503", "503")                                                       \
  X(OVERLOADED_529, "overloaded_529", "529 (Gemini: 503 in its older wording)")                    \
  X(ERROR_500, "error_500", "500")                                                                 \
  X(TIMEOUT_504, "timeout_504", "504, after the latency")                                          \
  X(BILLING_402, "billing_402", "the account cannot pay")                                          \
  X(LEAKED_KEY_403, "leaked_key_403", "the key was reported as leaked")                            \
  X(LIMIT_ZERO, "limit_zero", "a limit of 0: the model is not in the tier")                        \
  X(DAY_SHORT_HINT, "day_short_hint", "the daily quota with a hint of 36 s")                       \
  X(RAMP, "ramp", "usage grows too fast")                                                          \
  X(STREAM_ERROR, "stream_error", "an error event in the middle of a stream")                      \
  X(DROP, "drop", "the connection breaks before usage is told")                                    \
  X(SLOW_FIRST_BYTE, "slow_first_byte", "the answer begins |ms| later")                            \
  X(BLOCKED_PROMPT, "blocked_prompt", "200 without output (Gemini; charged)")                      \
  X(CLOSE_UNANSWERED, "close_unanswered", "a re-used connection closes without an answer")

enum weir_up_fault_kind {
  WEIR_UP_FAULT_NONE,
#define X(name, text, what) WEIR_UP_FAULT_##name,
  WEIR_UP_FAULT_LIST(X)
#undef X
      WEIR_UP_FAULT_MAX
};

struct weir_up_fault {
  enum weir_up_fault_kind kind;
  uint64_t next;        /* fires for this many calls, then is spent; 0: by probability */
  uint64_t skip;        /* calls to let pass first */
  uint32_t probability; /* in millionths */
  uint32_t ms;          /* slow_first_byte */
  bool is_charged;      /* an error that still consumes quota */
  char model[WEIR_UP_MODEL_MAX + 1]; /* "": any */
};

/* A limit before it is known which provider it is for: "tpm" depends on that. */
struct weir_up_limit_spec {
  char name[8];               /* rpm rpd tpm tpd itpm otpm ttpm */
  enum weir_up_method method; /* 0: the default */
  uint64_t amount, burst;
};

struct weir_up_limit_set {
  char model[WEIR_UP_MODEL_MAX + 1]; /* "" for the default set */
  uint32_t count;
  struct weir_up_limit_spec specs[WEIR_UP_LIMITS_MAX];
};

struct weir_up_key {
  char key[WEIR_UP_NAME_MAX + 1], project[WEIR_UP_NAME_MAX + 1];
};

struct weir_up_settings {
  enum weir_up_method method;
  uint64_t minute_ms, day_ms, day_reset_ms, phase_ms, sub_ms;
  bool is_rejected_counted, is_free_tier, is_only_models;
  uint32_t set_count; /* sets[0] is the default set */
  struct weir_up_limit_set sets[1 + WEIR_UP_MODELS_MAX];
  uint32_t key_count;
  struct weir_up_key keys[WEIR_UP_KEYS_MAX]; /* none: any key is valid, each its own project */

  uint64_t latency_min_ms, latency_max_ms;
  double latency_median_ms, latency_sigma; /* lognormal, when median > 0 */
  uint64_t chunk_ms, chunk_tokens;
  uint64_t output_min, output_max, context_max;
  uint64_t seed, log_entries;
  uint32_t fault_count;
  struct weir_up_fault faults[WEIR_UP_FAULTS_MAX];

  uint64_t limits_version; /* grows when limits or methods change */
};

/* weir_up_settings_init sets the defaults: no limits, no faults, 20 ms. */
void weir_up_settings_init(struct weir_up_settings *s);

/* weir_up_settings_set sets the value of |key| ("latency_ms" or "latency-ms"); false with a line of
 * explanation in |error|. */
bool weir_up_settings_set(struct weir_up_settings *s, const char *key, const char *value,
                          char *error, size_t error_size);

/* weir_up_settings_apply applies a JSON document: all of it, or nothing and false with |error|. */
bool weir_up_settings_apply(struct weir_up_settings *s, const char *json, size_t size, char *error,
                            size_t error_size);

/* weir_up_settings_limits resolves the limits of |model|, where "tpm" counts |tokens|; returns how
 * many. */
uint32_t weir_up_settings_limits(const struct weir_up_settings *s, const char *model,
                                 enum weir_up_dimension tokens,
                                 struct weir_up_limit ret_limits[WEIR_UP_LIMITS_MAX]);

/* weir_up_settings_knows tells whether |model| exists. */
bool weir_up_settings_knows(const struct weir_up_settings *s, const char *model);

/* weir_up_settings_fault draws the fault that this call meets, using up what it fires; NULL for
 * none. Valid until the settings change. */
const struct weir_up_fault *weir_up_settings_fault(struct weir_up_settings *s, const char *model,
                                                   bool is_reused, struct weir_rng *rng);

/* weir_up_settings_latency_ms draws a latency. */
uint64_t weir_up_settings_latency_ms(const struct weir_up_settings *s, struct weir_rng *rng);

const char *weir_up_fault_name(enum weir_up_fault_kind kind);

#endif
