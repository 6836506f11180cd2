/* The estimator against its naive reference, on random and on real texts, in random pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/estimate.h>
#include <weir/rng.h>

#include "naive_estimate.h"

static struct weir_rng rng;

static uint64_t fed_in_pieces(enum weir_tokenizer tokenizer, const uint8_t *text, size_t size)
{
  struct weir_estimator e;
  uint64_t piece_max = weir_rng_below(&rng, 2) ? 7 : 2 * size + 1;

  weir_estimator_init(&e, tokenizer);
  for (size_t at = 0, piece; at < size; at += piece) {
    piece = (size_t)weir_rng_below(&rng, piece_max + 1);
    if (piece > size - at)
      piece = size - at;
    weir_estimator_feed(&e, text + at, piece);
  }
  return weir_estimator_result(&e).tokens;
}

static void check(const uint8_t *text, size_t size)
{
  static const enum weir_tokenizer tokenizers[] = {WEIR_TOKENIZER_O200K, WEIR_TOKENIZER_GEMMA};

  for (int family = 0; family < WEIR_FAMILIES; family++) {
    uint64_t tokens = (naive_thousandths((enum weir_family)family, text, size) + 999) / 1000;

    assert_int_equal(fed_in_pieces(tokenizers[family], text, size), tokens);
    assert_int_equal(weir_estimate_text(tokenizers[family], text, size).tokens, tokens);
  }
}

static void every_code_point_costs_what_the_reference_says(void **state)
{
  (void)state;
  weir_rng_init(&rng, 1);
  for (uint32_t code = 0; code < 0x110000; code += code < 0x20000 ? 1 : 251) {
    uint8_t text[12] = "a";
    size_t size = 1;

    for (int i = 0; i < 2; i++) { /* twice, behind a letter and behind itself */
      int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
      static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};

      text[size++] = (uint8_t)(leads[more] | code >> 6 * more);
      while (more-- > 0)
        text[size++] = (uint8_t)(0x80 | (code >> 6 * more & 0x3f));
    }
    check(text, size);
  }
}

/* Of letters, digits, gaps, and sequences whole and broken; short alphabets make long runs. */
static void random_texts_cost_what_the_reference_says(void **state)
{
  static const char alphabet[] =
      "abcxyzABCXYZ0123456789-+/=_ \n\t.,\"'({\\@\xc3\xa9\xc8\x99\xd0\xb8"
      "\xd1\x9f\xe5\x8d\x8f\xe8\xaa\xaa\xf0\x9f\x98\x80\xff\x80\xc0";
  (void)state;

  weir_rng_init(&rng, 2);
  for (int round = 0; round < 60000; round++) {
    size_t size = (size_t)weir_rng_below(&rng, 120);
    uint64_t first = weir_rng_below(&rng, sizeof(alphabet) - 1);
    uint64_t letters = 1 + weir_rng_below(&rng, sizeof(alphabet) - 1 - first);
    uint8_t text[120];

    for (size_t i = 0; i < size; i++)
      text[i] = (uint8_t)alphabet[first + weir_rng_below(&rng, letters)];
    check(text, size);
  }
}

/* What tells noise from words: length, kinds of characters and how often they change. */
static void runs_of_every_length_cost_what_the_reference_says(void **state)
{
  static const char *const patterns[] = {
      "7",    "0f",    "00ff", "0ff",   "000fffff", "0000f",    "00000f",  "0fX",
      "0fXy", "7-",    "7_",   "0f-",   "000ff-",   "aB",       "aB7aaaa", "aB7aaa7",
      "word", "a_b_c", "a-b7", "0fffX", "00+/xY",   "camelCase"};
  (void)state;

  weir_rng_init(&rng, 3);
  for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
    for (size_t size = 1; size < 90; size++) {
      uint8_t text[92] = " ";

      for (size_t k = 0; k < size; k++)
        text[k + 1] = (uint8_t)patterns[i][k % strlen(patterns[i])];
      text[size + 1] = ' ';
      check(text, size + 2);
      check(text + 1, size);
    }
  }
}

/* Sums of a run are kept in pieces: this one has several, and changes at every byte. */
static void a_run_of_a_megabyte_costs_what_the_reference_says(void **state)
{
  const size_t size = (size_t)1 << 20;
  uint8_t *text = malloc(size);
  (void)state;

  assert_non_null(text);
  weir_rng_init(&rng, 4);
  for (int noise = 0; noise < 2; noise++) {
    for (size_t i = 0; i < size; i++)
      text[i] = (uint8_t)(noise ? "aB7"[i % 3] : "aB"[i % 2]);
    check(text, size);
  }
  free(text);
}

static void real_texts_cost_what_the_reference_says(void **state)
{
  static const char *const names[] = {"README.md", "docs/PROVIDERS.md",
                                      "tests/unit/test_estimate.c", "shim/state/weights.c",
                                      "CMakePresets.json"};
  static uint8_t text[200000];
  (void)state;

  weir_rng_init(&rng, 5);
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    char path[1024];
    size_t size;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", WEIR_SOURCE_DIR, names[i]);
    file = fopen(path, "rb");
    assert_non_null(file);
    size = fread(text, 1, sizeof(text), file);
    fclose(file);
    assert_true(size > 500);
    for (int round = 0; round < 10; round++)
      check(text, size);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_code_point_costs_what_the_reference_says),
      cmocka_unit_test(random_texts_cost_what_the_reference_says),
      cmocka_unit_test(runs_of_every_length_cost_what_the_reference_says),
      cmocka_unit_test(a_run_of_a_megabyte_costs_what_the_reference_says),
      cmocka_unit_test(real_texts_cost_what_the_reference_says),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
