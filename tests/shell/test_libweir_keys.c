#define _GNU_SOURCE /* memmem, O_TMPFILE */
/* Keys of providers over real sockets: whose turn it is, files that change, and that no key is seen
 * or left behind anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_coordinator.h"
#include "fake_provider.h"
#include "sanitizer.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir.h>

#include "handle.h"

#define CANARY          "canary-7c1e-key"
#define CANARY_VARIABLE "WEIR_TEST_CANARY"
#define ANSWER                                                                                     \
  "{\"usage\":{\"input_tokens\":100,\"cache_read_input_tokens\":20,\"output_tokens\":7}}"

static struct fake_coordinator f; /* too large for a stack */
static struct provider p;
static char log_text[16384], call_lines[131072];
static char folder[64], path[96];

/* Called from any thread. */
static void add_line(char *text, size_t room, const char *line)
{
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  size_t size;

  pthread_mutex_lock(&lock);
  size = strlen(text);
  assert_true(size + strlen(line) + 2 < room);
  snprintf(text + size, room - size, "%s\n", line);
  pthread_mutex_unlock(&lock);
}

static void keep_log(void *context, enum weir_level level, const char *text)
{
  (void)context;
  (void)level;
  add_line(log_text, sizeof(log_text), text);
}

static void keep_call(void *context, const char *line)
{
  add_line(context, sizeof(call_lines), line);
}

static struct weir *setup_with(uint32_t is_without_retries)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir *weir = NULL;

  fake_init(&f, FAKE_GRANT);
  provider_init(&p, PROVIDER_ANSWERS, 200, ANSWER);
  log_text[0] = call_lines[0] = '\0';
  strcpy(folder, "/tmp/weir-keys-XXXXXX");
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof(path), "%s/keys", folder);
  options.coordinator = f.endpoint;
  options.name = "test";
  options.max_wait_ms = 30000;
  options.is_without_retries = is_without_retries;
  options.is_without_wallet = 1;
  options.log = keep_log;
  options.call_log = keep_call;
  options.call_log_context = call_lines;
  assert_int_equal(weir_open(&options, &weir), WEIR_OK);
  return weir;
}

static struct weir *setup(void)
{
  return setup_with(0);
}

static void teardown(struct weir *weir)
{
  weir_close(weir);
  unlink(path);
  assert_int_equal(rmdir(folder), 0);
  provider_fini(&p);
  fake_fini(&f);
}

/* Replaces the file of keys at once, as users are told to. */
static void write_keys(const char *text)
{
  char next[128];
  FILE *file;

  snprintf(next, sizeof(next), "%s.next", path);
  file = fopen(next, "w");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(rename(next, path), 0);
}

/* As if a second had passed since files were looked at. */
static void look_again(struct weir *weir)
{
  pthread_mutex_lock(&weir->lock);
  weir->keys_looked_at = 0;
  pthread_mutex_unlock(&weir->lock);
}

static struct weir_provider provider_of(const char *name, const char *keys)
{
  struct weir_provider provider = WEIR_INIT(struct weir_provider);

  provider.name = name;
  provider.kind = "anthropic";
  provider.base_url = p.url;
  provider.keys = keys;
  return provider;
}

static void add_file(struct weir *weir)
{
  char keys[128];
  struct weir_provider provider;

  snprintf(keys, sizeof(keys), "file:%s", path);
  provider = provider_of("anthropic", keys);
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
}

static int call(struct weir *weir, uint32_t attempts)
{
  struct weir_request request = WEIR_INIT(struct weir_request);
  struct weir_response response = WEIR_INIT(struct weir_response);
  int err;

  request.model = "anthropic/claude-haiku-4-5";
  request.body = "{\"max_tokens\":10}";
  request.body_size = strlen(request.body);
  err = weir_call(weir, &request, &response);
  assert_int_equal(response.attempts, attempts);
  weir_response_free(&response);
  return err;
}

/* Whether the last request carried |key|. */
static bool was_sent(const char *key)
{
  char line[64];

  snprintf(line, sizeof(line), "x-api-key: %s\r\n", key);
  return strstr(p.request, line) != NULL;
}

static size_t count_of(const char *text, const char *part)
{
  size_t count = 0;

  for (; (text = strstr(text, part)) != NULL; text++)
    count++;
  return count;
}

/* ---- whose turn ---- */

static void calls_take_the_keys_of_all_places_in_turn(void **state)
{
  static const char *const turns[] = {"one", "two", "three", "one"};
  struct weir *weir = setup();
  struct weir_provider provider;
  char keys[160];

  (void)state;
  write_keys("two\n\n  three  \r\none\n");
  setenv("WEIR_TEST_KEY", "one", 1);
  snprintf(keys, sizeof(keys), "env:WEIR_TEST_KEY, file:%s", path);
  provider = provider_of("anthropic", keys);
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(call(weir, 1), WEIR_OK);
    assert_true(was_sent(turns[i]));
  }
  teardown(weir);
}

static void a_rejected_key_is_left_out_and_the_call_goes_on_with_another(void **state)
{
  struct weir *weir = setup();

  (void)state;
  write_keys("one\ntwo\nthree\n");
  add_file(weir);
  provider_once(&p, 401, "", "{}");
  assert_int_equal(call(weir, 2), WEIR_OK);
  assert_int_equal(fake_count(&f, WEIR_MSG_ASK), 2); /* a lease of its own */
  assert_true(was_sent("two"));
  for (int i = 0; i < 4; i++) {
    assert_int_equal(call(weir, 1), WEIR_OK);
    assert_true(was_sent(i % 2 ? "two" : "three"));
  }
  assert_non_null(strstr(log_text, "key 1 of 3 was rejected"));
  teardown(weir);
}

static void a_call_ends_when_all_keys_are_rejected(void **state)
{
  struct weir *weir = setup();

  (void)state;
  write_keys("one\ntwo\n");
  add_file(weir);
  pthread_mutex_lock(&p.lock);
  p.status = 401;
  pthread_mutex_unlock(&p.lock);
  assert_int_equal(call(weir, 2), WEIR_EUPSTREAM);
  assert_int_equal(call(weir, 1), WEIR_EUPSTREAM); /* still tried: its answer tells what is wrong */
  teardown(weir);
}

static void a_call_without_retries_tries_one_key(void **state)
{
  struct weir *weir = setup_with(1);

  (void)state;
  write_keys("one\ntwo\n");
  add_file(weir);
  provider_once(&p, 401, "", "{}");
  assert_int_equal(call(weir, 1), WEIR_EUPSTREAM);
  assert_int_equal(call(weir, 1), WEIR_OK);
  assert_true(was_sent("two"));
  teardown(weir);
}

/* ---- files that change ---- */

static void a_file_that_changes_is_read_again(void **state)
{
  struct weir *weir = setup();

  (void)state;
  write_keys("one\n");
  add_file(weir);
  assert_int_equal(call(weir, 1), WEIR_OK);
  assert_true(was_sent("one"));
  write_keys("two\n");
  look_again(weir);
  assert_int_equal(call(weir, 1), WEIR_OK);
  assert_true(was_sent("two"));
  teardown(weir);
}

static void files_are_looked_at_once_a_second_at_most(void **state)
{
  struct weir *weir = setup();

  (void)state;
  write_keys("one\n");
  add_file(weir);
  pthread_mutex_lock(&weir->lock);
  weir->keys_looked_at = weir_now() + 3600 * WEIR_US_PER_S; /* no second will have passed */
  pthread_mutex_unlock(&weir->lock);
  write_keys("two\n");
  assert_int_equal(call(weir, 1), WEIR_OK);
  assert_true(was_sent("one"));
  teardown(weir);
}

static void a_key_rests_until_another_stands_in_its_place(void **state)
{
  struct weir *weir = setup();

  (void)state;
  write_keys("one\ntwo\n");
  add_file(weir);
  provider_once(&p, 401, "", "{}");
  assert_int_equal(call(weir, 2), WEIR_OK);
  write_keys("two\none\n"); /* the same keys: the rejected one stays out */
  look_again(weir);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(call(weir, 1), WEIR_OK);
    assert_true(was_sent("two"));
  }
  write_keys("new\n");
  look_again(weir);
  assert_int_equal(call(weir, 1), WEIR_OK);
  assert_true(was_sent("new"));
  teardown(weir);
}

static void a_file_that_is_gone_or_wrong_keeps_its_keys_and_is_told_once(void **state)
{
  static const char *const wrong[] = {NULL, "", "\n \n", "two words\n"};
  struct weir *weir = setup();

  (void)state;
  for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
    log_text[0] = '\0';
    write_keys("one\n");
    add_file(weir);
    if (wrong[i])
      write_keys(wrong[i]);
    else
      unlink(path);
    for (int times = 0; times < 3; times++) {
      look_again(weir);
      assert_int_equal(call(weir, 1), WEIR_OK);
      assert_true(was_sent("one"));
    }
    assert_int_equal(count_of(log_text, "its former keys stay"), 1);
    write_keys("three\n");
    look_again(weir);
    assert_int_equal(call(weir, 1), WEIR_OK);
    assert_true(was_sent("three"));
    assert_int_equal(count_of(log_text, "is read again"), 1);
  }
  teardown(weir);
}

static void a_reload_reads_files_and_the_environment_at_once(void **state)
{
  struct weir *weir = setup();
  struct weir_provider provider = provider_of("anthropic", "env:WEIR_TEST_KEY");

  (void)state;
  setenv("WEIR_TEST_KEY", "one", 1);
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
  setenv("WEIR_TEST_KEY", "two", 1);
  assert_int_equal(call(weir, 1), WEIR_OK);
  assert_true(was_sent("one"));
  assert_int_equal(weir_keys_reload(weir), WEIR_OK);
  assert_int_equal(call(weir, 1), WEIR_OK);
  assert_true(was_sent("two"));
  unsetenv("WEIR_TEST_KEY");
  assert_int_equal(weir_keys_reload(weir), WEIR_ECONFIG);
  assert_int_equal(call(weir, 1), WEIR_OK);
  assert_true(was_sent("two"));
  assert_int_equal(weir_keys_reload(NULL), WEIR_EINVAL);
  teardown(weir);
}

static void a_variable_may_get_its_key_later_but_not_lose_it(void **state)
{
  struct weir *weir = setup();
  struct weir_provider provider = provider_of("anthropic", NULL);

  (void)state;
  unsetenv("WEIR_TEST_KEY");
  provider.key_env = "WEIR_TEST_KEY";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
  assert_int_equal(weir_keys_reload(weir), WEIR_OK);
  assert_int_equal(call(weir, 1), WEIR_OK);
  assert_null(strstr(p.request, "x-api-key"));
  setenv("WEIR_TEST_KEY", "one", 1);
  assert_int_equal(weir_keys_reload(weir), WEIR_OK);
  assert_int_equal(call(weir, 1), WEIR_OK);
  assert_true(was_sent("one"));
  unsetenv("WEIR_TEST_KEY");
  assert_int_equal(weir_keys_reload(weir), WEIR_ECONFIG);
  assert_int_equal(call(weir, 1), WEIR_OK);
  assert_true(was_sent("one"));
  teardown(weir);
}

static void *call_often(void *argument)
{
  struct weir *weir = argument;

  for (int i = 0; i < 25; i++) {
    look_again(weir);
    assert_int_equal(call(weir, 1), WEIR_OK);
  }
  return NULL;
}

static void calls_reloads_and_changes_of_a_provider_go_on_at_once(void **state)
{
  struct weir *weir = setup();
  pthread_t threads[4];

  (void)state;
  write_keys("one\ntwo\n");
  add_file(weir);
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, call_often, weir), 0);
  for (int i = 0; i < 25; i++) {
    write_keys(i % 2 ? "one\ntwo\n" : "three\n");
    assert_int_equal(weir_keys_reload(weir), WEIR_OK);
    add_file(weir);
  }
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  assert_null(strstr(log_text, "keys stay"));
  teardown(weir);
}

/* ---- what is refused ---- */

static void wrong_places_and_keys_are_refused_with_a_reason_and_never_shown(void **state)
{
  static const struct {
    const char *keys, *text;
  } cases[] = {
      {CANARY, "place 1 of its keys is none; write env:NAME or file:/path"},
      {"env:WEIR_TEST_KEY," CANARY, "place 2 of its keys is none"},
      {"", "place 1 of its keys is none"},
      {"env:WEIR_TEST_NO_SUCH_KEY", "env:WEIR_TEST_NO_SUCH_KEY: there is no key in it"},
      {"file:/nowhere/keys", "file:/nowhere/keys: it cannot be read: No such file"},
      {"file:/tmp", "file:/tmp: it cannot be read: not a regular file"},
      {"env:WEIR_TEST_BAD_KEY", "the key on line 2 holds a space"},
      {"env:WEIR_TEST_LONG_KEY", "the key on line 1 is longer than 8,192 bytes"},
      {"env:WEIR_TEST_MANY_KEYS", "more than 64 keys"},
  };
  static char many[65 * 4 + 1], longest[8194];
  struct weir *weir = setup();

  (void)state;
  for (int i = 0; i < 65; i++)
    snprintf(many + 4 * i, 5, "k%02d\n", i);
  memset(longest, 'k', sizeof(longest) - 1);
  setenv("WEIR_TEST_KEY", "good", 1);
  setenv("WEIR_TEST_BAD_KEY", "good\n" CANARY " x", 1);
  setenv("WEIR_TEST_MANY_KEYS", many, 1);
  setenv("WEIR_TEST_LONG_KEY", longest, 1);
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    const struct weir_provider provider = provider_of("anthropic", cases[i].keys);

    log_text[0] = '\0';
    assert_int_equal(weir_provider_add(weir, &provider), WEIR_ECONFIG);
    if (!strstr(log_text, cases[i].text))
      fail_msg("%s: %s", cases[i].keys, log_text);
    assert_null(strstr(log_text, CANARY));
  }
  many[64 * 4] = '\0';
  setenv("WEIR_TEST_MANY_KEYS", many, 1);
  {
    const struct weir_provider provider = provider_of("anthropic", "env:WEIR_TEST_MANY_KEYS");

    assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
  }
  teardown(weir);
}

static void the_provider_of_an_older_program_has_its_key(void **state)
{
  struct weir *weir = setup();
  struct weir_provider provider = provider_of("anthropic", "not there for it");

  (void)state;
  provider.key = "old";
  provider.size = offsetof(struct weir_provider, keys);
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
  assert_int_equal(call(weir, 1), WEIR_OK);
  assert_true(was_sent("old"));
  provider.size--;
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_EINVAL);
  teardown(weir);
}

/* ---- costs and the call log ---- */

static void a_call_tells_its_cost_and_has_a_line(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = WEIR_INIT(struct weir_request);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  write_keys("one\n");
  add_file(weir);
  request.model = "anthropic/claude-haiku-4-5-20251001";
  request.body = "{}";
  request.body_size = 2;
  request.tag = "a \"tag\"";
  request.tenant = "search";
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.input_tokens, 120);
  assert_int_equal(response.cached_tokens, 20);
  assert_int_equal(response.has_cost, 1);
  assert_int_equal(response.cost_micro, 100 + 2 + 35); /* 1, 0.1 and 5 dollars for a million */
  assert_non_null(strstr(call_lines, "\"provider\":\"anthropic\",\"model\":"
                                     "\"claude-haiku-4-5-20251001\",\"pool\":\""));
  assert_non_null(strstr(call_lines, "\"tag\":\"a \\\"tag\\\"\",\"tenant\":\"search\","
                                     "\"status\":\"ok\",\"error\":null,\"http\":200,"
                                     "\"attempts\":1,"));
  assert_non_null(strstr(call_lines, "\"input_tokens\":120,\"output_tokens\":7,"
                                     "\"cached_tokens\":20,\"cost\":0.000137,"));
  provider_once(&p, 400, "", "{}");
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EUPSTREAM);
  assert_int_equal(response.has_cost, 0);
  fake_set(&f, FAKE_DENY);
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EDENIED);
  assert_int_equal(count_of(call_lines, "\n"), 3);
  assert_non_null(strstr(call_lines, "\"status\":\"failed\",\"error\":\"bad_request\","));
  assert_non_null(strstr(call_lines, "\"status\":\"denied\",\"error\":\"too_large\","));
  weir_response_free(&response);
  teardown(weir);
}

static void the_response_of_an_older_program_is_filled_as_far_as_it_goes(void **state)
{
  struct weir *weir = setup();
  struct weir_request request = WEIR_INIT(struct weir_request);
  struct weir_response response = WEIR_INIT(struct weir_response);

  (void)state;
  write_keys("one\n");
  add_file(weir);
  request.model = "anthropic/claude-haiku-4-5";
  request.body = "{}";
  request.body_size = 2;
  response.size = offsetof(struct weir_response, cached_tokens);
  response.cost_micro = response.cached_tokens = 77;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_OK);
  assert_int_equal(response.input_tokens, 120);
  assert_string_equal(response.body, ANSWER);
  assert_int_equal(response.cost_micro, 77);
  assert_int_equal(response.cached_tokens, 77);
  weir_response_free(&response);
  assert_int_equal(response.cost_micro, 77);
  assert_null(response.body);
  assert_int_equal(response.size, offsetof(struct weir_response, cached_tokens));
  response.size--;
  assert_int_equal(weir_call(weir, &request, &response), WEIR_EINVAL);
  teardown(weir);
}

static void a_file_of_prices_is_used_or_refused_with_its_place(void **state)
{
  struct weir_options options = WEIR_INIT(struct weir_options);
  struct weir *weir = setup(), *other = NULL;

  (void)state;
  options.log = keep_log;
  options.coordinator = f.endpoint;
  options.prices = path;
  write_keys("{\"models\":[\n  {\"provider\":\"anthropic\"}]}");
  assert_int_equal(weir_open(&options, &other), WEIR_ECONFIG);
  assert_non_null(strstr(log_text, "keys:2:3: a model needs"));
  write_keys("{\"models\":[{\"provider\":\"mine\",\"model\":\"claude\",\"price_usd_per_1m\":"
             "{\"input\":1000,\"output\":0}}]}");
  assert_int_equal(weir_open(&options, &other), WEIR_OK);
  weir_close(other);
  options.prices = NULL;
  setenv("WEIR_PRICES", path, 1);
  assert_int_equal(weir_open(&options, &other), WEIR_OK);
  unsetenv("WEIR_PRICES");
  {
    struct weir_request request = WEIR_INIT(struct weir_request);
    struct weir_response response = WEIR_INIT(struct weir_response);
    struct weir_provider provider = provider_of("mine", NULL);

    provider.key = "k";
    assert_int_equal(weir_provider_add(other, &provider), WEIR_OK);
    request.model = "mine/claude";
    request.body = "{}";
    request.body_size = 2;
    assert_int_equal(weir_call(other, &request, &response), WEIR_OK);
    assert_int_equal(response.cost_micro, 120000);
    request.model = "mine/claude-haiku-4-5"; /* not the file's: by its kind */
    assert_int_equal(weir_call(other, &request, &response), WEIR_OK);
    assert_int_equal(response.cost_micro, 137);
    request.model = "mine/nobody-knows-it";
    assert_int_equal(weir_call(other, &request, &response), WEIR_OK);
    assert_int_equal(response.has_cost, 0);
    weir_response_free(&response);
  }
  weir_close(other);
  setenv("WEIR_PRICES", "/nowhere/prices.json", 1);
  assert_int_equal(weir_open(&options, &other), WEIR_ECONFIG);
  unsetenv("WEIR_PRICES");
  assert_non_null(strstr(log_text, "/nowhere/prices.json cannot be read"));
  teardown(weir);
}

/* ---- the canary ---- */

static struct weir *canary_weir;
static char errors_text[8192];

static int canary_call(const char *model, const char *own_path, int status, const char *header)
{
  struct weir_request request = WEIR_INIT(struct weir_request);
  struct weir_response response = WEIR_INIT(struct weir_response);
  int err;

  request.model = model;
  request.path = own_path;
  request.body = "{}";
  request.body_size = 2;
  request.tag = "/v1?key=" CANARY;
  if (status)
    provider_once(&p, status, header, "{}");
  err = weir_call(canary_weir, &request, &response);
  add_line(errors_text, sizeof(errors_text), response.error);
  weir_response_free(&response);
  return err;
}

/* All that can happen to a call, with the key where keys are, and in URLs, where they should not.
 */
static void canary_calls(void)
{
  static const int statuses[] = {301, 302, 307, 308, 400, 401, 403, 404, 429, 500, 503, 529};
  static char long_path[1200] = "/v1?key=" CANARY "&";
  struct weir_provider provider = provider_of("canary", NULL);

  provider.key = CANARY;
  assert_int_equal(weir_provider_add(canary_weir, &provider), WEIR_OK);
  assert_int_equal(canary_call("canary/m", NULL, 0, ""), WEIR_OK);
  assert_non_null(strstr(p.request, CANARY)); /* so it sings */
  for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
    assert_int_equal(canary_call("canary/m", NULL, statuses[i],
                                 "Location: http://127.0.0.1:1/?key=" CANARY "\r\n"),
                     WEIR_EUPSTREAM);
    assert_int_equal(canary_call("canary/m", "/v1/x?key=" CANARY, statuses[i], ""), WEIR_EUPSTREAM);
    assert_non_null(strstr(p.request, "?key=" CANARY));
  }
  assert_int_equal(canary_call("canary/m?key=" CANARY, NULL, 500, ""), WEIR_EUPSTREAM);
  provider_once(&p, 429, "",
                "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":"
                "\"This request would exceed your rate limit of 50 requests per minute\"}}");
  assert_int_equal(canary_call("canary/m?key=" CANARY, NULL, 0, ""), WEIR_EUPSTREAM);
  memset(long_path + strlen(long_path), 'x', sizeof(long_path) - strlen(long_path) - 1);
  assert_int_equal(canary_call("canary/m", long_path, 0, ""), WEIR_ERANGE);
  assert_int_equal(canary_call("nobody?key=" CANARY "/m", NULL, 0, ""), WEIR_ECONFIG);
  provider.base_url = "http://127.0.0.1:1/" CANARY "@x";
  assert_int_equal(weir_provider_add(canary_weir, &provider), WEIR_OK);
  assert_int_equal(canary_call("canary/m", "/?key=" CANARY, 0, ""), WEIR_ENETWORK);
  provider.base_url = "http://user:" CANARY "@[:::]:99999999";
  assert_int_equal(weir_provider_add(canary_weir, &provider), WEIR_OK);
  assert_int_equal(canary_call("canary/m", "/?key=" CANARY, 0, ""), WEIR_ENETWORK);
  provider.base_url = "http://nobody.invalid";
  assert_int_equal(weir_provider_add(canary_weir, &provider), WEIR_OK);
  assert_int_equal(canary_call("canary/m", "/?key=" CANARY, 0, ""), WEIR_ENETWORK);
  provider.base_url = "ftp://host/?key=" CANARY;
  assert_int_equal(weir_provider_add(canary_weir, &provider), WEIR_ECONFIG);
  provider.base_url = p.url;
  provider.key = CANARY " " CANARY;
  assert_int_equal(weir_provider_add(canary_weir, &provider), WEIR_ECONFIG);
  provider.keys = "env:" CANARY_VARIABLE;
  assert_int_equal(weir_provider_add(canary_weir, &provider), WEIR_OK);
  setenv(CANARY_VARIABLE, CANARY "\n" CANARY "\t" CANARY, 1);
  assert_int_equal(weir_keys_reload(canary_weir), WEIR_ECONFIG);
  assert_int_equal(canary_call("canary/m", NULL, 401, ""), WEIR_EUPSTREAM);
}

static void no_key_is_seen_in_logs_errors_or_on_stderr(void **state)
{
  static char stderr_text[65536];
  int kept, file;
  ssize_t size;

  (void)state;
  canary_weir = setup_with(1);
  errors_text[0] = '\0';
  setenv(CANARY_VARIABLE, CANARY, 1);
  file = open(folder, O_TMPFILE | O_RDWR, 0600);
  kept = dup(STDERR_FILENO);
  assert_true(file >= 0 && kept >= 0 && dup2(file, STDERR_FILENO) >= 0);
  canary_calls();
  fflush(stderr);
  dup2(kept, STDERR_FILENO);
  close(kept);
  size = pread(file, stderr_text, sizeof(stderr_text) - 1, 0);
  close(file);
  assert_true(size >= 0);
  unsetenv(CANARY_VARIABLE);

  assert_null(strstr(log_text, CANARY));
  assert_null(strstr(errors_text, CANARY));
  assert_null(strstr(call_lines, CANARY));
  assert_null(strstr(stderr_text, CANARY));
  /* and there was something to look at */
  assert_non_null(strstr(log_text, "was rejected"));
  assert_non_null(strstr(log_text, "m?key=*** answered 429"));
  assert_non_null(strstr(errors_text, "m?key=*** answered 500"));
  assert_int_equal(count_of(call_lines, "\"tag\":\"/v1?key=***\""), 33);
  teardown(canary_weir);
}

/* ---- wiping ---- */

#if !UNDER_ASAN && !UNDER_TSAN
/* Every block that this program frees on this thread is looked at while |looks_for| is set:
 * libweir's objects are part of the program, libcurl's are not. */
static _Thread_local const char
    *volatile looks_for; /* volatile: to a compiler, free() is its own */
static volatile size_t frees_with_it;

extern void __libc_free(void *block);
extern void *__libc_malloc(size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern const char __executable_start, etext;

__attribute__((noinline)) void free(void *block)
{
  const char *from = __builtin_return_address(0), *text = looks_for;

  if (block && text && from >= &__executable_start && from < &etext &&
      memmem(block, malloc_usable_size(block), text, strlen(text)))
    frees_with_it++;
  __libc_free(block);
}

/* What libcurl left in its blocks must not be found in those that get their memory next. */
void *malloc(size_t size)
{
  void *block = __libc_malloc(size);

  if (block && looks_for)
    memset(block, 0, malloc_usable_size(block));
  return block;
}

void *realloc(void *block, size_t size)
{
  const size_t before = block ? malloc_usable_size(block) : 0;
  char *moved = __libc_realloc(block, size);

  if (moved && looks_for && malloc_usable_size(moved) > before)
    memset(moved + before, 0, malloc_usable_size(moved) - before);
  return moved;
}

static void what_held_a_key_is_wiped_before_it_is_freed(void **state)
{
  struct weir *weir = setup();
  struct weir_provider provider = provider_of("anthropic", NULL);
  char *volatile block;

  (void)state;
  looks_for = CANARY;
  frees_with_it = 0;
  block = strdup(CANARY);
  free(block);
  assert_int_equal(frees_with_it, 1); /* it would be noticed */

  provider.key = CANARY;
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_OK);
  assert_int_equal(call(weir, 1), WEIR_OK);
  assert_true(was_sent(CANARY));
  provider.key = CANARY " x";
  assert_int_equal(weir_provider_add(weir, &provider), WEIR_ECONFIG);
  write_keys(CANARY "\n");
  add_file(weir);
  assert_int_equal(call(weir, 1), WEIR_OK);
  write_keys(CANARY "\nnot a key\n");
  assert_int_equal(weir_keys_reload(weir), WEIR_ECONFIG);
  write_keys("other\n");
  assert_int_equal(weir_keys_reload(weir), WEIR_OK);
  write_keys(CANARY "\n");
  assert_int_equal(weir_keys_reload(weir), WEIR_OK);
  teardown(weir);
  assert_int_equal(frees_with_it, 1);
  looks_for = NULL;
}
#endif

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(calls_take_the_keys_of_all_places_in_turn),
    cmocka_unit_test(a_rejected_key_is_left_out_and_the_call_goes_on_with_another),
    cmocka_unit_test(a_call_ends_when_all_keys_are_rejected),
    cmocka_unit_test(a_call_without_retries_tries_one_key),
    cmocka_unit_test(a_file_that_changes_is_read_again),
    cmocka_unit_test(files_are_looked_at_once_a_second_at_most),
    cmocka_unit_test(a_key_rests_until_another_stands_in_its_place),
    cmocka_unit_test(a_file_that_is_gone_or_wrong_keeps_its_keys_and_is_told_once),
    cmocka_unit_test(a_reload_reads_files_and_the_environment_at_once),
    cmocka_unit_test(a_variable_may_get_its_key_later_but_not_lose_it),
    cmocka_unit_test(calls_reloads_and_changes_of_a_provider_go_on_at_once),
    cmocka_unit_test(wrong_places_and_keys_are_refused_with_a_reason_and_never_shown),
    cmocka_unit_test(the_provider_of_an_older_program_has_its_key),
    cmocka_unit_test(a_call_tells_its_cost_and_has_a_line),
    cmocka_unit_test(the_response_of_an_older_program_is_filled_as_far_as_it_goes),
    cmocka_unit_test(a_file_of_prices_is_used_or_refused_with_its_place),
    cmocka_unit_test(no_key_is_seen_in_logs_errors_or_on_stderr),
#if !UNDER_ASAN && !UNDER_TSAN
    cmocka_unit_test(what_held_a_key_is_wiped_before_it_is_freed),
#endif
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
