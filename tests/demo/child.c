#define _GNU_SOURCE /* pidfd_open */
#include "child.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define END_WAIT_MS 5000

/* In the child, between fork and exec: nothing but system calls. */
static void become(const char *const *arguments, int out, bool is_merged, pid_t parent)
{
  sigset_t none;

  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) /* it died before the line above */
    _exit(127);
  if (dup2(out, STDOUT_FILENO) < 0 || (is_merged && dup2(out, STDERR_FILENO) < 0))
    _exit(127);
  /* POSIX declares argv without const for old callers' sake; exec changes nothing. */
  execv(arguments[0], (char *const *)(uintptr_t)arguments);
  _exit(127);
}

bool demo_child_start(struct demo_child *child, const char *const *arguments, bool is_merged)
{
  const pid_t parent = getpid();
  int pipe_fds[2];
  pid_t pid;

  memset(child, 0, sizeof(*child));
  child->fd = -1;
  if (access(arguments[0], X_OK) != 0 || pipe(pipe_fds) != 0)
    return false;
  fcntl(pipe_fds[0], F_SETFD, FD_CLOEXEC);
  fcntl(pipe_fds[1], F_SETFD, FD_CLOEXEC);
  fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
  pid = fork();
  if (pid == 0)
    become(arguments, pipe_fds[1], is_merged, parent);
  close(pipe_fds[1]);
  if (pid < 0) {
    close(pipe_fds[0]);
    return false;
  }
  child->pid = pid;
  child->fd = pipe_fds[0];
  return true;
}

static void lines_hand_over(struct demo_child *child, demo_line_handler *handler, void *context)
{
  char *line = child->buffer, *end = child->buffer + child->fill, *newline;

  while ((newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
    *newline = 0;
    handler(context, line, (size_t)(newline - line));
    line = newline + 1;
  }
  child->fill = (size_t)(end - line);
  memmove(child->buffer, line, child->fill);
  if (child->fill == sizeof(child->buffer))
    child->fill = 0;
}

void demo_child_read(struct demo_child *child, demo_line_handler *handler, void *context)
{
  while (child->fd >= 0) {
    ssize_t count =
        read(child->fd, child->buffer + child->fill, sizeof(child->buffer) - child->fill);

    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0 && errno == EAGAIN)
      return;
    if (count <= 0) {
      close(child->fd);
      child->fd = -1;
      return;
    }
    child->fill += (size_t)count;
    lines_hand_over(child, handler, context);
  }
}

/* Reads on meanwhile, so that nobody is stuck with a full pipe; what it says is not wanted. */
static void end_await(struct demo_child *child)
{
  const uint64_t give_up_ms = demo_now_ms() + END_WAIT_MS;
  const int process = pidfd_open(child->pid, 0);
  uint64_t now_ms;

  while (process >= 0 && (now_ms = demo_now_ms()) < give_up_ms) {
    struct pollfd fds[] = {{process, POLLIN, 0}, {child->fd, POLLIN, 0}};
    char rest[DEMO_CHILD_LINE_SIZE];

    if (poll(fds, 2, (int)(give_up_ms - now_ms)) <= 0)
      continue;
    if (fds[0].revents) {
      close(process);
      return;
    }
    if (read(child->fd, rest, sizeof(rest)) == 0) {
      close(child->fd);
      child->fd = -1;
    }
  }
  kill(child->pid, SIGKILL);
  if (process >= 0)
    close(process);
}

int demo_child_end(struct demo_child *child, int signal)
{
  int status = 0;

  if (child->pid > 0) {
    kill(child->pid, signal);
    end_await(child);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
      continue;
    child->pid = 0;
  }
  if (child->fd >= 0)
    close(child->fd);
  child->fd = -1;
  return status;
}

bool demo_child_is_gone(struct demo_child *child, int *ret_status)
{
  int status;

  if (child->pid <= 0 || waitpid(child->pid, &status, WNOHANG) != child->pid)
    return false;
  child->pid = 0;
  *ret_status = status;
  return true;
}

double demo_cpu_us(pid_t pid)
{
  unsigned long user = 0, kernel = 0;
  char path[64], line[1024], *fields = NULL;
  FILE *file;

  snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
  file = fopen(path, "r");
  if (file && fgets(line, sizeof(line), file))
    fields = strrchr(line, ')'); /* the name before it may hold anything */
  if (!fields ||
      sscanf(fields, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
    fprintf(stderr, "%s is not as expected\n", path);
  if (file)
    fclose(file);
  return (double)(user + kernel) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}
