/* A table of prices that is read leaves only whole rules, and one that is not leaves nothing. */
#include <assert.h>
#include <string.h>

#include <weir/price.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct weir_price_rule rules[16];
  struct weir_prices prices = {.rules = rules, .capacity = 16, .count = 1};
  const struct weir_usage usage = {
      .has_input = true, .has_output = true, .input_tokens = 300000, .output_tokens = 7};
  struct weir_price_fault fault = {0};
  uint64_t micro;

  memset(rules, 0, sizeof(rules));
  strcpy(rules[0].provider, "gemini");
  strcpy(rules[0].model, "gemini-2.5-pro");
  if (weir_prices_read(&prices, data, size, &fault) != WEIR_OK) {
    assert(prices.count == 1 && fault.text && fault.offset <= size);
    assert(fault.line >= 1 && fault.column >= 1);
    assert(strcmp(rules[0].model, "gemini-2.5-pro") == 0);
    return 0;
  }
  assert(prices.count <= prices.capacity);
  for (uint32_t i = 0; i < prices.count; i++) {
    const struct weir_price_rule *rule = &rules[i];
    const struct weir_price_rule *found =
        weir_price_find(&prices, rule->provider, rule->model, rule->from_day);

    assert(rule->provider[0] && rule->model[0]);
    assert(found == rule); /* no two rules from one day */
    if (weir_price_of_usage(&prices, rule->provider, rule->model, rule->from_day * 86400, &usage,
                            &micro))
      assert(micro <= UINT64_C(1000000) * 300007);
  }
  return 0;
}
