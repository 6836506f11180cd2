/* What leases ahead of need would bring and cost where writings are reported: calls at random, of
 * one instance, against a ledger with a short bucket, with a few leases held ahead of them, and as
 * many by others that do not call. Every count is deterministic; docs/ARCHITECTURE.md has them. */
#include "ledger_fixture.h"

#include <stdio.h>

#include <weir/rng.h>

#define RPM       1200 /* 20 a second; the bucket is of 60, and fills up in 3 s */
#define RUN       (5 * MINUTE)
#define ROUND     (2 * MS) /* a round trip to the coordinator */
#define HELD_MAX  64
#define QUEUE_MAX 16384

struct wallet {
  struct lease held[HELD_MAX]; /* oldest first */
  uint32_t count, max;
};

struct load {
  struct weir_rng rng;
  struct books *books;
  struct wallet own, others;
  weir_duration held_us; /* how long one is kept */
  weir_tstamp waiting[QUEUE_MAX];
  uint32_t first, count;
  uint64_t calls, at_once, unused, standing, slow;
  weir_duration wait_us;
};

static void settle(struct load *l, struct lease *lease, bool is_sent)
{
  struct weir_ledger_entry after = lease->entry;

  after.is_void = !is_sent;
  after.is_open = false;
  weir_ledger_narrow(&after, l->books->now.at + 100 * MS);
  books_settle(l->books, lease, &after);
}

static void started(struct load *l, weir_tstamp asked)
{
  const weir_duration wait = weir_time_sub(l->books->now.at, asked);

  l->calls++;
  l->wait_us += wait;
  l->slow += wait > 100 * MS;
}

static struct lease wallet_take(struct wallet *w)
{
  const struct lease lease = w->held[0];

  memmove(w->held, w->held + 1, --w->count * sizeof(lease));
  return lease;
}

static bool has_room(struct load *l)
{
  return books_earliest(l->books, cost_of(1, 0, 0), NULL) <= l->books->now.at;
}

static void give_back(struct load *l, struct wallet *w)
{
  while (w->count > 0 && w->held[0].entry.start + l->held_us <= l->books->now.at) {
    struct lease lease = wallet_take(w);

    settle(l, &lease, false);
    l->unused += w == &l->own;
  }
}

static void fill(struct load *l, struct wallet *w)
{
  while (l->count == 0 && w->count < w->max && has_room(l)) {
    w->held[w->count++] = books_take_at(l->books, cost_of(1, 0, 0), l->books->now.at);
    l->standing += w == &l->own;
  }
}

/* Gives back what is too old, serves who waits, and fills up out of what is left. */
static void look(struct load *l)
{
  give_back(l, &l->own);
  give_back(l, &l->others);
  while (l->count > 0 && l->waiting[l->first] + ROUND <= l->books->now.at && has_room(l)) {
    struct lease lease = books_take_at(l->books, cost_of(1, 0, 0), l->books->now.at);

    started(l, l->waiting[l->first]);
    settle(l, &lease, true);
    l->first = (l->first + 1) % QUEUE_MAX;
    l->count--;
  }
  fill(l, &l->own);
  fill(l, &l->others);
}

static void call(struct load *l)
{
  if (l->count == 0 && l->own.count > 0) {
    struct lease lease = wallet_take(&l->own);

    started(l, l->books->now.at);
    l->at_once++;
    settle(l, &lease, true);
    return;
  }
  assert_true(l->count < QUEUE_MAX);
  l->waiting[(l->first + l->count++) % QUEUE_MAX] = l->books->now.at;
}

/* Calls come in bunches of up to |bunch|, |load_pm| of the quota on the mean. */
static struct load run(uint32_t held_max, uint32_t others_max, uint32_t load_pm, uint32_t bunch)
{
  static struct load l;
  const struct weir_limit_config limit = limit_of(WEIR_DIMENSION_REQUESTS, MINUTE, RPM);
  const weir_duration gap =
      (weir_duration)MINUTE * 1000 / ((weir_duration)RPM * load_pm) * (bunch + 1) / 2;
  weir_tstamp next;

  memset(&l, 0, sizeof(l));
  l.books = books_open(&limit, 1, WEIR_PROFILE_BUCKET, HOUR);
  l.own.max = held_max;
  l.others.max = others_max;
  l.held_us = SECOND;
  weir_rng_init(&l.rng, 7);
  for (next = HOUR; l.books->now.at < HOUR + RUN; l.books->now.at += MS) {
    for (; next <= l.books->now.at; next += weir_rng_below(&l.rng, 2 * gap)) {
      for (uint64_t n = 1 + weir_rng_below(&l.rng, bunch); n > 0; n--)
        call(&l);
    }
    look(&l);
  }
  print_message(
      "%u held, %2u by others, load %2u %%, bunches of up to %2u: %5.1f %% at once, mean "
      "wait %7.2f ms, %5.2f %% wait over 100 ms, %4.1f %% of those held unused\n",
      held_max, others_max, load_pm / 10, bunch, 100.0 * (double)l.at_once / (double)l.calls,
      (double)l.wait_us / (double)l.calls / 1000.0, 100.0 * (double)l.slow / (double)l.calls,
      l.standing ? 100.0 * (double)l.unused / (double)l.standing : 0.0);
  return l;
}

static void even_calls_start_at_once_and_wait_for_nothing(void **state)
{
  const struct load without = run(0, 0, 500, 1), with = run(4, 4, 500, 1);

  (void)state;
  assert_int_equal(without.at_once, 0);
  assert_int_equal(with.at_once + 1, with.calls); /* all but the first */
  assert_int_equal(with.slow, 0);
}

static void bunches_wait_no_longer_for_what_they_hold_themselves(void **state)
{
  static const uint32_t loads[] = {500, 700, 900};

  (void)state;
  for (int i = 0; i < 3; i++) {
    const struct load without = run(0, 0, loads[i], 20), with = run(8, 0, loads[i], 20);

    assert_true(with.at_once * 100 > with.calls * 45);
    assert_true(with.slow <= without.slow);
    assert_true(with.wait_us < without.wait_us);
  }
}

static void what_others_hold_is_missed_by_bunches_as_large_as_the_bucket(void **state)
{
  static const uint32_t loads[] = {300, 500, 700};

  (void)state;
  for (int i = 0; i < 3; i++) {
    const struct load without = run(0, 0, loads[i], 50), few = run(4, 4, loads[i], 50);
    const struct load with = run(4, 16, loads[i], 50);

    assert_true(few.slow >= without.slow);
    assert_true(with.wait_us > without.wait_us);
    assert_true(with.slow > without.slow);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(even_calls_start_at_once_and_wait_for_nothing),
      cmocka_unit_test(bunches_wait_no_longer_for_what_they_hold_themselves),
      cmocka_unit_test(what_others_hold_is_missed_by_bunches_as_large_as_the_bucket),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
