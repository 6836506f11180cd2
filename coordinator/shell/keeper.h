/* keeper.h - a thread that keeps the state file ahead of the grants.
 *
 * Every WEIR_KEEPER_PERIOD_US it promises WEIR_KEEPER_AHEAD_US more; the loop grants only while the
 * promise covers what a grant made now could allow (weir_keeper_covers). A slow or failing disk
 * thus stops grants, never the record of them. A failed write is tried again each second.
 *
 * Owner: the caller owns the struct, at a fixed place, from start to stop.
 */
#ifndef WEIR_KEEPER_H
#define WEIR_KEEPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <weir/coord.h>

#include "epoch.h"

#define WEIR_KEEPER_PERIOD_US (5 * WEIR_US_PER_S)
#define WEIR_KEEPER_RETRY_US  WEIR_US_PER_S
/* The latest arrival that a grant made now allows, after now. */
#define WEIR_KEEPER_REACH_US (WEIR_COORD_HORIZON_US + WEIR_HOLD_MAX_US)
#define WEIR_KEEPER_AHEAD_US (2 * WEIR_KEEPER_PERIOD_US + WEIR_KEEPER_REACH_US)

struct weir_keeper {
  const struct weir_epoch *file;
  uint64_t epoch;
  int event_fd; /* readable after every write, good or bad */
  _Atomic uint64_t durable_until;
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t cond;
  bool is_stopping;                  /* under mutex */
  char error[WEIR_EPOCH_ERROR_SIZE]; /* under mutex: of the last write, "" when it was good */
};

/* weir_keeper_start writes the first record, so that the epoch is durable when it returns, and
 * begins the thread. WEIR_ESYSTEM with the reason in |ret_error| (WEIR_EPOCH_ERROR_SIZE bytes). */
WEIR_MUSTUSE enum weir_err weir_keeper_start(struct weir_keeper *k, const struct weir_epoch *file,
                                             uint64_t epoch, char *ret_error);

/* weir_keeper_covers tells whether grants made at |now| are covered by what is durable. */
bool weir_keeper_covers(const struct weir_keeper *k, weir_tstamp now);

/* weir_keeper_error empties the event and copies the last write's error, "" when it was good. */
void weir_keeper_error(struct weir_keeper *k, char *ret_error);

/* weir_keeper_stop ends the thread; it waits for a write that is under way. */
void weir_keeper_stop(struct weir_keeper *k);

#endif
