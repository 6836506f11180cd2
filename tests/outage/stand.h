/* stand.h - the processes of a drill: the simulated provider and a coordinator, in a folder of
 * their own, and what the provider is told and asked.
 *
 * Functions that can fail say why on standard error and return false. Blocking: those that wait
 * for a part to be ready, for at most 10 s, and requests, for at most 10 s.
 */
#ifndef WEIR_OUTAGE_STAND_H
#define WEIR_OUTAGE_STAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../demo/child.h"
#include "judge.h"

#define OUTAGE_KEY            "drill" /* the simulated provider takes any */
#define OUTAGE_MODEL          "gemini-2.5-flash"
#define OUTAGE_MODEL_FALLBACK "gemini-2.5-flash-lite"

struct outage_stand {
  const char *programs; /* folder of the programs */
  char folder[64], endpoint[96], base_url[64];
  struct demo_child upstream, coordinator;
  bool is_upstream_ready, is_coordinator_ready;
  const char *limits; /* of the first model, as the provider is told: "rpm=12000,rpd=900" */
  uint64_t latency_min_ms, latency_max_ms, log_entries;
  uint64_t window_ms;    /* of the provider's "minute"; 0: a minute */
  const char *day_reset; /* when its days begin, "HH:MM" of UTC; NULL: its default */
  const char *config;    /* of the coordinator, but for listen, state and log */
  const char *listen;    /* its endpoint; NULL: a socket in the folder */
  const char
      *memory; /* "store: sqlite:", before the path of what it remembers in; NULL: "state: " */
  const char *memory_folder;  /* where that file is; NULL: in the folder */
  const char *const *wrapper; /* a command, NULL at its end, that becomes the coordinator given its
                                 path and arguments; NULL: none */
  /* Lines that it logs, or the merged output of the wrapper; NULL: errors and breakers are shown.
   */
  demo_line_handler *on_line;
  void *on_line_context;
};

/* outage_stand_start starts both; the coordinator only with a |config|. */
bool outage_stand_start(struct outage_stand *stand);

/* outage_stand_coordinator_start gives it its next life, by the configuration as it is now;
 * outage_stand_coordinator_end ends this one by |signal|. What it logged is read first and last.
 */
bool outage_stand_coordinator_start(struct outage_stand *stand);
void outage_stand_coordinator_end(struct outage_stand *stand, int signal);

/* outage_stand_stop ends them and removes the folder with its files. */
void outage_stand_stop(struct outage_stand *stand);

/* outage_folder_remove removes a folder and the files in it; nothing when it is not there. */
void outage_folder_remove(const char *folder);

/* outage_stand_script posts |json| to the provider's script. */
bool outage_stand_script(const struct outage_stand *stand, const char *json);

/* outage_stand_log reads the provider's log, with its instants moved to CLOCK_MONOTONIC; requests
 * of |foreign_tokens| tokens are somebody else's. *ret_requests is the caller's, to be freed by
 * free(). */
bool outage_stand_log(const struct outage_stand *stand, uint64_t foreign_tokens,
                      struct outage_request **ret_requests, size_t *ret_count);

#endif
