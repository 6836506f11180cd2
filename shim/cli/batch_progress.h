/* batch_progress.h - tells people how far a batch is: a bar on a terminal, else a line now and
 * then.
 */
#ifndef WEIR_BATCH_PROGRESS_H
#define WEIR_BATCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/msg.h>

#include "batch_work.h"

#define WEIR_BATCH_RATE_SECONDS 60

struct weir_batch_progress {
  bool is_silent, is_terminal;
  uint32_t total, before;                 /* lines to send in all; finished by earlier runs */
  const struct weir_msg_row_limit *limit; /* that the pace is compared with, or NULL */
  uint64_t begun_us, shown_us;
  uint64_t seen;                           /* units at the last look */
  uint64_t units[WEIR_BATCH_RATE_SECONDS]; /* in each of the last seconds */
  uint64_t second;                         /* since begun, of the newest element */
};

/* weir_batch_progress_show looks at |tally| at |now_us| and shows it if it is time to, or if it
 * |is_last|. Call it at least once a second. */
void weir_batch_progress_show(struct weir_batch_progress *progress,
                              const struct weir_batch_tally *tally, uint64_t now_us, bool is_last);

/* weir_batch_progress_clear takes the bar away, so that a message can stand in its place. */
void weir_batch_progress_clear(const struct weir_batch_progress *progress);

#endif
