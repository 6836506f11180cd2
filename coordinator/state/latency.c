#include <weir/latency.h>

/* A bucket at the low end is this wide: 2^UNIT_BITS microseconds. */
#define UNIT_BITS 6
/* Doublings have 2^SUB_BITS buckets. */
#define SUB_BITS 4
#define SUBS     (UINT64_C(1) << SUB_BITS)

#define UNITS_MAX ((UINT64_C(1) << 26) - 1)

/* The first SUBS buckets are one unit wide, as are those of the first doubling; from there on each
 * doubling's are twice as wide as those of the one before. */
static uint32_t bucket_of(weir_duration us)
{
  uint64_t units = us >> UNIT_BITS;
  int shift;

  if (units > UNITS_MAX)
    units = UNITS_MAX;
  if (units < SUBS)
    return (uint32_t)units;
  shift = 63 - __builtin_clzll(units) - SUB_BITS;
  return (uint32_t)((uint64_t)shift * SUBS + (units >> shift));
}

static weir_duration middle_of(uint32_t bucket)
{
  const uint64_t shift = bucket < 2 * SUBS ? 0 : bucket / SUBS - 1;
  const uint64_t units = bucket - shift * SUBS;

  return (2 * units + 1) << (shift + UNIT_BITS - 1);
}

/* What is left over of a bucket goes to the next, so that a thin tail does not vanish. */
static void halve(struct weir_latency *l)
{
  uint32_t rest = 0;

  l->count = 0;
  for (uint32_t i = 0; i < WEIR_LATENCY_BUCKETS; i++) {
    const uint32_t sum = l->buckets[i] + rest;

    l->buckets[i] = (uint16_t)(sum / 2);
    l->count += sum / 2;
    rest = sum % 2;
  }
}

void weir_latency_learn(struct weir_latency *l, weir_duration took_us)
{
  l->buckets[bucket_of(took_us)]++;
  if (++l->count == WEIR_LATENCY_KEEP)
    halve(l);
}

void weir_latency_merge(struct weir_latency *l, const struct weir_latency *other)
{
  for (uint32_t i = 0; i < WEIR_LATENCY_BUCKETS; i++)
    l->buckets[i] = (uint16_t)(l->buckets[i] + other->buckets[i]);
  l->count += other->count;
  while (l->count >= WEIR_LATENCY_KEEP)
    halve(l);
}

weir_duration weir_latency_quantile_us(const struct weir_latency *l, uint32_t pm)
{
  const uint64_t rank = ((uint64_t)l->count * pm + 999) / 1000;
  uint64_t seen = 0;

  for (uint32_t i = 0; i < WEIR_LATENCY_BUCKETS; i++) {
    seen += l->buckets[i];
    if (seen > 0 && seen >= rank)
      return middle_of(i);
  }
  return 0;
}
