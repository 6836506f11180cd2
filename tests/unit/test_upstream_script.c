/* The simulated provider's settings, requests and texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "request.h"
#include "script.h"
#include "text.h"

static char error[512];

static void reads_limits_in_every_form(void **state)
{
  (void)state;
  static struct weir_up_settings s;
  struct weir_up_limit limits[WEIR_UP_LIMITS_MAX];
  weir_up_settings_init(&s);
  assert_true(
      weir_up_settings_set(&s, "limit", "rpm=60:sub1s,tpm=2.5M:bucket:50k", error, sizeof error));
  assert_true(weir_up_settings_set(&s, "limit", "rpd=10k", error, sizeof error));
  assert_true(weir_up_settings_set(&s, "method", "log", error, sizeof error));
  assert_true(weir_up_settings_set(&s, "model", "gemini-2.5-pro=itpm=7", error, sizeof error));
  assert_int_equal(weir_up_settings_limits(&s, "any", WEIR_UP_TOTAL, limits), 3);
  assert_int_equal(limits[0].method, WEIR_UP_SUB);
  assert_int_equal(limits[0].dimension, WEIR_UP_REQUESTS);
  assert_int_equal(limits[1].amount, 2500000);
  assert_int_equal(limits[1].burst, 50000);
  assert_int_equal(limits[1].dimension, WEIR_UP_TOTAL);
  assert_int_equal(limits[2].method, WEIR_UP_FIXED);
  assert_int_equal(limits[2].phase_us, UINT64_C(8) * 3600 * 1000000);
  assert_true(limits[2].is_day);
  assert_int_equal(weir_up_settings_limits(&s, "gemini-2.5-pro", WEIR_UP_INPUT, limits), 1);
  assert_int_equal(limits[0].method, WEIR_UP_LOG);
  assert_int_equal(limits[0].dimension, WEIR_UP_INPUT);
}

static void applies_a_document_whole_or_not_at_all(void **state)
{
  (void)state;
  static struct weir_up_settings s, before;
  struct weir_up_limit limits[WEIR_UP_LIMITS_MAX];
  weir_up_settings_init(&s);
  const char *good = "{\"limits\":{\"rpm\":5,\"tpm\":\"1M:bucket\"},\"latency_ms\":\"3..9\","
                     "\"models\":{\"gemini-2.5-pro\":{\"rpm\":1}},\"count_rejected\":true,"
                     "\"faults\":[{\"kind\":\"error_500\",\"next\":2},"
                     "{\"kind\":\"drop\",\"probability\":0.25,\"model\":\"m.x\"}]}";
  assert_true(weir_up_settings_apply(&s, good, strlen(good), error, sizeof error));
  assert_int_equal(s.sets[0].count, 2);
  assert_int_equal(s.latency_max_ms, 9);
  assert_int_equal(s.fault_count, 2);
  assert_int_equal(s.faults[1].probability, 250000);
  assert_string_equal(s.faults[1].model, "m.x");
  assert_int_equal(weir_up_settings_limits(&s, "gemini-2.5-pro", WEIR_UP_INPUT, limits), 1);

  static const struct {
    const char *json, *word;
  } bad[] = {
      {"{\"limits\":{\"rpm\":7,\"xpm\":1}}", "xpm"},
      {"{\"limits\":{\"rpm\":7},\"latency_ms\":\"9..3\"}", "latency_ms"},
      {"{\"limits\":{\"rpm\":\"7:never\"}}", "method"},
      {"{\"limits\":{\"rpm\":-7}}", "rpm"},
      {"{\"faults\":[{\"kind\":\"error_500\"}]}", "next or probability"},
      {"{\"faults\":[{\"kind\":\"eror\",\"next\":1}]}", "kind"},
      {"{\"faults\":[{\"kind\":\"drop\",\"probability\":1.5}]}", "probability"},
      {"{\"limits\":{\"rpm\":7},\"colour\":1}", "colour"},
      {"{\"limits\":{\"rpm\":7}", "JSON"},
      {"{\"window_ms\":0}", "window_ms"},
      {"{\"window_ms\":\"18446744073709551616\"}", "window_ms"},
      {"{\"limits\":{\"rpm\":\"18446744073710M\"}}", "rpm"},
      {"{\"method\":null}", "method"},
  };
  before = s;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_false(weir_up_settings_apply(&s, bad[i].json, strlen(bad[i].json), error, sizeof error));
    if (strstr(error, bad[i].word) == NULL)
      fail_msg("%s: \"%s\" does not name %s", bad[i].json, error, bad[i].word);
    assert_memory_equal(&s, &before, sizeof s);
  }
}

static void faults_fire_as_often_as_told(void **state)
{
  (void)state;
  static struct weir_up_settings s;
  struct weir_rng rng;
  weir_up_settings_init(&s);
  weir_rng_init(&rng, 1);
  assert_true(weir_up_settings_set(&s, "fault", "kind=error_500,next=2,skip=1,model=a", error,
                                   sizeof error));
  assert_true(
      weir_up_settings_set(&s, "fault", "kind=close_unanswered,next=1", error, sizeof error));
  assert_true(weir_up_settings_set(&s, "fault", "kind=drop,probability=0.3", error, sizeof error));
  uint32_t counts[WEIR_UP_FAULT_MAX] = {0};
  for (int i = 0; i < 10000; i++) {
    const struct weir_up_fault *f = weir_up_settings_fault(&s, "a", i == 5000, &rng);
    counts[f != NULL ? f->kind : 0]++;
    if (i == 0)
      assert_true(f == NULL || f->kind == WEIR_UP_FAULT_DROP);
    if (i == 1 || i == 2)
      assert_true(f != NULL && f->kind == WEIR_UP_FAULT_ERROR_500);
  }
  assert_int_equal(counts[WEIR_UP_FAULT_ERROR_500], 2);
  assert_int_equal(counts[WEIR_UP_FAULT_CLOSE_UNANSWERED], 1);
  assert_in_range(counts[WEIR_UP_FAULT_DROP], 2800, 3200);
}

static void latency_follows_its_distribution(void **state)
{
  (void)state;
  static struct weir_up_settings s;
  struct weir_rng rng;
  uint32_t below = 0, far = 0;
  weir_up_settings_init(&s);
  weir_rng_init(&rng, 1);
  assert_true(weir_up_settings_set(&s, "latency-ms", "300..302", error, sizeof error));
  for (int i = 0; i < 1000; i++)
    assert_in_range(weir_up_settings_latency_ms(&s, &rng), 300, 302);
  assert_true(weir_up_settings_set(&s, "latency-median-ms", "600", error, sizeof error));
  assert_true(weir_up_settings_set(&s, "latency-sigma", "0.5", error, sizeof error));
  for (int i = 0; i < 20000; i++) {
    uint64_t ms = weir_up_settings_latency_ms(&s, &rng);
    below += ms < 600;
    far += ms > 989; /* 600 * e^0.5: one sigma, 15.9 % lie above */
  }
  assert_in_range(below, 9700, 10300);
  assert_in_range(far, 2950, 3400);
}

static uint64_t tokens_of(const char *json_text)
{
  struct weir_up_count count = {0};
  weir_up_count_add(&count, json_text, strlen(json_text));
  weir_up_count_end(&count);
  return count.tokens;
}

static void counts_tokens_by_its_rules(void **state)
{
  (void)state;
  assert_int_equal(tokens_of(""), 0);
  assert_int_equal(tokens_of("hello world"), 2);
  assert_int_equal(tokens_of("internationalization"), 4);
  assert_int_equal(tokens_of("12345"), 5);
  assert_int_equal(tokens_of("\xe4\xb8\xad\xe6\x96\x87"), 2);
  assert_int_equal(tokens_of("\\u4e2d\\u6587"), 2);
  assert_int_equal(tokens_of("\xf0\x9f\x98\x80"), 2);
  assert_int_equal(tokens_of("\\ud83d\\ude00"), 2);
  assert_int_equal(tokens_of("a\\n\\n\\tb"), 3);
  assert_int_equal(tokens_of("..."), 1);
  assert_int_equal(tokens_of("\\\"\\\"\\\"\\\""), 2);
  assert_int_equal(tokens_of("\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"), 2);
  assert_int_equal(tokens_of("a         b"), 3);
}

static void its_prose_has_the_tokens_that_it_says(void **state)
{
  (void)state;
  struct weir_rng rng;
  struct weir_up_count count = {0};
  char text[8 * 100 + 1];
  weir_rng_init(&rng, 3);
  size_t first = weir_up_prose(&rng, 40, 0, text, sizeof text);
  first += weir_up_prose(&rng, 60, 40, text + first, sizeof text - first);
  weir_up_count_add(&count, text, first);
  weir_up_count_end(&count);
  assert_int_equal(count.tokens, 100);
}

static void reads_requests_of_every_provider(void **state)
{
  (void)state;
  struct weir_up_request r;
  const char *gemini = "{\"systemInstruction\":{\"parts\":[{\"text\":\"be brief\"}]},\"contents\":["
                       "{\"parts\":[{\"text\":\"hello world\"},{\"text\":\"again\"}]}],"
                       "\"generationConfig\":{\"maxOutputTokens\":9}}";
  assert_true(weir_up_request_read(gemini, strlen(gemini), &r));
  assert_int_equal(r.input_tokens, 5);
  assert_int_equal(r.max_tokens, 9);
  const char *chat =
      "{\"model\":\"gpt\",\"messages\":[{\"role\":\"user\",\"content\":\"hi there\"},"
      "{\"content\":[{\"type\":\"text\",\"text\":\"you\"}]}],\"stream\":true,"
      "\"stream_options\":{\"include_usage\":true},\"max_completion_tokens\":5}";
  assert_true(weir_up_request_read(chat, strlen(chat), &r));
  assert_int_equal(r.input_tokens, 3);
  assert_string_equal(r.model, "gpt");
  assert_true(r.is_stream && r.is_usage_wanted);
  const char *inputs = "{\"model\":\"e\",\"input\":[\"one\",\"two\"]}";
  assert_true(weir_up_request_read(inputs, strlen(inputs), &r));
  assert_int_equal(r.texts, 2);
  assert_false(weir_up_request_read("[]", 2, &r));
  assert_false(weir_up_request_read("{\"a\":", 5, &r));
  assert_false(weir_up_request_read("", 0, &r));
}

static void counts_texts_longer_than_the_scanner_keeps(void **state)
{
  (void)state;
  static char body[100000];
  struct weir_up_request r;
  size_t size = (size_t)snprintf(body, sizeof body, "{\"contents\":[{\"parts\":[{\"text\":\"");
  for (int i = 0; i < 10000; i++)
    size += (size_t)snprintf(body + size, sizeof body - size, "word ");
  size += (size_t)snprintf(body + size, sizeof body - size, "\"}]}]}");
  assert_true(weir_up_request_read(body, size, &r));
  assert_int_equal(r.input_tokens, 10000);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_limits_in_every_form),
      cmocka_unit_test(applies_a_document_whole_or_not_at_all),
      cmocka_unit_test(faults_fire_as_often_as_told),
      cmocka_unit_test(latency_follows_its_distribution),
      cmocka_unit_test(counts_tokens_by_its_rules),
      cmocka_unit_test(its_prose_has_the_tokens_that_it_says),
      cmocka_unit_test(reads_requests_of_every_provider),
      cmocka_unit_test(counts_texts_longer_than_the_scanner_keeps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
