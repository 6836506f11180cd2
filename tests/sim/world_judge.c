/* world_judge.c - the provider: what arrives there, and what must hold of it. */
#include "world_state.h"

#include <stdlib.h>

static void window_slide(struct world *w)
{
  const weir_duration window = w->pool.limits[0].window_us;

  while (w->window_first < w->arrivals_count &&
         w->arrivals[w->window_first].at + window <= w->now) {
    w->in_window_requests--;
    w->in_window_tokens -= w->arrivals[w->window_first].tokens;
    w->window_first++;
  }
}

void judge_arrival(struct world *w, uint64_t tokens)
{
  if (w->arrivals_count == ARRIVALS_MAX)
    abort();
  w->arrivals[w->arrivals_count++] = (struct arrival){w->now, tokens};
  w->in_window_requests++;
  w->in_window_tokens += tokens;
  window_slide(w);
  /* After a cut the old amount rules for one window: the provider cannot take back what it had
   * admitted, nor can we. */
  if (w->now >= w->limits_fall_at) {
    w->requests_max = w->pool.limits[0].amount;
    w->tokens_max = w->pool.limits[1].amount;
  }
  if (w->in_window_requests > w->requests_max)
    world_violation(w, "%llu requests in a window of %llu",
                    (unsigned long long)w->in_window_requests, (unsigned long long)w->requests_max);
  if (w->in_window_tokens > w->tokens_max)
    world_violation(w, "%llu tokens in a window of %llu", (unsigned long long)w->in_window_tokens,
                    (unsigned long long)w->tokens_max);
  w->report->arrivals++;
}

/* Time passes until |at|. The use is that of the sliding window at every instant: a saturated
 * window repeats its bursts, so what falls into fixed windows depends on where they begin. */
void judge_time(struct world *w, weir_tstamp at)
{
  const weir_tstamp judged_from = w->end - JUDGED_WINDOWS * w->pool.limits[0].window_us;

  if (at > judged_from) {
    weir_duration passed = at - (w->now > judged_from ? w->now : judged_from);

    window_slide(w);
    w->requests_us += passed * w->in_window_requests;
    w->tokens_us += passed * w->in_window_tokens;
  }
  w->now = at;
}

void judge_report(struct world *w)
{
  const weir_duration judged_us = JUDGED_WINDOWS * w->pool.limits[0].window_us;
  const uint64_t requests_pm = w->requests_us * 1000 / judged_us / w->pool.limits[0].amount;
  const uint64_t tokens_pm = w->tokens_us * 1000 / judged_us / w->pool.limits[1].amount;
  uint64_t concurrency = 0;

  world_trace(w, "end: window %llu us, limits %llu and %llu, used %llu and %llu",
              (unsigned long long)w->pool.limits[0].window_us,
              (unsigned long long)w->pool.limits[0].amount,
              (unsigned long long)w->pool.limits[1].amount,
              (unsigned long long)(w->requests_us / judged_us),
              (unsigned long long)(w->tokens_us / judged_us));
  w->report->digest = weir_coord_digest(w->coord);
  for (uint32_t i = 0; i < w->shims_count; i++) {
    w->report->digest = w->report->digest * 31 + weir_client_digest(w->shims[i].client);
    w->report->unserved += w->shims[i].waiting;
    concurrency += w->shims[i].concurrency;
  }
  /* Judged with a backlog (of many calls far more wait than are on their way) of calls that are
   * small beside the limit: a head of most of a window's tokens rightly lets the window run empty.
   */
  w->report->is_judged = concurrency >= 40 && w->report->unserved * 4 >= concurrency &&
                         w->pool.limits[1].amount >= UINT64_C(8) * RESERVE_MAX;
  w->report->used_pm = requests_pm > tokens_pm ? requests_pm : tokens_pm;
}
