/* scenario.h - what `weir simulate` is to run: plain numbers, after the file was checked.
 *
 * A scenario is a matrix: every scheme against every method of enforcement, for every set of
 * limits, workload and number of instances. docs/SIMULATE.md tells of every key.
 *
 * Owner: the caller owns a struct weir_scenario and frees it with weir_scenario_free.
 */
#ifndef WEIR_SIM_SCENARIO_H
#define WEIR_SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/conf.h>
#include <weir/config.h>
#include <weir/vocab.h>

#include "limits.h"
#include "slope.h"

#define WEIR_SCENARIO_INSTANCES_MAX 10000
#define WEIR_SCENARIO_FLEETS_MAX    16 /* numbers of instances in one scenario */
#define WEIR_SCENARIO_SETS_MAX      8  /* sets of limits */
#define WEIR_SCENARIO_WORKLOADS_MAX 16
#define WEIR_SCENARIO_STREAMS_MAX   8 /* of one workload */
#define WEIR_SCENARIO_CRASHES_MAX   64
#define WEIR_SCENARIO_FAULTS_MAX    16
#define WEIR_SCENARIO_EXPECTS_MAX   64
#define WEIR_SCENARIO_LIMITS_MAX    4 /* of one set */
#define WEIR_SCENARIO_NAME_SIZE     24
#define WEIR_SCENARIO_CALLS_MAX     2000000 /* of one run */

/* How instances share the quota. Those from WEIR on run the real machines. */
#define WEIR_SCHEME_LIST(X)                                                                        \
  X(NAIVE, "naive")                                                                                \
  X(STATIC, "static")                                                                              \
  X(FIXED_COUNTER, "fixed_counter")                                                                \
  X(GLOBAL_BUCKET, "global_bucket")                                                                \
  X(DOORMAN, "doorman")                                                                            \
  X(WEIR_WINDOW, "weir-window")                                                                    \
  X(WEIR_BUCKET, "weir-bucket")                                                                    \
  X(WEIR_PACED, "weir-paced")                                                                      \
  X(WEIR_UNIVERSAL, "weir-universal")

#define X(name, text) WEIR_SCHEME_##name,
enum weir_scheme { WEIR_SCHEME_NONE = 0, WEIR_SCHEME_LIST(X) WEIR_SCHEME_MAX };
#undef X

struct weir_scenario_limit {
  bool is_tokens; /* else requests */
  bool is_day;    /* no rate: what a day holds */
  uint64_t amount;
  weir_duration window_us;
};

struct weir_scenario_set {
  char name[WEIR_SCENARIO_NAME_SIZE];
  uint32_t limits_count;
  struct weir_scenario_limit limits[WEIR_SCENARIO_LIMITS_MAX];
};

enum weir_stream_kind {
  WEIR_STREAM_BACKLOG, /* all calls at once, worked through by a number of workers */
  WEIR_STREAM_POISSON, /* calls at random instants */
  WEIR_STREAM_BURSTY   /* most at random instants, the rest in bursts; some instances busier */
};

enum weir_token_kind { WEIR_TOKENS_PARETO, WEIR_TOKENS_CONSTANT };

enum weir_estimate_kind {
  WEIR_ESTIMATE_EXACT,
  WEIR_ESTIMATE_LOGNORMAL, /* right on average, wrong by |sigma| */
  WEIR_ESTIMATE_BIASED,    /* the same, times |bias| */
  WEIR_ESTIMATE_HEAVY      /* the same, but some calls use up to ten times what was foreseen */
};

/* Shares are thousandths ("pm"). */
struct weir_scenario_stream {
  char name[WEIR_SCENARIO_NAME_SIZE];
  enum weir_stream_kind kind;
  uint64_t calls, workers;       /* backlog; workers over all instances */
  weir_duration start_us;        /* of the stream */
  weir_duration deadline_us;     /* of a call, from when it is wanted; 0: none */
  weir_duration duration_us;     /* poisson, bursty */
  uint64_t load_pm;              /* of the quota, on average */
  uint64_t bursts, burst_pm;     /* how many, and their share of the calls */
  uint64_t hot_pm, hot_calls_pm; /* this share of the instances gets that share of the calls */
  enum weir_class class;
  char tenant[WEIR_TENANT_SIZE];
  uint64_t weight; /* of the tenant */
  enum weir_token_kind tokens;
  uint64_t token_min, token_max, token_alpha_pm;
  enum weir_estimate_kind estimate;
  uint64_t estimate_sigma_pm, estimate_bias_pm, estimate_tail_pm;
};

struct weir_scenario_workload {
  char name[WEIR_SCENARIO_NAME_SIZE];
  bool has_streams; /* they were written as a list: rows tell of each */
  uint32_t streams_count;
  struct weir_scenario_stream streams[WEIR_SCENARIO_STREAMS_MAX];
};

struct weir_scenario_crash {
  uint64_t instance;
  weir_duration at_us, down_us;
};

enum weir_fault_answer {
  WEIR_FAULT_OVERLOADED,   /* 503 */
  WEIR_FAULT_SERVER_ERROR, /* 500; the call is counted */
  WEIR_FAULT_NETWORK,      /* the connection breaks */
  WEIR_FAULT_CAPACITY      /* 429 that names no quota */
};

/* The first provider fails for a time. */
struct weir_scenario_fault {
  weir_duration from_us, to_us;
  enum weir_fault_answer answer;
  uint64_t share_pm;        /* of the requests that come meanwhile */
  weir_duration latency_us; /* of the answer; 0: as of other failures */
};

/* What every row that fits the filter has to hold. */
struct weir_scenario_expect {
  uint32_t line;                                                           /* in the file */
  enum weir_scheme scheme;                                                 /* NONE: any */
  enum weir_up_method method;                                              /* 0: any */
  uint64_t instances;                                                      /* 0: any */
  char workload[WEIR_SCENARIO_NAME_SIZE], limits[WEIR_SCENARIO_NAME_SIZE]; /* "": any */
  char stream[WEIR_SCENARIO_NAME_SIZE];  /* of the workload; "": the run as a whole */
  char against[WEIR_SCENARIO_NAME_SIZE]; /* the workload that wait_p99_ratio is judged against */
  bool has_rejected, has_rejected_min, has_rejected_share, has_failed, has_utilisation;
  bool has_wait_p99, has_wait_ratio, has_share, has_fairness, has_left;
  bool has_probes, has_bin_ratio, has_retry_share, has_overrun, has_recovery, has_moved;
  bool has_done_share, has_ramp_span;
  uint64_t rejected_max, rejected_min, rejected_share_max_pm, failed_max, utilisation_min_pm;
  uint64_t wait_ratio_max_pm, share_min_pm, fairness_min_pm, left_min_pm;
  uint64_t probes, bin_ratio_max_pm, retry_share_max_pm, done_share_min_pm;
  weir_duration wait_p99_max_us, overrun_max_us, recovery_max_us, moved_max_us;
  weir_duration ramp_span_max_us;
};

struct weir_scenario {
  uint64_t seed;
  uint32_t schemes_count, methods_count, fleets_count, sets_count, workloads_count;
  uint32_t crashes_count, faults_count, expects_count;
  enum weir_scheme schemes[WEIR_SCHEME_MAX];
  enum weir_up_method methods[WEIR_UP_METHOD_MAX];
  uint32_t fleets[WEIR_SCENARIO_FLEETS_MAX]; /* numbers of instances */
  struct weir_scenario_set sets[WEIR_SCENARIO_SETS_MAX];
  struct weir_scenario_workload workloads[WEIR_SCENARIO_WORKLOADS_MAX];
  struct weir_scenario_crash crashes[WEIR_SCENARIO_CRASHES_MAX];
  struct weir_scenario_fault faults[WEIR_SCENARIO_FAULTS_MAX];
  struct weir_scenario_expect expects[WEIR_SCENARIO_EXPECTS_MAX];
  struct weir_scenario_set fallback; /* of a second provider; without limits there is none */
  uint64_t retries;                  /* after a 429, of every scheme */
  bool is_errors_retried;            /* and after every other failure */
  weir_duration retry_first_us, retry_most_us; /* weir: bounds of its backoff */
  weir_duration drain_us;                      /* a run ends so long after the last call was made */

  /* the provider */
  uint64_t burst_pm; /* of the amount: what a bucket holds */
  bool is_rejected_counted;
  weir_duration delay_min_us, delay_spread_us; /* from an instance to its meters */
  weir_duration latency_median_us, latency_max_us;
  uint64_t latency_sigma_pm;
  uint64_t failing_uncharged_pm, failing_charged_pm;
  struct weir_slope_rule slope; /* without |least| use may grow at will */

  /* between instance and coordinator, or whatever the scheme asks */
  weir_duration hop_min_us, hop_max_us;

  /* what weir is told */
  weir_duration lease_ttl_us, jitter_us;
  weir_duration write_delay_us; /* a granted call is written within this */
  uint64_t estimate_error_pm, reserve_pm, batch_floor_pm, assumed_burst_pm;
  weir_duration heartbeat_us, session_ttl_us, ask_wait_us;
  struct weir_breaker_config breaker;
  uint64_t breaker_retries_pm;
  uint64_t ramp_pm; /* the pool's ramp */
  weir_duration ramp_per_us;

  /* somebody else's traffic: a share of every limit */
  uint64_t foreign_pm;
  weir_duration foreign_from_us, foreign_until_us;
};

/* weir_scenario_load reads the file |path| and gives what it says in |ret_scenario|, to be freed by
 * weir_scenario_free. |ret_issues| is always filled. WEIR_ECONFIG when there is at least one error,
 * WEIR_ENOMEM. */
WEIR_MUSTUSE enum weir_err weir_scenario_load(const char *path, struct weir_scenario **ret_scenario,
                                              struct weir_conf_issues *ret_issues);

/* weir_scenario_parse does the same with the |size| bytes of a file. */
WEIR_MUSTUSE enum weir_err weir_scenario_parse(const char *bytes, size_t size,
                                               struct weir_scenario **ret_scenario,
                                               struct weir_conf_issues *ret_issues);

/* weir_scenario_free frees |s|; NULL is allowed. */
void weir_scenario_free(struct weir_scenario *s);

/* weir_scenario_keys returns the table of all keys of a file and its length. Static storage. */
const struct weir_conf_key *weir_scenario_keys(size_t *ret_count);

/* weir_scheme_name and weir_scheme_parse give the words of the schemes; _parse returns
 * WEIR_SCHEME_NONE for others. */
const char *weir_scheme_name(enum weir_scheme scheme);
enum weir_scheme weir_scheme_parse(const char *text);

/* weir_scheme_is_weir tells whether |scheme| runs weir's own machines. */
static inline bool weir_scheme_is_weir(enum weir_scheme scheme)
{
  return scheme >= WEIR_SCHEME_WEIR_WINDOW;
}

#endif
