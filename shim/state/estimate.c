#include <weir/estimate.h>

#include <assert.h>
#include <string.h>

#include "weights.h"

/* ---- what bytes and code points are ---- */

/* The type of an ASCII character, and what it makes of an unbroken run. Without a kind it ends the
 * run. All other bytes are 0. */
#define TYPE_MASK   0x0fu
#define KIND_DIGIT  0x10u
#define KIND_HEX    0x20u /* a-f, A-F */
#define KIND_LETTER 0x40u
#define KIND_DASH   0x80u
#define KIND_MARK   0x100u /* + / = _ */

static uint32_t ascii_of(uint8_t byte)
{
  enum {
    l = WEIR_TYPE_LOWER | KIND_LETTER,
    h = WEIR_TYPE_LOWER | KIND_HEX,
    U = WEIR_TYPE_UPPER | KIND_LETTER,
    H = WEIR_TYPE_UPPER | KIND_HEX,
    D = WEIR_TYPE_DIGIT | KIND_DIGIT,
    w = WEIR_TYPE_LOWLINE | KIND_MARK,
    d = WEIR_TYPE_DASH | KIND_DASH,
    f = WEIR_TYPE_SLASH | KIND_MARK,
    m = WEIR_TYPE_MARK | KIND_MARK,
    k = WEIR_TYPE_SLASH,
    o = WEIR_TYPE_MARK,
    s = WEIR_TYPE_SPACE,
    n = WEIR_TYPE_NEWLINE,
    t = WEIR_TYPE_TAB,
    q = WEIR_TYPE_QUOTE,
    b = WEIR_TYPE_BRACKET,
    p = WEIR_TYPE_STOP
  };
  static const uint16_t table[256] = {
      o, o, o, o, o, o, o, o, o, t, n, o, o, n, o, o, /* control characters */
      o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, /* control characters */
      s, p, q, o, o, o, o, q, b, b, o, m, p, d, p, f, /*  !"#$%&'()*+,-./ */
      D, D, D, D, D, D, D, D, D, D, p, p, b, m, b, p, /* 0123456789:;<=>? */
      o, H, H, H, H, H, H, U, U, U, U, U, U, U, U, U, /* @ABCDEFGHIJKLMNO */
      U, U, U, U, U, U, U, U, U, U, U, b, k, b, o, w, /* PQRSTUVWXYZ[\]^_ */
      q, h, h, h, h, h, h, l, l, l, l, l, l, l, l, l, /* `abcdefghijklmno */
      l, l, l, l, l, l, l, l, l, l, l, b, o, b, o, o, /* pqrstuvwxyz{|}~ */
  };

  return table[byte];
}

/* The first range that a page of 256 code points meets: from there it is a few steps. */
static const uint8_t pages[256] = {
    0,  2,  3,  4,  6,  7,  10, 10, 11, 12, 14, 16, 18, 20, 22, 24, 25, 27, 28, 28, 29, 29, 29, 29,
    31, 31, 31, 31, 31, 31, 32, 33, 34, 35, 35, 35, 35, 35, 35, 35, 35, 35, 35, 35, 35, 35, 35, 35,
    36, 39, 39, 39, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40,
    40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40,
    40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40,
    40, 40, 40, 40, 40, 41, 41, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 45, 45, 46, 47, 48, 49,
    50, 50, 51, 51, 51, 52, 54, 54, 55, 59, 61, 63, 65, 67, 67, 68, 69, 69, 69, 69, 69, 69, 69, 69,
    69, 69, 69, 69, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70,
    70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70,
    71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71,
    71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 71, 72,
};
#define PAGES_END 73 /* the first range behind them */

static enum weir_script script_of(uint32_t code)
{
  size_t i = code < 0x10000 ? pages[code >> 8] : PAGES_END;

  while (i < WEIR_RANGES && code > weir_ranges[i].last)
    i++;
  return i < WEIR_RANGES ? weir_ranges[i].script : WEIR_SCRIPT_OTHER;
}

/* Claude's tokenizer is not public: O200K's weights, scaled at the end. */
static enum weir_family family_of(enum weir_tokenizer tokenizer)
{
  return tokenizer == WEIR_TOKENIZER_GEMMA ? WEIR_FAMILY_GEMMA : WEIR_FAMILY_O200K;
}

static const struct weir_weights *weights_of(const struct weir_estimator *e)
{
  return &weir_weights[family_of(e->tokenizer)];
}

static bool is_alphanumeric(uint32_t type)
{
  return type == WEIR_TYPE_LOWER || type == WEIR_TYPE_UPPER || type == WEIR_TYPE_DIGIT;
}

/* The type that a state came from, of those that are alphanumeric. */
static uint32_t type_before(uint32_t state)
{
  return state == WEIR_STATE_DIGIT_2 || state == WEIR_STATE_DIGIT_3 ? WEIR_TYPE_DIGIT : state;
}

/* Without a branch: in noise processors could not guess it. */
static uint32_t state_after(uint32_t state, uint32_t type)
{
  uint32_t place = (state == WEIR_TYPE_DIGIT) + 2u * (state == WEIR_STATE_DIGIT_2);

  _Static_assert(WEIR_STATE_DIGIT_2 == WEIR_TYPE_DIGIT + 1 &&
                     WEIR_STATE_DIGIT_3 == WEIR_TYPE_DIGIT + 2,
                 "the digits of a group follow one another");
  return type + (place & (0u - (type == WEIR_TYPE_DIGIT)));
}

/* ---- unbroken runs ---- */

/* A run is added up in pieces, so that its cost and, above it, its changes between lower case,
 * upper case and digits fit into one sum. */
#define PIECE_SIZE ((ptrdiff_t)1 << 16)
#define CHANGE     (UINT64_C(1) << 32)

#define RUN_BYTES_MIN 16 /* shorter runs are taken for words */

/* Words change seldom between lower case, upper case and digits; noise does at every second or
 * third byte. WEIR_NOISES: words. */
static enum weir_noise noise_of(const struct weir_estimator *e)
{
  uint32_t kinds = e->run_kinds & (KIND_DIGIT | KIND_HEX | KIND_LETTER);

  if (kinds == KIND_DIGIT)
    return e->run_kinds & (KIND_DASH | KIND_MARK) ? WEIR_NOISES : WEIR_NOISE_DIGITS;
  if (kinds == (KIND_DIGIT | KIND_HEX) && e->run_changes * 5 >= e->run_bytes)
    return e->run_kinds & KIND_DASH ? WEIR_NOISE_UUID : WEIR_NOISE_HEX;
  if (kinds & KIND_DIGIT && e->run_changes * 3 >= e->run_bytes)
    return WEIR_NOISE_BASE64;
  return WEIR_NOISES;
}

static uint64_t run_cost(const struct weir_estimator *e)
{
  enum weir_noise noise = e->run_bytes < RUN_BYTES_MIN ? WEIR_NOISES : noise_of(e);

  return noise == WEIR_NOISES ? e->run_thousandths : e->run_bytes * weights_of(e)->noises[noise];
}

static void run_end(struct weir_estimator *e)
{
  e->thousandths += run_cost(e);
  e->run_bytes = e->run_thousandths = e->run_changes = 0;
  e->run_kinds = 0;
}

/* Takes in bytes of a run, returns the place behind them. */
static const uint8_t *run_add(struct weir_estimator *e, const uint8_t *at, const uint8_t *end)
{
  const uint8_t *begin = at;
  uint64_t costs = 0;
  uint32_t state = e->state, kinds = e->run_kinds, ascii;

  if (end - at > PIECE_SIZE)
    end = at + PIECE_SIZE;
  for (; at < end && (ascii = ascii_of(*at)) > TYPE_MASK; at++) {
    uint32_t type = ascii & TYPE_MASK;

    costs += e->costs[state][type];
    kinds |= ascii;
    state = state_after(state, type);
  }
  e->state = state;
  e->run_kinds = kinds;
  e->run_bytes += (uint64_t)(at - begin);
  e->run_thousandths += costs % CHANGE;
  e->run_changes += costs / CHANGE;
  return at;
}

/* Makes a run of bytes that were counted as words. */
static void run_take(struct weir_estimator *e, uint32_t state, const uint8_t *at,
                     const uint8_t *end)
{
  e->state = state;
  while (at < end)
    at = run_add(e, at, end);
  e->thousandths -= e->run_thousandths;
}

/* Takes in ASCII, returns the place behind it. Precondition: no run is open.
 *
 * All of it is counted as words first, without a branch at the end of each word: processors guess
 * most of those wrong, and that would take longer than all the rest. Long runs are taken out again,
 * and so is the last one, which may go on. */
static const uint8_t *ascii_add(struct weir_estimator *e, const uint8_t *at, const uint8_t *end)
{
  const uint8_t *begin = at;
  const uint32_t before = e->state;
  uint32_t state = before, ascii;
  uint64_t costs = 0, run = 0; /* bytes */

  if (end - at > PIECE_SIZE)
    end = at + PIECE_SIZE;
  for (; at < end && (ascii = ascii_of(*at)) != 0; at++) {
    uint32_t is_gap = ascii <= TYPE_MASK;

    costs += e->costs[state][ascii & TYPE_MASK];
    state = state_after(state, ascii & TYPE_MASK);
    if (is_gap & (run >= RUN_BYTES_MIN)) {
      run_take(e, at - run > begin ? ascii_of(at[-1 - (ptrdiff_t)run]) : before, at - run, at);
      run_end(e);
    }
    run = (run + 1) & (is_gap - UINT64_C(1));
  }
  e->thousandths += costs % CHANGE;
  e->state = state;
  if (run > 0)
    run_take(e, at - run > begin ? ascii_of(at[-1 - (ptrdiff_t)run]) : before, at - run, at);
  if (at < end)
    run_end(e);
  return at;
}

/* ---- beyond ASCII ---- */

static void script_add(struct weir_estimator *e, enum weir_script script, uint32_t code)
{
  const struct weir_weights *weights = weights_of(e);

  run_end(e);
  e->state = WEIR_STATE_ELSE;
  if (script == WEIR_SCRIPT_LATIN)
    e->thousandths += weights->latin[code - WEIR_LATIN_FIRST];
  else if (script == WEIR_SCRIPT_CYRILLIC)
    e->thousandths += weights->cyrillic[code - WEIR_CYRILLIC_FIRST];
  else
    e->thousandths += weights->scripts[script];
  if (script == WEIR_SCRIPT_LATIN || script == WEIR_SCRIPT_LATIN_MORE ||
      script == WEIR_SCRIPT_VIETNAMESE)
    e->state = WEIR_STATE_LETTER;
}

static void code_add(struct weir_estimator *e, uint32_t code)
{
  script_add(e, script_of(code), code);
}

/* What is no UTF-8. */
static void invalid_add(struct weir_estimator *e)
{
  e->left = 0;
  script_add(e, WEIR_SCRIPT_OTHER, 0);
}

static uint32_t bytes_after(uint8_t lead)
{
  return lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
}

static void byte_add(struct weir_estimator *e, uint8_t byte)
{
  if (byte >= 0xc0) {
    if (e->left > 0)
      invalid_add(e);
    e->left = bytes_after(byte);
    e->code = byte & (0x3fu >> e->left);
  } else if (e->left == 0) {
    invalid_add(e);
  } else {
    e->code = e->code << 6 | (byte & 0x3fu);
    if (--e->left == 0)
      code_add(e, e->code);
  }
}

static bool is_continued(uint8_t byte)
{
  return (byte & 0xc0) == 0x80;
}

/* Takes in bytes that are not ASCII, returns the place behind them. Code points of 2 and 3 bytes
 * that are there as a whole are most of it. */
static const uint8_t *utf8_add(struct weir_estimator *e, const uint8_t *at, const uint8_t *end)
{
  while (at < end && *at >= 0x80) {
    if (e->left == 0 && *at >= 0xe0 && *at < 0xf0 && end - at >= 3 && is_continued(at[1]) &&
        is_continued(at[2])) {
      code_add(e, (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu));
      at += 3;
    } else if (e->left == 0 && *at >= 0xc0 && *at < 0xe0 && end - at >= 2 && is_continued(at[1])) {
      code_add(e, (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu));
      at += 2;
    } else {
      byte_add(e, *at++);
    }
  }
  return at;
}

/* ---- texts ---- */

void weir_estimator_init(struct weir_estimator *e, enum weir_tokenizer tokenizer)
{
  const struct weir_weights *weights = &weir_weights[family_of(tokenizer)];

  _Static_assert(sizeof(e->costs) == sizeof(uint64_t) * WEIR_STATES * (TYPE_MASK + 1),
                 "a cost for each transition");
  memset(e, 0, sizeof(*e));
  e->tokenizer = tokenizer;
  e->state = WEIR_STATE_ELSE;
  for (uint32_t state = 0; state < WEIR_STATES; state++) {
    for (uint32_t type = 0; type < WEIR_TYPES; type++) {
      e->costs[state][type] = weights->transitions[state][type];
      if (is_alphanumeric(type) && is_alphanumeric(type_before(state)) &&
          type != type_before(state))
        e->costs[state][type] += CHANGE;
    }
  }
}

void weir_estimator_feed(struct weir_estimator *e, const void *bytes, size_t size)
{
  const uint8_t *at = bytes, *end = at + size;

  while (at < end) {
    if (*at >= 0x80) {
      at = utf8_add(e, at, end);
      continue;
    }
    if (e->left > 0) /* cut short */
      invalid_add(e);
    if (e->run_bytes == 0)
      at = ascii_add(e, at, end);
    else if (ascii_of(*at) > TYPE_MASK)
      at = run_add(e, at, end);
    else
      run_end(e);
  }
}

void weir_estimator_part(struct weir_estimator *e)
{
  if (e->left > 0)
    invalid_add(e);
  run_end(e);
  e->state = WEIR_STATE_ELSE;
}

void weir_estimator_add(struct weir_estimator *e, uint64_t thousandths)
{
  e->others += thousandths;
}

/* How far texts stray from the weights, in thousandths, and what a tokenizer without weights of its
 * own has more. */
static const struct {
  uint32_t scale, low, high;
} bands[WEIR_TOKENIZER_MAX] = {
    [WEIR_TOKENIZER_O200K] = {1000, 840, 1220},
    [WEIR_TOKENIZER_GEMMA] = {1000, 850, 1260},
    [WEIR_TOKENIZER_CLAUDE] = {1300, 700, 1400},
};

struct weir_estimate weir_estimator_result(const struct weir_estimator *e)
{
  uint64_t pending = e->left > 0 ? weights_of(e)->scripts[WEIR_SCRIPT_OTHER] : 0;
  uint64_t text = e->thousandths + run_cost(e) + pending, tokens;
  struct weir_estimate estimate;

  assert(e->tokenizer > 0 && e->tokenizer < WEIR_TOKENIZER_MAX);
  text = (text * bands[e->tokenizer].scale + 999) / 1000;
  tokens = (text + e->others + 999) / 1000;
  estimate.tokens = tokens;
  estimate.low = tokens * bands[e->tokenizer].low / 1000;
  estimate.high = (tokens * bands[e->tokenizer].high + 999) / 1000;
  /* In a text of a few tokens each one is a large share. */
  estimate.low -= estimate.low > 2 ? 2 : estimate.low;
  estimate.high += tokens > 0 ? 2 : 0;
  return estimate;
}

struct weir_estimate weir_estimate_text(enum weir_tokenizer tokenizer, const void *text,
                                        size_t size)
{
  struct weir_estimator e;

  weir_estimator_init(&e, tokenizer);
  weir_estimator_feed(&e, text, size);
  return weir_estimator_result(&e);
}
