#include "jsonout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/json.h>
#include <weir/utf8.h>

static void put(struct weir_jsonout *out, const char *bytes, size_t size)
{
  if (out->is_failed)
    return;
  if (size >= out->capacity - out->size) {
    size_t capacity = (out->size + size + 1) * 2;
    char *grown = realloc(out->bytes, capacity);

    if (!grown) {
      out->is_failed = true;
      return;
    }
    out->bytes = grown;
    out->capacity = capacity;
  }
  memcpy(out->bytes + out->size, bytes, size);
  out->size += size;
  out->bytes[out->size] = '\0';
}

static void put_escape(struct weir_jsonout *out, uint8_t c)
{
  static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
  const char *at = c != '\0' ? strchr(plain, c) : NULL;
  char text[8];

  if (at)
    snprintf(text, sizeof(text), "\\%c", letters[at - plain]);
  else
    snprintf(text, sizeof(text), "\\u%04x", c);
  put(out, text, strlen(text));
}

static void put_string(struct weir_jsonout *out, const char *text, size_t size)
{
  const uint8_t *bytes = (const uint8_t *)text;
  size_t done = 0, at = 0;

  put(out, "\"", 1);
  while (at < size) {
    uint8_t c = bytes[at];
    size_t step = weir_utf8_size(bytes + at, size - at);

    if (step > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
      at += step;
      continue;
    }
    put(out, text + done, at - done);
    if (c < 0x80)
      put_escape(out, c);
    else
      put(out, "\xef\xbf\xbd", 3);
    done = ++at;
  }
  put(out, text + done, size - done);
  put(out, "\"", 1);
}

/* Every value begins here. */
static void begin(struct weir_jsonout *out, const char *key)
{
  if (out->needs_comma)
    put(out, ",", 1);
  if (key) {
    put_string(out, key, strlen(key));
    put(out, ":", 1);
  }
  out->needs_comma = true;
}

static void container(struct weir_jsonout *out, const char *key, const char *bracket)
{
  begin(out, key);
  put(out, bracket, 1);
  out->depth++;
  out->needs_comma = false;
}

static void container_end(struct weir_jsonout *out, const char *bracket)
{
  put(out, bracket, 1);
  out->depth--;
  out->needs_comma = true;
}

void weir_jsonout_object(struct weir_jsonout *out, const char *key)
{
  container(out, key, "{");
}

void weir_jsonout_object_end(struct weir_jsonout *out)
{
  container_end(out, "}");
}

void weir_jsonout_array(struct weir_jsonout *out, const char *key)
{
  container(out, key, "[");
}

void weir_jsonout_array_end(struct weir_jsonout *out)
{
  container_end(out, "]");
}

void weir_jsonout_null(struct weir_jsonout *out, const char *key)
{
  begin(out, key);
  put(out, "null", 4);
}

void weir_jsonout_bool(struct weir_jsonout *out, const char *key, bool value)
{
  begin(out, key);
  put(out, value ? "true" : "false", value ? 4 : 5);
}

void weir_jsonout_uint(struct weir_jsonout *out, const char *key, uint64_t value)
{
  char text[24];

  begin(out, key);
  put(out, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, value));
}

void weir_jsonout_string(struct weir_jsonout *out, const char *key, const char *text, size_t size)
{
  begin(out, key);
  put_string(out, text, size);
}

void weir_jsonout_text(struct weir_jsonout *out, const char *key, const char *text)
{
  if (text)
    weir_jsonout_string(out, key, text, strlen(text));
  else
    weir_jsonout_null(out, key);
}

void weir_jsonout_seconds(struct weir_jsonout *out, const char *key, uint64_t us)
{
  char text[32];

  begin(out, key);
  put(out, text,
      (size_t)snprintf(text, sizeof(text), "%" PRIu64 ".%03" PRIu64, us / 1000000,
                       us / 1000 % 1000));
}

static bool is_container(const struct weir_json_token *token)
{
  return token->type == WEIR_JSON_OBJECT || token->type == WEIR_JSON_ARRAY;
}

/* Whether |json| is one value, no more and no less, of at most |depth_max| containers in one
 * another. */
static bool is_json(const void *json, size_t size, uint32_t depth_max)
{
  struct weir_json scan;
  struct weir_json_token token;
  enum weir_json_status status;
  size_t values = 0;

  weir_json_init(&scan);
  weir_json_feed(&scan, json, size);
  while ((status = weir_json_next(&scan, &token)) == WEIR_JSON_TOKEN) {
    if (is_container(&token) && token.depth >= depth_max)
      return false;
    values += token.depth == 0 && !is_container(&token);
  }
  if (status == WEIR_JSON_MORE && (status = weir_json_end(&scan, &token)) == WEIR_JSON_TOKEN) {
    values++;
    status = WEIR_JSON_MORE;
  }
  return status == WEIR_JSON_MORE && values == 1;
}

bool weir_jsonout_is_utf8(const char *text, size_t size)
{
  const uint8_t *bytes = (const uint8_t *)text;
  size_t step;

  for (size_t at = 0; at < size; at += step) {
    step = weir_utf8_size(bytes + at, size - at);
    if (step == 0)
      return false;
  }
  return true;
}

void weir_jsonout_raw(struct weir_jsonout *out, const char *key, const void *json, size_t size)
{
  const char *bytes = json;
  bool is_string = false, is_escape = false;
  size_t done = 0;

  if (!weir_jsonout_is_utf8(bytes, size) ||
      !is_json(json, size, WEIR_JSON_DEPTH_MAX - out->depth)) {
    weir_jsonout_string(out, key, json, size);
    return;
  }
  begin(out, key);
  for (size_t at = 0; at < size; at++) {
    char c = bytes[at];

    if (is_string) {
      is_string = is_escape || c != '"';
      is_escape = !is_escape && c == '\\';
    } else if (c == '"') {
      is_string = true;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      put(out, bytes + done, at - done);
      done = at + 1;
    }
  }
  put(out, bytes + done, size - done);
}

void weir_jsonout_newline(struct weir_jsonout *out)
{
  put(out, "\n", 1);
  out->needs_comma = false;
}

bool weir_jsonout_print(struct weir_jsonout *out)
{
  bool is_fine = !out->is_failed;

  if (is_fine)
    fwrite(out->bytes, 1, out->size, stdout);
  else
    fputs("weir: out of memory for the output\n", stderr);
  weir_jsonout_free(out);
  return is_fine;
}

void weir_jsonout_free(struct weir_jsonout *out)
{
  free(out->bytes);
  *out = (struct weir_jsonout){0};
}
