/* child.h - child processes that never outlive the demo.
 *
 * Each gets SIGKILL from the kernel when its parent dies, however that happens, and is ended by its
 * own process number, never by name.
 */
#ifndef WEIR_DEMO_CHILD_H
#define WEIR_DEMO_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DEMO_CHILD_LINE_SIZE 4096

struct demo_child {
  pid_t pid; /* 0: not running */
  int fd;    /* its standard output, to read without blocking; -1: closed */
  size_t fill;
  char buffer[DEMO_CHILD_LINE_SIZE]; /* the beginning of a line whose end is still to come */
};

/* demo_line_handler is called for each whole line of a child, without its newline; |line| is
 * NUL-terminated and valid for the call. */
typedef void demo_line_handler(void *context, const char *line, size_t size);

/* demo_child_start runs |arguments| (a NULL-terminated list; the first is the program's path) with
 * its standard output in a pipe, and its standard error, too, when |is_merged|; otherwise that goes
 * where ours goes. False, with errno set, when there is no such process. */
bool demo_child_start(struct demo_child *child, const char *const *arguments, bool is_merged);

/* demo_child_read hands over the lines that can be read now, and closes the pipe at its end. A line
 * longer than the buffer is dropped. */
void demo_child_read(struct demo_child *child, demo_line_handler *handler, void *context);

/* demo_child_end sends |signal| (0: none) to a running child, waits until it is gone (SIGKILL after
 * 5 s), and closes its pipe. Returns its status as of waitpid, 0 when it did not run. */
int demo_child_end(struct demo_child *child, int signal);

/* demo_child_is_gone collects a child that has ended by itself: true with its status, once. */
bool demo_child_is_gone(struct demo_child *child, int *ret_status);

/* demo_cpu_us returns the processor time that |pid| has used, with all its threads, in
 * microseconds. The kernel counts in ticks of 10 ms. */
double demo_cpu_us(pid_t pid);

#endif
