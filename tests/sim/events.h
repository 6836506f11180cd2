/* events.h - what is going to happen, earliest first; equal instants leave in the order in which
 * they were added.
 *
 * Owner: the caller owns the queue and frees it with weir_events_fini. Cost: O(log n).
 */
#ifndef WEIR_SIM_EVENTS_H
#define WEIR_SIM_EVENTS_H

#include <stdint.h>

#include <weir/time.h>

struct weir_sim_event {
  weir_tstamp at;
  uint64_t order;
  uint32_t type;
  uint32_t instance;
  uint32_t a, b, c; /* as the type says */
};

struct weir_events {
  struct weir_sim_event *heap;
  uint32_t count, capacity;
  uint64_t order_next;
};

/* weir_events_add adds |event| at |at|; |event->at| and |order| are filled in. Aborts when memory
 * is short: a simulation that loses an event proves nothing. */
void weir_events_add(struct weir_events *q, weir_tstamp at, const struct weir_sim_event *event);

/* weir_events_take takes out the earliest event. Precondition: there is one. */
struct weir_sim_event weir_events_take(struct weir_events *q);

/* weir_events_fini frees what the queue holds; it is empty afterwards. */
void weir_events_fini(struct weir_events *q);

#endif
