/* weir_call after a failure: another choice of the route, or the same name again, and what the
 * coordinator hears of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_coordinator.h"
#include "fake_provider.h"
#include "run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir.h>

#define CHAT "{\"messages\":[{\"role\":\"user\",\"content\":\"Why is a weir not a dam?\"}]}"
#define ANSWER                                                                                     \
  "{\"choices\":[{\"message\":{\"content\":\"Water passes.\"}}],"                                  \
  "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13}}"
#define UNPAID                                                                                     \
  "{\"error\":{\"message\":\"You exceeded your quota.\",\"type\":\"insufficient_quota\"}}"

static struct fake_coordinator f; /* too large for a stack */
static struct provider one, two;

/* Tells the coordinator what to do from now on. */
#define TELL(member, value)                                                                        \
  do {                                                                                             \
    pthread_mutex_lock(&f.lock);                                                                   \
    f.member = (value);                                                                            \
    pthread_mutex_unlock(&f.lock);                                                                 \
  } while (0)

static struct run upstream;

static void add_provider(struct weir *weir, const char *name, const char *kind, const char *url)
{
  struct weir_provider provider = WEIR_INIT(struct weir_provider);

  provider.name = name;
  provider.kind = kind;
  provider.base_url = url;
  provider.key = "a-key";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
}

static void route_to(uint32_t count, const char *const *choices)
{
  pthread_mutex_lock(&f.lock);
  for (uint32_t i = 0; i < count; i++)
    f.choices[i] = choices[i];
  f.choices_count = count;
  pthread_mutex_unlock(&f.lock);
}

/* A handle that knows the providers "one" and "two", both of which |habit| makes answer well or
 * hang, and a route to a model of each. */
static struct weir *setup_with(uint32_t retries_max)
{
  static const char *const choices[] = {"one/x", "two/y"};
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir *weir = NULL;

  fake_init(&f, FAKE_GRANT);
  provider_init(&one, PROVIDER_ANSWERS, 200, ANSWER);
  provider_init(&two, PROVIDER_ANSWERS, 200, ANSWER);
  options.coordinator = f.endpoint;
  options.name = "test";
  options.max_wait_ms = 30000;
  options.retries_max = retries_max;
  options.is_without_wallet = 1;
  assert_int_equal(weir_open(&options, &weir), WEIR_OK);
  add_provider(weir, "one", "compatible", one.url);
  add_provider(weir, "two", "compatible", two.url);
  route_to(2, choices);
  return weir;
}

static struct weir *setup(void)
{
  return setup_with(3);
}

static void teardown(struct weir *weir, struct weir_response *response)
{
  weir_response_free(response);
  weir_close(weir);
  provider_fini(&one);
  provider_fini(&two);
  fake_fini(&f);
}

static void habit(struct provider *p, enum provider_habit kind, int status, const char *body)
{
  pthread_mutex_lock(&p->lock);
  p->habit = kind;
  p->status = status;
  p->body = body;
  pthread_mutex_unlock(&p->lock);
}

static struct weir_request request_of(const char *model, const char *body)
{
  struct weir_request request = WEIR_INIT(struct weir_request);

  request.model = model;
  request.body = body;
  request.body_size = strlen(body);
  return request;
}

static struct weir_msg_ask ask_of(uint32_t index)
{
  return fake_get(&f, WEIR_MSG_ASK, index).ask;
}

static struct weir_msg_settle settle_of(uint32_t index)
{
  return fake_get(&f, WEIR_MSG_SETTLE, index).settle;
}

/* ---- elsewhere ---- */

static void a_choice_that_fails_is_left_for_another_at_once(void **state)
{
  struct weir *weir = setup();
  const struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  /* It would have to be waited for, if it were the same choice. */
  provider_once(&one, 503, "Retry-After: 60\r\n", "{}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.attempts, 2);
  assert_int_equal(response.choice, 2);
  assert_string_equal(response.model, "two/y");
  assert_string_equal(response.error, "");
  assert_int_equal(provider_arrivals(&one), 1);
  assert_non_null(strstr(two.request, "\"model\":\"y\""));
  assert_int_equal(ask_of(0).avoid, 0);
  assert_int_equal(ask_of(0).attempts, 0);
  assert_int_equal(ask_of(1).avoid, 1);
  assert_int_equal(ask_of(1).attempts, 1);
  assert_int_equal(settle_of(0).outcome, WEIR_OUTCOME_OVERLOADED);
  teardown(weir, &response);
}

static void what_no_time_mends_here_is_mended_elsewhere(void **state)
{
  struct weir *weir = setup();
  const struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  provider_once(&one, 402, "", UNPAID);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.choice, 2);
  teardown(weir, &response);
}

/* First the other keys, then the other models. */
static void a_provider_that_rejects_all_keys_is_left_for_another(void **state)
{
  struct weir *weir = setup();
  const struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_provider provider = WEIR_INIT(struct weir_provider);

  (void)state;
  setenv("WEIR_TEST_KEYS", "key-1\nkey-2\n", 1);
  provider.name = "one";
  provider.kind = "compatible";
  provider.base_url = one.url;
  provider.keys = "env:WEIR_TEST_KEYS";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
  habit(&one, PROVIDER_ANSWERS, 401, "{}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(provider_arrivals(&one), 2);
  assert_int_equal(response.choice, 2);
  assert_int_equal(response.attempts, 3);
  assert_int_equal(ask_of(1).avoid, 0);
  assert_int_equal(ask_of(1).attempts, 1);
  assert_int_equal(ask_of(2).avoid, 1);
  teardown(weir, &response);
}

static void other_keys_count_as_retries(void **state)
{
  struct weir *weir = setup_with(1);
  const struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_provider provider = WEIR_INIT(struct weir_provider);

  (void)state;
  setenv("WEIR_TEST_KEYS", "key-1\nkey-2\n", 1);
  provider.name = "one";
  provider.kind = "compatible";
  provider.base_url = one.url;
  provider.keys = "env:WEIR_TEST_KEYS";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
  habit(&one, PROVIDER_ANSWERS, 401, "{}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(response.attempts, 2);
  assert_int_equal(provider_arrivals(&two), 0);
  teardown(weir, &response);
}

static void a_bad_request_is_bad_everywhere(void **state)
{
  struct weir *weir = setup();
  const struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  habit(&one, PROVIDER_ANSWERS, 400, "{}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(provider_arrivals(&two), 0);
  assert_int_equal(response.choice, 1);
  teardown(weir, &response);
}

static void a_route_whose_choices_all_failed_goes_round_again(void **state)
{
  struct weir *weir = setup_with(2);
  const struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  habit(&one, PROVIDER_ANSWERS, 503, "{}");
  habit(&two, PROVIDER_ANSWERS, 500, "{}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(response.attempts, 3);
  assert_string_equal(response.error, "one/x answered 503: overloaded");
  assert_int_equal(ask_of(1).avoid, 1);
  assert_int_equal(ask_of(2).avoid, 0);
  assert_int_equal(ask_of(2).attempts, 2);
  assert_int_equal(fake_count(&f, WEIR_MSG_ASK), 3);
  teardown(weir, &response);
}

static void a_route_whose_choices_all_failed_for_good_ends(void **state)
{
  struct weir *weir = setup();
  const struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  habit(&one, PROVIDER_ANSWERS, 402, UNPAID);
  habit(&two, PROVIDER_ANSWERS, 404, "{}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(response.outcome, WEIR_OUTCOME_MODEL_NOT_FOUND);
  assert_int_equal(fake_count(&f, WEIR_MSG_ASK), 2);
  teardown(weir, &response);
}

static void who_cannot_be_reached_is_left_for_another(void **state)
{
  struct weir *weir = setup();
  const struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  add_provider(weir, "one", "compatible", "http://127.0.0.1:1");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.attempts, 1);
  assert_int_equal(ask_of(1).avoid, 1);
  assert_int_equal(ask_of(1).attempts, 0); /* nothing was sent */
  teardown(weir, &response);
}

/* ---- what the coordinator says to new attempts ---- */

static void a_denied_new_attempt_does_not_hide_the_failure(void **state)
{
  static const enum weir_denial denials[] = {WEIR_DENIAL_RETRIES, WEIR_DENIAL_OPEN,
                                             WEIR_DENIAL_DEADLINE};
  (void)state;

  for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++) {
    struct weir *weir = setup();
    const struct weir_request request = request_of("fast", CHAT);
    struct weir_response response = WEIR_INIT(struct weir_response);

    TELL(retry_denial, denials[i]);
    habit(&one, PROVIDER_ANSWERS, 503, "{\"busy\":1}");
    assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
    assert_int_equal(response.outcome, WEIR_OUTCOME_OVERLOADED);
    assert_int_equal(response.http, 503);
    assert_string_equal(response.body, "{\"busy\":1}");
    assert_int_equal(response.denied.why, denials[i]);
    assert_non_null(strstr(response.error, "one/x answered 503: overloaded; then: "));
    teardown(weir, &response);
  }
}

static void a_denied_first_attempt_is_a_denial(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  TELL(answer, FAKE_DENY);
  TELL(denial, WEIR_DENIAL_OPEN);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EDENIED);
  assert_int_equal(response.denied.why, WEIR_DENIAL_OPEN);
  TELL(retry_denial, WEIR_DENIAL_RETRIES); /* of an attempt that the caller made before */
  request.attempts = 1;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EDENIED);
  assert_int_equal(response.denied.why, WEIR_DENIAL_RETRIES);
  teardown(weir, &response);
}

static void attempts_of_the_caller_are_told_and_count(void **state)
{
  struct weir *weir = setup_with(3);
  struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  habit(&one, PROVIDER_ANSWERS, 503, "{}");
  habit(&two, PROVIDER_ANSWERS, 503, "{}");
  request.attempts = 2;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(response.attempts, 2);
  assert_int_equal(ask_of(0).attempts, 2);
  assert_int_equal(ask_of(1).attempts, 3);
  request.attempts = 101;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ERANGE);
  teardown(weir, &response);
}

/* ---- what belongs together ---- */

static void what_belongs_together_stays_with_the_model_that_served_it(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  provider_once(&one, 503, "", "{}");
  request.sticky = "conversation 1";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK); /* asks 0 and 1 */
  assert_string_equal(ask_of(0).prefer, "");
  assert_int_equal(response.choice, 2);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_string_equal(ask_of(2).prefer, "two/y");
  assert_int_equal(response.choice, 2);
  request.sticky = "conversation 2";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_string_equal(ask_of(3).prefer, "");
  assert_int_equal(response.choice, 1);
  /* Away from the one that fails, and there it stays. */
  provider_once(&two, 503, "", "{}");
  request.sticky = "conversation 1";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK); /* asks 4 and 5 */
  assert_string_equal(ask_of(5).prefer, "");
  assert_int_equal(ask_of(5).avoid, 2);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_string_equal(ask_of(6).prefer, "one/x");
  teardown(weir, &response);
}

static void the_text_used_longest_ago_is_forgotten(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);
  char text[32];

  (void)state;
  for (int i = 0; i <= 256; i++) {
    snprintf(text, sizeof(text), "conversation %d", i);
    request.sticky = text;
    assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  }
  request.sticky = "conversation 1";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  request.sticky = "conversation 0";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_string_equal(ask_of(257).prefer, "one/x");
  assert_string_equal(ask_of(258).prefer, "");
  teardown(weir, &response);
}

/* ---- timeouts ---- */

static void a_transfer_that_takes_longer_than_the_route_allows_is_made_elsewhere(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  habit(&one, PROVIDER_HANGS, 200, "");
  TELL(timeout_us, 500 * WEIR_US_PER_MS);
  request.timeout_ms = 60000; /* longer than the whole call */
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.choice, 2);
  assert_int_equal(response.attempts, 2);
  assert_true(settle_of(0).is_sent);
  assert_int_equal(settle_of(0).outcome, WEIR_OUTCOME_DEADLINE);
  assert_int_equal(settle_of(0).http, 0);
  teardown(weir, &response);
}

static void the_callers_timeout_counts_where_it_is_the_shorter_one(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  habit(&one, PROVIDER_HANGS, 200, "");
  TELL(timeout_us, 60 * WEIR_US_PER_S);
  request.timeout_ms = 500;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.choice, 2);
  teardown(weir, &response);
}

static void the_deadline_of_the_call_ends_it_whatever_the_route_allows(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  habit(&one, PROVIDER_HANGS, 200, "");
  TELL(timeout_us, 60 * WEIR_US_PER_S);
  request.max_wait_ms = 600;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ETIMEOUT);
  assert_int_equal(provider_arrivals(&two), 0);
  assert_int_equal(settle_of(0).outcome, WEIR_OUTCOME_DEADLINE);
  teardown(weir, &response);
}

/* ---- probes and estimates ---- */

struct pieces {
  uint32_t settlements; /* to wait for at the first piece */
};

static int take_piece(void *context, const void *bytes, size_t size)
{
  struct pieces *pieces = context;

  (void)bytes;
  (void)size;
  fake_wait(&f, WEIR_MSG_SETTLE, pieces->settlements);
  return 0;
}

static void a_probe_is_settled_at_the_first_bytes(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = request_of("fast", "{\"messages\":[],\"stream\":true}");
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct pieces pieces = {.settlements = 1};
  struct weir_msg_settle settle;

  (void)state;
  habit(&one, PROVIDER_STREAMS, 200, "{\"choices\":[{\"delta\":{\"content\":\"Water\"}}]}|[DONE]");
  TELL(is_probe, true);
  request.on_data = take_piece;
  request.on_data_context = &pieces;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  settle = settle_of(0);
  assert_true(settle.is_sent && !settle.is_final && !settle.has_usage);
  assert_int_equal(settle.http, 200);
  assert_true(settle_of(1).is_final);
  teardown(weir, &response);
}

static void a_probe_that_fails_is_settled_once(void **state)
{
  struct weir *weir = setup();
  const struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  TELL(is_probe, true);
  provider_once(&one, 503, "", "{}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_true(settle_of(0).is_final);
  assert_int_equal(settle_of(0).outcome, WEIR_OUTCOME_OVERLOADED);
  teardown(weir, &response);
}

static void the_coordinator_learns_the_estimate_itself(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);
  uint64_t estimated;

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  estimated = settle_of(0).estimated_tokens;
  assert_in_range(estimated, 5, 40);
  assert_true(ask_of(0).input_tokens > estimated); /* which has a margin */
  request.input_tokens = 9;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(settle_of(1).estimated_tokens, 0);
  teardown(weir, &response);
}

static void a_model_without_experience_begins_with_what_others_learned(void **state)
{
  struct weir *weir = setup();
  const struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);
  uint64_t estimated;

  (void)state;
  TELL(ratio_pm, 3000);
  TELL(ratio_error_pm, 100);
  habit(&one, PROVIDER_ANSWERS, 200, "{}"); /* teaches nothing itself */
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  estimated = settle_of(0).estimated_tokens;
  assert_true(ask_of(0).input_tokens < 2 * estimated);
  assert_in_range(ask_of(1).input_tokens, 3 * estimated, 3 * estimated + estimated / 2);
  teardown(weir, &response);
}

/* ---- choices that this program cannot use ---- */

static void a_choice_of_an_unknown_provider_is_passed_over(void **state)
{
  static const char *const choices[] = {"nobody/x", "two/y"};
  struct weir *weir = setup_with(0);
  const struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  route_to(2, choices);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.choice, 2);
  assert_int_equal(ask_of(1).avoid, 1);
  assert_int_equal(ask_of(1).attempts, 0);
  assert_false(settle_of(0).is_sent);
  route_to(1, choices);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ECONFIG);
  assert_non_null(strstr(response.error, "nobody/x"));
  teardown(weir, &response);
}

static void a_choice_that_does_not_read_the_body_is_passed_over(void **state)
{
  static const char *const choices[] = {"g/flash", "two/y"};
  struct weir *weir = setup();
  const struct weir_request request = request_of("fast", CHAT);
  const struct weir_request other = request_of("fast", "{\"contents\":[]}");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  add_provider(weir, "g", "gemini", one.url);
  route_to(2, choices);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.choice, 2);
  assert_int_equal(provider_arrivals(&one), 0);
  assert_int_equal(weir_call(weir, &other, &response), WEIR_OK);
  assert_int_equal(response.choice, 1);
  route_to(1, choices);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ECONFIG);
  assert_string_equal(response.error,
                      "g/flash does not read such a body: write it as OpenAI's chat completions "
                      "and set protocol \"openai\"");
  teardown(weir, &response);
}

static void a_failure_is_not_hidden_by_a_choice_that_cannot_be_used(void **state)
{
  static const char *const choices[] = {"one/x", "nobody/x"};
  struct weir *weir = setup();
  const struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  route_to(2, choices);
  habit(&one, PROVIDER_ANSWERS, 402, UNPAID);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(response.outcome, WEIR_OUTCOME_BILLING);
  assert_non_null(strstr(response.error, "one/x answered 402: billing; then: \"nobody/x\""));
  teardown(weir, &response);
}

/* ---- one body for all providers ---- */

static void openais_protocol_has_a_key_and_a_model_of_its_own_at_each_provider(void **state)
{
  static const struct {
    const char *model, *kind, *base, *path, *sent_model;
  } rows[] = {
      {"g/m", "gemini", "", "POST /v1beta/openai/chat/completions HTTP/1.1", "\"model\":\"m\""},
      {"a/m", "anthropic", "", "POST /v1/chat/completions HTTP/1.1", "\"model\":\"m\""},
      {"o/m", "openai", "", "POST /v1/chat/completions HTTP/1.1", "\"model\":\"m\""},
      {"c/m", "compatible", "/relay", "POST /relay/v1/chat/completions HTTP/1.1",
       "\"model\":\"m\""},
      {"v/m", "vertex", "/v1/projects/p/locations/l/publishers/google",
       "POST /v1/projects/p/locations/l/endpoints/openapi/chat/completions HTTP/1.1",
       "\"model\":\"google/m\""},
  };
  struct weir *weir = setup();
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    struct weir_request request = request_of("fast", CHAT);
    char url[128];

    snprintf(url, sizeof(url), "%s%s", one.url, rows[i].base);
    add_provider(weir, (char[]){rows[i].model[0], '\0'}, rows[i].kind, url);
    route_to(1, &rows[i].model);
    request.protocol = "openai";
    assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
    assert_int_equal(response.input_tokens, 9);
    assert_non_null(strstr(one.request, rows[i].path));
    assert_non_null(strstr(one.request, rows[i].sent_model));
    assert_non_null(strstr(one.request, "Authorization: Bearer a-key\r\n"));
    assert_null(strstr(one.request, "x-goog-api-key"));
    assert_null(strstr(one.request, "x-api-key"));
    assert_null(strstr(one.request, "anthropic-version"));
  }
  teardown(weir, &response);
}

static void a_base_url_that_leads_nowhere_is_named(void **state)
{
  static const char *const choices[] = {"v/m"};
  struct weir *weir = setup();
  struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  add_provider(weir, "v", "vertex", one.url);
  route_to(1, choices);
  request.protocol = "openai";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ECONFIG);
  assert_non_null(strstr(response.error, "/publishers/google"));
  request.protocol = "gemini";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EINVAL);
  teardown(weir, &response);
}

/* Against the simulated provider, which answers as each of them at its own path. */
static const char *upstream_start(const char *option, const char *value)
{
  static char url[64];
  const char *found;

  if (option)
    run_start(&upstream, "WEIR_UPSTREAM_BIN", "--latency-ms", "0", option, value, NULL);
  else
    run_start(&upstream, "WEIR_UPSTREAM_BIN", "--latency-ms", "0", NULL);
  found = run_wait_out(&upstream, "listening on http");
  run_wait_out(&upstream, "\n");
  assert_int_equal(sscanf(found, "listening on %63s", url), 1);
  return url;
}

static void upstream_stop(void)
{
  run_kill(&upstream, SIGTERM);
  assert_int_equal(run_end(&upstream), 0);
}

static const char *const everybody[] = {"gemini/gemini-x", "anthropic/claude-x", "openai/gpt-x"};

static struct weir *setup_everybody(const char *option, const char *value)
{
  struct weir *weir = setup();
  const char *url = upstream_start(option, value);

  add_provider(weir, "gemini", "gemini", url);
  add_provider(weir, "anthropic", "anthropic", url);
  add_provider(weir, "openai", "openai", url);
  route_to(3, everybody);
  return weir;
}

static void one_body_is_answered_by_every_provider(void **state)
{
  struct weir *weir = setup_everybody(NULL, NULL);
  struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  request.protocol = "openai";
  for (uint32_t i = 0; i < 3; i++) {
    route_to(1, &everybody[i]);
    assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
    assert_string_equal(response.model, everybody[i]);
    assert_non_null(strstr(response.body, "chat.completion"));
    assert_true(response.has_usage && response.input_tokens > 0 && response.output_tokens > 0);
    assert_true(settle_of(i).has_usage);
  }
  teardown(weir, &response);
  upstream_stop();
}

static void failures_in_openais_protocol_are_understood_and_mended_elsewhere(void **state)
{
  struct weir *weir = setup_everybody("--fault", "kind=overloaded_529,next=2");
  struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  request.protocol = "openai";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_string_equal(response.model, "openai/gpt-x");
  assert_int_equal(settle_of(0).outcome, WEIR_OUTCOME_OVERLOADED); /* in an array */
  assert_int_equal(settle_of(0).http, 503);
  assert_int_equal(settle_of(1).outcome, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(settle_of(1).http, 529);
  teardown(weir, &response);
  upstream_stop();
}

static void rejections_in_openais_protocol_name_their_limit(void **state)
{
  static const enum weir_outcome minute = WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS;
  struct weir *weir = setup_everybody("--limit", "rpm=1");
  struct weir_request request = request_of("fast", CHAT);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  request.protocol = "openai";
  for (uint32_t i = 0; i < 3; i++) {
    route_to(1, &everybody[i]);
    TELL(retry_denial, WEIR_DENIAL_RETRIES);
    assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
    assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
    assert_int_equal(response.outcome, minute);
    assert_int_equal(settle_of(2 * i + 1).outcome, minute);
    assert_int_equal(settle_of(2 * i + 1).stated_limit, 1);
  }
  teardown(weir, &response);
  upstream_stop();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_choice_that_fails_is_left_for_another_at_once),
      cmocka_unit_test(what_no_time_mends_here_is_mended_elsewhere),
      cmocka_unit_test(a_provider_that_rejects_all_keys_is_left_for_another),
      cmocka_unit_test(other_keys_count_as_retries),
      cmocka_unit_test(a_bad_request_is_bad_everywhere),
      cmocka_unit_test(a_route_whose_choices_all_failed_goes_round_again),
      cmocka_unit_test(a_route_whose_choices_all_failed_for_good_ends),
      cmocka_unit_test(who_cannot_be_reached_is_left_for_another),
      cmocka_unit_test(a_denied_new_attempt_does_not_hide_the_failure),
      cmocka_unit_test(a_denied_first_attempt_is_a_denial),
      cmocka_unit_test(attempts_of_the_caller_are_told_and_count),
      cmocka_unit_test(what_belongs_together_stays_with_the_model_that_served_it),
      cmocka_unit_test(the_text_used_longest_ago_is_forgotten),
      cmocka_unit_test(a_transfer_that_takes_longer_than_the_route_allows_is_made_elsewhere),
      cmocka_unit_test(the_callers_timeout_counts_where_it_is_the_shorter_one),
      cmocka_unit_test(the_deadline_of_the_call_ends_it_whatever_the_route_allows),
      cmocka_unit_test(a_probe_is_settled_at_the_first_bytes),
      cmocka_unit_test(a_probe_that_fails_is_settled_once),
      cmocka_unit_test(the_coordinator_learns_the_estimate_itself),
      cmocka_unit_test(a_model_without_experience_begins_with_what_others_learned),
      cmocka_unit_test(a_choice_of_an_unknown_provider_is_passed_over),
      cmocka_unit_test(a_choice_that_does_not_read_the_body_is_passed_over),
      cmocka_unit_test(a_failure_is_not_hidden_by_a_choice_that_cannot_be_used),
      cmocka_unit_test(openais_protocol_has_a_key_and_a_model_of_its_own_at_each_provider),
      cmocka_unit_test(a_base_url_that_leads_nowhere_is_named),
      cmocka_unit_test(one_body_is_answered_by_every_provider),
      cmocka_unit_test(failures_in_openais_protocol_are_understood_and_mended_elsewhere),
      cmocka_unit_test(rejections_in_openais_protocol_name_their_limit),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
