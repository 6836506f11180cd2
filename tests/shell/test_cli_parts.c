/* The parts of `weir` without I/O: option values, words for people, JSON out, lines of batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <weir/json.h>

#include "batch_line.h"
#include "cli.h"
#include "jsonout.h"

static int run_nothing(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return WEIR_CLI_FINE;
}

static const struct weir_cli_option test_options[] = {
    {"output", 'o', "FILE", ""}, {"parallel", 300, "N", ""}, {"quiet", 301, NULL, ""}, {0}};
static const struct weir_cli_command test_command = {.name = "test",
                                                     .synopsis = "",
                                                     .summary = "",
                                                     .text = "",
                                                     .options = test_options,
                                                     .run = run_nothing};

static struct weir_cli_args walk(char **words)
{
  struct weir_cli_args args = {.command = &test_command, .argv = words};

  while (words[args.argc])
    args.argc++;
  return args;
}

static void walks_options_of_every_form(void **state)
{
  char *words[] = {"test", "-ofile",  "--output=f2", "--parallel", "7",
                   "in",   "--quiet", "--",          "--out",      NULL};
  struct weir_cli_args args = walk(words);

  (void)state;
  assert_int_equal(weir_cli_next(&args), 'o');
  assert_string_equal(args.value, "file");
  assert_int_equal(weir_cli_next(&args), 'o');
  assert_string_equal(args.value, "f2");
  assert_int_equal(weir_cli_next(&args), 300);
  assert_string_equal(args.value, "7");
  assert_int_equal(weir_cli_next(&args), WEIR_CLI_OPERAND);
  assert_string_equal(args.value, "in");
  assert_int_equal(weir_cli_next(&args), 301);
  assert_int_equal(weir_cli_next(&args), WEIR_CLI_OPERAND);
  assert_string_equal(args.value, "--out");
  assert_int_equal(weir_cli_next(&args), WEIR_CLI_END);
}

static void refuses_options_that_are_wrong(void **state)
{
  static char *const wrong[][3] = {
      {"test", "--paralel", NULL}, {"test", "--output", NULL}, {"test", "--quiet=1", NULL},
      {"test", "-x", NULL},        {"test", "-o", NULL},
  };

  (void)state;
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    char *words[3] = {wrong[i][0], wrong[i][1], wrong[i][2]};
    struct weir_cli_args args = walk(words);

    assert_int_equal(weir_cli_next(&args), WEIR_CLI_WRONG);
  }
}

static void finds_the_word_that_was_meant(void **state)
{
  static const char *const words[] = {"stats", NULL, "batch", "check", "classify"};

  (void)state;
  assert_string_equal(weir_cli_nearest("stat", words, 5), "stats");
  assert_string_equal(weir_cli_nearest("bacth", words, 5), "batch");
  assert_string_equal(weir_cli_nearest("clasify", words, 5), "classify");
  assert_null(weir_cli_nearest("simulate", words, 5));
  assert_null(weir_cli_nearest("", words, 5));
}

static int duration(char *text, uint64_t *ret_ms)
{
  char *words[] = {"test", "--parallel", text, NULL};
  struct weir_cli_args args = walk(words);

  assert_int_equal(weir_cli_next(&args), 300);
  return weir_cli_duration(&args, 86400000, ret_ms);
}

static void reads_durations_exactly(void **state)
{
  static const struct {
    char *text;
    uint64_t ms;
  } good[] = {{"250ms", 250}, {"2", 2000},      {"2s", 2000},  {"1.5h", 5400000},
              {"5m", 300000}, {"1d", 86400000}, {"0.001s", 1}, {"86400s", 86400000}};
  static char *const bad[] = {
      "", "s", "-1s", "1.s", "1.5.5s", "2d", "0", "1 s", "1y", "1.2345s", "999999999999999999999s"};
  uint64_t ms;

  (void)state;
  for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
    ms = 0;
    assert_int_equal(duration(good[i].text, &ms), WEIR_CLI_FINE);
    assert_true(ms == good[i].ms);
  }
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    ms = 77;
    assert_int_equal(duration(bad[i], &ms), WEIR_CLI_USAGE);
    assert_true(ms == 77);
  }
}

static void reads_whole_numbers_within_their_range(void **state)
{
  static const struct {
    char *text;
    int result;
  } cases[] = {{"1", WEIR_CLI_FINE},   {"512", WEIR_CLI_FINE},
               {"0", WEIR_CLI_USAGE},  {"513", WEIR_CLI_USAGE},
               {"1x", WEIR_CLI_USAGE}, {"-1", WEIR_CLI_USAGE},
               {"", WEIR_CLI_USAGE},   {"18446744073709551617", WEIR_CLI_USAGE}};

  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char *words[] = {"test", "--parallel", cases[i].text, NULL};
    struct weir_cli_args args = walk(words);
    uint64_t value;

    assert_int_equal(weir_cli_next(&args), 300);
    assert_int_equal(weir_cli_uint(&args, 1, 512, &value), cases[i].result);
  }
}

static void writes_numbers_and_spans_for_people(void **state)
{
  char text[WEIR_CLI_TEXT_SIZE];

  (void)state;
  assert_string_equal(weir_cli_grouped(0, text), "0");
  assert_string_equal(weir_cli_grouped(999, text), "999");
  assert_string_equal(weir_cli_grouped(1000, text), "1,000");
  assert_string_equal(weir_cli_grouped(UINT64_MAX, text), "18,446,744,073,709,551,615");
  assert_string_equal(weir_cli_span(850000, text), "850ms");
  assert_string_equal(weir_cli_span(12500000, text), "12.5s");
  assert_string_equal(weir_cli_span(200000000, text), "3m20s");
  assert_string_equal(weir_cli_span(UINT64_C(3900000000), text), "1h05m");
  assert_string_equal(weir_cli_span(UINT64_C(183600000000), text), "2d3h");
}

static void writes_json_that_the_scanner_reads_back(void **state)
{
  static const char bytes[] = "q\" b\\ n\n nul\0 \x01 \x7f é \xff\xc3 \xf0\x9f\x98\x80";
  static const char decoded[] =
      "q\" b\\ n\n nul\0 \x01 \x7f é \xef\xbf\xbd\xef\xbf\xbd \xf0\x9f\x98\x80";
  static const char spaced[] = " { \"x y\" :\n [ 1 , \"a \\\" b\" ] }\r\n";
  struct weir_jsonout out = {0};
  struct weir_json json;
  struct weir_json_token token;
  int strings = 0;

  (void)state;
  weir_jsonout_object(&out, NULL);
  weir_jsonout_array(&out, "a");
  weir_jsonout_uint(&out, NULL, 1);
  weir_jsonout_null(&out, NULL);
  weir_jsonout_array_end(&out);
  weir_jsonout_string(&out, "s", bytes, sizeof(bytes) - 1);
  weir_jsonout_seconds(&out, "t", 1234567);
  weir_jsonout_raw(&out, "raw", spaced, sizeof(spaced) - 1);
  weir_jsonout_raw(&out, "html", "<html>\n", 7);
  weir_jsonout_raw(&out, "two", "1 2", 3);
  weir_jsonout_bool(&out, "b", true);
  weir_jsonout_object_end(&out);
  weir_jsonout_newline(&out);
  assert_false(out.is_failed);
  assert_ptr_equal(strchr(out.bytes, '\n'), out.bytes + out.size - 1);
  assert_non_null(strstr(out.bytes, "\"a\":[1,null],"));
  assert_non_null(strstr(out.bytes, "\"t\":1.234,"));
  assert_non_null(strstr(out.bytes, "\"raw\":{\"x y\":[1,\"a \\\" b\"]},\"html\":\"<html>\\n\","
                                    "\"two\":\"1 2\",\"b\":true}"));
  weir_json_init(&json);
  weir_json_feed(&json, out.bytes, out.size);
  while (weir_json_next(&json, &token) == WEIR_JSON_TOKEN)
    if (strcmp(token.path, "s") == 0) {
      assert_int_equal(token.text_size, sizeof(decoded) - 1);
      assert_memory_equal(token.text, decoded, sizeof(decoded) - 1);
      strings++;
    }
  assert_int_equal(weir_json_end(&json, &token), WEIR_JSON_MORE);
  assert_int_equal(strings, 1);
  weir_jsonout_free(&out);
}

static bool parse(const char *line, struct weir_batch_request *request, char *reason)
{
  return weir_batch_request_parse(line, strlen(line), request, reason);
}

static void reads_requests_in_three_formats(void **state)
{
  struct weir_batch_request request;
  char reason[WEIR_BATCH_REASON_MAX];
  const char *line;

  (void)state;
  line = "{\"custom_id\":\"a\\u00e9\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
         "\"body\": {\"model\":\"gpt-5\",\"x\":{\"model\":\"no\"}} }";
  assert_true(parse(line, &request, reason));
  assert_int_equal(request.format, WEIR_BATCH_OPENAI);
  assert_string_equal(request.id, "aé");
  assert_string_equal(request.url, "/v1/chat/completions");
  assert_string_equal(request.model, "gpt-5");
  assert_memory_equal(line + request.body_begin, "{\"model\":\"gpt-5\",\"x\":{\"model\":\"no\"}}",
                      request.body_end - request.body_begin);
  assert_int_equal(request.body_end - request.body_begin, 36);

  assert_true(parse("{\"request\":{\"contents\":[]},\"key\":\"k\"}\r", &request, reason));
  assert_int_equal(request.format, WEIR_BATCH_GEMINI);
  assert_string_equal(request.model, "");

  assert_true(parse("{\"custom_id\":\"c\",\"params\":{\"model\":\"claude\"}}", &request, reason));
  assert_int_equal(request.format, WEIR_BATCH_ANTHROPIC);
  assert_string_equal(request.model, "claude");
}

static void refuses_lines_that_are_no_requests(void **state)
{
  static const char *const cases[][2] = {
      {"{\"custom_id\":\"a\",\"body\":{}", "ends too early"},
      {"{\"custom_id\":\"a\",,\"body\":{}}", "column 18"},
      {"[]", "not a JSON object"},
      {"{\"custom_id\":\"a\",\"body\":{}} {}", "not JSON from column"},
      {"{\"body\":{}}", "id is missing"},
      {"{\"custom_id\":7,\"body\":{}}", "must be a string"},
      {"{\"custom_id\":\"\",\"body\":{}}", "must be a string"},
      {"{\"custom_id\":\"\xff\",\"body\":{}}", "UTF-8"}, /* could not be told from \xfe */
      {"{\"custom_id\":\"a\\u0000b\",\"body\":{}}", "must be a string"},
      {"{\"custom_id\":\"a\",\"key\":\"a\",\"body\":{}}", "exclude each other"},
      {"{\"custom_id\":\"a\"}", "exactly one object"},
      {"{\"custom_id\":\"a\",\"body\":\"x\"}", "exactly one object"},
      {"{\"custom_id\":\"a\",\"body\":{},\"params\":{}}", "exactly one object"},
      {"{\"key\":\"a\",\"body\":{}}", "goes with"},
      {"{\"custom_id\":\"a\",\"custom_id\":\"b\",\"body\":{}}", "stands twice"},
      {"{\"custom_id\":\"a\",\"method\":\"GET\",\"body\":{}}", "POST"},
      {"{\"custom_id\":\"a\",\"url\":\"https://x/\",\"body\":{}}", "must be a path"},
      {"{\"custom_id\":\"a\",\"url\":\"/v1/my responses\",\"body\":{}}", "must be a path"},
      {"{\"custom_id\":\"a\",\"body\":{\"model\":5}}", "\"model\""},
  };
  struct weir_batch_request request;
  char reason[WEIR_BATCH_REASON_MAX];

  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    reason[0] = '\0';
    assert_false(parse(cases[i][0], &request, reason));
    if (!strstr(reason, cases[i][1]))
      fail_msg("%s gave: %s", cases[i][0], reason);
  }
}

static void reads_back_the_results_it_writes(void **state)
{
  static const char *const lines[] = {"{\"custom_id\":\"i\\n\\\"d\",\"body\":{}}",
                                      "{\"key\":\"i\\n\\\"d\",\"request\":{}}",
                                      "{\"custom_id\":\"i\\n\\\"d\",\"params\":{}}"};
  static const struct weir_batch_result results[] = {
      {.is_ok = true,
       .http = 200,
       .code = "ok",
       .body = "{\"error\":null,\n \"x\":{}}",
       .body_size = 23},
      {.http = 400, .code = "bad_request", .body = "<p>no</p>", .body_size = 9},
      {.http = 503,
       .code = "overloaded",
       .is_retryable = true,
       .body = "{\"error\":{}}",
       .body_size = 12},
      {.code = "network", .is_retryable = true, .message = "cut"},
  };
  struct weir_batch_request request;
  struct weir_batch_record record;
  char reason[WEIR_BATCH_REASON_MAX];

  (void)state;
  for (size_t l = 0; l < 3; l++)
    for (size_t r = 0; r < 4; r++) {
      struct weir_jsonout out = {0};

      assert_true(parse(lines[l], &request, reason));
      weir_batch_result_write(&out, &request, 9, &results[r]);
      assert_ptr_equal(strchr(out.bytes, '\n'), out.bytes + out.size - 1);
      assert_true(weir_batch_record_parse(out.bytes, out.size - 1, &record));
      assert_string_equal(record.id, "i\n\"d");
      assert_int_equal(record.is_ok, results[r].is_ok);
      assert_int_equal(record.is_retryable, results[r].is_retryable);
      weir_jsonout_free(&out);
    }
}

static void reads_back_an_answer_as_deep_as_it_can_be(void **state)
{
  static const char *const lines[] = {"{\"custom_id\":\"a\",\"body\":{}}",
                                      "{\"key\":\"a\",\"request\":{}}",
                                      "{\"custom_id\":\"a\",\"params\":{}}"};
  struct weir_batch_request request;
  struct weir_batch_record record;
  char reason[WEIR_BATCH_REASON_MAX], body[2 * WEIR_JSON_DEPTH_MAX];

  (void)state;
  for (size_t depth = WEIR_JSON_DEPTH_MAX - 4; depth <= WEIR_JSON_DEPTH_MAX; depth++)
    for (size_t l = 0; l < 3; l++) {
      struct weir_batch_result result = {
          .is_ok = true, .http = 200, .code = "ok", .body = body, .body_size = 2 * depth};
      struct weir_jsonout out = {0};

      memset(body, '[', depth);
      memset(body + depth, ']', depth);
      assert_true(parse(lines[l], &request, reason));
      weir_batch_result_write(&out, &request, 1, &result);
      if (!weir_batch_record_parse(out.bytes, out.size - 1, &record))
        fail_msg("%zu deep: %s", depth, out.bytes);
      assert_true(record.is_ok);
      weir_jsonout_free(&out);
    }
}

static void tells_a_bad_line_by_its_number(void **state)
{
  struct weir_jsonout out = {0};
  struct weir_batch_record record;

  (void)state;
  weir_batch_reason_write(&out, 41, "it is \"bad\"");
  assert_true(weir_batch_record_parse(out.bytes, out.size - 1, &record));
  assert_string_equal(record.id, "");
  assert_true(record.number == 41);
  assert_false(record.is_ok);
  weir_jsonout_free(&out);
  assert_false(weir_batch_record_parse("{\"custom_id\":\"a\",\"body\":{}}", 27, &record));
  assert_false(weir_batch_record_parse("{\"id\":\"line-x\",\"error\":{}}", 26, &record));
}

static void quotes_the_providers_own_words(void **state)
{
  static const char body[] = "[{\"error\":{\"code\":400,\"message\":\"no such \\\"thing\\\"\"}}]";
  const struct weir_batch_result result = {
      .http = 400, .code = "bad_request", .body = body, .body_size = sizeof(body) - 1};
  struct weir_batch_request request;
  char reason[WEIR_BATCH_REASON_MAX];
  struct weir_jsonout out = {0};

  (void)state;
  assert_true(parse("{\"key\":\"k\",\"request\":{}}", &request, reason));
  weir_batch_result_write(&out, &request, 1, &result);
  assert_non_null(strstr(out.bytes,
                         "{\"key\":\"k\",\"error\":{\"code\":400,\"status\":\"bad_request\","
                         "\"message\":\"no such \\\"thing\\\"\",\"retryable\":false,"));
  weir_jsonout_free(&out);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(walks_options_of_every_form),
      cmocka_unit_test(refuses_options_that_are_wrong),
      cmocka_unit_test(finds_the_word_that_was_meant),
      cmocka_unit_test(reads_durations_exactly),
      cmocka_unit_test(reads_whole_numbers_within_their_range),
      cmocka_unit_test(writes_numbers_and_spans_for_people),
      cmocka_unit_test(writes_json_that_the_scanner_reads_back),
      cmocka_unit_test(reads_requests_in_three_formats),
      cmocka_unit_test(refuses_lines_that_are_no_requests),
      cmocka_unit_test(reads_back_the_results_it_writes),
      cmocka_unit_test(reads_back_an_answer_as_deep_as_it_can_be),
      cmocka_unit_test(tells_a_bad_line_by_its_number),
      cmocka_unit_test(quotes_the_providers_own_words),
  };

  return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
