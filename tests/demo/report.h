/* report.h - what the demo concludes: the figures as JSON, doubts, and the verdict. */
#ifndef WEIR_DEMO_REPORT_H
#define WEIR_DEMO_REPORT_H

#include <stdbool.h>

#include "half.h"

#define DEMO_QUOTA_USED_MIN   0.90
#define DEMO_RECONNECT_MAX_MS 2000

/* demo_report_begin finds out whether |path| can be written, before minutes are spent. False after
 * a message. */
bool demo_report_begin(const char *path);

/* demo_report_json writes {"naive": {...}, "weir": {...}} to |path|; a half that is NULL is left
 * out. False after a message. */
bool demo_report_json(const char *path, const struct demo_half *naive,
                      const struct demo_half *managed);

/* demo_report_doubt prints a warning when the instances and the provider do not agree on the number
 * of 429s: one of the two then counts wrong. */
void demo_report_doubt(const struct demo_half *half);

/* demo_report_verdict prints what weir's half promised and did not keep, or that it kept all, and
 * tells whether it did:
 *   no 429; every call done but those of a killed instance; each arrival a call;
 *   quota used while work waited at least DEMO_QUOTA_USED_MIN, unless the coordinator was killed:
 *   the new one takes the last window as spent, and waits it out;
 *   with a killed coordinator, each instance back within DEMO_RECONNECT_MAX_MS. */
bool demo_report_verdict(const struct demo_half *half);

#endif
