/* Posts of alerts, to a receiver that answers as it is told. */
#include "hook.h"

#include <poll.h>
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
static struct weir_log log_;
static int log_ends[2];

static int setup(void **state)
{
  (void)state;
  unsetenv("JOURNAL_STREAM");
  assert_int_equal(pipe(log_ends), 0);
  weir_log_init(&log_, log_ends[1]);
  return 0;
}

static int teardown(void **state)
{
  (void)state;
  weir_log_fini(&log_);
  close(log_ends[0]);
  close(log_ends[1]);
  return 0;
}

/* Reads the log until a line holds |holds|, and returns all that was read. */
static const char *logged(const char *holds)
{
  static char text[16 * WEIR_LOG_LINE_SIZE];
  size_t size = 0;

  text[0] = '\0';
  while (strstr(text, holds) == NULL) {
    struct pollfd in = {.fd = log_ends[0], .events = POLLIN};

    if (poll(&in, 1, 20000) != 1)
      fail_msg("no '%s' in:\n%s", holds, text);
    size += (size_t)read(log_ends[0], text + size, sizeof text - 1 - size);
    text[size] = '\0';
  }
  return text;
}

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
  assert_int_equal(weir_hook_start(&hook, receiver.url, path, &log_, error), WEIR_OK);
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
  assert_int_equal(weir_hook_start(&hook, receiver.url, "", &log_, error), WEIR_OK);
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
  assert_int_equal(weir_hook_start(&hook, receiver.url, "", &log_, error), WEIR_OK);
  weir_hook_send(&hook, "under way");
  provider_wait(&receiver, 1);
  for (int i = 0; i < WEIR_HOOK_WAITING_MAX + 5; i++)
    weir_hook_send(&hook, "waits, or is lost");
  assert_int_equal(weir_hook_counts(&hook).lost, 5);
  logged("why=\"too many posts wait\" detail=\"it is not told\" count=1 lost=1\n");
  weir_hook_stop(&hook); /* gives up what is under way */
  assert_int_equal(weir_hook_counts(&hook).sent, 0);
  assert_int_equal(weir_hook_counts(&hook).lost, 5 + 1 + WEIR_HOOK_WAITING_MAX);
  provider_fini(&receiver);
}

static void what_fails_is_logged_without_the_url_and_that_posts_arrive_again(void **state)
{
  const char *text;

  (void)state;
  provider_init(&receiver, PROVIDER_ANSWERS, 200, "");
  provider_once(&receiver, 503, "", "");
  assert_int_equal(weir_hook_start(&hook, receiver.url, "", &log_, error), WEIR_OK);
  weir_hook_send(&hook, "first");
  text = logged("posts arrive again");
  assert_non_null(strstr(text, "level=warn event=webhook why=\"HTTP status 503\" "
                               "detail=\"it is tried again\" count=1 lost=0\n"));
  assert_non_null(strstr(text, "level=info event=webhook detail=\"posts arrive again\"\n"));
  assert_null(strstr(text, "http://"));
  weir_hook_stop(&hook);
  provider_fini(&receiver);
}

static void what_a_receiver_that_is_gone_never_gets_is_logged_and_counted(void **state)
{
  (void)state;
  assert_int_equal(weir_hook_start(&hook, "http://127.0.0.1:1/secret", "", &log_, error), WEIR_OK);
  weir_hook_send(&hook, "under way");
  weir_hook_send(&hook, "waits");
  weir_hook_send(&hook, "waits");
  assert_null(strstr(logged("why=\"Couldn't connect to server\""), "127.0.0.1"));
  weir_hook_stop(&hook);
  logged("why=\"the coordinator stops\" detail=\"they are given up\" count=3 lost=3\n");
  assert_int_equal(weir_hook_counts(&hook).lost, 3);
}

static void a_secret_that_is_not_there_is_an_error_that_names_it(void **state)
{
  (void)state;
  assert_int_equal(weir_hook_start(&hook, "http://127.0.0.1:1", "/nowhere", &log_, error),
                   WEIR_ECONFIG);
  assert_non_null(strstr(error, "/nowhere"));
  weir_hook_stop(&hook);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(a_body_is_signed_by_hmac_sha256),
      TEST(a_body_arrives_with_its_signature),
      TEST(what_fails_is_posted_again_and_nothing_passes_it),
      TEST(a_receiver_that_hangs_costs_what_comes_after_its_queue_and_no_time),
      TEST(what_fails_is_logged_without_the_url_and_that_posts_arrive_again),
      TEST(what_a_receiver_that_is_gone_never_gets_is_logged_and_counted),
      TEST(a_secret_that_is_not_there_is_an_error_that_names_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
