/* Any bytes as a configuration file: no crash, and what is accepted holds what config.h demands. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <weir/conf.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct weir_conf *conf)
{
  const struct weir_coord_config *c = &conf->coord;
  assert(c->pools_count >= 1 && c->pools_count <= conf->bounds.pools_max);
  assert(c->names_count >= c->pools_count && c->names_count <= conf->bounds.names_max);
  assert(c->session_ttl_us > c->heartbeat_us && c->asks_max >= 1);
  assert(conf->listen_count >= 1 && conf->state[0] != '\0');
  for (uint32_t i = 0; i < c->pools_count; i++) {
    const struct weir_pool_config *pool = &c->pools[i];
    assert(pool->name[0] != '\0' && memchr(pool->name, '\0', sizeof pool->name) != NULL);
    assert(pool->ttl_us > 0 && pool->ttl_us + pool->jitter_us <= WEIR_HOLD_MAX_US);
    assert(pool->batch_floor_pm <= WEIR_FLOOR_MAX_PM);
    assert(pool->limits_count >= 1 && pool->limits_count <= WEIR_LIMITS_MAX);
    for (uint32_t k = 0; k < pool->limits_count; k++) {
      const struct weir_limit_config *limit = &pool->limits[k];
      assert(limit->dimension >= 1 && limit->dimension < WEIR_DIMENSION_MAX);
      assert(limit->window_us >= WEIR_WINDOW_MIN_US && limit->window_us <= WEIR_WINDOW_MAX_US);
      assert(limit->amount >= 1 && limit->amount <= WEIR_LIMIT_MAX);
    }
  }
  for (uint32_t i = 0; i < c->names_count; i++) {
    assert(c->names[i].pool < c->pools_count && c->names[i].model[0] != '\0');
    assert(memchr(c->names[i].name, '\0', WEIR_NAME_SIZE) != NULL);
    assert(memchr(c->names[i].model, '\0', WEIR_NAME_SIZE) != NULL);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct weir_conf_issues issues;
  struct weir_conf *conf = NULL;
  enum weir_err err = weir_conf_parse(data, size, &conf, &issues);
  assert((err == WEIR_OK) == (issues.errors == 0 && conf != NULL));
  for (uint32_t i = 0; i < issues.count; i++) {
    char line[WEIR_CONF_LINE_SIZE];
    weir_conf_issue_format(&issues.items[i], "f", line, sizeof line);
    assert(strchr(line, '\n') == NULL);
  }
  if (conf != NULL)
    check(conf);
  weir_conf_free(conf);
  return 0;
}
