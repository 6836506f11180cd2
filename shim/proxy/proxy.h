/* proxy.h - the proxy as a whole: an HTTP server in front, a fetcher behind, libweir between, on
 * one loop and one thread.
 *
 * proxy.c has what is shared (listening, leases, the coordinator's health, the end), call.h and its
 * files the life of one request.
 */
#ifndef WEIR_PROXY_PROXY_H
#define WEIR_PROXY_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <uv.h>

#include <weir/estimate.h>
#include <weir/http_server.h>
#include <weir/price.h>
#include <weir/rng.h>
#include <weir/table.h>
#include <weir/vocab.h>

#include <weir.h>

#include "config.h"
#include "fetch.h"
#include "manners.h"

#define WEIR_PROXY_WAITS_MAX 4096 /* libweir's own bound of open acquires */
#define WEIR_PROXY_RATIOS_MAX                                                                      \
  64 /* models whose estimates are corrected; beyond, the oldest goes                              \
      */

struct weir_proxy_call;

/* What has happened so far; GET /stats shows it. */
#define WEIR_PROXY_COUNTER_LIST(X)                                                                 \
  X(requests)    /* received for a provider */                                                     \
  X(leases)      /* granted */                                                                     \
  X(unleased)    /* sent without lease: no model in them, or none that is known */                 \
  X(sent)        /* requests written to providers */                                               \
  X(retries)     /* of them, new attempts after a failure */                                       \
  X(sdk_retries) /* requests that an SDK repeated */                                               \
  X(refused)     /* answered by the proxy itself with an error */                                  \
  X(rejected)    /* providers' final answers of 429 */                                             \
  X(cancelled)   /* the client went away first */                                                  \
  X(broken)      /* answers that broke off after their beginning was passed on */

struct weir_proxy_counters {
#define X(name) uint64_t name;
  WEIR_PROXY_COUNTER_LIST(X)
#undef X
};

struct weir_proxy_ratio {
  char model[2 * WEIR_WISH_SIZE + 1];
  uint64_t used; /* when last; 0: free */
  struct weir_ratio ratio;
};

/* Owner: main. */
struct weir_proxy {
  uv_loop_t *loop;
  const struct weir_proxy_config *config;
  struct weir *weir;
  struct weir_http_server *server;
  struct weir_fetcher *fetcher;
  uv_poll_t leases; /* weir_fd */
  struct weir_rng rng;
  struct weir_proxy_counters counters;
  uint64_t calls_open;

  /* Who waits for a lease: acquire -> index in |waiting|. */
  struct weir_table waits;
  void *waits_storage;
  struct weir_proxy_call *waiting[WEIR_PROXY_WAITS_MAX];
  uint32_t free_places[WEIR_PROXY_WAITS_MAX], free_count;

  /* Whether the coordinator answers: a probe tells, one at a time. */
  uv_timer_t probe_timer;
  uint64_t probe_id; /* 0: none under way */
  bool is_known, is_reachable;
  bool is_unlimited; /* a call went without limit since the coordinator was there */
  struct weir_http_exchange *asking[64]; /* GET /readyz that await the probe */
  uint32_t asking_count;

  struct weir_proxy_ratio ratios[WEIR_PROXY_RATIOS_MAX];
  uint64_t ratios_used;

  struct weir_prices prices;
  FILE *call_log; /* NULL: none */
  bool is_draining;
};

/* weir_proxy_open opens everything and listens. False with a line of explanation in |error|; then
 * the caller ends the process. */
bool weir_proxy_open(struct weir_proxy *p, uv_loop_t *loop, const struct weir_proxy_config *config,
                     char *error, size_t error_size);

/* weir_proxy_port returns the TCP port that it listens on; 0 without. */
uint16_t weir_proxy_port(const struct weir_proxy *p);

/* weir_proxy_drain stops listening, lets open requests end for up to the configured time, and then
 * closes all handles, so that the loop ends. A second call does nothing. */
void weir_proxy_drain(struct weir_proxy *p);

/* weir_proxy_fini frees what is left when the loop has ended; blocks until settlements are on their
 * way (weir_close). */
void weir_proxy_fini(struct weir_proxy *p);

/* ---- for call.c ---- */

/* weir_proxy_wait has the result of the acquire |id| go to |call|. */
bool weir_proxy_wait(struct weir_proxy *p, uint64_t id, struct weir_proxy_call *call);

/* weir_proxy_unwait withdraws an acquire; a lease that comes all the same is given back. */
void weir_proxy_unwait(struct weir_proxy *p, uint64_t id);

/* weir_proxy_ratio returns what was learned about the estimates of |model|. Valid until the next
 * call. */
struct weir_ratio *weir_proxy_ratio(struct weir_proxy *p, const char *model);

/* weir_proxy_is_down tells that the coordinator does not answer, in a mode that does not wait. */
bool weir_proxy_is_down(const struct weir_proxy *p);

/* weir_call_is_welcome tells by the headers of |request| whether it brings a key that the proxy
 * takes; else |ret_refusal| is the answer. */
bool weir_call_is_welcome(struct weir_proxy *p, const struct weir_http_request *request,
                          struct weir_http_refusal *ret_refusal);

/* weir_call_is_streamed tells by the headers of |request| whether it begins before its body. */
bool weir_call_is_streamed(const struct weir_proxy *p, const struct weir_http_request *request);

/* weir_call_refuse_full makes the answer to a |request| whose body has no room. */
void weir_call_refuse_full(struct weir_proxy *p, const struct weir_http_request *request,
                           struct weir_http_refusal *ret_refusal);

/* weir_call_begin takes on a request for a provider. weir_call_over frees its call; the exchange's
 * end (on_close) calls it, and nobody else. */
void weir_call_begin(struct weir_proxy *p, struct weir_http_exchange *x);
void weir_call_over(struct weir_proxy_call *call, bool is_sent);

/* weir_call_lease gives |call| the result of its acquire. */
void weir_call_lease(struct weir_proxy_call *call, const struct weir_lease *lease);

/* weir_call_outage tells a call that waits for a lease that the coordinator is gone. */
void weir_call_outage(struct weir_proxy_call *call);

/* weir_call_body takes a piece of a streamed body, and at its end a |size| of 0. */
void weir_call_body(struct weir_proxy_call *call, const void *bytes, size_t size);

/* weir_call_drained goes on with an answer that waited for its client to read. */
void weir_call_drained(struct weir_proxy_call *call);

extern const struct weir_fetch_handler weir_call_fetch_handler;

#endif
