#include <weir/conf_value.h>

#include <assert.h>
#include <string.h>

#include <weir/time.h>

#define VALUE_MAX (UINT64_C(1) << 62)
#define WORD_SIZE 32

struct unit {
  const char *text;
  uint64_t factor;
};

static const struct unit amount_units[] = {{"", 1},        {"k", 1000},       {"K", 1000},
                                           {"M", 1000000}, {"G", 1000000000}, {NULL, 0}};
static const struct unit duration_units[] = {{"ms", WEIR_US_PER_MS},       {"s", WEIR_US_PER_S},
                                             {"m", WEIR_US_PER_MIN},       {"h", WEIR_US_PER_HOUR},
                                             {"d", 24 * WEIR_US_PER_HOUR}, {NULL, 0}};
static const struct unit percent_units[] = {{"%", 10}, {NULL, 0}};
static const struct unit money_units[] = {{"", 1000000}, {NULL, 0}};

static const struct unit *units_of(enum weir_conf_type type)
{
  if (type == WEIR_CONF_AMOUNT)
    return amount_units;
  if (type == WEIR_CONF_DURATION)
    return duration_units;
  if (type == WEIR_CONF_MONEY)
    return money_units;
  assert(type == WEIR_CONF_PERCENT);
  return percent_units;
}

/* Digits with single underscores between them; the number must stay below VALUE_MAX. */
static const char *parse_digits(const char *text, uint64_t *value, uint64_t *scale)
{
  const char *at = text;
  for (;;) {
    if (*at < '0' || *at > '9')
      return NULL;
    if (*value > VALUE_MAX / 10 - 1 || *scale > VALUE_MAX / 10)
      return NULL;
    *value = *value * 10 + (uint64_t)(*at - '0');
    *scale *= 10;
    at++;
    if (at[0] == '_' && at[1] >= '0' && at[1] <= '9')
      at++;
    else if (*at < '0' || *at > '9')
      return at;
  }
}

bool weir_conf_value_parse(enum weir_conf_type type, const char *text, uint64_t *ret_value)
{
  uint64_t value = 0, scale = 1;
  const char *at = parse_digits(text, &value, &scale);
  scale = 1;
  if (at != NULL && *at == '.')
    at = parse_digits(at + 1, &value, &scale);
  if (at == NULL)
    return false;
  const struct unit *unit = units_of(type);
  while (unit->text != NULL && strcmp(unit->text, at) != 0)
    unit++;
  if (unit->text == NULL)
    return false;
  /* Decimals that the unit swallows must not cost range. */
  uint64_t factor = unit->factor;
  for (; factor % 10 == 0 && scale % 10 == 0; factor /= 10)
    scale /= 10;
  if (value > VALUE_MAX / factor || value * factor % scale != 0)
    return false;
  *ret_value = value * factor / scale;
  return true;
}

const char *weir_conf_value_hint(enum weir_conf_type type)
{
  if (type == WEIR_CONF_AMOUNT)
    return "write a whole number such as 1000, 1_000, 10k or 2.5M";
  if (type == WEIR_CONF_DURATION)
    return "write a number with its unit such as 250ms, 2s, 1m, 1h or 1d";
  if (type == WEIR_CONF_MONEY)
    return "write an amount of money such as 25, 12.50 or 0.075, with six decimals at most";
  assert(type == WEIR_CONF_PERCENT);
  return "write a percentage such as 10% or 12.5%";
}

bool weir_conf_value_in_range(enum weir_conf_type type, const char *range, uint64_t value)
{
  if (range[0] == '\0')
    return true;
  const char *dots = strstr(range, "..");
  assert(dots != NULL && dots - range < WORD_SIZE);
  char low_text[WORD_SIZE] = {0};
  memcpy(low_text, range, (size_t)(dots - range));
  uint64_t low = 0, high = 0;
  bool is_range =
      weir_conf_value_parse(type, low_text, &low) && weir_conf_value_parse(type, dots + 2, &high);
  assert(is_range);
  (void)is_range;
  return value >= low && value <= high;
}

size_t weir_conf_word_count(const char *words, size_t index, char *ret_word, size_t size)
{
  size_t count = 0;
  for (const char *at = words; at != NULL;) {
    const char *bar = strchr(at, '|');
    size_t length = bar == NULL ? strlen(at) : (size_t)(bar - at);
    if (count == index && length < size) {
      memcpy(ret_word, at, length);
      ret_word[length] = '\0';
    }
    count++;
    at = bar == NULL ? NULL : bar + 1;
  }
  return count;
}

int weir_conf_word_find(const char *words, const char *word)
{
  char each[WORD_SIZE] = {0};
  size_t count = weir_conf_word_count(words, SIZE_MAX, each, sizeof each);
  for (size_t i = 0; i < count; i++) {
    weir_conf_word_count(words, i, each, sizeof each);
    if (strcmp(each, word) == 0)
      return (int)i;
  }
  return -1;
}

static size_t min_of(size_t a, size_t b)
{
  return a < b ? a : b;
}

size_t weir_conf_distance(const char *a, const char *b)
{
  size_t rows = strlen(a), columns = strlen(b);
  if (rows >= WORD_SIZE || columns >= WORD_SIZE)
    return SIZE_MAX;
  size_t d[WORD_SIZE][WORD_SIZE];
  for (size_t i = 0; i <= rows; i++)
    d[i][0] = i;
  for (size_t j = 0; j <= columns; j++)
    d[0][j] = j;
  for (size_t i = 1; i <= rows; i++) {
    for (size_t j = 1; j <= columns; j++) {
      size_t change = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = min_of(change, min_of(d[i - 1][j], d[i][j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = min_of(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[rows][columns];
}
