/* A coordinator with a store, as a process: killed, stopped, with a full disk, and what `weir
 * store` does with its file. */
#define _GNU_SOURCE /* prlimit */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/rng.h>

#include "daemon.h"
#include "run.h"

static struct run run; /* large */

#define WEIR(...) (run_start(&run, "WEIR_BIN", __VA_ARGS__, NULL), run_end(&run))

/* A day of openai is any 24 hours: none ends during a test. */
#define DAILY(amount)                                                                              \
  "providers: {g: {kind: openai}}\n"                                                               \
  "pools: [{name: p, provider: g, models: m, limits: {rpd: " #amount "}}]\n"
#define DEADLINE_US (20 * WEIR_US_PER_S)

static int setup(void **state)
{
  struct daemon *d = calloc(1, sizeof *d);
  *state = d;
  if (d == NULL)
    return -1;
  daemon_init(d);
  daemon_store(d);
  return 0;
}

static int teardown(void **state)
{
  daemon_fini(*state);
  free(*state);
  return 0;
}

/* Asks |count| times at once and counts grants; those that would have to wait are denied. */
static uint32_t ask_some(struct daemon *d, uint32_t count)
{
  struct client c;
  struct weir_msg msg;
  uint32_t grants = 0, answers = 0;
  client_init(&c, d, 1);
  client_hello(&c);
  for (uint32_t i = 0; i < count; i++)
    client_ask(&c, i + 1, DEADLINE_US);
  while (answers < count) {
    client_receive(&c, &msg);
    grants += msg.type == WEIR_MSG_GRANT;
    answers += msg.type == WEIR_MSG_GRANT || msg.type == WEIR_MSG_DENY;
  }
  client_fini(&c);
  return grants;
}

static void kill_daemon(struct daemon *d)
{
  daemon_signal(d, SIGKILL);
  assert_int_equal(daemon_wait(d), 128 + SIGKILL);
}

static void end_daemon(struct daemon *d)
{
  daemon_signal(d, SIGTERM);
  assert_int_equal(daemon_wait(d), 0);
}

static void goes_on_counting_where_a_killed_life_stopped(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, DAILY(40));
  daemon_start(d);
  uint32_t grants = ask_some(d, 20);
  assert_int_equal(grants, 20);
  kill_daemon(d);
  daemon_start(d);
  assert_non_null(strstr(d->log, "past=unclean"));
  uint32_t more = ask_some(d, 40);
  assert_in_range(more, 10, 20); /* a reserve may be lost, but not the rest of the day */
  end_daemon(d);
  daemon_start(d);
  assert_non_null(strstr(d->log, "past=clean"));
  assert_in_range(grants + more + ask_some(d, 40), 30, 40);
}

/* The whole point, at any instant: what is granted in one life is known in the next. */
static void never_grants_more_than_a_day_holds_through_many_kills(void **state)
{
  struct daemon *d = *state;
  struct weir_rng rng;
  uint32_t grants = 0;
  weir_rng_init(&rng, 11);
  daemon_configure(d, DAILY(200));
  for (int life = 0; life < 25; life++) {
    struct client c;
    struct weir_msg msg;
    daemon_start(d);
    client_init(&c, d, 1);
    client_hello(&c);
    for (uint32_t i = 0; i < 30; i++)
      client_ask(&c, i + 1, DEADLINE_US);
    uint32_t until = (uint32_t)weir_rng_below(&rng, 25), answers = 0;
    while (answers < until) {
      client_receive(&c, &msg);
      grants += msg.type == WEIR_MSG_GRANT;
      answers += msg.type == WEIR_MSG_GRANT || msg.type == WEIR_MSG_DENY;
    }
    kill_daemon(d);
    client_fini(&c);
  }
  daemon_start(d);
  grants += ask_some(d, 250);
  assert_true(grants <= 200);
}

static void grants_nothing_that_it_cannot_record(void **state)
{
  struct daemon *d = *state;
  struct rlimit limit;
  struct client c;
  struct weir_msg msg;
  daemon_configure(d, DAILY(40));
  daemon_start(d);
  client_init(&c, d, 1);
  client_hello(&c);
  assert_int_equal(prlimit(d->pid, RLIMIT_FSIZE, NULL, &limit), 0);
  rlim_t before = limit.rlim_cur;
  limit.rlim_cur = 0;
  assert_int_equal(prlimit(d->pid, RLIMIT_FSIZE, &limit, NULL), 0);
  for (uint32_t i = 0; i < 40; i++)
    client_ask(&c, i + 1, DEADLINE_US);
  daemon_wait_log(d, "event=store why=");
  daemon_wait_log(d, "event=store why="); /* it tries again, and serves everything else */
  uint32_t granted = 0, answers = 0;
  struct weir_msg ping = {.type = WEIR_MSG_PING};
  client_send(&c, &ping);
  do {
    client_receive(&c, &msg);
    granted += msg.type == WEIR_MSG_GRANT;
    answers += msg.type == WEIR_MSG_GRANT || msg.type == WEIR_MSG_DENY;
  } while (msg.type != WEIR_MSG_PONG);
  assert_in_range(granted, 0, 1); /* no more than was recorded ahead, at the start */
  limit.rlim_cur = before;
  assert_int_equal(prlimit(d->pid, RLIMIT_FSIZE, &limit, NULL), 0);
  daemon_wait_log(d, "written again");
  while (answers < 40) {
    client_receive(&c, &msg);
    granted += msg.type == WEIR_MSG_GRANT;
    answers += msg.type == WEIR_MSG_GRANT || msg.type == WEIR_MSG_DENY;
  }
  assert_in_range(granted, 30, 40);
  client_fini(&c);
  end_daemon(d);
}

static void lets_nobody_touch_the_store_of_a_running_coordinator(void **state)
{
  static const char *const verbs[] = {"verify", "dump", "repair", "assume-spent"};
  struct daemon *d = *state;
  daemon_configure(d, DAILY(40));
  daemon_start(d);
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(WEIR("store", verbs[i], d->store), 1);
    assert_non_null(strstr(run.err, "in use"));
    assert_non_null(strstr(run.err, "stop it"));
  }
  struct daemon *second = calloc(1, sizeof *second);
  assert_non_null(second);
  daemon_init(second);
  memcpy(second->store, d->store, sizeof second->store);
  daemon_configure(second, DAILY(40));
  daemon_spawn(second, NULL);
  assert_int_equal(daemon_wait(second), 1);
  assert_non_null(strstr(second->log, "in use"));
  daemon_fini(second);
  free(second);
  end_daemon(d);
}

/* Breaks the first byte of a name in the file that stands in a row. */
static void break_row(const struct daemon *d)
{
  static char bytes[1 << 20];
  FILE *file = fopen(d->store, "r+b");
  assert_non_null(file);
  size_t size = fread(bytes, 1, sizeof bytes, file), at = 0;
  while (at + 6 < size && memcmp(bytes + at, "pool p", 6) != 0)
    at++;
  assert_true(at + 6 < size);
  assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
  assert_int_equal(fputc('P', file), 'P');
  assert_int_equal(fclose(file), 0);
}

static void refuses_a_damaged_store_until_it_is_repaired(void **state)
{
  struct daemon *d = *state;
  daemon_configure(d, DAILY(40));
  daemon_start(d);
  assert_int_equal(ask_some(d, 10), 10);
  end_daemon(d);
  assert_int_equal(WEIR("store", "verify", d->store), 0);
  break_row(d);
  daemon_spawn(d, NULL);
  assert_int_equal(daemon_wait(d), 1);
  assert_non_null(strstr(d->log, "checksum does not match"));
  assert_non_null(strstr(d->log, "weir store repair "));
  assert_int_equal(WEIR("store", "verify", d->store), 1);
  assert_non_null(strstr(run.out, "checksum does not match"));
  assert_int_equal(WEIR("store", "verify", "--json", d->store), 1);
  size_t values = 0;
  assert_true(run_is_json(run.out, &values) && values == 1);
  assert_int_equal(WEIR("store", "backup", d->store, "/nowhere"), 1);
  assert_int_equal(WEIR("store", "repair", d->store), 0);
  assert_int_equal(WEIR("store", "verify", d->store), 0);
  daemon_start(d);
  assert_non_null(strstr(d->log, "past=spent"));
}

static void shows_and_copies_what_a_stopped_coordinator_left(void **state)
{
  struct daemon *d = *state;
  char copy[160];
  size_t values = 0;
  daemon_configure(d, DAILY(40));
  daemon_start(d);
  assert_int_equal(ask_some(d, 10), 10);
  end_daemon(d);
  assert_int_equal(WEIR("store", "dump", d->store), 0);
  assert_non_null(strstr(run.out, "ended in order\n"));
  assert_non_null(strstr(run.out, "limit of pool p, item "));
  assert_int_equal(WEIR("store", "dump", d->store, "--json"), 0);
  assert_true(run_is_json(run.out, &values) && values == 1);
  assert_non_null(strstr(run.out, "\"kind\":\"limit\",\"owner\":\"pool p\""));
  snprintf(copy, sizeof copy, "%s/copy.db", d->folder);
  assert_int_equal(WEIR("store", "backup", d->store, copy), 0);
  assert_int_equal(WEIR("store", "dump", copy), 0);
  assert_non_null(strstr(run.out, "takes windows of up to an hour as used up\n"));
  assert_int_equal(WEIR("store", "assume-spent", d->store, "--json"), 0);
  assert_true(run_is_json(run.out, &values) && values == 1);
  daemon_start(d);
  assert_non_null(strstr(d->log, "past=spent"));
  assert_in_range(ask_some(d, 40), 20, 30); /* the day is still known */
}

static void knows_its_own_command_line(void **state)
{
  (void)state;
  assert_int_equal(WEIR("store"), 2);
  assert_int_equal(WEIR("store", "verfy", "x"), 2);
  assert_non_null(strstr(run.err, "did you mean 'verify'?"));
  assert_int_equal(WEIR("store", "verify"), 2);
  assert_int_equal(WEIR("store", "verify", "a", "b"), 2);
  assert_int_equal(WEIR("store", "backup", "a"), 2);
  assert_int_equal(WEIR("store", "dump", "/nowhere/weir.db"), 1);
  assert_non_null(strstr(run.err, "is not there"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(goes_on_counting_where_a_killed_life_stopped),
      TEST(never_grants_more_than_a_day_holds_through_many_kills),
      TEST(grants_nothing_that_it_cannot_record),
      TEST(lets_nobody_touch_the_store_of_a_running_coordinator),
      TEST(refuses_a_damaged_store_until_it_is_repaired),
      TEST(shows_and_copies_what_a_stopped_coordinator_left),
      TEST(knows_its_own_command_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
