#include "screen.h"

#include "clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DRAW_TERMINAL_MS 1000
#define DRAW_PLAIN_MS    5000
#define BAR_WIDTH        40

void demo_screen_init(struct demo_screen *screen)
{
  memset(screen, 0, sizeof(*screen));
  screen->is_terminal = isatty(STDOUT_FILENO) == 1;
}

/* What the provider has admitted in the window that ends now, as far as answers have come. */
static uint64_t used_now(const struct demo_half *half, uint64_t now_ms)
{
  uint64_t used = 0;

  for (uint64_t i = 0; i < half->calls_count; i++) {
    if (half->calls[i].t_sent_ms + half->plan->window_ms > now_ms)
      used += half->calls[i].input_tokens;
  }
  return used;
}

static struct demo_instance_view total_of(const struct demo_half *half)
{
  struct demo_instance_view total;

  memset(&total, 0, sizeof(total));
  for (uint64_t i = 0; i < half->plan->instances; i++) {
    const struct demo_instance_view *view = &half->instances[i];

    total.begun += view->begun;
    total.done += view->done;
    total.failed += view->failed;
    total.rejected_429 += view->rejected_429;
    total.waiting += view->waiting;
  }
  return total;
}

/* How many wait is told by plain clients only: libweir keeps its waiting inside. */
static void row(const char *name, const struct demo_instance_view *view, bool is_weir,
                const char *remark)
{
  char waiting[24] = "";

  if (!is_weir)
    snprintf(waiting, sizeof(waiting), "%" PRIu64, view->waiting);
  printf("\r\033[K%-12s %7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %9s  %s\n", name,
         view->done, view->failed, view->rejected_429, view->begun - view->done - view->failed,
         waiting, remark);
}

static void draw_bar(uint64_t used, uint64_t limit)
{
  char bar[BAR_WIDTH + 1];
  uint64_t filled = used < limit ? used * BAR_WIDTH / limit : BAR_WIDTH;

  memset(bar, '.', BAR_WIDTH);
  memset(bar, '#', filled);
  bar[BAR_WIDTH] = 0;
  printf("\r\033[K[%s] %" PRIu64 " of %" PRIu64 " input tokens in the last window\n", bar, used,
         limit);
}

static void draw_table(struct demo_screen *screen, const struct demo_half *half, uint64_t now_ms)
{
  const struct demo_instance_view total = total_of(half);
  unsigned lines = 4;

  if (screen->lines > 0)
    printf("\033[%uA", screen->lines);
  printf("\r\033[K%-12s %7s %7s %7s %7s %9s\n", half->is_weir ? "with weir" : "without weir",
         "done", "failed", "429s", "open", "back-off");
  for (uint64_t i = 0; i < half->plan->instances; i++, lines++) {
    char name[32];

    snprintf(name, sizeof(name), "instance %" PRIu64, i + 1);
    row(name, &half->instances[i], half->is_weir, half->instances[i].is_killed ? "killed" : "");
  }
  row("all", &total, half->is_weir, "");
  draw_bar(used_now(half, now_ms), half->plan->limit_tokens);
  printf("\r\033[K%" PRIu64 " s, %" PRIu64 " of %" PRIu64 " calls\n",
         (now_ms - half->started_ms) / 1000, total.done + total.failed, half->plan->requests);
  screen->lines = lines;
}

static void draw_line(const struct demo_half *half, uint64_t now_ms)
{
  const struct demo_instance_view total = total_of(half);

  printf("%s: %3" PRIu64 " s  done %" PRIu64 "  failed %" PRIu64 "  429s %" PRIu64 "  open %" PRIu64
         "  used %" PRIu64 " %% of the window\n",
         half->is_weir ? "with weir" : "without weir", (now_ms - half->started_ms) / 1000,
         total.done, total.failed, total.rejected_429, total.begun - total.done - total.failed,
         used_now(half, now_ms) * 100 / half->plan->limit_tokens);
}

void demo_screen_draw(struct demo_screen *screen, const struct demo_half *half, uint64_t now_ms,
                      bool is_last)
{
  if (screen->next_ms == 0) /* nothing has happened yet */
    screen->next_ms = half->started_ms + (screen->is_terminal ? 0 : DRAW_PLAIN_MS);
  if (now_ms < screen->next_ms && !is_last)
    return;
  screen->next_ms = now_ms + (screen->is_terminal ? DRAW_TERMINAL_MS : DRAW_PLAIN_MS);
  if (screen->is_terminal)
    draw_table(screen, half, now_ms);
  else
    draw_line(half, now_ms);
  if (is_last)
    screen->lines = 0;
  fflush(stdout);
}

void demo_screen_say(struct demo_screen *screen, const char *format, ...)
{
  va_list arguments;

  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
  fflush(stdout);
  screen->lines = 0; /* the next table begins below */
}

static void compare_row(const char *name, const char *format, double naive, double managed,
                        const struct demo_half *left, const struct demo_half *right)
{
  char texts[2][32] = {"-", "-"};

  if (left)
    snprintf(texts[0], sizeof(texts[0]), format[0] == 'f' ? "%.1f" : "%.0f", naive);
  if (right)
    snprintf(texts[1], sizeof(texts[1]), format[0] == 'f' ? "%.1f" : "%.0f", managed);
  printf("%-46s %14s %14s\n", name, texts[0], texts[1]);
}

void demo_screen_compare(const struct demo_half *naive, const struct demo_half *managed)
{
  static const struct demo_half none;
  const struct demo_half *n = naive ? naive : &none, *w = managed ? managed : &none;
  const struct {
    const char *name, *format;
    double naive, managed;
  } rows[] = {
      {"calls", "d", (double)n->figures.calls, (double)w->figures.calls},
      {"calls that failed", "d", (double)n->figures.failed, (double)w->figures.failed},
      {"429s at the provider", "d", (double)n->counters.rejected_429,
       (double)w->counters.rejected_429},
      {"arrivals at the provider", "d", (double)n->counters.arrivals, (double)w->counters.arrivals},
      {"quota used while work was waiting, %", "f", n->figures.quota_used * 100,
       w->figures.quota_used * 100},
      {"wait for quota, median, s", "f", (double)n->figures.wait_p50_ms / 1000,
       (double)w->figures.wait_p50_ms / 1000},
      {"wait for quota, 95th percentile, s", "f", (double)n->figures.wait_p95_ms / 1000,
       (double)w->figures.wait_p95_ms / 1000},
      {"wait for quota, 99th percentile, s", "f", (double)n->figures.wait_p99_ms / 1000,
       (double)w->figures.wait_p99_ms / 1000},
      {"seconds", "f", n->figures.seconds, w->figures.seconds},
  };

  printf("\n%-46s %14s %14s\n", "", "without weir", "with weir");
  for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
    compare_row(rows[i].name, rows[i].format, rows[i].naive, rows[i].managed, naive, managed);
  printf("(a call without weir that failed waited until it gave up)\n");
  fflush(stdout);
}
