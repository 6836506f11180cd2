#include <weir/trail.h>

#include <assert.h>
#include <string.h>

#include <weir/wide.h>

/* Slots beside those of two windows and what lies ahead: the one at hand, and rounding. */
#define SPARE 4

static uint64_t *slot_of(const struct weir_trail *t, uint64_t number)
{
  return weir_slots_at(t->slots, number % WEIR_TRAIL_SLOTS);
}

static weir_tstamp end_of(const struct weir_trail *t, uint64_t number)
{
  return (number + 1) * t->slot_us;
}

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
  return (a + b - 1) / b;
}

/* As many slots a window as fit, so that rounding costs the least. */
static void slots_divide(struct weir_trail *t, weir_duration window_us, weir_duration ahead_us)
{
  uint64_t n = (WEIR_TRAIL_SLOTS - SPARE) / 2;

  while (n > 1 && 2 * n + ceil_div(ahead_us, ceil_div(window_us, n)) > WEIR_TRAIL_SLOTS - SPARE)
    n--;
  t->window_slots = n;
  t->slot_us = ceil_div(window_us, n);
}

/* The oldest slot that a question at |now| may ask for. */
static uint64_t oldest_at(const struct weir_trail *t, weir_tstamp now)
{
  const uint64_t number = now / t->slot_us, kept = 2 * t->window_slots + 1;

  return number > kept ? number - kept : 0;
}

/* The end of the slot at hand: then another one becomes the oldest. */
static weir_tstamp turn_of(const struct weir_trail *t, weir_tstamp now)
{
  return (now / t->slot_us + 1) * t->slot_us;
}

void weir_trail_init(struct weir_trail *t, uint64_t *slots, weir_duration window_us,
                     weir_duration ahead_us, weir_tstamp now)
{
  assert(window_us > 0);
  memset(t, 0, sizeof(*t));
  weir_slots_clear(slots, WEIR_TRAIL_SLOTS);
  t->window_us = window_us;
  slots_divide(t, window_us, ahead_us);
  t->slots = slots;
  t->head = oldest_at(t, now);
  t->turn_at = turn_of(t, now);
}

void weir_trail_advance(struct weir_trail *t, weir_tstamp now)
{
  uint64_t head;

  if (now < t->turn_at)
    return;
  t->turn_at = turn_of(t, now);
  head = oldest_at(t, now);
  if (head <= t->head)
    return;
  if (t->total > 0 && head - t->head >= WEIR_TRAIL_SLOTS) {
    weir_slots_clear(t->slots, WEIR_TRAIL_SLOTS);
    t->total = 0;
  }
  for (; t->total > 0 && t->head < head; t->head++) {
    t->total -= *slot_of(t, t->head);
    *slot_of(t, t->head) = 0;
  }
  t->head = head;
}

void weir_trail_add(struct weir_trail *t, weir_tstamp arrival_max, uint64_t cost)
{
  const uint64_t number = arrival_max / t->slot_us;

  if (number < t->head)
    return;
  assert(number - t->head < WEIR_TRAIL_SLOTS);
  *slot_of(t, number) += cost;
  t->total += cost;
  if (number > t->newest)
    t->newest = number;
}

void weir_trail_remove(struct weir_trail *t, weir_tstamp arrival_max, uint64_t cost)
{
  const uint64_t number = arrival_max / t->slot_us;

  if (number < t->head)
    return;
  assert(*slot_of(t, number) >= cost);
  *slot_of(t, number) -= cost;
  t->total -= cost;
}

/* Newest first. What is younger than a slot's end counts in full; every deficit takes its time to
 * be refilled from that end on. Once everything together would be refilled, older ends ask less,
 * and after a window, when more than its amount was charged, they ask nothing. */
weir_tstamp weir_trail_bucket(const struct weir_trail *t, uint64_t cost, uint64_t burst,
                              uint64_t amount, weir_tstamp at)
{
  const weir_duration window = t->window_slots * t->slot_us;
  const weir_tstamp oldest = weir_time_sub(at, window);
  uint64_t sum = 0;
  weir_tstamp earliest = at;

  assert(amount > 0 && cost <= burst);
  if (t->total + cost <= burst)
    return at;
  for (uint64_t k = t->newest; sum < t->total && end_of(t, k) > oldest; k--) {
    const uint64_t held = *slot_of(t, k);
    weir_wide refill_us;
    weir_tstamp refilled;

    if (held == 0)
      continue;
    sum += held;
    if (sum + cost <= burst)
      continue;
    if (end_of(t, k) <= earliest && weir_wide_mul(sum + cost - burst, t->window_us) <=
                                        weir_wide_mul(earliest - end_of(t, k), amount))
      continue;
    refill_us = (weir_wide_mul(sum + cost - burst, t->window_us) + amount - 1) / amount;
    refilled = weir_time_add(end_of(t, k), weir_wide_clamp(refill_us, window));
    if (refilled > earliest)
      earliest = refilled;
  }
  return earliest;
}

/* What slot |number| holds; nothing where none is kept. */
static uint64_t held_by(const struct weir_trail *t, uint64_t number)
{
  return number >= t->head && number <= t->newest ? *slot_of(t, number) : 0;
}

/* A slot stands at its end, so the ages of slots are a whole window of slots apart: the greatest
 * weight of all phases is met when the age of the counter's window is that of a slot. The first
 * slot asked for ends after |at|, so that what is younger weighs in full. */
bool weir_trail_counter(const struct weir_trail *t, uint64_t cost, uint64_t amount, weir_tstamp at)
{
  const weir_duration window = t->window_slots * t->slot_us;
  const uint64_t n = t->window_slots, present = at / t->slot_us;
  const uint64_t first = t->newest > present ? t->newest : present;
  uint64_t cur = cost, prev = 0;

  if (t->total + cost <= amount)
    return true;
  for (uint64_t i = 0; i < n && i <= first; i++)
    prev += held_by(t, first - i);
  for (uint64_t i = 0; i <= first; i++) {
    const uint64_t k = first - i;
    const weir_duration age = weir_time_sub(at, end_of(t, k));

    if (age >= window || k + n < t->head)
      break;
    cur += held_by(t, k);
    prev -= held_by(t, k);
    if (k >= n)
      prev += held_by(t, k - n);
    if (cur > amount || weir_wide_mul(prev, window - age) > weir_wide_mul(amount - cur, window))
      return false;
  }
  return true;
}

/* A window that ends within a slot reaches into one more. */
uint64_t weir_trail_peak(const struct weir_trail *t, weir_tstamp from)
{
  const uint64_t n = t->window_slots, first = from / t->slot_us;
  uint64_t sum = 0, peak;

  if (t->head > 0 && first < t->head + n)
    return UINT64_MAX;
  for (uint64_t i = 0; i <= n && i <= first; i++)
    sum += held_by(t, first - i);
  peak = sum;
  for (uint64_t k = first + 1; k <= t->newest; k++) {
    sum += held_by(t, k);
    if (k > n)
      sum -= held_by(t, k - n - 1);
    if (sum > peak)
      peak = sum;
  }
  return peak;
}

uint64_t weir_trail_mean(const struct weir_trail *t, weir_tstamp until)
{
  const uint64_t last = until / t->slot_us;
  uint64_t sum = 0;

  for (uint64_t i = 0; i < 2 * t->window_slots && i <= last; i++)
    sum += held_by(t, last - i);
  return sum / 2;
}

void weir_trail_check(const struct weir_trail *t)
{
  uint64_t total = 0;

  for (uint64_t i = 0; i < WEIR_TRAIL_SLOTS; i++)
    total += *slot_of(t, i);
  assert(total == t->total);
}
