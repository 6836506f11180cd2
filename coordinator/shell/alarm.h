/* alarm.h - a thread that looks at the rows now and then, and tells of alerts.
 *
 * Every |look_us| it walks through the rows of pools and budgets (rows.h), over a pair of sockets;
 * a look that is not answered for as long is given up, and begun anew. What began and what ended
 * (alerts.h) becomes a line of the log, and a post of the webhook if there is one (hook.h):
 *
 *   {"alert":"near_limit","state":"begun","pool":"flash","text":"flash: 950 of 1,000 requests ...",
 *    "limit":{"dimension":"requests","window_s":60,"used":950,"kept":1000},"time":"2026-11-25T..."}
 *
 * Owner: weir_alarm_start gives a handle on the heap; weir_alarm_stop frees it.
 */
#ifndef WEIR_ALARM_H
#define WEIR_ALARM_H

#include <time.h>

#include <weir/alerts.h>
#include <weir/conf.h>
#include <weir/err.h>

#include "hook.h"
#include "log.h"

#define WEIR_ALARM_LOOK_US    (10 * WEIR_US_PER_S)
#define WEIR_ALARM_ERROR_SIZE 1280
#define WEIR_ALARM_TEXT_SIZE  256

struct weir_alarm_config {
  struct weir_alerts_config alerts;
  uint32_t owners_max; /* pools and budgets */
  weir_duration look_us;
  const char *webhook, *secret; /* a URL and the path of a file; "": none. Only read at the start */
  struct weir_log *log;         /* stays the caller's, until the alarm is stopped */
};

struct weir_alarm;

/* weir_alarm_start starts the thread; |ret_tap_fd| is the coordinator's end of the pair, which
 * weir_alarm_stop closes. WEIR_ESYSTEM or WEIR_ENOMEM, with a line in |ret_error|
 * (WEIR_ALARM_ERROR_SIZE bytes). */
WEIR_MUSTUSE enum weir_err weir_alarm_start(const struct weir_alarm_config *config,
                                            struct weir_alarm **ret_alarm, int *ret_tap_fd,
                                            char *ret_error);

/* weir_alarm_configure has the next look use |alerts|. Never blocks. */
void weir_alarm_configure(struct weir_alarm *alarm, const struct weir_alerts_config *alerts);

/* weir_alarm_posts returns what became of posts so far: nothing without a webhook. Any thread. */
struct weir_hook_counts weir_alarm_posts(struct weir_alarm *alarm);

/* weir_alarm_text writes what |alert| tells people into |ret_text| (WEIR_ALARM_TEXT_SIZE bytes). */
void weir_alarm_text(const struct weir_alert *alert, char *ret_text);

/* weir_alarm_body writes what is posted of |alert| at |now|, with |text| of weir_alarm_text, into
 * |ret_body| (WEIR_HOOK_BODY_SIZE bytes). */
void weir_alarm_body(const struct weir_alert *alert, const char *text, time_t now, char *ret_body);

/* weir_alarm_stop ends the thread, waits for it and frees |alarm|; NULL is allowed. */
void weir_alarm_stop(struct weir_alarm *alarm);

#endif
