#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/conf_read.h>

static const char *const scheme_names[WEIR_SCHEME_MAX] = {"?",
#define X(name, text) text,
                                                          WEIR_SCHEME_LIST(X)
#undef X
};

const char *weir_scheme_name(enum weir_scheme scheme)
{
  return scheme_names[scheme];
}

enum weir_scheme weir_scheme_parse(const char *text)
{
  for (int i = 1; i < WEIR_SCHEME_MAX; i++)
    if (strcmp(text, scheme_names[i]) == 0)
      return (enum weir_scheme)i;
  return WEIR_SCHEME_NONE;
}

void weir_scenario_free(struct weir_scenario *s)
{
  free(s);
}

enum weir_err weir_scenario_load(const char *path, struct weir_scenario **ret_scenario,
                                 struct weir_conf_issues *ret_issues)
{
  enum weir_err err = WEIR_ENOMEM;
  FILE *file = fopen(path, "rb");
  char *bytes;

  *ret_issues = (struct weir_conf_issues){0};
  if (!file) {
    weir_conf_issue_at(ret_issues, 0, 0, "cannot be opened (%s); give the path of a readable file",
                       strerror(errno));
    return WEIR_ECONFIG;
  }
  bytes = malloc(WEIR_CONF_FILE_SIZE_MAX + 1);
  if (bytes) {
    size_t size = fread(bytes, 1, WEIR_CONF_FILE_SIZE_MAX + 1, file);

    if (ferror(file)) {
      weir_conf_issue_at(ret_issues, 0, 0, "cannot be read (%s); give a readable file",
                         strerror(errno));
      err = WEIR_ECONFIG;
    } else {
      err = weir_scenario_parse(bytes, size, ret_scenario, ret_issues);
    }
  }
  free(bytes);
  fclose(file);
  return err;
}
