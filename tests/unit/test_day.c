#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <weir/day.h>
#include <weir/rng.h>

#define HOUR WEIR_US_PER_HOUR
#define MIN  WEIR_US_PER_MIN
#define SEC  WEIR_US_PER_S
#define DAY  (24 * HOUR)
#define SKEW WEIR_CALENDAR_SKEW_US
#define HOLD WEIR_HOLD_MAX_US

/* A zone in which day |number| lasts from |number| * DAY on, plus |late| for the clock that is
 * ahead by that much. */
static struct weir_calendar_zone zone_at(uint64_t number, weir_duration doubt)
{
  return (struct weir_calendar_zone){.is_known = true,
                                     .number = number,
                                     .begins_at = number * DAY,
                                     .ends_at = (number + 1) * DAY,
                                     .begins_early_at = number * DAY - doubt,
                                     .ends_early_at = (number + 1) * DAY - doubt};
}

struct books {
  struct weir_day day;
  struct weir_calendar_zone zone;
  uint64_t number; /* of the next lease */
};

static void turn_to(struct books *b, uint64_t number)
{
  b->zone = zone_at(number, 0);
  weir_day_advance(&b->day, &b->zone, b->number);
  weir_day_check(&b->day);
}

static struct books books_at(uint64_t number)
{
  struct books b = {.number = 7};

  weir_day_init(&b.day, b.number);
  turn_to(&b, number);
  return b;
}

static bool take(struct books *b, weir_tstamp arrival_max, uint64_t cost)
{
  b->number++;
  return weir_day_add(&b->day, &b->zone, arrival_max, cost);
}

/* What noon's and midnight's leases of day 10 look like. */
#define NOON     (10 * DAY + 12 * HOUR)
#define MIDNIGHT (11 * DAY)

/* ---- days ---- */

static void what_is_used_today_is_free_after_the_turn(void **state)
{
  struct books b = books_at(10);

  (void)state;
  assert_false(take(&b, NOON, 40));
  assert_int_equal(b.day.used, 40);
  turn_to(&b, 11);
  assert_int_equal(b.day.used, 0);
  assert_int_equal(b.day.used_before, 40);
}

static void a_lease_that_may_arrive_after_midnight_counts_on_both_days(void **state)
{
  struct books b = books_at(10);

  (void)state;
  assert_false(take(&b, MIDNIGHT - SKEW - 1, 1));
  assert_true(take(&b, MIDNIGHT - SKEW, 20));
  assert_true(take(&b, MIDNIGHT + 9 * SEC, 300));
  assert_int_equal(b.day.used, 321);
  assert_int_equal(b.day.used_next, 320);
  turn_to(&b, 11);
  assert_int_equal(b.day.used, 320);
  turn_to(&b, 12);
  assert_int_equal(b.day.used, 0);
}

static void a_clock_ahead_makes_leases_of_its_new_day_count_on_both_days(void **state)
{
  struct books b = books_at(10);

  (void)state;
  b.zone = zone_at(10, HOUR);
  assert_false(take(&b, MIDNIGHT - HOUR - SKEW - 1, 1));
  assert_true(take(&b, MIDNIGHT - HOUR - SKEW, 20));
  turn_to(&b, 11);
  assert_int_equal(b.day.used, 20);
}

static void days_without_a_lease_leave_empty_books(void **state)
{
  struct books b = books_at(10);

  (void)state;
  take(&b, NOON, 40);
  take(&b, MIDNIGHT, 2);
  turn_to(&b, 12);
  assert_int_equal(b.day.used, 0);
  assert_int_equal(b.day.used_next, 0);
  assert_int_equal(b.day.used_before, 0);
}

static void a_jump_of_days_by_another_clock_frees_nothing(void **state)
{
  struct books b = books_at(10);

  (void)state;
  take(&b, NOON, 40);
  b.zone = zone_at(300, 0);
  b.zone.begins_early_at = NOON - 3 * HOUR;
  weir_day_advance(&b.day, &b.zone, b.number);
  assert_int_equal(b.day.number, 300);
  assert_int_equal(b.day.used, 40);
  turn_to(&b, 301);
  assert_int_equal(b.day.used, 0);
}

static void while_the_zone_is_unknown_all_may_be_of_either_day(void **state)
{
  struct books b = {.number = 7};
  bool is_both = true;

  (void)state;
  weir_day_init(&b.day, b.number);
  weir_day_advance(&b.day, NULL, b.number);
  assert_true(weir_day_add(&b.day, NULL, NOON, 40));
  weir_day_replace(&b.day, NULL, b.number++, &is_both, 40, NOON, 30);
  assert_true(is_both);
  turn_to(&b, 10); /* the day of NOON */
  assert_int_equal(b.day.used, 30);
  turn_to(&b, 11);
  assert_int_equal(b.day.used, 30);
  turn_to(&b, 12);
  assert_int_equal(b.day.used, 0);
}

/* ---- turns that are taken back ---- */

static void a_turn_taken_back_counts_both_days_and_a_straddler_once(void **state)
{
  struct books b = books_at(10);

  (void)state;
  take(&b, NOON, 100);
  take(&b, MIDNIGHT, 20);
  turn_to(&b, 11);
  take(&b, MIDNIGHT + HOUR, 3);
  turn_to(&b, 10);
  assert_int_equal(b.day.used, 123);
  turn_to(&b, 11); /* what was of day 11 still is */
  assert_int_equal(b.day.used, 23);
}

static void after_a_turn_taken_back_new_leases_count_on_both_days(void **state)
{
  struct books b = books_at(10);

  (void)state;
  turn_to(&b, 11);
  turn_to(&b, 10);
  assert_true(take(&b, NOON, 5));
  turn_to(&b, 11);
  assert_int_equal(b.day.used, 5);
  assert_false(take(&b, MIDNIGHT + HOUR, 1));
}

static void a_clock_that_swings_around_midnight_counts_nothing_twice(void **state)
{
  struct books b = books_at(10);

  (void)state;
  take(&b, NOON, 100);
  for (int i = 0; i < 50; i++) {
    turn_to(&b, 11);
    take(&b, MIDNIGHT + HOUR, 1);
    turn_to(&b, 10);
  }
  assert_int_equal(b.day.used, 150);
  turn_to(&b, 11);
  assert_int_equal(b.day.used, 50);
}

static void a_clock_set_back_by_days_frees_nothing_before_the_next_turn(void **state)
{
  struct books b = books_at(10);

  (void)state;
  take(&b, NOON, 100);
  turn_to(&b, 11);
  take(&b, MIDNIGHT + HOUR, 3);
  turn_to(&b, 4);
  assert_int_equal(b.day.used, 103);
}

/* ---- settling ---- */

static void settling_on_the_same_day_changes_that_day(void **state)
{
  struct books b = books_at(10);
  uint64_t number = b.number;
  bool is_both = take(&b, NOON, 40);

  (void)state;
  weir_day_replace(&b.day, &b.zone, number, &is_both, 40, NOON, 15);
  assert_int_equal(b.day.used, 15);
  weir_day_replace(&b.day, &b.zone, number, &is_both, 15, NOON, 70);
  assert_int_equal(b.day.used, 70);
}

static void settling_after_midnight_leaves_the_new_day_alone(void **state)
{
  struct books b = books_at(10);
  uint64_t number = b.number;
  bool is_both = take(&b, NOON, 40);

  (void)state;
  turn_to(&b, 11);
  take(&b, MIDNIGHT + HOUR, 3);
  weir_day_replace(&b.day, &b.zone, number, &is_both, 40, NOON, 15);
  assert_int_equal(b.day.used, 3);
  turn_to(&b, 10); /* yet it counts when the turn is taken back */
  assert_int_equal(b.day.used, 18);
}

static void a_straddler_that_came_before_midnight_frees_the_later_day(void **state)
{
  struct books b = books_at(10);
  uint64_t number = b.number;
  bool is_early = take(&b, MIDNIGHT + SEC, 40), is_late = take(&b, MIDNIGHT + SEC, 500);

  (void)state;
  weir_day_replace(&b.day, &b.zone, number, &is_early, 40, MIDNIGHT - 3 * SEC, 30);
  assert_false(is_early);
  assert_int_equal(b.day.used, 530);
  assert_int_equal(b.day.used_next, 500);
  turn_to(&b, 11);
  weir_day_replace(&b.day, &b.zone, number + 1, &is_late, 500, MIDNIGHT - 3 * SEC, 400);
  assert_false(is_late);
  assert_int_equal(b.day.used, 0);
  turn_to(&b, 10);
  assert_int_equal(b.day.used, 430);
}

static void a_straddler_that_may_have_come_after_midnight_is_settled_on_both_days(void **state)
{
  struct books b = books_at(10);
  uint64_t number = b.number;
  bool is_both = take(&b, MIDNIGHT + SEC, 40);

  (void)state;
  turn_to(&b, 11);
  weir_day_replace(&b.day, &b.zone, number, &is_both, 40, MIDNIGHT - SEC, 30);
  assert_true(is_both);
  assert_int_equal(b.day.used, 30);
  turn_to(&b, 10);
  assert_int_equal(b.day.used, 30);
}

static void a_lease_of_a_turn_taken_back_is_settled_on_both_days(void **state)
{
  struct books b = books_at(10);
  uint64_t number;
  bool is_both;

  (void)state;
  turn_to(&b, 11);
  number = b.number;
  is_both = take(&b, MIDNIGHT + HOUR, 40);
  assert_false(is_both);
  turn_to(&b, 10);
  weir_day_replace(&b.day, &b.zone, number, &is_both, 40, MIDNIGHT + HOUR, 30);
  assert_int_equal(b.day.used, 30);
  assert_int_equal(b.day.used_next, 30);
  turn_to(&b, 11);
  weir_day_replace(&b.day, &b.zone, number, &is_both, 30, MIDNIGHT + HOUR, 20);
  assert_int_equal(b.day.used, 20);
  turn_to(&b, 12);
  weir_day_replace(&b.day, &b.zone, number, &is_both, 20, MIDNIGHT + HOUR, 10);
  assert_int_equal(b.day.used, 0);
}

static void leases_of_the_day_before_yesterday_change_nothing(void **state)
{
  struct books b = books_at(10);
  uint64_t number = b.number;
  bool is_both = take(&b, MIDNIGHT, 40);
  struct weir_day before;

  (void)state;
  turn_to(&b, 11);
  turn_to(&b, 12);
  before = b.day;
  weir_day_replace(&b.day, &b.zone, number, &is_both, 40, MIDNIGHT, 1);
  assert_memory_equal(&before, &b.day, sizeof(before));
}

/* ---- when there is room ---- */

static void earliest_is_now_while_there_is_room_and_the_turn_when_there_is_none(void **state)
{
  struct books b = books_at(10);

  (void)state;
  take(&b, NOON, 40);
  assert_int_equal(weir_day_earliest(&b.day, &b.zone, 40, HOLD, NOON), NOON);
  assert_int_equal(weir_day_earliest(&b.day, &b.zone, 39, HOLD, NOON), MIDNIGHT + SKEW);
  assert_int_equal(weir_day_earliest(&b.day, &b.zone, 39, HOLD, MIDNIGHT + MIN), MIDNIGHT + MIN);
}

static void earliest_is_not_before_tomorrow_ends_when_tomorrow_is_full_too(void **state)
{
  struct books b = books_at(10);

  (void)state;
  take(&b, MIDNIGHT, 40);
  assert_int_equal(weir_day_earliest(&b.day, &b.zone, 40, HOLD, MIDNIGHT - SEC), MIDNIGHT - SEC);
  assert_int_equal(weir_day_earliest(&b.day, &b.zone, 39, HOLD, MIDNIGHT - SEC),
                   MIDNIGHT + SKEW + 23 * HOUR);
  assert_int_equal(weir_day_earliest(&b.day, &b.zone, 39, HOLD, MIDNIGHT + 2 * SKEW),
                   MIDNIGHT + SKEW + 23 * HOUR);
}

/* ---- against a list of leases ---- */

enum { LEASES_MAX = 4000 };

struct listed {
  uint64_t charge;
  bool is_both; /* as the books keep it */
  /* Which sums hold it. */
  bool is_in_used, is_in_next, is_in_before;
};

static void list_turn(struct listed *list, uint64_t count, bool is_back)
{
  for (uint64_t i = 0; i < count; i++) {
    struct listed was = list[i];

    list[i].is_in_used = is_back ? was.is_in_used || was.is_in_before : was.is_in_next;
    list[i].is_in_next = is_back && was.is_in_used;
    list[i].is_in_before = !is_back && was.is_in_used;
  }
}

static void list_compare(const struct listed *list, uint64_t count, const struct weir_day *day)
{
  uint64_t used = 0, next = 0, before = 0, both = 0;

  for (uint64_t i = 0; i < count; i++) {
    used += list[i].is_in_used ? list[i].charge : 0;
    next += list[i].is_in_next ? list[i].charge : 0;
    before += list[i].is_in_before ? list[i].charge : 0;
    both += list[i].is_in_used && list[i].is_in_before ? list[i].charge : 0;
  }
  assert_int_equal(used, day->used);
  assert_int_equal(next, day->used_next);
  assert_int_equal(before, day->used_before);
  assert_int_equal(both, day->used_both);
}

/* Where a lease stands in the list decides, not its number: the books must find the same. */
static void list_settle(struct listed *l, struct books *b, uint64_t number, bool is_narrow)
{
  const bool is_today = number >= b->day.number_today;
  const uint64_t midnight = is_today ? b->zone.ends_early_at : b->zone.begins_early_at;
  const bool is_pair = is_today ? l->is_in_next : l->is_in_used;
  uint64_t after = l->charge / 2;

  if (!l->is_in_used && !l->is_in_before)
    return;
  if (number < b->day.number_before)
    return;
  weir_day_replace(&b->day, &b->zone, number, &l->is_both, l->charge,
                   is_narrow ? midnight - SKEW - 1 : midnight, after);
  l->charge = after;
  assert_true(l->is_both ? is_pair : true);
  if (is_pair && !l->is_both && is_today)
    l->is_in_next = false;
  else if (is_pair && !l->is_both)
    l->is_in_used = false;
}

static void agrees_with_a_list_of_leases(void **state)
{
  static struct listed list[LEASES_MAX];

  (void)state;
  for (uint64_t seed = 1; seed <= 300; seed++) {
    struct books b = {.number = 0};
    struct weir_rng rng;

    weir_day_init(&b.day, 0);
    turn_to(&b, 1000);
    weir_rng_init(&rng, seed);
    for (int i = 0; i < 600; i++) {
      uint64_t choice = weir_rng_below(&rng, 20), number = b.zone.number;

      if (choice < 10) {
        bool is_near = weir_rng_below(&rng, 3) == 0;
        struct listed *l = &list[b.number];

        *l = (struct listed){.charge = 1 + weir_rng_below(&rng, 1000), .is_in_used = true};
        l->is_both = take(&b, b.zone.ends_at - (is_near ? 0 : HOUR), l->charge);
        l->is_in_next = l->is_both;
      } else if (choice < 17 && b.number > 0) {
        uint64_t back = weir_rng_below(&rng, b.number < 40 ? b.number : 40);
        uint64_t settled = b.number - 1 - back;

        list_settle(&list[settled], &b, settled, weir_rng_below(&rng, 2));
      } else if (choice < 19) {
        bool is_back = weir_rng_below(&rng, 2);

        turn_to(&b, is_back ? number - 1 : number + 1);
        list_turn(list, b.number, is_back);
      }
      weir_day_check(&b.day);
      list_compare(list, b.number, &b.day);
    }
  }
}

/* ---- against a provider with a clock of its own ---- */

enum { AMOUNT = 400, DAYS = 60, FIRST_DAY = 500, OPEN_MAX = 8 };

struct open {
  bool is_open, is_both;
  uint64_t number, reserve;
  weir_tstamp arrival, arrival_max;
};

struct world {
  struct weir_rng rng;
  struct weir_calendar calendar;
  struct weir_day day;
  weir_tstamp now;
  int64_t truth_us, wall_us; /* offsets: of the provider's clock but for its skew; of ours */
  int64_t skew_us;           /* of the provider's clock */
  uint64_t number;
  struct open open[OPEN_MAX];
  uint64_t seen[FIRST_DAY + DAYS + 2]; /* by the provider, in each day of its own */
};

static void world_tell(struct world *w)
{
  struct weir_wall wall = {.now_us = (uint64_t)((int64_t)w->now + w->wall_us), .zones_count = 1};

  wall.zones[0].number = wall.now_us / DAY;
  for (uint64_t i = 0; i < WEIR_ZONE_STARTS; i++)
    wall.zones[0].starts_us[i] = (wall.now_us / DAY + i) * DAY;
  weir_calendar_advance(&w->calendar, w->now);
  weir_calendar_clock(&w->calendar, &wall, w->now);
}

static const struct weir_calendar_zone *world_zone(struct world *w)
{
  const struct weir_calendar_zone *zone;

  weir_calendar_advance(&w->calendar, w->now);
  zone = weir_calendar_zone(&w->calendar, 0);
  if (zone)
    weir_day_advance(&w->day, zone, w->number);
  return zone;
}

static void world_settle(struct world *w, struct open *o)
{
  const struct weir_calendar_zone *zone = world_zone(w);
  const uint64_t actual = weir_rng_below(&w->rng, o->reserve + 1);
  const weir_tstamp late = o->arrival + weir_rng_below(&w->rng, SEC);

  w->seen[(uint64_t)((int64_t)o->arrival + w->truth_us + w->skew_us) / DAY] += actual;
  weir_day_replace(&w->day, zone, o->number, &o->is_both, o->reserve,
                   late < o->arrival_max ? late : o->arrival_max, actual);
  o->is_open = false;
}

/* Takes what fits now, as the ledger does. */
static void world_take(struct world *w, struct open *o)
{
  const struct weir_calendar_zone *zone = world_zone(w);
  const uint64_t cost = 1 + weir_rng_below(&w->rng, 40);

  if (!zone || weir_day_earliest(&w->day, zone, AMOUNT - cost, HOLD, w->now) > w->now)
    return;
  *o = (struct open){.is_open = true, .number = w->number, .reserve = cost};
  o->arrival = w->now + weir_rng_below(&w->rng, HOLD + 1);
  o->arrival_max = w->now + HOLD;
  o->is_both = weir_day_add(&w->day, zone, o->arrival_max, cost);
  w->number++;
}

/* Our clock is set to and fro by up to ten hours, but is right at least once a period. */
static void world_clock(struct world *w, weir_tstamp *right_at)
{
  const bool is_due = w->now - *right_at > 20 * HOUR;

  if (is_due || weir_rng_below(&w->rng, 200) == 0) {
    w->wall_us = w->truth_us;
    if (!is_due)
      w->wall_us += (int64_t)weir_rng_below(&w->rng, 20 * HOUR) - (int64_t)(10 * HOUR);
  }
  if (w->wall_us == w->truth_us)
    *right_at = w->now;
  world_tell(w);
}

static uint64_t world_run(struct world *w, uint64_t seed, bool is_stepped)
{
  weir_tstamp right_at = HOUR;
  uint64_t sum = 0;

  memset(w, 0, sizeof(*w));
  weir_rng_init(&w->rng, seed);
  weir_calendar_init(&w->calendar);
  weir_day_init(&w->day, 0);
  w->now = HOUR;
  w->truth_us = (int64_t)(FIRST_DAY * DAY + weir_rng_below(&w->rng, 10 * HOUR));
  w->wall_us = w->truth_us;
  w->skew_us = (int64_t)weir_rng_below(&w->rng, 2 * SKEW - 1) - (int64_t)SKEW + 1;
  world_tell(w);
  while (w->now < (DAYS - 1) * DAY) {
    struct open *o = &w->open[weir_rng_below(&w->rng, OPEN_MAX)];
    bool is_burst = weir_rng_below(&w->rng, 4) > 0;

    w->now += weir_rng_below(&w->rng, is_burst ? 5 * SEC : HOUR);
    if (is_stepped)
      world_clock(w, &right_at);
    else
      world_tell(w);
    if (o->is_open && w->now >= o->arrival)
      world_settle(w, o);
    else if (!o->is_open)
      world_take(w, o);
  }
  for (int i = 0; i < OPEN_MAX; i++) {
    w->now += HOLD;
    if (w->open[i].is_open)
      world_settle(w, &w->open[i]);
  }
  for (int i = 0; i < FIRST_DAY + DAYS + 2; i++) {
    assert_true(w->seen[i] <= AMOUNT);
    sum += w->seen[i];
  }
  return sum;
}

static void no_day_of_the_provider_sees_more_than_the_amount_however_our_clock_is_set(void **state)
{
  static struct world w;

  (void)state;
  for (uint64_t seed = 1; seed <= 200; seed++)
    assert_true(world_run(&w, seed, true) > 0);
}

static void a_clock_that_is_never_set_gives_every_day_its_whole_amount(void **state)
{
  static struct world w;

  (void)state;
  for (uint64_t seed = 1; seed <= 50; seed++)
    assert_true(world_run(&w, seed, false) > (uint64_t)(DAYS - 2) * AMOUNT * 95 / 100);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_used_today_is_free_after_the_turn),
      cmocka_unit_test(a_lease_that_may_arrive_after_midnight_counts_on_both_days),
      cmocka_unit_test(a_clock_ahead_makes_leases_of_its_new_day_count_on_both_days),
      cmocka_unit_test(days_without_a_lease_leave_empty_books),
      cmocka_unit_test(a_jump_of_days_by_another_clock_frees_nothing),
      cmocka_unit_test(while_the_zone_is_unknown_all_may_be_of_either_day),
      cmocka_unit_test(a_turn_taken_back_counts_both_days_and_a_straddler_once),
      cmocka_unit_test(after_a_turn_taken_back_new_leases_count_on_both_days),
      cmocka_unit_test(a_clock_that_swings_around_midnight_counts_nothing_twice),
      cmocka_unit_test(a_clock_set_back_by_days_frees_nothing_before_the_next_turn),
      cmocka_unit_test(settling_on_the_same_day_changes_that_day),
      cmocka_unit_test(settling_after_midnight_leaves_the_new_day_alone),
      cmocka_unit_test(a_straddler_that_came_before_midnight_frees_the_later_day),
      cmocka_unit_test(a_straddler_that_may_have_come_after_midnight_is_settled_on_both_days),
      cmocka_unit_test(a_lease_of_a_turn_taken_back_is_settled_on_both_days),
      cmocka_unit_test(leases_of_the_day_before_yesterday_change_nothing),
      cmocka_unit_test(earliest_is_now_while_there_is_room_and_the_turn_when_there_is_none),
      cmocka_unit_test(earliest_is_not_before_tomorrow_ends_when_tomorrow_is_full_too),
      cmocka_unit_test(agrees_with_a_list_of_leases),
      cmocka_unit_test(no_day_of_the_provider_sees_more_than_the_amount_however_our_clock_is_set),
      cmocka_unit_test(a_clock_that_is_never_set_gives_every_day_its_whole_amount),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
