/* stats.c - `weir stats`: what the coordinator holds, as a table for people or as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "view.h"

#define COLUMNS   15
#define CELL_SIZE 48

#define SESSIONS_MAX 65536

enum { OPTION_JSON = 256, OPTION_SESSIONS, OPTION_SLOW };

static const struct weir_cli_option options[] = {
    WEIR_CLI_COORDINATOR_OPTION,
    {"pool", 'p', "NAME", "show only this pool"},
    {"watch", 'w', "SECONDS", "show again every so many seconds, until interrupted"},
    WEIR_CLI_KEY_OPTIONS,
    WEIR_CLI_TIMEOUT_OPTION,
    {"sessions", OPTION_SESSIONS, NULL,
     "list sessions, too: instance, tenant of its key, waiting, leases, silence"},
    {"slow", OPTION_SLOW, NULL, "list the slowest calls of the last ten minutes, too"},
    {"json", OPTION_JSON, NULL, "one JSON object per look, on one line"},
    {0},
};

struct stats {
  const char *endpoint, *pool;
  uint64_t timeout_ms, watch_ms;
  uint32_t sessions_max;
  bool has_slow, is_json;
};

/* Whatever there is, in one line. */
static bool stats_json(const struct stats *stats, const struct weir_view_data *data)
{
  struct weir_stats rows;

  weir_view_stats(data, &rows);
  rows.coordinator = stats->endpoint;
  rows.pool = stats->pool;
  return weir_view_print(&weir_cli_stats_command, &rows);
}

/* ---- Table --------------------------------------------------------------------------------- */

/* Cells of a row; the first two columns are flush left, numbers flush right. */
struct row {
  char cells[COLUMNS][CELL_SIZE];
};

static const struct row heads = {{"POOL", "LIMIT", "USED", "OF", "SHARE", "FREE", "ONLINE", "BATCH",
                                  "LEASES", "GRANTS", "429S", "P95", "PROFILE", "FROZEN",
                                  "BREAKER"}};

static void cell_amount(struct row *row, int column, const struct weir_msg_row_limit *limit,
                        uint64_t value)
{
  char text[WEIR_CLI_TEXT_SIZE];

  snprintf(row->cells[column], CELL_SIZE, "%s", weir_view_amount(limit, value, text));
}

static void cell_number(struct row *row, int column, uint64_t value)
{
  char text[WEIR_CLI_TEXT_SIZE];

  snprintf(row->cells[column], CELL_SIZE, "%s", weir_cli_grouped(value, text));
}

static void limit_fill(struct row *row, const struct weir_msg_row_limit *limit)
{
  char name[WEIR_VIEW_LIMIT_SIZE], kept[WEIR_CLI_TEXT_SIZE], whole[WEIR_CLI_TEXT_SIZE];
  const uint64_t kept_amount = weir_stats_amount(limit), used_pm = weir_view_used_pm(limit);

  snprintf(row->cells[1], CELL_SIZE, "%.40s%s", weir_view_limit_name(limit, name),
           limit->is_shadow ? " shadow" : "");
  cell_amount(row, 2, limit, limit->used);
  cell_amount(row, 3, limit, limit->amount);
  if (kept_amount < limit->amount)
    snprintf(row->cells[3], CELL_SIZE, "%.20s/%.26s", weir_view_amount(limit, kept_amount, kept),
             weir_view_amount(limit, limit->amount, whole));
  snprintf(row->cells[4], CELL_SIZE, "%" PRIu64 ".%" PRIu64 " %%", used_pm / 10, used_pm % 10);
  cell_amount(row, 5, limit, weir_stats_free(limit));
}

static void pool_fill(struct row *row, const struct weir_msg_row *pool)
{
  char text[WEIR_CLI_TEXT_SIZE];

  snprintf(row->cells[0], CELL_SIZE, "%s", pool->pool);
  cell_number(row, 6, pool->queued[WEIR_CLASS_ONLINE]);
  cell_number(row, 7, pool->queued[WEIR_CLASS_BATCH]);
  cell_number(row, 8, pool->leases);
  cell_number(row, 9, pool->grants);
  cell_number(row, 10, pool->rejected_429);
  snprintf(row->cells[11], CELL_SIZE, "%s",
           pool->latency_p95_us > 0 ? weir_cli_span(pool->latency_p95_us, text) : "-");
  snprintf(row->cells[12], CELL_SIZE, "%s", pool->profile ? weir_profile_name(pool->profile) : "-");
  snprintf(row->cells[13], CELL_SIZE, "%s",
           pool->frozen_us > 0 ? weir_cli_span(pool->frozen_us, text) : "-");
}

static void breaker_fill(struct row *row, const struct weir_msg_row *pool)
{
  const char *name = pool->breaker ? weir_breaker_name(pool->breaker) : "-";
  char text[WEIR_CLI_TEXT_SIZE];

  snprintf(row->cells[14], CELL_SIZE, "%s", name);
  if (pool->open_us == WEIR_DURATION_MAX)
    snprintf(row->cells[14], CELL_SIZE, "%s held", name);
  else if (pool->breaker == WEIR_BREAKER_OPEN)
    snprintf(row->cells[14], CELL_SIZE, "%s %s", name, weir_cli_span(pool->open_us, text));
}

static void budget_fill(struct row *row, const struct weir_msg_row *budget)
{
  for (int column = 6; column < COLUMNS; column++)
    snprintf(row->cells[column], CELL_SIZE, "-");
  snprintf(row->cells[0], CELL_SIZE, "budget %s", budget->pool);
  cell_number(row, 8, budget->leases);
  snprintf(row->cells[12], CELL_SIZE, "%s",
           budget->profile ? weir_profile_name(budget->profile) : "-");
}

/* The limits of |of| in |rows|, whose first is filled already; returns how many there are. */
static size_t limits_fill(struct row *rows, const struct weir_msg_row *of)
{
  for (uint32_t i = 0; i < of->limits_count; i++)
    limit_fill(&rows[i], &of->limits[i]);
  return of->limits_count > 0 ? of->limits_count : 1;
}

static void rows_print(const struct row *rows, size_t count)
{
  int widths[COLUMNS];

  for (int column = 0; column < COLUMNS; column++) {
    widths[column] = (int)strlen(heads.cells[column]);
    for (size_t i = 0; i < count; i++)
      if ((int)strlen(rows[i].cells[column]) > widths[column])
        widths[column] = (int)strlen(rows[i].cells[column]);
  }
  for (size_t i = 0; i <= count; i++) {
    const struct row *row = i == 0 ? &heads : &rows[i - 1];
    int last = row->cells[COLUMNS - 1][0] != '\0' ? COLUMNS : 6; /* no blanks at the end */

    for (int column = 0; column < last; column++)
      printf("%s%*s", column > 0 ? "  " : "", column < 2 ? -widths[column] : widths[column],
             row->cells[column]);
    putchar('\n');
  }
}

/* What the next ask of each pool waits for; nothing where nobody waits. */
static void heads_print(const struct stats *stats, const struct weir_view_data *data)
{
  struct weir_stats rows;

  weir_view_stats(data, &rows);
  for (uint32_t i = 0; i < data->pools_count; i++) {
    const struct weir_msg_row *pool = &data->pools[i];
    const struct weir_msg_row_limit *limit = weir_stats_head(&rows, pool);
    char name[WEIR_VIEW_LIMIT_SIZE], span[WEIR_CLI_TEXT_SIZE];

    if (!limit || (stats->pool && strcmp(stats->pool, pool->pool) != 0))
      continue;
    printf("%s waits for %s of %s%s, for about %s; see 'weir explain %s'\n", pool->pool,
           weir_view_limit_name(limit, name),
           weir_stats_head_of(&rows, pool) == pool ? "" : "budget ", pool->by,
           weir_cli_span(pool->figures[WEIR_FIGURE_HEAD_START_US], span), pool->pool);
  }
}

/* "12.34", of millionths. */
static const char *money(uint64_t micro, char text[WEIR_CLI_TEXT_SIZE])
{
  snprintf(text, WEIR_CLI_TEXT_SIZE, "%" PRIu64 ".%02" PRIu64, micro / 1000000,
           micro % 1000000 / 10000);
  return text;
}

/* What today cost, where it is told. */
static void cost_print(const struct weir_msg_row *row, const char *kind)
{
  const struct weir_msg_row_limit *budget = weir_stats_day_budget(row);
  const char *day = weir_stats_day_name(row);
  char spend[WEIR_CLI_TEXT_SIZE], most[WEIR_CLI_TEXT_SIZE], counted[WEIR_CLI_TEXT_SIZE],
      left[WEIR_CLI_TEXT_SIZE];

  if (!day)
    return;
  printf("%s%s cost %s%s%s today (the day of %s, counted for %s, %s left)\n", kind, row->pool,
         money(row->figures[WEIR_FIGURE_TODAY_SPEND], spend), budget ? " of " : "",
         budget ? money(weir_stats_amount(budget), most) : "",
         strcmp(day, "utc") == 0 ? "UTC" : "its limit",
         weir_cli_span(row->figures[WEIR_FIGURE_TODAY_US], counted),
         weir_cli_span(row->figures[WEIR_FIGURE_TODAY_LEFT_US], left));
}

static void costs_print(const struct stats *stats, const struct weir_view_data *data)
{
  for (uint32_t i = 0; i < data->pools_count; i++)
    if (!stats->pool || strcmp(stats->pool, data->pools[i].pool) == 0)
      cost_print(&data->pools[i], "");
  for (uint32_t i = 0; !stats->pool && i < data->budgets_count; i++)
    cost_print(&data->budgets[i], "budget ");
}

static void sessions_print(const struct weir_view_data *data)
{
  char span[WEIR_CLI_TEXT_SIZE];

  if (data->sessions_count > 0)
    printf("\n%-32s  %-12s  %7s  %6s  %s\n", "INSTANCE", "TENANT", "WAITING", "LEASES", "SILENT");
  for (uint32_t i = 0; i < data->sessions_count; i++) {
    const struct weir_msg_row *row = &data->sessions[i];

    printf("%-32s  %-12s  %7" PRIu64 "  %6" PRIu32 "  %s\n", row->instance,
           row->tenant[0] ? row->tenant : "-", row->figures[WEIR_FIGURE_ASKS], row->leases,
           weir_cli_span(row->figures[WEIR_FIGURE_SILENT_US], span));
  }
}

static const char *outcome_name(const struct weir_msg_row *call)
{
  const uint64_t outcome = call->figures[WEIR_FIGURE_OUTCOME];

  return outcome > 0 ? weir_outcome_name((enum weir_outcome)outcome) : "-";
}

static void slow_print(const struct stats *stats, const struct weir_view_data *data)
{
  char ended[WEIR_CLI_TEXT_SIZE], waited[WEIR_CLI_TEXT_SIZE], took[WEIR_CLI_TEXT_SIZE];

  printf("\n%-16s  %-32s  %9s  %9s  %9s  %8s  %8s  %4s  %s\n", "SLOW CALLS OF", "INSTANCE", "ENDED",
         "WAITED", "TOOK", "INPUT", "OUTPUT", "HTTP", "OUTCOME");
  for (uint32_t i = 0; i < data->slow_count; i++) {
    const struct weir_msg_row *row = &data->slow[i];

    if (stats->pool && strcmp(stats->pool, row->pool) != 0)
      continue;
    printf("%-16s  %-32s  %9s  %9s  %9s  %8" PRIu64 "  %8" PRIu64 "  %4" PRIu64 "  %s\n", row->pool,
           row->instance, weir_cli_span(row->figures[WEIR_FIGURE_ENDED_US], ended),
           weir_cli_span(row->figures[WEIR_FIGURE_WAITED_US], waited),
           weir_cli_span(row->figures[WEIR_FIGURE_TOOK_US], took),
           row->figures[WEIR_FIGURE_INPUT_TOKENS], row->figures[WEIR_FIGURE_OUTPUT_TOKENS],
           row->figures[WEIR_FIGURE_HTTP], outcome_name(row));
  }
}

static void totals_print(const struct weir_view_data *data)
{
  char text[WEIR_CLI_TEXT_SIZE];
  const char *separator = "";

  printf("\nepoch %" PRIu64 ", up %s, %" PRIu32 " sessions, %" PRIu32 " pools\n",
         data->totals.epoch, weir_cli_span(data->totals.uptime_us, text), data->totals.sessions,
         data->totals.pools);
  for (int i = 1; i < WEIR_COUNTER_MAX; i++) {
    if (data->totals.counters[i] == 0)
      continue;
    printf("%s%s %s", separator, weir_cli_grouped(data->totals.counters[i], text),
           weir_counter_name((enum weir_counter)i));
    separator = ", ";
  }
  puts(*separator ? "" : "no asks so far");
}

static bool stats_table(const struct stats *stats, const struct weir_view_data *data)
{
  const size_t most = ((size_t)data->pools_count + data->budgets_count) * WEIR_LIMITS_MAX + 1;
  struct row *rows = calloc(most, sizeof(*rows));
  size_t count = 0;

  if (!rows) {
    weir_cli_error(&weir_cli_stats_command, "out of memory for %" PRIu32 " pools",
                   data->pools_count);
    return false;
  }
  for (uint32_t i = 0; i < data->pools_count; i++) {
    const struct weir_msg_row *pool = &data->pools[i];

    if (stats->pool && strcmp(stats->pool, pool->pool) != 0)
      continue;
    pool_fill(&rows[count], pool);
    breaker_fill(&rows[count], pool);
    count += limits_fill(&rows[count], pool);
  }
  for (uint32_t i = 0; !stats->pool && i < data->budgets_count; i++) {
    budget_fill(&rows[count], &data->budgets[i]);
    count += limits_fill(&rows[count], &data->budgets[i]);
  }
  rows_print(rows, count);
  heads_print(stats, data);
  costs_print(stats, data);
  if (!stats->pool)
    totals_print(data);
  sessions_print(data);
  if (stats->has_slow)
    slow_print(stats, data);
  free(rows);
  return true;
}

/* ---- Command ------------------------------------------------------------------------------- */

static int look(const struct stats *stats)
{
  struct weir_view_data data;
  enum weir_err err = weir_view_get(stats->endpoint, stats->timeout_ms, stats->sessions_max, &data);
  bool is_fine;

  if (err)
    return weir_view_failed(&weir_cli_stats_command, stats->endpoint, stats->timeout_ms, err);
  is_fine = !stats->pool || weir_view_pool(&weir_cli_stats_command, &data, stats->pool);
  if (is_fine)
    is_fine = stats->is_json ? stats_json(stats, &data) : stats_table(stats, &data);
  weir_view_free(&data);
  return is_fine ? WEIR_CLI_FINE : WEIR_CLI_BAD;
}

/* Repeats until a signal ends the program; a coordinator that is away may come back. */
static int watch(const struct stats *stats)
{
  struct timespec pause = {.tv_sec = (time_t)(stats->watch_ms / 1000),
                           .tv_nsec = (long)(stats->watch_ms % 1000) * 1000000};
  bool is_terminal = !stats->is_json && isatty(STDOUT_FILENO);
  int result;

  do {
    if (is_terminal)
      fputs("\033[H\033[2J", stdout);
    result = look(stats);
    if (!is_terminal && !stats->is_json)
      putchar('\n');
    if (weir_cli_flush() != 0)
      return WEIR_CLI_BAD;
  } while ((result == WEIR_CLI_FINE || result == WEIR_CLI_UNREACHABLE) &&
           nanosleep(&pause, NULL) == 0);
  return result;
}

static int run(int argc, char **argv)
{
  struct weir_cli_args args = {.command = &weir_cli_stats_command, .argc = argc, .argv = argv};
  struct stats stats = {.timeout_ms = WEIR_VIEW_TIMEOUT_MS};
  int id, bad = WEIR_CLI_FINE;

  while (!bad && (id = weir_cli_next(&args)) != WEIR_CLI_END) {
    if (id == 'c')
      stats.endpoint = args.value;
    else if (id == 'p')
      stats.pool = args.value;
    else if (id == 'w')
      bad = weir_cli_duration(&args, UINT64_C(86400000), &stats.watch_ms);
    else if (id == WEIR_CLI_TIMEOUT)
      bad = weir_cli_duration(&args, UINT64_C(3600000), &stats.timeout_ms);
    else if (weir_cli_key_option(&args, id))
      continue;
    else if (id == OPTION_SESSIONS)
      stats.sessions_max = SESSIONS_MAX;
    else if (id == OPTION_SLOW)
      stats.has_slow = true;
    else if (id == OPTION_JSON)
      stats.is_json = true;
    else if (id == WEIR_CLI_OPERAND)
      bad = weir_cli_usage(args.command, "'%s' is one word too many", args.value);
    else
      bad = WEIR_CLI_USAGE;
  }
  if (bad)
    return bad;
  stats.endpoint = weir_cli_endpoint(stats.endpoint);
  return stats.watch_ms > 0 ? watch(&stats) : look(&stats);
}

const struct weir_cli_command weir_cli_stats_command = {
    .name = "stats",
    .synopsis = "[--coordinator ENDPOINT] [--pool NAME] [--watch SECONDS] [--timeout DURATION]\n"
                "                  [--sessions] [--slow] [--json]",
    .summary = "show pools, limits, queues and counters of the coordinator",
    .text =
        "USED counts what is charged in the window now, leases that are out included; OF shows\n"
        "what is kept/configured where that is less ('weir explain' tells why); a shadow\n"
        "limit is counted, not enforced. ONLINE and BATCH are asks waiting in each class; 429S "
        "are\n"
        "rejections that instances reported; P95 is what 95 of 100 good calls took at most,\n"
        "lately; PROFILE is how strictly the limits are kept (window,\n"
        "bucket, paced, universal); FROZEN is how long no grant is given, because of what the\n"
        "provider said; BREAKER is whether calls go through at all (closed, open, half_open, "
        "ramp;\n"
        "'weir breaker' steers it). Budgets, which several pools or a tenant spend, follow the "
        "pools.",
    .options = options,
    .run = run,
};
