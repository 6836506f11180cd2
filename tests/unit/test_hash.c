/* Hashes are in stores, as what records are about: another value would make strangers of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/hash.h>

static void without_a_seed_a_text_has_its_published_hash(void **state)
{
  (void)state;
  assert_int_equal(weir_hash_text("", 0), UINT64_C(0xcbf29ce484222325));
  assert_int_equal(weir_hash_text("a", 0), UINT64_C(0xaf63dc4c8601ec8c));
  assert_int_equal(weir_hash_text("foobar", 0), UINT64_C(0x85944171f73967e8));
}

static void another_seed_is_another_hash(void **state)
{
  (void)state;
  assert_int_equal(weir_hash_text("foobar", 1), UINT64_C(0x34ed02d2e824422b));
  assert_int_equal(weir_hash_text("foobar", 2), UINT64_C(0x3057ff19708d77f6));
}

static void numbers_are_told_apart_by_value_and_by_place(void **state)
{
  const uint64_t one = weir_hash_number(WEIR_HASH_BASIS, 1);

  (void)state;
  assert_int_equal(one, UINT64_C(0xaf63bc49fd1c5448));
  assert_int_not_equal(weir_hash_number(one, 2),
                       weir_hash_number(weir_hash_number(WEIR_HASH_BASIS, 2), 1));
  /* What differs in the high bits only differs in the low ones as well. */
  assert_int_not_equal((uint32_t)weir_hash_number(WEIR_HASH_BASIS, UINT64_C(1) << 60),
                       (uint32_t)weir_hash_number(WEIR_HASH_BASIS, 0));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_a_seed_a_text_has_its_published_hash),
      cmocka_unit_test(another_seed_is_another_hash),
      cmocka_unit_test(numbers_are_told_apart_by_value_and_by_place),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
