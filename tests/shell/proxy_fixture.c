#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct daemon coordinator;
struct run upstream, proxy, second;
uint16_t upstream_port, proxy_port;

/* ---- a client ---- */

char answer[PROXY_ANSWER_MAX];
size_t answer_size;

int http_open(uint16_t port)
{
  const struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);

  assert_true(fd >= 0);
  if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
    close(fd);
    return -1;
  }
  answer_size = 0;
  answer[0] = '\0';
  return fd;
}

void http_write(int fd, const char *text)
{
  const size_t size = strlen(text);

  assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* Reads once; false at the end. */
bool http_read(int fd)
{
  struct pollfd in = {.fd = fd, .events = POLLIN};
  ssize_t size;

  if (poll(&in, 1, RUN_TIMEOUT_MS) != 1)
    fail_msg("nothing more came; so far:\n%s", answer);
  assert_true(answer_size < sizeof(answer) - 1);
  size = read(fd, answer + answer_size, sizeof(answer) - 1 - answer_size);
  if (size <= 0)
    return false;
  answer_size += (size_t)size;
  answer[answer_size] = '\0';
  return true;
}

void http_await(int fd, const char *text)
{
  while (!strstr(answer, text))
    if (!http_read(fd))
      fail_msg("ended without '%s':\n%s", text, answer);
}

/* Reads to the end, closes, and returns the status. */
int http_end(int fd)
{
  int status = 0;

  while (http_read(fd))
    ;
  close(fd);
  (void)sscanf(answer, "HTTP/1.1 %d", &status);
  return status;
}

/* Sends a request whose connection ends with its answer; |headers| are whole lines. */
void http_ask(int fd, const char *method, const char *target, const char *headers, const char *body)
{
  char text[8192];
  int size = snprintf(text, sizeof(text),
                      "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s"
                      "Content-Length: %zu\r\n\r\n%s",
                      method, target, headers, strlen(body), body);

  assert_true(size > 0 && (size_t)size < sizeof(text));
  http_write(fd, text);
}

int ask(uint16_t port, const char *method, const char *target, const char *headers,
        const char *body)
{
  int fd = http_open(port);

  assert_true(fd >= 0);
  http_ask(fd, method, target, headers, body);
  return http_end(fd);
}

int chat(const char *headers, const char *body)
{
  return ask(proxy_port, "POST", "/v1/chat/completions", headers, body);
}

void script(const char *json)
{
  assert_int_equal(ask(upstream_port, "POST", "/_admin/script", "", json), 200);
}

/* The sum of what the provider has counted as |name|. */
unsigned long counted(const char *name)
{
  char key[64];
  unsigned long sum = 0;

  assert_int_equal(ask(upstream_port, "GET", "/_admin/counters", "", ""), 200);
  snprintf(key, sizeof(key), "\"%s\":", name);
  /* The totals come first; they know no more than the accounts do. */
  for (const char *at = strstr(answer, "\"accounts\""); at && (at = strstr(at, key)); at++)
    sum += strtoul(at + strlen(key), NULL, 10);
  return sum;
}

/* The proxy's own counter. */
unsigned long stat_of(const char *name)
{
  char key[64];
  const char *at;

  assert_int_equal(ask(proxy_port, "GET", "/stats", "", ""), 200);
  snprintf(key, sizeof(key), "\"%s\":", name);
  at = strstr(answer, key);
  assert_non_null(at);
  return at ? strtoul(at + strlen(key), NULL, 10) : 0;
}

/* ---- the others ---- */

void write_file(const char *path, const char *text)
{
  FILE *file = fopen(path, "w");

  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
  assert_int_equal(fclose(file), 0);
}

uint16_t port_of(struct run *run)
{
  unsigned port = 0;

  run_wait_out(run, "\n");
  assert_int_equal(sscanf(run_wait_out(run, "listening on http://127.0.0.1:"),
                          "listening on http://127.0.0.1:%u", &port),
                   1);
  return (uint16_t)port;
}

void proxy_start(void)
{
  run_start(&proxy, "WEIR_PROXY_BIN", NULL);
  proxy_port = port_of(&proxy);
}

void coordinator_start(void)
{
  daemon_configure(&coordinator,
                   "providers:\n"
                   "  openai: {kind: openai}\n"
                   "  anthropic: {kind: anthropic}\n"
                   "  gemini: {kind: gemini}\n"
                   "pools:\n"
                   "  - name: chat\n    provider: openai\n    models: [gpt-4o]\n"
                   "    limits: {rpm: 1M, tpm: 1G}\n"
                   "  - name: claude\n    provider: anthropic\n    models: [claude]\n"
                   "    limits: {rpm: 1M}\n"
                   "  - name: flash\n    provider: gemini\n    models: [flash]\n"
                   "    limits: {rpm: 1M}\n"
                   "  - name: few\n    provider: openai\n    models: [few]\n"
                   "    limits: [{dimension: requests, window: 1s, amount: 2}]\n"
                   "    profile: window\n"
                   "  - name: soon\n    provider: openai\n    models: [soon]\n"
                   "    limits: [{dimension: requests, window: 50s, amount: 1}]\n"
                   "    profile: window\n"
                   "  - name: rare\n    provider: openai\n    models: [rare]\n"
                   "    limits: [{dimension: requests, window: 1h, amount: 1}]\n"
                   "    profile: window\n"
                   "  - name: rare-claude\n    provider: anthropic\n    models: [rare]\n"
                   "    limits: [{dimension: requests, window: 1h, amount: 1}]\n"
                   "    profile: window\n"
                   "  - name: rare-flash\n    provider: gemini\n    models: [rare]\n"
                   "    limits: [{dimension: requests, window: 1h, amount: 1}]\n"
                   "    profile: window\n"
                   "  - name: single\n    provider: openai\n    models: [single]\n"
                   "    limits: {rpm: 1M, in_flight: 1}\n"
                   "  - name: loose\n    provider: openai\n    models: [loose]\n"
                   "    limits: {rpm: 1M}\n    without_coordinator: open\n"
                   "routes:\n"
                   "  fast: openai/gpt-4o\n"
                   "  abroad: gemini/flash\n"
                   "  both: [openai/gpt-4o, gemini/flash]\n");
  daemon_start(&coordinator);
}

int set_up(void **state)
{
  char providers[256];
  (void)state;

  daemon_init(&coordinator);
  coordinator_start();
  run_start(&upstream, "WEIR_UPSTREAM_BIN", "--latency-ms", "1", "--chunk-ms", "1", NULL);
  upstream_port = port_of(&upstream);
  snprintf(providers, sizeof(providers),
           "openai=http://127.0.0.1:%u,anthropic=http://127.0.0.1:%u/,gemini=http://127.0.0.1:%u,"
           "other:openai=http://127.0.0.1:%u",
           upstream_port, upstream_port, upstream_port, upstream_port);
  setenv("WEIR_COORDINATOR", coordinator.endpoint, 1);
  setenv("WEIR_PROVIDERS", providers, 1);
  setenv("WEIR_LISTEN", "127.0.0.1:0", 1);
  setenv("WEIR_PROXY_TOKEN", "token", 1);
  setenv("WEIR_PROXY_RETRIES", "1", 1);
  setenv("OPENAI_API_KEY", "real-openai", 1);
  setenv("ANTHROPIC_API_KEY", "real-anthropic", 1);
  setenv("GEMINI_API_KEY", "real-gemini", 1);
  unsetenv("WEIR_PROXY_WITHOUT_COORDINATOR");
  unsetenv("WEIR_PROXY_SHARED_PORT");
  unsetenv("WEIR_PROXY_STALL_MS");
  unsetenv("WEIR_PROXY_CALL_LOG");
  unsetenv("WEIR_PRICES");
  unsetenv("WEIR_PROXY_SPOOL_DIR");
  unsetenv("WEIR_PROXY_SPOOL_MIB");
  unsetenv("WEIR_PROXY_UNKNOWN_MODELS");
  unsetenv("WEIR_PROXY_INSECURE_LISTEN");
  return 0;
}

int set_up_proxy(void **state)
{
  int err = set_up(state);

  proxy_start();
  return err;
}

int tear_down(void **state)
{
  struct run *runs[] = {&proxy, &second, &upstream};
  (void)state;

  for (size_t i = 0; i < 3; i++) {
    if (runs[i]->pid > 0) {
      run_kill(runs[i], SIGKILL);
      run_end(runs[i]);
    }
    memset(runs[i], 0, sizeof(*runs[i]));
  }
  daemon_fini(&coordinator);
  return 0;
}

/* ---- a provider that speaks as a test tells it ---- */

int provider_listener = -1, provider_fd = -1;

int set_up_provider(void **state)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(address);
  char text[192];
  unsigned port;

  set_up(state);
  provider_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* not the proxy's, too */
  assert_int_equal(bind(provider_listener, (struct sockaddr *)&address, size), 0);
  assert_int_equal(listen(provider_listener, 4), 0);
  assert_int_equal(getsockname(provider_listener, (struct sockaddr *)&address, &size), 0);
  port = ntohs(address.sin_port);
  snprintf(text, sizeof(text), "openai=http://127.0.0.1:%u,gemini=http://127.0.0.1:%u", port, port);
  setenv("WEIR_PROVIDERS", text, 1);
  proxy_start();
  provider_fd = -1;
  return 0;
}

int tear_down_provider(void **state)
{
  if (provider_fd >= 0)
    close(provider_fd);
  close(provider_listener);
  return tear_down(state);
}

void await_readable(int fd, const char *so_far)
{
  struct pollfd in = {.fd = fd, .events = POLLIN};

  if (poll(&in, 1, RUN_TIMEOUT_MS) != 1)
    fail_msg("nothing came; so far:\n%s", so_far);
}

/* What the proxy has in memory, without what stands in files, in KiB. */
unsigned long memory_kib(void)
{
  char path[64], line[128];
  unsigned long kib = 0;
  FILE *file;

  snprintf(path, sizeof(path), "/proc/%d/status", (int)proxy.pid);
  file = fopen(path, "r");
  assert_non_null(file);
  while (fgets(line, sizeof(line), file))
    (void)sscanf(line, "RssAnon: %lu", &kib);
  fclose(file);
  assert_true(kib > 0);
  return kib;
}
