/* What weir reads from request bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <weir/request.h>

static struct weir_request_facts read_body(const char *body)
{
  struct weir_request_facts facts;

  assert_int_equal(weir_request_scan(body, strlen(body), &facts), WEIR_OK);
  return facts;
}

static void finds_the_place_of_the_model(void **state)
{
  const char *body = "{ \"messages\":[{\"model\":\"no\"}], \"model\" : \"gpt-x\" , \"n\":1}";
  struct weir_request_facts facts = read_body(body);
  (void)state;

  assert_true(facts.has_model);
  assert_string_equal(facts.model, "gpt-x");
  assert_int_equal(facts.model_end - facts.model_begin, 7);
  assert_memory_equal(body + facts.model_begin, "\"gpt-x\"", 7);
  assert_false(read_body("{\"model\":7}").has_model);
}

static void the_last_of_two_models_counts(void **state)
{
  (void)state;
  assert_string_equal(read_body("{\"model\":\"a\",\"model\":\"b\"}").model, "b");
}

static void finds_the_bound_of_the_output(void **state)
{
  static const struct {
    const char *body;
    uint64_t tokens;
  } rows[] = {
      {"{\"generationConfig\":{\"maxOutputTokens\":1024}}", 1024},
      {"{\"generationConfig\":{\"candidateCount\":4,\"maxOutputTokens\":1024}}", 4096},
      {"{\"max_tokens\":100}", 100},
      {"{\"max_completion_tokens\":200,\"n\":3}", 600},
      {"{\"max_output_tokens\":300}", 300},
      {"{\"max_tokens\":100,\"max_completion_tokens\":70}", 100},
      {"{\"max_tokens\":0}", 0},
      {"{\"max_tokens\":99999999999,\"n\":99999999999}", UINT64_C(0xffffffff) * 0xffffffff},
  };
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    struct weir_request_facts facts = read_body(rows[i].body);

    assert_true(facts.has_output_max);
    assert_true(facts.output_tokens_max == rows[i].tokens);
  }
  assert_false(read_body("{\"max_tokens\":null,\"tools\":[{\"max_tokens\":5}]}").has_output_max);
}

static void tells_a_stream(void **state)
{
  (void)state;
  assert_true(read_body("{\"stream\":true}").is_stream);
  assert_false(read_body("{\"stream\":false}").is_stream);
  assert_false(read_body("{\"stream\":\"true\",\"x\":{\"stream\":true}}").is_stream);
}

static void tells_whose_prompt_it_is(void **state)
{
  static const struct {
    const char *body;
    bool suits_google, suits_others;
  } rows[] = {
      {"{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}", true, false},
      {"{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", false, true},
      {"{\"input\":\"x\"}", false, true},
      {"{\"prompt\":\"x\"}", false, true},
      {"{\"contents\":[],\"messages\":[]}", true, true},
      {"{}", true, true},
      {"{\"a\":{\"contents\":[],\"messages\":1}}", true, true},
  };
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const struct weir_request_facts facts = read_body(rows[i].body);

    assert_int_equal(weir_request_suits(&facts, WEIR_PROVIDER_GEMINI), rows[i].suits_google);
    assert_int_equal(weir_request_suits(&facts, WEIR_PROVIDER_VERTEX), rows[i].suits_google);
    assert_int_equal(weir_request_suits(&facts, WEIR_PROVIDER_OPENAI), rows[i].suits_others);
    assert_int_equal(weir_request_suits(&facts, WEIR_PROVIDER_ANTHROPIC), rows[i].suits_others);
    assert_int_equal(weir_request_suits(&facts, WEIR_PROVIDER_COMPATIBLE), rows[i].suits_others);
  }
}

static void refuses_what_is_not_one_object(void **state)
{
  static const char *const bodies[] = {"",     "[]",   "7",          "\"x\"",   "{",
                                       "{}{}", "{} x", "{\"a\":1,}", "{\"a\"}", "nul",
                                       "{}[]", "null", "{\"a\":tru}"};
  struct weir_request_facts facts;
  (void)state;

  for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
    if (weir_request_scan(bodies[i], strlen(bodies[i]), &facts) != WEIR_ESYNTAX)
      fail_msg("'%s' was accepted", bodies[i]);
}

static void refuses_a_model_that_does_not_fit(void **state)
{
  char body[WEIR_REQUEST_MODEL_MAX + 32] = "{\"model\":\"";
  struct weir_request_facts facts;
  size_t size = strlen(body);
  (void)state;

  memset(body + size, 'm', WEIR_REQUEST_MODEL_MAX);
  strcpy(body + size + WEIR_REQUEST_MODEL_MAX, "\"}");
  assert_int_equal(weir_request_scan(body, strlen(body), &facts), WEIR_OK);
  assert_int_equal(strlen(facts.model), WEIR_REQUEST_MODEL_MAX);
  strcpy(body + size + WEIR_REQUEST_MODEL_MAX, "m\"}");
  assert_int_equal(weir_request_scan(body, strlen(body), &facts), WEIR_ERANGE);
  assert_int_equal(weir_request_scan("{\"model\":\"a\\u0000b\"}", 20, &facts), WEIR_ERANGE);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_the_place_of_the_model),
      cmocka_unit_test(the_last_of_two_models_counts),
      cmocka_unit_test(finds_the_bound_of_the_output),
      cmocka_unit_test(tells_a_stream),
      cmocka_unit_test(tells_whose_prompt_it_is),
      cmocka_unit_test(refuses_what_is_not_one_object),
      cmocka_unit_test(refuses_a_model_that_does_not_fit),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
