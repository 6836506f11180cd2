#define _GNU_SOURCE /* strcasestr */
/* proxy_load.c - clients of a proxy, all on one thread: keep-alive connections with one request in
 * flight each. */
#include "proxy_load.h"
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000
#define INPUT_SIZE  4096
#define READY_MAX   256
#define STARTING    50 /* streams that begin at a time */
#define STAMP_SIZE  20 /* digits of an event's time */

struct client {
  int fd;
  size_t fill;
  uint64_t sent_ns;
  bool has_event; /* of a stream: the first one came */
  char input[INPUT_SIZE];
};

struct load {
  int epoll;
  size_t count;
  uint32_t *samples;
  size_t samples_count, capacity;
  char request[1024];
  size_t request_size;
  struct client clients[];
};

static bool fail(const char *what)
{
  fprintf(stderr, "weir-bench: %s: %s\n", what, strerror(errno));
  return false;
}

static bool flaw(const char *what, const char *bytes, size_t size)
{
  fprintf(stderr, "weir-bench: %s: %.*s\n", what, (int)(size < 400 ? size : 400), bytes);
  return false;
}

static bool client_connect(struct load *load, struct client *c, uint16_t port)
{
  const struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  int on = 1;

  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
      setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
      epoll_ctl(load->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
    return fail("a client");
  return true;
}

struct load *load_open(uint16_t port, size_t count)
{
  struct load *load = calloc(1, sizeof(*load) + count * sizeof(load->clients[0]));

  if (!load)
    abort();
  for (size_t i = 0; i < count; i++)
    load->clients[i].fd = -1;
  load->count = count;
  load->epoll = epoll_create1(EPOLL_CLOEXEC);
  for (size_t i = 0; i < count; i++) {
    if (load->epoll < 0 || !client_connect(load, &load->clients[i], port)) {
      load_close(load);
      return NULL;
    }
  }
  return load;
}

void load_close(struct load *load)
{
  for (size_t i = 0; i < load->count; i++) {
    if (load->clients[i].fd >= 0)
      close(load->clients[i].fd);
  }
  if (load->epoll >= 0)
    close(load->epoll);
  free(load);
}

/* A chat completion as an SDK sends it. */
static void request_make(struct load *load, const char *model, bool is_stream)
{
  char body[512];
  int size = snprintf(body, sizeof(body),
                      "{\"model\":\"%s\",%s\"max_tokens\":64,\"messages\":[{\"role\":\"system\","
                      "\"content\":\"You are a helpful assistant.\"},{\"role\":\"user\","
                      "\"content\":\"How much water goes over a weir of two metres?\"}]}",
                      model, is_stream ? "\"stream\":true," : "");

  load->request_size =
      (size_t)snprintf(load->request, sizeof(load->request),
                       "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                       "Accept: application/json\r\nAuthorization: Bearer sk-bench\r\n"
                       "Content-Type: application/json\r\nUser-Agent: OpenAI/Python 1.109.1\r\n"
                       "X-Stainless-Lang: python\r\nX-Stainless-Runtime: CPython\r\n"
                       "X-Stainless-Retry-Count: 0\r\nContent-Length: %d\r\n\r\n%s",
                       size, body);
}

static bool request_send(struct load *load, struct client *c)
{
  c->sent_ns = bench_now_ns();
  c->fill = 0;
  return send(c->fd, load->request, load->request_size, MSG_NOSIGNAL) ==
             (ssize_t)load->request_size ||
         fail("a request");
}

static bool client_read(struct client *c)
{
  ssize_t size = recv(c->fd, c->input + c->fill, INPUT_SIZE - 1 - c->fill, 0);

  if (size <= 0)
    return size == 0 ? flaw("a connection ended after", c->input, c->fill) : fail("an answer");
  c->fill += (size_t)size;
  c->input[c->fill] = '\0';
  return true;
}

static void sample(struct load *load, uint64_t ns)
{
  if (load->samples_count < load->capacity)
    load->samples[load->samples_count++] = (uint32_t)(ns < UINT32_MAX ? ns : UINT32_MAX);
}

static void samples_begin(struct load *load, uint32_t *samples, size_t capacity)
{
  load->samples = samples;
  load->samples_count = 0;
  load->capacity = capacity;
}

/* ---- calls ---- */

/* Whether the whole answer is there. An answer that is not one of our upstream's ends it all: its
 * time would be worth nothing. */
static bool answer_is_whole(const struct client *c, bool *ret_is_whole)
{
  const char *end = strstr(c->input, "\r\n\r\n"),
             *length = strcasestr(c->input, "\ncontent-length:");

  *ret_is_whole = false;
  if (!end)
    return true;
  if (strncmp(c->input, "HTTP/1.1 200 ", 13) != 0 || !length || length > end)
    return flaw("not the answer that was expected", c->input, c->fill);
  *ret_is_whole = c->fill == (size_t)(end + 4 - c->input) + strtoul(length + 16, NULL, 10);
  return true;
}

bool load_calls(struct load *load, uint64_t ns, uint32_t *samples, size_t capacity,
                size_t *ret_count)
{
  const uint64_t end_ns = bench_now_ns() + ns;
  struct epoll_event ready[READY_MAX];
  size_t open = load->count;

  request_make(load, BENCH_JSON, false);
  samples_begin(load, samples, capacity);
  for (size_t i = 0; i < load->count; i++)
    if (!request_send(load, &load->clients[i]))
      return false;
  while (open > 0) {
    int count = epoll_wait(load->epoll, ready, READY_MAX, PATIENCE_MS);

    if (count <= 0)
      return fail("no answer");
    for (int i = 0; i < count; i++) {
      struct client *c = ready[i].data.ptr;
      uint64_t now_ns;
      bool is_whole;

      if (!client_read(c) || !answer_is_whole(c, &is_whole))
        return false;
      if (!is_whole)
        continue;
      now_ns = bench_now_ns();
      sample(load, now_ns - c->sent_ns);
      if (now_ns >= end_ns)
        open--;
      else if (!request_send(load, c))
        return false;
    }
  }
  *ret_count = load->samples_count;
  return true;
}

/* ---- streams ---- */

/* Takes the events that are there; what is left is the beginning of one. */
static bool events_take(struct load *load, struct client *c)
{
  static const char mark[] = "\"content\":\"";
  const uint64_t now_ns = bench_now_ns();
  char *at = c->input, *found;

  if (!c->has_event && strncmp(c->input, "HTTP/1.1 200 ", 13) != 0)
    return flaw("not the stream that was expected", c->input, c->fill);
  while ((found = strstr(at, mark))) {
    char *stamp = found + sizeof(mark) - 1, *end;
    uint64_t sent_ns;

    if (stamp + STAMP_SIZE >= c->input + c->fill)
      break;
    sent_ns = strtoull(stamp, &end, 10);
    if (end != stamp + STAMP_SIZE)
      return flaw("not an event", found, (size_t)(c->input + c->fill - found));
    sample(load, now_ns - sent_ns);
    c->has_event = true;
    at = end;
  }
  /* Of an event that is not whole nothing may be lost; a head without event is kept as well. */
  c->fill = (size_t)(c->input + c->fill - at);
  memmove(c->input, at, c->fill + 1);
  return true;
}

bool load_streams(struct load *load, const char *model)
{
  struct epoll_event ready[READY_MAX];
  size_t begun = 0, had = 0;

  request_make(load, model, true);
  samples_begin(load, NULL, 0);
  while (had < load->count) {
    int count;

    for (; begun < load->count && begun - had < STARTING; begun++)
      if (!request_send(load, &load->clients[begun]))
        return false;
    count = epoll_wait(load->epoll, ready, READY_MAX, PATIENCE_MS);
    if (count <= 0)
      return fail("no stream");
    for (int i = 0; i < count; i++) {
      struct client *c = ready[i].data.ptr;
      const bool had_event = c->has_event;

      if (!client_read(c) || !events_take(load, c))
        return false;
      had += c->has_event && !had_event;
    }
  }
  return true;
}

bool load_events(struct load *load, uint64_t ns, uint32_t *samples, size_t capacity,
                 size_t *ret_count)
{
  const uint64_t end_ns = bench_now_ns() + ns;
  struct epoll_event ready[READY_MAX];

  samples_begin(load, samples, capacity);
  while (bench_now_ns() < end_ns) {
    int count = epoll_wait(load->epoll, ready, READY_MAX, PATIENCE_MS);

    if (count <= 0)
      return fail("no event");
    for (int i = 0; i < count; i++) {
      struct client *c = ready[i].data.ptr;

      if (!client_read(c) || !events_take(load, c))
        return false;
    }
  }
  *ret_count = load->samples_count;
  return true;
}
