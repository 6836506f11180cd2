/* peers.h - a process that holds idle sessions. */
#ifndef WEIR_CHAOS_PEERS_H
#define WEIR_CHAOS_PEERS_H

/* chaos_holder is main() of a process that holds very many sessions until it is killed. */
int chaos_holder(int argc, char **argv);

#endif
