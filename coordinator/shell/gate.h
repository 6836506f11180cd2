/* gate.h - who may connect: the handler that libzmq asks (ZAP, RFC 27), in a thread of its own.
 *
 * libzmq lets everybody in when no handler answers, so this one stands before any socket is bound,
 * and the sockets insist on an answer (ZMQ_ZAP_ENFORCE_DOMAIN). Peers on ipc come without a key and
 * are let in by the socket's file; their messages are marked WEIR_GATE_PLAIN. Peers on TCP come
 * with a key, which has to stand in the list; their messages are marked with it.
 *
 * Owner: the caller owns the struct; |peers| is the gate's. Threads: the functions are for one
 * thread, the one that starts the gate; it may read |peers| and change what the gate's own thread
 * does not look at (all but |key|) without the lock.
 */
#ifndef WEIR_GATE_H
#define WEIR_GATE_H

#include <pthread.h>
#include <stdint.h>

#include <weir/peers.h>

#define WEIR_GATE_DOMAIN     "weir"
#define WEIR_GATE_PLAIN      "plain" /* User-Id of a peer without a key; no key is so short */
#define WEIR_GATE_ERROR_SIZE 256
#define WEIR_GATE_ADDRESS    64

/* Keys that were not let in. */
struct weir_gate_refusals {
  uint64_t count;
  char key[WEIR_KEY_SIZE]; /* the last one, and where it came from */
  char address[WEIR_GATE_ADDRESS];
};

struct weir_gate {
  pthread_t thread;
  pthread_mutex_t lock;     /* of what follows */
  struct weir_peers *peers; /* NULL: nobody with a key gets in */
  struct weir_gate_refusals refusals;

  void *context, *socket; /* of the thread */
  int stop_fd, event_fd;  /* |event_fd| is readable when there were refusals */
};

/* weir_gate_start begins to answer in the zmq context |context|, and takes |peers| (may be NULL)
 * over. To be called before any bind. WEIR_ESYSTEM with a sentence in |ret_error|
 * (WEIR_GATE_ERROR_SIZE bytes); |peers| stays the caller's then. */
WEIR_MUSTUSE enum weir_err weir_gate_start(struct weir_gate *gate, void *context,
                                           struct weir_peers *peers, char *ret_error);

/* weir_gate_stop ends the thread and frees the list. Nobody gets in afterwards. */
void weir_gate_stop(struct weir_gate *gate);

/* weir_gate_replace takes |peers| over instead of the former list, which it frees. What is known of
 * the throttles of keys that stand in both stays. */
void weir_gate_replace(struct weir_gate *gate, struct weir_peers *peers);

/* weir_gate_refusals tells of the keys that were refused since the last call. */
void weir_gate_refusals(struct weir_gate *gate, struct weir_gate_refusals *ret_refusals);

/* weir_gate_test connects to |endpoint|, whose key is |public_key|, with a key that nobody knows,
 * and waits until that is refused. WEIR_ESYSTEM, with a sentence in |ret_error|, when it gets in,
 * or is not refused in seconds: then nobody may be served there. */
WEIR_MUSTUSE enum weir_err weir_gate_test(struct weir_gate *gate, const char *endpoint,
                                          const char *public_key, char *ret_error);

#endif
