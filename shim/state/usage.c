#include <weir/usage.h>

#include <string.h>

enum slot { INPUT, TOOLS, CACHED, CACHE_READ, CACHE_WRITE, OUTPUT, THOUGHTS, SLOTS };

_Static_assert(SLOTS < WEIR_USAGE_SLOTS, "the last slot keeps what is known");

#define SEEN SLOTS /* a bit for each slot that was stated */

static const struct {
  const char *path;
  enum slot slot;
} fields[] = {
    /* Gemini, Vertex */
    {"usageMetadata.promptTokenCount", INPUT},
    {"usageMetadata.toolUsePromptTokenCount", TOOLS},
    {"usageMetadata.cachedContentTokenCount", CACHED},
    {"usageMetadata.candidatesTokenCount", OUTPUT},
    {"usageMetadata.thoughtsTokenCount", THOUGHTS},
    /* Gemini Interactions */
    {"usage.total_input_tokens", INPUT},
    {"usage.total_cached_tokens", CACHED},
    {"usage.total_output_tokens", OUTPUT},
    {"usage.total_thought_tokens", THOUGHTS},
    /* OpenAI chat and embeddings: reasoning is part of the completion */
    {"usage.prompt_tokens", INPUT},
    {"usage.prompt_tokens_details.cached_tokens", CACHED},
    {"usage.completion_tokens", OUTPUT},
    /* OpenAI Responses, and Anthropic, where the cache counts beside the input */
    {"usage.input_tokens", INPUT},
    {"usage.input_tokens_details.cached_tokens", CACHED},
    {"usage.output_tokens", OUTPUT},
    {"usage.cache_read_input_tokens", CACHE_READ},
    {"usage.cache_creation_input_tokens", CACHE_WRITE},
};

/* The event that ends a stream, by one of its members. |value| NULL: any text but an empty one. */
static const struct {
  const char *path, *value;
} endings[] = {{"candidates[].finishReason", NULL},
               {"promptFeedback.blockReason", NULL},
               {"type", "message_stop"},
               {"type", "response.completed"},
               {"type", "response.incomplete"},
               {"type", "response.failed"},
               {"event_type", "interaction.completed"}};

/* Some events wrap the answer whose usage they tell. */
static const char *path_unwrap(const char *path)
{
  static const char *const wraps[] = {"message.", "response.", "interaction."};

  for (size_t i = 0; i < sizeof(wraps) / sizeof(wraps[0]); i++)
    if (strncmp(path, wraps[i], strlen(wraps[i])) == 0)
      return path + strlen(wraps[i]);
  return path;
}

static uint64_t add(uint64_t a, uint64_t b)
{
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void count_take(struct weir_usage_scan *scan, const struct weir_json_token *token)
{
  const char *path = path_unwrap(token->path);
  struct weir_usage *u = &scan->usage;
  const uint64_t *n = scan->slots;
  uint64_t value, seen;

  if (strncmp(path, "usage", 5) != 0 || !weir_json_uint(token, &value))
    return;
  for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
    if (strcmp(path, fields[i].path) == 0) {
      scan->slots[fields[i].slot] = value;
      scan->slots[SEEN] |= UINT64_C(1) << fields[i].slot;
    }
  }
  seen = scan->slots[SEEN];
  u->has_input = seen >> INPUT & 1;
  u->has_output = seen >> OUTPUT & 1;
  u->input_tokens = add(add(n[INPUT], n[TOOLS]), add(n[CACHE_READ], n[CACHE_WRITE]));
  u->cached_tokens = add(n[CACHED], n[CACHE_READ]);
  u->cache_write_tokens = n[CACHE_WRITE];
  u->output_tokens = add(n[OUTPUT], n[THOUGHTS]);
}

static void ending_take(struct weir_usage_scan *scan, const struct weir_json_token *token)
{
  for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
    if (token->path[0] == endings[i].path[0] && strcmp(token->path, endings[i].path) == 0 &&
        (endings[i].value ? strcmp(token->text, endings[i].value) == 0 : token->text_size > 0))
      scan->is_ending = true;
}

/* A complete answer that states its input but no output has none: embeddings, blocked prompts. */
static void completion_judge(struct weir_usage_scan *scan)
{
  const struct weir_stream *s = &scan->stream;

  scan->is_complete |= s->is_done || (s->is_whole && (scan->is_ending || !s->is_sse));
  scan->usage.has_output |= scan->is_complete && scan->usage.has_input;
}

void weir_usage_init(struct weir_usage_scan *scan)
{
  memset(&scan->usage, 0, sizeof(scan->usage));
  memset(scan->slots, 0, sizeof(scan->slots));
  scan->is_complete = scan->is_ending = scan->has_error = false;
  weir_stream_init(&scan->stream);
  weir_facts_init(&scan->facts, 200);
}

void weir_usage_feed(struct weir_usage_scan *scan, const void *bytes, size_t size)
{
  struct weir_json_token token;

  weir_stream_feed(&scan->stream, bytes, size);
  while (weir_stream_next(&scan->stream, &token)) {
    if (token.type == WEIR_JSON_NUMBER)
      count_take(scan, &token);
    else if (token.type == WEIR_JSON_STRING)
      ending_take(scan, &token);
    weir_facts_token(&scan->facts, &token);
    completion_judge(scan);
  }
  completion_judge(scan);
  scan->has_error = scan->facts.has_error;
}

bool weir_usage_verdict(const struct weir_usage_scan *scan, enum weir_provider_kind kind,
                        struct weir_verdict *ret_verdict)
{
  struct weir_verdict v;

  if (!scan->has_error)
    return false;
  weir_classify_facts(kind, &scan->facts, 0, &v);
  if (v.is_retryable && !weir_outcome_is_quota(v.outcome))
    v.is_request_charged = v.are_tokens_charged = true;
  *ret_verdict = v;
  return true;
}

uint64_t weir_usage_input_charged(const struct weir_usage *usage, enum weir_provider_kind kind)
{
  if (!weir_provider_rules_of(kind)->is_cache_free || usage->cached_tokens > usage->input_tokens)
    return usage->input_tokens;
  return usage->input_tokens - usage->cached_tokens;
}
