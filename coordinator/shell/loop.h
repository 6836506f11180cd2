/* loop.h - the coordinator's one loop: socket and clock in, machine, socket out.
 *
 *   receive up to WEIR_LOOP_FRAMES_MAX frames -> read the clock once -> step each message ->
 *   send, consecutive messages to one peer in one frame -> TIMEOUT steps -> poll
 *
 * The clock is read after the frames were received. A shim counts the end of a lease from its own
 * sending of a message, so an instant taken before the receipt would let leases live longer than
 * the ledger thinks.
 *
 * TIMEOUT steps wait, for a few turns at most, until the socket is empty: after a pause (no disk,
 * no processor) nobody is found silent whose words were there in time.
 *
 * What the machine wants kept goes to the recorder's thread at the end of a turn, and its answer
 * comes as an event; grants that wait for it are sent then. With a state file instead, no steps are
 * made while it does not cover them.
 *
 * Before the first message, every half minute, and at once when it was set, the machine is told the
 * wall clock: only the days of limits need it.
 *
 * Owner: the caller owns what |struct weir_loop| points to, and the struct. One thread. The loop
 * blocks in poll only; it allocates nothing.
 */
#ifndef WEIR_LOOP_H
#define WEIR_LOOP_H

#include <czmq.h>

#include <weir/codec.h>
#include <weir/coord.h>

#include "gate.h"
#include "guard.h"
#include "keeper.h"
#include "log.h"
#include "recorder.h"
#include "rows.h"

#define WEIR_LOOP_FRAMES_MAX    256    /* of one turn */
#define WEIR_LOOP_BYTES_MAX     262144 /* of the frames of one turn, about */
#define WEIR_LOOP_TIMEOUTS_MAX  16     /* TIMEOUT steps of one turn */
#define WEIR_LOOP_UNDRAINED_MAX 16     /* turns without TIMEOUT steps */
#define WEIR_LOOP_TAPS          2
#define WEIR_LOOP_KINDS         40 /* of malformed frames; errors of the decoder are -1 .. -30 */

struct weir_loop_frame {
  uint64_t route;
  zmq_msg_t body;
};

struct weir_loop {
  struct weir_coord *coord;
  zsock_t *sock;
  struct weir_keeper *keeper;     /* of the state file; NULL: a store is kept */
  struct weir_recorder *recorder; /* of the store; NULL: the state file is kept */
  struct weir_log *log;
  struct weir_gate *gate;
  struct weir_guard guard;
  int signal_fd; /* SIGTERM, SIGINT and SIGHUP */
  int clock_fd;  /* timer of CLOCK_REALTIME: when to look at the wall clock, or that it was set */
  /* Called on SIGHUP with the instant: the daemon's reload. */
  void (*reload)(struct weir_loop *loop, weir_tstamp now);
  /* Called before the first message and whenever |clock_fd| is ready: tells the wall clock. */
  void (*clock)(struct weir_loop *loop);
  /* Called when |peers_fd| (-1: never) is ready: the list of keys may have changed. */
  void (*peers)(struct weir_loop *loop);
  int peers_fd;
  /* Where the admin port (admin.h) and the alarm (alarm.h) ask for rows; -1: it is not there. */
  int tap_fds[WEIR_LOOP_TAPS];
  void *context; /* of |reload|, |clock| and |peers| */

  /* Below: the loop's own. */
  void *handle;
  weir_tstamp now;
  bool is_held;       /* no steps until the state file covers them */
  uint32_t undrained; /* turns in a row that left frames in the socket */
  uint32_t frames_count;
  struct weir_loop_frame frames[WEIR_LOOP_FRAMES_MAX];
  struct weir_coord_update update;
  uint64_t out_route;
  size_t out_size;
  uint32_t out_messages, unsent;
  uint64_t keys_refused; /* so far */
  uint64_t changes;      /* of breakers that were logged */
  struct weir_tap_head wire;
  uint8_t out[WEIR_FRAME_SIZE_MAX];
  struct weir_log_rate malformed[WEIR_LOOP_KINDS], unsent_rate, encode_rate;
  struct weir_log_rate throttled_rate, refused_rate, store_rate;
  bool is_store_failing;
};

/* weir_loop_run serves until SIGTERM or SIGINT and returns the signal's number; negative errno when
 * the socket fails. */
int weir_loop_run(struct weir_loop *loop);

/* weir_loop_config gives a new configuration to the machine. WEIR_EFULL: it needs more than the
 * bounds that the coordinator started with, nothing changed. */
WEIR_MUSTUSE enum weir_err
weir_loop_config(struct weir_loop *loop, const struct weir_coord_config *config, weir_tstamp now);

/* weir_loop_clock tells the machine what |wall| says at |now|. */
void weir_loop_clock(struct weir_loop *loop, const struct weir_wall *wall, weir_tstamp now);

#endif
