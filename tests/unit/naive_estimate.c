#include "naive_estimate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define INVALID UINT32_MAX

#define RUN_BYTES_MIN 16

/* Decodes |text| into code points; each byte or cut sequence that is no UTF-8 becomes INVALID. */
static size_t decode(const uint8_t *text, size_t size, uint32_t *ret_codes)
{
  size_t count = 0;

  for (size_t at = 0; at < size;) {
    uint8_t lead = text[at++];
    size_t more = lead < 0xc0 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    uint32_t code = more > 0 ? lead & (0x3fu >> more) : lead;

    for (; more > 0 && at < size && (text[at] & 0xc0) == 0x80; more--)
      code = code << 6 | (text[at++] & 0x3fu);
    if (more > 0 || (lead >= 0x80 && (lead < 0xc0 || code < 0x80)))
      code = INVALID;
    ret_codes[count++] = code;
  }
  return count;
}

static bool is_in(uint32_t code, const char *set)
{
  return code != 0 && code < 0x80 && strchr(set, (int)code) != NULL;
}

static enum weir_type type_of(uint32_t code)
{
  if (code >= 'a' && code <= 'z')
    return WEIR_TYPE_LOWER;
  if (code >= 'A' && code <= 'Z')
    return WEIR_TYPE_UPPER;
  if (code >= '0' && code <= '9')
    return WEIR_TYPE_DIGIT;
  if (code == ' ')
    return WEIR_TYPE_SPACE;
  if (is_in(code, "\r\n"))
    return WEIR_TYPE_NEWLINE;
  if (code == '\t')
    return WEIR_TYPE_TAB;
  if (is_in(code, "\"'`"))
    return WEIR_TYPE_QUOTE;
  if (is_in(code, "()[]{}<>"))
    return WEIR_TYPE_BRACKET;
  if (is_in(code, ".,;:!?"))
    return WEIR_TYPE_STOP;
  if (code == '_')
    return WEIR_TYPE_LOWLINE;
  if (code == '-')
    return WEIR_TYPE_DASH;
  return is_in(code, "/\\") ? WEIR_TYPE_SLASH : WEIR_TYPE_MARK;
}

static bool is_alphanumeric(uint32_t code)
{
  return type_of(code) <= WEIR_TYPE_UPPER || type_of(code) == WEIR_TYPE_DIGIT;
}

static bool is_of_run(uint32_t code)
{
  return code < 0x80 && (is_alphanumeric(code) || is_in(code, "-+/=_"));
}

static enum weir_script script_of(uint32_t code)
{
  for (size_t i = 0; i < WEIR_RANGES; i++) {
    if (code <= weir_ranges[i].last)
      return weir_ranges[i].script;
  }
  return WEIR_SCRIPT_OTHER;
}

static uint32_t state_after(uint32_t state, uint32_t code)
{
  if (code < 0x80 && type_of(code) == WEIR_TYPE_DIGIT)
    return state == WEIR_TYPE_DIGIT      ? (uint32_t)WEIR_STATE_DIGIT_2
           : state == WEIR_STATE_DIGIT_2 ? (uint32_t)WEIR_STATE_DIGIT_3
                                         : (uint32_t)WEIR_TYPE_DIGIT;
  if (code < 0x80)
    return type_of(code);
  if ((code >= 0xc0 && code <= 0x24f) || (code >= 0x1e00 && code <= 0x1eff))
    return WEIR_STATE_LETTER;
  return WEIR_STATE_ELSE;
}

/* What a run of |size| bytes is; WEIR_NOISES: words. */
static enum weir_noise noise_of(const uint32_t *codes, size_t size)
{
  bool has_digit = false, has_hex = false, has_letter = false, has_dash = false, has_mark = false;
  size_t changes = 0;

  for (size_t i = 0; i < size; i++) {
    bool is_digit = type_of(codes[i]) == WEIR_TYPE_DIGIT, is_hex = is_in(codes[i], "abcdefABCDEF");
    bool is_word = type_of(codes[i]) <= WEIR_TYPE_UPPER;

    has_digit |= is_digit;
    has_hex |= is_hex;
    has_letter |= is_word && !is_hex;
    has_dash |= codes[i] == '-';
    has_mark |= is_in(codes[i], "+/=_");
    if (i > 0 && is_alphanumeric(codes[i]) && is_alphanumeric(codes[i - 1]))
      changes += type_of(codes[i]) != type_of(codes[i - 1]);
  }
  if (size < RUN_BYTES_MIN || !has_digit)
    return WEIR_NOISES;
  if (!has_hex && !has_letter)
    return has_dash || has_mark ? WEIR_NOISES : WEIR_NOISE_DIGITS;
  if (!has_letter && changes * 5 >= size)
    return has_dash ? WEIR_NOISE_UUID : WEIR_NOISE_HEX;
  return changes * 3 >= size ? WEIR_NOISE_BASE64 : WEIR_NOISES;
}

static uint32_t codes_count(const uint32_t *codes, size_t count, uint32_t state,
                            struct naive_counts *counts)
{
  for (size_t i = 0; i < count; i++) {
    uint32_t code = codes[i];
    enum weir_script script = code < 0x80 ? WEIR_SCRIPTS : script_of(code);

    if (code < 0x80)
      counts->transitions[state][type_of(code)]++;
    else if (script == WEIR_SCRIPT_LATIN)
      counts->latin[code - WEIR_LATIN_FIRST]++;
    else if (script == WEIR_SCRIPT_CYRILLIC)
      counts->cyrillic[code - WEIR_CYRILLIC_FIRST]++;
    else
      counts->scripts[script]++;
    state = state_after(state, code);
  }
  return state;
}

void naive_count(const void *text, size_t size, struct naive_counts *ret_counts)
{
  uint32_t *codes = malloc((size + 1) * sizeof(*codes)), state = WEIR_STATE_ELSE;
  size_t count;

  if (!codes)
    abort();
  memset(ret_counts, 0, sizeof(*ret_counts));
  count = decode(text, size, codes);
  for (size_t at = 0, run; at < count; at += run) {
    struct naive_counts ignored = {0}, *counts = ret_counts;
    enum weir_noise noise;

    for (run = 0; at + run < count && is_of_run(codes[at + run]); run++)
      ;
    noise = noise_of(codes + at, run);
    if (noise != WEIR_NOISES) {
      ret_counts->noises[noise] += run;
      counts = &ignored;
    }
    if (run == 0)
      run = 1;
    state = codes_count(codes + at, run, state, counts);
  }
  free(codes);
}

uint64_t naive_thousandths(enum weir_family family, const void *text, size_t size)
{
  const struct weir_weights *w = &weir_weights[family];
  struct naive_counts c;
  uint64_t sum = 0;

  naive_count(text, size, &c);
  for (size_t i = 0; i < WEIR_STATES; i++)
    for (size_t k = 0; k < WEIR_TYPES; k++)
      sum += c.transitions[i][k] * w->transitions[i][k];
  for (size_t i = 0; i < WEIR_LATIN_COUNT; i++)
    sum += c.latin[i] * w->latin[i];
  for (size_t i = 0; i < WEIR_CYRILLIC_COUNT; i++)
    sum += c.cyrillic[i] * w->cyrillic[i];
  for (size_t i = 0; i < WEIR_SCRIPTS; i++)
    sum += c.scripts[i] * w->scripts[i];
  for (size_t i = 0; i < WEIR_NOISES; i++)
    sum += c.noises[i] * w->noises[i];
  return sum;
}
