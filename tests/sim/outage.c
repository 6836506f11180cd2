#include "outage.h"

#include <stdlib.h>

#define STEADY_MIN_US   (2 * WEIR_US_PER_S)
#define RECOVERY_BINS   10 /* a second: what is admitted in it tells of the rate */
#define RECOVERED_SHARE 0.9

void weir_outage_open(struct weir_outage *o, weir_duration length_us)
{
  *o = (struct weir_outage){.bins_count = (uint32_t)(length_us / WEIR_OUTAGE_BIN_US) + 1};
  o->arrived = calloc(o->bins_count, sizeof(*o->arrived));
  o->admitted = calloc(o->bins_count, sizeof(*o->admitted));
  if (!o->arrived || !o->admitted)
    abort();
}

void weir_outage_fini(struct weir_outage *o)
{
  free(o->arrived);
  free(o->admitted);
  *o = (struct weir_outage){0};
}

/* ---- notes ---- */

void weir_outage_wrote(struct weir_outage *o, weir_tstamp at, uint32_t attempts, bool is_first,
                       bool is_faulty)
{
  o->firsts += attempts == 0;
  o->retries += attempts > 0;
  o->retries_during += attempts > 0 && is_faulty;
  if (!is_first)
    return;
  o->asked_at = at;
  o->asked_after += o->has_rejection;
}

void weir_outage_came(struct weir_outage *o, weir_tstamp at, bool is_admitted)
{
  const weir_tstamp bin = at / WEIR_OUTAGE_BIN_US;

  if (bin >= o->bins_count)
    return;
  o->arrived[bin]++;
  o->admitted[bin] += is_admitted;
}

/* Every session is told of a change: only the first time is one. */
void weir_outage_state(struct weir_outage *o, enum weir_breaker_state state)
{
  if (state == o->breaker)
    return;
  o->breaker = state;
  o->openings += state == WEIR_BREAKER_OPEN;
  o->periods += state == WEIR_BREAKER_HALF_OPEN;
}

static uint32_t *probes_of(struct weir_outage *o, uint32_t period)
{
  const uint32_t last = WEIR_OUTAGE_PERIODS_MAX - 1, index = period > 0 ? period - 1 : 0;

  return &o->probes[index < last ? index : last];
}

uint32_t weir_outage_probe(struct weir_outage *o)
{
  (*probes_of(o, o->periods))++;
  return o->periods;
}

void weir_outage_probe_void(struct weir_outage *o, uint32_t period)
{
  if (period != o->periods || o->breaker != WEIR_BREAKER_HALF_OPEN)
    return;
  (*probes_of(o, period))--;
  o->probes_void++;
}

void weir_outage_expired(struct weir_outage *o, weir_duration late_us)
{
  o->expired++;
  if (late_us > o->overrun_us)
    o->overrun_us = late_us;
}

void weir_outage_rejected(struct weir_outage *o, weir_tstamp at)
{
  if (o->has_rejection)
    return;
  o->has_rejection = true;
  o->rejected_at = at;
}

/* ---- figures ---- */

static void faults_span(const struct weir_scenario *s, weir_tstamp *ret_from, weir_tstamp *ret_to)
{
  *ret_from = WEIR_NEVER;
  *ret_to = 0;
  for (uint32_t i = 0; i < s->faults_count; i++) {
    if (s->faults[i].from_us < *ret_from)
      *ret_from = s->faults[i].from_us;
    if (s->faults[i].to_us > *ret_to)
      *ret_to = s->faults[i].to_us;
  }
}

/* The whole bins between two instants. */
struct span {
  uint32_t begin, end;
};

static struct span span_of(const struct weir_outage *o, weir_tstamp from, weir_tstamp to)
{
  struct span span = {(uint32_t)((from + WEIR_OUTAGE_BIN_US - 1) / WEIR_OUTAGE_BIN_US),
                      (uint32_t)(to / WEIR_OUTAGE_BIN_US)};

  if (span.end > o->bins_count)
    span.end = o->bins_count;
  if (span.begin > span.end)
    span.begin = span.end;
  return span;
}

static uint64_t sum_of(const uint32_t *bins, struct span span)
{
  uint64_t sum = 0;

  for (uint32_t i = span.begin; i < span.end; i++)
    sum += bins[i];
  return sum;
}

static double mean_of(const uint32_t *bins, struct span span)
{
  return span.end > span.begin ? (double)sum_of(bins, span) / (span.end - span.begin) : 0;
}

static double most_of(const uint32_t *bins, struct span span)
{
  uint32_t most = 0;

  for (uint32_t i = span.begin; i < span.end; i++)
    most = bins[i] > most ? bins[i] : most;
  return most;
}

static void recovery_find(const struct weir_outage *o, struct span after, double steady,
                          struct weir_outage_figures *f)
{
  for (uint32_t i = after.begin; i + RECOVERY_BINS <= after.end; i++) {
    const struct span second = {i, i + RECOVERY_BINS};

    if (mean_of(o->admitted, second) < RECOVERED_SHARE * steady)
      continue;
    f->has_recovered = true;
    f->recovery_s = (double)(second.end - after.begin) * WEIR_OUTAGE_BIN_US / 1e6;
    return;
  }
}

static void bins_find(const struct weir_outage *o, const struct weir_scenario *s,
                      weir_tstamp first_us, weir_tstamp last_us, struct weir_outage_figures *f)
{
  struct span before, during, after;
  weir_tstamp from, to;

  faults_span(s, &from, &to);
  during = span_of(o, from, to);
  after = span_of(o, to, last_us);
  f->has_faults = s->faults_count > 0;
  f->during = f->has_faults ? sum_of(o->arrived, during) : 0;
  if (!f->has_faults || from < first_us || from - first_us < STEADY_MIN_US)
    return;
  before = span_of(o, from - (from - first_us) / 2, from);
  f->steady_mean = mean_of(o->arrived, before);
  f->steady_max = most_of(o->arrived, before);
  f->after_max = most_of(o->arrived, after);
  f->has_steady = f->steady_mean > 0;
  if (!f->has_steady)
    return;
  f->bin_ratio = f->after_max / f->steady_mean;
  f->bin_ratio_max = f->after_max / f->steady_max;
  recovery_find(o, after, mean_of(o->admitted, before), f);
}

static void probes_find(const struct weir_outage *o, struct weir_outage_figures *f)
{
  f->openings = o->openings;
  f->probes_void = o->probes_void;
  f->periods = o->periods < WEIR_OUTAGE_PERIODS_MAX ? o->periods : WEIR_OUTAGE_PERIODS_MAX;
  for (uint32_t i = 0; i < f->periods; i++) {
    if (i == 0 || o->probes[i] < f->probes_min)
      f->probes_min = o->probes[i];
    if (o->probes[i] > f->probes_max)
      f->probes_max = o->probes[i];
  }
}

void weir_outage_find(const struct weir_outage *o, const struct weir_scenario *s,
                      weir_tstamp first_us, weir_tstamp last_us,
                      struct weir_outage_figures *ret_figures)
{
  struct weir_outage_figures *f = ret_figures;

  *f = (struct weir_outage_figures){.retries = o->retries,
                                    .retries_during = o->retries_during,
                                    .expired = o->expired,
                                    .overrun_ms = (double)o->overrun_us / 1000,
                                    .has_moved = o->has_rejection,
                                    .asked_after = o->asked_after};
  if (o->firsts > 0)
    f->retry_share = (double)o->retries / (double)o->firsts;
  if (o->has_rejection && o->asked_at > o->rejected_at)
    f->moved_ms = (double)(o->asked_at - o->rejected_at) / 1000;
  bins_find(o, s, first_us, last_us, f);
  probes_find(o, f);
}
