/* scenario_yaml.c - reads a scenario by the table of its keys, with the coordinator's own reader of
 * YAML: all problems at once, each with line, column and what to do. */
#include <stdlib.h>
#include <string.h>

#include "scenario.h"
#include <weir/conf_read.h>
#include <weir/conf_value.h>

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

/* Adds an error at the value of |key|, or at its map. */
#define COMPLAIN(section, key, ...)                                                                \
  weir_conf_issue_add((section)->reader->issues, false, place_of(section, key), __VA_ARGS__)

static const yaml_node_t *place_of(const struct weir_conf_section *section, const char *key)
{
  const yaml_node_t *node = weir_conf_find(section, key);

  return node ? node : section->node;
}

static bool has(const struct weir_conf_section *section, const char *key)
{
  return weir_conf_find(section, key) != NULL;
}

static bool is_name(const char *text)
{
  return text[0] != '\0' && text[strspn(text, NAME_LETTERS)] == '\0';
}

/* A name that is printed, also as JSON: letters, digits and "._-". */
static void read_name(const struct weir_conf_section *section, const char *key, char *ret_name,
                      size_t size)
{
  if (!weir_conf_text(section, key, ret_name, size))
    ret_name[0] = '\0';
  else if (ret_name[0] != '\0' && !is_name(ret_name))
    COMPLAIN(section, key, "%s: '%.40s' is no name; use letters, digits and ._- only", key,
             ret_name);
}

/* How many elements the list |key| has; an issue, and 0, when there are none or too many. */
static size_t list_size(const struct weir_conf_section *section, const char *key, size_t max)
{
  const yaml_node_t *node = weir_conf_find(section, key);
  size_t count = node ? weir_conf_items(node) : 0;

  if (!node)
    return 0;
  if (count >= 1 && count <= max)
    return count;
  weir_conf_issue_add(section->reader->issues, false, node, "%s has %zu elements; give 1 to %zu",
                      key, count, max);
  return 0;
}

static const yaml_node_t *list_item(const struct weir_conf_section *section, const char *key,
                                    size_t index)
{
  return weir_conf_item(section->reader, weir_conf_find(section, key), index);
}

/* Opens element |index| of the list |key|, whose keys stand under |path|. */
static bool item_open(const struct weir_conf_section *section, const char *key, size_t index,
                      const char *path, struct weir_conf_section *ret_section)
{
  return weir_conf_section_open(section->reader, list_item(section, key, index), path, ret_section);
}

/* ---- the matrix ---- */

static void report_word(const struct weir_conf_section *section, const yaml_node_t *node,
                        const char *key, const char *text, const char *const *words, size_t count)
{
  const char *nearest = NULL;
  size_t best = 3;

  for (size_t i = 1; i < count; i++) {
    size_t distance = weir_conf_distance(text, words[i]);

    if (distance < best) {
      best = distance;
      nearest = words[i];
    }
  }
  if (nearest)
    weir_conf_issue_add(section->reader->issues, false, node,
                        "%s: unknown word '%.40s'; did you mean '%s'?", key, text, nearest);
  else
    weir_conf_issue_add(section->reader->issues, false, node,
                        "%s: unknown word '%.40s'; docs/SIMULATE.md lists them", key, text);
}

static int scheme_find(const struct weir_conf_section *section, const yaml_node_t *node,
                       const char *key, const char *text)
{
  const char *words[WEIR_SCHEME_MAX];
  const enum weir_scheme scheme = weir_scheme_parse(text);

  for (int i = 0; i < WEIR_SCHEME_MAX; i++)
    words[i] = weir_scheme_name((enum weir_scheme)i);
  if (scheme == WEIR_SCHEME_NONE)
    report_word(section, node, key, text, words, WEIR_SCHEME_MAX);
  return (int)scheme;
}

static int method_find(const struct weir_conf_section *section, const yaml_node_t *node,
                       const char *key, const char *text)
{
  const char *words[WEIR_UP_METHOD_MAX];
  const enum weir_up_method method = weir_up_method_parse(text);

  for (int i = 0; i < WEIR_UP_METHOD_MAX; i++)
    words[i] = weir_up_method_name((enum weir_up_method)i);
  if (!method)
    report_word(section, node, key, text, words, WEIR_UP_METHOD_MAX);
  return (int)method;
}

static void read_schemes(const struct weir_conf_section *top, struct weir_scenario *s)
{
  const size_t count =
      weir_conf_need(top, "schemes") ? list_size(top, "schemes", WEIR_SCHEME_MAX) : 0;
  char text[32];

  for (size_t i = 0; i < count; i++) {
    const yaml_node_t *node = list_item(top, "schemes", i);

    if (weir_conf_node_text(top->reader, node, "schemes", text, sizeof(text)))
      s->schemes[s->schemes_count++] = (enum weir_scheme)scheme_find(top, node, "schemes", text);
  }
}

static void read_methods(const struct weir_conf_section *top, struct weir_scenario *s)
{
  const size_t count = list_size(top, "methods", WEIR_UP_METHOD_MAX);
  char text[32];

  for (size_t i = 0; i < count; i++) {
    const yaml_node_t *node = list_item(top, "methods", i);

    if (weir_conf_node_text(top->reader, node, "methods", text, sizeof(text)))
      s->methods[s->methods_count++] = (enum weir_up_method)method_find(top, node, "methods", text);
  }
  if (!has(top, "methods"))
    s->methods[s->methods_count++] = WEIR_UP_LOG;
}

static void read_fleets(const struct weir_conf_section *top, struct weir_scenario *s)
{
  const size_t count = list_size(top, "instances", WEIR_SCENARIO_FLEETS_MAX);
  char text[32];

  for (size_t i = 0; i < count; i++) {
    const yaml_node_t *node = list_item(top, "instances", i);
    uint64_t value;

    if (!weir_conf_node_text(top->reader, node, "instances", text, sizeof(text)))
      continue;
    if (!weir_conf_value_parse(WEIR_CONF_AMOUNT, text, &value) || value < 1 ||
        value > WEIR_SCENARIO_INSTANCES_MAX)
      weir_conf_issue_add(top->reader->issues, false, node,
                          "instances: '%.40s' is not a whole number from 1 to %d", text,
                          WEIR_SCENARIO_INSTANCES_MAX);
    else
      s->fleets[s->fleets_count++] = (uint32_t)value;
  }
  if (!has(top, "instances"))
    s->fleets[s->fleets_count++] = 100;
}

/* Limits by their short keys; those of a day beside another only, since they are no rates. */
static void read_limits(const struct weir_conf_section *section, bool is_first,
                        struct weir_scenario_set *set)
{
  static const struct {
    const char *key;
    bool is_tokens, is_day, is_firsts;
    weir_duration window_us;
  } kinds[] = {{"rpm", false, false, false, WEIR_US_PER_MIN},
               {"tpm", true, false, false, WEIR_US_PER_MIN},
               {"rph", false, false, true, WEIR_US_PER_HOUR},
               {"tph", true, false, true, WEIR_US_PER_HOUR},
               {"rpd", false, true, true, 24 * WEIR_US_PER_HOUR}};
  bool has_rate = false;

  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    uint64_t amount;

    if (kinds[i].is_firsts && !is_first)
      continue;
    amount = weir_conf_number(section, kinds[i].key);
    has_rate = has_rate || (!kinds[i].is_day && has(section, kinds[i].key));
    if (amount > 0)
      set->limits[set->limits_count++] = (struct weir_scenario_limit){
          kinds[i].is_tokens, kinds[i].is_day, amount, kinds[i].window_us};
  }
  if (!has_rate)
    COMPLAIN(section, "name", "a set of limits without a limit; add rpm, tpm, rph or tph");
}

static void read_set(const struct weir_conf_section *section, struct weir_scenario_set *set)
{
  read_name(section, "name", set->name, sizeof(set->name));
  read_limits(section, true, set);
}

static void read_sets(const struct weir_conf_section *top, struct weir_scenario *s)
{
  const size_t count =
      weir_conf_need(top, "limits") ? list_size(top, "limits", WEIR_SCENARIO_SETS_MAX) : 0;

  for (size_t i = 0; i < count; i++) {
    struct weir_conf_section section;

    if (item_open(top, "limits", i, "limits[]", &section))
      read_set(&section, &s->sets[s->sets_count++]);
  }
}

/* ---- workloads ---- */

static void read_tokens(const struct weir_conf_section *section, struct weir_scenario_stream *st)
{
  st->tokens = (enum weir_token_kind)weir_conf_word(section, "tokens");
  st->token_min = weir_conf_number(section, "token_min");
  st->token_max = weir_conf_number(section, "token_max");
  st->token_alpha_pm = weir_conf_number(section, "token_alpha");
  st->estimate = (enum weir_estimate_kind)weir_conf_word(section, "estimate");
  st->estimate_sigma_pm = weir_conf_number(section, "estimate_sigma");
  st->estimate_bias_pm = weir_conf_number(section, "estimate_bias");
  st->estimate_tail_pm = weir_conf_number(section, "estimate_tail");
  if (st->tokens == WEIR_TOKENS_PARETO && st->token_min >= st->token_max)
    COMPLAIN(section, "token_min",
             "token_min is not below token_max; lower it, or write tokens: "
             "constant");
}

static void read_stream(const struct weir_conf_section *section, struct weir_scenario_stream *st)
{
  read_name(section, "name", st->name, sizeof(st->name));
  st->kind = (enum weir_stream_kind)weir_conf_word(section, "kind");
  st->calls = weir_conf_number(section, "calls");
  st->workers = weir_conf_number(section, "workers");
  st->start_us = weir_conf_number(section, "start");
  st->deadline_us = weir_conf_number(section, "deadline");
  st->duration_us = weir_conf_number(section, "duration");
  st->load_pm = weir_conf_number(section, "load");
  st->bursts = weir_conf_number(section, "bursts");
  st->burst_pm = weir_conf_number(section, "burst_share");
  st->hot_pm = weir_conf_number(section, "hot_instances");
  st->hot_calls_pm = weir_conf_number(section, "hot_share");
  st->class = (enum weir_class)(weir_conf_word(section, "class") + 1);
  read_name(section, "tenant", st->tenant, sizeof(st->tenant));
  st->weight = weir_conf_number(section, "weight");
  read_tokens(section, st);
}

static void read_workload(const struct weir_conf_section *section,
                          struct weir_scenario_workload *workload)
{
  const size_t count = list_size(section, "streams", WEIR_SCENARIO_STREAMS_MAX);

  read_name(section, "name", workload->name, sizeof(workload->name));
  if (!has(section, "streams")) {
    read_stream(section, &workload->streams[workload->streams_count++]);
    return;
  }
  workload->has_streams = true;
  if (weir_conf_pairs(section->node) > 2)
    COMPLAIN(section, "streams",
             "a workload with streams has no other key but name; move them "
             "into the streams");
  for (size_t i = 0; i < count; i++) {
    struct weir_conf_section stream;

    if (!item_open(section, "streams", i, "workloads[]", &stream))
      continue;
    if (has(&stream, "streams"))
      COMPLAIN(&stream, "streams", "a stream has no streams; write them beside each other");
    read_stream(&stream, &workload->streams[workload->streams_count++]);
  }
}

static void read_workloads(const struct weir_conf_section *top, struct weir_scenario *s)
{
  const size_t count = weir_conf_need(top, "workloads")
                           ? list_size(top, "workloads", WEIR_SCENARIO_WORKLOADS_MAX)
                           : 0;

  for (size_t i = 0; i < count; i++) {
    struct weir_conf_section section;

    if (item_open(top, "workloads", i, "workloads[]", &section))
      read_workload(&section, &s->workloads[s->workloads_count++]);
  }
}

/* ---- what surrounds them ---- */

/* A rule of growth by share, or by steps. */
static void read_slope(const struct weir_conf_section *provider, struct weir_slope_rule *slope)
{
  struct weir_conf_section section;

  if (!has(provider, "ramp") ||
      !weir_conf_section_open(provider->reader, weir_conf_find(provider, "ramp"), "provider.ramp",
                              &section))
    return;
  if (!weir_conf_need(&section, "least"))
    return;
  slope->least = weir_conf_number(&section, "least");
  slope->growth_pm = weir_conf_number(&section, "growth");
  slope->step = weir_conf_number(&section, "step");
  slope->per_us = weir_conf_number(&section, "per");
  if (has(&section, "growth") && has(&section, "step"))
    COMPLAIN(&section, "step", "growth and step are two rules; remove one of them");
  if (slope->per_us % WEIR_US_PER_MIN != 0)
    COMPLAIN(&section, "per", "per is not a number of whole minutes; write 1m, or 15m");
}

static void read_provider(const struct weir_conf_section *top, struct weir_scenario *s)
{
  struct weir_conf_section section;

  if (weir_conf_section_open(top->reader, weir_conf_find(top, "provider"), "provider", &section)) {
    s->burst_pm = weir_conf_number(&section, "burst");
    s->is_rejected_counted = weir_conf_bool(&section, "rejected_count");
    s->delay_min_us = weir_conf_number(&section, "delay_min");
    s->delay_spread_us = weir_conf_number(&section, "delay_spread");
    s->latency_median_us = weir_conf_number(&section, "latency_median");
    s->latency_sigma_pm = weir_conf_number(&section, "latency_sigma");
    s->latency_max_us = weir_conf_number(&section, "latency_max");
    s->failing_uncharged_pm = weir_conf_number(&section, "failing_uncharged");
    s->failing_charged_pm = weir_conf_number(&section, "failing_charged");
    read_slope(&section, &s->slope);
    if (s->failing_uncharged_pm + s->failing_charged_pm > 1000)
      COMPLAIN(&section, "failing_charged", "more than all calls fail; lower one of the shares");
  }
  if (weir_conf_section_open(top->reader, weir_conf_find(top, "network"), "network", &section)) {
    s->hop_min_us = weir_conf_number(&section, "hop_min");
    s->hop_max_us = weir_conf_number(&section, "hop_max");
    if (s->hop_min_us > s->hop_max_us)
      COMPLAIN(&section, "hop_min", "hop_min is above hop_max; swap them");
  }
}

static void read_weir(const struct weir_conf_section *top, struct weir_scenario *s)
{
  struct weir_conf_section section, ramp;

  if (!weir_conf_section_open(top->reader, weir_conf_find(top, "weir"), "weir", &section))
    return;
  if (weir_conf_section_open(top->reader, weir_conf_find(&section, "ramp"), "weir.ramp", &ramp)) {
    s->ramp_pm = weir_conf_number(&ramp, "growth");
    s->ramp_per_us = weir_conf_number(&ramp, "per");
  }
  s->lease_ttl_us = weir_conf_number(&section, "lease_ttl");
  s->jitter_us = weir_conf_number(&section, "jitter");
  s->write_delay_us = weir_conf_number(&section, "write_delay");
  s->estimate_error_pm = weir_conf_number(&section, "estimate_error");
  s->reserve_pm = weir_conf_number(&section, "reserve");
  s->assumed_burst_pm = weir_conf_number(&section, "assumed_burst");
  s->batch_floor_pm = weir_conf_number(&section, "batch_floor");
  s->heartbeat_us = weir_conf_number(&section, "heartbeat");
  s->session_ttl_us = weir_conf_number(&section, "session_ttl");
  s->ask_wait_us = weir_conf_number(&section, "ask_wait");
  if (s->session_ttl_us <= s->heartbeat_us)
    COMPLAIN(&section, "session_ttl",
             "session_ttl is not above heartbeat, so every session would "
             "end; make it about three times as long");
  if (s->lease_ttl_us + s->jitter_us > WEIR_HOLD_MAX_US)
    COMPLAIN(&section, "lease_ttl", "lease_ttl and jitter are more than 10s together; lower one");
  if (2 * s->hop_max_us + s->write_delay_us >= s->lease_ttl_us)
    COMPLAIN(&section, "lease_ttl",
             "lease_ttl is not above two hop_max and write_delay, so leases "
             "would expire before they are used; make it longer");
}

static void read_breaker(const struct weir_conf_section *top, struct weir_scenario *s)
{
  struct weir_breaker_config *b = &s->breaker;
  struct weir_conf_section section;

  if (!weir_conf_section_open(top->reader, weir_conf_find(top, "breaker"), "breaker", &section))
    return;
  b->is_on = weir_conf_bool(&section, "enabled");
  b->failures_pm = (uint32_t)weir_conf_number(&section, "failures");
  b->calls_min = (uint32_t)weir_conf_number(&section, "min_calls");
  b->window_us = weir_conf_number(&section, "window");
  b->open_us = weir_conf_number(&section, "open");
  b->open_max_us = weir_conf_number(&section, "open_max");
  b->probes = (uint32_t)weir_conf_number(&section, "probes");
  b->probe_timeout_us = weir_conf_number(&section, "probe_timeout");
  b->ramp_us = weir_conf_number(&section, "ramp");
  s->breaker_retries_pm = weir_conf_number(&section, "retries");
  if (b->open_max_us < b->open_us)
    COMPLAIN(&section, "open_max", "open_max is below open; raise it");
}

static void read_events(const struct weir_conf_section *top, struct weir_scenario *s)
{
  const size_t count = list_size(top, "crashes", WEIR_SCENARIO_CRASHES_MAX);
  struct weir_conf_section section;

  for (size_t i = 0; i < count; i++) {
    struct weir_scenario_crash *crash = &s->crashes[s->crashes_count];

    if (!item_open(top, "crashes", i, "crashes[]", &section))
      continue;
    crash->instance = weir_conf_number(&section, "instance");
    crash->at_us = weir_conf_number(&section, "at");
    crash->down_us = weir_conf_number(&section, "down");
    s->crashes_count++;
  }
  if (!weir_conf_section_open(top->reader, weir_conf_find(top, "foreign"), "foreign", &section))
    return;
  s->foreign_pm = weir_conf_number(&section, "share");
  s->foreign_from_us = weir_conf_number(&section, "from");
  s->foreign_until_us = weir_conf_number(&section, "until");
  if (s->foreign_pm > 0 && s->foreign_from_us >= s->foreign_until_us)
    COMPLAIN(&section, "until", "until is not after from; make it later");
}

static void read_faults(const struct weir_conf_section *top, struct weir_scenario *s)
{
  const size_t count = list_size(top, "faults", WEIR_SCENARIO_FAULTS_MAX);
  struct weir_conf_section section;

  for (size_t i = 0; i < count; i++) {
    struct weir_scenario_fault *fault = &s->faults[s->faults_count];

    if (!item_open(top, "faults", i, "faults[]", &section))
      continue;
    fault->from_us = weir_conf_number(&section, "from");
    fault->to_us = weir_conf_number(&section, "to");
    fault->answer = (enum weir_fault_answer)weir_conf_word(&section, "answer");
    fault->share_pm = weir_conf_number(&section, "share");
    fault->latency_us = weir_conf_number(&section, "latency");
    if (fault->from_us >= fault->to_us)
      COMPLAIN(&section, "to", "to is not after from; make it later");
    s->faults_count++;
  }
}

static void read_attempts(const struct weir_conf_section *top, struct weir_scenario *s)
{
  struct weir_conf_section section;

  s->retries = weir_conf_number(top, "retries");
  if (weir_conf_section_open(top->reader, weir_conf_find(top, "retry"), "retry", &section)) {
    s->is_errors_retried = weir_conf_bool(&section, "errors");
    s->retry_first_us = weir_conf_number(&section, "first");
    s->retry_most_us = weir_conf_number(&section, "most");
  }
}

static bool is_set(const struct weir_scenario *s, const char *name)
{
  for (uint32_t i = 0; i < s->sets_count; i++)
    if (strcmp(s->sets[i].name, name) == 0)
      return true;
  return false;
}

/* The place of a workload; workloads_count when there is none of that name. */
static uint32_t workload_find(const struct weir_scenario *s, const char *name)
{
  uint32_t i = 0;

  while (i < s->workloads_count && strcmp(s->workloads[i].name, name) != 0)
    i++;
  return i;
}

static bool is_stream(const struct weir_scenario *s, const char *name)
{
  for (uint32_t i = 0; i < s->workloads_count; i++)
    for (uint32_t j = 0; j < s->workloads[i].streams_count; j++)
      if (strcmp(s->workloads[i].streams[j].name, name) == 0)
        return true;
  return false;
}

/* An expectation that can meet no row would hold for ever. */
static void read_filter(const struct weir_conf_section *section, const struct weir_scenario *s,
                        struct weir_scenario_expect *e)
{
  char text[32];
  bool is_known = false;

  if (has(section, "scheme") && weir_conf_text(section, "scheme", text, sizeof(text)))
    e->scheme =
        (enum weir_scheme)scheme_find(section, weir_conf_find(section, "scheme"), "scheme", text);
  if (has(section, "method") && weir_conf_text(section, "method", text, sizeof(text)))
    e->method = (enum weir_up_method)method_find(section, weir_conf_find(section, "method"),
                                                 "method", text);
  e->instances = weir_conf_number(section, "instances");
  read_name(section, "workload", e->workload, sizeof(e->workload));
  read_name(section, "limits", e->limits, sizeof(e->limits));
  read_name(section, "stream", e->stream, sizeof(e->stream));
  for (uint32_t i = 0; i < s->schemes_count; i++)
    is_known = is_known || s->schemes[i] == e->scheme;
  if (e->scheme && !is_known)
    COMPLAIN(section, "scheme", "scheme: %s is not among schemes; add it there", text);
  if (e->workload[0] && workload_find(s, e->workload) == s->workloads_count)
    COMPLAIN(section, "workload", "workload: no workload is called '%s'", e->workload);
  if (e->limits[0] && !is_set(s, e->limits))
    COMPLAIN(section, "limits", "limits: no set of limits is called '%s'", e->limits);
  if (e->stream[0] && !is_stream(s, e->stream))
    COMPLAIN(section, "stream", "stream: no stream is called '%s'", e->stream);
}

/* Two workloads are compared when the second one is over. */
static void read_against(const struct weir_conf_section *section, const struct weir_scenario *s,
                         struct weir_scenario_expect *e)
{
  e->has_wait_ratio = has(section, "wait_p99_ratio_max");
  e->wait_ratio_max_pm = weir_conf_number(section, "wait_p99_ratio_max");
  read_name(section, "against", e->against, sizeof(e->against));
  if (e->has_wait_ratio != (e->against[0] != '\0'))
    COMPLAIN(section, "against",
             "wait_p99_ratio_max and against belong together; write both or none");
  else if (e->has_wait_ratio &&
           (!e->workload[0] || workload_find(s, e->against) >= workload_find(s, e->workload)))
    COMPLAIN(section, "against",
             "against: '%s' is no workload before that of the expectation; name a workload, and "
             "one that stands before it",
             e->against);
}

/* What is expected of a run with faults, or with a quota that somebody else uses up. */
static void read_outage(const struct weir_conf_section *section, const struct weir_scenario *s,
                        struct weir_scenario_expect *e)
{
  e->has_probes = has(section, "probes");
  e->probes = weir_conf_number(section, "probes");
  e->has_bin_ratio = has(section, "bin_ratio_max");
  e->bin_ratio_max_pm = weir_conf_number(section, "bin_ratio_max");
  e->has_retry_share = has(section, "retry_share_max");
  e->retry_share_max_pm = weir_conf_number(section, "retry_share_max");
  e->has_overrun = has(section, "overrun_max");
  e->overrun_max_us = weir_conf_number(section, "overrun_max");
  e->has_recovery = has(section, "recovery_max");
  e->recovery_max_us = weir_conf_number(section, "recovery_max");
  e->has_moved = has(section, "moved_max");
  e->moved_max_us = weir_conf_number(section, "moved_max");
  e->has_done_share = has(section, "done_share_min");
  e->done_share_min_pm = weir_conf_number(section, "done_share_min");
  e->has_ramp_span = has(section, "ramp_span_max");
  e->ramp_span_max_us = weir_conf_number(section, "ramp_span_max");
  if (s->slope.least == 0 && e->has_ramp_span)
    COMPLAIN(section, "ramp_span_max", "ramp_span_max judges a run with provider.ramp; add it");
  if (s->faults_count == 0 && (e->has_probes || e->has_bin_ratio || e->has_recovery))
    COMPLAIN(section, "scheme",
             "probes, bin_ratio_max and recovery_max judge a run with faults; add faults");
}

/* What is told of a run as a whole, and what of a stream. */
static void read_reach(const struct weir_conf_section *section,
                       const struct weir_scenario_expect *e)
{
  const bool is_of_outage = e->has_probes || e->has_bin_ratio || e->has_retry_share ||
                            e->has_overrun || e->has_recovery || e->has_moved ||
                            e->has_done_share || e->has_ramp_span;
  const bool is_of_run = e->has_rejected_min || e->has_rejected_share || e->has_utilisation ||
                         e->has_fairness || e->has_left || is_of_outage;

  if (e->stream[0] && is_of_run)
    COMPLAIN(section, "stream",
             "utilisation_min, rejected_429_min, rejected_share_max, fairness_min, "
             "goodput_of_left_min and what is told of an outage judge a run as a whole; remove "
             "stream");
  if (!e->stream[0] && e->has_share)
    COMPLAIN(section, "share_min", "share_min judges a stream; add its name as stream");
  if (!(is_of_run || e->has_rejected || e->has_failed || e->has_wait_p99 || e->has_wait_ratio ||
        e->has_share))
    COMPLAIN(section, "scheme",
             "nothing is expected here; add rejected_429, failed, utilisation_min, wait_p99_max, "
             "share_min or another that docs/SIMULATE.md lists");
}

static void read_expect(const struct weir_conf_section *section, const struct weir_scenario *s,
                        struct weir_scenario_expect *e)
{
  e->line = (uint32_t)section->node->start_mark.line + 1;
  read_filter(section, s, e);
  e->has_rejected = has(section, "rejected_429");
  e->rejected_max = weir_conf_number(section, "rejected_429");
  e->has_rejected_min = has(section, "rejected_429_min");
  e->rejected_min = weir_conf_number(section, "rejected_429_min");
  e->has_rejected_share = has(section, "rejected_share_max");
  e->rejected_share_max_pm = weir_conf_number(section, "rejected_share_max");
  e->has_failed = has(section, "failed");
  e->failed_max = weir_conf_number(section, "failed");
  e->has_utilisation = has(section, "utilisation_min");
  e->utilisation_min_pm = weir_conf_number(section, "utilisation_min");
  e->has_wait_p99 = has(section, "wait_p99_max");
  e->wait_p99_max_us = weir_conf_number(section, "wait_p99_max");
  e->has_share = has(section, "share_min");
  e->share_min_pm = weir_conf_number(section, "share_min");
  e->has_fairness = has(section, "fairness_min");
  e->fairness_min_pm = weir_conf_number(section, "fairness_min");
  e->has_left = has(section, "goodput_of_left_min");
  e->left_min_pm = weir_conf_number(section, "goodput_of_left_min");
  read_against(section, s, e);
  read_outage(section, s, e);
  read_reach(section, e);
}

static void build(struct weir_conf_reader *reader, const yaml_node_t *root, void *context)
{
  struct weir_scenario *s = context;
  struct weir_conf_section top, section;
  char about[256];

  if (!root) {
    weir_conf_issue_at(reader->issues, 1, 1,
                       "the file is empty; begin with schemes, limits and workloads, see "
                       "docs/SIMULATE.md");
    return;
  }
  if (!weir_conf_section_open(reader, root, "", &top))
    return;
  (void)weir_conf_text(&top, "about", about, sizeof(about));
  s->seed = weir_conf_number(&top, "seed");
  read_attempts(&top, s);
  s->drain_us = weir_conf_number(&top, "drain");
  read_schemes(&top, s);
  read_methods(&top, s);
  read_fleets(&top, s);
  read_sets(&top, s);
  if (has(&top, "fallback") &&
      weir_conf_section_open(top.reader, weir_conf_find(&top, "fallback"), "fallback", &section))
    read_limits(&section, false, &s->fallback);
  read_workloads(&top, s);
  read_provider(&top, s);
  read_weir(&top, s);
  read_breaker(&top, s);
  read_events(&top, s);
  read_faults(&top, s);
  for (size_t i = 0; i < list_size(&top, "expect", WEIR_SCENARIO_EXPECTS_MAX); i++)
    if (item_open(&top, "expect", i, "expect[]", &section))
      read_expect(&section, s, &s->expects[s->expects_count++]);
}

enum weir_err weir_scenario_parse(const char *bytes, size_t size,
                                  struct weir_scenario **ret_scenario,
                                  struct weir_conf_issues *ret_issues)
{
  struct weir_scenario *s = calloc(1, sizeof(*s));
  struct weir_conf_reader reader = {.issues = ret_issues};

  *ret_issues = (struct weir_conf_issues){0};
  if (!s)
    return WEIR_ENOMEM;
  reader.keys = weir_scenario_keys(&reader.keys_count);
  if (size > WEIR_CONF_FILE_SIZE_MAX)
    weir_conf_issue_at(ret_issues, 0, 0, "the file is larger than %d bytes; no scenario needs that",
                       WEIR_CONF_FILE_SIZE_MAX);
  else
    weir_conf_document_read(&reader, bytes, size, build, s);
  if (ret_issues->errors > 0) {
    weir_scenario_free(s);
    return WEIR_ECONFIG;
  }
  *ret_scenario = s;
  return WEIR_OK;
}
