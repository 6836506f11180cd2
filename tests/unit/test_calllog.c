/* The line of the call log: JSON, bounded, and without secrets, whatever goes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <weir/calllog.h>
#include <weir/json.h>
#include <weir/scrub.h>

static char line[WEIR_CALLLOG_SIZE];

static struct weir_calllog good_call(void)
{
  return (struct weir_calllog){.wall_ms = UINT64_C(1795575845007),
                               .route = "fast",
                               .called = "gemini/gemini-2.5-flash",
                               .pool = "flash",
                               .tag = "line-7",
                               .tenant = "search",
                               .work_class = WEIR_CLASS_BATCH,
                               .outcome = WEIR_OUTCOME_OK,
                               .http = 200,
                               .attempts = 2,
                               .wait_us = 1234999,
                               .queue_us = 1000000,
                               .latency_us = 900000,
                               .first_us = 300000,
                               .has_usage = true,
                               .input_tokens = 9,
                               .output_tokens = 4,
                               .cached_tokens = 3,
                               .has_cost = true,
                               .cost_micro = 12000345,
                               .lease = 77};
}

/* Whether |text| is one JSON object. */
static bool is_object(const char *text)
{
  static struct weir_json json;
  struct weir_json_token token = {0};
  enum weir_json_status status;
  int roots = 0;

  weir_json_init(&json);
  weir_json_feed(&json, text, strlen(text));
  while ((status = weir_json_next(&json, &token)) == WEIR_JSON_TOKEN)
    roots += token.depth == 0 && token.type == WEIR_JSON_OBJECT_END;
  return status == WEIR_JSON_MORE && weir_json_end(&json, &token) == WEIR_JSON_MORE && roots == 1;
}

static void a_call_is_one_object_with_all_that_is_known(void **state)
{
  const struct weir_calllog call = good_call();
  const size_t size = weir_calllog_write(&call, line);

  (void)state;
  assert_int_equal(size, strlen(line));
  assert_string_equal(
      line, "{\"time\":\"2026-11-25T03:04:05.007Z\",\"route\":\"fast\",\"provider\":\"gemini\","
            "\"model\":\"gemini-2.5-flash\",\"pool\":\"flash\",\"class\":\"batch\","
            "\"tag\":\"line-7\",\"tenant\":\"search\",\"status\":\"ok\",\"error\":null,"
            "\"http\":200,\"attempts\":2,\"wait_ms\":1234,\"queue_ms\":1000,\"latency_ms\":900,"
            "\"first_byte_ms\":300,\"input_tokens\":9,\"output_tokens\":4,\"cached_tokens\":3,"
            "\"cost\":12.000345,\"lease\":77,\"degraded\":false}");
}

static void what_is_not_known_is_null(void **state)
{
  const struct weir_calllog call = {.route = "fast",
                                    .called = "",
                                    .work_class = WEIR_CLASS_ONLINE,
                                    .err = WEIR_EDENIED,
                                    .denial = WEIR_DENIAL_QUEUE_FULL,
                                    .is_degraded = true};

  (void)state;
  weir_calllog_write(&call, line);
  assert_string_equal(
      line, "{\"time\":\"1970-01-01T00:00:00.000Z\",\"route\":\"fast\",\"provider\":null,"
            "\"model\":null,\"pool\":null,\"class\":\"online\",\"tag\":null,\"tenant\":null,"
            "\"status\":\"denied\",\"error\":\"queue_full\",\"http\":null,\"attempts\":0,"
            "\"wait_ms\":0,\"queue_ms\":0,\"latency_ms\":0,\"first_byte_ms\":null,"
            "\"input_tokens\":null,\"output_tokens\":null,\"cached_tokens\":null,\"cost\":null,"
            "\"lease\":null,\"degraded\":true}");
}

static void every_error_has_a_status_and_upstream_ones_their_class(void **state)
{
  static const struct {
    int err;
    enum weir_outcome outcome;
    const char *text;
  } cases[] = {
      {WEIR_OK, WEIR_OUTCOME_OK, "\"ok\",\"error\":null"},
      {WEIR_EUPSTREAM, WEIR_OUTCOME_AUTH, "\"failed\",\"error\":\"auth\""},
      {WEIR_ENETWORK, WEIR_OUTCOME_NETWORK, "\"failed\",\"error\":\"network\""},
      {WEIR_ENETWORK, 0, "\"failed\",\"error\":null"},
      {WEIR_ETIMEOUT, WEIR_OUTCOME_OVERLOADED, "\"timeout\",\"error\":\"overloaded\""},
      {WEIR_EDENIED, 0, "\"denied\",\"error\":null"},
      {WEIR_EEXPIRED, 0, "\"expired\",\"error\":null"},
      {WEIR_EUNREACHABLE, 0, "\"unreachable\",\"error\":null"},
      {WEIR_ECANCELLED, WEIR_OUTCOME_CANCELLED, "\"cancelled\",\"error\":\"cancelled\""},
      {WEIR_ECLOSED, 0, "\"cancelled\",\"error\":null"},
      {WEIR_EFULL, 0, "\"exhausted\",\"error\":null"},
      {WEIR_ECONFIG, 0, "\"invalid\",\"error\":null"},
      {WEIR_ESYNTAX, 0, "\"invalid\",\"error\":null"},
  };

  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    struct weir_calllog call = good_call();

    call.err = cases[i].err;
    call.outcome = cases[i].outcome;
    weir_calllog_write(&call, line);
    if (!strstr(line, cases[i].text))
      fail_msg("%s: %s", cases[i].text, line);
  }
}

/* All names made of what is longest when it is escaped, all numbers at their end. */
static void the_longest_line_fits(void **state)
{
  static char name[2000];
  struct weir_calllog call;

  (void)state;
  memset(&call, 0xff, sizeof(call));
  for (const char *c = "\x01\"x"; *c != '\0'; c++) {
    memset(name, *c, sizeof(name) - 1);
    name[*c == 'x' ? 500 : 39] = '/';
    call.route = call.called = call.pool = call.tag = call.tenant = name;
    call.work_class = WEIR_CLASS_ONLINE;
    call.err = WEIR_EUNREACHABLE;
    call.outcome = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS;
    call.has_usage = call.has_cost = true;
    call.is_degraded = false;
    assert_true(weir_calllog_write(&call, line) < WEIR_CALLLOG_SIZE);
    assert_true(is_object(line));
  }
  assert_non_null(strstr(line, "\"time\":\"9999-12-31T"));
}

static void names_are_escaped_and_made_utf8(void **state)
{
  struct weir_calllog call = good_call();

  (void)state;
  call.tag = "a\"b\\c\n\x7f\xff\xc3\xbc\xe2\x82";
  weir_calllog_write(&call, line);
  assert_true(is_object(line));
  assert_non_null(strstr(line, "\"tag\":\"a\\\"b\\\\c\\u000a\\u007f\xef\xbf\xbd\xc3\xbc\xef\xbf\xbd"
                               "\xef\xbf\xbd\""));
}

static void secrets_in_names_are_taken_out(void **state)
{
  struct weir_calllog call = good_call();

  (void)state;
  call.tag = "GET /x?key=canary\"&y=1";
  call.route = "gemini/flash?key=canary";
  call.called = "gemini/flash?key=canary";
  weir_calllog_write(&call, line);
  assert_true(is_object(line));
  assert_null(strstr(line, "canary"));
  assert_non_null(strstr(line, "\"tag\":\"GET /x?key=***\\\"&y=1\""));
}

static void scrubbing_hides_values_and_leaves_the_rest(void **state)
{
  static const char *const cases[][2] = {
      {"", ""},
      {"nothing here", "nothing here"},
      {"/v1/x?key=AIzaSyCanary", "/v1/x?key=***"},
      {"/v1/x?key=ab&alt=sse", "/v1/x?key=**&alt=sse"},
      {"/v1/x?key=", "/v1/x?key="},
      {"key=a1234 KEY=b1234 api_key=c1234#d", "key=*** KEY=*** api_key=***#d"},
      {"x?access_token=abcd&key%3Dabcd", "x?access_token=***&key%3D***"},
      {"'key=abcd' \"key=abcd\"", "'key=***' \"key=***\""},
      {"key=key=abcd", "key=***"},
      {"https://me:secret@host/path", "https://***@host/path"},
      {"https://me:s@cr:et@host", "https://***@host"},
      {"http://host/a@b", "http://host/a@b"},
      {"http://host http://u:p@h2", "http://host http://***@h2"},
      {"monkey business = 1", "monkey business = 1"},
  };
  char text[128];

  (void)state;
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    strcpy(text, cases[i][0]);
    weir_scrub(text);
    assert_string_equal(text, cases[i][1]);
    weir_scrub(text); /* and once more changes nothing */
    assert_string_equal(text, cases[i][1]);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_call_is_one_object_with_all_that_is_known),
      cmocka_unit_test(what_is_not_known_is_null),
      cmocka_unit_test(every_error_has_a_status_and_upstream_ones_their_class),
      cmocka_unit_test(the_longest_line_fits),
      cmocka_unit_test(names_are_escaped_and_made_utf8),
      cmocka_unit_test(secrets_in_names_are_taken_out),
      cmocka_unit_test(scrubbing_hides_values_and_leaves_the_rest),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
