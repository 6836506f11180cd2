/* weir_call against a real coordinator and the simulated provider: what the three of them make of
 * failures together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon.h"
#include "run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <weir.h>

#define CHAT "{\"messages\":[{\"role\":\"user\",\"content\":\"Why is a weir not a dam?\"}]}"

static struct daemon d; /* too large for a stack */
static struct run upstream;

/* A pool for each of two models, the first with |rules| of its breaker and new attempts, the route
 * "fast" over both, and a provider with |fault|. */
static struct weir *setup(const char *rules, const char *fault, uint32_t is_without_retries)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir_provider provider = WEIR_INIT(struct weir_provider);
  struct weir *weir = NULL;
  const char *found;
  char url[64];

  daemon_init(&d);
  daemon_configure(&d,
                   "providers: {gemini: {kind: gemini}}\n"
                   "pools:\n"
                   "  - {name: p, provider: gemini, models: [x], limits: {rpm: 6000}, %s}\n"
                   "  - {name: q, provider: gemini, models: [z], limits: {rpm: 6000}}\n"
                   "routes: {fast: [gemini/x, gemini/z]}\n",
                   rules);
  daemon_start(&d);
  run_start(&upstream, "WEIR_UPSTREAM_BIN", "--latency-ms", "0", "--fault", fault, NULL);
  found = run_wait_out(&upstream, "listening on http");
  run_wait_out(&upstream, "\n");
  assert_int_equal(sscanf(found, "listening on %63s", url), 1);
  options.coordinator = d.endpoint;
  options.name = "test";
  options.max_wait_ms = 20000;
  options.is_without_retries = is_without_retries;
  assert_int_equal(weir_open(&options, &weir), WEIR_OK);
  provider.name = "gemini";
  provider.base_url = url;
  provider.key = "a-key";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
  return weir;
}

static void teardown(struct weir *weir, struct weir_response *response)
{
  weir_response_free(response);
  weir_close(weir);
  run_kill(&upstream, SIGTERM);
  assert_int_equal(run_end(&upstream), 0);
  daemon_signal(&d, SIGTERM);
  assert_int_equal(daemon_wait(&d), 0);
  daemon_fini(&d);
}

static struct weir_request request_of(const char *model)
{
  struct weir_request request = WEIR_INIT(struct weir_request);

  request.model = model;
  request.body = CHAT;
  request.body_size = strlen(CHAT);
  request.protocol = "openai";
  return request;
}

static void calls_that_fail_open_the_breaker_for_those_that_follow(void **state)
{
  struct weir *weir = setup("breaker: {min_calls: 4, window: 10m, open: 1h, open_max: 1h}",
                            "kind=error_500,probability=1", 1);
  const struct weir_request request = request_of("gemini/x");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  for (int i = 0; i < 4; i++) {
    assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
    assert_int_equal(response.outcome, WEIR_OUTCOME_SERVER_ERROR);
  }
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EDENIED);
  assert_int_equal(response.denied.why, WEIR_DENIAL_OPEN);
  assert_int_equal(response.attempts, 0);
  teardown(weir, &response);
}

static void a_breaker_that_opens_between_attempts_does_not_hide_the_failure(void **state)
{
  struct weir *weir = setup("breaker: {min_calls: 1, window: 10m, open: 1h, open_max: 1h}",
                            "kind=error_500,probability=1", 0);
  const struct weir_request request = request_of("gemini/x");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(response.outcome, WEIR_OUTCOME_SERVER_ERROR);
  assert_int_equal(response.attempts, 1);
  assert_int_equal(response.denied.why, WEIR_DENIAL_OPEN);
  teardown(weir, &response);
}

static void where_there_is_no_share_of_new_attempts_the_first_failure_is_the_last(void **state)
{
  struct weir *weir = setup("retries: 0%", "kind=error_500,next=1", 0);
  const struct weir_request request = request_of("gemini/x");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(response.attempts, 1);
  assert_int_equal(response.denied.why, WEIR_DENIAL_RETRIES);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  teardown(weir, &response);
}

static void a_new_attempt_mends_what_passes(void **state)
{
  struct weir *weir = setup("retries: 100%", "kind=error_500,next=1", 0);
  const struct weir_request request = request_of("gemini/x");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.attempts, 2);
  teardown(weir, &response);
}

static void a_day_that_is_used_up_is_told_to_those_that_follow(void **state)
{
  struct weir *weir = setup("retries: 10%", "kind=day_short_hint,next=1", 0);
  const struct weir_request request = request_of("gemini/x");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(response.outcome, WEIR_OUTCOME_QUOTA_DAY_REQUESTS);
  assert_int_equal(response.attempts, 1);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EDENIED);
  assert_int_equal(response.denied.why, WEIR_DENIAL_DEADLINE);
  assert_int_equal(response.attempts, 0);
  teardown(weir, &response);
}

/* ---- routes ---- */

static void a_route_goes_on_with_its_next_model_and_then_begins_with_it(void **state)
{
  struct weir *weir = setup("breaker: {min_calls: 3, window: 10m, open: 1h, open_max: 1h}",
                            "kind=overloaded_503,probability=1,model=x", 0);
  const struct weir_request request = request_of("fast");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  for (int i = 0; i < 6; i++) {
    assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
    assert_int_equal(response.choice, 2);
    assert_string_equal(response.model, "gemini/z");
    assert_int_equal(response.attempts, i < 3 ? 2 : 1); /* then the breaker has opened */
  }
  teardown(weir, &response);
}

static void going_round_a_dead_model_takes_no_share_of_new_attempts(void **state)
{
  struct weir *weir = setup("breaker: {enabled: false}, retries: 0%",
                            "kind=overloaded_503,probability=1,model=x", 0);
  const struct weir_request request = request_of("fast");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  for (int i = 0; i < 15; i++) { /* the second model has a share for ten */
    assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
    assert_int_equal(response.attempts, 2);
  }
  teardown(weir, &response);
}

static void one_rejection_by_the_day_moves_a_route(void **state)
{
  struct weir *weir = setup("retries: 10%", "kind=day_short_hint,next=1,model=x", 0);
  const struct weir_request request = request_of("fast");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
    assert_int_equal(response.choice, 2);
    assert_int_equal(response.attempts, i == 0 ? 2 : 1);
  }
  teardown(weir, &response);
}

static void what_belongs_together_stays_where_it_went(void **state)
{
  struct weir *weir = setup("retries: 10%", "kind=error_500,next=1,model=x", 0);
  struct weir_request request = request_of("fast");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  for (int i = 0; i < 6; i++) {
    request.sticky = i % 2 == 0 ? "a" : "b"; /* "a" meets the failure */
    assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
    assert_int_equal(response.choice, i % 2 == 0 ? 2 : 1);
    assert_int_equal(response.attempts, i == 0 ? 2 : 1);
  }
  teardown(weir, &response);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(calls_that_fail_open_the_breaker_for_those_that_follow),
      cmocka_unit_test(a_breaker_that_opens_between_attempts_does_not_hide_the_failure),
      cmocka_unit_test(where_there_is_no_share_of_new_attempts_the_first_failure_is_the_last),
      cmocka_unit_test(a_new_attempt_mends_what_passes),
      cmocka_unit_test(a_day_that_is_used_up_is_told_to_those_that_follow),
      cmocka_unit_test(a_route_goes_on_with_its_next_model_and_then_begins_with_it),
      cmocka_unit_test(going_round_a_dead_model_takes_no_share_of_new_attempts),
      cmocka_unit_test(one_rejection_by_the_day_moves_a_route),
      cmocka_unit_test(what_belongs_together_stays_where_it_went),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
