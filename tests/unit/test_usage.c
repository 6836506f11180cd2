/* What calls cost, read from every shape of answer, cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <weir/usage.h>

static struct weir_usage_scan scan;

static void feed(const char *body, size_t piece)
{
  size_t size = strlen(body);

  weir_usage_init(&scan);
  for (size_t at = 0; at < size; at += piece)
    weir_usage_feed(&scan, body + at, piece < size - at ? piece : size - at);
}

/* Whatever the pieces are, the end result is the same. */
static void expect(const char *body, uint64_t input, uint64_t cached, uint64_t output)
{
  for (size_t piece = 1; piece <= strlen(body); piece++) {
    feed(body, piece);
    assert_true(scan.usage.has_input);
    assert_true(scan.usage.has_output);
    assert_int_equal(scan.usage.input_tokens, input);
    assert_int_equal(scan.usage.cached_tokens, cached);
    assert_int_equal(scan.usage.output_tokens, output);
    assert_true(scan.is_complete);
    assert_false(scan.has_error);
  }
}

static void gemini_counts_thoughts_and_tool_results(void **state)
{
  (void)state;
  expect("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\\\"usageMetadata\\\":{}\"}]},"
         "\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":1200,"
         "\"cachedContentTokenCount\":512,\"candidatesTokenCount\":300,\"thoughtsTokenCount\":150,"
         "\"toolUsePromptTokenCount\":40,\"totalTokenCount\":1690,"
         "\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":1200}]}}",
         1240, 512, 450);
}

static void gemini_streams_cumulative_counts(void **state)
{
  const char *begin = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],"
                      "\"usageMetadata\":{\"promptTokenCount\":10,\"candidatesTokenCount\":1}}"
                      "\r\n\r\n";
  char body[600];
  (void)state;

  feed(begin, 1000);
  assert_true(scan.usage.has_input);
  assert_int_equal(scan.usage.input_tokens, 10);
  assert_false(scan.is_complete);
  strcpy(body, begin);
  strcat(body, "data: {\"candidates\":[{\"content\":{\"parts\":[]},\"finishReason\":\"STOP\"}],"
               "\"usageMetadata\":{\"promptTokenCount\":10,\"candidatesTokenCount\":25,"
               "\"thoughtsTokenCount\":5}}\r\n\r\n");
  expect(body, 10, 0, 30);
}

static void gemini_streams_an_array_without_events(void **state)
{
  (void)state;
  expect("[{\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":1}}\n,\r\n"
         "{\"candidates\":[{\"finishReason\":\"STOP\"}],"
         "\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":4}}]",
         3, 0, 4);
}

static void a_blocked_prompt_has_no_output(void **state)
{
  (void)state;
  expect("{\"promptFeedback\":{\"blockReason\":\"SAFETY\"},"
         "\"usageMetadata\":{\"promptTokenCount\":7}}",
         7, 0, 0);
  expect("data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},"
         "\"usageMetadata\":{\"promptTokenCount\":7}}\r\n\r\n",
         7, 0, 0);
}

static void gemini_interactions_are_read(void **state)
{
  (void)state;
  expect("data: {\"event_type\":\"interaction.completed\",\"interaction\":{\"usage\":{"
         "\"total_tokens\":346,\"total_input_tokens\":11,\"total_cached_tokens\":4,"
         "\"total_output_tokens\":90,\"total_thought_tokens\":245}}}\n\ndata: [DONE]\n\n",
         11, 4, 335);
}

static void openai_chat_is_read(void **state)
{
  const char *without = "data: {\"choices\":[{\"delta\":{\"content\":\"?\"},"
                        "\"finish_reason\":\"stop\"}],\"usage\":null}\n\ndata: [DONE]\n\n";
  (void)state;

  expect("{\"choices\":[],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10,"
         "\"total_tokens\":29,\"prompt_tokens_details\":{\"cached_tokens\":8},"
         "\"completion_tokens_details\":{\"reasoning_tokens\":6}}}",
         19, 8, 10);
  expect("data: {\"choices\":[{\"delta\":{\"content\":\"?\"},\"finish_reason\":null}],"
         "\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":19,"
         "\"completion_tokens\":10,\"total_tokens\":29}}\n\ndata: [DONE]\n\n",
         19, 0, 10);
  feed(without, 5);
  assert_true(scan.is_complete);
  assert_false(scan.usage.has_input);
  assert_false(scan.usage.has_output);
}

static void openai_embeddings_have_no_output(void **state)
{
  (void)state;
  expect("{\"data\":[{\"embedding\":[0.1,-0.2e-3],\"index\":0}],"
         "\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}",
         8, 0, 0);
}

static void openai_responses_are_read(void **state)
{
  const char *usage = "\"usage\":{\"input_tokens\":36,\"input_tokens_details\":{"
                      "\"cached_tokens\":12},\"output_tokens\":87,\"output_tokens_details\":{"
                      "\"reasoning_tokens\":40},\"total_tokens\":123}}";
  char body[600];
  (void)state;

  strcpy(body, "{\"object\":\"response\",\"error\":null,");
  expect(strcat(body, usage), 36, 12, 87);
  strcpy(body, "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{"
               "\"error\":null,\"usage\":null}}\n\nevent: response.completed\n"
               "data: {\"type\":\"response.completed\",\"sequence_number\":9,\"response\":{");
  strcat(body, usage);
  expect(strcat(body, "}\n\n"), 36, 12, 87);
}

static void anthropic_adds_the_cache_to_the_input(void **state)
{
  (void)state;
  expect("{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}],\"usage\":{"
         "\"input_tokens\":11,\"cache_creation_input_tokens\":100,"
         "\"cache_read_input_tokens\":1000,\"output_tokens\":7,"
         "\"output_tokens_details\":{\"thinking_tokens\":3}}}",
         1111, 1000, 7);
  assert_int_equal(scan.usage.cache_write_tokens, 100);
  assert_int_equal(weir_usage_input_charged(&scan.usage, WEIR_PROVIDER_ANTHROPIC), 111);
  assert_int_equal(weir_usage_input_charged(&scan.usage, WEIR_PROVIDER_GEMINI), 1111);
}

static void anthropic_streams_cumulative_counts(void **state)
{
  const char *begin = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{"
                      "\"type\":\"message\",\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}"
                      "\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n";
  char body[600];
  (void)state;

  feed(begin, 7);
  assert_int_equal(scan.usage.input_tokens, 25);
  assert_false(scan.is_complete);
  strcpy(body, begin);
  strcat(body, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"
               "\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n"
               "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
  expect(body, 25, 0, 15);
}

static void a_cut_answer_is_not_complete(void **state)
{
  const char *body = "{\"candidates\":[{\"finishReason\":\"STOP\"}],"
                     "\"usageMetadata\":{\"promptTokenCount\":10,\"candidatesTokenCount\":2}";
  (void)state;

  for (size_t piece = 1; piece <= strlen(body); piece++) {
    feed(body, piece);
    assert_false(scan.is_complete);
  }
}

static void an_error_inside_a_stream_is_judged(void **state)
{
  const char *body = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{"
                     "\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\nevent: error\n"
                     "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                     "\"message\":\"Overloaded\"}}\n\n";
  struct weir_verdict verdict;
  (void)state;

  for (size_t piece = 1; piece <= strlen(body); piece++) {
    feed(body, piece);
    assert_true(scan.has_error);
    assert_false(scan.is_complete);
    assert_int_equal(scan.usage.input_tokens, 25);
    assert_true(weir_usage_verdict(&scan, WEIR_PROVIDER_ANTHROPIC, &verdict));
    assert_int_equal(verdict.outcome, WEIR_OUTCOME_OVERLOADED);
    assert_true(verdict.is_retryable);
    assert_true(verdict.are_tokens_charged); /* the work had begun */
  }
}

static void a_rejection_inside_a_stream_costs_no_tokens(void **state)
{
  struct weir_verdict verdict;
  (void)state;

  feed("data: {\"type\":\"response.failed\",\"response\":{\"error\":{"
       "\"code\":\"rate_limit_exceeded\",\"message\":\"Rate limit reached on tokens per min "
       "(TPM): Limit 30000, Used 22999, Requested 12528. Please try again in 11.054s.\"}}}\n\n",
       16);
  assert_true(weir_usage_verdict(&scan, WEIR_PROVIDER_OPENAI, &verdict));
  assert_int_equal(verdict.outcome, WEIR_OUTCOME_QUOTA_MINUTE_TOKENS);
  assert_int_equal(verdict.wait_us, 11054000);
  assert_false(verdict.are_tokens_charged);
  feed("{\"usage\":{\"input_tokens\":1}}", 3);
  assert_false(weir_usage_verdict(&scan, WEIR_PROVIDER_OPENAI, &verdict));
}

static void hostile_counts_saturate_or_are_ignored(void **state)
{
  (void)state;
  feed("{\"usage\":{\"input_tokens\":9223372036854775808,\"cache_read_input_tokens\":"
       "9223372036854775808,\"output_tokens\":-5,\"cached_tokens\":1.5}}",
       9);
  assert_true(scan.usage.input_tokens == UINT64_MAX);
  assert_int_equal(scan.usage.output_tokens, 0);
  feed("{\"usage\":{\"input_tokens\":1e99,\"output_tokens\":\"7\"}}", 9);
  assert_false(scan.usage.has_input);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gemini_counts_thoughts_and_tool_results),
      cmocka_unit_test(gemini_streams_cumulative_counts),
      cmocka_unit_test(gemini_streams_an_array_without_events),
      cmocka_unit_test(a_blocked_prompt_has_no_output),
      cmocka_unit_test(gemini_interactions_are_read),
      cmocka_unit_test(openai_chat_is_read),
      cmocka_unit_test(openai_embeddings_have_no_output),
      cmocka_unit_test(openai_responses_are_read),
      cmocka_unit_test(anthropic_adds_the_cache_to_the_input),
      cmocka_unit_test(anthropic_streams_cumulative_counts),
      cmocka_unit_test(a_cut_answer_is_not_complete),
      cmocka_unit_test(an_error_inside_a_stream_is_judged),
      cmocka_unit_test(a_rejection_inside_a_stream_costs_no_tokens),
      cmocka_unit_test(hostile_counts_saturate_or_are_ignored),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
