/* simulation.h - runs a scenario and tells what came of each run as a row of figures.
 *
 * Owner: rows are the caller's, plain structs. Blocking: weir_simulation_run works until all is
 * done. One thread. Nothing here reads a clock.
 */
#ifndef WEIR_SIM_SIMULATION_H
#define WEIR_SIM_SIMULATION_H

#include <stdio.h>

#include "outage.h"
#include "scenario.h"

/* Of one stream of a workload. */
struct weir_simulation_stream {
  const struct weir_scenario_stream *stream;
  uint64_t calls, done, failed, lost;
  double wait_p50_ms, wait_p99_ms;
  double share; /* of what was used, in its dominant limit, while no backlog had run out */
};

struct weir_simulation_row {
  enum weir_scheme scheme;
  enum weir_up_method method;
  uint32_t instances;
  const struct weir_scenario_workload *workload;
  const struct weir_scenario_set *set;
  uint64_t seed;
  bool is_bound_tokens; /* of the binding limit: what it counts */

  uint64_t calls, done, failed, errors, lost, unfinished;
  uint64_t arrivals; /* requests that reached the provider */
  uint64_t rejected, foreign_arrivals, foreign_rejected;
  bool has_ramp;          /* the provider rejects use that grows too fast */
  uint64_t ramp_rejected; /* by that, of |rejected| */
  double ramp_span_s;     /* from the first of them to the last */
  bool has_utilisation;   /* a backlog, and at least a whole minute of it */
  double utilisation;     /* of the binding limit, 1 is all of it */
  bool has_left;          /* a backlog, and somebody else who left something of the quota */
  double left;            /* of the limits, while somebody else was there; 1 is all of them */
  double goodput_of_left; /* how much of that was used */
  double goodput_per_min, wait_p50_ms, wait_p99_ms, makespan_s, messages_per_call;
  double jitter_ms, virtual_hours;
  uint64_t events;
  struct weir_outage_figures outage;

  uint32_t streams_count; /* 0 when the workload has no list of them */
  struct weir_simulation_stream streams[WEIR_SCENARIO_STREAMS_MAX];
  double fairness; /* Jain's index of the streams' shares by their weights; 1 is even */

  /* The row of the same scheme, method, limits and instances in the workload before this one; NULL
   * in the first. Only to be followed while the row is reported. */
  const struct weir_simulation_row *prior;
};

/* What is told of every row, in the order of the runs. */
typedef void weir_simulation_fn(const struct weir_simulation_row *row, void *context);

/* weir_simulation_count returns how many runs |s| has. */
uint32_t weir_simulation_count(const struct weir_scenario *s);

/* weir_simulation_run runs all of |s| and calls |report| after each run. WEIR_EFULL when a workload
 * has more than WEIR_SCENARIO_CALLS_MAX calls, WEIR_ENOMEM; rows before that were reported. */
WEIR_MUSTUSE enum weir_err weir_simulation_run(const struct weir_scenario *s,
                                               weir_simulation_fn *report, void *context);

/* weir_simulation_judge tells whether |row| holds expectation |index| of |s|; true also when the
 * expectation is not about it. Otherwise |ret_text| says what did not hold. An expectation against
 * another workload follows |row|'s prior. */
bool weir_simulation_judge(const struct weir_scenario *s, uint32_t index,
                           const struct weir_simulation_row *row, char *ret_text, size_t size);

/* weir_simulation_json writes |row| to |file| as one JSON object on a line, and one more for each
 * stream. */
void weir_simulation_json(FILE *file, const struct weir_simulation_row *row);

/* weir_simulation_head writes the heading of a table for rows such as |row|; _text a line of it,
 * and one for each stream. */
void weir_simulation_head(FILE *file, const struct weir_simulation_row *row);
void weir_simulation_text(FILE *file, const struct weir_simulation_row *row);

#endif
