/* fake_provider.h - for tests of libweir: an HTTP server that answers, and breaks, as it is told.
 *
 * A thread for each connection. Waits are bounded as in fake_coordinator.h.
 */
#ifndef WEIR_TESTS_FAKE_PROVIDER_H
#define WEIR_TESTS_FAKE_PROVIDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROVIDER_CONNECTIONS_MAX 64
#define PROVIDER_REQUEST_MAX     65536
#define PROVIDER_PONDER_MS       30

enum provider_habit {
  PROVIDER_ANSWERS = 1,   /* |status|, |body| */
  PROVIDER_PONDERS,       /* the same, PROVIDER_PONDER_MS later */
  PROVIDER_CLOSES_REUSED, /* answers the first request of a connection, reads the second, closes */
  PROVIDER_STREAMS,       /* |body| as server-sent events, a chunk for each part up to '|' */
  PROVIDER_CUTS,          /* announces more of |body| than it sends */
  PROVIDER_HANGS,         /* reads, says nothing */
  PROVIDER_TRICKLES       /* announces more of |body| than it ever sends, a byte now and then */
};

struct provider {
  char url[64];
  int listen_fd;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  pthread_t threads[PROVIDER_CONNECTIONS_MAX];
  int fds[PROVIDER_CONNECTIONS_MAX];
  uint32_t connections;

  /* under the lock */
  enum provider_habit habit;
  int status, status_once; /* status_once: of the next answer only, with |body_once| */
  const char *body, *body_once, *header_once;
  uint32_t arrivals;                  /* requests read to their end */
  char request[PROVIDER_REQUEST_MAX]; /* the last one, head and body */
};

void provider_init(struct provider *p, enum provider_habit habit, int status, const char *body);
void provider_fini(struct provider *p);
/* provider_once makes the next answer another one; |header| is a line with its end, or "". */
void provider_once(struct provider *p, int status, const char *header, const char *body);
/* provider_arrivals returns how many requests came; provider_wait waits until there were |count|.
 */
uint32_t provider_arrivals(struct provider *p);
void provider_wait(struct provider *p, uint32_t count);

#endif
