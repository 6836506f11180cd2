/* The demo in small: real processes, a real quota, seconds instead of minutes. What is asserted is
 * what the provider counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <weir/json.h>
#include <weir/rng.h>

#include "../demo/child.h"
#include "../demo/clock.h"

#define REQUESTS   300
#define INSTANCES  4
#define BOUND_MS   120000
#define OUTPUT_MAX 65536

struct stand {
  char folder[32], workload[64], json[64];
  char output[OUTPUT_MAX]; /* of the last run */
  size_t output_size;
};

struct half {
  uint64_t calls, failed, rejected_429, arrivals;
  double quota_used;
};

/* Requests of 300 to 2,000 characters: like a workload, but nobody's text. */
static void workload_write(const char *path)
{
  static const char *const words[] = {"quota",  "minute", "river",  "lease", "token", "window",
                                      "figure", "honest", "answer", "seven", "paper", "measure"};
  FILE *file = fopen(path, "w");
  struct weir_rng rng;

  assert_non_null(file);
  weir_rng_init(&rng, 7);
  for (int i = 0; i < REQUESTS; i++) {
    size_t length = 300 + (size_t)weir_rng_below(&rng, 1700), written = 0;

    fprintf(file,
            "{\"key\":\"%03d\",\"request\":{\"contents\":[{\"role\":\"user\",\"parts\":"
            "[{\"text\":\"Summarise:",
            i);
    while (written < length) {
      const char *word = words[weir_rng_below(&rng, sizeof(words) / sizeof(*words))];

      written += (size_t)fprintf(file, " %s", word);
    }
    fprintf(file, "\"}]}],\"generationConfig\":{\"maxOutputTokens\":64}}}\n");
  }
  assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
  struct stand *stand = calloc(1, sizeof(*stand));

  assert_non_null(stand);
  strcpy(stand->folder, "/tmp/weir-e2e-XXXXXX");
  assert_non_null(mkdtemp(stand->folder));
  snprintf(stand->workload, sizeof(stand->workload), "%s/workload.jsonl", stand->folder);
  snprintf(stand->json, sizeof(stand->json), "%s/figures.json", stand->folder);
  workload_write(stand->workload);
  *state = stand;
  return 0;
}

static int tear_down(void **state)
{
  struct stand *stand = *state;

  unlink(stand->workload);
  unlink(stand->json);
  assert_int_equal(rmdir(stand->folder), 0);
  free(stand);
  return 0;
}

static void on_line(void *context, const char *line, size_t size)
{
  struct stand *stand = context;

  if (stand->output_size + size + 2 > sizeof(stand->output))
    return;
  memcpy(stand->output + stand->output_size, line, size);
  stand->output_size += size;
  stand->output[stand->output_size++] = '\n';
  stand->output[stand->output_size] = 0;
}

/* Runs the demo with |extra| options to its end and returns its exit status. */
static int demo(struct stand *stand, const char *const *extra)
{
  const char *const common[] = {
      "--workload", stand->workload, "--requests", "300",    "--instances", "4", "--parallel",
      "8",          "--window",      "6s",         "--json", stand->json};
  const char *arguments[32] = {NULL};
  const uint64_t give_up_ms = demo_now_ms() + BOUND_MS;
  struct demo_child child;
  char program[1024];
  size_t count = 1;
  uint64_t now_ms;
  int status;

  assert_non_null(getenv("WEIR_BIN"));
  snprintf(program, sizeof(program), "%s/weir-demo", getenv("WEIR_BIN"));
  arguments[0] = program;
  for (size_t i = 0; i < sizeof(common) / sizeof(*common); i++)
    arguments[count++] = common[i];
  for (; *extra; extra++)
    arguments[count++] = *extra;
  stand->output_size = 0;
  unlink(stand->json);
  assert_true(demo_child_start(&child, arguments, true));
  while (child.fd >= 0 && (now_ms = demo_now_ms()) < give_up_ms) {
    struct pollfd output = {child.fd, POLLIN, 0};

    if (poll(&output, 1, (int)(give_up_ms - now_ms)) > 0)
      demo_child_read(&child, on_line, stand);
  }
  if (child.fd >= 0)
    print_message("the demo is not through after %d ms\n", BOUND_MS);
  status = demo_child_end(&child, child.fd >= 0 ? SIGTERM : 0);
  print_message("%s", stand->output);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

/* Reads one half of the figures; false when it is not there. */
static bool half_read(const struct stand *stand, const char *name, struct half *ret_half)
{
  struct weir_json json;
  struct weir_json_token token;
  char bytes[4096], path[64];
  FILE *file = fopen(stand->json, "r");
  struct half half = {0};
  bool is_found = false;
  size_t size;

  assert_non_null(file);
  size = fread(bytes, 1, sizeof(bytes), file);
  fclose(file);
  weir_json_init(&json);
  weir_json_feed(&json, bytes, size);
  while (weir_json_next(&json, &token) == WEIR_JSON_TOKEN) {
    const size_t length = strlen(name);

    snprintf(path, sizeof(path), "%s", token.path);
    if (token.type != WEIR_JSON_NUMBER || strncmp(path, name, length) != 0)
      continue;
    is_found = true;
    if (strcmp(path + length, ".calls") == 0)
      assert_true(weir_json_uint(&token, &half.calls));
    if (strcmp(path + length, ".failed") == 0)
      assert_true(weir_json_uint(&token, &half.failed));
    if (strcmp(path + length, ".rejected_429") == 0)
      assert_true(weir_json_uint(&token, &half.rejected_429));
    if (strcmp(path + length, ".arrivals") == 0)
      assert_true(weir_json_uint(&token, &half.arrivals));
    if (strcmp(path + length, ".quota_used") == 0)
      half.quota_used = strtod(token.text, NULL);
  }
  *ret_half = half;
  return is_found;
}

static void weir_meets_no_429_where_plain_retries_do(void **state)
{
  static const char *const both[] = {"--mode", "both", NULL};
  struct half naive, managed;
  int status = demo(*state, both);

  assert_int_equal(status, 0);
  assert_true(half_read(*state, "weir", &managed));
  assert_int_equal(managed.calls, REQUESTS);
  assert_int_equal(managed.failed, 0);
  assert_int_equal(managed.rejected_429, 0);
  assert_int_equal(managed.arrivals, REQUESTS);
  assert_true(managed.quota_used >= 0.90);
  /* The comparison can fail: without weir the same provider does reject. */
  assert_true(half_read(*state, "naive", &naive));
  assert_int_equal(naive.calls, REQUESTS);
  assert_true(naive.rejected_429 > 0);
  assert_true(naive.arrivals > REQUESTS);
}

static void a_killed_instance_takes_only_its_own_calls_with_it(void **state)
{
  static const char *const killed[] = {"--mode", "weir", "--kill-instance", "1", NULL};
  struct half managed;
  int status = demo(*state, killed);

  assert_int_equal(status, 0);
  assert_true(half_read(*state, "weir", &managed));
  assert_int_equal(managed.failed, 0);
  assert_int_equal(managed.rejected_429, 0);
  assert_true(managed.calls < REQUESTS); /* it did die in the middle */
  assert_true(managed.calls >= REQUESTS - REQUESTS / INSTANCES);
}

static void a_killed_coordinator_costs_time_but_no_call(void **state)
{
  static const char *const killed[] = {"--mode", "weir", "--kill-coordinator", "3", NULL};
  struct half managed;
  int status = demo(*state, killed);

  assert_int_equal(status, 0);
  assert_true(half_read(*state, "weir", &managed));
  assert_int_equal(managed.calls, REQUESTS);
  assert_int_equal(managed.failed, 0);
  assert_int_equal(managed.rejected_429, 0);
}

static void a_missing_workload_is_an_error_that_says_what_to_do(void **state)
{
  static const char *const missing[] = {"--workload", "/nonexistent/workload.jsonl", NULL};
  struct stand *stand = *state;

  assert_int_equal(demo(stand, missing), 1);
  assert_non_null(strstr(stand->output, "/nonexistent/workload.jsonl"));
  assert_non_null(strstr(stand->output, "record.sh"));
}

static void a_wrong_option_is_a_usage_error(void **state)
{
  static const char *const wrong[] = {"--window", "4 parsecs", NULL};

  assert_int_equal(demo(*state, wrong), 2);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(weir_meets_no_429_where_plain_retries_do),
      cmocka_unit_test(a_killed_instance_takes_only_its_own_calls_with_it),
      cmocka_unit_test(a_killed_coordinator_costs_time_but_no_call),
      cmocka_unit_test(a_missing_workload_is_an_error_that_says_what_to_do),
      cmocka_unit_test(a_wrong_option_is_a_usage_error),
  };

  return cmocka_run_group_tests(tests, set_up, tear_down);
}
