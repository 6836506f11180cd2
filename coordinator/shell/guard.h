/* guard.h - whose frame this is, and whether it is one too many.
 *
 * Frames of one key share its throttle, whatever connections they come on; of peers without a key,
 * each connection has its own. When a frame of a connection is dropped, what follows there has a
 * hole in front: the next frame that passes is marked as torn, which ends its session.
 *
 * Connections are remembered in a table of fixed size; the one that was silent longest makes room.
 * Its throttle would be full again by then, unless so many others came within its burst.
 *
 * Owner: the caller owns the struct; its table is on the heap. One thread.
 */
#ifndef WEIR_GUARD_H
#define WEIR_GUARD_H

#include <stddef.h>
#include <stdint.h>

#include <weir/peer.h>
#include <weir/peers.h>
#include <weir/table.h>
#include <weir/throttle.h>

struct weir_guard_route {
  uint64_t route;
  uint32_t next, prev; /* by when they were heard of, the latest first; in a ring with head 0 */
  bool is_torn;
  struct weir_throttle throttle;
};

struct weir_guard {
  struct weir_throttle_limits limits; /* of keys for which the list says nothing, and of the rest */
  uint32_t sessions_max;              /* likewise, of one key */
  uint32_t plain_rights;
  struct weir_table by_route;
  struct weir_guard_route *routes; /* [0] is the head of the ring */
  uint32_t room, count;
  void *storage;
};

/* How much a frame may do. */
enum weir_guard_verdict {
  WEIR_GUARD_PASS = 1, /* |ret_peer| says as whom */
  WEIR_GUARD_THROTTLED,
  WEIR_GUARD_NOBODY /* the transport does not say whose it is: never seen, and never let through */
};

/* weir_guard_init makes a table for |routes_max| connections. WEIR_ENOMEM. */
WEIR_MUSTUSE enum weir_err weir_guard_init(struct weir_guard *guard, uint32_t routes_max);

/* weir_guard_fini frees it; zeros are allowed. */
void weir_guard_fini(struct weir_guard *guard);

/* weir_guard_configure takes what |conf| says of peers. */
void weir_guard_configure(struct weir_guard *guard, const struct weir_conf *conf);

/* weir_guard_admit judges a frame of |size| bytes on connection |route|, received at |now|, of
 * |user|: a key, WEIR_GATE_PLAIN, or NULL. A key that does not stand in |peers| (any more) passes
 * without rights, so that its session is ended with a word. */
enum weir_guard_verdict weir_guard_admit(struct weir_guard *guard, const struct weir_peers *peers,
                                         uint64_t route, const char *user, size_t size,
                                         weir_tstamp now, struct weir_coord_peer *ret_peer);

#endif
