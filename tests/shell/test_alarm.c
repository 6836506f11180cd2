/* The alarm's thread between a coordinator that shows what it is told, and a receiver of posts. */
#include "alarm.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/codec.h>

#include "fake_provider.h"
#include "rows.h"

/* Also how long an answer may take: else the look is begun anew, which does the tests no harm. */
#define LOOK_US (20 * WEIR_US_PER_MS)

static struct provider receiver;
static struct weir_alarm *alarm_;
static int tap_fd;
static const struct timeval patience = {.tv_sec = 20};
static struct weir_log log_;
static int log_ends[2];

static struct weir_msg pool_row(uint32_t row, uint32_t rows, enum weir_breaker_state breaker)
{
  struct weir_msg msg = {.type = WEIR_MSG_ROW,
                         .row = {.view = WEIR_VIEW_POOLS, .row = row, .rows = rows}};

  msg.row.pool[0] = 'p';
  msg.row.pool[1] = (char)('A' + row);
  msg.row.breaker = breaker;
  msg.row.limits_count = 1;
  msg.row.limits[0] = (struct weir_msg_row_limit){.dimension = WEIR_DIMENSION_REQUESTS,
                                                  .window_us = 60 * WEIR_US_PER_S,
                                                  .amount = 1000,
                                                  .used = 7};
  return msg;
}

/* Answers one datagram of questions: |rows| pools, the last of which has |breaker|; no budgets.
 * Returns the view that was asked for. */
static enum weir_view answer(uint32_t rows, enum weir_breaker_state breaker)
{
  uint8_t in[4096], out[sizeof(struct weir_tap_head) + WEIR_FRAME_SIZE_MAX] = {0};
  const ssize_t size = recv(tap_fd, in, sizeof in, 0);
  size_t offset = 0, filled = 0;
  enum weir_view view = 0;

  assert_true(size > 0);
  while (offset < (size_t)size) {
    struct weir_msg msg, row = {.type = WEIR_MSG_ROW};

    assert_int_equal(weir_codec_decode(in, (size_t)size, &offset, &msg), WEIR_OK);
    assert_int_equal(msg.type, WEIR_MSG_SHOW);
    view = msg.show.view;
    row.row.view = view;
    row.row.row = msg.show.row;
    if (view == WEIR_VIEW_POOLS)
      row = pool_row(msg.show.row, rows, msg.show.row + 1 == rows ? breaker : WEIR_BREAKER_CLOSED);
    assert_int_equal(
        weir_codec_encode(&row, out + sizeof(struct weir_tap_head), WEIR_FRAME_SIZE_MAX, &filled),
        WEIR_OK);
  }
  filled += sizeof(struct weir_tap_head);
  assert_int_equal(send(tap_fd, out, filled, 0), (ssize_t)filled);
  return view;
}

static void look(uint32_t rows, enum weir_breaker_state breaker)
{
  while (answer(rows, breaker) != WEIR_VIEW_BUDGETS)
    ;
}

static int setup(void **state)
{
  struct weir_alarm_config config = {.owners_max = 64, .look_us = LOOK_US, .log = &log_};
  char error[WEIR_ALARM_ERROR_SIZE];

  (void)state;
  provider_init(&receiver, PROVIDER_ANSWERS, 200, "");
  config.webhook = receiver.url;
  config.secret = "";
  unsetenv("JOURNAL_STREAM");
  assert_int_equal(pipe(log_ends), 0);
  weir_log_init(&log_, log_ends[1]);
  assert_int_equal(weir_alarm_start(&config, &alarm_, &tap_fd, error), WEIR_OK);
  assert_int_equal(setsockopt(tap_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  return 0;
}

static int teardown(void **state)
{
  (void)state;
  weir_alarm_stop(alarm_);
  weir_log_fini(&log_);
  close(log_ends[0]);
  close(log_ends[1]);
  provider_fini(&receiver);
  return 0;
}

/* The next lines of the log. */
static const char *logged(void)
{
  static char text[4 * WEIR_LOG_LINE_SIZE];
  struct pollfd in = {.fd = log_ends[0], .events = POLLIN};
  ssize_t size;

  assert_int_equal(poll(&in, 1, 20000), 1);
  size = read(log_ends[0], text, sizeof text - 1);
  assert_true(size > 0);
  text[size] = '\0';
  return text;
}

/* More pools than fit one datagram of questions. */
static void a_breaker_that_opens_in_one_of_many_pools_is_posted_once_and_its_end(void **state)
{
  (void)state;
  look(40, WEIR_BREAKER_CLOSED);
  look(40, WEIR_BREAKER_OPEN);
  provider_wait(&receiver, 1);
  assert_non_null(
      strstr(receiver.request, "{\"alert\":\"breaker_open\",\"state\":\"begun\",\"pool\":\"ph\""));
  look(40, WEIR_BREAKER_OPEN);
  look(40, WEIR_BREAKER_CLOSED);
  provider_wait(&receiver, 2);
  assert_non_null(strstr(receiver.request, "\"state\":\"ended\""));
}

static void a_reload_between_two_questions_takes_rows_away_without_harm(void **state)
{
  (void)state;
  assert_int_equal(answer(40, WEIR_BREAKER_CLOSED), WEIR_VIEW_POOLS);
  look(3, WEIR_BREAKER_OPEN);
  look(3, WEIR_BREAKER_OPEN);
  provider_wait(&receiver, 1);
}

/* As when the coordinator's end was full. */
static void an_answer_that_is_lost_costs_one_look(void **state)
{
  uint8_t lost[4096];

  (void)state;
  assert_true(recv(tap_fd, lost, sizeof lost, 0) > 0);
  look(3, WEIR_BREAKER_OPEN);
  provider_wait(&receiver, 1);
}

static void its_lines_follow_a_reload_of_the_daemons_log(void **state)
{
  (void)state;
  look(3, WEIR_BREAKER_OPEN);
  assert_non_null(strstr(logged(), " level=warn event=alert alert=breaker_open state=begun"));
  weir_log_configure(&log_, WEIR_LOG_INFO, WEIR_LOG_JSON);
  look(3, WEIR_BREAKER_CLOSED);
  assert_non_null(strstr(logged(), "\"event\":\"alert\",\"alert\":\"breaker_open\""));
}

static void a_coordinator_that_does_not_answer_does_not_keep_it_from_ending(void **state)
{
  (void)state; /* teardown waits for the thread */
}

static void a_secret_that_is_not_there_stops_the_start(void **state)
{
  const struct weir_alarm_config config = {
      .owners_max = 1, .look_us = 1000, .webhook = "http://127.0.0.1:1", .secret = "/nowhere"};
  struct weir_alarm *none = NULL;
  char error[WEIR_ALARM_ERROR_SIZE];
  int fd;

  (void)state;
  assert_int_equal(weir_alarm_start(&config, &none, &fd, error), WEIR_ESYSTEM);
  assert_non_null(strstr(error, "/nowhere"));
  assert_null(none);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(
          a_breaker_that_opens_in_one_of_many_pools_is_posted_once_and_its_end, setup, teardown),
      cmocka_unit_test_setup_teardown(a_reload_between_two_questions_takes_rows_away_without_harm,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(an_answer_that_is_lost_costs_one_look, setup, teardown),
      cmocka_unit_test_setup_teardown(its_lines_follow_a_reload_of_the_daemons_log, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(
          a_coordinator_that_does_not_answer_does_not_keep_it_from_ending, setup, teardown),
      cmocka_unit_test(a_secret_that_is_not_there_stops_the_start),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
