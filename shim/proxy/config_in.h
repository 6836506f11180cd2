/* config_in.h - what config.c (the environment) and config_file.c (the file) share. */
#ifndef WEIR_PROXY_CONFIG_IN_H
#define WEIR_PROXY_CONFIG_IN_H

#include <weir/conf_key.h>

#include "config.h"

/* A setting: its name in the environment, and what it is called and may be in the file. */
struct weir_proxy_setting {
  const char *name;
  struct weir_conf_key key;
  size_t place; /* in struct weir_proxy_config; 0 for the addresses */
};

/* weir_proxy_settings returns the table and its length. Static storage. */
const struct weir_proxy_setting *weir_proxy_settings(size_t *ret_count);

/* weir_proxy_text_set copies |text| into the setting at |place|; false without memory. */
bool weir_proxy_text_set(char **place, const char *text);

/* weir_proxy_listen_set reads "HOST:PORT" and "unix:PATH", separated by commas. False when it is
 * not understood. */
bool weir_proxy_listen_set(struct weir_proxy_config *c, const char *text);

/* weir_proxy_word_set takes word number |index| of the key's range. */
void weir_proxy_word_set(struct weir_proxy_config *c, const struct weir_proxy_setting *setting,
                         size_t index);

/* weir_proxy_provider_set adds a provider or changes the one of that name: |kind| 0, |url| NULL and
 * |keys| NULL leave what it has; a new one without a kind has that of its name, or else is
 * compatible. All texts are |*_size| bytes. NULL, or what is wrong. */
const char *weir_proxy_provider_set(struct weir_proxy_config *c, const char *name, size_t name_size,
                                    enum weir_provider_kind kind, const char *url, size_t url_size,
                                    const char *keys);

#endif
