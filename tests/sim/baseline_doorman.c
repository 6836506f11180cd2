/* baseline_doorman.c - rates instead of turns: each instance tells a master what it wants and gets
 * a rate for a while, by Doorman's FAIR_SHARE (an equal share; what others leave of theirs is dealt
 * out in two rounds), and paces its calls by it, without saving up.
 *
 * Doorman walks over all clients for each request. The sums that it needs are kept here in a
 * Fenwick tree over wants, so that ten thousand clients cost no more than their logarithm. Wants
 * that differ by less than a 256th of their octave count as equal.
 */
#include <math.h>
#include <stdlib.h>

#include "engine.h"

#define LEASE_US   (15 * WEIR_US_PER_S)
#define REFRESH_US (5 * WEIR_US_PER_S)
#define FIRST_US   (50 * WEIR_US_PER_MS) /* the first refresh comes within this */
#define OCTAVES    40
#define STEPS      256
#define OCTAVE_MIN (-10) /* wants below 2^-10 in a second count as none */
#define CELLS      (OCTAVES * STEPS + 1)
#define DIMENSIONS 2

enum {
  DOORMAN_REFRESH = WEIR_SIM_SCHEME, /* of |instance|, in its life |a| */
  DOORMAN_GET,                       /* its request reaches the master */
  DOORMAN_LEASE,                     /* the answer reaches the instance */
  DOORMAN_PACE,                      /* its next call may go; |b|: number of the timer */
  DOORMAN_EXPIRE                     /* a lease may have run out */
};

struct tree {
  double sums[CELLS + 1];
  uint32_t counts[CELLS + 1];
};

struct lease {
  double has, wants;
  weir_tstamp expires_at; /* 0: none */
};

struct client {
  struct lease leases[DIMENSIONS];           /* at the master */
  double asked[DIMENSIONS], got[DIMENSIONS]; /* under way */
  double rate[DIMENSIONS], debt[DIMENSIONS], arrived[DIMENSIONS], mean[DIMENSIONS];
  weir_tstamp ticked_at;
  uint32_t timer;
  struct weir_sim_queue queue;
};

struct doorman {
  struct tree trees[DIMENSIONS];
  double capacity[DIMENSIONS], given[DIMENSIONS];
  uint32_t count[DIMENSIONS];
  struct client *clients;
};

/* ---- the tree ---- */

static uint32_t cell_of(double wants)
{
  const double place = (log2(wants) - OCTAVE_MIN) * STEPS;

  if (!(place > 0))
    return 0;
  return place < CELLS - 1 ? (uint32_t)place + 1 : CELLS - 1;
}

static void tree_add(struct tree *t, double wants, int sign)
{
  for (uint32_t i = cell_of(wants) + 1; i <= CELLS; i += i & -i) {
    t->sums[i] += sign * wants;
    t->counts[i] += (uint32_t)sign;
  }
}

struct prefix {
  double count, sum; /* of the wants in it */
};

/* Those that want less than |bound|; with |is_equal|, also those that want as much. */
static struct prefix tree_below(const struct tree *t, double bound, bool is_equal)
{
  struct prefix p = {0};

  for (uint32_t i = cell_of(bound) + is_equal; i > 0; i -= i & -i) {
    p.sum += t->sums[i];
    p.count += t->counts[i];
  }
  return p;
}

/* ---- the master ---- */

static void lease_drop(struct doorman *d, int dimension, struct lease *lease)
{
  if (lease->expires_at == 0)
    return;
  d->given[dimension] -= lease->has;
  d->count[dimension]--;
  tree_add(&d->trees[dimension], lease->wants, -1);
  *lease = (struct lease){0};
}

/* What one more client that wants |wants| gets beside all others. */
static double fair_share(const struct doorman *d, int dimension, double wants)
{
  const struct tree *t = &d->trees[dimension];
  const uint32_t others = d->count[dimension];
  const double capacity = d->capacity[dimension], share = capacity / (others + 1);
  const double left = fmax(0, capacity - d->given[dimension]);
  struct prefix poor, fair, middle;
  double first, second = 0;

  if (wants <= share)
    return fmin(wants, left);
  /* The poor leave something of their share to those who want more. */
  poor = tree_below(t, share, false);
  fair = tree_below(t, share, true);
  first = share + (poor.count * share - poor.sum) / (1 + others - fair.count);
  if (wants < first)
    return fmin(wants, left);
  /* So do those to whom that is already too much. */
  middle = tree_below(t, first, false);
  if (middle.count > fair.count)
    second = (middle.count - fair.count) * first - (middle.sum - fair.sum);
  second /= 1 + others - tree_below(t, first, true).count;
  return fmin(first + fmax(0, second), left);
}

static void get(struct weir_sim *sim, const struct weir_sim_event *event)
{
  struct doorman *d = sim->own;
  struct client *c = &d->clients[event->instance];

  for (int i = 0; i < DIMENSIONS; i++) {
    if (isinf(d->capacity[i])) {
      c->got[i] = d->capacity[i];
      continue;
    }
    lease_drop(d, i, &c->leases[i]);
    c->got[i] = fair_share(d, i, c->asked[i]);
    c->leases[i] = (struct lease){c->got[i], c->asked[i], sim->now + LEASE_US};
    d->given[i] += c->got[i];
    d->count[i]++;
    tree_add(&d->trees[i], c->asked[i], 1);
  }
  weir_sim_at(sim, sim->now + LEASE_US, DOORMAN_EXPIRE, event->instance, 0, 0, 0);
  weir_sim_at(sim, weir_sim_hop(sim), DOORMAN_LEASE, event->instance, event->a, 0, 0);
}

static void expire(struct weir_sim *sim, uint32_t instance)
{
  struct doorman *d = sim->own;

  for (int i = 0; i < DIMENSIONS; i++)
    if (d->clients[instance].leases[i].expires_at <= sim->now)
      lease_drop(d, i, &d->clients[instance].leases[i]);
}

/* ---- the client ---- */

static struct client *client_of(struct weir_sim *sim, uint32_t instance)
{
  return &((struct doorman *)sim->own)->clients[instance];
}

static void tick(struct weir_sim *sim, struct client *c)
{
  const double passed = (double)(sim->now - c->ticked_at) / 1e6;

  c->ticked_at = sim->now;
  for (int i = 0; i < DIMENSIONS; i++)
    c->debt[i] = isinf(c->rate[i]) ? 0 : fmax(0, c->debt[i] - passed * c->rate[i]);
}

static void go(struct weir_sim *sim, uint32_t instance)
{
  struct client *c = client_of(sim, instance);

  tick(sim, c);
  while (c->queue.count > 0 && c->rate[0] > 0 && c->rate[1] > 0) {
    const double wait = fmax(c->debt[0] / c->rate[0], c->debt[1] / c->rate[1]);
    uint32_t call;

    if (wait * 1e6 > (double)LEASE_US)
      return; /* another lease comes first */
    if (wait > 1e-9) {
      weir_sim_at(sim, sim->now + (weir_duration)ceil(wait * 1e6), DOORMAN_PACE, instance,
                  sim->instances[instance].life, ++c->timer, 0);
      return;
    }
    call = weir_sim_queue_take(sim, &c->queue);
    c->debt[0] += 1;
    c->debt[1] += sim->calls[call].estimate;
    weir_sim_send(sim, call);
  }
}

/* Wants: the mean of what arrives, and what waits within one refresh. */
static void refresh(struct weir_sim *sim, const struct weir_sim_event *event)
{
  const struct weir_sim_instance *it = &sim->instances[event->instance];
  const double period = (double)REFRESH_US / 1e6;
  struct client *c = client_of(sim, event->instance);
  double waiting[DIMENSIONS] = {c->queue.count, (double)c->queue.estimate};

  for (uint32_t s = 0; s < sim->workload->streams_count; s++) {
    waiting[0] += it->queues[s].count;
    waiting[1] += (double)it->queues[s].estimate;
  }
  for (int i = 0; i < DIMENSIONS; i++) {
    c->mean[i] = (c->mean[i] + c->arrived[i] / period) / 2;
    c->arrived[i] = 0;
    c->asked[i] = c->mean[i] + waiting[i] / period;
  }
  weir_sim_at(sim, weir_sim_hop(sim), DOORMAN_GET, event->instance, event->a, 0, 0);
  weir_sim_at(sim, sim->now + REFRESH_US, DOORMAN_REFRESH, event->instance, event->a, 0, 0);
}

static void doorman_event(struct weir_sim *sim, const struct weir_sim_event *event)
{
  struct client *c = client_of(sim, event->instance);

  if (event->type == DOORMAN_EXPIRE) {
    expire(sim, event->instance);
    return;
  }
  if (event->a != sim->instances[event->instance].life)
    return;
  if (event->type == DOORMAN_REFRESH) {
    refresh(sim, event);
  } else if (event->type == DOORMAN_GET) {
    get(sim, event);
  } else if (event->type == DOORMAN_LEASE) {
    tick(sim, c);
    for (int i = 0; i < DIMENSIONS; i++)
      c->rate[i] = c->got[i];
    c->timer++;
    go(sim, event->instance);
  } else if (event->b == c->timer) {
    go(sim, event->instance);
  }
}

static void doorman_open(struct weir_sim *sim)
{
  struct doorman *d = weir_sim_alloc(1, sizeof(*d));

  d->capacity[0] = weir_sim_rate(sim, false);
  d->capacity[1] = weir_sim_rate(sim, true);
  d->clients = weir_sim_alloc(sim->instances_count, sizeof(*d->clients));
  sim->own = d;
}

static void doorman_close(struct weir_sim *sim)
{
  struct doorman *d = sim->own;

  free(d->clients);
  free(d);
}

/* What the master has leased to the life before stays leased until it runs out. */
static void doorman_boot(struct weir_sim *sim, uint32_t instance)
{
  struct client *c = client_of(sim, instance);
  struct client fresh = {.ticked_at = sim->now, .timer = c->timer + 1};

  for (int i = 0; i < DIMENSIONS; i++)
    fresh.leases[i] = c->leases[i];
  *c = fresh;
  weir_sim_at(sim, sim->now + weir_rng_below(&sim->scheme_rng, FIRST_US), DOORMAN_REFRESH, instance,
              sim->instances[instance].life, 0, 0);
}

static void doorman_crash(struct weir_sim *sim, uint32_t instance)
{
  client_of(sim, instance)->queue = (struct weir_sim_queue){0};
}

static void doorman_arrived(struct weir_sim *sim, uint32_t call)
{
  struct client *c = client_of(sim, sim->calls[call].instance);

  c->arrived[0] += 1;
  c->arrived[1] += sim->calls[call].estimate;
}

static void doorman_begin(struct weir_sim *sim, uint32_t call)
{
  weir_sim_queue_add(sim, &client_of(sim, sim->calls[call].instance)->queue, call);
  go(sim, sim->calls[call].instance);
}

const struct weir_sim_scheme weir_sim_doorman = {.open = doorman_open,
                                                 .close = doorman_close,
                                                 .arrived = doorman_arrived,
                                                 .begin = doorman_begin,
                                                 .event = doorman_event,
                                                 .crash = doorman_crash,
                                                 .boot = doorman_boot};
