/* cli.h - what the commands of the program `weir` share: their table, options, exit codes, words
 * for people.
 *
 * One file per command; each describes itself in a struct weir_cli_command, from which `weir help`
 * and the option parser both read, so that they cannot drift. Results go to stdout, messages to
 * stderr. Everything runs on the main thread unless a header says otherwise.
 */
#ifndef WEIR_CLI_H
#define WEIR_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_cli_exit {
  WEIR_CLI_FINE = 0,
  WEIR_CLI_BAD = 1,         /* the thing checked is not fine, or the work failed */
  WEIR_CLI_USAGE = 2,       /* wrong command line */
  WEIR_CLI_UNREACHABLE = 3, /* no answer from the coordinator */
  WEIR_CLI_INTERRUPTED = 130
};

/* What weir_cli_next returns beside the |id| of an option; ids are letters or 256 and up. */
#define WEIR_CLI_END     0
#define WEIR_CLI_OPERAND 1
#define WEIR_CLI_WRONG   2

struct weir_cli_option {
  const char *name;     /* without "--"; NULL ends the list */
  int id;               /* a letter: also usable as "-x" */
  const char *argument; /* its name in the help; NULL: the option takes none */
  const char *help;     /* may hold newlines */
};

struct weir_cli_command {
  const char *name;
  const char *synopsis; /* what follows "weir NAME" */
  const char *summary;  /* one line */
  const char *text;     /* more for `weir help NAME`; "" when there is nothing to add */
  const struct weir_cli_option *options; /* NULL: none */
  int (*run)(int argc, char **argv);     /* argv[0] is the command; returns enum weir_cli_exit */
};

extern const struct weir_cli_command weir_cli_keys_command;
extern const struct weir_cli_command weir_cli_stats_command;
extern const struct weir_cli_command weir_cli_breaker_command;
extern const struct weir_cli_command weir_cli_explain_command;
extern const struct weir_cli_command weir_cli_top_command;
extern const struct weir_cli_command weir_cli_check_command;
extern const struct weir_cli_command weir_cli_estimate_command;
extern const struct weir_cli_command weir_cli_batch_command;
extern const struct weir_cli_command weir_cli_classify_command;
extern const struct weir_cli_command weir_cli_simulate_command;
extern const struct weir_cli_command weir_cli_prices_command;
extern const struct weir_cli_command weir_cli_store_command;

/* The walk over a command line. Set |command|, |argc| and |argv|; the rest begins as zeros. */
struct weir_cli_args {
  const struct weir_cli_command *command;
  int argc;
  char **argv;
  int at;            /* of the last word taken; 0 is the command itself */
  bool has_ended;    /* "--" was seen: only operands follow */
  const char *value; /* of the option or operand just returned; owned by argv */
};

/* weir_cli_next returns the next option's id, WEIR_CLI_OPERAND, or WEIR_CLI_END. WEIR_CLI_WRONG
 * when the command line is wrong: the reason was printed, and the command ends with
 * WEIR_CLI_USAGE. */
int weir_cli_next(struct weir_cli_args *args);

/* weir_cli_usage prints "weir COMMAND: MESSAGE" and where to find help; returns WEIR_CLI_USAGE. */
int weir_cli_usage(const struct weir_cli_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* weir_cli_error prints "weir COMMAND: MESSAGE" to stderr. */
void weir_cli_error(const struct weir_cli_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* weir_cli_uint reads |args|'s value as a whole number in |min|..|max|. WEIR_CLI_USAGE, having said
 * why, otherwise; WEIR_CLI_FINE. */
int weir_cli_uint(const struct weir_cli_args *args, uint64_t min, uint64_t max,
                  uint64_t *ret_value);

/* weir_cli_duration reads |args|'s value as a duration ("250ms", "2s", "5m", "1h", "1d", "1.5h"; a
 * bare number counts seconds) of at most |max_ms|, and at least 1 ms. Results as weir_cli_uint. */
int weir_cli_duration(const struct weir_cli_args *args, uint64_t max_ms, uint64_t *ret_ms);

/* weir_cli_endpoint returns the coordinator to talk to: |given|, or without it $WEIR_COORDINATOR,
 * or else the packaged default. Static storage or |given|. */
const char *weir_cli_endpoint(const char *given);

/* Options of every command that speaks with a coordinator: entries of its table. */
#define WEIR_CLI_COORDINATOR_OPTION                                                                \
  {                                                                                                \
    "coordinator", 'c', "ENDPOINT",                                                                \
        "where it listens (default: $WEIR_COORDINATOR, or ipc:///run/weir/weir.sock)"              \
  }
#define WEIR_CLI_TIMEOUT 1002
#define WEIR_CLI_TIMEOUT_OPTION                                                                    \
  {                                                                                                \
    "timeout", WEIR_CLI_TIMEOUT, "DURATION", "how long to wait for an answer (default: 2s)"        \
  }
#define WEIR_CLI_SERVER_KEY 1000
#define WEIR_CLI_KEY_FILE   1001
#define WEIR_CLI_KEY_OPTIONS                                                                       \
  {"server-key", WEIR_CLI_SERVER_KEY, "KEY",                                                       \
   "public key of a coordinator on tcp (default:\n$WEIR_SERVER_KEY)"},                             \
  {                                                                                                \
    "key-file", WEIR_CLI_KEY_FILE, "FILE",                                                         \
        "secret key to show it, made by 'weir keys new' (default:\n$WEIR_KEY_FILE)"                \
  }

/* weir_cli_key_option takes |args|'s value for option |id|, one of these, into the environment,
 * where the library and weir_view_get look; false when |id| is another one. */
bool weir_cli_key_option(const struct weir_cli_args *args, int id);

/* weir_cli_nearest returns which of the |count| |words| (NULLs are passed over) |text| is probably
 * meant to be, or NULL when none is near. */
const char *weir_cli_nearest(const char *text, const char *const *words, size_t count);

/* Sizes that hold every result of the formatters below. */
#define WEIR_CLI_TEXT_SIZE 40

/* weir_cli_grouped writes |value| with a comma between thousands into |ret_text| and returns it. */
const char *weir_cli_grouped(uint64_t value, char ret_text[WEIR_CLI_TEXT_SIZE]);

/* weir_cli_span writes |us| microseconds for people ("850ms", "12.5s", "3m20s", "1h05m", "2d3h")
 * into |ret_text| and returns it. */
const char *weir_cli_span(uint64_t us, char ret_text[WEIR_CLI_TEXT_SIZE]);

/* weir_cli_flush writes out what was printed. It returns 0, or the errno of the first failure, also
 * when that was earlier; EIO when it is not known any more. */
int weir_cli_flush(void);

/* weir_cli_now_us reads the monotonic clock. */
uint64_t weir_cli_now_us(void);

#endif
