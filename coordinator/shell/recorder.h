/* recorder.h - a thread that makes generations of records durable, so that the loop never waits for
 * a disk.
 *
 *   loop: while idle, fills weir_recorder_room and gives it -> thread: one commit -> eventfd ->
 *   loop: takes the answer
 *
 * One buffer changes hands: what becomes due while a commit is under way goes into the next, so a
 * slow disk makes commits larger, not more. A commit that failed is answered, not tried again: the
 * loop gives newer records instead.
 *
 * Owner: the caller owns the struct, at a fixed place, from start to stop; the store stays the
 * caller's, and is the thread's while it is not idle.
 */
#ifndef WEIR_RECORDER_H
#define WEIR_RECORDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir/coord.h>
#include <weir/store.h>

#define WEIR_RECORDER_RECORDS_MAX 4096

struct weir_recorder {
  struct weir_store *store;
  int event_fd; /* readable when an answer is there */
  bool is_idle; /* the loop's: nothing was given, or its answer was taken */
  struct weir_record *records;
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t cond;
  bool is_stopping, is_given, is_answered; /* under mutex, as all below */
  uint32_t count;
  uint64_t generation;
  bool is_durable;
  char error[WEIR_STORE_ERROR_SIZE];
};

/* weir_recorder_start begins the thread. WEIR_ENOMEM or WEIR_ESYSTEM with the reason in |ret_error|
 * (WEIR_STORE_ERROR_SIZE bytes). */
WEIR_MUSTUSE enum weir_err weir_recorder_start(struct weir_recorder *r, struct weir_store *store,
                                               char *ret_error);

/* weir_recorder_room returns where WEIR_RECORDER_RECORDS_MAX records may be put, or NULL while a
 * commit is under way. */
struct weir_record *weir_recorder_room(struct weir_recorder *r);

/* weir_recorder_give has the first |count| records of the room committed as |generation|. */
void weir_recorder_give(struct weir_recorder *r, uint32_t count, uint64_t generation);

/* weir_recorder_take empties the event. True when there is an answer: whether |ret_generation| is
 * durable, and why not in |ret_error| (WEIR_STORE_ERROR_SIZE bytes, "" when it is). */
bool weir_recorder_take(struct weir_recorder *r, uint64_t *ret_generation, bool *ret_is_durable,
                        char *ret_error);

/* weir_recorder_stop ends the thread; it waits for a commit that is under way, whose answer can be
 * taken afterwards. weir_recorder_free then frees what is left. */
void weir_recorder_stop(struct weir_recorder *r);
void weir_recorder_free(struct weir_recorder *r);

#endif
