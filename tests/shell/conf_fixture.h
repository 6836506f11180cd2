/* conf_fixture.h - what the tests of the configuration file share. */
#ifndef WEIR_TESTS_CONF_FIXTURE_H
#define WEIR_TESTS_CONF_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <weir/conf.h>

#define PROVIDER "providers: {g: {kind: gemini}}\n"
#define POOL     "pools: [{name: p, provider: g, models: [m], limits: {rpm: 10}}]\n"
/* Lines 1 and 2 of most bad files; what is wrong begins in line 3. */
#define GOOD PROVIDER POOL

static struct weir_conf_issues issues;

static inline struct weir_conf *parse(const char *text)
{
  struct weir_conf *conf = NULL;
  enum weir_err err = weir_conf_parse(text, strlen(text), &conf, &issues);
  if (err != WEIR_OK)
    fail_msg("%u:%u: %s", (unsigned)issues.items[0].line, (unsigned)issues.items[0].column,
             issues.items[0].text);
  return conf;
}

/* All issues of |text|, one a line. */
static inline void issues_of(const char *text, size_t size, char *ret_lines, size_t capacity)
{
  struct weir_conf *conf = NULL;
  enum weir_err err = weir_conf_parse(text, size, &conf, &issues);
  assert_int_equal(err == WEIR_OK, issues.errors == 0);
  size_t used = 0;
  ret_lines[0] = '\0';
  for (uint32_t i = 0; i < issues.count; i++) {
    char line[WEIR_CONF_LINE_SIZE];
    weir_conf_issue_format(&issues.items[i], "f", line, sizeof line);
    used += (size_t)snprintf(ret_lines + used, capacity - used, "%s\n", line);
    assert_true(used < capacity);
  }
  weir_conf_free(conf);
}

#define BAD_POOL(rest)                                                                             \
  PROVIDER "pools:\n- {name: p, provider: g, models: m, limits: {rpm: 1}" rest "}\n"

/* A file, and all that is to be said about it. */
struct bad_file {
  const char *text, *lines;
};

static inline void check_bad(const struct bad_file *files, size_t count)
{
  size_t failures = 0;
  static char lines[WEIR_CONF_ISSUES_MAX * WEIR_CONF_LINE_SIZE];
  for (size_t i = 0; i < count; i++) {
    issues_of(files[i].text, strlen(files[i].text), lines, sizeof lines);
    if (strcmp(lines, files[i].lines) != 0) {
      print_error("--- file:\n%s--- expected:\n%s--- got:\n%s", files[i].text, files[i].lines,
                  lines);
      failures++;
    }
  }
  assert_int_equal(failures, 0);
}

#endif
