/* batch_options.h - the command line of `weir batch`. */
#ifndef WEIR_BATCH_OPTIONS_H
#define WEIR_BATCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "batch_work.h"
#include "cli.h"

/* Strings are those of argv. */
struct weir_batch_options {
  const char *input, *output, *base_url, *key_env, *keys, *endpoint;
  const char *call_log; /* NULL: none */
  const char *tenant;   /* NULL: nobody in particular */
  uint64_t parallel, retries, max_wait_ms, timeout_ms, grace_ms;
  bool is_in_order, retries_failed, skips_bad, is_quiet, is_json;
  enum weir_class work_class;
  struct weir_batch_target target; /* refers to |provider| */
  char provider[32];
};

extern const struct weir_cli_option weir_batch_option_table[];

/* weir_batch_options_parse fills |ret_options|; WEIR_CLI_USAGE, having said why, when the command
 * line is wrong. |ret_options| must not move afterwards. */
int weir_batch_options_parse(struct weir_batch_options *ret_options, int argc, char **argv);

#endif
