/* explain.c - `weir explain`: why asks of a pool wait, who uses the quota, and what would help. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "jsonout.h"
#include "view.h"

#define LINE_SIZE   512
#define LINES_MAX   64
#define TENANTS_MAX 5
#define NAME_SIZE   128
#define MUCH_PM     500 /* of the quota, by one tenant: worth a word */
#define LITTLE_PM   500 /* of another limit: it is not what is short */

enum { OPTION_JSON = 256 };

static const struct weir_cli_option options[] = {
    WEIR_CLI_COORDINATOR_OPTION,
    WEIR_CLI_KEY_OPTIONS,
    WEIR_CLI_TIMEOUT_OPTION,
    {"json", OPTION_JSON, NULL, "one JSON object"},
    {0},
};

struct lines {
  uint32_t count;
  char text[LINES_MAX][LINE_SIZE];
};

/* What is known of one pool. */
struct explain {
  const struct weir_msg_row *pool;
  const struct weir_msg_row_limit *binding; /* NULL: no limit is known to bind */
  const struct weir_msg_row *binding_of;    /* the pool or a budget; NULL: as before */
  struct weir_stats stats;
  struct lines state, advice;
};

__attribute__((format(printf, 2, 3))) static void say(struct lines *lines, const char *format, ...)
{
  va_list arguments;

  if (lines->count == LINES_MAX)
    return;
  va_start(arguments, format);
  vsnprintf(lines->text[lines->count++], LINE_SIZE, format, arguments);
  va_end(arguments);
}

/* "requests/1m", and of which budget when it is not of the pool itself. */
static const char *limit_name(const struct explain *e, const struct weir_msg_row *of,
                              const struct weir_msg_row_limit *limit, char ret_text[NAME_SIZE])
{
  char name[WEIR_VIEW_LIMIT_SIZE];

  snprintf(ret_text, NAME_SIZE, "%s%s%s", weir_view_limit_name(limit, name),
           of == e->pool ? "" : " of budget ", of == e->pool ? "" : of->pool);
  return ret_text;
}

static uint32_t waiting_of(const struct weir_msg_row *pool)
{
  return pool->queued[WEIR_CLASS_ONLINE] + pool->queued[WEIR_CLASS_BATCH];
}

static const char *tenant_name(const struct weir_msg_row *tenant)
{
  return tenant->tenant[0] != '\0' ? tenant->tenant : "(no tenant)";
}

/* ---- what is so ---- */

static void say_queue(struct explain *e)
{
  const uint64_t online = e->pool->figures[WEIR_FIGURE_OLDEST_ONLINE_US];
  const uint64_t batch = e->pool->figures[WEIR_FIGURE_OLDEST_BATCH_US];
  char span[WEIR_CLI_TEXT_SIZE];

  if (waiting_of(e->pool) == 0)
    say(&e->state, "nobody waits for %s now; %" PRIu32 " leases are out", e->pool->pool,
        e->pool->leases);
  else
    say(&e->state,
        "%" PRIu32 " asks wait for %s (%" PRIu32 " online, %" PRIu32
        " batch), the oldest for %s; %" PRIu32 " leases are out",
        waiting_of(e->pool), e->pool->pool, e->pool->queued[WEIR_CLASS_ONLINE],
        e->pool->queued[WEIR_CLASS_BATCH], weir_cli_span(online > batch ? online : batch, span),
        e->pool->leases);
}

static void say_head(struct explain *e)
{
  const struct weir_msg_row_limit *limit = e->binding;
  char name[WEIR_VIEW_LIMIT_SIZE], cost[WEIR_CLI_TEXT_SIZE], free[WEIR_CLI_TEXT_SIZE],
      amount[WEIR_CLI_TEXT_SIZE], span[WEIR_CLI_TEXT_SIZE];

  if (!limit)
    return;
  say(&e->state, "the next one waits for %s of %s%s: it needs %s, and %s of %s are free",
      weir_view_limit_name(limit, name), e->binding_of == e->pool ? "" : "budget ", e->pool->by,
      weir_view_amount(limit, e->pool->figures[WEIR_FIGURE_HEAD_COST], cost),
      weir_view_amount(limit, weir_stats_free(limit), free),
      weir_view_amount(limit, weir_stats_amount(limit), amount));
  say(&e->state, "there is room for it in about %s, as the books show now",
      weir_cli_span(e->pool->figures[WEIR_FIGURE_HEAD_START_US], span));
}

static void say_limit(struct explain *e, const struct weir_msg_row *of,
                      const struct weir_msg_row_limit *limit)
{
  char name[NAME_SIZE], used[WEIR_CLI_TEXT_SIZE], leased[WEIR_CLI_TEXT_SIZE],
      span[WEIR_CLI_TEXT_SIZE];
  const uint64_t pm = weir_view_used_pm(limit);

  limit_name(e, of, limit, name);
  if (limit->used == 0) {
    say(&e->state, "%s: nothing of it is used", name);
    return;
  }
  say(&e->state, "%s: %" PRIu64 ".%" PRIu64 " %% used (%s, of them %s by leases that are out)%s%s",
      name, pm / 10, pm % 10, weir_view_amount(limit, limit->used, used),
      weir_view_amount(limit, limit->leased, leased),
      limit->half_us > 0 ? "; half comes back within " : "",
      limit->half_us > 0 ? weir_cli_span(limit->half_us, span) : "");
}

static void say_reductions(struct explain *e, const struct weir_msg_row *of,
                           const struct weir_msg_row_limit *limit)
{
  char name[NAME_SIZE], kept[WEIR_CLI_TEXT_SIZE], amount[WEIR_CLI_TEXT_SIZE],
      span[WEIR_CLI_TEXT_SIZE];

  limit_name(e, of, limit, name);
  weir_view_amount(limit, limit->amount, amount);
  if (limit->stated > 0)
    say(&e->state, "%s: the provider stated %s where %s is configured", name,
        weir_view_amount(limit, limit->stated, kept), amount);
  if (limit->ramp > 0)
    say(&e->state, "%s: use may have grown to %s of %s, because the provider said it grew too fast",
        name, weir_view_amount(limit, limit->ramp, kept), amount);
  if (weir_stats_is_foreign(limit))
    say(&e->state, "%s: cut to %s of %s, because something that is not on weir spends the quota",
        name, weir_view_amount(limit, weir_stats_amount(limit), kept), amount);
  if (limit->closed_us > 0)
    say(&e->state,
        "%s: closed for %s, because what was spent before is in no book, or the day is "
        "used up",
        name, weir_cli_span(limit->closed_us, span));
}

static void say_limits(struct explain *e, const struct weir_msg_row *of)
{
  for (uint32_t i = 0; i < of->limits_count; i++)
    say_reductions(e, of, &of->limits[i]);
  for (uint32_t i = 0; i < of->limits_count; i++)
    say_limit(e, of, &of->limits[i]);
}

static void say_upstream(struct explain *e)
{
  char span[WEIR_CLI_TEXT_SIZE];

  if (e->pool->frozen_us > 0)
    say(&e->state, "frozen for %s: the provider rejected a call and said so",
        weir_cli_span(e->pool->frozen_us, span));
  if (e->pool->breaker == WEIR_BREAKER_OPEN && e->pool->open_us == WEIR_DURATION_MAX)
    say(&e->state, "the breaker is held open by an operator");
  else if (e->pool->breaker == WEIR_BREAKER_OPEN)
    say(&e->state, "the breaker is open for %s yet: too many calls failed",
        weir_cli_span(e->pool->open_us, span));
  else if (e->pool->breaker > WEIR_BREAKER_OPEN)
    say(&e->state, "the breaker is in %s: calls go through a few at a time",
        weir_breaker_name(e->pool->breaker));
}

/* Nothing of now, but nobody looks for it when it matters. */
static void say_without(struct explain *e)
{
  if (e->pool->without == WEIR_WITHOUT_OPEN)
    say(&e->state, "while the coordinator is away calls go WITHOUT LIMIT");
  else if (e->pool->without == WEIR_WITHOUT_CLOSED)
    say(&e->state, "while the coordinator is away calls fail at once, beyond islands");
}

static bool is_tenant_of(const struct explain *e, uint32_t i)
{
  return strcmp(e->stats.tenants[i].pool, e->pool->pool) == 0;
}

/* Shares are of what the tightest limit allows, be it that of a day; beside each other they tell
 * who uses the pool. */
static void say_tenants(struct explain *e)
{
  uint32_t said = 0;
  uint64_t all = 0;

  for (uint32_t i = 0; i < e->stats.tenants_count; i++)
    all += is_tenant_of(e, i) ? e->stats.tenants[i].figures[WEIR_FIGURE_SHARE_PM] : 0;
  for (uint32_t i = 0; i < e->stats.tenants_count && said < TENANTS_MAX; i++) {
    const struct weir_msg_row *tenant = &e->stats.tenants[i];
    const uint64_t share = tenant->figures[WEIR_FIGURE_SHARE_PM] * 100 / (all > 0 ? all : 1);
    const uint64_t class = tenant->figures[WEIR_FIGURE_CLASS];

    if (!is_tenant_of(e, i))
      continue;
    said++;
    say(&e->state,
        "tenant %s (%s): %" PRIu64 " %% of what was used in the last minute, %" PRIu32
        " leases and %" PRIu32 " asks waiting",
        tenant_name(tenant), weir_class_name((enum weir_class) class), share, tenant->leases,
        class < WEIR_CLASS_MAX ? tenant->queued[class] : 0);
  }
}

/* ---- what would help ---- */

/* The one tenant that used most of the quota lately, if there is one. */
static const struct weir_msg_row *heaviest(const struct explain *e)
{
  const struct weir_msg_row *most = NULL;

  for (uint32_t i = 0; i < e->stats.tenants_count; i++) {
    const struct weir_msg_row *tenant = &e->stats.tenants[i];

    if (is_tenant_of(e, i) &&
        (!most || tenant->figures[WEIR_FIGURE_SHARE_PM] > most->figures[WEIR_FIGURE_SHARE_PM]))
      most = tenant;
  }
  return most && most->figures[WEIR_FIGURE_SHARE_PM] >= MUCH_PM ? most : NULL;
}

static bool is_tokens(const struct weir_msg_row_limit *limit)
{
  return limit->dimension == WEIR_DIMENSION_INPUT_TOKENS ||
         limit->dimension == WEIR_DIMENSION_OUTPUT_TOKENS ||
         limit->dimension == WEIR_DIMENSION_TOTAL_TOKENS;
}

static void advise_binding(struct explain *e)
{
  const struct weir_msg_row *tenant = heaviest(e);
  char name[NAME_SIZE];

  if (!e->binding)
    return;
  limit_name(e, e->binding_of, e->binding, name);
  /* Other pools spend a budget, too: who uses this pool says nothing of it. */
  if (e->binding_of != e->pool)
    say(&e->advice,
        "%s is short, which is no limit of the pool: raise it, or have what else spends it spend "
        "less; another model by a route helps if its pool does not spend it",
        name);
  else if (tenant)
    say(&e->advice,
        "%s is short, and tenant %s uses most of it: give it limits or a smaller weight "
        "(tenants.%s), or %s",
        name, tenant_name(tenant), tenant->tenant[0] != '\0' ? tenant->tenant : "*",
        is_tokens(e->binding) ? "have it send shorter inputs" : "have it send less");
  else
    say(&e->advice,
        "%s is short: more of it from the provider, or another model by a route, is "
        "what helps",
        name);
  for (uint32_t i = 0; i < e->binding_of->limits_count; i++) {
    const struct weir_msg_row_limit *other = &e->binding_of->limits[i];

    if (is_tokens(e->binding) && other->dimension == WEIR_DIMENSION_REQUESTS &&
        other->window_us == e->binding->window_us && weir_view_used_pm(other) < LITTLE_PM)
      say(&e->advice,
          "requests are at %" PRIu64 ".%" PRIu64
          " %%: calls are long for this quota, fewer of them would not help",
          weir_view_used_pm(other) / 10, weir_view_used_pm(other) % 10);
  }
}

static void advise(struct explain *e)
{
  const uint64_t foreign = e->pool->figures[WEIR_FIGURE_REJECTED_FOREIGN];

  advise_binding(e);
  for (uint32_t i = 0; i < e->pool->limits_count; i++) {
    if (weir_stats_is_foreign(&e->pool->limits[i])) {
      say(&e->advice,
          "find who spends the provider's quota beside weir (%" PRIu64
          " rejections are laid to it), and have it ask, too",
          foreign);
      break;
    }
  }
  for (uint32_t i = 0; i < e->pool->limits_count; i++) {
    if (e->pool->limits[i].stated > 0) {
      say(&e->advice, "write the limits that the provider stated into the configuration");
      break;
    }
  }
  if (e->pool->breaker >= WEIR_BREAKER_OPEN)
    say(&e->advice,
        "see what fails with 'weir stats --pool %s --json' (outcomes); 'weir breaker %s' "
        "steers it",
        e->pool->pool, e->pool->pool);
  if (waiting_of(e->pool) > 0 && e->pool->by[0] == '\0' && e->pool->breaker <= WEIR_BREAKER_CLOSED)
    say(&e->advice, "no limit of the pool binds now: what waits starts in a moment, or waits for a "
                    "budget of its tenant ('weir stats' shows budgets)");
}

static void explain_fill(struct explain *e)
{
  say_queue(e);
  say_head(e);
  say_upstream(e);
  say_limits(e, e->pool);
  if (e->binding_of && e->binding_of != e->pool)
    say_limits(e, e->binding_of);
  say_without(e);
  say_tenants(e);
  advise(e);
}

/* ---- output ---- */

static void binding_json(struct weir_jsonout *out, const struct explain *e)
{
  if (!e->binding) {
    weir_jsonout_null(out, "binding");
    return;
  }
  weir_jsonout_object(out, "binding");
  weir_jsonout_text(out, "by", e->pool->by);
  weir_jsonout_bool(out, "budget", e->binding_of != e->pool);
  weir_jsonout_text(out, "dimension", weir_dimension_name(e->binding->dimension));
  weir_jsonout_seconds(out, "window_s", e->binding->window_us);
  weir_jsonout_uint(out, "used_pm", weir_view_used_pm(e->binding));
  weir_jsonout_uint(out, "free", weir_stats_free(e->binding));
  weir_jsonout_uint(out, "cost", e->pool->figures[WEIR_FIGURE_HEAD_COST]);
  weir_jsonout_seconds(out, "start_s", e->pool->figures[WEIR_FIGURE_HEAD_START_US]);
  weir_jsonout_object_end(out);
}

static void lines_json(struct weir_jsonout *out, const char *key, const struct lines *lines)
{
  weir_jsonout_array(out, key);
  for (uint32_t i = 0; i < lines->count; i++)
    weir_jsonout_text(out, NULL, lines->text[i]);
  weir_jsonout_array_end(out);
}

static bool explain_json(const struct explain *e)
{
  struct weir_jsonout out = {0};
  const struct weir_msg_row *tenant = heaviest(e);

  weir_jsonout_object(&out, NULL);
  weir_jsonout_text(&out, "pool", e->pool->pool);
  weir_jsonout_uint(&out, "waiting", waiting_of(e->pool));
  binding_json(&out, e);
  weir_jsonout_text(&out, "heaviest", tenant ? tenant->tenant : NULL);
  lines_json(&out, "state", &e->state);
  lines_json(&out, "advice", &e->advice);
  weir_jsonout_object_end(&out);
  weir_jsonout_newline(&out);
  return weir_jsonout_print(&out);
}

static bool explain_text(const struct explain *e)
{
  for (uint32_t i = 0; i < e->state.count; i++)
    puts(e->state.text[i]);
  for (uint32_t i = 0; i < e->advice.count; i++)
    printf("%s%s\n", i == 0 ? "\nWhat would help:\n  " : "  ", e->advice.text[i]);
  return true;
}

static int run(int argc, char **argv)
{
  struct weir_cli_args args = {.command = &weir_cli_explain_command, .argc = argc, .argv = argv};
  static struct explain explain; /* large, and there is one */
  const char *endpoint = NULL, *pool = NULL;
  uint64_t timeout_ms = WEIR_VIEW_TIMEOUT_MS;
  struct weir_view_data data;
  bool is_json = false, is_fine = false;
  int id, bad = WEIR_CLI_FINE;
  enum weir_err err;

  while (!bad && (id = weir_cli_next(&args)) != WEIR_CLI_END) {
    if (id == 'c')
      endpoint = args.value;
    else if (id == WEIR_CLI_TIMEOUT)
      bad = weir_cli_duration(&args, UINT64_C(3600000), &timeout_ms);
    else if (weir_cli_key_option(&args, id))
      continue;
    else if (id == OPTION_JSON)
      is_json = true;
    else if (id == WEIR_CLI_OPERAND && !pool)
      pool = args.value;
    else if (id == WEIR_CLI_OPERAND)
      bad = weir_cli_usage(args.command, "'%s' is one word too many", args.value);
    else
      bad = WEIR_CLI_USAGE;
  }
  if (!bad && !pool)
    bad = weir_cli_usage(args.command, "name a pool; 'weir stats' lists them");
  if (bad)
    return bad;
  endpoint = weir_cli_endpoint(endpoint);
  err = weir_view_get(endpoint, timeout_ms, 0, &data);
  if (err)
    return weir_view_failed(args.command, endpoint, timeout_ms, err);
  explain = (struct explain){.pool = weir_view_pool(args.command, &data, pool)};
  if (explain.pool) {
    weir_view_stats(&data, &explain.stats);
    explain.binding = weir_stats_head(&explain.stats, explain.pool);
    explain.binding_of = weir_stats_head_of(&explain.stats, explain.pool);
    explain_fill(&explain);
    is_fine = is_json ? explain_json(&explain) : explain_text(&explain);
  }
  weir_view_free(&data);
  return is_fine ? WEIR_CLI_FINE : WEIR_CLI_BAD;
}

const struct weir_cli_command weir_cli_explain_command = {
    .name = "explain",
    .synopsis = "POOL [--coordinator ENDPOINT] [--timeout DURATION] [--json]",
    .summary = "tell why calls of a pool wait, who uses it, and what would help",
    .text =
        "Says what the next ask waits for and how long, what of each limit is used and by whom,\n"
        "whether a limit is cut, stated, ramped, frozen or closed, and where the breaker is.",
    .options = options,
    .run = run,
};
