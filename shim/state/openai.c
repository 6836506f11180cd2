/* OpenAI: {"error":{"message","type","code"}}, with the numbers of a limit in the message. */
#include "rules.h"

static const struct weir_rule rules[] = {
    /* The account cannot pay, whatever code goes with it. */
    {0, WEIR_FACT_TYPE, "insufficient_quota", WEIR_OUTCOME_BILLING},
    {0, WEIR_FACT_CODE, "insufficient_quota", WEIR_OUTCOME_BILLING},
    {0, WEIR_FACT_CODE, "credit_balance", WEIR_OUTCOME_BILLING},
    {0, WEIR_FACT_CODE, "spend_limit", WEIR_OUTCOME_BILLING},
    {0, WEIR_FACT_CODE, "usage_limit", WEIR_OUTCOME_BILLING},
    {0, WEIR_FACT_CODE, "billing", WEIR_OUTCOME_BILLING},
    {0, WEIR_FACT_CODE, "slow_down", WEIR_OUTCOME_RAMP_LIMIT},
    {0, WEIR_FACT_TYPE, "slow_down", WEIR_OUTCOME_RAMP_LIMIT},
    {0, WEIR_FACT_CODE, "context_length_exceeded", WEIR_OUTCOME_CONTEXT_OVERFLOW},
    {0, WEIR_FACT_CODE, "api_key", WEIR_OUTCOME_AUTH},
    {0, WEIR_FACT_CODE, "model_not_found", WEIR_OUTCOME_MODEL_NOT_FOUND},
    {0, WEIR_FACT_CODE, "overloaded", WEIR_OUTCOME_OVERLOADED},
    {0, WEIR_FACT_TYPE, "overloaded", WEIR_OUTCOME_OVERLOADED},
    {400, WEIR_FACT_MESSAGE, "maximum context length", WEIR_OUTCOME_CONTEXT_OVERFLOW},
    {400, WEIR_FACT_MESSAGE, "exceeds the context window", WEIR_OUTCOME_CONTEXT_OVERFLOW},
};

/* Tells whether the answer names a rate limit at all: without, a 429 is load shedding. */
static bool is_rate_limit(const struct weir_facts *f)
{
  return weir_text_has(f->code, "rate_limit") || weir_text_has(f->type, "rate_limit") ||
         weir_text_is(f->type, "tokens") || weir_text_is(f->type, "requests") ||
         weir_text_has(f->message, "rate limit") || weir_text_has(f->message, "Request too large");
}

static bool is_of_tokens(const struct weir_facts *f)
{
  if (weir_text_is(f->type, "tokens"))
    return true;
  if (weir_text_is(f->type, "requests"))
    return false;
  if (weir_text_has(f->message, "requests per "))
    return false;
  return weir_text_has(f->message, "tokens per ") || weir_text_has(f->message, "token rate limit");
}

/* "... Limit 200000, Used 195869, Requested 4412." */
static bool number_after(const char *message, const char *word, uint64_t *ret_value)
{
  const char *at = weir_text_find(message, word);

  return at && weir_text_count(at, ret_value);
}

static void limit_judge(const struct weir_facts *facts, struct weir_verdict *v)
{
  const char *message = facts->message;
  bool is_day = weir_text_has(message, "per day") || weir_text_has(message, "(RPD)") ||
                weir_text_has(message, "(TPD)");
  const char *numbers = weir_text_find(message, "per min");
  uint64_t limit = 0, used = 0, requested = 0;
  bool has_limit, has_used, has_requested;

  /* The numbers stand behind the unit: "Limit" may also be part of a project's name. */
  numbers = numbers ? numbers : weir_text_find(message, "per day");
  numbers = numbers ? numbers : message;
  has_limit = number_after(numbers, "Limit", &limit);
  has_used = number_after(numbers, "Used", &used);
  has_requested = number_after(numbers, "Requested", &requested);
  weir_verdict_set_quota(
      v, is_of_tokens(facts) ? WEIR_DIMENSION_TOTAL_TOKENS : WEIR_DIMENSION_REQUESTS, is_day);
  if (has_limit)
    weir_verdict_set_limit(v, limit);
  v->has_used = has_limit && has_used && has_requested;
  v->used = v->has_used ? used : 0;
  v->requested = has_limit && has_requested ? requested : 0;
  if (weir_facts_status(facts) == 413 || weir_text_has(message, "Request too large") ||
      v->requested > limit)
    v->outcome = WEIR_OUTCOME_REQUEST_TOO_LARGE;
  else if (has_limit && limit == 0)
    v->outcome = WEIR_OUTCOME_NO_ACCESS_TIER;
}

static void classify(const struct weir_facts *facts, struct weir_verdict *verdict)
{
  int http = weir_facts_status(facts);

  verdict->outcome = weir_rules_match(rules, sizeof(rules) / sizeof(rules[0]), facts);
  if (verdict->outcome == 0 && (http == 429 || http == 413) && is_rate_limit(facts))
    limit_judge(facts, verdict);
}

const struct weir_provider_rules weir_rules_openai = {
    .base_url = "https://api.openai.com",
    .key_header = "Authorization",
    .key_prefix = "Bearer ",
    .key_envs = {"OPENAI_API_KEY"},
    .path = "/v1/chat/completions",
    .stream_path = "/v1/chat/completions",
    .openai_path = "/v1/chat/completions",
    .tokenizer = WEIR_TOKENIZER_O200K,
    .are_failures_charged = true,
    .classify = classify,
};
