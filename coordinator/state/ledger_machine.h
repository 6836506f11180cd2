/* ledger_machine.h - the inside of a ledger, shared by ledger.c (the books), gates.c (when a lease
 * fits) and learn.c (what upstream says). */
#ifndef WEIR_LEDGER_MACHINE_H
#define WEIR_LEDGER_MACHINE_H

#include <weir/ledger.h>

/* A ring's charges lie at most one horizon ahead and arrive one hold later. */
#define WEIR_LEDGER_AHEAD_US (WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US + WEIR_LEDGER_HORIZON_US)

/* What a cost weighs, by dimension. */
struct weir_weights {
  uint64_t of[WEIR_DIMENSION_MAX];
};

static inline struct weir_weights weir_weights_of(const struct weir_cost *cost)
{
  return (struct weir_weights){
      .of = {[WEIR_DIMENSION_REQUESTS] = cost->requests,
             [WEIR_DIMENSION_INPUT_TOKENS] = cost->input_tokens,
             [WEIR_DIMENSION_OUTPUT_TOKENS] = cost->output_tokens,
             [WEIR_DIMENSION_TOTAL_TOKENS] = cost->input_tokens + cost->output_tokens,
             [WEIR_DIMENSION_SPEND] = cost->spend,
             [WEIR_DIMENSION_IN_FLIGHT] = cost->requests}};
}

/* weir_limit_charge returns what |entry|, whose cost weighs |weights|, is charged with in |limit|;
 * calls in flight are not. */
static inline uint64_t weir_limit_charge(const struct weir_ledger_limit *limit,
                                         const struct weir_ledger_entry *entry,
                                         const struct weir_weights *weights)
{
  const uint64_t cost = weights->of[limit->dimension];
  uint64_t reserve;

  if (entry->is_void || !limit->is_windowed)
    return 0;
  if (!limit->is_prepaid)
    return cost;
  reserve = weir_ledger_cost_of(&entry->reserve, limit->config.dimension);
  return cost > reserve ? cost : reserve;
}

/* weir_limit_sigma returns the error that |charge| of |entry|, as it was asked for, may have. */
static inline uint64_t weir_limit_sigma(const struct weir_ledger_limit *limit,
                                        const struct weir_ledger_entry *entry, uint64_t charge)
{
  return limit->is_estimated ? weir_wide_scale(charge, entry->error_pm, 1000, WEIR_LIMIT_MAX) : 0;
}

/* weir_limit_zone returns the calendar's zone of a limit by the day, or NULL: then, or for other
 * limits, the ring decides. */
static inline const struct weir_calendar_zone *
weir_limit_zone(const struct weir_ledger_limit *limit, const struct weir_calendar *calendar)
{
  return limit->is_day ? weir_calendar_zone(calendar, limit->config.zone) : NULL;
}

/* weir_ledger_sub returns the sub-window that limit |limit| is enforced in, in |ret_us|, and what
 * fits into one; 0 when it is not. */
uint64_t weir_ledger_sub(const struct weir_ledger *l, const struct weir_ledger_limit *limit,
                         weir_duration *ret_us);

/* weir_ledger_sub_open begins the ring of sub-windows, for leases that are held up to |hold_us|.
 * They are closed until what was sent before can no longer be in one; |is_new|: nothing was. A ring
 * that serves already goes on. */
void weir_ledger_sub_open(struct weir_ledger *l, weir_duration hold_us, bool is_new,
                          const struct weir_instant *now);

/* weir_ledger_refresh lets time pass: slots come back, cut limits grow. */
void weir_ledger_refresh(struct weir_ledger *l, const struct weir_instant *now);

/* weir_learn_refresh is its part in learn.c. */
void weir_learn_refresh(struct weir_ledger *l, weir_tstamp now);

#endif
