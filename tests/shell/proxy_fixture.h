/* proxy_fixture.h - weir-proxy between raw HTTP clients, a real coordinator and the simulated
 * provider, all as processes on loopback.
 */
#ifndef WEIR_TESTS_PROXY_FIXTURE_H
#define WEIR_TESTS_PROXY_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon.h"
#include "run.h"

#define PROXY_ANSWER_MAX ((size_t)1 << 20)

extern struct daemon coordinator;
extern struct run upstream, proxy, second;
extern uint16_t upstream_port, proxy_port;

extern char answer[PROXY_ANSWER_MAX]; /* all that the last client has read */
extern size_t answer_size;

#define assert_holds(text, part)                                                                   \
  do {                                                                                             \
    if (!strstr(text, part))                                                                       \
      fail_msg("no '%s' in:\n%s", part, text);                                                     \
  } while (0)

#define assert_lacks(text, part)                                                                   \
  do {                                                                                             \
    if (strstr(text, part))                                                                        \
      fail_msg("'%s' in:\n%s", part, text);                                                        \
  } while (0)

#define TOKEN "Authorization: Bearer token\r\n"
#define CHAT(more)                                                                                 \
  "{\"model\":\"gpt-4o\",\"max_tokens\":20," more                                                  \
  "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"

/* http_open connects to |port| of the loopback, and forgets the last answer; -1 when nobody
 * listens. */
int http_open(uint16_t port);

/* http_write sends |text|, all of it. */
void http_write(int fd, const char *text);

/* http_read adds to |answer| what comes next; false at the end. It waits at most RUN_TIMEOUT_MS. */
bool http_read(int fd);

/* http_await reads until |answer| holds |text|. */
void http_await(int fd, const char *text);

/* http_end reads to the end, closes, and returns the status. */
int http_end(int fd);

/* http_ask sends a request whose connection ends with its answer; |headers| are whole lines. */
void http_ask(int fd, const char *method, const char *target, const char *headers,
              const char *body);

/* ask does all of it, and returns the status. */
int ask(uint16_t port, const char *method, const char *target, const char *headers,
        const char *body);

/* chat asks the proxy for a chat completion. */
int chat(const char *headers, const char *body);

/* script tells the simulated provider how to behave. */
void script(const char *json);

/* counted returns the sum of what the provider has counted as |name|. */
unsigned long counted(const char *name);

/* stat_of returns the proxy's own counter. */
unsigned long stat_of(const char *name);

/* write_file makes a file of |text|. */
void write_file(const char *path, const char *text);

/* port_of returns the port that a program says it listens on. */
uint16_t port_of(struct run *run);

/* proxy_start starts the proxy with the environment as it is. */
void proxy_start(void);

/* coordinator_start starts the coordinator. */
void coordinator_start(void);

/* set_up starts coordinator and provider, and sets the environment for a proxy. */
int set_up(void **state);

/* set_up_proxy starts the proxy, too. */
int set_up_proxy(void **state);

/* tear_down kills what is left. */
int tear_down(void **state);

/* Where a provider listens that speaks as the test tells it, and its connection; -1: none. */
extern int provider_listener, provider_fd;

/* set_up_provider starts the proxy before such a provider of openai and gemini. */
int set_up_provider(void **state);

/* tear_down_provider kills what is left, and closes. */
int tear_down_provider(void **state);

/* await_readable fails when nothing comes, and shows what came |so_far|. */
void await_readable(int fd, const char *so_far);

/* memory_kib returns what the proxy has in memory, without what stands in files. */
unsigned long memory_kib(void);

#endif
