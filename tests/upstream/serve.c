#include "serve.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "provider.h"
#include "text.h"

#define OUTPUT_MAX UINT64_C(100000)

/* The first that has the path serves it: of /v1/ OpenAI takes what nobody else has. */
static const struct weir_up_provider *const providers[] = {&weir_up_compatible, &weir_up_gemini,
                                                           &weir_up_anthropic, &weir_up_openai};

/* An admitted call while it waits, streams, or is answered. Owner: its timer, until that is closed;
 * |x| is NULL once the exchange has ended. */
struct pending {
  uv_timer_t timer;
  struct weir_up_server *server;
  struct weir_http_exchange *x;
  const struct weir_up_provider *provider;
  struct weir_up_account *account;
  uint64_t book_epoch;
  struct weir_up_call call;
  enum weir_up_fault_kind fault;
  struct weir_rng rng; /* of its prose */
  char project[WEIR_UP_NAME_MAX + 1];
  bool is_started;
};

uint64_t weir_up_now_us(const struct weir_up_server *server)
{
  return uv_hrtime() / 1000 + server->wall_offset_us;
}

void weir_up_answer_header(struct weir_up_answer *answer, const char *name, const char *format, ...)
{
  assert(answer->header_count < WEIR_UP_HEADERS_MAX);
  char *value = answer->values[answer->header_count];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(value, sizeof answer->values[0], format, args);
  va_end(args);
  answer->headers[answer->header_count++] = (struct weir_http_header){name, value};
}

const char *weir_up_bearer(const struct weir_http_request *request)
{
  const char *value = weir_http_request_header(request, "authorization");
  return value != NULL && strncmp(value, "Bearer ", 7) == 0 ? value + 7 : "";
}

int weir_up_first_limit(const struct weir_up_meter *m, enum weir_up_dimension dimension)
{
  for (uint32_t i = 0; m != NULL && i < weir_up_meter_count(m); i++) {
    const struct weir_up_limit *limit = weir_up_meter_limit(m, i);
    if (limit->dimension == dimension && !limit->is_day)
      return (int)i;
  }
  return -1;
}

/* --- answers ------------------------------------------------------------------------------- */

static void respond(struct weir_http_exchange *x, struct weir_up_answer *answer)
{
  weir_up_answer_header(answer, "content-type", "application/json; charset=UTF-8");
  enum weir_err err =
      weir_http_exchange_respond(x, answer->status, answer->headers, answer->header_count,
                                 answer->body.text, answer->body.size);
  weir_up_buffer_free(&answer->body);
  if (err != WEIR_OK)
    weir_http_exchange_abort(x);
}

void weir_up_reply(struct weir_http_exchange *x, uint32_t status, const char *json, size_t size)
{
  struct weir_http_header header = {"content-type", "application/json"};
  if (weir_http_exchange_respond(x, status, &header, 1, json, size) != WEIR_OK)
    weir_http_exchange_abort(x);
}

static void respond_error(struct weir_http_exchange *x, const struct weir_up_provider *provider,
                          const struct weir_up_call *call, enum weir_up_error error)
{
  struct weir_up_answer answer = {0};
  provider->error(call, error, &answer);
  provider->headers(call, &answer);
  respond(x, &answer);
}

static enum weir_up_error error_of(enum weir_up_fault_kind fault)
{
  switch (fault) {
  case WEIR_UP_FAULT_CAPACITY_429:
    return WEIR_UP_ERROR_CAPACITY;
  case WEIR_UP_FAULT_OVERLOADED_503:
    return WEIR_UP_ERROR_OVERLOADED;
  case WEIR_UP_FAULT_OVERLOADED_529:
    return WEIR_UP_ERROR_OVERLOADED_529;
  case WEIR_UP_FAULT_ERROR_500:
    return WEIR_UP_ERROR_INTERNAL;
  case WEIR_UP_FAULT_TIMEOUT_504:
    return WEIR_UP_ERROR_DEADLINE;
  case WEIR_UP_FAULT_BILLING_402:
    return WEIR_UP_ERROR_BILLING;
  case WEIR_UP_FAULT_LEAKED_KEY_403:
    return WEIR_UP_ERROR_LEAKED_KEY;
  case WEIR_UP_FAULT_LIMIT_ZERO:
    return WEIR_UP_ERROR_LIMIT_ZERO;
  case WEIR_UP_FAULT_DAY_SHORT_HINT:
    return WEIR_UP_ERROR_DAY;
  case WEIR_UP_FAULT_RAMP:
    return WEIR_UP_ERROR_RAMP;
  case WEIR_UP_FAULT_NONE:
  case WEIR_UP_FAULT_STREAM_ERROR:
  case WEIR_UP_FAULT_DROP:
  case WEIR_UP_FAULT_SLOW_FIRST_BYTE:
  case WEIR_UP_FAULT_BLOCKED_PROMPT:
  case WEIR_UP_FAULT_CLOSE_UNANSWERED:
  case WEIR_UP_FAULT_MAX:
    break;
  }
  return (enum weir_up_error)0;
}

/* --- an admitted call ---------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *timer)
{
  struct pending *p = timer->data;
  weir_up_buffer_free(&p->call.text);
  free(p);
}

static struct weir_up_account *account_of(struct pending *p)
{
  return p->book_epoch == p->server->book_epoch ? p->account : NULL;
}

/* Output counts when it is made, whether or not the client stays. */
static void produce(struct pending *p, uint64_t tokens)
{
  struct weir_up_account *a = account_of(p);
  p->call.sent_tokens += tokens;
  if (a == NULL)
    return;
  a->output_tokens += tokens;
  struct weir_up_cost cost = {.units = {[WEIR_UP_OUTPUT] = tokens}};
  for (uint32_t i = 0; i < weir_up_meter_count(a->meter); i++)
    if (weir_up_meter_limit(a->meter, i)->dimension == WEIR_UP_OUTPUT) {
      weir_up_meter_charge(a->meter, p->call.now_us, &cost);
      return;
    }
}

static void answer_whole(struct pending *p)
{
  struct weir_up_answer answer = {0};
  uint64_t words = p->call.is_blocked ? 0 : p->call.output_tokens;
  char *text = malloc(words * 8 + 1);
  if (text == NULL)
    abort();
  text[weir_up_prose(&p->rng, words, 0, text, words * 8)] = '\0';
  produce(p, words);
  p->provider->whole(&p->call, text, &answer);
  p->provider->headers(&p->call, &answer);
  free(text);
  respond(p->x, &answer);
}

static void stream_start(struct pending *p)
{
  struct weir_up_answer answer = {0};
  p->provider->headers(&p->call, &answer);
  weir_up_answer_header(&answer, "content-type", "text/event-stream");
  if (weir_http_exchange_start(p->x, 200, answer.headers, answer.header_count,
                               WEIR_HTTP_SIZE_UNKNOWN) != WEIR_OK)
    abort();
  p->is_started = true;
}

static void on_timer(uv_timer_t *timer);

/* One step of a stream: some tokens, and at the end what ends it. One that is to break does so
 * half-way, however short it is. */
static void stream_step(struct pending *p)
{
  struct weir_up_buffer out = {0};
  struct weir_up_call *call = &p->call;
  bool is_breaking = p->fault == WEIR_UP_FAULT_DROP || p->fault == WEIR_UP_FAULT_STREAM_ERROR;
  uint64_t goal = is_breaking ? call->output_tokens / 2 : call->output_tokens;
  uint64_t left = goal - call->sent_tokens;
  uint64_t tokens = p->server->settings.chunk_tokens;
  char text[8 * 256 + 1];
  tokens = tokens < left ? tokens : left;
  tokens = tokens < 256 ? tokens : 256;
  bool is_broken = is_breaking && p->is_started && left == 0;
  if (p->fault == WEIR_UP_FAULT_DROP && is_broken) {
    weir_http_exchange_abort(p->x);
    return;
  }
  if (!p->is_started) {
    stream_start(p);
    p->provider->begin(call, &out);
  }
  bool is_last = is_broken || (!is_breaking && tokens == left);
  if (is_broken) {
    p->provider->fail(call, &out);
  } else {
    text[weir_up_prose(&p->rng, tokens, call->sent_tokens, text, 8 * tokens)] = '\0';
    produce(p, tokens);
    p->provider->piece(call, text, is_last, &out);
    if (is_last)
      p->provider->end(call, &out);
  }
  /* Bounded by what one stream makes: a full queue is waited out by the next step. */
  enum weir_err err = weir_http_exchange_send(p->x, out.text, out.size);
  weir_up_buffer_free(&out);
  if (err != WEIR_OK)
    weir_http_exchange_abort(p->x);
  else if (is_last)
    weir_http_exchange_finish(p->x);
  else
    (void)uv_timer_start(&p->timer, on_timer, p->server->settings.chunk_ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
  struct pending *p = timer->data;
  struct weir_up_account *account = account_of(p);
  p->call.now_us = weir_up_now_us(p->server);
  /* New limits have a new meter, and a reset leaves none. */
  p->call.meter = account != NULL ? account->meter : NULL;
  if (p->fault == WEIR_UP_FAULT_TIMEOUT_504) {
    respond_error(p->x, p->provider, &p->call, WEIR_UP_ERROR_DEADLINE);
    return;
  }
  if (p->call.operation != WEIR_UP_STREAM && p->fault == WEIR_UP_FAULT_DROP) {
    weir_http_exchange_abort(p->x);
    return;
  }
  if (p->call.operation != WEIR_UP_STREAM) {
    answer_whole(p);
    return;
  }
  if (weir_http_exchange_queued(p->x) < WEIR_HTTP_QUEUE_MAX)
    stream_step(p);
  else /* a slow reader: look again, but do not spin */
    (void)uv_timer_start(timer, on_timer, p->server->settings.chunk_ms + 10, 0);
}

static void on_close(struct weir_http_exchange *x, bool is_sent, void *context)
{
  struct pending *p = weir_http_exchange_data(x);
  (void)context;
  if (p == NULL)
    return;
  struct weir_up_account *a = account_of(p);
  if (a != NULL && is_sent)
    a->completed++;
  else if (a != NULL)
    a->cancelled++;
  p->x = NULL;
  uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}

static void start(struct weir_up_server *server, struct weir_http_exchange *x,
                  const struct weir_up_provider *provider, struct weir_up_account *account,
                  const struct weir_up_call *call, const struct weir_up_fault *fault)
{
  uint64_t latency_ms = weir_up_settings_latency_ms(&server->settings, &server->rng);
  struct pending *p = calloc(1, sizeof *p);
  if (p == NULL)
    abort();
  p->server = server;
  p->x = x;
  p->provider = provider;
  p->account = account;
  p->book_epoch = server->book_epoch;
  p->call = *call;
  p->call.project = strcpy(p->project, account->project);
  weir_rng_init(&p->rng, weir_rng_split(&server->rng));
  if (fault != NULL) {
    p->fault = fault->kind;
    p->call.is_blocked = fault->kind == WEIR_UP_FAULT_BLOCKED_PROMPT;
    latency_ms += fault->kind == WEIR_UP_FAULT_SLOW_FIRST_BYTE ? fault->ms : 0;
  }
  if (p->call.is_blocked)
    p->call.output_tokens = 0;
  (void)uv_timer_init(server->loop, &p->timer);
  p->timer.data = p;
  weir_http_exchange_set_data(x, p);
  (void)uv_timer_start(&p->timer, on_timer, latency_ms, 0);
}

/* --- admission ----------------------------------------------------------------------------- */

static void reject(struct weir_http_exchange *x, const struct weir_up_provider *provider,
                   const struct weir_up_call *call, const struct weir_up_cost *cost,
                   uint32_t rejected, struct weir_up_account *a)
{
  struct weir_up_answer answer = {0};
  a->rejected++;
  for (uint32_t i = 0; i < WEIR_UP_LIMITS_MAX; i++)
    a->rejected_by[i] += rejected >> i & 1;
  provider->quota(call, cost, rejected, &answer);
  provider->headers(call, &answer);
  respond(x, &answer);
}

static void choose_output(struct weir_up_server *server, struct weir_up_call *call)
{
  const struct weir_up_settings *s = &server->settings;
  uint64_t most = call->request.max_tokens > 0 ? call->request.max_tokens : OUTPUT_MAX;
  uint64_t wanted = s->output_min + weir_rng_below(&server->rng, s->output_max - s->output_min + 1);
  most = most < OUTPUT_MAX ? most : OUTPUT_MAX;
  call->is_cut = wanted > most;
  call->output_tokens = call->is_cut ? most : wanted;
  if (call->operation != WEIR_UP_GENERATE && call->operation != WEIR_UP_STREAM)
    call->output_tokens = 0;
}

static void admit(struct weir_up_server *server, struct weir_http_exchange *x,
                  const struct weir_up_provider *provider, struct weir_up_account *a,
                  struct weir_up_call *call)
{
  const struct weir_up_fault *fault = weir_up_settings_fault(
      &server->settings, call->request.model, weir_http_exchange_index(x) > 0, &server->rng);
  enum weir_up_fault_kind kind = fault != NULL ? fault->kind : WEIR_UP_FAULT_NONE;
  enum weir_up_error error = error_of(kind);
  server->book.faults[kind]++;
  struct weir_up_record record = {.at_us = call->now_us, .tokens = call->request.input_tokens};
  if (error != 0 || kind == WEIR_UP_FAULT_CLOSE_UNANSWERED) {
    a->faulted++;
    record.fault = kind;
    weir_up_book_record(&server->book, &server->settings, a, &record);
  }
  if (kind == WEIR_UP_FAULT_CLOSE_UNANSWERED) {
    weir_http_exchange_abort(x);
    return;
  }
  choose_output(server, call);
  struct weir_up_cost cost = provider->cost(call);
  if (fault != NULL && error != 0) {
    if (fault->is_charged)
      weir_up_meter_charge(a->meter, call->now_us, &cost);
    if (kind == WEIR_UP_FAULT_TIMEOUT_504)
      start(server, x, provider, a, call, fault);
    else
      respond_error(x, provider, call, error);
    return;
  }
  uint32_t rejected = weir_up_meter_admit(a->meter, call->now_us, &cost);
  record.is_admitted = rejected == 0;
  weir_up_book_record(&server->book, &server->settings, a, &record);
  if (rejected != 0) {
    reject(x, provider, call, &cost, rejected, a);
    return;
  }
  a->admitted++;
  a->input_tokens += call->request.input_tokens;
  start(server, x, provider, a, call, fault);
}

/* --- one request --------------------------------------------------------------------------- */

/* The project of |key|; NULL for a key that is not valid. */
static const char *project_of(const struct weir_up_settings *s, const char *key)
{
  if (s->key_count == 0)
    return key;
  for (uint32_t i = 0; i < s->key_count; i++)
    if (strcmp(s->keys[i].key, key) == 0)
      return s->keys[i].project;
  return NULL;
}

/* The request's fields, over what the path said. False: an error was answered. */
static bool read_request(struct weir_http_exchange *x, const struct weir_up_provider *provider,
                         struct weir_up_call *call)
{
  struct weir_up_request request;
  size_t size;
  const char *body = weir_http_exchange_body(x, &size);
  if (call->operation == WEIR_UP_LIST_MODELS)
    return true;
  if (!weir_up_request_read(body, size, &request)) {
    respond_error(x, provider, call, WEIR_UP_ERROR_BAD_REQUEST);
    return false;
  }
  if (call->request.model[0] != '\0')
    memcpy(request.model, call->request.model, sizeof request.model);
  call->request = request;
  if (call->operation == WEIR_UP_GENERATE && request.is_stream)
    call->operation = WEIR_UP_STREAM;
  return true;
}

static void serve_call(struct weir_up_server *server, struct weir_http_exchange *x,
                       const struct weir_up_provider *provider, struct weir_up_call *call)
{
  char buffer[256];
  const char *key = provider->key(weir_http_exchange_request(x), buffer);
  call->project = project_of(&server->settings, key);
  if (call->operation == 0) {
    respond_error(x, provider, call, WEIR_UP_ERROR_NO_PATH);
    return;
  }
  if (key[0] == '\0' || call->project == NULL || strlen(key) > WEIR_UP_NAME_MAX) {
    respond_error(x, provider, call, key[0] == '\0' ? WEIR_UP_ERROR_NO_KEY : WEIR_UP_ERROR_BAD_KEY);
    return;
  }
  if (!read_request(x, provider, call))
    return;
  if (provider == &weir_up_openai && strncmp(call->request.model, "claude", 6) == 0) {
    provider = &weir_up_claude;
    call->is_compatible = true;
  }
  if (call->operation == WEIR_UP_LIST_MODELS) {
    struct weir_up_answer answer = {0};
    provider->whole(call, "", &answer);
    respond(x, &answer);
    return;
  }
  if (!weir_up_settings_knows(&server->settings, call->request.model)) {
    respond_error(x, provider, call, WEIR_UP_ERROR_NO_MODEL);
    return;
  }
  struct weir_up_account *a =
      weir_up_book_account(&server->book, &server->settings, call->project, call->request.model,
                           provider->name, provider->token_dimension, call->now_us);
  if (a == NULL) {
    static const char text[] = "{\"error\":\"the simulated provider's book is full: more than 1024 "
                               "projects and models\"}\n";
    weir_up_reply(x, 507, text, sizeof text - 1);
    return;
  }
  call->meter = a->meter;
  a->arrivals++;
  enum weir_up_error error = provider->check(call);
  if (error == 0 && call->request.input_tokens > call->context_max)
    error = WEIR_UP_ERROR_CONTEXT;
  if (error != 0) {
    a->refused++;
    respond_error(x, provider, call, error);
    return;
  }
  admit(server, x, provider, a, call);
}

static void on_request(struct weir_http_exchange *x, void *context)
{
  struct weir_up_server *server = context;
  const struct weir_http_request *request = weir_http_exchange_request(x);
  if (strncmp(request->target, "/_admin/", 8) == 0) {
    weir_up_admin(server, x);
    return;
  }
  server->calls++;
  for (size_t i = 0; i < sizeof providers / sizeof providers[0]; i++) {
    struct weir_up_call call = {.id = server->calls,
                                .is_free_tier = server->settings.is_free_tier,
                                .minute_us = server->settings.minute_ms * 1000,
                                .context_max = server->settings.context_max,
                                .now_us = weir_up_now_us(server)};
    if (providers[i]->route(request->method, request->target, &call)) {
      serve_call(server, x, providers[i], &call);
      return;
    }
  }
  static const char text[] = "{\"error\":{\"message\":\"no provider has this path\"}}\n";
  weir_up_reply(x, 404, text, sizeof text - 1);
}

/* --- open and close ------------------------------------------------------------------------ */

enum weir_err weir_up_serve_open(struct weir_up_server *server, uv_loop_t *loop, const char *host,
                                 uint16_t port, char *error, size_t error_size)
{
  struct weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_DEFAULT;
  struct timespec wall;
  server->loop = loop;
  server->http = NULL;
  server->book = (struct weir_up_book){0};
  server->book_epoch = server->calls = 0;
  weir_rng_init(&server->rng, server->settings.seed);
  (void)clock_gettime(CLOCK_REALTIME, &wall);
  server->wall_offset_us =
      (uint64_t)wall.tv_sec * 1000000 + (uint64_t)wall.tv_nsec / 1000 - uv_hrtime() / 1000;
  options.host = host;
  options.port = port;
  options.connections_max = 16384;
  options.bodies_bytes_max = UINT64_C(1) << 30;
  options.handler =
      (struct weir_http_handler){.context = server, .on_request = on_request, .on_close = on_close};
  return weir_http_server_open(loop, &options, &server->http, error, error_size);
}

void weir_up_serve_close(struct weir_up_server *server)
{
  weir_http_server_close(server->http, 0, NULL, NULL);
  server->http = NULL;
}

void weir_up_serve_fini(struct weir_up_server *server)
{
  weir_up_book_reset(&server->book);
}
