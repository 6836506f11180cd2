#include "store_sqlite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_row.h"

#define PAGES_MAX "100" /* damages of pages that are told */

const char *weir_store_kind_name(enum weir_record_kind kind)
{
  switch (kind) {
  case WEIR_RECORD_LIMIT:
    return "limit";
  case WEIR_RECORD_DAY:
    return "day";
  case WEIR_RECORD_LEARNED:
    return "learned";
  case WEIR_RECORD_BREAKER:
    return "breaker";
  case WEIR_RECORD_ESTIMATES:
    return "estimates";
  case WEIR_RECORD_KIND_MAX:
    break;
  }
  return "unknown";
}

static void row_visit(sqlite3_stmt *statement, uint32_t number, weir_store_visit_fn *visit,
                      void *context)
{
  const char *owner = (const char *)sqlite3_column_text(statement, 1), *why = "out of memory";
  const uint8_t *numbers = sqlite3_column_blob(statement, 4);
  struct weir_store_row row = {.kind = sqlite3_column_int64(statement, 0),
                               .owner = owner != NULL ? owner : "",
                               .owner_size = (size_t)sqlite3_column_bytes(statement, 1),
                               .item = sqlite3_column_int64(statement, 2),
                               .at = sqlite3_column_int64(statement, 3),
                               .numbers = numbers != NULL ? numbers : (const uint8_t *)"",
                               .numbers_size =
                                   numbers != NULL ? (size_t)sqlite3_column_bytes(statement, 4) : 0,
                               .check = sqlite3_column_int64(statement, 5)};
  struct weir_record record;
  if (owner != NULL && weir_store_row_decode(&row, &record, &why) == WEIR_OK) {
    visit(context, &record, NULL);
    return;
  }
  char damage[WEIR_RECORD_OWNER_SIZE + 160];
  snprintf(damage, sizeof damage,
           "row %" PRIu32 " of records (kind %" PRId64 ", owner '%.*s', item %" PRIu64 "): %s",
           number, row.kind, (int)strnlen(row.owner, WEIR_RECORD_OWNER_SIZE), row.owner,
           (uint64_t)row.item, why);
  visit(context, NULL, damage);
}

bool weir_store_rows(struct weir_store *store, bool is_backwards, weir_store_visit_fn *visit,
                     void *context)
{
  static const char forwards[] = "SELECT kind, owner, item, at, numbers, sum FROM records "
                                 "ORDER BY kind, owner, item";
  static const char backwards[] = "SELECT kind, owner, item, at, numbers, sum FROM records "
                                  "ORDER BY kind DESC, owner DESC, item DESC";
  sqlite3_stmt *statement = NULL;
  uint32_t number = 0;
  int code =
      sqlite3_prepare_v2(store->db, is_backwards ? backwards : forwards, -1, &statement, NULL);
  while (code == SQLITE_OK || code == SQLITE_ROW) {
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
      row_visit(statement, ++number, visit, context);
  }
  if (code != SQLITE_DONE) {
    char damage[512];
    snprintf(damage, sizeof damage, "records cannot be read beyond row %" PRIu32 "%s (%s)", number,
             is_backwards ? " from the end" : "", sqlite3_errmsg(store->db));
    visit(context, NULL, damage);
  }
  sqlite3_finalize(statement);
  return code == SQLITE_DONE;
}

uint32_t weir_store_pages(struct weir_store *store, weir_store_visit_fn *visit, void *context)
{
  sqlite3_stmt *statement = NULL;
  uint32_t damages = 0;
  int code =
      sqlite3_prepare_v2(store->db, "PRAGMA quick_check(" PAGES_MAX ")", -1, &statement, NULL);
  while (code == SQLITE_OK || code == SQLITE_ROW) {
    code = sqlite3_step(statement);
    const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (text != NULL && strcmp(text, "ok") != 0) {
      visit(context, NULL, text);
      damages++;
    }
  }
  if (code != SQLITE_DONE) {
    visit(context, NULL, sqlite3_errmsg(store->db));
    damages++;
  }
  sqlite3_finalize(statement);
  return damages;
}

/* Counts what the caller's function sees. */
struct counter {
  weir_store_visit_fn *visit;
  void *context;
  uint32_t damages;
};

static void counter_visit(void *context, const struct weir_record *record, const char *damage)
{
  struct counter *counter = context;
  counter->damages += record == NULL;
  counter->visit(counter->context, record, damage);
}

uint32_t weir_store_check(struct weir_store *store, weir_store_visit_fn *visit, void *context)
{
  struct counter counter = {.visit = visit, .context = context};
  uint32_t damages = weir_store_pages(store, visit, context);
  weir_store_rows(store, false, counter_visit, &counter);
  return damages + counter.damages;
}

void weir_store_salvage_visit(void *context, const struct weir_record *record, const char *damage)
{
  struct weir_store_salvage *salvage = context;
  if (record == NULL) {
    if (salvage->damages++ == 0)
      snprintf(salvage->first, sizeof salvage->first, "%s", damage);
    return;
  }
  if (salvage->count == salvage->capacity) {
    uint32_t capacity = salvage->capacity == 0 ? 64 : 2 * salvage->capacity;
    struct weir_record *records =
        realloc(salvage->records, (size_t)capacity * sizeof *salvage->records);
    if (records == NULL) {
      salvage->is_out_of_memory = true;
      return;
    }
    salvage->records = records;
    salvage->capacity = capacity;
  }
  salvage->records[salvage->count++] = *record;
}

enum weir_err weir_store_read(struct weir_store *store, struct weir_record **ret_records,
                              uint32_t *ret_count, char *ret_error)
{
  struct weir_store_salvage salvage = {0};
  enum weir_err err = WEIR_OK;
  if (weir_store_check(store, weir_store_salvage_visit, &salvage) > 0)
    err = weir_store_fail(WEIR_ESYNTAX, ret_error, "%s: damaged: %.400s; " WEIR_STORE_REPAIR_HINT,
                          store->path, salvage.first, store->path, store->path);
  else if (salvage.is_out_of_memory)
    err = weir_store_fail(WEIR_ENOMEM, ret_error, "%s: out of memory", store->path);
  if (err != WEIR_OK) {
    free(salvage.records);
    return err;
  }
  *ret_records = salvage.records;
  *ret_count = salvage.count;
  return WEIR_OK;
}
