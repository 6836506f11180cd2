/* Which key is taken, and where keys are named: in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <weir/keyring.h>

#define NOW (1000 * WEIR_US_PER_S)

static struct weir_keyring ring;

static void keys_are_taken_in_turn(void **state)
{
  (void)state;
  weir_keyring_init(&ring, 3);
  for (uint32_t i = 0; i < 7; i++)
    assert_int_equal(weir_keyring_take(&ring, NOW), i % 3);
}

static void a_rejected_key_rests_for_five_minutes(void **state)
{
  (void)state;
  weir_keyring_init(&ring, 3);
  weir_keyring_reject(&ring, 1, NOW);
  assert_int_equal(weir_keyring_take(&ring, NOW), 0);
  assert_int_equal(weir_keyring_take(&ring, NOW), 2);
  assert_int_equal(weir_keyring_take(&ring, NOW + 300 * WEIR_US_PER_S - 1), 0);
  assert_int_equal(weir_keyring_take(&ring, NOW + 300 * WEIR_US_PER_S), 1);
}

static void when_all_rest_the_first_to_come_back_is_taken(void **state)
{
  (void)state;
  weir_keyring_init(&ring, 3);
  weir_keyring_reject(&ring, 0, NOW + 2);
  weir_keyring_reject(&ring, 1, NOW + 3);
  weir_keyring_reject(&ring, 2, NOW + 1);
  for (int i = 0; i < 3; i++)
    assert_int_equal(weir_keyring_take(&ring, NOW + 4), 2);
}

static void one_key_is_always_taken(void **state)
{
  (void)state;
  weir_keyring_init(&ring, 1);
  weir_keyring_reject(&ring, 0, NOW);
  assert_int_equal(weir_keyring_take(&ring, NOW), 0);
}

static void a_call_tries_again_only_with_another_key_in_rotation(void **state)
{
  (void)state;
  weir_keyring_init(&ring, 2);
  weir_keyring_reject(&ring, 0, NOW);
  assert_true(weir_keyring_is_again(&ring, WEIR_OUTCOME_AUTH, 1, 3, NOW));
  assert_false(weir_keyring_is_again(&ring, WEIR_OUTCOME_PERMISSION, 1, 3, NOW));
  assert_false(weir_keyring_is_again(&ring, WEIR_OUTCOME_OK, 1, 3, NOW));
  weir_keyring_reject(&ring, 1, NOW + 1);
  assert_false(weir_keyring_is_again(&ring, WEIR_OUTCOME_AUTH, 1, 3, NOW + 2));
  assert_true(weir_keyring_is_again(&ring, WEIR_OUTCOME_AUTH, 1, 3, NOW + WEIR_KEY_REST_US));
}

static void a_call_without_retries_left_does_not_try_another_key(void **state)
{
  (void)state;
  weir_keyring_init(&ring, 2);
  weir_keyring_reject(&ring, 0, NOW);
  assert_true(weir_keyring_is_again(&ring, WEIR_OUTCOME_AUTH, 3, 3, NOW));
  assert_false(weir_keyring_is_again(&ring, WEIR_OUTCOME_AUTH, 4, 3, NOW));
  assert_false(weir_keyring_is_again(&ring, WEIR_OUTCOME_AUTH, 1, 0, NOW));
}

static void without_keys_there_is_none_to_try(void **state)
{
  (void)state;
  weir_keyring_init(&ring, 0);
  assert_false(weir_keyring_is_again(&ring, WEIR_OUTCOME_AUTH, 1, 3, NOW));
}

/* ---- places ---- */

static void a_list_of_places_is_read_one_by_one(void **state)
{
  const char *at = "env:A_KEY, file:/run/secrets/k ,env:B";
  struct weir_keyref ref;

  (void)state;
  assert_int_equal(weir_keyref_next(&at, &ref), 1);
  assert_false(ref.is_file);
  assert_int_equal(ref.size, 5);
  assert_memory_equal(ref.name, "A_KEY", 5);
  assert_int_equal(weir_keyref_next(&at, &ref), 1);
  assert_true(ref.is_file);
  assert_int_equal(ref.size, 14);
  assert_memory_equal(ref.name, "/run/secrets/k", 14);
  assert_int_equal(weir_keyref_next(&at, &ref), 1);
  assert_memory_equal(ref.name, "B", 1);
  assert_int_equal(weir_keyref_next(&at, &ref), 0);
}

static void what_names_no_place_is_told(void **state)
{
  static const char *const texts[] = {"AIza-a-key",    "env:",   "file:/",
                                      "file:relative", " ",      "env:A,,env:B",
                                      "env:sk-a-key",  "env:1A", "env:A B"};
  struct weir_keyref ref;

  (void)state;
  for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
    const char *at = texts[i];
    int result;

    do
      result = weir_keyref_next(&at, &ref);
    while (result > 0);
    assert_int_equal(result, -1);
  }
}

/* ---- texts ---- */

static void keys_stand_one_a_line_and_blanks_around_them_do_not_count(void **state)
{
  static const char text[] = "\n  one \r\n\n\ttwo\n three";
  static const char *const keys[] = {"one", "two", "three"};
  static const uint32_t lines[] = {2, 4, 5};
  struct weir_key_scan scan;

  (void)state;
  weir_key_scan_init(&scan, text, strlen(text));
  for (size_t i = 0; i < 3; i++) {
    assert_true(weir_key_scan_next(&scan));
    assert_int_equal(scan.size, strlen(keys[i]));
    assert_memory_equal(scan.key, keys[i], scan.size);
    assert_int_equal(scan.line, lines[i]);
  }
  assert_false(weir_key_scan_next(&scan));
  assert_null(scan.fault);
}

static void what_would_break_a_header_is_no_key(void **state)
{
  static const char *const texts[] = {"good\ntwo words", "good\nta\tb", "good\nmit-\xc3\xbc",
                                      "good\n\x7f", "good\n\x01"};
  struct weir_key_scan scan;

  (void)state;
  for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
    weir_key_scan_init(&scan, texts[i], strlen(texts[i]));
    assert_true(weir_key_scan_next(&scan));
    assert_false(weir_key_scan_next(&scan));
    assert_non_null(scan.fault);
    assert_int_equal(scan.line, 2);
    assert_false(weir_key_scan_next(&scan)); /* it stays so */
  }
}

static void a_key_has_8192_bytes_at_most(void **state)
{
  static char text[WEIR_KEY_SIZE_MAX + 1];
  struct weir_key_scan scan;

  (void)state;
  memset(text, 'k', sizeof(text));
  weir_key_scan_init(&scan, text, WEIR_KEY_SIZE_MAX);
  assert_true(weir_key_scan_next(&scan));
  weir_key_scan_init(&scan, text, WEIR_KEY_SIZE_MAX + 1);
  assert_false(weir_key_scan_next(&scan));
  assert_non_null(scan.fault);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_are_taken_in_turn),
      cmocka_unit_test(a_rejected_key_rests_for_five_minutes),
      cmocka_unit_test(when_all_rest_the_first_to_come_back_is_taken),
      cmocka_unit_test(one_key_is_always_taken),
      cmocka_unit_test(a_call_tries_again_only_with_another_key_in_rotation),
      cmocka_unit_test(a_call_without_retries_left_does_not_try_another_key),
      cmocka_unit_test(without_keys_there_is_none_to_try),
      cmocka_unit_test(a_list_of_places_is_read_one_by_one),
      cmocka_unit_test(what_names_no_place_is_told),
      cmocka_unit_test(keys_stand_one_a_line_and_blanks_around_them_do_not_count),
      cmocka_unit_test(what_would_break_a_header_is_no_key),
      cmocka_unit_test(a_key_has_8192_bytes_at_most),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
