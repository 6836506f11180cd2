/* heritage.h - what a life of the coordinator knows of the lives before, and leaves to the next: in
 * a store, or without one in the state file.
 *
 *   weir_heritage_open    the lock; the new epoch is durable when it returns
 *   weir_heritage_begin   immediately before the machine: how long ago the last grant was
 *   weir_heritage_go_on   with the machine, before it steps: what it knows nothing of
 *   weir_heritage_close   what the next life will know
 *
 * A killed life leaves a true statement as well: the state file is ahead of the grants (keeper.h),
 * and the store's records are (recorder.h).
 *
 * Owner: the caller owns the struct, at a fixed place. Blocking: all do file I/O.
 */
#ifndef WEIR_HERITAGE_H
#define WEIR_HERITAGE_H

#include <weir/conf.h>
#include <weir/coord.h>
#include <weir/store.h>

#include "epoch.h"
#include "keeper.h"
#include "recorder.h"

#define WEIR_HERITAGE_ERROR_SIZE                                                                   \
  (WEIR_STORE_ERROR_SIZE > WEIR_EPOCH_ERROR_SIZE ? WEIR_STORE_ERROR_SIZE : WEIR_EPOCH_ERROR_SIZE)

struct weir_heritage {
  const char *name;         /* of the last life's end: "none", "clean", "unclean", "spent" */
  weir_tstamp former_until; /* latest arrival of the former lives' grants, on our clock */
  /* without a store */
  struct weir_epoch epoch;
  struct weir_keeper keeper;
  /* with one */
  struct weir_store *store; /* NULL: there is none */
  struct weir_store_meta former;
  struct weir_store_meta meta; /* of this life */
  struct weir_record
      *records; /* of former lives; until weir_heritage_begin's caller has used them */
  struct weir_recorder recorder;
};

/* weir_heritage_open opens the store or the state file of |conf| and fills |ret_start|, but for
 * past_us and seed. |is_forced|: --assume-spent. Errors as weir_store_open or weir_epoch_open, with
 * |ret_error| of WEIR_HERITAGE_ERROR_SIZE bytes. */
WEIR_MUSTUSE enum weir_err weir_heritage_open(struct weir_heritage *h, const struct weir_conf *conf,
                                              bool is_forced, struct weir_coord_start *ret_start,
                                              char *ret_error);

/* weir_heritage_begin fills past_us of |start| for a machine that begins at |now|. The records of
 * |start| stay until weir_heritage_forget. */
void weir_heritage_begin(struct weir_heritage *h, struct weir_coord_start *start, weir_tstamp now);

/* weir_heritage_go_on makes durable which of the records |coord|, which began with |start|, does
 * not go on with (weir_coord_disown). Errors as weir_store_commit: then |coord| must not grant. */
WEIR_MUSTUSE enum weir_err weir_heritage_go_on(struct weir_heritage *h,
                                               const struct weir_coord_start *start,
                                               struct weir_coord *coord, char *ret_error);

/* weir_heritage_forget frees the records that weir_heritage_open read. */
void weir_heritage_forget(struct weir_heritage *h);

/* weir_heritage_keeper and weir_heritage_recorder return the thread that keeps the past, or NULL:
 * there is exactly one of them. */
struct weir_keeper *weir_heritage_keeper(struct weir_heritage *h);
struct weir_recorder *weir_heritage_recorder(struct weir_heritage *h);

/* weir_heritage_close writes what |coord| (NULL: there was none) leaves, and marks the end as
 * clean. WEIR_ESYSTEM when it could not be written, with the reason in |ret_error|. */
WEIR_MUSTUSE enum weir_err weir_heritage_close(struct weir_heritage *h, struct weir_coord *coord,
                                               char *ret_error);

#endif
