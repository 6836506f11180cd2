/* How much of a quota a ledger gives out while there is always somebody who waits: close to what
 * can be had at all (docs/LEDGER.md), or its gates hold back more than they must. In virtual time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <weir/ledger.h>
#include <weir/rng.h>

#define MS         WEIR_US_PER_MS
#define S          WEIR_US_PER_S
#define MINUTE     WEIR_US_PER_MIN
#define LEASES_MAX 100000
#define BEGIN      (1000 * S)

struct lease {
  struct weir_ledger_entry entry;
  uint8_t both;
};

struct world {
  struct weir_ledger ledger;
  struct weir_calendar calendar;
  struct weir_instant now;
  struct weir_rules_config rules;
  struct weir_rng rng;
  weir_duration ttl_us, jitter_us;
  bool is_settled; /* each lease, 2 ms after its start, told of a millisecond later */
  bool is_heavy;   /* tokens by a Pareto law, or one request with nothing else */
  uint64_t slots[WEIR_LEDGER_SLOTS * WEIR_SLOTS_TOGETHER];
  struct lease leases[LEASES_MAX];
  uint32_t count, settled;
};

/* Pareto of shape 1.3 between 200 and 120,000: a size that is larger by the fourth root of two has
 * a chance that is smaller by 2^(1.3 / 4), and between two such sizes all are alike. */
static uint64_t tokens_draw(struct world *w)
{
  uint64_t low = 200, tokens;

  while (low < 120000 && weir_rng_below(&w->rng, 1000) < 798)
    low = low * 1189 / 1000;
  tokens = low + weir_rng_below(&w->rng, low * 189 / 1000);
  return tokens < 120000 ? tokens : 120000;
}

static struct weir_cost cost_draw(struct world *w)
{
  return (struct weir_cost){.requests = 1, .input_tokens = w->is_heavy ? tokens_draw(w) : 1};
}

static weir_tstamp told_at(const struct world *w)
{
  if (!w->is_settled || w->settled == w->count)
    return WEIR_NEVER;
  return w->leases[w->settled].entry.start + 3 * MS;
}

static void settle_next(struct world *w)
{
  struct lease *lease = &w->leases[w->settled++];
  struct weir_ledger_entry after = lease->entry;

  after.is_open = false;
  after.is_known = true;
  weir_ledger_narrow(&after, after.start + 2 * MS + w->jitter_us);
  weir_ledger_settle(&w->ledger, &lease->entry, &after, &w->now, &lease->both);
  lease->entry = after;
}

/* Takes one after the other, as soon as it may, until |end|. */
static void live(struct world *w, const struct weir_limit_config *limit, weir_tstamp end)
{
  const struct weir_ledger_config config = {
      .limits_count = 1, .limits = limit, .rules = &w->rules, .hold_us = w->ttl_us + w->jitter_us};
  struct weir_cost cost = cost_draw(w);

  weir_calendar_init(&w->calendar);
  w->now = (struct weir_instant){.at = BEGIN, .calendar = &w->calendar};
  weir_ledger_init(&w->ledger, w->slots, &config, &w->now);
  while (w->now.at < end && w->count < LEASES_MAX) {
    struct weir_ledger_entry e = {
        .cost = cost, .reserve = cost, .number = w->now.number, .is_open = true};
    const weir_tstamp at =
        weir_ledger_earliest(&w->ledger, &e, config.hold_us, w->now.at, &w->now, NULL);

    assert_true(at != WEIR_NEVER);
    if (at <= w->now.at + WEIR_LEDGER_HORIZON_US) {
      e.start = at;
      e.arrival_max = at + config.hold_us;
      w->leases[w->count].entry = e;
      weir_ledger_take(&w->ledger, &e, &w->now, &w->leases[w->count].both);
      w->count++;
      w->now.number++;
      cost = cost_draw(w);
    } else if (told_at(w) <= at - WEIR_LEDGER_HORIZON_US) {
      w->now.at = told_at(w) > w->now.at ? told_at(w) : w->now.at;
      settle_next(w);
    } else {
      w->now.at = at - WEIR_LEDGER_HORIZON_US;
    }
  }
}

/* Thousandths of a percent of the quota that leases |from| .. |to| - 1 had, until |to| started. */
static uint64_t utilisation(const struct world *w, const struct weir_limit_config *limit,
                            uint32_t from, uint32_t to, const char *name)
{
  const weir_duration took = w->leases[to].entry.start - w->leases[from].entry.start;
  uint64_t sum = 0, result;

  if (took == 0)
    return 0;
  for (uint32_t i = from; i < to; i++)
    sum += weir_ledger_cost_of(&w->leases[i].entry.cost, limit->dimension);
  result = sum * limit->window_us / limit->amount * 100000 / took;
  print_message("%s: %llu.%03llu %%\n", name, (unsigned long long)result / 1000,
                (unsigned long long)result % 1000);
  return result;
}

/* The first lease that started |after| the begin. */
static uint32_t first_after(const struct world *w, weir_duration after)
{
  uint32_t i = 0;

  while (i < w->count - 1 && w->leases[i].entry.start < BEGIN + after)
    i++;
  return i;
}

static struct world *world_of(enum weir_profile profile, weir_duration ttl_us,
                              weir_duration jitter_us)
{
  static struct world w;

  memset(&w, 0, sizeof(w));
  weir_rng_init(&w.rng, 1);
  w.rules.profile = profile;
  w.ttl_us = ttl_us;
  w.jitter_us = jitter_us;
  return &w;
}

static void a_window_gives_all_but_its_hold_and_a_slot(void **state)
{
  const weir_duration holds[] = {24 * MS, 100 * MS, 2100 * MS, 10 * S};
  const struct weir_limit_config limit = {
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = 1000};

  (void)state;
  for (int i = 0; i < 4; i++) {
    struct world *w = world_of(WEIR_PROFILE_WINDOW, holds[i] / 2, holds[i] / 2);
    uint64_t is, bound;

    live(w, &limit, BEGIN + 20 * MINUTE);
    /* Whole windows: each gives everything at once. */
    is = utilisation(w, &limit, 1000, 11000, "window, requests");
    bound = MINUTE * 100000 / (MINUTE + holds[i] + w->ledger.limits[0].ring.slot_us);
    print_message("  bound %llu.%03llu %%\n", (unsigned long long)bound / 1000,
                  (unsigned long long)bound % 1000);
    assert_true(is + 500 >= bound && is <= bound + 500);
  }
}

static void the_universal_profile_gives_all_but_the_hold_of_every_second(void **state)
{
  const struct weir_limit_config limit = {
      .dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = 6000};
  struct world *w = world_of(WEIR_PROFILE_UNIVERSAL, 4 * MS, 20 * MS);
  uint64_t is;

  (void)state;
  w->is_settled = true;
  live(w, &limit, BEGIN + 10 * MINUTE);
  is = utilisation(w, &limit, first_after(w, MINUTE), w->count - 1, "universal, requests");
  /* s / (s + J) = 97.656 %. */
  assert_true(is >= 96656 && is <= 98656);
}

/* Four seeds of half an hour of tokens, in the mean. |warm_us|: what the begin is not counted. */
static uint64_t heavy(enum weir_profile profile, weir_duration warm_us, weir_duration time_us,
                      const char *name)
{
  const struct weir_limit_config limit = {
      .dimension = WEIR_DIMENSION_INPUT_TOKENS, .window_us = MINUTE, .amount = 3000000};
  uint64_t sum = 0;

  for (uint64_t seed = 1; seed <= 4; seed++) {
    struct world *w = world_of(profile, 4 * MS, 20 * MS);

    weir_rng_init(&w->rng, seed);
    w->is_settled = w->is_heavy = true;
    live(w, &limit, BEGIN + time_us);
    sum += utilisation(w, &limit, first_after(w, warm_us), w->count - 1, name);
  }
  return sum / 4;
}

/* Calls of up to 4 % of the limit. The universal gates lose most of that to the sliding counter,
 * which no phase of its windows may catch; they begin with a full bucket. */
static void heavy_tails_cost_the_universal_profile_less_than_their_largest_call(void **state)
{
  (void)state;
  assert_true(heavy(WEIR_PROFILE_UNIVERSAL, 0, 8 * MINUTE, "universal, tokens, 8 minutes") >=
              97000);
  assert_true(heavy(WEIR_PROFILE_UNIVERSAL, 2 * MINUTE, 20 * MINUTE,
                    "universal, tokens, for ever") >= 96500);
}

static void heavy_tails_cost_the_bucket_profile_next_to_nothing(void **state)
{
  (void)state;
  assert_true(heavy(WEIR_PROFILE_BUCKET, 2 * MINUTE, 10 * MINUTE, "bucket, tokens") >= 99000);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_window_gives_all_but_its_hold_and_a_slot),
      cmocka_unit_test(the_universal_profile_gives_all_but_the_hold_of_every_second),
      cmocka_unit_test(heavy_tails_cost_the_universal_profile_less_than_their_largest_call),
      cmocka_unit_test(heavy_tails_cost_the_bucket_profile_next_to_nothing),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
