/* Anthropic: {"type":"error","error":{"type","message","details":{"error_code"}}}; which limit a
 * 429 means is told by the anthropic-ratelimit-*-remaining headers, else by its wording. */
#include "rules.h"

static const struct weir_rule rules[] = {
    {0, WEIR_FACT_REASON, "spend_limit_reached", WEIR_OUTCOME_BILLING},
    {0, WEIR_FACT_REASON, "ramp_limit", WEIR_OUTCOME_RAMP_LIMIT},
    {0, WEIR_FACT_TYPE, "billing_error", WEIR_OUTCOME_BILLING},
    {0, WEIR_FACT_TYPE, "authentication_error", WEIR_OUTCOME_AUTH},
    {0, WEIR_FACT_TYPE, "permission_error", WEIR_OUTCOME_PERMISSION},
    {0, WEIR_FACT_TYPE, "not_found_error", WEIR_OUTCOME_MODEL_NOT_FOUND},
    {0, WEIR_FACT_TYPE, "request_too_large", WEIR_OUTCOME_REQUEST_TOO_LARGE},
    {0, WEIR_FACT_TYPE, "timeout_error", WEIR_OUTCOME_DEADLINE},
    {0, WEIR_FACT_TYPE, "overloaded_error", WEIR_OUTCOME_OVERLOADED},
    {0, WEIR_FACT_TYPE, "api_error", WEIR_OUTCOME_SERVER_ERROR},
    {0, WEIR_FACT_TYPE, "conflict_error", WEIR_OUTCOME_SERVER_ERROR},
    {429, WEIR_FACT_MESSAGE, "usage increase rate", WEIR_OUTCOME_RAMP_LIMIT},
    {429, WEIR_FACT_MESSAGE, "acceleration limit", WEIR_OUTCOME_RAMP_LIMIT},
    {429, WEIR_FACT_MESSAGE, "spend limit", WEIR_OUTCOME_BILLING},
    {429, WEIR_FACT_MESSAGE, "usage limits", WEIR_OUTCOME_BILLING},
    {400, WEIR_FACT_MESSAGE, "prompt is too long", WEIR_OUTCOME_CONTEXT_OVERFLOW},
    {400, WEIR_FACT_MESSAGE, "exceed context limit", WEIR_OUTCOME_CONTEXT_OVERFLOW},
    {400, WEIR_FACT_MESSAGE, "credit balance", WEIR_OUTCOME_BILLING},
    {400, WEIR_FACT_MESSAGE, "usage limits", WEIR_OUTCOME_BILLING},
};

/* The limiters, the narrower ones first: "tokens" repeats the most restrictive of its kind. */
static const struct {
  const char *remaining, *limit, *wording;
  enum weir_dimension dimension;
} limiters[] = {
    {"anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-limit",
     "output tokens", WEIR_DIMENSION_OUTPUT_TOKENS},
    {"anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-limit",
     "input tokens", WEIR_DIMENSION_INPUT_TOKENS},
    {"anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-limit",
     "number of requests", WEIR_DIMENSION_REQUESTS},
    {"anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-limit", "tokens",
     WEIR_DIMENSION_INPUT_TOKENS},
};

#define LIMITERS (sizeof(limiters) / sizeof(limiters[0]))

static bool header_count(const struct weir_facts *facts, const char *name, uint64_t *ret_value)
{
  const char *value = weir_facts_header(facts, name);

  return value && weir_text_count(value, ret_value);
}

static void limit_judge(const struct weir_facts *facts, struct weir_verdict *v)
{
  const char *message = facts->message;
  bool is_day = weir_text_has(message, "daily") || weir_text_has(message, "per day") ||
                weir_text_has(message, "per-day");
  const char *stated = weir_text_find(message, "rate limit");
  enum weir_dimension dimension = WEIR_DIMENSION_REQUESTS;
  uint64_t remaining, limit = 0;
  bool has_limit = false;
  size_t i;

  for (i = 0; i < LIMITERS; i++)
    if (header_count(facts, limiters[i].remaining, &remaining) && remaining == 0)
      break;
  if (i < LIMITERS)
    has_limit = header_count(facts, limiters[i].limit, &limit);
  else
    for (i = 0; i < LIMITERS && !weir_text_has(message, limiters[i].wording); i++)
      continue;
  if (i < LIMITERS)
    dimension = limiters[i].dimension;
  stated = stated ? weir_text_find(stated, " of ") : NULL;
  if (!has_limit)
    has_limit = stated && weir_text_count(stated, &limit);
  weir_verdict_set_quota(v, dimension, is_day);
  if (has_limit)
    weir_verdict_set_limit(v, limit);
}

static void classify(const struct weir_facts *facts, struct weir_verdict *verdict)
{
  verdict->outcome = weir_rules_match(rules, sizeof(rules) / sizeof(rules[0]), facts);
  if (verdict->outcome == 0 && weir_facts_status(facts) == 429 &&
      weir_text_is(facts->type, "rate_limit_error"))
    limit_judge(facts, verdict);
}

const struct weir_provider_rules weir_rules_anthropic = {
    .base_url = "https://api.anthropic.com",
    .key_header = "x-api-key",
    .key_prefix = "",
    .key_envs = {"ANTHROPIC_API_KEY"},
    .fixed_header = "anthropic-version: 2023-06-01",
    .path = "/v1/messages",
    .stream_path = "/v1/messages",
    .openai_path = "/v1/chat/completions",
    .tokenizer = WEIR_TOKENIZER_CLAUDE,
    .is_cache_free = true,
    .classify = classify,
};
