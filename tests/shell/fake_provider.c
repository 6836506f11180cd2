#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_coordinator.h"
#include "fake_provider.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection {
  struct provider *provider;
  int fd;
  size_t size;
  char bytes[PROVIDER_REQUEST_MAX];
};

static const char *header_value(const char *head, const char *name)
{
  const size_t size = strlen(name);

  for (const char *line = head; line && *line; line = strstr(line, "\r\n")) {
    line += *line == '\r' ? 2 : 0;
    if (strncasecmp(line, name, size) == 0)
      return line + size;
  }
  return NULL;
}

/* Reads one request; false at the connection's end. */
static bool read_request(struct connection *c)
{
  size_t needed = 0;

  c->size = 0;
  while (needed == 0 || c->size < needed) {
    const ssize_t got = recv(c->fd, c->bytes + c->size, sizeof(c->bytes) - 1 - c->size, 0);
    const char *end, *length;

    if (got <= 0)
      return false;
    c->size += (size_t)got;
    c->bytes[c->size] = '\0';
    end = strstr(c->bytes, "\r\n\r\n");
    if (end && needed == 0) {
      length = header_value(c->bytes, "content-length:");
      needed = (size_t)(end + 4 - c->bytes) + (length ? strtoul(length, NULL, 10) : 0);
    }
  }
  return true;
}

static void send_text(int fd, const char *text, size_t size)
{
  while (size > 0) {
    const ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);

    if (sent <= 0)
      return;
    text += sent;
    size -= (size_t)sent;
  }
}

static void answer(int fd, int status, const char *header, const char *body, size_t body_size)
{
  char head[512];

  snprintf(
      head, sizeof(head),
      "HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n",
      status, header, body_size);
  send_text(fd, head, strlen(head));
  send_text(fd, body, strlen(body));
}

static void stream(int fd, const char *body)
{
  char chunk[4096];

  snprintf(chunk, sizeof(chunk),
           "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
           "Transfer-Encoding: chunked\r\n\r\n");
  send_text(fd, chunk, strlen(chunk));
  while (*body) {
    const size_t size = strcspn(body, "|");

    snprintf(chunk, sizeof(chunk), "%zx\r\ndata: %.*s\n\n\r\n", size + 8, (int)size, body);
    send_text(fd, chunk, strlen(chunk));
    body += size + (body[size] == '|');
  }
  send_text(fd, "0\r\n\r\n", 5);
}

/* Until the client has gone, which is all that there is to read. */
static void trickle(int fd)
{
  const char *head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     "Content-Length: 1000000000\r\n\r\n";
  struct pollfd wait = {.fd = fd, .events = POLLIN};

  send_text(fd, head, strlen(head));
  while (poll(&wait, 1, 1) == 0 && send(fd, " ", 1, MSG_NOSIGNAL) == 1)
    continue;
}

static void *serve(void *argument)
{
  struct connection *c = argument;
  struct provider *p = c->provider;
  uint32_t count = 0;
  bool goes_on = true;

  while (goes_on && read_request(c)) {
    pthread_mutex_lock(&p->lock);
    p->arrivals++;
    memcpy(p->request, c->bytes, c->size + 1);
    pthread_cond_broadcast(&p->changed);
    if (p->status_once) {
      answer(c->fd, p->status_once, p->header_once, p->body_once, strlen(p->body_once));
      p->status_once = 0;
    } else if (p->habit == PROVIDER_STREAMS) {
      stream(c->fd, p->body);
    } else if (p->habit == PROVIDER_TRICKLES) {
      pthread_mutex_unlock(&p->lock);
      trickle(c->fd);
      pthread_mutex_lock(&p->lock);
      goes_on = false;
    } else if (p->habit == PROVIDER_CUTS) {
      answer(c->fd, p->status, "", p->body, strlen(p->body) + 100);
      goes_on = false;
    } else if (p->habit == PROVIDER_PONDERS) {
      struct pollfd wait = {.fd = c->fd, .events = POLLIN};

      pthread_mutex_unlock(&p->lock);
      (void)poll(&wait, 1, PROVIDER_PONDER_MS);
      pthread_mutex_lock(&p->lock);
      answer(c->fd, p->status, "", p->body, strlen(p->body));
    } else if (p->habit == PROVIDER_ANSWERS || (p->habit == PROVIDER_CLOSES_REUSED && count == 0)) {
      answer(c->fd, p->status, "", p->body, strlen(p->body));
    } else if (p->habit == PROVIDER_CLOSES_REUSED) {
      goes_on = false;
    }
    pthread_mutex_unlock(&p->lock);
    count++;
  }
  shutdown(c->fd, SHUT_RDWR);
  free(c);
  return NULL;
}

static void *accept_all(void *argument)
{
  struct provider *p = argument;
  int fd;

  while ((fd = accept(p->listen_fd, NULL, NULL)) >= 0) {
    struct connection *c = calloc(1, sizeof(*c));
    const int is_on = 1;

    /* Or else a body waits for the acknowledgement of its head, 40 ms. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &is_on, sizeof(is_on));
    if (!c || p->connections == PROVIDER_CONNECTIONS_MAX)
      abort();
    c->provider = p;
    c->fd = p->fds[p->connections] = fd;
    if (pthread_create(&p->threads[p->connections++], NULL, serve, c) != 0)
      abort();
  }
  return NULL;
}

void provider_init(struct provider *p, enum provider_habit habit, int status, const char *body)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);

  memset(p, 0, sizeof(*p));
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->changed, NULL);
  p->habit = habit;
  p->status = status;
  p->body = body;
  p->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(p->listen_fd >= 0);
  assert_int_equal(bind(p->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
  assert_int_equal(listen(p->listen_fd, 64), 0);
  assert_int_equal(getsockname(p->listen_fd, (struct sockaddr *)&address, &size), 0);
  snprintf(p->url, sizeof(p->url), "http://127.0.0.1:%d", ntohs(address.sin_port));
  assert_int_equal(pthread_create(&p->thread, NULL, accept_all, p), 0);
}

void provider_fini(struct provider *p)
{
  shutdown(p->listen_fd, SHUT_RDWR);
  pthread_join(p->thread, NULL);
  close(p->listen_fd);
  for (uint32_t i = 0; i < p->connections; i++)
    shutdown(p->fds[i], SHUT_RDWR);
  for (uint32_t i = 0; i < p->connections; i++) {
    pthread_join(p->threads[i], NULL);
    close(p->fds[i]);
  }
  pthread_cond_destroy(&p->changed);
  pthread_mutex_destroy(&p->lock);
}

void provider_once(struct provider *p, int status, const char *header, const char *body)
{
  pthread_mutex_lock(&p->lock);
  p->status_once = status;
  p->header_once = header;
  p->body_once = body;
  pthread_mutex_unlock(&p->lock);
}

uint32_t provider_arrivals(struct provider *p)
{
  uint32_t arrivals;

  pthread_mutex_lock(&p->lock);
  arrivals = p->arrivals;
  pthread_mutex_unlock(&p->lock);
  return arrivals;
}

void provider_wait(struct provider *p, uint32_t count)
{
  struct timespec until;
  int err = 0;

  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += FAKE_TIMEOUT_MS / 1000;
  pthread_mutex_lock(&p->lock);
  while (p->arrivals < count && err == 0)
    err = pthread_cond_timedwait(&p->changed, &p->lock, &until);
  pthread_mutex_unlock(&p->lock);
  assert_int_equal(err, 0);
}
