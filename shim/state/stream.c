#include <weir/stream.h>

#include <assert.h>
#include <string.h>

enum state {
  STATE_BEGIN, /* nothing but blanks so far */
  STATE_JSON,  /* everything that follows is JSON */
  STATE_LINE,  /* in a line that has been |matched| bytes of "data:" */
  STATE_SPACE, /* behind "data:": one blank may follow */
  STATE_DATA,  /* in the data of an event, |matched| bytes of which are "[DONE]" */
  STATE_SKIP   /* in a line that does not matter */
};

static const char data_field[] = "data:", done_mark[] = "[DONE]";

#define DATA_FIELD_SIZE (sizeof(data_field) - 1)
#define DONE_MARK_SIZE  (sizeof(done_mark) - 1)
#define MISMATCH        UINT32_MAX

static bool is_line_end(uint8_t c)
{
  return c == '\n' || c == '\r';
}

static void begin_step(struct weir_stream *s)
{
  uint8_t c = *s->at;

  /* Blanks, or a byte of the mark EF BB BF. */
  if (c == ' ' || c == '\t' || is_line_end(c) || c == 0xef || c == 0xbb || c == 0xbf)
    s->at++;
  else
    s->state = c == '{' || c == '[' || c == '"' ? STATE_JSON : STATE_LINE;
}

static void line_end(struct weir_stream *s)
{
  uint8_t c = *s->at++;

  if (c == '\n' && s->is_after_cr) {
    s->is_after_cr = false;
    return;
  }
  s->is_after_cr = c == '\r';
  if (s->state == STATE_LINE && s->matched == 0)
    s->has_data = false; /* an empty line ends the event */
  s->state = STATE_LINE;
  s->matched = 0;
}

static void line_step(struct weir_stream *s)
{
  uint8_t c = *s->at;

  s->is_after_cr = false;
  if (s->matched == 0 && (c == '{' || c == '[')) {
    weir_json_init(&s->json);
    s->state = STATE_JSON;
    return;
  }
  s->at++;
  if (c != (uint8_t)data_field[s->matched])
    s->state = STATE_SKIP;
  else if (++s->matched == DATA_FIELD_SIZE)
    s->state = STATE_SPACE;
}

/* Data lines of one event are joined by line feeds; each event is a document of its own. */
static void space_step(struct weir_stream *s)
{
  s->at += *s->at == ' ';
  s->is_sse = true;
  s->state = STATE_DATA;
  s->matched = 0;
  if (s->has_data)
    weir_json_feed(&s->json, "\n", 1);
  else
    weir_json_init(&s->json);
  s->has_data = true;
}

static void data_step(struct weir_stream *s)
{
  const uint8_t *stop = memchr(s->at, '\n', (size_t)(s->end - s->at)), *cr;

  stop = stop ? stop : s->end;
  cr = memchr(s->at, '\r', (size_t)(stop - s->at));
  stop = cr ? cr : stop;
  for (const uint8_t *c = s->at; c < stop && s->matched < DONE_MARK_SIZE; c++)
    s->matched = *c == (uint8_t)done_mark[s->matched] ? s->matched + 1 : MISMATCH;
  s->is_done |= s->matched == DONE_MARK_SIZE;
  weir_json_feed(&s->json, s->at, (size_t)(stop - s->at));
  s->at = stop;
}

static void step(struct weir_stream *s)
{
  switch ((enum state)s->state) {
  case STATE_BEGIN:
    begin_step(s);
    return;
  case STATE_JSON:
    weir_json_feed(&s->json, s->at, (size_t)(s->end - s->at));
    s->at = s->end;
    return;
  case STATE_SPACE:
    space_step(s);
    return;
  case STATE_LINE:
  case STATE_DATA:
  case STATE_SKIP:
    break;
  }
  if (is_line_end(*s->at)) {
    line_end(s);
  } else if (s->state == STATE_LINE) {
    line_step(s);
  } else if (s->state == STATE_DATA) {
    data_step(s);
  } else {
    while (s->at < s->end && !is_line_end(*s->at))
      s->at++;
  }
}

void weir_stream_init(struct weir_stream *s)
{
  s->is_sse = s->is_done = s->is_whole = false;
  s->at = s->end = NULL;
  s->state = STATE_BEGIN;
  s->matched = 0;
  s->is_after_cr = s->has_data = false;
  weir_json_init(&s->json);
}

void weir_stream_feed(struct weir_stream *s, const void *bytes, size_t size)
{
  assert(s->at == s->end);
  if (size == 0)
    return;
  s->at = bytes;
  s->end = s->at + size;
}

bool weir_stream_next(struct weir_stream *s, struct weir_json_token *ret_token)
{
  while (weir_json_next(&s->json, ret_token) != WEIR_JSON_TOKEN) {
    if (s->at == s->end)
      return false;
    step(s);
  }
  s->is_whole = ret_token->depth == 0 && ret_token->type != WEIR_JSON_OBJECT &&
                ret_token->type != WEIR_JSON_ARRAY;
  if (strncmp(ret_token->path, "[].", 3) == 0)
    ret_token->path += 3;
  else if (strcmp(ret_token->path, "[]") == 0)
    ret_token->path += 2;
  return true;
}
