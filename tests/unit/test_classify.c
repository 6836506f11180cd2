/* Verdicts on the errors of providers: a table of real shapes, the numbers in them, and damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/classify.h>
#include <weir/json.h>
#include <weir/rng.h>

#include "classify.h"

static char *file_read(const char *name, size_t *ret_size)
{
  FILE *file = fopen(name, "rb");
  char *bytes = NULL;
  long size;

  if (!file)
    return NULL;
  fseek(file, 0, SEEK_END);
  size = ftell(file);
  rewind(file);
  if (size > 0 && (bytes = malloc((size_t)size + 1)) != NULL) {
    *ret_size = fread(bytes, 1, (size_t)size, file);
    bytes[*ret_size] = '\0';
  }
  fclose(file);
  return bytes;
}

/* The verdict line of one answer, as `weir classify` gives it; the caller frees it. */
static void line_classify(char *line, size_t size, char **ret_out)
{
  char *err = NULL;
  size_t out_size, err_size;
  FILE *in = fmemopen(line, size, "r"), *to = open_memstream(ret_out, &out_size);
  FILE *errors = open_memstream(&err, &err_size);

  assert_true(in && to && errors);
  if (!weir_cli_classify_lines(in, "line", to, errors)) {
    fflush(errors);
    fail_msg("%s", err);
  }
  fclose(in);
  fclose(to);
  fclose(errors);
  free(err);
}

/* What a line of the table expects, in the form of a verdict line; and its name. */
static void expectation_read(const char *line, size_t size, char *ret_id, char *ret_verdict)
{
  char class[64] = "", retryable[8] = "", wait[32] = "";
  struct weir_json json;
  struct weir_json_token token;

  weir_json_init(&json);
  weir_json_feed(&json, line, size);
  while (weir_json_next(&json, &token) == WEIR_JSON_TOKEN) {
    if (strcmp(token.path, "id") == 0)
      snprintf(ret_id, 64, "%.63s", token.text);
    if (strcmp(token.path, "expect.class") == 0)
      snprintf(class, sizeof(class), "%.63s", token.text);
    if (strcmp(token.path, "expect.retryable") == 0)
      snprintf(retryable, sizeof(retryable), "%s", token.type == WEIR_JSON_TRUE ? "true" : "false");
    if (strcmp(token.path, "expect.wait_s") == 0)
      snprintf(wait, sizeof(wait), "%.31s", token.type == WEIR_JSON_NULL ? "null" : token.text);
  }
  snprintf(ret_verdict, 256, "{\"class\":\"%s\",\"retryable\":%s,\"wait_s\":%s}\n", class,
           retryable, wait);
}

/* Returns 1 when |line| is judged as it expects; says so when it is not. */
static int row_holds(char *line, size_t size)
{
  char id[64] = "?", expected[256];
  char *verdict = NULL;
  double wait, wait_expected;
  int holds;

  line_classify(line, size, &verdict);
  expectation_read(line, size, id, expected);
  holds = strcmp(verdict, expected) == 0;
  /* 3.400 and 3.4 are one number. */
  if (!holds && sscanf(strstr(verdict, "\"wait_s\":") + 9, "%lf", &wait) == 1 &&
      sscanf(strstr(expected, "\"wait_s\":") + 9, "%lf", &wait_expected) == 1)
    holds = wait > wait_expected - 0.0005 && wait < wait_expected + 0.0005 &&
            strncmp(verdict, expected, (size_t)(strstr(verdict, "wait_s") - verdict)) == 0;
  if (!holds)
    print_error("%s\n  expected %s  verdict  %s", id, expected, verdict);
  free(verdict);
  return holds;
}

static void judges_every_row_of_the_table(void **state)
{
  size_t size = 0;
  char *table = file_read(WEIR_SOURCE_DIR "/tests/unit/data/errors.jsonl", &size), *line = table;
  int rows = 0, held = 0;
  (void)state;

  assert_non_null(table);
  for (char *end; (end = memchr(line, '\n', size - (size_t)(line - table))) != NULL;
       line = end + 1, rows++)
    held += row_holds(line, (size_t)(end - line));
  free(table);
  assert_true(rows > 100);
  assert_int_equal(held, rows);
}

/* A table of the form {"bodies":[{...},...]}, kept apart from the project. */
static void judges_a_further_table_where_there_is_one(void **state)
{
  const char *named = getenv("WEIR_ERROR_BODIES");
  size_t size = 0;
  char *table =
      file_read(named ? named : WEIR_SOURCE_DIR "/../shared/data/error_bodies.json", &size);
  struct weir_json json;
  struct weir_json_token token;
  int rows = 0, held = 0;
  (void)state;

  if (!table && named)
    fail_msg("WEIR_ERROR_BODIES: cannot read %s", named);
  if (!table)
    skip();
  for (size_t i = 0; i < size; i++)
    if (table[i] == '\n')
      table[i] = ' ';
  weir_json_init(&json);
  weir_json_feed(&json, table, size);
  while (weir_json_next(&json, &token) == WEIR_JSON_TOKEN) {
    if (token.type != WEIR_JSON_OBJECT_END || strcmp(token.path, "bodies[]") != 0)
      continue;
    rows++;
    held += row_holds(table + token.offset_begin, (size_t)(token.offset_end - token.offset_begin));
  }
  free(table);
  assert_true(rows > 0);
  assert_int_equal(held, rows);
}

static struct weir_verdict judge(enum weir_provider_kind kind, int http, const char *body)
{
  struct weir_answer answer = {.kind = kind, .http = http, .body = body, .body_size = strlen(body)};
  struct weir_verdict verdict;

  weir_classify(&answer, &verdict);
  return verdict;
}

static struct weir_verdict judge_header(const char *name, const char *value, uint64_t wall_s)
{
  struct weir_header header = {name, value};
  struct weir_answer answer = {.kind = WEIR_PROVIDER_OPENAI,
                               .http = 503,
                               .headers = &header,
                               .headers_count = 1,
                               .wall_s = wall_s};
  struct weir_verdict verdict;

  weir_classify(&answer, &verdict);
  return verdict;
}

static void learns_limit_and_use_from_openai(void **state)
{
  struct weir_verdict v =
      judge(WEIR_PROVIDER_OPENAI, 429,
            "{\"error\":{\"message\":\"Rate limit reached on tokens per min (TPM): Limit 200000, "
            "Used 195869, Requested 4412. Please try again in 84ms.\",\"type\":\"tokens\","
            "\"code\":\"rate_limit_exceeded\"}}");
  (void)state;

  assert_true(v.has_limit && v.has_used);
  assert_int_equal(v.dimension, WEIR_DIMENSION_TOTAL_TOKENS);
  assert_int_equal(v.window_us, WEIR_US_PER_MIN);
  assert_int_equal(v.limit, 200000);
  assert_int_equal(v.used, 195869);
  assert_int_equal(v.requested, 4412);
  assert_true(v.is_request_charged);
  assert_false(v.are_tokens_charged);

  v = judge(WEIR_PROVIDER_OPENAI, 429,
            "{\"error\":{\"message\":\"Request too large on tokens per min (TPM): Limit 30000, "
            "Requested 34307.\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}");
  assert_true(v.has_limit);
  assert_false(v.has_used);
  assert_int_equal(v.limit, 30000);
  assert_int_equal(v.requested, 34307);
}

static void learns_the_most_lasting_limit_from_gemini(void **state)
{
  struct weir_verdict v =
      judge(WEIR_PROVIDER_GEMINI, 429,
            "{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{"
            "\"violations\":[{\"quotaId\":\"GenerateRequestsPerMinutePerProjectPerModel\","
            "\"quotaValue\":\"10\"},{\"quotaValue\":\"250\",\"quotaId\":"
            "\"GenerateRequestsPerDayPerProjectPerModel\"},{\"quotaId\":"
            "\"GenerateContentInputTokensPerModelPerMinute\",\"quotaValue\":\"250000\"}]}]}}");
  (void)state;

  assert_int_equal(v.outcome, WEIR_OUTCOME_QUOTA_DAY_REQUESTS);
  assert_true(v.has_limit);
  assert_int_equal(v.dimension, WEIR_DIMENSION_REQUESTS);
  assert_int_equal(v.window_us, 24 * WEIR_US_PER_HOUR);
  assert_int_equal(v.limit, 250);
  assert_false(v.is_request_charged);

  v = judge(WEIR_PROVIDER_GEMINI, 429,
            "{\"error\":{\"code\":429,\"message\":\"Quota exceeded for metric: x/"
            "generate_content_paid_tier_input_token_count, limit: 2000000, model: m\"}}");
  assert_int_equal(v.outcome, WEIR_OUTCOME_QUOTA_MINUTE_TOKENS);
  assert_int_equal(v.dimension, WEIR_DIMENSION_INPUT_TOKENS);
  assert_int_equal(v.limit, 2000000);
}

static void a_capacity_throttle_teaches_no_limit(void **state)
{
  struct weir_verdict v =
      judge(WEIR_PROVIDER_GEMINI, 429,
            "{\"error\":{\"code\":429,\"message\":\"Resource has been exhausted "
            "(e.g. check quota).\",\"status\":\"RESOURCE_EXHAUSTED\"}}");
  (void)state;

  assert_int_equal(v.outcome, WEIR_OUTCOME_CAPACITY_THROTTLE);
  assert_false(v.has_limit);
  assert_false(weir_outcome_is_quota(v.outcome));
}

static void learns_anthropic_limits_from_headers_first(void **state)
{
  const char *body = "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":"
                     "\"This request would exceed the rate limit for your organization of 30,000 "
                     "input tokens per minute.\"}}";
  const struct weir_header headers[] = {
      {"anthropic-ratelimit-requests-remaining", "0"},
      {"Anthropic-Ratelimit-Requests-Limit", "50"},
  };
  struct weir_answer answer = {
      .kind = WEIR_PROVIDER_ANTHROPIC, .http = 429, .body = body, .body_size = strlen(body)};
  struct weir_verdict v;
  (void)state;

  weir_classify(&answer, &v);
  assert_int_equal(v.dimension, WEIR_DIMENSION_INPUT_TOKENS);
  assert_int_equal(v.limit, 30000);
  answer.headers = headers;
  answer.headers_count = 2;
  weir_classify(&answer, &v);
  assert_int_equal(v.outcome, WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS);
  assert_int_equal(v.limit, 50);
}

static void reads_waits_from_headers(void **state)
{
  const uint64_t wall_s = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */
  const char *date = "Sun, 06 Nov 1994 08:50:37 GMT";
  (void)state;

  assert_int_equal(judge_header("Retry-After", "7", 0).wait_us, 7000000);
  assert_int_equal(judge_header("retry-after-ms", "250", 0).wait_us, 250000);
  assert_int_equal(judge_header("retry-after", date, wall_s).wait_us, 60000000);
  assert_true(judge_header("retry-after", date, wall_s + 90).has_wait);
  assert_int_equal(judge_header("retry-after", date, wall_s + 90).wait_us, 0);
  assert_false(judge_header("retry-after", date, 0).has_wait);
  assert_false(judge_header("retry-after", "soon", wall_s).has_wait);
  assert_true(judge_header("retry-after", "99999999999999999999", 0).wait_us <=
              UINT64_C(31) * 24 * WEIR_US_PER_HOUR);
}

static void every_status_has_an_outcome(void **state)
{
  static const struct {
    int http;
    enum weir_outcome outcome;
  } rows[] = {
      {-1, WEIR_OUTCOME_NETWORK},
      {0, WEIR_OUTCOME_NETWORK},
      {200, WEIR_OUTCOME_OK},
      {204, WEIR_OUTCOME_OK},
      {302, WEIR_OUTCOME_BAD_REQUEST},
      {400, WEIR_OUTCOME_BAD_REQUEST},
      {401, WEIR_OUTCOME_AUTH},
      {402, WEIR_OUTCOME_BILLING},
      {403, WEIR_OUTCOME_PERMISSION},
      {404, WEIR_OUTCOME_MODEL_NOT_FOUND},
      {405, WEIR_OUTCOME_BAD_REQUEST},
      {408, WEIR_OUTCOME_DEADLINE},
      {409, WEIR_OUTCOME_SERVER_ERROR},
      {413, WEIR_OUTCOME_REQUEST_TOO_LARGE},
      {415, WEIR_OUTCOME_BAD_REQUEST},
      {422, WEIR_OUTCOME_BAD_REQUEST},
      {429, WEIR_OUTCOME_CAPACITY_THROTTLE},
      {499, WEIR_OUTCOME_CANCELLED},
      {500, WEIR_OUTCOME_SERVER_ERROR},
      {502, WEIR_OUTCOME_SERVER_ERROR},
      {503, WEIR_OUTCOME_OVERLOADED},
      {504, WEIR_OUTCOME_DEADLINE},
      {520, WEIR_OUTCOME_SERVER_ERROR},
      {524, WEIR_OUTCOME_DEADLINE},
      {529, WEIR_OUTCOME_OVERLOADED},
      {9999, WEIR_OUTCOME_SERVER_ERROR},
  };
  static const char *const bodies[] = {"",
                                       "{",
                                       "[]",
                                       "null",
                                       "<html>",
                                       "\xff\xfe",
                                       "{\"error\":null}",
                                       "{\"error\":{}}",
                                       "{\"error\":[]}",
                                       "data: x\n\n"};
  (void)state;

  for (int kind = 0; kind <= WEIR_PROVIDER_MAX; kind++)
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
      for (size_t k = 0; k < sizeof(bodies) / sizeof(bodies[0]); k++)
        assert_int_equal(judge((enum weir_provider_kind)kind, rows[i].http, bodies[k]).outcome,
                         rows[i].outcome);
}

/* Where the error lies in a good stream, the numbers of the whole stay true at any cut. */
static void the_requests_own_faults_are_told_from_the_others(void **state)
{
  static const enum weir_outcome own[] = {WEIR_OUTCOME_BAD_REQUEST, WEIR_OUTCOME_REQUEST_TOO_LARGE,
                                          WEIR_OUTCOME_CONTEXT_OVERFLOW,
                                          WEIR_OUTCOME_MODEL_NOT_FOUND, WEIR_OUTCOME_CANCELLED};
  (void)state;

  for (int i = 0; i < WEIR_OUTCOME_MAX; i++) {
    bool is_own = false;

    for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++)
      is_own = is_own || (int)own[k] == i;
    assert_int_equal(weir_outcome_is_of_request((enum weir_outcome)i), is_own);
  }
}

static void a_cut_body_is_judged_by_what_is_left(void **state)
{
  const char *body = "{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{"
                     "\"violations\":[{\"quotaId\":\"GenerateRequestsPerDayPerProject\"}]}]}}";
  struct weir_answer answer = {.kind = WEIR_PROVIDER_GEMINI, .http = 429, .body = body};
  struct weir_verdict v;
  (void)state;

  for (size_t size = 0; size <= strlen(body); size++) {
    bool has_violation = size >= strlen(body) - strlen("]}]}}");

    answer.body_size = size;
    weir_classify(&answer, &v);
    assert_int_equal(v.outcome, has_violation ? WEIR_OUTCOME_QUOTA_DAY_REQUESTS
                                              : WEIR_OUTCOME_CAPACITY_THROTTLE);
  }
}

static void mutate(struct weir_rng *rng, char *bytes, size_t *size, size_t room)
{
  size_t at = (size_t)weir_rng_below(rng, *size + 1), span;

  switch (weir_rng_below(rng, 5)) {
  case 0: /* cut */
    *size = at;
    return;
  case 1: /* flip */
    if (at < *size)
      bytes[at] = (char)((unsigned char)bytes[at] ^ (1u << weir_rng_below(rng, 8)));
    return;
  case 2: /* take out */
    span = (size_t)weir_rng_below(rng, *size - at + 1);
    memmove(bytes + at, bytes + at + span, *size - at - span);
    *size -= span;
    return;
  case 3: /* repeat */
    span = (size_t)weir_rng_below(rng, (*size - at < 64 ? *size - at : 64) + 1);
    if (*size + span > room)
      return;
    memmove(bytes + at + span, bytes + at, *size - at);
    *size += span;
    return;
  default: /* put in */
    if (*size == room)
      return;
    memmove(bytes + at + 1, bytes + at, *size - at);
    bytes[at] = "\"\\{}[]:,0129.eE-\n\r du"[weir_rng_below(rng, 21)];
    ++*size;
  }
}

static void verdict_check(const struct weir_verdict *v)
{
  assert_in_range(v->outcome, 1, WEIR_OUTCOME_MAX - 1);
  assert_true(!v->is_retryable || weir_outcome_is_retryable(v->outcome));
  assert_true(v->wait_us <= UINT64_C(31) * 24 * WEIR_US_PER_HOUR);
  assert_true(v->has_wait || v->wait_us == 0);
  assert_true(!v->has_wait || v->is_retryable || v->wait_us >= WEIR_US_PER_HOUR);
  assert_true(!v->has_limit || (v->dimension > 0 && v->dimension < WEIR_DIMENSION_MAX));
  assert_true(!v->has_limit || v->window_us > 0);
  assert_true(!v->has_used || v->has_limit);
}

/* As many as $WEIR_SEEDS says. */
static int bodies_count(void)
{
  const char *text = getenv("WEIR_SEEDS");
  int count = text ? atoi(text) : 100000;

  return count > 0 ? count : 1;
}

static void survives_damaged_bodies(void **state)
{
  static const int statuses[] = {0, 200, 400, 403, 429, 429, 429, 500, 503};
  size_t size = 0;
  char *table = file_read(WEIR_SOURCE_DIR "/tests/unit/data/errors.jsonl", &size);
  const int count = bodies_count();
  struct weir_rng rng;
  char body[4096];
  (void)state;

  assert_non_null(table);
  weir_rng_init(&rng, 20261122);
  for (int i = 0; i < count; i++) {
    size_t begin = (size_t)weir_rng_below(&rng, size), body_size = sizeof(body) / 2;
    struct weir_answer answer = {
        .kind = (enum weir_provider_kind)weir_rng_below(&rng, WEIR_PROVIDER_MAX + 1),
        .http = statuses[weir_rng_below(&rng, sizeof(statuses) / sizeof(statuses[0]))],
        .body = body};
    struct weir_verdict verdict;

    /* From the body of a row (or somewhere in it) to somewhere behind. */
    for (uint64_t left = weir_rng_below(&rng, 4); left > 0; left--) {
      const char *found = strstr(table + begin, "\"body\":");

      begin = found ? (size_t)(found - table) + 7 : begin;
    }
    body_size = size - begin < body_size ? size - begin : body_size;
    memcpy(body, table + begin, body_size);
    for (uint64_t left = weir_rng_below(&rng, 8); left > 0; left--)
      mutate(&rng, body, &body_size, sizeof(body));
    answer.body_size = body_size;
    weir_classify(&answer, &verdict);
    verdict_check(&verdict);
  }
  free(table);
}

static void the_command_goes_on_behind_bad_lines(void **state)
{
  char lines[] = "{\"provider\":\"gemni\",\"http\":429}\n"
                 "{\"provider\":\"gemini\"}\n"
                 "\n"
                 "[1]\n"
                 "{\"provider\":\"gemini\",\"http\":503,\"headers\":{\"Retry-After\":3},"
                 "\"body\":\"{\\\"a\\\":1}\"}\n"
                 "{\"http\":429}\n"
                 "{\"provider\":\"openai\",\"http\":\"429\"}\n"
                 "{\"provider\":\"openai\",\"http\":429,\"body\":nul}";
  char *out = NULL, *err = NULL;
  size_t out_size, err_size;
  FILE *in = fmemopen(lines, strlen(lines), "r"), *to = open_memstream(&out, &out_size);
  FILE *errors = open_memstream(&err, &err_size);
  (void)state;

  assert_false(weir_cli_classify_lines(in, "x.jsonl", to, errors));
  fclose(in);
  fclose(to);
  fclose(errors);
  assert_string_equal(out, "{\"class\":\"overloaded\",\"retryable\":true,\"wait_s\":3}\n");
  assert_non_null(strstr(err, "x.jsonl:1: \"provider\" is \"gemni\""));
  assert_non_null(strstr(err, "did you mean gemini?"));
  assert_non_null(strstr(err, "x.jsonl:2: \"http\" is missing"));
  assert_null(strstr(err, "x.jsonl:3:"));
  assert_non_null(strstr(err, "x.jsonl:4: "));
  assert_non_null(strstr(err, "x.jsonl:6: \"provider\" is missing"));
  assert_non_null(strstr(err, "x.jsonl:7: \"http\" is no HTTP status"));
  assert_non_null(strstr(err, "x.jsonl:8: "));
  free(out);
  free(err);
}

/* Writes |shape| with |word| in the place of its "%s". */
static void body_write(char *body, size_t size, const char *shape, const char *word)
{
  const char *place = strstr(shape, "%s");

  snprintf(body, size, "%.*s%s%s", (int)(place - shape), shape, word, place + 2);
}

/* Relays and old servers put any word into the body of a refusal; none makes it pass. */
static void no_word_in_the_body_makes_a_refusal_pass(void **state)
{
  static const int statuses[] = {400, 401, 402, 403, 404, 413};
  static const char *const words[] = {
      "api_error",          "overloaded_error",    "timeout_error",
      "conflict_error",     "slow_down",           "rate_limit_error",
      "server_error",       "rate_limit_exceeded", "tokens",
      "requests",           "quota_exceeded",      "ramp_limit",
      "INTERNAL",           "RESOURCE_EXHAUSTED",  "UNAVAILABLE",
      "DEADLINE_EXCEEDED",  "overloaded",          "spend_limit_reached",
      "usage increase rate"};
  static const char *const shapes[] = {
      "{\"error\":{\"type\":\"%s\",\"message\":\"m\"}}",
      "{\"error\":{\"code\":\"%s\",\"message\":\"m\"}}",
      "{\"error\":{\"message\":\"rate limit: %s per min, try again in 2s\"}}",
      "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"m\"}}",
      "{\"type\":\"error\",\"error\":{\"details\":{\"error_code\":\"%s\"}}}",
      "{\"error\":{\"code\":429,\"status\":\"%s\",\"details\":[{\"reason\":\"R\"}]}}"};
  char body[256];
  (void)state;

  for (unsigned kind = 1; kind < WEIR_PROVIDER_MAX; kind++) {
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
      for (size_t k = 0; k < sizeof(words) / sizeof(*words) * sizeof(shapes) / sizeof(*shapes);
           k++) {
        struct weir_answer answer = {
            .kind = (enum weir_provider_kind)kind, .http = statuses[i], .body = body};
        struct weir_verdict v;

        body_write(body, sizeof(body), shapes[k % (sizeof(shapes) / sizeof(*shapes))],
                   words[k / (sizeof(shapes) / sizeof(*shapes))]);
        answer.body_size = strlen(body);
        weir_classify(&answer, &v);
        if (v.is_retryable || v.has_wait)
          fail_msg("%s %d %s: %s", weir_provider_kind_name(answer.kind), answer.http, body,
                   weir_outcome_name(v.outcome));
      }
    }
  }
}

static void a_line_of_zero_bytes_is_not_blank(void **state)
{
  char lines[] = "\0\0\n \t\r\n", *err = NULL;
  size_t err_size;
  FILE *in = fmemopen(lines, sizeof(lines) - 1, "r"), *errors = open_memstream(&err, &err_size);
  (void)state;

  assert_false(weir_cli_classify_lines(in, "x", stdout, errors));
  fclose(in);
  fclose(errors);
  assert_non_null(strstr(err, "x:1: "));
  assert_null(strstr(err, "x:2: "));
  free(err);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(judges_every_row_of_the_table),
      cmocka_unit_test(judges_a_further_table_where_there_is_one),
      cmocka_unit_test(learns_limit_and_use_from_openai),
      cmocka_unit_test(learns_the_most_lasting_limit_from_gemini),
      cmocka_unit_test(a_capacity_throttle_teaches_no_limit),
      cmocka_unit_test(learns_anthropic_limits_from_headers_first),
      cmocka_unit_test(reads_waits_from_headers),
      cmocka_unit_test(every_status_has_an_outcome),
      cmocka_unit_test(the_requests_own_faults_are_told_from_the_others),
      cmocka_unit_test(a_cut_body_is_judged_by_what_is_left),
      cmocka_unit_test(survives_damaged_bodies),
      cmocka_unit_test(the_command_goes_on_behind_bad_lines),
      cmocka_unit_test(no_word_in_the_body_makes_a_refusal_pass),
      cmocka_unit_test(a_line_of_zero_bytes_is_not_blank),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
