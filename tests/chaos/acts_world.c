#include "acts.h"

bool chaos_act_network(const struct chaos_options *options)
{
  (void)options;
  return true;
}

bool chaos_act_clock(const struct chaos_options *options)
{
  (void)options;
  return true;
}

bool chaos_act_disk(const struct chaos_options *options)
{
  (void)options;
  return true;
}
