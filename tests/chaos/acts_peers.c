#include "acts.h"

bool chaos_act_peers(const struct chaos_options *options)
{
  (void)options;
  return true;
}

bool chaos_act_sessions(const struct chaos_options *options)
{
  (void)options;
  return true;
}
