/* What stands in for an answer when a call has failed for good: the last good answer, a rule, the
 * program's callback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_coordinator.h"
#include "fake_provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir.h>

#define BODY   "{\"contents\":[{\"parts\":[{\"text\":\"Why is a weir not a dam?\"}]}]}"
#define OTHER  "{\"contents\":[{\"parts\":[{\"text\":\"Why is a dam not a weir?\"}]}]}"
#define ANSWER "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Water passes.\"}]}}]}"

static struct fake_coordinator f; /* too large for a stack */
static struct provider p;

/* What the callback saw, and what it says. */
struct own {
  int calls, err;
  const char *answer; /* NULL: none */
  char failed[256], model[64];
};

static int own_answer(void *context, const struct weir_request *request, int err,
                      const struct weir_response *failed, struct weir_response *ret_answer)
{
  struct own *own = context;

  own->calls++;
  own->err = err;
  snprintf(own->failed, sizeof(own->failed), "%s", failed->error);
  snprintf(own->model, sizeof(own->model), "%s", request->model);
  if (!own->answer)
    return 0;
  assert_int_equal(weir_response_set(ret_answer, "text/plain", own->answer, strlen(own->answer)),
                   WEIR_OK);
  return 1;
}

static char line[1024]; /* the last one of the call log */

static void keep_line(void *context, const char *text)
{
  (void)context;
  snprintf(line, sizeof(line), "%s", text);
}

static struct weir *setup_with(uint64_t cache_bytes_max, struct own *own)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir_provider provider = WEIR_INIT(struct weir_provider);
  struct weir *weir = NULL;

  fake_init(&f, FAKE_GRANT);
  provider_init(&p, PROVIDER_ANSWERS, 200, ANSWER);
  options.coordinator = f.endpoint;
  options.name = "test";
  options.max_wait_ms = 30000;
  options.is_without_retries = 1;
  options.is_without_wallet = 1;
  options.cache_bytes_max = cache_bytes_max;
  options.call_log = keep_line;
  options.degrade = own ? own_answer : NULL;
  options.degrade_context = own;
  assert_int_equal(weir_open(&options, &weir), WEIR_OK);
  provider.name = "gemini";
  provider.base_url = p.url;
  provider.key = "a-key";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
  return weir;
}

static struct weir *setup(void)
{
  return setup_with(1 << 20, NULL);
}

static void teardown(struct weir *weir, struct weir_response *response)
{
  weir_response_free(response);
  weir_close(weir);
  provider_fini(&p);
  fake_fini(&f);
}

static void answer_with(int status, const char *body)
{
  pthread_mutex_lock(&p.lock);
  p.status = status;
  p.body = body;
  pthread_mutex_unlock(&p.lock);
}

static void behave(enum provider_habit habit)
{
  pthread_mutex_lock(&p.lock);
  p.habit = habit;
  pthread_mutex_unlock(&p.lock);
}

static struct weir_request request_of(const char *body)
{
  struct weir_request request = WEIR_INIT(struct weir_request);

  request.model = "gemini/flash";
  request.body = body;
  request.body_size = strlen(body);
  request.is_cacheable = 1;
  return request;
}

static int add_rule(struct weir *weir, const char *model, const char *tag, const char *body)
{
  struct weir_rule rule = WEIR_INIT(struct weir_rule);

  rule.model = model;
  rule.tag = tag;
  rule.body = body;
  rule.body_size = strlen(body);
  return weir_rule_add(weir, &rule);
}

/* ---- the last good answer ---- */

static void the_last_good_answer_is_given_when_a_call_fails(void **state)
{
  struct weir *weir = setup();
  const struct weir_request request = request_of(BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.degraded, WEIR_DEGRADED_NONE);
  assert_non_null(strstr(line, "\"degraded\":false}"));
  answer_with(503, "{\"error\":{\"message\":\"busy\"}}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.degraded, WEIR_DEGRADED_STALE);
  assert_string_equal(response.body, ANSWER);
  assert_int_equal(response.body_size, strlen(ANSWER));
  assert_string_equal(response.content_type, "application/json");
  assert_string_equal(response.model, "gemini/flash");
  assert_int_equal(response.http, 200);
  assert_true(response.age_us > 0);
  assert_int_equal(response.outcome, WEIR_OUTCOME_OVERLOADED); /* of the attempt */
  assert_int_equal(response.attempts, 1);
  assert_string_equal(response.error, "gemini/flash answered 503: overloaded");
  assert_non_null(strstr(line, "\"status\":\"failed\",\"error\":\"overloaded\",\"http\":503"));
  assert_non_null(strstr(line, "\"degraded\":true}"));
  teardown(weir, &response);
}

static void an_answer_is_for_the_same_request_only(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = request_of(BODY);
  const struct weir_request other = request_of(OTHER);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  answer_with(503, "{}");
  assert_int_equal(weir_call(weir, &other, &response), WEIR_EUPSTREAM);
  request.tenant = "another";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  request.tenant = NULL;
  request.path = "/v1beta/models/{model}:countTokens";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  request.path = NULL;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  teardown(weir, &response);
}

static void nothing_is_kept_unasked(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = request_of(BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  request.is_cacheable = 0;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  answer_with(503, "{}");
  request.is_cacheable = 1;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(response.degraded, WEIR_DEGRADED_NONE);
  answer_with(200, ANSWER);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  answer_with(503, "{}");
  request.is_cacheable = 0;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  teardown(weir, &response);
  weir = setup_with(0, NULL);
  request.is_cacheable = 1;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  answer_with(503, "{}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  teardown(weir, &response);
}

static void streams_are_not_kept(void **state)
{
  struct weir *weir = setup();
  const struct weir_request request = request_of(BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  behave(PROVIDER_STREAMS);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_string_equal(response.content_type, "text/event-stream");
  behave(PROVIDER_ANSWERS);
  answer_with(503, "{}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  teardown(weir, &response);
}

static void a_failure_of_the_request_itself_stays_a_failure(void **state)
{
  struct own own = {.answer = "never"};
  struct weir *weir = setup_with(1 << 20, &own);
  const struct weir_request request = request_of(BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(add_rule(weir, "*", NULL, "never"), WEIR_OK);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  answer_with(400, "{}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  answer_with(404, "{}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  fake_set(&f, FAKE_DENY); /* too large */
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EDENIED);
  assert_int_equal(own.calls, 0);
  teardown(weir, &response);
}

static void a_denial_that_is_nobodys_fault_is_answered(void **state)
{
  struct weir *weir = setup();
  const struct weir_request request = request_of(BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  pthread_mutex_lock(&f.lock);
  f.denial = WEIR_DENIAL_OPEN;
  pthread_mutex_unlock(&f.lock);
  fake_set(&f, FAKE_DENY);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.degraded, WEIR_DEGRADED_STALE);
  assert_int_equal(response.outcome, 0); /* nothing was sent */
  assert_int_equal(response.attempts, 0);
  assert_int_equal(response.denied.why, WEIR_DENIAL_OPEN);
  teardown(weir, &response);
}

/* ---- rules ---- */

static void a_rule_answers_for_its_names_and_tags(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = request_of(BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  answer_with(503, "{}");
  assert_int_equal(add_rule(weir, "gemini/flash-2", NULL, "longer"), WEIR_OK);
  assert_int_equal(add_rule(weir, "gemini/fla", NULL, "shorter"), WEIR_OK);
  assert_int_equal(add_rule(weir, "gemini/*", "search", "for search"), WEIR_OK);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  request.tag = "chat";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  request.tag = "search";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.degraded, WEIR_DEGRADED_RULE);
  assert_string_equal(response.body, "for search");
  assert_string_equal(response.content_type, "application/json");
  assert_int_equal(response.http, 200);
  assert_int_equal(response.age_us, 0);
  /* The first that fits; the same name and tag again takes its place. */
  assert_int_equal(add_rule(weir, "*", NULL, "for all"), WEIR_OK);
  assert_int_equal(add_rule(weir, "gemini/*", "search", "for search, again"), WEIR_OK);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_string_equal(response.body, "for search, again");
  request.tag = NULL;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_string_equal(response.body, "for all");
  teardown(weir, &response);
}

static void rules_are_bounded_and_checked(void **state)
{
  struct weir *weir = setup();
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_rule rule = WEIR_INIT(struct weir_rule);
  char name[96];

  (void)state;
  assert_int_equal(add_rule(weir, "", NULL, "x"), WEIR_EINVAL);
  memset(name, 'm', sizeof(name));
  name[64] = '\0';
  assert_int_equal(add_rule(weir, name, NULL, "x"), WEIR_EINVAL);
  rule.model = "*";
  rule.body = "x";
  rule.body_size = (1 << 20) + 1;
  assert_int_equal(weir_rule_add(weir, &rule), WEIR_ERANGE);
  rule.body_size = 1;
  rule.size = 8;
  assert_int_equal(weir_rule_add(weir, &rule), WEIR_EINVAL);
  for (int i = 0; i < 64; i++) {
    snprintf(name, sizeof(name), "model-%d", i);
    assert_int_equal(add_rule(weir, name, NULL, "x"), WEIR_OK);
  }
  assert_int_equal(add_rule(weir, "one-more", NULL, "x"), WEIR_EFULL);
  assert_int_equal(add_rule(weir, "model-7", NULL, "y"), WEIR_OK);
  teardown(weir, &response);
}

/* ---- the program's own ---- */

static void answers_are_looked_for_in_order(void **state)
{
  struct own own = {.answer = "from the program"};
  struct weir *weir = setup_with(1 << 20, &own);
  const struct weir_request request = request_of(BODY), other = request_of(OTHER);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  answer_with(503, "{}");
  assert_int_equal(weir_call(weir, &other, &response), WEIR_OK);
  assert_int_equal(response.degraded, WEIR_DEGRADED_CALLBACK);
  assert_string_equal(response.body, "from the program");
  assert_string_equal(response.content_type, "text/plain");
  assert_int_equal(own.calls, 1);
  assert_int_equal(own.err, WEIR_EUPSTREAM);
  assert_string_equal(own.failed, "gemini/flash answered 503: overloaded");
  assert_string_equal(own.model, "gemini/flash");
  assert_int_equal(add_rule(weir, "gemini/*", NULL, "from a rule"), WEIR_OK);
  assert_int_equal(weir_call(weir, &other, &response), WEIR_OK);
  assert_int_equal(response.degraded, WEIR_DEGRADED_RULE);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.degraded, WEIR_DEGRADED_STALE);
  assert_int_equal(own.calls, 1);
  teardown(weir, &response);
}

static void a_callback_without_an_answer_lets_the_call_fail(void **state)
{
  struct own own = {0};
  struct weir *weir = setup_with(0, &own);
  const struct weir_request request = request_of(BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  answer_with(503, "{\"busy\":1}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(own.calls, 1);
  assert_int_equal(response.http, 503);
  assert_string_equal(response.body, "{\"busy\":1}");
  assert_int_equal(response.degraded, WEIR_DEGRADED_NONE);
  teardown(weir, &response);
}

static void who_cannot_reach_the_coordinator_is_answered_too(void **state)
{
  struct own own = {.answer = "later, please"};
  struct weir *weir = setup_with(0, &own);
  struct weir_request request = request_of(BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  fake_set(&f, FAKE_SILENT);
  request.max_wait_ms = 500;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(own.err, WEIR_EUNREACHABLE);
  assert_string_equal(response.body, "later, please");
  teardown(weir, &response);
}

static int take_all(void *context, const void *bytes, size_t size)
{
  (void)bytes;
  *(size_t *)context += size;
  return 0;
}

static void what_was_passed_on_is_not_answered_again(void **state)
{
  struct own own = {.answer = "never"};
  struct weir *weir = setup_with(0, &own);
  struct weir_request request = request_of(BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);
  size_t size = 0;

  (void)state;
  request.on_data = take_all;
  request.on_data_context = &size;
  behave(PROVIDER_CUTS);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ENETWORK);
  assert_true(size > 0);
  assert_int_equal(own.calls, 0);
  behave(PROVIDER_ANSWERS);
  answer_with(503, "{}");
  own.answer = "whole";
  size = 0;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(size, 0);
  assert_string_equal(response.body, "whole");
  teardown(weir, &response);
}

/* ---- structs ---- */

/* A program that was built before the last members of the structs came. */
static void older_programs_get_what_they_know(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = request_of(BODY);
  struct {
    struct weir_response response;
    char behind[64];
  } old;
  const size_t size = offsetof(struct weir_response, cached_tokens);
  char untouched[sizeof(old) - offsetof(struct weir_response, cached_tokens)];

  (void)state;
  memset(&old, 0, sizeof(old));
  memset((char *)&old + size, 0x5a, sizeof(old) - size);
  memset(untouched, 0x5a, sizeof(untouched));
  old.response.size = size;
  request.size = offsetof(struct weir_request, tenant);
  assert_int_equal(weir_call(weir, &request, &old.response), WEIR_OK);
  assert_int_equal(old.response.size, size);
  assert_string_equal(old.response.body, ANSWER);
  assert_memory_equal((char *)&old + size, untouched, sizeof(untouched));
  assert_int_equal(weir_response_set(&old.response, NULL, "x", 1), WEIR_OK);
  weir_response_free(&old.response);
  assert_null(old.response.body);
  assert_memory_equal((char *)&old + size, untouched, sizeof(untouched));
  old.response.size = size + 1;
  assert_int_equal(weir_call(weir, &request, &old.response), WEIR_EINVAL);
  old.response.size = size;
  teardown(weir, &old.response);
}

static void options_out_of_their_range_are_refused(void **state)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir *weir = NULL;

  (void)state;
  options.cache_bytes_max = 65535;
  assert_int_equal(weir_open(&options, &weir), WEIR_ERANGE);
  options.cache_bytes_max = (UINT64_C(64) << 30) + 1;
  assert_int_equal(weir_open(&options, &weir), WEIR_ERANGE);
  options.cache_bytes_max = 65536;
  options.cache_ttl_ms = WEIR_WAIT_MAX_MS + 1;
  assert_int_equal(weir_open(&options, &weir), WEIR_ERANGE);
  options.cache_ttl_ms = WEIR_WAIT_MAX_MS;
  assert_int_equal(weir_open(&options, &weir), WEIR_OK);
  weir_close(weir);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_last_good_answer_is_given_when_a_call_fails),
      cmocka_unit_test(an_answer_is_for_the_same_request_only),
      cmocka_unit_test(nothing_is_kept_unasked),
      cmocka_unit_test(streams_are_not_kept),
      cmocka_unit_test(a_failure_of_the_request_itself_stays_a_failure),
      cmocka_unit_test(a_denial_that_is_nobodys_fault_is_answered),
      cmocka_unit_test(a_rule_answers_for_its_names_and_tags),
      cmocka_unit_test(rules_are_bounded_and_checked),
      cmocka_unit_test(answers_are_looked_for_in_order),
      cmocka_unit_test(a_callback_without_an_answer_lets_the_call_fail),
      cmocka_unit_test(who_cannot_reach_the_coordinator_is_answered_too),
      cmocka_unit_test(what_was_passed_on_is_not_answered_again),
      cmocka_unit_test(older_programs_get_what_they_know),
      cmocka_unit_test(options_out_of_their_range_are_refused),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
