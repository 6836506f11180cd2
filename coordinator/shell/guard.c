#include "guard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"

enum weir_err weir_guard_init(struct weir_guard *guard, uint32_t routes_max)
{
  *guard = (struct weir_guard){.room = routes_max};
  guard->storage = calloc(1, weir_table_size(routes_max));
  guard->routes = calloc((size_t)routes_max + 1, sizeof *guard->routes);
  if (guard->storage == NULL || guard->routes == NULL) {
    weir_guard_fini(guard);
    return WEIR_ENOMEM;
  }
  weir_table_init(&guard->by_route, guard->storage, routes_max);
  return WEIR_OK;
}

void weir_guard_fini(struct weir_guard *guard)
{
  free(guard->storage);
  free(guard->routes);
  *guard = (struct weir_guard){0};
}

void weir_guard_configure(struct weir_guard *guard, const struct weir_conf *conf)
{
  guard->limits = conf->peer_limits;
  guard->sessions_max = conf->peer_sessions;
  guard->plain_rights = conf->plain_rights;
}

/* ---- connections ---- */

static void unlink_route(struct weir_guard *guard, const struct weir_guard_route *r)
{
  guard->routes[r->next].prev = r->prev;
  guard->routes[r->prev].next = r->next;
}

static void link_first(struct weir_guard *guard, uint32_t index)
{
  struct weir_guard_route *head = &guard->routes[0], *r = &guard->routes[index];
  r->next = head->next;
  r->prev = 0;
  guard->routes[head->next].prev = index;
  head->next = index;
}

static struct weir_guard_route *route_find(struct weir_guard *guard, uint64_t route)
{
  uint32_t index = 0;
  if (weir_table_find(&guard->by_route, route, &index)) {
    unlink_route(guard, &guard->routes[index]);
  } else {
    if (guard->count < guard->room) {
      index = ++guard->count;
    } else {
      index = guard->routes[0].prev;
      unlink_route(guard, &guard->routes[index]);
      weir_table_remove(&guard->by_route, guard->routes[index].route);
    }
    guard->routes[index] = (struct weir_guard_route){.route = route};
    enum weir_err err = weir_table_put(&guard->by_route, route, index);
    assert(err == WEIR_OK);
    (void)err;
  }
  link_first(guard, index);
  return &guard->routes[index];
}

/* ---- peers ---- */

static void set_id(struct weir_coord_peer *peer, const char *key)
{
  uint8_t bytes[WEIR_KEY_BYTES] = {0};
  if (weir_key_decode(key, bytes))
    memcpy(&peer->id, bytes, sizeof peer->id);
}

enum weir_guard_verdict weir_guard_admit(struct weir_guard *guard, const struct weir_peers *peers,
                                         uint64_t route, const char *user, size_t size,
                                         weir_tstamp now, struct weir_coord_peer *ret_peer)
{
  if (user == NULL)
    return WEIR_GUARD_NOBODY;
  struct weir_guard_route *r = route_find(guard, route);
  struct weir_throttle_limits limits = guard->limits;
  struct weir_throttle *throttle = &r->throttle;
  struct weir_peer *listed = weir_peers_find(peers, user);
  struct weir_coord_peer peer = {0};
  if (strcmp(user, WEIR_GATE_PLAIN) == 0) {
    peer.rights = guard->plain_rights;
  } else if (listed != NULL) {
    peer = listed->is;
    peer.sessions_max = peer.sessions_max > 0 ? peer.sessions_max : guard->sessions_max;
    limits.messages = listed->messages > 0 ? listed->messages : limits.messages;
    limits.bytes = listed->bytes > 0 ? listed->bytes : limits.bytes;
    throttle = &listed->throttle;
  } else {
    set_id(&peer, user);
  }
  if (!weir_throttle_take(throttle, &limits, size, now)) {
    r->is_torn = true;
    return WEIR_GUARD_THROTTLED;
  }
  peer.is_torn = r->is_torn;
  r->is_torn = false;
  *ret_peer = peer;
  return WEIR_GUARD_PASS;
}
