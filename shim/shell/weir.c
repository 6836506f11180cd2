#include "account.h"
#include "handle.h"
#include "identity.h"

#include <weir/scrub.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define MAX_WAIT_MS_DEFAULT  300000
#define RETRIES_DEFAULT      3
#define RETRIES_MAX          100
#define CACHE_TTL_MS_DEFAULT 3600000

weir_tstamp weir_now(void)
{
  struct timespec now;

  clock_gettime(CLOCK_BOOTTIME, &now);
  return (weir_tstamp)now.tv_sec * WEIR_US_PER_S + (weir_tstamp)now.tv_nsec / 1000;
}

uint64_t weir_now_us(void)
{
  return weir_now();
}

void weir_random(void *bytes, size_t size)
{
  uint8_t *at = bytes;

  /* It cannot fail for so few bytes, but a signal can cut it short before the pool is ready. */
  while (size > 0) {
    ssize_t got = getrandom(at, size, 0);

    if (got > 0) {
      at += got;
      size -= (size_t)got;
    }
  }
}

void weir_log(const struct weir *w, enum weir_level level, const char *format, ...)
{
  char text[512];
  va_list arguments;

  if (!w->log)
    return;
  va_start(arguments, format);
  vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  weir_scrub(text);
  w->log(w->log_context, level, text);
}

/* ---- fork ----
 *
 * The forking thread takes every lock, so that the child finds each handle at rest. The child's
 * handler only makes the locks usable again and counts: what belongs to the parent (thread,
 * sockets, connections) is neither used nor closed, and each handle is made anew when it is
 * entered.
 */

static pthread_mutex_t handles_lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir *handles;
static uint64_t fork_generation;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void fork_prepare(void)
{
  pthread_mutex_lock(&handles_lock);
  for (struct weir *w = handles; w; w = w->next)
    pthread_mutex_lock(&w->lock);
}

static void fork_parent(void)
{
  for (struct weir *w = handles; w; w = w->next)
    pthread_mutex_unlock(&w->lock);
  pthread_mutex_unlock(&handles_lock);
}

static void fork_child(void)
{
  fork_generation++;
  for (struct weir *w = handles; w; w = w->next)
    pthread_mutex_init(&w->lock, NULL);
  pthread_mutex_init(&handles_lock, NULL);
}

static void fork_register(void)
{
  pthread_atfork(fork_prepare, fork_parent, fork_child);
}

uint64_t weir_fork_generation(void)
{
  return fork_generation;
}

static void init_conditions(struct weir *w)
{
  pthread_condattr_t monotonic;

  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&w->left, NULL);
  pthread_cond_init(&w->woken, &monotonic);
  pthread_condattr_destroy(&monotonic);
}

static void free_ready(struct weir *w)
{
  while (w->ready.first) {
    struct weir_waiter *waiter = w->ready.first;

    w->ready.first = waiter->next;
    free(waiter);
  }
  w->ready.last = NULL;
}

/* Draws the start of the backoff's jitter. */
static void seed_rng(struct weir *w)
{
  uint64_t seed;

  weir_random(&seed, sizeof(seed));
  weir_rng_init(&w->rng, seed);
}

/* In the child: nobody is inside, and nothing of the parent's is ours. */
static void after_fork(struct weir *w)
{
  w->generation = fork_generation;
  w->users = 0;
  init_conditions(w);
  /* Not even looked at: most of them stood on the stacks of threads that are not here. */
  w->waiters = (struct weir_waiter_list){NULL, NULL};
  free_ready(w);
  if (w->ready_fd >= 0)
    close(w->ready_fd);
  w->ready_fd = -1;
  w->id_last = fork_generation << 40;
  w->idle_count = 0;
  seed_rng(w); /* or else the children of one parent would all try again at the same instants */
  weir_worker_forget(w);
}

int weir_enter(struct weir *w)
{
  pthread_mutex_lock(&w->lock);
  if (w->generation != fork_generation)
    after_fork(w);
  if (w->is_closed) {
    pthread_mutex_unlock(&w->lock);
    return WEIR_ECLOSED;
  }
  w->users++;
  return WEIR_OK;
}

void weir_leave(struct weir *w)
{
  w->users--;
  if (w->is_closed && w->users == 0)
    pthread_cond_signal(&w->left);
  pthread_mutex_unlock(&w->lock);
}

/* ---- opening and closing ---- */

const char *weir_version(void)
{
  return WEIR_VERSION;
}

const char *weir_error_text(int err)
{
  return weir_err_text(err);
}

const char *weir_outcome_text(int outcome)
{
  return weir_outcome_name((enum weir_outcome)outcome);
}

bool weir_sized_read(const void *given, size_t first_size, void *ret_own, size_t own_size)
{
  size_t size;

  memcpy(&size, given, sizeof(size)); /* it comes first in every struct */
  if (size != first_size && size != own_size)
    return false;
  memset(ret_own, 0, own_size);
  memcpy(ret_own, given, size);
  memcpy(ret_own, &own_size, sizeof(own_size));
  return true;
}

bool weir_is_tenant(const char *text)
{
  return !text || !*text || weir_is_printable(text, WEIR_TENANT_SIZE);
}

bool weir_is_printable(const char *text, size_t size_max)
{
  size_t size = strlen(text);

  for (size_t i = 0; i < size; i++) {
    if (text[i] < 0x20 || text[i] > 0x7e)
      return false;
  }
  return size > 0 && size < size_max;
}

static int check_options(const struct weir_options *options)
{
  if (options->name && !weir_is_printable(options->name, WEIR_NAME_SIZE))
    return WEIR_EINVAL;
  if (options->max_wait_ms > WEIR_WAIT_MAX_MS || options->retries_max > RETRIES_MAX ||
      options->wallet_max > WEIR_CLIENT_WALLET_MAX || options->cache_ttl_ms > WEIR_WAIT_MAX_MS ||
      options->without_coordinator > WEIR_WITHOUT_OPEN)
    return WEIR_ERANGE;
  if (options->cache_bytes_max > 0 && (options->cache_bytes_max < WEIR_CACHE_SIZE_MIN ||
                                       options->cache_bytes_max > WEIR_CACHE_SIZE_MAX))
    return WEIR_ERANGE;
  return WEIR_OK;
}

/* Where libzmq's own check comes too late: it happens when the first lease is asked for. */
static bool is_endpoint(const char *text)
{
  const size_t ipc_path_max = 107; /* sockaddr_un */

  if (strncmp(text, "ipc://", 6) == 0)
    return text[6] != '\0' && strlen(text + 6) <= ipc_path_max;
  return strncmp(text, "tcp://", 6) == 0 && strchr(text + 6, ':') != NULL;
}

static int set_degradation(struct weir *w, const struct weir_options *options)
{
  const uint64_t ttl_ms = options->cache_ttl_ms ? options->cache_ttl_ms : CACHE_TTL_MS_DEFAULT;
  uint64_t seed;
  void *storage;

  w->degrade = options->degrade;
  w->degrade_context = options->degrade_context;
  w->cache_ttl_us = ttl_ms * WEIR_US_PER_MS;
  if (options->cache_bytes_max == 0)
    return WEIR_OK;
  storage = malloc((size_t)options->cache_bytes_max);
  if (!storage)
    return WEIR_ENOMEM;
  weir_random(&seed, sizeof(seed));
  w->cache = weir_cache_init(storage, (size_t)options->cache_bytes_max, seed);
  return WEIR_OK;
}

static int set_options(struct weir *w, const struct weir_options *options)
{
  const char *coordinator = options->coordinator;
  int err;

  if (!coordinator)
    coordinator = getenv("WEIR_COORDINATOR");
  if (!coordinator || !*coordinator)
    coordinator = WEIR_ENDPOINT_DEFAULT;
  w->log = options->log;
  w->log_context = options->log_context;
  if (!is_endpoint(coordinator)) {
    weir_log(w, WEIR_LEVEL_ERROR,
             "coordinator \"%s\": not an address; write ipc:///path (at most 107 bytes) or "
             "tcp://host:port",
             coordinator);
    return WEIR_ECONFIG;
  }
  w->coordinator = strdup(coordinator);
  if (!w->coordinator)
    return WEIR_ENOMEM;
  err = weir_identity_open(w, options);
  if (err)
    return err;
  if (options->name)
    snprintf(w->name, sizeof(w->name), "%s", options->name);
  w->max_wait_ms = options->max_wait_ms ? options->max_wait_ms : MAX_WAIT_MS_DEFAULT;
  w->retries_max = options->retries_max ? options->retries_max : RETRIES_DEFAULT;
  if (options->is_without_retries)
    w->retries_max = 0;
  w->wallet_max = options->wallet_max ? options->wallet_max : WEIR_WALLET_DEFAULT;
  if (options->is_without_wallet)
    w->wallet_max = 0;
  w->without = (enum weir_without)options->without_coordinator;
  w->call_log = options->call_log;
  w->call_log_context = options->call_log_context;
  seed_rng(w);
  err = weir_account_open(w, options->prices);
  if (!err)
    err = set_degradation(w, options);
  return err ? err : weir_providers_init(w);
}

static void free_handle(struct weir *w)
{
  weir_upstream_close(w);
  weir_providers_free(w);
  weir_account_close(w);
  weir_degrade_free(w);
  free_ready(w);
  if (w->ready_fd >= 0)
    close(w->ready_fd);
  pthread_cond_destroy(&w->left);
  pthread_cond_destroy(&w->woken);
  pthread_mutex_destroy(&w->lock);
  free(w->client);
  free(w->coordinator);
  weir_identity_close(w);
  free(w);
}

int weir_open(const struct weir_options *options, struct weir **ret_weir)
{
  static const struct weir_options defaults = WEIR_INIT(struct weir_options);
  struct weir_options own;
  struct weir *w;
  int err;

  if (!ret_weir ||
      !weir_sized_read(options ? options : &defaults, WEIR_OPTIONS_SIZE_FIRST, &own, sizeof(own)))
    return WEIR_EINVAL;
  err = check_options(&own);
  if (err)
    return err;
  w = calloc(1, sizeof(*w));
  if (!w)
    return WEIR_ENOMEM;
  pthread_once(&fork_once, fork_register);
  pthread_mutex_init(&w->lock, NULL);
  init_conditions(w);
  w->ready_fd = w->worker.wake_fd = -1;
  err = set_options(w, &own);
  if (err) {
    free_handle(w);
    return err;
  }
  pthread_mutex_lock(&handles_lock);
  w->generation = fork_generation;
  w->next = handles;
  if (handles)
    handles->prev = w;
  handles = w;
  pthread_mutex_unlock(&handles_lock);
  *ret_weir = w;
  return WEIR_OK;
}

void weir_close(struct weir *w)
{
  if (!w || weir_enter(w) != WEIR_OK)
    return;
  w->users--; /* only those who have to leave count from here on */
  w->is_closed = true;
  weir_lease_fail(w, WEIR_ECLOSED);
  pthread_cond_broadcast(&w->woken);
  while (w->users > 0)
    pthread_cond_wait(&w->left, &w->lock);
  pthread_mutex_unlock(&w->lock);

  weir_worker_stop(w);
  pthread_mutex_lock(&handles_lock);
  if (w->prev)
    w->prev->next = w->next;
  else
    handles = w->next;
  if (w->next)
    w->next->prev = w->prev;
  pthread_mutex_unlock(&handles_lock);
  free_handle(w);
}

void weir_drain(struct weir *w)
{
  if (!w || weir_enter(w) != WEIR_OK)
    return;
  w->is_drained = true;
  weir_lease_fail(w, WEIR_ECANCELLED);
  pthread_cond_broadcast(&w->woken);
  weir_leave(w);
}
