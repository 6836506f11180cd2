/* world_store.c - the store of the coordinator: slow, failing, silent, and torn by crashes. */
#include "world_state.h"

#include <stdlib.h>
#include <string.h>

#define LATENCY_US (10 * MS) /* of a commit in good times, at most */

/* What may be wrong with it for a while. */
enum { SLOW, FAILING, SILENT, TROUBLES };

static bool is_same(const struct weir_record *a, const struct weir_record *b)
{
  return a->kind == b->kind && a->item == b->item && strcmp(a->owner, b->owner) == 0;
}

static void row_write(struct store *store, const struct weir_record *row)
{
  uint32_t i = 0;

  while (i < store->rows_count && !is_same(&store->rows[i], row))
    i++;
  if (i == STORE_ROWS)
    abort();
  store->rows[i] = *row;
  store->rows_count += i == store->rows_count;
}

/* A crash or a failure may leave the rows of some owners. */
static void rows_write(struct world *w, bool is_torn)
{
  const struct weir_record *written = w->store.written;
  bool is_left = false;

  for (uint32_t i = 0; i < w->store.written_count; i++) {
    if (i == 0 || strcmp(written[i].owner, written[i - 1].owner) != 0)
      is_left = !is_torn || world_draw(w, 2);
    if (is_left)
      row_write(&w->store, &written[i]);
  }
  w->store.written_count = 0;
}

void store_draw(struct world *w)
{
  w->store.is_on = world_draw(w, 2);
  if (!w->store.is_on)
    w->report->enabled[WEIR_FAULT_STORE] = 0;
}

void store_trouble(struct world *w)
{
  w->store.trouble = (uint32_t)world_draw(w, TROUBLES);
  w->store.trouble_until = w->now + SECOND + world_draw(w, 20 * SECOND);
  world_trace(w, "the store is in trouble, in way %u", w->store.trouble);
}

weir_tstamp store_wake(const struct world *w)
{
  if (!w->store.is_on || !w->is_coord_up)
    return WEIR_NEVER;
  return weir_coord_keep_due(w->coord);
}

void store_write(struct world *w)
{
  struct store *store = &w->store;
  struct happening stored = {.type = HAPPENING_STORED, .life = w->coord_life};
  const bool is_bad = w->now < store->trouble_until && world_is_on(w, WEIR_FAULT_STORE);
  weir_duration latency = 1 + world_draw(w, LATENCY_US);

  store->written_count =
      weir_coord_keep(w->coord, w->now, store->written, STORE_WRITTEN_MAX, &stored.cookie);
  if (store->written_count == 0)
    abort(); /* it said that it was due */
  w->report->generations++;
  if (is_bad && store->trouble == SLOW)
    latency = world_draw(w, 3 * SECOND);
  if (is_bad && store->trouble == SILENT)
    latency = store->trouble_until - w->now + world_draw(w, SECOND);
  stored.is_over = !(is_bad && store->trouble == FAILING);
  world_expect(w, w->now + latency, &stored);
}

void store_answer(struct world *w, const struct happening *it)
{
  struct weir_coord_event event = {
      .type = WEIR_COORD_DURABLE, .now = w->now, .generation = it->cookie};

  if (!w->is_coord_up || it->life != w->coord_life)
    return;
  rows_write(w, !it->is_over);
  if (!it->is_over)
    event.type = WEIR_COORD_UNKEPT;
  coord_step(w, &event);
}

void store_crash(struct world *w)
{
  rows_write(w, true);
}
