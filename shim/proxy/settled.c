#include "settled.h"

#include <weir/msg.h>

static uint64_t bounded(uint64_t tokens)
{
  return tokens < WEIR_TOKENS_MAX ? tokens : WEIR_TOKENS_MAX;
}

void weir_settled_usage(const struct weir_usage_scan *scan, enum weir_provider_kind kind,
                        bool is_whole, uint64_t output_tokens, struct weir_settlement *s)
{
  const struct weir_usage *usage = &scan->usage;
  uint64_t output = usage->has_output ? usage->output_tokens : 0;

  if (!usage->has_input)
    return;
  if (!is_whole && output < output_tokens)
    output = output_tokens;
  s->has_usage = 1;
  s->input_tokens = bounded(weir_usage_input_charged(usage, kind));
  s->output_tokens = bounded(output);
}

void weir_settled_headroom(const struct weir_headroom *headroom, struct weir_settlement *s)
{
  s->requests_limit = headroom->requests_limit;
  s->requests_left = headroom->requests_left;
  s->tokens_limit = headroom->tokens_limit;
  s->tokens_left = headroom->tokens_left;
}

void weir_settled_verdict(const struct weir_verdict *verdict, struct weir_settlement *s)
{
  s->outcome = verdict->outcome;
  if (verdict->outcome == WEIR_OUTCOME_OK)
    return;
  if (!s->has_usage && !verdict->are_tokens_charged)
    s->has_usage = 1; /* of nothing */
  if (verdict->has_wait)
    s->retry_after_us = verdict->wait_us < WEIR_DURATION_MAX ? verdict->wait_us : WEIR_DURATION_MAX;
  s->stated_limit = weir_headroom_stated(verdict, &s->stated_used);
}
