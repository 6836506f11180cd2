/* island.c - what may be called while nobody answers: the instance's part of each pool that the
 * coordinator told it of, kept as one bucket for each of its numbers. What becomes of the rest, its
 * pool says: it waits, fails, or goes without limit.
 *
 * A bucket is an instant, |full_at|: empty buckets are filled again then. What is used moves it on,
 * and it is never set back, so that nothing is used twice over a session between two outages.
 */
#include "client_machine.h"

#include <assert.h>
#include <string.h>

/* A rejection closes the part for as long as it states, or for this long, at most for the other. */
#define REJECTED_MIN_US (5 * WEIR_US_PER_S)
#define REJECTED_MAX_US (2 * WEIR_US_PER_MIN)

/* ---- what is known ---- */

static struct weir_island *island_find(struct weir_client *c, const char *pool)
{
  for (uint32_t i = 0; i < c->islands_count; i++) {
    if (strcmp(c->islands[i].pool, pool) == 0)
      return &c->islands[i];
  }
  return NULL;
}

/* Whether nothing is lost when |island| is forgotten: its time is over, and its buckets are full.
 */
static bool is_spent(const struct weir_island *island, weir_tstamp now)
{
  for (uint32_t i = 0; i < island->parts_count; i++) {
    if (island->buckets[i].full_at > now)
      return false;
  }
  return now >= island->ends_at && island->calls == 0;
}

static struct weir_island *island_place(struct weir_client *c, const char *pool, weir_tstamp now)
{
  struct weir_island *island = island_find(c, pool);

  if (!island && c->islands_count < WEIR_CLIENT_ISLANDS)
    island = &c->islands[c->islands_count++];
  for (uint32_t i = 0; !island && i < c->islands_count; i++) {
    if (is_spent(&c->islands[i], now))
      island = &c->islands[i];
  }
  if (island && strcmp(island->pool, pool) != 0) {
    memset(island, 0, sizeof(*island));
    memcpy(island->pool, pool, sizeof(island->pool));
  }
  return island;
}

/* How long the bucket of |part| takes to produce |amount|: not less. */
static weir_duration time_of(const struct weir_msg_island_part *part, uint64_t amount)
{
  return weir_wide_clamp((weir_wide_mul(amount, part->window_us) + part->amount - 1) / part->amount,
                         WEIR_DURATION_MAX);
}

/* How long it takes to fill up, rounded up as well, or a bucket of one call would never hold one.
 * That is no more than parts are told for: instants are whole, too (docs/LEDGER.md, "Islands"). */
static weir_duration depth_of(const struct weir_msg_island_part *part)
{
  return time_of(part, part->burst);
}

/* How long bucket |i| of |island| still has to fill up, when |part| takes its place. What was used
 * stays used: of another rate it is as many units, rounded up, and of what is not known as this
 * part, all. */
static weir_duration refill_of(const struct weir_island *island, uint32_t i,
                               const struct weir_msg_island_part *part, weir_tstamp now)
{
  const struct weir_island_bucket *bucket = &island->buckets[i];
  const struct weir_msg_island_part *known = &bucket->part;
  const weir_duration left = weir_time_sub(bucket->full_at, now);
  weir_wide units;

  if (island->parts_count == 0)
    return 0; /* nothing was ever used */
  if (i >= island->parts_count || known->dimension != part->dimension ||
      known->window_us != part->window_us)
    return depth_of(part);
  if (known->amount == part->amount)
    return left;
  units = (weir_wide_mul(left, known->amount) + known->window_us - 1) / known->window_us;
  return time_of(part, weir_wide_clamp(units, WEIR_AMOUNT_MAX));
}

static weir_tstamp later(weir_tstamp a, weir_tstamp b)
{
  return a > b ? a : b;
}

void weir_island_told(struct weir_client *c, const struct weir_msg *msg, weir_tstamp now)
{
  const struct weir_msg_island *told = &msg->island;
  const bool is_some = told->parts_count > 0;
  struct weir_island *island =
      is_some ? island_place(c, told->pool, now) : island_find(c, told->pool);
  struct weir_island after;
  weir_tstamp sent_at;

  if (!island || !weir_send_time(c, msg->mark, &sent_at))
    return;
  if (!is_some) {
    island->ends_at = sent_at; /* what was used of it stays used */
    return;
  }
  after = *island;
  after.parts_count = told->parts_count;
  for (uint32_t i = 0; i < told->parts_count; i++) {
    const struct weir_msg_island_part *part = &told->parts[i];
    struct weir_island_bucket *bucket = &after.buckets[i];

    bucket->part = *part;
    bucket->depth_us = depth_of(part);
    /* Its place was empty when it became free last, for all that is known, and fills since. */
    bucket->full_at = later(weir_time_sub(weir_time_add(now, bucket->depth_us), told->idle_us),
                            weir_time_add(now, refill_of(island, i, part, now)));
  }
  after.ttl_us = told->ttl_us;
  after.ends_at = weir_time_add(sent_at, told->for_us);
  *island = after;
}

/* ---- names: what calls of a name were granted last ---- */

static struct weir_island_name *name_find(struct weir_client *c, const char *name)
{
  for (uint32_t i = 0; i < c->island_names_count; i++) {
    if (strcmp(c->island_names[i].name, name) == 0)
      return &c->island_names[i];
  }
  return NULL;
}

void weir_island_learn(struct weir_client *c, const struct weir_call *call)
{
  struct weir_island_name *name = name_find(c, call->ask.model);

  if (!name && c->island_names_count < WEIR_CLIENT_ISLAND_NAMES)
    name = &c->island_names[c->island_names_count++];
  else if (!name)
    name = &c->island_names[c->island_names_next++ % WEIR_CLIENT_ISLAND_NAMES];
  memcpy(name->name, call->ask.model, sizeof(name->name));
  name->grant = call->grant;
}

/* ---- calls ---- */

static uint64_t weight(const struct weir_msg_ask *ask, enum weir_dimension dimension)
{
  if (dimension == WEIR_DIMENSION_REQUESTS)
    return ask->requests;
  if (dimension == WEIR_DIMENSION_INPUT_TOKENS)
    return ask->input_tokens;
  if (dimension == WEIR_DIMENSION_OUTPUT_TOKENS)
    return ask->output_tokens;
  return ask->input_tokens + ask->output_tokens;
}

/* When every bucket of |island| holds what |ask| weighs, from |from| on; WEIR_NEVER: not before its
 * end. */
static weir_tstamp fits_at(const struct weir_island *island, const struct weir_msg_ask *ask,
                           weir_tstamp from)
{
  weir_tstamp at = later(from, island->closed_until);

  for (uint32_t i = 0; i < island->parts_count; i++) {
    const struct weir_island_bucket *bucket = &island->buckets[i];
    const uint64_t cost = weight(ask, bucket->part.dimension);

    if (cost > bucket->part.burst)
      return WEIR_NEVER;
    at = later(at, weir_time_sub(weir_time_add(bucket->full_at, time_of(&bucket->part, cost)),
                                 bucket->depth_us));
  }
  return island->parts_count > 0 && at < island->ends_at ? at : WEIR_NEVER;
}

static void take(struct weir_island *island, const struct weir_msg_ask *ask, weir_tstamp now)
{
  for (uint32_t i = 0; i < island->parts_count; i++) {
    struct weir_island_bucket *bucket = &island->buckets[i];

    bucket->full_at = weir_time_add(later(bucket->full_at, now),
                                    time_of(&bucket->part, weight(ask, bucket->part.dimension)));
  }
  island->calls++;
}

/* What |last|, a grant of a session, says of a call that nobody grants: where it goes. */
static struct weir_msg_grant granted_as(const struct weir_msg_grant *last, weir_duration ttl_us)
{
  struct weir_msg_grant grant = *last;

  grant.ttl_us = ttl_us;
  grant.start_in_us = grant.since_us = 0;
  grant.is_reported = grant.is_probe = false;
  /* What is left now nobody knows. */
  grant.requests_limit = grant.requests_left = grant.tokens_limit = grant.tokens_left = 0;
  return grant;
}

/* Lets |call| through as |name| was granted last: out of |island|, or of nothing. */
static void let_through(struct weir_client *c, struct weir_call *call,
                        const struct weir_island_name *name, struct weir_island *island,
                        weir_tstamp now)
{
  call = weir_call_isolate(c, call);
  if (!call)
    return; /* no room; the coordinator is back before there is */
  call->grant = granted_as(&name->grant, island ? island->ttl_us : name->grant.ttl_us);
  call->grant.seq = call->ask.seq;
  call->start_at = now;
  call->expires_at = weir_time_add(now, call->grant.ttl_us);
  call->is_open = !island;
  if (island) {
    take(island, &call->ask, now);
    call->island = (uint32_t)(island - c->islands) + 1;
    c->island_calls++;
  }
  weir_call_keep(c, call, now);
}

static void look_at(struct weir_client *c, weir_tstamp at)
{
  c->island_at = at < c->island_at ? at : c->island_at;
}

/* What becomes of calls like the last of |name| that no island lets through: the stricter of what
 * its pool and this instance say. */
static enum weir_without without_of(const struct weir_client *c,
                                    const struct weir_island_name *name)
{
  const enum weir_without pool = name->grant.without, own = c->config.without;

  if (pool == WEIR_WITHOUT_CLOSED || own == WEIR_WITHOUT_CLOSED)
    return WEIR_WITHOUT_CLOSED;
  return own == WEIR_WITHOUT_WAIT || pool != WEIR_WITHOUT_OPEN ? WEIR_WITHOUT_WAIT
                                                               : WEIR_WITHOUT_OPEN;
}

/* |call| does not fit into a part now: it may not have to wait. Returns whether it does. */
static bool must_wait(struct weir_client *c, struct weir_call *call,
                      const struct weir_island_name *name, weir_tstamp now)
{
  const enum weir_without without = without_of(c, name);
  const weir_tstamp broken = weir_wallet_broken_until(c, name->grant.pool);

  if (without == WEIR_WITHOUT_WAIT)
    return true;
  if (now < c->away_at) {
    look_at(c, c->away_at);
    return true;
  }
  if (without == WEIR_WITHOUT_CLOSED) {
    weir_call_keep(c, call, now);
    return false;
  }
  if (now < broken) {
    look_at(c, broken);
    return true;
  }
  let_through(c, call, name, NULL, now);
  return false;
}

/* Lets |call| through if it fits now. Nothing overtakes a call that waits for the same part, but
 * one that will never fit is no obstacle. */
static void serve(struct weir_client *c, struct weir_call *call, weir_tstamp now)
{
  const struct weir_island_name *name = name_find(c, call->ask.model);
  struct weir_island *island;
  weir_tstamp at = WEIR_NEVER;

  if (!name || !weir_call_may_use(&call->ask, &name->grant))
    return;
  island = island_find(c, name->grant.pool);
  if (island && island->waits_at <= now)
    at = fits_at(island, &call->ask, later(now, weir_wallet_broken_until(c, island->pool)));
  if (at <= now) {
    let_through(c, call, name, island, now);
  } else if (must_wait(c, call, name, now) && at != WEIR_NEVER) {
    island->waits_at = at;
    look_at(c, at);
  }
}

static void serve_list(struct weir_client *c, const struct weir_call_list *list, weir_tstamp now)
{
  uint32_t next;

  for (uint32_t i = list->first; i != WEIR_CLIENT_NONE; i = next) {
    next = c->calls[i].next;
    if (!c->calls[i].ask.is_standing)
      serve(c, &c->calls[i], now);
  }
}

static bool is_cut_off(const struct weir_client *c)
{
  return (c->state == WEIR_CLIENT_DOWN || c->state == WEIR_CLIENT_CONNECTING) && !c->is_closing;
}

void weir_island_serve(struct weir_client *c, weir_tstamp now)
{
  if (!is_cut_off(c) || now < c->island_at)
    return;
  c->island_at = WEIR_NEVER;
  for (uint32_t i = 0; i < c->islands_count; i++)
    c->islands[i].waits_at = 0;
  serve_list(c, &c->asked, now);
  serve_list(c, &c->waiting[WEIR_CLASS_ONLINE], now);
  serve_list(c, &c->waiting[WEIR_CLASS_BATCH], now);
}

void weir_island_ask(struct weir_client *c, struct weir_call *call, weir_tstamp now)
{
  if (is_cut_off(c))
    serve(c, call, now);
}

void weir_island_settled(struct weir_client *c, const struct weir_call *call,
                         const struct weir_client_settle *settle, weir_tstamp now)
{
  struct weir_island *island = &c->islands[call->island - 1];
  struct weir_msg_ask used = call->ask;

  if (settle->msg.is_sent && weir_outcome_is_quota(settle->msg.outcome)) {
    const weir_duration stated = settle->msg.retry_after_us;
    const weir_duration wait = stated < REJECTED_MIN_US   ? REJECTED_MIN_US
                               : stated > REJECTED_MAX_US ? REJECTED_MAX_US
                                                          : stated;

    island->closed_until = later(island->closed_until, weir_time_add(now, wait));
  }
  if (!settle->msg.has_usage)
    return;
  /* What was used beyond the estimate is debt. */
  used.requests = 0;
  used.input_tokens = settle->msg.input_tokens > call->ask.input_tokens
                          ? settle->msg.input_tokens - call->ask.input_tokens
                          : 0;
  used.output_tokens = settle->msg.output_tokens > call->ask.output_tokens
                           ? settle->msg.output_tokens - call->ask.output_tokens
                           : 0;
  take(island, &used, now);
  island->calls--;
}

void weir_island_ended(struct weir_client *c, struct weir_call *call)
{
  c->islands[call->island - 1].calls--;
  call->island = 0;
}

/* ---- for tests ---- */

void weir_island_check(const struct weir_client *c)
{
  uint32_t calls[WEIR_CLIENT_ISLANDS] = {0};

  for (uint32_t i = 0; i < c->calls_fresh; i++) {
    const struct weir_call *call = &c->calls[i];

    if (call->state == WEIR_CALL_FREE || call->island == 0)
      continue;
    assert(call->state == WEIR_CALL_HELD || call->state == WEIR_CALL_LEASED);
    assert(!call->ask.is_standing && !call->has_interim);
    calls[call->island - 1]++;
  }
  for (uint32_t i = 0; i < WEIR_CLIENT_ISLANDS; i++)
    assert(c->islands[i].calls == calls[i] && (i < c->islands_count || calls[i] == 0));
}
