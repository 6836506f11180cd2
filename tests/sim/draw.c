#include "draw.h"

#include <math.h>

#define TAU 6.28318530717958647692

double weir_draw_unit(struct weir_rng *rng)
{
  return (double)(weir_rng_next(rng) >> 11) * 0x1p-53;
}

uint64_t weir_draw_between(struct weir_rng *rng, uint64_t low, uint64_t high)
{
  return low + weir_rng_below(rng, high - low + 1);
}

double weir_draw_exponential(struct weir_rng *rng, double mean)
{
  return -mean * log1p(-weir_draw_unit(rng));
}

/* Box and Muller's transform; its second number is not kept, so that a draw is always two words. */
double weir_draw_lognormal(struct weir_rng *rng, double median, double sigma)
{
  const double radius = sqrt(-2 * log1p(-weir_draw_unit(rng)));
  const double angle = TAU * weir_draw_unit(rng);

  return median * exp(sigma * radius * cos(angle));
}

double weir_draw_pareto(struct weir_rng *rng, double alpha, double low, double high)
{
  const double a = pow(low, -alpha), b = pow(high, -alpha);

  return pow(a - weir_draw_unit(rng) * (a - b), -1 / alpha);
}

double weir_pareto_mean(double alpha, double low, double high)
{
  const double norm = alpha / (pow(low, -alpha) - pow(high, -alpha));

  if (fabs(alpha - 1) < 1e-9)
    return norm * log(high / low);
  return norm * (pow(high, 1 - alpha) - pow(low, 1 - alpha)) / (1 - alpha);
}
