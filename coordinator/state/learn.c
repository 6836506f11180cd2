/* learn.c - what upstream says about a budget, and what follows.
 *
 * A rejection freezes the ledger for the stated wait. When our own books cannot explain it (no
 * debt, nothing closed), there are three explanations, tried from the cheapest on:
 *
 *   1. the provider's method is finer than the profile says: keep the universal gates from now on
 *   2. stray rejections under those gates: delays spread more than the jitter says; widen it
 *   3. several in one epoch: somebody else spends the quota; cut the limit to a part of what we had
 *      in use ourselves, which measures what was left, and probe back (CUBIC)
 *
 * A rejection because use grew too fast begins a ramp for every limit of a minute or so (ramp.h):
 * upstream does not say of which it spoke.
 *
 * An epoch holds the leases that were taken before the last answer took effect. What upstream
 * states in numbers (a limit, what is used or left of it) is believed where it is stricter than
 * what we know: the configured amount is the user's word and never exceeded.
 */
#include "ledger_machine.h"

#include <assert.h>

/* A rejection without a stated wait holds the ledger this long, and no statement holds it longer.
 */
#define FREEZE_DEFAULT_US (5 * WEIR_US_PER_S)
#define FREEZE_MAX_US     (2 * WEIR_US_PER_MIN)

/* A day that is used up, when nobody knows its end: looked at again within these. */
#define DAY_RETRY_MIN_US (10 * WEIR_US_PER_MIN)
#define DAY_RETRY_MAX_US WEIR_US_PER_HOUR

#define EPOCH_CUT_COUNT 3                    /* rejections of one epoch that mean a spender */
#define EPOCH_SETTLE_US WEIR_US_PER_S        /* an epoch is over when none follows for this */
#define WIDEN_STEP_US   (5 * WEIR_US_PER_MS) /* after a stray rejection */
#define WIDEN_DECAY_US  WEIR_US_PER_MS       /* given back for each clean period */
#define WIDEN_CLEAN_US  (10 * WEIR_US_PER_MIN)
#define CUT_PM          900 /* of what was in use: where a cut begins */
#define CUT_LEAST_PART  20  /* never below this part of the ceiling */
#define FOREIGN_PART    20  /* others' use below this part of a limit is noise */
#define GROWTH_STEPS    120 /* of a window: how often a cut limit grows */
#define DAY_WINDOW_US   (20 * WEIR_US_PER_HOUR) /* limits of longer windows are days' */
#define SLOWER_MAX      8                       /* how often growth is halved at most */

/* ---- which limits an outcome speaks of ---- */

static bool is_day_outcome(enum weir_outcome outcome)
{
  return outcome == WEIR_OUTCOME_QUOTA_DAY_REQUESTS || outcome == WEIR_OUTCOME_QUOTA_DAY_TOKENS;
}

static bool is_minute_outcome(enum weir_outcome outcome)
{
  return outcome == WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS ||
         outcome == WEIR_OUTCOME_QUOTA_MINUTE_TOKENS;
}

static bool is_of_requests(enum weir_outcome outcome)
{
  return outcome == WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS ||
         outcome == WEIR_OUTCOME_QUOTA_DAY_REQUESTS;
}

static bool is_tokens(enum weir_dimension dimension)
{
  return dimension == WEIR_DIMENSION_INPUT_TOKENS || dimension == WEIR_DIMENSION_OUTPUT_TOKENS ||
         dimension == WEIR_DIMENSION_TOTAL_TOKENS;
}

static bool counts(const struct weir_ledger_limit *limit, bool is_requests)
{
  return is_requests ? limit->config.dimension == WEIR_DIMENSION_REQUESTS
                     : is_tokens(limit->config.dimension);
}

static bool is_meant(const struct weir_ledger_limit *limit, enum weir_outcome outcome)
{
  if (!limit->is_windowed || !counts(limit, is_of_requests(outcome)))
    return false;
  return is_day_outcome(outcome) ? limit->config.window_us >= DAY_WINDOW_US
                                 : limit->config.window_us < DAY_WINDOW_US;
}

/* How many limits an outcome may speak of: a number that was stated belongs to the only one. */
static struct weir_ledger_limit *only_meant(struct weir_ledger *l, bool is_requests, bool is_day)
{
  struct weir_ledger_limit *only = NULL;

  for (uint32_t i = 0; i < l->limits_count; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];

    if (!limit->is_windowed || !counts(limit, is_requests) ||
        (limit->config.window_us >= DAY_WINDOW_US) != is_day)
      continue;
    if (only)
      return NULL;
    only = limit;
  }
  return only;
}

/* ---- cutting and growing ---- */

static void lower(struct weir_ledger_limit *limit, uint64_t amount)
{
  if (limit->effective > amount)
    limit->effective = amount;
}

static uint64_t least_of(const struct weir_ledger_limit *limit)
{
  const uint64_t least = limit->ceiling / CUT_LEAST_PART;

  return least > 0 ? least : 1;
}

static void cut_to(struct weir_ledger_limit *limit, uint64_t from, uint64_t amount, weir_tstamp now)
{
  const uint64_t least = least_of(limit);

  if (amount < least)
    amount = least;
  if (amount >= limit->cut_amount)
    return;
  /* From less than that, growing would end before the ceiling. */
  limit->cut_from = from > least ? from : least;
  limit->cut_at = now;
  limit->cut_amount = amount;
  lower(limit, amount);
}

/* CUBIC: from CUT_PM of what was in use, flat around that after one window, then ever faster. */
static uint64_t grown(const struct weir_ledger_limit *limit, weir_tstamp now)
{
  __extension__ typedef __int128 signed_wide;
  const weir_duration window = limit->config.window_us, since = weir_time_sub(now, limit->cut_at);
  const uint64_t step = since < 8 * window ? since : 8 * window;
  const int64_t x = (int64_t)(weir_wide_mul(step, 1024) / window) - 1024;
  /* Divided at the end: a tenth of a small limit is more than nothing. */
  const signed_wide part = (signed_wide)limit->cut_from * (1000 - CUT_PM);
  const signed_wide target =
      (signed_wide)limit->cut_from + part * x * x * x / ((signed_wide)1000 * 1024 * 1024 * 1024);

  if (target >= (signed_wide)limit->ceiling)
    return limit->ceiling;
  return target > 0 ? (uint64_t)target : 0;
}

static void cut_grow(struct weir_ledger_limit *limit, weir_tstamp now)
{
  const uint64_t target = grown(limit, now);

  if (target > limit->cut_amount)
    limit->cut_amount = target;
  if (limit->cut_amount == limit->ceiling)
    limit->cut_from = 0;
}

/* Each time that it was too fast after all, growth goes on at half the pace. */
static struct weir_ramp_pace pace_of(const struct weir_ledger *l)
{
  return (struct weir_ramp_pace){l->rules.ramp_pm >> l->ramp_slower, l->rules.ramp_per_us};
}

static void limit_grow(const struct weir_ledger *l, struct weir_ledger_limit *limit,
                       weir_tstamp now)
{
  const struct weir_ramp_pace pace = pace_of(l);

  if (limit->cut_from > 0)
    cut_grow(limit, now);
  weir_ramp_advance(&limit->ramp, &pace, limit->ring.used, limit->ceiling, now);
  limit->effective = limit->cut_amount;
  if (limit->ramp.base > 0)
    lower(limit, weir_ramp_amount(&limit->ramp, &pace, now));
}

uint64_t weir_ledger_ramp(struct weir_ledger *l, uint32_t index, const struct weir_instant *now)
{
  const struct weir_ledger_limit *limit = &l->limits[index];
  const struct weir_ramp_pace pace = pace_of(l);
  uint64_t amount;

  weir_ledger_refresh(l, now);
  if (limit->ramp.base == 0)
    return 0;
  amount = weir_ramp_amount(&limit->ramp, &pace, now->at);
  return amount < limit->ceiling ? amount : 0;
}

static bool is_ramped(const struct weir_ledger *l)
{
  for (uint32_t i = 0; i < l->limits_count; i++) {
    if (l->limits[i].ramp.base > 0)
      return true;
  }
  return false;
}

static bool is_growing(const struct weir_ledger_limit *limit)
{
  return limit->cut_from > 0 || limit->ramp.base > 0;
}

/* A smaller truth; what it is measured by starts anew. */
static void ceiling_lower(struct weir_ledger *l, struct weir_ledger_limit *limit, uint64_t stated,
                          const struct weir_instant *now)
{
  const uint64_t islands = limit->config.islands;
  const uint64_t amount = stated > islands ? stated - islands : 1;

  if (stated == 0 || amount >= limit->ceiling)
    return;
  limit->ceiling = amount;
  if (limit->cut_amount >= amount) {
    limit->cut_amount = amount;
    limit->cut_from = 0;
  }
  lower(limit, amount);
  if (counts(limit, true))
    weir_ledger_sub_open(l, l->sub_hold_us, false, now);
}

/* What of |limit| was ours when upstream spoke about the call |entry|, or later: what came back
 * since then was not somebody else's. UINT64_MAX when the books do not reach back that far. */
static uint64_t ours_of(const struct weir_ledger_limit *limit,
                        const struct weir_ledger_entry *entry, const struct weir_instant *now)
{
  if (weir_limit_zone(limit, now->calendar))
    return entry->number < limit->day.number_today ? UINT64_MAX : limit->day.used;
  return limit->is_smoothable ? weir_trail_peak(&limit->trail, entry->start) : limit->ring.used;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
  return a < UINT64_MAX - b ? a + b : UINT64_MAX;
}

/* What others seem to have used of |limit|, when |used| of it is used in all. Whatever instances
 * without the coordinator may have used is in no book, and nobody else's. */
static void foreign_cut(struct weir_ledger_limit *limit, uint64_t used,
                        const struct weir_ledger_entry *entry, const struct weir_instant *now)
{
  const uint64_t ours = plus(ours_of(limit, entry, now), limit->config.islands);
  const uint64_t foreign = used > ours ? used - ours : 0;
  const uint64_t left = limit->ceiling > foreign ? limit->ceiling - foreign : 0;

  if (foreign > limit->ceiling / FOREIGN_PART)
    cut_to(limit, left, left, now->at);
}

/* ---- time ---- */

static void epoch_close(struct weir_ledger *l, weir_tstamp now)
{
  if (l->epoch_count == 0 || l->is_epoch_answered || now <= l->epoch_at + EPOCH_SETTLE_US)
    return;
  l->is_epoch_answered = true;
  l->clean_at = now;
  if (l->widen_us + WIDEN_STEP_US <= WEIR_LEDGER_WIDEN_MAX_US)
    l->widen_us += WIDEN_STEP_US;
}

static bool is_calm(const struct weir_ledger *l)
{
  if (l->widen_us > 0 || (l->epoch_count > 0 && !l->is_epoch_answered))
    return false;
  for (uint32_t i = 0; i < l->limits_count; i++) {
    if (is_growing(&l->limits[i]))
      return false;
  }
  return true;
}

void weir_learn_refresh(struct weir_ledger *l, weir_tstamp now)
{
  epoch_close(l, now);
  while (l->widen_us > 0 && now - l->clean_at >= WIDEN_CLEAN_US) {
    l->widen_us -= WIDEN_DECAY_US;
    l->clean_at += WIDEN_CLEAN_US;
  }
  for (uint32_t i = 0; i < l->limits_count; i++) {
    if (is_growing(&l->limits[i]))
      limit_grow(l, &l->limits[i], now);
  }
  l->is_calm = is_calm(l);
}

weir_tstamp weir_ledger_wake(const struct weir_ledger *l, weir_tstamp now)
{
  weir_tstamp wake = WEIR_NEVER;

  for (uint32_t i = 0; i < l->limits_count; i++) {
    const struct weir_ledger_limit *limit = &l->limits[i];
    weir_tstamp at = weir_time_add(now, limit->config.window_us / GROWTH_STEPS);

    if (is_growing(limit) && at < wake)
      wake = at;
  }
  return wake;
}

/* ---- what was said ---- */

static void freeze(struct weir_ledger *l, weir_tstamp until)
{
  weir_duration longest = 0;

  if (until <= l->frozen_until)
    return;
  l->frozen_until = until;
  for (uint32_t i = 0; i < l->limits_count; i++) {
    if (l->limits[i].is_smoothable && l->limits[i].config.window_us > longest)
      longest = l->limits[i].config.window_us;
  }
  l->smooth_until = weir_time_add(until, longest);
}

/* A day that is used up stays so until its end, whatever seconds the answer names. One in the
 * shadow holds nothing back, so it is as if it were not configured. */
static void day_close(struct weir_ledger *l, const struct weir_msg_settle *settle,
                      const struct weir_instant *now)
{
  weir_duration retry = settle->retry_after_us;
  bool is_closed = false;

  if (retry < DAY_RETRY_MIN_US || retry > DAY_RETRY_MAX_US)
    retry = retry < DAY_RETRY_MIN_US ? DAY_RETRY_MIN_US : DAY_RETRY_MAX_US;
  for (uint32_t i = 0; i < l->limits_count; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];
    const struct weir_calendar_zone *zone = weir_limit_zone(limit, now->calendar);
    weir_tstamp until =
        zone ? weir_time_add(zone->ends_at, WEIR_CALENDAR_SKEW_US) : weir_time_add(now->at, retry);

    if (!is_meant(limit, settle->outcome))
      continue;
    is_closed = is_closed || !limit->is_shadow;
    if (until > limit->closed_until)
      limit->closed_until = until;
  }
  if (!is_closed)
    freeze(l, weir_time_add(now->at, retry));
}

weir_tstamp weir_ledger_closed_until(const struct weir_ledger *l)
{
  weir_tstamp until = l->frozen_until;

  for (uint32_t i = 0; i < l->limits_count; i++) {
    if (!l->limits[i].config.is_shadow && l->limits[i].closed_until > until)
      until = l->limits[i].closed_until;
  }
  return until;
}

bool weir_ledger_is_cut(const struct weir_ledger *l)
{
  for (uint32_t i = 0; i < l->limits_count; i++) {
    if (l->limits[i].cut_from > 0)
      return true;
  }
  return false;
}

static bool is_explained(const struct weir_ledger *l, const struct weir_msg_settle *settle,
                         weir_tstamp now)
{
  for (uint32_t i = 0; i < l->limits_count; i++) {
    const struct weir_ledger_limit *limit = &l->limits[i];

    if (is_meant(limit, settle->outcome) &&
        (limit->ring.used > limit->effective || limit->closed_until > now ||
         (settle->stated_limit > 0 &&
          settle->stated_limit < limit->ceiling + limit->config.islands)))
      return true;
  }
  return false;
}

static void cut_all(struct weir_ledger *l, enum weir_outcome outcome, weir_tstamp now)
{
  for (uint32_t i = 0; i < l->limits_count; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];
    uint64_t used = limit->ring.used < limit->effective ? limit->ring.used : limit->effective;

    if (is_meant(limit, outcome) && used > limit->effective / 2)
      cut_to(limit, used, weir_wide_clamp(weir_wide_mul(used, CUT_PM) / 1000, WEIR_LIMIT_MAX), now);
  }
}

/* The ladder. */
static enum weir_heard unexplained(struct weir_ledger *l, const struct weir_ledger_entry *entry,
                                   enum weir_outcome outcome, const struct weir_instant *now)
{
  if (entry->number >= l->epoch_number) {
    l->epoch_number = now->number;
    l->epoch_count = 0;
    l->is_epoch_answered = false;
  }
  l->epoch_at = now->at;
  l->epoch_count++;
  if (l->profile < WEIR_PROFILE_UNIVERSAL && !l->rules.is_fixed) {
    l->profile = WEIR_PROFILE_UNIVERSAL;
    l->is_epoch_answered = true;
    weir_ledger_sub_open(l, l->sub_hold_us, false, now);
    return WEIR_HEARD_FALLBACK;
  }
  if (l->is_epoch_answered || l->epoch_count < EPOCH_CUT_COUNT)
    return WEIR_HEARD_REJECTION;
  l->is_epoch_answered = true;
  cut_all(l, outcome, now->at);
  return WEIR_HEARD_CUT;
}

/* Numbers beside the answer: a limit below ours is the truth, and what is left of it less than what
 * we left of it is somebody else's use. */
static void numbers_learn(struct weir_ledger *l, const struct weir_ledger_entry *entry,
                          const struct weir_msg_settle *settle, const struct weir_instant *now)
{
  const bool is_day = is_day_outcome(settle->outcome);
  struct weir_ledger_limit *limit;

  if (settle->stated_limit > 0 && (is_day || is_minute_outcome(settle->outcome))) {
    limit = only_meant(l, is_of_requests(settle->outcome), is_day);
    if (limit)
      ceiling_lower(l, limit, settle->stated_limit, now);
    if (limit && settle->stated_used > 0)
      foreign_cut(limit, settle->stated_used, entry, now);
  }
  limit = only_meant(l, true, false);
  if (settle->requests_limit > 0 && limit) {
    ceiling_lower(l, limit, settle->requests_limit, now);
    if (settle->requests_left <= settle->requests_limit)
      foreign_cut(limit, settle->requests_limit - settle->requests_left, entry, now);
  }
  limit = only_meant(l, false, false);
  if (settle->tokens_limit > 0 && limit) {
    ceiling_lower(l, limit, settle->tokens_limit, now);
    if (settle->tokens_left <= settle->tokens_limit)
      foreign_cut(limit, settle->tokens_limit - settle->tokens_left, entry, now);
  }
}

/* What was let through until the call |entry| was not is where growth begins. Those that started
 * before it was heard say nothing new. */
static void ramp_begin(struct weir_ledger *l, const struct weir_ledger_entry *entry,
                       const struct weir_instant *now)
{
  if (l->rules.ramp_pm == 0 || entry->number < l->ramp_number)
    return;
  if (!is_ramped(l))
    l->ramp_slower = 0;
  else if (l->ramp_slower < SLOWER_MAX)
    l->ramp_slower++;
  l->ramp_number = now->number;
  for (uint32_t i = 0; i < l->limits_count; i++) {
    struct weir_ledger_limit *limit = &l->limits[i];

    if (!limit->is_smoothable || !(counts(limit, true) || counts(limit, false)))
      continue;
    weir_ramp_begin(&limit->ramp, weir_trail_mean(&limit->trail, entry->start), limit->ceiling,
                    limit->config.window_us + l->hold_us + l->widen_us + limit->ring.slot_us,
                    now->at);
    lower(limit, limit->ramp.base);
  }
}

static bool is_news(const struct weir_msg_settle *settle)
{
  return weir_outcome_is_quota(settle->outcome) || settle->outcome == WEIR_OUTCOME_RAMP_LIMIT ||
         settle->stated_limit > 0 || settle->requests_limit > 0 || settle->tokens_limit > 0;
}

enum weir_heard weir_ledger_hear(struct weir_ledger *l, const struct weir_ledger_entry *entry,
                                 const struct weir_msg_settle *settle,
                                 const struct weir_instant *now)
{
  weir_duration wait = settle->retry_after_us ? settle->retry_after_us : FREEZE_DEFAULT_US;
  enum weir_heard heard = WEIR_HEARD_REJECTION;
  bool is_ours;

  if (!is_news(settle))
    return WEIR_HEARD_NOTHING;
  weir_ledger_refresh(l, now);
  l->is_calm = false;
  l->is_news = true;
  weir_ledger_urge(l, WEIR_URGE_SOON);
  is_ours = is_explained(l, settle, now->at);
  numbers_learn(l, entry, settle, now);
  if (settle->outcome == WEIR_OUTCOME_RAMP_LIMIT) {
    ramp_begin(l, entry, now);
    freeze(l, weir_time_add(now->at, wait < FREEZE_MAX_US ? wait : FREEZE_MAX_US));
    return WEIR_HEARD_REJECTION;
  }
  if (!weir_outcome_is_quota(settle->outcome))
    return WEIR_HEARD_NOTHING;
  if (is_day_outcome(settle->outcome)) {
    day_close(l, settle, now);
    return WEIR_HEARD_REJECTION;
  }
  if (is_minute_outcome(settle->outcome) && !is_ours)
    heard = unexplained(l, entry, settle->outcome, now);
  freeze(l, weir_time_add(now->at, wait < FREEZE_MAX_US ? wait : FREEZE_MAX_US));
  return heard;
}
