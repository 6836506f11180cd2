#include <weir/classify.h>

#include <weir/stream.h>

#include <string.h>

#include "rules.h"

/* A stated wait means something for some outcomes only. */
enum wait { WAIT_NONE, WAIT_LONG, WAIT_ANY };

/* What follows from an outcome. Where it is not known whether a provider charges, it does: a
 * refund too many would end in a rejection. */
static const struct {
  bool is_retryable, is_request_charged, are_tokens_charged;
  enum wait wait;
} traits[WEIR_OUTCOME_MAX] = {
    [WEIR_OUTCOME_OK] = {false, true, true, WAIT_NONE},
    [WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS] = {true, false, false, WAIT_ANY},
    [WEIR_OUTCOME_QUOTA_MINUTE_TOKENS] = {true, false, false, WAIT_ANY},
    /* Gemini states the seconds to the next minute here too: they lead to the same answer. */
    [WEIR_OUTCOME_QUOTA_DAY_REQUESTS] = {false, false, false, WAIT_LONG},
    [WEIR_OUTCOME_QUOTA_DAY_TOKENS] = {false, false, false, WAIT_LONG},
    [WEIR_OUTCOME_QUOTA_SPEND] = {true, false, false, WAIT_ANY},
    [WEIR_OUTCOME_RAMP_LIMIT] = {true, false, false, WAIT_ANY},
    [WEIR_OUTCOME_CAPACITY_THROTTLE] = {true, true, false, WAIT_ANY},
    [WEIR_OUTCOME_OVERLOADED] = {true, true, false, WAIT_ANY},
    [WEIR_OUTCOME_SERVER_ERROR] = {true, true, true, WAIT_ANY},
    [WEIR_OUTCOME_DEADLINE] = {true, true, true, WAIT_ANY},
    [WEIR_OUTCOME_REQUEST_TOO_LARGE] = {false, false, false, WAIT_NONE},
    [WEIR_OUTCOME_CONTEXT_OVERFLOW] = {false, false, false, WAIT_NONE},
    [WEIR_OUTCOME_NO_ACCESS_TIER] = {false, false, false, WAIT_NONE},
    [WEIR_OUTCOME_BILLING] = {false, false, false, WAIT_NONE},
    [WEIR_OUTCOME_AUTH] = {false, false, false, WAIT_NONE},
    [WEIR_OUTCOME_PERMISSION] = {false, false, false, WAIT_NONE},
    [WEIR_OUTCOME_MODEL_NOT_FOUND] = {false, false, false, WAIT_NONE},
    [WEIR_OUTCOME_BAD_REQUEST] = {false, false, false, WAIT_NONE},
    [WEIR_OUTCOME_CANCELLED] = {false, true, true, WAIT_NONE},
    [WEIR_OUTCOME_NETWORK] = {true, true, true, WAIT_NONE},
};

static enum weir_outcome outcome_of_status(int http)
{
  static const struct {
    int http;
    enum weir_outcome outcome;
  } statuses[] = {
      {401, WEIR_OUTCOME_AUTH},
      {402, WEIR_OUTCOME_BILLING},
      {403, WEIR_OUTCOME_PERMISSION},
      {404, WEIR_OUTCOME_MODEL_NOT_FOUND},
      {408, WEIR_OUTCOME_DEADLINE},
      /* A conflict passes like a failure of the server; so the official SDKs treat it. */
      {409, WEIR_OUTCOME_SERVER_ERROR},
      {413, WEIR_OUTCOME_REQUEST_TOO_LARGE},
      {429, WEIR_OUTCOME_CAPACITY_THROTTLE},
      {499, WEIR_OUTCOME_CANCELLED},
      {503, WEIR_OUTCOME_OVERLOADED},
      {504, WEIR_OUTCOME_DEADLINE},
      {524, WEIR_OUTCOME_DEADLINE}, /* Cloudflare: the origin answered too late */
      {529, WEIR_OUTCOME_OVERLOADED},
  };

  for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
    if (statuses[i].http == http)
      return statuses[i].outcome;
  if (http >= 200 && http < 300)
    return WEIR_OUTCOME_OK;
  if (http >= 300 && http < 500)
    return WEIR_OUTCOME_BAD_REQUEST;
  return http >= 500 ? WEIR_OUTCOME_SERVER_ERROR : WEIR_OUTCOME_NETWORK;
}

/* Statuses under which the same request never passes, whatever a relay writes into the body. */
static bool is_refusal(int http)
{
  return (http >= 400 && http <= 404) || http == 413;
}

static bool header_wait(const struct weir_facts *facts, uint64_t wall_s, weir_duration *ret_wait)
{
  const char *ms = weir_facts_header(facts, "retry-after-ms");
  const char *after = weir_facts_header(facts, "retry-after");
  uint64_t date_s;

  if (ms && weir_text_decimal(ms, WEIR_US_PER_MS, ret_wait))
    return true;
  if (!after)
    return false;
  if (weir_text_decimal(after, WEIR_US_PER_S, ret_wait))
    return true;
  if (wall_s == 0 || !weir_text_date(after, &date_s))
    return false;
  date_s = weir_time_sub(date_s, wall_s);
  *ret_wait = date_s > WEIR_TEXT_DURATION_MAX / WEIR_US_PER_S ? WEIR_TEXT_DURATION_MAX
                                                              : date_s * WEIR_US_PER_S;
  return true;
}

static bool message_wait(const char *message, weir_duration *ret_wait)
{
  static const char *const words[] = {"retry in ", "try again in ", "retry after "};

  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
    const char *at = weir_text_find(message, words[i]);

    if (at && weir_text_duration(at, ret_wait))
      return true;
  }
  return false;
}

/* Headers are made for programs. Google's message is finer than its RetryInfo, which drops the
 * fraction of the second. */
static void wait_judge(const struct weir_facts *facts, uint64_t wall_s, struct weir_verdict *v)
{
  enum wait wait = traits[v->outcome].wait;
  weir_duration wait_us = 0;
  bool has_wait = wait != WAIT_NONE &&
                  (header_wait(facts, wall_s, &wait_us) || message_wait(facts->message, &wait_us));

  if (wait != WAIT_NONE && !has_wait && facts->has_retry_info) {
    has_wait = true;
    wait_us = facts->retry_info_us;
  }
  v->has_wait = has_wait && (wait == WAIT_ANY || wait_us >= WEIR_US_PER_HOUR);
  v->wait_us = v->has_wait ? wait_us : 0;
}

bool weir_outcome_is_retryable(enum weir_outcome outcome)
{
  return (unsigned)outcome < WEIR_OUTCOME_MAX && traits[outcome].is_retryable;
}

bool weir_outcome_is_of_request(enum weir_outcome outcome)
{
  return outcome == WEIR_OUTCOME_BAD_REQUEST || outcome == WEIR_OUTCOME_REQUEST_TOO_LARGE ||
         outcome == WEIR_OUTCOME_CONTEXT_OVERFLOW || outcome == WEIR_OUTCOME_MODEL_NOT_FOUND ||
         outcome == WEIR_OUTCOME_CANCELLED;
}

void weir_classify_facts(enum weir_provider_kind kind, const struct weir_facts *facts,
                         uint64_t wall_s, struct weir_verdict *ret_verdict)
{
  const struct weir_provider_rules *rules = weir_provider_rules_of(kind);
  const char *should_retry = weir_facts_header(facts, "x-should-retry");
  int http = weir_facts_status(facts);
  struct weir_verdict v = {0};

  if (http >= 300)
    rules->classify(facts, &v);
  if (v.outcome == 0 || (traits[v.outcome].is_retryable && is_refusal(http)))
    v.outcome = outcome_of_status(http);
  v.is_retryable =
      traits[v.outcome].is_retryable && !(should_retry && weir_text_is(should_retry, "false"));
  v.is_request_charged = traits[v.outcome].is_request_charged || rules->are_failures_charged;
  v.are_tokens_charged = traits[v.outcome].are_tokens_charged;
  wait_judge(facts, wall_s, &v);
  *ret_verdict = v;
}

void weir_classify(const struct weir_answer *answer, struct weir_verdict *ret_verdict)
{
  struct weir_stream stream;
  struct weir_json_token token;
  struct weir_facts facts;

  weir_facts_init(&facts, answer->http);
  facts.headers = answer->headers;
  facts.headers_count = answer->headers_count;
  weir_stream_init(&stream);
  weir_stream_feed(&stream, answer->body, answer->body_size);
  while (weir_stream_next(&stream, &token))
    weir_facts_token(&facts, &token);
  weir_classify_facts(answer->kind, &facts, answer->wall_s, ret_verdict);
}
