/* call.h - one finished call of the demo, and the lines by which an instance tells of it.
 *
 * An instance writes JSON lines to its standard output, each whole in one write: what began
 * ({"begin": INDEX}), how many of its calls wait now ({"waiting": N}), what it has to say for
 * people ({"note": TEXT}), and a struct demo_call when one is over. Times are milliseconds on
 * CLOCK_MONOTONIC, which all processes of one machine share.
 */
#ifndef WEIR_DEMO_CALL_H
#define WEIR_DEMO_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEMO_WAITS_MAX    4
#define DEMO_OUTCOME_SIZE 32
#define DEMO_NOTE_SIZE    256
#define DEMO_LINE_SIZE    1024 /* no line is longer; a pipe takes it in one piece */

struct demo_wait {
  uint64_t from_ms, to_ms;
};

struct demo_call {
  uint64_t index; /* of the request in the workload */
  bool is_ok;
  char outcome[DEMO_OUTCOME_SIZE];      /* "ok", or why it failed */
  uint64_t attempts;                    /* requests written, the successful one included */
  uint64_t rejected_429;                /* how many of them were answered 429 */
  uint64_t t_first_ms;                  /* when the caller wanted to start */
  uint64_t t_sent_ms;                   /* when the last request was written */
  uint64_t t_end_ms;                    /* when the call was over */
  uint64_t wait_ms;                     /* from t_first to t_sent; to t_end when the call failed */
  uint64_t input_tokens, output_tokens; /* by the provider's count; 0 when the call failed */
  uint64_t waits_count;
  struct demo_wait waits[DEMO_WAITS_MAX]; /* the intervals in which it waited for quota */
};

enum demo_line_type {
  DEMO_LINE_BEGIN = 1, /* |number|: index of the request */
  DEMO_LINE_WAITING,   /* |number|: calls that wait for quota now */
  DEMO_LINE_NOTE,      /* |note| */
  DEMO_LINE_CALL       /* |call| */
};

struct demo_line {
  enum demo_line_type type;
  uint64_t number;
  char note[DEMO_NOTE_SIZE];
  struct demo_call call;
};

/* demo_line_format writes |line| with its newline and a NUL into |ret_text| of DEMO_LINE_SIZE bytes
 * and returns its length. A note is cut where it would not fit; control characters in it become
 * spaces. */
size_t demo_line_format(const struct demo_line *line, char *ret_text);

/* demo_line_parse reads the |size| bytes of one line, without its newline. False when they are no
 * line of an instance. */
bool demo_line_parse(const char *text, size_t size, struct demo_line *ret_line);

#endif
