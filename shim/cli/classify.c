/* classify.c - `weir classify`: what error answers of providers mean, one JSON line each. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weir/classify.h>
#include <weir/json.h>
#include <weir/text.h>

#include "classify.h"
#include "cli.h"

#define LINE_SIZE_MAX ((size_t)64 << 20) /* longer lines are refused */
#define HEADERS_MAX   100                /* of one answer; more are ignored */

enum { OPTION_JSON = 256 };

/* An answer that is being read, with what it owns. */
struct entry {
  struct weir_answer answer;
  bool has_provider, has_http;
  struct weir_header headers[HEADERS_MAX];
  char *names[HEADERS_MAX], *values[HEADERS_MAX]; /* owned */
  char *body; /* owned; NULL while |answer|'s body lies in the line */
};

struct input {
  FILE *in, *err;
  const char *name;
  uint64_t number; /* of the line, from 1 */
  char *line;
  size_t size, capacity;
};

/* An input that went wrong is named with the place and the way out. */
__attribute__((format(printf, 2, 3))) static bool refuse(const struct input *input,
                                                         const char *format, ...)
{
  va_list arguments;

  fprintf(input->err, "weir classify: %s:%" PRIu64 ": ", input->name, input->number);
  va_start(arguments, format);
  vfprintf(input->err, format, arguments);
  va_end(arguments);
  fputc('\n', input->err);
  return false;
}

static void entry_free(struct entry *e)
{
  for (size_t i = 0; i < e->answer.headers_count; i++) {
    free(e->names[i]);
    free(e->values[i]);
  }
  free(e->body);
}

/* Reads up to the next line feed. False at the end; a line that is too long comes without its
 * rest, and |ret_is_long| says so. */
static bool line_read(struct input *input, bool *ret_is_long)
{
  int c;

  input->size = 0;
  input->number++;
  *ret_is_long = false;
  while ((c = getc(input->in)) != EOF && c != '\n') {
    if (input->size == input->capacity && !*ret_is_long) {
      size_t capacity = input->capacity > 0 ? 2 * input->capacity : 4096;
      char *grown = capacity <= LINE_SIZE_MAX ? realloc(input->line, capacity) : NULL;

      *ret_is_long = !grown;
      input->line = grown ? grown : input->line;
      input->capacity = grown ? capacity : input->capacity;
    }
    if (!*ret_is_long)
      input->line[input->size++] = (char)c;
  }
  return c != EOF || input->size > 0 || *ret_is_long;
}

static bool header_take(struct entry *e, const struct weir_json_token *token)
{
  const char *name = token->path + strlen("headers.");
  size_t name_size = strcspn(name, "["); /* of several values of one name, the first counts */
  size_t i = e->answer.headers_count;

  if (i == HEADERS_MAX)
    return true;
  e->names[i] = strndup(name, name_size);
  e->values[i] = strdup(token->text);
  e->headers[i] = (struct weir_header){e->names[i], e->values[i]};
  e->answer.headers_count++;
  return e->names[i] && e->values[i];
}

static bool body_take(struct entry *e, const struct input *input,
                      const struct weir_json_token *token)
{
  const uint8_t *at = (const uint8_t *)input->line + token->offset_begin;
  const uint8_t *end = (const uint8_t *)input->line + token->offset_end;
  size_t size = (size_t)(end - at);

  free(e->body);
  e->body = NULL;
  e->answer.body = at;
  e->answer.body_size = size;
  if (token->type != WEIR_JSON_STRING)
    return true;
  e->body = malloc(size + 8);
  if (!e->body)
    return false;
  at++;
  e->answer.body = e->body;
  e->answer.body_size = weir_text_unescape(&at, end - 1, (uint8_t *)e->body, size + 8);
  return true;
}

static bool provider_take(struct entry *e, const struct input *input, const char *text)
{
  const char *words[WEIR_PROVIDER_MAX] = {0}, *nearest;

  for (size_t i = 1; i < WEIR_PROVIDER_MAX; i++)
    words[i] = weir_provider_kind_name((enum weir_provider_kind)i);
  e->answer.kind = weir_provider_kind_parse(text);
  e->has_provider = true;
  if (e->answer.kind != 0)
    return true;
  nearest = weir_cli_nearest(text, words, WEIR_PROVIDER_MAX);
  return refuse(input,
                "\"provider\" is \"%s\"; use one of gemini, vertex, openai, anthropic, "
                "compatible%s%s%s",
                text, nearest ? " (did you mean " : "", nearest ? nearest : "",
                nearest ? "?)" : "");
}

static bool http_take(struct entry *e, const struct input *input,
                      const struct weir_json_token *token)
{
  uint64_t value = 0;

  if (token->type != WEIR_JSON_NULL && (!weir_json_uint(token, &value) || value > 999))
    return refuse(input, "\"http\" is no HTTP status; give a number such as 429, or null when "
                         "there was no answer");
  e->answer.http = (int)value;
  e->has_http = true;
  return true;
}

static bool token_take(struct entry *e, const struct input *input,
                       const struct weir_json_token *token)
{
  bool is_open = token->type == WEIR_JSON_OBJECT || token->type == WEIR_JSON_ARRAY;
  bool is_text = token->type == WEIR_JSON_STRING || token->type == WEIR_JSON_NUMBER;
  bool has_memory = true;

  if (strcmp(token->path, "provider") == 0 && token->type == WEIR_JSON_STRING)
    return provider_take(e, input, token->text);
  if (strcmp(token->path, "http") == 0 && !is_open)
    return http_take(e, input, token);
  if (strcmp(token->path, "now") == 0 && !weir_json_uint(token, &e->answer.wall_s))
    return refuse(input, "\"now\" is no Unix time in whole seconds");
  if (strncmp(token->path, "headers.", strlen("headers.")) == 0 && is_text)
    has_memory = header_take(e, token);
  else if (strcmp(token->path, "body") == 0 && !is_open && token->type != WEIR_JSON_NULL)
    has_memory = body_take(e, input, token);
  return has_memory || refuse(input, "out of memory");
}

static bool entry_read(struct entry *e, const struct input *input)
{
  struct weir_json json;
  struct weir_json_token token;
  enum weir_json_status status;
  uint64_t read = 0;
  bool is_object = true;

  weir_json_init(&json);
  weir_json_feed(&json, input->line, input->size);
  while ((status = weir_json_next(&json, &token)) == WEIR_JSON_TOKEN) {
    if (!token_take(e, input, &token))
      return false;
    is_object &=
        token.depth > 0 || token.type == WEIR_JSON_OBJECT || token.type == WEIR_JSON_OBJECT_END;
    read = token.offset_end > read ? token.offset_end : read;
  }
  if (status == WEIR_JSON_BAD || weir_json_end(&json, &token) != WEIR_JSON_MORE || !is_object)
    return refuse(input,
                  "no JSON object behind byte %" PRIu64 "; write one answer per line, as "
                  "{\"provider\":\"gemini\",\"http\":429,\"headers\":{},\"body\":{...}}",
                  read);
  if (!e->has_provider)
    return refuse(input, "\"provider\" is missing; add for example \"provider\":\"gemini\"");
  if (!e->has_http)
    return refuse(input, "\"http\" is missing; add the status, for example \"http\":429");
  return true;
}

static void verdict_print(const struct weir_verdict *v, FILE *out)
{
  uint64_t ms = (v->wait_us + WEIR_US_PER_MS / 2) / WEIR_US_PER_MS;

  fprintf(out, "{\"class\":\"%s\",\"retryable\":%s,\"wait_s\":", weir_outcome_name(v->outcome),
          v->is_retryable ? "true" : "false");
  if (!v->has_wait)
    fputs("null}\n", out);
  else if (ms % 1000 == 0)
    fprintf(out, "%" PRIu64 "}\n", ms / 1000);
  else
    fprintf(out, "%" PRIu64 ".%03" PRIu64 "}\n", ms / 1000, ms % 1000);
}

static bool line_is_blank(const struct input *input)
{
  for (size_t i = 0; i < input->size; i++)
    if (!memchr(" \t\r", input->line[i], 3))
      return false;
  return true;
}

static bool line_classify(const struct input *input, FILE *out)
{
  struct entry e = {.answer.wall_s = (uint64_t)time(NULL)};
  struct weir_verdict verdict;
  bool is_read = entry_read(&e, input);

  if (is_read) {
    e.answer.headers = e.headers;
    weir_classify(&e.answer, &verdict);
    verdict_print(&verdict, out);
  }
  entry_free(&e);
  return is_read;
}

bool weir_cli_classify_lines(FILE *in, const char *name, FILE *out, FILE *err)
{
  struct input input = {.in = in, .err = err, .name = name};
  bool is_fine = true, is_long;

  while (line_read(&input, &is_long)) {
    if (is_long)
      is_fine = refuse(&input, "the line is longer than %zu MiB", LINE_SIZE_MAX >> 20);
    else if (!line_is_blank(&input) && !line_classify(&input, out))
      is_fine = false;
  }
  if (ferror(in))
    is_fine = refuse(&input, "%s", strerror(errno));
  free(input.line);
  return is_fine;
}

static bool file_classify(const char *name)
{
  FILE *in;
  bool is_fine;

  if (strcmp(name, "-") == 0)
    return weir_cli_classify_lines(stdin, "stdin", stdout, stderr);
  in = fopen(name, "re");
  if (!in) {
    fprintf(stderr, "weir classify: %s: %s\n", name, strerror(errno));
    return false;
  }
  is_fine = weir_cli_classify_lines(in, name, stdout, stderr);
  fclose(in);
  return is_fine;
}

static const struct weir_cli_option options[] = {
    {"json", OPTION_JSON, NULL, "accepted; the output always is JSON"},
    {0},
};

static int run(int argc, char **argv)
{
  struct weir_cli_args args = {.command = &weir_cli_classify_command, .argc = argc, .argv = argv};
  bool is_fine = true, has_file = false;
  int id;

  while ((id = weir_cli_next(&args)) != WEIR_CLI_END) {
    if (id == WEIR_CLI_WRONG)
      return WEIR_CLI_USAGE;
    if (id != WEIR_CLI_OPERAND)
      continue;
    is_fine &= file_classify(args.value);
    has_file = true;
  }
  if (!has_file)
    is_fine = file_classify("-");
  return is_fine ? WEIR_CLI_FINE : WEIR_CLI_BAD;
}

const struct weir_cli_command weir_cli_classify_command = {
    .name = "classify",
    .synopsis = "[--json] [FILE...] <ANSWERS.jsonl",
    .summary = "tell what errors of providers mean",
    .text = "Reads JSON lines {\"provider\",\"http\",\"headers\",\"body\"} and writes one line\n"
            "{\"class\",\"retryable\",\"wait_s\"} for each.",
    .options = options,
    .run = run,
};
