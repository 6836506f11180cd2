/* fake_coordinator.h - for tests of libweir: a coordinator on a real socket that does as it is
 * told.
 *
 * It runs on a thread of its own. Every wait is for an event and fails the test after
 * FAKE_TIMEOUT_MS.
 */
#ifndef WEIR_TESTS_FAKE_COORDINATOR_H
#define WEIR_TESTS_FAKE_COORDINATOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/codec.h>

#define FAKE_TIMEOUT_MS   30000
#define FAKE_SESSIONS_MAX 64
#define FAKE_LOG_MAX      16384

enum fake_answer {
  FAKE_GRANT = 1,
  FAKE_QUEUE,  /* QUEUED, and no grant */
  FAKE_DENY,   /* |denial|, or too large: 1,310,720 input tokens of 1,000,000 a minute */
  FAKE_SILENT, /* reads, says nothing */
  FAKE_VERSION /* refuses every HELLO: no common version */
};

struct fake_session {
  uint64_t token, mark;
  uint8_t instance[WEIR_INSTANCE_SIZE];
};

struct fake_coordinator {
  char folder[64], endpoint[96];
  pthread_t thread;
  bool is_running;
  void *context, *socket;
  int control_fd;
  pthread_mutex_t lock;
  pthread_cond_t changed;

  /* what to do; under the lock */
  bool is_stopping;
  enum fake_answer answer;
  weir_duration ttl_us;
  char model[WEIR_NAME_SIZE]; /* in grants; "": that of the ask */
  bool talks_garbage;         /* before each answer */
  bool wants_reports;         /* grants say is_reported */
  bool is_probe;              /* grants say so */
  weir_duration timeout_us;   /* in grants, as the next two */
  uint64_t ratio_pm, ratio_error_pm;
  enum weir_denial denial;       /* 0: too large */
  enum weir_denial retry_denial; /* of new attempts; 0: they are answered like others */
  /* The route that every ask names, if there are any: the first choice that the ask does not avoid,
   * or the one it prefers. */
  const char *choices[WEIR_CHOICES_MAX];
  uint32_t choices_count;
  struct weir_msg_row totals, pool, budget; /* the rows of its views: one of each; a budget without
                                               a name is none */

  /* what was seen; under the lock, and kept over restarts */
  uint64_t epoch, token_last;
  struct fake_session sessions[FAKE_SESSIONS_MAX]; /* of this life */
  uint32_t sessions_count;
  struct weir_msg received[FAKE_LOG_MAX];
  uint32_t received_count;
};

/* fake_init makes a folder for the socket and starts; fake_fini stops and removes it. */
void fake_init(struct fake_coordinator *f, enum fake_answer answer);
void fake_fini(struct fake_coordinator *f);
/* fake_stop ends it as a crash would; fake_start begins a new life that knows no session. */
void fake_stop(struct fake_coordinator *f);
void fake_start(struct fake_coordinator *f, enum fake_answer answer);
/* fake_set changes the answer to what comes from now on. */
void fake_set(struct fake_coordinator *f, enum fake_answer answer);
/* fake_count returns how many messages of |type| came so far. */
uint32_t fake_count(struct fake_coordinator *f, enum weir_msg_type type);
/* fake_wait waits until |count| messages of |type| came, and returns the last of them. */
struct weir_msg fake_wait(struct fake_coordinator *f, enum weir_msg_type type, uint32_t count);
/* fake_get returns the message of |type| with |index|, counted from 0. */
struct weir_msg fake_get(struct fake_coordinator *f, enum weir_msg_type type, uint32_t index);
/* fake_instances returns how many different instances said HELLO. */
uint32_t fake_instances(struct fake_coordinator *f);

#endif
