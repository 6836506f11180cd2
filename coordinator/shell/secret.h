/* secret.h - the coordinator's own key, and other secrets that stand in files.
 *
 * Owner: the caller owns the struct and wipes it as soon as the sockets have it.
 */
#ifndef WEIR_SECRET_H
#define WEIR_SECRET_H

#include <stddef.h>

#include <weir/err.h>
#include <weir/key.h>

#define WEIR_SECRET_ERROR_SIZE 1200

struct weir_secret {
  char secret[WEIR_KEY_SIZE], public[WEIR_KEY_SIZE];
};

/* weir_secret_load reads the key in the file |path|, which nobody but its owner may change and the
 * world may not read. WEIR_ECONFIG with a sentence in |ret_error| (WEIR_SECRET_ERROR_SIZE bytes),
 * which never holds the key. */
WEIR_MUSTUSE enum weir_err weir_secret_load(const char *path, struct weir_secret *ret_secret,
                                            char *ret_error);

/* weir_secret_line reads the first line of the regular file |path|, without its end, into
 * |ret_line| of |size| bytes, which the caller wipes. WEIR_ECONFIG with a sentence in |ret_error|
 * (WEIR_SECRET_ERROR_SIZE bytes), which never holds the line: it cannot be read, is empty, does not
 * fit, or holds a NUL; |ret_line| is then "". */
WEIR_MUSTUSE enum weir_err weir_secret_line(const char *path, char *ret_line, size_t size,
                                            char *ret_error);

/* weir_secret_wipe overwrites |secret|. */
void weir_secret_wipe(struct weir_secret *secret);

#endif
