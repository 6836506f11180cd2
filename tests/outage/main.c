/* weir-outage - a fleet of real instances against a real, simulated provider that fails for a time:
 * what the provider's log says of it, with weir and with plain back-off. docs/BREAKER.md shows its
 * output and says how the figures are defined.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "../demo/clock.h"
#include "../demo/promise.h"

#include "fleet.h"
#include "judge.h"
#include "stand.h"

#define RATE            UINT64_C(140) /* calls in a second: 70 % of the limit */
#define LIMIT_RPM       12000
#define LATENCY_MIN_MS  UINT64_C(100)
#define LATENCY_MAX_MS  UINT64_C(150)
#define LOG_ENTRIES     500000
#define PROBES          3
#define RETRY_SHARE_MAX 0.10
#define WAVE_MAX        1.5 /* of the requests in a second before */

static const char help[] =
    "usage: weir-outage [OPTION...]\n"
    "\n"
    "100 instances call a simulated provider at 70 % of its limit; it answers 503 for 30 seconds.\n"
    "Once with plain back-off, once through weir; then somebody else uses up the day of the first\n"
    "of two models. Needs no key and no network.\n"
    "\n"
    "  --short            a few seconds of each, by shorter times of the breaker, and no plain "
    "half\n"
    "  --only NAME        plain, weir or day\n"
    "  --seed N           of instants and latencies (1)\n"
    "  --help             prints this\n"
    "\n"
    "Exit: 0 when weir kept its promises, 1 when it did not or could not run, 2 for a wrong "
    "option.\n";

/* Times in milliseconds. */
struct plan {
  uint64_t before, outage, after, open, open_max, ramp, window, probe_timeout, deadline;
};

static const struct plan plan_full = {20000, 30000, 40000, 5000, 120000,
                                      10000, 10000, 30000, 20000};
static const struct plan plan_short = {3000, 4000, 6000, 500, 8000, 1000, 1000, 2000, 3000};

struct options {
  bool is_short;
  const char *only;
  uint64_t seed;
  char programs[512];
};

/* ---- promises ---- */

static bool outage_promises(const struct outage_figures *f)
{
  bool is_kept = true;

  is_kept &= demo_promise(f->periods > 0, "the breaker never probed");
  for (uint32_t i = 0; i < f->periods; i++)
    is_kept &= demo_promise(f->probes[i] == PROBES,
                            "half-open period %" PRIu32 " had %" PRIu32 " probes, not %d", i + 1,
                            f->probes[i], PROBES);
  is_kept &= demo_promise(f->retry_share <= RETRY_SHARE_MAX,
                          "%.1f %% of the calls were tried again, more than %.0f %%",
                          f->retry_share * 100, RETRY_SHARE_MAX * 100);
  is_kept &= demo_promise(f->second_max_after <= WAVE_MAX * (double)RATE,
                          "%.0f requests in a second after it, %" PRIu64 " before",
                          f->second_max_after, RATE);
  is_kept &= demo_promise(f->recovery_s >= 0, "it did not come back to the rate before");
  is_kept &= demo_promise(f->unknown == 0,
                          "%" PRIu64 " requests of which callers do not know, or the "
                          "reverse",
                          f->unknown);
  return is_kept;
}

/* Every instance may have sent some before the news was there, and nothing is sent later. */
static bool move_promises(const struct outage_move *m)
{
  bool is_kept = true;

  is_kept &= demo_promise(m->rejected > 0, "the day was never used up");
  is_kept &= demo_promise(m->answered == m->calls, "%" PRIu64 " of %" PRIu64 " calls failed",
                          m->calls - m->answered, m->calls);
  is_kept &= demo_promise(m->on_fallback > 0, "nothing went to the second model");
  is_kept &= demo_promise(m->wandered == 0,
                          "%" PRIu64 " requests went to the second model too early", m->wandered);
  is_kept &= demo_promise(m->after < OUTAGE_INSTANCES,
                          "%" PRIu64 " requests went to the first model "
                          "after it had rejected one",
                          m->after);
  return is_kept;
}

/* ---- running ---- */

static char *config_of(const struct plan *p)
{
  char *text = malloc(4096);

  if (!text)
    abort();
  snprintf(text, 4096,
           "providers:\n"
           "  gemini: {kind: gemini}\n"
           "pools:\n"
           "  - name: flash\n"
           "    provider: gemini\n"
           "    models: [%s]\n"
           "    limits: {rpm: %d}\n"
           "    breaker: {probes: %d, window: %" PRIu64 "ms, open: %" PRIu64
           "ms, open_max: %" PRIu64 "ms,\n"
           "              ramp: %" PRIu64 "ms, probe_timeout: %" PRIu64 "ms}\n"
           "  - name: lite\n"
           "    provider: gemini\n"
           "    models: [%s]\n"
           "    limits: {rpm: %d}\n"
           "routes:\n"
           "  fast: [gemini/%s, gemini/%s]\n",
           OUTAGE_MODEL, LIMIT_RPM, PROBES, p->window, p->open, p->open_max, p->ramp,
           p->probe_timeout, OUTAGE_MODEL_FALLBACK, LIMIT_RPM, OUTAGE_MODEL, OUTAGE_MODEL_FALLBACK);
  return text;
}

static bool records_read(const struct outage_stand *stand, const struct outage_fleet *fleet,
                         struct outage_request **ret_requests, struct outage_records *ret_records)
{
  size_t count;

  if (!outage_stand_log(stand, OUTAGE_FOREIGN_TOKENS, ret_requests, &count))
    return false;
  *ret_records = (struct outage_records){*ret_requests, count, fleet->calls, fleet->calls_count};
  return true;
}

/* The calls go on from before the outage until after it. */
static bool outage_run(const struct plan *p, struct outage_stand *stand, struct outage_fleet *fleet,
                       struct outage_times *t)
{
  static const char begins[] = "{\"faults\":[{\"kind\":\"overloaded_503\",\"probability\":1}]}";

  t->begun_us = demo_now_us();
  if (!outage_fleet_start(fleet))
    return false;
  outage_fleet_wait(fleet, t->begun_us + p->before * 1000);
  t->from_us = demo_now_us();
  if (!outage_stand_script(stand, begins))
    return false;
  outage_fleet_wait(fleet, t->from_us + p->outage * 1000);
  if (!outage_stand_script(stand, "{\"faults\":[]}"))
    return false;
  t->to_us = demo_now_us();
  outage_fleet_wait(fleet, t->to_us + p->after * 1000);
  t->ended_us = demo_now_us();
  outage_fleet_stop(fleet);
  return true;
}

static bool outage_drill(const struct options *o, bool is_weir, struct outage_figures *ret_figures)
{
  const struct plan *p = o->is_short ? &plan_short : &plan_full;
  char limits[32], *config = is_weir ? config_of(p) : NULL;
  struct outage_stand stand = {.programs = o->programs,
                               .limits = limits,
                               .latency_min_ms = LATENCY_MIN_MS,
                               .latency_max_ms = LATENCY_MAX_MS,
                               .log_entries = LOG_ENTRIES,
                               .config = config};
  struct outage_fleet fleet = {.is_weir = is_weir,
                               .base_url = stand.base_url,
                               .endpoint = stand.endpoint,
                               .model = "gemini/" OUTAGE_MODEL,
                               .rate = RATE,
                               .answer_us = (LATENCY_MIN_MS + LATENCY_MAX_MS) / 2 * 1000,
                               .deadline_ms = p->deadline,
                               .seed = o->seed};
  struct outage_times times = {.open_us = p->open * 1000,
                               .answer_us = LATENCY_MIN_MS * 1000,
                               .deadline_us = p->deadline * 1000};
  struct outage_request *requests = NULL;
  struct outage_records records;
  bool is_well;

  snprintf(limits, sizeof(limits), "rpm=%d", LIMIT_RPM);
  is_well = outage_stand_start(&stand) && outage_run(p, &stand, &fleet, &times) &&
            records_read(&stand, &fleet, &requests, &records);
  if (is_well)
    outage_judge(&records, &times, ret_figures);
  outage_fleet_free(&fleet);
  outage_stand_stop(&stand);
  free(requests);
  free(config);
  return is_well;
}

static bool day_drill(const struct options *o, bool has_wallet, struct outage_move *ret_move)
{
  const struct plan *p = &plan_short; /* there is nothing to wait for */
  char limits[64], *config = config_of(p);
  struct outage_stand stand = {.programs = o->programs,
                               .limits = limits,
                               .latency_min_ms = LATENCY_MIN_MS,
                               .latency_max_ms = LATENCY_MAX_MS,
                               .log_entries = LOG_ENTRIES,
                               .config = config};
  struct outage_fleet fleet = {.is_weir = true,
                               .has_no_wallet = !has_wallet,
                               .base_url = stand.base_url,
                               .endpoint = stand.endpoint,
                               .model = "fast",
                               .rate = RATE,
                               .answer_us = (LATENCY_MIN_MS + LATENCY_MAX_MS) / 2 * 1000,
                               .deadline_ms = p->deadline,
                               .seed = o->seed};
  struct outage_request *requests = NULL;
  struct outage_records records;
  bool is_well;

  /* What comes by the time that somebody else begins, and 300 more. */
  snprintf(limits, sizeof(limits), "rpm=%d,rpd=%" PRIu64, LIMIT_RPM, RATE * p->before / 1000 + 300);
  is_well = outage_stand_start(&stand) && outage_fleet_start(&fleet);
  if (is_well) {
    outage_fleet_wait(&fleet, demo_now_us() + p->before * 1000);
    outage_spend(stand.base_url);
    outage_fleet_wait(&fleet, demo_now_us() + p->after * 500);
    outage_fleet_stop(&fleet);
    is_well = records_read(&stand, &fleet, &requests, &records);
  }
  if (is_well)
    outage_judge_move(&records, ret_move);
  outage_fleet_free(&fleet);
  outage_stand_stop(&stand);
  free(requests);
  free(config);
  return is_well;
}

/* ---- the table ---- */

struct column {
  const char *name;
  bool is_there;
  struct outage_figures f;
};

static void probes_text(const struct outage_figures *f, char *ret_text, size_t size)
{
  size_t used = 0;

  snprintf(ret_text, size, "-");
  for (uint32_t i = 0; i < f->periods && used < size; i++)
    used += (size_t)snprintf(ret_text + used, size - used, "%s%" PRIu32, i > 0 ? " " : "",
                             f->probes[i]);
}

static void row(const struct column *columns, const char *name,
                void (*cell)(const struct outage_figures *f, char *text, size_t size))
{
  char text[64];

  printf("%-46s", name);
  for (int i = 0; i < 2; i++) {
    if (!columns[i].is_there)
      continue;
    cell(&columns[i].f, text, sizeof(text));
    printf(" %16s", text);
  }
  printf("\n");
}

#define CELL(name, format, ...)                                                                    \
  static void name(const struct outage_figures *f, char *text, size_t size)                        \
  {                                                                                                \
    snprintf(text, size, format, __VA_ARGS__);                                                     \
  }
CELL(cell_calls, "%" PRIu64, f->calls)
CELL(cell_answered, "%.1f %%", f->calls ? (double)f->answered / (double)f->calls * 100 : 0)
CELL(cell_during, "%" PRIu64, f->during)
CELL(cell_retries, "%.1f %%", f->retry_share * 100)
CELL(cell_mean, "%.1f", f->bin_mean)
CELL(cell_before, "%.0f", f->bin_max)
CELL(cell_after, "%.0f", f->bin_max_after)
CELL(cell_second, "%.0f", f->second_max)
CELL(cell_second_after, "%.0f", f->second_max_after)
CELL(cell_recovery, "%.1f", f->recovery_s)
CELL(cell_expired, "%" PRIu64, f->expired)
CELL(cell_overrun, "%.1f", f->overrun_ms)

static void table(const struct column *columns, const struct plan *p)
{
  printf("100 instances, %" PRIu64 " calls in a second, %d allowed; 503 for %.0f s\n", RATE,
         LIMIT_RPM / 60, (double)p->outage / 1000);
  printf("%-46s", "");
  for (int i = 0; i < 2; i++)
    if (columns[i].is_there)
      printf(" %16s", columns[i].name);
  printf("\n");
  row(columns, "calls", cell_calls);
  row(columns, "calls that were answered", cell_answered);
  row(columns, "requests during the outage", cell_during);
  row(columns, "probes of each half-open period", probes_text);
  row(columns, "new attempts, of the calls sent", cell_retries);
  row(columns, "requests in 100 ms before: mean", cell_mean);
  row(columns, "                           most", cell_before);
  row(columns, "                    after: most", cell_after);
  row(columns, "requests in a second before: most", cell_second);
  row(columns, "                      after: most", cell_second_after);
  row(columns, "from its end to 90 % of the rate before, s", cell_recovery);
  row(columns, "calls that missed their deadline", cell_expired);
  row(columns, "    by, at most, ms", cell_overrun);
}

static bool outages(const struct options *o)
{
  struct column columns[] = {{.name = "plain back-off"}, {.name = "weir"}};
  const bool is_all = !o->only;

  if ((is_all && !o->is_short) || (o->only && strcmp(o->only, "plain") == 0)) {
    if (!outage_drill(o, false, &columns[0].f))
      return false;
    columns[0].is_there = true;
  }
  if (is_all || strcmp(o->only, "weir") == 0) {
    if (!outage_drill(o, true, &columns[1].f))
      return false;
    columns[1].is_there = true;
  }
  if (columns[0].is_there || columns[1].is_there)
    table(columns, o->is_short ? &plan_short : &plan_full);
  return !columns[1].is_there || outage_promises(&columns[1].f);
}

static void move_row(const char *name, int decimals, double ahead, const double *without)
{
  printf("%-46s %16.*f", name, decimals, ahead);
  if (without)
    printf(" %16.*f", decimals, *without);
  printf("\n");
}

static void move_table(const struct outage_move *m, const struct outage_move *without)
{
  const struct outage_move *w = without ? without : m;
  const double rows[][2] = {{(double)m->calls, (double)w->calls},
                            {(double)m->answered, (double)w->answered},
                            {(double)m->rejected, (double)w->rejected},
                            {(double)m->after, (double)w->after},
                            {m->after_ms, w->after_ms},
                            {(double)m->on_fallback, (double)w->on_fallback}};
  static const char *const names[] = {"calls",
                                      "calls that were answered",
                                      "rejections",
                                      "requests there after the first of them",
                                      "    the last came later by, ms",
                                      "requests to the second model"};

  printf("\nsomebody else uses up the day of the first of two models\n");
  printf("%-46s %16s%s\n", "", "weir", without ? "  no leases ahead" : "");
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    move_row(names[i], i == 4, rows[i][0], without ? &rows[i][1] : NULL);
}

static bool day(const struct options *o)
{
  struct outage_move moves[2];
  const int count = o->is_short ? 1 : 2;
  bool is_kept = true;

  if (o->only && strcmp(o->only, "day") != 0)
    return true;
  for (int i = 0; i < count; i++)
    if (!day_drill(o, i == 0, &moves[i]))
      return false;
  move_table(&moves[0], count > 1 ? &moves[1] : NULL);
  for (int i = 0; i < count; i++)
    is_kept = move_promises(&moves[i]) && is_kept;
  return is_kept;
}

/* ---- options ---- */

/* The folder of this program holds the others. */
static bool programs_find(struct options *o)
{
  const ssize_t size = readlink("/proc/self/exe", o->programs, sizeof(o->programs) - 1);
  char *slash;

  if (size <= 0)
    return false;
  o->programs[size] = '\0';
  slash = strrchr(o->programs, '/');
  *slash = '\0';
  return true;
}

static bool is_part(const char *name)
{
  return strcmp(name, "plain") == 0 || strcmp(name, "weir") == 0 || strcmp(name, "day") == 0;
}

static int options_read(int argc, char **argv, struct options *o)
{
  static const struct option longs[] = {{"short", no_argument, NULL, 's'},
                                        {"only", required_argument, NULL, 'o'},
                                        {"seed", required_argument, NULL, 'n'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};
  int option;

  while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
    if (option == 's') {
      o->is_short = true;
    } else if (option == 'o' && is_part(optarg)) {
      o->only = optarg;
    } else if (option == 'n' && strtoull(optarg, NULL, 10) > 0) {
      o->seed = strtoull(optarg, NULL, 10);
    } else if (option == 'h') {
      fputs(help, stdout);
      exit(0);
    } else {
      fputs(help, stderr);
      return 2;
    }
  }
  if (optind == argc && programs_find(o))
    return 0;
  fputs(help, stderr);
  return 2;
}

int main(int argc, char **argv)
{
  struct options o = {.seed = 1};
  bool is_kept;
  int code = options_read(argc, argv, &o);

  if (code)
    return code;
  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, NULL, _IOLBF, 0);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  is_kept = outages(&o);
  is_kept = day(&o) && is_kept;
  curl_global_cleanup();
  if (is_kept && !(o.only && strcmp(o.only, "plain") == 0))
    puts("\nweir kept its promises");
  return is_kept ? 0 : 1;
}
