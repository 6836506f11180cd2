/* ledger_fixture.h - a ledger with its storage, its calendar and a clock that tests set by hand. */
#ifndef LEDGER_FIXTURE_H
#define LEDGER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <weir/ledger.h>

#define SECOND WEIR_US_PER_S
#define MINUTE WEIR_US_PER_MIN
#define HOUR   WEIR_US_PER_HOUR
#define MS     WEIR_US_PER_MS
#define HOLD   (2100 * MS)

/* One ledger at a time: its storage is the test's. */
struct books {
  struct weir_ledger ledger;
  struct weir_calendar calendar;
  struct weir_instant now;
  struct weir_rules_config rules;
  struct weir_limit_config limits[WEIR_LIMITS_MAX];
  uint32_t limits_count;
  weir_duration hold_us;
  uint64_t slots[WEIR_LEDGER_SLOTS * WEIR_SLOTS_TOGETHER];
};

/* A lease with what its ledger remembers of it. */
struct lease {
  struct weir_ledger_entry entry;
  uint8_t both;
};

static inline struct weir_limit_config limit_of(enum weir_dimension dimension,
                                                weir_duration window_us, uint64_t amount)
{
  return (struct weir_limit_config){
      .dimension = dimension, .window_us = window_us, .amount = amount};
}

static inline struct weir_cost cost_of(uint64_t requests, uint64_t input, uint64_t output)
{
  return (struct weir_cost){.requests = requests, .input_tokens = input, .output_tokens = output};
}

static inline struct weir_ledger_config config_of(const struct books *b)
{
  return (struct weir_ledger_config){.limits_count = b->limits_count,
                                     .limits = b->limits,
                                     .rules = &b->rules,
                                     .hold_us = b->hold_us};
}

/* books_open begins books of |count| limits under |profile| at |at|, without wall time. */
static inline struct books *books_open(const struct weir_limit_config *limits, uint32_t count,
                                       enum weir_profile profile, weir_tstamp at)
{
  static struct books b;
  struct weir_ledger_config config;

  memset(&b, 0, sizeof(b));
  weir_calendar_init(&b.calendar);
  b.rules.profile = profile;
  memcpy(b.limits, limits, count * sizeof(*limits));
  b.limits_count = count;
  b.hold_us = HOLD;
  b.now = (struct weir_instant){.at = at, .number = 1, .calendar = &b.calendar};
  config = config_of(&b);
  weir_ledger_init(&b.ledger, b.slots, &config, &b.now);
  return &b;
}

/* books_pool begins books of requests and input tokens a minute, at one second. */
static inline struct books *books_pool(uint64_t rpm, uint64_t tpm)
{
  const struct weir_limit_config limits[] = {limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, rpm),
                                             limit_of(WEIR_DIMENSION_INPUT_TOKENS, MINUTE, tpm)};

  return books_open(limits, 2, WEIR_PROFILE_WINDOW, SECOND);
}

/* books_configure applies what the test has written into |b|. */
static inline void books_configure(struct books *b)
{
  const struct weir_ledger_config config = config_of(b);

  weir_ledger_configure(&b->ledger, &config, &b->now);
}

static inline struct lease lease_of(const struct books *b, struct weir_cost cost, weir_tstamp start)
{
  return (struct lease){.entry = {.cost = cost,
                                  .reserve = cost,
                                  .number = b->now.number,
                                  .start = start,
                                  .arrival_max = start + b->hold_us,
                                  .error_pm = b->rules.error_pm,
                                  .is_open = true}};
}

/* books_earliest asks when |cost| could start, from now on. */
static inline weir_tstamp books_earliest(struct books *b, struct weir_cost cost, int *ret_binding)
{
  const struct lease asked = lease_of(b, cost, b->now.at);

  return weir_ledger_earliest(&b->ledger, &asked.entry, b->hold_us, b->now.at, &b->now,
                              ret_binding);
}

/* books_take_at takes a lease that starts at |start|, whatever the gates say. */
static inline struct lease books_take_at(struct books *b, struct weir_cost cost, weir_tstamp start)
{
  struct lease lease = lease_of(b, cost, start);

  weir_ledger_take(&b->ledger, &lease.entry, &b->now, &lease.both);
  b->now.number++;
  weir_ledger_check(&b->ledger);
  return lease;
}

/* books_take takes a lease that has to fit now. */
static inline struct lease books_take(struct books *b, struct weir_cost cost)
{
  assert_int_equal(books_earliest(b, cost, NULL), b->now.at);
  return books_take_at(b, cost, b->now.at);
}

static inline void books_settle(struct books *b, struct lease *lease,
                                const struct weir_ledger_entry *after)
{
  weir_ledger_settle(&b->ledger, &lease->entry, after, &b->now, &lease->both);
  lease->entry = *after;
  weir_ledger_check(&b->ledger);
}

/* books_end settles for good: |cost| as reported, which arrived until |arrival_max|. */
static inline void books_end(struct books *b, struct lease *lease, struct weir_cost cost,
                             weir_tstamp arrival_max)
{
  struct weir_ledger_entry after = lease->entry;

  after.cost = cost;
  after.is_known = true;
  after.is_open = false;
  weir_ledger_narrow(&after, arrival_max);
  books_settle(b, lease, &after);
}

/* books_void gives a lease back that was never sent. */
static inline void books_void(struct books *b, struct lease *lease)
{
  struct weir_ledger_entry after = lease->entry;

  after.is_void = true;
  after.is_open = false;
  books_settle(b, lease, &after);
}

static inline uint64_t books_used(struct books *b, uint32_t index)
{
  return weir_ledger_used(&b->ledger, index, &b->now);
}

#endif
