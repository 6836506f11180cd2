/* world_shim.c - the instances: their machines, their calls, their connections. */
#include "world_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* When a message that is sent now is delivered: within a connection nothing overtakes. */
static weir_tstamp deliver_at(struct world *w, weir_tstamp *last)
{
  weir_tstamp at = w->now + w->net_min + world_draw(w, w->net_spread + 1);

  if (world_strikes(w, WEIR_FAULT_DELAY, 200))
    at += world_draw(w, 4 * SECOND);
  if (at < *last)
    at = *last;
  *last = at;
  return at;
}

uint64_t shim_route(const struct world *w, uint32_t shim)
{
  return (uint64_t)shim << 32 | w->shims[shim].link;
}

/* Delivers |it|, now and then twice. */
static void deliver(struct world *w, weir_tstamp *last, const struct happening *it)
{
  world_expect(w, deliver_at(w, last), it);
  if (world_strikes(w, WEIR_FAULT_DUPLICATE, 200))
    world_expect(w, deliver_at(w, last), it);
}

static void send_to_coord(struct world *w, uint32_t shim, const struct weir_msg *msg)
{
  struct happening it = {.type = HAPPENING_TO_COORD, .route = shim_route(w, shim), .msg = *msg};

  it.life = w->coord_life;
  deliver(w, &w->shims[shim].to_coord_last, &it);
}

void shim_send(struct world *w, uint64_t route, const struct weir_msg *msg)
{
  struct happening it = {.type = HAPPENING_TO_SHIM, .shim = (uint32_t)(route >> 32), .msg = *msg};

  it.route = route;
  it.life = w->shims[it.shim].life;
  if (world_strikes(w, WEIR_FAULT_LOSS, 300))
    return;
  deliver(w, &w->shims[it.shim].to_shim_last, &it);
}

/* ---- the shims ---- */

static weir_tstamp shim_now(const struct world *w, const struct shim *s)
{
  return w->now + s->clock;
}

static struct call *call_of(struct shim *s, uint64_t cookie)
{
  for (uint32_t i = 0; i < CALLS_MAX; i++) {
    if (s->calls[i].is_used && s->calls[i].cookie == cookie)
      return &s->calls[i];
  }
  return NULL;
}

/* A call after |in|: a new one, or attempt number |attempts| + 1 of one that failed. */
static void wish_again(struct world *w, uint32_t shim, weir_duration in, uint32_t attempts)
{
  struct happening it = {.type = HAPPENING_CALL, .shim = shim, .life = w->shims[shim].life};

  it.call = attempts;
  world_expect(w, w->now + in, &it);
}

static void wish(struct world *w, uint32_t shim, weir_duration in)
{
  wish_again(w, shim, in, 0);
}

/* Tells |said| of |call|, which ends with it if it is final. */
static void settle(struct world *w, uint32_t shim, struct call *call,
                   const struct weir_msg_settle *said)
{
  struct weir_client_settle settle = {.msg = *said, .sent_at = call->sent_at};
  struct weir_client_event event = {.type = WEIR_CLIENT_SETTLE, .settle = &settle};

  event.cookie = call->cookie;
  call->is_used = !said->is_final;
  shim_feed(w, shim, &event);
}

static void on_result(struct world *w, uint32_t shim, const struct weir_client_result *result)
{
  struct shim *s = &w->shims[shim];
  struct call *call = call_of(s, result->cookie);

  assert(call);
  s->waiting--;
  if (result->wait_us > WAIT_MAX_US + SECOND && !world_is_on(w, WEIR_FAULT_SHIM_PAUSE) &&
      w->report->fired[WEIR_FAULT_SHIM_PAUSE] == 0)
    world_violation(w, "shim %u: a result after %llu us, the caller allowed %llu", shim,
                    (unsigned long long)result->wait_us, (unsigned long long)WAIT_MAX_US);
  if (result->type == WEIR_CLIENT_GRANTED) {
    struct happening it = {.type = HAPPENING_WRITE, .shim = shim, .life = s->life};

    w->report->granted++;
    w->report->island_calls += result->is_island;
    call->expires_at = result->expires_at;
    call->is_reported = result->grant.is_reported;
    it.cookie = call->cookie;
    /* Most hosts write at once, some are slow: the check before writing is theirs. */
    world_expect(
        w, w->now + (world_draw(w, 20) ? world_draw(w, 2 * MS) : world_draw(w, 3 * SECOND)), &it);
    return;
  }
  w->report->denied++;
  call->is_used = false;
  wish(w, shim, SECOND + world_draw(w, SECOND));
}

/* Most of an update is unused room. */
static void update_copy(struct weir_client_update *to, const struct weir_client_update *from)
{
  to->messages_count = from->messages_count;
  to->results_count = from->results_count;
  to->wake = from->wake;
  memcpy(to->messages, from->messages, from->messages_count * sizeof(from->messages[0]));
  memcpy(to->results, from->results, from->results_count * sizeof(from->results[0]));
}

void shim_feed(struct world *w, uint32_t shim, struct weir_client_event *event)
{
  struct shim *s = &w->shims[shim];
  struct weir_client_update update;
  enum weir_err err;

  event->now = shim_now(w, s);
  w->client_update.messages_max = WEIR_CLIENT_MESSAGES_MAX;
  err = weir_client_step(s->client, event, &w->client_update);
  weir_client_check(s->client);
  if (err != WEIR_OK && !(event->type == WEIR_CLIENT_SETTLE && err == WEIR_ENOENT))
    world_violation(w, "shim %u: event %d: error %d", shim, (int)event->type, (int)err);
  update_copy(&update, &w->client_update); /* results feed the machine again */
  s->client_wake = update.wake == WEIR_NEVER ? WEIR_NEVER : weir_time_sub(update.wake, s->clock);
  for (uint32_t i = 0; i < update.messages_count; i++) {
    if (s->is_up && !world_strikes(w, WEIR_FAULT_LOSS, 300)) {
      send_to_coord(w, shim, &update.messages[i]);
    } else {
      struct weir_client_event unsent = {.type = WEIR_CLIENT_UNSENT};

      shim_feed(w, shim, &unsent);
      break;
    }
  }
  for (uint32_t i = 0; i < update.results_count; i++)
    on_result(w, shim, &update.results[i]);
}

static void ask(struct world *w, uint32_t shim, uint32_t attempts)
{
  struct shim *s = &w->shims[shim];
  struct weir_client_ask ask = {0};
  struct weir_client_event event = {.type = WEIR_CLIENT_ASK, .ask = &ask};
  struct call *call = NULL;

  for (uint32_t i = 0; i < CALLS_MAX && !call; i++) {
    if (!s->calls[i].is_used)
      call = &s->calls[i];
  }
  if (!call)
    return;
  *call = (struct call){.is_used = true, .cookie = ++s->cookie_next, .attempts = attempts};
  call->reserved = 50 + world_draw(w, world_draw(w, 20) ? 1000 : RESERVE_MAX - 50);
  if (w->now < w->spike_until)
    call->reserved = RESERVE_MAX - world_draw(w, RESERVE_MAX / 8);
  call->tenant = (uint32_t)world_draw(w, w->config.tenants_count + 1);
  if (call->tenant < w->config.tenants_count) /* else nobody in particular */
    strcpy(ask.msg.tenant, w->tenants[call->tenant].name);
  call->actual = call->reserved - world_draw(w, call->reserved / 3);
  strcpy(ask.msg.model, w->has_route ? "route" : "p/m");
  ask.msg.class = shim % 3 == 2 ? WEIR_CLASS_BATCH : WEIR_CLASS_ONLINE;
  ask.msg.requests = 1;
  ask.msg.attempts = attempts;
  ask.msg.input_tokens = call->reserved;
  ask.wait_us = WAIT_MAX_US;
  event.cookie = call->cookie;
  s->waiting++;
  w->report->calls++;
  shim_feed(w, shim, &event);
}

void shim_link(struct world *w, uint32_t shim, bool is_up)
{
  struct weir_client_event event = {.type = WEIR_CLIENT_LINK, .is_up = is_up};

  w->shims[shim].is_up = is_up;
  w->shims[shim].link++; /* what is under way on the old connection is lost */
  w->shims[shim].to_coord_last = w->shims[shim].to_shim_last = 0;
  world_trace(w, "shim %u link %s", shim, is_up ? "up" : "down");
  shim_feed(w, shim, &event);
}

void shim_start(struct world *w, uint32_t shim)
{
  struct shim *s = &w->shims[shim];
  struct weir_client_config config = {.calls_max = 64, .settlements_max = 256};
  uint64_t word = weir_rng_next(&w->rng);

  memcpy(config.instance, &word, sizeof(word));
  word = weir_rng_next(&w->rng);
  memcpy(config.instance + 8, &word, sizeof(word));
  config.seed = weir_rng_next(&w->rng);
  strcpy(config.name, "sim");
  config.wallet_max = w->report->seed % 2 ? 4 : 0; /* leases ahead of need in every other world */
  if (!s->storage)
    s->storage = malloc(weir_client_size(&config));
  if (!s->storage)
    abort();
  memset(s->storage, 0, weir_client_size(&config));
  memset(s->calls, 0, sizeof(s->calls));
  s->client = weir_client_init(s->storage, &config);
  s->life++;
  s->waiting = 0;
  s->is_paused = false;
  s->clock = world_draw(w, 1000000 * SECOND);
  s->client_wake = WEIR_NEVER;
  world_trace(w, "shim %u starts", shim);
  shim_link(w, shim, true);
  for (uint32_t i = 0; i < s->concurrency; i++)
    wish(w, shim, world_draw(w, 500 * MS));
}

static void on_write(struct world *w, const struct happening *it)
{
  struct shim *s = &w->shims[it->shim];
  struct call *call = call_of(s, it->cookie);
  struct happening arrive = {.type = HAPPENING_ARRIVE, .shim = it->shim, .life = s->life};
  const struct weir_msg_settle unused = {.is_final = true}, written = {.is_sent = true};

  assert(call);
  if (shim_now(w, s) >= call->expires_at) {
    settle(w, it->shim, call, &unused);
    wish(w, it->shim, 10 * MS);
    return;
  }
  call->sent_at = shim_now(w, s);
  arrive.cookie = it->cookie;
  arrive.call = (uint32_t)call->actual;
  arrive.tenant = call->tenant;
  world_expect(w, w->now + w->up_min + world_draw(w, w->pool.jitter_us + 1), &arrive);
  if (call->is_reported)
    settle(w, it->shim, call, &written);
}

/* What is said before the end is never less than the call will have used. */
static void on_answer(struct world *w, const struct happening *it)
{
  struct call *call = call_of(&w->shims[it->shim], it->cookie);
  struct weir_msg_settle said = it->msg.settle;
  const bool is_tried_again = said.outcome != WEIR_OUTCOME_OK && world_draw(w, 2) == 0;
  const uint32_t attempts = call ? call->attempts + 1 : 0;

  assert(call);
  said.is_sent = said.is_final = true;
  if (said.has_usage)
    said.input_tokens = call->actual;
  if (said.has_usage && world_draw(w, 4) == 0) {
    struct weir_msg_settle known = {.is_sent = true, .has_usage = true};

    known.input_tokens = call->actual + world_draw(w, call->reserved - call->actual + 1);
    settle(w, it->shim, call, &known);
  }
  settle(w, it->shim, call, &said);
  if (is_tried_again)
    wish_again(w, it->shim, world_draw(w, 2 * SECOND), attempts);
  else
    wish(w, it->shim, world_draw(w, 20 * MS));
}

void shim_happening(struct world *w, const struct happening *it)
{
  struct shim *s = &w->shims[it->shim];
  struct weir_client_event event = {.type = WEIR_CLIENT_RECEIVED, .msg = &it->msg};

  if (it->life != s->life)
    return;
  if (s->is_paused && it->type != HAPPENING_RESUME) {
    world_expect(w, s->resume_at, it); /* it happens when the process runs again */
    return;
  }
  if (it->type == HAPPENING_TO_SHIM && it->route == shim_route(w, it->shim)) {
    shim_feed(w, it->shim, &event);
  } else if (it->type == HAPPENING_WRITE) {
    on_write(w, it);
  } else if (it->type == HAPPENING_ANSWER) {
    on_answer(w, it);
  } else if (it->type == HAPPENING_CALL) {
    ask(w, it->shim, it->call);
  } else if (it->type == HAPPENING_LINK_UP && !s->is_up && w->is_coord_up) {
    shim_link(w, it->shim, true);
  } else if (it->type == HAPPENING_RESUME) {
    s->is_paused = false;
    if (s->is_up != w->is_coord_up)
      shim_link(w, it->shim, w->is_coord_up);
  }
}
