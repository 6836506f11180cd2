/* life.h - what tells one life of the coordinator from another: the boot, and a lock that one
 * process holds.
 */
#ifndef WEIR_LIFE_H
#define WEIR_LIFE_H

#include <weir/err.h>

#define WEIR_LIFE_BOOT_SIZE 37 /* a UUID with its NUL */

/* weir_life_boot writes the id of this boot into |ret_boot| (WEIR_LIFE_BOOT_SIZE bytes); "" when
 * the system does not tell. Reads a file of /proc. */
void weir_life_boot(char *ret_boot);

/* weir_life_give gives the file |fd|, which this process has just made, to the owner of the file
 * |like|, if there is one: tools that root runs leave nothing that the coordinator cannot open.
 * Returns 0, or -1 and errno. */
int weir_life_give(int fd, const char *like);

/* weir_life_lock makes the file |path| if need be, for the owner of |like|, and holds its flock
 * until the descriptor in |ret_fd|, the caller's, is closed. The file is never removed. Does not
 * wait: WEIR_ECLOSED another process holds it; WEIR_ENOENT it cannot be opened, WEIR_ESYSTEM not be
 * locked, why is in errno.
 */
WEIR_MUSTUSE enum weir_err weir_life_lock(const char *path, const char *like, int *ret_fd);

/* weir_life_sync makes the names in the folder of |path| durable. Returns 0, or -1 and errno. */
int weir_life_sync(const char *path);

#endif
