#include "events.h"

#include <stdbool.h>
#include <stdlib.h>

#define CAPACITY_FIRST 1024
#define WAYS           4 /* children of a node: flatter than a binary heap, so fewer misses */

static bool is_earlier(const struct weir_sim_event *a, const struct weir_sim_event *b)
{
  return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void grow(struct weir_events *q)
{
  q->capacity = q->capacity ? q->capacity * 2 : CAPACITY_FIRST;
  q->heap = realloc(q->heap, q->capacity * sizeof(*q->heap));
  if (!q->heap)
    abort();
}

void weir_events_add(struct weir_events *q, weir_tstamp at, const struct weir_sim_event *event)
{
  struct weir_sim_event added = *event;
  uint32_t i;

  if (q->count == q->capacity)
    grow(q);
  added.at = at;
  added.order = q->order_next++;
  for (i = q->count++; i > 0 && is_earlier(&added, &q->heap[(i - 1) / WAYS]); i = (i - 1) / WAYS)
    q->heap[i] = q->heap[(i - 1) / WAYS];
  q->heap[i] = added;
}

struct weir_sim_event weir_events_take(struct weir_events *q)
{
  const struct weir_sim_event first = q->heap[0], last = q->heap[--q->count];
  uint32_t i = 0;

  for (;;) {
    const uint32_t from = i * WAYS + 1;
    uint32_t least = from;

    if (from >= q->count)
      break;
    for (uint32_t child = from + 1; child < from + WAYS && child < q->count; child++)
      if (is_earlier(&q->heap[child], &q->heap[least]))
        least = child;
    if (!is_earlier(&q->heap[least], &last))
      break;
    q->heap[i] = q->heap[least];
    i = least;
  }
  q->heap[i] = last;
  return first;
}

void weir_events_fini(struct weir_events *q)
{
  free(q->heap);
  *q = (struct weir_events){0};
}
