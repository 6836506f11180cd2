#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fields.h"

#include <weir/codec.h>

#define AT(member) offsetof(struct weir_msg, member), sizeof(((struct weir_msg *)0)->member)

#define U(key, body, member, min, max)                                                             \
  {                                                                                                \
    body, key, #member, FIELDS_UINT, AT(member), min, max                                          \
  }
#define B(key, body, member)                                                                       \
  {                                                                                                \
    body, key, #member, FIELDS_BOOL, AT(member), 0, 1                                              \
  }
#define S(key, body, member, min)                                                                  \
  {                                                                                                \
    body, key, #member, FIELDS_TEXT, AT(member), min, sizeof(((struct weir_msg *)0)->member) - 1   \
  }

#define ALL64 UINT64_MAX
#define ALL32 UINT32_MAX
#define T400D UINT64_C(34560000000000) /* 400 days in microseconds */
#define TOK   UINT64_C(1073741824)
#define AMT   UINT64_C(4611686018427387904)

const struct fields_entry fields[] = {
    U(0, 0, session, 0, ALL64),
    U(1, 0, mark, 0, ALL64),

    {WEIR_MSG_HELLO, 2, "hello.instance", FIELDS_BYTES, AT(hello.instance), 1, 0},
    U(3, WEIR_MSG_HELLO, hello.incarnation, 0, ALL64),
    U(4, WEIR_MSG_HELLO, hello.version_min, 1, 255),
    U(5, WEIR_MSG_HELLO, hello.version_max, 1, 255),
    S(6, WEIR_MSG_HELLO, hello.name, 0),
    B(7, WEIR_MSG_HELLO, hello.takes_islands),

    U(2, WEIR_MSG_WELCOME, welcome.epoch, 0, ALL64),
    U(3, WEIR_MSG_WELCOME, welcome.version, 1, 255),
    U(4, WEIR_MSG_WELCOME, welcome.heartbeat_us, 1, T400D),
    U(5, WEIR_MSG_WELCOME, welcome.session_ttl_us, 1, T400D),
    U(6, WEIR_MSG_WELCOME, welcome.asks_max, 0, ALL32),
    S(7, WEIR_MSG_WELCOME, welcome.coordinator, 0),

    U(2, WEIR_MSG_REFUSE, refuse.why, 1, 5),
    U(3, WEIR_MSG_REFUSE, refuse.retry_in_us, 0, T400D),

    U(2, WEIR_MSG_ASK, ask.seq, 1, ALL64),
    S(3, WEIR_MSG_ASK, ask.model, 1),
    U(4, WEIR_MSG_ASK, ask.class, 1, 2),
    U(5, WEIR_MSG_ASK, ask.requests, 1, 1048576),
    U(6, WEIR_MSG_ASK, ask.input_tokens, 0, TOK),
    U(7, WEIR_MSG_ASK, ask.output_tokens, 0, TOK),
    U(8, WEIR_MSG_ASK, ask.deadline_us, 0, T400D),
    S(9, WEIR_MSG_ASK, ask.tenant, 0),
    B(10, WEIR_MSG_ASK, ask.is_standing),
    U(11, WEIR_MSG_ASK, ask.attempts, 0, 100),
    U(12, WEIR_MSG_ASK, ask.avoid, 0, 65535),
    S(13, WEIR_MSG_ASK, ask.prefer, 0),

    U(2, WEIR_MSG_GRANT, grant.seq, 1, ALL64),
    U(3, WEIR_MSG_GRANT, grant.start_in_us, 0, T400D),
    U(4, WEIR_MSG_GRANT, grant.ttl_us, 1, T400D),
    U(5, WEIR_MSG_GRANT, grant.since_us, 0, T400D),
    S(6, WEIR_MSG_GRANT, grant.pool, 1),
    S(7, WEIR_MSG_GRANT, grant.model, 1),
    B(8, WEIR_MSG_GRANT, grant.is_reported),
    U(9, WEIR_MSG_GRANT, grant.choice, 0, 16),
    U(10, WEIR_MSG_GRANT, grant.choices, 0, 16),
    U(11, WEIR_MSG_GRANT, grant.timeout_us, 0, T400D),
    B(12, WEIR_MSG_GRANT, grant.is_probe),
    U(13, WEIR_MSG_GRANT, grant.ratio_pm, 0, 1000000),
    U(14, WEIR_MSG_GRANT, grant.ratio_error_pm, 0, 1000000),
    U(15, WEIR_MSG_GRANT, grant.requests_limit, 0, ALL64),
    U(16, WEIR_MSG_GRANT, grant.requests_left, 0, ALL64),
    U(17, WEIR_MSG_GRANT, grant.tokens_limit, 0, ALL64),
    U(18, WEIR_MSG_GRANT, grant.tokens_left, 0, ALL64),
    U(19, WEIR_MSG_GRANT, grant.without, 0, 3),

    U(2, WEIR_MSG_QUEUED, queued.seq, 1, ALL64),
    U(3, WEIR_MSG_QUEUED, queued.eta_us, 0, T400D),
    U(4, WEIR_MSG_QUEUED, queued.ahead, 0, ALL32),

    U(2, WEIR_MSG_DENY, deny.seq, 1, ALL64),
    U(3, WEIR_MSG_DENY, deny.why, 1, 9),
    U(4, WEIR_MSG_DENY, deny.retry_in_us, 0, T400D),
    U(5, WEIR_MSG_DENY, deny.dimension, 0, 6),
    U(6, WEIR_MSG_DENY, deny.window_us, 0, T400D),
    U(7, WEIR_MSG_DENY, deny.cost, 0, AMT),
    U(8, WEIR_MSG_DENY, deny.amount, 0, AMT),
    S(9, WEIR_MSG_DENY, deny.pool, 0),

    U(2, WEIR_MSG_SETTLE, settle.seq, 1, ALL64),
    B(3, WEIR_MSG_SETTLE, settle.is_sent),
    B(4, WEIR_MSG_SETTLE, settle.is_final),
    B(5, WEIR_MSG_SETTLE, settle.has_usage),
    U(6, WEIR_MSG_SETTLE, settle.sent_ago_us, 0, T400D),
    U(7, WEIR_MSG_SETTLE, settle.outcome, 0, 21),
    U(8, WEIR_MSG_SETTLE, settle.http, 0, 999),
    U(9, WEIR_MSG_SETTLE, settle.input_tokens, 0, TOK),
    U(10, WEIR_MSG_SETTLE, settle.output_tokens, 0, TOK),
    U(11, WEIR_MSG_SETTLE, settle.retry_after_us, 0, T400D),
    U(12, WEIR_MSG_SETTLE, settle.latency_us, 0, T400D),
    U(13, WEIR_MSG_SETTLE, settle.stated_limit, 0, AMT),
    U(14, WEIR_MSG_SETTLE, settle.stated_used, 0, AMT),
    U(15, WEIR_MSG_SETTLE, settle.requests_limit, 0, AMT),
    U(16, WEIR_MSG_SETTLE, settle.requests_left, 0, AMT),
    U(17, WEIR_MSG_SETTLE, settle.tokens_limit, 0, AMT),
    U(18, WEIR_MSG_SETTLE, settle.tokens_left, 0, AMT),
    U(19, WEIR_MSG_SETTLE, settle.estimated_tokens, 0, TOK),
    S(20, WEIR_MSG_SETTLE, settle.island, 0),

    U(2, WEIR_MSG_CANCEL, cancel.seq, 1, ALL64),

    U(2, WEIR_MSG_PONG, pong.epoch, 0, ALL64),

    U(2, WEIR_MSG_SHOW, show.view, 1, 6),
    U(3, WEIR_MSG_SHOW, show.row, 0, ALL32),

    U(2, WEIR_MSG_ROW, row.view, 1, 6),
    U(3, WEIR_MSG_ROW, row.row, 0, ALL32),
    U(4, WEIR_MSG_ROW, row.rows, 0, ALL32),
    U(5, WEIR_MSG_ROW, row.epoch, 0, ALL64),
    U(6, WEIR_MSG_ROW, row.uptime_us, 0, ALL64),
    U(7, WEIR_MSG_ROW, row.sessions, 0, ALL32),
    U(8, WEIR_MSG_ROW, row.pools, 0, ALL32),
    {WEIR_MSG_ROW, 9, "row.counters", FIELDS_ARRAY, AT(row.counters), 0, 24},
    S(10, WEIR_MSG_ROW, row.pool, 0),
    {WEIR_MSG_ROW, 11, "row.limits", FIELDS_LIMITS, AT(row.limits), 0, 8},
    {WEIR_MSG_ROW, 12, "row.queued", FIELDS_ARRAY, AT(row.queued), 0, 2},
    U(13, WEIR_MSG_ROW, row.leases, 0, ALL32),
    U(14, WEIR_MSG_ROW, row.grants, 0, ALL64),
    U(15, WEIR_MSG_ROW, row.rejected_429, 0, ALL64),
    U(16, WEIR_MSG_ROW, row.frozen_us, 0, T400D),
    U(17, WEIR_MSG_ROW, row.profile, 0, 4),
    U(18, WEIR_MSG_ROW, row.breaker, 0, 4),
    U(19, WEIR_MSG_ROW, row.open_us, 0, T400D),
    U(20, WEIR_MSG_ROW, row.probes, 0, ALL32),
    U(21, WEIR_MSG_ROW, row.retries, 0, ALL64),
    U(22, WEIR_MSG_ROW, row.latency_p50_us, 0, T400D),
    U(23, WEIR_MSG_ROW, row.latency_p95_us, 0, T400D),
    U(24, WEIR_MSG_ROW, row.latency_p99_us, 0, T400D),
    {WEIR_MSG_ROW, 25, "row.figures", FIELDS_ARRAY, AT(row.figures), 0, 31},
    S(26, WEIR_MSG_ROW, row.by, 0),
    S(27, WEIR_MSG_ROW, row.tenant, 0),
    S(28, WEIR_MSG_ROW, row.instance, 0),
    U(29, WEIR_MSG_ROW, row.islands, 0, ALL32),
    U(30, WEIR_MSG_ROW, row.island_calls, 0, ALL64),
    U(31, WEIR_MSG_ROW, row.without, 0, 3),

    S(2, WEIR_MSG_STATE, state.pool, 0),
    U(3, WEIR_MSG_STATE, state.breaker, 0, 4),
    B(4, WEIR_MSG_STATE, state.is_held),
    U(5, WEIR_MSG_STATE, state.open_us, 0, T400D),
    U(6, WEIR_MSG_STATE, state.closed_us, 0, T400D),

    S(2, WEIR_MSG_STEER, steer.pool, 1),
    U(3, WEIR_MSG_STEER, steer.steer, 1, 4),

    S(2, WEIR_MSG_ISLAND, island.pool, 1),
    U(3, WEIR_MSG_ISLAND, island.for_us, 0, T400D),
    U(4, WEIR_MSG_ISLAND, island.ttl_us, 0, T400D),
    U(5, WEIR_MSG_ISLAND, island.idle_us, 0, T400D),
    {WEIR_MSG_ISLAND, 6, "island.parts", FIELDS_PARTS, AT(island.parts), 0, 8},
};

const size_t fields_count = sizeof(fields) / sizeof(fields[0]);

/* The numbers of a limit, in the order of their keys. */
static const uint64_t limit_max[FIELDS_LIMIT_KEYS] = {6,   T400D, AMT,   AMT, AMT, 1, AMT,
                                                      AMT, T400D, T400D, AMT, AMT, 1};
static const uint64_t part_max[FIELDS_PART_KEYS] = {4, AMT, T400D, AMT};

static uint64_t number_load(const void *at, size_t size)
{
  uint32_t word;
  uint64_t value;

  if (size == sizeof(word)) {
    memcpy(&word, at, sizeof(word));
    return word;
  }
  memcpy(&value, at, sizeof(value));
  return value;
}

static void number_store(void *at, size_t size, uint64_t value)
{
  uint32_t word = (uint32_t)value;

  if (size == sizeof(word))
    memcpy(at, &word, sizeof(word));
  else
    memcpy(at, &value, sizeof(value));
}

static size_t unit_of(const struct fields_entry *f)
{
  return f->size / (size_t)(f->max + 1);
}

static uint64_t limit_load(const struct weir_msg_row_limit *limit, uint32_t key)
{
  const uint64_t numbers[FIELDS_LIMIT_KEYS] = {
      limit->dimension, limit->window_us, limit->amount, limit->used,      limit->effective,
      limit->is_shadow, limit->leased,    limit->stated, limit->closed_us, limit->half_us,
      limit->islands,   limit->ramp,      limit->is_day};

  return numbers[key];
}

static void limit_store(struct weir_msg_row_limit *limit, uint32_t key, uint64_t value)
{
  switch (key) {
  case 0:
    limit->dimension = (enum weir_dimension)value;
    break;
  case 1:
    limit->window_us = value;
    break;
  case 2:
    limit->amount = value;
    break;
  case 3:
    limit->used = value;
    break;
  case 4:
    limit->effective = value;
    break;
  case 5:
    limit->is_shadow = value != 0;
    break;
  case 6:
    limit->leased = value;
    break;
  case 7:
    limit->stated = value;
    break;
  case 8:
    limit->closed_us = value;
    break;
  case 9:
    limit->half_us = value;
    break;
  case 10:
    limit->islands = value;
    break;
  case 11:
    limit->ramp = value;
    break;
  default:
    limit->is_day = value != 0;
  }
}

static uint64_t part_load(const struct weir_msg_island_part *part, uint32_t key)
{
  const uint64_t numbers[FIELDS_PART_KEYS] = {part->dimension, part->amount, part->window_us,
                                              part->burst};

  return numbers[key];
}

static void part_store(struct weir_msg_island_part *part, uint32_t key, uint64_t value)
{
  switch (key) {
  case 0:
    part->dimension = (enum weir_dimension)value;
    break;
  case 1:
    part->amount = value;
    break;
  case 2:
    part->window_us = value;
    break;
  default:
    part->burst = value;
  }
}

bool fields_is_in(const struct fields_entry *f, enum weir_msg_type type)
{
  return f->type == 0 || f->type == type;
}

bool fields_is_same(const struct weir_msg *a, const struct weir_msg *b)
{
  const uint8_t *bytes_a = (const uint8_t *)a, *bytes_b = (const uint8_t *)b;

  return memcmp(bytes_a, bytes_b, sizeof(*a)) == 0;
}

uint64_t fields_load(const struct fields_entry *f, const struct weir_msg *msg)
{
  const uint8_t *at = (const uint8_t *)msg + f->offset;

  if (f->kind == FIELDS_BOOL)
    return *(const bool *)at;
  return number_load(at, f->size);
}

void fields_store(const struct fields_entry *f, struct weir_msg *msg, uint64_t value)
{
  uint8_t *at = (uint8_t *)msg + f->offset;
  bool flag = value != 0;

  if (f->kind == FIELDS_BOOL)
    memcpy(at, &flag, sizeof(flag));
  else
    number_store(at, f->size, value);
}

/* Fills |f| with numbers from |draw|, which gets a least and a largest value. */
static void fill(const struct fields_entry *f, struct weir_msg *msg, struct weir_rng *rng,
                 uint64_t (*draw)(struct weir_rng *rng, uint64_t min, uint64_t max))
{
  uint8_t *at = (uint8_t *)msg + f->offset;
  uint64_t count;

  switch (f->kind) {
  case FIELDS_UINT:
  case FIELDS_BOOL:
    fields_store(f, msg, draw(rng, f->min, f->max));
    break;
  case FIELDS_TEXT:
    count = draw(rng, f->min, f->max);
    for (uint64_t i = 0; i < count; i++)
      at[i] = (uint8_t)draw(rng, 0x20, 0x7e);
    break;
  case FIELDS_BYTES:
    for (size_t i = 0; i < f->size; i++)
      at[i] = (uint8_t)draw(rng, 0, 255);
    break;
  case FIELDS_ARRAY:
    for (uint64_t i = 1; i <= f->max; i++)
      number_store(at + i * unit_of(f), unit_of(f),
                   draw(rng, 0, unit_of(f) == 4 ? UINT32_MAX : UINT64_MAX));
    break;
  case FIELDS_LIMITS:
    msg->row.limits_count = (uint32_t)draw(rng, 0, f->max);
    for (uint32_t i = 0; i < msg->row.limits_count; i++) {
      for (uint32_t key = 0; key < FIELDS_LIMIT_KEYS; key++)
        limit_store(&msg->row.limits[i], key, draw(rng, key == 0, limit_max[key]));
    }
    break;
  case FIELDS_PARTS:
    msg->island.parts_count = (uint32_t)draw(rng, 0, f->max);
    for (uint32_t i = 0; i < msg->island.parts_count; i++) {
      for (uint32_t key = 0; key < FIELDS_PART_KEYS; key++)
        part_store(&msg->island.parts[i], key, draw(rng, 1, part_max[key]));
    }
    break;
  }
}

static void fill_all(enum weir_msg_type type, struct weir_msg *msg, struct weir_rng *rng,
                     uint64_t (*draw)(struct weir_rng *rng, uint64_t min, uint64_t max))
{
  memset(msg, 0, sizeof(*msg));
  msg->type = type;
  for (size_t i = 0; i < fields_count; i++) {
    if (fields_is_in(&fields[i], type))
      fill(&fields[i], msg, rng, draw);
  }
}

static uint64_t draw_least(struct weir_rng *rng, uint64_t min, uint64_t max)
{
  (void)rng;
  (void)max;
  return min;
}

static uint64_t draw_most(struct weir_rng *rng, uint64_t min, uint64_t max)
{
  (void)rng;
  (void)min;
  return max;
}

/* Bounds, neighbours of the widths of msgpack's integers, and anything in between. */
static uint64_t draw_any(struct weir_rng *rng, uint64_t min, uint64_t max)
{
  uint64_t value = weir_rng_next(rng) >> weir_rng_below(rng, 64);

  switch (weir_rng_below(rng, 5)) {
  case 0:
    return min;
  case 1:
    return max;
  case 2:
    value = (UINT64_C(1) << weir_rng_below(rng, 64)) - weir_rng_below(rng, 2);
    break;
  default:
    break;
  }
  return value >= min && value <= max ? value : min + value % (max - min + 1 ? max - min + 1 : 1);
}

void fields_least(enum weir_msg_type type, struct weir_msg *msg)
{
  fill_all(type, msg, NULL, draw_least);
}

void fields_most(enum weir_msg_type type, struct weir_msg *msg)
{
  fill_all(type, msg, NULL, draw_most);
}

void fields_random(enum weir_msg_type type, struct weir_rng *rng, struct weir_msg *msg)
{
  fill_all(type, msg, rng, draw_any);
}

static uint64_t number_parse(const char **at)
{
  char *end;
  uint64_t value = strtoull(*at, &end, 10);

  if (end == *at)
    fail_msg("a number is missing at: %s", *at);
  *at = end;
  return value;
}

static void bytes_parse(const char **at, uint8_t *bytes, size_t size)
{
  for (size_t i = 0; i < size; i++, *at += 2) {
    char digits[3] = {(*at)[0], (*at)[1], 0};

    bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
  }
}

/* Reads the value of |f| at |at|: 12, "text", 00ff..., 1,2,3 or limits as 1/60000000/100/5,...
 * whose last numbers may be missing: they are 0 then. */
static const char *value_parse(const struct fields_entry *f, const char *at, struct weir_msg *msg)
{
  uint8_t *to = (uint8_t *)msg + f->offset;

  switch (f->kind) {
  case FIELDS_UINT:
  case FIELDS_BOOL:
    fields_store(f, msg, number_parse(&at));
    break;
  case FIELDS_TEXT:
    assert_int_equal(*at++, '"');
    while (*at != '"')
      *to++ = (uint8_t)*at++;
    at++;
    break;
  case FIELDS_BYTES:
    bytes_parse(&at, to, f->size);
    break;
  case FIELDS_ARRAY:
    do {
      to += unit_of(f);
      number_store(to, unit_of(f), number_parse(&at));
    } while (*at++ == ',');
    at--;
    break;
  case FIELDS_LIMITS:
    do {
      uint32_t key = 0;

      do
        limit_store(&msg->row.limits[msg->row.limits_count], key++, number_parse(&at));
      while (key < FIELDS_LIMIT_KEYS && *at == '/' && at++);
      msg->row.limits_count++;
    } while (*at++ == ',');
    at--;
    break;
  case FIELDS_PARTS:
    do {
      uint32_t key = 0;

      do
        part_store(&msg->island.parts[msg->island.parts_count], key++, number_parse(&at));
      while (key < FIELDS_PART_KEYS && *at++ == '/');
      msg->island.parts_count++;
    } while (*at++ == ',');
    at--;
    break;
  }
  return at;
}

static const struct fields_entry *entry_find(enum weir_msg_type type, const char *name, size_t size)
{
  for (size_t i = 0; i < fields_count; i++) {
    const char *dot = strchr(fields[i].name, '.');
    const char *known = dot ? dot + 1 : fields[i].name;

    if (fields_is_in(&fields[i], type) && strlen(known) == size && memcmp(known, name, size) == 0)
      return &fields[i];
  }
  fail_msg("no such field: %.*s", (int)size, name);
  return NULL;
}

void fields_parse(const char *meaning, struct weir_msg *msg)
{
  size_t word = strcspn(meaning, " ");

  memset(msg, 0, sizeof(*msg));
  for (int type = 1; type < WEIR_MSG_MAX; type++) {
    const char *name = weir_msg_name((enum weir_msg_type)type);

    if (strlen(name) == word && memcmp(name, meaning, word) == 0)
      msg->type = (enum weir_msg_type)type;
  }
  assert_int_not_equal(msg->type, 0);
  for (meaning += word; *meaning == ' ';) {
    size_t size = strcspn(++meaning, "=");

    meaning = value_parse(entry_find(msg->type, meaning, size), meaning + size + 1, msg);
  }
  assert_int_equal(*meaning, '\0');
}

void fields_pack_head(msgpack_sbuffer *buffer, enum weir_msg_type type)
{
  const char head[] = {WEIR_MAGIC, WEIR_PROTOCOL_VERSION, (char)type, 0};

  msgpack_sbuffer_write(buffer, head, sizeof(head));
}

void fields_pack_one(msgpack_packer *pk, const struct fields_entry *f, const struct weir_msg *msg)
{
  const uint8_t *at = (const uint8_t *)msg + f->offset;

  msgpack_pack_uint32(pk, f->key);
  switch (f->kind) {
  case FIELDS_UINT:
    msgpack_pack_uint64(pk, fields_load(f, msg));
    break;
  case FIELDS_BOOL:
    if (fields_load(f, msg))
      msgpack_pack_true(pk);
    else
      msgpack_pack_false(pk);
    break;
  case FIELDS_TEXT:
    msgpack_pack_str_with_body(pk, at, strlen((const char *)at));
    break;
  case FIELDS_BYTES:
    msgpack_pack_bin_with_body(pk, at, f->size);
    break;
  case FIELDS_ARRAY:
    msgpack_pack_array(pk, f->max);
    for (uint64_t i = 1; i <= f->max; i++)
      msgpack_pack_uint64(pk, number_load(at + i * unit_of(f), unit_of(f)));
    break;
  case FIELDS_LIMITS:
    msgpack_pack_array(pk, msg->row.limits_count);
    for (uint32_t i = 0; i < msg->row.limits_count; i++) {
      msgpack_pack_map(pk, FIELDS_LIMIT_KEYS);
      for (uint32_t key = 0; key < FIELDS_LIMIT_KEYS; key++) {
        uint64_t value = limit_load(&msg->row.limits[i], key);

        msgpack_pack_uint32(pk, key);
        if (key != FIELDS_LIMIT_SHADOW && key != FIELDS_LIMIT_DAY)
          msgpack_pack_uint64(pk, value);
        else if (value)
          msgpack_pack_true(pk);
        else
          msgpack_pack_false(pk);
      }
    }
    break;
  case FIELDS_PARTS:
    msgpack_pack_array(pk, msg->island.parts_count);
    for (uint32_t i = 0; i < msg->island.parts_count; i++) {
      msgpack_pack_map(pk, FIELDS_PART_KEYS);
      for (uint32_t key = 0; key < FIELDS_PART_KEYS; key++) {
        msgpack_pack_uint32(pk, key);
        msgpack_pack_uint64(pk, part_load(&msg->island.parts[i], key));
      }
    }
    break;
  }
}
