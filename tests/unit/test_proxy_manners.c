/* How the proxy speaks to SDKs, which headers pass it, and what it tells the coordinator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <weir/json.h>

#include "manners.h"
#include "relay.h"
#include "settled.h"

/* ---- wishes ---- */

static void wishes_are_read_from_headers(void **state)
{
  const struct weir_header headers[] = {
      {"Content-Type", "application/json"}, {"X-Weir-Class", "batch"},
      {"x-weir-deadline-ms", "2500"},       {"x-weir-route", "fast"},
      {"x-weir-tenant", "team-a"},          {"x-weir-tag", "nightly"},
      {"x-stainless-retry-count", "2"}};
  struct weir_wishes wishes;
  (void)state;

  assert_null(weir_wishes_read(headers, sizeof(headers) / sizeof(headers[0]), &wishes));
  assert_int_equal(wishes.work_class, WEIR_CLASS_BATCH);
  assert_int_equal(wishes.deadline_ms, 2500);
  assert_string_equal(wishes.route, "fast");
  assert_string_equal(wishes.tenant, "team-a");
  assert_string_equal(wishes.tag, "nightly");
  assert_int_equal(wishes.attempts, 2);
}

static void without_headers_a_request_is_online_and_wishes_nothing(void **state)
{
  const struct weir_header first = {"x-stainless-retry-count", "0"};
  struct weir_wishes wishes;
  (void)state;

  assert_null(weir_wishes_read(&first, 1, &wishes));
  assert_int_equal(wishes.work_class, WEIR_CLASS_ONLINE);
  assert_int_equal(wishes.deadline_ms, 0);
  assert_string_equal(wishes.route, "");
  assert_string_equal(wishes.tenant, "");
  assert_string_equal(wishes.tag, "");
  assert_int_equal(wishes.attempts, 0);
}

static void the_first_litellm_tag_serves_where_there_is_no_own(void **state)
{
  const struct weir_header litellm = {"x-litellm-tags", "nightly,eu"};
  const struct weir_header both[] = {{"x-weir-tag", "own"}, {"x-litellm-tags", "nightly"}};
  struct weir_wishes wishes;
  (void)state;

  assert_null(weir_wishes_read(&litellm, 1, &wishes));
  assert_string_equal(wishes.tag, "nightly");
  assert_null(weir_wishes_read(both, 2, &wishes));
  assert_string_equal(wishes.tag, "own");
}

static void a_wish_that_is_not_understood_is_named(void **state)
{
  static const struct weir_header rows[] = {
      {"x-weir-class", "urgent"},
      {"x-weir-class", ""},
      {"x-weir-deadline-ms", "0"},
      {"x-weir-deadline-ms", "soon"},
      {"x-weir-deadline-ms", "604800001"},
      {"x-weir-tenant", "a-name-of-thirty-two-characters-"},
      {"x-weir-route", "r\xc3\xb6ute"},
      {"x-weir-tag", "a-tag-that-is-longer-than-the-sixty-three-characters-that-one-may-be"}};
  struct weir_wishes wishes;
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    assert_string_equal(weir_wishes_read(&rows[i], 1, &wishes), rows[i].name);
}

/* ---- rejections ---- */

static struct weir_rejection denied(enum weir_denial why, uint64_t retry_in_ms, uint64_t seed)
{
  const struct weir_denied denial = {.why = why, .retry_in_ms = retry_in_ms};
  struct weir_rejection rejection;
  struct weir_rng rng;

  weir_rng_init(&rng, seed);
  weir_rejection_of_lease(WEIR_EDENIED, &denial, &rng, &rejection);
  return rejection;
}

static void a_denial_that_passes_tells_the_sdk_when_to_come_back(void **state)
{
  static const enum weir_denial whys[] = {WEIR_DENIAL_DEADLINE, WEIR_DENIAL_QUEUE_FULL,
                                          WEIR_DENIAL_OPEN};
  (void)state;

  for (size_t i = 0; i < 3; i++) {
    bool is_spread = false;

    for (uint64_t seed = 0; seed < 50; seed++) {
      const struct weir_rejection r = denied(whys[i], 4000, seed);

      assert_true(r.is_retried);
      assert_in_range(r.retry_ms, 4000, 4000 + 4000 / 2 + 500);
      is_spread |= r.retry_ms != denied(whys[i], 4000, 0).retry_ms;
    }
    assert_true(is_spread);
  }
}

static void no_sdk_is_told_to_wait_longer_than_a_minute(void **state)
{
  (void)state;
  for (uint64_t seed = 0; seed < 50; seed++) {
    assert_true(denied(WEIR_DENIAL_DEADLINE, 60000, seed).is_retried);
    assert_in_range(denied(WEIR_DENIAL_DEADLINE, 60000, seed).retry_ms, 45000, 60000);
  }
  assert_false(denied(WEIR_DENIAL_DEADLINE, 60001, 1).is_retried);
  assert_false(denied(WEIR_DENIAL_DEADLINE, UINT64_MAX, 1).is_retried);
}

/* As many as are refused at once shall not come again at once, either. */
static void waits_near_a_minute_are_spread_as_well(void **state)
{
  (void)state;
  for (uint64_t wait_ms = 30000; wait_ms <= 60000; wait_ms += 1000) {
    uint64_t least = UINT64_MAX, most = 0;

    for (uint64_t seed = 0; seed < 200; seed++) {
      const uint64_t told = denied(WEIR_DENIAL_DEADLINE, wait_ms, seed).retry_ms;

      least = told < least ? told : least;
      most = told > most ? told : most;
    }
    assert_true(most - least > wait_ms / 5);
  }
}

static void what_does_not_pass_is_final_and_no_429(void **state)
{
  (void)state;
  assert_false(denied(WEIR_DENIAL_TOO_LARGE, 10, 1).is_retried);
  assert_int_equal(denied(WEIR_DENIAL_TOO_LARGE, 10, 1).status, 413);
  assert_false(denied(WEIR_DENIAL_NO_POOL, 10, 1).is_retried);
  assert_int_equal(denied(WEIR_DENIAL_NO_POOL, 10, 1).status, 404);
  assert_false(denied(WEIR_DENIAL_CLOSED, 10, 1).is_retried);
  assert_false(denied(WEIR_DENIAL_RETRIES, 10, 1).is_retried);
  assert_int_equal(denied(WEIR_DENIAL_RETRIES, 10, 1).status, 503);
  assert_int_equal(denied(WEIR_DENIAL_OPEN, 10, 1).status, 503);
  assert_int_equal(denied(WEIR_DENIAL_DEADLINE, 10, 1).status, 429);
}

static void a_deadline_that_passed_while_waiting_is_final(void **state)
{
  struct weir_rejection r;
  struct weir_rng rng;
  (void)state;

  weir_rng_init(&rng, 1);
  weir_rejection_of_lease(WEIR_ETIMEOUT, NULL, &rng, &r);
  assert_int_equal(r.status, 429);
  assert_false(r.is_retried);
  weir_rejection_of_lease(WEIR_EUNREACHABLE, NULL, &rng, &r);
  assert_int_equal(r.status, 503);
  assert_true(r.is_retried);
  weir_rejection_of_lease(WEIR_ECANCELLED, NULL, &rng, &r);
  assert_int_equal(r.status, 503);
  assert_true(r.is_retried);
  weir_rejection_of_lease(WEIR_EFULL, NULL, &rng, &r);
  assert_int_equal(r.status, 503);
  assert_true(r.is_retried);
  weir_rejection_of_lease(WEIR_ENOMEM, NULL, &rng, &r);
  assert_int_equal(r.status, 500);
  assert_false(r.is_retried);
}

static void errors_have_the_shape_of_the_provider(void **state)
{
  static const struct {
    enum weir_protocol protocol;
    const char *body;
  } rows[] = {
      {WEIR_PROTOCOL_OPENAI, "{\"error\":{\"message\":\"a \\\"b\\\"\",\"type\":\"requests\","
                             "\"param\":null,\"code\":\"rate_limit_exceeded\"}}"},
      {WEIR_PROTOCOL_ANTHROPIC, "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\","
                                "\"message\":\"a \\\"b\\\"\"}}"},
      {WEIR_PROTOCOL_GEMINI,
       "{\"error\":{\"code\":429,\"message\":\"a \\\"b\\\"\",\"status\":\"RESOURCE_EXHAUSTED\","
       "\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
       "\"retryDelay\":\"2.050s\"}]}}"}};
  struct weir_rejection r;
  char body[512];
  struct weir_put put;
  (void)state;

  weir_rejection_make(429, "a \"b\"", &r);
  r.is_retried = true;
  r.retry_ms = 2050;
  for (size_t i = 0; i < 3; i++) {
    weir_put_init(&put, body, sizeof(body));
    weir_rejection_put(&put, rows[i].protocol, &r);
    assert_string_equal(body, rows[i].body);
  }
  r.is_retried = false;
  weir_put_init(&put, body, sizeof(body));
  weir_rejection_put(&put, WEIR_PROTOCOL_GEMINI, &r);
  assert_null(strstr(body, "RetryInfo"));
}

static void our_own_errors_are_classified_as_what_they_say(void **state)
{
  static const struct {
    enum weir_protocol protocol;
    enum weir_provider_kind kind;
  } rows[] = {{WEIR_PROTOCOL_OPENAI, WEIR_PROVIDER_OPENAI},
              {WEIR_PROTOCOL_ANTHROPIC, WEIR_PROVIDER_ANTHROPIC},
              {WEIR_PROTOCOL_GEMINI, WEIR_PROVIDER_GEMINI}};
  (void)state;

  for (size_t i = 0; i < 3; i++) {
    static const uint32_t statuses[] = {400, 401, 404, 413, 502, 503};

    for (size_t j = 0; j < sizeof(statuses) / sizeof(statuses[0]); j++) {
      struct weir_rejection r;
      struct weir_verdict verdict;
      char body[512];
      struct weir_put put;

      weir_rejection_make(statuses[j], "weir: no", &r);
      weir_put_init(&put, body, sizeof(body));
      weir_rejection_put(&put, rows[i].protocol, &r);
      const struct weir_answer answer = {
          .kind = rows[i].kind, .http = (int)r.status, .body = body, .body_size = put.size};
      weir_classify(&answer, &verdict);
      assert_int_equal(verdict.is_retryable, statuses[j] >= 500);
    }
  }
}

static void a_long_sentence_is_cut_and_stays_json(void **state)
{
  char text[600], body[2048];
  struct weir_rejection r;
  struct weir_json json;
  struct weir_json_token token;
  struct weir_put put;
  (void)state;

  memset(text, '"', sizeof(text));
  text[sizeof(text) - 1] = '\0';
  weir_rejection_make(400, text, &r);
  assert_int_equal(strlen(r.text), sizeof(r.text) - 1);
  weir_put_init(&put, body, sizeof(body));
  weir_rejection_put(&put, WEIR_PROTOCOL_OPENAI, &r);
  weir_json_init(&json);
  weir_json_feed(&json, body, put.size);
  while (weir_json_next(&json, &token) == WEIR_JSON_TOKEN)
    ;
  assert_int_equal(weir_json_end(&json, &token), WEIR_JSON_MORE);
}

/* ---- headers ---- */

static void headers_of_the_connection_and_of_weir_stay_here(void **state)
{
  static const char *const stay[] = {
      "Connection",          "keep-alive",   "Transfer-Encoding", "Content-Length", "TE", "Upgrade",
      "Proxy-Authorization", "X-Weir-Class", "x-weir-anything",   "x-litellm-tags"};
  static const char *const pass[] = {"content-type",        "user-agent",        "x-stainless-lang",
                                     "openai-organization", "anthropic-version", "x-weird"};
  (void)state;

  for (size_t i = 0; i < sizeof(stay) / sizeof(stay[0]); i++) {
    assert_false(weir_relay_is_request(stay[i], NULL, false, false));
    assert_false(weir_relay_is_response(stay[i], NULL, false));
  }
  for (size_t i = 0; i < sizeof(pass) / sizeof(pass[0]); i++) {
    assert_true(weir_relay_is_request(pass[i], NULL, true, true));
    assert_true(weir_relay_is_response(pass[i], NULL, true));
  }
  assert_false(weir_relay_is_request("Host", NULL, false, false));
  assert_false(weir_relay_is_request("Expect", NULL, false, false));
}

static void headers_that_the_connection_names_stay_here(void **state)
{
  (void)state;
  assert_false(weir_relay_is_request("X-Secret", "close, x-secret", false, false));
  assert_false(weir_relay_is_response("x-first", "X-First,close", false));
  assert_true(weir_relay_is_request("x-secre", "close, x-secret", false, false));
  assert_true(weir_relay_is_request("ecret", "close, x-secret", false, false));
}

static void a_replaced_key_does_not_go_on(void **state)
{
  static const char *const keys[] = {"Authorization", "x-api-key", "X-Goog-Api-Key"};
  (void)state;

  for (size_t i = 0; i < 3; i++) {
    assert_true(weir_relay_is_request(keys[i], NULL, false, true));
    assert_false(weir_relay_is_request(keys[i], NULL, true, true));
  }
  assert_false(weir_relay_is_request("Accept-Encoding", NULL, false, true));
  assert_true(weir_relay_is_request("Accept-Encoding", NULL, false, false));
}

static void a_final_error_says_itself_whether_to_retry(void **state)
{
  (void)state;
  assert_true(weir_relay_is_response("x-should-retry", NULL, false));
  assert_false(weir_relay_is_response("X-Should-Retry", NULL, true));
  assert_true(weir_relay_is_response("retry-after", NULL, true));
}

/* Whose key goes along with these lines and this key in the query (NULL: none). */
static enum weir_key choose(const struct weir_header *headers, size_t count, const char *query,
                            const char *token, bool is_wide)
{
  const struct weir_keys keys = {headers, count, query, query ? strlen(query) : 0};

  return weir_relay_key_choose(&keys, token, is_wide);
}

static enum weir_key choose_one(const char *name, const char *value, const char *token,
                                bool is_wide)
{
  const struct weir_header header = {name, value};

  return choose(&header, 1, NULL, token, is_wide);
}

static void the_token_is_known_in_every_providers_way(void **state)
{
  (void)state;
  assert_int_equal(choose_one("Authorization", "bearer  token", "token", false), WEIR_KEY_OURS);
  assert_int_equal(choose_one("X-Api-Key", "token", "token", false), WEIR_KEY_OURS);
  assert_int_equal(choose_one("x-goog-api-key", "token", "token", true), WEIR_KEY_OURS);
  assert_int_equal(choose(NULL, 0, "token", "token", true), WEIR_KEY_OURS);
  assert_int_equal(choose_one("Authorization", "Basic token", "token", false), WEIR_KEY_THEIRS);
  assert_int_equal(choose_one("x-other", "token", "token", false), WEIR_KEY_THEIRS);
}

static void the_token_is_known_in_a_query_however_it_is_written(void **state)
{
  static const char token[] = "a+b/c=%41";
  (void)state;

  assert_int_equal(choose(NULL, 0, "a+b/c=%41", token, true), WEIR_KEY_OURS);
  assert_int_equal(choose(NULL, 0, "a%2Bb%2fc%3D%2541", token, true), WEIR_KEY_OURS);
  assert_int_equal(choose(NULL, 0, "%61+b/c=%2541", token, true), WEIR_KEY_OURS);
  assert_int_equal(choose(NULL, 0, "a%2Bb%2fc%3D", token, true), WEIR_KEY_NONE);
  assert_int_equal(choose(NULL, 0, "a%2Bb%2fc%3D%25411", token, true), WEIR_KEY_NONE);
  assert_int_equal(choose_one("x-api-key", "a%2Bb%2fc%3D%2541", token, true), WEIR_KEY_NONE);
}

static void the_token_counts_beside_another_key(void **state)
{
  const struct weir_header both[] = {{"x-api-key", "dummy"}, {"Authorization", "Bearer token"}};
  (void)state;

  assert_int_equal(choose(both, 2, NULL, "token", false), WEIR_KEY_OURS);
  assert_int_equal(choose(both, 1, "token", "token", false), WEIR_KEY_OURS);
  assert_int_equal(choose(&both[1], 1, "dummy", "token", false), WEIR_KEY_OURS);
}

static void what_only_resembles_the_token_is_none(void **state)
{
  static const char *const keys[] = {"tokem", "toke", "tokentoken", "", "Token"};
  (void)state;

  for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
    assert_int_equal(choose_one("x-api-key", keys[i], "token", false), WEIR_KEY_THEIRS);
    assert_int_equal(choose(NULL, 0, keys[i], "token", false), WEIR_KEY_THEIRS);
  }
  assert_int_equal(choose_one("x-api-key", "", "", false), WEIR_KEY_THEIRS);
  assert_int_equal(choose_one("x-api-key", "", NULL, false), WEIR_KEY_THEIRS);
}

static void other_machines_need_the_token(void **state)
{
  const struct weir_header own[] = {{"x-api-key", "sk-own"}, {"x-weir-token", "token"}};
  const struct weir_header wrong[] = {{"x-api-key", "sk-own"}, {"x-weir-token", "tokem"}};
  (void)state;

  assert_int_equal(choose(own, 1, NULL, "token", true), WEIR_KEY_NONE);
  assert_int_equal(choose(wrong, 2, NULL, "token", true), WEIR_KEY_NONE);
  assert_int_equal(choose(own, 2, NULL, "token", true), WEIR_KEY_THEIRS);
  assert_int_equal(choose(own, 2, NULL, NULL, true), WEIR_KEY_NONE);
}

/* ---- settlements ---- */

static void a_cut_answer_costs_what_its_lease_was_for(void **state)
{
  struct weir_usage_scan scan;
  struct weir_settlement s = WEIR_INIT(struct weir_settlement);
  (void)state;

  weir_usage_init(&scan);
  weir_settled_usage(&scan, WEIR_PROVIDER_OPENAI, false, 100, &s);
  assert_false(s.has_usage); /* nothing is known: all counts as asked for */
  scan.usage.has_input = scan.usage.has_output = true;
  scan.usage.input_tokens = 7;
  scan.usage.output_tokens = 5;
  weir_settled_usage(&scan, WEIR_PROVIDER_OPENAI, false, 100, &s);
  assert_true(s.has_usage);
  assert_int_equal(s.input_tokens, 7);
  assert_int_equal(s.output_tokens, 100);
  scan.usage.output_tokens = 120;
  weir_settled_usage(&scan, WEIR_PROVIDER_OPENAI, false, 100, &s);
  assert_int_equal(s.output_tokens, 120);
  scan.usage.output_tokens = 5;
  weir_settled_usage(&scan, WEIR_PROVIDER_OPENAI, true, 100, &s);
  assert_int_equal(s.output_tokens, 5);
}

static void a_failure_that_costs_nothing_gives_the_tokens_back(void **state)
{
  const struct weir_verdict free_of_charge = {
      .outcome = WEIR_OUTCOME_QUOTA_MINUTE_TOKENS, .has_wait = true, .wait_us = 5 * WEIR_US_PER_S};
  const struct weir_verdict charged = {.outcome = WEIR_OUTCOME_SERVER_ERROR,
                                       .are_tokens_charged = true};
  struct weir_settlement s = WEIR_INIT(struct weir_settlement);
  (void)state;

  weir_settled_verdict(&free_of_charge, &s);
  assert_int_equal(s.outcome, WEIR_OUTCOME_QUOTA_MINUTE_TOKENS);
  assert_true(s.has_usage);
  assert_int_equal(s.input_tokens, 0);
  assert_int_equal(s.retry_after_us, 5 * WEIR_US_PER_S);
  s = (struct weir_settlement)WEIR_INIT(struct weir_settlement);
  weir_settled_verdict(&charged, &s);
  assert_false(s.has_usage);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wishes_are_read_from_headers),
      cmocka_unit_test(without_headers_a_request_is_online_and_wishes_nothing),
      cmocka_unit_test(the_first_litellm_tag_serves_where_there_is_no_own),
      cmocka_unit_test(a_wish_that_is_not_understood_is_named),
      cmocka_unit_test(a_denial_that_passes_tells_the_sdk_when_to_come_back),
      cmocka_unit_test(no_sdk_is_told_to_wait_longer_than_a_minute),
      cmocka_unit_test(waits_near_a_minute_are_spread_as_well),
      cmocka_unit_test(what_does_not_pass_is_final_and_no_429),
      cmocka_unit_test(a_deadline_that_passed_while_waiting_is_final),
      cmocka_unit_test(errors_have_the_shape_of_the_provider),
      cmocka_unit_test(our_own_errors_are_classified_as_what_they_say),
      cmocka_unit_test(a_long_sentence_is_cut_and_stays_json),
      cmocka_unit_test(headers_of_the_connection_and_of_weir_stay_here),
      cmocka_unit_test(headers_that_the_connection_names_stay_here),
      cmocka_unit_test(a_replaced_key_does_not_go_on),
      cmocka_unit_test(a_final_error_says_itself_whether_to_retry),
      cmocka_unit_test(the_token_is_known_in_every_providers_way),
      cmocka_unit_test(the_token_is_known_in_a_query_however_it_is_written),
      cmocka_unit_test(the_token_counts_beside_another_key),
      cmocka_unit_test(what_only_resembles_the_token_is_none),
      cmocka_unit_test(other_machines_need_the_token),
      cmocka_unit_test(a_cut_answer_costs_what_its_lease_was_for),
      cmocka_unit_test(a_failure_that_costs_nothing_gives_the_tokens_back),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
