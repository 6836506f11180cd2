#include "call.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <weir/json.h>

static void note_escape(const char *note, char *ret_text, size_t size)
{
  size_t length = 0;

  for (; *note && length + 3 < size; note++) {
    if (*note == '"' || *note == '\\')
      ret_text[length++] = '\\';
    ret_text[length++] = (unsigned char)*note < ' ' ? ' ' : *note;
  }
  ret_text[length] = 0;
}

static int call_format(const struct demo_call *c, char *ret_text)
{
  int length = snprintf(ret_text, DEMO_LINE_SIZE,
                        "{\"index\":%" PRIu64 ",\"ok\":%s,\"outcome\":\"%s\",\"attempts\":%" PRIu64
                        ",\"rejected_429\":%" PRIu64 ",\"t_first_ms\":%" PRIu64
                        ",\"t_sent_ms\":%" PRIu64 ",\"t_end_ms\":%" PRIu64 ",\"wait_ms\":%" PRIu64
                        ",\"input_tokens\":%" PRIu64 ",\"output_tokens\":%" PRIu64 ",\"waits\":[",
                        c->index, c->is_ok ? "true" : "false", c->outcome, c->attempts,
                        c->rejected_429, c->t_first_ms, c->t_sent_ms, c->t_end_ms, c->wait_ms,
                        c->input_tokens, c->output_tokens);

  assert(c->waits_count <= DEMO_WAITS_MAX);
  for (uint64_t i = 0; i < c->waits_count; i++)
    length += snprintf(ret_text + length, DEMO_LINE_SIZE - (size_t)length,
                       "%s{\"from_ms\":%" PRIu64 ",\"to_ms\":%" PRIu64 "}", i ? "," : "",
                       c->waits[i].from_ms, c->waits[i].to_ms);
  return length + snprintf(ret_text + length, DEMO_LINE_SIZE - (size_t)length, "]}\n");
}

size_t demo_line_format(const struct demo_line *line, char *ret_text)
{
  char note[2 * DEMO_NOTE_SIZE];
  int length = 0;

  switch (line->type) {
  case DEMO_LINE_BEGIN:
    length = snprintf(ret_text, DEMO_LINE_SIZE, "{\"begin\":%" PRIu64 "}\n", line->number);
    break;
  case DEMO_LINE_WAITING:
    length = snprintf(ret_text, DEMO_LINE_SIZE, "{\"waiting\":%" PRIu64 "}\n", line->number);
    break;
  case DEMO_LINE_NOTE:
    note_escape(line->note, note, sizeof(note));
    length = snprintf(ret_text, DEMO_LINE_SIZE, "{\"note\":\"%s\"}\n", note);
    break;
  case DEMO_LINE_CALL:
    length = call_format(&line->call, ret_text);
    break;
  }
  assert(length > 0 && length < DEMO_LINE_SIZE);
  return (size_t)length;
}

static void text_copy(const struct weir_json_token *token, char *ret_text, size_t size)
{
  size_t length = token->text_size < size - 1 ? token->text_size : size - 1;

  memcpy(ret_text, token->text, length);
  ret_text[length] = 0;
}

/* The numbers of a line by their path; NULL for a path that carries none. */
static uint64_t *number_at(struct demo_line *line, const char *path)
{
  struct demo_call *c = &line->call;
  const struct {
    const char *path;
    uint64_t *number;
  } numbers[] = {{"begin", &line->number},
                 {"waiting", &line->number},
                 {"index", &c->index},
                 {"attempts", &c->attempts},
                 {"rejected_429", &c->rejected_429},
                 {"t_first_ms", &c->t_first_ms},
                 {"t_sent_ms", &c->t_sent_ms},
                 {"t_end_ms", &c->t_end_ms},
                 {"wait_ms", &c->wait_ms},
                 {"input_tokens", &c->input_tokens},
                 {"output_tokens", &c->output_tokens}};

  for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
    if (strcmp(path, numbers[i].path) == 0)
      return numbers[i].number;
  }
  if (c->waits_count == 0 || c->waits_count > DEMO_WAITS_MAX)
    return NULL;
  if (strcmp(path, "waits[].from_ms") == 0)
    return &c->waits[c->waits_count - 1].from_ms;
  return strcmp(path, "waits[].to_ms") == 0 ? &c->waits[c->waits_count - 1].to_ms : NULL;
}

static enum demo_line_type type_of(const char *path)
{
  if (strcmp(path, "begin") == 0)
    return DEMO_LINE_BEGIN;
  if (strcmp(path, "waiting") == 0)
    return DEMO_LINE_WAITING;
  if (strcmp(path, "note") == 0)
    return DEMO_LINE_NOTE;
  return strcmp(path, "t_end_ms") == 0 ? DEMO_LINE_CALL : 0;
}

/* Takes one value of a line; false when it cannot stand there. */
static bool value_take(struct demo_line *line, const struct weir_json_token *token)
{
  uint64_t *number = token->type == WEIR_JSON_NUMBER ? number_at(line, token->path) : NULL;

  if (number && !weir_json_uint(token, number))
    return false;
  if (token->type == WEIR_JSON_OBJECT && strcmp(token->path, "waits[]") == 0 &&
      ++line->call.waits_count > DEMO_WAITS_MAX)
    return false;
  if (token->type == WEIR_JSON_TRUE && strcmp(token->path, "ok") == 0)
    line->call.is_ok = true;
  if (token->type == WEIR_JSON_STRING && strcmp(token->path, "outcome") == 0)
    text_copy(token, line->call.outcome, sizeof(line->call.outcome));
  if (token->type == WEIR_JSON_STRING && strcmp(token->path, "note") == 0)
    text_copy(token, line->note, sizeof(line->note));
  if (type_of(token->path))
    line->type = type_of(token->path);
  return true;
}

bool demo_line_parse(const char *text, size_t size, struct demo_line *ret_line)
{
  struct weir_json json;
  struct weir_json_token token;
  struct demo_line line;
  enum weir_json_status status;

  memset(&line, 0, sizeof(line));
  weir_json_init(&json);
  weir_json_feed(&json, text, size);
  while ((status = weir_json_next(&json, &token)) == WEIR_JSON_TOKEN) {
    if (!value_take(&line, &token))
      return false;
  }
  if (status == WEIR_JSON_BAD || weir_json_end(&json, &token) == WEIR_JSON_BAD || !line.type)
    return false;
  *ret_line = line;
  return true;
}
