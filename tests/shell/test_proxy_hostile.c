/* weir-proxy before clients that mean ill, are slow, or come and go in thousands: bounded in time,
 * memory and descriptors, while others are served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proxy_fixture.h"
#include "sanitizer.h"

#define GROWTH_MAX_KIB 8192 /* malloc's own slack included */

static unsigned descriptors(void)
{
  char path[64];
  unsigned count = 0;
  DIR *folder;

  snprintf(path, sizeof(path), "/proc/%d/fd", (int)proxy.pid);
  folder = opendir(path);
  assert_non_null(folder);
  while (readdir(folder))
    count++;
  closedir(folder);
  return count;
}

static void check_growth(unsigned long before)
{
  const unsigned long now = memory_kib();

  if (!UNDER_ASAN && !UNDER_TSAN && now > before + GROWTH_MAX_KIB)
    fail_msg("%lu KiB of memory, after %lu", now, before);
}

/* ---- framing ---- */

static void no_request_can_be_read_in_two_ways(void **state)
{
#define POST "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
#define ROW(text)                                                                                  \
  {                                                                                                \
    text, sizeof(text) - 1                                                                         \
  }
  static const struct {
    const char *bytes;
    size_t size;
  } rows[] = {ROW(POST "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
              ROW(POST "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
              ROW(POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
              ROW(POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
              ROW(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
              ROW(POST "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n"),
              ROW(POST "Content-Length: +2\r\n\r\n{}"),
              ROW(POST "Content-Length: 0x2\r\n\r\n{}"),
              ROW(POST "Content-Length : 2\r\n\r\n{}"),
              ROW(POST "Content-Length:\r\n 2\r\n\r\n{}"),
              ROW(POST "X: a\r\n b\r\n\r\n{}"),
              ROW(POST "X: a\rb\r\n\r\n{}"),
              ROW(POST "X: a\0b\r\n\r\n{}"),
              ROW(POST "X: a\nContent-Length: 2\r\n\r\n{}"),
              ROW(POST "X: a\r\n\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
              ROW(POST ": a\r\n\r\n{}"),
              ROW(POST "Host: y\r\n\r\n{}"),
              ROW("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"),
              ROW("POST /v1/chat/completions HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                  "\r\n0\r\n\r\n")};
#undef ROW
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    int fd = http_open(proxy_port), status;

    assert_int_equal(send(fd, rows[i].bytes, rows[i].size, MSG_NOSIGNAL), (ssize_t)rows[i].size);
    status = http_end(fd); /* it ends: nothing behind it is read as another request */
    if (status != 400)
      fail_msg("%d for:\n%s", status, rows[i].bytes);
    assert_lacks(strstr(answer, "Content-Length:") + 1, "Content-Length:"); /* one answer */
  }
  assert_int_equal(counted("arrivals"), 0);
}

/* ---- slow and endless ---- */

#define SLOW 100

static void who_sends_a_head_byte_by_byte_is_cut_off(void **state)
{
  static const char byte[] = "X";
  struct pollfd slow[SLOW];
  unsigned long before;
  unsigned open = SLOW, before_descriptors;
  (void)state;

  setenv("WEIR_PROXY_HEAD_MS", "300", 1);
  proxy_start();
  unsetenv("WEIR_PROXY_HEAD_MS");
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  before = memory_kib();
  before_descriptors = descriptors();
  for (int i = 0; i < SLOW; i++) {
    slow[i] = (struct pollfd){.fd = http_open(proxy_port), .events = POLLIN};
    http_write(slow[i].fd, "POST / HTTP/1.1\r\nX: ");
  }
  /* Each byte comes long before the limit, the whole never. */
  while (open > 0) {
    (void)poll(slow, SLOW, 20);
    for (int i = 0; i < SLOW; i++) {
      if (slow[i].fd >= 0 && slow[i].revents != 0) {
        answer_size = 0;
        assert_int_equal(http_end(slow[i].fd), 408);
        slow[i].fd = -1;
        open--;
      } else if (slow[i].fd >= 0) {
        (void)send(slow[i].fd, byte, 1, MSG_NOSIGNAL);
      }
    }
  }
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  check_growth(before);
  while (descriptors() > before_descriptors + 1)
    ;
}

static void headers_without_end_are_cut_off(void **state)
{
  static const char line[] = "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
  unsigned long before;
  (void)state;

  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  before = memory_kib();
  for (int i = 0; i < 20; i++) {
    int fd = http_open(proxy_port), status = 0;
    size_t sent = 0;

    http_write(fd, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n");
    while (send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) > 0 && sent < ((size_t)64 << 20)) {
      struct pollfd in = {.fd = fd, .events = POLLIN};

      sent += sizeof(line) - 1;
      if (poll(&in, 1, 0) > 0)
        break;
    }
    assert_true(sent < (size_t)16 << 20); /* what sockets hold at most */
    (void)sscanf(http_read(fd) ? answer : "", "HTTP/1.1 %d", &status);
    close(fd);
    assert_int_equal(status, 431);
  }
  check_growth(before);
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
}

/* ---- many ---- */

static double seconds(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* One connection: a whole request, half of one, or none. */
static void churn_once(unsigned number)
{
  int fd = http_open(proxy_port);

  assert_true(fd >= 0);
  if (number % 4 == 0) {
    http_ask(fd, "GET", "/healthz", "", "");
    assert_int_equal(http_end(fd), 200);
    return;
  }
  if (number % 4 == 1)
    http_write(fd, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{");
  else if (number % 4 == 2)
    http_ask(fd, "POST", "/v1/chat/completions", TOKEN, CHAT("\"stream\":true,"));
  close(fd);
}

/* 2,000 connections, or as many as there come in WEIR_CHURN_S seconds, 1,000 a second. */
static void connections_that_come_and_go_leave_nothing_behind(void **state)
{
  const char *text = getenv("WEIR_CHURN_S");
  const unsigned total = text ? 1000 * (unsigned)strtoul(text, NULL, 10) : 2000;
  const double begin = seconds();
  unsigned long before;
  unsigned before_descriptors;
  struct pollfd beside = {.fd = http_open(proxy_port), .events = POLLIN};
  (void)state;

  /* A connection beside them says nothing and stays. What is made once, such as the connections to
   * the provider, is there before. */
  for (unsigned i = 0; i < 400; i++)
    churn_once(i);
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  before = memory_kib();
  before_descriptors = descriptors();
  for (unsigned i = 0; i < total; i++) {
    const double early = (double)i / 1000 - (seconds() - begin);

    if (text && early > 0.001) /* not faster than 1,000 a second */
      (void)poll(&beside, 1, (int)(early * 1000));
    churn_once(i);
  }
  if (text)
    print_message("%u connections in %.1f s, %lu KiB after %lu\n", total, seconds() - begin,
                  memory_kib(), before);
  while (descriptors() > before_descriptors + 16) /* idle ones to the provider */
    ;
  check_growth(before);
  assert_int_equal(chat(TOKEN, CHAT("")), 200);
  close(beside.fd);
}

/* ---- replacement under load ---- */

#define CLIENTS  4
#define REQUESTS 100

/* A client of its own process, whose every request has to be answered. */
static pid_t client_start(void)
{
  const pid_t pid = fork();

  assert_true(pid >= 0);
  if (pid != 0)
    return pid;
  for (int i = 0; i < REQUESTS; i++)
    if (chat(TOKEN, CHAT("")) != 200)
      _exit(1);
  _exit(0);
}

static void a_new_process_takes_over_without_a_lost_request(void **state)
{
  pid_t clients[CLIENTS];
  char listen[64];
  (void)state;

  setenv("WEIR_PROXY_SHARED_PORT", "1", 1);
  proxy_start();
  for (int i = 0; i < CLIENTS; i++)
    clients[i] = client_start();
  while (stat_of("requests") < CLIENTS * REQUESTS / 10)
    ;
  snprintf(listen, sizeof(listen), "127.0.0.1:%u", proxy_port);
  setenv("WEIR_LISTEN", listen, 1);
  run_start(&second, "WEIR_PROXY_BIN", NULL);
  assert_int_equal(port_of(&second), proxy_port);
  run_kill(&proxy, SIGTERM);
  assert_int_equal(run_end(&proxy), 0);
  proxy.pid = 0;
  for (int i = 0; i < CLIENTS; i++) {
    int status = -1;

    assert_int_equal(waitpid(clients[i], &status, 0), clients[i]);
    assert_int_equal(status, 0);
  }
  assert_int_equal(counted("arrivals"), CLIENTS * REQUESTS);
}

/* ---- one event at a time ---- */

/* A provider that sends an event only after the client has had the one before: whatever the proxy
 * held back would never come. */
static void an_event_passes_before_the_next_one_is_sent(void **state)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(address);
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  char text[256], request[4096];
  int fd, provider;
  (void)state;

  assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
  assert_int_equal(listen(listener, 1), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
  snprintf(text, sizeof(text), "openai=http://127.0.0.1:%u", ntohs(address.sin_port));
  setenv("WEIR_PROVIDERS", text, 1);
  proxy_start();
  fd = http_open(proxy_port);
  http_ask(fd, "POST", "/v1/chat/completions", TOKEN, CHAT("\"stream\":true,"));
  provider = accept(listener, NULL, NULL);
  assert_true(provider >= 0);
  assert_true(read(provider, request, sizeof(request)) > 0);
  http_write(provider, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
  http_await(fd, "\r\n\r\n"); /* the head, before any event */
  for (int i = 0; i < 100; i++) {
    snprintf(text, sizeof(text), "data: {\"choices\":[{\"delta\":{\"content\":\"%d.\"}}]}\n\n", i);
    http_write(provider, text);
    http_await(fd, text);
  }
  http_write(provider, "data: [DONE]\n\n");
  close(provider);
  assert_int_equal(http_end(fd), 200);
  close(listener);
}

#define WITH_PROXY(name) cmocka_unit_test_setup_teardown(name, set_up_proxy, tear_down)
#define WITHOUT(name)    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      WITH_PROXY(no_request_can_be_read_in_two_ways),
      WITHOUT(who_sends_a_head_byte_by_byte_is_cut_off),
      WITH_PROXY(headers_without_end_are_cut_off),
      WITH_PROXY(connections_that_come_and_go_leave_nothing_behind),
      WITHOUT(a_new_process_takes_over_without_a_lost_request),
      WITHOUT(an_event_passes_before_the_next_one_is_sent),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
