/* ledger_machine.h - the inside of a ledger, shared by ledger.c (the books), gates.c (when a lease
 * fits), learn.c (what upstream says) and kept.c (what outlives it). */
#ifndef WEIR_LEDGER_MACHINE_H
#define WEIR_LEDGER_MACHINE_H

#include <weir/ledger.h>

/* A ring's charges lie at most one horizon ahead and arrive one hold later. */
#define WEIR_LEDGER_AHEAD_US (WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US + WEIR_LEDGER_HORIZON_US)

/* weir_limit_is_burst_kept tells whether only its burst has |config| be smoothed: then it is
 * another limit than without, whose charges are kept by the window only. */
static inline bool weir_limit_is_burst_kept(const struct weir_limit_config *config)
{
  return config->burst > 0 && config->window_us > WEIR_LEDGER_SMOOTH_MAX_US && !config->is_day;
}

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

/* weir_limit_head_room returns the space that errors of one |sigma| may need. */
static inline uint64_t weir_limit_head_room(uint64_t sigma)
{
  return weir_wide_clamp(weir_wide_mul(sigma, WEIR_LEDGER_SIGMAS), WEIR_LIMIT_MAX);
}

/* weir_limit_zone returns the calendar's zone of a limit by the day, or NULL: then, or for other
 * limits, the ring decides. */
static inline const struct weir_calendar_zone *
weir_limit_zone(const struct weir_ledger_limit *limit, const struct weir_calendar *calendar)
{
  return limit->is_day ? weir_calendar_zone(calendar, limit->config.zone) : NULL;
}

/* weir_limit_has_gates tells whether a limit of |config| has gates beside its window. */
bool weir_limit_has_gates(const struct weir_limit_config *config);

/* weir_limit_bucket returns what the bucket of a limit of |config| holds when |amount| of it is
 * served. */
uint64_t weir_limit_bucket(const struct weir_limit_config *config, uint64_t amount);

/* weir_limit_sub returns the sub-window that a limit of |config| is enforced in, where they last
 * |sub_us|, in |ret_us|, and what fits into one when |amount| is served; 0 when it is not. */
uint64_t weir_limit_sub(const struct weir_limit_config *config, weir_duration sub_us,
                        uint64_t amount, weir_duration *ret_us);

/* weir_ledger_sub returns the sub-window that limit |limit| is enforced in, in |ret_us|, and what
 * fits into one; 0 when it is not. */
uint64_t weir_ledger_sub(const struct weir_ledger *l, const struct weir_ledger_limit *limit,
                         weir_duration *ret_us);

/* weir_ledger_sub_open begins the ring of sub-windows, for leases that are held up to |hold_us|.
 * They are closed until what was sent before can no longer be in one; |is_new|: nothing was. A ring
 * that serves already goes on. */
void weir_ledger_sub_open(struct weir_ledger *l, weir_duration hold_us, bool is_new,
                          const struct weir_instant *now);

/* weir_limit_close closes |limit| until leases that started by |until| can no longer be in its
 * window, however long they were held. */
void weir_limit_close(struct weir_ledger_limit *limit, weir_tstamp until);

/* weir_limit_reopen forgets that upstream said that |limit| is used up, because it has another
 * amount now. Of windows that are closed for other reasons that says nothing. */
static inline void weir_limit_reopen(struct weir_ledger_limit *limit)
{
  if (limit->config.window_us > WEIR_LEDGER_ASSUME_MAX)
    limit->closed_until = 0;
}

static inline void weir_ledger_urge(struct weir_ledger *l, enum weir_urge urge)
{
  if (urge > l->urge)
    l->urge = urge;
}

/* weir_limit_spend takes |charge| from the durable reserve of |limit|. */
static inline void weir_limit_spend(struct weir_ledger *l, struct weir_ledger_limit *limit,
                                    uint64_t charge)
{
  limit->left -= charge < limit->left ? charge : limit->left;
  if (charge > limit->reserve.largest)
    limit->reserve.largest = charge;
  if (limit->left <= limit->low && charge > 0)
    weir_ledger_urge(l, WEIR_URGE_SOON);
}

/* weir_limit_respend follows a settle of a lease that was charged |was| and is charged |is|, with
 * |sigma| less to be wrong by; |landed| of its calls are no longer in flight. */
void weir_limit_respend(struct weir_ledger *l, struct weir_ledger_limit *limit, uint64_t was,
                        uint64_t is, uint64_t sigma, uint64_t landed);

/* weir_limit_ghosts gives back, when it is time, what a former life may have had in flight; returns
 * when, or WEIR_NEVER. */
weir_tstamp weir_limit_ghosts(struct weir_ledger_limit *limit, weir_tstamp now);

/* weir_limit_unsure charges what a former life may have used since its last record on the day that
 * it is, as soon as that is known. */
void weir_limit_unsure(struct weir_ledger_limit *limit, const struct weir_instant *now);

/* weir_ledger_pass lets time pass: slots come back, cut limits grow, days turn. */
void weir_ledger_pass(struct weir_ledger *l, const struct weir_instant *now);

/* weir_ledger_refresh does so once an instant. Within it the calendar alone may be told something.
 */
static inline void weir_ledger_refresh(struct weir_ledger *l, const struct weir_instant *now)
{
  if (l->refreshed_at != now->at || l->has_day)
    weir_ledger_pass(l, now);
}

/* weir_learn_refresh is its part in learn.c. */
void weir_learn_refresh(struct weir_ledger *l, weir_tstamp now);

#endif
