/* world_coord.c - the coordinator's machine, and what it is configured with. */
#include "world_state.h"

#include <stdlib.h>
#include <string.h>

static const struct weir_coord_bounds bounds = {.pools_max = POOL_NAMES + 2,
                                                .names_max = 2,
                                                .sessions_max = 64,
                                                .asks_max = 1024,
                                                .leases_max = 4096};

void *coord_storage_new(void)
{
  return calloc(1, weir_coord_size(&bounds));
}

void coord_step(struct world *w, const struct weir_coord_event *event)
{
  if (weir_coord_step(w->coord, event, &w->coord_update) != WEIR_OK)
    abort();
  weir_coord_check(w->coord);
  if (weir_coord_grant_max(w->coord) > w->granted_max)
    w->granted_max = weir_coord_grant_max(w->coord);
  for (uint32_t i = 0; i < w->coord_update.count; i++)
    shim_send(w, w->coord_update.sends[i].route, &w->coord_update.sends[i].msg);
}

void coord_start(struct world *w)
{
  struct weir_coord_start start = {.epoch = ++w->epoch, .seed = weir_rng_next(&w->rng)};

  start.has_past = w->epoch > 1;
  start.past_us = 0;
  memset(w->coord_storage, 0, weir_coord_size(&bounds));
  if (weir_coord_init(w->coord_storage, &bounds, &w->config, &start, w->now, &w->coord) != WEIR_OK)
    abort();
  w->is_coord_up = true;
  world_trace(w, "coordinator starts, epoch %llu", (unsigned long long)w->epoch);
}

void coord_pools_make(struct world *w)
{
  w->pools[0] = w->pools[1] = w->pool;
  snprintf(w->pools[0].name, sizeof(w->pools[0].name), "p%u", w->pool_number % POOL_NAMES);
  strcpy(w->pools[1].name, "other");
}

void coord_reload(struct world *w)
{
  struct weir_coord_event event = {.type = WEIR_COORD_CONFIG, .now = w->now, .config = &w->config};

  coord_pools_make(w);
  if (w->is_coord_up)
    coord_step(w, &event);
}

void coord_restart(struct world *w, uint32_t life)
{
  if (life != w->coord_life)
    return;
  coord_start(w);
  for (uint32_t i = 0; i < w->shims_count; i++) {
    if (!w->shims[i].is_up && !w->shims[i].is_paused)
      shim_link(w, i, true);
  }
}

void coord_message(struct world *w, const struct happening *it)
{
  struct weir_coord_event event = {
      .type = WEIR_COORD_MESSAGE, .now = w->now, .route = it->route, .msg = &it->msg};

  if (w->is_coord_up && it->life == w->coord_life &&
      it->route == shim_route(w, (uint32_t)(it->route >> 32)))
    coord_step(w, &event);
}
