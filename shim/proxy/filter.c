#include "filter.h"

#include <weir/json.h>

#include <assert.h>
#include <string.h>

/* ---- is it the chunk? ---- */

/* "usage" and then an object, before the whole is scanned: most chunks say "usage":null. */
static bool has_usage_object(const char *at, size_t size)
{
  static const char key[] = "\"usage\"";
  const char *end = at + size;

  while ((size_t)(end - at) >= sizeof(key) && (at = memchr(at, '"', (size_t)(end - at)))) {
    const char *behind = at + sizeof(key) - 1;

    if ((size_t)(end - at) < sizeof(key))
      return false;
    if (memcmp(at, key, sizeof(key) - 1) != 0) {
      at++;
      continue;
    }
    while (behind < end && memchr(" \t:", *behind, 3))
      behind++;
    if (behind < end && *behind == '{')
      return true;
    at = behind;
  }
  return false;
}

/* The JSON of the event: no choice, and a usage. */
static bool is_usage_chunk(const char *json_text, size_t size)
{
  bool has_choices = false, is_choice = false, has_usage = false;
  struct weir_json_token token;
  struct weir_json json;

  weir_json_init(&json);
  weir_json_feed(&json, json_text, size);
  while (weir_json_next(&json, &token) == WEIR_JSON_TOKEN) {
    has_choices |= token.type == WEIR_JSON_ARRAY && strcmp(token.path, "choices") == 0;
    is_choice |= strncmp(token.path, "choices[]", 9) == 0;
    has_usage |= token.type == WEIR_JSON_OBJECT && strcmp(token.path, "usage") == 0;
  }
  return weir_json_end(&json, &token) == WEIR_JSON_MORE && has_choices && !is_choice && has_usage;
}

static bool is_dropped(const char *event, size_t size)
{
  static const char field[] = "data:";

  if (size > WEIR_FILTER_EVENT_MAX)
    return false;
  while (size > 0 && (event[size - 1] == '\n' || event[size - 1] == '\r'))
    size--;
  if (size < sizeof(field) || memcmp(event, field, sizeof(field) - 1) != 0 ||
      memchr(event, '\n', size) || memchr(event, '\r', size))
    return false;
  event += sizeof(field) - 1;
  size -= sizeof(field) - 1;
  return has_usage_object(event, size) && is_usage_chunk(event, size);
}

/* ---- events ---- */

/* The event ends with a carriage return; the line feed behind it, if it is there, is its last byte.
 */
static void end_complete(struct weir_filter *f, const char **at)
{
  if (!f->is_after_cr || *at == f->end || **at != '\n')
    return;
  f->is_after_cr = false;
  ++*at;
}

/* Moves on to the byte behind the event's end; false when all bytes are used up before. */
static bool event_end(struct weir_filter *f, const char **at)
{
  while (*at < f->end) {
    const char c = *(*at)++;
    const bool is_second = c == '\n' && f->is_after_cr;
    const bool is_end = (c == '\n' && !is_second) || c == '\r';

    f->is_after_cr = c == '\r';
    if (is_second)
      continue;
    if (is_end && f->is_line_begin) {
      end_complete(f, at);
      return true;
    }
    f->is_line_begin = is_end;
  }
  return false;
}

void weir_filter_init(struct weir_filter *f)
{
  f->at = f->end = NULL;
  f->is_line_begin = true;
  f->is_after_cr = f->is_passing = f->is_last_dropped = false;
  f->held_size = 0;
}

void weir_filter_feed(struct weir_filter *f, const char *bytes, size_t size)
{
  assert(f->at == f->end);
  f->at = bytes;
  f->end = bytes + size;
}

/* Adds to the event that is held. True: |ret_piece| is to be passed on. */
static bool held_step(struct weir_filter *f, struct weir_filter_piece *ret_piece)
{
  const bool is_line_begin = f->is_line_begin, is_after_cr = f->is_after_cr;
  const char *begin = f->at, *at = begin;
  const bool is_whole = event_end(f, &at);
  const size_t size = (size_t)(at - begin);

  *ret_piece = (struct weir_filter_piece){f->held, f->held_size};
  if (size > sizeof(f->held) - f->held_size) {
    /* Its beginning passes now, its rest with the next calls. */
    f->held_size = 0;
    f->is_passing = true;
    f->is_line_begin = is_line_begin;
    f->is_after_cr = is_after_cr;
    return true;
  }
  memcpy(f->held + f->held_size, begin, size);
  f->at = at;
  f->held_size += (uint32_t)size;
  ret_piece->size = f->held_size;
  if (!is_whole)
    return false;
  f->held_size = 0;
  f->is_last_dropped = is_dropped(ret_piece->at, ret_piece->size);
  return !f->is_last_dropped;
}

/* Whole events that pass, as one piece, up to one that does not or is incomplete. */
static size_t run_size(struct weir_filter *f)
{
  const char *begin = f->at, *event = begin;

  for (;;) {
    const char *at = event;
    const bool is_whole = event_end(f, &at);
    const size_t size = (size_t)(at - event);

    if (is_whole)
      f->is_last_dropped = is_dropped(event, size);
    if (is_whole && !f->is_last_dropped) {
      f->at = event = at;
      continue;
    }
    if (is_whole) {
      f->at = at;
    } else if (size <= sizeof(f->held)) {
      memcpy(f->held, event, size);
      f->held_size = (uint32_t)size;
      f->at = at;
    } else {
      f->is_passing = true;
      f->at = event = at;
    }
    return (size_t)(event - begin);
  }
}

/* The line feed that comes after its carriage return has passed, or has not. */
static bool late_feed_step(struct weir_filter *f, struct weir_filter_piece *ret_piece)
{
  *ret_piece = (struct weir_filter_piece){f->at, 1};
  end_complete(f, &f->at);
  return !f->is_last_dropped;
}

bool weir_filter_next(struct weir_filter *f, struct weir_filter_piece *ret_piece)
{
  while (f->at < f->end) {
    const char *begin = f->at, *at = begin;

    if (f->is_passing) {
      f->is_passing = !event_end(f, &at);
      f->at = at;
      f->is_last_dropped = false;
      *ret_piece = (struct weir_filter_piece){begin, (size_t)(at - begin)};
      return true;
    }
    if (f->held_size == 0 && f->is_after_cr && *begin == '\n') {
      if (late_feed_step(f, ret_piece))
        return true;
      continue;
    }
    if (f->held_size > 0) {
      if (held_step(f, ret_piece))
        return true;
      continue;
    }
    *ret_piece = (struct weir_filter_piece){begin, run_size(f)};
    if (ret_piece->size > 0)
      return true;
  }
  return false;
}

bool weir_filter_end(struct weir_filter *f, struct weir_filter_piece *ret_piece)
{
  *ret_piece = (struct weir_filter_piece){f->held, f->held_size};
  f->held_size = 0;
  return ret_piece->size > 0;
}
