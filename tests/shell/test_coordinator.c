/* The daemon as a whole: spawned, spoken to over its socket, signalled, killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon.h"

#define PROVIDER "providers: {g: {kind: gemini}}\n"
#define ROOMY    PROVIDER "pools: [{name: p, provider: g, models: m, limits: {rpm: 1000}}]\n"
#define ONE_A_SECOND                                                                               \
  PROVIDER "pools: [{name: p, provider: g, models: m, lease_ttl: 100ms, jitter: 0ms, "             \
           "limits: [{dimension: requests, window: 1s, amount: 1}]}]\n"

static int setup(void **state)
{
  *state = calloc(1, sizeof(struct daemon));
  if (*state == NULL)
    return -1;
  daemon_init(*state);
  return 0;
}

static int teardown(void **state)
{
  daemon_fini(*state);
  free(*state);
  return 0;
}

static void expect_grant(struct client *c, uint64_t seq)
{
  struct weir_msg msg;
  client_receive(c, &msg);
  assert_int_equal(msg.type, WEIR_MSG_GRANT);
  assert_int_equal(msg.grant.seq, seq);
  assert_string_equal(msg.grant.pool, "p");
  assert_string_equal(msg.grant.model, "g/m");
}

static void grants_an_ask_and_takes_its_settle(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, ROOMY);
  daemon_start(d);
  struct client c;
  client_init(&c, d, 1);
  client_hello(&c);
  assert_int_equal(c.epoch, 1);
  client_ask(&c, 1, WEIR_US_PER_S);
  expect_grant(&c, 1);
  struct weir_msg msg = {.type = WEIR_MSG_SETTLE};
  msg.settle.seq = 1;
  msg.settle.is_sent = msg.settle.is_final = msg.settle.has_usage = true;
  msg.settle.outcome = WEIR_OUTCOME_OK;
  msg.settle.http = 200;
  msg.settle.input_tokens = 9;
  client_send(&c, &msg);
  client_ping(&c);
  struct weir_msg show = {.type = WEIR_MSG_SHOW, .show = {.view = WEIR_VIEW_TOTALS}};
  client_send(&c, &show);
  client_receive(&c, &show);
  assert_int_equal(show.type, WEIR_MSG_ROW);
  assert_int_equal(show.row.counters[WEIR_COUNTER_GRANTS], 1);
  assert_int_equal(show.row.counters[WEIR_COUNTER_SETTLED], 1);
  client_fini(&c);
}

static void grants_a_queued_ask_when_the_window_frees(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, ONE_A_SECOND);
  daemon_start(d);
  struct client c;
  struct weir_msg msg;
  client_init(&c, d, 1);
  client_hello(&c);
  client_ask(&c, 1, 10 * WEIR_US_PER_S);
  client_ask(&c, 2, 10 * WEIR_US_PER_S);
  expect_grant(&c, 1);
  client_receive(&c, &msg);
  assert_int_equal(msg.type, WEIR_MSG_QUEUED);
  assert_int_equal(msg.queued.seq, 2);
  assert_in_range(msg.queued.eta_us, WEIR_US_PER_S / 2, 2 * WEIR_US_PER_S);
  for (;;) {                               /* the session needs pings while it waits */
    client_ask(&c, 2, 10 * WEIR_US_PER_S); /* a replay is answered again */
    client_receive(&c, &msg);
    if (msg.type == WEIR_MSG_GRANT)
      break;
    assert_int_equal(msg.type, WEIR_MSG_QUEUED);
  }
  assert_int_equal(msg.grant.seq, 2);
  client_fini(&c);
}

static void answers_a_repeated_ask_without_spending_twice(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, ROOMY);
  daemon_start(d);
  struct client c;
  client_init(&c, d, 1);
  client_hello(&c);
  for (int i = 0; i < 3; i++) {
    client_ask(&c, 7, WEIR_US_PER_S);
    expect_grant(&c, 7);
  }
  struct weir_msg show = {.type = WEIR_MSG_SHOW, .show = {.view = WEIR_VIEW_POOLS}};
  client_send(&c, &show);
  client_receive(&c, &show);
  assert_int_equal(show.type, WEIR_MSG_ROW);
  assert_int_equal(show.row.limits[0].used, 1);
  client_fini(&c);
}

static void refuses_a_session_that_it_does_not_know(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, ROOMY);
  daemon_start(d);
  struct client c;
  client_init(&c, d, 1);
  c.session = 12345;
  client_ask(&c, 1, WEIR_US_PER_S);
  struct weir_msg msg;
  client_receive(&c, &msg);
  assert_int_equal(msg.type, WEIR_MSG_REFUSE);
  assert_int_equal(msg.refuse.why, WEIR_REFUSAL_SESSION);
  client_fini(&c);
}

static void answers_many_messages_of_a_frame_in_one_frame(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, ROOMY);
  daemon_start(d);
  struct client c;
  client_init(&c, d, 1);
  client_hello(&c);
  uint8_t bytes[WEIR_FRAME_SIZE_MAX];
  size_t size = 0;
  for (int i = 0; i < 100; i++) {
    struct weir_msg ping = {.type = WEIR_MSG_PING, .session = c.session, .mark = ++c.mark};
    assert_int_equal(weir_codec_encode(&ping, bytes, sizeof bytes, &size), WEIR_OK);
  }
  client_send_bytes(&c, bytes, size, false);
  struct weir_msg msg;
  for (int i = 0; i < 100; i++) {
    client_receive(&c, &msg);
    assert_int_equal(msg.type, WEIR_MSG_PONG);
    assert_true(i == 99 ? c.offset == c.size : c.offset < c.size);
  }
  client_fini(&c);
}

static void takes_a_new_configuration_at_sighup(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, ROOMY);
  daemon_start(d);
  struct client c;
  struct weir_msg msg = {.type = WEIR_MSG_ASK};
  client_init(&c, d, 1);
  client_hello(&c);
  daemon_configure(d, ROOMY "routes: {fast: g/m}\n");
  daemon_signal(d, SIGHUP);
  daemon_wait_log(d, "event=reloaded");
  msg.ask = (struct weir_msg_ask){.seq = 1,
                                  .model = "fast",
                                  .class = WEIR_CLASS_ONLINE,
                                  .requests = 1,
                                  .deadline_us = WEIR_US_PER_S};
  client_send(&c, &msg);
  expect_grant(&c, 1);
  client_fini(&c);
}

static void keeps_the_old_configuration_when_the_new_one_is_bad(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, ROOMY);
  daemon_start(d);
  struct client c;
  client_init(&c, d, 1);
  client_hello(&c);
  daemon_configure(d, ROOMY "rotes: {}\nheartbeat: 5\n");
  daemon_signal(d, SIGHUP);
  daemon_wait_log(d, "unknown key 'rotes'; did you mean 'routes'?");
  daemon_wait_log(d, "heartbeat: '5' is not a valid duration");
  daemon_wait_log(d, "event=not_reloaded");
  client_ask(&c, 1, WEIR_US_PER_S);
  expect_grant(&c, 1);
  daemon_configure(d, ROOMY "bounds: {pools: 9}\n");
  daemon_signal(d, SIGHUP);
  daemon_wait_log(d, "'bounds' change only at a restart");
  daemon_wait_log(d, "event=reloaded");
  client_ping(&c);
  client_fini(&c);
}

static void assert_state(const struct daemon *d, const char *text)
{
  char content[600] = "";
  FILE *file = fopen(d->state, "r");
  assert_non_null(file);
  size_t size = fread(content, 1, sizeof content - 1, file);
  fclose(file);
  assert_true(size > 0);
  if (strstr(content, text) == NULL)
    fail_msg("\"%s\" is not in the state file:\n%s", text, content);
}

static void ends_cleanly_at_sigterm(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, ROOMY);
  daemon_start(d);
  assert_state(d, "\nclean 0\n");
  daemon_signal(d, SIGTERM);
  assert_int_equal(daemon_wait(d), 0);
  assert_state(d, "\nclean 1\n");
  assert_int_not_equal(access(d->endpoint + strlen("ipc://"), F_OK), 0);

  /* It granted nothing, so the next life has everything to give. */
  daemon_start(d);
  struct client c;
  client_init(&c, d, 1);
  client_hello(&c);
  assert_int_equal(c.epoch, 2);
  client_ask(&c, 1, 0);
  expect_grant(&c, 1);
  client_fini(&c);
}

static void takes_minutes_as_spent_after_a_kill(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, ROOMY);
  daemon_start(d);
  daemon_signal(d, SIGKILL);
  assert_int_equal(daemon_wait(d), 128 + SIGKILL);
  daemon_start(d); /* over the stale socket path, too */
  struct client c;
  struct weir_msg msg;
  client_init(&c, d, 1);
  client_hello(&c);
  assert_int_equal(c.epoch, 2);
  client_ask(&c, 1, 0);
  client_receive(&c, &msg);
  assert_int_equal(msg.type, WEIR_MSG_DENY);
  assert_int_equal(msg.deny.why, WEIR_DENIAL_DEADLINE);
  /* A minute after the longest hold: 10 s, and what stray rejections can add. */
  assert_in_range(msg.deny.retry_in_us, 50 * WEIR_US_PER_S, 71 * WEIR_US_PER_S);
  client_fini(&c);
}

/* A wall clock cannot be set in a test; that the kernel will tell of it can be seen. */
static void looks_at_the_wall_clock_every_half_minute_and_when_it_is_set(void **state)
{
  struct daemon *d = *state;
  struct client c;
  int found = 0;
  daemon_configure(d, ROOMY);
  daemon_start(d);
  client_init(&c, d, 1);
  client_hello(&c); /* answered after the first look */
  for (int fd = 0; fd < 64; fd++) {
    char path[64], text[1024] = "";
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)d->pid, fd);
    FILE *file = fopen(path, "r");
    if (file == NULL)
      continue;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *left = strstr(text, "it_value: (");
    if (strstr(text, "clockid: 0\n") == NULL || left == NULL)
      continue;
    found++;
    assert_non_null(strstr(text, "settime flags: 03\n")); /* absolute, told when it is set */
    assert_in_range(strtoul(left + strlen("it_value: ("), NULL, 10), 0, 30);
    assert_null(strstr(text, "it_value: (0, 0)"));
  }
  assert_int_equal(found, 1);
  client_fini(&c);
}

static void refuses_a_second_coordinator_on_the_same_state(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, ROOMY);
  daemon_start(d);
  struct daemon *second = calloc(1, sizeof *second);
  *second = *d;
  second->out_fd = -1;
  daemon_spawn(second, NULL);
  assert_int_equal(daemon_wait(second), 1);
  assert_non_null(strstr(second->log, "another weir-coordinator runs on this state file"));

  /* With a state of its own it still must not take the socket. */
  snprintf(second->state, sizeof second->state, "%s/other.state", d->folder);
  daemon_configure(second, ROOMY);
  daemon_spawn(second, NULL);
  assert_int_equal(daemon_wait(second), 1);
  assert_non_null(strstr(second->log, "somebody listens there already"));
  close(second->out_fd);
  free(second);
  struct client c;
  client_init(&c, d, 1);
  client_hello(&c);
  client_fini(&c);
}

static void refuses_tcp_without_keys(void **state)
{
  struct daemon *d = *state;
  snprintf(d->endpoint, sizeof d->endpoint, "tcp://127.0.0.1:*");
  daemon_configure(d, ROOMY);
  daemon_spawn(d, NULL);
  assert_int_equal(daemon_wait(d), 1);
  assert_non_null(strstr(d->log, "weir.yaml:1:9: listen: TCP needs keys"));
}

static void refuses_a_damaged_state_file_and_says_where(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, ROOMY);
  FILE *file = fopen(d->state, "w");
  assert_non_null(file);
  fputs("weir-state 1\nepoch 4x\n", file);
  assert_int_equal(fclose(file), 0);
  daemon_spawn(d, NULL);
  assert_int_equal(daemon_wait(d), 1);
  assert_non_null(strstr(d->log, "weir.state: damaged at byte 20 of 22"));
  daemon_spawn(d, "--assume-spent");
  daemon_wait_log(d, "event=ready");
  struct client c;
  struct weir_msg msg;
  client_init(&c, d, 1);
  client_hello(&c);
  assert_true(c.epoch > 1700000000);
  client_ask(&c, 1, 0);
  client_receive(&c, &msg);
  assert_int_equal(msg.type, WEIR_MSG_DENY);
  client_fini(&c);
}

static void holds_grants_while_the_state_file_cannot_be_written(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, "session_ttl: 5s\n" ROOMY);
  daemon_start(d);
  char blocker[128];
  snprintf(blocker, sizeof blocker, "%s.new", d->state);
  assert_int_equal(mkdir(blocker, 0700), 0); /* also root cannot write a folder */
  daemon_wait_log(d, "event=state_not_written");
  daemon_wait_log(d, "event=state_not_written"); /* a second later */
  daemon_wait_log(d, "event=state_not_written");
  struct client c;
  client_init(&c, d, 1);
  client_hello(&c);
  daemon_wait_log(d, "event=held");
  client_ask(&c, 1, WEIR_US_PER_MIN);
  struct weir_msg ping = {.type = WEIR_MSG_PING};
  client_send(&c, &ping);
  for (int second = 0; second < 7;
       second++) /* still no answer, and the session is older than its ttl */
    daemon_wait_log(d, "event=state_not_written");
  assert_int_equal(rmdir(blocker), 0);
  daemon_wait_log(d, "event=resumed");
  expect_grant(&c, 1);
  client_fini(&c);
}

static void expect_notice(int fd, const char *expected)
{
  char text[200] = "";
  assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
  assert_memory_equal(text, expected, strlen(expected));
}

static void tells_the_service_manager_how_it_is(void **state)
{
  struct daemon *d = *state;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s/other.state", d->folder);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
  struct timeval timeout = {.tv_sec = DAEMON_TIMEOUT_MS / 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  setenv("NOTIFY_SOCKET", address.sun_path, 1);
  daemon_configure(d, ROOMY);
  daemon_spawn(d, NULL);
  unsetenv("NOTIFY_SOCKET");
  expect_notice(fd, "READY=1");
  daemon_signal(d, SIGHUP);
  expect_notice(fd, "RELOADING=1\nMONOTONIC_USEC=");
  expect_notice(fd, "READY=1");
  daemon_signal(d, SIGTERM);
  expect_notice(fd, "STOPPING=1");
  assert_int_equal(daemon_wait(d), 0);
  close(fd);
}

static void checks_a_configuration_without_starting(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, ROOMY);
  daemon_spawn(d, "--check");
  assert_int_equal(daemon_wait(d), 0);
  assert_string_equal(d->log, "ok: 1 pools, 1 providers, 0 routes, 2 names, 0 budgets, 0 tenants\n"
                              "pool p: window; requests 1000/1m\n"
                              "pool p: breaker at 50% of 20 calls in 10s, open 5s..2m, 3 "
                              "probes within 30s, ramp 10s; retries 10%\n"
                              "pool p: growth 50% per 15m once it was too fast\n");
  daemon_configure(d, "pool: 1\n");
  daemon_spawn(d, "--check");
  assert_int_equal(daemon_wait(d), 1);
  assert_non_null(strstr(d->log, "weir.yaml:3:1: unknown key 'pool'; did you mean 'pools'?\n"));
  assert_non_null(strstr(d->log, "weir.yaml:1:1: 'providers' is missing"));
  daemon_spawn(d, "--chekc");
  assert_int_equal(daemon_wait(d), 2);
  daemon_spawn(d, "--version");
  assert_int_equal(daemon_wait(d), 0);
  assert_memory_equal(d->log, "weir-coordinator ", 17);
  assert_int_not_equal(access(d->state, F_OK), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(grants_an_ask_and_takes_its_settle),
      TEST(grants_a_queued_ask_when_the_window_frees),
      TEST(answers_a_repeated_ask_without_spending_twice),
      TEST(refuses_a_session_that_it_does_not_know),
      TEST(answers_many_messages_of_a_frame_in_one_frame),
      TEST(takes_a_new_configuration_at_sighup),
      TEST(keeps_the_old_configuration_when_the_new_one_is_bad),
      TEST(ends_cleanly_at_sigterm),
      TEST(takes_minutes_as_spent_after_a_kill),
      TEST(looks_at_the_wall_clock_every_half_minute_and_when_it_is_set),
      TEST(refuses_a_second_coordinator_on_the_same_state),
      TEST(refuses_tcp_without_keys),
      TEST(refuses_a_damaged_state_file_and_says_where),
      TEST(holds_grants_while_the_state_file_cannot_be_written),
      TEST(tells_the_service_manager_how_it_is),
      TEST(checks_a_configuration_without_starting),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
