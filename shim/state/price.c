#include <weir/price.h>

#include <string.h>

#include <weir/civil.h>
#include <weir/json.h>
#include <weir/wide.h>

#define MICRO             1000000
#define DECIMALS          6
#define PRICE_MAX         UINT64_C(1000000) /* dollars for a million tokens */
#define SECONDS_OF_DAY    86400
#define TOKENS_OF_A_PRICE 1000000

#define MODEL  "models[]"
#define PRICES MODEL ".price_usd_per_1m"
#define DATED  PRICES ".from_"

/* How deep in the file; a member of a member that does not count is deeper, whatever its name. */
enum { DEPTH_ROOT, DEPTH_MODELS, DEPTH_MODEL, DEPTH_MEMBER, DEPTH_PRICE, DEPTH_DATED };

/* ---- reading ---- */

struct reader {
  struct weir_json json;
  struct weir_prices *prices;
  uint32_t total; /* rules, with those that are not yet |prices->count| */
  uint32_t entry; /* the first rule of the model that is read */
  bool is_root, has_models;
  char provider[WEIR_PRICE_PROVIDER_SIZE], model[WEIR_PRICE_MODEL_SIZE];
  const char *fault;
  uint64_t fault_offset;
};

static const struct {
  const char *name;
  enum weir_price_part part;
  bool is_long;
} members[] = {
    {"input", WEIR_PRICE_INPUT, false},
    {"cached_input", WEIR_PRICE_CACHED, false},
    {"cache_write", WEIR_PRICE_CACHE_WRITE, false},
    {"output", WEIR_PRICE_OUTPUT, false},
    {"input_long", WEIR_PRICE_INPUT, true},
    {"cached_input_long", WEIR_PRICE_CACHED, true},
    {"cache_write_long", WEIR_PRICE_CACHE_WRITE, true},
    {"output_long", WEIR_PRICE_OUTPUT, true},
};

static bool fault(struct reader *r, uint64_t offset, const char *text)
{
  r->fault = text;
  r->fault_offset = offset;
  return false;
}

/* Reads a decimal number as millionths, exactly. */
static bool price_parse(const char *text, uint64_t *ret_micro)
{
  uint64_t value = 0;
  int decimals = -1;

  for (; *text != '\0' && value <= PRICE_MAX * MICRO; text++) {
    if (*text == '.') {
      decimals = 0;
      continue;
    }
    if (*text < '0' || *text > '9' || decimals == DECIMALS)
      return false;
    value = value * 10 + (uint64_t)(*text - '0');
    decimals += decimals >= 0;
  }
  for (int i = decimals < 0 ? 0 : decimals; i < DECIMALS && value <= PRICE_MAX * MICRO; i++)
    value *= 10;
  if (value > PRICE_MAX * MICRO)
    return false;
  *ret_micro = value;
  return true;
}

static bool rule_begin(struct reader *r, uint64_t from_day, uint64_t offset)
{
  struct weir_price_rule *rule;

  if (r->total == r->prices->capacity)
    return fault(r, offset, "too many prices; 1,024 are the most, built-in ones included");
  rule = &r->prices->rules[r->total++];
  memset(rule, 0, sizeof(*rule));
  memset(rule->micro, 0xff, sizeof(rule->micro)); /* WEIR_PRICE_NONE */
  memset(rule->micro_of_long, 0xff, sizeof(rule->micro_of_long));
  rule->from_day = from_day;
  return true;
}

static bool rule_end(struct reader *r, const struct weir_price_rule *rule, uint64_t offset)
{
  if (rule->micro[WEIR_PRICE_INPUT] == WEIR_PRICE_NONE)
    return fault(r, offset, "a price without \"input\"; add it");
  for (int part = 0; part < WEIR_PRICE_PARTS; part++) {
    if (rule->micro_of_long[part] != WEIR_PRICE_NONE && rule->long_above == 0)
      return fault(r, offset,
                   "prices for long contexts without \"long_context_starts_at\"; add it");
  }
  return true;
}

static bool price_take(struct reader *r, struct weir_price_rule *rule, const char *name,
                       const struct weir_json_token *token)
{
  if (token->type != WEIR_JSON_NUMBER)
    return fault(r, token->offset_begin, "a price is a number; write it without quotes");
  if (strcmp(name, "long_context_starts_at") == 0)
    return (weir_json_uint(token, &rule->long_above) && rule->long_above > 0) ||
           fault(r, token->offset_begin, "a whole number of input tokens is needed here");
  for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
    uint64_t *place;

    if (strcmp(name, members[i].name) != 0)
      continue;
    place = members[i].is_long ? rule->micro_of_long : rule->micro;
    return price_parse(token->text, &place[members[i].part]) ||
           fault(r, token->offset_begin,
                 "a price is a decimal number from 0 to 1,000,000 with at most six decimals");
  }
  return fault(r, token->offset_begin,
               "unknown member of a price; known are input, output, cached_input and cache_write, "
               "each also with _long, long_context_starts_at, and from_YYYY-MM-DD");
}

/* |rest| begins with the date of "from_DATE" and ends with it at the price itself, or goes on with
 * the name of a member. */
static bool dated_take(struct reader *r, const char *rest, const struct weir_json_token *token)
{
  const size_t size = strcspn(rest, ".");
  uint64_t day;

  if (token->depth == DEPTH_DATED)
    return price_take(r, &r->prices->rules[r->total - 1], rest + size + 1, token);
  if (!weir_civil_parse(rest, strlen(rest), &day) || day == 0)
    return fault(r, token->offset_begin, "no date; write it as from_2027-01-01");
  if (token->type == WEIR_JSON_OBJECT)
    return rule_begin(r, day, token->offset_begin);
  if (token->type == WEIR_JSON_OBJECT_END)
    return rule_end(r, &r->prices->rules[r->total - 1], token->offset_begin);
  return fault(r, token->offset_begin, "a price with a date is an object of prices");
}

/* Null counts as a price, one of which nothing is known. */
static bool prices_take(struct reader *r, const struct weir_json_token *token)
{
  if (token->type == WEIR_JSON_OBJECT || token->type == WEIR_JSON_NULL)
    return rule_begin(r, 0, token->offset_begin);
  if (token->type == WEIR_JSON_OBJECT_END)
    return rule_end(r, &r->prices->rules[r->entry], token->offset_begin);
  return fault(r, token->offset_begin, "\"price_usd_per_1m\" is an object of prices, or null");
}

static bool name_take(struct reader *r, char *ret_name, size_t size,
                      const struct weir_json_token *token)
{
  if (token->type != WEIR_JSON_STRING || token->text_size == 0 || token->text_size >= size ||
      memchr(token->text, '\0', token->text_size))
    return fault(r, token->offset_begin,
                 "a provider is a text of 1 to 31 bytes, a model one of 1 to 63");
  memcpy(ret_name, token->text, token->text_size + 1);
  return true;
}

static bool is_of(const struct weir_price_rule *rule, const char *provider, const char *model)
{
  return strcmp(rule->model, model) == 0 && strcmp(rule->provider, provider) == 0;
}

static bool entry_begin(struct reader *r)
{
  r->entry = r->total;
  r->provider[0] = r->model[0] = '\0';
  return true;
}

static bool entry_end(struct reader *r, uint64_t offset)
{
  struct weir_price_rule *rules = r->prices->rules;

  if (r->provider[0] == '\0' || r->model[0] == '\0' || r->total == r->entry)
    return fault(r, offset, "a model needs \"provider\", \"model\" and \"price_usd_per_1m\"");
  for (uint32_t i = r->prices->count; i < r->entry; i++) {
    if (is_of(&rules[i], r->provider, r->model))
      return fault(r, offset, "this model stands twice in the file; leave one out");
  }
  for (uint32_t i = r->entry; i < r->total; i++) {
    memcpy(rules[i].provider, r->provider, sizeof(rules[i].provider));
    memcpy(rules[i].model, r->model, sizeof(rules[i].model));
    for (uint32_t other = r->entry; other < i; other++) {
      if (rules[other].from_day == rules[i].from_day)
        return fault(r, offset, "two prices from the same day; leave one out");
    }
  }
  return true;
}

/* A member of a model. */
static bool member_take(struct reader *r, const struct weir_json_token *token)
{
  const char *name = token->path + strlen(MODEL ".");

  if (token->depth == DEPTH_MEMBER) {
    if (strcmp(name, "provider") == 0)
      return name_take(r, r->provider, sizeof(r->provider), token);
    if (strcmp(name, "model") == 0)
      return name_take(r, r->model, sizeof(r->model), token);
    return strcmp(token->path, PRICES) == 0 ? prices_take(r, token) : true;
  }
  if (r->total == r->entry || strncmp(token->path, PRICES ".", strlen(PRICES ".")) != 0)
    return true; /* of a member that does not count */
  if (strncmp(token->path, DATED, strlen(DATED)) == 0)
    return dated_take(r, token->path + strlen(DATED), token);
  return price_take(r, &r->prices->rules[r->entry], token->path + strlen(PRICES "."), token);
}

static bool token_take(struct reader *r, const struct weir_json_token *token)
{
  switch (token->depth) {
  case DEPTH_ROOT:
    if (token->type == WEIR_JSON_OBJECT_END && r->is_root)
      return true;
    if (token->type != WEIR_JSON_OBJECT || r->is_root)
      return fault(r, token->offset_begin, "one object is needed: {\"models\": [...]}");
    return r->is_root = true;
  case DEPTH_MODELS:
    if (strcmp(token->path, "models") != 0)
      return true;
    if (token->type != WEIR_JSON_ARRAY && token->type != WEIR_JSON_ARRAY_END)
      return fault(r, token->offset_begin, "\"models\" is an array: [{\"provider\": ...}, ...]");
    return r->has_models = true;
  case DEPTH_MODEL:
    if (strcmp(token->path, MODEL) != 0)
      return true;
    if (token->type == WEIR_JSON_OBJECT)
      return entry_begin(r);
    if (token->type == WEIR_JSON_OBJECT_END)
      return entry_end(r, token->offset_begin);
    return fault(r, token->offset_begin, "a model is an object: {\"provider\": ...}");
  default:
    /* Below a price everything counts; below the other members nothing does. */
    return strncmp(token->path, MODEL ".", strlen(MODEL ".")) != 0 || member_take(r, token);
  }
}

static bool tokens_take(struct reader *r, const void *bytes, size_t size)
{
  struct weir_json_token token;
  enum weir_json_status status;

  weir_json_feed(&r->json, bytes, size);
  while ((status = weir_json_next(&r->json, &token)) == WEIR_JSON_TOKEN) {
    if (!token_take(r, &token))
      return false;
  }
  if (status == WEIR_JSON_MORE)
    status = weir_json_end(&r->json, &token);
  if (status == WEIR_JSON_TOKEN && token.depth == 0) /* a number, which only the end ends */
    return token_take(r, &token);
  if (status != WEIR_JSON_MORE)
    return fault(r, weir_json_offset(&r->json), "not JSON from here on");
  if (!r->has_models)
    return fault(r, 0, "no \"models\"; one object is needed: {\"models\": [...]}");
  return true;
}

/* Closes the ranks over the rules that have new ones behind |count|. */
static void merge(struct weir_prices *prices, uint32_t total)
{
  struct weir_price_rule *rules = prices->rules;
  const uint32_t before = prices->count;
  uint32_t kept = 0;

  for (uint32_t i = 0; i < total; i++) {
    bool is_replaced = false;

    for (uint32_t other = before; i < before && other < total && !is_replaced; other++)
      is_replaced = is_of(&rules[i], rules[other].provider, rules[other].model);
    if (!is_replaced && kept++ != i)
      rules[kept - 1] = rules[i];
  }
  prices->count = kept;
}

static void place_find(const char *bytes, size_t size, struct weir_price_fault *f)
{
  f->line = f->column = 1;
  for (size_t i = 0; i < size && i < f->offset; i++) {
    f->line += bytes[i] == '\n';
    f->column = bytes[i] == '\n' ? 1 : f->column + 1;
  }
}

enum weir_err weir_prices_read(struct weir_prices *prices, const void *json, size_t size,
                               struct weir_price_fault *ret_fault)
{
  struct reader r = {.prices = prices, .total = prices->count, .entry = prices->count};

  weir_json_init(&r.json);
  if (!tokens_take(&r, json, size)) {
    *ret_fault = (struct weir_price_fault){.offset = r.fault_offset, .text = r.fault};
    place_find(json, size, ret_fault);
    return WEIR_ESYNTAX;
  }
  merge(prices, r.total);
  return WEIR_OK;
}

/* ---- looking up ---- */

/* The length of |model| without a date at its end; 0 when it has none. */
static size_t base_size(const char *model)
{
  const size_t size = strlen(model);
  uint64_t day;
  char date[] = "YYYY-MM-DD";

  if (size > 11 && model[size - 11] == '-' && weir_civil_parse(model + size - 10, 10, &day))
    return size - 11;
  if (size <= 9 || model[size - 9] != '-')
    return 0;
  memcpy(date, model + size - 8, 4);
  memcpy(date + 5, model + size - 4, 2);
  memcpy(date + 8, model + size - 2, 2);
  return weir_civil_parse(date, 10, &day) ? size - 9 : 0;
}

static const struct weir_price_rule *rule_find(const struct weir_prices *prices,
                                               const char *provider, const char *model, size_t size,
                                               uint64_t day)
{
  const struct weir_price_rule *found = NULL;

  for (uint32_t i = 0; i < prices->count; i++) {
    const struct weir_price_rule *rule = &prices->rules[i];

    if (strncmp(rule->model, model, size) == 0 && rule->model[size] == '\0' &&
        strcmp(rule->provider, provider) == 0 && rule->from_day <= day &&
        (!found || rule->from_day >= found->from_day))
      found = rule;
  }
  return found;
}

const struct weir_price_rule *weir_price_find(const struct weir_prices *prices,
                                              const char *provider, const char *model, uint64_t day)
{
  const size_t size = strlen(model), base = base_size(model);
  const struct weir_price_rule *found = NULL;

  if (size < WEIR_PRICE_MODEL_SIZE)
    found = rule_find(prices, provider, model, size, day);
  if (!found && base > 0 && base < WEIR_PRICE_MODEL_SIZE)
    found = rule_find(prices, provider, model, base, day);
  return found;
}

/* Adds |tokens| at a price to |sum|, in micro for a million tokens. */
static bool part_add(weir_wide *sum, uint64_t tokens, uint64_t micro)
{
  if (tokens > 0 && micro == WEIR_PRICE_NONE)
    return false;
  if (tokens > 0)
    *sum += weir_wide_mul(tokens, micro);
  return true;
}

/* A part of the input without a price of its own costs what input costs. */
static uint64_t price_or_input(const uint64_t *micro, enum weir_price_part part)
{
  return micro[part] == WEIR_PRICE_NONE ? micro[WEIR_PRICE_INPUT] : micro[part];
}

static uint64_t least(uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

bool weir_price_of_usage(const struct weir_prices *prices, const char *provider, const char *model,
                         uint64_t wall_s, const struct weir_usage *usage, uint64_t *ret_micro)
{
  const struct weir_price_rule *rule =
      weir_price_find(prices, provider, model, wall_s / SECONDS_OF_DAY);
  const uint64_t cached = least(usage->cached_tokens, usage->input_tokens);
  const uint64_t written = least(usage->cache_write_tokens, usage->input_tokens - cached);
  const uint64_t *micro;
  weir_wide sum = TOKENS_OF_A_PRICE - 1;

  if (!rule || !usage->has_input || !usage->has_output)
    return false;
  micro = rule->long_above > 0 && usage->input_tokens > rule->long_above ? rule->micro_of_long
                                                                         : rule->micro;
  if (!part_add(&sum, usage->input_tokens - cached - written, micro[WEIR_PRICE_INPUT]) ||
      !part_add(&sum, cached, price_or_input(micro, WEIR_PRICE_CACHED)) ||
      !part_add(&sum, written, price_or_input(micro, WEIR_PRICE_CACHE_WRITE)) ||
      !part_add(&sum, usage->output_tokens, micro[WEIR_PRICE_OUTPUT]))
    return false;
  *ret_micro = weir_wide_clamp(sum / TOKENS_OF_A_PRICE, UINT64_MAX);
  return true;
}
