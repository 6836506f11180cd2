/* The store: what was acknowledged is there, whatever happens; what is damaged is never taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir/rng.h>
#include <weir/store.h>

#include "clock.h"
#include "faulty_vfs.h"
#include "heritage.h"
#include "recorder.h"
#include "store_row.h"

#define RECORDS    40
#define TIMEOUT_MS 30000
#define LIMITS     WEIR_LIMITS_MAX

struct place {
  char folder[64], path[96], copy[96];
  char error[WEIR_HERITAGE_ERROR_SIZE];
  struct weir_record records[RECORDS];
};

static int setup(void **state)
{
  struct place *place = calloc(1, sizeof *place);
  if (place == NULL)
    return -1;
  /* Memory, where there is some: faults are made, not met, and thousands of syncs take time. */
  snprintf(place->folder, sizeof place->folder, "%s/weir-test-XXXXXX",
           access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  if (mkdtemp(place->folder) == NULL)
    return -1;
  snprintf(place->path, sizeof place->path, "%s/db", place->folder);
  snprintf(place->copy, sizeof place->copy, "%s/copy", place->folder);
  for (uint32_t i = 0; i < RECORDS; i++) {
    struct weir_record *record = &place->records[i];
    record->kind = (enum weir_record_kind)(1 + i % (WEIR_RECORD_KIND_MAX - 1));
    snprintf(record->owner, sizeof record->owner, "pool p%02u", (unsigned)(i / 5));
    record->item = i % 3 == 0 ? UINT64_MAX : i;
    record->at = UINT64_MAX - i;
    record->count = i % 7 == 0 ? WEIR_RECORD_NUMBERS_MAX : i;
    for (uint32_t k = 0; k < record->count; k++)
      record->numbers[k] = UINT64_MAX - (uint64_t)i * k * 0x0101010101;
  }
  *state = place;
  faulty_set(FAULTY_NONE, 0);
  return 0;
}

static int teardown(void **state)
{
  struct place *place = *state;
  static const char *const ends[] = {"db",         "db-wal",     "db-journal",     "db.lock",
                                     "db.new",     "db.damaged", "db.damaged-wal", "copy",
                                     "copy.lock",  "copy-wal",   "copy.new",       "state",
                                     "state.lock", "state.new",  "db.new-journal"};
  char path[128];
  faulty_set(FAULTY_NONE, 0);
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    snprintf(path, sizeof path, "%s/%s", place->folder, ends[i]);
    remove(path);
  }
  assert_int_equal(rmdir(place->folder), 0);
  free(place);
  return 0;
}

static struct weir_store *open_store(struct place *place, enum weir_store_mode mode)
{
  struct weir_store *store = NULL;
  if (weir_store_open(place->path, mode, &store, NULL, place->error) != WEIR_OK)
    fail_msg("%s", place->error);
  return store;
}

static void commit(struct place *place, struct weir_store *store, const struct weir_record *records,
                   uint32_t count)
{
  if (weir_store_commit(store, NULL, records, count, place->error) != WEIR_OK)
    fail_msg("%s", place->error);
}

/* A closed store with all of place->records. */
static void make_store(struct place *place)
{
  struct weir_store *store = open_store(place, WEIR_STORE_SERVE);
  commit(place, store, place->records, RECORDS);
  weir_store_close(store);
}

static const struct weir_record *find(const struct weir_record *records, uint32_t count,
                                      const struct weir_record *key)
{
  for (uint32_t i = 0; i < count; i++) {
    if (records[i].kind == key->kind && records[i].item == key->item &&
        strcmp(records[i].owner, key->owner) == 0)
      return &records[i];
  }
  return NULL;
}

static bool is_same(const struct weir_record *a, const struct weir_record *b)
{
  return memcmp(a, b, sizeof *a) == 0;
}

/* Reads and compares with |expected|; false when the store does not let itself be read. */
static bool holds(struct place *place, struct weir_store *store, const struct weir_record *expected,
                  uint32_t expected_count)
{
  struct weir_record *records = NULL;
  uint32_t count = 0;
  if (weir_store_read(store, &records, &count, place->error) != WEIR_OK)
    return false;
  assert_int_equal(count, expected_count);
  for (uint32_t i = 0; i < expected_count; i++) {
    const struct weir_record *found = find(records, count, &expected[i]);
    assert_non_null(found);
    assert_true(is_same(found, &expected[i]));
  }
  free(records);
  return true;
}

/* ---- records ---- */

static void reads_back_what_it_committed(void **state)
{
  struct place *place = *state;
  make_store(place);
  struct weir_store *store = open_store(place, WEIR_STORE_SERVE);
  assert_true(holds(place, store, place->records, RECORDS));
  for (uint32_t i = 0; i < RECORDS; i += 2) {
    place->records[i].at -= 5;
    place->records[i].count = i % 11;
    memset(place->records[i].numbers, 0, sizeof place->records[i].numbers);
    commit(place, store, &place->records[i], 1); /* takes the place of the former one */
  }
  assert_true(holds(place, store, place->records, RECORDS));
  weir_store_close(store);
  store = open_store(place, WEIR_STORE_TOOL);
  assert_true(holds(place, store, place->records, RECORDS));
  weir_store_close(store);
}

static void reads_back_what_it_knows_of_the_last_life(void **state)
{
  struct place *place = *state;
  struct weir_store_meta meta = {.epoch = (UINT64_C(1) << 62) + 3,
                                 .boot = "6fd29f0e-2b1b-4a52-a6d6-60bbd7bf8a65",
                                 .granted_until = WEIR_NEVER};
  for (uint32_t i = 0; i < 4; i++) {
    meta.is_clean = i & 1;
    meta.is_spent = i & 2;
    struct weir_store *store = open_store(place, WEIR_STORE_SERVE);
    assert_int_equal(weir_store_commit(store, &meta, NULL, 0, place->error), WEIR_OK);
    weir_store_close(store);
    store = open_store(place, WEIR_STORE_TOOL);
    const struct weir_store_meta *read = weir_store_meta(store);
    assert_int_equal(read->epoch, meta.epoch);
    assert_string_equal(read->boot, meta.boot);
    assert_int_equal(read->granted_until, meta.granted_until);
    assert_int_equal(read->is_clean, meta.is_clean);
    assert_int_equal(read->is_spent, meta.is_spent);
    weir_store_close(store);
  }
}

static void lets_nobody_else_read_it(void **state)
{
  struct place *place = *state;
  struct stat info;
  char path[128];
  struct weir_store *store = open_store(place, WEIR_STORE_SERVE);
  commit(place, store, place->records, 1);
  assert_int_equal(stat(place->path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  snprintf(path, sizeof path, "%s-wal", place->path);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  weir_store_close(store);
}

static void notices_every_changed_bit_of_a_row(void **state)
{
  struct place *place = *state;
  uint8_t numbers[WEIR_STORE_NUMBERS_SIZE];
  char owner[WEIR_RECORD_OWNER_SIZE];
  struct weir_store_row row;
  struct weir_record record;
  const char *why = NULL;
  weir_store_row_encode(&place->records[13], numbers, &row);
  memcpy(owner, place->records[13].owner, sizeof owner);
  row.owner = owner;
  assert_int_equal(weir_store_row_decode(&row, &record, &why), WEIR_OK);
  assert_true(is_same(&record, &place->records[13]));
  for (size_t i = 0; i < row.numbers_size * 8; i++) {
    numbers[i / 8] ^= (uint8_t)(1 << (i % 8));
    assert_int_equal(weir_store_row_decode(&row, &record, &why), WEIR_ESYNTAX);
    numbers[i / 8] ^= (uint8_t)(1 << (i % 8));
  }
  for (size_t i = 0; i < row.owner_size * 8; i++) {
    owner[i / 8] = (char)(owner[i / 8] ^ (1 << (i % 8)));
    assert_int_equal(weir_store_row_decode(&row, &record, &why), WEIR_ESYNTAX);
    owner[i / 8] = (char)(owner[i / 8] ^ (1 << (i % 8)));
  }
  int64_t *const values[] = {&row.kind, &row.item, &row.at, &row.check};
  for (size_t i = 0; i < 4 * 64; i++) {
    int64_t before = *values[i / 64];
    *values[i / 64] = (int64_t)((uint64_t)before ^ (UINT64_C(1) << (i % 64)));
    assert_int_equal(weir_store_row_decode(&row, &record, &why), WEIR_ESYNTAX);
    *values[i / 64] = before;
  }
  row.numbers_size -= 8;
  assert_int_equal(weir_store_row_decode(&row, &record, &why), WEIR_ESYNTAX);
  row.numbers_size += 8;
  row.owner_size--;
  assert_int_equal(weir_store_row_decode(&row, &record, &why), WEIR_ESYNTAX);
}

/* ---- files ---- */

static uint8_t *file_read(const char *path, size_t *ret_size)
{
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  size_t max = (size_t)1 << 20;
  uint8_t *bytes = malloc(max);
  assert_non_null(bytes);
  *ret_size = fread(bytes, 1, max, file);
  assert_true(*ret_size > 0 && *ret_size < max);
  fclose(file);
  return bytes;
}

static void file_write(const char *path, const void *bytes, size_t size)
{
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

/* Bytes that SQLite does not use may change without anybody noticing; then nothing else has. */
static void takes_no_record_from_a_damaged_file_as_another(void **state)
{
  struct place *place = *state;
  make_store(place);
  size_t size = 0;
  uint8_t *bytes = file_read(place->path, &size);
  uint32_t refused = 0;
  for (size_t i = 0; i < size; i += 7) {
    struct weir_store *store = NULL;
    bytes[i] ^= (uint8_t)(1 << (i / 7 % 8));
    file_write(place->path, bytes, size);
    bytes[i] ^= (uint8_t)(1 << (i / 7 % 8));
    enum weir_err err = weir_store_open(place->path, WEIR_STORE_SERVE, &store, NULL, place->error);
    if (err != WEIR_OK || !holds(place, store, place->records, RECORDS)) {
      refused++;
      if (strstr(place->error, place->path) == NULL)
        fail_msg("byte %zu: %s", i, place->error);
    }
    weir_store_close(store);
  }
  assert_true(refused > size / 7 / 3); /* most of the file is used */
  free(bytes);
}

static void keeps_the_good_rows_in_a_repair(void **state)
{
  struct place *place = *state;
  make_store(place);
  size_t size = 0, marks = 0;
  uint8_t *bytes = file_read(place->path, &size);
  for (size_t i = 0; i + 8 < size; i++) { /* of the one record with this owner and item */
    if (memcmp(bytes + i, "pool p02", 8) == 0 && marks++ == 0)
      bytes[i + 6] = '9';
  }
  assert_true(marks > 0);
  file_write(place->path, bytes, size);
  free(bytes);
  struct weir_store *store = open_store(place, WEIR_STORE_TOOL);
  struct weir_record *records = NULL;
  uint32_t count = 0;
  assert_int_equal(weir_store_read(store, &records, &count, place->error), WEIR_ESYNTAX);
  assert_non_null(strstr(place->error, "row "));
  assert_non_null(strstr(place->error, "weir store repair "));
  uint64_t epoch = weir_store_meta(store)->epoch;
  weir_store_close(store);

  struct weir_store_repair repair;
  assert_int_equal(weir_store_repair(place->path, &repair, place->error), WEIR_OK);
  assert_int_equal(repair.damages, 1); /* it ends no walk: nothing is read a second time */
  assert_int_equal(repair.kept, RECORDS - 1);
  store = open_store(place, WEIR_STORE_TOOL);
  assert_true(weir_store_meta(store)->is_spent);
  assert_true(weir_store_meta(store)->epoch >= epoch);
  assert_int_equal(weir_store_read(store, &records, &count, place->error), WEIR_OK);
  assert_int_equal(count, RECORDS - 1);
  for (uint32_t i = 0; i < count; i++)
    assert_true(is_same(find(place->records, RECORDS, &records[i]), &records[i]));
  free(records);
  weir_store_close(store);
  assert_int_equal(weir_store_repair(place->path, &repair, place->error), WEIR_OK);
  assert_int_equal(repair.damages, 0); /* nothing is left to do */
  assert_int_equal(repair.kept, RECORDS - 1);
}

static void makes_a_usable_store_of_any_damaged_file(void **state)
{
  struct place *place = *state;
  make_store(place);
  size_t size = 0;
  uint8_t *bytes = file_read(place->path, &size);
  char damaged[128];
  snprintf(damaged, sizeof damaged, "%s.damaged", place->path);
  for (size_t i = 0; i < size; i += 17) {
    struct weir_store_repair repair;
    struct weir_record *records = NULL;
    uint32_t count = 0;
    memset(bytes + i, bytes[i] ^ 0x55, 1);
    file_write(place->path, bytes, size);
    memset(bytes + i, bytes[i] ^ 0x55, 1);
    enum weir_err err = weir_store_repair(place->path, &repair, place->error);
    if (err == WEIR_EVERSION)
      continue; /* as it should be: not ours to change */
    assert_int_equal(err, WEIR_OK);
    struct weir_store *store = open_store(place, WEIR_STORE_TOOL);
    assert_int_equal(weir_store_meta(store)->is_spent, repair.damages > 0);
    assert_int_equal(weir_store_read(store, &records, &count, place->error), WEIR_OK);
    assert_int_equal(count, repair.kept);
    assert_int_equal(count < RECORDS && repair.damages == 0, 0); /* nothing goes in silence */
    for (uint32_t k = 0; k < count; k++)
      assert_true(is_same(find(place->records, RECORDS, &records[k]), &records[k]));
    free(records);
    weir_store_close(store);
    unlink(damaged);
  }
  free(bytes);
}

static void refuses_files_that_are_no_store(void **state)
{
  struct place *place = *state;
  struct weir_store *store = NULL;
  file_write(place->path, "not a database, but a text of more than a few bytes", 51);
  assert_int_equal(weir_store_open(place->path, WEIR_STORE_SERVE, &store, NULL, place->error),
                   WEIR_ESYNTAX);
  file_write(place->path, "", 0); /* a truncated one must not begin anew, with everything free */
  assert_int_equal(weir_store_open(place->path, WEIR_STORE_SERVE, &store, NULL, place->error),
                   WEIR_ESYNTAX);
  remove(place->path);
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, "CREATE TABLE records(x)", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
  assert_int_equal(weir_store_open(place->path, WEIR_STORE_SERVE, &store, NULL, place->error),
                   WEIR_ESYNTAX);
  assert_non_null(strstr(place->error, "application id"));
  remove(place->path);
  assert_int_equal(weir_store_open(place->path, WEIR_STORE_TOOL, &store, NULL, place->error),
                   WEIR_ENOENT);
}

static void refuses_another_format(void **state)
{
  struct place *place = *state;
  struct weir_store *store = NULL;
  struct weir_store_repair repair;
  make_store(place);
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
  assert_int_equal(
      sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA user_version=2", NULL, NULL, NULL),
      SQLITE_OK);
  sqlite3_close(db);
  assert_int_equal(weir_store_open(place->path, WEIR_STORE_SERVE, &store, NULL, place->error),
                   WEIR_EVERSION);
  assert_non_null(strstr(place->error, "has format 2, and this weir knows 1"));
  assert_int_equal(weir_store_repair(place->path, &repair, place->error), WEIR_EVERSION);
}

static void refuses_a_log_without_its_file(void **state)
{
  struct place *place = *state;
  struct weir_store *store = NULL;
  char log[128];
  snprintf(log, sizeof log, "%s-wal", place->path);
  file_write(log, "x", 1);
  assert_int_equal(weir_store_open(place->path, WEIR_STORE_SERVE, &store, NULL, place->error),
                   WEIR_ESYNTAX);
  assert_non_null(strstr(place->error, "--assume-spent"));
  store = open_store(place, WEIR_STORE_FORCE);
  assert_true(weir_store_meta(store)->is_spent);
  weir_store_close(store);
}

static void lets_one_process_have_it(void **state)
{
  struct place *place = *state;
  struct weir_store *first = open_store(place, WEIR_STORE_SERVE), *second = NULL;
  struct weir_store_repair repair;
  assert_int_equal(weir_store_open(place->path, WEIR_STORE_SERVE, &second, NULL, place->error),
                   WEIR_ECLOSED);
  assert_non_null(strstr(place->error, "in use"));
  assert_int_equal(weir_store_repair(place->path, &repair, place->error), WEIR_ECLOSED);
  weir_store_close(first);
  second = open_store(place, WEIR_STORE_SERVE);
  weir_store_close(second);
}

static void marks_a_copy_as_not_knowing_the_latest_grants(void **state)
{
  struct place *place = *state;
  make_store(place);
  struct weir_store *store = open_store(place, WEIR_STORE_TOOL);
  assert_int_equal(weir_store_backup(store, place->copy, place->error), WEIR_OK);
  assert_int_equal(weir_store_backup(store, place->copy, place->error), WEIR_ESYSTEM);
  assert_non_null(strstr(place->error, "is there already"));
  assert_false(weir_store_meta(store)->is_spent);
  weir_store_close(store);
  memcpy(place->path, place->copy, sizeof place->path);
  store = open_store(place, WEIR_STORE_TOOL);
  assert_true(weir_store_meta(store)->is_spent);
  assert_true(holds(place, store, place->records, RECORDS));
  weir_store_close(store);
}

/* SQLite would write it over the copy at the next start, mark and all. */
static void writes_no_copy_beside_the_log_of_another_file(void **state)
{
  struct place *place = *state;
  char log[128], other[128];
  size_t size = 0;
  struct weir_store *store = open_store(place, WEIR_STORE_SERVE);
  commit(place, store, place->records, RECORDS);
  snprintf(log, sizeof log, "%s-wal", place->path);
  uint8_t *bytes = file_read(log, &size);
  snprintf(other, sizeof other, "%s-wal", place->copy);
  file_write(other, bytes, size);
  free(bytes);
  assert_int_equal(weir_store_backup(store, place->copy, place->error), WEIR_ESYSTEM);
  assert_non_null(strstr(place->error, other));
  assert_int_equal(access(place->copy, F_OK), -1);
  assert_int_equal(unlink(other), 0);
  assert_int_equal(weir_store_backup(store, place->copy, place->error), WEIR_OK);
  weir_store_close(store);
}

static void assert_owner(const char *path, uid_t owner)
{
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_uid, owner);
  assert_int_equal(info.st_mode & 0777, 0600);
}

/* Who looks after the coordinator's files is often root, and the coordinator is not. */
static void leaves_files_to_the_owner_of_the_store(void **state)
{
  const uid_t owner = 12345;
  struct place *place = *state;
  struct weir_store_repair repair;
  char lock[128];
  if (geteuid() != 0)
    skip();
  make_store(place);
  snprintf(lock, sizeof lock, "%s.lock", place->path);
  assert_int_equal(unlink(lock), 0);
  assert_int_equal(chown(place->path, owner, owner), 0);
  struct weir_store *store = open_store(place, WEIR_STORE_TOOL);
  assert_owner(lock, owner);
  assert_int_equal(weir_store_backup(store, place->copy, place->error), WEIR_OK);
  assert_owner(place->copy, owner);
  weir_store_close(store);
  size_t size = 0;
  uint8_t *bytes = file_read(place->path, &size);
  memset(bytes + size / 2, 0xa5, size / 4);
  file_write(place->path, bytes, size);
  free(bytes);
  assert_int_equal(weir_store_repair(place->path, &repair, place->error), WEIR_OK);
  assert_true(repair.damages > 0);
  assert_owner(place->path, owner);
}

/* ---- crashes ---- */

static void records_of(struct place *place, uint64_t number)
{
  for (uint32_t i = 0; i < RECORDS; i++)
    place->records[i].at = number;
}

/* Commits again and again, and tells of each commit when it is durable. */
static void child_run(struct place *place, int fd, uint64_t number)
{
  struct weir_store *store = NULL;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (weir_store_open(place->path, WEIR_STORE_SERVE, &store, NULL, place->error) != WEIR_OK)
    _exit(1);
  for (;;) {
    number++;
    records_of(place, number);
    if (weir_store_commit(store, NULL, place->records, RECORDS, place->error) != WEIR_OK ||
        write(fd, &number, sizeof number) != (ssize_t)sizeof number)
      _exit(1);
  }
}

/* Kills a child after |busy| acknowledged commits and some more work; returns the last number it
 * told of. */
static uint64_t kill_child(struct place *place, uint64_t number, uint64_t busy, uint64_t spin)
{
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    close(ends[0]);
    child_run(place, ends[1], number);
  }
  close(ends[1]);
  uint64_t acknowledged = number, read_number = 0;
  for (uint64_t i = 0; i < busy; i++) {
    struct pollfd in = {.fd = ends[0], .events = POLLIN};
    assert_int_equal(poll(&in, 1, TIMEOUT_MS), 1);
    assert_int_equal(read(ends[0], &read_number, sizeof read_number), sizeof read_number);
    acknowledged = read_number;
  }
  for (volatile uint64_t i = 0; i < spin; i++)
    ; /* some instant within the next commit */
  kill(pid, SIGKILL);
  while (read(ends[0], &read_number, sizeof read_number) == (ssize_t)sizeof read_number)
    acknowledged = read_number;
  close(ends[0]);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  return acknowledged;
}

static void has_after_a_kill_all_that_was_acknowledged_and_no_half_of_more(void **state)
{
  struct place *place = *state;
  struct weir_rng rng;
  uint64_t number = 0;
  weir_rng_init(&rng, 7);
  for (int life = 0; life < 60; life++) {
    uint64_t acknowledged = kill_child(place, number, life % 3 == 0 ? 0 : weir_rng_below(&rng, 40),
                                       weir_rng_below(&rng, 2000000));
    struct weir_record *records = NULL;
    uint32_t count = 0;
    struct weir_store *store = open_store(place, WEIR_STORE_SERVE);
    if (weir_store_read(store, &records, &count, place->error) != WEIR_OK)
      fail_msg("%s", place->error);
    assert_true(count == RECORDS || (count == 0 && acknowledged == 0));
    if (count > 0) {
      assert_true(records[0].at == acknowledged || records[0].at == acknowledged + 1);
      number = records[0].at;
    }
    for (uint32_t i = 0; i < count; i++)
      assert_int_equal(records[i].at, number);
    free(records);
    weir_store_close(store);
  }
  assert_true(number > 60);
}

/* ---- disks ---- */

static void says_durable_only_when_nothing_waits_to_be_written(void **state)
{
  struct place *place = *state;
  struct weir_store *store = open_store(place, WEIR_STORE_SERVE);
  for (uint32_t i = 0; i < 200; i++) { /* past some checkpoints */
    records_of(place, i);
    commit(place, store, place->records, RECORDS);
    assert_false(faulty.is_dirty);
  }
  weir_store_close(store);
}

/* Whatever operation fails first, of a commit with the checkpoint that may be part of it. */
static void goes_on_after_a_failing_disk(void **state)
{
  static const enum faulty_kind kinds[] = {FAULTY_FULL, FAULTY_WRITE, FAULTY_SYNC};
  struct place *place = *state;
  struct weir_store *store = open_store(place, WEIR_STORE_SERVE);
  uint64_t number = 1;
  uint32_t failed = 0;
  records_of(place, number);
  commit(place, store, place->records, RECORDS);
  for (size_t k = 0; k < 3; k++) {
    for (uint32_t after = 0; after < 40; after++) {
      uint64_t before = number++;
      records_of(place, number);
      faulty_set(kinds[k], after);
      enum weir_err err = weir_store_commit(store, NULL, place->records, RECORDS, place->error);
      if (err != WEIR_OK) {
        failed++;
        assert_int_equal(err, WEIR_ESYSTEM);
        assert_non_null(strstr(place->error, "cannot be written"));
        if (after % 2 == 0) { /* it failed, the process died, and then the disk was well */
          weir_store_close(store);
          faulty_set(FAULTY_NONE, 0);
          store = open_store(place, WEIR_STORE_SERVE);
        }
        faulty_set(FAULTY_NONE, 0);
        struct weir_record *records = NULL;
        uint32_t count = 0;
        assert_int_equal(weir_store_read(store, &records, &count, place->error), WEIR_OK);
        assert_int_equal(count, RECORDS);
        assert_true(records[0].at == before || records[0].at == number);
        for (uint32_t i = 0; i < count; i++)
          assert_int_equal(records[i].at, records[0].at);
        free(records);
      }
      faulty_set(FAULTY_NONE, 0);
      commit(place, store, place->records, RECORDS);
      assert_true(holds(place, store, place->records, RECORDS));
    }
  }
  assert_true(failed > 20);
  weir_store_close(store);
}

static void says_what_it_could_not_read(void **state)
{
  struct place *place = *state;
  struct weir_store *store = NULL;
  make_store(place);
  for (uint32_t after = 0; after < 6; after++) {
    faulty_set(FAULTY_READ, after);
    enum weir_err err = weir_store_open(place->path, WEIR_STORE_SERVE, &store, NULL, place->error);
    if (err == WEIR_OK) {
      assert_false(faulty.count > after && holds(place, store, place->records, RECORDS));
      weir_store_close(store);
    } else {
      assert_non_null(strstr(place->error, place->path));
    }
    faulty_set(FAULTY_NONE, 0);
  }
}

/* ---- the thread ---- */

static bool take(struct weir_recorder *r, uint64_t *ret_generation, char *ret_error)
{
  struct pollfd in = {.fd = r->event_fd, .events = POLLIN};
  bool is_durable = false;
  assert_int_equal(poll(&in, 1, TIMEOUT_MS), 1);
  assert_true(weir_recorder_take(r, ret_generation, &is_durable, ret_error));
  return is_durable;
}

static void lets_the_loop_go_on_while_the_disk_is_slow(void **state)
{
  struct place *place = *state;
  struct weir_recorder r;
  uint64_t generation = 0;
  bool is_durable = false;
  struct weir_store *store = open_store(place, WEIR_STORE_SERVE);
  assert_int_equal(weir_recorder_start(&r, store, place->error), WEIR_OK);
  assert_false(weir_recorder_take(&r, &generation, &is_durable, place->error));
  faulty_slow(true);
  memcpy(weir_recorder_room(&r), place->records, sizeof place->records);
  weir_recorder_give(&r, RECORDS, 41);
  faulty_wait();
  assert_null(weir_recorder_room(&r));
  assert_false(weir_recorder_take(&r, &generation, &is_durable, place->error));
  faulty_slow(false);
  assert_true(take(&r, &generation, place->error));
  assert_int_equal(generation, 41);
  assert_non_null(weir_recorder_room(&r));
  weir_recorder_stop(&r);
  weir_recorder_free(&r);
  assert_true(holds(place, store, place->records, RECORDS));
  weir_store_close(store);
}

static void tells_of_a_failed_generation_and_takes_the_next(void **state)
{
  struct place *place = *state;
  struct weir_recorder r;
  uint64_t generation = 0;
  struct weir_store *store = open_store(place, WEIR_STORE_SERVE);
  assert_int_equal(weir_recorder_start(&r, store, place->error), WEIR_OK);
  faulty_set(FAULTY_FULL, 0);
  memcpy(weir_recorder_room(&r), place->records, sizeof place->records);
  weir_recorder_give(&r, RECORDS, 1);
  assert_false(take(&r, &generation, place->error));
  assert_int_equal(generation, 1);
  assert_non_null(strstr(place->error, "cannot be written"));
  faulty_set(FAULTY_NONE, 0);
  memcpy(weir_recorder_room(&r), place->records, sizeof place->records);
  weir_recorder_give(&r, 3, 2);
  weir_recorder_stop(&r); /* waits for what was given */
  assert_true(take(&r, &generation, place->error));
  assert_int_equal(generation, 2);
  assert_string_equal(place->error, "");
  weir_recorder_free(&r);
  assert_true(holds(place, store, place->records, 3));
  weir_store_close(store);
}

/* ---- lives ---- */

/* Begins a life on place->path; the caller ends it. */
static void begin(struct place *place, struct weir_heritage *p, bool is_forced,
                  struct weir_coord_start *start)
{
  static struct weir_conf conf;
  snprintf(conf.store, sizeof conf.store, "%s", place->path);
  *start = (struct weir_coord_start){0};
  if (weir_heritage_open(p, &conf, is_forced, start, place->error) != WEIR_OK)
    fail_msg("%s", place->error);
  assert_true(start->is_durable);
}

/* As a kill leaves it. */
static void die(struct weir_heritage *p)
{
  weir_recorder_stop(&p->recorder);
  weir_recorder_free(&p->recorder);
  weir_heritage_forget(p);
  weir_store_close(p->store);
}

static void begins_each_life_with_what_the_last_one_left(void **state)
{
  struct place *place = *state;
  static struct weir_heritage p;
  struct weir_coord_start start;
  begin(place, &p, false, &start);
  uint64_t epoch = start.epoch;
  assert_false(start.has_past);
  assert_string_equal(p.name, "none");
  commit(place, p.store, place->records, RECORDS);
  p.former_until = 5000; /* as if it had granted until then */
  assert_int_equal(weir_heritage_close(&p, NULL, place->error), WEIR_OK);

  begin(place, &p, false, &start);
  assert_string_equal(p.name, "clean");
  assert_true(start.has_past && start.is_same_boot);
  assert_int_equal(start.epoch, epoch + 1);
  assert_int_equal(start.records_count, RECORDS);
  weir_heritage_begin(&p, &start, 7000);
  assert_int_equal(start.past_us, 2000);
  die(&p);

  begin(place, &p, false, &start);
  assert_string_equal(p.name, "unclean");
  assert_int_equal(start.records_count, RECORDS);
  assert_int_equal(start.epoch, epoch + 2);
  weir_heritage_begin(&p, &start, 9000);
  assert_int_equal(start.past_us, 0); /* nobody knows */
  struct weir_store_meta meta = *weir_store_meta(p.store);
  meta.boot[0] = (char)(meta.boot[0] ^ 1);
  assert_int_equal(weir_store_commit(p.store, &meta, NULL, 0, place->error), WEIR_OK);
  die(&p);

  begin(place, &p, false, &start);
  assert_false(start.is_same_boot);
  assert_int_equal(start.records_count, RECORDS);
  die(&p);
}

/* Old records are the least of what was granted, so they are told, too. */
static void assumes_more_spent_once_it_was_told_to(void **state)
{
  struct place *place = *state;
  static struct weir_heritage p;
  struct weir_coord_start start;
  make_store(place);
  struct weir_store *store = open_store(place, WEIR_STORE_TOOL);
  assert_int_equal(weir_store_assume_spent(store, place->error), WEIR_OK);
  weir_store_close(store);
  for (int life = 0; life < 3; life++) { /* a life that ends in no order changes nothing of it */
    begin(place, &p, life == 2, &start);
    assert_string_equal(p.name, "spent");
    assert_true(start.has_past && start.is_spent);
    assert_int_equal(start.records_count, RECORDS);
    weir_heritage_begin(&p, &start, WEIR_NEVER - 1);
    assert_int_equal(start.past_us, 0);
    die(&p);
  }
}

static void takes_a_lost_store_for_spent_only_when_told(void **state)
{
  struct place *place = *state;
  static struct weir_heritage p;
  struct weir_coord_start start;
  begin(place, &p, true, &start);
  assert_true(start.has_past);
  assert_string_equal(p.name, "spent");
  assert_int_equal(weir_heritage_close(&p, NULL, place->error), WEIR_OK);
}

/* A machine of |pools| pools with as many limits as a pool may have, that goes on from |start|. */
static struct weir_coord *make_machine(struct weir_coord_start *start, uint32_t pools,
                                       void **ret_storage)
{
  static struct weir_pool_config configs[WEIR_CONF_POOLS_MAX];
  const struct weir_coord_bounds bounds = {.pools_max = pools,
                                           .names_max = 1,
                                           .sessions_max = 1,
                                           .asks_max = 1,
                                           .leases_max = 1,
                                           .budgets_max = 1,
                                           .tenants_max = 1};
  const struct weir_coord_config config = {.pools_count = pools,
                                           .pools = configs,
                                           .heartbeat_us = WEIR_US_PER_S,
                                           .session_ttl_us = WEIR_US_PER_S,
                                           .asks_max = 1};
  struct weir_coord *coord = NULL;
  for (uint32_t i = 0; i < pools; i++) {
    configs[i] = (struct weir_pool_config){.ttl_us = WEIR_US_PER_S, .limits_count = LIMITS};
    snprintf(configs[i].name, sizeof configs[i].name, "p%u", (unsigned)i);
    for (uint32_t k = 0; k < LIMITS; k++)
      configs[i].limits[k] = (struct weir_limit_config){.dimension = WEIR_DIMENSION_REQUESTS,
                                                        .window_us = (k + 1) * WEIR_US_PER_MIN,
                                                        .amount = 1000};
  }
  *ret_storage = calloc(1, weir_coord_size(&bounds));
  assert_non_null(*ret_storage);
  assert_int_equal(weir_coord_init(*ret_storage, &bounds, &config, start, weir_clock_now(), &coord),
                   WEIR_OK);
  return coord;
}

/* What the next life finds. */
static void assert_left(struct place *place, const char *name, uint32_t records_min)
{
  static struct weir_heritage p;
  struct weir_coord_start start;
  begin(place, &p, false, &start);
  assert_string_equal(p.name, name);
  assert_true(start.records_count >= records_min);
  die(&p);
}

/* A machine whose first records did not go onto a full disk, and nobody has looked yet. */
static struct weir_coord *begin_full(struct place *place, struct weir_heritage *p,
                                     void **ret_storage)
{
  struct weir_coord_start start;
  uint64_t generation = 0;
  begin(place, p, true, &start);
  struct weir_coord *coord = make_machine(&start, 1, ret_storage);
  faulty_set(FAULTY_FULL, 0);
  uint32_t count = weir_coord_keep(coord, weir_clock_now(), weir_recorder_room(&p->recorder),
                                   WEIR_RECORDER_RECORDS_MAX, &generation);
  assert_true(count >= LIMITS);
  weir_recorder_give(&p->recorder, count, generation);
  struct pollfd in = {.fd = p->recorder.event_fd, .events = POLLIN};
  assert_int_equal(poll(&in, 1, TIMEOUT_MS), 1);
  return coord;
}

static void keeps_the_mark_of_lost_records_while_one_of_them_is_old(void **state)
{
  struct place *place = *state;
  static struct weir_heritage p;
  void *storage = NULL;
  struct weir_coord *coord = begin_full(place, &p, &storage);
  assert_int_equal(weir_heritage_close(&p, coord, place->error), WEIR_ESYSTEM);
  free(storage);
  faulty_set(FAULTY_NONE, 0);
  assert_left(place, "spent", 0);
}

/* As when there is no memory for the tables: nothing was written anew. */
static void keeps_the_mark_of_lost_records_when_the_start_fails(void **state)
{
  struct place *place = *state;
  static struct weir_heritage p;
  struct weir_coord_start start;
  begin(place, &p, true, &start);
  assert_int_equal(weir_heritage_close(&p, NULL, place->error), WEIR_OK);
  assert_left(place, "spent", 0);
}

/* A full disk may still take the few bytes that say that all is well. */
static void writes_what_failed_before_it_takes_the_mark_of_lost_records_away(void **state)
{
  struct place *place = *state;
  static struct weir_heritage p;
  void *storage = NULL;
  struct weir_coord *coord = begin_full(place, &p, &storage);
  faulty_set(FAULTY_NONE, 0);
  assert_int_equal(weir_heritage_close(&p, coord, place->error), WEIR_OK);
  free(storage);
  assert_left(place, "clean", LIMITS);
}

static void writes_all_generations_before_it_takes_the_mark_of_lost_records_away(void **state)
{
  struct place *place = *state;
  static struct weir_heritage p;
  struct weir_coord_start start;
  void *storage = NULL;
  const uint32_t pools = WEIR_RECORDER_RECORDS_MAX / LIMITS + 1;
  begin(place, &p, true, &start);
  struct weir_coord *coord = make_machine(&start, pools, &storage);
  assert_int_equal(weir_heritage_close(&p, coord, place->error), WEIR_OK);
  free(storage);
  assert_left(place, "clean", pools * LIMITS);
}

/* Begins with the records of |p|, and with none of its pools. */
static enum weir_err go_on(struct place *place, struct weir_heritage *p,
                           struct weir_coord_start *start)
{
  void *storage = NULL;
  struct weir_coord *coord = make_machine(start, 1, &storage);
  enum weir_err err = weir_heritage_go_on(p, start, coord, place->error);
  free(storage);
  return err;
}

/* How many records of limits state what they are about: their first number is not zero. */
static uint32_t stated(struct place *place, struct weir_store *store)
{
  struct weir_record *records = NULL;
  uint32_t count = 0, stated = 0;
  assert_int_equal(weir_store_read(store, &records, &count, place->error), WEIR_OK);
  for (uint32_t i = 0; i < count; i++)
    stated += records[i].kind == WEIR_RECORD_LIMIT && records[i].numbers[0] != 0;
  free(records);
  assert_int_equal(count, 2);
  return stated;
}

static void makes_durable_what_a_life_does_without_before_it_grants(void **state)
{
  struct place *place = *state;
  static struct weir_heritage p;
  struct weir_coord_start start;
  struct weir_record records[2] = {
      {.kind = WEIR_RECORD_LIMIT, .owner = "pool gone", .count = 8, .numbers = {5}},
      {.kind = WEIR_RECORD_LEARNED, .owner = "pool gone", .count = 8, .numbers = {5}}};
  begin(place, &p, false, &start);
  commit(place, p.store, records, 2);
  die(&p);

  begin(place, &p, false, &start);
  faulty_set(FAULTY_FULL, 0);
  assert_int_equal(go_on(place, &p, &start), WEIR_ESYSTEM);
  assert_non_null(strstr(place->error, "cannot be written"));
  faulty_set(FAULTY_NONE, 0);
  assert_int_equal(stated(place, p.store), 1);
  die(&p);

  begin(place, &p, false, &start);
  assert_int_equal(go_on(place, &p, &start), WEIR_OK);
  assert_int_equal(stated(place, p.store), 0);
  die(&p);
}

int main(void)
{
  faulty_register();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(reads_back_what_it_committed),
      TEST(reads_back_what_it_knows_of_the_last_life),
      TEST(lets_nobody_else_read_it),
      TEST(notices_every_changed_bit_of_a_row),
      TEST(takes_no_record_from_a_damaged_file_as_another),
      TEST(keeps_the_good_rows_in_a_repair),
      TEST(makes_a_usable_store_of_any_damaged_file),
      TEST(refuses_files_that_are_no_store),
      TEST(refuses_another_format),
      TEST(refuses_a_log_without_its_file),
      TEST(lets_one_process_have_it),
      TEST(marks_a_copy_as_not_knowing_the_latest_grants),
      TEST(writes_no_copy_beside_the_log_of_another_file),
      TEST(leaves_files_to_the_owner_of_the_store),
      TEST(has_after_a_kill_all_that_was_acknowledged_and_no_half_of_more),
      TEST(says_durable_only_when_nothing_waits_to_be_written),
      TEST(goes_on_after_a_failing_disk),
      TEST(says_what_it_could_not_read),
      TEST(lets_the_loop_go_on_while_the_disk_is_slow),
      TEST(tells_of_a_failed_generation_and_takes_the_next),
      TEST(begins_each_life_with_what_the_last_one_left),
      TEST(assumes_more_spent_once_it_was_told_to),
      TEST(takes_a_lost_store_for_spent_only_when_told),
      TEST(keeps_the_mark_of_lost_records_while_one_of_them_is_old),
      TEST(keeps_the_mark_of_lost_records_when_the_start_fails),
      TEST(writes_what_failed_before_it_takes_the_mark_of_lost_records_away),
      TEST(writes_all_generations_before_it_takes_the_mark_of_lost_records_away),
      TEST(makes_durable_what_a_life_does_without_before_it_grants),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
