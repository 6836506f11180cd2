#include <weir/breaker.h>

#include <assert.h>
#include <string.h>

/* An opening is shorter than it might be by up to this part, drawn, so that the fleets of several
 * coordinators do not probe in step. */
#define JITTER_PART 10

#define LOST_NEVER WEIR_NEVER /* of a probe that went well */

/* ---- what an end says ---- */

enum verdict { SAYS_NOTHING, SAYS_WELL, SAYS_FAILED };

/* Quotas, keys and accounts say nothing about whether upstream works; an answer that refuses this
 * very request says that it does. */
static enum verdict verdict_of(enum weir_outcome outcome)
{
  switch (outcome) {
  case WEIR_OUTCOME_CAPACITY_THROTTLE:
  case WEIR_OUTCOME_OVERLOADED:
  case WEIR_OUTCOME_SERVER_ERROR:
  case WEIR_OUTCOME_DEADLINE:
  case WEIR_OUTCOME_NETWORK:
    return SAYS_FAILED;
  case WEIR_OUTCOME_OK:
  case WEIR_OUTCOME_REQUEST_TOO_LARGE:
  case WEIR_OUTCOME_CONTEXT_OVERFLOW:
  case WEIR_OUTCOME_MODEL_NOT_FOUND:
  case WEIR_OUTCOME_BAD_REQUEST:
    return SAYS_WELL;
  case WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS:
  case WEIR_OUTCOME_QUOTA_MINUTE_TOKENS:
  case WEIR_OUTCOME_QUOTA_DAY_REQUESTS:
  case WEIR_OUTCOME_QUOTA_DAY_TOKENS:
  case WEIR_OUTCOME_QUOTA_SPEND:
  case WEIR_OUTCOME_RAMP_LIMIT:
  case WEIR_OUTCOME_NO_ACCESS_TIER:
  case WEIR_OUTCOME_BILLING:
  case WEIR_OUTCOME_AUTH:
  case WEIR_OUTCOME_PERMISSION:
  case WEIR_OUTCOME_CANCELLED:
  case WEIR_OUTCOME_MAX:
  default: /* 0: not ended */
    return SAYS_NOTHING;
  }
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
  return a > b ? a : b;
}

/* ---- the window ---- */

static void window_clear(struct weir_breaker *b)
{
  memset(b->slots, 0, sizeof(b->slots));
}

static uint64_t slot_number(const struct weir_breaker *b, weir_tstamp now)
{
  return now / (b->config.window_us / WEIR_BREAKER_SLOTS);
}

static struct weir_breaker_slot *slot_at(struct weir_breaker *b, weir_tstamp at)
{
  const uint64_t number = slot_number(b, at);
  struct weir_breaker_slot *slot = &b->slots[number % WEIR_BREAKER_SLOTS];

  if (slot->number != number)
    *slot = (struct weir_breaker_slot){.number = number};
  return slot;
}

static void window_count(struct weir_breaker *b, enum verdict verdict, weir_tstamp now)
{
  struct weir_breaker_slot *slot = slot_at(b, now);

  slot->calls += verdict != SAYS_NOTHING;
  slot->failures += verdict == SAYS_FAILED;
  slot->idle += verdict == SAYS_NOTHING;
}

/* Errors come sooner than answers, so the first ends of a burst are its failures: they are weighed
 * against all that started in the window and may still go well, if that is more than what ended. */
static bool is_failing(const struct weir_breaker *b, weir_tstamp now)
{
  const uint64_t number = slot_number(b, now);
  uint64_t starts = 0, calls = 0, failures = 0, idle = 0;

  for (int i = 0; i < WEIR_BREAKER_SLOTS; i++) {
    if (b->slots[i].number + WEIR_BREAKER_SLOTS <= number)
      continue;
    starts += b->slots[i].starts;
    calls += b->slots[i].calls;
    failures += b->slots[i].failures;
    idle += b->slots[i].idle;
  }
  starts = starts > idle ? starts - idle : 0;
  return calls >= b->config.calls_min &&
         failures * 1000 >= max_of(calls, starts) * b->config.failures_pm;
}

/* ---- states ---- */

static void enter(struct weir_breaker *b, enum weir_breaker_state state)
{
  if (b->state != state)
    b->changes++;
  b->state = state;
}

static weir_duration open_length(const struct weir_breaker *b, struct weir_rng *rng)
{
  weir_duration length = b->config.open_us;

  for (uint32_t i = 0; i < b->streak && length < b->config.open_max_us; i++)
    length *= 2;
  if (length > b->config.open_max_us)
    length = b->config.open_max_us;
  return length - weir_rng_below(rng, length / JITTER_PART + 1);
}

static weir_tstamp min_of(weir_tstamp a, weir_tstamp b)
{
  return a < b ? a : b;
}

static void open_now(struct weir_breaker *b, weir_tstamp now, struct weir_rng *rng)
{
  /* Who was well for as long as the longest opening is not failing again, but anew. */
  if (b->state == WEIR_BREAKER_CLOSED && now - b->closed_at >= b->config.open_max_us)
    b->streak = 0;
  b->opened_at = now;
  b->open_until = now + open_length(b, rng);
  if (b->stated_until > b->open_until)
    b->open_until = min_of(b->stated_until, now + b->config.open_max_us);
  b->streak++;
  b->period++;
  enter(b, WEIR_BREAKER_OPEN);
}

static void half_open_now(struct weir_breaker *b)
{
  memset(b->probes, 0, sizeof(b->probes));
  b->probes_max = b->config.probes;
  b->stated_until = 0;
  enter(b, WEIR_BREAKER_HALF_OPEN);
}

static void ramp_now(struct weir_breaker *b, weir_tstamp now)
{
  window_clear(b);
  b->ramp_at = b->ramp_next = now;
  enter(b, WEIR_BREAKER_RAMP);
}

static void close_now(struct weir_breaker *b, weir_tstamp now)
{
  b->closed_at = now;
  enter(b, WEIR_BREAKER_CLOSED);
}

static void forget(struct weir_breaker *b)
{
  window_clear(b);
  b->period++;
  b->streak = 0;
  b->stated_until = 0;
}

/* ---- configuration ---- */

void weir_breaker_init(struct weir_breaker *b, const struct weir_breaker_config *config)
{
  memset(b, 0, sizeof(*b));
  b->config = *config;
  b->state = WEIR_BREAKER_CLOSED;
  b->held = WEIR_STEER_AUTO;
}

void weir_breaker_configure(struct weir_breaker *b, const struct weir_breaker_config *config,
                            weir_tstamp now)
{
  if (config->window_us != b->config.window_us)
    window_clear(b);
  b->config = *config;
  b->open_until = min_of(b->open_until, weir_time_add(b->opened_at, config->open_max_us));
  if (!b->config.is_on && b->held == WEIR_STEER_AUTO) {
    forget(b);
    close_now(b, now);
  }
}

/* ---- time ---- */

static weir_tstamp first_lost(const struct weir_breaker *b)
{
  weir_tstamp first = WEIR_NEVER;

  for (uint32_t i = 0; i < b->probes_max; i++) {
    if (b->probes[i] > 0)
      first = min_of(first, b->probes[i]);
  }
  return first;
}

weir_tstamp weir_breaker_wake(const struct weir_breaker *b)
{
  if (b->state == WEIR_BREAKER_OPEN)
    return b->held == WEIR_STEER_OPEN ? WEIR_NEVER : b->open_until;
  if (b->state == WEIR_BREAKER_HALF_OPEN)
    return first_lost(b);
  if (b->state != WEIR_BREAKER_RAMP)
    return WEIR_NEVER;
  /* Starts that it gave out ahead are not to meet those that need none. */
  return max_of(weir_time_add(b->ramp_at, b->config.ramp_us), b->ramp_next);
}

static bool is_past_ramp(const struct weir_breaker *b, weir_tstamp now)
{
  return b->state == WEIR_BREAKER_RAMP &&
         now >= weir_time_add(b->ramp_at, max_of(WEIR_BREAKER_RAMP_TIMES * b->config.ramp_us,
                                                 WEIR_BREAKER_RAMP_LAST_US));
}

void weir_breaker_advance(struct weir_breaker *b, bool is_drained, weir_tstamp now,
                          struct weir_rng *rng)
{
  if (is_past_ramp(b, now))
    close_now(b, now);
  if (weir_breaker_wake(b) > now)
    return;
  if (b->state == WEIR_BREAKER_OPEN)
    half_open_now(b);
  else if (b->state == WEIR_BREAKER_HALF_OPEN)
    open_now(b, now, rng);
  else if (is_drained)
    close_now(b, now);
}

/* ---- calls ---- */

static uint32_t probe_place(const struct weir_breaker *b)
{
  uint32_t place = 0;

  while (place < b->probes_max && b->probes[place] > 0)
    place++;
  return place;
}

weir_tstamp weir_breaker_starts_at(const struct weir_breaker *b)
{
  if (b->state == WEIR_BREAKER_OPEN)
    return b->held == WEIR_STEER_OPEN ? WEIR_NEVER : b->open_until;
  if (b->state == WEIR_BREAKER_HALF_OPEN)
    return probe_place(b) < b->probes_max ? 0 : first_lost(b);
  return b->state == WEIR_BREAKER_RAMP ? b->ramp_next : 0;
}

bool weir_breaker_is_shut(const struct weir_breaker *b)
{
  return b->state == WEIR_BREAKER_OPEN ||
         (b->state == WEIR_BREAKER_HALF_OPEN && probe_place(b) == b->probes_max);
}

/* The share of the sustained rate that a ramp has reached at |at|. */
static uint64_t ramp_pm(const struct weir_breaker *b, weir_tstamp at)
{
  const weir_duration since = min_of(weir_time_sub(at, b->ramp_at), b->config.ramp_us);

  return WEIR_BREAKER_RAMP_FIRST_PM +
         (WEIR_BREAKER_RAMP_FULL_PM - WEIR_BREAKER_RAMP_FIRST_PM) * since / b->config.ramp_us;
}

static bool is_counting(const struct weir_breaker *b)
{
  return b->config.is_on && (b->state == WEIR_BREAKER_CLOSED || b->state == WEIR_BREAKER_RAMP);
}

struct weir_breaker_pass weir_breaker_take(struct weir_breaker *b, weir_tstamp start,
                                           weir_duration pace_us)
{
  struct weir_breaker_pass pass = {.period = b->period};

  assert(!weir_breaker_is_shut(b));
  if (is_counting(b))
    slot_at(b, start)->starts++;
  if (b->state == WEIR_BREAKER_HALF_OPEN) {
    const uint32_t place = probe_place(b);

    b->probes[place] = weir_time_add(start, b->config.probe_timeout_us);
    pass.probe = place + 1;
  } else if (b->state == WEIR_BREAKER_RAMP) {
    b->ramp_next =
        weir_time_add(start, min_of(pace_us, WEIR_WINDOW_MAX_US) * 1000 / ramp_pm(b, start));
  }
  return pass;
}

/* How long a failing answer asks to be left alone counts from the last opening, or from now. */
static void hear_stated(struct weir_breaker *b, weir_duration retry_after_us, weir_tstamp now)
{
  const weir_duration wait = min_of(retry_after_us, b->config.open_max_us);
  const weir_tstamp until = now + wait;

  if (wait == 0)
    return;
  if (b->state != WEIR_BREAKER_OPEN && until > b->stated_until)
    b->stated_until = until;
  else if (b->state == WEIR_BREAKER_OPEN && until > b->open_until)
    b->open_until = min_of(until, b->opened_at + b->config.open_max_us);
}

static void probe_hear(struct weir_breaker *b, uint32_t place, enum verdict verdict,
                       weir_tstamp now, struct weir_rng *rng)
{
  assert(place < b->probes_max && b->probes[place] > 0);
  if (verdict == SAYS_FAILED) {
    open_now(b, now, rng);
    return;
  }
  if (verdict == SAYS_WELL)
    b->probes[place] = LOST_NEVER;
  else if (b->probes[place] != LOST_NEVER)
    b->probes[place] = 0; /* it decides nothing: another one may go in its place */
  if (probe_place(b) == b->probes_max && first_lost(b) == LOST_NEVER)
    ramp_now(b, now);
}

void weir_breaker_hear(struct weir_breaker *b, const struct weir_breaker_pass *pass,
                       const struct weir_msg_settle *said, weir_tstamp now, struct weir_rng *rng)
{
  const bool is_over = said->is_final || !said->is_sent;
  const enum verdict end = said->is_sent ? verdict_of(said->outcome) : SAYS_NOTHING;
  const bool has_begun = said->is_sent && said->http >= 200 && said->http < 300;
  const bool is_probe = b->state == WEIR_BREAKER_HALF_OPEN && pass->probe > 0;

  if (is_over && end == SAYS_FAILED && b->config.is_on)
    hear_stated(b, said->retry_after_us, now);
  if (pass->period != b->period)
    return;
  if (is_probe && (is_over || has_begun))
    probe_hear(b, pass->probe - 1, is_over ? end : SAYS_WELL, now, rng);
  if (is_probe || !is_over || !is_counting(b))
    return;
  window_count(b, end, now);
  if (end == SAYS_FAILED && b->held == WEIR_STEER_AUTO && is_failing(b, now))
    open_now(b, now, rng);
}

/* ---- people ---- */

static void hold(struct weir_breaker *b, enum weir_steer held)
{
  if (b->held != held)
    b->changes++;
  b->held = held;
}

void weir_breaker_steer(struct weir_breaker *b, enum weir_steer steer, weir_tstamp now)
{
  hold(b, steer == WEIR_STEER_CLOSE ? WEIR_STEER_AUTO : steer);
  if (steer == WEIR_STEER_OPEN && b->state != WEIR_BREAKER_OPEN) {
    b->opened_at = b->open_until = now; /* told to decide again, it probes at once */
    b->period++;
    enter(b, WEIR_BREAKER_OPEN);
  } else if (steer == WEIR_STEER_CLOSE || steer == WEIR_STEER_FORCE ||
             (steer == WEIR_STEER_AUTO && !b->config.is_on)) {
    forget(b);
    close_now(b, now);
  }
}

/* What was half open probes at once; a ramp begins anew. */
void weir_breaker_resume(struct weir_breaker *b, enum weir_breaker_state state,
                         enum weir_steer held, uint32_t streak, weir_duration open_us,
                         weir_tstamp now)
{
  if (held == WEIR_STEER_OPEN || held == WEIR_STEER_FORCE) {
    weir_breaker_steer(b, held, now);
    return;
  }
  if (!b->config.is_on || state == WEIR_BREAKER_CLOSED)
    return;
  b->streak = streak;
  b->period++;
  if (state == WEIR_BREAKER_RAMP) {
    ramp_now(b, now);
    return;
  }
  b->opened_at = now;
  b->open_until = now;
  if (state == WEIR_BREAKER_OPEN)
    b->open_until = weir_time_add(now, min_of(open_us, b->config.open_max_us));
  enter(b, WEIR_BREAKER_OPEN);
}

/* ---- what is shown ---- */

weir_duration weir_breaker_open_us(const struct weir_breaker *b, weir_tstamp now)
{
  if (b->state != WEIR_BREAKER_OPEN)
    return 0;
  return b->held == WEIR_STEER_OPEN ? WEIR_DURATION_MAX : weir_time_sub(b->open_until, now);
}

uint32_t weir_breaker_probes(const struct weir_breaker *b)
{
  uint32_t count = 0;

  for (uint32_t i = 0; b->state == WEIR_BREAKER_HALF_OPEN && i < b->probes_max; i++)
    count += b->probes[i] > 0;
  return count;
}

void weir_breaker_check(const struct weir_breaker *b)
{
  assert(b->state > 0 && b->state < WEIR_BREAKER_MAX);
  assert(b->held == WEIR_STEER_AUTO || b->held == WEIR_STEER_OPEN || b->held == WEIR_STEER_FORCE);
  assert(b->held != WEIR_STEER_OPEN || b->state == WEIR_BREAKER_OPEN);
  assert(b->held != WEIR_STEER_FORCE || b->state == WEIR_BREAKER_CLOSED);
  assert(b->probes_max <= WEIR_PROBES_MAX);
  /* Half open, at least one probe is still to go well. */
  assert(b->state != WEIR_BREAKER_HALF_OPEN || probe_place(b) < b->probes_max ||
         first_lost(b) != LOST_NEVER);
  assert(b->state != WEIR_BREAKER_OPEN || b->held == WEIR_STEER_OPEN ||
         b->open_until <= weir_time_add(b->opened_at, b->config.open_max_us));
}
