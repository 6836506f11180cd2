#include <weir/pq.h>

#include <assert.h>
#include <stddef.h>

/* Places are 1-based: the parent of i is i / 2, its children are 2 i and 2 i + 1. */

static bool is_before(const struct weir_pq_node *a, const struct weir_pq_node *b)
{
  return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void place(struct weir_pq *q, struct weir_pq_node *node, uint32_t pos)
{
  q->heap[pos - 1] = node;
  node->pos = pos;
}

/* Puts |node| at |pos|, or as far up or down from there as the order demands. */
static void sift(struct weir_pq *q, struct weir_pq_node *node, uint32_t pos)
{
  while (pos > 1 && is_before(node, q->heap[pos / 2 - 1])) {
    place(q, q->heap[pos / 2 - 1], pos);
    pos /= 2;
  }
  while (pos <= q->count / 2) {
    uint32_t child = 2 * pos;

    if (child < q->count && is_before(q->heap[child], q->heap[child - 1]))
      child++;
    if (!is_before(q->heap[child - 1], node))
      break;
    place(q, q->heap[child - 1], pos);
    pos = child;
  }
  place(q, node, pos);
}

void weir_pq_init(struct weir_pq *q, struct weir_pq_node **heap, uint32_t capacity)
{
  q->heap = heap;
  q->count = 0;
  q->capacity = capacity;
  q->order_next = 0;
}

enum weir_err weir_pq_set(struct weir_pq *q, struct weir_pq_node *node, weir_tstamp at)
{
  if (node->pos == 0) {
    if (q->count == q->capacity)
      return WEIR_EFULL;
    node->pos = ++q->count;
  }
  assert(node->pos <= q->count);
  node->at = at;
  node->order = q->order_next++;
  sift(q, node, node->pos);
  return WEIR_OK;
}

void weir_pq_remove(struct weir_pq *q, struct weir_pq_node *node)
{
  uint32_t pos = node->pos;
  struct weir_pq_node *last;

  if (pos == 0)
    return;
  assert(pos <= q->count && q->heap[pos - 1] == node);
  last = q->heap[--q->count];
  if (last != node)
    sift(q, last, pos);
  node->pos = 0;
}

struct weir_pq_node *weir_pq_first(const struct weir_pq *q)
{
  return q->count > 0 ? q->heap[0] : NULL;
}

struct weir_pq_node *weir_pq_due(struct weir_pq *q, weir_tstamp now)
{
  struct weir_pq_node *first = weir_pq_first(q);

  if (!first || first->at > now)
    return NULL;
  weir_pq_remove(q, first);
  return first;
}

weir_tstamp weir_pq_wake(const struct weir_pq *q)
{
  return q->count > 0 ? q->heap[0]->at : WEIR_NEVER;
}
