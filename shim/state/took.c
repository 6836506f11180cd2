#include <weir/took.h>

#define TOOK_MAX_US (WEIR_US_PER_HOUR * 24 * 7)

void weir_took_learn(struct weir_took *t, weir_duration took_us)
{
  const weir_duration took = took_us < TOOK_MAX_US ? took_us : TOOK_MAX_US;
  const weir_duration off = took > t->mean_us ? took - t->mean_us : t->mean_us - took;

  if (!t->is_known) {
    t->mean_us = took;
    t->deviation_us = took / 2;
  } else {
    t->deviation_us = t->deviation_us - t->deviation_us / 4 + off / 4;
    t->mean_us = t->mean_us - t->mean_us / 8 + took / 8;
  }
  t->is_known = true;
}

weir_duration weir_took_leave(const struct weir_took *t, weir_duration left_us)
{
  const weir_duration needed = t->mean_us + 2 * t->deviation_us;

  return needed < left_us / 2 ? needed : left_us / 2;
}
