/* weir_call over real sockets: one lease, at most one arrival, and the truth in the settlement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_coordinator.h"
#include "fake_provider.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <weir.h>

#include "upstream.h"

#define KEY  "a-key-that-nobody-may-see"
#define TEXT "Why is a weir not a dam?"

#define GEMINI_BODY "{\"contents\":[{\"parts\":[{\"text\":\"" TEXT "\"}]}]}"
#define GEMINI_ANSWER                                                                              \
  "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Water passes.\"}]}}],"                    \
  "\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":4,\"totalTokenCount\":13}}"
#define GEMINI_QUOTA                                                                               \
  "{\"error\":{\"code\":429,\"message\":\"You exceeded your current quota.\","                     \
  "\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":"                                     \
  "\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{\"quotaMetric\":"              \
  "\"generativelanguage.googleapis.com/generate_content_paid_tier_requests\",\"quotaId\":"         \
  "\"GenerateRequestsPerMinutePerProjectPerModel\",\"quotaValue\":\"1000\"}]},{\"@type\":"         \
  "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"0.2s\"}]}}"

static struct fake_coordinator f; /* too large for a stack */
static struct provider p;
static char log_text[4096];

static void keep_log(void *context, enum weir_level level, const char *text)
{
  (void)context;
  (void)level;
  if (strlen(log_text) + strlen(text) + 2 < sizeof(log_text)) {
    strcat(log_text, text);
    strcat(log_text, "\n");
  }
}

static void grant_model(const char *model)
{
  pthread_mutex_lock(&f.lock);
  strcpy(f.model, model);
  pthread_mutex_unlock(&f.lock);
}

static void add_provider(struct weir *weir, const char *name, const char *url)
{
  struct weir_provider provider = WEIR_INIT(struct weir_provider);

  provider.name = name;
  provider.base_url = url;
  provider.key = KEY;
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
}

/* A handle between the coordinator and the provider of this file. */
static struct weir *setup_with(uint32_t is_without_retries, enum provider_habit habit, int status,
                               const char *body)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir *weir = NULL;

  fake_init(&f, FAKE_GRANT);
  provider_init(&p, habit, status, body);
  log_text[0] = '\0';
  options.coordinator = f.endpoint;
  options.name = "test";
  options.max_wait_ms = 30000;
  options.is_without_retries = is_without_retries;
  options.log = keep_log;
  assert_int_equal(weir_open(&options, &weir), WEIR_OK);
  add_provider(weir, "gemini", p.url);
  add_provider(weir, "openai", p.url);
  add_provider(weir, "anthropic", p.url);
  return weir;
}

static struct weir *setup(enum provider_habit habit, int status, const char *body)
{
  return setup_with(0, habit, status, body);
}

static void teardown(struct weir *weir, struct weir_response *response)
{
  assert_null(strstr(response->error, KEY));
  weir_response_free(response);
  weir_close(weir);
  assert_null(strstr(log_text, KEY));
  assert_null(strstr(log_text, TEXT));
  provider_fini(&p);
  fake_fini(&f);
}

static struct weir_request request_of(const char *model, const char *body)
{
  struct weir_request request = WEIR_INIT(struct weir_request);

  request.model = model;
  request.body = body;
  request.body_size = strlen(body);
  return request;
}

/* How many settlements say that something was sent. */
static uint32_t sent_count(uint32_t settlements)
{
  uint32_t count = 0;

  fake_wait(&f, WEIR_MSG_SETTLE, settlements);
  for (uint32_t i = 0; i < settlements; i++)
    count += fake_get(&f, WEIR_MSG_SETTLE, i).settle.is_sent;
  return count;
}

/* ---- good calls ---- */

static void a_call_sends_body_and_key_and_settles_what_it_cost(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, GEMINI_ANSWER);
  const struct weir_request request = request_of("gemini/gemini-2.5-flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_msg msg;

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.http, 200);
  assert_int_equal(response.outcome, WEIR_OUTCOME_OK);
  assert_int_equal(response.attempts, 1);
  assert_int_equal(response.input_tokens, 9);
  assert_int_equal(response.output_tokens, 4);
  assert_string_equal(response.body, GEMINI_ANSWER);
  assert_int_equal(response.body_size, strlen(GEMINI_ANSWER));
  assert_string_equal(response.content_type, "application/json");
  assert_string_equal(response.model, "gemini/gemini-2.5-flash");
  assert_string_equal(response.error, "");
  assert_non_null(
      strstr(p.request, "POST /v1beta/models/gemini-2.5-flash:generateContent HTTP/1.1"));
  assert_non_null(strstr(p.request, "x-goog-api-key: " KEY "\r\n"));
  assert_non_null(strstr(p.request, "\r\n\r\n" GEMINI_BODY));
  assert_null(strstr(p.request, "Expect:"));

  msg = fake_get(&f, WEIR_MSG_ASK, 0);
  assert_true(msg.ask.input_tokens > 0);
  assert_int_equal(msg.ask.output_tokens, 1024); /* the body states no maximum */
  msg = fake_get(&f, WEIR_MSG_SETTLE, 0);
  assert_true(msg.settle.is_sent && msg.settle.is_final && msg.settle.has_usage);
  assert_int_equal(msg.settle.input_tokens, 9);
  assert_int_equal(msg.settle.output_tokens, 4);
  assert_int_equal(msg.settle.http, 200);
  assert_int_equal(msg.settle.outcome, WEIR_OUTCOME_OK);
  teardown(weir, &response);
}

static void the_callers_own_numbers_and_path_are_used(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{}");
  struct weir_request request = request_of("gemini/embed", "{}");
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_msg msg;

  (void)state;
  request.path = "/v1beta/models/{model}:embedContent";
  request.input_tokens = 321;
  request.output_tokens = 1;
  request.work_class = WEIR_CLASS_BATCH;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_non_null(strstr(p.request, "POST /v1beta/models/embed:embedContent HTTP/1.1"));
  msg = fake_get(&f, WEIR_MSG_ASK, 0);
  assert_int_equal(msg.ask.input_tokens, 321);
  assert_int_equal(msg.ask.output_tokens, 1);
  assert_int_equal(msg.ask.class, WEIR_CLASS_BATCH);
  assert_false(fake_get(&f, WEIR_MSG_SETTLE, 0).settle.has_usage); /* the answer names none */
  teardown(weir, &response);
}

static void estimates_follow_what_the_provider_counted(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200,
                            "{\"usageMetadata\":{\"promptTokenCount\":5000,"
                            "\"candidatesTokenCount\":4}}");
  const struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);
  uint64_t first;

  (void)state;
  for (int i = 0; i < 20; i++)
    assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  first = fake_get(&f, WEIR_MSG_ASK, 0).ask.input_tokens;
  assert_true(fake_get(&f, WEIR_MSG_ASK, 19).ask.input_tokens > 10 * first);
  teardown(weir, &response);
}

static void a_routes_model_is_put_into_the_body(void **state)
{
  static const char *const bodies[] = {
      "{\"model\":\"fast\",\"messages\":[]}",    "{\"messages\":[]}",    " {\n\"x\":1}", "{ }",
      "{\"messages\":[],\"model\" : \"other\"}", "{\"model\":\"gpt-1\"}"};
  static const char *const sent[] = {
      "{\"model\":\"gpt-1\",\"messages\":[]}",   "{\"model\":\"gpt-1\",\"messages\":[]}",
      " {\"model\":\"gpt-1\",\n\"x\":1}",        "{\"model\":\"gpt-1\" }",
      "{\"messages\":[],\"model\" : \"gpt-1\"}", "{\"model\":\"gpt-1\"}"};
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{}");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  grant_model("openai/gpt-1");
  for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
    const struct weir_request request = request_of("fast", bodies[i]);

    assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
    assert_string_equal(strstr(p.request, "\r\n\r\n") + 4, sent[i]);
    assert_non_null(strstr(p.request, "Authorization: Bearer " KEY "\r\n"));
    assert_string_equal(response.model, "openai/gpt-1");
  }
  teardown(weir, &response);
}

/* ---- failures upstream ---- */

static void a_rejection_is_tried_again_on_a_new_lease(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, GEMINI_ANSWER);
  const struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_msg msg;

  (void)state;
  provider_once(&p, 429, "", GEMINI_QUOTA);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.attempts, 2);
  assert_int_equal(provider_arrivals(&p), 2);
  assert_int_equal(fake_count(&f, WEIR_MSG_ASK), 2);
  msg = fake_get(&f, WEIR_MSG_SETTLE, 0);
  assert_int_equal(msg.settle.outcome, WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS);
  assert_int_equal(msg.settle.http, 429);
  assert_int_equal(msg.settle.retry_after_us, 200000);
  assert_true(msg.settle.has_usage); /* a rejected request costs no tokens */
  assert_int_equal(msg.settle.input_tokens, 0);
  assert_int_equal(fake_get(&f, WEIR_MSG_ASK, 0).ask.attempts, 0);
  assert_int_equal(fake_get(&f, WEIR_MSG_ASK, 1).ask.attempts, 1);
  teardown(weir, &response);
}

/* The coordinator has frozen the pool and knows when it goes on; here it grants at once. */
static void a_rejection_of_the_minute_waits_nowhere_but_at_the_coordinator(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, GEMINI_ANSWER);
  struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  provider_once(&p, 429, "Retry-After: 40\r\n", GEMINI_QUOTA);
  request.max_wait_ms = 30000; /* less than the stated wait */
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.attempts, 2);
  assert_int_equal(fake_get(&f, WEIR_MSG_SETTLE, 0).settle.retry_after_us, 40000000);
  teardown(weir, &response);
}

static void what_cannot_pass_is_not_tried_again(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 400,
                            "{\"error\":{\"code\":400,\"message\":\"Invalid value\","
                            "\"status\":\"INVALID_ARGUMENT\"}}");
  const struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(provider_arrivals(&p), 1);
  assert_int_equal(response.outcome, WEIR_OUTCOME_BAD_REQUEST);
  assert_int_equal(response.http, 400);
  assert_non_null(strstr(response.body, "Invalid value"));
  assert_string_equal(response.error, "gemini/flash answered 400: bad_request");
  teardown(weir, &response);
}

static void tries_end_with_the_deadline(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 503, "{}");
  struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);
  uint64_t before = weir_now_us();

  (void)state;
  provider_once(&p, 503, "Retry-After: 20\r\n", "{}");
  request.max_wait_ms = 10000;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(provider_arrivals(&p), 1); /* the stated wait ends after the deadline */
  assert_true(weir_now_us() - before < 10000000);
  assert_int_equal(response.retry_after_us, 20000000);
  teardown(weir, &response);
}

static void who_cannot_be_reached_costs_nothing(void **state)
{
  struct weir *weir = setup_with(1, PROVIDER_ANSWERS, 200, "{}");
  const struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  add_provider(weir, "gemini", "http://127.0.0.1:1");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ENETWORK);
  assert_int_equal(response.attempts, 0);
  assert_int_equal(response.outcome, 0);
  assert_int_equal(sent_count(fake_count(&f, WEIR_MSG_ASK)), 0);
  teardown(weir, &response);
}

static void a_broken_connection_never_sends_twice_on_one_lease(void **state)
{
  struct weir *weir = setup(PROVIDER_CLOSES_REUSED, 200, GEMINI_ANSWER);
  const struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);
  uint32_t attempts = 0, asks;

  (void)state;
  for (int i = 0; i < 6; i++) {
    assert_int_equal(weir_call(weir, &request, &response), WEIR_OK); /* by a retry, if need be */
    attempts += response.attempts;
  }
  assert_true(attempts > 6); /* connections were used again, and broke */
  assert_int_equal(provider_arrivals(&p), attempts);
  asks = fake_count(&f, WEIR_MSG_ASK);
  assert_int_equal(sent_count(asks), attempts);
  for (uint32_t i = 0; i < asks; i++) {
    const struct weir_msg_settle settle = fake_get(&f, WEIR_MSG_SETTLE, i).settle;

    /* What broke may have been billed: it stays charged as asked. */
    if (settle.outcome == WEIR_OUTCOME_NETWORK)
      assert_true(settle.is_sent && !settle.has_usage);
  }
  teardown(weir, &response);
}

static void half_an_answer_is_no_answer(void **state)
{
  struct weir *weir = setup_with(1, PROVIDER_CUTS, 200, GEMINI_ANSWER);
  const struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_msg_settle settle;

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ENETWORK);
  assert_int_equal(response.outcome, WEIR_OUTCOME_NETWORK);
  settle = fake_get(&f, WEIR_MSG_SETTLE, 0).settle;
  assert_true(settle.is_sent);
  assert_int_equal(settle.outcome, WEIR_OUTCOME_NETWORK);
  teardown(weir, &response);
}

static void nothing_takes_longer_than_the_deadline(void **state)
{
  struct weir *weir = setup(PROVIDER_HANGS, 200, "");
  struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_msg_settle settle;

  (void)state;
  request.max_wait_ms = 500;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ETIMEOUT);
  settle = fake_get(&f, WEIR_MSG_SETTLE, 0).settle;
  assert_true(settle.is_sent && !settle.has_usage);
  teardown(weir, &response);
}

/* Who starts at the last moment is not answered: the lease is asked for in time. */
static void waits_for_a_lease_as_long_as_there_is_time_for_an_answer(void **state)
{
  struct weir *weir = setup(PROVIDER_PONDERS, 200, GEMINI_ANSWER);
  struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  request.max_wait_ms = 20000;
  for (int i = 0; i < 2; i++)
    assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  fake_wait(&f, WEIR_MSG_ASK, 2);
  assert_true(fake_get(&f, WEIR_MSG_ASK, 1).ask.deadline_us <=
              (20000 - 2 * PROVIDER_PONDER_MS) * WEIR_US_PER_MS);
  teardown(weir, &response);
}

static void an_answer_that_never_ends_is_cut_at_the_deadline(void **state)
{
  struct weir *weir = setup(PROVIDER_TRICKLES, 200, "");
  struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  request.max_wait_ms = 600;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ETIMEOUT);
  assert_int_equal(response.http, 200);
  assert_int_equal(fake_get(&f, WEIR_MSG_SETTLE, 0).settle.outcome, WEIR_OUTCOME_DEADLINE);
  teardown(weir, &response);
}

/* The system answers for a program that does not accept, so only the handshake tells. */
static void who_never_speaks_tls_costs_no_more_than_the_deadline(void **state)
{
  struct weir *weir = setup(PROVIDER_HANGS, 200, "");
  struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);
  char url[sizeof(p.url) + 1];

  (void)state;
  snprintf(url, sizeof(url), "https%.58s", p.url + strlen("http"));
  add_provider(weir, "gemini", url);
  request.max_wait_ms = 600;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ETIMEOUT);
  assert_int_equal(sent_count(1), 0);
  teardown(weir, &response);
}

/* ---- streams ---- */

#define STREAM                                                                                     \
  "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":12,\"output_tokens\":1}}}" \
  "|{\"type\":\"content_block_delta\",\"delta\":{\"text\":\"Water\"}}"                             \
  "|{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}"                                  \
  "|{\"type\":\"message_stop\"}"

struct pieces {
  size_t size;
  int left;             /* pieces to take; then it refuses */
  uint32_t settlements; /* to wait for, so that the end of the call does not take their place */
  char text[4096];
};

static int take_piece(void *context, const void *bytes, size_t size)
{
  struct pieces *pieces = context;

  assert_true(pieces->size + size < sizeof(pieces->text));
  memcpy(pieces->text + pieces->size, bytes, size);
  pieces->size += size;
  if (pieces->settlements)
    fake_wait(&f, WEIR_MSG_SETTLE, pieces->settlements);
  return --pieces->left <= 0;
}

static void a_stream_is_passed_on_and_its_input_settled_early(void **state)
{
  struct weir *weir = setup(PROVIDER_STREAMS, 200, STREAM);
  struct weir_request request =
      request_of("anthropic/claude", "{\"model\":\"claude\",\"stream\":true,\"max_tokens\":500}");
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct pieces pieces = {.left = 100, .settlements = 1};
  struct weir_msg_settle settle;

  (void)state;
  request.on_data = take_piece;
  request.on_data_context = &pieces;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_non_null(strstr(pieces.text, "\"text\":\"Water\""));
  assert_non_null(strstr(pieces.text, "message_stop"));
  assert_int_equal(response.body_size, 0);
  assert_int_equal(response.input_tokens, 12);
  assert_int_equal(response.output_tokens, 7);
  assert_int_equal(fake_get(&f, WEIR_MSG_ASK, 0).ask.output_tokens, 500);
  settle = fake_get(&f, WEIR_MSG_SETTLE, 0).settle;
  assert_true(settle.is_sent && !settle.is_final && settle.has_usage);
  assert_int_equal(settle.input_tokens, 12);
  assert_int_equal(settle.output_tokens, 500); /* may still become that many */
  settle = fake_get(&f, WEIR_MSG_SETTLE, 1).settle;
  assert_true(settle.is_final && settle.has_usage);
  assert_int_equal(settle.output_tokens, 7);
  teardown(weir, &response);
}

static void who_wants_no_more_of_a_stream_ends_the_call(void **state)
{
  struct weir *weir = setup(PROVIDER_STREAMS, 200, STREAM);
  struct weir_request request =
      request_of("anthropic/claude", "{\"model\":\"claude\",\"stream\":true,\"max_tokens\":500}");
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct pieces pieces = {.left = 1};

  (void)state;
  request.on_data = take_piece;
  request.on_data_context = &pieces;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ECANCELLED);
  assert_int_equal(provider_arrivals(&p), 1);
  assert_int_equal(response.outcome, WEIR_OUTCOME_CANCELLED);
  teardown(weir, &response);
}

static void an_error_inside_a_stream_fails_the_call(void **state)
{
  struct weir *weir = setup(PROVIDER_STREAMS, 200,
                            "{\"type\":\"message_start\",\"message\":{\"usage\":"
                            "{\"input_tokens\":12,\"output_tokens\":1}}}"
                            "|{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                            "\"message\":\"Overloaded\"}}");
  struct weir_request request = request_of("anthropic/claude", "{\"model\":\"claude\"}");
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct pieces pieces = {.left = 100};

  (void)state;
  request.on_data = take_piece;
  request.on_data_context = &pieces;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(response.outcome, WEIR_OUTCOME_OVERLOADED);
  assert_int_equal(provider_arrivals(&p), 1); /* what was passed on cannot be taken back */
  teardown(weir, &response);
}

/* ---- what the coordinator is told beside usage ---- */

static void want_reports(void)
{
  pthread_mutex_lock(&f.lock);
  f.wants_reports = true;
  pthread_mutex_unlock(&f.lock);
}

struct background {
  struct weir *weir;
  const struct weir_request *request;
  struct weir_response *response;
  int err;
};

static void *call_in_background(void *argument)
{
  struct background *b = argument;

  b->err = weir_call(b->weir, b->request, b->response);
  return NULL;
}

/* The provider has read the request and says nothing: what is heard is the writing itself. */
static void the_writing_of_a_reported_grant_is_settled_before_any_answer(void **state)
{
  struct weir *weir = setup_with(1, PROVIDER_HANGS, 200, "{}");
  struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct background background = {weir, &request, &response, 0};
  struct weir_msg_settle settle;
  pthread_t thread;

  (void)state;
  want_reports();
  assert_int_equal(pthread_create(&thread, NULL, call_in_background, &background), 0);
  settle = fake_wait(&f, WEIR_MSG_SETTLE, 1).settle;
  assert_true(settle.is_sent && !settle.is_final && !settle.has_usage);
  assert_int_equal(settle.outcome, 0);
  provider_wait(&p, 1);
  shutdown(p.fds[0], SHUT_RDWR);
  pthread_join(thread, NULL);
  assert_int_equal(background.err, WEIR_ENETWORK);
  settle = fake_wait(&f, WEIR_MSG_SETTLE, 2).settle;
  assert_true(settle.is_sent && settle.is_final);
  teardown(weir, &response);
}

/* A body that takes many writes: it is written when its last byte is. */
static void a_long_request_is_reported_once_and_when_it_is_whole(void **state)
{
  struct weir *weir = setup_with(1, PROVIDER_HANGS, 200, "{}");
  static char body[PROVIDER_REQUEST_MAX - 4096];
  struct weir_request request;
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct background background = {weir, &request, &response, 0};
  pthread_t thread;

  (void)state;
  want_reports();
  memset(body, ' ', sizeof(body) - 1);
  memcpy(body, "{}", 2);
  request = request_of("gemini/flash", body);
  assert_int_equal(pthread_create(&thread, NULL, call_in_background, &background), 0);
  fake_wait(&f, WEIR_MSG_SETTLE, 1);
  provider_wait(&p, 1); /* it comes to its end without another word of ours */
  shutdown(p.fds[0], SHUT_RDWR);
  pthread_join(thread, NULL);
  assert_true(fake_wait(&f, WEIR_MSG_SETTLE, 2).settle.is_final);
  assert_int_equal(fake_count(&f, WEIR_MSG_SETTLE), 2);
  teardown(weir, &response);
}

static void a_grant_that_is_not_reported_is_settled_at_the_end_only(void **state)
{
  struct weir *weir = setup_with(1, PROVIDER_HANGS, 200, "{}");
  struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct background background = {weir, &request, &response, 0};
  pthread_t thread;

  (void)state;
  assert_int_equal(pthread_create(&thread, NULL, call_in_background, &background), 0);
  provider_wait(&p, 1);
  shutdown(p.fds[0], SHUT_RDWR);
  pthread_join(thread, NULL);
  assert_true(fake_wait(&f, WEIR_MSG_SETTLE, 1).settle.is_final);
  assert_int_equal(fake_count(&f, WEIR_MSG_SETTLE), 1);
  teardown(weir, &response);
}

static void the_tenant_of_a_request_is_asked_for(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, GEMINI_ANSWER);
  struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_string_equal(fake_get(&f, WEIR_MSG_ASK, 0).ask.tenant, "");
  request.tenant = "search";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_string_equal(fake_get(&f, WEIR_MSG_ASK, 1).ask.tenant, "search");
  request.tenant = "a-tenant-of-32-printable-letters";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EINVAL);
  request.tenant = "two\nlines";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EINVAL);
  teardown(weir, &response);
}

static void a_rejection_passes_on_the_limit_that_it_names(void **state)
{
  struct weir *weir = setup_with(1, PROVIDER_ANSWERS, 429, GEMINI_QUOTA);
  const struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_msg_settle settle;

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  settle = fake_get(&f, WEIR_MSG_SETTLE, 0).settle;
  assert_int_equal(settle.outcome, WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS);
  assert_int_equal(settle.stated_limit, 1000);
  assert_int_equal(settle.stated_used, 0);
  assert_int_equal(settle.requests_limit, 0);
  teardown(weir, &response);
}

static void a_good_answer_passes_on_what_its_headers_say_of_the_minute(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{}");
  const struct weir_request request = request_of("openai/gpt", "{}");
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_msg_settle settle;

  (void)state;
  provider_once(&p, 200,
                "x-ratelimit-limit-requests: 500\r\nx-ratelimit-remaining-requests: 499\r\n"
                "x-ratelimit-reset-requests: 120ms\r\nx-ratelimit-limit-tokens: 10000\r\n"
                "x-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 1m0s\r\n",
                "{}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  settle = fake_get(&f, WEIR_MSG_SETTLE, 0).settle;
  assert_int_equal(settle.outcome, WEIR_OUTCOME_OK);
  assert_int_equal(settle.requests_limit, 500);
  assert_int_equal(settle.requests_left, 499);
  assert_int_equal(settle.tokens_limit, 10000);
  assert_int_equal(settle.tokens_left, 0);
  assert_int_equal(settle.stated_limit, 0);
  teardown(weir, &response);
}

/* ---- configuration and closing ---- */

static void a_missing_key_is_named_before_anything_is_asked(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{}");
  const struct weir_request request = request_of("openai/gpt", "{}");
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_provider provider = WEIR_INIT(struct weir_provider);

  (void)state;
  provider.name = "openai";
  provider.key_env = "WEIR_TEST_NO_SUCH_KEY";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ECONFIG);
  assert_string_equal(response.error, "no key for openai: set WEIR_TEST_NO_SUCH_KEY");
  assert_int_equal(fake_count(&f, WEIR_MSG_ASK), 0);
  teardown(weir, &response);
}

/* A server of one's own may want no key; when it does want one, the answer alone is no help. */
static void a_server_that_wants_a_key_that_is_missing_tells_where_it_was_looked_for(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 401, "{}");
  const struct weir_request request = request_of("openai/gpt", "{}");
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_provider provider = WEIR_INIT(struct weir_provider);

  (void)state;
  grant_model("openai/gpt");
  provider.name = "openai";
  provider.base_url = p.url;
  provider.key_env = "WEIR_TEST_NO_SUCH_KEY";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(response.outcome, WEIR_OUTCOME_AUTH);
  assert_string_equal(response.error, "openai/gpt answered 401, and no key was sent: set "
                                      "WEIR_TEST_NO_SUCH_KEY");
  teardown(weir, &response);
}

static void a_model_of_an_unknown_provider_gives_its_lease_back(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{}");
  const struct weir_request request = request_of("fast", "{}");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  grant_model("elsewhere/x");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ECONFIG);
  assert_non_null(strstr(response.error, "elsewhere/x"));
  assert_int_equal(sent_count(1), 0);
  grant_model("openai/x");
  assert_int_equal(provider_arrivals(&p), 0);
  teardown(weir, &response);
}

static void a_body_that_cannot_take_a_model_is_not_sent(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{}");
  const struct weir_request request = request_of("openai/gpt", "not JSON");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ESYNTAX);
  assert_int_equal(sent_count(1), 0);
  assert_int_equal(provider_arrivals(&p), 0);
  teardown(weir, &response);
}

static void a_denial_is_told_in_words(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{}");
  const struct weir_request request = request_of("gemini/flash", GEMINI_BODY);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  fake_set(&f, FAKE_DENY);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EDENIED);
  assert_int_equal(response.denied.amount, 1000000);
  assert_string_equal(response.error,
                      "asks 1,310,720 input tokens, the limit is 1,000,000 per minute: split it");
  teardown(weir, &response);
}

struct calling {
  struct weir *weir;
  struct weir_response response;
  int err;
};

static void *call_blocked(void *argument)
{
  struct calling *calling = argument;
  const struct weir_request request = request_of("gemini/flash", GEMINI_BODY);

  calling->err = weir_call(calling->weir, &request, &calling->response);
  return NULL;
}

static void closing_ends_a_transfer_and_leaves_it_charged(void **state)
{
  struct calling calling = {.response = WEIR_INIT(struct weir_response)};
  struct weir_msg_settle settle;
  pthread_t thread;

  (void)state;
  calling.weir = setup(PROVIDER_HANGS, 200, "");
  assert_int_equal(pthread_create(&thread, NULL, call_blocked, &calling), 0);
  provider_wait(&p, 1);
  weir_close(calling.weir);
  pthread_join(thread, NULL);
  assert_int_equal(calling.err, WEIR_ECLOSED);
  settle = fake_get(&f, WEIR_MSG_SETTLE, 0).settle;
  assert_true(settle.is_sent && !settle.has_usage);
  teardown(NULL, &calling.response);
}

static void draining_ends_the_wait_between_tries(void **state)
{
  struct calling calling = {.response = WEIR_INIT(struct weir_response)};
  pthread_t thread;

  (void)state;
  calling.weir = setup(PROVIDER_ANSWERS, 503, "{}");
  provider_once(&p, 503, "Retry-After: 25\r\n", "{}");
  assert_int_equal(pthread_create(&thread, NULL, call_blocked, &calling), 0);
  fake_wait(&f, WEIR_MSG_SETTLE, 1);
  weir_drain(calling.weir);
  pthread_join(thread, NULL);
  assert_int_equal(calling.err, WEIR_EUPSTREAM);
  assert_int_equal(provider_arrivals(&p), 1);
  teardown(calling.weir, &calling.response);
}

static void a_lease_that_ended_meanwhile_is_not_used(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{}");
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_provider_entry entry = {.kind = WEIR_PROVIDER_GEMINI};
  struct weir_transfer *transfer = calloc(1, sizeof(*transfer));

  (void)state;
  assert_non_null(transfer);
  transfer->w = weir;
  transfer->provider = &entry;
  transfer->url = p.url;
  transfer->request = "{}";
  transfer->request_size = 2;
  transfer->deadline = weir_now_us() + 30000000;
  transfer->expires_at = weir_now_us(); /* just now */
  weir_transfer_run(transfer);
  assert_int_equal(transfer->end, WEIR_TRANSFER_EXPIRED);
  assert_false(transfer->is_sent);
  assert_int_equal(provider_arrivals(&p), 0);
  weir_transfer_free(transfer);
  teardown(weir, &response);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_call_sends_body_and_key_and_settles_what_it_cost),
      cmocka_unit_test(the_callers_own_numbers_and_path_are_used),
      cmocka_unit_test(estimates_follow_what_the_provider_counted),
      cmocka_unit_test(a_routes_model_is_put_into_the_body),
      cmocka_unit_test(a_rejection_is_tried_again_on_a_new_lease),
      cmocka_unit_test(a_rejection_of_the_minute_waits_nowhere_but_at_the_coordinator),
      cmocka_unit_test(what_cannot_pass_is_not_tried_again),
      cmocka_unit_test(tries_end_with_the_deadline),
      cmocka_unit_test(who_cannot_be_reached_costs_nothing),
      cmocka_unit_test(a_broken_connection_never_sends_twice_on_one_lease),
      cmocka_unit_test(half_an_answer_is_no_answer),
      cmocka_unit_test(nothing_takes_longer_than_the_deadline),
      cmocka_unit_test(waits_for_a_lease_as_long_as_there_is_time_for_an_answer),
      cmocka_unit_test(an_answer_that_never_ends_is_cut_at_the_deadline),
      cmocka_unit_test(who_never_speaks_tls_costs_no_more_than_the_deadline),
      cmocka_unit_test(a_stream_is_passed_on_and_its_input_settled_early),
      cmocka_unit_test(who_wants_no_more_of_a_stream_ends_the_call),
      cmocka_unit_test(an_error_inside_a_stream_fails_the_call),
      cmocka_unit_test(the_writing_of_a_reported_grant_is_settled_before_any_answer),
      cmocka_unit_test(a_long_request_is_reported_once_and_when_it_is_whole),
      cmocka_unit_test(a_grant_that_is_not_reported_is_settled_at_the_end_only),
      cmocka_unit_test(the_tenant_of_a_request_is_asked_for),
      cmocka_unit_test(a_rejection_passes_on_the_limit_that_it_names),
      cmocka_unit_test(a_good_answer_passes_on_what_its_headers_say_of_the_minute),
      cmocka_unit_test(a_missing_key_is_named_before_anything_is_asked),
      cmocka_unit_test(a_server_that_wants_a_key_that_is_missing_tells_where_it_was_looked_for),
      cmocka_unit_test(a_model_of_an_unknown_provider_gives_its_lease_back),
      cmocka_unit_test(a_body_that_cannot_take_a_model_is_not_sent),
      cmocka_unit_test(a_denial_is_told_in_words),
      cmocka_unit_test(closing_ends_a_transfer_and_leaves_it_charged),
      cmocka_unit_test(draining_ends_the_wait_between_tries),
      cmocka_unit_test(a_lease_that_ended_meanwhile_is_not_used),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
