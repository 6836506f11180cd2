#include "judge.h"

#include <stdlib.h>
#include <string.h>

static double ms_between(uint64_t from_us, uint64_t to_us)
{
  return to_us > from_us ? (double)(to_us - from_us) / 1000 : 0;
}

static int by_value(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

double chaos_percentile(double *values, size_t count, double share)
{
  size_t rank = (size_t)(share * (double)count);

  if (count == 0)
    return 0;
  qsort(values, count, sizeof(*values), by_value);
  if ((double)rank < share * (double)count)
    rank++;
  return values[rank > 0 ? (rank < count ? rank : count) - 1 : 0];
}

uint64_t chaos_arrivals(const struct chaos_records *records, uint64_t from_us, uint64_t to_us)
{
  uint64_t count = 0;

  for (size_t i = 0; i < records->requests_count; i++)
    count += records->requests[i].at_us >= from_us && records->requests[i].at_us < to_us;
  return count;
}

/* Windows are half-open, so what came exactly a window ago has left. */
static uint64_t peak_of(const struct chaos_records *r)
{
  uint64_t used = 0, peak = 0;
  size_t tail = 0;

  for (size_t i = 0; i < r->requests_count; i++) {
    for (; r->requests[i].at_us - r->requests[tail].at_us >= r->window_us; tail++)
      used -= r->requests[tail].is_admitted;
    used += r->requests[i].is_admitted;
    peak = used > peak ? used : peak;
  }
  return peak;
}

static void span_find(const struct chaos_records *r, struct chaos_figures *f)
{
  uint64_t admitted = 0, last_us = r->from_us;
  double quota = (double)r->amount * (double)(r->to_us - r->from_us) / (double)r->window_us;
  double silence_ms = 0;

  for (size_t i = 0; i < r->requests_count; i++) {
    const struct outage_request *request = &r->requests[i];

    f->over += !request->is_admitted;
    if (request->at_us < r->from_us || request->at_us >= r->to_us || !request->is_admitted)
      continue;
    admitted++;
    if (ms_between(last_us, request->at_us) > silence_ms)
      silence_ms = ms_between(last_us, request->at_us);
    last_us = request->at_us;
  }
  if (ms_between(last_us, r->to_us) > silence_ms)
    silence_ms = ms_between(last_us, r->to_us);
  f->use = quota > 0 ? (double)admitted / quota : 0;
  f->longest_silence_s = silence_ms / 1000;
}

/* What a former life had granted arrives within milliseconds of its end, before the next life is
 * ready: the first arrival after that is one of its own. */
static void recoveries_find(const struct chaos_records *r, double *scratch, struct chaos_figures *f)
{
  size_t at = 0, count = 0;

  for (size_t i = 0; i < r->blows_count; i++) {
    const struct chaos_blow *blow = &r->blows[i];
    const uint64_t next_us = i + 1 < r->blows_count ? r->blows[i + 1].down_us : r->to_us;

    while (at < r->requests_count &&
           (r->requests[at].at_us < blow->up_us || !r->requests[at].is_admitted))
      at++;
    if (at == r->requests_count || r->requests[at].at_us >= next_us) {
      f->barren++;
      continue;
    }
    scratch[count++] = ms_between(blow->down_us, r->requests[at].at_us);
    if (ms_between(blow->up_us, r->requests[at].at_us) > f->worst_from_up_ms)
      f->worst_from_up_ms = ms_between(blow->up_us, r->requests[at].at_us);
  }
  f->p50_ms = chaos_percentile(scratch, count, 0.5);
  f->worst_ms = chaos_percentile(scratch, count, 1);
}

void chaos_judge(const struct chaos_records *records, double *scratch,
                 struct chaos_figures *ret_figures)
{
  memset(ret_figures, 0, sizeof(*ret_figures));
  ret_figures->blows = records->blows_count;
  ret_figures->arrivals = records->requests_count;
  ret_figures->peak = peak_of(records);
  span_find(records, ret_figures);
  recoveries_find(records, scratch, ret_figures);
}

uint64_t chaos_balance_twice(const struct chaos_balance *balance)
{
  /* A call that was killed may have sent one request that nobody has counted. */
  const uint64_t known = balance->attempts + (balance->begun - balance->over);

  return balance->arrivals > known ? balance->arrivals - known : 0;
}

uint64_t chaos_balance_lost(const struct chaos_balance *balance)
{
  return balance->attempts > balance->arrivals ? balance->attempts - balance->arrivals : 0;
}
