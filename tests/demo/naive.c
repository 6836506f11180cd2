/* naive.c - what a careful program does without weir: it retries 429 and 5xx up to three times,
 * after 1, 2 and 4 seconds and up to half a second more, and then gives up. */
#include "clock.h"
#include "instance.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/json.h>

#define RETRIES_MAX      3
#define BACKOFF_FIRST_MS UINT64_C(1000)
#define BACKOFF_MAX_MS   8000
#define JITTER_MS        500
#define TIMEOUT_MS       120000L

struct demo_naive {
  struct demo_instance *instance;
  CURL *curl;
  struct curl_slist *headers;
  char url[512];
  struct weir_rng rng;
  struct weir_json json; /* reads the answer as it arrives */
  bool is_json;          /* it is JSON so far */
  uint64_t sent_ms, input_tokens, output_tokens;
};

static int on_prereq(void *context, char *remote, char *local, int remote_port, int local_port)
{
  struct demo_naive *n = context;

  (void)remote, (void)local, (void)remote_port, (void)local_port;
  n->sent_ms = demo_now_ms();
  return CURL_PREREQFUNC_OK;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *context)
{
  struct demo_naive *n = context;
  struct weir_json_token token;
  enum weir_json_status status;

  (void)one;
  if (!n->is_json)
    return size;
  weir_json_feed(&n->json, bytes, size);
  while ((status = weir_json_next(&n->json, &token)) == WEIR_JSON_TOKEN) {
    if (token.type != WEIR_JSON_NUMBER)
      continue;
    if (strcmp(token.path, "usageMetadata.promptTokenCount") == 0)
      (void)weir_json_uint(&token, &n->input_tokens);
    if (strcmp(token.path, "usageMetadata.candidatesTokenCount") == 0)
      (void)weir_json_uint(&token, &n->output_tokens);
  }
  n->is_json = status == WEIR_JSON_MORE;
  return size;
}

static bool curl_prepare(struct demo_naive *n)
{
  n->curl = curl_easy_init();
  n->headers = curl_slist_append(NULL, "Content-Type: application/json");
  if (n->headers) {
    struct curl_slist *more = curl_slist_append(n->headers, "x-goog-api-key: " DEMO_KEY);

    if (more && curl_slist_append(more, "Expect:"))
      return n->curl != NULL;
  }
  return false;
}

struct demo_naive *demo_naive_new(struct demo_instance *instance, uint64_t seed)
{
  struct demo_naive *n = calloc(1, sizeof(*n));

  if (!n || !curl_prepare(n))
    abort();
  n->instance = instance;
  weir_rng_init(&n->rng, seed);
  snprintf(n->url, sizeof(n->url), "%s/v1beta/models/%s:generateContent", instance->base_url,
           instance->model);
  curl_easy_setopt(n->curl, CURLOPT_URL, n->url);
  curl_easy_setopt(n->curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(n->curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
  curl_easy_setopt(n->curl, CURLOPT_HTTPHEADER, n->headers);
  curl_easy_setopt(n->curl, CURLOPT_PREREQFUNCTION, on_prereq);
  curl_easy_setopt(n->curl, CURLOPT_PREREQDATA, n);
  curl_easy_setopt(n->curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(n->curl, CURLOPT_WRITEDATA, n);
  return n;
}

void demo_naive_free(struct demo_naive *naive)
{
  if (!naive)
    return;
  curl_slist_free_all(naive->headers);
  curl_easy_cleanup(naive->curl);
  free(naive);
}

/* One request; returns the status, 0 when there was none. */
static long post(struct demo_naive *n, const struct demo_request *request)
{
  long status = 0;

  weir_json_init(&n->json);
  n->is_json = true;
  n->input_tokens = 0;
  n->output_tokens = 0;
  curl_easy_setopt(n->curl, CURLOPT_POSTFIELDS, request->body);
  curl_easy_setopt(n->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->size);
  if (curl_easy_perform(n->curl) != CURLE_OK)
    return 0;
  curl_easy_getinfo(n->curl, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

/* Waits until an instant; nobody signals, so only time ends it. */
static void wait_until(uint64_t at_ms)
{
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_condattr_t attributes;
  pthread_cond_t never;
  struct timespec at = {(time_t)(at_ms / 1000), (long)(at_ms % 1000 * 1000000)};

  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&never, &attributes);
  pthread_mutex_lock(&lock);
  while (pthread_cond_timedwait(&never, &lock, &at) != ETIMEDOUT)
    continue;
  pthread_mutex_unlock(&lock);
  pthread_cond_destroy(&never);
  pthread_condattr_destroy(&attributes);
}

static void back_off(struct demo_naive *n, uint64_t retry, struct demo_call *call)
{
  uint64_t pause_ms = BACKOFF_FIRST_MS << retry, from_ms = demo_now_ms();

  if (pause_ms > BACKOFF_MAX_MS)
    pause_ms = BACKOFF_MAX_MS;
  pause_ms += weir_rng_below(&n->rng, JITTER_MS);
  demo_instance_waits(n->instance, 1);
  wait_until(from_ms + pause_ms);
  demo_instance_waits(n->instance, -1);
  demo_call_wait(call, from_ms, demo_now_ms());
}

void demo_naive_call(struct demo_naive *naive, const struct demo_request *request,
                     struct demo_call *call)
{
  for (uint64_t retry = 0;; retry++) {
    long status = post(naive, request);

    call->attempts++;
    call->t_sent_ms = naive->sent_ms;
    call->rejected_429 += status == 429 ? 1U : 0U;
    snprintf(call->outcome, sizeof(call->outcome), status == 0 ? "network" : "http %ld", status);
    if (status == 200) {
      call->is_ok = true;
      call->input_tokens = naive->input_tokens;
      call->output_tokens = naive->output_tokens;
      snprintf(call->outcome, sizeof(call->outcome), "ok");
    }
    if ((status != 429 && status < 500) || retry == RETRIES_MAX)
      return;
    back_off(naive, retry, call);
  }
}
