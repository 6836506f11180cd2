/* choose.h - which model of a route: the decision alone, over what is known of each of them.
 *
 * Those that can start *soon* compete by their rank, which says what the route prefers; a model
 * that is only a little later than another keeps its work. When none can start soon, the earliest
 * is taken. Equals go in the order of the configuration.
 */
#ifndef WEIR_CHOOSE_H
#define WEIR_CHOOSE_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/time.h>

#define WEIR_CHOOSE_NONE UINT32_MAX

/* What is known of one model, for one ask. */
struct weir_option {
  bool is_usable; /* the ask may have it at all */
  bool is_closed; /* upstream or an operator closed it: it starts at |at| at the earliest */
  weir_tstamp at; /* when the ask could start there; WEIR_NEVER: it can never fit */
  uint64_t rank;  /* among those that can start soon the least wins */
};

struct weir_choose {
  uint32_t count;
  const struct weir_option *options;
  uint32_t prefer;      /* taken if it is not closed and starts in time; WEIR_CHOOSE_NONE: no one */
  weir_tstamp soon;     /* who starts by then starts soon */
  weir_tstamp deadline; /* who starts later is too late */
};

/* weir_choose returns the index of the option to take, or WEIR_CHOOSE_NONE: none starts in time. */
uint32_t weir_choose(const struct weir_choose *choose);

/* weir_choose_soonest returns the usable option that starts first, in time or not: what a denial
 * is about; WEIR_CHOOSE_NONE when none is usable. */
uint32_t weir_choose_soonest(const struct weir_choose *choose);

#endif
