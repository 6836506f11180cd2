/* What rate-limit headers say about the limits per minute, and what they only seem to say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <weir/headroom.h>
#include <weir/rng.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct weir_headroom read_requests(enum weir_provider_kind kind, const char *limit,
                                          const char *left, const char *reset)
{
  const struct weir_header headers[] = {{"X-RateLimit-Limit-Requests", limit},
                                        {"x-ratelimit-remaining-requests", left},
                                        {"x-ratelimit-reset-requests", reset}};
  struct weir_headroom h;

  weir_headroom_read(kind, headers, COUNT(headers), &h);
  return h;
}

static void reads_requests_and_tokens_of_openai(void **state)
{
  static const struct weir_header headers[] = {
      {"content-type", "application/json"},       {"x-ratelimit-limit-requests", "500"},
      {"x-ratelimit-remaining-requests", "499"},  {"x-ratelimit-reset-requests", "120ms"},
      {"x-ratelimit-limit-tokens", "200,000"},    {"x-ratelimit-limit-tokens", "1"},
      {"x-ratelimit-remaining-tokens", "150000"}, {"x-ratelimit-reset-tokens", "15s"}};
  static const struct weir_header plain[] = {{"x-ratelimit-limit-tokens", "200000"},
                                             {"x-ratelimit-remaining-tokens", "195589"},
                                             {"x-ratelimit-reset-tokens", "1.323s"}};
  struct weir_headroom h;

  (void)state;
  weir_headroom_read(WEIR_PROVIDER_OPENAI, headers, COUNT(headers), &h);
  assert_int_equal(h.requests_limit, 500);
  assert_int_equal(h.requests_left, 499);
  assert_int_equal(h.tokens_limit, 0); /* no plain number */
  weir_headroom_read(WEIR_PROVIDER_OPENAI, plain, COUNT(plain), &h);
  assert_int_equal(h.requests_limit, 0);
  assert_int_equal(h.tokens_limit, 200000);
  assert_int_equal(h.tokens_left, 195589);
}

static void says_that_nothing_is_left(void **state)
{
  struct weir_headroom h = read_requests(WEIR_PROVIDER_COMPATIBLE, "60", "0", "59.5s");

  (void)state;
  assert_int_equal(h.requests_limit, 60);
  assert_int_equal(h.requests_left, 0);
}

static void believes_only_what_refills_in_a_minute(void **state)
{
  static const struct {
    const char *limit, *left, *reset;
    bool is_believed;
  } rows[] = {
      {"60", "59", "1s", true},
      {"60", "59", "400ms", true}, /* partly refilled */
      {"60", "58", "1.2s", true},
      {"10000", "9999", "6ms", true},
      {"3", "2", "20s", true},
      {"14400", "14399", "6s", false},      /* Groq: a day, its first request */
      {"14400", "14342", "5m48s", false},   /* a day, later */
      {"1000", "942", "1h23m31.2s", false}, /* a day, as captured */
      {"200", "199", "7m12s", false},       /* a day of a free tier */
      {"1000000", "999999", "86ms", false}, /* a large day */
      {"3600", "3590", "10s", false},       /* an hour */
      {"60", "59", "37s", false},           /* a fixed minute: no bucket */
      {"10", "9", "100ms", false},          /* a second */
      {"10", "5", "500ms", false},
      {"60", "60", "0s", false}, /* full: any window */
      {"60", "61", "1s", false},
      {"0", "0", "1s", false},
      {"60", "59", "", false},
      {"60", "59", "1764028800", false}, /* an instant */
      {"60;w=60", "59", "1s", false},
      {"many", "59", "1s", false},
      {"60", "-1", "1s", false},
      {"99999999999999999999", "1", "1s", false},
  };

  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    for (int kind = WEIR_PROVIDER_OPENAI; kind <= WEIR_PROVIDER_COMPATIBLE; kind += 2) {
      struct weir_headroom h =
          read_requests((enum weir_provider_kind)kind, rows[i].limit, rows[i].left, rows[i].reset);

      if ((h.requests_limit > 0) != rows[i].is_believed)
        fail_msg("%s of %s, full again in %s", rows[i].left, rows[i].limit, rows[i].reset);
    }
  }
}

static void needs_all_three_headers_of_openai(void **state)
{
  static const struct weir_header headers[] = {{"x-ratelimit-limit-requests", "60"},
                                               {"x-ratelimit-remaining-requests", "59"},
                                               {"x-ratelimit-reset-requests", "1s"}};
  struct weir_headroom h;

  (void)state;
  for (size_t missing = 0; missing <= COUNT(headers); missing++) {
    struct weir_header some[COUNT(headers)];
    size_t count = 0;

    for (size_t i = 0; i < COUNT(headers); i++)
      if (i != missing)
        some[count++] = headers[i];
    weir_headroom_read(WEIR_PROVIDER_OPENAI, some, count, &h);
    assert_int_equal(h.requests_limit, missing == COUNT(headers) ? 60 : 0);
  }
}

/* "tokens" repeats the most restrictive of its limits, whichever that is; output has no field. */
static void reads_requests_and_input_tokens_of_anthropic(void **state)
{
  static const struct weir_header headers[] = {
      {"anthropic-ratelimit-requests-limit", "1000"},
      {"anthropic-ratelimit-requests-remaining", "1000"},
      {"anthropic-ratelimit-requests-reset", "2026-11-22T10:00:00Z"},
      {"anthropic-ratelimit-tokens-limit", "90000"},
      {"anthropic-ratelimit-tokens-remaining", "1000"},
      {"anthropic-ratelimit-output-tokens-limit", "90000"},
      {"anthropic-ratelimit-output-tokens-remaining", "1000"},
      {"anthropic-ratelimit-input-tokens-limit", "450000"},
      {"anthropic-ratelimit-input-tokens-remaining", "449000"}};
  struct weir_headroom h;

  (void)state;
  weir_headroom_read(WEIR_PROVIDER_ANTHROPIC, headers, COUNT(headers), &h);
  assert_int_equal(h.requests_limit, 1000);
  assert_int_equal(h.requests_left, 1000);
  assert_int_equal(h.tokens_limit, 450000);
  assert_int_equal(h.tokens_left, 449000);
  weir_headroom_read(WEIR_PROVIDER_OPENAI, headers, COUNT(headers), &h);
  assert_int_equal(h.requests_limit + h.tokens_limit, 0);
}

static void takes_nothing_from_providers_that_send_none(void **state)
{
  (void)state;
  assert_int_equal(read_requests(WEIR_PROVIDER_GEMINI, "60", "59", "1s").requests_limit, 0);
  assert_int_equal(read_requests(WEIR_PROVIDER_VERTEX, "60", "59", "1s").requests_limit, 0);
  assert_int_equal(read_requests(WEIR_PROVIDER_ANTHROPIC, "60", "59", "1s").requests_limit, 0);
}

static uint64_t stated(enum weir_provider_kind kind, int http, const struct weir_header *header,
                       const char *body, uint64_t *ret_used)
{
  const struct weir_answer answer = {.kind = kind,
                                     .http = http,
                                     .headers = header,
                                     .headers_count = header ? 1 : 0,
                                     .body = body,
                                     .body_size = strlen(body)};
  struct weir_verdict verdict;

  weir_classify(&answer, &verdict);
  return weir_headroom_stated(&verdict, ret_used);
}

static void names_the_limit_of_a_rejection_and_what_is_used_of_it(void **state)
{
  uint64_t used = 1;

  (void)state;
  assert_int_equal(
      stated(
          WEIR_PROVIDER_OPENAI, 429, NULL,
          "{\"error\":{\"message\":\"Rate limit reached for gpt-4o-mini in organization org-x on "
          "tokens per min (TPM): Limit 200000, Used 195869, Requested 4412. Please try again in "
          "84ms.\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}",
          &used),
      200000);
  assert_int_equal(used, 195869);
  assert_int_equal(
      stated(WEIR_PROVIDER_GEMINI, 429, NULL,
             "{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{"
             "\"violations\":["
             "{\"quotaMetric\":\"generate_content_paid_tier_input_token_count\",\"quotaId\":"
             "\"GenerateContentPaidTierInputTokensPerModelPerMinute\",\"quotaValue\":\"1000000\"}]}"
             "]}}",
             &used),
      1000000);
  assert_int_equal(used, 0);
}

static void names_no_limit_that_the_coordinator_would_take_for_another(void **state)
{
  static const struct weir_header none_left = {"anthropic-ratelimit-output-tokens-remaining", "0"};
  static const char limit_0[] =
      "{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\",\"message\":\"* Quota exceeded "
      "for "
      "metric: generate_content_free_tier_requests, limit: 0, model: gemini-2.0-flash\"}}";
  static const char too_large[] =
      "{\"error\":{\"message\":\"Request too large for gpt-4o on tokens per min (TPM): Limit "
      "30000, "
      "Requested 34307.\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}";
  static const char output[] = "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\","
                               "\"message\":\"This request would "
                               "exceed your rate limit of 8,000 output tokens per minute\"}}";
  static const char huge[] =
      "{\"error\":{\"message\":\"Rate limit reached on requests per min (RPM): Limit "
      "99999999999999999999, Used 1, Requested 1.\",\"type\":\"requests\",\"code\":"
      "\"rate_limit_exceeded\"}}";
  uint64_t used;

  (void)state;
  assert_int_equal(stated(WEIR_PROVIDER_GEMINI, 429, NULL, limit_0, &used), 0);
  assert_int_equal(stated(WEIR_PROVIDER_OPENAI, 429, NULL, too_large, &used), 0);
  assert_int_equal(stated(WEIR_PROVIDER_ANTHROPIC, 429, &none_left, output, &used), 0);
  assert_int_equal(stated(WEIR_PROVIDER_OPENAI, 429, NULL, huge, &used), 0);
  assert_int_equal(stated(WEIR_PROVIDER_OPENAI, 503, NULL, "overloaded", &used), 0);
  assert_int_equal(used, 0);
}

static void survives_a_hundred_thousand_random_headers(void **state)
{
  static const char letters[] = "0123456789999999.,-msh ";
  struct weir_rng rng;
  char texts[3][24];
  int believed = 0;

  (void)state;
  weir_rng_init(&rng, 20261125);
  for (int i = 0; i < 100000; i++) {
    struct weir_headroom h;

    for (int k = 0; k < 3; k++) {
      size_t size = (size_t)weir_rng_below(&rng, sizeof(texts[k]));

      for (size_t at = 0; at < size; at++)
        texts[k][at] = letters[weir_rng_below(&rng, sizeof(letters) - 1)];
      texts[k][size] = '\0';
    }
    h = read_requests(WEIR_PROVIDER_OPENAI, texts[0], texts[1], texts[2]);
    assert_true(h.requests_left <= h.requests_limit);
    assert_true(h.requests_limit <= WEIR_HEADROOM_LIMIT_MAX);
    assert_int_equal(h.tokens_limit, 0);
    believed += h.requests_limit > 0;
  }
  assert_true(believed < 10000);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_requests_and_tokens_of_openai),
      cmocka_unit_test(says_that_nothing_is_left),
      cmocka_unit_test(believes_only_what_refills_in_a_minute),
      cmocka_unit_test(needs_all_three_headers_of_openai),
      cmocka_unit_test(reads_requests_and_input_tokens_of_anthropic),
      cmocka_unit_test(takes_nothing_from_providers_that_send_none),
      cmocka_unit_test(names_the_limit_of_a_rejection_and_what_is_used_of_it),
      cmocka_unit_test(names_no_limit_that_the_coordinator_would_take_for_another),
      cmocka_unit_test(survives_a_hundred_thousand_random_headers),
  };
  return cmocka_run_group_tests_name("headroom", tests, NULL, NULL);
}
