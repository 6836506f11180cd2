/* report.c - rows for people, for machines, and against what was expected of them. */
#include <inttypes.h>
#include <string.h>

#include "simulation.h"

static const char *bound_name(const struct weir_simulation_row *row)
{
  return row->is_bound_tokens ? "tokens" : "requests";
}

/* ---- JSON: names hold nothing that needs escaping (scenario_yaml.c) ---- */

static void json_begin(FILE *file, const char *type, const struct weir_simulation_row *row)
{
  fprintf(file,
          "{\"row\":\"%s\",\"scheme\":\"%s\",\"method\":\"%s\",\"instances\":%" PRIu32
          ",\"workload\":\"%s\",\"limits\":\"%s\",\"bound\":\"%s\",\"seed\":%" PRIu64,
          type, weir_scheme_name(row->scheme), weir_up_method_name(row->method), row->instances,
          row->workload->name, row->set->name, bound_name(row), row->seed);
}

static void json_outage(FILE *file, const struct weir_outage_figures *f)
{
  fprintf(file,
          ",\"retries\":%" PRIu64 ",\"retry_share\":%.4f,\"expired\":%" PRIu64
          ",\"overrun_ms\":%.3f",
          f->retries, f->retry_share, f->expired, f->overrun_ms);
  if (f->has_moved)
    fprintf(file, ",\"moved_ms\":%.3f,\"asked_after\":%" PRIu64, f->moved_ms, f->asked_after);
  if (!f->has_faults)
    return;
  fprintf(file,
          ",\"fault_arrivals\":%" PRIu64 ",\"fault_retries\":%" PRIu64 ",\"openings\":%" PRIu32
          ",\"half_open\":%" PRIu32 ",\"probes_min\":%" PRIu32 ",\"probes_max\":%" PRIu32
          ",\"probes_void\":%" PRIu64,
          f->during, f->retries_during, f->openings, f->periods, f->probes_min, f->probes_max,
          f->probes_void);
  if (f->has_steady)
    fprintf(file,
            ",\"bin_mean\":%.3f,\"bin_max\":%.0f,\"bin_max_after\":%.0f,\"bin_ratio\":%.4f,"
            "\"bin_ratio_max\":%.4f",
            f->steady_mean, f->steady_max, f->after_max, f->bin_ratio, f->bin_ratio_max);
  if (f->has_recovered)
    fprintf(file, ",\"recovery_s\":%.1f", f->recovery_s);
  else
    fputs(",\"recovery_s\":null", file);
}

static void json_stream(FILE *file, const struct weir_simulation_row *row,
                        const struct weir_simulation_stream *s)
{
  json_begin(file, "stream", row);
  fprintf(file,
          ",\"stream\":\"%s\",\"class\":\"%s\",\"tenant\":\"%s\",\"weight\":%" PRIu64
          ",\"calls\":%" PRIu64 ",\"done\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"lost\":%" PRIu64,
          s->stream->name, weir_class_name(s->stream->class), s->stream->tenant, s->stream->weight,
          s->calls, s->done, s->failed, s->lost);
  fprintf(file, ",\"wait_p50_ms\":%.3f,\"wait_p99_ms\":%.3f,\"share\":%.4f,\"fairness\":%.4f}\n",
          s->wait_p50_ms, s->wait_p99_ms, s->share, row->fairness);
}

void weir_simulation_json(FILE *file, const struct weir_simulation_row *row)
{
  json_begin(file, "run", row);
  fprintf(file,
          ",\"calls\":%" PRIu64 ",\"done\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"errors\":%" PRIu64
          ",\"lost\":%" PRIu64 ",\"unfinished\":%" PRIu64 ",\"arrivals\":%" PRIu64
          ",\"rejected_429\":%" PRIu64 ",\"foreign_arrivals\":%" PRIu64
          ",\"foreign_rejected\":%" PRIu64,
          row->calls, row->done, row->failed, row->errors, row->lost, row->unfinished,
          row->arrivals, row->rejected, row->foreign_arrivals, row->foreign_rejected);
  if (row->has_utilisation)
    fprintf(file, ",\"utilisation\":%.5f", row->utilisation);
  else
    fputs(",\"utilisation\":null", file);
  if (row->has_left)
    fprintf(file, ",\"left\":%.5f,\"goodput_of_left\":%.5f", row->left, row->goodput_of_left);
  else
    fputs(",\"left\":null,\"goodput_of_left\":null", file);
  fprintf(file,
          ",\"goodput_per_min\":%.1f,\"wait_p50_ms\":%.3f,\"wait_p99_ms\":%.3f,"
          "\"makespan_s\":%.3f,\"messages_per_call\":%.3f,\"jitter_ms\":%.3f,"
          "\"virtual_hours\":%.5f,\"events\":%" PRIu64,
          row->goodput_per_min, row->wait_p50_ms, row->wait_p99_ms, row->makespan_s,
          row->messages_per_call, row->jitter_ms, row->virtual_hours, row->events);
  if (row->has_ramp)
    fprintf(file, ",\"ramp_rejected\":%" PRIu64 ",\"ramp_span_s\":%.3f", row->ramp_rejected,
            row->ramp_span_s);
  json_outage(file, &row->outage);
  fputs("}\n", file);
  for (uint32_t i = 0; i < row->streams_count; i++)
    json_stream(file, row, &row->streams[i]);
}

/* ---- the table, for 100 columns ---- */

void weir_simulation_head(FILE *file, const struct weir_simulation_row *row)
{
  fprintf(file, "\n%s, limits %s (%s bind), %" PRIu32 " instance%s\n", row->workload->name,
          row->set->name, bound_name(row), row->instances, row->instances == 1 ? "" : "s");
  fprintf(file, "%-14s %-7s %8s %6s %6s %7s %9s %8s %8s %8s %6s\n", "scheme", "method", "429s",
          "of all", "lost", "used", "done/min", "p50 s", "p99 s", "all s", "msgs");
}

static void text_outage(FILE *file, const struct weir_simulation_row *row)
{
  const struct weir_outage_figures *f = &row->outage;

  if (f->has_moved && f->asked_after > 0)
    fprintf(file, "  first 429 heard of: %" PRIu64 " more requests there, the last %.1f ms later\n",
            f->asked_after, f->moved_ms);
  if (!f->has_faults)
    return;
  fprintf(file,
          "  outage: %" PRIu64 " requests came meanwhile, %" PRIu64 " of them new attempts (%.1f%% "
          "of all calls)\n",
          f->during, f->retries_during, f->retry_share * 100);
  if (f->openings > 0)
    fprintf(file,
            "  breaker: opened %" PRIu32 " times, %" PRIu32 " half-open periods of %" PRIu32
            " to %" PRIu32 " probes (and %" PRIu64 " that were hung up)\n",
            f->openings, f->periods, f->probes_min, f->probes_max, f->probes_void);
  if (f->has_steady)
    fprintf(
        file,
        "  requests in 100 ms: %.1f before (%.0f at most), %.0f at most after: %.2f of the mean, "
        "%.2f of the most\n",
        f->steady_mean, f->steady_max, f->after_max, f->bin_ratio, f->bin_ratio_max);
  if (f->has_recovered)
    fprintf(file, "  90%% of the rate before came back %.1f s after it\n", f->recovery_s);
  fprintf(file,
          "  %" PRIu64 " of %" PRIu64 " calls were answered; %" PRIu64
          " missed their deadline, by %.1f ms at most\n",
          row->done, row->calls, f->expired, f->overrun_ms);
}

void weir_simulation_text(FILE *file, const struct weir_simulation_row *row)
{
  const double all = row->arrivals ? (double)row->arrivals : 1;
  const double calls = row->calls ? (double)row->calls : 1;
  char used[16] = "-";

  if (row->has_utilisation)
    snprintf(used, sizeof(used), "%.2f%%", row->utilisation * 100);
  fprintf(file, "%-14s %-7s %8" PRIu64 " %5.1f%% %5.1f%% %7s %9.0f %8.2f %8.2f %s%7.0f %6.2f\n",
          weir_scheme_name(row->scheme), weir_up_method_name(row->method), row->rejected,
          (double)row->rejected / all * 100, (double)(row->failed + row->unfinished) / calls * 100,
          used, row->goodput_per_min, row->wait_p50_ms / 1000, row->wait_p99_ms / 1000,
          row->unfinished ? ">" : " ", row->makespan_s, row->messages_per_call);
  for (uint32_t i = 0; i < row->streams_count; i++) {
    const struct weir_simulation_stream *s = &row->streams[i];

    fprintf(file,
            "  %-12s %-7s share %5.1f%%  done %" PRIu64 " of %" PRIu64
            ", wait p50 %.2f s, p99 %.2f s\n",
            s->stream->name, weir_class_name(s->stream->class), s->share * 100, s->done, s->calls,
            s->wait_p50_ms / 1000, s->wait_p99_ms / 1000);
  }
  if (row->streams_count > 1)
    fprintf(file, "  fairness of their shares by weight: %.3f\n", row->fairness);
  if (row->foreign_arrivals)
    fprintf(file, "  somebody else: %" PRIu64 " requests, %" PRIu64 " of them rejected\n",
            row->foreign_arrivals, row->foreign_rejected);
  if (row->ramp_rejected > 0)
    fprintf(file, "  use grew too fast: %" PRIu64 " of the 429s, the last %.1f s after the first\n",
            row->ramp_rejected, row->ramp_span_s);
  text_outage(file, row);
  if (row->has_left)
    fprintf(file, "  he left %.1f%% of the quota, and %.1f%% of that was used\n", row->left * 100,
            row->goodput_of_left * 100);
}

/* ---- expectations ---- */

static bool is_about(const struct weir_scenario_expect *e, const struct weir_simulation_row *row)
{
  return (!e->scheme || e->scheme == row->scheme) && (!e->method || e->method == row->method) &&
         (!e->instances || e->instances == row->instances) &&
         (!e->workload[0] || strcmp(e->workload, row->workload->name) == 0) &&
         (!e->limits[0] || strcmp(e->limits, row->set->name) == 0);
}

static const struct weir_simulation_stream *stream_find(const struct weir_simulation_row *row,
                                                        const char *name)
{
  for (uint32_t i = 0; i < row->streams_count; i++)
    if (strcmp(row->streams[i].stream->name, name) == 0)
      return &row->streams[i];
  return NULL;
}

static double wait_of(const struct weir_simulation_row *row, const char *stream)
{
  const struct weir_simulation_stream *found = stream_find(row, stream);

  return found ? found->wait_p99_ms : row->wait_p99_ms;
}

/* The same run of the workload |name|, before this one. */
static const struct weir_simulation_row *prior_find(const struct weir_simulation_row *row,
                                                    const char *name)
{
  do
    row = row->prior;
  while (row && strcmp(row->workload->name, name) != 0);
  return row;
}

/* Counts that are too high or too low. */
static void judge_counts(const struct weir_scenario_expect *e,
                         const struct weir_simulation_row *row,
                         const struct weir_simulation_stream *stream, char *ret_what, size_t size)
{
  const uint64_t failed = stream ? stream->failed : row->failed;
  const double rejected = row->arrivals ? (double)row->rejected / (double)row->arrivals : 0;

  if (e->has_rejected && row->rejected > e->rejected_max)
    snprintf(ret_what, size, "rejected_429 is %" PRIu64 ", more than %" PRIu64, row->rejected,
             e->rejected_max);
  else if (e->has_rejected_min && row->rejected < e->rejected_min)
    snprintf(ret_what, size, "rejected_429 is %" PRIu64 ", less than %" PRIu64, row->rejected,
             e->rejected_min);
  else if (e->has_rejected_share && rejected * 1000 > (double)e->rejected_share_max_pm)
    snprintf(ret_what, size, "%.3f%% of what arrived was rejected, more than %.1f%%",
             rejected * 100, (double)e->rejected_share_max_pm / 10);
  else if (e->has_failed && failed > e->failed_max)
    snprintf(ret_what, size, "failed is %" PRIu64 ", more than %" PRIu64, failed, e->failed_max);
  else if (e->has_ramp_span && row->ramp_rejected == 0)
    snprintf(ret_what, size, "use never grew too fast");
  else if (e->has_ramp_span && row->ramp_span_s * 1e6 > (double)e->ramp_span_max_us)
    snprintf(ret_what, size, "use grew too fast for %.1f s, more than %.1f s", row->ramp_span_s,
             (double)e->ramp_span_max_us / 1e6);
}

static void judge_waits(const struct weir_scenario_expect *e, const struct weir_simulation_row *row,
                        char *ret_what, size_t size)
{
  const double wait_ms = wait_of(row, e->stream);
  const struct weir_simulation_row *prior = e->has_wait_ratio ? prior_find(row, e->against) : NULL;
  const double most_ms =
      prior ? wait_of(prior, e->stream) * (double)e->wait_ratio_max_pm / 1000 : 0;

  if (e->has_wait_p99 && wait_ms * 1000 > (double)e->wait_p99_max_us)
    snprintf(ret_what, size, "wait_p99 is %.3f s, more than %.3f s", wait_ms / 1000,
             (double)e->wait_p99_max_us / 1e6);
  else if (e->has_wait_ratio && prior && wait_ms > most_ms)
    snprintf(ret_what, size, "wait_p99 is %.3f s, more than the %.3f s that %.0f%% of %s's are",
             wait_ms / 1000, most_ms / 1000, (double)e->wait_ratio_max_pm / 10, e->against);
}

/* Shares that are too small. */
static void judge_shares(const struct weir_scenario_expect *e,
                         const struct weir_simulation_row *row,
                         const struct weir_simulation_stream *stream, char *ret_what, size_t size)
{
  const struct {
    bool is_judged;
    double value;
    uint64_t min_pm;
    const char *name;
  } shares[] = {
      {e->has_utilisation && row->has_utilisation, row->utilisation, e->utilisation_min_pm,
       "utilisation"},
      {e->has_left && row->has_left, row->goodput_of_left, e->left_min_pm, "goodput_of_left"},
      {e->has_fairness && row->streams_count > 1, row->fairness, e->fairness_min_pm, "fairness"},
      {e->has_share && stream, stream ? stream->share : 0, e->share_min_pm, "the stream's share"},
  };

  for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
    if (shares[i].is_judged && shares[i].value * 1000 < (double)shares[i].min_pm) {
      snprintf(ret_what, size, "%s is %.2f%%, less than %.1f%%", shares[i].name,
               shares[i].value * 100, (double)shares[i].min_pm / 10);
      return;
    }
  }
}

/* What is promised for an outage. */
static void judge_breaker(const struct weir_scenario_expect *e, const struct weir_outage_figures *f,
                          char *ret_what, size_t size)
{
  if (e->has_probes && f->periods == 0)
    snprintf(ret_what, size, "the breaker was never half open");
  else if (e->has_probes && (f->probes_min != e->probes || f->probes_max != e->probes))
    snprintf(ret_what, size,
             "half-open periods had %" PRIu32 " to %" PRIu32 " probes, not %" PRIu64, f->probes_min,
             f->probes_max, e->probes);
  else if (e->has_bin_ratio && f->bin_ratio * 1000 > (double)e->bin_ratio_max_pm)
    snprintf(ret_what, size,
             "100 ms after the outage had %.0f%% of the mean before, more than %.1f%%",
             f->bin_ratio * 100, (double)e->bin_ratio_max_pm / 10);
  else if (e->has_recovery && !f->has_recovered)
    snprintf(ret_what, size, "what was admitted did not reach 90%% of before");
  else if (e->has_recovery && f->recovery_s * 1e6 > (double)e->recovery_max_us)
    snprintf(ret_what, size, "it took %.1f s to 90%% of before, more than %.1f s", f->recovery_s,
             (double)e->recovery_max_us / 1e6);
}

static void judge_outage(const struct weir_scenario_expect *e,
                         const struct weir_simulation_row *row, char *ret_what, size_t size)
{
  const struct weir_outage_figures *f = &row->outage;
  const double done = row->calls ? (double)row->done / (double)row->calls : 1;

  if (e->has_retry_share && f->retry_share * 1000 > (double)e->retry_share_max_pm)
    snprintf(ret_what, size, "new attempts are %.2f%% of the calls sent, more than %.1f%%",
             f->retry_share * 100, (double)e->retry_share_max_pm / 10);
  else if (e->has_overrun && f->overrun_ms * 1000 > (double)e->overrun_max_us)
    snprintf(ret_what, size, "a call went on for %.1f ms after its deadline, more than %.1f ms",
             f->overrun_ms, (double)e->overrun_max_us / 1000);
  else if (e->has_moved && !f->has_moved)
    snprintf(ret_what, size, "the first provider rejected nothing");
  else if (e->has_moved && f->moved_ms * 1000 > (double)e->moved_max_us)
    snprintf(ret_what, size,
             "a request was written %.1f ms after the first rejection, more than "
             "%.1f ms",
             f->moved_ms, (double)e->moved_max_us / 1000);
  else if (e->has_done_share && done * 1000 < (double)e->done_share_min_pm)
    snprintf(ret_what, size, "%.2f%% of the calls were answered, less than %.1f%%", done * 100,
             (double)e->done_share_min_pm / 10);
  else
    judge_breaker(e, f, ret_what, size);
}

bool weir_simulation_judge(const struct weir_scenario *s, uint32_t index,
                           const struct weir_simulation_row *row, char *ret_text, size_t size)
{
  const struct weir_scenario_expect *e = &s->expects[index];
  const struct weir_simulation_stream *stream = stream_find(row, e->stream);
  char what[128] = "";

  if (!is_about(e, row) || (e->stream[0] && !stream))
    return true;
  judge_counts(e, row, stream, what, sizeof(what));
  if (what[0] == '\0')
    judge_shares(e, row, stream, what, sizeof(what));
  if (what[0] == '\0')
    judge_waits(e, row, what, sizeof(what));
  if (what[0] == '\0')
    judge_outage(e, row, what, sizeof(what));
  if (what[0] == '\0')
    return true;
  snprintf(ret_text, size, "%s on %s, %" PRIu32 " instances, %s%s%s, limits %s: %s",
           weir_scheme_name(row->scheme), weir_up_method_name(row->method), row->instances,
           row->workload->name, stream ? "/" : "", stream ? stream->stream->name : "",
           row->set->name, what);
  return false;
}
