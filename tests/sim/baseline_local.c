/* baseline_local.c - what instances do without talking to anybody: send and back off when rejected
 * (naive), or keep to a share of the quota each (static). */
#include <math.h>
#include <stdlib.h>

#include "engine.h"

/* ---- naive ---- */

static void naive_begin(struct weir_sim *sim, uint32_t call)
{
  weir_sim_send(sim, call);
}

const struct weir_sim_scheme weir_sim_naive = {.begin = naive_begin};

/* ---- static: a token bucket of the quota over the number of instances, in each dimension ---- */

enum { STATIC_TIMER = WEIR_SIM_SCHEME };

struct pail {
  double level, rate, capacity; /* rate in a second; infinite without such a limit */
};

struct share {
  struct pail requests, tokens;
  weir_tstamp filled_at;
  bool is_timed;
  struct weir_sim_queue queue;
};

static struct share *share_of(struct weir_sim *sim, uint32_t instance)
{
  return &((struct share *)sim->own)[instance];
}

static void pail_open(struct pail *pail, double rate)
{
  pail->rate = rate;
  pail->level = pail->capacity = rate * 60;
}

static void pail_fill(struct pail *pail, double seconds)
{
  if (!isinf(pail->rate))
    pail->level = fmin(pail->capacity, pail->level + seconds * pail->rate);
}

/* Seconds until |cost| may be taken. What is more than the pail holds may go when it is full, and
 * is owed afterwards. */
static double pail_wait(const struct pail *pail, double cost)
{
  if (isinf(pail->rate))
    return 0;
  return (fmin(cost, pail->capacity) - pail->level) / pail->rate;
}

static void pail_take(struct pail *pail, double cost)
{
  if (!isinf(pail->rate))
    pail->level -= cost;
}

static void static_go(struct weir_sim *sim, uint32_t instance)
{
  struct share *s = share_of(sim, instance);
  const double seconds = (double)(sim->now - s->filled_at) / 1e6;

  s->filled_at = sim->now;
  pail_fill(&s->requests, seconds);
  pail_fill(&s->tokens, seconds);
  while (!s->is_timed && s->queue.count > 0) {
    const uint32_t call = s->queue.first;
    const double cost = sim->calls[call].estimate;
    const double wait = fmax(pail_wait(&s->requests, 1), pail_wait(&s->tokens, cost));

    if (wait > 1e-9) {
      s->is_timed = true;
      weir_sim_at(sim, sim->now + (weir_duration)ceil(wait * 1e6), STATIC_TIMER, instance,
                  sim->instances[instance].life, 0, 0);
      return;
    }
    weir_sim_queue_take(sim, &s->queue);
    pail_take(&s->requests, 1);
    pail_take(&s->tokens, cost);
    weir_sim_send(sim, call);
  }
}

static void static_open(struct weir_sim *sim)
{
  sim->own = weir_sim_alloc(sim->instances_count, sizeof(struct share));
}

static void own_free(struct weir_sim *sim)
{
  free(sim->own);
}

static void static_boot(struct weir_sim *sim, uint32_t instance)
{
  struct share *s = share_of(sim, instance);

  *s = (struct share){.filled_at = sim->now};
  pail_open(&s->requests, weir_sim_rate(sim, false) / sim->instances_count);
  pail_open(&s->tokens, weir_sim_rate(sim, true) / sim->instances_count);
}

static void static_crash(struct weir_sim *sim, uint32_t instance)
{
  share_of(sim, instance)->queue = (struct weir_sim_queue){0};
}

static void static_begin(struct weir_sim *sim, uint32_t call)
{
  weir_sim_queue_add(sim, &share_of(sim, sim->calls[call].instance)->queue, call);
  static_go(sim, sim->calls[call].instance);
}

static void static_event(struct weir_sim *sim, const struct weir_sim_event *event)
{
  if (event->a != sim->instances[event->instance].life)
    return;
  share_of(sim, event->instance)->is_timed = false;
  static_go(sim, event->instance);
}

const struct weir_sim_scheme weir_sim_static = {.open = static_open,
                                                .close = own_free,
                                                .begin = static_begin,
                                                .event = static_event,
                                                .crash = static_crash,
                                                .boot = static_boot};
