/* weir_call where things go wrong on purpose: cut streams, a resolver that hangs, a forked child,
 * and a key that must not be seen anywhere but in the request that it belongs to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_coordinator.h"
#include "fake_provider.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <weir.h>

#include "handle.h"

#define KEY  "canary-3f9d-key"
#define BODY "{\"model\":\"m\",\"max_tokens\":500}"

static struct fake_coordinator f; /* too large for a stack */
static struct provider p;
static char log_text[8192];

static void keep_log(void *context, enum weir_level level, const char *text)
{
  const size_t size = strlen(log_text);

  (void)context;
  (void)level;
  snprintf(log_text + size, sizeof(log_text) - size, "%s\n", text);
}

static void add_provider(struct weir *weir, const char *name, const char *url)
{
  struct weir_provider provider = WEIR_INIT(struct weir_provider);

  provider.name = name;
  provider.kind = strcmp(name, "gemini") == 0 ? name : "anthropic";
  provider.base_url = url;
  provider.key = KEY;
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
}

static struct weir *setup(enum provider_habit habit, int status, const char *body)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir *weir = NULL;

  fake_init(&f, FAKE_GRANT);
  provider_init(&p, habit, status, body);
  log_text[0] = '\0';
  options.coordinator = f.endpoint;
  options.name = "test";
  options.max_wait_ms = 30000;
  options.is_without_retries = 1;
  options.log = keep_log;
  assert_int_equal(weir_open(&options, &weir), WEIR_OK);
  add_provider(weir, "anthropic", p.url);
  return weir;
}

static void teardown(struct weir *weir, struct weir_response *response)
{
  weir_response_free(response);
  weir_close(weir);
  provider_fini(&p);
  fake_fini(&f);
}

static struct weir_request request_of(const char *model)
{
  struct weir_request request = WEIR_INIT(struct weir_request);

  request.model = model;
  request.body = BODY;
  request.body_size = strlen(BODY);
  return request;
}

/* ---- what is charged ---- */

/* What is settled in between must be on its way before the end of the call takes its place. */
static int wait_for_interim(void *context, const void *bytes, size_t size)
{
  (void)context;
  (void)bytes;
  (void)size;
  fake_wait(&f, WEIR_MSG_SETTLE, 1);
  return 0;
}

/* A server that ends its answer by closing the connection cannot be told from one that broke down:
 * only the stream's own end shows that the counts are final. */
static void a_stream_without_its_end_is_charged_as_asked(void **state)
{
  struct weir *weir = setup(PROVIDER_STREAMS, 200,
                            "{\"type\":\"message_start\",\"message\":{\"usage\":"
                            "{\"input_tokens\":12,\"output_tokens\":1}}}");
  struct weir_request request = request_of("anthropic/m");
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_msg_settle settle;

  (void)state;
  request.on_data = wait_for_interim;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  settle = fake_wait(&f, WEIR_MSG_SETTLE, 2).settle;
  assert_true(settle.is_final && settle.is_sent && settle.has_usage);
  assert_int_equal(settle.input_tokens, 12);
  assert_int_equal(settle.output_tokens, 500);
  settle = fake_get(&f, WEIR_MSG_SETTLE, 0).settle;
  assert_false(settle.is_final);
  assert_int_equal(settle.outcome, 0); /* the call had not ended */
  teardown(weir, &response);
}

/* ---- bounds ---- */

static void a_number_out_of_range_empties_the_response_and_is_explained(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{}");
  struct weir_request request = request_of("anthropic/m");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.http, 200);
  request.max_wait_ms = WEIR_WAIT_MAX_MS + 1;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_ERANGE);
  assert_int_equal(response.http, 0);
  assert_null(response.body);
  assert_string_not_equal(response.error, "");
  teardown(weir, &response);
}

static void what_cannot_be_in_a_url_or_a_name_is_refused_at_once(void **state)
{
  static const char *const paths[] = {"/v1/my messages", "/v1/messages\n", "/v1/\x7f"};
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{}");
  struct weir_request request = request_of("anthropic/m");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
    request.path = paths[i];
    assert_int_equal(weir_call(weir, &request, &response), WEIR_EINVAL);
  }
  request.path = NULL;
  request.model = "anthropic/caf\xc3\xa9";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EINVAL);
  assert_string_equal(response.error, ""); /* nothing is written */
  assert_int_equal(fake_count(&f, WEIR_MSG_ASK), 0);
  teardown(weir, &response);
}

static void an_empty_answer_is_an_empty_text(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "");
  struct weir_request request = request_of("anthropic/m");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.body_size, 0);
  assert_non_null(response.body); /* programs print it, or look for its end */
  assert_string_equal(response.body, "");
  teardown(weir, &response);
}

static void a_call_without_a_body_sends_none(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{}");
  struct weir_request request = request_of("gemini/m");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  add_provider(weir, "gemini", p.url);
  request.body = NULL;
  request.body_size = 0;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_non_null(strstr(p.request, "Content-Length: 0\r\n"));
  teardown(weir, &response);
}

/* The resolver of this program, libcurl's too: "slow.invalid" hangs until the test is over. */
static pthread_mutex_t resolver_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resolver_changed = PTHREAD_COND_INITIALIZER;
static bool is_resolving, is_released;

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **ret_addresses)
{
  struct timespec until;
  int err = 0;

  (void)service;
  (void)hints;
  (void)ret_addresses;
  if (!node || strcmp(node, "slow.invalid") != 0)
    return EAI_NONAME;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += FAKE_TIMEOUT_MS / 1000;
  pthread_mutex_lock(&resolver_lock);
  is_resolving = true;
  while (!is_released && err == 0)
    err = pthread_cond_timedwait(&resolver_changed, &resolver_lock, &until);
  is_resolving = false;
  pthread_cond_broadcast(&resolver_changed);
  pthread_mutex_unlock(&resolver_lock);
  return EAI_AGAIN;
}

static void a_resolver_that_hangs_does_not_hold_up_a_call(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{}");
  struct weir_request request = request_of("openai/m");
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  add_provider(weir, "openai", "http://slow.invalid");
  request.max_wait_ms = 600;
  if (weir_call(weir, &request, &response) != WEIR_ETIMEOUT)
    fail_msg("%s", response.error);
  assert_int_equal(response.attempts, 0);
  pthread_mutex_lock(&resolver_lock);
  assert_true(is_resolving); /* still: nobody waited for it */
  is_released = true;
  pthread_cond_broadcast(&resolver_changed);
  while (is_resolving)
    pthread_cond_wait(&resolver_changed, &resolver_lock);
  pthread_mutex_unlock(&resolver_lock);
  teardown(weir, &response);
}

/* ---- fork ---- */

/* Servers open a handle and fork their workers: all of them would try again at the same instants.
 */
static void a_forked_child_draws_its_own_backoff(void **state)
{
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{}");
  struct weir_response response = WEIR_INIT(struct weir_response);
  const uint64_t before = weir->rng.state;
  int status;
  pid_t child;

  (void)state;
  child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    weir_cancel(weir, 1); /* enters */
    _exit(weir->rng.state != before ? 0 : 1);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  teardown(weir, &response);
}

/* ---- the key ---- */

static bool holds(const void *bytes, size_t size, const char *text)
{
  const size_t text_size = strlen(text);
  const char *at = bytes;

  for (size_t i = 0; i + text_size <= size; i++) {
    if (memcmp(at + i, text, text_size) == 0)
      return true;
  }
  return false;
}

static void call_and_look(struct weir *weir, const struct weir_request *request, int err)
{
  struct weir_response response = WEIR_INIT(struct weir_response);

  assert_int_equal(weir_call(weir, request, &response), err);
  assert_false(holds(&response, sizeof(response), KEY));
  assert_false(holds(log_text, sizeof(log_text), KEY));
  assert_true((err == WEIR_OK) == (response.error[0] == '\0'));
  weir_response_free(&response);
}

static void the_key_is_seen_by_its_provider_only(void **state)
{
  static const int statuses[] = {400, 401, 402, 403, 404, 413, 418, 429, 500, 503, 529};
  static struct provider elsewhere;
  struct weir *weir = setup(PROVIDER_ANSWERS, 200, "{\"usage\":{\"input_tokens\":1}}");
  struct weir_request request = request_of("anthropic/m"), other = request;
  struct weir_response response = WEIR_INIT(struct weir_response);
  struct weir_provider provider = WEIR_INIT(struct weir_provider);
  char location[256];

  (void)state;
  call_and_look(weir, &request, WEIR_OK);
  assert_non_null(strstr(p.request, KEY)); /* so the canary sings */
  for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
    provider_once(&p, statuses[i], "", "{\"error\":{\"message\":\"no\"}}");
    call_and_look(weir, &request, WEIR_EUPSTREAM);
  }
  /* sent on to another host */
  provider_init(&elsewhere, PROVIDER_ANSWERS, 200, "{}");
  for (int status = 301; status <= 308; status++) {
    snprintf(location, sizeof(location), "Location: %s/\r\n", elsewhere.url);
    provider_once(&p, status, location, "");
    call_and_look(weir, &request, WEIR_EUPSTREAM);
  }
  assert_int_equal(provider_arrivals(&elsewhere), 0);
  provider_fini(&elsewhere);
  /* cut, refused, unknown, malformed */
  pthread_mutex_lock(&p.lock);
  p.habit = PROVIDER_CUTS;
  pthread_mutex_unlock(&p.lock);
  call_and_look(weir, &request, WEIR_ENETWORK);
  add_provider(weir, "refused", "http://127.0.0.1:1");
  add_provider(weir, "unknown", "http://nobody.invalid");
  add_provider(weir, "malformed", "http://[:::::]:99999999");
  other.model = "refused/m";
  call_and_look(weir, &other, WEIR_ENETWORK);
  other.model = "unknown/m";
  call_and_look(weir, &other, WEIR_ENETWORK);
  other.model = "malformed/m";
  call_and_look(weir, &other, WEIR_ENETWORK);
  /* bad keys are refused without being repeated */
  provider.name = "anthropic";
  provider.key = KEY " and a blank";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_ECONFIG);
  provider.key = KEY "\r\nX-Injected: 1";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_ECONFIG);
  assert_non_null(strstr(log_text, "the key that the program gave"));
  /* nothing of it went to the coordinator, or into the log */
  weir_close(weir);
  fake_stop(&f);
  assert_false(holds(log_text, sizeof(log_text), KEY));
  assert_false(holds(f.received, f.received_count * sizeof(f.received[0]), KEY));
  teardown(NULL, &response);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stream_without_its_end_is_charged_as_asked),
      cmocka_unit_test(a_number_out_of_range_empties_the_response_and_is_explained),
      cmocka_unit_test(what_cannot_be_in_a_url_or_a_name_is_refused_at_once),
      cmocka_unit_test(an_empty_answer_is_an_empty_text),
      cmocka_unit_test(a_call_without_a_body_sends_none),
      cmocka_unit_test(a_resolver_that_hangs_does_not_hold_up_a_call),
      cmocka_unit_test(a_forked_child_draws_its_own_backoff),
      cmocka_unit_test(the_key_is_seen_by_its_provider_only),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
