#include "log.h"

#include <assert.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <weir/utf8.h>

#define RATE_US  UINT64_C(1000000)
#define TAIL_MAX 4 /* `"}` and a newline always fit */

static const char *level_name(enum weir_log_level level)
{
  switch (level) {
  case WEIR_LOG_ERROR:
    return "error";
  case WEIR_LOG_WARN:
    return "warn";
  case WEIR_LOG_INFO:
    return "info";
  case WEIR_LOG_DEBUG:
    return "debug";
  }
  return "?";
}

static int syslog_priority(enum weir_log_level level)
{
  static const int priorities[] = {6, 3, 4, 6, 7};
  return priorities[level];
}

/* The variable names the journal's end by device and inode. It is inherited, also by who writes
 * into a file or to somebody else, who would read the prefix as a part of the line. */
static bool is_of_journal(int fd)
{
  const char *stream = getenv("JOURNAL_STREAM");
  struct stat status;
  char own[64];
  if (stream == NULL || fstat(fd, &status) != 0)
    return false;
  snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
  return strcmp(own, stream) == 0;
}

void weir_log_init(struct weir_log *log, int fd)
{
  pthread_mutexattr_t attributes;
  *log = (struct weir_log){.fd = fd, .level = WEIR_LOG_INFO, .format = WEIR_LOG_LOGFMT};
  log->is_journal = is_of_journal(fd);
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(&log->mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
}

void weir_log_fini(struct weir_log *log)
{
  pthread_mutex_destroy(&log->mutex);
}

/* A line within a line, or one that was not begun, is a defect. */
static void take(struct weir_log *log)
{
  int err = pthread_mutex_lock(&log->mutex);
  assert(err == 0);
  (void)err;
}

static void give(struct weir_log *log)
{
  int err = pthread_mutex_unlock(&log->mutex);
  assert(err == 0);
  (void)err;
}

void weir_log_configure(struct weir_log *log, enum weir_log_level level,
                        enum weir_log_format format)
{
  take(log);
  log->level = level;
  log->format = format;
  give(log);
}

/* Appends all of |text| or nothing. */
static bool put(struct weir_log *log, const char *text, size_t size)
{
  if (log->is_cut || log->size + size > sizeof log->line - TAIL_MAX) {
    log->is_cut = true;
    return false;
  }
  memcpy(log->line + log->size, text, size);
  log->size += size;
  return true;
}

static void put_string(struct weir_log *log, const char *text)
{
  put(log, text, strlen(text));
}

/* Both formats quote like JSON. What is not UTF-8, as a text of a file, or one that was cut within
 * a character, becomes U+FFFD: JSON has nothing else. */
static void put_quoted(struct weir_log *log, const char *value)
{
  const char *end = value + strlen(value);
  put(log, "\"", 1);
  for (size_t step = 1; value < end && !log->is_cut; value += step) {
    const char *at = value;
    char escape[8];
    step = weir_utf8_size(at, (size_t)(end - at));
    if (step == 0) {
      put_string(log, "\\ufffd");
      step = 1;
    } else if (*at == '"' || *at == '\\') {
      snprintf(escape, sizeof escape, "\\%c", *at);
      put_string(log, escape);
    } else if ((unsigned char)*at < ' ' || *at == 0x7f) {
      snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)*at);
      put_string(log, escape);
    } else {
      put(log, at, step);
    }
  }
  put(log, "\"", 1);
}

/* A field goes in whole or not at all, so that a cut line is still valid. */
static size_t field_begin(struct weir_log *log, const char *key)
{
  size_t mark = log->size;
  if (log->format == WEIR_LOG_JSON) {
    put_string(log, log->line[log->size - 1] == '{' ? "\"" : ",\"");
    put_string(log, key);
    put_string(log, "\":");
  } else {
    if (log->size > 0 && log->line[log->size - 1] != '>')
      put_string(log, " ");
    put_string(log, key);
    put_string(log, "=");
  }
  return mark;
}

static void field_end(struct weir_log *log, size_t mark)
{
  if (log->is_cut)
    log->size = mark;
}

static void put_time(struct weir_log *log)
{
  struct timespec now;
  struct tm parts;
  char text[64];
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(text + size, sizeof text - size, ".%03ldZ", now.tv_nsec / 1000000);
  weir_log_text(log, "time", text);
}

void weir_log_begin(struct weir_log *log, enum weir_log_level level, const char *event)
{
  take(log);
  if (level > log->level)
    return;
  log->is_open = true;
  log->is_cut = false;
  log->size = 0;
  if (log->is_journal)
    log->size = (size_t)snprintf(log->line, sizeof log->line, "<%d>", syslog_priority(level));
  if (log->format == WEIR_LOG_JSON)
    put_string(log, "{");
  put_time(log);
  weir_log_text(log, "level", level_name(level));
  weir_log_text(log, "event", event);
  if (log->dropped > 0)
    weir_log_number(log, "lines_dropped", log->dropped);
}

void weir_log_text(struct weir_log *log, const char *key, const char *value)
{
  if (!log->is_open)
    return;
  size_t mark = field_begin(log, key);
  bool is_word = value[0] != '\0';
  for (const char *at = value; *at != '\0' && is_word; at++)
    is_word = *at > ' ' && *at != '"' && *at != '=' && *at != '\\' && *at != 0x7f;
  if (is_word && log->format == WEIR_LOG_LOGFMT)
    put_string(log, value);
  else
    put_quoted(log, value);
  field_end(log, mark);
}

void weir_log_number(struct weir_log *log, const char *key, uint64_t value)
{
  if (!log->is_open)
    return;
  char text[32];
  snprintf(text, sizeof text, "%llu", (unsigned long long)value);
  size_t mark = field_begin(log, key);
  put_string(log, text);
  field_end(log, mark);
}

static void write_line(struct weir_log *log)
{
  log->is_open = false;
  if (log->format == WEIR_LOG_JSON)
    log->line[log->size++] = '}';
  log->line[log->size++] = '\n';
  /* A pipe that polls writable takes PIPE_BUF bytes, more than a line, without blocking. */
  struct pollfd out = {.fd = log->fd, .events = POLLOUT};
  if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0 &&
      write(log->fd, log->line, log->size) == (ssize_t)log->size)
    log->dropped = 0;
  else
    log->dropped++;
}

void weir_log_end(struct weir_log *log)
{
  if (log->is_open)
    write_line(log);
  give(log);
}

void weir_log_say(struct weir_log *log, enum weir_log_level level, const char *event,
                  const char *detail)
{
  weir_log_begin(log, level, event);
  weir_log_text(log, "detail", detail);
  weir_log_end(log);
}

bool weir_log_rate_due(struct weir_log_rate *rate, uint64_t now_us, uint64_t *ret_count)
{
  rate->count++;
  if (rate->is_used && now_us - rate->last_us < RATE_US)
    return false;
  rate->is_used = true;
  rate->last_us = now_us;
  *ret_count = rate->count;
  rate->count = 0;
  return true;
}
