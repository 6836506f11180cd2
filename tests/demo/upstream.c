#include "upstream.h"

#include "instance.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/json.h>

#define TIMEOUT_MS 10000L

/* Called with each number of an answer. */
typedef void number_handler(void *context, const char *path, uint64_t number);

struct reader {
  struct weir_json json;
  enum weir_json_status status;
  number_handler *handler;
  void *context;
};

static size_t on_body(char *bytes, size_t one, size_t size, void *context)
{
  struct reader *r = context;
  struct weir_json_token token;
  uint64_t number;

  (void)one;
  if (r->status == WEIR_JSON_BAD)
    return size;
  weir_json_feed(&r->json, bytes, size);
  while ((r->status = weir_json_next(&r->json, &token)) == WEIR_JSON_TOKEN) {
    if (token.type == WEIR_JSON_NUMBER && weir_json_uint(&token, &number))
      r->handler(r->context, token.path, number);
  }
  return size;
}

/* One request on |curl|; false after a message. */
static bool fetch(CURL *curl, const char *url, number_handler *handler, void *context)
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

static void on_count(void *context, const char *path, uint64_t number)
{
  uint64_t *sum = context;

  if (strcmp(path, "totalTokens") == 0)
    *sum += number;
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

static void on_counter(void *context, const char *path, uint64_t number)
{
  struct demo_counters *counters = context;

  if (strcmp(path, "totals.arrivals") == 0)
    counters->arrivals = number;
  if (strcmp(path, "totals.admitted") == 0)
    counters->admitted = number;
  if (strcmp(path, "totals.rejected") == 0)
    counters->rejected_429 = number;
  if (strcmp(path, "accounts[].input_tokens") == 0)
    counters->input_tokens += number;
}

bool demo_upstream_counters(const char *base_url, struct demo_counters *ret_counters)
{
  CURL *curl = curl_easy_init();
  struct demo_counters counters = {0};
  bool is_read;
  char url[256];

  if (!curl)
    abort();
  snprintf(url, sizeof(url), "%s/_admin/counters", base_url);
  is_read = fetch(curl, url, on_counter, &counters);
  curl_easy_cleanup(curl);
  if (is_read)
    *ret_counters = counters;
  return is_read;
}
