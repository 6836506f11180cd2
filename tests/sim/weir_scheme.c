/* weir_scheme.c - weir itself: the coordinator's machine and one client machine for each instance,
 * with the engine as their network and as the client's host.
 *
 * Nothing here decides about quota. The host does what libweir's shell does: it asks before each
 * call, writes the request while the lease is valid or gives the lease back and asks again, settles
 * as soon as it has written when the grant wants that, and settles with the outcome at the end.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <weir/client.h>
#include <weir/coord.h>
#include <weir/retry.h>
#include <weir/took.h>

#include "draw.h"
#include "engine.h"

#define SLOTS_ALL    65536 /* calls that all client machines can hold together, about */
#define SLOTS_MIN    16
#define SLOTS_MAX    4096
#define SLOTS_SPARE  16 /* for withdrawn calls that the coordinator has not heard of */
#define SETTLES_MIN  64
#define SETTLES_MAX  2048
#define ASKS_SESSION (WEIR_SEQ_WINDOW / 2)
#define TENANTS      64
#define POOL         "sim"
#define MODEL        "sim/model"
#define ROUTE        "route" /* of it and the fallback */
#define PATIENCE_US  (250 * WEIR_US_PER_MS)

enum {
  WEIR_TO_COORD = WEIR_SIM_SCHEME, /* message |a| of |instance| in its life |b| */
  WEIR_TO_CLIENT,
  WEIR_CLIENT_WAKE, /* of |instance| */
  WEIR_COORD_WAKE,
  WEIR_WRITE, /* call |a| of serial |b| */
  WEIR_REFUSED
};

struct link {
  struct weir_client *client; /* NULL while the instance is down */
  void *storage;
  struct weir_took took;                 /* of its calls */
  weir_tstamp wake_at;                   /* the earliest wake that is scheduled */
  weir_tstamp to_coord_at, to_client_at; /* latest deliveries: nothing overtakes */
};

struct lease {
  uint64_t cookie;
  weir_tstamp expires_at;
  bool is_reported, is_probe;
  uint32_t period;          /* of a probe that was sent */
  uint32_t choice, choices; /* of the route */
  struct weir_retry_track track;
};

struct network {
  void *coord_storage;
  struct weir_coord *coord;
  weir_tstamp coord_wake_at;
  struct weir_pool_config pools[2];
  struct weir_name_config names[3]; /* of the pools' models, and of the route */
  struct weir_route_config route;
  uint32_t pools_count;
  struct weir_tenant_config tenants[WEIR_SCENARIO_STREAMS_MAX];
  struct link *links;
  struct weir_client_config client_config;
  size_t client_size;
  struct lease *leases; /* by call */
  uint64_t cookie_last, seed;

  struct weir_msg *messages; /* under way */
  uint32_t *messages_free;
  uint32_t messages_count, messages_capacity, free_count;

  struct weir_coord_update coord_update;
  struct weir_client_update client_update;
};

/* ---- messages under way ---- */

static uint32_t message_keep(struct network *n, const struct weir_msg *msg)
{
  uint32_t index;

  if (n->free_count > 0) {
    index = n->messages_free[--n->free_count];
  } else {
    if (n->messages_count == n->messages_capacity) {
      n->messages_capacity = n->messages_capacity ? n->messages_capacity * 2 : 1024;
      n->messages = realloc(n->messages, n->messages_capacity * sizeof(*n->messages));
      n->messages_free =
          realloc(n->messages_free, n->messages_capacity * sizeof(*n->messages_free));
      if (!n->messages || !n->messages_free)
        abort();
    }
    index = n->messages_count++;
  }
  n->messages[index] = *msg;
  return index;
}

static void message_drop(struct network *n, uint32_t index)
{
  n->messages_free[n->free_count++] = index;
}

static weir_tstamp deliver_at(struct weir_sim *sim, weir_tstamp *last)
{
  weir_tstamp at = weir_sim_hop(sim);

  if (at < *last)
    at = *last;
  *last = at;
  return at;
}

/* ---- the coordinator ---- */

static uint64_t route_of(uint32_t instance, uint32_t life)
{
  return (uint64_t)instance << 32 | life;
}

/* What the coordinator says of the first pool's breaker. */
static void outage_note(struct weir_sim *sim, const struct weir_msg *msg)
{
  if (msg->type == WEIR_MSG_STATE && strcmp(msg->state.pool, POOL) == 0)
    weir_outage_state(&sim->outage, msg->state.breaker);
}

static void coord_step(struct weir_sim *sim, const struct weir_coord_event *event)
{
  struct network *n = sim->own;
  weir_tstamp wake;

  if (weir_coord_step(n->coord, event, &n->coord_update) != WEIR_OK)
    abort();
  for (uint32_t i = 0; i < n->coord_update.count; i++) {
    const struct weir_coord_send *send = &n->coord_update.sends[i];
    const uint32_t instance = (uint32_t)(send->route >> 32);

    outage_note(sim, &send->msg);
    weir_sim_at(sim, deliver_at(sim, &n->links[instance].to_client_at), WEIR_TO_CLIENT, instance,
                message_keep(n, &send->msg), (uint32_t)send->route, 0);
  }
  wake = weir_coord_wake(n->coord);
  if (wake < n->coord_wake_at) {
    n->coord_wake_at = wake;
    weir_sim_at(sim, wake, WEIR_COORD_WAKE, 0, 0, 0, 0);
  }
}

static void on_coord_wake(struct weir_sim *sim)
{
  struct network *n = sim->own;
  const struct weir_coord_event event = {.type = WEIR_COORD_TIMEOUT, .now = sim->now};

  if (n->coord_wake_at > sim->now)
    return; /* an earlier one has done its work */
  n->coord_wake_at = WEIR_NEVER;
  coord_step(sim, &event);
}

static void on_to_coord(struct weir_sim *sim, const struct weir_sim_event *it)
{
  struct network *n = sim->own;
  const struct weir_msg msg = n->messages[it->a];
  const struct weir_coord_event event = {.type = WEIR_COORD_MESSAGE,
                                         .now = sim->now,
                                         .route = route_of(it->instance, it->b),
                                         .msg = &msg};

  message_drop(n, it->a);
  coord_step(sim, &event);
}

/* ---- the clients ---- */

static void on_result(struct weir_sim *sim, const struct weir_client_result *result)
{
  struct network *n = sim->own;
  const uint32_t call = (uint32_t)result->context;
  const struct weir_sim_call *it = &sim->calls[call];
  struct lease *lease = &n->leases[call];
  weir_tstamp at = sim->now;

  assert(it->state == WEIR_SIM_BEGUN && lease->cookie == result->cookie);
  if (result->type != WEIR_CLIENT_GRANTED) {
    weir_sim_at(sim, at, WEIR_REFUSED, it->instance, call, it->serial, 0);
    return;
  }
  lease->expires_at = result->expires_at;
  lease->is_reported = result->grant.is_reported;
  lease->choice = result->grant.choice;
  lease->choices = result->grant.choices;
  sim->calls[call].provider = strcmp(result->grant.pool, POOL) != 0;
  lease->is_probe = result->grant.is_probe && sim->calls[call].provider == 0;
  at += weir_draw_between(&sim->host_rng, 0, sim->scenario->write_delay_us);
  weir_sim_at(sim, at, WEIR_WRITE, it->instance, call, it->serial, 0);
}

/* Results are handled by events, so that a step never happens inside another. */
static void client_step(struct weir_sim *sim, uint32_t instance, struct weir_client_event *event)
{
  struct network *n = sim->own;
  struct link *link = &n->links[instance];
  struct weir_client_update *update = &n->client_update;
  enum weir_err err;

  event->now = sim->now;
  update->messages_max = WEIR_CLIENT_MESSAGES_MAX;
  err = weir_client_step(link->client, event, update);
  /* A lease that was not settled for ten minutes is forgotten; an ask always finds room. */
  assert(err == WEIR_OK || event->type == WEIR_CLIENT_SETTLE);
  (void)err;
  for (uint32_t i = 0; i < update->messages_count; i++)
    weir_sim_at(sim, deliver_at(sim, &link->to_coord_at), WEIR_TO_COORD, instance,
                message_keep(n, &update->messages[i]), sim->instances[instance].life, 0);
  for (uint32_t i = 0; i < update->results_count; i++)
    on_result(sim, &update->results[i]);
  if (update->wake < link->wake_at) {
    link->wake_at = update->wake;
    weir_sim_at(sim, update->wake, WEIR_CLIENT_WAKE, instance, sim->instances[instance].life, 0, 0);
  }
}

static void on_client_wake(struct weir_sim *sim, uint32_t instance)
{
  struct link *link = &((struct network *)sim->own)->links[instance];
  struct weir_client_event event = {.type = WEIR_CLIENT_TIMEOUT};
  weir_tstamp wake;

  if (link->wake_at > sim->now)
    return;
  link->wake_at = WEIR_NEVER;
  wake = weir_client_wake(link->client);
  if (wake <= sim->now) {
    client_step(sim, instance, &event);
  } else if (wake != WEIR_NEVER) { /* it has become later since */
    link->wake_at = wake;
    weir_sim_at(sim, wake, WEIR_CLIENT_WAKE, instance, sim->instances[instance].life, 0, 0);
  }
}

static void on_to_client(struct weir_sim *sim, const struct weir_sim_event *it)
{
  struct network *n = sim->own;
  const struct weir_msg msg = n->messages[it->a];
  struct weir_client_event event = {.type = WEIR_CLIENT_RECEIVED, .msg = &msg};

  message_drop(n, it->a);
  if (it->b == sim->instances[it->instance].life && n->links[it->instance].client)
    client_step(sim, it->instance, &event);
}

/* ---- the host ---- */

static void weir_begin(struct weir_sim *sim, uint32_t call)
{
  struct network *n = sim->own;
  const struct weir_sim_call *it = &sim->calls[call];
  const struct weir_scenario_stream *stream = &sim->workload->streams[it->stream];
  weir_duration left = weir_time_sub(weir_sim_deadline(sim, call), sim->now);
  struct weir_client_ask ask = {.wait_us = sim->scenario->ask_wait_us};
  struct weir_client_event event = {.type = WEIR_CLIENT_ASK, .context = call, .ask = &ask};

  if (weir_sim_deadline(sim, call) != WEIR_NEVER)
    left -= weir_took_leave(&n->links[it->instance].took, left);
  if (left < ask.wait_us)
    ask.wait_us = left;
  strcpy(ask.msg.model, n->pools_count > 1 ? ROUTE : MODEL);
  ask.msg.avoid = n->leases[call].track.avoid;
  ask.msg.attempts = it->attempts < WEIR_ATTEMPTS_MAX ? it->attempts : WEIR_ATTEMPTS_MAX;
  memcpy(ask.msg.tenant, stream->tenant, sizeof(ask.msg.tenant));
  ask.msg.class = stream->class;
  ask.msg.requests = 1;
  ask.msg.input_tokens = (uint64_t)it->estimate * sim->scenario->reserve_pm / 1000;
  for (uint32_t i = 0; i < sim->set->limits_count; i++)
    if (sim->set->limits[i].is_tokens && ask.msg.input_tokens > sim->set->limits[i].amount)
      ask.msg.input_tokens = sim->set->limits[i].amount;
  if (ask.msg.input_tokens > WEIR_TOKENS_MAX)
    ask.msg.input_tokens = WEIR_TOKENS_MAX;
  event.cookie = n->leases[call].cookie = ++n->cookie_last;
  client_step(sim, it->instance, &event);
}

static void settle(struct weir_sim *sim, uint32_t call, struct weir_client_settle *settle)
{
  struct network *n = sim->own;
  struct weir_client_event event = {.type = WEIR_CLIENT_SETTLE, .settle = settle};

  settle->sent_at = sim->calls[call].sent_at;
  event.cookie = n->leases[call].cookie;
  client_step(sim, sim->calls[call].instance, &event);
}

static void write_request(struct weir_sim *sim, uint32_t call)
{
  struct lease *lease = &((struct network *)sim->own)->leases[call];
  struct weir_client_settle unused = {.msg = {.is_final = true, .outcome = WEIR_OUTCOME_CANCELLED}};
  struct weir_client_settle written = {.msg = {.is_sent = true}};

  if (sim->now >= weir_sim_deadline(sim, call)) {
    settle(sim, call, &unused);
    weir_sim_refuse(sim, call);
    return;
  }
  if (sim->now >= lease->expires_at) {
    settle(sim, call, &unused);
    weir_begin(sim, call);
    return;
  }
  weir_sim_send(sim, call);
  if (lease->is_probe)
    lease->period = weir_outage_probe(&sim->outage);
  if (lease->is_reported)
    settle(sim, call, &written);
}

/* By the limits without room: a day's before a minute's, requests before tokens. */
static enum weir_outcome rejection_of(const struct weir_sim *sim, uint32_t provider)
{
  const struct weir_scenario_set *set = provider ? &sim->scenario->fallback : sim->set;
  bool is_requests = false;

  for (uint32_t i = 0; i < set->limits_count; i++) {
    if (!(sim->rejected_by >> i & 1))
      continue;
    if (set->limits[i].is_day)
      return set->limits[i].is_tokens ? WEIR_OUTCOME_QUOTA_DAY_TOKENS
                                      : WEIR_OUTCOME_QUOTA_DAY_REQUESTS;
    is_requests = is_requests || !set->limits[i].is_tokens;
  }
  return is_requests ? WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS : WEIR_OUTCOME_QUOTA_MINUTE_TOKENS;
}

static enum weir_outcome outcome_of(const struct weir_sim *sim, uint32_t call,
                                    enum weir_sim_answer answer)
{
  switch (answer) {
  case WEIR_SIM_OK:
    return WEIR_OUTCOME_OK;
  case WEIR_SIM_REJECTED:
    return rejection_of(sim, sim->calls[call].provider);
  case WEIR_SIM_STEEP:
    return WEIR_OUTCOME_RAMP_LIMIT;
  case WEIR_SIM_BROKEN:
    return WEIR_OUTCOME_SERVER_ERROR;
  case WEIR_SIM_BUSY:
    return WEIR_OUTCOME_OVERLOADED;
  case WEIR_SIM_CAPACITY:
    return WEIR_OUTCOME_CAPACITY_THROTTLE;
  case WEIR_SIM_EXPIRED:
    return WEIR_OUTCOME_DEADLINE;
  case WEIR_SIM_CUT:
    return WEIR_OUTCOME_NETWORK;
  }
  assert(false);
  return WEIR_OUTCOME_NETWORK;
}

static void weir_answered(struct weir_sim *sim, uint32_t call, enum weir_sim_answer answer)
{
  static const uint32_t statuses[] = {
      [WEIR_SIM_OK] = 200,     [WEIR_SIM_REJECTED] = 429, [WEIR_SIM_STEEP] = 429,
      [WEIR_SIM_BROKEN] = 500, [WEIR_SIM_BUSY] = 503,     [WEIR_SIM_CAPACITY] = 429,
      [WEIR_SIM_CUT] = 0,      [WEIR_SIM_EXPIRED] = 0};
  const struct network *n = sim->own;
  const struct weir_sim_call *it = &sim->calls[call];
  struct weir_client_settle end = {
      .msg = {.is_sent = true, .is_final = true, .http = statuses[answer]}};

  end.msg.latency_us = sim->now - it->sent_at;
  end.msg.outcome = outcome_of(sim, call, answer);
  if (answer == WEIR_SIM_STEEP)
    end.msg.retry_after_us = weir_time_sub(sim->steep_until, sim->now);
  if (answer == WEIR_SIM_OK)
    weir_took_learn(&n->links[it->instance].took, end.msg.latency_us);
  if (answer == WEIR_SIM_OK || answer == WEIR_SIM_BROKEN) {
    end.msg.has_usage = true;
    end.msg.input_tokens = it->tokens;
  }
  settle(sim, call, &end);
  if (answer == WEIR_SIM_EXPIRED && n->leases[call].is_probe)
    weir_outage_probe_void(&sim->outage, n->leases[call].period);
}

/* As libweir does. */
static bool weir_again(struct weir_sim *sim, uint32_t call, enum weir_sim_answer answer,
                       weir_duration *ret_after_us)
{
  const struct weir_scenario *s = sim->scenario;
  const struct weir_retry_policy policy = {.retries_max = (uint32_t)s->retries,
                                           .base_us = s->retry_first_us,
                                           .cap_us = s->retry_most_us};
  const enum weir_outcome outcome = outcome_of(sim, call, answer);
  struct lease *lease = &((struct network *)sim->own)->leases[call];
  const struct weir_retry_failure failure = {.outcome = outcome,
                                             .is_retryable = weir_outcome_is_retryable(outcome),
                                             .choice = lease->choice,
                                             .choices = lease->choices};
  const struct weir_retry retry =
      weir_retry_next(&policy, &lease->track, &failure,
                      weir_time_sub(weir_sim_deadline(sim, call), sim->now), &sim->scheme_rng);

  *ret_after_us = retry.after_us;
  return retry.what != WEIR_RETRY_STOP;
}

static void weir_event(struct weir_sim *sim, const struct weir_sim_event *event)
{
  switch (event->type) {
  case WEIR_TO_COORD:
    on_to_coord(sim, event);
    break;
  case WEIR_TO_CLIENT:
    on_to_client(sim, event);
    break;
  case WEIR_CLIENT_WAKE:
    if (event->a == sim->instances[event->instance].life)
      on_client_wake(sim, event->instance);
    break;
  case WEIR_COORD_WAKE:
    on_coord_wake(sim);
    break;
  case WEIR_WRITE:
    if (weir_sim_is_begun(sim, event->a, event->b))
      write_request(sim, event->a);
    break;
  case WEIR_REFUSED:
    if (weir_sim_is_begun(sim, event->a, event->b))
      weir_sim_refuse(sim, event->a);
    break;
  default:
    assert(false);
  }
}

/* ---- begin and end ---- */

static void weir_boot(struct weir_sim *sim, uint32_t instance)
{
  struct network *n = sim->own;
  struct link *link = &n->links[instance];
  struct weir_client_config config = n->client_config;
  struct weir_client_event event = {.type = WEIR_CLIENT_LINK, .is_up = true};
  const uint64_t words[] = {weir_rng_next(&sim->host_rng), weir_rng_next(&sim->host_rng)};

  memcpy(config.instance, words, sizeof(config.instance));
  config.seed = weir_rng_next(&sim->host_rng);
  strcpy(config.name, "sim");
  if (!link->storage)
    link->storage = weir_sim_alloc(1, n->client_size);
  link->client = weir_client_init(link->storage, &config);
  link->wake_at = WEIR_NEVER;
  link->to_coord_at = link->to_client_at = 0;
  client_step(sim, instance, &event);
}

/* It says nothing any more; its leases run out at the coordinator. */
static void weir_crash(struct weir_sim *sim, uint32_t instance)
{
  ((struct network *)sim->own)->links[instance].client = NULL;
}

static void pool_configure(const struct weir_sim *sim, const struct weir_scenario_set *set,
                           const char *name, struct weir_pool_config *pool)
{
  const struct weir_scenario *s = sim->scenario;

  strcpy(pool->name, name);
  pool->limits_count = set->limits_count;
  for (uint32_t i = 0; i < set->limits_count; i++) {
    const struct weir_scenario_limit *limit = &set->limits[i];

    /* A day is kept as any 25 hours: the machine is not told of wall time. */
    pool->limits[i] = (struct weir_limit_config){
        .dimension = limit->is_tokens ? WEIR_DIMENSION_TOTAL_TOKENS : WEIR_DIMENSION_REQUESTS,
        .window_us = limit->is_day ? WEIR_DAY_WINDOW_US : limit->window_us,
        .is_day = limit->is_day,
        .amount = limit->amount,
        .burst = limit->amount * s->assumed_burst_pm / 1000};
  }
  pool->rules.profile =
      (enum weir_profile)(sim->scheme_name - WEIR_SCHEME_WEIR_WINDOW + WEIR_PROFILE_WINDOW);
  pool->rules.error_pm = (uint32_t)s->estimate_error_pm;
  pool->rules.ramp_pm = (uint32_t)s->ramp_pm;
  pool->rules.ramp_per_us = s->ramp_per_us;
  pool->ttl_us = s->lease_ttl_us;
  pool->jitter_us = s->jitter_us;
  pool->batch_floor_pm = (uint32_t)s->batch_floor_pm;
  pool->breaker = s->breaker;
  pool->retries_pm = (uint32_t)s->breaker_retries_pm;
}

static void name_configure(struct weir_name_config *name, const char *text, const char *model,
                           uint32_t pool)
{
  strcpy(name->name, text);
  strcpy(name->model, model);
  name->pool = pool;
}

/* The first pool, and with a fallback the second one and a route to both. */
static void pools_configure(struct weir_sim *sim, struct network *n)
{
  n->pools_count = sim->scenario->fallback.limits_count > 0 ? 2 : 1;
  pool_configure(sim, sim->set, POOL, &n->pools[0]);
  name_configure(&n->names[0], MODEL, MODEL, 0);
  if (n->pools_count == 1)
    return;
  pool_configure(sim, &sim->scenario->fallback, "fallback", &n->pools[1]);
  name_configure(&n->names[1], "sim/fallback", "sim/fallback", 1);
  name_configure(&n->names[2], ROUTE, MODEL, 0);
  n->route = (struct weir_route_config){
      .name = 2, .patience_us = PATIENCE_US, .choices_count = 2, .choices = {0, 1}};
}

/* Tenants that the workload names; no two entries of the same name. */
static uint32_t tenants_configure(const struct weir_sim *sim, struct network *n)
{
  uint32_t count = 0;

  for (uint32_t i = 0; i < sim->workload->streams_count; i++) {
    const struct weir_scenario_stream *stream = &sim->workload->streams[i];
    bool is_known = stream->tenant[0] == '\0';

    for (uint32_t j = 0; j < count; j++)
      is_known = is_known || strcmp(n->tenants[j].name, stream->tenant) == 0;
    if (is_known)
      continue;
    memcpy(n->tenants[count].name, stream->tenant, sizeof(stream->tenant));
    n->tenants[count].pool = WEIR_POOL_ANY;
    n->tenants[count].weight = (uint32_t)stream->weight;
    n->tenants[count++].budget = WEIR_BUDGET_NONE;
  }
  return count;
}

static void coord_open(struct weir_sim *sim, struct network *n)
{
  const struct weir_coord_start start = {.epoch = 1, .seed = weir_rng_next(&sim->host_rng)};
  struct weir_coord_config config = {.pools_count = n->pools_count,
                                     .names_count = n->pools_count > 1 ? 3 : 1,
                                     .routes_count = n->pools_count > 1,
                                     .pools = n->pools,
                                     .names = n->names,
                                     .routes = &n->route,
                                     .tenants = n->tenants,
                                     .heartbeat_us = sim->scenario->heartbeat_us,
                                     .session_ttl_us = sim->scenario->session_ttl_us,
                                     .asks_max = ASKS_SESSION};
  struct weir_coord_bounds bounds = {
      .pools_max = 2, .names_max = 4, .routes_max = 1, .budgets_max = 2};

  config.tenants_count = tenants_configure(sim, n);
  bounds.tenants_max = TENANTS;
  bounds.sessions_max = sim->instances_count + sim->scenario->crashes_count;
  /* All calls at once, and those that an instance which has died had asked for before. */
  bounds.asks_max = bounds.leases_max = sim->load->count * 2;
  n->coord_storage = weir_sim_alloc(1, weir_coord_size(&bounds));
  if (weir_coord_init(n->coord_storage, &bounds, &config, &start, sim->now, &n->coord) != WEIR_OK)
    abort();
  n->coord_wake_at = WEIR_NEVER;
}

static void weir_open(struct weir_sim *sim)
{
  struct network *n = weir_sim_alloc(1, sizeof(*n));
  uint32_t slots = SLOTS_ALL / sim->instances_count;

  slots = slots > SLOTS_MAX ? SLOTS_MAX : slots < SLOTS_MIN ? SLOTS_MIN : slots;
  n->client_config.calls_max = slots + SLOTS_SPARE;
  n->client_config.settlements_max = slots > SETTLES_MAX   ? SETTLES_MAX
                                     : slots < SETTLES_MIN ? SETTLES_MIN
                                                           : slots;
  n->client_size = weir_client_size(&n->client_config);
  for (uint32_t i = 0; i < sim->workload->streams_count; i++)
    if (sim->workers_max[i] > slots / sim->workload->streams_count)
      sim->workers_max[i] = slots / sim->workload->streams_count;
  n->links = weir_sim_alloc(sim->instances_count, sizeof(*n->links));
  n->leases = weir_sim_alloc(sim->load->count, sizeof(*n->leases));
  pools_configure(sim, n);
  coord_open(sim, n);
  sim->own = n;
}

static void weir_close(struct weir_sim *sim)
{
  struct network *n = sim->own;

  for (uint32_t i = 0; i < sim->instances_count; i++)
    free(n->links[i].storage);
  free(n->links);
  free(n->leases);
  free(n->coord_storage);
  free(n->messages);
  free(n->messages_free);
  free(n);
}

const struct weir_sim_scheme weir_sim_weir = {.open = weir_open,
                                              .close = weir_close,
                                              .begin = weir_begin,
                                              .event = weir_event,
                                              .answered = weir_answered,
                                              .again = weir_again,
                                              .crash = weir_crash,
                                              .boot = weir_boot};
