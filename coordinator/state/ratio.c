#include <weir/ratio.h>

/* Sums lose 1 / KEEP of themselves with each call. */
#define KEEP 100

/* Fractions of a token: sums of small calls decay exactly enough. */
#define SCALE_BITS 8

static void error_learn(struct weir_ratio *r, uint64_t estimated, uint64_t used)
{
  const uint64_t expected =
      weir_wide_scale(estimated, r->used, r->estimated, estimated * WEIR_RATIO_FACTOR_MAX);
  const uint64_t error = used > expected ? used - expected : expected - used;

  r->squares += (weir_wide_mul(estimated, estimated) << SCALE_BITS) - r->squares / KEEP;
  r->errors += (weir_wide_mul(error, error) << SCALE_BITS) - r->errors / KEEP;
}

void weir_ratio_learn(struct weir_ratio *r, uint64_t estimated, uint64_t used)
{
  if (used > estimated * WEIR_RATIO_FACTOR_MAX)
    used = estimated * WEIR_RATIO_FACTOR_MAX;
  if (r->samples > 0) /* the first one is compared with nothing */
    error_learn(r, estimated, used);
  r->estimated += (estimated << SCALE_BITS) - r->estimated / KEEP;
  r->used += (used << SCALE_BITS) - r->used / KEEP;
  if (r->samples < WEIR_RATIO_SAMPLES_MIN)
    r->samples++;
}

uint64_t weir_ratio_pm(const struct weir_ratio *r)
{
  if (r->samples < WEIR_RATIO_SAMPLES_MIN)
    return 0;
  return weir_wide_clamp((weir_wide_mul(r->used, 1000) + r->estimated / 2) / r->estimated,
                         WEIR_RATIO_MAX_PM);
}

uint64_t weir_ratio_error_pm(const struct weir_ratio *r)
{
  if (r->samples < WEIR_RATIO_SAMPLES_MIN)
    return 0;
  return weir_wide_clamp(weir_wide_sqrt(r->errors * 1000000 / r->squares), WEIR_RATIO_MAX_PM);
}
