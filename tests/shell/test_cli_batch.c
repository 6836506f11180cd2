/* `weir batch` against a real coordinator and the simulated provider: what is in the output, and
 * what was sent, whatever happens to the program in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/json.h>

#include "daemon.h"
#include "fake_coordinator.h"
#include "fake_provider.h"
#include "run.h"
#include "sanitizer.h"

#define LINES 200

static struct daemon coordinator;
static struct run upstream, run;
static char url[96], input[128], output[128];

#define WEIR(...) (run_start(&run, "WEIR_BIN", __VA_ARGS__, NULL), run_end(&run))
/* The command of most tests; more options may follow. */
#define BATCH(...) "batch", input, "-o", output, "--base-url", url, "--json", __VA_ARGS__

#define assert_holds(text, part)                                                                   \
  do {                                                                                             \
    if (!strstr(text, part))                                                                       \
      fail_msg("no '%s' in:\n%s", part, text);                                                     \
  } while (0)

#define assert_exit(expected, call)                                                                \
  do {                                                                                             \
    int exit_code = (call);                                                                        \
    if (exit_code != (expected))                                                                   \
      fail_msg("exit %d, not %d:\n%s%s", exit_code, expected, run.out, run.err);                   \
  } while (0)

/* ---- Fixture ------------------------------------------------------------------------------- */

static void upstream_start(const char *option, const char *value)
{
  const char *found;

  if (option)
    run_start(&upstream, "WEIR_UPSTREAM_BIN", option, value, "--latency-ms", "5..40", NULL);
  else
    run_start(&upstream, "WEIR_UPSTREAM_BIN", "--latency-ms", "5..40", NULL);
  found = run_wait_out(&upstream, "listening on http");
  run_wait_out(&upstream, "\n");
  snprintf(url, sizeof(url), "%.*s", (int)strcspn(found + 13, "\n"), found + 13);
}

static int set_up(void **state)
{
  (void)state;
  setenv("GEMINI_API_KEY", "test-key", 1);
  setenv("OPENAI_API_KEY", "test-key", 1);
  daemon_init(&coordinator);
  daemon_configure(&coordinator,
                   "providers: {gemini: {kind: gemini}, openai: {kind: openai}}\n"
                   "pools:\n"
                   "  - {name: g, provider: gemini, models: [m], limits: {rpm: 100k, tpm: 100M}}\n"
                   "  - {name: o, provider: openai, models: [m], limits: {rpm: 100k, tpm: 100M}}\n"
                   "  - {name: small, provider: gemini, models: [small], limits: {tpm: 1k}}\n");
  daemon_start(&coordinator);
  setenv("WEIR_COORDINATOR", coordinator.endpoint, 1);
  snprintf(input, sizeof(input), "%s/in.jsonl", coordinator.folder);
  snprintf(output, sizeof(output), "%s/out.jsonl", coordinator.folder);
  return 0;
}

static int tear_down(void **state)
{
  char part[160];

  (void)state;
  if (upstream.pid > 0) {
    run_kill(&upstream, SIGTERM);
    run_end(&upstream);
  }
  snprintf(part, sizeof(part), "%s.part", output);
  unlink(input);
  unlink(output);
  unlink(part);
  daemon_fini(&coordinator);
  return 0;
}

/* ---- Files --------------------------------------------------------------------------------- */

static void gemini_line(FILE *file, int number, const char *text)
{
  fprintf(file,
          "{\"key\":\"id-%d\",\"request\":{\"contents\":[{\"parts\":[{\"text\":\"%s %d\"}]}],"
          "\"generationConfig\":{\"maxOutputTokens\":16}}}\n",
          number, text, number);
}

static void openai_line(FILE *file, int number)
{
  fprintf(
      file,
      "{\"custom_id\":\"id-%d\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{"
      "\"model\":\"m\",\"max_tokens\":16,\"messages\":[{\"role\":\"user\",\"content\":\"Hi %d\"}"
      "]}}\n",
      number, number);
}

static void input_write(int count)
{
  FILE *file = fopen(input, "w");

  assert_non_null(file);
  for (int i = 0; i < count; i++)
    gemini_line(file, i, "Count to");
  assert_int_equal(fclose(file), 0);
}

/* What stands in the output: how often each id, and in which order. */
struct results {
  int count, failed, torn;
  bool is_in_order;
  int times[LINES];
};

static struct results output_read(void)
{
  struct results results = {.is_in_order = true};
  FILE *file = fopen(output, "r");
  char *line = NULL;
  size_t capacity = 0, ignored;
  ssize_t size;
  int last = -1;

  assert_non_null(file);
  while ((size = getline(&line, &capacity, file)) > 0) {
    const char *id = strstr(line, "\"id-");
    int number = id ? atoi(id + 4) : -1;

    if (line[size - 1] != '\n') {
      results.torn++;
      continue;
    }
    if (!run_is_json(line, &ignored))
      fail_msg("not JSON: %s", line);
    results.count++;
    results.failed += strstr(line, "\"error\":{") != NULL;
    if (number < 0)
      continue;
    assert_in_range(number, 0, LINES - 1);
    results.times[number]++;
    results.is_in_order = results.is_in_order && number > last;
    last = number;
  }
  free(line);
  fclose(file);
  return results;
}

static void assert_each_once(int count)
{
  struct results results = output_read();

  assert_int_equal(results.torn, 0);
  assert_int_equal(results.count, count);
  for (int i = 0; i < count; i++)
    if (results.times[i] != 1)
      fail_msg("id-%d stands %d times in the output", i, results.times[i]);
}

/* A number of the summary that --json prints. */
static uint64_t summary(const char *path)
{
  struct weir_json json;
  struct weir_json_token token;
  uint64_t value;

  weir_json_init(&json);
  weir_json_feed(&json, run.out, strlen(run.out));
  while (weir_json_next(&json, &token) == WEIR_JSON_TOKEN)
    if (strcmp(token.path, path) == 0 && weir_json_uint(&token, &value))
      return value;
  fail_msg("no number '%s' in: %s", path, run.out);
  return 0;
}

static int output_lines(void)
{
  FILE *file = fopen(output, "r");
  int lines = 0, byte;

  while (file && (byte = fgetc(file)) != EOF)
    lines += byte == '\n';
  if (file)
    fclose(file);
  return lines;
}

/* Starts a batch of all lines and returns once some results are written. */
static void batch_start_and_wait(const char *order)
{
  struct pollfd events = {.fd = inotify_init1(IN_NONBLOCK), .events = POLLIN};
  char ignored[4096];

  assert_true(events.fd >= 0);
  assert_true(inotify_add_watch(events.fd, coordinator.folder, IN_MODIFY) >= 0);
  run_start(&run, "WEIR_BIN", BATCH("--model", "m", "--parallel", "4", "--order", order), NULL);
  while (output_lines() < LINES / 10) {
    if (poll(&events, 1, RUN_TIMEOUT_MS) != 1)
      fail_msg("no result is written");
    while (read(events.fd, ignored, sizeof(ignored)) > 0) {
    }
  }
  close(events.fd);
}

/* How many calls the provider has seen, by its own count. */
static uint64_t upstream_arrivals(void)
{
  static const char request[] = "GET /_admin/counters HTTP/1.0\r\n\r\n";
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const char *found, *port = strrchr(url, ':');
  char answer[16384];
  size_t size = 0;
  ssize_t got;
  int fd = socket(AF_INET, SOCK_STREAM, 0);

  assert_non_null(port);
  address.sin_port = htons((uint16_t)strtoul(port ? port + 1 : "", NULL, 10));
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
  assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
  while ((got = read(fd, answer + size, sizeof(answer) - 1 - size)) > 0)
    size += (size_t)got;
  close(fd);
  answer[size] = '\0';
  found = strstr(answer, "\"arrivals\":");
  assert_non_null(found);
  return found ? strtoull(found + 11, NULL, 10) : 0;
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void runs_all_lines_and_keeps_their_order(void **state)
{
  struct results results;

  (void)state;
  upstream_start(NULL, NULL);
  input_write(LINES);
  assert_exit(0, WEIR(BATCH("--model", "m")));
  assert_each_once(LINES);
  results = output_read();
  assert_true(results.is_in_order);
  assert_int_equal(results.failed, 0);
  assert_int_equal(summary("done"), LINES);
  assert_int_equal(summary("left"), 0);
  assert_true(summary("input_tokens") >= LINES);
  assert_holds(run.err, "200 of 200 done, 0 failed");
  /* Again: there is nothing left to do. */
  assert_exit(0, WEIR(BATCH("--model", "m")));
  assert_int_equal(summary("before"), LINES);
  assert_int_equal(summary("attempts"), 0);
}

static void takes_keys_of_a_file_and_logs_each_call(void **state)
{
  char keys[128], refs[160], calls[128], line[2048];
  FILE *file;
  int lines = 0;

  (void)state;
  upstream_start(NULL, NULL);
  input_write(20);
  unsetenv("GEMINI_API_KEY");
  snprintf(keys, sizeof(keys), "%s/keys", coordinator.folder);
  snprintf(refs, sizeof(refs), "file:%s", keys);
  snprintf(calls, sizeof(calls), "%s/calls.jsonl", coordinator.folder);
  assert_exit(2, WEIR(BATCH("--model", "m", "--keys", refs)));
  assert_holds(run.err, "it cannot be read: No such file");
  assert_exit(2, WEIR(BATCH("--model", "m", "--keys", refs, "--key-env", "X")));
  file = fopen(keys, "w");
  assert_non_null(file);
  fputs("secret-one\nsecret-two\n", file);
  fclose(file);
  assert_exit(1, WEIR(BATCH("--model", "m", "--keys", refs, "--call-log", "/nowhere/calls")));
  assert_holds(run.err, "/nowhere/calls: No such file");
  assert_exit(0, WEIR(BATCH("--model", "m", "--keys", refs, "--call-log", calls)));
  unlink(keys);
  file = fopen(calls, "r");
  assert_non_null(file);
  while (fgets(line, sizeof(line), file)) {
    size_t count;

    assert_true(run_is_json(line, &count));
    assert_holds(line,
                 "\"provider\":\"gemini\",\"model\":\"m\",\"pool\":\"g\",\"class\":\"batch\",");
    assert_holds(line, "\"tag\":\"id-");
    assert_holds(line, "\"status\":\"ok\",\"error\":null,\"http\":200,");
    assert_null(strstr(line, "secret"));
    lines++;
  }
  fclose(file);
  unlink(calls);
  assert_int_equal(lines, 20);
}

static void loses_and_repeats_nothing_when_killed(void **state)
{
  struct results killed;

  (void)state;
  upstream_start(NULL, NULL);
  input_write(LINES);
  batch_start_and_wait("input");
  run_kill(&run, SIGKILL);
  assert_int_equal(run_end(&run), 128 + SIGKILL);
  killed = output_read();
  assert_in_range(killed.count, LINES / 10, LINES - 1);
  assert_exit(0, WEIR(BATCH("--model", "m")));
  assert_each_once(LINES);
  assert_true(output_read().is_in_order);
  assert_true(summary("before") >= (uint64_t)killed.count);
  assert_int_equal(summary("before") + summary("done"), LINES);
  /* Only what was under way when it was killed was sent twice. */
  assert_in_range(upstream_arrivals(), LINES, LINES + 4);
}

static void stops_in_good_order_when_interrupted(void **state)
{
  (void)state;
  upstream_start(NULL, NULL);
  input_write(LINES);
  batch_start_and_wait("completed");
  run_kill(&run, SIGINT);
  assert_exit(130, run_end(&run));
  assert_holds(run.err, "run the same command again to resume");
  assert_int_equal(summary("done") + summary("left"), LINES);
  assert_int_equal(output_read().count, summary("done"));
  assert_exit(0, WEIR(BATCH("--model", "m", "--order", "completed")));
  assert_each_once(LINES);
}

static void a_line_that_waits_to_be_tried_again_is_left_when_interrupted(void **state)
{
  static const char answer[] =
      "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"1\"}]},\"finishReason\":\"STOP\"}],"
      "\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":1}}";
  struct provider provider;

  (void)state;
  provider_init(&provider, PROVIDER_ANSWERS, 503, "{}");
  snprintf(url, sizeof(url), "%s", provider.url);
  input_write(3);
  run_start(&run, "WEIR_BIN", BATCH("--model", "m", "--parallel", "1", "--retries", "100"), NULL);
  provider_wait(&provider, 1);
  run_kill(&run, SIGINT);
  assert_exit(130, run_end(&run));
  assert_int_equal(summary("left"), 3);
  assert_int_equal(summary("done"), 0);
  assert_true(summary("attempts") >= 1); /* what was sent is told all the same */
  assert_int_equal(output_read().count, 0);
  pthread_mutex_lock(&provider.lock);
  provider.status = 200;
  provider.body = answer;
  pthread_mutex_unlock(&provider.lock);
  assert_exit(0, WEIR(BATCH("--model", "m")));
  assert_each_once(3);
  assert_int_equal(output_read().failed, 0);
  provider_fini(&provider);
}

static void what_waits_for_space_is_waited_for_when_interrupted(void **state)
{
  char disk[128];
  FILE *mode;

  (void)state;
  if (UNDER_ASAN || UNDER_TSAN)
    skip(); /* their libraries want to be the first ones */
  upstream_start(NULL, NULL);
  input_write(3);
  snprintf(disk, sizeof(disk), "%s/disk", coordinator.folder);
  mode = fopen(disk, "w");
  assert_non_null(mode);
  assert_true(fputs("full", mode) >= 0);
  assert_int_equal(fflush(mode), 0);
  setenv("WEIR_CHAOS_DISK", disk, 1);
  setenv("LD_PRELOAD", getenv("WEIR_DISK_SHIM"), 1);
  run_start(&run, "WEIR_BIN", BATCH("--model", "m", "--grace", "3s"), NULL);
  unsetenv("LD_PRELOAD");
  run_wait_err(&run, "the disk is full");
  run_kill(&run, SIGINT);
  /* To its end the grace is time to make room; a result is tried again each second. */
  assert_exit(130, run_end(&run));
  assert_holds(run.err, "stopped with "); /* those whose results wait */
  assert_null(strstr(run.err, "is lost"));
  assert_int_equal(summary("left"), 3);
  fclose(mode);
  unlink(disk);
  assert_exit(0, WEIR(BATCH("--model", "m")));
  assert_each_once(3);
}

/* Whoever gives up waits for no thread, on purpose; TSan calls those that have ended leaked. */
static void start_to_give_up(const char *model, const char *option, const char *value,
                             const char *option_2, const char *value_2)
{
  const char *options = getenv("TSAN_OPTIONS");
  char before[512], now[512];

  snprintf(before, sizeof(before), "%s", options ? options : "");
  snprintf(now, sizeof(now), "%.400s:report_thread_leaks=0", before);
  setenv("TSAN_OPTIONS", now, 1);
  run_start(&run, "WEIR_BIN", BATCH("--model", model, option, value, option_2, value_2), NULL);
  setenv("TSAN_OPTIONS", before, 1);
}

static void a_run_that_ends_at_once_is_summed_up_too(void **state)
{
  struct provider provider;

  (void)state;
  provider_init(&provider, PROVIDER_HANGS, 200, "{}");
  snprintf(url, sizeof(url), "%s", provider.url);
  input_write(3);
  start_to_give_up("m", "--parallel", "2", NULL, NULL);
  provider_wait(&provider, 2);
  run_kill(&run, SIGINT);
  run_wait_err(&run, "interrupted");
  run_kill(&run, SIGINT);
  assert_exit(130, run_end(&run));
  assert_holds(run.err, "stopped with 2 requests under way");
  assert_int_equal(summary("left"), 3);
  assert_int_equal(summary("exit"), 130);
  provider_fini(&provider);
}

static void a_run_that_stops_tells_why_also_when_requests_are_given_up(void **state)
{
  FILE *file = fopen(input, "w");
  struct provider provider;

  (void)state;
  provider_init(&provider, PROVIDER_HANGS, 200, "{}");
  snprintf(url, sizeof(url), "%s", provider.url);
  assert_non_null(file);
  for (int i = 0; i < 2; i++) { /* only one of them fits into a minute */
    fprintf(file, "{\"key\":\"id-%d\",\"request\":{\"contents\":[{\"parts\":[{\"text\":\"", i);
    for (int word = 0; word < 200; word++)
      fputs("every word counts ", file);
    fputs("\"}]}]}}\n", file);
  }
  assert_int_equal(fclose(file), 0);
  start_to_give_up("small", "--max-wait", "20s", "--grace", "1ms");
  assert_exit(1, run_end(&run));
  assert_holds(run.err, "stopped with 1 requests under way");
  assert_holds(run.err, "stopped: ");
  assert_int_equal(summary("exit"), 1);
  provider_fini(&provider);
}

static void a_model_that_no_coordinator_can_know_is_a_bad_line(void **state)
{
  FILE *file = fopen(input, "w");

  (void)state;
  upstream_start(NULL, NULL);
  assert_non_null(file);
  gemini_line(file, 0, "Count to");
  /* A hyphen that does not break, as pages of documentation have it. */
  fputs("{\"custom_id\":\"id-1\",\"body\":{\"model\":\"gpt\u20114o\",\"messages\":[]}}\n", file);
  gemini_line(file, 2, "Count to");
  assert_int_equal(fclose(file), 0);
  assert_exit(1, WEIR(BATCH("--model", "m")));
  assert_holds(run.err, "in.jsonl:2: \"model\" must be printable ASCII");
  assert_exit(1, WEIR(BATCH("--model", "m", "--skip-bad")));
  assert_int_equal(summary("left"), 0);
  assert_int_equal(output_read().count, 3);
  assert_int_equal(output_read().failed, 1);
}

static void what_is_printed_never_gets_into_a_file_that_is_open(void **state)
{
  char command[512];

  (void)state;
  upstream_start(NULL, NULL);
  input_write(LINES);
  snprintf(command, sizeof(command),
           "exec \"$WEIR_BIN\" batch %s -o %s --base-url %s --model m --order completed </dev/null "
           ">&- 2>&-",
           input, output, url);
  setenv("SHELL_BIN", "/bin/sh", 1);
  run_start(&run, "SHELL_BIN", "-c", command, NULL);
  assert_exit(0, run_end(&run));
  assert_each_once(LINES);
}

static void asks_on_behalf_of_the_tenant_that_it_is_told(void **state)
{
  static struct fake_coordinator fake; /* too large for a stack */
  uint32_t asks;

  (void)state;
  upstream_start(NULL, NULL);
  input_write(3);
  fake_init(&fake, FAKE_GRANT);
  assert_exit(0, WEIR(BATCH("--model", "m", "--tenant", "search", "-c", fake.endpoint)));
  assert_each_once(3);
  asks = fake_count(&fake, WEIR_MSG_ASK);
  assert_true(asks >= 4); /* a look at the first line, and each line */
  for (uint32_t i = 0; i < asks; i++)
    assert_string_equal(fake_get(&fake, WEIR_MSG_ASK, i).ask.tenant, "search");
  fake_fini(&fake);
}

static void a_line_that_asks_again_has_what_is_left_of_its_time(void **state)
{
  static struct fake_coordinator fake; /* too large for a stack */
  uint64_t first_us, second_us;

  (void)state;
  upstream_start(NULL, NULL);
  input_write(1);
  fake_init(&fake, FAKE_DENY);
  pthread_mutex_lock(&fake.lock);
  fake.denial = WEIR_DENIAL_QUEUE_FULL;
  pthread_mutex_unlock(&fake.lock);
  run_start(&run, "WEIR_BIN", BATCH("--model", "m", "-c", fake.endpoint), NULL);
  fake_wait(&fake, WEIR_MSG_ASK, 3); /* the first is the look before the run */
  fake_set(&fake, FAKE_GRANT);
  assert_exit(0, run_end(&run));
  first_us = fake_get(&fake, WEIR_MSG_ASK, 1).ask.deadline_us;
  second_us = fake_get(&fake, WEIR_MSG_ASK, 2).ask.deadline_us;
  /* A second was waited in between, at least. */
  if (second_us + WEIR_US_PER_S * 9 / 10 > first_us)
    fail_msg("%" PRIu64 " us at first, then %" PRIu64, first_us, second_us);
  fake_fini(&fake);
}

static void sends_nothing_while_a_line_is_bad(void **state)
{
  FILE *file;

  (void)state;
  upstream_start(NULL, NULL);
  input_write(3);
  file = fopen(input, "a");
  assert_non_null(file);
  fputs("{\"key\":\n", file);
  gemini_line(file, 1, "again");
  gemini_line(file, 3, "fine");
  assert_int_equal(fclose(file), 0);
  assert_exit(1, WEIR(BATCH("--model", "m")));
  assert_holds(run.err, "in.jsonl:4: the JSON ends too early");
  assert_holds(run.err, "in.jsonl:5: the id stands in line 2 already");
  assert_int_equal(access(output, F_OK), -1);
  /* Passed over, they are told in the output, and not told again. */
  for (int i = 0; i < 2; i++) {
    struct results results;

    assert_exit(1, WEIR(BATCH("--model", "m", "--skip-bad")));
    results = output_read();
    assert_int_equal(results.count, 6);
    assert_int_equal(results.failed, 2);
    for (int id = 0; id < 4; id++)
      assert_int_equal(results.times[id], 1);
    assert_int_equal(summary("before"), i == 0 ? 0 : 4);
  }
}

static void sends_a_line_that_was_bad_once_it_is_mended(void **state)
{
  FILE *file;

  (void)state;
  upstream_start(NULL, NULL);
  input_write(3);
  file = fopen(input, "a");
  assert_non_null(file);
  fputs("{\"key\":\n", file);
  assert_int_equal(fclose(file), 0);
  assert_exit(1, WEIR(BATCH("--model", "m", "--skip-bad")));
  input_write(4); /* the same lines, and the last one as it should be */
  assert_exit(0, WEIR(BATCH("--model", "m", "--order", "completed")));
  assert_int_equal(summary("before"), 3);
  assert_int_equal(summary("attempts"), 1);
  assert_each_once(4);
}

static void takes_three_formats_apart_by_line(void **state)
{
  FILE *file = fopen(input, "w");
  struct results results;

  (void)state;
  upstream_start(NULL, NULL);
  assert_non_null(file);
  for (int i = 0; i < 20; i++) {
    if (i % 2 == 0)
      gemini_line(file, i, "Count to");
    else
      openai_line(file, i);
  }
  assert_int_equal(fclose(file), 0);
  assert_exit(0, WEIR(BATCH("--model", "m")));
  results = output_read();
  assert_int_equal(results.count, 20);
  assert_true(results.is_in_order);
}

static void sends_again_only_what_may_pass(void **state)
{
  (void)state;
  upstream_start("--fault", "kind=error_500,next=5");
  input_write(20);
  assert_exit(1, WEIR(BATCH("--model", "m", "--retries", "0")));
  assert_int_equal(output_read().failed, 5);
  assert_holds(run.err, "--retry-failed");
  assert_exit(1, WEIR(BATCH("--model", "m")));
  assert_int_equal(summary("attempts"), 0);
  assert_exit(0, WEIR(BATCH("--model", "m", "--retry-failed")));
  assert_int_equal(summary("done"), 5);
  assert_each_once(20);
  assert_true(output_read().is_in_order);
  assert_int_equal(output_read().failed, 0);
}

static void retries_by_itself(void **state)
{
  (void)state;
  upstream_start("--fault", "kind=overloaded_503,next=3");
  input_write(10);
  assert_exit(0, WEIR(BATCH("--model", "m")));
  assert_each_once(10);
  assert_int_equal(output_read().failed, 0);
  assert_int_equal(summary("attempts"), 13);
}

static void stops_when_the_account_is_the_trouble(void **state)
{
  (void)state;
  upstream_start("--fault", "kind=leaked_key_403,probability=1");
  input_write(LINES);
  assert_exit(1, WEIR(BATCH("--model", "m", "--parallel", "2")));
  assert_holds(run.err, "stopped: ");
  assert_holds(run.err, "run the same command again to resume");
  assert_int_equal(summary("left"), LINES);
  assert_true(summary("attempts") <= 2);
  assert_int_equal(output_read().count, 0);
}

static void tells_a_request_that_can_never_fit(void **state)
{
  FILE *file = fopen(input, "w");

  (void)state;
  upstream_start(NULL, NULL);
  assert_non_null(file);
  fputs("{\"key\":\"id-0\",\"request\":{\"contents\":[{\"parts\":[{\"text\":\"", file);
  for (int i = 0; i < 4000; i++)
    fputs("every word counts ", file);
  fputs("\"}]}]}}\n", file);
  gemini_line(file, 1, "short");
  assert_int_equal(fclose(file), 0);
  assert_exit(1, WEIR(BATCH("--model", "small")));
  assert_each_once(2);
  assert_int_equal(output_read().failed, 1);
  assert_holds(run.err, "lines that failed for good: 1");
}

static void says_what_the_coordinator_lacks(void **state)
{
  (void)state;
  upstream_start(NULL, NULL);
  input_write(2);
  assert_exit(1, WEIR(BATCH("--model", "nobody")));
  assert_holds(run.err, "no pool for 'gemini/nobody'");
  assert_int_equal(output_read().count, 0);
  assert_exit(3, WEIR(BATCH("--model", "m", "--coordinator", "ipc:///tmp/weir-nobody.sock")));
  assert_exit(2, WEIR(BATCH("--model", "m", "--provider", "gemni")));
  unsetenv("GEMINI_API_KEY");
  assert_exit(1, WEIR("batch", input, "-o", output, "--model", "m", "--json"));
  assert_holds(run.err, "GEMINI_API_KEY");
}

static void needs_no_other_right_than_to_ask(void **state)
{
  (void)state;
  upstream_start(NULL, NULL);
  input_write(3);
  daemon_signal(&coordinator, SIGTERM);
  assert_int_equal(daemon_wait(&coordinator), 0);
  daemon_configure(
      &coordinator,
      "plain_rights: ask\n"
      "providers: {gemini: {kind: gemini}}\n"
      "pools:\n"
      "  - {name: g, provider: gemini, models: [m], limits: {rpm: 100k, tpm: 100M}}\n");
  daemon_start(&coordinator);
  assert_exit(1, WEIR("stats"));
  assert_holds(run.err, "has not the right");
  assert_exit(0, WEIR(BATCH("--model", "m")));
  assert_each_once(3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(runs_all_lines_and_keeps_their_order),
      TEST(takes_keys_of_a_file_and_logs_each_call),
      TEST(loses_and_repeats_nothing_when_killed),
      TEST(stops_in_good_order_when_interrupted),
      TEST(a_line_that_waits_to_be_tried_again_is_left_when_interrupted),
      TEST(what_waits_for_space_is_waited_for_when_interrupted),
      TEST(a_run_that_ends_at_once_is_summed_up_too),
      TEST(a_run_that_stops_tells_why_also_when_requests_are_given_up),
      TEST(a_model_that_no_coordinator_can_know_is_a_bad_line),
      TEST(what_is_printed_never_gets_into_a_file_that_is_open),
      TEST(asks_on_behalf_of_the_tenant_that_it_is_told),
      TEST(a_line_that_asks_again_has_what_is_left_of_its_time),
      TEST(sends_nothing_while_a_line_is_bad),
      TEST(sends_a_line_that_was_bad_once_it_is_mended),
      TEST(takes_three_formats_apart_by_line),
      TEST(sends_again_only_what_may_pass),
      TEST(retries_by_itself),
      TEST(stops_when_the_account_is_the_trouble),
      TEST(tells_a_request_that_can_never_fit),
      TEST(says_what_the_coordinator_lacks),
      TEST(needs_no_other_right_than_to_ask),
  };

  return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
