/* options.c - command lines: walking them by the commands' own tables, and reading their values. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ENDPOINT_DEFAULT "ipc:///run/weir/weir.sock"
#define WORD_MAX         32 /* longer words are not compared */
#define WORDS_MAX        32

void weir_cli_error(const struct weir_cli_command *command, const char *format, ...)
{
  va_list list;

  fprintf(stderr, "weir %s: ", command->name);
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  fputc('\n', stderr);
}

int weir_cli_usage(const struct weir_cli_command *command, const char *format, ...)
{
  va_list list;

  fprintf(stderr, "weir %s: ", command->name);
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  fprintf(stderr, "\nusage: weir %s %s\n'weir help %s' tells more\n", command->name,
          command->synopsis, command->name);
  return WEIR_CLI_USAGE;
}

/* Levenshtein's distance, in one row. */
static size_t distance(const char *a, const char *b)
{
  size_t row[WORD_MAX + 1], size = strlen(b);

  for (size_t j = 0; j <= size; j++)
    row[j] = j;
  for (size_t i = 0; a[i] != '\0'; i++) {
    size_t diagonal = row[0];

    row[0] = i + 1;
    for (size_t j = 0; j < size; j++) {
      size_t best = diagonal + (a[i] != b[j]);

      diagonal = row[j + 1];
      if (row[j + 1] + 1 < best)
        best = row[j + 1] + 1;
      if (row[j] + 1 < best)
        best = row[j] + 1;
      row[j + 1] = best;
    }
  }
  return row[size];
}

const char *weir_cli_nearest(const char *text, const char *const *words, size_t count)
{
  const char *nearest = NULL;
  size_t best = strlen(text) / 3 + 1; /* one slip in three letters */

  if (strlen(text) > WORD_MAX)
    return NULL;
  for (size_t i = 0; i < count; i++) {
    size_t d;

    if (!words[i] || strlen(words[i]) > WORD_MAX)
      continue;
    d = distance(text, words[i]);
    if (d <= best && d < strlen(words[i])) {
      best = d - (d > 0);
      nearest = words[i];
    }
  }
  return nearest;
}

static const struct weir_cli_option *option_find(const struct weir_cli_option *options,
                                                 const char *name, size_t size)
{
  for (const struct weir_cli_option *o = options; o && o->name; o++)
    if (strlen(o->name) == size && memcmp(o->name, name, size) == 0)
      return o;
  return NULL;
}

static int option_unknown(const struct weir_cli_args *args, const char *name, size_t size)
{
  char word[WORD_MAX + 1];
  const char *words[WORDS_MAX], *nearest = NULL;
  size_t count = 0;

  for (const struct weir_cli_option *o = args->command->options; o && o->name; o++)
    if (count < WORDS_MAX)
      words[count++] = o->name;
  if (size <= WORD_MAX) {
    memcpy(word, name, size);
    word[size] = '\0';
    nearest = weir_cli_nearest(word, words, count);
  }
  if (nearest)
    weir_cli_usage(args->command, "there is no option '--%.*s'; did you mean '--%s'?", (int)size,
                   name, nearest);
  else
    weir_cli_usage(args->command, "there is no option '--%.*s'", (int)size, name);
  return WEIR_CLI_WRONG;
}

/* Takes the value of |option|: |inline_value| if it was given in the same word, or the next word.
 */
static int option_take(struct weir_cli_args *args, const struct weir_cli_option *option,
                       const char *inline_value)
{
  args->value = inline_value;
  if (!option->argument) {
    if (!inline_value)
      return option->id;
    weir_cli_usage(args->command, "the option '--%s' takes no value", option->name);
    return WEIR_CLI_WRONG;
  }
  if (!inline_value) {
    if (args->at + 1 >= args->argc) {
      weir_cli_usage(args->command, "the option '--%s' needs a value: --%s %s", option->name,
                     option->name, option->argument);
      return WEIR_CLI_WRONG;
    }
    args->value = args->argv[++args->at];
  }
  return option->id;
}

static int letter_take(struct weir_cli_args *args, const char *word)
{
  for (const struct weir_cli_option *o = args->command->options; o && o->name; o++)
    if (o->id == word[1] && o->id < 256)
      return option_take(args, o, word[2] != '\0' ? word + 2 : NULL);
  weir_cli_usage(args->command, "there is no option '-%c'", word[1]);
  return WEIR_CLI_WRONG;
}

int weir_cli_next(struct weir_cli_args *args)
{
  const struct weir_cli_option *option;
  const char *word, *equals;
  size_t size;

  args->value = NULL;
  if (args->at + 1 >= args->argc)
    return WEIR_CLI_END;
  word = args->argv[++args->at];
  if (args->has_ended || word[0] != '-' || word[1] == '\0') {
    args->value = word;
    return WEIR_CLI_OPERAND;
  }
  if (strcmp(word, "--") == 0) {
    args->has_ended = true;
    return weir_cli_next(args);
  }
  if (word[1] != '-')
    return letter_take(args, word);
  word += 2;
  equals = strchr(word, '=');
  size = equals ? (size_t)(equals - word) : strlen(word);
  option = option_find(args->command->options, word, size);
  return option ? option_take(args, option, equals ? equals + 1 : NULL)
                : option_unknown(args, word, size);
}

static const char *option_name(const struct weir_cli_args *args)
{
  return args->argv[args->value == args->argv[args->at] ? args->at - 1 : args->at];
}

int weir_cli_uint(const struct weir_cli_args *args, uint64_t min, uint64_t max, uint64_t *ret_value)
{
  const char *at = args->value;
  uint64_t value = 0;

  for (; *at >= '0' && *at <= '9' && value <= max; at++)
    value = value > UINT64_MAX / 10 - 1 ? UINT64_MAX : value * 10 + (uint64_t)(*at - '0');
  if (at == args->value || *at != '\0' || value < min || value > max)
    return weir_cli_usage(args->command,
                          "%s: '%s' is not a whole number from %" PRIu64 " to %" PRIu64,
                          option_name(args), args->value, min, max);
  *ret_value = value;
  return WEIR_CLI_FINE;
}

/* The milliseconds of a unit, 0 when it is none. */
static uint64_t unit_ms(const char *unit)
{
  static const struct {
    const char *name;
    uint64_t ms;
  } units[] = {{"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

  for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
    if (strcmp(unit, units[i].name) == 0)
      return units[i].ms;
  return 0;
}

int weir_cli_duration(const struct weir_cli_args *args, uint64_t max_ms, uint64_t *ret_ms)
{
  const char *at = args->value;
  uint64_t thousandths = 0, ms;
  int digits = 0, decimals = -1;
  char text[WEIR_CLI_TEXT_SIZE];

  for (; digits < 12 && decimals < 3; at++) {
    if (*at == '.' && decimals < 0 && digits > 0) {
      decimals = 0;
      continue;
    }
    if (*at < '0' || *at > '9')
      break;
    thousandths = thousandths * 10 + (uint64_t)(*at - '0');
    digits++;
    decimals += decimals >= 0;
  }
  for (int i = decimals < 0 ? 0 : decimals; i < 3; i++)
    thousandths *= 10;
  ms = digits > 0 && decimals != 0 ? thousandths * unit_ms(at) / 1000 : 0;
  if (ms == 0 || ms > max_ms)
    return weir_cli_usage(
        args->command, "%s: '%s' is not a duration up to %s; write it as 250ms, 2s, 5m, 1h or 1d",
        option_name(args), args->value, weir_cli_span(max_ms * 1000, text));
  *ret_ms = ms;
  return WEIR_CLI_FINE;
}

bool weir_cli_key_option(const struct weir_cli_args *args, int id)
{
  if (id == WEIR_CLI_SERVER_KEY)
    return setenv("WEIR_SERVER_KEY", args->value, 1) == 0;
  return id == WEIR_CLI_KEY_FILE && setenv("WEIR_KEY_FILE", args->value, 1) == 0;
}

const char *weir_cli_endpoint(const char *given)
{
  const char *endpoint = given ? given : getenv("WEIR_COORDINATOR");

  return endpoint && endpoint[0] != '\0' ? endpoint : ENDPOINT_DEFAULT;
}

const char *weir_cli_grouped(uint64_t value, char ret_text[WEIR_CLI_TEXT_SIZE])
{
  char plain[WEIR_CLI_TEXT_SIZE];
  int size = snprintf(plain, sizeof(plain), "%" PRIu64, value);
  char *at = ret_text;

  for (int i = 0; i < size; i++) {
    if (i > 0 && (size - i) % 3 == 0)
      *at++ = ',';
    *at++ = plain[i];
  }
  *at = '\0';
  return ret_text;
}

const char *weir_cli_span(uint64_t us, char ret_text[WEIR_CLI_TEXT_SIZE])
{
  uint64_t ms = us / 1000, s = ms / 1000;

  if (ms < 1000)
    snprintf(ret_text, WEIR_CLI_TEXT_SIZE, "%" PRIu64 "ms", ms);
  else if (s < 60 && ms % 1000 >= 100)
    snprintf(ret_text, WEIR_CLI_TEXT_SIZE, "%" PRIu64 ".%" PRIu64 "s", s, ms % 1000 / 100);
  else if (s < 60)
    snprintf(ret_text, WEIR_CLI_TEXT_SIZE, "%" PRIu64 "s", s);
  else if (s < 3600)
    snprintf(ret_text, WEIR_CLI_TEXT_SIZE, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
  else if (s < 86400)
    snprintf(ret_text, WEIR_CLI_TEXT_SIZE, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
  else
    snprintf(ret_text, WEIR_CLI_TEXT_SIZE, "%" PRIu64 "d%" PRIu64 "h", s / 86400, s / 3600 % 24);
  return ret_text;
}

int weir_cli_flush(void)
{
  static int failed;

  errno = 0;
  if (failed == 0 && (fflush(stdout) != 0 || ferror(stdout)))
    failed = errno != 0 ? errno : EIO;
  return failed;
}

uint64_t weir_cli_now_us(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
