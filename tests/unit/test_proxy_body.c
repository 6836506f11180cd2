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
#include "upload.h"

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
      {"data:{\"choices\":[],\"usage\":{}}\r\n\r\n\n", "\n"},
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
  static const char *const events[] = {CHUNK("a"), "data: 1\r\n\r\n", "data: 1\r\r"};
  struct weir_filter filter;
  struct weir_filter_piece piece;
  (void)state;

  for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
    weir_filter_init(&filter);
    for (unsigned n = 0; n < 2; n++) {
      weir_filter_feed(&filter, events[i], strlen(events[i]));
      assert_true(weir_filter_next(&filter, &piece));
      assert_int_equal(piece.size, strlen(events[i]));
      assert_false(weir_filter_next(&filter, &piece));
    }
    assert_false(weir_filter_end(&filter, &piece));
  }
}

/* Many clients see an event when the last byte of its CR LF CR LF is there. */
static void a_line_end_that_comes_in_two_parts_waits_for_nothing_else(void **state)
{
  struct weir_filter filter;
  struct weir_filter_piece piece;
  (void)state;

  weir_filter_init(&filter);
  weir_filter_feed(&filter, "data: 1\r\n\r", 10);
  assert_true(weir_filter_next(&filter, &piece));
  assert_int_equal(piece.size, 10);
  assert_false(weir_filter_next(&filter, &piece));
  weir_filter_feed(&filter, "\n", 1);
  assert_true(weir_filter_next(&filter, &piece));
  assert_int_equal(piece.size, 1);
  assert_false(weir_filter_next(&filter, &piece));
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

/* ---- uploads ---- */

static void an_upload_keeps_its_order_and_its_bound(void **state)
{
  static struct weir_upload upload;
  static char piece[WEIR_UPLOAD_PIECE_MAX], taken[WEIR_UPLOAD_SIZE];
  size_t put = 0, got = 0;
  (void)state;

  weir_upload_init(&upload);
  assert_int_equal(weir_upload_take(&upload, taken, sizeof(taken)), 0);
  for (size_t step = 1; step < 200; step++) {
    const size_t size = step * 977 % sizeof(piece) + 1;

    while (weir_upload_has_room(&upload)) {
      for (size_t i = 0; i < size; i++)
        piece[i] = (char)((put + i) * 31 % 251);
      weir_upload_put(&upload, piece, size);
      put += size;
    }
    assert_true(put - got <= WEIR_UPLOAD_SIZE);
    assert_true(put - got > WEIR_UPLOAD_SIZE - WEIR_UPLOAD_PIECE_MAX);
    {
      const size_t wanted = step * 7919 % sizeof(taken) + 1;
      const size_t left = put - got, some = weir_upload_take(&upload, taken, wanted);

      assert_int_equal(some, wanted < left ? wanted : left);
      for (size_t i = 0; i < some; i++)
        assert_int_equal(taken[i], (char)((got + i) * 31 % 251));
      got += some;
    }
  }
}

static void what_may_name_a_model_is_read_before_it_passes(void **state)
{
  static const struct weir_mount mounts[] = {{"openai", WEIR_PROVIDER_OPENAI},
                                             {"gemini", WEIR_PROVIDER_GEMINI},
                                             {"anthropic", WEIR_PROVIDER_ANTHROPIC}};
  static const struct {
    const char *target, *route, *type;
    uint64_t size;
    bool is_unread;
  } rows[] = {{"/v1/files", NULL, "multipart/form-data; boundary=x", 101, true},
              {"/v1/files", NULL, "multipart/form-data; boundary=x", 100, false},
              {"/v1/files", NULL, NULL, UINT64_MAX, false},
              {"/v1/files", NULL, "", 101, false},
              {"/v1/files", NULL, "audio/wav", UINT64_MAX, true},
              {"/v1/completions", NULL, "application/x-www-form-urlencoded", 101, false},
              {"/v1/completions", NULL, "Text/Plain; charset=utf-8", 101, false},
              {"/v1/files", NULL, "application/jsonl", 101, true},
              {"/v1/files", NULL, "application/notjson", 101, true},
              {"/v1/files", NULL, "json", 101, true},
              {"/v1/images/generations", NULL, "application/json", 101, false},
              {"/v1/images/generations", NULL, "Application/JSON; charset=utf-8", 101, false},
              {"/v1/images/generations", NULL, "application/problem+json", 101, false},
              {"/v1/files", "fast", "text/plain", 101, false},
              {"/v1/chat/completions", NULL, "text/plain", 101, false},
              {"/v1/embeddings", NULL, "text/plain", 101, false},
              {"/v1beta/models/flash:predict", NULL, "text/plain", 101, false},
              {"/v1/messages/batches", NULL, "application/json", 101, true},
              {"/anthropic/v1/messages/batches?beta=true", NULL, "application/json", 101, true},
              {"/v1/messages/batches", "fast", "application/json", 101, false},
              {"/v1/batches/1/cancel", NULL, "application/json", 101, false},
              {"/upload/v1beta/files", NULL, "video/mp4", 101, true}};
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    struct weir_path path;

    if (!weir_path_read("POST", rows[i].target, mounts, 3, 0, &path))
      fail_msg("%s", rows[i].target);
    if (weir_upload_is_unread(&path, rows[i].route, rows[i].type, rows[i].size, 100) !=
        rows[i].is_unread)
      fail_msg("%s %s", rows[i].target, rows[i].type);
  }
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
      cmocka_unit_test(a_line_end_that_comes_in_two_parts_waits_for_nothing_else),
      cmocka_unit_test(a_line_of_a_long_event_is_no_event),
      cmocka_unit_test(a_long_event_passes_and_what_follows_is_filtered_again),
      cmocka_unit_test(an_upload_keeps_its_order_and_its_bound),
      cmocka_unit_test(what_may_name_a_model_is_read_before_it_passes),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
