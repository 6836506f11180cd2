/* world_judge.c - the provider: what arrives there, what it answers, and what must hold of it. */
#include "world_state.h"

#include <stdlib.h>
#include <string.h>

/* Service resumes: after the faults the longest freeze (two minutes), then what a rejection or a
 * restart closed, is over long before the calm end; then a call arrives at least this often. */
#define SILENCE_MAX_US (30 * SECOND)

/* ---- the meters ---- */

/* What the pool's profile promises of |limit|, as methods of a provider but for counters; returns
 * how many. */
static uint32_t promised(struct world *w, const struct weir_limit_config *limit, uint64_t call_max,
                         struct weir_up_limit *ret_limits)
{
  const bool is_requests = limit->dimension == WEIR_DIMENSION_REQUESTS;
  const uint64_t assumed = limit->amount / 20;
  const enum weir_profile profile = w->pool.rules.profile;
  struct weir_up_limit of = {.dimension = is_requests ? WEIR_UP_REQUESTS : WEIR_UP_INPUT,
                             .amount = limit->amount,
                             .window_us = limit->window_us,
                             .burst = assumed > call_max ? assumed : call_max};
  uint32_t count = 0;

  /* A call that is larger than the assumed bucket must fit the provider's beside islands. */
  if (w->report->has_islands && of.burst < call_max + assumed * w->pool.island.share_pm / 1000 + 1)
    of.burst = call_max + assumed * w->pool.island.share_pm / 1000 + 1;
  of.method = WEIR_UP_LOG;
  ret_limits[count++] = of;
  for (int i = 0; i < 2; i++) {
    of.phase_us = world_draw(w, limit->window_us);
    of.method = WEIR_UP_FIXED;
    ret_limits[count++] = of;
  }
  of.phase_us = world_draw(w, SECOND);
  of.method = WEIR_UP_SUB;
  if (profile >= WEIR_PROFILE_PACED && is_requests)
    ret_limits[count++] = of;
  of.phase_us = 0;
  of.method = WEIR_UP_BUCKET;
  if (profile >= WEIR_PROFILE_BUCKET)
    ret_limits[count++] = of;
  return count;
}

/* Counters of phases all over the window: few of them would not notice a burst too many. */
static uint32_t counters(struct world *w, const struct weir_limit_config *limit,
                         struct weir_up_limit *ret_limits)
{
  const uint64_t part = limit->window_us / WEIR_UP_LIMITS_MAX;
  const bool is_requests = limit->dimension == WEIR_DIMENSION_REQUESTS;

  if (w->pool.rules.profile < WEIR_PROFILE_UNIVERSAL)
    return 0;
  for (uint32_t i = 0; i < WEIR_UP_LIMITS_MAX; i++)
    ret_limits[i] =
        (struct weir_up_limit){.dimension = is_requests ? WEIR_UP_REQUESTS : WEIR_UP_INPUT,
                               .method = WEIR_UP_COUNTER,
                               .amount = limit->amount,
                               .window_us = limit->window_us,
                               .phase_us = i * part + world_draw(w, part)};
  return WEIR_UP_LIMITS_MAX;
}

static void meters_init(struct world *w)
{
  static const uint64_t call_max[2] = {1, RESERVE_MAX};

  for (int i = 0; i < METERS_MAX; i++) {
    const struct weir_limit_config *limit = &w->pool.limits[i % 2];
    struct weir_up_limit limits[WEIR_UP_LIMITS_MAX];
    const uint32_t count =
        i < 2 ? promised(w, limit, call_max[i], limits) : counters(w, limit, limits);

    w->meters[i] = weir_up_meter_new(limits, count, false, w->now);
    if (!w->meters[i])
      abort();
  }
}

static void meters_ask(struct world *w, uint64_t tokens)
{
  const struct weir_up_cost cost = {.units = {[WEIR_UP_REQUESTS] = 1, [WEIR_UP_INPUT] = tokens}};

  for (int i = 0; i < METERS_MAX && w->meters[i]; i++) {
    uint32_t refused = weir_up_meter_admit(w->meters[i], w->now, &cost);

    for (uint32_t k = 0; refused && k < weir_up_meter_count(w->meters[i]); k++) {
      const struct weir_up_limit *limit = weir_up_meter_limit(w->meters[i], k);

      if (refused & (UINT32_C(1) << k))
        world_violation(w, "profile %s: a %s of %llu %s refuses a call of %llu tokens",
                        weir_profile_name(w->pool.rules.profile),
                        weir_up_method_name(limit->method), (unsigned long long)limit->amount,
                        weir_up_dimension_name(limit->dimension), (unsigned long long)tokens);
    }
  }
}

/* ---- the windows ---- */

void judge_init(struct world *w)
{
  struct window *windows = w->windows;

  windows[OF_POOL].is_on = true;
  windows[OF_POOL].us = w->pool.limits[0].window_us;
  windows[OF_POOL].requests_max = w->pool.limits[0].amount;
  windows[OF_POOL].tokens_max = w->pool.limits[1].amount;
  for (int i = 0; i < 2; i++) {
    windows[OF_PROJECT + i].us = w->budgets[i].limits[0].window_us;
    windows[OF_PROJECT + i].requests_max = UINT64_MAX;
    windows[OF_PROJECT + i].tokens_max = w->budgets[i].limits[0].amount;
  }
  w->report->is_metered =
      !w->report->enabled[WEIR_FAULT_LIMIT_CHANGE] && !w->report->enabled[WEIR_FAULT_POOL_MOVE];
  /* Without a store the books of a day end with the coordinator, and always with the pool. A life
   * that begins by a wrong clock is lost. */
  w->report->is_day_judged = w->day_max > 0 && !w->report->enabled[WEIR_FAULT_POOL_MOVE] &&
                             (!w->report->enabled[WEIR_FAULT_COORD_CRASH] ||
                              (w->store.is_on && !w->report->enabled[WEIR_FAULT_CLOCK_STEP]));
  if (w->report->is_metered)
    meters_init(w);
}

void judge_end(struct world *w)
{
  for (int i = 0; i < METERS_MAX; i++)
    weir_up_meter_free(w->meters[i]);
}

static bool is_in(int of, const struct arrival *arrival)
{
  return of != OF_TENANT || arrival->tenant == 0;
}

static void window_slide(struct world *w, int of)
{
  struct window *window = &w->windows[of];

  while (window->first < w->arrivals_count &&
         w->arrivals[window->first].at + window->us <= w->now) {
    const struct arrival *arrival = &w->arrivals[window->first++];

    if (is_in(of, arrival)) {
      window->requests--;
      window->tokens -= arrival->tokens;
    }
  }
}

static void window_ask(struct world *w, int of, const struct arrival *arrival)
{
  static const char *const names[WINDOWS_MAX] = {"pool", "project", "tenant"};
  struct window *window = &w->windows[of];

  if (is_in(of, arrival)) {
    window->requests++;
    window->tokens += arrival->tokens;
  }
  window_slide(w, of);
  if (window->is_on && window->requests > window->requests_max)
    world_violation(w, "%s: %llu requests in a window of %llu", names[of],
                    (unsigned long long)window->requests, (unsigned long long)window->requests_max);
  if (window->is_on && window->tokens > window->tokens_max)
    world_violation(w, "%s: %llu tokens in a window of %llu", names[of],
                    (unsigned long long)window->tokens, (unsigned long long)window->tokens_max);
}

/* ---- calls ---- */

/* The provider's day follows the true clock, but for its skew. */
static void day_ask(struct world *w, uint64_t tokens)
{
  const bool is_later = (int64_t)w->now + w->provider_skew_us >= (int64_t)w->midnight_at;

  w->day_used[is_later] += tokens;
  if (w->report->is_day_judged && w->day_used[is_later] > w->day_max)
    world_violation(w, "%llu tokens %s midnight, of %llu a day",
                    (unsigned long long)w->day_used[is_later], is_later ? "after" : "before",
                    (unsigned long long)w->day_max);
}

/* A rejection out of nothing: of a minute, sometimes of the day; sometimes it says more. */
static void reject(struct world *w, struct weir_msg_settle *said)
{
  const bool is_requests = world_draw(w, 2), is_day = w->day_max > 0 && world_draw(w, 16) == 0;
  const uint64_t amount = w->pool.limits[is_requests ? 0 : 1].amount;

  said->http = 429;
  said->outcome =
      is_requests ? WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS : WEIR_OUTCOME_QUOTA_MINUTE_TOKENS;
  if (is_day)
    said->outcome = WEIR_OUTCOME_QUOTA_DAY_TOKENS;
  if (world_draw(w, 2))
    said->retry_after_us = 1 + world_draw(w, world_draw(w, 8) ? 10 * SECOND : 3 * MINUTE);
  if (!is_day && world_draw(w, 4) == 0) {
    said->stated_limit = amount / 2 + world_draw(w, amount);
    if (!is_requests && said->stated_limit < RESERVE_MAX)
      said->stated_limit = RESERVE_MAX;
    if (world_draw(w, 2))
      said->stated_used = 1 + world_draw(w, said->stated_limit);
  }
}

/* Use grows too fast: the rest of a minute is the wait, if one is told. */
static void reject_growth(struct world *w, struct weir_msg_settle *said)
{
  w->report->ramp_rejections++;
  said->http = 429;
  said->outcome = WEIR_OUTCOME_RAMP_LIMIT;
  if (world_draw(w, 2))
    said->retry_after_us = 1 + world_draw(w, MINUTE);
}

/* Refuses at once, or breaks off, or is not heard of until the caller gives up: not where calls in
 * flight are limited, because a coordinator that starts anew does not know of such long ones. */
static weir_duration fail(struct world *w, struct weir_msg_settle *said)
{
  if (w->outage_kind == 0) {
    said->http = 503;
    said->outcome = WEIR_OUTCOME_OVERLOADED;
    if (world_draw(w, 8) == 0)
      said->retry_after_us = 1 + world_draw(w, 20 * SECOND);
    return 20 * MS + world_draw(w, 200 * MS);
  }
  if (w->outage_kind == 1 || w->flight_max > 0) {
    said->outcome = WEIR_OUTCOME_NETWORK;
    return world_draw(w, SECOND);
  }
  said->outcome = WEIR_OUTCOME_DEADLINE;
  return 10 * SECOND + world_draw(w, 20 * SECOND);
}

static void answer(struct world *w, const struct happening *it)
{
  struct happening answer = {.type = HAPPENING_ANSWER, .shim = it->shim, .life = it->life};
  struct weir_msg_settle *said = &answer.msg.settle;
  weir_duration took = 200 * MS + world_draw(w, 3 * SECOND);

  answer.cookie = it->cookie;
  /* Each may freeze the pool for minutes: what is left of them when calm begins is forgotten. */
  if (w->rejects_next > 0 && w->now < w->calm_at) {
    w->rejects_next--;
    took = 20 * MS + world_draw(w, 200 * MS);
    reject(w, said);
  } else if (w->ramps_next > 0 && w->now < w->calm_at) {
    w->ramps_next--;
    took = 20 * MS + world_draw(w, 200 * MS);
    reject_growth(w, said);
  } else if (w->now < w->outage_until) {
    took = fail(w, said);
  } else if (w->errors_next > 0) {
    w->errors_next--;
    said->outcome = WEIR_OUTCOME_SERVER_ERROR;
    said->http = 500;
  } else {
    said->outcome = WEIR_OUTCOME_OK;
    said->http = 200;
    said->has_usage = true;
  }
  world_expect(w, w->now + took, &answer);
}

void judge_arrival(struct world *w, const struct happening *it)
{
  const struct weir_limit_config *limits = w->pool.limits;
  struct arrival *arrival = &w->arrivals[w->arrivals_count];

  if (w->arrivals_count++ == ARRIVALS_MAX)
    abort();
  *arrival = (struct arrival){w->now, it->call, it->tenant};
  /* After a cut the old amount rules for one window: the provider cannot take back what it had
   * admitted, nor can we. */
  if (w->now >= w->limits_fall_at) {
    w->windows[OF_POOL].requests_max = limits[0].amount;
    w->windows[OF_POOL].tokens_max = limits[1].amount;
  }
  for (int of = 0; of < WINDOWS_MAX; of++)
    window_ask(w, of, arrival);
  meters_ask(w, arrival->tokens);
  day_ask(w, arrival->tokens);
  /* A lease is open until its call has ended, so no more are under way than leases may be open. */
  if (++w->flight > w->flight_max && w->flight_max > 0)
    world_violation(w, "%llu calls in flight of %llu", (unsigned long long)w->flight,
                    (unsigned long long)w->flight_max);
  w->report->arrivals++;
  answer(w, it);
}

/* ---- use ---- */

/* The use is that of the sliding window at every instant: a saturated window repeats its bursts, so
 * what falls into fixed windows depends on where they begin. */
void judge_time(struct world *w, weir_tstamp at)
{
  for (int of = 0; of < WINDOWS_MAX; of++) {
    struct window *window = &w->windows[of];
    const weir_tstamp judged_from = w->end - JUDGED_WINDOWS * window->us;

    if (at > judged_from) {
      weir_duration passed = at - (w->now > judged_from ? w->now : judged_from);

      window_slide(w, of);
      window->requests_us += passed * window->requests;
      window->tokens_us += passed * window->tokens;
    }
  }
  w->now = at;
}

static uint64_t used_pm(const struct world *w)
{
  const struct window *pool = &w->windows[OF_POOL], *project = &w->windows[OF_PROJECT];
  uint64_t most = pool->requests_us * 1000 / (JUDGED_WINDOWS * pool->us) / w->pool.limits[0].amount;
  uint64_t tokens = pool->tokens_us * 1000 / (JUDGED_WINDOWS * pool->us) / w->pool.limits[1].amount;

  most = tokens > most ? tokens : most;
  tokens = project->tokens_us * 1000 / (JUDGED_WINDOWS * project->us) / project->tokens_max;
  return project->is_on && tokens > most ? tokens : most;
}

/* When midnight has passed by every clock, the new day is used: unless its limit was closed by what
 * the provider said. */
static void judge_new_day(struct world *w)
{
  const bool is_known =
      !w->report->enabled[WEIR_FAULT_CLOCK_STEP] && !w->report->enabled[WEIR_FAULT_REJECT];

  if (w->report->is_day_judged && is_known && w->flight_max == 0 && w->day_used[1] == 0 &&
      w->end - w->midnight_at >= MINUTE && w->end > w->midnight_at)
    world_violation(w, "nothing arrived after midnight");
}

/* Limits by the day rightly bring everything to a halt, and leases of dead instances stay in flight
 * for long. */
static void judge_liveness(struct world *w)
{
  const weir_tstamp last = w->arrivals_count ? w->arrivals[w->arrivals_count - 1].at : w->began;
  weir_duration most = SILENCE_MAX_US;

  for (int of = 0; of < WINDOWS_MAX; of++) {
    if (w->windows[of].is_on && SILENCE_MAX_US + 2 * w->windows[of].us > most)
      most = SILENCE_MAX_US + 2 * w->windows[of].us;
  }
  if (w->day_max == 0 && w->flight_max == 0 && w->end - last > most &&
      w->end - w->calm_at >= 5 * MINUTE)
    world_violation(w, "nothing arrived in the last %llu us", (unsigned long long)(w->end - last));
}

void judge_report(struct world *w)
{
  const struct window *project = &w->windows[OF_PROJECT];
  uint64_t concurrency = 0;

  judge_liveness(w);
  judge_new_day(w);
  w->report->digest = weir_coord_digest(w->coord);
  for (uint32_t i = 0; i < w->shims_count; i++) {
    w->report->digest = w->report->digest * 31 + weir_client_digest(w->shims[i].client);
    w->report->unserved += w->shims[i].waiting;
    concurrency += w->shims[i].concurrency;
  }
  /* Judged with a backlog (of many calls far more wait than are on their way) of calls that are
   * small beside the limit: a head of most of a window's tokens rightly lets the window run empty.
   * What waits for another limit, or what a rejection cut, is no backlog of this one. */
  w->report->has_backlog =
      concurrency >= 40 && w->report->unserved * 4 >= concurrency &&
      w->pool.limits[1].amount >= UINT64_C(8) * RESERVE_MAX &&
      (!project->is_on || project->tokens_max >= UINT64_C(8) * RESERVE_MAX) &&
      (!project->is_on || w->budgets[0].rules.profile == WEIR_PROFILE_WINDOW) &&
      !w->report->has_islands && !w->windows[OF_TENANT].is_on && w->day_max == 0 &&
      w->flight_max == 0 && !w->report->enabled[WEIR_FAULT_REJECT];
  w->report->used_pm = used_pm(w);
  w->report->is_stored = w->store.is_on;
  w->report->profile = w->pool.rules.profile;
  world_trace(
      w, "end: profile %s, ttl %llu us, window %llu us, limits %llu and %llu, used %llu pm%s",
      weir_profile_name(w->pool.rules.profile), (unsigned long long)w->pool.ttl_us,
      (unsigned long long)w->pool.limits[0].window_us, (unsigned long long)w->pool.limits[0].amount,
      (unsigned long long)w->pool.limits[1].amount, (unsigned long long)w->report->used_pm,
      w->report->has_backlog ? ", with a backlog" : "");
}
