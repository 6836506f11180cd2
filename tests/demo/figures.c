#include "figures.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *left, const void *right)
{
  const uint64_t *a = left, *b = right;

  return (*a > *b) - (*a < *b);
}

/* What was admitted in (at - window, at]. */
static uint64_t used_at(const struct demo_arrival *arrivals, size_t count, uint64_t at_ms,
                        uint64_t window_ms)
{
  uint64_t used = 0;

  for (size_t i = 0; i < count; i++) {
    if (arrivals[i].at_ms <= at_ms && arrivals[i].at_ms + window_ms > at_ms)
      used += arrivals[i].tokens;
  }
  return used;
}

static bool anybody_waits(const struct demo_call *calls, size_t count, uint64_t at_ms)
{
  for (size_t i = 0; i < count; i++) {
    for (uint64_t k = 0; k < calls[i].waits_count; k++) {
      const struct demo_wait *wait = &calls[i].waits[k];

      if (wait->to_ms - wait->from_ms > DEMO_WAIT_MIN_MS &&
          wait->from_ms + DEMO_WAIT_MIN_MS < at_ms && at_ms < wait->to_ms)
        return true;
    }
  }
  return false;
}

struct quota {
  const struct demo_arrival *arrivals;
  size_t count;
  uint64_t limit, window_ms;
};

static void quota_used(const struct demo_call *calls, size_t count, uint64_t begin_ms,
                       uint64_t end_ms, const struct quota *quota, struct demo_figures *f)
{
  uint64_t instants = 0;
  double sum = 0;

  for (uint64_t at = begin_ms; at <= end_ms; at += DEMO_GRID_MS) {
    double share;

    if (!anybody_waits(calls, count, at))
      continue;
    share =
        (double)used_at(quota->arrivals, quota->count, at, quota->window_ms) / (double)quota->limit;
    sum += share < 1 ? share : 1;
    instants++;
  }
  f->quota_used = instants ? sum / (double)instants : 1;
  f->waiting_ms = instants * DEMO_GRID_MS;
}

/* The nearest-rank percentile of sorted values. */
static uint64_t percentile(const uint64_t *sorted, size_t count, size_t percent)
{
  return sorted[(count * percent + 99) / 100 - 1];
}

static void waits(const struct demo_call *calls, size_t count, struct demo_figures *f)
{
  uint64_t *sorted = malloc(count * sizeof(*sorted));

  if (!sorted)
    abort();
  for (size_t i = 0; i < count; i++)
    sorted[i] = calls[i].wait_ms;
  qsort(sorted, count, sizeof(*sorted), by_value);
  f->wait_p50_ms = percentile(sorted, count, 50);
  f->wait_p95_ms = percentile(sorted, count, 95);
  f->wait_p99_ms = percentile(sorted, count, 99);
  free(sorted);
}

struct demo_figures demo_figures_of(const struct demo_call *calls, size_t count,
                                    const struct demo_arrival *arrivals, size_t arrivals_count,
                                    uint64_t limit, uint64_t window_ms)
{
  const struct quota quota = {arrivals, arrivals_count, limit, window_ms};
  uint64_t begin_ms = UINT64_MAX, end_ms = 0;
  struct demo_figures f;

  memset(&f, 0, sizeof(f));
  f.quota_used = 1;
  if (count == 0)
    return f;
  for (size_t i = 0; i < count; i++) {
    f.failed += !calls[i].is_ok;
    f.rejected_429 += calls[i].rejected_429;
    f.input_tokens += calls[i].input_tokens;
    if (calls[i].t_first_ms < begin_ms)
      begin_ms = calls[i].t_first_ms;
    if (calls[i].t_end_ms > end_ms)
      end_ms = calls[i].t_end_ms;
  }
  f.calls = count;
  f.seconds = (double)(end_ms - begin_ms) / 1000;
  waits(calls, count, &f);
  quota_used(calls, count, begin_ms, end_ms, &quota, &f);
  return f;
}
