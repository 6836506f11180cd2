/* keys.h - the keys of a coordinator on TCP, made and revoked by `weir keys`, in a folder of their
 * own; and other commands that end soon.
 *
 * Functions that can fail say why on standard error and return false.
 */
#ifndef WEIR_CHAOS_KEYS_H
#define WEIR_CHAOS_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#define CHAOS_KEY_SIZE 41 /* with its NUL */

struct chaos_keys {
  const char *programs;
  char folder[64], server_key[CHAOS_KEY_SIZE];
  char config[256]; /* the coordinator's lines: key and peers */
};

/* chaos_keys_open makes the coordinator's pair; chaos_keys_close removes the folder, also one that
 * was never made (zeros). */
bool chaos_keys_open(struct chaos_keys *keys, const char *programs);
void chaos_keys_close(struct chaos_keys *keys);

/* chaos_keys_new makes the pair of |name|, which the coordinator knows when |is_listed|, in the
 * file that chaos_keys_path names; chaos_keys_revoke takes it out of the list. */
bool chaos_keys_new(const struct chaos_keys *keys, const char *name, bool is_listed);
void chaos_keys_path(const struct chaos_keys *keys, const char *name, char *ret_path, size_t size);
bool chaos_keys_revoke(const struct chaos_keys *keys, const char *name);

/* chaos_keys_read reads the pair of |name|. */
bool chaos_keys_read(const struct chaos_keys *keys, const char *name,
                     char ret_public[CHAOS_KEY_SIZE], char ret_secret[CHAOS_KEY_SIZE]);

/* chaos_folder_new makes a folder under /tmp, its name in |ret_folder| (64 bytes), "" on an error.
 */
bool chaos_folder_new(char *ret_folder);

/* chaos_command runs |arguments| (a NULL-terminated list, the first a path) to their end and
 * returns whether they ended by 0. The last line that begins by |prefix| is copied to |ret_line|,
 * without it; NULL: none is wanted. What they say is shown only when they fail and |is_loud|. */
bool chaos_command(const char *const *arguments, bool is_loud, const char *prefix, char *ret_line,
                   size_t size);

#endif
