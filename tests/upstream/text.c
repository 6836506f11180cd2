#include "text.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum run { RUN_NONE, RUN_LETTERS, RUN_OTHER_LETTERS, RUN_PUNCTUATION, RUN_LINES, RUN_SPACES };

void weir_up_count_end(struct weir_up_count *count)
{
  uint32_t n = count->run_length;
  switch ((enum run)count->run_kind) {
  case RUN_NONE:
    break;
  case RUN_LETTERS:
    count->tokens += (n + 5) / 6;
    break;
  case RUN_OTHER_LETTERS:
  case RUN_PUNCTUATION:
    count->tokens += (n + 2) / 3;
    break;
  case RUN_LINES:
    count->tokens += 1;
    break;
  case RUN_SPACES:
    count->tokens += (n - 1 + 7) / 8;
    break;
  }
  count->run_kind = RUN_NONE;
  count->run_length = 0;
}

static void add_to_run(struct weir_up_count *count, enum run run)
{
  if (count->run_kind != run) {
    weir_up_count_end(count);
    count->run_kind = run;
  }
  count->run_length++;
}

static void add_whole(struct weir_up_count *count, uint64_t tokens)
{
  weir_up_count_end(count);
  count->tokens += tokens;
}

static void add_character(struct weir_up_count *count, uint32_t c)
{
  count->characters++;
  if ((c | 32) >= 'a' && (c | 32) <= 'z')
    add_to_run(count, RUN_LETTERS);
  else if (c >= '0' && c <= '9')
    add_whole(count, 1);
  else if (c == ' ')
    add_to_run(count, RUN_SPACES);
  else if (c == '\n' || c == '\r' || c == '\t')
    add_to_run(count, RUN_LINES);
  else if (c < 0x80)
    add_to_run(count, RUN_PUNCTUATION);
  else if (c < 0x800)
    add_to_run(count, RUN_OTHER_LETTERS);
  else
    add_whole(count, c <= 0xffff ? 1 : 2);
}

static uint32_t hex4(const char *at)
{
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) {
    char c = at[i];
    uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : (uint32_t)((c | 32) - 'a' + 10);
    value = value * 16 + (digit & 15);
  }
  return value;
}

/* The character that a backslash begins, and how many bytes it takes. */
static uint32_t escape(const char *at, size_t size, size_t *ret_taken)
{
  *ret_taken = 2;
  if (size < 2) {
    *ret_taken = 1;
    return '\\';
  }
  if (at[1] != 'u' || size < 6)
    return at[1] == 'n' || at[1] == 'r' || at[1] == 't' ? '\n' : (uint8_t)at[1];
  *ret_taken = 6;
  uint32_t c = hex4(at + 2);
  if (c >= 0xd800 && c < 0xdc00 && size >= 12 && at[6] == '\\' && at[7] == 'u') {
    *ret_taken = 12;
    c = 0x10000 + ((c - 0xd800) << 10) + (hex4(at + 8) & 0x3ff);
  }
  return c;
}

static uint32_t utf8(const char *at, size_t size, size_t *ret_taken)
{
  uint8_t first = (uint8_t)at[0];
  size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  uint32_t c = length == 1 ? first : first & (0x7fu >> length);
  *ret_taken = length < size ? length : size;
  for (size_t i = 1; i < *ret_taken; i++)
    c = (c << 6) | ((uint8_t)at[i] & 0x3f);
  return c;
}

void weir_up_count_add(struct weir_up_count *count, const char *bytes, size_t size)
{
  size_t taken;
  for (size_t at = 0; at < size; at += taken) {
    uint32_t c = bytes[at] == '\\' ? escape(bytes + at, size - at, &taken)
                                   : utf8(bytes + at, size - at, &taken);
    add_character(count, c);
  }
}

size_t weir_up_prose(struct weir_rng *rng, uint64_t words, uint64_t at, char *ret_text, size_t size)
{
  /* At most six letters each, so one token; and nothing that JSON escapes. */
  static const char *const list[] = {
      "water", "over",  "the",   "weir", "falls", "evenly", "when",  "gates",
      "hold",  "back",  "just",  "as",   "much",  "as",     "each",  "field",
      "can",   "take",  "and",   "no",   "more",  "river",  "keeps", "its",
      "level", "while", "banks", "stay", "dry",   "all",    "year",  "long",
  };
  size_t used = 0;
  assert(size >= 8 * words);
  for (uint64_t i = 0; i < words; i++) {
    const char *word = list[weir_rng_below(rng, sizeof list / sizeof list[0])];
    size_t length = strlen(word);
    if (at + i > 0)
      ret_text[used++] = ' ';
    memcpy(ret_text + used, word, length);
    used += length;
  }
  return used;
}
