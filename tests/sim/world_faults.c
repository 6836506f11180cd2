/* world_faults.c - what goes wrong. */
#include "world_state.h"

/* Longer than a link is ever down: there is an occasion. */
#define LAST_CALL_US (150 * SECOND)

const char *weir_fault_name(enum weir_fault fault)
{
  switch (fault) {
#define X(name, text)                                                                              \
  case WEIR_FAULT_##name:                                                                          \
    return text;
    WEIR_FAULT_LIST(X)
#undef X
  case WEIR_FAULT_MAX:
    break;
  }
  return "?";
}

bool world_is_on(const struct world *w, enum weir_fault fault)
{
  return w->report->enabled[fault] > 0 && w->now < w->calm_at;
}

bool world_strikes(struct world *w, enum weir_fault fault, uint32_t one_in)
{
  if (!world_is_on(w, fault))
    return false;
  /* One that never struck does so at its first occasion near the end. */
  if (world_draw(w, one_in) > 0 &&
      (w->report->fired[fault] > 0 || w->now + LAST_CALL_US < w->calm_at))
    return false;
  w->report->fired[fault]++;
  return true;
}

static void coord_crash(struct world *w)
{
  struct happening it = {.type = HAPPENING_COORD_START};

  w->is_coord_up = false;
  w->coord_died = w->now;
  store_crash(w);
  it.life = ++w->coord_life;
  world_trace(w, "coordinator dies");
  for (uint32_t i = 0; i < w->shims_count; i++) {
    if (w->shims[i].is_up && !w->shims[i].is_paused)
      shim_link(w, i, false);
  }
  /* Starts promised up to the horizon ahead are over when it speaks again. */
  world_expect(
      w, w->now + WEIR_COORD_HORIZON_US + world_draw(w, (w->report->has_islands ? 30 : 3) * SECOND),
      &it);
}

/* Whatever the pool is called, and whichever has the model, it stays one quota of the provider. */
static void pool_move(struct world *w)
{
  const uint32_t other = w->names[0].pool ^ 1;

  switch (world_draw(w, 3)) {
  case 0:
    w->pool_number++;
    break;
  case 1: /* for one configuration nobody has the model */
    coord_name(w, other, false);
    coord_reload(w);
    coord_name(w, other, true);
    break;
  default:
    coord_name(w, other, true);
  }
  coord_reload(w);
  world_trace(w, "the model is in pool %s", w->pools[w->names[0].pool].name);
}

static void limits_change(struct world *w)
{
  struct window *judged = &w->windows[OF_POOL];

  for (int i = 0; i < 2; i++) {
    uint64_t *amount = &w->pool.limits[i].amount;

    *amount = world_draw(w, 2) ? *amount * 3 / 2 : *amount * 2 / 3;
    if (i == 1 && *amount < 10000)
      *amount = 10000;
    if (i == 0 && *amount < 10)
      *amount = 10;
  }
  if (w->pool.limits[0].amount > judged->requests_max)
    judged->requests_max = w->pool.limits[0].amount;
  if (w->pool.limits[1].amount > judged->tokens_max)
    judged->tokens_max = w->pool.limits[1].amount;
  /* Leases granted under the old amounts arrive up to a hold later. */
  w->limits_fall_at = w->now + w->pool.limits[0].window_us + WEIR_HOLD_MAX_US;
  if (world_draw(w, 3) == 0)
    coord_rules_draw(w);
  world_trace(w, "limits are now %llu and %llu", (unsigned long long)w->pool.limits[0].amount,
              (unsigned long long)w->pool.limits[1].amount);
  coord_reload(w);
}

/* The coordinator's wall clock is set: right, or wrong by so little that days still turn within the
 * run, or by up to an hour. */
static void clock_step(struct world *w)
{
  const weir_duration most = world_draw(w, 2) ? 3 * MINUTE : WEIR_US_PER_HOUR;

  w->wall_error_us = world_draw(w, 3) ? (int64_t)world_draw(w, 2 * most + 1) - (int64_t)most : 0;
  world_trace(w, "the wall clock is wrong by %lld us", (long long)w->wall_error_us);
  coord_clock(w);
}

static void provider_faults_draw(struct world *w)
{
  if (world_strikes(w, WEIR_FAULT_CLOCK_STEP, 40))
    clock_step(w);
  if (world_strikes(w, WEIR_FAULT_REJECT, 60))
    w->rejects_next = 1 + (uint32_t)world_draw(w, 4);
  if (world_strikes(w, WEIR_FAULT_RAMP, 60))
    w->ramps_next = 1 + (uint32_t)world_draw(w, 4);
  if (world_strikes(w, WEIR_FAULT_SERVER_ERROR, 20))
    w->errors_next = 1 + (uint32_t)world_draw(w, 4);
  if (w->now >= w->outage_until && world_strikes(w, WEIR_FAULT_OUTAGE, 60)) {
    w->outage_until = w->now + 3 * SECOND + world_draw(w, MINUTE);
    w->outage_kind = (uint32_t)world_draw(w, 3);
    world_trace(w, "the provider is down, in way %u", w->outage_kind);
  }
  if (world_strikes(w, WEIR_FAULT_SPIKE, 30))
    w->spike_until = w->now + world_draw(w, 10 * SECOND);
}

void faults_draw(struct world *w)
{
  struct happening again = {.type = HAPPENING_FAULT};
  uint32_t shim = (uint32_t)world_draw(w, w->shims_count);
  struct shim *s = &w->shims[shim];

  if (s->is_up && !s->is_paused && world_strikes(w, WEIR_FAULT_CUT, 10)) {
    struct happening up = {.type = HAPPENING_LINK_UP, .shim = shim, .life = s->life};

    shim_link(w, shim, false);
    world_expect(w, w->now + world_draw(w, 10 * SECOND), &up);
  }
  if (s->is_up && !s->is_paused && world_strikes(w, WEIR_FAULT_PARTITION, 15)) {
    struct happening up = {.type = HAPPENING_LINK_UP, .shim = shim, .life = s->life};

    shim_link(w, shim, false);
    world_expect(w, w->now + 5 * SECOND + world_draw(w, 2 * MINUTE), &up);
  }
  if (world_strikes(w, WEIR_FAULT_SHIM_CRASH, 30)) {
    world_trace(w, "shim %u dies", shim);
    s->is_up = false;
    shim_start(w, shim);
    if (!w->is_coord_up)
      shim_link(w, shim, false);
  }
  if (!s->is_paused && world_strikes(w, WEIR_FAULT_SHIM_PAUSE, 20)) {
    struct happening resume = {.type = HAPPENING_RESUME, .shim = shim, .life = s->life};

    s->is_paused = true;
    s->resume_at = w->now + world_draw(w, 15 * SECOND);
    world_trace(w, "shim %u stands still", shim);
    world_expect(w, s->resume_at, &resume);
  }
  if (w->is_coord_up && world_strikes(w, WEIR_FAULT_COORD_CRASH, 60))
    coord_crash(w);
  if (world_strikes(w, WEIR_FAULT_STORE, 30))
    store_trouble(w);
  if (world_strikes(w, WEIR_FAULT_LIMIT_CHANGE, 40))
    limits_change(w);
  if (world_strikes(w, WEIR_FAULT_POOL_MOVE, 60))
    pool_move(w);
  provider_faults_draw(w);
  if (w->now < w->calm_at)
    world_expect(w, w->now + 500 * MS + world_draw(w, SECOND), &again);
}
