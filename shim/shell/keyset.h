/* keyset.h - the keys of a provider, by the places that they are read from, and whose turn it is.
 *
 * Each place (the program itself, a variable of the environment, a file) is a source with the bytes
 * that were read from it last; all keys of all sources make one ring (weir/keyring.h). A source
 * that cannot be read again leaves its former keys in use. Everything that held a key is wiped
 * before it is freed. Neither locks nor logs: that is the business of libweir (keys.c) and of the
 * sidecar (proxy/keyfile.c), whose keys these are.
 */
#ifndef WEIR_SHELL_KEYSET_H
#define WEIR_SHELL_KEYSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <weir/keyring.h>

#define WEIR_KEYSET_WHY_SIZE   160
#define WEIR_KEYSET_PLACE_SIZE 176

enum weir_keysource_kind {
  WEIR_KEYSOURCE_GIVEN = 1, /* by the program: never changes */
  WEIR_KEYSOURCE_ENV,
  WEIR_KEYSOURCE_FILE
};

/* What tells that a file has changed. */
struct weir_keystamp {
  dev_t device;
  ino_t inode;
  off_t size;
  struct timespec mtime;
};

struct weir_keysource {
  enum weir_keysource_kind kind;
  bool is_optional; /* may hold no key */
  bool is_warned;   /* that it cannot be read any more: the caller's to set */
  char *name;       /* the variable or the path */
  char *other_name; /* a variable that is read where the first is empty; NULL: none */
  struct weir_keystamp stamp;
  char *bytes; /* as they were read last */
  size_t size;
};

struct weir_keytext {
  const char *at; /* in the bytes of a source; no NUL behind it */
  size_t size;
};

/* Zeros: empty. */
struct weir_keyset {
  struct weir_keyring ring;
  struct weir_keytext texts[WEIR_KEYS_MAX];
  uint32_t sources_count;
  struct weir_keysource sources[WEIR_KEYS_MAX];
};

/* weir_keyset_fini wipes and frees what |set| holds. */
void weir_keyset_fini(struct weir_keyset *set);

/* weir_keyset_add adds a source that was not read yet; |size| bytes of |name| are copied. NULL
 * without memory. Precondition: there are fewer than WEIR_KEYS_MAX. */
struct weir_keysource *weir_keyset_add(struct weir_keyset *set, enum weir_keysource_kind kind,
                                       const char *name, size_t size);

/* weir_keyset_list adds the sources of a list of places, "env:NAME" and "file:/path", separated by
 * commas. False, with the reason in |why| (WEIR_KEYSET_WHY_SIZE bytes), which does not show what
 * stands at a place that is none, for it may be a key; "" without memory. */
bool weir_keyset_list(struct weir_keyset *set, const char *places, char *why);

/* weir_keyset_put gives |source| other bytes, which it owns from now on, and makes the ring anew,
 * in which keys that stay go on resting. False, with the reason in |why|, when there are too many
 * keys: nothing has changed, and the bytes are the caller's still. */
bool weir_keyset_put(struct weir_keyset *set, struct weir_keysource *source, char *bytes,
                     size_t size, char *why);

/* weir_keyset_find returns the number of the key |text|, or their count. */
uint32_t weir_keyset_find(const struct weir_keyset *set, const struct weir_keytext *text);

/* weir_keysource_read reads what |source| names, of which only names and kind are looked at, and
 * judges it by weir_keysource_check. The caller frees *ret_bytes with weir_file_free; *ret_stamp is
 * set where a file could be opened. False, with the reason in |why|. Blocks on files. */
bool weir_keysource_read(const struct weir_keysource *source, bool is_optional,
                         struct weir_keystamp *ret_stamp, char **ret_bytes, size_t *ret_size,
                         char *why);

/* weir_keysource_check tells whether |bytes| hold keys, or with |is_optional| none. False, with the
 * reason in |why|. */
bool weir_keysource_check(const char *bytes, size_t size, bool is_optional, char *why);

/* weir_keysource_has_changed tells whether the file |path| is not that of |stamp| any more; one
 * that is gone has changed until |is_warned|. Blocks on the file system. */
bool weir_keysource_has_changed(const char *path, const struct weir_keystamp *stamp,
                                bool is_warned);

/* weir_keysource_show names |source| for people, in WEIR_KEYSET_PLACE_SIZE bytes. */
void weir_keysource_show(const struct weir_keysource *source, char *ret_text);

#endif
