/* batch_options.c - reads the command line of `weir batch`. */
#include <string.h>

#include "batch_options.h"

#define PARALLEL_DEFAULT 32
#define RETRIES_DEFAULT  5
#define RETRIES_MAX      100
#define WAIT_DEFAULT_MS  UINT64_C(3600000)
#define TIMEOUT_MS       UINT64_C(600000)
#define GRACE_MS         UINT64_C(60000)
#define DAY_MS           UINT64_C(86400000)

enum {
  OPTION_PROVIDER = 256,
  OPTION_ROUTE,
  OPTION_BASE_URL,
  OPTION_KEY_ENV,
  OPTION_KEYS,
  OPTION_CALL_LOG,
  OPTION_ORDER,
  OPTION_MAX_WAIT,
  OPTION_TIMEOUT,
  OPTION_GRACE,
  OPTION_RETRIES,
  OPTION_RETRY_FAILED,
  OPTION_SKIP_BAD,
  OPTION_CLASS,
  OPTION_TENANT,
  OPTION_QUIET,
  OPTION_JSON
};

const struct weir_cli_option weir_batch_option_table[] = {
    {"output", 'o', "FILE", "where results go; run again with the same file to resume (required)"},
    {"model", 'm', "MODEL", "for lines that name no model"},
    {"provider", OPTION_PROVIDER, "NAME",
     "gemini, openai, anthropic, or NAME=KIND as the coordinator's\n"
     "configuration calls it (default: by the format of each line)"},
    {"route", OPTION_ROUTE, "NAME", "ask for this route or pool, whatever model the lines name"},
    {"base-url", OPTION_BASE_URL, "URL", "of the provider (default: its own)"},
    {"key-env", OPTION_KEY_ENV, "NAME",
     "environment variable that holds the API key (default:\n"
     "GEMINI_API_KEY, OPENAI_API_KEY, ANTHROPIC_API_KEY)"},
    {"keys", OPTION_KEYS, "REFS",
     "where keys are that are taken in turn: env:NAME and\n"
     "file:/path, separated by commas; a file has one key a line,\n"
     "and is read again when it changes"},
    {"parallel", 'n', "N", "requests under way or waiting at a time, 1 to 512 (default: 32)"},
    {"order", OPTION_ORDER, "input|completed",
     "of the lines of the finished output (default: input)"},
    {"max-wait", OPTION_MAX_WAIT, "DURATION",
     "end the run when a line's turn takes longer, retries\nincluded (default: 1h)"},
    {"timeout", OPTION_TIMEOUT, "DURATION", "of one transfer (default: 10m)"},
    {"grace", OPTION_GRACE, "DURATION", "for requests under way when interrupted (default: 1m)"},
    {"retries", OPTION_RETRIES, "N",
     "of a request, after its first attempt, 0 to 100 (default: 5)"},
    {"retry-failed", OPTION_RETRY_FAILED, NULL,
     "send again what failed in an earlier run but may pass now"},
    {"skip-bad", OPTION_SKIP_BAD, NULL, "write lines that cannot be sent to the output, as errors"},
    {"class", OPTION_CLASS, "online|batch", "whose turn it takes (default: batch)"},
    {"tenant", OPTION_TENANT, "NAME",
     "on whose behalf, for fair shares among tenants: at most 31\nprintable ASCII characters"},
    {"coordinator", 'c', "ENDPOINT",
     "where it listens (default: $WEIR_COORDINATOR, or\nipc:///run/weir/weir.sock)"},
    WEIR_CLI_KEY_OPTIONS,
    {"call-log", OPTION_CALL_LOG, "FILE", "append a line of JSON for each call"},
    {"quiet", OPTION_QUIET, NULL, "no progress; errors are still shown"},
    {"json", OPTION_JSON, NULL, "end with a summary as JSON on stdout"},
    {0},
};

static const struct weir_cli_command *const self = &weir_cli_batch_command;

/* "gemini", or "mine=gemini" for a provider that the coordinator calls otherwise. */
static int provider_parse(struct weir_batch_options *options, const char *text)
{
  const char *equals = strchr(text, '='), *kind = equals ? equals + 1 : text;
  size_t size = equals ? (size_t)(equals - text) : strlen(text);

  if (size == 0 || size >= sizeof(options->provider))
    return weir_cli_usage(self, "--provider: a name has 1 to %zu characters",
                          sizeof(options->provider) - 1);
  options->target.kind = weir_provider_kind_parse(kind);
  if (options->target.kind == 0)
    return weir_cli_usage(self,
                          "--provider: '%s' is no kind of provider; write gemini, openai, "
                          "anthropic, vertex or compatible, or NAME=KIND",
                          kind);
  memcpy(options->provider, text, size);
  options->provider[size] = '\0';
  options->target.provider = options->provider;
  return WEIR_CLI_FINE;
}

static int order_parse(struct weir_batch_options *options, const char *text)
{
  options->is_in_order = strcmp(text, "input") == 0;
  if (!options->is_in_order && strcmp(text, "completed") != 0)
    return weir_cli_usage(self, "--order: '%s' is neither 'input' nor 'completed'", text);
  return WEIR_CLI_FINE;
}

static int class_parse(struct weir_batch_options *options, const char *text)
{
  options->work_class = weir_class_parse(text);
  if (options->work_class == 0)
    return weir_cli_usage(self, "--class: '%s' is neither 'online' nor 'batch'", text);
  return WEIR_CLI_FINE;
}

static int tenant_parse(struct weir_batch_options *options, const char *text)
{
  size_t size = strlen(text);

  for (size_t i = 0; i < size; i++)
    if (text[i] < 0x20 || text[i] > 0x7e)
      return weir_cli_usage(self, "--tenant: a name has printable ASCII characters only");
  if (size == 0 || size >= WEIR_TENANT_SIZE)
    return weir_cli_usage(self, "--tenant: a name has 1 to %d characters, this one has %zu",
                          WEIR_TENANT_SIZE - 1, size);
  options->tenant = text;
  return WEIR_CLI_FINE;
}

/* Where the text of option |id| goes; NULL when it is none of these. */
static const char **text_place(struct weir_batch_options *options, int id)
{
  switch (id) {
  case 'o':
    return &options->output;
  case 'm':
    return &options->target.model;
  case 'c':
    return &options->endpoint;
  case OPTION_ROUTE:
    return &options->target.route;
  case OPTION_BASE_URL:
    return &options->base_url;
  case OPTION_KEY_ENV:
    return &options->key_env;
  case OPTION_KEYS:
    return &options->keys;
  case OPTION_CALL_LOG:
    return &options->call_log;
  case WEIR_CLI_OPERAND:
    return &options->input;
  default:
    return NULL;
  }
}

static int text_take(struct weir_batch_options *options, int id, const char *value)
{
  const char **place = text_place(options, id);

  if (!place)
    return WEIR_CLI_USAGE;
  if (id == WEIR_CLI_OPERAND && options->input)
    return weir_cli_usage(self, "one input at a time: '%s' is one too many", value);
  if (value[0] == '\0')
    return weir_cli_usage(self, "an empty word names nothing: leave it out, or fill it in");
  *place = value;
  return WEIR_CLI_FINE;
}

static int option_take(struct weir_batch_options *options, const struct weir_cli_args *args, int id)
{
  switch (id) {
  case OPTION_PROVIDER:
    return provider_parse(options, args->value);
  case OPTION_ORDER:
    return order_parse(options, args->value);
  case OPTION_CLASS:
    return class_parse(options, args->value);
  case OPTION_TENANT:
    return tenant_parse(options, args->value);
  case 'n':
    return weir_cli_uint(args, 1, WEIR_BATCH_PARALLEL_MAX, &options->parallel);
  case OPTION_RETRIES:
    return weir_cli_uint(args, 0, RETRIES_MAX, &options->retries);
  case OPTION_MAX_WAIT:
    return weir_cli_duration(args, WEIR_WAIT_MAX_MS, &options->max_wait_ms);
  case OPTION_TIMEOUT:
    return weir_cli_duration(args, DAY_MS, &options->timeout_ms);
  case OPTION_GRACE:
    return weir_cli_duration(args, DAY_MS, &options->grace_ms);
  case OPTION_RETRY_FAILED:
    options->retries_failed = true;
    return WEIR_CLI_FINE;
  case OPTION_SKIP_BAD:
    options->skips_bad = true;
    return WEIR_CLI_FINE;
  case OPTION_QUIET:
    options->is_quiet = true;
    return WEIR_CLI_FINE;
  case OPTION_JSON:
    options->is_json = true;
    return WEIR_CLI_FINE;
  default:
    if (weir_cli_key_option(args, id))
      return WEIR_CLI_FINE;
    return text_take(options, id, args->value);
  }
}

int weir_batch_options_parse(struct weir_batch_options *ret_options, int argc, char **argv)
{
  struct weir_cli_args args = {.command = self, .argc = argc, .argv = argv};
  int id, result = WEIR_CLI_FINE;

  *ret_options = (struct weir_batch_options){
      .parallel = PARALLEL_DEFAULT,
      .retries = RETRIES_DEFAULT,
      .max_wait_ms = WAIT_DEFAULT_MS,
      .timeout_ms = TIMEOUT_MS,
      .grace_ms = GRACE_MS,
      .is_in_order = true,
      .work_class = WEIR_CLASS_BATCH,
  };
  while (result == WEIR_CLI_FINE && (id = weir_cli_next(&args)) != WEIR_CLI_END)
    result = id == WEIR_CLI_WRONG ? WEIR_CLI_USAGE : option_take(ret_options, &args, id);
  if (result == WEIR_CLI_FINE && !ret_options->input)
    result = weir_cli_usage(self, "which file of requests?");
  if (result == WEIR_CLI_FINE && !ret_options->output)
    result = weir_cli_usage(self, "where do the results go? add -o FILE");
  if (result == WEIR_CLI_FINE && ret_options->keys && ret_options->key_env)
    result = weir_cli_usage(self, "--keys and --key-env both tell where keys are: give one");
  ret_options->endpoint = weir_cli_endpoint(ret_options->endpoint);
  return result;
}
