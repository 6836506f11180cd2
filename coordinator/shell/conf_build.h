/* conf_build.h - what the files that turn a document into a struct weir_conf share.
 *
 *   conf.c        the file, and the keys at its top
 *   conf_pools.c  providers, pools, limits, names and routes
 */
#ifndef WEIR_CONF_BUILD_H
#define WEIR_CONF_BUILD_H

#include "conf_read.h"

/* In the order of the words of providers.*.kind. */
enum weir_conf_kind {
  WEIR_CONF_KIND_GEMINI = 0,
  WEIR_CONF_KIND_OPENAI,
  WEIR_CONF_KIND_ANTHROPIC,
  WEIR_CONF_KIND_VERTEX,
  WEIR_CONF_KIND_COMPATIBLE,
  WEIR_CONF_KIND_UNKNOWN /* its kind is missing or misspelt, which is reported where it stands */
};

struct weir_conf_provider {
  char name[WEIR_POOL_NAME_SIZE];
  enum weir_conf_kind kind;
};

/* What the walk needs beside the result. */
struct weir_conf_builder {
  struct weir_conf_reader reader;
  struct weir_conf *conf;
  uint32_t lines[WEIR_CONF_NAMES_MAX]; /* where each name was given */
  struct weir_conf_provider providers[WEIR_CONF_PROVIDERS_MAX];
};

/* weir_conf_read_pools reads providers, pools and routes of the section |top| into b->conf. */
void weir_conf_read_pools(struct weir_conf_builder *b, const struct weir_conf_section *top);

#endif
