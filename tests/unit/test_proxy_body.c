/* Changes of a request body by byte offset, and the filter of a stream's usage chunk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "filter.h"
#include "splice.h"

/* ---- splices ---- */

struct text {
  char at[1024];
};

/* What |body| becomes with |model| (NULL: as it is) and, with |is_usage|, with usage asked for. */
static struct text change(const char *body, const char *model, bool is_usage)
{
  const size_t size = strlen(body);
  struct weir_request_facts facts;
  struct weir_stream_options options;
  struct weir_splices splices;
  struct text text = {""};

  assert_int_equal(weir_request_scan(body, size, &facts), WEIR_OK);
  weir_splices_init(&splices);
  if (model)
    assert_true(weir_splices_model(&splices, body, size, &facts, model));
  if (is_usage) {
    weir_stream_options_read(body, size, &options);
    weir_splices_usage(&splices, &options);
  }
  assert_true(weir_splices_size(&splices, size) < sizeof(text.at));
  weir_splices_apply(&splices, body, size, text.at);
  text.at[weir_splices_size(&splices, size)] = '\0';
  assert_int_equal(weir_request_scan(text.at, strlen(text.at), &facts), WEIR_OK);
  return text;
}

static void a_model_takes_the_place_of_another(void **state)
{
  (void)state;
  assert_string_equal(change("{ \"n\":1, \"model\" : \"fast\" }", "gpt-4o", false).at,
                      "{ \"n\":1, \"model\" : \"gpt-4o\" }");
  assert_string_equal(change("{\"model\":\"a\"}", "a", false).at, "{\"model\":\"a\"}");
  assert_string_equal(change("{\"n\":1}", "a", false).at, "{\"model\":\"a\",\"n\":1}");
  assert_string_equal(change("{ }", "a", false).at, "{\"model\":\"a\" }");
  assert_string_equal(change("{\"model\":\"a\"}", "q\"\\", false).at, "{\"model\":\"q\\\"\\\\\"}");
}

static void usage_is_asked_for_where_the_client_does_not(void **state)
{
  static const struct {
    const char *body, *changed;
  } rows[] = {
      {"{\"stream\":true}", "{\"stream_options\":{\"include_usage\":true},\"stream\":true}"},
      {"{}", "{\"stream_options\":{\"include_usage\":true}}"},
      {"{\"stream_options\":{}}", "{\"stream_options\":{\"include_usage\":true}}"},
      {"{\"stream_options\":{ \"x\":1}}", "{\"stream_options\":{\"include_usage\":true, \"x\":1}}"},
      {"{\"stream_options\":null}", "{\"stream_options\":{\"include_usage\":true}}"},
      {"{\"stream_options\":{\"include_usage\":false}}",
       "{\"stream_options\":{\"include_usage\":true}}"},
      {"{\"stream_options\":{\"x\":{\"include_usage\":true}}}",
       "{\"stream_options\":{\"include_usage\":true,\"x\":{\"include_usage\":true}}}"},
      {"{\"a\":{\"stream_options\":{\"include_usage\":true}}}",
       "{\"stream_options\":{\"include_usage\":true},\"a\":{\"stream_options\":"
       "{\"include_usage\":true}}}"},
  };
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    assert_string_equal(change(rows[i].body, NULL, true).at, rows[i].changed);
}

static void a_body_that_asks_itself_is_left_alone(void **state)
{
  static const char *const bodies[] = {"{\"stream_options\":{\"include_usage\":true}}",
                                       "{\"stream_options\":{\"x\":[],\"include_usage\":true}}",
                                       "{\"stream_options\":7}", "{\"stream_options\":[1]}",
                                       "{\"stream_options\":{\"include_usage\":\"odd\"}}"};
  (void)state;

  for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
    assert_string_equal(change(bodies[i], NULL, true).at, bodies[i]);
}

static void both_changes_are_made_in_either_order(void **state)
{
  (void)state;
  assert_string_equal(change("{\"stream_options\":{},\"model\":\"a\",\"n\":1}", "b", true).at,
                      "{\"stream_options\":{\"include_usage\":true},\"model\":\"b\",\"n\":1}");
  assert_string_equal(change("{\"model\":\"a\",\"stream_options\":{},\"n\":1}", "b", true).at,
                      "{\"model\":\"b\",\"stream_options\":{\"include_usage\":true},\"n\":1}");
  assert_string_equal(change("{}", "b", true).at,
                      "{\"model\":\"b\",\"stream_options\":{\"include_usage\":true}}");
  assert_string_equal(change("{\"n\":1}", "b", true).at,
                      "{\"model\":\"b\",\"stream_options\":{\"include_usage\":true},\"n\":1}");
}

/* ---- the filter ---- */

#define CHUNK(text)                                                                                \
  "data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}],\"usage\":null}\n\n"
#define USAGE "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"
#define DONE  "data: [DONE]\n\n"

/* Feeds |stream| in pieces of |piece| bytes; returns what passes. */
static const char *filtered(const char *stream, size_t piece, char *ret_text)
{
  const size_t size = strlen(stream);
  struct weir_filter filter;
  struct weir_filter_piece out;
  size_t written = 0;

  weir_filter_init(&filter);
  for (size_t at = 0; at < size; at += piece) {
    weir_filter_feed(&filter, stream + at, piece < size - at ? piece : size - at);
    while (weir_filter_next(&filter, &out)) {
      assert_true(out.size > 0);
      memcpy(ret_text + written, out.at, out.size);
      written += out.size;
    }
  }
  if (weir_filter_end(&filter, &out)) {
    memcpy(ret_text + written, out.at, out.size);
    written += out.size;
  }
  ret_text[written] = '\0';
  return ret_text;
}

static void only_the_usage_chunk_is_taken_out_however_it_is_cut(void **state)
{
  static const struct {
    const char *stream, *passed;
  } rows[] = {
      {CHUNK("a") USAGE DONE, CHUNK("a") DONE},
      {USAGE, ""},
      {CHUNK("a") CHUNK("b") DONE, CHUNK("a") CHUNK("b") DONE},
      {"data: 1\r\n\r\ndata: {\"choices\":[],\"usage\" : {\"a\":1}}\r\n\r\ndata: [DONE]\r\n\r\n",
       "data: 1\r\n\r\ndata: [DONE]\r\n\r\n"},
      {"data:{\"choices\":[],\"usage\":{}}\r\rdata: [DONE]\r\r", "data: [DONE]\r\r"},
      {": comment\n\n" USAGE "event: x\ndata: 1\n\n", ": comment\n\nevent: x\ndata: 1\n\n"},
  };
  char text[1024];
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    for (size_t piece = 1; piece <= strlen(rows[i].stream); piece++)
      assert_string_equal(filtered(rows[i].stream, piece, text), rows[i].passed);
}

static void what_only_resembles_it_passes(void **state)
{
  static const char *const events[] = {
      /* a choice, or none that is known to be none */
      "data: {\"choices\":[{}],\"usage\":{\"a\":1}}\n\n",
      "data: {\"choices\":[1],\"usage\":{\"a\":1}}\n\n",
      "data: {\"usage\":{\"a\":1}}\n\n",
      "data: {\"choices\":{},\"usage\":{\"a\":1}}\n\n",
      /* no usage, or not there */
      "data: {\"choices\":[],\"usage\":null}\n\n",
      "data: {\"choices\":[],\"x\":{\"usage\":{}}}\n\n",
      "data: {\"choices\":[],\"x\":\"\\\"usage\\\":{\"}\n\n",
      /* not JSON, not whole, several lines, another field */
      "data: {\"choices\":[],\"usage\":{}\n\n",
      "data: {\"choices\":[],\"usage\":{}}",
      "data: {\"choices\":[],\ndata: \"usage\":{}}\n\n",
      "id: 1\ndata: {\"choices\":[],\"usage\":{}}\n\n",
      "date: {\"choices\":[],\"usage\":{}}\n\n",
  };
  char text[1024];
  (void)state;

  for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
    for (size_t piece = 1; piece <= strlen(events[i]); piece++)
      assert_string_equal(filtered(events[i], piece, text), events[i]);
}

static void an_event_is_not_held_beyond_its_end(void **state)
{
  struct weir_filter filter;
  struct weir_filter_piece piece;
  (void)state;

  weir_filter_init(&filter);
  weir_filter_feed(&filter, CHUNK("a"), strlen(CHUNK("a")));
  assert_true(weir_filter_next(&filter, &piece));
  assert_int_equal(piece.size, strlen(CHUNK("a")));
  assert_false(weir_filter_next(&filter, &piece));
  assert_false(weir_filter_end(&filter, &piece));
}

static void a_long_event_passes_and_what_follows_is_filtered_again(void **state)
{
  static char stream[3 * WEIR_FILTER_EVENT_MAX], passed[sizeof(stream)], text[sizeof(stream)];
  const size_t pieces[] = {1, 7, 4095, 4096, 4097, sizeof(stream)};
  size_t size = 0;
  (void)state;

  /* It would be the chunk if it were shorter. */
  size = (size_t)snprintf(stream, sizeof(stream), "data: {\"choices\":[],\"usage\":{\"a\":\"");
  memset(stream + size, 'x', WEIR_FILTER_EVENT_MAX);
  strcpy(stream + size + WEIR_FILTER_EVENT_MAX, "\"}}\n\n");
  strcpy(passed, stream);
  strcat(stream, USAGE DONE);
  strcat(passed, DONE);
  for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
    assert_string_equal(filtered(stream, pieces[i], text), passed);
}

static void a_line_of_a_long_event_is_no_event(void **state)
{
  static char stream[2 * WEIR_FILTER_EVENT_MAX], text[sizeof(stream)];
  (void)state;

  /* The first line fills what is held to its last byte; the second would be the chunk. */
  memset(stream, 'x', WEIR_FILTER_EVENT_MAX);
  memcpy(stream, "data: ", 6);
  strcpy(stream + WEIR_FILTER_EVENT_MAX, "\ndata: {\"choices\":[],\"usage\":{}}\n\n");
  assert_string_equal(filtered(stream, WEIR_FILTER_EVENT_MAX, text), stream);
  assert_string_equal(filtered(stream, 1, text), stream);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_model_takes_the_place_of_another),
      cmocka_unit_test(usage_is_asked_for_where_the_client_does_not),
      cmocka_unit_test(a_body_that_asks_itself_is_left_alone),
      cmocka_unit_test(both_changes_are_made_in_either_order),
      cmocka_unit_test(only_the_usage_chunk_is_taken_out_however_it_is_cut),
      cmocka_unit_test(what_only_resembles_it_passes),
      cmocka_unit_test(an_event_is_not_held_beyond_its_end),
      cmocka_unit_test(a_line_of_a_long_event_is_no_event),
      cmocka_unit_test(a_long_event_passes_and_what_follows_is_filtered_again),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
