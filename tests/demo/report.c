#include "report.h"
#include "promise.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void half_write(FILE *file, const char *name, const struct demo_half *half)
{
  const struct demo_figures *f = &half->figures;

  fprintf(file,
          "\"%s\":{\"calls\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"rejected_429\":%" PRIu64
          ",\"quota_used\":%.4f,\"wait_p50_ms\":%" PRIu64 ",\"wait_p95_ms\":%" PRIu64
          ",\"wait_p99_ms\":%" PRIu64 ",\"seconds\":%.3f,\"arrivals\":%" PRIu64 "}",
          name, f->calls, f->failed, half->counters.rejected_429, f->quota_used, f->wait_p50_ms,
          f->wait_p95_ms, f->wait_p99_ms, f->seconds, half->counters.arrivals);
}

bool demo_report_begin(const char *path)
{
  FILE *file = fopen(path, "a"); /* what it holds stays until there is something better */

  if (!file || fclose(file) != 0) {
    fprintf(stderr, "weir-demo: --json: %s: %s\n", path, strerror(errno));
    return false;
  }
  return true;
}

bool demo_report_json(const char *path, const struct demo_half *naive,
                      const struct demo_half *managed)
{
  FILE *file = fopen(path, "w");
  bool is_written = file != NULL;

  if (file) {
    fputc('{', file);
    if (naive)
      half_write(file, "naive", naive);
    if (naive && managed)
      fputc(',', file);
    if (managed)
      half_write(file, "weir", managed);
    fputs("}\n", file);
    is_written = !ferror(file);
    is_written &= fclose(file) == 0;
  }
  if (!is_written)
    fprintf(stderr, "weir-demo: %s: %s\n", path, strerror(errno));
  return is_written;
}

void demo_report_doubt(const struct demo_half *half)
{
  const char *name = half->is_weir ? "with weir" : "without weir";

  /* What a killed instance saw is lost. */
  if (half->calls_lost == 0 && half->figures.rejected_429 != half->counters.rejected_429)
    printf("warning: %s the instances saw %" PRIu64 " 429s, the provider gave %" PRIu64 "\n", name,
           half->figures.rejected_429, half->counters.rejected_429);
  if (half->calls_lost == 0 && half->figures.input_tokens != half->counters.input_tokens)
    printf("warning: %s the instances were told of %" PRIu64
           " input tokens, the provider admitted %" PRIu64 "\n",
           name, half->figures.input_tokens, half->counters.input_tokens);
}

static bool reconnects(const struct demo_half *half)
{
  bool is_kept = true;

  for (uint64_t i = 0; i < half->plan->instances; i++) {
    const struct demo_instance_view *view = &half->instances[i];

    if (view->is_killed)
      continue;
    if (view->reconnected_ms)
      printf("instance %" PRIu64 " was back after %" PRIu64 " ms\n", i + 1, view->reconnected_ms);
    is_kept &= demo_promise(
        view->reconnected_ms > 0 && view->reconnected_ms <= DEMO_RECONNECT_MAX_MS,
        "instance %" PRIu64 " was not back within %d ms", i + 1, DEMO_RECONNECT_MAX_MS);
  }
  return is_kept;
}

/* Calls that a killed instance had not finished: the only ones that may be missing. */
static uint64_t lost_allowed(const struct demo_half *half)
{
  const struct demo_plan *plan = half->plan;
  const struct demo_instance_view *last = &half->instances[plan->instances - 1];

  return last->is_killed ? plan->requests / plan->instances - last->done - last->failed : 0;
}

bool demo_report_verdict(const struct demo_half *half)
{
  const struct demo_figures *f = &half->figures;
  const uint64_t lost = lost_allowed(half);
  bool is_kept = true;

  demo_report_doubt(half);
  if (lost > 0)
    printf("the killed instance leaves %" PRIu64 " calls undone\n", lost);
  is_kept &=
      demo_promise(half->counters.rejected_429 == 0 && f->rejected_429 == 0,
                   "with weir the provider gave %" PRIu64 " 429s", half->counters.rejected_429);
  is_kept &= demo_promise(f->failed == 0, "with weir %" PRIu64 " calls failed", f->failed);
  is_kept &=
      demo_promise(half->calls_lost == lost,
                   "with weir %" PRIu64 " calls are missing, not %" PRIu64, half->calls_lost, lost);
  is_kept &= demo_promise(
      half->counters.arrivals >= f->calls &&
          half->counters.arrivals <= f->calls + (lost > 0 ? half->plan->parallel : 0),
      "with weir %" PRIu64 " calls made %" PRIu64 " requests", f->calls, half->counters.arrivals);
  if (half->killed_coordinator_ms)
    is_kept &= reconnects(half);
  else
    is_kept &= demo_promise(
        f->quota_used >= DEMO_QUOTA_USED_MIN,
        "with weir %.1f %% of the quota were used while work waited, less than %.0f %%",
        f->quota_used * 100, DEMO_QUOTA_USED_MIN * 100);
  if (half->plan->kill_instance_ms != DEMO_NEVER)
    is_kept &=
        demo_promise(half->killed_instance_ms > 0, "the half was over before the instance's kill");
  if (half->plan->kill_coordinator_ms != DEMO_NEVER)
    is_kept &= demo_promise(half->killed_coordinator_ms > 0,
                            "the half was over before the coordinator's kill");
  if (is_kept)
    printf("with weir: no 429, no failed call%s\n",
           half->killed_coordinator_ms ? "" : ", and the quota well used");
  return is_kept;
}
