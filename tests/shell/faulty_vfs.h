/* faulty_vfs.h - for tests: SQLite's files, with faults on demand.
 *
 * Registered as the default VFS of this process, so that the product's own code meets the faults.
 * Only exclusive use of a file works with it: there is no shared memory.
 */
#ifndef WEIR_TESTS_FAULTY_VFS_H
#define WEIR_TESTS_FAULTY_VFS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum faulty_kind {
  FAULTY_NONE = 0,
  FAULTY_FULL,  /* writes: no space is left */
  FAULTY_WRITE, /* writes fail */
  FAULTY_SYNC,  /* syncs fail */
  FAULTY_READ   /* reads fail */
};

struct faulty {
  enum faulty_kind kind;
  uint32_t after; /* so many operations of that kind still work */
  uint32_t count; /* of operations of that kind since faulty_set */
  bool is_dirty;  /* something was written that was not synced since */
  bool is_slow;   /* under |mutex|: syncs wait until it is false */
  bool is_waiting;
  pthread_mutex_t mutex;
  pthread_cond_t cond;
};

extern struct faulty faulty;

/* faulty_register makes it the default; once. */
void faulty_register(void);
/* faulty_set has operations of |kind| fail from the |after|-th on (0: the first). */
void faulty_set(enum faulty_kind kind, uint32_t after);
/* faulty_slow has syncs wait from now on, or lets them go on. faulty_wait waits until one does. */
void faulty_slow(bool is_slow);
void faulty_wait(void);

#endif
