#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/vocab.h>

static void names_every_value_by_its_word(void **state)
{
  (void)state;
#define X(name, value, text) assert_string_equal(weir_dimension_name(WEIR_DIMENSION_##name), text);
  WEIR_DIMENSION_LIST(X)
#undef X
#define X(name, value, text) assert_string_equal(weir_class_name(WEIR_CLASS_##name), text);
  WEIR_CLASS_LIST(X)
#undef X
#define X(name, value, text) assert_string_equal(weir_denial_name(WEIR_DENIAL_##name), text);
  WEIR_DENIAL_LIST(X)
#undef X
#define X(name, value, text) assert_string_equal(weir_outcome_name(WEIR_OUTCOME_##name), text);
  WEIR_OUTCOME_LIST(X)
#undef X
#define X(name, value, text) assert_string_equal(weir_counter_name(WEIR_COUNTER_##name), text);
  WEIR_COUNTER_LIST(X)
#undef X
}

static void parses_every_word_back_to_its_value(void **state)
{
  (void)state;
  for (int i = 1; i < WEIR_DIMENSION_MAX; i++)
    assert_int_equal(weir_dimension_parse(weir_dimension_name((enum weir_dimension)i)), i);
  for (int i = 1; i < WEIR_CLASS_MAX; i++)
    assert_int_equal(weir_class_parse(weir_class_name((enum weir_class)i)), i);
  for (int i = 1; i < WEIR_OUTCOME_MAX; i++)
    assert_int_equal(weir_outcome_parse(weir_outcome_name((enum weir_outcome)i)), i);
}

static void answers_a_question_mark_outside_the_vocabulary(void **state)
{
  (void)state;
  assert_string_equal(weir_class_name((enum weir_class)0), "?");
  assert_string_equal(weir_class_name(WEIR_CLASS_MAX), "?");
  assert_string_equal(weir_dimension_name(WEIR_DIMENSION_MAX), "?");
  assert_string_equal(weir_denial_name(WEIR_DENIAL_MAX), "?");
  assert_string_equal(weir_outcome_name(WEIR_OUTCOME_MAX), "?");
  assert_string_equal(weir_counter_name((enum weir_counter)UINT32_MAX), "?");
}

static void parses_no_word_that_the_vocabulary_lacks(void **state)
{
  const char *strangers[] = {"", "?", "Online", "onlin", "online "};

  (void)state;
  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(weir_class_parse(strangers[i]), 0);
    assert_int_equal(weir_outcome_parse(strangers[i]), 0);
    assert_int_equal(weir_dimension_parse(strangers[i]), 0);
  }
}

static void counts_as_quota_only_what_weir_keeps(void **state)
{
  int quotas = 0;

  (void)state;
  for (int i = 0; i <= WEIR_OUTCOME_MAX; i++)
    quotas += weir_outcome_is_quota((enum weir_outcome)i);
  assert_int_equal(quotas, 4);
  assert_true(weir_outcome_is_quota(WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS));
  assert_true(weir_outcome_is_quota(WEIR_OUTCOME_QUOTA_MINUTE_TOKENS));
  assert_true(weir_outcome_is_quota(WEIR_OUTCOME_QUOTA_DAY_REQUESTS));
  assert_true(weir_outcome_is_quota(WEIR_OUTCOME_QUOTA_DAY_TOKENS));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_every_value_by_its_word),
      cmocka_unit_test(parses_every_word_back_to_its_value),
      cmocka_unit_test(answers_a_question_mark_outside_the_vocabulary),
      cmocka_unit_test(parses_no_word_that_the_vocabulary_lacks),
      cmocka_unit_test(counts_as_quota_only_what_weir_keeps),
  };
  return cmocka_run_group_tests_name("vocab", tests, NULL, NULL);
}
