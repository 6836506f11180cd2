/* world_faults.c - what goes wrong. */
#include "world_state.h"

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
  if (!world_is_on(w, fault) || world_draw(w, one_in) > 0)
    return false;
  w->report->fired[fault]++;
  return true;
}

static void coord_crash(struct world *w)
{
  struct happening it = {.type = HAPPENING_COORD_START};

  w->is_coord_up = false;
  it.life = ++w->coord_life;
  world_trace(w, "coordinator dies");
  for (uint32_t i = 0; i < w->shims_count; i++) {
    if (w->shims[i].is_up && !w->shims[i].is_paused)
      shim_link(w, i, false);
  }
  /* Starts promised up to the horizon ahead are over when it speaks again. */
  world_expect(w, w->now + WEIR_COORD_HORIZON_US + world_draw(w, 3 * SECOND), &it);
}

/* Whatever the pool is called, and whichever has the model, it stays one quota of the provider. */
static void pool_move(struct world *w)
{
  switch (world_draw(w, 3)) {
  case 0:
    w->pool_number++;
    break;
  case 1: /* for one configuration nobody has the model */
    w->config.names_count = 0;
    coord_reload(w);
    w->config.names_count = 1;
    w->name.pool ^= 1;
    break;
  default:
    w->name.pool ^= 1;
  }
  coord_reload(w);
  world_trace(w, "the model is in pool %s", w->pools[w->name.pool].name);
}

static void limits_change(struct world *w)
{
  for (int i = 0; i < 2; i++) {
    uint64_t *amount = &w->pool.limits[i].amount;

    *amount = world_draw(w, 2) ? *amount * 3 / 2 : *amount * 2 / 3;
    if (i == 1 && *amount < 10000)
      *amount = 10000;
    if (i == 0 && *amount < 10)
      *amount = 10;
  }
  if (w->pool.limits[0].amount > w->requests_max)
    w->requests_max = w->pool.limits[0].amount;
  if (w->pool.limits[1].amount > w->tokens_max)
    w->tokens_max = w->pool.limits[1].amount;
  /* Leases granted under the old amounts arrive up to a hold later. */
  w->limits_fall_at = w->now + w->pool.limits[0].window_us + WEIR_HOLD_MAX_US;
  world_trace(w, "limits are now %llu and %llu", (unsigned long long)w->pool.limits[0].amount,
              (unsigned long long)w->pool.limits[1].amount);
  coord_reload(w);
}

void faults_draw(struct world *w)
{
  struct happening again = {.type = HAPPENING_FAULT};
  uint32_t shim = (uint32_t)world_draw(w, w->shims_count);
  struct shim *s = &w->shims[shim];

  if (world_strikes(w, WEIR_FAULT_CUT, 10) && s->is_up && !s->is_paused) {
    struct happening up = {.type = HAPPENING_LINK_UP, .shim = shim, .life = s->life};

    shim_link(w, shim, false);
    world_expect(w, w->now + world_draw(w, 10 * SECOND), &up);
  }
  if (world_strikes(w, WEIR_FAULT_SHIM_CRASH, 30)) {
    world_trace(w, "shim %u dies", shim);
    s->is_up = false;
    shim_start(w, shim);
    if (!w->is_coord_up)
      shim_link(w, shim, false);
  }
  if (world_strikes(w, WEIR_FAULT_SHIM_PAUSE, 20) && !s->is_paused) {
    struct happening resume = {.type = HAPPENING_RESUME, .shim = shim, .life = s->life};

    s->is_paused = true;
    s->resume_at = w->now + world_draw(w, 15 * SECOND);
    world_trace(w, "shim %u stands still", shim);
    world_expect(w, s->resume_at, &resume);
  }
  if (world_strikes(w, WEIR_FAULT_COORD_CRASH, 60) && w->is_coord_up)
    coord_crash(w);
  if (world_strikes(w, WEIR_FAULT_LIMIT_CHANGE, 40))
    limits_change(w);
  if (world_strikes(w, WEIR_FAULT_POOL_MOVE, 60))
    pool_move(w);
  if (w->now < w->calm_at)
    world_expect(w, w->now + 500 * MS + world_draw(w, SECOND), &again);
}
