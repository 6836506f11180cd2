#include <weir/codec.h>

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include <msgpack/pack.h>

#include <weir/cursor.h>

/* One table says what stands on the wire; the code below only follows it. A field is found by its
 * key, kept in the struct at |offset|, and has |size| bytes there.
 *
 * Whether it may be left out follows from its range: a field that may be 0 (false, empty) is left
 * out when it is, and a reader that misses it takes 0. The others are required.
 */
enum kind {
  KIND_NONE, /* ends a table: keys have no gaps */
  KIND_UINT, /* uint64_t, uint32_t or an enum, min..max */
  KIND_BOOL,
  KIND_STR,    /* printable ASCII, min..max characters */
  KIND_BIN,    /* exactly |size| bytes, required */
  KIND_UINTS,  /* array of uint64_t or uint32_t (|unit| bytes each), numbered from 1 */
  KIND_LIMITS, /* struct weir_msg_row's limits */
  KIND_PARTS   /* struct weir_msg_island's parts */
};

struct field {
  uint8_t kind, unit;
  uint16_t offset, size;
  uint64_t min, max;
};

#define KEYS_MAX        32 /* keys are 0..31 */
#define ARRAY_COUNT_MAX 64 /* of KIND_UINTS: a newer peer may count more than we know */

#define SIZE_IN(base, member) sizeof(((base *)0)->member)
#define SIZE(member)          SIZE_IN(struct weir_msg, member)

#define FIELD_IN(base, kind, unit, member, min, max)                                               \
  {                                                                                                \
    kind, unit, offsetof(base, member), SIZE_IN(base, member), min, max                            \
  }
#define FIELD(kind, unit, member, min, max) FIELD_IN(struct weir_msg, kind, unit, member, min, max)

#define UINT(member, min, max) FIELD(KIND_UINT, 0, member, min, max)
#define ENUM(member, max)      FIELD(KIND_UINT, 0, member, 1, (max)-1)
#define BOOL(member)           FIELD(KIND_BOOL, 0, member, 0, 1)
#define NAME(member)           FIELD(KIND_STR, 0, member, 1, SIZE(member) - 1)
#define TEXT(member)           FIELD(KIND_STR, 0, member, 0, SIZE(member) - 1)
#define BYTES(member)          FIELD(KIND_BIN, 0, member, SIZE(member), SIZE(member))
#define UINTS(member)          FIELD(KIND_UINTS, SIZE(member[0]), member, 0, ARRAY_COUNT_MAX)
#define LIMITS(member)         FIELD(KIND_LIMITS, 0, member, 0, WEIR_LIMITS_MAX)
#define PARTS(member)          FIELD(KIND_PARTS, 0, member, 0, WEIR_LIMITS_MAX)

#define DURATION(member) UINT(member, 0, WEIR_DURATION_MAX)
#define AMOUNT(member)   UINT(member, 0, WEIR_AMOUNT_MAX)
#define TOKENS(member)   UINT(member, 0, WEIR_TOKENS_MAX)
#define ANY64(member)    UINT(member, 0, UINT64_MAX)
#define ANY32(member)    UINT(member, 0, UINT32_MAX)
#define SEQ(member)      UINT(member, 1, UINT64_MAX)
#define VERSION(member)  UINT(member, 1, 255)
#define COMMON           [0] = ANY64(session), [1] = ANY64(mark)

static const struct field layouts[WEIR_MSG_MAX][KEYS_MAX] =
    {
        [WEIR_MSG_HELLO] =
            {
                COMMON,
                [2] = BYTES(hello.instance),
                [3] = ANY64(hello.incarnation),
                [4] = VERSION(hello.version_min),
                [5] = VERSION(hello.version_max),
                [6] = TEXT(hello.name),
                [7] = BOOL(hello.takes_islands),
            },
        [WEIR_MSG_WELCOME] =
            {
                COMMON,
                [2] = ANY64(welcome.epoch),
                [3] = VERSION(welcome.version),
                [4] = UINT(welcome.heartbeat_us, 1, WEIR_DURATION_MAX),
                [5] = UINT(welcome.session_ttl_us, 1, WEIR_DURATION_MAX),
                [6] = ANY32(welcome.asks_max),
                [7] = TEXT(welcome.coordinator),
            },
        [WEIR_MSG_REFUSE] =
            {
                COMMON,
                [2] = ENUM(refuse.why, WEIR_REFUSAL_MAX),
                [3] = DURATION(refuse.retry_in_us),
            },
        [WEIR_MSG_ASK] =
            {
                COMMON,
                [2] = SEQ(ask.seq),
                [3] = NAME(ask.model),
                [4] = ENUM(ask.class, WEIR_CLASS_MAX),
                [5] = UINT(ask.requests, 1, WEIR_REQUESTS_MAX),
                [6] = TOKENS(ask.input_tokens),
                [7] = TOKENS(ask.output_tokens),
                [8] = DURATION(ask.deadline_us),
                [9] = TEXT(ask.tenant),
                [10] = BOOL(ask.is_standing),
                [11] = UINT(ask.attempts, 0, WEIR_ATTEMPTS_MAX),
                [12] = UINT(ask.avoid, 0, (UINT64_C(1) << WEIR_CHOICES_MAX) - 1),
                [13] = TEXT(ask.prefer),
            },
        [WEIR_MSG_GRANT] =
            {
                COMMON,
                [2] = SEQ(grant.seq),
                [3] = DURATION(grant.start_in_us),
                [4] = UINT(grant.ttl_us, 1, WEIR_DURATION_MAX),
                [5] = DURATION(grant.since_us),
                [6] = NAME(grant.pool),
                [7] = NAME(grant.model),
                [8] = BOOL(grant.is_reported),
                [9] = UINT(grant.choice, 0, WEIR_CHOICES_MAX),
                [10] = UINT(grant.choices, 0, WEIR_CHOICES_MAX),
                [11] = DURATION(grant.timeout_us),
                [12] = BOOL(grant.is_probe),
                [13] = UINT(grant.ratio_pm, 0, WEIR_RATIO_MAX_PM),
                [14] = UINT(grant.ratio_error_pm, 0, WEIR_RATIO_MAX_PM),
                [15] = ANY64(grant.requests_limit),
                [16] = ANY64(grant.requests_left),
                [17] = ANY64(grant.tokens_limit),
                [18] = ANY64(grant.tokens_left),
                [19] = UINT(grant.without, 0, WEIR_WITHOUT_MAX - 1),
            },
        [WEIR_MSG_QUEUED] =
            {
                COMMON,
                [2] = SEQ(queued.seq),
                [3] = DURATION(queued.eta_us),
                [4] = ANY32(queued.ahead),
            },
        [WEIR_MSG_DENY] =
            {
                COMMON,
                [2] = SEQ(deny.seq),
                [3] = ENUM(deny.why, WEIR_DENIAL_MAX),
                [4] = DURATION(deny.retry_in_us),
                [5] = UINT(deny.dimension, 0, WEIR_DIMENSION_MAX - 1),
                [6] = DURATION(deny.window_us),
                [7] = AMOUNT(deny.cost),
                [8] = AMOUNT(deny.amount),
                [9] = TEXT(deny.pool),
            },
        [WEIR_MSG_SETTLE] =
            {
                COMMON,
                [2] = SEQ(settle.seq),
                [3] = BOOL(settle.is_sent),
                [4] = BOOL(settle.is_final),
                [5] = BOOL(settle.has_usage),
                [6] = DURATION(settle.sent_ago_us),
                [7] = UINT(settle.outcome, 0, WEIR_OUTCOME_MAX - 1),
                [8] = UINT(settle.http, 0, 999),
                [9] = TOKENS(settle.input_tokens),
                [10] = TOKENS(settle.output_tokens),
                [11] = DURATION(settle.retry_after_us),
                [12] = DURATION(settle.latency_us),
                [13] = AMOUNT(settle.stated_limit),
                [14] = AMOUNT(settle.stated_used),
                [15] = AMOUNT(settle.requests_limit),
                [16] = AMOUNT(settle.requests_left),
                [17] = AMOUNT(settle.tokens_limit),
                [18] = AMOUNT(settle.tokens_left),
                [19] = TOKENS(settle.estimated_tokens),
                [20] = TEXT(settle.island),
            },
        [WEIR_MSG_CANCEL] =
            {
                COMMON,
                [2] = SEQ(cancel.seq),
            },
        [WEIR_MSG_PING] = {COMMON},
        [WEIR_MSG_PONG] =
            {
                COMMON,
                [2] = ANY64(pong.epoch),
            },
        [WEIR_MSG_BYE] = {COMMON},
        [WEIR_MSG_SHOW] =
            {
                COMMON,
                [2] = ENUM(show.view, WEIR_VIEW_MAX),
                [3] = ANY32(show.row),
            },
        [WEIR_MSG_ROW] =
            {
                COMMON,
                [2] = ENUM(row.view, WEIR_VIEW_MAX),
                [3] = ANY32(row.row),
                [4] = ANY32(row.rows),
                [5] = ANY64(row.epoch),
                [6] = ANY64(row.uptime_us),
                [7] = ANY32(row.sessions),
                [8] = ANY32(row.pools),
                [9] = UINTS(row.counters),
                [10] = TEXT(row.pool),
                [11] = LIMITS(row.limits),
                [12] = UINTS(row.queued),
                [13] = ANY32(row.leases),
                [14] = ANY64(row.grants),
                [15] = ANY64(row.rejected_429),
                [16] = DURATION(row.frozen_us),
                [17] = UINT(row.profile, 0, WEIR_PROFILE_MAX - 1),
                [18] = UINT(row.breaker, 0, WEIR_BREAKER_MAX - 1),
                [19] = DURATION(row.open_us),
                [20] = ANY32(row.probes),
                [21] = ANY64(row.retries),
                [22] = DURATION(row.latency_p50_us),
                [23] = DURATION(row.latency_p95_us),
                [24] = DURATION(row.latency_p99_us),
                [25] = UINTS(row.figures),
                [26] = TEXT(row.by),
                [27] = TEXT(row.tenant),
                [28] = TEXT(row.instance),
                [29] = ANY32(row.islands),
                [30] = ANY64(row.island_calls),
                [31] = UINT(row.without, 0, WEIR_WITHOUT_MAX - 1),
            },
        [WEIR_MSG_STATE] =
            {
                COMMON,
                [2] = TEXT(state.pool),
                [3] = UINT(state.breaker, 0, WEIR_BREAKER_MAX - 1),
                [4] = BOOL(state.is_held),
                [5] = DURATION(state.open_us),
                [6] = DURATION(state.closed_us),
            },
        [WEIR_MSG_STEER] =
            {
                COMMON,
                [2] = NAME(steer.pool),
                [3] = ENUM(steer.steer, WEIR_STEER_MAX),
            },
        [WEIR_MSG_ISLAND] =
            {
                COMMON,
                [2] = NAME(island.pool),
                [3] = DURATION(island.for_us),
                [4] = DURATION(island.ttl_us),
                [5] = DURATION(island.idle_us),
                [6] = PARTS(island.parts),
            },
};

#define LIMIT(kind, member, min, max) FIELD_IN(struct weir_msg_row_limit, kind, 0, member, min, max)
#define LIMIT_UINT(member, min, max)  LIMIT(KIND_UINT, member, min, max)

static const struct field limit_layout[KEYS_MAX] = {
    [0] = LIMIT_UINT(dimension, 1, WEIR_DIMENSION_MAX - 1),
    [1] = LIMIT_UINT(window_us, 0, WEIR_DURATION_MAX),
    [2] = LIMIT_UINT(amount, 0, WEIR_AMOUNT_MAX),
    [3] = LIMIT_UINT(used, 0, WEIR_AMOUNT_MAX),
    [4] = LIMIT_UINT(effective, 0, WEIR_AMOUNT_MAX),
    [5] = LIMIT(KIND_BOOL, is_shadow, 0, 1),
    [6] = LIMIT_UINT(leased, 0, WEIR_AMOUNT_MAX),
    [7] = LIMIT_UINT(stated, 0, WEIR_AMOUNT_MAX),
    [8] = LIMIT_UINT(closed_us, 0, WEIR_DURATION_MAX),
    [9] = LIMIT_UINT(half_us, 0, WEIR_DURATION_MAX),
    [10] = LIMIT_UINT(islands, 0, WEIR_AMOUNT_MAX),
    [11] = LIMIT_UINT(ramp, 0, WEIR_AMOUNT_MAX),
    [12] = LIMIT(KIND_BOOL, is_day, 0, 1),
};

#define PART_UINT(member, min, max)                                                                \
  FIELD_IN(struct weir_msg_island_part, KIND_UINT, 0, member, min, max)

static const struct field part_layout[KEYS_MAX] = {
    [0] = PART_UINT(dimension, 1, WEIR_DIMENSION_TOTAL_TOKENS),
    [1] = PART_UINT(amount, 1, WEIR_AMOUNT_MAX),
    [2] = PART_UINT(window_us, 1, WEIR_DURATION_MAX),
    [3] = PART_UINT(burst, 1, WEIR_AMOUNT_MAX),
};

static_assert(sizeof(enum weir_outcome) == sizeof(uint32_t), "enums are read as uint32_t");
static_assert((int)WEIR_ROW_COUNTERS <= ARRAY_COUNT_MAX &&
                  (int)WEIR_FIGURE_MAX <= ARRAY_COUNT_MAX && WEIR_CLASS_MAX <= ARRAY_COUNT_MAX,
              "an array of ours must pass its own reader");

static uint64_t uint_load(const uint8_t *at, size_t size)
{
  uint64_t value = 0;
  uint32_t word = 0;

  if (size == sizeof(value)) {
    memcpy(&value, at, sizeof(value));
    return value;
  }
  assert(size == sizeof(word));
  memcpy(&word, at, sizeof(word));
  return word;
}

static void uint_store(uint8_t *at, size_t size, uint64_t value)
{
  uint32_t word = (uint32_t)value;

  if (size == sizeof(value)) {
    memcpy(at, &value, sizeof(value));
    return;
  }
  assert(size == sizeof(word) && word == value);
  memcpy(at, &word, sizeof(word));
}

static uint64_t uint_max(size_t size)
{
  return size == sizeof(uint64_t) ? UINT64_MAX : UINT32_MAX;
}

/* The printable ASCII characters before the NUL, or |size| when there is no NUL within it or a
 * character that is not printable. */
static size_t text_length(const uint8_t *at, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    if (at[i] == '\0')
      return i;
    if (at[i] < 0x20 || at[i] > 0x7e)
      break;
  }
  return size;
}

/* Where element |number| of a KIND_UINTS stands within it. */
static size_t element(const struct field *f, uint32_t number)
{
  return (size_t)number * f->unit;
}

/* How many elements of a KIND_UINTS go on the wire: up to the last that is not 0. */
static uint32_t uints_count(const struct field *f, const uint8_t *at)
{
  uint32_t count = (uint32_t)(f->size / f->unit) - 1;

  while (count > 0 && uint_load(at + element(f, count), f->unit) == 0)
    count--;
  return count;
}

static uint32_t limits_count(const void *base)
{
  return ((const struct weir_msg *)base)->row.limits_count;
}

static uint32_t parts_count(const void *base)
{
  return ((const struct weir_msg *)base)->island.parts_count;
}

/* What is held against the range of |f|: its value, length or count. 0 may be left out. */
static uint64_t weight(const struct field *f, const void *base)
{
  const uint8_t *at = (const uint8_t *)base + f->offset;
  bool flag;

  switch ((enum kind)f->kind) {
  case KIND_UINT:
    return uint_load(at, f->size);
  case KIND_BOOL:
    memcpy(&flag, at, sizeof(flag));
    return flag;
  case KIND_STR:
    return text_length(at, f->size);
  case KIND_BIN:
    return f->size;
  case KIND_UINTS:
    return uints_count(f, at);
  case KIND_LIMITS:
    return limits_count(base);
  case KIND_PARTS:
    return parts_count(base);
  case KIND_NONE:
    break;
  }
  return 0;
}

static bool is_in_range(const struct field *f, uint64_t value)
{
  return value >= f->min && value <= f->max;
}

struct writer {
  msgpack_packer pk;
  uint8_t *at, *end;
  bool is_full, is_invalid;
};

static int writer_add(void *data, const char *bytes, size_t size)
{
  struct writer *w = data;

  if (w->is_full || size > (size_t)(w->end - w->at)) {
    w->is_full = true;
    return -1;
  }
  memcpy(w->at, bytes, size);
  w->at += size;
  return 0;
}

static void map_pack(struct writer *w, const struct field *layout, const void *base);

static void field_pack(struct writer *w, const struct field *f, const void *base, uint64_t value)
{
  const uint8_t *at = (const uint8_t *)base + f->offset;

  switch ((enum kind)f->kind) {
  case KIND_UINT:
    msgpack_pack_uint64(&w->pk, value);
    break;
  case KIND_BOOL:
    msgpack_pack_true(&w->pk);
    break;
  case KIND_STR:
    msgpack_pack_str_with_body(&w->pk, at, value);
    break;
  case KIND_BIN:
    msgpack_pack_bin_with_body(&w->pk, at, value);
    break;
  case KIND_UINTS:
    msgpack_pack_array(&w->pk, value);
    for (unsigned i = 1; i <= value; i++)
      msgpack_pack_uint64(&w->pk, uint_load(at + element(f, i), f->unit));
    break;
  case KIND_LIMITS:
    msgpack_pack_array(&w->pk, value);
    for (unsigned i = 0; i < value; i++)
      map_pack(w, limit_layout, &((const struct weir_msg *)base)->row.limits[i]);
    break;
  case KIND_PARTS:
    msgpack_pack_array(&w->pk, value);
    for (unsigned i = 0; i < value; i++)
      map_pack(w, part_layout, &((const struct weir_msg *)base)->island.parts[i]);
    break;
  case KIND_NONE:
    break;
  }
}

static void map_pack(struct writer *w, const struct field *layout, const void *base)
{
  uint64_t values[KEYS_MAX];
  uint32_t keys = 0, pairs = 0;

  for (; keys < KEYS_MAX && layout[keys].kind != KIND_NONE; keys++) {
    values[keys] = weight(&layout[keys], base);
    pairs += values[keys] > 0;
    if (!is_in_range(&layout[keys], values[keys])) {
      w->is_invalid = true;
      return;
    }
  }
  msgpack_pack_map(&w->pk, pairs);
  for (uint32_t key = 0; key < keys; key++) {
    if (values[key] == 0)
      continue;
    msgpack_pack_uint32(&w->pk, key);
    field_pack(w, &layout[key], base, values[key]);
  }
}

enum weir_err weir_codec_encode(const struct weir_msg *msg, void *buffer, size_t capacity,
                                size_t *size)
{
  const uint8_t head[] = {WEIR_MAGIC, WEIR_PROTOCOL_VERSION, (uint8_t)msg->type, 0};
  struct writer w;

  assert(*size <= capacity);
  if (msg->type < 1 || msg->type >= WEIR_MSG_MAX)
    return WEIR_EINVAL;
  w.at = (uint8_t *)buffer + *size;
  w.end = (uint8_t *)buffer + capacity;
  w.is_full = w.is_invalid = false;
  msgpack_packer_init(&w.pk, &w, writer_add);
  writer_add(&w, (const char *)head, sizeof(head));
  map_pack(&w, layouts[msg->type], msg);
  if (w.is_invalid)
    return WEIR_EINVAL;
  if (w.is_full)
    return WEIR_EFULL;
  *size = (size_t)(w.at - (uint8_t *)buffer);
  return WEIR_OK;
}

static void map_read(struct weir_cursor *c, const struct field *layout, void *base);

static void uints_read(struct weir_cursor *c, const struct field *f, uint8_t *at)
{
  uint32_t count = 0, known = (uint32_t)(f->size / f->unit) - 1;
  uint64_t value = 0;

  weir_cursor_array(c, ARRAY_COUNT_MAX, &count);
  for (uint32_t i = 1; i <= count && c->err == WEIR_OK; i++) {
    weir_cursor_uint(c, i <= known ? uint_max(f->unit) : UINT64_MAX, &value);
    if (i <= known)
      uint_store(at + element(f, i), f->unit, value);
  }
}

static void limits_read(struct weir_cursor *c, struct weir_msg_row *row)
{
  weir_cursor_array(c, WEIR_LIMITS_MAX, &row->limits_count);
  for (uint32_t i = 0; i < row->limits_count && c->err == WEIR_OK; i++)
    map_read(c, limit_layout, &row->limits[i]);
}

static void parts_read(struct weir_cursor *c, struct weir_msg_island *island)
{
  weir_cursor_array(c, WEIR_LIMITS_MAX, &island->parts_count);
  for (uint32_t i = 0; i < island->parts_count && c->err == WEIR_OK; i++)
    map_read(c, part_layout, &island->parts[i]);
}

static void field_read(struct weir_cursor *c, const struct field *f, void *base)
{
  uint8_t *at = (uint8_t *)base + f->offset;
  uint64_t value = 0;
  bool flag = false;

  switch ((enum kind)f->kind) {
  case KIND_UINT:
    weir_cursor_uint(c, f->max, &value);
    uint_store(at, f->size, value);
    break;
  case KIND_BOOL:
    weir_cursor_bool(c, &flag);
    memcpy(at, &flag, sizeof(flag));
    break;
  case KIND_STR:
    weir_cursor_str(c, (char *)at, f->size);
    break;
  case KIND_BIN:
    weir_cursor_bin(c, at, f->size);
    break;
  case KIND_UINTS:
    uints_read(c, f, at);
    break;
  case KIND_LIMITS:
    limits_read(c, &((struct weir_msg *)base)->row);
    break;
  case KIND_PARTS:
    parts_read(c, &((struct weir_msg *)base)->island);
    break;
  case KIND_NONE:
    weir_cursor_skip(c);
    break;
  }
  if (c->err == WEIR_OK && !is_in_range(f, weight(f, base)))
    weir_cursor_fail(c, WEIR_ERANGE);
}

static void map_read(struct weir_cursor *c, const struct field *layout, void *base)
{
  uint32_t pairs = 0, seen = 0;
  uint64_t key = 0;

  weir_cursor_map(c, KEYS_MAX, &pairs);
  for (uint32_t i = 0; i < pairs && weir_cursor_uint(c, KEYS_MAX - 1, &key) == WEIR_OK; i++) {
    if (seen & UINT32_C(1) << key)
      weir_cursor_fail(c, WEIR_EDUPLICATE);
    seen |= UINT32_C(1) << key;
    if (c->err == WEIR_OK)
      field_read(c, &layout[key], base);
  }
  for (key = 0; key < KEYS_MAX && layout[key].kind != KIND_NONE; key++) {
    if (layout[key].min > 0 && !(seen & UINT32_C(1) << key))
      weir_cursor_fail(c, WEIR_EMISSING);
  }
}

static enum weir_err head_read(struct weir_cursor *c, enum weir_msg_type *ret_type)
{
  uint8_t magic = 0, version = 0, type = 0, flags = 0;

  weir_cursor_byte(c, &magic);
  if (c->err == WEIR_OK && magic != WEIR_MAGIC)
    return weir_cursor_fail(c, WEIR_EMAGIC);
  weir_cursor_byte(c, &version);
  if (c->err == WEIR_OK && (version < WEIR_PROTOCOL_VERSION_MIN || version > WEIR_PROTOCOL_VERSION))
    return weir_cursor_fail(c, WEIR_EVERSION);
  weir_cursor_byte(c, &type);
  if (c->err == WEIR_OK && (type < 1 || type >= WEIR_MSG_MAX))
    return weir_cursor_fail(c, WEIR_ETYPE);
  weir_cursor_byte(c, &flags);
  if (flags != 0)
    return weir_cursor_fail(c, WEIR_ERANGE);
  *ret_type = (enum weir_msg_type)type;
  return c->err;
}

enum weir_err weir_codec_decode(const void *bytes, size_t size, size_t *offset,
                                struct weir_msg *ret_msg)
{
  struct weir_cursor c;
  struct weir_msg msg;
  size_t left;

  assert(*offset <= size);
  if (size > WEIR_FRAME_SIZE_MAX)
    return WEIR_ERANGE;
  weir_cursor_init(&c, (const uint8_t *)bytes + *offset, size - *offset);
  left = weir_cursor_left(&c);
  memset(&msg, 0, sizeof(msg));
  if (head_read(&c, &msg.type) == WEIR_OK)
    map_read(&c, layouts[msg.type], &msg);
  if (left - weir_cursor_left(&c) > WEIR_MSG_SIZE_MAX)
    weir_cursor_fail(&c, WEIR_ERANGE);
  if (c.err != WEIR_OK)
    return c.err;
  *offset += left - weir_cursor_left(&c);
  memcpy(ret_msg, &msg, sizeof(msg));
  return WEIR_OK;
}
