/* load.h - which calls the instances want to make, and when: the same for every scheme and method.
 */
#ifndef WEIR_SIM_LOAD_H
#define WEIR_SIM_LOAD_H

#include "scenario.h"

struct weir_arrival {
  weir_tstamp at;            /* from the begin of the run */
  uint32_t tokens, estimate; /* what the call will use, and what is thought of it before */
  uint32_t instance, stream;
};

struct weir_load {
  struct weir_arrival *arrivals; /* in the order of their instants */
  uint32_t count;
  uint32_t bound; /* the limit of the set that the calls, as they are, run into first */
};

/* weir_load_make draws the calls of |workload| for |instances| and the limits of |set| and gives
 * them in |ret_load|, to be freed by weir_load_fini. WEIR_EFULL when they are more than
 * WEIR_SCENARIO_CALLS_MAX, WEIR_ENOMEM. */
WEIR_MUSTUSE enum weir_err weir_load_make(const struct weir_scenario_workload *workload,
                                          const struct weir_scenario_set *set, uint32_t instances,
                                          uint64_t seed, struct weir_load *ret_load);

/* weir_load_fini frees what a load holds. */
void weir_load_fini(struct weir_load *load);

#endif
