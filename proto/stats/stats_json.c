#include <string.h>

#include <weir/stats_out.h>

struct json {
  struct weir_stats_out *out;
  bool needs_comma;
};

uint64_t weir_stats_amount(const struct weir_msg_row_limit *limit)
{
  return limit->effective > 0 && limit->effective < limit->amount ? limit->effective
                                                                  : limit->amount;
}

bool weir_stats_is_foreign(const struct weir_msg_row_limit *limit)
{
  const uint64_t kept = weir_stats_amount(limit);

  return kept < limit->amount && (limit->stated == 0 || kept < limit->stated) &&
         (limit->ramp == 0 || kept < limit->ramp);
}

uint64_t weir_stats_free(const struct weir_msg_row_limit *limit)
{
  const uint64_t amount = weir_stats_amount(limit);

  return limit->used < amount ? amount - limit->used : 0;
}

const struct weir_msg_row *weir_stats_head_of(const struct weir_stats *stats,
                                              const struct weir_msg_row *pool)
{
  if (pool->by[0] == '\0')
    return NULL;
  if (pool->figures[WEIR_FIGURE_HEAD_BUDGET] == 0 && strcmp(pool->by, pool->pool) == 0)
    return pool;
  for (uint32_t i = 0; i < stats->budgets_count; i++)
    if (strcmp(stats->budgets[i].pool, pool->by) == 0)
      return &stats->budgets[i];
  return NULL;
}

const struct weir_msg_row_limit *weir_stats_head(const struct weir_stats *stats,
                                                 const struct weir_msg_row *pool)
{
  const uint64_t number = pool->figures[WEIR_FIGURE_HEAD_LIMIT];
  const struct weir_msg_row *of = weir_stats_head_of(stats, pool);

  return of && number > 0 && number <= of->limits_count ? &of->limits[number - 1] : NULL;
}

const struct weir_msg_row_limit *weir_stats_day_budget(const struct weir_msg_row *row)
{
  for (uint32_t i = 0; i < row->limits_count; i++) {
    const struct weir_msg_row_limit *limit = &row->limits[i];

    if (limit->dimension == WEIR_DIMENSION_SPEND && limit->window_us >= 24 * WEIR_US_PER_HOUR &&
        limit->window_us <= 25 * WEIR_US_PER_HOUR)
      return limit;
  }
  return NULL;
}

const char *weir_stats_day_name(const struct weir_msg_row *row)
{
  const uint64_t day = row->figures[WEIR_FIGURE_TODAY_DAY];

  if (day == 0)
    return NULL;
  return day == WEIR_ROW_DAY_UTC ? "utc" : "limit";
}

/* ---- JSON ---- */

static void begin(struct json *j, const char *key)
{
  if (j->needs_comma)
    weir_stats_put(j->out, ",");
  if (key) {
    weir_stats_put_quoted(j->out, key);
    weir_stats_put(j->out, ":");
  }
  j->needs_comma = true;
}

static void enter(struct json *j, const char *key, const char *bracket)
{
  begin(j, key);
  weir_stats_put(j->out, bracket);
  j->needs_comma = false;
}

static void leave(struct json *j, const char *bracket)
{
  weir_stats_put(j->out, bracket);
  j->needs_comma = true;
}

static void number(struct json *j, const char *key, uint64_t value)
{
  begin(j, key);
  weir_stats_put_uint(j->out, value);
}

static void seconds(struct json *j, const char *key, uint64_t us)
{
  begin(j, key);
  weir_stats_put_part(j->out, us / 1000, 3);
}

static void text(struct json *j, const char *key, const char *value)
{
  begin(j, key);
  if (value)
    weir_stats_put_quoted(j->out, value);
  else
    weir_stats_put(j->out, "null");
}

static void boolean(struct json *j, const char *key, bool value)
{
  begin(j, key);
  weir_stats_put(j->out, value ? "true" : "false");
}

/* Why less than the amount can be used; a limit may have several reasons, or none. */
static void reasons(struct json *j, const struct weir_msg_row_limit *limit)
{
  enter(j, "why", "[");
  if (limit->stated > 0)
    text(j, NULL, "stated");
  if (weir_stats_is_foreign(limit))
    text(j, NULL, "foreign");
  if (limit->ramp > 0)
    text(j, NULL, "ramp");
  if (limit->closed_us > 0)
    text(j, NULL, "closed");
  leave(j, "]");
}

static void limits(struct json *j, const struct weir_msg_row *row)
{
  enter(j, "limits", "[");
  for (uint32_t i = 0; i < row->limits_count; i++) {
    const struct weir_msg_row_limit *limit = &row->limits[i];

    enter(j, NULL, "{");
    text(j, "dimension", weir_dimension_name(limit->dimension));
    seconds(j, "window_s", limit->window_us);
    number(j, "amount", limit->amount);
    number(j, "used", limit->used);
    number(j, "free", weir_stats_free(limit));
    number(j, "effective", weir_stats_amount(limit));
    boolean(j, "shadow", limit->is_shadow);
    number(j, "leased", limit->leased);
    reasons(j, limit);
    seconds(j, "closed_s", limit->closed_us);
    seconds(j, "half_s", limit->half_us);
    number(j, "islands", limit->islands);
    number(j, "ramp", limit->ramp);
    boolean(j, "day", limit->is_day);
    leave(j, "}");
  }
  leave(j, "]");
}

static void profile(struct json *j, const struct weir_msg_row *row)
{
  text(j, "profile", row->profile ? weir_profile_name(row->profile) : NULL);
}

static void breaker(struct json *j, const struct weir_msg_row *row)
{
  text(j, "breaker", row->breaker ? weir_breaker_name(row->breaker) : NULL);
  if (row->open_us == WEIR_DURATION_MAX)
    text(j, "open_s", NULL);
  else
    seconds(j, "open_s", row->open_us);
  number(j, "probes", row->probes);
  number(j, "retries", row->retries);
  enter(j, "outcomes", "{");
  for (int i = 1; i < WEIR_OUTCOME_MAX; i++)
    number(j, weir_outcome_name((enum weir_outcome)i), row->counters[i]);
  leave(j, "}");
}

static void head(struct json *j, const struct weir_stats *stats, const struct weir_msg_row *pool)
{
  const struct weir_msg_row_limit *limit = weir_stats_head(stats, pool);

  if (pool->by[0] == '\0') {
    text(j, "head", NULL);
    return;
  }
  enter(j, "head", "{");
  text(j, "by", pool->by);
  boolean(j, "budget", weir_stats_head_of(stats, pool) != pool);
  text(j, "dimension", limit ? weir_dimension_name(limit->dimension) : NULL);
  seconds(j, "window_s", limit ? limit->window_us : 0);
  number(j, "cost", pool->figures[WEIR_FIGURE_HEAD_COST]);
  seconds(j, "start_s", pool->figures[WEIR_FIGURE_HEAD_START_US]);
  leave(j, "}");
}

static void rejected(struct json *j, const struct weir_msg_row *pool)
{
  const uint64_t foreign = pool->figures[WEIR_FIGURE_REJECTED_FOREIGN];

  enter(j, "rejected", "{");
  number(j, "own", pool->rejected_429 > foreign ? pool->rejected_429 - foreign : 0);
  number(j, "foreign", foreign);
  number(j, "capacity", pool->counters[WEIR_OUTCOME_CAPACITY_THROTTLE]);
  leave(j, "}");
}

static void cost_today(struct json *j, const struct weir_msg_row *row)
{
  const struct weir_msg_row_limit *budget = weir_stats_day_budget(row);

  if (!weir_stats_day_name(row)) {
    text(j, "cost_today", NULL);
    return;
  }
  enter(j, "cost_today", "{");
  number(j, "spend", row->figures[WEIR_FIGURE_TODAY_SPEND]);
  if (budget)
    number(j, "limit", weir_stats_amount(budget));
  else
    text(j, "limit", NULL);
  text(j, "day", weir_stats_day_name(row));
  seconds(j, "counted_s", row->figures[WEIR_FIGURE_TODAY_US]);
  seconds(j, "left_s", row->figures[WEIR_FIGURE_TODAY_LEFT_US]);
  leave(j, "}");
}

static void figures(struct json *j, const struct weir_stats *stats, const struct weir_msg_row *pool)
{
  enter(j, "oldest_s", "{");
  seconds(j, weir_class_name(WEIR_CLASS_ONLINE), pool->figures[WEIR_FIGURE_OLDEST_ONLINE_US]);
  seconds(j, weir_class_name(WEIR_CLASS_BATCH), pool->figures[WEIR_FIGURE_OLDEST_BATCH_US]);
  leave(j, "}");
  head(j, stats, pool);
  seconds(j, "wait_p50_s", pool->figures[WEIR_FIGURE_WAIT_P50_US]);
  seconds(j, "wait_p95_s", pool->figures[WEIR_FIGURE_WAIT_P95_US]);
  seconds(j, "wait_p99_s", pool->figures[WEIR_FIGURE_WAIT_P99_US]);
  number(j, "input_tokens", pool->figures[WEIR_FIGURE_INPUT_TOKENS]);
  number(j, "output_tokens", pool->figures[WEIR_FIGURE_OUTPUT_TOKENS]);
  number(j, "spend", pool->figures[WEIR_FIGURE_SPEND]);
  cost_today(j, pool);
  rejected(j, pool);
  number(j, "ratio_pm", pool->figures[WEIR_FIGURE_RATIO_PM]);
  number(j, "ratio_error_pm", pool->figures[WEIR_FIGURE_RATIO_ERROR_PM]);
  number(j, "overshoot", pool->figures[WEIR_FIGURE_OVERSHOOT]);
}

static void pool_object(struct json *j, const struct weir_stats *stats,
                        const struct weir_msg_row *row)
{
  enter(j, NULL, "{");
  text(j, "name", row->pool);
  limits(j, row);
  enter(j, "queued", "{");
  for (int class = 1; class < WEIR_CLASS_MAX; class ++)
    number(j, weir_class_name((enum weir_class) class), row->queued[class]);
  leave(j, "}");
  number(j, "leases", row->leases);
  number(j, "grants", row->grants);
  number(j, "rejected_429", row->rejected_429);
  seconds(j, "frozen_s", row->frozen_us);
  profile(j, row);
  breaker(j, row);
  seconds(j, "latency_p50_s", row->latency_p50_us);
  seconds(j, "latency_p95_s", row->latency_p95_us);
  seconds(j, "latency_p99_s", row->latency_p99_us);
  number(j, "islands", row->islands);
  number(j, "island_calls", row->island_calls);
  if (row->without > 0)
    text(j, "without_coordinator", weir_without_name(row->without));
  figures(j, stats, row);
  leave(j, "}");
}

static void budget_object(struct json *j, const struct weir_msg_row *row)
{
  enter(j, NULL, "{");
  text(j, "name", row->pool);
  limits(j, row);
  number(j, "leases", row->leases);
  profile(j, row);
  cost_today(j, row);
  number(j, "overshoot", row->figures[WEIR_FIGURE_OVERSHOOT]);
  leave(j, "}");
}

static void tenant_object(struct json *j, const struct weir_msg_row *row)
{
  const uint64_t class = row->figures[WEIR_FIGURE_CLASS];

  enter(j, NULL, "{");
  text(j, "pool", row->pool);
  text(j, "tenant", row->tenant);
  text(j, "class", weir_class_name((enum weir_class) class));
  number(j, "waiting", class < WEIR_CLASS_MAX ? row->queued[class] : 0);
  number(j, "leases", row->leases);
  number(j, "weight", row->figures[WEIR_FIGURE_WEIGHT]);
  number(j, "share_pm", row->figures[WEIR_FIGURE_SHARE_PM]);
  leave(j, "}");
}

static void slow_object(struct json *j, const struct weir_msg_row *row)
{
  const uint64_t outcome = row->figures[WEIR_FIGURE_OUTCOME];

  enter(j, NULL, "{");
  text(j, "pool", row->pool);
  text(j, "instance", row->instance);
  seconds(j, "ended_s", row->figures[WEIR_FIGURE_ENDED_US]);
  seconds(j, "waited_s", row->figures[WEIR_FIGURE_WAITED_US]);
  seconds(j, "took_s", row->figures[WEIR_FIGURE_TOOK_US]);
  number(j, "input_tokens", row->figures[WEIR_FIGURE_INPUT_TOKENS]);
  number(j, "output_tokens", row->figures[WEIR_FIGURE_OUTPUT_TOKENS]);
  text(j, "outcome", outcome > 0 ? weir_outcome_name((enum weir_outcome)outcome) : NULL);
  number(j, "http", row->figures[WEIR_FIGURE_HTTP]);
  leave(j, "}");
}

static void session_object(struct json *j, const struct weir_msg_row *row)
{
  enter(j, NULL, "{");
  text(j, "instance", row->instance);
  text(j, "tenant", row->tenant);
  number(j, "waiting", row->figures[WEIR_FIGURE_ASKS]);
  number(j, "leases", row->leases);
  seconds(j, "silent_s", row->figures[WEIR_FIGURE_SILENT_US]);
  leave(j, "}");
}

static void process(struct json *j, const struct weir_stats_process *p)
{
  if (!p) {
    text(j, "process", NULL);
    return;
  }
  enter(j, "process", "{");
  text(j, "version", p->version);
  number(j, "resident_bytes", p->resident_bytes);
  seconds(j, "cpu_s", p->cpu_us);
  number(j, "frames_in", p->frames_in);
  number(j, "bytes_in", p->bytes_in);
  number(j, "frames_out", p->frames_out);
  number(j, "bytes_out", p->bytes_out);
  enter(j, "webhook", "{");
  number(j, "sent", p->posts_sent);
  number(j, "failed", p->posts_failed);
  number(j, "lost", p->posts_lost);
  leave(j, "}");
  leave(j, "}");
}

static bool is_wanted(const struct weir_stats *stats, const struct weir_msg_row *row)
{
  return !stats->pool || strcmp(stats->pool, row->pool) == 0;
}

void weir_stats_json(struct weir_stats_out *out, const struct weir_stats *stats)
{
  struct json json = {.out = out}, *j = &json;

  enter(j, NULL, "{");
  text(j, "coordinator", stats->coordinator);
  number(j, "epoch", stats->totals->epoch);
  seconds(j, "uptime_s", stats->totals->uptime_us);
  number(j, "sessions", stats->totals->sessions);
  enter(j, "pools", "[");
  for (uint32_t i = 0; i < stats->pools_count; i++)
    if (is_wanted(stats, &stats->pools[i]))
      pool_object(j, stats, &stats->pools[i]);
  leave(j, "]");
  enter(j, "budgets", "[");
  for (uint32_t i = 0; !stats->pool && i < stats->budgets_count; i++)
    budget_object(j, &stats->budgets[i]);
  leave(j, "]");
  enter(j, "tenants", "[");
  for (uint32_t i = 0; i < stats->tenants_count; i++)
    if (is_wanted(stats, &stats->tenants[i]))
      tenant_object(j, &stats->tenants[i]);
  leave(j, "]");
  enter(j, "slow", "[");
  for (uint32_t i = 0; i < stats->slow_count; i++)
    if (is_wanted(stats, &stats->slow[i]))
      slow_object(j, &stats->slow[i]);
  leave(j, "]");
  enter(j, "instances", "[");
  for (uint32_t i = 0; i < stats->sessions_count; i++)
    session_object(j, &stats->sessions[i]);
  leave(j, "]");
  enter(j, "totals", "{");
  for (int i = 1; i < WEIR_COUNTER_MAX; i++)
    number(j, weir_counter_name((enum weir_counter)i), stats->totals->counters[i]);
  leave(j, "}");
  process(j, stats->process);
  leave(j, "}");
  weir_stats_put(out, "\n");
}
