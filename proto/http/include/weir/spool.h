/* spool.h - bytes that are too many for memory, in a file without a name.
 *
 *   if (weir_spool_open(&spool, folder) && weir_spool_add(&spool, bytes, size) && ...)
 *     at = weir_spool_map(&spool);
 *   ...
 *   weir_spool_close(&spool);
 *
 * The file is gone with the process, whatever ends it. What was mapped is memory that the system
 * takes back when it needs it, unless |folder| is itself in memory (tmpfs). Everything blocks on
 * the disk, as writing to a file does: usually not at all. One thread.
 */
#ifndef WEIR_SPOOL_H
#define WEIR_SPOOL_H

#include <stdbool.h>
#include <stddef.h>

/* The fields are private, but for |size|. Zeros: not open. */
struct weir_spool {
  bool is_open;
  int fd;
  size_t size; /* bytes that were added */
  char *at;    /* NULL: not mapped */
};

/* weir_spool_open makes a file in |folder|, which the caller closes with weir_spool_close. False,
 * and errno, when it cannot. */
bool weir_spool_open(struct weir_spool *spool, const char *folder);

/* weir_spool_add appends |size| bytes. False, and errno, when there is no room. Precondition: not
 * mapped yet. */
bool weir_spool_add(struct weir_spool *spool, const void *bytes, size_t size);

/* weir_spool_reserve takes |size| bytes as added, which are to be written to the mapping.
 * Precondition: nothing was added yet. */
void weir_spool_reserve(struct weir_spool *spool, size_t size);

/* weir_spool_map returns all bytes, a NUL behind them; NULL, and errno, when it cannot. Valid until
 * weir_spool_close. */
char *weir_spool_map(struct weir_spool *spool);

/* weir_spool_relax tells the system that the mapped bytes are not needed for a while. They stay
 * valid. */
void weir_spool_relax(struct weir_spool *spool);

/* weir_spool_close gives up file and mapping; nothing if it is not open. */
void weir_spool_close(struct weir_spool *spool);

#endif
