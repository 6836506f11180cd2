#include "upstream.h"

#include "clock.h"
#include "instance.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/json.h>

#define TIMEOUT_MS 10000L

/* Called with each value of an answer. */
typedef void value_handler(void *context, const struct weir_json_token *token);

struct reader {
  struct weir_json json;
  enum weir_json_status status;
  value_handler *handler;
  void *context;
};

static size_t on_body(char *bytes, size_t one, size_t size, void *context)
{
  struct reader *r = context;
  struct weir_json_token token;

  (void)one;
  if (r->status == WEIR_JSON_BAD)
    return size;
  weir_json_feed(&r->json, bytes, size);
  while ((r->status = weir_json_next(&r->json, &token)) == WEIR_JSON_TOKEN)
    r->handler(r->context, &token);
  return size;
}

/* One request on |curl|; false after a message. */
static bool fetch(CURL *curl, const char *url, value_handler *handler, void *context)
{
  struct reader reader = {.status = WEIR_JSON_MORE, .handler = handler, .context = context};
  char text[CURL_ERROR_SIZE] = "";
  long status = 0;
  CURLcode code;

  weir_json_init(&reader.json);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reader);
  code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (code == CURLE_OK && status == 200 && reader.status != WEIR_JSON_BAD)
    return true;
  fprintf(stderr, "weir-demo: %s: %s (HTTP %ld)\n", url,
          code == CURLE_OK ? "not the answer expected" : text, status);
  return false;
}

/* Takes the number at |path|, without its fraction; false when |token| is another value. */
static bool number_at(const struct weir_json_token *token, const char *path, uint64_t *ret_number)
{
  if (token->type != WEIR_JSON_NUMBER || strcmp(token->path, path) != 0)
    return false;
  *ret_number = strtoull(token->text, NULL, 10);
  return true;
}

static void on_count(void *context, const struct weir_json_token *token)
{
  uint64_t *sum = context, tokens;

  if (number_at(token, "totalTokens", &tokens))
    *sum += tokens;
}

bool demo_upstream_tokens(const char *base_url, const char *model,
                          const struct demo_workload *workload, uint64_t *ret_tokens)
{
  CURL *curl = curl_easy_init();
  struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
  struct curl_slist *more = curl_slist_append(headers, "x-goog-api-key: " DEMO_KEY);
  uint64_t tokens = 0;
  bool is_counted = true;
  char url[256];

  if (!curl || !more || !curl_slist_append(more, "Expect:"))
    abort();
  snprintf(url, sizeof(url), "%s/v1beta/models/%s:countTokens", base_url, model);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  for (size_t i = 0; i < workload->count && is_counted; i++) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, workload->requests[i].body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)workload->requests[i].size);
    is_counted = fetch(curl, url, on_count, &tokens);
  }
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
  if (is_counted)
    *ret_tokens = tokens;
  return is_counted;
}

static void on_counter(void *context, const struct weir_json_token *token)
{
  struct demo_counters *counters = context;
  uint64_t tokens;

  number_at(token, "now_ms", &counters->now_ms);
  number_at(token, "totals.arrivals", &counters->arrivals);
  number_at(token, "totals.admitted", &counters->admitted);
  number_at(token, "totals.rejected", &counters->rejected_429);
  if (number_at(token, "accounts[].input_tokens", &tokens))
    counters->input_tokens += tokens;
}

/* GET of an administrative path. */
static bool get(const char *base_url, const char *path, value_handler *handler, void *context)
{
  CURL *curl = curl_easy_init();
  char url[256];
  bool is_read;

  if (!curl)
    abort();
  snprintf(url, sizeof(url), "%s/_admin/%s", base_url, path);
  is_read = fetch(curl, url, handler, context);
  curl_easy_cleanup(curl);
  return is_read;
}

bool demo_upstream_counters(const char *base_url, struct demo_counters *ret_counters)
{
  struct demo_counters counters = {0};

  if (!get(base_url, "counters", on_counter, &counters))
    return false;
  *ret_counters = counters;
  return true;
}

struct arrivals {
  struct demo_arrival *list;
  size_t count, capacity;
  struct demo_arrival next; /* the entry that is being read */
  bool is_admitted;
  uint64_t dropped;
};

static void on_arrival(void *context, const struct weir_json_token *token)
{
  struct arrivals *a = context;

  number_at(token, "dropped", &a->dropped);
  number_at(token, "calls[].t_ms", &a->next.at_ms);
  number_at(token, "calls[].tokens", &a->next.tokens);
  if (strcmp(token->path, "calls[].admitted") == 0)
    a->is_admitted = token->type == WEIR_JSON_TRUE;
  if (token->type != WEIR_JSON_OBJECT_END || strcmp(token->path, "calls[]") != 0 || !a->is_admitted)
    return;
  if (a->count == a->capacity) {
    a->capacity = a->capacity ? 2 * a->capacity : 1024;
    a->list = realloc(a->list, a->capacity * sizeof(*a->list));
    if (!a->list)
      abort();
  }
  a->list[a->count++] = a->next;
}

bool demo_upstream_arrivals(const char *base_url, struct demo_arrival **ret_arrivals,
                            size_t *ret_count)
{
  struct arrivals arrivals = {0};
  struct demo_counters counters;
  uint64_t ahead_ms; /* of the provider's clock before ours */

  if (!demo_upstream_counters(base_url, &counters))
    return false;
  ahead_ms = counters.now_ms - demo_now_ms();
  if (!get(base_url, "log", on_arrival, &arrivals) || arrivals.dropped > 0) {
    if (arrivals.dropped > 0)
      fprintf(stderr, "weir-demo: the provider's log lacks %llu calls\n",
              (unsigned long long)arrivals.dropped);
    free(arrivals.list);
    return false;
  }
  for (size_t i = 0; i < arrivals.count; i++)
    arrivals.list[i].at_ms -= ahead_ms;
  *ret_arrivals = arrivals.list;
  *ret_count = arrivals.count;
  return true;
}
