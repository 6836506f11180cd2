/* coord.h - the coordinator as a pure machine: sessions, pools, queues, leases.
 *
 *   weir_coord_step(c, &event, &update);   // decide
 *   for each update.sends: put it on the wire
 *   sleep until weir_coord_wake(c), or the next message
 *
 * No clock, socket, heap or randomness of its own: equal events give equal updates.
 *
 * Owner: the caller owns the storage, the event and the update; the machine keeps no pointer into
 * an event. One thread. Cost of a step: O(log n) in asks, leases and tenants, plus the grants it
 * makes; a CONFIG also looks at all pools, budgets, names and tenants, not at asks or leases; a
 * breaker that opens looks at all tenants, and at what waits in its pool.
 */
#ifndef WEIR_COORD_H
#define WEIR_COORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/config.h>
#include <weir/err.h>
#include <weir/msg.h>
#include <weir/peer.h>
#include <weir/record.h>
#include <weir/time.h>

/* Grants leave at most this long before their start, so that the hop to the shim is hidden. */
#define WEIR_COORD_HORIZON_US (20 * WEIR_US_PER_MS)

/* An unsettled lease is kept this long after its latest arrival, so that a late settle still finds
 * it; then it is counted as lost and stays charged in full. */
#define WEIR_COORD_SETTLE_GRACE_US (10 * WEIR_US_PER_MIN)

#define WEIR_COORD_SENDS_MAX 256

struct weir_coord; /* lives in the caller's storage */

enum weir_coord_event_type {
  WEIR_COORD_MESSAGE = 1, /* |route|, |msg| */
  WEIR_COORD_MALFORMED,   /* a frame of |route| did not decode: counted */
  WEIR_COORD_THROTTLED,   /* a frame of |route| was dropped: too many: counted */
  WEIR_COORD_UNSENT,      /* a message to |route| could not be delivered: counted */
  WEIR_COORD_CONFIG,      /* |config| replaces the configuration */
  WEIR_COORD_CLOCK,       /* |wall|: every minute or so, and when the wall clock was set */
  WEIR_COORD_TIMEOUT,     /* the wake instant has come */
  WEIR_COORD_DURABLE,     /* the records of |generation| are durable */
  WEIR_COORD_UNKEPT       /* they are not, or some of them: the store holds old rows or new ones */
};

struct weir_coord_event {
  enum weir_coord_event_type type;
  weir_tstamp now; /* never goes back */
  uint64_t route;  /* names a connection of the transport */
  const struct weir_msg *msg;
  const struct weir_coord_peer *peer; /* who sent |msg|; NULL: somebody who may do everything */
  const struct weir_coord_config *config;
  const struct weir_wall *wall;
  uint64_t generation; /* of weir_coord_keep */
};

struct weir_coord_send {
  uint64_t route;
  struct weir_msg msg;
};

struct weir_coord_update {
  uint32_t count;
  struct weir_coord_send sends[WEIR_COORD_SENDS_MAX]; /* in this order */
};

/* What is known of this coordinator's own past. */
struct weir_coord_start {
  uint64_t epoch;        /* larger than that of every former life */
  uint64_t seed;         /* for session tokens; unguessable when peers are not trusted */
  bool has_past;         /* false: nothing was ever granted before */
  weir_duration past_us; /* a former life's leases may have started until this long ago */
  /* A store is kept: nothing is granted that no durable record covers (weir_coord_keep). Without
   * one nothing is to be kept. */
  bool is_durable;
  bool is_same_boot; /* the instants |at| of |records| are of this clock */
  bool is_spent;     /* more was granted than |records| tell: some are lost or old */
  /* The last durable one of each key, in any order. They are of no use, so none, when a life
   * without a store came after them: they know nothing of its grants. */
  const struct weir_record *records;
  uint32_t records_count;
};

/* weir_island_parts fills in the parts of what one instance may do without the coordinator in a
 * pool of |config| while it keeps |profile|; false, with no parts, when that is nothing. */
bool weir_island_parts(const struct weir_pool_config *config, enum weir_profile profile,
                       struct weir_msg_island *ret_island);

/* weir_coord_size returns the bytes of storage for |bounds|. */
size_t weir_coord_size(const struct weir_coord_bounds *bounds);

/* weir_coord_init makes a machine in |storage| (weir_coord_size bytes, aligned as malloc does, all
 * zero) and gives it in |ret_coord|. WEIR_EFULL when |config| exceeds |bounds|. */
WEIR_MUSTUSE enum weir_err weir_coord_init(void *storage, const struct weir_coord_bounds *bounds,
                                           const struct weir_coord_config *config,
                                           const struct weir_coord_start *start, weir_tstamp now,
                                           struct weir_coord **ret_coord);

/* weir_coord_disown looks at the |count| records that weir_coord_init was given. Those that this
 * life does not go on with, because what they are about is not configured or is spent by others
 * than before, will know nothing of what it grants: it has them state that, puts them first, and
 * returns how many. The caller makes these durable before the first weir_coord_step; a later life
 * then takes what they are about as spent. Those that state it already are left where they are. */
uint32_t weir_coord_disown(struct weir_coord *c, struct weir_record *records, uint32_t count);

/* weir_coord_step takes one event and fills |update| with what is to be sent. When an update is
 * full the rest follows at the next step: weir_coord_wake is then not later than now.
 * Returns WEIR_EFULL for a CONFIG beyond the bounds (nothing changes), else WEIR_OK. */
WEIR_MUSTUSE enum weir_err weir_coord_step(struct weir_coord *c,
                                           const struct weir_coord_event *event,
                                           struct weir_coord_update *update);

/* weir_coord_wake returns the instant of the next TIMEOUT, or WEIR_NEVER. */
weir_tstamp weir_coord_wake(const struct weir_coord *c);

/* weir_coord_grant_max returns the latest arrival that any grant so far allows: what a later life
 * has to assume. */
weir_tstamp weir_coord_grant_max(const struct weir_coord *c);

/* Records that weir_coord_keep asks room for at least. */
#define WEIR_COORD_KEEP_MIN 32

/* After a generation that failed none is due for so long, whoever waits. */
#define WEIR_COORD_KEEP_RETRY_US WEIR_US_PER_S

/* weir_coord_keep fills |ret_records|, of |max| (WEIR_COORD_KEEP_MIN at least), with what is to be
 * made durable now, each replacing the one of its key, and numbers them in |ret_generation|.
 * Returns how many; 0, and no generation, when nothing is due or one is under way. The shell
 * answers each generation by an event: DURABLE, or UNKEPT when it failed, after which its records
 * are due again. Rows of one owner are written together or not at all, those of several need not
 * be; all of them before DURABLE. While no answer comes, grants stop when what is durable is used
 * up. */
uint32_t weir_coord_keep(struct weir_coord *c, weir_tstamp now, struct weir_record *ret_records,
                         uint32_t max, uint64_t *ret_generation);

/* weir_coord_keep_due returns when weir_coord_keep is to be called next: an instant that may have
 * passed (a grant waits for it), or WEIR_NEVER while nothing has changed, or while a generation is
 * under way. Ask again after every step. */
weir_tstamp weir_coord_keep_due(const struct weir_coord *c);

/* weir_coord_counter returns a counter of the vocabulary. */
uint64_t weir_coord_counter(const struct weir_coord *c, enum weir_counter counter);

/* What has happened to a pool since somebody looked. */
struct weir_coord_change {
  struct weir_msg_state state; /* as it is now */
  bool is_breaker;             /* its breaker is in another state */
  bool is_used_up;             /* upstream said that its day is used up */
};

/* weir_coord_change tells, for a log, of the next pool of which one of these is so since the change
 * number |*cursor| (0 at the start), and moves the cursor on: as of |now| in |ret_change|; false
 * when there is none. Several changes of a pool between two looks are one. */
bool weir_coord_change(const struct weir_coord *c, weir_tstamp now, uint64_t *cursor,
                       struct weir_coord_change *ret_change);

/* weir_coord_check asserts every invariant; O(everything), for tests and simulation. */
void weir_coord_check(const struct weir_coord *c);

/* weir_coord_digest returns a hash of the state: equal runs have equal digests. */
uint64_t weir_coord_digest(const struct weir_coord *c);

#endif
