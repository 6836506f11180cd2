#include "splice.h"

#include <weir/json.h>

#include <assert.h>
#include <string.h>

static const char usage_wanted[] = "\"include_usage\":true";

static void set(struct weir_splice *s, size_t begin, size_t end)
{
  *s = (struct weir_splice){.begin = begin, .end = end};
}

static void add(struct weir_splice *s, const char *text)
{
  const size_t size = strlen(text);

  assert(size <= sizeof(s->text) - s->text_size);
  memcpy(s->text + s->text_size, text, size);
  s->text_size += size;
}

/* Whether the object whose '{' stands before |at| has no member. */
static bool is_empty_object(const char *body, size_t size, size_t at)
{
  while (at < size && memchr(" \t\r\n", body[at], 4))
    at++;
  return at < size && body[at] == '}';
}

/* The end of the '{' of the root. */
static size_t root_begin(const char *body, size_t size)
{
  const char *brace = memchr(body, '{', size);

  assert(brace);
  return (size_t)(brace - body) + 1;
}

/* ---- the usage of a stream ---- */

struct reading {
  const char *body;
  size_t size;
  struct weir_stream_options options;
  bool is_found;
};

static void options_take(struct reading *r, const struct weir_json_token *token)
{
  struct weir_splice *s = &r->options.splice;

  r->is_found = true;
  r->options.is_usage_asked = false;
  if (token->type == WEIR_JSON_OBJECT) {
    const size_t at = (size_t)token->offset_begin + 1;

    set(s, at, at);
    add(s, usage_wanted);
    if (!is_empty_object(r->body, r->size, at))
      add(s, ",");
  } else if (token->type == WEIR_JSON_NULL) {
    set(s, (size_t)token->offset_begin, (size_t)token->offset_end);
    add(s, "{");
    add(s, usage_wanted);
    add(s, "}");
  } else if (token->type != WEIR_JSON_OBJECT_END) {
    r->options.is_usage_asked = true;
  }
}

static void include_take(struct reading *r, const struct weir_json_token *token)
{
  r->options.is_usage_asked = token->type != WEIR_JSON_FALSE && token->type != WEIR_JSON_NULL;
  if (r->options.is_usage_asked)
    return;
  set(&r->options.splice, (size_t)token->offset_begin, (size_t)token->offset_end);
  add(&r->options.splice, "true");
}

void weir_stream_options_read(const char *body, size_t size, struct weir_stream_options *ret)
{
  struct reading r = {.body = body, .size = size};
  struct weir_json_token token;
  struct weir_json json;

  weir_json_init(&json);
  weir_json_feed(&json, body, size);
  while (weir_json_next(&json, &token) == WEIR_JSON_TOKEN) {
    if (token.depth == 1 && strcmp(token.path, "stream_options") == 0 &&
        token.type != WEIR_JSON_OBJECT_END)
      options_take(&r, &token);
    else if (token.depth == 2 && strcmp(token.path, "stream_options.include_usage") == 0)
      include_take(&r, &token);
  }
  if (!r.is_found) {
    const size_t at = root_begin(body, size);

    set(&r.options.splice, at, at);
    add(&r.options.splice, "\"stream_options\":{");
    add(&r.options.splice, usage_wanted);
    add(&r.options.splice, is_empty_object(body, size, at) ? "}" : "},");
  }
  *ret = r.options;
}

/* ---- all changes ---- */

void weir_splices_init(struct weir_splices *s)
{
  s->count = 0;
}

static void insert(struct weir_splices *s, const struct weir_splice *splice)
{
  size_t i = s->count++;

  assert(s->count <= WEIR_SPLICES_MAX);
  for (; i > 0 && s->at[i - 1].begin > splice->begin; i--)
    s->at[i] = s->at[i - 1];
  s->at[i] = *splice;
  /* Two first members of an empty object: neither knew of the other. */
  if (i > 0 && s->at[i - 1].end == splice->begin && s->at[i - 1].begin == splice->begin &&
      s->at[i - 1].text[s->at[i - 1].text_size - 1] != ',')
    add(&s->at[i - 1], ",");
}

void weir_splices_usage(struct weir_splices *s, const struct weir_stream_options *options)
{
  if (!options->is_usage_asked)
    insert(s, &options->splice);
}

bool weir_splices_model(struct weir_splices *s, const char *body, size_t size,
                        const struct weir_request_facts *facts, const char *model)
{
  struct weir_splice splice;
  struct weir_put put;
  char text[WEIR_SPLICE_TEXT_SIZE];

  if (facts->has_model && strcmp(facts->model, model) == 0)
    return true;
  weir_put_init(&put, text, sizeof(text));
  if (facts->has_model) {
    set(&splice, facts->model_begin, facts->model_end);
    weir_put_text(&put, "\"");
  } else {
    const size_t at = root_begin(body, size);

    set(&splice, at, at);
    weir_put_text(&put, "\"model\":\"");
  }
  weir_put_json(&put, model);
  weir_put_text(&put, "\"");
  if (!facts->has_model && !is_empty_object(body, size, splice.begin))
    weir_put_text(&put, ",");
  if (put.is_cut)
    return false;
  add(&splice, text);
  insert(s, &splice);
  return true;
}

size_t weir_splices_size(const struct weir_splices *s, size_t size)
{
  for (size_t i = 0; i < s->count; i++)
    size = size - (s->at[i].end - s->at[i].begin) + s->at[i].text_size;
  return size;
}

void weir_splices_apply(const struct weir_splices *s, const char *body, size_t size, char *ret_body)
{
  size_t from = 0;

  for (size_t i = 0; i < s->count; i++) {
    const struct weir_splice *splice = &s->at[i];

    memcpy(ret_body, body + from, splice->begin - from);
    ret_body += splice->begin - from;
    memcpy(ret_body, splice->text, splice->text_size);
    ret_body += splice->text_size;
    from = splice->end;
  }
  memcpy(ret_body, body + from, size - from);
}
