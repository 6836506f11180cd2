/* wallet.c - leases ahead of need: how many are wanted, how large, and when they go back.
 *
 * A lease that is held is missing elsewhere, so there are never more than calls come in the time
 * for which one is held, and none when calls are rarer or others wait. What is held is used oldest
 * first, and it is asked for again when half of it is gone: one frame for half a wallet.
 */
#include "client_machine.h"

#include <assert.h>
#include <string.h>

/* Averages are plain means of their first values, and then forget with this weight. */
#define WEIGHT 16

/* So many values make an average that is worth something. */
#define VALUES_MIN 4

/* A lease is asked as large as the mean and so many mean deviations. */
#define DEVIATIONS 2

/* One call moves the mean as if it were twice the size of a lease, and some tokens, at most. */
#define OUTLIER_TOKENS 64

/* A breaker that probes has heard of its probes by then, as it is configured where nobody says. */
#define PROBING_US (30 * WEIR_US_PER_S)

/* ---- what calls are like ---- */

/* How long a lease may be held; 0: not at all. */
static weir_duration hold_us(const struct weir_wallet *w)
{
  if (w->ttl_us < WEIR_CLIENT_HOLD_TTL_MIN_US || w->is_reported)
    return 0;
  return w->ttl_us / 2 < WEIR_CLIENT_HOLD_MAX_US ? w->ttl_us / 2 : WEIR_CLIENT_HOLD_MAX_US;
}

/* When calls count as having ceased. */
static weir_tstamp idle_at(const struct weir_wallet *w)
{
  const weir_duration gaps = weir_time_add(w->gap_us, w->gap_us) * 2;
  const weir_duration hold = hold_us(w);

  return weir_time_add(w->asked_at, gaps > hold ? gaps : hold);
}

static uint64_t tokens_of(const struct weir_wallet_cost *cost)
{
  const uint64_t tokens = (cost->mean_8 + DEVIATIONS * cost->deviation_8 + 7) / 8;

  return tokens < WEIR_TOKENS_MAX ? tokens : WEIR_TOKENS_MAX;
}

static uint64_t approach(uint64_t from, uint64_t to, uint32_t weight)
{
  return to > from ? from + (to - from) / weight : from - (from - to) / weight;
}

static void cost_observe(struct weir_wallet_cost *cost, uint64_t tokens, uint32_t weight)
{
  const uint64_t most = 2 * tokens_of(cost) + OUTLIER_TOKENS;
  uint64_t tokens_8 = 8 * tokens;

  if (weight == 1) {
    *cost = (struct weir_wallet_cost){.mean_8 = tokens_8};
    return;
  }
  if (weight > VALUES_MIN && tokens > most)
    tokens_8 = 8 * most;
  cost->deviation_8 =
      approach(cost->deviation_8,
               tokens_8 > cost->mean_8 ? tokens_8 - cost->mean_8 : cost->mean_8 - tokens_8, weight);
  cost->mean_8 = approach(cost->mean_8, tokens_8, weight);
}

static void gap_observe(struct weir_wallet *w, weir_duration gap)
{
  const weir_duration hold = hold_us(w) ? hold_us(w) : WEIR_CLIENT_HOLD_MAX_US;

  /* After a pause it is another flow of calls. */
  if (w->gaps > 0 && gap > 2 * hold && gap / 8 > w->gap_us) {
    w->gaps = 0;
    return;
  }
  w->gaps += w->gaps < WEIGHT;
  w->gap_us = approach(w->gap_us, gap, w->gaps);
}

/* ---- wallets ---- */

static bool is_for(const struct weir_wallet *w, const struct weir_msg_ask *ask)
{
  return strcmp(w->model, ask->model) == 0 && strcmp(w->tenant, ask->tenant) == 0;
}

static struct weir_wallet *find(struct weir_client *c, const struct weir_msg_ask *ask)
{
  if (ask->class != WEIR_CLASS_ONLINE || ask->requests != 1)
    return NULL;
  for (uint32_t i = 0; i < c->wallets_count; i++) {
    if (is_for(&c->wallets[i], ask))
      return &c->wallets[i];
  }
  return NULL;
}

static void return_held(struct weir_client *c, struct weir_wallet *w)
{
  while (w->held.count > 0)
    weir_call_return(c, &c->calls[w->held.first]);
}

static void withdraw_asked(struct weir_client *c, const struct weir_wallet *w)
{
  uint32_t next;

  for (uint32_t i = c->asked.first; w->asked > 0 && i != WEIR_CLIENT_NONE; i = next) {
    struct weir_call *call = &c->calls[i];

    next = call->next;
    if (call->ask.is_standing && &c->wallets[call->wallet] == w)
      weir_call_return(c, call);
  }
}

static struct weir_wallet *wallet_new(struct weir_client *c, const struct weir_msg_ask *ask)
{
  struct weir_wallet *w = &c->wallets[0];

  if (c->wallets_count < WEIR_CLIENT_WALLETS) {
    w = &c->wallets[c->wallets_count++];
  } else {
    for (uint32_t i = 1; i < WEIR_CLIENT_WALLETS; i++)
      w = c->wallets[i].asked_at < w->asked_at ? &c->wallets[i] : w;
    return_held(c, w);
    withdraw_asked(c, w);
  }
  memset(w, 0, sizeof(*w));
  w->held = (struct weir_call_list){WEIR_CLIENT_NONE, WEIR_CLIENT_NONE, WEIR_CLIENT_NONE, 0};
  memcpy(w->model, ask->model, sizeof(w->model));
  memcpy(w->tenant, ask->tenant, sizeof(w->tenant));
  return w;
}

struct weir_wallet *weir_wallet_observe(struct weir_client *c, const struct weir_msg_ask *ask,
                                        weir_tstamp now)
{
  struct weir_wallet *w;

  if (c->config.wallet_max == 0 || ask->class != WEIR_CLASS_ONLINE || ask->requests != 1 ||
      ask->attempts > 0)
    return NULL;
  w = find(c, ask);
  if (w)
    gap_observe(w, now - w->asked_at);
  else
    w = wallet_new(c, ask);
  w->asked_at = now;
  w->costs += w->costs < WEIGHT;
  cost_observe(&w->input, ask->input_tokens, w->costs);
  cost_observe(&w->output, ask->output_tokens, w->costs);
  return w;
}

struct weir_call *weir_wallet_pick(struct weir_client *c, const struct weir_wallet *wallet,
                                   const struct weir_msg_ask *ask, weir_tstamp now)
{
  for (uint32_t i = wallet->held.first; i != WEIR_CLIENT_NONE; i = c->calls[i].next) {
    struct weir_call *call = &c->calls[i];

    if (call->start_at <= now && now < call->deadline &&
        ask->input_tokens <= call->ask.input_tokens &&
        ask->output_tokens <= call->ask.output_tokens && weir_call_may_use(ask, &call->grant))
      return call;
  }
  return NULL;
}

/* ---- breakers ---- */

static uint32_t broken_find(const struct weir_client *c, const char *pool)
{
  uint32_t i = 0;

  while (i < c->broken_count && strcmp(c->broken[i].pool, pool) != 0)
    i++;
  return i;
}

bool weir_wallet_is_broken(const struct weir_client *c, const char *pool)
{
  return broken_find(c, pool) < c->broken_count;
}

weir_tstamp weir_wallet_broken_until(const struct weir_client *c, const char *pool)
{
  const uint32_t place = broken_find(c, pool);

  return place < c->broken_count ? c->broken[place].until : 0;
}

static struct weir_broken *broken_add(struct weir_client *c)
{
  if (c->broken_count < WEIR_CLIENT_BROKEN_MAX)
    return &c->broken[c->broken_count++];
  return &c->broken[c->broken_next++ % WEIR_CLIENT_BROKEN_MAX];
}

/* How long nothing goes, whatever else is told meanwhile. */
static weir_duration broken_us(const struct weir_msg_state *state)
{
  const weir_duration us = state->breaker == WEIR_BREAKER_OPEN        ? state->open_us
                           : state->breaker == WEIR_BREAKER_HALF_OPEN ? PROBING_US
                                                                      : 0;

  return us > state->closed_us ? us : state->closed_us;
}

void weir_wallet_forget(struct weir_client *c)
{
  c->broken_count = c->broken_next = 0;
}

/* A route's wallet may hold leases of several pools. */
static void return_of(struct weir_client *c, struct weir_wallet *w, const char *pool)
{
  uint32_t next;

  for (uint32_t i = w->held.first; i != WEIR_CLIENT_NONE; i = next) {
    next = c->calls[i].next;
    if (strcmp(c->calls[i].grant.pool, pool) == 0)
      weir_call_return(c, &c->calls[i]);
  }
}

void weir_wallet_state(struct weir_client *c, const struct weir_msg_state *state, weir_tstamp now)
{
  const uint32_t place = broken_find(c, state->pool);
  struct weir_broken *broken;

  if (state->pool[0] == '\0' || state->breaker == 0)
    return;
  if (state->breaker == WEIR_BREAKER_CLOSED && state->closed_us == 0) {
    if (place < c->broken_count)
      c->broken[place] = c->broken[--c->broken_count];
    return;
  }
  broken = place < c->broken_count ? &c->broken[place] : broken_add(c);
  memcpy(broken->pool, state->pool, sizeof(broken->pool));
  broken->until =
      broken_us(state) == WEIR_DURATION_MAX ? WEIR_NEVER : weir_time_add(now, broken_us(state));
  for (uint32_t i = 0; i < c->wallets_count; i++) {
    struct weir_wallet *w = &c->wallets[i];

    return_of(c, w, state->pool);
    if (strcmp(w->pool, state->pool) != 0)
      continue;
    w->wanted = 0;
    withdraw_asked(c, w);
  }
}

/* ---- how many ---- */

static uint32_t target(const struct weir_client *c, const struct weir_wallet *w, weir_tstamp now)
{
  const weir_duration hold = hold_us(w);
  uint64_t count = c->config.wallet_max;

  if (c->state != WEIR_CLIENT_OPEN || now < w->quiet_until || w->gaps < VALUES_MIN ||
      w->gap_us > hold || weir_wallet_is_broken(c, w->pool))
    return 0;
  /* Rounded down: the last one would often go back unused. */
  if (w->gap_us > 0 && hold / w->gap_us < count)
    count = hold / w->gap_us;
  return w->is_probing ? 1 : (uint32_t)count;
}

void weir_wallet_plan(struct weir_client *c, struct weir_wallet *wallet, weir_tstamp now)
{
  const uint32_t count = target(c, wallet, now), have = wallet->held.count + wallet->asked;

  wallet->wanted = 2 * have <= count ? count - have : 0;
}

bool weir_wallet_is_ready(const struct weir_client *c)
{
  if (c->standing_count >= WEIR_CLIENT_WALLETS * c->config.wallet_max ||
      c->flying[WEIR_CLASS_ONLINE] + c->flying[WEIR_CLASS_BATCH] >=
          WEIR_CLIENT_STANDING_CREDIT(c->credit))
    return false;
  for (uint32_t i = 0; i < c->wallets_count; i++) {
    if (c->wallets[i].wanted > 0)
      return true;
  }
  return false;
}

bool weir_wallet_take_up(struct weir_client *c, weir_tstamp now)
{
  if (!weir_wallet_is_ready(c))
    return false;
  for (uint32_t i = 0; i < c->wallets_count; i++) {
    struct weir_wallet *w = &c->wallets[i];
    struct weir_msg_ask ask = {.class = WEIR_CLASS_ONLINE, .requests = 1, .is_standing = true};

    /* It was wanted earlier; there may have been no room for it since. */
    if (w->wanted > 0 && (target(c, w, now) == 0 || now >= idle_at(w)))
      w->wanted = 0;
    if (w->wanted == 0)
      continue;
    memcpy(ask.model, w->model, sizeof(ask.model));
    memcpy(ask.tenant, w->tenant, sizeof(ask.tenant));
    ask.input_tokens = tokens_of(&w->input);
    ask.output_tokens = tokens_of(&w->output);
    w->wanted--;
    weir_call_stand(c, i, &ask, weir_time_add(now, w->ttl_us));
    return true;
  }
  return false;
}

/* ---- what is heard ---- */

static void keep(struct weir_client *c, struct weir_call *call, const struct weir_wallet *w,
                 weir_tstamp now)
{
  const weir_tstamp idle = idle_at(w);

  if (now >= call->deadline || now >= idle || weir_wallet_is_broken(c, call->grant.pool))
    weir_call_return(c, call);
  else
    weir_call_keep(c, call, call->deadline < idle ? call->deadline : idle);
}

void weir_wallet_granted(struct weir_client *c, struct weir_call *call, weir_tstamp now)
{
  struct weir_wallet *w = call->ask.is_standing ? &c->wallets[call->wallet] : find(c, &call->ask);

  if (!w)
    return;
  memcpy(w->pool, call->grant.pool, sizeof(w->pool));
  w->ttl_us = call->grant.ttl_us;
  w->is_reported = call->grant.is_reported;
  if (!call->ask.is_standing)
    return;
  w->is_probing = false;
  w->quiet_us = 0;
  /* A call must have time enough to write its request. */
  call->deadline = weir_time_sub(call->expires_at, w->ttl_us / 4 + 1);
  keep(c, call, w, now);
}

void weir_wallet_busy(struct weir_client *c, const struct weir_call *call, weir_tstamp now)
{
  struct weir_wallet *w = call->ask.is_standing ? &c->wallets[call->wallet] : find(c, &call->ask);

  if (!w)
    return;
  w->wanted = 0;
  if (now < w->quiet_until)
    return;
  w->quiet_us = w->quiet_us ? 2 * w->quiet_us : WEIR_CLIENT_QUIET_MIN_US;
  if (w->quiet_us > WEIR_CLIENT_QUIET_MAX_US)
    w->quiet_us = WEIR_CLIENT_QUIET_MAX_US;
  w->quiet_until = weir_time_add(now, w->quiet_us + weir_rng_below(&c->rng, w->quiet_us));
  w->is_probing = true;
}

void weir_wallet_rejected(struct weir_client *c, const struct weir_call *call, weir_tstamp now)
{
  struct weir_wallet *w = find(c, &call->ask);

  if (!w)
    return;
  weir_wallet_busy(c, call, now);
  return_held(c, w);
}

void weir_wallet_due(struct weir_client *c, struct weir_call *call, weir_tstamp now)
{
  if (call->state == WEIR_CALL_ASKED)
    weir_call_return(c, call); /* the answer was lost; a grant would be over by now */
  else
    keep(c, call, &c->wallets[call->wallet], now);
}

void weir_wallet_withdraw(struct weir_client *c)
{
  for (uint32_t i = 0; i < c->wallets_count; i++) {
    c->wallets[i].wanted = 0;
    withdraw_asked(c, &c->wallets[i]);
  }
}

/* ---- for tests ---- */

static uint32_t check_held(const struct weir_client *c, uint32_t wallet)
{
  uint32_t prev = WEIR_CLIENT_NONE, count = 0;

  for (uint32_t i = c->wallets[wallet].held.first; i != WEIR_CLIENT_NONE; i = c->calls[i].next) {
    const struct weir_call *call = &c->calls[i];

    assert(call->state == WEIR_CALL_STANDING && call->ask.is_standing && call->wallet == wallet);
    assert(call->prev == prev && call->deadline < call->expires_at);
    assert(!weir_wallet_is_broken(c, call->grant.pool));
    prev = i;
    count++;
  }
  assert(c->wallets[wallet].held.last == prev && c->wallets[wallet].held.count == count);
  return count;
}

static void check_wallet(const struct weir_client *c, uint32_t wallet, uint32_t asked)
{
  const struct weir_wallet *w = &c->wallets[wallet];

  assert(w->asked == asked);
  assert(wallet < c->wallets_count || w->asked + w->held.count == 0);
  assert(w->held.count + w->asked + w->wanted <= c->config.wallet_max);
  assert(c->state == WEIR_CLIENT_OPEN || w->asked + w->wanted == 0);
}

void weir_wallet_check(const struct weir_client *c)
{
  uint32_t states[WEIR_CALL_MAX] = {0}, held = 0, asked[WEIR_CLIENT_WALLETS] = {0};

  for (uint32_t i = 0; i < c->calls_fresh; i++) {
    const struct weir_call *call = &c->calls[i];

    if (call->state == WEIR_CALL_FREE || !call->ask.is_standing)
      continue;
    states[call->state]++;
    if (call->state == WEIR_CALL_ASKED)
      asked[call->wallet]++;
  }
  for (uint32_t i = 0; i < WEIR_CLIENT_WALLETS; i++) {
    held += check_held(c, i);
    check_wallet(c, i, asked[i]);
  }
  assert(held == states[WEIR_CALL_STANDING]);
  assert(states[WEIR_CALL_ASKED] + states[WEIR_CALL_STANDING] + states[WEIR_CALL_WITHDRAWN] ==
         c->standing_count);
  assert(c->standing_count <= WEIR_CLIENT_WALLETS * c->config.wallet_max);
}
