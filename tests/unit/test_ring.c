#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/ring.h>
#include <weir/rng.h>

#define WINDOW WEIR_US_PER_MIN
#define AHEAD  (10 * WEIR_US_PER_S)

static uint64_t slots[WEIR_RING_SLOTS * WEIR_SLOTS_TOGETHER];

static struct weir_ring ring_at(weir_tstamp now)
{
  struct weir_ring r;

  weir_ring_init(&r, slots, WINDOW, AHEAD, now);
  return r;
}

static void a_charge_stays_until_its_latest_arrival_plus_the_window(void **state)
{
  struct weir_ring r = ring_at(1000);
  const weir_tstamp arrival = 2 * WEIR_US_PER_S;

  (void)state;
  weir_ring_add(&r, arrival, 7);
  weir_ring_advance(&r, arrival + WINDOW);
  assert_int_equal(r.used, 7);
  weir_ring_advance(&r, arrival + WINDOW + r.slot_us);
  assert_int_equal(r.used, 0);
}

static void rounding_never_frees_early_at_any_offset_within_a_slot(void **state)
{
  struct weir_ring probe = ring_at(0);

  (void)state;
  for (weir_duration offset = 0; offset < probe.slot_us; offset += 997) {
    struct weir_ring r = ring_at(0);
    weir_tstamp expiry = offset + WINDOW;

    weir_ring_add(&r, offset, 1);
    assert_true(weir_ring_earliest(&r, 0, 0) > expiry);
    assert_true(weir_ring_earliest(&r, 0, 0) <= expiry + r.slot_us);
    weir_ring_advance(&r, expiry);
    assert_int_equal(r.used, 1);
  }
}

static void earliest_is_the_instant_at_which_enough_came_back(void **state)
{
  struct weir_ring r = ring_at(0);
  weir_tstamp at;

  (void)state;
  for (uint64_t i = 0; i < 100; i++)
    weir_ring_add(&r, i * 100 * WEIR_US_PER_MS, 1);
  at = weir_ring_earliest(&r, 40, 0);
  assert_true(at > WINDOW + 5900 * WEIR_US_PER_MS);
  weir_ring_advance(&r, at - 1);
  assert_true(r.used > 40);
  weir_ring_advance(&r, at);
  assert_true(r.used <= 40);
}

static void earliest_returns_its_start_when_there_is_room_at_once(void **state)
{
  struct weir_ring r = ring_at(0);

  (void)state;
  weir_ring_add(&r, 0, 10);
  assert_int_equal(weir_ring_earliest(&r, 10, 12345), 12345);
}

static void a_removed_charge_leaves_nothing_and_a_late_removal_changes_nothing(void **state)
{
  struct weir_ring r = ring_at(0);

  (void)state;
  weir_ring_add(&r, 5, 3);
  weir_ring_remove(&r, 5, 3);
  assert_int_equal(r.used, 0);
  weir_ring_add(&r, 5, 3);
  weir_ring_advance(&r, 3 * WINDOW);
  weir_ring_remove(&r, 5, 3);
  assert_int_equal(r.used, 0);
  weir_ring_check(&r);
}

static void a_jump_of_many_windows_leaves_an_empty_ring(void **state)
{
  struct weir_ring r = ring_at(0);

  (void)state;
  for (uint64_t i = 0; i < 1000; i++)
    weir_ring_add(&r, i * 9973, i);
  weir_ring_advance(&r, 1000 * WINDOW);
  assert_int_equal(r.used, 0);
  weir_ring_check(&r);
}

/* The search by blocks against a walk over every slot. */
static void earliest_agrees_with_a_slot_by_slot_walk(void **state)
{
  struct weir_ring r = ring_at(0);
  struct weir_rng rng;
  weir_tstamp now = 0;

  (void)state;
  weir_rng_init(&rng, 7);
  for (int round = 0; round < 3000; round++) {
    uint64_t room, left, number;

    now += weir_rng_below(&rng, 200 * WEIR_US_PER_MS);
    weir_ring_advance(&r, now);
    weir_ring_add(&r, now + weir_rng_below(&rng, AHEAD), weir_rng_below(&rng, 50));
    room = weir_rng_below(&rng, r.used + 10);
    left = r.used;
    for (number = r.head; left > room; number++)
      left -= *weir_slots_at(r.slots, number % WEIR_RING_SLOTS);
    assert_int_equal(weir_ring_earliest(&r, room, now),
                     number == r.head || number * r.slot_us < now ? now : number * r.slot_us);
  }
  weir_ring_check(&r);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_charge_stays_until_its_latest_arrival_plus_the_window),
      cmocka_unit_test(rounding_never_frees_early_at_any_offset_within_a_slot),
      cmocka_unit_test(earliest_is_the_instant_at_which_enough_came_back),
      cmocka_unit_test(earliest_returns_its_start_when_there_is_room_at_once),
      cmocka_unit_test(a_removed_charge_leaves_nothing_and_a_late_removal_changes_nothing),
      cmocka_unit_test(a_jump_of_many_windows_leaves_an_empty_ring),
      cmocka_unit_test(earliest_agrees_with_a_slot_by_slot_walk),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
