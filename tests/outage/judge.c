#include "judge.h"

#include <string.h>

#define BIN_US    UINT64_C(100000)
#define SECOND_US UINT64_C(1000000)
#define RECOVERED 0.9

static size_t count_between(const struct outage_records *r, uint64_t from_us, uint64_t to_us,
                            bool is_admitted)
{
  size_t count = 0;

  for (size_t i = 0; i < r->requests_count; i++) {
    const struct outage_request *request = &r->requests[i];

    count += request->at_us >= from_us && request->at_us < to_us &&
             (request->is_admitted || !is_admitted);
  }
  return count;
}

/* The most requests in any of the whole bins of |length_us| from |from_us| on. */
static double most_in(const struct outage_records *r, uint64_t length_us, uint64_t from_us,
                      uint64_t to_us)
{
  double most = 0;

  for (uint64_t at = from_us; at + length_us <= to_us; at += length_us) {
    const double count = (double)count_between(r, at, at + length_us, false);

    most = count > most ? count : most;
  }
  return most;
}

static void bins_find(const struct outage_records *r, const struct outage_times *t,
                      struct outage_figures *f)
{
  const uint64_t steady_us = t->from_us - (t->from_us - t->begun_us) / 2;
  const uint64_t before_us = t->from_us - steady_us;
  const double admitted = (double)count_between(r, steady_us, t->from_us, true);

  f->bin_mean = (double)count_between(r, steady_us, t->from_us, false) * BIN_US / (double)before_us;
  f->bin_max = most_in(r, BIN_US, steady_us, t->from_us);
  f->bin_max_after = most_in(r, BIN_US, t->to_us, t->ended_us);
  f->second_max = most_in(r, SECOND_US, steady_us, t->from_us);
  f->second_max_after = most_in(r, SECOND_US, t->to_us, t->ended_us);
  f->recovery_s = -1;
  for (uint64_t at = t->to_us; at + SECOND_US <= t->ended_us && f->recovery_s < 0; at += BIN_US) {
    if ((double)count_between(r, at, at + SECOND_US, true) >=
        RECOVERED * admitted * SECOND_US / (double)before_us)
      f->recovery_s = (double)(at + SECOND_US - t->to_us) / 1e6;
  }
}

/* While the breaker is open nobody comes; who comes after such a silence (openings are up to a
 * tenth shorter than configured) is a probe, and until the first of them can have been answered
 * well there is nobody else. After the last silence the others follow, as soon as that is so. */
static void periods_find(const struct outage_records *r, const struct outage_times *t,
                         struct outage_figures *f)
{
  uint64_t begun_us = 0;

  for (size_t i = 1; i < r->requests_count; i++) {
    const uint64_t at = r->requests[i].at_us;

    if (at < t->from_us)
      continue;
    if (at - r->requests[i - 1].at_us >= t->open_us * 4 / 5 && f->periods < OUTAGE_PERIODS_MAX) {
      begun_us = at;
      f->periods++;
    }
    if (f->periods > 0 && (at < begun_us + t->answer_us || at < t->to_us))
      f->probes[f->periods - 1]++;
  }
}

static void calls_find(const struct outage_records *r, const struct outage_times *t,
                       struct outage_figures *f)
{
  uint64_t sent = 0, attempts = 0, late_us = 0;

  for (size_t i = 0; i < r->calls_count; i++) {
    const struct outage_call *call = &r->calls[i];
    const uint64_t deadline_us = call->begun_us + t->deadline_us;

    f->answered += call->is_ok;
    sent += call->attempts > 0;
    attempts += call->attempts;
    if (call->is_ok || call->over_us < deadline_us)
      continue;
    f->expired++;
    if (call->over_us - deadline_us > late_us)
      late_us = call->over_us - deadline_us;
  }
  f->calls = r->calls_count;
  f->retries = attempts - sent;
  f->retry_share = sent > 0 ? (double)f->retries / (double)sent : 0;
  f->overrun_ms = (double)late_us / 1000;
  f->unknown =
      attempts > r->requests_count ? attempts - r->requests_count : r->requests_count - attempts;
}

void outage_judge(const struct outage_records *records, const struct outage_times *times,
                  struct outage_figures *ret_figures)
{
  memset(ret_figures, 0, sizeof(*ret_figures));
  ret_figures->requests = records->requests_count;
  ret_figures->during = count_between(records, times->from_us, times->to_us, false);
  bins_find(records, times, ret_figures);
  periods_find(records, times, ret_figures);
  calls_find(records, times, ret_figures);
}

void outage_judge_move(const struct outage_records *records, struct outage_move *ret_move)
{
  struct outage_move move = {.calls = records->calls_count};
  uint64_t rejected_us = 0;

  for (size_t i = 0; i < records->calls_count; i++)
    move.answered += records->calls[i].is_ok;
  for (size_t i = 0; i < records->requests_count; i++) {
    const struct outage_request *request = &records->requests[i];

    if (request->is_foreign)
      continue;
    move.on_fallback += request->is_fallback;
    move.wandered += request->is_fallback && move.rejected == 0;
    if (request->is_fallback)
      continue;
    if (move.rejected > 0) {
      move.after++;
      move.after_ms = (double)(request->at_us - rejected_us) / 1000;
    } else if (!request->is_admitted) {
      rejected_us = request->at_us;
    }
    move.rejected += !request->is_admitted;
  }
  *ret_move = move;
}
