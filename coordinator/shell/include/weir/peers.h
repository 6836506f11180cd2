/* peers.h - the list of keys that may connect: a line of text for each, so that a change is one
 * line of a diff and comments stay.
 *
 *     # name     public key (Z85)                          what else is said of it
 *     checkout-1 0123456789abcdefghijABCDEFGHIJ0123456789  tenant=shop rights=ask,show
 *
 * After the key may stand, in any order: tenant=NAME, rights=ask,show,admin (any of them, or none;
 * without it ask,show), messages=N and bytes=N (a second), sessions=N. Names and keys are unique.
 *
 * Owner: the caller owns a struct weir_peers. Threads: none shared. Blocking: weir_peers_load.
 */
#ifndef WEIR_PEERS_H
#define WEIR_PEERS_H

#include <stddef.h>
#include <stdint.h>

#include <weir/conf.h>
#include <weir/err.h>
#include <weir/key.h>
#include <weir/peer.h>
#include <weir/throttle.h>

#define WEIR_PEERS_MAX           16384
#define WEIR_PEERS_FILE_SIZE_MAX (4u << 20)
#define WEIR_PEER_LINE_SIZE      320
#define WEIR_RIGHTS_SIZE         16 /* "ask,show,admin" */

struct weir_peer {
  char name[WEIR_NAME_SIZE];
  char key[WEIR_KEY_SIZE];
  struct weir_coord_peer is;     /* |id|, |rights|, |tenant|; |sessions_max|: 0 when not said */
  uint64_t messages, bytes;      /* a second; 0 when not said */
  struct weir_throttle throttle; /* of the coordinator that uses the list */
};

struct weir_peers {
  uint32_t count;
  struct weir_peer *items; /* by key */
};

/* weir_peers_parse reads the |size| bytes of a list and gives it in |ret_peers|, to be freed by
 * weir_peers_free. |ret_issues| is always filled. WEIR_ECONFIG when a line is not valid,
 * WEIR_ENOMEM. */
WEIR_MUSTUSE enum weir_err weir_peers_parse(const char *bytes, size_t size,
                                            struct weir_peers **ret_peers,
                                            struct weir_conf_issues *ret_issues);

/* weir_peers_load is weir_peers_parse on the file |path|; a file that cannot be read is an issue of
 * line 0. */
WEIR_MUSTUSE enum weir_err weir_peers_load(const char *path, struct weir_peers **ret_peers,
                                           struct weir_conf_issues *ret_issues);

/* weir_peers_free frees |peers|; NULL is allowed. */
void weir_peers_free(struct weir_peers *peers);

/* weir_peers_find returns the peer with |key|, owned by |peers|; NULL when there is none, or no
 * list. */
struct weir_peer *weir_peers_find(const struct weir_peers *peers, const char *key);

/* weir_peer_parse reads one line without its newline. False, with a sentence in |ret_why| of
 * |size| bytes, when it is not valid. */
bool weir_peer_parse(const char *line, struct weir_peer *ret_peer, char *ret_why, size_t size);

/* weir_peer_format writes the line of |peer|, without a newline, into |ret_line|. */
void weir_peer_format(const struct weir_peer *peer, char ret_line[WEIR_PEER_LINE_SIZE]);

/* weir_rights_parse reads "ask,show,admin": any of them, or none. */
bool weir_rights_parse(const char *text, uint32_t *ret_rights);

/* weir_rights_format writes |rights| as weir_rights_parse reads them. */
void weir_rights_format(uint32_t rights, char ret_text[WEIR_RIGHTS_SIZE]);

#endif
