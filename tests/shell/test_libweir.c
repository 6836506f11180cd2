/* libweir's leases over real sockets, against a coordinator that does as it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_coordinator.h"
#include "sanitizer.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir.h>

#define WAIT_MS 30000

static struct fake_coordinator f; /* too large for a stack */

static struct weir *open_session(void)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir *weir = NULL;

  options.coordinator = f.endpoint;
  options.name = "test";
  options.max_wait_ms = WAIT_MS;
  assert_int_equal(weir_open(&options, &weir), WEIR_OK);
  return weir;
}

static struct weir_ask ask_of(uint64_t max_wait_ms)
{
  struct weir_ask ask = WEIR_INIT(struct weir_ask);

  ask.model = "gemini/flash";
  ask.input_tokens = 100;
  ask.output_tokens = 10;
  ask.max_wait_ms = max_wait_ms;
  return ask;
}

static int acquire(struct weir *weir, struct weir_lease *lease)
{
  const struct weir_ask ask = ask_of(0);

  *lease = (struct weir_lease)WEIR_INIT(struct weir_lease);
  return weir_acquire(weir, &ask, lease);
}

static void wait_readable(int fd)
{
  struct pollfd item = {.fd = fd, .events = POLLIN};

  assert_int_equal(poll(&item, 1, FAKE_TIMEOUT_MS), 1);
}

static bool is_readable(int fd)
{
  struct pollfd item = {.fd = fd, .events = POLLIN};

  return poll(&item, 1, 0) == 1;
}

/* ---- leases ---- */

static void a_denial_of_calls_in_flight_names_no_window(void **state)
{
  const struct weir_denied denied = {
      .why = WEIR_DENIAL_TOO_LARGE, .dimension = WEIR_DIMENSION_IN_FLIGHT, .cost = 9, .amount = 8};
  char text[200];

  (void)state;
  assert_string_equal(weir_denial_text(&denied, text, sizeof(text)),
                      "asks 9 calls in flight, the limit is 8: split it");
}

/* A program that was built before the last members of the structs were added. */
static void the_structs_of_an_older_program_are_understood(void **state)
{
  struct weir *weir;
  struct weir_ask ask = ask_of(0);
  struct weir_lease lease = WEIR_INIT(struct weir_lease);
  struct weir_settlement settlement = WEIR_INIT(struct weir_settlement);
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir_msg_settle settle;

  (void)state;
  fake_init(&f, FAKE_GRANT);
  pthread_mutex_lock(&f.lock);
  f.wants_reports = true;
  pthread_mutex_unlock(&f.lock);
  options.size = offsetof(struct weir_options, wallet_max);
  options.coordinator = f.endpoint;
  options.max_wait_ms = WAIT_MS;
  options.wallet_max = UINT32_MAX;
  assert_int_equal(weir_open(&options, &weir), WEIR_OK);
  ask.tenant = "not there for it";
  ask.size = offsetof(struct weir_ask, tenant);
  lease.size = offsetof(struct weir_lease, is_reported);
  lease.is_reported = 77;
  assert_int_equal(weir_acquire(weir, &ask, &lease), WEIR_OK);
  assert_int_equal(lease.size, offsetof(struct weir_lease, is_reported));
  assert_int_equal(lease.is_reported, 77);
  assert_string_equal(lease.model, "gemini/flash");
  assert_string_equal(fake_get(&f, WEIR_MSG_ASK, 0).ask.tenant, "");
  settlement.size = offsetof(struct weir_settlement, stated_limit);
  settlement.has_usage = 1;
  settlement.input_tokens = 90;
  settlement.stated_limit = 5;
  assert_int_equal(weir_settle(weir, &lease, &settlement), WEIR_OK);
  settle = fake_get(&f, WEIR_MSG_SETTLE, 0).settle;
  assert_int_equal(settle.input_tokens, 90);
  assert_int_equal(settle.stated_limit, 0);
  weir_close(weir);
  fake_fini(&f);
}

/* Asks of acquires, in [0], and of leases ahead of need, in [1]. */
static void count_asks(uint32_t ret_counts[2])
{
  ret_counts[0] = ret_counts[1] = 0;
  pthread_mutex_lock(&f.lock);
  for (uint32_t i = 0; i < f.received_count; i++) {
    if (f.received[i].type == WEIR_MSG_ASK)
      ret_counts[f.received[i].ask.is_standing]++;
  }
  pthread_mutex_unlock(&f.lock);
}

static void steady_acquires_find_leases_that_were_taken_ahead(void **state)
{
  struct weir *weir;
  struct weir_lease lease;
  uint32_t acquires = 0, asks[2];

  (void)state;
  fake_init(&f, FAKE_GRANT);
  weir = open_session();
  do {
    assert_int_equal(acquire(weir, &lease), WEIR_OK);
    assert_int_equal(weir_settle(weir, &lease, NULL), WEIR_OK);
    count_asks(asks);
  } while (asks[0] == ++acquires && acquires < 300);
  assert_true(asks[0] < acquires);
  assert_true(asks[1] > 0);
  weir_close(weir);
  fake_fini(&f);
}

static void without_a_wallet_each_acquire_asks(void **state)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir *weir;
  struct weir_lease lease;
  uint32_t asks[2];

  (void)state;
  fake_init(&f, FAKE_GRANT);
  options.coordinator = f.endpoint;
  options.max_wait_ms = WAIT_MS;
  options.wallet_max = 65;
  assert_int_equal(weir_open(&options, &weir), WEIR_ERANGE);
  options.wallet_max = 64;
  options.is_without_wallet = 1;
  assert_int_equal(weir_open(&options, &weir), WEIR_OK);
  for (int i = 0; i < 50; i++) {
    assert_int_equal(acquire(weir, &lease), WEIR_OK);
    assert_int_equal(weir_settle(weir, &lease, NULL), WEIR_OK);
  }
  count_asks(asks);
  assert_int_equal(asks[0], 50);
  assert_int_equal(asks[1], 0);
  weir_close(weir);
  fake_fini(&f);
}

static void a_reported_lease_says_so_and_takes_what_upstream_states(void **state)
{
  struct weir *weir;
  struct weir_ask ask = ask_of(0);
  struct weir_lease lease = WEIR_INIT(struct weir_lease);
  struct weir_settlement settlement = WEIR_INIT(struct weir_settlement);
  struct weir_msg_settle settle;

  (void)state;
  fake_init(&f, FAKE_GRANT);
  pthread_mutex_lock(&f.lock);
  f.wants_reports = true;
  pthread_mutex_unlock(&f.lock);
  weir = open_session();
  ask.tenant = "search";
  assert_int_equal(weir_acquire(weir, &ask, &lease), WEIR_OK);
  assert_int_equal(lease.is_reported, 1);
  assert_string_equal(fake_get(&f, WEIR_MSG_ASK, 0).ask.tenant, "search");
  settlement.is_interim = 1;
  settlement.sent_us = weir_now_us();
  assert_int_equal(weir_settle(weir, &lease, &settlement), WEIR_OK);
  settle = fake_get(&f, WEIR_MSG_SETTLE, 0).settle;
  assert_true(settle.is_sent && !settle.is_final && !settle.has_usage);
  settlement.is_interim = 0;
  settlement.outcome = WEIR_OUTCOME_QUOTA_DAY_TOKENS;
  settlement.stated_limit = UINT64_MAX;
  assert_int_equal(weir_settle(weir, &lease, &settlement), WEIR_ERANGE);
  settlement.stated_limit = 1;
  settlement.stated_used = 2;
  settlement.requests_limit = 3;
  settlement.requests_left = 4;
  settlement.tokens_limit = 5;
  settlement.tokens_left = 6;
  assert_int_equal(weir_settle(weir, &lease, &settlement), WEIR_OK);
  settle = fake_get(&f, WEIR_MSG_SETTLE, 1).settle;
  assert_true(settle.is_final);
  assert_int_equal(settle.stated_limit, 1);
  assert_int_equal(settle.stated_used, 2);
  assert_int_equal(settle.requests_limit, 3);
  assert_int_equal(settle.requests_left, 4);
  assert_int_equal(settle.tokens_limit, 5);
  assert_int_equal(settle.tokens_left, 6);
  weir_close(weir);
  fake_fini(&f);
}

static void a_lease_is_acquired_and_settled(void **state)
{
  struct weir *weir;
  struct weir_lease lease;
  struct weir_settlement settlement = WEIR_INIT(struct weir_settlement);
  struct weir_msg msg;
  uint64_t before;

  (void)state;
  fake_init(&f, FAKE_GRANT);
  weir = open_session();
  before = weir_now_us();
  assert_int_equal(acquire(weir, &lease), WEIR_OK);
  assert_string_equal(lease.model, "gemini/flash");
  assert_string_equal(lease.pool, "pool");
  assert_in_range(lease.expires_us, before, weir_now_us() + f.ttl_us);
  msg = fake_get(&f, WEIR_MSG_ASK, 0);
  assert_int_equal(msg.ask.input_tokens, 100);
  assert_int_equal(msg.ask.class, WEIR_CLASS_ONLINE);
  assert_int_equal(msg.ask.requests, 1);

  settlement.sent_us = weir_now_us();
  settlement.http = 200;
  settlement.has_usage = 1;
  settlement.input_tokens = 77;
  settlement.output_tokens = 5;
  assert_int_equal(weir_settle(weir, &lease, &settlement), WEIR_OK);
  msg = fake_wait(&f, WEIR_MSG_SETTLE, 1);
  assert_true(msg.settle.is_sent && msg.settle.is_final && msg.settle.has_usage);
  assert_int_equal(msg.settle.input_tokens, 77);
  assert_int_equal(msg.settle.outcome, WEIR_OUTCOME_OK);
  assert_int_equal(weir_settle(weir, &lease, &settlement), WEIR_ENOENT);
  weir_close(weir);
  fake_fini(&f);
}

static void a_result_makes_the_descriptor_readable_until_it_is_taken(void **state)
{
  struct weir *weir;
  struct weir_ask ask = ask_of(0);
  struct weir_lease lease = WEIR_INIT(struct weir_lease);
  uint64_t ids[3];
  int fd;

  (void)state;
  fake_init(&f, FAKE_GRANT);
  weir = open_session();
  fd = weir_fd(weir);
  assert_true(fd >= 0);
  assert_int_equal(weir_acquire_next(weir, &lease), WEIR_EAGAIN);
  assert_false(is_readable(fd));
  for (int i = 0; i < 3; i++)
    assert_int_equal(weir_acquire_start(weir, &ask, &ids[i]), WEIR_OK);
  for (int i = 0; i < 3; i++) {
    wait_readable(fd);
    assert_int_equal(weir_acquire_next(weir, &lease), WEIR_OK);
    assert_int_equal(lease.err, WEIR_OK);
    assert_int_equal(lease.id, ids[i]);
    assert_int_equal(weir_settle(weir, &lease, NULL), WEIR_OK);
  }
  assert_false(is_readable(fd));
  weir_close(weir);
  fake_fini(&f);
}

static void a_cancelled_acquire_says_so(void **state)
{
  struct weir *weir;
  struct weir_ask ask = ask_of(0);
  struct weir_lease lease = WEIR_INIT(struct weir_lease);
  uint64_t id;

  (void)state;
  fake_init(&f, FAKE_QUEUE);
  weir = open_session();
  assert_int_equal(weir_cancel(weir, 1), WEIR_ENOENT);
  assert_int_equal(weir_acquire_start(weir, &ask, &id), WEIR_OK);
  fake_wait(&f, WEIR_MSG_ASK, 1);
  assert_int_equal(weir_cancel(weir, id), WEIR_OK);
  assert_int_equal(weir_acquire_next(weir, &lease), WEIR_OK);
  assert_int_equal(lease.err, WEIR_ECANCELLED);
  assert_int_equal(lease.id, id);
  fake_wait(&f, WEIR_MSG_CANCEL, 1);
  assert_int_equal(weir_cancel(weir, id), WEIR_ENOENT);
  weir_close(weir);
  fake_fini(&f);
}

static void a_denial_comes_with_its_numbers_and_a_sentence(void **state)
{
  struct weir *weir;
  struct weir_lease lease;
  char text[200];

  (void)state;
  fake_init(&f, FAKE_DENY);
  weir = open_session();
  assert_int_equal(acquire(weir, &lease), WEIR_EDENIED);
  assert_int_equal(lease.err, WEIR_EDENIED);
  assert_int_equal(lease.denied.why, WEIR_DENIAL_TOO_LARGE);
  assert_true(lease.denied.retry_in_ms == UINT64_MAX);
  assert_string_equal(weir_denial_text(&lease.denied, text, sizeof(text)),
                      "asks 1,310,720 input tokens, the limit is 1,000,000 per minute: split it");
  weir_close(weir);
  fake_fini(&f);
}

static void without_a_coordinator_an_acquire_ends_at_its_deadline(void **state)
{
  struct weir *weir;
  const struct weir_ask ask = ask_of(50);
  struct weir_lease lease = WEIR_INIT(struct weir_lease);

  (void)state;
  fake_init(&f, FAKE_GRANT);
  fake_stop(&f);
  weir = open_session();
  assert_int_equal(weir_acquire(weir, &ask, &lease), WEIR_EUNREACHABLE);
  assert_true(lease.wait_us >= 50000);
  weir_close(weir);
  fake_fini(&f);
}

static void a_place_in_the_queue_that_comes_too_late_is_a_timeout(void **state)
{
  struct weir *weir;
  const struct weir_ask ask = ask_of(2000);
  struct weir_lease lease = WEIR_INIT(struct weir_lease);

  (void)state;
  fake_init(&f, FAKE_QUEUE);
  weir = open_session();
  assert_int_equal(weir_acquire(weir, &ask, &lease), WEIR_ETIMEOUT);
  assert_int_equal(lease.is_queued, 1);
  weir_close(weir);
  fake_fini(&f);
}

static void wrong_arguments_are_refused(void **state)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir_ask ask = ask_of(0);
  struct weir_lease lease = WEIR_INIT(struct weir_lease);
  struct weir_provider provider = WEIR_INIT(struct weir_provider);
  struct weir *weir;

  (void)state;
  options.coordinator = "/run/weir.sock";
  assert_int_equal(weir_open(&options, &weir), WEIR_ECONFIG);
  options.coordinator = "tcp://127.0.0.1:1";
  assert_int_equal(weir_open(&options, &weir), WEIR_ECONFIG); /* without keys */
  options.coordinator = "ipc:///nowhere/weir.sock";
  options.name = "two\nlines";
  assert_int_equal(weir_open(&options, &weir), WEIR_EINVAL);
  options.name = NULL;
  options.max_wait_ms = WEIR_WAIT_MAX_MS + 1;
  assert_int_equal(weir_open(&options, &weir), WEIR_ERANGE);
  options.max_wait_ms = 0;
  options.size--;
  assert_int_equal(weir_open(&options, &weir), WEIR_EINVAL);
  options.size++;
  assert_int_equal(weir_open(&options, NULL), WEIR_EINVAL);
  assert_int_equal(weir_open(&options, &weir), WEIR_OK);

  ask.model = "";
  assert_int_equal(weir_acquire(weir, &ask, &lease), WEIR_EINVAL);
  ask.model = "a-model-name-that-is-longer-than-any-that-fits-into-one-of-its-messages";
  assert_int_equal(weir_acquire(weir, &ask, &lease), WEIR_EINVAL);
  ask.model = "m";
  ask.input_tokens = (UINT64_C(1) << 30) + 1;
  assert_int_equal(weir_acquire(weir, &ask, &lease), WEIR_ERANGE);
  ask.input_tokens = 0;
  ask.tenant = "a-tenant-of-32-printable-letters";
  assert_int_equal(weir_acquire(weir, &ask, &lease), WEIR_EINVAL);
  ask.tenant = "caf\xc3\xa9";
  assert_int_equal(weir_acquire(weir, &ask, &lease), WEIR_EINVAL);
  ask.tenant = NULL;
  ask.size++;
  assert_int_equal(weir_acquire(weir, &ask, &lease), WEIR_EINVAL);
  ask.size--;
  lease.size = 0;
  assert_int_equal(weir_acquire(weir, &ask, &lease), WEIR_EINVAL);

  provider.name = "with/slash";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_EINVAL);
  provider.name = "mine";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_ECONFIG); /* of which kind? */
  provider.kind = "compatible";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_ECONFIG); /* where? */
  provider.base_url = "ftp://example.org";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_ECONFIG);
  provider.base_url = "http://example.org/v1/";
  provider.key = "with\r\nheader: line";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_ECONFIG);
  provider.key = NULL;
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
  weir_close(weir);
  weir_close(NULL);
  weir_drain(NULL);
}

/* ---- the coordinator fails ---- */

static void who_waits_survives_a_restart_of_the_coordinator(void **state)
{
  struct weir *weir;
  struct weir_ask ask = ask_of(0);
  struct weir_lease lease = WEIR_INIT(struct weir_lease);
  uint64_t id, seq;

  (void)state;
  fake_init(&f, FAKE_QUEUE);
  weir = open_session();
  assert_int_equal(weir_acquire_start(weir, &ask, &id), WEIR_OK);
  seq = fake_wait(&f, WEIR_MSG_ASK, 1).ask.seq;
  fake_stop(&f);
  fake_start(&f, FAKE_GRANT);
  assert_int_equal(fake_wait(&f, WEIR_MSG_ASK, 2).ask.seq, seq);
  wait_readable(weir_fd(weir));
  assert_int_equal(weir_acquire_next(weir, &lease), WEIR_OK);
  assert_int_equal(lease.err, WEIR_OK);
  assert_int_equal(lease.id, id);
  weir_close(weir);
  fake_fini(&f);
}

static void a_settlement_survives_a_restart_of_the_coordinator(void **state)
{
  struct weir *weir;
  struct weir_lease lease;

  (void)state;
  fake_init(&f, FAKE_GRANT);
  weir = open_session();
  assert_int_equal(acquire(weir, &lease), WEIR_OK);
  fake_stop(&f);
  assert_int_equal(weir_settle(weir, &lease, NULL), WEIR_OK);
  fake_start(&f, FAKE_GRANT);
  assert_false(fake_wait(&f, WEIR_MSG_SETTLE, 1).settle.is_sent);
  weir_close(weir);
  fake_fini(&f);
}

static void garbage_from_the_coordinator_is_passed_over(void **state)
{
  struct weir *weir;
  struct weir_lease lease;

  (void)state;
  fake_init(&f, FAKE_GRANT);
  pthread_mutex_lock(&f.lock);
  f.talks_garbage = true;
  pthread_mutex_unlock(&f.lock);
  weir = open_session();
  for (int i = 0; i < 20; i++) {
    assert_int_equal(acquire(weir, &lease), WEIR_OK);
    assert_int_equal(weir_settle(weir, &lease, NULL), WEIR_OK);
  }
  weir_close(weir);
  fake_fini(&f);
}

static void keep_log(void *context, enum weir_level level, const char *text)
{
  char *log = context;

  if (level == WEIR_LEVEL_ERROR && strlen(log) + strlen(text) < 1000)
    strcat(log, text);
}

static void a_coordinator_of_another_protocol_ends_the_wait_and_is_named(void **state)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir *weir;
  struct weir_lease lease;
  char log[1000] = "";

  (void)state;
  fake_init(&f, FAKE_VERSION);
  options.coordinator = f.endpoint;
  options.log = keep_log;
  options.log_context = log;
  assert_int_equal(weir_open(&options, &weir), WEIR_OK);
  assert_int_equal(acquire(weir, &lease), WEIR_EUNREACHABLE); /* long before its deadline */
  weir_close(weir);
  assert_non_null(strstr(log, f.endpoint));
  assert_non_null(strstr(log, "version"));
  fake_fini(&f);
}

/* ---- closing ---- */

struct blocked {
  struct weir *weir;
  int err;
};

static void *acquire_blocked(void *argument)
{
  struct blocked *blocked = argument;
  struct weir_lease lease;

  blocked->err = acquire(blocked->weir, &lease);
  return NULL;
}

static void closing_wakes_who_is_blocked_and_says_goodbye(void **state)
{
  struct blocked blocked = {0};
  pthread_t thread;

  (void)state;
  fake_init(&f, FAKE_QUEUE);
  blocked.weir = open_session();
  assert_int_equal(pthread_create(&thread, NULL, acquire_blocked, &blocked), 0);
  fake_wait(&f, WEIR_MSG_ASK, 1);
  weir_close(blocked.weir);
  pthread_join(thread, NULL);
  assert_int_equal(blocked.err, WEIR_ECLOSED);
  fake_wait(&f, WEIR_MSG_BYE, 1);
  fake_fini(&f);
}

static void closing_sends_the_last_settlements_first(void **state)
{
  struct weir *weir;
  struct weir_lease leases[200];

  (void)state;
  fake_init(&f, FAKE_GRANT);
  weir = open_session();
  for (int i = 0; i < 200; i++)
    assert_int_equal(acquire(weir, &leases[i]), WEIR_OK);
  for (int i = 0; i < 200; i++)
    assert_int_equal(weir_settle(weir, &leases[i], NULL), WEIR_OK);
  weir_close(weir);
  fake_wait(&f, WEIR_MSG_BYE, 1);
  /* Leases that were taken ahead go back, too. */
  assert_in_range(fake_count(&f, WEIR_MSG_SETTLE), 200, 200 + 8);
  fake_fini(&f);
}

static void draining_ends_waits_but_lets_leases_be_settled(void **state)
{
  struct weir *weir;
  struct blocked blocked = {0};
  struct weir_lease held, lease;
  pthread_t thread;

  (void)state;
  fake_init(&f, FAKE_GRANT);
  weir = blocked.weir = open_session();
  assert_int_equal(acquire(weir, &held), WEIR_OK);
  fake_set(&f, FAKE_QUEUE);
  assert_int_equal(pthread_create(&thread, NULL, acquire_blocked, &blocked), 0);
  fake_wait(&f, WEIR_MSG_ASK, 2);
  weir_drain(weir);
  pthread_join(thread, NULL);
  assert_int_equal(blocked.err, WEIR_ECANCELLED);
  assert_int_equal(acquire(weir, &lease), WEIR_ECANCELLED);
  assert_int_equal(lease.err, WEIR_ECANCELLED); /* whoever looks there has no lease either */
  assert_int_equal(weir_settle(weir, &lease, NULL), WEIR_EINVAL);
  assert_int_equal(weir_settle(weir, &held, NULL), WEIR_OK);
  weir_close(weir);
  fake_fini(&f);
}

/* ---- a guest in its host ---- */

/* In a child that was forked while other threads ran, the sanitizers themselves are lost: the locks
 * of AddressSanitizer's allocator may be taken, and ThreadSanitizer refuses new threads. */
#define CAN_FORK            (!UNDER_TSAN)
#define CAN_FORK_UNDER_LOAD (!UNDER_TSAN && !UNDER_ASAN)

static int exit_code_of(pid_t pid)
{
  int status;

  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What a forked child does with the handle; its exit code names the line that went wrong. */
static int child(struct weir *weir, const struct weir_lease *of_parent)
{
  struct weir_lease lease = WEIR_INIT(struct weir_lease);

  alarm(FAKE_TIMEOUT_MS / 1000);
  if (weir_settle(weir, of_parent, NULL) != WEIR_ENOENT)
    return 1;
  if (acquire(weir, &lease) != WEIR_OK)
    return 2;
  if (weir_settle(weir, &lease, NULL) != WEIR_OK)
    return 3;
  weir_close(weir);
  return 0;
}

static void a_forked_child_is_an_instance_of_its_own(void **state)
{
  struct weir *weir;
  struct weir_lease lease;
  pid_t pid;

  (void)state;
  if (!CAN_FORK)
    skip();
  fake_init(&f, FAKE_GRANT);
  weir = open_session();
  assert_int_equal(acquire(weir, &lease), WEIR_OK);
  pid = fork();
  if (pid == 0)
    _exit(child(weir, &lease));
  assert_int_equal(exit_code_of(pid), 0);
  assert_int_equal(fake_instances(&f), 2);
  assert_int_equal(weir_settle(weir, &lease, NULL), WEIR_OK);
  assert_int_equal(acquire(weir, &lease), WEIR_OK);
  assert_int_equal(fake_instances(&f), 2); /* the parent's session went on */
  weir_close(weir);
  fake_fini(&f);
}

struct load {
  struct weir *weir;
  atomic_bool is_over;
  atomic_uint done, failed;
};

static void *acquire_often(void *argument)
{
  struct load *load = argument;
  struct weir_lease lease;

  while (!atomic_load(&load->is_over)) {
    if (acquire(load->weir, &lease) != WEIR_OK || weir_settle(load->weir, &lease, NULL) != WEIR_OK)
      atomic_fetch_add(&load->failed, 1);
    atomic_fetch_add(&load->done, 1);
  }
  return NULL;
}

static void forking_under_load_disturbs_nobody(void **state)
{
  struct load load = {0};
  struct weir_lease lease;
  pthread_t threads[2];

  (void)state;
  if (!CAN_FORK_UNDER_LOAD)
    skip();
  fake_init(&f, FAKE_GRANT);
  load.weir = open_session();
  assert_int_equal(acquire(load.weir, &lease), WEIR_OK);
  for (int i = 0; i < 2; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, acquire_often, &load), 0);
  for (int i = 0; i < 20; i++) {
    const pid_t pid = fork();

    if (pid == 0)
      _exit(child(load.weir, &lease));
    assert_int_equal(exit_code_of(pid), 0);
  }
  atomic_store(&load.is_over, true);
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
  assert_true(atomic_load(&load.done) > 0);
  assert_int_equal(atomic_load(&load.failed), 0);
  weir_close(load.weir);
  fake_fini(&f);
}

static void on_signal(int number)
{
  (void)number;
  abort(); /* nobody may run this: the host's threads block the signal */
}

static void the_hosts_signals_stay_the_hosts(void **state)
{
  static const int numbers[] = {SIGINT, SIGTERM, SIGPIPE, SIGCHLD, SIGALRM};
  struct sigaction before[5], after, action = {.sa_handler = on_signal};
  struct weir *weir;
  struct weir_lease lease;
  sigset_t blocked, mask;

  (void)state;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigaction(SIGUSR1, &action, NULL);
  for (int i = 0; i < 5; i++)
    sigaction(numbers[i], NULL, &before[i]);
  /* The library starts its thread while the signal is open; then the host's threads block it. */
  pthread_sigmask(SIG_BLOCK, &blocked, &mask);
  fake_init(&f, FAKE_GRANT);
  pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
  weir = open_session();
  assert_int_equal(acquire(weir, &lease), WEIR_OK);
  pthread_sigmask(SIG_BLOCK, &blocked, NULL);
  kill(getpid(), SIGUSR1);
  assert_int_equal(acquire(weir, &lease), WEIR_OK); /* the worker came and went meanwhile */
  for (int i = 0; i < 5; i++) {
    sigaction(numbers[i], NULL, &after);
    assert_true(before[i].sa_handler == after.sa_handler);
  }
  weir_close(weir);
  fake_fini(&f);
  action.sa_handler = SIG_IGN;
  sigaction(SIGUSR1, &action, NULL);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

#define FDS_MAX 256

static void a_host_without_descriptors_gets_an_error_and_lives_on(void **state)
{
  struct weir *weir;
  struct weir_lease lease;
  struct rlimit before, tight;
  int fds[FDS_MAX], count = 0;

  (void)state;
  fake_init(&f, FAKE_GRANT);
  weir = open_session();
  getrlimit(RLIMIT_NOFILE, &before);
  tight = before;
  tight.rlim_cur = FDS_MAX;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
  while (count < FDS_MAX && (fds[count] = dup(0)) >= 0)
    count++;
  assert_true(count > 32);
  for (int left = 0; left < 16 && count > 0; left++) {
    assert_int_equal(acquire(weir, &lease), WEIR_ESYSTEM);
    close(fds[--count]);
  }
  while (count > 0)
    close(fds[--count]);
  assert_int_equal(acquire(weir, &lease), WEIR_OK);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  weir_close(weir);
  fake_fini(&f);
}

static void many_threads_share_one_handle(void **state)
{
  struct load load = {0};
  pthread_t threads[8];

  (void)state;
  fake_init(&f, FAKE_GRANT);
  load.weir = open_session();
  for (int i = 0; i < 8; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, acquire_often, &load), 0);
  fake_wait(&f, WEIR_MSG_ASK, 2000);
  atomic_store(&load.is_over, true);
  for (int i = 0; i < 8; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(atomic_load(&load.failed), 0);
  weir_close(load.weir);
  fake_wait(&f, WEIR_MSG_BYE, 1);
  assert_int_equal(fake_count(&f, WEIR_MSG_SETTLE), fake_count(&f, WEIR_MSG_ASK));
  fake_fini(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_lease_is_acquired_and_settled),
      cmocka_unit_test(the_structs_of_an_older_program_are_understood),
      cmocka_unit_test(steady_acquires_find_leases_that_were_taken_ahead),
      cmocka_unit_test(without_a_wallet_each_acquire_asks),
      cmocka_unit_test(a_denial_of_calls_in_flight_names_no_window),
      cmocka_unit_test(a_reported_lease_says_so_and_takes_what_upstream_states),
      cmocka_unit_test(a_result_makes_the_descriptor_readable_until_it_is_taken),
      cmocka_unit_test(a_cancelled_acquire_says_so),
      cmocka_unit_test(a_denial_comes_with_its_numbers_and_a_sentence),
      cmocka_unit_test(without_a_coordinator_an_acquire_ends_at_its_deadline),
      cmocka_unit_test(a_place_in_the_queue_that_comes_too_late_is_a_timeout),
      cmocka_unit_test(wrong_arguments_are_refused),
      cmocka_unit_test(who_waits_survives_a_restart_of_the_coordinator),
      cmocka_unit_test(a_settlement_survives_a_restart_of_the_coordinator),
      cmocka_unit_test(garbage_from_the_coordinator_is_passed_over),
      cmocka_unit_test(a_coordinator_of_another_protocol_ends_the_wait_and_is_named),
      cmocka_unit_test(closing_wakes_who_is_blocked_and_says_goodbye),
      cmocka_unit_test(closing_sends_the_last_settlements_first),
      cmocka_unit_test(draining_ends_waits_but_lets_leases_be_settled),
      cmocka_unit_test(a_forked_child_is_an_instance_of_its_own),
      cmocka_unit_test(forking_under_load_disturbs_nobody),
      cmocka_unit_test(the_hosts_signals_stay_the_hosts),
      cmocka_unit_test(a_host_without_descriptors_gets_an_error_and_lives_on),
      cmocka_unit_test(many_threads_share_one_handle),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
