/* What goes to the provider: URL, headers and body of one attempt. */
#define _DEFAULT_SOURCE /* explicit_bzero */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay.h"
#include "splice.h"

#define KEY_LINE_SIZE (WEIR_KEY_SIZE_MAX + sizeof("Bearer "))

/* Why an attempt cannot begin. */
enum flaw { FLAW_NONE, FLAW_FINAL, FLAW_NO_ROOM };

_Static_assert(SIZE_MAX == WEIR_HTTP_SIZE_UNKNOWN, "sizes of bodies are passed on as they are");

static bool has_body(const struct weir_http_request *request)
{
  return request->body_size > 0 || strcmp(request->method, "POST") == 0 ||
         strcmp(request->method, "PUT") == 0 || strcmp(request->method, "PATCH") == 0;
}

/* The model that the lease is for, without its provider. */
static const char *leased_model(const struct weir_proxy_call *c)
{
  const char *slash = strchr(c->lease.model, '/');

  return slash ? slash + 1 : c->lease.model;
}

/* A chat completion that a route leads to a provider of another kind. */
static bool is_chat_abroad(const struct weir_proxy_call *c)
{
  return c->path.is_chat && c->provider->kind != c->p->config->mounts[c->path.mount].kind;
}

/* The body names the model that the lease is for. */
static bool model_splice(const struct weir_proxy_call *c, const char *body, size_t size,
                         struct weir_splices *splices)
{
  static const char collection[] = "models/";
  const char *own = c->facts.has_model ? c->facts.model : "";
  char model[WEIR_NAME_SIZE + 16];

  if (is_chat_abroad(c))
    return weir_provider_openai_model(c->provider->kind, leased_model(c), model, sizeof(model)) &&
           weir_splices_model(splices, body, size, &c->facts, model);
  /* Gemini's models go by two names. */
  own += strncmp(own, collection, sizeof(collection) - 1) == 0 ? sizeof(collection) - 1 : 0;
  return strcmp(own, leased_model(c)) == 0 ||
         weir_splices_model(splices, body, size, &c->facts, leased_model(c));
}

/* Makes room for the changed body, where the client's is: in memory, or in a file. Where there is
 * none for a file, there is none in memory either, which is bounded. */
static bool body_room(struct weir_proxy_call *c, size_t size)
{
  const struct weir_proxy_config *config = c->p->config;

  c->body_size = size;
  if (size <= config->body_memory_kib << 10 || !weir_spool_open(&c->spool, config->spool_dir)) {
    c->body = malloc(size + 1);
    return c->body != NULL;
  }
  if (!weir_http_server_spool_take(c->p->server, size)) {
    weir_spool_close(&c->spool);
    return false;
  }
  weir_spool_reserve(&c->spool, size);
  c->body = weir_spool_map(&c->spool);
  return c->body != NULL; /* or else weir_call_body_free gives back what was taken */
}

/* Puts the changed body into c->body. */
static enum flaw body_make(struct weir_proxy_call *c, const char *body, size_t size)
{
  struct weir_stream_options options = {.is_usage_asked = true};
  struct weir_splices splices;

  weir_splices_init(&splices);
  c->is_usage_ours = false;
  if (!c->has_facts)
    return FLAW_NONE;
  if (c->path.has_stream_options && c->facts.is_stream && c->has_lease) {
    weir_stream_options_read(body, size, &options);
    weir_splices_usage(&splices, &options);
    c->is_usage_ours = !options.is_usage_asked;
  }
  if (c->has_lease && !c->path.has_model && !model_splice(c, body, size, &splices))
    return FLAW_FINAL;
  if (splices.count == 0)
    return FLAW_NONE;
  if (!body_room(c, weir_splices_size(&splices, size)))
    return FLAW_NO_ROOM;
  weir_splices_apply(&splices, body, size, c->body);
  return FLAW_NONE;
}

/* Puts what reads the answer into |c|. */
static enum flaw readers_make(struct weir_proxy_call *c)
{
  if (c->has_lease) {
    c->scan = malloc(sizeof(*c->scan));
    if (!c->scan)
      return FLAW_NO_ROOM;
    weir_usage_init(c->scan);
  }
  if (c->is_usage_ours) {
    c->filter = malloc(sizeof(*c->filter));
    if (!c->filter)
      return FLAW_NO_ROOM;
    weir_filter_init(c->filter);
  }
  return FLAW_NONE;
}

/* Nothing was sent, and the lease goes back. */
static void give_up(struct weir_proxy_call *c, enum flaw flaw)
{
  struct weir_rejection rejection;

  weir_call_settle(c, NULL);
  if (flaw == FLAW_FINAL) {
    weir_call_refuse_text(
        c, 500, "weir: the request cannot be made: its path or its model's name is too long");
    return;
  }
  weir_rejection_no_room(&rejection);
  weir_call_refuse(c, &rejection);
}

static bool url_make(const struct weir_proxy_call *c, char *url, size_t size)
{
  const char *target = weir_http_exchange_request(c->x)->target;
  const enum weir_provider_kind asked = c->p->config->mounts[c->path.mount].kind;
  const bool is_other = c->has_lease && strcmp(leased_model(c), c->path.model) != 0;
  struct weir_put put;

  if (is_chat_abroad(c))
    return weir_provider_openai_url(c->provider->kind, c->provider->base_url, url, size);
  weir_put_init(&put, url, size);
  weir_put_text(&put, c->provider->base_url);
  return weir_path_put(&put, target, &c->path, is_other ? leased_model(c) : NULL, c->is_key_ours,
                       asked, c->provider->kind) &&
         !put.is_cut;
}

/* The key whose turn it is, as the provider wants to have it. */
static struct weir_header key_make(struct weir_proxy_call *c, char line[KEY_LINE_SIZE])
{
  const struct weir_provider_rules *rules = weir_provider_rules_of(c->provider->kind);
  const bool is_openai = c->path.protocol == WEIR_PROTOCOL_OPENAI;

  c->key = weir_keyfile_take(c->provider->keys, weir_now_us());
  snprintf(line, KEY_LINE_SIZE, "%s%.*s", is_openai ? "Bearer " : rules->key_prefix,
           (int)c->key.size, c->key.text);
  return (struct weir_header){is_openai ? "authorization" : rules->key_header, line};
}

static size_t headers_make(struct weir_proxy_call *c, struct weir_header *headers,
                           char key[KEY_LINE_SIZE])
{
  const struct weir_http_request *request = weir_http_exchange_request(c->x);
  const bool is_read = c->has_lease;
  const char *connection = weir_http_request_header(request, "connection");
  size_t count = 0;

  for (uint32_t i = 0; i < request->header_count; i++)
    if (weir_relay_is_request(request->headers[i].name, connection, c->is_key_ours, is_read))
      headers[count++] = (struct weir_header){request->headers[i].name, request->headers[i].value};
  if (is_read)
    headers[count++] = (struct weir_header){"accept-encoding", "identity"};
  if (c->is_key_ours)
    headers[count++] = key_make(c, key);
  return count;
}

void weir_call_send(struct weir_proxy_call *c)
{
  const struct weir_http_request *request = weir_http_exchange_request(c->x);
  struct weir_header headers[128];
  char url[WEIR_PROXY_URL_SIZE + 8192 + 32], key[KEY_LINE_SIZE];
  struct weir_fetch_request fetch = {.method = request->method,
                                     .url = url,
                                     .headers = headers,
                                     .has_body = has_body(request),
                                     .expires_at = c->has_lease ? c->lease.expires_us : WEIR_NEVER,
                                     .timeout_us = c->has_lease ? c->lease.timeout_us : 0,
                                     .idle_ms = c->p->config->idle_ms};
  size_t size;
  const char *body = weir_http_exchange_body(c->x, &size);
  enum flaw flaw = url_make(c, url, sizeof(url)) ? body_make(c, body, size) : FLAW_FINAL;

  if (flaw == FLAW_NONE)
    flaw = readers_make(c);
  if (flaw != FLAW_NONE) {
    give_up(c, flaw);
    return;
  }
  fetch.header_count = headers_make(c, headers, key);
  fetch.body = c->body ? c->body : body;
  fetch.body_size = c->body ? c->body_size : size;
  if (c->upload) {
    fetch.is_streamed = true;
    fetch.body_size = request->body_size; /* which is SIZE_MAX, too, where it is not known */
  }
  c->attempts++;
  c->log.has_cost = c->log.has_usage = false; /* those of the attempt before */
  c->state = CALL_FETCHING;
  c->fetch = weir_fetch_start(c->p->fetcher, &fetch, c);
  explicit_bzero(key, sizeof(key));
  if (!c->fetch)
    give_up(c, FLAW_NO_ROOM);
}

/* ---- a body that passes as it comes ---- */

/* The client's side: it waits while the provider does not take what is there. */
void weir_call_body(struct weir_proxy_call *c, const void *bytes, size_t size)
{
  if (size > 0)
    weir_upload_put(c->upload, bytes, size);
  else
    c->upload->is_over = true;
  if (!weir_upload_has_room(c->upload))
    weir_http_exchange_body_pause(c->x);
  if (c->fetch)
    weir_fetch_more(c->fetch);
}

size_t weir_call_need(struct weir_fetch *fetch, char *to, size_t size, bool *ret_is_over,
                      void *context)
{
  struct weir_proxy_call *c = context;
  const size_t got = weir_upload_take(c->upload, to, size);

  (void)fetch;
  *ret_is_over = got == 0 && c->upload->is_over;
  if (weir_upload_has_room(c->upload))
    weir_http_exchange_body_resume(c->x);
  return got;
}
