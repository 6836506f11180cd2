#include <weir/request.h>

#include <weir/json.h>

#include <string.h>

#define COUNT_MAX UINT32_MAX /* of tokens and candidates: their product fits */

struct reading {
  struct weir_request_facts facts;
  uint64_t candidates;
  uint64_t roots;
  bool is_model_long;
};

static uint64_t smaller(uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
  return a > b ? a : b;
}

static bool is_any_of(const char *path, const char *const *paths, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (strcmp(path, paths[i]) == 0)
      return true;
  return false;
}

static void number_take(struct reading *r, const struct weir_json_token *token)
{
  static const char *const outputs[] = {"generationConfig.maxOutputTokens",
                                        "generation_config.max_output_tokens",
                                        "max_completion_tokens", "max_output_tokens", "max_tokens"};
  static const char *const candidates[] = {"generationConfig.candidateCount", "n"};
  uint64_t value;

  if (!weir_json_uint(token, &value))
    return;
  value = smaller(value, COUNT_MAX);
  if (is_any_of(token->path, outputs, sizeof(outputs) / sizeof(outputs[0]))) {
    r->facts.output_tokens_max = larger(value, r->facts.output_tokens_max);
    r->facts.has_output_max = true;
  } else if (is_any_of(token->path, candidates, sizeof(candidates) / sizeof(candidates[0]))) {
    r->candidates = larger(value, 1);
  }
}

static void string_take(struct reading *r, const struct weir_json_token *token)
{
  if (strcmp(token->path, "model") != 0)
    return;
  r->is_model_long = token->text_size > WEIR_REQUEST_MODEL_MAX || token->is_cut ||
                     memchr(token->text, '\0', token->text_size) != NULL;
  if (r->is_model_long)
    return;
  memcpy(r->facts.model, token->text, token->text_size + 1);
  r->facts.has_model = true;
  r->facts.model_begin = (size_t)token->offset_begin;
  r->facts.model_end = (size_t)token->offset_end;
}

static void prompt_take(struct reading *r, const char *key)
{
  static const char *const others[] = {"messages", "input", "prompt"};

  if (strcmp(key, "contents") == 0)
    r->facts.has_contents = true;
  else if (is_any_of(key, others, sizeof(others) / sizeof(others[0])))
    r->facts.has_messages = true;
}

static void token_take(struct reading *r, const struct weir_json_token *token)
{
  r->roots += token->depth == 0 && token->type != WEIR_JSON_OBJECT;
  if (token->depth == 1)
    prompt_take(r, token->path);
  if (token->type == WEIR_JSON_NUMBER)
    number_take(r, token);
  else if (token->type == WEIR_JSON_STRING)
    string_take(r, token);
  else if (strcmp(token->path, "stream") == 0)
    r->facts.is_stream = token->type == WEIR_JSON_TRUE;
}

enum weir_err weir_request_scan(const void *body, size_t size, struct weir_request_facts *ret_facts)
{
  struct reading r = {.candidates = 1};
  enum weir_json_status status;
  enum weir_json_type last = WEIR_JSON_NULL;
  struct weir_json_token token;
  struct weir_json json;

  weir_json_init(&json);
  weir_json_feed(&json, body, size);
  while ((status = weir_json_next(&json, &token)) == WEIR_JSON_TOKEN) {
    token_take(&r, &token);
    last = token.type;
  }
  if (status == WEIR_JSON_BAD || weir_json_end(&json, &token) != WEIR_JSON_MORE || r.roots != 1 ||
      last != WEIR_JSON_OBJECT_END)
    return WEIR_ESYNTAX;
  if (r.is_model_long)
    return WEIR_ERANGE;
  r.facts.output_tokens_max *= r.candidates;
  *ret_facts = r.facts;
  return WEIR_OK;
}

bool weir_request_suits(const struct weir_request_facts *facts, enum weir_provider_kind kind)
{
  const bool is_google = kind == WEIR_PROVIDER_GEMINI || kind == WEIR_PROVIDER_VERTEX;

  if (facts->has_contents == facts->has_messages)
    return true;
  return facts->has_contents == is_google;
}
