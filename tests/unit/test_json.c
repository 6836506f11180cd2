#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/json.h>

/* What a scanner said, one line a token: "depth path=text@begin-end", other types by other signs.
 */
struct log {
  char text[32768];
  size_t size;
};

static struct weir_json scanner;

__attribute__((format(printf, 2, 3))) static void log_add(struct log *log, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  log->size +=
      (size_t)vsnprintf(log->text + log->size, sizeof(log->text) - log->size, format, args);
  va_end(args);
  assert_true(log->size < sizeof(log->text));
}

static void log_token(struct log *log, const struct weir_json_token *t)
{
  static const char signs[] = "?{}[]=#TFN";

  assert_int_equal(t->text[t->text_size], '\0');
  log_add(log, "%" PRIu32 " %s%c%s%s@%" PRIu64, t->depth, t->path, signs[t->type], t->text,
          t->is_cut ? "..." : "", t->offset_begin);
  if (t->type != WEIR_JSON_OBJECT && t->type != WEIR_JSON_ARRAY)
    log_add(log, "-%" PRIu64, t->offset_end);
  log_add(log, "\n");
}

/* Feeds |size| bytes from a block of just that size, so that a sanitizer sees a read beyond it. */
static enum weir_json_status feed(const char *bytes, size_t size, struct log *log)
{
  uint8_t *block = malloc(size > 0 ? size : 1);
  struct weir_json_token token;
  enum weir_json_status status;

  assert_non_null(block);
  memcpy(block, bytes, size);
  weir_json_feed(&scanner, block, size);
  while ((status = weir_json_next(&scanner, &token)) == WEIR_JSON_TOKEN)
    log_token(log, &token);
  free(block);
  return status;
}

static enum weir_json_status finish(struct log *log)
{
  struct weir_json_token token;
  enum weir_json_status status;

  while ((status = weir_json_end(&scanner, &token)) == WEIR_JSON_TOKEN)
    log_token(log, &token);
  return status;
}

/* Scans |text| in pieces that end at |first| and |second|. */
static enum weir_json_status scan(const char *text, size_t size, size_t first, size_t second,
                                  struct log *log)
{
  log->size = 0;
  log->text[0] = '\0';
  weir_json_init(&scanner);
  if (feed(text, first, log) == WEIR_JSON_BAD ||
      feed(text + first, second - first, log) == WEIR_JSON_BAD ||
      feed(text + second, size - second, log) == WEIR_JSON_BAD)
    return WEIR_JSON_BAD;
  return finish(log);
}

static void assert_scans_to(const char *text, const char *expected)
{
  struct log log;
  size_t size = strlen(text);

  assert_int_equal(scan(text, size, 0, size, &log), WEIR_JSON_MORE);
  assert_string_equal(log.text, expected);
}

static void assert_refuses(const char *text, size_t size)
{
  struct log log;

  for (size_t cut = 0; cut <= size; cut++) {
    if (scan(text, size, cut, size, &log) != WEIR_JSON_BAD)
      fail_msg("accepted: %.*s", (int)size, text);
  }
}

static void reports_values_with_path_depth_and_offsets(void **state)
{
  (void)state;
  assert_scans_to("{\"a\": 1, \"b\": {\"c\": \"x\"}}", "0 {@0\n"
                                                       "1 a#1@6-7\n"
                                                       "1 b{@14\n"
                                                       "2 b.c=x@20-23\n"
                                                       "1 b}@14-24\n"
                                                       "0 }@0-25\n");
  assert_scans_to("[true,[false,null]]", "0 [@0\n"
                                         "1 []T@1-5\n"
                                         "1 [][@6\n"
                                         "2 [][]F@7-12\n"
                                         "2 [][]N@13-17\n"
                                         "1 []]@6-18\n"
                                         "0 ]@0-19\n");
}

static void names_paths_through_objects_in_arrays(void **state)
{
  (void)state;
  assert_scans_to("[{\"error\":{\"details\":[{},{\"id\":\"q\"}],\"code\":429}}]",
                  "0 [@0\n"
                  "1 []{@1\n"
                  "2 [].error{@10\n"
                  "3 [].error.details[@21\n"
                  "4 [].error.details[]{@22\n"
                  "4 [].error.details[]}@22-24\n"
                  "4 [].error.details[]{@25\n"
                  "5 [].error.details[].id=q@31-34\n"
                  "4 [].error.details[]}@25-35\n"
                  "3 [].error.details]@21-36\n"
                  "3 [].error.code#429@44-47\n"
                  "2 [].error}@10-48\n"
                  "1 []}@1-49\n"
                  "0 ]@0-50\n");
}

static void scans_values_that_follow_one_another(void **state)
{
  (void)state;
  assert_scans_to("{}\n[]{} \"a\"\"b\" 1 -2\ttrue\r\nnull", "0 {@0\n0 }@0-2\n"
                                                            "0 [@3\n0 ]@3-5\n"
                                                            "0 {@5\n0 }@5-7\n"
                                                            "0 =a@8-11\n"
                                                            "0 =b@11-14\n"
                                                            "0 #1@15-16\n"
                                                            "0 #-2@17-19\n"
                                                            "0 T@20-24\n"
                                                            "0 N@26-30\n");
  assert_scans_to("", "");
  assert_scans_to(" \n\t\r", "");
}

static void decodes_escapes(void **state)
{
  (void)state;
  assert_scans_to("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "0 =\"\\/\b\f\n\r\t@0-18\n");
  assert_scans_to("\"\\u0041\\u00e9\\u20AC\"", "0 =A\xc3\xa9\xe2\x82\xac@0-20\n");
  assert_scans_to("\"\\ud83d\\uDE00\"", "0 =\xf0\x9f\x98\x80@0-14\n");
  assert_scans_to("\"\\udbff\\udfff\"", "0 =\xf4\x8f\xbf\xbf@0-14\n");
  assert_scans_to("{\"\\u0061\\n\":1}", "0 {@0\n1 a\n#1@12-13\n0 }@0-14\n");
}

static void replaces_lone_surrogates(void **state)
{
#define R "\xef\xbf\xbd"
  (void)state;
  assert_scans_to("\"\\ud83d\"", "0 =" R "@0-8\n");
  assert_scans_to("\"\\ude00x\"", "0 =" R "x@0-9\n");
  assert_scans_to("\"\\ud83dx\"", "0 =" R "x@0-9\n");
  assert_scans_to("\"\\ud83d\\n\"", "0 =" R "\n@0-10\n");
  assert_scans_to("\"\\ud83d\\u0041\"", "0 =" R "A@0-14\n");
  assert_scans_to("\"\\ud83d\\ud83d\\ude00\"", "0 =" R "\xf0\x9f\x98\x80@0-20\n");
#undef R
}

static void keeps_nul_bytes_in_a_string_and_its_size(void **state)
{
  static const char text[] = "\"a\\u0000b\"";
  struct weir_json_token token;

  (void)state;
  weir_json_init(&scanner);
  weir_json_feed(&scanner, text, sizeof(text) - 1);
  assert_int_equal(weir_json_next(&scanner, &token), WEIR_JSON_TOKEN);
  assert_int_equal(token.text_size, 3);
  assert_memory_equal(token.text, "a\0b", 4);
}

static void matches_no_path_by_a_key_with_a_nul_byte(void **state)
{
  (void)state;
  assert_scans_to("{\"a\\u0000b\":1,\"c\":2}", "0 {@0\n1 ?#1@12-13\n1 c#2@18-19\n0 }@0-20\n");
}

static void says_the_same_wherever_the_input_is_split(void **state)
{
  static const char *const documents[] = {
      "{\"usage\":{\"input_tokens\":12,\"cost\":-1.50e+3},\"text\":\"a\\ud83d\\ude00\\\\\\\"b\"}",
      "[true, false , null,\t\"\\ud83d\\u0041\",[[]],{},0.5,-0,1E9]\n{\"k\\u0065y\" : \"v\"}\n42",
      ("[{\"error\":{\"message\":\"You exceeded your current quota, please check your plan\","
       "\"details\":[{\"@type\":\"QuotaFailure\",\"violations\":[{\"quotaValue\":\"250000\"}]}]}}"
       "]"),
  };
  struct log whole, parts;

  (void)state;
  for (size_t d = 0; d < 3; d++) {
    size_t size = strlen(documents[d]);

    assert_int_equal(scan(documents[d], size, 0, size, &whole), WEIR_JSON_MORE);
    assert_true(whole.size > 0);
    for (size_t first = 0; first <= size; first++) {
      for (size_t second = first; second <= size; second++) {
        assert_int_equal(scan(documents[d], size, first, second, &parts), WEIR_JSON_MORE);
        assert_string_equal(parts.text, whole.text);
      }
    }
  }
}

static void finds_what_ends_a_string_at_every_distance(void **state)
{
  static const char *const ends[] = {"\"", "\\n\"", "\x1f\"", "\x80\x81\xff\""};
  char text[128], expected[128];
  struct log log;

  (void)state;
  for (size_t length = 0; length < 40; length++) {
    for (size_t e = 0; e < 4; e++) {
      size_t size;

      text[0] = '"';
      memset(text + 1, '!', length);
      memcpy(text + 1 + length, ends[e], strlen(ends[e]) + 1);
      size = strlen(text);
      if (e == 2) {
        assert_refuses(text, size);
        continue;
      }
      assert_int_equal(scan(text, size, 0, size, &log), WEIR_JSON_MORE);
      snprintf(expected, sizeof(expected), "0 =%.*s%s@0-%zu\n", (int)length, text + 1,
               e == 0   ? ""
               : e == 1 ? "\n"
                        : "\x80\x81\xff",
               size);
      assert_string_equal(log.text, expected);
    }
  }
}

static void refuses_what_is_not_json(void **state)
{
  static const char *const documents[] = {
      "{",          "[",          "}",         "]",
      "[}",         "{]",         "[1,]",      "[,1]",
      "[1 2]",      "{\"a\"}",    "{\"a\":}",  "{\"a\":1,}",
      "{\"a\" 1}",  "{a:1}",      "{1:2}",     "{\"a\":1 \"b\":2}",
      "{,}",        "{\"a\"::1}", ":",         ",",
      "'a'",        "\"a",        "\"\\x\"",   "\"\\u12g4\"",
      "\"\\u12",    "\"a\nb\"",   "\"\t\"",    "tru",
      "truE",       "True",       "nul",       "nulll",
      "truefalse",  "01",         "[01]",      "-",
      "-a",         "+1",         ".5",        "1.",
      "1.e5",       "1e",         "1e+",       "[1.]",
      "[1e]",       "[-]",        "1-2",       "1\"a\"",
      "0x10",       "NaN",        "00",        "-01",
      "-00",        "1e+-5",      "1e--5",     "1e5.5",
      "1e5e5",      "1.5.5",      "--1",       "1.-5",
      "Infinity",   "[1}",        "{\"a\":[}", "\xef\xbb\xbf{}",
      "/* */1",     "{}]",        "[] ,",      "1,2",
      "{\"a\":1}}",
  };

  (void)state;
  for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)
    assert_refuses(documents[i], strlen(documents[i]));
  assert_refuses("[\0]", 3);
  assert_refuses("\"\0\"", 3);
}

static void stays_bad_once_it_is_bad(void **state)
{
  struct weir_json_token token;

  (void)state;
  weir_json_init(&scanner);
  weir_json_feed(&scanner, "]1", 2);
  assert_int_equal(weir_json_next(&scanner, &token), WEIR_JSON_BAD);
  assert_int_equal(weir_json_next(&scanner, &token), WEIR_JSON_BAD);
  weir_json_feed(&scanner, "1 ", 2);
  assert_int_equal(weir_json_next(&scanner, &token), WEIR_JSON_BAD);
  assert_int_equal(weir_json_end(&scanner, &token), WEIR_JSON_BAD);
}

static void accepts_every_form_of_number(void **state)
{
  static const char *const numbers[] = {"0",     "-0",     "7",    "-12",
                                        "10.25", "0.0",    "1e5",  "1E5",
                                        "1e+5",  "1.5e-7", "-0e0", "1234567890123456789012"};
  char text[64], expected[64];

  (void)state;
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    size_t size = strlen(numbers[i]);

    snprintf(expected, sizeof(expected), "0 #%s@0-%zu\n", numbers[i], size);
    assert_scans_to(numbers[i], expected);
    snprintf(text, sizeof(text), "[%s]", numbers[i]);
    snprintf(expected, sizeof(expected), "0 [@0\n1 []#%s@1-%zu\n0 ]@0-%zu\n", numbers[i], size + 1,
             size + 2);
    assert_scans_to(text, expected);
  }
}

static void goes_no_deeper_than_its_limit(void **state)
{
  char text[2 * WEIR_JSON_DEPTH_MAX + 2];
  struct log log;

  (void)state;
  memset(text, '[', WEIR_JSON_DEPTH_MAX);
  memset(text + WEIR_JSON_DEPTH_MAX, ']', WEIR_JSON_DEPTH_MAX);
  assert_int_equal(scan(text, 2 * (size_t)WEIR_JSON_DEPTH_MAX, 0, 0, &log), WEIR_JSON_MORE);
  memset(text, '[', WEIR_JSON_DEPTH_MAX + 1);
  memset(text + WEIR_JSON_DEPTH_MAX + 1, ']', WEIR_JSON_DEPTH_MAX + 1);
  assert_int_equal(scan(text, sizeof(text), 0, 0, &log), WEIR_JSON_BAD);
}

static void cuts_paths_that_are_too_long_and_recovers_after_them(void **state)
{
  char key[WEIR_JSON_PATH_MAX + 2], text[1024], expected[1024];

  (void)state;
  memset(key, 'k', sizeof(key));
  for (int length = WEIR_JSON_PATH_MAX - 1; length <= WEIR_JSON_PATH_MAX + 1; length++) {
    bool fits = length <= WEIR_JSON_PATH_MAX;

    snprintf(text, sizeof(text), "{\"%.*s\":[{\"a\":1}],\"b\":2}", length, key);
    snprintf(expected, sizeof(expected),
             "0 {@0\n1 %.*s[@%d\n2 ?{@%d\n3 ?#1@%d-%d\n2 ?}@%d-%d\n1 %.*s]@%d-%d\n"
             "1 b#2@%d-%d\n0 }@0-%d\n",
             fits ? length : 1, fits ? key : "?", length + 4, length + 5, length + 10, length + 11,
             length + 5, length + 12, fits ? length : 1, fits ? key : "?", length + 4, length + 13,
             length + 18, length + 19, length + 20);
    assert_scans_to(text, expected);
  }
}

static void cuts_long_strings_but_spans_them_whole(void **state)
{
  static char text[3 * WEIR_JSON_TEXT_MAX];
  struct weir_json_token token;

  (void)state;
  for (size_t length = WEIR_JSON_TEXT_MAX - 1; length <= 2 * (size_t)WEIR_JSON_TEXT_MAX;
       length += 1021) {
    bool is_cut = length > WEIR_JSON_TEXT_MAX;

    memset(text, 'x', sizeof(text));
    text[0] = text[length + 1] = '"';
    weir_json_init(&scanner);
    weir_json_feed(&scanner, text, length + 2);
    assert_int_equal(weir_json_next(&scanner, &token), WEIR_JSON_TOKEN);
    assert_int_equal(token.is_cut, is_cut);
    assert_int_equal(token.text_size, is_cut ? WEIR_JSON_TEXT_MAX : length);
    assert_int_equal(strlen(token.text), token.text_size);
    assert_int_equal(token.offset_end - token.offset_begin, length + 2);
  }
}

static bool uint_of(const char *text, uint64_t *ret_value)
{
  struct weir_json_token token;

  weir_json_init(&scanner);
  weir_json_feed(&scanner, text, strlen(text));
  if (weir_json_next(&scanner, &token) != WEIR_JSON_TOKEN)
    assert_int_equal(weir_json_end(&scanner, &token), WEIR_JSON_TOKEN);
  return weir_json_uint(&token, ret_value);
}

static void reads_whole_numbers_in_every_spelling(void **state)
{
  static const struct {
    const char *text;
    uint64_t value;
  } numbers[] = {
      {"0", 0},
      {"0.000", 0},
      {"0e99999999999", 0},
      {"0.0e-5", 0},
      {"250000", 250000},
      {"1000.0", 1000},
      {"1.5e1", 15},
      {"1.50E+1", 15},
      {"1200e-2", 12},
      {"0.00012e5", 12},
      {"1e18", UINT64_C(1000000000000000000)},
      {"9223372036854775807", INT64_MAX},
      {"9223372036854775808", UINT64_C(1) << 63},
      {"9223372036854775808.0", UINT64_C(1) << 63},
      {"922337203685477580800000e-5", UINT64_C(1) << 63},
  };
  uint64_t value;

  (void)state;
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    value = 1;
    if (!uint_of(numbers[i].text, &value) || value != numbers[i].value)
      fail_msg("%s read as %" PRIu64, numbers[i].text, value);
  }
}

static void reads_no_number_that_is_not_whole_or_too_large(void **state)
{
  static const char *const texts[] = {"-1",
                                      "-0",
                                      "1.5",
                                      "0.1",
                                      "1e-1",
                                      "15e-2",
                                      "1e19",
                                      "9223372036854775809",
                                      "18446744073709551616",
                                      "1e99999999999999999999",
                                      "1e-99999999999999999999",
                                      "\"5\"",
                                      "true",
                                      "[5]"};
  uint64_t value = 4711;

  (void)state;
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    if (uint_of(texts[i], &value))
      fail_msg("%s read as %" PRIu64, texts[i], value);
  }
  assert_int_equal(value, 4711);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reports_values_with_path_depth_and_offsets),
      cmocka_unit_test(names_paths_through_objects_in_arrays),
      cmocka_unit_test(scans_values_that_follow_one_another),
      cmocka_unit_test(decodes_escapes),
      cmocka_unit_test(replaces_lone_surrogates),
      cmocka_unit_test(keeps_nul_bytes_in_a_string_and_its_size),
      cmocka_unit_test(matches_no_path_by_a_key_with_a_nul_byte),
      cmocka_unit_test(says_the_same_wherever_the_input_is_split),
      cmocka_unit_test(finds_what_ends_a_string_at_every_distance),
      cmocka_unit_test(refuses_what_is_not_json),
      cmocka_unit_test(stays_bad_once_it_is_bad),
      cmocka_unit_test(accepts_every_form_of_number),
      cmocka_unit_test(goes_no_deeper_than_its_limit),
      cmocka_unit_test(cuts_paths_that_are_too_long_and_recovers_after_them),
      cmocka_unit_test(cuts_long_strings_but_spans_them_whole),
      cmocka_unit_test(reads_whole_numbers_in_every_spelling),
      cmocka_unit_test(reads_no_number_that_is_not_whole_or_too_large),
  };
  return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
