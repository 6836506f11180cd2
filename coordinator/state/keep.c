/* keep.c - what outlives this life: which ledgers are kept when, and who waits for that.
 *
 * Ledgers say how soon they want to be kept (kept.c). All that want it go into one generation of
 * records, and there is one under way at a time, so the busier the store, the more each holds.
 */
#include "machine.h"

#include <assert.h>
#include <string.h>

/* Between two generations, unless a grant waits. */
#define INTERVAL_US (200 * WEIR_US_PER_MS)

/* What only holds more than is true is written anew so much later; estimates so often at most. */
#define LEISURE_US   (2 * WEIR_US_PER_S)
#define ESTIMATES_US (10 * WEIR_US_PER_S)

/* Records of one pool or budget at most: its ledger's, its breaker's, its estimates. */
#define RECORDS_MAX (WEIR_LEDGER_RECORDS_MAX + 2)
static_assert(RECORDS_MAX <= WEIR_COORD_KEEP_MIN, "there is room for one");

/* Members of a ledger begin with this: one that nothing spends any more has none. */
#define MEMBERS UINT64_C(0x9e3779b97f4a7c14)

/* Numbers of records. */
enum { STATE, HELD, STREAK, OPEN_US, BREAKER_COUNT };
enum { SAMPLES, CALLS, RATIO, RATIO_END = RATIO + 7, BIAS = RATIO_END, BIAS_END = BIAS + 13 };
enum { LATENCIES = BIAS_END, LATENCIES_EACH = 4 };
enum { ESTIMATES_COUNT = LATENCIES + WEIR_LATENCY_BUCKETS / LATENCIES_EACH };
static_assert(ESTIMATES_COUNT <= WEIR_RECORD_NUMBERS_MAX, "a record holds a histogram");

/* ---- whom it is about ---- */

static uint32_t keeps_count(const struct weir_coord *c)
{
  return c->bounds.pools_max + c->bounds.budgets_max;
}

/* Pools come first, then budgets. */
static bool is_pool(const struct weir_coord *c, uint32_t index)
{
  return index < c->bounds.pools_max;
}

uint32_t weir_keep_index_of_budget(const struct weir_coord *c, uint32_t budget)
{
  return c->bounds.pools_max + budget;
}

static struct weir_budget *budget_of(struct weir_coord *c, uint32_t index)
{
  return &c->budgets[index - c->bounds.pools_max];
}

static struct weir_ledger *ledger_of(struct weir_coord *c, uint32_t index)
{
  return is_pool(c, index) ? &c->pools[index].ledger : &budget_of(c, index)->ledger;
}

static enum weir_pool_state state_of(struct weir_coord *c, uint32_t index)
{
  return is_pool(c, index) ? c->pools[index].state : budget_of(c, index)->state;
}

static void owner_name(struct weir_coord *c, uint32_t index, char owner[WEIR_RECORD_OWNER_SIZE])
{
  static const char pool[] = "pool ", budget[] = "budget ";

  static_assert(sizeof(budget) + WEIR_POOL_NAME_SIZE <= WEIR_RECORD_OWNER_SIZE, "names fit");
  memset(owner, 0, WEIR_RECORD_OWNER_SIZE);
  if (is_pool(c, index)) {
    memcpy(owner, pool, sizeof(pool));
    memcpy(owner + sizeof(pool) - 1, c->pools[index].config.name, WEIR_POOL_NAME_SIZE);
  } else {
    memcpy(owner, budget, sizeof(budget));
    memcpy(owner + sizeof(budget) - 1, budget_of(c, index)->config.name, WEIR_POOL_NAME_SIZE);
  }
}

/* ---- when ---- */

static void hurry(struct weir_coord *c, uint32_t index, enum weir_urge urge, weir_tstamp now)
{
  struct weir_keep *keep = &c->keeps[index];
  weir_tstamp at = now;

  if (urge <= keep->noted)
    return;
  if (urge == WEIR_URGE_NOW)
    at = 0;
  else if (urge == WEIR_URGE_LEISURE)
    at = weir_time_add(now, LEISURE_US);
  keep->noted = urge;
  weir_timer_set(&c->keep_timers, &keep->timer, at);
}

void weir_keep_note(struct weir_coord *c, const struct weir_books *books, uint32_t pool,
                    weir_tstamp now)
{
  for (uint32_t i = 0; c->is_durable && i < books->count; i++)
    hurry(c, i == 0 ? pool : weir_keep_index_of_budget(c, books->budgets[i]),
          books->ledgers[i]->urge, now);
}

void weir_keep_breaker(struct weir_coord *c, const struct weir_pool *pool, weir_tstamp now)
{
  const uint32_t index = (uint32_t)(pool - c->pools);

  if (!c->is_durable)
    return;
  c->keeps[index].is_breaker_news = true;
  hurry(c, index, WEIR_URGE_SOON, now);
}

bool weir_keep_is_covered(struct weir_coord *c, struct weir_pool *pool,
                          const struct weir_plan *plan, weir_tstamp now)
{
  const uint32_t index = (uint32_t)(pool - c->pools);
  bool is_covered = c->keep_untold_count == 0;

  for (uint32_t i = 0; c->is_durable && i < plan->books.count; i++)
    is_covered = weir_ledger_is_covered(plan->books.ledgers[i], &plan->entry) && is_covered;
  if (is_covered)
    return true;
  weir_keep_note(c, &plan->books, index, now);
  if (!c->keeps[index].is_waiting)
    c->keep_waiting[c->keep_waiting_count++] = index;
  c->keeps[index].is_waiting = true;
  weir_timer_set(&c->pool_timers, &pool->timer, WEIR_NEVER);
  return false;
}

weir_tstamp weir_coord_keep_due(const struct weir_coord *c)
{
  const weir_tstamp first = weir_pq_wake(&c->keep_timers);
  const weir_tstamp after = c->kept_at > 0 ? weir_time_add(c->kept_at, INTERVAL_US) : 0;

  const weir_tstamp due = first == 0 || first > after ? first : after;

  if (c->keep_under_way_count > 0)
    return WEIR_NEVER;
  return due < c->keep_again_at ? c->keep_again_at : due;
}

/* ---- making records ---- */

static void breaker_keep(const struct weir_pool *pool, struct weir_record *record, weir_tstamp now)
{
  const struct weir_breaker *b = &pool->breaker;

  record->numbers[STATE] = b->state;
  record->numbers[HELD] = b->held;
  record->numbers[STREAK] = b->streak;
  record->numbers[OPEN_US] = weir_time_sub(b->open_until, now);
  record->count = BREAKER_COUNT;
}

/* The numbers of |pool| that records of estimates have, one by one, in their order. */
static void ratio_swap(struct weir_ratio *r, uint64_t *n, bool is_load)
{
  if (is_load) {
    *r = (struct weir_ratio){.samples = (uint32_t)n[0], .estimated = n[1], .used = n[2]};
    r->squares = (weir_wide)n[3] << 64 | n[4];
    r->errors = (weir_wide)n[5] << 64 | n[6];
    return;
  }
  n[0] = r->samples;
  n[1] = r->estimated;
  n[2] = r->used;
  n[3] = (uint64_t)(r->squares >> 64);
  n[4] = (uint64_t)r->squares;
  n[5] = (uint64_t)(r->errors >> 64);
  n[6] = (uint64_t)r->errors;
}

static void bias_swap(struct weir_bias *b, uint64_t *n, bool is_load)
{
  uint64_t *const sums[] = {&b->input.asked,
                            &b->input.used,
                            &b->output.asked,
                            &b->output.used,
                            &b->input_error.estimates,
                            &b->input_error.errors,
                            &b->output_error.estimates,
                            &b->output_error.errors,
                            &b->total_error.estimates,
                            &b->total_error.errors};
  uint32_t *const errors[] = {&b->input_error.error_pm, &b->output_error.error_pm,
                              &b->total_error.error_pm};
  const size_t sums_count = sizeof(sums) / sizeof(*sums);

  for (size_t i = 0; i < sums_count; i++) {
    if (is_load)
      *sums[i] = n[i];
    else
      n[i] = *sums[i];
  }
  for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
    if (is_load)
      *errors[i] =
          n[sums_count + i] < WEIR_ERROR_MAX_PM ? (uint32_t)n[sums_count + i] : WEIR_ERROR_MAX_PM;
    else
      n[sums_count + i] = *errors[i];
  }
}

static void estimates_keep(struct weir_pool *pool, struct weir_record *record)
{
  uint64_t *n = record->numbers;

  n[SAMPLES] = pool->bias.samples;
  n[CALLS] = pool->bias.calls;
  ratio_swap(&pool->ratio, &n[RATIO], false);
  bias_swap(&pool->bias, &n[BIAS], false);
  for (uint32_t i = 0; i < WEIR_LATENCY_BUCKETS; i++)
    n[LATENCIES + i / LATENCIES_EACH] |= (uint64_t)pool->latency.buckets[i]
                                         << 16 * (i % LATENCIES_EACH);
  record->count = ESTIMATES_COUNT;
}

static uint32_t pool_keep(struct weir_coord *c, uint32_t index, const char *owner, weir_tstamp now,
                          struct weir_record *ret_records)
{
  struct weir_keep *keep = &c->keeps[index];
  uint32_t count = 0;

  if (keep->is_breaker_news)
    breaker_keep(&c->pools[index],
                 weir_record_begin(&ret_records[count++], WEIR_RECORD_BREAKER, owner, 0, now), now);
  keep->is_breaker_news = false;
  if (c->pools[index].bias.samples == 0 || now < keep->estimates_at)
    return count;
  keep->estimates_at = weir_time_add(now, ESTIMATES_US);
  estimates_keep(&c->pools[index],
                 weir_record_begin(&ret_records[count++], WEIR_RECORD_ESTIMATES, owner, 0, now));
  return count;
}

static uint32_t keep_one(struct weir_coord *c, uint32_t index, const struct weir_instant *now,
                         struct weir_record *ret_records)
{
  char owner[WEIR_RECORD_OWNER_SIZE];
  uint32_t count;

  c->keeps[index].noted = WEIR_URGE_NONE;
  if (state_of(c, index) == WEIR_POOL_FREE)
    return 0;
  owner_name(c, index, owner);
  count = weir_ledger_keep(ledger_of(c, index), owner, now, ret_records);
  if (is_pool(c, index))
    count += pool_keep(c, index, owner, now->at, &ret_records[count]);
  c->keep_under_way[c->keep_under_way_count++] = index;
  return count;
}

/* Nodes come first in their structs, so a due node is its owner. */
uint32_t weir_coord_keep(struct weir_coord *c, weir_tstamp now, struct weir_record *ret_records,
                         uint32_t max, uint64_t *ret_generation)
{
  struct weir_instant instant = {.at = now, .number = c->lease_number, .calendar = &c->calendar};
  uint32_t count = 0;
  struct weir_pq_node *due;

  assert(max >= WEIR_COORD_KEEP_MIN);
  if (weir_coord_keep_due(c) > now)
    return 0;
  weir_calendar_advance(&c->calendar, now);
  while (count + RECORDS_MAX <= max && (due = weir_pq_due(&c->keep_timers, now)) != NULL) {
    const struct weir_keep *keep = (const struct weir_keep *)(const void *)due;

    count += keep_one(c, (uint32_t)(keep - c->keeps), &instant, &ret_records[count]);
  }
  if (count == 0)
    return 0;
  c->kept_at = now;
  *ret_generation = ++c->generation;
  return count;
}

/* ---- answers ---- */

/* First those that began to wait first, then those that did last, in turn: of a budget that pools
 * share, none always finds what another has left. */
static void look_again(struct weir_coord *c, weir_tstamp now)
{
  const uint32_t count = c->keep_waiting_count;

  for (uint32_t i = 0; i < count; i++) {
    const uint32_t index = c->keep_waiting[c->generation % 2 ? i : count - 1 - i];
    struct weir_pool *pool = &c->pools[index];

    c->keeps[index].is_waiting = false;
    if (weir_pool_has_waiting(pool))
      weir_timer_set(&c->pool_timers, &pool->timer, now);
  }
  c->keep_waiting_count = 0;
}

/* What failed is tried again as soon as anything is. */
static void retry(struct weir_coord *c, uint32_t index)
{
  struct weir_keep *keep = &c->keeps[index];

  keep->noted = WEIR_URGE_NOW;
  keep->is_breaker_news = is_pool(c, index);
  keep->estimates_at = 0;
  weir_timer_set(&c->keep_timers, &keep->timer, 0);
}

/* Of those that are there, or were until lately. */
static void untold_count(struct weir_coord *c)
{
  c->keep_untold_count = 0;
  for (uint32_t i = 0; i < keeps_count(c); i++)
    c->keep_untold_count += state_of(c, i) != WEIR_POOL_FREE && !c->keeps[i].is_told;
}

void weir_keep_answer(struct weir_coord *c, struct weir_turn *turn, uint64_t generation,
                      bool is_durable)
{
  const uint32_t count = c->keep_under_way_count;

  if (count == 0 || generation != c->generation)
    return;
  c->keep_under_way_count = 0;
  if (!is_durable)
    c->keep_again_at = weir_time_add(turn->now, WEIR_COORD_KEEP_RETRY_US);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t index = c->keep_under_way[i];
    struct weir_ledger *ledger = ledger_of(c, index);

    if (is_durable && ledger->is_writing)
      c->keeps[index].is_told = true;
    weir_ledger_kept(ledger, is_durable);
    if (is_durable)
      hurry(c, index, ledger->urge, turn->now);
    else
      retry(c, index);
  }
  if (c->keep_untold_count > 0)
    untold_count(c);
  if (is_durable)
    look_again(c, turn->now);
}

/* ---- what records are about ---- */

/* A model under several names is one member. */
static void members_of_pools(struct weir_coord *c)
{
  for (uint32_t i = 0; i < c->bounds.pools_max; i++)
    c->keeps[i].members = c->pools[i].state == WEIR_POOL_OPEN ? MEMBERS : 0;
  for (uint32_t i = 0; i < c->bounds.names_max; i++) {
    const struct weir_name *name = &c->names[i];

    if (name->is_wanted && (name->meant == WEIR_NONE || name->meant == i))
      c->keeps[name->pool].members += weir_hash_text(name->model, 1) << 1;
  }
}

static void members_of_budgets(struct weir_coord *c)
{
  struct weir_keep *keeps = &c->keeps[c->bounds.pools_max];

  for (uint32_t i = 0; i < c->bounds.budgets_max; i++)
    keeps[i].members = c->budgets[i].state == WEIR_POOL_OPEN ? MEMBERS + c->budgets[i].sharers : 0;
  for (uint32_t i = 0; i < c->bounds.pools_max; i++) {
    const struct weir_pool *pool = &c->pools[i];

    for (uint32_t k = 0; pool->state == WEIR_POOL_OPEN && k < pool->config.budgets_count; k++)
      keeps[pool->config.budgets[k]].members +=
          (weir_hash_text(pool->config.name, 2) ^ c->keeps[i].members) << 1;
  }
}

void weir_keep_configure(struct weir_coord *c, weir_tstamp now)
{
  if (!c->is_durable)
    return;
  members_of_pools(c);
  members_of_budgets(c);
  for (uint32_t i = 0; i < keeps_count(c); i++) {
    if (state_of(c, i) == WEIR_POOL_FREE)
      continue;
    if (weir_ledger_shape(ledger_of(c, i), c->keeps[i].members))
      c->keeps[i].is_told = false;
    hurry(c, i, c->keeps[i].is_told ? ledger_of(c, i)->urge : WEIR_URGE_NOW, now);
  }
  untold_count(c);
}

void weir_keep_leave(struct weir_coord *c, uint32_t index)
{
  c->keeps[index].is_told = false;
}

bool weir_keep_has_left(const struct weir_coord *c, uint32_t index)
{
  return !c->is_durable || c->keeps[index].is_told;
}

/* ---- going on ---- */

static void breaker_restore(struct weir_coord *c, struct weir_pool *pool,
                            const struct weir_record *record, const struct weir_past *past,
                            weir_tstamp now)
{
  const uint64_t *n = record->numbers;
  const weir_duration passed = past->is_same_boot && record->at <= now ? now - record->at : 0;

  if (n[STATE] == 0 || n[STATE] >= WEIR_BREAKER_MAX || n[HELD] == 0 || n[HELD] >= WEIR_STEER_MAX)
    return;
  weir_breaker_resume(&pool->breaker, (enum weir_breaker_state)n[STATE], (enum weir_steer)n[HELD],
                      (uint32_t)n[STREAK], weir_time_sub(n[OPEN_US], passed), now);
  weir_breakers_note(c, pool, now);
}

static void latency_restore(struct weir_latency *latency, const uint64_t *n)
{
  uint32_t count = 0;

  for (uint32_t i = 0; i < WEIR_LATENCY_BUCKETS; i++) {
    latency->buckets[i] = (uint16_t)(n[i / LATENCIES_EACH] >> 16 * (i % LATENCIES_EACH));
    count += latency->buckets[i];
  }
  latency->count = count;
  if (count >= WEIR_LATENCY_KEEP)
    memset(latency, 0, sizeof(*latency));
}

static void estimates_restore(struct weir_pool *pool, const struct weir_record *record)
{
  uint64_t n[WEIR_RECORD_NUMBERS_MAX];

  memcpy(n, record->numbers, sizeof(n));
  pool->bias.samples =
      n[SAMPLES] < WEIR_BIAS_SAMPLES_MIN ? (uint32_t)n[SAMPLES] : WEIR_BIAS_SAMPLES_MIN;
  pool->bias.calls = (uint32_t)n[CALLS];
  ratio_swap(&pool->ratio, &n[RATIO], true);
  bias_swap(&pool->bias, &n[BIAS], true);
  latency_restore(&pool->latency, &n[LATENCIES]);
}

static void pool_restore(struct weir_coord *c, struct weir_pool *pool, const char *owner,
                         const struct weir_past *past, weir_tstamp now)
{
  const struct weir_record *breaker =
      weir_past_find(past, WEIR_RECORD_BREAKER, owner, 0, BREAKER_COUNT);
  const struct weir_record *estimates =
      weir_past_find(past, WEIR_RECORD_ESTIMATES, owner, 0, ESTIMATES_COUNT);

  if (breaker)
    breaker_restore(c, pool, breaker, past, now);
  if (estimates)
    estimates_restore(pool, estimates);
}

void weir_keep_restore(struct weir_coord *c, const struct weir_past *past,
                       const struct weir_instant *now)
{
  for (uint32_t i = 0; i < keeps_count(c); i++) {
    char owner[WEIR_RECORD_OWNER_SIZE];

    if (state_of(c, i) == WEIR_POOL_FREE)
      continue;
    owner_name(c, i, owner);
    c->keeps[i].goes_on = weir_ledger_restore(ledger_of(c, i), owner, past, now);
    if (is_pool(c, i))
      pool_restore(c, &c->pools[i], owner, past, now->at);
  }
}

/* ---- what is not gone on with ---- */

/* Where one record of an owner is of something else, none is gone on with. */
static bool goes_on(struct weir_coord *c, const struct weir_record *record)
{
  for (uint32_t i = 0; i < keeps_count(c); i++) {
    char owner[WEIR_RECORD_OWNER_SIZE];

    if (state_of(c, i) == WEIR_POOL_FREE)
      continue;
    owner_name(c, i, owner);
    if (strcmp(owner, record->owner) == 0)
      return c->keeps[i].goes_on && weir_ledger_goes_on(ledger_of(c, i), record);
  }
  return false;
}

uint32_t weir_coord_disown(struct weir_coord *c, struct weir_record *records, uint32_t count)
{
  uint32_t disowned = 0;

  for (uint32_t i = 0; i < count; i++) {
    struct weir_record record;

    if (goes_on(c, &records[i]) || !weir_record_disown(&records[i]))
      continue;
    record = records[disowned];
    records[disowned++] = records[i];
    records[i] = record;
  }
  return disowned;
}
