#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <weir/err.h>

static void names_every_error_by_its_symbol(void **state)
{
  (void)state;
#define X(name, value, class, text) assert_string_equal(weir_err_name(WEIR_##name), #name);
  WEIR_ERR_LIST(X)
#undef X
  assert_string_equal(weir_err_name(WEIR_OK), "OK");
}

static void gives_every_error_its_text_and_class(void **state)
{
  (void)state;
#define X(name, value, class, text)                                                                \
  assert_string_equal(weir_err_text(WEIR_##name), text);                                           \
  assert_int_equal(weir_err_class(WEIR_##name), WEIR_ERR_CLASS_##class);
  WEIR_ERR_LIST(X)
#undef X
}

static void keeps_the_numbers_that_callers_may_have_compiled_in(void **state)
{
  (void)state;
  assert_int_equal(WEIR_OK, 0);
  assert_int_equal(WEIR_EINVAL, -1);
  assert_int_equal(WEIR_EDENIED, -17);
  assert_int_equal(WEIR_EAGAIN, -25);
}

static void answers_for_numbers_that_are_no_error(void **state)
{
  const int strangers[] = {1, -1000, 12345};

  (void)state;
  for (size_t i = 0; i < 3; i++) {
    assert_string_equal(weir_err_name(strangers[i]), "E?");
    assert_string_equal(weir_err_text(strangers[i]), "an unknown error");
    assert_int_equal(weir_err_class(strangers[i]), WEIR_ERR_CLASS_FATAL);
  }
}

static void ends_no_text_with_a_full_stop(void **state)
{
  (void)state;
  for (int err = 0; strcmp(weir_err_name(err), "E?") != 0; err--) {
    const char *text = weir_err_text(err);

    assert_true(strlen(text) > 0);
    assert_int_not_equal(text[strlen(text) - 1], '.');
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_every_error_by_its_symbol),
      cmocka_unit_test(gives_every_error_its_text_and_class),
      cmocka_unit_test(keeps_the_numbers_that_callers_may_have_compiled_in),
      cmocka_unit_test(answers_for_numbers_that_are_no_error),
      cmocka_unit_test(ends_no_text_with_a_full_stop),
  };
  return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
