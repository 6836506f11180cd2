#include "simulation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <weir/hash.h>

#include "engine.h"

#define JUDGED_PM 850 /* utilisation is that of the minutes until so much of the work is done */

uint32_t weir_simulation_count(const struct weir_scenario *s)
{
  return s->schemes_count * s->methods_count * s->fleets_count * s->sets_count * s->workloads_count;
}

/* The seed of a cell follows from what the cell is, not from its place in the matrix. The workload
 * is no part of it: what streams of two workloads have in common they have alike. */
static uint64_t seed_of(const struct weir_scenario *s, const struct weir_scenario_set *set,
                        uint32_t instances)
{
  const uint64_t begin = WEIR_HASH_BASIS ^ (s->seed * UINT64_C(0x9e3779b97f4a7c15));

  return weir_hash_bytes(begin, set->name, strlen(set->name)) + instances;
}

/* ---- figures ---- */

static int by_size(const void *a, const void *b)
{
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

  return (x > y) - (x < y);
}

static double quantile_ms(const uint64_t *sorted, size_t count, size_t percent)
{
  const size_t index = count * percent / 100;

  return count == 0 ? 0 : (double)sorted[index] / 1000;
}

/* Waits of the calls that were answered, of |stream| or of all (-1): from the wish to the writing
 * of the request that succeeded. */
static void waits_find(const struct weir_sim *sim, int stream, double *ret_p50, double *ret_p99)
{
  uint64_t *waits = weir_sim_alloc(sim->arrived, sizeof(*waits));
  size_t count = 0;

  for (uint32_t i = 0; i < sim->arrived; i++) {
    const struct weir_sim_call *call = &sim->calls[i];

    if (call->state == WEIR_SIM_DONE && (stream < 0 || call->stream == (uint32_t)stream))
      waits[count++] = call->sent_at - call->at;
  }
  qsort(waits, count, sizeof(*waits), by_size);
  *ret_p50 = quantile_ms(waits, count, 50);
  *ret_p99 = quantile_ms(waits, count, 99);
  free(waits);
}

static double in_limit(const struct weir_scenario_limit *limit, double requests, double tokens)
{
  return (limit->is_tokens ? tokens : requests) / (double)limit->amount;
}

static bool has_backlog(const struct weir_sim *sim)
{
  for (uint32_t i = 0; i < sim->workload->streams_count; i++)
    if (sim->workload->streams[i].kind == WEIR_STREAM_BACKLOG)
      return true;
  return false;
}

/* The second until which most of the accepted work is in: the end of a backlog, where workers run
 * dry, is not the scheme's doing. */
static uint32_t judged_until(const struct weir_sim *sim)
{
  uint64_t all = 0, so_far = 0;
  uint32_t end = 0;

  for (uint32_t i = 0; i < sim->use_seconds; i++)
    all += sim->use[i].requests;
  for (; end < sim->use_seconds && so_far * 1000 < all * JUDGED_PM; end++)
    so_far += sim->use[end].requests;
  return end > 0 ? end - 1 : 0;
}

/* What was accepted from second |begin| to |end|, as a share of the binding limit. */
static double used_between(const struct weir_sim *sim, uint32_t begin, uint32_t end)
{
  const struct weir_scenario_limit *limit = &sim->set->limits[sim->load->bound];
  double requests = 0, tokens = 0;

  for (uint32_t i = begin; i < end; i++) {
    requests += sim->use[i].requests;
    tokens += (double)sim->use[i].tokens;
  }
  return in_limit(limit, requests, tokens) / ((end - begin) / ((double)limit->window_us / 1e6));
}

static void utilisation_find(const struct weir_sim *sim, struct weir_simulation_row *row)
{
  const uint32_t minute = 60, end = judged_until(sim) / minute * minute;

  row->has_utilisation = has_backlog(sim) && end >= minute;
  if (row->has_utilisation)
    row->utilisation = used_between(sim, 0, end);
}

/* What somebody else left of the limits while he was there, and how much of that was used. */
static void left_find(const struct weir_sim *sim, struct weir_simulation_row *row)
{
  const uint32_t begin = (uint32_t)(sim->scenario->foreign_from_us / WEIR_US_PER_S);
  const uint32_t gone = (uint32_t)(sim->scenario->foreign_until_us / WEIR_US_PER_S);
  const uint32_t judged = judged_until(sim), end = gone < judged ? gone : judged;
  double taken = 0;

  if (sim->scenario->foreign_pm == 0 || !has_backlog(sim) || end <= begin)
    return;
  for (uint32_t i = begin; i < end; i++)
    taken += sim->foreign_use[i];
  row->left = 1 - taken / (weir_sim_foreign_rate(sim) * (end - begin));
  row->has_left = row->left > 0;
  if (row->has_left)
    row->goodput_of_left = used_between(sim, begin, end) / row->left;
}

/* What was used of the limit that it fills most. */
static double dominant(const struct weir_sim *sim, double requests, double tokens)
{
  double most = 0;

  for (uint32_t i = 0; i < sim->set->limits_count; i++)
    most = fmax(most, in_limit(&sim->set->limits[i], requests, tokens));
  return most;
}

/* Shares of what all streams used of the limit that they filled most; as each stream is measured by
 * its own dominant limit, they may be more than one together. */
static void shares_find(const struct weir_sim *sim, struct weir_simulation_row *row)
{
  double requests = 0, tokens = 0, sum = 0, squares = 0, all;

  for (uint32_t i = 0; i < row->streams_count; i++) {
    requests += sim->stream_use[i].requests;
    tokens += (double)sim->stream_use[i].tokens;
  }
  all = dominant(sim, requests, tokens);
  for (uint32_t i = 0; i < row->streams_count; i++) {
    struct weir_simulation_stream *s = &row->streams[i];
    const double used =
        dominant(sim, sim->stream_use[i].requests, (double)sim->stream_use[i].tokens);

    s->share = all > 0 ? used / all : 0;
    sum += s->share / (double)s->stream->weight;
    squares += s->share * s->share / (double)(s->stream->weight * s->stream->weight);
  }
  row->fairness = squares > 0 ? sum * sum / (row->streams_count * squares) : 1;
}

static void calls_count(const struct weir_sim *sim, struct weir_simulation_row *row)
{
  for (uint32_t i = 0; i < sim->load->count; i++) {
    const struct weir_sim_call *call = &sim->calls[i];
    struct weir_simulation_stream *s = &row->streams[sim->load->arrivals[i].stream];

    row->calls++;
    s->calls++;
    row->done += call->state == WEIR_SIM_DONE;
    s->done += call->state == WEIR_SIM_DONE;
    row->failed += call->state == WEIR_SIM_FAILED;
    s->failed += call->state == WEIR_SIM_FAILED;
    row->lost += call->state == WEIR_SIM_LOST;
    s->lost += call->state == WEIR_SIM_LOST;
    row->errors += call->state == WEIR_SIM_ERROR;
  }
  row->unfinished = row->calls - row->done - row->failed - row->lost - row->errors;
}

static void outage_find(const struct weir_sim *sim, struct weir_simulation_row *row)
{
  const struct weir_arrival *arrivals = sim->load->arrivals;

  if (sim->load->count > 0)
    weir_outage_find(&sim->outage, sim->scenario, arrivals[0].at, arrivals[sim->load->count - 1].at,
                     &row->outage);
}

static void figures_find(const struct weir_sim *sim, struct weir_simulation_row *row)
{
  const double span_s =
      (double)(sim->last_at > WEIR_SIM_BEGIN ? sim->last_at - WEIR_SIM_BEGIN : 0) / 1e6;

  row->is_bound_tokens = sim->set->limits[sim->load->bound].is_tokens;
  row->streams_count = sim->workload->has_streams ? sim->workload->streams_count : 0;
  for (uint32_t i = 0; i < sim->workload->streams_count; i++)
    row->streams[i].stream = &sim->workload->streams[i];
  calls_count(sim, row);
  row->arrivals = sim->counted;
  row->rejected = sim->rejected;
  row->has_ramp = sim->scenario->slope.least > 0;
  row->ramp_rejected = sim->steep;
  row->ramp_span_s = (double)(sim->steep_last - sim->steep_first) / 1e6;
  row->foreign_arrivals = sim->foreign_counted;
  row->foreign_rejected = sim->foreign_rejected;
  row->makespan_s = span_s;
  row->goodput_per_min = span_s > 0 ? (double)row->done / span_s * 60 : 0;
  row->messages_per_call = sim->counted ? (double)sim->messages / (double)sim->counted : 0;
  row->jitter_ms = (double)(sim->scenario->lease_ttl_us + sim->scenario->jitter_us) / 1000;
  row->virtual_hours = (double)(sim->now - WEIR_SIM_BEGIN) / 3.6e9;
  row->events = sim->events_count;
  waits_find(sim, -1, &row->wait_p50_ms, &row->wait_p99_ms);
  for (uint32_t i = 0; i < row->streams_count; i++)
    waits_find(sim, (int)i, &row->streams[i].wait_p50_ms, &row->streams[i].wait_p99_ms);
  outage_find(sim, row);
  utilisation_find(sim, row);
  left_find(sim, row);
  shares_find(sim, row);
}

/* ---- the matrix ---- */

struct cell {
  const struct weir_scenario *scenario;
  const struct weir_scenario_set *set;
  const struct weir_scenario_workload *workload;
  uint32_t instances;
  struct weir_simulation_row *row; /* of the next run; those before it are kept */
  uint32_t workload_rows;          /* rows of one workload */
  weir_simulation_fn *report;
  void *context;
};

static void one_run(struct cell *cell, const struct weir_load *load, uint64_t seed,
                    enum weir_scheme scheme, enum weir_up_method method)
{
  const bool is_first = cell->workload == cell->scenario->workloads;
  struct weir_simulation_row *row = cell->row++;
  struct weir_sim sim = {.scenario = cell->scenario,
                         .set = cell->set,
                         .workload = cell->workload,
                         .load = load,
                         .scheme_name = scheme,
                         .method = method,
                         .instances_count = cell->instances};

  *row = (struct weir_simulation_row){.scheme = scheme,
                                      .method = method,
                                      .instances = cell->instances,
                                      .workload = cell->workload,
                                      .set = cell->set,
                                      .seed = cell->scenario->seed,
                                      .prior = is_first ? NULL : row - cell->workload_rows};
  weir_sim_run(&sim, seed);
  figures_find(&sim, row);
  weir_sim_fini(&sim);
  cell->report(row, cell->context);
}

static enum weir_err one_cell(struct cell *cell)
{
  const struct weir_scenario *s = cell->scenario;
  const uint64_t seed = seed_of(s, cell->set, cell->instances);
  struct weir_load load;
  enum weir_err err = weir_load_make(cell->workload, cell->set, cell->instances, seed, &load);

  if (err)
    return err;
  for (uint32_t i = 0; i < s->schemes_count; i++)
    for (uint32_t j = 0; j < s->methods_count; j++)
      one_run(cell, &load, seed + 1, s->schemes[i], s->methods[j]);
  weir_load_fini(&load);
  return WEIR_OK;
}

static enum weir_err all_cells(struct cell *cell)
{
  const struct weir_scenario *s = cell->scenario;

  for (uint32_t w = 0; w < s->workloads_count; w++) {
    for (uint32_t l = 0; l < s->sets_count; l++) {
      for (uint32_t f = 0; f < s->fleets_count; f++) {
        enum weir_err err;

        cell->workload = &s->workloads[w];
        cell->set = &s->sets[l];
        cell->instances = s->fleets[f];
        err = one_cell(cell);
        if (err)
          return err;
      }
    }
  }
  return WEIR_OK;
}

enum weir_err weir_simulation_run(const struct weir_scenario *s, weir_simulation_fn *report,
                                  void *context)
{
  const uint32_t count = weir_simulation_count(s);
  struct weir_simulation_row *rows = calloc(count, sizeof(*rows));
  struct cell cell = {.scenario = s, .row = rows, .report = report, .context = context};
  enum weir_err err;

  if (!rows)
    return WEIR_ENOMEM;
  cell.workload_rows = count / s->workloads_count;
  err = all_cells(&cell);
  free(rows);
  return err;
}
