/* weir-proxy between raw HTTP clients, a real coordinator and the simulated provider. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy_fixture.h"
#include "sanitizer.h"

static char second_answer[PROXY_ANSWER_MAX]; /* the beginning of one that is put aside */
static size_t second_answer_size;

/* ---- calls ---- */

static void a_call_passes_and_tells_what_its_lease_was(void **state)
{
  (void)state;
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  assert_holds(answer, "x-weir-model: openai/gpt-4o\r\n");
  assert_holds(answer, "x-weir-pool: chat\r\n");
  assert_holds(answer, "x-weir-lease: requests=1, input_tokens=");
  assert_holds(answer, "output_tokens=20\r\n");
  assert_holds(answer, "x-weir-attempts: 1\r\n");
  assert_holds(answer, "\"choices\"");
  assert_int_equal(counted("arrivals"), 1);
  assert_holds(answer, "\"project\":\"real-openai\"");
  assert_int_equal(stat_of("leases"), 1);
}

static void the_keys_of_three_providers_are_put_in(void **state)
{
  (void)state;
  assert_int_equal(ask(proxy_port, "POST", "/v1/messages",
                       "x-api-key: token\r\nanthropic-version: 2023-06-01\r\n",
                       "{\"model\":\"claude\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\","
                       "\"content\":\"hi\"}]}"),
                   200);
  assert_int_equal(ask(proxy_port, "POST", "/v1beta/models/flash:generateContent?key=token", "",
                       "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}]}"),
                   200);
  assert_int_equal(
      ask(proxy_port, "POST", "/v1beta/openai/chat/completions", TOKEN,
          "{\"model\":\"flash\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"),
      200);
  assert_int_equal(counted("arrivals"), 3);
  assert_holds(answer, "real-anthropic");
  assert_holds(answer, "real-gemini");
  assert_lacks(answer, "\"token\"");
}

static void an_own_key_is_passed_on(void **state)
{
  (void)state;
  assert_int_equal(chat("Authorization: Bearer mine\r\n", CHAT("")), 200);
  assert_int_equal(counted("arrivals"), 1);
  assert_holds(answer, "\"project\":\"mine\"");
}

static void a_stream_loses_only_the_usage_that_nobody_asked_for(void **state)
{
  (void)state;
  assert_int_equal(chat(TOKEN, CHAT("\"stream\":true,")), 200);
  assert_holds(answer, "text/event-stream");
  assert_holds(answer, "\"finish_reason\":\"");
  assert_holds(answer, "data: [DONE]");
  assert_holds(answer, "\r\n0\r\n\r\n");
  assert_lacks(answer, "\"prompt_tokens\"");
  /* The usage that the client does not see is the one that was settled. */
  assert_int_equal(counted("arrivals"), 1);
}

static void a_stream_keeps_the_usage_that_the_client_asked_for(void **state)
{
  (void)state;
  assert_int_equal(
      chat(TOKEN, CHAT("\"stream\":true,\"stream_options\":{\"include_usage\":true},")), 200);
  assert_holds(answer, "\"prompt_tokens\"");
}

static void a_route_is_called_by_its_name(void **state)
{
  (void)state;
  assert_int_equal(chat(TOKEN, "{\"model\":\"fast\",\"messages\":[{\"role\":\"user\","
                               "\"content\":\"hi\"}]}"),
                   200);
  assert_holds(answer, "x-weir-model: openai/gpt-4o\r\n");
  assert_holds(answer, "\"model\":\"gpt-4o\"");
  assert_int_equal(chat(TOKEN "x-weir-route: abroad\r\n", CHAT("")), 200);
  assert_holds(answer, "x-weir-model: gemini/flash\r\n");
  assert_int_equal(counted("arrivals"), 2);
  assert_holds(answer, "real-gemini");
}

static void a_route_to_another_provider_needs_our_key(void **state)
{
  (void)state;
  assert_int_equal(chat("Authorization: Bearer mine\r\nx-weir-route: abroad\r\n", CHAT("")), 502);
  assert_holds(answer, "brings no key");
  assert_int_equal(counted("arrivals"), 0);
}

static void what_names_no_model_passes_without_lease(void **state)
{
  (void)state;
  assert_int_equal(ask(proxy_port, "GET", "/v1/models", TOKEN, ""), 200);
  assert_holds(answer, "x-weir-lease: none\r\n");
  assert_int_equal(stat_of("unleased"), 1);
  assert_int_equal(stat_of("leases"), 0);
}

static void a_model_without_pool_is_refused_for_good(void **state)
{
  (void)state;
  assert_int_equal(
      chat(TOKEN, "{\"model\":\"unknown\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"),
      404);
  assert_holds(answer, "x-should-retry: false\r\n");
  assert_holds(answer, "\"code\":\"model_not_found\"");
  assert_int_equal(chat(TOKEN, "no JSON"), 400);
  assert_int_equal(ask(proxy_port, "GET", "/nowhere", TOKEN, ""), 404);
  assert_int_equal(chat(TOKEN "x-weir-class: urgent\r\n", CHAT("")), 400);
  assert_holds(answer, "x-weir-class");
  assert_int_equal(counted("arrivals"), 0);
}

static void an_answer_tells_what_is_left_of_the_projects_quota(void **state)
{
  static const char rare[] =
      "{\"model\":\"rare\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
  unsigned long long left;
  const char *line;
  (void)state;

  assert_int_equal(chat(TOKEN, rare), 200);
  assert_holds(answer, "x-weir-ratelimit-limit-requests: 1\r\n");
  assert_holds(answer, "x-weir-ratelimit-remaining-requests: 0\r\n");
  assert_lacks(answer, "x-weir-ratelimit-limit-tokens"); /* that pool has no such limit */
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  assert_holds(answer, "x-weir-ratelimit-limit-tokens: 1000000000\r\n");
  line = strstr(answer, "x-weir-ratelimit-remaining-tokens: ");
  assert_non_null(line);
  left = line ? strtoull(line + strlen("x-weir-ratelimit-remaining-tokens: "), NULL, 10) : 0;
  assert_in_range(left, 1000000000 - 1000, 1000000000 - 20);
  /* Nobody knows of it without a lease. */
  assert_int_equal(ask(proxy_port, "GET", "/v1/models", TOKEN, ""), 200);
  assert_lacks(answer, "x-weir-ratelimit");
}

static void an_answer_tells_what_it_cost(void **state)
{
  static const char counts[] = "\"prompt_tokens\":";
  const char *input;
  char text[192];
  (void)state;

  snprintf(text, sizeof(text), "%s/prices.json", coordinator.folder);
  write_file(text, "{\"models\":[{\"provider\":\"openai\",\"model\":\"gpt-4o\","
                   "\"price_usd_per_1m\":{\"input\":1,\"output\":2}}]}");
  setenv("WEIR_PRICES", text, 1);
  setenv("WEIR_PROXY_CALL_LOG", "-", 1);
  proxy_start();
  script("{\"output_tokens\":\"7\"}");
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  input = strstr(answer, counts);
  assert_non_null(input);
  snprintf(text, sizeof(text), "x-weir-cost-micro: %lu\r\n",
           (input ? strtoul(input + sizeof(counts) - 1, NULL, 10) : 0) + 14);
  assert_holds(answer, text);
  /* A stream's head is long gone when its cost is known. */
  assert_int_equal(chat(TOKEN "x-weir-tag: second\r\n", CHAT("\"stream\":true,")), 200);
  assert_lacks(answer, "x-weir-cost-micro");
  run_wait_out(&proxy, "\"tag\":\"second\"");
  assert_holds(proxy.out, "\"cost\":0.0000");
  assert_lacks(proxy.out, "\"cost\":null");
}

static void a_key_that_is_rejected_makes_way_for_the_next(void **state)
{
  char keys[192], config[192], yaml[512];
  (void)state;

  snprintf(keys, sizeof(keys), "%s/keys", coordinator.folder);
  snprintf(config, sizeof(config), "%s/proxy.yaml", coordinator.folder);
  snprintf(yaml, sizeof(yaml), "providers:\n  openai: {keys: \"file:%s\"}\n", keys);
  write_file(config, yaml);
  write_file(keys, "first\nsecond\n");
  run_start(&proxy, "WEIR_PROXY_BIN", "--config", config, NULL);
  proxy_port = port_of(&proxy);
  /* The first answer is a rejection of the key. */
  script("{\"faults\":[{\"kind\":\"leaked_key_403\",\"next\":1}]}");
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  assert_holds(answer, "x-weir-attempts: 2\r\n");
  run_wait_err(&proxy, "provider openai: key 1 of 2 was rejected");
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  assert_int_equal(counted("arrivals"), 3);
  assert_holds(answer, "\"project\":\"second\"");
}

/* A place that cannot be read any more is told, and holds up no other. */
static void of_several_places_each_is_read_again_by_itself(void **state)
{
  char first[192], second_path[192], config[192], yaml[768];
  (void)state;

  snprintf(first, sizeof(first), "%s/first", coordinator.folder);
  snprintf(second_path, sizeof(second_path), "%s/second", coordinator.folder);
  snprintf(config, sizeof(config), "%s/proxy.yaml", coordinator.folder);
  snprintf(yaml, sizeof(yaml), "providers:\n  openai: {keys: [\"file:%s\", \"file:%s\"]}\n", first,
           second_path);
  write_file(config, yaml);
  write_file(first, "one\n");
  write_file(second_path, "two\n");
  run_start(&proxy, "WEIR_PROXY_BIN", "--config", config, NULL);
  proxy_port = port_of(&proxy);
  assert_int_equal(unlink(first), 0);
  write_file(second_path, "other\n");
  for (int i = 0; i < 2; i++)
    assert_int_equal(chat(TOKEN, CHAT("")), 200);
  run_wait_err(&proxy,
               "/first: it cannot be read: No such file or directory; its former keys stay");
  run_wait_err(&proxy, "/second was read again: 2 keys in all");
  assert_int_equal(counted("arrivals"), 2);
  assert_holds(answer, "\"project\":\"one\"");
  assert_holds(answer, "\"project\":\"other\"");
}

static void each_call_has_a_line_in_the_call_log(void **state)
{
  (void)state;
  setenv("WEIR_PROXY_CALL_LOG", "-", 1);
  proxy_start();
  unsetenv("WEIR_PROXY_CALL_LOG");
  assert_int_equal(chat(TOKEN "x-litellm-tags: nightly,eu\r\n", CHAT("\"stream\":true,")), 200);
  run_wait_out(&proxy, "\"tag\":\"nightly\"");
  run_wait_out(&proxy, "\"status\":\"ok\"");
  assert_int_equal(chat(TOKEN "x-weir-tag: second\r\n", "{\"model\":\"unknown\",\"messages\":[]}"),
                   404);
  run_wait_out(&proxy, "\"tag\":\"second\"");
  assert_holds(proxy.out, "\"error\":\"no_pool\"");
  assert_lacks(proxy.out, "real-openai");
}

static void what_the_proxy_refuses_itself_is_not_logged_as_fine(void **state)
{
  (void)state;
  unsetenv("GEMINI_API_KEY");
  setenv("WEIR_PROXY_CALL_LOG", "-", 1);
  proxy_start();
  unsetenv("WEIR_PROXY_CALL_LOG");
  assert_int_equal(chat(TOKEN "x-weir-tag: a\r\n", "{\"messages\":[]}"), 400);
  run_wait_out(&proxy,
               "\"tag\":\"a\",\"tenant\":null,\"status\":\"invalid\",\"error\":null,\"http\":null");
  assert_int_equal(chat(TOKEN "x-weir-tag: b\r\n"
                              "x-weir-route: abroad\r\n",
                        CHAT("")),
                   502);
  run_wait_out(&proxy, "\"tag\":\"b\",\"tenant\":null,\"status\":\"invalid\"");
  assert_int_equal(chat(TOKEN "x-weir-class: gold\r\n", CHAT("")), 400);
  assert_int_equal(chat(TOKEN "x-weir-tag: last\r\n", CHAT("")), 200);
  run_wait_out(&proxy, "\"tag\":\"last\",\"tenant\":null,\"status\":\"ok\"");
  assert_lacks(proxy.out, "\"class\":\"?\"");
  assert_lacks(proxy.out, "\"tag\":null,\"tenant\":null,\"status\":\"ok\"");
}

/* ---- large requests ---- */

#define LARGE ((size_t)12 << 20)

#define LARGE_BEGIN(model)                                                                         \
  "{\"model\":\"" model "\",\"max_tokens\":2,\"messages\":[{\"role\":\"user\",\"content\":\""
#define LARGE_END "\"}]}"

/* Sends |size| bytes of no meaning. */
static void bytes_send(int fd, size_t size)
{
  static char bytes[65536];

  memset(bytes, 'a', sizeof(bytes));
  while (size > 0) {
    const ssize_t done = send(fd, bytes, size < sizeof(bytes) ? size : sizeof(bytes), MSG_NOSIGNAL);

    assert_true(done > 0);
    size -= (size_t)done;
  }
}

/* Sends a chat with a prompt of LARGE bytes. */
static void large_ask(int fd, const char *model)
{
  char text[512];
  const char *end = LARGE_END;
  const int size = snprintf(text, sizeof(text), LARGE_BEGIN("%s"), model);
  char head[256];

  snprintf(head, sizeof(head),
           "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" TOKEN
           "Content-Length: %zu\r\n\r\n",
           (size_t)size + LARGE + strlen(end));
  http_write(fd, head);
  http_write(fd, text);
  bytes_send(fd, LARGE);
  http_write(fd, end);
}

static void large_requests_wait_in_files(void **state)
{
  unsigned long before;
  int fds[4];
  (void)state;

  script("{\"context_tokens\":100000000}");
  /* A route changes the model in the body, which makes a second one of it. */
  fds[0] = http_open(proxy_port);
  large_ask(fds[0], "fast");
  assert_int_equal(http_end(fds[0]), 200);
  assert_int_equal(counted("arrivals"), 1);
  assert_int_equal(chat(TOKEN, "{\"model\":\"rare\",\"max_tokens\":2,\"messages\":[{\"role\":"
                               "\"user\",\"content\":\"hi\"}]}"),
                   200);
  before = memory_kib();
  for (int i = 0; i < 4; i++) {
    fds[i] = http_open(proxy_port);
    large_ask(fds[i], "rare");
  }
  while (stat_of("requests") < 6)
    ;
  if (!UNDER_ASAN && !UNDER_TSAN) /* their heaps keep what was freed */
    assert_true(memory_kib() < before + 4096);
  for (int i = 0; i < 4; i++)
    close(fds[i]);
}

static void where_no_file_can_be_made_large_requests_stay_in_memory(void **state)
{
  int fd;
  (void)state;

  setenv("WEIR_PROXY_SPOOL_DIR", "/nowhere", 1);
  proxy_start();
  run_wait_err(&proxy, "spool_dir: /nowhere: No such file or directory; large requests stay in");
  script("{\"context_tokens\":100000000}");
  fd = http_open(proxy_port);
  large_ask(fd, "fast");
  assert_int_equal(http_end(fd), 200);
  assert_int_equal(counted("arrivals"), 1);
}

/* A route changes the body, and what comes of it does not fit beside the client's. */
static void a_body_without_room_for_its_change_is_refused_for_now(void)
{
  int fd;

  script("{\"context_tokens\":100000000}");
  for (int i = 0; i < 2; i++) { /* nothing stays counted */
    fd = http_open(proxy_port);
    large_ask(fd, "fast");
    assert_int_equal(http_end(fd), 503);
    assert_holds(answer, "x-should-retry: true\r\n");
    assert_holds(answer, "no room for the request");
  }
  fd = http_open(proxy_port);
  large_ask(fd, "few"); /* not changed */
  assert_int_equal(http_end(fd), 200);
  assert_int_equal(counted("arrivals"), 1);
}

static void what_all_files_may_hold_is_bounded(void **state)
{
  int fd;
  (void)state;

  setenv("WEIR_PROXY_SPOOL_MIB", "20", 1);
  proxy_start();
  unsetenv("WEIR_PROXY_SPOOL_MIB");
  a_body_without_room_for_its_change_is_refused_for_now();
  fd = http_open(proxy_port);
  http_write(fd, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: token\r\n"
                 "Content-Length: 30000000\r\n\r\n");
  bytes_send(fd, ((size_t)20 << 20) + 1); /* more than fits, and less than it wants to send */
  assert_int_equal(http_end(fd), 503);
  assert_holds(answer, "retry-after-ms: 1000\r\n");
  assert_holds(answer, "{\"type\":\"error\",\"error\":{\"type\":");
}

static void a_full_disk_is_a_failure_that_passes(void **state)
{
  struct rlimit before, limit;
  (void)state;

  /* The client's body fits to the byte; |gpt-4o| is longer than |fast|. */
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  limit = before;
  limit.rlim_cur = LARGE + strlen(LARGE_BEGIN("fast") LARGE_END) + 1;
  (void)signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  proxy_start();
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  (void)signal(SIGXFSZ, SIG_DFL);
  a_body_without_room_for_its_change_is_refused_for_now();
}

/* ---- the limit ---- */

static void at_the_limit_a_call_waits_and_succeeds(void **state)
{
  int fds[5];
  (void)state;

  for (int i = 0; i < 5; i++) {
    fds[i] = http_open(proxy_port);
    http_ask(fds[i], "POST", "/v1/chat/completions", TOKEN,
             "{\"model\":\"few\",\"max_tokens\":2,\"messages\":[{\"role\":\"user\",\"content\":"
             "\"hi\"}]}");
  }
  for (int i = 0; i < 5; i++) {
    answer_size = 0;
    assert_int_equal(http_end(fds[i]), 200);
  }
  /* Five calls, two a second: the last one waited. */
  assert_int_equal(stat_of("refused"), 0);
  assert_int_equal(counted("arrivals"), 5);
}

static void beyond_its_deadline_a_call_is_refused_in_its_providers_shape(void **state)
{
  static const struct {
    const char *target, *headers, *body, *shape;
  } rows[] = {{"/v1/chat/completions", TOKEN,
               "{\"model\":\"rare\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
               "{\"error\":{\"message\":"},
              {"/v1/messages", "x-api-key: token\r\n",
               "{\"model\":\"rare\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\","
               "\"content\":\"hi\"}]}",
               "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\""},
              {"/v1beta/models/rare:generateContent", "x-goog-api-key: token\r\n",
               "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}]}", "{\"error\":{\"code\":429,"}};
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    assert_int_equal(ask(proxy_port, "POST", rows[i].target, rows[i].headers, rows[i].body), 200);
    assert_int_equal(ask(proxy_port, "POST", rows[i].target, rows[i].headers, rows[i].body), 429);
    assert_holds(answer, rows[i].shape);
    /* An hour is longer than any SDK waits. */
    assert_holds(answer, "x-should-retry: false\r\n");
    assert_lacks(answer, "retry-after");
  }
  assert_int_equal(counted("arrivals"), 3);
}

static void a_short_wait_is_told_to_the_sdk(void **state)
{
  static const char soon[] =
      "{\"model\":\"soon\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
  (void)state;

  assert_int_equal(chat(TOKEN, soon), 200);
  /* Time for the coordinator to say how long it is, which is longer. */
  assert_int_equal(chat(TOKEN "x-weir-deadline-ms: 10000\r\n", soon), 429);
  assert_holds(answer, "x-should-retry: true\r\n");
  assert_holds(answer, "retry-after-ms: ");
}

/* ---- failures ---- */

static void a_failure_that_passes_is_not_seen(void **state)
{
  (void)state;
  script("{\"faults\":[{\"kind\":\"overloaded_503\",\"next\":1}]}");
  assert_int_equal(chat(TOKEN, CHAT("\"stream\":true,")), 200);
  assert_holds(answer, "x-weir-attempts: 2\r\n");
  assert_holds(answer, "data: [DONE]");
  assert_int_equal(stat_of("leases"), 2);
  assert_int_equal(stat_of("retries"), 1);
}

static void a_failure_that_stays_is_passed_on_and_final(void **state)
{
  (void)state;
  script("{\"faults\":[{\"kind\":\"capacity_429\",\"probability\":1}]}");
  assert_int_equal(chat(TOKEN, CHAT("")), 429);
  assert_holds(answer, "x-should-retry: false\r\n");
  assert_holds(answer, "x-weir-attempts: 2\r\n");
  assert_holds(answer, "\"error\"");
  assert_int_equal(stat_of("rejected"), 1);
  script("{\"faults\":[{\"kind\":\"billing_402\",\"probability\":1}]}");
  (void)chat(TOKEN, CHAT(""));
  assert_holds(answer, "x-weir-attempts: 1\r\n"); /* nothing that passes */
}

static void of_a_route_another_model_answers_at_once(void **state)
{
  (void)state;
  script("{\"faults\":[{\"kind\":\"billing_402\",\"probability\":1,\"model\":\"gpt-4o\"}]}");
  assert_int_equal(chat(TOKEN "x-weir-route: both\r\n", CHAT("")), 200);
  assert_holds(answer, "x-weir-model: gemini/flash\r\n");
  assert_holds(answer, "x-weir-attempts: 2\r\n");
}

static void a_model_that_needs_a_key_that_is_not_there_is_passed_over(void **state)
{
  (void)state;
  /* The client's own key is for openai, not for the route's other model. */
  script("{\"faults\":[{\"kind\":\"overloaded_503\",\"next\":1}]}");
  assert_int_equal(chat("Authorization: Bearer mine\r\nx-weir-route: both\r\n", CHAT("")), 200);
  assert_holds(answer, "x-weir-model: openai/gpt-4o\r\n");
}

static void a_new_attempt_that_is_denied_does_not_hide_the_failure(void **state)
{
  (void)state;
  script("{\"faults\":[{\"kind\":\"overloaded_503\",\"next\":1}]}");
  assert_int_equal(chat(TOKEN, "{\"model\":\"rare\",\"messages\":[{\"role\":\"user\","
                               "\"content\":\"hi\"}]}"),
                   503);
  assert_holds(answer, "openai/rare: overloaded; then: ");
  assert_holds(answer, "x-should-retry: false\r\n");
}

static void what_an_sdk_repeats_counts_as_new_attempts(void **state)
{
  (void)state;
  script("{\"faults\":[{\"kind\":\"overloaded_503\",\"next\":1}]}");
  /* One attempt of the SDK is all that the proxy may add. */
  assert_int_equal(chat(TOKEN "x-stainless-retry-count: 1\r\n", CHAT("")), 503);
  assert_holds(answer, "x-weir-attempts: 1\r\n");
  assert_int_equal(stat_of("sdk_retries"), 1);
}

static void a_connection_that_breaks_is_not_used_twice_on_one_lease(void **state)
{
  (void)state;
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  script("{\"faults\":[{\"kind\":\"close_unanswered\",\"next\":1}]}");
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  assert_holds(answer, "x-weir-attempts: 2\r\n");
  assert_int_equal(stat_of("leases"), 3);
  assert_int_equal(stat_of("sent"), 3);
  assert_int_equal(counted("arrivals"), 3);
}

static void an_error_in_a_stream_reaches_the_client(void **state)
{
  (void)state;
  script("{\"faults\":[{\"kind\":\"stream_error\",\"next\":1}]}");
  assert_int_equal(chat(TOKEN, CHAT("\"stream\":true,")), 200);
  assert_holds(answer, "\"error\"");
}

static void a_stream_that_breaks_does_not_look_whole(void **state)
{
  (void)state;
  script("{\"faults\":[{\"kind\":\"drop\",\"next\":1}]}");
  assert_int_equal(chat(TOKEN, CHAT("\"stream\":true,")), 200);
  assert_lacks(answer, "\r\n0\r\n\r\n");
  assert_int_equal(stat_of("broken"), 1);
}

static void who_goes_away_cancels_upstream_and_settles(void **state)
{
  int fd = http_open(proxy_port);
  (void)state;

  script("{\"chunk_ms\":20,\"output_tokens\":\"2000\"}");
  http_ask(fd, "POST", "/v1/chat/completions", TOKEN,
           "{\"model\":\"single\",\"stream\":true,\"max_tokens\":2000,\"messages\":[{\"role\":"
           "\"user\",\"content\":\"hi\"}]}");
  http_await(fd, "data: ");
  close(fd);
  /* The pool lets one call at a time through: this one gets in when the other is settled. */
  script("{\"chunk_ms\":1,\"output_tokens\":\"5\"}");
  assert_int_equal(chat(TOKEN, "{\"model\":\"single\",\"max_tokens\":5,\"messages\":[{\"role\":"
                               "\"user\",\"content\":\"hi\"}]}"),
                   200);
  assert_int_equal(counted("cancelled"), 1);
  assert_int_equal(stat_of("cancelled"), 1);
}

static void who_goes_away_while_waiting_takes_no_lease(void **state)
{
  int fd, waiting;
  (void)state;

  script("{\"chunk_ms\":20,\"output_tokens\":\"2000\"}");
  fd = http_open(proxy_port);
  http_ask(fd, "POST", "/v1/chat/completions", TOKEN,
           "{\"model\":\"single\",\"stream\":true,\"max_tokens\":2000,\"messages\":[{\"role\":"
           "\"user\",\"content\":\"hi\"}]}");
  http_await(fd, "data: ");
  waiting = http_open(proxy_port);
  http_ask(waiting, "POST", "/v1/chat/completions", TOKEN,
           "{\"model\":\"single\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":"
           "\"hi\"}]}");
  while (stat_of("waiting") != 1)
    ;
  close(waiting);
  while (stat_of("waiting") != 0)
    ;
  close(fd);
  script("{\"chunk_ms\":1,\"output_tokens\":\"5\"}");
  assert_int_equal(chat(TOKEN, "{\"model\":\"single\",\"max_tokens\":5,\"messages\":[{\"role\":"
                               "\"user\",\"content\":\"hi\"}]}"),
                   200);
  assert_int_equal(counted("arrivals"), 2);
}

static void a_client_that_does_not_read_is_cut_and_upstream_cancelled(void **state)
{
  int fd, small = 4096;
  (void)state;

  run_kill(&proxy, SIGKILL);
  run_end(&proxy);
  setenv("WEIR_PROXY_STALL_MS", "200", 1);
  proxy_start();
  script("{\"chunk_ms\":0,\"chunk_tokens\":1,\"output_tokens\":\"100000\"}");
  fd = http_open(proxy_port);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
  http_ask(fd, "POST", "/v1/chat/completions", TOKEN,
           "{\"model\":\"gpt-4o\",\"stream\":true,\"max_tokens\":100000,\"messages\":[{\"role\":"
           "\"user\",\"content\":\"hi\"}]}");
  /* Its end would not reach the client, whose window is full of what it does not read. */
  while (counted("cancelled") != 1)
    ;
  assert_int_equal(stat_of("open"), 0);
  close(fd);
}

/* From the first request on, when nothing is known yet of how the provider connects. */
static void streams_do_not_wait_for_each_other(void **state)
{
  int fds[4];
  (void)state;

  script("{\"latency_ms\":\"100\",\"chunk_ms\":50,\"output_tokens\":\"2000\"}");
  for (int i = 0; i < 4; i++) {
    fds[i] = http_open(proxy_port);
    http_ask(fds[i], "POST", "/v1/chat/completions", TOKEN,
             "{\"model\":\"gpt-4o\",\"stream\":true,\"max_tokens\":2000,\"messages\":"
             "[{\"role\":\"user\",\"content\":\"hi\"}]}");
  }
  for (int i = 0; i < 4; i++) {
    answer_size = 0;
    answer[0] = '\0';
    http_await(fds[i], "data: ");
  }
  assert_int_equal(stat_of("open"), 4);
  for (int i = 0; i < 4; i++)
    close(fds[i]);
}

/* ---- HTTP ---- */

static void a_body_is_asked_for_where_the_client_expects_it(void **state)
{
  int fd = http_open(proxy_port);
  const char *body = CHAT("");
  char head[512];
  (void)state;

  snprintf(head, sizeof(head),
           "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
           "Connection: close\r\n" TOKEN "Content-Length: %zu\r\n\r\n",
           strlen(body));
  http_write(fd, head);
  http_await(fd, "HTTP/1.1 100 Continue\r\n\r\n");
  http_write(fd, body);
  http_await(fd, "HTTP/1.1 200 OK");
  http_end(fd);
}

static void connections_are_kept_for_further_requests(void **state)
{
  int fd = http_open(proxy_port);
  const char *body = CHAT("\"stream\":true,");
  char request[512];
  (void)state;

  snprintf(request, sizeof(request),
           "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" TOKEN
           "Content-Length: %zu\r\n\r\n%s",
           strlen(body), body);
  for (int i = 0; i < 3; i++) {
    answer_size = 0;
    answer[0] = '\0';
    http_write(fd, request);
    http_await(fd, "\r\n0\r\n\r\n");
    assert_holds(answer, "data: [DONE]");
  }
  close(fd);
}

static void ambiguous_requests_are_refused(void **state)
{
  static const char *const heads[] = {"Content-Length: 2\r\nContent-Length: 3\r\n",
                                      "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
                                      "Transfer-Encoding: xchunked\r\n",
                                      "Content-Length: +2\r\n",
                                      "Content-Length : 2\r\n",
                                      "X: a\r\n b\r\n",
                                      "X: a\rb\r\n",
                                      "X: a\nContent-Length: 2\r\n"};
  (void)state;

  for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
    int fd = http_open(proxy_port);
    char text[512];

    snprintf(text, sizeof(text), "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n%s\r\n{}",
             heads[i]);
    http_write(fd, text);
    assert_int_equal(http_end(fd), 400);
  }
  assert_int_equal(counted("arrivals"), 0);
}

static void a_unix_socket_serves_as_well(void **state)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char listen[160];
  int fd;
  (void)state;

  snprintf(address.sun_path, sizeof(address.sun_path), "%s/other.state", coordinator.folder);
  snprintf(listen, sizeof(listen), "unix:%s", address.sun_path);
  setenv("WEIR_LISTEN", listen, 1);
  run_start(&proxy, "WEIR_PROXY_BIN", NULL);
  run_wait_out(&proxy, "listening on unix:");
  fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
  answer_size = 0;
  http_ask(fd, "POST", "/v1/chat/completions", TOKEN, CHAT(""));
  assert_int_equal(http_end(fd), 200);
}

/* ---- without a coordinator ---- */

static void start_without_coordinator(const char *mode)
{
  daemon_signal(&coordinator, SIGKILL);
  daemon_wait(&coordinator);
  setenv("WEIR_PROXY_WITHOUT_COORDINATOR", mode, 1);
  proxy_start();
}

static void closed_without_coordinator_refuses_at_once(void **state)
{
  (void)state;
  start_without_coordinator("closed");
  run_wait_err(&proxy, "the coordinator does not answer: calls are refused");
  assert_int_equal(chat(TOKEN, CHAT("")), 503);
  assert_holds(answer, "x-should-retry: true\r\n");
  assert_int_equal(ask(proxy_port, "GET", "/readyz", "", ""), 503);
  assert_int_equal(ask(proxy_port, "GET", "/healthz", "", ""), 200);
  assert_int_equal(counted("arrivals"), 0);
}

static void calls_of_an_open_pool_pass_without_coordinator_and_say_so(void **state)
{
  static const char body[] =
      "{\"model\":\"loose\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";

  (void)state;
  assert_int_equal(chat(TOKEN, body), 200); /* its grant says so */
  assert_holds(answer, "output_tokens=");
  assert_null(strstr(answer, "without limit"));
  daemon_signal(&coordinator, SIGKILL);
  daemon_wait(&coordinator);
  assert_int_equal(chat(TOKEN, body), 200);
  assert_holds(answer, ", without limit\r\n");
  run_wait_err(&proxy, "calls of pool loose pass WITHOUT LIMIT");
  assert_int_equal(counted("arrivals"), 2);
  assert_int_equal(chat(TOKEN "x-weir-deadline-ms: 50\r\n", CHAT("")), 503); /* its pool is not */
}

static void a_key_rests_that_is_rejected_without_a_lease(void **state)
{
  static const char body[] =
      "{\"model\":\"gpt-4.1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";

  (void)state;
  setenv("OPENAI_API_KEY", "first\nsecond", 1);
  setenv("WEIR_PROXY_UNKNOWN_MODELS", "pass", 1);
  proxy_start();
  script("{\"faults\":[{\"kind\":\"leaked_key_403\",\"next\":1}]}");
  assert_int_equal(chat(TOKEN, body), 401); /* there is no new attempt without a lease */
  assert_holds(answer, "x-weir-lease: none");
  run_wait_err(&proxy, "provider openai: key 1 of 2 was rejected");
  for (int i = 0; i < 2; i++)
    assert_int_equal(chat(TOKEN, body), 200);
  assert_int_equal(counted("arrivals"), 3);
  assert_holds(answer, "\"project\":\"first\",\"model\":\"gpt-4.1\"");
  assert_int_equal(
      strtoul(strstr(strstr(answer, "\"project\":\"first\""), "\"arrivals\":") + 11, NULL, 10), 1);
}

static void waiting_without_coordinator_ends_when_it_is_back(void **state)
{
  int fd;
  (void)state;

  start_without_coordinator("wait");
  assert_int_equal(chat(TOKEN "x-weir-deadline-ms: 50\r\n", CHAT("")), 503);
  fd = http_open(proxy_port);
  http_ask(fd, "POST", "/v1/chat/completions", TOKEN,
           "{\"model\":\"flash\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
  close(fd);
  assert_int_equal(ask(proxy_port, "GET", "/readyz", "", ""), 503);
  fd = http_open(proxy_port);
  http_ask(fd, "GET", "/v1/models", TOKEN, "");
  assert_int_equal(http_end(fd), 200); /* needs no lease */
  daemon_start(&coordinator);
  while (ask(proxy_port, "GET", "/readyz", "", "") != 200)
    ;
}

/* ---- ends and beginnings ---- */

static void a_drain_lets_streams_end(void **state)
{
  int fd = http_open(proxy_port);
  (void)state;

  script("{\"chunk_ms\":20,\"output_tokens\":\"200\"}");
  http_ask(fd, "POST", "/v1/chat/completions", TOKEN,
           "{\"model\":\"gpt-4o\",\"stream\":true,\"max_tokens\":200,\"messages\":[{\"role\":"
           "\"user\",\"content\":\"hi\"}]}");
  http_await(fd, "data: ");
  run_kill(&proxy, SIGTERM);
  run_wait_err(&proxy, "draining, 1 calls are open");
  assert_int_equal(http_end(fd), 200);
  assert_holds(answer, "data: [DONE]");
  assert_int_equal(run_end(&proxy), 0);
  proxy.pid = 0;
}

static void a_kept_connection_is_served_once_more_in_a_drain(void **state)
{
  int fd = http_open(proxy_port);
  const char *body = CHAT("");
  char request[512];
  (void)state;

  snprintf(request, sizeof(request),
           "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" TOKEN
           "Content-Length: %zu\r\n\r\n%s",
           strlen(body), body);
  http_write(fd, request);
  http_await(fd, "\"usage\"");
  run_kill(&proxy, SIGTERM);
  run_wait_err(&proxy, "draining");
  answer_size = 0;
  http_write(fd, request);
  assert_int_equal(http_end(fd), 200);
  assert_holds(answer, "Connection: close\r\n");
  assert_int_equal(run_end(&proxy), 0);
  proxy.pid = 0;
}

static void a_killed_proxy_costs_what_it_sent_and_no_more(void **state)
{
  int fd = http_open(proxy_port);
  (void)state;

  /* The provider itself judges: two requests a second. */
  script("{\"window_ms\":1000,\"models\":{\"few\":{\"rpm\":2}},\"chunk_ms\":20,"
         "\"output_tokens\":\"2000\"}");
  http_ask(fd, "POST", "/v1/chat/completions", TOKEN,
           "{\"model\":\"few\",\"stream\":true,\"max_tokens\":2000,\"messages\":"
           "[{\"role\":\"user\",\"content\":\"hi\"}]}");
  http_await(fd, "data: ");
  run_kill(&proxy, SIGKILL);
  run_end(&proxy);
  close(fd);
  proxy_start();
  script("{\"chunk_ms\":1,\"output_tokens\":\"5\"}");
  for (int i = 0; i < 5; i++)
    assert_int_equal(chat(TOKEN, "{\"model\":\"few\",\"messages\":[{\"role\":\"user\","
                                 "\"content\":\"hi\"}]}"),
                     200);
  assert_int_equal(counted("rejected"), 0);
  assert_int_equal(counted("arrivals"), 6);
}

static void a_second_process_takes_over_the_port(void **state)
{
  char listen[64];
  int fd;
  (void)state;

  setenv("WEIR_PROXY_SHARED_PORT", "1", 1);
  proxy_start();
  script("{\"chunk_ms\":20,\"output_tokens\":\"200\"}");
  fd = http_open(proxy_port);
  http_ask(fd, "POST", "/v1/chat/completions", TOKEN,
           "{\"model\":\"gpt-4o\",\"stream\":true,\"max_tokens\":200,\"messages\":[{\"role\":"
           "\"user\",\"content\":\"hi\"}]}");
  http_await(fd, "data: ");
  snprintf(listen, sizeof(listen), "127.0.0.1:%u", proxy_port);
  setenv("WEIR_LISTEN", listen, 1);
  run_start(&second, "WEIR_PROXY_BIN", NULL);
  assert_int_equal(port_of(&second), proxy_port);
  second_answer_size = answer_size;
  memcpy(second_answer, answer, answer_size + 1);
  for (int i = 0; i < 100; i++) {
    if (i == 20)
      run_kill(&proxy, SIGTERM); /* whoever connects meanwhile is served, by one or the other */
    assert_int_equal(ask(proxy_port, "GET", "/healthz", "", ""), 200);
  }
  run_wait_err(&proxy, "draining");
  answer_size = second_answer_size;
  memcpy(answer, second_answer, answer_size + 1);
  http_await(fd, "data: [DONE]");
  assert_int_equal(http_end(fd), 200);
  script("{\"chunk_ms\":1,\"output_tokens\":\"5\"}");
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  assert_int_equal(run_end(&proxy), 0);
  proxy.pid = 0;
}

/* The socket outlives the process that serves it: who connects in between is served by the next. */
static void a_socket_can_be_handed_over(void **state)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(address);
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  char command[128];
  int fd;
  (void)state;

  assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
  assert_int_equal(listen(listener, 16), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
  fd = http_open(ntohs(address.sin_port)); /* nobody serves it yet */
  http_ask(fd, "POST", "/v1/chat/completions", TOKEN, CHAT(""));
  snprintf(command, sizeof(command),
           "exec 3<&%d; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$WEIR_PROXY_BIN\"", listener);
  setenv("WEIR_TEST_SHELL", "/bin/bash", 1);
  for (int i = 0; i < 2; i++) {
    run_start(&proxy, "WEIR_TEST_SHELL", "-c", command, NULL);
    run_wait_out(&proxy, "listening on the socket that was handed over");
    assert_int_equal(http_end(fd), 200);
    run_kill(&proxy, SIGTERM);
    assert_int_equal(run_end(&proxy), 0);
    fd = http_open(ntohs(address.sin_port));
    http_ask(fd, "POST", "/v1/chat/completions", TOKEN, CHAT(""));
  }
  proxy.pid = 0;
  close(fd);
  close(listener);
}

static void a_file_has_settings_that_the_environment_overrides(void **state)
{
  static const struct {
    const char *yaml, *error;
  } rows[] = {
      {"retires: 3\n", "proxy.yaml:1:1: unknown key 'retires'; did you mean 'retries'?"},
      {"token: t\nretries: many\n", "proxy.yaml:2:10: retries: 'many' is not a valid"},
      {"without_coordinator: closd\n", "did you mean 'closed'?"},
      {"stall_ms: 1\n", "out of range; allowed is 100..86400000"},
      {"shared_port: 1\n", "write true or false"},
      {"listen: [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n", "one of each at most"},
      {"providers: {x: {kind: compatible}}\n", "provider 'x' needs a URL"},
      {"providers: {x: {url: \"http://a\", keys: secret}}\n", "place 1 of its keys is none"},
      {"providers: {x: {url: \"http://a\", keys: \"env:sk-secret\"}}\n", "place 1 of its"},
      {"providers: {x: {url: \"http://a\", keys: \"env:NO_SUCH\"}}\n",
       "provider x: keys: env:NO_SUCH: there is no key in it; write one key a line"},
      {"providers: {x: {url: \"http://a\", keys: []}}\n", "keys: the list is empty"},
      {"listen: []\n", "proxy.yaml:1:9: listen: the list is empty"},
      {"providers: {x: {kind: any, url: \"http://a\"}}\n",
       "write one of gemini|vertex|openai|anthropic|compatible"},
      {"providers: {x: {ulr: \"http://a\"}}\n", "did you mean 'url'?"},
      {"a: [\n", "not valid YAML"}};
  char path[192];
  (void)state;

  setenv("GROQ_API_KEY", "real-groq", 1);
  snprintf(path, sizeof(path), "%s/proxy.yaml", coordinator.folder);
  write_file(path,
             "token: of-the-file\nunknown_models: pass\nretries: 0\nlisten: \"127.0.0.1:1\"\n"
             "providers:\n"
             "  groq: {url: \"https://api.groq.com/openai/\", keys: [\"env:OPENAI_API_KEY\"]}\n"
             "  openai: {url: \"https://eu.api.openai.com\"}\n"
             "  extra: {kind: anthropic, url: \"http://127.0.0.1:9\"}\n");
  run_start(&proxy, "WEIR_PROXY_BIN", "--check", "--config", path, NULL);
  assert_int_equal(run_end(&proxy), 0);
  assert_holds(proxy.out, "listen: http://127.0.0.1:0\n"); /* the environment's */
  assert_holds(proxy.out, "models without pool: pass\n");
  assert_holds(proxy.out, "provider /groq: compatible at https://api.groq.com/openai, key of env:");
  assert_holds(proxy.out, "provider /openai: openai at http://127.0.0.1:"); /* the same */
  assert_holds(proxy.out, "provider /extra: anthropic at http://127.0.0.1:9, no key in EXTRA_API");
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    write_file(path, rows[i].yaml);
    run_start(&proxy, "WEIR_PROXY_BIN", "-k", "-c", path, NULL);
    assert_int_equal(run_end(&proxy), 1);
    assert_holds(proxy.err, rows[i].error);
    assert_lacks(proxy.err, "secret");
  }
  run_start(&proxy, "WEIR_PROXY_BIN", "-k", "-c", getenv("WEIR_PROXY_EXAMPLE"), NULL);
  assert_int_equal(run_end(&proxy), 0);
  run_start(&proxy, "WEIR_PROXY_BIN", "-c", "/nowhere.yaml", NULL);
  assert_int_equal(run_end(&proxy), 1);
  assert_holds(proxy.err, "/nowhere.yaml: cannot be opened");
  proxy.pid = 0;
}

static void settings_are_checked_before_anything_is_opened(void **state)
{
  static const struct {
    const char *name, *value, *error;
  } rows[] = {{"WEIR_LISTEN", "0.0.0.0:0", "WEIR_PROXY_INSECURE_LISTEN=1"},
              {"WEIR_LISTEN", "nonsense", "WEIR_LISTEN: \"nonsense\" is not understood"},
              {"WEIR_PROXY_RETRIES", "many", "WEIR_PROXY_RETRIES"},
              {"WEIR_PROXY_WITHOUT_COORDINATOR", "hope", "WEIR_PROXY_WITHOUT_COORDINATOR"},
              {"WEIR_PROVIDERS", "groq", "\"groq\" is not of the form"},
              {"WEIR_PROVIDERS", "x:y=http://a", "unknown kind"},
              {"WEIR_PROVIDERS", "x=ftp://a", "needs a URL"},
              {"WEIR_PROXY_TOKEN", "a\nb", "WEIR_PROXY_TOKEN (token): it holds a line's end"},
              {"OPENAI_API_KEY", "a b", "OPENAI_API_KEY"}};
  (void)state;

  run_start(&proxy, "WEIR_PROXY_BIN", "--check", NULL);
  assert_int_equal(run_end(&proxy), 0);
  assert_holds(proxy.out, "provider /other: openai at http://127.0.0.1:");
  assert_lacks(proxy.out, "real-openai");
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    char before[256];
    const char *now = getenv(rows[i].name);

    snprintf(before, sizeof(before), "%s", now ? now : "");
    setenv(rows[i].name, rows[i].value, 1);
    run_start(&proxy, "WEIR_PROXY_BIN", "--check", NULL);
    assert_int_equal(run_end(&proxy), 1);
    assert_holds(proxy.err, rows[i].error);
    if (now)
      setenv(rows[i].name, before, 1);
    else
      unsetenv(rows[i].name);
  }
  {
    char key[8194];

    memset(key, 'k', sizeof(key));
    key[8193] = '\0';
    setenv("OPENAI_API_KEY", key, 1);
    run_start(&proxy, "WEIR_PROXY_BIN", "--check", NULL);
    assert_int_equal(run_end(&proxy), 1);
    assert_holds(proxy.err, "env:OPENAI_API_KEY: the key on line 1 is longer than 8,192 bytes");
    key[8192] = '\0';
    setenv("OPENAI_API_KEY", key, 1);
    run_start(&proxy, "WEIR_PROXY_BIN", "--check", NULL);
    assert_int_equal(run_end(&proxy), 0);
  }
  proxy.pid = 0;
}

static void an_address_that_others_reach_needs_the_token(void **state)
{
  int fd;
  (void)state;

  setenv("WEIR_LISTEN", "0.0.0.0:0", 1);
  setenv("WEIR_PROXY_INSECURE_LISTEN", "1", 1);
  unsetenv("WEIR_PROXY_TOKEN");
  run_start(&proxy, "WEIR_PROXY_BIN", NULL);
  assert_int_equal(run_end(&proxy), 1);
  assert_holds(proxy.err, "WEIR_PROXY_TOKEN");
  setenv("WEIR_PROXY_TOKEN", "token", 1);
  run_start(&proxy, "WEIR_PROXY_BIN", NULL);
  {
    unsigned port = 0;

    assert_int_equal(sscanf(run_wait_out(&proxy, "listening on http://0.0.0.0:"),
                            "listening on http://0.0.0.0:%u", &port),
                     1);
    proxy_port = (uint16_t)port;
  }
  assert_int_equal(chat("Authorization: Bearer mine\r\n", CHAT("")), 401);
  assert_holds(answer, "\"error\":{");
  /* The answer does not wait for the body, which would have to be kept. */
  fd = http_open(proxy_port);
  http_write(fd, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
  assert_int_equal(http_end(fd), 401);
  assert_holds(answer, "x-should-retry: false\r\n");
  fd = http_open(proxy_port);
  http_write(fd, "POST /stats HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
  assert_int_equal(http_end(fd), 404);
  assert_int_equal(stat_of("refused"), 3);
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  assert_int_equal(chat("x-weir-token: token\r\nAuthorization: Bearer mine\r\n", CHAT("")), 200);
  assert_int_equal(counted("arrivals"), 2);
}

#define WITH_PROXY(name) cmocka_unit_test_setup_teardown(name, set_up_proxy, tear_down)
#define WITHOUT(name)    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      WITH_PROXY(a_call_passes_and_tells_what_its_lease_was),
      WITH_PROXY(the_keys_of_three_providers_are_put_in),
      WITH_PROXY(an_own_key_is_passed_on),
      WITH_PROXY(a_stream_loses_only_the_usage_that_nobody_asked_for),
      WITH_PROXY(a_stream_keeps_the_usage_that_the_client_asked_for),
      WITH_PROXY(a_route_is_called_by_its_name),
      WITH_PROXY(a_route_to_another_provider_needs_our_key),
      WITH_PROXY(what_names_no_model_passes_without_lease),
      WITH_PROXY(a_model_without_pool_is_refused_for_good),
      WITH_PROXY(an_answer_tells_what_is_left_of_the_projects_quota),
      WITHOUT(an_answer_tells_what_it_cost),
      WITHOUT(a_key_that_is_rejected_makes_way_for_the_next),
      WITHOUT(of_several_places_each_is_read_again_by_itself),
      WITHOUT(each_call_has_a_line_in_the_call_log),
      WITHOUT(what_the_proxy_refuses_itself_is_not_logged_as_fine),
      WITH_PROXY(large_requests_wait_in_files),
      WITHOUT(where_no_file_can_be_made_large_requests_stay_in_memory),
      WITHOUT(what_all_files_may_hold_is_bounded),
      WITHOUT(a_full_disk_is_a_failure_that_passes),
      WITH_PROXY(at_the_limit_a_call_waits_and_succeeds),
      WITH_PROXY(beyond_its_deadline_a_call_is_refused_in_its_providers_shape),
      WITH_PROXY(a_short_wait_is_told_to_the_sdk),
      WITH_PROXY(a_failure_that_passes_is_not_seen),
      WITH_PROXY(a_failure_that_stays_is_passed_on_and_final),
      WITH_PROXY(of_a_route_another_model_answers_at_once),
      WITH_PROXY(a_model_that_needs_a_key_that_is_not_there_is_passed_over),
      WITH_PROXY(a_new_attempt_that_is_denied_does_not_hide_the_failure),
      WITH_PROXY(what_an_sdk_repeats_counts_as_new_attempts),
      WITH_PROXY(a_connection_that_breaks_is_not_used_twice_on_one_lease),
      WITH_PROXY(an_error_in_a_stream_reaches_the_client),
      WITH_PROXY(a_stream_that_breaks_does_not_look_whole),
      WITH_PROXY(who_goes_away_cancels_upstream_and_settles),
      WITH_PROXY(who_goes_away_while_waiting_takes_no_lease),
      WITH_PROXY(a_client_that_does_not_read_is_cut_and_upstream_cancelled),
      WITH_PROXY(streams_do_not_wait_for_each_other),
      WITH_PROXY(a_body_is_asked_for_where_the_client_expects_it),
      WITH_PROXY(connections_are_kept_for_further_requests),
      WITH_PROXY(ambiguous_requests_are_refused),
      WITHOUT(a_unix_socket_serves_as_well),
      WITHOUT(closed_without_coordinator_refuses_at_once),
      WITHOUT(a_key_rests_that_is_rejected_without_a_lease),
      WITH_PROXY(calls_of_an_open_pool_pass_without_coordinator_and_say_so),
      WITHOUT(waiting_without_coordinator_ends_when_it_is_back),
      WITH_PROXY(a_drain_lets_streams_end),
      WITH_PROXY(a_kept_connection_is_served_once_more_in_a_drain),
      WITH_PROXY(a_killed_proxy_costs_what_it_sent_and_no_more),
      WITHOUT(a_second_process_takes_over_the_port),
      WITHOUT(a_socket_can_be_handed_over),
      WITHOUT(a_file_has_settings_that_the_environment_overrides),
      WITHOUT(settings_are_checked_before_anything_is_opened),
      WITHOUT(an_address_that_others_reach_needs_the_token),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
