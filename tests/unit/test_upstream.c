/* The simulated provider over HTTP, as libcurl sees it: every personality, each method's rejection,
 * streams and faults. The server runs in a thread of this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <curl/curl.h>
#include <pthread.h>

#include "serve.h"

/* --- the server ---------------------------------------------------------------------------- */

struct fixture {
  pthread_t thread;
  uv_loop_t loop;
  uv_async_t stop;
  struct weir_up_server server;
  CURL *curl;
  bool is_fresh; /* the next call opens a connection of its own */
  char base[64];
};

static void on_stop(uv_async_t *stop)
{
  weir_up_serve_close(stop->data);
  uv_close((uv_handle_t *)stop, NULL);
}

static void *run(void *argument)
{
  struct fixture *f = argument;
  (void)uv_run(&f->loop, UV_RUN_DEFAULT);
  return NULL;
}

static int setup(void **state)
{
  struct fixture *f = calloc(1, sizeof *f);
  char error[256];
  if (f == NULL || uv_loop_init(&f->loop) != 0 || uv_async_init(&f->loop, &f->stop, on_stop) != 0)
    return -1;
  f->stop.data = &f->server;
  weir_up_settings_init(&f->server.settings);
  f->server.settings.latency_min_ms = f->server.settings.latency_max_ms = 0;
  f->server.settings.chunk_ms = 1;
  if (weir_up_serve_open(&f->server, &f->loop, "127.0.0.1", 0, error, sizeof error) != WEIR_OK)
    return -1;
  (void)snprintf(f->base, sizeof f->base, "http://127.0.0.1:%u",
                 weir_http_server_port(f->server.http));
  f->curl = curl_easy_init();
  *state = f;
  return pthread_create(&f->thread, NULL, run, f);
}

static int teardown(void **state)
{
  struct fixture *f = *state;
  curl_easy_cleanup(f->curl);
  (void)uv_async_send(&f->stop);
  (void)pthread_join(f->thread, NULL);
  int left_open = uv_loop_close(&f->loop);
  weir_up_serve_fini(&f->server);
  free(f);
  return left_open;
}

/* --- the client ---------------------------------------------------------------------------- */

struct heard {
  CURLcode code;
  long status;
  char body[65536], head[4096];
  size_t body_size, head_size;
};

static size_t keep(char *bytes, size_t size, char *to, size_t *to_size, size_t room)
{
  size_t n = size < room - 1 - *to_size ? size : room - 1 - *to_size;
  memcpy(to + *to_size, bytes, n);
  *to_size += n;
  to[*to_size] = '\0';
  return size;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *to)
{
  struct heard *h = to;
  return keep(bytes, size * count, h->body, &h->body_size, sizeof h->body);
}

static size_t on_head(char *bytes, size_t size, size_t count, void *to)
{
  struct heard *h = to;
  return keep(bytes, size * count, h->head, &h->head_size, sizeof h->head);
}

/* POSTs |body| (GET without one) with the header |auth| (NULL: none). */
static const struct heard *ask(struct fixture *f, const char *path, const char *auth,
                               const char *body)
{
  static struct heard h;
  char url[512];
  struct curl_slist *headers = auth != NULL ? curl_slist_append(NULL, auth) : NULL;
  h = (struct heard){0};
  (void)snprintf(url, sizeof url, "%s%s", f->base, path);
  curl_easy_reset(f->curl);
  curl_easy_setopt(f->curl, CURLOPT_URL, url);
  curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(f->curl, CURLOPT_TIMEOUT, 30L);
  curl_easy_setopt(f->curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(f->curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(f->curl, CURLOPT_WRITEDATA, &h);
  curl_easy_setopt(f->curl, CURLOPT_HEADERFUNCTION, on_head);
  curl_easy_setopt(f->curl, CURLOPT_HEADERDATA, &h);
  curl_easy_setopt(f->curl, CURLOPT_FRESH_CONNECT, f->is_fresh ? 1L : 0L);
  if (body != NULL)
    curl_easy_setopt(f->curl, CURLOPT_POSTFIELDS, body);
  h.code = curl_easy_perform(f->curl);
  curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &h.status);
  curl_slist_free_all(headers);
  return &h;
}

static void script(struct fixture *f, const char *json)
{
  const struct heard *h = ask(f, "/_admin/script", NULL, json);
  if (h->status != 200)
    fail_msg("%s", h->body);
}

static void assert_has(const char *text, const char *part)
{
  if (strstr(text, part) == NULL)
    fail_msg("\"%s\" is not in: %s", part, text);
}

static void assert_lacks(const char *text, const char *part)
{
  if (strstr(text, part) != NULL)
    fail_msg("\"%s\" is in: %s", part, text);
}

static unsigned count_of(const char *text, const char *part)
{
  unsigned count = 0;
  for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
    count++;
  return count;
}

#define GEMINI_KEY "x-goog-api-key: k"
#define BEARER     "Authorization: Bearer k"
#define GENERATE   "/v1beta/models/gemini-2.5-flash:generateContent"
#define STREAM     "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
#define CHAT       "/v1/chat/completions"
#define MESSAGES   "/v1/messages"
#define GEMINI_BODY                                                                                \
  "{\"contents\":[{\"parts\":[{\"text\":\"hello world\"}]}],\"generationConfig\":{"                \
  "\"maxOutputTokens\":20}}"
#define CHAT_BODY                                                                                  \
  "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello world\"}],"          \
  "\"max_tokens\":20"
#define MESSAGES_BODY                                                                              \
  "{\"model\":\"claude-5\",\"messages\":[{\"role\":\"user\",\"content\":\"hello world\"}],"        \
  "\"max_tokens\":20"

/* --- personalities ------------------------------------------------------------------------- */

static void speaks_gemini(void **state)
{
  struct fixture *f = *state;
  const struct heard *h = ask(f, GENERATE, GEMINI_KEY, GEMINI_BODY);
  assert_int_equal(h->status, 200);
  assert_has(h->body, "\"usageMetadata\":{\"promptTokenCount\":2,\"candidatesTokenCount\":20,"
                      "\"totalTokenCount\":22,");
  assert_has(h->body, "\"modelVersion\":\"gemini-2.5-flash\"");
  h = ask(f, "/v1/models/m:generateContent?key=k", NULL, GEMINI_BODY);
  assert_int_equal(h->status, 200);
  h = ask(f, "/v1beta/models/m:countTokens", GEMINI_KEY, GEMINI_BODY);
  assert_has(h->body, "{\"totalTokens\":2,");
  h = ask(f, "/v1beta/models/e:embedContent", GEMINI_KEY,
          "{\"content\":{\"parts\":[{\"text\":\"hello\"}]}}");
  assert_has(h->body, "\"embedding\":{\"values\":[");
  h = ask(f, "/v1beta/models/e:batchEmbedContents", GEMINI_KEY,
          "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}},"
          "{\"content\":{\"parts\":[{\"text\":\"b\"}]}}]}");
  assert_has(h->body, "{\"embeddings\":[{\"values\":[");
  assert_int_equal(count_of(h->body, "values"), 2);
}

static void speaks_openai(void **state)
{
  struct fixture *f = *state;
  script(f, "{\"limits\":{\"rpm\":\"60:bucket\",\"tpm\":\"6000:bucket\"}}");
  const struct heard *h = ask(f, CHAT, BEARER, CHAT_BODY "}");
  assert_int_equal(h->status, 200);
  assert_has(h->body, "{\"prompt_tokens\":2,\"completion_tokens\":20,\"total_tokens\":22,");
  assert_has(h->body, "\"object\":\"chat.completion\"");
  /* max(max_tokens, characters / 4) = 20 */
  assert_has(h->head, "x-ratelimit-limit-tokens: 6000\r\nx-ratelimit-remaining-tokens: 5980\r\n"
                      "x-ratelimit-reset-tokens: 200ms\r\n");
  assert_has(h->head, "x-ratelimit-reset-requests: 1s\r\n");
  h = ask(f, "/v1/responses", BEARER,
          "{\"model\":\"gpt-5\",\"input\":\"hello world\",\"max_output_tokens\":5}");
  assert_has(h->body, "{\"input_tokens\":2,\"output_tokens\":5,\"total_tokens\":7,");
  h = ask(f, "/v1/embeddings", BEARER, "{\"model\":\"e\",\"input\":[\"hello\",\"world\"]}");
  assert_has(h->body, "\"index\":1}],\"model\":\"e\",\"usage\":{\"prompt_tokens\":2,");
  /* openai-node asks for base64 and decodes whatever comes. */
  h = ask(f, "/v1/embeddings", BEARER,
          "{\"model\":\"e\",\"input\":\"hello\",\"encoding_format\":\"base64\"}");
  assert_has(h->body, "\"embedding\":\"AACAPgAAAL8AAAA+AABAPw==\"");
  h = ask(f, "/v1/models", BEARER, NULL);
  assert_has(h->body, "\"object\":\"list\"");
}

static void speaks_anthropic(void **state)
{
  struct fixture *f = *state;
  script(f, "{\"limits\":{\"rpm\":\"60:bucket\",\"itpm\":\"10k:bucket\",\"otpm\":\"5k:bucket\"}}");
  const struct heard *h = ask(f, MESSAGES, "x-api-key: k", MESSAGES_BODY "}");
  assert_int_equal(h->status, 200);
  assert_has(h->body, "\"usage\":{\"input_tokens\":2,\"cache_creation_input_tokens\":0,"
                      "\"cache_read_input_tokens\":0,\"output_tokens\":20,");
  assert_has(h->head, "anthropic-ratelimit-requests-remaining: 59\r\n");
  assert_has(h->head, "anthropic-ratelimit-input-tokens-remaining: 10000\r\n");
  assert_has(h->head, "anthropic-ratelimit-output-tokens-limit: 5000\r\n");
  h = ask(f, MESSAGES "/count_tokens", BEARER, MESSAGES_BODY "}");
  assert_string_equal(h->body, "{\"input_tokens\":2}");
}

static void streams_as_each_provider_does(void **state)
{
  struct fixture *f = *state;
  const struct heard *h = ask(f, STREAM, GEMINI_KEY, GEMINI_BODY);
  assert_int_equal(h->code, CURLE_OK);
  assert_int_equal(count_of(h->body, "data: {\"candidates\":"), 3); /* 8 + 8 + 4 tokens */
  assert_int_equal(count_of(h->body, "}\r\n\r\n"), 3);
  assert_int_equal(count_of(h->body, "finishReason"), 1);
  assert_has(h->body, "\"candidatesTokenCount\":16,");
  assert_lacks(h->body, "[DONE]");

  h = ask(f, CHAT, BEARER, CHAT_BODY ",\"stream\":true}");
  assert_has(h->body, "\n\ndata: [DONE]\n\n");
  assert_lacks(h->body, "usage");
  h = ask(f, CHAT, BEARER,
          CHAT_BODY ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
  assert_has(h->body, "\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":20,");

  h = ask(f, "/v1/responses", BEARER,
          "{\"model\":\"gpt-5\",\"input\":\"hi\",\"max_output_tokens\":5,\"stream\":true}");
  assert_has(h->body, "event: response.created\ndata: {\"type\":\"response.created\","
                      "\"sequence_number\":0,");
  /* What the SDKs' helpers insist on: an item and a part before its text, and the whole at the end.
   */
  static const char *const events[] = {
      "created",          "output_item.added", "content_part.added", "output_text.delta",
      "output_text.done", "content_part.done", "output_item.done",   "incomplete"};
  const char *at = h->body;
  for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++) {
    char line[128];
    (void)snprintf(line, sizeof line,
                   "event: response.%s\ndata: {\"type\":\"response.%s\",\"sequence_number\":%u,",
                   events[i], events[i], i);
    assert_has(at, line);
    at = strstr(at, line) + 1;
  }
  assert_has(at, "\"content\":[{\"type\":\"output_text\",");
  assert_lacks(at, "\"text\":\"\"");

  h = ask(f, MESSAGES, "x-api-key: k", MESSAGES_BODY ",\"stream\":true}");
  assert_has(h->body, "event: message_start\ndata: {\"type\":\"message_start\",");
  assert_int_equal(count_of(h->body, "event: content_block_delta\n"), 3);
  assert_has(h->body, "\"output_tokens\":20,");
  assert_has(h->body, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
  assert_lacks(h->body, "[DONE]");
}

static void wants_a_key_a_model_and_a_body(void **state)
{
  struct fixture *f = *state;
  const struct heard *h = ask(f, GENERATE, NULL, GEMINI_BODY);
  assert_int_equal(h->status, 403);
  assert_has(h->body, "PERMISSION_DENIED");
  assert_int_equal(ask(f, CHAT, NULL, CHAT_BODY "}")->status, 401);
  assert_int_equal(ask(f, MESSAGES, NULL, MESSAGES_BODY "}")->status, 401);
  script(f, "{\"key\":\"secret=project\",\"model\":\"known\",\"only_models\":true}");
  h = ask(f, GENERATE, GEMINI_KEY, GEMINI_BODY);
  assert_int_equal(h->status, 400);
  assert_has(h->body, "API_KEY_INVALID");
  h = ask(f, GENERATE, "x-goog-api-key: secret", GEMINI_BODY);
  assert_int_equal(h->status, 404);
  assert_has(h->body, "models/gemini-2.5-flash is not found for API version v1beta");
  h = ask(f, CHAT, "Authorization: Bearer secret", CHAT_BODY "}");
  assert_has(h->body, "\"code\":\"model_not_found\"");
  assert_int_equal(
      ask(f, "/v1beta/models/known:generateContent", "x-goog-api-key: secret", "{")->status, 400);
  assert_int_equal(
      ask(f, "/v1beta/models/known:generateContent", "x-goog-api-key: secret", GEMINI_BODY)->status,
      200);
  assert_int_equal(ask(f, "/nowhere", NULL, NULL)->status, 404);
  script(f, "{\"context_tokens\":1}");
  h = ask(f, "/v1beta/models/known:generateContent", "x-goog-api-key: secret", GEMINI_BODY);
  assert_has(h->body, "The input token count exceeds the maximum number of tokens allowed (1).");
}

/* --- rejections ---------------------------------------------------------------------------- */

/* Windows of an hour that turn half an hour from now, so that no boundary falls into a test. */
static void long_windows(struct fixture *f, const char *method, const char *limits)
{
  char json[256];
  uint64_t hour_ms = 3600000, now_ms = weir_up_now_us(&f->server) / 1000;
  (void)snprintf(json, sizeof json,
                 "{\"window_ms\":%llu,\"phase_ms\":%llu,\"sub_ms\":%llu,\"method\":\"%s\","
                 "\"limits\":%s}",
                 (unsigned long long)hour_ms,
                 (unsigned long long)((now_ms + hour_ms / 2) % hour_ms),
                 (unsigned long long)hour_ms, method, limits);
  script(f, json);
}

static void every_method_rejects_what_is_over(void **state)
{
  struct fixture *f = *state;
  for (int method = 1; method < WEIR_UP_METHOD_MAX; method++) {
    const char *name = weir_up_method_name((enum weir_up_method)method);
    long_windows(f, name, "{\"rpm\":3}");
    assert_int_equal(ask(f, "/_admin/reset", NULL, "")->status, 200);
    for (int i = 0; i < 5; i++) {
      const struct heard *h = ask(f, GENERATE, GEMINI_KEY, GEMINI_BODY);
      if (h->status != (i < 3 ? 200 : 429))
        fail_msg("%s, request %d: %ld", name, i, h->status);
      if (i >= 3) {
        assert_has(h->body, "\"quotaId\":\"GenerateRequestsPerMinutePerProjectPerModel\"");
        assert_has(h->body, "\"quotaValue\":\"3\"");
      }
    }
    const struct heard *h = ask(f, "/_admin/counters", NULL, NULL);
    assert_has(h->body, "\"totals\":{\"arrivals\":5,\"admitted\":3,\"rejected\":2,\"faults\":0}");
    assert_has(h->body, "\"rejected\":2,\"used\":3,\"peak\":3,\"peak_share\":1.000000");
    assert_has(h->body, name);
  }
}

static void gemini_names_every_quota_and_the_wait(void **state)
{
  struct fixture *f = *state;
  long_windows(f, "log", "{\"rpm\":1,\"tpm\":3,\"rpd\":1}");
  script(f, "{\"tier\":\"free\"}");
  assert_int_equal(ask(f, GENERATE, GEMINI_KEY, GEMINI_BODY)->status, 200);
  const struct heard *h = ask(f, GENERATE, GEMINI_KEY, GEMINI_BODY);
  assert_int_equal(h->status, 429);
  assert_has(h->body, "\\n* Quota exceeded for metric: generativelanguage.googleapis.com/"
                      "generate_content_free_tier_requests, limit: 1, model: gemini-2.5-flash\\n");
  assert_has(h->body, "GenerateRequestsPerMinutePerProjectPerModel-FreeTier");
  assert_has(h->body, "GenerateContentInputTokensPerModelPerMinute-FreeTier");
  assert_has(h->body, "GenerateRequestsPerDayPerProjectPerModel-FreeTier");
  double wait_s = 0;
  unsigned delay_s = 0;
  assert_int_equal(sscanf(strstr(h->body, "Please retry in"), "Please retry in %lfs", &wait_s), 1);
  assert_int_equal(sscanf(strstr(h->body, "\"retryDelay\""), "\"retryDelay\":\"%us", &delay_s), 1);
  assert_int_equal((unsigned)wait_s, delay_s);
  assert_in_range(delay_s, 3500, 3600);
  assert_lacks(h->head, "etry-after");
}

static void openai_states_limit_used_and_requested(void **state)
{
  struct fixture *f = *state;
  unsigned limit, used, requested;
  long_windows(f, "bucket", "{\"tpm\":100}");
  const char *large = "{\"model\":\"g\",\"max_tokens\":60,\"messages\":[{\"content\":\"hi\"}]}";
  assert_int_equal(ask(f, CHAT, BEARER, large)->status, 200);
  const struct heard *h = ask(f, CHAT, BEARER, large);
  assert_int_equal(h->status, 429);
  assert_has(h->body, "\"type\":\"tokens\",\"param\":null,\"code\":\"rate_limit_exceeded\"");
  assert_int_equal(sscanf(strstr(h->body, "(TPM):"), "(TPM): Limit %u, Used %u, Requested %u.",
                          &limit, &used, &requested),
                   3);
  assert_int_equal(limit, 100);
  assert_int_equal(used, 60);
  assert_int_equal(requested, 60);
  /* (60 + 60 - 100) * 3600 s / 100 */
  assert_has(h->body, "Please try again in 12m0s.");
  assert_has(h->head, "retry-after-ms: 720000\r\n");
  h = ask(f, CHAT, BEARER,
          "{\"model\":\"g\",\"max_tokens\":101,\"messages\":[{\"content\":\"h\"}]}");
  assert_has(h->body, "Request too large for g in organization org-weir on tokens per min (TPM): "
                      "Limit 100, Requested 101.");
  assert_lacks(h->body, "Used");
}

static void openai_reckons_with_the_burst_that_a_bucket_has(void **state)
{
  struct fixture *f = *state;
  const char *body = "{\"model\":\"g\",\"max_tokens\":60,\"messages\":[{\"content\":\"hi\"}]}";
  long_windows(f, "bucket", "{\"tpm\":\"1000:bucket:100\"}");
  const struct heard *h = ask(f, CHAT, BEARER, body);
  assert_has(h->head, "x-ratelimit-remaining-tokens: 40\r\n");
  h = ask(f, CHAT, BEARER, body);
  /* (960 + 60 - 1000) * 3600 s / 1000 */
  assert_has(h->body, "Limit 1000, Used 960, Requested 60. Please try again in 1m12s.");
  long_windows(f, "bucket", "{\"tpm\":\"100:bucket:110\"}");
  assert_int_equal(ask(f, CHAT, BEARER, body)->status, 200);
  h = ask(f, CHAT, BEARER, body);
  assert_has(h->body, "Limit 100, Used 50, Requested 60. Please try again in 6m0s.");
}

static void anthropic_says_when_to_retry(void **state)
{
  struct fixture *f = *state;
  long_windows(f, "bucket", "{\"itpm\":3}");
  assert_int_equal(ask(f, MESSAGES, "x-api-key: k", MESSAGES_BODY "}")->status, 200);
  const struct heard *h = ask(f, MESSAGES, "x-api-key: k", MESSAGES_BODY "}");
  unsigned wait_s;
  assert_int_equal(h->status, 429);
  assert_has(h->body, "\"type\":\"rate_limit_error\"");
  assert_int_equal(sscanf(strstr(h->head, "retry-after:"), "retry-after: %u", &wait_s), 1);
  assert_in_range(wait_s, 1170, 1200); /* 1 of 3 tokens an hour, less the test's own time */
}

static void anthropic_charges_output_when_it_is_made(void **state)
{
  struct fixture *f = *state;
  long_windows(f, "bucket", "{\"otpm\":15}");
  assert_int_equal(ask(f, MESSAGES, "x-api-key: k", MESSAGES_BODY "}")->status, 200);
  assert_int_equal(ask(f, MESSAGES, "x-api-key: k", MESSAGES_BODY "}")->status, 429);
}

static void projects_and_models_have_limits_of_their_own(void **state)
{
  struct fixture *f = *state;
  long_windows(f, "log", "{\"rpm\":1}");
  script(f, "{\"models\":{\"wide-2.5\":{\"rpm\":2}}}");
  assert_int_equal(ask(f, GENERATE, GEMINI_KEY, GEMINI_BODY)->status, 200);
  assert_int_equal(ask(f, GENERATE, GEMINI_KEY, GEMINI_BODY)->status, 429);
  assert_int_equal(ask(f, GENERATE, "x-goog-api-key: other", GEMINI_BODY)->status, 200);
  const char *wide = "/v1beta/models/wide-2.5:generateContent";
  assert_int_equal(ask(f, wide, GEMINI_KEY, GEMINI_BODY)->status, 200);
  assert_int_equal(ask(f, wide, GEMINI_KEY, GEMINI_BODY)->status, 200);
  assert_int_equal(ask(f, wide, GEMINI_KEY, GEMINI_BODY)->status, 429);
}

static void keeps_a_log_of_calls_when_asked(void **state)
{
  struct fixture *f = *state;
  long_windows(f, "log", "{\"rpm\":2}");
  script(f, "{\"log\":2}");
  for (int i = 0; i < 3; i++)
    (void)ask(f, GENERATE, GEMINI_KEY, GEMINI_BODY);
  const struct heard *h = ask(f, "/_admin/log", NULL, NULL);
  assert_has(h->body, "{\"dropped\":1,");
  assert_int_equal(count_of(h->body, "\"admitted\":true"), 1);
  assert_int_equal(count_of(h->body, "\"admitted\":false"), 1);
  assert_int_equal(count_of(h->body, "\"fault\""), 0);
}

static void tells_in_the_log_what_a_fault_answered(void **state)
{
  struct fixture *f = *state;
  script(f, "{\"log\":9,\"faults\":[{\"kind\":\"overloaded_503\",\"next\":1},"
            "{\"kind\":\"slow_first_byte\",\"next\":1,\"ms\":1}]}");
  for (int i = 0; i < 3; i++)
    (void)ask(f, GENERATE, GEMINI_KEY, GEMINI_BODY);
  const struct heard *h = ask(f, "/_admin/log", NULL, NULL);
  assert_int_equal(count_of(h->body, "\"admitted\":true"), 2); /* the slow one, too */
  assert_int_equal(count_of(h->body, "\"fault\":\"overloaded_503\""), 1);
  assert_int_equal(count_of(h->body, "\"fault\""), 1);
}

/* --- faults -------------------------------------------------------------------------------- */

static const struct heard *ask_with_fault(struct fixture *f, const char *kind, const char *path,
                                          const char *auth, const char *body)
{
  char json[256];
  (void)snprintf(json, sizeof json, "{\"faults\":[{\"kind\":\"%s\",\"next\":1}]}", kind);
  script(f, json);
  return ask(f, path, auth, body);
}

static void gives_errors_on_request(void **state)
{
  struct fixture *f = *state;
  static const struct {
    const char *kind;
    long gemini, openai, anthropic;
    const char *part; /* of Gemini's body */
  } faults[] = {
      {"capacity_429", 429, 429, 429, "Resource has been exhausted (e.g. check quota)."},
      {"overloaded_503", 503, 503, 503, "experiencing high demand"},
      {"overloaded_529", 503, 503, 529, "overloaded"},
      {"error_500", 500, 500, 500, "INTERNAL"},
      {"timeout_504", 504, 504, 504, "DEADLINE_EXCEEDED"},
      {"billing_402", 402, 429, 402, "RESOURCE_EXHAUSTED"},
      {"leaked_key_403", 403, 401, 403, "leaked"},
      {"limit_zero", 429, 404, 404, "limit: 0, model: gemini-2.5-flash"},
      {"day_short_hint", 429, 429, 429, "Please retry in 36.429760000s."},
      {"ramp", 429, 429, 429, "Resource has been exhausted"},
  };
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
    const char *kind = faults[i].kind;
    const struct heard *h = ask_with_fault(f, kind, GENERATE, GEMINI_KEY, GEMINI_BODY);
    if (h->status != faults[i].gemini)
      fail_msg("%s: %ld %s", kind, h->status, h->body);
    assert_has(h->body, faults[i].part);
    h = ask_with_fault(f, kind, CHAT, BEARER, CHAT_BODY "}");
    if (h->status != faults[i].openai)
      fail_msg("%s: %ld %s", kind, h->status, h->body);
    h = ask_with_fault(f, kind, MESSAGES, BEARER, MESSAGES_BODY "}");
    if (h->status != faults[i].anthropic)
      fail_msg("%s: %ld %s", kind, h->status, h->body);
    assert_has(h->body, "{\"type\":\"error\",\"error\":{\"type\":\"");
    assert_int_equal(ask(f, GENERATE, GEMINI_KEY, GEMINI_BODY)->status, 200); /* just one */
  }
}

static void wraps_compatible_errors_in_an_array(void **state)
{
  struct fixture *f = *state;
  const char *path = "/v1beta/openai/chat/completions";
  assert_int_equal(ask(f, path, BEARER, CHAT_BODY "}")->status, 200);
  const struct heard *h = ask_with_fault(f, "capacity_429", path, BEARER, CHAT_BODY "}");
  assert_int_equal(h->status, 429);
  assert_string_equal(h->body,
                      "[{\"error\":{\"code\":429,\"message\":\"Resource has been exhausted (e.g. "
                      "check quota).\",\"status\":\"RESOURCE_EXHAUSTED\"}}]");
}

static void answers_for_anthropic_at_openais_path(void **state)
{
  struct fixture *f = *state;
  const char *body =
      "{\"model\":\"claude-x\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}";
  const struct heard *h = ask(f, CHAT, BEARER, body);

  assert_int_equal(h->status, 200);
  assert_has(h->body, "\"object\":\"chat.completion\"");
  h = ask_with_fault(f, "overloaded_529", CHAT, BEARER, body);
  assert_int_equal(h->status, 529);
  assert_string_equal(h->body,
                      "{\"error\":{\"code\":\"overloaded_error\",\"message\":\"Overloaded\","
                      "\"type\":\"overloaded_error\",\"param\":null}}");
}

static void breaks_streams_on_request(void **state)
{
  struct fixture *f = *state;
  const struct heard *h = ask_with_fault(f, "stream_error", STREAM, GEMINI_KEY, GEMINI_BODY);
  assert_int_equal(h->code, CURLE_OK);
  assert_has(h->body, "data: {\"candidates\"");
  assert_has(h->body, "data: {\"error\":{\"code\":500,");
  assert_lacks(h->body, "finishReason");
  h = ask_with_fault(f, "stream_error", CHAT, BEARER, CHAT_BODY ",\"stream\":true}");
  assert_has(h->body, "data: {\"error\":");
  assert_lacks(h->body, "[DONE]");
  h = ask_with_fault(f, "stream_error", MESSAGES, BEARER, MESSAGES_BODY ",\"stream\":true}");
  assert_has(h->body, "event: error\ndata: {\"type\":\"error\"");
  assert_lacks(h->body, "message_stop");

  h = ask_with_fault(f, "drop", CHAT, BEARER, CHAT_BODY ",\"stream\":true}");
  assert_int_not_equal(h->code, CURLE_OK);
  assert_has(h->body, "chat.completion.chunk");
  assert_lacks(h->body, "[DONE]");
  /* However short the stream is, it breaks before its end. */
  for (const char *const *kind = (const char *const[]){"drop", "stream_error", NULL}; *kind; kind++)
    for (int tokens = 0; tokens < 3; tokens++) {
      char json[64];
      (void)snprintf(json, sizeof json, "{\"output_tokens\":%d}", tokens);
      script(f, json);
      h = ask_with_fault(f, *kind, CHAT, BEARER, CHAT_BODY ",\"stream\":true}");
      assert_int_equal(h->status, 200);
      assert_lacks(h->body, "[DONE]");
    }
  f->is_fresh = true; /* on a used one libcurl would silently send again */
  h = ask_with_fault(f, "drop", GENERATE, GEMINI_KEY, GEMINI_BODY);
  assert_int_not_equal(h->code, CURLE_OK);
}

static void blocks_a_prompt_with_status_200(void **state)
{
  struct fixture *f = *state;
  const struct heard *h = ask_with_fault(f, "blocked_prompt", GENERATE, GEMINI_KEY, GEMINI_BODY);
  assert_int_equal(h->status, 200);
  assert_has(h->body, "{\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"},"
                      "\"usageMetadata\":{\"promptTokenCount\":2,\"totalTokenCount\":2,");
  assert_lacks(h->body, "candidates\"");
  h = ask_with_fault(f, "blocked_prompt", STREAM, GEMINI_KEY, GEMINI_BODY);
  assert_int_equal(count_of(h->body, "data: "), 1);
}

static void a_reused_connection_may_close_unanswered(void **state)
{
  struct fixture *f = *state;
  assert_int_equal(ask(f, GENERATE, GEMINI_KEY, GEMINI_BODY)->status, 200);
  /* libcurl sends again by itself, on a new connection: the provider sees two calls. */
  const struct heard *h = ask_with_fault(f, "close_unanswered", GENERATE, GEMINI_KEY, GEMINI_BODY);
  assert_int_equal(h->code, CURLE_OK);
  assert_int_equal(h->status, 200);
  h = ask(f, "/_admin/counters", NULL, NULL);
  assert_has(h->body, "\"totals\":{\"arrivals\":3,\"admitted\":2,\"rejected\":0,\"faults\":1},"
                      "\"faults\":{\"close_unanswered\":1}");
}

static void charged_faults_use_quota(void **state)
{
  struct fixture *f = *state;
  long_windows(f, "log", "{\"rpm\":1}");
  script(f, "{\"faults\":[{\"kind\":\"overloaded_503\",\"next\":1,\"charged\":true}]}");
  assert_int_equal(ask(f, GENERATE, GEMINI_KEY, GEMINI_BODY)->status, 503);
  assert_int_equal(ask(f, GENERATE, GEMINI_KEY, GEMINI_BODY)->status, 429);
}

/* Starts a call on a connection of its own and returns once the provider holds it. */
static CURLM *begin_call(struct fixture *f, CURL *curl, struct curl_slist *headers)
{
  CURLM *multi = curl_multi_init();
  char url[512];
  int running;
  (void)snprintf(url, sizeof url, "%s" CHAT, f->base);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, CHAT_BODY "}");
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
  curl_multi_add_handle(multi, curl);
  while (strstr(ask(f, "/_admin/counters", NULL, NULL)->body, "\"arrivals\":1,") == NULL)
    assert_int_equal(curl_multi_perform(multi, &running), CURLM_OK);
  return multi;
}

static void a_call_may_outlive_the_limits_it_came_under(void **state)
{
  struct fixture *f = *state;
  for (int is_reset = 0; is_reset < 2; is_reset++) {
    struct heard late = {0};
    int running = 1;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, BEARER);
    script(f, "{\"limits\":{\"rpm\":5},\"latency_ms\":2000}");
    assert_int_equal(ask(f, "/_admin/reset", NULL, "")->status, 200);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &late);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &late);
    CURLM *multi = begin_call(f, curl, headers);
    if (is_reset != 0)
      (void)ask(f, "/_admin/reset", NULL, "");
    script(f, "{\"limits\":{\"rpm\":7}}");
    (void)ask(f, "/_admin/counters", NULL, NULL); /* from now on the new limits hold */
    while (running > 0) {
      assert_int_equal(curl_multi_perform(multi, &running), CURLM_OK);
      assert_int_equal(curl_multi_poll(multi, NULL, 0, 1000, NULL), CURLM_OK);
    }
    assert_has(late.head, "HTTP/1.1 200 ");
    if (is_reset != 0)
      assert_lacks(late.head, "x-ratelimit");
    else
      assert_has(late.head, "x-ratelimit-limit-requests: 7\r\n");
    curl_multi_remove_handle(multi, curl);
    curl_multi_cleanup(multi);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
  }
}

static void explains_a_script_that_it_refuses(void **state)
{
  struct fixture *f = *state;
  const struct heard *h = ask(f, "/_admin/script", NULL, "{\"limits\":{\"rpm\":\"many\"}}");
  assert_int_equal(h->status, 400);
  assert_has(h->body, "limits.rpm: \\\"many\\\" is not a limit such as rpm=1000");
  assert_int_equal(ask(f, "/_admin/nothing", NULL, NULL)->status, 404);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(speaks_gemini),
      TEST(speaks_openai),
      TEST(speaks_anthropic),
      TEST(streams_as_each_provider_does),
      TEST(wants_a_key_a_model_and_a_body),
      TEST(every_method_rejects_what_is_over),
      TEST(gemini_names_every_quota_and_the_wait),
      TEST(openai_states_limit_used_and_requested),
      TEST(openai_reckons_with_the_burst_that_a_bucket_has),
      TEST(anthropic_says_when_to_retry),
      TEST(anthropic_charges_output_when_it_is_made),
      TEST(projects_and_models_have_limits_of_their_own),
      TEST(keeps_a_log_of_calls_when_asked),
      TEST(tells_in_the_log_what_a_fault_answered),
      TEST(gives_errors_on_request),
      TEST(wraps_compatible_errors_in_an_array),
      TEST(answers_for_anthropic_at_openais_path),
      TEST(breaks_streams_on_request),
      TEST(blocks_a_prompt_with_status_200),
      TEST(a_reused_connection_may_close_unanswered),
      TEST(charged_faults_use_quota),
      TEST(a_call_may_outlive_the_limits_it_came_under),
      TEST(explains_a_script_that_it_refuses),
  };
  (void)curl_global_init(CURL_GLOBAL_DEFAULT);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
