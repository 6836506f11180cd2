#include "alarm.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/stats_out.h>

#include "clock.h"
#include "rows.h"

struct weir_alarm {
  pthread_t thread;
  bool has_thread, has_hook;
  int tap_fd, stop_fd;
  weir_duration look_us;
  struct weir_hook hook;
  struct weir_log *log;
  struct weir_alerts *alerts;
  struct weir_rows rows; /* of the look that is under way */
  pthread_mutex_t mutex;
  bool is_new; /* under mutex */
  struct weir_alerts_config config;
};

/* ---- words ---- */

/* Money is told in millionths. */
static void amount_format(const struct weir_alert *alert, uint64_t value, char *ret_text,
                          size_t size)
{
  if (alert->dimension == WEIR_DIMENSION_SPEND)
    snprintf(ret_text, size, "%llu.%02llu", (unsigned long long)(value / 1000000),
             (unsigned long long)(value / 10000 % 100));
  else
    snprintf(ret_text, size, "%llu", (unsigned long long)value);
}

static void limit_format(const struct weir_alert *alert, char *ret_text, size_t size)
{
  const char *name = weir_dimension_name(alert->dimension);
  if (alert->is_day)
    snprintf(ret_text, size, "%s a day", name);
  else if (alert->window_us > 0)
    snprintf(ret_text, size, "%s in %llu s", name,
             (unsigned long long)(alert->window_us / WEIR_US_PER_S));
  else
    snprintf(ret_text, size, "%s", name);
}

static const char *near_limit_tail(const struct weir_alert *alert)
{
  if (alert->window_us > WEIR_ALERT_LONG_US)
    return alert->has_begun ? "" : ", no longer nearly all";
  return alert->has_begun ? ", and online calls wait"
                          : ", no longer nearly all, or no online call waits";
}

static void drift_format(const struct weir_alert *alert, char *ret_text)
{
  if (alert->ratio_pm == 0)
    snprintf(ret_text, WEIR_ALARM_TEXT_SIZE, "%s: it is not known what calls use", alert->owner);
  else
    snprintf(ret_text, WEIR_ALARM_TEXT_SIZE, "%s: calls use %u.%u %% of what was estimated%s",
             alert->owner, (unsigned)alert->ratio_pm / 10, (unsigned)alert->ratio_pm % 10,
             alert->has_begun ? "" : ", which is near enough");
}

/* What holds now: where an alert begins, and where it ends. */
void weir_alarm_text(const struct weir_alert *alert, char *ret_text)
{
  const bool has_begun = alert->has_begun;
  char used[32], kept[32], limit[64] = "";
  const char *owner = alert->owner;
  amount_format(alert, alert->used, used, sizeof used);
  amount_format(alert, alert->kept, kept, sizeof kept);
  if (alert->is_limit)
    limit_format(alert, limit, sizeof limit);
  ret_text[0] = '\0';
  switch (alert->kind) {
  case WEIR_ALERT_NEAR_LIMIT:
    snprintf(ret_text, WEIR_ALARM_TEXT_SIZE, "%s: %s of %s %s are used%s", owner, used, kept, limit,
             near_limit_tail(alert));
    return;
  case WEIR_ALERT_DAY_ENDS_EARLY:
    if (has_begun)
      snprintf(ret_text, WEIR_ALARM_TEXT_SIZE,
               "%s: %s of %s %s are used, and at this pace all of them in %llu minutes", owner,
               used, kept, limit, (unsigned long long)(alert->in_us / WEIR_US_PER_MIN));
    else
      snprintf(ret_text, WEIR_ALARM_TEXT_SIZE,
               "%s: %s of %s %s are used, and at this pace they last", owner, used, kept, limit);
    return;
  case WEIR_ALERT_BREAKER_OPEN:
    snprintf(ret_text, WEIR_ALARM_TEXT_SIZE, "%s: %s", owner,
             has_begun ? "calls do not go through, the breaker is open" : "calls go through again");
    return;
  case WEIR_ALERT_FOREIGN:
    snprintf(ret_text, WEIR_ALARM_TEXT_SIZE,
             has_begun ? "%s: somebody else spends this quota; %s %s are kept"
                       : "%s: nothing is cut for somebody else any more; %s %s are kept",
             owner, kept, limit);
    return;
  case WEIR_ALERT_REJECTED:
    snprintf(ret_text, WEIR_ALARM_TEXT_SIZE,
             has_begun
                 ? "%s: the provider rejects calls by a quota, which no foreign use explains; "
                   "%s since the start"
                 : "%s: no such rejection for ten minutes; %s since the start",
             owner, used);
    return;
  case WEIR_ALERT_DRIFT:
    drift_format(alert, ret_text);
    return;
  case WEIR_ALERT_KIND_MAX:
    return;
  }
}

/* Members of JSON, each with the comma before it. */
static void put_text(struct weir_stats_out *out, const char *key, const char *value)
{
  weir_stats_put(out, ",");
  weir_stats_put_quoted(out, key);
  weir_stats_put(out, ":");
  weir_stats_put_quoted(out, value);
}

static void put_number(struct weir_stats_out *out, const char *key, uint64_t value)
{
  weir_stats_put(out, ",");
  weir_stats_put_quoted(out, key);
  weir_stats_put(out, ":");
  weir_stats_put_uint(out, value);
}

void weir_alarm_body(const struct weir_alert *alert, const char *text, time_t now, char *ret_body)
{
  struct weir_stats_out out = {.at = ret_body, .capacity = WEIR_HOOK_BODY_SIZE - 1};
  char when[32];
  struct tm parts;
  gmtime_r(&now, &parts);
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
  weir_stats_put(&out, "{\"alert\":");
  weir_stats_put_quoted(&out, weir_alert_name(alert->kind));
  put_text(&out, "state", alert->has_begun ? "begun" : "ended");
  put_text(&out, "pool", alert->owner);
  put_text(&out, "text", text);
  put_text(&out, "time", when);
  if (alert->is_limit) {
    weir_stats_put(&out, ",\"limit\":{\"dimension\":");
    weir_stats_put_quoted(&out, weir_dimension_name(alert->dimension));
    put_number(&out, "window_s", alert->window_us / WEIR_US_PER_S);
    put_number(&out, "used", alert->used);
    put_number(&out, "kept", alert->kept);
    weir_stats_put(&out, alert->is_day ? ",\"day\":true}" : ",\"day\":false}");
  }
  weir_stats_put(&out, "}");
  assert(out.size <= out.capacity); /* also if each character of text and name is escaped */
  ret_body[out.size] = '\0';
}

static void tell(struct weir_alarm *alarm, const struct weir_alert *alert)
{
  char text[WEIR_ALARM_TEXT_SIZE], body[WEIR_HOOK_BODY_SIZE];
  weir_alarm_text(alert, text);
  weir_log_begin(alarm->log, alert->has_begun ? WEIR_LOG_WARN : WEIR_LOG_INFO, "alert");
  weir_log_text(alarm->log, "alert", weir_alert_name(alert->kind));
  weir_log_text(alarm->log, "state", alert->has_begun ? "begun" : "ended");
  weir_log_text(alarm->log, "pool", alert->owner);
  weir_log_text(alarm->log, "detail", text);
  weir_log_end(alarm->log);
  if (!alarm->has_hook)
    return;
  weir_alarm_body(alert, text, time(NULL), body);
  weir_hook_send(&alarm->hook, body);
}

/* ---- a look ---- */

static void take(struct weir_alarm *alarm, const struct weir_msg_row *row)
{
  struct weir_alert alerts[WEIR_ALERT_ROW_MAX];
  uint32_t count = weir_alerts_row(alarm->alerts, row, weir_clock_now(), alerts);
  for (uint32_t i = 0; i < count; i++)
    tell(alarm, &alerts[i]);
}

/* A view is through. */
static void go_on(struct weir_alarm *alarm)
{
  if (alarm->rows.view == WEIR_VIEW_POOLS) {
    (void)weir_rows_begin(&alarm->rows, WEIR_VIEW_BUDGETS, weir_clock_now());
    return;
  }
  alarm->rows.view = 0;
  weir_alerts_sweep(alarm->alerts);
}

static void on_rows(struct weir_alarm *alarm)
{
  uint8_t bytes[WEIR_TAP_DATAGRAM_SIZE];
  ssize_t size = recv(alarm->rows.fd, bytes, sizeof bytes, MSG_DONTWAIT);
  size_t offset = sizeof(struct weir_tap_head);
  struct weir_msg_row row;
  while (size > 0 && weir_rows_take(&alarm->rows, bytes, (size_t)size, &offset, &row))
    take(alarm, &row);
  if (!weir_rows_is_answered(&alarm->rows))
    return;
  if (!weir_rows_has_next(&alarm->rows))
    go_on(alarm);
  else
    (void)weir_rows_ask(&alarm->rows, weir_clock_now()); /* else the next look begins anew */
}

static void look(struct weir_alarm *alarm)
{
  pthread_mutex_lock(&alarm->mutex);
  if (alarm->is_new)
    weir_alerts_configure(alarm->alerts, &alarm->config);
  alarm->is_new = false;
  pthread_mutex_unlock(&alarm->mutex);
  const weir_tstamp now = weir_clock_now();
  if (alarm->rows.view == 0 || weir_rows_is_overdue(&alarm->rows, now, alarm->look_us))
    (void)weir_rows_begin(&alarm->rows, WEIR_VIEW_POOLS, now); /* else the next look tries */
}

static void *run(void *context)
{
  struct weir_alarm *alarm = context;
  struct pollfd items[] = {{.fd = alarm->stop_fd, .events = POLLIN},
                           {.fd = alarm->rows.fd, .events = POLLIN}};
  weir_tstamp due = weir_clock_now();
  while (items[0].revents == 0) {
    weir_tstamp now = weir_clock_now();
    if (now >= due) {
      look(alarm);
      due = now + alarm->look_us;
    }
    if (poll(items, 2, (int)((due - now) / WEIR_US_PER_MS) + 1) > 0 && items[1].revents != 0)
      on_rows(alarm);
  }
  return NULL;
}

/* ---- what others call ---- */

static enum weir_err open_parts(struct weir_alarm *alarm, const struct weir_alarm_config *config,
                                char *ret_error)
{
  int pair[2];
  void *storage = calloc(1, weir_alerts_size(config->owners_max));
  if (storage == NULL) {
    snprintf(ret_error, WEIR_ALARM_ERROR_SIZE, "no memory for alerts; lower 'bounds'");
    return WEIR_ENOMEM;
  }
  alarm->alerts = weir_alerts_init(storage, config->owners_max, &config->alerts);
  alarm->stop_fd = eventfd(0, EFD_CLOEXEC);
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
    alarm->rows.fd = pair[0];
    alarm->tap_fd = pair[1];
  }
  if (alarm->stop_fd < 0 || alarm->rows.fd < 0) {
    snprintf(ret_error, WEIR_ALARM_ERROR_SIZE, "no descriptors for alerts: %s", strerror(errno));
    return WEIR_ESYSTEM;
  }
  if (config->webhook[0] == '\0')
    return WEIR_OK;
  enum weir_err err =
      weir_hook_start(&alarm->hook, config->webhook, config->secret, config->log, ret_error);
  alarm->has_hook = err == WEIR_OK;
  return err;
}

enum weir_err weir_alarm_start(const struct weir_alarm_config *config,
                               struct weir_alarm **ret_alarm, int *ret_tap_fd, char *ret_error)
{
  struct weir_alarm *alarm = calloc(1, sizeof *alarm);
  enum weir_err err = WEIR_ENOMEM;
  if (alarm == NULL) {
    snprintf(ret_error, WEIR_ALARM_ERROR_SIZE, "no memory for alerts");
    return err;
  }
  alarm->rows.fd = alarm->tap_fd = alarm->stop_fd = -1;
  alarm->look_us = config->look_us;
  pthread_mutex_init(&alarm->mutex, NULL);
  alarm->log = config->log;
  err = open_parts(alarm, config, ret_error);
  if (err == WEIR_OK) {
    int failed = pthread_create(&alarm->thread, NULL, run, alarm);
    alarm->has_thread = failed == 0;
    if (failed != 0) {
      snprintf(ret_error, WEIR_ALARM_ERROR_SIZE, "no thread for alerts: %s", strerror(failed));
      err = WEIR_ESYSTEM;
    }
  }
  if (err != WEIR_OK) {
    weir_alarm_stop(alarm);
    return err;
  }
  *ret_alarm = alarm;
  *ret_tap_fd = alarm->tap_fd;
  return WEIR_OK;
}

void weir_alarm_configure(struct weir_alarm *alarm, const struct weir_alerts_config *alerts)
{
  pthread_mutex_lock(&alarm->mutex);
  alarm->config = *alerts;
  alarm->is_new = true;
  pthread_mutex_unlock(&alarm->mutex);
}

struct weir_hook_counts weir_alarm_posts(struct weir_alarm *alarm)
{
  return alarm->has_hook ? weir_hook_counts(&alarm->hook) : (struct weir_hook_counts){0};
}

void weir_alarm_stop(struct weir_alarm *alarm)
{
  if (alarm == NULL)
    return;
  if (alarm->has_thread) {
    (void)!write(alarm->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    pthread_join(alarm->thread, NULL);
  }
  if (alarm->has_hook)
    weir_hook_stop(&alarm->hook);
  const int fds[] = {alarm->rows.fd, alarm->tap_fd, alarm->stop_fd};
  for (int i = 0; i < 3; i++) {
    if (fds[i] >= 0)
      close(fds[i]);
  }
  pthread_mutex_destroy(&alarm->mutex);
  free(alarm->alerts);
  free(alarm);
}
