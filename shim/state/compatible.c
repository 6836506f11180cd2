/* Servers that speak OpenAI's protocol: relays, gateways, inference servers. A relay may pass on
 * the error of the provider behind it as it is, so the body's shape tells whose rules hold. */
#include "rules.h"

static void classify(const struct weir_facts *facts, struct weir_verdict *verdict)
{
  const struct weir_provider_rules *rules = &weir_rules_openai;

  if (facts->status[0] != '\0' || facts->violations_count > 0)
    rules = &weir_rules_gemini;
  else if (facts->is_anthropic && facts->type[0] != '\0')
    rules = &weir_rules_anthropic;
  rules->classify(facts, verdict);
}

const struct weir_provider_rules weir_rules_compatible = {
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
