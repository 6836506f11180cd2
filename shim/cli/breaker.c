/* breaker.c - `weir breaker`: shows or steers the breaker of a pool. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "jsonout.h"
#include "view.h"

enum { OPTION_JSON = 256 };

static const struct weir_cli_option options[] = {
    WEIR_CLI_COORDINATOR_OPTION,
    WEIR_CLI_KEY_OPTIONS,
    WEIR_CLI_TIMEOUT_OPTION,
    {"json", OPTION_JSON, NULL, "one JSON object on one line"},
    {0},
};

struct breaker {
  const char *endpoint, *pool;
  enum weir_steer steer; /* 0: only show */
  uint64_t timeout_ms;
  bool is_json;
};

/* |row| is NULL when it was steered: SHOW does not tell who holds a closed one. */
static bool print_json(const struct weir_msg_state *state, const struct weir_msg_row *row)
{
  struct weir_jsonout out = {0};

  weir_jsonout_object(&out, NULL);
  weir_jsonout_text(&out, "pool", state->pool);
  weir_jsonout_text(&out, "breaker", state->breaker ? weir_breaker_name(state->breaker) : NULL);
  if (row && !state->is_held)
    weir_jsonout_null(&out, "held");
  else
    weir_jsonout_bool(&out, "held", state->is_held);
  if (state->open_us == WEIR_DURATION_MAX)
    weir_jsonout_null(&out, "open_s");
  else
    weir_jsonout_seconds(&out, "open_s", state->open_us);
  if (row) {
    weir_jsonout_uint(&out, "probes", row->probes);
    weir_jsonout_uint(&out, "retries", row->retries);
  }
  weir_jsonout_object_end(&out);
  weir_jsonout_newline(&out);
  return weir_jsonout_print(&out);
}

static void print_text(const struct weir_msg_state *state, const struct weir_msg_row *row)
{
  char text[WEIR_CLI_TEXT_SIZE];

  printf("%s: %s", state->pool, state->breaker ? weir_breaker_name(state->breaker) : "not told");
  if (state->is_held)
    printf(", held by an operator");
  else if (state->breaker == WEIR_BREAKER_OPEN)
    printf(", probes in %s", weir_cli_span(state->open_us, text));
  else if (row && state->breaker == WEIR_BREAKER_HALF_OPEN)
    printf(", %" PRIu32 " probes out or well", row->probes);
  putchar('\n');
}

static bool print(const struct breaker *breaker, const struct weir_msg_state *state,
                  const struct weir_msg_row *row)
{
  if (breaker->is_json)
    return print_json(state, row);
  print_text(state, row);
  return true;
}

/* Looks for the pool's row, also to say which pools there are. */
static int show(const struct breaker *breaker)
{
  const struct weir_msg_row *row;
  struct weir_view_data data;
  enum weir_err err = weir_view_get(breaker->endpoint, breaker->timeout_ms, 0, &data);
  bool is_fine = false;

  if (err)
    return weir_view_failed(&weir_cli_breaker_command, breaker->endpoint, breaker->timeout_ms, err);
  row = weir_view_pool(&weir_cli_breaker_command, &data, breaker->pool);
  if (row) {
    struct weir_msg_state state = {.breaker = row->breaker,
                                   .is_held = row->open_us == WEIR_DURATION_MAX,
                                   .open_us = row->open_us};

    memcpy(state.pool, row->pool, sizeof(state.pool));
    is_fine = print(breaker, &state, row);
  }
  weir_view_free(&data);
  return is_fine ? WEIR_CLI_FINE : WEIR_CLI_BAD;
}

static int steer(const struct breaker *breaker)
{
  struct weir_msg_state state;
  enum weir_err err = weir_view_steer(breaker->endpoint, breaker->timeout_ms, breaker->pool,
                                      breaker->steer, &state);

  if (err)
    return weir_view_failed(&weir_cli_breaker_command, breaker->endpoint, breaker->timeout_ms, err);
  if (state.pool[0] == '\0')
    return show(breaker) == WEIR_CLI_UNREACHABLE ? WEIR_CLI_UNREACHABLE : WEIR_CLI_BAD;
  return print(breaker, &state, NULL) ? WEIR_CLI_FINE : WEIR_CLI_BAD;
}

/* The pool, then what to do. */
static int operand(struct breaker *breaker, const struct weir_cli_args *args)
{
  static const char *const words[] = {"auto", "open", "close", "force"};
  const char *nearest;

  if (!breaker->pool) {
    breaker->pool = args->value;
    if (strlen(args->value) == 0 || strlen(args->value) >= WEIR_POOL_NAME_SIZE)
      return weir_cli_usage(args->command, "'%s' is no name of a pool: those have 1 to %d bytes",
                            args->value, WEIR_POOL_NAME_SIZE - 1);
    return WEIR_CLI_FINE;
  }
  if (breaker->steer)
    return weir_cli_usage(args->command, "'%s' is one word too many", args->value);
  breaker->steer = weir_steer_parse(args->value);
  if (breaker->steer)
    return WEIR_CLI_FINE;
  nearest = weir_cli_nearest(args->value, words, 4);
  return weir_cli_usage(args->command, "'%s' is none of auto, open, close, force%s%s%s",
                        args->value, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                        nearest ? "'?" : "");
}

static int run(int argc, char **argv)
{
  struct weir_cli_args args = {.command = &weir_cli_breaker_command, .argc = argc, .argv = argv};
  struct breaker breaker = {.timeout_ms = WEIR_VIEW_TIMEOUT_MS};
  int id, bad = WEIR_CLI_FINE;

  while (!bad && (id = weir_cli_next(&args)) != WEIR_CLI_END) {
    if (id == 'c')
      breaker.endpoint = args.value;
    else if (id == WEIR_CLI_TIMEOUT)
      bad = weir_cli_duration(&args, UINT64_C(3600000), &breaker.timeout_ms);
    else if (weir_cli_key_option(&args, id))
      continue;
    else if (id == OPTION_JSON)
      breaker.is_json = true;
    else if (id == WEIR_CLI_OPERAND)
      bad = operand(&breaker, &args);
    else
      bad = WEIR_CLI_USAGE;
  }
  if (bad)
    return bad;
  if (!breaker.pool)
    return weir_cli_usage(args.command, "which pool? 'weir stats' lists them");
  breaker.endpoint = weir_cli_endpoint(breaker.endpoint);
  return breaker.steer ? steer(&breaker) : show(&breaker);
}

const struct weir_cli_command weir_cli_breaker_command = {
    .name = "breaker",
    .synopsis = "POOL [auto|open|close|force] [--coordinator ENDPOINT] [--timeout DURATION]\n"
                "                    [--json]",
    .summary = "show or steer the breaker of a pool",
    .text =
        "open holds it open until told otherwise, force holds it closed; close closes it now and\n"
        "forgets what was counted, auto lets it decide by itself from where it is. Without a\n"
        "word it is only shown.",
    .options = options,
    .run = run,
};
