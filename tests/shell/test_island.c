/* A program on libweir whose coordinator is killed: it goes on with its part, stops where that
 * ends, and joins the next coordinator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon.h"

#include <signal.h>
#include <string.h>

#include <weir.h>

/* A fifth of 100 for one instance: ten come back in a window, eleven are there at once. */
#define PART 11

static struct daemon d; /* too large for a stack */

static int acquire(struct weir *weir, uint64_t max_wait_ms, bool is_immediate,
                   struct weir_lease *lease)
{
  const struct weir_lease empty = WEIR_INIT(struct weir_lease);
  struct weir_ask ask = WEIR_INIT(struct weir_ask);

  *lease = empty;
  ask.model = "gemini/x";
  ask.input_tokens = 10;
  ask.max_wait_ms = max_wait_ms;
  ask.is_immediate = is_immediate;
  return weir_acquire(weir, &ask, lease);
}

static void settle(struct weir *weir, const struct weir_lease *lease)
{
  struct weir_settlement settlement = WEIR_INIT(struct weir_settlement);

  settlement.sent_us = weir_now_us();
  assert_int_equal(weir_settle(weir, lease, &settlement), WEIR_OK);
}

static struct weir_msg_row pool_row(void)
{
  struct weir_msg msg = {.type = WEIR_MSG_SHOW, .show = {.view = WEIR_VIEW_POOLS}};
  struct client c;

  client_init(&c, &d, 77);
  client_send(&c, &msg);
  client_receive(&c, &msg);
  client_fini(&c);
  assert_int_equal(msg.type, WEIR_MSG_ROW);
  return msg.row;
}

static void a_killed_coordinator_leaves_its_instances_their_parts(void **state)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir *weir = NULL;
  struct weir_lease lease;
  uint64_t calls = 0;

  (void)state;
  daemon_init(&d);
  daemon_configure(&d, "providers: {gemini: {kind: gemini}}\n"
                       "pools:\n"
                       "  - name: p\n"
                       "    provider: gemini\n"
                       "    models: [x]\n"
                       "    limits: {rpm: 100}\n"
                       "    island: {share: 20%%, places: 1, for: 10m}\n");
  daemon_start(&d);
  options.coordinator = d.endpoint;
  options.name = "test";
  options.is_without_wallet = 1;
  assert_int_equal(weir_open(&options, &weir), WEIR_OK);

  /* The second grant comes after the island was told. */
  for (int i = 0; i < 2; i++) {
    assert_int_equal(acquire(weir, 20000, false, &lease), WEIR_OK);
    assert_int_equal(lease.is_island, 0);
    settle(weir, &lease);
  }
  daemon_signal(&d, SIGKILL);
  assert_int_equal(daemon_wait(&d), 128 + SIGKILL);

  while (acquire(weir, calls < PART ? 20000 : 1, false, &lease) == WEIR_OK) {
    assert_int_equal(lease.is_island, 1);
    assert_string_equal(lease.model, "gemini/x");
    settle(weir, &lease);
    calls++;
  }
  assert_true(calls >= PART);
  assert_int_equal(lease.err, WEIR_EUNREACHABLE);

  /* The next one takes the pool as spent: that it says so is a word of a session. */
  daemon_start(&d);
  assert_int_equal(acquire(weir, 20000, true, &lease), WEIR_EDENIED);
  weir_close(weir);
  assert_int_equal(pool_row().island_calls, calls);
  assert_int_equal(pool_row().limits[0].islands, 20);
  daemon_signal(&d, SIGTERM);
  assert_int_equal(daemon_wait(&d), 0);
  daemon_fini(&d);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_killed_coordinator_leaves_its_instances_their_parts),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
