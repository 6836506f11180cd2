#include "stand.h"

#include "../demo/clock.h"

#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/json.h>

#define READY_WAIT_MS   10000
#define REQUEST_WAIT_MS 10000L
#define MINUTE_MS       UINT64_C(60000)
#define ARGUMENTS_MAX   32

/* ---- processes ---- */

static void on_upstream_line(void *context, const char *line, size_t size)
{
  static const char prefix[] = "listening on ";
  struct outage_stand *stand = context;

  (void)size;
  if (strncmp(line, prefix, sizeof(prefix) - 1) != 0)
    return;
  snprintf(stand->base_url, sizeof(stand->base_url), "%s", line + sizeof(prefix) - 1);
  stand->is_upstream_ready = true;
}

static void on_coordinator_line(void *context, const char *line, size_t size)
{
  struct outage_stand *stand = context;
  const char *bound = strstr(line, "listen=tcp://");

  if (strstr(line, "event=ready")) {
    stand->is_coordinator_ready = true;
    if (bound)
      snprintf(stand->endpoint, sizeof(stand->endpoint), "%.*s", (int)strcspn(bound + 7, " "),
               bound + 7);
  }
  if (stand->on_line)
    stand->on_line(stand->on_line_context, line, size);
  else if (strstr(line, "level=error") || strstr(line, "event=breaker"))
    fprintf(stderr, "weir-coordinator: %s\n", line);
}

static bool start(struct outage_stand *stand, struct demo_child *child,
                  const char *const *arguments, demo_line_handler *handler, const bool *is_ready)
{
  const uint64_t give_up_ms = demo_now_ms() + READY_WAIT_MS;
  uint64_t now_ms;

  if (!demo_child_start(child, arguments, true)) {
    fprintf(stderr, "weir-outage: %s: %s\n", arguments[0], strerror(errno));
    return false;
  }
  while (!*is_ready && child->fd >= 0 && (now_ms = demo_now_ms()) < give_up_ms) {
    struct pollfd output = {child->fd, POLLIN, 0};

    if (poll(&output, 1, (int)(give_up_ms - now_ms)) > 0)
      demo_child_read(child, handler, stand);
  }
  if (!*is_ready)
    fprintf(stderr, "weir-outage: %s did not start\n", arguments[0]);
  return *is_ready;
}

static bool upstream_start(struct outage_stand *stand)
{
  char program[512], latency[64], entries[32], model[128], window[32];
  const char *const arguments[] = {program,
                                   "--listen",
                                   "127.0.0.1:0",
                                   "--latency-ms",
                                   latency,
                                   "--model",
                                   model,
                                   "--method",
                                   "log",
                                   "--log",
                                   entries,
                                   "--window-ms",
                                   window,
                                   stand->day_reset ? "--day-reset" : NULL,
                                   stand->day_reset,
                                   NULL};

  snprintf(program, sizeof(program), "%s/weir-upstream", stand->programs);
  snprintf(latency, sizeof(latency), "%" PRIu64 "..%" PRIu64, stand->latency_min_ms,
           stand->latency_max_ms);
  snprintf(entries, sizeof(entries), "%" PRIu64, stand->log_entries);
  snprintf(model, sizeof(model), "%s=%s", OUTAGE_MODEL, stand->limits);
  snprintf(window, sizeof(window), "%" PRIu64, stand->window_ms > 0 ? stand->window_ms : MINUTE_MS);
  return start(stand, &stand->upstream, arguments, on_upstream_line, &stand->is_upstream_ready);
}

static bool config_write(struct outage_stand *stand, const char *path)
{
  FILE *file = fopen(path, "w");

  if (!file) {
    fprintf(stderr, "weir-outage: %s: %s\n", path, strerror(errno));
    return false;
  }
  if (stand->listen)
    snprintf(stand->endpoint, sizeof(stand->endpoint), "%s", stand->listen);
  else
    snprintf(stand->endpoint, sizeof(stand->endpoint), "ipc://%s/weir.sock", stand->folder);
  fprintf(file, "listen: %s\nlog: {level: info, format: logfmt}\n", stand->endpoint);
  fprintf(file, "%s%s/weir.state\n%s", stand->memory ? stand->memory : "state: ",
          stand->memory_folder ? stand->memory_folder : stand->folder, stand->config);
  return fclose(file) == 0;
}

bool outage_stand_coordinator_start(struct outage_stand *stand)
{
  char program[512], path[96];
  const char *arguments[ARGUMENTS_MAX + 4];
  size_t count = 0;

  while (stand->wrapper && stand->wrapper[count] && count < ARGUMENTS_MAX) {
    arguments[count] = stand->wrapper[count];
    count++;
  }
  snprintf(program, sizeof(program), "%s/weir-coordinator", stand->programs);
  snprintf(path, sizeof(path), "%s/weir.yaml", stand->folder);
  arguments[count++] = program;
  arguments[count++] = "--config";
  arguments[count++] = path;
  arguments[count] = NULL;
  stand->is_coordinator_ready = false;
  return config_write(stand, path) && start(stand, &stand->coordinator, arguments,
                                            on_coordinator_line, &stand->is_coordinator_ready);
}

void outage_stand_coordinator_end(struct outage_stand *stand, int signal)
{
  demo_child_read(&stand->coordinator, on_coordinator_line, stand);
  demo_child_end(&stand->coordinator, signal);
}

bool outage_stand_start(struct outage_stand *stand)
{
  stand->upstream.fd = stand->coordinator.fd = -1;
  strcpy(stand->folder, "/tmp/weir-outage-XXXXXX");
  if (!mkdtemp(stand->folder)) {
    fprintf(stderr, "weir-outage: %s: %s\n", stand->folder, strerror(errno));
    stand->folder[0] = '\0';
    return false;
  }
  return upstream_start(stand) && (!stand->config || outage_stand_coordinator_start(stand));
}

void outage_folder_remove(const char *folder)
{
  DIR *entries = opendir(folder);
  const struct dirent *entry;

  if (!entries)
    return;
  while ((entry = readdir(entries)))
    unlinkat(dirfd(entries), entry->d_name, 0); /* not "." and "..": they are no files */
  closedir(entries);
  rmdir(folder);
}

void outage_stand_stop(struct outage_stand *stand)
{
  outage_stand_coordinator_end(stand, SIGTERM);
  demo_child_end(&stand->upstream, SIGTERM);
  if (stand->folder[0])
    outage_folder_remove(stand->folder);
}

/* ---- requests ---- */

struct reader {
  struct weir_json json;
  bool is_json;
  void (*on_value)(void *context, const struct weir_json_token *token);
  void *context;
};

static size_t on_body(char *bytes, size_t one, size_t size, void *context)
{
  struct reader *r = context;
  struct weir_json_token token;
  enum weir_json_status status;

  (void)one;
  if (!r->is_json)
    return size;
  weir_json_feed(&r->json, bytes, size);
  while ((status = weir_json_next(&r->json, &token)) == WEIR_JSON_TOKEN)
    if (r->on_value)
      r->on_value(r->context, &token);
  r->is_json = status != WEIR_JSON_BAD;
  return size;
}

/* Posts |json|, or gets when it is NULL; the values of the answer go to |r|'s handler. */
static bool admin(const struct outage_stand *stand, const char *path, const char *json,
                  struct reader *r)
{
  CURL *curl = curl_easy_init();
  char url[128], error[CURL_ERROR_SIZE] = "";
  long status = 0;
  CURLcode code;

  if (!curl)
    abort();
  weir_json_init(&r->json);
  r->is_json = true;
  snprintf(url, sizeof(url), "%s/_admin/%s", stand->base_url, path);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, REQUEST_WAIT_MS);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, r);
  if (json)
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, json);
  code = curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_cleanup(curl);
  if (code == CURLE_OK && status == 200 && r->is_json)
    return true;
  fprintf(stderr, "weir-outage: %s: %s (HTTP %ld)\n", url,
          code == CURLE_OK ? "not the answer expected" : error, status);
  return false;
}

bool outage_stand_script(const struct outage_stand *stand, const char *json)
{
  struct reader reader = {0};

  return admin(stand, "script", json, &reader);
}

/* ---- the log ---- */

struct log {
  struct outage_request *list, next;
  size_t count, capacity;
  uint64_t foreign_tokens, dropped, tokens;
};

/* Microseconds of a number of milliseconds with up to three digits behind the point. */
static uint64_t us_of(const char *text)
{
  char *end;
  uint64_t us = strtoull(text, &end, 10) * 1000, unit = 100;

  if (*end == '.')
    for (end++; *end >= '0' && *end <= '9' && unit > 0; end++, unit /= 10)
      us += (uint64_t)(*end - '0') * unit;
  return us;
}

static void on_entry(void *context, const struct weir_json_token *token)
{
  struct log *log = context;

  if (strcmp(token->path, "dropped") == 0)
    log->dropped = strtoull(token->text, NULL, 10);
  else if (strcmp(token->path, "calls[].t_ms") == 0)
    log->next.at_us = us_of(token->text);
  else if (strcmp(token->path, "calls[].admitted") == 0)
    log->next.is_admitted = token->type == WEIR_JSON_TRUE;
  else if (strcmp(token->path, "calls[].tokens") == 0)
    log->next.is_foreign = strtoull(token->text, NULL, 10) == log->foreign_tokens;
  else if (strcmp(token->path, "calls[].model") == 0)
    log->next.is_fallback = strcmp(token->text, OUTAGE_MODEL_FALLBACK) == 0;
  if (token->type != WEIR_JSON_OBJECT_END || strcmp(token->path, "calls[]") != 0)
    return;
  if (log->count == log->capacity) {
    log->capacity = log->capacity ? 2 * log->capacity : 1024;
    log->list = realloc(log->list, log->capacity * sizeof(*log->list));
    if (!log->list)
      abort();
  }
  log->list[log->count++] = log->next;
}

static void on_now(void *context, const struct weir_json_token *token)
{
  if (strcmp(token->path, "now_ms") == 0)
    *(uint64_t *)context = us_of(token->text);
}

bool outage_stand_log(const struct outage_stand *stand, uint64_t foreign_tokens,
                      struct outage_request **ret_requests, size_t *ret_count)
{
  struct log log = {.foreign_tokens = foreign_tokens};
  uint64_t theirs_us = 0;
  struct reader clock = {.on_value = on_now, .context = &theirs_us};
  struct reader reader = {.on_value = on_entry, .context = &log};

  if (!admin(stand, "counters", NULL, &clock))
    return false;
  theirs_us -= demo_now_us();
  if (!admin(stand, "log", NULL, &reader) || log.dropped > 0) {
    if (log.dropped > 0)
      fprintf(stderr, "weir-outage: the provider's log lacks %" PRIu64 " requests\n", log.dropped);
    free(log.list);
    return false;
  }
  for (size_t i = 0; i < log.count; i++)
    log.list[i].at_us -= theirs_us;
  *ret_requests = log.list;
  *ret_count = log.count;
  return true;
}
