/* `weir top` on a terminal: what it does to it, and that all of that is undone however it ends. */
#define _GNU_SOURCE /* posix_openpt, prctl */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "fake_coordinator.h"

#define TIMEOUT_MS 60000
#define PATIENT    "60"
#define HASTY      "0.2"
#define ENTER      "\033[?1049h\033[?25l" /* the other screen, without cursor */
#define LEAVE      "\033[?25h\033[?1049l"

/* A program on a terminal of its own, which gets its stdout and its stderr in their order. */
struct terminal {
  pid_t pid;
  int fd;
  struct termios before;
  size_t size;
  char text[1 << 18];
};

static struct terminal terminal; /* large, as the next */
static struct fake_coordinator fake;

/* |timeout|: in seconds, of a look. PATIENT where every look is to succeed, however busy the
 * machine is. */
static void terminal_start(struct terminal *t, const char *timeout, const char *endpoint)
{
  char words[][128] = {"top", "--interval", "0.05", "--timeout", "", "--coordinator", ""};
  char *path = getenv("WEIR_BIN"), *arguments[] = {path,     words[0], words[1], words[2], words[3],
                                                   words[4], words[5], words[6], NULL};
  int slave;

  assert_non_null(path);
  snprintf(words[4], sizeof(words[4]), "%s", timeout);
  snprintf(words[6], sizeof(words[6]), "%s", endpoint);
  memset(t, 0, sizeof(*t));
  t->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  assert_true(t->fd >= 0 && grantpt(t->fd) == 0 && unlockpt(t->fd) == 0);
  slave = open(ptsname(t->fd), O_RDWR | O_NOCTTY);
  assert_true(slave >= 0);
  assert_int_equal(tcgetattr(slave, &t->before), 0);
  t->pid = fork();
  assert_true(t->pid >= 0);
  if (t->pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed leaves nothing behind */
    setsid();
    ioctl(slave, TIOCSCTTY, 0);
    for (int fd = 0; fd < 3; fd++)
      dup2(slave, fd);
    close(slave);
    execv(path, arguments);
    _exit(127);
  }
  close(slave);
}

/* Reads what there is; false once the program has ended. */
static bool read_once(struct terminal *t)
{
  struct pollfd fd = {.fd = t->fd, .events = POLLIN};
  ssize_t size;

  if (poll(&fd, 1, TIMEOUT_MS) < 1)
    fail_msg("nothing happens any more after:\n%s", t->text);
  assert_true(t->size < sizeof(t->text) - 1);
  size = read(t->fd, t->text + t->size, sizeof(t->text) - 1 - t->size);
  if (size <= 0)
    return false;
  t->size += (size_t)size;
  t->text[t->size] = '\0';
  return true;
}

static void wait_text(struct terminal *t, const char *text)
{
  while (!strstr(t->text, text))
    if (!read_once(t))
      fail_msg("ended without '%s':\n%s", text, t->text);
}

static void type(struct terminal *t, const char *key)
{
  assert_int_equal(write(t->fd, key, 1), 1);
}

/* Waits for the end, and returns the exit code. The terminal is as it was before. */
static int terminal_end(struct terminal *t)
{
  struct termios after;
  int status = 0;

  while (read_once(t)) {
  }
  assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
  assert_int_equal(tcgetattr(t->fd, &after), 0);
  assert_int_equal(after.c_lflag, t->before.c_lflag);
  close(t->fd);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

/* What the user sees when all is over: what comes after the other screen was left. */
static const char *left_over(const struct terminal *t)
{
  const char *at = t->text, *next;

  assert_non_null(strstr(at, ENTER));
  while ((next = strstr(at, ENTER)) != NULL) {
    at = strstr(next, LEAVE);
    if (!at)
      fail_msg("the other screen is still on after:\n%s", t->text);
    at += strlen(LEAVE);
  }
  return at;
}

static int set_up(void **state)
{
  (void)state;
  unsetenv("WEIR_SERVER_KEY");
  unsetenv("WEIR_KEY_FILE");
  fake_init(&fake, FAKE_GRANT);
  pthread_mutex_lock(&fake.lock);
  fake.totals = (struct weir_msg_row){.pools = 1};
  fake.pool = (struct weir_msg_row){.pool = "the-pool"};
  pthread_mutex_unlock(&fake.lock);
  return 0;
}

static int tear_down(void **state)
{
  (void)state;
  fake_fini(&fake);
  return 0;
}

static void gives_the_terminal_back_after_the_key(void **state)
{
  struct termios during;

  (void)state;
  terminal_start(&terminal, PATIENT, fake.endpoint);
  wait_text(&terminal, ENTER);
  wait_text(&terminal, "the-pool");
  assert_int_equal(tcgetattr(terminal.fd, &during), 0);
  assert_int_equal(during.c_lflag & (ICANON | ECHO), 0);
  type(&terminal, "q");
  assert_int_equal(terminal_end(&terminal), 0);
  assert_string_equal(left_over(&terminal), "");
}

static void gives_the_terminal_back_after_an_interrupt(void **state)
{
  (void)state;
  terminal_start(&terminal, PATIENT, fake.endpoint);
  wait_text(&terminal, "the-pool");
  type(&terminal, "\003");
  assert_int_equal(terminal_end(&terminal), 0);
  assert_string_equal(left_over(&terminal), "");
}

static void says_on_the_screen_as_it_was_why_it_cannot_begin(void **state)
{
  (void)state;
  terminal_start(&terminal, PATIENT, "nonsense");
  assert_int_equal(terminal_end(&terminal), 2);
  assert_ptr_equal(strstr(left_over(&terminal), "weir top: 'nonsense' is not an endpoint"),
                   left_over(&terminal));
  terminal_start(&terminal, PATIENT, "tcp://127.0.0.1:1");
  assert_int_equal(terminal_end(&terminal), 2);
  assert_ptr_equal(strstr(left_over(&terminal), "weir top: tcp://127.0.0.1:1 wants keys"),
                   left_over(&terminal));
}

static void waits_for_a_coordinator_that_is_away_and_says_so_after_the_end(void **state)
{
  (void)state;
  terminal_start(&terminal, HASTY, fake.endpoint);
  wait_text(&terminal, "the-pool");
  fake_stop(&fake);
  wait_text(&terminal, "looking again");
  terminal.text[terminal.size = 0] = '\0';
  fake_start(&fake, FAKE_GRANT);
  wait_text(&terminal, "the-pool");
  fake_stop(&fake);
  wait_text(&terminal, "looking again");
  type(&terminal, "q");
  assert_int_equal(terminal_end(&terminal), 3);
  assert_non_null(strstr(terminal.text, LEAVE "weir top: no answer from the coordinator at "));
  fake_start(&fake, FAKE_GRANT);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gives_the_terminal_back_after_the_key),
      cmocka_unit_test(gives_the_terminal_back_after_an_interrupt),
      cmocka_unit_test(says_on_the_screen_as_it_was_why_it_cannot_begin),
      cmocka_unit_test(waits_for_a_coordinator_that_is_away_and_says_so_after_the_end),
  };

  return cmocka_run_group_tests_name("cli_top", tests, set_up, tear_down);
}
