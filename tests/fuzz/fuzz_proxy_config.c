/* Any bytes as the proxy's file of settings: no crash, and what is accepted lies within bounds. */
#include <assert.h>
#include <string.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct weir_conf_issues issues;
  static struct weir_proxy_config config;

  issues = (struct weir_conf_issues){0};
  config = (struct weir_proxy_config){.coordinator = NULL};
  weir_proxy_config_parse(&config, (const char *)data, size, &issues);
  assert(config.provider_count <= WEIR_PROXY_PROVIDERS_MAX);
  for (size_t i = 0; i < config.provider_count; i++) {
    const struct weir_proxy_provider *p = &config.providers[i];

    assert(p->kind > 0 && p->kind < WEIR_PROVIDER_MAX && config.mounts[i].name == p->name);
    assert(memchr(p->name, '\0', sizeof(p->name)) && p->base_url[0] == 'h');
    for (size_t k = 0; k < i; k++)
      assert(strcmp(p->name, config.providers[k].name) != 0);
  }
  assert(config.outage < WEIR_OUTAGE_MAX && config.retries_max <= 100);
  assert(config.body_mib_max <= 1024 && config.connections_max <= 65536);
  assert(memchr(config.host, '\0', sizeof(config.host)));
  weir_proxy_config_fini(&config);
  return 0;
}
