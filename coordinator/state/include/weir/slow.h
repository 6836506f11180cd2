/* slow.h - the slowest of the calls that ended lately, each from its ask to the end of its answer.
 *
 * At most WEIR_SLOW_CALLS_MAX of those that ended in the last WEIR_SLOW_LAST_US are kept. What had
 * to make way for slower ones does not come back when these are too old: then there are fewer.
 *
 * Pure. Numbers and names only. Owner: the machine, one for all pools.
 */
#ifndef WEIR_SLOW_H
#define WEIR_SLOW_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/msg.h>
#include <weir/time.h>
#include <weir/vocab.h>

#define WEIR_SLOW_CALLS_MAX 16
#define WEIR_SLOW_LAST_US   (10 * WEIR_US_PER_MIN)

struct weir_slow_call {
  weir_tstamp ended_at;
  weir_duration waited_us, took_us; /* from ask to start; from writing to the end of the answer */
  uint64_t input_tokens, output_tokens; /* 0: not known */
  enum weir_outcome outcome;
  uint32_t http; /* status; 0: none */
  uint8_t instance[WEIR_INSTANCE_SIZE];
  char pool[WEIR_POOL_NAME_SIZE];
};

struct weir_slow {
  uint32_t count;
  weir_tstamp old_at;                               /* when the oldest is too old */
  struct weir_slow_call calls[WEIR_SLOW_CALLS_MAX]; /* the slowest first */
};

/* weir_slow_is_one tells whether a call that took |total_us|, waiting included, and ends at |now|
 * would be kept. */
bool weir_slow_is_one(const struct weir_slow *s, weir_duration total_us, weir_tstamp now);

/* weir_slow_note keeps |call|, which has just ended, if it is slow enough. */
void weir_slow_note(struct weir_slow *s, const struct weir_slow_call *call);

/* weir_slow_forget forgets what is too old at |now|, and returns how many are left. */
uint32_t weir_slow_forget(struct weir_slow *s, weir_tstamp now);

#endif
