#include "engine.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"

#define BACKOFF_FIRST_US  WEIR_US_PER_S /* doubled with each retry */
#define BACKOFF_MAX_US    (8 * WEIR_US_PER_S)
#define BACKOFF_SPREAD_US (500 * WEIR_US_PER_MS)
#define REJECT_US         (5 * WEIR_US_PER_MS) /* from the count of a rejected call to its answer */
#define FAIL_MIN_US       (20 * WEIR_US_PER_MS)
#define FAIL_MAX_US       (200 * WEIR_US_PER_MS)

#define FOREIGN_RATE 100.0 /* calls in a second that fill a quota without a limit of requests */

void *weir_sim_alloc(size_t count, size_t size)
{
  void *memory = calloc(count ? count : 1, size);

  if (!memory)
    abort();
  return memory;
}

const struct weir_sim_scheme *weir_sim_scheme_of(enum weir_scheme scheme)
{
  switch (scheme) {
  case WEIR_SCHEME_NAIVE:
    return &weir_sim_naive;
  case WEIR_SCHEME_STATIC:
    return &weir_sim_static;
  case WEIR_SCHEME_FIXED_COUNTER:
    return &weir_sim_fixed_counter;
  case WEIR_SCHEME_GLOBAL_BUCKET:
    return &weir_sim_global_bucket;
  case WEIR_SCHEME_DOORMAN:
    return &weir_sim_doorman;
  case WEIR_SCHEME_WEIR_WINDOW:
  case WEIR_SCHEME_WEIR_BUCKET:
  case WEIR_SCHEME_WEIR_PACED:
  case WEIR_SCHEME_WEIR_UNIVERSAL:
    return &weir_sim_weir;
  case WEIR_SCHEME_NONE:
  case WEIR_SCHEME_MAX:
    break;
  }
  assert(false);
  return NULL;
}

void weir_sim_at(struct weir_sim *sim, weir_tstamp at, uint32_t type, uint32_t instance, uint32_t a,
                 uint32_t b, uint32_t c)
{
  const struct weir_sim_event event = {.type = type, .instance = instance, .a = a, .b = b, .c = c};

  weir_events_add(&sim->events, at > sim->now ? at : sim->now, &event);
}

weir_tstamp weir_sim_hop(struct weir_sim *sim)
{
  const struct weir_scenario *s = sim->scenario;

  sim->messages++;
  return sim->now + weir_draw_between(&sim->net_rng, s->hop_min_us, s->hop_max_us);
}

double weir_sim_rate(const struct weir_sim *sim, bool is_tokens)
{
  double rate = HUGE_VAL;

  for (uint32_t i = 0; i < sim->set->limits_count; i++) {
    const struct weir_scenario_limit *limit = &sim->set->limits[i];

    if (limit->is_tokens == is_tokens && !limit->is_day)
      rate = fmin(rate, (double)limit->amount / ((double)limit->window_us / 1e6));
  }
  return rate;
}

double weir_sim_foreign_rate(const struct weir_sim *sim)
{
  const double rate = weir_sim_rate(sim, false);

  return isinf(rate) ? FOREIGN_RATE : rate;
}

weir_tstamp weir_sim_deadline(const struct weir_sim *sim, uint32_t call)
{
  const weir_duration within = sim->workload->streams[sim->calls[call].stream].deadline_us;

  return within ? sim->calls[call].at + within : WEIR_NEVER;
}

weir_tstamp weir_sim_since(const struct weir_sim *sim)
{
  return sim->now - WEIR_SIM_BEGIN;
}

/* ---- queues ---- */

void weir_sim_queue_add(struct weir_sim *sim, struct weir_sim_queue *queue, uint32_t call)
{
  sim->calls[call].next = WEIR_SIM_NO_CALL;
  if (queue->count++ == 0)
    queue->first = call;
  else
    sim->calls[queue->last].next = call;
  queue->last = call;
  queue->estimate += sim->calls[call].estimate;
}

uint32_t weir_sim_queue_take(struct weir_sim *sim, struct weir_sim_queue *queue)
{
  const uint32_t call = queue->first;

  if (queue->count == 0)
    return WEIR_SIM_NO_CALL;
  queue->first = sim->calls[call].next;
  queue->count--;
  queue->estimate -= sim->calls[call].estimate;
  return call;
}

/* ---- instances ---- */

static void move(struct weir_sim_call *call, enum weir_sim_call_state state)
{
  call->state = state;
  call->serial++;
}

bool weir_sim_is_begun(const struct weir_sim *sim, uint32_t call, uint32_t serial)
{
  return sim->calls[call].state == WEIR_SIM_BEGUN && sim->calls[call].serial == serial;
}

static void begin(struct weir_sim *sim, uint32_t call)
{
  move(&sim->calls[call], WEIR_SIM_BEGUN);
  sim->scheme->begin(sim, call);
}

/* Workers that are free take up what is queued. */
static void pump(struct weir_sim *sim, uint32_t instance)
{
  struct weir_sim_instance *it = &sim->instances[instance];

  for (uint32_t s = 0; s < sim->workload->streams_count; s++) {
    while (it->is_up && it->queues[s].count > 0 && it->busy[s] < sim->workers_max[s]) {
      it->busy[s]++;
      begin(sim, weir_sim_queue_take(sim, &it->queues[s]));
    }
  }
}

/* The instance that |wanted| stands for now: itself, or while it is down the next that is up. */
static uint32_t standing_for(const struct weir_sim *sim, uint32_t wanted)
{
  assert(sim->instances_count > 0);
  for (uint32_t i = 0; i < sim->instances_count; i++) {
    const uint32_t instance = (wanted + i) % sim->instances_count;

    if (sim->instances[instance].is_up)
      return instance;
  }
  return wanted % sim->instances_count;
}

static void submit(struct weir_sim *sim, uint32_t call, uint32_t wanted)
{
  const uint32_t instance = standing_for(sim, wanted);
  struct weir_sim_call *it = &sim->calls[call];

  it->instance = instance;
  move(it, WEIR_SIM_QUEUED);
  if (sim->scheme->arrived)
    sim->scheme->arrived(sim, call);
  weir_sim_queue_add(sim, &sim->instances[instance].queues[it->stream], call);
  pump(sim, instance);
}

static void over(struct weir_sim *sim, uint32_t call, enum weir_sim_call_state state)
{
  struct weir_sim_call *it = &sim->calls[call];
  const weir_tstamp deadline = weir_sim_deadline(sim, call);

  if (sim->now >= deadline)
    weir_outage_expired(&sim->outage, sim->now - deadline);
  move(it, state);
  sim->settled++;
  sim->last_at = sim->now;
  sim->instances[it->instance].busy[it->stream]--;
  pump(sim, it->instance);
}

void weir_sim_refuse(struct weir_sim *sim, uint32_t call)
{
  over(sim, call, WEIR_SIM_FAILED);
}

static void crash(struct weir_sim *sim, const struct weir_scenario_crash *crash)
{
  const uint32_t instance = (uint32_t)crash->instance;
  struct weir_sim_instance *it;
  uint32_t next = instance;

  if (instance >= sim->instances_count || !sim->instances[instance].is_up)
    return;
  it = &sim->instances[instance];
  it->is_up = false;
  it->life++;
  memset(it->queues, 0, sizeof(it->queues));
  memset(it->busy, 0, sizeof(it->busy));
  if (sim->scheme->crash)
    sim->scheme->crash(sim, instance);
  weir_sim_at(sim, sim->now + crash->down_us, WEIR_SIM_BOOT, instance, 0, 0, 0);
  for (uint32_t call = 0; call < sim->arrived; call++) {
    struct weir_sim_call *c = &sim->calls[call];

    if (c->instance != instance)
      continue;
    if (c->state == WEIR_SIM_SENT) {
      move(c, WEIR_SIM_LOST);
      sim->settled++;
    } else if (c->state == WEIR_SIM_QUEUED || c->state == WEIR_SIM_BEGUN) {
      next = (next + 1) % sim->instances_count;
      if (next == instance)
        next = (next + 1) % sim->instances_count;
      submit(sim, call, next);
    }
  }
}

static void boot(struct weir_sim *sim, uint32_t instance)
{
  sim->instances[instance].is_up = true;
  sim->instances[instance].life++;
  if (sim->scheme->boot)
    sim->scheme->boot(sim, instance);
  pump(sim, instance);
}

/* ---- the provider ---- */

/* The fault that lasts now; NULL for none. Faults are those of the first provider. */
static const struct weir_scenario_fault *fault_now(const struct weir_sim *sim)
{
  const struct weir_scenario *s = sim->scenario;
  const weir_tstamp since = weir_sim_since(sim);

  for (uint32_t i = 0; i < s->faults_count; i++)
    if (since >= s->faults[i].from_us && since < s->faults[i].to_us)
      return &s->faults[i];
  return NULL;
}

void weir_sim_send(struct weir_sim *sim, uint32_t call)
{
  const struct weir_scenario *s = sim->scenario;
  struct weir_sim_call *it = &sim->calls[call];
  const weir_duration delay =
      weir_draw_between(&sim->provider_rng, s->delay_min_us, s->delay_min_us + s->delay_spread_us);

  assert(it->state == WEIR_SIM_BEGUN);
  if (sim->now >= weir_sim_deadline(sim, call)) {
    over(sim, call, WEIR_SIM_FAILED);
    return;
  }
  weir_outage_wrote(&sim->outage, weir_sim_since(sim), it->attempts, it->provider == 0,
                    fault_now(sim) != NULL);
  move(it, WEIR_SIM_SENT);
  it->attempts++;
  it->sent_at = sim->now;
  weir_sim_at(sim, sim->now + delay, WEIR_SIM_COUNT, it->instance, call, it->serial, 0);
}

static void answer(struct weir_sim *sim, const struct weir_sim_event *event, weir_duration in,
                   enum weir_sim_answer what)
{
  weir_sim_at(sim, sim->now + in, WEIR_SIM_ANSWER, event->instance, event->a, event->b, what);
}

/* Whether use would grow too fast with this call of the first provider. */
static bool is_too_steep(struct weir_sim *sim, const struct weir_sim_call *call)
{
  if (weir_slope_fits(&sim->slope, sim->now, call->tokens))
    return false;
  if (sim->steep++ == 0)
    sim->steep_first = sim->now;
  sim->steep_last = sim->now;
  sim->steep_until = weir_slope_next(&sim->slope);
  return true;
}

static void note_use(struct weir_sim *sim, const struct weir_sim_call *call)
{
  const uint64_t second = (sim->now - WEIR_SIM_BEGIN) / WEIR_US_PER_S;

  weir_slope_take(&sim->slope, call->tokens);
  if (second < sim->use_seconds) {
    sim->use[second].requests++;
    sim->use[second].tokens += call->tokens;
  }
  if (sim->is_contended) {
    sim->stream_use[call->stream].requests++;
    sim->stream_use[call->stream].tokens += call->tokens;
  }
}

/* What a fault makes of a request that has come; 0 when it lets it pass. */
static enum weir_sim_answer fault_answer(struct weir_sim *sim,
                                         const struct weir_scenario_fault *fault)
{
  static const enum weir_sim_answer answers[] = {
      [WEIR_FAULT_OVERLOADED] = WEIR_SIM_BUSY,
      [WEIR_FAULT_SERVER_ERROR] = WEIR_SIM_BROKEN,
      [WEIR_FAULT_NETWORK] = WEIR_SIM_CUT,
      [WEIR_FAULT_CAPACITY] = WEIR_SIM_CAPACITY,
  };

  if (!fault || weir_rng_below(&sim->fault_rng, 1000) >= fault->share_pm)
    return (enum weir_sim_answer)0;
  return answers[fault->answer];
}

/* Which 429 the limits and the rule of growth make of a request; 0 when they let it pass. */
static enum weir_sim_answer limits_answer(struct weir_sim *sim, const struct weir_sim_call *call)
{
  const struct weir_up_cost cost = {
      .units = {[WEIR_UP_REQUESTS] = 1, [WEIR_UP_TOTAL] = call->tokens}};
  uint32_t rejected;

  if (call->provider == 0 && is_too_steep(sim, call))
    return WEIR_SIM_STEEP;
  rejected = weir_up_meter_admit(sim->meters[call->provider], sim->now, &cost);
  if (!rejected)
    return (enum weir_sim_answer)0;
  sim->rejected_by = rejected;
  return WEIR_SIM_REJECTED;
}

/* Also of an instance that has died since: what is on its way arrives. */
static void on_count(struct weir_sim *sim, const struct weir_sim_event *event)
{
  const struct weir_scenario *s = sim->scenario;
  const struct weir_sim_call *call = &sim->calls[event->a];
  const bool is_first = call->provider == 0;
  const struct weir_scenario_fault *fault = is_first ? fault_now(sim) : NULL;
  const uint64_t fate = weir_rng_below(&sim->provider_rng, 1000);
  const weir_duration fail_in = weir_draw_between(&sim->provider_rng, FAIL_MIN_US, FAIL_MAX_US);
  const double latency = weir_draw_lognormal(&sim->provider_rng, (double)s->latency_median_us,
                                             (double)s->latency_sigma_pm / 1000);
  const weir_duration latency_us =
      latency < (double)s->latency_max_us ? (weir_duration)latency : s->latency_max_us;
  enum weir_sim_answer failure = fault_answer(sim, fault), rejection = (enum weir_sim_answer)0;

  sim->counted++;
  if (!failure && fate < s->failing_uncharged_pm)
    failure = WEIR_SIM_BUSY;
  if (!failure || failure == WEIR_SIM_BROKEN)
    rejection = limits_answer(sim, call);
  if (is_first)
    weir_outage_came(&sim->outage, weir_sim_since(sim), !failure && !rejection);
  if (failure && !rejection) {
    answer(sim, event, fault && fault->latency_us ? fault->latency_us : fail_in, failure);
    return;
  }
  if (rejection) {
    sim->rejected++;
    answer(sim, event,
           REJECT_US + weir_draw_between(&sim->provider_rng, s->delay_min_us,
                                         s->delay_min_us + s->delay_spread_us),
           rejection);
    return;
  }
  if (is_first)
    note_use(sim, call);
  answer(sim, event, latency_us,
         fate < s->failing_uncharged_pm + s->failing_charged_pm ? WEIR_SIM_BROKEN : WEIR_SIM_OK);
}

static weir_duration backoff(struct weir_sim *sim, uint32_t attempts)
{
  const weir_duration base = attempts > 3 ? BACKOFF_MAX_US : BACKOFF_FIRST_US << (attempts - 1);

  return base + weir_rng_below(&sim->scheme_rng, BACKOFF_SPREAD_US);
}

static bool is_429(enum weir_sim_answer what)
{
  return what == WEIR_SIM_REJECTED || what == WEIR_SIM_STEEP;
}

/* Whether a failed call is tried again, and after what. */
static bool is_again(struct weir_sim *sim, uint32_t call, enum weir_sim_answer what,
                     weir_duration *ret_after_us)
{
  const uint32_t attempts = sim->calls[call].attempts;

  if ((!is_429(what) && !sim->scenario->is_errors_retried) || what == WEIR_SIM_EXPIRED ||
      attempts > sim->scenario->retries)
    return false;
  if (sim->scheme->again)
    return sim->scheme->again(sim, call, what, ret_after_us);
  *ret_after_us = backoff(sim, attempts);
  return weir_time_add(sim->now, *ret_after_us) < weir_sim_deadline(sim, call);
}

static void answered(struct weir_sim *sim, uint32_t call, enum weir_sim_answer what)
{
  struct weir_sim_call *it = &sim->calls[call];
  weir_duration after_us = 0;

  if (what == WEIR_SIM_REJECTED && it->provider == 0)
    weir_outage_rejected(&sim->outage, weir_sim_since(sim));
  if (sim->scheme->answered)
    sim->scheme->answered(sim, call, what);
  if (what == WEIR_SIM_OK) {
    over(sim, call, WEIR_SIM_DONE);
  } else if (!is_again(sim, call, what, &after_us)) {
    over(sim, call, is_429(what) || what == WEIR_SIM_EXPIRED ? WEIR_SIM_FAILED : WEIR_SIM_ERROR);
  } else if (after_us == 0) {
    begin(sim, call);
  } else {
    move(it, WEIR_SIM_BEGUN);
    weir_sim_at(sim, sim->now + after_us, WEIR_SIM_AGAIN, it->instance, call, it->serial, 0);
  }
}

static void on_answer(struct weir_sim *sim, const struct weir_sim_event *event)
{
  const struct weir_sim_call *call = &sim->calls[event->a];

  if (call->serial == event->b && call->state == WEIR_SIM_SENT)
    answered(sim, event->a, (enum weir_sim_answer)event->c);
}

/* A request that is under way is given up; what waits is up to the scheme. */
static void on_deadline(struct weir_sim *sim, uint32_t call)
{
  if (sim->calls[call].state == WEIR_SIM_SENT)
    answered(sim, call, WEIR_SIM_EXPIRED);
}

/* ---- somebody else ---- */

/* Calls that each cost as much of every limit, at random instants. */
static void foreign_next(struct weir_sim *sim)
{
  const struct weir_scenario *s = sim->scenario;
  const double share = (double)s->foreign_pm / 1000;
  const double in =
      weir_draw_exponential(&sim->foreign_rng, 1e6 / (share * weir_sim_foreign_rate(sim)));
  const weir_tstamp at = sim->now + (weir_duration)in;

  if (at < WEIR_SIM_BEGIN + s->foreign_until_us)
    weir_sim_at(sim, at, WEIR_SIM_FOREIGN, 0, 0, 0, 0);
}

static void on_foreign(struct weir_sim *sim)
{
  const uint64_t second = (sim->now - WEIR_SIM_BEGIN) / WEIR_US_PER_S;
  const double tokens = weir_sim_rate(sim, true);
  struct weir_up_cost cost = {.units = {[WEIR_UP_REQUESTS] = 1}};

  if (!isinf(tokens))
    cost.units[WEIR_UP_TOTAL] = (uint64_t)(tokens / weir_sim_foreign_rate(sim));
  sim->foreign_counted++;
  if (weir_up_meter_admit(sim->meters[0], sim->now, &cost))
    sim->foreign_rejected++;
  else if (second < sim->use_seconds)
    sim->foreign_use[second]++;
  foreign_next(sim);
}

/* ---- the run ---- */

static bool has_work(const struct weir_sim *sim, uint32_t stream)
{
  for (uint32_t i = 0; i < sim->instances_count; i++)
    if (sim->instances[i].queues[stream].count > 0 || sim->instances[i].busy[stream] > 0)
      return true;
  return false;
}

/* Shares are judged while no backlog has run out. */
static bool is_contended(const struct weir_sim *sim)
{
  for (uint32_t s = 0; s < sim->workload->streams_count; s++) {
    const struct weir_scenario_stream *stream = &sim->workload->streams[s];

    if (stream->kind == WEIR_STREAM_BACKLOG && sim->now > WEIR_SIM_BEGIN + stream->start_us &&
        !has_work(sim, s))
      return false;
  }
  return true;
}

static void arrive_next(struct weir_sim *sim)
{
  if (sim->arrived < sim->load->count)
    weir_sim_at(sim, WEIR_SIM_BEGIN + sim->load->arrivals[sim->arrived].at, WEIR_SIM_CALL, 0, 0, 0,
                0);
}

static void on_call(struct weir_sim *sim)
{
  do {
    const struct weir_arrival *a = &sim->load->arrivals[sim->arrived];
    struct weir_sim_call *call = &sim->calls[sim->arrived];

    call->at = sim->now;
    call->tokens = a->tokens;
    call->estimate = a->estimate;
    call->stream = a->stream;
    if (weir_sim_deadline(sim, sim->arrived) != WEIR_NEVER)
      weir_sim_at(sim, weir_sim_deadline(sim, sim->arrived), WEIR_SIM_DEADLINE, 0, sim->arrived, 0,
                  0);
    submit(sim, sim->arrived++, a->instance);
  } while (sim->arrived < sim->load->count &&
           WEIR_SIM_BEGIN + sim->load->arrivals[sim->arrived].at <= sim->now);
  arrive_next(sim);
}

static void happen(struct weir_sim *sim, const struct weir_sim_event *event)
{
  switch (event->type) {
  case WEIR_SIM_CALL:
    on_call(sim);
    break;
  case WEIR_SIM_COUNT:
    on_count(sim, event);
    break;
  case WEIR_SIM_ANSWER:
    on_answer(sim, event);
    break;
  case WEIR_SIM_DEADLINE:
    on_deadline(sim, event->a);
    break;
  case WEIR_SIM_AGAIN:
    if (weir_sim_is_begun(sim, event->a, event->b))
      begin(sim, event->a);
    break;
  case WEIR_SIM_CRASH:
    crash(sim, &sim->scenario->crashes[event->a]);
    break;
  case WEIR_SIM_BOOT:
    boot(sim, event->instance);
    break;
  case WEIR_SIM_FOREIGN:
    on_foreign(sim);
    break;
  default:
    sim->scheme->event(sim, event);
  }
}

static struct weir_up_meter *meter_make(const struct weir_sim *sim,
                                        const struct weir_scenario_set *set, struct weir_rng *rng)
{
  struct weir_up_limit limits[WEIR_SCENARIO_LIMITS_MAX];
  struct weir_up_meter *meter;

  for (uint32_t i = 0; i < set->limits_count; i++) {
    const struct weir_scenario_limit *from = &set->limits[i];

    limits[i] = (struct weir_up_limit){
        .dimension = from->is_tokens ? WEIR_UP_TOTAL : WEIR_UP_REQUESTS,
        .method = from->is_day ? WEIR_UP_FIXED : sim->method,
        .is_day = from->is_day,
        .amount = from->amount,
        .window_us = from->window_us,
        .burst = from->amount * sim->scenario->burst_pm / 1000,
    };
    /* Seconds are kept for the requests of a minute only. */
    if (sim->method == WEIR_UP_SUB && (from->is_tokens || from->window_us != WEIR_US_PER_MIN))
      limits[i].method = WEIR_UP_LOG;
    if (limits[i].burst == 0)
      limits[i].burst = 1;
    /* The run begins in the middle of a day. */
    limits[i].phase_us = from->is_day ? from->window_us / 2 : weir_rng_below(rng, from->window_us);
  }
  meter =
      weir_up_meter_new(limits, set->limits_count, sim->scenario->is_rejected_counted, sim->now);
  if (!meter)
    abort();
  return meter;
}

static void workers_share(struct weir_sim *sim)
{
  for (uint32_t s = 0; s < sim->workload->streams_count; s++) {
    const struct weir_scenario_stream *stream = &sim->workload->streams[s];

    sim->workers_max[s] = UINT32_MAX;
    if (stream->kind == WEIR_STREAM_BACKLOG)
      sim->workers_max[s] = stream->workers > sim->instances_count
                                ? (uint32_t)stream->workers / sim->instances_count
                                : 1;
  }
}

static void open(struct weir_sim *sim, uint64_t seed, weir_tstamp end)
{
  struct weir_rng rng;

  weir_rng_init(&rng, seed);
  weir_rng_init(&sim->net_rng, weir_rng_split(&rng));
  weir_rng_init(&sim->provider_rng, weir_rng_split(&rng));
  weir_rng_init(&sim->host_rng, weir_rng_split(&rng));
  weir_rng_init(&sim->scheme_rng, weir_rng_split(&rng));
  weir_rng_init(&sim->foreign_rng, weir_rng_split(&rng));
  sim->now = WEIR_SIM_BEGIN;
  sim->meters[0] = meter_make(sim, sim->set, &rng);
  weir_rng_init(&sim->fault_rng, weir_rng_split(&rng));
  weir_slope_open(&sim->slope, &sim->scenario->slope,
                  sim->now -
                      (sim->scenario->slope.least ? weir_rng_below(&rng, WEIR_US_PER_MIN) : 0));
  if (sim->scenario->fallback.limits_count > 0)
    sim->meters[1] = meter_make(sim, &sim->scenario->fallback, &rng);
  weir_outage_open(&sim->outage, end - WEIR_SIM_BEGIN);
  sim->calls = weir_sim_alloc(sim->load->count, sizeof(*sim->calls));
  sim->instances = weir_sim_alloc(sim->instances_count, sizeof(*sim->instances));
  sim->use_seconds = (uint32_t)((end - WEIR_SIM_BEGIN) / WEIR_US_PER_S) + 1;
  sim->use = weir_sim_alloc(sim->use_seconds, sizeof(*sim->use));
  sim->foreign_use = weir_sim_alloc(sim->use_seconds, sizeof(*sim->foreign_use));
  sim->scheme = weir_sim_scheme_of(sim->scheme_name);
  sim->is_contended = sim->workload->has_streams;
  workers_share(sim);
  if (sim->scheme->open)
    sim->scheme->open(sim);
  for (uint32_t i = 0; i < sim->instances_count; i++)
    boot(sim, i);
  for (uint32_t i = 0; i < sim->scenario->crashes_count; i++)
    weir_sim_at(sim, WEIR_SIM_BEGIN + sim->scenario->crashes[i].at_us, WEIR_SIM_CRASH, 0, i, 0, 0);
  arrive_next(sim);
  if (sim->scenario->foreign_pm > 0) {
    sim->now = WEIR_SIM_BEGIN + sim->scenario->foreign_from_us;
    foreign_next(sim);
    sim->now = WEIR_SIM_BEGIN;
  }
}

void weir_sim_run(struct weir_sim *sim, uint64_t seed)
{
  const uint32_t count = sim->load->count;
  const weir_tstamp end =
      WEIR_SIM_BEGIN + (count ? sim->load->arrivals[count - 1].at : 0) + sim->scenario->drain_us;
  weir_tstamp judge_at = WEIR_SIM_BEGIN;

  open(sim, seed, end);
  while (sim->events.count > 0 && sim->events.heap[0].at <= end && sim->settled < count) {
    const struct weir_sim_event event = weir_events_take(&sim->events);

    sim->now = event.at;
    sim->events_count++;
    happen(sim, &event);
    if (sim->is_contended && sim->now >= judge_at) {
      sim->is_contended = is_contended(sim);
      judge_at = sim->now + WEIR_US_PER_S;
    }
  }
  if (sim->settled < count)
    sim->last_at = sim->now = end;
}

void weir_sim_fini(struct weir_sim *sim)
{
  if (sim->scheme && sim->scheme->close)
    sim->scheme->close(sim);
  weir_up_meter_free(sim->meters[0]);
  weir_up_meter_free(sim->meters[1]);
  weir_outage_fini(&sim->outage);
  weir_events_fini(&sim->events);
  free(sim->foreign_use);
  free(sim->use);
  free(sim->instances);
  free(sim->calls);
}
