#include "site.h"

#include "../demo/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir.h>

#define LOG_ENTRIES  500000
#define LATENCY_MS   UINT64_C(20)
#define LOOK_MS      50
#define UNDER_WAY_MS 250 /* a call with its lease is over by then */

static volatile sig_atomic_t is_interrupted;

static void on_signal(int number)
{
  (void)number;
  is_interrupted = 1;
}

void chaos_interrupt_catch(void)
{
  signal(SIGINT, on_signal);
  signal(SIGTERM, on_signal);
}

bool chaos_is_interrupted(void)
{
  return is_interrupted;
}

const char *chaos_config(void)
{
  return CHAOS_CONFIG("[{dimension: requests, window: 5s, amount: 250}]");
}

static void on_line(void *context, const char *line, size_t size)
{
  struct chaos_site *site = context;

  (void)size;
  site->held += strstr(line, "event=held") != NULL;
  site->key_refused += strstr(line, "event=key_refused") != NULL;
  site->errors += strstr(line, "level=error") != NULL;
  if (!strstr(line, "level=") || (strstr(line, "level=error") && !site->is_quiet))
    fprintf(stderr, "weir-coordinator: %s\n", line);
}

struct chaos_site *chaos_site_new(const struct chaos_options *options, const char *config)
{
  struct chaos_site *site = calloc(1, sizeof(*site));

  if (!site)
    abort();
  site->options = options;
  site->amount = CHAOS_AMOUNT;
  site->window_ms = CHAOS_WINDOW_MS;
  site->stand = (struct outage_stand){.programs = options->programs,
                                      .limits = "rpm=250",
                                      .latency_min_ms = LATENCY_MS,
                                      .latency_max_ms = LATENCY_MS,
                                      .log_entries = LOG_ENTRIES,
                                      .window_ms = CHAOS_WINDOW_MS,
                                      .config = config,
                                      .memory = options->is_store ? "store: sqlite:" : NULL,
                                      .on_line = on_line,
                                      .on_line_context = site};
  site->stand.upstream.fd = site->stand.coordinator.fd = -1;
  weir_rng_init(&site->rng, options->seed);
  return site;
}

bool chaos_site_start(struct chaos_site *site)
{
  site->fleet.stand = &site->stand;
  site->fleet.ramp_us = site->window_ms * 1000;
  site->fleet.step_us = site->window_ms * 1000 / site->amount;
  if (is_interrupted || !outage_stand_start(&site->stand) || !chaos_fleet_start(&site->fleet))
    return false;
  chaos_site_wait(site, site->window_ms);
  site->from_us = demo_now_us();
  return true;
}

void chaos_site_wait(struct chaos_site *site, uint64_t ms)
{
  const uint64_t until_ms = demo_now_ms() + ms;
  uint64_t now_ms;

  while (!is_interrupted && (now_ms = demo_now_ms()) < until_ms) {
    struct pollfd output = {site->stand.coordinator.fd, POLLIN, 0};

    if (poll(&output, 1, (int)(until_ms - now_ms)) > 0)
      demo_child_read(&site->stand.coordinator, on_line, site);
  }
}

void chaos_site_wait_random(struct chaos_site *site, uint64_t min_ms, uint64_t max_ms)
{
  chaos_site_wait(site, min_ms + weir_rng_below(&site->rng, max_ms - min_ms + 1));
}

static uint64_t answered(const struct chaos_site *site)
{
  uint64_t ok = 0;

  for (size_t i = 0; i < CHAOS_INSTANCES; i++)
    ok += atomic_load(&site->fleet.tallies[i].ok);
  return ok;
}

bool chaos_site_recover(struct chaos_site *site, uint64_t ms)
{
  const uint64_t until_ms = demo_now_ms() + ms;
  uint64_t before;

  chaos_site_wait(site, UNDER_WAY_MS);
  before = answered(site);
  while (!is_interrupted && answered(site) == before && demo_now_ms() < until_ms)
    chaos_site_wait(site, LOOK_MS);
  return answered(site) > before;
}

/* ---- blows ---- */

void chaos_site_blow_begin(struct chaos_site *site)
{
  if (site->blows_count == CHAOS_BLOWS_MAX)
    abort();
  site->blows[site->blows_count].down_us = demo_now_us();
}

void chaos_site_blow_end(struct chaos_site *site)
{
  site->blows[site->blows_count++].up_us = demo_now_us();
}

void chaos_site_forget(const struct chaos_site *site)
{
  static const char *const endings[] = {"", "-wal", "-shm", "-journal", ".new"};
  char path[160];

  for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
    snprintf(path, sizeof(path), "%s/weir.state%s", site->stand.folder, endings[i]);
    unlink(path);
  }
}

bool chaos_site_kill(struct chaos_site *site, bool is_forgotten)
{
  chaos_site_blow_begin(site);
  outage_stand_coordinator_end(&site->stand, SIGKILL);
  if (is_forgotten)
    chaos_site_forget(site);
  if (is_interrupted || !outage_stand_coordinator_start(&site->stand))
    return false;
  chaos_site_blow_end(site);
  return true;
}

/* ---- the end ---- */

bool chaos_site_end(struct chaos_site *site)
{
  struct chaos_records records = {.blows = site->blows, .blows_count = site->blows_count};
  static double scratch[CHAOS_BLOWS_MAX];

  site->to_us = demo_now_us();
  chaos_fleet_stop(&site->fleet);
  if (!outage_stand_log(&site->stand, 0, &site->requests, &site->requests_count))
    return false;
  records.requests = site->requests;
  records.requests_count = site->requests_count;
  records.from_us = site->from_us;
  records.to_us = site->to_us;
  records.amount = site->amount;
  records.window_us = site->window_ms * 1000;
  chaos_judge(&records, scratch, &site->figures);
  chaos_fleet_balance(&site->fleet, &site->balance, &site->failed, &site->err);
  site->balance.arrivals = site->requests_count;
  return true;
}

void chaos_site_free(struct chaos_site *site)
{
  chaos_fleet_free(&site->fleet);
  outage_stand_stop(&site->stand);
  free(site->requests);
  free(site);
}

/* ---- rows ---- */

void chaos_head(void)
{
  printf("%-34s %6s %8s %5s %7s %6s %8s %8s %5s %6s %7s\n", "", "blows", "arrivals", "over",
         "quota %", "barren", "p50 ms", "max ms", "lost", "twice", "failed");
}

void chaos_row(const char *name, const struct chaos_site *site)
{
  const struct chaos_figures *f = &site->figures;

  printf("%-34s %6" PRIu64 " %8" PRIu64 " %5" PRIu64 " %7.1f %6" PRIu64 " %8.0f %8.0f %5" PRIu64
         " %6" PRIu64 " %7" PRIu64 "\n",
         name, f->blows, f->arrivals, f->over, f->use * 100, f->barren, f->p50_ms, f->worst_ms,
         chaos_balance_lost(&site->balance), chaos_balance_twice(&site->balance), site->failed);
}

void chaos_note(const char *format, ...)
{
  va_list arguments;

  printf("    ");
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
}

bool chaos_promise_never_over(const struct chaos_site *site)
{
  const struct chaos_figures *f = &site->figures;
  const uint64_t twice = chaos_balance_twice(&site->balance);
  const uint64_t lost = chaos_balance_lost(&site->balance);
  bool is_kept = true;

  is_kept &= demo_promise(f->arrivals > 0, "nothing arrived at all");
  is_kept &= demo_promise(f->over == 0, "the provider rejected %" PRIu64 " requests", f->over);
  is_kept &=
      demo_promise(f->peak <= site->amount, "%" PRIu64 " requests in one window of %" PRIu64 " ms",
                   f->peak, site->window_ms);
  is_kept &= demo_promise(twice == 0, "%" PRIu64 " requests of which no caller knows", twice);
  is_kept &= demo_promise(lost == 0, "%" PRIu64 " requests of callers never came", lost);
  is_kept &= demo_promise(site->failed == 0, "%" PRIu64 " calls failed: %s", site->failed,
                          weir_error_text(site->err));
  return is_kept;
}
