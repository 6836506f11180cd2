/* took.h - how long calls take, as one instance sees it, and how much of a caller's time they need.
 *
 * Who may start in the last moment of his deadline is granted a call that nobody waits for: it
 * spends quota, and after an outage, when those who have waited longest go first, such calls are
 * all that is made. So a lease is asked for in time to finish.
 *
 * Mean and mean deviation as of RFC 6298 (an eighth and a quarter of what is new). Owner: the
 * caller; all zero nothing is known. Cost: O(1).
 */
#ifndef WEIR_TOOK_H
#define WEIR_TOOK_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/time.h>

struct weir_took {
  bool is_known;
  weir_duration mean_us, deviation_us;
};

/* weir_took_learn takes in a good call that took |took_us|. */
void weir_took_learn(struct weir_took *t, weir_duration took_us);

/* weir_took_leave returns how much of |left_us| until the caller's deadline is to be left for the
 * call itself: the mean and two mean deviations, at most half of it; 0 before the first call. */
weir_duration weir_took_leave(const struct weir_took *t, weir_duration left_us);

#endif
