/* top.c - `weir top`: the pools, live, the most used one first. Where it is no terminal that it
 * writes to, one plain table. */
#define _DEFAULT_SOURCE /* SIGWINCH */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli.h"
#include "view.h"

#define HISTORY      9   /* looks that a sparkline shows */
#define HISTORIES    256 /* pools that have one */
#define LINE_SIZE    256
#define ROWS_DEFAULT 24
#define HEAD_ROWS    4 /* lines that are no pool */

enum { OPTION_JSON = 256 };

static const struct weir_cli_option options[] = {
    WEIR_CLI_COORDINATOR_OPTION,
    {"interval", 'i', "SECONDS", "between looks (default: 1s)"},
    {"sort", 's', "KEY", "use (default), waiting, leases or name"},
    WEIR_CLI_KEY_OPTIONS,
    WEIR_CLI_TIMEOUT_OPTION,
    {"json", OPTION_JSON, NULL, "one look, as one JSON object like that of 'weir stats'"},
    {0},
};

enum order { BY_USE, BY_WAITING, BY_LEASES, BY_NAME };

static const char *const orders[] = {"use", "waiting", "leases", "name"};

/* What a pool is at one look. */
struct item {
  const struct weir_msg_row *pool;
  const struct weir_msg_row_limit *limit; /* the fullest one that is enforced; NULL: none */
  uint32_t use_pm, waiting;
  uint64_t oldest_us;
};

struct history {
  char pool[WEIR_POOL_NAME_SIZE];
  uint32_t count; /* looks so far */
  uint16_t use_pm[HISTORY];
};

struct top {
  const char *endpoint;
  uint64_t timeout_ms, interval_ms;
  enum order order;
  bool is_terminal, is_utf8, is_json, is_over;
  uint32_t histories_count;
  struct history histories[HISTORIES];
};

static volatile sig_atomic_t signalled;

/* ---- what is shown ---- */

static uint32_t use_of(const struct weir_msg_row_limit *limit)
{
  const uint64_t pm = weir_view_used_pm(limit);

  return pm < 9999 ? (uint32_t)pm : 9999;
}

static struct item item_of(const struct weir_msg_row *pool)
{
  const uint64_t online = pool->figures[WEIR_FIGURE_OLDEST_ONLINE_US];
  const uint64_t batch = pool->figures[WEIR_FIGURE_OLDEST_BATCH_US];
  struct item item = {.pool = pool,
                      .waiting = pool->queued[WEIR_CLASS_ONLINE] + pool->queued[WEIR_CLASS_BATCH],
                      .oldest_us = online > batch ? online : batch};

  for (uint32_t i = 0; i < pool->limits_count; i++) {
    const struct weir_msg_row_limit *limit = &pool->limits[i];

    if (limit->is_shadow || (item.limit && use_of(limit) <= item.use_pm))
      continue;
    item.limit = limit;
    item.use_pm = use_of(limit);
  }
  return item;
}

static int by_name(const void *a, const void *b)
{
  return strcmp(((const struct item *)a)->pool->pool, ((const struct item *)b)->pool->pool);
}

static int larger_first(uint32_t a, uint32_t b, const void *item_a, const void *item_b)
{
  return a != b ? (a > b ? -1 : 1) : by_name(item_a, item_b);
}

static int by_use(const void *a, const void *b)
{
  return larger_first(((const struct item *)a)->use_pm, ((const struct item *)b)->use_pm, a, b);
}

static int by_waiting(const void *a, const void *b)
{
  return larger_first(((const struct item *)a)->waiting, ((const struct item *)b)->waiting, a, b);
}

static int by_leases(const void *a, const void *b)
{
  return larger_first(((const struct item *)a)->pool->leases,
                      ((const struct item *)b)->pool->leases, a, b);
}

static void sort(struct item *items, uint32_t count, enum order order)
{
  int (*const compares[])(const void *, const void *) = {by_use, by_waiting, by_leases, by_name};

  if (count > 0)
    qsort(items, count, sizeof(*items), compares[order]);
}

/* ---- sparklines ---- */

static struct history *history_of(struct top *top, const char *pool)
{
  struct history *history;

  for (uint32_t i = 0; i < top->histories_count; i++) {
    if (strcmp(top->histories[i].pool, pool) == 0)
      return &top->histories[i];
  }
  if (top->histories_count == HISTORIES)
    return NULL;
  history = &top->histories[top->histories_count++];
  snprintf(history->pool, sizeof(history->pool), "%s", pool);
  return history;
}

static void history_note(struct history *history, uint32_t use_pm)
{
  if (history)
    history->use_pm[history->count++ % HISTORY] = (uint16_t)use_pm;
}

/* The last looks, the latest at the right, padded to HISTORY columns. */
static void spark(const struct history *history, bool is_utf8, char ret_text[LINE_SIZE])
{
  static const char *const blocks[] = {"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83",
                                       "\xe2\x96\x84", "\xe2\x96\x85", "\xe2\x96\x86",
                                       "\xe2\x96\x87", "\xe2\x96\x88"};
  static const char *const letters[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
  const uint32_t known = !history ? 0 : history->count < HISTORY ? history->count : HISTORY;
  size_t size = 0;

  ret_text[0] = '\0';
  for (uint32_t i = 0; i < HISTORY; i++) {
    uint32_t level;

    if (i < HISTORY - known) {
      size += (size_t)snprintf(ret_text + size, LINE_SIZE - size, " ");
      continue;
    }
    level = history->use_pm[(history->count - (HISTORY - i)) % HISTORY] / 125u;
    level = level < 8 ? level : 7;
    size += (size_t)snprintf(ret_text + size, LINE_SIZE - size, "%s",
                             is_utf8 ? blocks[level] : letters[level]);
  }
}

/* ---- the terminal ---- */

static struct termios terminal_before;
static bool is_terminal_changed;

static void terminal_restore(void)
{
  static const char text[] = "\033[?25h\033[?1049l";

  if (!is_terminal_changed)
    return;
  is_terminal_changed = false;
  (void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
  tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}

static void on_signal(int number)
{
  signalled = number;
}

/* Another screen without cursor; keys come at once and are not shown. */
static bool terminal_change(void)
{
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
  struct sigaction action = {.sa_handler = on_signal};
  struct termios raw;

  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
    sigaction(numbers[i], &action, NULL);
  if (tcgetattr(STDIN_FILENO, &terminal_before) != 0)
    return false;
  raw = terminal_before;
  raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
  if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0)
    return false;
  is_terminal_changed = true;
  atexit(terminal_restore);
  /* Now: terminal_restore, which does not use stdio, has to come after it. */
  fputs("\033[?1049h\033[?25l", stdout);
  (void)weir_cli_flush();
  return true;
}

/* ---- lines of 80 columns ---- */

static const char *state_of(const struct item *item)
{
  if (item->pool->breaker > WEIR_BREAKER_CLOSED)
    return weir_breaker_name(item->pool->breaker);
  if (item->pool->frozen_us > 0)
    return "frozen";
  if (item->limit && item->limit->closed_us > 0)
    return "closed";
  return item->limit && weir_stats_amount(item->limit) < item->limit->amount ? "cut" : "-";
}

static void head_print(const struct top *top)
{
  printf("%-16.16s %6s %-15s %s%6s %6s %6s %s\n", "POOL", "USE%", "LIMIT",
         top->is_terminal ? "HISTORY   " : "", "WAIT", "OLDEST", "LEASES", "STATE");
}

static void item_print(struct top *top, const struct item *item)
{
  char limit[WEIR_VIEW_LIMIT_SIZE], line[LINE_SIZE] = "", span[WEIR_CLI_TEXT_SIZE];

  if (top->is_terminal)
    spark(history_of(top, item->pool->pool), top->is_utf8, line);
  printf("%-16.16s %4u.%u %-15.15s %s%s%6u %6.6s %6u %.9s\n", item->pool->pool,
         (unsigned)(item->use_pm / 10), (unsigned)(item->use_pm % 10),
         item->limit ? weir_view_limit_name(item->limit, limit) : "-", line,
         top->is_terminal ? " " : "", (unsigned)item->waiting,
         item->waiting > 0 ? weir_cli_span(item->oldest_us, span) : "-",
         (unsigned)item->pool->leases, state_of(item));
}

static uint32_t rows_of_terminal(void)
{
  struct winsize size;

  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0)
    return ROWS_DEFAULT;
  return size.ws_row;
}

static bool view_print(struct top *top, const struct weir_view_data *data)
{
  const uint32_t rows = top->is_terminal ? rows_of_terminal() : UINT32_MAX;
  struct item *items = calloc(data->pools_count + 1, sizeof(*items));
  uint32_t count = data->pools_count;
  char span[WEIR_CLI_TEXT_SIZE];

  if (!items) {
    terminal_restore();
    weir_cli_error(&weir_cli_top_command, "out of memory for %" PRIu32 " pools", count);
    return false;
  }
  for (uint32_t i = 0; i < count; i++) {
    items[i] = item_of(&data->pools[i]);
    history_note(history_of(top, data->pools[i].pool), items[i].use_pm);
  }
  sort(items, count, top->order);
  if (top->is_terminal)
    printf("\033[H\033[2Jweir: %" PRIu32 " sessions, %" PRIu32 " pools, up %s; by %s\n\n",
           data->totals.sessions, count, weir_cli_span(data->totals.uptime_us, span),
           orders[top->order]);
  head_print(top);
  if (rows < UINT32_MAX && count + HEAD_ROWS > rows)
    count = rows > HEAD_ROWS ? rows - HEAD_ROWS : 0;
  for (uint32_t i = 0; i < count; i++)
    item_print(top, &items[i]);
  if (top->is_terminal)
    fputs("sort: (u)se (w)aiting (l)eases (n)ame; (q)uit", stdout);
  free(items);
  return weir_cli_flush() == 0;
}

/* ---- keys ---- */

static void key_take(struct top *top)
{
  char key;

  if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q')
    top->is_over = true;
  else if (key == 'u')
    top->order = BY_USE;
  else if (key == 'w')
    top->order = BY_WAITING;
  else if (key == 'l')
    top->order = BY_LEASES;
  else if (key == 'n')
    top->order = BY_NAME;
}

/* ---- command ---- */

/* One look; |ret_result| is of its output. */
static enum weir_err look(struct top *top, int *ret_result)
{
  struct weir_view_data data;
  struct weir_stats stats;
  enum weir_err err = weir_view_get(top->endpoint, top->timeout_ms, 0, &data);
  bool is_fine;

  if (err)
    return err;
  weir_view_stats(&data, &stats);
  stats.coordinator = top->endpoint;
  is_fine = top->is_json ? weir_view_print(&weir_cli_top_command, &stats) : view_print(top, &data);
  weir_view_free(&data);
  *ret_result = is_fine ? WEIR_CLI_FINE : WEIR_CLI_BAD;
  return WEIR_OK;
}

/* A coordinator that is away may come back; what the command line or the key lacks does not come
 * by waiting. */
static bool may_pass(enum weir_err err)
{
  return err != WEIR_EINVAL && err != WEIR_ECONFIG && err != WEIR_EDENIED;
}

static void failure_print(const struct top *top, enum weir_err err)
{
  printf("\033[H\033[2Jweir: %s: %s; looking again; (q)uit", top->endpoint,
         weir_err_text((int)err));
  (void)weir_cli_flush();
}

/* Until a key or a signal ends it. What went wrong in the last look is returned, to be said where
 * it stays. */
static enum weir_err watch(struct top *top, int *ret_result)
{
  struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
  enum weir_err err = WEIR_OK;

  while (!top->is_over && (signalled == 0 || signalled == SIGWINCH)) {
    signalled = 0;
    err = look(top, ret_result);
    if (err ? !may_pass(err) : *ret_result != WEIR_CLI_FINE)
      break;
    if (err)
      failure_print(top, err);
    if (signalled == 0 && poll(&keys, 1, (int)top->interval_ms) > 0)
      key_take(top);
  }
  terminal_restore();
  return err;
}

static int order_parse(const struct weir_cli_args *args, enum order *ret_order)
{
  for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
    if (strcmp(args->value, orders[i]) == 0) {
      *ret_order = (enum order)i;
      return WEIR_CLI_FINE;
    }
  }
  return weir_cli_usage(args->command, "'%s' is nothing to sort by; use, waiting, leases or name",
                        args->value);
}

static bool is_utf8(void)
{
  const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    const char *value = getenv(names[i]);

    if (value && value[0] != '\0')
      return strstr(value, "UTF-8") || strstr(value, "utf8");
  }
  return false;
}

static int run(int argc, char **argv)
{
  struct weir_cli_args args = {.command = &weir_cli_top_command, .argc = argc, .argv = argv};
  static struct top top = {.timeout_ms = WEIR_VIEW_TIMEOUT_MS, .interval_ms = 1000};
  int id, bad = WEIR_CLI_FINE;
  enum weir_err err;

  while (!bad && (id = weir_cli_next(&args)) != WEIR_CLI_END) {
    if (id == 'c')
      top.endpoint = args.value;
    else if (id == 'i')
      bad = weir_cli_duration(&args, UINT64_C(3600000), &top.interval_ms);
    else if (id == 's')
      bad = order_parse(&args, &top.order);
    else if (id == WEIR_CLI_TIMEOUT)
      bad = weir_cli_duration(&args, UINT64_C(3600000), &top.timeout_ms);
    else if (id == OPTION_JSON)
      top.is_json = true;
    else if (weir_cli_key_option(&args, id))
      continue;
    else if (id == WEIR_CLI_OPERAND)
      bad = weir_cli_usage(args.command, "'%s' is one word too many", args.value);
    else
      bad = WEIR_CLI_USAGE;
  }
  if (bad)
    return bad;
  top.endpoint = weir_cli_endpoint(top.endpoint);
  top.is_utf8 = is_utf8();
  top.is_terminal = !top.is_json && isatty(STDOUT_FILENO);
  if (top.is_terminal && !terminal_change())
    return weir_cli_usage(args.command, "standard input is no terminal");
  err = top.is_terminal ? watch(&top, &bad) : look(&top, &bad);
  return err ? weir_view_failed(args.command, top.endpoint, top.timeout_ms, err) : bad;
}

const struct weir_cli_command weir_cli_top_command = {
    .name = "top",
    .synopsis = "[--coordinator ENDPOINT] [--interval SECONDS] [--sort KEY]\n"
                "                [--timeout DURATION] [--json]",
    .summary = "show the pools live, the most used first",
    .text =
        "USE% is of the fullest limit that is enforced, which LIMIT names; HISTORY shows it over\n"
        "the last looks; STATE is what is not as usual: the breaker, frozen, closed, cut. Keys: u, "
        "w,\n"
        "l and n sort, q ends it. Where it does not write to a terminal: one plain table.",
    .options = options,
    .run = run,
};
