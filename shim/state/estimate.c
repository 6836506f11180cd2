#include <weir/estimate.h>

#include <weir/json.h>
#include <weir/text.h>

#include <assert.h>
#include <string.h>

/* Classes of code points. Those up to LATIN cost differently by what stands before them. */
enum class {
  NONE,
  LOWER,
  UPPER,
  DIGIT,
  SPACE,
  NEWLINE,
  PUNCT,
  LATIN,
  ASCII_CLASSES,
  VIETNAMESE = ASCII_CLASSES,
  GREEK,
  CYRILLIC,
  ARABIC,
  DEVANAGARI,
  BENGALI,
  INDIC,
  THAI,
  MYANMAR,
  GEORGIAN,
  HANGUL,
  KANA,
  HAN,
  CJK_PUNCT,
  EMOJI,
  OTHER,
  CLASSES
};

/* Weights in thousandths of a token per code point: measured, see docs/PROVIDERS.md. */
enum family { O200K, GEMMA, FAMILIES };

static const uint16_t weights[FAMILIES][CLASSES] = {
    [O200K] =
        {[LOWER] = 197,      [UPPER] = 546,      [DIGIT] = 543,    [SPACE] = 0,   [NEWLINE] = 896,
         [PUNCT] = 219,      [LATIN] = 1070,     [VIETNAMESE] = 0, [GREEK] = 397, [CYRILLIC] = 299,
         [ARABIC] = 378,     [DEVANAGARI] = 411, [BENGALI] = 418,  [INDIC] = 444, [THAI] = 422,
         [MYANMAR] = 581,    [GEORGIAN] = 388,   [HANGUL] = 738,   [KANA] = 655,  [HAN] = 787,
         [CJK_PUNCT] = 1580, [EMOJI] = 1600,     [OTHER] = 994},
    [GEMMA] =
        {[LOWER] = 211,      [UPPER] = 464,      [DIGIT] = 1160,    [SPACE] = 54,  [NEWLINE] = 1060,
         [PUNCT] = 144,      [LATIN] = 1040,     [VIETNAMESE] = 71, [GREEK] = 411, [CYRILLIC] = 283,
         [ARABIC] = 377,     [DEVANAGARI] = 478, [BENGALI] = 636,   [INDIC] = 641, [THAI] = 386,
         [MYANMAR] = 863,    [GEORGIAN] = 754,   [HANGUL] = 786,    [KANA] = 385,  [HAN] = 637,
         [CJK_PUNCT] = 1190, [EMOJI] = 920,      [OTHER] = 885},
};

/* What the start of a run adds. */
static const uint16_t punct_run_weights[FAMILIES] = {289, 745};
static const uint16_t word_start_weights[FAMILIES] = {164, 0};
/* O200K cuts digits into groups of at most three: so its weights, in place of the measured mean. */
static const uint16_t digit_run_weights[FAMILIES] = {750, 0};

/* Long unbroken runs that are no words, per byte (measured on random data). */
enum noise { WORDS, DIGITS, HEX, UUID, BASE64, NOISES };

static const uint16_t noise_weights[FAMILIES][NOISES] = {
    [O200K] = {[DIGITS] = 340, [HEX] = 565, [UUID] = 637, [BASE64] = 680},
    [GEMMA] = {[DIGITS] = 1000, [HEX] = 877, [UUID] = 909, [BASE64] = 685},
};

#define RUN_BYTES_MIN 16                  /* shorter runs are taken for words */
#define CHANGE        (UINT64_C(1) << 40) /* in costs: a change between kinds of letters in a run */

/* What a run may consist of. */
#define KIND_DIGIT  1
#define KIND_HEX    2 /* a-f, A-F */
#define KIND_LETTER 4
#define KIND_DASH   8
#define KIND_MARK   16 /* + / = _ */

struct ascii {
  uint8_t class, kind; /* kind 0: ends a run */
};

#define L                                                                                          \
  {                                                                                                \
    LOWER, KIND_LETTER                                                                             \
  }
#define LX                                                                                         \
  {                                                                                                \
    LOWER, KIND_HEX                                                                                \
  }
#define U                                                                                          \
  {                                                                                                \
    UPPER, KIND_LETTER                                                                             \
  }
#define UX                                                                                         \
  {                                                                                                \
    UPPER, KIND_HEX                                                                                \
  }
#define D                                                                                          \
  {                                                                                                \
    DIGIT, KIND_DIGIT                                                                              \
  }
#define P                                                                                          \
  {                                                                                                \
    PUNCT, 0                                                                                       \
  }
#define M                                                                                          \
  {                                                                                                \
    PUNCT, KIND_MARK                                                                               \
  }
#define DA                                                                                         \
  {                                                                                                \
    PUNCT, KIND_DASH                                                                               \
  }
#define S                                                                                          \
  {                                                                                                \
    SPACE, 0                                                                                       \
  }
#define N                                                                                          \
  {                                                                                                \
    NEWLINE, 0                                                                                     \
  }
#define P8  P, P, P, P, P, P, P, P
#define L10 L, L, L, L, L, L, L, L, L, L
#define U10 U, U, U, U, U, U, U, U, U, U

/* clang-format off */
static const struct ascii asciis[128] = {
    P8, P, N, N, P, P, N, P, P, P8, P8,
    S, P, P, P, P, P, P, P, P, P, P, M, P, DA, P, M,
    D, D, D, D, D, D, D, D, D, D, P, P, P, M, P, P,
    P, UX, UX, UX, UX, UX, UX, U10, U10, P, P, P, P, M,
    P, LX, LX, LX, LX, LX, LX, L10, L10, P, P, P, P, P,
};
/* clang-format on */

#undef L
#undef LX
#undef U
#undef UX
#undef D
#undef P
#undef M
#undef DA
#undef S
#undef N
#undef P8
#undef L10
#undef U10

/* Where each range of code points ends, in order. */
static const struct {
  uint32_t last;
  enum class class;
} ranges[] = {
    {0x024f, LATIN},      {0x036f, OTHER},     {0x03ff, GREEK},     {0x052f, CYRILLIC},
    {0x05ff, OTHER},      {0x077f, ARABIC},    {0x08ff, OTHER},     {0x097f, DEVANAGARI},
    {0x09ff, BENGALI},    {0x0dff, INDIC},     {0x0e7f, THAI},      {0x0fff, OTHER},
    {0x109f, MYANMAR},    {0x10ff, GEORGIAN},  {0x11ff, HANGUL},    {0x1dff, OTHER},
    {0x1eff, VIETNAMESE}, {0x2fff, OTHER},     {0x303f, CJK_PUNCT}, {0x30ff, KANA},
    {0x33ff, OTHER},      {0x9fff, HAN},       {0xabff, OTHER},     {0xd7af, HANGUL},
    {0xfeff, OTHER},      {0xffef, CJK_PUNCT}, {0x1efff, OTHER},    {0x1faff, EMOJI},
    {0x1ffff, OTHER},     {0x2ffff, HAN},
};

static enum class class_of(uint32_t code) {
  size_t low = 0, high = sizeof(ranges) / sizeof(ranges[0]);

  while (low < high){size_t middle = (low + high) / 2;

                     if (code > ranges[middle].last) low = middle + 1; else high = middle;}
return low < sizeof(ranges) / sizeof(ranges[0]) ? ranges[low].class : OTHER;
}

/* Claude's tokenizer is not public: O200K's weights, scaled at the end. */
static enum family family_of(enum weir_tokenizer tokenizer)
{
  return tokenizer == WEIR_TOKENIZER_GEMMA ? GEMMA : O200K;
}

static bool is_word(uint32_t class)
{
  return class == LOWER || class == UPPER || class == LATIN;
}

static bool is_alphanumeric(uint32_t class)
{
  return class == LOWER || class == UPPER || class == DIGIT;
}

static uint64_t cost_of(enum family family, uint32_t previous, uint32_t class)
{
  uint64_t cost = weights[family][class];

  if (class == PUNCT && previous != PUNCT)
    cost += punct_run_weights[family];
  if (is_word(class) && !is_word(previous))
    cost += word_start_weights[family];
  if (class == DIGIT && previous != DIGIT)
    cost += digit_run_weights[family];
  if (is_alphanumeric(class) && is_alphanumeric(previous) && class != previous)
    cost += CHANGE;
  return cost;
}

/* Words change seldom between lower case, upper case and digits; noise does at every second or
 * third byte. */
static enum noise noise_of(const struct weir_estimator *e)
{
  uint32_t kinds = e->run_kinds & ~(uint32_t)(KIND_DASH | KIND_MARK);

  if (e->run_bytes < RUN_BYTES_MIN)
    return WORDS;
  if (kinds == KIND_DIGIT)
    return e->run_kinds == KIND_DIGIT ? DIGITS : WORDS;
  if (kinds == (KIND_DIGIT | KIND_HEX) && e->run_changes * 5 >= e->run_bytes)
    return e->run_kinds & KIND_DASH ? UUID : HEX;
  if (kinds & KIND_DIGIT && e->run_changes * 3 >= e->run_bytes)
    return BASE64;
  return WORDS;
}

static uint64_t run_cost(const struct weir_estimator *e)
{
  enum noise noise = noise_of(e);

  return noise == WORDS ? e->run_thousandths
                        : e->run_bytes * noise_weights[family_of(e->tokenizer)][noise];
}

static void run_end(struct weir_estimator *e)
{
  e->thousandths += run_cost(e);
  e->run_bytes = e->run_thousandths = e->run_changes = 0;
  e->run_kinds = 0;
}

static void code_point_add(struct weir_estimator *e, uint32_t class)
{
  run_end(e);
  if (class < ASCII_CLASSES)
    e->thousandths += e->costs[e->previous][class];
  else
    e->thousandths += weights[family_of(e->tokenizer)][class];
  e->previous = class < ASCII_CLASSES ? class : NONE;
}

/* Takes in bytes of a run, returns the place behind them. */
static const uint8_t *run_add(struct weir_estimator *e, const uint8_t *at, const uint8_t *end)
{
  const uint8_t *begin = at;
  uint64_t costs = 0;
  uint32_t previous = e->previous, kinds = e->run_kinds;

  for (; at < end && *at < 0x80 && asciis[*at].kind != 0; at++) {
    uint32_t class = asciis[*at].class;

    costs += e->costs[previous][class];
    kinds |= asciis[*at].kind;
    previous = class;
  }
  e->previous = previous;
  e->run_kinds = kinds;
  e->run_bytes += (uint64_t)(at - begin);
  e->run_thousandths += costs % CHANGE;
  e->run_changes += costs / CHANGE;
  return at;
}

/* Takes in a byte that is not ASCII. */
static void utf8_add(struct weir_estimator *e, uint8_t byte)
{
  if (byte >= 0xc0) { /* the first of 2, 3 or 4 */
    if (e->left > 0)
      code_point_add(e, OTHER);
    e->left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    e->code = byte & (0x3fu >> e->left);
  } else if (e->left == 0) {
    code_point_add(e, OTHER);
  } else {
    e->code = e->code << 6 | (byte & 0x3fu);
    if (--e->left == 0)
      code_point_add(e, class_of(e->code));
  }
}

void weir_estimator_init(struct weir_estimator *e, enum weir_tokenizer tokenizer)
{
  enum family family = family_of(tokenizer);

  memset(e, 0, sizeof(*e));
  e->tokenizer = tokenizer;
  for (uint32_t previous = 0; previous < ASCII_CLASSES; previous++)
    for (uint32_t class = 0; class < ASCII_CLASSES; class ++)
      e->costs[previous][class] = cost_of(family, previous, class);
}

void weir_estimator_feed(struct weir_estimator *e, const void *bytes, size_t size)
{
  const uint8_t *at = bytes, *end = at + size;

  while (at < end) {
    if (*at >= 0x80) {
      utf8_add(e, *at++);
      continue;
    }
    if (e->left > 0) { /* cut short */
      e->left = 0;
      code_point_add(e, OTHER);
    }
    at = run_add(e, at, end);
    if (at < end && *at < 0x80)
      code_point_add(e, asciis[*at++].class);
  }
}

/* How far texts stray from the weights, in thousandths, and what a tokenizer without weights of its
 * own has more. */
static const struct {
  uint32_t scale, low, high;
} bands[WEIR_TOKENIZER_MAX] = {
    [WEIR_TOKENIZER_O200K] = {1000, 750, 1330},
    [WEIR_TOKENIZER_GEMMA] = {1000, 800, 1250},
    [WEIR_TOKENIZER_CLAUDE] = {1300, 700, 1400},
};

static struct weir_estimate estimate_of(enum weir_tokenizer tokenizer, uint64_t thousandths)
{
  uint64_t tokens = (thousandths + 999) / 1000;
  struct weir_estimate estimate;

  assert(tokenizer > 0 && tokenizer < WEIR_TOKENIZER_MAX);
  tokens = (tokens * bands[tokenizer].scale + 999) / 1000;
  estimate.tokens = tokens;
  estimate.low = tokens * bands[tokenizer].low / 1000;
  estimate.high = (tokens * bands[tokenizer].high + 999) / 1000;
  /* In a text of a few tokens each one is a large share. */
  estimate.low -= estimate.low > 2 ? 2 : estimate.low;
  estimate.high += tokens > 0 ? 2 : 0;
  return estimate;
}

struct weir_estimate weir_estimator_result(const struct weir_estimator *e)
{
  uint64_t pending = e->left > 0 ? weights[family_of(e->tokenizer)][OTHER] : 0;

  return estimate_of(e->tokenizer, e->thousandths + run_cost(e) + pending);
}

struct weir_estimate weir_estimate_text(enum weir_tokenizer tokenizer, const void *text,
                                        size_t size)
{
  struct weir_estimator e;

  weir_estimator_init(&e, tokenizer);
  weir_estimator_feed(&e, text, size);
  return weir_estimator_result(&e);
}

/* What stands around the texts of a request, in thousandths of a token. */
#define REQUEST_COST UINT64_C(3000)
#define MESSAGE_COST UINT64_C(3000)
#define SCHEMA_COST  UINT64_C(2000) /* a key of a tool's schema, with its punctuation */

/* An image of about one megapixel: its size is not in the request. */
static const uint32_t image_costs[WEIR_TOKENIZER_MAX] = {
    [WEIR_TOKENIZER_O200K] = 765000,
    [WEIR_TOKENIZER_GEMMA] = 1032000,
    [WEIR_TOKENIZER_CLAUDE] = 1334000,
};

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (strcmp(text, words[i]) == 0)
      return true;
  return false;
}

static void string_add(struct weir_estimator *e, const uint8_t *at, const uint8_t *end)
{
  uint8_t text[1024];
  size_t size;

  while ((size = weir_text_unescape(&at, end, text, sizeof(text))) > 0)
    weir_estimator_feed(e, text, size);
  if (e->left > 0)
    code_point_add(e, OTHER);
  e->left = 0;
  run_end(e);
  e->previous = NONE;
}

static void body_token_add(struct weir_estimator *e, const uint8_t *body,
                           const struct weir_json_token *token)
{
  static const char *const messages[] = {"messages[]", "contents[]", "input[]"};
  static const char *const labels[] = {"model",    "role",      "type",       "id",  "call_id",
                                       "mimeType", "mime_type", "media_type", "user"};
  static const char *const inlines[] = {"data",     "url",       "image_url", "fileUri",
                                        "file_uri", "file_data", "file_id"};
  const char *dot = strrchr(token->path, '.'), *key = dot ? dot + 1 : token->path;
  bool is_schema = strncmp(token->path, "tools", 5) == 0;

  if (is_schema && token->type != WEIR_JSON_OBJECT_END && token->type != WEIR_JSON_ARRAY_END)
    e->thousandths += SCHEMA_COST;
  if (token->type == WEIR_JSON_OBJECT &&
      is_one_of(token->path, messages, sizeof(messages) / sizeof(messages[0])))
    e->thousandths += MESSAGE_COST;
  if (token->type != WEIR_JSON_STRING)
    return;
  if (!is_schema && is_one_of(key, inlines, sizeof(inlines) / sizeof(inlines[0])))
    e->thousandths += image_costs[e->tokenizer];
  else if (is_schema || !is_one_of(key, labels, sizeof(labels) / sizeof(labels[0])))
    string_add(e, body + token->offset_begin + 1, body + token->offset_end - 1);
}

struct weir_estimate weir_estimate_body(enum weir_provider_kind kind, const void *body, size_t size)
{
  enum weir_tokenizer tokenizer = weir_provider_rules_of(kind)->tokenizer;
  enum weir_json_status status;
  struct weir_json_token token;
  struct weir_json json;
  struct weir_estimator e;

  weir_estimator_init(&e, tokenizer);
  e.thousandths = REQUEST_COST;
  weir_json_init(&json);
  weir_json_feed(&json, body, size);
  while ((status = weir_json_next(&json, &token)) == WEIR_JSON_TOKEN)
    body_token_add(&e, body, &token);
  if (status == WEIR_JSON_BAD || weir_json_end(&json, &token) != WEIR_JSON_MORE)
    return weir_estimate_text(tokenizer, body, size);
  return weir_estimator_result(&e);
}
