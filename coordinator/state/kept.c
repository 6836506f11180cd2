/* kept.c - what outlives a ledger: records that are never less than what was granted.
 *
 * A record holds all charges by when they may arrive, in steps that stand at their ends, and a
 * reserve: what may be granted before the next record is durable. A grant that the reserve does not
 * cover waits for the store; so whatever a later life finds there is an upper bound.
 */
#include "ledger_machine.h"

#include <assert.h>
#include <string.h>

#include <weir/hash.h>

/* A reserve is so much of a window's amount, which a crash may cost: what comes in 600 ms, 1 % of a
 * minute; of a long window less, whose loss lasts. Never more than an eighth. */
#define RESERVE_US        (600 * WEIR_US_PER_MS)
#define RESERVE_LONG_PART 1000
#define RESERVE_MOST_PART 8
#define FLIGHT_PART       32

#define LARGEST_DECAY 16

/* Slots of a trail, or of a ring, that share a step of a record. */
#define STEPS_MAX   128
#define TRAIL_SLOTS (WEIR_TRAIL_SLOTS / STEPS_MAX)
#define RING_SLOTS  (WEIR_RING_SLOTS / STEPS_MAX)

/* Numbers of the records. */
enum { SHAPE, HOLD_US, CLOSED_US, RESERVE, HEAD_ROOM, FLIGHT, FIRST_END, STEP_US, STEPS };
enum { DAY_SHAPE, DAY_NUMBER, DAY_USED, DAY_NEXT, DAY_BEFORE, DAY_BOTH, DAY_RESERVE, DAY_COUNT };
enum { RULES, PROFILE, WIDEN_US, FROZEN_US, SMOOTH_US, FLIGHT_US, LEARNED };
enum { ITEM, AMOUNT, EFFECTIVE, CEILING, CUT_FROM, CUT_AGO, LEARNED_EACH };

/* The reserve of a limit in the shadow: its grants wait for no record, so nobody knows how much. */
#define UNBOUNDED UINT64_MAX

/* A record of this shape knows nothing of what was granted since it was made. */
#define NOBODYS 0

static_assert(SHAPE == 0 && DAY_SHAPE == 0, "records of limits and of days state it alike");
static_assert(STEPS + STEPS_MAX <= WEIR_RECORD_NUMBERS_MAX, "a record holds all steps");
static_assert(LEARNED + WEIR_LIMITS_MAX * LEARNED_EACH <= WEIR_RECORD_NUMBERS_MAX, "and limits");

/* ---- what a record is about ---- */

/* Of what makes a limit the same one, after a reload or a restart. */
static uint64_t item_of(const struct weir_limit_config *config)
{
  const uint64_t parts[] = {config->dimension,  config->window_us,
                            config->is_day,     config->is_day ? config->zone_id : 0,
                            config->is_prepaid, weir_limit_is_burst_kept(config)};
  uint64_t hash = WEIR_HASH_BASIS;

  for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
    hash = weir_hash_number(hash, parts[i]);
  return hash;
}

bool weir_ledger_shape(struct weir_ledger *l, uint64_t members)
{
  uint64_t shape = members;

  for (uint32_t i = 0; i < l->limits_count; i++)
    shape += item_of(&l->limits[i].config); /* in any order */
  if (shape == NOBODYS)
    shape = 1;
  l->is_kept = true;
  if (shape == l->shape)
    return false;
  l->shape = shape;
  l->is_writing = false;
  l->is_news = true;
  weir_ledger_urge(l, WEIR_URGE_SOON);
  return true;
}

/* ---- reserves ---- */

/* Where a grant waits, others may use up what is left while the record is being written. */
static uint64_t largest_of(const struct weir_ledger_limit *limit, bool is_awaited)
{
  const uint64_t largest = limit->reserve.largest;

  return is_awaited && limit->left < largest ? largest + limit->left : largest;
}

static uint64_t reserve_of(const struct weir_ledger_limit *limit, bool is_awaited)
{
  const uint64_t amount = limit->effective, most = amount / RESERVE_MOST_PART;
  const weir_duration window = limit->config.window_us;
  uint64_t reserve;

  if (!limit->is_windowed)
    reserve = amount / FLIGHT_PART;
  else if (limit->is_day || window > WEIR_LEDGER_SMOOTH_MAX_US)
    reserve = amount / RESERVE_LONG_PART;
  else
    reserve = weir_wide_scale(amount, RESERVE_US, window, most);
  if (reserve < largest_of(limit, is_awaited))
    reserve = largest_of(limit, is_awaited);
  return reserve > 0 ? reserve : 1;
}

bool weir_ledger_is_covered(struct weir_ledger *l, const struct weir_ledger_entry *entry)
{
  const struct weir_weights weights = weir_weights_of(&entry->cost);
  bool is_covered = true;

  for (uint32_t i = 0; i < l->limits_count && l->is_kept; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];
    const uint64_t needed =
        limit->is_windowed ? weir_limit_charge(limit, entry, &weights) : entry->cost.requests;

    if (limit->is_shadow || needed <= limit->left)
      continue;
    if (needed > limit->reserve.largest)
      limit->reserve.largest = needed;
    is_covered = false;
  }
  if (!is_covered)
    weir_ledger_urge(l, WEIR_URGE_NOW);
  return is_covered;
}

/* What is given back stays in the store until it is written anew: at leisure, when it is as much
 * as half of a reserve. A call that has landed makes room for another at once. */
void weir_limit_respend(struct weir_ledger *l, struct weir_ledger_limit *limit, uint64_t was,
                        uint64_t is, uint64_t sigma, uint64_t landed)
{
  if (is > was)
    weir_limit_spend(l, limit, is - was);
  else
    limit->reserve.freed += was - is;
  limit->reserve.freed += sigma;
  limit->left += landed;
  if (limit->reserve.freed > limit->low ||
      (!limit->is_windowed && limit->left > 4 * limit->low + 4))
    weir_ledger_urge(l, WEIR_URGE_LEISURE);
}

/* Until its answer comes the store may hold the old record or the new one, so grants keep to both.
 */
static void reserve_begin(struct weir_ledger_limit *limit, uint64_t reserve)
{
  struct weir_reserve *r = &limit->reserve;

  if (limit->left > reserve)
    limit->left = reserve;
  r->next = reserve;
  r->before = limit->left;
  r->freed = 0;
  limit->low = reserve / 2;
}

void weir_ledger_kept(struct weir_ledger *l, bool is_durable)
{
  for (uint32_t i = 0; i < l->limits_count && l->is_writing && is_durable; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];

    limit->left = limit->reserve.next + limit->left - limit->reserve.before;
    limit->reserve.largest -= limit->reserve.largest / LARGEST_DECAY;
    if (limit->left <= limit->low)
      weir_ledger_urge(l, WEIR_URGE_SOON);
  }
  if (!is_durable) {
    l->is_news = true;
    weir_ledger_urge(l, WEIR_URGE_SOON);
  }
  l->is_writing = false;
}

/* ---- making records ---- */

/* What slots from |first| on hold, |of_step| of them a step, of the |size| slots of a circle. */
static void steps_fill(struct weir_record *record, uint64_t *slots, uint64_t size, uint64_t first,
                       uint64_t of_step)
{
  record->count = STEPS;
  for (uint32_t k = 0; k < STEPS_MAX; k++) {
    uint64_t sum = 0;

    for (uint64_t i = 0; i < of_step; i++)
      sum += *weir_slots_at(slots, (first + k * of_step + i) % size);
    record->numbers[STEPS + k] = sum;
    if (sum > 0)
      record->count = STEPS + k + 1;
  }
}

/* A trail goes back two windows, as far as any gate asks. */
static void charges_keep(struct weir_record *record, const struct weir_ledger_limit *limit)
{
  const struct weir_trail *trail = &limit->trail;
  const struct weir_ring *ring = &limit->ring;

  if (limit->is_smoothable) {
    record->numbers[FIRST_END] = (trail->head + TRAIL_SLOTS) * trail->slot_us - record->at;
    record->numbers[STEP_US] = TRAIL_SLOTS * trail->slot_us;
    steps_fill(record, trail->slots, WEIR_TRAIL_SLOTS, trail->head, TRAIL_SLOTS);
  } else {
    record->numbers[FIRST_END] =
        (ring->head + RING_SLOTS) * ring->slot_us - ring->window_us - record->at;
    record->numbers[STEP_US] = RING_SLOTS * ring->slot_us;
    steps_fill(record, ring->slots, WEIR_RING_SLOTS, ring->head, RING_SLOTS);
  }
}

/* Calls that are out when a crash comes are never settled, so what they may yet be wrong by counts
 * as used. */
static uint64_t head_room_of(const struct weir_ledger_limit *limit)
{
  return weir_limit_head_room(weir_wide_sqrt(limit->variance));
}

static void limit_keep(struct weir_record *record, const struct weir_ledger *l,
                       const struct weir_ledger_limit *limit)
{
  uint64_t *n = record->numbers;

  n[SHAPE] = l->shape;
  n[HOLD_US] = l->hold_us + WEIR_LEDGER_WIDEN_MAX_US;
  n[CLOSED_US] = weir_time_sub(limit->closed_until, record->at);
  n[RESERVE] = limit->is_shadow ? UNBOUNDED : limit->reserve.next;
  n[HEAD_ROOM] = head_room_of(limit);
  n[FLIGHT] = limit->flight;
  record->count = STEPS;
  if (limit->is_windowed)
    charges_keep(record, limit);
}

static void day_keep(struct weir_record *record, const struct weir_ledger *l,
                     const struct weir_ledger_limit *limit)
{
  const struct weir_day *day = &limit->day;
  uint64_t *n = record->numbers;

  n[DAY_SHAPE] = l->shape;
  n[DAY_NUMBER] = day->number;
  n[DAY_USED] = day->used;
  n[DAY_NEXT] = day->used_next;
  n[DAY_BEFORE] = day->used_before;
  n[DAY_BOTH] = day->used_both;
  n[DAY_RESERVE] = limit->reserve.next + head_room_of(limit) + limit->reserve.unsure;
  record->count = DAY_COUNT;
}

/* What was learned holds of the amount beside the same part of islands. */
static uint64_t learned_item_of(const struct weir_limit_config *config)
{
  return item_of(config) + config->islands;
}

/* Rules that upstream's words were understood by. */
static uint64_t rules_of(const struct weir_ledger *l)
{
  return (uint64_t)l->rules.profile << 1 | l->rules.is_fixed;
}

static void learned_keep(struct weir_record *record, const struct weir_ledger *l)
{
  uint64_t *n = record->numbers;

  n[RULES] = rules_of(l);
  n[PROFILE] = l->profile;
  n[WIDEN_US] = l->widen_us;
  n[FROZEN_US] = weir_time_sub(l->frozen_until, record->at);
  n[SMOOTH_US] = weir_time_sub(l->smooth_until, record->at);
  n[FLIGHT_US] = l->flight_us;
  for (uint32_t i = 0; i < l->limits_count; i++) {
    const struct weir_ledger_limit *limit = &l->limits[i];
    uint64_t *each = &n[LEARNED + i * LEARNED_EACH];

    each[ITEM] = learned_item_of(&limit->config);
    each[AMOUNT] = limit->config.amount;
    each[EFFECTIVE] = limit->cut_amount;
    each[CEILING] = limit->ceiling;
    each[CUT_FROM] = limit->cut_from;
    each[CUT_AGO] = limit->cut_from > 0 ? record->at - limit->cut_at : 0;
  }
  record->count = LEARNED + l->limits_count * LEARNED_EACH;
}

uint32_t weir_ledger_keep(struct weir_ledger *l, const char *owner, const struct weir_instant *now,
                          struct weir_record *ret_records)
{
  uint32_t count = 0;

  weir_ledger_refresh(l, now);
  for (uint32_t i = 0; i < l->limits_count; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];
    const uint64_t item = item_of(&limit->config);

    reserve_begin(limit, reserve_of(limit, l->urge == WEIR_URGE_NOW));
    limit_keep(weir_record_begin(&ret_records[count++], WEIR_RECORD_LIMIT, owner, item, now->at), l,
               limit);
    if (limit->is_day)
      day_keep(weir_record_begin(&ret_records[count++], WEIR_RECORD_DAY, owner, item, now->at), l,
               limit);
  }
  if (l->is_news || !l->is_calm)
    learned_keep(weir_record_begin(&ret_records[count++], WEIR_RECORD_LEARNED, owner, 0, now->at),
                 l);
  l->is_news = false;
  l->is_writing = true;
  l->urge = WEIR_URGE_NONE;
  return count;
}

/* ---- going on ---- */

/* What of a former life is known of an instant: |shift| from when its record was made. */
static weir_tstamp instant_of(const struct weir_record *record, const struct weir_past *past,
                              uint64_t shift, weir_tstamp now)
{
  const weir_tstamp made = past->is_same_boot && record->at <= now ? record->at : now;
  const int64_t by = (int64_t)shift;

  return by < 0 ? weir_time_sub(made, -(uint64_t)by) : weir_time_add(made, (uint64_t)by);
}

static uint64_t amount_of(uint64_t number)
{
  return number < WEIR_LIMIT_MAX ? number : WEIR_LIMIT_MAX;
}

static void charge(struct weir_ledger_limit *limit, weir_tstamp arrival_max, uint64_t amount)
{
  if (amount == 0)
    return;
  weir_ring_add(&limit->ring, arrival_max, amount);
  if (limit->is_smoothable)
    weir_trail_add(&limit->trail, arrival_max, amount);
}

/* Nothing of the former life arrives later than this. */
static weir_tstamp last_of(const struct weir_past *past, weir_duration hold_us)
{
  const weir_duration most = WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US;

  return weir_time_add(past->started_until, hold_us < most ? hold_us : most);
}

/* What may have been granted since |record| was made; where that is not known, as much as usual. */
static uint64_t reserve_past(const struct weir_ledger_limit *limit,
                             const struct weir_record *record)
{
  const uint64_t reserve = record->numbers[RESERVE];

  return reserve == UNBOUNDED ? reserve_of(limit, false) : amount_of(reserve);
}

static void charges_restore(struct weir_ledger_limit *limit, const struct weir_record *record,
                            const struct weir_past *past, weir_tstamp now)
{
  const uint64_t *n = record->numbers;
  const weir_tstamp last = last_of(past, WEIR_DURATION_MAX);

  for (uint32_t i = STEPS; i < record->count; i++) {
    const uint64_t shift = n[FIRST_END] + (i - STEPS) * n[STEP_US] - 1;
    const weir_tstamp at = instant_of(record, past, shift, now);

    charge(limit, at < last ? at : last, amount_of(n[i]));
  }
  charge(limit, last_of(past, n[HOLD_US]), reserve_past(limit, record) + amount_of(n[HEAD_ROOM]));
}

static void day_restore(struct weir_ledger_limit *limit, const struct weir_record *record,
                        const struct weir_past *past, const struct weir_instant *now)
{
  struct weir_day *day = &limit->day;
  const uint64_t *n = record->numbers;

  weir_day_init(day, now->number);
  day->number = n[DAY_NUMBER];
  day->used = amount_of(n[DAY_USED]);
  day->used_next = amount_of(n[DAY_NEXT]);
  day->used_before = amount_of(n[DAY_BEFORE]);
  day->used_both = amount_of(n[DAY_BOTH]);
  limit->reserve.unsure = amount_of(n[DAY_RESERVE]);
  limit->reserve.unsure_at = last_of(past, WEIR_DURATION_MAX);
  if (past->is_same_boot)
    day->arrival_last = limit->reserve.unsure_at;
}

void weir_limit_unsure(struct weir_ledger_limit *limit, const struct weir_instant *now)
{
  const struct weir_calendar_zone *zone = weir_limit_zone(limit, now->calendar);

  if (!zone)
    return;
  weir_day_add(&limit->day, zone, limit->reserve.unsure_at, limit->reserve.unsure);
  limit->reserve.unsure = 0;
}

weir_tstamp weir_limit_ghosts(struct weir_ledger_limit *limit, weir_tstamp now)
{
  struct weir_reserve *r = &limit->reserve;

  if (r->ghosts == 0)
    return WEIR_NEVER;
  if (now < r->ghosts_until)
    return r->ghosts_until;
  limit->flight -= r->ghosts;
  r->ghosts = 0;
  return WEIR_NEVER;
}

static void limit_restore(struct weir_ledger *l, struct weir_ledger_limit *limit,
                          const struct weir_record *record, const struct weir_past *past,
                          const struct weir_instant *now)
{
  const uint64_t *n = record->numbers;
  const weir_tstamp last = last_of(past, n[HOLD_US]);
  const weir_tstamp closed = n[CLOSED_US] > 0 ? instant_of(record, past, n[CLOSED_US], now->at) : 0;

  if (closed > limit->closed_until)
    limit->closed_until = closed;
  if (n[RESERVE] == UNBOUNDED && !limit->is_shadow)
    weir_limit_close(limit, past->started_until);
  if (limit->is_windowed) {
    charges_restore(limit, record, past, now->at);
  } else {
    limit->reserve.ghosts = amount_of(n[FLIGHT]) + reserve_past(limit, record);
    limit->reserve.ghosts_until = weir_time_add(last, WEIR_LEDGER_GHOSTS_US);
    limit->flight += limit->reserve.ghosts;
    l->turns_at = 0;
  }
  if (l->has_sub && last + l->sub.window_us > l->sub_closed_until)
    l->sub_closed_until = last + l->sub.window_us;
}

static void learned_limit(struct weir_ledger_limit *limit, const uint64_t *each,
                          const struct weir_record *record, const struct weir_past *past,
                          weir_tstamp now)
{
  if (each[ITEM] != learned_item_of(&limit->config) || each[AMOUNT] != limit->config.amount ||
      each[CEILING] > each[AMOUNT] || each[EFFECTIVE] > each[CEILING] || each[EFFECTIVE] == 0)
    return;
  limit->ceiling = each[CEILING];
  limit->effective = limit->cut_amount = each[EFFECTIVE];
  limit->cut_from = amount_of(each[CUT_FROM]);
  limit->cut_at = instant_of(record, past, -each[CUT_AGO], now);
}

/* What was learned goes with the rules and amounts that it was learned of. */
static void learned_restore(struct weir_ledger *l, const struct weir_record *record,
                            const struct weir_past *past, const struct weir_instant *now)
{
  const uint64_t *n = record->numbers;

  if (n[RULES] == rules_of(l) && n[PROFILE] > l->profile && n[PROFILE] <= WEIR_PROFILE_UNIVERSAL)
    l->profile = (enum weir_profile)n[PROFILE];
  if (n[WIDEN_US] <= WEIR_LEDGER_WIDEN_MAX_US)
    l->widen_us = n[WIDEN_US];
  if (n[FROZEN_US] <= WEIR_US_PER_HOUR)
    l->frozen_until = instant_of(record, past, n[FROZEN_US], now->at);
  if (n[SMOOTH_US] <= WEIR_US_PER_HOUR)
    l->smooth_until = instant_of(record, past, n[SMOOTH_US], now->at);
  l->flight_us = n[FLIGHT_US] <= WEIR_US_PER_HOUR ? n[FLIGHT_US] : 0;
  for (uint32_t k = LEARNED; k + LEARNED_EACH <= record->count; k += LEARNED_EACH) {
    for (uint32_t i = 0; i < l->limits_count; i++)
      learned_limit(&l->limits[i], &n[k], record, past, now->at);
  }
  l->is_calm = false;
}

/* Whether |record| was made when |limit| had another amount. */
static bool has_other_amount(const struct weir_record *record,
                             const struct weir_ledger_limit *limit)
{
  for (uint32_t k = LEARNED; k + LEARNED_EACH <= record->count; k += LEARNED_EACH) {
    const uint64_t *each = &record->numbers[k];

    if (each[ITEM] == learned_item_of(&limit->config) && each[AMOUNT] != limit->config.amount)
      return true;
  }
  return false;
}

/* Whether |record| is a limit's that has a shape. */
static bool has_shape(const struct weir_record *record)
{
  return (record->kind == WEIR_RECORD_LIMIT || record->kind == WEIR_RECORD_DAY) &&
         record->numbers[SHAPE] != NOBODYS;
}

bool weir_ledger_goes_on(const struct weir_ledger *l, const struct weir_record *record)
{
  for (uint32_t i = 0; has_shape(record) && i < l->limits_count; i++) {
    if (record->item == item_of(&l->limits[i].config))
      return record->numbers[SHAPE] == l->shape;
  }
  return false;
}

bool weir_record_disown(struct weir_record *record)
{
  if (!has_shape(record))
    return false;
  record->numbers[SHAPE] = NOBODYS;
  return true;
}

/* Whether a record of |owner| is about something else: all of them may be, because a reload that
 * has taken a limit leaves its record as it was. */
static bool is_other(const struct weir_ledger *l, const char *owner, const struct weir_past *past)
{
  for (uint32_t i = 0; i < past->count; i++) {
    const struct weir_record *record = &past->records[i];

    if (has_shape(record) && strcmp(record->owner, owner) == 0 &&
        record->numbers[SHAPE] != l->shape)
      return true;
  }
  return false;
}

bool weir_ledger_restore(struct weir_ledger *l, const char *owner, const struct weir_past *past,
                         const struct weir_instant *now)
{
  const bool is_unknown = is_other(l, owner, past);
  const struct weir_record *learned = weir_past_find(past, WEIR_RECORD_LEARNED, owner, 0, LEARNED);

  assert(past->started_until <= now->at);
  weir_ledger_refresh(l, now);
  if (learned) {
    learned_restore(l, learned, past, now);
    weir_ledger_sub_open(l, l->sub_hold_us, true, now);
  }
  for (uint32_t i = 0; i < l->limits_count; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];
    const uint64_t item = item_of(&limit->config);
    const struct weir_record *charges = weir_past_find(past, WEIR_RECORD_LIMIT, owner, item, STEPS);
    const struct weir_record *day = weir_past_find(past, WEIR_RECORD_DAY, owner, item, DAY_COUNT);

    if (charges)
      limit_restore(l, limit, charges, past, now);
    if (learned && has_other_amount(learned, limit))
      weir_limit_reopen(limit);
    if (is_unknown || !charges || !weir_ledger_goes_on(l, charges))
      weir_limit_close(limit, past->started_until);
    if (limit->is_day && day)
      day_restore(limit, day, past, now);
  }
  return !is_unknown;
}
