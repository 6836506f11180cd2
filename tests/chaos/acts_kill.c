#include "acts.h"

#include <inttypes.h>
#include <signal.h>

#include <zmq.h>

#include "light.h"

#define KILLS           300
#define KILLS_SHORT     12
#define FORGOTTEN       12
#define FORGOTTEN_SHORT 5
#define STOPS           10
#define BURST           50    /* kills between two long lives, without a store */
#define PAST_MAX_MS     17000 /* without one every window counts as used up for 10.5 s and itself */
#define RECOVER_MS      30000
#define SHOW_MS         5000
/* What a crash costs with a store is 1 % of a minute, and the pause: some a minute leave 95 %. */
#define USE_MIN           0.95
#define ENDURED           10
#define ENDURED_FROM_MS   20000
#define ENDURED_TO_MS     30000
#define ENDURED_WINDOW_MS UINT64_C(60000)
#define ENDURED_AMOUNT    UINT64_C(3000)

static bool kill_coordinator(struct chaos_site *site)
{
  const bool is_short = site->options->is_short;
  const size_t kills = is_short ? KILLS_SHORT : KILLS;
  bool is_well = true;

  for (size_t i = 1; is_well && i <= kills; i++) {
    chaos_site_wait_random(site, 50, is_short ? 500 : 1000);
    is_well = chaos_site_kill(site, false);
    if (is_well && !site->options->is_store && i % BURST == 0)
      chaos_site_wait(site, PAST_MAX_MS);
  }
  return is_well && chaos_site_recover(site, RECOVER_MS);
}

bool chaos_act_kill(const struct chaos_options *options)
{
  struct chaos_site *site = chaos_site_new(options, chaos_config());
  bool is_kept = chaos_site_start(site) && kill_coordinator(site) && chaos_site_end(site);

  if (is_kept) {
    chaos_row("coordinator killed", site);
    is_kept = chaos_promise_never_over(site);
    if (options->is_store)
      chaos_note("each crash costs a reserve, an eighth of so short a window: see endure");
    else
      chaos_note("no store: each life waits 10.5 s and a window before it grants");
  }
  chaos_site_free(site);
  return is_kept;
}

static bool endure(struct chaos_site *site)
{
  bool is_well = true;

  for (size_t i = 1; is_well && i <= ENDURED; i++) {
    chaos_site_wait_random(site, ENDURED_FROM_MS, ENDURED_TO_MS);
    is_well = chaos_site_kill(site, false);
  }
  return is_well && chaos_site_recover(site, RECOVER_MS);
}

bool chaos_act_endure(const struct chaos_options *options)
{
  struct chaos_site *site;
  bool is_kept;

  if (!options->is_store) {
    chaos_note("endure: skipped: it needs a store");
    return true;
  }
  site = chaos_site_new(options, CHAOS_CONFIG("{rpm: 3000}"));
  site->amount = ENDURED_AMOUNT;
  site->window_ms = site->stand.window_ms = ENDURED_WINDOW_MS;
  site->stand.limits = "rpm=3000";
  is_kept = chaos_site_start(site) && endure(site) && chaos_site_end(site);
  if (is_kept) {
    chaos_row("coordinator killed, a minute's quota", site);
    is_kept = chaos_promise_never_over(site);
    is_kept &= demo_promise(site->figures.use >= USE_MIN, "less than %.0f %% of the quota used",
                            USE_MIN * 100);
  }
  chaos_site_free(site);
  return is_kept;
}

/* What a dead session was granted until it was missed was paid for by nobody's call. */
static void leases_note(const struct chaos_site *site)
{
  void *context = zmq_ctx_new();
  struct chaos_light viewer = {0};
  struct weir_msg row;

  if (chaos_light_open(&viewer, context, site->stand.endpoint, NULL, NULL, 1) &&
      chaos_light_totals(&viewer, SHOW_MS, &row))
    chaos_note("%" PRIu64 " leases granted, %" PRIu64 " settled, %" PRIu64
               " given back; the others died with their instance",
               row.row.counters[WEIR_COUNTER_GRANTS], row.row.counters[WEIR_COUNTER_SETTLED],
               row.row.counters[WEIR_COUNTER_SETTLED_UNUSED]);
  chaos_light_close(&viewer);
  zmq_ctx_term(context);
}

/* A killed instance's calls are never over: those threads may each have sent one. */
static bool kill_instances(struct chaos_site *site)
{
  bool is_well = true;

  for (size_t i = 0; is_well && i < KILLS; i++) {
    chaos_site_wait_random(site, 20, 500);
    chaos_site_blow_begin(site);
    is_well = chaos_fleet_kill(&site->fleet, weir_rng_below(&site->rng, CHAOS_INSTANCES));
    chaos_site_blow_end(site);
  }
  return is_well && chaos_site_recover(site, RECOVER_MS);
}

bool chaos_act_instances(const struct chaos_options *options)
{
  struct chaos_site *site = chaos_site_new(options, chaos_config());
  bool is_kept = chaos_site_start(site) && kill_instances(site) && chaos_site_end(site);

  if (is_kept) {
    chaos_row("instances killed", site);
    is_kept = chaos_promise_never_over(site);
    leases_note(site);
  }
  chaos_site_free(site);
  return is_kept;
}

/* Longer than a lease and a session; every fifth time longer than a window, too. */
static uint64_t stop_ms(size_t number)
{
  return number % 5 == 4 ? CHAOS_WINDOW_MS + 1000 : 1500;
}

static bool stop_coordinator(struct chaos_site *site)
{
  for (size_t i = 0; i < STOPS; i++) {
    chaos_site_wait_random(site, 1000, 3000);
    chaos_site_blow_begin(site);
    kill(site->stand.coordinator.pid, SIGSTOP);
    chaos_site_wait(site, stop_ms(i));
    kill(site->stand.coordinator.pid, SIGCONT);
    chaos_site_blow_end(site);
  }
  return chaos_site_recover(site, RECOVER_MS);
}

static bool stop_instances(struct chaos_site *site)
{
  for (size_t i = 0; i < STOPS; i++) {
    const size_t number = weir_rng_below(&site->rng, CHAOS_INSTANCES);

    chaos_site_wait_random(site, 500, 1500);
    chaos_site_blow_begin(site);
    chaos_fleet_signal(&site->fleet, number, SIGSTOP);
    chaos_site_wait(site, stop_ms(i));
    chaos_fleet_signal(&site->fleet, number, SIGCONT);
    chaos_site_blow_end(site);
  }
  return chaos_site_recover(site, RECOVER_MS);
}

bool chaos_act_stop(const struct chaos_options *options)
{
  static bool (*const parts[])(struct chaos_site *) = {stop_coordinator, stop_instances};
  static const char *const names[] = {"coordinator stopped, 1.5 to 6 s",
                                      "instances stopped, 1.5 to 6 s"};
  bool is_all_kept = true;

  for (size_t i = 0; i < 2; i++) {
    struct chaos_site *site = chaos_site_new(options, chaos_config());
    bool is_kept = chaos_site_start(site) && parts[i](site) && chaos_site_end(site);

    if (is_kept) {
      chaos_row(names[i], site);
      is_kept = chaos_promise_never_over(site);
    }
    is_all_kept = is_kept && is_all_kept;
    chaos_site_free(site);
  }
  return is_all_kept;
}

bool chaos_act_forget(const struct chaos_options *options)
{
  const size_t kills = options->is_short ? FORGOTTEN_SHORT : FORGOTTEN;
  struct chaos_site *site = chaos_site_new(options, chaos_config());
  bool is_kept = chaos_site_start(site);

  for (size_t i = 0; is_kept && i < kills; i++) {
    chaos_site_wait_random(site, 300, 1200);
    is_kept = chaos_site_kill(site, true);
  }
  chaos_site_wait(site, CHAOS_WINDOW_MS / 2);
  is_kept = is_kept && chaos_site_end(site);
  if (is_kept) {
    chaos_row("killed, and made to forget", site);
    is_kept = demo_promise(site->figures.over > 0,
                           "the judge condemns nothing: a coordinator that forgets was never over");
    chaos_note("it has to be over: this shows that the judge can condemn");
  }
  chaos_site_free(site);
  return is_kept;
}
