#include <weir/provider.h>

#include <string.h>

#include "rules.h"

static const struct {
  const char *name;
  const struct weir_provider_rules *rules;
} providers[WEIR_PROVIDER_MAX] = {[0] = {"?", &weir_rules_compatible},
#define X(name, value, text, symbol) [value] = {text, &symbol},
                                  WEIR_PROVIDER_LIST(X)
#undef X
};

static size_t index_of(enum weir_provider_kind kind)
{
  return (unsigned)kind < WEIR_PROVIDER_MAX ? (size_t)kind : 0;
}

const char *weir_provider_kind_name(enum weir_provider_kind kind)
{
  return providers[index_of(kind)].name;
}

enum weir_provider_kind weir_provider_kind_parse(const char *text)
{
  for (size_t i = 1; i < WEIR_PROVIDER_MAX; i++)
    if (strcmp(providers[i].name, text) == 0)
      return (enum weir_provider_kind)i;
  return (enum weir_provider_kind)0;
}

const struct weir_provider_rules *weir_provider_rules_of(enum weir_provider_kind kind)
{
  return providers[index_of(kind)].rules;
}

/* A bounded text under construction; |size| grows on when it is full, so that one look tells. */
struct path {
  char *text;
  size_t room, size;
};

static void path_add(struct path *p, char c)
{
  if (p->size < p->room)
    p->text[p->size] = c;
  p->size++;
}

static void path_add_text(struct path *p, const char *text, size_t size)
{
  for (size_t i = 0; i < size; i++)
    path_add(p, text[i]);
}

static bool is_plain(char c)
{
  static const char marks[] = "-._~/:@";

  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         memchr(marks, c, sizeof(marks) - 1) != NULL;
}

static void path_add_model(struct path *p, const char *model)
{
  static const char digits[] = "0123456789ABCDEF", collection[] = "models/";

  if (!strchr(model, '/'))
    path_add_text(p, collection, sizeof(collection) - 1);
  for (; *model != '\0'; model++) {
    if (is_plain(*model)) {
      path_add(p, *model);
    } else {
      path_add(p, '%');
      path_add(p, digits[(uint8_t)*model >> 4]);
      path_add(p, digits[(uint8_t)*model & 0xf]);
    }
  }
}

bool weir_provider_openai_url(enum weir_provider_kind kind, const char *base_url, char *ret_url,
                              size_t size)
{
  const struct weir_provider_rules *rules = weir_provider_rules_of(kind);
  const size_t end_size = rules->openai_root ? strlen(rules->openai_root) : 0;
  const size_t path_size = strlen(rules->openai_path) + 1;
  size_t root_size = strlen(base_url);

  if (root_size < end_size ||
      (end_size > 0 && strcmp(base_url + root_size - end_size, rules->openai_root) != 0))
    return false;
  root_size -= end_size;
  if (root_size + path_size > size)
    return false;
  memcpy(ret_url, base_url, root_size);
  memcpy(ret_url + root_size, rules->openai_path, path_size);
  return true;
}

bool weir_provider_openai_model(enum weir_provider_kind kind, const char *model, char *ret_model,
                                size_t size)
{
  const char *prefix = weir_provider_rules_of(kind)->openai_model;
  const size_t prefix_size = prefix && !strchr(model, '/') ? strlen(prefix) : 0;
  const size_t model_size = strlen(model) + 1;

  if (prefix_size + model_size > size)
    return false;
  if (prefix_size > 0)
    memcpy(ret_model, prefix, prefix_size);
  memcpy(ret_model + prefix_size, model, model_size);
  return true;
}

bool weir_provider_path(enum weir_provider_kind kind, const char *model, bool is_stream,
                        char *ret_path, size_t size)
{
  static const char mark[] = "{model}";
  const struct weir_provider_rules *rules = weir_provider_rules_of(kind);
  const char *text = is_stream ? rules->stream_path : rules->path;
  const char *place = strstr(text, mark);
  char buffer[512];
  struct path p = {.text = buffer, .room = sizeof(buffer)};

  if (*model == '\0' || strstr(model, ".."))
    return false;
  if (place) {
    path_add_text(&p, text, (size_t)(place - text));
    path_add_model(&p, model);
    text = place + sizeof(mark) - 1;
  }
  path_add_text(&p, text, strlen(text) + 1);
  if (p.size > p.room || p.size > size)
    return false;
  memcpy(ret_path, buffer, p.size);
  return true;
}
