#include "limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Token-microseconds of a daily token limit do not fit 64 bits. */
__extension__ typedef __int128 wide;

#define PEAK_WINDOW_MAX_US UINT64_C(600000000)
#define SUB_US_DEFAULT     UINT64_C(1000000)

struct entry {
  uint64_t at_us;
  bool is_admitted;
  struct weir_up_cost cost;
};

struct gauge {
  struct weir_up_limit limit;
  uint64_t length_us, amount; /* of the windows that are counted: sub-windows have their own */
  uint64_t window;            /* number of the window at hand */
  uint64_t used, used_before; /* in it, and in the one before */
  wide level;                 /* bucket: units times window_us; below 0 after a charge too large */
  uint64_t filled_us;         /* when level was brought up to date */
  bool is_logged;
  uint64_t tail; /* first log entry that still counts */
  uint64_t charged, admitted, peak;
};

struct weir_up_meter {
  uint32_t count;
  bool is_rejected_counted;
  struct gauge gauges[WEIR_UP_LIMITS_MAX];
  /* The log: entries [base, end), entry e at log[e % capacity]. */
  struct entry *log;
  uint64_t base, end, capacity;
};

static const char *const method_names[WEIR_UP_METHOD_MAX] = {"?",       "fixed",  "log",
                                                             "counter", "bucket", "sub1s"};

const char *weir_up_method_name(enum weir_up_method method)
{
  return method_names[method];
}

enum weir_up_method weir_up_method_parse(const char *text)
{
  for (int i = 1; i < WEIR_UP_METHOD_MAX; i++)
    if (strcmp(text, method_names[i]) == 0)
      return (enum weir_up_method)i;
  return (enum weir_up_method)0;
}

const char *weir_up_dimension_name(enum weir_up_dimension dimension)
{
  static const char *const names[WEIR_UP_DIMENSION_MAX] = {"?", "requests", "input_tokens",
                                                           "output_tokens", "total_tokens"};
  return names[dimension];
}

/* --- the log ------------------------------------------------------------------------------- */

static struct entry *entry_at(struct weir_up_meter *m, uint64_t number)
{
  assert(m->base <= number && number < m->base + m->capacity);
  return &m->log[number % m->capacity];
}

static bool log_grow(struct weir_up_meter *m)
{
  uint64_t capacity = m->capacity == 0 ? 64 : m->capacity * 2;
  struct entry *log = malloc(capacity * sizeof *log);
  if (log == NULL)
    return false;
  for (uint64_t e = m->base; e < m->end; e++)
    log[e % capacity] = *entry_at(m, e);
  free(m->log);
  m->log = log;
  m->capacity = capacity;
  return true;
}

static void log_add(struct weir_up_meter *m, uint64_t now_us, const struct weir_up_cost *cost,
                    bool is_admitted)
{
  if (m->end - m->base == m->capacity && !log_grow(m)) {
    /* A judge that has lost evidence must not go on as if it had not. */
    abort();
  }
  *entry_at(m, m->end++) =
      (struct entry){.at_us = now_us, .is_admitted = is_admitted, .cost = *cost};
}

/* Lets go of what is older than each limit's window. */
static void log_expire(struct weir_up_meter *m, uint64_t now_us)
{
  uint64_t base = m->end;
  for (uint32_t i = 0; i < m->count; i++) {
    struct gauge *g = &m->gauges[i];
    if (!g->is_logged)
      continue;
    for (; g->tail < m->end; g->tail++) {
      const struct entry *e = entry_at(m, g->tail);
      if (now_us - e->at_us < g->limit.window_us)
        break;
      uint64_t units = e->cost.units[g->limit.dimension];
      g->charged -= units;
      g->admitted -= e->is_admitted ? units : 0;
    }
    base = g->tail < base ? g->tail : base;
  }
  m->base = base;
}

/* --- one limit ----------------------------------------------------------------------------- */

static uint64_t burst_of(const struct weir_up_limit *limit)
{
  return limit->burst > 0 ? limit->burst : limit->amount;
}

/* The length of a sub-window: the least multiple of |sub_us| in which one unit fits. */
static uint64_t sub_length_us(const struct weir_up_limit *limit)
{
  uint64_t sub_us = limit->sub_us > 0 ? limit->sub_us : SUB_US_DEFAULT;
  if (limit->amount == 0)
    return sub_us;
  uint64_t one_us = (limit->window_us + limit->amount - 1) / limit->amount;
  return (one_us + sub_us - 1) / sub_us * sub_us;
}

static void gauge_init(struct gauge *g, const struct weir_up_limit *limit, uint64_t now_us)
{
  assert(limit->window_us > 0 && limit->phase_us < limit->window_us);
  *g = (struct gauge){.limit = *limit, .length_us = limit->window_us, .amount = limit->amount};
  if (limit->method == WEIR_UP_SUB) {
    g->length_us = sub_length_us(limit);
    g->amount = (uint64_t)((wide)limit->amount * (wide)g->length_us / (wide)limit->window_us);
  }
  g->level = (wide)burst_of(limit) * (wide)limit->window_us;
  g->filled_us = now_us;
  g->is_logged = limit->method == WEIR_UP_LOG || limit->window_us <= PEAK_WINDOW_MAX_US;
}

static uint64_t elapsed_us(const struct gauge *g, uint64_t now_us)
{
  return (now_us - g->limit.phase_us) % g->length_us;
}

/* Brings the counts up to |now_us|. */
static void gauge_turn(struct gauge *g, uint64_t now_us)
{
  uint64_t window = (now_us - g->limit.phase_us) / g->length_us;
  if (window != g->window) {
    g->used_before = window == g->window + 1 ? g->used : 0;
    g->used = 0;
    g->window = window;
  }
  wide full = (wide)burst_of(&g->limit) * (wide)g->limit.window_us;
  g->level += (wide)(now_us - g->filled_us) * (wide)g->limit.amount;
  g->level = g->level < full ? g->level : full;
  g->filled_us = now_us;
}

/* The counter's use, in units times window_us. */
static wide counter_used(const struct gauge *g, uint64_t now_us)
{
  return (wide)g->used * (wide)g->length_us +
         (wide)g->used_before * (wide)(g->length_us - elapsed_us(g, now_us));
}

static bool gauge_fits(const struct gauge *g, uint64_t now_us, uint64_t units)
{
  if (g->limit.amount == 0)
    return false;
  switch (g->limit.method) {
  case WEIR_UP_FIXED:
  case WEIR_UP_SUB:
    return units <= g->amount && g->used <= g->amount - units;
  case WEIR_UP_LOG:
    return units <= g->amount && g->charged <= g->amount - units;
  case WEIR_UP_COUNTER:
    return counter_used(g, now_us) + (wide)units * (wide)g->length_us <=
           (wide)g->amount * (wide)g->length_us;
  case WEIR_UP_BUCKET:
    return g->level >= (wide)units * (wide)g->limit.window_us;
  case WEIR_UP_METHOD_MAX:
    break;
  }
  assert(false);
  return false;
}

/* |is_clamped|: a bucket gives what it has, and owes nothing. */
static void gauge_take(struct gauge *g, uint64_t units, bool is_admitted, bool is_clamped)
{
  g->used += units;
  g->level -= (wide)units * (wide)g->limit.window_us;
  if (is_clamped && g->level < 0)
    g->level = 0;
  if (g->is_logged) {
    g->charged += units;
    g->admitted += is_admitted ? units : 0;
    g->peak = g->admitted > g->peak ? g->admitted : g->peak;
  } else if (is_admitted && g->used > g->peak) {
    g->peak = g->used;
  }
}

/* --- the meter ----------------------------------------------------------------------------- */

struct weir_up_meter *weir_up_meter_new(const struct weir_up_limit *limits, uint32_t count,
                                        bool is_rejected_counted, uint64_t now_us)
{
  assert(count <= WEIR_UP_LIMITS_MAX);
  struct weir_up_meter *m = calloc(1, sizeof *m);
  if (m == NULL)
    return NULL;
  m->count = count;
  m->is_rejected_counted = is_rejected_counted;
  for (uint32_t i = 0; i < count; i++)
    gauge_init(&m->gauges[i], &limits[i], now_us);
  return m;
}

void weir_up_meter_free(struct weir_up_meter *m)
{
  if (m == NULL)
    return;
  free(m->log);
  free(m);
}

static void turn(struct weir_up_meter *m, uint64_t now_us)
{
  log_expire(m, now_us);
  for (uint32_t i = 0; i < m->count; i++)
    gauge_turn(&m->gauges[i], now_us);
}

static void take(struct weir_up_meter *m, uint64_t now_us, const struct weir_up_cost *cost,
                 bool is_admitted, bool is_clamped)
{
  bool is_logged = false;
  for (uint32_t i = 0; i < m->count; i++) {
    struct gauge *g = &m->gauges[i];
    gauge_take(g, cost->units[g->limit.dimension], is_admitted, is_clamped);
    is_logged = is_logged || g->is_logged;
  }
  if (is_logged)
    log_add(m, now_us, cost, is_admitted);
}

uint32_t weir_up_meter_admit(struct weir_up_meter *m, uint64_t now_us,
                             const struct weir_up_cost *cost)
{
  uint32_t rejected = 0;
  turn(m, now_us);
  for (uint32_t i = 0; i < m->count; i++) {
    const struct gauge *g = &m->gauges[i];
    uint64_t units = cost->units[g->limit.dimension];
    /* Output is charged while it is made: to begin, there must be room for some. */
    if (g->limit.dimension == WEIR_UP_OUTPUT && units == 0)
      units = 1;
    if (!gauge_fits(g, now_us, units))
      rejected |= UINT32_C(1) << i;
  }
  if (rejected == 0) {
    take(m, now_us, cost, true, false);
  } else if (m->is_rejected_counted) {
    struct weir_up_cost requests = {.units = {[WEIR_UP_REQUESTS] = cost->units[WEIR_UP_REQUESTS]}};
    take(m, now_us, &requests, false, true);
  }
  return rejected;
}

void weir_up_meter_charge(struct weir_up_meter *m, uint64_t now_us, const struct weir_up_cost *cost)
{
  turn(m, now_us);
  take(m, now_us, cost, true, false);
}

uint32_t weir_up_meter_count(const struct weir_up_meter *m)
{
  return m->count;
}

const struct weir_up_limit *weir_up_meter_limit(const struct weir_up_meter *m, uint32_t i)
{
  assert(i < m->count);
  return &m->gauges[i].limit;
}

uint64_t weir_up_meter_peak(const struct weir_up_meter *m, uint32_t i)
{
  assert(i < m->count);
  return m->gauges[i].peak;
}

static uint64_t divide_up(wide a, wide b)
{
  return a <= 0 ? 0 : (uint64_t)((a + b - 1) / b);
}

uint64_t weir_up_meter_used(struct weir_up_meter *m, uint32_t i, uint64_t now_us)
{
  assert(i < m->count);
  turn(m, now_us);
  const struct gauge *g = &m->gauges[i];
  switch (g->limit.method) {
  case WEIR_UP_LOG:
    return g->charged;
  case WEIR_UP_COUNTER:
    return divide_up(counter_used(g, now_us), (wide)g->length_us);
  case WEIR_UP_BUCKET:
    return divide_up((wide)burst_of(&g->limit) * (wide)g->limit.window_us - g->level,
                     (wide)g->limit.window_us);
  case WEIR_UP_FIXED:
  case WEIR_UP_SUB:
  case WEIR_UP_METHOD_MAX:
    break;
  }
  return g->used;
}

uint64_t weir_up_meter_left(struct weir_up_meter *m, uint32_t i, uint64_t now_us)
{
  uint64_t used = weir_up_meter_used(m, i, now_us);
  const struct weir_up_limit *limit = &m->gauges[i].limit;
  uint64_t most = limit->method == WEIR_UP_BUCKET ? burst_of(limit) : limit->amount;
  return used < most ? most - used : 0;
}

/* --- waits --------------------------------------------------------------------------------- */

static uint64_t log_wait_us(struct weir_up_meter *m, const struct gauge *g, uint64_t now_us,
                            uint64_t units)
{
  uint64_t charged = g->charged;
  for (uint64_t e = g->tail; e < m->end; e++) {
    charged -= entry_at(m, e)->cost.units[g->limit.dimension];
    if (charged <= g->amount - units)
      return entry_at(m, e)->at_us + g->limit.window_us - now_us;
  }
  return 0;
}

/* Within this window only the weight of the one before falls; in the next, this one's. */
static uint64_t counter_wait_us(const struct gauge *g, uint64_t now_us, uint64_t units)
{
  uint64_t elapsed = elapsed_us(g, now_us), length = g->length_us;
  if (g->used + units <= g->amount && g->used_before > 0) {
    uint64_t room = g->amount - g->used - units;
    uint64_t weight = (uint64_t)((wide)room * (wide)length / (wide)g->used_before);
    return length - weight > elapsed ? length - weight - elapsed : 0;
  }
  uint64_t room = g->amount - units;
  uint64_t weight = (uint64_t)((wide)room * (wide)length / (wide)g->used);
  return length - elapsed + (weight < length ? length - weight : 0);
}

uint64_t weir_up_meter_wait_us(struct weir_up_meter *m, uint32_t i, uint64_t now_us, uint64_t units)
{
  assert(i < m->count);
  turn(m, now_us);
  const struct gauge *g = &m->gauges[i];
  bool is_bucket = g->limit.method == WEIR_UP_BUCKET;
  if (g->limit.amount == 0 || units > (is_bucket ? burst_of(&g->limit) : g->amount))
    return WEIR_UP_NEVER;
  if (gauge_fits(g, now_us, units))
    return 0;
  switch (g->limit.method) {
  case WEIR_UP_LOG:
    return log_wait_us(m, g, now_us, units);
  case WEIR_UP_COUNTER:
    return counter_wait_us(g, now_us, units);
  case WEIR_UP_BUCKET:
    return divide_up((wide)units * (wide)g->limit.window_us - g->level, (wide)g->limit.amount);
  case WEIR_UP_FIXED:
  case WEIR_UP_SUB:
  case WEIR_UP_METHOD_MAX:
    break;
  }
  return g->length_us - elapsed_us(g, now_us);
}

/* Until the last entry that weighs has left; others may be younger. */
static uint64_t log_reset_us(struct weir_up_meter *m, const struct gauge *g, uint64_t now_us)
{
  uint64_t last = m->end - 1;
  while (last > g->tail && entry_at(m, last)->cost.units[g->limit.dimension] == 0)
    last--;
  return entry_at(m, last)->at_us + g->limit.window_us - now_us;
}

uint64_t weir_up_meter_reset_us(struct weir_up_meter *m, uint32_t i, uint64_t now_us)
{
  if (weir_up_meter_used(m, i, now_us) == 0)
    return 0;
  const struct gauge *g = &m->gauges[i];
  uint64_t left_us = g->length_us - elapsed_us(g, now_us);
  switch (g->limit.method) {
  case WEIR_UP_LOG:
    return log_reset_us(m, g, now_us);
  case WEIR_UP_COUNTER:
    return g->used > 0 ? left_us + g->length_us : left_us;
  case WEIR_UP_BUCKET:
    return g->limit.amount == 0
               ? WEIR_UP_NEVER
               : divide_up((wide)burst_of(&g->limit) * (wide)g->limit.window_us - g->level,
                           (wide)g->limit.amount);
  case WEIR_UP_FIXED:
  case WEIR_UP_SUB:
  case WEIR_UP_METHOD_MAX:
    break;
  }
  return left_us;
}
