/* The demo's arithmetic and its lines: if these were wrong, its figures would flatter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "call.h"
#include "figures.h"
#include "workload.h"

#define WINDOW 1000
#define LIMIT  100

static struct demo_call call_at(uint64_t first, uint64_t sent, uint64_t tokens)
{
  struct demo_call call = {.is_ok = tokens > 0,
                           .attempts = 1,
                           .t_first_ms = first,
                           .t_sent_ms = sent,
                           .t_end_ms = sent + 10,
                           .wait_ms = sent - first,
                           .input_tokens = tokens};

  if (sent > first) {
    call.waits_count = 1;
    call.waits[0] = (struct demo_wait){first, sent};
  }
  return call;
}

/* As if the provider had admitted each call when it was sent. */
static struct demo_figures figures_of(const struct demo_call *calls, size_t count, uint64_t window)
{
  struct demo_arrival arrivals[100];

  assert_true(count <= 100);
  for (size_t i = 0; i < count; i++)
    arrivals[i] = (struct demo_arrival){calls[i].t_sent_ms, calls[i].input_tokens};
  return demo_figures_of(calls, count, arrivals, count, LIMIT, window);
}

static void what_only_the_provider_knows_of_counts(void **state)
{
  /* A call that was admitted and whose instance then died. */
  struct demo_call calls[] = {call_at(5000, 6000, 1)};
  struct demo_arrival arrivals[] = {{5000, LIMIT / 2}};
  struct demo_figures f = demo_figures_of(calls, 1, arrivals, 1, LIMIT, WINDOW);

  (void)state;
  assert_true(f.quota_used == 0.5);
}

static void used_is_whole_when_nobody_waits(void **state)
{
  struct demo_call calls[] = {call_at(5000, 5000, 10), call_at(5000, 5000, 10)};
  struct demo_figures f = figures_of(calls, 2, WINDOW);

  (void)state;
  assert_true(f.quota_used == 1);
  assert_int_equal(f.waiting_ms, 0);
}

static void a_full_window_counts_as_full_while_somebody_waits(void **state)
{
  struct demo_call calls[] = {call_at(5000, 5000, LIMIT), call_at(5000, 6000, LIMIT)};
  struct demo_figures f = figures_of(calls, 2, WINDOW);

  (void)state;
  assert_true(f.quota_used == 1);
  assert_int_equal(f.waiting_ms, 900); /* 5100 .. 5900 */
}

static void waiting_on_an_idle_quota_counts_against(void **state)
{
  /* 60 of 100 used, and yet the second call waits for 1 s. */
  struct demo_call calls[] = {call_at(5000, 5000, 60), call_at(5000, 6000, 40)};
  struct demo_figures f = figures_of(calls, 2, WINDOW);

  (void)state;
  assert_true(f.quota_used > 0.599 && f.quota_used < 0.601);
}

static void what_left_the_window_does_not_count(void **state)
{
  struct demo_call calls[] = {call_at(5000, 5000, LIMIT), call_at(5000, 7000, LIMIT)};
  struct demo_figures f = figures_of(calls, 2, WINDOW);

  (void)state;
  /* 9 instants full (5100 .. 5900), 10 empty (6000 .. 6900). */
  assert_int_equal(f.waiting_ms, 1900);
  assert_true(f.quota_used > 9.0 / 19 - 0.001 && f.quota_used < 9.0 / 19 + 0.001);
}

static void a_burst_over_two_windows_counts_as_one_full_window(void **state)
{
  struct demo_call calls[] = {call_at(5000, 5000, LIMIT), call_at(5000, 5001, LIMIT),
                              call_at(5000, 5900, 1)};
  struct demo_figures f = figures_of(calls, 3, WINDOW);

  (void)state;
  assert_true(f.quota_used == 1);
}

static void a_round_trip_is_no_wait(void **state)
{
  struct demo_call calls[] = {call_at(5000, 5000 + DEMO_WAIT_MIN_MS, 1)};
  struct demo_figures f = figures_of(calls, 1, 10);

  (void)state;
  assert_int_equal(f.waiting_ms, 0);
}

static void percentiles_are_of_the_nearest_rank(void **state)
{
  struct demo_call calls[100];
  struct demo_figures f;

  (void)state;
  for (uint64_t i = 0; i < 100; i++)
    calls[i] = call_at(1000, 1000 + 100 - i, i > 0 ? 1 : 0);
  f = figures_of(calls, 100, WINDOW);
  assert_int_equal(f.wait_p50_ms, 50);
  assert_int_equal(f.wait_p95_ms, 95);
  assert_int_equal(f.wait_p99_ms, 99);
  assert_int_equal(f.calls, 100);
  assert_int_equal(f.failed, 1);
  assert_int_equal(f.input_tokens, 99);
}

static void figures_of_nothing_are_zero(void **state)
{
  struct demo_figures f = demo_figures_of(NULL, 0, NULL, 0, LIMIT, WINDOW);

  (void)state;
  assert_int_equal(f.calls, 0);
  assert_true(f.seconds == 0);
}

static void a_line_says_what_it_was_made_of(void **state)
{
  struct demo_line line = {.type = DEMO_LINE_CALL, .call = call_at(123456789012, 123456789999, 77)};
  struct demo_line read;
  char text[DEMO_LINE_SIZE];
  size_t size;

  (void)state;
  line.call.index = 2399;
  line.call.rejected_429 = 3;
  line.call.output_tokens = 5;
  line.call.waits_count = 2;
  line.call.waits[1] = (struct demo_wait){7, 8};
  strcpy(line.call.outcome, "ok");
  size = demo_line_format(&line, text);
  assert_int_equal(text[size - 1], '\n');
  assert_true(demo_line_parse(text, size - 1, &read));
  assert_int_equal(read.type, DEMO_LINE_CALL);
  assert_memory_equal(&read.call, &line.call, sizeof(line.call));
}

static void a_note_survives_quotes_and_length(void **state)
{
  struct demo_line line = {.type = DEMO_LINE_NOTE}, read;
  char text[DEMO_LINE_SIZE];
  size_t size;

  (void)state;
  strcpy(line.note, "a \"b\" \\ c\td");
  size = demo_line_format(&line, text);
  assert_true(demo_line_parse(text, size - 1, &read));
  assert_string_equal(read.note, "a \"b\" \\ c d");
  memset(line.note, '"', sizeof(line.note) - 1);
  size = demo_line_format(&line, text);
  assert_true(size < DEMO_LINE_SIZE);
  assert_true(demo_line_parse(text, size - 1, &read));
}

static void what_is_no_line_is_refused(void **state)
{
  static const char *const bad[] = {"",
                                    "hello",
                                    "{}",
                                    "{\"index\":1}",
                                    "{\"begin\":-1}",
                                    "{\"begin\":1",
                                    "{\"t_end_ms\":1,\"waits\":[{},{},{},{},{}]}"};
  struct demo_line line;

  (void)state;
  for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
    assert_false(demo_line_parse(bad[i], strlen(bad[i]), &line));
  assert_true(demo_line_parse("{\"begin\":7}", 11, &line));
  assert_int_equal(line.number, 7);
}

static void a_workload_gives_the_bodies_of_its_lines(void **state)
{
  static const char bytes[] = "{\"key\":\"a\",\"request\":{\"contents\":[{}]}}\n"
                              "\n"
                              "{\"request\": {\"x\": {\"request\": {}}}, \"key\":\"b\"}\n"
                              "{\"key\":\"c\"}\n";
  char path[] = "/tmp/weir-test-XXXXXX";
  struct demo_workload w;
  int fd = mkstemp(path);

  (void)state;
  assert_true(fd >= 0);
  assert_int_equal(write(fd, bytes, sizeof(bytes) - 1), sizeof(bytes) - 1);
  close(fd);
  assert_true(demo_workload_load(path, 2, &w));
  assert_int_equal(w.count, 2);
  assert_int_equal(w.requests[0].size, strlen("{\"contents\":[{}]}"));
  assert_memory_equal(w.requests[0].body, "{\"contents\":[{}]}", w.requests[0].size);
  assert_memory_equal(w.requests[1].body, "{\"x\": {\"request\": {}}}", w.requests[1].size);
  demo_workload_free(&w);
  assert_false(demo_workload_load(path, 3, &w)); /* the last line has no request */
  unlink(path);
  assert_false(demo_workload_load(path, 3, &w));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_only_the_provider_knows_of_counts),
      cmocka_unit_test(used_is_whole_when_nobody_waits),
      cmocka_unit_test(a_full_window_counts_as_full_while_somebody_waits),
      cmocka_unit_test(waiting_on_an_idle_quota_counts_against),
      cmocka_unit_test(what_left_the_window_does_not_count),
      cmocka_unit_test(a_burst_over_two_windows_counts_as_one_full_window),
      cmocka_unit_test(a_round_trip_is_no_wait),
      cmocka_unit_test(percentiles_are_of_the_nearest_rank),
      cmocka_unit_test(figures_of_nothing_are_zero),
      cmocka_unit_test(a_line_says_what_it_was_made_of),
      cmocka_unit_test(a_note_survives_quotes_and_length),
      cmocka_unit_test(what_is_no_line_is_refused),
      cmocka_unit_test(a_workload_gives_the_bodies_of_its_lines),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
