#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"

/* PROTOCOL.md, and where its sections begin. */
static char document[65536];

static int document_read(void **state)
{
  FILE *file = fopen(WEIR_PROTO_DIR "/PROTOCOL.md", "r");
  size_t size;

  (void)state;
  if (!file)
    return -1;
  size = fread(document, 1, sizeof(document) - 1, file);
  fclose(file);
  return size > 0 && size < sizeof(document) - 1 ? 0 : -1;
}

static const char *bound_name(uint64_t bound, char *buffer, size_t size)
{
  if (bound == UINT64_MAX)
    return "2^64-1";
  if (bound == UINT32_MAX)
    return "2^32-1";
  if (bound == WEIR_DURATION_MAX)
    return "400 d";
  if (bound == UINT64_C(1) << 62)
    return "2^62";
  if (bound == UINT64_C(1) << 30)
    return "2^30";
  if (bound == UINT64_C(1) << 20)
    return "2^20";
  snprintf(buffer, size, "%" PRIu64, bound);
  return buffer;
}

/* The row of |f| as the document has to have it. */
static void row_of(const struct fields_entry *f, char *row, size_t size)
{
  static const char *const types[] = {"", "uint", "bool", "text", "bin", "array", "array", "array"};
  static const char *const zeros[] = {"", "0", "false", "\"\"", "", "[]", "[]", "[]"};
  const char *dot = strchr(f->name, '.');
  char range[96], least[32], most[32];

  if (f->kind == FIELDS_BOOL)
    snprintf(range, sizeof(range), "false..true");
  else if (f->kind == FIELDS_BYTES)
    snprintf(range, sizeof(range), "%zu bytes", f->size);
  else
    snprintf(range, sizeof(range), "%s..%s", bound_name(f->min, least, sizeof(least)),
             bound_name(f->max, most, sizeof(most)));
  snprintf(row, size, "\n| %" PRIu32 " | `%s` | %s | %s | %s |\n", f->key, dot ? dot + 1 : f->name,
           types[f->kind], range, f->min > 0 ? "required" : zeros[f->kind]);
}

/* The part of the document between |heading| and the next heading. */
static char *section_of(const char *heading)
{
  const char *begin = strstr(document, heading), *end = begin ? strstr(begin + 1, "\n##") : NULL;

  if (!end) {
    fail_msg("no section: %s", heading);
    return NULL;
  }
  return strndup(begin, (size_t)(end - begin) + 1);
}

static size_t rows_in(const char *section)
{
  size_t rows = 0;

  for (const char *at = section; (at = strstr(at, " | `")) != NULL; at++)
    rows++;
  return rows;
}

static void states_every_field_of_every_message(void **state)
{
  (void)state;
  for (int type = 0; type < WEIR_MSG_MAX; type++) {
    /* The fields of a limit, or of a part. */
    size_t expected = type == WEIR_MSG_ROW      ? FIELDS_LIMIT_KEYS
                      : type == WEIR_MSG_ISLAND ? FIELDS_PART_KEYS
                                                : 0;
    char heading[64], row[256], *section;

    snprintf(heading, sizeof(heading), "\n### %s (%d)", weir_msg_name((enum weir_msg_type)type),
             type);
    section = section_of(type == 0 ? "\n### every message" : heading);
    for (size_t i = 0; i < fields_count; i++) {
      if ((int)fields[i].type != type)
        continue;
      row_of(&fields[i], row, sizeof(row));
      if (!strstr(section, row))
        fail_msg("the section of %s lacks the row: %s", heading, row);
      expected++;
    }
    assert_int_equal(rows_in(section), expected);
    free(section);
  }
}

static void states_the_direction_of_every_message(void **state)
{
  (void)state;
#define X(name, value, text, direction)                                                            \
  if (!strstr(document, "\n### " text " (" #value "), " #direction "\n"))                          \
    fail_msg("%s", text);
  WEIR_MSG_LIST(X)
#undef X
}

static void add(char *list, size_t size, const char *text, int value)
{
  size_t used = strlen(list);

  snprintf(list + used, size - used, "%s%d %s", used ? ", " : "", value, text);
}

static void assert_lists(const char *name, const char *list)
{
  char row[2048];

  snprintf(row, sizeof(row), "\n| %s | %s |\n", name, list);
  if (!strstr(document, row))
    fail_msg("the document lacks the row: %s", row);
}

static void states_every_number_of_every_enum(void **state)
{
  (void)state;
#define X(name, value, text) add(list, sizeof(list), text, value);
#define CHECK(name, LIST)                                                                          \
  do {                                                                                             \
    char list[1024] = "";                                                                          \
    LIST(X) assert_lists(name, list);                                                              \
  } while (0)
  CHECK("refusal", WEIR_REFUSAL_LIST);
  CHECK("class", WEIR_CLASS_LIST);
  CHECK("denial", WEIR_DENIAL_LIST);
  CHECK("dimension", WEIR_DIMENSION_LIST);
  CHECK("profile", WEIR_PROFILE_LIST);
  CHECK("outcome", WEIR_OUTCOME_LIST);
  CHECK("breaker", WEIR_BREAKER_LIST);
  CHECK("without", WEIR_WITHOUT_LIST);
  CHECK("steer", WEIR_STEER_LIST);
  CHECK("view", WEIR_VIEW_LIST);
  CHECK("counter", WEIR_COUNTER_LIST);
  CHECK("figure", WEIR_FIGURE_LIST);
#undef CHECK
#undef X
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(states_every_field_of_every_message),
      cmocka_unit_test(states_the_direction_of_every_message),
      cmocka_unit_test(states_every_number_of_every_enum),
  };
  return cmocka_run_group_tests_name("document", tests, document_read, NULL);
}
