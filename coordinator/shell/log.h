/* log.h - one line per event to a descriptor, as logfmt or JSON: one log for all threads.
 *
 *   weir_log_begin(log, WEIR_LOG_INFO, "ready");
 *   weir_log_text(log, "listen", endpoint);
 *   weir_log_number(log, "pools", count);
 *   weir_log_end(log);
 *
 * A line never blocks the caller: when the reader of a pipe is stuck, lines are dropped and
 * counted. Lines hold at most WEIR_LOG_LINE_SIZE bytes; a longer one loses its last fields.
 *
 * Threads: any may call any function but init and fini. From begin to end a line is its thread's,
 * and others that begin one wait so long: between the two is nothing but fields.
 *
 * Owner: the caller owns the struct, at a fixed place. What is logged never holds a key.
 */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/conf.h>

#define WEIR_LOG_LINE_SIZE 2048

struct weir_log {
  int fd;
  pthread_mutex_t mutex; /* held from begin to end, also of lines that are not written */
  enum weir_log_level level;
  enum weir_log_format format;
  bool is_journal; /* prefix lines with the journal's "<6>" */
  bool is_open;    /* between begin and end of a line that is written */
  bool is_cut;
  uint64_t dropped; /* lines that the reader did not take */
  size_t size;
  char line[WEIR_LOG_LINE_SIZE];
};

/* weir_log_init begins a log that writes to |fd|, which stays the caller's. */
void weir_log_init(struct weir_log *log, int fd);

/* weir_log_fini ends a log, after the last line of any thread. */
void weir_log_fini(struct weir_log *log);

/* weir_log_configure changes level and format of the lines to come. */
void weir_log_configure(struct weir_log *log, enum weir_log_level level,
                        enum weir_log_format format);

/* weir_log_begin begins a line; the fields that follow are ignored when |level| is not written. */
void weir_log_begin(struct weir_log *log, enum weir_log_level level, const char *event);

/* weir_log_text and weir_log_number add a field. |key| is a plain word, |value| any bytes. */
void weir_log_text(struct weir_log *log, const char *key, const char *value);
void weir_log_number(struct weir_log *log, const char *key, uint64_t value);

/* weir_log_end writes the line. */
void weir_log_end(struct weir_log *log);

/* weir_log_say is a line with one field "detail". */
void weir_log_say(struct weir_log *log, enum weir_log_level level, const char *event,
                  const char *detail);

/* Lines of one kind, at most one a second. */
struct weir_log_rate {
  uint64_t last_us, count;
  bool is_used;
};

/* weir_log_rate_due counts one event at |now_us| and tells whether a line is due now; |ret_count|
 * then gets the number of events since the last line, this one included. */
bool weir_log_rate_due(struct weir_log_rate *rate, uint64_t now_us, uint64_t *ret_count);

#endif
