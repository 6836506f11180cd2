/* Gemini's Developer API and Vertex AI: google.rpc errors. */
#include "rules.h"

static const struct weir_rule rules[] = {
    {0, WEIR_FACT_REASON, "BILLING", WEIR_OUTCOME_BILLING},
    {0, WEIR_FACT_REASON, "API_KEY", WEIR_OUTCOME_AUTH},
    {0, WEIR_FACT_REASON, "ACCESS_TOKEN", WEIR_OUTCOME_AUTH},
    {0, WEIR_FACT_REASON, "CREDENTIALS", WEIR_OUTCOME_AUTH},
    {403, WEIR_FACT_REASON, "*", WEIR_OUTCOME_PERMISSION},
    /* Not served in this country. */
    {400, WEIR_FACT_STATUS, "FAILED_PRECONDITION", WEIR_OUTCOME_PERMISSION},
    {400, WEIR_FACT_MESSAGE, "input token count*exceeds", WEIR_OUTCOME_CONTEXT_OVERFLOW},
    {400, WEIR_FACT_MESSAGE, "payload size exceeds", WEIR_OUTCOME_REQUEST_TOO_LARGE},
    {400, WEIR_FACT_MESSAGE, "API key", WEIR_OUTCOME_AUTH},
    {403, WEIR_FACT_MESSAGE, "API key", WEIR_OUTCOME_AUTH},
    {403, WEIR_FACT_MESSAGE, "billing", WEIR_OUTCOME_BILLING},
    {500, WEIR_FACT_MESSAGE, "input context is too long", WEIR_OUTCOME_CONTEXT_OVERFLOW},
};

/* The string codes of the Interactions API, and wording where no quota is named. */
static const struct weir_rule unnamed_rules[] = {
    {429, WEIR_FACT_CODE, "quota_exceeded", WEIR_OUTCOME_QUOTA_DAY_REQUESTS},
    {429, WEIR_FACT_CODE, "rate_limit_exceeded", WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS},
    {429, WEIR_FACT_MESSAGE, "credits*depleted", WEIR_OUTCOME_BILLING},
    {429, WEIR_FACT_MESSAGE, "Provisioned Throughput", WEIR_OUTCOME_QUOTA_MINUTE_TOKENS},
    {429, WEIR_FACT_MESSAGE, "spend", WEIR_OUTCOME_QUOTA_SPEND},
};

/* How long a violated quota lasts: the longest decides the outcome. */
enum lasting { MINUTE = 1, SPEND, DAY, FOREVER };

static bool says(const struct weir_violation *v, const char *part)
{
  return weir_text_find(v->id, part) || weir_text_find(v->metric, part);
}

static enum lasting lasting_of(const struct weir_violation *v)
{
  if (v->has_limit && v->limit == 0)
    return FOREVER;
  if (says(v, "PerDay") || says(v, "per_day") || says(v, "daily"))
    return DAY;
  return says(v, "spend") ? SPEND : MINUTE;
}

static void violation_judge(const struct weir_violation *v, struct weir_verdict *verdict)
{
  enum lasting lasting = lasting_of(v);

  weir_verdict_set_quota(verdict,
                         says(v, "token") ? WEIR_DIMENSION_INPUT_TOKENS : WEIR_DIMENSION_REQUESTS,
                         lasting == DAY || says(v, "PerDay"));
  if (lasting == FOREVER)
    verdict->outcome = WEIR_OUTCOME_NO_ACCESS_TIER;
  if (lasting == SPEND)
    verdict->outcome = WEIR_OUTCOME_QUOTA_SPEND;
  else if (v->has_limit)
    weir_verdict_set_limit(verdict, v->limit);
}

/* Reads the next quota that |message| names and moves it on: "Quota exceeded for metric: M, limit:
 * N, model: X" or, of Vertex, "Quota exceeded for M with base model: X". */
static bool message_next(const char **message, struct weir_violation *ret_violation)
{
  const char *at = weir_text_find(*message, "Quota exceeded for "), *behind;
  struct weir_violation v = {0};
  size_t size = 0;

  if (!at)
    return false;
  behind = weir_text_find(at, "metric: ");
  at = behind && behind - at == 8 ? behind : at;
  while (at[size] != '\0' && at[size] != ',' && at[size] != ' ' && at[size] != '\n' &&
         size < WEIR_FACTS_WORD_MAX) {
    v.metric[size] = at[size];
    size++;
  }
  at += size;
  behind = at[0] == ',' ? weir_text_find(at, "limit:") : NULL;
  v.has_limit = behind && behind - at == 8 && weir_text_count(behind, &v.limit);
  *message = at;
  *ret_violation = v;
  return true;
}

static void quota_judge(const struct weir_facts *facts, struct weir_verdict *verdict)
{
  struct weir_violation worst = {0}, named;
  enum lasting lasting = (enum lasting)0;
  const char *message = facts->message;

  for (size_t i = 0; i < facts->violations_count; i++) {
    if (lasting_of(&facts->violations[i]) > lasting) {
      worst = facts->violations[i];
      lasting = lasting_of(&worst);
    }
  }
  /* The message may hold a limit of 0 that the details leave out. */
  while (message_next(&message, &named)) {
    if (lasting_of(&named) > lasting) {
      worst = named;
      lasting = lasting_of(&worst);
    }
  }
  if (lasting != 0)
    violation_judge(&worst, verdict);
}

static void classify(const struct weir_facts *facts, struct weir_verdict *verdict)
{
  verdict->outcome = weir_rules_match(rules, sizeof(rules) / sizeof(rules[0]), facts);
  if (verdict->outcome != 0 || weir_facts_status(facts) != 429)
    return;
  quota_judge(facts, verdict);
  if (verdict->outcome == 0)
    verdict->outcome =
        weir_rules_match(unnamed_rules, sizeof(unnamed_rules) / sizeof(unnamed_rules[0]), facts);
}

const struct weir_provider_rules weir_rules_gemini = {
    .base_url = "https://generativelanguage.googleapis.com",
    .key_header = "x-goog-api-key",
    .key_prefix = "",
    .key_envs = {"GOOGLE_API_KEY", "GEMINI_API_KEY"},
    .is_model_in_path = true,
    .path = "/v1beta/{model}:generateContent",
    .stream_path = "/v1beta/{model}:streamGenerateContent?alt=sse",
    .openai_path = "/v1beta/openai/chat/completions",
    .tokenizer = WEIR_TOKENIZER_GEMMA,
    .classify = classify,
};

/* The base URL holds project and location:
 * https://LOCATION-aiplatform.googleapis.com/v1/projects/P/locations/L/publishers/google */
const struct weir_provider_rules weir_rules_vertex = {
    .key_header = "Authorization",
    .key_prefix = "Bearer ",
    .key_envs = {"VERTEX_ACCESS_TOKEN"},
    .is_model_in_path = true,
    .path = "/{model}:generateContent",
    .stream_path = "/{model}:streamGenerateContent?alt=sse",
    .openai_path = "/endpoints/openapi/chat/completions",
    .openai_root = "/publishers/google",
    .openai_model = "google/",
    .tokenizer = WEIR_TOKENIZER_GEMMA,
    .classify = classify,
};
