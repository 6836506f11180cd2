#include <weir/err.h>

struct entry {
  int value;
  enum weir_err_class class;
  char name[16], text[80];
};

/* Texts stand in the entries, not behind pointers, so that the table is plain read-only data. */
static const struct entry entries[] = {
#define X(name, value, class, text) {(value), WEIR_ERR_CLASS_##class, #name, text},
    WEIR_ERR_LIST(X)
#undef X
};

#define ENTRIES_COUNT (sizeof(entries) / sizeof(entries[0]))

static const struct entry *entry_find(int err)
{
  for (unsigned i = 0; i < ENTRIES_COUNT; i++) {
    if (entries[i].value == err)
      return &entries[i];
  }
  return 0;
}

const char *weir_err_name(int err)
{
  const struct entry *entry = entry_find(err);

  if (err == WEIR_OK)
    return "OK";
  return entry ? entry->name : "E?";
}

const char *weir_err_text(int err)
{
  const struct entry *entry = entry_find(err);

  if (err == WEIR_OK)
    return "no error";
  return entry ? entry->text : "an unknown error";
}

enum weir_err_class weir_err_class(int err)
{
  const struct entry *entry = entry_find(err);

  return entry ? entry->class : WEIR_ERR_CLASS_FATAL;
}
