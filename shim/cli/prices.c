/* prices.c - `weir prices`: what models cost, as libweir reckons it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/civil.h>
#include <weir/price.h>

#include "cli.h"
#include "jsonout.h"
#include "pricefile.h"

enum { OPTION_DATE = 256, OPTION_PRICES, OPTION_JSON };

static const struct weir_cli_option options[] = {
    {"model", 'm', "MODEL", "only this one: gemini-2.5-pro, openai/gpt-5 ..."},
    {"date", OPTION_DATE, "YYYY-MM-DD", "as of this day, UTC (default: today)"},
    {"prices", OPTION_PRICES, "FILE",
     "prices that take the place of built-in ones (default:\n$WEIR_PRICES)"},
    {"json", OPTION_JSON, NULL, "one JSON object, on one line"},
    {0},
};

static const struct weir_cli_command *const self = &weir_cli_prices_command;

static const char *const part_names[WEIR_PRICE_PARTS] = {
    [WEIR_PRICE_INPUT] = "input",
    [WEIR_PRICE_CACHED] = "cached_input",
    [WEIR_PRICE_CACHE_WRITE] = "cache_write",
    [WEIR_PRICE_OUTPUT] = "output",
};

/* What is asked for. */
struct query {
  const char *model, *path;
  uint64_t day;
  bool is_json;
};

/* ---- choosing ---- */

/* Whether |rule| is to be shown: its price holds on the day, and for the model that is asked for.
 */
static bool is_shown(const struct weir_prices *prices, const struct weir_price_rule *rule,
                     const struct query *query)
{
  const size_t size = strlen(rule->provider);
  const char *model = query->model;

  if (!model)
    model = rule->model;
  else if (strncmp(model, rule->provider, size) == 0 && model[size] == '/')
    model += size + 1;
  return weir_price_find(prices, rule->provider, model, query->day) == rule;
}

/* ---- showing ---- */

/* Writes millionths as a decimal number without idle zeros, or "-". */
static const char *decimal(uint64_t micro, char ret_text[WEIR_CLI_TEXT_SIZE])
{
  int size;

  if (micro == WEIR_PRICE_NONE)
    return "-";
  size = snprintf(ret_text, WEIR_CLI_TEXT_SIZE, "%" PRIu64 ".%06" PRIu64, micro / 1000000,
                  micro % 1000000);
  while (ret_text[size - 1] == '0')
    ret_text[--size] = '\0';
  if (ret_text[size - 1] == '.')
    ret_text[--size] = '\0';
  return ret_text;
}

static void row_show(const char *name, const uint64_t *micro)
{
  char texts[WEIR_PRICE_PARTS][WEIR_CLI_TEXT_SIZE];

  printf("%-44s %10s %10s %10s %10s\n", name, decimal(micro[WEIR_PRICE_INPUT], texts[0]),
         decimal(micro[WEIR_PRICE_CACHED], texts[1]),
         decimal(micro[WEIR_PRICE_CACHE_WRITE], texts[2]),
         decimal(micro[WEIR_PRICE_OUTPUT], texts[3]));
}

static void rule_show(const struct weir_price_rule *rule)
{
  char name[WEIR_PRICE_PROVIDER_SIZE + WEIR_PRICE_MODEL_SIZE], number[WEIR_CLI_TEXT_SIZE];

  snprintf(name, sizeof(name), "%s/%s", rule->provider, rule->model);
  row_show(name, rule->micro);
  if (rule->long_above == 0)
    return;
  snprintf(name, sizeof(name), "  above %s input tokens",
           weir_cli_grouped(rule->long_above, number));
  row_show(name, rule->micro_of_long);
}

static void parts_json(struct weir_jsonout *out, const uint64_t *micro)
{
  for (int part = 0; part < WEIR_PRICE_PARTS; part++) {
    char buffer[WEIR_CLI_TEXT_SIZE];
    const char *text = decimal(micro[part], buffer);

    if (micro[part] == WEIR_PRICE_NONE)
      weir_jsonout_null(out, part_names[part]);
    else
      weir_jsonout_raw(out, part_names[part], text, strlen(text));
  }
}

static void rule_json(struct weir_jsonout *out, const struct weir_price_rule *rule)
{
  char date[WEIR_CIVIL_DATE_SIZE];

  weir_civil_show(rule->from_day, date);
  weir_jsonout_object(out, NULL);
  weir_jsonout_text(out, "provider", rule->provider);
  weir_jsonout_text(out, "model", rule->model);
  weir_jsonout_text(out, "from", rule->from_day > 0 ? date : NULL);
  parts_json(out, rule->micro);
  if (rule->long_above > 0) {
    weir_jsonout_object(out, "long");
    weir_jsonout_uint(out, "above", rule->long_above);
    parts_json(out, rule->micro_of_long);
    weir_jsonout_object_end(out);
  } else {
    weir_jsonout_null(out, "long");
  }
  weir_jsonout_object_end(out);
}

static int table_show(const struct weir_prices *prices, const struct query *query)
{
  struct weir_jsonout out = {0};
  char date[WEIR_CIVIL_DATE_SIZE];
  uint32_t shown = 0;

  weir_civil_show(query->day, date);
  weir_jsonout_object(&out, NULL);
  weir_jsonout_text(&out, "date", date);
  weir_jsonout_array(&out, "prices");
  for (uint32_t i = 0; i < prices->count; i++) {
    if (!is_shown(prices, &prices->rules[i], query))
      continue;
    if (shown++ == 0 && !query->is_json)
      printf("USD for a million tokens, on %s\n%-44s %10s %10s %10s %10s\n", date, "model", "input",
             "cached", "write", "output");
    if (query->is_json)
      rule_json(&out, &prices->rules[i]);
    else
      rule_show(&prices->rules[i]);
  }
  weir_jsonout_array_end(&out);
  weir_jsonout_object_end(&out);
  weir_jsonout_newline(&out);
  if (!query->is_json)
    weir_jsonout_free(&out);
  else if (!weir_jsonout_print(&out))
    return WEIR_CLI_BAD;
  if (shown > 0)
    return WEIR_CLI_FINE;
  weir_cli_error(self, "no price of '%s' is known; 'weir prices' lists those that are",
                 query->model ? query->model : "");
  return WEIR_CLI_BAD;
}

static int query_read(struct query *query, int argc, char **argv)
{
  struct weir_cli_args args = {.command = self, .argc = argc, .argv = argv};
  int id;

  while ((id = weir_cli_next(&args)) != WEIR_CLI_END) {
    if (id == WEIR_CLI_WRONG)
      return WEIR_CLI_USAGE;
    if (id == WEIR_CLI_OPERAND)
      return weir_cli_usage(self, "'%s' is no option; write --model %s", args.value, args.value);
    if (id == OPTION_DATE && !weir_civil_parse(args.value, strlen(args.value), &query->day))
      return weir_cli_usage(self, "--date: '%s' is no day; write it as 2026-08-07", args.value);
    if (id == 'm')
      query->model = args.value;
    else if (id == OPTION_PRICES)
      query->path = args.value;
    else if (id == OPTION_JSON)
      query->is_json = true;
  }
  return WEIR_CLI_FINE;
}

static int run(int argc, char **argv)
{
  struct query query = {.path = getenv("WEIR_PRICES"), .day = (uint64_t)time(NULL) / 86400};
  struct weir_prices prices = {.count = 0};
  char why[WEIR_PRICEFILE_WHY_SIZE];
  int result = query_read(&query, argc, argv);

  if (result != WEIR_CLI_FINE)
    return result;
  if (weir_pricefile_open(&prices, query.path, why) == WEIR_OK) {
    result = table_show(&prices, &query);
  } else {
    fprintf(stderr, "%s\n", why);
    result = WEIR_CLI_BAD;
  }
  free(prices.rules);
  return result;
}

const struct weir_cli_command weir_cli_prices_command = {
    .name = "prices",
    .synopsis = "[--model MODEL] [--date YYYY-MM-DD] [--prices FILE] [--json]",
    .summary = "show what models cost",
    .text =
        "The prices that the call log and weir_response reckon with, in US dollars for a million\n"
        "tokens: those that are built in, and those of FILE in their place. '-' is not known.\n"
        "docs/PROVIDERS.md tells how to write FILE.",
    .options = options,
    .run = run,
};
