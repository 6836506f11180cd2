#include "relay.h"

#include <weir/text.h>

#include <stdint.h>
#include <string.h>

#include "paths.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const char *const key_names[] = {"authorization", "x-api-key", "x-goog-api-key"};

static bool is_any_of(const char *name, const char *const *names, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (weir_text_is(name, names[i]))
      return true;
  return false;
}

static bool is_named(const char *name, const char *list)
{
  const size_t size = strlen(name);

  while (list && *list != '\0') {
    const size_t word = strcspn(list, ", \t");

    if (word == size && weir_text_find(list, name) == list + word)
      return true;
    list += word;
    list += strspn(list, ", \t");
  }
  return false;
}

/* Of one connection, or stated anew on the next one (RFC 9110, 7.6.1). */
static bool is_hop(const char *name, const char *connection)
{
  static const char *const names[] = {"connection",
                                      "keep-alive",
                                      "proxy-connection",
                                      "proxy-authenticate",
                                      "proxy-authorization",
                                      "te",
                                      "trailer",
                                      "transfer-encoding",
                                      "upgrade",
                                      "http2-settings",
                                      "content-length"};

  return is_any_of(name, names, COUNT(names)) || is_named(name, connection);
}

static bool is_ours(const char *name)
{
  static const char ours[] = "x-weir-", theirs[] = "x-litellm-";
  char begin[sizeof(theirs)];

  strncpy(begin, name, sizeof(begin) - 1);
  begin[sizeof(begin) - 1] = '\0';
  if (weir_text_is(begin, theirs))
    return true;
  begin[sizeof(ours) - 1] = '\0';
  return weir_text_is(begin, ours);
}

bool weir_relay_is_request(const char *name, const char *connection, bool is_key_replaced,
                           bool is_read)
{
  if (is_hop(name, connection) || is_ours(name) || weir_text_is(name, "host") ||
      weir_text_is(name, "expect"))
    return false;
  if (is_key_replaced && is_any_of(name, key_names, COUNT(key_names)))
    return false;
  return !is_read || !weir_text_is(name, "accept-encoding");
}

bool weir_relay_is_response(const char *name, const char *connection, bool is_final)
{
  return !is_hop(name, connection) && !is_ours(name) &&
         !(is_final && weir_text_is(name, "x-should-retry"));
}

const char *weir_relay_header(const struct weir_header *headers, size_t count, const char *name)
{
  for (size_t i = 0; i < count; i++)
    if (weir_text_is(headers[i].name, name))
      return headers[i].value;
  return NULL;
}

static bool is_token(const char *key, size_t size, const char *token)
{
  const size_t token_size = token ? strlen(token) : 0;
  uint8_t different = size != token_size;

  for (size_t i = 0; i < size && token_size > 0; i++)
    different |= (uint8_t)(key[i] ^ token[i % token_size]);
  return token_size > 0 && different == 0;
}

/* A key in a query, which may be written as it is or percent-encoded. */
static bool is_token_encoded(const char *key, size_t size, const char *token)
{
  char plain[WEIR_PATH_TARGET_MAX];
  size_t plain_size = 0;

  if (size > sizeof(plain))
    return false;
  for (size_t at = 0; at < size; plain_size++)
    at += weir_path_byte(key + at, size - at, &plain[plain_size]);
  return is_token(plain, plain_size, token);
}

/* The key in a line that may hold one; NULL in others. */
static const char *key_of(const struct weir_header *line)
{
  static const char scheme[] = "bearer ";
  const size_t size = sizeof(scheme) - 1;

  if (!is_any_of(line->name, key_names, COUNT(key_names)))
    return NULL;
  if (!weir_text_is(line->name, "authorization"))
    return line->value;
  if (weir_text_find(line->value, scheme) != line->value + size)
    return NULL;
  return line->value + size + strspn(line->value + size, " ");
}

enum weir_key weir_relay_key_choose(const struct weir_keys *keys, const char *token, bool is_wide)
{
  const char *extra = weir_relay_header(keys->headers, keys->header_count, "x-weir-token");

  /* Every line is looked at: the token must not go on beside another key. */
  for (size_t i = 0; i < keys->header_count; i++) {
    const char *key = key_of(&keys->headers[i]);

    if (key && is_token(key, strlen(key), token))
      return WEIR_KEY_OURS;
  }
  if (keys->query && (is_token(keys->query, keys->query_size, token) ||
                      is_token_encoded(keys->query, keys->query_size, token)))
    return WEIR_KEY_OURS;
  if (is_wide && !(extra && is_token(extra, strlen(extra), token)))
    return WEIR_KEY_NONE;
  return WEIR_KEY_THEIRS;
}
