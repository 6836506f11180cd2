#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weir/pq.h>
#include <weir/rng.h>

#define NODES 64

struct fixture {
  struct weir_pq q;
  struct weir_pq_node *heap[NODES];
  struct weir_pq_node nodes[NODES];
};

static void fixture_init(struct fixture *f, uint32_t capacity)
{
  *f = (struct fixture){.nodes = {{0}}};
  weir_pq_init(&f->q, f->heap, capacity);
}

static void set(struct fixture *f, uint32_t node, weir_tstamp at)
{
  assert_int_equal(weir_pq_set(&f->q, &f->nodes[node], at), WEIR_OK);
}

static void gives_equal_instants_back_in_the_order_of_their_arrival(void **state)
{
  struct fixture f;

  (void)state;
  fixture_init(&f, NODES);
  for (uint32_t i = 0; i < NODES; i++)
    set(&f, i, i % 2 ? 7 : 5);
  for (uint32_t i = 0; i < NODES; i++)
    assert_ptr_equal(weir_pq_due(&f.q, 10), &f.nodes[i < NODES / 2 ? 2 * i : 2 * i + 1 - NODES]);
  assert_null(weir_pq_first(&f.q));
}

static void counts_a_moved_node_as_newly_added(void **state)
{
  struct fixture f;

  (void)state;
  fixture_init(&f, NODES);
  set(&f, 0, 5);
  set(&f, 1, 5);
  set(&f, 0, 5);
  assert_ptr_equal(weir_pq_first(&f.q), &f.nodes[1]);
}

static void holds_back_what_is_not_due(void **state)
{
  struct fixture f;

  (void)state;
  fixture_init(&f, NODES);
  assert_true(weir_pq_wake(&f.q) == WEIR_NEVER);
  set(&f, 0, 100);
  assert_null(weir_pq_due(&f.q, 99));
  assert_true(weir_pq_wake(&f.q) == 100);
  assert_ptr_equal(weir_pq_due(&f.q, 100), &f.nodes[0]);
  assert_int_equal(f.nodes[0].pos, 0);
  assert_null(weir_pq_due(&f.q, WEIR_NEVER));
}

static void refuses_a_new_node_at_capacity_but_moves_old_ones(void **state)
{
  struct fixture f;

  (void)state;
  fixture_init(&f, 2);
  set(&f, 0, 1);
  set(&f, 1, 2);
  assert_int_equal(weir_pq_set(&f.q, &f.nodes[2], 0), WEIR_EFULL);
  assert_int_equal(f.nodes[2].pos, 0);
  set(&f, 0, 3);
  assert_ptr_equal(weir_pq_first(&f.q), &f.nodes[1]);
}

static void ignores_the_removal_of_a_node_that_is_in_no_heap(void **state)
{
  struct fixture f;

  (void)state;
  fixture_init(&f, NODES);
  set(&f, 0, 1);
  weir_pq_remove(&f.q, &f.nodes[1]);
  assert_int_equal(f.q.count, 1);
}

/* The node with the least (at, order) by looking at all of them. */
static struct weir_pq_node *naive_first(struct fixture *f)
{
  struct weir_pq_node *first = NULL;

  for (uint32_t i = 0; i < NODES; i++) {
    struct weir_pq_node *n = &f->nodes[i];

    if (n->pos != 0 &&
        (!first || n->at < first->at || (n->at == first->at && n->order < first->order)))
      first = n;
  }
  return first;
}

static void finds_the_node_that_a_search_of_all_finds(void **state)
{
  struct fixture f;
  struct weir_rng rng;

  (void)state;
  fixture_init(&f, NODES);
  weir_rng_init(&rng, 9);
  for (int step = 0; step < 50000; step++) {
    uint32_t node = (uint32_t)weir_rng_below(&rng, NODES);

    switch (weir_rng_below(&rng, 4)) {
    case 0:
      weir_pq_remove(&f.q, &f.nodes[node]);
      break;
    case 1:
      weir_pq_due(&f.q, weir_rng_below(&rng, 40));
      break;
    default:
      set(&f, node, weir_rng_below(&rng, 50));
    }
    assert_ptr_equal(weir_pq_first(&f.q), naive_first(&f));
    for (uint32_t i = 0; i < f.q.count; i++)
      assert_int_equal(f.heap[i]->pos, i + 1);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gives_equal_instants_back_in_the_order_of_their_arrival),
      cmocka_unit_test(counts_a_moved_node_as_newly_added),
      cmocka_unit_test(holds_back_what_is_not_due),
      cmocka_unit_test(refuses_a_new_node_at_capacity_but_moves_old_ones),
      cmocka_unit_test(ignores_the_removal_of_a_node_that_is_in_no_heap),
      cmocka_unit_test(finds_the_node_that_a_search_of_all_finds),
  };
  return cmocka_run_group_tests_name("pq", tests, NULL, NULL);
}
