#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/slots.h>

#define COUNT ((size_t)5 * WEIR_SLOTS_ROW)
#define USERS ((size_t)2 * WEIR_SLOTS_TOGETHER + 1)
#define WORDS ((size_t)3 * WEIR_SLOTS_TOGETHER * COUNT)

static uint64_t storage[WORDS];

static void every_slot_of_every_user_has_a_word_of_its_own(void **state)
{
  (void)state;
  assert_int_equal(weir_slots_words(COUNT, USERS), WORDS);
  for (size_t user = 0; user < USERS; user++) {
    uint64_t *slots = weir_slots_of(storage, COUNT, user);

    for (uint64_t i = 0; i < COUNT; i++) {
      uint64_t *slot = weir_slots_at(slots, i);

      assert_true(slot >= storage && slot < storage + WORDS);
      assert_int_equal(*slot, 0);
      *slot = user * COUNT + i + 1;
    }
  }
  for (size_t user = 0; user < USERS; user++)
    for (uint64_t i = 0; i < COUNT; i++)
      assert_int_equal(*weir_slots_at(weir_slots_of(storage, COUNT, user), i),
                       user * COUNT + i + 1);
}

static void rows_are_whole_and_those_of_the_same_number_are_neighbours(void **state)
{
  uint64_t *first = weir_slots_of(storage, COUNT, 0), *second = weir_slots_of(storage, COUNT, 1);

  (void)state;
  for (uint64_t i = 0; i < COUNT; i += WEIR_SLOTS_ROW) {
    for (uint64_t k = 1; k < WEIR_SLOTS_ROW; k++)
      assert_ptr_equal(weir_slots_at(first, i + k), weir_slots_at(first, i) + k);
    assert_ptr_equal(weir_slots_at(second, i), weir_slots_at(first, i) + WEIR_SLOTS_ROW);
  }
}

static void those_behind_some_begin_where_these_end_and_clearing_ends_there(void **state)
{
  const uint64_t part = 3 * WEIR_SLOTS_ROW;
  uint64_t *slots = weir_slots_of(storage, COUNT, WEIR_SLOTS_TOGETHER);
  uint64_t *behind = weir_slots_from(slots, part);

  (void)state;
  assert_ptr_equal(behind, weir_slots_at(slots, part));
  for (uint64_t i = 0; i < COUNT; i++)
    *weir_slots_at(slots, i) = 1;
  weir_slots_clear(slots, part);
  for (uint64_t i = 0; i < COUNT; i++)
    assert_int_equal(*weir_slots_at(slots, i), i < part ? 0 : 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_slot_of_every_user_has_a_word_of_its_own),
      cmocka_unit_test(rows_are_whole_and_those_of_the_same_number_are_neighbours),
      cmocka_unit_test(those_behind_some_begin_where_these_end_and_clearing_ends_there),
  };
  return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
