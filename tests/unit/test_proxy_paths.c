/* What a request line asks for, and what it becomes on its way upstream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "paths.h"

static const struct weir_mount mounts[] = {
    {"gemini", WEIR_PROVIDER_GEMINI},       {"openai", WEIR_PROVIDER_OPENAI},
    {"anthropic", WEIR_PROVIDER_ANTHROPIC}, {"groq", WEIR_PROVIDER_COMPATIBLE},
    {"azure", WEIR_PROVIDER_OPENAI},        {"vertex", WEIR_PROVIDER_VERTEX}};

#define MOUNTS (sizeof(mounts) / sizeof(mounts[0]))

static bool read_path(const char *method, const char *target, struct weir_path *ret_path)
{
  return weir_path_read(method, target, mounts, MOUNTS, 0, ret_path);
}

static const struct {
  const char *target, *provider;
  enum weir_protocol protocol;
  enum weir_operation operation;
  bool is_stream, has_stream_options;
  const char *model; /* "": the body has it */
} sdk_paths[] = {
    {"/v1/chat/completions", "openai", WEIR_PROTOCOL_OPENAI, WEIR_OPERATION_GENERATE, false, true,
     ""},
    {"/openai/v1/chat/completions", "openai", WEIR_PROTOCOL_OPENAI, WEIR_OPERATION_GENERATE, false,
     true, ""},
    {"/v1/responses", "openai", WEIR_PROTOCOL_OPENAI, WEIR_OPERATION_GENERATE, false, false, ""},
    {"/v1/responses/input_tokens", "openai", WEIR_PROTOCOL_OPENAI, WEIR_OPERATION_COUNT, false,
     false, ""},
    {"/v1/embeddings", "openai", WEIR_PROTOCOL_OPENAI, WEIR_OPERATION_EMBED, false, false, ""},
    {"/v1/moderations", "openai", WEIR_PROTOCOL_OPENAI, WEIR_OPERATION_OTHER, false, false, ""},
    {"/groq/openai/v1/chat/completions", "groq", WEIR_PROTOCOL_OPENAI, WEIR_OPERATION_GENERATE,
     false, true, ""},
    {"/groq/v1/embeddings", "groq", WEIR_PROTOCOL_OPENAI, WEIR_OPERATION_EMBED, false, false, ""},
    {"/v1/messages", "anthropic", WEIR_PROTOCOL_ANTHROPIC, WEIR_OPERATION_GENERATE, false, false,
     ""},
    {"/v1/messages?beta=true", "anthropic", WEIR_PROTOCOL_ANTHROPIC, WEIR_OPERATION_GENERATE, false,
     false, ""},
    {"/anthropic/v1/messages", "anthropic", WEIR_PROTOCOL_ANTHROPIC, WEIR_OPERATION_GENERATE, false,
     false, ""},
    {"/v1/messages/count_tokens", "anthropic", WEIR_PROTOCOL_ANTHROPIC, WEIR_OPERATION_COUNT, false,
     false, ""},
    {"/v1/messages/batches", "anthropic", WEIR_PROTOCOL_ANTHROPIC, WEIR_OPERATION_OTHER, false,
     false, ""},
    {"/v1beta/models/gemini-2.5-flash:generateContent", "gemini", WEIR_PROTOCOL_GEMINI,
     WEIR_OPERATION_GENERATE, false, false, "gemini-2.5-flash"},
    {"/v1/models/gemini-2.5-flash:streamGenerateContent?alt=sse", "gemini", WEIR_PROTOCOL_GEMINI,
     WEIR_OPERATION_GENERATE, true, false, "gemini-2.5-flash"},
    {"/gemini/v1beta/tunedModels/mine:generateContent", "gemini", WEIR_PROTOCOL_GEMINI,
     WEIR_OPERATION_GENERATE, false, false, "mine"},
    {"/v1beta/models/m:countTokens", "gemini", WEIR_PROTOCOL_GEMINI, WEIR_OPERATION_COUNT, false,
     false, "m"},
    {"/v1beta/models/m:embedContent", "gemini", WEIR_PROTOCOL_GEMINI, WEIR_OPERATION_EMBED, false,
     false, "m"},
    {"/v1beta/models/m:batchEmbedContents", "gemini", WEIR_PROTOCOL_GEMINI, WEIR_OPERATION_EMBED,
     false, false, "m"},
    {"/v1beta/models/imagen:predict", "gemini", WEIR_PROTOCOL_GEMINI, WEIR_OPERATION_OTHER, false,
     false, "imagen"},
    {"/v1beta/interactions", "gemini", WEIR_PROTOCOL_GEMINI, WEIR_OPERATION_GENERATE, false, false,
     ""},
    {"/upload/v1beta/files?uploadType=resumable", "gemini", WEIR_PROTOCOL_GEMINI,
     WEIR_OPERATION_OTHER, false, false, ""},
    {"/v1beta/openai/chat/completions", "gemini", WEIR_PROTOCOL_OPENAI, WEIR_OPERATION_GENERATE,
     false, true, ""},
    {"/anthropic/v1/chat/completions", "anthropic", WEIR_PROTOCOL_OPENAI, WEIR_OPERATION_GENERATE,
     false, true, ""},
    {"/groq/api/v1/messages?beta=true", "groq", WEIR_PROTOCOL_ANTHROPIC, WEIR_OPERATION_GENERATE,
     false, false, ""},
    {"/groq/v1/messages/count_tokens", "groq", WEIR_PROTOCOL_ANTHROPIC, WEIR_OPERATION_COUNT, false,
     false, ""},
    {"/v1/threads/thread_1/messages", "openai", WEIR_PROTOCOL_OPENAI, WEIR_OPERATION_OTHER, false,
     false, ""},
    {"/vertex/v1/projects/p/locations/l/endpoints/openapi/chat/completions", "vertex",
     WEIR_PROTOCOL_OPENAI, WEIR_OPERATION_GENERATE, false, true, ""},
    {"/v1beta/openai/embeddings", "gemini", WEIR_PROTOCOL_OPENAI, WEIR_OPERATION_EMBED, false,
     false, ""},
};

static void paths_of_all_sdks_are_known(void **state)
{
  (void)state;

  for (size_t i = 0; i < sizeof(sdk_paths) / sizeof(sdk_paths[0]); i++) {
    struct weir_path path;

    print_message("%s\n", sdk_paths[i].target);
    assert_true(read_path("POST", sdk_paths[i].target, &path));
    assert_string_equal(mounts[path.mount].name, sdk_paths[i].provider);
    assert_int_equal(path.protocol, sdk_paths[i].protocol);
    assert_int_equal(path.operation, sdk_paths[i].operation);
    assert_int_equal(path.is_stream, sdk_paths[i].is_stream);
    assert_int_equal(path.has_stream_options, sdk_paths[i].has_stream_options);
    assert_string_equal(path.model, sdk_paths[i].model);
    assert_int_equal(path.has_model, sdk_paths[i].model[0] != '\0');
  }
}

static void what_is_not_posted_is_no_generation(void **state)
{
  static const char *const targets[] = {"/v1/chat/completions", "/v1/responses/resp_1",
                                        "/v1/messages", "/v1beta/models/m:generateContent",
                                        "/v1beta/interactions"};
  (void)state;

  for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
    struct weir_path path;

    assert_true(read_path("GET", targets[i], &path));
    assert_int_equal(path.operation, WEIR_OPERATION_OTHER);
    assert_false(path.has_stream_options);
    assert_false(path.has_model);
  }
}

static void the_list_of_models_is_whose_the_request_looks_like(void **state)
{
  struct weir_path path;
  (void)state;

  assert_true(weir_path_read("GET", "/v1/models", mounts, MOUNTS, 0, &path));
  assert_string_equal(mounts[path.mount].name, "openai");
  assert_true(weir_path_read("GET", "/v1/models", mounts, MOUNTS, WEIR_PROVIDER_ANTHROPIC, &path));
  assert_string_equal(mounts[path.mount].name, "anthropic");
  assert_true(weir_path_read("GET", "/v1/models/x", mounts, MOUNTS, WEIR_PROVIDER_GEMINI, &path));
  assert_string_equal(mounts[path.mount].name, "gemini");
  assert_true(
      weir_path_read("GET", "/groq/v1/models", mounts, MOUNTS, WEIR_PROVIDER_GEMINI, &path));
  assert_string_equal(mounts[path.mount].name, "groq");
  /* The hint is for nothing else. */
  assert_true(
      weir_path_read("POST", "/v1/responses", mounts, MOUNTS, WEIR_PROVIDER_ANTHROPIC, &path));
  assert_string_equal(mounts[path.mount].name, "openai");
}

static void what_belongs_to_nobody_is_refused(void **state)
{
  static const char *const targets[] = {"/",
                                        "",
                                        "/nobody/v1/chat/completions",
                                        "/groqs/v1/x",
                                        "http://example.com/v1/responses",
                                        "/openai/../admin",
                                        "/v1/files/..",
                                        "/openai/%2e%2E/admin",
                                        "/openai%2f..%2Fadmin",
                                        "/openai%2Fv1/responses",
                                        "%2Fv1/responses",
                                        "*"};
  struct weir_path path;
  (void)state;

  for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
    assert_false(read_path("POST", targets[i], &path));
}

/* Providers decode a path before they look at it, and some take a slash behind it. */
static void an_encoded_path_asks_for_what_it_means(void **state)
{
  static const struct {
    const char *target, *provider;
    enum weir_operation operation;
    const char *model;
  } rows[] = {
      {"/v1beta/models/flash%3AgenerateContent?alt=sse", "gemini", WEIR_OPERATION_GENERATE,
       "flash"},
      {"/v1beta/models%2fflash%3astreamGenerateContent", "gemini", WEIR_OPERATION_GENERATE,
       "flash"},
      {"/v1beta/models/gemini%2D2%2E0%3AembedContent", "gemini", WEIR_OPERATION_EMBED,
       "gemini-2.0"},
      {"/v1/models/m%3AcountTokens", "gemini", WEIR_OPERATION_COUNT, "m"},
      {"/%6Fpenai/v1/chat%2Fcompletions", "openai", WEIR_OPERATION_GENERATE, ""},
      {"/v1/chat/completion%73", "openai", WEIR_OPERATION_GENERATE, ""},
      {"/v1/chat/completions/", "openai", WEIR_OPERATION_GENERATE, ""},
      {"/v1/embeddings//?a=/", "openai", WEIR_OPERATION_EMBED, ""},
      {"/v1/%6dessages/", "anthropic", WEIR_OPERATION_GENERATE, ""},
      /* What is no code, or of what would mean something else then. */
      {"/v1/responses%", "openai", WEIR_OPERATION_OTHER, ""},
      {"/v1/responses%3", "openai", WEIR_OPERATION_OTHER, ""},
      {"/v1/response%7g", "openai", WEIR_OPERATION_OTHER, ""},
      {"/v1/responses%3Fa", "openai", WEIR_OPERATION_OTHER, ""},
      {"/v1/responses%00", "openai", WEIR_OPERATION_OTHER, ""},
      {"/v1/response%2573", "openai", WEIR_OPERATION_OTHER, ""},
  };
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    struct weir_path path;

    print_message("%s\n", rows[i].target);
    assert_true(read_path("POST", rows[i].target, &path));
    assert_string_equal(mounts[path.mount].name, rows[i].provider);
    assert_int_equal(path.operation, rows[i].operation);
    assert_string_equal(path.model, rows[i].model);
  }
}

static void a_path_of_any_length_is_read_within_its_bound(void **state)
{
  static char target[WEIR_PATH_TARGET_MAX + 2] = "/v1/";
  struct weir_path path;
  (void)state;

  memset(target + 4, 'x', WEIR_PATH_TARGET_MAX - 4);
  assert_true(read_path("POST", target, &path));
  assert_int_equal(path.query, WEIR_PATH_TARGET_MAX);
  target[WEIR_PATH_TARGET_MAX] = 'x';
  assert_false(read_path("POST", target, &path));
}

static void a_name_alone_is_its_providers_root(void **state)
{
  struct weir_path path;
  (void)state;

  assert_true(read_path("GET", "/groq", &path));
  assert_string_equal(mounts[path.mount].name, "groq");
  assert_int_equal(path.begin, path.query);
}

static void a_model_that_is_too_long_is_none(void **state)
{
  char target[256] = "/v1beta/models/";
  const size_t size = strlen(target);
  struct weir_path path;
  (void)state;

  memset(target + size, 'm', WEIR_PATH_MODEL_MAX);
  strcpy(target + size + WEIR_PATH_MODEL_MAX, ":generateContent");
  assert_true(read_path("POST", target, &path));
  assert_int_equal(strlen(path.model), WEIR_PATH_MODEL_MAX);
  strcpy(target + size + WEIR_PATH_MODEL_MAX, "m:generateContent");
  assert_true(read_path("POST", target, &path));
  assert_false(path.has_model);
  assert_int_equal(path.operation, WEIR_OPERATION_OTHER);
}

struct upstream {
  char text[256];
  bool is_there;
};

static struct upstream put(const char *target, const char *model, bool is_key_dropped,
                           enum weir_provider_kind to)
{
  struct upstream u;
  struct weir_path path;
  struct weir_put text;

  assert_true(read_path("POST", target, &path));
  weir_put_init(&text, u.text, sizeof(u.text));
  u.is_there = weir_path_put(&text, target, &path, model, is_key_dropped, mounts[path.mount].kind,
                             to ? to : mounts[path.mount].kind);
  assert_false(text.is_cut);
  return u;
}

static void a_path_goes_on_as_it_came(void **state)
{
  (void)state;
  assert_string_equal(put("/openai/v1/x%20y?a=1&b", NULL, false, 0).text, "/v1/x%20y?a=1&b");
  assert_string_equal(put("/v1/chat/completions", "other", false, 0).text, "/v1/chat/completions");
  assert_string_equal(put("/v1beta/models/a:generateContent?key=k", NULL, false, 0).text,
                      "/v1beta/models/a:generateContent?key=k");
  assert_string_equal(put("/gemini/v1beta/models/%61%3AgenerateContent", NULL, false, 0).text,
                      "/v1beta/models/%61%3AgenerateContent");
  assert_string_equal(put("/o%70enai/v1/completions/", NULL, false, 0).text, "/v1/completions/");
}

static void another_model_takes_its_place_in_geminis_path(void **state)
{
  (void)state;
  assert_string_equal(
      put("/gemini/v1beta/models/fast:streamGenerateContent?alt=sse", "gemini-2.5-pro", false, 0)
          .text,
      "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse");
  assert_string_equal(
      put("/v1%62eta/models%2Ff%61st%3AgenerateContent?a=%61", "gemini-2.5-pro", false, 0).text,
      "/v1%62eta/models%2Fgemini-2.5-pro%3AgenerateContent?a=%61");
}

static void the_key_leaves_the_query(void **state)
{
  static const struct {
    const char *query, *left;
  } rows[] = {{"?key=k", ""},
              {"?alt=sse&key=k", "?alt=sse"},
              {"?key=k&alt=sse", "?alt=sse"},
              {"?a=1&key=k&monkey=2", "?a=1&monkey=2"},
              {"?alt=sse", "?alt=sse"},
              {"", ""}};
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    char target[128], left[128];

    snprintf(target, sizeof(target), "/v1beta/models/a:countTokens%s", rows[i].query);
    snprintf(left, sizeof(left), "/v1beta/models/a:countTokens%s", rows[i].left);
    assert_string_equal(put(target, NULL, true, 0).text, left);
  }
}

static void the_key_of_the_query_is_found(void **state)
{
  const char *target = "/v1beta/models/a:countTokens?alt=sse&key=secret&b=1";
  struct weir_path path;
  size_t size = 0;
  const char *key;
  (void)state;

  assert_true(read_path("POST", target, &path));
  key = weir_path_key(target, &path, &size);
  assert_non_null(key);
  assert_int_equal(size, 6);
  assert_memory_equal(key, "secret", 6);
  assert_true(read_path("POST", "/v1/responses?monkey=1", &path));
  assert_null(weir_path_key("/v1/responses?monkey=1", &path, &size));
}

static void openais_protocol_moves_between_providers(void **state)
{
  (void)state;
  assert_string_equal(put("/v1/chat/completions", NULL, false, WEIR_PROVIDER_GEMINI).text,
                      "/v1beta/openai/chat/completions");
  assert_string_equal(
      put("/v1beta/openai/chat/completions", NULL, false, WEIR_PROVIDER_COMPATIBLE).text,
      "/v1/chat/completions");
  assert_string_equal(put("/v1/embeddings?a=1", NULL, false, WEIR_PROVIDER_COMPATIBLE).text,
                      "/v1/embeddings?a=1");
  assert_false(
      put("/azure/deployments/chat/completions", NULL, false, WEIR_PROVIDER_GEMINI).is_there);
}

static void a_provider_speaks_its_own_protocol_and_all_openais_chat(void **state)
{
  static const struct {
    const char *target;
    bool gemini, vertex, openai, anthropic, compatible;
  } rows[] = {{"/v1/chat/completions", true, true, true, true, true},
              {"/v1/embeddings", true, false, true, false, true},
              {"/v1/completions", true, false, true, false, true},
              {"/v1/messages", false, false, false, true, false},
              {"/v1beta/models/m:generateContent", true, true, false, false, false}};
  (void)state;

  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    struct weir_path path;

    assert_true(read_path("POST", rows[i].target, &path));
    assert_int_equal(weir_path_is_spoken(WEIR_PROVIDER_GEMINI, &path), rows[i].gemini);
    assert_int_equal(weir_path_is_spoken(WEIR_PROVIDER_VERTEX, &path), rows[i].vertex);
    assert_int_equal(weir_path_is_spoken(WEIR_PROVIDER_OPENAI, &path), rows[i].openai);
    assert_int_equal(weir_path_is_spoken(WEIR_PROVIDER_ANTHROPIC, &path), rows[i].anthropic);
    assert_int_equal(weir_path_is_spoken(WEIR_PROVIDER_COMPATIBLE, &path), rows[i].compatible);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(paths_of_all_sdks_are_known),
      cmocka_unit_test(what_is_not_posted_is_no_generation),
      cmocka_unit_test(the_list_of_models_is_whose_the_request_looks_like),
      cmocka_unit_test(what_belongs_to_nobody_is_refused),
      cmocka_unit_test(an_encoded_path_asks_for_what_it_means),
      cmocka_unit_test(a_path_of_any_length_is_read_within_its_bound),
      cmocka_unit_test(a_name_alone_is_its_providers_root),
      cmocka_unit_test(a_model_that_is_too_long_is_none),
      cmocka_unit_test(a_path_goes_on_as_it_came),
      cmocka_unit_test(another_model_takes_its_place_in_geminis_path),
      cmocka_unit_test(the_key_leaves_the_query),
      cmocka_unit_test(the_key_of_the_query_is_found),
      cmocka_unit_test(openais_protocol_moves_between_providers),
      cmocka_unit_test(a_provider_speaks_its_own_protocol_and_all_openais_chat),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
