/* What calls cost: the table that is built in, files on top of it, and the arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <weir/civil.h>
#include <weir/price.h>

static struct weir_price_rule rules[WEIR_PRICE_RULES_MAX];
static struct weir_prices prices;
static struct weir_price_fault fault;

static uint64_t at(uint64_t year, uint64_t month, uint64_t day)
{
  return weir_civil_days(year, month, day) * 86400;
}

static enum weir_err read_more(const char *json)
{
  return weir_prices_read(&prices, json, strlen(json), &fault);
}

static void empty(void)
{
  prices = (struct weir_prices){.rules = rules, .capacity = WEIR_PRICE_RULES_MAX};
}

/* A table of one model "p/m" with |price|. */
static void priced(const char *price)
{
  char json[1024] = "{\"models\":[{\"provider\":\"p\",\"model\":\"m\",\"price_usd_per_1m\":";

  empty();
  strcat(json, price);
  strcat(json, "}]}");
  assert_int_equal(read_more(json), WEIR_OK);
}

static void built_in(void)
{
  empty();
  assert_int_equal(weir_prices_read(&prices, weir_price_table, weir_price_table_size, &fault),
                   WEIR_OK);
}

/* Input, the cached part and the written part of it, output. */
static struct weir_usage used(uint64_t input, uint64_t cached, uint64_t written, uint64_t output)
{
  return (struct weir_usage){.has_input = true,
                             .has_output = true,
                             .input_tokens = input,
                             .cached_tokens = cached,
                             .cache_write_tokens = written,
                             .output_tokens = output};
}

static bool cost_at(const char *provider, const char *model, uint64_t wall_s,
                    struct weir_usage usage, uint64_t *ret_micro)
{
  return weir_price_of_usage(&prices, provider, model, wall_s, &usage, ret_micro);
}

static uint64_t cost(struct weir_usage usage)
{
  uint64_t micro = UINT64_MAX;

  assert_true(cost_at("p", "m", at(2026, 11, 25), usage, &micro));
  return micro;
}

static bool is_known(struct weir_usage usage)
{
  uint64_t micro;

  return cost_at("p", "m", at(2026, 11, 25), usage, &micro);
}

/* ---- arithmetic ---- */

static void each_part_of_a_call_has_its_price(void **state)
{
  (void)state;
  priced("{\"input\":2,\"cached_input\":0.5,\"cache_write\":3,\"output\":10}");
  assert_int_equal(cost(used(1000, 0, 0, 0)), 2000);
  assert_int_equal(cost(used(0, 0, 0, 1000)), 10000);
  assert_int_equal(cost(used(1000, 400, 0, 0)), 1200 + 200);
  assert_int_equal(cost(used(1000, 400, 100, 50)), 1000 + 200 + 300 + 500);
}

static void a_fraction_of_a_millionth_is_rounded_up_once(void **state)
{
  (void)state;
  priced("{\"input\":0.1,\"output\":0.1}");
  assert_int_equal(cost(used(0, 0, 0, 0)), 0);
  assert_int_equal(cost(used(1, 0, 0, 0)), 1);
  assert_int_equal(cost(used(5, 0, 0, 5)), 1); /* exactly one */
  assert_int_equal(cost(used(5, 0, 0, 6)), 2);
}

static void cached_input_without_a_price_of_its_own_costs_what_input_costs(void **state)
{
  (void)state;
  priced("{\"input\":2,\"output\":10}");
  assert_int_equal(cost(used(1000, 400, 100, 0)), 2000);
}

static void a_cached_part_larger_than_the_whole_is_the_whole(void **state)
{
  (void)state;
  priced("{\"input\":2,\"cached_input\":1,\"cache_write\":4}");
  assert_int_equal(cost(used(100, 900, 0, 0)), 100);
  assert_int_equal(cost(used(100, 60, 900, 0)), 60 + 160);
}

static void a_long_context_is_priced_whole(void **state)
{
  (void)state;
  priced("{\"input\":1,\"output\":10,\"cached_input\":0.1,\"long_context_starts_at\":200000,"
         "\"input_long\":2,\"output_long\":15,\"cached_input_long\":0.2}");
  assert_int_equal(cost(used(200000, 0, 0, 100)), 200000 + 1000);
  assert_int_equal(cost(used(200001, 0, 0, 100)), 400002 + 1500);
  assert_int_equal(cost(used(200001, 1, 0, 0)), 400001); /* 400000.2 */
}

static void above_a_long_context_without_prices_nothing_is_known(void **state)
{
  (void)state;
  priced("{\"input\":1,\"output\":10,\"long_context_starts_at\":1000}");
  assert_true(is_known(used(1000, 0, 0, 1)));
  assert_false(is_known(used(1001, 0, 0, 1)));
}

static void what_was_not_counted_has_no_cost(void **state)
{
  struct weir_usage usage = used(10, 0, 0, 10);

  (void)state;
  priced("{\"input\":1,\"output\":10}");
  usage.has_output = false;
  assert_false(is_known(usage));
  usage.has_output = true;
  usage.has_input = false;
  assert_false(is_known(usage));
}

static void output_without_a_price_is_known_only_where_there_is_none(void **state)
{
  (void)state;
  priced("{\"input\":0.15}");
  assert_int_equal(cost(used(1000000, 0, 0, 0)), 150000);
  assert_false(is_known(used(1000000, 0, 0, 1)));
}

static void the_largest_counts_at_the_highest_price_saturate(void **state)
{
  (void)state;
  priced("{\"input\":1000000,\"output\":1000000}");
  assert_int_equal(cost(used(UINT64_MAX, 0, 0, UINT64_MAX)), UINT64_MAX);
  assert_int_equal(cost(used(UINT64_C(1) << 30, 0, 0, 0)), (UINT64_C(1) << 30) * 1000000);
}

/* ---- dates and names ---- */

static void a_price_holds_from_its_day_on_whatever_the_order(void **state)
{
  uint64_t micro = 0;

  (void)state;
  priced("{\"from_2027-06-01\":{\"input\":5},\"input\":1,\"from_2027-01-01\":{\"input\":3},"
         "\"cached_input\":0.5}");
  assert_true(cost_at("p", "m", at(2027, 1, 1) - 1, used(100, 10, 0, 0), &micro));
  assert_int_equal(micro, 95);
  assert_true(cost_at("p", "m", at(2027, 1, 1), used(100, 10, 0, 0), &micro));
  assert_int_equal(micro, 300); /* takes over nothing from the one before */
  assert_true(cost_at("p", "m", at(2027, 6, 1), used(100, 0, 0, 0), &micro));
  assert_int_equal(micro, 500);
  assert_true(cost_at("p", "m", 0, used(100, 0, 0, 0), &micro));
  assert_int_equal(micro, 100);
}

static void a_dated_name_has_the_price_of_its_base_unless_it_has_its_own(void **state)
{
  static const char *const same[] = {"m", "m-2026-08-07", "m-20260807"};
  static const char *const other[] = {"m-2026-13-07", "m-2026080",  "m-mini", "m-",         "mm",
                                      "-2026-08-07",  "2026-08-07", "m-001",  "m2026-08-07"};
  uint64_t micro;

  (void)state;
  empty();
  assert_int_equal(
      read_more("{\"models\":[{\"provider\":\"p\",\"model\":\"m\",\"price_usd_per_1m\":"
                "{\"input\":1}},{\"provider\":\"p\",\"model\":\"m-2026-09-09\","
                "\"price_usd_per_1m\":{\"input\":7}}]}"),
      WEIR_OK);
  for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++) {
    assert_true(cost_at("p", same[i], 0, used(1, 0, 0, 0), &micro));
    assert_int_equal(micro, 1);
  }
  for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++)
    assert_false(cost_at("p", other[i], 0, used(1, 0, 0, 0), &micro));
  assert_true(cost_at("p", "m-2026-09-09", 0, used(1, 0, 0, 0), &micro));
  assert_int_equal(micro, 7);
  assert_false(cost_at("q", "m", 0, used(1, 0, 0, 0), &micro));
}

/* ---- the table that is built in ---- */

static void the_built_in_table_is_read_and_has_the_announced_change(void **state)
{
  uint64_t micro = 0;

  (void)state;
  built_in();
  assert_true(prices.count > 40);
  assert_true(cost_at("gemini", "gemini-3.8-flash", at(2026, 12, 31), used(1000000, 0, 0, 1000000),
                      &micro));
  assert_int_equal(micro, 750000 + 3750000);
  assert_true(
      cost_at("gemini", "gemini-3.8-flash", at(2027, 1, 1), used(1000000, 0, 0, 1000000), &micro));
  assert_int_equal(micro, 1500000 + 7500000);
  assert_true(cost_at("gemini", "gemini-2.5-pro", at(2026, 12, 31), used(200001, 0, 0, 0), &micro));
  assert_int_equal(micro, 500003); /* 500002.5 */
  assert_true(
      cost_at("openai", "gpt-5-2025-08-07", at(2026, 1, 1), used(1000000, 0, 0, 0), &micro));
  assert_int_equal(micro, 1250000);
  assert_true(cost_at("anthropic", "claude-haiku-4-5-20251001", at(2026, 1, 1),
                      used(0, 0, 0, 1000000), &micro));
  assert_int_equal(micro, 5000000);
  assert_false(cost_at("gemini", "gemini-4-argon", at(2026, 12, 31), used(1, 0, 0, 0), &micro));
}

static void a_file_wins_for_the_models_that_it_names(void **state)
{
  uint32_t count;
  uint64_t micro = 0;

  (void)state;
  built_in();
  count = prices.count;
  assert_int_equal(
      read_more("{\"models\":[{\"provider\":\"gemini\",\"model\":\"gemini-3.8-flash\","
                "\"price_usd_per_1m\":{\"input\":9}},{\"provider\":\"openai\",\"model\":\"gpt-5\","
                "\"price_usd_per_1m\":null},{\"provider\":\"mine\",\"model\":\"m\","
                "\"price_usd_per_1m\":{\"input\":0,\"output\":0}}]}"),
      WEIR_OK);
  assert_int_equal(prices.count, count); /* one less of the first, one more of the last */
  assert_true(cost_at("gemini", "gemini-3.8-flash", at(2027, 2, 1), used(1000, 0, 0, 0), &micro));
  assert_int_equal(micro, 9000);
  assert_false(cost_at("openai", "gpt-5", at(2026, 12, 1), used(1, 0, 0, 0), &micro));
  assert_true(cost_at("openai", "gpt-5-mini", at(2026, 12, 1), used(4, 0, 0, 0), &micro));
  assert_int_equal(micro, 1);
  assert_true(cost_at("mine", "m", 0, used(1000, 0, 0, 1000), &micro));
  assert_int_equal(micro, 0);
}

/* ---- files that are wrong ---- */

#define MODEL(price)   "{\"provider\":\"p\",\"model\":\"m\",\"price_usd_per_1m\":" price "}"
#define FILE_OF(price) "{\"models\":[" MODEL(price) "]}"

static void what_is_wrong_is_told_with_its_place_and_changes_nothing(void **state)
{
  static const struct {
    const char *json, *text;
    uint64_t line, column;
  } cases[] = {
      {"", "no \"models\"", 1, 1},
      {"{}", "no \"models\"", 1, 1},
      {"7", "one object", 1, 1},
      {"[]", "one object", 1, 1},
      {"{\"models\":[]} {}", "one object", 1, 15},
      {"{\"models\":{}}", "is an array", 1, 11},
      {"{\"models\":[7]}", "a model is an object", 1, 12},
      {"{\"models\":[{}]}", "a model needs", 1, 12},
      {"{\"models\":[\n{\"provider\":\"p\",\"model\":\"m\"}]}", "a model needs", 2, 1},
      {"{\"models\":[\n{\"provider\":7}]}", "a provider is a text", 2, 13},
      {"{\"models\":[{\"model\":\"\"}]}", "a provider is a text", 1, 21},
      {"{\"models\":[\n\n  oops]}", "not JSON", 3, 3},
      {"{\"models\":[", "not JSON", 1, 12},
      {"{\"models\":[{\"price_usd_per_1m\":{\"input\":1", "not JSON", 1, 42},
      {FILE_OF("7"), "is an object of prices", 1, 59},
      {FILE_OF("{}"), "without \"input\"", 1, 59},
      {FILE_OF("{\"output\":1}"), "without \"input\"", 1, 59},
      {FILE_OF("{\"input\":\"1\"}"), "a price is a number", 1, 68},
      {FILE_OF("{\"input\":{}}"), "a price is a number", 1, 68},
      {FILE_OF("{\"input\":-1}"), "a decimal number", 1, 68},
      {FILE_OF("{\"input\":1e3}"), "a decimal number", 1, 68},
      {FILE_OF("{\"input\":0.0000001}"), "a decimal number", 1, 68},
      {FILE_OF("{\"input\":1000000.000001}"), "a decimal number", 1, 68},
      {FILE_OF("{\"input\":99999999999999999999999}"), "a decimal number", 1, 68},
      {FILE_OF("{\"inptu\":1}"), "unknown member", 1, 68},
      {FILE_OF("{\"input\":1,\"input_long\":2}"), "long_context_starts_at", 1, 59},
      {FILE_OF("{\"input\":1,\"long_context_starts_at\":0}"), "whole number", 1, 95},
      {FILE_OF("{\"input\":1,\"from_2027-02-30\":{\"input\":2}}"), "no date", 1, 88},
      {FILE_OF("{\"input\":1,\"from_2027-02-03.input\":2}"), "no date", 1, 94},
      {FILE_OF("{\"input\":1,\"from_2027-02-03\":2}"), "with a date is an object", 1, 88},
      {FILE_OF("{\"input\":1,\"from_2027-02-03\":{}}"), "without \"input\"", 1, 88},
      {FILE_OF("{\"input\":1,\"from_2027-02-03\":{\"x\":2}}"), "unknown member", 1, 93},
      {FILE_OF("{\"input\":1,\"from_2027-02-03\":{\"input\":2},\"from_2027-02-03\":{\"input\":2}}"),
       "same day", 1, 12},
      {"{\"models\":[" MODEL("{\"input\":1}") "," MODEL("null") "]}", "stands twice", 1, 72},
  };

  (void)state;
  priced("{\"input\":3}");
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    memset(&fault, 0, sizeof(fault));
    assert_int_equal(read_more(cases[i].json), WEIR_ESYNTAX);
    if (!strstr(fault.text, cases[i].text))
      fail_msg("%s: %s", cases[i].json, fault.text);
    if (fault.line != cases[i].line || fault.column != cases[i].column)
      fail_msg("%s: at %d:%d", cases[i].json, (int)fault.line, (int)fault.column);
    assert_int_equal(prices.count, 1);
    assert_int_equal(cost(used(100, 0, 0, 0)), 300);
  }
}

static void other_members_are_passed_over_whatever_they_look_like(void **state)
{
  (void)state;
  empty();
  assert_int_equal(
      read_more("{\"as_of\":[{\"provider\":7}],\"models[]\":{\"provider\":9},\"models\":[{"
                "\"limits\":{\"price_usd_per_1m\":{\"inptu\":1}},\"note\":null,\"model\":\"m\","
                "\"price_usd_per_1m.input\":\"x\",\"price_usd_per_1m\":{\"input\":1},"
                "\"provider\":\"p\"}]}"),
      WEIR_OK);
  assert_int_equal(prices.count, 1);
  assert_int_equal(cost(used(100, 0, 0, 0)), 100);
}

static void more_prices_than_there_is_room_for_are_refused(void **state)
{
  (void)state;
  priced("{\"input\":3}");
  prices.capacity = 2;
  assert_int_equal(
      read_more("{\"models\":[{\"provider\":\"p\",\"model\":\"n\",\"price_usd_per_1m\":"
                "{\"input\":1,\"from_2027-01-01\":{\"input\":2}}}]}"),
      WEIR_ESYNTAX);
  assert_non_null(strstr(fault.text, "too many"));
  assert_int_equal(
      read_more("{\"models\":[{\"provider\":\"p\",\"model\":\"n\",\"price_usd_per_1m\":"
                "{\"input\":1}}]}"),
      WEIR_OK);
  assert_int_equal(prices.count, 2);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_part_of_a_call_has_its_price),
      cmocka_unit_test(a_fraction_of_a_millionth_is_rounded_up_once),
      cmocka_unit_test(cached_input_without_a_price_of_its_own_costs_what_input_costs),
      cmocka_unit_test(a_cached_part_larger_than_the_whole_is_the_whole),
      cmocka_unit_test(a_long_context_is_priced_whole),
      cmocka_unit_test(above_a_long_context_without_prices_nothing_is_known),
      cmocka_unit_test(what_was_not_counted_has_no_cost),
      cmocka_unit_test(output_without_a_price_is_known_only_where_there_is_none),
      cmocka_unit_test(the_largest_counts_at_the_highest_price_saturate),
      cmocka_unit_test(a_price_holds_from_its_day_on_whatever_the_order),
      cmocka_unit_test(a_dated_name_has_the_price_of_its_base_unless_it_has_its_own),
      cmocka_unit_test(the_built_in_table_is_read_and_has_the_announced_change),
      cmocka_unit_test(a_file_wins_for_the_models_that_it_names),
      cmocka_unit_test(what_is_wrong_is_told_with_its_place_and_changes_nothing),
      cmocka_unit_test(other_members_are_passed_over_whatever_they_look_like),
      cmocka_unit_test(more_prices_than_there_is_room_for_are_refused),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
