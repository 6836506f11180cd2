/* batch_work.h - the threads of `weir batch`: each takes the next pending line, makes the call by
 * libweir, and writes the result.
 *
 * Life: start, then wait on |wake_fd| and look, drain to end early, join. One lock guards
 * everything below it; calls to the provider are made without it.
 */
#ifndef WEIR_BATCH_WORK_H
#define WEIR_BATCH_WORK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/err.h>
#include <weir/msg.h>
#include <weir/provider.h>
#include <weir/vocab.h>

#include <weir.h>

#include "batch_index.h"
#include "batch_output.h"

#define WEIR_BATCH_PARALLEL_MAX 512

/* Where requests go; the strings are the caller's. */
struct weir_batch_target {
  const char *provider;         /* its name for the coordinator; NULL: that of the line's format */
  enum weir_provider_kind kind; /* of |provider|; 0: that of the line's format */
  const char *model;            /* for lines that name none; NULL: each has to */
  const char *route;            /* route or pool for all lines, whatever their model; or NULL */
};

/* weir_batch_target_check is a weir_batch_check_fn on a struct weir_batch_target. */
bool weir_batch_target_check(const void *context, const struct weir_batch_request *request,
                             char ret_reason[WEIR_BATCH_REASON_MAX]);

/* weir_batch_target_model writes what to ask the coordinator for: "provider/model", or the route.
 * False when it does not fit. */
bool weir_batch_target_model(const struct weir_batch_target *target,
                             const struct weir_batch_request *request,
                             char ret_model[WEIR_NAME_SIZE]);

/* What all threads did so far. */
struct weir_batch_tally {
  uint32_t done, failed; /* results written; failed are among done */
  uint64_t attempts, input_tokens, output_tokens;
};

struct weir_batch_work {
  /* Set by the caller before start, then only read. */
  struct weir *weir;
  const struct weir_batch_target *target;
  const char *input_path;
  int input_fd, wake_fd; /* wake_fd: an eventfd, written whenever there is something new */
  uint64_t max_wait_ms, timeout_ms;
  uint32_t retries; /* of a request, after its first attempt */
  enum weir_class work_class;
  const char *tenant; /* NULL: nobody in particular */

  pthread_mutex_t lock;
  struct weir_batch_index *index;
  struct weir_batch_output *output;
  struct weir_batch_tally tally;
  uint32_t next;     /* entry to look at next */
  uint32_t threads;  /* that have not ended */
  uint32_t inflight; /* lines taken and not finished */
  bool is_stopping;  /* no new line is taken */
  bool is_waiting;   /* for space on the disk */
  int result;        /* enum weir_cli_exit: why it stopped by itself; 0: it did not */
  char reason[WEIR_BATCH_FAULT_MAX];
  pthread_t handles[WEIR_BATCH_PARALLEL_MAX];
  uint32_t handles_count;
};

/* weir_batch_work_start starts |parallel| threads (fewer when the system refuses); false when not
 * even one. */
bool weir_batch_work_start(struct weir_batch_work *work, uint32_t parallel);

/* weir_batch_work_stop lets no new line be taken. With a |reason|, which must not be empty, it is
 * kept, with the exit code |result|, if it is the first. */
void weir_batch_work_stop(struct weir_batch_work *work, int result, const char *reason);

/* weir_batch_work_join waits for all threads to end. */
void weir_batch_work_join(struct weir_batch_work *work);

#endif
