/* keep_fixture.h - lives of a coordinator one after the other, and a store that the test answers
 * for. */
#ifndef WEIR_TESTS_KEEP_FIXTURE_H
#define WEIR_TESTS_KEEP_FIXTURE_H

#include <stdio.h>

#include "coord_fixture.h"

#define HOUR     WEIR_US_PER_HOUR
#define ROWS_MAX 64
#define FOREVER  (10 * HOUR)

static struct {
  struct weir_record rows[ROWS_MAX], written[WEIR_COORD_KEEP_MIN];
  uint32_t rows_count, written_count;
  uint64_t generation, generations;
} store;

static uint64_t session, seq;

/* ---- the store ---- */

static inline void store_save(void)
{
  for (uint32_t k = 0; k < store.written_count; k++) {
    const struct weir_record *row = &store.written[k];
    uint32_t i = 0;

    while (i < store.rows_count &&
           (store.rows[i].kind != row->kind || store.rows[i].item != row->item ||
            strcmp(store.rows[i].owner, row->owner) != 0))
      i++;
    assert_true(i < ROWS_MAX);
    store.rows[i] = *row;
    store.rows_count += i == store.rows_count;
  }
}

static inline bool keep(struct fixture *f)
{
  store.written_count = 0;
  if (weir_coord_keep_due(f->coord) > f->now)
    return false;
  store.written_count =
      weir_coord_keep(f->coord, f->now, store.written, WEIR_COORD_KEEP_MIN, &store.generation);
  store.generations += store.written_count > 0;
  return store.written_count > 0;
}

static inline void store_say(struct fixture *f, enum weir_coord_event_type type)
{
  const struct weir_coord_event event = {
      .type = type, .now = f->now, .generation = store.generation};

  fixture_step(f, &event);
}

/* Writes all that is due at once. */
static inline void keep_all(struct fixture *f)
{
  while (keep(f)) {
    store_save();
    store_say(f, WEIR_COORD_DURABLE);
  }
}

/* ---- lives ---- */

static inline void begin(struct fixture *f, struct weir_coord_start start)
{
  start.epoch = 1;
  start.seed = 42;
  start.is_durable = true;
  start.records = store.rows;
  start.records_count = store.rows_count;
  f->config.pools = f->pools;
  f->config.names = f->names;
  f->config.budgets = f->budgets;
  fixture_start(f, &small_bounds, &start);
  weir_coord_disown(f->coord, store.rows, store.rows_count);
  f->mark = 0;
  f->granted_count = 0;
  session = fixture_hello(f, 9, 1, 1);
}

static inline void begin_kept(struct fixture *f)
{
  begin(f, (struct weir_coord_start){0});
  keep_all(f);
}

static inline void reload_kept(struct fixture *f)
{
  reload(f);
  f->now += 200 * MS;
  keep_all(f);
}

static inline struct fixture first_life(uint64_t rpm, uint64_t tpm)
{
  memset(&store, 0, sizeof(store));
  seq = 0;
  return fixture_of(rpm, tpm);
}

/* The next life, |dead| later; after another boot nobody knows how much later. */
static inline void die(struct fixture *f, weir_duration dead, bool is_same_boot)
{
  fixture_free(f);
  f->now += dead;
  begin(f, (struct weir_coord_start){.has_past = true,
                                     .past_us = is_same_boot ? dead - 20 * MS : 0,
                                     .is_same_boot = is_same_boot});
}

/* The next life, in which the first pool is called |name|. */
static inline void live_as(struct fixture *f, const char *name)
{
  snprintf(f->pools[0].name, sizeof(f->pools[0].name), "%s", name);
  die(f, SECOND, true);
}

/* How many of |count| calls of |tokens| are granted now; who waits leaves again. */
static inline uint32_t granted_now(struct fixture *f, uint32_t count, uint64_t tokens)
{
  const uint32_t before = f->granted_count;

  for (uint32_t i = 0; i < count; i++) {
    const uint32_t granted = f->granted_count;
    struct weir_msg cancel = {.type = WEIR_MSG_CANCEL, .session = session};

    fixture_ask(f, 9, session, ++seq, WEIR_CLASS_ONLINE, tokens, FOREVER);
    keep_all(f);
    if (f->granted_count == granted) {
      cancel.mark = ++f->mark;
      cancel.cancel.seq = seq;
      fixture_send(f, 9, &cancel);
      break;
    }
    fixture_settle(f, 9, session, seq, true, tokens, WEIR_OUTCOME_OK);
    keep_all(f);
  }
  return f->granted_count - before;
}

static inline void wait_until(struct fixture *f, weir_tstamp until)
{
  while (f->now < until) {
    const struct weir_msg ping = {.type = WEIR_MSG_PING, .session = session, .mark = ++f->mark};
    const weir_tstamp next = f->now + SECOND < until ? f->now + SECOND : until;

    while (fixture_run(f, next) > 0)
      ;
    fixture_send(f, 9, &ping);
    keep_all(f);
  }
}

/* Nothing is granted for |least|, and all of a window of 600 requests after |most|. */
static inline void assert_closed_for(struct fixture *f, weir_duration least, weir_duration most)
{
  const weir_tstamp now = f->now;

  assert_int_equal(granted_now(f, 1, 10), 0);
  wait_until(f, now + least);
  assert_int_equal(granted_now(f, 1, 10), 0);
  wait_until(f, now + most);
  assert_int_equal(granted_now(f, 600, 10), 600);
}

static inline void clock_tell(struct fixture *f, uint64_t day)
{
  struct weir_wall wall = {.zones_count = 1, .now_us = (day * 24 + 12) * HOUR};
  const struct weir_coord_event event = {.type = WEIR_COORD_CLOCK, .now = f->now, .wall = &wall};

  wall.zones[0].number = day;
  for (uint64_t i = 0; i < WEIR_ZONE_STARTS; i++)
    wall.zones[0].starts_us[i] = (day + i) * 24 * HOUR;
  fixture_step(f, &event);
}

#endif
