/* stats_prometheus.c - a family of metrics after another, as the format wants it: first the table
 * of those that are one number of a row each, then those with labels of their own. */
#include <string.h>

#include <weir/stats_out.h>

enum unit {
  COUNT,
  SECONDS /* of microseconds */,
  UNTIL /* the same, or without end */,
  MICRO /* of millionths */,
  PART /* of thousandths */
};

struct family {
  const char *name, *type, *help;
};

static void head(struct weir_stats_out *out, const struct family *f)
{
  weir_stats_put(out, "# HELP ");
  weir_stats_put(out, f->name);
  weir_stats_put(out, " ");
  weir_stats_put(out, f->help);
  weir_stats_put(out, "\n# TYPE ");
  weir_stats_put(out, f->name);
  weir_stats_put(out, " ");
  weir_stats_put(out, f->type);
  weir_stats_put(out, "\n");
}

static void value(struct weir_stats_out *out, enum unit unit, uint64_t number)
{
  weir_stats_put(out, " ");
  if (unit == COUNT)
    weir_stats_put_uint(out, number);
  else if (unit == UNTIL && number == WEIR_DURATION_MAX)
    weir_stats_put(out, "+Inf");
  else
    weir_stats_put_part(out, number, unit == PART ? 3 : 6);
  weir_stats_put(out, "\n");
}

static void label(struct weir_stats_out *out, const char *before, const char *name,
                  const char *text)
{
  weir_stats_put(out, before);
  weir_stats_put(out, name);
  weir_stats_put(out, "=");
  weir_stats_put_quoted(out, text);
}

/* One sample with the label |kind|, "pool" or "budget", and another one unless |name| is NULL. */
static void sample(struct weir_stats_out *out, const struct family *f,
                   const struct weir_msg_row *row, const char *name, const char *text,
                   enum unit unit, uint64_t number)
{
  weir_stats_put(out, f->name);
  label(out, "{", "pool", row->pool);
  if (name)
    label(out, ",", name, text);
  weir_stats_put(out, "}");
  value(out, unit, number);
}

/* ---- one number of a pool each ---- */

struct pool_family {
  struct family family;
  enum unit unit;
  uint64_t (*get)(const struct weir_msg_row *row);
};

#define GET(name, expression)                                                                      \
  static uint64_t name(const struct weir_msg_row *row)                                             \
  {                                                                                                \
    return expression;                                                                             \
  }
GET(get_leases, row->leases)
GET(get_grants, row->grants)
GET(get_retries, row->retries)
GET(get_frozen, row->frozen_us)
GET(get_open, row->open_us)
GET(get_spend, row->figures[WEIR_FIGURE_SPEND])
GET(get_ratio, row->figures[WEIR_FIGURE_RATIO_PM])
GET(get_error, row->figures[WEIR_FIGURE_RATIO_ERROR_PM])
GET(get_overshoot, row->figures[WEIR_FIGURE_OVERSHOOT])
GET(get_head_start, row->figures[WEIR_FIGURE_HEAD_START_US])
GET(get_islands, row->islands)
GET(get_island_calls, row->island_calls)
#undef GET

static const struct pool_family pool_families[] = {
    {{"weir_leases", "gauge", "Leases that are out."}, COUNT, get_leases},
    {{"weir_grants_total", "counter", "Leases granted."}, COUNT, get_grants},
    {{"weir_retries_total", "counter", "Leases granted for new attempts of a call."},
     COUNT,
     get_retries},
    {{"weir_frozen_seconds", "gauge", "For how long nothing is granted, by what upstream said."},
     SECONDS,
     get_frozen},
    {{"weir_breaker_open_seconds", "gauge", "Until an open breaker probes."}, UNTIL, get_open},
    {{"weir_head_start_seconds", "gauge", "Until there is room for the next ask that waits."},
     UNTIL,
     get_head_start},
    {{"weir_spend_total", "counter", "Cost of ended calls, in the currency of the prices."},
     MICRO,
     get_spend},
    {{"weir_estimate_ratio", "gauge", "Input tokens used, of what was estimated; 0: not known."},
     PART,
     get_ratio},
    {{"weir_estimate_error_ratio", "gauge", "One sigma of that."}, PART, get_error},
    {{"weir_overshoot_total", "counter", "Grants that took a limit above what is kept; a defect."},
     COUNT,
     get_overshoot},
    {{"weir_islands", "gauge", "Instances that hold a part for when the coordinator is away."},
     COUNT,
     get_islands},
    {{"weir_island_calls_total", "counter", "Calls that were made so, as instances told later."},
     COUNT,
     get_island_calls},
};

static void pools(struct weir_stats_out *out, const struct weir_stats *stats)
{
  for (size_t k = 0; k < sizeof(pool_families) / sizeof(*pool_families); k++) {
    const struct pool_family *f = &pool_families[k];

    head(out, &f->family);
    for (uint32_t i = 0; i < stats->pools_count; i++)
      sample(out, &f->family, &stats->pools[i], NULL, NULL, f->unit, f->get(&stats->pools[i]));
  }
}

/* ---- pools and budgets ---- */

/* What today cost, of the rows that tell, with the label |kind|. */
static void today(struct weir_stats_out *out, const struct family *f, const char *kind,
                  const struct weir_msg_row *rows, uint32_t count)
{
  head(out, f);
  for (uint32_t i = 0; i < count; i++) {
    const char *day = weir_stats_day_name(&rows[i]);

    if (!day)
      continue;
    weir_stats_put(out, f->name);
    label(out, "{", kind, rows[i].pool);
    label(out, ",", "day", day);
    weir_stats_put(out, "}");
    value(out, MICRO, rows[i].figures[WEIR_FIGURE_TODAY_SPEND]);
  }
}

static void budgets(struct weir_stats_out *out, const struct weir_stats *stats)
{
  static const struct family overshoot = {"weir_budget_overshoot_total", "counter",
                                          "The same of budgets."};
  static const struct family of_pools = {"weir_spend_today", "gauge",
                                         "Cost of calls that ended today, in UTC or by the day of "
                                         "the pool's limit."};
  static const struct family of_budgets = {"weir_budget_spend_today", "gauge",
                                           "The same of budgets."};

  head(out, &overshoot);
  for (uint32_t i = 0; i < stats->budgets_count; i++) {
    weir_stats_put(out, overshoot.name);
    label(out, "{", "budget", stats->budgets[i].pool);
    weir_stats_put(out, "}");
    value(out, COUNT, stats->budgets[i].figures[WEIR_FIGURE_OVERSHOOT]);
  }
  today(out, &of_pools, "pool", stats->pools, stats->pools_count);
  today(out, &of_budgets, "budget", stats->budgets, stats->budgets_count);
}

/* ---- limits ---- */

struct limit_family {
  const char *name, *help;
  enum unit unit;
  uint64_t (*get)(const struct weir_msg_row_limit *limit);
};

static uint64_t get_amount(const struct weir_msg_row_limit *limit)
{
  return limit->amount;
}

static uint64_t get_used(const struct weir_msg_row_limit *limit)
{
  return limit->used;
}

static uint64_t get_leased(const struct weir_msg_row_limit *limit)
{
  return limit->leased;
}

static uint64_t get_closed(const struct weir_msg_row_limit *limit)
{
  return limit->closed_us;
}

static uint64_t get_stated(const struct weir_msg_row_limit *limit)
{
  return limit->stated > 0 ? limit->stated : limit->amount;
}

static uint64_t get_ramp(const struct weir_msg_row_limit *limit)
{
  return limit->ramp > 0 ? limit->ramp : get_stated(limit);
}

/* Behind "weir_limit_" and "weir_budget_limit_". */
static const struct limit_family limit_families[] = {
    {"amount", "What is configured.", COUNT, get_amount},
    {"stated", "What upstream allows, as far as it said, or what is configured.", COUNT,
     get_stated},
    {"ramp", "What use may have grown to by now, or what upstream allows.", COUNT, get_ramp},
    {"effective", "What is kept now: less than ramp while a foreign spender uses the quota.", COUNT,
     weir_stats_amount},
    {"used", "What is charged in the window now, leases included.", COUNT, get_used},
    {"leased", "What leases that are out are charged of it.", COUNT, get_leased},
    {"closed_seconds", "For how long nothing fits, because of what is in no book.", SECONDS,
     get_closed},
};

static void limit_sample(struct weir_stats_out *out, const char *prefix,
                         const struct limit_family *f, const struct weir_msg_row *row,
                         const struct weir_msg_row_limit *limit)
{
  weir_stats_put(out, prefix);
  weir_stats_put(out, f->name);
  label(out, "{", strcmp(prefix, "weir_limit_") == 0 ? "pool" : "budget", row->pool);
  label(out, ",", "dimension", weir_dimension_name(limit->dimension));
  weir_stats_put(out, ",window_seconds=\"");
  if (limit->window_us % WEIR_US_PER_S == 0)
    weir_stats_put_uint(out, limit->window_us / WEIR_US_PER_S);
  else
    weir_stats_put_part(out, limit->window_us, 6);
  weir_stats_put(out, limit->is_shadow ? "\",mode=\"shadow\"}" : "\",mode=\"enforced\"}");
  value(out, f->unit, f->get(limit));
}

static void limits(struct weir_stats_out *out, const char *prefix, const struct weir_msg_row *rows,
                   uint32_t count)
{
  for (size_t k = 0; k < sizeof(limit_families) / sizeof(*limit_families); k++) {
    const struct limit_family *f = &limit_families[k];

    weir_stats_put(out, "# HELP ");
    weir_stats_put(out, prefix);
    weir_stats_put(out, f->name);
    weir_stats_put(out, " ");
    weir_stats_put(out, f->help);
    weir_stats_put(out, "\n# TYPE ");
    weir_stats_put(out, prefix);
    weir_stats_put(out, f->name);
    weir_stats_put(out, " gauge\n");
    for (uint32_t i = 0; i < count; i++)
      for (uint32_t n = 0; n < rows[i].limits_count; n++)
        limit_sample(out, prefix, f, &rows[i], &rows[i].limits[n]);
  }
}

/* ---- several samples of a pool ---- */

static void queues(struct weir_stats_out *out, const struct weir_stats *stats)
{
  static const struct family waiting = {"weir_queue_asks", "gauge", "Asks that wait."};
  static const struct family oldest = {"weir_queue_oldest_seconds", "gauge",
                                       "The longest that one of them waits."};

  head(out, &waiting);
  for (uint32_t i = 0; i < stats->pools_count; i++)
    for (int class = 1; class < WEIR_CLASS_MAX; class ++)
      sample(out, &waiting, &stats->pools[i], "class", weir_class_name((enum weir_class) class),
             COUNT, stats->pools[i].queued[class]);
  head(out, &oldest);
  for (uint32_t i = 0; i < stats->pools_count; i++) {
    const struct weir_msg_row *row = &stats->pools[i];

    sample(out, &oldest, row, "class", weir_class_name(WEIR_CLASS_ONLINE), SECONDS,
           row->figures[WEIR_FIGURE_OLDEST_ONLINE_US]);
    sample(out, &oldest, row, "class", weir_class_name(WEIR_CLASS_BATCH), SECONDS,
           row->figures[WEIR_FIGURE_OLDEST_BATCH_US]);
  }
}

/* Not "quantile": that label is a summary's, which counts for ever, and these forget. */
static void percentiles(struct weir_stats_out *out, const struct weir_stats *stats)
{
  static const struct family waits = {"weir_wait_seconds", "gauge",
                                      "How long asks waited that were granted lately."};
  static const struct family calls = {"weir_call_duration_seconds", "gauge",
                                      "How long good calls took lately."};

  head(out, &waits);
  for (uint32_t i = 0; i < stats->pools_count; i++) {
    const struct weir_msg_row *row = &stats->pools[i];

    sample(out, &waits, row, "percentile", "50", SECONDS, row->figures[WEIR_FIGURE_WAIT_P50_US]);
    sample(out, &waits, row, "percentile", "95", SECONDS, row->figures[WEIR_FIGURE_WAIT_P95_US]);
    sample(out, &waits, row, "percentile", "99", SECONDS, row->figures[WEIR_FIGURE_WAIT_P99_US]);
  }
  head(out, &calls);
  for (uint32_t i = 0; i < stats->pools_count; i++) {
    const struct weir_msg_row *row = &stats->pools[i];

    sample(out, &calls, row, "percentile", "50", SECONDS, row->latency_p50_us);
    sample(out, &calls, row, "percentile", "95", SECONDS, row->latency_p95_us);
    sample(out, &calls, row, "percentile", "99", SECONDS, row->latency_p99_us);
  }
}

static void tokens(struct weir_stats_out *out, const struct weir_stats *stats)
{
  static const struct family f = {"weir_tokens_total", "counter", "Tokens of ended calls."};

  head(out, &f);
  for (uint32_t i = 0; i < stats->pools_count; i++) {
    const struct weir_msg_row *row = &stats->pools[i];

    sample(out, &f, row, "type", "input", COUNT, row->figures[WEIR_FIGURE_INPUT_TOKENS]);
    sample(out, &f, row, "type", "output", COUNT, row->figures[WEIR_FIGURE_OUTPUT_TOKENS]);
  }
}

/* Outcomes that never were cost nothing. */
static void calls(struct weir_stats_out *out, const struct weir_stats *stats)
{
  static const struct family f = {"weir_calls_total", "counter", "Calls that ended, by outcome."};

  head(out, &f);
  for (uint32_t i = 0; i < stats->pools_count; i++)
    for (int k = 1; k < WEIR_OUTCOME_MAX; k++)
      if (k == WEIR_OUTCOME_OK || stats->pools[i].counters[k] > 0)
        sample(out, &f, &stats->pools[i], "outcome", weir_outcome_name((enum weir_outcome)k), COUNT,
               stats->pools[i].counters[k]);
}

static void rejections(struct weir_stats_out *out, const struct weir_stats *stats)
{
  static const struct family f = {"weir_rejections_total", "counter",
                                  "Calls that were rejected, by whose fault."};

  head(out, &f);
  for (uint32_t i = 0; i < stats->pools_count; i++) {
    const struct weir_msg_row *row = &stats->pools[i];
    const uint64_t foreign = row->figures[WEIR_FIGURE_REJECTED_FOREIGN];

    sample(out, &f, row, "fault", "own", COUNT,
           row->rejected_429 > foreign ? row->rejected_429 - foreign : 0);
    sample(out, &f, row, "fault", "foreign", COUNT, foreign);
    sample(out, &f, row, "fault", "capacity", COUNT, row->counters[WEIR_OUTCOME_CAPACITY_THROTTLE]);
  }
}

static void breakers(struct weir_stats_out *out, const struct weir_stats *stats)
{
  static const struct family f = {"weir_breaker_state", "gauge", "1 for the state of the breaker."};

  head(out, &f);
  for (uint32_t i = 0; i < stats->pools_count; i++)
    for (int k = 1; k < WEIR_BREAKER_MAX; k++)
      sample(out, &f, &stats->pools[i], "state", weir_breaker_name((enum weir_breaker_state)k),
             COUNT, (int)stats->pools[i].breaker == k);
}

static void without_coordinator(struct weir_stats_out *out, const struct weir_stats *stats)
{
  static const struct family f = {"weir_without_coordinator", "gauge",
                                  "1 for what calls do without the coordinator, by configuration."};

  head(out, &f);
  for (uint32_t i = 0; i < stats->pools_count; i++)
    for (int k = 1; k < WEIR_WITHOUT_MAX; k++)
      sample(out, &f, &stats->pools[i], "mode", weir_without_name((enum weir_without)k), COUNT,
             (int)stats->pools[i].without == k);
}

/* ---- tenants ---- */

static void tenant_sample(struct weir_stats_out *out, const struct family *f,
                          const struct weir_msg_row *row, enum unit unit, uint64_t number)
{
  weir_stats_put(out, f->name);
  label(out, "{", "pool", row->pool);
  label(out, ",", "tenant", row->tenant);
  label(out, ",", "class", weir_class_name((enum weir_class)row->figures[WEIR_FIGURE_CLASS]));
  weir_stats_put(out, "}");
  value(out, unit, number);
}

static void tenants(struct weir_stats_out *out, const struct weir_stats *stats)
{
  static const struct family waiting = {"weir_tenant_asks", "gauge",
                                        "Asks of a tenant that wait; the busiest tenants only."};
  static const struct family leases = {"weir_tenant_leases", "gauge",
                                       "Leases of a tenant that are out; the busiest only."};
  static const struct family share = {"weir_tenant_share_ratio", "gauge",
                                      "Of the quota, used by a tenant in the last minute."};

  head(out, &waiting);
  for (uint32_t i = 0; i < stats->tenants_count; i++) {
    const struct weir_msg_row *row = &stats->tenants[i];
    const uint64_t class = row->figures[WEIR_FIGURE_CLASS];

    tenant_sample(out, &waiting, row, COUNT, class < WEIR_CLASS_MAX ? row->queued[class] : 0);
  }
  head(out, &leases);
  for (uint32_t i = 0; i < stats->tenants_count; i++)
    tenant_sample(out, &leases, &stats->tenants[i], COUNT, stats->tenants[i].leases);
  head(out, &share);
  for (uint32_t i = 0; i < stats->tenants_count; i++)
    tenant_sample(out, &share, &stats->tenants[i], PART,
                  stats->tenants[i].figures[WEIR_FIGURE_SHARE_PM]);
}

/* ---- the whole coordinator ---- */

static void single(struct weir_stats_out *out, const char *name, const char *type, const char *help,
                   enum unit unit, uint64_t number)
{
  const struct family f = {name, type, help};

  head(out, &f);
  weir_stats_put(out, name);
  value(out, unit, number);
}

#define X(name, number, text) [number] = "weir_coordinator_" text "_total",
static const char counters[][48] = {WEIR_COUNTER_LIST(X)};
#undef X

static void totals(struct weir_stats_out *out, const struct weir_msg_row *row)
{
  single(out, "weir_epoch", "gauge", "Grows with every start of the coordinator.", COUNT,
         row->epoch);
  single(out, "weir_uptime_seconds", "gauge", "Since the start.", SECONDS, row->uptime_us);
  single(out, "weir_sessions", "gauge", "Open sessions of instances.", COUNT, row->sessions);
  single(out, "weir_pools", "gauge", "Open pools.", COUNT, row->pools);
  for (int i = 1; i < WEIR_COUNTER_MAX; i++)
    single(out, counters[i], "counter", "See docs/STATISTICS.md, Counters.", COUNT,
           row->counters[i]);
}

static void process(struct weir_stats_out *out, const struct weir_stats_process *p)
{
  static const struct family info = {"weir_build_info", "gauge", "1, with the version."};

  head(out, &info);
  weir_stats_put(out, info.name);
  label(out, "{", "version", p->version);
  weir_stats_put(out, "} 1\n");
  single(out, "process_resident_memory_bytes", "gauge", "Memory of the process.", COUNT,
         p->resident_bytes);
  single(out, "process_cpu_seconds_total", "counter", "Processor time of the process.", MICRO,
         p->cpu_us);
  single(out, "weir_wire_received_frames_total", "counter", "Frames from instances.", COUNT,
         p->frames_in);
  single(out, "weir_wire_received_bytes_total", "counter", "Bytes of these frames.", COUNT,
         p->bytes_in);
  single(out, "weir_wire_sent_frames_total", "counter", "Frames to instances.", COUNT,
         p->frames_out);
  single(out, "weir_wire_sent_bytes_total", "counter", "Bytes of these frames.", COUNT,
         p->bytes_out);
  single(out, "weir_webhook_sent_total", "counter", "Posts of alerts that arrived.", COUNT,
         p->posts_sent);
  single(out, "weir_webhook_failed_total", "counter", "Tries to post an alert that failed.", COUNT,
         p->posts_failed);
  single(out, "weir_webhook_lost_total", "counter", "Posts of alerts that were given up.", COUNT,
         p->posts_lost);
}

void weir_stats_prometheus(struct weir_stats_out *out, const struct weir_stats *stats)
{
  totals(out, stats->totals);
  if (stats->process)
    process(out, stats->process);
  limits(out, "weir_limit_", stats->pools, stats->pools_count);
  limits(out, "weir_budget_limit_", stats->budgets, stats->budgets_count);
  pools(out, stats);
  budgets(out, stats);
  queues(out, stats);
  percentiles(out, stats);
  tokens(out, stats);
  calls(out, stats);
  rejections(out, stats);
  breakers(out, stats);
  without_coordinator(out, stats);
  tenants(out, stats);
}
