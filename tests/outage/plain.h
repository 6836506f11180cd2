/* plain.h - one thread's client without weir: HTTP, and exponential back-off with jitter. */
#ifndef WEIR_OUTAGE_PLAIN_H
#define WEIR_OUTAGE_PLAIN_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include <weir/rng.h>

struct outage_plain {
  CURL *curl;
  struct curl_slist *headers;
  char url[256];
};

/* outage_plain_open prepares requests to the first model. Aborts when memory is short. */
void outage_plain_open(struct outage_plain *plain, const char *base_url);
void outage_plain_close(struct outage_plain *plain);

/* outage_plain_post posts |body| and returns the status, 0 when no answer came within
 * |timeout_us|. Blocking. */
long outage_plain_post(struct outage_plain *plain, const char *body, uint64_t timeout_us);

/* outage_plain_backoff returns whether a careful program tries again after the failed attempt
 * number |attempt| (from 1) that was answered |status|, and after how many microseconds: 1, 2, 4 s
 * and up to half a second more; but not past |left_us|. */
bool outage_plain_backoff(long status, uint32_t attempt, uint64_t left_us, struct weir_rng *rng,
                          uint64_t *ret_after_us);

#endif
