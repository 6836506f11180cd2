#include "plain.h"

#include "stand.h"

#include <stdio.h>
#include <stdlib.h>

#define RETRIES_MAX      3
#define BACKOFF_FIRST_US UINT64_C(1000000)
#define JITTER_US        UINT64_C(500000)

static size_t on_body(char *bytes, size_t one, size_t size, void *context)
{
  (void)bytes, (void)context;
  return one * size;
}

void outage_plain_open(struct outage_plain *plain, const char *base_url)
{
  plain->curl = curl_easy_init();
  plain->headers = curl_slist_append(NULL, "Content-Type: application/json");
  if (!plain->curl || !plain->headers ||
      !curl_slist_append(plain->headers, "x-goog-api-key: " OUTAGE_KEY))
    abort();
  snprintf(plain->url, sizeof(plain->url), "%s/v1beta/models/%s:generateContent", base_url,
           OUTAGE_MODEL);
  curl_easy_setopt(plain->curl, CURLOPT_URL, plain->url);
  curl_easy_setopt(plain->curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(plain->curl, CURLOPT_HTTPHEADER, plain->headers);
  curl_easy_setopt(plain->curl, CURLOPT_WRITEFUNCTION, on_body);
}

void outage_plain_close(struct outage_plain *plain)
{
  curl_slist_free_all(plain->headers);
  curl_easy_cleanup(plain->curl);
}

long outage_plain_post(struct outage_plain *plain, const char *body, uint64_t timeout_us)
{
  long status = 0;

  curl_easy_setopt(plain->curl, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(plain->curl, CURLOPT_TIMEOUT_MS, (long)(timeout_us / 1000) + 1);
  if (curl_easy_perform(plain->curl) == CURLE_OK)
    curl_easy_getinfo(plain->curl, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

bool outage_plain_backoff(long status, uint32_t attempt, uint64_t left_us, struct weir_rng *rng,
                          uint64_t *ret_after_us)
{
  if ((status != 0 && status != 429 && status < 500) || attempt > RETRIES_MAX)
    return false;
  *ret_after_us = (BACKOFF_FIRST_US << (attempt - 1)) + weir_rng_below(rng, JITTER_US);
  return *ret_after_us < left_us;
}
