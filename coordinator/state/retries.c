#include <weir/retries.h>

#include <assert.h>
#include <string.h>

#define UNIT_US (WEIR_RETRIES_TRICKLE_US / WEIR_RETRIES_TOKEN) /* a thousandth of a token */

/* The sum of the slots as of |second|; it is remembered for the second at hand. */
static uint64_t earned_lately(const struct weir_retries *r, weir_tstamp now)
{
  const uint64_t second = now / WEIR_US_PER_S;
  uint64_t sum = 0;

  if (second == r->summed_second)
    return r->summed;

  for (int i = 0; i < WEIR_RETRIES_SLOTS; i++) {
    if (r->slots[i].number + WEIR_RETRIES_SLOTS > second)
      sum += r->slots[i].earned;
  }
  return sum;
}

static uint64_t bound(const struct weir_retries *r, weir_tstamp now)
{
  const uint64_t earned = earned_lately(r, now);

  return earned > WEIR_RETRIES_LEAST ? earned : WEIR_RETRIES_LEAST;
}

static void add(struct weir_retries *r, uint64_t amount, weir_tstamp now)
{
  const uint64_t most = bound(r, now);

  r->refreshed_at = now;
  r->balance = amount < most && r->balance < most - amount ? r->balance + amount : most;
}

/* Lets time pass: what trickles, and what is too much by now. */
static void refresh(struct weir_retries *r, weir_tstamp now)
{
  const uint64_t units = (now - r->trickled_at) / UNIT_US;

  r->summed = earned_lately(r, now);
  r->summed_second = now / WEIR_US_PER_S;
  r->trickled_at += units * UNIT_US;
  add(r, units, now);
}

void weir_retries_init(struct weir_retries *r, weir_tstamp now)
{
  memset(r, 0, sizeof(*r));
  r->balance = WEIR_RETRIES_LEAST;
  r->trickled_at = r->refreshed_at = now;
  r->summed_second = now / WEIR_US_PER_S;
}

void weir_retries_earn(struct weir_retries *r, uint32_t share_pm, weir_tstamp now)
{
  const uint64_t second = now / WEIR_US_PER_S;
  const uint64_t place = second % WEIR_RETRIES_SLOTS;

  refresh(r, now);
  if (r->slots[place].number != second) {
    r->slots[place].number = second;
    r->slots[place].earned = 0;
  }
  r->slots[place].earned += share_pm;
  r->summed += share_pm;
  add(r, share_pm, now);
}

void weir_retries_lose(struct weir_retries *r, uint32_t share_pm, weir_tstamp now)
{
  refresh(r, now);
  r->balance -= share_pm < r->balance ? share_pm : r->balance;
}

bool weir_retries_take(struct weir_retries *r, weir_tstamp now, weir_tstamp *ret_at)
{
  uint64_t missing;

  refresh(r, now);
  if (r->balance >= WEIR_RETRIES_TOKEN) {
    r->balance -= WEIR_RETRIES_TOKEN;
    return true;
  }
  /* While a token trickles, as much as in the last seconds is earned once more: they are as long.
   */
  missing = WEIR_RETRIES_TOKEN - r->balance;
  *ret_at =
      now + 1 + missing * WEIR_RETRIES_TRICKLE_US / (WEIR_RETRIES_TOKEN + earned_lately(r, now));
  return false;
}

void weir_retries_give(struct weir_retries *r, weir_tstamp now)
{
  refresh(r, now);
  add(r, WEIR_RETRIES_TOKEN, now);
}

void weir_retries_check(const struct weir_retries *r)
{
  struct weir_retries afresh = *r;

  afresh.summed_second = UINT64_MAX;
  assert(earned_lately(r, r->refreshed_at) == earned_lately(&afresh, r->refreshed_at));
  assert(r->balance <= bound(r, r->refreshed_at));
}
