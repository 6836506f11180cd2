/* Uploads that pass through weir-proxy as they come: between a raw client and a raw provider,
 * both driven from here, so that each waits for the other and neither for a clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_fixture.h"
#include "sanitizer.h"

#define MIB          ((size_t)1 << 20)
#define UPLOAD       (64 * MIB)
#define FLYING_MAX   (32 * MIB) /* what the system holds in the sockets of three processes */
#define MEMORY_KIB   4096
#define STUCK_MS     100 /* without room for a byte: nobody takes any more */
#define HEAD         "POST /v1/files HTTP/1.1\r\nHost: x\r\n" TOKEN "Content-Type: multipart/form-data\r\n"
#define RECEIVED_MAX 65536

static char received[RECEIVED_MAX]; /* what the provider has read */
static size_t received_size;

/* ---- the provider ---- */

static int set_up_receiver(void **state)
{
  received_size = 0;
  received[0] = '\0';
  return set_up_provider(state);
}

/* Reads once; false at the end. */
static bool provider_read(void)
{
  ssize_t size;

  await_readable(provider_fd, received);
  size = read(provider_fd, received + received_size, sizeof(received) - 1 - received_size);
  received_size += size > 0 ? (size_t)size : 0;
  received[received_size] = '\0';
  return size > 0;
}

static void provider_await(const char *text)
{
  while (!strstr(received, text))
    if (!provider_read())
      fail_msg("ended without '%s':\n%s", text, received);
}

/* Takes the next connection, and reads up to the end of the head. */
static void provider_accept(void)
{
  await_readable(provider_listener, received);
  provider_fd = accept(provider_listener, NULL, NULL);
  assert_true(provider_fd >= 0);
  received_size = 0;
  received[0] = '\0';
  provider_await("\r\n\r\n");
}

/* ---- bytes whose place tells their value ---- */

static char byte_at(size_t at)
{
  return (char)(at * 31 % 251);
}

static void pattern_write(char *bytes, size_t size, size_t at)
{
  for (size_t i = 0; i < size; i++)
    bytes[i] = byte_at(at + i);
}

static void pattern_check(const char *bytes, size_t size, size_t at)
{
  for (size_t i = 0; i < size; i++)
    if (bytes[i] != byte_at(at + i))
      fail_msg("another byte at %zu", at + i);
}

/* Sends of the pattern what there is room for, up to |size|, from |at| on; how much. */
static size_t pattern_send(int fd, size_t at, size_t size)
{
  static char bytes[65536];
  ssize_t done;

  size = size < sizeof(bytes) ? size : sizeof(bytes);
  pattern_write(bytes, size, at);
  done = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  assert_true(done >= 0 || errno == EAGAIN);
  return done > 0 ? (size_t)done : 0;
}

/* Sends the pattern up to |end| bytes of it, or until nobody takes any more; how far it got. */
static size_t pattern_push(int fd, size_t at, size_t end)
{
  struct pollfd out = {.fd = fd, .events = POLLOUT};

  while (at < end && poll(&out, 1, STUCK_MS) == 1)
    at += pattern_send(fd, at, end - at);
  return at;
}

/* ---- what passes ---- */

static void check_growth(unsigned long before)
{
  const unsigned long now = memory_kib();

  if (!UNDER_ASAN && !UNDER_TSAN && now > before + MEMORY_KIB)
    fail_msg("%lu KiB of memory, after %lu", now, before);
}

static void a_large_upload_waits_for_its_provider_in_little_memory(void **state)
{
  char bytes[65536], head[512];
  size_t sent, got;
  unsigned long before;
  int fd;
  (void)state;

  before = memory_kib();
  fd = http_open(proxy_port);
  snprintf(head, sizeof(head), HEAD "Content-Length: %zu\r\n\r\n", UPLOAD);
  http_write(fd, head);
  provider_accept();
  assert_holds(received, "POST /v1/files HTTP/1.1\r\n");
  assert_holds(received, "Content-Length: 67108864\r\n");
  assert_holds(received, "authorization: Bearer real-openai\r\n");
  assert_lacks(received, "ncoding: chunked");
  sent = pattern_push(fd, 0, UPLOAD);
  got = received_size - (size_t)(strstr(received, "\r\n\r\n") + 4 - received);
  pattern_check(received + received_size - got, got, 0);
  if (sent > FLYING_MAX)
    fail_msg("%zu bytes went out, and nobody read any", sent);
  check_growth(before);
  while (got < UPLOAD) {
    const size_t left = UPLOAD - got;
    const ssize_t size = read(provider_fd, bytes, left < sizeof(bytes) ? left : sizeof(bytes));

    assert_true(size > 0);
    pattern_check(bytes, (size_t)size, got);
    got += (size_t)size;
    while (sent < UPLOAD) {
      const size_t done = pattern_send(fd, sent, UPLOAD - sent);

      sent += done;
      if (done == 0)
        break;
    }
  }
  check_growth(before);
  http_write(provider_fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
  http_await(fd, "\r\n\r\n{}");
  assert_holds(answer, "x-weir-lease: none\r\n");
  http_ask(fd, "GET", "/healthz", "", ""); /* the connection is as good as before */
  http_await(fd, "ok\n");
  http_end(fd);
  assert_int_equal(stat_of("unleased"), 1);
}

static void what_comes_in_chunks_goes_on_in_chunks_as_it_comes(void **state)
{
  int fd = http_open(proxy_port);
  (void)state;

  http_write(fd, HEAD "Transfer-Encoding: chunked\r\n\r\n");
  provider_accept();
  assert_holds(received, "Transfer-Encoding: chunked\r\n");
  assert_lacks(received, "Content-Length");
  http_write(fd, "5\r\nhello\r\n");
  provider_await("5\r\nhello\r\n");
  http_write(fd, "6;x=y\r\n world\r\n");
  provider_await("6\r\n world\r\n");
  http_write(fd, "0\r\n\r\n");
  provider_await("0\r\n\r\n");
  http_write(provider_fd, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
  http_await(fd, "HTTP/1.1 201 Created\r\n");
  http_await(fd, "\r\n\r\n");
  http_ask(fd, "GET", "/healthz", "", "");
  http_await(fd, "ok\n");
  http_end(fd);
}

static void the_client_is_asked_for_its_body_when_the_provider_is_there(void **state)
{
  int fd = http_open(proxy_port);
  (void)state;

  http_write(fd, HEAD "Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
  http_await(fd, "HTTP/1.1 100 Continue\r\n\r\n");
  provider_accept();
  assert_lacks(received, "xpect");
  assert_int_equal(pattern_push(fd, 0, 1000), 1000);
  http_write(provider_fd, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
  http_await(fd, "HTTP/1.1 401 Unauthorized\r\n");
  close(fd);
  close(provider_listener); /* nobody is there any more */
  close(provider_fd);
  provider_fd = -1;
  fd = http_open(proxy_port);
  http_write(fd, HEAD "Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
  assert_int_equal(http_end(fd), 502);
  assert_lacks(answer, "100 Continue");
}

/* ---- ends before the end ---- */

/* The provider answers without reading; |is_pushing|: the client goes on sending all the same. */
static void check_refusal(bool is_pushing)
{
  char head[512];
  int fd = http_open(proxy_port);

  snprintf(head, sizeof(head), HEAD "Content-Length: %zu\r\n\r\n", UPLOAD);
  http_write(fd, head);
  provider_accept();
  if (is_pushing)
    assert_true(pattern_push(fd, 0, UPLOAD) < UPLOAD);
  else
    assert_int_equal(pattern_push(fd, 0, 1000), 1000);
  http_write(provider_fd, "HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\ntoo large");
  assert_int_equal(http_end(fd), 413); /* it ends, for the rest of the body is not read */
  assert_holds(answer, "Connection: close\r\n");
  assert_holds(answer, "too large");
  close(provider_fd);
  provider_fd = -1;
  while (stat_of("open") > 0)
    ;
  assert_int_equal(stat_of("cancelled"), 0); /* the transfer came to its own end */
}

static void an_answer_before_the_end_of_an_upload_reaches_the_client(void **state)
{
  (void)state;
  check_refusal(false);
  check_refusal(true);
}

static void who_goes_away_in_an_upload_cancels_it(void **state)
{
  int fd = http_open(proxy_port);
  (void)state;

  http_write(fd, HEAD "Content-Length: 1000000\r\n\r\n");
  provider_accept();
  assert_int_equal(pattern_push(fd, 0, 1000), 1000);
  close(fd);
  while (provider_read())
    ;
  assert_int_equal(stat_of("open"), 0);
  assert_int_equal(stat_of("cancelled"), 1);
}

/* The provider does not read, so nothing more of the client is read either: only a reset is seen.
 */
static void who_goes_away_while_an_upload_waits_cancels_it(void **state)
{
  const struct linger reset = {.l_onoff = 1};
  char head[512];
  int fd = http_open(proxy_port);
  (void)state;

  snprintf(head, sizeof(head), HEAD "Content-Length: %zu\r\n\r\n", UPLOAD);
  http_write(fd, head);
  provider_accept();
  assert_true(pattern_push(fd, 0, UPLOAD) < UPLOAD);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
  close(fd);
  while (stat_of("open") > 0)
    ;
  assert_int_equal(stat_of("cancelled"), 1);
}

static void a_flaw_in_an_upload_is_told_and_cancels_it(void **state)
{
  int fd = http_open(proxy_port);
  (void)state;

  http_write(fd, HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  provider_accept();
  provider_await("hello");
  http_write(fd, "nonsense\r\n");
  assert_int_equal(http_end(fd), 400);
  while (provider_read())
    ;
  assert_lacks(received, "nonsense");
}

static void an_upload_that_the_provider_breaks_off_is_not_sent_again(void **state)
{
  struct pollfd again = {.events = POLLIN};
  int fd = http_open(proxy_port);
  (void)state;

  http_write(fd, HEAD "Content-Length: 1000000\r\n\r\n");
  provider_accept();
  close(provider_fd);
  provider_fd = -1;
  pattern_push(fd, 0, 1000);
  assert_int_equal(http_end(fd), 502);
  assert_holds(answer, "x-should-retry: false\r\n");
  again.fd = provider_listener;
  assert_int_equal(poll(&again, 1, 0), 0);
  assert_int_equal(stat_of("retries"), 0);
}

#define WITH_PROVIDER(name)                                                                        \
  cmocka_unit_test_setup_teardown(name, set_up_receiver, tear_down_provider)

int main(void)
{
  const struct CMUnitTest tests[] = {
      WITH_PROVIDER(a_large_upload_waits_for_its_provider_in_little_memory),
      WITH_PROVIDER(what_comes_in_chunks_goes_on_in_chunks_as_it_comes),
      WITH_PROVIDER(the_client_is_asked_for_its_body_when_the_provider_is_there),
      WITH_PROVIDER(an_answer_before_the_end_of_an_upload_reaches_the_client),
      WITH_PROVIDER(who_goes_away_in_an_upload_cancels_it),
      WITH_PROVIDER(who_goes_away_while_an_upload_waits_cancels_it),
      WITH_PROVIDER(a_flaw_in_an_upload_is_told_and_cancels_it),
      WITH_PROVIDER(an_upload_that_the_provider_breaks_off_is_not_sent_again),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
