/* fleet.h - instances as processes of their own, each a handle of libweir and threads that call as
 * fast as they are let. What they did is counted in a file that they share with us, so that it
 * outlives them.
 *
 * Owner: the caller owns the fleet, a plain struct. Functions that can fail say why on standard
 * error and return false. Blocking: chaos_fleet_stop, until the calls under way are over.
 */
#ifndef WEIR_CHAOS_FLEET_H
#define WEIR_CHAOS_FLEET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../demo/child.h"
#include "../outage/stand.h"
#include "judge.h"

#define CHAOS_INSTANCES ((size_t)8)
#define CHAOS_THREADS   ((size_t)6) /* of an instance */

/* Of all lives of one instance. */
struct chaos_tally {
  _Atomic uint64_t begun, over;   /* calls */
  _Atomic uint64_t ok, cancelled; /* of those that are over; the rest failed */
  _Atomic uint64_t attempts;      /* requests of those that are over */
  _Atomic int64_t last_err;       /* of a call that failed */
};

struct chaos_fleet {
  const struct outage_stand *stand;
  const char *server_key, *key_file; /* of a coordinator on TCP, else NULL */
  uint64_t ramp_us; /* in the first so many microseconds calls come one every |step_us| */
  uint64_t step_us;
  /* From here on its own. */
  char path[96];
  struct chaos_tally *tallies;
  struct demo_child children[CHAOS_INSTANCES];
};

/* chaos_fleet_start starts all instances of a stand that is ready. */
bool chaos_fleet_start(struct chaos_fleet *fleet);

/* chaos_fleet_kill kills instance |number| by SIGKILL and starts it again. */
bool chaos_fleet_kill(struct chaos_fleet *fleet, size_t number);

/* chaos_fleet_signal sends |signal| to instance |number|. */
void chaos_fleet_signal(struct chaos_fleet *fleet, size_t number, int signal);

/* chaos_fleet_stop lets no further call begin and ends the instances. Nothing with a fleet that was
 * never started. chaos_fleet_free forgets what they counted. */
void chaos_fleet_stop(struct chaos_fleet *fleet);
void chaos_fleet_free(struct chaos_fleet *fleet);

/* chaos_fleet_balance sums up what they counted; |arrivals| stays 0. *ret_failed is how many calls
 * failed, *ret_err the error of one of them. */
void chaos_fleet_balance(const struct chaos_fleet *fleet, struct chaos_balance *ret_balance,
                         uint64_t *ret_failed, int *ret_err);

/* chaos_instance is main() of an instance: what chaos_fleet_start runs. */
int chaos_instance(int argc, char **argv);

#endif
