#include <weir/text.h>

#include <assert.h>
#include <string.h>

#include <weir/civil.h>

#define COUNT_MAX   (UINT64_C(1) << 63)
#define US_PER_DAY  (24 * WEIR_US_PER_HOUR)
#define REPLACEMENT 0xfffd

static char lower(char c)
{
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
  return lower(c) >= 'a' && lower(c) <= 'z';
}

static const char *blanks_skip(const char *at)
{
  while (*at == ' ' || *at == '\t')
    at++;
  return at;
}

/* Returns the place behind |part| when |text| begins with its |size| characters, else NULL. */
static const char *part_skip(const char *text, const char *part, size_t size)
{
  for (size_t i = 0; i < size; i++)
    if (text[i] == '\0' || lower(text[i]) != lower(part[i]))
      return NULL;
  return text + size;
}

static const char *part_find(const char *text, const char *part, size_t size)
{
  for (;; text++) {
    const char *behind = part_skip(text, part, size);

    if (behind || *text == '\0')
      return behind;
  }
}

const char *weir_text_find(const char *text, const char *part)
{
  return part_find(text, part, strlen(part));
}

bool weir_text_has(const char *text, const char *pattern)
{
  if (*text == '\0')
    return false;
  while (text) {
    size_t size = strcspn(pattern, "*");

    text = part_find(text, pattern, size);
    pattern += size;
    if (*pattern == '\0')
      break;
    pattern++;
  }
  return text != NULL;
}

bool weir_text_is(const char *text, const char *other)
{
  size_t size = strlen(other);

  return strlen(text) == size && part_skip(text, other, size) != NULL;
}

bool weir_text_count(const char *text, uint64_t *ret_value)
{
  uint64_t value = 0;

  text = blanks_skip(text);
  if (*text == ':')
    text = blanks_skip(text + 1);
  if (!is_digit(*text))
    return false;
  for (; is_digit(*text) || (*text == ',' && is_digit(text[1])); text++) {
    if (*text != ',')
      value = value > (COUNT_MAX - 9) / 10 ? COUNT_MAX : value * 10 + (uint64_t)(*text - '0');
  }
  *ret_value = value;
  return true;
}

/* A decimal number: its whole part and millionths (rounded up), both cut to what can matter. */
struct decimal {
  uint64_t whole, millionths;
};

static const char *decimal_skip(const char *at, struct decimal *ret_decimal)
{
  struct decimal d = {0};
  uint64_t place = 1000000;
  bool has_rest = false;

  if (!is_digit(*at))
    return NULL;
  for (; is_digit(*at); at++)
    d.whole = d.whole > WEIR_TEXT_DURATION_MAX ? d.whole : d.whole * 10 + (uint64_t)(*at - '0');
  if (*at == '.' && is_digit(at[1])) {
    for (at++; is_digit(*at); at++) {
      place /= 10;
      d.millionths += place * (uint64_t)(*at - '0');
      has_rest |= place == 0 && *at != '0';
    }
  }
  d.millionths += has_rest;
  *ret_decimal = d;
  return at;
}

static weir_duration decimal_scale(struct decimal d, weir_duration unit_us)
{
  if (d.whole > WEIR_TEXT_DURATION_MAX / unit_us)
    return WEIR_TEXT_DURATION_MAX;
  /* unit_us is at most a day: the product of the fraction stays below 2^57. */
  return d.whole * unit_us + (d.millionths * unit_us + 999999) / 1000000;
}

static weir_duration duration_add(weir_duration a, weir_duration b)
{
  return a > WEIR_TEXT_DURATION_MAX - b ? WEIR_TEXT_DURATION_MAX : a + b;
}

/* Returns the place behind the unit of time at |at|, or NULL. */
static const char *unit_skip(const char *at, weir_duration *ret_unit_us)
{
  static const struct {
    const char *text;
    weir_duration us;
  } units[] = {
      {"us", 1},
      {"ms", WEIR_US_PER_MS},
      {"s", WEIR_US_PER_S},
      {"sec", WEIR_US_PER_S},
      {"second", WEIR_US_PER_S},
      {"seconds", WEIR_US_PER_S},
      {"m", WEIR_US_PER_MIN},
      {"min", WEIR_US_PER_MIN},
      {"minute", WEIR_US_PER_MIN},
      {"minutes", WEIR_US_PER_MIN},
      {"h", WEIR_US_PER_HOUR},
      {"hour", WEIR_US_PER_HOUR},
      {"hours", WEIR_US_PER_HOUR},
      {"d", US_PER_DAY},
      {"day", US_PER_DAY},
      {"days", US_PER_DAY},
  };

  for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
    const char *behind = part_skip(at, units[i].text, strlen(units[i].text));

    if (behind && !is_letter(*behind)) {
      *ret_unit_us = units[i].us;
      return behind;
    }
  }
  return NULL;
}

bool weir_text_duration(const char *text, weir_duration *ret_duration)
{
  weir_duration sum = 0, unit_us = 0;
  bool has_part = false;

  text = blanks_skip(text);
  for (;;) {
    struct decimal d;
    const char *at = decimal_skip(text, &d);

    at = at ? unit_skip(blanks_skip(at), &unit_us) : NULL;
    if (!at)
      break;
    sum = duration_add(sum, decimal_scale(d, unit_us));
    has_part = true;
    text = at;
  }
  if (has_part)
    *ret_duration = sum;
  return has_part;
}

bool weir_text_decimal(const char *text, weir_duration unit_us, weir_duration *ret_duration)
{
  struct decimal d;
  const char *at = decimal_skip(blanks_skip(text), &d);

  assert(unit_us > 0 && unit_us <= US_PER_DAY);
  if (!at || *blanks_skip(at) != '\0')
    return false;
  *ret_duration = decimal_scale(d, unit_us);
  return true;
}

static uint64_t month_parse(const char *text)
{
  static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

  for (uint64_t i = 0; i < 12; i++)
    if (part_skip(text, names + 3 * i, 3))
      return i + 1;
  return 0;
}

/* A date as far as it is read. */
struct date {
  uint64_t month;
  uint64_t numbers[2], numbers_count; /* the day, then the year */
  uint64_t clock[3], clock_count;
};

/* Takes in a word of |size| characters; false when it can belong to no date. */
static bool date_take(struct date *d, const char *word, size_t size)
{
  uint64_t value;

  if (size == 0 || size > 4 || !is_digit(*word) || !weir_text_count(word, &value)) {
    if (d->month == 0 && size == 3)
      d->month = month_parse(word);
    return true;
  }
  if (word[size] == ':' || d->clock_count == 1 || d->clock_count == 2) {
    if (d->clock_count == 3)
      return false;
    d->clock[d->clock_count++] = value;
    return true;
  }
  if (d->numbers_count == 2)
    return false;
  d->numbers[d->numbers_count++] = value;
  return true;
}

/* The three forms of RFC 9110 differ in order and separators only: the month is the word that is
 * one, the clock has colons, and of the other two numbers the first is the day.
 *   Sun, 06 Nov 1994 08:49:37 GMT    Sunday, 06-Nov-94 08:49:37 GMT    Sun Nov  6 08:49:37 1994 */
bool weir_text_date(const char *text, uint64_t *ret_unix_s)
{
  struct date d = {0};
  uint64_t year;

  while (*text != '\0') {
    size_t size = strcspn(text, " ,-:");

    if (!date_take(&d, text, size))
      return false;
    text += size;
    text += *text != '\0';
  }
  year = d.numbers[1] >= 100 ? d.numbers[1] : d.numbers[1] + (d.numbers[1] < 70 ? 2000 : 1900);
  if (d.month == 0 || d.clock_count != 3 || d.numbers_count != 2 || d.numbers[0] == 0 ||
      d.numbers[0] > 31 || d.clock[0] > 23 || d.clock[1] > 59 || d.clock[2] > 60 || year < 1970)
    return false;
  *ret_unix_s = weir_civil_days(year, d.month, d.numbers[0]) * 86400 + d.clock[0] * 3600 +
                d.clock[1] * 60 + d.clock[2];
  return true;
}

static uint32_t hex4(const uint8_t *at)
{
  uint32_t code = 0;

  for (int i = 0; i < 4; i++) {
    uint8_t c = at[i];
    uint32_t digit = c <= '9' ? (uint32_t)(c - '0') : (uint32_t)((c | 0x20) - 'a' + 10);

    code = code << 4 | (digit & 0xf);
  }
  return code;
}

static size_t utf8_put(uint32_t code, uint8_t *bytes)
{
  static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
  size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

  for (size_t i = size - 1; i > 0; i--, code >>= 6)
    bytes[i] = (uint8_t)(0x80 | (code & 0x3f));
  bytes[0] = (uint8_t)(leads[size] | code);
  return size;
}

/* What a letter stands for behind a backslash. */
static uint8_t letter_decode(uint8_t letter)
{
  switch (letter) {
  case 'b':
    return '\b';
  case 'f':
    return '\f';
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  default:
    return letter;
  }
}

/* Decodes the escape at |at| (a backslash), writes at most 4 bytes, returns the place behind. */
static const uint8_t *escape_decode(const uint8_t *at, const uint8_t *end, uint8_t *bytes,
                                    size_t *ret_size)
{
  uint32_t code;

  *ret_size = 1;
  if (end - at < 2) {
    bytes[0] = '\\';
    return end;
  }
  if (at[1] != 'u' || end - at < 6) {
    bytes[0] = letter_decode(at[1]);
    return at + 2;
  }
  code = hex4(at + 2);
  at += 6;
  if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u' &&
      hex4(at + 2) >= 0xdc00 && hex4(at + 2) < 0xe000) {
    code = 0x10000 + ((code - 0xd800) << 10) + (hex4(at + 2) - 0xdc00);
    at += 6;
  } else if (code >= 0xd800 && code < 0xe000) {
    code = REPLACEMENT;
  }
  *ret_size = utf8_put(code, bytes);
  return at;
}

size_t weir_text_unescape(const uint8_t **at, const uint8_t *end, uint8_t *ret_bytes, size_t size)
{
  size_t used = 0;

  assert(size >= 8);
  while (*at < end && size - used >= 4) {
    if (**at == '\\') {
      size_t decoded;

      *at = escape_decode(*at, end, ret_bytes + used, &decoded);
      used += decoded;
    } else {
      size_t left = (size_t)(end - *at), run = left < size - used ? left : size - used;
      const uint8_t *slash = memchr(*at, '\\', run);

      if (slash)
        run = (size_t)(slash - *at);
      memcpy(ret_bytes + used, *at, run);
      used += run;
      *at += run;
    }
  }
  return used;
}
