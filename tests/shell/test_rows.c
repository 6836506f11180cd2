/* Walks through rows, and the admin port that makes them, before a coordinator that loses answers,
 * repeats them and tells of more than there can be. */
#include "rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <weir/codec.h>

#include "admin.h"

static int tap_fd; /* the coordinator's end */
static const struct timeval patience = {.tv_sec = 20};

/* Receives one datagram of questions: what the first of them is about, and how many there are. */
static uint32_t asked(struct weir_msg_show *ret_first)
{
  uint8_t in[4096];
  const ssize_t size = recv(tap_fd, in, sizeof in, 0);
  size_t offset = 0;
  uint32_t count = 0;

  assert_true(size > 0);
  while (offset < (size_t)size) {
    struct weir_msg msg;

    assert_int_equal(weir_codec_decode(in, (size_t)size, &offset, &msg), WEIR_OK);
    assert_int_equal(msg.type, WEIR_MSG_SHOW);
    if (count++ == 0)
      *ret_first = msg.show;
  }
  return count;
}

/* |count| rows from |first| on, of |rows| in all; the size of the datagram. */
static size_t datagram(uint8_t *out, enum weir_view view, uint32_t first, uint32_t count,
                       uint32_t rows)
{
  size_t size = 0;

  memset(out, 0, sizeof(struct weir_tap_head));
  for (uint32_t i = 0; i < count; i++) {
    struct weir_msg msg = {.type = WEIR_MSG_ROW,
                           .row = {.view = view, .row = first + i, .rows = rows}};

    if (first + i < rows && view != WEIR_VIEW_TOTALS)
      msg.row.pool[0] = 'p';
    assert_int_equal(
        weir_codec_encode(&msg, out + sizeof(struct weir_tap_head), WEIR_FRAME_SIZE_MAX, &size),
        WEIR_OK);
  }
  return sizeof(struct weir_tap_head) + size;
}

/* ---- the walk ---- */

static struct weir_rows walk;

static int setup(void **state)
{
  int pair[2];

  (void)state;
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
  walk = (struct weir_rows){.fd = pair[0]};
  tap_fd = pair[1];
  return 0;
}

static int teardown(void **state)
{
  (void)state;
  close(walk.fd);
  close(tap_fd);
  return 0;
}

/* What the walk makes of |count| rows from |first| on. */
static uint32_t taken(uint32_t first, uint32_t count, uint32_t rows)
{
  static uint8_t bytes[WEIR_TAP_DATAGRAM_SIZE];
  const size_t size = datagram(bytes, WEIR_VIEW_POOLS, first, count, rows);
  size_t offset = sizeof(struct weir_tap_head);
  struct weir_msg_row row;
  uint32_t got = 0;

  while (weir_rows_take(&walk, bytes, size, &offset, &row))
    assert_int_equal(row.row, first + got++);
  return got;
}

static void asks_for_one_row_and_then_for_the_others(void **state)
{
  struct weir_msg_show first;

  (void)state;
  assert_true(weir_rows_begin(&walk, WEIR_VIEW_POOLS, 0));
  assert_int_equal(asked(&first), 1);
  assert_int_equal(taken(0, 1, 18), 1);
  assert_true(weir_rows_is_answered(&walk) && weir_rows_has_next(&walk));
  assert_true(weir_rows_ask(&walk, 0));
  assert_int_equal(asked(&first), WEIR_TAP_ROWS_MAX);
  assert_int_equal(first.row, 1);
  assert_int_equal(taken(1, 10, 18), 10);
  assert_false(weir_rows_is_answered(&walk));
  assert_int_equal(taken(11, 6, 18), 6); /* an answer may come in parts */
  assert_true(weir_rows_is_answered(&walk) && weir_rows_has_next(&walk));
  assert_true(weir_rows_ask(&walk, 0));
  assert_int_equal(asked(&first), 1);
  assert_int_equal(first.row, 17);
  assert_int_equal(taken(17, 1, 5), 0); /* taken away meanwhile: answered, and no row */
  assert_true(weir_rows_is_answered(&walk));
  assert_false(weir_rows_has_next(&walk));
}

static void counts_only_the_row_that_it_expects(void **state)
{
  (void)state;
  assert_true(weir_rows_begin(&walk, WEIR_VIEW_POOLS, 0));
  assert_int_equal(taken(1, 3, 18), 0); /* of a walk that was given up */
  assert_false(weir_rows_is_answered(&walk));
  assert_int_equal(taken(0, 1, 18), 1);
  assert_int_equal(taken(1, 1, 18), 0); /* nobody asked */
  assert_true(weir_rows_ask(&walk, 0));
  assert_int_equal(taken(0, 1, 18), 0); /* again */
  assert_int_equal(taken(2, 4, 18), 0); /* one is missing before */
  assert_false(weir_rows_is_answered(&walk));
  assert_int_equal(taken(1, 16, 18), 16);
  assert_true(weir_rows_is_answered(&walk));
}

static void is_overdue_when_its_datagram_is_not_answered_for_so_long(void **state)
{
  (void)state;
  assert_false(weir_rows_is_overdue(&walk, 1000, 10)); /* nothing is asked for */
  assert_true(weir_rows_begin(&walk, WEIR_VIEW_POOLS, 100));
  assert_false(weir_rows_is_overdue(&walk, 109, 10));
  assert_true(weir_rows_is_overdue(&walk, 110, 10));
  assert_int_equal(taken(0, 1, 18), 1);
  assert_false(weir_rows_is_overdue(&walk, 1000, 10));
}

static void a_coordinator_that_stands_still_costs_the_walk_and_no_time(void **state)
{
  uint32_t walks = 0;

  (void)state;
  while (weir_rows_begin(&walk, WEIR_VIEW_POOLS, 0) && walks < 1000000)
    walks++;
  assert_in_range(walks, 1, 999999);
  assert_int_equal(walk.view, 0);
}

/* ---- the admin port ---- */

static struct weir_admin *admin;
static uint16_t port;

static int admin_setup(void **state)
{
  char error[WEIR_ADMIN_ERROR_SIZE];

  (void)state;
  assert_int_equal(weir_admin_start("127.0.0.1", 0, "", NULL, &admin, &tap_fd, &port, error),
                   WEIR_OK);
  assert_int_equal(fcntl(tap_fd, F_SETFL, 0), 0); /* the tests wait for questions */
  assert_int_equal(setsockopt(tap_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  return 0;
}

static int admin_teardown(void **state)
{
  (void)state;
  weir_admin_stop(admin);
  return 0;
}

static int http_open(const char *path)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  const int fd = socket(AF_INET, SOCK_STREAM, 0);

  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_true(dprintf(fd, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path) >
              0);
  return fd;
}

/* The status, when the answer has come to its end. */
static int http_status(int fd, const char *holds)
{
  static char text[1 << 16];
  size_t size = 0;
  ssize_t got;

  while ((got = recv(fd, text + size, sizeof text - 1 - size, 0)) > 0)
    size += (size_t)got;
  text[size] = '\0';
  close(fd);
  if (strstr(text, holds) == NULL)
    fail_msg("no '%s' in:\n%s", holds, text);
  return (int)strtol(text + 9, NULL, 10);
}

/* Answers what comes until a walk without sessions is through: |pools| pools and nothing else. */
static void serve(uint32_t pools)
{
  static uint8_t out[WEIR_TAP_DATAGRAM_SIZE];
  struct weir_msg_show first;

  do {
    const uint32_t count = asked(&first);
    const uint32_t rows = first.view == WEIR_VIEW_TOTALS  ? 1
                          : first.view == WEIR_VIEW_POOLS ? pools
                                                          : 0;
    const size_t size = datagram(out, first.view, first.row, count, rows);

    assert_int_equal(send(tap_fd, out, size, 0), (ssize_t)size);
  } while (first.view != WEIR_VIEW_SLOW);
}

static void an_answer_that_is_lost_costs_those_who_wait_and_nobody_else(void **state)
{
  struct weir_msg_show first;
  int fd = http_open("/metrics");

  (void)state;
  assert_int_equal(asked(&first), 1); /* and is not answered */
  assert_int_equal(http_status(fd, "does not answer"), 503);
  fd = http_open("/metrics");
  serve(20);
  assert_int_equal(http_status(fd, "weir_leases"), 200);
}

static void an_answer_that_is_lost_costs_listeners_one_event(void **state)
{
  struct weir_msg_show first;
  char event[4096];
  int fd = http_open("/events");

  (void)state;
  assert_int_equal(asked(&first), 1);
  serve(1);
  assert_true(recv(fd, event, sizeof event, 0) > 0);
  close(fd);
}

static void more_rows_than_there_is_memory_for_are_no_empty_table(void **state)
{
  static uint8_t out[WEIR_TAP_DATAGRAM_SIZE];
  struct weir_msg_show first;
  const int fd = http_open("/stats.json");
  size_t size;

  (void)state;
  asked(&first);
  size = datagram(out, WEIR_VIEW_TOTALS, 0, 1, 1);
  assert_int_equal(send(tap_fd, out, size, 0), (ssize_t)size);
  asked(&first);
  size = datagram(out, WEIR_VIEW_POOLS, 0, 1, WEIR_ADMIN_ROWS_MAX + 1);
  assert_int_equal(send(tap_fd, out, size, 0), (ssize_t)size);
  assert_int_equal(http_status(fd, "no memory for the rows"), 503);
}

int main(void)
{
#define WALK(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define ADMIN(name) cmocka_unit_test_setup_teardown(name, admin_setup, admin_teardown)
  const struct CMUnitTest tests[] = {
      WALK(asks_for_one_row_and_then_for_the_others),
      WALK(counts_only_the_row_that_it_expects),
      WALK(is_overdue_when_its_datagram_is_not_answered_for_so_long),
      WALK(a_coordinator_that_stands_still_costs_the_walk_and_no_time),
      ADMIN(an_answer_that_is_lost_costs_those_who_wait_and_nobody_else),
      ADMIN(an_answer_that_is_lost_costs_listeners_one_event),
      ADMIN(more_rows_than_there_is_memory_for_are_no_empty_table),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
