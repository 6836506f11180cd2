/* config.h - the coordinator's configuration as plain numbers, after the file was checked.
 *
 * The shell reads YAML, resolves units and names, and hands these structs over; the machine copies
 * what it keeps.
 */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/msg.h>
#include <weir/time.h>
#include <weir/vocab.h>

#define WEIR_WINDOW_MIN_US WEIR_US_PER_S
#define WEIR_WINDOW_MAX_US (UINT64_C(31) * 25 * WEIR_US_PER_HOUR)
#define WEIR_LIMIT_MAX     (UINT64_C(1) << 48)
#define WEIR_HOLD_MAX_US   (10 * WEIR_US_PER_S) /* ttl + jitter of a pool */

#define WEIR_FLOOR_MAX_PM 900

/* A calendar day lasts up to 25 hours. Until the machine has heard of wall time (weir_wall), a
 * day's limit is a sliding window of that length: it holds every day, whatever the time zone. */
#define WEIR_DAY_WINDOW_US (25 * WEIR_US_PER_HOUR)

#define WEIR_ZONES_MAX      8 /* time zones whose days limits follow */
#define WEIR_ZONE_STARTS    4 /* days ahead that the machine is told */
#define WEIR_POOL_BUDGETS   2 /* shared budgets of one pool */
#define WEIR_WEIGHT_MAX     1000
#define WEIR_PRICE_MAX      (UINT64_C(1) << 40) /* millionths of a currency for 10^6 tokens */
#define WEIR_BUDGET_NONE    UINT32_MAX
#define WEIR_POOL_ANY       UINT32_MAX
#define WEIR_SUB_DEFAULT_US WEIR_US_PER_S
#define WEIR_ERROR_MAX_PM   1000
#define WEIR_PROBES_MAX     16
#define WEIR_RETRIES_MAX_PM 1000

#define WEIR_ISLAND_PLACES_MAX   64
#define WEIR_ISLAND_SHARE_MAX_PM 500

struct weir_limit_config {
  enum weir_dimension dimension;
  weir_duration window_us; /* WEIR_WINDOW_MIN_US .. WEIR_WINDOW_MAX_US; a day: WEIR_DAY_WINDOW_US;
                              IN_FLIGHT: 0 */
  uint64_t amount;         /* 1 .. WEIR_LIMIT_MAX in every window */
  uint64_t burst;          /* what the provider's bucket holds; 0: a twentieth of |amount| */
  uint32_t zone;           /* is_day: whose midnight, an index into the zones of weir_wall */
  uint64_t zone_id; /* is_day: names the zone whatever its index, so that a reload knows it */
  bool is_day;      /* a calendar day of |zone| */
  bool is_shadow;   /* counted and shown, not enforced */
  bool is_prepaid;  /* the provider charges the estimate: settling gives nothing back */
  uint64_t islands; /* beside |amount|: the provider's limit is both. 0 in a configuration, the
                       machine fills it in */
};

/* How strictly a ledger keeps its limits. */
struct weir_rules_config {
  enum weir_profile profile;
  bool is_fixed;        /* never fall back to UNIVERSAL by itself */
  weir_duration sub_us; /* PACED: length of the provider's sub-windows; 0: a second */
  uint32_t error_pm;    /* estimate error known at the start, thousandths (one sigma) */
  /* Once upstream said that use grew too fast (ramp.h): thousandths of what is in use by which it
   * may grow in every |ramp_per_us| (> 0); 0: nothing but the freeze follows. */
  uint32_t ramp_pm;
  weir_duration ramp_per_us;
};

/* When a pool's calls are held back because upstream fails. All durations are above 0 where it is
 * on. */
struct weir_breaker_config {
  bool is_on;
  uint32_t failures_pm; /* thousandths of the calls that fail: so many open it, */
  uint32_t calls_min;   /* when at least so many calls ended in the window */
  uint32_t probes;      /* 1 .. WEIR_PROBES_MAX of one half-open period */
  weir_duration window_us;
  weir_duration open_us, open_max_us; /* the first opening, and the longest of several in a row */
  weir_duration probe_timeout_us;     /* from a probe's start: nothing heard by then is a failure */
  weir_duration ramp_us;              /* from the first calls to all of the quota */
};

/* What instances may use while they do not reach the coordinator. Not in pools with shared budgets
 * or calls in flight. */
struct weir_island_config {
  uint32_t share_pm;    /* thousandths of every limit, kept back for all of them; 0: nothing */
  uint32_t places;      /* instances that get an equal part of it, the first that use the pool */
  weir_duration for_us; /* how long after they were told last */
};

/* What every call asks for stands first. */
struct weir_pool_config {
  uint32_t limits_count;
  uint32_t batch_floor_pm; /* thousandths of the quota that batch gets even beside online work */
  weir_duration ttl_us;    /* a lease must be used within this after its start */
  weir_duration jitter_us; /* spread of the delay between a shim's write and the provider's count */
  uint32_t retries_pm; /* new attempts that each first one earns, thousandths; 0: there are none */
  uint32_t budgets_count;
  uint32_t budgets[WEIR_POOL_BUDGETS]; /* shared budgets that its calls spend, too */
  uint64_t price_input, price_output;  /* millionths of a currency for 10^6 tokens; for SPEND */
  struct weir_island_config island;
  enum weir_without without; /* what becomes of other calls meanwhile; 0: they wait */
  char name[WEIR_POOL_NAME_SIZE];
  struct weir_rules_config rules;
  struct weir_limit_config limits[WEIR_LIMITS_MAX]; /* no two of the same dimension and window */
  struct weir_breaker_config breaker;
};

/* Limits over several pools (a project), or of one tenant. */
struct weir_budget_config {
  char name[WEIR_POOL_NAME_SIZE]; /* unique among budgets */
  uint32_t limits_count;
  struct weir_limit_config limits[WEIR_LIMITS_MAX];
  struct weir_rules_config rules;
};

/* What a tenant gets in a pool. Tenants that are not configured have weight 1 and no budget. */
struct weir_tenant_config {
  char name[WEIR_TENANT_SIZE];
  uint32_t pool;   /* index, or WEIR_POOL_ANY; the entry with a pool goes before the one without */
  uint32_t weight; /* 1 .. WEIR_WEIGHT_MAX: share beside other tenants of its class */
  uint32_t budget; /* index, or WEIR_BUDGET_NONE */
};

/* One name under which asks reach a pool: the pool's own, "provider/model", or a route. */
struct weir_name_config {
  char name[WEIR_NAME_SIZE];
  char model[WEIR_NAME_SIZE]; /* "provider/model" that the shim is to call */
  uint32_t pool;              /* index into pools */
};

/* By what a route prefers one of its models to another, among those that can start soon. */
enum weir_route_policy {
  WEIR_ROUTE_ORDER = 0, /* as they stand */
  WEIR_ROUTE_FASTEST,   /* the one whose good calls took least lately */
  WEIR_ROUTE_CHEAPEST   /* the one whose price of this call is least */
};

/* The models behind a name, best first. */
struct weir_route_config {
  uint32_t name; /* index into names: of the route itself, which has its first choice's model */
  enum weir_route_policy policy;
  weir_duration patience_us; /* "soon": what waits no longer than this is waited for */
  weir_duration timeout_us[WEIR_CLASS_MAX]; /* of a transfer, by class; 0: not told. [0] unused */
  uint32_t choices_count;                   /* 1 .. WEIR_CHOICES_MAX */
  uint32_t choices[WEIR_CHOICES_MAX];       /* indices into names: each once, none a route */
};

struct weir_coord_config {
  uint32_t pools_count, names_count, budgets_count, tenants_count, routes_count;
  const struct weir_pool_config *pools;   /* names are unique */
  const struct weir_name_config *names;   /* names are unique */
  const struct weir_route_config *routes; /* no two of the same name */
  const struct weir_budget_config *budgets;
  const struct weir_tenant_config *tenants; /* no two of the same name and pool */
  weir_duration heartbeat_us;               /* between messages of a live shim */
  weir_duration session_ttl_us;             /* silence that ends a session; > heartbeat_us */
  uint32_t asks_max;                        /* asks a session may have waiting */
};

/* Sizes of all tables: storage is asked for once, at the start. */
struct weir_coord_bounds {
  uint32_t pools_max, names_max, sessions_max, asks_max, leases_max;
  uint32_t routes_max;
  uint32_t budgets_max; /* shared ones and those of tenants */
  uint32_t tenants_max; /* that wait or are remembered at a time, each in each pool and class */
};

/* When days begin in one time zone. */
struct weir_zone_days {
  uint64_t number;                      /* of the day that begins at starts_us[0]; grows by one */
  uint64_t starts_us[WEIR_ZONE_STARTS]; /* microseconds since 1970, growing: the day that it is,
                                           and those that follow */
};

/* What the wall clock says: only calendar days need it, and no budget trusts it further than the
 * monotonic clock allows (calendar.h). */
struct weir_wall {
  uint64_t now_us; /* microseconds since 1970 */
  uint32_t zones_count;
  struct weir_zone_days zones[WEIR_ZONES_MAX];
};

#endif
