/* draw.h - random numbers of the distributions that loads and providers have.
 *
 * All follow from a seed; the last digits of those that need a logarithm may differ between
 * libraries of mathematics.
 */
#ifndef WEIR_SIM_DRAW_H
#define WEIR_SIM_DRAW_H

#include <stdint.h>

#include <weir/rng.h>

/* weir_draw_unit returns a number in [0, 1). */
double weir_draw_unit(struct weir_rng *rng);

/* weir_draw_between returns a whole number in [low, high]. */
uint64_t weir_draw_between(struct weir_rng *rng, uint64_t low, uint64_t high);

/* weir_draw_exponential returns the time to the next event of a Poisson process. */
double weir_draw_exponential(struct weir_rng *rng, double mean);

/* weir_draw_lognormal returns |median| times e to the power of a normal number of spread |sigma|.
 */
double weir_draw_lognormal(struct weir_rng *rng, double median, double sigma);

/* weir_draw_pareto returns a number in [low, high) of a bounded Pareto distribution. */
double weir_draw_pareto(struct weir_rng *rng, double alpha, double low, double high);

/* weir_pareto_mean returns the mean of that distribution. */
double weir_pareto_mean(double alpha, double low, double high);

#endif
