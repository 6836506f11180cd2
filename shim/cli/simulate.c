/* simulate.c - `weir simulate`: runs a scenario on a virtual clock and shows what would come of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "simulation.h"

enum { OPTION_JSON = 256, OPTION_SEED };

#define SEED_MAX UINT64_C(1000000000000000)

static const struct weir_cli_option options[] = {
    {"seed", OPTION_SEED, "N", "everything random follows from it; default: the scenario's"},
    {"json", OPTION_JSON, NULL, "one JSON object for each run, and each stream of it, on a line"},
    {0},
};

struct show {
  const struct weir_scenario *scenario;
  const char *file;
  bool is_json;
  struct weir_simulation_row last; /* of the table at hand */
  uint32_t runs;
  uint64_t broken; /* expectations that did not hold */
  double hours;
};

static void judge(struct show *show, const struct weir_simulation_row *row)
{
  for (uint32_t i = 0; i < show->scenario->expects_count; i++) {
    char text[256];

    if (weir_simulation_judge(show->scenario, i, row, text, sizeof(text)))
      continue;
    fprintf(stderr, "%s:%" PRIu32 ": not as expected: %s\n", show->file,
            show->scenario->expects[i].line, text);
    show->broken++;
  }
}

static void on_row(const struct weir_simulation_row *row, void *context)
{
  struct show *show = context;

  if (show->is_json) {
    weir_simulation_json(stdout, row);
  } else {
    if (show->runs == 0 || show->last.workload != row->workload || show->last.set != row->set ||
        show->last.instances != row->instances)
      weir_simulation_head(stdout, row);
    weir_simulation_text(stdout, row);
  }
  (void)weir_cli_flush(); /* a long matrix shows its rows as they come; the end tells of errors */
  show->last = *row;
  show->runs++;
  show->hours += row->virtual_hours;
  judge(show, row);
}

static void begin(const struct show *show)
{
  const struct weir_scenario *s = show->scenario;

  if (!show->is_json)
    printf("%s, seed %" PRIu64 ": %" PRIu32 " runs; weir is told of %.0f ms (a lease's %.0f and "
           "jitter of %.0f)\n",
           show->file, s->seed, weir_simulation_count(s),
           (double)(s->lease_ttl_us + s->jitter_us) / 1000, (double)s->lease_ttl_us / 1000,
           (double)s->jitter_us / 1000);
}

static void end(const struct show *show, uint64_t took_us)
{
  const double seconds = (double)took_us / 1e6;

  if (show->is_json)
    return;
  printf("\n%" PRIu32 " runs, %.1f virtual hours in %.1f s: %.0f virtual hours per minute\n",
         show->runs, show->hours, seconds, seconds > 0 ? show->hours / seconds * 60 : 0);
  if (show->scenario->expects_count > 0 && show->broken == 0)
    puts("all is as the scenario expects");
}

static int simulate(struct show *show, struct weir_scenario *scenario)
{
  const uint64_t began_us = weir_cli_now_us();
  enum weir_err err;

  show->scenario = scenario;
  begin(show);
  err = weir_simulation_run(scenario, on_row, show);
  if (err) {
    weir_cli_error(&weir_cli_simulate_command, "%s: %s", show->file,
                   err == WEIR_EFULL
                       ? "a workload has too many calls; lower calls, load or duration"
                       : weir_err_text((int)err));
    return WEIR_CLI_BAD;
  }
  end(show, weir_cli_now_us() - began_us);
  return show->broken > 0 ? WEIR_CLI_BAD : WEIR_CLI_FINE;
}

static void issues_show(const char *file, const struct weir_conf_issues *issues)
{
  char line[WEIR_CONF_LINE_SIZE];

  for (uint32_t i = 0; i < issues->count; i++) {
    weir_conf_issue_format(&issues->items[i], file, line, sizeof(line));
    fprintf(stderr, "%s\n", line);
  }
  if (issues->dropped > 0)
    fprintf(stderr, "%s: and %" PRIu32 " more\n", file, issues->dropped);
}

static int load_and_simulate(const char *file, bool is_json, bool has_seed, uint64_t seed)
{
  struct weir_conf_issues *issues = calloc(1, sizeof(*issues));
  struct show *show = calloc(1, sizeof(*show));
  struct weir_scenario *scenario = NULL;
  int code = WEIR_CLI_BAD;
  enum weir_err err = WEIR_ENOMEM;

  if (issues && show)
    err = weir_scenario_load(file, &scenario, issues);
  if (issues)
    issues_show(file, issues);
  if (err && err != WEIR_ECONFIG)
    weir_cli_error(&weir_cli_simulate_command, "%s: %s", file, weir_err_text((int)err));
  if (!err) {
    if (has_seed)
      scenario->seed = seed;
    show->file = file;
    show->is_json = is_json;
    code = simulate(show, scenario);
  }
  weir_scenario_free(scenario);
  free(show);
  free(issues);
  return code;
}

static int run(int argc, char **argv)
{
  struct weir_cli_args args = {.command = &weir_cli_simulate_command, .argc = argc, .argv = argv};
  const char *file = NULL;
  bool is_json = false, has_seed = false;
  uint64_t seed = 0;
  int id;

  while ((id = weir_cli_next(&args)) != WEIR_CLI_END) {
    if (id == WEIR_CLI_WRONG)
      return WEIR_CLI_USAGE;
    if (id == OPTION_JSON) {
      is_json = true;
    } else if (id == OPTION_SEED) {
      if (weir_cli_uint(&args, 0, SEED_MAX, &seed) != WEIR_CLI_FINE)
        return WEIR_CLI_USAGE;
      has_seed = true;
    } else if (file) {
      return weir_cli_usage(args.command, "one scenario at a time, not also '%s'", args.value);
    } else {
      file = args.value;
    }
  }
  if (!file)
    return weir_cli_usage(args.command, "which scenario? docs/SIMULATE.md tells how to write one");
  return load_and_simulate(file, is_json, has_seed, seed);
}

const struct weir_cli_command weir_cli_simulate_command = {
    .name = "simulate",
    .synopsis = "SCENARIO.yaml [--seed N] [--json]",
    .summary = "run a scenario on a virtual clock: weir beside what people do without it",
    .text = "The scenario says how many instances have what to do, what the provider allows and\n"
            "how it enforces that, and how the instances share it. weir's own schemes run the\n"
            "coordinator's and libweir's real decisions; the provider is simulated. The same\n"
            "seed gives the same figures. docs/SIMULATE.md explains scenarios and columns.\n"
            "Exit code 1: the file has errors, or a run is not as it expects.",
    .options = options,
    .run = run,
};
