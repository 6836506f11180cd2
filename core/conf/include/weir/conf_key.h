/* conf_key.h - what every configuration file of ours is made of: a table of keys, and the issues
 * that reading it by the table finds (conf_read.h).
 *
 * Threads: none shared.
 */
#ifndef WEIR_CONF_KEY_H
#define WEIR_CONF_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_CONF_FILE_SIZE_MAX 262144 /* bytes of a configuration file */
#define WEIR_CONF_PAIRS_MAX     4096   /* keys of a map */
#define WEIR_CONF_PATH_SIZE     1024
#define WEIR_CONF_ISSUES_MAX    100
#define WEIR_CONF_ISSUE_SIZE    320
#define WEIR_CONF_LINE_SIZE     (WEIR_CONF_PATH_SIZE + WEIR_CONF_ISSUE_SIZE + 32)

enum weir_conf_type {
  WEIR_CONF_AMOUNT = 1, /* 1000, 1_000, 10k, 2.5M */
  WEIR_CONF_DURATION,   /* 250ms, 2s, 1m, 1h, 31d */
  WEIR_CONF_PERCENT,    /* 10%, 12.5% */
  WEIR_CONF_MONEY,      /* 25, 12.50; six decimals at most */
  WEIR_CONF_BOOL,       /* true or false */
  WEIR_CONF_WORD,       /* one of the words of |range| */
  WEIR_CONF_TEXT,
  WEIR_CONF_TEXTS, /* one text, or a list of them */
  WEIR_CONF_MAP,
  WEIR_CONF_LIST
};

/* One key of the file. In |path|, "." enters a map, "[]" an element of a list, "*" is a name that
 * the file chooses. */
struct weir_conf_key {
  const char *path;
  enum weir_conf_type type;
  const char *fallback; /* value when absent; "" leaves it out, NULL: the key is required */
  const char *range;    /* "1..1023", "logfmt|json"; "" when any text will do */
  const char *help;
};

struct weir_conf_issue {
  uint32_t line, column;           /* from 1; 0: the file as a whole */
  bool is_warning;                 /* the file works, but perhaps not as meant */
  char text[WEIR_CONF_ISSUE_SIZE]; /* what is wrong; how to fix it */
};

struct weir_conf_issues {
  uint32_t count;   /* in order of line and column */
  uint32_t errors;  /* of them, plus those that did not fit; 0: the file is valid */
  uint32_t dropped; /* did not fit into |items| */
  struct weir_conf_issue items[WEIR_CONF_ISSUES_MAX];
};

/* weir_conf_issue_format writes "file:line:column: what is wrong; how to fix it" without a newline
 * into |ret_text| of |size| bytes (WEIR_CONF_LINE_SIZE holds every line). */
void weir_conf_issue_format(const struct weir_conf_issue *issue, const char *file, char *ret_text,
                            size_t size);

/* weir_conf_type_name returns "duration" for WEIR_CONF_DURATION. Static storage. */
const char *weir_conf_type_name(enum weir_conf_type type);

#endif
