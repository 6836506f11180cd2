/* ledger_machine.h - the inside of a ledger, shared by ledger.c (the books), gates.c (when a lease
 * fits) and learn.c (what upstream says). */
#ifndef WEIR_LEDGER_MACHINE_H
#define WEIR_LEDGER_MACHINE_H

#include <weir/ledger.h>

/* A ring's charges lie at most one horizon ahead and arrive one hold later. */
#define WEIR_LEDGER_AHEAD_US (WEIR_HOLD_MAX_US + WEIR_LEDGER_WIDEN_MAX_US + WEIR_LEDGER_HORIZON_US)

/* weir_limit_is_windowed tells whether |limit| is kept in its ring: all but calls in flight. */
bool weir_limit_is_windowed(const struct weir_ledger_limit *limit);

/* weir_limit_is_smoothable tells whether gates beside the window can apply: then it has a trail. */
bool weir_limit_is_smoothable(const struct weir_ledger_limit *limit);

/* weir_limit_charge returns what |entry| is charged with in |limit|; calls in flight are not. */
uint64_t weir_limit_charge(const struct weir_ledger_limit *limit,
                           const struct weir_ledger_entry *entry);

/* weir_limit_zone returns the calendar's zone of a limit by the day, or NULL: then, or for other
 * limits, the ring decides. */
const struct weir_calendar_zone *weir_limit_zone(const struct weir_ledger_limit *limit,
                                                 const struct weir_calendar *calendar);

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
