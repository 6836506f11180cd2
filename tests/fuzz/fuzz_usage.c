/* A body read in pieces of any size says what it says in one; requests and estimates survive it. */
#include <assert.h>
#include <string.h>

#include <weir/estimate.h>
#include <weir/request.h>
#include <weir/usage.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct weir_usage_scan whole, pieces;
  struct weir_request_facts facts;
  struct weir_verdict verdict;
  struct weir_estimate estimate;
  struct weir_estimator estimator;
  size_t piece;

  if (size < 1)
    return 0;
  piece = data[0] % 16 + 1;
  data++;
  size--;
  weir_usage_init(&whole);
  weir_usage_feed(&whole, data, size);
  weir_usage_init(&pieces);
  for (size_t at = 0; at < size; at += piece)
    weir_usage_feed(&pieces, data + at, piece < size - at ? piece : size - at);
  assert(whole.usage.has_input == pieces.usage.has_input);
  assert(whole.usage.has_output == pieces.usage.has_output);
  assert(whole.usage.input_tokens == pieces.usage.input_tokens);
  assert(whole.usage.cached_tokens == pieces.usage.cached_tokens);
  assert(whole.usage.cache_write_tokens == pieces.usage.cache_write_tokens);
  assert(whole.usage.output_tokens == pieces.usage.output_tokens);
  assert(whole.is_complete == pieces.is_complete && whole.has_error == pieces.has_error);
  assert(weir_usage_input_charged(&whole.usage, WEIR_PROVIDER_ANTHROPIC) <=
         whole.usage.input_tokens);
  assert(weir_usage_verdict(&whole, WEIR_PROVIDER_OPENAI, &verdict) == whole.has_error);

  if (weir_request_scan(data, size, &facts) == WEIR_OK && facts.has_model)
    assert(facts.model_begin < facts.model_end && facts.model_end <= size);
  weir_estimator_init(&estimator, WEIR_TOKENIZER_GEMMA);
  for (size_t at = 0; at < size; at += piece)
    weir_estimator_feed(&estimator, data + at, piece < size - at ? piece : size - at);
  assert(weir_estimator_result(&estimator).tokens ==
         weir_estimate_text(WEIR_TOKENIZER_GEMMA, data, size).tokens);
  estimate = weir_estimate_body(WEIR_PROVIDER_GEMINI, data, size);
  assert(estimate.low <= estimate.tokens && estimate.tokens <= estimate.high);
  return 0;
}
