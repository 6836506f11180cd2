/* pq.h - an intrusive timer heap: equal instants leave in the order in which they were added.
 *
 * Owner: the caller owns nodes and the array of pointers; the heap only links them. A node is in
 * at most one heap; |pos| is 0 while it is in none. Cost: O(log n) each, the minimum O(1).
 */
#ifndef WEIR_PQ_H
#define WEIR_PQ_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/err.h>
#include <weir/time.h>

struct weir_pq_node {
  weir_tstamp at;
  uint64_t order;
  uint32_t pos; /* 1-based place in the heap; 0 = in none */
};

struct weir_pq {
  struct weir_pq_node **heap;
  uint32_t count, capacity;
  uint64_t order_next;
};

/* weir_pq_init makes an empty heap over |heap|, room for |capacity| pointers, kept by the caller.
 */
void weir_pq_init(struct weir_pq *q, struct weir_pq_node **heap, uint32_t capacity);

/* weir_pq_set adds |node| at instant |at|, or moves it there (it then counts as newly added);
 * WEIR_EFULL, changing nothing, when it is new and the heap is at capacity. */
WEIR_MUSTUSE enum weir_err weir_pq_set(struct weir_pq *q, struct weir_pq_node *node,
                                       weir_tstamp at);

/* weir_pq_remove takes |node| out; does nothing when it is in no heap. */
void weir_pq_remove(struct weir_pq *q, struct weir_pq_node *node);

/* weir_pq_first returns the earliest node without taking it out, or NULL. */
struct weir_pq_node *weir_pq_first(const struct weir_pq *q);

/* weir_pq_due takes out and returns the earliest node if its instant is at or before |now|, else
 * NULL. */
struct weir_pq_node *weir_pq_due(struct weir_pq *q, weir_tstamp now);

/* weir_pq_wake returns the earliest instant, or WEIR_NEVER for an empty heap. */
weir_tstamp weir_pq_wake(const struct weir_pq *q);

#endif
