/* Response bodies: which JSON they hold, whatever carries it and however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <weir/stream.h>

/* Writes "path=text;" for every string and number of |body|, fed in pieces of |piece| bytes. */
static struct weir_stream scanned;
static char said[4096];

static const char *scan(const char *body, size_t piece)
{
  struct weir_json_token token;
  size_t size = strlen(body), used = 0;

  weir_stream_init(&scanned);
  said[0] = '\0';
  for (size_t at = 0; at < size; at += piece) {
    weir_stream_feed(&scanned, body + at, piece < size - at ? piece : size - at);
    while (weir_stream_next(&scanned, &token))
      if (token.type == WEIR_JSON_STRING || token.type == WEIR_JSON_NUMBER)
        used +=
            (size_t)snprintf(said + used, sizeof(said) - used, "%s=%s;", token.path, token.text);
  }
  return said;
}

static void expect(const char *body, const char *tokens)
{
  for (size_t piece = 1; piece <= strlen(body); piece++)
    assert_string_equal(scan(body, piece), tokens);
}

static void reads_one_document(void **state)
{
  (void)state;
  expect(" {\"a\":1,\"b\":{\"c\":\"x\"}}\n", "a=1;b.c=x;");
  assert_true(scanned.is_whole);
  assert_false(scanned.is_sse);
  expect("\xef\xbb\xbf{\"a\":1}", "a=1;");
  scan("{\"a\":1", 6);
  assert_false(scanned.is_whole);
}

static void unwraps_an_array_at_the_root(void **state)
{
  (void)state;
  expect("[{\"error\":{\"code\":429}}]", "error.code=429;");
  expect("[{\"a\":1},\r\n{\"a\":2}]", "a=1;a=2;");
}

static void reads_events_with_every_kind_of_line_end(void **state)
{
  (void)state;
  expect("data: {\"a\":1}\n\ndata: {\"a\":2}\n\n", "a=1;a=2;");
  expect("data: {\"a\":1}\r\n\r\ndata: {\"a\":2}\r\n\r\n", "a=1;a=2;");
  expect("data: {\"a\":1}\r\rdata:{\"a\":2}\r\r", "a=1;a=2;");
  expect("event: x\nid: 7\n: note\nretry: 5\ndata: {\"a\":1}\n\n", "a=1;");
  assert_true(scanned.is_sse);
}

static void joins_the_data_lines_of_one_event(void **state)
{
  (void)state;
  expect("data: {\"a\":\ndata: 1}\n\ndata: {\"b\":2}\n\n", "a=1;b=2;");
  expect("data: {\"a\":\r\ndata: 1}\r\n\r\ndata: {\"b\":2}\r\n\r\n", "a=1;b=2;");
}

static void an_event_that_is_no_json_harms_no_other(void **state)
{
  (void)state;
  expect("data: {\"a\":1,\n\ndata: hello\n\ndata: {\"b\":2}\n\ndata: [DONE]\n\n", "a=1;b=2;");
  assert_true(scanned.is_done);
  expect("data: [DONE?\n\ndata: {\"b\":2}\n\n", "b=2;");
  assert_false(scanned.is_done);
  expect("database: {\"a\":1}\n\ndat\ndata: {\"b\":2}\n\n", "b=2;");
}

static void reads_json_that_stands_bare_between_events(void **state)
{
  (void)state;
  expect("data: {\"a\":1}\n\n{\n \"error\": {\n  \"code\": 503\n }\n}\n", "a=1;error.code=503;");
}

static void other_bodies_say_nothing(void **state)
{
  (void)state;
  expect("<html>\r\n<body>502 {\"a\":1}</body>", "");
  expect("error code: 1015", "");
  expect("{\"a\":1,]", "a=1;");
  assert_string_equal(scan("", 1), "");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_one_document),
      cmocka_unit_test(unwraps_an_array_at_the_root),
      cmocka_unit_test(reads_events_with_every_kind_of_line_end),
      cmocka_unit_test(joins_the_data_lines_of_one_event),
      cmocka_unit_test(an_event_that_is_no_json_harms_no_other),
      cmocka_unit_test(reads_json_that_stands_bare_between_events),
      cmocka_unit_test(other_bodies_say_nothing),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
