#include "load.h"

#include <math.h>
#include <stdlib.h>

#include "draw.h"

#define BURST_US     (200 * WEIR_US_PER_MS) /* the calls of a burst come within this */
#define TAIL_MAX     10                     /* times its estimate that a heavy call uses, at most */
#define TAIL_ALPHA   1.5
#define CAPACITY_ONE 1024

struct maker {
  struct weir_load *load;
  uint32_t capacity, instances;
  const struct weir_scenario_set *set;
  const struct weir_scenario_stream *stream;
  uint32_t number; /* of the stream */
  uint64_t tokens_max;
  struct weir_rng times, sizes;
  enum weir_err err;
};

static uint32_t tokens_of(struct maker *m)
{
  const struct weir_scenario_stream *s = m->stream;
  double tokens = (double)s->token_min;

  if (s->tokens == WEIR_TOKENS_PARETO)
    tokens = weir_draw_pareto(&m->sizes, (double)s->token_alpha_pm / 1000, (double)s->token_min,
                              (double)s->token_max);
  return tokens < (double)m->tokens_max ? (uint32_t)tokens : (uint32_t)m->tokens_max;
}

static uint32_t estimate_of(struct maker *m, uint32_t tokens)
{
  const struct weir_scenario_stream *s = m->stream;
  const double sigma = (double)s->estimate_sigma_pm / 1000;
  const double factor = weir_draw_lognormal(&m->sizes, 1, sigma);
  double estimate = tokens * factor * exp(-sigma * sigma / 2);

  if (s->estimate == WEIR_ESTIMATE_EXACT)
    return tokens;
  if (s->estimate == WEIR_ESTIMATE_BIASED)
    estimate *= (double)s->estimate_bias_pm / 1000;
  if (s->estimate == WEIR_ESTIMATE_HEAVY &&
      weir_draw_unit(&m->sizes) * 1000 < (double)s->estimate_tail_pm)
    estimate /= weir_draw_pareto(&m->sizes, TAIL_ALPHA, 1, TAIL_MAX);
  if (estimate < 1)
    return 1;
  return estimate < (double)m->tokens_max ? (uint32_t)estimate : (uint32_t)m->tokens_max;
}

static uint32_t instance_of(struct maker *m)
{
  const uint64_t hot = (m->instances * m->stream->hot_pm + 999) / 1000;

  if (weir_rng_below(&m->times, 1000) < m->stream->hot_calls_pm)
    return (uint32_t)weir_rng_below(&m->times, hot);
  return (uint32_t)weir_rng_below(&m->times, m->instances);
}

static void add(struct maker *m, weir_tstamp at, uint32_t instance)
{
  struct weir_load *load = m->load;
  struct weir_arrival *a;

  if (m->err)
    return;
  if (load->count == WEIR_SCENARIO_CALLS_MAX) {
    m->err = WEIR_EFULL;
    return;
  }
  if (load->count == m->capacity) {
    const uint32_t capacity = m->capacity ? m->capacity * 2 : CAPACITY_ONE;
    struct weir_arrival *grown = realloc(load->arrivals, capacity * sizeof(*grown));

    if (!grown) {
      m->err = WEIR_ENOMEM;
      return;
    }
    load->arrivals = grown;
    m->capacity = capacity;
  }
  a = &load->arrivals[load->count++];
  *a = (struct weir_arrival){.at = at, .instance = instance, .stream = m->number};
  a->tokens = tokens_of(m);
  a->estimate = estimate_of(m, a->tokens);
}

static double tokens_mean(const struct weir_scenario_stream *s)
{
  if (s->tokens == WEIR_TOKENS_CONSTANT)
    return (double)s->token_min;
  return weir_pareto_mean((double)s->token_alpha_pm / 1000, (double)s->token_min,
                          (double)s->token_max);
}

/* Calls in a second that use |load| of the limit that binds. */
static double rate_of(const struct maker *m)
{
  double rate = HUGE_VAL;

  for (uint32_t i = 0; i < m->set->limits_count; i++) {
    const struct weir_scenario_limit *limit = &m->set->limits[i];
    const double cost = limit->is_tokens ? tokens_mean(m->stream) : 1;

    if (!limit->is_day)
      rate = fmin(rate, (double)limit->amount / cost / ((double)limit->window_us / 1e6));
  }
  return rate * (double)m->stream->load_pm / 1000;
}

static void make_backlog(struct maker *m)
{
  for (uint64_t i = 0; i < m->stream->calls && !m->err; i++)
    add(m, m->stream->start_us, (uint32_t)(i % m->instances));
}

static void make_poisson(struct maker *m, double rate)
{
  double at = weir_draw_exponential(&m->times, 1e6 / rate);

  for (; at < (double)m->stream->duration_us && !m->err;
       at += weir_draw_exponential(&m->times, 1e6 / rate))
    add(m, m->stream->start_us + (weir_tstamp)at, instance_of(m));
}

static void make_bursts(struct maker *m, double rate)
{
  const struct weir_scenario_stream *s = m->stream;
  const double calls = rate * (double)s->burst_pm / 1000 * (double)s->duration_us / 1e6;
  const weir_duration period = s->duration_us / s->bursts;
  double *sizes = calloc(s->bursts, sizeof(*sizes)), sum = 0;

  if (!sizes) {
    m->err = WEIR_ENOMEM;
    return;
  }
  for (uint64_t i = 0; i < s->bursts; i++)
    sum += sizes[i] = weir_draw_exponential(&m->times, 1);
  for (uint64_t i = 0; i < s->bursts; i++) {
    const weir_tstamp at = s->start_us + i * period + weir_rng_below(&m->times, period);
    const uint64_t count = (uint64_t)(calls * sizes[i] / sum);

    for (uint64_t j = 0; j < count && !m->err; j++)
      add(m, at + weir_rng_below(&m->times, BURST_US), instance_of(m));
  }
  free(sizes);
}

static int by_instant(const void *a, const void *b)
{
  const struct weir_arrival *x = a, *y = b;

  if (x->at != y->at)
    return x->at < y->at ? -1 : 1;
  if (x->stream != y->stream)
    return x->stream < y->stream ? -1 : 1;
  if (x->instance != y->instance)
    return x->instance < y->instance ? -1 : 1;
  return (x->tokens > y->tokens) - (x->tokens < y->tokens);
}

static bool is_sorted(const struct weir_load *load)
{
  for (uint32_t i = 1; i < load->count; i++)
    if (load->arrivals[i].at < load->arrivals[i - 1].at)
      return false;
  return true;
}

/* The limit that all calls together would take longest to pass. */
static uint32_t bound_of(const struct weir_load *load, const struct weir_scenario_set *set)
{
  double tokens = 0, longest = -1;
  uint32_t bound = 0;

  for (uint32_t i = 0; i < load->count; i++)
    tokens += load->arrivals[i].tokens;
  for (uint32_t i = 0; i < set->limits_count; i++) {
    const struct weir_scenario_limit *limit = &set->limits[i];
    const double time = (limit->is_tokens ? tokens : load->count) / (double)limit->amount *
                        (double)limit->window_us;

    if (!limit->is_day && time > longest) {
      longest = time;
      bound = i;
    }
  }
  return bound;
}

enum weir_err weir_load_make(const struct weir_scenario_workload *workload,
                             const struct weir_scenario_set *set, uint32_t instances, uint64_t seed,
                             struct weir_load *ret_load)
{
  struct maker m = {.load = ret_load, .instances = instances, .set = set, .tokens_max = UINT32_MAX};
  struct weir_rng rng;

  *ret_load = (struct weir_load){0};
  weir_rng_init(&rng, seed);
  for (uint32_t i = 0; i < set->limits_count; i++)
    if (set->limits[i].is_tokens && set->limits[i].amount < m.tokens_max)
      m.tokens_max = set->limits[i].amount;
  for (uint32_t i = 0; i < workload->streams_count; i++) {
    const struct weir_scenario_stream *s = &workload->streams[i];

    m.stream = s;
    m.number = i;
    weir_rng_init(&m.times, weir_rng_split(&rng));
    weir_rng_init(&m.sizes, weir_rng_split(&rng));
    if (s->kind == WEIR_STREAM_BACKLOG) {
      make_backlog(&m);
    } else {
      const double rate = rate_of(&m);
      const double burst = s->kind == WEIR_STREAM_BURSTY ? (double)s->burst_pm / 1000 : 0;

      if (burst < 1)
        make_poisson(&m, rate * (1 - burst));
      if (burst > 0)
        make_bursts(&m, rate);
    }
  }
  if (m.err) {
    weir_load_fini(ret_load);
    return m.err;
  }
  if (!is_sorted(ret_load)) /* a backlog as it is made is dealt out in turn */
    qsort(ret_load->arrivals, ret_load->count, sizeof(*ret_load->arrivals), by_instant);
  ret_load->bound = bound_of(ret_load, set);
  return WEIR_OK;
}

void weir_load_fini(struct weir_load *load)
{
  free(load->arrivals);
  *load = (struct weir_load){0};
}
