/* check.c - `weir check`: reads the coordinator's configuration files and tells all that is wrong.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/conf.h>

#include "cli.h"
#include "jsonout.h"

enum { OPTION_JSON = 256 };

static const struct weir_cli_option options[] = {
    {"json", OPTION_JSON, NULL, "one JSON object for all files, on one line"},
    {0},
};

static void limits_json(struct weir_jsonout *out, const struct weir_conf *conf,
                        const struct weir_limit_config *limits, uint32_t count)
{
  char text[WEIR_CONF_LIMIT_SIZE];

  weir_jsonout_array(out, "limits");
  for (uint32_t i = 0; i < count; i++) {
    weir_conf_limit_format(conf, &limits[i], text, sizeof(text));
    weir_jsonout_text(out, NULL, text);
  }
  weir_jsonout_array_end(out);
}

/* What the file means, with all defaults in place. */
static void conf_json(struct weir_jsonout *out, const struct weir_conf *conf)
{
  weir_jsonout_array(out, "pools");
  for (uint32_t i = 0; i < conf->coord.pools_count; i++) {
    const struct weir_pool_config *pool = &conf->pools[i];

    weir_jsonout_object(out, NULL);
    weir_jsonout_text(out, "name", pool->name);
    weir_jsonout_text(out, "profile", weir_profile_name(pool->rules.profile));
    weir_jsonout_array(out, "budgets");
    for (uint32_t k = 0; k < pool->budgets_count; k++)
      weir_jsonout_text(out, NULL, conf->budgets[pool->budgets[k]].name);
    weir_jsonout_array_end(out);
    limits_json(out, conf, pool->limits, pool->limits_count);
    weir_jsonout_object_end(out);
  }
  weir_jsonout_array_end(out);
  weir_jsonout_array(out, "budgets");
  for (uint32_t i = 0; i < conf->coord.budgets_count; i++) {
    const struct weir_budget_config *budget = &conf->budgets[i];

    weir_jsonout_object(out, NULL);
    weir_jsonout_text(out, "name", budget->name);
    weir_jsonout_text(out, "profile", weir_profile_name(budget->rules.profile));
    limits_json(out, conf, budget->limits, budget->limits_count);
    weir_jsonout_object_end(out);
  }
  weir_jsonout_array_end(out);
  weir_jsonout_uint(out, "tenants", conf->coord.tenants_count);
  weir_jsonout_array(out, "routes");
  for (uint32_t i = 0; i < conf->coord.routes_count; i++) {
    const struct weir_route_config *route = &conf->routes[i];

    weir_jsonout_object(out, NULL);
    weir_jsonout_text(out, "name", conf->names[route->name].name);
    weir_jsonout_array(out, "models");
    for (uint32_t k = 0; k < route->choices_count; k++)
      weir_jsonout_text(out, NULL, conf->names[route->choices[k]].model);
    weir_jsonout_array_end(out);
    weir_jsonout_object_end(out);
  }
  weir_jsonout_array_end(out);
}

static void file_json(struct weir_jsonout *out, const char *file, const struct weir_conf *conf,
                      const struct weir_conf_issues *issues)
{
  weir_jsonout_object(out, NULL);
  weir_jsonout_text(out, "file", file);
  weir_jsonout_bool(out, "ok", conf != NULL);
  weir_jsonout_array(out, "issues");
  for (uint32_t i = 0; i < issues->count; i++) {
    const struct weir_conf_issue *issue = &issues->items[i];

    weir_jsonout_object(out, NULL);
    weir_jsonout_text(out, "severity", issue->is_warning ? "warning" : "error");
    weir_jsonout_uint(out, "line", issue->line);
    weir_jsonout_uint(out, "column", issue->column);
    weir_jsonout_text(out, "text", issue->text);
    weir_jsonout_object_end(out);
  }
  weir_jsonout_array_end(out);
  weir_jsonout_uint(out, "dropped", issues->dropped);
  if (conf)
    conf_json(out, conf);
  weir_jsonout_object_end(out);
}

static void file_text(const char *file, const struct weir_conf *conf,
                      const struct weir_conf_issues *issues)
{
  char line[WEIR_CONF_LINE_SIZE];

  for (uint32_t i = 0; i < issues->count; i++) {
    weir_conf_issue_format(&issues->items[i], file, line, sizeof(line));
    fprintf(stderr, "%s\n", line);
  }
  if (issues->dropped > 0)
    fprintf(stderr, "%s: and %" PRIu32 " more\n", file, issues->dropped);
  if (conf) {
    printf("%s: ok: %" PRIu32 " providers, %" PRIu32 " pools, %" PRIu32 " names, %" PRIu32
           " routes, %" PRIu32 " budgets, %" PRIu32 " tenants\n",
           file, conf->providers_count, conf->coord.pools_count, conf->coord.names_count,
           conf->coord.routes_count, conf->coord.budgets_count, conf->coord.tenants_count);
    weir_conf_show(conf, stdout);
  }
}

static int files_check(char **files, size_t count, bool is_json)
{
  struct weir_conf_issues *issues = calloc(1, sizeof(*issues));
  struct weir_jsonout out = {0};
  bool is_ok = true;

  if (!issues) {
    weir_cli_error(&weir_cli_check_command, "out of memory");
    return WEIR_CLI_BAD;
  }
  weir_jsonout_object(&out, NULL);
  weir_jsonout_array(&out, "files");
  for (size_t i = 0; i < count; i++) {
    struct weir_conf *conf = NULL;
    enum weir_err err = weir_conf_load(files[i], &conf, issues);

    is_ok = is_ok && !err;
    if (is_json)
      file_json(&out, files[i], conf, issues);
    else
      file_text(files[i], conf, issues);
    if (err && err != WEIR_ECONFIG)
      weir_cli_error(&weir_cli_check_command, "%s: %s", files[i], weir_err_text((int)err));
    weir_conf_free(conf);
  }
  free(issues);
  weir_jsonout_array_end(&out);
  weir_jsonout_bool(&out, "ok", is_ok);
  weir_jsonout_object_end(&out);
  weir_jsonout_newline(&out);
  if (is_json)
    is_ok = weir_jsonout_print(&out) && is_ok;
  weir_jsonout_free(&out);
  return is_ok ? WEIR_CLI_FINE : WEIR_CLI_BAD;
}

static int run(int argc, char **argv)
{
  struct weir_cli_args args = {.command = &weir_cli_check_command, .argc = argc, .argv = argv};
  bool is_json = false;
  size_t count = 0;
  int id;

  while ((id = weir_cli_next(&args)) != WEIR_CLI_END) {
    if (id == WEIR_CLI_WRONG)
      return WEIR_CLI_USAGE;
    if (id == OPTION_JSON)
      is_json = true;
    else
      argv[count++] = argv[args.at]; /* never ahead of the walk */
  }
  if (count == 0)
    return weir_cli_usage(args.command, "which file? the packaged one is /etc/weir/weir.yaml");
  return files_check(argv, count, is_json);
}

const struct weir_cli_command weir_cli_check_command = {
    .name = "check",
    .synopsis = "[--json] FILE...",
    .summary = "check configuration files of the coordinator",
    .text = "Every problem is shown as file:line:column: what is wrong; how to fix it. Of a valid "
            "file\n"
            "follows what it means: each pool, budget and tenant with all defaults in place.",
    .options = options,
    .run = run,
};
