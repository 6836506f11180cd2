#include "epoch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <weir/hash.h>

#define EPOCH_MAX (UINT64_C(1) << 63)

/* ---- format ---- */

/* Finds damage, not malice; who can write the file needs no forgery. */
static uint64_t checksum(const char *text, size_t size)
{
  return weir_hash_bytes(WEIR_HASH_BASIS, text, size);
}

size_t weir_epoch_format(const struct weir_epoch_record *record, char *ret_text)
{
  int size = snprintf(ret_text, WEIR_EPOCH_FILE_SIZE,
                      "weir-state 1\nepoch %llu\nboot %s\ngranted_until_us %llu\nclean %d\n",
                      (unsigned long long)record->epoch,
                      record->boot[0] == '\0' ? "unknown" : record->boot,
                      (unsigned long long)record->granted_until, record->is_clean ? 1 : 0);
  assert(size > 0 && size < WEIR_EPOCH_FILE_SIZE - 32);
  size += snprintf(ret_text + size, WEIR_EPOCH_FILE_SIZE - (size_t)size, "check %016llx\n",
                   (unsigned long long)checksum(ret_text, (size_t)size));
  return (size_t)size;
}

struct scan {
  const char *text;
  size_t size, at;
};

static bool scan_literal(struct scan *scan, const char *literal)
{
  for (; *literal != '\0'; literal++, scan->at++) {
    if (scan->at == scan->size || scan->text[scan->at] != *literal)
      return false;
  }
  return true;
}

static bool scan_number(struct scan *scan, uint64_t max, uint64_t *ret_value)
{
  size_t begin = scan->at;
  uint64_t value = 0;
  while (scan->at < scan->size && scan->text[scan->at] >= '0' && scan->text[scan->at] <= '9') {
    uint64_t digit = (uint64_t)(scan->text[scan->at] - '0');
    if (value > (max - digit) / 10)
      return false;
    value = value * 10 + digit;
    scan->at++;
  }
  *ret_value = value;
  return scan->at > begin;
}

static bool scan_boot(struct scan *scan, char *ret_boot)
{
  size_t size = 0;
  while (scan->at < scan->size && scan->text[scan->at] != '\n') {
    if (size == WEIR_EPOCH_BOOT_SIZE - 1 || scan->text[scan->at] <= ' ')
      return false;
    ret_boot[size++] = scan->text[scan->at++];
  }
  ret_boot[size] = '\0';
  return size > 0;
}

enum weir_err weir_epoch_parse(const char *text, size_t size, struct weir_epoch_record *ret_record,
                               size_t *ret_offset)
{
  struct scan scan = {.text = text, .size = size};
  struct weir_epoch_record record = {0};
  uint64_t clean = 0;
  bool is_valid = scan_literal(&scan, "weir-state 1\nepoch ") &&
                  scan_number(&scan, EPOCH_MAX, &record.epoch) && scan_literal(&scan, "\nboot ") &&
                  scan_boot(&scan, record.boot) && scan_literal(&scan, "\ngranted_until_us ") &&
                  scan_number(&scan, EPOCH_MAX, &record.granted_until) &&
                  scan_literal(&scan, "\nclean ") && scan_number(&scan, 1, &clean) &&
                  scan_literal(&scan, "\n");
  if (is_valid) {
    char check[32];
    snprintf(check, sizeof check, "check %016llx\n", (unsigned long long)checksum(text, scan.at));
    is_valid = scan_literal(&scan, check) && scan.at == size && record.epoch > 0;
  }
  if (!is_valid) {
    *ret_offset = scan.at;
    return WEIR_ESYNTAX;
  }
  if (strcmp(record.boot, "unknown") == 0)
    record.boot[0] = '\0';
  record.is_clean = clean == 1;
  *ret_record = record;
  return WEIR_OK;
}

/* ---- files ---- */

__attribute__((format(printf, 3, 4))) static enum weir_err fail(enum weir_err err, char *ret_error,
                                                                const char *format, ...)
{
  va_list args;
  va_start(args, format);
  vsnprintf(ret_error, WEIR_EPOCH_ERROR_SIZE, format, args);
  va_end(args);
  return err;
}

static enum weir_err lock_take(struct weir_epoch *e, char *ret_error)
{
  char lock[WEIR_CONF_PATH_SIZE + 8];
  snprintf(lock, sizeof lock, "%s.lock", e->path);
  enum weir_err err = weir_life_lock(lock, e->path, &e->lock_fd);
  if (err == WEIR_ENOENT)
    return fail(WEIR_ESYSTEM, ret_error,
                "%s: cannot be opened (%s); create its folder, writable for this user, or change "
                "'state'",
                lock, strerror(errno));
  if (err == WEIR_ECLOSED)
    return fail(WEIR_ECLOSED, ret_error,
                "%s: another weir-coordinator runs on this state file; stop it, or give this one a "
                "'state' and 'listen' of its own",
                lock);
  if (err != WEIR_OK)
    return fail(WEIR_ESYSTEM, ret_error, "%s: cannot be locked (%s); use a local file system", lock,
                strerror(errno));
  return WEIR_OK;
}

static enum weir_err record_read(struct weir_epoch *e, bool is_forced, char *ret_error)
{
  FILE *file = fopen(e->path, "rb");
  if (file == NULL && errno == ENOENT) {
    e->has_past = is_forced; /* a lost file: there was a past */
    e->former.epoch = is_forced ? (uint64_t)time(NULL) : 0;
    return WEIR_OK;
  }
  if (file == NULL)
    return fail(WEIR_ESYSTEM, ret_error, "%s: cannot be opened (%s); make it readable", e->path,
                strerror(errno));
  char text[WEIR_EPOCH_FILE_SIZE];
  size_t size = fread(text, 1, sizeof text, file), offset = 0;
  bool is_read = !ferror(file);
  fclose(file);
  if (!is_read)
    return fail(WEIR_ESYSTEM, ret_error, "%s: cannot be read", e->path);
  if (weir_epoch_parse(text, size, &e->former, &offset) != WEIR_OK) {
    if (!is_forced)
      return fail(WEIR_ESYNTAX, ret_error,
                  "%s: damaged at byte %zu of %zu; restore the file, or start once with "
                  "--assume-spent, which takes every window up to an hour as used up",
                  e->path, offset, size);
    e->former = (struct weir_epoch_record){.epoch = (uint64_t)time(NULL)};
  } else if (is_forced) {
    e->former.boot[0] = '\0'; /* a restored copy may be older than the last grants */
  }
  e->has_past = true;
  return WEIR_OK;
}

enum weir_err weir_epoch_open(struct weir_epoch *e, const char *path, bool is_forced,
                              char *ret_error)
{
  assert(strlen(path) < sizeof e->path);
  *e = (struct weir_epoch){.lock_fd = -1};
  memcpy(e->path, path, strlen(path) + 1);
  weir_life_boot(e->boot);
  enum weir_err err = lock_take(e, ret_error);
  if (err == WEIR_OK)
    err = record_read(e, is_forced, ret_error);
  if (err != WEIR_OK)
    weir_epoch_close(e);
  return err;
}

void weir_epoch_close(struct weir_epoch *e)
{
  if (e->lock_fd >= 0)
    close(e->lock_fd);
  e->lock_fd = -1;
}

weir_duration weir_epoch_past_us(const struct weir_epoch *e, weir_tstamp now)
{
  if (e->boot[0] == '\0' || strcmp(e->boot, e->former.boot) != 0)
    return 0;
  return weir_time_sub(now, e->former.granted_until);
}

/* Writes and syncs |text| as a new file. */
static int file_write(const char *path, const char *text, size_t size)
{
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0)
    return -1;
  ssize_t written = write(fd, text, size);
  if (written >= 0 && (size_t)written < size)
    errno = ENOSPC;
  int result = written == (ssize_t)size ? fsync(fd) : -1;
  int error = errno;
  if (close(fd) != 0 && result == 0)
    return -1;
  errno = error;
  return result;
}

enum weir_err weir_epoch_write(const struct weir_epoch *e, uint64_t epoch,
                               weir_tstamp granted_until, bool is_clean, char *ret_error)
{
  struct weir_epoch_record record = {
      .epoch = epoch, .granted_until = granted_until, .is_clean = is_clean};
  memcpy(record.boot, e->boot, sizeof record.boot);
  char text[WEIR_EPOCH_FILE_SIZE], temporary[WEIR_CONF_PATH_SIZE + 8];
  size_t size = weir_epoch_format(&record, text);
  snprintf(temporary, sizeof temporary, "%s.new", e->path);
  if (file_write(temporary, text, size) != 0)
    return fail(WEIR_ESYSTEM, ret_error, "%s: cannot be written (%s)", temporary, strerror(errno));
  if (rename(temporary, e->path) != 0 || weir_life_sync(e->path) != 0)
    return fail(WEIR_ESYSTEM, ret_error, "%s: cannot be replaced (%s)", e->path, strerror(errno));
  return WEIR_OK;
}
