#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/json.h>

#define WORDS_MAX 32

void run_start(struct run *run, const char *program, ...)
{
  const char *path = getenv(program);
  char *words[WORDS_MAX + 2];
  int ends[2][2], count = 1;
  va_list list;

  assert_non_null(path);
  words[0] = strdup(path ? path : "");
  va_start(list, program);
  for (const char *word; (word = va_arg(list, const char *)) != NULL; count++) {
    assert_true(count <= WORDS_MAX);
    words[count] = strdup(word);
    assert_non_null(words[count]);
  }
  va_end(list);
  words[count] = NULL;
  memset(run, 0, sizeof(*run));
  for (int i = 0; i < 2; i++) {
    assert_int_equal(pipe(ends[i]), 0);
    run->fds[i] = ends[i][0];
    fcntl(ends[i][0], F_SETFD, FD_CLOEXEC);
  }
  run->pid = fork();
  assert_true(run->pid >= 0);
  if (run->pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed leaves nothing behind */
    dup2(ends[0][1], STDOUT_FILENO);
    dup2(ends[1][1], STDERR_FILENO);
    close(ends[0][1]);
    close(ends[1][1]);
    execv(words[0], words);
    _exit(127);
  }
  for (int i = 0; i < count; i++)
    free(words[i]);
  close(ends[0][1]);
  close(ends[1][1]);
}

static char *text_of(struct run *run, int i)
{
  return i == 0 ? run->out : run->err;
}

/* Reads what there is; false once both ends are closed. */
static bool read_once(struct run *run)
{
  struct pollfd fds[2] = {{.fd = run->fds[0], .events = POLLIN},
                          {.fd = run->fds[1], .events = POLLIN}};

  if (run->fds[0] < 0 && run->fds[1] < 0)
    return false;
  if (poll(fds, 2, RUN_TIMEOUT_MS) < 1)
    fail_msg("nothing happens any more; stdout:\n%s\nstderr:\n%s", run->out, run->err);
  for (int i = 0; i < 2; i++) {
    char *text = text_of(run, i);
    ssize_t size;

    if (!fds[i].revents)
      continue;
    assert_true(run->sizes[i] < RUN_TEXT_MAX - 1);
    size = read(run->fds[i], text + run->sizes[i], RUN_TEXT_MAX - 1 - run->sizes[i]);
    if (size <= 0) {
      close(run->fds[i]);
      run->fds[i] = -1;
    } else {
      run->sizes[i] += (size_t)size;
      text[run->sizes[i]] = '\0';
    }
  }
  return true;
}

static const char *wait_text(struct run *run, int i, const char *text)
{
  const char *found;

  while ((found = strstr(text_of(run, i), text)) == NULL)
    if (!read_once(run))
      fail_msg("ended without '%s'; stdout:\n%s\nstderr:\n%s", text, run->out, run->err);
  return found;
}

const char *run_wait_out(struct run *run, const char *text)
{
  return wait_text(run, 0, text);
}

const char *run_wait_err(struct run *run, const char *text)
{
  return wait_text(run, 1, text);
}

void run_wait_lines(struct run *run, size_t count)
{
  for (size_t lines = 0; lines < count;) {
    lines = 0;
    for (const char *at = run->out; *at != '\0'; at++)
      lines += *at == '\n';
    if (lines < count && !read_once(run))
      fail_msg("ended after %zu of %zu lines; stderr:\n%s", lines, count, run->err);
  }
}

int run_end(struct run *run)
{
  int status = 0;

  while (read_once(run)) {
  }
  assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
  run->pid = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void run_kill(struct run *run, int number)
{
  if (run->pid > 0)
    kill(run->pid, number);
}

bool run_is_json(const char *text, size_t *ret_count)
{
  struct weir_json json;
  struct weir_json_token token;
  enum weir_json_status status;
  size_t values = 0, lines = 0;

  for (const char *at = text; *at != '\0'; at++)
    lines += *at == '\n';
  weir_json_init(&json);
  weir_json_feed(&json, text, strlen(text));
  while ((status = weir_json_next(&json, &token)) == WEIR_JSON_TOKEN)
    values += token.depth == 0 &&
              (token.type == WEIR_JSON_OBJECT_END || token.type == WEIR_JSON_ARRAY_END);
  *ret_count = values;
  return status == WEIR_JSON_MORE && weir_json_end(&json, &token) == WEIR_JSON_MORE &&
         values == lines;
}
