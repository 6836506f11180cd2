#define _DEFAULT_SOURCE /* explicit_bzero */
#include "upstream.h"
#include "curl_common.h"
#include "keys.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS_MAX    10000
#define BODY_CAPACITY_MIN 4096

/* ---- callbacks of libcurl ---- */

static int on_prereq(void *context, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
  struct weir_transfer *t = context;
  const weir_tstamp now = weir_now();

  (void)peer_ip;
  (void)own_ip;
  (void)peer_port;
  (void)own_port;
  if (t->sendings++ > 0)
    return CURL_PREREQFUNC_ABORT;
  if (now >= t->expires_at) {
    t->is_expired = true;
    return CURL_PREREQFUNC_ABORT;
  }
  t->is_sent = true;
  t->sent_at = now;
  return CURL_PREREQFUNC_OK;
}

static void tell_written(struct weir_transfer *t)
{
  if (t->is_written_told)
    return;
  t->is_written_told = true;
  if (t->on_written)
    t->on_written(t, t->told_context);
}

static char *trimmed(char *text)
{
  size_t size;

  text += strspn(text, " \t");
  size = strlen(text);
  while (size > 0 && strchr(" \t\r\n", text[size - 1]))
    text[--size] = '\0';
  return text;
}

/* Headers beyond the bounds are left out: those that matter come early, and the body tells more. */
static size_t on_header(char *bytes, size_t one, size_t size, void *context)
{
  struct weir_transfer *t = context;
  char *line = t->headers_text + t->headers_size;
  char *colon;

  tell_written(t); /* an answer may come before the end of a long request */
  if (size > 5 && memcmp(bytes, "HTTP/", 5) == 0) {
    const char *status = memchr(bytes, ' ', size);

    t->http = status ? (int)strtol(status + 1, NULL, 10) : 0;
    t->headers_count = 0;
    t->headers_size = 0;
    return size * one;
  }
  if (t->headers_count == WEIR_HEADERS_MAX ||
      t->headers_size + size + 1 > sizeof(t->headers_text) || memchr(bytes, '\0', size))
    return size * one;
  memcpy(line, bytes, size);
  line[size] = '\0';
  colon = strchr(line, ':');
  if (!colon)
    return size * one;
  *colon = '\0';
  t->headers[t->headers_count++] = (struct weir_header){line, trimmed(colon + 1)};
  t->headers_size += size + 1;
  return size * one;
}

static bool keep(struct weir_transfer *t, const char *bytes, size_t size)
{
  const size_t needed = t->body_size + size + 1;

  if (needed > t->body_capacity) {
    size_t capacity = t->body_capacity ? t->body_capacity : BODY_CAPACITY_MIN;
    char *body;

    while (capacity < needed)
      capacity *= 2;
    body = realloc(t->body, capacity);
    if (!body)
      return false;
    t->body = body;
    t->body_capacity = capacity;
  }
  memcpy(t->body + t->body_size, bytes, size);
  t->body_size += size;
  t->body[t->body_size] = '\0';
  return true;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *context)
{
  struct weir_transfer *t = context;
  const bool is_good = t->http >= 200 && t->http <= 299;
  const bool is_first = t->first_at == 0;

  if (is_first)
    t->first_at = weir_now();
  if (is_good) {
    weir_usage_feed(&t->scan, bytes, size);
    if (t->on_first && is_first)
      t->on_first(t, t->told_context);
    if (t->on_input && !t->is_input_told && t->scan.usage.has_input && t->scan.stream.is_sse) {
      t->is_input_told = true;
      t->on_input(t, t->told_context);
    }
  }
  if (is_good && t->on_data) {
    t->has_passed_on = true;
    t->is_refused = t->on_data(t->on_data_context, bytes, size) != 0;
    return t->is_refused ? 0 : size * one;
  }
  if (t->body_size + size > WEIR_ANSWER_SIZE_MAX)
    return 0;
  t->is_out_of_memory = !keep(t, bytes, size);
  return t->is_out_of_memory ? 0 : size * one;
}

/* libcurl calls it after each part that it wrote or read. */
static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
  struct weir_transfer *t = context;

  (void)down_total;
  (void)down;
  (void)up_total;
  if (t->is_sent && !t->is_written_told && (size_t)up >= t->request_size) {
    t->sent_at = weir_now();
    tell_written(t);
  }
  return atomic_load(&t->w->is_closed);
}

/* ---- handles ---- */

static void curl_init(void)
{
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* The last one that came back has the warmest connections. */
static CURL *take_handle(struct weir *w)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  CURL *curl = NULL;

  pthread_once(&once, curl_init);
  pthread_mutex_lock(&w->lock);
  if (w->idle_count > 0)
    curl = w->idle[--w->idle_count];
  pthread_mutex_unlock(&w->lock);
  return curl ? curl : curl_easy_init();
}

static void give_handle(struct weir *w, CURL *curl)
{
  curl_easy_reset(curl); /* keeps the connections */
  pthread_mutex_lock(&w->lock);
  if (w->idle_count < WEIR_IDLE_MAX) {
    w->idle[w->idle_count++] = curl;
    curl = NULL;
  }
  pthread_mutex_unlock(&w->lock);
  if (curl)
    curl_easy_cleanup(curl);
}

void weir_upstream_close(struct weir *w)
{
  while (w->idle_count > 0)
    curl_easy_cleanup(w->idle[--w->idle_count]);
}

/* ---- the transfer ---- */

static bool add_header(struct curl_slist **lines, const char *line)
{
  struct curl_slist *longer = curl_slist_append(*lines, line);

  if (longer)
    *lines = longer;
  return longer != NULL;
}

static bool add_key(struct curl_slist **lines, const struct weir_provider_entry *provider,
                    bool is_openai)
{
  const struct weir_provider_rules *rules =
      weir_provider_rules_of(is_openai ? WEIR_PROVIDER_OPENAI : provider->kind);
  size_t size;
  char *line;
  bool is_added;

  if (!provider->key)
    return true;
  size = strlen(rules->key_header) + strlen(rules->key_prefix) + strlen(provider->key) + 3;
  line = malloc(size);
  if (!line)
    return false;
  snprintf(line, size, "%s: %s%s", rules->key_header, rules->key_prefix, provider->key);
  is_added = add_header(lines, line);
  weir_key_free(line);
  return is_added;
}

static bool make_headers(const struct weir_transfer *t, struct curl_slist **ret_lines)
{
  const char *fixed = t->is_openai ? NULL : weir_provider_rules_of(t->provider->kind)->fixed_header;

  *ret_lines = NULL;
  return add_header(ret_lines, "Content-Type: application/json") &&
         add_header(ret_lines, "Expect:") && /* "100-continue" only costs a round trip */
         (!fixed || add_header(ret_lines, fixed)) && add_key(ret_lines, t->provider, t->is_openai);
}

/* libcurl frees the lines as they are, and one holds the key. */
static void free_headers(struct curl_slist *lines)
{
  for (struct curl_slist *line = lines; line; line = line->next)
    explicit_bzero(line->data, strlen(line->data));
  curl_slist_free_all(lines);
}

static void set_options(CURL *curl, struct weir_transfer *t, struct curl_slist *lines, char *error)
{
  const weir_duration left = weir_time_sub(t->deadline, weir_now());
  /* libcurl rounds as well: when it gives up, the deadline has to have passed, or else its error
   * would be taken for one of the network. */
  const long left_ms = (long)(left / WEIR_US_PER_MS) + 2;

  curl_easy_setopt(curl, CURLOPT_URL, t->url);
  weir_curl_common_set(curl);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->request_size);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, t->request);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "weir/" WEIR_VERSION);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, left_ms);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   left_ms < CONNECT_MS_MAX ? left_ms : (long)CONNECT_MS_MAX);
  curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_prereq);
  curl_easy_setopt(curl, CURLOPT_PREREQDATA, t);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
}

static enum weir_transfer_end judge(const struct weir_transfer *t, CURLcode code)
{
  if (code == CURLE_OK && t->http > 0)
    return WEIR_TRANSFER_DONE;
  if (t->is_refused)
    return WEIR_TRANSFER_REFUSED;
  if (t->is_out_of_memory || code == CURLE_OUT_OF_MEMORY)
    return WEIR_TRANSFER_NO_MEMORY;
  if (code == CURLE_WRITE_ERROR)
    return WEIR_TRANSFER_TOO_LARGE;
  if (t->is_expired)
    return WEIR_TRANSFER_EXPIRED;
  if (code == CURLE_ABORTED_BY_CALLBACK && t->sendings < 2)
    return WEIR_TRANSFER_CLOSED;
  if (code == CURLE_OPERATION_TIMEDOUT && weir_now() >= t->deadline)
    return WEIR_TRANSFER_TIMED_OUT;
  return WEIR_TRANSFER_FAILED;
}

void weir_transfer_run(struct weir_transfer *t)
{
  CURL *curl = take_handle(t->w);
  struct curl_slist *lines = NULL;
  char error[CURL_ERROR_SIZE] = "";
  CURLcode code;

  weir_usage_init(&t->scan);
  t->end = WEIR_TRANSFER_NO_MEMORY;
  if (curl && make_headers(t, &lines)) {
    set_options(curl, t, lines, error);
    code = curl_easy_perform(curl);
    t->end = judge(t, code);
    if (t->sendings > 1)
      snprintf(t->error, sizeof(t->error), "the connection broke before the answer came");
    else if (t->end == WEIR_TRANSFER_FAILED)
      snprintf(t->error, sizeof(t->error), "%.120s", error[0] ? error : curl_easy_strerror(code));
  }
  t->ended_at = weir_now();
  free_headers(lines);
  if (curl)
    give_handle(t->w, curl);
}

void weir_transfer_free(struct weir_transfer *t)
{
  if (!t)
    return;
  free(t->body);
  free(t);
}
