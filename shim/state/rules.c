#include "rules.h"

static const char *fact_text(const struct weir_facts *f, enum weir_fact fact)
{
  switch (fact) {
  case WEIR_FACT_TYPE:
    return f->type;
  case WEIR_FACT_CODE:
    return f->code;
  case WEIR_FACT_STATUS:
    return f->status;
  case WEIR_FACT_REASON:
    return f->reason;
  case WEIR_FACT_MESSAGE:
    break;
  }
  return f->message;
}

enum weir_outcome weir_rules_match(const struct weir_rule *rules, size_t count,
                                   const struct weir_facts *facts)
{
  int http = weir_facts_status(facts);

  for (size_t i = 0; i < count; i++)
    if ((rules[i].http == 0 || rules[i].http == http) &&
        weir_text_has(fact_text(facts, rules[i].fact), rules[i].pattern))
      return rules[i].outcome;
  return (enum weir_outcome)0;
}

void weir_verdict_set_quota(struct weir_verdict *v, enum weir_dimension dimension, bool is_day)
{
  bool is_requests = dimension == WEIR_DIMENSION_REQUESTS;

  v->dimension = dimension;
  v->window_us = is_day ? 24 * WEIR_US_PER_HOUR : WEIR_US_PER_MIN;
  if (is_day)
    v->outcome = is_requests ? WEIR_OUTCOME_QUOTA_DAY_REQUESTS : WEIR_OUTCOME_QUOTA_DAY_TOKENS;
  else
    v->outcome =
        is_requests ? WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS : WEIR_OUTCOME_QUOTA_MINUTE_TOKENS;
}

void weir_verdict_set_limit(struct weir_verdict *v, uint64_t limit)
{
  v->has_limit = true;
  v->limit = limit;
}
