#include "request.h"

#include <string.h>

#include <weir/json.h>

#include "text.h"

static bool is_one_of(const char *path, const char *const *paths)
{
  for (; *paths != NULL; paths++)
    if (strcmp(path, *paths) == 0)
      return true;
  return false;
}

static const char *const text_paths[] = {
    /* Gemini */
    "contents[].parts[].text", "systemInstruction.parts[].text", "system_instruction.parts[].text",
    "systemInstruction.parts.text", "generateContentRequest.contents[].parts[].text",
    "generateContentRequest.systemInstruction.parts[].text", "content.parts[].text",
    "requests[].content.parts[].text", "contents.parts[].text",
    /* OpenAI and Anthropic */
    "messages[].content", "messages[].content[].text", "system", "system[].text", "input",
    "input[]", "input[].content", "input[].content[].text", "instructions", NULL};

static const char *const max_paths[] = {"max_tokens",
                                        "max_completion_tokens",
                                        "max_output_tokens",
                                        "generationConfig.maxOutputTokens",
                                        "generation_config.max_output_tokens",
                                        NULL};

static void read_token(const struct weir_json_token *token, const char *body,
                       struct weir_up_count *count, struct weir_up_request *r)
{
  if (token->type == WEIR_JSON_STRING && is_one_of(token->path, text_paths)) {
    /* From the body, not from the token: long strings arrive cut. */
    weir_up_count_add(count, body + token->offset_begin + 1,
                      (size_t)(token->offset_end - token->offset_begin - 2));
    weir_up_count_end(count);
    r->texts++;
  } else if (token->type == WEIR_JSON_STRING && strcmp(token->path, "encoding_format") == 0) {
    r->is_base64_wanted = strcmp(token->text, "base64") == 0;
  } else if (token->type == WEIR_JSON_STRING && strcmp(token->path, "model") == 0) {
    size_t size = token->text_size < WEIR_UP_MODEL_MAX ? token->text_size : WEIR_UP_MODEL_MAX;
    memcpy(r->model, token->text, size);
    r->model[size] = '\0';
  } else if (token->type == WEIR_JSON_NUMBER && is_one_of(token->path, max_paths)) {
    (void)weir_json_uint(token, &r->max_tokens);
  } else if (token->type == WEIR_JSON_TRUE) {
    r->is_stream = r->is_stream || strcmp(token->path, "stream") == 0;
    r->is_usage_wanted =
        r->is_usage_wanted || strcmp(token->path, "stream_options.include_usage") == 0;
  }
}

bool weir_up_request_read(const char *body, size_t size, struct weir_up_request *ret_request)
{
  struct weir_json json;
  struct weir_json_token token;
  struct weir_up_count count = {0};
  enum weir_json_status status;
  bool is_object = false, is_first = true;

  *ret_request = (struct weir_up_request){0};
  weir_json_init(&json);
  weir_json_feed(&json, body, size);
  while ((status = weir_json_next(&json, &token)) == WEIR_JSON_TOKEN) {
    if (is_first)
      is_object = token.type == WEIR_JSON_OBJECT;
    is_first = false;
    read_token(&token, body, &count, ret_request);
  }
  ret_request->input_tokens = count.tokens;
  ret_request->characters = count.characters;
  return is_object && status == WEIR_JSON_MORE && weir_json_end(&json, &token) == WEIR_JSON_MORE;
}
