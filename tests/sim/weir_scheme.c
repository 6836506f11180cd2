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
#define MODEL        "sim/model"

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
  weir_tstamp wake_at;                   /* the earliest wake that is scheduled */
  weir_tstamp to_coord_at, to_client_at; /* latest deliveries: nothing overtakes */
};

struct lease {
  uint64_t cookie;
  weir_tstamp expires_at;
  bool is_reported;
};

struct network {
  void *coord_storage;
  struct weir_coord *coord;
  weir_tstamp coord_wake_at;
  struct weir_pool_config pool;
  struct weir_name_config name;
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

static void coord_step(struct weir_sim *sim, const struct weir_coord_event *event)
{
  struct network *n = sim->own;
  weir_tstamp wake;

  if (weir_coord_step(n->coord, event, &n->coord_update) != WEIR_OK)
    abort();
  for (uint32_t i = 0; i < n->coord_update.count; i++) {
    const struct weir_coord_send *send = &n->coord_update.sends[i];
    const uint32_t instance = (uint32_t)(send->route >> 32);

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
  struct weir_client_ask ask = {.wait_us = sim->scenario->ask_wait_us};
  struct weir_client_event event = {.type = WEIR_CLIENT_ASK, .context = call, .ask = &ask};

  strcpy(ask.msg.model, MODEL);
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
  const struct lease *lease = &((struct network *)sim->own)->leases[call];
  struct weir_client_settle unused = {.msg = {.is_final = true, .outcome = WEIR_OUTCOME_CANCELLED}};
  struct weir_client_settle written = {.msg = {.is_sent = true}};

  if (sim->now >= lease->expires_at) {
    settle(sim, call, &unused);
    weir_begin(sim, call);
    return;
  }
  weir_sim_send(sim, call);
  if (lease->is_reported)
    settle(sim, call, &written);
}

static bool is_requests_limit(const struct weir_sim *sim)
{
  for (uint32_t i = 0; i < sim->set->limits_count; i++)
    if ((sim->rejected_by >> i & 1) && !sim->set->limits[i].is_tokens)
      return true;
  return false;
}

static void weir_answered(struct weir_sim *sim, uint32_t call, uint32_t status)
{
  const struct weir_sim_call *it = &sim->calls[call];
  struct weir_client_settle end = {.msg = {.is_sent = true, .is_final = true, .http = status}};

  end.msg.latency_us = sim->now - it->sent_at;
  if (status == 429) {
    end.msg.outcome = is_requests_limit(sim) ? WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS
                                             : WEIR_OUTCOME_QUOTA_MINUTE_TOKENS;
  } else if (status == 503) {
    end.msg.outcome = WEIR_OUTCOME_OVERLOADED;
  } else {
    end.msg.outcome = status == 200 ? WEIR_OUTCOME_OK : WEIR_OUTCOME_SERVER_ERROR;
    end.msg.has_usage = true;
    end.msg.input_tokens = it->tokens;
  }
  settle(sim, call, &end);
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

static void pool_configure(struct weir_sim *sim, struct network *n)
{
  const struct weir_scenario *s = sim->scenario;

  strcpy(n->pool.name, "sim");
  n->pool.limits_count = sim->set->limits_count;
  for (uint32_t i = 0; i < sim->set->limits_count; i++) {
    const struct weir_scenario_limit *limit = &sim->set->limits[i];

    n->pool.limits[i] = (struct weir_limit_config){
        .dimension = limit->is_tokens ? WEIR_DIMENSION_TOTAL_TOKENS : WEIR_DIMENSION_REQUESTS,
        .window_us = limit->window_us,
        .amount = limit->amount,
        .burst = limit->amount * s->assumed_burst_pm / 1000};
  }
  n->pool.rules.profile =
      (enum weir_profile)(sim->scheme_name - WEIR_SCHEME_WEIR_WINDOW + WEIR_PROFILE_WINDOW);
  n->pool.rules.error_pm = (uint32_t)s->estimate_error_pm;
  n->pool.ttl_us = s->lease_ttl_us;
  n->pool.jitter_us = s->jitter_us;
  n->pool.batch_floor_pm = (uint32_t)s->batch_floor_pm;
  strcpy(n->name.name, MODEL);
  strcpy(n->name.model, MODEL);
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
  struct weir_coord_config config = {.pools_count = 1,
                                     .names_count = 1,
                                     .pools = &n->pool,
                                     .names = &n->name,
                                     .tenants = n->tenants,
                                     .heartbeat_us = sim->scenario->heartbeat_us,
                                     .session_ttl_us = sim->scenario->session_ttl_us,
                                     .asks_max = ASKS_SESSION};
  struct weir_coord_bounds bounds = {.pools_max = 2, .names_max = 2, .budgets_max = 2};

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
  pool_configure(sim, n);
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
                                              .crash = weir_crash,
                                              .boot = weir_boot,
                                              .is_patient = true};
