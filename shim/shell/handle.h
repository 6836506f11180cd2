/* handle.h - the inside of a struct weir, shared by the files of libweir's shell.
 *
 *   weir.c      opening, closing, entering, fork
 *   lease.c     acquire, cancel, settle: the client machine stepped by the callers' threads
 *   worker.c    the one thread that owns the sockets
 *   identity.c  the keys that it shows to a coordinator on TCP
 *   provider.c  names and addresses of providers
 *   keys.c      their keys: where they are, whose turn it is
 *   account.c   what calls cost, and the line of the call log
 *   file.c      reads a small file
 *   call.c      weir_call: attempts
 *   memory.c    what calls have taught: ratios of estimates, how long they take, who served whom
 *   degrade.c   what stands in for an answer when a call has failed for good
 *   outgoing.c  the request's URL and body
 *   upstream.c  one HTTP transfer by libcurl
 *   text.c      sentences for people
 *
 * One lock guards everything. It is held for a step of the machine or less, never over I/O, so
 * that fork() (which takes it) and the callers never wait for the network. Host callbacks run
 * without it.
 */
#ifndef WEIR_SHELL_HANDLE_H
#define WEIR_SHELL_HANDLE_H

#include <weir/cache.h>
#include <weir/client.h>
#include <weir/err.h>
#include <weir/estimate.h>
#include <weir/key.h>
#include <weir/price.h>
#include <weir/provider.h>
#include <weir/rng.h>
#include <weir/took.h>
#include <weir/vocab.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir.h>

#define WEIR_CALLS_MAX       4096
#define WEIR_SETTLEMENTS_MAX 4096
#define WEIR_PROVIDERS_MAX   32
#define WEIR_RATIOS_MAX      64
#define WEIR_STICKY_MAX      256
#define WEIR_RULES_MAX       64
#define WEIR_WALLET_DEFAULT  8
#define WEIR_IDLE_MAX        64 /* HTTP handles kept with their connections */

#define WEIR_ENDPOINT_DEFAULT "ipc:///run/weir/weir.sock"

/* Somebody who waits for the result of an acquire. The blocking ones live on their thread's stack,
 * the others on the heap, from weir_acquire_start to weir_acquire_next. */
struct weir_waiter {
  struct weir_waiter *next, *prev; /* in |waiters|, or, once it is done and async, in |ready| */
  pthread_cond_t done;
  bool is_done, is_async;
  struct weir_lease lease; /* the result; |id| from the start */
};

struct weir_waiter_list {
  struct weir_waiter *first, *last;
};

struct weir_provider_entry {
  char name[WEIR_POOL_NAME_SIZE];
  enum weir_provider_kind kind;
  bool is_own_url; /* the provider's own, which wants a key */
  char *base_url;  /* without a slash at the end */
  char
      key_place[64]; /* where keys are looked for, for the errors that miss them; "": the program */
  struct weir_keys *keys; /* NULL in a copy */
  bool has_keys;          /* of a copy */
  char *key;              /* of a copy that is to be sent: the key whose turn it is; NULL: none */
};

/* What was learned about the calls of a model; the oldest makes room. */
struct weir_ratio_entry {
  char model[WEIR_NAME_SIZE];
  uint64_t used;           /* counter value of its last use */
  struct weir_ratio ratio; /* of what they use to what was estimated */
  struct weir_took took;   /* until their answers end */
};

/* The model of a route that served a text last; the oldest makes room. */
struct weir_sticky_entry {
  uint64_t hash; /* of the route's name and the text */
  uint64_t used; /* counter value of its last use; 0: a free place */
  char model[WEIR_NAME_SIZE];
};

/* What answers a call that has failed for good. */
struct weir_rule_entry {
  char *model; /* a pattern */
  char *tag, *content_type;
  void *body;
  size_t body_size;
};

/* Why no connection is made, as far as this side can know. */
enum weir_link_refusal {
  WEIR_LINK_FINE = 0,
  WEIR_LINK_KEY,       /* the coordinator does not know the key */
  WEIR_LINK_MECHANISM, /* one side uses keys, the other does not */
  WEIR_LINK_SERVER     /* it breaks off each handshake: its key is probably another one */
};

struct weir_worker {
  bool is_running;
  pthread_t thread;
  void *context, *socket, *monitor;
  int wake_fd;
  enum weir_link_refusal refused; /* until a connection is made */
  uint32_t broken;                /* handshakes in a row that the other side broke off */
  weir_tstamp retry_at;           /* libzmq has given up: connect again then; 0: it has not */
  weir_tstamp poll_until;         /* the thread looks again then; 0: it is awake, or was woken */
  bool is_stopping;
  struct weir_client_update update; /* of the worker's own steps */
};

struct weir {
  pthread_mutex_t lock;
  struct weir *next, *prev; /* all handles, for fork */
  uint64_t generation;      /* of the process that the rest belongs to; see weir_fork_generation */
  atomic_bool is_closed;
  bool is_drained;
  uint32_t users; /* threads inside */
  pthread_cond_t left;

  /* options */
  char *coordinator;
  char server_key[WEIR_KEY_SIZE];
  char *key_file;            /* NULL: no keys are used */
  char name[WEIR_NAME_SIZE]; /* "": made from the process at the first acquire */
  uint64_t max_wait_ms;
  uint32_t retries_max;
  uint32_t wallet_max;       /* 0: none */
  enum weir_without without; /* where it is stricter than what a pool says; 0: never */
  weir_log_fn *log;
  void *log_context;

  /* leases */
  struct weir_client_config client_config;
  struct weir_client *client;       /* in its own storage; made with the worker */
  struct weir_client_update update; /* of the callers' steps: results only */
  struct weir_waiter_list waiters, ready;
  uint64_t id_last;
  int ready_fd;       /* -1: nobody asked for it yet */
  bool is_signal_due; /* |ready| holds something of which |ready_fd| does not tell yet */
  struct weir_worker worker;

  /* calls */
  struct weir_provider_entry *providers[WEIR_PROVIDERS_MAX];
  uint32_t providers_count;
  weir_tstamp keys_looked_at; /* when files of keys were looked at last */
  struct weir_prices prices;
  weir_call_log_fn *call_log;
  void *call_log_context;
  struct weir_ratio_entry ratios[WEIR_RATIOS_MAX];
  uint64_t ratios_used;
  struct weir_sticky_entry sticky[WEIR_STICKY_MAX];
  uint64_t sticky_used;
  void *idle[WEIR_IDLE_MAX]; /* CURL handles */
  uint32_t idle_count;
  pthread_cond_t woken; /* closed or drained, for those that wait between attempts */
  struct weir_rng rng;  /* of the backoff */

  /* when a call has failed for good */
  struct weir_cache *cache; /* NULL: none */
  weir_duration cache_ttl_us;
  struct weir_rule_entry rules[WEIR_RULES_MAX];
  uint32_t rules_count;
  weir_degrade_fn *degrade;
  void *degrade_context;
};

/* weir_now reads the clock of all leases, in microseconds: CLOCK_BOOTTIME, which runs on while the
 * machine is suspended, as the provider's windows do. */
weir_tstamp weir_now(void);

/* weir_random fills |bytes| from the system's generator. */
void weir_random(void *bytes, size_t size);

/* weir_log gives a line to the host. Precondition: the lock is not held. */
void weir_log(const struct weir *w, enum weir_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The sizes of structs in programs that are older than their last members. */
#define WEIR_OPTIONS_SIZE_FIRST    offsetof(struct weir_options, wallet_max)
#define WEIR_ASK_SIZE_FIRST        offsetof(struct weir_ask, tenant)
#define WEIR_LEASE_SIZE_FIRST      offsetof(struct weir_lease, is_reported)
#define WEIR_SETTLEMENT_SIZE_FIRST offsetof(struct weir_settlement, stated_limit)
#define WEIR_REQUEST_SIZE_FIRST    offsetof(struct weir_request, tenant)
#define WEIR_PROVIDER_SIZE_FIRST   offsetof(struct weir_provider, keys)
#define WEIR_RESPONSE_SIZE_FIRST   offsetof(struct weir_response, cached_tokens)

/* weir_sized_read copies the host's struct |given| to |ret_own| of |own_size| bytes; what an older
 * program does not have is 0 there. False, writing nothing, when its size is neither |own_size| nor
 * |first_size|. */
bool weir_sized_read(const void *given, size_t first_size, void *ret_own, size_t own_size);

/* weir_is_printable tells whether |text| is of printable ASCII and has 1 to |size_max| - 1 bytes.
 */
bool weir_is_printable(const char *text, size_t size_max);

/* weir_is_tenant tells whether |text| names a tenant, or nobody (NULL or empty). */
bool weir_is_tenant(const char *text);

/* weir_enter takes the lock for a call of the host, makes the handle this process's own after a
 * fork, and counts the caller in. WEIR_ECLOSED, without the lock, once weir_close was called. */
WEIR_MUSTUSE int weir_enter(struct weir *w);

/* weir_leave is the way out, with the lock held. */
void weir_leave(struct weir *w);

/* weir_fork_generation counts the forks that lead to this process. */
uint64_t weir_fork_generation(void);

/* weir_lease_step steps the machine with an event of a caller, hands out the results, and wakes the
 * worker if there is something to do for it. Precondition: the lock is held. */
int weir_lease_step(struct weir *w, struct weir_client_event *event);

/* weir_lease_deliver hands out the results of |update|. Precondition: the lock is held. Afterwards,
 * perhaps after further ones, weir_lease_signal is to be called. */
void weir_lease_deliver(struct weir *w, const struct weir_client_update *update, weir_tstamp now);

/* weir_lease_signal makes weir_fd readable if results were handed out. Precondition: the lock is
 * held. */
void weir_lease_signal(struct weir *w);

/* weir_lease_acquire is weir_acquire for a caller that is inside: the lock is held, but not while
 * it waits. */
WEIR_MUSTUSE int weir_lease_acquire(struct weir *w, const struct weir_ask *ask,
                                    struct weir_lease *ret_lease);

/* weir_lease_settle is weir_settle for a caller that is inside. Precondition: the lock is held. */
WEIR_MUSTUSE int weir_lease_settle(struct weir *w, const struct weir_lease *lease,
                                   const struct weir_settlement *settlement);

/* weir_lease_fail ends all waiters with |err|. Precondition: the lock is held. */
void weir_lease_fail(struct weir *w, int err);

/* weir_worker_start makes sure that the machine, the sockets and the thread are there.
 * WEIR_ESYSTEM, WEIR_ENOMEM, WEIR_ECONFIG (the endpoint). Precondition: the lock is held. */
WEIR_MUSTUSE int weir_worker_start(struct weir *w);

/* weir_worker_wake makes the worker look at the machine at |wake| at the latest. Precondition: the
 * lock is held. */
void weir_worker_wake(struct weir *w, weir_tstamp wake);

/* weir_worker_stop says goodbye to the coordinator and ends the thread. Precondition: the lock is
 * not held, and nobody is inside. */
void weir_worker_stop(struct weir *w);

/* weir_worker_forget drops the parent's thread and sockets in a forked child, untouched. */
void weir_worker_forget(struct weir *w);

/* weir_providers_init adds the providers that are known from the start. */
WEIR_MUSTUSE int weir_providers_init(struct weir *w);

/* weir_providers_free frees all providers. */
void weir_providers_free(struct weir *w);

/* weir_providers_find copies the provider whose name is |model| up to its slash, to be freed with
 * weir_provider_entry_free; with |takes_key| the next key comes with it. WEIR_ENOENT, WEIR_ENOMEM.
 * Precondition: the lock is held. */
WEIR_MUSTUSE int weir_providers_find(const struct weir *w, const char *model, bool takes_key,
                                     struct weir_provider_entry **ret_entry);

/* weir_provider_entry_free frees |entry|; NULL does nothing. */
void weir_provider_entry_free(struct weir_provider_entry *entry);

/* weir_memory_ratio returns what was learned about estimates for |model|. Precondition: the lock is
 * held, also for as long as the pointer is used. */
struct weir_ratio *weir_memory_ratio(struct weir *w, const char *model);

/* weir_memory_took returns how long calls of |model| take. Precondition as there. */
struct weir_took *weir_memory_took(struct weir *w, const char *model);

/* weir_memory_stick remembers that |model| of the route |name| served |text|. Precondition: the
 * lock is held. */
void weir_memory_stick(struct weir *w, const char *name, const char *text, const char *model);

/* weir_memory_stuck writes the model that is remembered, or "". Precondition: the lock is held. */
void weir_memory_stuck(struct weir *w, const char *name, const char *text,
                       char ret_model[WEIR_NAME_SIZE]);

/* weir_degrade_keep keeps the good answer in |response| if |request| wants it. Precondition: the
 * caller is inside, the lock is not held. */
void weir_degrade_keep(struct weir *w, const struct weir_request *request,
                       const struct weir_response *response);

/* weir_degrade looks for something that stands in for the answer of a call that has failed with
 * |err|. Returns WEIR_OK when it was put into |response|, else |err|. Precondition: as above. */
int weir_degrade(struct weir *w, const struct weir_request *request, int err,
                 struct weir_response *response);

/* weir_degrade_free frees the cache, wiped, and the rules. */
void weir_degrade_free(struct weir *w);

/* weir_upstream_close frees the idle HTTP handles with their connections. */
void weir_upstream_close(struct weir *w);

#endif
