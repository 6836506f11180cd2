#include "world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <weir/client.h>
#include <weir/coord.h>
#include <weir/rng.h>

#define MS     WEIR_US_PER_MS
#define SECOND WEIR_US_PER_S
#define MINUTE WEIR_US_PER_MIN

#define SHIMS_MAX      12
#define CALLS_MAX      24   /* of one shim at a time */
#define EVENTS_MAX     8192 /* pending: messages under way, timers, completions */
#define ARRIVALS_MAX   400000
#define RESERVE_MAX    8000 /* tokens of one call */
#define WAIT_MAX_US    (4 * MINUTE)
#define JUDGED_WINDOWS 2 /* of the end, in which the use of the quota is judged */
#define POOL_NAMES     6 /* that reloads give to the pool in use, in turn */

enum happening_type {
  HAPPENING_TO_COORD = 1, /* a message reaches the coordinator */
  HAPPENING_TO_SHIM,
  HAPPENING_WRITE,   /* a shim writes its request */
  HAPPENING_ARRIVE,  /* it reaches the provider */
  HAPPENING_ANSWER,  /* the answer reaches the shim */
  HAPPENING_CALL,    /* the load wants another call */
  HAPPENING_LINK_UP, /* a connection is there again */
  HAPPENING_RESUME,  /* a paused shim goes on */
  HAPPENING_COORD_START,
  HAPPENING_FAULT /* time to draw a fault */
};

struct happening {
  weir_tstamp at;
  uint64_t order;
  enum happening_type type;
  uint32_t shim, life, call; /* an actor's life: what was meant for a former one is dropped */
  uint64_t route, cookie;
  struct weir_msg msg;
};

struct call {
  bool is_used;
  uint64_t cookie;
  weir_tstamp expires_at, sent_at; /* on the shim's clock */
  uint64_t reserved, actual;
};

struct shim {
  void *storage;
  struct weir_client *client;
  struct weir_rng rng;
  uint32_t life, link; /* links are counted: each is another route for the coordinator */
  weir_duration clock; /* its clock minus the world's */
  bool is_up, is_paused;
  weir_tstamp client_wake;                 /* on the world's clock */
  weir_tstamp to_coord_last, to_shim_last; /* latest deliveries on this link */
  weir_tstamp resume_at;
  struct call calls[CALLS_MAX];
  uint32_t concurrency;
  uint64_t cookie_next, waiting;
};

struct arrival {
  weir_tstamp at;
  uint64_t tokens;
};

struct world {
  weir_tstamp now, began, calm_at, end;
  struct weir_rng rng;
  FILE *trace;
  struct weir_sim_report *report;

  struct happening *heap; /* a binary heap: earliest first, then in order of making */
  uint32_t heap_count;
  uint64_t order_next;

  void *coord_storage;
  struct weir_coord *coord;
  uint32_t coord_life;
  bool is_coord_up;
  uint64_t epoch;
  weir_tstamp granted_max;          /* over all lives */
  struct weir_pool_config pool;     /* the one quota that the provider knows */
  struct weir_pool_config pools[2]; /* under two names: one of them has the model */
  struct weir_name_config name;
  uint32_t pool_number;
  struct weir_coord_config config;
  struct weir_coord_update coord_update;

  struct shim shims[SHIMS_MAX];
  uint32_t shims_count;
  weir_duration net_min, net_spread; /* between shim and coordinator */
  weir_duration up_min;              /* between shim and provider, + 0 .. jitter */
  struct weir_client_update client_update;

  /* The judge: what arrived, against the highest limits in force within each window. */
  struct arrival *arrivals;
  uint32_t arrivals_count, window_first;
  uint64_t in_window_requests, in_window_tokens;
  uint64_t requests_max, tokens_max;
  weir_tstamp limits_fall_at;
  uint64_t requests_us, tokens_us; /* what stood in the window, times how long: the calm end */
};

static const struct weir_coord_bounds bounds = {.pools_max = POOL_NAMES + 2,
                                                .names_max = 2,
                                                .sessions_max = 64,
                                                .asks_max = 1024,
                                                .leases_max = 4096};

const char *weir_fault_name(enum weir_fault fault)
{
  switch (fault) {
#define X(name, text)                                                                              \
  case WEIR_FAULT_##name:                                                                          \
    return text;
    WEIR_FAULT_LIST(X)
#undef X
  case WEIR_FAULT_MAX:
    break;
  }
  return "?";
}

static __attribute__((format(printf, 2, 3))) void trace(const struct world *w, const char *format,
                                                        ...)
{
  va_list args;

  if (!w->trace)
    return;
  fprintf(w->trace, "%12.6f ", (double)(w->now - w->began) / 1e6);
  va_start(args, format);
  vfprintf(w->trace, format, args);
  va_end(args);
  fputc('\n', w->trace);
}

static __attribute__((format(printf, 2, 3))) void violation(struct world *w, const char *format,
                                                            ...)
{
  va_list args;

  if (w->report->violation[0])
    return;
  va_start(args, format);
  vsnprintf(w->report->violation, sizeof(w->report->violation), format, args);
  va_end(args);
  trace(w, "VIOLATION %s", w->report->violation);
}

static uint64_t draw(struct world *w, uint64_t bound)
{
  return weir_rng_below(&w->rng, bound);
}

/* ---- what is going to happen ---- */

static bool is_earlier(const struct happening *a, const struct happening *b)
{
  return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void heap_swap(struct world *w, uint32_t a, uint32_t b)
{
  struct happening kept = w->heap[a];

  w->heap[a] = w->heap[b];
  w->heap[b] = kept;
}

static void expect(struct world *w, weir_tstamp at, const struct happening *what)
{
  uint32_t i = w->heap_count++;

  if (w->heap_count > EVENTS_MAX)
    abort();
  w->heap[i] = *what;
  w->heap[i].at = at < w->now ? w->now : at;
  w->heap[i].order = w->order_next++;
  for (; i > 0 && is_earlier(&w->heap[i], &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
    heap_swap(w, i, (i - 1) / 2);
}

static struct happening next_happening(struct world *w)
{
  struct happening first = w->heap[0];
  uint32_t i = 0;

  w->heap[0] = w->heap[--w->heap_count];
  for (;;) {
    uint32_t least = i;

    for (uint32_t child = 2 * i + 1; child <= 2 * i + 2; child++) {
      if (child < w->heap_count && is_earlier(&w->heap[child], &w->heap[least]))
        least = child;
    }
    if (least == i)
      return first;
    heap_swap(w, i, least);
    i = least;
  }
}

/* ---- the network ---- */

static bool is_on(const struct world *w, enum weir_fault fault)
{
  return w->report->enabled[fault] > 0 && w->now < w->calm_at;
}

static bool strikes(struct world *w, enum weir_fault fault, uint32_t one_in)
{
  if (!is_on(w, fault) || draw(w, one_in) > 0)
    return false;
  w->report->fired[fault]++;
  return true;
}

/* When a message that is sent now is delivered: within a connection nothing overtakes. */
static weir_tstamp deliver_at(struct world *w, weir_tstamp *last)
{
  weir_tstamp at = w->now + w->net_min + draw(w, w->net_spread + 1);

  if (strikes(w, WEIR_FAULT_DELAY, 200))
    at += draw(w, 4 * SECOND);
  if (at < *last)
    at = *last;
  *last = at;
  return at;
}

static uint64_t route_of(const struct world *w, uint32_t shim)
{
  return (uint64_t)shim << 32 | w->shims[shim].link;
}

static void feed(struct world *w, uint32_t shim, struct weir_client_event *event);

static void send_to_coord(struct world *w, uint32_t shim, const struct weir_msg *msg)
{
  struct happening it = {.type = HAPPENING_TO_COORD, .route = route_of(w, shim), .msg = *msg};

  it.life = w->coord_life;
  expect(w, deliver_at(w, &w->shims[shim].to_coord_last), &it);
}

static void send_to_shim(struct world *w, uint64_t route, const struct weir_msg *msg)
{
  struct happening it = {.type = HAPPENING_TO_SHIM, .shim = (uint32_t)(route >> 32), .msg = *msg};

  it.route = route;
  it.life = w->shims[it.shim].life;
  if (strikes(w, WEIR_FAULT_LOSS, 300))
    return;
  expect(w, deliver_at(w, &w->shims[it.shim].to_shim_last), &it);
}

/* ---- the coordinator ---- */

static void coord_step(struct world *w, const struct weir_coord_event *event)
{
  if (weir_coord_step(w->coord, event, &w->coord_update) != WEIR_OK)
    abort();
  weir_coord_check(w->coord);
  if (weir_coord_grant_max(w->coord) > w->granted_max)
    w->granted_max = weir_coord_grant_max(w->coord);
  for (uint32_t i = 0; i < w->coord_update.count; i++)
    send_to_shim(w, w->coord_update.sends[i].route, &w->coord_update.sends[i].msg);
}

static void coord_start(struct world *w)
{
  struct weir_coord_start start = {.epoch = ++w->epoch, .seed = weir_rng_next(&w->rng)};

  start.has_past = w->epoch > 1;
  start.past_us = 0;
  memset(w->coord_storage, 0, weir_coord_size(&bounds));
  if (weir_coord_init(w->coord_storage, &bounds, &w->config, &start, w->now, &w->coord) != WEIR_OK)
    abort();
  w->is_coord_up = true;
  trace(w, "coordinator starts, epoch %llu", (unsigned long long)w->epoch);
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

static void wish(struct world *w, uint32_t shim, weir_duration in)
{
  struct happening it = {.type = HAPPENING_CALL, .shim = shim, .life = w->shims[shim].life};

  expect(w, w->now + in, &it);
}

/* What is not final says what is known so far: never less than the call will have used. */
static void settle(struct world *w, uint32_t shim, struct call *call, bool is_sent, bool is_final)
{
  struct weir_client_settle settle = {0};
  struct weir_client_event event = {.type = WEIR_CLIENT_SETTLE, .settle = &settle};

  settle.msg.is_sent = is_sent;
  settle.msg.is_final = is_final;
  settle.msg.has_usage = is_sent;
  settle.msg.outcome = is_sent && is_final ? WEIR_OUTCOME_OK : (enum weir_outcome)0;
  if (is_sent)
    settle.msg.input_tokens =
        is_final ? call->actual : call->actual + draw(w, call->reserved - call->actual + 1);
  settle.sent_at = call->sent_at;
  event.cookie = call->cookie;
  call->is_used = !is_final;
  feed(w, shim, &event);
}

static void on_result(struct world *w, uint32_t shim, const struct weir_client_result *result)
{
  struct shim *s = &w->shims[shim];
  struct call *call = call_of(s, result->cookie);

  assert(call);
  s->waiting--;
  if (result->wait_us > WAIT_MAX_US + SECOND && !is_on(w, WEIR_FAULT_SHIM_PAUSE) &&
      w->report->fired[WEIR_FAULT_SHIM_PAUSE] == 0)
    violation(w, "shim %u: a result after %llu us, the caller allowed %llu", shim,
              (unsigned long long)result->wait_us, (unsigned long long)WAIT_MAX_US);
  if (result->type == WEIR_CLIENT_GRANTED) {
    struct happening it = {.type = HAPPENING_WRITE, .shim = shim, .life = s->life};

    w->report->granted++;
    call->expires_at = result->expires_at;
    it.cookie = call->cookie;
    /* Most hosts write at once, some are slow: the check before writing is theirs. */
    expect(w, w->now + (draw(w, 20) ? draw(w, 2 * MS) : draw(w, 3 * SECOND)), &it);
    return;
  }
  w->report->denied++;
  call->is_used = false;
  wish(w, shim, SECOND + draw(w, SECOND));
}

static void feed(struct world *w, uint32_t shim, struct weir_client_event *event)
{
  struct shim *s = &w->shims[shim];
  struct weir_client_update update;
  enum weir_err err;

  event->now = shim_now(w, s);
  w->client_update.messages_max = WEIR_CLIENT_MESSAGES_MAX;
  err = weir_client_step(s->client, event, &w->client_update);
  weir_client_check(s->client);
  if (err != WEIR_OK && !(event->type == WEIR_CLIENT_SETTLE && err == WEIR_ENOENT))
    violation(w, "shim %u: event %d: error %d", shim, (int)event->type, (int)err);
  update = w->client_update; /* results feed the machine again */
  s->client_wake = update.wake == WEIR_NEVER ? WEIR_NEVER : update.wake - s->clock;
  for (uint32_t i = 0; i < update.messages_count; i++) {
    if (s->is_up && !strikes(w, WEIR_FAULT_LOSS, 300)) {
      send_to_coord(w, shim, &update.messages[i]);
    } else {
      struct weir_client_event unsent = {.type = WEIR_CLIENT_UNSENT};

      feed(w, shim, &unsent);
      break;
    }
  }
  for (uint32_t i = 0; i < update.results_count; i++)
    on_result(w, shim, &update.results[i]);
}

static void ask(struct world *w, uint32_t shim)
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
  *call = (struct call){.is_used = true, .cookie = ++s->cookie_next};
  call->reserved = 50 + draw(w, draw(w, 20) ? 1000 : RESERVE_MAX - 50);
  call->actual = call->reserved - draw(w, call->reserved / 3);
  strcpy(ask.msg.model, "p/m");
  ask.msg.class = shim % 3 == 2 ? WEIR_CLASS_BATCH : WEIR_CLASS_ONLINE;
  ask.msg.requests = 1;
  ask.msg.input_tokens = call->reserved;
  ask.wait_us = WAIT_MAX_US;
  event.cookie = call->cookie;
  s->waiting++;
  w->report->calls++;
  feed(w, shim, &event);
}

static void link_set(struct world *w, uint32_t shim, bool is_up)
{
  struct weir_client_event event = {.type = WEIR_CLIENT_LINK, .is_up = is_up};

  w->shims[shim].is_up = is_up;
  w->shims[shim].link++; /* what is under way on the old connection is lost */
  w->shims[shim].to_coord_last = w->shims[shim].to_shim_last = 0;
  trace(w, "shim %u link %s", shim, is_up ? "up" : "down");
  feed(w, shim, &event);
}

static void shim_start(struct world *w, uint32_t shim)
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
  s->clock = draw(w, 1000000 * SECOND);
  s->client_wake = WEIR_NEVER;
  trace(w, "shim %u starts", shim);
  link_set(w, shim, true);
  for (uint32_t i = 0; i < s->concurrency; i++)
    wish(w, shim, draw(w, 500 * MS));
}

/* ---- the judge ---- */

static void window_slide(struct world *w)
{
  const weir_duration window = w->pool.limits[0].window_us;

  while (w->window_first < w->arrivals_count &&
         w->arrivals[w->window_first].at + window <= w->now) {
    w->in_window_requests--;
    w->in_window_tokens -= w->arrivals[w->window_first].tokens;
    w->window_first++;
  }
}

static void judge(struct world *w, uint64_t tokens)
{
  if (w->arrivals_count == ARRIVALS_MAX)
    abort();
  w->arrivals[w->arrivals_count++] = (struct arrival){w->now, tokens};
  w->in_window_requests++;
  w->in_window_tokens += tokens;
  window_slide(w);
  /* After a cut the old amount rules for one window: the provider cannot take back what it had
   * admitted, nor can we. */
  if (w->now >= w->limits_fall_at) {
    w->requests_max = w->pool.limits[0].amount;
    w->tokens_max = w->pool.limits[1].amount;
  }
  if (w->in_window_requests > w->requests_max)
    violation(w, "%llu requests in a window of %llu", (unsigned long long)w->in_window_requests,
              (unsigned long long)w->requests_max);
  if (w->in_window_tokens > w->tokens_max)
    violation(w, "%llu tokens in a window of %llu", (unsigned long long)w->in_window_tokens,
              (unsigned long long)w->tokens_max);
  w->report->arrivals++;
}

/* Time passes until |at|. The use is that of the sliding window at every instant: a saturated
 * window repeats its bursts, so what falls into fixed windows depends on where they begin. */
static void pass_time(struct world *w, weir_tstamp at)
{
  const weir_tstamp judged_from = w->end - JUDGED_WINDOWS * w->pool.limits[0].window_us;

  if (at > judged_from) {
    weir_duration passed = at - (w->now > judged_from ? w->now : judged_from);

    window_slide(w);
    w->requests_us += passed * w->in_window_requests;
    w->tokens_us += passed * w->in_window_tokens;
  }
  w->now = at;
}

/* ---- faults ---- */

static void coord_crash(struct world *w)
{
  struct happening it = {.type = HAPPENING_COORD_START};

  w->is_coord_up = false;
  it.life = ++w->coord_life;
  trace(w, "coordinator dies");
  for (uint32_t i = 0; i < w->shims_count; i++) {
    if (w->shims[i].is_up && !w->shims[i].is_paused)
      link_set(w, i, false);
  }
  /* Starts promised up to the horizon ahead are over when it speaks again. */
  expect(w, w->now + WEIR_COORD_HORIZON_US + draw(w, 3 * SECOND), &it);
}

static void pools_make(struct world *w)
{
  w->pools[0] = w->pools[1] = w->pool;
  snprintf(w->pools[0].name, sizeof(w->pools[0].name), "p%u", w->pool_number % POOL_NAMES);
  strcpy(w->pools[1].name, "other");
}

static void reload(struct world *w)
{
  struct weir_coord_event event = {.type = WEIR_COORD_CONFIG, .now = w->now, .config = &w->config};

  pools_make(w);
  if (w->is_coord_up)
    coord_step(w, &event);
}

/* Whatever the pool is called, and whichever has the model, it stays one quota of the provider. */
static void pool_move(struct world *w)
{
  switch (draw(w, 3)) {
  case 0:
    w->pool_number++;
    break;
  case 1: /* for one configuration nobody has the model */
    w->config.names_count = 0;
    reload(w);
    w->config.names_count = 1;
    w->name.pool ^= 1;
    break;
  default:
    w->name.pool ^= 1;
  }
  reload(w);
  trace(w, "the model is in pool %s", w->pools[w->name.pool].name);
}

static void limits_change(struct world *w)
{
  for (int i = 0; i < 2; i++) {
    uint64_t *amount = &w->pool.limits[i].amount;

    *amount = draw(w, 2) ? *amount * 3 / 2 : *amount * 2 / 3;
    if (i == 1 && *amount < 10000)
      *amount = 10000;
    if (i == 0 && *amount < 10)
      *amount = 10;
  }
  if (w->pool.limits[0].amount > w->requests_max)
    w->requests_max = w->pool.limits[0].amount;
  if (w->pool.limits[1].amount > w->tokens_max)
    w->tokens_max = w->pool.limits[1].amount;
  /* Leases granted under the old amounts arrive up to a hold later. */
  w->limits_fall_at = w->now + w->pool.limits[0].window_us + WEIR_HOLD_MAX_US;
  trace(w, "limits are now %llu and %llu", (unsigned long long)w->pool.limits[0].amount,
        (unsigned long long)w->pool.limits[1].amount);
  reload(w);
}

static void draw_faults(struct world *w)
{
  struct happening again = {.type = HAPPENING_FAULT};
  uint32_t shim = (uint32_t)draw(w, w->shims_count);
  struct shim *s = &w->shims[shim];

  if (strikes(w, WEIR_FAULT_CUT, 10) && s->is_up && !s->is_paused) {
    struct happening up = {.type = HAPPENING_LINK_UP, .shim = shim, .life = s->life};

    link_set(w, shim, false);
    expect(w, w->now + draw(w, 10 * SECOND), &up);
  }
  if (strikes(w, WEIR_FAULT_SHIM_CRASH, 30)) {
    trace(w, "shim %u dies", shim);
    s->is_up = false;
    shim_start(w, shim);
    if (!w->is_coord_up)
      link_set(w, shim, false);
  }
  if (strikes(w, WEIR_FAULT_SHIM_PAUSE, 20) && !s->is_paused) {
    struct happening resume = {.type = HAPPENING_RESUME, .shim = shim, .life = s->life};

    s->is_paused = true;
    s->resume_at = w->now + draw(w, 15 * SECOND);
    trace(w, "shim %u stands still", shim);
    expect(w, s->resume_at, &resume);
  }
  if (strikes(w, WEIR_FAULT_COORD_CRASH, 60) && w->is_coord_up)
    coord_crash(w);
  if (strikes(w, WEIR_FAULT_LIMIT_CHANGE, 40))
    limits_change(w);
  if (strikes(w, WEIR_FAULT_POOL_MOVE, 60))
    pool_move(w);
  if (w->now < w->calm_at)
    expect(w, w->now + 500 * MS + draw(w, SECOND), &again);
}

/* ---- what happens ---- */

static void on_write(struct world *w, const struct happening *it)
{
  struct shim *s = &w->shims[it->shim];
  struct call *call = call_of(s, it->cookie);
  struct happening arrive = {.type = HAPPENING_ARRIVE, .shim = it->shim, .life = s->life};

  assert(call);
  if (shim_now(w, s) >= call->expires_at) {
    settle(w, it->shim, call, false, true);
    wish(w, it->shim, 10 * MS);
    return;
  }
  call->sent_at = shim_now(w, s);
  arrive.cookie = it->cookie;
  arrive.call = (uint32_t)call->actual;
  expect(w, w->now + w->up_min + draw(w, w->pool.jitter_us + 1), &arrive);
}

static void on_answer(struct world *w, const struct happening *it)
{
  struct call *call = call_of(&w->shims[it->shim], it->cookie);

  assert(call);
  if (draw(w, 4) == 0)
    settle(w, it->shim, call, true, false);
  settle(w, it->shim, call, true, true);
  wish(w, it->shim, draw(w, 20 * MS));
}

static void on_shim_happening(struct world *w, const struct happening *it)
{
  struct shim *s = &w->shims[it->shim];
  struct weir_client_event event = {.type = WEIR_CLIENT_RECEIVED, .msg = &it->msg};

  if (it->life != s->life)
    return;
  if (s->is_paused && it->type != HAPPENING_RESUME) {
    expect(w, s->resume_at, it); /* it happens when the process runs again */
    return;
  }
  if (it->type == HAPPENING_TO_SHIM && it->route == route_of(w, it->shim)) {
    feed(w, it->shim, &event);
  } else if (it->type == HAPPENING_WRITE) {
    on_write(w, it);
  } else if (it->type == HAPPENING_ANSWER) {
    on_answer(w, it);
  } else if (it->type == HAPPENING_CALL) {
    ask(w, it->shim);
  } else if (it->type == HAPPENING_LINK_UP && !s->is_up && w->is_coord_up) {
    link_set(w, it->shim, true);
  } else if (it->type == HAPPENING_RESUME) {
    s->is_paused = false;
    if (s->is_up != w->is_coord_up)
      link_set(w, it->shim, w->is_coord_up);
  }
}

static void on_coord_start(struct world *w, uint32_t life)
{
  if (life != w->coord_life)
    return;
  coord_start(w);
  for (uint32_t i = 0; i < w->shims_count; i++) {
    if (!w->shims[i].is_up && !w->shims[i].is_paused)
      link_set(w, i, true);
  }
}

static void on_coord_message(struct world *w, const struct happening *it)
{
  struct weir_coord_event event = {
      .type = WEIR_COORD_MESSAGE, .now = w->now, .route = it->route, .msg = &it->msg};

  if (w->is_coord_up && it->life == w->coord_life &&
      it->route == route_of(w, (uint32_t)(it->route >> 32)))
    coord_step(w, &event);
}

/* Also of a shim that has died since: what is on its way arrives. */
static void on_arrival(struct world *w, const struct happening *it)
{
  struct happening answer = {.type = HAPPENING_ANSWER, .shim = it->shim, .life = it->life};

  judge(w, it->call);
  answer.cookie = it->cookie;
  expect(w, w->now + 200 * MS + draw(w, 3 * SECOND), &answer);
}

static void happen(struct world *w, const struct happening *it)
{
  if (it->type == HAPPENING_TO_COORD)
    on_coord_message(w, it);
  else if (it->type == HAPPENING_ARRIVE)
    on_arrival(w, it);
  else if (it->type == HAPPENING_COORD_START)
    on_coord_start(w, it->life);
  else if (it->type == HAPPENING_FAULT)
    draw_faults(w);
  else
    on_shim_happening(w, it);
}

/* Advances to the next thing that can happen: a happening or a machine's wake. Equal instants go in
 * a fixed order: happenings, then the coordinator, then the shims by number. */
static bool advance(struct world *w)
{
  weir_tstamp at = w->heap_count > 0 ? w->heap[0].at : WEIR_NEVER;
  weir_tstamp coord_at = w->is_coord_up ? weir_coord_wake(w->coord) : WEIR_NEVER;
  uint32_t shim = SHIMS_MAX;

  if (coord_at < at)
    at = coord_at;
  for (uint32_t i = 0; i < w->shims_count; i++) {
    weir_tstamp wake = w->shims[i].client_wake;

    if (w->shims[i].is_paused && wake < w->shims[i].resume_at)
      wake = w->shims[i].resume_at;
    if (wake < at) {
      at = wake;
      shim = i;
    }
  }
  if (at >= w->end) {
    pass_time(w, w->end);
    return false;
  }
  if (at > w->now)
    pass_time(w, at);
  w->report->events++;
  if (shim < SHIMS_MAX) {
    struct weir_client_event event = {.type = WEIR_CLIENT_TIMEOUT};

    w->shims[shim].is_paused = false;
    feed(w, shim, &event);
  } else if (w->heap_count > 0 && w->heap[0].at <= at) {
    struct happening it = next_happening(w);

    happen(w, &it);
  } else {
    struct weir_coord_event event = {.type = WEIR_COORD_TIMEOUT, .now = w->now};

    coord_step(w, &event);
  }
  return w->report->violation[0] == '\0';
}

static void world_init(struct world *w, uint64_t seed, weir_duration span)
{
  static const weir_duration windows[] = {5 * SECOND, 20 * SECOND, MINUTE};
  weir_duration window;
  struct happening fault = {.type = HAPPENING_FAULT};

  weir_rng_init(&w->rng, seed);
  window = windows[draw(w, 3)];
  w->now = w->began = 1000 * SECOND + draw(w, SECOND);
  w->calm_at = w->now + span;
  w->end = w->calm_at + span / 2;
  for (int i = 0; i < WEIR_FAULT_MAX; i++)
    w->report->enabled[i] = draw(w, 2);
  w->pool.limits_count = 2;
  w->pool.limits[0] = (struct weir_limit_config){
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = window, .amount = 10 + draw(w, 300)};
  w->pool.limits[1] = (struct weir_limit_config){.dimension = WEIR_DIMENSION_INPUT_TOKENS,
                                                 .window_us = window,
                                                 .amount = 10000 + draw(w, 200000)};
  w->pool.ttl_us = 500 * MS + draw(w, 3 * SECOND);
  w->pool.jitter_us = draw(w, 200 * MS);
  w->pool.batch_floor_pm = 100;
  strcpy(w->name.name, "p/m");
  strcpy(w->name.model, "p/m");
  w->config = (struct weir_coord_config){.pools_count = 2,
                                         .names_count = 1,
                                         .pools = w->pools,
                                         .names = &w->name,
                                         .heartbeat_us = SECOND,
                                         .session_ttl_us = 3 * SECOND,
                                         .asks_max = 8 + (uint32_t)draw(w, 32)};
  pools_make(w);
  w->requests_max = w->pool.limits[0].amount;
  w->tokens_max = w->pool.limits[1].amount;
  w->net_min = draw(w, 5 * MS);
  w->net_spread = draw(w, 20 * MS);
  w->up_min = draw(w, 50 * MS);
  w->shims_count = 1 + (uint32_t)draw(w, SHIMS_MAX);
  coord_start(w);
  for (uint32_t i = 0; i < w->shims_count; i++) {
    w->shims[i].concurrency = 1 + (uint32_t)draw(w, CALLS_MAX);
    shim_start(w, i);
  }
  expect(w, w->now + SECOND, &fault);
}

static void report(struct world *w)
{
  const weir_duration judged_us = JUDGED_WINDOWS * w->pool.limits[0].window_us;
  const uint64_t requests_pm = w->requests_us * 1000 / judged_us / w->pool.limits[0].amount;
  const uint64_t tokens_pm = w->tokens_us * 1000 / judged_us / w->pool.limits[1].amount;
  uint64_t concurrency = 0;

  trace(w, "end: window %llu us, limits %llu and %llu, used %llu and %llu",
        (unsigned long long)w->pool.limits[0].window_us,
        (unsigned long long)w->pool.limits[0].amount, (unsigned long long)w->pool.limits[1].amount,
        (unsigned long long)(w->requests_us / judged_us),
        (unsigned long long)(w->tokens_us / judged_us));
  w->report->digest = weir_coord_digest(w->coord);
  for (uint32_t i = 0; i < w->shims_count; i++) {
    w->report->digest = w->report->digest * 31 + weir_client_digest(w->shims[i].client);
    w->report->unserved += w->shims[i].waiting;
    concurrency += w->shims[i].concurrency;
  }
  /* Judged with a backlog (of many calls far more wait than are on their way) of calls that are
   * small beside the limit: a head of most of a window's tokens rightly lets the window run empty.
   */
  w->report->is_judged = concurrency >= 40 && w->report->unserved * 4 >= concurrency &&
                         w->pool.limits[1].amount >= UINT64_C(8) * RESERVE_MAX;
  w->report->used_pm = requests_pm > tokens_pm ? requests_pm : tokens_pm;
}

void weir_sim_run(uint64_t seed, weir_duration span, FILE *trace_file,
                  struct weir_sim_report *ret_report)
{
  struct world *w = calloc(1, sizeof(*w));

  if (!w)
    abort();
  memset(ret_report, 0, sizeof(*ret_report));
  ret_report->seed = seed;
  w->report = ret_report;
  w->trace = trace_file;
  w->heap = calloc(EVENTS_MAX, sizeof(*w->heap));
  w->arrivals = calloc(ARRIVALS_MAX, sizeof(*w->arrivals));
  w->coord_storage = calloc(1, weir_coord_size(&bounds));
  if (!w->heap || !w->arrivals || !w->coord_storage)
    abort();
  world_init(w, seed, span);
  while (advance(w))
    ;
  report(w);
  for (uint32_t i = 0; i < w->shims_count; i++)
    free(w->shims[i].storage);
  free(w->coord_storage);
  free(w->arrivals);
  free(w->heap);
  free(w);
}
