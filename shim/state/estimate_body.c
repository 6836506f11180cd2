#include <weir/estimate.h>

#include <weir/json.h>
#include <weir/media.h>
#include <weir/text.h>

#include <string.h>

/* What stands around the texts of a request, in thousandths of a token. */
#define REQUEST_COST UINT64_C(3000)
#define MESSAGE_COST UINT64_C(3000)
#define SCHEMA_COST  UINT64_C(2000) /* a key of a tool's schema, with its punctuation */

/* Data of which nothing is known: an image of about one megapixel. */
static const uint32_t data_costs[WEIR_TOKENIZER_MAX] = {
    [WEIR_TOKENIZER_O200K] = 765000,
    [WEIR_TOKENIZER_GEMMA] = 1032000,
    [WEIR_TOKENIZER_CLAUDE] = 1334000,
};

/* Tells whether |path| ends in one of |ends|, which begin at a key. */
static bool ends_in(const char *path, const char *const *ends, size_t count)
{
  size_t size = strlen(path);

  for (size_t i = 0; i < count; i++) {
    size_t length = strlen(ends[i]);

    if (size >= length && strcmp(path + size - length, ends[i]) == 0 &&
        (size == length || path[size - length - 1] == '.'))
      return true;
  }
  return false;
}

#define ENDS_IN(path, ends) ends_in(path, ends, sizeof(ends) / sizeof((ends)[0]))

/* Takes in the inside of a JSON string: as it is up to a backslash, then some bytes decoded. */
static void string_add(struct weir_estimator *e, const uint8_t *at, const uint8_t *end)
{
  uint8_t text[256];

  while (at < end) {
    const uint8_t *slash = memchr(at, '\\', (size_t)(end - at)), *stop = slash ? slash : end;

    weir_estimator_feed(e, at, (size_t)(stop - at));
    at = stop;
    if (at < end)
      weir_estimator_feed(e, text, weir_text_unescape(&at, end, text, sizeof(text)));
  }
  weir_estimator_part(e);
}

/* Takes in what stands where data or its address may: neither has blanks, plain text does. */
static void data_add(struct weir_estimator *e, const uint8_t *at, const uint8_t *end)
{
  size_t size = (size_t)(end - at);
  struct weir_media media;
  uint64_t tokens = 0;

  if (size > 0 && memchr(at, ' ', size < 256 ? size : 256)) {
    string_add(e, at, end);
    return;
  }
  if (weir_media_read(at, size, &media))
    tokens = weir_media_tokens(e->tokenizer, &media);
  weir_estimator_add(e, tokens > 0 ? tokens * 1000 : data_costs[e->tokenizer]);
}

static void body_token_add(struct weir_estimator *e, const uint8_t *body,
                           const struct weir_json_token *token)
{
  static const char *const messages[] = {"messages[]", "contents[]", "input[]"};
  static const char *const labels[] = {"model",    "role",      "type",       "id",  "call_id",
                                       "mimeType", "mime_type", "media_type", "user"};
  static const char *const inlines[] = {"inlineData.data",  "inline_data.data", "source.data",
                                        "input_audio.data", "source.url",       "image_url.url",
                                        "image_url",        "fileUri",          "file_uri",
                                        "file_data",        "file_id"};
  bool is_schema = strncmp(token->path, "tools", 5) == 0;
  const uint8_t *begin, *end;

  if (is_schema && token->type != WEIR_JSON_OBJECT_END && token->type != WEIR_JSON_ARRAY_END)
    weir_estimator_add(e, SCHEMA_COST);
  if (token->type == WEIR_JSON_OBJECT && token->depth == 2 && ENDS_IN(token->path, messages))
    weir_estimator_add(e, MESSAGE_COST);
  if (token->type != WEIR_JSON_STRING)
    return;
  begin = body + token->offset_begin + 1;
  end = body + token->offset_end - 1;
  if (!is_schema && ENDS_IN(token->path, inlines))
    data_add(e, begin, end);
  else if (is_schema || !ENDS_IN(token->path, labels))
    string_add(e, begin, end);
}

struct weir_estimate weir_estimate_body(enum weir_provider_kind kind, const void *body, size_t size)
{
  enum weir_tokenizer tokenizer = weir_provider_rules_of(kind)->tokenizer;
  enum weir_json_status status;
  struct weir_json_token token;
  struct weir_json json;
  struct weir_estimator e;

  weir_estimator_init(&e, tokenizer);
  weir_estimator_add(&e, REQUEST_COST);
  weir_json_init(&json);
  weir_json_feed(&json, body, size);
  while ((status = weir_json_next(&json, &token)) == WEIR_JSON_TOKEN)
    body_token_add(&e, body, &token);
  if (status == WEIR_JSON_BAD || weir_json_end(&json, &token) != WEIR_JSON_MORE)
    return weir_estimate_text(tokenizer, body, size);
  return weir_estimator_result(&e);
}
