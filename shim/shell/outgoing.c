#include "outgoing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE  768
#define MODEL_NAME "{model}"

static bool fits(int needed, size_t size)
{
  return needed > 0 && (size_t)needed < size;
}

static bool own_path(const char *path, const char *model, char *ret_path, size_t size)
{
  const char *slash = *path == '/' ? "" : "/";
  const char *place = strstr(path, MODEL_NAME);

  if (!place)
    return fits(snprintf(ret_path, size, "%s%s", slash, path), size);
  return fits(snprintf(ret_path, size, "%s%.*s%s%s", slash, (int)(place - path), path, model,
                       place + strlen(MODEL_NAME)),
              size);
}

bool weir_outgoing_url(const struct weir_provider_entry *provider, const struct weir_outgoing *how,
                       char *ret_url, size_t size)
{
  char whole[PATH_SIZE];
  bool is_good;

  if (how->is_openai && !how->path)
    return weir_provider_openai_url(provider->kind, provider->base_url, ret_url, size);
  if (how->path)
    is_good = own_path(how->path, how->model, whole, sizeof(whole));
  else
    is_good = weir_provider_path(provider->kind, how->model, how->is_stream, whole, sizeof(whole));
  return is_good && fits(snprintf(ret_url, size, "%s%s", provider->base_url, whole), size);
}

/* Writes |model| as a JSON string. */
static void quote(const char *model, char ret_text[2 * WEIR_NAME_SIZE + 3])
{
  char *at = ret_text;

  *at++ = '"';
  for (; *model; model++) {
    if (*model == '"' || *model == '\\')
      *at++ = '\\';
    *at++ = *model;
  }
  *at++ = '"';
  *at = '\0';
}

static bool is_empty_object(const char *body, size_t size, size_t at)
{
  while (at < size && strchr(" \t\r\n", body[at]))
    at++;
  return at < size && body[at] == '}';
}

char *weir_outgoing_body(const char *body, size_t size, const struct weir_request_facts *facts,
                         const char *model, size_t *ret_size)
{
  char quoted[2 * WEIR_NAME_SIZE + 3], value[sizeof(quoted) + 16];
  size_t begin, end, value_size;
  char *copy;

  quote(model, quoted);
  if (facts->has_model) {
    begin = facts->model_begin;
    end = facts->model_end;
    value_size = (size_t)snprintf(value, sizeof(value), "%s", quoted);
  } else {
    const char *brace = memchr(body, '{', size); /* it is an object */

    begin = end = (size_t)(brace - body) + 1;
    value_size = (size_t)snprintf(value, sizeof(value), "\"model\":%s%s", quoted,
                                  is_empty_object(body, size, begin) ? "" : ",");
  }
  copy = malloc(size + value_size);
  if (!copy)
    return NULL;
  memcpy(copy, body, begin);
  memcpy(copy + begin, value, value_size);
  memcpy(copy + begin + value_size, body + end, size - end);
  *ret_size = begin + value_size + (size - end);
  return copy;
}
