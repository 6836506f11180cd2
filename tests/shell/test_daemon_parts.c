/* The daemon's parts that a process test cannot reach alone: state file, keeper, log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "epoch.h"
#include "keeper.h"
#include "log.h"

struct place {
  char folder[64], path[96];
};

static int setup(void **state)
{
  struct place *place = calloc(1, sizeof *place);
  if (place == NULL)
    return -1;
  snprintf(place->folder, sizeof place->folder, "/tmp/weir-test-XXXXXX");
  if (mkdtemp(place->folder) == NULL)
    return -1;
  snprintf(place->path, sizeof place->path, "%s/s", place->folder);
  *state = place;
  return 0;
}

static int teardown(void **state)
{
  struct place *place = *state;
  static const char *const ends[] = {"", ".new", ".lock"};
  char path[128];
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    snprintf(path, sizeof path, "%s%s", place->path, ends[i]);
    remove(path);
  }
  rmdir(place->folder);
  free(place);
  return 0;
}

/* ---- state file ---- */

static const struct weir_epoch_record sample = {.epoch = 41,
                                                .boot = "6fd29f0e-2b1b-4a52-a6d6-60bbd7bf8a65",
                                                .granted_until = 81234567890,
                                                .is_clean = true};

static void reads_back_the_record_that_it_wrote(void **state)
{
  (void)state;
  char text[WEIR_EPOCH_FILE_SIZE];
  size_t size = weir_epoch_format(&sample, text), offset = 0;
  struct weir_epoch_record record;
  assert_int_equal(weir_epoch_parse(text, size, &record, &offset), WEIR_OK);
  assert_int_equal(record.epoch, sample.epoch);
  assert_string_equal(record.boot, sample.boot);
  assert_int_equal(record.granted_until, sample.granted_until);
  assert_true(record.is_clean);
}

static void notices_every_changed_cut_or_added_byte(void **state)
{
  (void)state;
  char text[WEIR_EPOCH_FILE_SIZE + 1];
  size_t size = weir_epoch_format(&sample, text);
  struct weir_epoch_record record;
  for (size_t i = 0; i < size; i++) {
    size_t offset = SIZE_MAX;
    assert_int_equal(weir_epoch_parse(text, i, &record, &offset), WEIR_ESYNTAX);
    assert_true(offset <= i);
    for (int bit = 0; bit < 8; bit++) {
      text[i] = (char)(text[i] ^ (1 << bit));
      assert_int_equal(weir_epoch_parse(text, size, &record, &offset), WEIR_ESYNTAX);
      text[i] = (char)(text[i] ^ (1 << bit));
    }
  }
  size_t offset = 0;
  text[size] = '\n';
  assert_int_equal(weir_epoch_parse(text, size + 1, &record, &offset), WEIR_ESYNTAX);
  assert_int_equal(offset, size);
}

static void knows_the_past_only_of_this_boot(void **state)
{
  struct place *place = *state;
  char error[WEIR_EPOCH_ERROR_SIZE];
  struct weir_epoch e;
  assert_int_equal(weir_epoch_open(&e, place->path, false, error), WEIR_OK);
  assert_false(e.has_past);
  assert_int_equal(weir_epoch_write(&e, 1, 5000, true, error), WEIR_OK);
  weir_epoch_close(&e);

  assert_int_equal(weir_epoch_open(&e, place->path, false, error), WEIR_OK);
  assert_true(e.has_past);
  assert_int_equal(e.former.epoch, 1);
  assert_int_equal(weir_epoch_past_us(&e, 7000), 2000);
  assert_int_equal(weir_epoch_past_us(&e, 4000), 0); /* still to come */
  e.former.boot[0] ^= 1;
  assert_int_equal(weir_epoch_past_us(&e, 7000), 0); /* another boot: another clock */
  e.boot[0] = e.former.boot[0] = '\0';
  assert_int_equal(weir_epoch_past_us(&e, 7000), 0); /* nobody knows */
  weir_epoch_close(&e);

  assert_int_equal(weir_epoch_open(&e, place->path, true, error), WEIR_OK);
  assert_int_equal(weir_epoch_past_us(&e, 7000), 0); /* told to assume the worst */
  assert_int_equal(e.former.epoch, 1);
  weir_epoch_close(&e);
}

static void lets_one_process_have_the_state(void **state)
{
  struct place *place = *state;
  char error[WEIR_EPOCH_ERROR_SIZE];
  struct weir_epoch first, second;
  assert_int_equal(weir_epoch_open(&first, place->path, false, error), WEIR_OK);
  assert_int_equal(weir_epoch_open(&second, place->path, false, error), WEIR_ECLOSED);
  assert_non_null(strstr(error, "another weir-coordinator"));
  weir_epoch_close(&first);
  assert_int_equal(weir_epoch_open(&second, place->path, false, error), WEIR_OK);
  weir_epoch_close(&second);
}

static void keeps_the_old_record_when_a_write_fails(void **state)
{
  struct place *place = *state;
  char error[WEIR_EPOCH_ERROR_SIZE], blocker[128];
  struct weir_epoch e;
  assert_int_equal(weir_epoch_open(&e, place->path, false, error), WEIR_OK);
  assert_int_equal(weir_epoch_write(&e, 1, 5000, false, error), WEIR_OK);
  snprintf(blocker, sizeof blocker, "%s.new", place->path);
  assert_int_equal(mkdir(blocker, 0700), 0);
  assert_int_equal(weir_epoch_write(&e, 2, 9000, false, error), WEIR_ESYSTEM);
  assert_non_null(strstr(error, blocker));
  weir_epoch_close(&e);
  assert_int_equal(weir_epoch_open(&e, place->path, false, error), WEIR_OK);
  assert_int_equal(e.former.epoch, 1);
  weir_epoch_close(&e);
}

static void covers_grants_only_as_far_as_it_is_durable(void **state)
{
  struct place *place = *state;
  char error[WEIR_EPOCH_ERROR_SIZE];
  struct weir_epoch e, again;
  struct weir_keeper keeper;
  assert_int_equal(weir_epoch_open(&e, place->path, false, error), WEIR_OK);
  weir_tstamp before = weir_clock_now();
  assert_int_equal(weir_keeper_start(&keeper, &e, 1, error), WEIR_OK);
  assert_true(weir_keeper_covers(&keeper, before));
  assert_true(weir_keeper_covers(&keeper, before + 2 * WEIR_KEEPER_PERIOD_US));
  weir_keeper_stop(&keeper);
  /* No grant may reach beyond the record, whenever it is made. */
  weir_tstamp last = atomic_load(&keeper.durable_until) - WEIR_KEEPER_REACH_US;
  assert_true(weir_keeper_covers(&keeper, last));
  assert_false(weir_keeper_covers(&keeper, last + 1));
  weir_epoch_close(&e);
  assert_int_equal(weir_epoch_open(&again, place->path, false, error), WEIR_OK);
  assert_int_equal(again.former.granted_until, atomic_load(&keeper.durable_until));
  assert_false(again.former.is_clean);
  weir_epoch_close(&again);
}

/* ---- log ---- */

struct sink {
  int ends[2];
  struct weir_log log;
  char text[4 * WEIR_LOG_LINE_SIZE];
};

static void sink_init(struct sink *sink, enum weir_log_format format)
{
  unsetenv("JOURNAL_STREAM");
  assert_int_equal(pipe(sink->ends), 0);
  weir_log_init(&sink->log, sink->ends[1]);
  weir_log_configure(&sink->log, WEIR_LOG_INFO, format);
}

/* What was logged, from the field after the time on. */
static const char *sink_read(struct sink *sink)
{
  ssize_t size = read(sink->ends[0], sink->text, sizeof sink->text - 1);
  assert_true(size > 0);
  sink->text[size] = '\0';
  const char *rest = strstr(sink->text, "Z");
  assert_non_null(rest);
  return rest;
}

static void sink_fini(struct sink *sink)
{
  weir_log_fini(&sink->log);
  close(sink->ends[0]);
  close(sink->ends[1]);
}

static void quotes_what_a_reader_would_take_apart(void **state)
{
  (void)state;
  struct sink sink;
  sink_init(&sink, WEIR_LOG_LOGFMT);
  weir_log_begin(&sink.log, WEIR_LOG_WARN, "event");
  weir_log_text(&sink.log, "plain", "a/b:c");
  weir_log_text(&sink.log, "spaced", "a b");
  weir_log_text(&sink.log, "odd", "a\"\\\n\x1b=");
  weir_log_text(&sink.log, "empty", "");
  weir_log_number(&sink.log, "number", UINT64_MAX);
  weir_log_end(&sink.log);
  assert_string_equal(sink_read(&sink),
                      "Z level=warn event=event plain=a/b:c spaced=\"a b\" "
                      "odd=\"a\\\"\\\\\\u000a\\u001b=\" empty=\"\" number=18446744073709551615\n");
  weir_log_configure(&sink.log, WEIR_LOG_INFO, WEIR_LOG_JSON);
  weir_log_begin(&sink.log, WEIR_LOG_ERROR, "event");
  weir_log_text(&sink.log, "odd", "a\"\\\n\x1b=");
  weir_log_number(&sink.log, "number", 7);
  weir_log_end(&sink.log);
  assert_string_equal(sink_read(&sink), "Z\",\"level\":\"error\",\"event\":\"event\",\"odd\":"
                                        "\"a\\\"\\\\\\u000a\\u001b=\",\"number\":7}\n");
  assert_memory_equal(sink.text, "{\"time\":\"", 9);
  sink_fini(&sink);
}

/* Texts come from files, too, and are cut where they are long: also within a character. */
static void stays_valid_where_a_text_is_not_utf_8(void **state)
{
  (void)state;
  struct sink sink;
  sink_init(&sink, WEIR_LOG_JSON);
  weir_log_begin(&sink.log, WEIR_LOG_WARN, "event");
  weir_log_text(&sink.log, "good", "a\xc3\xa9z");
  weir_log_text(&sink.log, "cut", "a\xc3");
  weir_log_text(&sink.log, "odd", "\xff\xe9z");
  weir_log_end(&sink.log);
  assert_string_equal(sink_read(&sink), "Z\",\"level\":\"warn\",\"event\":\"event\",\"good\":"
                                        "\"a\xc3\xa9z\",\"cut\":\"a\\ufffd\",\"odd\":"
                                        "\"\\ufffd\\ufffdz\"}\n");
  sink_fini(&sink);
}

/* What systemd sets is inherited, also by who writes to another place than the journal. */
static void tells_only_the_journal_its_priorities(void **state)
{
  (void)state;
  struct sink sink;
  struct stat end;
  char stream[64];
  sink_init(&sink, WEIR_LOG_JSON);
  assert_int_equal(fstat(sink.ends[1], &end), 0);
  snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)end.st_dev, (uintmax_t)end.st_ino + 1);
  setenv("JOURNAL_STREAM", stream, 1);
  weir_log_fini(&sink.log);
  weir_log_init(&sink.log, sink.ends[1]);
  weir_log_say(&sink.log, WEIR_LOG_WARN, "event", "x");
  assert_non_null(sink_read(&sink));
  assert_memory_equal(sink.text, "time=", 5);
  snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)end.st_dev, (uintmax_t)end.st_ino);
  setenv("JOURNAL_STREAM", stream, 1);
  weir_log_fini(&sink.log);
  weir_log_init(&sink.log, sink.ends[1]);
  weir_log_say(&sink.log, WEIR_LOG_WARN, "event", "x");
  assert_non_null(sink_read(&sink));
  assert_memory_equal(sink.text, "<4>time=", 8);
  unsetenv("JOURNAL_STREAM");
  sink_fini(&sink);
}

static void leaves_out_lines_below_its_level(void **state)
{
  (void)state;
  struct sink sink;
  sink_init(&sink, WEIR_LOG_LOGFMT);
  weir_log_say(&sink.log, WEIR_LOG_DEBUG, "hidden", "x");
  weir_log_say(&sink.log, WEIR_LOG_INFO, "shown", "y");
  assert_string_equal(sink_read(&sink), "Z level=info event=shown detail=y\n");
  sink_fini(&sink);
}

static void cuts_a_long_line_between_fields(void **state)
{
  (void)state;
  struct sink sink;
  char big[WEIR_LOG_LINE_SIZE];
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = '\0';
  sink_init(&sink, WEIR_LOG_JSON);
  weir_log_begin(&sink.log, WEIR_LOG_INFO, "event");
  weir_log_text(&sink.log, "kept", "a");
  weir_log_text(&sink.log, "big", big);
  weir_log_text(&sink.log, "after", "b");
  weir_log_end(&sink.log);
  assert_string_equal(sink_read(&sink),
                      "Z\",\"level\":\"info\",\"event\":\"event\",\"kept\":\"a\"}\n");
  sink_fini(&sink);
}

static void drops_and_counts_lines_that_nobody_reads(void **state)
{
  (void)state;
  struct sink sink;
  sink_init(&sink, WEIR_LOG_LOGFMT);
  for (int i = 0; i < 5000; i++) /* far more than a pipe holds: this must not block */
    weir_log_say(&sink.log, WEIR_LOG_INFO, "event", "a line of some length, again and again");
  uint64_t dropped = sink.log.dropped;
  assert_true(dropped > 0 && dropped < 5000);
  char text[65536], expected[64];
  ssize_t size = read(sink.ends[0], text, sizeof text);
  assert_true(size > 0);
  weir_log_say(&sink.log, WEIR_LOG_INFO, "event", "after");
  assert_int_equal(sink.log.dropped, 0);
  snprintf(expected, sizeof expected, "lines_dropped=%llu detail=after\n",
           (unsigned long long)dropped);
  size_t rest = 0;
  while (strstr(sink.text, expected) == NULL && rest < 100) {
    sink_read(&sink);
    rest++;
  }
  assert_true(rest < 100);
  sink_fini(&sink);
}

#define LINES 20000 /* of a thread */

struct talk {
  struct weir_log log;
  pthread_barrier_t begun;
};

/* Says the same of itself in every line, and every other line is below the level. */
static void *talk(void *context)
{
  struct talk *both = context;
  struct weir_log *log = &both->log;
  char self[32];
  snprintf(self, sizeof self, "%p", (void *)self);
  pthread_barrier_wait(&both->begun);
  for (int i = 0; i < 2 * LINES; i++) {
    weir_log_begin(log, i % 2 == 0 ? WEIR_LOG_INFO : WEIR_LOG_DEBUG, self);
    weir_log_text(log, "again", self);
    weir_log_end(log);
  }
  return NULL;
}

static void keeps_the_lines_of_threads_apart(void **state)
{
  (void)state;
  struct talk both;
  pthread_t threads[2];
  char line[WEIR_LOG_LINE_SIZE], event[32], again[32];
  int lines = 0;
  FILE *file = tmpfile(); /* which, unlike a pipe, takes all of them */
  assert_non_null(file);
  unsetenv("JOURNAL_STREAM");
  weir_log_init(&both.log, fileno(file));
  pthread_barrier_init(&both.begun, NULL, 2);
  for (int i = 0; i < 2; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, talk, &both), 0);
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&both.begun);
  weir_log_fini(&both.log);
  rewind(file);
  for (; fgets(line, sizeof line, file) != NULL; lines++) {
    assert_int_equal(sscanf(line, "%*s level=info event=%31s again=%31s", event, again), 2);
    assert_string_equal(event, again);
  }
  assert_int_equal(lines, 2 * LINES);
  fclose(file);
}

static void lets_one_line_of_a_kind_through_each_second(void **state)
{
  (void)state;
  struct weir_log_rate rate = {0};
  uint64_t count = 0;
  assert_true(weir_log_rate_due(&rate, 100, &count));
  assert_int_equal(count, 1);
  for (uint64_t i = 1; i < 1000; i++)
    assert_false(weir_log_rate_due(&rate, 100 + i * 1000, &count));
  assert_true(weir_log_rate_due(&rate, 100 + 1000000, &count));
  assert_int_equal(count, 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(reads_back_the_record_that_it_wrote),
      TEST(notices_every_changed_cut_or_added_byte),
      TEST(knows_the_past_only_of_this_boot),
      TEST(lets_one_process_have_the_state),
      TEST(keeps_the_old_record_when_a_write_fails),
      TEST(covers_grants_only_as_far_as_it_is_durable),
      TEST(quotes_what_a_reader_would_take_apart),
      TEST(stays_valid_where_a_text_is_not_utf_8),
      TEST(tells_only_the_journal_its_priorities),
      TEST(leaves_out_lines_below_its_level),
      TEST(cuts_a_long_line_between_fields),
      TEST(drops_and_counts_lines_that_nobody_reads),
      TEST(keeps_the_lines_of_threads_apart),
      TEST(lets_one_line_of_a_kind_through_each_second),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
