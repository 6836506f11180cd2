/* facts.h - what an error answer states, before anybody judges it.
 *
 * Filled from the tokens of a body and from headers; the classify functions of the providers only
 * read it. Texts longer than their field are cut, violations beyond the bound are left out.
 */
#ifndef WEIR_FACTS_H
#define WEIR_FACTS_H

#include <weir/json.h>
#include <weir/time.h>

#define WEIR_FACTS_WORD_MAX       127
#define WEIR_FACTS_VIOLATIONS_MAX 8

/* A response header line. Names compare without case. */
struct weir_header {
  const char *name;
  const char *value;
};

/* One violated quota of a Google error; "" and false where something is not stated. */
struct weir_violation {
  char metric[WEIR_FACTS_WORD_MAX + 1];
  char id[WEIR_FACTS_WORD_MAX + 1];
  bool has_limit;
  uint64_t limit;
};

struct weir_facts {
  int http;                          /* status line */
  const struct weir_header *headers; /* borrowed */
  size_t headers_count;
  bool has_error;     /* the body holds an error */
  bool is_anthropic;  /* its envelope is {"type":"error",...} */
  uint32_t body_http; /* numeric error.code, or 0 */
  char type[WEIR_FACTS_WORD_MAX + 1];
  char code[WEIR_FACTS_WORD_MAX + 1];   /* error.code where it is text */
  char status[WEIR_FACTS_WORD_MAX + 1]; /* Google's error.status */
  char reason[WEIR_FACTS_WORD_MAX + 1]; /* Google's ErrorInfo reason, Anthropic's error_code */
  bool has_retry_info;
  weir_duration retry_info_us;   /* Google's RetryInfo */
  struct weir_violation reading; /* private */
  size_t violations_count;
  /* Large, and not used by most answers: pages that they never touch. */
  char message[WEIR_JSON_TEXT_MAX + 1];
  struct weir_violation violations[WEIR_FACTS_VIOLATIONS_MAX];
};

/* weir_facts_init starts with an answer of status |http| of which nothing else is known. */
void weir_facts_init(struct weir_facts *facts, int http);

/* weir_facts_token takes in one token of the body (as weir_stream_next gives them). */
void weir_facts_token(struct weir_facts *facts, const struct weir_json_token *token);

/* weir_facts_header returns the value of the first header called |name|, or NULL. */
const char *weir_facts_header(const struct weir_facts *facts, const char *name);

/* weir_facts_status returns the HTTP status that the answer stands for: its own, or where a 2xx
 * (or no status) carries an error, the status that goes with that error. */
int weir_facts_status(const struct weir_facts *facts);

#endif
