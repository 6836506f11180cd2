/* run.h - for tests: runs programs, keeps what they print, and waits for events of theirs.
 *
 * Every wait is bounded by RUN_TIMEOUT_MS and fails the test beyond it.
 */
#ifndef WEIR_TESTS_RUN_H
#define WEIR_TESTS_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define RUN_TIMEOUT_MS 60000
#define RUN_TEXT_MAX   ((size_t)1 << 18)

struct run {
  pid_t pid;
  int fds[2];                                /* read ends of its stdout and stderr */
  size_t sizes[2];                           /* of the texts */
  char out[RUN_TEXT_MAX], err[RUN_TEXT_MAX]; /* NUL-terminated */
};

/* run_start starts the program that the environment variable |program| names, with the words that
 * follow, up to NULL. */
void run_start(struct run *run, const char *program, ...) __attribute__((sentinel));
/* run_wait_out, run_wait_err wait until stdout or stderr holds |text|, and return where. */
const char *run_wait_out(struct run *run, const char *text);
const char *run_wait_err(struct run *run, const char *text);
/* run_wait_lines waits until stdout holds |count| lines. */
void run_wait_lines(struct run *run, size_t count);
/* run_end waits for the end; returns the exit code, or 128 + the signal that killed it. */
int run_end(struct run *run);
/* run_kill sends |number|, if the program still runs. */
void run_kill(struct run *run, int number);

/* run_is_json tells whether |text| is JSON values, one a line, and counts them. */
bool run_is_json(const char *text, size_t *ret_count);

#endif
