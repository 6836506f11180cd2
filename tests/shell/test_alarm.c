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
#include "hook.h"
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

#define DAY_S 90000 /* any 25 hours hold every calendar day */

/* The words of each kind, begun and ended. */
static void what_has_ended_is_not_told_as_if_it_went_on(void **state)
{
  static const struct {
    enum weir_alert_kind kind;
    uint64_t window_s; /* DAY_S: of a calendar day; 0: of no limit, or of calls in flight */
    const char *begun, *ended;
  } words[] = {
      {WEIR_ALERT_NEAR_LIMIT, 60, "p: 950 of 1000 requests in 60 s are used, and online calls wait",
       "p: 950 of 1000 requests in 60 s are used, no longer nearly all, or no online call waits"},
      {WEIR_ALERT_NEAR_LIMIT, 86400, "p: 950 of 1000 requests in 86400 s are used",
       "p: 950 of 1000 requests in 86400 s are used, no longer nearly all"},
      {WEIR_ALERT_DAY_ENDS_EARLY, 86400,
       "p: 950 of 1000 requests in 86400 s are used, and at this pace all of them in 3 minutes",
       "p: 950 of 1000 requests in 86400 s are used, and at this pace they last"},
      {WEIR_ALERT_NEAR_LIMIT, DAY_S, "p: 950 of 1000 requests a day are used",
       "p: 950 of 1000 requests a day are used, no longer nearly all"},
      {WEIR_ALERT_NEAR_LIMIT, 0, "p: 950 of 1000 in_flight are used, and online calls wait",
       "p: 950 of 1000 in_flight are used, no longer nearly all, or no online call waits"},
      {WEIR_ALERT_BREAKER_OPEN, 0, "p: calls do not go through, the breaker is open",
       "p: calls go through again"},
      {WEIR_ALERT_FOREIGN, 60, "p: somebody else spends this quota; 1000 requests in 60 s are kept",
       "p: nothing is cut for somebody else any more; 1000 requests in 60 s are kept"},
      {WEIR_ALERT_REJECTED, 0,
       "p: the provider rejects calls by a quota, which no foreign use explains; 950 since the "
       "start",
       "p: no such rejection for ten minutes; 950 since the start"},
      {WEIR_ALERT_DRIFT, 0, "p: calls use 131.4 % of what was estimated",
       "p: calls use 131.4 % of what was estimated, which is near enough"},
  };
  char text[WEIR_ALARM_TEXT_SIZE];

  (void)state;
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    const bool is_in_flight = words[i].kind == WEIR_ALERT_NEAR_LIMIT && words[i].window_s == 0;
    struct weir_alert alert = {.kind = words[i].kind,
                               .has_begun = true,
                               .owner = "p",
                               .is_limit = words[i].window_s > 0 || is_in_flight,
                               .is_day = words[i].window_s == DAY_S,
                               .dimension = is_in_flight ? WEIR_DIMENSION_IN_FLIGHT
                                                         : WEIR_DIMENSION_REQUESTS,
                               .window_us = words[i].window_s * WEIR_US_PER_S,
                               .used = 950,
                               .kept = 1000,
                               .in_us = 3 * WEIR_US_PER_MIN,
                               .ratio_pm = 1314};

    weir_alarm_text(&alert, text);
    assert_string_equal(text, words[i].begun);
    alert.has_begun = false;
    weir_alarm_text(&alert, text);
    assert_string_equal(text, words[i].ended);
  }
}

static void names_are_escaped_in_what_is_posted(void **state)
{
  const struct weir_alert alert = {.kind = WEIR_ALERT_NEAR_LIMIT,
                                   .owner = "a\"b\\",
                                   .is_limit = true,
                                   .dimension = WEIR_DIMENSION_REQUESTS,
                                   .window_us = 60 * WEIR_US_PER_S,
                                   .used = 950,
                                   .kept = 1000};
  char body[WEIR_HOOK_BODY_SIZE];

  (void)state;
  weir_alarm_body(&alert, "\"said\"", 86400, body);
  assert_string_equal(body,
                      "{\"alert\":\"near_limit\",\"state\":\"ended\",\"pool\":\"a\\\"b\\\\\","
                      "\"text\":\"\\\"said\\\"\",\"time\":\"1970-01-02T00:00:00Z\",\"limit\":{"
                      "\"dimension\":\"requests\",\"window_s\":60,\"used\":950,\"kept\":1000,"
                      "\"day\":false}}");
}

static void the_longest_alert_fits(void **state)
{
  struct weir_alert alert = {.is_limit = true,
                             .dimension = WEIR_DIMENSION_REQUESTS,
                             .window_us = UINT64_MAX,
                             .used = UINT64_MAX,
                             .kept = UINT64_MAX,
                             .in_us = UINT64_MAX,
                             .ratio_pm = UINT32_MAX};
  char text[WEIR_ALARM_TEXT_SIZE], body[WEIR_HOOK_BODY_SIZE];

  (void)state;
  memset(alert.owner, '"', sizeof alert.owner - 1);
  for (int kind = WEIR_ALERT_NEAR_LIMIT; kind < 2 * WEIR_ALERT_KIND_MAX; kind++) {
    alert.kind = (enum weir_alert_kind)(kind % WEIR_ALERT_KIND_MAX);
    alert.has_begun = kind < WEIR_ALERT_KIND_MAX;
    weir_alarm_text(&alert, text);
    assert_true(strlen(text) < sizeof text - 1);
    memset(text, '"', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    weir_alarm_body(&alert, text, 0, body);
    assert_int_equal(body[strlen(body) - 1], '}');
  }
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
  assert_int_equal(weir_alarm_start(&config, &none, &fd, error), WEIR_ECONFIG);
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
      cmocka_unit_test(what_has_ended_is_not_told_as_if_it_went_on),
      cmocka_unit_test(names_are_escaped_in_what_is_posted),
      cmocka_unit_test(the_longest_alert_fits),
      cmocka_unit_test(a_secret_that_is_not_there_stops_the_start),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
