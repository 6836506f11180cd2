#include "world_state.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_PERIOD_US (30 * SECOND)

void world_trace(const struct world *w, const char *format, ...)
{
  va_list args;

  if (!w->trace)
    return;
  fprintf(w->trace, "%12.6f ", (double)(w->now - w->began) / 1e6);
  va_start(args, format);
  vfprintf(w->trace, format, args);
  va_end(args);
  fputc('\n', w->trace);
}

void world_violation(struct world *w, const char *format, ...)
{
  va_list args;

  if (w->report->violation[0])
    return;
  va_start(args, format);
  vsnprintf(w->report->violation, sizeof(w->report->violation), format, args);
  va_end(args);
  world_trace(w, "VIOLATION %s", w->report->violation);
}

uint64_t world_draw(struct world *w, uint64_t bound)
{
  return weir_rng_below(&w->rng, bound);
}

/* ---- what is going to happen ---- */

static bool is_earlier(const struct expected *a, const struct expected *b)
{
  return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void heap_swap(struct world *w, uint32_t a, uint32_t b)
{
  struct expected kept = w->heap[a];

  w->heap[a] = w->heap[b];
  w->heap[b] = kept;
}

void world_expect(struct world *w, weir_tstamp at, const struct happening *what)
{
  uint32_t i = w->heap_count, slot;

  if (i == EVENTS_MAX)
    abort();
  slot = w->free[EVENTS_MAX - 1 - w->heap_count++];
  w->happenings[slot] = *what;
  w->heap[i] = (struct expected){at < w->now ? w->now : at, w->order_next++, slot};
  for (; i > 0 && is_earlier(&w->heap[i], &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
    heap_swap(w, i, (i - 1) / 2);
}

static struct happening next_happening(struct world *w)
{
  const uint32_t slot = w->heap[0].slot;
  uint32_t i = 0;

  w->heap[0] = w->heap[--w->heap_count];
  w->free[EVENTS_MAX - 1 - w->heap_count] = slot;
  for (;;) {
    uint32_t least = i;

    for (uint32_t child = 2 * i + 1; child <= 2 * i + 2; child++) {
      if (child < w->heap_count && is_earlier(&w->heap[child], &w->heap[least]))
        least = child;
    }
    if (least == i)
      return w->happenings[slot];
    heap_swap(w, i, least);
    i = least;
  }
}

static void on_clock(struct world *w)
{
  const struct happening again = {.type = HAPPENING_CLOCK};

  if (!world_is_on(w, WEIR_FAULT_CLOCK_STEP))
    w->wall_error_us = 0;
  coord_clock(w);
  world_expect(w, w->now + CLOCK_PERIOD_US, &again);
}

static void happen(struct world *w, struct happening *it)
{
  if (it->type == HAPPENING_ANSWER && !it->is_over) { /* also of a shim that has died since */
    w->flight--;
    it->is_over = true;
  }
  if (it->type == HAPPENING_TO_COORD)
    coord_message(w, it);
  else if (it->type == HAPPENING_ARRIVE)
    judge_arrival(w, it);
  else if (it->type == HAPPENING_COORD_START)
    coord_restart(w, it->life);
  else if (it->type == HAPPENING_STORED)
    store_answer(w, it);
  else if (it->type == HAPPENING_CLOCK)
    on_clock(w);
  else if (it->type == HAPPENING_FAULT)
    faults_draw(w);
  else
    shim_happening(w, it);
}

/* Advances to the next thing that can happen: a happening or a machine's wake. Equal instants go in
 * a fixed order: the store, happenings, then the coordinator, then the shims by number. */
static bool advance(struct world *w)
{
  weir_tstamp at = w->heap_count > 0 ? w->heap[0].at : WEIR_NEVER;
  weir_tstamp coord_at = w->is_coord_up ? weir_coord_wake(w->coord) : WEIR_NEVER;
  const weir_tstamp store_at = store_wake(w);
  uint32_t shim = SHIMS_MAX;

  if (coord_at < at)
    at = coord_at;
  if (store_at < at)
    at = store_at;
  for (uint32_t i = 0; i < w->shims_count; i++) {
    weir_tstamp wake = w->shims[i].client_wake;

    if (w->shims[i].is_paused && wake < w->shims[i].resume_at)
      wake = w->shims[i].resume_at;
    if (wake < at) {
      at = wake;
      shim = i;
    }
  }
  if (at >= w->end) {
    judge_time(w, w->end);
    return false;
  }
  if (at > w->now)
    judge_time(w, at);
  w->report->events++;
  if (shim < SHIMS_MAX) {
    struct weir_client_event event = {.type = WEIR_CLIENT_TIMEOUT};

    w->shims[shim].is_paused = false;
    shim_feed(w, shim, &event);
  } else if (store_at <= w->now) {
    store_write(w);
  } else if (w->heap_count > 0 && w->heap[0].at <= at) {
    struct happening it = next_happening(w);

    happen(w, &it);
  } else {
    struct weir_coord_event event = {.type = WEIR_COORD_TIMEOUT, .now = w->now};

    coord_step(w, &event);
  }
  return w->report->violation[0] == '\0';
}

static void world_init(struct world *w, uint64_t seed, weir_duration span)
{
  static const weir_duration windows[] = {5 * SECOND, 20 * SECOND, MINUTE};
  const struct happening fault = {.type = HAPPENING_FAULT}, clock = {.type = HAPPENING_CLOCK};
  weir_duration window;

  weir_rng_init(&w->rng, seed);
  window = windows[world_draw(w, 3)];
  w->now = w->began = 1000 * SECOND + world_draw(w, SECOND);
  w->calm_at = w->now + span;
  w->end = w->calm_at + span / 2;
  for (int i = 0; i < WEIR_FAULT_PARTITION; i++)
    w->report->enabled[i] = world_draw(w, 2);
  /* The meters judge only where amounts stay and the pool keeps its books; the use of the quota is
   * judged where nothing was learned from rejections. */
  w->report->enabled[WEIR_FAULT_LIMIT_CHANGE] = world_draw(w, 3) == 0;
  w->report->enabled[WEIR_FAULT_POOL_MOVE] = world_draw(w, 3) == 0;
  w->report->enabled[WEIR_FAULT_REJECT] = world_draw(w, 3) == 0;
  w->pool.limits_count = 2;
  w->pool.limits[0] = (struct weir_limit_config){
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = window, .amount = 10 + world_draw(w, 300)};
  w->pool.limits[1] = (struct weir_limit_config){.dimension = WEIR_DIMENSION_INPUT_TOKENS,
                                                 .window_us = window,
                                                 .amount = 10000 + world_draw(w, 200000)};
  store_draw(w);
  coord_configure(w);
  judge_init(w);
  w->net_min = world_draw(w, 5 * MS);
  w->net_spread = world_draw(w, 20 * MS);
  w->up_min = world_draw(w, 50 * MS);
  w->shims_count = 1 + (uint32_t)world_draw(w, SHIMS_MAX);
  coord_start(w);
  for (uint32_t i = 0; i < w->shims_count; i++) {
    w->shims[i].concurrency = 1 + (uint32_t)world_draw(w, CALLS_MAX);
    shim_start(w, i);
  }
  world_expect(w, w->now + SECOND, &fault);
  world_expect(w, w->now + CLOCK_PERIOD_US, &clock);
}

void weir_sim_run(uint64_t seed, weir_duration span, FILE *trace_file,
                  struct weir_sim_report *ret_report)
{
  struct world *w = calloc(1, sizeof(*w));

  if (!w)
    abort();
  memset(ret_report, 0, sizeof(*ret_report));
  ret_report->seed = seed;
  w->report = ret_report;
  w->trace = trace_file;
  w->heap = calloc(EVENTS_MAX, sizeof(*w->heap));
  w->happenings = calloc(EVENTS_MAX, sizeof(*w->happenings));
  w->free = calloc(EVENTS_MAX, sizeof(*w->free));
  w->arrivals = calloc(ARRIVALS_MAX, sizeof(*w->arrivals));
  w->coord_storage = coord_storage_new();
  if (!w->heap || !w->happenings || !w->free || !w->arrivals || !w->coord_storage)
    abort();
  for (uint32_t i = 0; i < EVENTS_MAX; i++)
    w->free[i] = i;
  world_init(w, seed, span);
  while (advance(w))
    ;
  judge_report(w);
  for (uint32_t i = 0; i < w->shims_count; i++)
    free(w->shims[i].storage);
  judge_end(w);
  free(w->coord_storage);
  free(w->arrivals);
  free(w->free);
  free(w->happenings);
  free(w->heap);
  free(w);
}
