#include <weir/headroom.h>

#include <weir/text.h>
#include <weir/time.h>
#include <weir/vocab.h>

#include <stdbool.h>

/* Resets are rounded to milliseconds, and the answer was under way for a while. */
#define SLACK_US (10 * WEIR_US_PER_MS)

/* Names of headers; |reset| is NULL where the name alone tells the window. */
struct names {
  const char *limit, *left, *reset;
};

static const struct names openai_requests = {
    "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"};
static const struct names openai_tokens = {
    "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"};
static const struct names anthropic_requests = {"anthropic-ratelimit-requests-limit",
                                                "anthropic-ratelimit-requests-remaining", NULL};
static const struct names anthropic_tokens = {"anthropic-ratelimit-input-tokens-limit",
                                              "anthropic-ratelimit-input-tokens-remaining", NULL};

static bool count_read(const struct weir_facts *facts, const char *name, uint64_t *ret_count)
{
  const char *value = weir_facts_header(facts, name);

  return value && weir_text_decimal(value, 1, ret_count) && *ret_count <= WEIR_HEADROOM_LIMIT_MAX;
}

/* Whether a bucket of |limit| a minute, of which |left| is left, is full again in |reset_us|. What
 * is left is rounded down, so the true time lies between that of one unit less and that of all
 * units gone. A single unit tells a minute from a day, but a second only by being soon: below a
 * fifth of its time it is not believed. */
static bool is_of_a_minute(uint64_t limit, uint64_t left, weir_duration reset_us)
{
  const uint64_t gone = limit - left; /* at most 2^37, times 2^26: no overflow */
  const weir_duration full_us = gone * WEIR_US_PER_MIN / limit;
  weir_duration least_us = full_us / 5;

  if (gone == 0)
    return false; /* a full bucket says nothing about its window */
  if (gone > 1)
    least_us = (gone - 1) * WEIR_US_PER_MIN / limit;
  return reset_us + SLACK_US >= least_us && reset_us <= full_us + SLACK_US;
}

static void pair_read(const struct weir_facts *facts, const struct names *names,
                      uint64_t *ret_limit, uint64_t *ret_left)
{
  uint64_t limit, left;

  if (!count_read(facts, names->limit, &limit) || !count_read(facts, names->left, &left) ||
      limit == 0 || left > limit)
    return;
  if (names->reset) {
    const char *reset = weir_facts_header(facts, names->reset);
    weir_duration reset_us;

    if (!reset || !weir_text_duration(reset, &reset_us) || !is_of_a_minute(limit, left, reset_us))
      return;
  }
  *ret_limit = limit;
  *ret_left = left;
}

void weir_headroom_read(enum weir_provider_kind kind, const struct weir_header *headers,
                        size_t count, struct weir_headroom *ret_headroom)
{
  const bool is_anthropic = kind == WEIR_PROVIDER_ANTHROPIC;
  const bool is_openai = kind == WEIR_PROVIDER_OPENAI || kind == WEIR_PROVIDER_COMPATIBLE;
  struct weir_headroom h = {0};
  struct weir_facts facts;

  if (is_anthropic || is_openai) {
    weir_facts_init(&facts, 0);
    facts.headers = headers;
    facts.headers_count = count;
    pair_read(&facts, is_anthropic ? &anthropic_requests : &openai_requests, &h.requests_limit,
              &h.requests_left);
    pair_read(&facts, is_anthropic ? &anthropic_tokens : &openai_tokens, &h.tokens_limit,
              &h.tokens_left);
  }
  *ret_headroom = h;
}

uint64_t weir_headroom_stated(const struct weir_verdict *verdict, uint64_t *ret_used)
{
  *ret_used = 0;
  if (!weir_outcome_is_quota(verdict->outcome) || !verdict->has_limit ||
      verdict->limit > WEIR_HEADROOM_LIMIT_MAX ||
      verdict->dimension == WEIR_DIMENSION_OUTPUT_TOKENS)
    return 0;
  if (verdict->has_used && verdict->used <= WEIR_HEADROOM_LIMIT_MAX)
    *ret_used = verdict->used;
  return verdict->limit;
}
