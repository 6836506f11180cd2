/* main.c - the program `weir`: one table of commands, help made from it, and dispatch. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const struct weir_cli_command *const commands[] = {
    &weir_cli_stats_command,    &weir_cli_explain_command, &weir_cli_top_command,
    &weir_cli_breaker_command,  &weir_cli_batch_command,   &weir_cli_classify_command,
    &weir_cli_estimate_command, &weir_cli_check_command,   &weir_cli_keys_command,
    &weir_cli_store_command,    &weir_cli_prices_command,  &weir_cli_simulate_command,
};

#define COMMANDS_COUNT (sizeof(commands) / sizeof(commands[0]))

static const struct weir_cli_command *command_find(const char *name)
{
  for (size_t i = 0; i < COMMANDS_COUNT; i++)
    if (strcmp(commands[i]->name, name) == 0)
      return commands[i];
  return NULL;
}

static int command_unknown(const char *name)
{
  const char *words[COMMANDS_COUNT + 1] = {"help"}, *nearest;

  for (size_t i = 0; i < COMMANDS_COUNT; i++)
    words[i + 1] = commands[i]->name;
  nearest = weir_cli_nearest(name, words, COMMANDS_COUNT + 1);
  fprintf(stderr, "weir: there is no %s '%s'", name[0] == '-' ? "option" : "command", name);
  if (nearest)
    fprintf(stderr, "; did you mean '%s'?", nearest);
  fputs("\n'weir help' lists the commands\n", stderr);
  return WEIR_CLI_USAGE;
}

static void help(void)
{
  puts("usage: weir COMMAND [OPTION...]\n\n"
       "weir shares one provider quota among many instances. This program looks at the\n"
       "coordinator and works through it.\n");
  for (size_t i = 0; i < COMMANDS_COUNT; i++)
    printf("  %-9s  %s\n", commands[i]->name, commands[i]->summary);
  puts("  help       tell more about a command: weir help COMMAND\n\n"
       "Every command takes --help, and --json for output that machines read.\n"
       "Exit codes: 0 fine, 1 what was checked is not fine or not all work succeeded, 2 wrong\n"
       "command line, 3 the coordinator cannot be reached, 130 interrupted.");
}

/* Prints |text| with every further line indented like the first. */
static void option_help(const char *text)
{
  for (; *text != '\0'; text++) {
    putchar(*text);
    if (*text == '\n')
      printf("%*s", 30, "");
  }
  putchar('\n');
}

static void command_help(const struct weir_cli_command *command)
{
  printf("usage: weir %s %s\n\n%s\n", command->name, command->synopsis, command->summary);
  if (command->text[0] != '\0')
    printf("\n%s\n", command->text);
  if (command->options)
    puts("\nOptions:");
  for (const struct weir_cli_option *o = command->options; o && o->name; o++) {
    char head[64], letter[] = {'-', (char)o->id, ',', ' ', '\0'};

    snprintf(head, sizeof(head), "%s--%s%s%s", o->id < 256 ? letter : "    ", o->name,
             o->argument ? " " : "", o->argument ? o->argument : "");
    if (strlen(head) > 26)
      printf("  %s\n%*s", head, 30, "");
    else
      printf("  %-26s  ", head);
    option_help(o->help);
  }
}

static bool asks_for_help(int argc, char **argv)
{
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return true;
  return false;
}

static int help_run(int argc, char **argv)
{
  const struct weir_cli_command *command;

  if (argc < 2 || strcmp(argv[1], "help") == 0 || asks_for_help(argc, argv)) {
    help();
    return WEIR_CLI_FINE;
  }
  command = command_find(argv[1]);
  if (!command)
    return command_unknown(argv[1]);
  command_help(command);
  return WEIR_CLI_FINE;
}

static int dispatch(int argc, char **argv)
{
  const struct weir_cli_command *command;

  if (argc < 2) {
    help();
    return WEIR_CLI_USAGE;
  }
  if (strcmp(argv[1], "help") == 0)
    return help_run(argc - 1, argv + 1);
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
    return help_run(1, argv);
  if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
    puts("weir " WEIR_VERSION);
    return WEIR_CLI_FINE;
  }
  command = command_find(argv[1]);
  if (!command)
    return command_unknown(argv[1]);
  if (asks_for_help(argc - 1, argv + 1)) {
    command_help(command);
    return WEIR_CLI_FINE;
  }
  return command->run(argc - 1, argv + 1);
}

/* A descriptor of stdio that is closed would be that of the next file that is opened, and what is
 * printed would be written into it. So it is taken, the wrong way round: using it still fails. */
static bool stdio_take(void)
{
  static const int modes[] = {O_WRONLY, O_RDONLY, O_RDONLY};

  for (int fd = 0; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
      return false;
  return true;
}

int main(int argc, char **argv)
{
  int result, error;

  if (!stdio_take())
    return WEIR_CLI_BAD;
  (void)signal(SIGPIPE,
               SIG_IGN); /* a reader that goes away is an error of the write, not our end */
  result = dispatch(argc, argv);
  error = weir_cli_flush();
  if (error != 0 && error != EPIPE) {
    fprintf(stderr, "weir: cannot write the output: %s\n", strerror(error));
    return result == WEIR_CLI_FINE ? WEIR_CLI_BAD : result;
  }
  return result;
}
