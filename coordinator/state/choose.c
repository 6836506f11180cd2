#include <weir/choose.h>

uint32_t weir_choose(const struct weir_choose *choose)
{
  uint32_t best = WEIR_CHOOSE_NONE;

  if (choose->prefer < choose->count) {
    const struct weir_option *preferred = &choose->options[choose->prefer];

    if (preferred->is_usable && !preferred->is_closed && preferred->at <= choose->deadline)
      return choose->prefer;
  }
  for (uint32_t i = 0; i < choose->count; i++) {
    const struct weir_option *option = &choose->options[i];

    if (!option->is_usable || option->at > choose->soon || option->at > choose->deadline)
      continue;
    if (best == WEIR_CHOOSE_NONE || option->rank < choose->options[best].rank)
      best = i;
  }
  if (best != WEIR_CHOOSE_NONE)
    return best;
  best = weir_choose_soonest(choose);
  return best != WEIR_CHOOSE_NONE && choose->options[best].at <= choose->deadline
             ? best
             : WEIR_CHOOSE_NONE;
}

uint32_t weir_choose_soonest(const struct weir_choose *choose)
{
  uint32_t best = WEIR_CHOOSE_NONE;

  for (uint32_t i = 0; i < choose->count; i++) {
    const struct weir_option *option = &choose->options[i];

    if (option->is_usable && (best == WEIR_CHOOSE_NONE || option->at < choose->options[best].at))
      best = i;
  }
  return best;
}
