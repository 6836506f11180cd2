/* acts.h - what is done to the fleet and its coordinator. Each act prints its rows and returns
 * whether every promise of it was kept; it says what was not, and why it could not run.
 */
#ifndef WEIR_CHAOS_ACTS_H
#define WEIR_CHAOS_ACTS_H

#include <stdbool.h>

#include "site.h"

/* acts_kill.c: SIGKILL and SIGSTOP, and a coordinator that forgets, to see the judge condemn it. */
bool chaos_act_kill(const struct chaos_options *options);
bool chaos_act_endure(const struct chaos_options *options);
bool chaos_act_instances(const struct chaos_options *options);
bool chaos_act_stop(const struct chaos_options *options);
bool chaos_act_forget(const struct chaos_options *options);

/* acts_world.c: network, wall clock and disk. */
bool chaos_act_network(const struct chaos_options *options);
bool chaos_act_clock(const struct chaos_options *options);
bool chaos_act_disk(const struct chaos_options *options);

/* acts_peers.c: strangers, floods, and very many sessions. */
bool chaos_act_peers(const struct chaos_options *options);
bool chaos_act_sessions(const struct chaos_options *options);

#endif
