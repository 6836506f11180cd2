/* The table of providers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <weir/provider.h>

static void names_and_kinds_agree(void **state)
{
  (void)state;
  for (int i = 1; i < WEIR_PROVIDER_MAX; i++) {
    enum weir_provider_kind kind = (enum weir_provider_kind)i;

    assert_int_equal(weir_provider_kind_parse(weir_provider_kind_name(kind)), kind);
    assert_non_null(weir_provider_rules_of(kind)->classify);
    assert_non_null(weir_provider_rules_of(kind)->key_header);
    assert_in_range(weir_provider_rules_of(kind)->tokenizer, 1, WEIR_TOKENIZER_MAX - 1);
  }
  assert_int_equal(weir_provider_kind_parse("Gemini"), 0);
  assert_int_equal(weir_provider_kind_parse("?"), 0);
  assert_string_equal(weir_provider_kind_name((enum weir_provider_kind)99), "?");
  assert_ptr_equal(weir_provider_rules_of((enum weir_provider_kind)99),
                   weir_provider_rules_of(WEIR_PROVIDER_COMPATIBLE));
}

static void paths_hold_the_model_where_the_provider_wants_it(void **state)
{
  static const struct {
    enum weir_provider_kind kind;
    bool is_stream;
    const char *model;
    const char *path;
  } rows[] = {
      {WEIR_PROVIDER_GEMINI, false, "gemini-x", "/v1beta/models/gemini-x:generateContent"},
      {WEIR_PROVIDER_GEMINI, true, "gemini-x",
       "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"},
      {WEIR_PROVIDER_GEMINI, false, "models/gemini-x", "/v1beta/models/gemini-x:generateContent"},
      {WEIR_PROVIDER_GEMINI, false, "tunedModels/t", "/v1beta/tunedModels/t:generateContent"},
      {WEIR_PROVIDER_GEMINI, false, "a b?c#%\xc3\xa9",
       "/v1beta/models/a%20b%3Fc%23%25%C3%A9:generateContent"},
      {WEIR_PROVIDER_VERTEX, false, "gemini-x", "/models/gemini-x:generateContent"},
      {WEIR_PROVIDER_OPENAI, true, "gpt-x", "/v1/chat/completions"},
      {WEIR_PROVIDER_ANTHROPIC, false, "claude-x", "/v1/messages"},
  };
  char path[128];
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    assert_true(
        weir_provider_path(rows[i].kind, rows[i].model, rows[i].is_stream, path, sizeof(path)));
    assert_string_equal(path, rows[i].path);
  }
}

static void one_body_has_an_endpoint_at_every_provider(void **state)
{
  static const struct {
    enum weir_provider_kind kind;
    const char *base_url, *url, *model;
  } rows[] = {
      {WEIR_PROVIDER_GEMINI, "http://a", "http://a/v1beta/openai/chat/completions", "m"},
      {WEIR_PROVIDER_OPENAI, "http://a", "http://a/v1/chat/completions", "m"},
      {WEIR_PROVIDER_ANTHROPIC, "http://a", "http://a/v1/chat/completions", "m"},
      {WEIR_PROVIDER_COMPATIBLE, "http://a/relay", "http://a/relay/v1/chat/completions", "m"},
      {WEIR_PROVIDER_VERTEX, "http://a/v1/projects/p/locations/l/publishers/google",
       "http://a/v1/projects/p/locations/l/endpoints/openapi/chat/completions", "google/m"},
  };
  char text[128];
  (void)state;

  assert_int_equal(sizeof(rows) / sizeof(rows[0]), WEIR_PROVIDER_MAX - 1);
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const size_t size = strlen(rows[i].url) + 1;

    assert_true(weir_provider_openai_url(rows[i].kind, rows[i].base_url, text, size));
    assert_string_equal(text, rows[i].url);
    assert_false(weir_provider_openai_url(rows[i].kind, rows[i].base_url, text, size - 1));
    assert_true(weir_provider_openai_model(rows[i].kind, "m", text, sizeof(text)));
    assert_string_equal(text, rows[i].model);
    assert_false(weir_provider_openai_model(rows[i].kind, "m", text, strlen(rows[i].model)));
  }
  assert_true(weir_provider_openai_model(WEIR_PROVIDER_VERTEX, "meta/llama", text, sizeof(text)));
  assert_string_equal(text, "meta/llama");
  assert_false(weir_provider_openai_url(WEIR_PROVIDER_VERTEX, "http://a/v1", text, sizeof(text)));
  assert_false(weir_provider_openai_url(WEIR_PROVIDER_VERTEX, "http", text, sizeof(text)));
}

static void refuses_models_that_would_leave_the_path(void **state)
{
  char path[600] = "unchanged", model[600];
  (void)state;

  assert_false(weir_provider_path(WEIR_PROVIDER_GEMINI, "", false, path, sizeof(path)));
  assert_false(weir_provider_path(WEIR_PROVIDER_GEMINI, "../../v1", false, path, sizeof(path)));
  memset(model, 'm', sizeof(model) - 1);
  model[sizeof(model) - 1] = '\0';
  assert_false(weir_provider_path(WEIR_PROVIDER_GEMINI, model, false, path, sizeof(path)));
  assert_false(weir_provider_path(WEIR_PROVIDER_GEMINI, "gemini-x", false, path, 39));
  assert_string_equal(path, "unchanged");
  assert_true(weir_provider_path(WEIR_PROVIDER_GEMINI, "gemini-x", false, path, 40));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_and_kinds_agree),
      cmocka_unit_test(paths_hold_the_model_where_the_provider_wants_it),
      cmocka_unit_test(one_body_has_an_endpoint_at_every_provider),
      cmocka_unit_test(refuses_models_that_would_leave_the_path),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
