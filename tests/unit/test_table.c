#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/rng.h>
#include <weir/table.h>

#define CAPACITY_MAX 300

static struct weir_table_slot storage[1024];

/* The same map by linear search. */
struct naive {
  uint64_t keys[CAPACITY_MAX];
  uint32_t values[CAPACITY_MAX];
  uint32_t count;
};

static uint32_t naive_find(const struct naive *n, uint64_t key)
{
  uint32_t i = 0;

  while (i < n->count && n->keys[i] != key)
    i++;
  return i;
}

static void agrees_with_linear_search_over_random_operations(uint32_t capacity, uint64_t seed,
                                                             uint64_t stride)
{
  struct naive naive = {.count = 0};
  struct weir_table table;
  struct weir_rng rng;

  assert_true(weir_table_size(capacity) <= sizeof(storage));
  weir_table_init(&table, storage, capacity);
  weir_rng_init(&rng, seed);
  for (int step = 0; step < 20000; step++) {
    uint64_t key = weir_rng_below(&rng, 2 * (uint64_t)capacity + 1) * stride;
    uint32_t value = (uint32_t)weir_rng_next(&rng), found = 0, at = naive_find(&naive, key);
    bool is_there = at < naive.count;

    assert_int_equal(weir_table_find(&table, key, &found), is_there);
    if (is_there)
      assert_int_equal(found, naive.values[at]);
    if (weir_rng_below(&rng, 5) < 3) {
      bool fits = is_there || naive.count < capacity;

      assert_int_equal(weir_table_put(&table, key, value), fits ? WEIR_OK : WEIR_EFULL);
      if (fits) {
        naive.keys[at] = key;
        naive.values[at] = value;
        naive.count += !is_there;
      }
    } else {
      assert_int_equal(weir_table_remove(&table, key), is_there);
      if (is_there) {
        naive.count--;
        naive.keys[at] = naive.keys[naive.count];
        naive.values[at] = naive.values[naive.count];
      }
    }
    assert_int_equal(table.count, naive.count);
  }
}

static void is_the_map_that_linear_search_is(void **state)
{
  (void)state;
  agrees_with_linear_search_over_random_operations(1, 1, 1);
  agrees_with_linear_search_over_random_operations(2, 2, 1);
  agrees_with_linear_search_over_random_operations(3, 3, UINT64_C(1) << 32);
  agrees_with_linear_search_over_random_operations(12, 4, 1);
  agrees_with_linear_search_over_random_operations(CAPACITY_MAX, 5, 1);
  agrees_with_linear_search_over_random_operations(CAPACITY_MAX, 6, UINT64_C(0x100000001));
}

static void keeps_at_least_a_quarter_of_its_slots_free(void **state)
{
  (void)state;
  for (uint32_t capacity = 0; capacity < 5000; capacity++) {
    size_t slots = weir_table_size(capacity) / sizeof(struct weir_table_slot);

    assert_true(slots * 3 >= (size_t)capacity * 4);
    assert_true(slots > capacity);
    assert_int_equal(slots & (slots - 1), 0);
  }
}

static void replaces_a_value_even_when_full(void **state)
{
  struct weir_table table;
  uint32_t value = 0;

  (void)state;
  weir_table_init(&table, storage, 2);
  assert_int_equal(weir_table_put(&table, 1, 10), WEIR_OK);
  assert_int_equal(weir_table_put(&table, 2, 20), WEIR_OK);
  assert_int_equal(weir_table_put(&table, 3, 30), WEIR_EFULL);
  assert_int_equal(weir_table_put(&table, 2, 21), WEIR_OK);
  assert_true(weir_table_find(&table, 2, &value));
  assert_int_equal(value, 21);
  assert_true(weir_table_find(&table, 1, NULL));
  assert_false(weir_table_find(&table, 3, NULL));
}

static void holds_nothing_with_capacity_0(void **state)
{
  struct weir_table table;

  (void)state;
  weir_table_init(&table, storage, 0);
  assert_int_equal(weir_table_put(&table, 0, 1), WEIR_EFULL);
  assert_false(weir_table_find(&table, 0, NULL));
  assert_false(weir_table_remove(&table, 0));
}

static void keys_of_texts_differ_by_every_byte_and_by_length_and_seed(void **state)
{
  char text[20] = "0123456789abcdefghi";
  const uint64_t key = weir_table_key(text, 1);

  (void)state;
  assert_true(weir_table_key(text, 2) != key);
  assert_true(weir_table_key("", 1) != weir_table_key("", 2));
  for (size_t i = 0; i + 1 < sizeof(text); i++) {
    text[i] ^= 1;
    assert_true(weir_table_key(text, 1) != key);
    text[i] ^= 1;
  }
  for (size_t left = sizeof(text) - 1; left > 0; left--) {
    const uint64_t longer = weir_table_key(text, 1);

    text[left - 1] = '\0';
    assert_true(weir_table_key(text, 1) != longer);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_the_map_that_linear_search_is),
      cmocka_unit_test(keeps_at_least_a_quarter_of_its_slots_free),
      cmocka_unit_test(replaces_a_value_even_when_full),
      cmocka_unit_test(holds_nothing_with_capacity_0),
      cmocka_unit_test(keys_of_texts_differ_by_every_byte_and_by_length_and_seed),
  };
  return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
