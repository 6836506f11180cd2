/* keyring.h - which of several keys a call takes, and where keys are named.
 *
 * Keys that belong to one project share its quota, so they are taken in turn. One that the provider
 * rejects rests; when all rest, the one whose rest ends first is taken: its answer tells the caller
 * more than no answer would.
 *
 * Only numbers here: the texts of keys are the shell's, in the same order.
 */
#ifndef WEIR_KEYRING_H
#define WEIR_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/time.h>
#include <weir/vocab.h>

#define WEIR_KEYS_MAX     64
#define WEIR_KEY_SIZE_MAX ((size_t)8192)
#define WEIR_KEY_REST_US  (300 * WEIR_US_PER_S)

struct weir_keyring {
  uint32_t count;
  uint32_t next;                          /* whose turn it is */
  weir_tstamp rests_until[WEIR_KEYS_MAX]; /* 0: was not rejected */
};

/* weir_keyring_init makes a ring of |count| keys, none of which was rejected. */
void weir_keyring_init(struct weir_keyring *ring, uint32_t count);

/* weir_keyring_take returns the number of the key whose turn it is. Precondition: there is one. */
uint32_t weir_keyring_take(struct weir_keyring *ring, weir_tstamp now);

/* weir_keyring_reject lets key |number| rest from |now| on. */
void weir_keyring_reject(struct weir_keyring *ring, uint32_t number, weir_tstamp now);

/* weir_keyring_is_again tells whether the call whose attempt number |attempt| (the first is 1)
 * ended in |outcome| should try again at once with another key: the key was rejected, another one
 * is in the rotation, and the call has retries left. */
bool weir_keyring_is_again(const struct weir_keyring *ring, enum weir_outcome outcome,
                           uint32_t attempt, uint32_t retries_max, weir_tstamp now);

/* One place of a list of places, such as "env:MY_KEY, file:/run/secrets/keys". */
struct weir_keyref {
  bool is_file;     /* or else an environment variable */
  const char *name; /* the path, or the variable; within the list */
  size_t size;
};

/* weir_keyref_next reads the place at |*at| and moves |*at| behind it. 1: it was read; 0: there is
 * none any more; -1: what stands there names no place ("env:" or "file:/" is missing, or what has
 * to follow: a variable's name is letters, digits and '_', no digit first). */
int weir_keyref_next(const char **at, struct weir_keyref *ret_ref);

/* Keys in a text, one a line; blanks around them and empty lines are passed over. */
struct weir_key_scan {
  const char *at, *end;
  uint32_t line; /* of the key, from 1 on */
  const char *key;
  size_t size;
  const char *fault; /* why the key is none; NULL: it is one. Static storage */
};

/* weir_key_scan_init begins with |size| bytes of |text|, which are borrowed. */
void weir_key_scan_init(struct weir_key_scan *scan, const char *text, size_t size);

/* weir_key_scan_next moves on to the next key; false at the end, or where |fault| tells what is
 * wrong on |line|. */
bool weir_key_scan_next(struct weir_key_scan *scan);

#endif
