#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <weir/cursor.h>

/* A cursor over the bytes of a string literal. */
#define CURSOR(c, bytes) weir_cursor_init((c), "" bytes, sizeof("" bytes) - 1)

static void reads_unsigned_integers_of_every_width(void **state)
{
  struct weir_cursor c;
  const uint64_t expected[] = {0, 0x7f, 0xff, 0x1234, 0x12345678, UINT64_C(0x123456789abcdef0)};
  uint64_t value;

  (void)state;
  CURSOR(&c,
         "\x00\x7f\xcc\xff\xcd\x12\x34\xce\x12\x34\x56\x78\xcf\x12\x34\x56\x78\x9a\xbc\xde\xf0");
  for (size_t i = 0; i < 6; i++) {
    assert_int_equal(weir_cursor_uint(&c, UINT64_MAX, &value), WEIR_OK);
    assert_true(value == expected[i]);
  }
  assert_int_equal(weir_cursor_left(&c), 0);
}

static void refuses_an_integer_above_its_maximum(void **state)
{
  struct weir_cursor c;
  uint64_t value = 77;

  (void)state;
  CURSOR(&c, "\x05\x06");
  assert_int_equal(weir_cursor_uint(&c, 5, &value), WEIR_OK);
  assert_int_equal(weir_cursor_uint(&c, 5, &value), WEIR_ERANGE);
  assert_int_equal(value, 5);
}

static void refuses_every_type_that_is_not_asked_for(void **state)
{
  /* Negative fixint, nil, the unused 0xc1, false, bin, ext, float, double, int8, fixext, str,
   * array, map: none is an unsigned integer, and of these only false is a boolean. */
  static const uint8_t heads[] = {0xff, 0xc0, 0xc1, 0xc2, 0xc4, 0xc7, 0xca, 0xcb, 0xd0,
                                  0xd3, 0xd4, 0xd9, 0xda, 0xdd, 0xdf, 0x90, 0x80};
  struct weir_cursor c;
  uint64_t value;
  uint8_t bin[1];
  char text[8];
  bool flag;

  (void)state;
  for (size_t i = 0; i < sizeof(heads); i++) {
    const uint8_t bytes[16] = {heads[i]};

    weir_cursor_init(&c, bytes, sizeof(bytes));
    assert_int_equal(weir_cursor_uint(&c, UINT64_MAX, &value), WEIR_ETYPE);
    weir_cursor_init(&c, bytes, sizeof(bytes));
    assert_int_equal(weir_cursor_bool(&c, &flag), heads[i] == 0xc2 ? WEIR_OK : WEIR_ETYPE);
    weir_cursor_init(&c, bytes, sizeof(bytes));
    assert_int_equal(weir_cursor_str(&c, text, 8), heads[i] == 0xd9 ? WEIR_OK : WEIR_ETYPE);
    weir_cursor_init(&c, bytes, sizeof(bytes));
    assert_int_equal(weir_cursor_bin(&c, bin, 1), heads[i] == 0xc4 ? WEIR_ERANGE : WEIR_ETYPE);
  }
}

static void copies_strings_with_their_terminator(void **state)
{
  struct weir_cursor c;
  char text[4] = "zzz";

  (void)state;
  CURSOR(&c, "\xa3"
             "abc"
             "\xd9\x02"
             "de"
             "\xa0"
             "\xa4"
             "abcd");
  assert_int_equal(weir_cursor_str(&c, text, sizeof(text)), WEIR_OK);
  assert_string_equal(text, "abc");
  assert_int_equal(weir_cursor_str(&c, text, sizeof(text)), WEIR_OK);
  assert_string_equal(text, "de");
  assert_int_equal(weir_cursor_str(&c, text, sizeof(text)), WEIR_OK);
  assert_string_equal(text, "");
  assert_int_equal(weir_cursor_str(&c, text, sizeof(text)), WEIR_ERANGE);
}

static void refuses_control_characters_in_strings(void **state)
{
  struct weir_cursor c;
  char text[8] = "kept";

  (void)state;
  CURSOR(&c, "\xa2"
             "a\n");
  assert_int_equal(weir_cursor_str(&c, text, sizeof(text)), WEIR_ERANGE);
  CURSOR(&c, "\xa2"
             "a\x7f");
  assert_int_equal(weir_cursor_str(&c, text, sizeof(text)), WEIR_ERANGE);
  CURSOR(&c, "\xa2"
             "a\0");
  assert_int_equal(weir_cursor_str(&c, text, sizeof(text)), WEIR_ERANGE);
  assert_string_equal(text, "kept");
}

static void reads_binaries_of_exactly_the_expected_size(void **state)
{
  struct weir_cursor c;
  uint8_t bin[2] = {9, 9};

  (void)state;
  CURSOR(&c, "\xc4\x02\x01\x02");
  assert_int_equal(weir_cursor_bin(&c, bin, 2), WEIR_OK);
  assert_int_equal(bin[1], 2);
  CURSOR(&c, "\xc4\x03\x01\x02\x03");
  assert_int_equal(weir_cursor_bin(&c, bin, 2), WEIR_ERANGE);
  CURSOR(&c, "\xc4\x02\x01");
  assert_int_equal(weir_cursor_bin(&c, bin, 2), WEIR_ETRUNCATED);
}

static void reads_heads_of_containers_up_to_a_maximum(void **state)
{
  struct weir_cursor c;
  uint32_t count;

  (void)state;
  CURSOR(&c, "\x82\xde\x00\x10\x93\xdc\x01\x00");
  assert_int_equal(weir_cursor_map(&c, 32, &count), WEIR_OK);
  assert_int_equal(count, 2);
  assert_int_equal(weir_cursor_map(&c, 32, &count), WEIR_OK);
  assert_int_equal(count, 16);
  assert_int_equal(weir_cursor_array(&c, 3, &count), WEIR_OK);
  assert_int_equal(count, 3);
  assert_int_equal(weir_cursor_array(&c, 255, &count), WEIR_ERANGE);
}

static void gains_nothing_from_huge_announced_lengths(void **state)
{
  /* array32 and map32 of 10^8 elements, str32, bin32: four bytes of length are no type of ours. */
  static const uint8_t heads[] = {0xdd, 0xdf, 0xdb, 0xc6, 0xc5, 0xda, 0xc8};
  struct weir_cursor c;

  (void)state;
  for (size_t i = 0; i < sizeof(heads); i++) {
    const uint8_t bytes[] = {heads[i], 0x05, 0xf5, 0xe1, 0x00};

    weir_cursor_init(&c, bytes, sizeof(bytes));
    assert_int_equal(weir_cursor_skip(&c), WEIR_ETYPE);
  }
  CURSOR(&c, "\xdc\xff\xff\x01");
  assert_int_equal(weir_cursor_skip(&c), WEIR_ETRUNCATED);
}

static void keeps_its_first_error(void **state)
{
  struct weir_cursor c;
  uint64_t value = 42;
  bool flag = true;

  (void)state;
  CURSOR(&c, "\xc0\x01\xc2");
  assert_int_equal(weir_cursor_uint(&c, 9, &value), WEIR_ETYPE);
  assert_int_equal(weir_cursor_uint(&c, 9, &value), WEIR_ETYPE);
  assert_int_equal(weir_cursor_bool(&c, &flag), WEIR_ETYPE);
  assert_int_equal(weir_cursor_fail(&c, WEIR_EMISSING), WEIR_ETYPE);
  assert_int_equal(weir_cursor_skip(&c), WEIR_ETYPE);
  assert_int_equal(value, 42);
  assert_true(flag);
}

static void reports_truncation_at_every_byte_of_a_value(void **state)
{
  static const char whole[] = "\x83\x01\xcd\x12\x34\x02\xd9\x03"
                              "abc"
                              "\x03\x92\xc3\xcf"
                              "\x01\x02\x03\x04\x05\x06\x07\x08";
  struct weir_cursor c;
  size_t size = sizeof(whole) - 1;

  (void)state;
  weir_cursor_init(&c, whole, size);
  assert_int_equal(weir_cursor_skip(&c), WEIR_OK);
  assert_int_equal(weir_cursor_left(&c), 0);
  for (size_t cut = 0; cut < size; cut++) {
    weir_cursor_init(&c, whole, cut);
    assert_int_equal(weir_cursor_skip(&c), WEIR_ETRUNCATED);
  }
}

static void passes_over_exactly_one_value(void **state)
{
  struct weir_cursor c;
  uint64_t value = 0;

  (void)state;
  CURSOR(&c, "\x92\x80\x90\x07");
  assert_int_equal(weir_cursor_skip(&c), WEIR_OK);
  assert_int_equal(weir_cursor_uint(&c, 9, &value), WEIR_OK);
  assert_int_equal(value, 7);
}

static void passes_over_nesting_only_up_to_its_depth(void **state)
{
  struct weir_cursor c;

  (void)state;
  CURSOR(&c, "\x91\x81\x00\x91\x91\x07");
  assert_int_equal(weir_cursor_skip(&c), WEIR_OK);
  assert_int_equal(weir_cursor_left(&c), 0);
  CURSOR(&c, "\x91\x81\x00\x91\x91\x90");
  assert_int_equal(weir_cursor_skip(&c), WEIR_EDEPTH);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_unsigned_integers_of_every_width),
      cmocka_unit_test(refuses_an_integer_above_its_maximum),
      cmocka_unit_test(refuses_every_type_that_is_not_asked_for),
      cmocka_unit_test(copies_strings_with_their_terminator),
      cmocka_unit_test(refuses_control_characters_in_strings),
      cmocka_unit_test(reads_binaries_of_exactly_the_expected_size),
      cmocka_unit_test(reads_heads_of_containers_up_to_a_maximum),
      cmocka_unit_test(gains_nothing_from_huge_announced_lengths),
      cmocka_unit_test(keeps_its_first_error),
      cmocka_unit_test(reports_truncation_at_every_byte_of_a_value),
      cmocka_unit_test(passes_over_exactly_one_value),
      cmocka_unit_test(passes_over_nesting_only_up_to_its_depth),
  };
  return cmocka_run_group_tests_name("cursor", tests, NULL, NULL);
}
