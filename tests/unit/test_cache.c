/* The last good answers, in bounded storage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/cache.h>
#include <weir/rng.h>

#define SIZE   WEIR_CACHE_SIZE_MIN
#define BLOCKS 61 /* that it has */
#define BLOCK  ((size_t)960)
#define TTL    WEIR_US_PER_MIN

struct world {
  void *storage;
  struct weir_cache *cache;
  weir_tstamp now;
};

static int setup(void **state)
{
  struct world *w = calloc(1, sizeof(*w));

  assert_non_null(w);
  w->storage = malloc(SIZE);
  assert_non_null(w->storage);
  memset(w->storage, 0xa5, SIZE); /* nothing may rely on zeros */
  w->cache = weir_cache_init(w->storage, SIZE, 7);
  w->now = 1000 * WEIR_US_PER_S;
  *state = w;
  return 0;
}

static int teardown(void **state)
{
  struct world *w = *state;

  weir_cache_check(w->cache);
  free(w->storage);
  free(w);
  return 0;
}

static struct weir_cache_bytes text(const char *s)
{
  return (struct weir_cache_bytes){s, strlen(s)};
}

static struct weir_cache_request request_of(const char *model, const char *path, const char *body)
{
  return (struct weir_cache_request){{text(model), text(path), text(""), text(""), text(body)}};
}

static bool put(struct world *w, const char *body, const void *bytes, size_t size)
{
  const struct weir_cache_request request = request_of("gemini/flash", "", body);
  const struct weir_cache_answer answer = {
      {text("gemini/flash-2"), text("application/json"), {bytes, size}}};
  const bool is_kept = weir_cache_put(w->cache, &request, &answer, w->now);

  weir_cache_check(w->cache);
  return is_kept;
}

static bool find(struct world *w, const char *body, struct weir_cache_found *found)
{
  const struct weir_cache_request request = request_of("gemini/flash", "", body);
  const bool is_there = weir_cache_find(w->cache, &request, w->now, TTL, found);

  weir_cache_check(w->cache);
  return is_there;
}

static bool has(struct world *w, const char *body)
{
  struct weir_cache_found found;

  return find(w, body, &found);
}

static void what_was_put_is_found_whole(void **state)
{
  static const size_t sizes[] = {0, 1, 900, BLOCK - 45, BLOCK, BLOCK + 1, 5 * BLOCK, 10000};
  struct world *w = *state;
  uint8_t bytes[10000], read[10000];
  char type[32] = "";

  for (size_t i = 0; i < sizeof(bytes); i++)
    bytes[i] = (uint8_t)(i * 7 + i / 251);
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    struct weir_cache_found found;

    assert_true(put(w, "the same", bytes, sizes[i]));
    assert_true(find(w, "the same", &found));
    assert_int_equal(found.sizes[WEIR_CACHE_BODY], sizes[i]);
    memset(read, 0, sizeof(read));
    weir_cache_read(w->cache, &found, WEIR_CACHE_BODY, read);
    assert_memory_equal(read, bytes, sizes[i]);
    assert_int_equal(found.sizes[WEIR_CACHE_CONTENT_TYPE], strlen("application/json"));
    weir_cache_read(w->cache, &found, WEIR_CACHE_CONTENT_TYPE, type);
    assert_string_equal(type, "application/json");
  }
}

static void only_the_same_request_finds_it(void **state)
{
  struct world *w = *state;
  const struct weir_cache_request others[] = {
      request_of("gemini/flash", "", "{\"a\":2}"), request_of("gemini/flash", "", "{\"a\":1} "),
      request_of("gemini/flas", "h", "{\"a\":1}"), request_of("gemini/pro", "", "{\"a\":1}"),
      request_of("gemini/flash", "", "")};
  struct weir_cache_found found;

  assert_true(put(w, "{\"a\":1}", "x", 1));
  assert_true(has(w, "{\"a\":1}"));
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
    assert_false(weir_cache_find(w->cache, &others[i], w->now, TTL, &found));
}

/* The hash of cache.c, to find two requests that have the same one. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
  hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
  return hash ^ hash >> 29;
}

static uint64_t mix_text(uint64_t hash, const char *s)
{
  const size_t size = strlen(s);
  uint64_t word;

  hash = mix(hash, size);
  for (size_t i = 0; i < size; i += 8) {
    word = 0;
    memcpy(&word, s + i, size - i < 8 ? size - i : 8);
    hash = mix(hash, word);
  }
  return hash;
}

static void not_even_one_with_the_same_hash(void **state)
{
  struct world *w = *state;
  const struct weir_cache_answer answer = {{text("m"), text("t"), text("mine")}};
  struct weir_cache_request mine = request_of("gemini/flash", "", ""), other = mine;
  uint64_t own[2] = {1, 2}, crafted[2] = {3, 0};
  struct weir_cache_found found;
  uint64_t hash = 7; /* the seed */

  for (int i = 0; i < WEIR_CACHE_REQUEST_PARTS - 1; i++)
    hash = mix_text(hash, mine.parts[i].bytes);
  hash = mix(hash, sizeof(own));
  crafted[1] = mix(hash, crafted[0]) ^ mix(hash, own[0]) ^ own[1];
  mine.parts[WEIR_CACHE_REQUEST_PARTS - 1] = (struct weir_cache_bytes){own, sizeof(own)};
  other.parts[WEIR_CACHE_REQUEST_PARTS - 1] = (struct weir_cache_bytes){crafted, sizeof(crafted)};
  assert_true(weir_cache_put(w->cache, &mine, &answer, w->now));
  assert_false(weir_cache_find(w->cache, &other, w->now, TTL, &found));
  /* They do share a place: so it was the comparison that told them apart. */
  assert_true(weir_cache_put(w->cache, &other, &answer, w->now));
  assert_false(weir_cache_find(w->cache, &mine, w->now, TTL, &found));
  assert_true(weir_cache_find(w->cache, &other, w->now, TTL, &found));
}

static void an_answer_that_is_too_old_is_none(void **state)
{
  struct world *w = *state;
  struct weir_cache_found found;

  assert_true(put(w, "q", "x", 1));
  w->now += TTL;
  assert_true(find(w, "q", &found));
  assert_int_equal(found.age_us, TTL);
  w->now += 1;
  assert_false(has(w, "q"));
  assert_true(put(w, "q", "y", 1)); /* a new one takes its place */
  assert_true(find(w, "q", &found));
  assert_int_equal(found.age_us, 0);
}

static void the_answer_that_was_used_longest_ago_makes_room(void **state)
{
  struct world *w = *state;
  char name[16];

  for (int i = 0; i < BLOCKS; i++) {
    snprintf(name, sizeof(name), "q%d", i);
    assert_true(put(w, name, "x", 1));
  }
  assert_true(has(w, "q0")); /* used again: q1 is the oldest now */
  assert_true(put(w, "one more", "x", 1));
  assert_true(has(w, "q0"));
  assert_false(has(w, "q1"));
  assert_true(has(w, "q2"));
  assert_true(has(w, "one more"));
}

static void a_large_answer_pushes_out_as_many_as_it_needs(void **state)
{
  struct world *w = *state;
  static uint8_t bytes[10 * BLOCK];
  char name[16];
  int left = 0;

  for (int i = 0; i < BLOCKS; i++) {
    snprintf(name, sizeof(name), "q%d", i);
    assert_true(put(w, name, "x", 1));
  }
  assert_true(put(w, "large", bytes, sizeof(bytes)));
  for (int i = 0; i < BLOCKS; i++) {
    snprintf(name, sizeof(name), "q%d", i);
    left += has(w, name);
  }
  assert_int_equal(left, BLOCKS - 11);
}

static void what_would_take_a_quarter_is_not_kept_and_pushes_nothing_out(void **state)
{
  struct world *w = *state;
  static uint8_t bytes[SIZE];

  assert_true(put(w, "q", "x", 1));
  assert_false(put(w, "large", bytes, 15 * BLOCK));
  assert_false(put(w, "q", bytes, 15 * BLOCK));
  assert_true(has(w, "q"));
  assert_true(put(w, "large", bytes, 14 * BLOCK));
}

static void nothing_is_left_after_a_wipe(void **state)
{
  struct world *w = *state;
  static const char secret[] = "a prompt that nobody may see";
  const uint8_t *at = w->storage;

  assert_true(put(w, secret, secret, sizeof(secret)));
  weir_cache_wipe(w->cache);
  assert_false(has(w, secret));
  for (size_t i = 0; i + sizeof(secret) < SIZE; i++)
    assert_memory_not_equal(at + i, secret, sizeof(secret) - 1);
  assert_true(put(w, "q", "x", 1));
  assert_true(has(w, "q"));
}

/* Against a model that keeps everything: what is found is what was put last, and recent things are
 * found. */
static void any_use_keeps_the_books_in_order(void **state)
{
  struct world *w = *state;
  struct weir_rng rng;
  static uint8_t bytes[4096], read[4096];
  size_t sizes[200] = {0};
  uint8_t values[200] = {0};
  int hits = 0;

  weir_rng_init(&rng, 3);
  for (int i = 0; i < 20000; i++) {
    const uint64_t k = weir_rng_below(&rng, 200);
    struct weir_cache_found found;
    char name[16];

    snprintf(name, sizeof(name), "q%d", (int)k);
    if (weir_rng_below(&rng, 2)) {
      sizes[k] = (size_t)weir_rng_below(&rng, sizeof(bytes));
      values[k] = (uint8_t)weir_rng_next(&rng);
      memset(bytes, values[k], sizes[k]);
      assert_true(put(w, name, bytes, sizes[k]));
      assert_true(has(w, name));
    } else if (find(w, name, &found)) {
      hits++;
      assert_int_equal(found.sizes[WEIR_CACHE_BODY], sizes[k]);
      weir_cache_read(w->cache, &found, WEIR_CACHE_BODY, read);
      memset(bytes, values[k], sizes[k]);
      assert_memory_equal(read, bytes, sizes[k]);
    }
  }
  assert_true(hits > 500);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_was_put_is_found_whole, setup, teardown),
      cmocka_unit_test_setup_teardown(only_the_same_request_finds_it, setup, teardown),
      cmocka_unit_test_setup_teardown(not_even_one_with_the_same_hash, setup, teardown),
      cmocka_unit_test_setup_teardown(an_answer_that_is_too_old_is_none, setup, teardown),
      cmocka_unit_test_setup_teardown(the_answer_that_was_used_longest_ago_makes_room, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(a_large_answer_pushes_out_as_many_as_it_needs, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(what_would_take_a_quarter_is_not_kept_and_pushes_nothing_out,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(nothing_is_left_after_a_wipe, setup, teardown),
      cmocka_unit_test_setup_teardown(any_use_keeps_the_books_in_order, setup, teardown),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
