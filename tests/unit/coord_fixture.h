/* coord_fixture.h - a coordinator's machine on a virtual clock, with small tables and one pool. */
#ifndef WEIR_TESTS_COORD_FIXTURE_H
#define WEIR_TESTS_COORD_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include <weir/coord.h>

#define MS     WEIR_US_PER_MS
#define SECOND WEIR_US_PER_S
#define MINUTE WEIR_US_PER_MIN

static const struct weir_coord_bounds small_bounds = {.pools_max = 4,
                                                      .names_max = 8,
                                                      .sessions_max = 8,
                                                      .asks_max = 64,
                                                      .leases_max = 64,
                                                      .budgets_max = 4,
                                                      .tenants_max = 16};

static const struct weir_coord_start first_start = {.epoch = 1, .seed = 42};

struct fixture {
  void *storage;
  struct weir_coord *coord;
  struct weir_coord_update update;
  struct weir_pool_config pools[4];
  struct weir_name_config names[8];
  struct weir_budget_config budgets[4];
  struct weir_tenant_config tenants[8];
  struct weir_coord_config config;
  weir_tstamp now;
  uint64_t mark;
  uint64_t granted[4096]; /* sequence numbers, in the order of their grants */
  uint32_t granted_count;
};

static inline void fixture_step(struct fixture *f, const struct weir_coord_event *event)
{
  if (weir_coord_step(f->coord, event, &f->update) != WEIR_OK)
    abort();
  weir_coord_check(f->coord);
  for (uint32_t i = 0; i < f->update.count; i++) {
    if (f->update.sends[i].msg.type == WEIR_MSG_GRANT && f->granted_count < 4096)
      f->granted[f->granted_count++] = f->update.sends[i].msg.grant.seq;
  }
}

static inline void fixture_pool(struct fixture *f, uint64_t rpm, uint64_t tpm)
{
  struct weir_pool_config pool = {
      .name = "flash",
      .limits_count = 2,
      .limits = {{.dimension = WEIR_DIMENSION_REQUESTS, .window_us = MINUTE, .amount = rpm},
                 {.dimension = WEIR_DIMENSION_INPUT_TOKENS, .window_us = MINUTE, .amount = tpm}},
      .ttl_us = 2 * SECOND,
      .jitter_us = 100 * MS,
      .batch_floor_pm = 100};
  struct weir_name_config name = {"gemini/flash", "gemini/flash", 0};
  struct weir_name_config alias = {"fast", "gemini/flash", 0};

  f->pools[0] = pool;
  f->names[0] = name;
  f->names[1] = alias;
  f->config = (struct weir_coord_config){.pools_count = 1,
                                         .names_count = 2,
                                         .pools = f->pools,
                                         .names = f->names,
                                         .heartbeat_us = SECOND,
                                         .session_ttl_us = 3 * SECOND,
                                         .asks_max = 32};
}

static inline void fixture_start(struct fixture *f, const struct weir_coord_bounds *bounds,
                                 const struct weir_coord_start *start)
{
  f->storage = calloc(1, weir_coord_size(bounds));
  if (weir_coord_init(f->storage, bounds, &f->config, start, f->now, &f->coord) != WEIR_OK)
    abort();
}

/* 600 requests and 60,000 input tokens a minute unless |rpm| says otherwise. */
static inline struct fixture fixture_of(uint64_t rpm, uint64_t tpm)
{
  struct fixture f;

  memset(&f, 0, sizeof(f));
  f.now = 1000 * SECOND;
  fixture_pool(&f, rpm, tpm);
  f.config.pools = f.pools;
  return f;
}

static inline void fixture_free(struct fixture *f)
{
  free(f->storage);
}

static inline void fixture_send(struct fixture *f, uint64_t route, const struct weir_msg *msg)
{
  struct weir_coord_event event = {
      .type = WEIR_COORD_MESSAGE, .now = f->now, .route = route, .msg = msg};

  fixture_step(f, &event);
}

/* Runs every timeout up to |until|; the last update is kept. */
static inline uint32_t fixture_run(struct fixture *f, weir_tstamp until)
{
  uint32_t sent = 0;

  while (weir_coord_wake(f->coord) <= until) {
    struct weir_coord_event event = {.type = WEIR_COORD_TIMEOUT};

    if (weir_coord_wake(f->coord) > f->now)
      f->now = weir_coord_wake(f->coord);
    event.now = f->now;
    fixture_step(f, &event);
    sent += f->update.count;
    if (f->update.count > 0)
      return sent;
  }
  f->now = until;
  f->update.count = 0;
  return sent;
}

static inline uint64_t fixture_hello(struct fixture *f, uint64_t route, uint8_t instance,
                                     uint64_t incarnation)
{
  struct weir_msg msg = {.type = WEIR_MSG_HELLO, .mark = ++f->mark};

  memset(msg.hello.instance, instance, sizeof(msg.hello.instance));
  msg.hello.incarnation = incarnation;
  msg.hello.version_min = 1;
  msg.hello.version_max = 1;
  strcpy(msg.hello.name, "test");
  fixture_send(f, route, &msg);
  return f->update.count == 1 && f->update.sends[0].msg.type == WEIR_MSG_WELCOME
             ? f->update.sends[0].msg.session
             : 0;
}

static inline enum weir_msg_type fixture_ask(struct fixture *f, uint64_t route, uint64_t session,
                                             uint64_t seq, enum weir_class class, uint64_t tokens,
                                             weir_duration deadline)
{
  struct weir_msg msg = {.type = WEIR_MSG_ASK, .session = session, .mark = ++f->mark};

  strcpy(msg.ask.model, "gemini/flash");
  msg.ask.seq = seq;
  msg.ask.class = class;
  msg.ask.requests = 1;
  msg.ask.input_tokens = tokens;
  msg.ask.deadline_us = deadline;
  fixture_send(f, route, &msg);
  return f->update.count > 0 ? f->update.sends[f->update.count - 1].msg.type : 0;
}

/* An ask on route 9 in somebody's name. */
static inline enum weir_msg_type fixture_ask_as(struct fixture *f, uint64_t session, uint64_t seq,
                                                const char *tenant, const char *model,
                                                uint64_t tokens, weir_duration deadline)
{
  struct weir_msg msg = {.type = WEIR_MSG_ASK, .session = session, .mark = ++f->mark};

  strcpy(msg.ask.model, model);
  strcpy(msg.ask.tenant, tenant);
  msg.ask.seq = seq;
  msg.ask.class = WEIR_CLASS_ONLINE;
  msg.ask.requests = 1;
  msg.ask.input_tokens = tokens;
  msg.ask.deadline_us = deadline;
  fixture_send(f, 9, &msg);
  return f->update.count > 0 ? f->update.sends[f->update.count - 1].msg.type : 0;
}

static inline void fixture_settle(struct fixture *f, uint64_t route, uint64_t session, uint64_t seq,
                                  bool is_sent, uint64_t tokens, enum weir_outcome outcome)
{
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE, .session = session, .mark = ++f->mark};

  msg.settle.seq = seq;
  msg.settle.is_sent = is_sent;
  msg.settle.is_final = true;
  msg.settle.has_usage = true;
  msg.settle.input_tokens = tokens;
  msg.settle.outcome = outcome;
  fixture_send(f, route, &msg);
}

static inline const struct weir_msg *answer(const struct fixture *f)
{
  if (f->update.count == 0)
    abort();
  return &f->update.sends[f->update.count - 1].msg;
}

static inline uint64_t counter(const struct fixture *f, enum weir_counter which)
{
  return weir_coord_counter(f->coord, which);
}

static inline void reload(struct fixture *f)
{
  struct weir_coord_event event = {.type = WEIR_COORD_CONFIG, .now = f->now, .config = &f->config};

  if (weir_coord_step(f->coord, &event, &f->update) != WEIR_OK)
    abort();
  weir_coord_check(f->coord);
  fixture_run(f, f->now);
}

/* A second pool, open for use, with a model of its own. */
static inline void add_other_pool(struct fixture *f)
{
  f->pools[1] = f->pools[0];
  strcpy(f->pools[1].name, "other");
  strcpy(f->names[2].name, "gemini/other");
  strcpy(f->names[2].model, "gemini/other");
  f->names[2].pool = 1;
  f->config.pools_count = 2;
  f->config.names_count = 3;
}

/* Two requests and 60,000 input tokens a minute: for tests that fill a window at once. */
static inline int set_up(void **state)
{
  struct fixture *f = malloc(sizeof(*f));

  *f = fixture_of(2, 60000);
  f->config.pools = f->pools;
  f->config.names = f->names;
  fixture_start(f, &small_bounds, &first_start);
  *state = f;
  return 0;
}

static inline int tear_down(void **state)
{
  fixture_free(*state);
  free(*state);
  return 0;
}

#endif
