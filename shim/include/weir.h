/* weir.h - libweir: one provider quota, shared by many instances.
 *
 *   struct weir *weir;
 *   struct weir_options options = WEIR_INIT(struct weir_options);
 *   if (weir_open(&options, &weir) != WEIR_OK) ...
 *
 *   struct weir_request request = WEIR_INIT(struct weir_request);
 *   struct weir_response response = WEIR_INIT(struct weir_response);
 *   request.model = "gemini/gemini-2.5-flash";
 *   request.body = "{\"contents\":[{\"parts\":[{\"text\":\"Hello\"}]}]}";
 *   request.body_size = strlen(request.body);
 *   if (weir_call(weir, &request, &response) == WEIR_OK)
 *     fwrite(response.body, 1, response.body_size, stdout);
 *   else
 *     fprintf(stderr, "%s\n", response.error);
 *   weir_response_free(&response);
 *   weir_close(weir);
 *
 * weir_call does everything: it asks weir-coordinator for a lease, waits for its turn, calls the
 * provider, tells the coordinator what the call cost, and tries again where that makes sense. With
 * an HTTP client of your own, use weir_acquire before a call and weir_settle after it.
 *
 * Prompts and keys stay in this process: the coordinator sees numbers and model names.
 *
 * Threads: every function may be called from any thread at any time, except where it says
 * otherwise. The library has one thread of its own, started by the first acquire, with all signals
 * blocked. It installs no signal or exit handler, prints nothing, and leaves the environment and
 * the generators of the C library alone. A libcurl before 7.87 that uses OpenSSL may raise SIGPIPE
 * when a provider hangs up: a program that runs with one has to ignore that signal.
 *
 * Wallets: where online requests of one model and tenant come steadily, the library takes a few
 * leases ahead of need, so that the next requests start without a round trip. It does so only while
 * the coordinator has room to spare and nobody waits there, and gives back within about a second
 * what is not used. Batch work, acquires of several requests, and pools with windows about as short
 * as a call have none.
 *
 * fork(): a handle works on in a child, as a new instance with its own connection; leases and
 * waiting acquires stay with the parent. Fork does not wait for the network.
 *
 * Structs: |size| comes first, so that a program and a library of different versions understand
 * one another: members are only added at the end, and a library takes the structs of every program
 * that is older. Declare them with WEIR_INIT, which sets it and makes the rest zeros; zero always
 * means "the default" or "none". Strings are UTF-8, NUL-terminated, and copied where they are
 * kept.
 *
 * Errors: functions return WEIR_OK or a negative enum weir_err. What they would have written is
 * unchanged on an error unless it says otherwise.
 */
#ifndef WEIR_PUBLIC_H
#define WEIR_PUBLIC_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0

#if defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#else
#define WEIR_API
#endif

#ifdef __cplusplus
template <typename T> static inline T weir_zeroed()
{
  T object = T();
  object.size = sizeof object;
  return object;
}
#define WEIR_INIT(type) weir_zeroed<type>()
extern "C" {
#else
/* WEIR_INIT(struct weir_ask) initializes a struct of this header: its size, and zeros. */
#define WEIR_INIT(type)                                                                            \
  {                                                                                                \
    .size = sizeof(type)                                                                           \
  }
#endif

/* weir's own sources have these lists from core/include/weir and include it first. */
#ifndef WEIR_ERR_H
enum weir_err {
  WEIR_OK = 0,
  WEIR_EINVAL = -1,        /* an argument is outside its range */
  WEIR_EFULL = -2,         /* a bounded table or queue is full: try again later */
  WEIR_ENOENT = -3,        /* no such lease, acquire or provider */
  WEIR_ERANGE = -9,        /* a number or a length is outside its range */
  WEIR_ESYNTAX = -12,      /* the body is not the JSON that the call needs */
  WEIR_ENOMEM = -14,       /* out of memory */
  WEIR_ESYSTEM = -15,      /* the system refused a thread or a file descriptor */
  WEIR_EUNREACHABLE = -16, /* the coordinator did not answer in time */
  WEIR_EDENIED = -17,      /* the coordinator denied the lease; struct weir_denied says why */
  WEIR_ETIMEOUT = -18,     /* the deadline passed */
  WEIR_ECANCELLED = -19,   /* weir_cancel, weir_drain, or the caller's on_data */
  WEIR_EEXPIRED = -20,     /* the lease expired before it was used */
  WEIR_EUPSTREAM = -21,    /* the provider answered with an error */
  WEIR_ENETWORK = -22,     /* the provider could not be reached, or its answer was cut */
  WEIR_ECLOSED = -23,      /* weir_close was called */
  WEIR_ECONFIG = -24,      /* the configuration is not valid: a key or a provider is missing */
  WEIR_EAGAIN = -25,       /* nothing is ready yet */
  WEIR_EKEY = -26          /* the coordinator refused this instance's key */
};
#endif

#ifndef WEIR_VOCAB_H
/* What a limit counts. */
enum weir_dimension {
  WEIR_DIMENSION_REQUESTS = 1,
  WEIR_DIMENSION_INPUT_TOKENS = 2,
  WEIR_DIMENSION_OUTPUT_TOKENS = 3,
  WEIR_DIMENSION_TOTAL_TOKENS = 4,
  WEIR_DIMENSION_SPEND = 5,    /* millionths of the currency */
  WEIR_DIMENSION_IN_FLIGHT = 6 /* calls under way at the same time */
};

/* Classes of work, the most urgent first. */
enum weir_class { WEIR_CLASS_ONLINE = 1, WEIR_CLASS_BATCH = 2 };

/* What becomes of calls while the coordinator does not answer. */
enum weir_without {
  WEIR_WITHOUT_WAIT = 1,   /* they wait for it */
  WEIR_WITHOUT_CLOSED = 2, /* they fail at once */
  WEIR_WITHOUT_OPEN = 3    /* they go, without any limit */
};

/* Why the coordinator denied a lease. */
enum weir_denial {
  WEIR_DENIAL_NO_POOL = 1,    /* no pool or route has that model */
  WEIR_DENIAL_TOO_LARGE = 2,  /* costs more than a whole limit: it can never fit */
  WEIR_DENIAL_DEADLINE = 3,   /* its earliest start lies past its deadline */
  WEIR_DENIAL_QUEUE_FULL = 4, /* too many wait already */
  WEIR_DENIAL_FINISHED = 5,   /* internal: never reported */
  WEIR_DENIAL_CLOSED = 6,     /* the pool takes no asks (removed, or shutting down) */
  WEIR_DENIAL_BUSY = 7,       /* internal: never reported */
  WEIR_DENIAL_OPEN = 8,       /* the pool's breaker is open for longer than the deadline */
  WEIR_DENIAL_RETRIES = 9     /* a new attempt, and all instances have made their share of them */
};

/* How a call ended. */
enum weir_outcome {
  WEIR_OUTCOME_OK = 1,
  WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS = 2,
  WEIR_OUTCOME_QUOTA_MINUTE_TOKENS = 3,
  WEIR_OUTCOME_QUOTA_DAY_REQUESTS = 4,
  WEIR_OUTCOME_QUOTA_DAY_TOKENS = 5,
  WEIR_OUTCOME_QUOTA_SPEND = 6,
  WEIR_OUTCOME_RAMP_LIMIT = 7,
  WEIR_OUTCOME_CAPACITY_THROTTLE = 8,
  WEIR_OUTCOME_OVERLOADED = 9,
  WEIR_OUTCOME_SERVER_ERROR = 10,
  WEIR_OUTCOME_DEADLINE = 11,
  WEIR_OUTCOME_REQUEST_TOO_LARGE = 12,
  WEIR_OUTCOME_CONTEXT_OVERFLOW = 13,
  WEIR_OUTCOME_NO_ACCESS_TIER = 14,
  WEIR_OUTCOME_BILLING = 15,
  WEIR_OUTCOME_AUTH = 16,
  WEIR_OUTCOME_PERMISSION = 17,
  WEIR_OUTCOME_MODEL_NOT_FOUND = 18,
  WEIR_OUTCOME_BAD_REQUEST = 19,
  WEIR_OUTCOME_CANCELLED = 20,
  WEIR_OUTCOME_NETWORK = 21
};
#endif

/* A connection to one coordinator, and what it needs to call providers. Opaque. */
struct weir;

/* weir_version returns the version of the library that runs, "0.1.0". Static storage. */
WEIR_API const char *weir_version(void);

/* weir_error_text returns one English sentence for an error of this library (no full stop). Static
 * storage. */
WEIR_API const char *weir_error_text(int err);

/* weir_outcome_text returns the word of an outcome ("quota_minute_tokens"), "?" for a number that
 * is none. Static storage. */
WEIR_API const char *weir_outcome_text(int outcome);

/* weir_now_us reads the clock of all instants in this header: microseconds of CLOCK_BOOTTIME, which
 * runs on while the machine is suspended, as the provider's windows do. Blocks: no. Since 0.1. */
WEIR_API uint64_t weir_now_us(void);

/* Opening and closing */

enum weir_level { WEIR_LEVEL_ERROR = 1, WEIR_LEVEL_WARNING, WEIR_LEVEL_INFO };

/* A log line: called from any thread, the library's included; must not call the library. |text| is
 * valid for the call only, and holds neither keys nor prompts. */
typedef void weir_log_fn(void *context, enum weir_level level, const char *text);

/* A line of the call log: one for each weir_call, when it has ended, on its thread, unless it was
 * refused at once (WEIR_EINVAL, a request with WEIR_ERANGE, WEIR_ECLOSED before it began); must not
 * call the library. |line| is a JSON object (docs/CLI.md lists its members) of less than 1,024
 * bytes without a newline, valid for the call only; it holds neither keys nor prompts. */
typedef void weir_call_log_fn(void *context, const char *line);

struct weir_request;
struct weir_response;

/* The last resort for a call that has failed for good (see "When a call fails for good" below):
 * fills |ret_answer|, which is empty, by weir_response_set and returns 1, or returns 0 to let the
 * call fail. |err| is what weir_call would return, |failed| what it would give. Called on the
 * thread of weir_call, without a lock; must not call the handle. */
typedef int weir_degrade_fn(void *context, const struct weir_request *request, int err,
                            const struct weir_response *failed, struct weir_response *ret_answer);

struct weir_options {
  size_t size;
  const char *coordinator; /* ZeroMQ endpoint; NULL: $WEIR_COORDINATOR, or else
                              "ipc:///run/weir/weir.sock" */
  const char *name;        /* of this instance, for people; at most 63 printable ASCII characters;
                              NULL: "<program>:<process id>" */
  uint64_t max_wait_ms;    /* for requests that do not say; 0: 300,000 (5 minutes) */
  uint32_t retries_max;    /* of weir_call, after the first attempt; 0: 3 */
  uint32_t is_without_retries; /* 1: weir_call tries once, whatever retries_max says */
  weir_log_fn *log;            /* NULL: nothing is logged */
  void *log_context;
  uint32_t wallet_max;        /* leases held ahead for one model and tenant; 0: 8; at most 64 */
  uint32_t is_without_wallet; /* 1: none, whatever wallet_max says */
  weir_call_log_fn *call_log; /* NULL: none */
  void *call_log_context;
  const char *prices; /* path of a file of prices that take the place of built-in ones (format:
                         docs/PROVIDERS.md), read in weir_open; NULL: $WEIR_PRICES, or else none */
  uint64_t cache_bytes_max; /* memory for the last good answers of requests that are cacheable, to
                               be given again when a call fails for good; 0: none are kept */
  uint64_t cache_ttl_ms;    /* older ones are not given; 0: 3,600,000 (an hour) */
  weir_degrade_fn *degrade; /* NULL: none */
  void *degrade_context;
  const char *server_key; /* public key of a coordinator on tcp, 40 characters; NULL:
                             $WEIR_SERVER_KEY. Not used on ipc */
  const char *key_file;   /* path of this instance's secret key (weir keys new), read again for each
                             connection; NULL: $WEIR_KEY_FILE. Not used on ipc */
  uint32_t without_coordinator; /* enum weir_without, where it is stricter than what the
                                   coordinator's configuration says of a pool: WEIR_WITHOUT_WAIT is
                                   stricter than OPEN, CLOSED than both; 0: as it says */
  uint32_t reserved;            /* 0 */
};

/* weir_open makes a handle; the connection is made later, by the first acquire, so that a process
 * may open before it forks. |options| may be NULL.
 *
 * Fails with:
 *   WEIR_EINVAL   |ret_weir| is NULL, a size is wrong, or the name is not printable or too long
 *   WEIR_ERANGE   max_wait_ms is above WEIR_WAIT_MAX_MS, retries_max above 100, wallet_max above
 *                 64, cache_ttl_ms above WEIR_WAIT_MAX_MS, or cache_bytes_max neither 0 nor between
 *                 64 KiB and 64 GiB; or without_coordinator is none of its enum
 *   WEIR_ECONFIG  the coordinator's address is neither ipc://path nor tcp://host:port; one on tcp
 *                 lacks server_key or key_file; the key file cannot be read, is not valid, or may
 *                 be read by others; the file of prices cannot be read or is not valid. The log
 *                 tells where and why
 *   WEIR_ENOMEM   out of memory
 * Blocks: only to read files. The caller owns *ret_weir and ends it with weir_close.
 * Since 0.1. */
WEIR_API int weir_open(const struct weir_options *options, struct weir **ret_weir);

#define WEIR_WAIT_MAX_MS UINT64_C(604800000) /* a week */

/* weir_close ends a handle and frees it. Threads that are blocked in it return WEIR_ECLOSED, and
 * weir_close waits until they have left; transfers that are under way are aborted, and their
 * leases stay charged. Unsettled leases are given back when they expire. Does nothing with NULL.
 *
 * Blocks: until the calls inside have returned (they are woken at once) and what was settled is on
 * its way, at most about a second beyond a callback of the caller. No other call on the handle may
 * begin once weir_close was called. Never call it from a callback. Since 0.1. */
WEIR_API void weir_close(struct weir *weir);

/* weir_drain lets no further request begin: acquires and calls that wait for a lease return
 * WEIR_ECANCELLED, and so do later ones; calls that wait to try again return their last failure.
 * Requests that were sent to a provider run to their end and are settled.
 * For a clean end: weir_drain, let the threads finish, weir_close.
 *
 * Blocks: no. It is not for signal handlers. Since 0.1. */
WEIR_API void weir_drain(struct weir *weir);

/* weir_fd returns a file descriptor that becomes readable when weir_acquire_next has a result, and
 * stays so until the last one is taken; it may also be readable when there is none, which
 * WEIR_EAGAIN tells. It belongs to the handle and is the same each time: poll it, but do not read
 * or close it. After fork() ask again: the child has another one.
 *
 * Fails with WEIR_EINVAL (NULL), WEIR_ECLOSED (weir_close was called), WEIR_ESYSTEM (no descriptors
 * left). Blocks: no. Since 0.1. */
WEIR_API int weir_fd(struct weir *weir);

/* Providers */

struct weir_provider {
  size_t size;
  const char *name;     /* stands before the slash of "name/model"; at most 31 characters */
  const char *kind;     /* "gemini", "vertex", "openai", "anthropic" or "compatible" (speaks
                           OpenAI's protocol); NULL: |name| is the kind */
  const char *base_url; /* "https://host[:port][/path]" or http; NULL: the provider's own */
  const char *key;      /* API key; NULL: |key_env| */
  const char *key_env;  /* environment variable that holds the key, read now; NULL: that of the kind
                           (GEMINI_API_KEY or GOOGLE_API_KEY, OPENAI_API_KEY, ANTHROPIC_API_KEY) */
  const char *keys;     /* where keys are, instead of |key| and |key_env|: "env:NAME" and
                           "file:/path", separated by commas; NULL: see |key| */
};

/* Several keys. Where a provider's limits hold for a project, all its keys share one quota; calls
 * take the keys in turn. A text holds one key a line, without the blanks around it; a key is
 * printable ASCII of at most 8 KiB, and a provider has 64 at most. A key that the provider rejects
 * (WEIR_OUTCOME_AUTH) is left out for 5 minutes, or until another stands in its place, and the call
 * tries again at once with another one, as one of its retries. When all were rejected, they are
 * tried all the same.
 *
 * Files are looked at again while calls are made, at most once a second, and read when they have
 * changed; replace them by rename, so that none is read half. A file that is gone, empty or not
 * valid leaves its former keys in use, which the log tells once. Memory that held a key is wiped
 * before it is freed; copies inside libcurl and the system are not ours to wipe. */

/* weir_provider_add adds a provider, or replaces the one of that name for calls that begin later.
 * Those of the kinds "gemini", "openai" and "anthropic" exist from the start under the names of
 * their kinds, with their own URLs and the keys that the environment held in weir_open.
 *
 * A provider at another URL than its own may be without key; then none is sent.
 *
 * Fails, changing nothing, with:
 *   WEIR_EINVAL   a pointer is NULL or a size is wrong; the name is empty, too long or holds a
 *                 slash
 *   WEIR_ECONFIG  the kind is unknown, needs a base_url, or base_url is not http or https; or a key
 *                 is not valid, or one of |keys| is not there; the log tells which and why
 *   WEIR_EFULL    there are 32 providers
 *   WEIR_ENOMEM   out of memory
 * Blocks: only to read the files of |keys|. Everything is copied. Since 0.1. */
WEIR_API int weir_provider_add(struct weir *weir, const struct weir_provider *provider);

/* weir_keys_reload reads all keys of files and of the environment again, now, for calls that begin
 * later. Do not change the environment meanwhile.
 *
 * Fails with:
 *   WEIR_ECONFIG  some could not be read, or are not valid: their former keys stay, the others are
 *                 new; the log tells what is wrong
 *   WEIR_EINVAL   |weir| is NULL
 *   WEIR_ECLOSED
 * Blocks: only to read files. Since 0.1. */
WEIR_API int weir_keys_reload(struct weir *weir);

/* Leases: with an HTTP client of your own */

struct weir_ask {
  size_t size;
  const char *model;          /* "provider/model", a pool or a route of the coordinator */
  enum weir_class work_class; /* 0: online */
  uint64_t requests;          /* 0: one */
  uint64_t input_tokens;      /* estimate, at most 2^30 */
  uint64_t output_tokens;     /* upper bound (max_tokens) or estimate, at most 2^30 */
  uint64_t max_wait_ms;       /* the request has to start within this; 0: the option's value */
  uint32_t is_immediate;      /* 1: now or never; max_wait_ms then only bounds the round trip to
                                 the coordinator, which a lease held ahead of need saves */
  const char *tenant;         /* on whose behalf, for fair shares: at most 31 printable ASCII
                                 characters; NULL: nobody in particular */
  uint32_t attempts;          /* requests of the same call that were sent before, at most 100: all
                                 instances together have a bounded share of new attempts */
  uint64_t avoid;             /* choices of a route that failed this call: bit n - 1 is choice n of
                                 struct weir_lease */
  const char *prefer;         /* "provider/model" of the route to take if it can; NULL: any */
};

/* Why a lease was denied. The numbers belong to the limit that binds; amount is 0 where none does.
 */
struct weir_denied {
  enum weir_denial why;
  enum weir_dimension dimension;
  uint64_t retry_in_ms; /* when it might be granted; UINT64_MAX: never */
  uint64_t window_ms;
  uint64_t cost, amount; /* what the ask costs, and the limit in a window */
  char pool[32];
};

/* A lease, or why there is none. */
struct weir_lease {
  size_t size;
  uint64_t id;         /* of the acquire; for weir_cancel and weir_settle */
  int err;             /* WEIR_OK: granted. Else WEIR_EDENIED, WEIR_ETIMEOUT, WEIR_EUNREACHABLE,
                          WEIR_EKEY, WEIR_ECANCELLED or WEIR_ECLOSED */
  uint32_t is_queued;  /* the coordinator let it wait for its turn */
  uint64_t wait_us;    /* from the acquire to this result */
  uint64_t ttl_us;     /* the request has to be written within this, from now */
  uint64_t expires_us; /* the same as an instant of weir_now_us */
  char pool[32];       /* whose budget is charged */
  char model[64];      /* "provider/model" to call: what a route resolved to */
  struct weir_denied denied; /* with WEIR_EDENIED */
  uint32_t is_reported; /* 1: settle as soon as the request is written, with is_interim and sent_us,
                           and at the end as ever. Without, the pool is slower, not wrong */
  uint32_t is_probe;    /* 1: what becomes of it tells whether the provider works again: settle as
                           soon as that is known, with is_interim at the first bytes of an answer */
  uint32_t choice, choices; /* of a route, this is model n of so many; 0: it was asked for itself */
  uint64_t timeout_us;      /* how long the request may take, by the coordinator; 0: not told */
  uint64_t ratio_pm, ratio_error_pm; /* what such calls used of the input that was estimated, in
                                        thousandths, and its standard deviation; 0: not known */
  uint64_t requests_limit, requests_left; /* what the pool's limits left the whole project when this
                                             lease was granted: of the one of which least is left;
                                             a limit of 0: none, or not told */
  uint64_t tokens_limit, tokens_left;     /* the same of input tokens, or all tokens */
  uint32_t is_island; /* 1: granted without the coordinator, which does not answer, out of what it
                         keeps back for that (island in its configuration) */
  uint32_t is_unlimited; /* 1: granted without the coordinator and WITHOUT ANY LIMIT, because its
                            configuration says so of this pool (without_coordinator: open) */
};

/* weir_acquire asks for a lease and waits until it may be used, until it is denied, or until
 * max_wait_ms have passed. A lease has to be settled, whatever became of the call; one that is
 * not stays charged for as long as its request might still arrive.
 *
 * Fails with (ret_lease->err says the same, and ret_lease is filled then too):
 *   WEIR_EDENIED       ret_lease->denied says why
 *   WEIR_ETIMEOUT      its turn did not come within max_wait_ms
 *   WEIR_EUNREACHABLE  the coordinator did not answer within max_wait_ms, and what this instance
 *                      may use without it (is_island) was not enough; or it did not for a second,
 *                      and without_coordinator is closed
 *   WEIR_EKEY          the coordinator refuses the key of this instance; it is tried again later,
 *                      and acquires fail at once meanwhile
 *   WEIR_ECANCELLED    weir_drain, before or meanwhile
 *   WEIR_ECLOSED       weir_close
 *
 * and, writing nothing, with:
 *   WEIR_EINVAL   a pointer is NULL, a size is wrong, the model is empty, or it or the tenant is
 *                 too long or not printable
 *   WEIR_ERANGE   a number is above its bound
 *   WEIR_EFULL    4,096 acquires wait, or their leases are not settled
 *   WEIR_ECONFIG  libzmq does not understand the coordinator's address, or the key file cannot be
 *                 read any more
 *   WEIR_ESYSTEM  fewer than 32 file descriptors or no threads are left
 *   WEIR_ENOMEM   out of memory
 * Blocks: for max_wait_ms at most. Since 0.1. */
WEIR_API int weir_acquire(struct weir *weir, const struct weir_ask *ask,
                          struct weir_lease *ret_lease);

/* weir_acquire_start is weir_acquire without waiting: *ret_id names it in weir_cancel and in the
 * result, which weir_acquire_next returns once weir_fd is readable.
 *
 * Fails as weir_acquire does without writing, and with WEIR_ECANCELLED after weir_drain. Blocks:
 * no. Since 0.1. */
WEIR_API int weir_acquire_start(struct weir *weir, const struct weir_ask *ask, uint64_t *ret_id);

/* weir_acquire_next takes the next result of weir_acquire_start: WEIR_OK when one was written to
 * |ret_lease|, whose |err| tells what it is.
 *
 * Fails with WEIR_EAGAIN (none is ready), WEIR_EINVAL. Blocks: no. Since 0.1. */
WEIR_API int weir_acquire_next(struct weir *weir, struct weir_lease *ret_lease);

/* weir_cancel withdraws an acquire of weir_acquire_start. Its result still comes: WEIR_ECANCELLED,
 * or what it had become before.
 *
 * Fails with WEIR_ENOENT (unknown, or over), WEIR_EINVAL. Blocks: no. Since 0.1. */
WEIR_API int weir_cancel(struct weir *weir, uint64_t id);

/* What became of a leased call. */
struct weir_settlement {
  size_t size;
  uint32_t is_unsent;        /* 1: the request was never written: everything comes back */
  uint32_t has_usage;        /* 1: the token counts are the provider's */
  uint32_t is_interim;       /* 1: what is known so far (that it was written, usage); another
                                settlement follows and takes its place */
  enum weir_outcome outcome; /* 0: ok */
  uint32_t http;             /* status; 0: there was no answer */
  uint64_t sent_us;          /* when the request was written, as an instant of weir_now_us;
                                0: unknown, the lease's end is assumed */
  uint64_t latency_us;       /* from writing to the end of the answer */
  uint64_t input_tokens, output_tokens;
  uint64_t retry_after_us; /* as the provider stated it; 0: it did not */
  uint64_t stated_limit;   /* the amount that a quota rejection named as its limit: of the requests
                              or tokens, a minute or a day, that |outcome| speaks of; 0: none */
  uint64_t stated_used;    /* what it named as used of it; 0: nothing */
  /* What headers of the answer said of the limits per minute; a limit of 0: nothing. Pass on only
   * what is known to be per minute. */
  uint64_t requests_limit, requests_left, tokens_limit, tokens_left;
  uint64_t estimated_tokens; /* input as it was estimated, before any correction; 0: it was not */
};

/* weir_settle tells what became of a leased call, so that what was not used comes back. It does not
 * wait: settlements are kept, and sent again after a reconnect, until the coordinator has them; at
 * most 4,096, beyond which the oldest is dropped (its lease then stays charged in full). Interim
 * ones take no place among these: of each lease the last one is kept, until the lease is settled.
 *
 * |lease| is only read. Without |settlement| (NULL) the lease counts as unsent.
 * Fails with:
 *   WEIR_ENOENT   no such lease: settled before, or from before a fork; or it ended more than ten
 *                 minutes ago, and is charged in full
 *   WEIR_EINVAL   a pointer is NULL, a size is wrong, or the lease was not granted
 *   WEIR_ERANGE   a number is above its bound
 *   WEIR_ECLOSED, WEIR_ENOMEM
 * Blocks: no. Since 0.1. */
WEIR_API int weir_settle(struct weir *weir, const struct weir_lease *lease,
                         const struct weir_settlement *settlement);

/* weir_denial_text writes why a lease was denied as one sentence, such as "asks 1,310,720 input
 * tokens, the limit is 1,000,000 per minute: split it", into |ret_text| of |size| bytes (200 are
 * always enough), cut where it does not fit, and returns it. Blocks: no. Since 0.1. */
WEIR_API const char *weir_denial_text(const struct weir_denied *denied, char *ret_text,
                                      size_t size);

/* Calls: everything in one */

/* Bytes of a streamed answer, as they come; valid for the call only. Return 0 to go on, anything
 * else to abort. Called on the thread of weir_call. */
typedef int weir_data_fn(void *context, const void *bytes, size_t size);

struct weir_request {
  size_t size;
  const char *model; /* "provider/model" of a provider added or known, or a route or pool of the
                        coordinator that resolves to one */
  const char *path;  /* of the URL, with query, "{model}" is replaced; NULL: that of a generation
                        (streamed with on_data) */
  const void *body;  /* JSON in the provider's own format; for providers that name the model in the
                        body, a "model" there is replaced and a missing one added */
  size_t body_size;  /* at most 64 MiB */
  enum weir_class work_class; /* 0: online */
  uint64_t max_wait_ms;   /* bounds everything: waiting, transfers and retries; 0: the option's. A
                             lease is waited for as long as there is time for an answer, too */
  uint64_t timeout_ms;    /* of one transfer; 0: what is left of max_wait_ms */
  uint64_t input_tokens;  /* 0: estimated from the body, corrected by what was learned */
  uint64_t output_tokens; /* 0: the maximum that the body states, or else 1,024 */
  weir_data_fn *on_data;  /* NULL: the whole answer is in response.body. Bytes of a 2xx answer go
                             to on_data and are not kept; once it was called, nothing is retried */
  void *on_data_context;
  const char *tag;       /* for the call log, and for struct weir_rule */
  const char *tenant;    /* on whose behalf, as in struct weir_ask; NULL: nobody in particular */
  uint32_t attempts;     /* of the caller itself: requests of this call that it sent before, such as
                            "x-stainless-retry-count" of a client that is served. They count like the
                            library's own; at most 100 */
  uint32_t is_cacheable; /* 1: a good answer may be kept, if the handle keeps any, and given for the
                            same request later, when that fails for good */
  const char *sticky;    /* any text, such as the id of a conversation: of a route, the model that
                            served it last is preferred. The last 256 texts are remembered, by their
                            hashes. NULL: no preference */
  const char *protocol;  /* NULL: the body is in the provider's own. "openai": it is one of OpenAI's
                            chat completions, and goes to the endpoint for these that each provider
                            has, so that one body suits all models of a route */
};

/* Where an answer comes from. */
enum weir_degraded {
  WEIR_DEGRADED_NONE = 0,    /* from the provider, now */
  WEIR_DEGRADED_STALE = 1,   /* from the provider, earlier, for the same request */
  WEIR_DEGRADED_RULE = 2,    /* of weir_rule_add */
  WEIR_DEGRADED_CALLBACK = 3 /* of weir_options.degrade */
};

/* What became of a call. Written on success and on errors, except for WEIR_EINVAL. */
struct weir_response {
  size_t size;
  uint32_t http;             /* status of the last attempt; 0: there was no answer */
  enum weir_outcome outcome; /* of the last attempt; 0: nothing was sent */
  uint32_t attempts;         /* requests sent */
  uint32_t has_usage;        /* the token counts are the provider's */
  uint64_t input_tokens, output_tokens;
  uint64_t wait_us;        /* waiting for leases and between attempts, in total */
  uint64_t latency_us;     /* of the last transfer */
  uint64_t first_us;       /* of the last transfer, to its first byte */
  uint64_t retry_after_us; /* as the provider stated it; 0: it did not */
  char model[64];          /* "provider/model" that was called */
  char *content_type;      /* NULL or NUL-terminated */
  void *body;              /* the answer, NUL-terminated beyond its end; also an error's body; NULL:
                              there was no answer, or it went to on_data */
  size_t body_size;
  char error[256];           /* one sentence for people, "" on success; no key, no prompt */
  struct weir_denied denied; /* with WEIR_EDENIED, and when a new attempt was denied */
  uint64_t cached_tokens;    /* the part of input_tokens that was read from the provider's cache */
  uint32_t has_cost;         /* cost_micro is known: all tokens were counted, and have a price */
  uint64_t cost_micro;       /* what these tokens cost, in millionths of a US dollar, rounded up */
  uint32_t choice;           /* of a route, which of its models this was, from 1; else 0 */
  enum weir_degraded degraded; /* not NONE: the call failed, and this stands in for its answer:
                                  |http| is 200, |error| and the rest tell of the failure */
  uint64_t age_us;             /* of an answer that is STALE */
};

/* weir_call makes one call to a provider within the quota: lease, HTTP request, settlement, and new
 * attempts (each with a new lease) where the failure may pass and time is left. It never sends
 * twice on one lease.
 *
 * After a failure (docs/LIBRARY.md has the table): nothing follows what is wrong with the request.
 * A rejection by a limit per minute asks for a new lease at once, which comes when the coordinator
 * lets it. Of a route, another model is tried at once, until all have failed. Whatever else may
 * pass is tried again after a random time, later than the provider said. Never more often than
 * retries_max, never beyond max_wait_ms, and not when all instances have made their share of new
 * attempts. When a new attempt gets no lease, the call ends with the failure before it.
 *
 * A route may name models of several providers. One whose own protocol the body cannot be in, or
 * for which this program has no key, is passed over like one that has failed; where none is left,
 * WEIR_ECONFIG says so. OpenAI's and Anthropic's bodies look alike: use |protocol| "openai" there.
 *
 * Fails with, and response.error tells more:
 *   WEIR_EUPSTREAM     the provider answered with an error: response.outcome, http and body
 *   WEIR_ENETWORK      no whole answer came; it may have been billed
 *   WEIR_EDENIED       the coordinator denied the lease: response.denied
 *   WEIR_ETIMEOUT      max_wait_ms passed
 *   WEIR_EEXPIRED      connecting takes longer than a lease is valid, ten times in a row
 *   WEIR_EUNREACHABLE  the coordinator did not answer within max_wait_ms
 *   WEIR_EKEY          the coordinator refuses the key of this instance
 *   WEIR_ECANCELLED    weir_drain before it was sent, or on_data returned non-zero
 *   WEIR_ECONFIG       the provider is not known, has no key or no endpoint for |protocol|, or none
 *                      of a route reads such a body
 *   WEIR_ESYNTAX       the body is not a JSON object, where the model has to be put into it
 *   WEIR_EINVAL        a pointer is NULL, a size is wrong, the model is empty, too long or not
 *                      printable, the tenant is too long or not printable, |path| holds blanks or
 *                      control characters, or |protocol| is not known
 *   WEIR_ERANGE        a number or the body is above its bound, or the answer is above 256 MiB
 *   WEIR_EFULL, WEIR_ECLOSED, WEIR_ENOMEM, WEIR_ESYSTEM
 * Blocks: for max_wait_ms at most, and 50 ms and what callbacks take; with a libcurl before 7.87, a
 * name resolver that hangs may add its own timeout. The caller frees the response with
 * weir_response_free, after errors too. Since 0.1. */
WEIR_API int weir_call(struct weir *weir, const struct weir_request *request,
                       struct weir_response *ret_response);

/* weir_response_free frees what |response| holds and makes it empty, ready for another call; its
 * size stays. NULL does nothing. Blocks: no. Since 0.1. */
WEIR_API void weir_response_free(struct weir_response *response);

/* weir_response_set makes |body| (|body_size| bytes, copied) the answer, of |content_type| (NULL:
 * "application/json"), in place of the one before. For weir_degrade_fn.
 *
 * Fails, changing nothing, with WEIR_EINVAL (a pointer is NULL, a size is wrong), WEIR_ENOMEM.
 * Blocks: no. Since 0.1. */
WEIR_API int weir_response_set(struct weir_response *response, const char *content_type,
                               const void *body, size_t body_size);

/* When a call fails for good
 *
 * Where a failure is not the request's fault, something may stand in for the answer:
 *
 *   1. the last good answer to the same request, if the handle keeps answers and the request is
 *      cacheable;
 *   2. the first rule that fits;
 *   3. what the callback of the options says.
 *
 * Requests are the same when model, path, protocol, tenant and the whole body are. Streamed answers
 * are not kept, nor those that take more than a quarter of cache_bytes_max with their requests; the
 * one used longest ago makes room. Nothing of them leaves the process, and weir_close overwrites
 * them with zeros.
 *
 * weir_call then returns WEIR_OK, and response.degraded says which it was; the answer is in
 * response.body also where there is an on_data, which is not called. What counts as the request's
 * fault: bad_request, request_too_large, context_overflow, model_not_found; the denials too_large
 * and no_pool; every error that is neither the provider's, the coordinator's nor the deadline's.
 * Once on_data was called nothing stands in for the answer. */

struct weir_rule {
  size_t size;
  const char *model;        /* of the request: the whole name, or its beginning and "*" */
  const char *tag;          /* of the request; NULL: any */
  const char *content_type; /* NULL: "application/json" */
  const void *body;         /* what is answered */
  size_t body_size;         /* at most 1 MiB */
};

/* weir_rule_add adds a rule, behind those that are there, or replaces the one of the same model and
 * tag.
 *
 * Fails, changing nothing, with:
 *   WEIR_EINVAL   a pointer is NULL, a size is wrong, the model is empty or too long, or the tag or
 *                 the content type is above 127 bytes
 *   WEIR_ERANGE   the body is above its bound
 *   WEIR_EFULL    there are 64 rules
 *   WEIR_ECLOSED, WEIR_ENOMEM
 * Blocks: no. Everything is copied. Since 0.1. */
WEIR_API int weir_rule_add(struct weir *weir, const struct weir_rule *rule);

#ifdef __cplusplus
}
#endif

#endif
