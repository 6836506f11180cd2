/* estimate.c - `weir estimate`: how many tokens a text will have. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/estimate.h>

#include "cli.h"
#include "jsonout.h"

#define BODY_SIZE_MAX ((size_t)256 << 20) /* a body is held in memory; a text is not */

enum { OPTION_JSON = 256 };

static const struct weir_cli_option options[] = {
    {"model", 'm', "MODEL", "whose tokens: gemini-2.5-flash, openai/gpt-5, claude-opus-4 ..."},
    {"body", 'b', NULL, "the input is the JSON body of a request, not plain text"},
    {"json", OPTION_JSON, NULL, "accepted; the output always is JSON"},
    {0},
};

/* The provider that a model's name tells: before the slash, or by how its makers name models. */
static enum weir_provider_kind model_kind(const char *model)
{
  const char *slash = strchr(model, '/');
  char word[32];

  if (slash && (size_t)(slash - model) < sizeof(word)) {
    memcpy(word, model, (size_t)(slash - model));
    word[slash - model] = '\0';
    if (weir_provider_kind_parse(word) != 0)
      return weir_provider_kind_parse(word);
  }
  if (strstr(model, "gemini") || strstr(model, "gemma"))
    return WEIR_PROVIDER_GEMINI;
  if (strstr(model, "claude"))
    return WEIR_PROVIDER_ANTHROPIC;
  return WEIR_PROVIDER_OPENAI;
}

static int failed(const char *file)
{
  weir_cli_error(&weir_cli_estimate_command, "%s: %s", file, strerror(errno));
  return WEIR_CLI_BAD;
}

static int text_estimate(int fd, const char *file, enum weir_provider_kind kind,
                         struct weir_estimate *ret_estimate)
{
  struct weir_estimator estimator;
  char buffer[65536];
  ssize_t size;

  weir_estimator_init(&estimator, weir_provider_rules_of(kind)->tokenizer);
  while ((size = read(fd, buffer, sizeof(buffer))) != 0) {
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0)
      return failed(file);
    weir_estimator_feed(&estimator, buffer, (size_t)size);
  }
  *ret_estimate = weir_estimator_result(&estimator);
  return WEIR_CLI_FINE;
}

static int body_estimate(int fd, const char *file, enum weir_provider_kind kind,
                         struct weir_estimate *ret_estimate)
{
  char *body = NULL, *grown;
  size_t size = 0, capacity = 0;
  ssize_t got = 1;

  while (got != 0) {
    if (size == capacity) {
      capacity = capacity > 0 ? capacity * 2 : 65536;
      grown = capacity <= BODY_SIZE_MAX ? realloc(body, capacity) : NULL;
      if (!grown) {
        free(body);
        errno = EFBIG;
        return failed(file);
      }
      body = grown;
    }
    got = read(fd, body + size, capacity - size);
    if (got < 0 && errno != EINTR) {
      free(body);
      return failed(file);
    }
    size += got > 0 ? (size_t)got : 0;
  }
  *ret_estimate = weir_estimate_body(kind, body, size);
  free(body);
  return WEIR_CLI_FINE;
}

static int file_estimate(const char *file, enum weir_provider_kind kind, bool is_body)
{
  struct weir_estimate estimate = {0};
  struct weir_jsonout out = {0};
  int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO, result;

  if (fd < 0)
    return failed(file);
  result = is_body ? body_estimate(fd, file ? file : "stdin", kind, &estimate)
                   : text_estimate(fd, file ? file : "stdin", kind, &estimate);
  if (file)
    close(fd);
  if (result != WEIR_CLI_FINE)
    return result;
  weir_jsonout_object(&out, NULL);
  weir_jsonout_uint(&out, "tokens", estimate.tokens);
  weir_jsonout_uint(&out, "low", estimate.low);
  weir_jsonout_uint(&out, "high", estimate.high);
  weir_jsonout_object_end(&out);
  weir_jsonout_newline(&out);
  return weir_jsonout_print(&out) ? WEIR_CLI_FINE : WEIR_CLI_BAD;
}

static int run(int argc, char **argv)
{
  struct weir_cli_args args = {.command = &weir_cli_estimate_command, .argc = argc, .argv = argv};
  const char *model = NULL, *file = NULL;
  bool is_body = false;
  int id;

  while ((id = weir_cli_next(&args)) != WEIR_CLI_END) {
    if (id == WEIR_CLI_WRONG)
      return WEIR_CLI_USAGE;
    if (id == 'm')
      model = args.value;
    else if (id == 'b')
      is_body = true;
    else if (id == WEIR_CLI_OPERAND && file)
      return weir_cli_usage(args.command, "one file at a time: '%s' is one too many", args.value);
    else if (id == WEIR_CLI_OPERAND)
      file = args.value;
  }
  if (!model || model[0] == '\0')
    return weir_cli_usage(args.command, "for which model? for example --model gemini-2.5-flash");
  if (file && strcmp(file, "-") == 0)
    file = NULL;
  return file_estimate(file, model_kind(model), is_body);
}

const struct weir_cli_command weir_cli_estimate_command = {
    .name = "estimate",
    .synopsis = "--model MODEL [--body] [FILE]",
    .summary = "estimate how many tokens a text has",
    .text =
        "Reads FILE, or stdin, and writes {\"tokens\",\"low\",\"high\"}: the best guess, and the\n"
        "range in which 19 of 20 ordinary texts lie. Models whose name tells no provider are\n"
        "counted as OpenAI's.",
    .options = options,
    .run = run,
};
