/* peer.h - who speaks, as far as the transport knows: the machine enforces what it says. */
#ifndef WEIR_PEER_H
#define WEIR_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/msg.h>

/* What a peer may do: bits. */
enum weir_right {
  WEIR_RIGHT_ASK = 1,  /* open a session, and so take leases */
  WEIR_RIGHT_SHOW = 2, /* look: SHOW */
  WEIR_RIGHT_ADMIN = 4 /* change what others see: STEER */
};

#define WEIR_RIGHTS_ALL     (WEIR_RIGHT_ASK | WEIR_RIGHT_SHOW | WEIR_RIGHT_ADMIN)
#define WEIR_RIGHTS_DEFAULT (WEIR_RIGHT_ASK | WEIR_RIGHT_SHOW)

struct weir_coord_peer {
  uint64_t id;           /* of its key; 0: it has none. Sessions stay with it */
  uint32_t rights;       /* of enum weir_right */
  uint32_t sessions_max; /* open sessions of one id; 0: no limit. Not for id 0 */
  bool is_torn; /* messages before this one were dropped: its session has a hole and ends */
  char tenant[WEIR_TENANT_SIZE]; /* "": as its asks say; else they are this tenant's */
};

#endif
