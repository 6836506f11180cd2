/* keys.h - the keys of a provider: where they come from, and the one that a call takes.
 *
 * Each place (the program itself, a variable of the environment, a file) is a source with the bytes
 * that were read from it last; all keys of all sources make one ring. Everything that held a key is
 * wiped before it is freed.
 *
 * Files are looked at again before a call takes a key, at most once a second for a handle, and
 * without the lock, because a disk may take its time.
 */
#ifndef WEIR_SHELL_KEYS_H
#define WEIR_SHELL_KEYS_H

#include "handle.h"

struct weir_keys;

/* weir_keys_new reads the keys that |provider| names. |ret_place| tells people where a key that is
 * missing has to be put. WEIR_ECONFIG (said in the log), WEIR_ENOMEM. Blocks on files. */
WEIR_MUSTUSE int weir_keys_new(const struct weir *w, const struct weir_provider *provider,
                               const struct weir_provider_rules *rules, char *ret_place,
                               size_t place_size, struct weir_keys **ret_keys);

/* weir_keys_free gives up the caller's use of |keys|; the last one wipes and frees. NULL does
 * nothing. Precondition: the lock is held, or nobody else has them. */
void weir_keys_free(struct weir_keys *keys);

/* weir_keys_count returns how many keys there are. Precondition: the lock is held. */
uint32_t weir_keys_count(const struct weir_keys *keys);

/* weir_keys_take returns a copy of the key whose turn it is, to be freed with weir_key_free; NULL
 * without memory. Precondition: the lock is held, and there is a key. */
char *weir_keys_take(struct weir_keys *keys);

/* weir_key_free wipes and frees a key; NULL does nothing. */
void weir_key_free(char *key);

/* weir_keys_refresh looks at the files again if it is time. Precondition: the lock is not held, the
 * caller is inside. Blocks on files that have changed. */
void weir_keys_refresh(struct weir *w);

/* weir_keys_reject lets the key of |entry| (a copy of weir_providers_find) rest, because |outcome|
 * is that it was rejected; other outcomes change nothing. Precondition: the lock is not held. */
void weir_keys_reject(struct weir *w, const struct weir_provider_entry *entry,
                      enum weir_outcome outcome);

/* weir_keys_is_again asks weir_keyring_is_again for the provider of |entry|. Precondition: the lock
 * is not held. */
bool weir_keys_is_again(struct weir *w, const struct weir_provider_entry *entry,
                        enum weir_outcome outcome, uint32_t attempt);

#endif
