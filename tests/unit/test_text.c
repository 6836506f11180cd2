/* Durations, counts, dates and wording as providers write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <weir/json.h>
#include <weir/rng.h>
#include <weir/text.h>

#define S WEIR_US_PER_S

static void reads_every_form_of_duration(void **state)
{
  static const struct {
    const char *text;
    weir_duration us;
  } rows[] = {
      {"1h2m3.4s", 3723400000},
      {"2m3s", 123 * S},
      {"3.4s", 3400000},
      {"84ms", 84000},
      {"36s", 36 * S},
      {"6m0s", 360 * S},
      {"23h59m45s", 86385 * S},
      {"1m23.4s.", 83400000},
      {" 20 seconds.", 20 * S},
      {"1 minute", 60 * S},
      {"5 minutes", 300 * S},
      {"2 days", 172800 * S},
      {"0s", 0},
      {"250us", 250},
      {"45.811974541s.", 45811975}, /* never earlier than stated */
      {"36.4297600000000000001s", 36429761},
      {"0.0000001s", 1},
      {"12.941102168s\nmore", 12941103},
      {"1h and more", 3600 * S},
  };
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    weir_duration us = 1;

    if (!weir_text_duration(rows[i].text, &us) || us != rows[i].us)
      fail_msg("%s: %llu us", rows[i].text, (unsigned long long)us);
  }
}

static void refuses_what_is_no_duration(void **state)
{
  static const char *const texts[] = {"",    "s",     "12",       "1.5", "12x",
                                      "-3s", "later", "1 monkey", ".5s"};
  (void)state;

  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    weir_duration us = 7;

    if (weir_text_duration(texts[i], &us))
      fail_msg("'%s' was read as %llu us", texts[i], (unsigned long long)us);
    assert_int_equal(us, 7);
  }
}

static void cuts_durations_beyond_every_quota(void **state)
{
  static const char *const texts[] = {"99999999999999999999999999h", "999999999999d", "744h1s",
                                      "31d31d31d"};
  weir_duration us;
  (void)state;

  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    assert_true(weir_text_duration(texts[i], &us));
    assert_int_equal(us, WEIR_TEXT_DURATION_MAX);
  }
}

static void reads_a_bare_number_in_its_unit(void **state)
{
  weir_duration us;
  (void)state;

  assert_true(weir_text_decimal("42", S, &us) && us == 42 * S);
  assert_true(weir_text_decimal(" 1.5 ", S, &us) && us == 1500000);
  assert_true(weir_text_decimal("250", WEIR_US_PER_MS, &us) && us == 250000);
  assert_true(weir_text_decimal("0.0001", WEIR_US_PER_MS, &us) && us == 1);
  assert_false(weir_text_decimal("42s", S, &us));
  assert_false(weir_text_decimal("-1", S, &us));
  assert_false(weir_text_decimal("Wed, 21 Oct 2015 07:28:00 GMT", S, &us));
}

static void reads_counts_with_and_without_commas(void **state)
{
  uint64_t n;
  (void)state;

  assert_true(weir_text_count("200000, Used", &n) && n == 200000);
  assert_true(weir_text_count(": 58,276 input", &n) && n == 58276);
  assert_true(weir_text_count("  7", &n) && n == 7);
  assert_true(weir_text_count("99999999999999999999999", &n) && n == UINT64_C(1) << 63);
  assert_false(weir_text_count("", &n));
  assert_false(weir_text_count("x7", &n));
}

static void reads_the_three_forms_of_http_dates(void **state)
{
  static const struct {
    const char *text;
    uint64_t unix_s;
  } rows[] = {
      {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},  {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
      {"Sun Nov  6 08:49:37 1994", 784111777},       {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
      {"Tue, 29 Feb 2000 23:59:59 GMT", 951868799},  {"Fri, 01 Mar 2024 00:00:00 GMT", 1709251200},
      {"Sun, 31 Dec 2028 12:00:00 GMT", 1861876800},
  };
  static const char *const others[] = {"",
                                       "soon",
                                       "06 1994 08:49:37",
                                       "Sun, 06 Nov 1994",
                                       "Sun, 45 Nov 1994 08:49:37 GMT",
                                       "Sun, 06 Nov 1994 25:49:37 GMT",
                                       "Nov Nov Nov 1:2:3:4:5"};
  uint64_t unix_s;
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    unix_s = 1;
    if (!weir_text_date(rows[i].text, &unix_s) || unix_s != rows[i].unix_s)
      fail_msg("%s: %llu", rows[i].text, (unsigned long long)unix_s);
  }
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
    if (weir_text_date(others[i], &unix_s))
      fail_msg("'%s' was read as a date", others[i]);
}

static void finds_words_in_any_case_and_patterns_in_order(void **state)
{
  const char *text = "The Input Token Count (12) exceeds the maximum";
  (void)state;

  assert_string_equal(weir_text_find(text, "COUNT "), "(12) exceeds the maximum");
  assert_null(weir_text_find(text, "maximums"));
  assert_true(weir_text_has(text, "input token count*exceeds"));
  assert_false(weir_text_has(text, "exceeds*input token count"));
  assert_true(weir_text_has(text, "*"));
  assert_false(weir_text_has("", "*"));
  assert_true(weir_text_is("Retry-After", "retry-after"));
  assert_false(weir_text_is("retry-after-ms", "retry-after"));
}

/* The scanner decodes strings too, by code of its own: both have to agree. */
static void decodes_strings_as_the_scanner_does(void **state)
{
  static const char *const parts[] = {
      "a",       "\\n",     "\\\"",           "\\\\",    "\\/",     "\\u0041",
      "\\u00e9", "\\u20ac", "\\ud83d\\ude00", "\\ud800", "\\udc00", "\xc3\xa9",
      "\\t",     "\\b"};
  struct weir_rng rng;
  (void)state;

  weir_rng_init(&rng, 11);
  for (int round = 0; round < 2000; round++) {
    char text[512] = "\"";
    uint8_t decoded[512];
    size_t size = 0, step, room = 8 + weir_rng_below(&rng, 20);
    const uint8_t *at, *end;
    struct weir_json json;
    struct weir_json_token token;

    for (uint64_t left = weir_rng_below(&rng, 30); left > 0; left--)
      strcat(text, parts[weir_rng_below(&rng, sizeof(parts) / sizeof(parts[0]))]);
    strcat(text, "\"");
    weir_json_init(&json);
    weir_json_feed(&json, text, strlen(text));
    assert_int_equal(weir_json_next(&json, &token), WEIR_JSON_TOKEN);
    at = (const uint8_t *)text + 1;
    end = (const uint8_t *)text + strlen(text) - 1;
    while ((step = weir_text_unescape(&at, end, decoded + size, room)) > 0)
      size += step;
    assert_int_equal(size, token.text_size);
    assert_memory_equal(decoded, token.text, size);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_every_form_of_duration),
      cmocka_unit_test(refuses_what_is_no_duration),
      cmocka_unit_test(cuts_durations_beyond_every_quota),
      cmocka_unit_test(reads_a_bare_number_in_its_unit),
      cmocka_unit_test(reads_counts_with_and_without_commas),
      cmocka_unit_test(reads_the_three_forms_of_http_dates),
      cmocka_unit_test(finds_words_in_any_case_and_patterns_in_order),
      cmocka_unit_test(decodes_strings_as_the_scanner_does),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
