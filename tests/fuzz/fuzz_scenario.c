/* Reads any bytes as a scenario of `weir simulate`: whatever they are, it is a scenario within all
 * bounds, or at least one error. */
#include <stdint.h>
#include <stdlib.h>

#include "scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct weir_scenario *s = NULL;
  static struct weir_conf_issues issues;
  const enum weir_err err = weir_scenario_parse((const char *)data, size, &s, &issues);

  if (err) {
    if (err != WEIR_ENOMEM && issues.errors == 0)
      abort();
    return 0;
  }
  if (issues.errors > 0 || s->schemes_count == 0 || s->methods_count == 0 || s->fleets_count == 0 ||
      s->sets_count == 0 || s->workloads_count == 0)
    abort();
  for (uint32_t i = 0; i < s->schemes_count; i++)
    if (s->schemes[i] == WEIR_SCHEME_NONE || s->schemes[i] >= WEIR_SCHEME_MAX)
      abort();
  for (uint32_t i = 0; i < s->sets_count; i++)
    if (s->sets[i].limits_count == 0 || s->sets[i].limits_count > WEIR_SCENARIO_LIMITS_MAX)
      abort();
  for (uint32_t i = 0; i < s->workloads_count; i++)
    if (s->workloads[i].streams_count == 0)
      abort();
  weir_scenario_free(s);
  return 0;
}
