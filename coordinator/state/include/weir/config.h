/* config.h - the coordinator's configuration as plain numbers, after the file was checked.
 *
 * The shell reads YAML, resolves units and names, and hands these structs over; the machine copies
 * what it keeps.
 */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include <stdint.h>

#include <weir/msg.h>
#include <weir/time.h>
#include <weir/vocab.h>

#define WEIR_WINDOW_MIN_US WEIR_US_PER_S
#define WEIR_WINDOW_MAX_US (UINT64_C(31) * 25 * WEIR_US_PER_HOUR)
#define WEIR_LIMIT_MAX     (UINT64_C(1) << 48)
#define WEIR_HOLD_MAX_US   (10 * WEIR_US_PER_S) /* ttl + jitter of a pool */

#define WEIR_FLOOR_MAX_PM 900

/* A calendar day lasts up to 25 hours; a sliding window of that length holds every day, whatever
 * the time zone. */
#define WEIR_DAY_WINDOW_US (25 * WEIR_US_PER_HOUR)

struct weir_limit_config {
  enum weir_dimension dimension;
  weir_duration window_us; /* WEIR_WINDOW_MIN_US .. WEIR_WINDOW_MAX_US */
  uint64_t amount;         /* 1 .. WEIR_LIMIT_MAX in every window */
};

struct weir_pool_config {
  char name[WEIR_POOL_NAME_SIZE];
  uint32_t limits_count;
  struct weir_limit_config limits[WEIR_LIMITS_MAX]; /* no two of the same dimension and window */
  weir_duration ttl_us;    /* a lease must be used within this after its start */
  weir_duration jitter_us; /* spread of the delay between a shim's write and the provider's count */
  uint32_t batch_floor_pm; /* thousandths of the quota that batch gets even beside online work */
};

/* One name under which asks reach a pool: the pool's own, "provider/model", or a route. */
struct weir_name_config {
  char name[WEIR_NAME_SIZE];
  char model[WEIR_NAME_SIZE]; /* "provider/model" that the shim is to call */
  uint32_t pool;              /* index into pools */
};

struct weir_coord_config {
  uint32_t pools_count, names_count;
  const struct weir_pool_config *pools; /* names are unique */
  const struct weir_name_config *names; /* names are unique */
  weir_duration heartbeat_us;           /* between messages of a live shim */
  weir_duration session_ttl_us;         /* silence that ends a session; > heartbeat_us */
  uint32_t asks_max;                    /* asks a session may have waiting */
};

/* Sizes of all tables: storage is asked for once, at the start. */
struct weir_coord_bounds {
  uint32_t pools_max, names_max, sessions_max, asks_max, leases_max;
};

#endif
