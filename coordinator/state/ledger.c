#include <weir/ledger.h>

#include <assert.h>
#include <string.h>

/* A take lies at most one horizon ahead and its arrival one hold later. */
#define RING_AHEAD_US (WEIR_HOLD_MAX_US + WEIR_US_PER_S)

__extension__ typedef unsigned __int128 wide;

static weir_duration hold_of(const struct weir_pool_config *config)
{
  weir_duration hold = config->ttl_us + config->jitter_us;

  assert(hold <= WEIR_HOLD_MAX_US);
  return hold;
}

static void limit_open(struct weir_ledger *l, struct weir_ledger_limit *limit, uint64_t *slots,
                       const struct weir_limit_config *config, weir_tstamp now)
{
  limit->config = *config;
  limit->born_number = l->number_next;
  limit->closed_until = 0;
  weir_ring_init(&limit->ring, slots, config->window_us, RING_AHEAD_US, now);
}

/* Closes |limit| until leases that started by |until| can no longer be in its window, however long
 * they were held. */
static void limit_close(struct weir_ledger_limit *limit, weir_tstamp until)
{
  const weir_duration window = limit->config.window_us;
  const weir_tstamp over_at = until + WEIR_HOLD_MAX_US + window;

  if (window <= WEIR_LEDGER_ASSUME_MAX && over_at > limit->closed_until)
    limit->closed_until = over_at;
}

void weir_ledger_init(struct weir_ledger *l, uint64_t *slots, const struct weir_pool_config *config,
                      weir_tstamp now)
{
  memset(l, 0, sizeof(*l));
  l->limits_count = config->limits_count;
  l->hold_us = hold_of(config);
  /* Rings of limits not in use keep their slots too: a reload may bring limits into use. */
  for (uint32_t i = 0; i < WEIR_LIMITS_MAX; i++)
    l->limits[i].ring.slots = slots + (size_t)i * WEIR_RING_SLOTS;
  for (uint32_t i = 0; i < config->limits_count; i++)
    limit_open(l, &l->limits[i], l->limits[i].ring.slots, &config->limits[i], now);
}

static bool is_same(const struct weir_limit_config *a, const struct weir_limit_config *b)
{
  return a->dimension == b->dimension && a->window_us == b->window_us;
}

static void swap(struct weir_ledger *l, uint32_t a, uint32_t b)
{
  struct weir_ledger_limit kept = l->limits[a];

  l->limits[a] = l->limits[b];
  l->limits[b] = kept;
}

/* The place at or behind |from| of the limit that |wanted| means; limits_count if there is none. */
static uint32_t limit_find(const struct weir_ledger *l, uint32_t from,
                           const struct weir_limit_config *wanted)
{
  while (from < l->limits_count && !is_same(&l->limits[from].config, wanted))
    from++;
  return from;
}

static bool is_wanted(const struct weir_pool_config *config, const struct weir_limit_config *limit)
{
  for (uint32_t i = 0; i < config->limits_count; i++) {
    if (is_same(&config->limits[i], limit))
      return true;
  }
  return false;
}

/* The place at or behind |from| of a limit that |config| does not want, or a new place behind all.
 * There always is one: those wanted and the new one are at most WEIR_LIMITS_MAX together. */
static uint32_t limit_place(struct weir_ledger *l, uint32_t from,
                            const struct weir_pool_config *config)
{
  while (from < l->limits_count && is_wanted(config, &l->limits[from].config))
    from++;
  if (from == l->limits_count)
    l->limits_count++;
  assert(l->limits_count <= WEIR_LIMITS_MAX);
  return from;
}

void weir_ledger_configure(struct weir_ledger *l, const struct weir_pool_config *config,
                           weir_tstamp now)
{
  const weir_tstamp started = now > l->start_last ? now : l->start_last;

  l->hold_us = hold_of(config);
  for (uint32_t i = 0; i < config->limits_count; i++) {
    const struct weir_limit_config *wanted = &config->limits[i];
    uint32_t found = limit_find(l, i, wanted);

    if (found < l->limits_count) {
      swap(l, i, found);
      l->limits[i].config.amount = wanted->amount;
    } else {
      swap(l, i, limit_place(l, i, config));
      limit_open(l, &l->limits[i], l->limits[i].ring.slots, wanted, now);
      limit_close(&l->limits[i], started);
    }
  }
  l->limits_count = config->limits_count;
}

void weir_ledger_assume_spent(struct weir_ledger *l, weir_tstamp until)
{
  for (uint32_t i = 0; i < l->limits_count; i++)
    limit_close(&l->limits[i], until);
}

uint64_t weir_ledger_used(struct weir_ledger *l, uint32_t index, weir_tstamp now)
{
  struct weir_ledger_limit *limit = &l->limits[index];

  weir_ring_advance(&limit->ring, now);
  if (now < limit->closed_until && limit->ring.used < limit->config.amount)
    return limit->config.amount;
  return limit->ring.used;
}

uint64_t weir_ledger_cost_of(const struct weir_cost *cost, enum weir_dimension dimension)
{
  switch (dimension) {
  case WEIR_DIMENSION_REQUESTS:
    return cost->requests;
  case WEIR_DIMENSION_INPUT_TOKENS:
    return cost->input_tokens;
  case WEIR_DIMENSION_OUTPUT_TOKENS:
    return cost->output_tokens;
  case WEIR_DIMENSION_TOTAL_TOKENS:
    return cost->input_tokens + cost->output_tokens;
  case WEIR_DIMENSION_SPEND:
  case WEIR_DIMENSION_IN_FLIGHT:
  case WEIR_DIMENSION_MAX:
    break;
  }
  assert(false);
  return 0;
}

int weir_ledger_misfit(const struct weir_ledger *l, const struct weir_cost *cost)
{
  for (uint32_t i = 0; i < l->limits_count; i++) {
    if (weir_ledger_cost_of(cost, l->limits[i].config.dimension) > l->limits[i].config.amount)
      return (int)i;
  }
  return -1;
}

weir_tstamp weir_ledger_earliest(struct weir_ledger *l, const struct weir_cost *cost,
                                 weir_tstamp from, weir_tstamp now, int *ret_binding)
{
  struct weir_cost nothing = {0};

  return weir_ledger_eta(l, &nothing, cost, from, now, ret_binding);
}

weir_tstamp weir_ledger_eta(struct weir_ledger *l, const struct weir_cost *ahead,
                            const struct weir_cost *cost, weir_tstamp from, weir_tstamp now,
                            int *ret_binding)
{
  weir_tstamp earliest = from > l->start_last ? from : l->start_last;
  int binding = weir_ledger_misfit(l, cost);

  if (binding >= 0) {
    if (ret_binding)
      *ret_binding = binding;
    return WEIR_NEVER;
  }
  for (uint32_t i = 0; i < l->limits_count; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];
    const uint64_t amount = limit->config.amount;
    uint64_t total = weir_ledger_cost_of(ahead, limit->config.dimension) +
                     weir_ledger_cost_of(cost, limit->config.dimension);
    uint64_t windows = total > 0 ? (total - 1) / amount : 0;
    weir_tstamp at;

    /* What charges are left falls with time only, so one pass over the limits finds the answer. */
    weir_ring_advance(&limit->ring, now);
    at = limit->closed_until > from ? limit->closed_until : from;
    at = weir_ring_earliest(&limit->ring, amount - (total - windows * amount), at);
    if (windows > WEIR_DURATION_MAX / limit->config.window_us)
      at = weir_time_add(at, WEIR_DURATION_MAX);
    else
      at = weir_time_add(at, windows * limit->config.window_us);
    if (at > earliest) {
      earliest = at;
      binding = (int)i;
    }
  }
  if (ret_binding)
    *ret_binding = binding;
  return earliest;
}

void weir_ledger_take(struct weir_ledger *l, const struct weir_cost *cost, weir_tstamp start,
                      weir_tstamp now, struct weir_ledger_entry *ret_entry)
{
  assert(start >= now && start >= l->start_last);
  ret_entry->cost = *cost;
  ret_entry->number = l->number_next++;
  ret_entry->start = start;
  ret_entry->arrival_max = start + l->hold_us;
  l->start_last = start;
  for (uint32_t i = 0; i < l->limits_count; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];

    weir_ring_advance(&limit->ring, now);
    weir_ring_add(&limit->ring, ret_entry->arrival_max,
                  weir_ledger_cost_of(cost, limit->config.dimension));
  }
}

void weir_ledger_settle(struct weir_ledger *l, struct weir_ledger_entry *entry,
                        const struct weir_cost *actual, weir_tstamp arrival_max, weir_tstamp now)
{
  if (arrival_max < entry->start)
    arrival_max = entry->start;
  if (arrival_max > entry->arrival_max)
    arrival_max = entry->arrival_max;
  for (uint32_t i = 0; i < l->limits_count; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];
    const enum weir_dimension dimension = limit->config.dimension;

    if (entry->number < limit->born_number)
      continue;
    weir_ring_advance(&limit->ring, now);
    weir_ring_remove(&limit->ring, entry->arrival_max,
                     weir_ledger_cost_of(&entry->cost, dimension));
    weir_ring_add(&limit->ring, arrival_max, weir_ledger_cost_of(actual, dimension));
  }
  entry->cost = *actual;
  entry->arrival_max = arrival_max;
}

weir_duration weir_ledger_pace_us(const struct weir_ledger *l, const struct weir_cost *cost)
{
  weir_duration longest = 1; /* the smallest cost still takes its turn */

  for (uint32_t i = 0; i < l->limits_count; i++) {
    const struct weir_limit_config *limit = &l->limits[i].config;
    wide pace =
        (wide)weir_ledger_cost_of(cost, limit->dimension) * limit->window_us / limit->amount;

    if (pace > longest)
      longest = pace < WEIR_WINDOW_MAX_US ? (weir_duration)pace : WEIR_WINDOW_MAX_US;
  }
  return longest;
}

void weir_ledger_check(const struct weir_ledger *l)
{
  for (uint32_t i = 0; i < l->limits_count; i++)
    weir_ring_check(&l->limits[i].ring);
}
