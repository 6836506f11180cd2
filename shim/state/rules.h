/* rules.h - what the providers' files share. Private to this folder. */
#ifndef WEIR_RULES_H
#define WEIR_RULES_H

#include <weir/classify.h>
#include <weir/facts.h>
#include <weir/provider.h>
#include <weir/text.h>

#define X(name, value, text, symbol) extern const struct weir_provider_rules symbol;
WEIR_PROVIDER_LIST(X)
#undef X

enum weir_fact {
  WEIR_FACT_TYPE = 1,
  WEIR_FACT_CODE,
  WEIR_FACT_STATUS,
  WEIR_FACT_REASON,
  WEIR_FACT_MESSAGE
};

/* An answer of status |http| (0: any) in which |fact| has |pattern| is of |outcome|. */
struct weir_rule {
  int http;
  enum weir_fact fact;
  const char *pattern;
  enum weir_outcome outcome;
};

/* weir_rules_match returns the outcome of the first of |count| rules that holds, or 0. Order: what
 * is structured before what is wording. */
enum weir_outcome weir_rules_match(const struct weir_rule *rules, size_t count,
                                   const struct weir_facts *facts);

/* weir_verdict_set_quota makes |v| a quota rejection of |dimension|, per day or per minute. */
void weir_verdict_set_quota(struct weir_verdict *v, enum weir_dimension dimension, bool is_day);

/* weir_verdict_set_limit adds that the quota's amount is |limit|. */
void weir_verdict_set_limit(struct weir_verdict *v, uint64_t limit);

#endif
