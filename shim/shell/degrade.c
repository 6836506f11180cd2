/* degrade.c - what stands in for an answer when a call has failed for good: the last good answer,
 * a rule, the program's callback, in this order. */
#include "handle.h"

#include <weir/classify.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RULE_BODY_MAX ((size_t)1 << 20)
#define WORD_MAX      127
#define JSON_TYPE     "application/json"

/* ---- answers ---- */

static char *copy_of(const void *bytes, size_t size)
{
  char *copy = malloc(size + 1);

  if (!copy)
    return NULL;
  if (size > 0)
    memcpy(copy, bytes, size);
  copy[size] = '\0';
  return copy;
}

/* Takes |body| and |type|. */
static void give(struct weir_response *response, char *body, size_t size, char *type)
{
  free(response->body);
  free(response->content_type);
  response->body = body;
  response->body_size = size;
  response->content_type = type;
}

int weir_response_set(struct weir_response *response, const char *content_type, const void *body,
                      size_t body_size)
{
  const char *type = content_type ? content_type : JSON_TYPE;
  char *own_body, *own_type;

  if (!response || (!body && body_size > 0) ||
      (response->size != WEIR_RESPONSE_SIZE_FIRST && response->size != sizeof(*response)))
    return WEIR_EINVAL;
  own_body = copy_of(body, body_size);
  own_type = copy_of(type, strlen(type));
  if (!own_body || !own_type) {
    free(own_body);
    free(own_type);
    return WEIR_ENOMEM;
  }
  give(response, own_body, body_size, own_type);
  return WEIR_OK;
}

/* ---- the last good answer ---- */

static struct weir_cache_bytes bytes_of(const char *text)
{
  return (struct weir_cache_bytes){text, text ? strlen(text) : 0};
}

static struct weir_cache_request key_of(const struct weir_request *request)
{
  return (struct weir_cache_request){{bytes_of(request->model),
                                      bytes_of(request->path),
                                      bytes_of(request->protocol),
                                      bytes_of(request->tenant),
                                      {request->body, request->body_size}}};
}

void weir_degrade_keep(struct weir *w, const struct weir_request *request,
                       const struct weir_response *response)
{
  const struct weir_cache_request key = key_of(request);
  const struct weir_cache_answer answer = {{bytes_of(response->model),
                                            bytes_of(response->content_type),
                                            {response->body, response->body_size}}};
  const char *type = response->content_type ? response->content_type : "";

  if (!w->cache || !request->is_cacheable || request->on_data ||
      strncasecmp(type, "text/event-stream", 17) == 0)
    return;
  pthread_mutex_lock(&w->lock);
  (void)weir_cache_put(w->cache, &key, &answer, weir_now()); /* one that is too large is left out */
  pthread_mutex_unlock(&w->lock);
}

/* Precondition: the lock is held. */
static bool stale(struct weir *w, const struct weir_request *request,
                  struct weir_response *response)
{
  const struct weir_cache_request key = key_of(request);
  char *parts[WEIR_CACHE_ANSWER_PARTS];
  struct weir_cache_found found;
  bool is_whole = true;

  if (!w->cache || !request->is_cacheable ||
      !weir_cache_find(w->cache, &key, weir_now(), w->cache_ttl_us, &found))
    return false;
  for (int i = 0; i < WEIR_CACHE_ANSWER_PARTS; i++) {
    parts[i] = malloc(found.sizes[i] + 1);
    is_whole = is_whole && parts[i];
  }
  for (int i = 0; is_whole && i < WEIR_CACHE_ANSWER_PARTS; i++) {
    weir_cache_read(w->cache, &found, (enum weir_cache_part)i, parts[i]);
    parts[i][found.sizes[i]] = '\0';
  }
  if (is_whole) {
    give(response, parts[WEIR_CACHE_BODY], found.sizes[WEIR_CACHE_BODY],
         parts[WEIR_CACHE_CONTENT_TYPE]);
    snprintf(response->model, sizeof(response->model), "%s", parts[WEIR_CACHE_MODEL]);
    response->degraded = WEIR_DEGRADED_STALE;
    response->age_us = found.age_us;
  } else {
    free(parts[WEIR_CACHE_BODY]);
    free(parts[WEIR_CACHE_CONTENT_TYPE]);
  }
  free(parts[WEIR_CACHE_MODEL]);
  return is_whole;
}

/* ---- rules ---- */

static bool is_same(const char *a, const char *b)
{
  return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool matches(const char *pattern, const char *name)
{
  const size_t size = strlen(pattern);

  if (size > 0 && pattern[size - 1] == '*')
    return strncmp(pattern, name, size - 1) == 0;
  return strcmp(pattern, name) == 0;
}

/* Precondition: the lock is held. */
static bool by_rule(struct weir *w, const struct weir_request *request,
                    struct weir_response *response)
{
  for (uint32_t i = 0; i < w->rules_count; i++) {
    const struct weir_rule_entry *rule = &w->rules[i];

    if (!matches(rule->model, request->model) || (rule->tag && !is_same(rule->tag, request->tag)))
      continue;
    if (weir_response_set(response, rule->content_type, rule->body, rule->body_size) != WEIR_OK)
      return false;
    response->degraded = WEIR_DEGRADED_RULE;
    return true;
  }
  return false;
}

static void rule_free(struct weir_rule_entry *rule)
{
  free(rule->model);
  free(rule->tag);
  free(rule->content_type);
  free(rule->body);
}

static bool rule_copy(const struct weir_rule *rule, struct weir_rule_entry *ret_entry)
{
  const char *type = rule->content_type ? rule->content_type : JSON_TYPE;

  *ret_entry = (struct weir_rule_entry){.model = copy_of(rule->model, strlen(rule->model)),
                                        .content_type = copy_of(type, strlen(type)),
                                        .body = copy_of(rule->body, rule->body_size),
                                        .body_size = rule->body_size};
  if (rule->tag)
    ret_entry->tag = copy_of(rule->tag, strlen(rule->tag));
  return ret_entry->model && ret_entry->content_type && ret_entry->body &&
         (ret_entry->tag || !rule->tag);
}

/* Precondition: the lock is held. */
static int rule_put(struct weir *w, const struct weir_rule_entry *rule)
{
  uint32_t i = 0;

  while (i < w->rules_count &&
         (strcmp(w->rules[i].model, rule->model) != 0 || !is_same(w->rules[i].tag, rule->tag)))
    i++;
  if (i == WEIR_RULES_MAX)
    return WEIR_EFULL;
  if (i < w->rules_count)
    rule_free(&w->rules[i]);
  else
    w->rules_count++;
  w->rules[i] = *rule;
  return WEIR_OK;
}

int weir_rule_add(struct weir *w, const struct weir_rule *rule)
{
  struct weir_rule_entry entry;
  int err;

  if (!w || !rule || rule->size != sizeof(*rule) || !rule->model || !*rule->model ||
      strlen(rule->model) >= WEIR_NAME_SIZE || (rule->tag && strlen(rule->tag) > WORD_MAX) ||
      (rule->content_type && strlen(rule->content_type) > WORD_MAX) ||
      (!rule->body && rule->body_size > 0))
    return WEIR_EINVAL;
  if (rule->body_size > RULE_BODY_MAX)
    return WEIR_ERANGE;
  err = rule_copy(rule, &entry) ? weir_enter(w) : WEIR_ENOMEM;
  if (!err) {
    err = rule_put(w, &entry);
    weir_leave(w);
  }
  if (err)
    rule_free(&entry);
  return err;
}

/* ---- the program's own ---- */

static bool by_callback(struct weir *w, const struct weir_request *request, int err,
                        struct weir_response *response)
{
  struct weir_response answer = WEIR_INIT(struct weir_response);
  const bool is_given =
      w->degrade && w->degrade(w->degrade_context, request, err, response, &answer) != 0;

  if (!is_given) {
    weir_response_free(&answer);
    return false;
  }
  give(response, answer.body, answer.body_size, answer.content_type);
  response->degraded = WEIR_DEGRADED_CALLBACK;
  return true;
}

/* ---- in this order ---- */

/* Whether the failure is nobody's fault who asked. */
static bool may_degrade(int err, const struct weir_response *response)
{
  switch (err) {
  case WEIR_EUPSTREAM:
    return !weir_outcome_is_of_request(response->outcome);
  case WEIR_EDENIED:
    return response->denied.why != WEIR_DENIAL_TOO_LARGE &&
           response->denied.why != WEIR_DENIAL_NO_POOL;
  case WEIR_ENETWORK:
  case WEIR_ETIMEOUT:
  case WEIR_EUNREACHABLE:
  case WEIR_EEXPIRED:
  case WEIR_EFULL:
    return true;
  default:
    return false;
  }
}

int weir_degrade(struct weir *w, const struct weir_request *request, int err,
                 struct weir_response *response)
{
  bool is_answered;

  if (!may_degrade(err, response))
    return err;
  pthread_mutex_lock(&w->lock);
  is_answered = stale(w, request, response) || by_rule(w, request, response);
  pthread_mutex_unlock(&w->lock);
  if (!is_answered && !by_callback(w, request, err, response))
    return err;
  response->http = 200;
  weir_log(w, WEIR_LEVEL_INFO, "%s: %s; answered without it", request->model, response->error);
  return WEIR_OK;
}

void weir_degrade_free(struct weir *w)
{
  if (w->cache)
    weir_cache_wipe(w->cache);
  free(w->cache);
  for (uint32_t i = 0; i < w->rules_count; i++)
    rule_free(&w->rules[i]);
}
