/* Requests and answers as no client and no provider of the tests makes them: between a raw client
 * and a raw provider, both driven from here. */
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
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_fixture.h"

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
#define USAGE  "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}"

static char request[8192]; /* the last one that the provider has read */

/* Takes the next connection, and reads a request whose end is |end|. */
static void provider_accept(const char *end)
{
  size_t size = 0;
  ssize_t got;

  await_readable(provider_listener, answer);
  provider_fd = accept(provider_listener, NULL, NULL);
  assert_true(provider_fd >= 0);
  do {
    await_readable(provider_fd, answer);
    got = read(provider_fd, request + size, sizeof(request) - 1 - size);
    assert_true(got > 0);
    size += (size_t)got;
    request[size] = '\0';
  } while (!strstr(request, end));
}

/* Asks for the chat completion |body|, which the provider answers with |text|. The status. */
static int chat_answered(const char *body, const char *text)
{
  int fd = http_open(proxy_port);

  http_ask(fd, "POST", "/v1/chat/completions", TOKEN, body);
  provider_accept("}]}");
  http_write(provider_fd, text);
  close(provider_fd);
  provider_fd = -1;
  return http_end(fd);
}

static int answered(const char *text)
{
  return chat_answered(CHAT(""), text);
}

/* Begins a stream, of which the provider has told |head|. The client's socket. */
static int streamed(const char *head)
{
  int fd = http_open(proxy_port);

  http_ask(fd, "POST", "/v1/chat/completions", TOKEN, CHAT("\"stream\":true,"));
  provider_accept("}]}");
  http_write(provider_fd, head);
  http_await(fd, "\r\n\r\n");
  return fd;
}

static void an_answer_that_is_encoded_as_itself_is_read(void **state)
{
  (void)state;
  assert_int_equal(answered("HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\n\r\n"
                            "{\"choices\":[]," USAGE "}"),
                   200);
  assert_holds(answer, "\r\nx-weir-cost-micro: "); /* so its tokens were counted */
}

static void what_is_compressed_is_not_held_for_an_end_of_an_event(void **state)
{
  int fd = streamed(STREAM "Content-Encoding: br\r\n\r\n");
  (void)state;

  http_write(provider_fd, "no line");
  http_await(fd, "no line");
  close(provider_fd);
  provider_fd = -1;
  assert_int_equal(http_end(fd), 200);
}

static void an_event_that_ends_in_two_bytes_a_line_passes_whole(void **state)
{
  int fd = streamed(STREAM "\r\n");
  (void)state;

  for (int i = 0; i < 3; i++) {
    http_write(provider_fd, "data: {\"choices\":[{}]}\r\n\r\n");
    http_await(fd, "data: {\"choices\":[{}]}\r\n\r\n\r\n"); /* with the end of its chunk */
    answer_size = 0;
    answer[0] = '\0';
  }
  close(fd);
}

static void trailers_are_not_taken_for_headers(void **state)
{
  (void)state;
  assert_int_equal(answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Head: 1\r\n\r\n"
                            "2;x=y\r\n{}\r\n0\r\nX-Trailer: 1\r\nx-weir-pool: other\r\n\r\n"),
                   200);
  assert_holds(answer, "X-Head: 1\r\n");
  assert_lacks(answer, "X-Trailer");
}

/* Reads what follows as a client of HTTP/1.0, to whom an answer's end is the connection's; false:
 * it was reset. */
static bool is_end_sound(int fd)
{
  ssize_t got;

  do {
    await_readable(fd, answer);
    got = read(fd, answer, sizeof(answer));
  } while (got > 0);
  assert_true(got == 0 || errno == ECONNRESET);
  close(fd);
  return got == 0;
}

static void a_stream_that_breaks_does_not_look_whole_without_chunks(void **state)
{
  (void)state;
  for (int is_whole = 0; is_whole < 2; is_whole++) {
    int fd = http_open(proxy_port);

    http_write(fd, "POST /v1/chat/completions HTTP/1.0\r\n" TOKEN "Content-Length: 87\r\n\r\n"
                   "{\"model\":\"gpt-4o\",\"stream\":true,\"messages\":[{\"role\":\"user\","
                   "\"content\":\"hi\"}],\"n\":1}     ");
    provider_accept("}     ");
    http_write(provider_fd, STREAM "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n");
    http_await(fd, "data: 1\n\n");
    assert_lacks(answer, "chunked");
    if (is_whole)
      http_write(provider_fd, "0\r\n\r\n");
    close(provider_fd);
    provider_fd = -1;
    assert_int_equal(is_end_sound(fd), is_whole);
  }
}

/* Speech is played while it is made; it is leased by its model like all else. */
static void what_holds_no_usage_passes_as_it_comes(void **state)
{
  int fd = http_open(proxy_port);
  (void)state;

  http_ask(fd, "POST", "/v1/audio/speech", TOKEN, "{\"model\":\"gpt-4o\",\"input\":\"hi\"}");
  provider_accept("hi\"}");
  http_write(provider_fd, "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\nfirst sound");
  http_await(fd, "first sound");
  assert_holds(answer, "x-weir-pool: chat\r\n");
  close(provider_fd);
  provider_fd = -1;
  assert_int_equal(http_end(fd), 200);
}

/* Java's HttpClient offers HTTP/2 with the first request of a connection, and does without. */
static void an_offer_of_another_protocol_is_declined(void **state)
{
  int fd = http_open(proxy_port);
  (void)state;

  http_ask(fd, "POST", "/v1/chat/completions",
           TOKEN "Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
                 "Connection: Upgrade, HTTP2-Settings\r\n",
           CHAT(""));
  provider_accept("}]}");
  http_write(provider_fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
  assert_int_equal(http_end(fd), 200);
  assert_lacks(request, "pgrade");
  assert_lacks(request, "HTTP2-Settings");
}

/* How many tokens of input the lease of a call of the route "fast" is for. */
static unsigned long route_input(void)
{
  static const char head[] = "x-weir-lease: requests=1, input_tokens=";
  const char *at;

  assert_int_equal(chat_answered("{\"model\":\"fast\",\"max_tokens\":20,"
                                 "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
                                 "HTTP/1.1 200 OK\r\n\r\n{\"choices\":[],\"usage\":"
                                 "{\"prompt_tokens\":1000,\"completion_tokens\":2}}"),
                   200);
  at = strstr(answer, head);
  assert_non_null(at);
  return at ? strtoul(at + sizeof(head) - 1, NULL, 10) : 0;
}

static void what_a_route_called_by_its_name_took_corrects_its_next_estimate(void **state)
{
  const unsigned long first = route_input();
  (void)state;

  assert_true(first > 0 && first < 1000);
  assert_true(route_input() > first);
}

#define WITH(name) cmocka_unit_test_setup_teardown(name, set_up_provider, tear_down_provider)

int main(void)
{
  const struct CMUnitTest tests[] = {
      WITH(an_answer_that_is_encoded_as_itself_is_read),
      WITH(what_is_compressed_is_not_held_for_an_end_of_an_event),
      WITH(an_event_that_ends_in_two_bytes_a_line_passes_whole),
      WITH(trailers_are_not_taken_for_headers),
      WITH(a_stream_that_breaks_does_not_look_whole_without_chunks),
      WITH(what_holds_no_usage_passes_as_it_comes),
      WITH(an_offer_of_another_protocol_is_declined),
      WITH(what_a_route_called_by_its_name_took_corrects_its_next_estimate),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
