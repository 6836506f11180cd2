/* keyfile.h - a provider's keys: read from the environment and from files, taken in turn.
 *
 * A set of keys (shell/keyset.h) for the sidecar's one thread, which says on stderr what becomes of
 * it. Files are looked at again before a key is taken, at most once a second. One that cannot be
 * read any more, or is not valid, leaves its former keys in use, beside what the others hold.
 */
#ifndef WEIR_PROXY_KEYFILE_H
#define WEIR_PROXY_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/keyring.h>
#include <weir/time.h>

#define WEIR_KEYFILE_WHY_SIZE 384

struct weir_keyfile;

/* One key of them. */
struct weir_keyfile_key {
  const char *text; /* no NUL behind it; valid until the next weir_keyfile_take */
  size_t size;
  uint32_t number;  /* from 0 on */
  uint64_t reading; /* of the files, in which it had that number */
};

/* weir_keyfile_open reads the keys of |places|, such as "env:MY_KEY, file:/run/secrets/keys". NULL,
 * with the reason in |why| (WEIR_KEYFILE_WHY_SIZE bytes), where a place cannot be read or names no
 * valid key; |name| is the provider's, for what is logged later. Blocks on files. */
struct weir_keyfile *weir_keyfile_open(const char *name, const char *places, char *why);

/* weir_keyfile_close wipes and frees; NULL does nothing. */
void weir_keyfile_close(struct weir_keyfile *keys);

/* weir_keyfile_count returns how many keys there are, at least 1. */
uint32_t weir_keyfile_count(const struct weir_keyfile *keys);

/* weir_keyfile_take gives the key whose turn it is. Looks at the files if it is time, which
 * blocks. */
struct weir_keyfile_key weir_keyfile_take(struct weir_keyfile *keys, weir_tstamp now);

/* weir_keyfile_reject lets |key| rest, which the provider has rejected; nothing if the files were
 * read again meanwhile. */
void weir_keyfile_reject(struct weir_keyfile *keys, const struct weir_keyfile_key *key,
                         weir_tstamp now);

/* weir_keyfile_is_again tells whether attempt |attempt| (the first is 1), which ended in |outcome|,
 * should be followed at once by one with another key. */
bool weir_keyfile_is_again(const struct weir_keyfile *keys, enum weir_outcome outcome,
                           uint32_t attempt, uint32_t retries_max, weir_tstamp now);

#endif
