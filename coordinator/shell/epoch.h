/* epoch.h - what the coordinator remembers between its lives: the state file.
 *
 *   weir-state 1
 *   epoch 17
 *   boot 6fd29f0e-2b1b-4a52-a6d6-60bbd7bf8a65
 *   granted_until_us 81234567890
 *   clean 0
 *   check 9a7c2f01d3e4b5a6
 *
 * "granted_until" is an instant of CLOCK_MONOTONIC in that boot: no grant of that life let a call
 * arrive later. The file is kept ahead of the grants while the coordinator runs, so that a killed
 * one leaves a true statement behind. The monotonic clock stands still in suspend: that makes the
 * past look younger than it is, the safe direction.
 *
 * The file is replaced as a whole (temporary file, fsync, rename, fsync of the folder). A second
 * file, PATH.lock, is held by flock for as long as the process lives; it is never removed.
 *
 * Owner: the caller owns the struct. Blocking: every function does file I/O. Threads: after
 * weir_epoch_open one thread may call weir_epoch_write.
 */
#ifndef WEIR_EPOCH_H
#define WEIR_EPOCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/conf.h>
#include <weir/err.h>
#include <weir/time.h>

#include "life.h"

#define WEIR_EPOCH_BOOT_SIZE  WEIR_LIFE_BOOT_SIZE
#define WEIR_EPOCH_FILE_SIZE  512
#define WEIR_EPOCH_ERROR_SIZE (2 * WEIR_CONF_PATH_SIZE + 512)

struct weir_epoch_record {
  uint64_t epoch; /* 1 .. 2^63 */
  char boot[WEIR_EPOCH_BOOT_SIZE];
  weir_tstamp granted_until;
  bool is_clean; /* written at an orderly end */
};

struct weir_epoch {
  char path[WEIR_CONF_PATH_SIZE];
  int lock_fd;
  bool has_past; /* a former life left |former| */
  struct weir_epoch_record former;
  char boot[WEIR_EPOCH_BOOT_SIZE]; /* of this boot; "" when the system does not tell */
};

/* weir_epoch_open takes the lock of the state file |path| and reads the file. With
 * |is_forced| nothing is known of the past: a damaged or missing file is accepted too, and its
 * epoch becomes the seconds of the wall clock, above any count of starts.
 *
 * WEIR_ECLOSED another coordinator holds the lock, WEIR_ESYNTAX the file is damaged, WEIR_ESYSTEM
 * anything else; |ret_error| (WEIR_EPOCH_ERROR_SIZE bytes) then says what and how to go on. */
WEIR_MUSTUSE enum weir_err weir_epoch_open(struct weir_epoch *e, const char *path, bool is_forced,
                                           char *ret_error);

/* weir_epoch_close gives the lock back. */
void weir_epoch_close(struct weir_epoch *e);

/* weir_epoch_past_us returns how long ago, at |now|, the former life's last grant may have let a
 * call arrive; 0 when that is unknown or has yet to come. */
weir_duration weir_epoch_past_us(const struct weir_epoch *e, weir_tstamp now);

/* weir_epoch_write makes the record durable before it returns. WEIR_ESYSTEM, with the reason in
 * |ret_error|: the file then holds what it held, or the record, which is not durable yet. */
WEIR_MUSTUSE enum weir_err weir_epoch_write(const struct weir_epoch *e, uint64_t epoch,
                                            weir_tstamp granted_until, bool is_clean,
                                            char *ret_error);

/* weir_epoch_format writes |record| as a file of at most WEIR_EPOCH_FILE_SIZE bytes into |ret_text|
 * and returns its size. */
size_t weir_epoch_format(const struct weir_epoch_record *record, char *ret_text);

/* weir_epoch_parse reads what weir_epoch_format wrote. WEIR_ESYNTAX, and the offset of the first
 * byte that is not as it should be in |ret_offset|. */
WEIR_MUSTUSE enum weir_err weir_epoch_parse(const char *text, size_t size,
                                            struct weir_epoch_record *ret_record,
                                            size_t *ret_offset);

#endif
