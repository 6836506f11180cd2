#define _DEFAULT_SOURCE /* explicit_bzero */
#include "hook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <weir/rng.h>

#include "clock.h"
#include "secret.h"

#define WHY_SIZE 96

void weir_hook_sign(const char *secret, const char *body, char *ret_text)
{
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;

  HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)body, strlen(body), digest,
       &size);
  for (size_t i = 0; i < size; i++)
    snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
}

static void say(struct weir_hook *hook, const char *why, const char *detail, uint64_t count)
{
  weir_log_begin(hook->log, WEIR_LOG_WARN, "webhook");
  weir_log_text(hook->log, "why", why);
  weir_log_text(hook->log, "detail", detail);
  weir_log_number(hook->log, "count", count);
  weir_log_number(hook->log, "lost", hook->counts.lost);
  weir_log_end(hook->log);
}

/* Under mutex. */
static void report(struct weir_hook *hook, const char *why, const char *detail)
{
  uint64_t count = 0;
  hook->is_failing = true;
  if (weir_log_rate_due(&hook->rate, weir_clock_now(), &count))
    say(hook, why, detail, count);
}

/* ---- the thread ---- */

static size_t ignore(char *bytes, size_t size, size_t count, void *context)
{
  (void)bytes;
  (void)context;
  return size * count;
}

/* Curl asks now and then whether to go on. */
static int is_over(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
  struct weir_hook *hook = context;
  (void)a;
  (void)b;
  (void)c;
  (void)d;
  pthread_mutex_lock(&hook->mutex);
  bool is_stopping = hook->is_stopping;
  pthread_mutex_unlock(&hook->mutex);
  return is_stopping;
}

/* NULL when there is no memory: an unsigned post would be no better than none. */
static struct curl_slist *headers_of(const struct weir_hook *hook, const char *body)
{
  char signature[96] = "x-weir-signature: sha256=";
  struct curl_slist *headers = curl_slist_append(NULL, "content-type: application/json");
  if (headers == NULL || hook->secret[0] == '\0')
    return headers;
  weir_hook_sign(hook->secret, body, signature + strlen(signature));
  struct curl_slist *signed_headers = curl_slist_append(headers, signature);
  if (signed_headers == NULL)
    curl_slist_free_all(headers);
  return signed_headers;
}

/* True when it arrived; else |ret_why| says what failed. */
static bool post(struct weir_hook *hook, const char *body, char *ret_why)
{
  long status = 0;
  struct curl_slist *headers = headers_of(hook, body);
  CURLcode code = CURLE_OUT_OF_MEMORY;
  if (headers != NULL) {
    curl_easy_setopt(hook->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(hook->curl, CURLOPT_POSTFIELDS, body);
    code = curl_easy_perform(hook->curl);
    curl_easy_setopt(hook->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
  }
  if (code != CURLE_OK) {
    snprintf(ret_why, WHY_SIZE, "%s", curl_easy_strerror(code));
    return false;
  }
  curl_easy_getinfo(hook->curl, CURLINFO_RESPONSE_CODE, &status);
  snprintf(ret_why, WHY_SIZE, "HTTP status %ld", status);
  return status >= 200 && status < 300;
}

/* Under mutex. Shorter when it is to stop. */
static void pause_ms(struct weir_hook *hook, uint64_t ms)
{
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += (time_t)(ms / 1000);
  until.tv_nsec += (long)(ms % 1000) * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  while (!hook->is_stopping && pthread_cond_timedwait(&hook->cond, &hook->mutex, &until) == 0)
    ;
}

/* Under mutex, which is open while it posts. */
static void deliver(struct weir_hook *hook, struct weir_rng *rng, const char *body)
{
  char why[WHY_SIZE] = "";
  uint64_t pause = WEIR_HOOK_PAUSE_MS;
  for (int tries = 1; !hook->is_stopping; tries++, pause *= 2) {
    pthread_mutex_unlock(&hook->mutex);
    bool is_sent = post(hook, body, why);
    pthread_mutex_lock(&hook->mutex);
    hook->counts.sent += is_sent;
    hook->counts.failed += !is_sent;
    if (is_sent && hook->is_failing)
      weir_log_say(hook->log, WEIR_LOG_INFO, "webhook", "posts arrive again");
    if (is_sent) {
      hook->is_failing = false;
      return;
    }
    if (tries == WEIR_HOOK_TRIES || hook->is_stopping)
      break;
    report(hook, why, "it is tried again");
    pause_ms(hook, pause / 2 + weir_rng_below(rng, pause));
  }
  hook->counts.lost++;
  if (!hook->is_stopping) /* else all that is lost by that is told at once */
    report(hook, why, "it is given up");
}

static void *run(void *context)
{
  struct weir_hook *hook = context;
  char body[WEIR_HOOK_BODY_SIZE];
  struct weir_rng rng;
  weir_rng_init(&rng, weir_clock_now());
  pthread_mutex_lock(&hook->mutex);
  while (!hook->is_stopping) {
    if (hook->count == 0) {
      pthread_cond_wait(&hook->cond, &hook->mutex);
      continue;
    }
    memcpy(body, hook->bodies[hook->first], sizeof body);
    hook->first = (hook->first + 1) % WEIR_HOOK_WAITING_MAX;
    hook->count--;
    deliver(hook, &rng, body);
  }
  pthread_mutex_unlock(&hook->mutex);
  return NULL;
}

/* ---- what others call ---- */

static CURL *curl_new(struct weir_hook *hook)
{
  CURL *curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;
  if (curl == NULL)
    return NULL;
  curl_easy_setopt(curl, CURLOPT_URL, hook->url);
#if CURL_AT_LEAST_VERSION(7, 85, 0)
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
#if CURL_AT_LEAST_VERSION(7, 87, 0)
  /* At the end, do not wait for a resolver that hangs: its thread ends by itself. */
  curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)WEIR_HOOK_TIMEOUT_MS);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, is_over);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, hook);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  return curl;
}

static void close_parts(struct weir_hook *hook)
{
  curl_easy_cleanup(hook->curl);
  pthread_cond_destroy(&hook->cond);
  pthread_mutex_destroy(&hook->mutex);
  explicit_bzero(hook->secret, sizeof hook->secret);
}

enum weir_err weir_hook_start(struct weir_hook *hook, const char *url, const char *secret_path,
                              struct weir_log *log, char *ret_error)
{
  char why[WEIR_SECRET_ERROR_SIZE];
  pthread_condattr_t attributes;
  memset(hook, 0, sizeof *hook);
  hook->log = log;
  snprintf(hook->url, sizeof hook->url, "%s", url);
  if (secret_path[0] != '\0' &&
      weir_secret_line(secret_path, hook->secret, sizeof hook->secret, why) != WEIR_OK) {
    snprintf(ret_error, WEIR_HOOK_ERROR_SIZE, "alerts.webhook_secret: %s", why);
    return WEIR_ECONFIG;
  }
  hook->curl = curl_new(hook);
  pthread_mutex_init(&hook->mutex, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&hook->cond, &attributes);
  pthread_condattr_destroy(&attributes);
  int err = hook->curl == NULL ? ENOMEM : pthread_create(&hook->thread, NULL, run, hook);
  if (err != 0) {
    snprintf(ret_error, WEIR_HOOK_ERROR_SIZE, "alerts.webhook: %s", strerror(err));
    close_parts(hook);
    return WEIR_ESYSTEM;
  }
  hook->is_running = true;
  return WEIR_OK;
}

void weir_hook_send(struct weir_hook *hook, const char *body)
{
  pthread_mutex_lock(&hook->mutex);
  if (hook->count == WEIR_HOOK_WAITING_MAX) {
    hook->counts.lost++;
    report(hook, "too many posts wait", "it is not told");
  } else {
    char *place = hook->bodies[(hook->first + hook->count) % WEIR_HOOK_WAITING_MAX];
    snprintf(place, WEIR_HOOK_BODY_SIZE, "%s", body);
    hook->count++;
    pthread_cond_signal(&hook->cond);
  }
  pthread_mutex_unlock(&hook->mutex);
}

struct weir_hook_counts weir_hook_counts(struct weir_hook *hook)
{
  if (!hook->is_running)
    return hook->counts;
  pthread_mutex_lock(&hook->mutex);
  struct weir_hook_counts counts = hook->counts;
  pthread_mutex_unlock(&hook->mutex);
  return counts;
}

void weir_hook_stop(struct weir_hook *hook)
{
  if (!hook->is_running)
    return;
  pthread_mutex_lock(&hook->mutex);
  const uint64_t lost = hook->counts.lost;
  hook->is_stopping = true;
  pthread_cond_signal(&hook->cond);
  pthread_mutex_unlock(&hook->mutex);
  pthread_join(hook->thread, NULL);
  hook->counts.lost += hook->count;
  if (hook->counts.lost > lost)
    say(hook, "the coordinator stops", "they are given up", hook->counts.lost - lost);
  close_parts(hook);
  hook->is_running = false;
}
