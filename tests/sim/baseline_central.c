/* baseline_central.c - one check of a shared store for every attempt: a counter of wall-clock
 * windows, as with INCRBY in Redis (fixed_counter), or a token bucket that deals out turns
 * (global_bucket). */
#include <math.h>
#include <stdlib.h>

#include "engine.h"

#define SPREAD_US (500 * WEIR_US_PER_MS) /* those that were denied come back within this */

enum {
  CENTRAL_CHECK = WEIR_SIM_SCHEME, /* call |a| of serial |b| is asked about */
  CENTRAL_SEND,                    /* it may be sent now */
  CENTRAL_AGAIN                    /* it may ask again now */
};

struct central {
  uint64_t window[WEIR_SCENARIO_LIMITS_MAX]; /* number of the one at hand */
  uint64_t used[WEIR_SCENARIO_LIMITS_MAX];
  double level[WEIR_SCENARIO_LIMITS_MAX]; /* of the bucket */
  weir_tstamp filled_at;
};

static uint64_t cost_of(const struct weir_scenario_limit *limit, const struct weir_sim_call *call)
{
  return limit->is_tokens ? call->estimate : 1;
}

static void central_open(struct weir_sim *sim)
{
  struct central *c = weir_sim_alloc(1, sizeof(*c));

  for (uint32_t i = 0; i < sim->set->limits_count; i++)
    c->level[i] = (double)sim->set->limits[i].amount;
  c->filled_at = sim->now;
  sim->own = c;
}

static void central_close(struct weir_sim *sim)
{
  free(sim->own);
}

static void central_begin(struct weir_sim *sim, uint32_t call)
{
  const struct weir_sim_call *it = &sim->calls[call];

  weir_sim_at(sim, weir_sim_hop(sim), CENTRAL_CHECK, it->instance, call, it->serial, 0);
}

/* Counts the attempt, also when it is denied; returns how long to stay away, 0: go. */
static weir_duration counter_check(struct weir_sim *sim, const struct weir_sim_call *call)
{
  struct central *c = sim->own;
  weir_duration wait = 0;

  for (uint32_t i = 0; i < sim->set->limits_count; i++) {
    const struct weir_scenario_limit *limit = &sim->set->limits[i];
    const uint64_t window = sim->now / limit->window_us;

    if (window != c->window[i]) {
      c->window[i] = window;
      c->used[i] = 0;
    }
    c->used[i] += cost_of(limit, call);
    if (c->used[i] > limit->amount && (window + 1) * limit->window_us - sim->now > wait)
      wait = (window + 1) * limit->window_us - sim->now;
  }
  return wait ? wait + weir_rng_below(&sim->scheme_rng, SPREAD_US) : 0;
}

/* Takes the call's turn; returns how long until it comes. */
static weir_duration bucket_check(struct weir_sim *sim, const struct weir_sim_call *call)
{
  struct central *c = sim->own;
  const double passed = (double)(sim->now - c->filled_at);
  double wait = 0;

  c->filled_at = sim->now;
  for (uint32_t i = 0; i < sim->set->limits_count; i++) {
    const struct weir_scenario_limit *limit = &sim->set->limits[i];
    const double rate = (double)limit->amount / (double)limit->window_us;

    c->level[i] = fmin((double)limit->amount, c->level[i] + passed * rate);
    c->level[i] -= (double)cost_of(limit, call);
    wait = fmax(wait, -c->level[i] / rate);
  }
  return (weir_duration)ceil(wait);
}

static void central_event(struct weir_sim *sim, const struct weir_sim_event *event)
{
  const bool is_counter = sim->scheme_name == WEIR_SCHEME_FIXED_COUNTER;
  const uint32_t call = event->a;
  weir_duration wait;

  if (event->type == CENTRAL_CHECK) {
    /* An instance that has died since was heard all the same. */
    wait =
        is_counter ? counter_check(sim, &sim->calls[call]) : bucket_check(sim, &sim->calls[call]);
    weir_sim_at(sim, weir_sim_hop(sim) + wait, wait && is_counter ? CENTRAL_AGAIN : CENTRAL_SEND,
                event->instance, call, event->b, 0);
  } else if (weir_sim_is_begun(sim, call, event->b)) {
    if (event->type == CENTRAL_SEND)
      weir_sim_send(sim, call);
    else
      central_begin(sim, call);
  }
}

const struct weir_sim_scheme weir_sim_fixed_counter = {
    .open = central_open, .close = central_close, .begin = central_begin, .event = central_event};

const struct weir_sim_scheme weir_sim_global_bucket = {
    .open = central_open, .close = central_close, .begin = central_begin, .event = central_event};
