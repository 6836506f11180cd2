/* Posts of alerts, to a receiver that answers as it is told. */
#include "hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_provider.h"

static struct weir_hook hook;
static struct provider receiver;
static char error[WEIR_HOOK_ERROR_SIZE];

/* The vector 2 of RFC 4231. */
static void a_body_is_signed_by_hmac_sha256(void **state)
{
  char text[65];

  (void)state;
  weir_hook_sign("Jefe", "what do ya want for nothing?", text);
  assert_string_equal(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void a_body_arrives_with_its_signature(void **state)
{
  char path[] = "/tmp/weir-hook-XXXXXX", expected[128] = "x-weir-signature: sha256=";
  int fd = mkstemp(path);

  (void)state;
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "secret\n", 7), 7);
  close(fd);
  provider_init(&receiver, PROVIDER_ANSWERS, 204, "");
  assert_int_equal(weir_hook_start(&hook, receiver.url, path, error), WEIR_OK);
  weir_hook_send(&hook, "{\"alert\":\"near_limit\"}");
  provider_wait(&receiver, 1);
  weir_hook_stop(&hook);
  weir_hook_sign("secret", "{\"alert\":\"near_limit\"}", expected + strlen(expected));
  assert_non_null(strstr(receiver.request, expected));
  assert_non_null(strstr(receiver.request, "\r\n\r\n{\"alert\":\"near_limit\"}"));
  provider_fini(&receiver);
  unlink(path);
}

static void what_fails_is_posted_again_and_nothing_passes_it(void **state)
{
  (void)state;
  provider_init(&receiver, PROVIDER_ANSWERS, 200, "");
  provider_once(&receiver, 500, "", "");
  assert_int_equal(weir_hook_start(&hook, receiver.url, "", error), WEIR_OK);
  weir_hook_send(&hook, "first");
  weir_hook_send(&hook, "second");
  provider_wait(&receiver, 3);
  weir_hook_stop(&hook);
  assert_non_null(strstr(receiver.request, "\r\n\r\nsecond"));
  assert_null(strstr(receiver.request, "x-weir-signature"));
  assert_true(weir_hook_counts(&hook).failed >= 1);
  provider_fini(&receiver);
}

static void a_receiver_that_hangs_costs_what_comes_after_its_queue_and_no_time(void **state)
{
  (void)state;
  provider_init(&receiver, PROVIDER_HANGS, 200, "");
  assert_int_equal(weir_hook_start(&hook, receiver.url, "", error), WEIR_OK);
  weir_hook_send(&hook, "under way");
  provider_wait(&receiver, 1);
  for (int i = 0; i < WEIR_HOOK_WAITING_MAX + 5; i++)
    weir_hook_send(&hook, "waits, or is lost");
  assert_int_equal(weir_hook_counts(&hook).lost, 5);
  weir_hook_stop(&hook); /* gives up what is under way */
  assert_int_equal(weir_hook_counts(&hook).sent, 0);
  provider_fini(&receiver);
}

static void a_secret_that_is_not_there_is_an_error_that_names_it(void **state)
{
  (void)state;
  assert_int_equal(weir_hook_start(&hook, "http://127.0.0.1:1", "/nowhere", error), WEIR_ESYSTEM);
  assert_non_null(strstr(error, "/nowhere"));
  weir_hook_stop(&hook);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_body_is_signed_by_hmac_sha256),
      cmocka_unit_test(a_body_arrives_with_its_signature),
      cmocka_unit_test(what_fails_is_posted_again_and_nothing_passes_it),
      cmocka_unit_test(a_receiver_that_hangs_costs_what_comes_after_its_queue_and_no_time),
      cmocka_unit_test(a_secret_that_is_not_there_is_an_error_that_names_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
