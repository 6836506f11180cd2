/* daemon.h - for tests: a real weir-coordinator in a folder of its own, and raw clients of it.
 *
 * Every wait is for an event (a log line, a message, an exit) and fails the test after
 * DAEMON_TIMEOUT_MS. The program is named by the environment variable WEIR_COORDINATOR_BIN.
 */
#ifndef WEIR_TESTS_DAEMON_H
#define WEIR_TESTS_DAEMON_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weir/codec.h>
#include <weir/key.h>

#define DAEMON_TIMEOUT_MS 30000
#define DAEMON_LOG_SIZE   (1 << 20)

struct daemon_key {
  char public[WEIR_KEY_SIZE], secret[WEIR_KEY_SIZE];
};

struct daemon {
  pid_t pid;
  int out_fd; /* its stdout and stderr */
  char folder[64], config[96], state[96], endpoint[96];
  char store[96]; /* "": it keeps |state| */
  /* of a daemon on TCP, else "" */
  char server_key[WEIR_KEY_SIZE], key_file[96], peers[96];
  struct daemon_key known;   /* stands in its list as "known" */
  size_t log_size, log_read; /* |log_read|: the part that daemon_wait_log has passed */
  char log[DAEMON_LOG_SIZE];
};

/* daemon_init makes the folder. */
void daemon_init(struct daemon *d);
/* daemon_fini removes it; a process that still runs is killed first. */
void daemon_fini(struct daemon *d);

/* daemon_secure has it listen on TCP instead, with keys of its own and a list of one. Before
 * daemon_configure. daemon_key_new draws a pair; daemon_key_write writes the file of one. */
void daemon_secure(struct daemon *d);
void daemon_key_new(struct daemon_key *ret_key);
void daemon_key_write(const struct daemon_key *key, const char *path);
/* daemon_list writes the list anew: |format|, with a newline at its end. */
__attribute__((format(printf, 2, 3))) void daemon_list(const struct daemon *d, const char *format,
                                                       ...);

/* daemon_store has it keep a store. Before daemon_configure. */
void daemon_store(struct daemon *d);

/* daemon_configure writes the configuration: listen, store or state, and what follows from
 * |format|. */
__attribute__((format(printf, 2, 3))) void daemon_configure(struct daemon *d, const char *format,
                                                            ...);
/* daemon_spawn starts the program with --config and |extra| (may be NULL). */
void daemon_spawn(struct daemon *d, const char *extra);
/* daemon_start is daemon_spawn that waits until it is ready. */
void daemon_start(struct daemon *d);
/* daemon_wait_log waits for the next line that holds |text|. */
void daemon_wait_log(struct daemon *d, const char *text);
/* daemon_signal sends a signal; daemon_wait waits for the end and returns the exit code, or 128 +
 * the signal that killed it. Its whole output is then in |log|. */
void daemon_signal(const struct daemon *d, int number);
int daemon_wait(struct daemon *d);
/* daemon_rss returns the process's resident memory in bytes. */
size_t daemon_rss(const struct daemon *d);

struct client {
  void *context, *socket;
  uint64_t session, mark, epoch;
  uint8_t instance[WEIR_INSTANCE_SIZE];
  size_t size, offset; /* of the frame that is being read */
  uint8_t frame[WEIR_FRAME_SIZE_MAX];
};

/* client_init connects, on TCP with the key that is known; |number| makes its instance.
 * client_init_key connects with another one, or without when it is NULL. client_hello opens a
 * session. client_set_key gives a key to a socket. */
void client_init_key(struct client *c, const struct daemon *d, uint8_t number,
                     const struct daemon_key *key);
void client_set_key(void *socket, const struct daemon *d, const struct daemon_key *key);
void client_init(struct client *c, const struct daemon *d, uint8_t number);
void client_fini(struct client *c);
void client_hello(struct client *c);
/* client_send sends one message with session and mark; client_send_bytes a frame as it is. */
void client_send(struct client *c, struct weir_msg *msg);
void client_send_bytes(struct client *c, const void *bytes, size_t size, bool is_more);
/* client_receive waits for the next message, of a former frame's rest or of a new frame. */
void client_receive(struct client *c, struct weir_msg *ret_msg);
/* client_ask sends an ASK for one request of the pool "p". */
void client_ask(struct client *c, uint64_t seq, uint64_t deadline_us);
/* client_ping checks that a PING is answered, and by nothing else. */
void client_ping(struct client *c);

#endif
