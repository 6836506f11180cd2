/* store.c - `weir store`: looks at the coordinator's store while that is stopped, copies it,
 * repairs it, and marks it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/store.h>

#include "cli.h"
#include "jsonout.h"

enum { OPTION_JSON = 256 };

static const struct weir_cli_option options[] = {
    {"json", OPTION_JSON, NULL, "one JSON object, on one line"},
    {0},
};

static const struct weir_cli_command *const self = &weir_cli_store_command;

struct store {
  const char *verb, *file, *target;
  bool is_json;
};

static int failed(const char *error)
{
  weir_cli_error(self, "%s", error);
  return WEIR_CLI_BAD;
}

static int print(struct weir_jsonout *out, bool is_fine)
{
  weir_jsonout_object_end(out);
  weir_jsonout_newline(out);
  return weir_jsonout_print(out) && is_fine ? WEIR_CLI_FINE : WEIR_CLI_BAD;
}

/* ---- verify ---- */

struct verify {
  struct weir_jsonout out;
  uint32_t records, damages;
  bool is_json;
};

static void verify_visit(void *context, const struct weir_record *record, const char *damage)
{
  struct verify *verify = context;

  verify->records += record != NULL;
  verify->damages += record == NULL;
  if (record)
    return;
  if (verify->is_json)
    weir_jsonout_text(&verify->out, NULL, damage);
  else
    printf("damaged: %s\n", damage);
}

/* A store so damaged that it does not open is a finding, not a failure. */
static int verify_run(const struct store *store)
{
  struct verify verify = {.is_json = store->is_json};
  struct weir_store *opened = NULL;
  char error[WEIR_STORE_ERROR_SIZE];
  enum weir_err err = weir_store_open(store->file, WEIR_STORE_TOOL, &opened, NULL, error);

  if (err && err != WEIR_ESYNTAX)
    return failed(error);
  weir_jsonout_object(&verify.out, NULL);
  weir_jsonout_text(&verify.out, "file", store->file);
  weir_jsonout_array(&verify.out, "damages");
  if (err)
    verify_visit(&verify, NULL, error);
  else
    weir_store_check(opened, verify_visit, &verify);
  weir_jsonout_array_end(&verify.out);
  weir_jsonout_uint(&verify.out, "records", verify.records);
  weir_jsonout_bool(&verify.out, "ok", verify.damages == 0);
  weir_store_close(opened);
  if (store->is_json)
    return print(&verify.out, verify.damages == 0);
  weir_jsonout_free(&verify.out);
  if (verify.damages == 0) {
    printf("%s: ok: %" PRIu32 " records\n", store->file, verify.records);
    return WEIR_CLI_FINE;
  }
  weir_cli_error(self,
                 "%s: %" PRIu32 " damages, %" PRIu32 " good records; 'weir store repair %s' keeps "
                 "these, or restore a backup",
                 store->file, verify.damages, verify.records, store->file);
  return WEIR_CLI_BAD;
}

/* ---- dump ---- */

static void dump_json(struct weir_jsonout *out, const struct weir_record *record)
{
  weir_jsonout_object(out, NULL);
  weir_jsonout_text(out, "kind", weir_store_kind_name(record->kind));
  weir_jsonout_text(out, "owner", record->owner);
  weir_jsonout_uint(out, "item", record->item);
  weir_jsonout_uint(out, "at_us", record->at);
  weir_jsonout_array(out, "numbers");
  for (uint32_t i = 0; i < record->count; i++)
    weir_jsonout_uint(out, NULL, record->numbers[i]);
  weir_jsonout_array_end(out);
  weir_jsonout_object_end(out);
}

static void dump_text(const struct weir_record *record)
{
  printf("%s of %s, item %" PRIu64 ", at %" PRIu64 " us:", weir_store_kind_name(record->kind),
         record->owner, record->item, record->at);
  for (uint32_t i = 0; i < record->count; i++)
    printf(" %" PRIu64, record->numbers[i]);
  putchar('\n');
}

static void meta_json(struct weir_jsonout *out, const struct weir_store_meta *meta)
{
  weir_jsonout_uint(out, "epoch", meta->epoch);
  weir_jsonout_text(out, "boot", meta->boot);
  if (meta->granted_until == WEIR_NEVER)
    weir_jsonout_null(out, "granted_until_us");
  else
    weir_jsonout_uint(out, "granted_until_us", meta->granted_until);
  weir_jsonout_bool(out, "clean", meta->is_clean);
  weir_jsonout_bool(out, "spent", meta->is_spent);
}

static void meta_text(const struct weir_store_meta *meta)
{
  printf("epoch %" PRIu64 ", boot %s, %s%s\n", meta->epoch, meta->boot[0] ? meta->boot : "unknown",
         meta->is_clean ? "ended in order" : "not ended in order",
         meta->is_spent ? ", marked: the next start takes windows of up to an hour as used up"
                        : "");
}

static int dump_run(const struct store *store)
{
  struct weir_store *opened = NULL;
  struct weir_record *records = NULL;
  struct weir_jsonout out = {0};
  uint32_t count = 0;
  char error[WEIR_STORE_ERROR_SIZE];
  enum weir_err err = weir_store_open(store->file, WEIR_STORE_TOOL, &opened, NULL, error);

  if (!err)
    err = weir_store_read(opened, &records, &count, error);
  if (err) {
    weir_store_close(opened);
    return failed(error);
  }
  if (store->is_json) {
    weir_jsonout_object(&out, NULL);
    meta_json(&out, weir_store_meta(opened));
    weir_jsonout_array(&out, "records");
  } else {
    meta_text(weir_store_meta(opened));
  }
  for (uint32_t i = 0; i < count; i++) {
    if (store->is_json)
      dump_json(&out, &records[i]);
    else
      dump_text(&records[i]);
  }
  free(records);
  weir_store_close(opened);
  if (!store->is_json)
    return WEIR_CLI_FINE;
  weir_jsonout_array_end(&out);
  return print(&out, true);
}

/* ---- backup, repair, assume-spent ---- */

static int backup_run(const struct store *store)
{
  struct weir_store *opened = NULL;
  struct weir_jsonout out = {0};
  char error[WEIR_STORE_ERROR_SIZE];
  enum weir_err err = weir_store_open(store->file, WEIR_STORE_TOOL, &opened, NULL, error);

  if (!err)
    err = weir_store_backup(opened, store->target, error);
  weir_store_close(opened);
  if (err)
    return failed(error);
  if (!store->is_json) {
    printf("%s: written, and marked: a start on it takes windows of up to an hour as used up\n",
           store->target);
    return WEIR_CLI_FINE;
  }
  weir_jsonout_object(&out, NULL);
  weir_jsonout_text(&out, "backup", store->target);
  return print(&out, true);
}

static int repair_run(const struct store *store)
{
  static struct weir_store_repair repair; /* large */
  struct weir_jsonout out = {0};
  char error[WEIR_STORE_ERROR_SIZE];

  if (weir_store_repair(store->file, &repair, error))
    return failed(error);
  if (store->is_json) {
    weir_jsonout_object(&out, NULL);
    weir_jsonout_uint(&out, "damages", repair.damages);
    weir_jsonout_uint(&out, "kept", repair.kept);
    weir_jsonout_bool(&out, "repaired", repair.damages > 0);
    return print(&out, true);
  }
  if (repair.damages == 0)
    printf("%s: ok: %" PRIu32 " records, nothing to repair\n", store->file, repair.kept);
  else
    printf("%s: repaired: %" PRIu32 " damages, %" PRIu32 " good records kept; the next start "
           "takes windows of up to an hour as used up. The damaged file is %s.damaged\n",
           store->file, repair.damages, repair.kept, store->file);
  return WEIR_CLI_FINE;
}

static int assume_run(const struct store *store)
{
  struct weir_store *opened = NULL;
  struct weir_jsonout out = {0};
  char error[WEIR_STORE_ERROR_SIZE];
  enum weir_err err = weir_store_open(store->file, WEIR_STORE_TOOL, &opened, NULL, error);

  if (!err)
    err = weir_store_assume_spent(opened, error);
  weir_store_close(opened);
  if (err)
    return failed(error);
  if (!store->is_json) {
    printf("%s: marked: the next start takes windows of up to an hour as used up\n", store->file);
    return WEIR_CLI_FINE;
  }
  weir_jsonout_object(&out, NULL);
  weir_jsonout_bool(&out, "spent", true);
  return print(&out, true);
}

/* ---- command line ---- */

static const struct {
  const char *name;
  int (*run)(const struct store *store);
  bool has_target;
} verbs[] = {{"verify", verify_run, false},
             {"dump", dump_run, false},
             {"backup", backup_run, true},
             {"repair", repair_run, false},
             {"assume-spent", assume_run, false}};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static int dispatch(const struct store *store)
{
  const char *names[VERBS], *nearest;

  if (!store->verb)
    return weir_cli_usage(self, "what? verify, dump, backup, repair or assume-spent");
  for (size_t i = 0; i < VERBS; i++) {
    names[i] = verbs[i].name;
    if (strcmp(store->verb, verbs[i].name) != 0)
      continue;
    if (!store->file)
      return weir_cli_usage(self,
                            "%s: which file? 'store' of the configuration names it after "
                            "sqlite:",
                            store->verb);
    if (verbs[i].has_target && !store->target)
      return weir_cli_usage(self, "%s: to which new file?", store->verb);
    if (!verbs[i].has_target && store->target)
      return weir_cli_usage(self, "%s takes one file, '%s' is one more", store->verb,
                            store->target);
    return verbs[i].run(store);
  }
  nearest = weir_cli_nearest(store->verb, names, VERBS);
  return weir_cli_usage(self, "there is no 'store %s'%s%s%s", store->verb,
                        nearest ? "; did you mean '" : "", nearest ? nearest : "",
                        nearest ? "'?" : "");
}

static int run(int argc, char **argv)
{
  struct weir_cli_args args = {.command = self, .argc = argc, .argv = argv};
  struct store store = {0};
  int id;

  while ((id = weir_cli_next(&args)) != WEIR_CLI_END) {
    if (id == WEIR_CLI_WRONG)
      return WEIR_CLI_USAGE;
    if (id == OPTION_JSON)
      store.is_json = true;
    else if (!store.verb)
      store.verb = args.value;
    else if (!store.file)
      store.file = args.value;
    else if (!store.target)
      store.target = args.value;
    else
      return weir_cli_usage(self, "unexpected argument '%s'", args.value);
  }
  return dispatch(&store);
}

const struct weir_cli_command weir_cli_store_command = {
    .name = "store",
    .synopsis = "verify|dump|backup|repair|assume-spent FILE [TARGET] [--json]",
    .summary = "check, copy and repair the store of a stopped coordinator",
    .text = "verify        is everything as it was written? Shows each damaged page and row\n"
            "dump          show every record\n"
            "backup        write a copy to the new file TARGET, with the mark of assume-spent: a\n"
            "              copy does not know what is granted later\n"
            "repair        keep the good records of a damaged store, with the mark of\n"
            "              assume-spent; the damaged file stays as FILE.damaged\n"
            "assume-spent  mark the store: the next start takes every window of up to an hour as\n"
            "              used up, and of longer ones what is recorded. For a file that was\n"
            "              restored by other means\n"
            "The coordinator must not run; stop it first.",
    .options = options,
    .run = run,
};
