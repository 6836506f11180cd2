/* The admin port of a live coordinator, as scrapers and people reach it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "daemon.h"
#include "run.h"

#define TEXT_MAX     (1 << 18)
#define LISTENERS    16 /* WEIR_ADMIN_LISTENERS_MAX */
#define TOKEN        "0123456789abcdef-token"
#define ASK_LOOPBACK "Host: 127.0.0.1\r\n"

static struct daemon coordinator; /* large, as are the others */
static char text[TEXT_MAX];
static uint16_t port;

#define assert_holds(part)                                                                         \
  do {                                                                                             \
    if (!strstr(text, part))                                                                       \
      fail_msg("no '%s' in:\n%s", part, text);                                                     \
  } while (0)

/* A coordinator with an admin port that the system chooses. */
static void start(const char *more)
{
  char *at;

  daemon_init(&coordinator);
  daemon_configure(&coordinator,
                   "%s"
                   "providers: {gemini: {kind: gemini}}\n"
                   "pools:\n"
                   "  - name: p\n    provider: gemini\n    models: [m]\n"
                   "    limits: {rpm: 10, tpm: 1M}\n",
                   more);
  daemon_start(&coordinator);
  at = strstr(coordinator.log, "event=admin");
  assert_non_null(at);
  at = strstr(at, "port=");
  assert_non_null(at);
  port = (uint16_t)strtoul(at + 5, NULL, 10);
}

static int http_open(const char *method, const char *path, const char *headers)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  const struct timeval patience = {.tv_sec = 20};
  int fd = socket(AF_INET, SOCK_STREAM, 0);

  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
  assert_true(dprintf(fd, "%s %s HTTP/1.1\r\n%sConnection: close\r\n\r\n", method, path, headers) >
              0);
  return fd;
}

/* Reads until |until| stands in the answer, or, when it is NULL, to its end. */
static int http_read(int fd, const char *until)
{
  size_t size = 0;
  ssize_t got;

  text[0] = '\0';
  while ((!until || !strstr(text, until)) && size < TEXT_MAX - 1 &&
         (got = recv(fd, text + size, TEXT_MAX - 1 - size, 0)) > 0) {
    size += (size_t)got;
    text[size] = '\0';
  }
  return size > 12 ? (int)strtol(text + 9, NULL, 10) : 0;
}

static int get(const char *path, const char *headers)
{
  int fd = http_open("GET", path, headers), status = http_read(fd, NULL);

  close(fd);
  return status;
}

/* Metrics to a file, as promtool wants them. */
static void promtool_check(const char *body)
{
  char command[256];
  FILE *pipe;

  snprintf(command, sizeof(command), "promtool check metrics >%s/promtool 2>&1",
           coordinator.folder);
  if (system("command -v promtool >/dev/null") != 0)
    return;
  pipe = popen(command, "w");
  assert_non_null(pipe);
  fputs(body, pipe);
  assert_int_equal(pclose(pipe), 0);
  snprintf(command, sizeof(command), "test ! -s %s/promtool && rm %s/promtool", coordinator.folder,
           coordinator.folder);
  assert_int_equal(system(command), 0); /* it says what it would write otherwise */
}

static void serves_metrics_that_promtool_accepts(void **state)
{
  struct client client;
  struct weir_msg msg;

  (void)state;
  start("admin: http://127.0.0.1:0\n");
  client_init(&client, &coordinator, 1);
  client_hello(&client);
  client_ask(&client, 1, 1000000);
  client_receive(&client, &msg);
  assert_int_equal(msg.type, WEIR_MSG_GRANT);
  assert_int_equal(get("/metrics", ASK_LOOPBACK), 200);
  assert_holds("text/plain; version=0.0.4");
  assert_holds("\nweir_sessions 1\n");
  assert_holds("\nweir_limit_used{pool=\"p\",dimension=\"requests\",window_seconds=\"60\","
               "mode=\"enforced\"} 1\n");
  assert_holds("\nweir_leases{pool=\"p\"} 1\n");
  assert_holds("\nweir_wire_received_frames_total 2\n");
  promtool_check(strstr(text, "\r\n\r\n") + 4);
  client_fini(&client);
  daemon_fini(&coordinator);
}

static void serves_statistics_and_lists_sessions_on_demand(void **state)
{
  struct client client;
  size_t count;

  (void)state;
  start("admin: http://127.0.0.1:0\n");
  client_init(&client, &coordinator, 1);
  client_hello(&client);
  assert_int_equal(get("/stats.json", ASK_LOOPBACK), 200);
  assert_holds("\"sessions\":1,");
  assert_holds("\"slow\":[],\"instances\":[],");
  assert_holds("\"process\":{\"version\":");
  assert_true(run_is_json(strstr(text, "\r\n\r\n") + 4, &count));
  assert_int_equal(get("/stats.json?sessions", ASK_LOOPBACK), 200);
  assert_holds("\"instances\":[{\"instance\":\"");
  assert_holds("\"tenant\":\"\",");
  client_fini(&client);
  daemon_fini(&coordinator);
}

static void tells_health_and_what_there_is(void **state)
{
  (void)state;
  start("admin: http://127.0.0.1:0\n");
  assert_int_equal(get("/healthz", ""), 400); /* no Host at all */
  assert_int_equal(get("/healthz", "Host: anything\r\n"), 200);
  assert_int_equal(get("/readyz", ASK_LOOPBACK), 200);
  assert_int_equal(get("/other", ASK_LOOPBACK), 404);
  assert_holds("/metrics");
  close(http_open("GET", "/metrics", ASK_LOOPBACK)); /* who leaves takes nothing along */
  assert_int_equal(get("/metricsx", ASK_LOOPBACK), 404);
  assert_int_equal(get("/metrics?x", ASK_LOOPBACK), 200);
  daemon_fini(&coordinator);
}

static void refuses_pages_that_come_by_another_name(void **state)
{
  (void)state;
  start("admin: http://127.0.0.1:0\n");
  assert_int_equal(get("/metrics", "Host: evil.example\r\n"), 403);
  assert_int_equal(get("/metrics", "Host: 127.evil.example\r\n"), 403);
  assert_int_equal(get("/metrics", "Host: localhost.example\r\n"), 403);
  assert_int_equal(get("/metrics", "Host: localhost:7448\r\n"), 200);
  daemon_fini(&coordinator);
}

static void asks_for_the_token_where_one_is_configured(void **state)
{
  char path[] = "/tmp/weir-token-XXXXXX", more[256];
  int fd = mkstemp(path);

  (void)state;
  assert_true(fd >= 0 && dprintf(fd, "%s\n", TOKEN) > 0);
  close(fd);
  snprintf(more, sizeof(more), "admin: http://0.0.0.0:0\nadmin_token: %s\n", path);
  start(more);
  unlink(path);
  assert_int_equal(get("/metrics", "Host: x\r\n"), 401);
  assert_int_equal(get("/metrics", "Host: x\r\nAuthorization: Bearer " TOKEN "x\r\n"), 401);
  assert_int_equal(get("/metrics", "Host: x\r\nAuthorization: Bearer " TOKEN "\r\n"), 200);
  assert_int_equal(get("/healthz", "Host: x\r\n"), 200);
  daemon_fini(&coordinator);
}

static void sends_events_to_so_many_listeners_and_ends_them_in_order(void **state)
{
  int fds[LISTENERS];

  (void)state;
  start("admin: http://127.0.0.1:0\n");
  for (int i = 0; i < LISTENERS; i++) {
    fds[i] = http_open("GET", "/events", ASK_LOOPBACK);
    assert_int_equal(http_read(fds[i], "data: {\"coordinator\":null,"), 200);
    assert_holds("text/event-stream");
  }
  assert_int_equal(get("/events", ASK_LOOPBACK), 503);
  close(fds[0]);
  daemon_signal(&coordinator, 15);
  assert_int_equal(daemon_wait(&coordinator), 0);
  for (int i = 1; i < LISTENERS; i++) {
    http_read(fds[i], NULL); /* to its end: the connection is closed */
    close(fds[i]);
  }
  daemon_fini(&coordinator);
}

static void does_not_start_without_a_token_that_it_was_told_of(void **state)
{
  (void)state;
  daemon_init(&coordinator);
  daemon_configure(&coordinator, "admin: http://127.0.0.1:0\nadmin_token: /nonexistent\n"
                                 "providers: {gemini: {kind: gemini}}\n"
                                 "pools:\n"
                                 "  - name: p\n    provider: gemini\n    models: [m]\n"
                                 "    limits: {rpm: 10}\n");
  daemon_spawn(&coordinator, NULL);
  assert_int_equal(daemon_wait(&coordinator), 1);
  assert_non_null(strstr(coordinator.log, "admin_token: /nonexistent"));
  assert_null(strstr(coordinator.log, "event=stop")); /* which would have to say why once more */
  daemon_fini(&coordinator);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(serves_metrics_that_promtool_accepts),
      cmocka_unit_test(serves_statistics_and_lists_sessions_on_demand),
      cmocka_unit_test(tells_health_and_what_there_is),
      cmocka_unit_test(refuses_pages_that_come_by_another_name),
      cmocka_unit_test(asks_for_the_token_where_one_is_configured),
      cmocka_unit_test(sends_events_to_so_many_listeners_and_ends_them_in_order),
      cmocka_unit_test(does_not_start_without_a_token_that_it_was_told_of),
  };
  return cmocka_run_group_tests_name("admin", tests, NULL, NULL);
}
