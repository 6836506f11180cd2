/* show.c - what it costs to look: all rows that a scrape asks for, from a machine with 1,000 pools
 * and 10,000 sessions whose pools were all used, and what they become. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include <weir/codec.h>
#include <weir/coord.h>
#include <weir/stats.h>

#include "tables.h"

#define POOLS       1000u
#define SESSIONS    10000u
#define LIMITS      3
#define ASKS        4  /* of each pool: two leases, two that wait */
#define TURN_ROWS   16 /* that the admin port asks for at a time */
#define SCRAPES     50
#define SCRAPES_Q   5
#define TEXT_SIZE   (16u << 20)
#define TENANTS_MAX 64u

struct stand {
  struct weir_coord *coord;
  void *storage;
  struct weir_pool_config *pools;
  struct weir_name_config *names;
  struct weir_coord_update update;
  weir_tstamp now;
  struct weir_msg_row totals, *rows, *tenants;
  uint32_t tenants_count;
};

static void step(struct stand *s, const struct weir_msg *msg)
{
  const struct weir_coord_event event = {
      .type = WEIR_COORD_MESSAGE, .now = s->now, .route = 1, .msg = msg};

  if (weir_coord_step(s->coord, &event, &s->update) != WEIR_OK)
    abort();
}

static void config_fill(struct stand *s)
{
  static const struct weir_limit_config limits[LIMITS] = {
      {.dimension = WEIR_DIMENSION_REQUESTS, .window_us = WEIR_US_PER_MIN, .amount = 1000},
      {.dimension = WEIR_DIMENSION_INPUT_TOKENS, .window_us = WEIR_US_PER_MIN, .amount = 10000},
      {.dimension = WEIR_DIMENSION_REQUESTS, .window_us = WEIR_DAY_WINDOW_US, .amount = 100000}};

  for (uint32_t i = 0; i < POOLS; i++) {
    snprintf(s->pools[i].name, sizeof(s->pools[i].name), "pool-%u", (unsigned)i);
    s->pools[i].limits_count = LIMITS;
    memcpy(s->pools[i].limits, limits, sizeof(limits));
    s->pools[i].ttl_us = 2 * WEIR_US_PER_S;
    s->pools[i].jitter_us = 100 * WEIR_US_PER_MS;
    snprintf(s->names[i].name, sizeof(s->names[i].name), "gemini/model-%u", (unsigned)i);
    snprintf(s->names[i].model, sizeof(s->names[i].model), "gemini/model-%u", (unsigned)i);
    s->names[i].pool = i;
  }
}

/* Sessions ask in turn, so that each pool has leases and somebody who waits for tokens. */
static void fill(struct stand *s)
{
  struct weir_msg msg = {.type = WEIR_MSG_HELLO, .mark = 1};

  for (uint32_t i = 0; i < SESSIONS; i++) {
    uint64_t session;

    msg = (struct weir_msg){.type = WEIR_MSG_HELLO, .mark = 1};
    memcpy(msg.hello.instance, &i, sizeof(i));
    msg.hello.incarnation = 1;
    msg.hello.version_min = msg.hello.version_max = WEIR_PROTOCOL_VERSION;
    step(s, &msg);
    session = s->update.sends[0].msg.session;
    if (i >= POOLS * ASKS)
      continue;
    msg = (struct weir_msg){.type = WEIR_MSG_ASK, .session = session, .mark = 2};
    msg.ask.seq = 1;
    msg.ask.class = WEIR_CLASS_ONLINE;
    msg.ask.requests = 1;
    msg.ask.input_tokens = 4000;
    msg.ask.deadline_us = WEIR_US_PER_HOUR;
    memcpy(msg.ask.model, s->names[i % POOLS].name, sizeof(msg.ask.model));
    snprintf(msg.ask.tenant, sizeof(msg.ask.tenant), "tenant-%u", (unsigned)(i % 50));
    step(s, &msg);
  }
}

static void stand_open(struct stand *s)
{
  const struct weir_coord_bounds bounds = {.pools_max = POOLS,
                                           .names_max = POOLS,
                                           .sessions_max = SESSIONS,
                                           .asks_max = 2 * SESSIONS,
                                           .leases_max = 2 * SESSIONS,
                                           .budgets_max = 1,
                                           .tenants_max = 4096};
  struct weir_coord_config config = {.pools_count = POOLS,
                                     .names_count = POOLS,
                                     .heartbeat_us = WEIR_US_PER_HOUR,
                                     .session_ttl_us = 24 * WEIR_US_PER_HOUR,
                                     .asks_max = 512};
  const struct weir_coord_start start = {.epoch = 1, .seed = 1};

  memset(s, 0, sizeof(*s));
  s->now = WEIR_US_PER_HOUR;
  s->storage = weir_tables_new(weir_coord_size(&bounds));
  s->pools = calloc(POOLS, sizeof(*s->pools));
  s->names = calloc(POOLS, sizeof(*s->names));
  s->rows = calloc(POOLS, sizeof(*s->rows));
  s->tenants = calloc(TENANTS_MAX, sizeof(*s->tenants));
  if (!s->storage || !s->pools || !s->names || !s->rows || !s->tenants)
    abort();
  config_fill(s);
  config.pools = s->pools;
  config.names = s->names;
  if (weir_coord_init(s->storage, &bounds, &config, &start, s->now, &s->coord) != WEIR_OK)
    abort();
  fill(s);
}

static void stand_close(struct stand *s)
{
  free(s->storage);
  free(s->pools);
  free(s->names);
  free(s->rows);
  free(s->tenants);
}

/* One row, as the loop makes and encodes it. */
static uint32_t show(struct stand *s, enum weir_view view, uint32_t number,
                     struct weir_msg_row *ret_row)
{
  const struct weir_msg msg = {.type = WEIR_MSG_SHOW, .show = {view, number}};
  uint8_t bytes[WEIR_MSG_SIZE_MAX];
  size_t size = 0;

  step(s, &msg);
  if (weir_codec_encode(&s->update.sends[0].msg, bytes, sizeof(bytes), &size) != WEIR_OK)
    abort();
  *ret_row = s->update.sends[0].msg.row;
  return ret_row->rows;
}

/* All rows of a scrape; the longest turn of TURN_ROWS rows goes to |longest_ns|. */
static void scrape(struct stand *s, uint64_t *longest_ns)
{
  uint64_t begin = bench_now_ns(), took;

  show(s, WEIR_VIEW_TOTALS, 0, &s->totals);
  for (uint32_t i = 0; i < POOLS; i++) {
    show(s, WEIR_VIEW_POOLS, i, &s->rows[i]);
    if (i % TURN_ROWS == 0) {
      took = bench_now_ns() - begin;
      *longest_ns = took > *longest_ns ? took : *longest_ns;
      begin = bench_now_ns();
    }
  }
  s->tenants_count = 1;
  for (uint32_t i = 0; i < s->tenants_count; i++)
    s->tenants_count = show(s, WEIR_VIEW_TENANTS, i, &s->tenants[i]);
  s->now += WEIR_US_PER_S / 100;
}

void bench_show(struct bench *bench)
{
  const size_t count = bench->is_quick ? SCRAPES_Q : SCRAPES;
  double took_ms[SCRAPES], turn_us[SCRAPES], metrics_ms[SCRAPES];
  char *text = malloc(TEXT_SIZE);
  struct weir_stats_out out = {0};
  static struct stand s;
  double all, turn, made;

  stand_open(&s);
  if (!text)
    abort();
  for (size_t i = 0; i < count; i++) {
    uint64_t longest = 0, begin = bench_now_ns();
    struct weir_stats stats = {
        .totals = &s.totals, .pools = s.rows, .pools_count = POOLS, .tenants = s.tenants};

    scrape(&s, &longest);
    took_ms[i] = (double)(bench_now_ns() - begin) / 1e6;
    turn_us[i] = (double)longest / 1e3;
    stats.tenants_count = s.tenants_count;
    out = (struct weir_stats_out){.at = text, .capacity = TEXT_SIZE};
    begin = bench_now_ns();
    weir_stats_prometheus(&out, &stats);
    metrics_ms[i] = (double)(bench_now_ns() - begin) / 1e6;
  }
  all = bench_median(took_ms, count);
  turn = bench_median(turn_us, count);
  made = bench_median(metrics_ms, count);
  printf("a scrape, %u pools of %d limits, %u sessions, median of %zu:\n"
         "  %.2f ms of the coordinator's loop, %.2f %% of it at one scrape a second\n"
         "  %.0f us in the longest turn (%u rows)\n"
         "  %.2f ms to write %.1f MB of metrics, in the admin port's thread\n\n",
         POOLS, LIMITS, SESSIONS, count, all, all / 10, turn, TURN_ROWS, made,
         (double)out.size / 1e6);
  bench_json(bench, "show_scrape_ms", all);
  bench_json(bench, "show_turn_us", turn);
  bench_json(bench, "show_metrics_ms", made);
  free(text);
  stand_close(&s);
}
