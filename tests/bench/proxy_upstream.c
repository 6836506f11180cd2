#define _GNU_SOURCE /* accept4, strcasestr */
/* proxy_upstream.c - the upstream of bench_proxy: one thread, no allocation per request, answers of
 * one write. weir-upstream, which composes its answers and keeps books about limits, would be the
 * slowest part of what is measured. */
#include "bench.h"
#include "proxy_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16384
#define READY_MAX       256
#define INPUT_SIZE      8192
#define NS_PER_MS       UINT64_C(1000000)

struct connection {
  int fd;
  bool is_streaming;
  size_t fill;
  size_t place; /* among the streams */
  char *input;
};

static struct connection connections[CONNECTIONS_MAX]; /* by descriptor */
static struct connection *streams[CONNECTIONS_MAX];
static size_t streams_count;

static const char answer[] =
    "{\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion\","
    "\"created\":1741569952,\"model\":\"bench-json\",\"choices\":[{\"index\":0,\"message\":"
    "{\"role\":\"assistant\",\"content\":\"As much as its crest lets pass.\",\"refusal\":null},"
    "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":34,"
    "\"completion_tokens\":9,\"total_tokens\":43,\"prompt_tokens_details\":{\"cached_tokens\":0}},"
    "\"service_tier\":\"default\"}";

static void stream_forget(struct connection *c)
{
  if (!c->is_streaming)
    return;
  streams[c->place] = streams[--streams_count];
  streams[c->place]->place = c->place;
  c->is_streaming = false;
}

/* The event loop forgets a descriptor that is closed. */
static void end(struct connection *c)
{
  stream_forget(c);
  close(c->fd);
  c->fd = -1;
}

static void write_all(struct connection *c, const char *bytes, int size)
{
  if (send(c->fd, bytes, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT) != size)
    end(c); /* nobody reads: the client will find its stream broken */
}

static int event_make(char *bytes, size_t size)
{
  char event[512];
  int length = snprintf(event, sizeof(event),
                        "data: {\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":"
                        "\"chat.completion.chunk\",\"created\":1741569952,\"model\":\"bench\","
                        "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%020llu\"},"
                        "\"logprobs\":null,\"finish_reason\":null}]}\n\n",
                        (unsigned long long)bench_now_ns());

  return snprintf(bytes, size, "%x\r\n%s\r\n", length, event);
}

static void answer_json(struct connection *c)
{
  char bytes[1024];
  int size = snprintf(bytes, sizeof(bytes),
                      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                      "X-Request-Id: req_0123456789abcdef\r\nContent-Length: %zu\r\n\r\n%s",
                      sizeof(answer) - 1, answer);

  write_all(c, bytes, size);
}

static void answer_stream(struct connection *c, bool is_idle)
{
  static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                             "X-Request-Id: req_0123456789abcdef\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n";
  char bytes[1024];

  memcpy(bytes, head, sizeof(head) - 1);
  if (!is_idle) {
    c->is_streaming = true;
    c->place = streams_count;
    streams[streams_count++] = c;
  }
  write_all(c, bytes,
            (int)sizeof(head) - 1 +
                event_make(bytes + sizeof(head) - 1, sizeof(bytes) - (sizeof(head) - 1)));
}

static void on_input(struct connection *c)
{
  ssize_t size = recv(c->fd, c->input + c->fill, INPUT_SIZE - 1 - c->fill, MSG_DONTWAIT);
  const char *body, *length;

  if (size <= 0) {
    end(c);
    return;
  }
  c->fill += (size_t)size;
  c->input[c->fill] = '\0';
  body = strstr(c->input, "\r\n\r\n");
  length = strcasestr(c->input, "\ncontent-length:");
  if (!body || !length || length > body ||
      c->fill < (size_t)(body + 4 - c->input) + strtoul(length + 16, NULL, 10))
    return; /* the rest is on its way */
  c->fill = 0;
  if (strstr(body, BENCH_JSON))
    answer_json(c);
  else
    answer_stream(c, strstr(body, BENCH_IDLE) != NULL);
}

static void on_connection(int epoll, int listener)
{
  struct epoll_event event = {.events = EPOLLIN};
  int fd, on = 1;

  while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
    struct connection *c = fd < CONNECTIONS_MAX ? &connections[fd] : NULL;

    if (!c || (!c->input && !(c->input = malloc(INPUT_SIZE)))) {
      close(fd);
      continue;
    }
    c->fd = fd;
    c->fill = 0;
    event.data.ptr = c;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
}

/* The events that are due: they are spread evenly over the interval, whatever the number of
 * streams. Returns when the next one is, in milliseconds; -1: none. */
static int events_send(void)
{
  static uint64_t sent, begin_ns;
  static size_t next, count;
  char bytes[1024];
  uint64_t due;

  if (streams_count != count) {
    count = streams_count;
    begin_ns = bench_now_ns();
    sent = 0;
  }
  if (count == 0)
    return -1;
  due = (bench_now_ns() - begin_ns) * count / (BENCH_EVENT_MS * NS_PER_MS);
  for (; sent < due && streams_count == count; sent++) {
    next = (next + 1) % count;
    write_all(streams[next], bytes, event_make(bytes, sizeof(bytes)));
  }
  return 1;
}

static int listen_any(uint16_t *ret_port)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(address);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  if (fd < 0 || bind(fd, (const struct sockaddr *)&address, size) != 0 || listen(fd, 1024) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) != 0)
    return -1;
  *ret_port = ntohs(address.sin_port);
  return fd;
}

int bench_proxy_upstream(void)
{
  struct epoll_event ready[READY_MAX], event = {.events = EPOLLIN};
  uint16_t port;
  int epoll = epoll_create1(EPOLL_CLOEXEC), listener = listen_any(&port), wait_ms = -1;

  if (epoll < 0 || listener < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0) {
    perror("weir-bench: upstream");
    return 1;
  }
  printf("listening on http://127.0.0.1:%u\n", port);
  fflush(stdout);
  for (;;) {
    int count = epoll_wait(epoll, ready, READY_MAX, wait_ms);

    for (int i = 0; i < count; i++) {
      struct connection *c = ready[i].data.ptr;

      if (!c)
        on_connection(epoll, listener);
      else if (c->fd >= 0)
        on_input(c);
    }
    wait_ms = events_send();
  }
}
